//! The list of bills on a ledger of several months: every way to a month lands on the right line, and what is shown
//! together is true at one journal.

#![allow(clippy::unwrap_used, reason = "in a test a panic is a finding")]

mod rig;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use koudai_core::id::{CardId, OrderId, PersonId};
use koudai_core::ledger::AccountId;
use koudai_core::order::PlaceOrder;
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::Pin;
use koudai_core::time::Timestamp;
use koudai_engine::Clock;
use koudai_networks::Reach;
use rig::{OpenSession, PIN, Rig, Shop};
use serde_json::Value;

const TOKEN: &str = "a-session-of-the-test";

/// A wallet that is served, and somebody who pays one merchant.
struct Wallet {
    rig: Rig,
    clock: Clock,
    shop: Shop,
    person: PersonId,
    card: CardId,
    address: SocketAddr,
    http: reqwest::Client,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("{text}+08:00")).unwrap()
}

impl Wallet {
    /// The person registers and tops up at this moment.
    async fn start(begin: &str, fen: i64) -> Self {
        let clock = Clock::by_hand(at(begin));
        let rig = Rig::start_by(Reach::Local, clock.clone()).await;
        let shop = rig.shop().await;
        let (person, card) = rig.person_with_card().await;
        rig.top_up(person, card, fen).await;
        let address = rig.wallet().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { rig, clock, shop, person, card, address, http }
    }

    fn set(&self, moment: &str) {
        let ahead = at(moment).since(self.clock.now());
        assert!(ahead >= 0, "{moment} is before what has happened");
        self.clock.advance(ahead);
    }

    async fn order(&self, name: &str, fen: i64) -> OrderId {
        let place = place(&self.shop, name, fen);
        self.rig.app.engine.submit(place).await.unwrap().id
    }

    /// Pays for something of this name, now.
    async fn pay(&self, name: &str, card: Option<CardId>) {
        let order = self.order(name, 100).await;
        let pay = Pay {
            person: self.person,
            order,
            means: Means::of(card),
            confirmed: Pin::parse(PIN).unwrap().into(),
        };
        self.rig.app.engine.submit(pay).await.unwrap();
    }

    /// Signs in: a session of long ago has ended.
    async fn sign_in(&self) {
        self.rig.app.engine.submit(OpenSession(self.person, TOKEN)).await.unwrap();
    }

    async fn json(&self, query: &str) -> (u16, Value) {
        let request = self.http.get(format!("http://{}/records{query}", self.address));
        let reply = request.header("accept", "application/json").bearer_auth(TOKEN).send().await.unwrap();
        let status = reply.status().as_u16();
        (status, serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    async fn page(&self, path: &str, language: &str) -> String {
        let request = self.http.get(format!("http://{}{path}", self.address)).bearer_auth(TOKEN);
        let reply = request.header("accept-language", language).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200, "{path}");
        reply.text().await.unwrap()
    }

    /// The names of a list's records, newest first.
    async fn names(&self, query: &str) -> Vec<String> {
        let (status, body) = self.json(query).await;
        assert_eq!(status, 200, "{query}: {body}");
        names(&body)
    }
}

fn place(shop: &Shop, name: &str, fen: i64) -> PlaceOrder {
    PlaceOrder { description: name.to_owned(), ..rig::placed(shop.mchid, name, fen) }
}

fn names(body: &Value) -> Vec<String> {
    let name = |record: &Value| record["description"].as_str().unwrap_or("top-up").to_owned();
    body["records"].as_array().unwrap().iter().map(name).collect()
}

/// What a page says above its records, if it does.
fn words(page: &str) -> Option<&str> {
    page.split("<a class=\"notice good\" href=\"/records\"><span>").nth(1)?.split("</span>").next()
}

/// The month that is chosen on a page.
fn chosen(page: &str) -> &str {
    let option = page.split(" selected>").next().unwrap();
    option.rsplit("value=\"").next().unwrap().split('"').next().unwrap()
}

/// A wallet with a record at the first and the last millisecond of a month and on either side, and an empty month.
async fn with_edges() -> Wallet {
    let wallet = Wallet::start("2026-08-10T12:00:00", 100_000).await;
    for (moment, name) in [
        ("2026-08-31T23:59:59.999", "end-of-august"),
        ("2026-09-01T00:00:00.000", "begin-of-september"),
        ("2026-09-30T23:59:59.999", "end-of-september"),
        ("2026-10-01T00:00:00.000", "begin-of-october"),
        ("2026-12-15T08:00:00.000", "december"),
    ] {
        wallet.set(moment);
        wallet.pay(name, None).await;
    }
    wallet.sign_in().await;
    wallet
}

const ALL: [&str; 6] =
    ["december", "begin-of-october", "end-of-september", "begin-of-september", "end-of-august", "top-up"];

#[tokio::test]
async fn a_jump_lands_on_the_newest_record_of_its_month_and_goes_on_to_older_ones() {
    let wallet = with_edges().await;
    for (query, first) in [
        ("", 0),
        ("?month=", 0),
        ("?month=2026-12", 0),
        ("?month=2026-11", 1),
        ("?month=2026-10", 1),
        ("?month=2026-09", 2),
        ("?month=2026-08", 4),
        ("?month=2026-07", 6),
        ("?month=0001-01", 6),
        ("?month=2027-01", 0),
        ("?month=9999-12", 0),
    ] {
        assert_eq!(wallet.names(query).await, ALL[first..], "{query}");
    }
    for bad in ["?month=2026-13", "?month=2026-9", "?month=september"] {
        let (status, body) = wallet.json(bad).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("REQUEST_MALFORMED")), "{bad}");
    }
}

