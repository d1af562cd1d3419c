//! The gateway over real sockets: our own client for what should work, raw bytes for what should not.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use koudai_core::ledger::AccountId;
use koudai_core::merchant::SetMerchant;
use koudai_core::rows::Product;
use koudai_networks::Reach;
use koudai_wechatpay::aead;
use koudai_wechatpay::certificate::Certificate;
use koudai_wechatpay::client::{ClientError, Unknown};
use koudai_wechatpay::message;
use koudai_wechatpay::types::{GoodsDetail, OrderDetail, RefundStatus, SceneInfo, SettleInfo, TradeState};
use rig::{PUBLIC_KEY_ID, Rig, Shop, Spoil, SpoilCertificate, now_s, order, refund, sign};
use serde_json::{Value, json};

const NATIVE: &str = "/v3/pay/transactions/native";
const REFUNDS: &str = "/v3/refund/domestic/refunds";

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// Status and code of a refusal of our own client's.
fn refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (u16, String) {
    match outcome {
        Err(ClientError::Refused { status, body }) => (status, body.code),
        other => panic!("{other:?}"),
    }
}

fn pair(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn query(shop: &Shop, out_trade_no: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{out_trade_no}?mchid={}", shop.mchid.wire())
}

#[tokio::test]
async fn an_order_is_placed_paid_refunded_and_asked_about_in_between() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    let placed = client.native(&order(&shop, "order-1", 8_800)).await.unwrap();
    assert!(placed.code_url.starts_with(&format!("http://{}/q/", rig.address)), "{}", placed.code_url);
    assert!(placed.code_url.len() <= 512);

    let unpaid = client.query_by_out_trade_no("order-1").await.unwrap();
    assert_eq!(unpaid.trade_state, TradeState::NotPay);
    assert_eq!((unpaid.transaction_id, unpaid.success_time), (None, None));

    let person = rig.person(10_000).await;
    rig.pay(person, None, &shop, "order-1").await;
    let paid = client.query_by_out_trade_no("order-1").await.unwrap();
    assert_eq!(paid.trade_state, TradeState::Success);
    assert_eq!(paid.amount.as_ref().unwrap().payer_total, Some(8_800));
    assert_eq!(paid.attach.as_deref(), Some("till 3"));
    let transaction_id = paid.transaction_id.clone().unwrap();
    assert_eq!(client.query_by_transaction_id(&transaction_id).await.unwrap(), paid);

    let asked = client.refund(&refund("order-1", "refund-1", 8_800, 8_800)).await.unwrap();
    assert_eq!(asked.status, RefundStatus::Success);
    assert_eq!(asked.transaction_id, transaction_id);
    assert_eq!(client.query_refund("refund-1").await.unwrap(), asked);
    assert_eq!(client.query_by_out_trade_no("order-1").await.unwrap().trade_state, TradeState::Refund);
    assert_eq!(rig.standing(AccountId::person(person)).await, 10_000);
    assert_eq!(rig.standing(AccountId::merchant(shop.mchid)).await, 0);
}

#[tokio::test]
async fn partial_refunds_add_up_to_the_cent_and_bring_the_fee_back() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    client.native(&order(&shop, "order-1", 9_999)).await.unwrap();
    let person = rig.person(9_999).await;
    let fee = rig.pay(person, None, &shop, "order-1").await.fee.minor();
    assert!(fee > 0);
    let mut returned = 0;
    for (number, fen) in [("r-1", 3_333), ("r-2", 1), ("r-3", 6_665)] {
        let part = client.refund(&refund("order-1", number, fen, 9_999)).await.unwrap();
        returned += part.amount.refund_fee.unwrap();
    }
    assert_eq!(returned, fee);
    let over = client.refund(&refund("order-1", "r-4", 1, 9_999)).await;
    assert_eq!(refused(over), pair(400, "INVALID_REQUEST"));
    assert_eq!(rig.standing(AccountId::person(person)).await, 9_999);
    assert_eq!(rig.standing(AccountId::merchant(shop.mchid)).await, 0);
    assert_eq!(rig.standing(AccountId::fees()).await, 0);
}

#[tokio::test]
async fn a_refund_of_a_card_payment_is_accepted_and_names_the_card() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    client.native(&order(&shop, "order-1", 500)).await.unwrap();
    let (person, card) = rig.person_with_card().await;
    let paying = rig.pay(person, Some(card), &shop, "order-1").await;

    let target = "/v3/pay/transactions/out-trade-no/order-1/close";
    let held = rig.ask(&shop, "POST", target, &text(&json!({ "mchid": shop.mchid.wire() }))).await;
    assert_eq!(held.refusal(), pair(202, "USER_PAYING"));
    match client.close("order-1").await {
        Err(ClientError::Unknown(Unknown::Status { status: 202, body: Some(_) })) => {}
        other => panic!("{other:?}"),
    }

    rig.bank_pays(&paying).await;
    let accepted = client.refund(&refund("order-1", "refund-1", 500, 500)).await.unwrap();
    assert_eq!(accepted.status, RefundStatus::Processing);
    assert_eq!(accepted.user_received_account, "测试银行借记卡0000");
    assert_eq!(client.query_refund("refund-1").await.unwrap(), accepted);
}

