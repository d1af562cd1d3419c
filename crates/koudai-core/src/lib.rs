//! The pure heart of the wallet: money, ids, rows, commands and the decisions about them.
//!
//! What it must never do: read a clock, draw a random number, await, open a file or a socket, or know that SQL, HTTP
//! or WeChat exist. The same commands on the same rows give the same result, always; a test keeps it so.

pub mod money;
pub mod refusal;
pub mod secret;
pub mod time;
