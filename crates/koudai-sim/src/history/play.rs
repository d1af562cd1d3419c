//! What people, merchants and the courier do.

use koudai_core::attempt::{AttemptUnknown, EndAttempt, Outcome};
use koudai_core::id::{OrderId, Seq};
use koudai_core::notice::{RecordRetry, RecordTold};
use koudai_core::payment::{Means, Pay};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::{Attempt, NoticeCursor};
use koudai_core::time::HOUR;
use koudai_core::top_up::StartTopUp;

use super::books::Finding;
use super::cast::{fen, order, pin};
use super::flight::{About, Known, Why, send};
use super::outside::{Done, Heard, Outside};
use super::{History, Order, PIN, Refund, TopUp};

/// Commands on their way at once.
const FLIGHTS: usize = 48;
/// Events a merchant is told at once.
const AT_ONCE: i64 = 16;

impl History {
    /// Somebody does something.
    pub(super) fn act(&mut self) -> Result<(), Finding> {
        if self.flights.len() >= FLIGHTS {
            return Ok(());
        }
        match self.dice.below(40) {
            0..8 => self.place(),
            8 => return self.withdraw(),
            9 => return self.transfer(),
            10..30 => self.pay(),
            30..33 => self.refund(),
            33 | 34 => self.top_up(),
            35 | 36 => return self.call_the_bank(),
            37 | 38 => return self.tell(),
            _ => return self.retry(),
        }
        Ok(())
    }

    pub(super) fn fly<C: Known>(&mut self, about: About, command: C)
    where
        Why: From<C::Refusal>,
    {
        if let Some(engine) = &self.engine {
            self.flights.push(send(engine, about, command));
        }
    }

    pub(super) fn is_flying(&self, which: impl Fn(&About) -> bool) -> bool {
        self.flights.iter().any(|flight| which(&flight.about))
    }

    fn place(&mut self) {
        // Now and then one whose outcome was never heard of.
        let unknown = self.orders.iter().position(|order| order.id.is_none() && order.placed_by > 0);
        let n = match unknown.filter(|n| {
            self.dice.below(8) == 0 || !self.is_flying(|about| matches!(about, About::Place(m) if m == n))
        }) {
            Some(n) => n,
            None => {
                let mchid = self.merchants[self.dice.below(self.merchants.len())];
                let number = format!("order-{}", self.orders.len());
                let minor = 1 + i64::try_from(self.dice.below(400)).expect("small");
                let slip = Order {
                    mchid,
                    number,
                    minor,
                    id: None,
                    placed_by: 0,
                    paid_by: std::collections::HashMap::new(),
                };
                self.orders.push(slip);
                self.orders.len() - 1
            }
        };
        let slip = &mut self.orders[n];
        slip.placed_by += 1;
        let command = order(slip.mchid, &slip.number, slip.minor);
        self.fly(About::Place(n), command);
    }

    fn pay(&mut self) {
        let Some((n, order)) = self.unpaid() else { return };
        let person = self.dice.below(self.people.len());
        let card = self.dice.below(6) == 0;
        let payers = if self.dice.below(8) == 0 { 2 } else { 1 };
        for person in person..person + payers {
            let person = person % self.people.len();
            *self.orders[n].paid_by.entry(person).or_default() += 1;
            let by = &self.people[person];
            let mut means = Means::of(card.then_some(by.card));
            if card && self.orders[n].minor > 1 && self.dice.below(2) == 0 {
                let most = usize::try_from(self.orders[n].minor - 1).expect("small");
                let minor = 1 + i64::try_from(self.dice.below(most)).expect("small");
                means = Means::Both { from_balance: fen(minor), card: by.card };
            }
            let command = Pay { person: by.id, order, means, confirmed: pin(PIN).into() };
            self.fly(About::Pay { person, order: n, card }, command);
        }
    }

    /// Mostly one of the newest that is not paid as far as its merchant knows, and sometimes any.
    fn unpaid(&mut self) -> Option<(usize, OrderId)> {
        let any = self.dice.below(8) == 0;
        let from = if any { 0 } else { self.orders.len().saturating_sub(80) };
        for _ in 0..6 {
            let n = from + self.dice.below(self.orders.len() - from);
            match self.orders.get(n).and_then(|slip| slip.id) {
                Some(id) if any || !self.books.paid.contains_key(&id) => return Some((n, id)),
                _ => {}
            }
        }
        None
    }

    fn refund(&mut self) {
        let again = self.refunds.iter().position(|refund| refund.id.is_none() && refund.asked_by > 0);
        let n = if let Some(n) = again.filter(|n| {
            self.dice.below(8) == 0 || !self.is_flying(|about| matches!(about, About::Refund(m) if m == n))
        }) {
            n
        } else {
            let order = self.dice.below(self.orders.len().max(1));
            let Some(slip) = self.orders.get(order) else { return };
            let Some(paid) = slip.id.and_then(|id| self.books.paid.get(&id)) else { return };
            // Sometimes more than is left.
            let most = usize::try_from((paid.amount - paid.refunded) * 4 / 3).expect("small");
            let minor = 1 + i64::try_from(self.dice.below(most)).expect("small");
            let number = format!("refund-{}", self.refunds.len());
            self.refunds.push(Refund { order, number, minor, id: None, asked_by: 0 });
            self.refunds.len() - 1
        };
        let refund = &mut self.refunds[n];
        refund.asked_by += 1;
        let slip = &self.orders[refund.order];
        let command = RequestRefund {
            mchid: slip.mchid,
            order: OrderName::Number(slip.number.clone()),
            out_refund_no: refund.number.clone(),
            amount: fen(refund.minor),
            total: fen(slip.minor),
            reason: None,
            notify_url: None,
        };
        self.fly(About::Refund(n), command);
    }

