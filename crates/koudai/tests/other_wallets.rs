//! The real program and another wallet's: either is killed and started again with payments, withdrawals and refunds under way, and
//! people in the middle of agreeing to them.

mod drive;

use std::path::Path;
use std::time::Duration;

use drive::books::{Dice, setting, settled, succeeded, verify};
use drive::elsewhere::{Elsewhere, Which, known_inside, link};
use drive::till::Till;
use drive::{Demo, Ground, Phone, koudai, run, until, until_up};
use koudai_networks::issuer::sandbox::test_cards;
use koudai_store::Database;

fn start_wallet(root: &Path, port: u16, bank: &str, there: &Elsewhere) -> Demo {
    let log = root.join("demo.log");
    let mut command = Demo::command(&root.join("data"), port, Some(bank), &log);
    there.tell(&mut command);
    Demo::of(command, &log)
}

/// `KOUDAI_…_ROUNDS` sets how often, `KOUDAI_…_SEED` when.
async fn both_say_the_same(which: Which) {
    let name = which.name();
    let sized = |what: &str, default| setting(&format!("KOUDAI_{}_{what}", name.to_uppercase()), default);
    let (rounds, seed) = (sized("ROUNDS", 6), sized("SEED", 20_261_126));
    let mut dice = Dice(seed);
    let (_directory, root) = drive::scratch();
    let [port, bank_port, own, friends] = drive::rows_of_ports();
    let Ground { data, bank: _bank, bank_url: bank, .. } = Ground::prepare(&root, port, bank_port);
    let mut there = Elsewhere::start(which, &root, [own, friends]).await;
    let mut demo = start_wallet(&root, port, &bank, &there);
    let (_, created) = drive::merchant(&data, &demo.address("gateway"));
    let mut payers = vec![];
    for card in test_cards().iter().filter(|card| (3..7).contains(&card.customer)) {
        let phone = Phone::register(&demo, &card.phone).await;
        link(&phone, &there.people).await;
        let phone = known_inside(&phone, &there.people).await;
        // From there, so that there is something to pay out from.
        let asked = phone.top_up("first-top-up", &which.word(), "50").await;
        assert!(there.people.follow(&asked).await, "{asked}");
        let arrived = async || {
            let (_, body) = phone.get("/top-up/first-top-up").await.ok()?;
            (body["state"] == "succeeded").then_some(())
        };
        until("the first top-up arrives", arrived).await;
        payers.push((phone, which.word()));
    }
    let mut tills = vec![];
    let mut in_flight = 0;
    for round in 0..rounds {
        until_up(&payers[0].0, name).await;
        let till = Till::open(&created, &demo.address("gateway")).paid_elsewhere(&there.people);
        let streams = till.crowd(&payers, &format!("{name}{round}"), &mut dice);
        tokio::time::sleep(Duration::from_millis(50 + dice.roll(400))).await;
        in_flight += till.under_way();
        // In turn, so that each side is killed as often as the other.
        if round % 2 == 0 {
            there.kill();
        } else {
            demo.process.kill();
            demo = start_wallet(&root, port, &bank, &there);
        }
        till.close();
        streams.join_all().await;
        verify(&data);
        tills.push(till);
    }
    for till in tills {
        till.finish().await;
    }
    let report = settled(&data).await;
    let theirs = there.lines().await;
    let reader = Database::Directory(data).reader().expect("our database");
    assert_eq!(succeeded(&reader, |a| a.network == which.network()), theirs, "our books and theirs");
    assert!(theirs.len() as u64 >= 4 + 2 * rounds, "people paid: {report}");
    println!(
        "{name}: seed {seed}, {rounds} kills of either side in turn, {in_flight} payments, withdrawals and refunds \
         under way at the kills, both agree on {} debits, refunds and payouts; {report}",
        theirs.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_side_is_killed_with_money_in_flight_alipay_and_the_wallet_say_the_same() {
    both_say_the_same(Which::Alipay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_side_is_killed_with_money_in_flight_wechat_pay_and_the_wallet_say_the_same() {
    both_say_the_same(Which::WeChat).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_with_wechat_pay_is_looked_over_before_anybody_pays_by_it() {
    let (_directory, root) = drive::scratch();
    std::fs::create_dir(root.join("data")).expect("a folder");
    let there = Elsewhere::start(Which::WeChat, &root, drive::rows_of_ports()).await;
    let doctor = || {
        let mut command = koudai();
        command
            .args(["doctor", "wechat", "--origin", "https://pay.example.org", "--wechat"])
            .arg(there.contract());
        let output = run(&mut command);
        let [said, complaint] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("a text"));
        (output.status.code(), said, complaint)
    };
    let (code, said, complaint) = doctor();
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("fine     app-secret: "), "{said}");
    assert!(said.contains("https://pay.example.org/networks/1002/notice"), "{said}");

    // Another app's secret.
    let secret = root.join("wechat/app_secret.txt");
    std::fs::write(&secret, "f".repeat(32)).expect("a file");
    let (code, said, complaint) = doctor();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("WRONG    app-secret: ") && complaint.contains("one thing is wrong"),
        "{said}{complaint}"
    );
    std::fs::remove_file(&secret).expect("it was there");
    let (code, _, complaint) = doctor();
    assert_eq!(code, Some(2));
    assert!(complaint.contains("app-secret"), "{complaint}");
}
