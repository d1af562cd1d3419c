//! The client against a small platform of our own: what is sent, what is believed, what is unknown.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use koudai_wechatpay::{
    aead::ApiV3Key,
    authorization::Authorization,
    certificate::{Authority, Certificate},
    client::{BillError, Client, ClientConfig, ClientError, Retries, Unknown},
    headers::{PlatformKeys, VerifyError, sign_body},
    keys::PrivateKey,
    nonce,
    notice::NoticeError,
    strict_json,
    types::{
        AccountType, BillReply, BillType, CertificateEntry, CertificateList, NativeOrder, OrderAmount,
        RefundRequest, RefundRequestAmount, RefundStatus, Resource, TradeState,
    },
};

const NOW_S: i64 = 1_795_435_200;
const MCHID: &str = "1900007291";
const SERIAL: &str = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB";

const ORDER: &str = r#"{"appid":"wx1","mchid":"1900007291","out_trade_no":"o|1","trade_state":"NOTPAY","trade_state_desc":"未支付","amount":{"total":8800},"payer":{}}"#;
const REFUND: &str = r#"{"refund_id":"5","out_refund_no":"r-1","transaction_id":"42","out_trade_no":"o|1","channel":"ORIGINAL","user_received_account":"支付用户零钱","create_time":"2026-11-23T12:00:00+08:00","status":"PROCESSING","amount":{"total":8800,"refund":100,"payer_total":8800,"payer_refund":100}}"#;

fn now() -> i64 {
    NOW_S
}

/// One request as it arrived.
#[derive(Clone)]
struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// One reply to send.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// A platform that signs, and whose answers each test makes up.
struct Platform {
    url: String,
    key: PrivateKey,
    serial: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn take(stream: &mut TcpStream) -> Option<Seen> {
    let mut raw = Vec::new();
    let mut byte = [0];
    while !raw.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        raw.push(byte[0]);
    }
    let head = String::from_utf8(raw).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|header| header.0 == "content-length").map_or(0, |h| h.1.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Some(Seen { method: first.next()?.into(), target: first.next()?.into(), headers, body })
}

impl Platform {
    /// Starts a platform that answers every request with what `answer` makes of it; none hangs up.
    fn start(
        serial: &str,
        key: PrivateKey,
        answer: impl Fn(&Seen, &PrivateKey, &str) -> Option<Answer> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, signer, name) = (Arc::clone(&seen), key.clone(), serial.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = take(&mut stream) else { continue };
                let answer = answer(&request, &signer, &name);
                log.lock().unwrap().push(request);
                let Some(answer) = answer else { continue };
                let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
                if answer.status != 204 {
                    write!(head, "content-length: {}\r\n", answer.body.len()).unwrap();
                }
                for (name, value) in &answer.headers {
                    write!(head, "{name}: {value}\r\n").unwrap();
                }
                let _ = stream.write_all(&[head.as_bytes(), b"\r\n", &answer.body].concat());
            }
        });
        Self { url, key, serial: serial.to_owned(), seen }
    }

    fn client(&self, key: &PrivateKey) -> Client {
        let known = [(self.serial.as_str(), self.key.public_key())].into_iter().collect();
        Client::new(self.config(key, known)).unwrap()
    }

    fn config(&self, key: &PrivateKey, platform_keys: PlatformKeys) -> ClientConfig {
        ClientConfig {
            base_url: self.url.clone(),
            mchid: MCHID.into(),
            serial_no: SERIAL.into(),
            key: key.clone(),
            api_v3_key: ApiV3Key::new("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb").unwrap(),
            platform_keys,
            platform_serial: Some(self.serial.clone()),
            clock: now,
        }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a platform's closure returns")]
fn signed(key: &PrivateKey, serial: &str, status: u16, body: &str) -> Option<Answer> {
    let headers = sign_body(key, serial, NOW_S, &nonce(), body.as_bytes()).pairs().to_vec();
    Some(Answer { status, headers, body: body.into() })
}

#[expect(clippy::unnecessary_wraps, reason = "what a platform's closure returns")]
fn unsigned(status: u16, body: &str) -> Option<Answer> {
    Some(Answer { status, headers: Vec::new(), body: body.into() })
}

/// A platform that answers everything in the same way.
fn fixed(status: u16, body: &str) -> Platform {
    let body = body.to_owned();
    Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), move |_, key, serial| match status {
        200..=299 => signed(key, serial, status, &body),
        _ => unsigned(status, &body),
    })
}

