//! Whether two sides say the same things, without keeping what they say.
//!
//! Each thing said is boiled down to a mark under a key drawn for this run, and the marks of a side are summed. Two sides
//! that say the same, in whatever order, have equal sums; two that do not have equal ones once in 2^64. What is said is spread
//! over buckets by whom it is about, so that a difference is soon found: only what is in a bucket that differs is looked at.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Few enough for a processor's nearest memory, and enough for a few thousand of twenty million things in each.
const BUCKETS: usize = 4_096;

/// Most buckets that are looked at closely.
const LOOKED_AT: usize = 64;

/// Boils things down to marks.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(RandomState);

impl Marks {
    /// The mark of what `say` says.
    pub(super) fn of(&self, say: impl FnOnce(&mut Said)) -> u64 {
        let mut said = Said(self.0.build_hasher());
        say(&mut said);
        said.0.finish()
    }

    /// The mark of numbers.
    pub(super) fn of_numbers(&self, numbers: &[i64]) -> u64 {
        self.of(|said| said.numbers(numbers))
    }

    /// The mark of numbers and a text.
    pub(super) fn of_text(&self, numbers: &[i64], text: &[u8]) -> u64 {
        self.of(|said| {
            said.numbers(numbers);
            said.text(text);
        })
    }
}

/// What is being said.
pub(super) struct Said(<RandomState as BuildHasher>::Hasher);

impl Said {
    pub(super) fn numbers(&mut self, numbers: &[i64]) {
        for number in numbers {
            self.0.write_i64(*number);
        }
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.0.write(text);
    }
}

/// The bucket of what is about a subject.
fn bucket(subject: i64) -> usize {
    let mixed = subject.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    usize::try_from(mixed).unwrap_or(0) % BUCKETS
}

/// What one side says.
#[derive(Debug)]
pub(super) struct Tally {
    sums: Vec<u64>,
    /// How many things.
    pub(super) count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { sums: vec![0; BUCKETS], count: 0 }
    }
}

impl Tally {
    /// Adds a thing about a subject.
    pub(super) fn add(&mut self, subject: i64, mark: u64) {
        let sum = &mut self.sums[bucket(subject)];
        *sum = sum.wrapping_add(mark);
        self.count += 1;
    }

    /// Where two sides differ.
    pub(super) fn differing(&self, other: &Self) -> Suspects {
        let mut suspects = Suspects::default();
        for (at, (mine, theirs)) in self.sums.iter().zip(&other.sums).enumerate() {
            if mine != theirs {
                suspects.insert(at);
            }
        }
        suspects
    }
}

/// Subjects that have to be looked at closely, in whole buckets.
#[derive(Debug, Default)]
pub(super) struct Suspects(Vec<usize>);

impl Suspects {
    fn insert(&mut self, bucket: usize) {
        if self.0.len() < LOOKED_AT && !self.0.contains(&bucket) {
            self.0.push(bucket);
        }
    }

    /// Adds a subject.
    pub(super) fn suspect(&mut self, subject: i64) {
        self.insert(bucket(subject));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a subject is among them.
    pub(super) fn contains(&self, subject: i64) -> bool {
        self.0.contains(&bucket(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(marks: &Marks, things: &[[i64; 2]]) -> Tally {
        let mut tally = Tally::default();
        for thing in things {
            tally.add(thing[0], marks.of_numbers(thing));
        }
        tally
    }

    #[test]
    fn the_same_things_in_another_order_are_the_same() {
        let marks = Marks::default();
        let (one, other) = ([[1, 5], [2, 6], [1, 7]], [[1, 7], [1, 5], [2, 6]]);
        assert!(tally(&marks, &one).differing(&tally(&marks, &other)).is_empty());
    }

    #[test]
    fn a_thing_that_is_missing_doubled_or_another_is_suspected_and_its_subject_named() {
        let marks = Marks::default();
        let all = [[16, 5], [32, 6], [48, 7]];
        for other in [&all[1..], &[[16, 5], [16, 5], [32, 6], [48, 7]], &[[16, 6], [32, 6], [48, 7]]] {
            let suspects = tally(&marks, &all).differing(&tally(&marks, other));
            assert!(suspects.contains(16) && !suspects.contains(32), "{suspects:?}");
        }
    }
}
