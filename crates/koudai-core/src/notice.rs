//! Telling merchants. The journal is the outbox: what is due follows from it and from how far a merchant has been told.
//!
//! A merchant's cursor passes an event only once it was answered or has a retry row, so it may lag and never leads.

use crate::id::{MchId, Seq};
use crate::planted::{self, Bug};
use crate::refusal::MerchantRefusal;
use crate::rows::{NoticeCursor, NoticeKey, NoticeRetry};
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::{HOUR, MINUTE, SECOND};

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

/// Records first attempts at a merchant's events: everything up to `told` was tried, and `failed` got no answer.
#[derive(Clone, Debug)]
pub struct RecordTold {
    /// The merchant.
    pub mchid: MchId,
    /// The last journal tried, in order.
    pub told: Seq,
    /// Those without an answer.
    pub failed: Vec<Seq>,
}

impl Command for RecordTold {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let now = tx.now();
        let cursor = tx.rows().notice_cursor.get(&self.mchid).or_stop()?.map_or(Seq(0), |c| c.told);
        let keys: Vec<NoticeKey> =
            self.failed.iter().map(|seq| NoticeKey { mchid: self.mchid, seq: *seq }).collect();
        tx.rows().notice_retry.want(&keys).or_stop()?;
        if self.told <= cursor {
            return Ok(());
        }
        for key in keys {
            if planted::is(Bug::CursorAheadOfRetry) {
                continue;
            }
            let next_at = Some(now.plus(RETRY_GAPS_MS[0]));
            tx.rows().notice_retry.put(NoticeRetry { key, tries: 1, next_at });
        }
        tx.rows().notice_cursor.put(NoticeCursor { mchid: self.mchid, told: self.told });
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
}

impl Command for RecordRetry {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let now = tx.now();
        let Some(mut retry) = tx.rows().notice_retry.get(&self.key).or_stop()?.cloned() else {
            return Ok(());
        };
        if self.answered {
            tx.rows().notice_retry.delete(&self.key);
        } else {
            let gap = usize::try_from(retry.tries).ok().and_then(|n| RETRY_GAPS_MS.get(n));
            retry.next_at = gap.map(|gap| now.plus(*gap));
            retry.tries += 1;
            tx.rows().notice_retry.put(retry);
        }
        Ok(())
    }
}
