//! The issuer protocol between a real client and the sandbox bank, over sockets and files.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use koudai_core::money::Money;
use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::{
    self, App, BankError, BankSettings, SandboxBank, TestCard, Timing, test_cards,
};
use koudai_networks::issuer::signing::{NONCE_HEADER, SIGNATURE_HEADER, Signer, TIMESTAMP_HEADER};
use koudai_networks::issuer::{
    Answer, BindRequest, BindingReply, BindingState, BookKind, ClientError, DebitReply, IssuerClient,
    IssuerCode, Outcome, RefundReply, UnbindReply,
};
use koudai_networks::sms::{SmsError, SmsGateway};
use koudai_wechatpay::keys::PrivateKey;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const APP: &str = "koudai";
const PATIENCE: Duration = Duration::from_secs(5);
const HASTE: Duration = Duration::from_millis(400);
const INBOX_TOKEN: &str = "inbox-token-of-the-test";

#[expect(clippy::disallowed_methods, reason = "a test of the wire, where both sides have a clock")]
fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A message as the inbox got it.
struct Message {
    to: String,
    text: String,
}

impl Message {
    /// The first run of six digits.
    fn code(&self) -> String {
        let digits = self.text.split(|c: char| !c.is_ascii_digit());
        digits.into_iter().find(|run| run.len() == 6).unwrap().to_owned()
    }
}

async fn inbox() -> (String, mpsc::UnboundedReceiver<Message>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Message>>,
                      headers: HeaderMap,
                      Json(body): Json<serde_json::Value>| {
        if headers["authorization"] != format!("Bearer {INBOX_TOKEN}") {
            return StatusCode::UNAUTHORIZED;
        }
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        sender.send(Message { to: text("to"), text: text("text") }).ok();
        StatusCode::OK
    };
    let router = axum::Router::new().route("/messages", axum::routing::post(take)).with_state(sender);
    let (address, listener) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/messages"), receiver)
}

async fn listen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// A bank with its file, an inbox for its codes, and the app's client.
struct Fixture {
    dir: TempDir,
    bank: SandboxBank,
    bank_key: PrivateKey,
    app_key: PrivateKey,
    inbox_url: String,
    messages: mpsc::UnboundedReceiver<Message>,
    url: String,
    client: IssuerClient,
    timing: Timing,
    server: Server,
}

/// A runtime of the bank's own, so that stopping it drops whatever it was doing.
struct Server(Option<Runtime>);

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Timing { resend_gap_ms: 0, ..Timing::default() }, PATIENCE).await
    }

    async fn with(timing: Timing, timeout: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let (bank_key, app_key) = (PrivateKey::generate(), PrivateKey::generate());
        let (inbox_url, messages) = inbox().await;
        let bank = open(dir.path(), &bank_key, &app_key, &inbox_url, timing);
        let (url, server) = start(&bank).await;
        let client = client(&url, &app_key, &bank_key, timeout);
        Self { dir, bank, bank_key, app_key, inbox_url, messages, url, client, timing, server }
    }

    /// Stops the bank with everything it holds in memory, and starts it from its file.
    async fn restart(self) -> Self {
        let Self { dir, bank, bank_key, app_key, inbox_url, messages, timing, server, .. } = self;
        drop((server, bank));
        let bank = open(dir.path(), &bank_key, &app_key, &inbox_url, timing);
        let (url, server) = start(&bank).await;
        let client = client(&url, &app_key, &bank_key, PATIENCE);
        Self { dir, bank, bank_key, app_key, inbox_url, messages, url, client, timing, server }
    }

    async fn message(&mut self) -> Message {
        tokio::time::timeout(PATIENCE, self.messages.recv()).await.expect("a message comes").unwrap()
    }

    /// Binds a card and returns its token.
    async fn bound(&mut self, card_no: u16) -> String {
        let id = format!("bind-{card_no}");
        self.client.bind(&request(&id, card_no)).await.done();
        let code = self.message().await.code();
        token(&self.client.confirm(&id, Secret::new(code)).await.done())
    }

    async fn debit(&self, id: &str, token: &str, minor: i64) -> Answer<DebitReply> {
        self.client.debit(id, Secret::new(token.to_owned()), fen(minor), "测试付款").await
    }

    async fn refund(&self, id: &str, debit_id: &str, minor: i64) -> Answer<RefundReply> {
        self.client.refund(id, debit_id, fen(minor)).await
    }

    async fn moved(&self) -> Vec<(BookKind, String, i64)> {
        let lines = self.client.books(0).await.done();
        lines.into_iter().map(|line| (line.kind, line.id, line.amount_minor)).collect()
    }
}

