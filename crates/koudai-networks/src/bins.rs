//! Whose card a number is, from its first digits: a hint for whoever types one. Only the bank's own answer decides.
//!
//! The table is what two public lists agree on (see NOTICE). It lags behind new cards, so no match says nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

use koudai_core::card::CardKind;

/// The most digits that a row begins with: no lookup needs to see more of a card number.
pub const MOST_DIGITS: usize = 10;
/// From so many digits on a hint is given; fewer say too little.
pub const LEAST_DIGITS: usize = 6;
/// The fewest and the most digits a card number has.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=19;

/// What kind of card a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardType {
    /// `DC`: the holder's own money.
    Debit,
    /// `CC`: the bank's money.
    Credit,
    /// `SCC`, quasi-credit: pays a refund as fast as a debit card and costs as much as a credit card. It has an expiry and
    /// a security code, which is what a person is asked for by it.
    QuasiCredit,
    /// `PC`: paid in beforehand.
    Prepaid,
}

impl CardType {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "DC" => Self::Debit,
            "CC" => Self::Credit,
            "SCC" => Self::QuasiCredit,
            "PC" => Self::Prepaid,
            _ => return None,
        })
    }

    /// What a person is shown, and asked for accordingly.
    pub const fn kind(self) -> CardKind {
        match self {
            Self::Debit | Self::Prepaid => CardKind::Debit,
            Self::Credit | Self::QuasiCredit => CardKind::Credit,
        }
    }
}

/// Which scheme's numbers a row is among. Derived from the digits: an old card of two schemes that begins with 4 or 5 is
/// cleared over `UnionPay` at home all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// 62 and 81.
    UnionPay,
    /// 4.
    Visa,
    /// 51 to 55, 2221 to 2720.
    Mastercard,
    /// 34 and 37.
    Amex,
    /// 3528 to 3589.
    Jcb,
    /// Cards from before the schemes, good at home only. Some have no check digit.
    DomesticLegacy,
}

impl Scheme {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "UnionPay" => Self::UnionPay,
            "Visa" => Self::Visa,
            "Mastercard" => Self::Mastercard,
            "Amex" => Self::Amex,
            "JCB" => Self::Jcb,
            "domestic-legacy" => Self::DomesticLegacy,
            _ => return None,
        })
    }
}

/// A row of the table: cards of one bank and kind that begin alike and are equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// The digits they begin with, three to ten.
    pub digits: &'static str,
    /// How many digits they have.
    pub length: usize,
    /// The bank's code, such as `ICBC`.
    pub bank_code: &'static str,
    /// The bank, in Chinese.
    pub bank_zh: &'static str,
    /// The bank, in English.
    pub bank_en: &'static str,
    /// What kind of card.
    pub card_type: CardType,
    /// Whose numbers these are.
    pub scheme: Scheme,
}

impl Bin {
    /// A line of the file: `bin,pan_length,bank_code,bank_name_zh,bank_name_en,card_type,network`.
    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split(',');
        let bin = Self {
            digits: fields.next()?,
            length: fields.next()?.parse().ok()?,
            bank_code: fields.next()?,
            bank_zh: fields.next()?,
            bank_en: fields.next()?,
            card_type: CardType::from_word(fields.next()?)?,
            scheme: Scheme::from_word(fields.next()?)?,
        };
        let sound = bin.digits.bytes().all(|b| b.is_ascii_digit())
            && (1..=MOST_DIGITS).contains(&bin.digits.len())
            && LENGTHS.contains(&bin.length)
            && fields.next().is_none();
        sound.then_some(bin)
    }

    /// Whether somebody who types a card number reads the same of both.
    fn reads_as(&self, other: &Self) -> bool {
        self.bank_code == other.bank_code && self.card_type.kind() == other.card_type.kind()
    }
}

const FILE: &str = include_str!("../data/bank-bins.csv");

/// The rows of each beginning, one for each length.
static TABLE: LazyLock<HashMap<&'static str, Vec<Bin>>> = LazyLock::new(|| {
    let mut table: HashMap<_, Vec<_>> = HashMap::new();
    for line in FILE.lines().skip(1) {
        let bin = Bin::read(line).unwrap_or_else(|| panic!("bank-bins.csv: not a row: {line}"));
        table.entry(bin.digits).or_default().push(bin);
    }
    table
});

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Bin> {
    TABLE.values().flatten()
}

/// The row of a whole card number, which is digits only: the longest beginning among the cards that are as long as it is.
pub fn find(number: &str) -> Option<&'static Bin> {
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    of_length(number.get(..MOST_DIGITS).filter(|_| digits)?, number.len())
}

