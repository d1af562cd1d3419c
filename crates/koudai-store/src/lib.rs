//! The rows of `koudai-core` in a database, and the queries that pages and the courier need.
//!
//! What it must never do: decide anything. It loads the rows a batch asks for, commits what a batch changed in one
//! durable transaction, writes behind what follows from the journals, and answers questions about what is committed. A
//! value the schema forbids is corruption: it is named and everything stops; nothing is ever repaired here.

pub mod commit;
pub mod copy;
pub mod error;
mod opening;
mod postgres;
pub mod reader;
pub mod recent;
pub mod scan;
mod sql;
pub mod sqlite;
pub mod statements;

use std::path::PathBuf;
use std::time::Duration;

use koudai_core::secret::Secret;

/// Whoever waits for a server's ledger takes it when its owner has shown no sign of life for so long.
pub const LEASE: Duration = Duration::from_secs(5);
/// So long after asking the database, an owner whom it let commit is sure to be the owner still.
pub(crate) const SURE_FOR: Duration = Duration::from_secs(4);

pub use commit::{Commit, CommitError, Committer, Hold, Loader, Opened};
pub use error::StoreError;
pub use postgres::watching::{Sight, Watch};
pub use reader::{Reader, Readers};
pub use recent::Recent;
pub use scan::{Range, RawJournal};
pub use sqlite::Place;
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
    /// In a file on the file system of a simulation, never in a release.
    Simulated(Place),
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
    /// `Taken` by another process (a directory; a server's database is taken over, so look first with `watch`), `TooNew`, or
    /// what the database says.
    pub fn open(&self, tuning: Tuning) -> Result<Opened, StoreError> {
        match self {
            Self::Directory(directory) => sqlite::open(directory, tuning),
            Self::Server(url) => postgres::open(url, None, tuning),
            Self::Simulated(place) => sqlite::open_simulated(place, tuning),
        }
    }

    /// As `open`, if the ledger's epoch is still the one that `watch` showed, 0 if there was none: of several who saw that a
    /// ledger is free, one becomes its owner, and nobody takes it from that one again. Where ownership is a lock, the lock
    /// sees to that.
    ///
    /// # Errors
    /// `Owned` if another became the owner since then, or as `open`.
    pub fn open_as_seen(&self, epoch: i64, tuning: Tuning) -> Result<Opened, StoreError> {
        match self {
            Self::Directory(_) | Self::Simulated(_) => self.open(tuning),
            Self::Server(url) => postgres::open(url, Some(epoch), tuning),
        }
    }

    /// A look at who owns the ledger, for somebody who waits for it. `None` where ownership is a lock: `open` tells at once.
    ///
    /// # Errors
    /// What the database says.
    pub fn watch(&self) -> Result<Option<Watch>, StoreError> {
        match self {
            Self::Directory(_) | Self::Simulated(_) => Ok(None),
            Self::Server(url) => Watch::open(url).map(Some),
        }
    }

    /// A connection of its own beside whoever owns the database, for long reads. It sees what is in the tables and nothing
    /// of the owner's memory.
    ///
    /// # Errors
    /// What the database says.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        match self {
            Self::Directory(directory) => Ok(Reader::outside(sqlite::connect(&Place::of(directory))?)),
            Self::Server(url) => Ok(Reader::outside(postgres::outside(url)?)),
            Self::Simulated(place) => Ok(Reader::outside(sqlite::connect(place)?)),
        }
    }
}