#[tokio::test]
async fn the_same_order_again_is_one_order_and_other_content_is_refused_by_field() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    let mut first = order(&shop, "order-1", 100);
    first.detail = Some(OrderDetail {
        goods_detail: Some(vec![GoodsDetail {
            merchant_goods_id: "1".into(),
            quantity: 1,
            unit_price: 100,
            ..GoodsDetail::default()
        }]),
        ..OrderDetail::default()
    });
    first.scene_info = Some(SceneInfo { payer_client_ip: Some("127.0.0.1".into()), ..SceneInfo::default() });
    first.settle_info = Some(SettleInfo { profit_sharing: Some(false) });
    first.time_expire = Some("2099-01-01T00:00:00+08:00".into());
    let placed = client.native(&first).await.unwrap();

    // The same content in other bytes: keys in another order, fields nobody knows, another expiry and scene.
    let mut again = serde_json::to_value(&first).unwrap();
    again["scene_info"] = json!({ "payer_client_ip": "127.0.0.2" });
    again["time_expire"] = json!("2098-01-01T00:00:00+08:00");
    again["nobody_knows"] = json!([1.5]);
    let spaced = serde_json::to_string_pretty(&again).unwrap() + "\n";
    let same = rig.ask(&shop, "POST", NATIVE, &spaced).await;
    assert_eq!((same.status, same.json()["code_url"].as_str()), (200, Some(placed.code_url.as_str())));

    for (field, value) in [
        ("/description", json!("other")),
        ("/attach", json!("other")),
        ("/notify_url", json!("http://localhost:2/notify")),
        ("/goods_tag", json!("other")),
        ("/amount/total", json!(101)),
        ("/detail", json!({ "cost_price": 1 })),
        ("/settle_info", json!({ "profit_sharing": true })),
    ] {
        let mut other = serde_json::to_value(&first).unwrap();
        match field {
            "/amount/total" => other["amount"]["total"] = value,
            _ => other[&field[1..]] = value,
        }
        let answer = rig.ask(&shop, "POST", NATIVE, &text(&other)).await;
        assert_eq!(answer.refusal(), pair(403, "OUT_TRADE_NO_USED"), "{field}");
        assert_eq!(answer.json()["detail"]["field"], field);
        assert_eq!(answer.number(), 268_498_688);
    }
    assert_eq!(rig.orders_of_everyone().await, 1);
}

#[tokio::test]
async fn a_paid_or_closed_number_takes_no_order() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    client.native(&order(&shop, "closed", 100)).await.unwrap();
    client.close("closed").await.unwrap();
    client.close("closed").await.unwrap();
    assert_eq!(client.query_by_out_trade_no("closed").await.unwrap().trade_state, TradeState::Closed);
    assert_eq!(refused(client.native(&order(&shop, "closed", 100)).await), pair(400, "ORDER_CLOSED"));

    client.native(&order(&shop, "paid-1", 100)).await.unwrap();
    let person = rig.person(100).await;
    rig.pay(person, None, &shop, "paid-1").await;
    assert_eq!(refused(client.native(&order(&shop, "paid-1", 100)).await), pair(400, "INVALID_REQUEST"));
    assert_eq!(refused(client.close("paid-1").await), pair(400, "ORDER_PAID"));
    assert_eq!(refused(client.close("nowhere").await), pair(404, "ORDER_NOT_EXIST"));
}

