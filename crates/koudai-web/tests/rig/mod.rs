//! A gateway over a real engine in a directory of its own, with nothing else of the world: banks and messages lead to a
//! closed port, and what a bank would say is said by the test.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its own part of the rig")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a failed step is a failed test")]

pub mod differing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::binding::{BankFace, BindingAnswer, RecordBinding, StartBinding};
use koudai_core::card::CardKind;
use koudai_core::id::{CardId, MchId, OrderId, PersonId, RefundId};
use koudai_core::identity::Contact;
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, NetworkId};
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant, SetMerchant};
use koudai_core::money::Money;
use koudai_core::order::PlaceOrder;
use koudai_core::payer_code::{AuthCode, IssuePayerCode, SwitchPayerCodesOn};
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    CertificateKey, CodeKey, CodePurpose, Merchant, MerchantCertificate, NetworkRefusal, OneTimeCode, Order,
    OrderNumber, OutTradeNo, Product, Refund, Session,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{RequestCode, SignIn, code_of};
use koudai_core::state::{Command, Keys, OrStop, Policy, Stop, Tx};
use koudai_core::time::{DAY, Timestamp};
use koudai_core::top_up::StartTopUp;
use koudai_engine::{Clock, Engine, Settings};
use koudai_networks::issuer::IssuerClient;
use koudai_networks::outside::Outside;
use koudai_networks::platform::{Platform, PlatformKey, SigningMode};
use koudai_networks::reconciling::Runs;
use koudai_networks::sms::SmsGateway;
use koudai_networks::vault::{Sealed, Vault};
use koudai_networks::{Health, Networks, Reach};
use koudai_web::App;
use koudai_web::bills::Bills;
use koudai_web::gateway::limits::{Limiter, Limits};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::authorization::Authorization;
use koudai_wechatpay::certificate::{Authority, Certificate};
use koudai_wechatpay::client::{Client, ClientConfig};
use koudai_wechatpay::headers::{PlatformKeys, SignedHeaders, verify_body};
use koudai_wechatpay::keys::PrivateKey;
use koudai_wechatpay::types::{
    CodeOrder, CodePayer, CodeScene, CodeStore, NativeOrder, OrderAmount, RefundRequest, RefundRequestAmount,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0119000000012026112300000000000001";
/// Port 1 is closed on any machine that runs tests.
const NOWHERE: &str = "http://127.0.0.1:1";
pub const PIN: &str = "852016";
/// What everybody has proven to be, as it stands sealed.
pub const IDENTITY: &str = r#"{"name":"王小明","id_number":"11010519491231002X"}"#;

// Making an RSA key takes long in a debug build, so each process makes its few once.
static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::generate("Koudai test authority", now_s() * 1_000).unwrap());
static CERTIFICATE_KEY: LazyLock<PrivateKey> = LazyLock::new(PrivateKey::generate);
static PUBLIC_KEY: LazyLock<PrivateKey> = LazyLock::new(PrivateKey::generate);
static NEXT_KEY: LazyLock<PrivateKey> = LazyLock::new(PrivateKey::generate);
static MERCHANT_KEY: LazyLock<PrivateKey> = LazyLock::new(PrivateKey::generate);

/// Unix seconds, as both sides of the wire have them.
pub fn now_s() -> i64 {
    Clock::wall().now().0 / 1_000
}

/// A merchant with everything it knows.
#[derive(Clone)]
pub struct Shop {
    pub mchid: MchId,
    pub appid: String,
    pub serial: String,
    pub key: PrivateKey,
    pub api_v3_key: ApiV3Key,
}

/// A reply as it came over the wire.
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// Status and code, the two things programs branch on.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The number behind the dash of `Request-ID`.
    pub fn number(&self) -> u32 {
        self.headers["request-id"].rsplit_once('-').unwrap().1.parse().unwrap()
    }
}

/// A running gateway.
pub struct Rig {
    pub app: App,
    pub address: SocketAddr,
    people: AtomicU32,
    cards: AtomicU32,
    _directory: TempDir,
}

impl Rig {
    pub async fn start() -> Self {
        Self::start_with(Reach::Local).await
    }

    pub async fn start_with(reach: Reach) -> Self {
        Self::start_by(reach, Clock::wall()).await
    }

