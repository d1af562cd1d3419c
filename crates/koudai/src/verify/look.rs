//! The close look: where journals and rows do not say the same, which of them it is.

use std::collections::HashMap;

use koudai_core::column::Row;
use koudai_core::id::{AttemptId, Seq};
use koudai_core::ledger::{AccountId, Journal, JournalKind};
use koudai_core::rows::{
    AppMove, Attempt, AttemptKind, AttemptState, Difference, Order, Refund, Transfer, Withdrawal,
};
use koudai_core::time::Timestamp;
use koudai_store::{Range, Reader};

use super::claims::{self, Due, Entry};
use super::orders::was_paid;
use super::tally::Suspects;
use super::{CHUNK, Wrong, broken, check, issuing, reconciliation};

/// What a journal says.
#[derive(Debug)]
struct Fact {
    seq: Seq,
    at: Timestamp,
    entries: Vec<Entry>,
    accounts: Vec<AccountId>,
}

/// Journals about the suspects by kind and subject, until the row they are about has claimed them.
struct Facts<'a> {
    reader: &'a Reader,
    suspects: &'a Suspects,
    unclaimed: HashMap<(u8, i64), Fact>,
}

/// Looks at every journal and every row about the suspects, in one view. The first thing found wrong.
pub(super) fn look(reader: &Reader, suspects: &Suspects) -> Result<(), Wrong> {
    reader.snapshot(|reader| {
        let mut facts = Facts { reader, suspects, unclaimed: HashMap::new() };
        reader.each_journal(Range { after: None, to: None }, |journal| facts.add(&journal.decode()?))?;
        facts.each(
            |attempt: &Attempt| attempt.id.0,
            |facts, attempt: &Attempt| {
                let name = || claims::attempt_name(attempt);
                let order = attempt.order.filter(|_| attempt.kind == AttemptKind::CardPayment);
                if let Some(order) = order.map_or(Ok(None), |id| facts.reader.get::<Order>(&id))? {
                    for due in claims::of_split(attempt, &order).iter().flatten() {
                        facts.claim(due, name)?;
                    }
                }
                if attempt.kind != AttemptKind::TopUp || attempt.state != AttemptState::Succeeded {
                    return Ok(());
                }
                facts.claim(&claims::of_top_up(attempt), name).map(drop)
            },
        )?;
        facts.each(
            |order: &Order| order.id.0,
            |facts, order: &Order| {
                if !was_paid(order) {
                    return Ok(());
                }
                let call = facts.call(order.attempt)?;
                let name = || claims::order_name(order);
                let seq = facts.claim(&claims::of_payment(order, call.as_ref())?, name)?;
                check(order.paid_seq == Some(seq), "an order knows the journal of its payment", name)
            },
        )?;
        facts.each(
            |refund: &Refund| refund.id.0,
            |facts, refund: &Refund| {
                let call = facts.call(refund.attempt)?;
                for due in claims::of_refund(refund, call.as_ref()).iter().flatten() {
                    facts.claim(due, || claims::refund_name(refund))?;
                }
                Ok(())
            },
        )?;
        facts.each(
            |transfer: &Transfer| transfer.id.0,
            |facts, transfer: &Transfer| {
                for due in claims::of_transfer(transfer).iter().flatten() {
                    facts.claim(due, || claims::transfer_name(transfer))?;
                }
                Ok(())
            },
        )?;
        facts.each(
            |withdrawal: &Withdrawal| withdrawal.id.0,
            |facts, withdrawal: &Withdrawal| {
                for due in claims::of_withdrawal(withdrawal).iter().flatten() {
                    facts.claim(due, || claims::withdrawal_name(withdrawal))?;
                }
                Ok(())
            },
        )?;
        facts.each(
            |done: &AppMove| done.id.0,
            |facts, done: &AppMove| {
                if let Some(due) = issuing::of_move(done) {
                    facts.claim(&due, || issuing::move_name(done))?;
                }
                Ok(())
            },
        )?;
        facts.each(
            |difference: &Difference| difference.id.0,
            |facts, difference: &Difference| {
                if let Some(due) = reconciliation::of_difference(difference) {
                    facts.claim(&due, || reconciliation::difference_name(difference))?;
                }
                Ok(())
            },
        )?;
        facts.all_claimed()
    })
}

impl Facts<'_> {
    fn add(&mut self, journal: &Journal) -> Result<(), Wrong> {
        if !self.suspects.contains(journal.subject) {
            return Ok(());
        }
        let seq = journal.seq;
        let fact = Fact {
            seq,
            at: journal.at,
            entries: journal.postings.iter().map(|p| (p.debit, p.credit, p.amount)).collect(),
            accounts: journal.lines.iter().map(|l| l.account).collect(),
        };
        let other = self.unclaimed.insert((journal.kind.number(), journal.subject), fact);
        check(other.is_none(), "a fact is stated once", || {
            let first = other.map_or(0, |f| f.seq.0);
            format!("{:?} of {}: journals {first} and {}", journal.kind, journal.subject, seq.0)
        })
    }

    /// Shows every row of a table that is a suspect, in key order.
    fn each<R: Row>(
        &mut self,
        subject: impl Fn(&R) -> i64,
        row: impl Fn(&mut Self, &R) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let mut after = None;
        loop {
            let mut rows: Vec<R> = vec![];
            let range = self.reader.each_after(after, CHUNK, |row: R| {
                if self.suspects.contains(subject(&row)) {
                    rows.push(row);
                }
                Ok::<_, Wrong>(())
            })?;
            rows.iter().try_for_each(|suspect| row(self, suspect))?;
            after = range.to;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn call(&self, id: Option<AttemptId>) -> Result<Option<Attempt>, Wrong> {
        Ok(match id {
            Some(id) => self.reader.get(&id)?,
            None => None,
        })
    }

    /// Gives a row the journal it stands for, which must say exactly what is due. Returns its number.
    fn claim(&mut self, due: &Due, row: impl Fn() -> String) -> Result<Seq, Wrong> {
        let Some(fact) = self.unclaimed.remove(&(due.kind.number(), due.subject)) else {
            return Err(broken(due.invariant, format!("{}: no journal {:?}", row(), due.kind)));
        };
        let name = || format!("{}, journal {}", row(), fact.seq.0);
        check(fact.entries == due.entries, due.invariant, || {
            format!("{}: {:?} instead of {:?}", name(), fact.entries, due.entries)
        })?;
        let accounts = due.accounts();
        check(
            fact.accounts == accounts,
            "a journal belongs to the history of everybody it concerns, and of nobody else",
            || format!("{}: {:?} instead of {accounts:?}", name(), fact.accounts),
        )?;
        check(Some(fact.at) == due.at, "a journal and its row have one time", name)?;
        Ok(fact.seq)
    }

    /// Money that moved and no row knows of.
    fn all_claimed(&self) -> Result<(), Wrong> {
        let left = self.unclaimed.iter().min_by_key(|(_, fact)| fact.seq);
        check(left.is_none(), "every journal is what one row says", || {
            left.map_or_else(String::new, |((kind, subject), fact)| {
                let kind = JournalKind::from_number(*kind);
                format!("journal {}: {kind:?} of {subject}, {} left over", fact.seq.0, self.unclaimed.len())
            })
        })
    }
}
