//! Merchants' bills: their exact bytes, that they add up to the ledger, that they stay what they are, and what the gateway
//! says of those there are none of.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::bill::SetMerchantBills;
use koudai_core::id::{CardId, OrderId, PersonId};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::money::Money;
use koudai_core::order::PlaceOrder;
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::Pin;
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::{NetworkRefusal, Order, Refund};
use koudai_core::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_web::App;
use koudai_web::bills::{AFTER_MIDNIGHT_MS, Bill, BillKind, Bills, Day, NoBill};
use koudai_wechatpay::client::BillError;
use koudai_wechatpay::types::{AccountType, BillReply, BillType};
use rig::{PIN, Rig, Shop, now_s, sign};

const ALL: [BillKind; 4] = [BillKind::All, BillKind::Success, BillKind::Refund, BillKind::FundFlow];

fn moment(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A rig whose time the test moves.
struct Ground {
    rig: Rig,
    clock: Clock,
}

impl Ground {
    async fn at(start: Timestamp) -> Self {
        // Everything follows from the clock and the seed, so that numbers of ours can be expected.
        let clock = Clock::simulated(start, 7);
        Self { rig: Rig::start_unlimited(Reach::Local, clock.clone()).await, clock }
    }

    fn until(&self, at: Timestamp) {
        self.clock.advance(at.since(self.clock.now()));
    }

    async fn order(&self, shop: &Shop, number: &str, fen: i64, description: &str) -> OrderId {
        let place = PlaceOrder {
            description: description.to_owned(),
            attach: Some("till 3, left".to_owned()),
            notify_url: "https://shop.example/paid".to_owned(),
            scene_info: Some(r#"{"payer_client_ip":"203.0.113.7","device_id":"POS,1"}"#.to_owned()),
            ..rig::placed(shop.mchid, number, fen)
        };
        self.rig.app.engine.submit(place).await.unwrap().id
    }

    async fn pay(&self, person: PersonId, card: Option<CardId>, order: OrderId) -> Order {
        let pay = Pay { person, order, means: Means::of(card), confirmed: Pin::parse(PIN).unwrap().into() };
        let order = self.rig.app.engine.submit(pay).await.unwrap();
        if card.is_some() {
            self.rig.bank_pays(&order).await;
        }
        order
    }

    async fn refund(&self, order: &Order, number: &str, fen: i64) -> Refund {
        let refund = RequestRefund {
            mchid: order.mchid,
            order: OrderName::Id(order.id),
            out_refund_no: number.to_owned(),
            amount: Money::fen(fen).unwrap(),
            total: order.amount,
            reason: Some("少了一杯,\r\n`冷`".to_owned()),
            notify_url: None,
        };
        self.rig.app.engine.submit(refund).await.unwrap().0
    }

    async fn end(&self, refund: &Refund, arrives: bool) {
        let outcome = if arrives {
            Outcome::Succeeded { network_ref: "1".to_owned() }
        } else {
            Outcome::Failed(NetworkRefusal::CardNotUsable)
        };
        self.rig.app.engine.submit(EndAttempt { attempt: refund.attempt.unwrap(), outcome }).await.unwrap();
    }

    async fn bill(&self, shop: &Shop, kind: BillKind, day: &str) -> String {
        text_of(&self.rig.app, shop, kind, day).await
    }
}

fn bill(shop: &Shop, kind: BillKind, day: &str) -> Bill {
    Bill { mchid: shop.mchid, kind, day: Day::parse(day).unwrap() }
}

async fn text_of(app: &App, shop: &Shop, kind: BillKind, day: &str) -> String {
    let written = app.bills.get(app, bill(shop, kind, day)).await.unwrap();
    let body = to_bytes(Body::new(written.read(false).unwrap()), usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(written.lines, text.matches("\r\n").count() as u64 - 3);
    text
}

/// An app with bills of its own, in an empty spool.
fn anew(app: &App, spool: &Path) -> App {
    App { bills: Arc::new(Bills::open(spool).unwrap()), ..app.clone() }
}

/// One shop's 24 November: payments by balance and card, and refunds that arrive, are refused, and are still under way.
async fn a_day(ground: &Ground) -> Shop {
    let shop = ground.rig.shop().await;
    let (person, card) = ground.rig.person_with_card().await;
    ground.rig.top_up(person, card, 100_000).await;
    ground.until(moment("2026-11-23T23:59:59.999+08:00"));
    let order = ground.order(&shop, "eve-001", 20_000, "前一天").await;
    ground.pay(person, None, order).await;

    ground.until(moment("2026-11-24T00:00:00+08:00"));
    let order = ground.order(&shop, "order-1", 8_800, "拿铁 大杯").await;
    let coffee = ground.pay(person, None, order).await;
    ground.until(moment("2026-11-24T09:30:00+08:00"));
    let order = ground.order(&shop, "order-2", 500, "a,b`c\r\nd").await;
    let tea = ground.pay(person, Some(card), order).await;
    ground.until(moment("2026-11-24T10:00:00+08:00"));
    ground.refund(&coffee, "back-1", 3_000).await;
    let arriving = ground.refund(&tea, "back-2", 200).await;
    let refused = ground.refund(&tea, "back-3", 200).await;
    let late = ground.refund(&tea, "back-4", 100).await;
    ground.until(moment("2026-11-24T23:59:59.999+08:00"));
    ground.end(&arriving, true).await;
    ground.end(&refused, false).await;
    ground.until(moment("2026-11-25T00:00:00+08:00"));
    ground.end(&late, true).await;
    ground.refund(&coffee, "back-5", 1).await;
    ground.until(moment("2026-11-25T00:01:00+08:00"));
    shop
}

#[tokio::test]
async fn a_days_bills_are_these_bytes() {
    let ground = Ground::at(moment("2026-11-23T12:00:00+08:00")).await;
    let shop = a_day(&ground).await;
    let names = ["all", "success", "refund", "fund_flow"];
    for (kind, name) in ALL.into_iter().zip(names) {
        let found = ground.bill(&shop, kind, "2026-11-24").await;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/merchant_bills/{name}.csv"));
        if std::env::var_os("KOUDAI_WRITE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(path).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_bill_is_the_same_whenever_it_is_made_and_whatever_happened_since() {
    let ground = Ground::at(moment("2026-11-23T12:00:00+08:00")).await;
    let shop = a_day(&ground).await;
    let app = &ground.rig.app;
    let mut before = vec![];
    for kind in ALL {
        let written = app.bills.get(app, bill(&shop, kind, "2026-11-24")).await.unwrap();
        before.push((written.hash.clone(), ground.bill(&shop, kind, "2026-11-24").await));
    }
    let order = ground.rig.order(&shop, "order-1").await;
    ground.refund(&order, "back-6", 5_000).await;
    app.engine.submit(SetMerchantBills { mchid: shop.mchid, empty: true }).await.unwrap();
    ground.until(moment("2027-01-01T00:00:00+08:00"));
    let spool = tempfile::tempdir().unwrap();
    let later = anew(app, spool.path());
    for (kind, (hash, text)) in ALL.into_iter().zip(before) {
        assert_eq!(text_of(&later, &shop, kind, "2026-11-24").await, text);
        let written = later.bills.get(&later, bill(&shop, kind, "2026-11-24")).await.unwrap();
        assert_eq!(written.hash, hash);
        assert_eq!(hash, hex_sha1(text.as_bytes()));
    }
}

fn hex_sha1(bytes: &[u8]) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A bill's lines and its sums, each a map from the names above it.
fn parse(text: &str) -> (Vec<BTreeMap<String, String>>, BTreeMap<String, String>) {
    let lines: Vec<&str> =
        text.strip_prefix('\u{feff}').unwrap().strip_suffix("\r\n").unwrap().split("\r\n").collect();
    let [head, lines @ .., foot, sums] = lines.as_slice() else { panic!("too short") };
    let named = |head: &str, line: &str| {
        let values: Vec<&str> = line.strip_prefix('`').unwrap().split(",`").collect();
        let names: Vec<&str> = head.split(',').collect();
        assert_eq!(names.len(), values.len(), "{line}");
        names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
    };
    (lines.iter().map(|line| named(head, line)).collect(), named(foot, sums))
}

/// An amount of a bill, in thousandths of a fen, so that fees are exact too.
fn amount(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (yuan, rest) = text.split_once('.').unwrap();
    assert!(matches!(rest.len(), 2 | 5), "{text}");
    sign * (yuan.parse::<i64>().unwrap() * 100_000 + format!("{rest:0<5}").parse::<i64>().unwrap())
}

/// Holds a merchant's bills of a day against each other and against the ledger: what the account came to on that day.
async fn adds_up(ground: &Ground, shop: &Shop, day: &str) {
    let (begins, ends) = (Day::parse(day).unwrap().begins(), Day::parse(day).unwrap().ends());
    let account = AccountId::merchant(shop.mchid);
    let read = ground.rig.app.engine.read(move |reader| reader.history(account, None, i64::MAX));
    let mut journals = read.await.unwrap();
    journals.reverse();
    let standing = |at: Timestamp| {
        let last = journals.iter().rev().find(|journal| journal.at < at);
        last.and_then(|journal| journal.line(account)).map_or(0, |l| l.credits_minor - l.debits_minor) * 1_000
    };
    let of_day: Vec<_> = journals.iter().filter(|j| (begins..ends).contains(&j.at)).collect();

    let (lines, sums) = parse(&ground.bill(shop, BillKind::FundFlow, day).await);
    let mut balance = standing(begins);
    for line in &lines {
        balance += if line["收支类型"] == "收入" { 1 } else { -1 } * amount(&line["收支金额(元)"]);
        assert_eq!(amount(&line["账户结余(元)"]), balance, "{line:?}");
    }
    assert_eq!(balance, standing(ends), "the day closes as the account stood");
    let total = |of: &str| {
        lines.iter().filter(|l| l["收支类型"] == of).map(|l| amount(&l["收支金额(元)"])).sum::<i64>()
    };
    assert_eq!((amount(&sums["收入金额"]), amount(&sums["支出金额"])), (total("收入"), total("支出")));
    let postings = of_day.iter().flat_map(|j| &j.postings);
    let own = postings.filter(|p| p.debit == account || p.credit == account).count();
    assert_eq!((lines.len(), sums["资金流水总笔数"].parse().ok()), (own, Some(own)));

    let (all, sums) = parse(&ground.bill(shop, BillKind::All, day).await);
    let total = |name: &str| all.iter().map(|line| amount(&line[name])).sum::<i64>();
    let (orders, refunds, fees) = (total("订单金额"), total("退款金额"), total("手续费"));
    assert_eq!(orders - refunds - fees, standing(ends) - standing(begins));
    for (name, sum) in [
        ("订单总金额", orders),
        ("应结订单总金额", total("应结订单金额")),
        ("退款总金额", refunds),
        ("申请退款总金额", total("申请退款金额")),
        ("手续费总金额", fees),
        ("充值券退款总金额", 0),
    ] {
        assert_eq!(amount(&sums[name]), sum, "{name}");
    }
    let moves = |kind: &JournalKind| {
        use JournalKind::{BalancePayment, BalanceRefund, CardPayment, CardRefundAccepted};
        [BalancePayment, CardPayment, BalanceRefund, CardRefundAccepted].contains(kind)
    };
    assert_eq!(all.len(), of_day.iter().filter(|j| moves(&j.kind)).count());
    let (paid, _) = parse(&ground.bill(shop, BillKind::Success, day).await);
    let (returned, _) = parse(&ground.bill(shop, BillKind::Refund, day).await);
    assert_eq!(paid.len() + returned.len(), all.len());
    assert!(all.iter().is_sorted_by_key(|line| line["交易时间"].clone()));
}

#[tokio::test]
async fn bills_of_busy_and_of_quiet_merchants_add_up_to_the_ledger() {
    let ground = Ground::at(moment("2026-11-22T22:00:00+08:00")).await;
    let (busy, quiet, idle) = (ground.rig.shop().await, ground.rig.shop().await, ground.rig.shop().await);
    let (person, card) = ground.rig.person_with_card().await;
    ground.rig.top_up(person, card, 5_000_000).await;
    let mut open = vec![];
    // Three days, of which the first and the last are short; a card refund takes some hours.
    for n in 0..2_600_i64 {
        ground.clock.advance(45 * SECOND);
        let shop = if n % 100 == 7 { &quiet } else { &busy };
        let order = ground.order(shop, &format!("order-{n}"), 1 + n % 997, "咖啡").await;
        let order = ground.pay(person, (n % 9 == 0).then_some(card), order).await;
        if n % 5 == 0 || n % 100 == 7 {
            let refund = ground.refund(&order, &format!("back-{n}"), 1 + order.amount.minor() / 3).await;
            open.extend(refund.attempt.is_some().then_some((n, refund)));
        }
        if n % 50 == 0 {
            let due = open.iter().position(|(since, _)| *since > n - 400).unwrap_or(open.len());
            for (since, refund) in open.drain(..due) {
                ground.end(&refund, since % 4 != 0).await;
            }
        }
    }
    ground.until(moment("2026-11-25T08:00:00+08:00"));
    for day in ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"] {
        for shop in [&busy, &quiet, &idle] {
            adds_up(&ground, shop, day).await;
        }
    }
    let (all, _) = parse(&ground.bill(&busy, BillKind::All, "2026-11-23").await);
    assert!(all.len() > 2_048, "more than one look: {}", all.len());
    let states = |of: &str| all.iter().filter(|line| line["退款状态"] == of).count();
    assert!(states("SUCCESS") > 0 && states("PROCESSING") > 0 && states("FAIL") > 0);
}

#[tokio::test]
async fn a_bill_is_made_once_however_many_ask_and_is_there_for_whoever_asks_later() {
    let ground = Ground::at(moment("2026-11-23T12:00:00+08:00")).await;
    let shop = a_day(&ground).await;
    let spool = tempfile::tempdir().unwrap();
    let hurried = Bills::open(spool.path()).unwrap().with_patience(Duration::ZERO);
    let app = App { bills: Arc::new(hurried), ..ground.rig.app.clone() };
    let wanted = bill(&shop, BillKind::All, "2026-11-24");
    assert_eq!(app.bills.get(&app, wanted).await.unwrap_err(), NoBill::BeingMade);
    let written = loop {
        match app.bills.get(&app, wanted).await {
            Ok(written) => break written,
            Err(error) => assert_eq!(error, NoBill::BeingMade),
        }
        tokio::task::yield_now().await;
    };
    let spool = tempfile::tempdir().unwrap();
    let app = anew(&app, spool.path());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.bills.get(&app, wanted).await.unwrap().hash.clone() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), written.hash);
    }
    assert_eq!(names(spool.path()), ["0.bill"]);
    assert_eq!(app.bills.count(), (1, 0));
}

fn names(spool: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(spool).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_are_their_owners_alone_and_go_after_a_day_and_at_a_start() {
    let ground = Ground::at(moment("2026-11-23T12:00:00+08:00")).await;
    let shop = a_day(&ground).await;
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("spool").join("bills");
    let app = anew(&ground.rig.app, &spool);
    let written = app.bills.get(&app, bill(&shop, BillKind::All, "2026-11-24")).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&spool), mode(&spool.join("0.bill"))), (0o700, 0o600));
    let reading = written.read(false).unwrap();
    let hash = written.hash.clone();
    drop(written);
    ground.clock.advance(25 * HOUR);
    app.bills.get(&app, bill(&shop, BillKind::Refund, "2026-11-24")).await.unwrap();
    assert_eq!(names(&spool), ["1.bill"], "the first one's time is over");
    let body = to_bytes(Body::new(reading), usize::MAX).await.unwrap();
    assert_eq!(hex_sha1(&body), hash, "who was reading it reads on");
    std::mem::forget(app);
    let _next = Bills::open(&spool).unwrap();
    assert_eq!(names(&spool), [""; 0]);
}

