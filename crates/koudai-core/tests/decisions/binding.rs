//! Binding a card, from intent to card, and taking it out again.

use koudai_core::binding::{BindingAnswer, RecordBinding, RemoveCard, StartBinding, person_refusal};
use koudai_core::id::{BindingId, CardId, PersonId};
use koudai_core::other_wallet::wallet_refusal;
use koudai_core::payment_password::SetPaymentPassword;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Binding, BindingState, Card, CardOwner, Identity, NetworkRefusal, PaymentPassword, Person,
};
use koudai_core::time::{DAY, MINUTE};

use crate::fixture::{Freeze, Ledger, PIN, WRONG, bound, face, pin, start_binding};

fn record(ledger: &mut Ledger, binding: BindingId, answer: BindingAnswer) -> Binding {
    ledger.submit(&RecordBinding { binding, answer }).expect("a known binding")
}

fn one(ledger: &mut Ledger) -> PersonId {
    ledger.person_with_pin("13800138000")
}

#[test]
fn nobody_binds_without_an_account() {
    let mut ledger = Ledger::new();
    let start = start_binding(PersonId(1 << 62), "number-1", 1);
    assert_eq!(ledger.refusal(&start), Refusal::SignedOut);
}

#[test]
fn a_frozen_account_binds_nothing() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    ledger.submit(&Freeze(person)).unwrap();
    assert_eq!(ledger.refusal(&start_binding(person, "number-1", 1)), Refusal::AccountFrozen);
}

#[test]
fn the_holder_is_fourteen_or_older() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let aged = |age| StartBinding { age, ..start_binding(person, "number-1", 1) };
    assert_eq!(ledger.refusal(&aged(13)), Refusal::HolderTooYoung);
    assert!(ledger.submit(&aged(14)).is_ok());
}

#[test]
fn a_second_card_must_be_the_same_persons() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    ledger.card(person);
    let stranger = StartBinding { identity_mac: [77; 32], ..start_binding(person, "number-2", 200) };
    assert_eq!(ledger.refusal(&stranger), Refusal::NotTheSamePerson);
}

#[test]
fn of_two_identities_under_way_at_once_the_first_to_be_bound_stays() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let stranger = StartBinding { identity_mac: [77; 32], ..start_binding(person, "number-2", 200) };
    let stranger = ledger.submit(&stranger).unwrap().0.id;
    ledger.card(person);
    let failed = record(&mut ledger, stranger, bound());
    assert_eq!(failed.state, BindingState::Failed);
    assert_eq!(failed.refusal.as_deref(), Some(Refusal::NotTheSamePerson.code()));
    assert_eq!(ledger.all::<Card>().len(), 1);
}

#[test]
fn a_card_is_bound_once_to_one_account() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    ledger.card(person);
    assert_eq!(ledger.refusal(&start_binding(person, "number-2", 1)), Refusal::CardAlreadyBound);
}

#[test]
fn a_card_is_not_bound_to_a_second_account() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let other = ledger.person("13900139000");
    ledger.card(person);
    assert_eq!(ledger.refusal(&start_binding(other, "number-2", 1)), Refusal::CardBoundElsewhere);
}

#[test]
fn of_two_accounts_that_bind_a_card_at_once_the_first_to_be_bound_has_it() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let other = ledger.person("13900139000");
    let late = ledger.submit(&start_binding(other, "number-2", 1)).unwrap().0.id;
    let card = ledger.card(person);
    let failed = record(&mut ledger, late, bound());
    assert_eq!(failed.refusal.as_deref(), Some(Refusal::CardBoundElsewhere.code()));
    assert_eq!(ledger.get::<CardOwner>(&[1; 32]).unwrap().card, Some(card));
    assert_eq!(ledger.get::<Person>(&other).unwrap().cards, 0);
}

#[test]
fn a_card_bound_twice_at_once_by_one_person_is_said_to_be_theirs() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let late = ledger.submit(&start_binding(person, "number-2", 1)).unwrap().0.id;
    ledger.card(person);
    let failed = record(&mut ledger, late, bound());
    assert_eq!(failed.refusal.as_deref(), Some(Refusal::CardAlreadyBound.code()));
    assert_eq!(ledger.get::<Person>(&person).unwrap().cards, 1);
}

