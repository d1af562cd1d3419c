//! Telling merchants, over real sockets: what is logged of each try, and that a redirect leads nowhere.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use koudai_core::id::{PersonId, Seq};
use koudai_core::notice::{RecordRetry, RecordTold, ReplayNotices, Replayer};
use koudai_core::rows::{Delivery, DeliveryOutcome, NoticeKey, NoticeRetry};
use koudai_networks::courier;
use koudai_networks::probe::{self, ProbeError};
use koudai_wechatpay::headers::{SignedHeaders, verify_body};
use koudai_wechatpay::types::Notification;
use rig::{Rig, Shop, order, refund, until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// A server on this machine; its port.
async fn server(router: Router) -> u16 {
    rig::served(router).await.port()
}

/// Pays an order of the shop's whose notices go to `url`.
async fn paid(rig: &Rig, shop: &Shop, person: PersonId, number: &str, url: String) {
    let client = rig.client(shop, true);
    let mut placed = order(shop, number, 5);
    placed.notify_url = url;
    client.native(&placed).await.unwrap();
    rig.pay(person, None, shop, number).await;
}

async fn deliveries(rig: &Rig, shop: &Shop, least: usize) -> Vec<Delivery> {
    let (engine, mchid) = (&rig.app.engine, shop.mchid);
    until(async || {
        let found = engine.read(move |r| r.deliveries_of(mchid)).await.unwrap();
        (found.len() >= least).then_some(found)
    })
    .await
}

fn start(rig: &Rig) {
    drop(courier::start(
        rig.app.engine.clone(),
        rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    ));
}

#[tokio::test]
async fn each_try_is_kept_with_what_came_of_it() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let long = "x".repeat(100_000);
    let port = server(
        Router::new()
            .route("/fine", post(|| async { "{\"code\":\"SUCCESS\"}\n" }))
            .route("/no", post(move || async move { (StatusCode::BAD_GATEWAY, long) })),
    )
    .await;
    // Speaks, but not the protocol; takes nobody; is not there; is not where a demo may go.
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbage_port = garbage.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
            tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
        }
    });
    let person = rig.person(100).await;
    start(&rig);
    for (number, url, outcome, status) in [
        ("ORDER-FINE", format!("http://localhost:{port}/fine"), DeliveryOutcome::Answered, Some(200)),
        ("ORDER-NO", format!("http://localhost:{port}/no"), DeliveryOutcome::Status, Some(502)),
        ("ORDER-NOBODY", "http://localhost:1/n".to_owned(), DeliveryOutcome::Unreachable, None),
        ("ORDER-SSH", format!("http://localhost:{garbage_port}/n"), DeliveryOutcome::Broken, None),
        ("ORDER-TLS", format!("https://localhost:{garbage_port}/n"), DeliveryOutcome::Untrusted, None),
    ] {
        let before = rig.app.engine.clock().now();
        paid(&rig, &shop, person, number, url.clone()).await;
        let seq = rig.order(&shop, number).await.paid_seq.unwrap();
        let all = until(async || {
            let mchid = shop.mchid;
            let all = rig.app.engine.read(move |r| r.deliveries_of(mchid)).await.unwrap();
            all.into_iter().find(|delivery| delivery.seq == seq)
        });
        let delivery = all.await;
        assert_eq!((delivery.outcome, delivery.status, delivery.tries), (outcome, status, 1), "{url}");
        assert_eq!(delivery.place, url.split_once("//").unwrap().1, "host and path");
        assert!(delivery.at >= before && delivery.took_ms < 5_000);
        match outcome {
            DeliveryOutcome::Answered => assert_eq!(delivery.said.as_deref(), Some("{\"code\":\"SUCCESS\"}")),
            DeliveryOutcome::Status => assert_eq!(delivery.said.unwrap(), "x".repeat(512)),
            _ => assert_eq!(delivery.said, None),
        }
    }
    let mchid = shop.mchid;
    let retries = rig.app.engine.read(move |r| r.retries_of(mchid, Seq(0), 10)).await.unwrap();
    assert_eq!(retries.len(), 4, "what was not answered is tried again");
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let inner = server(
        Router::new()
            .route("/keys", post(move || async move { count.fetch_add(1, Ordering::SeqCst).to_string() })),
    )
    .await;
    let to = format!("http://127.0.0.1:{inner}/keys");
    let port = server(Router::new().route(
        "/n",
        post(move || async move {
            let mut headers = HeaderMap::new();
            headers.insert("location", to.parse().unwrap());
            (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
        }),
    ))
    .await;
    let person = rig.person(100).await;
    start(&rig);
    paid(&rig, &shop, person, "ORDER-AWAY", format!("http://localhost:{port}/n")).await;
    let delivery = deliveries(&rig, &shop, 1).await.remove(0);
    assert_eq!((delivery.outcome, delivery.status), (DeliveryOutcome::Status, Some(307)));
    assert_eq!(seen.load(Ordering::SeqCst), 0, "nobody followed");
}

