//! The one writing connection: commits what a batch changed, sealed and fenced, with a share of what is written behind.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use koudai_core::cache::TableChanges;
use koudai_core::column::{Row, Shape, Value};
use koudai_core::ledger::{Journal, Seal};
use koudai_core::planted::{self, Bug};
use koudai_core::rows::{Balance, Rows};
use koudai_core::time::Timestamp;
use rusqlite::{Connection, params, params_from_iter};

use super::connection::{Cell, run};
use super::folding::Folding;
use super::lock::DirectoryLock;
use crate::PARTITION;
use crate::commit::{Commit, CommitError, Committer};
use crate::error::StoreError;
use crate::recent::{Recent, Share};
use crate::sql;

/// The writing connection of a data directory.
#[derive(Debug)]
pub(super) struct SqliteCommitter {
    connection: Connection,
    recent: Arc<Recent>,
    folding: Folding,
    _lock: Option<DirectoryLock>,
}

/// How rows of a table are written.
#[derive(Debug)]
struct Statements {
    upsert: String,
    delete: String,
    width: usize,
    key_width: usize,
}

/// Those of every table of `Rows::shapes`, and of balances, which are written behind.
static STATEMENTS: LazyLock<(Vec<Statements>, Statements)> = LazyLock::new(|| {
    (Rows::shapes().iter().map(Statements::of).collect(), Statements::of(&Balance::shapes()[0]))
});

impl Statements {
    fn of(shape: &Shape) -> Self {
        let columns = sql::written_columns(shape);
        let marks = (1..=columns.len()).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
        Self {
            // Every column is given and no table has a second unique key, so that this is an update that needs no look.
            upsert: format!(
                "INSERT OR REPLACE INTO {} ({}) VALUES ({marks})",
                shape.table,
                sql::quoted(&columns)
            ),
            delete: format!(
                "DELETE FROM {} WHERE {}",
                shape.table,
                sql::key_condition(&shape.columns[..shape.key_columns])
            ),
            width: columns.len(),
            key_width: shape.key_columns,
        }
    }
}

impl SqliteCommitter {
    pub(super) fn new(
        connection: Connection,
        folding: Folding,
        recent: Arc<Recent>,
        lock: Option<DirectoryLock>,
    ) -> Self {
        Self { connection, recent, folding, _lock: lock }
    }

    fn write(&self, commit: &Commit, share: &Share) -> rusqlite::Result<()> {
        let c = &self.connection;
        touch_lease(c, commit.seal.epoch, commit.ids_at)?;
        insert_seal(c, &commit.seal)?;
        insert_journals(c, &commit.journals, &commit.bodies)?;
        for changes in &commit.changes {
            self.write_changes(changes)?;
        }
        self.write_share(share)
    }

    /// What a COMMIT that failed leaves. A full disk is met while the log is written, whose last page ends the transaction:
    /// then that page is not there, and SQLite has taken the transaction back.
    fn not_ended(&self, error: rusqlite::Error) -> CommitError {
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        if full && self.connection.is_autocommit() {
            CommitError::NotCommitted(committing(error))
        } else {
            CommitError::Unknown(committing(error))
        }
    }

    fn write_changes(&self, changes: &TableChanges) -> rusqlite::Result<()> {
        let table = &STATEMENTS.0[changes.table];
        for (sql, cells, width) in [
            (&table.upsert, &changes.upserts, table.width),
            (&table.delete, &changes.deletes, table.key_width),
        ] {
            if cells.is_empty() {
                continue;
            }
            let mut statement = self.connection.prepare_cached(sql)?;
            for row in cells.chunks_exact(width) {
                statement.execute(params_from_iter(row.iter().map(Cell)))?;
            }
        }
        Ok(())
    }

    fn write_share(&self, share: &Share) -> rusqlite::Result<()> {
        if !share.balances.is_empty() {
            let table = &STATEMENTS.1;
            let mut statement = self.connection.prepare_cached(&table.upsert)?;
            let mut cells = Vec::with_capacity(table.width);
            for balance in &share.balances {
                cells.clear();
                balance.write(&mut cells);
                cells.push(Value::Int(sql::checksum(&cells).into()));
                statement.execute(params_from_iter(cells.iter().map(Cell)))?;
            }
        }
        if !share.marks.is_empty() {
            let sql = "INSERT OR REPLACE INTO history (account, seq) VALUES (?1, ?2)";
            let mut statement = self.connection.prepare_cached(sql)?;
            for (account, seq) in &share.marks {
                statement.execute([account.0, seq.0])?;
            }
        }
        if let Some(watermark) = share.watermark {
            let sql = "UPDATE derived SET watermark = ?2 WHERE partition = ?1";
            self.connection.prepare_cached(sql)?.execute([PARTITION, watermark.0])?;
        }
        Ok(())
    }
}

impl Committer for SqliteCommitter {
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let share = self.recent.share(commit.journals.len());
        let not_committed = |source| CommitError::NotCommitted(committing(source));
        run(&self.connection, "BEGIN IMMEDIATE").map_err(not_committed)?;
        if let Err(error) = self.write(commit, &share) {
            // An error may have ended the transaction already; either way nothing of it stays.
            let _ended = run(&self.connection, "ROLLBACK");
            return Err(not_committed(error));
        }
        if let Err(error) = run(&self.connection, "COMMIT") {
            return Err(self.not_ended(error));
        }
        self.recent.apply(&commit.journals);
        self.recent.written(&share);
        self.folding.after_commit(&self.connection);
        Ok(())
    }
}

fn committing(source: rusqlite::Error) -> StoreError {
    StoreError::sqlite("committing a batch")(source)
}

/// Records how far the ids have come. A stale owner changes nothing here; its seal stops it.
fn touch_lease(connection: &Connection, epoch: i64, ids_at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE lease SET heartbeat_ms = ?3 WHERE partition = ?1 AND epoch = ?2 AND heartbeat_ms < ?3",
        )?
        .execute([PARTITION, epoch, ids_at.0])?;
    Ok(())
}

/// The epoch of the lease, if it is the owner's.
const EPOCH: &str = "(SELECT epoch FROM lease WHERE partition = ?1 AND epoch = ?4)";

const INSERT_SEAL: &str =
    "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash) VALUES (?1, ?2,
    (SELECT hash FROM seal WHERE partition = ?1 AND no = ?2 - 1 AND hash = ?3),
    (SELECT epoch FROM lease WHERE partition = ?1 AND epoch = ?4),
    ?5, ?6, ?7, ?8)";

/// Inserts a seal whose chain and epoch the database itself checks: a stale owner or a broken chain leaves a NULL where
/// none may stand.
fn insert_seal(connection: &Connection, seal: &Seal) -> rusqlite::Result<()> {
    let mut sql = Cow::Borrowed(INSERT_SEAL);
    if planted::is(Bug::LeaseUnchecked) {
        sql = sql.replace(EPOCH, "?4").into();
    }
    let mut statement = connection.prepare_cached(&sql)?;
    statement.execute(params![
        PARTITION,
        seal.no,
        seal.previous,
        seal.epoch,
        seal.first.0,
        seal.last.0,
        seal.root,
        seal.hash()
    ])?;
    Ok(())
}

fn insert_journals(
    connection: &Connection,
    journals: &[Journal],
    bodies: &[Vec<u8>],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO journal (seq, partition, body, crc) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(sql)?;
    for (journal, body) in journals.iter().zip(bodies) {
        statement.execute(params![journal.seq.0, PARTITION, body, crc32c::crc32c(body)])?;
    }
    Ok(())
}
