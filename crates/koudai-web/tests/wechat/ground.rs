//! A platform, somebody with a wallet there, and the operator who is a merchant there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use koudai_core::attempt::Outcome;
use koudai_core::id::{AttemptId, CardId, PersonId};
use koudai_core::login_code::SetAppSecret;
use koudai_core::money::Money;
use koudai_core::rows::{NetworkRefusal, Product};
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_networks::faults::Rule;
use koudai_networks::network::{GiveBack, Invitation, Move, Moved, Network as _, Place, Scene};
use koudai_networks::wechat::sandbox::{SandboxWeChat, serve};
use koudai_networks::wechat::{AccountType, Identity, Payouts, Settings, TransferReport, WeChat};
use koudai_wechatpay::keys::PublicKey;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::rig::{self, OpenSession, PIN, PUBLIC_KEY_ID, Rig, Shop, now_s};

/// How long the wallet's side waits for an answer here.
pub(crate) const HASTE: Duration = Duration::from_millis(1_500);
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const TRANSFER_SCENE: &str = "1000";
/// An address that a phone may have.
pub(crate) const PHONE: Scene = Scene::Phone(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));

/// Withdrawn, or over before anybody paid.
pub(crate) const WITHDRAWN: Moved = Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn));

/// Notices as they came, oldest first.
pub(crate) type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

pub(crate) struct Ground {
    pub(crate) rig: Rig,
    pub(crate) shop: Shop,
    pub(crate) sandbox: SandboxWeChat,
    /// Where the sandbox is.
    pub(crate) url: String,
    pub(crate) wechat: WeChat,
    /// Who has a wallet there, with 1,000 yuan and a card.
    pub(crate) payer: PersonId,
    pub(crate) card: CardId,
    pub(crate) openid: String,
    pub(crate) heard: Heard,
    notices: String,
    wallet: SocketAddr,
    http: reqwest::Client,
    clock: fn() -> i64,
    given: AtomicI64,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self::by(Clock::wall(), now_s).await
    }

    /// With clocks of the test's own, which have to agree: the platform's, and Unix seconds for the wallet's side.
    pub(crate) async fn by(platform: Clock, clock: fn() -> i64) -> Self {
        let rig = Rig::start_unlimited(Reach::Local, platform).await;
        let products = vec![Product::Native, Product::H5, Product::Jsapi, Product::Transfer];
        let shop = rig.shop_with(products).await;
        let scenes = Some(vec![TRANSFER_SCENE.to_owned()]);
        let set = koudai_core::merchant::SetMerchant {
            transfer_scenes: scenes,
            h5_domains: Some(vec!["wallet.example.org".to_owned()]),
            ..rig::set(shop.mchid)
        };
        rig.app.engine.submit(set).await.unwrap();
        let secret_mac = rig.app.networks.vault.app_secret_mac(&shop.appid, SECRET);
        rig.app.engine.submit(SetAppSecret { mchid: shop.mchid, secret_mac }).await.unwrap();
        let (payer, card) = rig.person_with_card().await;
        rig.top_up(payer, card, 100_000).await;
        rig.app.engine.submit(OpenSession(payer, "payer")).await.unwrap();
        let openid = rig.app.networks.vault.openid(&shop.appid, payer);
        let wallet = rig.wallet().await;

        let sandbox = SandboxWeChat::before(&format!("http://{}", rig.address)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, sandbox.clone()));
        let (notices, heard) = ear().await;
        let settings = settings(&rig, &shop, [&url, &url, &url], &notices, clock);
        let wechat = WeChat::new(settings).unwrap();
        Self {
            rig,
            shop,
            sandbox,
            url,
            wechat,
            payer,
            card,
            openid,
            heard,
            notices,
            wallet,
            http: rig::browser(),
            clock,
            given: AtomicI64::new(0),
        }
    }

    /// What the wallet's side is made of here: both modes, everything allowed.
    pub(crate) fn settings(&self) -> Settings {
        settings(&self.rig, &self.shop, [&self.url, &self.url, &self.url], &self.notices, self.clock)
    }

    /// The same in certificate mode, or in public-key mode with these keys.
    pub(crate) fn settings_with(&self, public_keys: Vec<(String, PublicKey)>) -> Settings {
        Settings { certificates: public_keys.is_empty(), public_keys, ..self.settings() }
    }

    /// The wallet's side after a restart.
    pub(crate) fn anew(&self) -> WeChat {
        WeChat::new(self.settings()).unwrap()
    }

    /// A number of the wallet's that was made this long ago.
    pub(crate) fn number_of(&self, ago_ms: i64) -> String {
        let count = self.given.fetch_add(1, Ordering::Relaxed);
        AttemptId((((self.clock)() * 1_000 - ago_ms) << 21) + 16 * count).wire()
    }

    pub(crate) fn number(&self) -> String {
        self.number_of(0)
    }

    pub(crate) fn wrong(&self, rules: &[Rule]) {
        self.sandbox.set_faults(rules.to_vec()).unwrap();
    }

    /// The rules that stand.
    pub(crate) async fn rules(&self) -> Vec<Rule> {
        let reply = self.http.get(format!("{}/faults", self.url)).send().await.unwrap();
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
    }

    pub(crate) async fn debit(&self, number: &str, fen: i64, scene: Scene) -> Moved {
        self.wechat.debit(self.moving(number, fen, Some(scene))).await
    }

    pub(crate) fn moving<'a>(&self, number: &'a str, fen: i64, scene: Option<Scene>) -> Move<'a> {
        let token = Secret::new(self.openid.clone());
        Move { number, token, amount: Money::fen(fen).unwrap(), what_for: "口袋充值", scene }
    }

    pub(crate) fn invitation(&self, number: &str) -> Invitation {
        let now = Timestamp((self.clock)() * 1_000);
        self.wechat.invitations().unwrap().get(number, now).expect("a way to pay is open")
    }

    /// Places an order to be scanned, and has the payer pay it.
    pub(crate) async fn paid(&self, number: &str, fen: i64) -> String {
        assert_eq!(self.debit(number, fen, Scene::Computer).await, Moved::UnderWay);
        let Invitation::Scan(code) = self.invitation(number) else { panic!("a code is scanned") };
        assert_eq!(self.scan_and_pay(&code).await.0, 200);
        succeeded(&self.wechat.query_debit(number).await)
    }

    /// Scans a code as the wallet's camera does, and pays from the balance there.
    pub(crate) async fn scan_and_pay(&self, code: &str) -> (u16, Value) {
        let (status, found) = self.post("/scan", &json!({ "text": code })).await;
        if status != 200 {
            return (status, found);
        }
        self.pay_at(found["pay"].as_str().unwrap()).await
    }

    /// Comes to the payment page by an address, with what a page handed over, and pays.
    pub(crate) async fn come_and_pay(
        &self,
        path: &str,
        parameters: &BTreeMap<String, String>,
    ) -> (u16, Value) {
        let query = serde_urlencoded::to_string(parameters).unwrap();
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let (status, found) = self.get(&path).await;
        if status != 200 {
            return (status, found);
        }
        self.pay_at(found["pay"].as_str().unwrap()).await
    }

    async fn pay_at(&self, path: &str) -> (u16, Value) {
        self.post(path, &json!({ "method": "balance", "payment_password": PIN })).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("http://{}{path}", self.wallet)).bearer_auth("payer");
        let reply = request.header("accept", "application/json").send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("http://{}{path}", self.wallet)).bearer_auth("payer");
        let request = request.header("accept", "application/json").header("content-type", "application/json");
        let reply = request.body(body.to_string()).send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    /// What a call-up hands to the app: which call, and its parameters.
    pub(crate) fn call_up(&self, number: &str) -> (&'static str, BTreeMap<String, String>) {
        let Invitation::CallUp { call, parameters } = self.invitation(number) else { panic!("a call-up") };
        (call, serde_json::from_str(&parameters).unwrap())
    }

    /// Receives the transfer that a call-up leads to.
    pub(crate) async fn receive(&self, number: &str) -> u16 {
        let (call, parameters) = self.call_up(number);
        assert_eq!(call, "wechat-receive");
        let path = parameters["package"].strip_prefix(&*self.rig.app.origin).unwrap().to_owned();
        self.post(&path, &json!({})).await.0
    }

    /// Gives the merchant there some money.
    pub(crate) async fn fill(&self, fen: i64) {
        let number = self.number();
        self.paid(&number, fen).await;
    }
}

