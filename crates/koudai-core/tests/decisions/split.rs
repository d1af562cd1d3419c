//! Paying from the balance and by a card in one payment, and the refunds of it.

use koudai_core::id::{AttemptId, CardId, MchId, OrderId, PersonId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind};
use koudai_core::payment::{Means, Pay};
use koudai_core::refund::{Elsewhere, RedirectRefund};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Attempt, AttemptState, NetworkRefusal, Order, OrderState, Refund, RefundState};
use koudai_core::top_up::StartTopUp;

use crate::fixture::{Freeze, Ledger, PIN, WRONG, fen, pin, refund};

/// A merchant, and somebody with 30 yuan and a card.
fn shop() -> (Ledger, MchId, (PersonId, CardId)) {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    let top_up = StartTopUp {
        person,
        number: "first".to_owned(),
        card,
        at: None,
        amount: fen(3_000),
        confirmed: pin(PIN).into(),
    };
    let attempt = ledger.submit(&top_up).expect("a card of theirs").id;
    ledger.succeed(attempt);
    (ledger, mchid, (person, card))
}

fn both(by: (PersonId, CardId), order: OrderId, from_balance: i64) -> Pay {
    let means = Means::Both { from_balance: fen(from_balance), card: by.1 };
    Pay { person: by.0, order, means, confirmed: pin(PIN).into() }
}

/// An order of 90 yuan, of which the card is asked for 60.
fn paying(ledger: &mut Ledger, mchid: MchId, by: (PersonId, CardId)) -> (Order, AttemptId) {
    let order = ledger.order(mchid, "order-1", 9_000);
    let paying = ledger.submit(&both(by, order.id, 3_000)).expect("the balance covers its part");
    let attempt = paying.attempt.expect("the card is asked");
    (paying, attempt)
}

fn paid(ledger: &mut Ledger, mchid: MchId, by: (PersonId, CardId)) -> Order {
    let (order, attempt) = paying(ledger, mchid, by);
    ledger.succeed(attempt);
    ledger.get(&order.id).expect("the order stays")
}

#[test]
fn the_balances_part_is_held_while_the_card_is_asked_and_both_reach_the_merchant_together() {
    let (mut ledger, mchid, by) = shop();
    let (order, attempt) = paying(&mut ledger, mchid, by);
    assert_eq!((order.state, order.payer, order.card), (OrderState::Paying, Some(by.0), Some(by.1)));
    assert_eq!(ledger.get::<Attempt>(&attempt).unwrap().amount, fen(6_000));
    let hold = AccountId::payment_hold(by.0);
    assert_eq!((ledger.balance_of(by.0), ledger.balance(hold)), (0, 3_000));
    ledger.audit();
    ledger.succeed(attempt);
    let order: Order = ledger.get(&order.id).unwrap();
    assert_eq!((order.state, order.fee), (OrderState::Paid, fen(54)));
    assert_eq!((ledger.balance(hold), ledger.balance(AccountId::merchant(mchid))), (0, 9_000 - 54));
    let journal = ledger.journals().pop().unwrap();
    assert_eq!(
        (journal.kind, journal.postings.len(), order.paid_seq),
        (JournalKind::SplitPayment, 3, Some(journal.seq))
    );
    assert_eq!(
        ledger.balance(AccountId::clearing(ISSUER_NETWORK)),
        9_000,
        "what came in by card, top-up and all"
    );
    ledger.audit();
}

#[test]
fn what_was_held_comes_back_if_the_bank_does_not_pay_and_the_order_may_be_paid_another_way() {
    let (mut ledger, mchid, by) = shop();
    let (order, attempt) = paying(&mut ledger, mchid, by);
    ledger.fail(attempt, NetworkRefusal::InsufficientFunds);
    let order: Order = ledger.get(&order.id).unwrap();
    assert_eq!((order.state, order.payer, order.attempt), (OrderState::Unpaid, None, None));
    assert_eq!(ledger.balance_of(by.0), 3_000);
    assert_eq!(ledger.journals().pop().unwrap().kind, JournalKind::SplitReleased);
    ledger.audit();
    let again = ledger.submit(&both(by, order.id, 1_000)).unwrap();
    assert_eq!(ledger.get::<Attempt>(&again.attempt.unwrap()).unwrap().amount, fen(8_000));
    ledger.succeed(again.attempt.unwrap());
    assert_eq!(ledger.balance_of(by.0), 2_000);
    ledger.audit();
}

#[test]
fn what_is_held_is_not_spent_elsewhere() {
    let (mut ledger, mchid, by) = shop();
    paying(&mut ledger, mchid, by);
    let other = ledger.order(mchid, "order-2", 1);
    assert_eq!(ledger.pay(by.0, other.id), Err(Refusal::InsufficientBalance { short_by: fen(1) }));
}