#[tokio::test]
async fn one_merchant_cannot_have_everything_made_at_once() {
    let ground = Ground::at(moment("2026-11-23T12:00:00+08:00")).await;
    let shop = a_day(&ground).await;
    let spool = tempfile::tempdir().unwrap();
    let hurried = Bills::open(spool.path()).unwrap().with_patience(Duration::ZERO);
    let app = App { bills: Arc::new(hurried), ..ground.rig.app.clone() };
    let other = ground.rig.shop().await;
    // All are asked for before this thread does anything else, so that nothing is made in between.
    let get = |shop: &Shop, kind, day| app.bills.get(&app, bill(shop, kind, day));
    let (first, second, third, fourth, fifth, others) = tokio::join!(
        get(&shop, BillKind::All, "2026-11-24"),
        get(&shop, BillKind::Success, "2026-11-24"),
        get(&shop, BillKind::Refund, "2026-11-24"),
        get(&shop, BillKind::FundFlow, "2026-11-24"),
        get(&shop, BillKind::All, "2026-11-23"),
        get(&other, BillKind::All, "2026-11-23"),
    );
    for asked in [first, second, third, fourth, others] {
        assert_ne!(asked.err(), Some(NoBill::Busy));
    }
    assert_eq!(fifth.unwrap_err(), NoBill::Busy);
}

