//! Later tries: what is due is found by two looks of a bounded size, and each merchant's is worked off by one task, so that
//! who has thousands waiting takes no more of anything than who has one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use koudai_core::id::{MchId, Seq};
use koudai_core::notice::{RETRY_GAPS_MS, RecordHeld, RecordRetry};
use koudai_core::rows::{DeliveryOutcome, NoticeKey, NoticeRetry};
use koudai_core::time::Timestamp;
use koudai_store::StoreError;

use super::Courier;
use super::lanes::Standing;
use super::notices::{Event, PAUSE, Went, event};

/// Rows that one look reads.
const PAGE: i64 = 1_024;
/// Events of one merchant taken up at once.
const ROUND: usize = 32;
/// Events of one merchant that wait in memory; the others wait in the database.
const KEPT: usize = 256;
/// Retries of one endpoint under way at once, once it answers.
const AT_ONCE: usize = 8;
/// A commit may make something due that was decided a little before a look.
const LATE_MS: i64 = 2_000;
/// Looks between two that go over what has been due for longer.
const SWEEP_EVERY: u32 = 4;

/// Where a look at what is due goes on: after this.
type Mark = (Timestamp, NoticeKey);

fn mark_at(at: Timestamp) -> Mark {
    (at, NoticeKey { mchid: MchId(0), seq: Seq(0) })
}

/// What is due, as far as it was read.
#[derive(Debug)]
pub(super) struct Due {
    /// Merchants with a task of their own, and what waits for it.
    waiting: Mutex<HashMap<MchId, BTreeSet<Seq>>>,
    marks: Mutex<Marks>,
}

#[derive(Debug)]
struct Marks {
    looks: u32,
    /// What came due lately.
    fresh: Mark,
    /// Going round over everything that is due, for what found no room in memory.
    sweep: Mark,
}

impl Default for Due {
    fn default() -> Self {
        let begin = mark_at(Timestamp(i64::MIN));
        let marks = Marks { looks: 0, fresh: begin.clone(), sweep: begin };
        Self { waiting: Mutex::default(), marks: Mutex::new(marks) }
    }
}

impl Due {
    /// Adds an event. Whether a task is to be started for its merchant.
    fn add(&self, key: &NoticeKey) -> bool {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !all.contains_key(&key.mchid);
        let its = all.entry(key.mchid).or_default();
        if its.len() < KEPT {
            its.insert(key.seq);
        }
        new
    }

