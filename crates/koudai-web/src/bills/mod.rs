//! Merchants' bills: what happened on a merchant's account on a day that is over, as files.
//!
//! A bill is made when it is first asked for, from the journals of its day, a look at a time, into a file of the spool
//! (`making.rs`, `walk.rs`, `file.rs`). What stands in it follows from what does not change any more (`lines.rs`), so it is
//! the same whenever it is made; the files are a cache, gone with the process.
//!
//! What it must never do: hold a day in memory, keep one view of the ledger open for long, or show one merchant another's.

mod csv;
mod day;
mod file;
mod lines;
mod making;
mod token;
mod walk;

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koudai_core::bill::TellTime;
use koudai_core::id::MchId;
use koudai_core::time::{HOUR, MINUTE, Timestamp};
use koudai_engine::Failed;
use koudai_store::StoreError;
use tokio::sync::{Semaphore, watch};

use crate::App;
use making::Making;

pub use day::Day;
pub use file::{Reading, Written};
pub use token::{Token, TokenError};

/// How long after its day a bill is there: whoever takes the ledger over then may have a clock that lags a little, and must
/// not add to a day that bills were made of.
pub const AFTER_MIDNIGHT_MS: i64 = MINUTE;
/// How long a request waits for its bill; SDKs commonly give up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many bills are made at once.
const BUILDERS: usize = 2;
/// How many bills may wait to be made or be made, and how many of them one merchant's.
const UNFINISHED: usize = 64;
const UNFINISHED_OF_ONE: usize = 4;
/// How long a file is kept after it was made.
const KEPT_MS: i64 = 24 * HOUR;
/// How many files are kept, and how many bytes in all; those made first go first.
const FILES: usize = 256;
const BYTES: u64 = 4 << 30;

/// What a bill is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BillKind {
    /// Payments and refunds.
    All,
    /// Payments.
    Success,
    /// Refunds.
    Refund,
    /// Every movement of the merchant's account.
    FundFlow,
}

/// One bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bill {
    /// Whose.
    pub mchid: MchId,
    /// What it is about.
    pub kind: BillKind,
    /// Of which day.
    pub day: Day,
}

/// Why a bill is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBill {
    /// Its day is not over.
    NotOver,
    /// It is being made, and will be there later.
    BeingMade,
    /// Too many are being made; it is not.
    Busy,
    /// It could not be made. The log says why.
    Failed,
}

type Outcome = Option<Result<Arc<Written>, NoBill>>;

/// A bill that was asked for.
#[derive(Debug)]
enum Place {
    BeingMade(watch::Receiver<Outcome>),
    Made { written: Arc<Written>, at: Timestamp },
}

/// The bills of this process.
#[derive(Debug)]
pub struct Bills {
    spool: PathBuf,
    /// Names of files are never used twice.
    made: AtomicU64,
    shelf: Mutex<HashMap<Bill, Place>>,
    builders: Semaphore,
    patience: Duration,
}

impl Bills {
    /// No bills yet, and a spool that is emptied of what an earlier process left.
    ///
    /// # Errors
    /// As the file system's.
    pub fn open(spool: &Path) -> io::Result<Self> {
        match std::fs::remove_dir_all(spool) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(spool)?;
        Ok(Self {
            spool: spool.to_owned(),
            made: AtomicU64::new(0),
            shelf: Mutex::default(),
            builders: Semaphore::new(BUILDERS),
            patience: PATIENCE,
        })
    }

    /// The same, with requests that wait so long. For tests.
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn shelf(&self) -> MutexGuard<'_, HashMap<Bill, Place>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many files there are, and how many bills are being made.
    pub fn count(&self) -> (usize, usize) {
        let shelf = self.shelf();
        let made = shelf.values().filter(|place| matches!(place, Place::Made { .. })).count();
        (made, shelf.len() - made)
    }

    /// A bill, made if it is not there. Who waits in vain has not asked in vain: it goes on being made, once however many
    /// have asked.
    ///
    /// # Errors
    /// See [`NoBill`].
    pub async fn get(&self, app: &App, bill: Bill) -> Result<Arc<Written>, NoBill> {
        let now = app.engine.now();
        if now < bill.day.ends().plus(AFTER_MIDNIGHT_MS) {
            return Err(if Day::of(now) > bill.day { NoBill::BeingMade } else { NoBill::NotOver });
        }
        let mut outcome = match self.begin(app, bill, now)? {
            Place::Made { written, .. } => return Ok(written),
            Place::BeingMade(outcome) => outcome,
        };
        let known = tokio::time::timeout(self.patience, outcome.wait_for(Option::is_some)).await;
        match known {
            Err(_) => Err(NoBill::BeingMade),
            Ok(Ok(outcome)) => outcome.clone().expect("it was waited for"),
            Ok(Err(_)) => {
                // Whoever made it panicked; the next request begins anew.
                let mut shelf = self.shelf();
                if matches!(shelf.get(&bill), Some(Place::BeingMade(other)) if other.has_changed().is_err()) {
                    shelf.remove(&bill);
                }
                Err(NoBill::Failed)
            }
        }
    }

