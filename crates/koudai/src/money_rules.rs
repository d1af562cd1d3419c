//! What the operator sets of topping up and withdrawing: one setting, `name=value,…`, over the defaults.

use koudai_core::money::Money;
use koudai_core::state::Policy;

use crate::rules::{self, Named, Rule};

const RULES: [Named; 12] = [
    ("top-up-least", Rule::Amount(|p| &mut p.top_up_least)),
    ("top-up-most", Rule::Amount(|p| &mut p.top_up_most)),
    ("top-up-day-most", Rule::Amount(|p| &mut p.top_up_day_most)),
    ("top-up-fee", Rule::Rate(|p| &mut p.top_up_fee)),
    ("withdraw-least", Rule::Amount(|p| &mut p.withdraw_least)),
    ("withdraw-most", Rule::Amount(|p| &mut p.withdraw_most)),
    ("withdraw-day-most", Rule::Amount(|p| &mut p.withdraw_day_most)),
    ("withdrawals-a-day", Rule::Count(|p| &mut p.withdrawals_a_day)),
    ("withdraw-fee", Rule::Rate(|p| &mut p.withdraw_fee)),
    ("withdraw-next-day-fee", Rule::Rate(|p| &mut p.withdraw_next_day_fee)),
    ("static-code-day-most", Rule::Amount(|p| &mut p.static_day_most)),
    ("withdraw-fee-least", Rule::Amount(|p| &mut p.withdraw_fee_least)),
];

/// The default policy with the rules as an operator writes them; what is not named stays as it is by default.
///
/// # Errors
/// Every entry that is wrong, in words for the operator.
pub(crate) fn parse(text: &str) -> Result<Policy, Vec<String>> {
    let mut policy = Policy::default();
    rules::apply(&mut policy, &RULES, text)?;
    let problems = misfits(&policy);
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

/// What cannot be true together: nobody could be told a sum that is allowed.
fn misfits(policy: &Policy) -> Vec<String> {
    let within = |less: Money, more: Money| more.checked_sub(less).is_ok();
    [
        (!policy.top_up_least.is_zero(), "top-up-least is nothing"),
        (within(policy.top_up_least, policy.top_up_most), "top-up-least is above top-up-most"),
        (within(policy.top_up_most, policy.top_up_day_most), "top-up-most is above top-up-day-most"),
        (!policy.withdraw_least.is_zero(), "withdraw-least is nothing"),
        (within(policy.withdraw_least, policy.withdraw_most), "withdraw-least is above withdraw-most"),
        (within(policy.withdraw_most, policy.withdraw_day_most), "withdraw-most is above withdraw-day-most"),
    ]
    .into_iter()
    .filter(|(holds, _)| !holds)
    .map(|(_, problem)| problem.to_owned())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fen(minor: i64) -> Money {
        Money::fen(minor).unwrap()
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let policy = parse("withdraw-fee=500, withdraw-most = 2000,withdrawals-a-day=3").unwrap();
        let default = Policy::default();
        assert_eq!((policy.withdraw_fee.ppm(), policy.withdraw_most), (500, fen(200_000)));
        assert_eq!((policy.withdrawals_a_day, policy.top_up_most), (3, default.top_up_most));
    }

    #[test]
    fn every_rule_sets_a_place_of_its_own() {
        rules::assert_places_of_their_own(&RULES);
    }

    #[test]
    fn every_wrong_entry_is_named_at_once() {
        let wrong =
            "gold=1,withdraw-fee=1000001,withdraw-most=1.005,withdrawals-a-day=256,top-up-fee,top-up-fee=0";
        let problems = parse(wrong).unwrap_err();
        assert_eq!(problems.len(), 6, "{problems:?}");
        for part in ["\"gold\" is none of", "withdraw-fee", "withdraw-most", "withdrawals-a-day", "twice"] {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
        }
    }

    #[test]
    fn bounds_that_leave_no_room_are_refused() {
        for (text, problem) in [
            ("withdraw-least=0", "withdraw-least is nothing"),
            ("top-up-least=0", "top-up-least is nothing"),
            ("withdraw-least=6000", "withdraw-least is above withdraw-most"),
            ("top-up-least=60000", "top-up-least is above top-up-most"),
            ("withdraw-day-most=100", "withdraw-most is above withdraw-day-most"),
            ("top-up-day-most=100", "top-up-most is above top-up-day-most"),
        ] {
            assert_eq!(parse(text).unwrap_err(), [problem], "{text}");
        }
    }
}
