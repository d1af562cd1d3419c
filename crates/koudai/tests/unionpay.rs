//! The real program and a UnionPay of its own: either is killed and started again with payments, withdrawals and refunds under way.

mod drive;

use std::path::PathBuf;
use std::time::Duration;

use drive::books::{Dice, setting, settled, succeeded, unionpay_lines, verify};
use drive::till::Till;
use drive::{Demo, Ground, Phone, Running, until_up};
use koudai_core::card::CardKind;
use koudai_core::ledger::UNIONPAY_NETWORK;
use koudai_networks::unionpay::sandbox::test_cards;
use koudai_store::Database;

/// A wallet and what it speaks to, each a process.
struct House {
    _directory: tempfile::TempDir,
    root: PathBuf,
    data: PathBuf,
    ports: [u16; 3],
    _bank: Running,
    bank_url: String,
    unionpay: Running,
    url: String,
    demo: Demo,
}

fn start_unionpay(root: &std::path::Path, [wallet, _, own]: [u16; 3]) -> (Running, String) {
    let inbox = format!("http://127.0.0.1:{}", wallet + 3);
    drive::start_sandbox("unionpay", &root.join("data"), own, &inbox, &root.join("unionpay.log"))
}

fn start_wallet(root: &std::path::Path, port: u16, bank: &str, unionpay: &str) -> Demo {
    let log = root.join("demo.log");
    let mut command = Demo::command(&root.join("data"), port, Some(bank), &log);
    command.args(["--unionpay-url", unionpay]);
    Demo::of(command, &log)
}

impl House {
    fn start() -> Self {
        let (directory, root) = drive::scratch();
        let ports = drive::rows_of_ports();
        let Ground { data, bank, bank_url, .. } = Ground::prepare(&root, ports[0], ports[1]);
        let (unionpay, url) = start_unionpay(&root, ports);
        let demo = start_wallet(&root, ports[0], &bank_url, &url);
        Self { _directory: directory, root, data, ports, _bank: bank, bank_url, unionpay, url, demo }
    }

    fn kill_unionpay(&mut self) {
        self.unionpay.kill();
        self.unionpay = start_unionpay(&self.root, self.ports).0;
    }

    fn kill_the_wallet(&mut self) {
        self.demo.process.kill();
        self.demo = start_wallet(&self.root, self.ports[0], &self.bank_url, &self.url);
    }
}

/// `KOUDAI_UNIONPAY_ROUNDS` sets how often, `KOUDAI_UNIONPAY_SEED` when.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_side_is_killed_with_money_in_flight_unionpay_and_the_wallet_say_the_same() {
    let (rounds, seed) = (setting("KOUDAI_UNIONPAY_ROUNDS", 6), setting("KOUDAI_UNIONPAY_SEED", 20_261_125));
    let mut dice = Dice(seed);
    let mut house = House::start();
    let (_, created) = drive::merchant(&house.data, &house.demo.address("gateway"));
    let mut payers = vec![];
    let ordinary = test_cards().iter().filter(|card| card.customer >= 3 && card.kind == CardKind::Debit);
    for card in ordinary.take(4) {
        let phone = Phone::register(&house.demo, &card.phone).await;
        let id = phone.bind_card(&card.into()).await;
        phone.top_up("first-top-up", &id, "50").await;
        payers.push((phone, id));
    }
    let mut in_flight = 0;
    for round in 0..rounds {
        until_up(&payers[0].0, "unionpay").await;
        let till = Till::open(&created, &house.demo.address("gateway"));
        let streams = till.crowd(&payers, &format!("U{round}"), &mut dice);
        tokio::time::sleep(Duration::from_millis(50 + dice.roll(400))).await;
        in_flight += till.under_way();
        // In turn, so that each side is killed as often as the other.
        if round % 2 == 0 {
            house.kill_unionpay();
        } else {
            house.kill_the_wallet();
        }
        till.close();
        streams.join_all().await;
        verify(&house.data);
    }
    let report = settled(&house.data).await;
    let theirs = unionpay_lines(&house.url).await;
    let reader = Database::Directory(house.data.clone()).reader().expect("our database");
    assert_eq!(succeeded(&reader, |a| a.network == UNIONPAY_NETWORK), theirs, "our books and UnionPay's");
    assert!(theirs.len() > payers.len(), "somebody paid");
    println!(
        "unionpay: seed {seed}, {rounds} kills of either side in turn, {in_flight} payments, withdrawals and refunds \
         under way at the kills, both agree on {} debits, refunds and payouts; {report}",
        theirs.len()
    );
}
