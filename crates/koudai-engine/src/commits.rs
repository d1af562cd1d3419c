//! The committing side: one batch after the other, in the order they were decided, answered once it is on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use koudai_core::id::Seq;
use koudai_core::ledger::Seal;
use koudai_core::state::{Decided, Event};
use koudai_store::{Commit, CommitError, Committer};
use tokio::sync::broadcast;

use crate::queue::Queue;
use crate::{Job, stop};

/// A batch that was decided.
pub(crate) struct Work {
    /// Which run of the decider it comes from; a run ends when one of its batches is not committed.
    pub(crate) generation: u64,
    /// Whether there is anything to commit.
    pub(crate) changed: bool,
    /// What was decided.
    pub(crate) decided: Decided,
    /// Whom to answer.
    pub(crate) jobs: Vec<Box<dyn Job>>,
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

/// Owns the writing connection and the chain of seals.
pub(crate) struct Commits {
    pub(crate) committer: Box<dyn Committer>,
    /// The newest seal that is committed.
    pub(crate) seal: Seal,
    pub(crate) epoch: i64,
    pub(crate) works: Receiver<Work>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) queue: Arc<Queue<Box<dyn Job>>>,
}

impl Commits {
    pub(crate) fn run(mut self) {
        while let Ok(work) = self.works.recv() {
            self.take(work);
            self.queue.set_free();
        }
    }

    fn take(&mut self, work: Work) {
        if self.progress.has_failed(work.generation) {
            // It was decided on rows that were never committed.
            return work.jobs.into_iter().for_each(Job::give_up);
        }
        let mut decided = work.decided;
        let (batch, events) = (decided.batch, std::mem::take(&mut decided.events));
        if work.changed {
            let commit = Commit::after(&self.seal, self.epoch, decided);
            match self.committer.commit(&commit) {
                Ok(()) => {
                    self.progress.head.store(commit.seal.last.0, Ordering::Release);
                    self.seal = commit.seal;
                }
                Err(CommitError::NotCommitted(error)) if error.is_passing() => {
                    tracing::error!(%error, "nothing of this batch was done, and its senders are told to come back");
                    self.progress.failed.store(work.generation + 1, Ordering::Release);
                    return work.jobs.into_iter().for_each(Job::give_up);
                }
                // On a failed write or sync only the next start, which reads the log anew, knows what is on the disk.
                Err(error) => stop(&error, "committing"),
            }
        }
        self.progress.committed.store(batch, Ordering::Release);
        work.jobs.into_iter().for_each(Job::answer);
        for event in events {
            let _nobody_listens = self.events.send(event);
        }
    }
}