    /// With a clock of the test's own. Merchants' requests are signed by the machine's, and would be refused.
    pub async fn start_by(reach: Reach, clock: Clock) -> Self {
        Self::start_under(Policy::default(), reach, clock).await
    }

    /// With settings of the test's own.
    pub async fn start_under(policy: Policy, reach: Reach, clock: Clock) -> Self {
        Self::begin(policy, Limits::default(), reach, clock).await
    }

    /// Where merchants may ask as often as they like.
    pub async fn start_unlimited(reach: Reach, clock: Clock) -> Self {
        Self::begin(Policy::default(), Limits::NONE, reach, clock).await
    }

    /// Beside networks of the test's own.
    pub async fn start_on(outside: Outside) -> Self {
        Self::furnish(Policy::default(), Limits::default(), Clock::wall(), networks(Reach::Local, outside))
            .await
    }

    async fn begin(policy: Policy, limits: Limits, reach: Reach, clock: Clock) -> Self {
        Self::furnish(policy, limits, clock, networks(reach, nobody())).await
    }

    async fn furnish(policy: Policy, limits: Limits, clock: Clock, networks: Networks) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let engine = Engine::start(&Settings::directory(directory.path()), keys, policy, clock).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = App {
            engine,
            networks: Arc::new(networks),
            bills: Arc::new(Bills::open(&directory.path().join("spool")).unwrap()),
            limiter: Arc::new(Limiter::new(limits)),
            origin: format!("http://{address}").into(),
            operator: "Koudai".into(),
            contact: Some("400-000-0000".into()),
            secure: false,
        };
        let router = koudai_web::gateway::router().with_state(app.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { app, address, people: AtomicU32::new(0), cards: AtomicU32::new(0), _directory: directory }
    }

    /// With a clock that stands at the machine's time until it is set.
    pub async fn by_hand() -> (Self, Clock) {
        let clock = Clock::by_hand(Timestamp(now_s() * 1_000));
        (Self::start_by(Reach::Local, clock.clone()).await, clock)
    }

    /// Serves the wallet too; where.
    pub async fn wallet(&self) -> SocketAddr {
        served(koudai_web::router(self.app.clone())).await
    }

    pub async fn shop(&self) -> Shop {
        self.shop_with(vec![Product::Native]).await
    }

    pub async fn shop_with(&self, products: Vec<Product>) -> Shop {
        let mchid = self.app.engine.submit(NextMerchant).await.unwrap();
        let key = MERCHANT_KEY.clone();
        let issued = AUTHORITY.issue(&mchid.wire(), &key.public_key(), now_s() * 1_000, 5).unwrap();
        let api_v3_key = ApiV3Key::generate();
        let appid = format!("wx{:016}", mchid.0);
        let create = CreateMerchant {
            mchid,
            name: "口袋咖啡".to_owned(),
            appid: appid.clone(),
            products,
            apiv3_key_sealed: self.app.networks.vault.seal(Sealed::ApiV3Key, api_v3_key.expose().as_bytes()),
            certificate: NewCertificate {
                serial: issued.serial.clone(),
                pem: issued.pem,
                not_before: Timestamp(issued.not_before_ms),
                not_after: Timestamp(issued.not_after_ms),
            },
        };
        self.app.engine.submit(create).await.unwrap();
        Shop { mchid, appid, serial: issued.serial, key, api_v3_key }
    }

    /// The code that a phone was sent to sign in.
    pub async fn code_sent(&self, phone: &str) -> String {
        let key = CodeKey { contact: Contact::parse(phone).unwrap(), purpose: CodePurpose::SignIn };
        let wanted = key.clone();
        let row = self.app.engine.read(move |r| r.get::<OneTimeCode>(&wanted)).await.unwrap().unwrap();
        code_of(self.app.engine.keys(), &key, &row.nonce).expose().clone()
    }

    /// A person with this much balance and a payment password.
    pub async fn person(&self, fen: i64) -> PersonId {
        let (person, card) = self.person_with_card().await;
        self.top_up(person, card, fen).await;
        person
    }

