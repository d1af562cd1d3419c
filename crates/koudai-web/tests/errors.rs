//! The error table of `docs/gateway.md`, row by row: each is reached, and what is reached stands in it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::collections::BTreeSet;

use koudai_core::bill::SetMerchantBills;
use koudai_core::code_payment::DeclineCodePayment;
use koudai_core::id::PersonId;
use koudai_core::ledger::{AccountId, JournalKind, Posting, WECHAT_NETWORK};
use koudai_core::merchant::{SetApiV3Key, SetMerchant};
use koudai_core::money::{Currency, Money};
use koudai_core::other_wallet::{AtWallet, Scene};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::Product;
use koudai_core::state::{Command, OrStop, Stop, Tx};
use koudai_core::static_code::{AtCode, CreateStaticCode, PayAsGuest};
use koudai_core::time::{DAY, MINUTE, SECOND};
use koudai_engine::Clock;
use koudai_networks::platform::PlatformKey;
use koudai_networks::telling::notice_id;
use koudai_web::bills::Day;
use rig::{Answer, Freeze, Rig, Shop, code_order, order, refund, sign};
use serde_json::{Value, json};

const NATIVE: &str = "/v3/pay/transactions/native";
const JSAPI: &str = "/v3/pay/transactions/jsapi";
const CODE_PAY: &str = "/v3/pay/transactions/codepay";
const REFUNDS: &str = "/v3/refund/domestic/refunds";
const TRANSFERS: &str = "/v3/fund-app/mch-transfer/transfer-bills";
const NOTICES: &str = "/v3/koudai/notices";
const CERTIFICATES: &str = "/v3/certificates";
const GUIDE: &str = include_str!("../../../docs/gateway.md");

type Row = (u16, String, u32);
/// A row, how it is reached, and what came then.
type Case = (u16, &'static str, u32, &'static str, Answer);

