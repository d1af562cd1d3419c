//! What `koudai verify` finds. A real directory passes; a copy of it with one bug planted fails, and says which invariant
//! is broken. Checksums, totals and seals are made to fit again, so that only the invariant under test can find the bug.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::binding::{BankFace, BindingAnswer, RecordBinding, RemoveCard, StartBinding};
use koudai_core::card::CardKind;
use koudai_core::id::{AttemptId, CardId, MchId, OrderId, PersonId, RefundId, Seq};
use koudai_core::identity::Phone;
use koudai_core::ledger::{
    AccountId, ISSUER_NETWORK, Journal, JournalKind, Line, NetworkId, Posting, Seal, merkle_root,
};
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant};
use koudai_core::money::{Currency, Money};
use koudai_core::notice::RecordTold;
use koudai_core::order::{CloseOrder, PlaceOrder};
use koudai_core::payment::Pay;
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::{CodeKey, CodePurpose, NetworkRefusal, OneTimeCode, Product};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{RequestCode, SignIn, code_of};
use koudai_core::state::{Keys, Policy};
use koudai_core::time::{DAY, SECOND, Timestamp};
use koudai_core::top_up::StartTopUp;
use koudai_engine::{Clock, Engine, Settings};
use koudai_store::DirectoryLock;
use rusqlite::{Connection, params};
use tempfile::TempDir;

const FILE: &str = "koudai.db";
const BEGIN: Timestamp = Timestamp(1_795_000_000_000);

fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

fn pin() -> Pin {
    Pin::parse("852016").unwrap()
}

/// A closed data directory with one of everything, and the ids of what is in it.
struct House {
    directory: TempDir,
    payer: PersonId,
    other: PersonId,
    shop: MchId,
    other_shop: MchId,
    /// Of the payer.
    card: CardId,
    /// Of the other person.
    other_card: CardId,
    /// Succeeded.
    top_up: AttemptId,
    /// Of 10,000 fen with a fee of 60, refunded by 3,333 and 3,000.
    by_balance: OrderId,
    /// The first refund of `by_balance`: 3,333 fen, 19 of the fee.
    balance_refund: RefundId,
    /// Of 20,000 fen with a fee of 120.
    by_card: OrderId,
    /// Three refunds of `by_card`: 5,000 arrived, 2,000 was refused for good, 1,000 is on its way.
    card_refunds: [RefundId; 3],
    /// Of 50 fen and no fee, refunded whole.
    small: OrderId,
    unpaid: OrderId,
    closed: OrderId,
    /// Its card payment failed, so it is unpaid again.
    failed: OrderId,
    paying: OrderId,
}

/// Runs the wallet's own commands.
struct Hand {
    engine: Engine,
    clock: Clock,
}

macro_rules! done {
    ($hand:expr, $command:expr) => {{
        $hand.clock.advance(SECOND);
        $hand.engine.submit($command).await.unwrap()
    }};
}

impl Hand {
    async fn person(&self, no: u8) -> PersonId {
        let phone = Phone::parse(&format!("138{no:08}")).unwrap();
        let purpose = CodePurpose::SignIn;
        done!(self, RequestCode { phone: phone.clone(), purpose });
        let key = CodeKey { phone: phone.clone(), purpose };
        let wanted = key.clone();
        let row = self.engine.read(move |reader| reader.get::<OneTimeCode>(&wanted)).await.unwrap().unwrap();
        let code = code_of(self.engine.keys(), &key, &row.nonce);
        let person = done!(self, SignIn { phone, code, token_hash: [no; 32] }).person;
        done!(self, SetPaymentPassword { person, pin: pin() });
        person
    }

    async fn card(&self, person: PersonId, no: u8) -> CardId {
        let start = StartBinding {
            person,
            number: format!("binding-{no}"),
            network: ISSUER_NETWORK,
            card_mac: [no; 32],
            bin: "629999".to_owned(),
            last4: format!("{no:04}"),
            identity_mac: person.0.to_be_bytes().repeat(4).try_into().unwrap(),
            name_masked: "*明".to_owned(),
            id_number_masked: "1****************0".to_owned(),
            identity_sealed: vec![],
            age: 30,
            phone_masked: "138****0000".to_owned(),
            kind: CardKind::Debit,
        };
        let binding = done!(self, start).0.id;
        let face = BankFace {
            bank_zh: "测试银行".to_owned(),
            bank_en: "Test Bank".to_owned(),
            kind: CardKind::Debit,
        };
        let answer = BindingAnswer::Bound { face, token_sealed: vec![] };
        done!(self, RecordBinding { binding, answer }).card.unwrap()
    }

    async fn shop(&self) -> MchId {
        let mchid = done!(self, NextMerchant);
        let create = CreateMerchant {
            mchid,
            name: "口袋咖啡".to_owned(),
            appid: format!("wx{:016}", mchid.0),
            products: vec![Product::Native],
            apiv3_key_sealed: vec![],
            certificate: NewCertificate {
                serial: "1A".to_owned(),
                pem: String::new(),
                not_before: BEGIN,
                not_after: BEGIN.plus(DAY),
            },
        };
        done!(self, create);
        mchid
    }

    async fn top_up(&self, person: PersonId, card: CardId, number: &str) -> AttemptId {
        let amount = fen(200_000);
        done!(self, StartTopUp { person, number: number.to_owned(), card, amount, pin: pin() }).id
    }

    async fn bank_says(&self, attempt: AttemptId, succeeds: bool) {
        let outcome = if succeeds {
            Outcome::Succeeded { network_ref: "1".to_owned() }
        } else {
            Outcome::Failed(NetworkRefusal::Refused)
        };
        done!(self, EndAttempt { attempt, outcome });
    }

