//! Settings that are many in one: `name=value,…`, over the defaults. What they set is a place in the policy.

use koudai_core::money::{Currency, Money, RatePpm};
use koudai_core::state::Policy;
use koudai_core::time::{DAY, HOUR, SECOND};

/// A rule by its name, and where its value goes.
pub(crate) type Named = (&'static str, Rule);

/// Where a rule's value goes, and how it is written.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// Yuan, such as `500` or `0.10`.
    Amount(fn(&mut Policy) -> &mut Money),
    /// Parts per million: 1000 is 0.1 %.
    Rate(fn(&mut Policy) -> &mut RatePpm),
    /// How often: 0 to 255.
    Count(fn(&mut Policy) -> &mut u8),
    /// How often, where that may be much.
    Many(fn(&mut Policy) -> &mut u32),
    /// Whole seconds, 1 to a day; kept in ms.
    Seconds(fn(&mut Policy) -> &mut i64),
    /// Whole hours, 0 to a year; kept in ms.
    Hours(fn(&mut Policy) -> &mut i64),
}

/// Sets what an operator writes; what is not named stays as it is.
///
/// # Errors
/// Every entry that is wrong, in words for the operator.
pub(crate) fn apply(policy: &mut Policy, rules: &[Named], text: &str) -> Result<(), Vec<String>> {
    let mut problems = vec![];
    let mut named: Vec<&str> = vec![];
    for part in text.split(',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (name.trim(), value.trim());
        let Some((_, rule)) = rules.iter().find(|(rule, _)| *rule == name) else {
            let all: Vec<&str> = rules.iter().map(|(rule, _)| *rule).collect();
            problems.push(format!("{name:?} is none of {}", all.join(", ")));
            continue;
        };
        if named.contains(&name) {
            problems.push(format!("{name} is there twice"));
            continue;
        }
        named.push(name);
        if let Err(problem) = set(policy, *rule, value) {
            problems.push(format!("{name} {value:?} {problem}"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn set(policy: &mut Policy, rule: Rule, value: &str) -> Result<(), &'static str> {
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
        Rule::Many(place) => {
            *place(policy) = value.parse().map_err(|_| "is not a number from 0 to 4294967295")?;
        }
        Rule::Seconds(place) => {
            let seconds = value.parse().ok().filter(|seconds| (1..=DAY / SECOND).contains(seconds));
            *place(policy) = seconds.ok_or("is not a number of seconds from 1 to 86400")? * SECOND;
        }
        Rule::Hours(place) => {
            let hours = value.parse().ok().filter(|hours| (0..=365 * DAY / HOUR).contains(hours));
            *place(policy) = hours.ok_or("is not a number of hours from 0 to 8760")? * HOUR;
        }
    }
    Ok(())
}

/// Makes sure that each rule of a table sets a place that no other does.
#[cfg(test)]
pub(crate) fn assert_places_of_their_own(rules: &[Named]) {
    fn shown(rule: Rule, policy: &mut Policy) -> String {
        match rule {
            Rule::Amount(place) => place(policy).to_string(),
            Rule::Rate(place) => place(policy).ppm().to_string(),
            Rule::Count(place) => place(policy).to_string(),
            Rule::Many(place) => place(policy).to_string(),
            Rule::Seconds(place) | Rule::Hours(place) => place(policy).to_string(),
        }
    }
    for (name, rule) in rules {
        let value = if matches!(rule, Rule::Amount(_)) { "7.00" } else { "7" };
        let mut policy = Policy::default();
        set(&mut policy, *rule, value).expect("7 does for every rule");
        assert_ne!(shown(*rule, &mut policy), shown(*rule, &mut Policy::default()), "{name} set nothing");
        let mut others = rules.iter().filter(|(other, _)| other != name);
        let others_stay =
            others.all(|(_, other)| shown(*other, &mut policy) == shown(*other, &mut Policy::default()));
        assert!(others_stay, "{name} set another rule's place");
    }
}
