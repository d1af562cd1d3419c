//! Orders and their refunds: that each has what belongs to it and nothing else, and that they add up.

use koudai_core::id::{AttemptId, MchId};
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, CodePayment, Merchant, Order, OrderNumber, OrderState, OutRefundNo,
    OutTradeNo, Product, Refund, RefundNumber, RefundState, RefundWay, ReversedNumber,
};
use koudai_store::{Range, Reader};

use super::attempts::distinct;
use super::claims::{self, Claims, order_name, refund_name};
use super::numbers::{self, suspected};
use super::people::People;
use super::start::{ById, Ids, Start};
use super::tally::{Marks, Suspects, Tally};
use super::{CHUNK, Found, Report, Stage, Wrong, broken, check};

const ORDER_NUMBER: &str = "an order has one number";
const REFUND_NUMBER: &str = "a refund has one number";
const REVERSED_NUMBER: &str = "a number that was reversed before its order stands for none";
const CODE_PAYMENT: &str = "an order paid by a payer's code, and no other, says whose code it was";

/// What of an order its refunds have given back so far.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Back {
    minor: i128,
    fee_minor: i128,
    count: u64,
}

/// Which orders and refunds have which numbers, as the rows themselves say or as the tables of numbers do.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) orders: Tally,
    pub(super) refunds: Tally,
}

/// Up to where numbers are counted, and how: what was added since is not there on both sides.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    marks: Marks,
    newest_order: i64,
    newest_refund: i64,
}

impl Counted {
    pub(super) fn new(start: &Start) -> Self {
        let (newest_order, newest_refund) = (start.newest_order, start.newest_refund);
        Self { marks: start.marks.clone(), newest_order, newest_refund }
    }

    fn mark(&self, mchid: MchId, number: &str, of: i64) -> u64 {
        self.marks.of_text(&[mchid.0, of], number.as_bytes())
    }

    fn order(&self, to: &mut Numbers, mchid: MchId, number: &str, order: i64) {
        if order <= self.newest_order {
            to.orders.add(order, self.mark(mchid, number, order));
        }
    }

    fn refund(&self, to: &mut Numbers, mchid: MchId, number: &str, refund: i64) {
        if refund <= self.newest_refund {
            to.refunds.add(refund, self.mark(mchid, number, refund));
        }
    }

    /// What the tables of numbers say.
    pub(super) fn read(&self, reader: &Reader) -> Result<Numbers, Wrong> {
        let mut said = Numbers::default();
        reader.each_in_parts(|row: OrderNumber| {
            self.order(&mut said, row.key.mchid, &row.key.out_trade_no, row.order.0);
            Ok::<_, Wrong>(())
        })?;
        reader.each_in_parts(|row: RefundNumber| {
            self.refund(&mut said, row.key.mchid, &row.key.out_refund_no, row.refund.0);
            Ok::<_, Wrong>(())
        })?;
        Ok(said)
    }
}

impl Counted {
    /// Names what is wrong with the numbers of orders.
    pub(super) fn look_at_orders(&self, reader: &Reader, suspects: &Suspects, counts: [u64; 2]) -> Wrong {
        let is = |order: &Order| order.id.0 <= self.newest_order && suspects.contains(order.id.0);
        let look = || {
            for order in suspected(reader, is)? {
                let key = OutTradeNo { mchid: order.mchid, out_trade_no: order.out_trade_no.to_string() };
                let row = reader.get::<OrderNumber>(&key)?;
                check(row.is_some_and(|row| row.order == order.id), ORDER_NUMBER, || order_name(&order))?;
            }
            let is =
                |number: &ReversedNumber| number.id.0 <= self.newest_order && suspects.contains(number.id.0);
            for number in suspected(reader, is)? {
                let name = || format!("reversed number {} ({})", number.id.0, number.out_trade_no);
                let key = OutTradeNo { mchid: number.mchid, out_trade_no: number.out_trade_no.clone() };
                let row = reader.get::<OrderNumber>(&key)?;
                check(row.is_some_and(|row| row.order == number.id), REVERSED_NUMBER, name)?;
            }
            Ok(())
        };
        let more = || broken(ORDER_NUMBER, format!("{} orders, {} numbers", counts[0], counts[1]));
        look().err().unwrap_or_else(more)
    }

    /// Names what is wrong with the numbers of refunds.
    pub(super) fn look_at_refunds(&self, reader: &Reader, suspects: &Suspects, counts: [u64; 2]) -> Wrong {
        let is = |refund: &Refund| refund.id.0 <= self.newest_refund && suspects.contains(refund.id.0);
        let leads_back = |refund: &Refund| {
            let key = OutRefundNo { mchid: refund.mchid, out_refund_no: refund.out_refund_no.clone() };
            Ok(reader.get::<RefundNumber>(&key)?.is_some_and(|row| row.refund == refund.id))
        };
        let otherwise = format!("{} refunds, {} numbers", counts[0], counts[1]);
        numbers::look(reader, is, REFUND_NUMBER, leads_back, refund_name, otherwise)
    }
}

