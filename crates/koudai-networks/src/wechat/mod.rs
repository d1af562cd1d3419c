//! WeChat Pay as another wallet: the operator is a merchant there, and people pay, are refunded and are paid out to by APIv3.
//!
//! [`WeChat`] is the wallet's side. What it calls may be any platform that speaks the protocol, another Koudai's gateway too;
//! [`sandbox`] stands in front of one and fails as it is told. `docs/wechat.md` says what is known of the real one and what is
//! assumed.

mod books;
mod client;
mod codes;
mod doctor;
mod network;
mod payouts;
pub mod sandbox;
mod who;

pub use client::{DEFAULT_TIMEOUT, Identity, IdentityError, Payouts, Settings, SettingsError, WeChat};
pub use doctor::{Finding, Verdict};
pub use koudai_wechatpay::types::{AccountType, TransferReport};