/// Rows that nothing below leads to, and why.
const NOT_FROM_HERE: [(u16, &str, u32); 3] = [
    // Merchants are never removed, and who is none does not get past the signature.
    (400, "MCH_NOT_EXISTS", 268_443_715),
    (404, "MCH_NOT_EXISTS", 268_443_715),
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
        let (rig, clock) = Rig::by_hand().await;
        let shop = rig.shop_with(Product::ALL.to_vec()).await;
        let (person, card) = rig.person_with_card().await;
        rig.top_up(person, card, 100_000).await;
        let world = Self { rig, clock, shop, person };
        world.set(None, None).await;
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
            products,
            suspended,
            transfer_scenes: Some(vec!["1000".to_owned()]),
            ..rig::set(self.shop.mchid)
        };
        self.rig.app.engine.submit(set).await.unwrap();
    }

    /// Somebody without a wallet here paid by a printed code, and their wallet takes no refund.
    async fn redirect_of_a_guest(&self) -> Answer {
        let (engine, mchid) = (&self.rig.app.engine, self.shop.mchid);
        let create = CreateStaticCode { mchid, label: "1".to_owned(), notify_url: None };
        let code = engine.submit(create).await.unwrap().token;
        let pay = PayAsGuest {
            network: WECHAT_NETWORK,
            mac: [9; 32],
            zh: "别处".to_owned(),
            en: "Elsewhere".to_owned(),
            at: AtWallet { scene: Scene::Inside, payer_sealed: None },
            said: AtCode {
                code,
                device: "1".to_owned(),
                amount: Money::fen(100).unwrap(),
                note: None,
                number: "number-1".to_owned(),
            },
        };
        let order = engine.submit(pay).await.unwrap();
        self.rig.bank_pays(&order).await;
        let back = self.post(REFUNDS, &refund(&order.out_trade_no, "guests", 100, 100)).await.json();
        let id = back["refund_id"].as_str().unwrap();
        self.rig.bank_refuses_refund(id).await;
        let to = json!({ "out_refund_no": "guests", "type": "USER_BALANCE" });
        self.post(&format!("{REFUNDS}/{id}/apply-abnormal-refund"), &to).await
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
        self.set(Some(Product::ALL.to_vec()), None).await;
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

    /// A request that is signed by the world's clock, for when that has left the machine's behind.
    async fn by_the_clock(&self, method: &str, target: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let at_s = self.clock.now().0 / 1_000;
        let authorization = sign(&self.shop, method, target, &body, at_s).header_value();
        self.rig.send(method, target, &[("Authorization", &authorization)], body.as_bytes()).await
    }

    /// A refund more than a year after the payment.
    async fn a_year_later(&self) -> Answer {
        self.clock.advance(366 * DAY);
        let body = serde_json::to_value(refund("paid-3", "years", 1, 1_000)).unwrap();
        self.by_the_clock("POST", REFUNDS, &body).await
    }

    /// What a code payment says: so much, by the code that this person shows now.
    async fn code_payment(&self, number: &str, fen: i64, person: PersonId) -> Value {
        let code = self.rig.shown(person).await;
        serde_json::to_value(code_order(&self.shop, number, fen, &code)).unwrap()
    }

    fn reversal(&self, number: &str) -> (String, Value) {
        let target = format!("/v3/pay/transactions/out-trade-no/{number}/reverse");
        (target, json!({ "appid": self.shop.appid, "mchid": self.shop.mchid.wire() }))
    }

    async fn reverse(&self, number: &str) -> Answer {
        let (target, body) = self.reversal(number);
        self.post(&target, &body).await
    }

    /// A transfer with something changed.
    async fn transfer(&self, payee: PersonId, change: impl FnOnce(&mut Value)) -> Answer {
        let mut body = json!({
            "appid": self.shop.appid, "out_bill_no": "bill1", "transfer_scene_id": "1000",
            "openid": self.rig.app.networks.vault.openid(&self.shop.appid, payee),
            "transfer_amount": 100, "transfer_remark": "新会员奖励",
            "transfer_scene_report_infos": [{ "info_type": "活动名称", "info_content": "注册会员有礼" }],
        });
        change(&mut body);
        self.post(TRANSFERS, &body).await
    }

    /// Telling of one event once more than a minute allows.
    async fn one_replay_more(&self) -> Answer {
        let seq = self.rig.order(&self.shop, "paid-1").await.paid_seq.unwrap();
        let target = format!("{NOTICES}/{}/replay", notice_id(seq));
        for _ in 0..60 {
            assert_eq!(self.rig.ask(&self.shop, "POST", &target, "").await.status, 200);
        }
        self.rig.ask(&self.shop, "POST", &target, "").await
    }
}

