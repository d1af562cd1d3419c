//! What the operator sets of signing in: how many codes are sent, and how often people may be wrong.

use koudai_core::sign_in::Safety;
use koudai_core::state::Policy;

use crate::rules::{self, Named, Rule};

const RULES: [Named; 19] = [
    ("code-gap", Rule::Seconds(|p| &mut p.safety.code_gap_ms)),
    ("codes-an-hour", Rule::Count(|p| &mut p.safety.codes_an_hour)),
    ("codes-a-day", Rule::Count(|p| &mut p.safety.codes_a_day)),
    ("codes-from-addresses-a-day", Rule::Many(|p| &mut p.safety.codes_from_block_a_day)),
    ("codes-from-device-a-day", Rule::Many(|p| &mut p.safety.codes_from_device_a_day)),
    ("codes-in-all-an-hour", Rule::Many(|p| &mut p.safety.codes_in_all_an_hour)),
    ("wrong-passwords", Rule::Many(|p| &mut p.safety.wrong_passwords_most)),
    ("wrong-from-addresses", Rule::Many(|p| &mut p.safety.wrong_from_block_most)),
    ("pause", Rule::Seconds(|p| &mut p.safety.pause_ms)),
    ("proof-life", Rule::Seconds(|p| &mut p.safety.proof_life_ms)),
    ("passkeys", Rule::Count(|p| &mut p.safety.passkeys_most)),
    ("card-age", Rule::Seconds(|p| &mut p.safety.reset_card_age_ms)),
    ("sessions", Rule::Count(|p| &mut p.safety.sessions_most)),
    ("cool-down", Rule::Hours(|p| &mut p.safety.cool_down_ms)),
    ("cool-down-new-device", Rule::Hours(|p| &mut p.safety.cool_new_device_ms)),
    ("cool-down-after", Rule::Hours(|p| &mut p.safety.cool_after_ms)),
    ("cool-down-spending", Rule::Amount(|p| &mut p.safety.cool_spend_most)),
    ("cool-down-withdrawals", Rule::Amount(|p| &mut p.safety.cool_withdraw_most)),
    ("cool-down-card-age", Rule::Hours(|p| &mut p.safety.cool_card_age_ms)),
];

/// The default with the rules as an operator writes them.
///
/// # Errors
/// Every entry that is wrong, in words for the operator.
pub(crate) fn parse(text: &str) -> Result<Safety, Vec<String>> {
    parse_over(Safety::DEFAULT, text)
}

/// The same over something other than the default.
///
/// # Errors
/// As `parse`.
pub(crate) fn parse_over(safety: Safety, text: &str) -> Result<Safety, Vec<String>> {
    let mut policy = Policy { safety, ..Policy::default() };
    rules::apply(&mut policy, &RULES, text)?;
    let Safety {
        codes_an_hour,
        codes_a_day,
        codes_from_block_a_day,
        codes_in_all_an_hour,
        wrong_passwords_most,
        sessions_most,
        ..
    } = policy.safety;
    let nobody = codes_an_hour == 0
        || codes_a_day == 0
        || codes_from_block_a_day == 0
        || codes_in_all_an_hour == 0
        || wrong_passwords_most == 0
        || sessions_most == 0;
    if nobody {
        Err(vec!["a number of codes, tries or sessions is 0: nobody could sign in".to_owned()])
    } else {
        Ok(policy.safety)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use koudai_core::time::MINUTE;

    #[test]
    fn every_rule_sets_a_place_of_its_own() {
        rules::assert_places_of_their_own(&RULES);
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let safety = parse("codes-from-addresses-a-day=5000, pause=60").unwrap();
        let expected = Safety { codes_from_block_a_day: 5_000, pause_ms: MINUTE, ..Safety::default() };
        assert_eq!(safety, expected);
    }

    #[test]
    fn what_would_keep_everybody_out_is_refused() {
        for text in
            ["codes-an-hour=0", "codes-a-day=0", "codes-in-all-an-hour=0", "wrong-passwords=0", "sessions=0"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("pause=0,codes=1").unwrap_err().len(), 2);
    }
}
