//! How merchants' endpoints have answered of late, and which of them are not called for a moment.
//!
//! It is kept in memory and only ever decides who waits for whom: what is owed to a merchant stands in the ledger. After a
//! start it begins with what the log of deliveries says.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use koudai_core::id::MchId;
use koudai_core::rows::{Delivery, DeliveryOutcome};

use super::lanes::{PATIENCE, Standing};

/// Calls in a row without any answer after which an endpoint is not called for a moment.
const SILENT: u32 = 5;
/// For how long. Shorter than the shortest gap of the schedule, so that whoever has one notice waiting gets every try.
const HOLD: Duration = Duration::from_secs(10);
/// Endpoints remembered of one merchant.
const KEPT: usize = 32;
/// Failures in a row that the operator is told of, and every how many after them.
const TOLD_AT: u32 = 5;
const TOLD_EVERY: u32 = 100;

#[derive(Clone, Debug, Default)]
struct Health {
    standing: Standing,
    /// Calls in a row without an answer.
    silent: u32,
    /// Calls in a row that the merchant did not take.
    failing: u32,
    held_until: Option<Instant>,
}

/// How an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) standing: Standing,
    /// It is not called now: the last calls had no answer, the newest a moment ago.
    pub(super) held: bool,
}

/// Endpoints by merchant and host. A merchant's own: what one does to a host must not speak against another.
#[derive(Debug, Default)]
pub(super) struct Endpoints(Mutex<HashMap<MchId, HashMap<String, Health>>>);

impl Endpoints {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<MchId, HashMap<String, Health>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether anything is remembered of a merchant.
    pub(super) fn knows(&self, mchid: MchId) -> bool {
        self.with(|all| all.contains_key(&mchid))
    }

    /// Whether none of a merchant's endpoints is known to answer.
    pub(super) fn all_hang(&self, mchid: MchId) -> bool {
        self.with(|all| {
            all.get(&mchid).is_some_and(|its| {
                !its.is_empty() && its.values().all(|health| health.standing == Standing::Hung)
            })
        })
    }

    /// Begins with the newest deliveries to a merchant of whom nothing is remembered.
    pub(super) fn begin(&self, mchid: MchId, mut newest: Vec<Delivery>) {
        newest.sort_unstable_by_key(|delivery| (delivery.at, delivery.number));
        self.with(|all| {
            let its = all.entry(mchid).or_default();
            for delivery in newest {
                let host = delivery.place.split('/').next().unwrap_or_default().to_owned();
                let took = Duration::from_millis(delivery.took_ms.into());
                let standing = Standing::after(delivery.outcome, took);
                its.insert(host, Health { standing, ..Health::default() });
            }
        });
    }

    /// How an endpoint stands.
    pub(super) fn view(&self, mchid: MchId, host: &str) -> View {
        let now = Instant::now();
        self.with(|all| match all.get(&mchid).and_then(|its| its.get(host)) {
            None => View { standing: Standing::New, held: false },
            Some(health) => {
                View { standing: health.standing, held: health.held_until.is_some_and(|until| now < until) }
            }
        })
    }

    /// Remembers how a call went.
    pub(super) fn learn(&self, mchid: MchId, host: &str, outcome: DeliveryOutcome, took: Duration) {
        let answered = matches!(outcome, DeliveryOutcome::Answered | DeliveryOutcome::Status);
        let (before, after) = self.with(|all| {
            let health = entry(all, mchid, host);
            let before = health.failing;
            health.standing = Standing::after(outcome, took);
            health.silent = if answered { 0 } else { health.silent.saturating_add(1) };
            health.failing =
                if outcome == DeliveryOutcome::Answered { 0 } else { health.failing.saturating_add(1) };
            health.held_until = (health.silent >= SILENT).then(|| Instant::now() + HOLD);
            (before, health.failing)
        });
        if after == TOLD_AT || (after > 0 && after.is_multiple_of(TOLD_EVERY)) {
            let (mchid, outcome) = (mchid.wire(), outcome.word());
            tracing::warn!(mchid, host, outcome, in_a_row = after, "a merchant's endpoint keeps failing");
        } else if before >= TOLD_AT && after == 0 {
            tracing::info!(mchid = mchid.wire(), host, "a merchant's endpoint answers again");
        }
    }

    /// Remembers that a call was cut short because others waited.
    pub(super) fn cut(&self, mchid: MchId, host: &str) {
        self.with(|all| entry(all, mchid, host).standing = Standing::Hung);
    }
}

/// What is remembered of an endpoint. Of a merchant with ever new hosts the old ones are forgotten.
fn entry<'a>(
    all: &'a mut HashMap<MchId, HashMap<String, Health>>,
    mchid: MchId,
    host: &str,
) -> &'a mut Health {
    let its = all.entry(mchid).or_default();
    if its.len() >= KEPT && !its.contains_key(host) {
        its.clear();
    }
    its.entry(host.to_owned()).or_default()
}

impl Standing {
    /// How an endpoint stands after a call: by how long it kept its place, not by what it said.
    pub(super) fn after(outcome: DeliveryOutcome, took: Duration) -> Self {
        match outcome {
            _ if took <= PATIENCE => Self::Quick,
            DeliveryOutcome::Answered | DeliveryOutcome::Status => Self::Slow,
            _ => Self::Hung,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MCHID: MchId = MchId::FIRST;
    const LONG: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(3);

    #[test]
    fn how_long_it_took_decides_and_not_what_was_said() {
        let endpoints = Endpoints::default();
        let standing = |outcome, took| {
            endpoints.learn(MCHID, "a", outcome, took);
            endpoints.view(MCHID, "a").standing
        };
        assert_eq!(endpoints.view(MCHID, "a").standing, Standing::New);
        assert_eq!(standing(DeliveryOutcome::Answered, SHORT), Standing::Quick);
        assert_eq!(standing(DeliveryOutcome::NoAnswer, LONG), Standing::Hung);
        assert_eq!(standing(DeliveryOutcome::Status, LONG), Standing::Slow);
        assert_eq!(standing(DeliveryOutcome::Unreachable, SHORT), Standing::Quick);
        assert_eq!(endpoints.view(MCHID, "b").standing, Standing::New, "another host is another endpoint");
    }

    #[test]
    fn five_silences_in_a_row_hold_an_endpoint_and_one_answer_frees_it() {
        let endpoints = Endpoints::default();
        for _ in 0..SILENT {
            assert!(!endpoints.view(MCHID, "a").held);
            endpoints.learn(MCHID, "a", DeliveryOutcome::Unreachable, SHORT);
        }
        assert!(endpoints.view(MCHID, "a").held);
        // One that says no is there: every notice may be another matter.
        endpoints.learn(MCHID, "a", DeliveryOutcome::Status, SHORT);
        for _ in 0..3 * SILENT {
            endpoints.learn(MCHID, "a", DeliveryOutcome::Status, SHORT);
        }
        assert!(!endpoints.view(MCHID, "a").held);
    }

    #[test]
    fn a_merchant_with_ever_new_hosts_takes_no_more_memory() {
        let endpoints = Endpoints::default();
        for n in 0..10 * KEPT {
            endpoints.learn(MCHID, &format!("host-{n}"), DeliveryOutcome::NoAnswer, LONG);
        }
        assert!(endpoints.with(|all| all[&MCHID].len()) <= KEPT);
        assert!(endpoints.all_hang(MCHID));
    }
}
