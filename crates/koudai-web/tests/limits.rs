//! How often merchants may ask, and what an attacker's failures cost whom.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use rig::{Answer, Rig, Shop, now_s, sign};

const CERTIFICATES: &str = "/v3/certificates";
/// What the limiter lets pass at once.
const CERTIFICATES_AT_ONCE: usize = 10;
const FAILURES_AT_ONCE: usize = 60;

/// A request in a merchant's name that it did not sign.
async fn forged(rig: &Rig, shop: &Shop, headers: &[(&str, &str)]) -> Answer {
    let mut authorization = sign(shop, "GET", CERTIFICATES, "", now_s());
    authorization.nonce_str.push('x');
    let value = authorization.header_value();
    let all = [&[("Authorization", value.as_str())], headers].concat();
    rig.send("GET", CERTIFICATES, &all, b"").await
}

#[tokio::test]
async fn a_merchant_that_asks_too_often_is_told_when_to_come_back_and_others_are_not_held_up() {
    let (rig, clock) = Rig::by_hand().await;
    let (shop, other) = (rig.shop().await, rig.shop().await);
    for _ in 0..CERTIFICATES_AT_ONCE {
        assert_eq!(rig.ask(&shop, "GET", CERTIFICATES, "").await.status, 200);
    }
    let refused = rig.ask(&shop, "GET", CERTIFICATES, "").await;
    assert_eq!(refused.refusal(), (429, "FREQUENCY_LIMITED".to_owned()));
    assert_eq!((refused.number(), refused.headers["retry-after"].as_str()), (900_000_070, "1"));
    let query = format!("/v3/pay/transactions/out-trade-no/order-1?mchid={}", shop.mchid.wire());
    assert_eq!(rig.ask(&shop, "GET", &query, "").await.status, 404, "another class of call goes on");
    assert_eq!(rig.ask(&other, "GET", CERTIFICATES, "").await.status, 200);
    clock.advance(1_000);
    assert_eq!(rig.ask(&shop, "GET", CERTIFICATES, "").await.status, 200);
}

#[tokio::test]
async fn whoever_forges_a_merchants_requests_uses_up_nothing_of_the_merchants() {
    let (rig, clock) = Rig::by_hand().await;
    let shop = rig.shop().await;
    for _ in 0..FAILURES_AT_ONCE {
        assert_eq!(forged(&rig, &shop, &[]).await.status, 401);
    }
    let brief = forged(&rig, &shop, &[]).await;
    assert_eq!((brief.refusal(), brief.number()), ((429, "FREQUENCY_LIMITED".to_owned()), 900_000_071));
    assert!(brief.json().get("detail").is_none() && brief.headers.contains_key("retry-after"));
    // Whatever fails now, the answer is the same: nothing can be tried out in bulk.
    let nobody = rig.send("GET", CERTIFICATES, &[], b"").await;
    assert_eq!(nobody.body, brief.body);
    // The merchant itself, from the same address even, has all of its own.
    for _ in 0..CERTIFICATES_AT_ONCE {
        assert_eq!(rig.ask(&shop, "GET", CERTIFICATES, "").await.status, 200);
    }
    clock.advance(1_000);
    assert_eq!(forged(&rig, &shop, &[]).await.status, 401, "it passes");
}

#[tokio::test]
async fn behind_a_proxy_each_client_answers_for_its_own_failures() {
    let (rig, _clock) = Rig::by_hand().await;
    let shop = rig.shop().await;
    let from = |address: &'static str| [("X-Forwarded-For", address)];
    for _ in 0..FAILURES_AT_ONCE {
        forged(&rig, &shop, &from("10.9.9.9, 203.0.113.1")).await;
    }
    assert_eq!(forged(&rig, &shop, &from("203.0.113.1")).await.status, 429);
    assert_eq!(forged(&rig, &shop, &from("203.0.113.1, 203.0.113.2")).await.status, 401);
    assert_eq!(forged(&rig, &shop, &[]).await.status, 401);
}

#[tokio::test]
async fn each_route_reads_no_more_than_it_needs() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let padded = |bytes: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(bytes));
    let close = "/v3/pay/transactions/out-trade-no/order-1/close";
    for (method, target, bytes, status) in [
        ("POST", "/v3/pay/transactions/native", 60 * 1024, 400),
        ("POST", "/v3/pay/transactions/native", 64 * 1024, 413),
        ("POST", "/v3/refund/domestic/refunds", 64 * 1024, 413),
        ("POST", close, 2 * 1024, 400),
        ("POST", close, 4 * 1024, 413),
        ("GET", CERTIFICATES, 4 * 1024, 413),
    ] {
        let answer = rig.ask(&shop, method, target, &padded(bytes)).await;
        assert_eq!(answer.status, status, "{method} {target} {bytes}");
    }
}
