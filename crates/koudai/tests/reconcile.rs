//! Reconciliation with real parts: the program, its courier and the sandbox bank, which drops answers and does calls twice.
//! Nothing differs afterwards; whatever is planted in the bank's books is found, each in its class; a comparison that is cut
//! short loses and doubles nothing.
//!
//! A day is compared once it is over, so the ledger is opened afterwards by an engine whose clock stands on the next day.
//!
//! `KOUDAI_RECONCILE_PAYMENTS` and `KOUDAI_RECONCILE_ONE_IN` set how much is paid and how often the bank fails.

mod drive;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use drive::books::{bank_client, setting, settled, verify};
use drive::{Demo, Ground, Phone, Running, json_of, koudai, run};
use koudai_core::ledger::ISSUER_NETWORK;
use koudai_core::reconcile::{GRACE_MS, newest_due_day};
use koudai_core::rows::{
    Attempt, AttemptState, Difference, DifferenceState, NetworkRefusal, ReconciliationState, StatementLine,
};
use koudai_core::secret::Secret;
use koudai_core::state::{Keys, Policy};
use koudai_core::time::{DAY, Timestamp};
use koudai_engine::{Clock, Engine, Settings};
use koudai_networks::issuer::sandbox::test_cards;
use koudai_networks::outside::Outside;
use koudai_networks::reconciling::{self, Days, Uncompared};
use serde_json::json;

/// Phones that pay at once.
const PHONES: u16 = 8;

fn wall() -> Timestamp {
    Clock::wall().now()
}

/// The bank of a data directory.
fn outside(data: &Path, bank: &str) -> Outside {
    Outside::default().with(ISSUER_NETWORK, bank_client(data, bank))
}