#[tokio::test]
async fn a_day_has_no_bill_before_the_ledgers_time_is_well_past_it() {
    let ground = Ground::at(moment("2026-11-24T12:00:00+08:00")).await;
    let shop = ground.rig.shop().await;
    let app = &ground.rig.app;
    let wanted = bill(&shop, BillKind::All, "2026-11-24");
    assert_eq!(app.bills.get(app, wanted).await.unwrap_err(), NoBill::NotOver);
    ground.until(wanted.day.ends());
    assert_eq!(app.bills.get(app, wanted).await.unwrap_err(), NoBill::BeingMade);
    ground.until(wanted.day.ends().plus(AFTER_MIDNIGHT_MS - 1));
    assert_eq!(app.bills.get(app, wanted).await.unwrap_err(), NoBill::BeingMade);
    ground.clock.advance(1);
    assert_eq!(app.bills.get(app, wanted).await.unwrap().lines, 0);
}

/// A shop that traded two days ago, with a clock that stands at the machine's present, so that requests can be signed.
async fn two_days_on() -> (Ground, Shop, String) {
    let now = Timestamp(now_s() * 1_000);
    let ground = Ground::at(now.plus(-2 * DAY)).await;
    let shop = ground.rig.shop().await;
    let person = ground.rig.person(50_000).await;
    let order = ground.order(&shop, "order-1", 8_800, "拿铁 大杯").await;
    let order = ground.pay(person, None, order).await;
    ground.refund(&order, "back-1", 3_000).await;
    let day = Day::of(ground.clock.now()).to_string();
    ground.until(now);
    (ground, shop, day)
}

