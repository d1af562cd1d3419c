//! A small UnionPay for demos and tests. It speaks the protocol over HTTP, keeps its own file and books, sends its codes and
//! notices, and misbehaves only where somebody at `/faults` says so.
//!
//! It shares the wire format, the signatures and the ciphers with the wallet and nothing else.

mod cards;
mod edge;
mod money;
mod notices;
mod opening;
mod page;
mod papers;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use rusqlite::{Connection, Transaction};
use tokio::net::TcpListener;

use super::codes::is_code;
use super::wire::Call;
use crate::faults::{Faults, Rule, RuleError};
use crate::sandbox::file::Hasher;
use crate::sandbox::page::style;
use crate::sandbox::{self, SandboxError};
use crate::sms::SmsGateway;

pub use cards::{TestCard, test_cards};
pub use papers::{MERCHANT, NAME, Papers, REQUESTOR};
pub use store::Movement;

/// What it is opened with.
#[derive(Debug)]
pub struct SandboxSettings {
    /// Carries its codes to the holders. Without one, nobody can open a card.
    pub sms: Option<SmsGateway>,
    /// Where a person can read those messages; linked on its page.
    pub inbox_url: Option<String>,
    /// When a clearing day ends, in milliseconds after midnight in China.
    pub clearing_cut_ms: i64,
    /// The least time between two codes for one card, in milliseconds.
    pub resend_gap_ms: i64,
}

/// What decisions need beside the database.
struct House {
    papers: Papers,
    settings: SandboxSettings,
    hasher: Hasher,
    faults: Faults,
    http: reqwest::Client,
}

/// The sandbox. Cloning shares it; the file is closed when the last one goes.
#[derive(Clone)]
pub struct SandboxUnionPay {
    house: Arc<House>,
    store: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for SandboxUnionPay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxUnionPay").finish_non_exhaustive()
    }
}

impl SandboxUnionPay {
    /// Opens it in `dir`, creating it with its certificates and cards at the first time. Blocks while it does.
    ///
    /// # Errors
    /// If the directory cannot be used, another one has it open, or its file is not one of ours.
    pub fn open(dir: &Path, settings: SandboxSettings) -> Result<Self, SandboxError> {
        let papers = Papers::open(dir, sandbox::now_ms())?;
        let (connection, hasher) = store::open(dir)?;
        let http = crate::outward::builder(notices::TIMEOUT, false).build();
        let http = http.map_err(|_| SandboxError::Corrupt("the HTTP client"))?;
        let house = House { papers, settings, hasher, faults: Faults::default(), http };
        Ok(Self { house: Arc::new(house), store: Arc::new(Mutex::new(connection)) })
    }

    /// Its keys and certificates, the merchant's among them.
    pub fn papers(&self) -> &Papers {
        &self.house.papers
    }

    /// The gateway under `/gateway/api/`, the file service at `POST /`, a page for people at `/`, and `/faults`, where it is told
    /// what to get wrong.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page::home).post(edge::answer))
            .route("/style.css", get(style))
            .route("/faults", get(edge::faults).put(edge::set_faults))
            .route("/books", get(edge::books))
            .route("/gateway/api/backTransReq.do", post(edge::answer))
            .route("/gateway/api/queryTrans.do", post(edge::answer))
            .with_state(self.clone())
    }

    /// Tells it what to get wrong from now on, until it stops.
    ///
    /// # Errors
    /// If a rule names a call or a code that the protocol does not have, or there are too many.
    pub fn set_faults(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        self.house.faults.set(rules, &Call::ALL.map(Call::name), is_code)
    }

    /// Whether the books agree with themselves.
    ///
    /// # Errors
    /// `Store` if they could not be read.
    pub async fn books_agree(&self) -> Result<bool, SandboxError> {
        self.run(|tx, _| store::books_agree(tx)).await
    }

    /// All money that moved, oldest first.
    ///
    /// # Errors
    /// `Store` if it could not be read.
    pub async fn movements(&self) -> Result<Vec<Movement>, SandboxError> {
        self.run(|tx, _| store::movements(tx)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &House) -> Result<T, SandboxError> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let house = Arc::clone(&self.house);
        sandbox::run(&self.store, move |tx| work(tx, &house)).await
    }
}

/// Serves it, and sends its notices, until the task is dropped.
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: TcpListener, sandbox: SandboxUnionPay) -> std::io::Result<()> {
    let server = axum::serve(listener, sandbox.router());
    tokio::select! {
        served = server => served,
        () = notices::send(sandbox) => Ok(()),
    }
}