#[tokio::test]
async fn a_refund_that_the_bank_refuses_for_good_is_sent_elsewhere_by_its_merchant() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let (payer, card) = rig.person_with_card().await;
    let client = rig.client(&shop, false);
    let mut stuck = vec![];
    for number in ["order-1", "order-2"] {
        client.native(&order(&shop, number, 500)).await.unwrap();
        rig.bank_pays(&rig.pay(payer, Some(card), &shop, number).await).await;
        let accepted = client.refund(&refund(number, &format!("{number}-r"), 500, 500)).await.unwrap();
        stuck.push(accepted);
    }
    let path = |id: &str| format!("{REFUNDS}/{id}/apply-abnormal-refund");
    let body = |number: &str, kind: &str| json!({ "out_refund_no": number, "type": kind }).to_string();
    let ask = async |id: &str, number: &str, kind: &str| {
        rig.ask(&shop, "POST", &path(id), &body(number, kind)).await
    };

    let early = ask(&stuck[0].refund_id, "order-1-r", "USER_BALANCE").await;
    assert_eq!((early.status, early.code().as_str(), early.number()), (400, "INVALID_REQUEST", 900_000_016));
    for refund in &stuck {
        rig.bank_refuses_refund(&refund.refund_id).await;
    }
    assert_eq!(client.query_refund("order-1-r").await.unwrap().status, RefundStatus::Abnormal);
    let card = ask(&stuck[0].refund_id, "order-1-r", "USER_BANK_CARD").await;
    assert_eq!((card.status, card.number()), (400, 900_000_017));
    assert_eq!(card.json()["detail"]["field"], "/type");
    let unknown = ask(&stuck[1].refund_id, "order-1-r", "USER_BALANCE").await;
    assert_eq!(unknown.json()["detail"]["field"], "/out_refund_no");
    for (id, status) in [("50000000000000000000000000000", 404), ("x", 404)] {
        assert_eq!(ask(id, "order-1-r", "USER_BALANCE").await.status, status);
    }
    let nonsense = ask(&stuck[0].refund_id, "order-1-r", "CASH").await;
    assert_eq!((nonsense.status, nonsense.code().as_str()), (400, "PARAM_ERROR"));

    let ways = [
        (0, "USER_BALANCE", "OTHER_BALANCE", "支付用户零钱"),
        (1, "MERCHANT_BANK_CARD", "OTHER_BANKCARD", "商户结算银行账户"),
    ];
    let merchant = AccountId::merchant(shop.mchid);
    let before = rig.standing(merchant).await;
    for (n, kind, channel, received) in ways {
        let number = format!("order-{}-r", n + 1);
        let done = ask(&stuck[n].refund_id, &number, kind).await;
        assert_eq!(done.status, 200, "{:?}", done.json());
        let done = done.json();
        assert_eq!((&done["status"], &done["channel"]), (&json!("SUCCESS"), &json!(channel)));
        assert_eq!(done["user_received_account"], received);
        assert_eq!(ask(&stuck[n].refund_id, &number, kind).await.json(), done, "asked again, it has gone");
    }
    assert_eq!(rig.standing(AccountId::person(payer)).await, 500);
    assert_eq!(rig.standing(merchant).await, before + 500);
}

#[tokio::test]
async fn a_refund_number_is_one_refund_for_ever() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    let person = rig.person(2_000).await;
    for number in ["order-1", "order-2"] {
        client.native(&order(&shop, number, 1_000)).await.unwrap();
    }
    assert_eq!(
        refused(client.refund(&refund("order-1", "r-1", 1, 1_000)).await),
        pair(400, "INVALID_REQUEST")
    );
    for number in ["order-1", "order-2"] {
        rig.pay(person, None, &shop, number).await;
    }
    let first = client.refund(&refund("order-1", "r-1", 400, 1_000)).await.unwrap();
    assert_eq!(client.refund(&refund("order-1", "r-1", 400, 1_000)).await.unwrap(), first);
    assert_eq!(rig.standing(AccountId::person(person)).await, 400);

    for (other, field) in [
        (refund("order-1", "r-1", 401, 1_000), "/amount/refund"),
        (refund("order-1", "r-1", 400, 1_001), "/amount/total"),
        (refund("order-2", "r-1", 400, 1_000), "/out_trade_no"),
        (refund("order-1", "r-2", 400, 1_001), "/amount/total"),
        (refund("order-1", "r-2", 601, 1_000), "/amount/refund"),
    ] {
        let answer = rig.ask(&shop, "POST", REFUNDS, &text(&other)).await;
        assert_eq!(answer.refusal(), pair(400, "INVALID_REQUEST"), "{field}");
        assert_eq!(answer.json()["detail"]["field"], field);
    }
    assert_eq!(refused(client.query_refund("r-2").await), pair(404, "RESOURCE_NOT_EXISTS"));
    assert_eq!(
        refused(client.refund(&refund("nowhere", "r-3", 1, 1)).await),
        pair(404, "RESOURCE_NOT_EXISTS")
    );
    let both = json!({
        "transaction_id": first.transaction_id, "out_trade_no": "order-2", "out_refund_no": "r-4",
        "amount": { "refund": 600, "total": 1000, "currency": "CNY", "from": [{ "account": "AVAILABLE", "amount": 600 }] }
    });
    let answer = rig.ask(&shop, "POST", REFUNDS, &text(&both)).await;
    assert_eq!(answer.json()["out_trade_no"], "order-1", "transaction_id wins");
    assert_eq!(rig.standing(AccountId::person(person)).await, 1_000);
}

