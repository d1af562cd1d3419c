//! Networks that fail, with the real program in front of it: what the person and the merchant are told at each moment, and
//! what both sides' books say in the end.
//!
//! The tables of it in `docs/networks.md` is what these tests saw; `KOUDAI_WRITE_TABLE=1` writes it there.

mod drive;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drive::books::{bank_lines, compare_with_the_bank, settled, succeeded, unionpay_lines};
use drive::elsewhere::{Elsewhere, Which, known_inside, link};
use drive::{Demo, Ground, PIN, Phone, Running, Typed};
use koudai_core::ledger::{ISSUER_NETWORK, NetworkId, UNIONPAY_NETWORK};
use koudai_core::rows::Attempt;
use koudai_networks::issuer::BookKind;
use koudai_networks::issuer::sandbox::test_cards;
use koudai_networks::unionpay::sandbox as unionpay;
use koudai_store::Database;
use koudai_wechatpay::client::Client;
use koudai_wechatpay::types::{RefundRequest, RefundRequestAmount};
use serde_json::{Value, json};

/// The network under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outsider {
    Issuer,
    UnionPay,
    /// Another wallet, whose people agree there by themselves.
    Elsewhere(Which),
}

impl Outsider {
    const fn network(self) -> NetworkId {
        match self {
            Self::Issuer => ISSUER_NETWORK,
            Self::UnionPay => UNIONPAY_NETWORK,
            Self::Elsewhere(which) => which.network(),
        }
    }

    /// An ordinary card of its; of a bank if it has none.
    fn card(self) -> Typed {
        match self {
            Self::Issuer | Self::Elsewhere(_) => {
                test_cards().iter().find(|card| card.customer == 3).expect("one").into()
            }
            Self::UnionPay => {
                unionpay::test_cards().iter().find(|card| card.customer == 3).expect("one").into()
            }
        }
    }

    /// The operations that it does by different calls.
    fn operations(self) -> Vec<Operation> {
        use Operation as O;
        match self {
            Self::Issuer => vec![O::Payment, O::TopUp, O::Withdrawal, O::Refund],
            Self::UnionPay => vec![O::Payment, O::TopUp, O::Withdrawal, O::Refund, O::PartRefund],
            Self::Elsewhere(_) => vec![O::Payment, O::Query, O::GivenUp, O::TopUp, O::Withdrawal, O::Refund],
        }
    }
}

/// A wallet, a bank of its own, perhaps another network, a merchant, and somebody with a card.
struct World {
    _directory: tempfile::TempDir,
    root: PathBuf,
    data: PathBuf,
    bank: Option<Running>,
    bank_port: u16,
    bank_url: String,
    outsider: Outsider,
    /// The sandbox of the network under test, and where it is.
    _other: Option<Running>,
    there: Option<Elsewhere>,
    url: String,
    inbox: String,
    _demo: Demo,
    client: Client,
    created: Value,
    phone: Phone,
    /// The same person inside the app of the other wallet.
    inside: Phone,
    /// What is paid by.
    card: String,
    orders: u32,
}

impl World {
    async fn new(outsider: Outsider) -> Self {
        let (directory, root) = drive::scratch();
        let [port, bank_port, other_port, friends_port] = drive::rows_of_ports();
        let Ground { data, inbox, bank, bank_url } = Ground::prepare(&root, port, bank_port);
        let mut demo = Demo::command(&data, port, Some(&bank_url), &root.join("demo.log"));
        let (mut other, mut url, mut there) = (None, bank_url.clone(), None);
        match outsider {
            Outsider::Issuer => {}
            Outsider::UnionPay => {
                let log = root.join("other.log");
                let (running, at) = drive::start_sandbox("unionpay", &data, other_port, &inbox, &log);
                demo.args(["--unionpay-url", &at]);
                (other, url) = (Some(running), at);
            }
            Outsider::Elsewhere(which) => {
                let elsewhere = Elsewhere::start(which, &root, [other_port, friends_port]).await;
                elsewhere.tell(&mut demo);
                url.clone_from(&elsewhere.people.url);
                there = Some(elsewhere);
            }
        }
        let demo = Demo::of(demo, &root.join("demo.log"));
        let (client, created) = drive::merchant(&data, &format!("http://127.0.0.1:{port}"));
        let card = outsider.card();
        let phone = Phone::register(&demo, &card.phone).await;
        let mut card = phone.bind_card(&card).await;
        // So that there is something to withdraw whatever fails.
        phone.top_up("before-all", &card, "2000").await;
        let mut inside = phone.clone();
        if let (Outsider::Elsewhere(which), Some(there)) = (outsider, &there) {
            card = which.word();
            link(&phone, &there.people).await;
            inside = known_inside(&phone, &there.people).await;
        }
        let (bank, orders) = (Some(bank), 0);
        Self {
            _directory: directory,
            root,
            data,
            bank,
            bank_port,
            bank_url,
            outsider,
            _other: other,
            there,
            url,
            inbox,
            _demo: demo,
            client,
            created,
            phone,
            inside,
            card,
            orders,
        }
    }

