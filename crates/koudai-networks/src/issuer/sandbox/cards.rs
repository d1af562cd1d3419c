//! The sandbox bank's numbered customers and cards. All of it is made up and public: it is printed for whoever tries
//! the wallet, and no real card or person can have these numbers.
//!
//! Card numbers begin with 629999 and carry the card's number; ID numbers carry an unassigned region (110199) and the
//! customer's number; phones are 139 0000 00NN.

use std::sync::LazyLock;

use crate::issuer::wire::CardKind;
pub use crate::sandbox::people::CUSTOMERS;
use crate::sandbox::people::{id_number, luhn_digit, name, phone};

/// Customers below this one hold the cards of [`SPECIAL`]; the others one ordinary debit card each.
const FIRST_ORDINARY: u16 = 3;

/// What a card does besides moving money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing: it answers at once.
    Plain,
    /// Its details match nothing anyone could type.
    Mismatch,
    /// Debits and payouts are done at once and answered late.
    Late,
    /// Debits and payouts are done at once and never answered; refunds neither, the first time.
    Silent,
}

/// A card with everything its holder would type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCard {
    /// 1, 2, 3…; the number people call it by.
    pub no: u16,
    /// 1 to 40.
    pub customer: u16,
    /// The holder's name.
    pub name: String,
    /// The holder's resident ID number, with a valid check character.
    pub id_number: String,
    /// The mobile number to type.
    pub phone: String,
    /// The card number, with a valid check digit: 19 digits for debit, 16 for credit.
    pub number: String,
    /// Debit or credit.
    pub kind: CardKind,
    /// `MM/YY`, credit only.
    pub expiry: Option<&'static str>,
    /// Three digits, credit only.
    pub cvv: Option<&'static str>,
    /// What it can be debited for at first, in fen: money for a debit card, the limit for a credit card.
    pub funds_minor: i64,
    /// Whether the bank has frozen it.
    pub frozen: bool,
    /// What else it does.
    pub behaviour: Behaviour,
}

struct Special {
    customer: u16,
    kind: CardKind,
    funds_minor: i64,
    frozen: bool,
    behaviour: Behaviour,
}

const PLAIN: Special = Special {
    customer: 1,
    kind: CardKind::Debit,
    funds_minor: 5_000_000,
    frozen: false,
    behaviour: Behaviour::Plain,
};

/// Cards 1 to 8, in this order.
const SPECIAL: [Special; 8] = [
    PLAIN,
    Special { kind: CardKind::Credit, funds_minor: 2_000_000, ..PLAIN },
    Special { funds_minor: 0, ..PLAIN },
    Special { behaviour: Behaviour::Mismatch, ..PLAIN },
    Special { behaviour: Behaviour::Late, ..PLAIN },
    Special { behaviour: Behaviour::Silent, ..PLAIN },
    // Above what one debit may be, so that the limit can be met.
    Special { customer: 2, funds_minor: 8_000_000, ..PLAIN },
    Special { customer: 2, frozen: true, ..PLAIN },
];

/// Every card of the bank in the order of their numbers: 1 to 8 as listed on the bank's page, then one ordinary debit
/// card for each of the customers 3 to 40.
pub fn test_cards() -> &'static [TestCard] {
    static CARDS: LazyLock<Vec<TestCard>> = LazyLock::new(|| {
        let ordinary = (FIRST_ORDINARY..=CUSTOMERS).map(|customer| Special { customer, ..PLAIN });
        (1..).zip(SPECIAL.into_iter().chain(ordinary)).map(|(no, special)| card(no, &special)).collect()
    });
    &CARDS
}

/// The card with this number; `None` past the last.
pub(super) fn test_card(no: u16) -> Option<&'static TestCard> {
    test_cards().get(usize::from(no.checked_sub(1)?))
}

fn card(no: u16, special: &Special) -> TestCard {
    let credit = special.kind == CardKind::Credit;
    let body = if credit { format!("629999{no:09}") } else { format!("629999{no:012}") };
    TestCard {
        no,
        customer: special.customer,
        name: name(special.customer),
        id_number: id_number(special.customer),
        phone: phone(special.customer),
        number: format!("{body}{}", luhn_digit(&body)),
        kind: special.kind,
        expiry: credit.then_some("12/30"),
        cvv: credit.then_some("123"),
        funds_minor: special.funds_minor,
        frozen: special.frozen,
        behaviour: special.behaviour,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_cards_people_type_never_change() {
        let numbers: Vec<_> = test_cards().iter().take(8).map(|card| card.number.as_str()).collect();
        assert_eq!(
            numbers,
            [
                "6299990000000000012",
                "6299990000000025",
                "6299990000000000038",
                "6299990000000000046",
                "6299990000000000053",
                "6299990000000000061",
                "6299990000000000079",
                "6299990000000000087",
            ]
        );
        assert_eq!(id_number(1), "110199199001010010");
        assert_eq!(id_number(2), "110199199001010029");
    }

    #[test]
    fn every_customer_and_card_is_one_of_a_kind() {
        let cards = test_cards();
        assert_eq!(cards.len(), 46);
        let distinct = |of: fn(&TestCard) -> String| cards.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(distinct(|card| card.number.clone()), 46);
        for people in [distinct(|card| card.name.clone()), distinct(|card| card.id_number.clone())] {
            assert_eq!(people, usize::from(CUSTOMERS));
        }
        assert_eq!(distinct(|card| card.phone.clone()), usize::from(CUSTOMERS));
        assert_eq!(test_card(46).unwrap().customer, CUSTOMERS);
        assert_eq!(test_card(47), None);
    }
}
