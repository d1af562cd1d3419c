//! A merchant's journals of one day, in order, some at a time: each look is short, so that nobody who writes waits for it.

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal};
use koudai_core::time::Timestamp;
use koudai_store::{Range, Reader, StoreError};

use super::Bill;

/// Journals of one look.
const LOOK: usize = 2_048;
/// Where a merchant has one of so many journals or more, all are read in order, which costs less than going to each of the
/// merchant's own.
const SPARSE: i64 = 8;

/// Where a walk over a merchant's journals stands.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    bill: Bill,
    /// The last journal seen.
    after: Seq,
    /// The last one there is.
    last: Seq,
    /// Whether every journal is read.
    dense: bool,
}

impl Walk {
    /// A walk over the day of a bill. The day is over, so what belongs to it is fixed.
    pub(super) fn of(bill: Bill, reader: &Reader) -> Result<Self, StoreError> {
        let account = AccountId::merchant(bill.mchid);
        let newest_before = |moment: Timestamp| {
            let from = reader.seq_at(moment)?;
            let newest = reader.history(account, Some(from), 1)?.pop();
            let line =
                newest.as_ref().and_then(|journal| journal.line(account)).map_or(0, |line| line.number);
            Ok::<_, StoreError>((newest.map_or(Seq(0), |journal| journal.seq), line, from))
        };
        let (_, lines_before, from) = newest_before(bill.day.begins())?;
        let (last, lines, _) = newest_before(bill.day.ends())?;
        let after = Seq(from.0 - 1);
        let dense = last.0 - after.0 <= SPARSE * (lines - lines_before);
        // A merchant without journals on that day has an older last one, or none.
        let last = if lines == lines_before { after } else { last };
        Ok(Self { bill, after, last, dense })
    }

    /// Whether there is no more.
    pub(super) const fn is_over(&self) -> bool {
        self.after.0 >= self.last.0
    }

    /// The next journals; some, if it is not over, or none of a stretch in which others alone were busy.
    pub(super) fn next(&mut self, reader: &Reader) -> Result<Vec<Journal>, StoreError> {
        if self.dense { self.all(reader) } else { self.own(reader) }
    }

    fn all(&mut self, reader: &Reader) -> Result<Vec<Journal>, StoreError> {
        let account = AccountId::merchant(self.bill.mchid);
        let to = (self.after.0 + i64::try_from(LOOK).expect("a small number")).min(self.last.0);
        let range = Range { after: Some(self.after.0), to: Some(to) };
        let mut journals = vec![];
        reader.each_journal(range, |journal| {
            let journal = journal.decode()?;
            if journal.line(account).is_some() {
                journals.push(journal);
            }
            Ok::<_, StoreError>(())
        })?;
        self.after = Seq(to);
        Ok(journals)
    }

    fn own(&mut self, reader: &Reader) -> Result<Vec<Journal>, StoreError> {
        let mut journals = vec![];
        while journals.len() < LOOK && !self.is_over() {
            let some = reader.merchant_journals(self.bill.mchid, self.after, i64::MAX)?;
            let Some(newest) = some.last().map(|journal| journal.seq) else {
                return Err(StoreError::Corrupt {
                    table: "journal",
                    what: format!("the history of merchant {} ends too early", self.bill.mchid.0),
                });
            };
            self.after = newest;
            journals.extend(some.into_iter().filter(|journal| journal.seq <= self.last));
        }
        Ok(journals)
    }
}