    /// Somebody goes where an answer or a page sends them, and agrees there.
    async fn agree(&self, path: &str, asked: &Value) {
        let Some(there) = &self.there else { return };
        let way = self.way(path, asked).await;
        self.until(async |_| there.people.agree(&way).await.then_some(())).await;
    }

    /// The way to another wallet, once it is open.
    async fn way(&self, path: &str, asked: &Value) -> Value {
        let open = |body: &Value| {
            let way = &body["way"];
            way["kind"].as_str().is_some_and(|kind| kind != "opening").then(|| way.clone())
        };
        match open(asked) {
            Some(way) => way,
            None => self.until(async |w| open(&w.inside.get(path).await.ok()?.1)).await,
        }
    }

    fn start_bank(&mut self) {
        let log = self.root.join("bank.log");
        self.bank = Some(drive::start_bank(&self.data, self.bank_port, &self.inbox, &log).0);
    }

    async fn faults(&self, rules: &Value) {
        let told = drive::http().put(format!("{}/faults", self.url));
        let told = told.header("content-type", "application/json").body(rules.to_string()).send().await;
        assert!(told.expect("the bank hears it").status().is_success(), "{rules}");
    }

    /// A new order and the path of its payment page.
    async fn order(&mut self, fen: i64) -> (String, String) {
        self.orders += 1;
        let number = format!("NET-{:04}", self.orders);
        let placed = self.client.native(&drive::order(&self.created, &number, fen)).await.expect("an order");
        let page = self.phone.scan(&placed.code_url).await.expect("an answer").expect("a page");
        (number, page)
    }

    async fn trade_state(&self, number: &str) -> String {
        let found = self.client.query_by_out_trade_no(number).await.expect("the order");
        word(&found.trade_state)
    }

    async fn refund_status(&self, number: &str) -> String {
        word(&self.client.query_refund(number).await.expect("the refund").status)
    }

    /// Waits until `look` has seen what it waits for.
    async fn until<T>(&self, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        drive::until("it did not happen", async || look(self).await).await
    }
}

/// A word of the protocol.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).expect("JSON").as_str().expect("a word").to_owned()
}

/// What a person is told by an answer to something that moves money.
fn told((status, body): &(u16, Value)) -> String {
    if *status == 200 {
        let word = |value: &Value| value.as_str().map(str::to_owned);
        // Where to go is what a person sees of a payment that they are to agree to elsewhere.
        return word(&body["way"]["kind"]).or_else(|| word(&body["state"])).expect("a state");
    }
    assert_eq!(body["money_moved"], "no", "{body}");
    body["code"].as_str().expect("a code").to_owned()
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Payment,
    /// The question how a payment went that its payer has agreed to elsewhere.
    Query,
    /// A payment that its payer leaves unpaid elsewhere.
    GivenUp,
    TopUp,
    Withdrawal,
    Refund,
    /// Of half of a payment: some networks take all of one back by another call.
    PartRefund,
}

/// How one operation went under one fault.
struct Seen {
    operation: &'static str,
    person: [String; 2],
    merchant: [String; 2],
}

