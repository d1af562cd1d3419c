//! Bank cards through UnionPay: ACP 5.1.0, the token product without a jump to the bank's page.
//!
//! [`client`] is the wallet's side, [`sandbox`] a small network that speaks the other; they share the wire format, the
//! signatures and nothing else. A card's number goes to the network and is not kept: while its holder waits for the code it
//! is held in memory, since the network has to be shown it once more, and from then on a token stands for it.
//! `docs/unionpay.md` says what is known of the network and what is assumed.

pub mod certificates;
mod cipher;
pub mod client;
mod codes;
mod fields;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod network;
pub mod sandbox;
mod signing;
mod wire;

pub use certificates::{Identity, Trust};
pub use client::{CLEARING_CUT_MS, DEFAULT_TIMEOUT, Settings, UnionPay};
pub use wire::Call;

use crate::bins::{self, Scheme};

/// What the numbers of the cards that it reaches begin with: its own, and those of older cards of Chinese banks, which are
/// cleared through it at home whatever else they show.
pub fn card_bins() -> impl Iterator<Item = String> {
    let older = bins::rows().filter(|bin| bin.scheme != Scheme::UnionPay).map(|bin| bin.digits);
    ["62", "81"].into_iter().chain(older).map(str::to_owned)
}
