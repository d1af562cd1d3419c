//! `koudai verify`: every invariant of a ledger, checked from the journals up, whichever database holds it.
//!
//! It shares the row types with the core and nothing else: no posting, sealing or balance code of the engine's runs here,
//! so that a mistake there is not repeated here. It may run beside a working server and reads in short views, so that the
//! server is never kept from folding its log. It keeps a little for each account, person and card, and nothing for each
//! journal, order or refund: those are read once, in order, and what two sides must both say is summed (`tally.rs`).
//!
//! `start.rs` fixes where the ledger stands. `replay.rs` replays it by itself, with `seals.rs`. `people.rs`, `attempts.rs`,
//! `orders.rs`, `transfers.rs`, `withdrawals.rs`, `issuing.rs` and `reconciliation.rs` hold the rows against each other, and
//! `claims.rs` works out the one journal each of them stands for and leaves no journal over. `numbers.rs` holds tables of
//! numbers against the rows that have them. `look.rs` names what is wrong where sums differ.

mod attempts;
mod claims;
mod deliveries;
mod issuing;
mod look;
mod numbers;
mod orders;
mod people;
mod reconciliation;
mod replay;
mod seals;
mod start;
mod static_codes;
mod tally;
mod transfers;
mod withdrawals;

use std::collections::BTreeMap;
use std::thread::{ScopedJoinHandle, scope};
use std::time::Instant;

use koudai_store::{Database, Reader, StoreError};
use serde::Serialize;

use crate::process;
use claims::Claims;
use orders::{Counted, Numbers, Orders};
use people::People;
use start::Start;
use tally::{Marks, Tally};

/// Rows of a table, lines or journals read at once.
const CHUNK: i64 = 4_096;

/// What was checked, for people and for scripts.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Journals, each with its checksum, its number, its place in a seal, its effect on every account and its row.
    pub(crate) journals: u64,
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
    /// Transfers of merchants to people.
    pub(crate) transfers: usize,
    /// Withdrawals of people to their cards.
    pub(crate) withdrawals: usize,
    /// Movements of money between holders and apps, the declined ones too.
    pub(crate) app_moves: usize,
    /// Lines of networks' books.
    pub(crate) statement_lines: u64,
    /// What differs from networks' books, or did.
    pub(crate) differences: usize,
    /// Calls to networks whose outcome is not known yet.
    pub(crate) open_attempts: usize,
    /// Minor units owed to people, merchants and apps.
    pub(crate) owed_minor: i128,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Journals a second.
    pub(crate) journals_per_s: u64,
    /// The most memory the process has held, in bytes.
    pub(crate) most_memory_bytes: u64,
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

/// What is named first when several things are wrong: what is nearest to the root of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    File,
    Replay,
    Seals,
    Balances,
    History,
    Notices,
    /// A row that cannot be read at all.
    Rows,
    People,
    Attempts,
    Orders,
    Refunds,
    RefundSums,
    Transfers,
    Withdrawals,
    StaticCodes,
    Issuing,
    Reconciliation,
    Claims,
    Deliveries,
}

/// The first thing found wrong at each stage.
#[derive(Debug, Default)]
struct Found(BTreeMap<Stage, Wrong>);