/// What is answered to a till that has scanned a payer's code. Minutes pass.
async fn of_code_payments(w: &World) -> Vec<Case> {
    let engine = &w.rig.app.engine;
    let (poor, _) = w.rig.person_with_card().await;
    let frozen = w.rig.person(1_000).await;
    let of_frozen = w.code_payment("till-frozen", 100, frozen).await;
    engine.submit(Freeze(frozen)).await.unwrap();
    let declined = w.code_payment("till-declined", 100_001, poor).await;
    assert_eq!(w.post(CODE_PAY, &declined).await.status, 202);
    let id = w.rig.order(&w.shop, "till-declined").await.id;
    engine.submit(DeclineCodePayment { person: poor, order: id }).await.unwrap();
    let mut none = declined.clone();
    none["out_trade_no"] = json!("till-none");
    none["payer"]["auth_code"] = json!("134567890123456789");
    let short = w.code_payment("till-short", 100, poor).await;
    let mut cases = vec![
        (400, "AUTH_CODE_INVALID", 900_000_030, "another wallet's code", w.post(CODE_PAY, &none).await),
        (403, "NOT_ENOUGH", 900_000_032, "a payer without money", w.post(CODE_PAY, &short).await),
        (403, "USER_ACCOUNT_ABNORMAL", 900_000_033, "a frozen payer", w.post(CODE_PAY, &of_frozen).await),
        (403, "TRADE_ERROR", 900_000_034, "a payer who refused", w.post(CODE_PAY, &declined).await),
        (400, "INVALID_REQUEST", 268_449_641, "closing a code payment", w.close("till-declined").await),
        (400, "INVALID_REQUEST", 900_000_036, "reversing another order", w.reverse("unpaid").await),
    ];
    let paid = w.code_payment("till-paid", 100, w.person).await;
    for body in [
        &paid,
        &w.code_payment("till-refunded", 100, w.person).await,
        &w.code_payment("till-old", 100, w.person).await,
    ] {
        assert_eq!(w.post(CODE_PAY, body).await.status, 200);
    }
    assert_eq!(w.post(REFUNDS, &refund("till-refunded", "of-code", 1, 100)).await.status, 200);
    cases.push((400, "INVALID_REQUEST", 900_000_037, "reversing at once", w.reverse("till-paid").await));
    w.clock.advance(15 * SECOND);
    cases.push((
        400,
        "INVALID_REQUEST",
        900_000_039,
        "reversing what was refunded in part",
        w.reverse("till-refunded").await,
    ));
    assert_eq!(w.reverse("till-paid").await.status, 200);
    cases.push((400, "ORDER_CLOSED", 900_000_035, "paying what was reversed", w.post(CODE_PAY, &paid).await));
    let again = w.post(REFUNDS, &refund("till-paid", "reversed", 1, 100)).await;
    cases.push((400, "INVALID_REQUEST", 900_000_035, "refunding what was reversed", again));
    let late = w.code_payment("till-late", 100, w.person).await;
    w.clock.advance(MINUTE);
    cases.push((400, "AUTH_CODE_EXPIRED", 900_000_031, "a code of before", w.post(CODE_PAY, &late).await));
    cases
}

/// What is answered about money that is sent to people.
async fn of_transfers(w: &World) -> Vec<Case> {
    let frozen = w.rig.person(1_000).await;
    w.rig.app.engine.submit(Freeze(frozen)).await.unwrap();
    assert_eq!(w.transfer(w.person, |_| ()).await.status, 200);
    assert_eq!(w.transfer(frozen, |b| b["out_bill_no"] = json!("failed")).await.json()["state"], "FAIL");
    let other = |field: &'static str, value: Value| {
        w.transfer(w.person, move |b| {
            b["out_bill_no"] = json!("bill2");
            b[field] = value;
        })
    };
    let nobody = json!("oBelongsToNobody");
    vec![
        (
            400,
            "PARAM_ERROR",
            900_000_040,
            "a name under no key of ours",
            other("user_name", json!("AAAA")).await,
        ),
        (403, "NO_AUTH", 900_000_041, "a scene not granted", other("transfer_scene_id", json!("1005")).await),
        (400, "PARAM_ERROR", 900_000_042, "nobody's openid", other("openid", nobody).await),
        (
            400,
            "PARAM_ERROR",
            900_000_043,
            "much money and no name",
            other("transfer_amount", json!(200_000)).await,
        ),
        (
            404,
            "NOT_FOUND",
            900_000_044,
            "asking for no transfer",
            w.get(&format!("{TRANSFERS}/out-bill-no/none")).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_045,
            "a transfer's number with another amount",
            w.transfer(w.person, |b| b["transfer_amount"] = json!(101)).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_046,
            "cancelling what has failed",
            w.post(&format!("{TRANSFERS}/out-bill-no/failed/cancel"), &json!({})).await,
        ),
    ]
}

