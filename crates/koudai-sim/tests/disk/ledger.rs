//! The one fixture: a small database, and a script of transactions that notes what became of each.

use koudai_sim::vfs::World;
use rusqlite::Connection;

/// Lines each transaction writes.
const LINES: i64 = 3;
/// How many transactions the script has.
const TRANSACTIONS: i64 = 14;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    Committed,
    NotCommitted,
    Unknown,
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Of each transaction by its number, from 1.
    pub(crate) outcomes: Vec<Outcome>,
}

fn connect(world: &World, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = world.connect("ledger.db")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS line (tx INTEGER, no INTEGER, text TEXT, PRIMARY KEY (tx, no)) STRICT;
         CREATE TABLE IF NOT EXISTS total (id INTEGER PRIMARY KEY, lines INTEGER NOT NULL) STRICT;
         INSERT OR IGNORE INTO total VALUES (1, 0);
         COMMIT",
    )?;
    Ok(connection)
}

impl Script {
    /// Runs the transactions that are missing, until one ends in a way that is not known or the database cannot be opened.
    pub(crate) fn run(&mut self, world: &World, synchronous: &str) {
        let Ok(mut connection) = connect(world, synchronous) else { return };
        for tx in (1..=TRANSACTIONS).skip(self.outcomes.len()) {
            let outcome = transact(&mut connection, tx);
            self.outcomes.push(outcome);
            if outcome == Outcome::Unknown {
                return;
            }
            // A checkpoint that fails loses nothing.
            let checkpoint = match tx % 6 {
                2 | 4 => "PRAGMA wal_checkpoint(PASSIVE)",
                0 => "PRAGMA wal_checkpoint(TRUNCATE)",
                _ => continue,
            };
            let _folded = connection.query_row(checkpoint, [], |_| Ok(()));
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        (1..=TRANSACTIONS).map(|_| Outcome::Committed).eq(self.outcomes.iter().copied())
    }

    /// Compares the database with what was noted, and notes what was not known. What is wrong, if anything is.
    pub(crate) fn check(&mut self, world: &World) -> Result<(), String> {
        let connection = world.connect("ledger.db").map_err(|e| format!("it does not open: {e}"))?;
        let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        match sound {
            Ok(sound) if sound == "ok" => {}
            other => return Err(format!("it is damaged: {other:?}")),
        }
        let found = read(&connection).map_err(|e| format!("it does not read: {e}"))?;
        let Some((lines, total)) = found else {
            return if self.outcomes.is_empty() { Ok(()) } else { Err("its tables are gone".to_owned()) };
        };
        for (tx, outcome) in (1..).zip(&mut self.outcomes) {
            let there = lines.iter().filter(|line| **line == tx).count();
            match (there, &outcome) {
                (3, Outcome::Committed) | (0, Outcome::NotCommitted) => {}
                (3, Outcome::Unknown) => *outcome = Outcome::Committed,
                (0, Outcome::Unknown) => *outcome = Outcome::NotCommitted,
                _ => return Err(format!("transaction {tx} is {outcome:?} and {there} lines are there")),
            }
        }
        if i64::try_from(lines.len()) != Ok(total) {
            return Err(format!("{} lines are there and the total is {total}", lines.len()));
        }
        Ok(())
    }
}

fn transact(connection: &mut Connection, number: i64) -> Outcome {
    let write = |connection: &Connection| {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for no in 1..=LINES {
            // Some are longer than a page, so that a commit is many frames.
            let length = if number % 5 == 0 { 9_000 } else { 100 };
            let sql = "INSERT INTO line VALUES (?1, ?2, hex(zeroblob(?3)))";
            connection.execute(sql, [number, no, length])?;
        }
        connection.execute("UPDATE total SET lines = lines + ?1", [LINES])
    };
    if write(connection).is_err() {
        let _ended = connection.execute_batch("ROLLBACK");
        return Outcome::NotCommitted;
    }
    match connection.execute_batch("COMMIT") {
        Ok(()) => Outcome::Committed,
        Err(_) => Outcome::Unknown,
    }
}

/// The transaction of each line, and what the total says; nothing of a database without tables.
fn read(connection: &Connection) -> rusqlite::Result<Option<(Vec<i64>, i64)>> {
    if !connection.table_exists(None, "total")? {
        return Ok(None);
    }
    let mut statement = connection.prepare("SELECT tx FROM line")?;
    let lines = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Some((lines, connection.query_row("SELECT lines FROM total", [], |row| row.get(0))?)))
}

/// How many calls the script makes when nothing fails.
pub(crate) fn calls(of: Option<koudai_sim::vfs::Call>) -> u64 {
    let world = World::new();
    let mut script = Script::default();
    script.run(&world, "FULL");
    assert!(script.is_whole(), "{script:?}");
    assert_eq!(script.check(&world), Ok(()));
    world.calls(of)
}