/// A server that does as it is told: what it answers from now on, and the ids of what came.
fn moody() -> (Router, Arc<AtomicU16>, Arc<Mutex<Vec<Notification>>>) {
    let (status, seen) = (Arc::new(AtomicU16::new(500)), Arc::new(Mutex::new(vec![])));
    let (answers, keeps) = (Arc::clone(&status), Arc::clone(&seen));
    let answer = move |body: axum::body::Bytes| async move {
        keeps.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        StatusCode::from_u16(answers.load(Ordering::SeqCst)).unwrap()
    };
    (Router::new().route("/n", post(answer)), status, seen)
}

#[tokio::test]
async fn a_merchant_sees_how_it_was_told_and_is_told_again_under_the_same_id() {
    let rig = Rig::start().await;
    let (shop, other) = (rig.shop().await, rig.shop().await);
    let (router, status, seen) = moody();
    let port = server(router).await;
    let person = rig.person(100).await;
    start(&rig);
    paid(&rig, &shop, person, "ORDER-AGAIN", format!("http://localhost:{port}/n")).await;
    deliveries(&rig, &shop, 1).await;

    let list = rig.ask(&shop, "GET", "/v3/koudai/notices?outcome=failed", "").await;
    let page = list.json();
    let first = &page["data"][0];
    assert_eq!(
        (first["try"].as_i64(), first["outcome"].as_str(), first["status"].as_i64()),
        (Some(1), Some("status"), Some(500))
    );
    assert_eq!(first["event_type"], "TRANSACTION.SUCCESS");
    assert_eq!(first["out_trade_no"], "ORDER-AGAIN");
    let id = first["id"].as_str().unwrap().to_owned();
    let path = format!("/v3/koudai/notices/{id}");
    let waiting = rig.ask(&shop, "GET", &path, "").await.json();
    assert_eq!((waiting["state"].as_str(), waiting["tries"].as_i64()), (Some("WAITING"), Some(1)));

    status.store(204, Ordering::SeqCst);
    let replay = format!("{path}/replay");
    assert_eq!(rig.ask(&shop, "POST", &replay, "").await.status, 200);
    deliveries(&rig, &shop, 2).await;
    assert_eq!(rig.ask(&shop, "GET", &path, "").await.json()["state"], "DONE");
    // What was answered may be told again as well.
    assert_eq!(rig.ask(&shop, "POST", &replay, "").await.json()["state"], "WAITING");
    deliveries(&rig, &shop, 3).await;
    let ids: Vec<String> = seen.lock().unwrap().iter().map(|notice| notice.id.clone()).collect();
    assert_eq!(ids, [id.clone(), id.clone(), id.clone()]);

    // Another merchant knows nothing of it, and nobody of what never was.
    for unknown in
        [&replay, "/v3/koudai/notices/koudai-1-00000000000000009999/replay", "/v3/koudai/notices/1/replay"]
    {
        let answer = rig.ask(&other, "POST", unknown, "").await;
        assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_EXISTS".to_owned()), "{unknown}");
    }
    assert_eq!(rig.ask(&other, "GET", &path, "").await.refusal().0, 404);
    assert_eq!(rig.ask(&other, "GET", "/v3/koudai/notices", "").await.json()["data"], serde_json::json!([]));
    for wrong in ["limit=0", "limit=101", "limit=+5", "outcome=answered", "before=x", "limit=1&limit=2"] {
        let answer = rig.ask(&shop, "GET", &format!("/v3/koudai/notices?{wrong}"), "").await;
        assert_eq!(answer.refusal(), (400, "PARAM_ERROR".to_owned()), "{wrong}");
    }

    // Pages follow each other without a gap.
    let mut tries = vec![];
    let mut next = String::new();
    loop {
        let page = rig.ask(&shop, "GET", &format!("/v3/koudai/notices?limit=1{next}"), "").await.json();
        tries.push(page["data"][0]["try"].as_i64().unwrap());
        let Some(more) = page["next"].as_str() else { break };
        next = format!("&before={more}");
    }
    assert_eq!(tries, [1, 2, 1], "a replay of what was answered begins anew");
}

