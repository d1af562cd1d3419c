//! The wallet over HTTP: who may see what, what hostile requests get, and what each refusal says.

#![allow(clippy::unwrap_used, reason = "in a test a panic is a finding")]

mod rig;

use std::net::SocketAddr;

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::id::{CardId, PersonId};
use koudai_core::merchant::SetMerchant;
use koudai_core::order::CloseOrder;
use koudai_core::rows::{Card, NetworkRefusal, Product};
use koudai_web::say::Lang;
use rig::{PIN, Rig, Shop};
use serde_json::{Value, json};

/// A wallet that is served, with one merchant.
struct Wallet {
    rig: Rig,
    shop: Shop,
    address: SocketAddr,
    http: reqwest::Client,
}

/// Somebody who is signed in.
struct Person {
    card: CardId,
    token: String,
}

/// The cookie of a session.
fn session(token: &str) -> String {
    format!("koudai_wallet={token}")
}

impl Wallet {
    async fn start() -> Self {
        let rig = Rig::start().await;
        let shop = rig.shop().await;
        let address = rig.wallet().await;
        Self { rig, shop, address, http: rig::browser() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn code(&self, phone: &str) -> String {
        self.rig.code_sent(phone).await
    }

    /// Registers; the session's token and who it is.
    async fn newcomer(&self, phone: &str) -> (String, PersonId) {
        let (status, asked) = self.post(None, "/login/code", json!({"phone": phone})).await;
        assert_eq!(status, 200);
        let shown = json!({"phone": phone, "code": self.code(phone).await, "request": asked["request"]});
        let (status, body) = self.post(None, "/login", shown).await;
        assert_eq!(status, 200, "{body}");
        let token = body["token"].as_str().unwrap().to_owned();
        (token, PersonId::parse(body["person_id"].as_str().unwrap()).unwrap())
    }

    /// Registers, sets a payment password, binds a card and tops up.
    async fn person(&self, phone: &str, fen: i64) -> Person {
        let (token, id) = self.newcomer(phone).await;
        let card = self.rig.bind(id).await;
        let person = Person { card, token };
        let (status, _) =
            self.post(Some(&person), "/payment-password", json!({"payment_password": PIN})).await;
        assert_eq!(status, 200);
        if fen > 0 {
            self.rig.top_up(id, person.card, fen).await;
        }
        person
    }

    async fn post(&self, who: Option<&Person>, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(self.url(path)).header("accept", "application/json");
        let mut request = request.header("content-type", "application/json").body(body.to_string());
        request = match who {
            Some(person) => request.bearer_auth(&person.token),
            None => request,
        };
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    async fn get(&self, who: &Person, path: &str) -> (u16, Value) {
        let request = self.http.get(self.url(path)).header("accept", "application/json");
        let reply = request.bearer_auth(&who.token).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    /// A merchant's order; the link of its code.
    async fn order(&self, number: &str, fen: i64) -> String {
        let client = self.rig.client(&self.shop, false);
        client.native(&rig::order(&self.shop, number, fen)).await.unwrap().code_url
    }

    /// A page as a browser shows it, with what the browser has to remember.
    async fn page(&self, who: Option<&Person>, path: &str, cookies: &str) -> (u16, String) {
        let session = who.map_or_else(String::new, |p| format!("{}; ", session(&p.token)));
        let request = self.http.get(self.url(path)).header("cookie", format!("{session}{cookies}"));
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        (status, reply.text().await.unwrap())
    }

    /// Sends a form as a browser does.
    async fn form(&self, cookies: &str, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let request = self.http.post(self.url(path)).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let body = serde_urlencoded::to_string(fields).unwrap();
        request.header("cookie", cookies).body(body).send().await.unwrap()
    }

    async fn pay(&self, who: &Person, path: &str, method: &str, pin: &str) -> (u16, Value) {
        self.post(Some(who), path, json!({"method": method, "payment_password": pin})).await
    }

    async fn scan(&self, who: &Person, text: &str) -> (u16, Value) {
        self.post(Some(who), "/scan", json!({"text": text})).await
    }

    async fn page_of(&self, who: &Person, number: &str, fen: i64) -> String {
        let code = self.order(number, fen).await;
        self.scan(who, &code).await.1["pay"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_person_pays_by_balance_and_sees_it_in_the_records() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 10_000).await;
    let path = wallet.page_of(&person, "PAY-0001", 880).await;
    let (_, before) = wallet.get(&person, &path).await;
    assert_eq!((before["state"].as_str(), before["amount"]["minor"].as_i64()), (Some("payable"), Some(880)));
    let (status, paid) = wallet.pay(&person, &path, "balance", PIN).await;
    assert_eq!((status, &paid["state"], &paid["paid_by_you"]), (200, &json!("paid"), &json!(true)), "{paid}");
    let (status, again) = wallet.pay(&person, &path, "balance", PIN).await;
    assert_eq!((status, &again["state"]), (200, &json!("paid")), "a repeat is answered and charges nothing");
    let (_, home) = wallet.get(&person, "/").await;
    assert_eq!(home["balance"]["minor"], 9_120);
    let (_, records) = wallet.get(&person, "/records").await;
    let kinds: Vec<&str> =
        records["records"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["payment", "top_up"]);
    let (status, record) = wallet.get(&person, paid["record"].as_str().unwrap()).await;
    assert_eq!((status, &record["order_no"]), (200, &json!("PAY-0001")));
}

#[tokio::test]
async fn each_refusal_of_a_payment_has_its_own_code_and_says_that_no_money_moved() {
    let wallet = Wallet::start().await;
    let (rich, poor) = (wallet.person("13912340001", 10_000).await, wallet.person("13912340002", 0).await);
    let refused = |answer: (u16, Value), status: u16, code: &str| {
        assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{}", answer.1);
        assert_eq!(answer.1["money_moved"], "no");
        for part in ["title", "next", "reference"] {
            assert!(!answer.1[part].as_str().unwrap_or_default().is_empty(), "{code}: {part}");
        }
    };
    let path = wallet.page_of(&rich, "REFUSE-1", 880).await;
    refused(wallet.pay(&poor, &path, "balance", PIN).await, 403, "INSUFFICIENT_BALANCE");
    refused(wallet.pay(&rich, &path, "balance", "12345").await, 422, "PAYMENT_PASSWORD_MALFORMED");
    refused(wallet.pay(&rich, &path, &poor.card.wire(), PIN).await, 404, "CARD_UNKNOWN");
    for left in [4, 3, 2, 1] {
        let answer = wallet.pay(&rich, &path, "balance", "000001").await;
        assert!(answer.1["title"].as_str().unwrap().contains(&left.to_string()), "{}", answer.1);
        refused(answer, 403, "PAYMENT_PASSWORD_WRONG");
    }
    refused(wallet.pay(&rich, &path, "balance", "000001").await, 403, "PAYMENT_PASSWORD_LOCKED");
    refused(wallet.pay(&rich, &path, "balance", PIN).await, 403, "PAYMENT_PASSWORD_LOCKED");

    let rich = wallet.person("13912340003", 10_000).await;
    let mchid = wallet.shop.mchid;
    let change = |products: Option<Vec<Product>>, suspended| SetMerchant {
        products,
        suspended: Some(suspended),
        ..rig::set(mchid)
    };
    let set = |command| async { wallet.rig.app.engine.submit(command).await.unwrap() };
    set(change(Some(vec![Product::Jsapi]), false)).await;
    refused(wallet.pay(&rich, &path, "balance", PIN).await, 403, "PRODUCT_NOT_ENABLED");
    set(change(Some(vec![Product::Native]), true)).await;
    refused(wallet.pay(&rich, &path, "balance", PIN).await, 403, "MERCHANT_SUSPENDED");
    set(change(None, false)).await;
    assert_eq!(wallet.pay(&rich, &path, "balance", PIN).await.0, 200);
    let other = wallet.person("13912340004", 10_000).await;
    refused(wallet.pay(&other, &path, "balance", PIN).await, 409, "ORDER_ALREADY_PAID");

    let path = wallet.page_of(&rich, "REFUSE-2", 880).await;
    let close = CloseOrder { mchid, out_trade_no: "REFUSE-2".to_owned() };
    wallet.rig.app.engine.submit(close).await.unwrap();
    refused(wallet.pay(&rich, &path, "balance", PIN).await, 409, "ORDER_CLOSED");
}

#[tokio::test]
async fn what_belongs_to_somebody_else_looks_like_what_does_not_exist() {
    let wallet = Wallet::start().await;
    let (mine, other) =
        (wallet.person("13912340001", 5_000).await, wallet.person("13912340002", 5_000).await);
    let path = wallet.page_of(&mine, "MINE-0001", 100).await;
    let (_, paid) = wallet.pay(&mine, &path, "balance", PIN).await;
    let record = paid["record"].as_str().unwrap().to_owned();
    let (_, records) = wallet.get(&mine, "/records").await;
    let top_up = records["records"][1]["id"].as_str().unwrap().to_owned();
    let without_reference = |(status, mut body): (u16, Value)| {
        body["reference"] = Value::Null;
        (status, body)
    };
    for (theirs, nothing) in [
        (record, "/records/4200202611220000000000000000".to_owned()),
        (format!("/records/{top_up}"), "/records/nothing".to_owned()),
        (format!("/cards/{}", mine.card.wire()), "/cards/6200".to_owned()),
        ("/cards/bindings/binding-x".to_owned(), "/cards/bindings/nothing-1".to_owned()),
        ("/top-up/top-up-x".to_owned(), "/top-up/nothing-1".to_owned()),
    ] {
        let seen = without_reference(wallet.get(&other, &theirs).await);
        assert_eq!(seen.0, 404, "{theirs}");
        assert_eq!(seen, without_reference(wallet.get(&other, &nothing).await), "{theirs}");
    }
    let remove = json!({"payment_password": PIN});
    let (status, body) =
        wallet.post(Some(&other), &format!("/cards/{}/remove", mine.card.wire()), remove).await;
    assert_eq!((status, &body["code"]), (404, &json!("CARD_UNKNOWN")));
    assert_eq!(wallet.get(&mine, &format!("/cards/{}", mine.card.wire())).await.0, 200);
}

#[tokio::test]
async fn without_a_session_every_private_route_asks_to_sign_in() {
    let wallet = Wallet::start().await;
    for path in ["/", "/cards", "/cards/new", "/top-up", "/records", "/scan", "/payment-password"] {
        let html = wallet.http.get(wallet.url(path)).send().await.unwrap();
        assert_eq!(html.status().as_u16(), 303, "{path}");
        assert!(html.headers()["location"].to_str().unwrap().starts_with("/login"), "{path}");
        let json = wallet.http.get(wallet.url(path)).header("accept", "application/json");
        let forged = json.bearer_auth("A".repeat(43)).send().await.unwrap();
        assert_eq!(
            forged.status().as_u16(),
            if path == "/" { 401 } else { forged.status().as_u16() },
            "{path}"
        );
        assert!(matches!(forged.status().as_u16(), 401 | 303), "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_ride_on_the_cookie() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 5_000).await;
    let path = wallet.page_of(&person, "CSRF-0001", 100).await;
    let form = format!("method=balance&payment_password={PIN}");
    let send = |headers: Vec<(&'static str, String)>| {
        let mut request = wallet
            .http
            .post(wallet.url(&path))
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", format!("koudai_wallet={}", person.token))
            .body(form.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    let own = format!("http://{}", wallet.address);
    for foreign in [
        vec![("origin", "https://evil.example".to_owned())],
        vec![("origin", "null".to_owned())],
        vec![("sec-fetch-site", "cross-site".to_owned()), ("origin", own.clone())],
        vec![("sec-fetch-site", "same-site".to_owned()), ("origin", own.clone())],
    ] {
        assert_eq!(send(foreign.clone()).await, 403, "{foreign:?}");
    }
    assert_eq!(wallet.get(&person, &path).await.1["state"], "payable", "nothing was done");
    assert_eq!(send(vec![("origin", own)]).await, 200);
}

#[tokio::test]
async fn known_and_unknown_numbers_get_the_same_answer() {
    let wallet = Wallet::start().await;
    wallet.person("13912340001", 0).await;
    let (known, unknown) = ("13912340001", "13912340099");
    // The known number asked a moment ago, so both ask a second time.
    let (_, asked) = wallet.post(None, "/login/code", json!({"phone": unknown})).await;
    let ask = |phone: &'static str| wallet.post(None, "/login/code", json!({"phone": phone}));
    let same = |(status, mut body): (u16, Value)| {
        body["reference"] = Value::Null;
        (status, body["code"].clone(), body["next"].clone())
    };
    assert_eq!(same(ask(known).await), same(ask(unknown).await));
    let guess = |phone: &'static str| {
        let shown = json!({"phone": phone, "code": "000000", "request": asked["request"]});
        wallet.post(None, "/login", shown)
    };
    let never = wallet.post(None, "/login", json!({"phone": "13912340098", "code": "000000"})).await;
    assert_eq!((never.0, &never.1["code"]), (403, &json!("CODE_EXPIRED")));
    assert_eq!(guess(unknown).await.1["code"], "CODE_WRONG");
}

#[tokio::test]
async fn only_codes_of_ours_lead_to_a_payment() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 0).await;
    let code = wallet.order("SCAN-0001", 100).await;
    let (link, signature) = code.split_once('#').unwrap();
    assert_eq!(wallet.scan(&person, &format!("  {code}\n")).await.0, 200);
    let token = link.rsplit('/').next().unwrap();
    let second = wallet.order("SCAN-0002", 100).await;
    let other = second.split_once('#').unwrap();
    let mut broken = signature.to_owned();
    broken.replace_range(..1, if broken.starts_with('A') { "B" } else { "A" });
    for (text, expected) in [
        (link.to_owned(), "CODE_SWAPPED"),
        (format!("{link}#{broken}"), "CODE_SWAPPED"),
        (format!("{link}#{}", other.1), "CODE_SWAPPED"),
        (format!("http://evil.example/q/{token}#{signature}"), "CODE_NOT_OURS"),
        (
            format!("{}.evil.example/q/{token}#{signature}", link.split("/q/").next().unwrap()),
            "CODE_NOT_OURS",
        ),
        ("weixin://wxpay/bizpayurl?pr=abc".to_owned(), "CODE_NOT_OURS"),
        ("你好".to_owned(), "CODE_NOT_OURS"),
        (String::new(), "CODE_UNREADABLE"),
        ("x".repeat(2_000), "CODE_UNREADABLE"),
        (format!("{}/q/AAAAAAAAAAAAAAAAAAAAAA#{signature}", wallet.rig.app.origin), "CODE_STALE"),
    ] {
        let (_, body) = wallet.scan(&person, &text).await;
        assert_eq!(body["code"], expected, "{text}");
    }
}

#[tokio::test]
async fn a_picture_of_a_code_is_read_and_any_other_picture_is_refused() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 0).await;
    let code = wallet.order("PICTURE-1", 100).await;
    let upload = |bytes: Vec<u8>| {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("code.png");
        let form = reqwest::multipart::Form::new().part("picture", part);
        let request = wallet.http.post(wallet.url("/scan")).header("accept", "application/json");
        let request = request.bearer_auth(&person.token).multipart(form);
        async {
            let reply = request.send().await.unwrap();
            serde_json::from_slice::<Value>(&reply.bytes().await.unwrap()).unwrap()
        }
    };
    let modules = qrcode::QrCode::new(code.as_bytes()).unwrap();
    let (width, scale, quiet) = (u32::try_from(modules.width()).unwrap(), 6, 4);
    let side = (width + 2 * quiet) * scale;
    let colors = modules.to_colors();
    let picture = image::GrayImage::from_fn(side, side, |x, y| {
        let module = |at: u32| (at / scale).checked_sub(quiet).filter(|m| *m < width);
        let dark = module(x)
            .zip(module(y))
            .is_some_and(|(x, y)| colors[(y * width + x) as usize] == qrcode::Color::Dark);
        image::Luma([if dark { 0 } else { 255 }])
    });
    let encode = |picture: &image::GrayImage, format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg, image::ImageFormat::WebP] {
        let read = upload(encode(&picture, format)).await;
        assert!(read["pay"].as_str().unwrap_or_default().starts_with("/pay/"), "{format:?}: {read}");
    }
    let blank = image::GrayImage::from_pixel(600, 600, image::Luma([200]));
    for (what, bytes) in [
        ("a blank picture", encode(&blank, image::ImageFormat::Png)),
        ("no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
        ("half a picture", encode(&picture, image::ImageFormat::Png)[..500].to_vec()),
    ] {
        assert_eq!(upload(bytes).await["code"], "CODE_UNREADABLE", "{what}");
    }
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_every_page_is_protected() {
    let wallet = Wallet::start().await;
    let send = |kind: &'static str, body: Vec<u8>| {
        let request = wallet.http.post(wallet.url("/login/code")).header("accept", "application/json");
        let request = request.header("sec-fetch-site", "same-origin").header("content-type", kind).body(body);
        async { request.send().await.unwrap().status().as_u16() }
    };
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes();
    for (what, kind, body, status) in [
        ("a key twice", json, br#"{"phone":"13912340001","phone":"13912340002"}"#.to_vec(), 400),
        ("a field twice", form, b"phone=1&phone=2".to_vec(), 400),
        ("a number for a text", json, br#"{"phone":13912340001}"#.to_vec(), 400),
        ("deep nesting", json, deep, 400),
        (
            "XML",
            "application/xml",
            b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>".to_vec(),
            400,
        ),
        ("a mebibyte", form, vec![b'a'; 1 << 20], 413),
        ("no phone", form, b"phone=".to_vec(), 422),
    ] {
        assert_eq!(send(kind, body).await, status, "{what}");
    }
    for path in ["/login", "/terms", "/status", "/nothing", "/q/AAAAAAAAAAAAAAAAAAAAAA"] {
        let page = wallet.http.get(wallet.url(path)).send().await.unwrap();
        let header = |name: &str| page.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn the_page_of_a_code_is_opened_and_not_answered_so_going_back_to_it_asks_for_no_other() {
    let wallet = Wallet::start().await;
    let fields = [("phone", "139 1234 0001"), ("next", "/records?before=3&x=1")];
    let sent = wallet.form("", "/login/code", &fields).await;
    assert_eq!(sent.status().as_u16(), 303);
    let there = "/login/code?next=/records?before=3%26x=1";
    assert_eq!(sent.headers()["location"], there);
    let cookies: Vec<&str> =
        sent.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let cookie = (*cookies.iter().find(|cookie| cookie.starts_with("koudai_code=")).unwrap()).to_owned();
    assert!(cookies.iter().any(|cookie| cookie.starts_with("koudai_device=")), "{cookies:?}");
    for part in ["; Path=/login;", "; HttpOnly", "; SameSite=Lax", "; Max-Age=300"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    let code = wallet.code("13912340001").await;
    for _ in 0..2 {
        let (status, page) = wallet.page(None, there, cookie).await;
        assert_eq!(status, 200);
        assert!(page.contains("name=\"code\"") && page.contains("13912340001"), "{page}");
        assert!(page.contains("name=\"next\" value=\"/records?before=3&#38;x=1\""), "{page}");
        let wait: u32 =
            page.split("data-countdown=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!((50..=60).contains(&wait), "{wait}");
    }
    assert_eq!(wallet.code("13912340001").await, code, "looking at the page sends nothing");

    // Without what a browser remembers, or with nonsense in it, the first page comes again.
    for cookie in ["", "koudai_code=", "koudai_code=1.2", "koudai_code=MTM5.1.x", "koudai_code=<b>.1.x"] {
        let reply = wallet.http.get(wallet.url("/login/code?next=/cards")).header("cookie", cookie);
        let reply = reply.send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 303, "{cookie}");
        assert_eq!(reply.headers()["location"], "/login?next=/cards", "{cookie}");
    }
    for (path, leads) in [
        ("/login/code?next=//evil.example", "/login"),
        ("/lang/en?back=%2Flogin%2Fcode%3Fnext%3D%252Fcards", "/login/code?next=%2Fcards"),
        ("/lang/en?back=%2F%2Fevil.example", "/"),
    ] {
        let reply = wallet.http.get(wallet.url(path)).send().await.unwrap();
        assert_eq!(reply.headers()["location"], leads, "{path}");
    }
}

#[tokio::test]
async fn the_bank_of_a_card_is_named_from_its_first_digits_to_whoever_is_signed_in() {
    let wallet = Wallet::start().await;
    let (token, _) = wallet.newcomer("13912340001").await;
    let ask = async |query: &str, token: &str| {
        let asked = wallet.http.get(wallet.url(&format!("/cards/bank?{query}"))).bearer_auth(token);
        let reply = asked.header("accept", "application/json").send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice::<Value>(&reply.bytes().await.unwrap()).unwrap_or_default())
    };
    let (status, known) = ask("digits=622303&length=16", &token).await;
    assert_eq!(
        (status, &known["bank"]["code"], &known["bank"]["kind"]),
        (200, &json!("NJCB"), &json!("credit"))
    );
    assert_eq!(ask("digits=622303&length=6", &token).await, (200, json!({"bank": null})), "two banks' cards");
    assert_eq!(
        ask("digits=62230300000&length=16", &token).await,
        (200, json!({"bank": null})),
        "too many digits"
    );
    assert_eq!(ask("digits=622303", &token).await.0, 400);
    assert_eq!(ask("digits=622303&length=16", &"A".repeat(43)).await.0, 401);
}

#[tokio::test]
async fn a_card_form_that_was_refused_keeps_what_was_typed_but_never_expiry_and_cvv() {
    let wallet = Wallet::start().await;
    let (token, _) = wallet.newcomer("13912340001").await;
    let fields = [
        ("binding_id", "binding-1"),
        ("kind", "credit"),
        ("number", "6299 9900 0000 0026"),
        ("name", "李明"),
        ("id_number", "110199199001010010"),
        ("phone", "13900000001"),
        ("expiry", "12/30"),
        ("cvv", "739"),
    ];
    let reply = wallet.form(&session(&token), "/cards", &fields).await;
    assert_eq!(reply.status().as_u16(), 422);
    let page = reply.text().await.unwrap();
    assert!(page.contains("data-refusal=\"CARD_NUMBER_INVALID\""), "{page}");
    for kept in ["6299 9900 0000 0026", "李明", "110199199001010010", "13900000001"] {
        assert!(page.contains(&format!("value=\"{kept}\"")), "{kept}: {page}");
    }
    // Digits made at random may hold the three of the security code: they are cut out first.
    let mut rest = page.clone();
    for random in ["name=\"binding_id\" value=\"", "class=\"ref\">"] {
        let (before, after) = rest.split_once(random).expect(random);
        let end = after.find(['"', '<']).expect(random);
        rest = format!("{before}{}", &after[end..]);
    }
    for secret in ["12/30", "739"] {
        assert!(!rest.contains(secret), "{secret}: {page}");
    }
}

#[tokio::test]
async fn bills_say_what_for_and_by_what_and_only_payments_count_as_spent() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 10_000).await;
    for (number, fen) in [("BILL-0001", 880), ("BILL-0002", 1_200)] {
        let path = wallet.page_of(&person, number, fen).await;
        assert_eq!(wallet.pay(&person, &path, "balance", PIN).await.0, 200);
    }
    let client = wallet.rig.client(&wallet.shop, false);
    client.refund(&rig::refund("BILL-0001", "BILL-0001-R", 300, 880)).await.unwrap();
    let (_, records) = wallet.get(&person, "/records").await;
    let lines: Vec<_> = records["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["kind"].as_str().unwrap(), r["description"].as_str(), r["method"].as_str().unwrap()))
        .collect();
    let card = format!("测试银行 储蓄卡 ({:04})", 0);
    assert_eq!(
        lines,
        [
            ("refund", Some("拿铁 大杯"), "零钱"),
            ("payment", Some("拿铁 大杯"), "零钱"),
            ("payment", Some("拿铁 大杯"), "零钱"),
            ("top_up", None, card.as_str()),
        ]
    );
    let (_, page) = wallet.page(Some(&person), "/records", "").await;
    let header = page.split("<section class=\"month\">").nth(1).unwrap().split("</header>").next().unwrap();
    let sums: Vec<&str> =
        header.split("data-minor=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(sums, ["2080", "300"], "what was paid, what came back; the top-up is in neither");

    // A record shows its number once, by the name its kind has.
    for (at, word) in [(0, "退款单号"), (1, "交易单号"), (3, "充值单号")] {
        let id = records["records"][at]["id"].as_str().unwrap();
        let (_, page) = wallet.page(Some(&person), &format!("/records/{id}"), "").await;
        assert!(page.contains(&format!("<dt>{word}</dt><dd class=\"num\">{id}</dd>")), "{page}");
        assert_eq!(page.matches(&format!(">{id}<")).count(), 1, "{page}");
        assert!(page.contains(&format!("href=\"/status?record={id}\"")), "{page}");
    }
}

#[tokio::test]
async fn help_with_a_bill_shows_it_to_whose_it_is_and_how_to_reach_the_operator() {
    let wallet = Wallet::start().await;
    let (mine, other) =
        (wallet.person("13912340001", 5_000).await, wallet.person("13912340002", 5_000).await);
    let path = wallet.page_of(&mine, "HELP-0001", 100).await;
    let (_, paid) = wallet.pay(&mine, &path, "balance", PIN).await;
    let id = paid["record"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let help = format!("/status?record={id}");
    let (status, page) = wallet.page(Some(&mine), &help, "").await;
    assert_eq!(status, 200);
    assert!(page.contains(&id) && page.contains("拿铁 大杯") && page.contains("400-000-0000"), "{page}");
    for who in [Some(&other), None] {
        let (status, page) = wallet.page(who, &help, "").await;
        assert_eq!(status, 200);
        assert!(!page.contains("data-about") && !page.contains(&id), "{page}");
        assert!(page.contains("data-contact"), "{page}");
    }
}

#[tokio::test]
async fn a_card_that_was_refused_is_not_chosen_again_and_the_balance_is_named_if_it_covers() {
    let wallet = Wallet::start().await;
    for (phone, fen, next) in [
        ("13912340001", 5_000, "可以改用零钱付款，或换一张卡"),
        ("13912340002", 0, "请换一张卡，或联系发卡行"),
    ] {
        let person = wallet.person(phone, fen).await;
        let number = format!("REFUSED-{phone}");
        let path = wallet.page_of(&person, &number, 880).await;
        let payer = wallet.rig.app.engine.read(move |r| r.get::<Card>(&person.card)).await.unwrap().unwrap();
        let order = wallet.rig.pay(payer.person, Some(person.card), &wallet.shop, &number).await;
        let outcome = Outcome::Failed(NetworkRefusal::InsufficientFunds);
        let end = EndAttempt { attempt: order.attempt.unwrap(), outcome };
        wallet.rig.app.engine.submit(end).await.unwrap();

        let (_, seen) = wallet.get(&person, &path).await;
        assert_eq!((&seen["state"], &seen["refusal"]["next"]), (&json!("payable"), &json!(next)), "{seen}");
        let (status, page) = wallet.page(Some(&person), &path, "").await;
        assert_eq!(status, 403);
        assert!(page.contains(next), "{page}");
        let chosen: Vec<&str> = page.split("<input").filter(|tag| tag.contains(" checked")).collect();
        assert_eq!(chosen.len(), usize::from(fen > 0), "{page}");
        assert!(chosen.iter().all(|tag| tag.contains("value=\"balance\"")), "{page}");
    }
}

#[test]
fn the_operator_of_a_demo_has_a_name_in_latin_letters_too() {
    assert_eq!(Lang::En.operator("口袋"), "Koudai");
    assert_eq!(Lang::Zh.operator("口袋"), "口袋");
    assert_eq!(Lang::En.operator("示例大学后勤集团"), "示例大学后勤集团");
}

#[tokio::test]
async fn the_answer_to_a_payment_is_what_its_page_says_from_then_on() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 5_000).await;
    let path = wallet.page_of(&person, "SAME-0001", 3_000).await;
    let (status, paid) = wallet.pay(&person, &path, "balance", PIN).await;
    assert_eq!((status, paid["state"].as_str()), (200, Some("paid")), "{paid}");
    // Its payer has a card, and a balance that would not pay the same again, but for a part of it.
    assert_eq!(paid["methods"].as_array().unwrap().len(), 3);
    assert_eq!(paid["methods"][0]["usable"], false);
    assert_eq!(wallet.get(&person, &path).await, (200, paid.clone()));
    assert_eq!(wallet.pay(&person, &path, "balance", PIN).await, (200, paid), "and of a repeat");
}

#[tokio::test]
async fn what_the_balance_falls_short_of_a_card_pays_in_the_same_payment_and_a_refund_says_where_it_goes() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 3_000).await;
    let path = wallet.page_of(&person, "BOTH-0001", 9_000).await;
    let (_, seen) = wallet.get(&person, &path).await;
    let both = &seen["methods"][2];
    let method = both["method"].as_str().unwrap().to_owned();
    assert_eq!(method, format!("both:3000:{}", person.card.wire()));
    assert!(both["label"].as_str().unwrap().contains("零钱\u{a0}¥30.00 + "), "{both}");
    for (wrong, code) in [
        ("both:3000", "AMOUNT_INVALID"),
        (&*format!("both:-1:{}", person.card.wire()), "AMOUNT_INVALID"),
        (&*format!("both:9000:{}", person.card.wire()), "REQUEST_MALFORMED"),
        (&*format!("both:3001:{}", person.card.wire()), "INSUFFICIENT_BALANCE"),
        ("both:3000:6200", "CARD_UNKNOWN"),
    ] {
        let (status, refused) = wallet.pay(&person, &path, wrong, PIN).await;
        assert_eq!((status >= 400, refused["code"].as_str()), (true, Some(code)), "{wrong}: {refused}");
    }
    let (status, paying) = wallet.pay(&person, &path, &method, PIN).await;
    assert_eq!((status, paying["state"].as_str()), (200, Some("pending")), "{paying}");
    let (_, home) = wallet.get(&person, "/").await;
    assert_eq!(home["balance"]["minor"], 0, "its part is held");

    let order = wallet.rig.order(&wallet.shop, "BOTH-0001").await;
    let outcome = Outcome::Succeeded { network_ref: "bank-1".to_owned() };
    let engine = &wallet.rig.app.engine;
    engine.submit(EndAttempt { attempt: order.attempt.unwrap(), outcome }).await.unwrap();
    let record = format!("/records/{}", order.id.wire());
    let (_, page) = wallet.page(Some(&person), &record, "").await;
    for part in
        ["零钱部分", "¥30.00", "银行卡部分", "¥60.00", "如退款，先退回", "再退回零钱 ¥30.00（即时到账）"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let client = wallet.rig.client(&wallet.shop, false);
    client.refund(&rig::refund("BOTH-0001", "BOTH-R-1", 7_000, 9_000)).await.unwrap();
    let (_, home) = wallet.get(&person, "/").await;
    assert_eq!(home["balance"]["minor"], 1_000, "the card is given back to first");
    let (_, page) = wallet.page(Some(&person), &record, "").await;
    assert!(
        page.contains("如退款，将退回零钱 ¥20.00，即时到账") && !page.contains("如退款，先退回"),
        "the card has its part back: {page}"
    );
}

#[tokio::test]
async fn a_payment_is_refused_for_its_session_first_then_for_its_code_and_then_for_what_was_typed() {
    let wallet = Wallet::start().await;
    let person = wallet.person("13912340001", 5_000).await;
    let path = wallet.page_of(&person, "FIRST-0001", 100).await;
    let stranger = Person { card: person.card, token: "none-of-ours".to_owned() };
    let bodies = [
        json!({}),
        json!({"method": "nonsense", "payment_password": PIN}),
        json!({"method": "balance", "payment_password": "1"}),
        json!({"method": "balance", "payment_password": PIN}),
    ];
    let unknown = format!("/pay/{}", "A".repeat(22));
    let typed = ["CARD_UNKNOWN", "CARD_UNKNOWN", "PAYMENT_PASSWORD_MALFORMED"];
    for (n, body) in bodies.iter().enumerate() {
        for path in [path.as_str(), &unknown, "/pay/none"] {
            let (status, answer) = wallet.post(Some(&stranger), path, body.clone()).await;
            assert_eq!((status, answer["code"].as_str()), (401, Some("SIGNED_OUT")), "{body}");
        }
        for path in [unknown.as_str(), "/pay/none"] {
            let (_, answer) = wallet.post(Some(&person), path, body.clone()).await;
            assert_eq!(answer["code"], "CODE_STALE", "{body}");
        }
        if let Some(code) = typed.get(n) {
            let (_, answer) = wallet.post(Some(&person), &path, body.clone()).await;
            assert_eq!((answer["code"].as_str(), answer["money_moved"].as_str()), (Some(*code), Some("no")));
        }
    }
    let (_, state) = wallet.get(&person, &path).await;
    assert_eq!(state["state"], "payable");
}
