//! A committer that does what a server on a bad day does: commits and does not say so, says so and commits later, gives up
//! for want of room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use koudai_store::error::DatabaseError;
use koudai_store::{Commit, CommitError, Committer, StoreError};

/// What a commit does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing is done, for certain: there is no room.
    Full,
    /// Nothing is done, and nobody knows.
    UnknownNotDone,
    /// It is done, and nobody knows.
    UnknownDone,
    /// Nobody knows, and it may be done later: it is still on its way.
    UnknownLate,
}

/// A commit that is on its way to the database while its sender has given it up.
pub(super) struct Late {
    by: Arc<Mutex<Box<dyn Committer>>>,
    commit: Commit,
}

impl Late {
    /// It arrives. Whether the database takes it.
    pub(super) fn arrive(self) -> bool {
        lock(&self.by).commit(&self.commit).is_ok()
    }
}

/// What is to go wrong, and what is on its way.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) next: Option<Lie>,
    pub(super) late: Option<Late>,
    /// A commit has lied: the ledger is lost, and the process is not.
    pub(super) lied: bool,
}

/// The plan, which the simulation and the committer share.
pub(super) type Shared = Arc<Mutex<Plan>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A committer with a plan.
pub(super) struct Faulty {
    inner: Arc<Mutex<Box<dyn Committer>>>,
    plan: Shared,
}

impl Faulty {
    pub(super) fn new(inner: Box<dyn Committer>, plan: Shared) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), plan }
    }
}

impl Committer for Faulty {
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let lie = lock(&self.plan).next.take();
        let unknown = || {
            lock(&self.plan).lied = true;
            Err(CommitError::Unknown(StoreError::Warned { doing: "committing a batch" }))
        };
        match lie {
            None => {
                let done = lock(&self.inner).commit(commit);
                // A stale owner is told so, and goes on in the same process.
                if let Err(CommitError::NotCommitted(error)) = &done
                    && !error.is_passing()
                {
                    lock(&self.plan).lied = true;
                }
                done
            }
            Some(Lie::Full) => {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
                let source = DatabaseError::Sqlite(rusqlite::Error::SqliteFailure(code, None));
                Err(CommitError::NotCommitted(StoreError::Database { doing: "committing a batch", source }))
            }
            Some(Lie::UnknownNotDone) => unknown(),
            Some(Lie::UnknownDone) => {
                lock(&self.inner).commit(commit)?;
                unknown()
            }
            Some(Lie::UnknownLate) => {
                let late = Late { by: Arc::clone(&self.inner), commit: commit.clone() };
                lock(&self.plan).late = Some(late);
                unknown()
            }
        }
    }
}
