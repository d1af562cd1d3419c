//! The chain of seals, held against the journals as they come by: only the path of one Merkle tree is kept.

use std::collections::VecDeque;

use koudai_core::ledger::Seal;
use sha2::{Digest, Sha256};

use super::{Wrong, broken, check};

/// The Merkle tree of one seal's journals (RFC 6962, section 2.1), built from the left: the roots of its whole subtrees, each
/// with its height, and each lower than the one before.
#[derive(Debug, Default)]
struct Tree(Vec<(u32, [u8; 32])>);

impl Tree {
    fn push(&mut self, leaf: [u8; 32]) {
        let (mut height, mut root) = (0, leaf);
        while let Some((_, left)) = self.0.pop_if(|(other, _)| *other == height) {
            root = node(&left, &root);
            height += 1;
        }
        self.0.push((height, root));
    }

    /// The root of all that was pushed.
    fn take_root(&mut self) -> [u8; 32] {
        let Some((_, mut root)) = self.0.pop() else { return Sha256::digest([]).into() };
        while let Some((_, left)) = self.0.pop() {
            root = node(&left, &root);
        }
        root
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The chain as far as it has come by.
#[derive(Debug)]
pub(super) struct Chain {
    /// Seals that were read and whose journals have not come by.
    waiting: VecDeque<(Seal, [u8; 32])>,
    /// The number and the hash of the seal before.
    number: i64,
    before: [u8; 32],
    epoch: i64,
    /// The last journal that is sealed.
    sealed: i64,
    tree: Tree,
    /// The newest journal there is.
    head: i64,
    /// How many were found right.
    pub(super) seals: u64,
    wrong: Option<Wrong>,
}

impl Chain {
    pub(super) fn new(head: i64) -> Self {
        Self {
            waiting: VecDeque::new(),
            number: -1,
            before: [0; 32],
            epoch: 0,
            sealed: 0,
            tree: Tree::default(),
            head,
            seals: 0,
            wrong: None,
        }
    }

    /// Takes in the next seals.
    pub(super) fn read(&mut self, seals: Result<Vec<(Seal, [u8; 32])>, Wrong>) {
        match seals {
            Ok(seals) => self.waiting.extend(seals),
            Err(wrong) => drop(self.wrong.get_or_insert(wrong)),
        }
    }

    /// Takes in the canonical bytes of the next journal.
    pub(super) fn journal(&mut self, seq: i64, body: &[u8]) {
        if self.wrong.is_some() {
            return;
        }
        self.close_up_to(seq - 1);
        self.tree.push(Sha256::new().chain_update([0]).chain_update(body).finalize().into());
        self.close_up_to(seq);
    }

    /// Checks the seals that end at this journal or before.
    fn close_up_to(&mut self, seq: i64) {
        while self.wrong.is_none()
            && let Some((seal, hash)) = self.waiting.pop_front_if(|(seal, _)| {
                // One that does not follow, or covers what is not there, is not waited for.
                seal.last.0 <= seq || seal.last.0 > self.head || seal.first.0 != self.sealed + 1
            })
        {
            self.wrong = self.close(&seal, hash).err();
        }
    }

    fn close(&mut self, seal: &Seal, hash: [u8; 32]) -> Result<(), Wrong> {
        self.number += 1;
        let row = || format!("seal {}", seal.no);
        check(seal.no == self.number, "seals are numbered without gaps", row)?;
        check(seal.previous == self.before, "each seal carries the hash of the one before", row)?;
        check(seal.epoch >= self.epoch, "epochs only rise", row)?;
        check(seal.first.0 == self.sealed + 1, "seals cover the journals without gaps", row)?;
        let there = seal.last.0 >= self.sealed && seal.last.0 <= self.head;
        check(there, "a seal covers journals that exist", row)?;
        check(seal.root == self.tree.take_root(), "a seal's root is that of its journals", row)?;
        let mut own = Sha256::new().chain_update(b"koudai seal 1").chain_update(seal.previous);
        for n in [seal.no, seal.epoch, seal.first.0, seal.last.0] {
            own.update(n.to_be_bytes());
        }
        own.update(seal.root);
        check(<[u8; 32]>::from(own.finalize()) == hash, "a seal's hash is its own", row)?;
        (self.before, self.sealed, self.epoch) = (hash, seal.last.0, seal.epoch);
        self.seals += 1;
        Ok(())
    }

    /// Checks what is left when every journal has come by.
    pub(super) fn finish(&mut self) -> Result<(), Wrong> {
        self.close_up_to(self.head);
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        if self.sealed == self.head {
            Ok(())
        } else {
            Err(broken(
                "every journal is sealed",
                format!("{} journals, sealed up to {}", self.head, self.sealed),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree hash as the RFC writes it down: split at the largest power of two below the count.
    fn by_the_book(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&by_the_book(&leaves[..split]), &by_the_book(&leaves[split..]))
            }
        }
    }

    #[test]
    fn a_tree_built_from_the_left_has_the_root_of_rfc_6962() {
        let mut tree = Tree::default();
        for count in 0..70_u8 {
            let leaves: Vec<[u8; 32]> = (0..count).map(|n| Sha256::digest([n]).into()).collect();
            for leaf in &leaves {
                tree.push(*leaf);
            }
            assert_eq!(tree.take_root(), by_the_book(&leaves), "{count} leaves");
        }
    }
}
