//! Reversals: whatever had happened, and in whatever order the rest happens, the money is whole again and once.

use koudai_core::code_payment::{ConfirmCodePayment, DeclineCodePayment, TakeByCode};
use koudai_core::id::{AttemptId, MchId, PersonId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK};
use koudai_core::merchant::SetMerchant;
use koudai_core::order::{CloseOrder, OrderStanding};
use koudai_core::payer_code::{AuthCode, ChoosePayerMethod};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::reversal::ReverseOrder;
use koudai_core::rows::{
    Attempt, AttemptKind, CodePayment, NetworkRefusal, OpenAttempt, Order, OrderState, Refund, RefundState,
    RefundWay, ReversedNumber,
};
use koudai_core::state::Event;
use koudai_core::time::{DAY, SECOND};
use proptest::prelude::*;

use crate::fixture::{Ledger, PIN, PayOut, appid, pin, place, refund, set, take};

const PAYER: &str = "13800138000";

struct Shop {
    ledger: Ledger,
    mchid: MchId,
    person: PersonId,
    code: AuthCode,
}

fn shop() -> Shop {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let (person, code) = ledger.shower(PAYER, 200_000);
    Shop { ledger, mchid, person, code }
}

impl Shop {
    fn reverse(&self) -> ReverseOrder {
        let (mchid, appid) = (self.mchid, appid(self.mchid));
        ReverseOrder { mchid, appid, out_trade_no: "order-1".to_owned() }
    }

    fn take(&self, minor: i64) -> TakeByCode {
        take(self.mchid, "order-1", minor, &self.code)
    }

    /// A payment call of this much, and the time until it may be reversed.
    fn taken(&mut self, minor: i64) -> Order {
        let order = self.ledger.submit(&self.take(minor)).expect("a good code");
        self.ledger.advance(15 * SECOND);
        order
    }

    fn taken_by_card(&mut self, minor: i64) -> Order {
        let card = self.ledger.card(self.person);
        self.ledger
            .submit(&ChoosePayerMethod { person: self.person, card: Some(card) })
            .expect("a card of theirs");
        self.taken(minor)
    }

    fn order(&mut self, order: &Order) -> Order {
        self.ledger.get(&order.id).expect("an order stays")
    }

    /// Everybody has what they had before the payment, and nothing is on its way.
    fn is_whole(&mut self) {
        self.ledger.audit();
        assert_eq!(self.ledger.balance_of(self.person), 200_000);
        assert_eq!(self.ledger.balance(AccountId::merchant(self.mchid)), 0);
        assert_eq!(self.ledger.balance(AccountId::fees()), 0);
        assert_eq!(self.ledger.balance(AccountId::refund_in_flight(ISSUER_NETWORK)), 0);
        assert_eq!(self.ledger.balance(AccountId::clearing(ISSUER_NETWORK)), 200_000);
    }
}

#[test]
fn a_paid_order_goes_back_whole() {
    let mut shop = shop();
    let order = shop.taken(10_000);
    shop.ledger.submit(&shop.reverse()).unwrap();
    let order = shop.order(&order);
    assert_eq!((order.standing(shop.ledger.now), order.refunds), (OrderStanding::Reversed, 1));
    assert_eq!((order.refunded, order.fee_returned), (order.amount, order.fee));
    let refund = shop.ledger.all::<Refund>().pop().unwrap();
    assert!(refund.is_reversal() && refund.state == RefundState::Success);
    let payment = shop.ledger.get::<CodePayment>(&order.id).unwrap();
    assert_eq!(payment.reversed_at, Some(shop.ledger.now));
    shop.is_whole();
    shop.ledger.commit();
    assert!(shop.ledger.events.contains(&Event::OrderChanged(order.id)));
}

#[test]
fn reversing_again_changes_nothing() {
    let mut shop = shop();
    shop.taken(10_000);
    shop.ledger.submit(&shop.reverse()).unwrap();
    shop.ledger.advance(30 * DAY);
    assert_eq!(shop.ledger.effect(&shop.reverse()), (Ok(()), false));
    shop.is_whole();
}

#[test]
fn an_outcome_that_is_still_on_its_way_is_not_reversed() {
    let mut shop = shop();
    shop.taken(10_000);
    shop.ledger.advance(-1);
    assert_eq!(shop.ledger.refusal(&shop.reverse()), MerchantRefusal::ReverseTooSoon);
    shop.ledger.advance(1 + 7 * DAY - 15 * SECOND + 1);
    assert_eq!(shop.ledger.refusal(&shop.reverse()), MerchantRefusal::ReverseTooLate);
    shop.ledger.advance(-1);
    shop.ledger.submit(&shop.reverse()).unwrap();
    shop.is_whole();
}