    async fn order(&self, mchid: MchId, out_trade_no: &str, amount: i64) -> OrderId {
        let place = PlaceOrder {
            mchid,
            appid: format!("wx{:016}", mchid.0),
            out_trade_no: out_trade_no.to_owned(),
            product: Product::Native,
            description: "拿铁 大杯".to_owned(),
            attach: None,
            notify_url: "http://localhost:1/notify".to_owned(),
            goods_tag: None,
            detail: None,
            scene_info: None,
            settle_info: None,
            amount: fen(amount),
            time_expire: None,
        };
        done!(self, place).id
    }

    /// Pays an order; the card payment that is asked for, if it is by card.
    async fn pay(&self, person: PersonId, order: OrderId, card: Option<CardId>) -> Option<AttemptId> {
        done!(self, Pay { person, order, card, pin: pin() }).attempt
    }

    async fn refund(&self, mchid: MchId, order: OrderId, no: &str, amount: i64, total: i64) -> RefundId {
        let refund = RequestRefund {
            mchid,
            order: OrderName::Id(order),
            out_refund_no: no.to_owned(),
            amount: fen(amount),
            total: fen(total),
            reason: None,
            notify_url: None,
        };
        done!(self, refund).0.id
    }

    async fn call_of(&self, refund: RefundId) -> AttemptId {
        let read = self.engine.read(move |reader| reader.get::<koudai_core::rows::Refund>(&refund));
        read.await.unwrap().unwrap().attempt.unwrap()
    }
}

impl House {
    fn built() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let house = runtime.block_on(Self::lived_in());
        // The engine's thread lets go of the directory a moment after its last handle is gone.
        for _ in 0..500 {
            if let Ok(lock) = DirectoryLock::take(house.directory.path()) {
                drop(lock);
                let database = Connection::open(house.directory.path().join(FILE)).unwrap();
                database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                return house;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the engine does not end")
    }

    async fn lived_in() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kind"), "serve\n").unwrap();
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let clock = Clock::by_hand(BEGIN);
        let engine =
            Engine::start(&Settings::directory(directory.path()), keys, Policy::default(), clock.clone())
                .unwrap();
        let hand = Hand { engine, clock };

        let (payer, other) = (hand.person(1).await, hand.person(2).await);
        let (card, other_card) = (hand.card(payer, 1).await, hand.card(other, 2).await);
        let old_card = hand.card(other, 3).await;
        done!(hand, RemoveCard { person: other, card: old_card, pin: pin() });
        let (shop, other_shop) = (hand.shop().await, hand.shop().await);
        let top_up = hand.top_up(payer, card, "top-up-1").await;
        hand.bank_says(top_up, true).await;
        let others = hand.top_up(other, other_card, "top-up-1").await;
        hand.bank_says(others, true).await;
        let refused = hand.top_up(other, other_card, "top-up-2").await;
        hand.bank_says(refused, false).await;
        hand.top_up(payer, card, "top-up-2").await;

        // So that the shop can pay for refunds of what a bug took from it.
        let cushion = hand.order(shop, "cushion", 20_000).await;
        hand.pay(other, cushion, None).await;
        let by_balance = hand.order(shop, "by-balance", 10_000).await;
        hand.pay(payer, by_balance, None).await;
        let balance_refund = hand.refund(shop, by_balance, "refund-1", 3_333, 10_000).await;
        hand.refund(shop, by_balance, "refund-2", 3_000, 10_000).await;

        let by_card = hand.order(shop, "by-card", 20_000).await;
        let call = hand.pay(payer, by_card, Some(card)).await.unwrap();
        hand.bank_says(call, true).await;
        let arrived = hand.refund(shop, by_card, "refund-3", 5_000, 20_000).await;
        hand.bank_says(hand.call_of(arrived).await, true).await;
        let abnormal = hand.refund(shop, by_card, "refund-4", 2_000, 20_000).await;
        hand.bank_says(hand.call_of(abnormal).await, false).await;
        let under_way = hand.refund(shop, by_card, "refund-5", 1_000, 20_000).await;

        let small = hand.order(other_shop, "small-1", 50).await;
        hand.pay(other, small, None).await;
        hand.refund(other_shop, small, "refund-1", 50, 50).await;
        let unpaid = hand.order(shop, "unpaid", 100).await;
        let closed = hand.order(shop, "closed", 100).await;
        done!(hand, CloseOrder { mchid: shop, out_trade_no: "closed".to_owned() });
        let failed = hand.order(shop, "failed", 100).await;
        let call = hand.pay(payer, failed, Some(card)).await.unwrap();
        hand.bank_says(call, false).await;
        let paying = hand.order(shop, "paying", 100).await;
        hand.pay(payer, paying, Some(card)).await.unwrap();
        done!(hand, RecordTold { mchid: shop, told: Seq(4), failed: vec![Seq(3)] });

        Self {
            directory,
            payer,
            other,
            shop,
            other_shop,
            card,
            other_card,
            top_up,
            by_balance,
            balance_refund,
            by_card,
            card_refunds: [arrived, abnormal, under_way],
            small,
            unpaid,
            closed,
            failed,
            paying,
        }
    }

    /// Plants a bug in a copy and expects it to be found by this invariant.
    #[track_caller]
    fn finds(&self, invariant: &str, plant: impl FnOnce(&Books)) {
        let copy = self.copy();
        plant(&Books(Connection::open(copy.path().join(FILE)).unwrap()));
        let (passed, said) = verify(copy.path());
        assert!(!passed, "it passes, though not: {invariant}");
        assert!(said.contains(invariant), "not found by {invariant:?}, but: {said}");
    }

    /// As `finds`, for a bug that is one statement.
    #[track_caller]
    fn finds_sql(&self, invariant: &str, sql: &str) {
        self.finds(invariant, |books| books.sql(sql));
    }

