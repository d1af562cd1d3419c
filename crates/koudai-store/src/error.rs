//! What can go wrong between the rows and the database.

use std::path::PathBuf;

/// An operational failure. None of these is an answer to a person.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error("another koudai is running on {directory}: stop it first, or use its commands")]
    Taken {
        /// The directory.
        directory: PathBuf,
    },
    /// The database holds something the schema or its own checks forbid.
    #[error("the database is damaged: table {table}, {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row and column.
        what: String,
    },
    /// The database was made by a newer Koudai.
    #[error("the database has version {found}, this program knows up to {known}: use the newer program")]
    TooNew {
        /// Its version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The database has the shape of a draft, from before the first release.
    #[error(
        "the database was made by a draft of this program and cannot be brought along: begin with a new directory"
    )]
    Draft,
    /// The database could not be used.
    #[error("{doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: DatabaseError,
    },
    /// A file could not be used.
    #[error("{doing}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// What a database said.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Puts an error of SQLite's into its context.
    pub(crate) const fn sqlite(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Database { doing, source: DatabaseError::Sqlite(source) }
    }

    /// Whether it passes by itself: the disk is full and room may come back, or another process held the file for a
    /// moment. Nothing was written.
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DiskFull};
        matches!(self, Self::Database { source: DatabaseError::Sqlite(source), .. }
            if matches!(source.sqlite_error_code(), Some(DatabaseBusy | DiskFull)))
    }
}
