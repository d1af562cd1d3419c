//! Keys that change while everybody works: the platform's certificate, a merchant's certificate, its APIv3 key.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::collections::HashMap;
use std::time::Duration;

use koudai_core::merchant::{AddCertificate, NewCertificate, RevokeCertificate, SetApiV3Key, SetMerchant};
use koudai_core::time::{DAY, Timestamp};
use koudai_networks::courier;
use koudai_networks::platform::PlatformKey;
use koudai_networks::vault::Sealed;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::headers::SignedHeaders;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use rig::{PUBLIC_KEY_ID, Rig, Shop, certify, now_s, order, sign};

const CERTIFICATES: &str = "/v3/certificates";

async fn listed(rig: &Rig, shop: &Shop) -> Vec<String> {
    let list = rig.ask(shop, "GET", CERTIFICATES, "").await.json();
    let entries = list["data"].as_array().unwrap().iter();
    entries.map(|entry| entry["serial_no"].as_str().unwrap().to_owned()).collect()
}

/// What signs the reply to a request that names this key.
async fn signer(rig: &Rig, shop: &Shop, named: &str) -> String {
    let headers = [("Wechatpay-Serial", named)];
    rig.ask_with(shop, "GET", CERTIFICATES, "", &headers).await.headers["wechatpay-serial"].clone()
}

#[tokio::test]
async fn the_next_certificate_is_listed_at_once_and_signs_when_its_turn_comes() {
    let (rig, clock) = Rig::by_hand().await;
    let shop = rig.shop().await;
    let old = rig.certificate().serial;
    assert_eq!(listed(&rig, &shop).await, [old.as_str()]);
    // Its turn is put a minute ahead, so that the machine's clock still fits the requests' five minutes.
    let next = rig.rotate(60_000).serial;
    assert_eq!(listed(&rig, &shop).await, [old.as_str(), next.as_str()]);
    for (named, signs) in
        [("", &old), (old.as_str(), &old), (next.as_str(), &next), (&next.to_lowercase(), &next)]
    {
        assert_eq!(&signer(&rig, &shop, named).await, signs, "{named}");
    }
    clock.advance(60_000);
    for (named, signs) in [("", &next), (old.as_str(), &old), (next.as_str(), &next), ("ABCD", &next)] {
        assert_eq!(&signer(&rig, &shop, named).await, signs, "{named}");
    }
    assert_eq!(signer(&rig, &shop, PUBLIC_KEY_ID).await, PUBLIC_KEY_ID);
    assert_eq!(listed(&rig, &shop).await, [old.as_str(), next.as_str()]);
    // A client that has only fetched what was listed before the switch goes on.
    rig.client(&shop, false).native(&order(&shop, "order-1", 100)).await.unwrap();
}

#[tokio::test]
async fn a_retired_certificate_is_neither_listed_nor_signed_with() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let old = rig.certificate().serial;
    let next = rig.rotate(0).serial;
    let (platform, now) = (&rig.app.networks.platform, rig.app.engine.clock().now());
    let retire =
        |key: &PlatformKey| PlatformKey { retired_at: (key.name == old).then_some(now), ..key.clone() };
    platform.replace(platform.keys().iter().map(|key| retire(key)).collect(), now).unwrap();
    assert_eq!(listed(&rig, &shop).await, [next.as_str()]);
    assert_eq!(signer(&rig, &shop, &old).await, next);

    // Sent as the merchant's own, it is still known for what it is.
    let mut authorization = sign(&shop, "GET", CERTIFICATES, "", now_s());
    authorization.serial_no = old;
    let answer =
        rig.send("GET", CERTIFICATES, &[("Authorization", &authorization.header_value())], b"").await;
    assert_eq!(answer.json()["detail"]["issue"], "platform serial used as merchant serial");
}

#[tokio::test]
async fn both_public_keys_verify_while_a_merchant_changes_from_one_to_the_other() {
    const NEXT: &str = "PUB_KEY_ID_0100000000000000000000000000000002";
    let (rig, clock) = Rig::by_hand().await;
    let shop = rig.shop().await;
    let set = SetMerchant { public_key_mode: Some(true), ..rig::set(shop.mchid) };
    rig.app.engine.submit(set).await.unwrap();
    let (platform, now) = (&rig.app.networks.platform, clock.now());
    let mut keys: Vec<PlatformKey> = platform.keys().iter().map(|key| PlatformKey::clone(key)).collect();
    keys.push(PlatformKey {
        name: NEXT.to_owned(),
        key: shop.key.clone(),
        certificate: None,
        signs_from: now.plus(60_000),
        retired_at: None,
    });
    platform.replace(keys, now).unwrap();
    assert_eq!(signer(&rig, &shop, "").await, PUBLIC_KEY_ID);
    assert_eq!(signer(&rig, &shop, NEXT).await, NEXT);
    clock.advance(60_000);
    assert_eq!(signer(&rig, &shop, "").await, NEXT);
    assert_eq!(signer(&rig, &shop, PUBLIC_KEY_ID).await, PUBLIC_KEY_ID);
    assert_eq!(listed(&rig, &shop).await.len(), 1, "public keys are not listed");
}