#[tokio::test]
async fn the_same_signed_bytes_twice_have_one_effect() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let body = text(&order(&shop, "order-1", 100));
    let authorization = sign(&shop, "POST", NATIVE, &body, now_s()).header_value();
    let headers = [("Authorization", authorization.as_str())];
    let first = rig.send("POST", NATIVE, &headers, body.as_bytes()).await;
    let second = rig.send("POST", NATIVE, &headers, body.as_bytes()).await;
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    assert_eq!(rig.orders_of_everyone().await, 1);

    let person = rig.person(100).await;
    rig.pay(person, None, &shop, "order-1").await;
    let body = text(&refund("order-1", "r-1", 40, 100));
    let authorization = sign(&shop, "POST", REFUNDS, &body, now_s()).header_value();
    let headers = [("Authorization", authorization.as_str())];
    let (first, second) = tokio::join!(
        rig.send("POST", REFUNDS, &headers, body.as_bytes()),
        rig.send("POST", REFUNDS, &headers, body.as_bytes())
    );
    assert_eq!((first.status, &first.body), (200, &second.body));
    assert_eq!(rig.standing(AccountId::person(person)).await, 40);
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_a_bad_signature_that_says_what_was_seen() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let body = text(&order(&shop, "order-1", 100));
    let good = sign(&shop, "POST", NATIVE, &body, now_s());
    let cheap = body.replace("\"total\":100", "\"total\":101");
    let mut nonce = good.clone();
    nonce.nonce_str.push('x');
    let mut clock = good.clone();
    clock.timestamp += 1;
    let mut signature = good.clone();
    signature.signature = shop.key.sign(b"something else");
    let escaped = NATIVE.replace("native", "nativ%65");
    for (authorization, target, body) in [
        (&good, NATIVE, &cheap),
        (&good, NATIVE, &format!("{body}\n")),
        (&good, &format!("{NATIVE}?x=1"), &body),
        (&nonce, NATIVE, &body),
        (&clock, NATIVE, &body),
        (&signature, NATIVE, &body),
    ] {
        let header = authorization.header_value();
        let answer = rig.send("POST", target, &[("Authorization", &header)], body.as_bytes()).await;
        assert_eq!(answer.refusal(), pair(401, "SIGN_ERROR"));
        assert_eq!(answer.number(), 268_443_699);
        let detail = answer.json()["detail"].clone();
        assert_eq!((&detail["field"], &detail["location"]), (&json!("signature"), &json!("authorization")));
        let seen = &detail["sign_information"];
        assert_eq!((&seen["method"], &seen["url"]), (&json!("POST"), &json!(target)));
        assert_eq!(seen["body_length"], body.len());
        let lines = seen["sign_message_lines_sha256"].as_array().unwrap();
        assert_eq!((lines.len(), &lines[4]), (5, &seen["body_sha256"]));
        let whole = String::from_utf8(answer.body).unwrap();
        assert!(
            !whole.contains(&authorization.signature) && !answer.headers.contains_key("wechatpay-signature")
        );
    }
    let header = good.header_value();
    let elsewhere = rig.send("POST", &escaped, &[("Authorization", &header)], body.as_bytes()).await;
    assert_eq!(elsewhere.status, 404);
    assert_eq!(rig.orders_of_everyone().await, 0);
}

#[tokio::test]
async fn each_wrong_part_of_the_header_is_named() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let target = query(&shop, "order-1");
    let good = sign(&shop, "GET", &target, "", now_s());
    let issue = async |header: &str| {
        let answer = rig.send("GET", &target, &[("Authorization", header)], b"").await;
        assert_eq!(answer.refusal(), pair(401, "SIGN_ERROR"), "{header}");
        let detail = answer.json()["detail"].clone();
        (detail["field"].as_str().unwrap().to_owned(), detail["issue"].as_str().unwrap().to_owned())
    };
    let header = good.header_value();
    assert_eq!(issue(&header.replace("SHA256-RSA2048", "SM2-WITH-SM3")).await.0, "authorization");
    assert_eq!(issue(&header.replace("nonce_str", "nonce")).await, ("nonce_str".into(), "missing".into()));
    assert_eq!(issue("WECHATPAY2-SHA256-RSA2048 x").await.0, "authorization");
    assert_eq!(issue("").await.0, "authorization");
    for mchid in ["1999999999", "1", "abc"] {
        let unknown = header.replace(&shop.mchid.wire(), mchid);
        assert_eq!(issue(&unknown).await, ("mchid".into(), "unknown mchid".into()));
    }
    assert_eq!(issue(&header.replace(&shop.serial, "AB12")).await.1, "unknown serial");
    let platform = rig.certificate().serial.to_lowercase();
    for serial in [platform.as_str(), PUBLIC_KEY_ID] {
        assert_eq!(
            issue(&header.replace(&shop.serial, serial)).await.1,
            "platform serial used as merchant serial"
        );
    }
    // The clock comes before the signature, which is wrong here too.
    for off in [-400, 400] {
        let mut late = good.clone();
        late.timestamp += off;
        let answer = rig.send("GET", &target, &[("Authorization", &late.header_value())], b"").await;
        let detail = answer.json()["detail"].clone();
        assert_eq!(detail["field"], "timestamp");
        let seen = detail["sign_information"]["off_by_seconds"].as_i64().unwrap();
        assert!((seen - off).abs() <= 5, "{seen}");
    }
    let english = rig.send("GET", &target, &[("Accept-Language", "en")], b"").await;
    assert!(english.json()["message"].as_str().unwrap().is_ascii());
}

