//! `koudai restore`: a checked copy becomes the ledger of a directory that has its keys, in the database that directory
//! names.
//!
//! The file `restored` says `unfinished` before anything else is written, and nothing opens such a directory; a restore that
//! was cut short is begun anew. It says `unreconciled` once the ledger is whole and checked.

use std::path::Path;
use std::time::Instant;

use koudai_core::time::Timestamp;
use koudai_engine::Clock;
use koudai_store::{Database, StoreError, sqlite};
use serde_json::json;

use super::{Copied, hex, seconds};
use crate::cli::RestoreArgs;
use crate::directory::{self, Restored};
use crate::failure::Failure;
use crate::{durable, keys, verify};

/// Where a file is made before it is the ledger.
const STAGE: &str = "restoring";
/// How far two machines' clocks may differ. One that stands further before the copy is wrong for certain.
const CLOCKS_MS: i64 = 60_000;

/// `koudai restore`: prints what was restored as one line of JSON, and beside it, for people, what is to be done next.
///
/// # Errors
/// If the copy is none, or another's, the directory is in use or not empty, or anything keeps the ledger from being whole.
pub(crate) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    match &args.from {
        Some(from) if !args.reconciled => restore(from, &args.data),
        _ => reconcile(&args.data),
    }
}

fn restore(from: &Path, data: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    if !data.is_dir() {
        return Err(Failure::usage(format!(
            "{0} is not there: make it for its owner alone (mkdir -m 700) and put your copy of the keys in {0}/keys",
            data.display()
        )));
    }
    let _lock = directory::lock(data)?;
    let copied = Copied::open(from)?;
    require_place(data, &copied)?;
    let ids_after = first_moment(&copied, Clock::wall().now())?;
    let target = directory::place(data)?;
    make_room(data, &target)?;
    let failed = |error: &StoreError| Failure::because(format!("restoring into {}", data.display()), error);
    target.require_empty().map_err(|error| not_empty(data, &error))?;
    check(&copied.database, &format!("the copy {}", from.display()))?;

    let writing = |error: &std::io::Error| Failure::because(format!("writing to {}", data.display()), error);
    let begin = || {
        directory::mark(data, copied.kind)?;
        directory::set_restored(data, Some(Restored::Unfinished))
    };
    begin().map_err(|error| writing(&error))?;
    let journals = match &target {
        Database::Directory(_) => {
            let stage = Database::Directory(data.join(STAGE));
            durable::make_directory(&data.join(STAGE)).map_err(|error| writing(&error))?;
            stage.fill_from(from, ids_after).map_err(|error| failed(&error))?;
            let journals = check_restored(&stage, &copied, data)?;
            let move_in = || {
                std::fs::rename(data.join(STAGE).join(sqlite::FILE), data.join(sqlite::FILE))?;
                std::fs::remove_dir(data.join(STAGE))?;
                durable::sync_directory(data)
            };
            move_in().map_err(|error| writing(&error))?;
            journals
        }
        Database::Server(_) | Database::Simulated(_) => {
            target.fill_from(from, ids_after).map_err(|error| failed(&error))?;
            check_restored(&target, &copied, data)?
        }
    };
    directory::set_restored(data, Some(Restored::Unreconciled)).map_err(|error| writing(&error))?;
    say(data, &copied, journals, ids_after, began);
    Ok(())
}

fn say(data: &Path, copied: &Copied, journals: u64, ids_after: Timestamp, began: Instant) {
    let said = json!({
        "data": data,
        "journals": journals,
        "seal": copied.head.seal.no,
        "seal_hash": hex(&copied.head.seal.hash()),
        "ids_after_ms": ids_after.0,
        "keys_checked": copied.manifest.keys.len(),
        "seconds": seconds(began.elapsed()),
    });
    println!("{said}");
    eprintln!("{}: 已恢复，各项核对无误 · restored, and every invariant holds", data.display());
    eprintln!(
        "新编号从 {0} 之后开始，它须晚于事故发生的时刻 · new numbers begin after {0}, which has to be later than the loss",
        ids_after.rfc3339()
    );
    eprintln!(
        "暂不联系银行、短信和商户：先与它们对账，再运行 koudai restore --reconciled --data {0} · \
         nothing is sent to banks, phones and merchants: compare with them first, then run \
         koudai restore --reconciled --data {0}",
        data.display()
    );
}