#[tokio::test]
async fn a_page_says_where_it_is_and_offers_the_months_since_its_person_came() {
    let wallet = with_edges().await;
    for (query, month, zh, en) in [
        ("", "2026-12", None, None),
        ("?month=2026-12", "2026-12", None, None),
        (
            "?month=2026-11",
            "2026-11",
            Some("2026年11月没有账单，下面是更早的"),
            Some("No bills in Nov 2026; older ones below"),
        ),
        ("?month=2026-09", "2026-09", Some("2026年9月及以前的账单"), Some("Bills from Sep 2026 and earlier")),
        (
            "?month=2026-07",
            "2026-08",
            Some("2026年7月及以前没有账单"),
            Some("No bills in Jul 2026 or earlier"),
        ),
        (
            "?month=2027-01",
            "2026-12",
            Some("2027年1月还没到，下面是最新的账单"),
            Some("Jan 2027 has not come yet; newest bills below"),
        ),
        (
            "?month=2026-13",
            "2026-12",
            Some("没有这个月份，下面是最新的账单"),
            Some("No such month; newest bills below"),
        ),
    ] {
        let path = format!("/records{query}");
        for (language, expected) in [("zh-CN", zh), ("en", en)] {
            let page = wallet.page(&path, language).await;
            assert_eq!(words(&page), expected, "{query}");
            assert_eq!(chosen(&page), month, "{query}");
            let offered: Vec<_> = page.split("<option value=\"").skip(1).map(|rest| &rest[..7]).collect();
            assert_eq!(offered, ["2026-12", "2026-11", "2026-10", "2026-09", "2026-08"], "{query}");
        }
    }
}

#[tokio::test]
async fn who_has_no_bills_yet_is_told_so_whatever_month_was_asked_for() {
    let wallet = Wallet::start("2026-08-10T12:00:00", 100).await;
    let (newcomer, _) = wallet.rig.person_with_card().await;
    wallet.rig.app.engine.submit(OpenSession(newcomer, TOKEN)).await.unwrap();
    for (query, nothing) in [
        ("", "还没有账单"),
        ("?month=2026-08", "还没有账单"),
        ("?month=2027-01", "还没有账单"),
        ("?month=2026-13", "还没有账单"),
        ("?month=2026-07", "2026年7月及以前没有账单"),
    ] {
        let page = wallet.page(&format!("/records{query}"), "zh-CN").await;
        assert!(page.contains(nothing), "{query}: {page}");
    }
}

