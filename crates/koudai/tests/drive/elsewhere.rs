//! Another wallet beside the real program, and its people, who do there what they are sent to do: the sandbox Alipay, and a
//! WeChat Pay that is another operator's gateway, behind a sandbox that can fail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use koudai_core::ledger::{ALIPAY_NETWORK, NetworkId, WECHAT_NETWORK};
use koudai_core::rows::{Order, Refund, RefundState, Transfer, TransferState};
use koudai_networks::alipay::sandbox::Movement;
use koudai_networks::issuer::BookKind;
use koudai_networks::issuer::sandbox::test_cards;
use koudai_store::Database;
use serde_json::{Value, json};

use super::{Demo, Phone, Running, http, json_of, koudai, open_sandbox};

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Alipay,
    WeChat,
}

impl Which {
    pub const fn network(self) -> NetworkId {
        match self {
            Self::Alipay => ALIPAY_NETWORK,
            Self::WeChat => WECHAT_NETWORK,
        }
    }

    /// What `/status` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alipay => "alipay",
            Self::WeChat => "wechat",
        }
    }

    /// The word for it in forms.
    pub fn word(self) -> String {
        format!("wallet:{}", self.network().0)
    }

    /// What a browser inside its app says of itself.
    pub const fn app(self) -> &'static str {
        match self {
            Self::Alipay => "Mozilla/5.0 (Linux; Android 15) Mobile AlipayClient/10.8.0",
            Self::WeChat => "Mozilla/5.0 (Linux; Android 15) Mobile MicroMessenger/8.0.62",
        }
    }
}

/// Another wallet's processes, and what they keep.
pub struct Elsewhere {
    root: PathBuf,
    ports: [u16; 2],
    /// What the wallet under test calls.
    sandbox: Option<Running>,
    /// Of a WeChat Pay, the operator whose gateway stands behind the sandbox.
    friend: Option<Demo>,
    pub people: People,
}

/// Somebody who has that wallet.
#[derive(Clone)]
pub struct People {
    which: Which,
    /// The sandbox.
    pub url: String,
    /// Their phone, if their wallet is another operator's.
    them: Option<Phone>,
}

/// Whoever pays there, of the sandbox Alipay.
const PERSON: i64 = 3;

impl Elsewhere {
    /// Starts it. What it keeps stands under `root`, beside the wallet's `data`.
    pub async fn start(which: Which, root: &Path, ports: [u16; 2]) -> Self {
        let root = root.to_owned();
        let people = People { which, url: format!("http://127.0.0.1:{}", ports[0]), them: None };
        let mut there = Self { root, ports, sandbox: None, friend: None, people };
        if which == Which::WeChat {
            let demo = there.start_friend();
            let card = test_cards().iter().find(|card| card.customer == 4).expect("one");
            let them = Phone::register(&demo, &card.phone).await;
            let id = them.bind(card).await;
            them.top_up("all-of-it", &id, "5000").await;
            there.write_the_contract(&demo.address("gateway"));
            (there.friend, there.people.them) = (Some(demo), Some(them));
        }
        there.start_sandbox();
        there
    }

    fn log(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.log"))
    }

    fn start_sandbox(&mut self) {
        let mut command = koudai();
        let listen = format!("127.0.0.1:{}", self.ports[0]);
        match &self.friend {
            None => command.args(["sandbox", "alipay", "--data"]).arg(self.root.join("data/alipay")),
            Some(friend) => command.args(["sandbox", "wechat", "--upstream", &friend.address("gateway")]),
        };
        command.args(["--listen", &listen]);
        self.sandbox = Some(open_sandbox(command, self.ports[0], &self.log("elsewhere")));
    }

    fn start_friend(&self) -> Demo {
        let mut command = Demo::command(&self.friends_data(), self.ports[1], None, &self.log("friend"));
        command.args(["--operator", "邻里钱包"]);
        Demo::of(command, &self.log("friend"))
    }

    fn friends_data(&self) -> PathBuf {
        self.root.join("friend")
    }

