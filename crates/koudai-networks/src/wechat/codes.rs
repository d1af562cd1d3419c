//! What the platform's codes are taken for (public error tables of each call on pay.weixin.qq.com).
//!
//! An error reply carries no signature: TLS vouches for it. So only codes that stand here count, and of those the ones after
//! which something may stand under the number are asked about first.

use koudai_core::rows::NetworkRefusal;
use koudai_wechatpay::types::same_code;

/// What a refusal of a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What the call came to: nothing, for this reason.
    pub(super) refusal: NetworkRefusal,
    /// Something may stand under the number all the same, from an earlier call.
    pub(super) may_stand: bool,
    /// What we send or are allowed is wrong: somebody has to mend it.
    pub(super) ours_to_mend: bool,
}

/// Every code that says for certain that its call did nothing.
const NOTHING_DONE: [(&str, Said); 20] = {
    use NetworkRefusal as N;
    const fn plain(refusal: NetworkRefusal) -> Said {
        Said { refusal, may_stand: false, ours_to_mend: false }
    }
    const OURS: Said = Said { refusal: N::Refused, may_stand: false, ours_to_mend: true };
    const STANDS: Said = Said { refusal: N::Refused, may_stand: true, ours_to_mend: false };
    [
        ("PARAM_ERROR", OURS),
        ("APPID_MCHID_NOT_MATCH", OURS),
        ("MCH_NOT_EXISTS", OURS),
        ("SIGN_ERROR", OURS),
        ("NO_AUTH", OURS),
        ("REQUEST_BLOCKED", OURS),
        // A number that was used: with other content, or by what was paid or closed since.
        ("INVALID_REQUEST", STANDS),
        ("OUT_TRADE_NO_USED", STANDS),
        ("ORDER_PAID", STANDS),
        ("ORDER_CLOSED", STANDS),
        ("ALREADY_EXISTS", STANDS),
        ("RULE_LIMIT", plain(N::Refused)),
        ("TRADE_ERROR", plain(N::Refused)),
        ("ACCOUNT_ERROR", plain(N::CardNotUsable)),
        ("USER_ACCOUNT_ABNORMAL", plain(N::CardNotUsable)),
        ("NOT_ENOUGH", plain(N::NotCovered)),
        ("TRADE_OVERDUE", plain(N::Refused)),
        ("ORDER_NOT_EXIST", plain(N::Refused)),
        ("RESOURCE_NOT_EXISTS", plain(N::Refused)),
        ("NOT_FOUND", plain(N::Refused)),
    ]
};

/// What a code says of the call it answers; `None` if nothing certain.
pub(super) fn said(code: &str) -> Option<Said> {
    NOTHING_DONE.iter().find(|(known, _)| same_code(known, code)).map(|(_, said)| *said)
}

/// Whether a code says, of a question or of what is to be ended, that nothing stands under its number.
pub(super) fn is_not_there(code: &str) -> bool {
    ["ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS", "NOT_FOUND"].iter().any(|known| same_code(known, code))
}

/// Why a transfer failed, by its `fail_reason`. A reason that is not here is a refusal like any other: that it failed is certain.
pub(super) fn fail_reason(reason: &str) -> NetworkRefusal {
    match reason {
        "ACCOUNT_FROZEN"
        | "ACCOUNT_NOT_EXIST"
        | "REAL_NAME_CHECK_FAIL"
        | "NAME_NOT_CORRECT"
        | "ID_CARD_NOT_CORRECT"
        | "OPENID_INVALID"
        | "RECEIVE_ACCOUNT_NOT_PERMMIT"
        | "PAYEE_ACCOUNT_ABNORMAL" => NetworkRefusal::CardNotUsable,
        "TRANSFER_QUOTA_EXCEED"
        | "DAY_RECEIVED_QUOTA_EXCEED"
        | "MONTH_RECEIVED_QUOTA_EXCEED"
        | "DAY_RECEIVED_COUNT_EXCEED"
        | "REALNAME_ACCOUNT_RECEIVED_QUOTA_EXCEED" => NetworkRefusal::OverLimit,
        "OVERDUE_CLOSE" | "MCH_CANCEL" => NetworkRefusal::Withdrawn,
        _ => NetworkRefusal::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_in_either_spelling_and_one_that_is_not_known_says_nothing() {
        assert_eq!(said("NOTENOUGH").unwrap().refusal, NetworkRefusal::NotCovered);
        assert_eq!(said("OUTTRADENOUSED"), said("OUT_TRADE_NO_USED"));
        for undecided in ["SYSTEM_ERROR", "BANK_ERROR", "FREQUENCY_LIMITED", "USER_PAYING", "", "MOON"] {
            assert_eq!(said(undecided), None, "{undecided}");
        }
        assert!(is_not_there("ORDERNOTEXIST") && !is_not_there("MCH_NOT_EXISTS"));
    }
}
