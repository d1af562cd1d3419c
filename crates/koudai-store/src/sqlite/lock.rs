//! One process on a data directory: a lock on a file of its own, so that it holds whatever SQLite does to its files.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::StoreError;

/// Holds a data directory until it is dropped or its process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// The file it is a lock on.
    pub const FILE: &str = "koudai.lock";

    /// Takes the directory.
    ///
    /// # Errors
    /// `Taken` if another process has it.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        let open =
            OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(Self::FILE));
        let file = open.map_err(|source| StoreError::File { doing: "opening koudai.lock", source })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(_) => Err(StoreError::Taken { directory: directory.to_owned() }),
        }
    }
}
