//! A machine: its disk, who has what open and locked, and what is to go wrong. Every call of SQLite ends here.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::Arc;

use rusqlite::ffi;

use super::disk::{Disk, FileId};
use super::faults::{Call, Code, DEAD, Faults, Turn};
use super::locks::{FileLocks, HandleId, Shared};
use super::memory::Region;
use crate::Dice;

/// A file that is open.
#[derive(Debug)]
pub(super) struct Handle {
    generation: u64,
    id: HandleId,
    file: FileId,
    /// Whether its next sync also syncs the directory: the first one of a journal or log, as SQLite's own file system does.
    names_unsynced: bool,
}

/// Journals and logs, whose names matter as much as what they hold.
const LOGS: c_int = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;

/// Everything a power cut or a kill can change.
#[derive(Debug, Default)]
pub(super) struct Machine {
    generation: u64,
    handles: HandleId,
    disk: Disk,
    locks: BTreeMap<FileId, FileLocks>,
    shared: BTreeMap<FileId, Shared>,
    pub(super) faults: Faults,
}

impl Machine {
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Begins with what another machine's disk holds.
    pub(super) fn begin_like(&mut self, other: &Self) {
        self.disk = other.disk.clone();
    }

    pub(super) fn size(&self, name: &str) -> Option<usize> {
        self.disk.find(name).map(|id| self.disk.file(id).len())
    }

    /// Every process is gone at once; what was written is still there.
    pub(super) fn kill(&mut self) {
        self.generation += 1;
        self.locks.clear();
        self.shared.clear();
        self.faults.restart();
    }

    /// Every process is gone, and with them what was not durable, as the dice fall.
    pub(super) fn cut_power(&mut self, seed: u64) {
        self.disk = std::mem::take(&mut self.disk).after_power_cut(&mut Dice::new(seed));
        self.kill();
    }

    /// Nothing of before is let into a machine that has started again, nor anything into one that has stopped.
    fn of_now(&self, generation: u64) -> Result<(), Code> {
        if generation == self.generation && self.faults.stopped().is_none() { Ok(()) } else { Err(DEAD) }
    }

    fn turn(&mut self, handle: &Handle, call: Call, needs_room: bool) -> Result<Turn, Code> {
        self.of_now(handle.generation)?;
        self.faults.turn(call, needs_room)
    }

    /// Opens a file; `flags` as SQLite gives them.
    pub(super) fn open(&mut self, generation: u64, name: &str, flags: c_int) -> Result<Handle, Code> {
        self.of_now(generation)?;
        let found = self.disk.find(name);
        let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let turn = self.faults.turn(Call::Open, found.is_none() && create)?;
        let cannot = Code(ffi::SQLITE_CANTOPEN);
        let file = match found {
            Some(_) if flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0 => return Err(cannot),
            Some(file) => file,
            None if create => self.disk.create(name),
            None => return Err(cannot),
        };
        turn.end(())?;
        self.handles += 1;
        let names_unsynced = flags & LOGS != 0 && create;
        Ok(Handle { generation, id: self.handles, file, names_unsynced })
    }

    pub(super) fn close(&mut self, handle: &Handle) {
        self.unlock(handle, ffi::SQLITE_LOCK_NONE);
        self.leave_shared(handle);
    }

    /// Writes a file again as it is read, and syncs it.
    pub(super) fn write_again(&mut self, generation: u64, name: &str) -> Result<(), Code> {
        self.of_now(generation)?;
        let Some(id) = self.disk.find(name) else { return Ok(()) };
        let turn = self.faults.turn(Call::Write, false)?;
        self.disk.file_mut(id).write_again();
        turn.end(())?;
        let turn = self.faults.turn(Call::Sync, false)?;
        let file = self.disk.file_mut(id);
        if turn == Turn::Half {
            file.forget();
            return Err(Code(ffi::SQLITE_IOERR_FSYNC));
        }
        file.sync();
        turn.end(())
    }

    pub(super) fn delete(&mut self, generation: u64, name: &str, sync: bool) -> Result<(), Code> {
        self.of_now(generation)?;
        let turn = self.faults.turn(Call::Delete, false)?;
        if !self.disk.delete(name) {
            return Err(Code(ffi::SQLITE_IOERR_DELETE_NOENT));
        }
        if sync {
            self.disk.sync();
        }
        turn.end(())
    }