/// Expects a directory that is the copy's: with the same keys, and of its kind if it says one.
fn require_place(data: &Path, copied: &Copied) -> Result<(), Failure> {
    if let Some(kind) = directory::kind(data)?
        && kind != copied.kind
    {
        return Err(Failure::new(format!(
            "the copy is of a {}'s ledger and {} is a {}'s directory",
            copied.kind.word(),
            data.display(),
            kind.word()
        )));
    }
    if copied.manifest.keys.is_empty() {
        tracing::warn!(
            "there were no keys beside the ledger that was copied: whether these belong to it is not known"
        );
        return Ok(());
    }
    let wrong = keys::problems(data);
    if !wrong.is_empty() {
        return Err(Failure::new(wrong.join("\n        ")));
    }
    let ours = keys::fingerprints(data)?;
    let others: Vec<&str> = copied
        .manifest
        .keys
        .iter()
        .filter(|(name, of)| ours.get(*name) != Some(of))
        .map(|(n, _)| n.as_str())
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} holds other keys than the copy was made under ({}); put those of its time there",
        data.join("keys").display(),
        others.join(", ")
    )))
}

/// The moment after which the restored ledger gives out ids: none that the lost one may have given out.
///
/// The copy does not know when the loss was, and the clock has to say that it is over. One that stands before the copy does
/// not, and is refused.
fn first_moment(copied: &Copied, now: Timestamp) -> Result<Timestamp, Failure> {
    let newest = copied.head.ids_at.max(Timestamp(copied.manifest.taken_at_ms));
    if now.plus(CLOCKS_MS) < newest {
        return Err(Failure::new(
            "this machine's clock stands before the copy was made: set it right, or numbers that were given out \
             would be given out again",
        ));
    }
    Ok(now.max(newest))
}

/// Takes away what a restore that was cut short has left. Nothing opens a directory that says `unfinished`, so that a file
/// there is the restore's.
fn make_room(data: &Path, target: &Database) -> Result<(), Failure> {
    if directory::restored(data)? != Some(Restored::Unfinished) {
        return Ok(());
    }
    let remove = || {
        if data.join(STAGE).is_dir() {
            std::fs::remove_dir_all(data.join(STAGE))?;
        }
        if matches!(target, Database::Directory(_)) && data.join(sqlite::FILE).is_file() {
            std::fs::remove_file(data.join(sqlite::FILE))?;
        }
        durable::sync_directory(data)
    };
    remove().map_err(|error| {
        let doing = format!("removing what a restore into {} left that was cut short", data.display());
        Failure::because(doing, &error)
    })
}

fn not_empty(data: &Path, error: &StoreError) -> Failure {
    let hint = match error {
        StoreError::NotEmpty { .. } => {
            "; restore into a directory without a ledger, or a server's database without tables: \
             if a restore was cut short after it had filled the database, make that database anew"
        }
        _ => "",
    };
    let failure = Failure::because(format!("restoring into {}", data.display()), error);
    Failure::new(format!("{failure}{hint}"))
}

fn check(database: &Database, what: &str) -> Result<u64, Failure> {
    let report =
        verify::run(database).map_err(|wrong| Failure::because(format!("{what} does not hold"), &wrong))?;
    Ok(report.journals)
}

/// Expects what was restored to hold and to be the copy's. How many journals it has.
fn check_restored(database: &Database, copied: &Copied, data: &Path) -> Result<u64, Failure> {
    let journals = check(database, &format!("what was restored into {}", data.display()))?;
    let head = database.head().map_err(|error| Failure::because(data.display(), &error))?;
    if head.seal == copied.head.seal && journals == copied.manifest.journals {
        return Ok(journals);
    }
    Err(Failure::new(format!("what was restored into {} is not the copy's ledger", data.display())))
}

/// `koudai restore --reconciled`.
fn reconcile(data: &Path) -> Result<(), Failure> {
    match directory::restored(data)? {
        Some(Restored::Unreconciled) => {}
        Some(Restored::Unfinished) => {
            return Err(Failure::new(format!(
                "{}: the restore was cut short; run it again first",
                data.display()
            )));
        }
        None => {
            return Err(Failure::usage(format!(
                "{}: its ledger was not restored, or is reconciled already",
                data.display()
            )));
        }
    }
    directory::set_restored(data, None)
        .map_err(|error| Failure::because(format!("writing to {}", data.display()), &error))?;
    println!("{}", json!({ "data": data, "reconciled": true }));
    eprintln!(
        "{}: 下次启动起恢复联系银行、短信和商户 · from its next start on it speaks to banks, phones and merchants again",
        data.display()
    );
    Ok(())
}