    /// As `finds`, for a bug in the journals whose lines, balances and seals follow suit.
    #[track_caller]
    fn finds_booked(&self, invariant: &str, plant: impl FnOnce(&mut Vec<Journal>)) {
        self.finds(invariant, |books| books.rebook(plant));
    }

    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in ["kind", FILE] {
            std::fs::copy(self.directory.path().join(file), copy.path().join(file)).unwrap();
        }
        copy
    }
}

/// Whether `koudai verify` passes, and what it says.
fn verify(directory: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_koudai"))
        .args(["verify", "--data", directory.to_str().unwrap()])
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = if output.status.success() { text(&output.stdout) } else { text(&output.stderr) };
    (output.status.success(), said)
}

/// A database in the hands of somebody who knows how it is kept.
struct Books(Connection);

impl Books {
    /// A change to exactly one row.
    #[track_caller]
    fn sql(&self, sql: &str) {
        assert_eq!(self.0.execute(sql, []).unwrap(), 1, "{sql}");
    }

    fn journals(&self) -> Vec<Journal> {
        let mut statement = self.0.prepare("SELECT body FROM journal ORDER BY seq").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(|body| Journal::decode(&body.unwrap()).unwrap()).collect()
    }

    /// Changes journals as they stand, checksums and seals included, and nothing that follows from them.
    fn rewrite(&self, change: impl FnOnce(&mut Vec<Journal>)) {
        let mut journals = self.journals();
        change(&mut journals);
        self.0.execute_batch("DELETE FROM journal; DELETE FROM seal").unwrap();
        for journal in &journals {
            let body = journal.encode();
            let crc = crc32c(&body);
            let sql = "INSERT INTO journal (partition, seq, at_ms, body, crc) VALUES (1, ?1, ?2, ?3, ?4)";
            self.0.execute(sql, params![journal.seq.0, journal.at.0, body, crc]).unwrap();
        }
        let mut seals = vec![Seal::genesis()];
        for journal in &journals {
            let newest = seals.last().unwrap();
            seals.push(Seal {
                no: newest.no + 1,
                previous: newest.hash(),
                epoch: 1,
                first: journal.seq,
                last: journal.seq,
                root: merkle_root(&[journal.encode()]),
            });
        }
        self.put_seals(&seals);
    }

    /// Changes what journals say and books the ledger anew from there: lines, history, balances and seals all fit.
    fn rebook(&self, change: impl FnOnce(&mut Vec<Journal>)) {
        self.rewrite(|journals| {
            change(journals);
            let mut totals: BTreeMap<AccountId, Line> = BTreeMap::new();
            self.0.execute_batch("DELETE FROM history; DELETE FROM balance").unwrap();
            for (seq, journal) in (1..).zip(journals.iter_mut()) {
                journal.seq = Seq(seq);
                let mut accounts: BTreeSet<AccountId> = journal.lines.iter().map(|l| l.account).collect();
                accounts.extend(journal.postings.iter().flat_map(|p| [p.debit, p.credit]));
                journal.lines.clear();
                for account in accounts {
                    let new = Line { account, debits_minor: 0, credits_minor: 0, previous: Seq(0) };
                    let line = totals.entry(account).or_insert(new);
                    for p in &journal.postings {
                        line.debits_minor += if p.debit == account { p.amount.minor() } else { 0 };
                        line.credits_minor += if p.credit == account { p.amount.minor() } else { 0 };
                    }
                    journal.lines.push(*line);
                    line.previous = journal.seq;
                    self.0.execute("INSERT INTO history VALUES (?1, ?2)", [account.0, seq]).unwrap();
                }
            }
            for line in totals.values() {
                self.put_balance(line, "CNY");
            }
        });
    }

    /// Writes a balance with a checksum that fits; `previous` of the line is the journal it is true at.
    fn put_balance(&self, line: &Line, currency: &str) {
        let numbers = [line.account.0, line.previous.0, line.debits_minor, line.credits_minor];
        let cell = |tag: u8, bytes: &[u8]| [&[tag], &(bytes.len() as u64).to_be_bytes()[..], bytes].concat();
        let mut cells = numbers.map(|n| cell(1, &n.to_be_bytes())).to_vec();
        cells.insert(2, cell(2, currency.as_bytes()));
        let sql = "INSERT OR REPLACE INTO balance VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let [account, as_of, debits, credits] = numbers;
        let crc = crc32c(&cells.concat());
        self.0.execute(sql, params![account, as_of, currency, debits, credits, crc]).unwrap();
    }

    /// A balance as it stands, in the shape `put_balance` takes.
    fn balance(&self, account: AccountId) -> Line {
        let sql = "SELECT debits_minor, credits_minor, as_of FROM balance WHERE account = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            let (debits_minor, credits_minor) = (row.get(0)?, row.get(1)?);
            Ok(Line { account, debits_minor, credits_minor, previous: Seq(row.get(2)?) })
        };
        self.0.query_row(sql, [account.0], read).unwrap()
    }

    /// Changes seals; each then gets the hash of the one before, and its own.
    fn reseal(&self, change: impl FnOnce(&mut Vec<Seal>)) {
        let mut statement = self
            .0
            .prepare("SELECT no, previous, epoch, first_seq, last_seq, root FROM seal ORDER BY no")
            .unwrap();
        let rows = statement.query_map([], |row| {
            let (no, previous, epoch, root) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(5)?);
            Ok(Seal { no, previous, epoch, first: Seq(row.get(3)?), last: Seq(row.get(4)?), root })
        });
        let mut seals: Vec<Seal> = rows.unwrap().map(Result::unwrap).collect();
        change(&mut seals);
        for at in 1..seals.len() {
            seals[at].previous = seals[at - 1].hash();
        }
        self.0.execute_batch("DELETE FROM seal").unwrap();
        self.put_seals(&seals);
    }

    fn put_seals(&self, seals: &[Seal]) {
        for seal in seals {
            let sql = "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash)
                       VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (first, last) = (seal.first.0, seal.last.0);
            let values = params![seal.no, seal.previous, seal.epoch, first, last, seal.root, seal.hash()];
            self.0.execute(sql, values).unwrap();
        }
    }
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The journal of a kind about a subject.
fn the(journals: &mut [Journal], kind: JournalKind, subject: i64) -> &mut Journal {
    journals.iter_mut().find(|j| j.kind == kind && j.subject == subject).unwrap()
}