    /// The place of a bill on the shelf, which it gets if it has none.
    fn begin(&self, app: &App, bill: Bill, now: Timestamp) -> Result<Place, NoBill> {
        let mut shelf = self.shelf();
        shelf.retain(|_, place| match place {
            Place::Made { at, .. } => now.since(*at) < KEPT_MS,
            Place::BeingMade(_) => true,
        });
        match shelf.get(&bill) {
            Some(Place::Made { written, at }) => {
                return Ok(Place::Made { written: Arc::clone(written), at: *at });
            }
            Some(Place::BeingMade(outcome)) => return Ok(Place::BeingMade(outcome.clone())),
            None => {}
        }
        let unfinished = |of: Option<MchId>| {
            let counts = |(bill, place): &(&Bill, &Place)| {
                matches!(place, Place::BeingMade(_)) && of.is_none_or(|mchid| bill.mchid == mchid)
            };
            shelf.iter().filter(counts).count()
        };
        if unfinished(None) >= UNFINISHED || unfinished(Some(bill.mchid)) >= UNFINISHED_OF_ONE {
            return Err(NoBill::Busy);
        }
        let (sender, outcome) = watch::channel(None);
        shelf.insert(bill, Place::BeingMade(outcome.clone()));
        let app = app.clone();
        tokio::spawn(async move {
            let made = app.bills.make(&app, bill).await;
            app.bills.keep(bill, made.as_ref().ok(), app.engine.now());
            sender.send_replace(Some(made));
        });
        Ok(Place::BeingMade(outcome))
    }

    /// Puts a bill on the shelf, or forgets that it was asked for, and makes room.
    fn keep(&self, bill: Bill, written: Option<&Arc<Written>>, at: Timestamp) {
        let mut shelf = self.shelf();
        shelf.remove(&bill);
        let Some(written) = written else { return };
        let mut oldest: Vec<(Timestamp, Bill, u64)> = shelf
            .iter()
            .filter_map(|(bill, place)| match place {
                Place::Made { written, at } => Some((*at, *bill, written.bytes)),
                Place::BeingMade(_) => None,
            })
            .collect();
        oldest.sort_unstable_by_key(|(at, ..)| *at);
        let (mut files, mut bytes) =
            (oldest.len() + 1, written.bytes + oldest.iter().map(|(.., bytes)| bytes).sum::<u64>());
        for (_, bill, its_bytes) in oldest {
            if files <= FILES && bytes <= BYTES {
                break;
            }
            shelf.remove(&bill);
            files -= 1;
            bytes -= its_bytes;
        }
        shelf.insert(bill, Place::Made { written: Arc::clone(written), at });
    }

    /// Makes a bill, once a builder is free.
    async fn make(&self, app: &App, bill: Bill) -> Result<Arc<Written>, NoBill> {
        let _builder = self.builders.acquire().await.expect("it is never closed");
        // Whatever was decided on that day is committed before this is answered.
        match app.engine.submit(TellTime).await {
            Ok(now) if now >= bill.day.ends().plus(AFTER_MIDNIGHT_MS) => {}
            Ok(_) => return Err(NoBill::BeingMade),
            Err(Failed::Busy) => return Err(NoBill::Busy),
            Err(Failed::Refused(_) | Failed::Stopped) => return Err(NoBill::Failed),
        }
        match self.written(app, bill).await {
            Ok(Ok(written)) => Ok(Arc::new(written)),
            Ok(Err(error)) => {
                tracing::error!(%error, mchid = bill.mchid.0, day = %bill.day, "a bill's file could not be written");
                Err(NoBill::Failed)
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, mchid = bill.mchid.0, day = %bill.day, "a bill could not be made");
                Err(NoBill::Failed)
            }
        }
    }

    async fn written(&self, app: &App, bill: Bill) -> making::Made<Written> {
        let path = self.spool.join(format!("{}.bill", self.made.fetch_add(1, Ordering::Relaxed)));
        let networks = Arc::clone(&app.networks);
        let begun = app.engine.read(move |reader| Making::begin(bill, networks, path, reader)).await?;
        let mut making = match begun {
            Ok(making) => making,
            Err(error) => return Ok(Err(error)),
        };
        while !making.is_over() {
            let step = app.engine.read(move |reader| {
                let done = making.step(reader)?;
                Ok::<_, StoreError>(done.map(|()| making))
            });
            making = match step.await? {
                Ok(making) => making,
                Err(error) => return Ok(Err(error)),
            };
        }
        let finish = tokio::task::spawn_blocking(move || making.finish());
        Ok(finish.await.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}
