//! Where a database file is: on the disk, or on the file system of a simulation.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// Where a database file is.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    vfs: Option<String>,
}

impl Place {
    /// In a data directory.
    pub(crate) fn of(directory: &Path) -> Self {
        Self { path: directory.join(super::FILE), vfs: None }
    }

    /// For simulations: a file on a VFS that SQLite knows by name. Everything runs as on the disk, but that no directory is
    /// locked, and that the writer folds the log itself after a fixed number of commits, so that the same commits make the
    /// same calls.
    pub fn simulated(path: PathBuf, vfs: &str) -> Self {
        Self { path, vfs: Some(vfs.to_owned()) }
    }

    pub(super) const fn is_simulated(&self) -> bool {
        self.vfs.is_some()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let connection = match &self.vfs {
            None => Connection::open_with_flags(&self.path, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str()),
        }?;
        // Plans depend on a statement's text alone. Otherwise one whose plan might be another for other values, such as a bound
        // LIMIT, is planned anew with each of them, which costs more than it runs.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    }
}