#[tokio::test]
async fn a_bill_is_applied_for_and_downloaded_plain_and_compressed() {
    let (ground, shop, day) = two_days_on().await;
    let client = ground.rig.client(&shop, true);
    for compressed in [false, true] {
        let replies = [
            (BillKind::All, client.trade_bill(&day, &BillType::All, compressed).await.unwrap()),
            (BillKind::Success, client.trade_bill(&day, &BillType::Success, compressed).await.unwrap()),
            (BillKind::Refund, client.trade_bill(&day, &BillType::Refund, compressed).await.unwrap()),
            (BillKind::FundFlow, client.fund_flow_bill(&day, &AccountType::Basic, compressed).await.unwrap()),
        ];
        for (kind, reply) in replies {
            assert!(
                reply
                    .download_url
                    .starts_with(&format!("{}/v3/billdownload/file?token=", ground.rig.app.origin))
            );
            let mut plain = vec![];
            let bytes = client.download_bill(&reply, 1 << 20, &mut plain).await.unwrap();
            assert_eq!(bytes, plain.len() as u64);
            assert_eq!(String::from_utf8(plain).unwrap(), ground.bill(&shop, kind, &day).await);
            let short = client.download_bill(&reply, bytes - 1, &mut vec![]).await;
            assert!(matches!(short, Err(BillError::TooLarge)), "{short:?}");
            let other = BillReply { hash_value: "0".repeat(40), ..reply };
            let changed = client.download_bill(&other, 1 << 20, &mut vec![]).await;
            assert!(matches!(changed, Err(BillError::Hash)), "{changed:?}");
        }
    }
}

