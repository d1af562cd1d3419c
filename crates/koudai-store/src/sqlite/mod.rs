//! SQLite: one writing connection, one that loads for decisions, many that read for pages. WAL, every commit on the disk
//! before it is answered.

mod committer;
mod connection;
pub(crate) mod copy;
mod folding;
mod loader;
pub mod lock;
mod place;

use std::path::Path;
use std::sync::Arc;

use koudai_core::ledger::Seal;
use rusqlite::{Connection, OpenFlags, params};

use crate::commit::{Hold, Opened};
use crate::error::StoreError;
use crate::opening::Standing;
use crate::reader::Readers;
use crate::{PARTITION, Tuning};

use committer::SqliteCommitter;
pub(crate) use connection::connect;
use folding::Folding;
use loader::SqliteLoader;
use lock::DirectoryLock;
pub use place::{Place, WriteAgain};

/// The database file in a data directory.
pub const FILE: &str = "koudai.db";

/// Every commit is on the disk before it returns.
const SYNCHRONOUS: &str = "FULL";

/// How long the writer waits for its lock, which readers hold for moments only.
const WRITER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Scripts in order; the database's `user_version` says how many have run, and one more. A script is never changed once
/// released.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_begin.sql"),
    include_str!("../../migrations/sqlite/0002_refund_ways.sql"),
    include_str!("../../migrations/sqlite/0003_code_payments.sql"),
    include_str!("../../migrations/sqlite/0004_bills.sql"),
    include_str!("../../migrations/sqlite/0005_orders_meant_for_a_person.sql"),
    include_str!("../../migrations/sqlite/0006_transfers.sql"),
    include_str!("../../migrations/sqlite/0007_notices.sql"),
    include_str!("../../migrations/sqlite/0008_issuing.sql"),
    include_str!("../../migrations/sqlite/0009_withdrawals.sql"),
    include_str!("../../migrations/sqlite/0010_reconciliation.sql"),
    include_str!("../../migrations/sqlite/0011_other_wallets.sql"),
    include_str!("../../migrations/sqlite/0012_static_codes.sql"),
    include_str!("../../migrations/sqlite/0013_sign_in.sql"),
    include_str!("../../migrations/sqlite/0014_confirmation.sql"),
    include_str!("../../migrations/sqlite/0015_two_steps.sql"),
    include_str!("../../migrations/sqlite/0016_recovery.sql"),
];

/// Opens or creates the database of a directory and becomes its owner.
pub(crate) fn open(directory: &Path, tuning: Tuning) -> Result<Opened, StoreError> {
    let lock = DirectoryLock::take(directory)?;
    open_at(&Place::of(directory), Some(lock), tuning)
}

/// The same on a simulation's file system, which only the simulation opens.
pub(crate) fn open_simulated(place: &Place, tuning: Tuning) -> Result<Opened, StoreError> {
    open_at(place, None, tuning)
}

fn open_at(place: &Place, lock: Option<DirectoryLock>, tuning: Tuning) -> Result<Opened, StoreError> {
    place.make_log_durable()?;
    let mut connection =
        place.connect(OpenFlags::default()).map_err(StoreError::sqlite("opening the database"))?;
    configure(&connection).map_err(StoreError::sqlite("configuring the database"))?;
    migrate(&mut connection)?;
    let (epoch, ids_at) = take_lease(&mut connection).map_err(StoreError::sqlite("taking the lease"))?;
    let first = connect(place)?;
    let Standing { seal, last_at, recent } = Standing::read(&*first, ids_at, tuning)?;
    let pages = place.clone();
    let readers = Readers::new(first, Arc::new(move || connect(&pages)), Arc::clone(&recent), true);
    let loader = SqliteLoader::open(place, Arc::clone(&recent))?;
    let committer = SqliteCommitter::new(connection, Folding::start(place)?, Arc::clone(&recent), lock);
    Ok(Opened {
        loader: Box::new(loader),
        committer: Box::new(committer),
        readers,
        recent,
        epoch,
        hold: Hold::Lock,
        seal,
        last_at,
    })
}

fn configure(c: &Connection) -> rusqlite::Result<()> {
    c.pragma_update(None, "journal_mode", "WAL")?;
    // It says so even if it failed to write it down, and knows better once it has read the file.
    c.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    let mode: String = c.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        let what = format!("the database has no write-ahead log but the mode {mode}: does its disk work?");
        return Err(rusqlite::Error::SqliteFailure(code, Some(what)));
    }
    c.pragma_update(None, "synchronous", SYNCHRONOUS)?;
    c.pragma_update(None, "wal_autocheckpoint", 0)?;
    c.pragma_update(None, "mmap_size", 0)?;
    c.pragma_update(None, "cache_size", -65_536)?;
    c.pragma_update(None, "foreign_keys", true)?;
    // There is no other writer. But a reader that meets the header of the log while it is being written looks again under the
    // writer's lock, for a moment, and that is worth waiting for.
    c.busy_timeout(WRITER_PATIENCE)?;
    c.set_prepared_statement_cache_capacity(256);
    Ok(())
}

/// The newest version this program knows. Version 1 was a draft of the first script.
fn known() -> i64 {
    1 + i64::try_from(MIGRATIONS.len()).expect("a handful of scripts")
}

/// Brings a database to the newest shape, one script a transaction.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let read = |c: &Connection| c.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let found = read(connection).map_err(StoreError::sqlite("reading the database's version"))?;
    let known = known();
    if found == 1 {
        return Err(StoreError::Draft);
    }
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    let done = usize::try_from(found - 1).unwrap_or(0);
    for (number, script) in (2_i64..).zip(MIGRATIONS).skip(done) {
        let run = |c: &mut Connection| {
            let tx = c.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            tx.execute_batch(script)?;
            tx.pragma_update(None, "user_version", number)?;
            tx.commit()
        };
        run(connection).map_err(StoreError::sqlite("bringing the database to its new shape"))?;
    }
    Ok(())
}

/// Raises the epoch, durably, before anything of the ledger is read. The epoch, and the moment of the newest id given out.
fn take_lease(connection: &mut Connection) -> rusqlite::Result<(i64, i64)> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute(
        "INSERT INTO lease (partition, epoch, heartbeat_ms) VALUES (?1, 1, 0)
         ON CONFLICT (partition) DO UPDATE SET epoch = epoch + 1",
        [PARTITION],
    )?;
    let lease =
        tx.query_row("SELECT epoch, heartbeat_ms FROM lease WHERE partition = ?1", [PARTITION], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let sealed: bool =
        tx.query_row("SELECT EXISTS (SELECT 1 FROM seal WHERE partition = ?1)", [PARTITION], |row| {
            row.get(0)
        })?;
    if !sealed {
        let genesis = Seal::genesis();
        tx.execute(
            "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash)
             VALUES (?1, 0, ?2, 0, 1, 0, ?3, ?4)",
            params![PARTITION, genesis.previous, genesis.root, genesis.hash()],
        )?;
        tx.execute(
            "INSERT INTO derived (partition, watermark) VALUES (?1, 0) ON CONFLICT (partition) DO NOTHING",
            [PARTITION],
        )?;
    }
    tx.commit()?;
    Ok(lease)
}
