//! A copy has every row of one moment, whichever database it is of and whichever it goes to, and what is none says so.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use koudai_core::cache::{Cache, TableVisitor};
use koudai_core::column::Row;
use koudai_core::id::{MchId, OrderId, Seq};
use koudai_core::identity::Contact;
use koudai_core::ledger::AccountId;
use koudai_core::rows::{
    CodeKey, CodePurpose, MerchantCount, OneTimeCode, OrderNumber, OutTradeNo, Rows, Session,
};
use koudai_core::time::Timestamp;
use koudai_store::sqlite::FILE;
use koudai_store::{Database, Opened, Reader, StoreError, Tuning};

use crate::books::{Books, MERCHANT, Number, PERSON, Receive, START};
use crate::place::Place;
use crate::tables::Put;

/// More than three chunks of rows.
const MANY: usize = 3_300;
/// Later than anything in the books.
const LATER: Timestamp = Timestamp(START.0 + 1_000_000);

/// Books with a row in every table, and with many where they are found by a number, by bytes, and by two texts.
fn full() -> Books {
    let mut books = Books::with(Tuning { generation: 500 });
    for _ in 0..5 {
        for _ in 0..MANY / 10 {
            for account in [AccountId::person(PERSON), AccountId::merchant(MERCHANT)] {
                books.decide(&Receive(account)).expect("rows load");
            }
        }
        books.commit().expect("it commits");
    }
    let Ok(()) = books.state.rows.visit(&mut Put { gaps: false });
    books.state.rows.merchant_count.put(MerchantCount { id: 1, next: MchId(MERCHANT.0 + 4) });
    for n in 0..MANY {
        many(&mut books.state.rows, n);
    }
    books.commit().expect("it commits");
    books
}

fn many(rows: &mut Rows, n: usize) {
    let number = i64::try_from(n).expect("small");
    let mut token_hash = [0; 32];
    token_hash[..8].copy_from_slice(&number.wrapping_mul(0x1234_5678_9ABC_DEF1).to_be_bytes());
    rows.session.loaded(token_hash, None);
    rows.session.put(Session {
        token_hash,
        person: PERSON,
        device: None,
        proven_at: START,
        may_renew_until: START,
        created_at: START,
        expires_at: LATER,
    });
    // Texts in the order of their bytes, with what PostgreSQL cannot keep as it is.
    let odd = ["a", "B", "\0", "\u{10FFFF}", "é", "口"][n % 6];
    let key = OutTradeNo { mchid: MchId(MERCHANT.0 + number % 3), out_trade_no: format!("{odd}{n}") };
    rows.order_number.loaded(key.clone(), None);
    rows.order_number.put(OrderNumber { key, order: OrderId(number + 1) });
    let contact = Contact::parse(&format!("139{n:08}")).expect("a phone");
    for &purpose in CodePurpose::ALL {
        let key = CodeKey { contact: contact.clone(), purpose };
        rows.one_time_code.loaded(key.clone(), None);
        rows.one_time_code.put(OneTimeCode {
            key,
            nonce: [1; 16],
            request: [2; 32],
            asked_at: START,
            tries_left: 5,
            hour_from: START,
            in_hour: 1,
            day: 1,
            in_day: 1,
        });
    }
}

struct Same<'a>(&'a Reader, &'a Reader);

impl TableVisitor for Same<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, _: &mut Cache<R>) -> Result<(), Self::Error> {
        let rows = |reader: &Reader| -> BTreeMap<R::Key, R> {
            reader.all::<R>().expect("it is read").into_iter().map(|row| (row.key(), row)).collect()
        };
        let (here, there) = (rows(self.0), rows(self.1));
        assert!(!here.is_empty(), "{} has a row to copy", R::TABLE);
        // A restored ledger leaves out some of the merchants' numbers.
        if R::TABLE != MerchantCount::TABLE {
            assert!(here == there, "{}: {} rows and {}", R::TABLE, here.len(), there.len());
        }
        Ok(())
    }
}

/// Expects every row of one database in another.
fn assert_same(one: &Database, other: &Database) {
    let (one, other) = (one.reader().expect("it opens"), other.reader().expect("it opens"));
    let Ok(()) = Rows::default().visit(&mut Same(&one, &other));
    let journals = |r: &Reader| r.journals_after(Seq(0), i64::MAX).expect("they are read");
    assert!(journals(&one).len() > MANY / 2 && journals(&one) == journals(&other), "journals");
    let seals = |r: &Reader| r.seals_after(-1, i64::MAX).expect("they are read");
    assert_eq!(seals(&one), seals(&other));
    let index = |r: &Reader| {
        let mut all = std::collections::BTreeSet::new();
        let add = |account, seq| {
            all.insert((account, seq));
            Ok::<_, StoreError>(())
        };
        r.each_indexed(add).expect("it is read");
        all
    };
    assert!(!index(&one).is_empty() && index(&one) == index(&other), "the index of histories");
    assert!(one.watermark().expect("it is read").0 > 0);
    assert_eq!(one.watermark().expect("it is read"), other.watermark().expect("it is read"));
}

fn copy_of(books: &Books) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    books.place.database().copy_to(directory.path()).expect("it is copied");
    directory
}

fn at(directory: &Path) -> Database {
    Database::Directory(directory.to_owned())
}