#[tokio::test]
async fn serials_are_compared_without_case_and_leading_zeros() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let target = query(&shop, "order-1");
    let mut authorization = sign(&shop, "GET", &target, "", now_s());
    authorization.serial_no = format!("00{}", shop.serial.to_lowercase());
    let answer = rig.send("GET", &target, &[("Authorization", &authorization.header_value())], b"").await;
    assert_eq!(answer.refusal(), pair(404, "ORDER_NOT_EXIST"));
}

#[tokio::test]
async fn a_revoked_or_expired_certificate_is_refused_at_once() {
    let rig = Rig::start().await;
    for (how, issue) in [(Spoil::Revoke, "revoked certificate"), (Spoil::Expire, "expired certificate")] {
        let shop = rig.shop().await;
        let target = query(&shop, "order-1");
        assert_eq!(rig.ask(&shop, "GET", &target, "").await.status, 404);
        let spoil = SpoilCertificate { mchid: shop.mchid, serial: shop.serial.clone(), how };
        rig.app.engine.submit(spoil).await.unwrap();
        let answer = rig.ask(&shop, "GET", &target, "").await;
        assert_eq!(answer.refusal(), pair(401, "SIGN_ERROR"));
        assert_eq!(answer.json()["detail"]["issue"], issue);
    }
}

#[tokio::test]
async fn the_four_line_message_is_taken_for_an_empty_body_only() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    rig.client(&shop, false).native(&order(&shop, "order-1", 100)).await.unwrap();
    let target = "/v3/pay/transactions/out-trade-no/order-1/close";
    let body = text(&json!({ "mchid": shop.mchid.wire() }));
    for (body, status) in [("", 400), (body.as_str(), 401)] {
        let mut authorization = sign(&shop, "POST", target, body, now_s());
        let (at_s, nonce) = (authorization.timestamp, &authorization.nonce_str);
        let whole = message::request("POST", target, at_s, nonce, b"");
        authorization.signature = shop.key.sign(&whole[..whole.len() - 1]);
        let header = authorization.header_value();
        let answer = rig.send("POST", target, &[("Authorization", &header)], body.as_bytes()).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn what_belongs_to_another_merchant_is_as_unknown_as_what_never_was() {
    let rig = Rig::start().await;
    let (shop, other) = (rig.shop().await, rig.shop().await);
    let client = rig.client(&shop, false);
    client.native(&order(&shop, "order-1", 100)).await.unwrap();
    let person = rig.person(100).await;
    rig.pay(person, None, &shop, "order-1").await;
    let refunded = client.refund(&refund("order-1", "r-1", 10, 100)).await.unwrap();

    let by_id = |id: &str| format!("/v3/pay/transactions/id/{id}?mchid={}", other.mchid.wire());
    let unused = rig.app.engine.submit(koudai_core::merchant::NextMerchant).await.unwrap();
    assert_ne!(unused, other.mchid);
    for (theirs, nobodys) in [
        (query(&other, "order-1"), query(&other, "order-9")),
        (by_id(&refunded.transaction_id), by_id("4200202611180000000000000000")),
        (format!("{REFUNDS}/r-1"), format!("{REFUNDS}/r-9")),
    ] {
        let (one, two) =
            (rig.ask(&other, "GET", &theirs, "").await, rig.ask(&other, "GET", &nobodys, "").await);
        assert_eq!((one.status, &one.body, one.number()), (404, &two.body, two.number()), "{theirs}");
    }
    let mut theirs = refund("order-1", "r-1", 10, 100);
    let one = rig.ask(&other, "POST", REFUNDS, &text(&theirs)).await;
    theirs.out_trade_no = None;
    theirs.transaction_id = Some(refunded.transaction_id);
    let two = rig.ask(&other, "POST", REFUNDS, &text(&theirs)).await;
    assert_eq!((one.refusal(), one.body), (pair(404, "RESOURCE_NOT_EXISTS"), two.body));

    // Numbers are each merchant's own.
    rig.client(&other, false).native(&order(&other, "order-1", 7)).await.unwrap();

    let mixed = rig.ask(&other, "GET", &query(&shop, "order-1"), "").await;
    assert_eq!(mixed.refusal(), pair(400, "PARAM_ERROR"));
    assert_eq!(mixed.json()["detail"]["location"], "query");
    let mixed = rig.ask(&other, "POST", NATIVE, &text(&order(&shop, "order-2", 1))).await;
    assert_eq!(mixed.refusal(), pair(400, "PARAM_ERROR"));
    assert_eq!(mixed.json()["detail"]["field"], "/mchid");
}

#[tokio::test]
async fn an_unpaid_order_has_no_transaction_id_to_be_found_by() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    client.native(&order(&shop, "order-1", 100)).await.unwrap();
    let id = rig.order(&shop, "order-1").await.id.wire();
    assert_eq!(refused(client.query_by_transaction_id(&id).await), pair(404, "ORDER_NOT_EXIST"));
}

