//! What speaks to the world outside: banks, phones and merchants' servers, and the servers beside which we test them.
//!
//! What it must never do: decide about money, take a missing answer for a failure, or send anything that was not
//! recorded first. It sends what is due, under the number it was recorded with, and hands outcomes back as commands.

pub mod alipay;
pub mod bins;
pub mod courier;
pub mod faults;
pub mod inviting;
pub mod issuer;
pub mod line;
pub mod mail;
pub mod network;
pub mod outside;
mod outward;
pub mod platform;
pub mod prepay;
pub mod probe;
pub mod protocol;
mod reach;
pub mod reconciling;
pub mod relay;
mod returning;
mod sandbox;
pub mod sms;
pub mod telling;
pub mod unionpay;
pub mod vault;
pub mod wechat;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mail::Mailer;
use outside::Outside;
use platform::Platform;
use sms::Sms;
use vault::Vault;

pub use reach::{InnerNetwork, NetworkError, Reach, reach_allows};
pub use returning::{return_address, with_parameters};

/// Everything the house needs to reach the outside.
#[derive(Debug)]
pub struct Networks {
    /// Keys for data at rest.
    pub vault: Arc<Vault>,
    /// Keys that sign for the platform.
    pub platform: Platform,
    /// The networks that reach people's money elsewhere.
    pub outside: Outside,
    /// The way messages to phones go.
    pub sms: Sms,
    /// The way mail goes, if there is one.
    pub mail: Option<Mailer>,
    /// Which notification addresses are allowed.
    pub reach: Reach,
    /// How the message gateway did when it was last called.
    pub health: Health,
    /// Comparisons with networks' books that are under way.
    pub runs: reconciling::Runs,
}

/// Whether the message gateway answered when it was last called.
#[derive(Debug)]
pub struct Health(AtomicBool);

impl Default for Health {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Health {
    /// Whether the message gateway answered.
    pub fn messages_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Records whether the message gateway answered.
    pub fn messages_answered(&self, up: bool) {
        self.0.store(up, Ordering::Relaxed);
    }
}
