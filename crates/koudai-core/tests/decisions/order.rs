//! Orders: placed, re-entered, closed by the merchant or by the clock, and the codes that stand for them.

use koudai_core::id::{MchId, PersonId};
use koudai_core::merchant::SetMerchant;
use koudai_core::money::{Currency, Money};
use koudai_core::order::{CloseOrder, OrderStanding, PlaceOrder, SweepCodes};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{NetworkRefusal, Order, OrderCode, Product};
use koudai_core::time::{DAY, HOUR, MINUTE};

use crate::fixture::{Ledger, PIN, fen, place, set};

fn shop() -> (Ledger, MchId) {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    (ledger, mchid)
}

fn close(mchid: MchId) -> CloseOrder {
    CloseOrder { mchid, out_trade_no: "order-1".to_owned() }
}

#[test]
fn an_order_has_a_code_for_two_hours_and_a_life_of_seven_days() {
    let (mut ledger, mchid) = shop();
    let order = ledger.order(mchid, "order-1", 100);
    assert_eq!(order.standing(ledger.now), OrderStanding::Payable);
    assert_eq!(order.expires_at, ledger.now.plus(7 * DAY));
    assert_eq!(order.code_expires_at, ledger.now.plus(2 * HOUR));
    let code = ledger.get::<OrderCode>(&order.code).unwrap();
    assert_eq!((code.order, code.expires_at), (order.id, order.code_expires_at));
}

#[test]
fn a_merchants_wish_for_an_orders_life_is_kept_within_bounds() {
    let (mut ledger, mchid) = shop();
    let wishes = [(-DAY, MINUTE), (1, MINUTE), (10 * MINUTE, 10 * MINUTE), (1_000 * DAY, 90 * DAY)];
    for (n, (wish, life)) in wishes.into_iter().enumerate() {
        let time_expire = Some(ledger.now.plus(wish));
        let order = PlaceOrder { time_expire, ..place(mchid, &format!("order-{n}"), 100) };
        let order = ledger.submit(&order).unwrap();
        assert_eq!(order.expires_at, ledger.now.plus(life));
        assert!(order.code_expires_at <= order.expires_at, "a code never outlives its order");
    }
}

#[test]
fn the_same_number_is_the_same_order() {
    let (mut ledger, mchid) = shop();
    let order = ledger.order(mchid, "order-1", 100);
    assert_eq!(ledger.effect(&place(mchid, "order-1", 100)), (Ok(order.clone()), false));
    let later = PlaceOrder {
        time_expire: Some(ledger.now.plus(HOUR)),
        scene_info: Some("{}".to_owned()),
        ..place(mchid, "order-1", 100)
    };
    assert_eq!(ledger.effect(&later), (Ok(order), false), "the first request sets these two");
}

#[test]
fn two_merchants_may_choose_the_same_number() {
    let (mut ledger, mchid) = shop();
    let other = ledger.merchant();
    assert_ne!(ledger.order(mchid, "order-1", 100).id, ledger.order(other, "order-1", 100).id);
}

#[test]
fn the_same_number_with_other_content_names_the_field() {
    let (mut ledger, mchid) = shop();
    ledger.order(mchid, "order-1", 100);
    let base = || place(mchid, "order-1", 100);
    let text = || Some("x".to_owned());
    let cases = [
        ("/trade_type", PlaceOrder { product: Product::Jsapi, ..base() }),
        ("/payer/openid", PlaceOrder { meant_for: Some(PersonId(16)), ..base() }),
        ("/amount/total", PlaceOrder { amount: fen(101), ..base() }),
        ("/amount/total", PlaceOrder { amount: Money::new(100, Currency::Usd).unwrap(), ..base() }),
        ("/description", PlaceOrder { description: "two".to_owned(), ..base() }),
        ("/attach", PlaceOrder { attach: text(), ..base() }),
        ("/notify_url", PlaceOrder { notify_url: "https://x.example".to_owned(), ..base() }),
        ("/goods_tag", PlaceOrder { goods_tag: text(), ..base() }),
        ("/detail", PlaceOrder { detail: text(), ..base() }),
        ("/settle_info", PlaceOrder { settle_info: text(), ..base() }),
    ];
    for (field, other) in cases {
        assert_eq!(ledger.refusal(&other), MerchantRefusal::OutTradeNoUsed { field });
    }
}

