//! What a person has to pay with: the ways to pay that a page lists, the word each has in forms and answers, and the name
//! it has for people. It reads and never moves money.

use axum::response::Response;
use koudai_core::card::CardKind;
use koudai_core::id::{CardId, PersonId};
use koudai_core::ledger::AccountId;
use koudai_core::money::Money;
use koudai_core::rows::{Attempt, Card, Order};
use koudai_core::split::Split;
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
}

impl Purse {
    pub(super) fn read(r: &Reader, person: PersonId) -> Result<Self, StoreError> {
        let mut cards = r.cards_of(person)?;
        cards.retain(|card| card.kind != CardKind::Wallet);
        Ok(Self { balance: balance(r, AccountId::person(person))?, cards })
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
            unusable: short.then_some(Unusable::NotEnough),
        }];
        let down = |card: &Card| (!outside.is_up(card.network)).then_some(Unusable::BankDown);
        methods.extend(self.cards.iter().map(|card| Method {
            method: word(Some(card.id)),
            label: name(Some(card), l),
            balance: None,
            unusable: down(card),
        }));
        // What the balance falls short of, a card can pay in the same payment.
        let rest = amount.and_then(|amount| amount.checked_sub(self.balance).ok());
        if let Some(rest) = rest.filter(|rest| !rest.is_zero() && !self.balance.is_zero()) {
            methods.extend(self.cards.iter().map(|card| Method {
                method: format!("{BOTH}{}:{}", self.balance.minor(), card.id.wire()),
                label: both(self.balance, rest, card, l),
                balance: None,
                unusable: down(card),
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
            unusable: wallet.unusable(visit),
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
