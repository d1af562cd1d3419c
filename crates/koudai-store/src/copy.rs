//! A ledger as a copy: what stands in one database at one moment, brought whole into another that held nothing. A copy is
//! always a SQLite file, whichever database it was taken of and whichever it goes to.
//!
//! From file to file pages are copied, which is as fast as the disk. Between a file and a server rows are: table by table in
//! the order of the keys, some at a time, out of one snapshot and into one transaction. Nothing of a copy that was cut short
//! can be taken for a whole one: the file is not under its name yet, the transaction is not committed.

use std::path::Path;

use koudai_core::column::{Shape, Value};
use koudai_core::id::MchId;
use koudai_core::ledger::Seal;
use koudai_core::rows::Rows;
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;

use crate::error::StoreError;
use crate::reader::Connection;
use crate::{Database, PARTITION, opening, postgres, sql, sqlite};

/// Rows read at once: the widest, an order, takes some kilobytes.
const CHUNK: usize = 1_024;

/// How many merchants' numbers a restored ledger leaves out: more than anybody makes between two backups.
const MERCHANTS_LEFT_OUT: i64 = 1_000;

/// How far a ledger has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its newest seal, which covers every journal.
    pub seal: Seal,
    /// The moment of the newest id it gave out.
    pub ids_at: Timestamp,
}

/// A table whose rows are copied.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<String>,
    /// The columns that rows are ordered by, all of them among the first.
    key_columns: usize,
    /// What every row fulfils, so that the key's index is used in every database.
    filter: &'static str,
}

impl Table {
    fn of(shape: &Shape) -> Self {
        Self {
            name: shape.table,
            columns: sql::written_columns(shape),
            key_columns: shape.key_columns,
            filter: "",
        }
    }

    fn named(name: &'static str, columns: &[&str], key_columns: usize, filter: &'static str) -> Self {
        let columns = columns.iter().map(|&c| c.to_owned()).collect();
        Self { name, columns, key_columns, filter }
    }

    /// Every table of a ledger.
    fn all() -> Vec<Self> {
        let mut tables = vec![
            Self::named("lease", &["partition", "epoch", "heartbeat_ms"], 1, ""),
            Self::named("journal", &["seq", "partition", "body", "crc"], 1, "partition = 1"),
            Self::named(
                "seal",
                &["no", "partition", "previous", "epoch", "first_seq", "last_seq", "root", "hash"],
                1,
                "partition = 1",
            ),
            Self::named("history", &["account", "seq"], 2, ""),
            Self::named("derived", &["partition", "watermark"], 1, ""),
        ];
        tables.extend(Rows::shapes().iter().map(Self::of));
        tables
    }

    /// `INSERT` of one row.
    pub(crate) fn insert(&self) -> String {
        let marks = (1..=self.columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        format!("INSERT INTO {} ({}) VALUES ({marks})", self.name, sql::quoted(&self.columns))
    }

    /// `SELECT` of the first rows, or of the first after a key.
    fn select(&self, after: bool) -> String {
        let key = sql::quoted(&self.columns[..self.key_columns]);
        let marks = (1..=self.key_columns).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let after = if after { format!("({key}) > ({marks})") } else { String::new() };
        let conditions: Vec<&str> =
            [self.filter, &after].into_iter().filter(|condition| !condition.is_empty()).collect();
        let condition = if conditions.is_empty() { "" } else { "WHERE " };
        format!(
            "SELECT {} FROM {} {condition}{} ORDER BY {key} LIMIT {CHUNK}",
            sql::quoted(&self.columns),
            self.name,
            conditions.join(" AND ")
        )
    }
}

/// Takes in the rows of a copy.
pub(crate) trait Sink {
    /// Some rows of a table, one after the other, behind those that came before in the order of its key.
    fn take(&mut self, table: &Table, cells: &[Value]) -> Result<(), StoreError>;
}

/// Brings every row of one snapshot to a sink.
pub(crate) fn stream(source: &dyn Connection, sink: &mut dyn Sink) -> Result<(), StoreError> {
    source.begin()?;
    let streamed = Table::all().iter().try_for_each(|table| stream_table(source, sink, table));
    source.end();
    streamed
}

fn stream_table(source: &dyn Connection, sink: &mut dyn Sink, table: &Table) -> Result<(), StoreError> {
    let (first, next) = (table.select(false), table.select(true));
    let mut after: Option<Vec<Value>> = None;
    loop {
        let rows = match &after {
            None => source.select(&first, &[])?,
            Some(key) => source.select(&next, key)?,
        };
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last[..table.key_columns].to_vec());
        let whole = rows.len() == CHUNK;
        let cells: Vec<Value> = rows.into_iter().flatten().collect();
        sink.take(table, &cells)?;
        if !whole {
            return Ok(());
        }
    }
}

