//! The committing side: one batch after the other, in the order they were decided, answered once it is on the disk.
//!
//! It ends when nobody hands batches over any more, or when the ledger is lost: to another owner, or because the way to the
//! server is. What became of a batch on its way then is found out by whoever owns the ledger next (`owner.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use koudai_core::id::Seq;
use koudai_core::ledger::Seal;
use koudai_core::planted::{self, Bug};
use koudai_core::rows::Rows;
use koudai_core::state::{Decided, Event};
use koudai_store::{Commit, CommitError, Committer, Reader, StoreError};
use tokio::sync::broadcast;

use crate::job::{Job, Jobs};
use crate::lease::{Lease, uptime_ms};
use crate::mailbox::Mailbox;
use crate::stop;

/// How often the owner shows that it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// A batch that was decided.
pub(crate) struct Work {
    /// Which run of the decider it comes from; a run ends when one of its batches is not committed.
    pub(crate) generation: u64,
    /// Whether there is anything to commit.
    pub(crate) changed: bool,
    /// What was decided.
    pub(crate) decided: Decided,
    /// Whom to answer.
    pub(crate) jobs: Jobs,
}

/// How far the committer has come, for the decider to look at.
#[derive(Debug)]
pub(crate) struct Progress {
    committed: AtomicU64,
    /// One more than the last run that failed.
    failed: AtomicU64,
    head: AtomicI64,
}

impl Progress {
    pub(crate) const fn new(head: Seq) -> Self {
        Self { committed: AtomicU64::new(0), failed: AtomicU64::new(0), head: AtomicI64::new(head.0) }
    }

    /// The newest batch of the present run that the database has.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Whether a run has failed: what was decided in it is not to be built upon.
    pub(crate) fn has_failed(&self, generation: u64) -> bool {
        self.failed.load(Ordering::Acquire) > generation
    }

    /// Begins a run anew, on the newest journal that is committed.
    pub(crate) fn restart(&self) -> Seq {
        self.committed.store(0, Ordering::Release);
        Seq(self.head.load(Ordering::Acquire))
    }
}

/// A batch of which it is not known whether it was committed.
pub(crate) struct Doubt {
    /// Who would have committed it.
    pub(crate) epoch: i64,
    /// The number and the hash of its seal: it is committed if the ledger has both.
    pub(crate) seal: (i64, [u8; 32]),
    /// Whom to answer.
    pub(crate) jobs: Jobs,
    /// What to announce.
    pub(crate) events: Vec<Event>,
}

/// Answers the senders of a batch in doubt, now that the ledger can tell: whoever would have committed it is fenced off.
///
/// # Errors
/// What the database says; the doubt stays then.
pub(crate) fn settle(
    doubt: &mut Option<Doubt>,
    reader: &Reader,
    events: &broadcast::Sender<Event>,
) -> Result<(), StoreError> {
    let Some(Doubt { seal, .. }) = doubt else { return Ok(()) };
    let found = has_seal(reader, *seal)?;
    let committed = (found || planted::is(Bug::UnknownAsDone)) && !planted::is(Bug::UnknownAsFailed);
    let Some(doubt) = doubt.take() else { return Ok(()) };
    tracing::warn!(seal = doubt.seal.0, committed, "the batch in doubt was looked up");
    if !committed {
        doubt.jobs.into_iter().for_each(Job::give_up);
        return Ok(());
    }
    tell(doubt.jobs, doubt.events, events);
    Ok(())
}

/// Answers the senders of a batch that is committed, and announces it.
fn tell(jobs: Jobs, events: Vec<Event>, listeners: &broadcast::Sender<Event>) {
    jobs.into_iter().for_each(Job::answer);
    for event in events {
        let _nobody_listens = listeners.send(event);
    }
}

/// Whether the ledger has a seal of this number and hash.
pub(crate) fn has_seal(reader: &Reader, (no, hash): (i64, [u8; 32])) -> Result<bool, StoreError> {
    Ok(reader.seals_after(no - 1, 1)?.first().is_some_and(|(seal, stored)| seal.no == no && *stored == hash))
}

/// How the committing side ended.
pub(crate) struct Ended {
    /// The newest seal that is known to be committed.
    pub(crate) seal: Seal,
    /// What is not known.
    pub(crate) doubt: Option<Doubt>,
    /// Whether the ledger was lost. If not, all was done.
    pub(crate) lost: bool,
}

