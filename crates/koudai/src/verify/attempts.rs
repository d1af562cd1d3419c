//! Calls to networks: what they are for, and that each stands as what it is for does.

use koudai_core::id::{AttemptId, PersonId};
use koudai_core::ledger::NetworkId;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptNumber, AttemptState, OpenAttempt, Order, OrderState, Product, Refund,
    RefundState, RefundWay, Withdrawal,
};
use koudai_store::{Range, Reader};

use super::claims::{self, Claims, attempt_name};
use super::numbers;
use super::orders::was_paid;
use super::people::People;
use super::start::{ById, Ids};
use super::tally::{Marks, Suspects, Tally};
use super::{CHUNK, Report, Wrong, broken, check};

const NUMBER: &str = "a top-up has one number";

/// A chunk of calls and the rows they name.
#[derive(Default)]
struct Known {
    attempts: ById<Attempt>,
    orders: ById<Order>,
    refunds: ById<Refund>,
    withdrawals: ById<Withdrawal>,
    open: Ids,
}

/// Ids in order, each once.
pub(super) fn distinct(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Known {
    fn read(reader: &Reader, chunk: &[Attempt], range: Range) -> Result<Self, Wrong> {
        let mut known = Self::default();
        reader.each_by("attempt", range, |row: OpenAttempt| {
            known.open.insert(row.attempt.0);
            Ok::<_, Wrong>(())
        })?;
        let of = |kind: AttemptKind| chunk.iter().filter(move |attempt| attempt.kind == kind);
        let wanted = distinct(of(AttemptKind::CardRefund).filter_map(|a| a.refund).map(|id| id.0));
        known.refunds.extend(reader.those::<Refund>(&wanted)?.into_iter().map(|row| (row.id.0, row)));
        let paid = of(AttemptKind::CardPayment).filter_map(|a| a.order).map(|id| id.0);
        let refunded = known.refunds.values().map(|refund| refund.order.0);
        let wanted = distinct(paid.chain(refunded));
        known.orders.extend(reader.those::<Order>(&wanted)?.into_iter().map(|row| (row.id.0, row)));
        let refunded = known.refunds.values().filter_map(|refund| known.orders.get(&refund.order.0));
        let wanted = distinct(refunded.filter_map(|order| order.attempt).map(|id| id.0));
        known.attempts.extend(reader.those::<Attempt>(&wanted)?.into_iter().map(|row| (row.id.0, row)));
        let wanted = distinct(of(AttemptKind::Payout).filter_map(|a| a.withdrawal).map(|id| id.0));
        known.withdrawals.extend(reader.those::<Withdrawal>(&wanted)?.into_iter().map(|row| (row.id.0, row)));
        Ok(known)
    }
}

/// Checks every call. What the top-ups among them claim, and which of them there are.
pub(super) fn run(
    reader: &Reader,
    people: &People,
    claims: &mut Claims,
    newest: i64,
    marks: &Marks,
    report: &mut Report,
) -> Result<Tally, Wrong> {
    let mut top_ups = Tally::default();
    let mut after = None;
    loop {
        // What a call and what it is for say changes in one commit, so both are read in one view.
        let range = reader.snapshot(|reader| {
            let (chunk, range) = reader.rows_after::<Attempt>(after, CHUNK)?;
            let mut known = Known::read(reader, &chunk, range)?;
            report.open_attempts += known.open.len();
            for attempt in &chunk {
                known.check(attempt, people.card(reader, attempt.card)?)?;
                if attempt.kind != AttemptKind::TopUp {
                    continue;
                }
                if attempt.id.0 <= newest {
                    top_ups.add(attempt.id.0, number_mark(marks, attempt.id, attempt.person));
                }
                if attempt.state == AttemptState::Succeeded {
                    claims.expect(&claims::of_top_up(attempt));
                }
            }
            for attempt in chunk.iter().filter(|a| a.kind == AttemptKind::CardPayment) {
                if let Some(order) = attempt.order.and_then(|id| known.orders.get(&id.0)) {
                    claims::of_split(attempt, order).iter().flatten().for_each(|due| claims.expect(due));
                }
            }
            for attempt in &chunk {
                known.open.remove(&attempt.id.0);
            }
            let orphan = known.open.iter().min();
            check(orphan.is_none(), "what is due belongs to an attempt", || {
                orphan.map_or_else(String::new, |id| format!("attempt {id}"))
            })?;
            Ok::<_, Wrong>(range)
        })?;
        after = range.to;
        if after.is_none() {
            return Ok(top_ups);
        }
    }
}

/// The mark of a number that belongs to a top-up of a person.
fn number_mark(marks: &Marks, attempt: AttemptId, person: PersonId) -> u64 {
    marks.of_numbers(&[attempt.0, person.0])
}

/// The numbers of top-ups, as their table says.
pub(super) fn read_numbers(reader: &Reader, newest: i64, marks: &Marks) -> Result<Tally, Wrong> {
    numbers::read(reader, newest, |row: &AttemptNumber| {
        (row.attempt.0, number_mark(marks, row.attempt, row.key.person))
    })
}

/// Names what is wrong with the numbers of top-ups.
pub(super) fn look_at_numbers(reader: &Reader, newest: i64, suspects: &Suspects, counts: [u64; 2]) -> Wrong {
    let mut numbers = vec![];
    let read = reader.each(|row: AttemptNumber| {
        if row.attempt.0 <= newest && suspects.contains(row.attempt.0) {
            numbers.push(row);
        }
        Ok::<_, Wrong>(())
    });
    let look = || {
        read?;
        for row in &numbers {
            let attempt = reader.get::<Attempt>(&row.attempt)?;
            let fits = attempt.is_some_and(|a| a.kind == AttemptKind::TopUp && a.person == row.key.person);
            check(fits, NUMBER, || format!("attempt {}", row.attempt.0))?;
        }
        Ok(())
    };
    look().err().unwrap_or_else(|| broken(NUMBER, format!("{} top-ups, {} numbers", counts[0], counts[1])))
}

/// Whether a call is about no order, refund or other call.
const fn is_alone(attempt: &Attempt) -> bool {
    attempt.order.is_none() && attempt.refund.is_none() && attempt.original.is_none()
}

impl Known {
    fn check(&self, attempt: &Attempt, card: Option<(PersonId, NetworkId)>) -> Result<(), Wrong> {
        let name = || attempt_name(attempt);
        let is_open = attempt.state == AttemptState::Open;
        let due = self.open.contains(&attempt.id.0);
        check(due == is_open, "an open attempt is due, an ended one is not", name)?;
        let outcome = (attempt.ended_at.is_some(), attempt.network_ref.is_some(), attempt.refusal.is_some());
        let fits = match attempt.state {
            AttemptState::Open => outcome == (false, false, false),
            AttemptState::Succeeded => outcome == (true, true, false),
            AttemptState::Failed => outcome == (true, false, true),
        };
        check(fits, "an ended attempt has its time and its outcome", name)?;
        let fits = card == Some((attempt.person, attempt.network));
        check(fits, "an attempt is made at its person's card and the card's network", name)?;
        let belongs = attempt.withdrawal.is_some() == (attempt.kind == AttemptKind::Payout)
            && (attempt.fee.is_zero() || attempt.kind == AttemptKind::TopUp);
        check(belongs, "only a payout has a withdrawal, and only a top-up a fee", name)?;
        match attempt.kind {
            AttemptKind::TopUp => {
                check(is_alone(attempt), "a top-up is about no order", name)?;
                let covered = attempt.fee.minor() <= attempt.amount.minor();
                check(covered, "a top-up's fee is part of what arrives", name)
            }
            AttemptKind::Payout => self.check_payout(attempt),
            AttemptKind::CardPayment => self.check_card_payment(attempt),
            AttemptKind::CardRefund => self.check_card_refund(attempt),
        }
    }

    fn check_payout(&self, attempt: &Attempt) -> Result<(), Wrong> {
        let name = || attempt_name(attempt);
        check(is_alone(attempt), "a payout is about no order", name)?;
        let withdrawal = attempt.withdrawal.and_then(|id| self.withdrawals.get(&id.0));
        let has_it = withdrawal.is_some_and(|withdrawal| withdrawal.attempt == Some(attempt.id));
        check(has_it, "a payout has its withdrawal", name)
    }

    fn check_card_payment(&self, attempt: &Attempt) -> Result<(), Wrong> {
        let name = || attempt_name(attempt);
        let Some(order) = attempt.order.and_then(|id| self.orders.get(&id.0)) else {
            return Err(broken("a card payment has its order", name()));
        };
        let part = attempt.amount == order.amount
            || order.product != Product::CodePay && attempt.amount.minor() < order.amount.minor();
        let fits = part && attempt.amount.currency() == order.amount.currency() && !attempt.amount.is_zero();
        let fits = fits && attempt.refund.is_none() && attempt.original.is_none();
        check(fits, "a card payment asks for its order's amount, or a part of it", name)?;
        let has_it = order.attempt == Some(attempt.id);
        let fits = match attempt.state {
            AttemptState::Open => {
                let reversed = order.state == OrderState::Reversed && order.paid_at.is_none();
                has_it && (order.state == OrderState::Paying || reversed)
            }
            AttemptState::Succeeded => has_it && was_paid(order) && order.paid_at == attempt.ended_at,
            AttemptState::Failed => !has_it,
        };
        check(fits, "an order's state is that of its card payment", name)
    }

    fn check_card_refund(&self, attempt: &Attempt) -> Result<(), Wrong> {
        let name = || attempt_name(attempt);
        let Some(refund) = attempt.refund.and_then(|id| self.refunds.get(&id.0)) else {
            return Err(broken("a card refund has its refund", name()));
        };
        let part = attempt.amount.minor() <= refund.amount.minor() && !attempt.amount.is_zero();
        check(part, "a card refund brings its refund's amount, or a part of it", name)?;
        let order = self.orders.get(&refund.order.0);
        let paid_by = order.and_then(|o| o.attempt).and_then(|id| self.attempts.get(&id.0));
        let back = paid_by.is_some_and(|paid| {
            attempt.order == Some(refund.order)
                && attempt.original == Some(paid.id)
                && (attempt.person, attempt.card, attempt.network) == (paid.person, paid.card, paid.network)
        });
        check(back, "a card refund goes back to the card payment of its order", name)?;
        let fits = match attempt.state {
            AttemptState::Open => refund.state == RefundState::Processing,
            AttemptState::Succeeded => {
                refund.state == RefundState::Success
                    && refund.way == RefundWay::Original
                    && refund.success_at == attempt.ended_at
            }
            AttemptState::Failed => {
                refund.state == RefundState::Abnormal || refund.way != RefundWay::Original
            }
        };
        let brings = fits && refund.attempt == Some(attempt.id);
        check(brings, "a refund's state is that of the call that brings it", name)
    }
}
