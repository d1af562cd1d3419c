//! A file: what everybody reads, and the changes that are not on the disk for certain, of which a power cut keeps some.
//!
//! A change keeps what it replaced, so that what is written is written once: a sync has nothing to copy, and what was on
//! the disk is found by taking changes back, newest first, when power is cut, which is seldom.

use crate::Dice;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// A file of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    now: Vec<u8>,
    /// Since the last sync, or since one that failed and left its changes in memory.
    changes: Vec<Change>,
    /// What the changes replaced, one after the other.
    replaced: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    what: What,
    standing: Standing,
    /// How long the file was before.
    before: usize,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// So many bytes at `at`.
    Write {
        at: usize,
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
        self.note(What::Write { at, len: bytes.len() });
        put(&mut self.now, at, bytes);
    }

    pub(super) fn truncate(&mut self, to: usize) {
        self.note(What::Truncate { to });
        self.now.resize(to, 0);
    }

    /// Keeps what a change is about to replace.
    fn note(&mut self, what: What) {
        let before = self.now.len();
        if matches!(what, What::Truncate { to: 0 }) && self.replaced.is_empty() {
            // A log that is emptied is kept as it lies.
            std::mem::swap(&mut self.now, &mut self.replaced);
        } else {
            self.replaced.extend_from_slice(&self.now[what.replaces(before)]);
        }
        self.changes.push(Change { what, standing: Standing::Waiting, before });
    }

    /// Makes every change durable, but for those that were forgotten.
    pub(super) fn sync(&mut self) {
        if self.changes.iter().any(|change| change.standing == Standing::Forgotten) {
            self.move_waiting(Standing::Synced);
            return;
        }
        self.changes.clear();
        self.replaced.clear();
    }

    /// Writes everything again as it is read, so that it stays as it is.
    pub(super) fn write_again(&mut self) {
        let len = self.now.len();
        self.note(What::Write { at: 0, len });
        self.truncate(len);
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

    /// What a power cut leaves of a file: what was durable, and of the changes those that the dice keep.
    pub(super) fn after_power_cut(self, dice: &mut Dice) -> Self {
        let unsure = self.changes.iter().filter(|change| change.standing != Standing::Synced).count();
        let mut fates = fates(unsure, dice).into_iter();
        let (mut now, mut replaced) = (self.now, self.replaced);
        // What each change wrote is there once those after it are taken back.
        let mut taken_back: Vec<(Change, Vec<u8>)> = vec![];
        for change in self.changes.into_iter().rev() {
            let wrote = match change.what {
                What::Write { at, len } => now[at..at + len].to_vec(),
                What::Truncate { .. } => vec![],
            };
            let range = change.what.replaces(change.before);
            let old = replaced.split_off(replaced.len() - range.len());
            now.resize(change.before, 0);
            now[range].copy_from_slice(&old);
            taken_back.push((change, wrote));
        }
        for (Change { what, standing, .. }, wrote) in taken_back.into_iter().rev() {
            let fate = match standing {
                Standing::Synced => Fate::Kept,
                Standing::Waiting | Standing::Forgotten => fates.next().expect("one for each"),
            };
            let kept = match (fate, what) {
                (Fate::Lost, _) => continue,
                (Fate::Torn, What::Write { at, len }) => torn(at, len, dice),
                (Fate::Kept | Fate::Torn, _) => wrote.len(),
            };
            match what {
                What::Write { at, .. } => put(&mut now, at, &wrote[..kept]),
                What::Truncate { to } => now.resize(to, 0),
            }
        }
        Self { now, ..Self::default() }
    }
}

impl What {
    /// The bytes it replaces in a file that is so long.
    fn replaces(self, before: usize) -> std::ops::Range<usize> {
        match self {
            Self::Write { at, len } => at.min(before)..(at + len).min(before),
            Self::Truncate { to } => to.min(before)..before,
        }
    }
}

/// How much of a write is kept: its beginning, up to where a sector of the disk ends.
fn torn(at: usize, len: usize, dice: &mut Dice) -> usize {
    let sectors = (at + len).div_ceil(SECTOR) - at / SECTOR;
    let end = (at / SECTOR + dice.below(sectors)) * SECTOR;
    end.saturating_sub(at).min(len)
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
