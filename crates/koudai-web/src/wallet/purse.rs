//! What a person has to pay with: the ways to pay that a page lists, the word each has in forms and answers, and the name
//! it has for people. It reads and never moves money.

use axum::response::Response;
use koudai_core::card::CardKind;
use koudai_core::id::{CardId, PersonId};
use koudai_core::ledger::{AccountId, NetworkId};
use koudai_core::money::Money;
use koudai_core::rows::{Attempt, Card, Order, Product, StaticTally};
use koudai_core::split::Split;
use koudai_core::static_code::SourceId;
use koudai_core::time::Timestamp;
use koudai_store::{Reader, StoreError};
use serde_json::{Value, json};

use super::answer;
use super::elsewhere::Elsewhere;
use super::home::balance;
use super::pages::{Method, Unusable};
use super::sign_in::{cookie_text, set_cookie};
use super::visit::{LAST_METHOD, Visit};
use crate::say::Lang;

/// A person's balance and cards.
pub(super) struct Purse {
    balance: Money,
    cards: Vec<Card>,
    /// What is left today of each source, where an order came of a printed code.
    left: Option<Left>,
}

/// What each source may still pay by printed codes today.
struct Left {
    balance: Money,
    cards: Vec<(CardId, Money)>,
    wallets: Vec<(NetworkId, Money)>,
    /// Of a source that has paid nothing.
    most: Money,
}

impl Left {
    fn read(
        r: &Reader,
        person: PersonId,
        cards: &[Card],
        most: Money,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let of = |card| left_of(r, SourceId::of(person, card), most, now);
        let (mut own, mut wallets) = (vec![], vec![]);
        for card in cards {
            let left = of(Some(card.id))?;
            if card.kind == CardKind::Wallet {
                wallets.push((card.network, left));
            } else {
                own.push((card.id, left));
            }
        }
        Ok(Self { balance: of(None)?, cards: own, wallets, most })
    }

    fn of_card(&self, id: CardId) -> Money {
        self.cards.iter().find(|(card, _)| *card == id).map_or(self.most, |(_, left)| *left)
    }

    fn of_wallet(&self, id: NetworkId) -> Money {
        self.wallets.iter().find(|(network, _)| *network == id).map_or(self.most, |(_, left)| *left)
    }
}

/// What a source may still pay by printed codes today, of so much.
pub(super) fn left_of(
    r: &Reader,
    source: SourceId,
    most: Money,
    now: Timestamp,
) -> Result<Money, StoreError> {
    Ok(StaticTally::at(r.get::<StaticTally>(&source)?.as_ref(), source, now).left(most))
}

/// Why it does not cover this much, if it does not.
fn too_little(left: Money, amount: Money) -> Option<Unusable> {
    left.checked_sub(amount).is_err().then_some(Unusable::StaticCodes(left))
}

impl Purse {
    pub(super) fn read(r: &Reader, person: PersonId) -> Result<Self, StoreError> {
        Self::with(r, person, |_| Ok(None))
    }

    /// The same, with what is left of each source today, of so much, if the order came of a printed code.
    pub(super) fn for_order(
        r: &Reader,
        person: PersonId,
        order: &Order,
        most: Money,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let bounded = order.product == Product::Static;
        let left = |cards: &[Card]| bounded.then(|| Left::read(r, person, cards, most, now)).transpose();
        Self::with(r, person, left)
    }

    fn with(
        r: &Reader,
        person: PersonId,
        left: impl FnOnce(&[Card]) -> Result<Option<Left>, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut cards = r.cards_of(person)?;
        let left = left(&cards)?;
        cards.retain(|card| card.kind != CardKind::Wallet);
        Ok(Self { balance: balance(r, AccountId::person(person))?, cards, left })
    }

    /// Why a source may not pay this much of the order, if it may not.
    fn bound(&self, amount: Option<Money>, of: impl FnOnce(&Left) -> Money) -> Option<Unusable> {
        too_little(of(self.left.as_ref()?), amount?)
    }

    pub(super) fn covers(&self, amount: Money) -> bool {
        self.balance.checked_sub(amount).is_ok()
    }

