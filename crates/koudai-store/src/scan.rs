//! Long reads, for the checks: rows are shown one after the other, in place, and no table is ever held in memory.
//!
//! A read by ranges of keys is many short statements, so that a server beside it is never kept from folding its log.

use std::borrow::Cow;

use koudai_core::column::{Column, Row, Value};
use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal};

use crate::PARTITION;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::sql;

/// More cells than any row has.
pub(crate) const WIDEST: usize = 32;

/// Keys that one statement asks for.
const KEYS: usize = 500;

/// A cell where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellRef<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl CellRef<'_> {
    /// Copies the cell over what `value` held, into its memory if it can.
    pub(crate) fn copy_to(self, value: &mut Value) {
        match (self, &mut *value) {
            (Self::Text(text), Value::Text(Cow::Owned(kept))) => {
                kept.clear();
                kept.push_str(text);
            }
            (Self::Bytes(bytes), Value::Bytes(kept)) => {
                kept.clear();
                kept.extend_from_slice(bytes);
            }
            (Self::Null, _) => *value = Value::Null,
            (Self::Int(n), _) => *value = Value::Int(n),
            (Self::Text(text), _) => *value = Value::Text(Cow::Owned(text.to_owned())),
            (Self::Bytes(bytes), _) => *value = Value::Bytes(bytes.to_vec()),
        }
    }
}

/// What is done with each row; whether the next one is wanted.
pub(crate) type Each<'a> = dyn FnMut(&[CellRef<'_>]) -> bool + 'a;

/// A journal as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct RawJournal<'a> {
    /// Its number.
    pub seq: Seq,
    /// Its canonical bytes, which the seals cover.
    pub body: &'a [u8],
    /// The checksum stored beside them.
    pub crc: i64,
}

impl RawJournal<'_> {
    /// What it says.
    ///
    /// # Errors
    /// `Corrupt` if its checksum does not fit, or it is none or another one.
    pub fn decode(&self) -> Result<Journal, StoreError> {
        sql::decode_journal(self.seq, self.body, self.crc)
    }
}

/// A range of whole numbers; what it leaves open has no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// From behind this one.
    pub after: Option<i64>,
    /// Up to this one.
    pub to: Option<i64>,
}

impl Range {
    /// `WHERE` over a column; nothing if it is open on both sides.
    fn condition(self, column: &str) -> String {
        let after = self.after.map(|n| format!("\"{column}\" > {n}"));
        let to = self.to.map(|n| format!("\"{column}\" <= {n}"));
        match (after, to) {
            (None, None) => String::new(),
            (Some(side), None) | (None, Some(side)) => format!("WHERE {side}"),
            (Some(after), Some(to)) => format!("WHERE {after} AND {to}"),
        }
    }
}

/// The cells of the second half of rows that stand in two tables, until their first half comes by.
#[derive(Default)]
struct Halves {
    keys: Vec<i64>,
    cells: Vec<Value>,
    next: usize,
}

