//! The wire of `WeChat` Pay `APIv3`: what is signed and how, what is encrypted and how, the JSON types, and a client.
//!
//! Both sides of Koudai use it: the gateway, which merchants' existing SDKs call, and the connector, which calls
//! the real platform as a merchant. It depends on nothing else of Koudai, so anyone may use it alone.
//!
//! What it must never do: read a clock (time is an argument), keep state across calls other than platform keys,
//! decide anything about money, accept a reply or a notification whose signature it has not checked, treat a
//! missing or unverifiable answer as a failure (it is an *unknown* outcome), or put a key into an error, a log line
//! or a `Debug` output.
//!
//! Rules come from the public documentation on pay.weixin.qq.com; `tests/vectors` holds the published examples.

pub mod aead;
pub mod authorization;
pub mod certificate;
pub mod client;
pub mod headers;
mod json;
pub mod keys;
pub mod message;
pub mod notice;
pub mod oaep;
mod pem;
mod random;
pub mod types;

pub use json::{JsonError, MAX_BODY_BYTES, MAX_DEPTH, strict_json};
pub use random::{nonce, nonce12};

/// Runs the examples of `README.md` with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