/// A refund of `[debited, amount]` fen.
pub(crate) fn back<'a>(number: &'a str, debit: &'a str, debit_ref: &'a str, fen: [i64; 2]) -> GiveBack<'a> {
    let [debited, amount] = fen.map(|fen| Money::fen(fen).unwrap());
    GiveBack { number, debit, debit_ref, debited, amount }
}

/// The network's number of what succeeded.
pub(crate) fn succeeded(moved: &Moved) -> String {
    match moved {
        Moved::Ended(Outcome::Succeeded { network_ref }) => network_ref.clone(),
        other => panic!("{other:?}"),
    }
}

/// What the wallet's side is made of.
fn settings(
    rig: &Rig,
    shop: &Shop,
    [api, authorize, sns]: [&str; 3],
    notices: &str,
    clock: fn() -> i64,
) -> Settings {
    let public = rig.platform_keys().get(PUBLIC_KEY_ID).unwrap().clone();
    Settings {
        api: api.to_owned(),
        authorize: authorize.to_owned(),
        sns: sns.to_owned(),
        notices: notices.to_owned(),
        back: "https://wallet.example/elsewhere/".to_owned(),
        appid: shop.appid.clone(),
        mchid: shop.mchid.wire(),
        identities: vec![Identity { serial: shop.serial.clone(), key: shop.key.clone(), from_s: 0 }],
        api_v3_key: shop.api_v3_key.clone(),
        public_keys: vec![(PUBLIC_KEY_ID.to_owned(), public)],
        certificates: true,
        app_secret: Some(Secret::new(SECRET.to_owned())),
        places: vec![Place::Computer, Place::Phone, Place::Inside],
        payouts: Some(Payouts {
            scene: TRANSFER_SCENE.to_owned(),
            report: vec![TransferReport {
                info_type: "活动名称".to_owned(),
                info_content: "钱包提现".to_owned(),
            }],
            perception: None,
            account: AccountType::Basic,
        }),
        timeout: HASTE,
        clock,
    }
}

/// Keeps what comes to it; where, and what.
async fn ear() -> (String, Heard) {
    let heard = Heard::default();
    let hear = async |State(heard): State<Heard>, headers: HeaderMap, body: Bytes| {
        heard.lock().unwrap().push((headers, body));
    };
    let router = axum::Router::new().fallback(hear).with_state(Arc::clone(&heard));
    (format!("http://{}/notice", rig::served(router).await), heard)
}
