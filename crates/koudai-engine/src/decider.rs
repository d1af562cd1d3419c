//! The deciding side: owns the rows, decides what comes in, and hands batches over to the committer.
//!
//! A command that misses rows is parked until they are loaded, on a thread of their own; the others go on. While a batch is
//! being committed the next one is decided on its uncommitted rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Instant;

use koudai_core::planted::{self, Bug};
use koudai_core::rows::Rows;
use koudai_core::state::{Batch, Keys, Policy, State};
use koudai_core::time::{DAY, MINUTE, Timestamp};

use crate::clock::Clock;
use crate::commits::{Progress, Work};
use crate::job::{Job, Jobs};
use crate::mailbox::{Mailbox, Post, Want};

/// The most commands of one transaction: past it a batch only takes longer.
const BATCH: usize = 4_096;
/// Commands that may wait for rows, or with them for their turn, before no more are taken in.
const PARKED: usize = 2 * BATCH;
/// Commands between two looks at how much memory the rows take: each look walks over some of them.
const LOOK_EVERY: usize = 1_024;
/// How often a command may ask for more rows. Each round loads something, and a decision needs a handful.
const ROUNDS: u32 = 64;
/// How far the wall clock may stand behind the newest commit before somebody should look.
const JUMP_MS: i64 = MINUTE;
/// How far it may leap ahead of this process's own measure of time and still be followed: a machine may have slept over
/// the week-end. A clock set years ahead would stay in the ledger for years.
const LEAP_MS: i64 = 7 * DAY;

/// A command that waits for rows.
struct Parked {
    job: Box<dyn Job>,
    rounds: u32,
}

/// The committing or the loading side has ended.
pub(crate) struct Alone;

/// Owns the rows and decides.
pub(crate) struct Decider {
    pub(crate) state: State,
    pub(crate) epoch: i64,
    pub(crate) mailbox: Arc<Mailbox<Box<dyn Job>, Box<Rows>>>,
    pub(crate) loads: Sender<Box<Rows>>,
    pub(crate) works: SyncSender<Work>,
    pub(crate) progress: Arc<Progress>,
    /// The time of the newest batch, in milliseconds since 1970.
    pub(crate) last: Arc<AtomicI64>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Clock,
    /// Rows in memory take about this much, in bytes.
    pub(crate) cache_bytes: usize,
    pub(crate) run: Run,
}

/// What a run of the decider keeps. A run ends when one of its batches is not committed.
pub(crate) struct Run {
    /// Counts the runs.
    generation: u64,
    /// The batch being decided: commands with their outcome.
    batch: Jobs,
    /// Commands whose rows are to be loaded next.
    parked: Vec<Parked>,
    /// Commands whose rows are being loaded.
    loading_for: Vec<Parked>,
    /// Commands whose rows have been loaded.
    ready: Vec<Parked>,
    /// Rows are being loaded. What the database had when that began, as the number of a batch; and whether they are still
    /// of use.
    loading: Option<(u64, bool)>,
    /// Where rows are loaded next. A cache for every table is large, and goes from thread to thread as it lies.
    loading_rows: Option<Box<Rows>>,
    /// Commands since memory was last looked at.
    since_look: usize,
    /// When the clock was last looked at.
    looked: Instant,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            generation: 0,
            batch: vec![],
            parked: vec![],
            loading_for: vec![],
            ready: vec![],
            loading: None,
            loading_rows: None,
            since_look: 0,
            looked: Instant::now(),
        }
    }
}

impl Decider {
    pub(crate) fn work(mut self) {
        while let Some(post) = self.mailbox.next(self.want()) {
            if self.turn(post).is_err() {
                break;
            }
        }
        self.give_up();
    }

    /// Does what can be done with what has come. An error if nobody commits or loads any more.
    pub(crate) fn turn(&mut self, post: Post<Box<dyn Job>, Box<Rows>>) -> Result<(), Alone> {
        if self.progress.has_failed(self.run.generation) && !planted::is(Bug::PredecessorUnchecked) {
            self.forget();
        }
        if let Some(mut rows) = post.loaded {
            if let Some((_, true)) = self.run.loading.take() {
                self.state.rows.absorb(&mut rows);
                self.run.loading_rows = Some(rows);
            }
            let loaded_for = std::mem::take(&mut self.run.loading_for);
            self.run.ready.extend(loaded_for);
        }
        // What is new mostly misses rows and is parked at once, so that its rows are loaded while the commands whose rows
        // have come are decided.
        self.decide(post.commands.into_iter().map(|job| Parked { job, rounds: 0 }).collect());
        self.load()?;
        let room = self.room().min(self.run.ready.len());
        let ready = self.run.ready.drain(..room).collect();
        self.decide(ready);
        self.load()?;
        if post.free { self.hand_over() } else { Ok(()) }
    }

