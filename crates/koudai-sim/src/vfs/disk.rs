//! The files of a world and their names. A name that was made or taken away is durable once the directory is synced.

use std::collections::BTreeMap;

use super::file::{Fate, File, fates};
use crate::Dice;

/// A file, whatever it is called.
pub(super) type FileId = usize;

/// Every file of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    /// A file whose name is gone stays: it may be open, and a power cut may bring the name back.
    files: Vec<File>,
    names: BTreeMap<String, FileId>,
    durable: BTreeMap<String, FileId>,
    changes: Vec<(String, Option<FileId>)>,
}

impl Disk {
    pub(super) fn find(&self, name: &str) -> Option<FileId> {
        self.names.get(name).copied()
    }

    pub(super) fn file(&self, id: FileId) -> &File {
        &self.files[id]
    }

    pub(super) fn file_mut(&mut self, id: FileId) -> &mut File {
        &mut self.files[id]
    }

    pub(super) fn create(&mut self, name: &str) -> FileId {
        let id = self.files.len();
        self.files.push(File::default());
        self.names.insert(name.to_owned(), id);
        self.changes.push((name.to_owned(), Some(id)));
        id
    }

    /// Takes a name away. Whether there was one.
    pub(super) fn delete(&mut self, name: &str) -> bool {
        let found = self.names.remove(name).is_some();
        if found {
            self.changes.push((name.to_owned(), None));
        }
        found
    }

    /// Makes names durable.
    pub(super) fn sync(&mut self) {
        for (name, id) in self.changes.drain(..) {
            name_it(&mut self.durable, name, id);
        }
    }

    /// What a power cut leaves.
    pub(super) fn after_power_cut(mut self, dice: &mut Dice) -> Self {
        let mut names = std::mem::take(&mut self.durable);
        for ((name, id), fate) in self.changes.iter().zip(fates(self.changes.len(), dice)) {
            // A name is there or it is not.
            if fate == Fate::Kept {
                name_it(&mut names, name.clone(), *id);
            }
        }
        let mut left = Self::default();
        for (name, id) in names {
            left.durable.insert(name.clone(), left.files.len());
            left.names.insert(name, left.files.len());
            // A file has one name, and is not needed here any more.
            left.files.push(std::mem::take(&mut self.files[id]).after_power_cut(dice));
        }
        left
    }
}

fn name_it(names: &mut BTreeMap<String, FileId>, name: String, id: Option<FileId>) {
    match id {
        Some(id) => names.insert(name, id),
        None => names.remove(&name),
    };
}
