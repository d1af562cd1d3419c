//! The loaded rows of one table: what decisions read and change, what they still want, and what they changed.
//!
//! Rows lie in a slab with an index beside it, so that those long unused are found without a walk over all: a clock hand
//! goes round (`evict`).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::column::{Row, Value};

/// A row that is not loaded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent;

/// When a row was last changed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// The batch of the newest change; 0 for a row as it was loaded.
    batch: u64,
    /// Whether that batch changed more than the row's second table.
    whole: bool,
}

const UNCHANGED: Mark = Mark { batch: 0, whole: false };

#[derive(Debug)]
struct Slot<R: Row> {
    key: R::Key,
    /// `None` when the table has no such row.
    row: Option<R>,
    mark: Mark,
    /// The batch it was last read or changed in.
    used: Cell<u64>,
}

/// What the running decision replaced in a slot.
#[derive(Debug)]
enum Undo<R> {
    /// The slot was not there.
    Made(u32),
    /// The slot held this.
    Changed(u32, Option<R>, Mark),
}

/// Slots a chunk of the slab holds: it grows without ever moving what it has.
const CHUNK: usize = 256;

/// A part of the slab. One whose rows are all forgotten gives its memory back.
#[derive(Debug)]
struct Chunk<R: Row> {
    slots: Vec<Option<Slot<R>>>,
    /// Places of slots that were forgotten.
    free: Vec<u16>,
}

impl<R: Row> Default for Chunk<R> {
    fn default() -> Self {
        Self { slots: vec![], free: vec![] }
    }
}

impl<R: Row> Chunk<R> {
    fn is_full(&self) -> bool {
        self.slots.len() == CHUNK && self.free.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    fn place(&mut self) -> usize {
        if let Some(place) = self.free.pop() {
            return place.into();
        }
        if self.slots.is_empty() {
            self.slots.reserve_exact(CHUNK);
        }
        self.slots.push(None);
        self.slots.len() - 1
    }
}

/// How much longer a row that is used again and again is kept than one that has its day. Orders that are paid once would
/// otherwise push out the accounts of those who pay them.
const KEPT_LONGER: u64 = 16;

/// The loaded rows of one table.
#[derive(Debug)]
pub struct Cache<R: Row> {
    index: HashMap<R::Key, u32>,
    chunks: Vec<Chunk<R>>,
    /// Chunks that may have room, the one to fill next last.
    open: Vec<usize>,
    hand: usize,
    /// The batch being decided.
    batch: u64,
    wanted: RefCell<Vec<R::Key>>,
    /// What was loaded for another cache.
    arrivals: Vec<(R::Key, Option<R>)>,
    /// Slots changed in this batch; one that was undone may still stand here.
    changed: Vec<u32>,
    undo: Vec<Undo<R>>,
    heap_bytes: usize,
}

impl<R: Row> Default for Cache<R> {
    fn default() -> Self {
        Self {
            index: HashMap::new(),
            chunks: vec![],
            open: vec![],
            hand: 0,
            batch: 1,
            wanted: RefCell::default(),
            arrivals: vec![],
            changed: vec![],
            undo: vec![],
            heap_bytes: 0,
        }
    }
}

/// Sees every table once; the store's loading is a visitor.
pub trait TableVisitor {
    /// What can go wrong.
    type Error;
    /// Deals with one table.
    ///
    /// # Errors
    /// The visitor's own.
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error>;
}

/// What a batch changed in one table, as cells to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableChanges {
    /// Which of `Rows::shapes`.
    pub table: usize,
    /// Whole rows to write over whatever stands there, in key order, one after the other.
    pub upserts: Vec<Value>,
    /// Keys to delete, in key order, one after the other.
    pub deletes: Vec<Value>,
}

impl<R: Row> Cache<R> {
    fn peek(&self, at: usize) -> Option<&Slot<R>> {
        self.chunks[at / CHUNK].slots.get(at % CHUNK).and_then(Option::as_ref)
    }

    fn slot(&self, at: u32) -> &Slot<R> {
        self.peek(at as usize).expect("the index points at slots that are there")
    }

    fn slot_mut(&mut self, at: u32) -> &mut Slot<R> {
        let at = at as usize;
        let slot = self.chunks[at / CHUNK].slots[at % CHUNK].as_mut();
        slot.expect("the index points at slots that are there")
    }

    fn add(&mut self, key: R::Key, row: Option<R>, mark: Mark) -> u32 {
        while self.open.pop_if(|chunk| self.chunks[*chunk].is_full()).is_some() {}
        let chunk = self.open.last().copied().unwrap_or_else(|| {
            self.chunks.push(Chunk::default());
            self.open.push(self.chunks.len() - 1);
            self.chunks.len() - 1
        });
        let place = self.chunks[chunk].place();
        let at = u32::try_from(chunk * CHUNK + place).expect("fewer than four thousand million rows");
        self.index.insert(key.clone(), at);
        self.heap_bytes += row.as_ref().map_or(0, R::heap_bytes);
        self.chunks[chunk].slots[place] = Some(Slot { key, row, mark, used: Cell::new(self.batch) });
        at
    }

