//! What the operator sets of topping up and withdrawing: one setting, `name=value,…`, over the defaults.

use koudai_core::money::{Currency, Money, RatePpm};
use koudai_core::state::Policy;

/// A rule by its name, and where its value goes.
enum Rule {
    /// Yuan, such as `500` or `0.10`.
    Amount(fn(&mut Policy) -> &mut Money),
    /// Parts per million: 1000 is 0.1 %.
    Rate(fn(&mut Policy) -> &mut RatePpm),
    /// How often: 0 to 255.
    Count(fn(&mut Policy) -> &mut u8),
}

const RULES: [(&str, Rule); 12] = [
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
    let mut problems = vec![];
    let mut named: Vec<&str> = vec![];
    for part in text.split(',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (name.trim(), value.trim());
        let Some((_, rule)) = RULES.iter().find(|(rule, _)| *rule == name) else {
            let all: Vec<&str> = RULES.iter().map(|(rule, _)| *rule).collect();
            problems.push(format!("{name:?} is none of {}", all.join(", ")));
            continue;
        };
        if named.contains(&name) {
            problems.push(format!("{name} is there twice"));
            continue;
        }
        named.push(name);
        if let Err(problem) = set(&mut policy, rule, value) {
            problems.push(format!("{name} {value:?} {problem}"));
        }
    }
    if problems.is_empty() {
        problems.extend(misfits(&policy));
    }
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

fn set(policy: &mut Policy, rule: &Rule, value: &str) -> Result<(), &'static str> {
    match rule {
        Rule::Amount(place) => {
            let amount = Money::parse_major(value, Currency::Cny).ok();
            *place(policy) = amount.ok_or("is not an amount in yuan, such as 500 or 0.10")?;
        }
        Rule::Rate(place) => {
            let rate = value.parse().ok().and_then(RatePpm::new);
            *place(policy) = rate.ok_or("is not a rate in parts per million, 0 to 1000000")?;
        }
        Rule::Count(place) => {
            *place(policy) = value.parse().map_err(|_| "is not a number from 0 to 255")?;
        }
    }
    Ok(())
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
        for (name, rule) in &RULES {
            let value = match rule {
                Rule::Amount(_) => "7.00",
                Rule::Rate(_) | Rule::Count(_) => "7",
            };
            let mut policy = Policy::default();
            set(&mut policy, rule, value).unwrap();
            let others = RULES.iter().filter(|(other, _)| other != name).all(|(_, other)| match other {
                Rule::Amount(place) => *place(&mut policy) == *place(&mut Policy::default()),
                Rule::Rate(place) => *place(&mut policy) == *place(&mut Policy::default()),
                Rule::Count(place) => *place(&mut policy) == *place(&mut Policy::default()),
            });
            assert!(others, "{name} set another rule's place");
        }
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
