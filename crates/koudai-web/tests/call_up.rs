//! From a merchant's page, app or link to the payment page and back, as a browser goes.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::net::SocketAddr;

use koudai_core::id::PersonId;
use koudai_core::merchant::SetMerchant;
use koudai_core::order::{CloseOrder, PlaceOrder};
use koudai_core::rows::{Order, Product};
use koudai_core::time::{HOUR, MINUTE, Timestamp};
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_networks::platform::token_text;
use koudai_wechatpay::message;
use rig::{OpenSession, PIN, Rig, Shop, Spoil, SpoilCertificate};
use serde_json::{Value, json};

const PAGE: &str = "https://shop.example.org/cart?id=7#pay";

/// A wallet with a merchant that may do everything and has registered its domain, and two people.
struct Wallet {
    rig: Rig,
    shop: Shop,
    payer: PersonId,
    address: SocketAddr,
    http: reqwest::Client,
    clock: Clock,
}

/// What a browser got.
struct Got {
    status: u16,
    location: String,
    cookie: String,
    text: String,
}

impl Wallet {
    async fn start() -> Self {
        Self::start_with(Reach::Public).await
    }

    async fn start_with(reach: Reach) -> Self {
        let clock = Clock::by_hand(Timestamp(rig::now_s() * 1_000));
        let rig = Rig::start_by(reach, clock.clone()).await;
        let shop = rig.shop_with(vec![Product::Native, Product::Jsapi, Product::App, Product::H5]).await;
        let (payer, other) = (rig.person(10_000).await, rig.person(10_000).await);
        for (person, token) in [(payer, "payer"), (other, "other")] {
            rig.app.engine.submit(OpenSession(person, token)).await.unwrap();
        }
        let address = rig.wallet().await;
        let wallet = Self { rig, shop, payer, address, http: rig::browser(), clock };
        wallet.register(&["shop.example.org"]).await;
        wallet
    }

    async fn register(&self, domains: &[&str]) {
        let set = SetMerchant {
            h5_domains: Some(domains.iter().map(|&domain| domain.to_owned()).collect()),
            ..rig::set(self.shop.mchid)
        };
        self.rig.app.engine.submit(set).await.unwrap();
    }

    async fn place(&self, number: &str, product: Product) -> Order {
        let order = PlaceOrder {
            product,
            notify_url: "https://shop.example.org/notify".to_owned(),
            meant_for: (product == Product::Jsapi).then_some(self.payer),
            ..rig::placed(self.shop.mchid, number, 880)
        };
        self.rig.app.engine.submit(order).await.unwrap()
    }

    fn prepay_id(&self, order: &Order) -> String {
        self.rig.app.networks.vault.prepay_id(&order.code)
    }

    fn now_s(&self) -> i64 {
        self.clock.now().0 / 1_000
    }

