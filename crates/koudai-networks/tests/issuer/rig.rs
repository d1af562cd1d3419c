//! A bank over a socket, an inbox for its codes, and the app's client.

use koudai_core::money::Money;
use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox;
use koudai_networks::issuer::sandbox::{App, BankSettings, SandboxBank, TestCard, Timing, test_cards};
use koudai_networks::issuer::{
    Answer, BindRequest, BindingReply, BindingState, BookKind, DebitReply, IssuerClient, IssuerCode,
    PayoutReply, RefundReply,
};
use koudai_networks::sms::SmsGateway;
use koudai_wechatpay::keys::PrivateKey;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::inbox::{INBOX_TOKEN, Message, inbox, listen};

pub(crate) const APP: &str = "koudai";
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
pub(crate) const HASTE: Duration = Duration::from_millis(400);

#[expect(clippy::disallowed_methods, reason = "a test of the wire, where both sides have a clock")]
pub(crate) fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A bank with its file, an inbox for its codes, and the app's client.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) bank: SandboxBank,
    pub(crate) bank_key: PrivateKey,
    pub(crate) app_key: PrivateKey,
    pub(crate) inbox_url: String,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
    pub(crate) url: String,
    pub(crate) client: IssuerClient,
    pub(crate) timing: Timing,
    pub(crate) server: Server,
}

/// A runtime of the bank's own, so that stopping it drops whatever it was doing.
pub(crate) struct Server(Option<Runtime>);

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(Timing { resend_gap_ms: 0, ..Timing::default() }, PATIENCE).await
    }

    pub(crate) async fn with(timing: Timing, timeout: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let (bank_key, app_key) = (PrivateKey::generate(), PrivateKey::generate());
        let (inbox_url, messages) = inbox().await;
        let bank = open(dir.path(), &bank_key, &app_key, &inbox_url, timing);
        let (url, server) = start(&bank).await;
        let client = client(&url, &app_key, &bank_key, timeout);
        Self { dir, bank, bank_key, app_key, inbox_url, messages, url, client, timing, server }
    }

    /// Stops the bank with everything it holds in memory, and starts it from its file.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// The same, with something done to its directory meanwhile.
    pub(crate) async fn restart_after(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { dir, bank, bank_key, app_key, inbox_url, messages, timing, server, .. } = self;
        drop((server, bank));
        meanwhile(dir.path());
        let bank = open(dir.path(), &bank_key, &app_key, &inbox_url, timing);
        let (url, server) = start(&bank).await;
        let client = client(&url, &app_key, &bank_key, PATIENCE);
        Self { dir, bank, bank_key, app_key, inbox_url, messages, url, client, timing, server }
    }

    pub(crate) async fn message(&mut self) -> Message {
        tokio::time::timeout(PATIENCE, self.messages.recv()).await.expect("a message comes").unwrap()
    }

    /// Binds a card and returns its token.
    pub(crate) async fn bound(&mut self, card_no: u16) -> String {
        let id = format!("bind-{card_no}");
        self.client.bind(&request(&id, card_no)).await.done();
        let code = self.message().await.code();
        token(&self.client.confirm(&id, Secret::new(code)).await.done())
    }

    pub(crate) async fn debit(&self, id: &str, token: &str, minor: i64) -> Answer<DebitReply> {
        self.client.debit(id, Secret::new(token.to_owned()), fen(minor), "测试付款").await
    }

    pub(crate) async fn refund(&self, id: &str, debit_id: &str, minor: i64) -> Answer<RefundReply> {
        self.client.refund(id, debit_id, fen(minor)).await
    }

    pub(crate) async fn pay_out(&self, id: &str, token: &str, minor: i64) -> Answer<PayoutReply> {
        self.client.pay_out(id, Secret::new(token.to_owned()), fen(minor), "测试提现").await
    }

    pub(crate) async fn moved(&self) -> Vec<(BookKind, String, i64)> {
        let lines = self.client.books(0).await.done();
        lines.into_iter().map(|line| (line.kind, line.id, line.amount_minor)).collect()
    }
}

pub(crate) fn open(
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

pub(crate) async fn start(bank: &SandboxBank) -> (String, Server) {
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

pub(crate) fn client(
    url: &str,
    app_key: &PrivateKey,
    bank_key: &PrivateKey,
    timeout: Duration,
) -> IssuerClient {
    IssuerClient::new(url, APP, app_key.clone(), bank_key.public_key(), now_s, timeout).unwrap()
}

pub(crate) fn card(no: u16) -> &'static TestCard {
    &test_cards()[usize::from(no) - 1]
}

pub(crate) fn request(binding_id: &str, card_no: u16) -> BindRequest {
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

pub(crate) fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

pub(crate) fn token(reply: &BindingReply) -> String {
    match &reply.state {
        BindingState::Bound { token, .. } => token.expose().clone(),
        other => panic!("not bound: {other:?}"),
    }
}

pub(crate) fn refused_with<T>(code: IssuerCode) -> Answer<T> {
    Answer::Refused { code, tries_left: None }
}

/// What a test says when an answer is not the one it counts on.
pub(crate) trait Expect<T> {
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