impl Halves {
    fn push(&mut self, cells: &[CellRef<'_>]) -> Option<()> {
        let (CellRef::Int(key), rest) = cells.split_first()? else { return None };
        self.keys.push(*key);
        let at = self.cells.len();
        self.cells.resize(at + rest.len(), Value::Null);
        for (cell, value) in rest.iter().zip(&mut self.cells[at..]) {
            cell.copy_to(value);
        }
        Some(())
    }

    /// The next key, if it is at most `to`.
    fn next_up_to(&self, to: i64) -> Option<i64> {
        self.keys.get(self.next).copied().filter(|key| *key <= to)
    }

    /// Moves the next one's cells into `cells`.
    fn take(&mut self, cells: &mut [Value]) {
        let from = self.next * cells.len();
        cells.swap_with_slice(&mut self.cells[from..from + cells.len()]);
        self.next += 1;
    }

    /// What is wrong with the next one, if its first half, of so many cells, is missing.
    fn lonely<R: Row>(&mut self, key: i64, width: usize) -> StoreError {
        let mut values = vec![Value::Null; width];
        values[0] = Value::Int(key);
        let half = self.cells.len() / self.keys.len().max(1);
        values.resize(width + half, Value::Null);
        self.take(&mut values[width..]);
        let what = format!("row {key}: half of it is missing");
        sql::read_row::<R>(&mut values).err().unwrap_or(StoreError::Corrupt { table: R::TABLE, what })
    }
}

impl Reader {
    /// Shows the cells that a statement selects.
    fn scan<E: From<StoreError>>(
        &self,
        select: &str,
        rest: &str,
        mut each: impl FnMut(&[CellRef<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        until_an_error(&mut each, |show| self.connection().scan(select, rest, show))
    }

    /// Shows every row of a table that is not changed once it is written, in whatever order is quickest. Rows that are added
    /// meanwhile may be among them.
    ///
    /// # Errors
    /// As `get`, or what `each` says.
    pub fn each_in_parts<R: Row, E: From<StoreError>>(
        &self,
        mut each: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        let key = &R::columns()[..R::key_columns()];
        let mut values = vec![];
        let mut row = |cells: &[CellRef<'_>]| each(row_of(cells, &mut values)?);
        until_an_error(&mut row, |show| self.connection().scan_in_parts(sql::select_from::<R>(), key, show))
    }

    fn scan_rows<R: Row, E: From<StoreError>>(
        &self,
        rest: &str,
        mut each: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut values = vec![];
        self.scan(sql::select_from::<R>(), rest, |cells| each(row_of(cells, &mut values)?))
    }

    /// Shows every row of a table, in whatever order is quickest. The table is one view all along.
    ///
    /// # Errors
    /// As `get`, or what `each` says.
    pub fn each<R: Row, E: From<StoreError>>(&self, each: impl FnMut(R) -> Result<(), E>) -> Result<(), E> {
        self.scan_rows("", each)
    }

    /// Shows the rows whose number in a column of theirs lies in a range, in the order of that column and of their keys.
    ///
    /// # Errors
    /// As `get`, or what `each` says.
    pub fn each_by<R: Row, E: From<StoreError>>(
        &self,
        column: &str,
        range: Range,
        each: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        let key = sql::quoted(&R::columns()[..R::key_columns()]);
        let rest = format!("{} ORDER BY \"{column}\", {key}", range.condition(column));
        self.scan_rows(&rest, each)
    }

    /// The rows that [`Self::each_after`] shows, and their range.
    ///
    /// # Errors
    /// As `get`.
    pub fn rows_after<R: Row>(&self, after: Option<i64>, limit: i64) -> Result<(Vec<R>, Range), StoreError> {
        let mut rows = vec![];
        let range = self.each_after(after, limit, |row| {
            rows.push(row);
            Ok::<_, StoreError>(())
        })?;
        Ok((rows, range))
    }

    /// Shows about `limit` rows of a table that is keyed by one number, after a key, in key order, and says which range of
    /// keys that was: the next one begins where it ends, and the last one has no end. Half a row is damage, whichever half
    /// is left.
    ///
    /// # Errors
    /// As `get`, or what `each` says.
    pub fn each_after<R: Row, E: From<StoreError>>(
        &self,
        after: Option<i64>,
        limit: i64,
        mut each: impl FnMut(R) -> Result<(), E>,
    ) -> Result<Range, E> {
        let shapes = R::shapes();
        let key = &shapes[0].columns[0];
        let open = Range { after, to: None };
        let page = format!("{} ORDER BY \"{key}\" LIMIT {limit}", open.condition(key));
        let range = |rows: usize, last: Option<i64>| {
            let full = i64::try_from(rows).is_ok_and(|n| n >= limit);
            Range { after, to: last.filter(|_| full) }
        };
        let [wide, narrow] = shapes.as_slice() else {
            let (mut rows, mut last) = (0, None);
            self.scan_rows(&page, |row: R| {
                rows += 1;
                last = number_of(&row.key());
                each(row)
            })?;
            return Ok(range(rows, last));
        };
        // The half of fewer bytes says where the range ends.
        let mut halves = Halves::default();
        let select = format!("SELECT {} FROM {}", sql::quoted(&narrow.columns), narrow.table);
        self.scan(&select, &page, |cells| halves.push(cells).ok_or_else(|| E::from(keyless::<R>())))?;
        let range = range(halves.keys.len(), halves.keys.last().copied());
        let width = wide.columns.len();
        let mut values = vec![Value::Null; width + narrow.columns.len() - 1];
        let select = format!("SELECT {} FROM {}", sql::quoted(&wide.columns), wide.table);
        let rest = format!("{} ORDER BY \"{key}\"", range.condition(key));
        self.scan(&select, &rest, |cells| {
            let Some(CellRef::Int(number)) = cells.first().copied() else {
                return Err(keyless::<R>().into());
            };
            match halves.next_up_to(number) {
                Some(other) if other == number => halves.take(&mut values[width..]),
                Some(other) => return Err(halves.lonely::<R>(other, width).into()),
                None => values[width..].fill(Value::Null),
            }
            for (cell, value) in cells.iter().zip(&mut values) {
                cell.copy_to(value);
            }
            each(sql::read_row(&mut values)?)
        })?;
        match halves.next_up_to(i64::MAX) {
            Some(other) => Err(halves.lonely::<R>(other, width).into()),
            None => Ok(range),
        }
    }

    /// The rows of some keys, of those that exist, in no order. The table is keyed by one number.
    ///
    /// # Errors
    /// As `get`.
    pub fn those<R: Row>(&self, keys: &[i64]) -> Result<Vec<R>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            let list = keys.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            let rest = format!("WHERE \"{}\" IN ({list})", R::columns()[0]);
            self.scan_rows(&rest, |row| {
                rows.push(row);
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(rows)
    }

    /// The greatest key of a table that is keyed by one number; `None` if it is empty.
    ///
    /// # Errors
    /// As `get`.
    pub fn newest_key<R: Row>(&self) -> Result<Option<i64>, StoreError> {
        let key = &R::columns()[0];
        let sql = format!("SELECT \"{key}\" FROM {} ORDER BY \"{key}\" DESC LIMIT 1", R::TABLE);
        match self.connection().select(&sql, &[])?.first().map(Vec::as_slice) {
            None => Ok(None),
            Some([Value::Int(key)]) => Ok(Some(*key)),
            Some(_) => Err(keyless::<R>()),
        }
    }

    /// The number of the newest journal; 0 if there is none.
    ///
    /// # Errors
    /// As `get`.
    pub fn newest_journal(&self) -> Result<Seq, StoreError> {
        let sql = "SELECT seq FROM journal WHERE partition = ?1 ORDER BY seq DESC LIMIT 1";
        match self.connection().select(sql, &[Value::Int(PARTITION)])?.first().map(Vec::as_slice) {
            Some([Value::Int(seq)]) => Ok(Seq(*seq)),
            _ => Ok(Seq(0)),
        }
    }

    /// Shows the journals of a range, in order, as they are stored.
    ///
    /// # Errors
    /// As `get`, or what `each` says.
    pub fn each_journal<E: From<StoreError>>(
        &self,
        range: Range,
        mut each: impl FnMut(RawJournal<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let condition = range.condition("seq");
        let and = if condition.is_empty() { "WHERE" } else { "AND" };
        let rest = format!("{condition} {and} partition = {PARTITION} ORDER BY seq");
        self.scan("SELECT seq, body, crc FROM journal", &rest, |cells| {
            let [CellRef::Int(seq), CellRef::Bytes(body), CellRef::Int(crc)] = *cells else {
                return Err(sql::no_journal().into());
            };
            each(RawJournal { seq: Seq(seq), body, crc })
        })
    }

    /// Shows the index of histories, all of it, as account and journal, in whatever order is quickest.
    ///
    /// # Errors
    /// As `get`, or what `each` says.
    pub fn each_indexed<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(AccountId, Seq) -> Result<(), E>,
    ) -> Result<(), E> {
        self.scan("SELECT account, seq FROM history", "", |cells| match *cells {
            [CellRef::Int(account), CellRef::Int(seq)] => each(AccountId(account), Seq(seq)),
            _ => {
                Err(StoreError::Corrupt { table: "history", what: "a row is not two numbers".to_owned() }
                    .into())
            }
        })
    }
}

/// Scans with `scan` until `each` fails, and returns what it failed with.
fn until_an_error<E: From<StoreError>>(
    each: &mut dyn FnMut(&[CellRef<'_>]) -> Result<(), E>,
    scan: impl FnOnce(&mut Each<'_>) -> Result<(), StoreError>,
) -> Result<(), E> {
    let mut failed = None;
    scan(&mut |cells| match each(cells) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// The row of some cells, through values whose memory is used again.
fn row_of<R: Row>(cells: &[CellRef<'_>], values: &mut Vec<Value>) -> Result<R, StoreError> {
    values.resize(cells.len(), Value::Null);
    for (cell, value) in cells.iter().zip(&mut *values) {
        cell.copy_to(value);
    }
    sql::read_row(values)
}

/// A key that is one number.
fn number_of(key: &impl Column) -> Option<i64> {
    match sql::cells_of(key).as_slice() {
        [Value::Int(number)] => Some(*number),
        _ => None,
    }
}

fn keyless<R: Row>() -> StoreError {
    StoreError::Corrupt { table: R::TABLE, what: "the key of a row is not a number".to_owned() }
}
