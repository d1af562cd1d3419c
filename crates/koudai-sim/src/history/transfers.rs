//! Transfers in a history: merchants send people money and take it back, people receive it, the courier closes what is
//! overdue, all at once and in any order.

use koudai_core::id::{MchId, TransferId};
use koudai_core::ledger::AccountId;
use koudai_core::rows::{OutBillNo, Transfer, TransferNumber, TransferState};
use koudai_core::time::DAY;
use koudai_core::transfer::{CancelTransfer, CloseOverdue, ReceiveTransfer};

use super::History;
use super::books::{Finding, SentEnd, check, read};
use super::cast;
use super::flight::{About, Said};

/// A transfer as its merchant knows it.
pub(super) struct Slip {
    mchid: MchId,
    person: usize,
    number: String,
    minor: i64,
    id: Option<TransferId>,
    /// How many commands may have made it.
    asked_by: u32,
}

impl History {
    /// Somebody does something about a transfer.
    pub(super) fn transfer(&mut self) -> Result<(), Finding> {
        match self.dice.below(8) {
            0..3 => self.send_transfer(),
            3..6 => self.receive_transfer(),
            6 => self.cancel_transfer(),
            _ => {
                // Now and then a day goes by.
                if self.dice.below(6) == 0 {
                    self.clock.advance(DAY);
                }
                return self.close_overdue();
            }
        }
        Ok(())
    }

    fn send_transfer(&mut self) {
        let again = self.transfers.iter().position(|slip| slip.id.is_none() && slip.asked_by > 0);
        let n = match again.filter(|n| {
            self.dice.below(8) == 0 || !self.is_flying(|about| matches!(about, About::Transfer(m) if m == n))
        }) {
            Some(n) => n,
            None => {
                let mchid = self.merchants[self.dice.below(self.merchants.len())];
                let person = self.dice.below(self.people.len());
                let minor = 1 + i64::try_from(self.dice.below(400)).expect("small");
                let number = format!("bill{}", self.transfers.len());
                self.transfers.push(Slip { mchid, person, number, minor, id: None, asked_by: 0 });
                self.transfers.len() - 1
            }
        };
        let slip = &mut self.transfers[n];
        slip.asked_by += 1;
        let command = cast::transfer(slip.mchid, &slip.number, self.people[slip.person].id, slip.minor);
        self.fly(About::Transfer(n), command);
    }

    /// One of the newest, so that waiting ones are met often.
    fn some_transfer(&mut self) -> Option<usize> {
        let back = self.dice.below(6);
        self.transfers.len().checked_sub(back + 1)
    }

    fn receive_transfer(&mut self) {
        let Some(n) = self.some_transfer() else { return };
        let Some(transfer) = self.transfers[n].id else { return };
        let person = self.people[self.transfers[n].person].id;
        self.fly(About::Receive(n), ReceiveTransfer { person, transfer });
    }

    fn cancel_transfer(&mut self) {
        let Some(n) = self.some_transfer() else { return };
        let slip = &self.transfers[n];
        let command = CancelTransfer { mchid: slip.mchid, out_bill_no: slip.number.clone() };
        self.fly(About::Cancel(n), command);
    }

    /// The courier closes what was not received in time.
    pub(super) fn close_overdue(&mut self) -> Result<(), Finding> {
        let now = self.clock.now();
        let overdue = self.page(|r| r.overdue_transfers(now, 8))?.unwrap_or_default();
        if !overdue.is_empty() {
            let transfers = overdue.into_iter().map(|row| row.transfer).collect();
            self.fly(About::CloseOverdue, CloseOverdue { transfers });
        }
        Ok(())
    }

    pub(super) fn judge_transfer(&mut self, n: usize, about: &About, said: &Said) -> Result<(), Finding> {
        match said {
            Said::Transfer(transfer) => {
                let slip = &mut self.transfers[n];
                check(transfer.amount.minor() == slip.minor, || "another transfer was answered".to_owned())?;
                check(slip.id.is_none_or(|id| id == transfer.id), || "a transfer has two ids".to_owned())?;
                slip.id = Some(transfer.id);
                let number = slip.number.clone();
                self.know(transfer.id.0, &number)?;
                let Some(sent) = self.books.transfers.get(&transfer.id) else {
                    return Err("a transfer was acknowledged and is not in the ledger".to_owned());
                };
                let agrees = match transfer.state {
                    // It may have ended since it was said.
                    TransferState::Waiting => true,
                    TransferState::Received => matches!(sent.end, SentEnd::Received(_)),
                    TransferState::Failed | TransferState::Cancelled => sent.end == SentEnd::Returned,
                };
                check(agrees, || format!("{:?} was answered and it is {:?}", transfer.state, sent.end))
            }
            Said::Busy if matches!(about, About::Transfer(_)) => {
                let slip = &mut self.transfers[n];
                slip.asked_by -= 1;
                let alone = slip.asked_by == 0 && slip.id.is_none();
                let key = OutBillNo { mchid: slip.mchid, out_bill_no: slip.number.clone() };
                let there = self.look(|r| r.get::<TransferNumber>(&key)).flatten();
                check(!alone || there.is_none(), || {
                    "nothing was done, it was said, and a transfer is there".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    /// Every transfer's row stands as its journals say.
    pub(super) fn close_the_books_of_transfers(&self) -> Result<(), Finding> {
        let Some(engine) = &self.engine else { return Err("there is no engine".to_owned()) };
        let rows = read(engine.read(koudai_store::Reader::all::<Transfer>))?;
        check(rows.len() == self.books.transfers.len(), || {
            format!("{} transfers, and {} by their journals", rows.len(), self.books.transfers.len())
        })?;
        for row in rows {
            let payee = AccountId::person(row.payee);
            let sent = self.books.transfers.get(&row.id);
            let agrees = sent.is_some_and(|sent| {
                sent.amount == row.amount.minor()
                    && match row.state {
                        TransferState::Waiting => sent.end == SentEnd::Waiting,
                        TransferState::Received => sent.end == SentEnd::Received(payee),
                        TransferState::Failed | TransferState::Cancelled => sent.end == SentEnd::Returned,
                    }
            });
            check(agrees, || {
                format!("{} stands as {:?} and its journals say {sent:?}", row.out_bill_no, row.state)
            })?;
        }
        Ok(())
    }
}