/// Takes an account out of a journal that did not move its money.
fn forget(journal: &mut Journal, account: AccountId) {
    let lines = journal.lines.len();
    journal.lines.retain(|l| l.account != account);
    assert_eq!(journal.lines.len() + 1, lines);
}

#[test]
fn a_house_without_a_bug_passes_and_is_counted() {
    let house = House::built();
    let copy = house.copy();
    let (passed, said) = verify(copy.path());
    assert!(passed, "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let counts = ["journals", "orders", "paid", "refunds", "open_attempts"].map(|name| report[name].clone());
    assert_eq!(counts, [14, 8, 4, 6, 3]);
    // In by top-up 400,000 and by card 20,000; 5,000 back to the card and 3,000 on the way there. Of fees of 300, refunds
    // gave back 37 and 48.
    assert_eq!(report["owed_minor"], 420_000 - 8_000 - (300 - 37 - 48));

    // The planter's own books pass too, so what is found in them is what was planted.
    let books = Books(Connection::open(copy.path().join(FILE)).unwrap());
    books.rebook(|_| ());
    let (passed, said) = verify(copy.path());
    assert!(passed, "{said}");
}

#[test]
fn flipped_bits_are_found() {
    let house = House::built();
    let length =
        Books(Connection::open(house.copy().path().join(FILE)).unwrap()).journals()[0].encode().len();
    for at in (0..length).step_by(23) {
        house.finds("row 1: its checksum does not fit", |books| {
            let mut body = books.journals()[0].encode();
            body[at] ^= 4;
            books.0.execute("UPDATE journal SET body = ?1 WHERE seq = 1", [body]).unwrap();
        });
    }
    let account = AccountId::person(house.payer).0;
    for column in ["credits_minor", "debits_minor", "as_of"] {
        let sql = format!("UPDATE balance SET {column} = {column} | 1073741824 WHERE account = {account}");
        house.finds_sql(&format!("row {account}: its checksum does not fit"), &sql);
    }
    house.finds("the history index", |books| {
        let key = format!("account = {account}");
        let sql =
            format!("DELETE FROM history WHERE {key} AND seq = (SELECT max(seq) FROM history WHERE {key})");
        books.sql(&sql);
    });
}

#[test]
fn journals_that_do_not_follow_from_each_other_are_found() {
    let house = House::built();
    let raw = |invariant: &str, change: fn(&mut Vec<Journal>)| {
        house.finds(invariant, |books| books.rewrite(change));
    };
    house.finds_sql("journals are numbered without gaps", "DELETE FROM journal WHERE seq = 5");
    raw("journals are numbered without gaps", |all| drop(all.remove(4)));
    raw("time never goes back", |all| all[4].at = BEGIN);
    let itself = "a posting moves money between two accounts";
    raw(itself, |all| all[2].postings[1].credit = all[2].postings[1].debit);
    raw(itself, |all| all[2].postings[1].amount = fen(0));
    raw("every account has a kind", |all| {
        let line = Line { account: AccountId(9), debits_minor: 0, credits_minor: 0, previous: Seq(0) };
        all[0].lines.insert(0, line);
    });
    raw("an account has one currency", |all| all[3].currency = Currency::Usd);
    raw("an account's history is one chain", |all| all[3].lines[0].previous = Seq(1));
    raw("a line carries its account's totals", |all| all[3].lines[0].credits_minor += 1);
    raw("a line carries its account's totals", |all| all[3].postings[0].amount = fen(1));
    raw("every account posted to has its line", |all| {
        all[0].lines.remove(0);
    });
    house.finds_booked("no account is ever below zero", |all| all[0].postings[0].amount = fen(1));
    house.finds_booked("a fact is stated once", |all| {
        let again = the(all, JournalKind::TopUp, house.top_up.0).clone();
        let at = all.last().unwrap().at;
        all.push(Journal { at, ..again });
    });
}

#[test]
fn broken_seals_are_found() {
    let house = House::built();
    let sealed = |invariant: &str, change: fn(&mut Vec<Seal>)| {
        house.finds(invariant, |books| books.reseal(change));
    };
    house.finds_sql("seals are numbered without gaps", "DELETE FROM seal WHERE no = 3");
    let carries = "each seal carries the hash of the one before";
    house.finds_sql(carries, "UPDATE seal SET previous = zeroblob(32) WHERE no = 3");
    house.finds_sql("a seal's hash is its own", "UPDATE seal SET hash = zeroblob(32) WHERE no = 3");
    house.finds_sql("a seal's hash is its own", "UPDATE seal SET epoch = 2 WHERE no = 3");
    sealed("epochs only rise", |seals| seals[3].epoch = 9);
    sealed("a seal's root is that of its journals", |seals| seals[3].root = [1; 32]);
    sealed("seals cover the journals without gaps", |seals| {
        let of_two = seals.iter_mut().find(|s| s.last.0 == 2).unwrap();
        (of_two.first, of_two.last) = (Seq(3), Seq(3));
    });
    sealed("every journal is sealed", |seals| seals.truncate(4));
    let cut = "a seal covers journals that exist";
    house.finds_sql(cut, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)");
    house.finds(cut, |books| books.0.execute_batch("DELETE FROM journal").unwrap());
    // The journal's tail cut off together with its seals: the balances are ahead then.
    house.finds("a balance is the sum of its entries", |books| books.rewrite(|all| drop(all.pop())));
    // And a journal whose amount was changed under its old seal.
    house.finds("a seal's root is that of its journals", |books| {
        let seals = {
            let sql = "SELECT no, previous, epoch, first_seq, last_seq, root, hash FROM seal";
            let mut statement = books.0.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| {
                (0..7).map(|i| row.get(i)).collect::<Result<Vec<rusqlite::types::Value>, _>>()
            });
            rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
        };
        books.rebook(|all| all[0].postings[0].amount = fen(200_001));
        books.0.execute_batch("DELETE FROM seal").unwrap();
        for seal in seals {
            let sql = "INSERT INTO seal VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            books.0.execute(sql, rusqlite::params_from_iter(seal)).unwrap();
        }
    });
}

