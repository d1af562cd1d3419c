//! The wallet's side of UnionPay against the sandbox of it, over sockets and files.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod bindings;
mod faults;
#[path = "../inbox/mod.rs"]
mod inbox;
mod money;
mod notices;
mod rig;
mod wire;
