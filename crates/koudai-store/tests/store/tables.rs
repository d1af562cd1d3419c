//! Conformance: every declared row, whichever they are, against the table that holds it.

use koudai_core::cache::{Cache, TableVisitor};
use koudai_core::card::CardKind;
use koudai_core::code_payment::CodeFailure;
use koudai_core::column::{Cells, Row, Value};
use koudai_core::id::OrderId;
use koudai_core::rows::{
    AccountChange, AgreementState, App, AppMoveKind, AttemptKind, AttemptState, BindingState, CodePurpose,
    Declined, DeliveryOutcome, DifferenceClass, DifferenceState, Language, NetworkRefusal, Order, OrderState,
    PasskeyAlgorithm, Product, ReconciliationState, RecoveryOf, RefundState, RefundWay, Rows, Speed,
    StaffRole, TransferFailure, TransferState, Way, WithdrawalState,
};
use koudai_store::{Reader, StoreError, Tuning};

use crate::books::Books;
use crate::place::Place;

/// Runs a visitor over every table.
fn every_table(visitor: &mut impl TableVisitor<Error = std::convert::Infallible>) {
    let Ok(()) = Rows::default().visit(visitor);
}

struct Columns<'a>(&'a Reader, i64);

impl TableVisitor for Columns<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, _: &mut Cache<R>) -> Result<(), Self::Error> {
        for mut shape in R::shapes() {
            if R::DERIVED {
                shape.columns.push("crc".to_owned());
            }
            let columns = self.0.columns_of(shape.table).expect("it is read");
            assert_eq!(columns, shape.columns, "table {}", shape.table);
            self.1 += 1;
        }
        Ok(())
    }
}

#[test]
fn every_table_has_the_columns_of_its_declaration_and_there_is_no_other_table() {
    let books = Books::new();
    let reader = books.reader();
    let mut columns = Columns(&reader, 0);
    every_table(&mut columns);
    let others = "('lease', 'journal', 'seal', 'history', 'derived', 'version')";
    let tables = books.ask(
        &format!("SELECT name AS found FROM sqlite_schema WHERE type = 'table' AND name NOT IN {others}"),
        &format!("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN {others}"),
    );
    assert_eq!(usize::try_from(columns.1), Ok(tables.len()));
    // PostgreSQL's tables always are.
    let loose = books.ask(
        "SELECT name AS found FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'",
        "SELECT WHERE false",
    );
    assert_eq!(loose, [""; 0], "every table is STRICT");
}

#[test]
fn a_ledger_of_the_first_shape_is_brought_to_the_newest_and_keeps_its_orders() {
    let place = Place::on_files();
    let order = "INSERT INTO trade_order VALUES
        (16, 1900000001, 'wx1', 'order-1', 'native', '', NULL, '', NULL, NULL, NULL, NULL, 1, 'CNY', 0, 0, zeroblob(16), 0);
        INSERT INTO order_progress VALUES
        (16, 'unpaid', NULL, NULL, NULL, NULL, NULL, 0, 'CNY', 0, 'CNY', 0, 'CNY', 0);
        INSERT INTO app VALUES ('wx1', 1900000001);
        PRAGMA user_version = 2;";
    place.run_on_files(include_str!("../../migrations/sqlite/0001_begin.sql"));
    place.run_on_files(order);
    for _ in 0..2 {
        let opened = place.database().open(Tuning::default()).unwrap();
        let (order, app) = opened
            .readers
            .with(|r| Ok((r.get::<Order>(&OrderId(16))?.unwrap(), r.get::<App>(&"wx1".to_owned())?.unwrap())))
            .unwrap();
        assert_eq!((&*order.out_trade_no, order.meant_for, app.secret_mac), ("order-1", None, None));
    }
}

struct PrimaryKeys<'a>(&'a Books);

impl TableVisitor for PrimaryKeys<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, _: &mut Cache<R>) -> Result<(), Self::Error> {
        for shape in R::shapes() {
            let table = shape.table;
            let key = self.0.ask(
                &format!("SELECT name AS found FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk"),
                &format!(
                    "SELECT attname FROM pg_index, unnest(indkey) WITH ORDINALITY AS key (number, place), pg_attribute
                     WHERE indrelid = '{table}'::regclass AND indisprimary AND attrelid = indrelid
                     AND attnum = number ORDER BY place"
                ),
            );
            assert_eq!(key, shape.columns[..shape.key_columns], "table {table}");
        }
        Ok(())
    }
}

