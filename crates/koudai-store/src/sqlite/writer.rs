//! The one writing connection: loads what a batch misses and commits what it changed, sealed and fenced.

use std::path::{Path, PathBuf};

use koudai_core::cache::{Cache, TableVisitor};
use koudai_core::column::Row;
use koudai_core::id::Seq;
use koudai_core::ledger::{Journal, Seal, merkle_root};
use koudai_core::state::State;
use koudai_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::lock::DirectoryLock;
use super::{FILE, PARTITION, migrate, table};
use crate::error::StoreError;

/// Past this size the write-ahead log is folded into the database by the writer itself (worst pause 41 ms measured).
const LOG_BYTES: u64 = 32 << 20;
/// How many commits lie between two looks at the log's size.
const LOOK_EVERY: u32 = 64;
/// Rows kept in memory per table between batches.
const KEEP_ROWS: usize = 200_000;

/// The writing connection of a data directory.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    log: PathBuf,
    epoch: i64,
    seal: Seal,
    commits: u32,
    _lock: DirectoryLock,
}

/// A database that was opened: where its ledger stands.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub writer: Writer,
    /// An empty state at the ledger's head.
    pub state: State,
    /// The time of the newest commit, or 0: of its journals and of the ids it gave out.
    pub last_at: Timestamp,
}

impl Writer {
    /// Opens or creates the database of a directory and becomes its owner: a new epoch is durable before this returns.
    ///
    /// # Errors
    /// `Taken` by another process, `TooNew`, or what the database says.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Opened, StoreError> {
        let lock = DirectoryLock::take(directory)?;
        let path = directory.join(FILE);
        let opening = StoreError::database("opening the database");
        let mut connection = Connection::open(&path).map_err(opening)?;
        let configure = |c: &Connection| {
            c.pragma_update(None, "journal_mode", "WAL")?;
            c.pragma_update(None, "synchronous", "FULL")?;
            c.pragma_update(None, "wal_autocheckpoint", 0)?;
            c.pragma_update(None, "mmap_size", 0)?;
            c.pragma_update(None, "cache_size", -65_536)?;
            c.pragma_update(None, "foreign_keys", true)?;
            // Readers never block the writer in WAL; only another writer could, and there is none.
            c.busy_timeout(std::time::Duration::ZERO)?;
            c.set_prepared_statement_cache_capacity(256);
            Ok(())
        };
        configure(&connection).map_err(StoreError::database("configuring the database"))?;
        migrate(&mut connection)?;
        let lease = take_lease(&mut connection).map_err(StoreError::database("taking the lease"))?;
        let (epoch, ids_at) = lease;
        let seal = newest_seal(&connection)?;
        let (head, last_at) = newest_journal(&connection)?;
        if seal.last != head {
            let what = format!(
                "the newest seal ends at journal {} and the newest journal is {}",
                seal.last.0, head.0
            );
            return Err(StoreError::Corrupt { table: "seal", what });
        }
        let last_at = last_at.max(ids_at);
        let state = State::new(head, now.max(last_at.plus(1)));
        let mut log = path.into_os_string();
        log.push("-wal");
        let writer = Self { connection, log: log.into(), epoch, seal, commits: 0, _lock: lock };
        Ok(Opened { writer, state, last_at })
    }

    /// The epoch of this owner.
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The newest seal.
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Loads every row the state wants.
    ///
    /// # Errors
    /// What the database says; `Corrupt` for a row it should not hold.
    pub fn load(&mut self, state: &mut State) -> Result<(), StoreError> {
        state.rows.visit(&mut Loader(&self.connection))
    }

    /// Commits everything the state has decided, in one durable transaction, and forgets it as undone work.
    ///
    /// # Errors
    /// What the database says. If the transaction did not begin to commit it was rolled back and nothing is stored; the
    /// caller drops the state and opens anew.
    pub fn commit(&mut self, state: &mut State) -> Result<(), CommitError> {
        let first = Seq(self.seal.last.0 + 1);
        let bodies: Vec<Vec<u8>> = state.journals.iter().map(Journal::encode).collect();
        let seal = Seal {
            no: self.seal.no + 1,
            previous: self.seal.hash(),
            epoch: self.epoch,
            first,
            last: state.head,
            root: merkle_root(&bodies),
        };
        assert_eq!(seal.last.0 - seal.first.0 + 1, i64::try_from(bodies.len()).expect("a batch is small"));
        let not_committed = |source| CommitError::NotCommitted(committing(source));
        let begin = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
        let tx = begin.map_err(not_committed)?;
        write_batch(&tx, &seal, state, &bodies).map_err(not_committed)?;
        tx.commit().map_err(|source| CommitError::Unknown(committing(source)))?;
        self.seal = seal;
        state.journals.clear();
        let Ok(()) = state.rows.visit(&mut Written);
        self.commits += 1;
        if self.commits.is_multiple_of(LOOK_EVERY) {
            self.fold_log();
        }
        Ok(())
    }

    /// Folds a long log into the database. A reader in the way only puts it off.
    fn fold_log(&self) {
        if std::fs::metadata(&self.log).is_ok_and(|m| m.len() > LOG_BYTES)
            && let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the write-ahead log could not be folded yet");
        }
    }
}

