//! `koudai verify`: every invariant of a data directory, checked from the journals up.
//!
//! It shares the row types with the core and nothing else: no posting, sealing or balance code of the engine's runs here,
//! so that a mistake there is not repeated here. It reads one snapshot and may run beside a working server.
//!
//! `journals.rs` replays the ledger by itself. `rows.rs` holds the rows against each other, works out the one journal each
//! of them stands for, and leaves no journal over.

mod journals;
mod rows;

use koudai_store::{Database, StoreError};
use serde::Serialize;

use journals::Facts;
use rows::Books;

/// What was checked, for people and for scripts.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Journals, each with its checksum, its number, its place in a seal, its effect on every account and its row.
    pub(crate) journals: usize,
    /// Seals, from the first.
    pub(crate) seals: u64,
    /// Accounts with a balance.
    pub(crate) accounts: usize,
    /// Orders.
    pub(crate) orders: usize,
    /// Orders that are paid.
    pub(crate) paid: usize,
    /// Refunds.
    pub(crate) refunds: usize,
    /// Calls to networks whose outcome is not known yet.
    pub(crate) open_attempts: usize,
    /// Minor units owed to people and merchants.
    pub(crate) owed_minor: i128,
}

/// The first thing found wrong, with the rows it concerns.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// The database could not be read, or holds what its own checks forbid.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An invariant does not hold.
    #[error("{invariant}: {rows}")]
    Broken {
        /// Which.
        invariant: &'static str,
        /// Where.
        rows: String,
    },
}

fn check(holds: bool, invariant: &'static str, rows: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(broken(invariant, rows())) }
}

const fn broken(invariant: &'static str, rows: String) -> Wrong {
    Wrong::Broken { invariant, rows }
}

/// Checks a ledger.
///
/// # Errors
/// The first thing found wrong.
pub(crate) fn run(database: &Database) -> Result<Report, Wrong> {
    database.reader()?.snapshot(|reader| {
        reader.check_file()?;
        let mut report = Report::default();
        let mut facts = Facts::replay(reader, &mut report)?;
        facts.check_seals(reader, &mut report)?;
        facts.check_balances(&mut report)?;
        facts.check_history()?;
        facts.check_notices(reader)?;
        let books = Books::load(reader, &mut report)?;
        books.check_people()?;
        books.check_attempts()?;
        books.check_orders()?;
        books.check_refunds()?;
        books.claim_journals(&mut facts)?;
        facts.check_all_claimed()?;
        Ok(report)
    })
}