/// An engine on a ledger whose server has ended, on the day after tomorrow: whatever happened until then is over.
fn later(data: &Path) -> Engine {
    let clock = Clock::by_hand(Timestamp::of_china_day(wall().china_day() + 2).plus(2 * GRACE_MS));
    let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
    let began = Instant::now();
    loop {
        // One that was dropped in the middle of something ends a moment later.
        match Engine::start(&Settings::directory(data), keys.clone(), Policy::default(), clock.clone()) {
            Ok(engine) => return engine,
            Err(error) => {
                assert!(began.elapsed() < Duration::from_secs(20), "the ledger does not open: {error}");
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A ledger, its bank, and the inbox of the demo that is gone.
struct Place {
    data: PathBuf,
    bank: Option<Running>,
    url: String,
    port: u16,
    inbox: String,
}

impl Place {
    /// The same as it was, elsewhere. Nobody has it open.
    fn copied(&self, to: &Path) -> Self {
        let done = Command::new("cp").arg("-a").arg(&self.data).arg(to).status().expect("it is copied");
        assert!(done.success());
        Self {
            data: to.to_owned(),
            bank: None,
            url: self.url.clone(),
            port: self.port,
            inbox: self.inbox.clone(),
        }
    }

    fn open_bank(&mut self) {
        let log = self.data.join("bank.log");
        self.bank = Some(drive::start_bank(&self.data, self.port, &self.inbox, &log).0);
    }

    async fn faults(&self, rules: &serde_json::Value) {
        let told = drive::http().put(format!("{}/faults", self.url));
        let told = told.header("content-type", "application/json").body(rules.to_string()).send().await;
        assert!(told.expect("the bank hears it").status().is_success(), "{rules}");
    }
}

/// Pays so much by card while the bank fails, and one that it refuses. Everything is settled and nothing runs afterwards.
async fn paid(root: &Path, payments: u64) -> Place {
    let [port, bank_port] = drive::rows_of_ports();
    let Ground { data, inbox, bank, bank_url: url } = Ground::prepare(root, port, bank_port);
    let mut place = Place { data: data.clone(), bank: Some(bank), url, port: bank_port, inbox };
    let demo = Demo::start(&data, port, Some(&place.url), &root.join("demo.log"));
    let (client, created) = drive::merchant(&data, &format!("http://127.0.0.1:{port}"));
    let mut phones = vec![];
    for customer in 3..3 + PHONES {
        let card = test_cards().iter().find(|card| card.customer == customer).expect("an ordinary card");
        let phone = Phone::register(&demo, &card.phone).await;
        let card = phone.bind(card).await;
        phones.push((phone, card));
    }
    place
        .faults(&json!([{"call": "debit", "fault": "refuse", "code": "INSUFFICIENT_FUNDS", "times": 1}]))
        .await;
    let refused = phones[0].0.post("/top-up", top_up(&phones[0].1, "refused-1")).await.expect("an answer");
    assert_eq!(refused.1["code"], "CARD_INSUFFICIENT_FUNDS");
    let one_in = setting("KOUDAI_RECONCILE_ONE_IN", 20);
    place.faults(&json!([
        {"call": "debit", "fault": "drop", "one_in": one_in}, {"call": "debit", "fault": "twice", "one_in": one_in},
    ]))
    .await;
    let streams = (0_u64..).zip(&phones).map(|(stream, (phone, card))| {
        let (client, created) = (&client, &created);
        async move {
            for n in (stream..payments).step_by(PHONES.into()) {
                let placed = client.native(&drive::order(created, &format!("REC-{n:07}"), 1)).await;
                let page = phone.scan(&placed.expect("an order").code_url).await.expect("an answer");
                let page = page.expect("a page");
                loop {
                    let (status, said) = phone.pay(&page, card).await.expect("an answer");
                    if status == 200 {
                        // Whether it is known yet is another matter.
                        break;
                    }
                    // Three silences in a row, and the bank is left alone for a while.
                    assert_eq!(said["code"], "BANK_UNAVAILABLE", "{said}");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    });
    futures_util::future::join_all(streams).await;
    settled(&data).await;

    // The server compares what is over, and shows it as finance reads it.
    let shown = run(koudai().args(["reconcile", "--data"]).arg(&data));
    let table = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.status.success() && table.contains("network 1 issuer") && table.contains("0 open"),
        "{table}"
    );
    let not_over = koudai_day(newest_due_day(wall(), GRACE_MS) + 1);
    let asked = run(koudai().args(["reconcile", "--day", &not_over, "--data"]).arg(&data));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("not over yet"));
    drop(demo);
    place.bank = None;
    place
}

fn top_up(card: &str, number: &str) -> serde_json::Value {
    json!({"attempt_id": number, "card_id": card, "amount": "1.00", "payment_password": drive::PIN})
}

fn koudai_day(day: i64) -> String {
    let t = Timestamp::of_china_day(day).china();
    format!("{:04}-{:02}-{:02}", t.year, t.month, t.day)
}

async fn rows(engine: &Engine) -> (Vec<Difference>, Vec<StatementLine>, Vec<Attempt>) {
    engine.read(|r| Ok((r.all()?, r.all()?, r.all()?))).await.expect("rows")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn books_that_fit_have_no_difference_and_each_that_is_planted_is_found() {
    let payments = setting("KOUDAI_RECONCILE_PAYMENTS", 240);
    let (_directory, root) = drive::scratch();
    let began = Instant::now();
    let mut place = paid(&root, payments).await;
    let paying = began.elapsed();
    let mut cut = place.copied(&root.join("cut"));
    let mut planted = place.copied(&root.join("planted"));

    let began = Instant::now();
    let compared = nothing_differs(&mut place, payments).await;
    let comparing = began.elapsed();
    cut_short(&mut cut, compared).await;
    each_is_found(&mut planted).await;
    println!(
        "reconcile: {payments} card payments in {} s with answers dropped and calls doubled, compared in {} ms: \
         0 unexplained differences; one of each class planted, all found",
        paying.as_secs(),
        comparing.as_millis(),
    );
}

/// How many lines there are.
async fn nothing_differs(place: &mut Place, payments: u64) -> usize {
    place.open_bank();
    let (engine, outside) = (later(&place.data), outside(&place.data, &place.url));
    reconciling::run(&engine, &outside, ISSUER_NETWORK, Days::Due).await.expect("it is compared");
    let (differences, lines, attempts) = rows(&engine).await;
    // At midnight the bank's clock and ours may be on two days: such are explained by themselves.
    let open: Vec<_> = differences.iter().filter(|one| one.state == DifferenceState::Open).collect();
    assert!(open.is_empty(), "{open:?}");
    let days = engine.read(|r| r.reconciliations(ISSUER_NETWORK, 10)).await.expect("days");
    assert!(days.iter().all(|day| day.state == ReconciliationState::Done), "{days:?}");
    let count =
        |of: fn(&koudai_core::rows::Reconciliation) -> i64| days.iter().map(of).sum::<i64>().cast_unsigned();
    assert_eq!((count(|d| d.their_count), count(|d| d.our_count)), (payments, payments));
    assert_eq!(lines.len() as u64, payments);
    let refused = Some(NetworkRefusal::InsufficientFunds);
    let failed = attempts.iter().filter(|attempt| attempt.refusal == refused).count();
    assert_eq!(failed, 1, "what was dropped or doubled was done once");
    // Once more changes nothing.
    for day in days {
        reconciling::run(&engine, &outside, ISSUER_NETWORK, Days::One(day.key.day)).await.expect("again");
    }
    assert_eq!(rows(&engine).await.1.len(), lines.len());
    drop(engine);
    place.bank = None;
    assert_eq!(verify(&place.data)["statement_lines"], payments);
    lines.len()
}

/// Reads the books in runs that are cut off at any moment, and by a bank that drops answers.
async fn cut_short(place: &mut Place, lines: usize) {
    place.open_bank();
    place.faults(&json!([{"call": "books", "fault": "drop", "one_in": 3}])).await;
    let outside = outside(&place.data, &place.url);
    for turn in 0_u64.. {
        assert!(turn < 500, "it gets on");
        let engine = later(&place.data);
        let reading = reconciling::run(&engine, &outside, ISSUER_NETWORK, Days::Due);
        match tokio::time::timeout(Duration::from_millis(turn * 3), reading).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => assert!(matches!(error, Uncompared::Silent), "{error}"),
            // The task is gone at whatever it waited for, and the engine with it.
            Err(_) => {}
        }
    }
    let engine = later(&place.data);
    let (differences, read, _) = rows(&engine).await;
    assert!(differences.iter().all(|one| one.state != DifferenceState::Open), "{differences:?}");
    let numbers: BTreeSet<_> = read.iter().map(|line| &line.number).collect();
    assert_eq!((read.len(), numbers.len()), (lines, lines), "each line once");
    drop(engine);
    place.bank = None;
    verify(&place.data);
}

/// Plants one of each class in the bank's file, and finds them all and nothing else.
async fn each_is_found(place: &mut Place) {
    let engine = later(&place.data);
    let (_, _, attempts) = rows(&engine).await;
    drop(engine);
    let mut ours = attempts.iter().filter(|a| a.state == AttemptState::Succeeded).map(|a| a.id.wire());
    let [short, amount, cut, twice] = std::array::from_fn(|_| ours.next().expect("enough was paid"));
    let failed =
        attempts.iter().find(|a| a.state == AttemptState::Failed).expect("one was refused").id.wire();
    let file = rusqlite::Connection::open(place.data.join("bank/bank.db")).expect("the bank's file");
    // Its table has each number once, as it should: another takes its place.
    file.execute_batch(&format!(
        "ALTER TABLE journal RENAME TO sound;
         CREATE TABLE journal AS SELECT * FROM sound;
         DELETE FROM journal WHERE id = '{short}';
         UPDATE journal SET amount_minor = amount_minor + 5 WHERE id = '{amount}';
         UPDATE journal SET at_ms = at_ms + {DAY} WHERE id = '{cut}';
         INSERT INTO journal SELECT 1000000 + journal_no, kind, id, debit_account, credit_account, amount_minor, at_ms
             FROM journal WHERE id = '{twice}';
         INSERT INTO journal SELECT 2000000 + journal_no, kind, '{failed}', debit_account, credit_account, amount_minor, at_ms
             FROM journal WHERE id = '{amount}';
         INSERT INTO journal SELECT 3000000 + journal_no, kind, 'nobodys', debit_account, credit_account, amount_minor, at_ms
             FROM journal WHERE id = '{amount}';"
    ))
    .expect("they are planted");
    file.close().expect("it is written");

    place.open_bank();
    let (engine, outside) = (later(&place.data), outside(&place.data, &place.url));
    reconciling::run(&engine, &outside, ISSUER_NETWORK, Days::Due).await.expect("it is compared");
    let (differences, ..) = rows(&engine).await;
    let found: BTreeMap<_, _> = differences
        .iter()
        .map(|one| (one.number.as_str(), (one.class.word(), one.gap_minor, one.state)))
        .collect();
    let (open, explained) = (DifferenceState::Open, DifferenceState::Explained);
    let mut due = BTreeMap::from([
        (short.as_str(), ("SHORT", -1, open)),
        (amount.as_str(), ("AMOUNT", 5, open)),
        (cut.as_str(), ("DATE_CUT", 0, explained)),
        (twice.as_str(), ("DUP", 1, open)),
        (failed.as_str(), ("STATUS", 6, open)),
        ("nobodys", ("LONG", 6, open)),
    ]);
    // Payments around a real midnight are on two days by themselves.
    due.extend(
        found.iter().filter(|(_, was)| **was == ("DATE_CUT", 0, explained)).map(|(n, was)| (*n, *was)),
    );
    assert_eq!(found, due);
    let day = differences.iter().find(|one| one.number == short).expect("it was found").day;
    let long = differences.iter().find(|one| one.number == "nobodys").expect("it was found").id.wire();
    drop(engine);

    // Two of the staff adjust one of them, and the file has every line of the day.
    let data = place.data.as_path();
    let [port] = drive::rows_of_ports();
    let demo = Demo::start(data, port, Some(&place.url), &data.join("demo.log"));
    for name in ["mei", "li.ming"] {
        let made = koudai()
            .args(["staff", "create", "--name", name, "--role", "finance", "--data"])
            .arg(data)
            .output();
        assert!(made.expect("it runs").status.success());
    }
    let of = |what: &str, staff: &str, more: [&str; 2]| {
        let mut command = koudai();
        command
            .args(["reconcile", what, "--difference", &long, "--staff", staff])
            .args(more)
            .arg("--data")
            .arg(data);
        command
    };
    json_of(&mut of("propose", "mei", ["--note", "asked the bank"]));
    let own = run(&mut of("approve", "mei", ["--amount", "0.06"]));
    assert!(String::from_utf8_lossy(&own.stderr).contains("somebody else has to"));
    let adjusted = json_of(&mut of("approve", "li.ming", ["--amount", "0.06"]));
    assert_eq!(adjusted["state"], "adjusted");
    let csv = data.join("day.csv");
    let show = ["reconcile", "--show", "--network", "1", "--day", &koudai_day(day), "--csv"];
    assert!(run(koudai().args(show).arg(&csv).arg("--data").arg(data)).status.success());
    let text = std::fs::read_to_string(&csv).expect("the file");
    for (class, number) in [("LONG", "nobodys"), ("SHORT", &short), ("DUP", &twice), ("STATUS", &failed)] {
        assert!(text.contains(&format!("{class},{number},")), "{class}: {text}");
    }
    let status = drive::http().get(format!("{}/status", demo.address("wallet")));
    let status = status.header("accept", "application/json").send().await.expect("an answer");
    let status: serde_json::Value = serde_json::from_slice(&status.bytes().await.expect("it")).expect("JSON");
    assert_eq!(status["reconciled"]["issuer"]["open"], 4, "{status}");
    drop(demo);
    place.bank = None;
    assert_eq!(verify(data)["differences"], differences.len());
}
