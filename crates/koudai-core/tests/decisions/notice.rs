//! How far merchants have been told.

use koudai_core::id::{MchId, Seq};
use koudai_core::notice::{
    REPLAYS_A_MINUTE, RETRY_GAPS_MS, RING, RecordHeld, RecordRetry, RecordTold, ReplayNotices, Replayer,
    Tried,
};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{Delivery, DeliveryOutcome, NoticeCursor, NoticeKey, NoticeRetry, NoticeTally};
use koudai_core::time::{DAY, MINUTE, Timestamp};

use crate::fixture::Ledger;

const MCHID: MchId = MchId::FIRST;

fn told(told: i64, failed: &[i64]) -> RecordTold {
    let failed = failed.iter().map(|seq| Seq(*seq)).collect();
    RecordTold { mchid: MCHID, told: Seq(told), failed, parked: vec![], log: vec![] }
}

fn retried(seq: i64, answered: bool) -> RecordRetry {
    RecordRetry { key: key(seq), answered, tried: None }
}

/// A try as the courier reports it.
pub(crate) fn tried(seq: i64, answered: bool) -> Tried {
    let outcome = if answered { DeliveryOutcome::Answered } else { DeliveryOutcome::NoAnswer };
    Tried {
        seq: Seq(seq),
        at: Timestamp(seq),
        tries: 1,
        place: "shop.example/paid".to_owned(),
        outcome,
        status: answered.then_some(204),
        took_ms: 3,
        said: None,
    }
}

fn replay(events: &[i64], by: Replayer) -> ReplayNotices {
    ReplayNotices { mchid: MCHID, events: events.iter().map(|seq| Seq(*seq)).collect(), by }
}

fn key(seq: i64) -> NoticeKey {
    NoticeKey { mchid: MCHID, seq: Seq(seq) }
}

#[test]
fn the_cursor_passes_what_was_answered_and_what_has_a_retry() {
    let mut ledger = Ledger::new();
    ledger.submit(&told(7, &[3, 5])).unwrap();
    assert_eq!(ledger.get::<NoticeCursor>(&MCHID).unwrap().told, Seq(7));
    let retries = ledger.all::<NoticeRetry>();
    assert_eq!(retries.iter().map(|r| r.key.clone()).collect::<Vec<_>>(), [key(3), key(5)]);
    assert!(retries.iter().all(|r| r.tries == 1 && r.next_at == Some(ledger.now.plus(RETRY_GAPS_MS[0]))));
}

#[test]
fn the_cursor_never_goes_back() {
    let mut ledger = Ledger::new();
    ledger.submit(&told(7, &[])).unwrap();
    for late in [told(7, &[7]), told(6, &[1])] {
        assert_eq!(ledger.effect(&late), (Ok(()), false));
    }
}

#[test]
fn an_answered_retry_is_forgotten() {
    let mut ledger = Ledger::new();
    ledger.submit(&told(1, &[1])).unwrap();
    let answered = retried(1, true);
    ledger.submit(&answered).unwrap();
    assert!(ledger.all::<NoticeRetry>().is_empty());
    assert_eq!(ledger.effect(&answered), (Ok(()), false));
}

#[test]
fn an_event_is_tried_sixteen_times_over_a_day_and_then_kept_as_given_up() {
    let mut ledger = Ledger::new();
    let start = ledger.now;
    ledger.submit(&told(1, &[1])).unwrap();
    let mut tries = 1;
    while let Some(next_at) = ledger.get::<NoticeRetry>(&key(1)).unwrap().next_at {
        ledger.now = next_at;
        ledger.submit(&retried(1, false)).unwrap();
        tries += 1;
    }
    assert_eq!(tries, 16);
    assert_eq!(ledger.now.since(start), RETRY_GAPS_MS.iter().sum::<i64>());
    assert_eq!(ledger.get::<NoticeRetry>(&key(1)).unwrap().tries, 16);
    ledger.submit(&retried(1, false)).unwrap();
    assert_eq!(ledger.get::<NoticeRetry>(&key(1)).unwrap().next_at, None, "given up is given up");
}

#[test]
fn a_parked_event_is_due_at_once_and_its_first_failure_is_its_first() {
    let mut ledger = Ledger::new();
    ledger.submit(&RecordTold { parked: vec![Seq(4)], ..told(7, &[]) }).unwrap();
    let retry = ledger.get::<NoticeRetry>(&key(4)).unwrap();
    assert_eq!((retry.tries, retry.next_at), (0, Some(ledger.now)));
    ledger.submit(&retried(4, false)).unwrap();
    let retry = ledger.get::<NoticeRetry>(&key(4)).unwrap();
    assert_eq!((retry.tries, retry.next_at), (1, Some(ledger.now.plus(RETRY_GAPS_MS[0]))));
}

