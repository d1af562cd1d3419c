//! The network over a socket, an inbox for its codes, and the wallet's client.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use koudai_core::attempt::Outcome;
use koudai_core::card::CardKind;
use koudai_core::id::{AttemptId, BindingId};
use koudai_core::money::Money;
use koudai_core::secret::Secret;
use koudai_core::time::{DAY, HOUR};
use koudai_networks::network::{BindingIs, CardDetails, GiveBack, Move, Moved, Network};
use koudai_networks::sms::SmsGateway;
use koudai_networks::unionpay::sandbox::{
    MERCHANT, REQUESTOR, SandboxSettings, SandboxUnionPay, TestCard, serve, test_cards,
};
use koudai_networks::unionpay::{Settings, UnionPay};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::inbox::{INBOX_TOKEN, Message, inbox, listen};

const PATIENCE: Duration = Duration::from_secs(5);
pub(crate) const HASTE: Duration = Duration::from_millis(500);

/// The clock of this machine.
#[expect(clippy::disallowed_methods, reason = "a test of the wire, where both sides have a clock")]
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A clock that is two days ahead.
pub(crate) fn later() -> i64 {
    now() + 2 * DAY
}

/// When a clearing day ends: in about twelve hours, so that none ends during a test.
fn cut() -> i64 {
    (now() + 8 * HOUR + DAY / 2).rem_euclid(DAY) / HOUR * HOUR
}

/// The network with its file, and an inbox for its codes.
pub(crate) struct Fixture {
    _dir: TempDir,
    pub(crate) sandbox: SandboxUnionPay,
    pub(crate) url: String,
    pub(crate) client: UnionPay,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
    /// How many numbers were given out.
    given: i64,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::told_at("http://127.0.0.1:9/").await
    }

    /// One that sends its notices there.
    pub(crate) async fn told_at(notices: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let (inbox_url, messages) = inbox().await;
        let sms = SmsGateway::new(&inbox_url, &Secret::new(INBOX_TOKEN.into())).unwrap();
        let cut = cut();
        let settings =
            SandboxSettings { sms: Some(sms), inbox_url: None, clearing_cut_ms: cut, resend_gap_ms: 0 };
        let sandbox = SandboxUnionPay::open(dir.path(), settings).unwrap();
        let (address, listener) = listen().await;
        tokio::spawn(serve(listener, sandbox.clone()));
        let url = format!("http://{address}");
        let client = client_at(&sandbox, &url, notices, cut, now);
        Self { _dir: dir, sandbox, url, client, messages, given: 0 }
    }

    /// The wallet's client, by another clock.
    pub(crate) fn client_at(&self, clock: fn() -> i64) -> UnionPay {
        client_at(&self.sandbox, &self.url, "http://127.0.0.1:9/", cut(), clock)
    }

    /// A number that was made `ago_ms` ago.
    pub(crate) fn number_of(&mut self, ago_ms: i64) -> String {
        self.given += 1;
        AttemptId(((now() - ago_ms) << 21) + 16 * self.given).wire()
    }

    pub(crate) fn number(&mut self) -> String {
        self.number_of(0)
    }

    pub(crate) fn binding_number(&mut self) -> String {
        self.given += 1;
        BindingId((now() << 21) + 16 * self.given).wire()
    }

    pub(crate) async fn code(&mut self) -> Secret<String> {
        let message = tokio::time::timeout(PATIENCE, self.messages.recv()).await.expect("a message comes");
        let message = message.unwrap();
        assert!(test_cards().iter().any(|card| card.phone == message.to), "it goes to a holder");
        Secret::new(message.code())
    }

    /// Binds a card and returns its token.
    pub(crate) async fn bound(&mut self, card: &TestCard) -> Secret<String> {
        let number = self.binding_number();
        let sent = self.client.bind(&number, details(card)).await;
        assert!(matches!(sent, BindingIs::CodeSent(_)), "{sent:?}");
        let code = self.code().await;
        match self.client.confirm(&number, code).await {
            BindingIs::Bound { token, face: Some(_) } => token,
            other => panic!("{other:?}"),
        }
    }

    /// Pays, and returns the network's own number for it.
    pub(crate) async fn paid(&self, token: &Secret<String>, number: &str, fen: i64) -> String {
        match self.client.debit(moving(token, number, fen)).await {
            Moved::Ended(Outcome::Succeeded { network_ref }) => network_ref,
            other => panic!("{other:?}"),
        }
    }
}

fn client_at(
    sandbox: &SandboxUnionPay,
    url: &str,
    notices: &str,
    clearing_cut_ms: i64,
    clock: fn() -> i64,
) -> UnionPay {
    let papers = sandbox.papers();
    let settings = Settings {
        gateway: format!("{url}/gateway/api/"),
        files: url.to_owned(),
        notices: notices.to_owned(),
        merchant: MERCHANT.to_owned(),
        requestor: REQUESTOR.to_owned(),
        identity: papers.merchant.clone(),
        trust: papers.trust().unwrap(),
        clearing_cut_ms,
        timeout: HASTE,
        clock,
    };
    UnionPay::new(settings).unwrap()
}

pub(crate) fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

pub(crate) fn moving<'a>(token: &Secret<String>, number: &'a str, minor: i64) -> Move<'a> {
    Move { number, token: token.clone(), amount: fen(minor), what_for: "测试", scene: None }
}

pub(crate) fn back<'a>(
    number: &'a str,
    debit: &'a str,
    debit_ref: &'a str,
    [of, minor]: [i64; 2],
) -> GiveBack<'a> {
    GiveBack { number, debit, debit_ref, debited: fen(of), amount: fen(minor) }
}

/// The debit card of a customer.
pub(crate) fn debit_card(customer: u16) -> &'static TestCard {
    test_cards().iter().find(|card| card.customer == customer && card.kind == CardKind::Debit).unwrap()
}

pub(crate) fn credit_card(customer: u16) -> &'static TestCard {
    test_cards().iter().find(|card| card.customer == customer && card.kind == CardKind::Credit).unwrap()
}

pub(crate) fn details(card: &TestCard) -> CardDetails {
    let secret = |text: &str| Secret::new(text.to_owned());
    CardDetails {
        number: secret(&card.number),
        name: secret(&card.name),
        id_number: secret(&card.id_number),
        phone: secret(&card.phone),
        expiry: card.expiry.map(secret),
        cvv: card.cvv.map(secret),
    }
}
