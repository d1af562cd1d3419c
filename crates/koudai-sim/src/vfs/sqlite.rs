//! The VFS as SQLite calls it: pointers and integers on one side, a `Machine` on the other. The only unsafe code there is.
//!
//! SQLite promises for every function here (`sqlite3_vfs`, `sqlite3_io_methods` in its manual): pointers are valid for the
//! call, buffers are as long as it says, a file is the memory `open` filled in, and no two threads use one file at once. A
//! panic ends the process, since it may not cross C.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, Once};

use rusqlite::ffi;

use super::faults::{Code, DEAD};
use super::file::File;
use super::machine::{Handle, Machine};
use super::memory::Region;
use super::{NAME, find, lock};
use crate::Dice;

/// As SQLite's own file system on Linux says of a disk.
const SECTOR_BYTES: c_int = 4_096;
const DEVICE: c_int = ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ;
/// The length of a path, with its end.
const PATH_BYTES: c_int = 512;
/// The moment at which time stands still, in milliseconds of the Julian day: 2026-01-01 12:00 UTC.
const NOW: i64 = 2_461_042 * 86_400_000;

/// A file as SQLite holds it: it makes room for this and hands it to every method.
#[repr(C)]
struct Slot {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// A file that is open.
enum Open {
    Named {
        machine: Arc<Mutex<Machine>>,
        handle: Handle,
        /// What it has mapped stays for as long as it may look, even if the machine has started again.
        regions: Vec<Arc<Region>>,
    },
    /// Without a name, and nobody else's.
    Scratch(File),
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(take_lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes SQLite know the VFS, once for the process.
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let name = std::ffi::CString::new(NAME).expect("it holds no zero");
        let vfs = ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: c_int::try_from(size_of::<Slot>()).expect("it is small"),
            mxPathname: PATH_BYTES,
            pNext: ptr::null_mut(),
            zName: name.into_raw(),
            pAppData: ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: None,
            xGetLastError: None,
            xCurrentTimeInt64: Some(current_time),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        // SAFETY: the structure and its name are never freed, and SQLite links it while it holds its own lock.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite takes a VFS");
    });
}

fn code(result: Result<(), Code>) -> c_int {
    result.map_or_else(|Code(code)| code, |()| ffi::SQLITE_OK)
}

/// The file behind a pointer of SQLite's.
///
/// # Safety
/// `file` was filled in by `open`, is not closed yet, and nobody else uses it during the call.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: `open` put a `Slot` there whose `open` is a box of its own, and the caller has it for itself.
    unsafe { &mut *(*file.cast::<Slot>()).open }
}

/// The path behind a pointer of SQLite's; empty, which is nobody's, if it is no text.
///
/// # Safety
/// `name` is a text that ends with a zero and lives through the call.
unsafe fn path<'a>(name: *const c_char) -> &'a str {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default()
}

fn length(n: c_int) -> usize {
    usize::try_from(n).expect("SQLite counts from zero")
}