/// What is known of a card of which the first six to ten digits are known, and how many were typed so far. If no card is
/// that long yet, or none of this beginning, it is what all that may still come of the digits have in common.
pub fn hint(first: &str, typed: usize) -> Option<&'static Bin> {
    if !(LEAST_DIGITS..=MOST_DIGITS).contains(&first.len()) || !first.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if let Some(bin) = of_length(first, typed) {
        return Some(bin);
    }
    let longer = LENGTHS.filter(|length| *length > typed);
    // A longer row that has not parted from these digits yet may still be the card's.
    let parting = rows().filter(|bin| bin.length > typed && bin.digits.starts_with(first));
    let mut possible = longer.filter_map(|length| of_length(first, length)).chain(parting);
    let bin = possible.next()?;
    possible.all(|other| other.reads_as(bin)).then_some(bin)
}

fn of_length(first: &str, length: usize) -> Option<&'static Bin> {
    let most = first.len().min(MOST_DIGITS);
    (1..=most)
        .rev()
        .find_map(|digits| TABLE.get(first.get(..digits)?)?.iter().find(|bin| bin.length == length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of so many digits with this beginning.
    fn card(first: &str, length: usize) -> String {
        format!("{first:0<length$}")
    }

    fn found(first: &str, length: usize) -> Option<(&'static str, &'static str, CardKind)> {
        find(&card(first, length)).map(|bin| (bin.digits, bin.bank_code, bin.card_type.kind()))
    }

    #[test]
    fn every_row_is_read_once() {
        assert_eq!(FILE.lines().count(), 893);
        assert_eq!(rows().count(), 892);
        for bin in rows() {
            assert_eq!(find(&card(bin.digits, bin.length)), Some(bin), "no two rows are of the same cards");
        }
    }

    #[test]
    fn the_longest_beginning_of_a_card_of_that_length_is_its_row() {
        assert_eq!(found("95588", 19), Some(("95588", "ICBC", CardKind::Debit)));
        assert_eq!(found("95589", 19), Some(("9558", "ICBC", CardKind::Debit)));
        assert_eq!(found("95588", 16), None);
    }

    #[test]
    fn the_length_tells_cards_apart_that_begin_alike() {
        assert_eq!(found("622303", 18), Some(("622303", "ICBC", CardKind::Debit)));
        assert_eq!(found("622303", 16), Some(("622303", "NJCB", CardKind::Credit)));
        assert_eq!(found("622305", 18), Some(("622305", "ICBC", CardKind::Debit)));
        assert_eq!(found("622305", 16), Some(("622305", "NJCB", CardKind::Debit)));
        assert_eq!(found("622309", 18), Some(("622309", "ICBC", CardKind::Debit)));
        assert_eq!(found("622309", 19), Some(("622309", "CZBANK", CardKind::Debit)));
        for length in [15, 18] {
            assert_eq!(found("690755", length), Some(("690755", "CMB", CardKind::Debit)));
        }
        assert_eq!(found("690755", 16), None);
    }

    #[test]
    fn what_is_no_card_has_no_row() {
        for none in [
            "",
            "6",
            "622303",
            "4999990000000000",
            "９５５８８００００００００００００００",
            "95588-0000000000000",
        ] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn quasi_credit_is_shown_as_credit_and_prepaid_as_debit() {
        let of = |word| CardType::from_word(word).map(CardType::kind);
        assert_eq!(of("DC"), Some(CardKind::Debit));
        assert_eq!(of("CC"), Some(CardKind::Credit));
        assert_eq!(of("SCC"), Some(CardKind::Credit));
        assert_eq!(of("PC"), Some(CardKind::Debit));
        assert_eq!(of("XX"), None);
        assert!(rows().any(|bin| bin.card_type == CardType::QuasiCredit));
        assert!(rows().any(|bin| bin.card_type == CardType::Prepaid));
    }

    #[test]
    fn a_hint_is_given_once_the_digits_can_only_be_one_banks() {
        let hinted = |first, typed| hint(first, typed).map(|bin| (bin.bank_code, bin.card_type.kind()));
        assert_eq!(hinted("690755", 6), Some(("CMB", CardKind::Debit)), "both lengths are one bank's");
        assert_eq!(hinted("622303", 6), None, "two banks' cards begin like this");
        assert_eq!(hinted("622303", 16), Some(("NJCB", CardKind::Credit)));
        assert_eq!(hinted("622303", 17), Some(("ICBC", CardKind::Debit)), "only the longer one is left");
        assert_eq!(hinted("622303", 19), None);
        assert_eq!(hinted("955880", 8), Some(("ICBC", CardKind::Debit)));
        for nothing in ["62230", "62230300000", "62230a", "６２２３０３", ""] {
            assert_eq!(hinted(nothing, 16), None, "{nothing}");
        }
    }

    #[test]
    fn whoever_has_typed_everything_is_told_what_find_says() {
        for bin in rows() {
            let number = card(bin.digits, bin.length);
            for digits in bin.digits.len().max(LEAST_DIGITS)..=MOST_DIGITS {
                assert_eq!(hint(&number[..digits], bin.length), find(&number));
            }
        }
    }
}
