//! Paying through Alipay: the OpenAPI gateway, with keys or with certificates.
//!
//! [`client`] is the wallet's side, [`sandbox`] a small Alipay that speaks the other; they share the wire format, the
//! signatures and nothing else. Its people pay in its own app: by a code that they scan, at an address that their phone's
//! browser is sent to, or inside the app. `docs/alipay.md` says what is known of the service and what is assumed.

pub mod certificates;
pub mod client;
mod codes;
mod fields;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod network;
mod reply;
pub mod sandbox;
mod signing;
mod wire;

pub use certificates::{Identity, Trust};
pub use client::{AUTHORISE, Alipay, DEFAULT_TIMEOUT, GATEWAY, Settings};
pub use wire::Call;