#[test]
fn an_order_meant_for_one_person_is_re_entered_for_the_same_one_only() {
    let (mut ledger, mchid) = shop();
    let (payer, other) = (ledger.person("13800138000"), ledger.person("13900139000"));
    let meant =
        |person| PlaceOrder { product: Product::Jsapi, meant_for: person, ..place(mchid, "order-1", 100) };
    assert_eq!(ledger.refusal(&meant(Some(PersonId(16)))), MerchantRefusal::PayerUnknown);
    let order = ledger.submit(&meant(Some(payer))).unwrap();
    assert_eq!(order.meant_for, Some(payer));
    assert_eq!(ledger.effect(&meant(Some(payer))), (Ok(order), false));
    for differs in [Some(other), None] {
        let field = "/payer/openid";
        assert_eq!(ledger.refusal(&meant(differs)), MerchantRefusal::OutTradeNoUsed { field });
    }
}

#[test]
fn an_order_of_any_kind_is_closed_by_its_time() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with("13800138000", 1_000);
    for (n, product) in [Product::Native, Product::Jsapi, Product::App, Product::H5].into_iter().enumerate() {
        let number = format!("order-{n}");
        let meant_for = (product == Product::Jsapi).then_some(person);
        let time_expire = Some(ledger.now.plus(5 * MINUTE));
        let order = PlaceOrder { product, meant_for, time_expire, ..place(mchid, &number, 100) };
        let placed = ledger.submit(&order).unwrap();
        assert_eq!(placed.code_expires_at, placed.expires_at, "a code does not outlive its order");
        ledger.advance(5 * MINUTE);
        assert_eq!(ledger.pay(person, placed.id), Err(Refusal::OrderExpired), "{product:?}");
        assert_eq!(ledger.refusal(&order), MerchantRefusal::OrderClosed);
    }
}

#[test]
fn a_code_past_its_two_hours_is_replaced_when_the_merchant_asks_again() {
    let (mut ledger, mchid) = shop();
    let order = ledger.order(mchid, "order-1", 100);
    ledger.advance(2 * HOUR - 1);
    assert_eq!(ledger.submit(&place(mchid, "order-1", 100)).unwrap().code, order.code);
    ledger.advance(1);
    let again = ledger.submit(&place(mchid, "order-1", 100)).unwrap();
    assert_ne!(again.code, order.code);
    assert_eq!((again.id, again.code_expires_at), (order.id, ledger.now.plus(2 * HOUR)));
    assert_eq!(ledger.get::<OrderCode>(&again.code).unwrap().order, order.id);
}

#[test]
fn the_sweep_takes_codes_a_week_after_they_expired_and_no_others() {
    let (mut ledger, mchid) = shop();
    let old = ledger.order(mchid, "order-1", 100);
    ledger.advance(HOUR);
    let young = ledger.order(mchid, "order-2", 100);
    ledger.advance(HOUR + 7 * DAY);
    let sweep = SweepCodes { tokens: vec![old.code, young.code, [0; 16]] };
    ledger.submit(&sweep).unwrap();
    let left: Vec<_> = ledger.all::<OrderCode>().into_iter().map(|c| c.token).collect();
    assert_eq!(left, [young.code]);
    assert_eq!(ledger.effect(&sweep), (Ok(()), false));
    assert!(ledger.get::<Order>(&old.id).is_some(), "the order lives on");
}

#[test]
fn nobody_but_a_merchant_places_orders() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.refusal(&place(MchId::FIRST, "order-1", 1)), MerchantRefusal::MerchantUnknown);
}

