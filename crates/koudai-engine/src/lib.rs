//! Group commit: commands come in from everywhere, are decided in batches, and every reply waits for its commit.
//!
//! Three threads. One owns the rows and decides whatever comes in (`decider.rs`). One owns the writing connection: it
//! commits what was decided in one durable transaction and answers (`commits.rs`). One loads rows that decisions miss.
//! While a batch is being committed the next one is decided on its uncommitted rows; nobody hears of it before both are
//! on the disk.
//!
//! What it must never do: answer before the commit, decide anything itself, or go on after a commit whose outcome it
//! does not know.

mod clock;
mod commits;
mod decider;
mod mailbox;
mod reading;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};

use koudai_core::rows::Rows;
use koudai_core::secret::Secret;
use koudai_core::state::{Batch, Command, Event, Keys, Policy, State, Stop};
use koudai_core::time::Timestamp;
use koudai_store::{Database, Loader, Opened, Reader, Readers, Recent, StoreError, Tuning};
use tokio::sync::{broadcast, oneshot};

pub use clock::Clock;

use commits::{Commits, Progress};
use decider::{Decider, Run};
use mailbox::{Mailbox, Refused};
use reading::Reading;

/// Events a slow listener may lag behind before it has to look at the database instead.
const EVENTS: usize = 65_536;
/// Why a command got no reply.
#[derive(Debug)]
pub enum Failed<R> {
    /// It was refused.
    Refused(R),
    /// There is more work than the engine can take, or no room on the disk. Nothing was done.
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

/// A handle to the engine; cheap to clone.
#[derive(Debug)]
pub struct Engine {
    mailbox: Arc<Mailbox<Box<dyn Job>, Rows>>,
    events: broadcast::Sender<Event>,
    readers: Readers,
    reading: Arc<Reading>,
    recent: Arc<Recent>,
    clock: Clock,
    last: Arc<AtomicI64>,
    epoch: i64,
    policy: Arc<Policy>,
    keys: Arc<Keys>,
}

impl Clone for Engine {
    fn clone(&self) -> Self {
        self.mailbox.add_sender();
        Self {
            mailbox: Arc::clone(&self.mailbox),
            events: self.events.clone(),
            readers: self.readers.clone(),
            reading: Arc::clone(&self.reading),
            recent: Arc::clone(&self.recent),
            clock: self.clock.clone(),
            last: Arc::clone(&self.last),
            epoch: self.epoch,
            policy: Arc::clone(&self.policy),
            keys: Arc::clone(&self.keys),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.mailbox.remove_sender();
    }
}

impl Engine {
    /// Opens a ledger, becomes its owner and starts the engine's threads. They end, and free the ledger, once every handle
    /// is gone.
    ///
    /// # Errors
    /// What the store says, `Taken` by another process above all.
    pub fn start(settings: &Settings, keys: Keys, policy: Policy, clock: Clock) -> Result<Self, StoreError> {
        let opened = settings.database.open(settings.tuning)?;
        Self::on(opened, settings.cache_bytes, keys, policy, clock)
    }

    /// Starts the engine's threads on a ledger that is open, with so many bytes for rows in memory.
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
        let Opened { loader, committer, readers, epoch, seal, last_at, recent } = opened;
        let mailbox = Arc::new(Mailbox::new());
        let (events, _) = broadcast::channel(EVENTS);
        let (policy, keys) = (Arc::new(policy), Arc::new(keys));
        let last = Arc::new(AtomicI64::new(last_at.0));
        let (ids_from, head) = (clock.now().max(last_at.plus(1)), seal.last);
        let progress = Arc::new(Progress::new(head));
        // No batch waits between the two: what comes in while the committer is at work joins the batch being decided.
        let (works, taken) = sync_channel(0);
        let commits = Commits {
            committer,
            seal,
            epoch,
            works: taken,
            events: events.clone(),
            progress: Arc::clone(&progress),
            mailbox: Arc::clone(&mailbox),
        };
        let (loads, wanted) = channel();
        let decider = Decider {
            state: State::new(head, ids_from),
            epoch,
            mailbox: Arc::clone(&mailbox),
            loads,
            works,
            progress,
            last: Arc::clone(&last),
            keys: Arc::clone(&keys),
            policy: Arc::clone(&policy),
            clock: clock.clone(),
            cache_bytes,
            run: Run::new(),
        };
        let brought = Arc::clone(&mailbox);
        spawn("rows", move || load_rows(loader, &wanted, &brought))?;
        spawn("commits", move || commits.run())?;
        spawn("decisions", move || decider.work())?;
        let reading = Arc::default();
        Ok(Self { mailbox, events, readers, reading, recent, clock, last, epoch, policy, keys })
    }