#[test]
fn derived_rows_that_do_not_follow_from_the_journals_are_found() {
    let house = House::built();
    let account = AccountId::person(house.payer);
    let balance = |change: fn(&mut Line), currency: &str| {
        house.finds("a balance is the sum of its entries", |books| {
            let mut line = books.balance(account);
            change(&mut line);
            books.put_balance(&line, currency);
        });
    };
    balance(|line| line.credits_minor += 1, "CNY");
    balance(|line| line.debits_minor += 1, "CNY");
    balance(|line| line.previous = Seq(1), "CNY");
    balance(|_| (), "USD");
    balance(|line| line.account = AccountId::merchant(MchId(1_900_000_009)), "CNY");
    let sql = format!("DELETE FROM balance WHERE account = {}", account.0);
    house.finds_sql("every account with a history has a balance", &sql);
    house.finds("every account has a kind", |books| {
        books.rewrite(|all| {
            let line = Line { account: AccountId(7), debits_minor: 0, credits_minor: 0, previous: Seq(0) };
            all[0].lines.push(line);
        });
    });
    let index = "the history index is that of the journals";
    house.finds_sql(index, &format!("DELETE FROM history WHERE account = {} AND seq = 1", account.0));
    house.finds_sql(index, &format!("INSERT INTO history VALUES ({}, 2)", account.0));
    house.finds_sql(
        index,
        &format!("UPDATE history SET account = 4096 WHERE account = {} AND seq = 1", account.0),
    );
}

#[test]
fn notices_that_nobody_or_somebody_else_is_due_are_found() {
    let house = House::built();
    let (shop, other) = (house.shop.0, house.other_shop.0);
    house.finds_sql("a cursor belongs to a merchant", "UPDATE notice_cursor SET mchid = 1900000009");
    house.finds_sql("nobody is told what has not happened", "UPDATE notice_cursor SET told = 99");
    house.finds_sql("a cursor passes an event only with its notice", "UPDATE notice_cursor SET told = 2");
    let belongs = "a notice belongs to an event of its merchant";
    house.finds_sql(belongs, &format!("UPDATE notice_retry SET mchid = {other} WHERE mchid = {shop}"));
    house.finds_sql(belongs, "UPDATE notice_retry SET seq = 1");
}

#[test]
fn phones_and_cards_of_two_people_are_found() {
    let house = House::built();
    let (payer, other, card) = (house.payer.0, house.other.0, house.card.0);
    let phone = "a phone has one holder";
    house.finds_sql(phone, &format!("UPDATE phone_owner SET person = {other} WHERE person = {payer}"));
    house.finds_sql(phone, &format!("INSERT INTO phone_owner VALUES ('13900000000', {other})"));
    house.finds_sql(phone, &format!("UPDATE person SET phone = '13800000002' WHERE id = {payer}"));
    let bound = "a bound card has one holder";
    house.finds_sql(bound, &format!("UPDATE card_owner SET person = {other} WHERE person = {payer}"));
    house.finds_sql(bound, &format!("UPDATE card_owner SET card = NULL WHERE card = {card}"));
    house.finds_sql(bound, &format!("DELETE FROM card_owner WHERE card = {card}"));
    house.finds_sql(bound, &format!("UPDATE card_owner SET card = {card} WHERE card IS NULL"));
    house
        .finds_sql("a card's holder is a person", "UPDATE card SET person = 16 WHERE removed_at IS NOT NULL");
    let counted = "a person's cards are counted right";
    house.finds_sql(counted, &format!("UPDATE person SET cards = 2 WHERE id = {payer}"));
}

