//! Owning the ledger, losing it, and waiting for it: one thread that sees to who does.
//!
//! There is one way back from a lost connection, a commit whose outcome is not known and a lease that another took: drop
//! everything in memory, wait for the ledger to be free, open it, which raises the epoch, and only then look what became of
//! the batch that was on its way.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use koudai_core::ledger::Seal;
use koudai_core::state::{Event, Keys, Policy};
use koudai_store::{Database, LEASE, Opened, Sight, StoreError, Watch};
use tokio::sync::{broadcast, watch};

use crate::commits::{Doubt, has_seal, settle};
use crate::life::{self, Life, Threads};
use crate::reading::Reading;
use crate::{Clock, Settings, Standing, stop};

/// How often somebody who waits for a ledger looks whether it is free.
const LOOK: Duration = Duration::from_millis(500);

/// What the engine's handles share with the thread that owns the ledger.
#[derive(Debug)]
pub(crate) struct Shared {
    present: RwLock<Option<Arc<Life>>>,
    standing: watch::Sender<Standing>,
    closed: Mutex<bool>,
    closing: Condvar,
    pub(crate) reading: Arc<Reading>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) clock: Clock,
    /// The time of the newest batch, in milliseconds since 1970.
    pub(crate) last: Arc<AtomicI64>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) keys: Arc<Keys>,
    /// Rows in memory take about this much, in bytes.
    pub(crate) cache_bytes: usize,
}

impl Shared {
    pub(crate) fn new(
        events: broadcast::Sender<Event>,
        clock: Clock,
        policy: Policy,
        keys: Keys,
        cache_bytes: usize,
    ) -> Self {
        Self {
            present: RwLock::new(None),
            standing: watch::Sender::new(Standing::Standby),
            closed: Mutex::new(false),
            closing: Condvar::new(),
            reading: Arc::default(),
            events,
            clock,
            last: Arc::new(AtomicI64::new(0)),
            policy: Arc::new(policy),
            keys: Arc::new(keys),
            cache_bytes,
        }
    }

    /// The present ownership, if there is one.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Every handle is gone.
    pub(crate) fn close(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.closing.notify_all();
        if let Some(life) = self.life() {
            life.mailbox.seal();
        }
    }

    /// Whether every handle is gone, now or within a while.
    fn is_closed_within(&self, while_: Duration) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.closing.wait_timeout_while(closed, while_, |closed| !*closed);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn set(&self, life: Option<Arc<Life>>) {
        let standing = if life.is_some() { Standing::Owner } else { Standing::Standby };
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = life;
        self.standing.send_replace(standing);
        // Handles that went before this was seen.
        if self.is_closed_within(Duration::ZERO)
            && let Some(life) = self.life()
        {
            life.mailbox.seal();
        }
    }
}

/// Looks whether the ledger in a server's database is free.
pub(crate) struct Vigil {
    database: Database,
    watch: Option<Watch>,
    /// The owner as it was last seen to have changed, and when.
    seen: Option<(Sight, Instant)>,
}

impl Vigil {
    pub(crate) const fn over(database: Database) -> Self {
        Self { database, watch: None, seen: None }
    }

    /// Looks once: whether the ledger may be taken, and its epoch.
    pub(crate) fn look(&mut self) -> Result<(bool, i64), StoreError> {
        let sight = self.sight();
        if sight.is_err() {
            // A new session, and the time that counts begins anew.
            (self.watch, self.seen) = (None, None);
        }
        Ok(sight?.map_or((true, 0), |sight| (self.is_free(sight), sight.epoch)))
    }

    fn sight(&mut self) -> Result<Option<Sight>, StoreError> {
        if self.watch.is_none() {
            self.watch = self.database.watch()?;
        }
        // Where ownership is a lock, opening tells.
        self.watch.as_ref().map_or(Ok(None), Watch::look)
    }

    fn is_free(&mut self, sight: Sight) -> bool {
        let now = Instant::now();
        match self.seen {
            Some((before, since)) if (before.epoch, before.heartbeat) == (sight.epoch, sight.heartbeat) => {
                !sight.present || now.duration_since(since) >= LEASE
            }
            _ => {
                self.seen = Some((sight, now));
                !sight.present
            }
        }
    }
}

