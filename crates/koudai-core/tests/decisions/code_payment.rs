//! Taking payments by a payer's code: once, within the code's minute, asking where it is due.

use koudai_core::code_payment::{CodeFailure, ConfirmCodePayment, DeclineCodePayment, TakeByCode};
use koudai_core::id::{CardId, MchId, OrderId, PersonId};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::merchant::SetMerchant;
use koudai_core::order::{CloseOrder, OrderStanding};
use koudai_core::payer_code::{AuthCode, ChoosePayerMethod, SwitchPayerCodesOn};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{CodePayment, NetworkRefusal, Order, OrderNumber, OrderState, Product};
use koudai_core::time::{DAY, MINUTE};

use crate::fixture::{Freeze, Ledger, PIN, WRONG, fen, pin, place, set, take};

const PAYER: &str = "13800138000";
const OTHER: &str = "13900139000";

struct Shop {
    ledger: Ledger,
    mchid: MchId,
    person: PersonId,
    code: AuthCode,
}

fn shop(minor: i64) -> Shop {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let (person, code) = ledger.shower(PAYER, minor);
    Shop { ledger, mchid, person, code }
}

impl Shop {
    fn take(&self, number: &str, minor: i64) -> TakeByCode {
        take(self.mchid, number, minor, &self.code)
    }

    /// An order whose payer is asked.
    fn asked(&mut self) -> Order {
        let order = self.ledger.submit(&self.take("order-1", 100_001)).expect("a good code");
        assert_eq!(order.state, OrderState::Confirming);
        order
    }

    fn by_card(&mut self) -> CardId {
        let card = self.ledger.card(self.person);
        self.ledger
            .submit(&ChoosePayerMethod { person: self.person, card: Some(card) })
            .expect("a card of theirs");
        card
    }

    fn failure(&mut self, order: OrderId) -> Option<CodeFailure> {
        self.ledger.get::<CodePayment>(&order).expect("a code payment").failure
    }

    fn confirm(&self, order: OrderId, card: Option<CardId>) -> ConfirmCodePayment {
        ConfirmCodePayment { person: self.person, order, card, confirmed: pin(PIN).into() }
    }
}

#[test]
fn a_small_amount_passes_at_once() {
    let mut shop = shop(20_000);
    let order = shop.ledger.submit(&shop.take("order-1", 10_000)).unwrap();
    assert_eq!((order.state, order.payer, order.fee), (OrderState::Paid, Some(shop.person), fen(60)));
    assert_eq!(shop.ledger.balance_of(shop.person), 10_000);
    assert_eq!(shop.ledger.balance(AccountId::merchant(shop.mchid)), 9_940);
    let journal = shop.ledger.journals().pop().unwrap();
    assert_eq!((journal.kind, journal.subject), (JournalKind::BalancePayment, order.id.0));
    shop.ledger.audit();
}

#[test]
fn a_code_pays_once() {
    let mut shop = shop(20_000);
    shop.ledger.submit(&shop.take("order-1", 10)).unwrap();
    let again = shop.take("order-2", 10);
    assert_eq!(shop.ledger.refusal(&again), MerchantRefusal::AuthCodeInvalid);
    assert_eq!(shop.ledger.balance_of(shop.person), 19_990);
}

#[test]
fn another_payers_code_under_a_number_that_somebody_is_asked_about_is_other_content() {
    let mut shop = shop(500_000);
    let asked = shop.take("order-1", 200_000);
    assert_eq!(shop.ledger.submit(&asked).unwrap().state, OrderState::Confirming);
    let person = shop.ledger.person_with("13900139000", 500_000);
    shop.ledger.submit(&SwitchPayerCodesOn { person, pin: pin(PIN) }).unwrap();
    let other = shop.ledger.shown(person, 2);
    let refusal = MerchantRefusal::OutTradeNoUsed { field: "/payer/auth_code" };
    let with_another = TakeByCode { code: other, ..asked.clone() };
    assert_eq!(shop.ledger.refusal(&with_another), refusal);
    assert_eq!(shop.ledger.submit(&asked).unwrap().state, OrderState::Confirming, "the first is asked still");
}

