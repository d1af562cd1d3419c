//! What travels: signatures, statuses, secrets.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::Timing;
use koudai_networks::issuer::signing::{
    NONCE_HEADER, SIGNATURE_HEADER, Signer, TIMESTAMP_HEADER, sign_reply,
};
use koudai_networks::issuer::wire::MAX_BODY_BYTES;
use koudai_networks::issuer::{Answer, BindRequest, ClientError, IssuerClient};
use koudai_wechatpay::keys::PrivateKey;
use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::inbox::{INBOX_TOKEN, listen};
use crate::rig::{APP, Expect, Fixture, PATIENCE, card, client, now_s, request, token};

/// Sends one request as it is given, signed or not.
async fn raw(method: &str, url: &str, authorization: Option<String>, body: &str) -> (u16, serde_json::Value) {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url).body(body.to_owned());
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    // Of a body that is too long nobody reads whose it is.
    let proven = status != 401 && body.len() <= MAX_BODY_BYTES;
    for name in [TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER] {
        assert_eq!(response.headers().contains_key(name), proven, "an answer is signed for the app alone");
    }
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_request_is_done_only_under_the_apps_signature_over_its_very_bytes() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    let signer = Signer::new(f.app_key.clone());
    let (url, target) = (format!("{}/issuer/v1/debits", f.url), "/issuer/v1/debits");
    let body = serde_json::json!({
        "debit_id": "d1", "token": token, "amount_minor": 100, "currency": "CNY", "description": "x"
    })
    .to_string();
    let sign = |signer: &Signer, app: &str, method: &str, target: &str, at: i64, body: &str| {
        Some(signer.authorize(app, method, target, at, "nonce-1", body.as_bytes()))
    };
    let stranger = Signer::new(PrivateKey::generate());
    let now = now_s();
    let forged = [
        None,
        Some("Bearer x".to_owned()),
        sign(&stranger, APP, "POST", target, now, &body),
        sign(&signer, "other", "POST", target, now, &body),
        sign(&signer, APP, "POST", target, now - 310, &body),
        sign(&signer, APP, "POST", target, now + 310, &body),
        sign(&signer, APP, "GET", target, now, &body),
        sign(&signer, APP, "POST", "/issuer/v1/debits?", now, &body),
        sign(&signer, APP, "POST", target, now, &body.replace("100", "101")),
    ];
    for authorization in forged {
        let (status, reply) = raw("POST", &url, authorization.clone(), &body).await;
        assert_eq!((status, &reply["code"]), (401, &serde_json::json!("SIGN_ERROR")), "{authorization:?}");
    }
    assert!(f.moved().await.is_empty());
    let good = sign(&signer, APP, "POST", target, now - 250, &body);
    let (status, reply) = raw("POST", &url, good, &body).await;
    assert_eq!((status, &reply["state"]), (200, &serde_json::json!("SUCCEEDED")));

    // To the client none of these is an answer: whoever has seen a nonce could have had it signed.
    let thief = client(&f.url, &PrivateKey::generate(), &f.bank_key, PATIENCE);
    assert_eq!(thief.query_debit("d1").await, Answer::Unknown);
    let slow = IssuerClient::new(
        &f.url,
        APP,
        f.app_key.clone(),
        f.bank_key.public_key(),
        || now_s() - 400,
        PATIENCE,
    );
    assert_eq!(slow.unwrap().query_debit("d1").await, Answer::Unknown);
    let deceived = client(&f.url, &f.app_key, &PrivateKey::generate(), PATIENCE);
    assert_eq!(deceived.query_debit("d1").await, Answer::Unknown);
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let f = Fixture::new().await;
    let signer = Signer::new(f.app_key.clone());
    let send = async |method: &str, path: &str, body: &str| {
        let target = format!("/issuer/v1{path}");
        let authorization = signer.authorize(APP, method, &target, now_s(), "n", body.as_bytes());
        let (status, reply) = raw(method, &format!("{}{target}", f.url), Some(authorization), body).await;
        (status, reply["code"].as_str().unwrap_or("").to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(send("GET", "/moon", "").await, is(404, "NOT_FOUND"));
    assert_eq!(send("DELETE", "/debits/d1", "").await, is(404, "NOT_FOUND"));
    assert_eq!(send("POST", "/debits", "{}").await, is(400, "BAD_REQUEST"));
    assert_eq!(send("POST", "/debits", "nonsense").await, is(400, "BAD_REQUEST"));
    assert_eq!(send("POST", "/debits/a%20b/close", "{}").await, is(400, "BAD_REQUEST"));
    assert_eq!(send("GET", "/books?after=x", "").await, is(400, "BAD_REQUEST"));
    assert_eq!(send("GET", "/books", "").await, is(400, "BAD_REQUEST"));
    let bind = |id: &str, no: u16, phone: &str| {
        let card = card(no);
        serde_json::json!({
            "binding_id": id, "card_number": card.number, "name": card.name, "id_number": card.id_number,
            "phone": phone, "a_field_of_tomorrow": true
        })
        .to_string()
    };
    assert_eq!(send("POST", "/bindings", &bind("b1", 1, "13900000002")).await, is(422, "DETAILS_MISMATCH"));
    assert_eq!(send("POST", "/bindings", &bind("b1", 1, "13900000001")).await, is(409, "ID_REUSED"));
    assert_eq!(send("POST", "/bindings", &bind("b2", 1, "13900000001")).await, is(200, ""));
    let long = format!("{{\"debit_id\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(send("POST", "/debits", &long).await, is(400, "BAD_REQUEST"));
}

#[tokio::test]
async fn an_answer_the_issuer_did_not_sign_for_this_request_is_unknown() {
    #[derive(Clone)]
    struct Liar {
        key: PrivateKey,
        how: &'static str,
    }
    async fn lie(State(liar): State<Liar>, headers: HeaderMap) -> (StatusCode, HeaderMap, String) {
        let asked = headers["authorization"].to_str().unwrap();
        let nonce = asked.split("nonce_str=\"").nth(1).unwrap().split('"').next().unwrap();
        let done = r#"{"debit_id":"d1","state":"SUCCEEDED","bank_ref":"1","at_ms":1}"#;
        let no = r#"{"code":"INSUFFICIENT_FUNDS","message":"no"}"#;
        let (status, body, nonce, at) = match liar.how {
            "other nonce" => (200, done.to_owned(), "another", now_s()),
            "old" => (200, done.to_owned(), nonce, now_s() - 400),
            "other id" => (200, done.replace("d1", "d2"), nonce, now_s()),
            "garbage" => (200, "<html>".to_owned(), nonce, now_s()),
            "refusal without code" => (404, "{}".to_owned(), nonce, now_s()),
            "server error" => (503, no.to_owned(), nonce, now_s()),
            "redirect" => (302, done.to_owned(), nonce, now_s()),
            "too long" => (200, format!("{done}{}", " ".repeat(70_000)), nonce, now_s()),
            "unsigned refusal" => (422, no.to_owned(), nonce, now_s()),
            _ => (200, done.to_owned(), nonce, now_s()),
        };
        let signature = sign_reply(&liar.key, at, nonce, body.as_bytes());
        let mut out = HeaderMap::new();
        if liar.how != "unsigned" && liar.how != "unsigned refusal" {
            out.insert(TIMESTAMP_HEADER, at.to_string().parse().unwrap());
            out.insert(NONCE_HEADER, nonce.parse().unwrap());
            out.insert(SIGNATURE_HEADER, signature.parse().unwrap());
        }
        out.insert("location", "/elsewhere".parse().unwrap());
        (StatusCode::from_u16(status).unwrap(), out, body)
    }
    let (key, app_key) = (PrivateKey::generate(), PrivateKey::generate());
    for how in [
        "other nonce",
        "old",
        "other id",
        "garbage",
        "refusal without code",
        "server error",
        "redirect",
        "too long",
        "unsigned",
        "unsigned refusal",
        "honest",
    ] {
        let (address, listener) = listen().await;
        let router = axum::Router::new().fallback(lie).with_state(Liar { key: key.clone(), how });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = client(&format!("http://{address}"), &app_key, &key, PATIENCE);
        let answer = client.query_debit("d1").await;
        assert_eq!(matches!(answer, Answer::Done(_)), how == "honest", "{how}: {answer:?}");
        assert_eq!(answer == Answer::Unknown, how != "honest", "{how}: {answer:?}");
    }
}

#[test]
fn an_address_must_be_usable() {
    let key = PrivateKey::generate();
    let new = |url, app| IssuerClient::new(url, app, key.clone(), key.public_key(), now_s, PATIENCE).err();
    for url in
        ["", "localhost:1", "ftp://bank.example", "http://u:p@bank.example", "http://bank.example/?a=b"]
    {
        assert!(matches!(new(url, APP), Some(ClientError::Address)), "{url}");
    }
    assert!(matches!(new("http://bank.example", "an app"), Some(ClientError::AppId)));
    assert!(new("https://bank.example/prefix/", APP).is_none());
}

/// Everything traced by this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_ever_traced_or_debugged() {
    let log = Log::default();
    let writer = log.clone();
    // Without the time, whose microseconds are six digits and may look like a code.
    let tracing = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).without_time();
    tracing.with_writer(move || writer.clone()).init();
    let mut f = Fixture::with(Timing { resend_gap_ms: 0, ..Timing::default() }, PATIENCE).await;

    let bind = request("b1", 2);
    f.client.bind(&bind).await.done();
    f.message().await;
    f.client.resend("b1").await.done();
    let code = f.message().await.code();
    f.client.confirm("b1", Secret::new("999".into())).await;
    let bound = f.client.confirm("b1", Secret::new(code.clone())).await.done();
    let token = token(&bound);
    f.debit("d1", &token, 500).await.done();
    f.debit("d1", &token, 501).await.code();
    f.refund("r1", "d1", 500).await.done();
    f.client.unbind(Secret::new(token.clone())).await.done();
    f.client.bind(&BindRequest { cvv: None, ..request("b2", 2) }).await.code();

    let debugged = format!("{bind:?} {bound:?} {:?} {:?}", f.client, f.bank);
    let traced = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(traced.contains("issuer call") && traced.contains("bank call") && traced.contains("d1"));
    let card = card(2);
    for secret in
        [&*card.number, &card.name, &card.id_number, &card.phone, "12/30", &code, &token, INBOX_TOKEN]
    {
        assert!(!debugged.contains(secret), "debugged: {secret}");
        let line = traced.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "traced: {secret}");
    }
    assert_eq!(traced.lines().find(|line| line.contains("cvv") || line.contains("[redacted]")), None);
}
