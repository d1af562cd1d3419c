//! WeChat Pay as a network of the wallet's, against a real platform: our own gateway, with the payer's side acted out through the
//! wallet's own routes there.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod books;
mod doctor;
mod faults;
mod ground;
mod keys;
mod notices;
mod payments;
mod payouts;
mod peer;
#[path = "../rig/mod.rs"]
mod rig;
