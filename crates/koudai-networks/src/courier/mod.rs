//! Sends what is due and hands outcomes back as commands: calls to banks, messages to phones, notices to merchants.
//!
//! It keeps nothing that the database does not have: events make it quick, and a look at the database every quarter of
//! a second, and at its start, makes it sure.

mod attempts;
mod books;
mod endpoints;
mod lanes;
mod messages;
mod notices;
pub(crate) mod post;
mod retries;
mod transfers;
mod withdrawals;
mod wording;

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use koudai_core::ledger::NetworkId;
use koudai_core::login_code::{SweepLoginCodes, USED_CODE_KEPT_MS};
use koudai_core::order::SweepCodes;
use koudai_core::payer_code::SweepPayerCodes;
use koudai_core::sign_in::{
    CHALLENGE_KEPT_MS, ENDED_KEPT_MS, SENT_KEPT_MS, SESSION_KEPT_MS, SweepAllowances, SweepChallenges,
    SweepFreezeRights, SweepHalfSessions, SweepRecoveries, SweepSentCodes, SweepSessions,
};
use koudai_core::state::{Command, Event};
use koudai_engine::Engine;
use koudai_store::StoreError;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::Networks;

pub(crate) use notices::{Event as Notice, event};
pub use notices::{notice_id, parse_notice_id};

/// How often the database is looked at for what is due.
const LOOK: Duration = Duration::from_millis(250);
/// Looks between two sweeps of expired codes: once a minute.
const SWEEP_EVERY: u32 = 240;
/// The most rounds of one sweep, each of `TAKE` rows of a kind: a thousand codes a second are kept up with.
const SWEEP_ROUNDS: u32 = 240;
/// Looks between two calls that only ask whether a network is there: five seconds.
const PROBE_EVERY: u32 = 20;
/// The most of one kind taken up at one look.
const TAKE: i64 = 256;
/// The most open attempts asked about at once when a network is back; the others follow when they are due.
const TAKE_BACK: i64 = 512;

/// The courier's working parts; cheap to clone.
#[derive(Clone)]
struct Courier {
    engine: Engine,
    networks: Arc<Networks>,
    operator: Arc<str>,
    /// What links in messages begin with: `https://pay.example.org`.
    origin: Arc<str>,
    telling: Arc<notices::Telling>,
    under_way: Arc<UnderWay>,
}

/// What is being worked on, so that no look takes it up twice.
#[derive(Default)]
struct UnderWay {
    attempts: Claims<koudai_core::id::AttemptId>,
    /// Attempts this process has called a bank about and that have not ended. Only one that is not here, and that this
    /// process recorded, is known never to have been sent.
    called: Claims<koudai_core::id::AttemptId>,
    messages: Claims<koudai_core::id::MessageId>,
    probes: Claims<NetworkId>,
    merchants: notices::Merchants,
}

/// A set of things that one task each works on.
#[derive(Debug)]
struct Claims<T>(Mutex<HashSet<T>>);

impl<T> Default for Claims<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Eq + Hash> Claims<T> {
    /// Claims one; false if somebody has it.
    fn claim(&self, thing: &T) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(thing.clone())
    }

    /// How many there are.
    fn count(&self) -> i64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        i64::try_from(all).unwrap_or(i64::MAX)
    }

    fn free(&self, thing: &T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(thing);
    }
}

/// What came of a sweep of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swept {
    /// There was no more than was taken.
    All,
    /// There may be more.
    Full,
    /// It is put off.
    Failed,
}

/// Starts the courier. It runs until the runtime ends; whatever is under way then is taken up at the next start.
/// `operator` names the sender of messages, and `origin` is where their links lead.
pub fn start(
    engine: Engine,
    networks: Arc<Networks>,
    operator: Arc<str>,
    origin: Arc<str>,
) -> JoinHandle<()> {
    let telling = Arc::new(notices::Telling::new(networks.reach));
    let courier = Courier { engine, networks, operator, origin, telling, under_way: Arc::default() };
    tokio::spawn(courier.run())
}