#[test]
fn ten_cards_are_the_most() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    for _ in 0..10 {
        ledger.card(person);
    }
    assert_eq!(ledger.refusal(&start_binding(person, "number-11", 200)), Refusal::TooManyCards);
}

#[test]
fn bindings_under_way_at_once_do_not_pass_the_most_cards() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    ledger.policy.cards_most = 2;
    let under_way: Vec<BindingId> = (0..3).map(|_| ledger.binding(person)).collect();
    let states: Vec<_> = under_way.into_iter().map(|b| record(&mut ledger, b, bound())).collect();
    assert_eq!(states[1].state, BindingState::Bound);
    assert_eq!(states[2].refusal.as_deref(), Some(Refusal::TooManyCards.code()));
    assert_eq!(ledger.get::<Person>(&person).unwrap().cards, 2);
}

#[test]
fn five_failed_bindings_are_enough_for_a_day() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    for _ in 0..5 {
        let binding = ledger.binding(person);
        record(&mut ledger, binding, BindingAnswer::Failed(Refusal::CardDetailsMismatch));
    }
    let sixth = start_binding(person, "number-6", 200);
    assert_eq!(ledger.refusal(&sixth), Refusal::TooManyBindings);
    ledger.advance(DAY);
    assert!(ledger.submit(&sixth).is_ok());
}

#[test]
fn the_same_number_is_the_same_binding_and_asks_the_bank_once() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let start = start_binding(person, "number-1", 1);
    let (first, begun) = ledger.submit(&start).unwrap();
    assert!(begun);
    assert_eq!(first.expires_at, ledger.now.plus(10 * MINUTE));
    let (again, changed) = ledger.effect(&start);
    assert_eq!(again, Ok((first, false)));
    assert!(!changed);
    let other_card = StartBinding { card_mac: [2; 32], ..start.clone() };
    assert_eq!(ledger.refusal(&other_card), Refusal::NumberReused);
    let other_person = StartBinding { identity_mac: [2; 32], ..start };
    assert_eq!(ledger.refusal(&other_person), Refusal::NumberReused);
}

#[test]
fn a_bank_answers_only_bindings_that_exist() {
    let mut ledger = Ledger::new();
    let unknown = RecordBinding { binding: BindingId(16), answer: bound() };
    assert_eq!(ledger.refusal(&unknown), Refusal::BindingUnknown);
}

#[test]
fn a_binding_becomes_a_card_that_shows_what_the_bank_says() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let binding = ledger.binding(person);
    let sent = record(&mut ledger, binding, BindingAnswer::CodeSent(face()));
    assert_eq!((sent.state, sent.bank_en.as_str()), (BindingState::CodeSent, "Harbour Bank"));
    let done = record(&mut ledger, binding, bound());
    assert_eq!(done.state, BindingState::Bound);
    let card = ledger.get::<Card>(&done.card.unwrap()).unwrap();
    assert_eq!((card.person, card.bank_zh.as_str(), card.last4.as_str()), (person, "海港银行", "0001"));
    assert_eq!(ledger.get::<Person>(&person).unwrap().cards, 1);
    assert_eq!(ledger.get::<Identity>(&person).unwrap().name_masked, "**明");
    for late in [bound(), BindingAnswer::CodeSent(face()), BindingAnswer::Failed(Refusal::BankRefused)] {
        let (answer, changed) = ledger.effect(&RecordBinding { binding, answer: late });
        assert_eq!(answer.unwrap(), done);
        assert!(!changed, "an answer to a binding that has ended changes nothing");
    }
}

#[test]
fn a_refused_binding_keeps_the_reason_as_a_stable_code() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let binding = ledger.binding(person);
    let refusal = Refusal::CardDetailsMismatch;
    let failed = record(&mut ledger, binding, BindingAnswer::Failed(refusal));
    assert_eq!(
        (failed.state, failed.refusal.as_deref()),
        (BindingState::Failed, Some("CARD_DETAILS_MISMATCH"))
    );
    assert_eq!(ledger.get::<Identity>(&person), None, "an identity no bank proved is not kept");
}

