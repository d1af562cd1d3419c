//! How a history ends: everything comes to its end, and all books are compared.

use koudai_core::id::Seq;
use koudai_core::ledger::AccountId;
use koudai_core::rows::{Attempt, AttemptState, OrderState};
use koudai_core::time::{HOUR, Timestamp};
use koudai_engine::by_hand::Step;

use super::History;
use super::books::{Finding, check, read};

impl History {
    /// Lets everything come to its end, with nothing going wrong any more.
    pub(super) fn settle(&mut self) -> Result<(), Finding> {
        self.calm_down()?;
        for _ in 0..20_000 {
            self.call_the_bank()?;
            self.tell()?;
            self.retry()?;
            self.close_overdue()?;
            self.send_due_withdrawals()?;
            for step in [Step::Decide, Step::Load, Step::Bring, Step::Commit] {
                self.step(step)?;
            }
            self.clock.advance(HOUR);
            if self.flights.is_empty() && self.is_settled()? {
                return Ok(());
            }
        }
        Err("bank and merchants are not settled".to_owned())
    }

    fn is_settled(&mut self) -> Result<bool, Finding> {
        let late = self.clock.now().plus(HOUR);
        let open = self.page(|r| {
            Ok(!r.due_attempts(late, 1)?.is_empty()
                || !r.due_retries(late, 1)?.is_empty()
                || !r.overdue_transfers(late, 1)?.is_empty()
                || !r.due_withdrawals(Timestamp(i64::MAX), 1)?.is_empty()
                || !r.merchants_behind()?.is_empty())
        })?;
        Ok(open == Some(false))
    }

    /// Everything in the tables agrees with the auditor's books, the bank's and the merchants'.
    pub(super) fn close_the_books(&mut self) -> Result<(), Finding> {
        let Some(engine) = &self.engine else { return Err("there is no engine".to_owned()) };
        for (account, book) in &self.books.accounts {
            let row = read(engine.read(|r| r.balance(*account)))?;
            let shown = row.map_or((0, 0, 0), |b| (b.debits_minor, b.credits_minor, b.lines));
            let lines = i64::try_from(book.lines.len()).expect("it fits");
            check(shown == (book.debits, book.credits, lines), || {
                format!("account {} stands otherwise", account.0)
            })?;
        }
        let person = &self.people[self.dice.below(self.people.len())];
        let account = AccountId::person(person.id);
        let mut history = read(engine.read(|r| r.history(account, None, i64::MAX)))?;
        history.reverse();
        let lines: Vec<Seq> = history.iter().map(|journal| journal.seq).collect();
        let book = self.books.accounts.get(&account).map(|book| book.lines.clone()).unwrap_or_default();
        check(lines == book, || format!("the history of account {} has other lines", account.0))?;
        check(history.is_empty() || self.books.funds(person.id) >= 0, || "a person owes money".to_owned())?;
        for slip in &self.orders {
            let Some(id) = slip.id else { continue };
            let row = read(engine.read(|r| r.get::<koudai_core::rows::Order>(&id)))?;
            let Some(row) = row else { return Err(format!("{} was placed and is gone", slip.number)) };
            let paid = self.books.paid.get(&id);
            let agrees = match paid {
                Some(paid) => {
                    row.state == OrderState::Paid
                        && row.payer.map(AccountId::person) == Some(paid.payer)
                        && (row.amount.minor(), row.refunded.minor()) == (paid.amount, paid.refunded)
                }
                None => row.state == OrderState::Unpaid,
            };
            check(agrees, || {
                format!("{} stands as {:?} and its journals say otherwise", slip.number, row.state)
            })?;
            let payer = paid.and_then(|paid| {
                self.people.iter().position(|person| AccountId::person(person.id) == paid.payer)
            });
            let may = payer.and_then(|payer| slip.paid_by.get(&payer)).copied();
            check(paid.is_none() || may.unwrap_or(0) > 0, || {
                format!("{} is paid by somebody who was told that nothing was done", slip.number)
            })?;
        }
        check(self.books.held.is_empty(), || "something is still held for a payment".to_owned())?;
        self.close_the_books_of_transfers()?;
        self.close_the_books_of_withdrawals()?;
        for (id, minor) in self.outside.succeeded() {
            let row = read(engine.read(|r| r.get::<Attempt>(&id)))?;
            let agrees = row.is_some_and(|a| a.state == AttemptState::Succeeded && a.amount.minor() == minor);
            check(agrees, || format!("the bank did attempt {} and we do not know of it", id.0))?;
        }
        for (account, seq) in &self.books.to_tell {
            let heard = account.merchant_owner().is_some_and(|m| self.outside.heard.contains(&(m, *seq)));
            check(heard, || format!("nobody told a merchant of journal {}", seq.0))?;
        }
        Ok(())
    }
}
