//! The log of how merchants were told: each try stands in its place, is counted, and is of something that was told.
//!
//! Nothing is decided by the log, so this asks for no more than that it is whole.

use koudai_core::id::MchId;
use koudai_core::rows::{Delivery, DeliveryOutcome, NoticeCursor, NoticeTally};
use koudai_store::Reader;

use super::start::ById;
use super::{Wrong, check};

/// Places of each kind, those of failed tries first.
const RING: i64 = 500;

/// What the tries of a merchant add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    answered: i64,
    failed: i64,
    /// The newest event that was tried.
    seq: i64,
}

/// Checks the log. What is counted is read after what is logged, so that a server beside it may go on.
pub(super) fn run(reader: &Reader) -> Result<(), Wrong> {
    let mut seen: ById<Seen> = ById::default();
    reader.each_in_parts(|row: Delivery| {
        let name = || format!("merchant {}, place {}", row.key.mchid.0, row.key.slot);
        let answered = row.outcome == DeliveryOutcome::Answered;
        let place = row.number % RING + if answered { RING } else { 0 };
        let fits = row.number > 0 && i64::from(row.key.slot) == place;
        check(fits, "a delivery stands in its place of the log", name)?;
        let its = seen.entry(row.key.mchid.0).or_default();
        let count = if answered { &mut its.answered } else { &mut its.failed };
        *count = row.number.max(*count);
        its.seq = its.seq.max(row.seq.0);
        Ok::<_, Wrong>(())
    })?;
    let mut merchants: Vec<(i64, Seen)> = seen.into_iter().collect();
    merchants.sort_unstable_by_key(|(mchid, _)| *mchid);
    for (mchid, its) in merchants {
        let (name, key) = (|| format!("merchant {mchid}"), MchId(mchid));
        let tally = reader.get::<NoticeTally>(&key)?;
        let counted = tally.is_some_and(|tally| tally.answered >= its.answered && tally.failed >= its.failed);
        check(counted, "the deliveries of a merchant are counted", name)?;
        let told = reader.get::<NoticeCursor>(&key)?.map_or(0, |cursor| cursor.told.0);
        check(its.seq <= told, "what was delivered was dealt with", name)?;
    }
    Ok(())
}
