//! Another wallet as a network: its people agree there by themselves. What the wallet's own pages and routes make of it, with a
//! network of the test's own that does what it is told.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod lantern;
mod payments;
#[path = "../rig/mod.rs"]
mod rig;
mod static_codes;
