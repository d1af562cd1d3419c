//! The payer's own page: what it takes to have a code, and what a cashier's scan of it shows.
#![allow(clippy::unwrap_used, reason = "in a test a panic is a finding")]

mod rig;

use std::net::SocketAddr;

use koudai_core::code_payment::TakeByCode;
use koudai_core::id::PersonId;
use koudai_core::money::Money;
use koudai_core::payer_code::AuthCode;
use koudai_core::reversal::ReverseOrder;
use koudai_core::rows::{Order, Product};
use koudai_core::state::Policy;
use koudai_engine::Clock;
use koudai_networks::Reach;
use rig::{PIN, Rig, Shop};
use serde_json::{Value, json};

struct Wallet {
    rig: Rig,
    shop: Shop,
    address: SocketAddr,
    http: reqwest::Client,
}

struct Person {
    id: PersonId,
    token: String,
}

impl Wallet {
    async fn start() -> Self {
        let policy = Policy { reverse_after_ms: 0, ..Policy::default() };
        let rig = Rig::start_under(policy, Reach::Local, Clock::wall()).await;
        let shop = rig.shop_with(vec![Product::CodePay]).await;
        let address = rig.wallet().await;
        Self { rig, shop, address, http: rig::browser() }
    }

    async fn person(&self, phone: &str, fen: i64) -> Person {
        let (_, asked) = self.post(None, "/login/code", json!({"phone": phone})).await;
        let code = self.rig.code_sent(phone).await;
        let shown = json!({"phone": phone, "code": code, "request": asked["request"]});
        let (_, body) = self.post(None, "/login", shown).await;
        let id = PersonId::parse(body["person_id"].as_str().unwrap()).unwrap();
        let person = Person { id, token: body["token"].as_str().unwrap().to_owned() };
        self.post(Some(&person), "/payment-password", json!({"payment_password": PIN})).await;
        if fen > 0 {
            let card = self.rig.bind(id).await;
            self.rig.top_up(id, card, fen).await;
        }
        person
    }

    /// Somebody whose codes are on.
    async fn shower(&self, fen: i64) -> Person {
        let person = self.person("13800138000", fen).await;
        let (status, _) = self.post(Some(&person), "/code/on", json!({"payment_password": PIN})).await;
        assert_eq!(status, 200);
        person
    }

