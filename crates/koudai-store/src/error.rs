//! What can go wrong between the rows and the database.

use std::path::PathBuf;

use tokio_postgres::error::SqlState;

/// An operational failure. None of these is an answer to a person.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error("another koudai is running on {directory}: stop it first, or use its commands")]
    Taken {
        /// The directory.
        directory: PathBuf,
    },
    /// Another process owns the ledger in the server's database and is alive, as far as can be seen.
    #[error("another koudai owns this database: stop it first, or use its commands")]
    Owned,
    /// This process does not own the ledger, or is not sure that it does. Nothing was read or done.
    #[error("this process does not own the ledger at the moment")]
    Elsewhere,
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
    /// The database was made by an older Koudai and was not brought along yet.
    #[error(
        "the database has version {found}, this program copies version {known}: let its server start once with this \
         program, or use the older one"
    )]
    TooOld {
        /// Its version.
        found: i64,
        /// The one that is copied.
        known: i64,
    },
    /// There is no ledger.
    #[error("there is no ledger in {place}")]
    NoLedger {
        /// Where it was looked for.
        place: String,
    },
    /// A database that was to be empty is not.
    #[error("the database is not empty: it holds {what}")]
    NotEmpty {
        /// A table or a file of it.
        what: String,
    },
    /// The database has the shape of a draft, from before the first release.
    #[error(
        "the database was made by a draft of this program and cannot be brought along: begin with a new directory"
    )]
    Draft,
    /// The database's address is none that can be used.
    #[error("the database's address cannot be used: {what}")]
    Address {
        /// Why.
        what: String,
    },
    /// The database could not be used.
    #[error("{doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: DatabaseError,
    },
    /// The server did what it was asked to, with a warning, which the log has.
    #[error("{doing}: the server warned of something")]
    Warned {
        /// What was being done.
        doing: &'static str,
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
    /// PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// What PostgreSQL or the way to it said. Details and hints stay out: they quote whole rows.
pub struct PostgresError(tokio_postgres::Error);

impl PostgresError {
    /// What kind of error the server says it is.
    pub fn code(&self) -> Option<&SqlState> {
        self.0.code()
    }
}

impl std::fmt::Display for PostgresError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::error::Error as _;
        let Some(said) = self.0.as_db_error() else {
            write!(f, "{}", self.0)?;
            return self.0.source().map_or(Ok(()), |cause| write!(f, ": {cause}"));
        };
        write!(f, "{} ({})", said.message(), said.code().code())
    }
}

impl std::fmt::Debug for PostgresError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresError({self})")
    }
}

impl std::error::Error for PostgresError {}

impl StoreError {
    /// Puts an error of SQLite's into its context.
    pub(crate) const fn sqlite(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Database { doing, source: DatabaseError::Sqlite(source) }
    }

    /// Puts an error of PostgreSQL's into its context.
    pub(crate) const fn postgres(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database { doing, source: DatabaseError::Postgres(PostgresError(source)) }
    }

    /// Whether a server said it, or the way to it failed: opening the ledger anew may find it mended.
    pub const fn is_the_servers(&self) -> bool {
        matches!(
            self,
            Self::Warned { .. } | Self::Owned | Self::Database { source: DatabaseError::Postgres(_), .. }
        )
    }

    /// Whether it passes by itself: the disk is full and room may come back, another process held the file for a moment,
    /// or the server chose this transaction to give way to another. Nothing was written.
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DiskFull};
        let Self::Database { source, .. } = self else { return false };
        let full = match source {
            DatabaseError::Sqlite(source) => {
                matches!(source.sqlite_error_code(), Some(DatabaseBusy | DiskFull))
            }
            DatabaseError::Postgres(source) => source.code() == Some(&SqlState::DISK_FULL),
        };
        full || self.gave_way()
    }

    /// Whether the server chose this transaction to give way to another, so that it may be tried again at once.
    pub(crate) fn gave_way(&self) -> bool {
        let Self::Database { source: DatabaseError::Postgres(source), .. } = self else { return false };
        let codes = [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED];
        source.code().is_some_and(|code| codes.contains(&code))
    }
}