#[test]
fn the_very_same_request_is_answered_with_its_outcome() {
    let mut shop = shop(20_000);
    let request = shop.take("order-1", 10);
    let order = shop.ledger.submit(&request).unwrap();
    assert_eq!(shop.ledger.effect(&request), (Ok(order), false));
    let other = TakeByCode { code: shop.ledger.shown(shop.person, 9), ..request.clone() };
    assert_eq!(shop.ledger.refusal(&other), MerchantRefusal::OrderPaid, "another scan is not the same");
    let dearer = TakeByCode { amount: fen(11), ..request };
    assert_eq!(shop.ledger.refusal(&dearer), MerchantRefusal::OrderPaid);
}

#[test]
fn a_code_lives_a_minute() {
    let mut shop = shop(20_000);
    shop.ledger.advance(MINUTE);
    let late = shop.take("order-1", 10);
    assert_eq!(shop.ledger.refusal(&late), MerchantRefusal::AuthCodeExpired);
    shop.ledger.advance(-1);
    assert!(shop.ledger.submit(&late).is_ok());
}

#[test]
fn digits_that_are_nobodys_code_pay_nothing() {
    let mut shop = shop(20_000);
    let guess = take(shop.mchid, "order-1", 10, &AuthCode::draw(77));
    assert_eq!(shop.ledger.refusal(&guess), MerchantRefusal::AuthCodeInvalid);
}

#[test]
fn a_merchant_without_the_right_learns_nothing_of_a_code() {
    let mut shop = shop(20_000);
    let change = |products, suspended| SetMerchant { products, suspended, ..set(shop.mchid) };
    let request = shop.take("order-1", 10);
    shop.ledger.submit(&change(Some(vec![Product::Native]), None)).unwrap();
    assert_eq!(shop.ledger.refusal(&request), MerchantRefusal::ProductNotEnabled);
    shop.ledger.submit(&change(Some(vec![Product::CodePay]), Some(true))).unwrap();
    assert_eq!(shop.ledger.refusal(&request), MerchantRefusal::MerchantSuspended);
    shop.ledger.submit(&change(None, Some(false))).unwrap();
    let stranger = TakeByCode { appid: "wx0000000000000000".to_owned(), ..request.clone() };
    assert_eq!(shop.ledger.refusal(&stranger), MerchantRefusal::AppidMismatch);
    assert!(shop.ledger.submit(&request).is_ok(), "the code is still good");
}

#[test]
fn a_balance_that_does_not_cover_it_fails_for_good_and_uses_the_code_up() {
    let mut shop = shop(100);
    let request = shop.take("order-1", 101);
    let (answer, changed) = shop.ledger.effect(&request);
    assert_eq!((answer, changed), (Err(MerchantRefusal::PayerShort), true));
    assert_eq!(shop.ledger.refusal(&request), MerchantRefusal::PayerShort, "asked again, told again");
    let order = shop.ledger.all::<Order>().pop().unwrap();
    assert_eq!((order.standing(shop.ledger.now), order.payer), (OrderStanding::Failed, None));
    assert_eq!(shop.failure(order.id), Some(CodeFailure::InsufficientBalance));
    let smaller = shop.take("order-2", 1);
    assert_eq!(shop.ledger.refusal(&smaller), MerchantRefusal::AuthCodeInvalid);
    let fresh = TakeByCode { code: shop.ledger.shown(shop.person, 2), ..request };
    assert_eq!(shop.ledger.refusal(&fresh), MerchantRefusal::OrderClosed, "a failed number stays so");
    assert_eq!(shop.ledger.balance_of(shop.person), 100);
    shop.ledger.audit();
}

#[test]
fn a_frozen_account_pays_nothing_by_code() {
    let mut shop = shop(100);
    shop.ledger.submit(&Freeze(shop.person)).unwrap();
    let request = shop.take("order-1", 1);
    assert_eq!(shop.ledger.submit(&request), Err(MerchantRefusal::PayerFrozen));
    assert_eq!(shop.ledger.refusal(&request), MerchantRefusal::PayerFrozen);
}

#[test]
fn five_a_day_pass_and_the_sixth_is_asked_about() {
    let mut shop = shop(100_000);
    let mut pay = |n: u64| {
        let code = shop.ledger.shown(shop.person, 10 + n);
        shop.ledger.submit(&take(shop.mchid, &format!("order-{n}"), 1, &code)).unwrap().state
    };
    for n in 0..5 {
        assert_eq!(pay(n), OrderState::Paid);
    }
    assert_eq!(pay(5), OrderState::Confirming);
    shop.ledger.advance(DAY);
    assert_eq!(pay_next(&mut shop), OrderState::Paid, "another day counts for itself");
}