fn open(
    dir: &Path,
    bank_key: &PrivateKey,
    app_key: &PrivateKey,
    inbox_url: &str,
    timing: Timing,
) -> SandboxBank {
    let app = App {
        id: APP.into(),
        name_zh: "口袋钱包".into(),
        name_en: "Koudai".into(),
        key: app_key.public_key(),
    };
    let sms = SmsGateway::new(inbox_url, &Secret::new(INBOX_TOKEN.into())).unwrap();
    let settings = BankSettings { key: bank_key.clone(), app, sms: Some(sms), inbox_url: None, timing };
    SandboxBank::open(dir, settings).unwrap()
}

async fn start(bank: &SandboxBank) -> (String, Server) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bank = bank.clone();
    let (sender, address) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        let (address, listener) = listen().await;
        sender.send(address).unwrap();
        sandbox::serve(listener, bank).await.unwrap();
    });
    (format!("http://{}", address.await.unwrap()), Server(Some(runtime)))
}

fn client(url: &str, app_key: &PrivateKey, bank_key: &PrivateKey, timeout: Duration) -> IssuerClient {
    IssuerClient::new(url, APP, app_key.clone(), bank_key.public_key(), now_s, timeout).unwrap()
}

fn card(no: u16) -> &'static TestCard {
    &test_cards()[usize::from(no) - 1]
}

fn request(binding_id: &str, card_no: u16) -> BindRequest {
    let card = card(card_no);
    let secret = |text: &str| Secret::new(text.to_owned());
    BindRequest {
        binding_id: binding_id.to_owned(),
        card_number: secret(&card.number),
        name: secret(&card.name),
        id_number: secret(&card.id_number),
        phone: secret(&card.phone),
        expiry: card.expiry.map(secret),
        cvv: card.cvv.map(secret),
    }
}

fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

fn token(reply: &BindingReply) -> String {
    match &reply.state {
        BindingState::Bound { token, .. } => token.expose().clone(),
        other => panic!("not bound: {other:?}"),
    }
}

fn refused_with<T>(code: IssuerCode) -> Answer<T> {
    Answer::Refused { code, tries_left: None }
}

/// What a test says when an answer is not the one it counts on.
trait Expect<T> {
    fn done(self) -> T;
    fn code(self) -> IssuerCode;
}

impl<T: std::fmt::Debug> Expect<T> for Answer<T> {
    fn done(self) -> T {
        match self {
            Self::Done(reply) => reply,
            other => panic!("not done: {other:?}"),
        }
    }