#[tokio::test]
async fn a_download_is_the_applicants_alone_and_says_what_it_is() {
    let (ground, shop, day) = two_days_on().await;
    let rig = &ground.rig;
    let other = rig.shop().await;
    for (tar, content_type) in [("", "text/plain; charset=utf-8"), ("&tar_type=GZIP", "application/x-gzip")] {
        let reply =
            rig.ask(&shop, "GET", &format!("/v3/bill/tradebill?bill_date={day}{tar}"), "").await.json();
        let url = reply["download_url"].as_str().unwrap();
        let target = url.strip_prefix(&*rig.app.origin).unwrap().to_owned();
        let get = |shop: &Shop, line: String| {
            let header = sign(shop, "GET", &line, "", now_s()).header_value();
            let target = target.clone();
            async move { rig.send("GET", &target, &[("Authorization", &header)], b"").await }
        };
        let answer = get(&shop, target.clone()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], content_type);
        assert_eq!(answer.headers["content-length"], answer.body.len().to_string());
        assert!(!answer.headers.keys().any(|name| name.starts_with("wechatpay-")), "it is not signed");
        assert_eq!(answer.headers["cache-control"], "no-store");
        // One SDK signs the whole address.
        assert_eq!(get(&shop, url.to_owned()).await.body, answer.body);
        assert_eq!(get(&shop, url.replace("http:", "https:")).await.status, 401);
        assert_eq!(get(&other, target.clone()).await.refusal(), (403, "NO_AUTH".to_owned()));
        assert_eq!(rig.send("GET", &target, &[], b"").await.status, 401);
        let applied = ground.clock.now();
        for (later, expected) in [(5 * MINUTE - 1, 200), (5 * MINUTE, 400)] {
            ground.until(applied.plus(later));
            let header = sign(&shop, "GET", &target, "", ground.clock.now().0 / 1_000).header_value();
            let answer = rig.send("GET", &target, &[("Authorization", &header)], b"").await;
            assert_eq!(answer.status, expected);
            assert!(expected == 200 || answer.code() == "INVALID_REQUEST");
        }
        ground.until(applied);
    }
    // The whole address is taken nowhere else.
    let target = format!("/v3/bill/tradebill?bill_date={day}");
    let whole = format!("{}{target}", rig.app.origin);
    let header = sign(&shop, "GET", &whole, "", now_s()).header_value();
    assert_eq!(rig.send("GET", &target, &[("Authorization", &header)], b"").await.status, 401);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_by_name() {
    let (ground, shop, day) = two_days_on().await;
    let rig = &ground.rig;
    let today = Day::of(rig.app.engine.now());
    let oldest = today.oldest_asked();
    let before = Day::of(oldest.begins().plus(-1));
    let tomorrow = Day::of(today.ends());
    let trade = |rest: &str| format!("/v3/bill/tradebill?{rest}");
    let flow = |rest: &str| format!("/v3/bill/fundflowbill?{rest}");
    let download = |rest: &str| format!("/v3/billdownload/file{rest}");
    let cases = [
        (trade(""), "PARAM_ERROR", "bill_date"),
        (trade("bill_date="), "PARAM_ERROR", "bill_date"),
        (trade("bill_date=20261124"), "PARAM_ERROR", "bill_date"),
        (trade("bill_date=2026-02-30"), "PARAM_ERROR", "bill_date"),
        (trade(&format!("bill_date={day}&bill_date={day}")), "PARAM_ERROR", "bill_date"),
        (trade(&format!("bill_date={today}")), "INVALID_REQUEST", "bill_date"),
        (trade(&format!("bill_date={tomorrow}")), "INVALID_REQUEST", "bill_date"),
        (trade(&format!("bill_date={before}")), "INVALID_REQUEST", "bill_date"),
        (trade(&format!("bill_date={day}&bill_type=SOME")), "PARAM_ERROR", "bill_type"),
        (trade(&format!("bill_date={day}&bill_type=ALL_SPECIAL")), "PARAM_ERROR", "bill_type"),
        (trade(&format!("bill_date={day}&bill_type=RECHARGE_REFUND")), "PARAM_ERROR", "bill_type"),
        (trade(&format!("bill_date={day}&tar_type=ZIP")), "PARAM_ERROR", "tar_type"),
        (trade(&format!("bill_date={day}&sub_mchid=1900000009")), "PARAM_ERROR", "sub_mchid"),
        (flow(&format!("bill_date={today}")), "INVALID_REQUEST", "bill_date"),
        (flow(&format!("bill_date={day}&account_type=OTHER")), "PARAM_ERROR", "account_type"),
        (flow(&format!("bill_date={day}&tar_type=gzip")), "PARAM_ERROR", "tar_type"),
        (download(""), "PARAM_ERROR", "token"),
        (download("?token="), "PARAM_ERROR", "token"),
        (download("?token=abc"), "PARAM_ERROR", "token"),
        (download(&format!("?token={}", "A".repeat(5_000))), "PARAM_ERROR", "token"),
    ];
    for (target, code, field) in cases {
        let answer = rig.ask(&shop, "GET", &target, "").await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{target}");
        let detail = answer.json()["detail"].clone();
        assert_eq!((detail["field"].as_str(), detail["location"].as_str()), (Some(field), Some("query")));
        assert!(detail["value"].is_null() || field != "token", "a token is not quoted");
    }
    for target in [
        trade(&format!("bill_date={oldest}")),
        flow(&format!("bill_date={oldest}")),
        flow(&format!("bill_date={day}&account_type=OPERATION")),
        flow(&format!("bill_date={day}&account_type=FEES")),
    ] {
        let answer = rig.ask(&shop, "GET", &target, "").await;
        assert_eq!(answer.refusal(), (400, "NO_STATEMENT_EXIST".to_owned()), "{target}");
    }
    assert_eq!(rig.ask(&shop, "POST", "/v3/bill/tradebill", "").await.status, 405);
}

