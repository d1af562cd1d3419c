//! A small bank for demos and tests. It speaks the issuer protocol over HTTP, keeps its own file and books, and
//! misbehaves only where a card's number or somebody at `/faults` says so.
//!
//! It shares the wire types and the signatures with the app and nothing else: when the wallet is killed, the bank
//! lives on and can be asked.

mod api;
mod bindings;
mod cards;
mod debits;
mod page;
mod payouts;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use rusqlite::{Connection, Transaction};
use tokio::net::TcpListener;

use super::calls::CALLS;
use super::wire::IssuerCode;
use crate::faults::{Faults, Rule, RuleError};
use crate::sandbox::file::Hasher;
use crate::sandbox::page::style;
use crate::sandbox::{self, now_ms};
use crate::sms::SmsGateway;

pub use crate::sandbox::SandboxError as BankError;
pub use cards::{Behaviour, CUSTOMERS, TestCard, test_cards};

/// The bank's name in Chinese.
pub const NAME_ZH: &str = "沙盒银行";
/// The bank's name in English.
pub const NAME_EN: &str = "Sandbox Bank";
/// The digits every card number of this bank begins with.
pub const BIN: &str = "629999";

/// The one app this bank knows.
#[derive(Clone, Debug)]
pub struct App {
    /// As it signs its requests.
    pub id: String,
    /// As holders know it, in Chinese; stands in the bank's messages.
    pub name_zh: String,
    /// As holders know it, in English.
    pub name_en: String,
    /// Checks its requests.
    pub key: PublicKey,
}

/// The bank's patience. The defaults are what people see; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a code is good, in milliseconds.
    pub code_life_ms: i64,
    /// The least time between two codes of one binding, in milliseconds.
    pub resend_gap_ms: i64,
    /// How late the late card's debits are answered.
    pub late: Duration,
    /// How long the silent card's requests are held open before the connection is closed without a word.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            code_life_ms: 5 * 60 * 1_000,
            resend_gap_ms: 60 * 1_000,
            late: Duration::from_secs(12),
            silence: Duration::from_mins(1),
        }
    }
}

/// What a bank is opened with.
#[derive(Debug)]
pub struct BankSettings {
    /// Signs its replies.
    pub key: PrivateKey,
    /// Whom it serves.
    pub app: App,
    /// Carries its codes to the holders. Without one, nobody can confirm a binding.
    pub sms: Option<SmsGateway>,
    /// Where a person can read those messages; linked on the bank's page.
    pub inbox_url: Option<String>,
    /// See [`Timing`].
    pub timing: Timing,
}

/// Why the bank says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    code: IssuerCode,
    tries_left: Option<u8>,
}

impl Refused {
    const fn because(code: IssuerCode) -> Self {
        Self { code, tries_left: None }
    }
}

/// What was decided inside a transaction. A refusal commits too: it may have counted a try.
type Decision<T> = Result<Result<T, Refused>, BankError>;

/// What decisions need beside the database.
struct Bank {
    /// Signs its replies.
    key: PrivateKey,
    app: App,
    sms: Option<SmsGateway>,
    inbox_url: Option<String>,
    timing: Timing,
    hasher: Hasher,
    faults: Faults,
}

/// The sandbox bank. Cloning shares it; the file is closed when the last one goes.
#[derive(Clone)]
pub struct SandboxBank {
    bank: Arc<Bank>,
    store: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for SandboxBank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxBank").field("app", &self.bank.app.id).finish_non_exhaustive()
    }
}

impl SandboxBank {
    /// Opens the bank in `dir`, creating it with its customers and cards at the first time. Blocks while it does.
    ///
    /// # Errors
    /// `Io` or `Store` if the directory cannot be used or another bank has it open; `Version` and `Corrupt` if its
    /// file is not one of ours.
    pub fn open(dir: &Path, settings: BankSettings) -> Result<Self, BankError> {
        let (connection, hasher) = store::open(dir, now_ms())?;
        let BankSettings { key, app, sms, inbox_url, timing } = settings;
        let bank = Bank { key, app, sms, inbox_url, timing, hasher, faults: Faults::default() };
        Ok(Self { bank: Arc::new(bank), store: Arc::new(Mutex::new(connection)) })
    }

    /// The protocol under `/issuer/v1`, a page for people at `/`, and `/faults`, where it is told what to get wrong.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page::home))
            .route("/style.css", get(style))
            .route("/faults", get(api::faults).put(api::set_faults))
            .route("/issuer/v1/{*call}", any(api::answer))
            .with_state(self.clone())
    }

    /// Freezes a card or lets it go again; false if there is no card of this number.
    ///
    /// # Errors
    /// `Store` if it could not be written.
    pub async fn set_frozen(&self, card_no: u16, frozen: bool) -> Result<bool, BankError> {
        self.run(move |tx, _| store::set_frozen(tx, card_no, frozen)).await
    }

    /// Tells the bank what to get wrong from now on, until it stops.
    ///
    /// # Errors
    /// If a rule names a call or a code that the protocol does not have, or there are too many.
    pub fn set_faults(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        self.bank.faults.set(rules, &CALLS, |code| IssuerCode::from_word(code).is_some())
    }

    /// Whether the bank's books agree with themselves: totals with journals, refunds with debits, no card overdrawn.
    ///
    /// # Errors
    /// `Store` if they could not be read.
    pub async fn books_agree(&self) -> Result<bool, BankError> {
        self.run(|tx, _| store::books_agree(tx)).await
    }

    /// Does `work` in a transaction of its own and commits it before returning, whatever happens to the caller.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Bank) -> Result<T, BankError> + Send + 'static,
    ) -> Result<T, BankError> {
        let bank = Arc::clone(&self.bank);
        sandbox::run(&self.store, move |tx| work(tx, &bank)).await
    }
}

/// Serves the bank until the task is dropped.
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: TcpListener, bank: SandboxBank) -> std::io::Result<()> {
    axum::serve(listener, bank.router()).await
}