/// The ledger is lost, perhaps with a batch in doubt.
pub(crate) struct Lost(pub(crate) Option<Doubt>);

/// Owns the writing connection and the chain of seals.
pub(crate) struct Commits {
    pub(crate) committer: Box<dyn Committer>,
    /// The newest seal that is committed.
    pub(crate) seal: Seal,
    pub(crate) epoch: i64,
    pub(crate) lease: Arc<Lease>,
    pub(crate) works: Receiver<Work>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) mailbox: Arc<Mailbox<Box<dyn Job>, Box<Rows>>>,
    /// Whether the ledger can be opened anew in this process after such an error.
    pub(crate) survives: fn(&StoreError) -> bool,
}

impl Commits {
    pub(crate) fn run(mut self) -> Ended {
        let lost = self.work().err();
        self.mailbox.end();
        let is_lost = lost.is_some();
        Ended { seal: self.seal, doubt: lost.and_then(|lost| lost.0), lost: is_lost }
    }

    fn work(&mut self) -> Result<(), Lost> {
        let mut beaten = Instant::now();
        loop {
            match self.works.recv_timeout(BEAT) {
                Ok(work) => {
                    self.take(work)?;
                    self.mailbox.set_free();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if beaten.elapsed() >= BEAT {
                self.beat()?;
                beaten = Instant::now();
            }
        }
    }

    fn beat(&mut self) -> Result<(), Lost> {
        let asked = uptime_ms();
        match self.committer.beat(self.epoch) {
            Ok(()) => self.lease.confirm(asked),
            // There is nothing in a beat to be in doubt about.
            Err(CommitError::NotCommitted(error) | CommitError::Unknown(error)) => {
                self.lose(&error, "showing that the owner is alive");
                return Err(Lost(None));
            }
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, mut work: Work) -> Result<(), Lost> {
        if self.progress.has_failed(work.generation) && !planted::is(Bug::PredecessorUnchecked) {
            // It was decided on rows that were never committed.
            work.jobs.into_iter().for_each(Job::give_up);
            return Ok(());
        }
        let mut decided = work.decided;
        let (batch, events) = (decided.batch, std::mem::take(&mut decided.events));
        if work.changed {
            let commit = Commit::after(&self.seal, self.epoch, decided);
            let asked = uptime_ms();
            if planted::is(Bug::ReplyBeforeCommit) {
                std::mem::take(&mut work.jobs).into_iter().for_each(Job::answer);
            }
            let committed = self.committer.commit(&commit);
            let warned = matches!(committed, Err(CommitError::Unknown(StoreError::Warned { .. })));
            let committed = if warned && planted::is(Bug::WarningAsDone) { Ok(()) } else { committed };
            match committed {
                Ok(()) => {
                    self.lease.confirm(asked);
                    self.progress.head.store(commit.seal.last.0, Ordering::Release);
                    self.seal = commit.seal;
                }
                Err(CommitError::NotCommitted(error)) if error.is_passing() => {
                    tracing::error!(%error, "nothing of this batch was done, and its senders are told to come back");
                    self.progress.failed.store(work.generation + 1, Ordering::Release);
                    work.jobs.into_iter().for_each(Job::give_up);
                    return Ok(());
                }
                Err(CommitError::NotCommitted(error)) => {
                    self.lose(&error, "committing");
                    work.jobs.into_iter().for_each(Job::give_up);
                    return Err(Lost(None));
                }
                Err(CommitError::Unknown(error)) => {
                    self.lose(&error, "committing");
                    let seal = (commit.seal.no, commit.seal.hash());
                    return Err(Lost(Some(Doubt { epoch: self.epoch, seal, jobs: work.jobs, events })));
                }
            }
        } else if !self.lease.is_sure()
            && let Err(lost) = self.beat()
        {
            // Another owner may have changed what this was decided on.
            work.jobs.into_iter().for_each(Job::give_up);
            return Err(lost);
        }
        self.progress.committed.store(batch, Ordering::Release);
        tell(work.jobs, events, &self.events);
        Ok(())
    }

    /// Ends the process unless the ledger can be opened anew. On a failed write or sync of a file only the next start, which
    /// reads the log anew, knows what is on the disk.
    fn lose(&self, error: &StoreError, doing: &'static str) {
        if !(self.survives)(error) {
            stop(error, doing);
        }
        let error = error as &dyn std::error::Error;
        tracing::error!(error, doing, "the ledger is lost; it is opened anew");
    }
}
