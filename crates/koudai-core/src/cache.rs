//! The loaded rows of one table: what decisions read and change, what they still want, and what they changed.

use std::collections::HashMap;

use crate::column::Row;

/// A row that is not loaded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent;

#[derive(Debug)]
struct Slot<R> {
    /// `None` when the table has no such row.
    row: Option<R>,
    dirty: bool,
}

/// The loaded rows of one table.
#[derive(Debug)]
pub struct Cache<R: Row> {
    slots: HashMap<R::Key, Slot<R>>,
    wanted: std::cell::RefCell<Vec<R::Key>>,
    dirty: Vec<R::Key>,
    /// What the running decision replaced; `None` where nothing was loaded.
    undo: Vec<(R::Key, Option<Slot<R>>)>,
}

impl<R: Row> Default for Cache<R> {
    fn default() -> Self {
        Self { slots: HashMap::new(), wanted: Vec::new().into(), dirty: Vec::new(), undo: Vec::new() }
    }
}

/// Sees every table once; the store's loading and writing are visitors.
pub trait TableVisitor {
    /// What can go wrong.
    type Error;
    /// Deals with one table.
    ///
    /// # Errors
    /// The visitor's own.
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error>;
}

impl<R: Row> Cache<R> {
    /// The row of a key, or that there is none.
    ///
    /// # Errors
    /// `Absent` if it is not loaded yet; it is then wanted.
    pub fn get(&self, key: &R::Key) -> Result<Option<&R>, Absent> {
        if let Some(slot) = self.slots.get(key) {
            return Ok(slot.row.as_ref());
        }
        self.wanted.borrow_mut().push(key.clone());
        Err(Absent)
    }

    /// Asks for many rows at once, so that a decision that needs them all is not stopped at each.
    ///
    /// # Errors
    /// `Absent` if any is not loaded yet; all that are not are then wanted.
    pub fn want<'k>(&self, keys: impl IntoIterator<Item = &'k R::Key>) -> Result<(), Absent>
    where
        R::Key: 'k,
    {
        // Every key is looked for: the first that is absent must not hide the others.
        let absent = keys.into_iter().filter(|key| self.get(key).is_err()).count();
        if absent == 0 { Ok(()) } else { Err(Absent) }
    }

    /// Whether a row was changed since the last `written`.
    pub fn is_changed(&self) -> bool {
        self.dirty.iter().any(|key| self.slots.get(key).is_some_and(|slot| slot.dirty))
    }

    /// Writes a row the decision has looked for.
    pub fn put(&mut self, row: R) {
        let key = row.key();
        assert!(self.slots.contains_key(&key), "a decision reads a row before it writes it");
        self.change(key, Some(row));
    }

    /// Writes a row whose key is a fresh id, so that no look-up is owed. Somebody may have guessed the id and looked for
    /// it before it was given out; what was found then is that there is no row.
    pub fn insert(&mut self, row: R) {
        let key = row.key();
        let taken = self.slots.get(&key).is_some_and(|slot| slot.row.is_some());
        assert!(!taken, "a fresh id stands for nothing yet");
        self.change(key, Some(row));
    }

    /// Deletes a row the decision has looked for.
    pub fn delete(&mut self, key: R::Key) {
        assert!(self.slots.contains_key(&key), "a decision reads a row before it deletes it");
        self.change(key, None);
    }

    fn change(&mut self, key: R::Key, row: Option<R>) {
        let old = self.slots.insert(key.clone(), Slot { row, dirty: true });
        if old.as_ref().is_none_or(|slot| !slot.dirty) {
            self.dirty.push(key.clone());
        }
        self.undo.push((key, old));
    }

    /// The keys wanted since the last call, each once.
    pub fn take_wanted(&mut self) -> Vec<R::Key> {
        let mut keys = self.wanted.take();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Puts what the table holds for a key that was wanted. A row that is loaded already stays as it is.
    pub fn loaded(&mut self, key: R::Key, row: Option<R>) {
        self.slots.entry(key).or_insert(Slot { row, dirty: false });
    }

    /// The rows changed since the last `written`, in key order: a row to write, or a key to delete.
    pub fn changes(&mut self) -> Vec<(&R::Key, Option<&R>)> {
        // An undone change leaves its key behind here; it may even stand here twice.
        let slots = &self.slots;
        self.dirty.retain(|key| slots.get(key).is_some_and(|slot| slot.dirty));
        self.dirty.sort_unstable();
        self.dirty.dedup();
        self.dirty.iter().map(|key| (key, self.slots[key].row.as_ref())).collect()
    }

    /// Marks everything as written.
    pub fn written(&mut self) {
        for key in self.dirty.drain(..) {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.dirty = false;
            }
        }
    }

    /// Forgets clean rows down to about `keep`, so that memory stays bounded.
    pub fn shrink(&mut self, keep: usize) {
        if self.slots.len() > keep {
            self.slots.retain(|_, slot| slot.dirty);
        }
    }

    /// Keeps what the running decision changed.
    pub(crate) fn accept(&mut self) {
        self.undo.clear();
    }

    /// Takes back what the running decision changed.
    pub(crate) fn undo(&mut self) {
        while let Some((key, old)) = self.undo.pop() {
            match old {
                Some(slot) => self.slots.insert(key, slot),
                None => self.slots.remove(&key),
            };
        }
    }
}