    fn code(self) -> IssuerCode {
        match self {
            Self::Refused { code, tries_left: None } => code,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_card_is_bound_debited_refunded_and_unbound() {
    let mut f = Fixture::new().await;
    let reply = f.client.bind(&request("b1", 1)).await.done();
    let BindingState::CodeSent(face) = &reply.state else { panic!("{reply:?}") };
    assert_eq!((face.phone_masked.as_str(), face.last4.as_str()), ("139****0001", "0012"));
    assert_eq!((face.bank_name_zh.as_str(), face.bank_name_en.as_str()), ("沙盒银行", "Sandbox Bank"));

    let message = f.message().await;
    assert_eq!(message.to, "13900000001");
    let code = message.code();
    assert_eq!(
        message.text,
        format!(
            "【沙盒银行】验证码 {code}，用于把尾号 0012 的银行卡添加到口袋钱包，5 分钟内有效。任何人索要都是诈骗。 / \
             Code {code} to add your card ending 0012 to Koudai, valid 5 min. Anyone asking for it is a fraudster."
        )
    );

    let bound = f.client.confirm("b1", Secret::new(code)).await.done();
    let token = token(&bound);
    assert_eq!(token.len(), 22);
    assert_eq!(f.client.binding("b1").await.done(), bound);

    let debit = f.debit("d1", &token, 8_800).await.done();
    assert_eq!(debit.outcome, Outcome::Succeeded);
    assert_eq!(f.client.query_debit("d1").await.done(), debit);
    let refund = f.refund("r1", "d1", 3_000).await.done();
    assert_eq!(refund.outcome, Outcome::Succeeded);
    assert_eq!(f.client.query_refund("r1").await.done(), refund);

    assert_eq!(f.client.unbind(Secret::new(token.clone())).await.done(), UnbindReply::Unbound);
    assert_eq!(f.client.unbind(Secret::new(token.clone())).await.done(), UnbindReply::Unbound);
    assert_eq!(
        f.client.binding("b1").await.done().state,
        BindingState::Failed { code: IssuerCode::TokenUnknown }
    );
    let refused = f.debit("d2", &token, 100).await.done();
    assert_eq!(refused.outcome, Outcome::Refused { code: IssuerCode::TokenUnknown });
    // What was paid before can still be given back.
    assert_eq!(f.refund("r2", "d1", 5_800).await.done().outcome, Outcome::Succeeded);
    assert_eq!(
        f.moved().await,
        [
            (BookKind::Debit, "d1".into(), 8_800),
            (BookKind::Refund, "r1".into(), 3_000),
            (BookKind::Refund, "r2".into(), 5_800)
        ]
    );
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn the_same_request_twice_has_one_effect_and_one_answer() {
    let mut f = Fixture::new().await;
    let first = f.client.bind(&request("b1", 1)).await.done();
    assert_eq!(f.client.bind(&request("b1", 1)).await.done(), first);
    let code = f.message().await.code();
    assert!(f.messages.try_recv().is_err(), "one code only");
    let bound = f.client.confirm("b1", Secret::new(code.clone())).await.done();
    assert_eq!(f.client.confirm("b1", Secret::new(code)).await.done(), bound);
    assert_eq!(f.client.bind(&request("b1", 1)).await.done(), bound);
    let token = token(&bound);

    let debit = f.debit("d1", &token, 500).await.done();
    assert_eq!(f.debit("d1", &token, 500).await.done(), debit);
    let refund = f.refund("r1", "d1", 200).await.done();
    assert_eq!(f.refund("r1", "d1", 200).await.done(), refund);
    let closed = f.client.close_debit("d9").await.done();
    assert_eq!(f.client.close_debit("d9").await.done(), closed);
    assert_eq!(f.moved().await.len(), 2);

    // A refusal is repeated too, even when it would succeed by now.
    f.bank.set_frozen(1, true).await.unwrap();
    let refused = f.debit("d2", &token, 500).await.done();
    assert_eq!(refused.outcome, Outcome::Refused { code: IssuerCode::CardFrozen });
    f.bank.set_frozen(1, false).await.unwrap();
    assert_eq!(f.debit("d2", &token, 500).await.done(), refused);
    assert_eq!(f.client.query_debit("d2").await.done(), refused);
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    assert_eq!(f.client.bind(&request("bind-1", 2)).await.code(), IssuerCode::IdReused);
    let other_phone = BindRequest { phone: Secret::new("13900000009".into()), ..request("bind-1", 1) };
    assert_eq!(f.client.bind(&other_phone).await.code(), IssuerCode::IdReused);

    f.debit("d1", &token, 500).await.done();
    assert_eq!(f.debit("d1", &token, 501).await.code(), IssuerCode::IdReused);
    assert_eq!(f.debit("d1", "another-token", 500).await.code(), IssuerCode::IdReused);
    let other_text = f.client.debit("d1", Secret::new(token.clone()), fen(500), "另一笔").await;
    assert_eq!(other_text.code(), IssuerCode::IdReused);

    f.debit("d2", &token, 500).await.done();
    f.refund("r1", "d1", 100).await.done();
    assert_eq!(f.refund("r1", "d1", 101).await.code(), IssuerCode::IdReused);
    assert_eq!(f.refund("r1", "d2", 100).await.code(), IssuerCode::IdReused);
    assert_eq!(f.moved().await.len(), 3);
}

#[tokio::test]
async fn details_that_differ_from_the_banks_record_are_refused() {
    let mut f = Fixture::new().await;
    let text = |text: &str| Secret::new(text.to_owned());
    let wrong = [
        BindRequest { name: text("王芳"), ..request("m1", 1) },
        BindRequest { id_number: text(&card(7).id_number), ..request("m2", 1) },
        BindRequest { phone: text("13900000002"), ..request("m3", 1) },
        BindRequest { expiry: Some(text("11/30")), ..request("m4", 2) },
        BindRequest { cvv: Some(text("124")), ..request("m5", 2) },
        BindRequest { cvv: None, ..request("m6", 2) },
        request("m7", 4),
    ];
    for request in &wrong {
        assert_eq!(
            f.client.bind(request).await.code(),
            IssuerCode::DetailsMismatch,
            "{}",
            request.binding_id
        );
        // The answer stays, and the query tells it.
        assert_eq!(f.client.bind(request).await.code(), IssuerCode::DetailsMismatch);
        let state = f.client.binding(&request.binding_id).await.done().state;
        assert_eq!(state, BindingState::Failed { code: IssuerCode::DetailsMismatch });
        assert_eq!(f.client.resend(&request.binding_id).await.code(), IssuerCode::DetailsMismatch);
        let confirmed = f.client.confirm(&request.binding_id, text("123456")).await;
        assert_eq!(confirmed.code(), IssuerCode::DetailsMismatch);
    }
    assert!(f.messages.try_recv().is_err(), "nobody got a code");
    assert!(matches!(f.client.bind(&request("ok", 2)).await.done().state, BindingState::CodeSent(_)));
}

#[tokio::test]
async fn an_unknown_card_and_a_frozen_card_are_refused() {
    let mut f = Fixture::new().await;
    let stranger = BindRequest { card_number: Secret::new("6216261000000000018".into()), ..request("u1", 1) };
    assert_eq!(f.client.bind(&stranger).await.code(), IssuerCode::CardUnknown);
    assert_eq!(f.client.bind(&request("u2", 8)).await.code(), IssuerCode::CardFrozen);
    // Whoever does not know the details does not learn that the card is frozen.
    let guess = BindRequest { phone: Secret::new("13900000009".into()), ..request("u3", 8) };
    assert_eq!(f.client.bind(&guess).await.code(), IssuerCode::DetailsMismatch);
    assert!(f.messages.try_recv().is_err());
}

#[tokio::test]
async fn five_wrong_codes_void_the_code_and_another_one_is_sent_on_demand() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 1)).await.done();
    let first = f.message().await.code();
    let wrong = if first == "000000" { "000001" } else { "000000" };
    for left in (0..5).rev() {
        let answer = f.client.confirm("b1", Secret::new(wrong.to_owned())).await;
        assert_eq!(answer, Answer::Refused { code: IssuerCode::CodeWrong, tries_left: Some(left) });
    }
    assert_eq!(f.client.confirm("b1", Secret::new(first)).await.code(), IssuerCode::CodeExpired);
    f.client.resend("b1").await.done();
    let second = f.message().await.code();
    token(&f.client.confirm("b1", Secret::new(second)).await.done());
}

#[tokio::test]
async fn parallel_guesses_do_not_outrun_the_count() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 1)).await.done();
    let right = f.message().await.code();
    let guesses: Vec<_> = (0..20_u32)
        .map(|n| {
            let (client, code) = (f.client.clone(), format!("{n:06}"));
            assert_ne!(code, right, "one in fifty thousand: run again");
            tokio::spawn(async move { client.confirm("b1", Secret::new(code)).await })
        })
        .collect();
    let mut counted = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Answer::Refused { code: IssuerCode::CodeWrong, .. } => counted += 1,
            other => assert_eq!(other, refused_with(IssuerCode::CodeExpired)),
        }
    }
    assert_eq!(counted, 5);
}

