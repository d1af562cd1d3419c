//! Two real programs on one PostgreSQL database, one serving and one standing by, under a stream of payments: the owner is
//! killed, the owner is stopped for longer than its lease and wakes up again, the server itself is killed.
//!
//! The test keeps books of its own of what was acknowledged, by whichever of the two. After every take-over `koudai verify`
//! has to hold and everything acknowledged has to be there; at the end our books and the bank's agree.
//!
//! `KOUDAI_TAKEOVER_ROUNDS` sets how often each happens, `KOUDAI_TAKEOVER_STOPS` how often an owner is stopped, which takes
//! longest, and `KOUDAI_TAKEOVER_SEED` the moments.

mod drive;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drive::books::{Books, Dice, Stream, check, compare_with_the_bank, setting, settled, verify};
use drive::server::Server;
use drive::{Demo, Phone, Running, koudai, run};
use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::test_cards;
use koudai_store::Database;
use koudai_wechatpay::client::Client;
use serde_json::Value;
use tokio::task::JoinSet;

const PEOPLE: usize = 8;
/// Acknowledged replies before a fault.
const ACKS: u64 = 20;
/// The promise of docs/engine.md.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// What happens to the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    StoppedForAWhile,
    ServerKilled,
}

/// One of the two programs.
struct Side {
    data: PathBuf,
    port: u16,
    log: PathBuf,
    process: Running,
    client: Arc<Client>,
}

