//! `kill -9` of the real program under a stream of payments, card payments and refunds, the bank left running.
//!
//! The test keeps books of its own of what was acknowledged. After every restart `koudai verify` has to hold and
//! everything acknowledged has to be there; at the end every call to the bank is settled and both sides' books agree.
//!
//! `KOUDAI_KILL_ROUNDS` and `KOUDAI_KILL_ACKS` set the size, `KOUDAI_KILL_SEED` the moments.

mod drive;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drive::{Demo, Phone, koudai, run};
use koudai_core::rows::{Attempt, AttemptKind, AttemptState};
use koudai_networks::issuer::sandbox::test_cards;
use koudai_networks::issuer::{Answer, BookKind, IssuerClient};
use koudai_wechatpay::client::{Client, ClientError};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{RefundRequest, RefundRequestAmount};
use serde_json::Value;

const PEOPLE: usize = 8;

/// What the test knows, from the outside.
#[derive(Default)]
struct Books {
    /// Amount, and whether its payment was acknowledged.
    orders: BTreeMap<String, (i64, bool)>,
    /// Order, amount, and whether it was acknowledged.
    refunds: BTreeMap<String, (String, i64, bool)>,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// A small generator: moments and choices follow from the seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Stream {
    phone: Phone,
    card: String,
    client: Arc<Client>,
    created: Value,
    books: Arc<Mutex<Books>>,
    acknowledged: Arc<AtomicU64>,
    under_way: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    name: String,
    dice: Dice,
}

impl Stream {
    /// Orders, pays and refunds until the server is gone.
    async fn flow(mut self) {
        for n in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.under_way.fetch_add(1, Ordering::SeqCst);
            let went_on = self.one(n).await.is_some();
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            if !went_on {
                return;
            }
        }
    }

    fn acknowledge(&self, change: impl FnOnce(&mut Books)) {
        change(&mut self.books.lock().expect("the books"));
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    async fn one(&mut self, n: u32) -> Option<()> {
        let number = format!("{}-{n}", self.name);
        let total = 1 + i64::try_from(self.dice.roll(300)).expect("small");
        self.books.lock().expect("the books").orders.insert(number.clone(), (total, false));
        let reply = match self.client.native(&drive::order(&self.created, &number, total)).await {
            Ok(reply) => reply,
            Err(ClientError::Unknown(_)) => return None,
            Err(error) => panic!("{number}: {error}"),
        };
        let path = self.phone.scan(&reply.code_url).await.ok()?;
        let method = if self.dice.roll(3) == 0 { self.card.clone() } else { "balance".to_owned() };
        let (status, body) = self.phone.pay(&path, &method).await.ok()?;
        assert_eq!(status, 200, "{number}: {body}");
        match body["state"].as_str() {
            Some("paid") => self.acknowledge(|b| b.orders.get_mut(&number).expect("known").1 = true),
            Some("pending") => return Some(()),
            other => panic!("{number}: {other:?}"),
        }
        if self.dice.roll(3) == 0 {
            let back = 1 + i64::try_from(self.dice.roll(total.unsigned_abs())).expect("small");
            let refund = format!("R{number}");
            self.books
                .lock()
                .expect("the books")
                .refunds
                .insert(refund.clone(), (number.clone(), back, false));
            let request = RefundRequest {
                out_trade_no: Some(number.clone()),
                out_refund_no: refund.clone(),
                amount: RefundRequestAmount { refund: back, total, currency: "CNY".to_owned(), from: None },
                ..RefundRequest::default()
            };
            match self.client.refund(&request).await {
                Ok(_) => self.acknowledge(|b| b.refunds.get_mut(&refund).expect("known").2 = true),
                Err(ClientError::Unknown(_)) => return None,
                Err(error) => panic!("{refund}: {error}"),
            }
        }
        Some(())
    }
}

fn verify(data: &Path) -> Value {
    let output = run(koudai().args(["verify", "--data"]).arg(data));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "verify: {said}");
    serde_json::from_slice(&output.stdout).expect("verify reports in JSON")
}

/// Everything acknowledged in a round is there, with its amount; everything else is there wholly or not at all.
async fn check(client: &Client, books: &Mutex<Books>, seen: &mut BTreeSet<String>) {
    let (orders, refunds) = {
        let books = books.lock().expect("the books");
        (books.orders.clone(), books.refunds.clone())
    };
    for (number, (total, acknowledged)) in orders {
        if seen.contains(&number) {
            continue;
        }
        match client.query_by_out_trade_no(&number).await {
            Ok(found) => {
                assert_eq!(found.amount.expect("an amount").total, total, "{number}");
                assert!(
                    !acknowledged || found.trade_state.is_paid(),
                    "{number} was acknowledged and is not paid"
                );
            }
            Err(ClientError::Refused { status: 404, .. }) => {
                assert!(!acknowledged, "{number} was acknowledged and is gone");
            }
            Err(error) => panic!("{number}: {error}"),
        }
        seen.insert(number);
    }
    for (number, (_, back, acknowledged)) in refunds {
        if seen.contains(&number) {
            continue;
        }
        match client.query_refund(&number).await {
            Ok(found) => assert_eq!(found.amount.refund, back, "{number}"),
            Err(ClientError::Refused { status: 404, .. }) => {
                assert!(!acknowledged, "{number} was acknowledged and is gone");
            }
            Err(error) => panic!("{number}: {error}"),
        }
        seen.insert(number);
    }
}