    /// Makes the wallet a merchant there, and writes down what it needs to be one.
    fn write_the_contract(&self, gateway: &str) {
        let (data, folder) = (self.friends_data(), self.root.join("wechat"));
        let created =
            ["merchant", "create", "--name", "口袋", "--products", "native,jsapi,h5,transfer", "--data"];
        let created = json_of(koudai().args(created).arg(&data));
        let text = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
        let mchid = text(&created, "mchid");
        let set = |arguments: &[&str]| json_of(koudai().args(arguments).arg(&mchid).arg("--data").arg(&data));
        set(&["merchant", "set", "--transfer-scene", "1000", "--key-mode", "public-key"]);
        let app_secret = text(&set(&["merchant", "app-secret"]), "app_secret");
        std::fs::create_dir(&folder).expect("a folder");
        let write = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).expect("a file");
            std::fs::set_permissions(folder.join(name), Permissions::from_mode(0o600)).expect("its own");
        };
        write("certificate.pem", text(&created, "certificate_pem"));
        write("key.pem", text(&created, "private_key_pem"));
        write("apiv3_key.txt", text(&created, "apiv3_key"));
        write("public_key.pem", text(&created, "platform_public_key_pem"));
        write("app_secret.txt", app_secret);
        let key_id = text(&created, "platform_public_key_id");
        let mut settings = String::new();
        for (name, value) in [
            ("api", self.people.url.as_str()),
            ("sns", &self.people.url),
            ("authorize", gateway),
            ("appid", &text(&created, "appid")),
            ("mchid", &mchid),
            ("certificate", "certificate.pem"),
            ("key", "key.pem"),
            ("apiv3-key", "apiv3_key.txt"),
            ("public-keys", &format!("{key_id} public_key.pem")),
            ("app-secret", "app_secret.txt"),
            ("pay", "native, h5, jsapi"),
            ("payout-scene", "1000"),
            ("payout-report", "活动名称=零钱提现, 奖励说明=提现"),
        ] {
            writeln!(settings, "{name} = {value}").expect("a string takes it");
        }
        write("wechat.conf", settings);
    }

    /// The contract with a WeChat Pay.
    pub fn contract(&self) -> PathBuf {
        self.root.join("wechat/wechat.conf")
    }

    /// What the wallet under test is started with.
    pub fn tell(&self, demo: &mut Command) {
        match self.people.which {
            Which::Alipay => demo.args(["--alipay-url", &self.people.url]),
            Which::WeChat => demo.arg("--wechat").arg(self.contract()),
        };
    }

    /// Ends all of it at once, and starts it again.
    pub fn kill(&mut self) {
        match self.friend.take() {
            None => {
                self.sandbox = None;
                self.start_sandbox();
            }
            // Its own bank and networks go with it.
            Some(friend) => {
                drop(friend);
                self.friend = Some(self.start_friend());
            }
        }
    }

    /// All money that it moved, by the number it was given for it.
    pub async fn lines(&self) -> BTreeMap<String, (BookKind, i64)> {
        let mut lines = BTreeMap::new();
        let mut add = |number: String, kind, minor| {
            let twice = lines.insert(number.clone(), (kind, minor));
            assert!(twice.is_none(), "{:?} has {number} twice", self.people.which);
        };
        if self.friend.is_none() {
            let books =
                http().get(format!("{}/books", self.people.url)).send().await.expect("Alipay answers");
            let books = books.bytes().await.expect("its books");
            for movement in serde_json::from_slice::<Vec<Movement>>(&books).expect("a list") {
                let kind = match movement.kind.as_str() {
                    "pay" => BookKind::Debit,
                    "pay_out" => BookKind::Payout,
                    _ => BookKind::Refund,
                };
                add(movement.number, kind, movement.amount_minor);
            }
            return lines;
        }
        let reader = Database::Directory(self.friends_data()).reader().expect("its database");
        for order in reader.all::<Order>().expect("its orders") {
            if order.paid_at.is_some() {
                add(order.out_trade_no.to_string(), BookKind::Debit, order.amount.minor());
            }
        }
        for refund in reader.all::<Refund>().expect("its refunds") {
            assert_eq!(refund.state, RefundState::Success, "{}", refund.out_refund_no);
            add(refund.out_refund_no, BookKind::Refund, refund.amount.minor());
        }
        for transfer in reader.all::<Transfer>().expect("its transfers") {
            if transfer.state == TransferState::Received {
                add(transfer.out_bill_no, BookKind::Payout, transfer.amount.minor());
            }
        }
        lines
    }
}

impl People {
    /// Somebody goes where an answer or a page sends them, if the way is open, and agrees there. Whether they did.
    pub async fn follow(&self, asked: &Value) -> bool {
        let way = &asked["way"];
        let open = way["kind"].as_str().is_some_and(|kind| kind != "opening");
        open && self.agree(way).await
    }