/// Sees to the ledger for as long as there are handles.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
    /// Where the ledger is opened anew, if it can be.
    pub(crate) reopen: Option<Settings>,
    /// The newest seal this process knows to be committed.
    pub(crate) committed: Option<Seal>,
    pub(crate) doubt: Option<Doubt>,
}

impl Owner {
    /// Starts to work on a ledger that is open.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn begin(&self, opened: Opened) -> Result<Threads, StoreError> {
        tracing::info!(epoch = opened.epoch, "this process owns the ledger");
        let (life, threads) = life::begin(opened, &self.shared, self.survives())?;
        self.shared.set(Some(life));
        Ok(threads)
    }

    /// What may be survived: what a server says, if its ledger can be opened anew.
    fn survives(&self) -> fn(&StoreError) -> bool {
        if self.reopen.is_some() { StoreError::is_the_servers } else { |_| false }
    }

    /// Goes on until every handle is gone, with what was begun or else once the ledger is free.
    pub(crate) fn run(mut self, mut begun: Option<Threads>) {
        loop {
            let Some(threads) = begun.take().or_else(|| self.begin_anew()) else { return };
            let ended = threads.join();
            self.shared.set(None);
            if !ended.lost {
                return;
            }
            (self.committed, self.doubt) = (Some(ended.seal), ended.doubt);
        }
    }

    /// Waits for the ledger and starts to work on it. `None` once every handle is gone.
    fn begin_anew(&mut self) -> Option<Threads> {
        let opened = loop {
            let opened = self.wait_for_the_ledger()?;
            match look_back(&opened, self.committed.as_ref(), &mut self.doubt, &self.shared.events) {
                Ok(()) => break opened,
                Err(error) => wait_out(&error),
            }
        };
        Some(self.begin(opened).unwrap_or_else(|error| stop(&error, "starting")))
    }

    /// Waits until the ledger is free and opens it. `None` once every handle is gone.
    fn wait_for_the_ledger(&mut self) -> Option<Opened> {
        let Settings { database, tuning, .. } = self.reopen.clone()?;
        let mut vigil = Vigil::over(database.clone());
        let mut said = false;
        loop {
            match vigil.look() {
                Ok((true, epoch)) => match database.open_as_seen(epoch, tuning) {
                    Ok(opened) => return Some(opened),
                    Err(error) => wait_out(&error),
                },
                Ok((false, epoch)) => {
                    if !said {
                        tracing::info!(epoch, "another process owns the ledger; standing by");
                        said = true;
                    }
                    self.read_back_under(epoch, &database);
                }
                Err(error) => wait_out(&error),
            }
            if self.shared.is_closed_within(LOOK) {
                return None;
            }
        }
    }

    /// Finds out what became of the batch in doubt, if another owner's epoch stands: from then on ours cannot be committed
    /// any more, so that what is not there never will be.
    fn read_back_under(&mut self, epoch: i64, database: &Database) {
        if self.doubt.as_ref().is_some_and(|doubt| epoch > doubt.epoch) {
            let settled =
                database.reader().and_then(|reader| settle(&mut self.doubt, &reader, &self.shared.events));
            if let Err(error) = settled {
                wait_out(&error);
            }
        }
    }
}

/// What is known from before has to be in a ledger that was opened again, and what was in doubt is looked up in it.
///
/// # Errors
/// `Corrupt` if what was committed is gone; else what the database says, and the doubt stays.
pub(crate) fn look_back(
    opened: &Opened,
    committed: Option<&Seal>,
    doubt: &mut Option<Doubt>,
    events: &broadcast::Sender<Event>,
) -> Result<(), StoreError> {
    opened.readers.with(|reader| {
        if let Some(seal) = committed
            && !has_seal(reader, (seal.no, seal.hash()))?
        {
            let what = format!("seal {} was committed and is gone: the database went back in time", seal.no);
            return Err(StoreError::Corrupt { table: "seal", what });
        }
        settle(doubt, reader, events)
    })
}

/// A failure that may pass is said, and looked at again; any other ends the process.
fn wait_out(error: &StoreError) {
    if !error.is_the_servers() {
        stop(error, "waiting for the ledger");
    }
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "the ledger cannot be opened yet");
}
