//! The error table of `docs/gateway.md`, row by row: each is reached, and what is reached stands in it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::collections::BTreeSet;

use koudai_core::id::PersonId;
use koudai_core::ledger::{AccountId, JournalKind, Posting};
use koudai_core::merchant::{SetApiV3Key, SetMerchant};
use koudai_core::money::{Currency, Money};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::Product;
use koudai_core::state::{Command, OrStop, Stop, Tx};
use koudai_core::time::{DAY, Timestamp};
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_networks::platform::PlatformKey;
use rig::{Answer, Rig, Shop, now_s, order, refund, sign};
use serde_json::json;

const NATIVE: &str = "/v3/pay/transactions/native";
const REFUNDS: &str = "/v3/refund/domestic/refunds";
const CERTIFICATES: &str = "/v3/certificates";
const GUIDE: &str = include_str!("../../../docs/gateway.md");

type Row = (u16, String, u32);

/// Rows that nothing below leads to, and why; or the test elsewhere that reaches them.
const NOT_FROM_HERE: [(u16, &str, u32); 4] = [
    // Merchants are never removed, and who is none does not get past the signature.
    (400, "MCH_NOT_EXISTS", 268_443_715),
    (404, "MCH_NOT_EXISTS", 268_443_715),
    // It takes 65,536 waiting commands.
    (429, "FREQUENCY_LIMITED", 268_447_840),
    // Ten seconds have to pass.
    (408, "INVALID_REQUEST", 900_000_003),
];

