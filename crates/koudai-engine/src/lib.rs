//! Group commit: commands come in from everywhere, are decided in batches, and every reply waits for its commit.
//!
//! Three threads. One owns the rows and decides whatever comes in (`decider.rs`). One owns the writing connection: it
//! commits what was decided in one durable transaction and answers (`commits.rs`). One loads rows that decisions miss.
//! While a batch is being committed the next one is decided on its uncommitted rows; nobody hears of it before both are
//! on the disk. The three live as long as this process owns the ledger (`life.rs`); a fourth sees to it that it does, or
//! stands by for another (`owner.rs`).
//!
//! What it must never do: answer before the commit, decide anything itself, or go on after a commit whose outcome it
//! does not know.

pub mod by_hand;
mod clock;
mod commits;
mod decider;
mod job;
mod lease;
mod life;
mod mailbox;
mod owner;
mod reading;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use koudai_core::secret::Secret;
use koudai_core::state::{Command, Event, Keys, Policy};
use koudai_core::time::Timestamp;
use koudai_store::{Database, Opened, Reader, StoreError, Tuning};
use tokio::sync::{broadcast, watch};

pub use clock::Clock;

use life::Life;
use mailbox::Refused;
use owner::{Owner, Shared, Vigil};

/// Events a slow listener may lag behind before it has to look at the database instead.
const EVENTS: usize = 65_536;

/// Why a command got no reply.
#[derive(Debug)]
pub enum Failed<R> {
    /// It was refused.
    Refused(R),
    /// There is more work than the engine can take, no room on the disk, or another process owns the ledger. Nothing was
    /// done.
    Busy,
    /// The engine has stopped. Whether the command was done is to be asked after the next start.
    Stopped,
}

/// Where the engine keeps its ledger, and how much memory it takes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the ledger is kept.
    pub database: Database,
    /// How the database is used.
    pub tuning: Tuning,
    /// Rows in memory take about this much, in bytes.
    pub cache_bytes: usize,
}

impl Settings {
    /// Rows in memory unless the operator says otherwise: 512 MiB.
    pub const CACHE_BYTES: usize = 512 << 20;

    /// The usual settings, on a data directory.
    pub fn directory(directory: &Path) -> Self {
        Self::of(Database::Directory(directory.to_owned()))
    }

    /// The usual settings, on a database.
    pub fn of(database: Database) -> Self {
        Self { database, tuning: Tuning::default(), cache_bytes: Self::CACHE_BYTES }
    }
}

/// Whether this process may work on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It owns the ledger.
    Owner,
    /// Another process does, or the way to the database is lost: it waits for its turn.
    Standby,
}

/// A handle to the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Handle>);

