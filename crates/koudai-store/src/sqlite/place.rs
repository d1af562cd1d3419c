//! Where a database file is: on the disk, or on the file system of a simulation.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::StoreError;

/// Where a database file is.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    simulated: Option<Simulated>,
}

/// A simulation's file system.
#[derive(Clone, Debug)]
struct Simulated {
    vfs: String,
    write_again: WriteAgain,
}

/// Writes a file's bytes again as they are read, and syncs it. A file that is not there is none's concern.
pub type WriteAgain = fn(&Path) -> io::Result<()>;

/// The same on a disk.
fn write_again(path: &Path) -> io::Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            return file.sync_all();
        }
        file.write_all_at(&bytes[..read], at)?;
        at += read as u64;
    }
}

impl Place {
    /// In a data directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self { path: directory.join(super::FILE), simulated: None }
    }

    /// For simulations: a file on a VFS that SQLite knows by name. Everything runs as on the disk, but that no directory is
    /// locked, and that the writer folds the log itself after a fixed number of commits, so that the same commits make the
    /// same calls. `write_again` does what it says there.
    pub fn simulated(path: PathBuf, vfs: &str, write_again: WriteAgain) -> Self {
        Self { path, simulated: Some(Simulated { vfs: vfs.to_owned(), write_again }) }
    }

    pub(super) const fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }

    pub(super) fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let connection = match &self.simulated {
            None => Connection::open_with_flags(&self.path, flags),
            Some(simulated) => Connection::open_with_flags_and_vfs(&self.path, flags, simulated.vfs.as_str()),
        }?;
        // Plans depend on a statement's text alone. Otherwise one whose plan might be another for other values, such as a bound
        // LIMIT, is planned anew with each of them, which costs more than it runs.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    }

    /// The log beside the file.
    pub(super) fn log(&self) -> PathBuf {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        log.into()
    }

    /// Makes what the log is read as durable, before anything is built upon it.
    ///
    /// After a sync that failed, a system may take for written what is in its memory only: the next process reads it, later
    /// syncs do not write it, and a power cut would take it away from under what was answered since.
    pub(super) fn make_log_durable(&self) -> Result<(), StoreError> {
        let write_again = self.simulated.as_ref().map_or(write_again as WriteAgain, |s| s.write_again);
        write_again(&self.log())
            .map_err(|source| StoreError::File { doing: "making the write-ahead log durable", source })
    }
}
