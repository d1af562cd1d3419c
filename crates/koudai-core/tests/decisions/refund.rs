//! Refunds: back the way the money came, never more than was paid, the fee in step with them.

use koudai_core::id::{CardId, MchId, OrderId, PersonId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind};
use koudai_core::order::CloseOrder;
use koudai_core::refund::{Elsewhere, OrderName, RedirectRefund, RequestRefund};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{Attempt, AttemptKind, NetworkRefusal, Order, Refund, RefundState, RefundWay};
use koudai_core::state::Event;
use koudai_core::time::DAY;

use crate::fixture::{Freeze, Ledger, PIN, PayOut, fen, refund};

/// A merchant and somebody with 1,000 yuan.
fn shop() -> (Ledger, MchId, PersonId) {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let person = ledger.person_with("13800138000", 100_000);
    (ledger, mchid, person)
}

/// A merchant and somebody with a card.
fn card_shop() -> (Ledger, MchId, (PersonId, CardId)) {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    (ledger, mchid, (person, card))
}

#[test]
fn a_whole_refund_puts_everything_back_and_the_fee_with_it() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 10_000);
    let (refund, order) = ledger.refund(&order, "refund-1", 10_000).unwrap();
    assert_eq!((refund.state, refund.success_at), (RefundState::Success, Some(ledger.now)));
    assert_eq!((refund.fee_returned, order.fee_returned, order.refunds), (fen(60), fen(60), 1));
    assert_eq!(ledger.balance_of(person), 100_000);
    assert_eq!(ledger.balance(AccountId::merchant(mchid)), 0);
    assert_eq!(ledger.balance(AccountId::fees()), 0);
    assert_eq!(ledger.journals().pop().unwrap().kind, JournalKind::BalanceRefund);
    ledger.audit();
}

#[test]
fn parts_of_a_refund_give_back_exactly_the_whole_fee() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 10_007);
    assert_eq!(order.fee, fen(60));
    let parts = [1, 166, 167, 3_333, 6_000, 340];
    let mut back = vec![];
    for (n, part) in parts.into_iter().enumerate() {
        back.push(ledger.refund(&order, &format!("refund-{n}"), part).unwrap().0.fee_returned.minor());
    }
    assert_eq!(parts.iter().sum::<i64>(), 10_007);
    assert_eq!(back, [0, 1, 1, 19, 36, 3], "each the difference of two cumulative shares, rounded down");
    assert_eq!(back.iter().sum::<i64>(), 60);
    assert_eq!(ledger.balance(AccountId::merchant(mchid)), 0);
    ledger.audit();
}

#[test]
fn an_order_is_named_by_either_number() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    let by_id = RequestRefund { order: OrderName::Id(order.id), ..refund(&order, "refund-1", 60) };
    let (first, _) = ledger.submit(&by_id).unwrap();
    assert_eq!(
        ledger.refund(&order, "refund-1", 60).unwrap().0,
        first,
        "and either way it is the same refund"
    );
}

#[test]
fn a_card_payment_goes_back_to_the_card_in_two_steps() {
    let (mut ledger, mchid, by) = card_shop();
    let order = ledger.paid_by_card(mchid, "order-1", by, 10_000);
    ledger.commit();
    ledger.events.clear();
    let (accepted, order) = ledger.refund(&order, "refund-1", 4_000).unwrap();
    assert_eq!((accepted.state, accepted.success_at), (RefundState::Processing, None));
    assert_eq!(order.refunded, fen(4_000));
    assert_eq!(ledger.balance(AccountId::refund_in_flight(ISSUER_NETWORK)), 4_000);
    assert_eq!(ledger.balance(AccountId::merchant(mchid)), 9_940 - 4_000 + 24);
    let attempt = ledger.get::<Attempt>(&accepted.attempt.unwrap()).unwrap();
    assert_eq!((attempt.kind, attempt.refund), (AttemptKind::CardRefund, Some(accepted.id)));
    assert_eq!(attempt.original, order.attempt, "the bank is told which debit goes back");
    ledger.commit();
    assert!(!ledger.events.contains(&Event::NoticeDue(mchid)), "there is nothing to tell yet");
    ledger.succeed(attempt.id);
    let done = ledger.get::<Refund>(&accepted.id).unwrap();
    assert_eq!((done.state, done.success_at), (RefundState::Success, Some(ledger.now)));
    assert_eq!(ledger.balance(AccountId::refund_in_flight(ISSUER_NETWORK)), 0);
    assert_eq!(ledger.balance(AccountId::clearing(ISSUER_NETWORK)), 6_000);
    assert_eq!(ledger.balance_of(by.0), 0);
    let kinds: Vec<_> = ledger.journals().iter().map(|j| j.kind).collect();
    assert_eq!(
        kinds,
        [JournalKind::CardPayment, JournalKind::CardRefundAccepted, JournalKind::CardRefundDone]
    );
    ledger.commit();
    assert!(ledger.events.contains(&Event::NoticeDue(mchid)));
    ledger.audit();
}