fn order() -> NativeOrder {
    NativeOrder {
        appid: "wx1".into(),
        mchid: MCHID.into(),
        description: "咖啡".into(),
        out_trade_no: "o|1".into(),
        notify_url: "https://shop.example/paid".into(),
        amount: OrderAmount { total: 8800, currency: None },
        ..NativeOrder::default()
    }
}

fn refund() -> RefundRequest {
    RefundRequest {
        out_trade_no: Some("o|1".into()),
        out_refund_no: "r-1".into(),
        amount: RefundRequestAmount { refund: 100, total: 8800, currency: "CNY".into(), from: None },
        ..RefundRequest::default()
    }
}

#[tokio::test]
async fn each_call_sends_what_the_protocol_says_signed() {
    let platform = Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), |seen, key, serial| {
        let body = match (seen.method.as_str(), seen.target.split('?').next().unwrap()) {
            ("POST", "/v3/pay/transactions/native") => r#"{"code_url":"weixin://wxpay/bizpayurl?pr=1"}"#,
            ("GET", "/v3/pay/transactions/out-trade-no/o%7C1") => ORDER,
            ("GET", "/v3/pay/transactions/id/42") => {
                return signed(
                    key,
                    serial,
                    200,
                    &ORDER.replace("\"payer\"", "\"transaction_id\":\"42\",\"payer\""),
                );
            }
            ("POST", "/v3/pay/transactions/out-trade-no/o%7C1/close") => return signed(key, serial, 204, ""),
            (_, "/v3/refund/domestic/refunds" | "/v3/refund/domestic/refunds/r-1") => REFUND,
            other => panic!("{other:?}"),
        };
        signed(key, serial, 200, body)
    });
    let key = PrivateKey::generate();
    let client = platform.client(&key);
    assert_eq!(client.native(&order()).await.unwrap().code_url, "weixin://wxpay/bizpayurl?pr=1");
    let found = client.query_by_out_trade_no("o|1").await.unwrap();
    assert_eq!((found.trade_state, found.amount.unwrap().total), (TradeState::NotPay, 8800));
    assert!(client.query_by_transaction_id("42").await.is_ok());
    client.close("o|1").await.unwrap();
    assert_eq!(client.refund(&refund()).await.unwrap().status, RefundStatus::Processing);
    assert_eq!(client.query_refund("r-1").await.unwrap().amount.payer_refund, 100);

    let seen = platform.seen();
    assert_eq!(seen.len(), 6);
    for request in &seen {
        let authorization = Authorization::parse(request.header("authorization").unwrap()).unwrap();
        assert_eq!((authorization.mchid.as_str(), authorization.serial_no.as_str()), (MCHID, SERIAL));
        assert_eq!(authorization.timestamp, NOW_S);
        let signature =
            authorization.verify(&key.public_key(), &request.method, &request.target, &request.body);
        assert_eq!(signature, Ok(()), "{} {}", request.method, request.target);
        assert_eq!(request.header("accept"), Some("application/json"));
        assert!(request.header("user-agent").unwrap().starts_with("koudai-wechatpay/"));
        assert_eq!(request.header("wechatpay-serial"), Some("PUB_KEY_ID_01"));
    }
    assert_eq!(strict_json::<NativeOrder>(&seen[0].body).unwrap(), order());
    assert_eq!(seen[1].target, "/v3/pay/transactions/out-trade-no/o%7C1?mchid=1900007291");
    assert_eq!(seen[3].body, br#"{"mchid":"1900007291"}"#);
}