    async fn post(&self, who: Option<&Person>, path: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let request = self.http.post(url).header("accept", "application/json");
        let request = request.header("content-type", "application/json").body(body.to_string());
        let request = match who {
            Some(person) => request.bearer_auth(&person.token),
            None => request,
        };
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    async fn get(&self, who: &Person, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let request = self.http.get(url).header("accept", "application/json").bearer_auth(&who.token);
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    /// A page as a browser sees it: its status, where it leads, and what it says.
    async fn page(&self, who: &Person, path: &str) -> (u16, String, String) {
        let url = format!("http://{}{path}", self.address);
        let cookie = format!("koudai_wallet={}; koudai_lang=en", who.token);
        let reply = self.http.get(url).header("cookie", cookie).send().await.unwrap();
        let to = reply.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (reply.status().as_u16(), to.unwrap_or_default(), reply.text().await.unwrap())
    }

    async fn code(&self, who: &Person) -> AuthCode {
        let (status, body) = self.get(who, "/code").await;
        assert_eq!(status, 200, "{body}");
        AuthCode::parse(body["code"].as_str().unwrap()).unwrap()
    }

    /// A cashier scans.
    async fn scan(&self, who: &Person, number: &str, fen: i64) -> Order {
        let take = TakeByCode {
            mchid: self.shop.mchid,
            appid: self.shop.appid.clone(),
            out_trade_no: number.to_owned(),
            description: "一杯咖啡".to_owned(),
            attach: None,
            goods_tag: None,
            detail: None,
            scene_info: None,
            settle_info: None,
            amount: Money::fen(fen).unwrap(),
            code: self.code(who).await,
        };
        self.rig.app.engine.submit(take).await.unwrap()
    }

    async fn reverse(&self, number: &str) {
        let reverse = ReverseOrder {
            mchid: self.shop.mchid,
            appid: self.shop.appid.clone(),
            out_trade_no: number.to_owned(),
        };
        self.rig.app.engine.submit(reverse).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_time_takes_the_payment_password() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13800138000", 0).await;
    let (status, body) = wallet.get(&person, "/code").await;
    assert_eq!((status, body["code"].as_str()), (409, Some("PAYER_CODE_OFF")));
    let (status, _, html) = wallet.page(&person, "/code").await;
    assert_eq!(status, 200);
    assert!(html.contains("action=\"/code/on\"") && !html.contains("<svg class=\"bars\""));
    let (status, body) = wallet.post(Some(&person), "/code/on", json!({"payment_password": "111222"})).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("PAYMENT_PASSWORD_WRONG")));
    let (status, _) = wallet.post(Some(&person), "/code/on", json!({"payment_password": PIN})).await;
    assert_eq!(status, 200);
    let (status, _, html) = wallet.page(&person, "/code").await;
    assert_eq!(status, 200);
    for piece in [
        "<svg class=\"bars\"",
        "<svg class=\"squares\"",
        "<details class=\"digits\"",
        "http-equiv=\"refresh\"",
    ] {
        assert!(html.contains(piece), "{piece}");
    }
    let (status, _) = wallet.post(Some(&person), "/code/off", json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(wallet.get(&person, "/code").await.0, 409);
}

#[tokio::test]
async fn nobody_else_sees_a_code_or_what_it_paid() {
    let wallet = Wallet::start().await;
    let person = wallet.shower(10_000).await;
    let order = wallet.scan(&person, "order-1", 100).await.id.wire();
    let stranger = wallet.person("13900139000", 0).await;
    assert_eq!(wallet.get(&stranger, &format!("/code/{order}")).await.0, 404);
    assert_eq!(wallet.get(&stranger, "/code/news").await.1["state"], "waiting");
    let body = json!({"method": "balance", "payment_password": PIN});
    let (status, body) = wallet.post(Some(&stranger), &format!("/code/{order}"), body).await;
    assert_eq!((status, body["code"].as_str()), (404, Some("ORDER_UNKNOWN")));
    let (status, _) = wallet.post(Some(&stranger), &format!("/code/{order}/decline"), json!({})).await;
    assert_eq!(status, 404);
    let nobody = Person { id: stranger.id, token: "none".to_owned() };
    assert_eq!(wallet.get(&nobody, "/code").await.0, 401);
    let (status, to, _) = wallet.page(&nobody, "/code").await;
    assert_eq!((status, to.as_str()), (303, "/login?next=/code"));
}

#[tokio::test]
async fn a_small_payment_shows_by_itself_and_the_next_code_is_another() {
    let wallet = Wallet::start().await;
    let person = wallet.shower(10_000).await;
    let first = wallet.code(&person).await;
    assert_eq!(wallet.get(&person, "/code/news?after=").await.1["state"], "waiting");
    let order = wallet.scan(&person, "order-1", 8_800).await.id.wire();
    let (_, news) = wallet.get(&person, "/code/news?after=").await;
    assert_eq!(news, json!({"state": "news", "go": format!("/code/{order}")}));
    assert_eq!(wallet.get(&person, &format!("/code/news?after={order}")).await.1["state"], "waiting");
    let (_, body) = wallet.get(&person, &format!("/code/{order}")).await;
    assert_eq!(
        (body["state"].as_str(), body["record"].as_str()),
        (Some("paid"), Some(&*format!("/records/{order}")))
    );
    let (_, _, html) = wallet.page(&person, "/code").await;
    assert!(
        html.contains(&format!("/code/news?after={order}")) && html.contains("Paid to"),
        "it is said without scripts too"
    );
    assert_ne!(wallet.code(&person).await.expose(), first.expose());
    let (_, records) = wallet.get(&person, "/records").await;
    assert_eq!(records["records"][0]["kind"], "payment");
}

#[tokio::test]
async fn whoever_is_asked_is_led_there_and_confirms_or_refuses() {
    let wallet = Wallet::start().await;
    let person = wallet.shower(500_000).await;
    let order = wallet.scan(&person, "order-1", 100_001).await.id.wire();
    let path = format!("/code/{order}");
    let (status, to, _) = wallet.page(&person, "/code").await;
    assert_eq!((status, to.as_str()), (303, path.as_str()), "a reload leads there");
    let (_, _, html) = wallet.page(&person, &path).await;
    assert!(html.contains("The cashier asks you to pay") && html.contains("data-minor=\"100001\""));
    assert_eq!(wallet.get(&person, &path).await.1["state"], "payable");
    let wrong = json!({"method": "balance", "payment_password": "111222"});
    let (_, body) = wallet.post(Some(&person), &path, wrong).await;
    assert_eq!(body["code"], "PAYMENT_PASSWORD_WRONG");
    let right = json!({"method": "balance", "payment_password": PIN});
    let (status, body) = wallet.post(Some(&person), &path, right).await;
    assert_eq!((status, body["state"].as_str()), (200, Some("paid")));
    assert!(wallet.page(&person, &path).await.2.contains("data-state=\"paid\""));

    let order = wallet.scan(&person, "order-2", 100_001).await.id.wire();
    let path = format!("/code/{order}");
    let (status, _) = wallet.post(Some(&person), &format!("{path}/decline"), json!({})).await;
    assert_eq!(status, 200);
    let (_, body) = wallet.get(&person, &path).await;
    assert_eq!((body["state"].as_str(), body["failure"].as_str()), (Some("failed"), Some("declined")));
    assert!(wallet.page(&person, &path).await.2.contains("You did not pay"));
}

#[tokio::test]
async fn a_cashier_who_cancels_is_heard_of() {
    let wallet = Wallet::start().await;
    let person = wallet.shower(500_000).await;
    let asked = wallet.scan(&person, "order-1", 100_001).await.id.wire();
    wallet.reverse("order-1").await;
    let path = format!("/code/{asked}");
    assert_eq!(wallet.get(&person, &path).await.1["state"], "reversed");
    let html = wallet.page(&person, &path).await.2;
    assert!(html.contains("Cancelled by cashier") && html.contains("Not charged"));
    let confirm = json!({"method": "balance", "payment_password": PIN});
    let (status, body) = wallet.post(Some(&person), &path, confirm).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("ORDER_REVERSED")));
    let paid = wallet.scan(&person, "order-2", 100).await.id.wire();
    wallet.reverse("order-2").await;
    let html = wallet.page(&person, &format!("/code/{paid}")).await.2;
    assert!(html.contains("The money is back in your balance"));
    let (_, records) = wallet.get(&person, "/records").await;
    assert_eq!(records["records"][0]["kind"], "refund");
    assert_eq!(records["records"][1]["state"], "refunded");
}

#[tokio::test]
async fn the_method_is_ones_own_card_or_the_balance() {
    let wallet = Wallet::start().await;
    let person = wallet.shower(0).await;
    let card = wallet.rig.bind(person.id).await.wire();
    for (method, status) in [("balance", 200), (card.as_str(), 200), ("6200", 404), ("", 404)] {
        let (got, _) = wallet.post(Some(&person), "/code/method", json!({"method": method})).await;
        assert_eq!(got, status, "{method}");
    }
    assert_eq!(wallet.get(&person, "/code").await.1["method"], card);
    let order = wallet.scan(&person, "order-1", 100).await;
    let path = format!("/code/{}", order.id.wire());
    assert_eq!(wallet.get(&person, &path).await.1["state"], "pending");
    wallet.rig.bank_pays(&order).await;
    assert_eq!(wallet.get(&person, &path).await.1["state"], "paid");
}
