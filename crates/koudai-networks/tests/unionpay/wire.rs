//! What is believed on the wire, and what is shown on it.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use koudai_networks::network::{BindingIs, Moved, Network};
use koudai_networks::unionpay::sandbox::{MERCHANT, REQUESTOR};
use koudai_networks::unionpay::{CLEARING_CUT_MS, Settings, UnionPay};

use crate::inbox::listen;
use crate::rig::{Fixture, HASTE, credit_card, debit_card, details, moving, now};

/// What somebody in between makes of a reply.
type Change = fn(&str) -> String;

/// Somebody between the wallet and the network, who changes replies and keeps what went by.
#[derive(Clone)]
struct Between {
    network: String,
    change: Arc<Mutex<Change>>,
    seen: Arc<Mutex<Vec<String>>>,
}

async fn pass(State(between): State<Between>, uri: axum::http::Uri, body: Bytes) -> String {
    between.seen.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
    let url = format!("{}{}", between.network, uri.path());
    let reply = reqwest::Client::new().post(url).header("content-type", "application/x-www-form-urlencoded");
    let reply = reply.body(body).send().await.unwrap().text().await.unwrap();
    between.seen.lock().unwrap().push(reply.clone());
    let change = *between.change.lock().unwrap();
    change(&reply)
}

async fn between(f: &Fixture) -> (UnionPay, Between) {
    let between =
        Between { network: f.url.clone(), change: Arc::new(Mutex::new(str::to_owned)), seen: Arc::default() };
    let router = axum::Router::new().fallback(pass).with_state(between.clone());
    let (address, listener) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = Settings {
        gateway: format!("http://{address}/gateway/api/"),
        files: format!("http://{address}/"),
        notices: "http://127.0.0.1:9/".to_owned(),
        merchant: MERCHANT.to_owned(),
        requestor: REQUESTOR.to_owned(),
        identity: f.sandbox.papers().merchant.clone(),
        trust: f.sandbox.papers().trust().unwrap(),
        clearing_cut_ms: CLEARING_CUT_MS,
        timeout: 4 * HASTE,
        clock: now,
    };
    (UnionPay::new(settings).unwrap(), between)
}

#[tokio::test]
async fn a_reply_that_somebody_changed_is_no_answer() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(38)).await;
    let (client, between) = between(&f).await;
    let number = f.number();
    assert!(matches!(client.debit(moving(&token, &number, 100)).await, Moved::NothingDone(_)));
    let changes: [Change; 7] = [
        |reply| reply.replace("respCode=64", "respCode=00"),
        |reply| reply.replace("signMethod=01", "signMethod=11"),
        |reply| reply.replace("version=5.1.0", "version=5.0.0"),
        |reply| reply.replace("&respCode=64", ""),
        |reply| reply.replace("signature=", "signature=A"),
        |reply| reply[..reply.len() / 2].to_owned(),
        |_| String::new(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        *between.change.lock().unwrap() = change;
        let number = f.number();
        assert_eq!(client.debit(moving(&token, &number, 100)).await, Moved::Unknown, "{n}");
    }
}

/// What was said before, for the test below.
static REPLAYED: Mutex<String> = Mutex::new(String::new());

#[tokio::test]
async fn the_answer_to_another_call_is_no_answer() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let (client, between) = between(&f).await;
    let (first, second) = (f.number(), f.number());
    assert!(matches!(client.debit(moving(&token, &first, 100)).await, Moved::Ended(_)));
    // The second payment is answered with what was said of the first.
    let said: Vec<String> = between.seen.lock().unwrap().clone();
    REPLAYED.lock().unwrap().clone_from(&said[said.len() - 3]);
    *between.change.lock().unwrap() = |_| REPLAYED.lock().unwrap().clone();
    assert_eq!(client.debit(moving(&token, &second, 100)).await, Moved::Unknown);
}

#[tokio::test]
async fn what_is_secret_of_a_card_never_stands_readable_on_the_wire() {
    let mut f = Fixture::new().await;
    let (client, between) = between(&f).await;
    let card = credit_card(1);
    let number = f.binding_number();
    assert!(matches!(client.bind(&number, details(card)).await, BindingIs::CodeSent(_)));
    let code = f.code().await;
    assert!(matches!(client.confirm(&number, code).await, BindingIs::Bound { .. }));
    for text in between.seen.lock().unwrap().iter() {
        let read: Vec<(String, String)> = fields_of(text);
        for (name, value) in &read {
            assert!(!value.contains(&card.number) && !value.contains(&card.phone), "{name}");
            if name == "customerInfo" {
                let open = base64_text(value);
                assert!(!open.contains("cvn2") && !open.contains(&card.phone), "{open}");
            }
        }
    }
    assert!(!format!("{client:?}").contains("6226388"));
}

/// The fields of a form, or none.
fn fields_of(text: &str) -> Vec<(String, String)> {
    let url: reqwest::Url = format!("http://localhost/?{text}").parse().unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn base64_text(value: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
    String::from_utf8(bytes).unwrap()
}