    /// The ways to pay; `amount` greys out what does not cover it.
    pub(super) fn methods(&self, visit: &Visit, amount: Option<Money>) -> Vec<Method> {
        let l = visit.l;
        let outside = &visit.app.networks.outside;
        let short = amount.is_some_and(|amount| !self.covers(amount));
        let mut methods = vec![Method {
            method: word(None),
            label: name(None, l),
            balance: Some(self.balance),
            unusable: short
                .then_some(Unusable::NotEnough)
                .or_else(|| self.bound(amount, |left| left.balance)),
        }];
        let down = |card: &Card| (!outside.is_up(card.network)).then_some(Unusable::BankDown);
        let by_card =
            |card: &Card, amount| down(card).or_else(|| self.bound(amount, |left| left.of_card(card.id)));
        methods.extend(self.cards.iter().map(|card| Method {
            method: word(Some(card.id)),
            label: name(Some(card), l),
            balance: None,
            unusable: by_card(card, amount),
        }));
        // What the balance falls short of, a card can pay in the same payment.
        let rest = amount.and_then(|amount| amount.checked_sub(self.balance).ok());
        if let Some(rest) = rest.filter(|rest| !rest.is_zero() && !self.balance.is_zero()) {
            methods.extend(self.cards.iter().map(|card| Method {
                method: format!("{BOTH}{}:{}", self.balance.minor(), card.id.wire()),
                label: both(self.balance, rest, card, l),
                balance: None,
                unusable:
                    by_card(card, Some(rest)).or_else(|| self.bound(Some(self.balance), |left| left.balance)),
            }));
        }
        methods
    }

    /// The ways to pay by the person's own hand: other wallets too.
    pub(super) fn methods_by_hand(&self, visit: &Visit, amount: Money) -> Vec<Method> {
        let mut methods = self.methods(visit, Some(amount));
        methods.extend(Elsewhere::all(visit).map(|wallet| Method {
            method: wallet.word(),
            label: wallet.name(visit),
            balance: None,
            unusable:
                wallet.unusable(visit).or_else(|| self.bound(Some(amount), |left| left.of_wallet(wallet.id))),
        }));
        methods
    }

    /// The same, as programs are told.
    pub(super) fn methods_json(&self, visit: &Visit, amount: Money) -> Value {
        let methods = self.methods_by_hand(visit, amount).into_iter().map(|m| {
            let mut value = json!({"method": m.method, "label": m.label, "usable": m.unusable.is_none()});
            if let Some(why) = m.unusable {
                value["why"] = why.wording(visit.l).into();
            }
            value
        });
        methods.collect()
    }

    /// The word of this card while it is bound, else of the balance.
    pub(super) fn chosen(&self, card: Option<CardId>) -> String {
        word(card.filter(|id| self.cards.iter().any(|card| card.id == *id)))
    }
}

/// What the word for some of the balance and a card begins with; the fen of the balance and the card follow.
pub(super) const BOTH: &str = "both:";
/// What the word for another wallet begins with; its number as a network follows.
pub(super) const WALLET: &str = "wallet:";

/// Has the device remember what was paid by, to begin with it next time. What fits one amount only is no habit.
pub(super) fn remember(visit: &Visit, response: &mut Response, method: &str) {
    const FOR_S: i64 = 180 * 24 * 3_600;
    if !method.starts_with(BOTH) {
        let word: String =
            method.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ':').take(40).collect();
        set_cookie(response, &cookie_text(LAST_METHOD, &word, "/", FOR_S, visit.app.secure));
    }
}

/// What forms send and answers say for a card, or for the balance. [`Fields::method`] reads it.
///
/// [`Fields::method`]: super::fields::Fields::method
pub(super) fn word(card: Option<CardId>) -> String {
    card.map_or_else(|| "balance".to_owned(), CardId::wire)
}

/// What people know a card by, or the balance.
pub(super) fn name_of(r: &Reader, card: Option<CardId>, l: Lang) -> Result<String, StoreError> {
    let card = match card {
        Some(card) => Some(r.get::<Card>(&card)?.expect("what was paid by a card has it")),
        None => None,
    };
    Ok(name(card.as_ref(), l))
}

/// What people know the means by that an order is paid with.
pub(super) fn paid_with(r: &Reader, order: &Order, l: Lang) -> Result<String, StoreError> {
    let Some(parts) = parts(r, order)? else { return name_of(r, order.card, l) };
    let card = order.card.map_or(Ok(None), |card| r.get::<Card>(&card))?;
    let card = card.expect("what was paid by a card has it");
    Ok(both(parts.balance, parts.card, &card, l))
}

/// How much of an order is the card's and how much the balance's; `None` if it is not paid by both.
pub(super) fn parts(r: &Reader, order: &Order) -> Result<Option<Split>, StoreError> {
    let call = order.attempt.map_or(Ok(None), |id| r.get::<Attempt>(&id))?;
    let parts = call.and_then(|call| Split::of(order.amount, call.amount));
    Ok(parts.filter(|parts| !parts.balance.is_zero()))
}

/// The balance and a card with what is paid from each. It is broken between the two only.
fn both(from_balance: Money, by_card: Money, card: &Card, l: Lang) -> String {
    let sign = from_balance.currency().sign();
    let part =
        |of: Option<&Card>, amount: Money| format!("{} {sign}{amount}", name(of, l)).replace(' ', "\u{a0}");
    format!("{} + {}", part(None, from_balance), part(Some(card), by_card))
}

fn name(card: Option<&Card>, l: Lang) -> String {
    card.map_or_else(|| l.say("零钱", "Balance").to_owned(), |card| answer::card_line(card, l).name(l))
}
