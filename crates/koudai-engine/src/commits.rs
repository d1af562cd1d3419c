//! The committing side: one batch after the other, in the order they were decided, answered once it is on the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use koudai_core::ledger::Seal;
use koudai_core::state::Event;
use koudai_store::{Commit, CommitError, Committer};
use tokio::sync::broadcast;

use crate::queue::Queue;
use crate::{Job, stop};

/// A batch that was decided.
pub(crate) struct Work {
    /// Which run of the decider it comes from; a run ends when one of its batches is not committed.
    pub(crate) generation: u64,
    /// Its number in its run.
    pub(crate) batch: u64,
    /// What is to be committed; nothing if it changed nothing.
    pub(crate) commit: Option<Commit>,
    /// Whom to answer.
    pub(crate) jobs: Vec<Box<dyn Job>>,
    /// What to say when it is committed.
    pub(crate) events: Vec<Event>,
}

/// How far the committer has come, for the decider to look at.
#[derive(Debug)]
pub(crate) struct Progress {
    committed: AtomicU64,
    /// One more than the last run that failed.
    failed: AtomicU64,
    seal: Mutex<Seal>,
}

impl Progress {
    pub(crate) fn new(seal: Seal) -> Self {
        Self { committed: AtomicU64::new(0), failed: AtomicU64::new(0), seal: Mutex::new(seal) }
    }

    /// The newest batch of the present run that the database has.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Whether a run has failed: what was decided in it is not to be built upon.
    pub(crate) fn has_failed(&self, generation: u64) -> bool {
        self.failed.load(Ordering::Acquire) > generation
    }

    /// Begins a run anew, on the newest seal that is committed.
    pub(crate) fn restart(&self) -> Seal {
        self.committed.store(0, Ordering::Release);
        self.seal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Owns the writing connection.
pub(crate) struct Commits {
    committer: Box<dyn Committer>,
    works: Receiver<Work>,
    events: broadcast::Sender<Event>,
    progress: Arc<Progress>,
    queue: Arc<Queue<Box<dyn Job>>>,
}

impl Commits {
    pub(crate) fn new(
        committer: Box<dyn Committer>,
        works: Receiver<Work>,
        events: broadcast::Sender<Event>,
        progress: Arc<Progress>,
        queue: Arc<Queue<Box<dyn Job>>>,
    ) -> Self {
        Self { committer, works, events, progress, queue }
    }

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
        if let Some(commit) = &work.commit {
            match self.committer.commit(commit) {
                Ok(()) => {
                    let mut seal = self.progress.seal.lock().unwrap_or_else(PoisonError::into_inner);
                    seal.clone_from(&commit.seal);
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
        self.progress.committed.store(work.batch, Ordering::Release);
        work.jobs.into_iter().for_each(Job::answer);
        for event in work.events {
            let _nobody_listens = self.events.send(event);
        }
    }
}
