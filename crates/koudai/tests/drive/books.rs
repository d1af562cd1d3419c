//! Books kept from outside of what was acknowledged, the streams of payments that fill them, and how they are compared with
//! the ledger and with the bank.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use koudai_core::ledger::ISSUER_NETWORK;
use koudai_core::rows::{Attempt, AttemptKind, AttemptState};
use koudai_networks::issuer::{Answer, BookKind, IssuerClient};
use koudai_networks::unionpay::sandbox::Movement;
use koudai_store::{Database, Reader};
use koudai_wechatpay::client::{Client, ClientError};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{RefundRequest, RefundRequestAmount};
use serde_json::{Value, json};

use super::{PIN, Phone, http, koudai, order, run};

/// What the test knows, from the outside.
#[derive(Default)]
pub struct Books {
    /// Amount, and whether its payment was acknowledged.
    pub orders: BTreeMap<String, (i64, bool)>,
    /// Order, amount, and whether it was acknowledged.
    pub refunds: BTreeMap<String, (String, i64, bool)>,
}

/// A size from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// A small generator: moments and choices follow from the seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// A reply that says neither yes nor no ends a stream: the server is gone, or no longer the one to ask.
fn gone(number: &str, error: &ClientError) -> Option<()> {
    let over = match error {
        ClientError::Unknown(_) => true,
        ClientError::Refused { status, .. } => *status == 429 || *status >= 500,
        ClientError::Invalid(_) => false,
    };
    assert!(over, "{number}: {error}");
    None
}

/// One person who orders, pays and is refunded, on and on.
pub struct Stream {
    pub phone: Phone,
    pub card: String,
    pub client: Arc<Client>,
    pub created: Value,
    pub books: Arc<Mutex<Books>>,
    pub acknowledged: Arc<AtomicU64>,
    pub under_way: Arc<AtomicU64>,
    pub stop: Arc<AtomicBool>,
    pub name: String,
    pub dice: Dice,
}

impl Stream {
    /// Orders, pays and refunds until the server is gone.
    pub async fn flow(mut self) {
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
        if self.dice.roll(30) == 0 {
            withdraw(&self.phone, &self.card, &number, &mut self.dice).await?;
        }
        let total = 1 + i64::try_from(self.dice.roll(300)).expect("small");
        self.books.lock().expect("the books").orders.insert(number.clone(), (total, false));
        let reply = match self.client.native(&order(&self.created, &number, total)).await {
            Ok(reply) => reply,
            Err(error) => return gone(&number, &error),
        };
        let path = self.phone.scan(&reply.code_url).await.ok()??;
        let method = if self.dice.roll(3) == 0 { self.card.clone() } else { "balance".to_owned() };
        let (status, body) = self.phone.pay(&path, &method).await.ok()?;
        if status == 503 {
            return None;
        }
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
                Err(error) => return gone(&refund, &error),
            }
        }
        Some(())
    }
}

/// Asks for a withdrawal at either speed. What became of it the bank's books and `koudai verify` say; `None` if nobody
/// answered.
pub async fn withdraw(phone: &Phone, card: &str, number: &str, dice: &mut Dice) -> Option<()> {
    let fen = 100 + dice.roll(200);
    let speed = if dice.roll(4) == 0 { "next_day" } else { "real_time" };
    let form = json!({
        "withdrawal_id": format!("W-{number}"), "card_id": card, "amount": format!("{}.{:02}", fen / 100, fen % 100),
        "speed": speed, "payment_password": PIN,
    });
    let (status, body) = phone.post("/withdraw", form).await.ok()?;
    if status == 503 && body["code"] == "BUSY" {
        return None;
    }
    // A day has its most of them, and a balance its end.
    assert!(status == 200 || body["money_moved"] == "no", "W-{number}: {body}");
    Some(())
}

/// What `koudai verify` reports, which has to hold.
pub fn verify(data: &Path) -> Value {
    let output = run(koudai().args(["verify", "--data"]).arg(data));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "verify: {said}");
    serde_json::from_slice(&output.stdout).expect("verify reports in JSON")
}

