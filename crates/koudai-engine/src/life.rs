//! One ownership of the ledger, from its opening to its end: the rows in memory, the threads that work on them, and what
//! everybody else may use while it lasts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread::JoinHandle;

use koudai_core::planted::{self, Bug};
use koudai_core::rows::Rows;
use koudai_core::state::State;
use koudai_store::{Loader, Opened, Readers, Recent, StoreError};

use crate::commits::{Commits, Ended, Progress};
use crate::decider::{Decider, Run};
use crate::job::Job;
use crate::lease::Lease;
use crate::mailbox::Mailbox;
use crate::owner::Shared;
use crate::stop;

/// What everybody may use of an ownership.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) mailbox: Arc<Mailbox<Box<dyn Job>, Box<Rows>>>,
    pub(crate) readers: Readers,
    pub(crate) recent: Arc<Recent>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) epoch: i64,
}

/// The threads of an ownership.
#[derive(Debug)]
pub(crate) struct Threads {
    rows: JoinHandle<bool>,
    commits: JoinHandle<Ended>,
    decisions: JoinHandle<()>,
}

impl Threads {
    /// Waits until they have ended: because nobody sends commands any more, or because the ledger is lost.
    pub(crate) fn join(self) -> Ended {
        // A thread that panics ends the process.
        let by_itself = "a thread of the engine ends by itself";
        self.decisions.join().expect(by_itself);
        let rows_lost = self.rows.join().expect(by_itself);
        let ended = self.commits.join().expect(by_itself);
        Ended { lost: ended.lost || rows_lost, ..ended }
    }
}

/// Starts the threads on a ledger that was opened. `survives` says after which errors it can be
/// opened anew.
///
/// # Errors
/// If a thread cannot be started.
pub(crate) fn begin(
    opened: Opened,
    shared: &Shared,
    survives: fn(&StoreError) -> bool,
) -> Result<(Arc<Life>, Threads), StoreError> {
    let Parts { life, decider, commits, loader, wanted } = parts(opened, shared, survives);
    let brought = Arc::clone(&life.mailbox);
    let threads = Threads {
        rows: spawn("rows", move || load_rows(loader, &wanted, &brought, survives))?,
        commits: spawn("commits", move || commits.run())?,
        decisions: spawn("decisions", move || decider.work())?,
    };
    Ok((Arc::new(life), threads))
}

/// An ownership whose threads have not started.
pub(crate) struct Parts {
    pub(crate) life: Life,
    pub(crate) decider: Decider,
    pub(crate) commits: Commits,
    pub(crate) loader: Box<dyn Loader>,
    /// Where the decider asks for rows.
    pub(crate) wanted: Receiver<Box<Rows>>,
}

/// Puts the parts of an ownership together.
pub(crate) fn parts(opened: Opened, shared: &Shared, survives: fn(&StoreError) -> bool) -> Parts {
    let Opened { loader, committer, readers, epoch, hold, seal, last_at, recent } = opened;
    let mailbox = Arc::new(Mailbox::new());
    let lease = Arc::new(Lease::new(hold));
    let head = seal.last;
    shared.last.fetch_max(last_at.0, Ordering::SeqCst);
    let mut ids_from = shared.clock.now().max(last_at.plus(1));
    if planted::is(Bug::IdsFromTheClock) {
        ids_from = shared.clock.now();
    }
    let progress = Arc::new(Progress::new(head));
    // The decider hands a batch over only to a free committer, so that none ever waits here.
    let (works, taken) = sync_channel(1);
    let commits = Commits {
        committer,
        seal,
        epoch,
        lease: Arc::clone(&lease),
        works: taken,
        events: shared.events.clone(),
        progress: Arc::clone(&progress),
        mailbox: Arc::clone(&mailbox),
        survives,
    };
    let (loads, wanted) = channel();
    let decider = Decider {
        state: State::new(head, ids_from),
        epoch,
        mailbox: Arc::clone(&mailbox),
        loads,
        works,
        progress,
        last: Arc::clone(&shared.last),
        keys: Arc::clone(&shared.keys),
        policy: Arc::clone(&shared.policy),
        clock: shared.clock.clone(),
        cache_bytes: shared.cache_bytes,
        run: Run::new(),
    };
    Parts { life: Life { mailbox, readers, recent, lease, epoch }, decider, commits, loader, wanted }
}

/// Starts one of the engine's threads.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = EndWithThePanic;
        work()
    });
    started.map_err(|source| StoreError::File { doing: "starting the engine's threads", source })
}

/// Loads rows for the decider until it has gone. Whether it ended because the ledger is lost.
fn load_rows(
    mut loader: Box<dyn Loader>,
    wanted: &Receiver<Box<Rows>>,
    mailbox: &Mailbox<Box<dyn Job>, Box<Rows>>,
    survives: fn(&StoreError) -> bool,
) -> bool {
    while let Ok(mut rows) = wanted.recv() {
        match loader.load(&mut rows) {
            Ok(()) => mailbox.bring(rows),
            Err(error) if survives(&error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "rows cannot be loaded; the ledger is opened anew");
                mailbox.end();
                return true;
            }
            Err(error) => stop(&error, "loading rows"),
        }
    }
    false
}

/// A panic in the engine is a bug of ours met in the middle of a batch. A process that went on without its engine would
/// look alive and answer nobody; ended, it recovers at the next start.
struct EndWithThePanic;

impl Drop for EndWithThePanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