#[test]
fn a_refund_the_bank_refuses_keeps_the_money_on_its_way() {
    let (mut ledger, mchid, by) = card_shop();
    let order = ledger.paid_by_card(mchid, "order-1", by, 10_000);
    let (accepted, _) = ledger.refund(&order, "refund-1", 10_000).unwrap();
    ledger.fail(accepted.attempt.unwrap(), NetworkRefusal::CardNotUsable);
    let abnormal = ledger.get::<Refund>(&accepted.id).unwrap();
    assert_eq!((abnormal.state, abnormal.success_at), (RefundState::Abnormal, None));
    assert_eq!(ledger.balance(AccountId::refund_in_flight(ISSUER_NETWORK)), 10_000);
    let journal = ledger.journals().pop().unwrap();
    assert_eq!((journal.kind, journal.postings.len()), (JournalKind::CardRefundAbnormal, 0));
    assert!(journal.line(AccountId::merchant(mchid)).is_some(), "the merchant is told");
    let rest = MerchantRefusal::RefundExceedsRest { rest_minor: 0 };
    assert_eq!(ledger.refusal(&refund(&order, "refund-2", 1)), rest, "the money was given back once");
    ledger.audit();
}

#[test]
fn a_refund_the_bank_refused_goes_elsewhere_once() {
    let ways = [
        (Elsewhere::Balance, RefundWay::Balance, JournalKind::RefundToBalance, (4_000, 9_940 + 24 - 4_000)),
        (Elsewhere::Merchant, RefundWay::Merchant, JournalKind::RefundToMerchant, (0, 9_940 + 24)),
    ];
    for (to, way, kind, (payers, merchants)) in ways {
        let (mut ledger, mchid, by) = card_shop();
        let order = ledger.paid_by_card(mchid, "order-1", by, 10_000);
        let (accepted, _) = ledger.refund(&order, "refund-1", 4_000).unwrap();
        let redirect =
            RedirectRefund { mchid, refund: accepted.id, out_refund_no: "refund-1".to_owned(), to };
        assert_eq!(ledger.refusal(&redirect), MerchantRefusal::RefundNotAbnormal, "the bank may yet take it");
        ledger.fail(accepted.attempt.unwrap(), NetworkRefusal::CardNotUsable);

        let other = ledger.merchant();
        assert_eq!(
            ledger.refusal(&RedirectRefund { mchid: other, ..redirect.clone() }),
            MerchantRefusal::RefundUnknown
        );
        let misnamed = RedirectRefund { out_refund_no: "refund-2".to_owned(), ..redirect.clone() };
        let refusal = MerchantRefusal::OutRefundNoUsed { field: "/out_refund_no" };
        assert_eq!(ledger.refusal(&misnamed), refusal);

        ledger.advance(DAY);
        let (done, order) = ledger.submit(&redirect).unwrap();
        assert_eq!((done.state, done.way), (RefundState::Success, way));
        assert_eq!(done.success_at, Some(ledger.now));
        assert_eq!((order.refunded, order.refunds), (fen(4_000), 1), "it is one refund all along");
        let journal = ledger.journals().pop().unwrap();
        assert_eq!(journal.kind, kind);
        let told = [AccountId::merchant(mchid), AccountId::person(by.0)];
        assert!(told.iter().all(|account| journal.line(*account).is_some()), "both have it in their history");
        assert_eq!(ledger.balance(AccountId::refund_in_flight(ISSUER_NETWORK)), 0);
        assert_eq!(ledger.balance_of(by.0), payers);
        assert_eq!(ledger.balance(AccountId::merchant(mchid)), merchants);

        assert_eq!(ledger.effect(&redirect), (Ok((done, order)), false), "asked again, it has gone");
        let back = if to == Elsewhere::Balance { Elsewhere::Merchant } else { Elsewhere::Balance };
        assert_eq!(
            ledger.refusal(&RedirectRefund { to: back, ..redirect }),
            MerchantRefusal::RefundNotAbnormal
        );
        ledger.audit();
    }
}

#[test]
fn a_refund_that_arrived_goes_nowhere_else() {
    let (mut ledger, mchid, by) = card_shop();
    let order = ledger.paid_by_card(mchid, "order-1", by, 100);
    let (refund, _) = ledger.refund(&order, "refund-1", 100).unwrap();
    ledger.succeed(refund.attempt.unwrap());
    let person = ledger.person_with("13900139000", 100);
    let order = ledger.paid(mchid, "order-2", person, 100);
    let (at_once, _) = ledger.refund(&order, "refund-2", 100).unwrap();
    for (refund, number) in [(refund.id, "refund-1"), (at_once.id, "refund-2")] {
        let to = Elsewhere::Balance;
        let redirect = RedirectRefund { mchid, refund, out_refund_no: number.to_owned(), to };
        assert_eq!(ledger.refusal(&redirect), MerchantRefusal::RefundNotAbnormal);
    }
}