#[test]
fn calls_to_networks_that_do_not_fit_what_they_are_for_are_found() {
    let house = House::built();
    let (top_up, other, other_card) = (house.top_up.0, house.other.0, house.other_card.0);
    let by_card = format!("kind = 'card_payment' AND \"order\" = {}", house.by_card.0);
    let under_way = format!("kind = 'card_payment' AND \"order\" = {}", house.paying.0);
    let refund = format!("refund = {}", house.card_refunds[0].0);
    let at = |which: &str, set: &str| format!("UPDATE attempt SET {set} WHERE {which}");

    let due = "an open attempt is due, an ended one is not";
    let its = format!("attempt = (SELECT id FROM attempt WHERE {under_way})");
    house.finds_sql(due, &format!("DELETE FROM open_attempt WHERE {its}"));
    house.finds_sql(due, &format!("INSERT INTO open_attempt VALUES ({top_up}, 0, 0, 0)"));
    house.finds_sql("what is due belongs to an attempt", "INSERT INTO open_attempt VALUES (16, 0, 0, 0)");
    let ended = "an ended attempt has its time and its outcome";
    house.finds_sql(ended, &at(&format!("id = {top_up}"), "ended_at = NULL"));
    house.finds_sql(ended, &at(&format!("id = {top_up}"), "network_ref = NULL"));
    house.finds_sql(ended, &at("state = 'failed' AND kind = 'top_up'", "refusal = NULL"));
    house.finds_sql(ended, &at(&under_way, "ended_at = created_at"));

    let place = "an attempt is made at its person's card and the card's network";
    for which in [&format!("id = {top_up}"), &by_card, &under_way, &refund] {
        house.finds_sql(place, &at(which, "network = 2"));
        house.finds_sql(place, &at(which, &format!("card = {other_card}")));
        house.finds_sql(place, &at(which, &format!("person = {other}")));
    }
    house.finds_sql("a top-up is about no order", &at(&format!("id = {top_up}"), "\"order\" = 16"));
    let numbered = "a top-up has one number";
    house.finds_sql(numbered, &format!("DELETE FROM attempt_number WHERE attempt = {top_up}"));
    house.finds_sql(
        numbered,
        &format!("INSERT INTO attempt_number VALUES ({}, 'x', {top_up})", house.payer.0),
    );
    house.finds_sql(
        numbered,
        &format!("UPDATE attempt_number SET person = {other}, number = 'x' WHERE attempt = {top_up}"),
    );

    house.finds_sql("a card payment has its order", &at(&by_card, "\"order\" = NULL"));
    for which in [&by_card, &under_way] {
        house.finds_sql(
            "a card payment asks for its order's amount",
            &at(which, "amount_minor = amount_minor - 1"),
        );
    }
    let order = |id: OrderId, set: &str| format!("UPDATE trade_order SET {set} WHERE id = {}", id.0);
    let state = "an order's state is that of its card payment";
    house.finds_sql(state, &order(house.paying, "state = 'unpaid'"));
    house.finds_sql(state, &order(house.paying, "attempt = NULL"));
    house.finds_sql(state, &order(house.by_card, "state = 'paying'"));
    house.finds_sql(state, &order(house.by_card, "paid_at = paid_at + 1"));
    let call = format!("(SELECT id FROM attempt WHERE \"order\" = {})", house.failed.0);
    house.finds_sql(state, &order(house.failed, &format!("attempt = {call}")));
    house.finds_sql(
        state,
        &at(&by_card, &format!("\"order\" = {}", house.small.0)).replace("SET", "SET amount_minor = 50,"),
    );

    house.finds_sql("a card refund has its refund", &at(&refund, "refund = NULL"));
    house.finds_sql("a card refund brings its refund's amount", &at(&refund, "amount_minor = 4999"));
    let back = "a card refund goes back to the card payment of its order";
    house.finds_sql(back, &at(&refund, &format!("original = {top_up}")));
    house.finds_sql(back, &at(&refund, "original = NULL"));
    house.finds_sql(back, &at(&refund, &format!("\"order\" = {}", house.by_balance.0)));
    house.finds_sql(back, &at(&refund, &format!("card = {other_card}, person = {other}")));
    let brings = "a refund's state is that of the call that brings it";
    let [arrived, abnormal, on_its_way] = house.card_refunds.map(|refund| refund.0);
    for (refund, state) in [(arrived, "processing"), (abnormal, "success"), (on_its_way, "abnormal")] {
        house.finds_sql(brings, &format!("UPDATE refund SET state = '{state}' WHERE id = {refund}"));
    }
    house.finds_sql(brings, &format!("UPDATE refund SET attempt = NULL WHERE id = {arrived}"));
    house.finds_sql(brings, &format!("UPDATE refund SET success_at = 1 WHERE id = {arrived}"));
}

#[test]
fn orders_that_have_what_is_not_theirs_are_found() {
    let house = House::built();
    let at = |id: OrderId, set: &str| format!("UPDATE trade_order SET {set} WHERE id = {}", id.0);
    let (payer, card, top_up) = (house.payer.0, house.card.0, house.top_up.0);

    let number = "an order has one number";
    house.finds_sql(number, &format!("DELETE FROM order_number WHERE \"order\" = {}", house.unpaid.0));
    house.finds_sql(number, &at(house.unpaid, "out_trade_no = 'x'"));
    house.finds("an order has its merchant", |books| {
        books.sql(&at(house.unpaid, "mchid = 1900000009"));
        books.sql("UPDATE order_number SET mchid = 1900000009 WHERE out_trade_no = 'unpaid'");
    });
    house.finds_sql("who pays is a person", &at(house.by_balance, "payer = 16"));

    let nobody = "an order that nobody pays names no payer";
    for order in [house.unpaid, house.closed, house.failed] {
        for set in [format!("payer = {payer}"), format!("card = {card}"), format!("attempt = {top_up}")] {
            house.finds_sql(nobody, &at(order, &set));
        }
    }
    let open = "an order being paid has its open card payment";
    house.finds_sql(open, &at(house.unpaid, &format!("state = 'paying', payer = {payer}, card = {card}")));
    house.finds_sql(
        open,
        &at(house.unpaid, &format!("state = 'paying', payer = {payer}, attempt = {top_up}")),
    );
    house.finds_sql(open, &at(house.paying, &format!("payer = {}", house.other.0)));
    house.finds_sql(open, &at(house.paying, &format!("card = {}", house.other_card.0)));

    house.finds_sql("a paid order has its payer", &at(house.by_balance, "payer = NULL"));
    house.finds_sql("a paid order has its payer", &at(house.by_balance, "paid_at = NULL"));
    let paid_by = "a paid order has the card payment that paid it, or none";
    house.finds_sql(paid_by, &at(house.by_balance, &format!("attempt = {top_up}")));
    house.finds_sql(paid_by, &at(house.by_balance, &format!("card = {card}")));
    house.finds_sql(paid_by, &at(house.by_card, "card = NULL"));
    house.finds_sql(paid_by, &at(house.by_card, &format!("payer = {}", house.other.0)));

    house.finds_sql("an order has one currency", &at(house.by_balance, "fee_currency = 'USD'"));
    house.finds_sql("a fee is at most its order's amount", &at(house.by_balance, "fee_minor = 10001"));
    let nothing = "an order that is not paid has no payment, fee or refund";
    for set in ["paid_at = 1", "paid_seq = 1", "fee_minor = 1", "refunded_minor = 1", "refunds = 1"] {
        house.finds_sql(nothing, &at(house.unpaid, set));
        house.finds_sql(nothing, &at(house.paying, set));
    }
}

