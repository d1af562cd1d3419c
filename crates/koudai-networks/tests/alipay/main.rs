//! The wallet's side of Alipay against the sandbox of it, over sockets and files.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod books;
mod code;
mod faults;
mod money;
mod notices;
mod people;
mod rig;
mod wire;