#[tokio::test]
async fn a_code_expires_and_may_be_sent_again_only_so_often() {
    let mut f =
        Fixture::with(Timing { code_life_ms: 0, resend_gap_ms: 0, ..Timing::default() }, PATIENCE).await;
    f.client.bind(&request("b1", 1)).await.done();
    let code = f.message().await.code();
    assert_eq!(f.client.confirm("b1", Secret::new(code)).await.code(), IssuerCode::CodeExpired);
    for _ in 0..5 {
        f.client.resend("b1").await.done();
        f.message().await;
    }
    assert_eq!(f.client.resend("b1").await.code(), IssuerCode::TooMany);
    assert!(f.messages.try_recv().is_err());
}

#[tokio::test]
async fn a_code_is_not_sent_again_within_a_minute() {
    let f = Fixture::with(Timing::default(), PATIENCE).await;
    f.client.bind(&request("b1", 1)).await.done();
    assert_eq!(f.client.resend("b1").await.code(), IssuerCode::TooSoon);
}

#[tokio::test]
async fn a_resent_code_replaces_the_one_before() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 1)).await.done();
    let first = f.message().await.code();
    f.client.resend("b1").await.done();
    let second = f.message().await.code();
    if first != second {
        let answer = f.client.confirm("b1", Secret::new(first)).await;
        assert_eq!(answer, Answer::Refused { code: IssuerCode::CodeWrong, tries_left: Some(4) });
    }
    token(&f.client.confirm("b1", Secret::new(second)).await.done());
}

