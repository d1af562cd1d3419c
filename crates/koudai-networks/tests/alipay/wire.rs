//! What is believed on the wire, and what is shown on it.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use koudai_core::secret::Secret;
use koudai_networks::alipay::Alipay;
use koudai_networks::alipay::client::ClientError;
use koudai_networks::network::{Invitation, Move, Moved, Network, Who};

use crate::rig::{Fixture, Mode, PHONE, failed, moving, now, settings, succeeded, with};

/// What somebody in between makes of a reply.
type Change = Box<dyn Fn(&str, &str) -> String + Send>;

/// Somebody between the wallet and Alipay, who changes replies and keeps what went by.
#[derive(Clone)]
struct Between {
    network: String,
    change: Arc<Mutex<Change>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Between {
    fn change(&self, change: impl Fn(&str, &str) -> String + Send + 'static) {
        *self.change.lock().unwrap() = Box::new(change);
    }
}

async fn pass(State(between): State<Between>, uri: axum::http::Uri, body: Bytes) -> String {
    let url = format!("{}{}", between.network, uri);
    let post = reqwest::Client::new().post(&url).header("content-type", "application/x-www-form-urlencoded");
    let request = String::from_utf8(body.to_vec()).unwrap();
    let reply = post.body(body).send().await.unwrap().text().await.unwrap();
    between.seen.lock().unwrap().push((format!("{uri}\n{request}"), reply.clone()));
    let change = between.change.lock().unwrap();
    change(&uri.to_string(), &reply)
}

async fn between(f: &Fixture, mode: Mode) -> (Alipay, Between) {
    let between = Between {
        network: f.url.clone(),
        change: Arc::new(Mutex::new(Box::new(|_, reply| reply.to_owned()))),
        seen: Arc::default(),
    };
    let router = axum::Router::new().fallback(pass).with_state(between.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let papers = f.sandbox.papers();
    let who = match mode {
        Mode::Keys => papers.in_key_mode().unwrap(),
        Mode::Certificates => papers.in_certificate_mode().unwrap(),
    };
    let mut settings = settings(&url, "http://127.0.0.1:9/", who, now);
    settings.timeout *= 4;
    (Alipay::new(settings).unwrap(), between)
}

#[tokio::test]
async fn a_reply_that_somebody_changed_is_no_answer() {
    for mode in [Mode::Keys, Mode::Certificates] {
        let mut f = Fixture::by(mode, "http://127.0.0.1:9/", now).await;
        let (client, between) = between(&f, mode).await;
        let number = f.number();
        f.paid(&number, 100).await;
        succeeded(&client.query_debit(&number).await);
        let changes: [fn(&str) -> String; 8] = [
            |reply| reply.replace("TRADE_SUCCESS", "TRADE_CLOSED"),
            |reply| reply.replace("\"1.00\"", "\"1.01\""),
            |reply| reply.replace("\"code\"", "\"code\" "),
            |reply| reply.replace("\"sign\":\"", "\"sign\":\"A"),
            |reply| reply.replace("\"sign\"", "\"sing\""),
            |reply| format!("{}{}", &reply[..1], reply[1..].replacen('{', "{\"code\":\"10000\"},\"x\":{", 1)),
            |reply| reply[..reply.len() / 2].to_owned(),
            |_| String::new(),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            between.change(move |_, reply| change(reply));
            assert_eq!(client.query_debit(&number).await, Moved::Unknown, "{n}");
            assert!(!client.answers().await || n < 2, "{n}");
        }
        // What was closed is not taken for paid by the words of another payment.
        let closed = f.number();
        f.client.debit(moving(&closed, 100)).await;
        f.person(&closed, 1, "refuse").await;
        let said = between.seen.lock().unwrap()[0].1.clone();
        between.change(move |_, _| said.clone());
        assert_eq!(client.query_debit(&closed).await, Moved::Unknown, "it is the answer to another question");
        between.change(|_, reply| reply.to_owned());
        assert_eq!(client.query_debit(&closed).await, failed(koudai_core::rows::NetworkRefusal::Withdrawn));
    }
}

#[tokio::test]
async fn another_amount_than_was_ordered_is_not_taken_for_the_payment() {
    let mut f = Fixture::new().await;
    let number = f.number();
    // Somebody else with the app's key ordered less under this number.
    let other = f.client_at(Mode::Certificates, now);
    assert_eq!(f.client.debit(Move { scene: Some(PHONE), ..moving(&number, 500) }).await, Moved::UnderWay);
    assert_eq!(other.debit(moving(&number, 1)).await, Moved::UnderWay);
    assert_eq!(f.person(&number, 1, "agree").await.0, 200);
    assert_eq!(f.client.query_debit(&number).await, Moved::Unknown);
    assert_eq!(f.client.close_debit(&number).await, Moved::Unknown);
}

#[tokio::test]
async fn a_newer_certificate_is_fetched_and_believed_if_it_leads_to_the_root() {
    let mut f = Fixture::new().await;
    let number = f.number();
    f.client.debit(moving(&number, 100)).await;
    let (guarded, between) = between(&f, Mode::Certificates).await;
    f.sandbox.rotate().unwrap();
    // Somebody in between keeps the new certificate away, or hands out another.
    let another = Fixture::new().await;
    let stranger = another.sandbox.papers().alipay_certificates_pem().to_owned();
    between.change(move |uri, reply| {
        use base64::Engine as _;
        if !uri.contains("alipaycert.download") {
            return reply.to_owned();
        }
        let text = base64::engine::general_purpose::STANDARD.encode(&stranger);
        let content = format!("{{\"code\":\"10000\",\"alipay_cert_content\":\"{text}\"}}");
        format!("{{\"alipay_open_app_alipaycert_download_response\":{content},\"sign\":\"AA==\"}}")
    });
    assert_eq!(guarded.query_debit(&number).await, Moved::Unknown);
    between.change(|_, reply| reply.to_owned());
    // Without anybody in between it is fetched once, and believed from then on.
    between.seen.lock().unwrap().clear();
    for _ in 0..3 {
        assert_eq!(guarded.query_debit(&number).await, Moved::NotThere);
    }
    let fetched =
        between.seen.lock().unwrap().iter().filter(|(request, _)| request.contains("alipaycert")).count();
    assert_eq!(fetched, 1);
    assert_eq!(f.person(&number, 1, "agree").await.0, 200);
    succeeded(&f.client.query_debit(&number).await);
}

#[tokio::test]
async fn in_key_mode_the_next_key_is_believed_once_the_operator_has_added_it() {
    use koudai_networks::alipay::{Identity, Trust};
    let f = Fixture::by(Mode::Keys, "http://127.0.0.1:9/", now).await;
    let old = f.sandbox.papers();
    f.sandbox.rotate().unwrap();
    let new = f.sandbox.papers();
    assert!(!f.client.answers().await, "another key signs");
    let both = format!("{}{}", old.alipay_public_key_pem(), new.alipay_public_key_pem());
    let who = (Identity::of_key(old.app_key.clone()), Trust::of_keys(&both).unwrap());
    let client = Alipay::new(settings(&f.url, "http://127.0.0.1:9/", who, now)).unwrap();
    assert!(client.answers().await);
}

#[tokio::test]
async fn what_is_secret_stands_in_no_address_log_or_debug() {
    let mut f = Fixture::new().await;
    let (client, between) = between(&f, Mode::Certificates).await;
    let code = f.code(1).await;
    let number = f.number();
    succeeded(&client.pay_by_code(Move { token: code.clone(), ..moving(&number, 100) }).await);
    let known = Secret::new("a-code-that-somebody-came-back-with".to_owned());
    assert!(matches!(client.who(known.clone()).await, Who::Refused));
    let inside = f.number();
    client.debit(with(&inside, 2, 100)).await;
    succeeded(&client.pay_out(with(&f.number(), 2, 100)).await);
    for (request, _) in between.seen.lock().unwrap().iter() {
        let (address, _) = request.split_once('\n').unwrap();
        for secret in [code.expose(), known.expose(), &koudai_networks::alipay::sandbox::user_id(2)] {
            assert!(!address.contains(secret.as_str()), "{address}");
        }
        assert!(address.contains("charset=utf-8") && address.contains("sign="), "{address}");
    }
    let invitation = f.client.invitations().unwrap();
    assert!(!format!("{client:?} {invitation:?}").contains("2088"));
    let shown = Invitation::Visit("https://a".to_owned());
    assert!(!format!("{shown:?}").contains("https"));
}

#[tokio::test]
async fn a_contract_that_cannot_work_is_refused_at_the_start() {
    let f = Fixture::new().await;
    let papers = f.sandbox.papers();
    let fresh = |mode: Mode| {
        let who = match mode {
            Mode::Keys => papers.in_key_mode().unwrap(),
            Mode::Certificates => papers.in_certificate_mode().unwrap(),
        };
        settings(&f.url, "https://pay.example.org/notice", who, now)
    };
    for gateway in [
        "http://openapi.example.org/gateway.do",
        "ftp://127.0.0.1/",
        "https://a:b@c.org/",
        "https://c.org/?a=1",
        "",
    ] {
        let mut wrong = fresh(Mode::Keys);
        gateway.clone_into(&mut wrong.gateway);
        assert!(matches!(Alipay::new(wrong), Err(ClientError::Address(_))), "{gateway}");
    }
    for (app, seller) in
        [("", "2088100000000001"), ("abc", "2088100000000001"), ("1", "1"), ("1", "1088100000000001")]
    {
        let mut wrong = fresh(Mode::Keys);
        app.clone_into(&mut wrong.app_id);
        seller.clone_into(&mut wrong.seller);
        assert!(Alipay::new(wrong).is_err(), "{app} {seller}");
    }
    let (identity, _) = papers.in_key_mode().unwrap();
    let mut mixed = fresh(Mode::Certificates);
    mixed.identity = identity;
    assert!(matches!(Alipay::new(mixed), Err(ClientError::Mode)));
    let mut pays = fresh(Mode::Keys);
    pays.pays_out = true;
    assert!(matches!(Alipay::new(pays), Err(ClientError::PaysOut)));
    assert!(Alipay::new(fresh(Mode::Keys)).is_ok() && Alipay::new(fresh(Mode::Certificates)).is_ok());
}

/// The moment of the vector below.
const fn then() -> i64 {
    1_795_000_000_000
}

/// The text that npm's `alipay-sdk` signs for the same order at the same moment; `tests/sdk/alipay-signed.test.mjs` has it make
/// it anew.
#[tokio::test]
async fn our_request_is_signed_over_the_very_text_that_the_sdk_signs() {
    use koudai_networks::alipay::certificates::{certificate_number, roots_number};

    let vector = include_str!("../../../../tests/sdk/alipay-signed.json");
    let vector: serde_json::Value = serde_json::from_str(vector).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let order = &vector["biz_content"];
    let number = koudai_core::id::AttemptId((then() << 21) + 16).wire();
    assert_eq!((vector["at_ms"].as_i64(), text(&order["out_trade_no"])), (Some(then()), number.clone()));
    let f = Fixture::new().await;
    let papers = f.sandbox.papers();
    for mode in [Mode::Keys, Mode::Certificates] {
        let (_, between) = between(&f, mode).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(pass).with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let who = match mode {
            Mode::Keys => papers.in_key_mode().unwrap(),
            Mode::Certificates => papers.in_certificate_mode().unwrap(),
        };
        let client = Alipay::new(settings(&url, &text(&vector["notify_url"]), who, then)).unwrap();
        let subject = text(&order["subject"]);
        // The sandbox's clock is another, so that it refuses; what was sent to it is looked at here.
        client.debit(Move { what_for: &subject, ..moving(&number, 8_800) }).await;
        let (request, _) = between.seen.lock().unwrap()[0].clone();
        let (address, body) = request.split_once('\n').unwrap();
        let sent: reqwest::Url = format!("http://localhost{address}&{body}").parse().unwrap();
        let mut fields: Vec<(String, String)> = sent.query_pairs().into_owned().collect();
        fields.sort();
        let signature = fields.iter().find(|(name, _)| name == "sign").unwrap().1.clone();
        fields.retain(|(name, _)| name != "sign");
        let joined: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let joined = joined.join("&");
        let expected = match mode {
            Mode::Keys => text(&vector["keys"]),
            Mode::Certificates => text(&vector["certificates"])
                .replace("{app}", &certificate_number(&papers.app_certificate_pem).unwrap())
                .replace("{root}", &roots_number(&papers.roots_pem).unwrap()),
        };
        assert_eq!(joined, expected, "{mode:?}");
        assert_eq!(papers.app_key.public_key().verify(joined.as_bytes(), &signature), Ok(()));
    }
}
