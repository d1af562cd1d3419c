//! Telling merchants. The journal is the outbox: what is due follows from it and from how far a merchant has been told.
//!
//! A merchant's cursor passes an event only once it was answered or has a retry row, so it may lag and never leads.

use crate::id::{MchId, Seq};
use crate::planted::{self, Bug};
use crate::refusal::MerchantRefusal;
use crate::rows::{
    Delivery, DeliveryKey, DeliveryOutcome, NoticeCursor, NoticeKey, NoticeRetry, NoticeTally,
};
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::{HOUR, MINUTE, SECOND, Timestamp};

/// Gaps between the tries after the first, as WeChat Pay keeps them (protocol specification 4.2).
pub const RETRY_GAPS_MS: [i64; 15] = [
    15 * SECOND,
    15 * SECOND,
    30 * SECOND,
    3 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    30 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    3 * HOUR,
    3 * HOUR,
    6 * HOUR,
    6 * HOUR,
];

/// Deliveries kept of a merchant's that were answered, and as many that failed: a busy merchant's successes must not push
/// out the failure it asks about.
pub const RING: u16 = 500;
/// Replays a merchant may ask for in a minute.
pub const REPLAYS_A_MINUTE: u16 = 60;

/// One try at telling a merchant of an event, as the courier saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The journal that is the event.
    pub seq: Seq,
    /// When it began.
    pub at: Timestamp,
    /// Which try at the event it was: 1, 2, 3 …
    pub tries: u32,
    /// Host and path of the address.
    pub place: String,
    /// What came of it.
    pub outcome: DeliveryOutcome,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub took_ms: u32,
    /// How the answer's body begins.
    pub said: Option<String>,
}

/// Records first attempts at a merchant's events: everything up to `told` was dealt with, `failed` got no answer, and
/// `parked` are left to be tried where they keep nobody waiting.
#[derive(Clone, Debug)]
pub struct RecordTold {
    /// The merchant.
    pub mchid: MchId,
    /// The last journal tried, in order.
    pub told: Seq,
    /// Those without an answer.
    pub failed: Vec<Seq>,
    /// Those that were not tried yet, because their endpoint kept others waiting: due now, as retries are.
    pub parked: Vec<Seq>,
    /// The tries, for the merchant's log.
    pub log: Vec<Tried>,
}

impl Command for RecordTold {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let now = tx.now();
        let cursor = tx.rows().notice_cursor.get(&self.mchid).or_stop()?.map_or(Seq(0), |c| c.told);
        let failed = self.failed.iter().map(|seq| (*seq, 1, now.plus(RETRY_GAPS_MS[0])));
        let parked = self.parked.iter().map(|seq| (*seq, 0, now));
        let rows: Vec<NoticeRetry> = failed
            .chain(parked)
            .map(|(seq, tries, next_at)| {
                let key = NoticeKey { mchid: self.mchid, seq };
                NoticeRetry { key, tries, next_at: Some(next_at) }
            })
            .collect();
        tx.rows().notice_retry.want(rows.iter().map(|row| &row.key)).or_stop()?;
        let tally = tally(tx, self.mchid)?;
        if self.told <= cursor {
            return Ok(());
        }
        for row in rows {
            if planted::is(Bug::CursorAheadOfRetry) {
                continue;
            }
            tx.rows().notice_retry.put(row);
        }
        tx.rows().notice_cursor.put(NoticeCursor { mchid: self.mchid, told: self.told });
        log(tx, tally, &self.log);
        Ok(())
    }
}

/// Records a later attempt at one event.
#[derive(Clone, Debug)]
pub struct RecordRetry {
    /// Merchant and journal.
    pub key: NoticeKey,
    /// Whether the merchant answered.
    pub answered: bool,
    /// The try, for the merchant's log.
    pub tried: Option<Tried>,
}

impl Command for RecordRetry {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let tally = tally(tx, self.key.mchid)?;
        let Some(retry) = tx.rows().notice_retry.get(&self.key).or_stop()?.cloned() else {
            return Ok(());
        };
        if self.answered {
            tx.rows().notice_retry.delete(&self.key);
        } else {
            put_off(tx, retry);
        }
        log(tx, tally, self.tried.as_slice());
        Ok(())
    }
}

/// Counts events of a merchant as tried without a call, since their endpoint did not answer others a moment ago.
#[derive(Clone, Debug)]
pub struct RecordHeld {
    /// The merchant.
    pub mchid: MchId,
    /// The journals.
    pub held: Vec<Seq>,
}

impl Command for RecordHeld {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        for retry in retries(tx, self.mchid, &self.held)?.into_iter().filter_map(Result::ok) {
            // One that was given up meanwhile stays so.
            if retry.next_at.is_some() {
                put_off(tx, retry);
            }
        }
        Ok(())
    }
}

