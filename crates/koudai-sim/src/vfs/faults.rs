//! What is to go wrong: every call is counted, and a plan says which of them fails and how.

use std::ffi::c_int;

use rusqlite::ffi;

/// What SQLite asks of a file system, as it is counted. Giving up a lock and closing a file cannot fail and do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A file is opened or made.
    Open,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is made durable.
    Sync,
    /// A file is cut.
    Truncate,
    /// A name is taken away.
    Delete,
    /// A name is looked for.
    Access,
    /// A file's length is asked for.
    Size,
    /// A lock on a file is taken.
    Lock,
    /// Memory that connections share is mapped.
    ShmMap,
    /// A lock in that memory is taken.
    ShmLock,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Open,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::Truncate,
        Self::Delete,
        Self::Access,
        Self::Size,
        Self::Lock,
        Self::ShmMap,
        Self::ShmLock,
    ];

    /// What SQLite's own file system says when it fails.
    const fn error(self) -> Code {
        Code(match self {
            Self::Open => ffi::SQLITE_CANTOPEN,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Access => ffi::SQLITE_IOERR_ACCESS,
            Self::Size => ffi::SQLITE_IOERR_FSTAT,
            Self::Lock => ffi::SQLITE_IOERR_LOCK,
            Self::ShmMap => ffi::SQLITE_IOERR_SHMMAP,
            Self::ShmLock => ffi::SQLITE_IOERR_SHMLOCK,
        })
    }

    /// The same where no room is left, if that can happen to it.
    const fn no_room(self) -> Option<Code> {
        match self {
            Self::Write => Some(Code(ffi::SQLITE_FULL)),
            Self::Open | Self::Sync | Self::Truncate => Some(self.error()),
            Self::ShmMap => Some(Code(ffi::SQLITE_IOERR_SHMSIZE)),
            Self::Read | Self::Delete | Self::Access | Self::Size | Self::Lock | Self::ShmLock => None,
        }
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is done (EIO).
    Error,
    /// No room is left (ENOSPC). A call that needs none passes.
    Full,
    /// Half is written, and then no room is left. A call that writes nothing passes.
    Short,
    /// A sync fails and what it was to write is taken for written, as Linux does: it is read as before, no later sync writes it,
    /// and a power cut may lose it. Any other call passes.
    Forgotten,
    /// The machine stops before the call, and every later one fails.
    StopBefore,
    /// The machine stops when the call is done, before anybody hears of it, and every later one fails.
    StopAfter,
}

/// A call that is to fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which calls are counted: of one kind, or all.
    pub on: Option<Call>,
    /// Which of them it is, counted from 1 and from when the fault is planned.
    pub nth: u64,
    /// How it fails.
    pub how: Failure,
    /// Whether those after it fail too, until the world is mended. A disk that is full is full for all that needs room.
    pub lasting: bool,
}

/// Where a machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The number of the call among all.
    pub nth: u64,
    /// What it was.
    pub call: Call,
    /// Whether it was done.
    pub done: bool,
}

/// A result code of SQLite that is an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Code(pub(super) c_int);

/// For a call to a machine that has stopped, or on a handle from before it did.
pub(super) const DEAD: Code = Code(ffi::SQLITE_IOERR);

/// How a call that was let through is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    Whole,
    /// Half of what is to be written.
    Half,
    /// Wholly, and nobody hears of it.
    Unheard,
}

impl Turn {
    /// What is answered when it is done.
    pub(super) const fn end<T: Copy>(self, answer: T) -> Result<T, Code> {
        match self {
            Self::Whole => Ok(answer),
            Self::Half => Err(Code(ffi::SQLITE_FULL)),
            Self::Unheard => Err(DEAD),
        }
    }
}

/// Counts calls and fails those that are to fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    counts: [u64; Call::ALL.len()],
    in_all: u64,
    planned: Vec<Planned>,
    stopped: Option<Stop>,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    at: u64,
    struck: bool,
}

impl Planned {
    /// How it fails the call that was just counted, if it does.
    fn strikes(&mut self, call: Call, count: u64, needs_room: bool) -> Option<Failure> {
        let counted = self.fault.on.is_none_or(|on| on == call);
        if !self.struck {
            self.struck = counted && count == self.at;
            return self.struck.then_some(self.fault.how);
        }
        let (again, how) = match self.fault.how {
            Failure::Full | Failure::Short => (needs_room, Failure::Full),
            how => (counted, how),
        };
        (self.fault.lasting && again).then_some(how)
    }
}

impl Faults {
    pub(super) fn plan(&mut self, fault: Fault) {
        let at = self.count(fault.on) + fault.nth;
        self.planned.push(Planned { fault, at, struck: false });
    }

    pub(super) fn mend(&mut self) {
        self.planned.clear();
    }

    pub(super) const fn restart(&mut self) {
        self.stopped = None;
    }

    pub(super) fn count(&self, on: Option<Call>) -> u64 {
        on.map_or(self.in_all, |call| self.counts[call as usize])
    }

    pub(super) const fn stopped(&self) -> Option<Stop> {
        self.stopped
    }

    /// Counts a call. How it is done, or its error.
    pub(super) fn turn(&mut self, call: Call, needs_room: bool) -> Result<Turn, Code> {
        if self.stopped.is_some() {
            return Err(DEAD);
        }
        self.in_all += 1;
        self.counts[call as usize] += 1;
        let (in_all, of_kind) = (self.in_all, self.counts[call as usize]);
        let mut struck = None;
        for planned in &mut self.planned {
            let count = if planned.fault.on.is_some() { of_kind } else { in_all };
            struck = struck.or(planned.strikes(call, count, needs_room));
        }
        match struck {
            Some(Failure::Error) => Err(call.error()),
            Some(Failure::Full) => call.no_room().map_or(Ok(Turn::Whole), Err),
            Some(Failure::Short) if call == Call::Write => Ok(Turn::Half),
            Some(Failure::Forgotten) if call == Call::Sync => Ok(Turn::Half),
            None | Some(Failure::Short | Failure::Forgotten) => Ok(Turn::Whole),
            Some(how @ (Failure::StopBefore | Failure::StopAfter)) => {
                let done = how == Failure::StopAfter;
                self.stopped = Some(Stop { nth: in_all, call, done });
                if done { Ok(Turn::Unheard) } else { Err(DEAD) }
            }
        }
    }
}
