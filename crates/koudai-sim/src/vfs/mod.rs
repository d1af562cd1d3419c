//! A file system for SQLite, in memory, whose power can be cut and whose calls can fail.
//!
//! A world is one machine with one directory. SQLite reaches it through a VFS of the name `NAME`, which is one for all
//! worlds: a file's path says whose it is. Worlds know nothing of each other and may be used on as many threads as there
//! are.
//!
//! A machine that has stopped starts again as the next *generation*: by `kill`, with everything that was written, or by
//! `cut_power`, with what was synced and a choice of the rest. Paths carry the generation and handles remember it, so that
//! a connection from before, which may be dropped late, reaches nothing of the machine after.
//!
//! What is taken from a disk: a sync makes a file's changes durable; names are durable when a journal or a log is synced
//! for the first time since it was opened, or a file deleted with a sync of the directory, as SQLite's own file system does
//! both; between syncs changes reach the disk in any order, a write perhaps only up to where a sector of 512 bytes ends;
//! bytes beside a write stay as they were, which is what SQLite is told of a disk in a release, too.
//!
//! Files without a name, where SQLite sorts, are plain memory: they belong to no world, count nothing and never fail. Time
//! stands still. What SQLite rolls for itself, the salt of its logs, comes from one generator for the whole process: the
//! bytes of two runs differ there, and no call does.

mod disk;
mod faults;
mod file;
mod locks;
mod machine;
mod memory;
#[expect(unsafe_code, reason = "SQLite's interface for file systems is one of C")]
mod sqlite;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use rusqlite::{Connection, OpenFlags};

pub use faults::{Call, Failure, Fault, Stop};
use machine::Machine;

/// The name of the VFS that reaches the worlds.
pub const NAME: &str = "koudai-sim";

/// The worlds there are. One that was dropped lives on, unreachable, until its last file is closed.
static WORLDS: RwLock<BTreeMap<u64, Weak<Mutex<Machine>>>> = RwLock::new(BTreeMap::new());

/// A machine with a directory in memory.
#[derive(Debug)]
pub struct World {
    number: u64,
    machine: Arc<Mutex<Machine>>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A machine with an empty disk.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        sqlite::register();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let machine = Arc::default();
        WORLDS.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::downgrade(&machine));
        Self { number, machine }
    }

    /// Another machine, whose disk begins with what this one's holds.
    pub fn twin(&self) -> Self {
        let twin = Self::new();
        twin.machine().begin_like(&self.machine());
        twin
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }

    /// The path of a file as the machine knows it until it stops.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("world-{}.{}/{name}", self.number, self.machine().generation()))
    }

    /// A connection to a database on it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn connect(&self, name: &str) -> rusqlite::Result<Connection> {
        Connection::open_with_flags_and_vfs(self.path(name), OpenFlags::default(), NAME)
    }

    /// How long a file is, in bytes, if there is one.
    pub fn size(&self, name: &str) -> Option<usize> {
        self.machine().size(name)
    }

    /// Plans a fault, beside those that are planned.
    pub fn plan(&self, fault: Fault) {
        self.machine().faults.plan(fault);
    }

    /// Takes back every fault that is planned or lasts. A machine that has stopped stays so.
    pub fn mend(&self) {
        self.machine().faults.mend();
    }

    /// How many calls there were since the world began, of one kind or of all.
    pub fn calls(&self, of: Option<Call>) -> u64 {
        self.machine().faults.count(of)
    }

    /// Where the machine stopped, if a fault stopped it.
    pub fn stopped(&self) -> Option<Stop> {
        self.machine().faults.stopped()
    }

    /// Cuts the power and starts the machine again: files are as they were synced, and of what was not the seed chooses
    /// what is kept, for each file all, nothing, the first changes, any, or the first with the last write torn; the same of names.
    /// Locks and shared memory are gone, and every handle is dead. What is planned or lasts, does.
    pub fn cut_power(&self, seed: u64) {
        self.machine().cut_power(seed);
    }

    /// Ends every process and lets new ones begin: everything that was written is there, and what was not synced is still
    /// not. Locks and shared memory are gone, and every handle is dead. What is planned or lasts, does.
    pub fn kill(&self) {
        self.machine().kill();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        WORLDS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Writes a file of a world's again as it is read, and syncs it; for `koudai_store::sqlite::Place`.
///
/// # Errors
/// What the world's faults say, or that there is no such machine.
pub fn write_again(path: &Path) -> io::Result<()> {
    let (machine, generation, name) =
        path.to_str().and_then(find).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let written = lock(&machine).write_again(generation, name);
    written.map_err(|code| io::Error::other(format!("{code:?}")))
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine, its generation and the name that a path speaks of.
fn find(path: &str) -> Option<(Arc<Mutex<Machine>>, u64, &str)> {
    let (world, name) = path.strip_prefix("world-")?.split_once('/')?;
    let (number, generation) = world.split_once('.')?;
    let worlds = WORLDS.read().unwrap_or_else(PoisonError::into_inner);
    let machine = worlds.get(&number.parse().ok()?)?.upgrade()?;
    Some((machine, generation.parse().ok()?, name))
}