/// Who asks for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayer {
    /// The merchant, so many times a minute.
    Merchant,
    /// The operator.
    Operator,
}

/// Tells a merchant of events again, from now on and by the usual schedule, under their own ids. The sender has made sure
/// that they are events of this merchant.
#[derive(Clone, Debug)]
pub struct ReplayNotices {
    /// The merchant.
    pub mchid: MchId,
    /// The journals.
    pub events: Vec<Seq>,
    /// Who asks.
    pub by: Replayer,
}

impl Command for ReplayNotices {
    /// How many are due now. One that has not been told at all yet is on its way anyhow.
    type Reply = usize;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<usize, Stop<MerchantRefusal>> {
        let now = tx.now();
        let told = tx.rows().notice_cursor.get(&self.mchid).or_stop()?.map_or(Seq(0), |c| c.told);
        let events: Vec<Seq> = self.events.iter().copied().filter(|seq| *seq <= told).collect();
        let rows = retries(tx, self.mchid, &events)?;
        let mut tally = tally(tx, self.mchid)?;
        if self.by == Replayer::Merchant {
            let minute = now.0.div_euclid(MINUTE);
            let before = if tally.minute == minute { tally.replays } else { 0 };
            let with = u16::try_from(self.events.len()).map_or(u16::MAX, |more| before.saturating_add(more));
            if with > REPLAYS_A_MINUTE {
                return Err(MerchantRefusal::Busy.into());
            }
            (tally.minute, tally.replays) = (minute, with);
            tx.rows().notice_tally.put(tally);
        }
        let due = rows.len();
        for row in rows {
            // One that waits for its next try goes on from there; one that was answered or given up begins anew.
            let fresh = |key| NoticeRetry { key, tries: 0, next_at: None };
            let mut retry =
                row.map_or_else(fresh, |row| if row.next_at.is_some() { row } else { fresh(row.key) });
            retry.next_at = Some(now);
            tx.rows().notice_retry.put(retry);
        }
        Ok(due)
    }
}

/// Puts an event off until its next try, or gives it up.
fn put_off(tx: &mut Tx<'_>, mut retry: NoticeRetry) {
    let gap = usize::try_from(retry.tries).ok().and_then(|n| RETRY_GAPS_MS.get(n));
    retry.next_at = gap.map(|gap| tx.now().plus(*gap));
    retry.tries += 1;
    tx.rows().notice_retry.put(retry);
}

/// The retry row of each event, or the key it would stand under.
fn retries<R>(
    tx: &mut Tx<'_>,
    mchid: MchId,
    events: &[Seq],
) -> Result<Vec<Result<NoticeRetry, NoticeKey>>, Stop<R>> {
    let mut keys: Vec<NoticeKey> = events.iter().map(|seq| NoticeKey { mchid, seq: *seq }).collect();
    keys.sort_unstable();
    keys.dedup();
    tx.rows().notice_retry.want(&keys).or_stop()?;
    let row = |key: NoticeKey| Ok(tx.rows().notice_retry.get(&key).or_stop()?.cloned().ok_or(key));
    keys.into_iter().map(row).collect()
}

fn tally<R>(tx: &mut Tx<'_>, mchid: MchId) -> Result<NoticeTally, Stop<R>> {
    let none = NoticeTally { mchid, answered: 0, failed: 0, minute: 0, replays: 0 };
    Ok(tx.rows().notice_tally.get(&mchid).or_stop()?.cloned().unwrap_or(none))
}

/// The place of a delivery in its merchant's log.
pub fn slot(outcome: DeliveryOutcome, number: i64) -> u16 {
    let place = u16::try_from(number.rem_euclid(i64::from(RING))).expect("a ring is short");
    if outcome == DeliveryOutcome::Answered { RING + place } else { place }
}

/// Adds tries to the merchant's log.
fn log(tx: &mut Tx<'_>, mut tally: NoticeTally, all: &[Tried]) {
    if all.is_empty() {
        return;
    }
    let mchid = tally.mchid;
    for tried in all {
        let Tried { seq, at, tries, place, outcome, status, took_ms, said } = tried.clone();
        let count =
            if outcome == DeliveryOutcome::Answered { &mut tally.answered } else { &mut tally.failed };
        *count += 1;
        let number = *count;
        let key = DeliveryKey { mchid, slot: slot(outcome, number) };
        let row = Delivery { key, number, at, seq, tries, place, outcome, status, took_ms, said };
        tx.rows().delivery.overwrite(row);
    }
    tx.rows().notice_tally.put(tally);
}