#[test]
fn a_suspended_merchant_places_no_orders() {
    let (mut ledger, mchid) = shop();
    ledger.submit(&SetMerchant { suspended: Some(true), ..set(mchid) }).unwrap();
    assert_eq!(ledger.refusal(&place(mchid, "order-1", 1)), MerchantRefusal::MerchantSuspended);
}

#[test]
fn an_order_names_the_merchants_own_app() {
    let (mut ledger, mchid) = shop();
    let other = PlaceOrder { appid: "wx0".to_owned(), ..place(mchid, "order-1", 1) };
    assert_eq!(ledger.refusal(&other), MerchantRefusal::AppidMismatch);
}

#[test]
fn a_merchant_uses_its_own_products_only() {
    let (mut ledger, mchid) = shop();
    ledger.submit(&SetMerchant { products: Some(vec![Product::H5, Product::Jsapi]), ..set(mchid) }).unwrap();
    assert_eq!(ledger.refusal(&place(mchid, "order-1", 1)), MerchantRefusal::ProductNotEnabled);
    let h5 = PlaceOrder { product: Product::H5, ..place(mchid, "order-1", 1) };
    assert!(ledger.submit(&h5).is_ok());
}

#[test]
fn a_paid_order_is_neither_placed_again_nor_closed() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with("13800138000", 100);
    let order = ledger.paid(mchid, "order-1", person, 100);
    assert_eq!(ledger.refusal(&place(mchid, "order-1", 100)), MerchantRefusal::OrderPaid);
    assert_eq!(ledger.refusal(&close(mchid)), MerchantRefusal::OrderPaid);
    let (_, order) = ledger.refund(&order, "refund-1", 100).unwrap();
    assert_eq!(order.standing(ledger.now), OrderStanding::Refunded);
    assert_eq!(ledger.refusal(&place(mchid, "order-1", 100)), MerchantRefusal::OrderPaid);
    assert_eq!(ledger.refusal(&close(mchid)), MerchantRefusal::OrderPaid);
}

#[test]
fn a_closed_order_stays_closed_and_closing_it_again_is_no_error() {
    let (mut ledger, mchid) = shop();
    ledger.order(mchid, "order-1", 100);
    ledger.submit(&close(mchid)).unwrap();
    assert_eq!(ledger.effect(&close(mchid)), (Ok(()), false));
    assert_eq!(ledger.refusal(&place(mchid, "order-1", 100)), MerchantRefusal::OrderClosed);
}

#[test]
fn an_expired_order_is_closed_for_the_merchant() {
    let (mut ledger, mchid) = shop();
    ledger.order(mchid, "order-1", 100);
    ledger.advance(7 * DAY);
    assert_eq!(ledger.effect(&close(mchid)), (Ok(()), false));
    assert_eq!(ledger.refusal(&place(mchid, "order-1", 100)), MerchantRefusal::OrderClosed);
}

#[test]
fn an_order_whose_card_is_being_asked_cannot_be_closed_until_it_ends() {
    let (mut ledger, mchid) = shop();
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 100);
    let paying = ledger.pay_by(person, order.id, Some(card), PIN).unwrap();
    assert_eq!(ledger.refusal(&close(mchid)), MerchantRefusal::UserPaying);
    assert_eq!(ledger.effect(&place(mchid, "order-1", 100)), (Ok(paying.clone()), false));
    ledger.advance(30 * DAY);
    assert_eq!(ledger.refusal(&close(mchid)), MerchantRefusal::UserPaying, "however long that takes");
    ledger.fail(paying.attempt.unwrap(), NetworkRefusal::Refused);
    assert_eq!(ledger.submit(&close(mchid)), Ok(()));
}

#[test]
fn an_order_nobody_placed_is_not_closed() {
    let (mut ledger, mchid) = shop();
    assert_eq!(ledger.refusal(&close(mchid)), MerchantRefusal::OrderUnknown);
    let other = ledger.merchant();
    ledger.order(other, "order-1", 100);
    assert_eq!(ledger.refusal(&close(mchid)), MerchantRefusal::OrderUnknown, "nor another merchant's");
}