    /// A merchant's next events; `None`, and its task ends, once there are none.
    fn next(&self, mchid: MchId) -> Option<Vec<Seq>> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let its = all.get_mut(&mchid)?;
        let round: Vec<Seq> = std::iter::from_fn(|| its.pop_first()).take(ROUND).collect();
        if round.is_empty() {
            all.remove(&mchid);
            return None;
        }
        Some(round)
    }

    fn put_back(&self, mchid: MchId, events: impl IntoIterator<Item = Seq>) {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(mchid).or_default().extend(events);
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A retry, and what is to be sent.
struct Retry {
    tries: u32,
    event: Event,
}

impl Courier {
    /// Takes up what is due. Either look reads at most a page, however much is.
    pub(super) async fn look_for_retries(&self) -> Result<(), StoreError> {
        let now = self.engine.now();
        let (fresh, sweep) = {
            let mut marks = self.telling.due.marks();
            marks.looks = marks.looks.wrapping_add(1);
            (marks.fresh.clone(), marks.looks.is_multiple_of(SWEEP_EVERY).then(|| marks.sweep.clone()))
        };
        let found = self.engine.read(move |r| r.due_retries_after(&fresh.1, fresh.0, now, PAGE)).await?;
        let next = after(&found).unwrap_or_else(|| mark_at(now.plus(-LATE_MS)));
        self.telling.due.marks().fresh = next;
        self.take_due(found.into_iter().map(|retry| retry.key));
        if let Some(sweep) = sweep {
            let found = self.engine.read(move |r| r.due_retries_after(&sweep.1, sweep.0, now, PAGE)).await?;
            self.telling.due.marks().sweep = after(&found).unwrap_or_else(|| mark_at(Timestamp(i64::MIN)));
            self.take_due(found.into_iter().map(|retry| retry.key));
        }
        Ok(())
    }

    /// Takes up events that are due.
    pub(super) fn take_due(&self, events: impl IntoIterator<Item = NoticeKey>) {
        for key in events {
            if self.telling.due.add(&key) {
                let courier = self.clone();
                tokio::spawn(async move { courier.retry_all(key.mchid).await });
            }
        }
    }

    async fn retry_all(&self, mchid: MchId) {
        while let Some(round) = self.telling.due.next(mchid) {
            if let Err(error) = self.retry_round(mchid, round).await {
                tracing::error!(%error, mchid = mchid.0, "a merchant's retries could not be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Tries some events, those of different endpoints beside each other.
    async fn retry_round(&self, mchid: MchId, round: Vec<Seq>) -> Result<(), StoreError> {
        let gate = self.telling.gate(mchid).await;
        let (networks, now, known) =
            (self.networks.clone(), self.engine.now(), self.telling.endpoints.knows(mchid));
        let read = self.engine.read(move |r| {
            let mut all = vec![];
            for seq in round {
                let key = NoticeKey { mchid, seq };
                // It may have been done since it was found, or put off.
                let due = |row: &NoticeRetry| row.next_at.is_some_and(|at| at <= now);
                let Some(retry) = r.get::<NoticeRetry>(&key)?.filter(due) else { continue };
                let missing =
                    || StoreError::Corrupt { table: "notice_retry", what: format!("journal {}", seq.0) };
                let journal = r.journal(seq)?.ok_or_else(missing)?;
                let event = event(r, mchid, journal, &networks.vault, now)?.ok_or_else(missing)?;
                all.push(Retry { tries: retry.tries, event });
            }
            let last = if known { vec![] } else { r.newest_deliveries(mchid)? };
            Ok((all, last))
        });
        let (all, last) = read.await?;
        drop(gate);
        if !known {
            self.telling.endpoints.begin(mchid, last);
        }
        let mut by_host: BTreeMap<String, Vec<Retry>> = BTreeMap::new();
        for retry in all {
            by_host.entry(retry.event.host()).or_default().push(retry);
        }
        let mut under_way = tokio::task::JoinSet::new();
        for (host, retries) in by_host {
            let courier = self.clone();
            under_way.spawn(async move { courier.retry_endpoint(mchid, &host, retries).await });
        }
        under_way.join_all().await;
        Ok(())
    }

    /// Tries events at one endpoint: one after the other until it answers at once, then some beside each other. Past the
    /// first that has no answer they wait for the next round, and once the endpoint is held they count as tried.
    async fn retry_endpoint(&self, mchid: MchId, host: &str, mut retries: Vec<Retry>) {
        retries.reverse();
        while !retries.is_empty() {
            let view = self.telling.endpoints.view(mchid, host);
            if view.held {
                let held = retries.iter().map(|retry| retry.event.journal.seq).collect();
                // A busy engine leaves them due.
                drop(self.engine.submit(RecordHeld { mchid, held }).await);
                return;
            }
            let at_once = if view.standing == Standing::Quick { AT_ONCE } else { 1 };
            let mut under_way = tokio::task::JoinSet::new();
            for retry in retries.split_off(retries.len().saturating_sub(at_once)) {
                let courier = self.clone();
                under_way.spawn(async move { courier.retry(mchid, retry).await });
            }
            let go_on = under_way.join_all().await.into_iter().all(|there| there);
            if !go_on && !self.telling.endpoints.view(mchid, host).held {
                self.telling.due.put_back(mchid, retries.iter().map(|retry| retry.event.journal.seq));
                return;
            }
        }
    }

    /// Tries one event and records how it went. Whether there was an answer.
    async fn retry(&self, mchid: MchId, retry: Retry) -> bool {
        let seq = retry.event.journal.seq;
        let key = NoticeKey { mchid, seq };
        match self.deliver(&retry.event, retry.tries + 1, false).await {
            Went::Tried(tried) => {
                let answered = tried.outcome == DeliveryOutcome::Answered;
                let there = answered || tried.outcome == DeliveryOutcome::Status;
                if !answered && usize::try_from(retry.tries).is_ok_and(|n| n >= RETRY_GAPS_MS.len()) {
                    tracing::warn!(mchid = mchid.wire(), seq = seq.0, "a notice was given up");
                }
                // A busy engine leaves it due; it is sent again, at least once.
                drop(self.engine.submit(RecordRetry { key, answered, tried: Some(*tried) }).await);
                there
            }
            Went::Held => {
                drop(self.engine.submit(RecordHeld { mchid, held: vec![seq] }).await);
                false
            }
            Went::Parked => {
                self.telling.due.put_back(mchid, [seq]);
                false
            }
        }
    }
}

/// Where the next look goes on, if this one had a whole page.
fn after(found: &[NoticeRetry]) -> Option<Mark> {
    let whole = i64::try_from(found.len()).is_ok_and(|n| n >= PAGE);
    let last = found.last().filter(|_| whole)?;
    Some((last.next_at?, last.key.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_has_one_task_whatever_is_due_and_no_more_in_memory_than_some() {
        let due = Due::default();
        let key = |seq| NoticeKey { mchid: MchId::FIRST, seq: Seq(seq) };
        assert!(due.add(&key(1)));
        for seq in 2..10_000 {
            assert!(!due.add(&key(seq)));
        }
        let mut taken = vec![];
        while let Some(round) = due.next(MchId::FIRST) {
            assert!(round.len() <= ROUND);
            taken.extend(round);
        }
        assert_eq!(taken, (1..=256).map(Seq).collect::<Vec<_>>());
        assert!(due.add(&key(1)), "the next one needs a task again");
    }
}