#[tokio::test]
async fn a_body_that_is_not_what_it_should_be_is_refused_by_field() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let good = serde_json::to_value(order(&shop, "order-1", 100)).unwrap();
    let field = async |body: &str| {
        let answer = rig.ask(&shop, "POST", NATIVE, body).await;
        assert_eq!(answer.refusal(), pair(400, "PARAM_ERROR"), "{body}");
        let detail = answer.json()["detail"].clone();
        assert_eq!(detail["location"], "body");
        assert!(!detail["issue"].as_str().unwrap().is_empty());
        detail["field"].as_str().unwrap().to_owned()
    };
    for body in ["", "{", "[]", "null", "1", "\"x\"", "{}x", "{'a':1}"] {
        assert_eq!(field(body).await, "", "{body}");
    }
    let body = text(&good);
    assert_eq!(field(&body.replace("\"total\":100", "\"total\":100,\"total\":1")).await, "/amount/total");
    assert_eq!(field(&body.replacen('{', "{\"mchid\":\"1\",", 1)).await, "/mchid");
    for total in
        ["0", "-1", "1.0", "1e2", "0.5", "\"100\"", "2147483648", "99999999999999999999", "true", "null"]
    {
        let body = body.replace("\"total\":100", &format!("\"total\":{total}"));
        assert_eq!(field(&body).await, "/amount/total", "{total}");
    }
    let long = |count: usize| json!("口".repeat(count));
    for (name, value) in [
        ("appid", Value::Null),
        ("appid", long(33)),
        ("mchid", Value::Null),
        ("description", json!("")),
        ("description", long(128)),
        ("description", json!("a\u{0}b")),
        ("out_trade_no", json!("short")),
        ("out_trade_no", json!("a".repeat(33))),
        ("out_trade_no", json!("with blank")),
        ("out_trade_no", json!(1_234_567)),
        ("time_expire", json!("tomorrow")),
        ("time_expire", json!("2099-01-01T00:00:00")),
        ("attach", long(129)),
        ("notify_url", json!("ftp://merchant.example/")),
        ("notify_url", json!("https://merchant.example/?a=1")),
        ("notify_url", json!("http://merchant.example/")),
        ("notify_url", json!(format!("https://merchant.example/{}", "a".repeat(255)))),
        ("goods_tag", long(33)),
        ("support_fapiao", json!("yes")),
        ("amount", Value::Null),
        ("amount", json!(100)),
        ("detail", json!([])),
        ("settle_info", json!(true)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert_eq!(field(&text(&bad)).await, format!("/{name}"));
    }
    for (pointer, part) in [
        ("/amount/currency", json!({ "amount": { "total": 1, "currency": "USD" } })),
        (
            "/detail/goods_detail/1",
            json!({ "detail": { "goods_detail": [{ "merchant_goods_id": "1", "quantity": 1, "unit_price": 1 }, 1] } }),
        ),
        (
            "/detail/goods_detail/0/quantity",
            json!({ "detail": { "goods_detail": [{ "merchant_goods_id": "1", "quantity": 1.5, "unit_price": 1 }] } }),
        ),
        ("/scene_info/payer_client_ip", json!({ "scene_info": {} })),
        (
            "/scene_info/store_info/id",
            json!({ "scene_info": { "payer_client_ip": "1.2.3.4", "store_info": {} } }),
        ),
        ("/settle_info/profit_sharing", json!({ "settle_info": { "profit_sharing": 1 } })),
    ] {
        let mut bad = good.clone();
        for (name, value) in part.as_object().unwrap() {
            bad[name] = value.clone();
        }
        assert_eq!(field(&text(&bad)).await, pointer);
    }
    let zero = rig.ask(&shop, "POST", NATIVE, &body.replace("\"total\":100", "\"total\":0")).await;
    assert_eq!((zero.number(), &zero.json()["detail"]["value"]), (268_435_464, &json!("0")));
    assert_eq!(rig.orders_of_everyone().await, 0);
}

