//! Attacks on the wallet's sign-in and forms, each of which fails and learns nothing. They go to a server of the test's own on this
//! machine; what looks like many addresses is what a proxy on this machine would write.
#![allow(dead_code, reason = "each test binary uses its own part of the house")]
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "../../crates/koudai-web/tests/signing_in/authenticator.rs"]
mod authenticator;
#[path = "../../crates/koudai-web/tests/signing_in/house.rs"]
mod house;
#[path = "../../crates/koudai-web/tests/rig/mod.rs"]
mod rig;

mod confirming;
mod enumeration;
mod guessing;
mod recovering;
mod requests;
mod sessions;
mod two_steps;
