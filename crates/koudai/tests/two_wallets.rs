//! Two wallets on one machine, each the real program: accounts of the one are bound in the other, pay its merchants and are
//! refunded, by the issuer protocol. The second is killed and started again in between.

mod drive;

use std::path::{Path, PathBuf};
use std::time::Duration;

use drive::books::{Dice, lines_of, setting, settled, succeeded, verify};
use drive::till::Till;
use drive::{Demo, PIN, Phone, koudai, run, until, until_up};
use koudai_core::identity::Phone as PhoneNumber;
use koudai_core::issuing::{AccountBin, account_number};
use koudai_core::ledger::NetworkId;
use koudai_networks::issuer::IssuerClient;
use koudai_networks::issuer::sandbox::{TestCard, test_cards};
use koudai_store::Database;
use koudai_wechatpay::client::Client;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{RefundRequest, RefundRequestAmount};
use serde_json::{Value, json};

/// The number the second wallet has among the first one's networks.
const NETWORK: &str = "2";
const BIN: &str = "998801";

/// The wallet that holds the account, and the wallet that people pay with.
struct Wallets {
    _directory: tempfile::TempDir,
    root: PathBuf,
    ports: [u16; 2],
    issuer: Demo,
    app: Demo,
    client: Client,
    created: Value,
}

fn keys(data: &Path) {
    assert!(run(koudai().args(["keys", "create", "--demo", "--data"]).arg(data)).status.success());
}