#[test]
fn a_number_reversed_before_its_payment_call_never_pays() {
    let mut shop = shop();
    shop.ledger.submit(&shop.reverse()).unwrap();
    assert_eq!(shop.ledger.effect(&shop.reverse()), (Ok(()), false));
    assert_eq!(shop.ledger.all::<ReversedNumber>().len(), 1);
    let late = shop.take(10_000);
    assert_eq!(shop.ledger.refusal(&late), MerchantRefusal::OrderReversed);
    assert_eq!(shop.ledger.refusal(&place(shop.mchid, "order-1", 1)), MerchantRefusal::OrderReversed);
    let close = CloseOrder { mchid: shop.mchid, out_trade_no: "order-1".to_owned() };
    assert_eq!(shop.ledger.refusal(&close), MerchantRefusal::OrderReversed);
    shop.is_whole();
    assert!(
        shop.ledger.submit(&take(shop.mchid, "order-2", 1, &shop.code)).is_ok(),
        "the code is still good"
    );
}

#[test]
fn another_merchants_number_is_another_number() {
    let mut shop = shop();
    let order = shop.taken(10_000);
    let mchid = shop.ledger.merchant();
    let other = ReverseOrder { mchid, appid: appid(mchid), ..shop.reverse() };
    shop.ledger.submit(&other).unwrap();
    assert_eq!(shop.order(&order).state, OrderState::Paid);
    let wrong = ReverseOrder { appid: appid(mchid), ..shop.reverse() };
    assert_eq!(shop.ledger.refusal(&wrong), MerchantRefusal::AppidMismatch);
    let nobody = ReverseOrder { mchid: MchId(1), ..shop.reverse() };
    assert_eq!(shop.ledger.refusal(&nobody), MerchantRefusal::MerchantUnknown);
}

#[test]
fn only_code_payments_are_reversed() {
    let mut shop = shop();
    shop.ledger.order(shop.mchid, "order-1", 100);
    shop.ledger.advance(DAY);
    assert_eq!(shop.ledger.refusal(&shop.reverse()), MerchantRefusal::NotCodePayment);
}

#[test]
fn a_suspended_merchant_still_gives_back() {
    let mut shop = shop();
    shop.taken(10_000);
    let suspend = SetMerchant { products: Some(vec![]), suspended: Some(true), ..set(shop.mchid) };
    shop.ledger.submit(&suspend).unwrap();
    shop.ledger.submit(&shop.reverse()).unwrap();
    shop.is_whole();
}

#[test]
fn what_was_partly_refunded_is_refunded_on() {
    let mut shop = shop();
    let order = shop.taken(10_000);
    shop.ledger.refund(&order, "refund-1", 1).unwrap();
    assert_eq!(shop.ledger.refusal(&shop.reverse()), MerchantRefusal::OrderRefunded);
}

#[test]
fn what_was_reversed_is_not_refunded() {
    let mut shop = shop();
    let order = shop.taken(10_000);
    shop.ledger.submit(&shop.reverse()).unwrap();
    assert_eq!(shop.ledger.refusal(&refund(&order, "refund-1", 1)), MerchantRefusal::OrderReversed);
    let again = shop.take(10_000);
    assert_eq!(shop.ledger.refusal(&again), MerchantRefusal::OrderReversed);
}

#[test]
fn a_merchant_whose_money_is_gone_may_try_again_later() {
    let mut shop = shop();
    shop.taken(10_000);
    shop.ledger.submit(&PayOut(shop.mchid, 9_000)).unwrap();
    assert_eq!(shop.ledger.refusal(&shop.reverse()), MerchantRefusal::NotEnoughFunds);
    let code = shop.ledger.shown(shop.person, 2);
    shop.ledger.submit(&take(shop.mchid, "order-2", 20_000, &code)).unwrap();
    shop.ledger.submit(&shop.reverse()).unwrap();
    assert_eq!(shop.ledger.balance_of(shop.person), 180_000);
    shop.ledger.audit();
}

