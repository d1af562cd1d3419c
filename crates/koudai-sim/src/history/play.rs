//! What people, merchants and the courier do, what they hear, and how the auditor judges it.

use koudai_core::attempt::{AttemptUnknown, EndAttempt, Outcome};
use koudai_core::id::{AttemptId, MchId, OrderId, Seq};
use koudai_core::ledger::AccountId;
use koudai_core::notice::{RecordRetry, RecordTold};
use koudai_core::payment::Pay;
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptNumber, AttemptState, ClientNumber, NoticeCursor, OrderNumber, OrderState,
    OutRefundNo, OutTradeNo, RefundNumber,
};
use koudai_core::time::HOUR;
use koudai_core::top_up::StartTopUp;
use koudai_engine::by_hand::Step;

use super::books::{Finding, check, read};
use super::cast::{fen, order, pin};
use super::flight::{About, Flight, Known, Said, Why, send};
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
            0..10 => self.place(),
            10..30 => self.pay(),
            30..33 => self.refund(),
            33 | 34 => self.top_up(),
            35 | 36 => return self.call_the_bank(),
            37 | 38 => return self.tell(),
            _ => return self.retry(),
        }
        Ok(())
    }

    fn fly<C: Known>(&mut self, about: About, command: C)
    where
        Why: From<C::Refusal>,
    {
        if let Some(engine) = &self.engine {
            self.flights.push(send(engine, about, command));
        }
    }

    fn is_flying(&self, which: impl Fn(&About) -> bool) -> bool {
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
            let command = Pay { person: by.id, order, card: card.then_some(by.card), pin: pin(PIN) };
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
        let command = StartTopUp { person: person.id, number, card: person.card, amount, pin: pin(PIN) };
        self.fly(About::TopUp(n), command);
    }

    /// A page's read. A failing disk may be in the way.
    fn page<T>(
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
    fn call_the_bank(&mut self) -> Result<(), Finding> {
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
                    self.fly(About::Unknown(attempt.id), AttemptUnknown { attempt: attempt.id });
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
    fn tell(&mut self) -> Result<(), Finding> {
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
        self.fly(About::Told(mchid), RecordTold { mchid, told, failed });
        Ok(())
    }

    /// The courier tries again what failed.
    fn retry(&mut self) -> Result<(), Finding> {
        let now = self.clock.now().plus(HOUR);
        for retry in self.page(|r| r.due_retries(now, 3))?.unwrap_or_default() {
            let key = retry.key;
            let event = (key.mchid, key.seq);
            if self.outside.retrying.insert(event) {
                let answered = self.outside.tell(&mut self.dice, event, self.calm);
                self.fly(About::Retry(key.mchid, key.seq), RecordRetry { key, answered });
            }
        }
        Ok(())
    }

    /// What came back of what is on its way. It is judged by books that are up to date, or later.
    pub(super) fn hear(&mut self) -> Result<(), Finding> {
        if !self.follow()? {
            return Ok(());
        }
        let mut heard = vec![];
        self.flights.retain_mut(|flight: &mut Flight| match flight.look() {
            Some(said) => {
                heard.push((flight.about.clone(), said));
                false
            }
            None => true,
        });
        for (about, said) in heard {
            if matches!(said, Said::Lost) {
                self.report.lost += 1;
            } else {
                self.report.answered += 1;
            }
            self.judge(&about, &said).map_err(|finding| format!("{about:?}: {finding}"))?;
        }
        Ok(())
    }

    /// Whether what was said is true.
    fn judge(&mut self, about: &About, said: &Said) -> Result<(), Finding> {
        match about {
            About::Place(n) => self.judge_order(*n, said),
            About::Pay { person, order, card } => self.judge_payment(*person, *order, *card, said),
            About::Refund(n) => self.judge_refund(*n, said),
            About::TopUp(n) => self.judge_top_up(*n, said),
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
    fn know(&mut self, id: i64, thing: &str) -> Result<(), Finding> {
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

    /// Lets everything come to its end, with nothing going wrong any more.
    pub(super) fn settle(&mut self) -> Result<(), Finding> {
        self.calm_down()?;
        for _ in 0..20_000 {
            self.call_the_bank()?;
            self.tell()?;
            self.retry()?;
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