#[tokio::test]
async fn a_merchants_two_certificates_serve_side_by_side_and_a_revoked_one_is_refused_at_once() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let (issued, key) = certify(&shop);
    let new = Shop { serial: issued.serial.clone(), key, ..shop.clone() };
    let add = AddCertificate {
        mchid: shop.mchid,
        certificate: NewCertificate {
            serial: issued.serial,
            pem: issued.pem,
            not_before: Timestamp(issued.not_before_ms),
            not_after: Timestamp(issued.not_after_ms),
        },
    };
    assert_eq!(issue(&rig, &new).await, "unknown serial");
    rig.app.engine.submit(add).await.unwrap();
    for shop in [&shop, &new] {
        assert_eq!(rig.ask(shop, "GET", CERTIFICATES, "").await.status, 200);
    }
    // The key of one is not the key of the other.
    let mixed = Shop { key: shop.key.clone(), ..new.clone() };
    assert_eq!(issue(&rig, &mixed).await, "sign not match");

    let revoke = RevokeCertificate { mchid: shop.mchid, serial: shop.serial.clone() };
    rig.app.engine.submit(revoke).await.unwrap();
    assert_eq!(issue(&rig, &shop).await, "revoked certificate");
    assert_eq!(rig.ask(&new, "GET", CERTIFICATES, "").await.status, 200);
}

async fn issue(rig: &Rig, shop: &Shop) -> String {
    let answer = rig.ask(shop, "GET", CERTIFICATES, "").await;
    assert_eq!(answer.refusal(), (401, "SIGN_ERROR".to_owned()));
    answer.json()["detail"]["issue"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn another_apiv3_key_seals_what_is_sent_from_then_on() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let key = ApiV3Key::generate();
    let sealed = rig.app.networks.vault.seal(Sealed::ApiV3Key, key.expose().as_bytes());
    rig.client(&shop, false).certificates().await.unwrap();
    rig.app.engine.submit(SetApiV3Key { mchid: shop.mchid, apiv3_key_sealed: sealed }).await.unwrap();
    assert!(rig.client(&shop, false).certificates().await.is_err());
    let new = Shop { api_v3_key: key, ..shop };
    assert_eq!(rig.client(&new, false).certificates().await.unwrap(), vec![rig.certificate()]);
}

/// Takes one notification as a merchant's server would: its headers by their names in lower case, and its body.
async fn notification(listener: &TcpListener) -> (HashMap<String, String>, Vec<u8>) {
    let (stream, _) =
        tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 2 {
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        line.clear();
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    stream.get_mut().write_all(answer).await.unwrap();
    (headers, body)
}

#[tokio::test]
async fn a_notification_is_signed_by_the_key_whose_turn_it_is_and_sealed_with_the_newest() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut placed = order(&shop, "order-1", 100);
    placed.notify_url = format!("http://{}/notify", listener.local_addr().unwrap());
    rig.client(&shop, false).native(&placed).await.unwrap();
    let person = rig.person(100).await;
    rig.pay(person, None, &shop, "order-1").await;
    // Both keys change between the payment and the first attempt to tell of it.
    let next = rig.rotate(0).serial;
    let key = ApiV3Key::generate();
    let sealed = rig.app.networks.vault.seal(Sealed::ApiV3Key, key.expose().as_bytes());
    rig.app.engine.submit(SetApiV3Key { mchid: shop.mchid, apiv3_key_sealed: sealed }).await.unwrap();
    let _courier = courier::start(
        rig.app.engine.clone(),
        rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    let (headers, body) = notification(&listener).await;

    let signed = SignedHeaders::read(|name| headers.get(name).map(String::as_str)).unwrap();
    assert_eq!(headers["wechatpay-serial"], next);
    let old = rig.client(&shop, true);
    assert!(old.open_notification(&signed, &body).is_err());
    let client = rig.client(&Shop { api_v3_key: key, ..shop }, false);
    client.certificates().await.unwrap();
    assert!(client.open_notification(&signed, &body).is_ok());
}

#[tokio::test]
async fn no_certificate_is_listed_after_its_end() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let (platform, now) = (&rig.app.networks.platform, rig.app.engine.clock().now());
    let expired = |key: &PlatformKey| {
        let mut key = key.clone();
        if let Some(certificate) = &mut key.certificate {
            certificate.not_after_ms = now.0 - DAY;
        }
        key
    };
    platform.replace(platform.keys().iter().map(|key| expired(key)).collect(), now).unwrap();
    let answer = rig.ask(&shop, "GET", CERTIFICATES, "").await;
    assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_EXISTS".to_owned()));
    assert!(answer.json()["message"].as_str().unwrap().contains("平台公钥"));
}