fn write_batch(tx: &Connection, seal: &Seal, state: &mut State, bodies: &[Vec<u8>]) -> rusqlite::Result<()> {
    touch_lease(tx, seal.epoch, state.ids_at())?;
    insert_seal(tx, seal)?;
    for (journal, body) in state.journals.iter().zip(bodies) {
        insert_journal(tx, journal, body)?;
    }
    state.rows.visit(&mut Writing(tx))
}

/// How a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// For certain nothing was stored.
    #[error("the batch was not committed")]
    NotCommitted(#[source] StoreError),
    /// Whether it was stored is not known: the process has to end, and the next start finds out.
    #[error("whether the batch was committed is not known")]
    Unknown(#[source] StoreError),
}

fn committing(source: rusqlite::Error) -> StoreError {
    StoreError::Database { doing: "committing a batch", source }
}

/// Raises the epoch, durably, before anything of the ledger is read. The epoch, and the moment of the newest id given out.
fn take_lease(connection: &mut Connection) -> rusqlite::Result<(i64, Timestamp)> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute(
        "INSERT INTO lease (partition, epoch, heartbeat_ms) VALUES (?1, 1, 0)
         ON CONFLICT (partition) DO UPDATE SET epoch = epoch + 1",
        [PARTITION],
    )?;
    let lease =
        tx.query_row("SELECT epoch, heartbeat_ms FROM lease WHERE partition = ?1", [PARTITION], |row| {
            Ok((row.get(0)?, Timestamp(row.get(1)?)))
        })?;
    let sealed: i64 =
        tx.query_row("SELECT count(*) FROM seal WHERE partition = ?1", [PARTITION], |row| row.get(0))?;
    if sealed == 0 {
        let genesis = Seal::genesis();
        tx.execute(
            "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash)
             VALUES (?1, 0, ?2, 0, 1, 0, ?3, ?4)",
            params![PARTITION, genesis.previous, genesis.root, genesis.hash()],
        )?;
    }
    tx.commit()?;
    Ok(lease)
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

/// Inserts a seal whose chain and epoch the database itself checks: a stale owner or a broken chain leaves a NULL where
/// none may stand.
fn insert_seal(connection: &Connection, seal: &Seal) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash) VALUES (?1, ?2,
           (SELECT hash FROM seal WHERE partition = ?1 AND no = ?2 - 1 AND hash = ?3),
           (SELECT epoch FROM lease WHERE partition = ?1 AND epoch = ?4),
           ?5, ?6, ?7, ?8)",
    )?;
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

fn insert_journal(connection: &Connection, journal: &Journal, body: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO journal (partition, seq, at_ms, body, crc) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![PARTITION, journal.seq.0, journal.at.0, body, crc32c::crc32c(body)])?;
    let mut history = connection.prepare_cached("INSERT INTO history (account, seq) VALUES (?1, ?2)")?;
    for line in &journal.lines {
        history.execute(params![line.account.0, journal.seq.0])?;
    }
    Ok(())
}

fn newest_seal(connection: &Connection) -> Result<Seal, StoreError> {
    let sql = "SELECT no, previous, epoch, first_seq, last_seq, root, hash FROM seal
               WHERE partition = ?1 ORDER BY no DESC LIMIT 1";
    let (seal, hash) = connection
        .query_row(sql, [PARTITION], super::reader::seal_from_row)
        .map_err(StoreError::database("reading the newest seal"))?;
    if seal.hash() != hash {
        return Err(StoreError::Corrupt {
            table: "seal",
            what: format!("row {}: its hash does not fit", seal.no),
        });
    }
    Ok(seal)
}

fn newest_journal(connection: &Connection) -> Result<(Seq, Timestamp), StoreError> {
    let sql = "SELECT seq, at_ms FROM journal WHERE partition = ?1 ORDER BY seq DESC LIMIT 1";
    let newest = connection
        .query_row(sql, [PARTITION], |row| Ok((Seq(row.get(0)?), Timestamp(row.get(1)?))))
        .optional()
        .map_err(StoreError::database("reading the newest journal"))?;
    Ok(newest.unwrap_or((Seq(0), Timestamp(0))))
}

struct Loader<'a>(&'a Connection);
impl TableVisitor for Loader<'_> {
    type Error = StoreError;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), StoreError> {
        for key in cache.take_wanted() {
            let row = table::load::<R>(self.0, &key)?;
            cache.loaded(key, row);
        }
        Ok(())
    }
}

struct Writing<'a>(&'a Connection);
impl TableVisitor for Writing<'_> {
    type Error = rusqlite::Error;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> rusqlite::Result<()> {
        for (key, row) in cache.changes() {
            match row {
                Some(row) => table::store(self.0, row)?,
                None => table::delete::<R>(self.0, key)?,
            }
        }
        Ok(())
    }
}

struct Written;
impl TableVisitor for Written {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        cache.written();
        cache.shrink(KEEP_ROWS);
        Ok(())
    }
}