    fn top_up(&mut self) {
        let again = self.top_ups.iter().position(|top_up| top_up.id.is_none() && top_up.asked_by > 0);
        let n = if let Some(n) = again.filter(|n| {
            self.dice.below(8) == 0 || !self.is_flying(|about| matches!(about, About::TopUp(m) if m == n))
        }) {
            n
        } else {
            let person = self.dice.below(self.people.len());
            let minor = 1_000 + i64::try_from(self.dice.below(20_000)).expect("small");
            let number = format!("top-up-{}", self.top_ups.len());
            self.top_ups.push(TopUp { person, number, minor, id: None, asked_by: 0 });
            self.top_ups.len() - 1
        };
        let top_up = &mut self.top_ups[n];
        top_up.asked_by += 1;
        let person = &self.people[top_up.person];
        let (number, amount) = (top_up.number.clone(), fen(top_up.minor));
        let command = StartTopUp {
            person: person.id,
            number,
            card: person.card,
            at: None,
            amount,
            confirmed: pin(PIN).into(),
        };
        self.fly(About::TopUp(n), command);
    }

    /// A page's read. A failing disk may be in the way.
    pub(super) fn page<T>(
        &self,
        work: impl FnOnce(&koudai_store::Reader) -> Result<T, koudai_store::StoreError>,
    ) -> Result<Option<T>, Finding> {
        let Some(engine) = &self.engine else { return Ok(None) };
        match engine.read(work) {
            Ok(seen) => Ok(Some(seen)),
            Err(_) if self.brittle => Ok(None),
            Err(error) => Err(format!("a page cannot be read: {error:?}")),
        }
    }

    /// The courier calls the bank about what is due.
    pub(super) fn call_the_bank(&mut self) -> Result<(), Finding> {
        let now = self.clock.now().plus(HOUR);
        let due = self.page(|r| r.due_attempts(now, 3))?.unwrap_or_default();
        for open in due {
            if !self.outside.calling.insert(open.attempt) {
                continue;
            }
            let Some(Some(attempt)) = self.page(|r| r.get::<Attempt>(&open.attempt))? else {
                self.outside.calling.remove(&open.attempt);
                continue;
            };
            match self.outside.call(&mut self.dice, &attempt, self.calm) {
                Heard::Nothing => {
                    let unknown = AttemptUnknown { attempt: attempt.id, due: open.next_at };
                    self.fly(About::Unknown(attempt.id), unknown);
                }
                Heard::Done(done) => {
                    let outcome = match done {
                        Done::Succeeded => Outcome::Succeeded { network_ref: "bank-2".to_owned() },
                        Done::Refused => Outcome::Failed(Outside::REFUSAL),
                    };
                    self.fly(About::End(attempt.id), EndAttempt { attempt: attempt.id, outcome });
                }
            }
        }
        Ok(())
    }

    /// The courier tells a merchant its next events.
    pub(super) fn tell(&mut self) -> Result<(), Finding> {
        let mchid = self.merchants[self.dice.below(self.merchants.len())];
        if !self.outside.telling.insert(mchid) {
            return Ok(());
        }
        let next = self.page(|r| {
            let told = r.get::<NoticeCursor>(&mchid)?.map_or(Seq(0), |cursor| cursor.told);
            r.merchant_journals(mchid, told, AT_ONCE)
        })?;
        let journals = next.unwrap_or_default();
        let Some(told) = journals.last().map(|journal| journal.seq) else {
            self.outside.telling.remove(&mchid);
            return Ok(());
        };
        let events = journals.iter().filter(|journal| journal.kind.is_told()).map(|journal| journal.seq);
        let (dice, outside, calm) = (&mut self.dice, &mut self.outside, self.calm);
        let failed: Vec<Seq> = events.filter(|seq| !outside.tell(dice, (mchid, *seq), calm)).collect();
        self.fly(About::Told(mchid), RecordTold { mchid, told, failed, parked: vec![], log: vec![] });
        Ok(())
    }

    /// The courier tries again what failed.
    pub(super) fn retry(&mut self) -> Result<(), Finding> {
        let now = self.clock.now().plus(HOUR);
        for retry in self.page(|r| r.due_retries(now, 3))?.unwrap_or_default() {
            let key = retry.key;
            let event = (key.mchid, key.seq);
            if self.outside.retrying.insert(event) {
                let answered = self.outside.tell(&mut self.dice, event, self.calm);
                self.fly(About::Retry(key.mchid, key.seq), RecordRetry { key, answered, tried: None });
            }
        }
        Ok(())
    }
}