    /// Whether there is such a file, which for SQLite has to hold something.
    pub(super) fn access(&mut self, generation: u64, name: &str, exists: bool) -> Result<bool, Code> {
        self.of_now(generation)?;
        let turn = self.faults.turn(Call::Access, false)?;
        turn.end(self.size(name).is_some_and(|len| len > 0 || !exists))
    }

    pub(super) fn read(&mut self, handle: &Handle, at: usize, len: usize) -> Result<&[u8], Code> {
        let turn = self.turn(handle, Call::Read, false)?;
        turn.end(self.disk.file(handle.file).read(at, len))
    }

    pub(super) fn write(&mut self, handle: &Handle, at: usize, bytes: &[u8]) -> Result<(), Code> {
        let grows = at + bytes.len() > self.disk.file(handle.file).len();
        let turn = self.turn(handle, Call::Write, grows)?;
        let bytes = if turn == Turn::Half { &bytes[..bytes.len() / 2] } else { bytes };
        self.disk.file_mut(handle.file).write(at, bytes);
        turn.end(())
    }

    pub(super) fn truncate(&mut self, handle: &Handle, to: usize) -> Result<(), Code> {
        let grows = to > self.disk.file(handle.file).len();
        let turn = self.turn(handle, Call::Truncate, grows)?;
        self.disk.file_mut(handle.file).truncate(to);
        turn.end(())
    }

    pub(super) fn sync(&mut self, handle: &mut Handle) -> Result<(), Code> {
        let turn = self.turn(handle, Call::Sync, false)?;
        let file = self.disk.file_mut(handle.file);
        if turn == Turn::Half {
            file.forget();
            return Err(Code(ffi::SQLITE_IOERR_FSYNC));
        }
        file.sync();
        if std::mem::take(&mut handle.names_unsynced) {
            self.disk.sync();
        }
        turn.end(())
    }

    pub(super) fn length(&mut self, handle: &Handle) -> Result<usize, Code> {
        let turn = self.turn(handle, Call::Size, false)?;
        turn.end(self.disk.file(handle.file).len())
    }

    pub(super) fn lock(&mut self, handle: &Handle, level: c_int) -> Result<(), Code> {
        let turn = self.turn(handle, Call::Lock, false)?;
        self.locks.entry(handle.file).or_default().raise(handle.id, level)?;
        turn.end(())
    }

    pub(super) fn unlock(&mut self, handle: &Handle, level: c_int) {
        if self.of_now(handle.generation).is_ok()
            && let Some(locks) = self.locks.get_mut(&handle.file)
        {
            locks.lower(handle.id, level);
        }
    }

    pub(super) fn is_reserved(&self, handle: &Handle) -> Result<bool, Code> {
        self.of_now(handle.generation)?;
        Ok(self.locks.get(&handle.file).is_some_and(FileLocks::is_reserved))
    }

    pub(super) fn map_shared(
        &mut self,
        handle: &Handle,
        number: usize,
        bytes: usize,
        extend: bool,
    ) -> Result<Option<Arc<Region>>, Code> {
        let grows = extend && !self.shared.get(&handle.file).is_some_and(|shared| shared.has(number));
        let turn = self.turn(handle, Call::ShmMap, grows)?;
        turn.end(())?;
        Ok(self.shared.entry(handle.file).or_default().map(handle.id, number, bytes, extend))
    }

    pub(super) fn lock_shared(&mut self, handle: &Handle, locks: u32, exclusive: bool) -> Result<(), Code> {
        let turn = self.turn(handle, Call::ShmLock, false)?;
        self.shared.entry(handle.file).or_default().lock(handle.id, locks, exclusive)?;
        turn.end(())
    }

    pub(super) fn unlock_shared(&mut self, handle: &Handle, locks: u32) -> Result<(), Code> {
        self.of_now(handle.generation)?;
        if let Some(shared) = self.shared.get_mut(&handle.file) {
            shared.unlock(handle.id, locks);
        }
        Ok(())
    }

    pub(super) fn leave_shared(&mut self, handle: &Handle) {
        if self.of_now(handle.generation).is_ok()
            && let Some(shared) = self.shared.get_mut(&handle.file)
            && shared.leave(handle.id)
        {
            self.shared.remove(&handle.file);
        }
    }
}
