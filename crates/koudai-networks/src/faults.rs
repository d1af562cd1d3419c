//! Faults that a sandbox can be told to have: what goes wrong outside, made to go wrong on purpose, at a call of one's choice.
//!
//! A sandbox asks here at each call; what it was told is forgotten when it stops. `docs/networks.md` says what comes of each
//! fault.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// The most rules a sandbox takes.
pub const MOST_RULES: usize = 32;
/// The longest delay, in milliseconds.
pub const LONGEST_DELAY_MS: u64 = 10 * 60 * 1_000;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "lowercase")]
pub enum Fault {
    /// It is refused with this code of the network's, and nothing is done.
    Refuse {
        /// As the network writes it.
        code: String,
    },
    /// It is done, and answered this much later.
    Delay {
        /// In milliseconds.
        ms: u64,
    },
    /// It is done, and the connection closed without an answer.
    Drop,
    /// It arrives twice. The second arrival is answered.
    Twice,
    /// It is done, and the answer is cut off in the middle, its signature right.
    Garbage,
    /// Nothing is done: something in front of the network says that nobody is there.
    Down,
}

/// When a fault is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// At which call, by its name; at every call without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often, until the rule is gone; without end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<NonZeroU32>,
    /// At one in so many of these calls, in an order that looks like chance and is always the same; at each if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_in: Option<NonZeroU32>,
}

impl Rule {
    /// At the next call of this name, once.
    pub fn once(call: &str, fault: Fault) -> Self {
        Self { call: Some(call.to_owned()), fault, times: NonZeroU32::new(1), one_in: None }
    }
}

/// Why rules are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// More than [`MOST_RULES`].
    #[error("at most {MOST_RULES} rules")]
    TooMany,
    /// No call of the network has this name.
    #[error("there is no call {0}")]
    Call(String),
    /// The network has no such code.
    #[error("there is no code {0}")]
    Code(String),
    /// Longer than [`LONGEST_DELAY_MS`].
    #[error("a delay is at most {LONGEST_DELAY_MS} ms")]
    Delay,
}

/// The rules of one sandbox. The first that fits a call is met.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<(Rule, u64)>>);

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Vec<(Rule, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all rules, for a network with these names of calls and codes.
    ///
    /// # Errors
    /// See [`RuleError`]; the rules stay as they were then.
    pub fn set(
        &self,
        rules: Vec<Rule>,
        calls: &[&str],
        is_code: impl Fn(&str) -> bool,
    ) -> Result<(), RuleError> {
        if rules.len() > MOST_RULES {
            return Err(RuleError::TooMany);
        }
        for rule in &rules {
            if let Some(call) = rule.call.as_ref().filter(|call| !calls.contains(&call.as_str())) {
                return Err(RuleError::Call(call.clone()));
            }
            match &rule.fault {
                Fault::Refuse { code } if !is_code(code) => return Err(RuleError::Code(code.clone())),
                Fault::Delay { ms } if *ms > LONGEST_DELAY_MS => return Err(RuleError::Delay),
                _ => {}
            }
        }
        *self.lock() = rules.into_iter().map(|rule| (rule, 0)).collect();
        Ok(())
    }

    /// The rules that still stand.
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// What goes wrong with this call, if anything does.
    pub fn meet(&self, call: &str) -> Option<Fault> {
        let mut rules = self.lock();
        let at = rules.iter_mut().position(|(rule, met)| {
            let is_for_it = rule.call.as_deref().is_none_or(|of| of == call);
            is_for_it && {
                *met += 1;
                rule.one_in.is_none_or(|n| scatter(*met).is_multiple_of(u64::from(n.get())))
            }
        })?;
        let rule = &mut rules[at].0;
        let fault = rule.fault.clone();
        if let Some(times) = rule.times {
            rule.times = NonZeroU32::new(times.get() - 1);
            if rule.times.is_none() {
                rules.remove(at);
            }
        }
        Some(fault)
    }
}

/// A number that looks like chance, one for each `n`.
const fn scatter(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: [&str; 2] = ["debit", "refund"];

    fn read(json: &str) -> Vec<Rule> {
        serde_json::from_str(json).unwrap()
    }

    fn told(json: &str) -> Faults {
        let faults = Faults::default();
        faults.set(read(json), &CALLS, |code| code == "LIMIT").unwrap();
        faults
    }

    #[test]
    fn a_rule_is_met_at_its_call_as_often_as_it_says() {
        let faults = told(r#"[{"call":"debit","fault":"drop","times":2}]"#);
        assert_eq!(faults.meet("refund"), None);
        assert_eq!(faults.meet("debit"), Some(Fault::Drop));
        assert_eq!(faults.rules(), [Rule::once("debit", Fault::Drop)]);
        assert_eq!(faults.meet("debit"), Some(Fault::Drop));
        assert_eq!((faults.meet("debit"), faults.rules()), (None, vec![]));
    }

    #[test]
    fn the_first_rule_that_fits_is_met_and_the_others_wait() {
        let faults =
            told(r#"[{"call":"refund","fault":"refuse","code":"LIMIT","times":1},{"fault":"down"}]"#);
        assert_eq!(faults.meet("debit"), Some(Fault::Down));
        assert_eq!(faults.meet("refund"), Some(Fault::Refuse { code: "LIMIT".to_owned() }));
        assert_eq!(faults.meet("refund"), Some(Fault::Down));
    }

    #[test]
    fn one_in_a_hundred_is_about_that_many_and_the_same_each_time() {
        let met = || {
            let faults = told(r#"[{"fault":"twice","one_in":100}]"#);
            (0..10_000).filter(|_| faults.meet("debit").is_some()).collect::<Vec<_>>()
        };
        assert!((80..=120).contains(&met().len()), "{}", met().len());
        assert_eq!(met(), met());
    }

    #[test]
    fn what_the_network_does_not_have_is_refused_and_changes_nothing() {
        let faults = told(r#"[{"fault":"down"}]"#);
        let set = |json| faults.set(read(json), &CALLS, |code| code == "LIMIT");
        assert_eq!(set(r#"[{"call":"moon","fault":"drop"}]"#), Err(RuleError::Call("moon".to_owned())));
        assert_eq!(set(r#"[{"fault":"refuse","code":"FULL"}]"#), Err(RuleError::Code("FULL".to_owned())));
        assert_eq!(set(r#"[{"fault":"delay","ms":600001}]"#), Err(RuleError::Delay));
        let many = vec![read(r#"[{"fault":"drop"}]"#).remove(0); MOST_RULES + 1];
        assert_eq!(faults.set(many, &CALLS, |_| true), Err(RuleError::TooMany));
        assert_eq!(faults.rules(), read(r#"[{"fault":"down"}]"#));
        for bad in [r#"[{"fault":"drop","times":0}]"#, r#"[{"fault":"rain"}]"#, r#"[{"call":"debit"}]"#] {
            assert!(serde_json::from_str::<Vec<Rule>>(bad).is_err(), "{bad}");
        }
    }
}
