//! Keys that change by themselves, on either side, while payments go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use koudai_core::merchant::{AddCertificate, NewCertificate, RevokeCertificate};
use koudai_core::time::Timestamp;
use koudai_networks::faults::{Fault, Rule};
use koudai_networks::network::{Moved, Network as _, NoticeIn};
use koudai_networks::platform::{PlatformKey, SigningMode};
use koudai_networks::wechat::{Identity, Settings, WeChat};
use koudai_wechatpay::keys::PrivateKey;
use koudai_wechatpay::types::{ENCRYPTED_RESOURCE, Notification, Resource};
use serde_json::json;

use crate::ground::Ground;
use crate::rig::{PUBLIC_KEY_ID, certify, now_s};

const NEXT_ID: &str = "PUB_KEY_ID_0119000000012026112500000000000002";
/// Payments on either side of a change.
const PAYMENTS: usize = 40;

/// Places and asks about orders, eight at a time, and has `change` done once half of them are through. Every one has to go well.
async fn through(g: &Arc<Ground>, wechat: WeChat, change: impl AsyncFnOnce()) {
    let (wechat, placed) = (Arc::new(wechat), Arc::new(AtomicUsize::new(0)));
    let mut lanes = tokio::task::JoinSet::new();
    let half = Arc::new(tokio::sync::Notify::new());
    for _ in 0..8 {
        let (g, wechat, placed, half) =
            (Arc::clone(g), Arc::clone(&wechat), Arc::clone(&placed), Arc::clone(&half));
        lanes.spawn(async move {
            loop {
                let no = placed.fetch_add(1, Ordering::Relaxed);
                if no == PAYMENTS {
                    half.notify_one();
                }
                if no >= 2 * PAYMENTS {
                    return;
                }
                let number = g.number();
                assert_eq!(wechat.debit(g.moving(&number, 100, None)).await, Moved::UnderWay);
                assert_eq!(wechat.query_debit(&number).await, Moved::UnderWay);
            }
        });
    }
    half.notified().await;
    change().await;
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    let number = g.number();
    assert_eq!(wechat.debit(g.moving(&number, 100, None)).await, Moved::UnderWay, "and afterwards");
}

#[tokio::test]
async fn a_platform_certificate_that_changes_under_load_fails_no_payment() {
    let g = Arc::new(Ground::new().await);
    let wechat = WeChat::new(g.settings_with(vec![])).unwrap();
    let old = g.rig.certificate().serial;
    through(&g, wechat, async || {
        g.rig.rotate(0);
    })
    .await;
    assert_ne!(g.rig.certificate().serial, old);
}

#[tokio::test]
async fn a_platform_certificate_that_is_retired_under_load_fails_no_payment() {
    let g = Arc::new(Ground::new().await);
    let wechat = WeChat::new(g.settings_with(vec![])).unwrap();
    let old = g.rig.certificate().serial;
    through(&g, wechat, async || {
        g.rig.rotate(0);
        retire(&g, &old);
    })
    .await;
}

#[tokio::test]
async fn a_platform_public_key_that_is_retired_under_load_fails_no_payment() {
    let g = Arc::new(Ground::new().await);
    let key = PrivateKey::generate();
    let known = g.rig.platform_keys().get(PUBLIC_KEY_ID).unwrap().clone();
    let both = vec![(PUBLIC_KEY_ID.to_owned(), known), (NEXT_ID.to_owned(), key.public_key())];
    let settings = g.settings_with(both);
    let shop = g.shop.clone();
    let mode =
        koudai_core::merchant::SetMerchant { public_key_mode: Some(true), ..crate::rig::set(shop.mchid) };
    g.rig.app.engine.submit(mode).await.unwrap();
    let wechat = WeChat::new(settings).unwrap();
    through(&g, wechat, async || {
        add_public_key(&g, &key);
        retire(&g, PUBLIC_KEY_ID);
    })
    .await;
    // One that only knows the old one believes nothing of it.
    let stale = vec![(PUBLIC_KEY_ID.to_owned(), PrivateKey::generate().public_key())];
    let stale = WeChat::new(g.settings_with(stale)).unwrap();
    assert_eq!(stale.debit(g.moving(&g.number(), 100, None)).await, Moved::Unknown);
}

