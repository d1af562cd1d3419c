//! PostgreSQL: one session that commits, one that loads for decisions, many that read for pages. Every commit is on the
//! server's disk before it is answered.
//!
//! Whoever opens the database becomes its owner: it ends the session of the owner before, raises the epoch in the lease
//! and only then reads. What the old owner still sends fails inside SQL (`committer.rs`).

mod address;
mod cells;
mod committer;
mod connection;
pub(crate) mod copy;
mod copying;
mod loader;
mod migrations;
mod session;
mod waiting;
pub(crate) mod watching;

use std::sync::Arc;

use koudai_core::ledger::Seal;
use koudai_core::secret::Secret;

use crate::commit::{Hold, Opened};
use crate::error::StoreError;
use crate::opening::Standing;
use crate::reader::{Connection, Readers};
use crate::{PARTITION, SURE_FOR, Tuning};

use committer::PostgresCommitter;
use connection::PostgresConnection;
use loader::PostgresLoader;
use session::{Role, Session};

/// How long the session of an owner before is given to end, in milliseconds.
const ENDING_MS: i64 = 5_000;

/// Whether a URL can be used, without using it.
pub(crate) fn check_address(url: &Secret<String>) -> Result<(), StoreError> {
    address::parse(url).map(drop)
}

/// Opens or creates the ledger in a server's database and becomes its owner, if its epoch is still the one that was seen.
pub(crate) fn open(url: &Secret<String>, seen: Option<i64>, tuning: Tuning) -> Result<Opened, StoreError> {
    let session = Session::open(url, Role::Owner)?;
    session.require_safe_settings()?;
    // An older program leaves the database and its owner alone.
    migrations::refuse_newer(&session)?;
    migrations::make_lease(&session)?;
    end_owner_before(&session, seen);
    let taken = take_lease(&session, seen).map_err(StoreError::postgres("taking the lease"))?;
    let (epoch, ids_at) = taken.ok_or(StoreError::Owned)?;
    migrations::run(&session, epoch)?;
    begin_chain(&session, epoch).map_err(StoreError::postgres("beginning the chain of seals"))?;
    let first = connect(url, Role::Reader)?;
    let Standing { seal, last_at, recent } = Standing::read(&*first, ids_at, tuning)?;
    let pages = url.clone();
    let open = move || connect(&pages, Role::Reader);
    let readers = Readers::new(first, Arc::new(open), Arc::clone(&recent), false);
    let loader = PostgresLoader::open(url, Arc::clone(&recent))?;
    let hold = Hold::Lease { sure_for: SURE_FOR, lost: session.lost() };
    let committer = PostgresCommitter::new(session, Arc::clone(&recent))?;
    Ok(Opened {
        loader: Box::new(loader),
        committer: Box::new(committer),
        readers,
        recent,
        epoch,
        hold,
        seal,
        last_at,
    })
}

/// A reading connection beside whoever owns the ledger, for the checks.
pub(crate) fn outside(url: &Secret<String>) -> Result<Box<dyn Connection>, StoreError> {
    connect(url, Role::Outside)
}

fn connect(url: &Secret<String>, role: Role) -> Result<Box<dyn Connection>, StoreError> {
    Ok(Box::new(PostgresConnection::new(Session::open(url, role)?)))
}

/// Ends the session of the owner before, which may have stopped in the middle of a transaction and hold the lease. It is
/// found by its name, since a number of a process may stand for another by now. This is for speed only: that the old
/// owner commits no more is the lease's doing, and a forgotten transaction of its ends by itself (`session.rs`). An owner
/// who came after what was seen is left alone.
fn end_owner_before(session: &Session, seen: Option<i64>) {
    let sql = "SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = $2 AND pid <> pg_backend_pid()
               AND ($3::BIGINT IS NULL OR NOT EXISTS (SELECT FROM lease WHERE partition = $4 AND epoch <> $3))";
    if let Err(error) = session.query(sql, &[&ENDING_MS, &Role::OWNER, &seen, &PARTITION]) {
        let error = StoreError::postgres("ending the session of the owner before")(error);
        tracing::warn!(%error, "the owner before could not be ended; its lease is taken all the same");
    }
    if let Err(error) = session.query("SELECT set_config('application_name', $1, false)", &[&Role::OWNER]) {
        let error = StoreError::postgres("naming the session")(error);
        tracing::warn!(%error, "a next owner will not find this session by its name");
    }
}

/// Raises the epoch, durably, in a transaction of its own, before anything of the ledger is read. The epoch, and the moment
/// of the newest id given out; `None` if somebody else raised it since it was seen.
fn take_lease(session: &Session, seen: Option<i64>) -> Result<Option<(i64, i64)>, tokio_postgres::Error> {
    // It waits for a transaction of the old owner that has read the lease already, and sees what that one left.
    let sql = "INSERT INTO lease (partition, epoch, heartbeat_ms) VALUES ($1, 1, 0)
               ON CONFLICT (partition) DO UPDATE SET epoch = lease.epoch + 1
               WHERE $2::BIGINT IS NULL OR lease.epoch = $2
               RETURNING epoch, heartbeat_ms";
    let rows = session.query(sql, &[&PARTITION, &seen])?;
    rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Gives a new ledger its first seal and its watermark, if the lease is still ours.
fn begin_chain(session: &Session, epoch: i64) -> Result<(), tokio_postgres::Error> {
    let genesis = Seal::genesis();
    session.query(
        "INSERT INTO derived (partition, watermark) SELECT $1, 0 FROM lease
         WHERE partition = $1 AND epoch = $2 AND NOT EXISTS (SELECT 1 FROM seal WHERE partition = $1)
         ON CONFLICT (partition) DO NOTHING",
        &[&PARTITION, &epoch],
    )?;
    session.query(
        "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash)
         SELECT $1, 0, $3, 0, 1, 0, $4, $5 FROM lease
         WHERE partition = $1 AND epoch = $2 AND NOT EXISTS (SELECT 1 FROM seal WHERE partition = $1)",
        &[
            &PARTITION,
            &epoch,
            &genesis.previous.as_slice(),
            &genesis.root.as_slice(),
            &genesis.hash().as_slice(),
        ],
    )?;
    Ok(())
}