#[test]
fn each_part_is_more_than_nothing_and_the_balance_covers_its_own() {
    let (mut ledger, mchid, by) = shop();
    let order = ledger.order(mchid, "order-1", 9_000);
    for from_balance in [0, 9_000, 9_001] {
        assert_eq!(ledger.refusal(&both(by, order.id, from_balance)), Refusal::RequestMalformed);
    }
    let short = Refusal::InsufficientBalance { short_by: fen(1) };
    assert_eq!(ledger.refusal(&both(by, order.id, 3_001)), short);
    let stranger = ledger.person_with_pin("13900139000");
    assert_eq!(ledger.refusal(&both((stranger, by.1), order.id, 1)), Refusal::CardUnknown);
    let wrong = Pay { confirmed: pin(WRONG).into(), ..both(by, order.id, 3_000) };
    assert_eq!(ledger.submit(&wrong), Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    assert_eq!(ledger.balance_of(by.0), 3_000, "nothing was held");
    ledger.audit();
}

#[test]
fn asked_again_it_is_the_same_payment_and_with_other_parts_another() {
    let (mut ledger, mchid, by) = shop();
    let (order, attempt) = paying(&mut ledger, mchid, by);
    let (again, changed) = ledger.effect(&both(by, order.id, 3_000));
    assert_eq!((again.unwrap().attempt, changed), (Some(attempt), false));
    assert_eq!(ledger.refusal(&both(by, order.id, 2_999)), Refusal::OrderBeingPaid);
    let by_card = Pay { means: Means::Card(by.1), ..both(by, order.id, 3_000) };
    assert_eq!(ledger.refusal(&by_card), Refusal::OrderBeingPaid);
    ledger.succeed(attempt);
    assert_eq!(ledger.submit(&both(by, order.id, 3_000)).unwrap().state, OrderState::Paid);
    assert_eq!(ledger.refusal(&by_card), Refusal::OrderAlreadyPaid);
}

#[test]
fn a_refund_goes_to_the_card_first_and_then_to_the_balance() {
    let (mut ledger, mchid, by) = shop();
    let order = paid(&mut ledger, mchid, by);
    let (first, order) = ledger.refund(&order, "refund-1", 2_999).unwrap();
    assert_eq!((first.state, first.card), (RefundState::Processing, Some(by.1)));
    assert_eq!(ledger.get::<Attempt>(&first.attempt.unwrap()).unwrap().amount, fen(2_999));
    ledger.succeed(first.attempt.unwrap());
    // Part of this one is the card's, and arrives later than the balance's.
    let (second, order) = ledger.refund(&order, "refund-2", 4_000).unwrap();
    let call = ledger.get::<Attempt>(&second.attempt.unwrap()).unwrap();
    assert_eq!((call.amount, ledger.balance_of(by.0)), (fen(3_001), 999));
    assert_eq!(
        (second.state, ledger.journals().pop().unwrap().kind),
        (RefundState::Processing, JournalKind::SplitRefund)
    );
    ledger.audit();
    ledger.succeed(call.id);
    assert_eq!(ledger.get::<Refund>(&second.id).unwrap().state, RefundState::Success);
    // The rest is the balance's alone, and is there at once.
    let (third, order) = ledger.refund(&order, "refund-3", 2_001).unwrap();
    assert_eq!((third.state, third.card, third.attempt), (RefundState::Success, None, None));
    assert_eq!((ledger.balance_of(by.0), order.refunded), (3_000, fen(9_000)));
    assert_eq!(ledger.balance(AccountId::merchant(mchid)), 0);
    assert_eq!(ledger.balance(AccountId::fees()), 0);
    assert_eq!(ledger.balance(AccountId::clearing(ISSUER_NETWORK)), 3_000, "the card has back what it paid");
    ledger.audit();
}

#[test]
fn the_cards_part_of_a_refund_that_its_bank_refuses_goes_elsewhere_and_no_more_than_that() {
    for (to, balance, merchant) in [(Elsewhere::Balance, 9_000, 0), (Elsewhere::Merchant, 3_000, 6_000)] {
        let (mut ledger, mchid, by) = shop();
        let order = paid(&mut ledger, mchid, by);
        let (whole, _) = ledger.refund(&order, "refund-1", 9_000).unwrap();
        ledger.fail(whole.attempt.unwrap(), NetworkRefusal::CardNotUsable);
        assert_eq!(ledger.balance_of(by.0), 3_000, "the balance's part was there at once");
        let redirect = RedirectRefund { mchid, refund: whole.id, out_refund_no: whole.out_refund_no, to };
        ledger.submit(&redirect).unwrap();
        assert_eq!(
            (ledger.balance_of(by.0), ledger.balance(AccountId::merchant(mchid))),
            (balance, merchant)
        );
        ledger.audit();
    }
}

#[test]
fn a_frozen_person_pays_no_part_but_what_was_held_still_comes_back() {
    let (mut ledger, mchid, by) = shop();
    let (order, attempt) = paying(&mut ledger, mchid, by);
    ledger.submit(&Freeze(by.0)).unwrap();
    let other = ledger.order(mchid, "order-2", 100);
    assert_eq!(ledger.refusal(&both(by, other.id, 1)), Refusal::AccountFrozen);
    ledger.fail(attempt, NetworkRefusal::Refused);
    assert_eq!(ledger.balance_of(by.0), 3_000);
    assert_eq!(ledger.get::<Attempt>(&attempt).unwrap().state, AttemptState::Failed);
    assert!(ledger.submit(&refund(&order, "refund-1", 1)).is_err(), "what was not paid is not refunded");
}
