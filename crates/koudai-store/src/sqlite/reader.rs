//! Reading connections: what is committed, for pages, the courier and the checks. They never block the writer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use koudai_core::column::{Row, Value};
use koudai_core::id::{MchId, OrderId, PersonId, Seq};
use koudai_core::ledger::{AccountId, Journal, Seal};
use koudai_core::rows::{Attempt, Card, Merchant, Message, NoticeRetry, OpenAttempt, OrderCode, Refund};
use koudai_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use super::{FILE, PARTITION, table};
use crate::error::StoreError;

/// How many idle reading connections are kept.
const IDLE: usize = 8;

/// A pool of reading connections.
#[derive(Clone, Debug)]
pub struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Reader>>>,
}

impl Readers {
    /// Readers of a directory whose writer has opened it, so that its shape is the newest.
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join(FILE), idle: Arc::default() }
    }

    /// Lends a connection to `work`.
    ///
    /// # Errors
    /// What opening or `work` says.
    pub fn with<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.path)?,
        };
        let result = work(&reader);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(reader);
        }
        result
    }
}

/// One reading connection.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// A connection of its own to the database of a directory, for long reads.
    ///
    /// # Errors
    /// What the database says.
    pub fn open_directory(directory: &Path) -> Result<Self, StoreError> {
        Self::open(&directory.join(FILE))
    }

    fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        };
        Ok(Self { connection: open().map_err(StoreError::database("opening the database for reading"))? })
    }

    /// Runs `work` on one unchanging view of the database.
    ///
    /// # Errors
    /// What the database or `work` says.
    pub fn snapshot<T, E: From<StoreError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let tx = self.connection.unchecked_transaction();
        let tx = tx.map_err(|e| E::from(StoreError::database("beginning a snapshot")(e)))?;
        let result = work(self);
        drop(tx);
        result
    }

    /// The row of a key, if there is one.
    ///
    /// # Errors
    /// What the database says; `Corrupt` for a row it should not hold.
    pub fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, StoreError> {
        table::load(&self.connection, key)
    }

    /// Every row of a table, in key order. For the checks only: it holds the whole table in memory.
    ///
    /// # Errors
    /// As `get`.
    pub fn all<R: Row>(&self) -> Result<Vec<R>, StoreError> {
        self.find("1 ORDER BY 1", &[])
    }

    fn find<R: Row>(&self, condition: &str, values: &[Value]) -> Result<Vec<R>, StoreError> {
        let sql = format!("SELECT {} FROM {} WHERE {condition}", table::column_list::<R>(), R::TABLE);
        table::select(&self.connection, &sql, values)
    }

    /// A person's cards that are still bound, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn cards_of(&self, person: PersonId) -> Result<Vec<Card>, StoreError> {
        self.find("person = ?1 AND removed_at IS NULL ORDER BY id", &[Value::Int(person.0)])
    }

    /// A person's newest calls to networks that move money, newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn attempts_of(&self, person: PersonId, limit: i64) -> Result<Vec<Attempt>, StoreError> {
        self.find("person = ?1 ORDER BY id DESC LIMIT ?2", &[Value::Int(person.0), Value::Int(limit)])
    }

    /// An order's refunds, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn refunds_of(&self, order: OrderId) -> Result<Vec<Refund>, StoreError> {
        self.find("\"order\" = ?1 ORDER BY id", &[Value::Int(order.0)])
    }

    /// An account's journals before `before`, newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn history(
        &self,
        account: AccountId,
        before: Option<Seq>,
        limit: i64,
    ) -> Result<Vec<Journal>, StoreError> {
        let before = before.map_or(i64::MAX, |seq| seq.0);
        let sql =
            "SELECT j.seq, j.body, j.crc FROM history h JOIN journal j ON j.partition = ?1 AND j.seq = h.seq
                   WHERE h.account = ?2 AND h.seq < ?3 ORDER BY h.seq DESC LIMIT ?4";
        self.journals(sql, &[PARTITION, account.0, before, limit])
    }

    /// A merchant's journals after `after`, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn merchant_journals(
        &self,
        mchid: MchId,
        after: Seq,
        limit: i64,
    ) -> Result<Vec<Journal>, StoreError> {
        let sql =
            "SELECT j.seq, j.body, j.crc FROM history h JOIN journal j ON j.partition = ?1 AND j.seq = h.seq
                   WHERE h.account = ?2 AND h.seq > ?3 ORDER BY h.seq LIMIT ?4";
        self.journals(sql, &[PARTITION, AccountId::merchant(mchid).0, after.0, limit])
    }

    /// The journals after `after`, in order.
    ///
    /// # Errors
    /// As `get`.
    pub fn journals_after(&self, after: Seq, limit: i64) -> Result<Vec<Journal>, StoreError> {
        let sql =
            "SELECT seq, body, crc FROM journal WHERE partition = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        self.journals(sql, &[PARTITION, after.0, limit])
    }

    /// One journal.
    ///
    /// # Errors
    /// As `get`.
    pub fn journal(&self, seq: Seq) -> Result<Option<Journal>, StoreError> {
        let sql = "SELECT seq, body, crc FROM journal WHERE partition = ?1 AND seq = ?2";
        Ok(self.journals(sql, &[PARTITION, seq.0])?.pop())
    }

    fn journals(&self, sql: &str, values: &[i64]) -> Result<Vec<Journal>, StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, u32>(2)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let read = run().map_err(StoreError::database("reading journals"))?;
        let decode = |(seq, body, crc): (i64, Vec<u8>, u32)| {
            let corrupt = |what| StoreError::Corrupt { table: "journal", what: format!("row {seq}: {what}") };
            if crc32c::crc32c(&body) != crc {
                return Err(corrupt("its checksum does not fit"));
            }
            let journal = Journal::decode(&body).ok_or_else(|| corrupt("its body is not a journal"))?;
            if journal.seq.0 == seq { Ok(journal) } else { Err(corrupt("its body is another journal's")) }
        };
        read.into_iter().map(decode).collect()
    }

    /// The seals after number `after`, in order, each with the hash stored beside it.
    ///
    /// # Errors
    /// As `get`.
    pub fn seals_after(&self, after: i64, limit: i64) -> Result<Vec<(Seal, [u8; 32])>, StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT no, previous, epoch, first_seq, last_seq, root, hash FROM seal
                 WHERE partition = ?1 AND no > ?2 ORDER BY no LIMIT ?3",
            )?;
            statement
                .query_map(params![PARTITION, after, limit], seal_from_row)?
                .collect::<rusqlite::Result<_>>()
        };
        run().map_err(StoreError::database("reading seals"))
    }

    /// The history index, all of it, as (account, journal).
    ///
    /// # Errors
    /// As `get`.
    pub fn history_index(&self) -> Result<Vec<(AccountId, Seq)>, StoreError> {
        let run = || {
            let mut statement =
                self.connection.prepare("SELECT account, seq FROM history ORDER BY account, seq")?;
            statement
                .query_map([], |row| Ok((AccountId(row.get(0)?), Seq(row.get(1)?))))?
                .collect::<rusqlite::Result<_>>()
        };
        run().map_err(StoreError::database("reading the history index"))
    }

    /// Open attempts that are due, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_attempts(&self, now: Timestamp, limit: i64) -> Result<Vec<OpenAttempt>, StoreError> {
        self.find("next_at <= ?1 ORDER BY next_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Messages that are due, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_messages(&self, now: Timestamp, limit: i64) -> Result<Vec<Message>, StoreError> {
        self.find("next_at <= ?1 ORDER BY next_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Notifications to try again, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_retries(&self, now: Timestamp, limit: i64) -> Result<Vec<NoticeRetry>, StoreError> {
        self.find("next_at <= ?1 ORDER BY next_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Order codes that have expired.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_codes(&self, now: Timestamp, limit: i64) -> Result<Vec<OrderCode>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Merchants whose cursor lies behind the newest journal of their history.
    ///
    /// # Errors
    /// As `get`.
    pub fn merchants_behind(&self) -> Result<Vec<MchId>, StoreError> {
        let behind = |merchant: &Merchant| {
            let newest = self.history(AccountId::merchant(merchant.mchid), None, 1)?;
            let told =
                self.get::<koudai_core::rows::NoticeCursor>(&merchant.mchid)?.map_or(Seq(0), |c| c.told);
            Ok::<_, StoreError>(newest.first().is_some_and(|j| j.seq > told))
        };
        let mut all = Vec::new();
        for merchant in self.all::<Merchant>()? {
            if behind(&merchant)? {
                all.push(merchant.mchid);
            }
        }
        Ok(all)
    }

    /// The names of a table's columns, for the comparison with the declarations.
    ///
    /// # Errors
    /// As `get`.
    pub fn columns_of(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let run = || {
            let mut statement =
                self.connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
            statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        };
        run().map_err(StoreError::database("reading a table's columns"))
    }

    /// SQLite's own check of the file.
    ///
    /// # Errors
    /// `Corrupt` with the first thing it finds.
    pub fn check_file(&self) -> Result<(), StoreError> {
        let found: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(StoreError::database("checking the database file"))?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt { table: "(file)", what: found }) }
    }
}

pub(super) fn seal_from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Seal, [u8; 32])> {
    let seal = Seal {
        no: row.get(0)?,
        previous: row.get(1)?,
        epoch: row.get(2)?,
        first: Seq(row.get(3)?),
        last: Seq(row.get(4)?),
        root: row.get(5)?,
    };
    Ok((seal, row.get(6)?))
}
