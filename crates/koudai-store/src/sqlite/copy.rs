//! Copies of a database file, and rows into a new one.
//!
//! Of three ways to copy a file that is in use, the online backup in one step is taken: it copies pages, at the speed of the
//! disk. `VACUUM INTO` builds every tree anew and takes three times as long, and as long the log cannot be cut. Small steps
//! begin anew with every commit of another process. A file of ours is never opened but by SQLite while SQLite has it open:
//! closing it would drop the locks.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use koudai_core::column::Value;
use koudai_core::time::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi, params_from_iter};

use super::connection::{Cell, open_read_only};
use super::place::Place;
use super::{FILE, MIGRATIONS, known};
use crate::copy::{Sink, Table, renewal};
use crate::error::StoreError;
use crate::reader;

/// What the connection to a new file keeps of it. It is written from the left to the right, but for a few indices.
const CACHE_KIB: i64 = 65_536;

const COPYING: &str = "copying the database";

fn copying(source: rusqlite::Error) -> StoreError {
    StoreError::sqlite(COPYING)(source)
}

/// Refuses anything but a ledger of the newest shape.
fn require_current(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let found = version.map_err(StoreError::sqlite("reading the database's version"))?;
    let known = known();
    match found {
        0 => Err(StoreError::NoLedger { place: path.display().to_string() }),
        1 => Err(StoreError::Draft),
        _ if found > known => Err(StoreError::TooNew { found, known }),
        _ if found < known => Err(StoreError::TooOld { found, known }),
        _ => Ok(()),
    }
}

fn open(directory: &Path) -> Result<Connection, StoreError> {
    let path = directory.join(FILE);
    if !path.exists() {
        return Err(StoreError::NoLedger { place: path.display().to_string() });
    }
    let connection = open_read_only(&Place::of(directory), 2_000)
        .map_err(StoreError::sqlite("opening the database to copy it"))?;
    require_current(&connection, &path)?;
    Ok(connection)
}

/// A copy's rows.
pub(crate) fn source(directory: &Path) -> Result<Box<dyn reader::Connection>, StoreError> {
    drop(open(directory)?);
    super::connect(&Place::of(directory))
}

/// Expects a directory without a ledger, and without what one leaves beside it: SQLite takes a log it finds for its own.
pub(crate) fn require_none(directory: &Path) -> Result<(), StoreError> {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let what = format!("{FILE}{beside}");
        if directory.join(&what).symlink_metadata().is_ok() {
            return Err(StoreError::NotEmpty { what });
        }
    }
    Ok(())
}

/// Opens a new file, its owner's alone. Nothing of it has to survive until it is whole and synced.
fn create(directory: &Path) -> Result<(Connection, PathBuf), StoreError> {
    let path = directory.join(FILE);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    made.map_err(|source| StoreError::File { doing: "making the copy's file", source })?;
    let open = || {
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(connection)
    };
    Ok((open().map_err(copying)?, path))
}

/// Closes a new file that is whole and syncs it. It is left without a log, so that it can be read where nothing can be
/// written; the next owner gives it one.
fn finish(connection: Connection, path: &Path) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(copying)?;
    connection.close().map_err(|(_, error)| copying(error))?;
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| StoreError::File { doing: "syncing the copy", source })
}

/// Copies one moment of the ledger in one directory into a new file in another, and renews it if it is to be used.
pub(crate) fn pages(from: &Path, to: &Path, renewed: Option<Timestamp>) -> Result<(), StoreError> {
    let source = open(from)?;
    let (mut target, path) = create(to)?;
    let step = Backup::new(&source, &mut target).and_then(|backup| backup.step(-1)).map_err(copying)?;
    if step != StepResult::Done {
        let busy = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
        return Err(copying(busy));
    }
    if let Some(ids_after) = renewed {
        renewal(ids_after).iter().try_for_each(|sql| target.execute_batch(sql)).map_err(copying)?;
    }
    finish(target, &path)
}

/// A new file that takes in rows.
pub(crate) struct NewFile {
    connection: Connection,
    path: PathBuf,
}

impl NewFile {
    pub(crate) fn create(directory: &Path) -> Result<Self, StoreError> {
        let (connection, path) = create(directory)?;
        let begin = || {
            connection.execute_batch("BEGIN")?;
            MIGRATIONS.iter().try_for_each(|script| connection.execute_batch(script))?;
            connection.pragma_update(None, "user_version", known())
        };
        begin().map_err(copying)?;
        Ok(Self { connection, path })
    }

    pub(crate) fn finish(self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT").map_err(copying)?;
        finish(self.connection, &self.path)
    }
}

impl Sink for NewFile {
    fn take(&mut self, table: &Table, cells: &[Value]) -> Result<(), StoreError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(&table.insert())?;
            for row in cells.chunks_exact(table.columns.len()) {
                statement.execute(params_from_iter(row.iter().map(Cell)))?;
            }
            Ok(())
        };
        run().map_err(copying)
    }
}