    /// Lets a person top up from a card whose bank agrees.
    pub async fn top_up(&self, person: PersonId, card: CardId, fen: i64) {
        let top_up = StartTopUp {
            person,
            number: "top-up-1".to_owned(),
            card,
            at: None,
            amount: Money::fen(fen).unwrap(),
            confirmed: Pin::parse(PIN).unwrap().into(),
        };
        let attempt = self.app.engine.submit(top_up).await.unwrap().id;
        let outcome = Outcome::Succeeded { network_ref: "1".to_owned() };
        self.app.engine.submit(EndAttempt { attempt, outcome }).await.unwrap();
    }

    /// A person with a bound card and a payment password, but no balance.
    pub async fn person_with_card(&self) -> (PersonId, CardId) {
        let person = self.newcomer().await;
        (person, self.bind(person).await)
    }

    /// A person with a payment password, who has neither a card nor a balance.
    pub async fn newcomer(&self) -> PersonId {
        let engine = &self.app.engine;
        let no = self.people.fetch_add(1, Ordering::Relaxed);
        let contact = Contact::parse(&format!("138{no:08}")).unwrap();
        let request = sha256(&no.to_le_bytes());
        engine.submit(RequestCode::new(contact.clone(), request)).await.unwrap();
        let key = CodeKey { contact: contact.clone(), purpose: CodePurpose::SignIn };
        let wanted = key.clone();
        let row = engine.read(move |reader| reader.get::<OneTimeCode>(&wanted)).await.unwrap().unwrap();
        let code = code_of(engine.keys(), &key, &row.nonce);
        let token_hash = sha256(&no.to_be_bytes());
        let person = engine.submit(SignIn::new(contact, code, request, token_hash)).await.unwrap().person;
        engine.submit(SetPaymentPassword { person, pin: Pin::parse(PIN).unwrap() }).await.unwrap();
        person
    }

    /// Binds a card of their own to a person.
    pub async fn bind(&self, person: PersonId) -> CardId {
        self.bind_with(person, vec![]).await
    }

    /// The same, whose network knows it by this token.
    pub async fn bind_with(&self, person: PersonId, token_sealed: Vec<u8>) -> CardId {
        self.bind_at(person, ISSUER_NETWORK, token_sealed).await
    }

    /// The same at a network of the test's own.
    pub async fn bind_at(&self, person: PersonId, network: NetworkId, token_sealed: Vec<u8>) -> CardId {
        let no = self.cards.load(Ordering::Relaxed);
        self.bind_card(person, network, token_sealed, sha256(format!("card {no}").as_bytes())).await
    }

    /// The same, of a card known by this.
    pub async fn bind_card(
        &self,
        person: PersonId,
        network: NetworkId,
        token_sealed: Vec<u8>,
        card_mac: [u8; 32],
    ) -> CardId {
        let engine = &self.app.engine;
        let no = self.cards.fetch_add(1, Ordering::Relaxed);
        let start = StartBinding {
            person,
            number: "binding-1".to_owned(),
            network,
            card_mac,
            bin: "629999".to_owned(),
            last4: format!("{no:04}"),
            identity_mac: sha256(format!("identity {no}").as_bytes()),
            name_masked: "*明".to_owned(),
            id_number_masked: "1****************0".to_owned(),
            identity_sealed: self.app.networks.vault.seal(Sealed::Identity, IDENTITY.as_bytes()),
            age: 30,
            phone_masked: "138****0000".to_owned(),
            kind: CardKind::Debit,
            pin: Pin::parse(PIN),
        };
        let binding = engine.submit(start).await.unwrap().0.id;
        let face = BankFace {
            bank_zh: "测试银行".to_owned(),
            bank_en: "Test Bank".to_owned(),
            kind: CardKind::Debit,
        };
        let answer = BindingAnswer::Bound { face: Some(face), token_sealed };
        let bound = engine.submit(RecordBinding { binding, answer }).await.unwrap();
        bound.card.unwrap()
    }

    /// Lets a person pay an order, by balance or by a card whose bank has not answered yet.
    pub async fn pay(
        &self,
        person: PersonId,
        card: Option<CardId>,
        shop: &Shop,
        out_trade_no: &str,
    ) -> Order {
        let order = self.order(shop, out_trade_no).await.id;
        let pay = Pay { person, order, means: Means::of(card), confirmed: Pin::parse(PIN).unwrap().into() };
        self.app.engine.submit(pay).await.unwrap()
    }