#[test]
fn a_refund_reaches_a_card_that_was_removed_and_an_account_that_is_frozen() {
    let (mut ledger, mchid, by) = card_shop();
    let order = ledger.paid_by_card(mchid, "order-1", by, 100);
    let pin = crate::fixture::pin(PIN);
    ledger.submit(&koudai_core::binding::RemoveCard { person: by.0, card: by.1, pin }).unwrap();
    ledger.submit(&Freeze(by.0)).unwrap();
    let (accepted, _) = ledger.refund(&order, "refund-1", 100).unwrap();
    assert_eq!(accepted.card, Some(by.1));
}

#[test]
fn the_same_number_is_the_same_refund() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    let first = ledger.refund(&order, "refund-1", 60).unwrap();
    assert_eq!(ledger.effect(&refund(&order, "refund-1", 60)), (Ok(first), false));
}

#[test]
fn the_same_number_with_other_content_names_the_field() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    let other = ledger.paid(mchid, "order-2", person, 100);
    ledger.refund(&order, "refund-1", 60).unwrap();
    let cases = [
        ("/out_trade_no", refund(&other, "refund-1", 60)),
        ("/amount/refund", refund(&order, "refund-1", 40)),
        ("/amount/total", RequestRefund { total: fen(99), ..refund(&order, "refund-1", 60) }),
    ];
    for (field, command) in cases {
        assert_eq!(ledger.refusal(&command), MerchantRefusal::OutRefundNoUsed { field });
    }
}

#[test]
fn only_a_merchants_own_order_is_refunded() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    let other = ledger.merchant();
    let base = || refund(&order, "refund-1", 60);
    let cases = [
        RequestRefund { mchid: other, ..base() },
        RequestRefund { mchid: other, order: OrderName::Id(order.id), ..base() },
        RequestRefund { order: OrderName::Number("order-9".to_owned()), ..base() },
        RequestRefund { order: OrderName::Id(OrderId(16)), ..base() },
    ];
    for command in cases {
        assert_eq!(ledger.refusal(&command), MerchantRefusal::OrderUnknown);
    }
}

#[test]
fn an_order_that_nobody_paid_has_nothing_to_refund() {
    let (mut ledger, mchid, by) = card_shop();
    let order = ledger.order(mchid, "order-1", 100);
    assert_eq!(ledger.refusal(&refund(&order, "refund-1", 1)), MerchantRefusal::OrderNotPaid);
    ledger.pay_by(by.0, order.id, Some(by.1), PIN).unwrap();
    assert_eq!(ledger.refusal(&refund(&order, "refund-1", 1)), MerchantRefusal::OrderNotPaid, "not yet");
    let closed = ledger.order(mchid, "order-2", 100);
    ledger.submit(&CloseOrder { mchid, out_trade_no: "order-2".to_owned() }).unwrap();
    assert_eq!(ledger.refusal(&refund(&closed, "refund-1", 1)), MerchantRefusal::OrderNotPaid);
}

#[test]
fn the_merchant_must_know_what_the_order_came_to() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    let wrong = RequestRefund { total: fen(99), ..refund(&order, "refund-1", 60) };
    assert_eq!(ledger.refusal(&wrong), MerchantRefusal::RefundTotalMismatch);
}

#[test]
fn no_more_goes_back_than_is_left_and_never_nothing() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    ledger.refund(&order, "refund-1", 60).unwrap();
    for minor in [41, 0, i64::MAX] {
        let refusal = ledger.refusal(&refund(&order, "refund-2", minor));
        assert_eq!(refusal, MerchantRefusal::RefundExceedsRest { rest_minor: 40 });
    }
    assert!(ledger.refund(&order, "refund-2", 40).is_ok());
}

#[test]
fn an_order_has_fifty_refunds_at_most() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    for n in 0..50 {
        ledger.refund(&order, &format!("refund-{n}"), 1).unwrap();
    }
    assert_eq!(ledger.refusal(&refund(&order, "refund-50", 1)), MerchantRefusal::TooManyRefunds);
    ledger.audit();
}

#[test]
fn a_refund_may_be_asked_for_within_a_year() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 100);
    ledger.advance(365 * DAY + 1);
    assert_eq!(ledger.refusal(&refund(&order, "refund-1", 1)), MerchantRefusal::RefundTooLate);
    ledger.advance(-1);
    assert!(ledger.refund(&order, "refund-1", 1).is_ok());
}

#[test]
fn a_refund_is_taken_from_what_the_merchant_has() {
    let (mut ledger, mchid, person) = shop();
    let order = ledger.paid(mchid, "order-1", person, 10_000);
    ledger.submit(&PayOut(mchid, 9_000)).unwrap();
    assert_eq!(ledger.refusal(&refund(&order, "refund-1", 950)), MerchantRefusal::NotEnoughFunds);
    assert!(ledger.refund(&order, "refund-1", 945).is_ok(), "940 are left, and 5 of the fee come back");
    assert_eq!(ledger.get::<Order>(&order.id).unwrap().refunded, fen(945));
    ledger.audit();
}
