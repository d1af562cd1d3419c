//! Passkeys as browsers post them, right and wrong in one thing each.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

mod fixture;
mod forging;
mod posting;
mod published;
mod registering;
mod signing_in;
