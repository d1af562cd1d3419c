//! The rows of `koudai-core` in a database, and the queries that pages and the courier need.
//!
//! What it must never do: decide anything. It loads the rows a batch asks for, commits what a batch changed in one
//! durable transaction, writes behind what follows from the journals, and answers questions about what is committed. A
//! value the schema forbids is corruption: it is named and everything stops; nothing is ever repaired here.

pub mod commit;
pub mod error;
mod opening;
mod postgres;
pub mod reader;
pub mod recent;
pub mod scan;
mod sql;
pub mod sqlite;

use std::path::PathBuf;

use koudai_core::secret::Secret;

pub use commit::{Commit, CommitError, Committer, Loader, Opened};
pub use error::StoreError;
pub use reader::{Reader, Readers};
pub use recent::Recent;
pub use scan::{Range, RawJournal};
pub use sqlite::lock::DirectoryLock;

/// The only partition there is so far.
pub(crate) const PARTITION: i64 = 1;

/// Where a ledger is kept.
#[derive(Clone, Debug)]
pub enum Database {
    /// In a file of this data directory (SQLite).
    Directory(PathBuf),
    /// In a database of a PostgreSQL server, named by its URL, which may hold a password. The server is reached through a
    /// Unix socket or on this machine (loopback): what is sent is not encrypted. A pooler between them has to keep sessions
    /// whole.
    Server(Secret<String>),
}

/// How a database is used.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Journals between two turns of what is written behind (`recent::GENERATION`).
    pub generation: i64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { generation: recent::GENERATION }
    }
}

impl Database {
    /// A server's database, by its URL.
    ///
    /// # Errors
    /// `Address` if it is none, or names another machine.
    pub fn server(url: Secret<String>) -> Result<Self, StoreError> {
        postgres::check_address(&url)?;
        Ok(Self::Server(url))
    }

    /// Opens or creates the database and becomes its owner: a new epoch is durable before this returns.
    ///
    /// # Errors
    /// `Taken` by another process (a directory; of a server's database, the new owner takes over), `TooNew`, or what the
    /// database says.
    pub fn open(&self, tuning: Tuning) -> Result<Opened, StoreError> {
        match self {
            Self::Directory(directory) => sqlite::open(directory, tuning),
            Self::Server(url) => postgres::open(url, tuning),
        }
    }

    /// A connection of its own beside whoever owns the database, for long reads. It sees what is in the tables and nothing
    /// of the owner's memory.
    ///
    /// # Errors
    /// What the database says.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        match self {
            Self::Directory(directory) => {
                Ok(Reader::outside(sqlite::connect(&directory.join(sqlite::FILE))?))
            }
            Self::Server(url) => Ok(Reader::outside(postgres::outside(url)?)),
        }
    }
}
