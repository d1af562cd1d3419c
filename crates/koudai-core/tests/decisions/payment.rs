//! Paying an order: once, by whoever comes first, from the balance or by card.

use koudai_core::id::{CardId, MchId, OrderId, PersonId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind};
use koudai_core::merchant::SetMerchant;
use koudai_core::order::{CloseOrder, PlaceOrder};
use koudai_core::payment::{Means, Pay, PayCode};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Attempt, NetworkRefusal, Order, OrderState, Product};
use koudai_core::sign_in::SignOut;
use koudai_core::state::Event;
use koudai_core::time::{DAY, HOUR};

use crate::fixture::{Freeze, Ledger, PIN, WRONG, fen, pin, place, set};

const PAYER: &str = "13800138000";
const OTHER: &str = "13900139000";

fn shop() -> (Ledger, MchId) {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    (ledger, mchid)
}

fn pay(person: PersonId, order: OrderId, card: Option<CardId>) -> Pay {
    Pay { person, order, means: Means::of(card), confirmed: pin(PIN).into() }
}

#[test]
fn a_payment_from_the_balance_reaches_the_merchant_less_its_fee() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 20_000);
    let order = ledger.paid(mchid, "order-1", person, 10_000);
    assert_eq!((order.state, order.payer, order.card), (OrderState::Paid, Some(person), None));
    assert_eq!((order.fee, order.paid_at), (fen(60), Some(ledger.now)));
    assert_eq!(ledger.balance_of(person), 10_000);
    assert_eq!(ledger.balance(AccountId::merchant(mchid)), 9_940);
    assert_eq!(ledger.balance(AccountId::fees()), 60);
    let journal = ledger.journals().pop().unwrap();
    assert_eq!((journal.kind, journal.subject), (JournalKind::BalancePayment, order.id.0));
    assert_eq!(order.paid_seq, Some(journal.seq));
    ledger.commit();
    assert!(ledger.events.contains(&Event::NoticeDue(mchid)));
    assert!(ledger.events.contains(&Event::OrderChanged(order.id)));
    ledger.audit();
}

#[test]
fn an_order_meant_for_one_person_is_paid_by_nobody_else() {
    let (mut ledger, mchid) = shop();
    let (payer, other) = (ledger.person_with(PAYER, 1_000), ledger.person_with(OTHER, 1_000));
    let jsapi =
        PlaceOrder { product: Product::Jsapi, meant_for: Some(payer), ..place(mchid, "order-1", 100) };
    let order = ledger.submit(&jsapi).unwrap();
    let wrong = Pay { confirmed: pin(WRONG).into(), ..pay(other, order.id, None) };
    assert_eq!(ledger.refusal(&wrong), Refusal::OrderForAnother, "and no try is counted");
    assert_eq!(ledger.refusal(&pay(other, order.id, None)), Refusal::OrderForAnother);
    let paid = ledger.pay(payer, order.id).unwrap();
    assert_eq!((paid.payer, paid.state), (Some(payer), OrderState::Paid));
    assert_eq!(ledger.effect(&pay(payer, order.id, None)), (Ok(paid), false));
    assert_eq!(ledger.refusal(&pay(other, order.id, None)), Refusal::OrderForAnother, "not even how it went");
    assert_eq!(ledger.balance_of(other), 1_000);
    ledger.audit();
}

#[test]
fn the_last_fen_may_be_spent_and_a_fee_may_be_nothing() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 1);
    assert_eq!(ledger.paid(mchid, "order-1", person, 1).fee, fen(0));
    assert_eq!(ledger.balance_of(person), 0);
    assert_eq!(ledger.journals().pop().unwrap().postings.len(), 1, "a posting of nothing does not exist");
    ledger.audit();
}

#[test]
fn a_second_payment_sees_the_balance_left_by_the_first() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let (one, two) = (ledger.order(mchid, "order-1", 60).id, ledger.order(mchid, "order-2", 60).id);
    assert!(ledger.pay(person, one).is_ok());
    let short = Refusal::InsufficientBalance { short_by: fen(20) };
    assert_eq!(ledger.refusal(&pay(person, two, None)), short);
}

#[test]
fn a_balance_never_topped_up_is_short_by_everything() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with_pin(PAYER);
    let order = ledger.order(mchid, "order-1", 60).id;
    let short = Refusal::InsufficientBalance { short_by: fen(60) };
    assert_eq!(ledger.refusal(&pay(person, order, None)), short);
}

#[test]
fn paying_twice_is_paying_once() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 20_000);
    let order = ledger.paid(mchid, "order-1", person, 10_000);
    let (again, changed) = ledger.effect(&pay(person, order.id, None));
    assert_eq!((again, changed), (Ok(order), false));
}

#[test]
fn an_order_paid_by_one_is_not_paid_by_another() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 20_000);
    let other = ledger.person_with(OTHER, 20_000);
    let card = ledger.card(person);
    let order = ledger.paid(mchid, "order-1", person, 10_000).id;
    assert_eq!(ledger.refusal(&pay(other, order, None)), Refusal::OrderAlreadyPaid);
    let by_card = pay(person, order, Some(card));
    assert_eq!(ledger.refusal(&by_card), Refusal::OrderAlreadyPaid, "nor by other means");
}