impl Operation {
    /// The call of a network that does it, and a code it may be refused with.
    const fn call(self, outsider: Outsider) -> (&'static str, &'static str) {
        use Outsider::Elsewhere as At;
        match (outsider, self) {
            (Outsider::Issuer, Self::Payment | Self::TopUp) => ("debit", "INSUFFICIENT_FUNDS"),
            (Outsider::Issuer, Self::Withdrawal) => ("pay_out", "CARD_FROZEN"),
            (Outsider::Issuer, Self::Refund | Self::PartRefund) => ("refund", "LIMIT"),
            (Outsider::UnionPay, Self::Payment | Self::TopUp) => ("pay", "64"),
            (Outsider::UnionPay, Self::Withdrawal) => ("pay_out", "63"),
            (Outsider::UnionPay, Self::Refund) => ("void", "36"),
            (Outsider::UnionPay, Self::PartRefund) => ("refund", "33"),
            (Outsider::Issuer | Outsider::UnionPay, Self::Query | Self::GivenUp) => {
                panic!("nobody pays elsewhere")
            }
            (At(Which::Alipay), Self::Payment) => ("precreate", "ACQ.TOTAL_FEE_EXCEED"),
            (At(Which::Alipay), Self::TopUp) => ("create", "ACQ.BUYER_ENABLE_STATUS_FORBID"),
            (At(Which::Alipay), Self::Query) => ("query", "ACQ.SYSTEM_ERROR"),
            (At(Which::Alipay), Self::GivenUp) => ("close", "ACQ.SYSTEM_ERROR"),
            (At(Which::Alipay), Self::Withdrawal) => ("pay_out", "PAYEE_USERINFO_STATUS_ERROR"),
            (At(Which::Alipay), Self::Refund | Self::PartRefund) => {
                ("refund", "ACQ.SELLER_BALANCE_NOT_ENOUGH")
            }
            (At(Which::WeChat), Self::Payment) => ("native", "RULE_LIMIT"),
            (At(Which::WeChat), Self::TopUp) => ("jsapi", "USER_ACCOUNT_ABNORMAL"),
            (At(Which::WeChat), Self::Query) => ("query", "SYSTEM_ERROR"),
            (At(Which::WeChat), Self::GivenUp) => ("close", "SYSTEM_ERROR"),
            (At(Which::WeChat), Self::Withdrawal) => ("transfer", "ACCOUNT_ERROR"),
            (At(Which::WeChat), Self::Refund | Self::PartRefund) => ("refund", "NOT_ENOUGH"),
        }
    }

    async fn run(self, world: &mut World, fault: &Value, fen: i64) -> Seen {
        let (call, code) = self.call(world.outsider);
        let mut rule = fault.clone();
        rule["call"] = call.into();
        rule["times"] = 1.into();
        if rule["fault"] == "refuse" {
            rule["code"] = code.into();
        }
        match self {
            Self::Payment | Self::Query => pay(world, &rule, fen).await,
            Self::GivenUp => give_up(world, &rule, fen).await,
            Self::TopUp => top_up(world, &rule, fen).await,
            Self::Withdrawal => withdraw(world, &rule, fen).await,
            Self::Refund => refund(world, &rule, [fen, fen]).await,
            Self::PartRefund => refund(world, &rule, [2 * fen, fen]).await,
        }
    }
}

/// How what stands behind a path goes on, once it does not wait any more.
async fn settles(world: &World, path: &str) -> String {
    let state = async |w: &World| {
        let (_, body) = w.phone.get(path).await.ok()?;
        let state = body["state"].as_str()?.to_owned();
        (state != "pending").then_some(state)
    };
    world.until(state).await
}

async fn pay(world: &mut World, rule: &Value, fen: i64) -> Seen {
    let (number, page) = world.order(fen).await;
    // Of the question how it went, the rule is for after there is a way to go.
    let of_the_question = rule["call"] == "query";
    if !of_the_question {
        world.faults(&json!([rule])).await;
    }
    let answer = world.phone.pay(&page, &world.card).await.expect("an answer");
    let merchant = world.trade_state(&number).await;
    if of_the_question {
        world.faults(&json!([rule])).await;
    }
    if answer.0 == 200 {
        world.agree(&page, &answer.1).await;
    }
    let person = [told(&answer), settles(world, &page).await];
    let operation = match (world.outsider, of_the_question) {
        (Outsider::Elsewhere(_), true) => "payment, the question",
        (Outsider::Elsewhere(_), false) => "payment",
        _ => "card payment",
    };
    Seen { operation, person, merchant: [merchant, world.trade_state(&number).await] }
}

async fn give_up(world: &mut World, rule: &Value, fen: i64) -> Seen {
    let (number, page) = world.order(fen).await;
    let (_, asked) = world.phone.pay(&page, &world.card).await.expect("an answer");
    let way = world.way(&page, &asked).await;
    world.there.as_ref().expect("another wallet").people.come(&way).await;
    let merchant = world.trade_state(&number).await;
    world.faults(&json!([rule])).await;
    let path = format!("/elsewhere/{}/give-up", way["id"].as_str().expect("an id"));
    let (status, body) = world.phone.post(&path, json!({})).await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    let person = [way["kind"].as_str().expect("a kind").to_owned(), settles(world, &page).await];
    Seen { operation: "payment, given up", person, merchant: [merchant, world.trade_state(&number).await] }
}