impl Side {
    fn wallet(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it says of itself, as a proxy would ask; `None` if it does not answer.
    async fn status(&self, http: &reqwest::Client) -> Option<(u16, String)> {
        let asked = http.get(format!("{}/status", self.wallet())).header("accept", "application/json");
        let reply = asked.timeout(Duration::from_millis(500)).send().await.ok()?;
        let status = reply.status().as_u16();
        let said: Value = serde_json::from_slice(&reply.bytes().await.ok()?).ok()?;
        Some((status, said["wallet"].as_str()?.to_owned()))
    }

    async fn waits(&self, http: &reqwest::Client) {
        let began = Instant::now();
        while self.status(http).await != Some((503, "standby".to_owned())) {
            assert!(began.elapsed() < TAKE_OVER, "it does not stand by");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until one of the two serves, if it may; which, and how long that took.
async fn serving(sides: &[Side; 2], may: [bool; 2], http: &reqwest::Client) -> (usize, Duration) {
    let began = Instant::now();
    loop {
        for (n, side) in sides.iter().enumerate().filter(|(n, _)| may[*n]) {
            if side.status(http).await == Some((200, "up".to_owned())) {
                return (n, began.elapsed());
            }
        }
        assert!(began.elapsed() < TAKE_OVER, "nobody takes over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything the test has.
struct Test {
    server: Server,
    sides: [Side; 2],
    bank: String,
    people: Vec<(Phone, String)>,
    created: Value,
    books: Arc<Mutex<Books>>,
    seen: BTreeSet<String>,
    dice: Dice,
    http: reqwest::Client,
    acknowledged: u64,
    cut_off: u64,
    slowest: Duration,
    owner: usize,
}

impl Test {
    /// Payments at the owner until enough are acknowledged; the streams go on.
    async fn load(&mut self, round: &str) -> (JoinSet<()>, Arc<AtomicU64>, Arc<AtomicBool>) {
        let (acknowledged, under_way) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let mut streams = JoinSet::new();
        let side = &self.sides[self.owner];
        for (n, (phone, card)) in self.people.iter().enumerate() {
            let stream = Stream {
                phone: phone.at(&side.wallet()),
                card: card.clone(),
                client: Arc::clone(&side.client),
                created: self.created.clone(),
                books: Arc::clone(&self.books),
                acknowledged: Arc::clone(&acknowledged),
                under_way: Arc::clone(&under_way),
                stop: Arc::clone(&stop),
                name: format!("{round}-{n}"),
                dice: Dice(self.dice.roll(u64::MAX) | 1),
            };
            streams.spawn(stream.flow());
        }
        let began = Instant::now();
        while acknowledged.load(Ordering::SeqCst) < ACKS {
            assert!(began.elapsed() < Duration::from_mins(2), "{round}: the stream has dried up");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros(self.dice.roll(30_000))).await;
        self.cut_off += under_way.load(Ordering::SeqCst);
        (streams, acknowledged, stop)
    }

    async fn round(&mut self, n: u64, fault: Fault) {
        let (mut streams, acknowledged, stop) = self.load(&format!("{fault:?}-{n}")).await;
        let before = self.owner;
        match fault {
            Fault::Killed => self.sides[before].process.kill(),
            Fault::StoppedForAWhile => self.sides[before].process.signal("STOP"),
            Fault::ServerKilled => self.server.kill(),
        }
        stop.store(true, Ordering::SeqCst);
        if fault == Fault::ServerKilled {
            self.server.start_again();
        }
        // One that is being stopped may still say a last word.
        let other = [before != 0, before != 1];
        let may = if fault == Fault::ServerKilled { [true; 2] } else { other };
        let (owner, took) = serving(&self.sides, may, &self.http).await;
        (self.owner, self.slowest) = (owner, self.slowest.max(took));
        if fault == Fault::StoppedForAWhile {
            // What hung at the old owner is answered now that it wakes up, and may not be a lie.
            self.sides[before].process.signal("CONT");
            self.never_serves(before).await;
        }
        while let Some(done) = streams.join_next().await {
            done.expect("a stream ends without a complaint");
        }
        self.acknowledged += acknowledged.load(Ordering::SeqCst);
        verify(&self.sides[owner].data);
        check(&self.sides[owner].client, &self.books, &mut self.seen).await;
        if fault == Fault::Killed {
            let side = &self.sides[before];
            let process = Demo::spawn(&side.data, side.port, Some(&self.bank), &side.log);
            self.sides[before].process = process;
        }
        self.sides[1 - owner].waits(&self.http).await;
    }

    /// From its first word on, a side that lost the ledger says that it waits.
    async fn never_serves(&self, side: usize) {
        let mut answers = 0;
        while answers < 5 {
            if let Some(said) = self.sides[side].status(&self.http).await {
                assert_eq!(said, (503, "standby".to_owned()), "it woke up and thinks it is the owner");
                answers += 1;
            }
        }
    }
}

async fn test(server: Server, seed: u64, root: &std::path::Path) -> (Test, Running) {
    server.create("wallet");
    let [one, two, bank_port] = drive::rows_of_ports();
    let ports = [one, two];
    let data = [root.join("one"), root.join("two")];
    let made = run(koudai()
        .args(["keys", "create", "--demo", "--data"])
        .arg(&data[0])
        .args(["--database", &server.url("wallet")]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(run(std::process::Command::new("cp").arg("-a").args(&data)).status.success());
    let inbox = format!("http://127.0.0.1:{}", ports[0] + 3);
    let (bank_process, bank) = drive::start_bank(&data[0], bank_port, &inbox, &root.join("bank.log"));
    let log = |n: &str| root.join(format!("{n}.log"));
    let first = Demo::start(&data[0], ports[0], Some(&bank), &log("one"));
    let second = Demo::spawn(&data[1], ports[1], Some(&bank), &log("two"));
    let gateways = ports.map(|port| format!("http://127.0.0.1:{port}"));
    let (client, created) = drive::merchant(&data[0], &gateways[0]);
    let mut people = Vec::new();
    for card in test_cards().iter().filter(|card| card.customer >= 3).take(PEOPLE) {
        let phone = Phone::register(&first, &card.phone).await;
        let id = phone.bind(card).await;
        phone.top_up("first-top-up", &id, "20000").await;
        people.push((phone, id));
    }
    let other = Arc::new(drive::client(&created, &gateways[1]));
    let [one, two] = data;
    let sides = [
        Side { data: one, port: ports[0], log: log("one"), process: first.process, client: Arc::new(client) },
        Side { data: two, port: ports[1], log: log("two"), process: second, client: other },
    ];
    let test = Test {
        server,
        sides,
        bank,
        people,
        created,
        books: Arc::default(),
        seen: BTreeSet::new(),
        dice: Dice(seed),
        http: drive::http(),
        acknowledged: 0,
        cut_off: 0,
        slowest: Duration::ZERO,
        owner: 0,
    };
    (test, bank_process)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_over_has_everything_that_was_acknowledged_and_nothing_twice() {
    let (rounds, stops) = (setting("KOUDAI_TAKEOVER_ROUNDS", 12), setting("KOUDAI_TAKEOVER_STOPS", 6));
    let seed = setting("KOUDAI_TAKEOVER_SEED", 20_261_124);
    let server = Server::start().expect("PostgreSQL is installed");
    let (_keep, root) = drive::scratch();
    let (mut test, _bank) = test(server, seed, &root).await;
    test.sides[1].waits(&test.http).await;
    let mut slowest = vec![];
    let faults = [(Fault::Killed, rounds), (Fault::StoppedForAWhile, stops), (Fault::ServerKilled, rounds)];
    for (fault, times) in faults {
        test.slowest = Duration::ZERO;
        for n in 0..times {
            test.round(n, fault).await;
        }
        slowest.push(format!("{fault:?} {times} times, at most {} ms", test.slowest.as_millis()));
    }
    let owner = &test.sides[test.owner];
    let report = settled(&owner.data).await;
    let database = Database::Server(Secret::new(test.server.url("wallet")));
    let (debits, refunds) = compare_with_the_bank(&owner.data, &database, &test.bank).await;
    println!(
        "takeover: seed {seed}, {}, {} acknowledged, {} under way at the faults, bank and wallet agree on {debits} \
         debits and {refunds} refunds, {report}",
        slowest.join(", "),
        test.acknowledged,
        test.cut_off,
    );
}
