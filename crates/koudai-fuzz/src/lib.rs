//! Everything that comes from outside, given to its parser as arbitrary bytes: whatever comes, the answer is a value.
//!
//! A target is a name and a function; `targets.rs` lists them, and the gateway lists its own request bodies beside their
//! parsers. CI runs each on its corpus and on mutations of it from a fixed seed (`tests/mutations.rs`); `tests/long.sh fuzz`
//! runs each under libFuzzer, which the stable toolchain can build. `corpus/NAME/` holds a few inputs of our own for each.
//!
//! What it must never do: be part of the program, reach a network or a file, or decide at random: one input, one path.

mod mutation;
mod targets;

use std::path::{Path, PathBuf};

pub use mutation::Mutator;
pub use targets::targets;

/// One parser under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its folder in `corpus/`.
    pub name: &'static str,
    /// Gives it one input. Panics if it misbehaves.
    pub run: fn(&[u8]),
}

impl Target {
    /// The target of a name.
    pub fn named(name: &str) -> Option<Self> {
        targets().into_iter().find(|target| target.name == name)
    }

    /// Where its inputs are kept.
    pub fn corpus(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }
}
