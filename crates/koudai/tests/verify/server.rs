//! The same in a server's database: every bug that a test plants in a file is planted there as well, and a ledger that
//! real commands made there is checked and tampered with.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use koudai_engine::{Clock, Settings};
use koudai_store::Tuning;
use koudai_store::sqlite::FILE;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;

use crate::house::{BEGIN, House, verify};
use crate::place::Place;

/// A data directory whose ledger is in a server's database.
pub(crate) struct Mirror {
    place: Place,
    directory: TempDir,
}

impl Mirror {
    /// An empty ledger on the server, if there is one to test on.
    pub(crate) fn new() -> Option<Self> {
        let place = Place::on_server()?;
        drop(place.database().open(Tuning::default()).unwrap());
        let directory = directory_at(&place);
        Some(Self { place, directory })
    }

    /// What `koudai verify` says of the same rows as in a directory's file.
    pub(crate) fn verify(&self, directory: &Path) -> (bool, String) {
        let script = self.directory.path().join("rows.sql");
        std::fs::write(&script, script_of(&directory.join(FILE))).unwrap();
        self.place.psql_file(&script);
        verify(self.directory.path())
    }
}

fn directory_at(place: &Place) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("kind"), "serve\n").unwrap();
    let database = directory.path().join("database");
    std::fs::write(&database, place.url()).unwrap();
    std::fs::set_permissions(database, std::fs::Permissions::from_mode(0o600)).unwrap();
    directory
}

/// Puts the rows of a file in place of those on a server.
fn script_of(file: &Path) -> String {
    let file = Connection::open(file).unwrap();
    let mut statement = file.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut script = "BEGIN;\n".to_owned();
    for table in tables {
        writeln!(script, "DELETE FROM {table};").unwrap();
        let mut statement = file.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_names().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<String> = (0..width).map(|i| literal(row.get_ref(i).unwrap())).collect();
            writeln!(script, "INSERT INTO {table} ({columns}) VALUES ({});", cells.join(", ")).unwrap();
        }
    }
    script + "COMMIT;\n"
}

fn literal(cell: ValueRef<'_>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    match cell {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Text(text) => format!("convert_from('\\x{}', 'UTF8')", hex(text)),
        ValueRef::Blob(bytes) => format!("'\\x{}'", hex(bytes)),
        ValueRef::Real(n) => panic!("no cell is a float: {n}"),
    }
}

#[test]
fn a_ledger_in_a_servers_database_is_checked_there_and_what_was_tampered_with_is_named() {
    let Some(place) = Place::on_server() else { return };
    let directory = directory_at(&place);
    let settings = Settings { tuning: Tuning { generation: 1 }, ..Settings::of(place.database()) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Its engine stays open: the check runs beside it.
    let (house, hand) = runtime.block_on(House::lived_in(directory, &settings, Clock::by_hand(BEGIN)));
    let holds = || {
        let (passed, said) = verify(house.directory());
        assert!(passed, "{said}");
        serde_json::from_str::<serde_json::Value>(&said).unwrap()
    };
    assert_eq!((&holds()["journals"], &holds()["orders"]), (&81.into(), &20.into()));
    let finds = |what: &str, change: &str, back: &str| {
        place.psql(change);
        let (passed, said) = verify(house.directory());
        assert!(!passed && said.contains(what), "{what}: {said}");
        place.psql(back);
        holds();
    };
    let save = |table: &str, which: &str| {
        place.psql(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table} WHERE {which}"));
        format!(
            "DELETE FROM {table} WHERE {which}; INSERT INTO {table} SELECT * FROM saved_{table};
             DROP TABLE saved_{table}"
        )
    };
    let other = format!("account = {}", koudai_core::ledger::AccountId::person(house.other).0);
    let back = save("balance", &other);
    finds("its checksum does not fit", &format!("UPDATE balance SET credits_minor = 7 WHERE {other}"), &back);
    let back = save("balance", &other);
    finds(
        "every account up to the watermark has its balance",
        &format!("DELETE FROM balance WHERE {other}"),
        &back,
    );
    let back = save("history", &other);
    finds("the history index is that of the journals", &format!("DELETE FROM history WHERE {other}"), &back);
    let back = save("journal", "seq = 3");
    let change = "UPDATE journal SET body = set_byte(body, 9, get_byte(body, 9) # 4) WHERE seq = 3";
    finds("row 3: its checksum does not fit", change, &back);
    let back = save("journal", "seq = 3");
    finds("journals are numbered without gaps", "DELETE FROM journal WHERE seq = 3", &back);
    let back = save("seal", "no = 3");
    finds("a seal's hash is its own", "UPDATE seal SET hash = zeroblob(32) WHERE no = 3", &back);
    let back = save("seal", "no = 3");
    finds("seals are numbered without gaps", "DELETE FROM seal WHERE no = 3", &back);
    let paid = format!("id = {}", house.by_balance.0);
    let back = save("order_progress", &paid);
    finds(
        "an order knows the journal of its payment",
        &format!("UPDATE order_progress SET paid_seq = paid_seq + 1 WHERE {paid}"),
        &back,
    );
    drop(hand);
}
