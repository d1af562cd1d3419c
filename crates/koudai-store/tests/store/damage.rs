//! Damage is named and never repaired.

use koudai_core::id::{OrderId, PersonId, Seq};
use koudai_core::identity::Phone;
use koudai_core::ledger::AccountId;
use koudai_core::rows::{Balance, Order, PhoneOwner};
use koudai_store::{StoreError, Tuning};

use crate::books::{Books, PERSON, Receive};
use crate::place::Place;

/// Expects damage in a table, whose description names what is wrong.
fn damaged<T: std::fmt::Debug>(result: Result<T, StoreError>, in_table: &str, naming: &[&str]) {
    match result {
        Err(StoreError::Corrupt { table, what }) => {
            assert_eq!(table, in_table);
            assert!(naming.iter().all(|name| what.contains(name)), "{what}");
        }
        other => panic!("{other:?}"),
    }
}

fn used() -> Books {
    // Every journal a generation: what follows from all but the newest is in the tables.
    let mut books = Books::with(Tuning { generation: 1 });
    books.receive(2);
    books
}

#[test]
fn a_balance_that_was_changed_is_not_believed() {
    let account = AccountId::person(PERSON);
    for change in
        ["credits_minor = credits_minor + 1", "as_of = as_of - 1", "currency = 'USD'", "crc = crc + 1"]
    {
        let mut books =
            used().reopen(&format!("UPDATE balance SET {change} WHERE account = {}", account.0)).unwrap();
        let row = account.0.to_string();
        damaged(books.decide(&Receive(account)), "balance", &[&row, "checksum"]);
        damaged(books.reader().get::<Balance>(&account), "balance", &[&row, "checksum"]);
    }
}

#[test]
fn a_journal_that_was_changed_is_not_believed() {
    let books = used();
    let flipped = match books.place {
        Place::Directory(_) => "CAST(substr(body, 1, 30) || x'01' || substr(body, 32) AS BLOB)",
        Place::Server { .. } => "overlay(body PLACING decode('01', 'hex') FROM 31)",
    };
    let books = books.reopen(&format!("UPDATE journal SET body = {flipped} WHERE seq = 3")).unwrap();
    let reader = books.reader();
    damaged(reader.journal(Seq(3)), "journal", &["row 3", "checksum"]);
    damaged(books.read(|r| r.history(AccountId::person(PERSON), None, 10)), "journal", &["row 3"]);
    damaged(reader.journals_after(Seq(0), 10), "journal", &["row 3"]);
    assert_eq!(reader.journal(Seq(2)).unwrap().unwrap().seq, Seq(2), "the others still read");
}

#[test]
fn a_journal_in_anothers_place_is_not_believed() {
    let swap = "UPDATE journal SET (body, crc) = (SELECT body, crc FROM journal WHERE seq = 1) WHERE seq = 2";
    let books = used().reopen(swap).unwrap();
    let reader = books.reader();
    damaged(reader.journal(Seq(2)), "journal", &["row 2", "another"]);
}

#[test]
fn a_value_that_its_type_forbids_names_its_column() {
    let mut books = Books::new();
    let phone = Phone::parse("13800138000").unwrap();
    books.state.rows.phone_owner.insert(PhoneOwner { phone: phone.clone(), person: PersonId(16) });
    books.commit().unwrap();
    books.meddle("INSERT INTO staff VALUES ('mei', 1, 'emperor', zeroblob(32), 0)");
    books.meddle("INSERT INTO staff VALUES ('lan', 1, 'owner', zeroblob(31), 0)");
    books.meddle("INSERT INTO session VALUES (zeroblob(3), 1, 2, 3, NULL, 4, 5)");
    let reader = books.reader();
    let staff = |name: &str| reader.get::<koudai_core::rows::Staff>(&name.to_owned());
    damaged(staff("mei"), "staff", &["role"]);
    damaged(staff("lan"), "staff", &["enrolment_hash"]);
    damaged(reader.all::<koudai_core::rows::Session>(), "session", &["token_hash"]);
}

#[test]
fn half_an_order_is_damage_whichever_half_is_left() {
    let wide = "INSERT INTO trade_order VALUES
        (16, 1, '', '', 'native', '', NULL, '', NULL, NULL, NULL, NULL, 1, 'CNY', 0, 0, zeroblob(16), 0, NULL)";
    let books = Books::new();
    books.meddle(wide);
    damaged(books.reader().get::<Order>(&OrderId(16)), "trade_order", &["row 16", "column state"]);
    damaged(books.reader().all::<Order>(), "trade_order", &["row 16", "column state"]);
    let narrow = "INSERT INTO order_progress VALUES
        (16, 'unpaid', NULL, NULL, NULL, NULL, NULL, 0, 'CNY', 0, 'CNY', 0, 'CNY', 0)";
    books.meddle(narrow);
    assert_eq!(books.reader().all::<Order>().unwrap().len(), 1, "both halves are a row");
    books.meddle("DELETE FROM trade_order");
    damaged(books.reader().all::<Order>(), "trade_order", &["row 16", "column mchid"]);
}

#[test]
fn text_that_is_not_utf_8_is_damage_and_not_text_with_gaps() {
    let books = Books::on_files();
    books.meddle(
        "INSERT INTO app VALUES ('wx1', 1900000001, NULL), (CAST(x'7778ff' AS TEXT), 1900000001, NULL)",
    );
    damaged(books.reader().all::<koudai_core::rows::App>(), "app", &["appid"]);
}

#[test]
fn a_newest_journal_without_a_seal_is_damage() {
    let newest = "DELETE FROM seal WHERE no = 4";
    damaged(used().reopen(newest).map(|b| b.opened), "seal", &["journal 3", "is 4"]);
}

#[test]
fn a_seal_without_its_journal_is_damage() {
    damaged(
        used().reopen("DELETE FROM journal WHERE seq = 4").map(|b| b.opened),
        "seal",
        &["journal 4", "is 3"],
    );
}

#[test]
fn a_seal_that_was_changed_is_damage() {
    for change in ["root = zeroblob(32)", "epoch = epoch + 1", "hash = zeroblob(32)"] {
        let changed = used().reopen(&format!("UPDATE seal SET {change} WHERE no = 4")).map(|b| b.opened);
        damaged(changed, "seal", &["row 4", "hash"]);
    }
}

#[test]
fn a_watermark_beyond_the_newest_journal_is_damage() {
    // Journals up to it would not be replayed at the next start, and old balances would pass for new ones.
    for watermark in [5, 1_000] {
        let opened = used().reopen(&format!("UPDATE derived SET watermark = {watermark}")).map(|b| b.opened);
        damaged(opened, "derived", &[&watermark.to_string(), "is 4"]);
    }
    assert!(used().reopen("UPDATE derived SET watermark = 4").is_ok(), "the newest itself is none too far");
}

#[test]
fn a_database_whose_seals_are_gone_is_not_taken_for_a_new_one() {
    damaged(used().reopen("DELETE FROM seal").map(|b| b.opened), "seal", &["journal 0", "is 4"]);
}
