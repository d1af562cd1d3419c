//! Locks on a file and in the memory that its connections share, as SQLite's own file system keeps them.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::Arc;

use rusqlite::ffi;

use super::faults::Code;
use super::memory::Region;

/// An open file.
pub(super) type HandleId = u64;

const BUSY: Code = Code(ffi::SQLITE_BUSY);

/// Who holds which lock on a file: the levels of SQLite, from `SQLITE_LOCK_NONE` to `SQLITE_LOCK_EXCLUSIVE`.
#[derive(Debug, Default)]
pub(super) struct FileLocks(BTreeMap<HandleId, c_int>);

impl FileLocks {
    /// Takes a lock of a level.
    pub(super) fn raise(&mut self, handle: HandleId, level: c_int) -> Result<(), Code> {
        let held = self.0.get(&handle).copied().unwrap_or(ffi::SQLITE_LOCK_NONE);
        if held >= level {
            return Ok(());
        }
        let others =
            self.0.iter().filter(|(id, _)| **id != handle).map(|(_, level)| *level).max().unwrap_or(0);
        let in_the_way = match level {
            ffi::SQLITE_LOCK_SHARED => ffi::SQLITE_LOCK_PENDING,
            _ => ffi::SQLITE_LOCK_RESERVED,
        };
        if others >= in_the_way {
            return Err(BUSY);
        }
        if level == ffi::SQLITE_LOCK_EXCLUSIVE && others >= ffi::SQLITE_LOCK_SHARED {
            // It keeps new readers out while it waits for the last ones to go.
            self.0.insert(handle, ffi::SQLITE_LOCK_PENDING);
            return Err(BUSY);
        }
        self.0.insert(handle, level);
        Ok(())
    }

    /// Gives a lock up, down to a level.
    pub(super) fn lower(&mut self, handle: HandleId, level: c_int) {
        if level == ffi::SQLITE_LOCK_NONE {
            self.0.remove(&handle);
        } else if let Some(held) = self.0.get_mut(&handle) {
            *held = level.min(*held);
        }
    }

    /// Whether anybody means to write.
    pub(super) fn is_reserved(&self) -> bool {
        self.0.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED)
    }
}

/// The memory that the connections of a database share, and the locks in it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    regions: Vec<Arc<Region>>,
    users: BTreeMap<HandleId, Held>,
}

/// The locks a connection holds, a bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    shared: u32,
    exclusive: u32,
}

impl Shared {
    /// Whether a region is there.
    pub(super) fn has(&self, number: usize) -> bool {
        number < self.regions.len()
    }

    /// A region, made if `extend` says so.
    pub(super) fn map(
        &mut self,
        handle: HandleId,
        number: usize,
        bytes: usize,
        extend: bool,
    ) -> Option<Arc<Region>> {
        self.users.entry(handle).or_default();
        while extend && self.regions.len() <= number {
            self.regions.push(Arc::new(Region::new(bytes)));
        }
        self.regions.get(number).cloned()
    }

    /// Takes locks, or waits for nobody.
    pub(super) fn lock(&mut self, handle: HandleId, locks: u32, exclusive: bool) -> Result<(), Code> {
        let in_the_way = |held: &Held| {
            let all = if exclusive { held.shared | held.exclusive } else { held.exclusive };
            all & locks != 0
        };
        if self.users.iter().any(|(id, held)| *id != handle && in_the_way(held)) {
            return Err(BUSY);
        }
        let held = self.users.entry(handle).or_default();
        if exclusive {
            held.exclusive |= locks;
        } else {
            held.shared |= locks;
        }
        Ok(())
    }

    pub(super) fn unlock(&mut self, handle: HandleId, locks: u32) {
        if let Some(held) = self.users.get_mut(&handle) {
            held.shared &= !locks;
            held.exclusive &= !locks;
        }
    }

    /// Leaves it. Whether nobody is left, and it is to be thrown away.
    pub(super) fn leave(&mut self, handle: HandleId) -> bool {
        self.users.remove(&handle);
        self.users.is_empty()
    }
}