    /// The code that a person shows.
    pub async fn shown(&self, person: PersonId) -> AuthCode {
        let engine = &self.app.engine;
        engine.submit(SwitchPayerCodesOn { person, pin: Pin::parse(PIN).unwrap() }).await.unwrap();
        let random = u64::from_be_bytes(*engine_random().first_chunk().unwrap());
        let code = AuthCode::draw(random);
        engine.submit(IssuePayerCode { person, code: code.clone() }).await.unwrap();
        code
    }

    /// Lets the bank of an order's card payment say that it was done.
    pub async fn bank_pays(&self, order: &Order) {
        let outcome = Outcome::Succeeded { network_ref: "1".to_owned() };
        let end = EndAttempt { attempt: order.attempt.unwrap(), outcome };
        self.app.engine.submit(end).await.unwrap();
    }

    /// The bank refuses for good to take a refund.
    pub async fn bank_refuses_refund(&self, refund_id: &str) {
        let id = RefundId::parse(refund_id).unwrap();
        let refund = self.app.engine.read(move |r| r.get::<Refund>(&id)).await.unwrap().unwrap();
        let outcome = Outcome::Failed(NetworkRefusal::CardNotUsable);
        self.app.engine.submit(EndAttempt { attempt: refund.attempt.unwrap(), outcome }).await.unwrap();
    }

    pub async fn order(&self, shop: &Shop, out_trade_no: &str) -> Order {
        let key = OutTradeNo { mchid: shop.mchid, out_trade_no: out_trade_no.to_owned() };
        let found = self.app.engine.read(move |reader| {
            let id: OrderId = reader.get::<OrderNumber>(&key)?.unwrap().order;
            reader.get::<Order>(&id)
        });
        found.await.unwrap().unwrap()
    }

    /// What an account was credited less what it was debited, in fen.
    pub async fn standing(&self, account: AccountId) -> i64 {
        let row = self.app.engine.read(move |reader| reader.balance(account)).await.unwrap();
        row.map_or(0, |row| row.credits_minor - row.debits_minor)
    }

    pub async fn orders_of_everyone(&self) -> usize {
        self.app.engine.read(|reader| Ok(reader.all::<Order>()?.len())).await.unwrap()
    }

    /// Both platform keys, as merchants hold them.
    pub fn platform_keys(&self) -> PlatformKeys {
        let keys = self.app.networks.platform.keys();
        keys.iter().map(|key| (key.name.as_str(), key.key.public_key())).collect()
    }

    /// The platform certificate that signs now.
    pub fn certificate(&self) -> Certificate {
        let now = self.app.engine.clock().now();
        let signer = self.app.networks.platform.signer(SigningMode::Certificate, now);
        signer.certificate.clone().unwrap()
    }

    /// Makes the next platform certificate, which signs after so many milliseconds.
    pub fn rotate(&self, in_ms: i64) -> Certificate {
        let (platform, now) = (&self.app.networks.platform, self.app.engine.clock().now());
        let certificate = AUTHORITY.issue("Koudai platform", &NEXT_KEY.public_key(), now.0, 5).unwrap();
        let next = PlatformKey {
            name: certificate.serial.clone(),
            key: NEXT_KEY.clone(),
            certificate: Some(certificate.clone()),
            signs_from: now.plus(in_ms),
            retired_at: None,
        };
        let mut keys: Vec<_> = platform.keys().iter().map(|key| PlatformKey::clone(key)).collect();
        keys.push(next);
        platform.replace(keys, now).unwrap();
        certificate
    }

    /// Our own client. In public-key mode it knows that key only; otherwise it knows none and has to fetch.
    pub fn client(&self, shop: &Shop, public_key_mode: bool) -> Client {
        let known = [(PUBLIC_KEY_ID, PUBLIC_KEY.public_key())];
        Client::new(ClientConfig {
            base_url: format!("http://{}", self.address),
            mchid: shop.mchid.wire(),
            serial_no: shop.serial.clone(),
            key: shop.key.clone(),
            api_v3_key: shop.api_v3_key.clone(),
            platform_keys: if public_key_mode { known.into_iter().collect() } else { PlatformKeys::new() },
            platform_serial: public_key_mode.then(|| PUBLIC_KEY_ID.to_owned()),
            clock: now_s,
        })
        .unwrap()
    }

