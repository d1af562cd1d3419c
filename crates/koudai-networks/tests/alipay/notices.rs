//! What Alipay tells by itself: it is believed as far as it says which number to ask about.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use koudai_core::time::{HOUR, MINUTE};
use koudai_networks::network::{HeaderMap, Network, NoticeIn};
use tokio::sync::Notify;

use crate::rig::{Fixture, Mode, back, client, moving, now, succeeded};

const PATIENCE: Duration = Duration::from_secs(10);

/// Hears notices, and says `success` only from the so-manieth on.
#[derive(Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    deaf_for: Arc<AtomicUsize>,
    news: Arc<Notify>,
}

async fn hear(State(ear): State<Ear>, body: Bytes) -> &'static str {
    let mut heard = ear.heard.lock().unwrap();
    heard.push(body.to_vec());
    ear.news.notify_waiters();
    if heard.len() > ear.deaf_for.load(Ordering::Relaxed) { "success" } else { "fail" }
}

impl Ear {
    async fn listen() -> (String, Self) {
        let ear = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/networks/1003/notice", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(hear).with_state(ear.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, ear)
    }

    /// The notices, once there are `count`.
    async fn until(&self, count: usize) -> Vec<Vec<u8>> {
        let there = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if self.heard.lock().unwrap().len() >= count {
                    return self.heard.lock().unwrap().clone();
                }
                news.await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("it is told")
    }
}

async fn heard_as(network: &dyn Network, body: &[u8]) -> Option<String> {
    network.read_notice(NoticeIn { headers: &HeaderMap::new(), body }).await
}

#[tokio::test]
async fn each_payment_refund_and_closing_is_told_of_in_both_modes() {
    for mode in [Mode::Keys, Mode::Certificates] {
        let (url, ear) = Ear::listen().await;
        let mut f = Fixture::by(mode, &url, now).await;
        let paid = f.number();
        let id = f.paid(&paid, 900).await;
        assert_eq!(heard_as(&f.client, &ear.until(1).await[0]).await, Some(paid.clone()));
        // A refund is told under its own number.
        let refund = f.number();
        succeeded(&f.client.refund(back(&refund, &paid, &id, [900, 900])).await);
        assert_eq!(heard_as(&f.client, &ear.until(2).await[1]).await, Some(refund));
        let closed = f.number();
        f.client.debit(moving(&closed, 100)).await;
        f.person(&closed, 1, "refuse").await;
        assert_eq!(heard_as(&f.client, &ear.until(3).await[2]).await, Some(closed));
        assert_eq!(f.client.notice_reply(), "success");
    }
}

#[tokio::test]
async fn a_notice_that_is_forged_in_any_part_is_not_believed() {
    let (url, ear) = Ear::listen().await;
    let mut f = Fixture::by(Mode::Certificates, &url, now).await;
    let paid = f.number();
    f.paid(&paid, 900).await;
    let notice = ear.until(1).await.remove(0);
    let text = String::from_utf8(notice.clone()).unwrap();
    assert_eq!(heard_as(&f.client, &notice).await, Some(paid.clone()));
    // Signed by another Alipay, or in the other mode.
    let other = Fixture::by(Mode::Certificates, &url, now).await;
    assert_eq!(heard_as(&other.client, &notice).await, None);
    assert_eq!(heard_as(&f.client_at(Mode::Keys, now), &notice).await, None);
    let without = |name: &str| {
        let fields = text.split('&').filter(|field| !field.starts_with(&format!("{name}=")));
        fields.collect::<Vec<_>>().join("&")
    };
    for forged in [
        text.replace("trade_status=TRADE_SUCCESS", "trade_status=TRADE_CLOSED"),
        text.replace("total_amount=9.00", "total_amount=9.01"),
        text.replace("seller_id=2088100000000001", "seller_id=2088100000000002"),
        text.replace("app_id=2021000000000001", "app_id=2021000000000002"),
        text.replace(&paid, &f.number()),
        text.replace("sign_type=RSA2", "sign_type=RSA"),
        without("sign_type"),
        without("sign"),
        without("total_amount"),
        without("notify_time"),
        without("seller_id"),
        format!("{text}&out_trade_no={paid}"),
        format!("{text}&extra=1"),
        String::new(),
    ] {
        assert_ne!(forged, text);
        assert_eq!(heard_as(&f.client, forged.as_bytes()).await, None, "{forged}");
    }
    assert_eq!(heard_as(&f.client, &[0xFF, 0xFE]).await, None);
}