/// An order, its refunds and the calls of both, as they stand at one moment.
struct Family<'a> {
    order: &'a Order,
    refunds: &'a [Refund],
    attempts: &'a ById<Attempt>,
    code: Option<&'a CodePayment>,
}

/// A chunk of orders and what refers to them.
#[derive(Default)]
struct Chunk {
    orders: Vec<Order>,
    /// By order, and of each order in the sequence they were accepted in: ids rise with time.
    refunds: Vec<Refund>,
    attempts: ById<Attempt>,
    codes: ById<CodePayment>,
}

impl Chunk {
    fn read(reader: &Reader, after: Option<i64>) -> Result<(Self, Range), Wrong> {
        let (orders, range) = reader.rows_after(after, CHUNK)?;
        let mut chunk = Self { orders, ..Self::default() };
        reader.each_by("order", range, |refund: Refund| {
            chunk.refunds.push(refund);
            Ok::<_, Wrong>(())
        })?;
        reader.each_by("order", range, |payment: CodePayment| {
            chunk.codes.insert(payment.order.0, payment);
            Ok::<_, Wrong>(())
        })?;
        let called = chunk.orders.iter().filter_map(|order| order.attempt);
        let wanted = distinct(called.chain(chunk.refunds.iter().filter_map(|r| r.attempt)).map(|id| id.0));
        chunk.attempts.extend(reader.those::<Attempt>(&wanted)?.into_iter().map(|row| (row.id.0, row)));
        Ok((chunk, range))
    }
}

/// The pass over orders and refunds.
pub(super) struct Orders<'a> {
    pub(super) people: &'a People,
    pub(super) counted: Counted,
    pub(super) claims: &'a mut Claims,
    pub(super) report: &'a mut Report,
    pub(super) found: &'a mut Found,
    pub(super) merchants: Ids,
    pub(super) numbers: Numbers,
}

impl Orders<'_> {
    /// Checks every order with its refunds.
    pub(super) fn run(&mut self, reader: &Reader) -> Result<(), Wrong> {
        reader.each_in_parts(|row: ReversedNumber| {
            self.counted.order(&mut self.numbers, row.mchid, &row.out_trade_no, row.id.0);
            Ok::<_, Wrong>(())
        })?;
        let mut after = None;
        loop {
            // An order and what refers to it change in one commit, so they are read in one view.
            let range = reader.snapshot(|reader| {
                let (chunk, range) = Chunk::read(reader, after)?;
                self.take(reader, &chunk)?;
                Ok::<_, Wrong>(range)
            })?;
            after = range.to;
            if after.is_none() || self.found.has(Stage::Orders) {
                return Ok(());
            }
        }
    }

    fn take(&mut self, reader: &Reader, chunk: &Chunk) -> Result<(), Wrong> {
        self.report.orders += chunk.orders.len();
        self.report.refunds += chunk.refunds.len();
        let mut refunds = &chunk.refunds[..];
        let mut codes = 0;
        for order in &chunk.orders {
            let strays = refunds.partition_point(|refund| refund.order < order.id);
            self.note_strays(&refunds[..strays]);
            let its = refunds[strays..].partition_point(|refund| refund.order == order.id);
            let code = chunk.codes.get(&order.id.0);
            codes += usize::from(code.is_some());
            let refunded = &refunds[strays..strays + its];
            let family = Family { order, refunds: refunded, attempts: &chunk.attempts, code };
            refunds = &refunds[strays + its..];
            self.take_family(reader, &family)?;
        }
        self.note_strays(refunds);
        if codes != chunk.codes.len() {
            let known = |id: &i64| chunk.orders.iter().any(|order| order.id.0 == *id);
            let stray = chunk.codes.keys().filter(|id| !known(id)).min().copied().unwrap_or_default();
            let wrong = broken(CODE_PAYMENT, format!("code payment of order {stray}"));
            self.found.note(Stage::Orders, Err::<(), _>(wrong));
        }
        Ok(())
    }

    /// Refunds of orders that are not there.
    fn note_strays(&mut self, refunds: &[Refund]) {
        if let Some(refund) = refunds.first() {
            self.found.note(Stage::Refunds, Err::<(), _>(broken(PAID_ORDER, refund_name(refund))));
        }
    }

    fn take_family(&mut self, reader: &Reader, family: &Family<'_>) -> Result<(), Wrong> {
        let order = family.order;
        self.counted.order(&mut self.numbers, order.mchid, &order.out_trade_no, order.id.0);
        for refund in family.refunds {
            self.counted.refund(&mut self.numbers, refund.mchid, &refund.out_refund_no, refund.id.0);
        }
        let knows_payer = match order.payer {
            Some(payer) => self.people.knows(reader, payer)?,
            None => true,
        };
        let knows_meant = match order.meant_for {
            Some(person) => self.people.knows(reader, person)?,
            None => true,
        };
        let knows_shower = match family.code {
            Some(code) => self.people.knows(reader, code.person)?,
            None => true,
        };
        let knows_merchant = self.knows_merchant(reader, order.mchid)?;
        let checked = check(knows_merchant, "an order has its merchant", || order_name(order))
            .and_then(|()| check(knows_payer, "who pays is a person", || order_name(order)))
            .and_then(|()| check(knows_meant, "who an order is meant for is a person", || order_name(order)))
            .and_then(|()| check(knows_shower, "who shows a code is a person", || order_name(order)))
            .and_then(|()| family.check_order())
            .and_then(|()| family.check_code());
        if self.found.note(Stage::Orders, checked).is_none() {
            return Ok(());
        }
        self.found.note(Stage::Refunds, family.check_refunds());
        self.found.note(Stage::RefundSums, family.check_sums());
        if was_paid(order) {
            self.report.paid += 1;
        }
        if self.found.is_empty() {
            family.claim(self.claims)?;
        }
        Ok(())
    }

    fn knows_merchant(&mut self, reader: &Reader, mchid: MchId) -> Result<bool, Wrong> {
        if !self.merchants.contains(&mchid.0) && reader.get::<Merchant>(&mchid)?.is_some() {
            self.merchants.insert(mchid.0);
        }
        Ok(self.merchants.contains(&mchid.0))
    }
}