#[test]
fn a_refunded_order_is_still_a_paid_one() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 20_000);
    let other = ledger.person_with(OTHER, 20_000);
    let order = ledger.paid(mchid, "order-1", person, 10_000);
    let (_, order) = ledger.refund(&order, "refund-1", 10_000).unwrap();
    assert_eq!(ledger.refusal(&pay(other, order.id, None)), Refusal::OrderAlreadyPaid);
    assert_eq!(ledger.effect(&pay(person, order.id, None)), (Ok(order), false));
}

#[test]
fn an_order_nobody_placed_is_not_paid() {
    let (mut ledger, _) = shop();
    let person = ledger.person_with(PAYER, 100);
    assert_eq!(ledger.refusal(&pay(person, OrderId(16), None)), Refusal::OrderUnknown);
}

#[test]
fn a_closed_order_is_not_paid() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60).id;
    ledger.submit(&CloseOrder { mchid, out_trade_no: "order-1".to_owned() }).unwrap();
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::OrderClosed);
}

#[test]
fn an_order_ends_by_the_clock_and_without_a_write() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60).id;
    ledger.advance(7 * DAY);
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::OrderExpired);
    ledger.advance(-1);
    assert!(ledger.pay(person, order).is_ok());
}

#[test]
fn a_suspended_merchant_is_not_paid() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60).id;
    ledger.submit(&SetMerchant { suspended: Some(true), ..set(mchid) }).unwrap();
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::MerchantSuspended);
}

#[test]
fn a_product_taken_away_is_not_paid_by() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60).id;
    ledger.submit(&SetMerchant { products: Some(vec![Product::H5]), ..set(mchid) }).unwrap();
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::ProductNotEnabled);
}

#[test]
fn nobody_pays_without_an_account() {
    let (mut ledger, mchid) = shop();
    let order = ledger.order(mchid, "order-1", 60).id;
    assert_eq!(ledger.refusal(&pay(PersonId(1 << 62), order, None)), Refusal::SignedOut);
}

#[test]
fn a_frozen_account_pays_nothing() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60).id;
    ledger.submit(&Freeze(person)).unwrap();
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::AccountFrozen);
}

#[test]
fn a_card_that_is_not_ones_own_is_unknown() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with_pin(PAYER);
    let other = ledger.person_with_pin(OTHER);
    let card = ledger.card(other);
    let order = ledger.order(mchid, "order-1", 60).id;
    assert_eq!(ledger.refusal(&pay(person, order, Some(card))), Refusal::CardUnknown);
}

#[test]
fn a_wrong_payment_password_moves_nothing() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 100);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 60);
    for (card, tries_left) in [(None, 4), (Some(card), 3)] {
        let wrong = ledger.pay_by(person, order.id, card, WRONG);
        assert_eq!(wrong, Err(Refusal::PaymentPasswordWrong { tries_left }));
    }
    assert_eq!(ledger.get::<Order>(&order.id), Some(order));
    assert_eq!(ledger.balance_of(person), 100);
}

#[test]
fn a_card_payment_goes_past_the_balance() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 500);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 10_000);
    let paying = ledger.pay_by(person, order.id, Some(card), PIN).unwrap();
    assert_eq!((paying.state, paying.card), (OrderState::Paying, Some(card)));
    assert_eq!(ledger.journals().len(), 1, "nothing has moved yet");
    ledger.succeed(paying.attempt.unwrap());
    let paid = ledger.get::<Order>(&order.id).unwrap();
    assert_eq!((paid.state, paid.fee, paid.payer), (OrderState::Paid, fen(60), Some(person)));
    assert_eq!(ledger.balance_of(person), 500);
    assert_eq!(ledger.balance(AccountId::merchant(mchid)), 9_940);
    assert_eq!(ledger.balance(AccountId::clearing(ISSUER_NETWORK)), 10_500);
    let journal = ledger.journals().pop().unwrap();
    assert_eq!(journal.kind, JournalKind::CardPayment);
    assert!(journal.line(AccountId::person(person)).is_some(), "it belongs to the payer's history");
    assert_eq!(journal.effect_on(AccountId::person(person)), 0);
    ledger.audit();
}

#[test]
fn while_a_card_is_asked_the_order_takes_no_other_payment() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 500);
    let other = ledger.person_with(OTHER, 500);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 60).id;
    let paying = ledger.pay_by(person, order, Some(card), PIN).unwrap();
    assert_eq!(ledger.refusal(&pay(other, order, None)), Refusal::OrderBeingPaid);
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::OrderBeingPaid, "nor by other means");
    let repeat = ledger.effect(&pay(person, order, Some(card)));
    assert_eq!(repeat, (Ok(paying), false), "a repeat is answered with how it stands");
    assert_eq!(ledger.all::<Attempt>().iter().filter(|a| a.order == Some(order)).count(), 1);
}