#[test]
fn every_table_is_keyed_by_what_its_rows_are_found_by() {
    every_table(&mut PrimaryKeys(&Books::new()));
}

/// A row of any type, found by trying values until the type takes them. `gaps` leaves out whatever may be left out.
fn sample<R: Row>(gaps: bool) -> R {
    let shapes = R::shapes();
    let mut columns = shapes[0].columns.clone();
    for moving in &shapes[1..] {
        columns.extend_from_slice(&moving.columns[moving.key_columns..]);
    }
    let fields = [R::FIELDS, R::MOVING.map_or(&[], |(_, fields)| fields)].concat();
    let mut cells: Vec<Value> = vec![];
    for (n, (field, parts)) in fields.iter().enumerate() {
        let mut lists = vec![vec![]];
        for column in &columns[cells.len()..cells.len() + parts.len()] {
            let longer = |list: Vec<Value>| {
                candidates(column, gaps).into_iter().map(move |value| [list.clone(), vec![value]].concat())
            };
            lists = lists.into_iter().flat_map(longer).collect();
        }
        let fits = |part: &Vec<Value>| {
            let mut tried = [cells.clone(), part.clone()].concat();
            let stopped_at = R::read(&mut Cells::new(&mut tried)).err();
            // Whatever it stops at comes later, or there is no more to come.
            stopped_at.is_none_or(|name| fields[n + 1..].iter().any(|(later, _)| *later == name))
        };
        let part = lists.into_iter().find(fits);
        cells.extend(part.unwrap_or_else(|| panic!("{}: no value for {field}", R::TABLE)));
    }
    R::read(&mut Cells::new(&mut cells)).expect("every field takes its value")
}

fn candidates(column: &str, gaps: bool) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned().into());
    let mut all = vec![Value::Int(if gaps { 1 } else { i64::MAX }), Value::Int(1)];
    match column {
        "bin" => all.push(text("621626")),
        "last4" => all.push(text("0018")),
        _ => all.push(text(if gaps { "" } else { "口袋 🧧 'O\u{2019}Neill' \"x\"\n\0%" })),
    }
    all.extend([text("CNY"), text("13800138000"), text("anna@mail.example")]);
    macro_rules! words {
        ($($type:ident)*) => {
            all.extend([$(if gaps { $type::ALL[0].word() } else { $type::ALL[$type::ALL.len() - 1].word() }),*].map(text))
        };
    }
    words!(AttemptKind AttemptState BindingState CardKind CodeFailure CodePurpose DeliveryOutcome NetworkRefusal OrderState AgreementState Declined AppMoveKind);
    words!(Product RefundState RefundWay Speed StaffRole TransferFailure TransferState WithdrawalState);
    words!(AccountChange RecoveryOf DifferenceClass DifferenceState Language PasskeyAlgorithm ReconciliationState Way);
    all.extend([Value::Bytes(vec![]), Value::Bytes(vec![0xFF; 16]), Value::Bytes(vec![0; 32])]);
    all.insert(if gaps { 0 } else { all.len() }, Value::Null);
    // Numbers that the schema binds to others, and the one row that is always number 1.
    if matches!(column, "id" | "refunded_minor" | "fee_returned_minor") {
        all.remove(usize::from(gaps));
    }
    all
}

pub(crate) struct Put {
    pub(crate) gaps: bool,
}

impl TableVisitor for Put {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        if R::DERIVED {
            // Written behind from journals, never from rows (`written_behind.rs`).
            return Ok(());
        }
        let row = sample::<R>(self.gaps);
        cache.loaded(row.key(), None);
        cache.put(row);
        Ok(())
    }
}

struct Delete {
    gaps: bool,
}

impl TableVisitor for Delete {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        if R::DERIVED {
            return Ok(());
        }
        cache.delete(&sample::<R>(self.gaps).key());
        Ok(())
    }
}

struct Want {
    gaps: bool,
}

impl TableVisitor for Want {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        let _absent = cache.get(&sample::<R>(self.gaps).key()).expect_err("nothing is loaded yet");
        Ok(())
    }
}

/// Expects the sample in memory and on the disk, or its absence from both.
struct Expect<'a> {
    reader: &'a Reader,
    gaps: bool,
    there: bool,
}