#[tokio::test]
async fn a_refund_that_is_not_what_it_should_be_is_refused_by_field() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let good = serde_json::to_value(refund("order-1", "r-1", 1, 1)).unwrap();
    for (pointer, changes) in [
        ("/out_trade_no", json!({ "out_trade_no": null })),
        ("/out_refund_no", json!({ "out_refund_no": null })),
        ("/out_refund_no", json!({ "out_refund_no": "a/b" })),
        ("/out_refund_no", json!({ "out_refund_no": "a".repeat(65) })),
        ("/reason", json!({ "reason": "口".repeat(81) })),
        ("/notify_url", json!({ "notify_url": "https://merchant.example/?x=1" })),
        ("/funds_account", json!({ "funds_account": "BASIC" })),
        ("/amount/currency", json!({ "amount": { "refund": 1, "total": 1 } })),
        ("/amount/currency", json!({ "amount": { "refund": 1, "total": 1, "currency": "USD" } })),
        ("/amount/refund", json!({ "amount": { "refund": 0, "total": 1, "currency": "CNY" } })),
        ("/amount/refund", json!({ "amount": { "refund": 0.5, "total": 1, "currency": "CNY" } })),
        ("/amount/total", json!({ "amount": { "refund": 1, "currency": "CNY" } })),
        (
            "/amount/from",
            json!({ "amount": { "refund": 2, "total": 2, "currency": "CNY", "from": [{ "account": "AVAILABLE", "amount": 1 }] } }),
        ),
        (
            "/amount/from/0/account",
            json!({ "amount": { "refund": 1, "total": 1, "currency": "CNY", "from": [{ "account": "X", "amount": 1 }] } }),
        ),
        ("/goods_detail/0/merchant_goods_id", json!({ "goods_detail": [{}] })),
        ("/goods_detail", json!({ "goods_detail": {} })),
    ] {
        let mut bad = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            bad[name] = value.clone();
        }
        let answer = rig.ask(&shop, "POST", REFUNDS, &text(&bad)).await;
        assert_eq!(answer.refusal(), pair(400, "PARAM_ERROR"), "{pointer}");
        assert_eq!(answer.json()["detail"]["field"], pointer);
    }
}

#[tokio::test]
async fn a_production_server_takes_public_https_addresses_only() {
    let rig = Rig::start_with(Reach::Public).await;
    let shop = rig.shop().await;
    let mut local = order(&shop, "order-1", 100);
    let answer = rig.ask(&shop, "POST", NATIVE, &text(&local)).await;
    assert_eq!(answer.json()["detail"]["field"], "/notify_url");
    local.notify_url = "https://merchant.example/notify".into();
    assert_eq!(rig.ask(&shop, "POST", NATIVE, &text(&local)).await.status, 200);
}

#[tokio::test]
async fn queries_name_their_merchant_once() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let path = "/v3/pay/transactions/out-trade-no/order-1";
    let mchid = shop.mchid.wire();
    for target in [path.to_owned(), format!("{path}?mchid={mchid}&mchid={mchid}"), format!("{path}?x=%")] {
        let answer = rig.ask(&shop, "GET", &target, "").await;
        assert_eq!(answer.refusal(), pair(400, "PARAM_ERROR"), "{target}");
    }
    let bad = rig.ask(&shop, "GET", &query(&shop, "a"), "").await;
    assert_eq!((bad.status, &bad.json()["detail"]["location"]), (400, &json!("url")));
    let not_text = rig.ask(&shop, "GET", &query(&shop, "%FF%FF%FF%FF%FF%FF"), "").await;
    assert_eq!(not_text.refusal(), pair(400, "PARAM_ERROR"));
}

#[tokio::test]
async fn numbers_in_paths_are_decoded_for_the_look_up_and_raw_for_the_signature() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let number = "a|b*c-d_e";
    assert_eq!(rig.ask(&shop, "POST", NATIVE, &text(&order(&shop, number, 1))).await.status, 200);
    for spelling in ["a|b*c-d_e", "a%7Cb*c-d_e", "a%7cb%2Ac%2Dd_e"] {
        let answer = rig.ask(&shop, "GET", &query(&shop, spelling), "").await;
        assert_eq!((answer.status, &answer.json()["out_trade_no"]), (200, &json!(number)), "{spelling}");
    }
}

