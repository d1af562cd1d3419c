//! `kill -9` of the real program under a stream of payments, card payments, refunds and withdrawals, the bank left running.
//!
//! The test keeps books of its own of what was acknowledged. After every restart `koudai verify` has to hold and
//! everything acknowledged has to be there; at the end every call to the bank is settled and both sides' books agree.
//!
//! `KOUDAI_KILL_ROUNDS` and `KOUDAI_KILL_ACKS` set the size, `KOUDAI_KILL_SEED` the moments.

mod drive;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drive::books::{Books, Dice, Stream, check, compare_with_the_bank, setting, settled, verify};
use drive::{Demo, Ground, Phone};
use koudai_networks::issuer::sandbox::test_cards;
use koudai_store::Database;

const PEOPLE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_kill_9_and_the_bank_agrees() {
    let (rounds, acks) = (setting("KOUDAI_KILL_ROUNDS", 200), setting("KOUDAI_KILL_ACKS", 20));
    let seed = setting("KOUDAI_KILL_SEED", 20_261_123);
    let mut dice = Dice(seed);
    let (_keep, root) = drive::scratch();
    let log = root.join("demo.log");
    let [port, bank_port] = drive::rows_of_ports();
    let Ground { data, inbox, bank: _bank, bank_url: bank } = Ground::prepare(&root, port, bank_port);
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

    let report = settled(&data).await;
    let (debits, refunds) = compare_with_the_bank(&data, &Database::Directory(data.clone()), &bank).await;
    drop(demo);
    println!(
        "kill: seed {seed}, {rounds} rounds, {total_acknowledged} acknowledged, {cut_off} under way at the kills, \
         bank and wallet agree on {debits} debits and {refunds} refunds and payouts, slowest restart {} ms, {report}",
        slowest.as_millis()
    );
}