#[test]
fn held_events_count_as_tried_and_those_that_are_over_stay_so() {
    let mut ledger = Ledger::new();
    ledger.submit(&told(7, &[1, 2, 3])).unwrap();
    ledger.submit(&retried(2, true)).unwrap();
    let held = RecordHeld { mchid: MCHID, held: vec![Seq(1), Seq(2), Seq(3), Seq(1)] };
    ledger.submit(&held).unwrap();
    let rows = ledger.all::<NoticeRetry>();
    assert_eq!(rows.iter().map(|row| (row.key.seq.0, row.tries)).collect::<Vec<_>>(), [(1, 2), (3, 2)]);
    for _ in 0..20 {
        ledger.now = ledger.now.plus(DAY);
        ledger.submit(&held).unwrap();
    }
    assert!(ledger.all::<NoticeRetry>().iter().all(|row| row.tries == 16 && row.next_at.is_none()));
}

#[test]
fn a_replay_begins_anew_what_was_answered_or_given_up_and_hastens_what_waits() {
    let mut ledger = Ledger::new();
    ledger.submit(&told(7, &[2, 3])).unwrap();
    ledger.submit(&retried(3, false)).unwrap();
    while ledger.get::<NoticeRetry>(&key(2)).unwrap().next_at.is_some() {
        ledger.submit(&retried(2, false)).unwrap();
    }
    ledger.now = ledger.now.plus(MINUTE);
    // 1 was answered, 2 was given up, 3 waits for its third try, 9 was not told at all yet.
    assert_eq!(ledger.submit(&replay(&[1, 2, 3, 9, 1], Replayer::Operator)), Ok(3));
    let rows = ledger.all::<NoticeRetry>();
    assert!(rows.iter().all(|row| row.next_at == Some(ledger.now)));
    assert_eq!(
        rows.iter().map(|row| (row.key.seq.0, row.tries)).collect::<Vec<_>>(),
        [(1, 0), (2, 0), (3, 2)]
    );
    ledger.submit(&retried(1, true)).unwrap();
    assert!(ledger.get::<NoticeRetry>(&key(1)).is_none(), "answered again, forgotten again");
}

#[test]
fn a_merchant_replays_so_many_a_minute_and_the_operator_as_many_as_they_like() {
    let mut ledger = Ledger::new();
    ledger.submit(&told(7, &[])).unwrap();
    for _ in 0..REPLAYS_A_MINUTE {
        ledger.submit(&replay(&[1], Replayer::Merchant)).unwrap();
    }
    assert_eq!(ledger.submit(&replay(&[1], Replayer::Merchant)), Err(MerchantRefusal::Busy));
    assert_eq!(ledger.submit(&replay(&[1], Replayer::Operator)), Ok(1));
    ledger.now = ledger.now.plus(MINUTE);
    ledger.submit(&replay(&[1], Replayer::Merchant)).unwrap();
}

#[test]
fn the_newest_deliveries_of_each_kind_are_kept_and_no_more() {
    let mut ledger = Ledger::new();
    let ring = i64::from(RING);
    for n in 1..=2 * ring + 7 {
        let log = vec![tried(n, true), tried(n, n > 3)];
        ledger.submit(&RecordTold { log, ..told(n, &[]) }).unwrap();
    }
    let rows = ledger.all::<Delivery>();
    let answered: Vec<&Delivery> =
        rows.iter().filter(|row| row.outcome == DeliveryOutcome::Answered).collect();
    assert_eq!(
        (rows.len() - answered.len(), answered.len()),
        (3, usize::from(RING)),
        "failures are not pushed out"
    );
    let tally = ledger.get::<NoticeTally>(&MCHID).unwrap();
    assert_eq!((tally.failed, tally.answered), (3, 4 * ring + 11));
    assert!(answered.iter().all(|row| row.number > tally.answered - ring));
}

#[test]
fn a_retry_is_logged_with_what_came_of_it() {
    let mut ledger = Ledger::new();
    ledger.submit(&RecordTold { log: vec![tried(1, false)], ..told(1, &[1]) }).unwrap();
    let second = Tried { tries: 2, ..tried(1, true) };
    ledger.submit(&RecordRetry { key: key(1), answered: true, tried: Some(second.clone()) }).unwrap();
    // What is late is no second effect.
    let late = RecordRetry { key: key(1), answered: true, tried: Some(second) };
    assert_eq!(ledger.effect(&late), (Ok(()), false));
    let rows = ledger.all::<Delivery>();
    assert_eq!(
        rows.iter().map(|row| (row.tries, row.status)).collect::<Vec<_>>(),
        [(1, None), (2, Some(204))]
    );
}