#[tokio::test]
async fn a_months_totals_are_of_the_whole_month_however_one_came_to_it() {
    let wallet = with_edges().await;
    let header = |page: &str, title: &str| {
        let month =
            page.split(&format!("<h2>{title}</h2>")).nth(1).unwrap_or_else(|| panic!("{title}: {page}"));
        let header = month.split("</header>").next().unwrap().to_owned();
        header.split("data-minor=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    for query in ["", "?month=2026-09"] {
        let page = wallet.page(&format!("/records{query}"), "zh-CN").await;
        assert_eq!(header(&page, "2026年9月"), "200", "{query}");
        assert_eq!(header(&page, "2026年8月"), "100", "the top-up is not spent");
    }
}

#[tokio::test]
async fn pages_after_a_jump_show_every_older_record_once_whatever_is_paid_meanwhile() {
    let wallet = Wallet::start("2026-03-05T12:00:00", 1_000_000).await;
    let mut expected = vec!["top-up".to_owned()];
    // More than two marks of the history's index in one month, and some in the next.
    for n in 0..90 {
        let day = if n < 75 { format!("2026-04-{:02}", 1 + n / 3) } else { "2026-05-20".to_owned() };
        let second = if n < 75 { n % 3 } else { n - 75 };
        wallet.set(&format!("{day}T10:00:{second:02}"));
        // One by a card whose bank has not answered: it has no journal, and stands where it was begun.
        let card = (n == 20).then_some(wallet.card);
        wallet.pay(&format!("payment-{n:02}"), card).await;
        if n < 75 {
            expected.insert(0, format!("payment-{n:02}"));
        }
    }
    wallet.sign_in().await;
    let (mut query, mut seen, mut pages) = ("?month=2026-04".to_owned(), vec![], 0);
    loop {
        let (_, body) = wallet.json(&query).await;
        seen.extend(names(&body));
        pages += 1;
        wallet.pay(&format!("meanwhile-{pages}"), None).await;
        let Some(next) = body["next"].as_str() else { break };
        query = format!("?before={next}");
    }
    assert_eq!(seen, expected);
    assert_eq!(pages, 3);
    let older = wallet.page(&format!("/records{query}"), "zh-CN").await;
    assert_eq!((words(&older), chosen(&older)), (Some("更早的账单"), "2026-04"));
}

#[tokio::test]
async fn a_history_begins_at_the_balance_it_is_read_with_whatever_is_paid_since() {
    let wallet = Wallet::start("2026-11-24T12:00:00", 1_000).await;
    let account = AccountId::person(wallet.person);
    wallet.pay("before", None).await;
    let engine = &wallet.rig.app.engine;
    let balance = engine.read(move |r| r.balance(account)).await.unwrap().unwrap();
    wallet.pay("since", None).await;
    let (then, at) = (balance.clone(), balance.as_of);
    let journals = engine.read(move |r| r.history_at(&then, 10)).await.unwrap();
    assert_eq!(journals.iter().map(|journal| journal.seq).max(), Some(at));
    let line = journals[0].line(account).unwrap();
    assert_eq!(
        (line.debits_minor, line.credits_minor, journals.len()),
        (balance.debits_minor, balance.credits_minor, 2)
    );
    let now = engine.read(move |r| r.history(account, None, 10)).await.unwrap();
    assert_eq!(now[1..], journals[..], "what is newest now came since");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_shows_a_balance_and_the_records_that_make_it_up() {
    const FUNDS: i64 = 100_000;
    let wallet = Wallet::start("2026-11-24T12:00:00", FUNDS).await;
    wallet.sign_in().await;
    let orders = Arc::new(AtomicBool::new(true));
    let (paying, engine, person) = (Arc::clone(&orders), wallet.rig.app.engine.clone(), wallet.person);
    let shop = wallet.shop.clone();
    // The n-th payment is of one fen and called n, so what the balance lacks is the newest record's name.
    let payer = tokio::spawn(async move {
        let mut n = 0;
        while paying.load(Ordering::Relaxed) {
            n += 1;
            let order = engine.submit(place(&shop, &format!("{n:06}"), 1)).await.unwrap().id;
            let pay =
                Pay { person, order, means: Means::Balance, confirmed: Pin::parse(PIN).unwrap().into() };
            engine.submit(pay).await.unwrap();
        }
        n
    });
    let mut different = std::collections::BTreeSet::new();
    // On a busy machine it may take long until somebody is paid in between.
    for turn in 0..5_000 {
        let page = wallet.page("/", "zh-CN").await;
        let minor = page.split("data-minor=\"").nth(1).unwrap().split('"').next().unwrap();
        let spent = FUNDS - minor.parse::<i64>().unwrap();
        let newest = page.split("<span class=\"quiet\"><span>").nth(1).unwrap().split('<').next().unwrap();
        let newest = newest.parse::<i64>().unwrap_or(0);
        assert_eq!(spent, newest, "the balance and the newest record are of one journal");
        different.insert(newest);
        if turn >= 200 && different.len() > 1 {
            break;
        }
    }
    orders.store(false, Ordering::Relaxed);
    assert!(payer.await.unwrap() > 1 && different.len() > 1, "payments went on while pages were read");
}
