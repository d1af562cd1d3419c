//! The wire of `WeChat` Pay `APIv3`: what is signed and how, what is encrypted and how, the JSON types, and a client.
//!
//! For both sides of it: a merchant's server signs with it, calls the platform and opens notifications; a platform checks
//! requests with it, signs its replies and issues certificates.
//!
//! | To | there is |
//! |---|---|
//! | call the platform as a merchant | [`client::Client`] |
//! | open a notification | [`client::Client::open_notification`], or [`notice::open`] without a client |
//! | call up a payment in a page or an app | [`placing`] |
//! | sign and check requests | [`authorization::Authorization`] |
//! | sign and check replies and notifications | [`headers::sign_body`], [`headers::verify_body`] |
//! | see exactly what is signed | [`message`] |
//! | read, make and write keys | [`keys::PrivateKey`], [`keys::PublicKey`] |
//! | read certificates, and issue them | [`certificate::Certificate`], [`certificate::Authority`] |
//! | encrypt and open what an `APIv3` key protects | [`aead`], [`types::Resource`] |
//! | encrypt and open single fields, such as names | [`oaep`] |
//! | read and write the JSON | [`types`], [`strict_json`] |
//!
//! Both of the protocol's key modes are supported everywhere: platform certificates, by serial, and platform public keys,
//! by `PUB_KEY_ID_…`; [`headers::PlatformKeys`] holds any number of either.
//!
//! The client comes with the feature `client`, which is on by default; without it there is no HTTP in this crate.
//!
//! What it must never do: read a clock (time is an argument, or a function the client is given), keep state across calls other
//! than platform keys, decide anything about money, accept a reply or a notification whose signature it has not checked,
//! treat a missing or unverifiable answer as a failure (it is an *unknown* outcome), panic on anything that came from
//! outside, or put a key into an error, a log line or a `Debug` output. Random numbers come from the operating system;
//! a machine that has none to give is the one thing that makes it panic.
//!
//! The rules are those of the public documentation on pay.weixin.qq.com; `tests/vectors` holds the published examples.

#![forbid(unsafe_code)]

pub mod aead;
pub mod authorization;
pub mod certificate;
#[cfg(feature = "client")]
pub mod client;
pub mod headers;
mod json;
pub mod keys;
pub mod message;
pub mod notice;
pub mod oaep;
mod pem;
pub mod placing;
mod random;
pub mod types;

pub use json::{JsonError, MAX_BODY_BYTES, MAX_DEPTH, strict_json};
pub use random::{nonce, nonce12};

/// Runs the examples of `README.md` with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