    /// Sends a well-signed request and, for a 2xx, checks the reply's signature.
    pub async fn ask(&self, shop: &Shop, method: &str, target: &str, body: &str) -> Answer {
        self.ask_with(shop, method, target, body, &[]).await
    }

    pub async fn ask_with(
        &self,
        shop: &Shop,
        method: &str,
        target: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let authorization = sign(shop, method, target, body, now_s()).header_value();
        let mut all = vec![("Authorization", authorization.as_str())];
        all.extend(headers);
        let answer = self.send(method, target, &all, body.as_bytes()).await;
        let signed = SignedHeaders::read(|name| answer.headers.get(name).map(String::as_str));
        if (200..300).contains(&answer.status) {
            verify_body(&signed.unwrap(), &self.platform_keys(), now_s(), &answer.body).unwrap();
        } else {
            assert!(signed.is_err(), "errors are not signed");
        }
        answer
    }

    /// Sends bytes as they are, over a connection of its own.
    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let sent = [head.as_bytes(), body].concat();
        // A server that refuses early may close before it has read everything.
        let _broken = stream.write_all(&sent).await;
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        let _reset = tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer in time");
        parse(&all)
    }
}

fn parse(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&all[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: all[end + 4..].to_vec() }
}

/// Signs a request as a merchant.
pub fn sign(shop: &Shop, method: &str, target: &str, body: &str, at_s: i64) -> Authorization {
    let (mchid, nonce) = (shop.mchid.wire(), koudai_wechatpay::nonce());
    Authorization::sign(&shop.key, &mchid, &shop.serial, method, target, at_s, &nonce, body.as_bytes())
}

/// An order of this shop.
pub fn order(shop: &Shop, out_trade_no: &str, fen: i64) -> NativeOrder {
    NativeOrder {
        appid: shop.appid.clone(),
        mchid: shop.mchid.wire(),
        description: "拿铁 大杯".to_owned(),
        out_trade_no: out_trade_no.to_owned(),
        notify_url: "http://localhost:1/notify".to_owned(),
        attach: Some("till 3".to_owned()),
        amount: OrderAmount { total: fen, currency: None },
        ..NativeOrder::default()
    }
}

/// A refund of an order of `total` fen.
pub fn refund(out_trade_no: &str, out_refund_no: &str, fen: i64, total: i64) -> RefundRequest {
    RefundRequest {
        out_trade_no: Some(out_trade_no.to_owned()),
        out_refund_no: out_refund_no.to_owned(),
        amount: RefundRequestAmount { refund: fen, total, currency: "CNY".to_owned(), from: None },
        ..RefundRequest::default()
    }
}

/// A certificate for another key of a shop's, not known to the gateway yet.
pub fn certify(shop: &Shop) -> (Certificate, PrivateKey) {
    let key = NEXT_KEY.clone();
    (AUTHORITY.issue(&shop.mchid.wire(), &key.public_key(), now_s() * 1_000, 5).unwrap(), key)
}

/// One issuer, which nobody reaches.
fn nobody() -> Outside {
    let issuer = IssuerClient::new(
        NOWHERE,
        "koudai",
        MERCHANT_KEY.clone(),
        MERCHANT_KEY.public_key(),
        now_s,
        Duration::from_secs(1),
    );
    Outside::default().with(ISSUER_NETWORK, issuer.unwrap())
}

fn networks(reach: Reach, outside: Outside) -> Networks {
    let (byte, now_ms) = (|byte| Secret::new([byte; 32]), now_s() * 1_000);
    let certificate = AUTHORITY.issue("Koudai platform", &CERTIFICATE_KEY.public_key(), now_ms, 5).unwrap();
    let platform = Platform::new(
        AUTHORITY.clone(),
        (CERTIFICATE_KEY.clone(), certificate),
        (PUBLIC_KEY.clone(), PUBLIC_KEY_ID.to_owned()),
        &[7; 32],
    );
    Networks {
        vault: Arc::new(Vault::new(&byte(4), byte(5), byte(6))),
        platform: platform.unwrap(),
        outside,
        sms: SmsGateway::new(NOWHERE, &Secret::new("token".to_owned())).unwrap().into(),
        mail: None,
        reach,
        health: Health::default(),
        runs: Runs::default(),
    }
}

