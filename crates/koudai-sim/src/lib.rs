//! Worlds for simulations: what the released code meets outside itself, made of memory and driven by one seed, so that a
//! test can cut the power or fail a disk at any moment and do exactly the same again.
//!
//! What it must never do: be part of a released program, decide anything of a ledger, or imitate what it can run for real.
//! The code under test is the code that is released, SQLite included; only the world around it is made up. It reads no
//! clock, takes no chance that does not come from a seed, and touches no file.

pub mod dice;
pub mod history;
pub mod vfs;

pub use dice::Dice;
