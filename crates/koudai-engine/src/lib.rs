//! Group commit: commands come in from everywhere, are decided in batches, and every reply waits for its commit.
//!
//! One thread owns the rows and the writing connection. It takes whatever has queued, decides it, commits it in one
//! durable transaction and only then answers; waiting to fill a batch would gain nothing.
//!
//! What it must never do: answer before the commit, decide anything itself, or go on after a commit whose outcome it
//! does not know.

mod clock;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Instant;

use koudai_core::secret::Secret;
use koudai_core::state::{Batch, Command, Event, Keys, Policy, State, Stop};
use koudai_core::time::{DAY, MINUTE, Timestamp};
use koudai_store::sqlite::writer::CommitError;
use koudai_store::{Opened, Reader, Readers, StoreError, Writer};
use tokio::sync::{broadcast, oneshot};

pub use clock::Clock;

/// The most commands of one transaction: past it a batch only takes longer.
const BATCH: usize = 4_096;
/// Commands that may wait. Past it the caller is told to come back: a bounded queue is what keeps answers quick.
const QUEUE: usize = 65_536;
/// Events a slow listener may lag behind before it has to look at the database instead.
const EVENTS: usize = 65_536;
/// How far the wall clock may stand behind the newest commit before somebody should look.
const JUMP_MS: i64 = MINUTE;
/// How far it may leap ahead of this process's own measure of time and still be followed: a machine may have slept over
/// the week-end. A clock set years ahead would stay in the ledger for years.
const LEAP_MS: i64 = 7 * DAY;

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

/// A handle to the engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    queue: SyncSender<Box<dyn Job>>,
    events: broadcast::Sender<Event>,
    readers: Readers,
    clock: Clock,
    last: Arc<AtomicI64>,
    epoch: i64,
    policy: Arc<Policy>,
    keys: Arc<Keys>,
}