#[tokio::test]
async fn a_certificate_of_ours_is_followed_by_the_next_at_its_time_without_a_failure() {
    let g = Arc::new(Ground::new().await);
    let (issued, key) = certify(&g.shop);
    let add = AddCertificate {
        mchid: g.shop.mchid,
        certificate: NewCertificate {
            serial: issued.serial.clone(),
            pem: issued.pem.clone(),
            not_before: Timestamp(issued.not_before_ms),
            not_after: Timestamp(issued.not_after_ms),
        },
    };
    let next = Identity::new(key, &issued.pem, now_s() + 1).unwrap();
    let old = g.settings().identities.remove(0);
    // In either order: the time counts.
    let wechat =
        WeChat::new(Settings { identities: vec![next.clone(), old.clone()], ..g.settings() }).unwrap();
    let number = g.number();
    assert_eq!(
        wechat.debit(g.moving(&number, 100, None)).await,
        Moved::UnderWay,
        "the next one is not known yet"
    );
    g.rig.app.engine.submit(add).await.unwrap();
    through(&g, wechat, async || {
        // Revoked only once the next one signs: what was signed before has arrived by then.
        crate::rig::until(async || (now_s() > next.from_s + 1).then_some(())).await;
        let revoke = RevokeCertificate { mchid: g.shop.mchid, serial: old.serial.clone() };
        g.rig.app.engine.submit(revoke).await.unwrap();
    })
    .await;
    let stale = WeChat::new(Settings { identities: vec![old], ..g.settings() }).unwrap();
    assert!(matches!(stale.debit(g.moving(&g.number(), 100, None)).await, Moved::NothingDone(_)));
}

#[tokio::test]
async fn a_notice_signed_by_a_certificate_nobody_knows_is_looked_for_once_a_minute() {
    let g = Arc::new(Ground::new().await);
    let wechat = WeChat::new(g.settings_with(vec![])).unwrap();
    assert!(wechat.answers().await, "certificates were fetched");
    g.rig.rotate(0);
    let number = g.number();
    assert_eq!(notice(&g, &wechat, &number).await.as_ref(), Some(&number), "the new one was looked for");
    // The key after that is not found before a minute is over, nor is what anybody makes up looked for.
    let rule = Rule { times: std::num::NonZeroU32::new(100), ..Rule::once("certificates", Fault::Down) };
    g.wrong(std::slice::from_ref(&rule));
    for _ in 0..5 {
        let (mut headers, body) = signed(&g, &number);
        headers.insert("wechatpay-serial", HeaderValue::from_static("ABCDEF0123456789"));
        let notice = NoticeIn { headers: &headers, body: &body };
        assert_eq!(wechat.read_notice(notice).await, None);
    }
    assert_eq!(g.rules().await, [rule], "nothing was downloaded, or the rule would have been met");
    // A public key's id is not downloaded at all.
    let wechat =
        WeChat::new(g.settings_with(vec![(NEXT_ID.to_owned(), PrivateKey::generate().public_key())]));
    assert_eq!(notice(&g, &wechat.unwrap(), &number).await, None);
}

fn retire(g: &Ground, name: &str) {
    let (platform, now) = (&g.rig.app.networks.platform, g.rig.app.engine.clock().now());
    let mut keys: Vec<_> = platform.keys().iter().map(|key| PlatformKey::clone(key)).collect();
    keys.iter_mut().find(|key| key.is_named(name)).unwrap().retired_at = Some(now);
    platform.replace(keys, now).unwrap();
}

fn add_public_key(g: &Ground, key: &PrivateKey) {
    let (platform, now) = (&g.rig.app.networks.platform, g.rig.app.engine.clock().now());
    let mut keys: Vec<_> = platform.keys().iter().map(|key| PlatformKey::clone(key)).collect();
    keys.push(PlatformKey {
        name: NEXT_ID.to_owned(),
        key: key.clone(),
        certificate: None,
        signs_from: now,
        retired_at: None,
    });
    platform.replace(keys, now).unwrap();
}

/// A notice of a payment, signed by the certificate whose turn it is.
fn signed(g: &Ground, number: &str) -> (HeaderMap, Vec<u8>) {
    let content = json!({
        "mchid": g.shop.mchid.wire(), "appid": g.shop.appid, "out_trade_no": number, "transaction_id": "42",
        "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "amount": { "total": 100, "currency": "CNY" },
    });
    let resource = Resource::seal(
        &g.shop.api_v3_key,
        Some("transaction"),
        "transaction",
        content.to_string().as_bytes(),
    );
    let envelope = Notification {
        id: "EV-1".to_owned(),
        create_time: "2026-11-25T12:00:00+08:00".to_owned(),
        event_type: "TRANSACTION.SUCCESS".to_owned(),
        resource_type: ENCRYPTED_RESOURCE.to_owned(),
        summary: "支付成功".to_owned(),
        resource,
    };
    let body = serde_json::to_vec(&envelope).unwrap();
    let now = g.rig.app.engine.clock().now();
    let signed = g.rig.app.networks.platform.sign(SigningMode::Certificate, now, &body);
    let mut headers = HeaderMap::new();
    for (name, value) in signed.pairs() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    (headers, body)
}

async fn notice(g: &Ground, wechat: &WeChat, number: &str) -> Option<String> {
    let (headers, body) = signed(g, number);
    wechat.read_notice(NoticeIn { headers: &headers, body: &body }).await
}