#[tokio::test]
async fn a_refusal_carries_the_platforms_code() {
    let platform = fixed(404, r#"{"code":"ORDER_NOT_EXIST","message":"订单不存在","detail":{"field":"x"}}"#);
    match platform.client(&PrivateKey::generate()).query_by_out_trade_no("o|1").await {
        Err(ClientError::Refused { status: 404, body }) => assert_eq!(body.code, "ORDER_NOT_EXIST"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_does_not_settle_the_matter_is_unknown() {
    let error = r#"{"code":"SYSTEM_ERROR","message":"系统错误"}"#;
    for (status, body) in [
        (500, error),
        (502, ""),
        (503, "<html>"),
        (429, error),
        (408, error),
        (302, ""),
        (404, ""),
        (403, "<html>"),
        (202, r#"{"code":"USER_PAYING","message":"m"}"#),
    ] {
        match fixed(status, body).client(&PrivateKey::generate()).refund(&refund()).await {
            Err(ClientError::Unknown(Unknown::Status { status: found, body: code })) => {
                assert_eq!(found, status);
                assert_eq!(code.is_some(), body.starts_with('{'), "{status}");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    let readable = fixed(200, "{}").client(&PrivateKey::generate()).refund(&refund()).await;
    assert!(matches!(readable, Err(ClientError::Unknown(Unknown::Body(_)))));
    let twice = fixed(200, &REFUND.replace("\"refund\":100", "\"refund\":100,\"refund\":1"));
    let twice = twice.client(&PrivateKey::generate()).refund(&refund()).await;
    assert!(matches!(twice, Err(ClientError::Unknown(Unknown::Body(_)))));
    let large =
        fixed(200, &" ".repeat(1024 * 1024 + 1)).client(&PrivateKey::generate()).refund(&refund()).await;
    assert!(matches!(large, Err(ClientError::Unknown(Unknown::TooLarge))));
}

#[tokio::test]
async fn a_platform_that_hangs_up_or_is_not_there_leaves_the_outcome_unknown() {
    let platform = Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), |_, _, _| None);
    let outcome = platform.client(&PrivateKey::generate()).native(&order()).await;
    assert!(matches!(outcome, Err(ClientError::Unknown(Unknown::Transport(_)))), "{outcome:?}");
    assert_eq!(platform.seen().len(), 1, "the client never sends twice by itself");

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = platform.config(&PrivateKey::generate(), PlatformKeys::new());
    config.base_url = format!("http://{free}/gw/");
    let outcome = Client::new(config).unwrap().close("o|1").await;
    match outcome {
        Err(ClientError::Unknown(Unknown::Unreachable(error))) => {
            assert!(!format!("{error:?}").contains("o%7C1"), "numbers stay out of errors");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reply_is_believed_only_with_a_good_signature() {
    type Spoil = fn(&mut Answer);
    let spoils: [(&str, Spoil); 6] = [
        ("no headers", |answer| answer.headers.clear()),
        ("a changed body", |answer| answer.body.push(b' ')),
        ("a changed signature", |answer| answer.headers[3].1.replace_range(0..4, "AAAA")),
        ("a probe", |answer| answer.headers[3].1.replace_range(0..19, "WECHATPAY/SIGNTEST/")),
        ("an old timestamp", |answer| answer.headers[0].1 = (NOW_S - 301).to_string()),
        ("another key's name", |answer| answer.headers[2].1 = "PUB_KEY_ID_02".into()),
    ];
    for (what, spoil) in spoils {
        let platform = Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), move |_, key, serial| {
            let mut answer = signed(key, serial, 200, REFUND)?;
            spoil(&mut answer);
            Some(answer)
        });
        let outcome = platform.client(&PrivateKey::generate()).refund(&refund()).await;
        assert!(matches!(outcome, Err(ClientError::Unknown(Unknown::Verify(_)))), "{what}: {outcome:?}");
        assert_eq!(platform.seen().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_believed() {
    let client = |body: String| fixed(200, &body).client(&PrivateKey::generate());
    for (from, to, field) in [("o|1", "o|2", "out_trade_no"), (MCHID, "1", "mchid")] {
        let outcome = client(ORDER.replace(from, to)).query_by_out_trade_no("o|1").await;
        assert!(matches!(outcome, Err(ClientError::Unknown(Unknown::Mismatch(found))) if found == field));
    }
    for (from, to, field) in
        [("r-1", "r-2", "out_refund_no"), ("\"refund\":100", "\"refund\":1", "amount.refund")]
    {
        let outcome = client(REFUND.replace(from, to)).refund(&refund()).await;
        assert!(matches!(outcome, Err(ClientError::Unknown(Unknown::Mismatch(found))) if found == field));
    }
}

/// A platform in certificate mode, which signs with a certificate that nobody was told of.
fn with_certificates(api_v3_key: &str) -> (Platform, Certificate) {
    let (authority, key) = (Authority::generate("test", NOW_S * 1000).unwrap(), PrivateKey::generate());
    let certificate = authority.issue("platform", &key.public_key(), NOW_S * 1000, 5).unwrap();
    let expired = authority
        .issue("old", &PrivateKey::generate().public_key(), (NOW_S - 200_000_000) * 1000, 5)
        .unwrap();
    let api_v3_key = ApiV3Key::new(api_v3_key).unwrap();
    let entry = |certificate: &Certificate| CertificateEntry {
        serial_no: certificate.serial.to_lowercase(),
        effective_time: "2026-11-23T12:00:00+08:00".into(),
        expire_time: "2031-11-22T12:00:00+08:00".into(),
        encrypt_certificate: Resource::seal(&api_v3_key, None, "certificate", certificate.pem.as_bytes()),
    };
    let list = CertificateList { data: vec![entry(&certificate), entry(&expired)] };
    let list = serde_json::to_string(&list).unwrap();
    let platform = Platform::start(&certificate.serial, key, move |seen, key, serial| {
        let download = seen.target == "/v3/certificates?algorithm_type=RSA";
        signed(key, serial, 200, if download { &list } else { REFUND })
    });
    (platform, certificate)
}

#[tokio::test]
async fn an_unknown_certificate_is_fetched_once() {
    let (platform, certificate) = with_certificates("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb");
    let client = Client::new(platform.config(&PrivateKey::generate(), PlatformKeys::new())).unwrap();
    assert!(client.refund(&refund()).await.is_ok());
    assert!(client.query_refund("r-1").await.is_ok());
    let targets: Vec<String> = platform.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(
        targets,
        [
            "/v3/refund/domestic/refunds",
            "/v3/certificates?algorithm_type=RSA",
            "/v3/refund/domestic/refunds/r-1"
        ]
    );
    assert_eq!(
        client.certificates().await.unwrap(),
        std::slice::from_ref(&certificate),
        "the expired one is left out"
    );
    assert_eq!(client.platform_keys().serials().collect::<Vec<_>>(), [certificate.serial.as_str()]);
}

#[tokio::test]
async fn certificates_under_another_api_v3_key_are_not_believed() {
    let (platform, certificate) = with_certificates("00000000000000000000000000000000");
    let client = Client::new(platform.config(&PrivateKey::generate(), PlatformKeys::new())).unwrap();
    let outcome = client.certificates().await;
    assert!(matches!(outcome, Err(ClientError::Unknown(Unknown::Certificate))), "{outcome:?}");
    match client.refund(&refund()).await {
        Err(ClientError::Unknown(Unknown::Verify(VerifyError::UnknownSerial(serial)))) => {
            assert_eq!(serial, certificate.serial);
        }
        other => panic!("{other:?}"),
    }
    assert!(client.platform_keys().is_empty());
}

#[tokio::test]
async fn what_cannot_be_right_is_never_sent() {
    let platform = fixed(200, "{}");
    let client = platform.client(&PrivateKey::generate());
    let invalid = |outcome: Option<ClientError>| matches!(outcome, Some(ClientError::Invalid(_)));
    assert!(invalid(client.native(&NativeOrder { mchid: "1".into(), ..order() }).await.err()));
    let free = OrderAmount { total: 0, currency: None };
    assert!(invalid(client.native(&NativeOrder { amount: free, ..order() }).await.err()));
    assert!(invalid(client.query_by_out_trade_no("../certificates").await.err()));
    assert!(invalid(client.close("").await.err()));
    assert!(invalid(client.refund(&RefundRequest { out_trade_no: None, ..refund() }).await.err()));
    for (part, total) in [(0, 8800), (8801, 8800), (-1, 8800)] {
        let amount = RefundRequestAmount { refund: part, total, ..refund().amount };
        assert!(invalid(client.refund(&RefundRequest { amount, ..refund() }).await.err()));
    }
    assert!(platform.seen().is_empty());

    let config = || platform.config(&PrivateKey::generate(), PlatformKeys::new());
    for base_url in ["", "ftp://x", "http://u:p@x", "http://x/?a", "http://x/#a", "api.mch.weixin.qq.com"] {
        let config = ClientConfig { base_url: base_url.into(), ..config() };
        assert!(invalid(Client::new(config).err()), "{base_url}");
    }
    for mchid in ["", "19x", "1&a=b"] {
        assert!(invalid(Client::new(ClientConfig { mchid: mchid.into(), ..config() }).err()));
    }
    assert!(invalid(Client::new(ClientConfig { serial_no: "a\"b".into(), ..config() }).err()));
}

#[tokio::test]
async fn a_client_shows_no_secret_in_debug() {
    let platform = fixed(200, "{}");
    let key = PrivateKey::generate();
    let shown = format!("{:?}", platform.client(&key));
    assert!(!shown.contains("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"));
    assert!(shown.contains("[redacted]") && !shown.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_notification_is_opened_with_the_clients_keys() {
    let platform = fixed(200, "{}");
    let client = platform.client(&PrivateKey::generate());
    let body = br#"{"id":"1"}"#;
    let headers = sign_body(&platform.key, "PUB_KEY_ID_01", NOW_S, &nonce(), body);
    // Well signed, so the first complaint is about what it says.
    let outcome = client.open_notification(&headers, body);
    assert!(matches!(outcome, Err(NoticeError::Json(_))));
    let foreign = sign_body(&PrivateKey::generate(), "PUB_KEY_ID_01", NOW_S, &nonce(), body);
    let outcome = client.open_notification(&foreign, body);
    assert!(matches!(outcome, Err(NoticeError::Verify(VerifyError::Signature))));
}

/// Three more tries after pauses that nobody notices.
const QUICK: Retries = Retries {
    times: 3,
    first_pause: std::time::Duration::from_millis(1),
    longest_pause: std::time::Duration::from_millis(2),
};

/// A platform that gives one answer after another, and the last one for ever.
fn in_turn(answers: &'static [(u16, &'static str)]) -> Platform {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), move |_, key, serial| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(answers.len() - 1);
        let (status, body) = answers[turn];
        if status == 0 { None } else { signed(key, serial, status, body) }
    })
}

const BUSY: &str = r#"{"code":"FREQUENCY_LIMITED","message":"m"}"#;
const REFUSED: &str = r#"{"code":"NOT_ENOUGH","message":"m"}"#;

#[tokio::test]
async fn a_call_with_a_number_is_sent_again_with_the_same_body_and_a_new_signature() {
    let platform = in_turn(&[(0, ""), (503, ""), (429, BUSY), (200, REFUND)]);
    let client = platform.client(&PrivateKey::generate()).with_retries(QUICK);
    assert_eq!(client.refund(&refund()).await.unwrap().out_refund_no, "r-1");
    let seen = platform.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|request| request.body == seen[0].body && !request.body.is_empty()));
    let mut nonces: Vec<String> = seen
        .iter()
        .map(|request| Authorization::parse(request.header("authorization").unwrap()).unwrap().nonce_str)
        .collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 4);
}

#[tokio::test]
async fn tries_end_and_the_outcome_stays_unknown() {
    let platform = in_turn(&[(500, "")]);
    let client = platform.client(&PrivateKey::generate()).with_retries(QUICK);
    let outcome = client.close("o|1").await;
    assert!(matches!(outcome, Err(ClientError::Unknown(Unknown::Status { status: 500, .. }))), "{outcome:?}");
    assert_eq!(platform.seen().len(), 4);
}

#[tokio::test]
async fn a_refusal_after_a_try_without_an_answer_does_not_say_that_nothing_was_done() {
    let platform = in_turn(&[(0, ""), (403, REFUSED)]);
    let client = platform.client(&PrivateKey::generate()).with_retries(QUICK);
    match client.refund(&refund()).await {
        Err(ClientError::Unknown(Unknown::Refused { status: 403, body })) => {
            assert_eq!(body.code, "NOT_ENOUGH");
        }
        other => panic!("{other:?}"),
    }
    // A question changes nothing, so whatever it was refused with holds.
    let platform = in_turn(&[(500, ""), (404, r#"{"code":"ORDER_NOT_EXIST"}"#)]);
    let client = platform.client(&PrivateKey::generate()).with_retries(QUICK);
    let outcome = client.query_by_out_trade_no("o|1").await;
    assert!(matches!(outcome, Err(ClientError::Refused { status: 404, .. })), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_get_better_by_itself_is_not_sent_again() {
    for answer in [&[(403_u16, REFUSED)], &[(404, "")], &[(302, "")], &[(408, BUSY)], &[(200, "{}")]] {
        let platform = in_turn(answer);
        let client = platform.client(&PrivateKey::generate()).with_retries(QUICK);
        assert!(client.refund(&refund()).await.is_err());
        assert_eq!(platform.seen().len(), 1, "{answer:?}");
    }
    let platform = in_turn(&[(0, ""), (200, REFUND)]);
    assert!(platform.client(&PrivateKey::generate()).refund(&refund()).await.is_err());
    assert_eq!(platform.seen().len(), 1, "nothing is sent again unless it was asked for");
}

#[tokio::test]
async fn orders_for_pages_apps_and_browsers_carry_what_each_needs() {
    let platform = Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), |request, key, serial| {
        let body = match request.target.as_str() {
            "/v3/pay/transactions/h5" => r#"{"h5_url":"https://pay.example.org/h5"}"#,
            _ => r#"{"prepay_id":"wx1"}"#,
        };
        signed(key, serial, 200, body)
    });
    let key = PrivateKey::generate();
    let client = platform.client(&key);
    let prepaid = client.jsapi(&order(), "o-1").await.unwrap();
    assert_eq!(client.app(&order()).await.unwrap(), prepaid);
    let scene_info = koudai_wechatpay::types::SceneInfo {
        payer_client_ip: Some("203.0.113.7".into()),
        ..Default::default()
    };
    let from_browser = NativeOrder { scene_info: Some(scene_info), ..order() };
    assert!(client.h5(&from_browser, "Wap").await.unwrap().h5_url.ends_with("/h5"));
    assert!(matches!(client.h5(&order(), "Wap").await, Err(ClientError::Invalid(_))));
    assert!(matches!(client.jsapi(&order(), "").await, Err(ClientError::Invalid("openid"))));

    let seen = platform.seen();
    let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["jsapi", "app", "h5"].map(|kind| format!("/v3/pay/transactions/{kind}")));
    let body = |at: usize| serde_json::from_slice::<serde_json::Value>(&seen[at].body).unwrap();
    assert_eq!(body(0)["payer"]["openid"], "o-1");
    assert!(body(1).get("payer").is_none());
    assert_eq!(body(2)["scene_info"]["h5_info"]["type"], "Wap");
    assert_eq!(body(2)["out_trade_no"], order().out_trade_no.as_str());

    let page = client.jsapi_call_up("wx1", &prepaid);
    let text = koudai_wechatpay::message::jsapi("wx1", NOW_S, &page.nonce, "wx1");
    assert_eq!(key.public_key().verify(&text, &page.signature), Ok(()));
    let app = client.app_call_up("wx1", &prepaid);
    assert_eq!((app.partnerid.as_str(), app.prepayid.as_str()), (MCHID, "wx1"));
}

/// A platform whose one bill says this, sent as `file`, under the hash of `says`.
fn bill(says: &[u8], file: Vec<u8>) -> (Platform, BillReply) {
    let platform = Platform::start("PUB_KEY_ID_01", PrivateKey::generate(), move |seen, key, serial| {
        match seen.target.split('?').next().unwrap() {
            "/v3/billdownload/file" => Some(Answer { status: 200, headers: Vec::new(), body: file.clone() }),
            "/v3/bill/fundflowbill" => unsigned(400, r#"{"code":"NO_STATEMENT_EXIST","message":"没有"}"#),
            _ => signed(key, serial, 200, r#"{"hash_type":"SHA1","hash_value":"0","download_url":"x"}"#),
        }
    });
    let mut hash_value = String::new();
    for byte in aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, says).as_ref() {
        write!(hash_value, "{byte:02X}").unwrap();
    }
    let download_url = format!("{}/v3/billdownload/file?token=a_b-c", platform.url);
    let reply = BillReply { hash_type: "SHA1".into(), hash_value, download_url };
    (platform, reply)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_bill_is_applied_for_signed_and_a_day_without_one_is_refused() {
    let (platform, _) = bill(b"", vec![]);
    let client = platform.client(&PrivateKey::generate());
    let reply = client.trade_bill("2026-11-24", &BillType::All, true).await.unwrap();
    assert_eq!(reply.hash_type, "SHA1");
    let seen = platform.seen();
    assert_eq!(seen[0].target, "/v3/bill/tradebill?bill_type=ALL&bill_date=2026-11-24&tar_type=GZIP");
    match client.fund_flow_bill("2026-11-24", &AccountType::Fees, false).await {
        Err(ClientError::Refused { status: 400, body }) => assert_eq!(body.code, "NO_STATEMENT_EXIST"),
        other => panic!("{other:?}"),
    }
    for date in ["", "2026-1-24", "2026-11-2&", "2026-11-24 ", "二〇二六"] {
        let asked = client.trade_bill(date, &BillType::All, false).await;
        assert!(matches!(asked, Err(ClientError::Invalid("bill_date"))), "{date}");
    }
    let other = BillType::Other("ALL&sub_mchid=1".to_owned());
    let asked = client.trade_bill("2026-11-24", &other, false).await;
    assert!(matches!(asked, Err(ClientError::Invalid(_))));
    assert_eq!(platform.seen().len(), 2, "what cannot be is not sent");
}

#[tokio::test]
async fn a_bill_is_believed_for_its_hash_and_nothing_else() {
    let says = "\u{feff}交易时间\r\n".repeat(50_000).into_bytes();
    for file in [says.clone(), gzip(&says)] {
        let (platform, reply) = bill(&says, file.clone());
        let client = platform.client(&PrivateKey::generate());
        let mut out = vec![];
        assert_eq!(client.download_bill(&reply, 1 << 20, &mut out).await.unwrap(), says.len() as u64);
        assert_eq!(out, says);
        assert_eq!(platform.seen()[0].target, "/v3/billdownload/file?token=a_b-c");
        assert!(platform.seen()[0].header("authorization").is_some());
        let most = says.len() as u64 - 1;
        assert!(matches!(client.download_bill(&reply, most, &mut vec![]).await, Err(BillError::TooLarge)));

        let (platform, reply) = bill(b"something else", file.clone());
        let client = platform.client(&PrivateKey::generate());
        assert!(matches!(client.download_bill(&reply, 1 << 20, &mut vec![]).await, Err(BillError::Hash)));

        let (platform, reply) = bill(&says, file[..file.len() - 5].to_vec());
        let client = platform.client(&PrivateKey::generate());
        let cut = client.download_bill(&reply, 1 << 20, &mut vec![]).await;
        assert!(matches!(cut, Err(BillError::Hash | BillError::Write(_))), "{cut:?}");
    }
    for tiny in [&b""[..], b"a", b"\x1F", b"\x1F\x8B"] {
        let (platform, reply) = bill(tiny, tiny.to_vec());
        let client = platform.client(&PrivateKey::generate());
        let _any = client.download_bill(&reply, 10, &mut vec![]).await;
    }
}

#[tokio::test]
async fn a_bill_is_fetched_from_the_platform_alone() {
    let (platform, reply) = bill(b"", vec![]);
    let client = platform.client(&PrivateKey::generate());
    for url in [
        "",
        "/v3/billdownload/file?token=1",
        "https://elsewhere.example/v3/billdownload/file?token=1",
        "file:///etc/passwd",
        &platform.url.replace("http:", "https:"),
        &platform.url.replace("http://", "http://user@"),
    ] {
        let reply = BillReply { download_url: url.to_owned(), ..reply.clone() };
        let got = client.download_bill(&reply, 10, &mut vec![]).await;
        assert!(matches!(got, Err(BillError::Client(ClientError::Invalid("download_url")))), "{url}");
    }
    let other = BillReply { hash_type: "MD5".into(), ..reply };
    let got = client.download_bill(&other, 10, &mut vec![]).await;
    assert!(matches!(got, Err(BillError::Client(ClientError::Invalid("hash_type")))));
    assert!(platform.seen().is_empty(), "nothing was sent");
}

/// Downloads of the certificates that a platform has seen.
fn downloads(platform: &Platform) -> usize {
    platform.seen().iter().filter(|seen| seen.target.starts_with("/v3/certificates")).count()
}

#[tokio::test]
async fn a_name_nobody_knows_is_looked_for_once_a_minute_and_by_one_call_for_all() {
    let (platform, certificate) = with_certificates("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb");
    let client = Client::new(platform.config(&PrivateKey::generate(), PlatformKeys::new())).unwrap();
    let (first, second, third) =
        tokio::join!(client.query_refund("r-1"), client.query_refund("r-1"), client.query_refund("r-1"));
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(downloads(&platform), 1);

    let body = b"{}";
    let forged = |serial: &str| sign_body(&PrivateKey::generate(), serial, NOW_S, &nonce(), body);
    for name in ["ABCD", "ABCE", "PUB_KEY_ID_02"] {
        let outcome = client.receive(&forged(name), body).await;
        assert!(
            matches!(&outcome, Err(NoticeError::Verify(VerifyError::UnknownSerial(n))) if n == name),
            "{outcome:?}"
        );
    }
    assert_eq!(downloads(&platform), 2, "the first of these names was looked for");
    let known = client.receive(&forged(&certificate.serial), body).await;
    assert!(matches!(known, Err(NoticeError::Verify(VerifyError::Signature))), "{known:?}");

    let day = std::time::Duration::from_hours(24);
    assert!(!client.keep_certificates_fresh(day).await.unwrap());
    assert!(client.keep_certificates_fresh(std::time::Duration::ZERO).await.unwrap());
    assert_eq!(downloads(&platform), 3);
}

#[tokio::test]
async fn the_certificate_whose_time_came_last_signs_requests_and_call_ups() {
    let platform = fixed(200, REFUND);
    let (old, new, later) = (PrivateKey::generate(), PrivateKey::generate(), PrivateKey::generate());
    let client = platform.client(&old);
    let client = client.with_next_certificate("AB01", new.clone(), NOW_S).unwrap();
    let client = client.with_next_certificate("AB02", later, NOW_S + 1).unwrap();
    client.query_refund("r-1").await.unwrap();
    let seen = platform.seen().remove(0);
    let authorization = Authorization::parse(seen.header("authorization").unwrap()).unwrap();
    assert_eq!(authorization.serial_no, "AB01");
    assert_eq!(authorization.verify(&new.public_key(), "GET", &seen.target, b""), Ok(()));
    let prepaid = koudai_wechatpay::placing::Prepaid { prepay_id: "wx1".into() };
    let call_up = client.jsapi_call_up("wx1", &prepaid);
    let message = koudai_wechatpay::message::jsapi("wx1", NOW_S, &call_up.nonce, "wx1");
    assert_eq!(new.public_key().verify(&message, &call_up.signature), Ok(()));
    assert!(matches!(
        platform.client(&old).with_next_certificate("no serial", new, 0),
        Err(ClientError::Invalid("serial_no"))
    ));
}