impl Engine {
    /// Opens a data directory, becomes its owner and starts the engine's thread. The thread ends, and frees the
    /// directory, once every handle is gone.
    ///
    /// # Errors
    /// What the store says, `Taken` by another process above all.
    pub fn start(directory: &Path, keys: Keys, policy: Policy, clock: Clock) -> Result<Self, StoreError> {
        let opened = Writer::open(directory, clock.now())?;
        let epoch = opened.writer.epoch();
        let (queue, jobs) = sync_channel(QUEUE);
        let (events, _) = broadcast::channel(EVENTS);
        let (policy, keys) = (Arc::new(policy), Arc::new(keys));
        let last = Arc::new(AtomicI64::new(opened.last_at.0));
        let worker = Worker {
            last: Arc::clone(&last),
            looked: Instant::now(),
            opened,
            jobs,
            events: events.clone(),
            keys: Arc::clone(&keys),
            policy: Arc::clone(&policy),
            clock: clock.clone(),
        };
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let _guard = EndWithThePanic;
                worker.run();
            })
            .map_err(|source| StoreError::File { doing: "starting the engine's thread", source })?;
        Ok(Self { queue, events, readers: Readers::new(directory), clock, last, epoch, policy, keys })
    }

    /// Decides and commits a command.
    ///
    /// # Errors
    /// Its refusal, or why there is no reply.
    pub async fn submit<C: Command>(&self, command: C) -> Result<C::Reply, Failed<C::Refusal>> {
        let (sender, reply) = oneshot::channel();
        let job = Box::new(Pending { command, outcome: None, sender });
        match self.queue.try_send(job) {
            Ok(()) => reply.await.unwrap_or(Err(Failed::Stopped)),
            Err(TrySendError::Full(_)) => Err(Failed::Busy),
            Err(TrySendError::Disconnected(_)) => Err(Failed::Stopped),
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
        let readers = self.readers.clone();
        let task = tokio::task::spawn_blocking(move || readers.with(work)).await;
        task.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// What is committed from now on, as it is committed. A listener that lags must look at the database.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
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

struct Worker {
    opened: Opened,
    /// The time of the newest batch, in milliseconds since 1970.
    last: Arc<AtomicI64>,
    /// When the clock was last looked at.
    looked: Instant,
    jobs: Receiver<Box<dyn Job>>,
    events: broadcast::Sender<Event>,
    keys: Arc<Keys>,
    policy: Arc<Policy>,
    clock: Clock,
}

impl Worker {
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            let mut jobs = vec![first];
            while jobs.len() < BATCH {
                match self.jobs.try_recv() {
                    Ok(job) => jobs.push(job),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.batch(jobs);
        }
    }

    /// The time of the next batch: the clock's, but never back, and never further ahead than a suspended machine may be.
    fn advance(&mut self) -> Timestamp {
        let (wall, last) = (self.clock.now(), Timestamp(self.last.load(Ordering::SeqCst)));
        let passed = i64::try_from(self.looked.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.looked = Instant::now();
        let ahead = wall.since(last).saturating_sub(passed);
        if ahead < -JUMP_MS {
            tracing::error!(behind_ms = -ahead, "the clock stands before the newest commit");
        }
        let now = if ahead > LEAP_MS && self.clock.is_wall() && last.0 > 0 {
            tracing::error!(
                ahead_ms = ahead,
                "the clock leapt ahead and is not followed: set it right, or start again"
            );
            last.plus(passed)
        } else {
            last.max(wall)
        };
        self.last.store(now.0, Ordering::SeqCst);
        now
    }

    /// Decides and commits one batch, then answers it.
    fn batch(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let now = self.advance();
        let batch = Batch {
            now,
            entropy: self.clock.entropy(),
            keys: &self.keys,
            policy: &self.policy,
            epoch: self.opened.writer.epoch(),
        };
        if let Err(error) = decide_all(&mut self.opened, &mut jobs, &batch) {
            stop(&error, "loading rows");
        }
        // A batch of refusals and repeats changes nothing, and what it read is committed already.
        let committed = if self.opened.state.is_changed() {
            self.opened.writer.commit(&mut self.opened.state)
        } else {
            Ok(())
        };
        match committed {
            Ok(()) => {}
            Err(CommitError::NotCommitted(error)) if error.is_passing() => {
                tracing::error!(%error, "nothing of this batch was done, and its senders are told to come back");
                self.forget();
                jobs.into_iter().for_each(Job::give_up);
                return;
            }
            // On a failed write or sync only the next start, which reads the log anew, knows what is on the disk.
            Err(error) => stop(&error, "committing"),
        }
        let events = std::mem::take(&mut self.opened.state.events);
        jobs.into_iter().for_each(Job::answer);
        for event in events {
            let _nobody_listens = self.events.send(event);
        }
    }

    /// Drops what was decided and not committed.
    fn forget(&mut self) {
        let (head, ids_at) = (self.opened.writer.seal().last, self.opened.state.ids_at());
        self.opened.state = State::new(head, ids_at.plus(1));
    }
}

/// Decides every job, loading what they miss between rounds. Each round loads something, and a decision needs a handful of
/// rows, so the rounds are few.
fn decide_all(opened: &mut Opened, jobs: &mut [Box<dyn Job>], batch: &Batch<'_>) -> Result<(), StoreError> {
    const ROUNDS: u32 = 64;
    let mut open: Vec<&mut Box<dyn Job>> = jobs.iter_mut().collect();
    for _ in 0..ROUNDS {
        open.retain_mut(|job| !job.decide(&mut opened.state, batch));
        if open.is_empty() {
            return Ok(());
        }
        opened.writer.load(&mut opened.state)?;
    }
    // Each of these left nothing behind. It is a bug of ours, and no reason to stop the others.
    tracing::error!(commands = open.len(), "decisions keep asking for rows; they are given up");
    Ok(())
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
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, doing, "the engine cannot go on; start again to recover");
    std::process::abort();
}

/// A secret of 32 random bytes, for keys the shell makes.
pub fn random_bytes() -> Secret<[u8; 32]> {
    clock::random_bytes()
}
