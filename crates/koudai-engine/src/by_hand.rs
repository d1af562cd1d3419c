//! The engine without its threads, for simulations: whoever holds it says which of them does something next, so that every
//! interleaving can be had and had again. What is done is what the threads do.

use std::sync::mpsc::Receiver;

use koudai_core::ledger::{AccountId, Seal};
use koudai_core::planted::{self, Bug};
use koudai_core::rows::{Balance, Rows};
use koudai_core::state::{Command, Keys, Policy};
use koudai_store::{Loader, Opened, Reader, StoreError};
use tokio::sync::{broadcast, oneshot};

use crate::commits::{Commits, Doubt, Lost, settle};
use crate::decider::Decider;
use crate::job;
use crate::life::{self, Life, Parts};
use crate::owner::{Shared, look_back};
use crate::{Clock, Failed};

/// Something one of the threads would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The decider takes what has come.
    Decide,
    /// Rows that it asked for are read.
    Load,
    /// They are brought to it.
    Bring,
    /// The batch that was handed over is committed.
    Commit,
}

/// What does not end with an ownership: settings, the clock, and who listens.
#[derive(Debug)]
pub struct House(Shared);

impl House {
    /// A house with so many bytes for rows in memory.
    pub fn new(cache_bytes: usize, keys: Keys, policy: Policy, clock: Clock) -> Self {
        let (events, _) = broadcast::channel(16);
        Self(Shared::new(events, clock, policy, keys, cache_bytes))
    }

    /// Looks back once the ledger was opened anew, as the engine does: what was committed is there, and what was in doubt
    /// is answered.
    ///
    /// # Errors
    /// `Corrupt` if what was committed is gone; else what the store says.
    pub fn look_back(&self, opened: &Opened, fallen: &mut Fallen) -> Result<(), StoreError> {
        look_back(opened, Some(&fallen.committed), &mut fallen.doubt, &self.0.events)
    }

    /// Answers what is in doubt as a reader sees it. The engine does so only under a new epoch.
    ///
    /// # Errors
    /// What the store says.
    pub fn read_back(&self, reader: &Reader, fallen: &mut Fallen) -> Result<(), StoreError> {
        settle(&mut fallen.doubt, reader, &self.0.events)
    }
}

/// An ownership that ended with the loss of the ledger.
pub struct Fallen {
    committed: Seal,
    doubt: Option<Doubt>,
}

impl std::fmt::Debug for Fallen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fallen").field("in_doubt", &self.doubt.is_some()).finish_non_exhaustive()
    }
}

/// Where a reply will be.
pub type Answer<C> = oneshot::Receiver<Result<<C as Command>::Reply, Failed<<C as Command>::Refusal>>>;

/// An ownership whose threads do nothing by themselves.
pub struct ByHand {
    life: Life,
    decider: Decider,
    commits: Commits,
    loader: Box<dyn Loader>,
    wanted: Receiver<Box<Rows>>,
    /// Rows that were read and not brought yet.
    read: Option<Box<Rows>>,
    /// Balances as their table had them, when memory is asked too late (a planted bug).
    too_early: Vec<(AccountId, Option<Balance>)>,
}

impl std::fmt::Debug for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByHand").field("epoch", &self.life.epoch).finish_non_exhaustive()
    }
}

impl ByHand {
    /// Begins to work on a ledger that is open.
    pub fn begin(opened: Opened, house: &House) -> Self {
        let Parts { life, decider, commits, loader, wanted } = life::parts(opened, &house.0, |_| true);
        Self { life, decider, commits, loader, wanted, read: None, too_early: vec![] }
    }

    /// Hands in a command. Its answer is closed if there is too much work.
    pub fn send<C: Command>(&self, command: C) -> Answer<C> {
        let (job, answer) = job::pending(command);
        if self.life.mailbox.send(job).is_err() {
            tracing::warn!("a command was not taken, which closes its answer");
        }
        answer
    }

    /// Reads what is committed, as pages do.
    ///
    /// # Errors
    /// What the database or `work` says.
    pub fn read<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.life.readers.with(work)
    }

    /// Does one step; whether there was anything to do.
    ///
    /// # Errors
    /// The error the ledger is lost by: it is to be left with `fall`.
    pub fn step(&mut self, step: Step) -> Result<bool, Gone> {
        match step {
            Step::Decide => {
                let Some(post) = self.life.mailbox.look(self.decider.want()) else { return Ok(false) };
                let turned = self.decider.turn(post);
                assert!(turned.is_ok(), "both ends of every channel are here");
                Ok(true)
            }
            Step::Load => {
                let Ok(mut rows) = self.wanted.try_recv() else { return Ok(false) };
                self.load(&mut rows).map_err(|error| Gone(Box::new((None, Some(error)))))?;
                self.read = Some(rows);
                Ok(true)
            }
            Step::Bring => {
                let Some(mut rows) = self.read.take() else { return Ok(false) };
                for (account, row) in self.too_early.drain(..) {
                    rows.balance.arrived(account, self.life.recent.balance(account).or(row));
                }
                self.life.mailbox.bring(rows);
                Ok(true)
            }
            Step::Commit => {
                let Ok(work) = self.commits.works.try_recv() else { return Ok(false) };
                self.commits.take(work).map_err(|Lost(doubt)| Gone(Box::new((doubt, None))))?;
                self.life.mailbox.set_free();
                Ok(true)
            }
        }
    }

    fn load(&mut self, rows: &mut Rows) -> Result<(), StoreError> {
        if planted::is(Bug::SqlBeforeMemory) {
            for account in rows.balance.take_wanted() {
                let row = self.life.readers.with(|reader| reader.get::<Balance>(&account))?;
                self.too_early.push((account, row));
            }
        }
        self.loader.load(rows)
    }

    /// Leaves a ledger that is lost: whoever was not handed over to be committed is told that nothing was done.
    pub fn fall(self, gone: Gone) -> Fallen {
        self.decider.give_up();
        Fallen { committed: self.commits.seal, doubt: gone.0.0 }
    }
}

/// The ledger is lost, perhaps with a batch in doubt.
pub struct Gone(Box<(Option<Doubt>, Option<StoreError>)>);

impl std::fmt::Debug for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gone").field("in_doubt", &self.0.0.is_some()).field("error", &self.0.1).finish()
    }
}