#[test]
fn a_payer_who_was_asked_hears_that_the_cashier_cancelled() {
    let mut shop = shop();
    let order = shop.taken(100_001);
    assert_eq!(order.state, OrderState::Confirming);
    shop.ledger.submit(&shop.reverse()).unwrap();
    let confirm =
        ConfirmCodePayment { person: shop.person, order: order.id, card: None, confirmed: pin(PIN).into() };
    assert_eq!(shop.ledger.refusal(&confirm), Refusal::OrderReversed);
    let decline = DeclineCodePayment { person: shop.person, order: order.id };
    assert_eq!(shop.ledger.effect(&decline), (Ok(()), false));
    shop.is_whole();
}

#[test]
fn a_failed_payment_may_be_reversed_too() {
    let mut shop = shop();
    let order = shop.taken(100_001);
    shop.ledger.submit(&DeclineCodePayment { person: shop.person, order: order.id }).unwrap();
    shop.ledger.submit(&shop.reverse()).unwrap();
    assert_eq!(shop.order(&order).state, OrderState::Reversed);
    shop.is_whole();
}

#[test]
fn a_card_that_pays_before_the_reversal_gets_it_back() {
    let mut shop = shop();
    let order = shop.taken_by_card(10_000);
    shop.ledger.succeed(order.attempt.unwrap());
    shop.ledger.submit(&shop.reverse()).unwrap();
    let refund = shop.ledger.all::<Refund>().pop().unwrap();
    assert_eq!((refund.state, refund.card), (RefundState::Processing, order.card));
    shop.ledger.succeed(refund.attempt.unwrap());
    assert_eq!(shop.order(&order).state, OrderState::Reversed);
    shop.is_whole();
}

#[test]
fn a_card_that_pays_after_the_reversal_gets_it_back_by_itself() {
    let mut shop = shop();
    let order = shop.taken_by_card(10_000);
    let attempt = order.attempt.unwrap();
    shop.ledger.submit(&shop.reverse()).unwrap();
    let open = shop.ledger.get::<OpenAttempt>(&attempt).unwrap();
    let now = shop.ledger.now;
    assert!(open.send_until <= now && open.next_at <= now, "it is withdrawn at the bank from now on");
    let waiting = shop.order(&order);
    assert_eq!((waiting.state, waiting.attempt), (OrderState::Reversed, Some(attempt)));
    assert_eq!(shop.ledger.effect(&shop.reverse()), (Ok(()), false));
    shop.ledger.succeed(attempt);
    let back = shop.order(&order);
    assert_eq!((back.state, back.refunded, back.paid_at), (OrderState::Reversed, back.amount, Some(now)));
    let calls = |ledger: &mut Ledger| {
        let all = ledger.all::<Attempt>();
        all.into_iter().filter(|a| a.kind == AttemptKind::CardRefund).collect::<Vec<_>>()
    };
    let [call] = &calls(&mut shop.ledger)[..] else { panic!("one call brings it back") };
    assert_eq!((call.original, call.amount), (Some(attempt), order.amount));
    shop.ledger.succeed(attempt);
    assert_eq!(calls(&mut shop.ledger).len(), 1, "heard twice, done once");
    shop.ledger.succeed(call.id);
    shop.is_whole();
    assert_eq!(shop.ledger.effect(&shop.reverse()), (Ok(()), false));
}

#[test]
fn a_card_that_fails_after_the_reversal_leaves_nothing() {
    let mut shop = shop();
    let order = shop.taken_by_card(10_000);
    shop.ledger.submit(&shop.reverse()).unwrap();
    shop.ledger.fail(order.attempt.unwrap(), NetworkRefusal::Withdrawn);
    let order = shop.order(&order);
    assert_eq!((order.state, order.payer, order.attempt), (OrderState::Reversed, None, None));
    assert_eq!(shop.ledger.all::<Refund>().len(), 0);
    shop.is_whole();
}

#[test]
fn a_card_that_fails_before_the_reversal_leaves_nothing_either() {
    let mut shop = shop();
    let order = shop.taken_by_card(10_000);
    shop.ledger.fail(order.attempt.unwrap(), NetworkRefusal::InsufficientFunds);
    shop.ledger.submit(&shop.reverse()).unwrap();
    assert_eq!(shop.order(&order).state, OrderState::Reversed);
    shop.is_whole();
}

/// What may happen around one code payment, in any order and any number of times.
#[derive(Clone, Copy, Debug)]
enum Step {
    Take,
    TakeElsewhere,
    Confirm(bool),
    Decline,
    BankPays,
    BankRefuses,
    Reverse,
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::{BankPays, BankRefuses, Confirm, Decline, Reverse, Take, TakeElsewhere, Wait};
    let all = vec![
        Take,
        Take,
        TakeElsewhere,
        Confirm(true),
        Confirm(false),
        Decline,
        BankPays,
        BankPays,
        BankRefuses,
        Reverse,
        Wait,
    ];
    prop::collection::vec(prop::sample::select(all), 1..24)
}

