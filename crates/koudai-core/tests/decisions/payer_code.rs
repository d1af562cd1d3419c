//! Payers' codes: few, short-lived, one person's, and nothing to be learnt from them.

use koudai_core::binding::RemoveCard;
use koudai_core::payer_code::{
    AuthCode, ChoosePayerMethod, IssuePayerCode, SweepPayerCodes, SwitchPayerCodesOff, SwitchPayerCodesOn,
};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{OrderState, PayerCode, PayerCodes};
use koudai_core::time::{MINUTE, SECOND};

use crate::fixture::{Freeze, Ledger, PIN, WRONG, pin, take};

const PAYER: &str = "13800138000";
const OTHER: &str = "13900139000";

#[test]
fn codes_are_switched_on_by_the_payment_password() {
    let mut ledger = Ledger::new();
    let person = ledger.person_with_pin(PAYER);
    let issue = IssuePayerCode { person, code: AuthCode::draw(1) };
    assert_eq!(ledger.refusal(&issue), Refusal::PayerCodeOff);
    let wrong = ledger.submit(&SwitchPayerCodesOn { person, pin: pin(WRONG) });
    assert_eq!(wrong, Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    assert_eq!(ledger.refusal(&issue), Refusal::PayerCodeOff);
    ledger.submit(&SwitchPayerCodesOn { person, pin: pin(PIN) }).unwrap();
    assert_eq!(ledger.submit(&issue), Ok(ledger.now.plus(MINUTE)));
}

#[test]
fn a_code_stands_nowhere_but_as_a_hash() {
    let mut ledger = Ledger::new();
    let (_, code) = ledger.shower(PAYER, 100);
    let said = format!("{:?}{:?}", ledger.snapshot(), ledger.journals());
    assert!(!said.contains(code.expose()) && !said.contains(&code.expose()[2..17]));
}

#[test]
fn a_fifth_code_takes_the_place_of_the_oldest() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let (person, first) = ledger.shower(PAYER, 1_000);
    let rest: Vec<AuthCode> = (2..=5).map(|n| ledger.shown(person, n)).collect();
    assert_eq!(ledger.all::<PayerCode>().len(), 4);
    assert_eq!(ledger.refusal(&take(mchid, "order-1", 10, &first)), MerchantRefusal::AuthCodeInvalid);
    for (n, code) in rest.iter().enumerate() {
        assert!(ledger.submit(&take(mchid, &format!("order-{n}"), 10, code)).is_ok());
    }
}

#[test]
fn digits_that_are_a_code_already_are_not_another() {
    let mut ledger = Ledger::new();
    let (person, code) = ledger.shower(PAYER, 100);
    assert_eq!(ledger.refusal(&IssuePayerCode { person, code: code.clone() }), Refusal::NumberReused);
    let other = ledger.person_with_pin(OTHER);
    ledger.submit(&SwitchPayerCodesOn { person: other, pin: pin(PIN) }).unwrap();
    assert_eq!(ledger.refusal(&IssuePayerCode { person: other, code }), Refusal::NumberReused);
}

#[test]
fn switching_off_ends_the_codes_that_are_out_and_not_what_was_counted() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let (person, code) = ledger.shower(PAYER, 100_000);
    for n in 0..5 {
        let code = ledger.shown(person, 10 + n);
        ledger.submit(&take(mchid, &format!("order-{n}"), 1, &code)).unwrap();
    }
    ledger.submit(&SwitchPayerCodesOff { person }).unwrap();
    assert_eq!(ledger.all::<PayerCode>().len(), 0);
    assert_eq!(ledger.refusal(&take(mchid, "order-8", 1, &code)), MerchantRefusal::AuthCodeInvalid);
    let issue = IssuePayerCode { person, code: AuthCode::draw(99) };
    assert_eq!(ledger.refusal(&issue), Refusal::PayerCodeOff);
    assert_eq!(ledger.effect(&SwitchPayerCodesOff { person }), (Ok(()), false));
    ledger.submit(&SwitchPayerCodesOn { person, pin: pin(PIN) }).unwrap();
    let code = ledger.shown(person, 100);
    let order = ledger.submit(&take(mchid, "order-9", 1, &code)).unwrap();
    assert_eq!(order.state, OrderState::Confirming, "five have passed today");
}

#[test]
fn only_ones_own_bound_card_is_chosen_and_one_removed_pays_no_more() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let (person, code) = ledger.shower(PAYER, 100);
    let other = ledger.person_with_pin(OTHER);
    let (own, foreign) = (ledger.card(person), ledger.card(other));
    let choose = |card| ChoosePayerMethod { person, card };
    assert_eq!(ledger.refusal(&choose(Some(foreign))), Refusal::CardUnknown);
    assert_eq!(ledger.refusal(&ChoosePayerMethod { person: other, card: None }), Refusal::PayerCodeOff);
    ledger.submit(&choose(Some(own))).unwrap();
    assert_eq!(ledger.get::<PayerCodes>(&person).unwrap().card, Some(own));
    ledger.submit(&RemoveCard { person, card: own, pin: pin(PIN) }).unwrap();
    let order = ledger.submit(&take(mchid, "order-1", 60, &code)).unwrap();
    assert_eq!((order.state, order.card), (OrderState::Paid, None), "the balance pays instead");
}

#[test]
fn a_frozen_account_gets_no_code() {
    let mut ledger = Ledger::new();
    let (person, _) = ledger.shower(PAYER, 100);
    ledger.submit(&Freeze(person)).unwrap();
    let issue = IssuePayerCode { person, code: AuthCode::draw(2) };
    assert_eq!(ledger.refusal(&issue), Refusal::AccountFrozen);
    let on = SwitchPayerCodesOn { person, pin: pin(PIN) };
    assert_eq!(ledger.refusal(&on), Refusal::AccountFrozen);
}

#[test]
fn codes_are_swept_once_they_are_long_expired() {
    let mut ledger = Ledger::new();
    let (person, _) = ledger.shower(PAYER, 100);
    ledger.advance(30 * SECOND);
    ledger.shown(person, 2);
    let hashes: Vec<[u8; 32]> = ledger.all::<PayerCode>().into_iter().map(|code| code.hash).collect();
    let sweep = SweepPayerCodes { hashes: [hashes, vec![[0; 32]]].concat() };
    ledger.advance(10 * MINUTE);
    assert_eq!(ledger.effect(&sweep), (Ok(()), false));
    ledger.advance(30 * SECOND);
    ledger.submit(&sweep).unwrap();
    assert_eq!(ledger.all::<PayerCode>().len(), 1);
    for n in 3..8 {
        ledger.shown(person, n);
    }
    assert_eq!(ledger.all::<PayerCode>().len(), 4, "a code that was swept is not missed");
}