#[test]
fn after_a_refused_card_the_order_is_free_again() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 500);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 60);
    let paying = ledger.pay_by(person, order.id, Some(card), PIN).unwrap();
    ledger.fail(paying.attempt.unwrap(), NetworkRefusal::InsufficientFunds);
    assert_eq!(ledger.get::<Order>(&order.id), Some(order.clone()), "as if nobody had tried");
    assert_eq!(ledger.pay(person, order.id).unwrap().state, OrderState::Paid);
    ledger.audit();
}

#[test]
fn an_order_past_its_time_with_a_card_under_way_still_ends_paid() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with_pin(PAYER);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 60).id;
    let paying = ledger.pay_by(person, order, Some(card), PIN).unwrap();
    ledger.advance(8 * DAY);
    let repeat = ledger.effect(&pay(person, order, Some(card)));
    assert_eq!(repeat.0.unwrap().state, OrderState::Paying);
    ledger.succeed(paying.attempt.unwrap());
    assert_eq!(ledger.get::<Order>(&order).unwrap().state, OrderState::Paid);
}

#[test]
fn an_order_past_its_time_whose_card_is_refused_is_expired() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 500);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 60).id;
    let paying = ledger.pay_by(person, order, Some(card), PIN).unwrap();
    ledger.advance(8 * DAY);
    ledger.fail(paying.attempt.unwrap(), NetworkRefusal::Refused);
    assert_eq!(ledger.refusal(&pay(person, order, None)), Refusal::OrderExpired);
}

/// What the first person's session is found by, as the fixture signs people in.
const SESSION: [u8; 32] = [0; 32];

fn pay_code(order: &Order, card: Option<CardId>) -> PayCode {
    PayCode { session: SESSION, code: order.code, means: Means::of(card), confirmed: pin(PIN).into() }
}

#[test]
fn a_code_and_a_session_pay_what_the_order_and_the_person_would() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with(PAYER, 20_000);
    let order = ledger.order(mchid, "order-1", 10_000);
    let taken = ledger.submit(&pay_code(&order, None)).unwrap();
    assert_eq!((taken.person, taken.merchant.as_str()), (person, "口袋咖啡"));
    assert_eq!(Some(&taken.order), ledger.get(&order.id).as_ref());
    assert_eq!((taken.order.state, taken.order.payer), (OrderState::Paid, Some(person)));
    assert_eq!(ledger.balance_of(person), 10_000);
    let (again, changed) = ledger.effect(&pay_code(&order, None));
    assert_eq!((again, changed), (Ok(taken), false), "a repeat is answered and does nothing");
    ledger.audit();
}

#[test]
fn a_card_pays_by_code_too() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with_pin(PAYER);
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 60);
    let taken = ledger.submit(&pay_code(&order, Some(card))).unwrap();
    assert_eq!((taken.order.state, taken.order.card), (OrderState::Paying, Some(card)));
    ledger.succeed(taken.order.attempt.unwrap());
    ledger.audit();
}

#[test]
fn nobody_pays_by_a_session_that_is_unknown_ended_or_over() {
    let (mut ledger, mchid) = shop();
    ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60);
    let unknown = PayCode { session: [9; 32], ..pay_code(&order, None) };
    assert_eq!(ledger.refusal(&unknown), Refusal::SignedOut);
    ledger.advance(30 * DAY);
    assert_eq!(ledger.refusal(&pay_code(&order, None)), Refusal::SignedOut);
    let (mut ledger, mchid) = shop();
    ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60);
    ledger.submit(&SignOut { token_hash: SESSION }).unwrap();
    assert_eq!(ledger.refusal(&pay_code(&order, None)), Refusal::SignedOut);
}

#[test]
fn an_old_or_unknown_code_pays_nothing_but_says_how_its_order_went() {
    let (mut ledger, mchid) = shop();
    ledger.person_with(PAYER, 100);
    let (paid, open) = (ledger.order(mchid, "order-1", 40), ledger.order(mchid, "order-2", 40));
    let unknown = PayCode { code: [9; 16], ..pay_code(&open, None) };
    assert_eq!(ledger.refusal(&unknown), Refusal::CodeStale);
    let taken = ledger.submit(&pay_code(&paid, None)).unwrap();
    ledger.advance(2 * HOUR);
    assert_eq!(ledger.refusal(&pay_code(&open, None)), Refusal::CodeStale);
    assert_eq!(ledger.submit(&pay_code(&paid, None)), Ok(taken));
}

#[test]
fn a_wrong_payment_password_is_counted_when_it_comes_with_a_code() {
    let (mut ledger, mchid) = shop();
    ledger.person_with(PAYER, 100);
    let order = ledger.order(mchid, "order-1", 60);
    let wrong = PayCode { confirmed: pin(WRONG).into(), ..pay_code(&order, None) };
    for tries_left in [4, 3] {
        let refused = Err(Refusal::PaymentPasswordWrong { tries_left });
        assert_eq!(ledger.effect(&wrong), (refused, true));
    }
    assert_eq!(ledger.get::<Order>(&order.id).unwrap().state, OrderState::Unpaid);
}
