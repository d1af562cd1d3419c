//! The engine on real files: what is answered is on the disk, and no crowd gets more out of it than one at a time would.

mod commits;
mod crowds;
mod failures;
mod wallet;
