//! The sandbox over a socket, what its people do, and the wallet's client.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use koudai_core::attempt::Outcome;
use koudai_core::id::AttemptId;
use koudai_core::money::Money;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_networks::alipay::sandbox::{APP_ID, SELLER, SandboxAlipay, SandboxSettings, serve, user_id};
use koudai_networks::alipay::{Alipay, Identity, Settings, Trust};
use koudai_networks::network::{GiveBack, Invitation, Move, Moved, Network, Place, Scene};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) const HASTE: Duration = Duration::from_millis(500);
/// Somebody with a phone.
pub(crate) const PHONE: Scene = Scene::Phone(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

/// The clock of this machine.
#[expect(clippy::disallowed_methods, reason = "a test of the wire, where both sides have a clock")]
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Which of the two modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Keys,
    Certificates,
}

pub(crate) struct Fixture {
    _dir: TempDir,
    pub(crate) sandbox: SandboxAlipay,
    pub(crate) url: String,
    pub(crate) client: Alipay,
    given: i64,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::by(Mode::Certificates, "http://127.0.0.1:9/", now).await
    }

    /// One in this mode, that sends its notices there, by this clock of both sides.
    pub(crate) async fn by(mode: Mode, notices: &str, clock: fn() -> i64) -> Self {
        let dir = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = SandboxSettings { clock, ..SandboxSettings::at(&url) };
        let sandbox = SandboxAlipay::open(dir.path(), settings).unwrap();
        tokio::spawn(serve(listener, sandbox.clone()));
        let client = client(&sandbox, &url, mode, notices, clock);
        Self { _dir: dir, sandbox, url, client, given: 0 }
    }

    /// Another client, as after a restart: it remembers nothing.
    pub(crate) fn client_at(&self, mode: Mode, clock: fn() -> i64) -> Alipay {
        client(&self.sandbox, &self.url, mode, "http://127.0.0.1:9/", clock)
    }

    /// A number that was made `ago_ms` ago by the client's clock.
    pub(crate) fn number_of(&mut self, ago_ms: i64) -> String {
        self.number_at(now() - ago_ms)
    }

    pub(crate) fn number_at(&mut self, at: i64) -> String {
        self.given += 1;
        AttemptId((at << 21) + 16 * self.given).wire()
    }

    pub(crate) fn number(&mut self) -> String {
        self.number_of(0)
    }

    /// Has a person do something about a payment: the HTTP status, and what was said.
    pub(crate) async fn person(&self, trade: &str, person: i64, act: &str) -> (u16, Value) {
        let body = json!({ "trade": trade, "person": person, "act": act });
        self.post("/person/pay", &body).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let post = reqwest::Client::new().post(format!("{}{path}", self.url));
        let reply =
            post.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_str(&reply.text().await.unwrap()).unwrap_or_default())
    }

    /// A code that a person shows.
    pub(crate) async fn code(&self, person: i64) -> Secret<String> {
        let (_, said) = self.post("/person/code", &json!({ "person": person })).await;
        Secret::new(said["auth_code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn invited(&self, number: &str) -> Invitation {
        self.client.invitations().unwrap().get(number, Timestamp(0)).expect("a way is open")
    }

    /// Has somebody pay who scans a code, and returns Alipay's number for it.
    pub(crate) async fn paid(&self, number: &str, minor: i64) -> String {
        assert_eq!(self.client.debit(moving(number, minor)).await, Moved::UnderWay);
        assert_eq!(self.person(number, 1, "agree").await.0, 200);
        succeeded(&self.client.query_debit(number).await)
    }

    pub(crate) fn set_faults(&self, rules: &str) {
        self.sandbox.set_faults(serde_json::from_str(rules).unwrap()).unwrap();
    }

    /// How often money moved under this number.
    pub(crate) async fn moved(&self, number: &str) -> usize {
        let all = self.sandbox.movements().await.unwrap();
        all.iter().filter(|movement| movement.number == number).count()
    }
}

pub(crate) fn settings(
    url: &str,
    notices: &str,
    (identity, trust): (Identity, Trust),
    clock: fn() -> i64,
) -> Settings {
    let pays_out = matches!(trust, Trust::Certificates(_));
    Settings {
        gateway: format!("{url}/gateway.do"),
        authorise: format!("{url}/oauth2/publicAppAuthorize.htm"),
        notices: notices.to_owned(),
        back: "http://127.0.0.1:9/back".to_owned(),
        app_id: APP_ID.to_owned(),
        seller: SELLER.to_owned(),
        identity,
        trust,
        places: vec![Place::Computer, Place::Phone, Place::Inside],
        pays_out,
        timeout: HASTE,
        clock,
    }
}

pub(crate) fn client(
    sandbox: &SandboxAlipay,
    url: &str,
    mode: Mode,
    notices: &str,
    clock: fn() -> i64,
) -> Alipay {
    let papers = sandbox.papers();
    let who = match mode {
        Mode::Keys => papers.in_key_mode().unwrap(),
        Mode::Certificates => papers.in_certificate_mode().unwrap(),
    };
    Alipay::new(settings(url, notices, who, clock)).unwrap()
}

pub(crate) fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

/// Who is known to Alipay as this person.
pub(crate) fn token(person: i64) -> Secret<String> {
    Secret::new(user_id(person))
}

pub(crate) fn nobody() -> Secret<String> {
    Secret::new(String::new())
}

/// A payment by whoever scans a code.
pub(crate) fn moving(number: &str, minor: i64) -> Move<'_> {
    Move { number, token: nobody(), amount: fen(minor), what_for: "测试", scene: Some(Scene::Computer) }
}

/// Money to or from a person who is known.
pub(crate) fn with(number: &str, person: i64, minor: i64) -> Move<'_> {
    Move { token: token(person), scene: Some(Scene::Inside), ..moving(number, minor) }
}

pub(crate) fn back<'a>(
    number: &'a str,
    debit: &'a str,
    debit_ref: &'a str,
    [of, minor]: [i64; 2],
) -> GiveBack<'a> {
    GiveBack { number, debit, debit_ref, debited: fen(of), amount: fen(minor) }
}

pub(crate) const fn failed(refusal: NetworkRefusal) -> Moved {
    Moved::Ended(Outcome::Failed(refusal))
}

pub(crate) fn succeeded(moved: &Moved) -> String {
    match moved {
        Moved::Ended(Outcome::Succeeded { network_ref }) => network_ref.clone(),
        other => panic!("{other:?}"),
    }
}
