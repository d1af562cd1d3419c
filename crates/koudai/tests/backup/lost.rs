//! A ledger is lost and found again, or moves to another database, and goes on there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use koudai_networks::issuer::sandbox::test_cards;
use koudai_store::Database;
use koudai_wechatpay::client::{Client, ClientError};
use serde_json::Value;

use crate::drive::{self, Demo, Phone, json_of, koudai, run};
use crate::ground::{backup, beside, figures, made, names, refused, restore, said, verify};
use crate::place::Place;

/// What was acknowledged: orders that are paid, with their transaction's number.
type Paid = Arc<Mutex<BTreeMap<String, String>>>;

/// Orders and pays by balance until it is stopped or the server is gone.
async fn flow(
    phone: Phone,
    client: Arc<Client>,
    created: Value,
    paid: Paid,
    stop: Arc<AtomicBool>,
    name: String,
) {
    for n in 0.. {
        let number = format!("{name}-{n}");
        if stop.load(Ordering::SeqCst) || pay(&phone, &client, &created, &number, &paid).await.is_none() {
            return;
        }
    }
}

async fn pay(phone: &Phone, client: &Client, created: &Value, number: &str, paid: &Paid) -> Option<()> {
    let reply = match client.native(&drive::order(created, number, 100)).await {
        Err(ClientError::Unknown(_)) => return None,
        ordered => ordered.unwrap_or_else(|error| panic!("{number}: {error}")),
    };
    let path = phone.scan(&reply.code_url).await.ok()??;
    let (status, body) = phone.pay(&path, "balance").await.ok()?;
    assert_eq!((status, &body["state"]), (200, &"paid".into()), "{number}: {body}");
    let order = client.query_by_out_trade_no(number).await.ok()?;
    let transaction = order.transaction_id.expect("it is paid");
    paid.lock().unwrap().insert(number.to_owned(), transaction);
    Some(())
}

