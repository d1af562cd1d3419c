//! What follows from the journals and is not in its tables yet: balances and the index of histories, held in memory.
//!
//! A commit writes journals; how accounts stand after them is kept here and written behind, a few rows with each commit.
//! Two generations take turns: the young one takes what is committed, the old one is frozen and drains in key order, so
//! that a page of the table is written once and no commit pays for a whole flush. When the old one is empty, everything up
//! to its last journal is in the tables: that number is the watermark, and opening replays the journals after it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal};
use koudai_core::planted::{self, Bug};
use koudai_core::rows::Balance;

/// Journals a generation takes before it is frozen. The tables lag by two generations at most.
pub const GENERATION: i64 = 150_000;

/// What is committed and not yet written behind.
#[derive(Debug)]
pub struct Recent {
    generation: i64,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Every row is true at this journal or a later one.
    watermark: Seq,
    /// The newest journal applied.
    head: Seq,
    young: Generation,
    young_journals: i64,
    old: Option<Old>,
}

#[derive(Debug, Default)]
struct Generation {
    balances: HashMap<AccountId, Balance>,
    marks: BTreeSet<(AccountId, Seq)>,
}

#[derive(Debug)]
struct Old {
    rows: Generation,
    order: Vec<AccountId>,
    marks: Vec<(AccountId, Seq)>,
    balances_done: usize,
    marks_done: usize,
    /// The last journal it took.
    last: Seq,
}

/// A share of what is to be written behind, in key order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// Balances, as they stood when their generation was frozen.
    pub balances: Vec<Balance>,
    /// Lines that stand in the index of their account's history.
    pub marks: Vec<(AccountId, Seq)>,
    /// The new watermark, if this share is the last of its generation.
    pub watermark: Option<Seq>,
}

/// How an account stands after a line of a journal.
fn balances(journal: &Journal) -> impl Iterator<Item = (Balance, bool)> {
    journal.lines.iter().map(|line| {
        let balance = Balance {
            account: line.account,
            as_of: journal.seq,
            currency: journal.currency,
            debits_minor: line.debits_minor,
            credits_minor: line.credits_minor,
            lines: line.number,
        };
        (balance, line.is_indexed())
    })
}

impl Recent {
    /// Nothing yet, on tables that are true at `watermark`. Generations take `generation` journals each.
    pub fn new(watermark: Seq, generation: i64) -> Self {
        let inner =
            Inner { watermark, head: watermark, young: Generation::default(), young_journals: 0, old: None };
        Self { generation, inner: RwLock::new(inner) }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How an account stands, if that is not in its table yet. Ask here first and the table after: a row leaves here only
    /// once it is there.
    pub fn balance(&self, account: AccountId) -> Option<Balance> {
        let inner = self.read();
        let old = || inner.old.as_ref().and_then(|old| old.rows.balances.get(&account));
        inner.young.balances.get(&account).or_else(old).cloned()
    }

    /// The first indexed line of an account at or after a journal, if it is not in the index's table yet.
    pub fn mark_from(&self, account: AccountId, seq: Seq) -> Option<Seq> {
        let inner = self.read();
        let first = |rows: &Generation| {
            rows.marks.range((account, seq)..=(account, Seq(i64::MAX))).next().map(|(_, seq)| *seq)
        };
        let old = inner.old.as_ref().and_then(|old| first(&old.rows));
        old.into_iter().chain(first(&inner.young)).min()
    }

    /// The watermark, and the newest journal.
    pub fn span(&self) -> (Seq, Seq) {
        let inner = self.read();
        (inner.watermark, inner.head)
    }

    /// Takes in journals that are committed.
    pub fn apply(&self, journals: &[Journal]) {
        let mut inner = self.write();
        for journal in journals {
            inner.head = journal.seq;
            for (balance, indexed) in balances(journal) {
                if indexed {
                    inner.young.marks.insert((balance.account, journal.seq));
                }
                inner.young.balances.insert(balance.account, balance);
            }
        }
        inner.young_journals += i64::try_from(journals.len()).expect("a batch is small");
    }

    /// What a commit of so many journals is to write behind. It stays here until `written`.
    pub fn share(&self, journals: usize) -> Share {
        let mut inner = self.write();
        if inner.old.is_none() && inner.young_journals >= self.generation {
            inner.freeze();
        }
        // The old generation is to be gone when the tables would lag by two. After a restart the young one begins with all
        // that was not written, and what is left of the room is shared out the same way.
        let lag = inner.head.0 - inner.watermark.0;
        let room = usize::try_from(2 * self.generation - lag).unwrap_or(0);
        let Some(old) = &inner.old else { return Share::default() };
        let of = |left: usize| {
            if room == 0 { left } else { (left * journals).div_ceil(room).min(left) }
        };
        let balances_to = old.balances_done + of(old.order.len() - old.balances_done);
        let marks_to = old.marks_done + of(old.marks.len() - old.marks_done);
        let whole = balances_to == old.order.len() && marks_to == old.marks.len();
        Share {
            balances: old.order[old.balances_done..balances_to]
                .iter()
                .skip(usize::from(planted::is(Bug::DerivedRowLost)))
                .map(|account| old.rows.balances[account].clone())
                .collect(),
            marks: old.marks[old.marks_done..marks_to].to_vec(),
            watermark: (whole || planted::is(Bug::WatermarkAhead)).then_some(old.last),
        }
    }

    /// A share that was committed.
    pub fn written(&self, share: &Share) {
        let mut inner = self.write();
        if let Some(watermark) = share.watermark {
            inner.watermark = watermark;
            inner.old = None;
        } else if let Some(old) = &mut inner.old {
            old.balances_done += share.balances.len();
            old.marks_done += share.marks.len();
        }
    }
}

impl Inner {
    fn freeze(&mut self) {
        let rows = std::mem::take(&mut self.young);
        self.young_journals = 0;
        let mut order: Vec<AccountId> = rows.balances.keys().copied().collect();
        order.sort_unstable();
        let marks = rows.marks.iter().copied().collect();
        self.old = Some(Old { rows, order, marks, balances_done: 0, marks_done: 0, last: self.head });
    }
}