    fn remove(&mut self, at: u32) {
        let number = at as usize / CHUNK;
        let chunk = &mut self.chunks[number];
        let place = at as usize % CHUNK;
        let slot = chunk.slots[place].take().expect("what is removed is there");
        if chunk.is_full() {
            self.open.push(number);
        }
        chunk.free.push(u16::try_from(place).expect("a chunk is small"));
        if chunk.is_empty() {
            *chunk = Chunk::default();
        }
        self.heap_bytes -= slot.row.as_ref().map_or(0, R::heap_bytes);
        self.index.remove(&slot.key);
    }

    fn replace(&mut self, at: u32, row: Option<R>, mark: Mark) -> (Option<R>, Mark) {
        let (new, batch) = (row.as_ref().map_or(0, R::heap_bytes), self.batch);
        let slot = self.slot_mut(at);
        slot.used.set(batch);
        let old = (std::mem::replace(&mut slot.row, row), std::mem::replace(&mut slot.mark, mark));
        self.heap_bytes = self.heap_bytes + new - old.0.as_ref().map_or(0, R::heap_bytes);
        old
    }

    /// The row of a key, or that there is none.
    ///
    /// # Errors
    /// `Absent` if it is not loaded yet; it is then wanted.
    pub fn get(&self, key: &R::Key) -> Result<Option<&R>, Absent> {
        if let Some(at) = self.index.get(key) {
            let slot = self.slot(*at);
            slot.used.set(self.batch);
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

    /// Deletes those of these rows that are over. A key without a row is no error.
    ///
    /// # Errors
    /// `Absent` if any is not loaded yet, before any is deleted.
    pub fn sweep(&mut self, keys: &[R::Key], is_over: impl Fn(&R) -> bool) -> Result<(), Absent> {
        self.want(keys)?;
        for key in keys {
            if self.get(key)?.is_some_and(&is_over) {
                self.delete(key);
            }
        }
        Ok(())
    }

    /// Whether the batch changed a row that is to be committed.
    pub fn is_changed(&self) -> bool {
        !R::DERIVED && self.changed.iter().any(|at| self.is_changed_at(*at))
    }

    fn is_changed_at(&self, at: u32) -> bool {
        self.peek(at as usize).is_some_and(|slot| slot.mark.batch == self.batch)
    }

    /// Writes a row the decision has looked for.
    pub fn put(&mut self, row: R) {
        let at = *self.index.get(&row.key()).expect("a decision reads a row before it writes it");
        self.change(at, Some(row));
    }

    /// Writes a row whose key is a fresh id, so that no look-up is owed. Somebody may have guessed the id and looked for
    /// it before it was given out; what was found then is that there is no row.
    pub fn insert(&mut self, row: R) {
        let key = row.key();
        if let Some(at) = self.index.get(&key).copied() {
            assert!(self.slot(at).row.is_none(), "a fresh id stands for nothing yet");
            return self.change(at, Some(row));
        }
        let at = self.add(key, Some(row), Mark { batch: self.batch, whole: true });
        self.changed.push(at);
        self.undo.push(Undo::Made(at));
    }

    /// Writes a row over whatever stands under its key, which nobody has to look for first: its place in a ring is taken
    /// in turn, and what stood there goes.
    pub fn overwrite(&mut self, row: R) {
        let key = row.key();
        if let Some(at) = self.index.get(&key).copied() {
            return self.change(at, Some(row));
        }
        let at = self.add(key, Some(row), Mark { batch: self.batch, whole: true });
        self.changed.push(at);
        self.undo.push(Undo::Made(at));
    }

    /// Deletes a row the decision has looked for.
    pub fn delete(&mut self, key: &R::Key) {
        let at = *self.index.get(key).expect("a decision reads a row before it deletes it");
        self.change(at, None);
    }

    fn change(&mut self, at: u32, row: Option<R>) {
        let slot = self.slot(at);
        let before = slot.mark.batch == self.batch;
        let whole = R::MOVING.is_none()
            || before && slot.mark.whole
            || match (&slot.row, &row) {
                (Some(old), Some(new)) => !new.is_fixed_as(old),
                _ => true,
            };
        if !before {
            self.changed.push(at);
        }
        let (row, mark) = self.replace(at, row, Mark { batch: self.batch, whole });
        self.undo.push(Undo::Changed(at, row, mark));
    }

    /// The keys wanted since the last call, each once.
    pub fn take_wanted(&mut self) -> Vec<R::Key> {
        if !self.is_wanted() {
            // As in most tables.
            return vec![];
        }
        let mut keys = self.wanted.take();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Puts what the table holds for a key that was wanted. A row that is loaded already stays as it is.
    pub fn loaded(&mut self, key: R::Key, row: Option<R>) {
        if !self.index.contains_key(&key) {
            self.add(key, row, UNCHANGED);
        }
    }

    /// The rows this batch changed, in key order: a row to write, or a key to delete, and whether more than the second
    /// table of the row is concerned.
    pub fn changes(&mut self) -> Vec<(&R::Key, Option<&R>, bool)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|at| self.is_changed_at(*at));
        changed.sort_unstable_by(|a, b| self.slot(*a).key.cmp(&self.slot(*b).key));
        // What was undone and changed again stands here twice.
        changed.dedup();
        self.changed = changed;
        let of = |at: &u32| {
            let slot = self.slot(*at);
            (&slot.key, slot.row.as_ref(), slot.mark.whole)
        };
        self.changed.iter().map(of).collect()
    }

    /// Appends what this batch changed as cells; `table` counts the tables of `Rows::shapes` seen so far.
    pub(crate) fn write_changes(&mut self, table: usize, out: &mut Vec<TableChanges>) {
        if R::DERIVED || self.changed.is_empty() {
            return;
        }
        let mut main = TableChanges { table, ..TableChanges::default() };
        let mut moving = TableChanges { table: table + 1, ..TableChanges::default() };
        for (key, row, whole) in self.changes() {
            use crate::column::Column as _;
            match row {
                Some(row) => {
                    if whole {
                        row.write(&mut main.upserts);
                    }
                    if R::MOVING.is_some() {
                        row.write_moving(&mut moving.upserts);
                    }
                }
                None => {
                    key.write(&mut main.deletes);
                    if R::MOVING.is_some() {
                        key.write(&mut moving.deletes);
                    }
                }
            }
        }
        out.extend([main, moving].into_iter().filter(|t| !t.upserts.is_empty() || !t.deletes.is_empty()));
    }

    /// Ends the batch: what it changed is on its way to the database, and the next batch is decided on it.
    pub fn next_batch(&mut self) {
        self.changed.clear();
        self.batch += 1;
    }

    /// About how many bytes the loaded rows take. The place of one that was forgotten goes to the next.
    pub fn bytes(&self) -> usize {
        // The index is between seven eighths and half of that full, and keeps one byte of its own an entry.
        let entry = 2 * (std::mem::size_of::<(R::Key, u32)>() + 1);
        self.len() * (std::mem::size_of::<Option<Slot<R>>>() + entry) + self.heap_bytes
    }

    /// How many rows are loaded, those the table does not have included.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no row is loaded.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Moves the hand over one row in `share` and forgets those that were last used more than `age` batches ago, or
    /// `KEPT_LONGER` times as many if they are of the kind that is used again and again. A row
    /// stays as long as the batch that changed it is later than `committed`: until then the database holds an older one.
    pub fn evict(&mut self, share: usize, age: u64, committed: u64) {
        let slots = self.chunks.len() * CHUNK;
        let age = if R::KEPT { age.saturating_mul(KEPT_LONGER) } else { age };
        let before = self.batch.saturating_sub(age);
        for _ in 0..slots.div_ceil(share) {
            self.hand = (self.hand + 1) % slots;
            let Some(slot) = self.peek(self.hand) else { continue };
            if slot.mark.batch <= committed && slot.used.get() < before {
                self.remove(u32::try_from(self.hand).expect("slots are counted in 32 bits"));
            }
        }
        if self.index.len() < self.index.capacity() / 4 {
            self.index.shrink_to(2 * self.index.len());
        }
    }

    /// Hands the wanted keys to another cache, which loads them.
    pub(crate) fn hand_wanted(&mut self, loading: &mut Self) {
        loading.wanted.get_mut().append(self.wanted.get_mut());
    }

    /// Puts what the table holds for a key that was wanted where `absorb` finds it.
    pub fn arrived(&mut self, key: R::Key, row: Option<R>) {
        self.arrivals.push((key, row));
    }

    /// Takes in what has arrived for another cache.
    pub(crate) fn absorb(&mut self, loading: &mut Self) {
        for (key, row) in loading.arrivals.drain(..) {
            self.loaded(key, row);
        }
    }

    /// Whether any row is wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.wanted.borrow().is_empty()
    }

    /// Keeps what the running decision changed.
    pub(crate) fn accept(&mut self) {
        self.undo.clear();
    }

    /// Takes back what the running decision changed.
    pub(crate) fn undo(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Made(at) => self.remove(at),
                Undo::Changed(at, row, mark) => drop(self.replace(at, row, mark)),
            }
        }
    }
}