    /// Ends the work. None of what is left here was ever handed over to be committed.
    pub(crate) fn give_up(self) {
        let run = self.run;
        let parked = run.parked.into_iter().chain(run.loading_for).chain(run.ready).map(|parked| parked.job);
        run.batch.into_iter().chain(parked).chain(self.mailbox.close()).for_each(Job::give_up);
    }

    /// How many commands the batch still takes.
    fn room(&self) -> usize {
        BATCH.saturating_sub(self.run.batch.len())
    }

    /// What can be used now.
    pub(crate) fn want(&self) -> Want {
        let run = &self.run;
        let waiting = run.parked.len() + run.loading_for.len() + run.ready.len();
        Want {
            room: self.room().min(PARKED.saturating_sub(waiting)),
            free: !run.batch.is_empty(),
            ready: !run.ready.is_empty() && self.room() > 0,
            unfinished: run.loading.is_some() || !run.ready.is_empty(),
        }
    }

    /// The time of the next decisions: the clock's, but never back, and never further ahead than a suspended machine may
    /// be.
    fn advance(&mut self) -> Timestamp {
        let (wall, last) = (self.clock.now(), Timestamp(self.last.load(Ordering::SeqCst)));
        let run = &mut self.run;
        let passed = i64::try_from(run.looked.elapsed().as_millis()).unwrap_or(i64::MAX);
        run.looked = Instant::now();
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

    /// Decides commands; those that miss rows are parked.
    fn decide(&mut self, open: Vec<Parked>) {
        if open.is_empty() {
            return;
        }
        let batch = Batch {
            now: self.advance(),
            entropy: self.clock.entropy(),
            keys: &self.keys,
            policy: &self.policy,
            epoch: self.epoch,
        };
        let run = &mut self.run;
        for mut parked in open {
            if parked.job.decide(&mut self.state, &batch) {
                if planted::is(Bug::RefusalBeforeCommit) && parked.job.is_refused() {
                    parked.job.answer();
                    continue;
                }
                run.batch.push(parked.job);
            } else if parked.rounds == ROUNDS {
                // It left nothing behind. It is a bug of ours, and no reason to stop the others.
                tracing::error!("a decision keeps asking for rows; it is given up");
                parked.job.give_up();
            } else {
                parked.rounds += 1;
                run.parked.push(parked);
            }
        }
    }

    /// Has the rows loaded that parked commands miss, unless others are on their way.
    fn load(&mut self) -> Result<(), Alone> {
        if self.run.parked.is_empty() || self.run.loading.is_some() {
            return Ok(());
        }
        let mut rows = self.run.loading_rows.take().unwrap_or_default();
        // A command that misses nothing any more, because another's rows were the same, is decided in the same way: what is
        // loaded then is nothing.
        self.state.rows.hand_wanted(&mut rows);
        self.run.loading = Some((self.progress.committed(), true));
        self.run.loading_for = std::mem::take(&mut self.run.parked);
        self.loads.send(rows).map_err(|_| Alone)
    }

    /// Ends the batch and gives it to the committer, who is free.
    fn hand_over(&mut self) -> Result<(), Alone> {
        // A batch of refusals and repeats changes nothing. It still waits its turn: what it read may not be committed yet.
        let changed = self.state.is_changed();
        let decided = self.state.close();
        let run = &mut self.run;
        let (generation, jobs) = (run.generation, std::mem::take(&mut run.batch));
        // While rows are being loaded, none that changed since then may go: the older one would take its place.
        let began = run.loading.filter(|_| !planted::is(Bug::LoadOvertaken));
        let mut committed = began.map_or_else(|| self.progress.committed(), |(began, _)| began);
        if planted::is(Bug::EvictedUncommitted) {
            committed = u64::MAX;
        }
        run.since_look += jobs.len();
        // A small memory is looked at more often: a command brings in a few KiB.
        let look = run.since_look >= LOOK_EVERY.min(self.cache_bytes / 4_096);
        if look {
            run.since_look = 0;
        }
        let work = Work { generation, changed, decided, jobs };
        if let Err(unsent) = self.works.send(work) {
            unsent.0.jobs.into_iter().for_each(Job::give_up);
            return Err(Alone);
        }
        if look {
            self.state.bound(self.cache_bytes, committed);
        }
        Ok(())
    }

    /// Drops what was decided and not committed, and goes on from what is.
    fn forget(&mut self) {
        let run = &mut self.run;
        run.generation += 1;
        if let Some((_, useful)) = &mut run.loading {
            *useful = false;
        }
        std::mem::take(&mut run.batch).into_iter().for_each(Job::give_up);
        self.state = State::new(self.progress.restart(), self.state.ids_at().plus(1));
    }
}