fn documented() -> BTreeSet<Row> {
    let cells = |line: &str| -> Option<Row> {
        let mut cells =
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        let status = cells.next()?.parse().ok()?;
        let code = cells.next()?;
        Some((status, code, cells.next()?.parse().ok()?))
    };
    GUIDE.lines().filter(|line| line.starts_with('|')).filter_map(cells).collect()
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// A merchant with an order of every state, and people who paid them.
struct World {
    rig: Rig,
    clock: Clock,
    shop: Shop,
    person: PersonId,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::by_hand(Timestamp(now_s() * 1_000));
        let rig = Rig::start_by(Reach::Local, clock.clone()).await;
        let shop = rig.shop().await;
        let (person, card) = rig.person_with_card().await;
        rig.top_up(person, card, 100_000).await;
        let world = Self { rig, clock, shop, person };
        for number in ["unpaid", "closed", "paying", "paid-1", "paid-2", "paid-3"] {
            assert_eq!(world.post(NATIVE, &order(&world.shop, number, 1_000)).await.status, 200);
        }
        assert_eq!(world.close("closed").await.status, 204);
        world.rig.pay(person, Some(card), &world.shop, "paying").await;
        for number in ["paid-1", "paid-2", "paid-3"] {
            world.rig.pay(person, None, &world.shop, number).await;
        }
        assert_eq!(world.post(REFUNDS, &refund("paid-1", "taken", 10, 1_000)).await.status, 200);
        world
    }

    async fn post(&self, target: &str, body: &impl serde::Serialize) -> Answer {
        self.rig.ask(&self.shop, "POST", target, &text(body)).await
    }

    async fn get(&self, target: &str) -> Answer {
        self.rig.ask(&self.shop, "GET", target, "").await
    }

    async fn close(&self, number: &str) -> Answer {
        let target = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        self.post(&target, &json!({ "mchid": self.shop.mchid.wire() })).await
    }

    async fn query(&self, number: &str, mchid: &str) -> Answer {
        self.get(&format!("/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}")).await
    }

    /// An order with something changed.
    async fn place(&self, change: impl FnOnce(&mut serde_json::Value)) -> Answer {
        let mut body = serde_json::to_value(order(&self.shop, "order-1", 1_000)).unwrap();
        change(&mut body);
        self.post(NATIVE, &body).await
    }

    async fn set(&self, products: Option<Vec<Product>>, suspended: Option<bool>) {
        let set = SetMerchant {
            mchid: self.shop.mchid,
            products,
            h5_domains: None,
            suspended,
            public_key_mode: None,
            transfer_scenes: None,
        };
        self.rig.app.engine.submit(set).await.unwrap();
    }

    async fn while_suspended(&self) -> Answer {
        self.set(None, Some(true)).await;
        let answer = self.place(|_| ()).await;
        self.set(None, Some(false)).await;
        answer
    }

    async fn without_the_product(&self) -> Answer {
        self.set(Some(vec![Product::H5]), None).await;
        let answer = self.place(|_| ()).await;
        self.set(Some(vec![Product::Native]), None).await;
        answer
    }

    /// The fifty-first refund of an order.
    async fn one_refund_more(&self) -> Answer {
        for number in 0..50 {
            let request = RequestRefund {
                mchid: self.shop.mchid,
                order: OrderName::Number("paid-2".to_owned()),
                out_refund_no: format!("part-{number}"),
                amount: Money::fen(1).unwrap(),
                total: Money::fen(1_000).unwrap(),
                reason: None,
                notify_url: None,
            };
            self.rig.app.engine.submit(request).await.unwrap();
        }
        self.post(REFUNDS, &refund("paid-2", "part-50", 1, 1_000)).await
    }

    /// A refund after the merchant's money has gone elsewhere.
    async fn without_money(&self) -> Answer {
        let merchant = AccountId::merchant(self.shop.mchid);
        let all = self.rig.standing(merchant).await;
        let taken = Taken { from: merchant, to: AccountId::person(self.person), fen: all };
        self.rig.app.engine.submit(taken).await.unwrap();
        self.post(REFUNDS, &refund("paid-3", "late", 1_000, 1_000)).await
    }

    async fn without_certificates(&self) -> Answer {
        let (platform, now) = (&self.rig.app.networks.platform, self.clock.now());
        let keys: Vec<PlatformKey> = platform.keys().iter().map(|key| PlatformKey::clone(key)).collect();
        let mut expired = keys.clone();
        for certificate in expired.iter_mut().filter_map(|key| key.certificate.as_mut()) {
            certificate.not_after_ms = 0;
        }
        platform.replace(expired, now).unwrap();
        let answer = self.get(CERTIFICATES).await;
        platform.replace(keys, now).unwrap();
        answer
    }

    async fn with_a_key_that_does_not_open(&self) -> Answer {
        let other = self.rig.shop().await;
        let spoilt = SetApiV3Key { mchid: other.mchid, apiv3_key_sealed: vec![0; 60] };
        self.rig.app.engine.submit(spoilt).await.unwrap();
        self.rig.ask(&other, "GET", CERTIFICATES, "").await
    }

    async fn too_often(&self) -> Answer {
        loop {
            let answer = self.get(CERTIFICATES).await;
            if answer.status != 200 {
                return answer;
            }
        }
    }

    async fn unsigned(&self) -> Answer {
        self.rig.send("GET", CERTIFICATES, &[], b"").await
    }

    async fn unsigned_too_often(&self) -> Answer {
        loop {
            let answer = self.unsigned().await;
            if answer.status != 401 {
                return answer;
            }
        }
    }

    /// A refund more than a year after the payment, signed by then.
    async fn a_year_later(&self) -> Answer {
        self.clock.advance(366 * DAY);
        let body = text(&refund("paid-3", "years", 1, 1_000));
        let at_s = self.clock.now().0 / 1_000;
        let authorization = sign(&self.shop, "POST", REFUNDS, &body, at_s).header_value();
        self.rig.send("POST", REFUNDS, &[("Authorization", &authorization)], body.as_bytes()).await
    }
}

/// Money of a merchant's that leaves it by no way there is yet.
struct Taken {
    from: AccountId,
    to: AccountId,
    fen: i64,
}