/// Whether it was paid, and perhaps given back since.
pub(super) fn was_paid(order: &Order) -> bool {
    order.state == OrderState::Paid || order.state == OrderState::Reversed && order.paid_at.is_some()
}

const PAID_ORDER: &str = "a refund has its paid order";

impl Family<'_> {
    fn attempt(&self, id: Option<AttemptId>) -> Option<&Attempt> {
        id.and_then(|id| self.attempts.get(&id.0))
    }

    fn check_order(&self) -> Result<(), Wrong> {
        let order = self.order;
        let name = || order_name(order);
        let attempt = self.attempt(order.attempt);
        let by_card = attempt.is_some_and(|a| {
            a.kind == AttemptKind::CardPayment
                && (a.order, Some(a.person), Some(a.card)) == (Some(order.id), order.payer, order.card)
        });
        let meant = order.meant_for.is_none() || order.payer.is_none() || order.payer == order.meant_for;
        check(meant, "an order is paid by the person it is meant for", name)?;
        let whose = order.product != Product::Static || order.meant_for.is_some();
        check(whose, "an order of a printed code is meant for whoever made it", name)?;
        let is = |state| attempt.is_some_and(|a| a.state == state);
        let nobody = order.payer.is_none() && order.card.is_none() && order.attempt.is_none();
        match order.state {
            OrderState::Unpaid | OrderState::Closed | OrderState::Failed => {
                check(nobody, "an order that nobody pays names no payer", name)?;
            }
            OrderState::Confirming => {
                let asked = order.payer.is_some() && order.card.is_none() && order.attempt.is_none();
                check(asked, "an order that waits for its payer names nobody else", name)?;
            }
            OrderState::Reversed if !was_paid(order) => {
                let fits = nobody || by_card && is(AttemptState::Open);
                check(
                    fits,
                    "a reversed order that was not paid names no payer but one whose bank is asked",
                    name,
                )?;
            }
            OrderState::Paying => {
                let fits = by_card && is(AttemptState::Open);
                check(fits, "an order being paid has its open card payment", name)?;
            }
            OrderState::Paid | OrderState::Reversed => {
                let has = order.payer.is_some() && order.paid_at.is_some() && order.paid_seq.is_some();
                check(has, "a paid order has its payer", name)?;
                let by_balance = order.card.is_none() && order.attempt.is_none();
                let fits = by_balance || by_card && is(AttemptState::Succeeded);
                check(fits, "a paid order has the card payment that paid it, or none", name)?;
            }
        }
        let currency = order.amount.currency();
        let one = [order.fee, order.refunded, order.fee_returned].iter().all(|m| m.currency() == currency);
        check(one, "an order has one currency", name)?;
        check(order.fee.minor() <= order.amount.minor(), "a fee is at most its order's amount", name)?;
        let nothing = order.paid_at.is_none()
            && order.paid_seq.is_none()
            && order.refunds == 0
            && [order.fee, order.refunded, order.fee_returned].iter().all(|m| m.is_zero());
        let fits = nothing || was_paid(order);
        check(fits, "an order that is not paid has no payment, fee or refund", name)
    }

    /// That a code payment says whose code it was, and that one taken back has been given back whole.
    fn check_code(&self) -> Result<(), Wrong> {
        let order = self.order;
        let name = || order_name(order);
        let by_code = order.product == Product::CodePay;
        check(self.code.is_some() == by_code, CODE_PAYMENT, name)?;
        let Some(code) = self.code else {
            let other =
                !matches!(order.state, OrderState::Confirming | OrderState::Failed | OrderState::Reversed);
            return check(other, "only code payments are asked about, fail or are reversed", name);
        };
        let states = !matches!(order.state, OrderState::Unpaid | OrderState::Closed);
        check(states, "a code payment is never open to others, and not closed", name)?;
        let his = order.payer.is_none_or(|payer| payer == code.person);
        check(his, "a code payment is paid by whose code it was", name)?;
        let reversed = order.state == OrderState::Reversed;
        check(code.reversed_at.is_some() == reversed, "a reversed order has its time", name)?;
        let whole = !reversed || !was_paid(order) || order.refunded == order.amount;
        check(whole, "a reversed order that was paid is given back whole", name)?;
        let failed = code.failure.is_some() == (order.state == OrderState::Failed);
        let again = matches!(order.state, OrderState::Confirming | OrderState::Reversed);
        check(failed || again, "a failed code payment says why", name)
    }

    /// That each refund goes back the way its order was paid, and that together they give back their share.
    fn check_refunds(&self) -> Result<(), Wrong> {
        let order = self.order;
        let by_card = self.attempt(order.attempt).map_or(0, |paid| i128::from(paid.amount.minor()));
        let mut back = Back::default();
        for refund in self.refunds {
            let name = || refund_name(refund);
            check(was_paid(order), PAID_ORDER, name)?;
            let call = self.attempt(refund.attempt);
            // The card is given back to first, up to what it paid, and then the balance.
            let to_card = |back: i128| back.min(by_card);
            let card_part = to_card(back.minor + i128::from(refund.amount.minor())) - to_card(back.minor);
            let card = order.card.filter(|_| card_part > 0);
            let way = "a refund goes from the order's merchant back to its payer, the way it was paid";
            let fits = (refund.mchid, Some(refund.payer), refund.card) == (order.mchid, order.payer, card);
            check(fits, way, name)?;
            let called =
                call.is_some_and(|a| a.kind == AttemptKind::CardRefund && a.refund == Some(refund.id));
            let fits = if refund.card.is_some() { called } else { refund.attempt.is_none() };
            check(fits, "a refund to a card has its call, and one to the balance has none", name)?;
            check(call.map_or(0, |call| i128::from(call.amount.minor())) == card_part, way, name)?;
            let success = refund.state == RefundState::Success;
            check(refund.card.is_some() || success, "a refund to the balance is immediate", name)?;
            check(refund.success_at.is_some() == success, "a refund that arrived has its time", name)?;
            let refused = call.is_some_and(|a| a.state == AttemptState::Failed);
            let fits = refund.way == RefundWay::Original || success && refused;
            check(fits, "only a refund that its bank refused goes elsewhere", name)?;
            let currency = order.amount.currency();
            let one = refund.amount.currency() == currency && refund.fee_returned.currency() == currency;
            check(one, "an order has one currency", name)?;
            back.add(refund);
            let amount = i128::from(order.amount.minor());
            check(back.minor <= amount, "no more is refunded than was paid", name)?;
            // The fee goes back cumulatively: a whole refund gives back the whole fee, however it was cut.
            let share = (i128::from(order.fee.minor()) * back.minor).checked_div(amount);
            let fits = Some(back.fee_minor) == share;
            check(fits, "refunds give back their share of the fee, rounded down", name)?;
        }
        Ok(())
    }

    fn check_sums(&self) -> Result<(), Wrong> {
        let order = self.order;
        let says = Back {
            minor: order.refunded.minor().into(),
            fee_minor: order.fee_returned.minor().into(),
            count: order.refunds.into(),
        };
        let mut back = Back::default();
        self.refunds.iter().for_each(|refund| back.add(refund));
        check(says == back, "an order's refunds are those that refer to it", || order_name(order))
    }

    fn claim(&self, claims: &mut Claims) -> Result<(), Wrong> {
        if was_paid(self.order) {
            claims.expect(&claims::of_payment(self.order, self.attempt(self.order.attempt))?);
        }
        for refund in self.refunds {
            let dues = claims::of_refund(refund, self.attempt(refund.attempt));
            dues.iter().flatten().for_each(|due| claims.expect(due));
        }
        Ok(())
    }
}

impl Back {
    fn add(&mut self, refund: &Refund) {
        self.minor += i128::from(refund.amount.minor());
        self.fee_minor += i128::from(refund.fee_returned.minor());
        self.count += 1;
    }
}