fn offset(n: ffi::sqlite3_int64) -> usize {
    usize::try_from(n).expect("SQLite counts from zero")
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let slot = file.cast::<Slot>();
    // SAFETY: `file` has room for a `Slot`, as `szOsFile` asks. Without methods SQLite does not close it.
    unsafe { (*slot).base.pMethods = ptr::null() };
    let open = if name.is_null() {
        Open::Scratch(File::default())
    } else {
        // SAFETY: a name is a text of SQLite's.
        let Some((machine, generation, name)) = find(unsafe { path(name) }) else {
            return ffi::SQLITE_CANTOPEN;
        };
        let handle = lock(&machine).open(generation, name, flags);
        match handle {
            Ok(handle) => Open::Named { machine, handle, regions: Vec::new() },
            Err(Code(code)) => return code,
        }
    };
    // SAFETY: as above; `out_flags` may be null.
    unsafe {
        (*slot).open = Box::into_raw(Box::new(open));
        (*slot).base.pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: a name is a text of SQLite's.
    let Some((machine, generation, name)) = find(unsafe { path(name) }) else { return DEAD.0 };
    code(lock(&machine).delete(generation, name, sync_dir != 0))
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    found: *mut c_int,
) -> c_int {
    // SAFETY: a name is a text of SQLite's.
    let Some((machine, generation, name)) = find(unsafe { path(name) }) else { return DEAD.0 };
    let exists = lock(&machine).access(generation, name, flags == ffi::SQLITE_ACCESS_EXISTS);
    match exists {
        Ok(exists) => {
            // SAFETY: the answer goes there.
            unsafe { *found = exists.into() };
            ffi::SQLITE_OK
        }
        Err(Code(code)) => code,
    }
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: a name is a text of SQLite's.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.len() > length(room) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: there is room for so many, and SQLite's two buffers are apart.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    let mut dice = Dice::new(0);
    let bytes: Vec<u8> = (0..count).map(|_| dice.roll().to_le_bytes()[0]).collect();
    // SAFETY: there is room for so many.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len()) };
    count
}

/// Time stands still, but another thread may have something to do.
extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    std::thread::yield_now();
    microseconds
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: the answer goes there.
    unsafe { *out = NOW };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made the box, and SQLite closes a file once.
    let open = unsafe { Box::from_raw((*file.cast::<Slot>()).open) };
    if let Open::Named { machine, handle, .. } = *open {
        lock(&machine).close(&handle);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    amount: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (at, amount) = (offset(at), length(amount));
    let give = |bytes: &[u8]| {
        // SAFETY: there is room for `amount` bytes, and what is read is never more.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast::<u8>(), bytes.len());
            ptr::write_bytes(out.cast::<u8>().add(bytes.len()), 0, amount - bytes.len());
        }
        if bytes.len() == amount { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
    };
    // SAFETY: an open file of SQLite's.
    match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => {
            lock(machine).read(handle, at, amount).map_or_else(|Code(code)| code, give)
        }
        Open::Scratch(scratch) => give(scratch.read(at, amount)),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: so many bytes are there.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length(amount)) };
    // SAFETY: an open file of SQLite's.
    match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => code(lock(machine).write(handle, offset(at), bytes)),
        Open::Scratch(scratch) => {
            scratch.write(offset(at), bytes);
            scratch.sync();
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, to: ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file of SQLite's.
    match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => code(lock(machine).truncate(handle, offset(to))),
        Open::Scratch(scratch) => {
            scratch.truncate(offset(to));
            scratch.sync();
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file of SQLite's.
    match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => code(lock(machine).sync(handle)),
        Open::Scratch(_) => ffi::SQLITE_OK,
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: an open file of SQLite's.
    let size = match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => lock(machine).length(handle),
        Open::Scratch(scratch) => Ok(scratch.len()),
    };
    match size {
        Ok(size) => {
            // SAFETY: the answer goes there.
            unsafe { *out = i64::try_from(size).expect("memory is not as large") };
            ffi::SQLITE_OK
        }
        Err(Code(code)) => code,
    }
}

unsafe extern "C" fn take_lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file of SQLite's.
    match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => code(lock(machine).lock(handle, level)),
        Open::Scratch(_) => ffi::SQLITE_OK,
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file of SQLite's.
    if let Open::Named { machine, handle, .. } = unsafe { opened(file) } {
        lock(machine).unlock(handle, level);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: an open file of SQLite's.
    let reserved = match unsafe { opened(file) } {
        Open::Named { machine, handle, .. } => lock(machine).is_reserved(handle),
        Open::Scratch(_) => Ok(false),
    };
    match reserved {
        Ok(reserved) => {
            // SAFETY: the answer goes there.
            unsafe { *out = reserved.into() };
            ffi::SQLITE_OK
        }
        Err(Code(code)) => code,
    }
}

extern "C" fn file_control(_: *mut ffi::sqlite3_file, _op: c_int, _argument: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES
}

extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    DEVICE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    number: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let mut start = ptr::null_mut();
    // SAFETY: an open file of SQLite's.
    let result = match unsafe { opened(file) } {
        Open::Named { machine, handle, regions } => {
            lock(machine).map_shared(handle, length(number), length(bytes), extend != 0).map(|region| {
                if let Some(region) = region {
                    start = region.start();
                    regions.push(region);
                }
            })
        }
        Open::Scratch(_) => Err(DEAD),
    };
    // SAFETY: the answer goes there. The region lives until the file is closed or unmaps it.
    unsafe { *out = start };
    code(result)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file of SQLite's.
    let Open::Named { machine, handle, .. } = (unsafe { opened(file) }) else { return DEAD.0 };
    let locks = ((1_u32 << count) - 1) << first;
    let mut machine = lock(machine);
    code(if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        machine.unlock_shared(handle, locks)
    } else {
        machine.lock_shared(handle, locks, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0)
    })
}

extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: an open file of SQLite's.
    if let Open::Named { machine, handle, regions } = unsafe { opened(file) } {
        lock(machine).leave_shared(handle);
        regions.clear();
    }
    ffi::SQLITE_OK
}