#[test]
fn refunds_that_do_not_fit_their_order_are_found() {
    let house = House::built();
    let at = |set: &str| format!("UPDATE refund SET {set} WHERE id = {}", house.balance_refund.0);

    let number = "a refund has one number";
    house.finds_sql(number, &format!("DELETE FROM refund_number WHERE refund = {}", house.balance_refund.0));
    house.finds_sql(number, &at("out_refund_no = 'x'"));
    house.finds_sql("a refund has its paid order", &at(&format!("\"order\" = {}", house.unpaid.0)));
    let way = "a refund goes from the order's merchant back to its payer, the way it was paid";
    house.finds_sql(way, &at(&format!("payer = {}", house.other.0)));
    house.finds_sql(way, &at(&format!("card = {}", house.card.0)));
    house.finds(way, |books| {
        let shop = house.other_shop.0;
        books.sql(&at(&format!("mchid = {shop}, out_refund_no = 'x'")));
        let (set, refund) = (format!("mchid = {shop}, out_refund_no = 'x'"), house.balance_refund.0);
        books.sql(&format!("UPDATE refund_number SET {set} WHERE refund = {refund}"));
    });
    let call = "a refund to a card has its call, and one to the balance has none";
    house.finds_sql(call, &at(&format!("attempt = {}", house.top_up.0)));
    house.finds_sql("a refund to the balance is immediate", &at("state = 'processing'"));
    house.finds_sql("a refund that arrived has its time", &at("success_at = NULL"));
    house.finds_sql("an order has one currency", &at("amount_currency = 'USD'"));
    house.finds_sql("no more is refunded than was paid", &at("amount_minor = 10001"));
    let share = "refunds give back their share of the fee, rounded down";
    house.finds_sql(share, &at("fee_returned_minor = 20"));
    house.finds_sql(share, &at("fee_returned_minor = 18"));
    house.finds(share, |books| {
        // The same sum, cut another way.
        books.sql(&at("fee_returned_minor = 18"));
        books.sql("UPDATE refund SET fee_returned_minor = 19 WHERE out_refund_no = 'refund-2'");
    });
    let refers = "an order's refunds are those that refer to it";
    for set in ["refunds = 3", "refunded_minor = 6332", "fee_returned_minor = 38"] {
        house.finds_sql(refers, &format!("UPDATE trade_order SET {set} WHERE id = {}", house.by_balance.0));
    }
}

#[test]
fn money_that_moved_otherwise_than_the_rows_say_is_found() {
    let house = House::built();
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let (shop, other_shop) = (AccountId::merchant(house.shop), AccountId::merchant(house.other_shop));
    let bank = AccountId::clearing(ISSUER_NETWORK);
    let by_balance = (JournalKind::BalancePayment, house.by_balance.0);
    let by_card = (JournalKind::CardPayment, house.by_card.0);
    let [arrived, abnormal, under_way] = house.card_refunds.map(|refund| refund.0);
    let to_balance = (JournalKind::BalanceRefund, house.balance_refund.0);
    let to_card = (JournalKind::CardRefundAccepted, under_way);
    let posts = |invariant: &str, (kind, subject): (JournalKind, i64), change: &dyn Fn(&mut Vec<Posting>)| {
        house.finds_booked(invariant, |all| change(&mut the(all, kind, subject).postings));
    };
    let extra =
        |debit, credit| move |all: &mut Vec<Posting>| all.push(Posting { debit, credit, amount: fen(1) });

    let paid = "an order is paid once, by its payer, as its journal says";
    posts(paid, by_balance, &|all| all[0].debit = other);
    posts(paid, by_balance, &|all| all[0].debit = bank);
    posts(paid, by_card, &|all| all[0].debit = payer);
    posts(paid, by_card, &|all| all[0].credit = other_shop);
    posts(paid, by_card, &|all| all[1].amount = fen(121));
    for which in [by_balance, by_card] {
        posts(paid, which, &|all| all[0].amount = fen(30_000));
        posts(paid, which, &|all| {
            all.pop();
        });
        posts(paid, which, &extra(payer, other));
        posts(paid, which, &extra(shop, payer));
        posts(paid, which, &|all| all.push(all[1]));
    }
    let refunded = "a refund is taken from its merchant once, with its share of the fee given back";
    posts(refunded, to_balance, &|all| all[1].credit = other);
    posts(refunded, to_balance, &|all| all[0].credit = payer);
    posts(refunded, to_card, &|all| all[1].credit = payer);
    posts(refunded, to_card, &|all| all[1].credit = AccountId::refund_in_flight(NetworkId(2)));
    for which in [to_balance, to_card] {
        posts(refunded, which, &|all| all[1].amount = fen(3_000));
        posts(refunded, which, &|all| {
            all.remove(0);
        });
        posts(refunded, which, &extra(shop, other));
    }
    let ended = "a refund that ended moves its amount out of its network, or nothing";
    let done = (JournalKind::CardRefundDone, arrived);
    posts(ended, done, &|all| all[0].amount = fen(4_999));
    posts(ended, done, &|all| all[0].credit = payer);
    posts(ended, done, &|all| all.clear());
    let way = AccountId::refund_in_flight(ISSUER_NETWORK);
    posts(ended, (JournalKind::CardRefundAbnormal, abnormal), &extra(way, shop));
    let credited = "a top-up is credited once, if the bank paid it";
    let top_up = (JournalKind::TopUp, house.top_up.0);
    posts(credited, top_up, &|all| all.push(Posting { debit: payer, credit: other, amount: fen(1) }));
    posts(credited, top_up, &|all| all[0].amount = fen(200_001));
}