/// What a restored ledger must not give out again, and its ledger does not know of: what was given out after the copy was
/// taken. Statements that see to it, whichever database they run in.
///
/// Ids begin after a moment that lies behind all of them. Merchants' numbers are counted and not timed: some are left out.
pub(crate) fn renewal(ids_after: Timestamp) -> [String; 2] {
    let (moment, first) = (ids_after.0, MchId::FIRST.0 + MERCHANTS_LEFT_OUT);
    [
        format!(
            "UPDATE lease SET heartbeat_ms = {moment} WHERE partition = {PARTITION} AND heartbeat_ms < {moment}"
        ),
        format!(
            "INSERT INTO merchant_count (id, next) VALUES (1, {first})
             ON CONFLICT (id) DO UPDATE SET next = merchant_count.next + {MERCHANTS_LEFT_OUT}"
        ),
    ]
}

/// Where a ledger is kept that can be copied.
enum Kept<'a> {
    Directory(&'a Path),
    Server(&'a Secret<String>),
}

impl Database {
    fn kept(&self) -> Result<Kept<'_>, StoreError> {
        match self {
            Self::Directory(directory) => Ok(Kept::Directory(directory)),
            Self::Server(url) => Ok(Kept::Server(url)),
            // It has no other file system beside it to copy to.
            Self::Simulated(_) => Err(StoreError::NoLedger { place: "a simulation's disk".to_owned() }),
        }
    }

    /// The rows of a ledger of the newest shape.
    fn source(&self) -> Result<Box<dyn Connection>, StoreError> {
        match self.kept()? {
            Kept::Directory(directory) => sqlite::copy::source(directory),
            Kept::Server(url) => postgres::copy::source(url),
        }
    }

    /// Copies one moment of the ledger into a new file in an empty directory, beside whoever owns it. The file is on the disk
    /// when this returns; the directory is the caller's to sync.
    ///
    /// # Errors
    /// `NoLedger`; `TooNew`, `TooOld` or `Draft` if it is of another version; what the databases say. What is in the
    /// directory then is of no use.
    pub fn copy_to(&self, directory: &Path) -> Result<(), StoreError> {
        match self.kept()? {
            Kept::Directory(from) => sqlite::copy::pages(from, directory, None),
            Kept::Server(url) => {
                let source = postgres::copy::source(url)?;
                let mut file = sqlite::copy::NewFile::create(directory)?;
                stream(&*source, &mut file)?;
                file.finish()
            }
        }
    }

    /// Fills this database, in which there is nothing yet, with the copy in a directory. It then continues the copy's
    /// ledger and gives out no id of `ids_after` or before.
    ///
    /// Of a directory, only the file is made, synced. A server's database holds all of it or nothing.
    ///
    /// # Errors
    /// As `copy_to`, of the copy; `NotEmpty`.
    pub fn fill_from(&self, copy: &Path, ids_after: Timestamp) -> Result<(), StoreError> {
        match self.kept()? {
            Kept::Directory(to) => sqlite::copy::pages(copy, to, Some(ids_after)),
            Kept::Server(url) => {
                let source = sqlite::copy::source(copy)?;
                let mut filling = postgres::copy::Filling::begin(url)?;
                stream(&*source, &mut filling)?;
                filling.finish(ids_after)
            }
        }
    }

    /// Expects a database that a copy can be brought into.
    ///
    /// # Errors
    /// `NotEmpty`, or what the database says.
    pub fn require_empty(&self) -> Result<(), StoreError> {
        match self.kept()? {
            Kept::Directory(directory) => sqlite::copy::require_none(directory),
            Kept::Server(url) => postgres::copy::require_empty(url),
        }
    }

    /// How far the ledger has come.
    ///
    /// # Errors
    /// As `copy_to`; `Corrupt` if the newest seal is none.
    pub fn head(&self) -> Result<Head, StoreError> {
        let connection = self.source()?;
        let rows = connection
            .select("SELECT heartbeat_ms FROM lease WHERE partition = ?1", &[Value::Int(PARTITION)])?;
        let ids_at = match rows.first().map(Vec::as_slice) {
            Some([Value::Int(ms)]) => Timestamp(*ms),
            _ => return Err(StoreError::Corrupt { table: "lease", what: "there is none".to_owned() }),
        };
        Ok(Head { seal: opening::newest_seal(&*connection)?, ids_at })
    }
}