/// What is answered about bills. A day passes.
async fn of_bills(w: &World) -> Vec<Case> {
    let today = Day::of(w.rig.app.engine.now());
    let yesterday = Day::of(today.begins().plus(-1));
    let fees = format!("/v3/bill/fundflowbill?account_type=FEES&bill_date={yesterday}");
    let trade = |day: Day| format!("/v3/bill/tradebill?bill_date={day}");
    let wanted = SetMerchantBills { mchid: w.shop.mchid, empty: true };
    w.rig.app.engine.submit(wanted).await.unwrap();
    let reply = w.get(&trade(yesterday)).await.json();
    let download = reply["download_url"].as_str().unwrap().strip_prefix(&*w.rig.app.origin).unwrap();
    let other = w.rig.shop().await;
    let mut cases = vec![
        (400, "NO_STATEMENT_EXIST", 900_000_101, "an account without a bill", w.get(&fees).await),
        (400, "INVALID_REQUEST", 900_000_103, "the bill of today", w.get(&trade(today)).await),
        (
            403,
            "NO_AUTH",
            900_000_105,
            "another merchant's bill",
            w.rig.ask(&other, "GET", download, "").await,
        ),
    ];
    w.clock.advance(5 * MINUTE);
    let late = w.by_the_clock("GET", download, &Value::Null).await;
    cases.push((400, "INVALID_REQUEST", 900_000_104, "a download after five minutes", late));
    let today = Day::of(w.clock.now());
    w.clock.advance(today.ends().since(w.clock.now()) + 30 * SECOND);
    let early = w.by_the_clock("GET", &trade(today), &Value::Null).await;
    cases.push((400, "STATEMENT_CREATING", 900_000_102, "the bill of a day just over", early));
    cases
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
    let taken = w.get(&format!("{REFUNDS}/taken")).await.json();
    let stuck = format!("{REFUNDS}/{}/apply-abnormal-refund", taken["refund_id"].as_str().unwrap());
    let send = |to: &str| json!({ "out_refund_no": "taken", "type": to });
    let mut jsapi = serde_json::to_value(order(&w.shop, "order-1", 1_000)).unwrap();
    jsapi["payer"] = json!({ "openid": "oBelongsToNobody" });
    let mut cases: Vec<Case> = vec![
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
        (400, "PARAM_ERROR", 268_501_013, "an order meant for nobody", w.post(JSAPI, &jsapi).await),
        (
            400,
            "INVALID_REQUEST",
            900_000_016,
            "sending elsewhere what is not stuck",
            w.post(&stuck, &send("USER_BALANCE")).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_017,
            "sending a refund to a card",
            w.post(&stuck, &send("USER_BANK_CARD")).await,
        ),
        (
            400,
            "INVALID_REQUEST",
            900_000_018,
            "sending a guest's refund to a balance",
            w.redirect_of_a_guest().await,
        ),
        (
            404,
            "RESOURCE_NOT_EXISTS",
            900_000_060,
            "asking for no notification",
            w.get(&format!("{NOTICES}/koudai-1-00000000000000009999")).await,
        ),
        (429, "FREQUENCY_LIMITED", 268_447_840, "a replay too many", w.one_replay_more().await),
    ];
    cases.extend(of_code_payments(&w).await);
    cases.extend(of_transfers(&w).await);
    cases.extend([
        (429, "FREQUENCY_LIMITED", 900_000_070, "a merchant too often", w.too_often().await),
        (403, "NOT_ENOUGH", 900_000_014, "a refund nobody can pay", w.without_money().await),
    ]);
    cases.extend(of_bills(&w).await);
    let year = w.a_year_later().await;
    let (reverse, body) = w.reversal("till-old");
    let old = w.by_the_clock("POST", &reverse, &body).await;
    cases.extend([
        (400, "INVALID_REQUEST", 900_000_013, "a refund after a year", year),
        (400, "INVALID_REQUEST", 900_000_038, "reversing after a week", old),
        (429, "FREQUENCY_LIMITED", 900_000_071, "an address too often", w.unsigned_too_often().await),
    ]);
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