/// What goes with the last handle.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Engine {
    /// Opens a ledger, becomes its owner and starts the engine's threads. They end, and free the ledger, once every handle
    /// is gone.
    ///
    /// # Errors
    /// What the store says, `Taken` or `Owned` by another process above all.
    pub fn start(settings: &Settings, keys: Keys, policy: Policy, clock: Clock) -> Result<Self, StoreError> {
        let (free, epoch) = Vigil::over(settings.database.clone()).look()?;
        if !free {
            return Err(StoreError::Owned);
        }
        let opened = settings.database.open_as_seen(epoch, settings.tuning)?;
        Self::begin(Some(opened), reopenable(settings), settings.cache_bytes, keys, policy, clock)
    }

    /// As `start`; but if another process owns the ledger in a server's database, this one stands by, and takes over once
    /// that one has ended or shown no sign of life for a while.
    ///
    /// # Errors
    /// What the store says; `Taken` if another process has the data directory.
    pub fn stand_by(
        settings: &Settings,
        keys: Keys,
        policy: Policy,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let (free, epoch) = Vigil::over(settings.database.clone()).look()?;
        let opened = match free.then(|| settings.database.open_as_seen(epoch, settings.tuning)) {
            None | Some(Err(StoreError::Owned)) => None,
            Some(opened) => Some(opened?),
        };
        Self::begin(opened, reopenable(settings), settings.cache_bytes, keys, policy, clock)
    }

    /// Starts the engine's threads on a ledger that is open, with so many bytes for rows in memory. If it is lost, the
    /// process ends.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn on(
        opened: Opened,
        cache_bytes: usize,
        keys: Keys,
        policy: Policy,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        Self::begin(Some(opened), None, cache_bytes, keys, policy, clock)
    }

    fn begin(
        opened: Option<Opened>,
        reopen: Option<Settings>,
        cache_bytes: usize,
        keys: Keys,
        policy: Policy,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Arc::new(Shared::new(events, clock, policy, keys, cache_bytes));
        let owner = Owner { shared: Arc::clone(&shared), reopen, committed: None, doubt: None };
        // A ledger that is open is in use before this returns.
        let begun = opened.map(|opened| owner.begin(opened)).transpose()?;
        life::spawn("owner", move || owner.run(begun))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Decides and commits a command.
    ///
    /// # Errors
    /// Its refusal, or why there is no reply.
    pub async fn submit<C: Command>(&self, command: C) -> Result<C::Reply, Failed<C::Refusal>> {
        let Some(life) = self.0.0.life() else { return Err(Failed::Busy) };
        let (job, answer) = job::pending(command);
        match life.mailbox.send(job) {
            Ok(()) => answer.await.unwrap_or(Err(Failed::Stopped)),
            Err(Refused::Full | Refused::Gone) => Err(Failed::Busy),
        }
    }

    /// Whether this process owns the ledger, now and whenever that changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.0.standing()
    }

    /// Whether this process owns the ledger and is sure of it.
    pub fn is_owner(&self) -> bool {
        self.0.0.life().is_some_and(|life| life.lease.is_sure())
    }

    /// The ownership that reads may rest on.
    fn sure(&self) -> Result<Arc<Life>, StoreError> {
        self.0.0.life().filter(|life| life.lease.is_sure()).ok_or(StoreError::Elsewhere)
    }

    /// Reads what is committed, on a thread that may wait for the disk.
    ///
    /// # Errors
    /// What the database or `work` says.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.sure()?.readers.clone();
        self.0.0.reading.read(readers, work).await
    }

    /// Reads a few rows by their keys that somebody reads all the time. Where the ledger is a file, such rows are in memory,
    /// and reading them here takes a fraction of what handing them to another thread and back does
    /// (`docs/decisions/0025-what-a-merchants-order-costs.md`). Elsewhere as `read`.
    ///
    /// # Errors
    /// What the database or `work` says.
    pub async fn glance<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.sure()?.readers.clone();
        match readers.with_idle(work) {
            Ok(read) => read,
            Err(work) => self.0.0.reading.read(readers, work).await,
        }
    }

    /// What is committed from now on, as it is committed. A listener that lags must look at the database.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.0.events.subscribe()
    }

    /// How many journals lie after the one that balances and histories are written up to.
    pub fn lag(&self) -> i64 {
        self.0.0.life().map_or(0, |life| {
            let (watermark, head) = life.recent.span();
            head.0 - watermark.0
        })
    }

    /// How large the ledger is, in bytes.
    ///
    /// # Errors
    /// What the database says.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.sure()?.readers.with(Reader::size)
    }

    /// How many commits the ledger has had.
    ///
    /// # Errors
    /// What the database says.
    pub fn commits(&self) -> Result<u64, StoreError> {
        self.sure()?.readers.with(Reader::newest_seal)
    }

    /// The database's settings that a commit's durability rests on, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn durability(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.sure()?.readers.with(Reader::durability)
    }

    /// The present moment as the ledger has it: the clock's, but never before the newest batch. What stands in rows is
    /// compared with this; only signatures carry the bare clock.
    pub fn now(&self) -> Timestamp {
        self.clock().now().max(Timestamp(self.0.0.last.load(Ordering::SeqCst)))
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.0.clock
    }

    /// The epoch this process owns the ledger by; 0 while it does not.
    pub fn epoch(&self) -> i64 {
        self.0.0.life().map_or(0, |life| life.epoch)
    }

    /// The operator's settings.
    pub fn policy(&self) -> &Policy {
        &self.0.0.policy
    }

    /// The operator's keys.
    pub fn keys(&self) -> &Keys {
        &self.0.0.keys
    }
}

/// Where a ledger is opened anew once it is lost. On files a failed write or sync ends the process instead.
fn reopenable(settings: &Settings) -> Option<Settings> {
    matches!(settings.database, Database::Server(_)).then(|| settings.clone())
}

/// Ends the process: what is on the disk is for the next start to say.
fn stop(error: &dyn std::error::Error, doing: &'static str) -> ! {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let cause = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    tracing::error!(%error, cause, doing, "the engine cannot go on; start again to recover");
    std::process::abort();
}

/// A secret of 32 random bytes, for keys the shell makes.
pub fn random_bytes() -> Secret<[u8; 32]> {
    clock::random_bytes()
}
