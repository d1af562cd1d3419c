//! What people, merchants and the courier hear, and how the auditor judges it: an answer is a promise.

use koudai_core::id::{AttemptId, MchId, Seq};
use koudai_core::ledger::AccountId;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptNumber, AttemptState, ClientNumber, OrderNumber, OrderState, OutRefundNo,
    OutTradeNo, RefundNumber,
};

use super::History;
use super::books::{Finding, check};
use super::flight::{About, Flight, Said, Why};

impl History {
    /// What came back of what is on its way. It is judged by books that are up to date, or later.
    pub(super) fn hear(&mut self) -> Result<(), Finding> {
        if !self.follow()? {
            return Ok(());
        }
        let heard: Vec<Flight> = self.flights.extract_if(.., Flight::is_answered).collect();
        for Flight { about, said, .. } in heard {
            let said = said.expect("it is answered");
            if matches!(said, Said::Lost) {
                self.report.lost += 1;
            } else {
                self.report.answered += 1;
            }
            self.judge(&about, &said).map_err(|finding| format!("{about:?}: {finding}"))?;
        }
        Ok(())
    }

    /// Whether anything came back that was not heard yet.
    pub(super) fn is_answered(&mut self) -> bool {
        self.flights.iter_mut().any(Flight::is_answered)
    }

    /// Whether what was said is true.
    fn judge(&mut self, about: &About, said: &Said) -> Result<(), Finding> {
        match about {
            About::Place(n) => self.judge_order(*n, said),
            About::Pay { person, order, card } => self.judge_payment(*person, *order, *card, said),
            About::Refund(n) => self.judge_refund(*n, said),
            About::TopUp(n) => self.judge_top_up(*n, said),
            About::Transfer(n) | About::Receive(n) | About::Cancel(n) => self.judge_transfer(*n, about, said),
            About::Withdraw(n) | About::TakeBack(n) => self.judge_withdrawal(*n, about, said),
            About::CloseOverdue | About::SendDue => Ok(()),
            About::End(id) | About::Unknown(id) => {
                self.outside.calling.remove(id);
                self.judge_outcome(said)
            }
            About::Told(mchid) => {
                self.outside.telling.remove(mchid);
                Ok(())
            }
            About::Retry(mchid, seq) => {
                self.outside.retrying.remove(&(*mchid, *seq));
                Ok(())
            }
        }
    }

    /// An id stands for one thing for ever.
    pub(super) fn know(&mut self, id: i64, thing: &str) -> Result<(), Finding> {
        let known = self.ids.entry(id).or_insert_with(|| thing.to_owned());
        check(known == thing, || format!("the id {id} was {known}'s and is {thing}'s"))
    }