impl Command for Taken {
    type Reply = ();
    type Refusal = ();

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<()>> {
        tx.prepare(&[self.from, self.to]).or_stop()?;
        let posting = Posting { debit: self.from, credit: self.to, amount: Money::fen(self.fen).unwrap() };
        tx.post(JournalKind::TopUp, 1, Currency::Cny, vec![posting], &[]);
        Ok(())
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table with one entry a row")]
async fn every_row_of_the_error_table_is_reached_and_what_is_reached_stands_in_it() {
    let w = World::new().await;
    let mchid = w.shop.mchid.wire();
    let large = "x".repeat(65 * 1024);
    let cases: Vec<(u16, &str, u32, &str, Answer)> = vec![
        (202, "USER_PAYING", 900_000_006, "closing while a card's bank is asked", w.close("paying").await),
        (
            400,
            "PARAM_ERROR",
            268_435_461,
            "a field of another type",
            w.place(|b| b["attach"] = json!(1)).await,
        ),
        (
            400,
            "PARAM_ERROR",
            268_435_464,
            "an amount of nothing",
            w.place(|b| b["amount"]["total"] = json!(0)).await,
        ),
        (
            400,
            "PARAM_ERROR",
            268_447_843,
            "another merchant's number",
            w.query("order-1", "1999999999").await,
        ),
        (
            400,
            "APPID_MCHID_NOT_MATCH",
            268_445_527,
            "an app of nobody's",
            w.place(|b| b["appid"] = json!("wx0000000000000000")).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            268_498_689,
            "placing what is paid",
            w.place(|b| b["out_trade_no"] = json!("paid-1")).await,
        ),
        (400, "ORDER_PAID", 268_498_689, "closing what is paid", w.close("paid-1").await),
        (
            400,
            "ORDER_CLOSED",
            268_447_914,
            "placing what is closed",
            w.place(|b| b["out_trade_no"] = json!("closed")).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_007,
            "refunding what is not paid",
            w.post(REFUNDS, &refund("unpaid", "r-1", 1, 1_000)).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_009,
            "a refund's number with another amount",
            w.post(REFUNDS, &refund("paid-1", "taken", 11, 1_000)).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_010,
            "another total than the order's",
            w.post(REFUNDS, &refund("paid-1", "r-2", 1, 999)).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_011,
            "more than is left",
            w.post(REFUNDS, &refund("paid-1", "r-3", 991, 1_000)).await,
        ),
        (400, "INVALID_REQUEST", 900_000_012, "a fifty-first refund", w.one_refund_more().await),
        (401, "SIGN_ERROR", 268_443_699, "no signature", w.unsigned().await),
        (403, "NO_AUTH", 900_000_005, "a product that is not enabled", w.without_the_product().await),
        (403, "NO_AUTH", 268_443_715, "a suspended merchant", w.while_suspended().await),
        (
            403,
            "OUT_TRADE_NO_USED",
            268_498_688,
            "an order's number with another amount",
            w.place(|b| {
                b["out_trade_no"] = json!("unpaid");
                b["amount"]["total"] = json!(1_001);
            })
            .await,
        ),
        (404, "ORDER_NOT_EXIST", 268_512_771, "asking for no order", w.query("nowhere", &mchid).await),
        (
            404,
            "RESOURCE_NOT_EXISTS",
            268_512_771,
            "refunding no order",
            w.post(REFUNDS, &refund("nowhere", "r-4", 1, 1)).await,
        ),
        (
            404,
            "RESOURCE_NOT_EXISTS",
            900_000_008,
            "asking for no refund",
            w.get(&format!("{REFUNDS}/r-9")).await,
        ),
        (404, "RESOURCE_NOT_EXISTS", 900_000_015, "no certificate to list", w.without_certificates().await),
        (404, "NOT_FOUND", 900_000_001, "a path of nobody's", w.get("/v3/nowhere").await),
        (404, "NOT_FOUND", 900_000_072, "a call that is absent", w.get("/v3/profitsharing/bills").await),
        (405, "INVALID_REQUEST", 900_000_002, "another method", w.get(NATIVE).await),
        (
            413,
            "INVALID_REQUEST",
            900_000_003,
            "a body too large",
            w.rig.ask(&w.shop, "POST", NATIVE, &large).await,
        ),
        (500, "SYSTEM_ERROR", 900_000_004, "a fault of ours", w.with_a_key_that_does_not_open().await),
        (429, "FREQUENCY_LIMITED", 900_000_070, "a merchant too often", w.too_often().await),
        (403, "NOT_ENOUGH", 900_000_014, "a refund nobody can pay", w.without_money().await),
        (400, "INVALID_REQUEST", 900_000_013, "a refund after a year", w.a_year_later().await),
        (429, "FREQUENCY_LIMITED", 900_000_071, "an address too often", w.unsigned_too_often().await),
    ];
    let mut reached: BTreeSet<Row> =
        NOT_FROM_HERE.iter().map(|(status, code, number)| (*status, (*code).to_owned(), *number)).collect();
    for (status, code, number, how, answer) in cases {
        assert_eq!((answer.refusal(), answer.number()), ((status, code.to_owned()), number), "{how}");
        assert!(
            !answer.json()["message"].as_str().unwrap().is_ascii(),
            "{how}: Chinese is what is said first"
        );
        assert!(reached.insert((status, code.to_owned(), number)), "{how} was reached before");
    }
    let documented = documented();
    let missing: Vec<_> = reached.difference(&documented).collect();
    assert!(missing.is_empty(), "not in docs/gateway.md: {missing:?}");
    let untried: Vec<_> = documented.difference(&reached).collect();
    assert!(untried.is_empty(), "in docs/gateway.md, and reached by nothing here: {untried:?}");
}

/// Calls that need a product; a further one is one line here.
const PRODUCTS: [(Product, &str); 1] = [(Product::Native, NATIVE)];

#[tokio::test]
async fn each_product_is_granted_by_itself_and_without_it_the_body_is_not_even_read() {
    let rig = Rig::start().await;
    for (product, target) in PRODUCTS {
        let others = Product::ALL.iter().copied().filter(|other| *other != product).collect();
        let (without, with) = (rig.shop_with(others).await, rig.shop_with(vec![product]).await);
        let answer = rig.ask(&without, "POST", target, "{").await;
        assert_eq!(
            (answer.refusal(), answer.number()),
            ((403, "NO_AUTH".to_owned()), 900_000_005),
            "{target}"
        );
        assert_eq!(
            rig.ask(&with, "POST", target, "{").await.refusal(),
            (400, "PARAM_ERROR".to_owned()),
            "{target}"
        );
    }
}

#[tokio::test]
async fn messages_are_english_for_those_who_prefer_it_and_chinese_for_all_others() {
    let rig = Rig::start().await;
    for (wish, english) in [
        ("en", true),
        ("en-GB,en;q=0.9", true),
        ("zh-CN", false),
        ("zh-HK", false),
        ("zh-TW", false),
        ("zh-TW,en;q=0.5", false),
        ("", false),
        ("*", false),
    ] {
        let answer = rig.send("GET", CERTIFICATES, &[("Accept-Language", wish)], b"").await;
        assert_eq!(answer.json()["message"].as_str().unwrap().is_ascii(), english, "{wish}");
    }
}

#[tokio::test]
async fn a_call_that_this_version_does_not_have_is_named_whatever_the_method() {
    let rig = Rig::start().await;
    for (path, name) in [
        ("/v3/combine-transactions/native", "combined orders"),
        ("/v3/marketing/favor/stocks", "coupons"),
        ("/v3/profitsharing/orders", "profit sharing"),
        ("/v3/pay/partner/transactions/native", "service providers"),
        ("/v3/refund/domestic/refunds/50/apply-abnormal-refund", "stuck refund"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = rig.send(method, path, &[("Accept-Language", "en")], b"").await;
            assert_eq!((answer.status, answer.number()), (404, 900_000_072), "{path}");
            assert!(answer.json()["message"].as_str().unwrap().contains(name), "{path}");
        }
    }
    let typo = rig.send("POST", "/v3/pay/transaction/native", &[], b"").await;
    assert_eq!((typo.status, typo.number()), (404, 900_000_001));
}

/// Calls that the guide has and no route yet.
const AHEAD: [&str; 8] = [
    "/v3/pay/transactions/jsapi",
    "/v3/pay/transactions/app",
    "/v3/pay/transactions/h5",
    "/v3/pay/transactions/codepay",
    "/reverse",
    "/v3/bill/",
    "/v3/billdownload/",
    "/v3/fund-app/",
];

#[tokio::test]
async fn the_guide_has_every_call_and_what_it_says_of_each_is_so() {
    let rig = Rig::start().await;
    let routes = include_str!("../src/gateway/mod.rs").split(".route(").skip(1);
    for route in
        routes.filter_map(|text| text.split('"').nth(1)).filter(|path| path.len() > "/v3/{*rest}".len())
    {
        assert!(GUIDE.contains(&format!("{route}` | yes |")), "{route} is not in the guide");
    }
    let mut seen = 0;
    for line in GUIDE.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(calls), Some(here)) = (cells.next(), cells.next()) else { continue };
        if !matches!(here, "yes" | "no") {
            continue;
        }
        for call in calls.split('`').skip(1).step_by(2) {
            let (method, path) = call.split_once(' ').unwrap_or(("GET", call));
            if path == "/v3" || AHEAD.iter().any(|part| path.contains(part)) {
                continue;
            }
            let answer = rig.send(method, &path.replace('…', "x").replace(['{', '}'], ""), &[], b"").await;
            let expected = if here == "yes" { (401, 268_443_699) } else { (404, 900_000_072) };
            assert_eq!((answer.status, answer.number()), expected, "{call}");
            seen += 1;
        }
    }
    assert!(seen > 20, "the guide is still written as this test reads it");
}
