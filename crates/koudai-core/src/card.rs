//! What a bank card is to the wallet: a number checked at the door and then forgotten, but for its ends.

use crate::column::worded;
use crate::luhn::luhn_ok;
use crate::secret::Secret;
use crate::time::Timestamp;

/// A card number that passed its length (15 to 19) and check digit.
#[derive(Clone, Debug)]
pub struct CardNumber(Secret<String>);

impl CardNumber {
    /// Reads a number as typed, blanks and dashes allowed; `None` if it is not a card's.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 {
            return None;
        }
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        ((15..=19).contains(&digits.len()) && luhn_ok(&digits)).then_some(Self(Secret::new(digits)))
    }

    /// The whole number, for the network and for the keyed hash; nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The first six digits, which name the issuer.
    pub fn bin(&self) -> &str {
        &self.0.expose()[..6]
    }

    /// The last four digits, which people know it by.
    pub fn last4(&self) -> &str {
        &self.0.expose()[self.0.expose().len() - 4..]
    }
}

worded! {
    /// Debit or credit, which decides the fields a binding asks for; or no card at all.
    CardKind {
        /// Money of the holder's.
        Debit = "debit",
        /// Money lent by the bank.
        Credit = "credit",
        /// A person's account at another wallet, which has no number here.
        Wallet = "wallet",
    }
}

/// A month and year as printed on the card, `MM/YY`, not past at `now`.
pub fn expiry_ok(text: &str, now: Timestamp) -> bool {
    let Some((month, year)) = text.split_once('/') else { return false };
    let two =
        |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<i64>().ok())?;
    let (Some(month), Some(year)) = (two(month), two(year)) else { return false };
    let today = now.china();
    (1..=12).contains(&month) && (2000 + year, month) >= (today.year, i64::from(today.month))
}

/// Three digits, as on the back of a card.
pub fn cvv_ok(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_test_numbers_pass_and_a_wrong_digit_fails() {
        for good in ["6216261000000000018", "6226388000000095", "4111 1111-1111 1111", "6217000012345678907"]
        {
            assert!(CardNumber::parse(good).is_some(), "{good}");
        }
        for bad in [
            "6221558812340000",
            "4111111111111112",
            "",
            "0",
            "４１１１１１１１１１１１１１１１",
            "41111111111111111111111",
        ] {
            assert!(CardNumber::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_card_number_never_prints_itself() {
        let card = CardNumber::parse("6216261000000000018").unwrap();
        assert!(!format!("{card:?}").contains("6216"));
        assert_eq!((card.bin(), card.last4()), ("621626", "0018"));
    }

    #[test]
    fn an_expiry_counts_to_the_end_of_its_month() {
        let november = Timestamp::parse_rfc3339("2026-11-30T23:59:59+08:00").unwrap();
        assert!(expiry_ok("11/26", november) && expiry_ok("01/27", november));
        for bad in ["10/26", "13/30", "00/30", "1/30", "1130", "ab/cd", "+1/30"] {
            assert!(!expiry_ok(bad, november), "{bad}");
        }
    }
}