async fn wait_for(paid: &Paid, count: usize) -> BTreeMap<String, String> {
    for _ in 0..4_000 {
        let now = paid.lock().unwrap().clone();
        if now.len() >= count {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the stream has dried up at {}", paid.lock().unwrap().len());
}

async fn expect_paid(client: &Client, paid: &BTreeMap<String, String>) {
    for (number, transaction) in paid {
        let order = client.query_by_out_trade_no(number).await.unwrap();
        assert_eq!(order.transaction_id.as_ref(), Some(transaction), "{number}");
    }
}

async fn status(demo: &Demo) -> Value {
    let request = drive::http().get(format!("{}/status", demo.address("wallet")));
    let reply = request.header("accept", "application/json").send().await.unwrap();
    serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
}

/// What is lost and found again: a copy is taken while people pay, the server is killed, and the copy is restored.
async fn lose_and_restore(directory: &Path, database: Option<&str>, into: Option<&str>) {
    let (data, copy, new) = (directory.join("lost"), directory.join("copy"), directory.join("restored"));
    let (port, log) = (drive::free_ports(), directory.join("log"));
    made(&data, database);
    let mut demo = Demo::start(&data, port, None, &log);
    let (client, created) = drive::merchant(&data, &format!("http://127.0.0.1:{port}"));
    let client = Arc::new(client);
    let (paid, stop) = (Paid::default(), Arc::new(AtomicBool::new(false)));
    let mut streams = tokio::task::JoinSet::new();
    let mut phones = vec![];
    for (n, card) in test_cards().iter().filter(|card| card.customer >= 3).take(2).enumerate() {
        let phone = Phone::register(&demo, &card.phone).await;
        let bound = phone.bind(card).await;
        phone.top_up("top-up-1", &bound, "3000.00").await;
        phones.push(phone.clone());
        let (client, created, name) = (Arc::clone(&client), created.clone(), format!("STREAM-{n}"));
        streams.spawn(flow(phone, client, created, Arc::clone(&paid), Arc::clone(&stop), name));
    }
    let before = wait_for(&paid, 20).await;
    let (from, to) = (data.clone(), copy.clone());
    let taken = tokio::task::spawn_blocking(move || run(&mut backup(&from, &to))).await.unwrap();
    assert!(taken.status.success(), "{}", said(&taken));
    assert!(
        said(&taken).contains("every invariant holds") && said(&taken).contains("密钥不在其中"),
        "{}",
        said(&taken)
    );
    let taken: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(names(&copy), ["backup.json", "kind", "koudai.db", "restored"]);
    // These go on and are lost, but for those that made it into the copy.
    let so_far = paid.lock().unwrap().len();
    let after = wait_for(&paid, so_far + 20).await;
    demo.process.kill();
    stop.store(true, Ordering::SeqCst);
    while let Some(ended) = streams.join_next().await {
        ended.unwrap();
    }

    let verified = figures(&copy);
    assert_eq!(verified["journals"], taken["journals"]);
    beside(&data, &new, into);
    let restored = json_of(&mut restore(&copy, &new));
    assert_eq!((&restored["seal_hash"], &restored["journals"]), (&taken["seal_hash"], &taken["journals"]));
    assert_eq!(figures(&new), verified, "every figure is the copy's");
    assert_eq!(new.join("koudai.db").exists(), into.is_none(), "the ledger is where it was to go");

    let mut demo = Demo::start(&new, port, None, &log);
    expect_paid(&client, &before).await;
    assert_eq!(status(&demo).await["messages"], "down", "nothing is sent yet");
    let held = std::fs::read_to_string(&log).unwrap();
    assert!(held.contains("the ledger was restored"), "the log says so");
    // Who was signed in still is, and pays by balance.
    let fresh = Paid::default();
    pay(&phones[0], &client, &created, "AFTER-1", &fresh).await.expect("it is answered");
    demo.process.kill();
    json_of(koudai().args(["restore", "--reconciled", "--data"]).arg(&new));
    let mut demo = Demo::start(&new, port, None, &log);
    assert_eq!(status(&demo).await["messages"], "up");
    let newcomer = Phone::register(&demo, "13800009999").await;
    assert_eq!(newcomer.get("/").await.unwrap().0, 200, "a code came to them");
    pay(&phones[1], &client, &created, "AFTER-2", &fresh).await.expect("it is answered");
    demo.process.kill();
    json_of(&mut verify(&new));
    let newest = after.values().max().unwrap();
    assert!(
        fresh.lock().unwrap().values().all(|id| id > newest),
        "no id of the lost part is given out again"
    );
    epochs_rise(&new, into, restored["seal"].as_i64().unwrap());
}

/// Every seal after the restored one carries a higher epoch than it. That it carries its hash is `verify`'s to say.
fn epochs_rise(data: &Path, server: Option<&str>, head: i64) {
    let database = match server {
        Some(url) => Database::server(koudai_core::secret::Secret::new(url.to_owned())).unwrap(),
        None => Database::Directory(data.to_owned()),
    };
    let seals = database.reader().unwrap().seals_after(head - 1, 1_000).unwrap();
    let (restored, later) = seals.split_first().unwrap();
    assert!(!later.is_empty() && later.iter().all(|(seal, _)| seal.epoch > restored.0.epoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_taken_while_people_pay_is_restored_and_runs_on() {
    let (_kept, directory) = drive::scratch();
    lose_and_restore(&directory, None, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_database_is_lost_and_restored_into_another() {
    let (Some(old), Some(new)) = (Place::on_server(), Place::on_server()) else { return };
    let (_kept, directory) = drive::scratch();
    lose_and_restore(&directory, Some(&old.url()), Some(&new.url())).await;
}

#[test]
fn a_ledger_moves_from_a_file_to_a_server_and_back() {
    let Some(server) = Place::on_server() else { return };
    let (_kept, directory) = drive::scratch();
    let at = |name: &str| directory.join(name);
    made(&at("file"), None);
    json_of(&mut backup(&at("file"), &at("copy")));
    beside(&at("file"), &at("server"), Some(&server.url()));
    json_of(&mut restore(&at("copy"), &at("server")));
    assert!(refused(&mut restore(&at("copy"), &at("server"))).contains("not empty"));
    fill_more(&at("server"));
    json_of(&mut backup(&at("server"), &at("copy of server")));
    beside(&at("file"), &at("file again"), None);
    json_of(&mut restore(&at("copy of server"), &at("file again")));
    assert_eq!(figures(&at("file again")), figures(&at("server")));
    fill_more(&at("file again"));
}

/// One more merchant, which has a number of its own.
fn fill_more(data: &Path) {
    json_of(koudai().args(["merchant", "create", "--name", "学二食堂", "--data"]).arg(data));
}
