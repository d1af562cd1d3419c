//! The small interface between the engine and a database: load rows, commit a batch.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use koudai_core::cache::TableChanges;
use koudai_core::id::Seq;
use koudai_core::ledger::{Journal, Seal, merkle_root};
use koudai_core::planted::{self, Bug};
use koudai_core::rows::Rows;
use koudai_core::state::Decided;
use koudai_core::time::Timestamp;

use crate::error::StoreError;
use crate::reader::Readers;
use crate::recent::Recent;

/// Everything one transaction writes.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The seal, which says who commits and what comes before.
    pub seal: Seal,
    /// The journals, in order of their numbers.
    pub journals: Vec<Journal>,
    /// Their canonical bytes, in the same order.
    pub bodies: Vec<Vec<u8>>,
    /// What changed at its source.
    pub changes: Vec<TableChanges>,
    /// The moment the newest id carries.
    pub ids_at: Timestamp,
}

impl Commit {
    /// Seals what was decided, as the commit after `before`.
    pub fn after(before: &Seal, epoch: i64, mut decided: Decided) -> Self {
        if planted::is(Bug::BatchTwice) {
            decided.journals.extend(decided.journals.last().map(once_more));
        }
        let bodies: Vec<Vec<u8>> = decided.journals.iter().map(Journal::encode).collect();
        let first = Seq(before.last.0 + 1);
        for (seq, journal) in (first.0..).zip(&decided.journals) {
            assert_eq!(journal.seq.0, seq, "journals are numbered without gaps");
        }
        let seal = Seal {
            no: before.no + 1,
            previous: before.hash(),
            epoch,
            first,
            last: decided.journals.last().map_or(before.last, |j| j.seq),
            root: merkle_root(&bodies),
        };
        let (journals, changes, ids_at) = (decided.journals, decided.changes, decided.ids_at);
        Self { seal, journals, bodies, changes, ids_at }
    }
}

/// A journal done again, as the bug would that a check is to find.
fn once_more(journal: &Journal) -> Journal {
    let mut again = journal.clone();
    again.seq = Seq(journal.seq.0 + 1);
    for line in &mut again.lines {
        line.previous = journal.seq;
        line.number += 1;
        for posting in &journal.postings {
            let of = |side| if side == line.account { posting.amount.minor() } else { 0 };
            line.debits_minor += of(posting.debit);
            line.credits_minor += of(posting.credit);
        }
    }
    again
}

/// Loads rows for decisions, on a connection of its own, beside a commit that may be under way.
pub trait Loader: Send {
    /// Loads every row that is wanted; they arrive where `Rows::absorb` takes them from. A balance comes from the newest journals if they have it.
    ///
    /// # Errors
    /// What the database says; `Corrupt` for a row it should not hold.
    fn load(&mut self, rows: &mut Rows) -> Result<(), StoreError>;
}

/// Takes the wanted balances that the newest journals have. The others stay wanted, and are in their table.
pub(crate) fn load_recent(recent: &Recent, rows: &mut Rows) {
    for account in rows.balance.take_wanted() {
        match recent.balance(account) {
            Some(balance) => rows.balance.arrived(account, Some(balance)),
            None => {
                let _still_wanted = rows.balance.get(&account);
            }
        }
    }
}

/// Commits batches, one after the other.
pub trait Committer: Send {
    /// Commits a batch in one durable transaction, together with a share of what is written behind. Once this returns,
    /// readers see it.
    ///
    /// # Errors
    /// What the database says.
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError>;

    /// Shows whoever waits for the ledger that its owner, of this epoch, is alive; nothing where ownership is a lock.
    ///
    /// # Errors
    /// What the database says; an error too if the ledger has another owner by now.
    fn beat(&mut self, _epoch: i64) -> Result<(), CommitError> {
        Ok(())
    }
}

/// A database that was opened: its two connections, and where its ledger stands.
pub struct Opened {
    /// For decisions.
    pub loader: Box<dyn Loader>,
    /// For batches.
    pub committer: Box<dyn Committer>,
    /// For pages and the courier.
    pub readers: Readers,
    /// What is committed and not yet written behind.
    pub recent: Arc<Recent>,
    /// The epoch of this owner.
    pub epoch: i64,
    /// What makes this owner sure that it is the owner still.
    pub hold: Hold,
    /// The newest seal.
    pub seal: Seal,
    /// The time of the newest commit, or 0: of its journals and of the ids it gave out.
    pub last_at: Timestamp,
}

/// What an owner rests on when it answers without a commit, which would tell.
#[derive(Clone, Debug)]
pub enum Hold {
    /// A lock, for as long as the process lives.
    Lock,
    /// A lease: nobody else has become the owner within this time after a commit or a beat was asked for that was done, unless
    /// the session was lost meanwhile.
    Lease {
        /// How long.
        sure_for: Duration,
        /// Whether the owner's session was lost.
        lost: Arc<AtomicBool>,
    },
}

impl Opened {
    /// The number of the newest journal.
    pub const fn head(&self) -> Seq {
        self.seal.last
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("epoch", &self.epoch).field("seal", &self.seal).finish_non_exhaustive()
    }
}

/// How a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// For certain nothing was stored.
    #[error("the batch was not committed")]
    NotCommitted(#[source] StoreError),
    /// Whether it was stored is not known: whoever owns the ledger next finds out.
    #[error("whether the batch was committed is not known")]
    Unknown(#[source] StoreError),
}
