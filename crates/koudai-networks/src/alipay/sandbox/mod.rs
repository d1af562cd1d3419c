//! A small Alipay for demos and tests. It speaks the gateway's protocol over HTTP in both modes, keeps its own file and books,
//! shows its people the pages where they agree, sends its notices, and misbehaves only where somebody at `/faults` says so.
//!
//! It shares the wire format and the signatures with the wallet and nothing else.

mod bills;
mod edge;
mod notices;
mod page;
mod papers;
mod payouts;
mod people;
mod person;
mod store;
mod trades;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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

#[cfg(test)]
pub(crate) use papers::Authority;
pub use papers::{APP_ID, Papers, SELLER};
pub use people::user_id;
pub use store::Movement;

/// The name of fetching a bill among the calls that may go wrong.
const BILL_FILE: &str = "bill_file";

/// What it is opened with.
#[derive(Debug)]
pub struct SandboxSettings {
    /// Where it is reached, such as `http://127.0.0.1:8086`: its codes and addresses lead there.
    pub url: String,
    /// Milliseconds since 1970; [`SandboxSettings::at`] has the clock of this machine.
    pub clock: fn() -> i64,
}

impl SandboxSettings {
    /// Reached there, by the clock of this machine.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), clock: sandbox::now_ms }
    }
}

/// What decisions need beside the database.
struct House {
    dir: PathBuf,
    papers: Mutex<Arc<Papers>>,
    settings: SandboxSettings,
    hasher: Hasher,
    faults: Faults,
    http: reqwest::Client,
}

impl House {
    fn papers(&self) -> Arc<Papers> {
        Arc::clone(&self.papers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now_ms(&self) -> i64 {
        (self.settings.clock)()
    }
}

/// The sandbox. Cloning shares it; the file is closed when the last one goes.
#[derive(Clone)]
pub struct SandboxAlipay {
    house: Arc<House>,
    store: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for SandboxAlipay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxAlipay").finish_non_exhaustive()
    }
}

impl SandboxAlipay {
    /// Opens it in `dir`, creating it with its certificates and people at the first time. Blocks while it does.
    ///
    /// # Errors
    /// If the directory cannot be used, another one has it open, or its file is not one of ours.
    pub fn open(dir: &Path, settings: SandboxSettings) -> Result<Self, SandboxError> {
        let papers = Mutex::new(Arc::new(Papers::open(dir, sandbox::now_ms())?));
        let (connection, hasher) = store::open(dir)?;
        let http = crate::outward::builder(notices::TIMEOUT, false).build();
        let http = http.map_err(|_| SandboxError::Corrupt("the HTTP client"))?;
        let dir = dir.to_owned();
        let house = House { dir, papers, settings, hasher, faults: Faults::default(), http };
        Ok(Self { house: Arc::new(house), store: Arc::new(Mutex::new(connection)) })
    }

    /// Its keys and certificates, the app's among them.
    pub fn papers(&self) -> Arc<Papers> {
        self.house.papers()
    }

    /// Has it sign with another key and another certificate from now on, as Alipay does when one is about to end.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn rotate(&self) -> Result<(), SandboxError> {
        let fresh = self.papers().rotated(&self.house.dir, sandbox::now_ms())?;
        *self.house.papers.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// The gateway at `/gateway.do`, its people's pages, a page for people at `/`, and `/faults`, where it is told what to get
    /// wrong.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page::home))
            .route("/style.css", get(style))
            .route("/alipay.css", get(page::style))
            .route("/faults", get(edge::faults).put(edge::set_faults))
            .route("/books", get(edge::books))
            .route("/gateway.do", get(edge::gateway).post(edge::gateway))
            .route("/bills/{bill}", get(bills::download))
            .route("/pay/{code}", get(page::pay).post(page::answer))
            .route("/cashier", get(page::cashier))
            .route("/oauth2/publicAppAuthorize.htm", get(page::authorise).post(page::authorised))
            .route("/person/pay", post(person::pay))
            .route("/person/code", post(person::code))
            .with_state(self.clone())
    }

    /// Tells it what to get wrong from now on, until it stops.
    ///
    /// # Errors
    /// If a rule names a call or a code that the protocol does not have, or there are too many.
    pub fn set_faults(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        let calls: Vec<&str> = Call::ALL.iter().map(|call| call.name()).chain([BILL_FILE]).collect();
        self.house.faults.set(rules, &calls, is_code)
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
pub async fn serve(listener: TcpListener, sandbox: SandboxAlipay) -> std::io::Result<()> {
    let server = axum::serve(listener, sandbox.router());
    tokio::select! {
        served = server => served,
        () = notices::send(sandbox) => Ok(()),
    }
}
