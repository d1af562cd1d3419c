//! Its test cards: a debit and a credit card for each of the sandboxes' customers. All of it is made up and public. The
//! numbers are those of the network's published test range and run on from them.

use std::sync::LazyLock;

use koudai_core::card::CardKind;

use crate::sandbox::people::{CUSTOMERS, id_number, luhn_digit, name, phone};

/// Its customer whose debit card pays and is paid out to late: the network takes it on at once and decides three seconds
/// after.
const SLOW: u16 = 36;
/// Whose debit card is not opened for paying without it.
const NOT_OPENED: u16 = 37;
/// Whose debit card has no money.
const EMPTY: u16 = 38;
/// Whose debit card is lost.
const LOST: u16 = 39;

/// A card with everything its holder would type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCard {
    /// 1, 2, 3 …
    pub no: i64,
    /// 1 to 40.
    pub customer: u16,
    /// The holder's name.
    pub name: String,
    /// The holder's resident ID number.
    pub id_number: String,
    /// The mobile number to type.
    pub phone: String,
    /// The card number.
    pub number: String,
    /// Debit or credit.
    pub kind: CardKind,
    /// `MM/YY`, credit only.
    pub expiry: Option<&'static str>,
    /// Three digits, credit only.
    pub cvv: Option<&'static str>,
    /// What it can be debited for at first, in fen.
    pub funds_minor: i64,
}

impl TestCard {
    const fn is(&self, customer: u16) -> bool {
        matches!(self.kind, CardKind::Debit) && self.customer == customer
    }

    /// Decided late.
    pub(super) const fn is_slow(&self) -> bool {
        self.is(SLOW)
    }

    pub(super) const fn is_lost(&self) -> bool {
        self.is(LOST)
    }

    pub(super) const fn is_not_opened(&self) -> bool {
        self.is(NOT_OPENED)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.is(EMPTY)
    }
}

/// Every card, in the order of their numbers: the debit cards, then the credit cards.
pub fn test_cards() -> &'static [TestCard] {
    static CARDS: LazyLock<Vec<TestCard>> = LazyLock::new(|| {
        let kinds = [CardKind::Debit, CardKind::Credit];
        let all = kinds.into_iter().flat_map(|kind| (1..=CUSTOMERS).map(move |customer| (kind, customer)));
        (1..).zip(all).map(|(no, (kind, customer))| card(no, kind, customer)).collect()
    });
    &CARDS
}

/// The card with this number; `None` past the last.
pub(super) fn test_card(no: i64) -> Option<&'static TestCard> {
    test_cards().get(usize::try_from(no.checked_sub(1)?).ok()?)
}

fn card(no: i64, kind: CardKind, customer: u16) -> TestCard {
    let credit = kind == CardKind::Credit;
    // The published numbers are those of the first customer.
    let body = if credit { format!("6226388{:08}", customer + 8) } else { format!("6216261{customer:011}") };
    let empty = !credit && customer == EMPTY;
    TestCard {
        no,
        customer,
        name: name(customer),
        id_number: id_number(customer),
        phone: phone(customer),
        number: format!("{body}{}", luhn_digit(&body)),
        kind,
        expiry: credit.then_some("12/30"),
        cvv: credit.then_some("123"),
        funds_minor: if empty { 0 } else { 5_000_000 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cards_are_the_published_ones() {
        let cards = test_cards();
        assert_eq!(cards[0].number, "6216261000000000018");
        assert_eq!(cards[usize::from(CUSTOMERS)].number, "6226388000000095");
        assert_eq!(test_card(1), Some(&cards[0]));
        assert_eq!((test_card(0), test_card(81)), (None, None));
    }
}