impl TableVisitor for Expect<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        let row = sample::<R>(self.gaps);
        let expected = (self.there && !R::DERIVED).then_some(row.clone());
        assert_eq!(cache.get(&row.key()), Ok(expected.as_ref()), "{} as the writer loads it", R::TABLE);
        assert_eq!(self.reader.get(&row.key()).expect("it is read"), expected, "{}", R::TABLE);
        let all = self.reader.all::<R>().expect("it is read");
        assert_eq!(all, expected.into_iter().collect::<Vec<_>>(), "the one row of {}", R::TABLE);
        assert_eq!(shown::<R>(self.reader), all, "{} as it is shown", R::TABLE);
        Ok(())
    }
}

/// The rows of a table as long reads show them: all at once, by ranges of keys, and by their keys.
fn shown<R: Row>(reader: &Reader) -> Vec<R> {
    let mut shown = vec![];
    let mut show = |row: R| {
        shown.push(row);
        Ok::<_, StoreError>(())
    };
    reader.each(&mut show).expect("it is read");
    let mut parts = vec![];
    let show = |row: R| {
        parts.push(row);
        Ok::<_, StoreError>(())
    };
    reader.each_in_parts(show).expect("it is read");
    assert_eq!(parts, shown, "{} in parts", R::TABLE);
    let keys: Vec<Vec<Value>> = shown.iter().map(|row| row.cells()[..R::key_columns()].to_vec()).collect();
    if let Some([Value::Int(key)]) = keys.first().map(Vec::as_slice) {
        let mut by_key = vec![];
        let mut after = None;
        loop {
            let range = reader.each_after(after, 1, |row: R| {
                by_key.push(row);
                Ok::<_, StoreError>(())
            });
            after = range.expect("it is read").to;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(by_key, shown, "{} by ranges of keys", R::TABLE);
        assert_eq!(reader.newest_key::<R>().expect("it is read"), Some(*key));
        let those = reader.those::<R>(&[*key, -7]).expect("it is read");
        assert_eq!(those, shown, "{} by key", R::TABLE);
    }
    shown
}

/// Writes a row into every table, reads all of them back, and deletes them again.
fn round_trip(gaps: bool) {
    let mut books = Books::new();
    let reader = books.reader();
    for there in [true, false] {
        let Ok(()) = books.state.rows.visit(&mut Put { gaps });
        if !there {
            let Ok(()) = books.state.rows.visit(&mut Delete { gaps });
        }
        books.commit().expect("it commits");
        books.state.rows = Rows::default();
        let Ok(()) = books.state.rows.visit(&mut Want { gaps });
        books.load().expect("it loads");
        let Ok(()) = books.state.rows.visit(&mut Expect { reader: &reader, gaps, there });
        books.state.rows = Rows::default();
    }
    reader.check_file().expect("the file is sound");
}

#[test]
fn a_full_row_of_every_table_comes_back_as_it_was_and_goes_when_deleted() {
    round_trip(false);
}

#[test]
fn a_row_of_every_table_with_all_gaps_comes_back_as_it_was_and_goes_when_deleted() {
    round_trip(true);
}

struct PutKeyOfGaps;

impl TableVisitor for PutKeyOfGaps {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        if R::DERIVED {
            return Ok(());
        }
        // The same key with other values: the second commit writes over the row of the first.
        let full = sample::<R>(false).cells();
        let mut gaps = sample::<R>(true).cells();
        gaps[..R::key_columns()].clone_from_slice(&full[..R::key_columns()]);
        let row = R::read(&mut Cells::new(&mut gaps)).expect("every field takes its value");
        cache.put(row);
        Ok(())
    }
}

struct ExpectChanged<'a>(&'a Reader);

impl TableVisitor for ExpectChanged<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        if R::DERIVED {
            return Ok(());
        }
        let key = sample::<R>(false).key();
        let changed = cache.get(&key).expect("it is in memory").cloned();
        assert_eq!(self.0.all::<R>().expect("it is read"), Vec::from_iter(changed), "{}", R::TABLE);
        Ok(())
    }
}

#[test]
fn a_changed_row_of_every_table_replaces_the_old_one() {
    let mut books = Books::new();
    let Ok(()) = books.state.rows.visit(&mut Put { gaps: false });
    books.commit().expect("it commits");
    let Ok(()) = books.state.rows.visit(&mut PutKeyOfGaps);
    books.commit().expect("it commits");
    let reader = books.reader();
    let Ok(()) = books.state.rows.visit(&mut ExpectChanged(&reader));
}
