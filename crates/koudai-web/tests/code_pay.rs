//! Payments by a payer's code over the gateway: taken, asked about, reversed.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use koudai_core::code_payment::{ConfirmCodePayment, DeclineCodePayment};
use koudai_core::ledger::AccountId;
use koudai_core::payer_code::{AuthCode, ChoosePayerMethod};
use koudai_core::payment_password::Pin;
use koudai_core::rows::{OrderState, Product};
use koudai_core::state::Policy;
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_wechatpay::client::{ClientError, Unknown};
use koudai_wechatpay::types::{TradeState, Transaction};
use rig::{PIN, Rig, Shop, code_order, refund};
use serde_json::{Value, json};

const CODE_PAY: &str = "/v3/pay/transactions/codepay";

async fn begun() -> (Rig, Shop) {
    let policy = Policy { reverse_after_ms: 0, ..Policy::default() };
    let rig = Rig::start_under(policy, Reach::Local, Clock::wall()).await;
    let shop = rig.shop_with(vec![Product::CodePay, Product::Native]).await;
    (rig, shop)
}

fn reverse_target(out_trade_no: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{out_trade_no}/reverse")
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (u16, String) {
    match outcome {
        Err(ClientError::Refused { status, body }) => (status, body.code),
        Err(ClientError::Unknown(Unknown::Status { status, body })) => (status, body.unwrap().code),
        other => panic!("{other:?}"),
    }
}

fn pair(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn query(rig: &Rig, shop: &Shop, out_trade_no: &str) -> Transaction {
    rig.client(shop, false).query_by_out_trade_no(out_trade_no).await.unwrap()
}

#[tokio::test]
async fn a_small_amount_is_paid_in_the_reply_and_the_same_call_again_says_the_same() {
    let (rig, shop) = begun().await;
    let person = rig.person(10_000).await;
    let code = rig.shown(person).await;
    let client = rig.client(&shop, true);
    let order = code_order(&shop, "order-1", 8_800, &code);
    let paid = client.code_pay(&order).await.unwrap();
    assert_eq!(
        (paid.trade_state.clone(), paid.trade_type.as_deref()),
        (TradeState::Success, Some("MICROPAY"))
    );
    assert_eq!(paid.amount.as_ref().unwrap().payer_total, Some(8_800));
    assert_eq!(paid.attach.as_deref(), Some("till 3"));
    assert_eq!(paid.scene_info.as_ref().unwrap().device_id.as_deref(), Some("till-3"));
    assert_eq!(client.code_pay(&order).await.unwrap(), paid);
    assert_eq!(query(&rig, &shop, "order-1").await, paid);
    let by_id = client.query_by_transaction_id(paid.transaction_id.as_ref().unwrap()).await.unwrap();
    assert_eq!(by_id, paid);
    let again = client.code_pay(&code_order(&shop, "order-2", 1, &code)).await;
    assert_eq!(refused(again), pair(400, "AUTH_CODE_INVALID"));
    assert_eq!(refused(client.query_by_out_trade_no("order-2").await), pair(404, "ORDER_NOT_EXIST"));
    assert_eq!(rig.standing(AccountId::person(person)).await, 1_200);
}

#[tokio::test]
async fn a_code_used_at_many_tills_at_once_pays_once() {
    let (rig, shop) = begun().await;
    let person = rig.person(10_000).await;
    let code = rig.shown(person).await;
    let client = std::sync::Arc::new(rig.client(&shop, false));
    let mut calls = tokio::task::JoinSet::new();
    for till in 0..16 {
        let (client, order) =
            (std::sync::Arc::clone(&client), code_order(&shop, &format!("order-{till}"), 100, &code));
        calls.spawn(async move { client.code_pay(&order).await });
    }
    let outcomes = calls.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(rig.standing(AccountId::person(person)).await, 9_900);
}

#[tokio::test]
async fn a_payer_who_is_asked_is_waited_for() {
    let (rig, shop) = begun().await;
    let person = rig.person(300_000).await;
    let client = rig.client(&shop, false);
    let order = code_order(&shop, "order-1", 100_001, &rig.shown(person).await);
    assert_eq!(refused(client.code_pay(&order).await), pair(202, "USER_PAYING"));
    assert_eq!(refused(client.code_pay(&order).await), pair(202, "USER_PAYING"));
    let waiting = query(&rig, &shop, "order-1").await;
    assert_eq!((waiting.trade_state, waiting.transaction_id), (TradeState::UserPaying, None));
    let close = client.close("order-1").await;
    assert_eq!(refused(close), pair(400, "INVALID_REQUEST"));
    let id = rig.order(&shop, "order-1").await.id;
    let confirm =
        ConfirmCodePayment { person, order: id, card: None, confirmed: Pin::parse(PIN).unwrap().into() };
    rig.app.engine.submit(confirm).await.unwrap();
    assert_eq!(client.code_pay(&order).await.unwrap().trade_state, TradeState::Success);

    let order = code_order(&shop, "order-2", 100_001, &rig.shown(person).await);
    assert_eq!(refused(client.code_pay(&order).await), pair(202, "USER_PAYING"));
    let id = rig.order(&shop, "order-2").await.id;
    rig.app.engine.submit(DeclineCodePayment { person, order: id }).await.unwrap();
    let declined = query(&rig, &shop, "order-2").await;
    assert_eq!(declined.trade_state, TradeState::PayError);
    assert_eq!(declined.trade_state_desc, "支付失败：顾客取消了付款");
    assert_eq!(refused(client.code_pay(&order).await), pair(403, "TRADE_ERROR"));
}

#[tokio::test]
async fn a_card_is_asked_and_a_balance_that_is_short_is_said() {
    let (rig, shop) = begun().await;
    let client = rig.client(&shop, false);
    let (person, card) = rig.person_with_card().await;
    let short = code_order(&shop, "order-1", 500, &rig.shown(person).await);
    assert_eq!(refused(client.code_pay(&short).await), pair(403, "NOT_ENOUGH"));
    let failed = query(&rig, &shop, "order-1").await;
    assert_eq!(failed.trade_state, TradeState::PayError);
    assert!(failed.trade_state_desc.contains("零钱不足"));
    rig.app.engine.submit(ChoosePayerMethod { person, card: Some(card) }).await.unwrap();
    let by_card = code_order(&shop, "order-2", 500, &rig.shown(person).await);
    assert_eq!(refused(client.code_pay(&by_card).await), pair(202, "USER_PAYING"));
    assert_eq!(query(&rig, &shop, "order-2").await.trade_state, TradeState::UserPaying);
    rig.bank_pays(&rig.order(&shop, "order-2").await).await;
    assert_eq!(client.code_pay(&by_card).await.unwrap().trade_state, TradeState::Success);
}

#[tokio::test]
async fn a_paid_order_is_reversed_whole_and_for_good() {
    let (rig, shop) = begun().await;
    let person = rig.person(10_000).await;
    let client = rig.client(&shop, false);
    let order = code_order(&shop, "order-1", 8_800, &rig.shown(person).await);
    let paid = client.code_pay(&order).await.unwrap();
    for _ in 0..2 {
        let body = json!({"appid": shop.appid, "mchid": shop.mchid.wire()}).to_string();
        let answer = rig.ask(&shop, "POST", &reverse_target("order-1"), &body).await;
        assert_eq!(answer.status, 200);
        let expected = json!({"appid": shop.appid, "mchid": shop.mchid.wire(), "out_trade_no": "order-1"});
        assert_eq!(answer.json(), expected);
    }
    assert_eq!(rig.standing(AccountId::person(person)).await, 10_000);
    assert_eq!(rig.standing(AccountId::merchant(shop.mchid)).await, 0);
    let reversed = query(&rig, &shop, "order-1").await;
    assert_eq!((reversed.trade_state, reversed.transaction_id), (TradeState::Revoked, paid.transaction_id));
    assert_eq!(refused(client.code_pay(&order).await), pair(400, "ORDER_CLOSED"));
    let again = client.refund(&refund("order-1", "refund-1", 1, 8_800)).await;
    assert_eq!(refused(again), pair(400, "INVALID_REQUEST"));
    let by_number = rig.ask(&shop, "GET", "/v3/refund/domestic/refunds/reverse:order-1", "").await;
    assert_eq!(by_number.refusal(), pair(400, "PARAM_ERROR"), "its number is not the merchant's");
}

#[tokio::test]
async fn a_number_reversed_before_its_call_arrived_never_pays() {
    let (rig, shop) = begun().await;
    let person = rig.person(10_000).await;
    let client = rig.client(&shop, false);
    client.reverse(&shop.appid, "order-1").await.unwrap();
    client.reverse(&shop.appid, "order-1").await.unwrap();
    let reversed = query(&rig, &shop, "order-1").await;
    assert_eq!((reversed.trade_state, reversed.amount), (TradeState::Revoked, None));
    let late = client.code_pay(&code_order(&shop, "order-1", 100, &rig.shown(person).await)).await;
    assert_eq!(refused(late), pair(400, "ORDER_CLOSED"));
    let placed = client.native(&rig::order(&shop, "order-1", 100)).await;
    assert_eq!(refused(placed), pair(400, "ORDER_CLOSED"));
    assert_eq!(refused(client.close("order-1").await), pair(400, "ORDER_CLOSED"));
    assert_eq!(rig.standing(AccountId::person(person)).await, 10_000);
}

#[tokio::test]
async fn what_cannot_be_reversed_is_told_why() {
    let rig = Rig::start().await;
    let shop = rig.shop_with(vec![Product::CodePay, Product::Native]).await;
    let client = rig.client(&shop, false);
    let person = rig.person(10_000).await;
    client.code_pay(&code_order(&shop, "order-1", 100, &rig.shown(person).await)).await.unwrap();
    client.native(&rig::order(&shop, "order-2", 100)).await.unwrap();
    let body = json!({"appid": shop.appid, "mchid": shop.mchid.wire()}).to_string();
    for (number, told) in [("order-1", 900_000_037), ("order-2", 900_000_036)] {
        let answer = rig.ask(&shop, "POST", &reverse_target(number), &body).await;
        assert_eq!((answer.refusal(), answer.number()), (pair(400, "INVALID_REQUEST"), told));
    }
    for body in [json!({"mchid": shop.mchid.wire()}), json!({"appid": shop.appid})] {
        let answer = rig.ask(&shop, "POST", &reverse_target("order-1"), &body.to_string()).await;
        assert_eq!(answer.refusal(), pair(400, "PARAM_ERROR"));
    }
    let other = json!({"appid": "wx0000000000000000", "mchid": shop.mchid.wire()}).to_string();
    let answer = rig.ask(&shop, "POST", &reverse_target("order-1"), &other).await;
    assert_eq!(answer.refusal(), pair(400, "APPID_MCHID_NOT_MATCH"));
    assert_eq!(rig.order(&shop, "order-1").await.state, OrderState::Paid);
}

#[tokio::test]
async fn every_field_is_looked_at_and_no_digits_are_quoted_back() {
    let (rig, shop) = begun().await;
    let code = AuthCode::draw(5);
    let whole = serde_json::to_value(code_order(&shop, "order-1", 100, &code)).unwrap();
    let cases: [(&str, Value); 12] = [
        ("/appid", Value::Null),
        ("/mchid", Value::Null),
        ("/description", Value::Null),
        ("/out_trade_no", json!("short")),
        ("/attach", json!("x".repeat(129))),
        ("/payer/auth_code", Value::Null),
        ("/amount/total", json!(0)),
        ("/amount/total", json!("1")),
        ("/amount/currency", json!("USD")),
        ("/scene_info", Value::Null),
        ("/scene_info/store_info", Value::Null),
        ("/scene_info/device_ip", json!("1".repeat(46))),
    ];
    for (field, value) in cases {
        let mut body = whole.clone();
        if body.pointer(field).is_none() {
            let (parent, name) = field.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = Value::Null;
        }
        *body.pointer_mut(field).unwrap() = value;
        let answer = rig.ask(&shop, "POST", CODE_PAY, &body.to_string()).await;
        assert_eq!(answer.refusal(), pair(400, "PARAM_ERROR"), "{field}");
        assert_eq!(answer.json()["detail"]["field"], *field);
        assert!(!answer.json().to_string().contains(code.expose()));
    }
    let mut nowhere = whole.clone();
    nowhere["scene_info"]["store_info"] = json!({});
    let answer = rig.ask(&shop, "POST", CODE_PAY, &nowhere.to_string()).await;
    assert_eq!(answer.json()["detail"]["field"], "/scene_info/store_info/id");
    for digits in ["134567890123456789", "700000000000000012", "7000000000000000", "not digits at all"] {
        let mut body = whole.clone();
        body["payer"]["auth_code"] = json!(digits);
        let answer = rig.ask(&shop, "POST", CODE_PAY, &body.to_string()).await;
        assert_eq!(answer.refusal(), pair(400, "AUTH_CODE_INVALID"), "{digits}");
        assert!(!answer.json().to_string().contains(digits));
    }
    let mut goods = whole.clone();
    goods["detail"] = json!({"goods_detail": [{"merchant_goods_id": "1", "quantity": 1}]});
    let answer = rig.ask(&shop, "POST", CODE_PAY, &goods.to_string()).await;
    assert_eq!(answer.json()["detail"]["field"], "/detail/goods_detail/0/unit_price");
}

#[tokio::test]
async fn a_merchant_takes_codes_only_with_the_right_to() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let person = rig.person(10_000).await;
    let code = rig.shown(person).await;
    let taken = rig.client(&shop, false).code_pay(&code_order(&shop, "order-1", 100, &code)).await;
    assert_eq!(refused(taken), pair(403, "NO_AUTH"));
}