#[tokio::test]
async fn a_merchant_that_asks_for_too_many_replays_is_told_to_wait() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let (router, status, _) = moody();
    status.store(204, Ordering::SeqCst);
    let port = server(router).await;
    let person = rig.person(100).await;
    start(&rig);
    paid(&rig, &shop, person, "ORDER-OFTEN", format!("http://localhost:{port}/n")).await;
    let seq = deliveries(&rig, &shop, 1).await[0].seq;
    let replay = format!("/v3/koudai/notices/{}/replay", courier::notice_id(seq));
    let mut refused = 0;
    for _ in 0..130 {
        let answer = rig.ask(&shop, "POST", &replay, "").await;
        match answer.status {
            200 => {}
            _ => {
                assert_eq!(answer.refusal(), (429, "FREQUENCY_LIMITED".to_owned()));
                refused += 1;
            }
        }
    }
    // Two minutes may have been begun in between.
    assert!((10..=70).contains(&refused), "{refused} refused");
}

#[tokio::test]
async fn what_was_given_up_is_delivered_after_a_replay() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let (router, status, seen) = moody();
    status.store(200, Ordering::SeqCst);
    let port = server(router).await;
    let person = rig.person(100).await;
    paid(&rig, &shop, person, "ORDER-LATE", format!("http://localhost:{port}/n")).await;
    let engine = &rig.app.engine;
    // As if sixteen tries had been made before this server was ever up.
    let (mchid, seq) = (shop.mchid, rig.order(&shop, "ORDER-LATE").await.paid_seq.unwrap());
    let told = RecordTold { mchid, told: seq, failed: vec![seq], parked: vec![], log: vec![] };
    engine.submit(told).await.unwrap();
    for _ in 0..15 {
        let key = NoticeKey { mchid, seq };
        engine.submit(RecordRetry { key, answered: false, tried: None }).await.unwrap();
    }
    start(&rig);
    let path = format!("/v3/koudai/notices/{}", courier::notice_id(seq));
    assert_eq!(rig.ask(&shop, "GET", &path, "").await.json()["state"], "GIVEN_UP");
    let replay = ReplayNotices { mchid, events: vec![seq], by: Replayer::Operator };
    assert_eq!(engine.submit(replay).await.unwrap(), 1);
    deliveries(&rig, &shop, 1).await;
    assert_eq!(rig.ask(&shop, "GET", &path, "").await.json()["state"], "DONE");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_events_of_an_order_are_its_payment_and_its_refunds() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, true);
    client.native(&order(&shop, "ORDER-BOTH", 50)).await.unwrap();
    client.native(&order(&shop, "ORDER-NONE", 50)).await.unwrap();
    let person = rig.person(100).await;
    rig.pay(person, None, &shop, "ORDER-BOTH").await;
    for n in 1..=3 {
        client.refund(&refund("ORDER-BOTH", &format!("BACK-{n}"), n, 50)).await.unwrap();
    }
    let mchid = shop.mchid;
    let events = |number: &'static str| {
        rig.app.engine.read(move |r| koudai_networks::telling::events_of_order(r, mchid, number))
    };
    let newest = rig.app.engine.read(koudai_store::Reader::newest_journal).await.unwrap().0;
    let all: Vec<i64> = events("ORDER-BOTH").await.unwrap().unwrap().iter().map(|seq| seq.0).collect();
    assert_eq!(all, (newest - 3..=newest).collect::<Vec<_>>());
    assert_eq!(events("ORDER-NONE").await.unwrap(), Some(vec![]));
    assert_eq!(events("ORDER-OTHER").await.unwrap(), None);
}