impl Courier {
    async fn run(self) {
        let mut events = self.engine.events();
        let mut standing = self.engine.standing();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if self.engine.is_owner() {
            self.note(self.look_for_merchants().await, "looking for merchants to tell");
        }
        let mut looks = 0_u32;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::AttemptOpened(attempt)) => self.take_attempt(attempt),
                    Ok(Event::NoticeDue(merchant)) => self.take_merchant(merchant),
                    Ok(Event::MessageDue(_)) => self.note(self.look_for_messages().await, "looking for messages"),
                    Ok(Event::AttemptEnded(_) | Event::OrderChanged(_)) => {}
                    Err(RecvError::Lagged(_)) => {
                        self.note(self.look_for_merchants().await, "looking for merchants to tell");
                    }
                    Err(RecvError::Closed) => return,
                },
                // Whoever takes over begins where the owner before has stopped.
                Ok(()) = standing.changed() => {
                    if self.engine.is_owner() {
                        self.note(self.look_for_merchants().await, "looking for merchants to tell");
                    }
                }
                _ = look.tick() => if self.engine.is_owner() {
                    self.note(self.look_for_attempts().await, "looking for attempts");
                    self.note(self.look_for_networks_that_are_back().await, "looking for what is open at a network");
                    self.note(self.look_for_messages().await, "looking for messages");
                    self.note(self.look_for_retries().await, "looking for notices to retry");
                    self.note(self.close_overdue_transfers().await, "closing overdue transfers");
                    self.note(self.send_due_withdrawals().await, "sending withdrawals that are due");
                    if looks.is_multiple_of(PROBE_EVERY) {
                        self.probe_networks();
                    }
                    looks = looks.wrapping_add(1);
                    if looks.is_multiple_of(SWEEP_EVERY) {
                        self.note(self.sweep().await, "sweeping expired codes");
                        self.look_for_days();
                    }
                }
            }
        }
    }

    /// What is open at a network that is back is asked about at once: people wait for it.
    async fn look_for_networks_that_are_back(&self) -> Result<(), StoreError> {
        for (id, line) in self.networks.outside.all() {
            if line.came_back() {
                self.take_all_at(id).await?;
            }
        }
        Ok(())
    }

    /// Asks the networks whether they answer, each beside the others.
    fn probe_networks(&self) {
        for (id, _) in self.networks.outside.all() {
            if !self.under_way.probes.claim(&id) {
                continue;
            }
            let courier = self.clone();
            tokio::spawn(async move {
                let line = courier.networks.outside.get(id).expect("no network goes while this runs");
                line.probe().await;
                courier.under_way.probes.free(&id);
            });
        }
    }

    /// Takes away what is of no use any more, until there is no more of it or the next look is due.
    async fn sweep(&self) -> Result<(), StoreError> {
        for _ in 0..SWEEP_ROUNDS {
            if !self.sweep_round().await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether there may be more. A busy engine only puts a sweep off.
    async fn sweep_round(&self) -> Result<bool, StoreError> {
        let (now, policy) = (self.engine.now(), self.engine.policy());
        let before = |kept_ms: i64| now.plus(-kept_ms);
        let (codes, shown) = (before(policy.code_kept_ms), before(policy.payer_code_kept_ms));
        let (used, answered) = (before(USED_CODE_KEPT_MS), before(CHALLENGE_KEPT_MS));
        let (ended, sent, over) = (before(ENDED_KEPT_MS), before(SENT_KEPT_MS), before(SESSION_KEPT_MS));
        let found = self.engine.read(move |r| {
            Ok((
                r.expired_codes(codes, TAKE)?,
                r.expired_payer_codes(shown, TAKE)?,
                r.expired_login_codes(used, TAKE)?,
                r.expired_challenges(answered, TAKE)?,
                r.ended_allowances(ended, TAKE)?,
                r.codes_sent_by(sent, TAKE)?,
                r.expired_half_sessions(now, TAKE)?,
                r.expired_sessions(over, TAKE)?,
                r.expired_freeze_rights(now, TAKE)?,
                r.expired_recoveries(now, TAKE)?,
            ))
        });
        let (codes, shown, used, answered, ended, sent, half, over, rights, lost) = found.await?;
        let each = [
            self.swept(codes, |code| code.token, |tokens| SweepCodes { tokens }).await,
            self.swept(shown, |code| code.hash, |hashes| SweepPayerCodes { hashes }).await,
            self.swept(used, |code| code.token, |tokens| SweepLoginCodes { tokens }).await,
            self.swept(answered, |challenge| challenge.token, |tokens| SweepChallenges { tokens }).await,
            self.swept(ended, |allowance| allowance.key, |keys| SweepAllowances { keys }).await,
            self.swept(sent, |code| code.key, |keys| SweepSentCodes { keys }).await,
            self.swept(half, |half| half.token_hash, |tokens| SweepHalfSessions { tokens }).await,
            self.swept(over, |session| session.token_hash, |tokens| SweepSessions { tokens }).await,
            self.swept(rights, |right| right.key, |keys| SweepFreezeRights { keys }).await,
            self.swept(lost, |recovery| recovery.token_hash, |tokens| SweepRecoveries { tokens }).await,
        ];
        Ok(each.iter().all(|swept| *swept != Swept::Failed) && each.contains(&Swept::Full))
    }

    /// Has rows taken away that are of no use any more.
    async fn swept<R, K, C: Command>(
        &self,
        rows: Vec<R>,
        key: impl Fn(R) -> K,
        command: impl FnOnce(Vec<K>) -> C,
    ) -> Swept {
        let full = i64::try_from(rows.len()).is_ok_and(|count| count >= TAKE);
        if rows.is_empty() {
            return Swept::All;
        }
        match self.engine.submit(command(rows.into_iter().map(key).collect())).await {
            Err(_) => Swept::Failed,
            Ok(_) if full => Swept::Full,
            Ok(_) => Swept::All,
        }
    }

    /// A look that failed is said in the log and taken again.
    #[expect(clippy::unused_self, reason = "reads as what the courier does")]
    fn note(&self, result: Result<(), StoreError>, doing: &'static str) {
        if let Err(error) = result {
            tracing::error!(%error, doing, "the courier could not look");
        }
    }
}