/// Waits until every call to the bank is settled; what `koudai verify` reports then.
pub async fn settled(data: &Path) -> Value {
    let began = Instant::now();
    loop {
        let report = verify(data);
        if report["open_attempts"] == 0 {
            return report;
        }
        assert!(began.elapsed() < Duration::from_secs(150), "calls to the bank are not settled: {report}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Everything acknowledged in a round is there, with its amount; everything else is there wholly or not at all.
pub async fn check(client: &Client, books: &Mutex<Books>, seen: &mut BTreeSet<String>) {
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

/// Every line of an issuer's books, by the number we gave it.
pub async fn lines_of(issuer: &IssuerClient) -> BTreeMap<String, (BookKind, i64)> {
    let mut theirs = BTreeMap::new();
    let mut after = 0;
    loop {
        let Answer::Done(lines) = issuer.books(after).await else { panic!("the issuer shows its books") };
        let Some(last) = lines.last() else { return theirs };
        after = last.no;
        for line in lines {
            let twice = theirs.insert(line.id.clone(), (line.kind, line.amount_minor));
            assert!(twice.is_none(), "the issuer has {} twice", line.id);
        }
    }
}

/// What we have of an issuer, all of it settled: calls that moved money, by their number.
pub fn succeeded(reader: &Reader, of: impl Fn(&Attempt) -> bool) -> BTreeMap<String, (BookKind, i64)> {
    let mut ours = BTreeMap::new();
    for attempt in reader.all::<Attempt>().expect("our attempts").into_iter().filter(of) {
        assert_ne!(attempt.state, AttemptState::Open, "{} is not settled", attempt.id.wire());
        if attempt.state == AttemptState::Succeeded {
            let kind = match attempt.kind {
                AttemptKind::TopUp | AttemptKind::CardPayment => BookKind::Debit,
                AttemptKind::CardRefund => BookKind::Refund,
                AttemptKind::Payout => BookKind::Payout,
            };
            ours.insert(attempt.id.wire(), (kind, attempt.amount.minor()));
        }
    }
    ours
}

/// The wallet's own client of the sandbox bank, by the keys of a data directory.
pub fn bank_client(data: &Path, bank: &str) -> IssuerClient {
    let read = |name: &str| std::fs::read_to_string(data.join(name)).expect("a key");
    let issuer = IssuerClient::new(
        bank,
        "koudai-demo",
        PrivateKey::from_pem(&read("keys/issuer_app_key.pem")).expect("our key"),
        PublicKey::from_pem(&read("bank/bank_public_key.pem")).expect("the bank's key"),
        || koudai_engine::Clock::wall().now().0 / 1_000,
        Duration::from_secs(5),
    );
    issuer.expect("a client")
}

/// Every line of the bank's books, by the number we gave it.
pub async fn bank_lines(data: &Path, bank: &str) -> BTreeMap<String, (BookKind, i64)> {
    lines_of(&bank_client(data, bank)).await
}

/// All money that the sandbox UnionPay moved, by the number we gave it.
pub async fn unionpay_lines(url: &str) -> BTreeMap<String, (BookKind, i64)> {
    let books = http().get(format!("{url}/books")).send().await.expect("UnionPay answers");
    let books = books.bytes().await.expect("its books");
    let movements: Vec<Movement> = serde_json::from_slice(&books).expect("a list");
    let mut theirs = BTreeMap::new();
    for Movement { order_id, call, amount_minor } in movements {
        let kind = match call.as_str() {
            "pay" => BookKind::Debit,
            "pay_out" => BookKind::Payout,
            _ => BookKind::Refund,
        };
        // A void has its refund's number and a mark.
        let number = order_id.trim_end_matches('V').to_owned();
        let twice = theirs.insert(number, (kind, amount_minor));
        assert!(twice.is_none(), "UnionPay has {order_id} twice");
    }
    theirs
}

/// Both sides' books: every debit, refund and payout the bank made is one of ours that succeeded, and the other way round.
pub async fn compare_with_the_bank(data: &Path, database: &Database, bank: &str) -> (usize, usize) {
    let theirs = bank_lines(data, bank).await;
    let its = |attempt: &Attempt| attempt.network == ISSUER_NETWORK;
    let ours = succeeded(&database.reader().expect("our database"), its);
    assert_eq!(ours, theirs, "our books and the bank's");
    let debits = ours.values().filter(|(kind, _)| *kind == BookKind::Debit).count();
    (debits, ours.len() - debits)
}
