//! The gateway's answers, folded to what the wallet does about them.
//!
//! A code that is not known here is never a failure: what is behind it is asked about until it has one that is.

use koudai_core::rows::NetworkRefusal;

use super::reply::Content;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done, or taken on: of money, only a query says that it moved.
    Done,
    /// It is there, and its payer has to do something first.
    Waits,
    /// It has it under this number, further on than the call wanted it: ask how far.
    FurtherOn,
    /// It has nothing under this number.
    NotThere,
    /// It will not do it.
    Refused(NetworkRefusal),
    /// Nothing certain.
    Unknown,
}

/// Every `sub_code` with what it says.
#[rustfmt::skip]
const CODES: [(&str, Said); 48] = {
    use NetworkRefusal as N;
    use Said::{FurtherOn, NotThere, Refused, Unknown};
    [
        ("ACQ.TRADE_NOT_EXIST", NotThere),
        ("ORDER_NOT_EXIST", NotThere),
        ("isp.bill_not_exist", NotThere),
        ("ACQ.TRADE_HAS_SUCCESS", FurtherOn),
        ("ACQ.TRADE_HAS_CLOSE", FurtherOn),
        ("ACQ.TRADE_HAS_FINISHED", FurtherOn),
        ("ACQ.TRADE_STATUS_ERROR", FurtherOn),
        ("ACQ.REASON_TRADE_STATUS_INVALID", FurtherOn),
        ("ACQ.SYSTEM_ERROR", Unknown),
        ("SYSTEM_ERROR", Unknown),
        ("aop.ACQ.SYSTEM_ERROR", Unknown),
        ("isp.unknow-error", Unknown),
        ("REQUEST_PROCESSING", Unknown),
        // The payer.
        ("ACQ.BUYER_BALANCE_NOT_ENOUGH", Refused(N::InsufficientFunds)),
        ("ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH", Refused(N::InsufficientFunds)),
        ("ACQ.ERROR_BALANCE_PAYMENT_DISABLE", Refused(N::CardNotUsable)),
        ("ACQ.BUYER_ENABLE_STATUS_FORBID", Refused(N::CardNotUsable)),
        ("ACQ.PAYMENT_FAIL", Refused(N::Refused)),
        ("ACQ.PAYMENT_AUTH_CODE_INVALID", Refused(N::Refused)),
        ("ACQ.BUYER_SELLER_EQUAL", Refused(N::Refused)),
        ("ACQ.TRADE_BUYER_NOT_MATCH", Refused(N::Refused)),
        ("ACQ.TOTAL_FEE_EXCEED", Refused(N::OverLimit)),
        ("ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", Refused(N::OverLimit)),
        ("ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR", Refused(N::OverLimit)),
        ("ACQ.BEYOND_PAY_RESTRICTION", Refused(N::OverLimit)),
        // What was asked for.
        ("ACQ.CONTEXT_INCONSISTENT", Refused(N::Refused)),
        ("ACQ.INVALID_PARAMETER", Refused(N::Refused)),
        ("ACQ.ACCESS_FORBIDDEN", Refused(N::Refused)),
        ("ACQ.PARTNER_ERROR", Refused(N::Refused)),
        ("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", Refused(N::Refused)),
        ("ACQ.REASON_TRADE_REFUND_FEE_ERR", Refused(N::Refused)),
        ("ACQ.DISCORDANT_REPEAT_REQUEST", Refused(N::Refused)),
        ("ACQ.TRADE_NOT_ALLOW_REFUND", Refused(N::Refused)),
        ("INVALID_PARAMETER", Refused(N::Refused)),
        // The operator's account there, and whom it pays.
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", Refused(N::NotCovered)),
        ("PAYER_BALANCE_NOT_ENOUGH", Refused(N::NotCovered)),
        ("BALANCE_IS_NOT_ENOUGH", Refused(N::NotCovered)),
        ("EXCEED_LIMIT_SM_AMOUNT", Refused(N::OverLimit)),
        ("EXCEED_LIMIT_DM_MAX_AMOUNT", Refused(N::OverLimit)),
        ("EXCEED_LIMIT_MM_MAX_AMOUNT", Refused(N::OverLimit)),
        ("PAYEE_NOT_EXIST", Refused(N::CardNotUsable)),
        ("PAYEE_USERINFO_STATUS_ERROR", Refused(N::CardNotUsable)),
        ("PAYEE_ACCOUNT_STATUS_ERROR", Refused(N::CardNotUsable)),
        // Who came back with a code.
        ("isv.code-invalid", Refused(N::Refused)),
        // Something is wrong with what we send, or with what the operator is allowed.
        ("isv.invalid-signature", Refused(N::Refused)),
        ("isv.invalid-app-id", Refused(N::Refused)),
        ("isv.insufficient-isv-permissions", Refused(N::Refused)),
        ("isv.missing-method", Refused(N::Refused)),
    ]
};

/// Whether the gateway has such a `sub_code`.
pub(super) fn is_code(code: &str) -> bool {
    known(code).is_some()
}

fn known(code: &str) -> Option<Said> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, said)| *said)
}

/// What a code of one says by itself, as a payout that failed names it.
pub(super) fn refusal(code: &str) -> NetworkRefusal {
    match known(code) {
        Some(Said::Refused(refusal)) => refusal,
        _ => NetworkRefusal::Refused,
    }
}

/// What an answer says: `code` first, then `sub_code`.
pub(super) fn said(content: &Content) -> Said {
    match content.text("code") {
        "10000" => Said::Done,
        "10003" => Said::Waits,
        "40001" | "40002" | "40004" | "40006" => known(content.text("sub_code")).unwrap_or(Said::Unknown),
        // 20000, and what may come to be.
        _ => Said::Unknown,
    }
}

/// Whether a `sub_code` tells the operator that something is to be mended here: a malformed message, a signature, or a product
/// that was never agreed on.
pub(super) fn is_ours_to_mend(code: &str) -> bool {
    let of_codes = code.starts_with("isv.") && code != "isv.code-invalid";
    of_codes || matches!(code, "ACQ.INVALID_PARAMETER" | "ACQ.ACCESS_FORBIDDEN" | "ACQ.PARTNER_ERROR")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alipay::reply::Reply;

    fn content(code: &str, sub_code: &str) -> Content {
        let body = format!(r#"{{"a":{{"code":"{code}","sub_code":"{sub_code}"}},"sign":"s"}}"#);
        Reply::read(body.as_bytes(), "a").unwrap().content().unwrap()
    }

    #[test]
    fn each_code_stands_once_and_an_unknown_one_is_no_failure() {
        for (n, (code, ..)) in CODES.iter().enumerate() {
            assert!(CODES[n + 1..].iter().all(|(other, _)| code != other), "{code}");
        }
        for (code, sub_code) in [
            ("", ""),
            ("20000", "isp.unknow-error"),
            ("20000", "ACQ.PAYMENT_FAIL"),
            ("40004", ""),
            ("40004", "ACQ.NEW_TO_US"),
            ("40004", "ACQ.SYSTEM_ERROR"),
            ("50000", "ACQ.PAYMENT_FAIL"),
            ("010000", ""),
        ] {
            assert_eq!(said(&content(code, sub_code)), Said::Unknown, "{code} {sub_code}");
        }
        assert_eq!(said(&content("10000", "ACQ.PAYMENT_FAIL")), Said::Done);
        let refused = said(&content("40004", "PAYER_BALANCE_NOT_ENOUGH"));
        assert_eq!(refused, Said::Refused(NetworkRefusal::NotCovered));
    }
}