#[tokio::test]
async fn a_probe_tells_who_checks_signatures_from_who_does_not() {
    let rig = Rig::start().await;
    let (shop, keys) = (rig.shop().await, rig.platform_keys());
    let check = move |headers: HeaderMap, body: axum::body::Bytes| async move {
        let read = SignedHeaders::read(|name| headers.get(name).and_then(|value| value.to_str().ok()));
        let fine = read.is_ok_and(|signed| verify_body(&signed, &keys, rig::now_s(), &body).is_ok());
        if fine { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
    };
    let port = server(
        Router::new().route("/careful", post(check)).route("/careless", post(|| async { StatusCode::OK })),
    )
    .await;
    let run = async |url: Option<String>| {
        probe::run(&rig.app.engine, &rig.app.networks, shop.mchid, url, true).await
    };
    assert!(matches!(run(None).await, Err(ProbeError::NoAddress)));
    let careful = run(Some(format!("http://localhost:{port}/careful"))).await.unwrap();
    assert_eq!((careful.verdict, careful.wrong_signature.status), ("refused", Some(401)));
    assert_eq!(careful.right_signature.unwrap().status, Some(204));
    let careless = run(Some(format!("http://localhost:{port}/careless"))).await.unwrap();
    assert_eq!(careless.verdict, "taken");
    assert_eq!(run(Some("http://localhost:1/n".to_owned())).await.unwrap().verdict, "no_answer");
    let inner = run(Some("http://169.254.169.254/n".to_owned())).await;
    assert!(matches!(inner, Err(ProbeError::NotAllowed(_))));

    // Where its notifications go, once there are any. No SDK takes a probe for a payment.
    let (router, _, seen) = moody();
    let port = server(router).await;
    let person = rig.person(100).await;
    paid(&rig, &shop, person, "ORDER-PROBED", format!("http://localhost:{port}/n")).await;
    assert_eq!(run(None).await.unwrap().verdict, "refused");
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|notice| notice.event_type == probe::EVENT_TYPE && notice.id.len() <= 36));
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn of_many_events_to_an_endpoint_that_is_gone_some_are_sent_and_the_others_count_as_tried() {
    const EVENTS: usize = 60;
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, true);
    let person = rig.person(1_000).await;
    for n in 0..EVENTS {
        let number = format!("ORDER-{n:02}");
        let mut placed = order(&shop, &number, 5);
        placed.notify_url = "http://localhost:1/n".to_owned();
        client.native(&placed).await.unwrap();
        rig.pay(person, None, &shop, &number).await;
    }
    start(&rig);
    let engine = &rig.app.engine;
    let rows = until(async || {
        let rows = engine.read(koudai_store::Reader::all::<NoticeRetry>).await.unwrap();
        (rows.len() == EVENTS).then_some(rows)
    });
    assert!(rows.await.iter().all(|row| row.tries == 1 && row.next_at.is_some()));
    let called = deliveries(&rig, &shop, 5).await.len();
    assert!((5..=32).contains(&called), "{called} calls");
}
