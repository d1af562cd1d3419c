//! `koudai backup` and `koudai restore` as an operator meets them: a copy beside a busy server, a loss, and what is there
//! again; and everything that is refused.
//!
//! With `KOUDAI_TEST_POSTGRES` ledgers go through servers' databases too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cut_short;
#[path = "../drive/mod.rs"]
mod drive;
mod ground;
mod lost;
#[path = "../../../koudai-store/tests/store/place.rs"]
mod place;
mod refused;
