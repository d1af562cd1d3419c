//! How far merchants have been told.

use koudai_core::id::{MchId, Seq};
use koudai_core::notice::{RETRY_GAPS_MS, RecordRetry, RecordTold};
use koudai_core::rows::{NoticeCursor, NoticeKey, NoticeRetry};

use crate::fixture::Ledger;

const MCHID: MchId = MchId::FIRST;

fn told(told: i64, failed: &[i64]) -> RecordTold {
    RecordTold { mchid: MCHID, told: Seq(told), failed: failed.iter().map(|seq| Seq(*seq)).collect() }
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
    let answered = RecordRetry { key: key(1), answered: true };
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
        ledger.submit(&RecordRetry { key: key(1), answered: false }).unwrap();
        tries += 1;
    }
    assert_eq!(tries, 16);
    assert_eq!(ledger.now.since(start), RETRY_GAPS_MS.iter().sum::<i64>());
    assert_eq!(ledger.get::<NoticeRetry>(&key(1)).unwrap().tries, 16);
    ledger.submit(&RecordRetry { key: key(1), answered: false }).unwrap();
    assert_eq!(ledger.get::<NoticeRetry>(&key(1)).unwrap().next_at, None, "given up is given up");
}