#[test]
fn a_copy_has_every_row_and_takes_it_to_any_database() {
    let books = full();
    let copy = copy_of(&books);
    let original = books.place.database();
    assert_same(&original, &at(copy.path()));
    assert_eq!(original.head().unwrap(), at(copy.path()).head().unwrap());
    for place in [Some(Place::on_files()), Place::on_server()].into_iter().flatten() {
        let restored = place.database();
        restored.require_empty().unwrap();
        restored.fill_from(copy.path(), LATER).unwrap();
        assert_same(&original, &restored);
        assert!(matches!(restored.require_empty(), Err(StoreError::NotEmpty { .. })));
        // And what came from a server's database goes back as it was.
        let again = tempfile::tempdir().unwrap();
        restored.copy_to(again.path()).unwrap();
        assert_same(&original, &at(again.path()));
    }
}

#[test]
fn a_copy_is_one_file_of_its_owners_that_needs_nothing_beside_it() {
    let copy = copy_of(&full());
    let names: Vec<_> = std::fs::read_dir(copy.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [FILE]);
    let file = copy.path().join(FILE);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // Not 2, which would have a reader make a log beside it (SQLite's file format, 1.3.3).
    assert_eq!(std::fs::read(&file).unwrap()[18..20], [1, 1]);
    at(copy.path()).reader().unwrap().check_file().unwrap();
    assert_eq!(std::fs::read_dir(copy.path()).unwrap().count(), 1, "reading leaves nothing behind");
}

fn next_id(opened: Opened) -> i64 {
    let (head, from) = (opened.head(), START.max(opened.last_at.plus(1)));
    drop(opened);
    koudai_core::state::State::new(head, from).ids_at().0
}

#[test]
fn a_restored_ledger_goes_on_with_a_new_epoch_and_later_ids_than_the_lost_one() {
    let mut books = full();
    let copy = copy_of(&books);
    // These are lost.
    let lost = books.decide(&Number).unwrap();
    books.receive(1);
    let before = books.opened.epoch;
    for place in [Some(Place::on_files()), Place::on_server()].into_iter().flatten() {
        place.database().fill_from(copy.path(), LATER).unwrap();
        let opened = place.database().open(Tuning::default()).unwrap();
        assert_eq!(opened.epoch, before + 1);
        assert_eq!(opened.seal, at(copy.path()).head().unwrap().seal);
        let count = place.database().reader().unwrap().get::<MerchantCount>(&1).unwrap().unwrap();
        let counted = at(copy.path()).reader().unwrap().get::<MerchantCount>(&1).unwrap().unwrap();
        assert_eq!(count.next.0, counted.next.0 + 1_000);
        let next = next_id(opened);
        assert!(next > LATER.0 && LATER.0 > lost >> 21, "{next}");
    }
}

#[test]
fn what_holds_no_ledger_is_not_copied_and_leaves_no_ledger() {
    let empty = tempfile::tempdir().unwrap();
    for place in [Some(Place::on_files()), Place::on_server()].into_iter().flatten() {
        let said = place.database().copy_to(empty.path());
        assert!(matches!(said, Err(StoreError::NoLedger { .. })), "{said:?}");
        let said = place.database().fill_from(empty.path(), LATER);
        assert!(matches!(said, Err(StoreError::NoLedger { .. })), "{said:?}");
        place.database().require_empty().unwrap();
    }
}

#[test]
fn a_ledger_of_another_version_is_named() {
    let books = full();
    let copy = copy_of(&books);
    let into = tempfile::tempdir().unwrap();
    for (version, server) in [(99, "INSERT INTO version VALUES (99)"), (1, "DELETE FROM version")] {
        let connection = rusqlite::Connection::open(copy.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        if matches!(books.place, Place::Server { .. }) {
            books.meddle(server);
        } else {
            books.meddle(&format!("PRAGMA user_version = {version}"));
        }
        for said in [
            books.place.database().copy_to(into.path()).unwrap_err(),
            at(into.path()).fill_from(copy.path(), LATER).unwrap_err(),
            at(copy.path()).head().unwrap_err(),
        ] {
            let named = match version {
                99 => matches!(said, StoreError::TooNew { .. }),
                _ => matches!(said, StoreError::Draft | StoreError::NoLedger { .. }),
            };
            assert!(named, "{said:?}");
        }
    }
    at(into.path()).require_empty().unwrap();
}

#[test]
fn a_server_that_refuses_the_last_row_keeps_none_of_the_others() {
    let Some(place) = Place::on_server() else { return };
    let copy = copy_of(&full());
    let connection = rusqlite::Connection::open(copy.path().join(FILE)).unwrap();
    // What is no text of anybody's is read as bytes.
    connection.execute("UPDATE staff SET role = CAST(x'FF' AS TEXT)", []).unwrap();
    drop(connection);
    assert!(place.database().fill_from(copy.path(), LATER).is_err());
    place.database().require_empty().unwrap();
    assert!(matches!(place.database().head(), Err(StoreError::NoLedger { .. })));
}

#[test]
fn a_file_where_a_ledger_is_to_be_is_left_alone() {
    let copy = copy_of(&full());
    let into = tempfile::tempdir().unwrap();
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        std::fs::write(into.path().join(&name), "mine").unwrap();
        let said = at(into.path()).require_empty();
        assert!(matches!(&said, Err(StoreError::NotEmpty { what }) if *what == name), "{said:?}");
        std::fs::remove_file(into.path().join(&name)).unwrap();
    }
    std::fs::write(into.path().join(FILE), "mine").unwrap();
    assert!(at(into.path()).fill_from(copy.path(), LATER).is_err());
    assert_eq!(std::fs::read(into.path().join(FILE)).unwrap(), b"mine");
}
