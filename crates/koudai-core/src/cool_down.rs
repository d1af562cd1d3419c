//! A cool-down: for a while after an account was given back to somebody, got another phone or was signed in to on a device that is
//! new to it, little money leaves it. Whoever took it over gains little, and its holder, who was told, has time to freeze it.
//!
//! First nothing is withdrawn and little is spent a day; then, for a while longer, little is withdrawn to cards that are new (domain
//! rule 6). What is counted here is counted when it is asked for and not given back: this is a bound on tries too.

use crate::id::PersonId;
use crate::money::{Currency, Money};
use crate::refusal::Refusal;
use crate::rows::{Card, CoolTally, Person};
use crate::sign_in::Safety;
use crate::state::{OrStop, Stop, Tx};
use crate::time::Timestamp;

/// How far a cool-down is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoolDown {
    /// Nothing is withdrawn, and little is spent a day.
    Closed {
        /// Until when.
        until: Timestamp,
    },
    /// Little is withdrawn to cards that are new.
    Narrow {
        /// Until when.
        until: Timestamp,
    },
}

impl CoolDown {
    /// Until when this part of it lasts.
    pub const fn until(self) -> Timestamp {
        match self {
            Self::Closed { until } | Self::Narrow { until } => until,
        }
    }
}

impl Person {
    /// How far the account's cool-down is, if it is in one.
    pub fn cool_down(&self, now: Timestamp, safety: &Safety) -> Option<CoolDown> {
        let narrow_until = self.cool_until.plus(safety.cool_after_ms);
        if now < self.cool_until {
            Some(CoolDown::Closed { until: self.cool_until })
        } else if self.cool_until > Timestamp(0) && now < narrow_until {
            Some(CoolDown::Narrow { until: narrow_until })
        } else {
            None
        }
    }

    /// Begins a cool-down whose first part lasts this long, or has one go on.
    pub(crate) fn cool(&mut self, now: Timestamp, first_ms: i64) {
        if first_ms > 0 {
            self.cool_until = self.cool_until.max(now.plus(first_ms));
        }
    }

    /// Makes sure that the account is not in the first part of a cool-down.
    ///
    /// # Errors
    /// `CoolingDown`.
    pub(crate) fn check_open(&self, now: Timestamp) -> Result<(), Refusal> {
        let until = self.cool_until;
        if now < until { Err(Refusal::CoolingDown { until }) } else { Ok(()) }
    }
}

impl CoolTally {
    /// What counts at this moment: another day begins at nothing.
    pub fn at(row: Option<&Self>, person: PersonId, now: Timestamp) -> Self {
        let nothing = Money::zero(Currency::Cny);
        let fresh = Self { person, day: now.china_day(), spent: nothing, withdrawn: nothing };
        row.filter(|row| row.day == fresh.day).cloned().unwrap_or(fresh)
    }
}

/// What is left of `most` once `used` is, if it covers this much more; else what is left.
fn more(used: Money, most: Money, amount: Money) -> Result<Money, Money> {
    let left = most.checked_sub(used).unwrap_or_else(|_| Money::zero(most.currency()));
    match left.checked_sub(amount) {
        Ok(_) => Ok(used.checked_add(amount).expect("within the bound")),
        Err(_) => Err(left),
    }
}

fn tally(tx: &mut Tx<'_>, person: PersonId) -> Result<CoolTally, Stop<Refusal>> {
    let now = tx.now();
    Ok(CoolTally::at(tx.rows().cool_tally.get(&person).or_stop()?, person, now))
}

/// What a person has spent today with this much more, if the first part of their cool-down lasts `until` later than now and its bound
/// allows it. The decision puts it once nothing refuses any more.
///
/// # Errors
/// `CoolSpendingReached`, or `Absent`.
pub(crate) fn spend(
    tx: &mut Tx<'_>,
    person: PersonId,
    until: Timestamp,
    amount: Money,
) -> Result<Option<CoolTally>, Stop<Refusal>> {
    if tx.now() >= until {
        return Ok(None);
    }
    let most = tx.policy().safety.cool_spend_most;
    let mut tally = tally(tx, person)?;
    tally.spent =
        more(tally.spent, most, amount).map_err(|left| Refusal::CoolSpendingReached { most, left, until })?;
    Ok(Some(tally))
}

/// What the person has withdrawn to new cards today with this much more, if they are in a cool-down that bounds it. The decision
/// puts it once nothing refuses any more.
///
/// # Errors
/// `CoolingDown`, `CoolWithdrawalsReached`, or `Absent`.
pub(crate) fn withdraw(
    tx: &mut Tx<'_>,
    person: &Person,
    card: &Card,
    amount: Money,
) -> Result<Option<CoolTally>, Stop<Refusal>> {
    let (now, safety) = (tx.now(), tx.policy().safety);
    person.check_open(now)?;
    let Some(CoolDown::Narrow { until }) = person.cool_down(now, &safety) else { return Ok(None) };
    if now.since(card.bound_at) >= safety.cool_card_age_ms {
        return Ok(None);
    }
    let most = safety.cool_withdraw_most;
    let mut tally = tally(tx, person.id)?;
    tally.withdrawn = more(tally.withdrawn, most, amount)
        .map_err(|left| Refusal::CoolWithdrawalsReached { most, left, until })?;
    Ok(Some(tally))
}

/// Puts what [`spend`] or [`withdraw`] counted.
pub(crate) fn put(tx: &mut Tx<'_>, tally: Option<CoolTally>) {
    if let Some(tally) = tally {
        tx.rows().cool_tally.put(tally);
    }
}
