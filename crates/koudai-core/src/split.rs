//! An order that is paid from the balance and by a card in one payment: how much from where, and what goes back to where.
//!
//! The balance's part is held while the card's bank is asked. If the bank pays, both parts reach the merchant in one journal;
//! if not, what was held comes back.

use crate::money::Money;

/// How much of an order, or of a refund of it, is the card's and how much the balance's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The card's part.
    pub card: Money,
    /// The balance's part.
    pub balance: Money,
}

impl Split {
    /// An amount of which a card pays `card`, and the balance the rest. `None` if the card pays more than all of it.
    pub fn of(amount: Money, card: Money) -> Option<Self> {
        Some(Self { card, balance: amount.checked_sub(card).ok()? })
    }

    /// What goes where of a refund of `amount`, when `refunded` of the order has gone back before: to the card until it has
    /// back what it paid, and then to the balance. So nobody turns a card's money into balance.
    ///
    /// The decision has made sure that no more goes back than was paid.
    pub fn back(self, refunded: Money, amount: Money) -> Self {
        let to_card = |back: Money| if back.minor() < self.card.minor() { back } else { self.card };
        let before = to_card(refunded);
        let after = to_card(refunded.checked_add(amount).expect("it is within the order's amount"));
        let card = after.checked_sub(before).expect("what went back to the card never falls");
        Self { card, balance: amount.checked_sub(card).expect("the card gets back a part of it") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fen(minor: i64) -> Money {
        Money::fen(minor).unwrap()
    }

    #[test]
    fn the_card_is_given_back_to_first() {
        let paid = Split::of(fen(9_000), fen(6_000)).unwrap();
        assert_eq!(paid.balance, fen(3_000));
        let first = paid.back(fen(0), fen(2_999));
        assert_eq!((first.card, first.balance), (fen(2_999), fen(0)));
        let rest = paid.back(fen(2_999), fen(6_001));
        assert_eq!((rest.card, rest.balance), (fen(3_001), fen(3_000)));
        assert_eq!(Split::of(fen(5), fen(6)), None);
    }

    proptest! {
        #[test]
        fn parts_give_back_what_was_paid_from_each_whatever_their_sizes(
            card in 1_i64..1_000_000, balance in 1_i64..1_000_000, cuts in proptest::collection::vec(1_i64..500_000, 0..20)
        ) {
            let paid = Split { card: fen(card), balance: fen(balance) };
            let (mut refunded, mut back) = (0, (0, 0));
            for cut in cuts.into_iter().chain([i64::MAX]) {
                let amount = cut.min(card + balance - refunded);
                let part = paid.back(fen(refunded), fen(amount));
                prop_assert_eq!(part.card.minor() + part.balance.minor(), amount);
                back = (back.0 + part.card.minor(), back.1 + part.balance.minor());
                prop_assert!(back.1 == 0 || back.0 == card, "the balance gets nothing before the card has all");
                refunded += amount;
            }
            prop_assert_eq!(back, (card, balance));
        }
    }
}