#[tokio::test]
async fn every_success_is_signed_a_204_too_and_every_reply_has_its_id() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let placed = rig.ask(&shop, "POST", NATIVE, &text(&order(&shop, "order-1", 100))).await;
    assert_eq!(placed.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(placed.headers["wechatpay-signature-type"], "WECHATPAY2-SHA256-RSA2048");
    assert_eq!(placed.headers["wechatpay-serial"], rig.certificate().serial);
    assert_eq!(placed.number(), 0);
    assert!(!placed.headers.contains_key("content-encoding"));

    let target = "/v3/pay/transactions/out-trade-no/order-1/close";
    let closed = rig.ask(&shop, "POST", target, &text(&json!({ "mchid": shop.mchid.wire() }))).await;
    assert_eq!((closed.status, closed.body.len(), closed.number()), (204, 0, 0));

    let unknown = rig.ask(&shop, "GET", &query(&shop, "order-9"), "").await;
    assert_eq!(unknown.number(), 268_512_771);
    for (method, target, status) in
        [("GET", "/v3/nowhere", 404), ("GET", "/v3", 404), ("DELETE", NATIVE, 405)]
    {
        let answer = rig.send(method, target, &[], b"").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
        assert!(!answer.code().is_empty() && answer.number() > 0);
    }
    let large = "x".repeat(64 * 1024 + 1);
    let answer = rig.ask(&shop, "POST", NATIVE, &large).await;
    assert_eq!(answer.refusal(), pair(413, "INVALID_REQUEST"));
}

#[tokio::test]
async fn either_platform_key_signs_as_the_request_or_the_merchant_says() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let certificate = rig.certificate().serial;
    let signer = async |named: &str| {
        let headers = [("Wechatpay-Serial", named)];
        let target = "/v3/certificates";
        rig.ask_with(&shop, "GET", target, "", &headers).await.headers["wechatpay-serial"].clone()
    };
    let lower = certificate.to_lowercase();
    for default in [false, true] {
        let set = SetMerchant { public_key_mode: Some(default), ..rig::set(shop.mchid) };
        rig.app.engine.submit(set).await.unwrap();
        assert_eq!(signer(PUBLIC_KEY_ID).await, PUBLIC_KEY_ID);
        assert_eq!(signer(&lower).await, certificate);
        let by_default = if default { PUBLIC_KEY_ID } else { &certificate };
        assert_eq!(signer("ABCDEF").await, by_default, "an unknown name falls back to the default");
        assert_eq!(signer("").await, by_default);
    }

    let client = rig.client(&shop, true);
    client.native(&order(&shop, "order-1", 100)).await.unwrap();
    client.close("order-1").await.unwrap();
    assert_eq!(client.query_by_out_trade_no("order-1").await.unwrap().trade_state, TradeState::Closed);
}

#[tokio::test]
async fn the_platform_certificate_opens_with_the_merchants_key_only() {
    let rig = Rig::start().await;
    let (shop, other) = (rig.shop().await, rig.shop().await);
    let certificate = rig.certificate();
    assert_eq!(rig.client(&shop, false).certificates().await.unwrap(), vec![certificate.clone()]);

    let list = rig.ask(&shop, "GET", "/v3/certificates?algorithm_type=RSA", "").await.json();
    let entry = &list["data"][0];
    assert_eq!(entry["serial_no"], certificate.serial);
    let sealed = &entry["encrypt_certificate"];
    let part = |name: &str| sealed[name].as_str().unwrap();
    assert_eq!((part("associated_data"), part("nonce").len()), ("certificate", 12));
    let open = |shop: &Shop| {
        aead::open(&shop.api_v3_key, part("nonce"), part("associated_data"), part("ciphertext"))
    };
    let pem = String::from_utf8(open(&shop).unwrap()).unwrap();
    assert_eq!(Certificate::from_pem(&pem).unwrap(), certificate);
    assert!(open(&other).is_err());

    let other_kind = rig.ask(&shop, "GET", "/v3/certificates?algorithm_type=SM2", "").await;
    assert_eq!(other_kind.refusal(), pair(400, "PARAM_ERROR"));
}

#[tokio::test]
async fn what_a_merchant_may_not_do_is_refused_before_its_body_is_read() {
    let rig = Rig::start().await;
    let unable = rig.shop_with(vec![Product::H5]).await;
    assert_eq!(rig.ask(&unable, "POST", NATIVE, "{").await.refusal(), pair(403, "NO_AUTH"));

    let shop = rig.shop().await;
    let mut foreign = order(&shop, "order-1", 1);
    foreign.appid = unable.appid.clone();
    let answer = rig.ask(&shop, "POST", NATIVE, &text(&foreign)).await;
    assert_eq!(answer.refusal(), pair(400, "APPID_MCHID_NOT_MATCH"));

    let set = SetMerchant { suspended: Some(true), ..rig::set(shop.mchid) };
    rig.app.engine.submit(set).await.unwrap();
    let answer = rig.ask(&shop, "POST", NATIVE, &text(&order(&shop, "order-1", 1))).await;
    assert_eq!(answer.refusal(), pair(403, "NO_AUTH"));
}