fn pays(ledger: &mut Ledger, attempt: AttemptId) -> bool {
    ledger.get::<Attempt>(&attempt).is_some_and(|attempt| attempt.kind == AttemptKind::CardPayment)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_first_a_code_pays_once_and_a_reversal_leaves_everybody_whole(
        steps in steps(), by_card in any::<bool>(), dear in any::<bool>(),
    ) {
        let mut shop = shop();
        if by_card {
            let card = shop.ledger.card(shop.person);
            shop.ledger.submit(&ChoosePayerMethod { person: shop.person, card: Some(card) }).unwrap();
        }
        let minor = if dear { 100_001 } else { 5_000 };
        let elsewhere = take(shop.mchid, "order-2", minor, &shop.code);
        for step in steps {
            let order = shop.ledger.all::<Order>().into_iter().find(|order| &*order.out_trade_no == "order-1");
            let open = shop.ledger.all::<OpenAttempt>().first().map(|open| open.attempt);
            let person = shop.person;
            match (step, order, open) {
                (Step::Take, _, _) => drop(shop.ledger.submit(&shop.take(minor))),
                (Step::TakeElsewhere, _, _) => drop(shop.ledger.submit(&elsewhere)),
                (Step::Confirm(by_card), Some(order), _) => {
                    let card = by_card.then(|| shop.ledger.card(person));
                    drop(shop.ledger.submit(&ConfirmCodePayment { person, order: order.id, card, confirmed: pin(PIN).into() }));
                }
                (Step::Decline, Some(order), _) => {
                    let _known = shop.ledger.submit(&DeclineCodePayment { person, order: order.id });
                }
                (Step::BankPays, _, Some(attempt)) => drop(shop.ledger.succeed(attempt)),
                // A refund that a bank refuses waits for a decision, which is another story.
                (Step::BankRefuses, _, Some(attempt)) if pays(&mut shop.ledger, attempt) => {
                    shop.ledger.fail(attempt, NetworkRefusal::Refused);
                }
                (Step::Reverse, _, _) => _ = shop.ledger.submit(&shop.reverse()),
                (Step::Wait, _, _) => shop.ledger.advance(15 * SECOND),
                _ => {}
            }
            shop.ledger.audit();
        }
        let taken: Vec<Order> = shop.ledger.all();
        prop_assert!(taken.len() <= 1, "one code, one order");
        // Whatever is open ends, with the bank paying what it may.
        while let Some(open) = shop.ledger.all::<OpenAttempt>().first().map(|open| open.attempt) {
            shop.ledger.succeed(open);
        }
        shop.ledger.advance(15 * SECOND);
        let first = shop.ledger.submit(&shop.reverse());
        prop_assert_eq!(first, Ok(()), "nothing stands in the way of a reversal");
        while let Some(open) = shop.ledger.all::<OpenAttempt>().first().map(|open| open.attempt) {
            shop.ledger.succeed(open);
        }
        if taken.iter().all(|order| &*order.out_trade_no == "order-1") {
            shop.is_whole();
        }
        let late = shop.take(minor);
        prop_assert_eq!(shop.ledger.refusal(&late), MerchantRefusal::OrderReversed);
    }
}

#[test]
fn a_reversals_refund_that_the_bank_refuses_for_good_goes_to_the_payers_balance() {
    let mut shop = shop();
    let order = shop.taken_by_card(10_000);
    shop.ledger.succeed(order.attempt.expect("the bank is asked"));
    shop.ledger.submit(&shop.reverse()).unwrap();
    let refund = shop.ledger.all::<Refund>().pop().expect("what was paid goes back");
    let before = shop.ledger.balance_of(shop.person);
    shop.ledger.fail(refund.attempt.expect("to the card"), NetworkRefusal::CardNotUsable);
    let refund = shop.ledger.get::<Refund>(&refund.id).expect("it is there");
    assert_eq!((refund.state, refund.way), (RefundState::Success, RefundWay::Balance));
    assert_eq!(refund.success_at, Some(shop.ledger.now));
    assert_eq!(shop.ledger.balance_of(shop.person), before + 10_000);
    assert_eq!(shop.ledger.balance(AccountId::refund_in_flight(ISSUER_NETWORK)), 0);
    shop.ledger.audit();
}
