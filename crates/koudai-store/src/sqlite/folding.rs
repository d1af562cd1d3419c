//! Folds the write-ahead log into the database, mostly beside the writer: a thread of its own copies what is committed, and
//! the writer only finishes what is left when the log has grown long.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::place::Place;
use crate::error::StoreError;

/// Bytes of new log after which the thread copies them.
const COPY_BYTES: u64 = 8 << 20;
/// Past this size the writer cuts the log. What the thread has copied already costs it nothing.
const CUT_BYTES: u64 = 64 << 20;
/// How many commits lie between two looks at the log's size.
const LOOK_EVERY: u32 = 16;
/// How many commits of a simulation lie between two copies of the log, and between two cuts.
const SIMULATED_COPY: u32 = 4;
const SIMULATED_CUT: u32 = 16;

/// Keeps the log short.
#[derive(Debug)]
pub(super) enum Folding {
    /// By a thread of its own.
    Beside(Beside),
    /// By the writer alone, after so many commits: for simulations.
    Between { commits: u32 },
}

/// The thread, and how far it has come.
#[derive(Debug)]
pub(super) struct Beside {
    log: PathBuf,
    commits: u32,
    copied_to: u64,
    nudge: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Folding {
    /// Starts for a database.
    pub(super) fn start(place: &Place) -> Result<Self, StoreError> {
        if place.is_simulated() {
            Ok(Self::Between { commits: 0 })
        } else {
            Beside::start(place).map(Self::Beside)
        }
    }

    /// Looks at the log after a commit, and sees to it that it is copied or cut.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        match self {
            Self::Beside(beside) => beside.after_commit(writer),
            Self::Between { commits } => {
                *commits = commits.wrapping_add(1);
                if commits.is_multiple_of(SIMULATED_CUT) {
                    cut(writer);
                } else if commits.is_multiple_of(SIMULATED_COPY) {
                    copy(writer);
                }
            }
        }
    }
}

impl Beside {
    fn start(place: &Place) -> Result<Self, StoreError> {
        let connection = place.connect(OpenFlags::default()).and_then(|connection| {
            connection.pragma_update(None, "synchronous", super::SYNCHRONOUS)?;
            // The writer folds by itself for a moment now and then; it is never waited for.
            connection.busy_timeout(Duration::ZERO)?;
            Ok(connection)
        });
        let connection = connection.map_err(StoreError::sqlite("opening the database to fold its log"))?;
        let (nudge, nudged) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("folding".to_owned())
            .spawn(move || copy_when_nudged(&connection, &nudged))
            .map_err(|source| StoreError::File { doing: "starting the thread that folds the log", source })?;
        Ok(Self { log: place.log(), commits: 0, copied_to: 0, nudge: Some(nudge), thread: Some(thread) })
    }

    fn after_commit(&mut self, writer: &Connection) {
        self.commits = self.commits.wrapping_add(1);
        if !self.commits.is_multiple_of(LOOK_EVERY) {
            return;
        }
        let length = std::fs::metadata(&self.log).map_or(0, |m| m.len());
        if length > CUT_BYTES {
            if cut(writer) {
                self.copied_to = 0;
            }
        } else if length >= self.copied_to + COPY_BYTES
            && let Some(nudge) = &self.nudge
            && nudge.try_send(()).is_ok()
        {
            self.copied_to = length;
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // The thread's connection is closed before the directory is free for another owner.
        self.nudge = None;
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn copy_when_nudged(connection: &Connection, nudged: &Receiver<()>) {
    while nudged.recv().is_ok() {
        copy(connection);
    }
}

fn copy(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log could not be copied yet");
    }
}

/// Whether it is cut. A reader in the way, or the thread, only puts it off: the writer's patience is not for them.
fn cut(writer: &Connection) -> bool {
    let at_once = || {
        writer.busy_timeout(Duration::ZERO)?;
        let cut = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        writer.busy_timeout(super::WRITER_PATIENCE)?;
        cut
    };
    match at_once() {
        Ok(false) => return true,
        Ok(true) => tracing::debug!("the write-ahead log could not be cut yet"),
        Err(error) => tracing::warn!(%error, "the write-ahead log could not be cut"),
    }
    false
}
