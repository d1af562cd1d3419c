//! What a network tells by itself, at the wallet's door: it makes the courier ask, and does nothing else.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use koudai_core::attempt::AttemptUnknown;
use koudai_core::card::CardKind;
use koudai_core::ledger::UNIONPAY_NETWORK;
use koudai_core::rows::{Attempt, AttemptState, OpenAttempt};
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_networks::courier;
use koudai_networks::network::{BindingIs, CardDetails, Network as _};
use koudai_networks::outside::Outside;
use koudai_networks::sms::SmsGateway;
use koudai_networks::unionpay::sandbox::{
    MERCHANT, REQUESTOR, SandboxSettings, SandboxUnionPay, serve, test_cards,
};
use koudai_networks::unionpay::{CLEARING_CUT_MS, DEFAULT_TIMEOUT, Settings, UnionPay};
use koudai_networks::vault::Sealed;
use rig::{Rig, order, until};
use tokio::net::TcpListener;

/// What came to an address, in the order it came.
type Heard = Arc<Mutex<Vec<Bytes>>>;

/// Writes down what comes to it; where, and what.
async fn ear() -> (String, Heard) {
    let heard = Heard::default();
    let hear = async |State(heard): State<Heard>, body: Bytes| heard.lock().unwrap().push(body);
    let router = axum::Router::new().fallback(hear).with_state(Arc::clone(&heard));
    (format!("http://{}", rig::served(router).await), heard)
}

fn milliseconds() -> i64 {
    koudai_engine::Clock::wall().now().0
}

/// A UnionPay that sends its notices and its codes to ears, and the wallet's client of it.
async fn unionpay(directory: &std::path::Path, notices: &str, inbox: &str) -> UnionPay {
    let sms = SmsGateway::new(inbox, &Secret::new("token".to_owned())).unwrap();
    let settings = SandboxSettings {
        sms: Some(sms),
        inbox_url: None,
        clearing_cut_ms: CLEARING_CUT_MS,
        resend_gap_ms: 0,
    };
    let sandbox = SandboxUnionPay::open(directory, settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let papers = sandbox.papers();
    let settings = Settings {
        gateway: format!("{url}/gateway/api/"),
        files: url,
        notices: notices.to_owned(),
        merchant: MERCHANT.to_owned(),
        requestor: REQUESTOR.to_owned(),
        identity: papers.merchant.clone(),
        trust: papers.trust().unwrap(),
        clearing_cut_ms: CLEARING_CUT_MS,
        timeout: DEFAULT_TIMEOUT,
        clock: milliseconds,
    };
    tokio::spawn(serve(listener, sandbox));
    UnionPay::new(settings).unwrap()
}

/// Opens the card that is decided late, and returns its token.
async fn opened(network: &UnionPay, codes: &Heard) -> Secret<String> {
    let card = test_cards().iter().find(|c| c.customer == 36 && c.kind == CardKind::Debit).unwrap();
    let secret = |text: &str| Secret::new(text.to_owned());
    let details = CardDetails {
        number: secret(&card.number),
        name: secret(&card.name),
        id_number: secret(&card.id_number),
        phone: secret(&card.phone),
        expiry: None,
        cvv: None,
    };
    let number = koudai_core::id::BindingId(milliseconds() << 21).wire();
    assert!(matches!(network.bind(&number, details).await, BindingIs::CodeSent(_)));
    let message = until(async || codes.lock().unwrap().pop()).await;
    let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
    let text = message["text"].as_str().unwrap();
    let code = text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6).unwrap();
    match network.confirm(&number, secret(code)).await {
        BindingIs::Bound { token, .. } => token,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_notice_has_the_courier_ask_now_and_is_not_believed_beyond_that() {
    let directory = tempfile::tempdir().unwrap();
    let ((notices, heard), (inbox, codes)) = (ear().await, ear().await);
    let network = unionpay(directory.path(), &notices, &inbox).await;
    let token = opened(&network, &codes).await;
    let rig = Rig::start_on(Outside::default().with(UNIONPAY_NETWORK, network)).await;
    let (shop, person) = (rig.shop().await, rig.newcomer().await);
    let sealed = rig.app.networks.vault.seal(Sealed::CardToken, token.expose().as_bytes());
    let card = rig.bind_at(person, UNIONPAY_NETWORK, sealed).await;
    let _courier = courier::start(
        rig.app.engine.clone(),
        rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    let (wallet, http) = (rig.wallet().await, rig::browser());
    let tell = async |network: i64, body: Bytes| {
        let told = http.post(format!("http://{wallet}/networks/{network}/notice")).body(body).send().await;
        told.unwrap().status().as_u16()
    };

    rig.client(&shop, false).native(&order(&shop, "HEARD-0001", 500)).await.unwrap();
    let attempt = rig.pay(person, Some(card), &shop, "HEARD-0001").await.attempt.unwrap();
    let engine = &rig.app.engine;
    let state = async || engine.read(move |r| r.get::<Attempt>(&attempt)).await.unwrap().unwrap().state;
    let open = async || engine.read(move |r| r.get::<OpenAttempt>(&attempt)).await.unwrap();
    let next = async || open().await.map(|open| open.next_at);
    // Once it has been tried, it is as if it had been asked about in vain for a long time: the next try is minutes off.
    until(async || open().await.filter(|open| open.tries > 0)).await;
    for _ in 0..12 {
        let due = next().await.expect("it is not decided for seconds");
        engine.submit(AttemptUnknown { attempt, due }).await.unwrap();
    }
    let notice = until(async || heard.lock().unwrap().first().cloned()).await;
    let forged = String::from_utf8(notice.to_vec()).unwrap().replace("txnAmt=500", "txnAmt=501");
    let off = next().await.expect("it is not decided yet");
    assert!(off.since(Timestamp(milliseconds())) > 60_000, "it is minutes off");
    assert_eq!(tell(UNIONPAY_NETWORK.0, forged.into()).await, 400);
    assert_eq!((next().await, state().await), (Some(off), AttemptState::Open));
    assert_eq!(tell(999, notice.clone()).await, 404);
    assert_eq!(tell(UNIONPAY_NETWORK.0, vec![b'a'; 70_000].into()).await, 413);
    assert_eq!(tell(UNIONPAY_NETWORK.0, notice.clone()).await, 200);
    until(async || (state().await == AttemptState::Succeeded).then_some(())).await;
    // Told again, there is nothing left to ask.
    assert_eq!(tell(UNIONPAY_NETWORK.0, notice).await, 200);
    assert_eq!(next().await, None);
}