    /// What a merchant's page passes on, signed.
    fn jsapi(&self, order: &Order, at_s: i64) -> Vec<(&'static str, String)> {
        let (appid, prepay_id) = (&self.shop.appid, self.prepay_id(order));
        let signed = message::jsapi(appid, at_s, "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", &prepay_id);
        vec![
            ("appId", appid.clone()),
            ("timeStamp", at_s.to_string()),
            ("nonceStr", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS".to_owned()),
            ("package", format!("prepay_id={prepay_id}")),
            ("signType", "RSA".to_owned()),
            ("paySign", self.shop.key.sign(&signed)),
            ("return_url", PAGE.to_owned()),
        ]
    }

    /// What a merchant's app passes on, signed.
    fn app(&self, order: &Order) -> Vec<(&'static str, String)> {
        let (appid, prepay_id, at_s) = (&self.shop.appid, self.prepay_id(order), self.now_s());
        let signed = message::app(appid, at_s, "1101000000140429eb40476f8896f4c9", &prepay_id);
        vec![
            ("appid", appid.clone()),
            ("partnerid", self.shop.mchid.wire()),
            ("prepayid", prepay_id),
            ("package", "Sign=WXPay".to_owned()),
            ("noncestr", "1101000000140429eb40476f8896f4c9".to_owned()),
            ("timestamp", at_s.to_string()),
            ("sign", self.shop.key.sign(&signed)),
            ("return_url", PAGE.to_owned()),
        ]
    }

    fn h5(&self, order: &Order, until: Timestamp, redirect_url: &str) -> String {
        let ticket = self.rig.app.networks.vault.h5_ticket(&order.code, until);
        let more = serde_urlencoded::to_string([("redirect_url", redirect_url)]).unwrap();
        format!("/pay/h5?prepay_id={}&package={ticket}&{more}", self.prepay_id(order))
    }

    async fn get(&self, path: &str, cookies: &str) -> Got {
        let request = self.http.get(format!("http://{}{path}", self.address));
        let reply = request.header("cookie", cookies).header("accept-language", "en").send().await.unwrap();
        let header = |name| {
            reply.headers().get(name).map_or("", |v: &reqwest::header::HeaderValue| v.to_str().unwrap())
        };
        let (location, cookie) = (header("location").to_owned(), header("set-cookie").to_owned());
        Got { status: reply.status().as_u16(), location, cookie, text: reply.text().await.unwrap() }
    }

    async fn call(&self, path: &str, parameters: &[(&'static str, String)]) -> Got {
        let query = serde_urlencoded::to_string(parameters).unwrap();
        self.get(&format!("{path}?{query}"), "").await
    }

    async fn pay(&self, path: &str, token: &str) -> (u16, Value) {
        let body = json!({ "method": "balance", "payment_password": PIN }).to_string();
        let request = self.http.post(format!("http://{}{path}", self.address)).bearer_auth(token);
        let request = request.header("accept", "application/json").header("content-type", "application/json");
        let reply = request.body(body).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }
}

/// The cookies of a browser with this session that took what it was given.
fn cookies(session: &str, given: &str) -> String {
    format!("koudai_wallet={session}; {}", given.split(';').next().unwrap())
}

fn is_refused(got: &Got, code: &str) {
    assert!(got.text.contains(&format!("data-refusal=\"{code}\"")), "{code}: {} {}", got.status, got.text);
    assert!(got.cookie.is_empty() && got.location.is_empty());
}

#[tokio::test]
async fn a_page_calls_up_its_order_and_gets_its_payer_back_with_the_outcome() {
    let wallet = Wallet::start().await;
    let order = wallet.place("JSAPI-0001", Product::Jsapi).await;
    let called = wallet.call("/pay/jsapi", &wallet.jsapi(&order, wallet.now_s())).await;
    let path = format!("/pay/{}", token_text(&order.code));
    assert_eq!((called.status, &called.location), (303, &path), "{}", called.text);
    assert!(called.cookie.contains(&format!("Path={path};")) && called.cookie.contains("HttpOnly"));

    let browser = cookies("payer", &called.cookie);
    let page = wallet.get(&path, &browser).await;
    let back = |word: &str| {
        format!("href=\"https://shop.example.org/cart?id=7&#38;get_brand_wcpay_request={word}#pay\"")
    };
    assert!(page.text.contains(&back("cancel")) && page.text.contains("Cancel and go back"), "{}", page.text);
    let (status, paid) = wallet.pay(&path, "payer").await;
    assert_eq!((status, &paid["state"]), (200, &json!("paid")), "{paid}");
    let result = wallet.get(&path, &browser).await;
    assert!(result.text.contains(&back("ok")), "{}", result.text);

    let closed = wallet.place("JSAPI-0002", Product::Jsapi).await;
    let called = wallet.call("/pay/jsapi", &wallet.jsapi(&closed, wallet.now_s())).await;
    let close = CloseOrder { mchid: wallet.shop.mchid, out_trade_no: "JSAPI-0002".to_owned() };
    wallet.rig.app.engine.submit(close).await.unwrap();
    let result = wallet.get(&called.location, &cookies("payer", &called.cookie)).await;
    assert!(result.text.contains(&back("fail")), "{}", result.text);
}

#[tokio::test]
async fn only_the_person_an_order_is_meant_for_sees_or_pays_it() {
    let wallet = Wallet::start().await;
    let order = wallet.place("JSAPI-0001", Product::Jsapi).await;
    let called = wallet.call("/pay/jsapi", &wallet.jsapi(&order, wallet.now_s())).await;
    let path = called.location;
    let seen = wallet.get(&path, &cookies("other", &called.cookie)).await;
    is_refused(&seen, "ORDER_FOR_ANOTHER");
    assert_eq!(seen.status, 403);
    assert!(!seen.text.contains("拿铁") && !seen.text.contains("JSAPI-0001"));
    let (status, refused) = wallet.pay(&path, "other").await;
    assert_eq!((status, &refused["code"]), (403, &json!("ORDER_FOR_ANOTHER")));
    assert_eq!(refused["money_moved"], "no");
    let signed_out = wallet.get(&path, "").await;
    assert_eq!((signed_out.status, signed_out.location), (303, format!("/login?next={path}")));
    assert_eq!(wallet.pay(&path, "payer").await.0, 200);
    let (_, after) = wallet.pay(&path, "other").await;
    assert_eq!(after["code"], "ORDER_FOR_ANOTHER", "however it went");
}

#[tokio::test]
async fn a_call_up_whose_signature_does_not_fit_every_part_is_refused() {
    let wallet = Wallet::start().await;
    let (order, other) =
        (wallet.place("JSAPI-0001", Product::Jsapi).await, wallet.place("JSAPI-0002", Product::Jsapi).await);
    let (app, native) =
        (wallet.place("APP-0001", Product::App).await, wallet.place("NATIVE-01", Product::Native).await);
    let good = wallet.jsapi(&order, wallet.now_s());
    let stamp = wallet.now_s();
    for (name, value) in [
        ("appId", "wx0000000000000000".to_owned()),
        ("timeStamp", (stamp + 1).to_string()),
        ("timeStamp", format!("0{stamp}")),
        ("timeStamp", format!("+{stamp}")),
        ("timeStamp", format!("{stamp}.0")),
        ("timeStamp", "99999999999999999999".to_owned()),
        ("timeStamp", String::new()),
        ("nonceStr", "another".to_owned()),
        ("nonceStr", String::new()),
        ("nonceStr", "n".repeat(65)),
        ("package", format!("prepay_id={}", wallet.prepay_id(&other))),
        ("package", format!("prepay_id={}", wallet.prepay_id(&app))),
        ("package", format!("prepay_id={}", wallet.prepay_id(&native))),
        ("package", wallet.prepay_id(&order)),
        ("package", format!("prepay_id={}", token_text(&order.code))),
        ("package", "prepay_id=".to_owned()),
        ("signType", "MD5".to_owned()),
        ("paySign", "AAAA".to_owned()),
        ("paySign", String::new()),
    ] {
        let mut changed = good.clone();
        changed.iter_mut().find(|(own, _)| *own == name).unwrap().1.clone_from(&value);
        let got = wallet.call("/pay/jsapi", &changed).await;
        is_refused(&got, "CALL_UP_INVALID");
        assert_eq!(got.status, 403, "{name}={value}");
    }
    for missing in ["timeStamp", "nonceStr", "package", "paySign"] {
        let fewer: Vec<_> = good.iter().filter(|(name, _)| *name != missing).cloned().collect();
        is_refused(&wallet.call("/pay/jsapi", &fewer).await, "CALL_UP_INVALID");
    }
    let mut twice = good.clone();
    twice.push(good[3].clone());
    is_refused(&wallet.call("/pay/jsapi", &twice).await, "CALL_UP_INVALID");
    is_refused(&wallet.get("/pay/jsapi", "").await, "CALL_UP_INVALID");
    is_refused(&wallet.get(&format!("/pay/jsapi?{}", "x".repeat(7_000)), "").await, "CALL_UP_INVALID");
    is_refused(&wallet.call("/pay/app", &good).await, "CALL_UP_INVALID");

    // A mini program passes no app on.
    let without: Vec<_> = good.iter().filter(|(name, _)| *name != "appId").cloned().collect();
    assert_eq!(wallet.call("/pay/jsapi", &without).await.status, 303);
}

#[tokio::test]
async fn a_call_up_is_good_for_as_long_as_its_order_can_be_paid_by_it() {
    let wallet = Wallet::start().await;
    let order = wallet.place("JSAPI-0001", Product::Jsapi).await;
    let at_s = wallet.now_s();
    is_refused(&wallet.call("/pay/jsapi", &wallet.jsapi(&order, at_s + 301)).await, "CALL_UP_STALE");
    assert_eq!(wallet.call("/pay/jsapi", &wallet.jsapi(&order, at_s + 299)).await.status, 303);
    wallet.clock.advance(2 * HOUR + MINUTE);
    is_refused(&wallet.call("/pay/jsapi", &wallet.jsapi(&order, at_s)).await, "CALL_UP_STALE");
    let signed_anew = wallet.call("/pay/jsapi", &wallet.jsapi(&order, wallet.now_s())).await;
    is_refused(&signed_anew, "CALL_UP_STALE");
    assert_eq!(signed_anew.status, 409);
    // The merchant orders again under the same number, and pays by what it gets then.
    let again = wallet.place("JSAPI-0001", Product::Jsapi).await;
    assert_ne!(wallet.prepay_id(&again), wallet.prepay_id(&order));
    assert_eq!(wallet.call("/pay/jsapi", &wallet.jsapi(&again, wallet.now_s())).await.status, 303);
}

#[tokio::test]
async fn a_certificate_that_is_accepted_no_longer_calls_nothing_up() {
    let wallet = Wallet::start().await;
    let order = wallet.place("JSAPI-0001", Product::Jsapi).await;
    let good = wallet.jsapi(&order, wallet.now_s());
    assert_eq!(wallet.call("/pay/jsapi", &good).await.status, 303);
    let (mchid, serial) = (wallet.shop.mchid, wallet.shop.serial.clone());
    wallet.rig.app.engine.submit(SpoilCertificate { mchid, serial, how: Spoil::Revoke }).await.unwrap();
    is_refused(&wallet.call("/pay/jsapi", &good).await, "CALL_UP_INVALID");
}

#[tokio::test]
async fn an_app_calls_up_its_order_and_is_returned_to_by_its_own_numbers() {
    let wallet = Wallet::start().await;
    let order = wallet.place("APP-0001", Product::App).await;
    let good = wallet.app(&order);
    let called = wallet.call("/pay/app", &good).await;
    let path = format!("/pay/{}", token_text(&order.code));
    assert_eq!((called.status, &called.location), (303, &path), "{}", called.text);
    let browser = cookies("payer", &called.cookie);
    assert!(wallet.get(&path, &browser).await.text.contains("errCode=-2#pay"));
    wallet.pay(&path, "payer").await;
    assert!(wallet.get(&path, &browser).await.text.contains("errCode=0#pay"));

    // The Android SDK's spelling, and the app's other mistakes.
    let value = |name: &str| good.iter().find(|(own, _)| *own == name).unwrap().1.clone();
    let renamed: Vec<_> = [
        ("appId", value("appid")),
        ("partnerId", value("partnerid")),
        ("prepayId", value("prepayid")),
        ("packageValue", value("package")),
        ("nonceStr", value("noncestr")),
        ("timeStamp", value("timestamp")),
        ("sign", value("sign")),
    ]
    .into();
    assert_eq!(wallet.call("/pay/app", &renamed).await.status, 303);
    for (name, value) in
        [("partnerid", "1900000009"), ("package", "prepay_id=1"), ("prepayid", "kd"), ("sign", "AA==")]
    {
        let mut changed = good.clone();
        value.clone_into(&mut changed.iter_mut().find(|(own, _)| *own == name).unwrap().1);
        is_refused(&wallet.call("/pay/app", &changed).await, "CALL_UP_INVALID");
    }
}

#[tokio::test]
async fn an_h5_link_opens_the_page_for_five_minutes_and_returns_to_registered_domains_only() {
    let wallet = Wallet::start().await;
    let order = wallet.place("H5-0001", Product::H5).await;
    let until = wallet.rig.app.engine.now().plus(5 * MINUTE);
    let path = format!("/pay/{}", token_text(&order.code));
    let opened = wallet.get(&wallet.h5(&order, until, PAGE), "").await;
    assert_eq!((opened.status, &opened.location), (303, &path), "{}", opened.text);
    let page = wallet.get(&path, &cookies("payer", &opened.cookie)).await;
    assert!(page.text.contains(&format!("href=\"{PAGE}\"")), "as the merchant wrote it: {}", page.text);

    for elsewhere in [
        "https://evil.example/",
        "http://shop.example.org/",
        "https://shop.example.org@evil.example/",
        "javascript:alert(1)",
        "http://localhost:8081/",
        "",
    ] {
        let opened = wallet.get(&wallet.h5(&order, until, elsewhere), "").await;
        assert_eq!((opened.status, &opened.location), (303, &path), "the order can be paid all the same");
        assert!(opened.cookie.contains("Max-Age=0"), "{elsewhere}: {}", opened.cookie);
    }
    // Registered when the payer came, and no longer when the page is shown.
    wallet.register(&["other.example.org"]).await;
    let page = wallet.get(&path, &cookies("payer", &opened.cookie)).await;
    assert!(page.status == 200 && !page.text.contains("shop.example.org"), "{}", page.text);

    let jsapi = wallet.place("JSAPI-0001", Product::Jsapi).await;
    is_refused(&wallet.get(&wallet.h5(&jsapi, until, PAGE), "").await, "CALL_UP_INVALID");
    let other = wallet.place("H5-0002", Product::H5).await;
    let swapped =
        wallet.h5(&order, until, PAGE).replace(&wallet.prepay_id(&order), &wallet.prepay_id(&other));
    is_refused(&wallet.get(&swapped, "").await, "CALL_UP_INVALID");
    let link = wallet.h5(&order, until, PAGE);
    wallet.clock.advance(5 * MINUTE);
    is_refused(&wallet.get(&link, "").await, "CALL_UP_STALE");
}

#[tokio::test]
async fn what_is_called_up_is_no_code_to_scan() {
    let wallet = Wallet::start().await;
    let platform = &wallet.rig.app.networks.platform;
    for (number, product) in
        [("JSAPI-0001", Product::Jsapi), ("APP-0001", Product::App), ("H5-0001", Product::H5)]
    {
        let order = wallet.place(number, product).await;
        // Even with our own signature, which nobody is ever given for it.
        let code = platform.code_url(&wallet.rig.app.origin, &order.code, order.mchid, order.code_expires_at);
        let bare = format!("/q/{}", token_text(&order.code));
        for text in [code, bare.clone()] {
            let request = wallet.http.post(format!("http://{}/scan", wallet.address)).bearer_auth("payer");
            let request =
                request.header("accept", "application/json").header("content-type", "application/json");
            let reply = request.body(json!({ "text": text }).to_string()).send().await.unwrap();
            let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
            assert_eq!(body["code"], "CODE_NOT_OURS", "{text}");
        }
        is_refused(&wallet.get(&bare, "").await, "CODE_NOT_OURS");
        is_refused(&wallet.get(&format!("/q/{}", wallet.prepay_id(&order)), "").await, "CODE_NOT_OURS");
        let guessed = wallet.get(&format!("/pay/{}", wallet.prepay_id(&order)), "koudai_wallet=payer").await;
        is_refused(&guessed, "CODE_STALE");
    }
}

fn authorize(shop: &Shop, more: &[(&str, &str)]) -> String {
    let mut pairs = vec![("appid", shop.appid.as_str()), ("response_type", "code"), ("scope", "snsapi_base")];
    pairs.extend(more);
    format!("/connect/oauth2/authorize?{}", serde_urlencoded::to_string(pairs).unwrap())
}

#[tokio::test]
async fn a_page_that_asks_who_is_there_gets_a_code_that_its_server_can_trade() {
    let wallet = Wallet::start().await;
    let ask = [("redirect_uri", "https://shop.example.org/back?x=1#top"), ("state", "a b&c/1")];
    let target = authorize(&wallet.shop, &ask);
    let sent = wallet.get(&target, "koudai_wallet=payer").await;
    assert_eq!(sent.status, 302, "{}", sent.text);
    let rest = sent.location.strip_prefix("https://shop.example.org/back?x=1&code=").unwrap();
    let (code, rest) = rest.split_once('&').unwrap();
    assert_eq!(rest, "state=a+b%26c%2F1#top");
    let opened = wallet.rig.app.networks.vault.open_login_code(&wallet.shop.appid, code).unwrap();
    assert_eq!(opened.person, wallet.payer);
    assert_eq!(opened.expires_at.since(wallet.rig.app.engine.now()), 5 * MINUTE);

    // Whoever is signed out signs in first and comes back to the same question.
    let away = wallet.get(&target, "").await;
    assert_eq!(away.status, 303);
    let login = wallet.get(&away.location, "").await;
    assert!(login.text.contains("name=\"next\" value=\"/connect/oauth2/authorize?appid="), "{}", login.text);
    let next: Vec<(String, String)> =
        serde_urlencoded::from_str(away.location.split_once('?').unwrap().1).unwrap();
    let again = wallet.get(&next[0].1, "koudai_wallet=payer").await;
    assert_eq!(again.status, 200, "a page, since browsers follow no redirect from a form to another site");
    let refresh = "http-equiv=\"refresh\" content=\"0; url=https://shop.example.org/back?x=1&#38;code=";
    assert!(again.text.contains(refresh), "{}", again.text);

    // A program shows the page itself, and asks for the code alone.
    let request = wallet.http.get(format!("http://{}{}", wallet.address, authorize(&wallet.shop, &[])));
    let reply = request.bearer_auth("payer").header("accept", "application/json").send().await.unwrap();
    let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
    let code = body["code"].as_str().unwrap();
    assert!(wallet.rig.app.networks.vault.open_login_code(&wallet.shop.appid, code).is_some());
}

#[tokio::test]
async fn nobody_is_sent_to_a_page_that_is_not_the_apps() {
    let wallet = Wallet::start().await;
    let good = ("redirect_uri", "https://shop.example.org/back");
    let cases = [
        ("DOMAIN_NOT_REGISTERED", authorize(&wallet.shop, &[("redirect_uri", "https://evil.example/")])),
        ("DOMAIN_NOT_REGISTERED", authorize(&wallet.shop, &[("redirect_uri", "http://shop.example.org/")])),
        ("DOMAIN_NOT_REGISTERED", authorize(&wallet.shop, &[("redirect_uri", "http://localhost:8081/")])),
        ("REQUEST_MALFORMED", authorize(&wallet.shop, &[])),
        ("REQUEST_MALFORMED", authorize(&wallet.shop, &[good, good])),
        ("REQUEST_MALFORMED", authorize(&wallet.shop, &[good, ("state", &"s".repeat(129))])),
        ("REQUEST_MALFORMED", authorize(&wallet.shop, &[good, ("state", "a\nb")])),
        ("REQUEST_MALFORMED", authorize(&wallet.shop, &[good]).replace("snsapi_base", "snsapi_userinfo")),
        ("REQUEST_MALFORMED", authorize(&wallet.shop, &[good]).replace("=code", "=token")),
        ("REQUEST_MALFORMED", format!("{}&x={}", authorize(&wallet.shop, &[good]), "x".repeat(2_000))),
        ("APP_UNKNOWN", authorize(&wallet.shop, &[good]).replace(&wallet.shop.appid, "wx%00")),
        ("APP_UNKNOWN", authorize(&wallet.shop, &[good]).replace(&wallet.shop.appid, "wx0")),
    ];
    for (code, target) in cases {
        for session in ["koudai_wallet=payer", ""] {
            let got = wallet.get(&target, session).await;
            is_refused(&got, code);
            assert!(!got.text.contains("evil.example"), "{target}");
        }
    }
}

#[tokio::test]
async fn a_demo_returns_to_pages_on_this_machine() {
    let wallet = Wallet::start_with(Reach::Local).await;
    let order = wallet.place("H5-0001", Product::H5).await;
    let until = wallet.rig.app.engine.now().plus(5 * MINUTE);
    let page = "http://localhost:8081/orders/7";
    let opened = wallet.get(&wallet.h5(&order, until, page), "").await;
    let shown = wallet.get(&opened.location, &cookies("payer", &opened.cookie)).await;
    assert!(shown.text.contains(&format!("href=\"{page}\"")), "{}", shown.text);
}

#[tokio::test]
async fn the_script_for_merchants_pages_is_served_under_a_name_that_stays() {
    let wallet = Wallet::start().await;
    let reply = wallet.http.get(format!("http://{}/js/koudai-pay.js", wallet.address)).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(reply.text().await.unwrap().contains("getBrandWCPayRequest"));
}
