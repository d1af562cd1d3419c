//! The engine on a real database: what is answered is on the disk, and no crowd gets more out of it than one at a time would.

mod commits;
mod crowds;
mod failures;
#[path = "../../../koudai-store/tests/store/place.rs"]
mod place;
mod takeover;
mod wallet;