#[tokio::test]
async fn a_debit_needs_money_credit_and_an_amount_within_the_limit() {
    let mut f = Fixture::new().await;
    let refused = |code| Outcome::Refused { code };
    let empty = f.bound(3).await;
    assert_eq!(f.debit("e1", &empty, 1).await.done().outcome, refused(IssuerCode::InsufficientFunds));

    let credit = f.bound(2).await;
    assert_eq!(f.debit("c1", &credit, 1_999_999).await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.debit("c2", &credit, 2).await.done().outcome, refused(IssuerCode::InsufficientFunds));
    assert_eq!(f.debit("c3", &credit, 1).await.done().outcome, Outcome::Succeeded);
    // A refund makes room again.
    f.refund("rc1", "c1", 500).await.done();
    assert_eq!(f.debit("c4", &credit, 500).await.done().outcome, Outcome::Succeeded);

    let rich = f.bound(7).await;
    assert_eq!(f.debit("l1", &rich, 5_000_001).await.done().outcome, refused(IssuerCode::Limit));
    assert_eq!(f.debit("l2", &rich, 5_000_000).await.done().outcome, Outcome::Succeeded);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_said_to_be_so() {
    let mut f = Fixture::new().await;
    assert_eq!(f.client.binding("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.resend("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.confirm("nobody", Secret::new("123456".into())).await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.query_debit("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.query_refund("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.refund("r1", "nobody", 1).await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.unbind(Secret::new("nothing".into())).await.code(), IssuerCode::TokenUnknown);
    assert_eq!(
        f.debit("d0", "nothing", 1).await.done().outcome,
        Outcome::Refused { code: IssuerCode::TokenUnknown }
    );
    // A debit that was refused has nothing to give back.
    assert_eq!(f.refund("r2", "d0", 1).await.code(), IssuerCode::NotFound);

    let token = f.bound(1).await;
    assert_eq!(f.debit("zero", &token, 0).await.code(), IssuerCode::BadRequest);
    let long = "长".repeat(129);
    let answer = f.client.debit("long", Secret::new(token.clone()), fen(1), &long).await;
    assert_eq!(answer.code(), IssuerCode::BadRequest);
    let dollars = Money::new(100, koudai_core::money::Currency::from_code("USD").unwrap()).unwrap();
    let answer = f.client.debit("usd", Secret::new(token.clone()), dollars, "x").await;
    assert_eq!(answer.code(), IssuerCode::BadRequest);
    for id in ["", "a/b", "../debits", "é", &"x".repeat(41)] {
        assert_eq!(f.debit(id, &token, 1).await.code(), IssuerCode::BadRequest, "{id}");
    }
    let letters = BindRequest { card_number: Secret::new("6299990000000000x10".into()), ..request("l1", 1) };
    assert_eq!(f.client.bind(&letters).await.code(), IssuerCode::BadRequest);
    assert!(f.moved().await.is_empty());
}

#[tokio::test]
async fn a_closed_debit_never_succeeds_and_a_paid_one_stays_paid() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    let closed = f.client.close_debit("late").await.done();
    assert_eq!(closed.outcome, Outcome::Refused { code: IssuerCode::Closed });
    assert_eq!(f.debit("late", &token, 500).await.done(), closed);
    assert_eq!(f.debit("late", &token, 700).await.done(), closed);
    assert_eq!(f.client.query_debit("late").await.done(), closed);
    assert_eq!(f.refund("r", "late", 1).await.code(), IssuerCode::NotFound);

    let paid = f.debit("paid", &token, 500).await.done();
    assert_eq!(f.client.close_debit("paid").await.done(), paid);
    assert_eq!(paid.outcome, Outcome::Succeeded);
    assert_eq!(f.moved().await, [(BookKind::Debit, "paid".into(), 500)]);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_debit_races_its_closing_and_both_sides_hear_the_same() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    for n in 0..20 {
        let id = format!("race-{n}");
        let (debit, close) = tokio::join!(f.debit(&id, &token, 100), f.client.close_debit(&id));
        assert_eq!(debit.done(), close.done());
    }
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn the_silent_card_does_the_work_and_never_answers() {
    let mut f = Fixture::with(Timing::default(), HASTE).await;
    let token = f.bound(6).await;
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert_eq!(f.client.query_debit("d1").await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert_eq!(f.client.close_debit("d1").await.done().outcome, Outcome::Succeeded);

    assert_eq!(f.refund("r1", "d1", 200).await, Answer::Unknown);
    assert_eq!(f.client.query_refund("r1").await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.refund("r1", "d1", 200).await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.moved().await, [(BookKind::Debit, "d1".into(), 500), (BookKind::Refund, "r1".into(), 200)]);
}

#[tokio::test]
async fn the_silent_card_closes_the_connection_without_a_word() {
    let mut f =
        Fixture::with(Timing { silence: Duration::from_millis(50), ..Timing::default() }, PATIENCE).await;
    let token = f.bound(6).await;
    let started = Instant::now();
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert!(started.elapsed() < PATIENCE, "cut, not timed out");
    assert_eq!(f.client.query_debit("d1").await.done().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_late_card_does_the_work_at_once() {
    let mut f = Fixture::with(Timing { late: Duration::from_secs(12), ..Timing::default() }, HASTE).await;
    let token = f.bound(5).await;
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert_eq!(f.client.query_debit("d1").await.done().outcome, Outcome::Succeeded);

    let mut f =
        Fixture::with(Timing { late: Duration::from_millis(50), ..Timing::default() }, PATIENCE).await;
    let token = f.bound(5).await;
    let started = Instant::now();
    assert_eq!(f.debit("d1", &token, 500).await.done().outcome, Outcome::Succeeded);
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn the_bank_keeps_everything_over_a_restart() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    let debit = f.debit("d1", &token, 500).await.done();
    let refund = f.refund("r1", "d1", 200).await.done();
    let closed = f.client.close_debit("d2").await.done();
    f.client.bind(&request("b2", 2)).await.done();
    let code = f.message().await.code();
    let books = f.client.books(0).await.done();

    let mut f = f.restart().await;
    assert_eq!(f.client.query_debit("d1").await.done(), debit);
    assert_eq!(f.debit("d1", &token, 500).await.done(), debit);
    assert_eq!(f.debit("d1", &token, 501).await.code(), IssuerCode::IdReused);
    assert_eq!(f.refund("r1", "d1", 200).await.done(), refund);
    assert_eq!(f.debit("d2", &token, 500).await.done(), closed);
    assert_eq!(f.client.books(0).await.done(), books);
    // The code sent before still counts, and the token from before still pays.
    let bound = f.client.confirm("b2", Secret::new(code)).await.done();
    assert!(matches!(bound.state, BindingState::Bound { .. }));
    assert_eq!(f.debit("d3", &token, 100).await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.client.books(books[1].no).await.done().len(), 1);
    assert!(f.bank.books_agree().await.unwrap());
    assert!(f.messages.try_recv().is_err());
}

#[tokio::test]
async fn a_second_bank_in_the_same_directory_is_refused() {
    let f = Fixture::new().await;
    let app =
        App { id: APP.into(), name_zh: String::new(), name_en: String::new(), key: f.app_key.public_key() };
    let settings =
        BankSettings { key: f.bank_key.clone(), app, sms: None, inbox_url: None, timing: Timing::default() };
    assert!(matches!(SandboxBank::open(f.dir.path(), settings), Err(BankError::Store(_))));
}

#[tokio::test]
async fn nothing_a_holder_typed_is_in_the_banks_file_but_what_the_bank_knew() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 2)).await.done();
    let mut code = f.message().await.code();
    while test_cards().iter().any(|card| card.number.contains(&code)) {
        f.client.resend("b1").await.done();
        code = f.message().await.code();
    }
    let token = token(&f.client.confirm("b1", Secret::new(code.clone())).await.done());
    f.debit("d1", &token, 500).await.done();
    for file in std::fs::read_dir(f.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for text in [code.as_str(), "12/30", &card(2).id_number, &card(2).name, "13900000001"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
    }
}

#[tokio::test]
async fn refunds_never_exceed_the_debit_however_many_come_at_once() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    f.debit("d1", &token, 10_000).await.done();
    let refunds: Vec<_> = (0..100)
        .map(|n| {
            let client = f.client.clone();
            tokio::spawn(async move { client.refund(&format!("r{n}"), "d1", fen(300)).await })
        })
        .collect();
    let mut given_back = 0;
    for refund in refunds {
        match refund.await.unwrap().done().outcome {
            Outcome::Succeeded => given_back += 300,
            Outcome::Refused { code } => assert_eq!(code, IssuerCode::Limit),
        }
    }
    assert_eq!(given_back, 9_900);
    assert_eq!(f.refund("rest", "d1", 100).await.done().outcome, Outcome::Succeeded);
    let back: i64 = f.moved().await.iter().filter(|line| line.0 == BookKind::Refund).map(|line| line.2).sum();
    assert_eq!(back, 10_000);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn the_books_are_read_page_by_page() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    for n in 0..205 {
        f.debit(&format!("d{n}"), &token, 1).await.done();
    }
    let first = f.client.books(0).await.done();
    assert_eq!(first.len(), 200);
    let second = f.client.books(first[199].no).await.done();
    assert_eq!(
        second.iter().map(|line| line.id.as_str()).collect::<Vec<_>>(),
        ["d200", "d201", "d202", "d203", "d204"]
    );
    assert!(f.client.books(second[4].no).await.done().is_empty());
}

/// Sends one request as it is given, signed or not.
async fn raw(method: &str, url: &str, authorization: Option<String>, body: &str) -> (u16, serde_json::Value) {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url).body(body.to_owned());
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    for name in [TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER] {
        assert!(response.headers().contains_key(name), "every answer is signed");
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

    // The client hears of it too: from its own key being wrong, and not from its clock being wrong, which makes the
    // reply as untrustworthy as the request.
    let thief = client(&f.url, &PrivateKey::generate(), &f.bank_key, PATIENCE);
    assert_eq!(thief.query_debit("d1").await.code(), IssuerCode::SignError);
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
        let signature = Signer::new(liar.key).sign_reply(at, nonce, body.as_bytes());
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

#[tokio::test]
async fn no_connection_is_not_sent_and_a_cut_one_is_unknown() {
    let (key, app_key) = (PrivateKey::generate(), PrivateKey::generate());
    let (address, listener) = listen().await;
    let client = client(&format!("http://{address}"), &app_key, &key, HASTE);
    tokio::spawn(async move {
        // One connection is accepted and dropped, then nobody listens.
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap();
    });
    assert_eq!(client.query_debit("d1").await, Answer::Unknown);
    assert_eq!(client.query_debit("d1").await, Answer::NotSent);
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

#[tokio::test]
async fn the_message_gateway_is_told_who_asks_and_its_refusals_are_errors() {
    let (url, mut messages) = inbox().await;
    let gateway = SmsGateway::new(&url, &Secret::new(INBOX_TOKEN.into())).unwrap();
    gateway.send("13800138000", "你好").await.unwrap();
    let message = messages.recv().await.unwrap();
    assert_eq!((message.to.as_str(), message.text.as_str()), ("13800138000", "你好"));
    assert!(!format!("{gateway:?}").contains(INBOX_TOKEN));

    let stranger = SmsGateway::new(&url, &Secret::new("wrong".into())).unwrap();
    assert!(matches!(stranger.send("1", "x").await, Err(SmsError::Refused(401))));
    let (address, listener) = listen().await;
    drop(listener);
    let nobody = SmsGateway::new(&format!("http://{address}/"), &Secret::new("t".into())).unwrap();
    assert!(matches!(nobody.send("1", "x").await, Err(SmsError::NoAnswer(_))));
    assert!(SmsGateway::new("file:///x", &Secret::new("t".into())).is_err());
    assert!(SmsGateway::new(&url, &Secret::new("a\nb".into())).is_err());
}

#[tokio::test]
async fn the_page_shows_every_card_in_the_readers_language() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    f.debit("d-on-the-page", &token, 8_800).await.done();
    let get = async |path: &str, language: &str| {
        let url = format!("{}{path}", f.url);
        let response =
            reqwest::Client::new().get(url).header("accept-language", language).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    };
    let (zh, en) = (get("/", "zh-CN").await, get("/", "en-GB,en").await);
    for card in test_cards() {
        for page in [&zh, &en] {
            assert!(page.contains(&card.id_number) && page.contains(&card.phone), "card {}", card.no);
        }
    }
    assert!(zh.contains("¥49,912.00") && zh.contains("d-on-the-page") && zh.contains("data-minor=\"8800\""));
    assert!(zh.contains("身份证号") && en.contains("Card number") && !en.contains("身份证号"));
    assert!(zh.contains("<span>6299</span><span>9900</span>"));
    assert!(get("/style.css", "").await.contains("--pocket"));
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

async fn tell(f: &Fixture, rules: &str) -> StatusCode {
    let told =
        reqwest::Client::new().put(format!("{}/faults", f.url)).header("content-type", "application/json");
    told.body(rules.to_owned()).send().await.unwrap().status()
}

#[tokio::test]
async fn each_fault_is_met_once_and_the_next_try_finds_the_money_moved_once_or_not_at_all() {
    let mut f = Fixture::with(Timing { resend_gap_ms: 0, ..Timing::default() }, HASTE).await;
    let token = f.bound(1).await;
    // What goes wrong, what the first try is taken for, and whether the bank has done it by then.
    let cases = [
        (r#""fault":"refuse","code":"LIMIT""#, refused_with(IssuerCode::Limit), false),
        (r#""fault":"delay","ms":2000"#, Answer::Unknown, true),
        (r#""fault":"drop""#, Answer::Unknown, true),
        (r#""fault":"garbage""#, Answer::Unknown, true),
        (r#""fault":"down""#, Answer::Unknown, false),
    ];
    for (n, (fault, first, done)) in cases.into_iter().enumerate() {
        let id = format!("d{n}");
        let rules = format!(r#"[{{"call":"debit",{fault},"times":1}}]"#);
        assert_eq!(tell(&f, &rules).await, StatusCode::NO_CONTENT);
        assert_eq!(f.debit(&id, &token, 100).await, first, "{fault}");
        let found = f.client.query_debit(&id).await;
        assert_eq!(matches!(found, Answer::Done(_)), done, "{fault}: {found:?}");
        assert_eq!(f.debit(&id, &token, 100).await.done().outcome, Outcome::Succeeded, "{fault}");
    }
    assert_eq!(tell(&f, r#"[{"call":"debit","fault":"twice","times":1}]"#).await, StatusCode::NO_CONTENT);
    assert_eq!(f.debit("d5", &token, 100).await.done().outcome, Outcome::Succeeded);
    for rules in [r#"[{"call":"moon","fault":"drop"}]"#, r#"[{"fault":"refuse","code":"MOON_PHASE"}]"#] {
        assert_eq!(tell(&f, rules).await, StatusCode::UNPROCESSABLE_ENTITY, "{rules}");
    }
    let ids: Vec<_> = f.moved().await.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids, ["d0", "d1", "d2", "d3", "d4", "d5"], "each once");
    assert!(f.bank.books_agree().await.unwrap());
}
