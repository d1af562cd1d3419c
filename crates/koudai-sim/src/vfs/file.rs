//! A file: what everybody reads, what is on the disk for certain, and the changes in between, of which a power cut keeps
//! some.

use crate::Dice;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// A file of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    now: Vec<u8>,
    /// As it was after the last sync, but for `changes`.
    durable: Vec<u8>,
    changes: Vec<Change>,
    /// What the changes write, one after the other.
    written: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    what: What,
    standing: Standing,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// The bytes of `written` from `from`, so many, at `at`.
    Write {
        at: usize,
        from: usize,
        len: usize,
    },
    Truncate {
        to: usize,
    },
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Waiting,
    /// On the disk, behind one that is not.
    Synced,
    /// A sync failed and the system took the page for clean: no later sync writes it.
    Forgotten,
}

/// What a power cut leaves of a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// The first sectors of a write are kept.
    Torn,
}

/// What a power cut leaves of so many changes: all, none, the first ones, any, or the first ones with the last of them torn.
pub(super) fn fates(count: usize, dice: &mut Dice) -> Vec<Fate> {
    let first = |kept: usize| (0..count).map(|i| if i < kept { Fate::Kept } else { Fate::Lost }).collect();
    match dice.below(5) {
        0 => first(count),
        1 => first(0),
        2 => first(dice.below(count + 1)),
        3 => (0..count).map(|_| if dice.coin() { Fate::Kept } else { Fate::Lost }).collect(),
        _ => {
            let torn = dice.below(count);
            let mut fates: Vec<Fate> = first(torn);
            if let Some(fate) = fates.get_mut(torn) {
                *fate = Fate::Torn;
            }
            fates
        }
    }
}

impl File {
    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    /// The bytes from `at`, at most so many.
    pub(super) fn read(&self, at: usize, len: usize) -> &[u8] {
        let end = at.saturating_add(len).min(self.now.len());
        self.now.get(at..end).unwrap_or_default()
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.now, at, bytes);
        let what = What::Write { at, from: self.written.len(), len: bytes.len() };
        self.written.extend_from_slice(bytes);
        self.changes.push(Change { what, standing: Standing::Waiting });
    }

    pub(super) fn truncate(&mut self, to: usize) {
        cut(&mut self.now, to);
        self.changes.push(Change { what: What::Truncate { to }, standing: Standing::Waiting });
    }

    /// Makes every change durable, but for those that were forgotten.
    pub(super) fn sync(&mut self) {
        if self.changes.iter().any(|change| change.standing == Standing::Forgotten) {
            self.move_waiting(Standing::Synced);
            return;
        }
        for change in &self.changes {
            change.what.apply(&mut self.durable, &self.written);
        }
        self.changes.clear();
        self.written.clear();
    }

    /// Writes everything again as it is read.
    pub(super) fn write_again(&mut self) {
        let now = std::mem::take(&mut self.now);
        self.write(0, &now);
        self.truncate(now.len());
    }

    /// A sync that failed in the way that leaves changes in memory only, taken for written.
    pub(super) fn forget(&mut self) {
        self.move_waiting(Standing::Forgotten);
    }

    fn move_waiting(&mut self, to: Standing) {
        for change in &mut self.changes {
            if change.standing == Standing::Waiting {
                change.standing = to;
            }
        }
    }

    /// What a power cut leaves.
    pub(super) fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let mut left = self.durable.clone();
        let unsure = self.changes.iter().filter(|change| change.standing != Standing::Synced).count();
        let mut fates = fates(unsure, dice).into_iter();
        for change in &self.changes {
            let fate = match change.standing {
                Standing::Synced => Fate::Kept,
                Standing::Waiting | Standing::Forgotten => fates.next().expect("one for each"),
            };
            match fate {
                Fate::Kept => change.what.apply(&mut left, &self.written),
                Fate::Torn => change.what.torn(dice).apply(&mut left, &self.written),
                Fate::Lost => {}
            }
        }
        Self { now: left.clone(), durable: left, ..Self::default() }
    }
}

impl What {
    fn apply(self, bytes: &mut Vec<u8>, written: &[u8]) {
        match self {
            Self::Write { at, from, len } => put(bytes, at, &written[from..from + len]),
            Self::Truncate { to } => cut(bytes, to),
        }
    }

    /// Its beginning, up to where a sector of the disk ends.
    fn torn(self, dice: &mut Dice) -> Self {
        match self {
            Self::Write { at, from, len } => {
                let sectors = (at + len).div_ceil(SECTOR) - at / SECTOR;
                let end = (at / SECTOR + dice.below(sectors)) * SECTOR;
                Self::Write { at, from, len: end.saturating_sub(at).min(len) }
            }
            Self::Truncate { .. } => self,
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if at == bytes.len() {
        bytes.extend_from_slice(new);
        return;
    }
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn cut(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(to, 0);
}