    /// Decides and commits a command.
    ///
    /// # Errors
    /// Its refusal, or why there is no reply.
    pub async fn submit<C: Command>(&self, command: C) -> Result<C::Reply, Failed<C::Refusal>> {
        let (sender, reply) = oneshot::channel();
        let job = Box::new(Pending { command, outcome: None, sender });
        match self.mailbox.send(job) {
            Ok(()) => reply.await.unwrap_or(Err(Failed::Stopped)),
            Err(Refused::Full) => Err(Failed::Busy),
            Err(Refused::Gone) => Err(Failed::Stopped),
        }
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
        self.reading.read(self.readers.clone(), work).await
    }

    /// What is committed from now on, as it is committed. A listener that lags must look at the database.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How many journals lie after the one that balances and histories are written up to.
    pub fn lag(&self) -> i64 {
        let (watermark, head) = self.recent.span();
        head.0 - watermark.0
    }

    /// How large the ledger is, in bytes.
    ///
    /// # Errors
    /// What the database says.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.readers.with(Reader::size)
    }

    /// How many commits the ledger has had.
    ///
    /// # Errors
    /// What the database says.
    pub fn commits(&self) -> Result<u64, StoreError> {
        self.readers.with(Reader::newest_seal)
    }

    /// The database's settings that a commit's durability rests on, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn durability(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.readers.with(Reader::durability)
    }

    /// The present moment as the ledger has it: the clock's, but never before the newest batch. What stands in rows is
    /// compared with this; only signatures carry the bare clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now().max(Timestamp(self.last.load(Ordering::SeqCst)))
    }

    /// The clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The epoch this process owns the ledger by.
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The operator's settings.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The operator's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// Commands with their outcome.
type Jobs = Vec<Box<dyn Job>>;

/// A command that waits for its decision and its commit.
trait Job: Send {
    /// Decides it; false if rows are missing.
    fn decide(&mut self, state: &mut State, batch: &Batch<'_>) -> bool;
    /// Answers it, once its batch is committed; one that was not decided is told that nothing was done.
    fn answer(self: Box<Self>);
    /// Tells its sender that nothing was done.
    fn give_up(self: Box<Self>);
}

struct Pending<C: Command> {
    command: C,
    outcome: Option<Result<C::Reply, C::Refusal>>,
    sender: oneshot::Sender<Result<C::Reply, Failed<C::Refusal>>>,
}

impl<C: Command> Job for Pending<C> {
    fn decide(&mut self, state: &mut State, batch: &Batch<'_>) -> bool {
        self.outcome = match state.decide(batch, &self.command) {
            Ok(reply) => Some(Ok(reply)),
            Err(Stop::Refused(refusal)) => Some(Err(refusal)),
            Err(Stop::Absent) => None,
        };
        self.outcome.is_some()
    }

    fn answer(self: Box<Self>) {
        let Some(outcome) = self.outcome else { return self.give_up() };
        // A sender that has gone away does not need its answer; the work is done all the same.
        let _gone = self.sender.send(outcome.map_err(Failed::Refused));
    }

    fn give_up(self: Box<Self>) {
        let _gone = self.sender.send(Err(Failed::Busy));
    }
}

/// Starts one of the engine's threads.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = EndWithThePanic;
        work();
    });
    started.map(drop).map_err(|source| StoreError::File { doing: "starting the engine's threads", source })
}

/// Loads rows for the decider until it has gone.
fn load_rows(mut loader: Box<dyn Loader>, wanted: &Receiver<Rows>, mailbox: &Mailbox<Box<dyn Job>, Rows>) {
    while let Ok(mut rows) = wanted.recv() {
        if let Err(error) = loader.load(&mut rows) {
            stop(&error, "loading rows");
        }
        mailbox.bring(rows);
    }
}

/// A panic in the engine is a bug of ours met in the middle of a batch. A process that went on without its engine would
/// look alive and answer nobody; ended, it recovers at the next start.
struct EndWithThePanic;

impl Drop for EndWithThePanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
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
