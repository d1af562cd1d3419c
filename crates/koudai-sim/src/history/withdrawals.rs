//! Withdrawals in a history: people ask for them at once or for the next day and take them back, the courier sends what is
//! due, and the bank pays or refuses, all at once and in any order.

use koudai_core::id::WithdrawalId;
use koudai_core::rows::{ClientNumber, Speed, Withdrawal, WithdrawalNumber, WithdrawalState};
use koudai_core::withdrawal::{CancelWithdrawal, SendWithdrawals, StartWithdrawal};

use super::books::{Finding, OutEnd, check, read};
use super::cast::{fen, pin};
use super::flight::{About, Said};
use super::{History, PIN};

/// A withdrawal as its person knows it.
pub(super) struct Request {
    person: usize,
    number: String,
    minor: i64,
    speed: Speed,
    id: Option<WithdrawalId>,
    /// How many commands may have made it.
    asked_by: u32,
}

impl History {
    /// Somebody does something about a withdrawal.
    pub(super) fn withdraw(&mut self) -> Result<(), Finding> {
        match self.dice.below(6) {
            0..4 => self.ask_for_withdrawal(),
            4 => self.take_withdrawal_back(),
            _ => return self.send_due_withdrawals(),
        }
        Ok(())
    }

    fn ask_for_withdrawal(&mut self) {
        let again = self.withdrawals.iter().position(|slip| slip.id.is_none() && slip.asked_by > 0);
        let n = match again.filter(|n| {
            self.dice.below(8) == 0 || !self.is_flying(|about| matches!(about, About::Withdraw(m) if m == n))
        }) {
            Some(n) => n,
            None => {
                let person = self.dice.below(self.people.len());
                let minor = 100 + i64::try_from(self.dice.below(400)).expect("small");
                let speed = if self.dice.below(2) == 0 { Speed::RealTime } else { Speed::NextDay };
                let number = format!("withdraw-{}", self.withdrawals.len());
                self.withdrawals.push(Request { person, number, minor, speed, id: None, asked_by: 0 });
                self.withdrawals.len() - 1
            }
        };
        let slip = &mut self.withdrawals[n];
        slip.asked_by += 1;
        let person = &self.people[slip.person];
        let command = StartWithdrawal {
            person: person.id,
            number: slip.number.clone(),
            card: person.card,
            amount: fen(slip.minor),
            speed: slip.speed,
            confirmed: pin(PIN).into(),
        };
        self.fly(About::Withdraw(n), command);
    }

    fn take_withdrawal_back(&mut self) {
        let back = self.dice.below(6);
        let Some(n) = self.withdrawals.len().checked_sub(back + 1) else { return };
        let slip = &self.withdrawals[n];
        let command = CancelWithdrawal { person: self.people[slip.person].id, number: slip.number.clone() };
        self.fly(About::TakeBack(n), command);
    }

    /// The courier has what is due sent.
    pub(super) fn send_due_withdrawals(&mut self) -> Result<(), Finding> {
        let now = self.clock.now();
        let due = self.page(|r| r.due_withdrawals(now, 8))?.unwrap_or_default();
        if !due.is_empty() {
            let withdrawals = due.into_iter().map(|row| row.withdrawal).collect();
            self.fly(About::SendDue, SendWithdrawals { withdrawals });
        }
        Ok(())
    }

    pub(super) fn judge_withdrawal(&mut self, n: usize, about: &About, said: &Said) -> Result<(), Finding> {
        match said {
            Said::Withdrawal(withdrawal) => {
                let slip = &mut self.withdrawals[n];
                let same = (withdrawal.amount.minor(), withdrawal.speed) == (slip.minor, slip.speed);
                check(same, || "another withdrawal was answered".to_owned())?;
                let one = slip.id.is_none_or(|id| id == withdrawal.id);
                check(one, || "a withdrawal has two ids".to_owned())?;
                slip.id = Some(withdrawal.id);
                let number = slip.number.clone();
                self.know(withdrawal.id.0, &number)?;
                let Some(out) = self.books.withdrawals.get(&withdrawal.id) else {
                    return Err("a withdrawal was acknowledged and is not in the ledger".to_owned());
                };
                // One under way may have ended since it was said.
                let agrees = withdrawal.is_open() || out.end == end_of(withdrawal.state);
                check(agrees, || format!("{:?} was answered and it is {:?}", withdrawal.state, out.end))
            }
            Said::Busy if matches!(about, About::Withdraw(_)) => {
                let slip = &mut self.withdrawals[n];
                slip.asked_by -= 1;
                let alone = slip.asked_by == 0 && slip.id.is_none();
                let key = ClientNumber { person: self.people[slip.person].id, number: slip.number.clone() };
                let there = self.look(|r| r.get::<WithdrawalNumber>(&key)).flatten();
                check(!alone || there.is_none(), || {
                    "nothing was done, it was said, and a withdrawal is there".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    /// Every withdrawal's row stands as its journals say, and none is under way any more.
    pub(super) fn close_the_books_of_withdrawals(&self) -> Result<(), Finding> {
        let Some(engine) = &self.engine else { return Err("there is no engine".to_owned()) };
        let rows = read(engine.read(koudai_store::Reader::all::<Withdrawal>))?;
        check(rows.len() == self.books.withdrawals.len(), || {
            format!("{} withdrawals, and {} by their journals", rows.len(), self.books.withdrawals.len())
        })?;
        for row in rows {
            let out = self.books.withdrawals.get(&row.id);
            let held = row.amount.minor() + row.fee.minor();
            let agrees = out.is_some_and(|out| (out.amount, out.end) == (held, end_of(row.state)));
            check(agrees && !row.is_open(), || {
                format!("{} stands as {:?} and its journals say {out:?}", row.number, row.state)
            })?;
        }
        Ok(())
    }
}

const fn end_of(state: WithdrawalState) -> OutEnd {
    match state {
        WithdrawalState::Waiting | WithdrawalState::Sending => OutEnd::UnderWay,
        WithdrawalState::Paid => OutEnd::Paid,
        WithdrawalState::Failed | WithdrawalState::Cancelled => OutEnd::Returned,
    }
}
