//! Signing in over HTTP, as a browser and as a program: codes, passwords, passkeys, and proof before what guards an account
//! changes.
#![allow(dead_code, reason = "each test binary uses its own part of the house")]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "../rig/mod.rs"]
mod rig;

mod authenticator;
mod confirming;
mod house;
mod passkeys;
mod passwords;
mod payment_passwords;
mod proof;
mod recovering;
mod two_steps;