async fn top_up(world: &World, rule: &Value, fen: i64) -> Seen {
    let number = format!("top-up-{fen}");
    world.faults(&json!([rule])).await;
    let yuan = format!("{}.{:02}", fen / 100, fen % 100);
    let form = json!({"attempt_id": number, "card_id": world.card, "amount": yuan, "payment_password": PIN});
    let answer = world.inside.post("/top-up", form).await.expect("an answer");
    let page = format!("/top-up/{number}");
    if answer.0 == 200 {
        world.agree(&page, &answer.1).await;
    }
    let person = [told(&answer), settles(world, &page).await];
    Seen { operation: "top-up", person, merchant: ["–".into(), "–".into()] }
}

async fn withdraw(world: &World, rule: &Value, fen: i64) -> Seen {
    let number = format!("withdraw-{fen}");
    world.faults(&json!([rule])).await;
    let yuan = format!("{}.{:02}", fen / 100, fen % 100);
    let form = json!({
        "withdrawal_id": number, "card_id": world.card, "amount": yuan, "speed": "real_time", "payment_password": PIN,
    });
    let answer = world.inside.post("/withdraw", form).await.expect("an answer");
    let page = format!("/withdraw/{number}");
    let (_, now) = world.inside.get(&page).await.expect("an answer");
    if world.outsider == Outsider::Elsewhere(Which::WeChat) && now["state"] == "pending" {
        world.agree(&page, &answer.1).await;
    }
    let person = [told(&answer), settles(world, &page).await];
    Seen { operation: "withdrawal", person, merchant: ["–".into(), "–".into()] }
}

async fn refund(world: &mut World, rule: &Value, [total, fen]: [i64; 2]) -> Seen {
    let (order, page) = world.order(total).await;
    let paying = world.phone.pay(&page, &world.card).await.expect("an answer");
    world.agree(&page, &paying.1).await;
    assert_eq!(settles(world, &page).await, "paid", "before anything goes wrong");
    world.faults(&json!([rule])).await;
    let number = format!("R-{order}");
    let request = RefundRequest {
        out_trade_no: Some(order.clone()),
        out_refund_no: number.clone(),
        amount: RefundRequestAmount { refund: fen, total, currency: "CNY".to_owned(), from: None },
        ..RefundRequest::default()
    };
    let at_once = word(&world.client.refund(&request).await.expect("it is taken").status);
    let person = refund_record(world, fen).await;
    let in_the_end = world.until(async |w| {
        let status = w.refund_status(&number).await;
        (status != "PROCESSING").then_some(status)
    });
    let merchant = [at_once, in_the_end.await];
    let operation = match (world.outsider, fen == total) {
        (Outsider::Elsewhere(_), _) => "refund",
        (_, true) => "card refund",
        (_, false) => "card refund in part",
    };
    Seen { operation, person: [person, refund_record(world, fen).await], merchant }
}

/// How a refund stands among a person's records.
async fn refund_record(world: &World, fen: i64) -> String {
    let (_, body) = world.phone.get("/records").await.expect("an answer");
    let records = body["records"].as_array().unwrap_or_else(|| panic!("records: {body}"));
    let refund = records.iter().find(|r| r["kind"] == "refund" && r["amount"]["minor"] == fen);
    refund.map_or_else(|| "nothing".to_owned(), |r| r["state"].as_str().expect("a state").to_owned())
}

