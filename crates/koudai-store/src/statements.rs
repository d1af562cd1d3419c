//! What reconciliation reads: a network's lines and our attempts by day and by number, a page at a time.

use std::borrow::Cow;

use koudai_core::column::Value;
use koudai_core::id::{AttemptId, DifferenceId};
use koudai_core::ledger::NetworkId;
use koudai_core::rows::{
    Attempt, Difference, DifferenceState, Reconciliation, ReconciliationState, StatementLine,
};
use koudai_core::time::Timestamp;

use crate::error::StoreError;
use crate::reader::Reader;

/// Numbers that one statement asks for.
const NUMBERS: usize = 64;

/// The place of an attempt among those that ended: when, and which.
pub type EndedAt = (Timestamp, AttemptId);

impl Reader {
    /// A network's lines of a day behind one of them, in the order of its books.
    ///
    /// # Errors
    /// As `get`.
    pub fn lines_of_day(
        &self,
        network: NetworkId,
        day: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<StatementLine>, StoreError> {
        let values = [network.0, day, after, limit].map(Value::Int);
        self.find("network = ?1 AND day = ?2 AND no > ?3 ORDER BY no LIMIT ?4", &values)
    }

    /// How many lines of a network's there are, and the number of the newest; 0 if there is none.
    ///
    /// # Errors
    /// As `get`.
    pub fn lines_counted(&self, network: NetworkId) -> Result<(i64, i64), StoreError> {
        let count = self.number("SELECT count(*) FROM statement_line WHERE network = ?1", &[network.0])?;
        let newest = "SELECT no FROM statement_line WHERE network = ?1 ORDER BY no DESC LIMIT 1";
        Ok((count.unwrap_or(0), self.number(newest, &[network.0])?.unwrap_or(0)))
    }

    /// Every line of a network's that carries one of these numbers, in the order of its books within a number's.
    ///
    /// # Errors
    /// As `get`.
    pub fn lines_numbered(
        &self,
        network: NetworkId,
        numbers: &[String],
    ) -> Result<Vec<StatementLine>, StoreError> {
        let places: Vec<String> = (2..NUMBERS + 2).map(|place| format!("?{place}")).collect();
        let condition = format!("network = ?1 AND number IN ({}) ORDER BY number, no", places.join(", "));
        let mut lines = vec![];
        for numbers in numbers.chunks(NUMBERS) {
            // The last is repeated, so that there is one statement to be prepared.
            let padded = numbers.iter().chain(numbers.last().into_iter().cycle()).take(NUMBERS);
            let texts = padded.map(|number| Value::Text(Cow::Owned(number.clone())));
            let values: Vec<Value> = std::iter::once(Value::Int(network.0)).chain(texts).collect();
            lines.extend(self.find::<StatementLine>(&condition, &values)?);
        }
        Ok(lines)
    }

    /// Attempts at a network that succeeded before a moment, behind the place of one of them, in the order they ended.
    ///
    /// # Errors
    /// As `get`.
    pub fn attempts_ended(
        &self,
        network: NetworkId,
        after: EndedAt,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Attempt>, StoreError> {
        let values = [network.0, after.0.0, after.1.0, before.0, limit].map(Value::Int);
        // The first condition on the time says nothing new: it is the one that the index is entered by.
        let sql = "state = 'succeeded' AND network = ?1 AND ended_at >= ?2 AND (ended_at > ?2 OR id > ?3)
                   AND ended_at < ?4 ORDER BY ended_at, id LIMIT ?5";
        self.find(sql, &values)
    }

    /// How many attempts at a network were recorded before a moment and are still open.
    ///
    /// # Errors
    /// As `get`.
    pub fn attempts_open(&self, network: NetworkId, before: Timestamp) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM open_attempt o JOIN attempt a ON a.id = o.attempt
                   WHERE a.network = ?1 AND a.created_at < ?2";
        Ok(self.number(sql, &[network.0, before.0])?.unwrap_or(0))
    }

    /// The first day on which a network or we have anything; `None` if neither has.
    ///
    /// # Errors
    /// As `get`.
    pub fn first_day(&self, network: NetworkId) -> Result<Option<i64>, StoreError> {
        let theirs = "SELECT day FROM statement_line WHERE network = ?1 ORDER BY day LIMIT 1";
        let theirs = self.number(theirs, &[network.0])?;
        let ours = "SELECT ended_at FROM attempt WHERE state = 'succeeded' AND network = ?1 ORDER BY ended_at LIMIT 1";
        let ours = self.number(ours, &[network.0])?.map(|at| Timestamp(at).china_day());
        Ok(theirs.into_iter().chain(ours).min())
    }

    /// A network's newest days that were compared, the newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn reconciliations(&self, network: NetworkId, limit: i64) -> Result<Vec<Reconciliation>, StoreError> {
        let values = [network.0, limit].map(Value::Int);
        self.find("network = ?1 ORDER BY day DESC LIMIT ?2", &values)
    }

    /// A network's days that are to be compared again, the oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn unfinished_days(&self, network: NetworkId) -> Result<Vec<Reconciliation>, StoreError> {
        let done = Value::Text(Cow::Borrowed(ReconciliationState::Done.word()));
        self.find("network = ?1 AND state <> ?2 ORDER BY day", &[Value::Int(network.0), done])
    }

    /// A network's differences in a state, behind one of them.
    ///
    /// # Errors
    /// As `get`.
    pub fn differences(
        &self,
        network: NetworkId,
        state: DifferenceState,
        after: DifferenceId,
        limit: i64,
    ) -> Result<Vec<Difference>, StoreError> {
        let state = Value::Text(Cow::Borrowed(state.word()));
        let values = [Value::Int(network.0), state, Value::Int(after.0), Value::Int(limit)];
        self.find("network = ?1 AND state = ?2 AND id > ?3 ORDER BY id LIMIT ?4", &values)
    }

    /// A network's differences that were found on a day, whatever became of them, behind one of them.
    ///
    /// # Errors
    /// As `get`.
    pub fn differences_of_day(
        &self,
        network: NetworkId,
        day: i64,
        after: DifferenceId,
        limit: i64,
    ) -> Result<Vec<Difference>, StoreError> {
        let values = [network.0, day, after.0, limit].map(Value::Int);
        self.find("network = ?1 AND day = ?2 AND id > ?3 ORDER BY id LIMIT ?4", &values)
    }

    /// The networks of which any day was compared.
    ///
    /// # Errors
    /// As `get`.
    pub fn networks_compared(&self) -> Result<Vec<NetworkId>, StoreError> {
        let mut networks = vec![];
        let next = "SELECT network FROM reconciliation WHERE network > ?1 ORDER BY network LIMIT 1";
        while let Some(network) =
            self.number(next, &[networks.last().map_or(-1, |last: &NetworkId| last.0)])?
        {
            networks.push(NetworkId(network));
        }
        Ok(networks)
    }

    /// How many of a network's differences are open.
    ///
    /// # Errors
    /// As `get`.
    pub fn differences_open(&self, network: NetworkId) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM difference WHERE network = ?1 AND state = 'open'";
        Ok(self.number(sql, &[network.0])?.unwrap_or(0))
    }
}
