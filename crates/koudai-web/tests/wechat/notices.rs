//! Notices: the real ones are read, and forged ones are refused one by one.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use koudai_networks::courier;
use koudai_networks::network::{Moved, Network as _, NoticeIn, Scene};
use koudai_networks::platform::SigningMode;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::headers::{NONCE, PROBE_PREFIX, SERIAL, SIGNATURE, SIGNATURE_TYPE, TIMESTAMP};
use koudai_wechatpay::keys::PrivateKey;
use koudai_wechatpay::types::{ENCRYPTED_RESOURCE, Notification, Resource};
use serde_json::{Value, json};

use crate::ground::{Ground, back, succeeded};
use crate::rig::{now_s, until};

async fn read(g: &Ground, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    g.wechat.read_notice(NoticeIn { headers, body }).await
}

/// Waits for the notice of this event that the platform itself sends.
async fn told(g: &Ground, event: &str) -> (HeaderMap, Bytes) {
    let is_it = |(_, body): &&(HeaderMap, Bytes)| {
        serde_json::from_slice::<Value>(body).is_ok_and(|envelope| envelope["event_type"] == event)
    };
    until(async || g.heard.lock().unwrap().iter().find(is_it).cloned()).await
}

#[tokio::test]
async fn payments_refunds_and_transfers_are_told_of_and_read() {
    let g = Ground::new().await;
    let _courier = courier::start(
        g.rig.app.engine.clone(),
        g.rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    let (debit, refund, payout) = (g.number(), g.number(), g.number());
    let id = g.paid(&debit, 10_000).await;
    succeeded(&g.wechat.refund(back(&refund, &debit, &id, [10_000, 100])).await);
    g.wechat.pay_out(g.moving(&payout, 200, None)).await;
    assert_eq!(g.receive(&payout).await, 200);
    for (event, number) in
        [("TRANSACTION.SUCCESS", &debit), ("REFUND.SUCCESS", &refund), ("MCHTRANSFER.BILL.FINISHED", &payout)]
    {
        let (headers, body) = told(&g, event).await;
        assert_eq!(read(&g, &headers, &body).await.as_ref(), Some(number), "{event}");
        // Another merchant of the platform's gets signatures that are just as good.
        let other = g.rig.shop().await;
        let settings = koudai_networks::wechat::Settings {
            mchid: other.mchid.wire(),
            appid: other.appid,
            ..g.settings()
        };
        let other = koudai_networks::wechat::WeChat::new(settings).unwrap();
        assert_eq!(other.read_notice(NoticeIn { headers: &headers, body: &body }).await, None, "{event}");
    }
    let reply: Value = serde_json::from_str(g.wechat.notice_reply()).unwrap();
    assert_eq!(reply["code"], "SUCCESS");
}

/// What a notice is made of; each part can be made wrong.
struct Forged {
    event: &'static str,
    kind: &'static str,
    content: Value,
    key: Option<ApiV3Key>,
    at_s: i64,
    signer: Option<PrivateKey>,
}

impl Forged {
    fn paid(g: &Ground, number: &str) -> Self {
        let content = json!({
            "mchid": g.shop.mchid.wire(), "appid": g.shop.appid, "out_trade_no": number,
            "transaction_id": "4200202611250000000000000009", "trade_type": "NATIVE", "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功", "payer": { "openid": g.openid }, "attach": "8800",
            "amount": { "total": 8_800, "payer_total": 8_800, "currency": "CNY" },
        });
        Self {
            event: "TRANSACTION.SUCCESS",
            kind: "transaction",
            content,
            key: None,
            at_s: now_s(),
            signer: None,
        }
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        *self.content.pointer_mut(pointer).expect("the field is there") = value;
        self
    }

    /// Sealed and signed as the platform does, but for what is wrong with it.
    fn make(&self, g: &Ground) -> (HeaderMap, Vec<u8>) {
        let key = self.key.as_ref().unwrap_or(&g.shop.api_v3_key);
        let envelope = Notification {
            id: "EV-1".to_owned(),
            create_time: "2026-11-25T12:00:00+08:00".to_owned(),
            event_type: self.event.to_owned(),
            resource_type: ENCRYPTED_RESOURCE.to_owned(),
            summary: "支付成功".to_owned(),
            resource: Resource::seal(key, Some(self.kind), self.kind, self.content.to_string().as_bytes()),
        };
        let body = serde_json::to_vec(&envelope).unwrap();
        let now = g.rig.app.engine.clock().now();
        let platform = g.rig.app.networks.platform.signer(SigningMode::PublicKey, now);
        let key = self.signer.as_ref().unwrap_or(&platform.key);
        let nonce = koudai_wechatpay::nonce();
        let signed = koudai_wechatpay::headers::sign_body(key, &platform.name, self.at_s, &nonce, &body);
        let mut headers = HeaderMap::new();
        for (name, value) in signed.pairs() {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        (headers, body)
    }

    async fn read(&self, g: &Ground) -> Option<String> {
        let (headers, body) = self.make(g);
        read(g, &headers, &body).await
    }
}

#[tokio::test]
async fn a_notice_is_believed_only_if_every_part_of_it_is_in_order() {
    let g = Ground::new().await;
    let number = g.number();
    let good = || Forged::paid(&g, &number);
    assert_eq!(good().read(&g).await.as_ref(), Some(&number));
    for (what, forged) in [
        ("mchid", good().with("/mchid", json!("1900000999"))),
        ("appid", good().with("/appid", json!("wx0000000000000000"))),
        ("out_trade_no", good().with("/out_trade_no", json!("order-1"))),
        (
            "the number of another kind of thing",
            good().with("/out_trade_no", json!("4200202611250000000000000009")),
        ),
        ("an amount of nothing", good().with("/amount/total", json!(0))),
        ("an amount below zero", good().with("/amount/total", json!(-1))),
        ("an amount beyond all", good().with("/amount/total", json!(i64::MAX))),
        ("a fraction", good().with("/amount/total", json!(8_800.5))),
        ("a text", good().with("/amount/total", json!("8800"))),
        ("no amount", good().with("/amount", Value::Null)),
        ("currency", good().with("/amount/currency", json!("USD"))),
        ("trade_state", good().with("/trade_state", json!("NOTPAY"))),
        ("transaction_id", good().with("/transaction_id", Value::Null)),
        ("another event", Forged { event: "REFUND.SUCCESS", ..good() }),
        ("an event nobody knows", Forged { event: "COUPON.USE", ..good() }),
        ("another key it is sealed by", Forged { key: Some(ApiV3Key::generate()), ..good() }),
        ("another key it is signed by", Forged { signer: Some(PrivateKey::generate()), ..good() }),
        ("signed five minutes ago", Forged { at_s: now_s() - 302, ..good() }),
        ("signed in five minutes", Forged { at_s: now_s() + 302, ..good() }),
    ] {
        assert_eq!(forged.read(&g).await, None, "{what}");
    }
    // A wrong amount that could be one is no reason not to ask, and what is asked about counts.
    let other = good().with("/amount/total", json!(1));
    assert_eq!(other.read(&g).await.as_ref(), Some(&number));
    assert_eq!(g.wechat.query_debit(&number).await, Moved::NotThere);
    g.debit(&number, 8_800, Scene::Computer).await;
    assert_eq!(g.wechat.query_debit(&number).await, Moved::UnderWay, "told of as paid, and not paid");
}

#[tokio::test]
async fn a_refund_or_a_transfer_of_anybody_elses_is_refused() {
    let g = Ground::new().await;
    let (debit, refund, payout) = (g.number(), g.number(), g.number());
    let refunded = || {
        let content = json!({
            "mchid": g.shop.mchid.wire(), "out_trade_no": debit, "transaction_id": "42", "out_refund_no": refund,
            "refund_id": "50", "refund_status": "SUCCESS", "user_received_account": "支付用户零钱",
            "amount": { "total": 8_800, "refund": 100, "payer_total": 8_800, "payer_refund": 100 },
        });
        Forged { event: "REFUND.SUCCESS", kind: "refund", content, ..Forged::paid(&g, &debit) }
    };
    let sent = || {
        let content = json!({
            "mch_id": g.shop.mchid.wire(), "out_bill_no": payout, "transfer_bill_no": "1330", "state": "SUCCESS",
            "transfer_amount": 300, "openid": g.openid, "create_time": "2026-11-25T12:00:00.000+08:00",
            "update_time": "2026-11-25T12:00:00.000+08:00",
        });
        Forged {
            event: "MCHTRANSFER.BILL.FINISHED",
            kind: "mch_payment",
            content,
            ..Forged::paid(&g, &debit)
        }
    };
    assert_eq!(refunded().read(&g).await.as_ref(), Some(&refund));
    assert_eq!(sent().read(&g).await.as_ref(), Some(&payout));
    for forged in [
        refunded().with("/mchid", json!("1900000999")),
        refunded().with("/out_refund_no", json!("back-1")),
        refunded().with("/out_trade_no", json!("order-1")),
        refunded().with("/amount/refund", json!(0)),
        refunded().with("/amount/refund", json!(8_801)),
        refunded().with("/refund_status", json!("CLOSED")),
        sent().with("/mch_id", json!("1900000999")),
        sent().with("/out_bill_no", json!("bill1")),
        sent().with("/transfer_amount", json!(0)),
        sent().with("/state", json!("PROCESSING")),
    ] {
        assert_eq!(forged.read(&g).await, None, "{}", forged.content);
    }
}

#[tokio::test]
async fn changing_anything_that_is_signed_or_signs_is_noticed() {
    let g = Ground::new().await;
    let number = g.number();
    let (headers, body) = Forged::paid(&g, &number).make(&g);
    assert_eq!(read(&g, &headers, &body).await.as_ref(), Some(&number));
    for name in [TIMESTAMP, NONCE, SERIAL, SIGNATURE, SIGNATURE_TYPE] {
        let value = headers[name].to_str().unwrap();
        // Every byte of what is short, and some of what is long.
        for at in (0..value.len()).step_by(value.len() / 40 + 1) {
            let mut bytes = value.as_bytes().to_vec();
            bytes[at] ^= 1;
            let mut changed = headers.clone();
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
            changed.insert(name, value);
            assert_eq!(read(&g, &changed, &body).await, None, "{name} {at}");
        }
        let mut twice = headers.clone();
        twice.append(name, headers[name].clone());
        assert_eq!(read(&g, &twice, &body).await, None, "{name} twice");
        let mut without = headers.clone();
        without.remove(name);
        let read = read(&g, &without, &body).await;
        assert_eq!(read.is_some(), name == SIGNATURE_TYPE, "{name} is not there");
    }
    for at in 0..body.len() {
        let mut changed = body.clone();
        changed[at] ^= 1;
        assert_eq!(read(&g, &headers, &changed).await, None, "byte {at}");
    }
    for other in [&b""[..], b"{}", b"<xml><out_trade_no>1</out_trade_no></xml>", &body[1..]] {
        assert_eq!(read(&g, &headers, other).await, None);
    }
    let mut probe = headers.clone();
    let signature = format!("{PROBE_PREFIX}{}", &headers[SIGNATURE].to_str().unwrap()[PROBE_PREFIX.len()..]);
    probe.insert(SIGNATURE, HeaderValue::from_str(&signature).unwrap());
    assert_eq!(read(&g, &probe, &body).await, None, "a probe");
}