const FAULTS: [(&str, &str); 6] = [
    ("`refuse`", r#"{"fault":"refuse"}"#),
    ("`delay` of 7 s", r#"{"fault":"delay","ms":7000}"#),
    ("`drop`", r#"{"fault":"drop"}"#),
    ("`twice`", r#"{"fault":"twice"}"#),
    ("`garbage`", r#"{"fault":"garbage"}"#),
    ("`down`", r#"{"fault":"down"}"#),
];

/// The lines of the table, as they stand in `docs/networks.md`.
fn table(rows: &[(&str, Seen, usize)]) -> String {
    let mut text = String::from(
        "| fault | operation | the person hears | then | the merchant hears | then | moved there |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (fault, seen, moved) in rows {
        let [person, person_then] = &seen.person;
        let [merchant, merchant_then] = &seen.merchant;
        let moved = match moved {
            0 => "no",
            1 => "once",
            _ => panic!("{fault}, {}: {moved} times", seen.operation),
        };
        writeln!(
            text,
            "| {fault} | {} | {person} | {person_then} | {merchant} | {merchant_then} | {moved} |",
            seen.operation
        )
        .expect("a string takes it");
    }
    text
}

/// What stands behind a table.
const END: &str = "<!-- end of the table -->\n";

/// Compares a table with the one between the two marks in the documentation, or writes it there.
fn documented(text: &str, mark: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/networks.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let begins = format!("<!-- {mark} -->\n");
    let (before, rest) = page.split_once(&begins).expect("where it begins");
    let (stands, after) = rest.split_once(END).expect("where it ends");
    if std::env::var_os("KOUDAI_WRITE_TABLE").is_some() {
        let page = format!("{before}{begins}{text}{END}{after}");
        return std::fs::write(&path, page).expect("the page is written");
    }
    assert_eq!(stands, text, "docs/networks.md says otherwise; KOUDAI_WRITE_TABLE=1 mends it");
}

/// Runs every operation of a network under every fault, and holds what was seen against the table.
async fn every_fault_at_every_operation(outsider: Outsider, mark: &str) {
    let mut world = World::new(outsider).await;
    let mut fen = 10_000;
    let mut seen = Vec::new();
    for (name, fault) in FAULTS {
        let fault: Value = serde_json::from_str(fault).expect("a fault");
        for operation in outsider.operations() {
            // No two move the same, so that the bank's lines tell them apart.
            fen += 1;
            seen.push((name, fen, operation.run(&mut world, &fault, fen).await));
            println!("{name} at {operation:?}: {fen} fen");
        }
    }
    settled(&world.data).await;
    let database = Database::Directory(world.data.clone());
    compare_with_the_bank(&world.data, &database, &world.bank_url).await;
    let theirs = match (&world.there, outsider) {
        (Some(there), _) => there.lines().await,
        (None, Outsider::UnionPay) => unionpay_lines(&world.url).await,
        (None, _) => bank_lines(&world.data, &world.bank_url).await,
    };
    let its = |attempt: &Attempt| attempt.network == outsider.network();
    assert_eq!(succeeded(&database.reader().expect("our database"), its), theirs, "both sides' books");
    let rows = seen.into_iter().map(|(name, fen, seen)| {
        let kind = match seen.operation {
            "card refund" | "card refund in part" | "refund" => BookKind::Refund,
            "withdrawal" => BookKind::Payout,
            _ => BookKind::Debit,
        };
        let moved = theirs.values().filter(|line| **line == (kind, fen)).count();
        (name, seen, moved)
    });
    documented(&table(&rows.collect::<Vec<_>>()), mark);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_money_moves_once_or_not_at_all_and_everybody_hears_what_is_so() {
    every_fault_at_every_operation(Outsider::Issuer, "table").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_through_unionpay() {
    every_fault_at_every_operation(Outsider::UnionPay, "table of UnionPay").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_through_alipay() {
    every_fault_at_every_operation(Outsider::Elsewhere(Which::Alipay), "table of Alipay").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_through_wechat_pay() {
    every_fault_at_every_operation(Outsider::Elsewhere(Which::WeChat), "table of WeChat Pay").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_down_is_greyed_out_refuses_at_once_and_is_caught_up_with() {
    let mut world = World::new(Outsider::Issuer).await;
    let (paid, page) = world.order(8_800).await;
    assert_eq!(told(&world.phone.pay(&page, &world.card).await.expect("an answer")), "paid");
    let (_, page) = world.order(6_600).await;
    world.bank = None;

    let method = async |w: &World| {
        let (_, body) = w.phone.get(&page).await.ok()?;
        body["methods"].as_array()?.iter().find(|m| m["method"] == w.card).cloned()
    };
    let greyed = world.until(async |w| method(w).await.filter(|m| m["usable"] == false)).await;
    assert_eq!(greyed["why"], "银行维护中");
    let (_, status) = world.phone.get("/status").await.expect("an answer");
    assert_eq!((&status["bank"], &status["networks"]), (&json!("down"), &json!({"issuer": "down"})));
    let began = Instant::now();
    assert_eq!(told(&world.phone.pay(&page, &world.card).await.expect("an answer")), "BANK_UNAVAILABLE");
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for a bank that is down");
    let request = RefundRequest {
        out_trade_no: Some(paid),
        out_refund_no: "R-DOWN".to_owned(),
        amount: RefundRequestAmount { refund: 8_800, total: 8_800, currency: "CNY".to_owned(), from: None },
        ..RefundRequest::default()
    };
    assert_eq!(word(&world.client.refund(&request).await.expect("it is taken").status), "PROCESSING");

    world.start_bank();
    world.until(async |w| method(w).await.filter(|m| m["usable"] == true)).await;
    world.until(async |w| (w.refund_status("R-DOWN").await == "SUCCESS").then_some(())).await;
    assert_eq!(told(&world.phone.pay(&page, &world.card).await.expect("an answer")), "paid");
    settled(&world.data).await;
    compare_with_the_bank(&world.data, &Database::Directory(world.data.clone()), &world.bank_url).await;
}