fn start(data: &Path, port: u16, log: &Path, more: &[&Path]) -> Demo {
    let mut command = koudai();
    command.args(["demo", "--json", "--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
    if let [file] = more {
        command.arg("--more-issuers").arg(file);
    }
    Demo::of(command, log)
}

impl Wallets {
    fn start() -> Self {
        let (directory, root) = drive::scratch();
        let (theirs, ours) = (root.join("issuer"), root.join("app"));
        keys(&theirs);
        keys(&ours);
        let ports = drive::rows_of_ports();
        let issuer = start(&theirs, ports[0], &root.join("issuer.log"), &[]);
        let mut set = koudai();
        set.args(["issuing-app", "set", "--app", "friend", "--name-zh", "友邻钱包", "--name-en", "Friend"]);
        set.arg("--key").arg(ours.join("bank/app_public_key.pem")).arg("--data").arg(&theirs);
        let made = drive::json_of(&mut set);
        assert_eq!((&made["account_bin"], &made["suspended"]), (&json!(BIN), &json!(false)));
        let key = made["issuer_public_key_pem"].as_str().expect("its key");
        std::fs::write(root.join("issuer.pem"), key).expect("a file");
        let line = format!("{NETWORK} {BIN} {} issuer.pem friend\n", issuer.address("wallet"));
        std::fs::write(root.join("issuers"), line).expect("a file");
        let app = start(&ours, ports[1], &root.join("app.log"), &[&root.join("issuers")]);
        let (client, created) = drive::merchant(&ours, &app.address("gateway"));
        Self { _directory: directory, root, ports, issuer, app, client, created }
    }

    /// Starts the issuer on what it left when it was killed.
    fn start_issuer(&mut self) {
        self.issuer = start(&self.root.join("issuer"), self.ports[0], &self.root.join("issuer.log"), &[]);
    }

    /// The same with the wallet that people pay with.
    fn start_app(&mut self) {
        let more = self.root.join("issuers");
        self.app = start(&self.root.join("app"), self.ports[1], &self.root.join("app.log"), &[&more]);
    }

    /// A holder with an account of so many yuan at the one, bound at the other: the person there, and the account's id.
    async fn payer(&self, card: &TestCard, yuan: &str) -> (Phone, Phone, String) {
        let holder = Phone::register(&self.issuer, &card.phone).await;
        let bank_card = holder.bind(card).await;
        holder.top_up("first-top-up", &bank_card, yuan).await;
        let number =
            account_number(AccountBin::default(), &PhoneNumber::parse(&card.phone).expect("a phone"));
        let payer = Phone::register(&self.app, &card.phone).await;
        let seen = holder.codes().await.len();
        let form = json!({
            "binding_id": "bind-account", "number": number, "kind": "debit", "name": card.name,
            "id_number": card.id_number, "phone": card.phone, "payment_password": PIN,
        });
        let (status, binding) = payer.post("/cards", form).await.expect("an answer");
        assert_eq!((status, &binding["state"]), (200, &json!("code_sent")), "{binding}");
        let code = holder.code(seen).await;
        let id = binding["binding_id"].as_str().expect("a binding");
        let path = format!("/cards/bindings/{id}/confirm");
        let (status, bound) = payer.post(&path, json!({"code": code})).await.expect("an answer");
        assert_eq!(status, 200, "{bound}");
        (holder, payer, bound["card_id"].as_str().expect("a card").to_owned())
    }

    /// What the first wallet has of network 2, and what the second says of it: the same, line by line. How many lines.
    async fn compare(&self) -> usize {
        let read = |name: &str| std::fs::read_to_string(self.root.join(name)).expect("a key");
        let issuer = IssuerClient::new(
            &self.issuer.address("wallet"),
            "friend",
            PrivateKey::from_pem(&read("app/keys/issuer_app_key.pem")).expect("our key"),
            PublicKey::from_pem(&read("issuer.pem")).expect("its key"),
            || koudai_engine::Clock::wall().now().0 / 1_000,
            Duration::from_secs(5),
        );
        let theirs = lines_of(&issuer.expect("a client")).await;
        let database = Database::Directory(self.root.join("app"));
        let ours = succeeded(&database.reader().expect("our database"), |a| a.network == NetworkId(2));
        assert_eq!(ours, theirs, "our books and the issuer's");
        ours.len()
    }
}

async fn balance(phone: &Phone) -> i64 {
    let (_, home) = phone.get("/").await.expect("an answer");
    home["balance"]["minor"].as_i64().unwrap_or_else(|| panic!("a balance: {home}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_one_wallet_is_bound_in_another_pays_there_and_is_refunded() {
    let mut w = Wallets::start();
    // Who has an account has proven who they are, by a card at a bank of the issuer's. The other wallet knows nobody yet.
    let card = test_cards().iter().find(|card| card.customer == 3).expect("an ordinary card");
    let (holder, payer, account) = w.payer(card, "500").await;
    let number = account_number(AccountBin::default(), &PhoneNumber::parse(&card.phone).expect("a phone"));
    let message = holder.codes().await.pop().expect("a message")["text"].as_str().expect("text").to_owned();
    assert!(message.contains("友邻钱包") && message.contains("Friend"), "{message}");

    // It pays a merchant of the wallet it was bound in.
    let placed = w.client.native(&drive::order(&w.created, "TWO-0001", 8_800)).await.expect("an order");
    let page = payer.scan(&placed.code_url).await.expect("an answer").expect("a page");
    let (status, paid) = payer.pay(&page, &account).await.expect("an answer");
    assert_eq!((status, &paid["state"]), (200, &json!("paid")), "{paid}");
    assert_eq!((balance(&holder).await, balance(&payer).await), (50_000 - 8_800, 0));
    let (_, records) = holder.get("/records").await.expect("an answer");
    let record = &records["records"][0];
    assert_eq!((&record["kind"], &record["direction"]), (&json!("payment"), &json!("out")), "{record}");
    assert_eq!(record["amount"]["minor"], 8_800);

    // Killed with a refund on its way, it comes back and takes it once.
    let request = RefundRequest {
        out_trade_no: Some("TWO-0001".to_owned()),
        out_refund_no: "TWO-R-1".to_owned(),
        amount: RefundRequestAmount { refund: 3_000, total: 8_800, currency: "CNY".to_owned(), from: None },
        ..RefundRequest::default()
    };
    w.issuer.process.kill();
    w.client.refund(&request).await.expect("it is taken");
    w.start_issuer();
    let done = async || {
        let found = w.client.query_refund("TWO-R-1").await.expect("the refund");
        found.success_time.is_some().then_some(())
    };
    until("the refund arrives", done).await;
    let holder = holder.at(&w.issuer.address("wallet"));
    assert_eq!(balance(&holder).await, 50_000 - 8_800 + 3_000);

    // What the holder ends takes nothing more.
    let (_, apps) = holder.get("/apps").await.expect("an answer");
    assert_eq!(apps["account_number"], number.as_str(), "{apps}");
    let agreement = &apps["apps"][0];
    assert_eq!((&agreement["state"], &agreement["used_today"]["minor"]), (&json!("bound"), &json!(8_800)));
    let path = format!("/apps/{}/end", agreement["id"].as_str().expect("its id"));
    let (status, ended) = holder.post(&path, json!({})).await.expect("an answer");
    assert_eq!(status, 200, "{ended}");
    let placed = w.client.native(&drive::order(&w.created, "TWO-0002", 100)).await.expect("an order");
    let page = payer.scan(&placed.code_url).await.expect("an answer").expect("a page");
    let (status, refused) = payer.pay(&page, &account).await.expect("an answer");
    assert_eq!((status >= 400, &refused["code"]), (true, &json!("CARD_NOT_USABLE")), "{refused}");

    let held = verify(&w.root.join("issuer"));
    assert_eq!((&held["app_moves"], &held["open_attempts"]), (&json!(3), &json!(0)), "{held}");
    assert_eq!(verify(&w.root.join("app"))["open_attempts"], 0);
}

/// `KOUDAI_TWO_WALLETS_ROUNDS` sets how often, `KOUDAI_TWO_WALLETS_SEED` when.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_side_is_killed_with_money_in_flight_both_books_say_the_same() {
    let (rounds, seed) =
        (setting("KOUDAI_TWO_WALLETS_ROUNDS", 6), setting("KOUDAI_TWO_WALLETS_SEED", 20_261_125));
    let mut dice = Dice(seed);
    let mut w = Wallets::start();
    let mut payers = vec![];
    for card in test_cards().iter().filter(|card| card.customer >= 3).take(4) {
        let (_, payer, account) = w.payer(card, "20000").await;
        payer.top_up("first-top-up", &account, "50").await;
        payers.push((payer, account));
    }
    let mut in_flight = 0;
    for round in 0..rounds {
        until_up(&payers[0].0, "issuer-2").await;
        let till = Till::open(&w.created, &w.app.address("gateway"));
        let streams = till.crowd(&payers, &format!("W{round}"), &mut dice);
        tokio::time::sleep(Duration::from_millis(50 + dice.roll(400))).await;
        in_flight += till.under_way();
        // In turn, so that each side is killed as often as the other.
        let issuer = round % 2 == 0;
        if issuer {
            w.issuer.process.kill();
        } else {
            w.app.process.kill();
        }
        till.close();
        if issuer {
            w.start_issuer();
        } else {
            w.start_app();
        }
        streams.join_all().await;
        verify(&w.root.join("issuer"));
        verify(&w.root.join("app"));
    }
    let report = settled(&w.root.join("app")).await;
    let lines = w.compare().await;
    let held = verify(&w.root.join("issuer"));
    assert!(lines > 0 && held["app_moves"].as_u64() >= Some(lines as u64), "{held}");
    println!(
        "two wallets: seed {seed}, {rounds} kills of either side in turn, {in_flight} payments, withdrawals and refunds \
         under way at the kills, both agree on {lines} \
         debits, refunds and payouts; {report}"
    );
}
