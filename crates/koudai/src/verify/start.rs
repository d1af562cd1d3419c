//! Where the check begins: the newest journal, and everything that is written behind, in one short view.
//!
//! What is fixed here is the ledger up to its newest journal, which nothing changes any more. All else is read later, in
//! views of a moment each: a check that held one view for all its time would keep the server beside it from folding its log.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use koudai_core::id::{MchId, Seq};
use koudai_core::ledger::AccountId;
use koudai_core::money::Currency;
use koudai_core::rows::{
    AppMove, Attempt, Balance, Merchant, NoticeCursor, NoticeRetry, Order, Refund, ReversedNumber, Transfer,
    Withdrawal,
};
use koudai_store::Reader;

use super::tally::{Marks, Tally};
use super::{Wrong, check};

/// Spreads ids, which are far apart in no order of ours.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i64(i64::from(*byte));
        }
    }
    fn write_i64(&mut self, n: i64) {
        let mixed = (self.0 ^ n.cast_unsigned()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Things by an id.
pub(super) type ById<V> = HashMap<i64, V, BuildHasherDefault<IdHasher>>;

/// A set of ids.
pub(super) type Ids = HashSet<i64, BuildHasherDefault<IdHasher>>;

/// Stands for the journal of a row that there is not, or that has come by.
pub(super) const NO_ROW: i64 = -1;

/// An account: what the journals so far say of it, and what its row says that is written behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) debits: i64,
    pub(super) credits: i64,
    /// Its newest journal; 0 if it has none.
    pub(super) last: i64,
    pub(super) lines: i64,
    /// The journal its row is true at, until that has come by, or `NO_ROW`.
    pub(super) row_at: i64,
    /// The mark of what its row says.
    pub(super) row: u64,
    pub(super) currency: Currency,
    /// Whether its row has come by.
    pub(super) written: bool,
    /// Whether it must have a row: it moved at the watermark or before.
    pub(super) written_due: bool,
}

impl Account {
    pub(super) const fn new(currency: Currency) -> Self {
        Self {
            debits: 0,
            credits: 0,
            last: 0,
            lines: 0,
            row_at: NO_ROW,
            row: 0,
            currency,
            written: false,
            written_due: false,
        }
    }

    /// The mark of how it stands.
    pub(super) fn mark(&self, marks: &Marks) -> u64 {
        balance_mark(marks, self.currency, [self.debits, self.credits, self.lines])
    }
}

fn balance_mark(marks: &Marks, currency: Currency, [debits, credits, lines]: [i64; 3]) -> u64 {
    marks.of(|said| {
        said.text(currency.code().as_bytes());
        said.numbers(&[debits, credits, lines]);
    })
}

/// A notice that is still to be given, or was given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) seq: i64,
    pub(super) mchid: i64,
    /// Whether its merchant's cursor has passed it.
    pub(super) passed: bool,
    /// Whether its journal has come by and is an event of its merchant.
    pub(super) belongs: bool,
}

/// What is fixed when the check begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) marks: Marks,
    /// The newest journal.
    pub(super) head: i64,
    /// When it was decided. What rows say of a moment before, the journals up to here say too.
    pub(super) at: i64,
    /// The newest seal.
    pub(super) newest_seal: i64,
    /// Everything up to here is in the tables that are written behind.
    pub(super) watermark: i64,
    pub(super) accounts: ById<Account>,
    /// The rows of the history index up to the watermark.
    pub(super) index: Tally,
    /// Those after it, until their journal has come by.
    pub(super) index_ahead: HashSet<(i64, i64)>,
    /// In the order of their journals.
    pub(super) retries: Vec<Retry>,
    /// What is wrong with the merchants' cursors.
    pub(super) cursors: Result<(), Wrong>,
    /// The newest of what has a number of its own beside it. Such pairs are added and never change.
    pub(super) newest_order: i64,
    pub(super) newest_refund: i64,
    pub(super) newest_attempt: i64,
    pub(super) newest_transfer: i64,
    pub(super) newest_withdrawal: i64,
    pub(super) newest_app_move: i64,
}

impl Start {
    pub(super) fn read(reader: &Reader) -> Result<Self, Wrong> {
        reader.snapshot(Self::read_in_view)
    }

    fn read_in_view(reader: &Reader) -> Result<Self, Wrong> {
        let marks = Marks::default();
        let head = reader.newest_journal()?;
        let newest = reader.journal(head)?;
        let watermark = reader.watermark()?.0;
        let mut accounts = ById::default();
        reader.each(|row: Balance| {
            let mut account = Account::new(row.currency);
            // No journal has the number 0, so a row that says less is never met either.
            account.row_at = row.as_of.0.max(0);
            account.row =
                balance_mark(&marks, row.currency, [row.debits_minor, row.credits_minor, row.lines]);
            accounts.insert(row.account.0, account);
            Ok::<_, Wrong>(())
        })?;
        let (mut index, mut index_ahead) = (Tally::default(), HashSet::new());
        reader.each_indexed(|AccountId(account), Seq(seq)| {
            if seq <= watermark {
                index.add(account, marks.of_numbers(&[account, seq]));
            } else {
                index_ahead.insert((account, seq));
            }
            Ok::<_, Wrong>(())
        })?;
        let (told, cursors) = read_cursors(reader, head)?;
        // Both stand behind numbers of orders.
        let (order, reversed) = (reader.newest_key::<Order>()?, reader.newest_key::<ReversedNumber>()?);
        let mut retries = vec![];
        reader.each(|row: NoticeRetry| {
            let (mchid, seq) = (row.key.mchid.0, row.key.seq.0);
            let passed = told.get(&mchid).is_some_and(|told| seq <= *told);
            retries.push(Retry { seq, mchid, passed, belongs: false });
            Ok::<_, Wrong>(())
        })?;
        retries.sort_unstable_by_key(|retry| (retry.seq, retry.mchid));
        Ok(Self {
            marks,
            head: head.0,
            at: newest.map_or(i64::MIN, |journal| journal.at.0),
            newest_seal: i64::try_from(reader.newest_seal()?).unwrap_or(i64::MAX),
            watermark,
            accounts,
            index,
            index_ahead,
            retries,
            cursors,
            newest_order: order.max(reversed).unwrap_or(i64::MIN),
            newest_refund: reader.newest_key::<Refund>()?.unwrap_or(i64::MIN),
            newest_attempt: reader.newest_key::<Attempt>()?.unwrap_or(i64::MIN),
            newest_transfer: reader.newest_key::<Transfer>()?.unwrap_or(i64::MIN),
            newest_withdrawal: reader.newest_key::<Withdrawal>()?.unwrap_or(i64::MIN),
            newest_app_move: reader.newest_key::<AppMove>()?.unwrap_or(i64::MIN),
        })
    }
}

/// How far each merchant has been told, and what is wrong with that.
fn read_cursors(reader: &Reader, head: Seq) -> Result<(ById<i64>, Result<(), Wrong>), Wrong> {
    let mut merchants: HashSet<MchId> = HashSet::new();
    reader.each(|row: Merchant| {
        merchants.insert(row.mchid);
        Ok::<_, Wrong>(())
    })?;
    let (mut told, mut found) = (ById::default(), Ok(()));
    reader.each(|row: NoticeCursor| {
        let name = || format!("merchant {}", row.mchid.0);
        if found.is_ok() {
            found = check(merchants.contains(&row.mchid), "a cursor belongs to a merchant", name)
                .and_then(|()| check(row.told <= head, "nobody is told what has not happened", name));
        }
        told.insert(row.mchid.0, row.told.0);
        Ok::<_, Wrong>(())
    })?;
    Ok((told, found))
}
