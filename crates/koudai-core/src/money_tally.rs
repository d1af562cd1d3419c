//! What a person topped up and withdrew on a day, which the operator bounds.
//!
//! It is counted when it is asked for, so that many at once do not pass the bound, and given back if it comes to nothing
//! on the same day.

use crate::id::PersonId;
use crate::money::{Currency, Money};
use crate::refusal::Refusal;
use crate::rows::MoneyTally;
use crate::state::{OrStop, Stop, Tx};
use crate::time::Timestamp;

/// Which way money goes between a card and the balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// From a card to the balance.
    TopUp,
    /// From the balance to a card.
    Withdrawal,
}

impl MoneyTally {
    /// What counts at this moment: another day begins at nothing.
    pub fn at(row: Option<&Self>, person: PersonId, now: Timestamp) -> Self {
        let nothing = Money::zero(Currency::Cny);
        let fresh = Self {
            person,
            day: now.china_day(),
            since: now,
            topped_up: nothing,
            withdrawn: nothing,
            withdrawals: 0,
        };
        row.filter(|row| row.day == fresh.day).cloned().unwrap_or(fresh)
    }

    /// What is left of a bound.
    fn left(most: Money, used: Money) -> Money {
        most.checked_sub(used).unwrap_or_else(|_| Money::zero(most.currency()))
    }

    /// What may still be topped up of so much a day.
    pub fn top_up_left(&self, most: Money) -> Money {
        Self::left(most, self.topped_up)
    }

    /// What may still be withdrawn of so much a day.
    pub fn withdrawal_left(&self, most: Money) -> Money {
        Self::left(most, self.withdrawn)
    }

    const fn sum(&mut self, passage: Passage) -> &mut Money {
        match passage {
            Passage::TopUp => &mut self.topped_up,
            Passage::Withdrawal => &mut self.withdrawn,
        }
    }
}

/// The tally with this much more, if the operator's bounds allow it. The decision puts it once nothing refuses any more.
pub(crate) fn with(
    tx: &mut Tx<'_>,
    person: PersonId,
    passage: Passage,
    amount: Money,
) -> Result<MoneyTally, Stop<Refusal>> {
    let now = tx.now();
    let mut tally = MoneyTally::at(tx.rows().money_tally.get(&person).or_stop()?, person, now);
    let policy = tx.policy();
    match passage {
        Passage::TopUp => {
            let most = policy.top_up_day_most;
            let left = tally.top_up_left(most);
            if left.checked_sub(amount).is_err() {
                return Err(Refusal::DayTopUpsReached { most, left }.into());
            }
        }
        Passage::Withdrawal => {
            let (times, most) = (policy.withdrawals_a_day, policy.withdraw_day_most);
            if tally.withdrawals >= times {
                return Err(Refusal::TooManyWithdrawals { most: times }.into());
            }
            let left = tally.withdrawal_left(most);
            if left.checked_sub(amount).is_err() {
                return Err(Refusal::DayWithdrawalsReached { most, left }.into());
            }
            tally.withdrawals += 1;
        }
    }
    let sum = tally.sum(passage);
    *sum = sum.checked_add(amount).expect("within the day's bound");
    Ok(tally)
}

/// Loads what `give_back` changes.
pub(crate) fn prepare(tx: &mut Tx<'_>, person: PersonId) -> Result<(), crate::cache::Absent> {
    tx.rows().money_tally.get(&person).map(drop)
}

/// Gives back what was counted at `asked_at` and came to nothing, if the day is still the same. The row is loaded.
pub(crate) fn give_back(
    tx: &mut Tx<'_>,
    person: PersonId,
    passage: Passage,
    amount: Money,
    asked_at: Timestamp,
) {
    let day = tx.now().china_day();
    let row = tx.rows().money_tally.get(&person).expect("the decision prepared it").cloned();
    // What was asked for before anything was counted is not in it.
    let Some(mut tally) = row.filter(|row| row.day == day && row.since <= asked_at) else { return };
    let sum = tally.sum(passage);
    *sum = sum.checked_sub(amount).expect("what is given back was counted");
    if passage == Passage::Withdrawal {
        tally.withdrawals -= 1;
    }
    tx.rows().money_tally.put(tally);
}