#[test]
fn journals_without_a_row_and_rows_without_a_journal_are_found() {
    let house = House::built();
    let [arrived, abnormal, under_way] = house.card_refunds.map(|refund| refund.0);
    let claimed = "every journal is what one row says";
    let stray = |kind: JournalKind, subject: i64, like: JournalKind| {
        house.finds_booked(claimed, |all| {
            let model = all.iter().find(|j| j.kind == like).unwrap().clone();
            let at = all.last().unwrap().at;
            all.push(Journal { kind, subject, at, ..model });
        });
    };
    stray(JournalKind::TopUp, 16, JournalKind::TopUp);
    for order in [house.unpaid, house.closed, house.failed, house.paying, house.by_card] {
        stray(JournalKind::BalancePayment, order.0, JournalKind::BalancePayment);
    }
    stray(JournalKind::CardPayment, house.paying.0, JournalKind::CardPayment);
    stray(JournalKind::CardPayment, house.by_balance.0, JournalKind::CardPayment);
    stray(JournalKind::BalanceRefund, arrived, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundAccepted, house.balance_refund.0, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundDone, house.balance_refund.0, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundAbnormal, under_way, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundAbnormal, arrived, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundDone, abnormal, JournalKind::CardRefundAbnormal);

    let gone = |invariant: &str, kind: JournalKind| {
        house.finds_booked(invariant, |all| all.iter_mut().rfind(|j| j.kind == kind).unwrap().subject = 16);
    };
    gone("a top-up is credited once, if the bank paid it", JournalKind::TopUp);
    for kind in [JournalKind::BalancePayment, JournalKind::CardPayment] {
        gone("an order is paid once, by its payer, as its journal says", kind);
    }
    for kind in [JournalKind::BalanceRefund, JournalKind::CardRefundAccepted] {
        gone("a refund is taken from its merchant once, with its share of the fee given back", kind);
    }
    for kind in [JournalKind::CardRefundDone, JournalKind::CardRefundAbnormal] {
        gone("a refund that ended moves its amount out of its network, or nothing", kind);
    }
    let payer = house.payer.0;
    let set = format!("state = 'paid', payer = {payer}, paid_at = 1, paid_seq = 3");
    let sql = format!("UPDATE trade_order SET {set} WHERE id = {}", house.unpaid.0);
    house.finds_sql("an order is paid once, by its payer, as its journal says", &sql);
    let failed = "UPDATE attempt SET state = 'succeeded', refusal = NULL, network_ref = '1'
                  WHERE state = 'failed' AND kind = 'top_up'";
    house.finds_sql("a top-up is credited once, if the bank paid it", failed);
    let sql = format!("UPDATE trade_order SET paid_seq = paid_seq + 1 WHERE id = {}", house.by_balance.0);
    house.finds_sql("an order knows the journal of its payment", &sql);
}

#[test]
fn journals_in_the_wrong_history_or_at_the_wrong_time_are_found() {
    let house = House::built();
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let [arrived, abnormal, _] = house.card_refunds.map(|refund| refund.0);
    let shop = AccountId::merchant(house.shop);
    let everybody = "a journal belongs to the history of everybody it concerns, and of nobody else";
    let missing = [
        (JournalKind::CardPayment, house.by_card.0, payer),
        (JournalKind::CardRefundAccepted, arrived, payer),
        (JournalKind::CardRefundDone, arrived, payer),
        (JournalKind::CardRefundDone, arrived, shop),
        (JournalKind::CardRefundAbnormal, abnormal, payer),
        (JournalKind::CardRefundAbnormal, abnormal, shop),
    ];
    for (kind, subject, account) in missing {
        house.finds_booked(everybody, |all| forget(the(all, kind, subject), account));
    }
    let line = Line { account: other, debits_minor: 0, credits_minor: 0, previous: Seq(0) };
    for (kind, subject) in [(JournalKind::TopUp, house.top_up.0), (JournalKind::CardRefundDone, arrived)] {
        house.finds_booked(everybody, |all| the(all, kind, subject).lines.push(line));
    }
    let time = "a journal and its row have one time";
    let sql = format!("UPDATE trade_order SET paid_at = paid_at + 1 WHERE id = {}", house.by_balance.0);
    house.finds_sql(time, &sql);
    house.finds_sql(time, &format!("UPDATE attempt SET ended_at = 1 WHERE id = {}", house.top_up.0));
    house.finds_sql(time, &format!("UPDATE refund SET created_at = 1 WHERE id = {arrived}"));
    house.finds_sql(time, &format!("UPDATE attempt SET ended_at = 1 WHERE refund = {abnormal}"));
}

#[test]
fn every_invariant_has_a_bug_that_reaches_it() {
    // Follows from the others as long as every posting has two ends, and says so to whoever changes that.
    const IMPLIED: &str = "what is held at networks equals what is owed";
    let checks = [include_str!("../src/verify/journals.rs"), include_str!("../src/verify/rows.rs")].concat();
    let code = checks.lines().filter(|line| !line.trim_start().starts_with("//"));
    let texts = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let sentences = texts.filter(|text| text.matches(' ').count() >= 3 && !text.contains('{'));
    let tests = include_str!("verify.rs");
    let untested: Vec<&str> = sentences.filter(|text| *text != IMPLIED && !tests.contains(text)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}
