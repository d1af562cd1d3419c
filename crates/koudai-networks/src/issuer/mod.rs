//! The issuer protocol, between an app people pay with and the bank whose card they bound to it.
//!
//! [`client`] is the app's side, [`sandbox`] a small bank that speaks the other; they share [`wire`] and
//! [`signing`] and nothing else. `docs/issuer-protocol.md` describes it for anyone who writes a third.

pub mod calls;
pub mod client;
mod network;
pub mod sandbox;
pub mod signing;
pub mod wire;

pub use client::{Answer, ClientError, IssuerClient};
pub use wire::{
    BindRequest, BindingReply, BindingState, BookKind, BookLine, CardFace, DebitReply, IssuerCode, Outcome,
    PayoutReply, RefundReply, UnbindReply,
};