#[tokio::test]
async fn an_empty_day_has_a_bill_for_a_merchant_who_wants_one() {
    let (ground, shop, day) = two_days_on().await;
    let client = ground.rig.client(&shop, true);
    let empty = Day::of(Day::parse(&day).unwrap().begins().plus(-1)).to_string();
    client.trade_bill(&empty, &BillType::All, false).await.unwrap_err();
    let set = SetMerchantBills { mchid: shop.mchid, empty: true };
    ground.rig.app.engine.submit(set).await.unwrap();
    let reply = client.trade_bill(&empty, &BillType::All, false).await.unwrap();
    let mut text = vec![];
    client.download_bill(&reply, 1 << 20, &mut text).await.unwrap();
    let (lines, sums) = parse(std::str::from_utf8(&text).unwrap());
    assert_eq!((lines.len(), sums["总交易单数"].as_str(), sums["订单总金额"].as_str()), (0, "0", "0.00"));
    let reply = client.fund_flow_bill(&empty, &AccountType::Basic, true).await.unwrap();
    let mut text = vec![];
    client.download_bill(&reply, 1 << 20, &mut text).await.unwrap();
    assert_eq!(std::str::from_utf8(&text).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn the_day_before_is_being_made_in_the_first_minute() {
    let ground = Ground::at(Timestamp(now_s() * 1_000)).await;
    let shop = ground.rig.shop().await;
    let today = Day::of(ground.clock.now());
    ground.until(today.ends().plus(30 * SECOND));
    let target = format!("/v3/bill/tradebill?bill_date={today}");
    let header = sign(&shop, "GET", &target, "", ground.clock.now().0 / 1_000).header_value();
    let answer = ground.rig.send("GET", &target, &[("Authorization", &header)], b"").await;
    assert_eq!(answer.refusal(), (400, "STATEMENT_CREATING".to_owned()));
}
