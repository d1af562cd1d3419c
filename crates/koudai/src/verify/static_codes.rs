//! What was paid by printed codes: that each source is counted right on the newest day, and that a guest has the one thing they pay
//! with.

use std::collections::HashMap;

use koudai_core::card::CardKind;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Card, Guest, Order, Product, StaticCode, StaticTally,
};
use koudai_core::static_code::SourceId;
use koudai_core::time::{HOUR, Timestamp};
use koudai_store::{Range, Reader};

use super::start::ById;
use super::{Wrong, check};

const HAS: &str = "a guest has one thing to pay with, at their wallet";

/// Checks guests, codes and what is counted.
pub(super) fn run(reader: &Reader) -> Result<(), Wrong> {
    check_guests(reader)?;
    reader.each(|code: StaticCode| {
        let name = || format!("printed code of {}, made at {}", code.mchid.0, code.created_at.0);
        let ends = code.revoked_at.is_none_or(|at| at >= code.created_at);
        check(ends, "a printed code ends after it was made", name)
    })?;
    check_tallies(reader)
}

/// A guest has what they pay with, at their own wallet, and nothing else.
fn check_guests(reader: &Reader) -> Result<(), Wrong> {
    reader.snapshot(|reader| {
        let mut guests: ById<(Guest, usize)> = ById::default();
        reader.each(|guest: Guest| {
            guests.insert(guest.id.0, (guest, 0));
            Ok::<_, Wrong>(())
        })?;
        if guests.is_empty() {
            return Ok(());
        }
        reader.each(|card: Card| {
            let Some((guest, cards)) = guests.get_mut(&card.person.0) else { return Ok(()) };
            *cards += 1;
            let theirs =
                card.kind == CardKind::Wallet && card.network == guest.network && card.removed_at.is_none();
            check(theirs, HAS, || format!("card {}", card.id.0))
        })?;
        let without = guests.values().filter(|(_, cards)| *cards != 1).map(|(guest, _)| guest.id.0).min();
        check(without.is_none(), HAS, || without.map_or_else(String::new, |id| format!("guest {id}")))
    })
}

/// What is counted of the newest day that any source has a tally of; what older tallies say decides nothing any more.
fn check_tallies(reader: &Reader) -> Result<(), Wrong> {
    reader.snapshot(|reader| {
        let mut tallies: ById<StaticTally> = ById::default();
        reader.each(|row: StaticTally| {
            tallies.insert(row.source.0, row);
            Ok::<_, Wrong>(())
        })?;
        let Some(day) = tallies.values().map(|row| row.day).max() else { return Ok(()) };
        tallies.retain(|_, row| row.day == day);
        let mut sums: HashMap<i64, (i64, u16)> = HashMap::new();
        let counts = |source: SourceId, at: Timestamp| {
            let since = tallies.get(&source.0).map(|row| row.since);
            at.china_day() == day && since.is_some_and(|since| at >= since)
        };
        // An id carries the moment it was made at, or a little more. An order is paid on its day or soon after.
        let from = |at: Timestamp| Range { after: Some((at.0 << 21) - 1), to: None };
        let began = Timestamp::of_china_day(day);
        let mut orders: ById<Order> = ById::default();
        reader.each_by("id", from(began.plus(-HOUR)), |order: Order| {
            if order.product == Product::Static {
                orders.insert(order.id.0, order);
            }
            Ok::<_, Wrong>(())
        })?;
        for order in orders.values() {
            let Some(payer) = order.meant_for else { continue };
            let balance = SourceId::of(payer, None);
            if counts(balance, order.created_at) {
                sums.entry(balance.0).or_default().1 += 1;
            }
            let by_balance = order.paid_at.filter(|_| order.attempt.is_none());
            if by_balance.is_some_and(|at| counts(balance, at)) {
                sums.entry(balance.0).or_default().0 += order.amount.minor();
            }
        }
        reader.each_by("id", from(began), |call: Attempt| {
            let order = call.order.filter(|_| call.kind == AttemptKind::CardPayment);
            let Some(order) = order.and_then(|order| orders.get(&order.0)) else { return Ok(()) };
            // What came to nothing is given back, if that was on the same day.
            let failed = call.ended_at.filter(|_| call.state == AttemptState::Failed);
            if failed.is_some_and(|at| at.china_day() == day) {
                return Ok(());
            }
            let rest = order.amount.minor() - call.amount.minor();
            for (card, minor) in [(Some(call.card), call.amount.minor()), (None, rest)] {
                let source = SourceId::of(call.person, card);
                if counts(source, call.created_at) {
                    sums.entry(source.0).or_default().0 += minor;
                }
            }
            Ok::<_, Wrong>(())
        })?;
        let says = |row: &StaticTally| (row.used.minor(), row.orders);
        let wrong =
            tallies.values().filter(|row| says(row) != sums.get(&row.source.0).copied().unwrap_or_default());
        let wrong = wrong.map(|row| row.source.0).min();
        check(wrong.is_none(), "what a source paid by printed codes today is counted right", || {
            wrong.map_or_else(String::new, |id| format!("source {id}"))
        })
    })
}