#[test]
fn a_removed_card_is_gone_for_its_holder_and_free_for_another() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let other = ledger.person_with_pin("13900139000");
    let card = ledger.card(person);
    ledger.submit(&RemoveCard { person, card, pin: pin(PIN) }).unwrap();
    assert_eq!(ledger.get::<Person>(&person).unwrap().cards, 0);
    assert_eq!(ledger.get::<Card>(&card).unwrap().removed_at, Some(ledger.now), "refunds still find it");
    assert_eq!(ledger.refusal(&RemoveCard { person, card, pin: pin(PIN) }), Refusal::CardUnknown);
    assert!(ledger.submit(&start_binding(other, "number-2", 1)).is_ok());
}

#[test]
fn only_the_holder_removes_a_card() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let other = ledger.person_with_pin("13900139000");
    let card = ledger.card(person);
    let strangers = RemoveCard { person: other, card, pin: pin(PIN) };
    assert_eq!(ledger.refusal(&strangers), Refusal::CardUnknown, "the same as for no card at all");
    let none = RemoveCard { person, card: CardId(16), pin: pin(PIN) };
    assert_eq!(ledger.refusal(&none), Refusal::CardUnknown);
}

#[test]
fn removing_a_card_takes_the_payment_password() {
    let mut ledger = Ledger::new();
    let person = one(&mut ledger);
    let card = ledger.card(person);
    let wrong = ledger.submit(&RemoveCard { person, card, pin: pin(WRONG) });
    assert_eq!(wrong, Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    assert_eq!(ledger.get::<Card>(&card).unwrap().removed_at, None);
    assert_eq!(ledger.get::<PaymentPassword>(&person).unwrap().wrong, 1);
}

#[test]
fn every_refusal_of_a_network_has_words_for_a_person() {
    let words = |of: fn(NetworkRefusal) -> Refusal| {
        NetworkRefusal::ALL.iter().map(|r| of(*r).code()).collect::<Vec<_>>()
    };
    let of_a_wallet = [
        "WALLET_INSUFFICIENT_FUNDS",
        "WALLET_OVER_LIMIT",
        "WALLET_REFUSED",
        "WALLET_UNAVAILABLE",
        "WITHDRAWAL_NOT_COVERED",
        "NOT_COMPLETED",
        "WALLET_REFUSED",
    ];
    assert_eq!(words(wallet_refusal), of_a_wallet);
    let expected = [
        "CARD_INSUFFICIENT_FUNDS",
        "CARD_OVER_LIMIT",
        "CARD_NOT_USABLE",
        "BANK_UNAVAILABLE",
        "WITHDRAWAL_NOT_COVERED",
        "NOT_COMPLETED",
        "BANK_REFUSED",
    ];
    assert_eq!(words(person_refusal), expected);
}

#[test]
fn once_there_is_a_payment_password_binding_asks_for_it() {
    let mut ledger = Ledger::new();
    let person = ledger.person("13800138000");
    let without = StartBinding { pin: None, ..start_binding(person, "number-1", 1) };
    assert!(ledger.submit(&without).is_ok(), "there is none yet");
    ledger.submit(&SetPaymentPassword { person, pin: pin(PIN) }).expect("none is set");
    let second = |pin| StartBinding { pin, ..start_binding(person, "number-2", 2) };
    assert_eq!(ledger.refusal(&second(None)), Refusal::PaymentPasswordMalformed);
    let wrong = ledger.submit(&second(Some(pin(WRONG)))).expect_err("it is another");
    assert_eq!(wrong, Refusal::PaymentPasswordWrong { tries_left: 4 });
    let (binding, begun) = ledger.submit(&second(Some(pin(PIN)))).expect("it is right");
    assert!(begun);
    let again = ledger.submit(&second(None)).expect("the same number again is the same binding");
    assert_eq!(again, (binding, false));
}
