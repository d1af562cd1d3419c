//! The rows of `koudai-core` in a database, and the queries that pages and the courier need.
//!
//! What it must never do: decide anything. It loads the rows a batch asks for, commits what a batch changed in one
//! durable transaction, and answers questions about what is committed. A value the schema forbids is corruption: it is
//! named and everything stops; nothing is ever repaired here.

pub mod error;
pub mod sqlite;

pub use error::StoreError;
pub use sqlite::lock::DirectoryLock;
pub use sqlite::reader::{Reader, Readers};
pub use sqlite::writer::{Opened, Writer};
