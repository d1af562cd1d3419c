//! The issuer protocol between a real client and the sandbox bank, over sockets and files.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod bank;
mod bindings;
mod faults;
#[path = "../inbox/mod.rs"]
mod inbox;
mod money;
mod rig;
mod wire;