impl Found {
    /// Keeps what is wrong; or gives back what came of it.
    fn note<T>(&mut self, stage: Stage, result: Result<T, Wrong>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(wrong) => {
                let stage = if matches!(wrong, Wrong::Store(_)) { stage.min(Stage::Rows) } else { stage };
                self.0.entry(stage).or_insert(wrong);
                None
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, stage: Stage) -> bool {
        self.0.contains_key(&stage)
    }

    fn first(mut self) -> Result<(), Wrong> {
        self.0.pop_first().map_or(Ok(()), |(_, wrong)| Err(wrong))
    }
}

/// Checks a ledger.
///
/// It asks for as much of the machine as any program: a reader of SQLite holds the writer's lock for a moment now and then,
/// and one that the system lets wait in that moment (`nice`) makes the server wait with it.
///
/// # Errors
/// What is wrong, of several things the one nearest to the root.
pub(crate) fn run(database: &Database) -> Result<Report, Wrong> {
    let began = Instant::now();
    let mut found = Found::default();
    let mut report = scope(|threads| {
        let file = threads.spawn(|| Ok::<_, Wrong>(database.reader()?.check_file()?));
        let reader = database.reader();
        let start = reader.map_err(Wrong::from).and_then(|reader| Ok((Start::read(&reader)?, reader)));
        let checked = match found.note(Stage::Replay, start) {
            Some((start, reader)) => check_from(database, start, reader, &mut found),
            None => Report::default(),
        };
        found.note(Stage::File, joined(file));
        checked
    });
    found.first()?;
    let took = began.elapsed();
    report.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    report.journals_per_s = report.journals.saturating_mul(1_000) / report.took_ms.max(1);
    report.most_memory_bytes = process::most_memory_bytes();
    Ok(report)
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The newest of what has a number of its own beside it.
#[derive(Clone, Copy, Debug)]
struct Newest {
    attempt: i64,
    transfer: i64,
    withdrawal: i64,
    app_move: i64,
}

/// What the tables of numbers say.
struct TablesOfNumbers {
    numbers: Numbers,
    top_ups: Tally,
    transfers: Tally,
    withdrawals: Tally,
    app_moves: Tally,
}

/// What the rows say.
struct Said {
    claims: Claims,
    numbers: Numbers,
    top_ups: Tally,
    transfers: Tally,
    withdrawals: Tally,
    app_moves: Tally,
}

/// Checks everything from where the ledger stood: the journals, the rows, and the tables of numbers beside each other.
fn check_from(database: &Database, start: Start, reader: Reader, found: &mut Found) -> Report {
    let (marks, head) = (start.marks.clone(), start.head);
    let newest = Newest {
        attempt: start.newest_attempt,
        transfer: start.newest_transfer,
        withdrawal: start.newest_withdrawal,
        app_move: start.newest_app_move,
    };
    let counted = Counted::new(&start);
    let mut said = Said {
        claims: Claims::new(marks.clone(), start.at),
        numbers: Numbers::default(),
        top_ups: Tally::default(),
        transfers: Tally::default(),
        withdrawals: Tally::default(),
        app_moves: Tally::default(),
    };
    let mut of_rows = Found::default();
    let mut report = Report::default();
    let (stated, numbers) = scope(|threads| {
        let replaying = threads.spawn(move || {
            let (mut report, mut found) = (Report::default(), Found::default());
            let claims = replay::run(reader, start, &mut report, &mut found);
            (claims, report, found)
        });
        let (beside, own_marks) = (counted.clone(), marks.clone());
        let counting = threads.spawn(move || {
            let reader = database.reader()?;
            Ok(TablesOfNumbers {
                numbers: beside.read(&reader)?,
                top_ups: attempts::read_numbers(&reader, newest.attempt, &own_marks)?,
                transfers: transfers::read_numbers(&reader, newest.transfer, &own_marks)?,
                withdrawals: withdrawals::read_numbers(&reader, newest.withdrawal, &own_marks)?,
                app_moves: issuing::read_numbers(&reader, newest.app_move, &own_marks)?,
            })
        });
        let rows = check_rows(database, &counted, &marks, newest, &mut said, &mut of_rows);
        let (claims, ledger, wrong) = joined(replaying);
        found.0.extend(wrong.0);
        report = Report {
            journals: ledger.journals,
            seals: ledger.seals,
            accounts: ledger.accounts,
            owed_minor: ledger.owed_minor,
            ..rows
        };
        (claims, joined(counting))
    });
    if let Some(numbers) = of_rows.note(Stage::Rows, numbers) {
        compare_numbers(database, &numbers, &said, &counted, newest, &mut of_rows);
    }
    found.0.extend(of_rows.0);
    if found.is_empty() {
        found.note(Stage::Claims, compare_claims(database, head, &stated, &said.claims));
    }
    report
}

fn check_rows(
    database: &Database,
    counted: &Counted,
    marks: &Marks,
    newest: Newest,
    said: &mut Said,
    found: &mut Found,
) -> Report {
    let mut report = Report::default();
    let Some(reader) = found.note(Stage::Rows, database.reader().map_err(Wrong::from)) else { return report };
    let Some(people) = found.note(Stage::People, People::read(&reader, marks)) else { return report };
    let top_ups = attempts::run(&reader, &people, &mut said.claims, newest.attempt, marks, &mut report);
    // Orders are read all the same: half an order is nearer to the root than a call without one.
    said.top_ups = found.note(Stage::Attempts, top_ups).unwrap_or_default();
    let mut orders = Orders {
        people: &people,
        counted: counted.clone(),
        claims: &mut said.claims,
        report: &mut report,
        found,
        merchants: start::Ids::default(),
        numbers: Numbers::default(),
    };
    let done = orders.run(&reader);
    said.numbers = orders.numbers;
    found.note(Stage::Orders, done);
    let transfers = transfers::run(&reader, &people, &mut said.claims, newest.transfer, marks, &mut report);
    said.transfers = found.note(Stage::Transfers, transfers).unwrap_or_default();
    let withdrawals =
        withdrawals::run(&reader, &people, &mut said.claims, newest.withdrawal, marks, &mut report);
    said.withdrawals = found.note(Stage::Withdrawals, withdrawals).unwrap_or_default();
    found.note(Stage::StaticCodes, static_codes::run(&reader));
    let moves = issuing::run(&reader, &people, &mut said.claims, newest.app_move, marks, &mut report);
    said.app_moves = found.note(Stage::Issuing, moves).unwrap_or_default();
    let compared = reconciliation::run(&reader, &mut said.claims, &mut report);
    found.note(Stage::Reconciliation, compared);
    found.note(Stage::Deliveries, deliveries::run(&reader));
    report
}

/// Holds the tables of numbers against the rows that have them, as far as those were read.
fn compare_numbers(
    database: &Database,
    TablesOfNumbers { numbers, top_ups, transfers, withdrawals, app_moves }: &TablesOfNumbers,
    said: &Said,
    counted: &Counted,
    newest: Newest,
    found: &mut Found,
) {
    let read_all = |stage: Stage, found: &Found| found.0.keys().all(|wrong| *wrong > stage);
    let mut look =
        |stage: Stage, mine: &Tally, theirs: &Tally, name: &dyn Fn(&Reader, &tally::Suspects) -> Wrong| {
            let suspects = mine.differing(theirs);
            if !suspects.is_empty() && read_all(stage, found) {
                let named =
                    database.reader().map_err(Wrong::from).and_then(|reader| Err(name(&reader, &suspects)));
                found.note::<()>(stage, named);
            }
        };
    look(Stage::Refunds, &said.numbers.refunds, &numbers.refunds, &|reader, suspects| {
        counted.look_at_refunds(reader, suspects, [said.numbers.refunds.count, numbers.refunds.count])
    });
    look(Stage::Orders, &said.numbers.orders, &numbers.orders, &|reader, suspects| {
        counted.look_at_orders(reader, suspects, [said.numbers.orders.count, numbers.orders.count])
    });
    look(Stage::Attempts, &said.top_ups, top_ups, &|reader, suspects| {
        attempts::look_at_numbers(reader, newest.attempt, suspects, [said.top_ups.count, top_ups.count])
    });
    look(Stage::Transfers, &said.transfers, transfers, &|reader, suspects| {
        let counts = [said.transfers.count, transfers.count];
        transfers::look_at_numbers(reader, newest.transfer, suspects, counts)
    });
    look(Stage::Withdrawals, &said.withdrawals, withdrawals, &|reader, suspects| {
        let counts = [said.withdrawals.count, withdrawals.count];
        withdrawals::look_at_numbers(reader, newest.withdrawal, suspects, counts)
    });
    look(Stage::Issuing, &said.app_moves, app_moves, &|reader, suspects| {
        let counts = [said.app_moves.count, app_moves.count];
        issuing::look_at_numbers(reader, newest.app_move, suspects, counts)
    });
}

/// Holds what the journals say against what the rows say.
fn compare_claims(database: &Database, head: i64, stated: &Claims, said: &Claims) -> Result<(), Wrong> {
    let reader = database.reader()?;
    let suspects = claims::differing(&reader, head, stated, said)?;
    if suspects.is_empty() { Ok(()) } else { look::look(&reader, &suspects) }
}