fn pay_next(shop: &mut Shop) -> OrderState {
    let code = shop.ledger.shown(shop.person, 50);
    shop.ledger.submit(&take(shop.mchid, "order-50", 1, &code)).expect("a good code").state
}

#[test]
fn a_thousand_yuan_pass_and_a_fen_more_is_asked_about() {
    let mut shop = shop(1_000_000);
    let order = shop.ledger.submit(&shop.take("order-1", 100_000)).unwrap();
    assert_eq!(order.state, OrderState::Paid);
    shop.code = shop.ledger.shown(shop.person, 2);
    let order = shop.ledger.submit(&shop.take("order-2", 100_001)).unwrap();
    assert_eq!((order.state, order.payer), (OrderState::Confirming, Some(shop.person)));
    assert_eq!(shop.ledger.balance_of(shop.person), 900_000);
}

#[test]
fn whoever_is_asked_confirms_with_the_payment_password() {
    let mut shop = shop(200_000);
    let order = shop.asked().id;
    let wrong = ConfirmCodePayment { confirmed: pin(WRONG).into(), ..shop.confirm(order, None) };
    assert_eq!(shop.ledger.submit(&wrong), Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    let other = shop.ledger.person_with(OTHER, 200_000);
    let stranger = ConfirmCodePayment { person: other, ..shop.confirm(order, None) };
    assert_eq!(shop.ledger.refusal(&stranger), Refusal::OrderUnknown);
    let paid = shop.ledger.submit(&shop.confirm(order, None)).unwrap();
    assert_eq!(paid.state, OrderState::Paid);
    assert_eq!(shop.ledger.effect(&shop.confirm(order, None)), (Ok(paid), false));
    let request = shop.take("order-1", 100_001);
    assert_eq!(shop.ledger.submit(&request).unwrap().state, OrderState::Paid, "the merchant asks again");
    shop.ledger.audit();
}

#[test]
fn a_question_that_nobody_answers_ends_by_itself() {
    let mut shop = shop(200_000);
    let order = shop.asked();
    shop.ledger.advance(MINUTE);
    assert_eq!(order.standing(shop.ledger.now), OrderStanding::Failed);
    assert_eq!(shop.ledger.refusal(&shop.confirm(order.id, None)), Refusal::OrderExpired);
    let request = shop.take("order-1", 100_001);
    assert_eq!(shop.ledger.refusal(&request), MerchantRefusal::PaymentFailed);
    let decline = DeclineCodePayment { person: shop.person, order: order.id };
    assert_eq!(shop.ledger.effect(&decline), (Ok(()), false));
}

#[test]
fn a_payer_may_refuse() {
    let mut shop = shop(200_000);
    let order = shop.asked().id;
    let decline = DeclineCodePayment { person: shop.person, order };
    shop.ledger.submit(&decline).unwrap();
    assert_eq!(shop.ledger.effect(&decline), (Ok(()), false));
    assert_eq!(shop.failure(order), Some(CodeFailure::Declined));
    assert_eq!(shop.ledger.refusal(&shop.confirm(order, None)), Refusal::OrderExpired);
    assert_eq!(shop.ledger.balance_of(shop.person), 200_000);
}

#[test]
fn what_is_paid_is_not_refused_any_more() {
    let mut shop = shop(200_000);
    let order = shop.asked().id;
    let card = shop.ledger.card(shop.person);
    let decline = DeclineCodePayment { person: shop.person, order };
    let paying = shop.ledger.submit(&shop.confirm(order, Some(card))).unwrap();
    assert_eq!(shop.ledger.refusal(&decline), Refusal::OrderBeingPaid);
    assert_eq!(shop.ledger.refusal(&shop.confirm(order, None)), Refusal::OrderBeingPaid);
    shop.ledger.succeed(paying.attempt.unwrap());
    assert_eq!(shop.ledger.refusal(&decline), Refusal::OrderAlreadyPaid);
    assert_eq!(shop.ledger.refusal(&shop.confirm(order, None)), Refusal::OrderAlreadyPaid);
    shop.ledger.audit();
}

#[test]
fn a_balance_too_small_leaves_the_question_open_for_a_card() {
    let mut shop = shop(100);
    let order = shop.asked().id;
    let short = Refusal::InsufficientBalance { short_by: fen(99_901) };
    assert_eq!(shop.ledger.refusal(&shop.confirm(order, None)), short);
    let card = shop.ledger.card(shop.person);
    let paying = shop.ledger.submit(&shop.confirm(order, Some(card))).unwrap();
    assert_eq!(paying.state, OrderState::Paying);
    shop.ledger.fail(paying.attempt.unwrap(), NetworkRefusal::InsufficientFunds);
    let asked = shop.ledger.get::<Order>(&order).unwrap();
    assert_eq!((asked.state, asked.card, asked.attempt), (OrderState::Confirming, None, None));
    assert_eq!(shop.failure(order), Some(CodeFailure::CardInsufficientFunds));
    let other = shop.ledger.card(shop.person);
    let paying = shop.ledger.submit(&shop.confirm(order, Some(other))).unwrap();
    assert_eq!(shop.failure(order), None, "another try is under way");
    shop.ledger.advance(MINUTE);
    shop.ledger.fail(paying.attempt.unwrap(), NetworkRefusal::CardNotUsable);
    let failed = shop.ledger.get::<Order>(&order).unwrap();
    assert_eq!((failed.state, failed.payer), (OrderState::Failed, None), "the time is over");
}

#[test]
fn the_card_that_was_chosen_is_asked() {
    let mut shop = shop(100);
    let card = shop.by_card();
    let request = shop.take("order-1", 5_000);
    let order = shop.ledger.submit(&request).unwrap();
    assert_eq!((order.state, order.card), (OrderState::Paying, Some(card)));
    assert_eq!(shop.ledger.effect(&request), (Ok(order.clone()), false), "under way, not twice");
    shop.ledger.succeed(order.attempt.unwrap());
    let paid = shop.ledger.submit(&request).unwrap();
    assert_eq!((paid.state, paid.card), (OrderState::Paid, Some(card)));
    shop.ledger.audit();
}

#[test]
fn a_card_that_is_refused_fails_the_payment_for_good() {
    let mut shop = shop(100_000);
    shop.by_card();
    let request = shop.take("order-1", 5_000);
    let order = shop.ledger.submit(&request).unwrap();
    shop.ledger.fail(order.attempt.unwrap(), NetworkRefusal::InsufficientFunds);
    assert_eq!(shop.ledger.refusal(&request), MerchantRefusal::PayerShort);
    let order = shop.ledger.get::<Order>(&order.id).unwrap();
    assert_eq!((order.state, order.payer, order.attempt), (OrderState::Failed, None, None));
    assert_eq!(shop.ledger.balance_of(shop.person), 100_000);
}

#[test]
fn a_code_payment_is_not_closed() {
    let mut shop = shop(100);
    shop.ledger.submit(&shop.take("order-1", 60)).unwrap();
    let close = CloseOrder { mchid: shop.mchid, out_trade_no: "order-1".to_owned() };
    assert_eq!(shop.ledger.refusal(&close), MerchantRefusal::OnlyReversed);
}

#[test]
fn one_number_is_one_order_of_one_kind() {
    let mut shop = shop(200_000);
    let native = shop.ledger.order(shop.mchid, "order-2", 100_001);
    let by_code = shop.take("order-2", 100_001);
    let used = |field| MerchantRefusal::OutTradeNoUsed { field };
    assert_eq!(shop.ledger.refusal(&by_code), used("/trade_type"));
    assert_eq!(native.state, OrderState::Unpaid);
    shop.asked();
    assert_eq!(shop.ledger.refusal(&place(shop.mchid, "order-1", 100_001)), used("/trade_type"));
    let request = shop.take("order-1", 100_001);
    for (other, field) in [
        (TakeByCode { amount: fen(100_002), ..request.clone() }, "/amount/total"),
        (TakeByCode { attach: Some("x".to_owned()), ..request.clone() }, "/attach"),
        (TakeByCode { description: "y".to_owned(), ..request.clone() }, "/description"),
    ] {
        assert_eq!(shop.ledger.refusal(&other), used(field));
    }
    let elsewhere = TakeByCode { scene_info: Some("{}".to_owned()), ..request };
    assert!(shop.ledger.submit(&elsewhere).is_ok(), "where it was made is not compared");
    assert_eq!(shop.ledger.all::<OrderNumber>().len(), 2);
}