    /// Somebody agrees to what they were sent to: a payment, or to receive. Whether it could be done.
    pub async fn agree(&self, way: &Value) -> bool {
        let parameters = || {
            let text = way["parameters"].as_str().expect("parameters");
            serde_json::from_str::<Value>(text).expect("JSON")
        };
        let Some(them) = &self.them else {
            let trade = match way["kind"].as_str() {
                Some("scan") => way["code"].clone(),
                Some("call-up") => parameters()["tradeNO"].clone(),
                other => panic!("{other:?} is no way to a payment: {way}"),
            };
            return self.act(&trade, "agree").await;
        };
        let path = match way["kind"].as_str() {
            Some("scan") => {
                let code = way["code"].as_str().expect("a code");
                let Ok(Some(path)) = them.scan(code).await else { return false };
                path
            }
            Some("call-up") if way["call"] == "wechat-pay" => {
                let parameters: BTreeMap<String, String> =
                    serde_json::from_value(parameters()).expect("texts");
                let query = serde_urlencoded::to_string(&parameters).expect("texts");
                let Ok((200, body)) = them.get(&format!("/pay/jsapi?{query}")).await else {
                    return false;
                };
                body["pay"].as_str().expect("a path").to_owned()
            }
            Some("call-up") => {
                let package = parameters()["package"].as_str().expect("an address").to_owned();
                let path = package.find("/transfers/").expect("a transfer's page");
                return matches!(them.post(&package[path..], json!({})).await, Ok((200, _)));
            }
            other => panic!("{other:?} is no way to a payment: {way}"),
        };
        matches!(them.pay(&path, "balance").await, Ok((200, _)))
    }

    /// Somebody comes to a payment, which makes it one that can be ended.
    pub async fn come(&self, way: &Value) {
        if self.them.is_none() {
            assert!(self.act(&way["code"], "come").await, "they come to it");
        }
    }

    async fn act(&self, trade: &Value, act: &str) -> bool {
        let said = json!({"trade": trade, "person": PERSON, "act": act});
        let request = http().post(format!("{}/person/pay", self.url)).body(said.to_string());
        let sent = request.header("content-type", "application/json").send().await;
        sent.is_ok_and(|reply| reply.status().is_success())
    }

    /// Somebody says who they are on the page they were sent to; the path that leads back with it.
    pub async fn say_who(&self, page: &str) -> String {
        let back = match &self.them {
            None => {
                let asked: reqwest::Url = page.parse().expect("an address");
                let mut form: BTreeMap<String, String> = asked.query_pairs().into_owned().collect();
                form.insert("person".to_owned(), PERSON.to_string());
                let request = http().post(page).body(serde_urlencoded::to_string(&form).expect("texts"));
                let request = request.header("content-type", "application/x-www-form-urlencoded");
                let reply = request.send().await.expect("it answers");
                let location = reply.headers().get("location").expect("a way back");
                location.to_str().expect("an address").to_owned()
            }
            Some(them) => {
                let path =
                    page.split('#').next().and_then(|page| page.find("/connect/").map(|at| &page[at..]));
                let (status, body) = them.get(path.expect("its page")).await.expect("an answer");
                assert_eq!(status, 200, "{body}");
                body["redirect"].as_str().expect("a way back").to_owned()
            }
        };
        let at = back.find("/elsewhere/").expect("a page of the wallet's");
        back[at..].to_owned()
    }
}

/// Links what somebody has there to their account here, from inside its app.
pub async fn link(phone: &Phone, there: &People) {
    let inside = phone.inside(there.which.app());
    let network = there.which.network().0;
    let (status, cookies, sent) = inside
        .errand(&format!("/wallets/{network}/link"), Some(json!({"payment_password": super::PIN})))
        .await;
    assert_eq!(status, 200, "{sent}");
    let back = there.say_who(sent["go"].as_str().expect("where to say so")).await;
    let inside = inside.with_cookies(&cookies);
    let (status, ..) = inside.errand(&back, None).await;
    assert!((300..400).contains(&status), "linked: {status}");
}

/// The same person inside the other wallet's app, where it is known who they are.
pub async fn known_inside(phone: &Phone, there: &People) -> Phone {
    let inside = phone.inside(there.which.app());
    let network = there.which.network().0;
    let (status, cookies, sent) = inside.errand(&format!("/elsewhere/{network}/who?next=/"), None).await;
    assert!((300..400).contains(&status), "{sent}");
    let back = there.say_who(sent["location"].as_str().expect("where to say so")).await;
    let (status, cookies, _) = inside.with_cookies(&cookies).errand(&back, None).await;
    assert!((300..400).contains(&status), "known: {status}");
    inside.with_cookies(&cookies)
}
