//! The books of Alipay against ours.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use koudai_core::attempt::Outcome;
use koudai_core::ledger::ALIPAY_NETWORK;
use koudai_core::money::Money;
use koudai_core::secret::Secret;
use koudai_engine::Clock;
use koudai_networks::alipay::sandbox::{APP_ID, SELLER, SandboxAlipay, SandboxSettings, serve};
use koudai_networks::alipay::{Alipay, Settings};
use koudai_networks::network::{Move, Moved, Network as _, Place, Scene};
use serde_json::json;
use tokio::net::TcpListener;

/// What both sides' clocks show, in milliseconds since 1970.
static NOW_MS: AtomicI64 = AtomicI64::new(0);

fn now() -> i64 {
    NOW_MS.load(Ordering::Relaxed)
}

#[tokio::test]
async fn everything_that_differs_from_the_bills_of_a_day_is_found() {
    let noon = rig::differing::noon();
    NOW_MS.store(noon.0, Ordering::Relaxed);
    let clock = Clock::by_hand(noon);
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = SandboxSettings { clock: now, ..SandboxSettings::at(&url) };
    let sandbox = SandboxAlipay::open(directory.path(), settings).unwrap();
    tokio::spawn(serve(listener, sandbox.clone()));
    let client = || {
        let (identity, trust) = sandbox.papers().in_certificate_mode().unwrap();
        Alipay::new(Settings {
            gateway: format!("{url}/gateway.do"),
            authorise: format!("{url}/oauth2/publicAppAuthorize.htm"),
            notices: "http://127.0.0.1:9/notice".to_owned(),
            back: "http://127.0.0.1:9/back".to_owned(),
            app_id: APP_ID.to_owned(),
            seller: SELLER.to_owned(),
            identity,
            trust,
            places: vec![Place::Computer],
            pays_out: true,
            timeout: Duration::from_secs(5),
            clock: now,
        })
        .unwrap()
    };
    let payer = client();
    let pay = async |number: &str, fen: i64| {
        let (token, amount) = (Secret::new(String::new()), Money::fen(fen).unwrap());
        let debit = Move { number, token, amount, what_for: "充值", scene: Some(Scene::Computer) };
        assert_eq!(payer.debit(debit).await, Moved::UnderWay);
        let said = json!({"trade": number, "person": 1, "act": "agree"});
        let request = rig::browser().post(format!("{url}/person/pay")).body(said.to_string());
        let reply = request.header("content-type", "application/json").send().await.unwrap();
        assert!(reply.status().is_success(), "{number}");
        match payer.query_debit(number).await {
            Moved::Ended(Outcome::Succeeded { network_ref }) => network_ref,
            other => panic!("{number}: {other:?}"),
        }
    };
    let forward = |ms: i64| {
        clock.advance(ms);
        NOW_MS.fetch_add(ms, Ordering::Relaxed);
    };
    rig::differing::each_is_found(ALIPAY_NETWORK, client(), clock.clone(), pay, forward).await;
}