    fn judge_order(&mut self, n: usize, said: &Said) -> Result<(), Finding> {
        match said {
            Said::Order(order) => {
                let slip = &mut self.orders[n];
                let same = *order.out_trade_no == *slip.number && order.amount.minor() == slip.minor;
                check(same, || "another order was answered".to_owned())?;
                check(slip.id.is_none_or(|id| id == order.id), || "an order has two ids".to_owned())?;
                slip.id = Some(order.id);
                let (id, number) = (order.id, slip.number.clone());
                self.know(id.0, &number)?;
                if self.dice.below(4) > 0 {
                    return Ok(());
                }
                let there = self.look(|r| r.get::<koudai_core::rows::Order>(&id));
                check(!matches!(there, Some(None)), || "an order was answered and is not there".to_owned())
            }
            Said::Busy => {
                let slip = &mut self.orders[n];
                slip.placed_by -= 1;
                let alone = slip.placed_by == 0 && slip.id.is_none();
                let key = OutTradeNo { mchid: slip.mchid, out_trade_no: slip.number.clone() };
                let there = self.look(|r| r.get::<OrderNumber>(&key)).flatten();
                check(!alone || there.is_none(), || {
                    "nothing was done, it was said, and an order is there".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    fn judge_payment(&mut self, person: usize, n: usize, card: bool, said: &Said) -> Result<(), Finding> {
        let Some(id) = self.orders[n].id else { return Ok(()) };
        let account = AccountId::person(self.people[person].id);
        let paid = self.books.paid.get(&id);
        match said {
            Said::Order(order) if order.state == OrderState::Paid => {
                check(paid.is_some(), || "a payment was acknowledged and is not in the ledger".to_owned())?;
                let payer = order.payer.map(AccountId::person);
                check(paid.map(|p| p.payer) == payer, || "somebody else has paid".to_owned())
            }
            Said::Order(_) => check(card, || "a payment by balance is not done at once".to_owned()),
            Said::Refused(why) => {
                self.not_done(person, n, account)?;
                check(*why != Why::Paid || self.books.paid.contains_key(&id), || {
                    "an order is paid already, it was said, and it is not".to_owned()
                })
            }
            Said::Busy => self.not_done(person, n, account),
            _ => Ok(()),
        }
    }

    fn not_done(&mut self, person: usize, n: usize, account: AccountId) -> Result<(), Finding> {
        let slip = &mut self.orders[n];
        let may = slip.paid_by.entry(person).or_insert(1);
        *may -= 1;
        let done = slip.id.and_then(|id| self.books.paid.get(&id)).is_some_and(|paid| paid.payer == account);
        check(*may > 0 || !done, || "nothing was done, it was said, and it is paid".to_owned())
    }

    fn judge_refund(&mut self, n: usize, said: &Said) -> Result<(), Finding> {
        match said {
            Said::Refund(refund) => {
                let slip = &mut self.refunds[n];
                check(refund.amount.minor() == slip.minor, || "another refund was answered".to_owned())?;
                check(slip.id.is_none_or(|id| id == refund.id), || "a refund has two ids".to_owned())?;
                slip.id = Some(refund.id);
                let number = slip.number.clone();
                self.know(refund.id.0, &number)?;
                check(self.books.refunds.contains(&refund.id), || {
                    "a refund was acknowledged and is not in the ledger".to_owned()
                })
            }
            Said::Refused(Why::ExceedsRest(rest)) => {
                let paid = self.orders[self.refunds[n].order].id.and_then(|id| self.books.paid.get(&id));
                let least = paid.map_or(0, |paid| paid.amount - paid.refunded);
                check(*rest >= least, || format!("{rest} are left, it was said, and {least} are"))
            }
            Said::Busy => {
                let slip = &mut self.refunds[n];
                slip.asked_by -= 1;
                let alone = slip.asked_by == 0 && slip.id.is_none();
                let mchid: MchId = self.orders[slip.order].mchid;
                let key = OutRefundNo { mchid, out_refund_no: slip.number.clone() };
                let there = self.look(|r| r.get::<RefundNumber>(&key)).flatten();
                check(!alone || there.is_none(), || {
                    "nothing was done, it was said, and a refund is there".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    fn judge_top_up(&mut self, n: usize, said: &Said) -> Result<(), Finding> {
        match said {
            Said::Attempt(attempt) => {
                let slip = &mut self.top_ups[n];
                check(slip.id.is_none_or(|id| id == attempt.id), || "a top-up has two ids".to_owned())?;
                slip.id = Some(attempt.id);
                let number = slip.number.clone();
                self.know(attempt.id.0, &number)?;
                let id: AttemptId = attempt.id;
                let there = self.look(|r| r.get::<Attempt>(&id));
                check(!matches!(there, Some(None)), || "a top-up was answered and is not there".to_owned())
            }
            Said::Busy => {
                let slip = &mut self.top_ups[n];
                slip.asked_by -= 1;
                let alone = slip.asked_by == 0 && slip.id.is_none();
                let person = self.people[slip.person].id;
                let key = ClientNumber { person, number: slip.number.clone() };
                let there = self.look(|r| r.get::<AttemptNumber>(&key)).flatten();
                check(!alone || there.is_none(), || {
                    "nothing was done, it was said, and a top-up is there".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    fn judge_outcome(&self, said: &Said) -> Result<(), Finding> {
        let Said::Attempt(attempt) = said else { return Ok(()) };
        let credited = self.books.topped_up.contains(&attempt.id.0);
        let due = attempt.kind == AttemptKind::TopUp && attempt.state == AttemptState::Succeeded;
        check(credited == due, || "a top-up's outcome and the ledger differ".to_owned())
    }

    /// A page shows what is committed: nothing older, nothing newer.
    pub(super) fn look_at_a_page(&mut self) -> Result<(), Finding> {
        if !self.follow()? {
            return Ok(());
        }
        let person = self.dice.below(self.people.len() + 1);
        let account = match self.people.get(person) {
            Some(person) => AccountId::person(person.id),
            None => AccountId::merchant(self.merchants[0]),
        };
        let page = self.page(|r| Ok((r.balance(account)?, r.history(account, None, 3)?)))?;
        let Some((balance, lines)) = page else { return Ok(()) };
        let Some(book) = self.books.accounts.get(&account) else { return Ok(()) };
        let shown = balance.map(|b| (b.debits_minor, b.credits_minor));
        check(shown == Some((book.debits, book.credits)), || {
            format!("a page shows {shown:?} for {}/{} of account {}", book.debits, book.credits, account.0)
        })?;
        let newest: Vec<Seq> = book.lines.iter().rev().take(3).copied().collect();
        let seen: Vec<Seq> = lines.iter().map(|journal| journal.seq).collect();
        check(seen == newest, || format!("a page shows the lines {seen:?} for {newest:?}"))
    }
}
