//! The network's answers in two digits, folded to what the wallet does about them.
//!
//! A code that is not known here is never a failure: the payment behind it is asked about until it has one that is.

use koudai_core::refusal::Refusal;
use koudai_core::rows::NetworkRefusal;

/// What a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done, or taken on: of money, only a query says that it moved.
    Done,
    /// Not decided, or not known yet.
    UnderWay,
    /// Something came under this number before.
    Repeated,
    /// It has nothing under this number.
    NotThere,
    /// It will not do it.
    Refused(NetworkRefusal),
}

/// Every code with what it says, and how its binding's refusal reads to a person.
#[rustfmt::skip]
const CODES: [(&str, Said, Refusal); 47] = {
    use NetworkRefusal as N;
    use Said::{Done, NotThere, Refused, Repeated, UnderWay};
    [
        ("00", Done, Refusal::BankRefused),
        ("A6", Done, Refusal::BankRefused), // with a flaw that is the network's to mend
        ("03", UnderWay, Refusal::BankRefused), // timeout
        ("04", UnderWay, Refusal::BankRefused), // state unknown
        ("05", UnderWay, Refusal::BankRefused), // taken on
        ("06", UnderWay, Refusal::BankUnavailable), // busy
        ("83", UnderWay, Refusal::BankRefused), // at the issuer
        ("37", UnderWay, Refusal::BankUnavailable), // asked too often
        ("12", Repeated, Refusal::BankRefused),
        ("34", NotThere, Refusal::BindingExpired),
        // Something is wrong with what we send, or with what the operator is allowed.
        ("10", Refused(N::Refused), Refusal::BankRefused),
        ("11", Refused(N::Refused), Refusal::BankRefused),
        ("13", Refused(N::Refused), Refusal::BankRefused),
        ("14", Refused(N::Refused), Refusal::BankRefused),
        ("31", Refused(N::Refused), Refusal::CardUnsupported),
        ("32", Refused(N::Refused), Refusal::CardUnsupported),
        ("43", Refused(N::Refused), Refusal::CardUnsupported),
        ("35", Refused(N::Refused), Refusal::BankRefused), // the original is not what it should be
        ("36", Refused(N::Refused), Refusal::BankRefused), // or does not match
        ("30", Refused(N::Refused), Refusal::BankRefused), // risk
        ("38", Refused(N::Refused), Refusal::BankRefused),
        ("33", Refused(N::OverLimit), Refusal::CardOverLimit),
        ("81", Refused(N::OverLimit), Refusal::CardOverLimit),
        ("87", Refused(N::OverLimit), Refusal::CardOverLimit),
        ("39", Refused(N::Unavailable), Refusal::BankUnavailable), // outside its hours
        // Paid past its time; the network gives it back by itself.
        ("42", Refused(N::Withdrawn), Refusal::BindingExpired),
        ("45", Refused(N::Refused), Refusal::BankRefused), // given back already
        ("46", Refused(N::Refused), Refusal::BankRefused),
        ("60", Refused(N::Refused), Refusal::BankRefused), // the issuer
        ("62", Refused(N::Refused), Refusal::CardUnsupported),
        ("78", Refused(N::Refused), Refusal::BankRefused),
        ("61", Refused(N::CardNotUsable), Refusal::CardNumberInvalid),
        ("63", Refused(N::CardNotUsable), Refusal::CardNotUsable),
        ("73", Refused(N::CardNotUsable), Refusal::CardNotUsable),
        ("64", Refused(N::InsufficientFunds), Refusal::CardInsufficientFunds),
        ("90", Refused(N::InsufficientFunds), Refusal::CardInsufficientFunds),
        ("65", Refused(N::Refused), Refusal::CardDetailsMismatch), // password, expiry, CVN
        ("66", Refused(N::Refused), Refusal::CardDetailsMismatch), // person or phone
        ("67", Refused(N::Refused), Refusal::TooManyBindings),
        ("71", Refused(N::Refused), Refusal::BankCodeWrong),
        ("82", Refused(N::Refused), Refusal::BankRefused),
        ("72", Refused(N::CardNotUsable), Refusal::CardNotOpened),
        ("76", Refused(N::CardNotUsable), Refusal::CardNotOpened),
        ("77", Refused(N::CardNotUsable), Refusal::CardNotOpened),
        ("79", Refused(N::CardNotUsable), Refusal::CardNotOpened),
        ("80", Refused(N::CardNotUsable), Refusal::BankRefused), // the token
        ("89", Refused(N::CardNotUsable), Refusal::BankRefused),
    ]
};

fn known(code: &str) -> Option<(Said, Refusal)> {
    CODES.iter().find(|(known, ..)| *known == code).map(|(_, said, refusal)| (*said, *refusal))
}

/// Whether the network has such a code.
pub(super) fn is_code(code: &str) -> bool {
    known(code).is_some()
}

/// What a code says.
pub(super) fn said(code: &str) -> Said {
    known(code).map_or(Said::UnderWay, |(said, _)| said)
}

/// How the code that refuses a binding reads to a person.
pub(super) fn binding_refusal(code: &str) -> Refusal {
    known(code).map_or(Refusal::BankRefused, |(_, refusal)| refusal)
}

/// Whether a code tells the operator that something is to be mended here: a malformed message, a signature, or a product
/// that was never agreed on.
pub(super) fn is_ours_to_mend(code: &str) -> bool {
    matches!(code, "10" | "11" | "13" | "14" | "31" | "32" | "43")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_and_an_unknown_one_is_no_failure() {
        for (n, (code, ..)) in CODES.iter().enumerate() {
            assert!(CODES[n + 1..].iter().all(|(other, ..)| code != other), "{code}");
        }
        for unknown in ["", "98", "99", "XX", "000"] {
            assert_eq!(said(unknown), Said::UnderWay, "{unknown}");
        }
        assert_eq!(said("64"), Said::Refused(NetworkRefusal::InsufficientFunds));
    }
}