fn engine_random() -> [u8; 32] {
    *koudai_engine::random_bytes().expose()
}

/// A payment of this much by a code.
pub fn code_order(shop: &Shop, out_trade_no: &str, fen: i64, code: &AuthCode) -> CodeOrder {
    CodeOrder {
        appid: shop.appid.clone(),
        mchid: shop.mchid.wire(),
        description: "一杯咖啡".to_owned(),
        out_trade_no: out_trade_no.to_owned(),
        attach: Some("till 3".to_owned()),
        payer: CodePayer { auth_code: code.expose().to_owned() },
        amount: OrderAmount { total: fen, currency: None },
        scene_info: CodeScene {
            device_id: Some("till-3".to_owned()),
            device_ip: None,
            store_info: CodeStore { id: None, out_id: Some("A1".to_owned()) },
        },
        ..CodeOrder::default()
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

/// What is done to a certificate in a test.
#[derive(Clone, Copy, Debug)]
pub enum Spoil {
    Revoke,
    Expire,
}

/// Withdraws a certificate, as staff would.
pub struct SpoilCertificate {
    pub mchid: MchId,
    pub serial: String,
    pub how: Spoil,
}

impl Command for SpoilCertificate {
    type Reply = ();
    type Refusal = ();

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<()>> {
        let now = tx.now();
        let key = CertificateKey { mchid: self.mchid, serial: self.serial.clone() };
        let row: Option<MerchantCertificate> = tx.rows().merchant_certificate.get(&key).or_stop()?.cloned();
        let mut row = row.expect("the certificate exists");
        match self.how {
            Spoil::Revoke => row.revoked_at = Some(now),
            Spoil::Expire => row.not_after = now.plus(-DAY),
        }
        tx.rows().merchant_certificate.put(row);
        Ok(())
    }
}

/// Serves a router on this machine; where.
pub async fn served(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

/// A browser that shows where it is led instead of going there.
pub fn browser() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().unwrap()
}

/// Looks until something is found. The courier works by itself; only its own pace bounds this.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not happen within ten seconds");
}

/// A change of a merchant that changes nothing yet.
pub const fn set(mchid: MchId) -> SetMerchant {
    SetMerchant {
        mchid,
        products: None,
        h5_domains: None,
        suspended: None,
        public_key_mode: None,
        transfer_scenes: None,
    }
}

/// An order of a shop's, placed past the gateway.
pub fn placed(mchid: MchId, out_trade_no: &str, fen: i64) -> PlaceOrder {
    PlaceOrder {
        mchid,
        appid: format!("wx{:016}", mchid.0),
        out_trade_no: out_trade_no.to_owned(),
        product: Product::Native,
        description: "拿铁 大杯".to_owned(),
        attach: None,
        notify_url: "https://shop.example/notify".to_owned(),
        goods_tag: None,
        detail: None,
        scene_info: None,
        settle_info: None,
        amount: Money::fen(fen).unwrap(),
        time_expire: None,
        meant_for: None,
    }
}

/// Signs somebody in by a token, as a browser that holds it.
pub struct OpenSession(pub PersonId, pub &'static str);

impl Command for OpenSession {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let token_hash = sha256(self.1.as_bytes());
        tx.rows().session.get(&token_hash).or_stop()?;
        let now = tx.now();
        let expires_at = now.plus(tx.policy().session_life_ms);
        tx.rows().session.put(Session {
            token_hash,
            person: self.0,
            device: None,
            proven_at: now,
            may_renew_until: koudai_core::time::Timestamp(0),
            created_at: now,
            expires_at,
        });
        Ok(())
    }
}

/// Freezes somebody, as staff will.
pub struct Freeze(pub PersonId);

impl Command for Freeze {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let mut person = tx.rows().person.get(&self.0).or_stop()?.cloned().ok_or(Refusal::SignedOut)?;
        person.frozen = true;
        tx.rows().person.put(person);
        Ok(())
    }
}

/// The merchant as it stands.
pub async fn merchant_row(rig: &Rig, shop: &Shop) -> Merchant {
    let mchid = shop.mchid;
    rig.app.engine.read(move |reader| reader.get::<Merchant>(&mchid)).await.unwrap().unwrap()
}
