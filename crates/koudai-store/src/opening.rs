//! Where a ledger stands when it is opened, whichever database holds it: its newest seal over its newest journal, and what
//! is committed and not written behind yet. The owner reads it after its epoch is durable.

use std::sync::Arc;

use koudai_core::column::Value;
use koudai_core::id::Seq;
use koudai_core::ledger::{Journal, Seal};
use koudai_core::planted::{self, Bug};
use koudai_core::time::Timestamp;

use crate::error::StoreError;
use crate::reader::Connection;
use crate::recent::Recent;
use crate::{PARTITION, Tuning, sql};

/// Journals read at once while the newest are replayed.
const CHUNK: usize = 1_024;

/// Where a ledger stands.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The newest seal, which ends at the newest journal.
    pub(crate) seal: Seal,
    /// The time of the newest commit: of its journals and of the ids it gave out.
    pub(crate) last_at: Timestamp,
    /// The journals after the watermark.
    pub(crate) recent: Arc<Recent>,
}

impl Standing {
    /// Reads it. `ids_at` is the moment of the newest id, which stands in the lease.
    pub(crate) fn read(connection: &dyn Connection, ids_at: i64, tuning: Tuning) -> Result<Self, StoreError> {
        let seal = newest_seal(connection)?;
        let newest = newest_journal(connection)?;
        let head = newest.as_ref().map_or(Seq(0), |j| j.seq);
        if seal.last != head {
            let what = format!(
                "the newest seal ends at journal {} and the newest journal is {}",
                seal.last.0, head.0
            );
            return Err(StoreError::Corrupt { table: "seal", what });
        }
        let recent = Arc::new(replay(connection, head, tuning)?);
        let last_at = Timestamp(ids_at).max(newest.map_or(Timestamp(0), |j| j.at));
        Ok(Self { seal, last_at, recent })
    }
}

/// The newest seal, whose hash fits.
pub(crate) fn newest_seal(connection: &dyn Connection) -> Result<Seal, StoreError> {
    let sql = "SELECT no, previous, epoch, first_seq, last_seq, root, hash FROM seal
               WHERE partition = ?1 ORDER BY no DESC LIMIT 1";
    let rows = connection.select(sql, &[Value::Int(PARTITION)])?;
    let cells = rows
        .first()
        .ok_or_else(|| StoreError::Corrupt { table: "seal", what: "there is none".to_owned() })?;
    let (seal, hash) = sql::read_seal(cells)?;
    if seal.hash() != hash {
        let what = format!("row {}: its hash does not fit", seal.no);
        return Err(StoreError::Corrupt { table: "seal", what });
    }
    Ok(seal)
}

fn newest_journal(connection: &dyn Connection) -> Result<Option<Journal>, StoreError> {
    let sql = "SELECT seq, body, crc FROM journal WHERE partition = ?1 ORDER BY seq DESC LIMIT 1";
    let rows = connection.select(sql, &[Value::Int(PARTITION)])?;
    rows.first().map(|cells| sql::read_journal(cells)).transpose()
}

/// What is committed and not written behind: the journals after the watermark.
fn replay(connection: &dyn Connection, head: Seq, tuning: Tuning) -> Result<Recent, StoreError> {
    let watermark = sql::read_watermark(
        &connection.select("SELECT watermark FROM derived WHERE partition = ?1", &[Value::Int(PARTITION)])?,
    )?;
    if watermark > head {
        let what = format!("the watermark is {} and the newest journal is {}", watermark.0, head.0);
        return Err(StoreError::Corrupt { table: "derived", what });
    }
    let recent = Recent::new(watermark, tuning.generation);
    let sql = format!(
        "SELECT seq, body, crc FROM journal WHERE partition = ?1 AND seq > ?2 ORDER BY seq LIMIT {CHUNK}"
    );
    let mut after = watermark;
    loop {
        let rows = connection.select(&sql, &[Value::Int(PARTITION), Value::Int(after.0)])?;
        let chunk: Vec<Journal> =
            rows.iter().map(|cells| sql::read_journal(cells)).collect::<Result<_, _>>()?;
        let Some(last) = chunk.last() else { return Ok(recent) };
        after = last.seq;
        if planted::is(Bug::ReplayBackwards) {
            recent.apply(&chunk.into_iter().rev().collect::<Vec<_>>());
            continue;
        }
        recent.apply(&chunk);
    }
}