/// Notices that Alipay did sign, about something that is not ours: each check by itself.
#[tokio::test]
async fn a_notice_that_is_signed_well_and_not_for_us_is_not_believed() {
    use koudai_networks::alipay::sandbox::{APP_ID, SELLER};
    use koudai_networks::alipay::{Alipay, Identity, Trust};
    use koudai_wechatpay::keys::PrivateKey;

    let key = PrivateKey::generate();
    let who =
        || (Identity::of_key(PrivateKey::generate()), Trust::of_keys(&key.public_key().to_pem()).unwrap());
    let client = Alipay::new(crate::rig::settings("http://127.0.0.1:1", "", who(), now)).unwrap();
    let number = koudai_core::id::AttemptId(now() << 21).wire();
    let moment = |ms: i64| koudai_core::time::Timestamp(ms).rfc3339()[..19].replace('T', " ");
    let base = [
        ("app_id", APP_ID.to_owned()),
        ("notify_time", moment(now())),
        ("out_trade_no", number.clone()),
        ("seller_id", SELLER.to_owned()),
        ("total_amount", "1.00".to_owned()),
        ("trade_status", "TRADE_SUCCESS".to_owned()),
    ];
    let signed = |changed: &str, value: Option<&str>| {
        let mut fields: Vec<(&str, String)> = base.to_vec();
        fields.retain(|(name, _)| *name != changed || value.is_some());
        for (name, old) in &mut fields {
            if *name == changed {
                value.unwrap().clone_into(old);
            }
        }
        let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        fields.push(("sign", key.sign(text.join("&").as_bytes())));
        fields.push(("sign_type", "RSA2".to_owned()));
        let mut url: reqwest::Url = "http://localhost/".parse().unwrap();
        url.query_pairs_mut().extend_pairs(fields);
        url.query().unwrap().to_owned()
    };
    assert_eq!(heard_as(&client, signed("", Some("")).as_bytes()).await, Some(number.clone()));
    for minute in [-29 * 60, 9] {
        let at = moment(now() + minute * MINUTE);
        assert!(heard_as(&client, signed("notify_time", Some(&at)).as_bytes()).await.is_some(), "{at}");
    }
    for (name, value) in [
        ("app_id", Some("2021000000000002")),
        ("app_id", None),
        ("seller_id", Some("2088100000000002")),
        ("seller_id", None),
        ("out_trade_no", Some("T-1")),
        ("out_trade_no", Some("7100202611250000000000000010")),
        ("out_trade_no", None),
        ("total_amount", Some("0.00")),
        ("total_amount", Some("-1.00")),
        ("total_amount", Some("1.001")),
        ("total_amount", None),
        ("trade_status", None),
        ("notify_time", Some("yesterday")),
        ("notify_time", None),
        ("notify_time", Some(&moment(now() - 31 * HOUR))),
        ("notify_time", Some(&moment(now() + 11 * MINUTE))),
    ] {
        assert_eq!(heard_as(&client, signed(name, value).as_bytes()).await, None, "{name} {value:?}");
    }
    // What was ordered is known here, and this is another amount.
    client
        .debit(koudai_networks::network::Move { scene: Some(crate::rig::PHONE), ..moving(&number, 101) })
        .await;
    assert_eq!(heard_as(&client, signed("", Some("")).as_bytes()).await, None);
}

/// What is added to the clock below.
static LATER_MS: AtomicI64 = AtomicI64::new(0);

fn later() -> i64 {
    now() + LATER_MS.load(Ordering::Relaxed)
}

#[tokio::test]
async fn one_that_is_not_answered_is_told_again_in_the_published_times_and_no_more_once_it_is() {
    let (url, ear) = Ear::listen().await;
    ear.deaf_for.store(7, Ordering::Relaxed);
    let mut f = Fixture::by(Mode::Keys, &url, later).await;
    let paid = f.number();
    f.paid(&paid, 900).await;
    ear.until(1).await;
    let gaps = [4 * MINUTE, 10 * MINUTE, 10 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 15 * HOUR];
    for (told, gap) in (2..).zip(gaps) {
        LATER_MS.fetch_add(gap - MINUTE, Ordering::Relaxed);
        // It looks ten times a second; a minute before its time nothing comes at any of these looks.
        let early = tokio::time::timeout(Duration::from_millis(250), ear.until(told)).await;
        assert!(early.is_err(), "{told}: too early");
        LATER_MS.fetch_add(MINUTE, Ordering::Relaxed);
        let heard = ear.until(told).await;
        // Each is signed at its own time, and believed.
        let fresh = client(&f.sandbox, &f.url, Mode::Keys, &url, later);
        assert_eq!(heard_as(&fresh, &heard[told - 1]).await, Some(paid.clone()));
    }
    LATER_MS.fetch_add(100 * HOUR, Ordering::Relaxed);
    let more = tokio::time::timeout(Duration::from_millis(250), ear.until(9)).await;
    assert!(more.is_err(), "it was answered");
}