/// Both sides' books: every debit and refund the bank made is one of ours that succeeded, and the other way round.
async fn compare_with_the_bank(data: &Path, bank: &str) -> (usize, usize) {
    let read = |name: &str| std::fs::read_to_string(data.join(name)).expect("a key");
    let issuer = IssuerClient::new(
        bank,
        "koudai-demo",
        PrivateKey::from_pem(&read("keys/issuer_app_key.pem")).expect("our key"),
        PublicKey::from_pem(&read("bank/bank_public_key.pem")).expect("the bank's key"),
        || koudai_engine::Clock::wall().now().0 / 1_000,
        Duration::from_secs(5),
    )
    .expect("a client");
    let mut theirs = BTreeMap::new();
    let mut after = 0;
    loop {
        let Answer::Done(lines) = issuer.books(after).await else { panic!("the bank shows its books") };
        let Some(last) = lines.last() else { break };
        after = last.no;
        for line in lines {
            let twice = theirs.insert(line.id.clone(), (line.kind, line.amount_minor));
            assert!(twice.is_none(), "the bank has {} twice", line.id);
        }
    }
    let reader = koudai_store::Database::Directory(data.to_owned()).reader().expect("our database");
    let mut ours = BTreeMap::new();
    for attempt in reader.all::<Attempt>().expect("our attempts") {
        assert_ne!(attempt.state, AttemptState::Open, "{} is not settled", attempt.id.wire());
        if attempt.state == AttemptState::Succeeded {
            let kind = match attempt.kind {
                AttemptKind::TopUp | AttemptKind::CardPayment => BookKind::Debit,
                AttemptKind::CardRefund => BookKind::Refund,
            };
            ours.insert(attempt.id.wire(), (kind, attempt.amount.minor()));
        }
    }
    assert_eq!(ours, theirs, "our books and the bank's");
    let debits = ours.values().filter(|(kind, _)| *kind == BookKind::Debit).count();
    (debits, ours.len() - debits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_kill_9_and_the_bank_agrees() {
    let (rounds, acks) = (setting("KOUDAI_KILL_ROUNDS", 200), setting("KOUDAI_KILL_ACKS", 20));
    let seed = setting("KOUDAI_KILL_SEED", 20_261_123);
    let mut dice = Dice(seed);
    let (_keep, root) = drive::scratch();
    let data = root.join("data");
    let log = root.join("demo.log");
    assert!(run(koudai().args(["keys", "create", "--demo", "--data"]).arg(&data)).status.success());
    let port = drive::free_ports();
    // The demo's own faces take the ports after its first; the bank gets one far from them.
    let (bank_port, inbox) = (drive::free_ports(), format!("http://127.0.0.1:{}", port + 3));
    let (_bank, bank) = drive::start_bank(&data, bank_port, &inbox, &root.join("bank.log"));
    let mut demo = Demo::start(&data, port, Some(&bank), &log);
    assert_eq!(
        demo.address("inbox").rsplit(':').next(),
        inbox.rsplit(':').next(),
        "the inbox is where the bank posts"
    );
    let (client, created) = drive::merchant(&data, &format!("http://127.0.0.1:{port}"));
    let client = Arc::new(client);

    let mut people = Vec::new();
    for card in test_cards().iter().filter(|card| card.customer >= 3).take(PEOPLE) {
        let phone = Phone::register(&demo, &card.phone).await;
        let id = phone.bind(card).await;
        phone.top_up("first-top-up", &id, "20000").await;
        people.push((phone, id));
    }

    let books = Arc::new(Mutex::new(Books::default()));
    let mut seen = BTreeSet::new();
    let (mut total_acknowledged, mut cut_off) = (0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let under_way = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut streams = tokio::task::JoinSet::new();
        for (n, (phone, card)) in people.iter().enumerate() {
            let stream = Stream {
                phone: phone.clone(),
                card: card.clone(),
                client: Arc::clone(&client),
                created: created.clone(),
                books: Arc::clone(&books),
                acknowledged: Arc::clone(&acknowledged),
                under_way: Arc::clone(&under_way),
                stop: Arc::clone(&stop),
                name: format!("K{round}-{n}"),
                dice: Dice(dice.roll(u64::MAX) | 1),
            };
            streams.spawn(stream.flow());
        }
        let began = Instant::now();
        while acknowledged.load(Ordering::SeqCst) < acks {
            assert!(began.elapsed() < Duration::from_mins(2), "round {round}: the stream has dried up");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.roll(30_000))).await;
        cut_off += under_way.load(Ordering::SeqCst);
        demo.process.kill();
        stop.store(true, Ordering::SeqCst);
        while let Some(done) = streams.join_next().await {
            done.expect("a stream ends without a complaint");
        }
        total_acknowledged += acknowledged.load(Ordering::SeqCst);

        verify(&data);
        let began = Instant::now();
        demo = Demo::start(&data, port, Some(&bank), &log);
        slowest = slowest.max(began.elapsed());
        check(&client, &books, &mut seen).await;
    }

    let began = Instant::now();
    let report = loop {
        let report = verify(&data);
        if report["open_attempts"] == 0 {
            break report;
        }
        assert!(began.elapsed() < Duration::from_secs(150), "calls to the bank are not settled: {report}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let (debits, refunds) = compare_with_the_bank(&data, &bank).await;
    drop(demo);
    println!(
        "kill: seed {seed}, {rounds} rounds, {total_acknowledged} acknowledged, {cut_off} under way at the kills, \
         bank and wallet agree on {debits} debits and {refunds} refunds, slowest restart {} ms, {report}",
        slowest.as_millis()
    );
}
