//! Statements that follow from the declarations of rows, and how cells are read back. Parameters are written `?1`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{PoisonError, RwLock};

use koudai_core::column::{Cells, Column, Row, Shape, Value};
use koudai_core::id::Seq;
use koudai_core::ledger::{Journal, Seal};

use crate::error::StoreError;

/// Names as a list, quoted: `order` is a column here and a word of SQL.
pub(crate) fn quoted(columns: &[String]) -> String {
    columns.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ")
}

/// `"a" = ?1 AND "b" = ?2` over a table's key.
pub(crate) fn key_condition(columns: &[String]) -> String {
    let mut text = String::new();
    for (i, column) in columns.iter().enumerate() {
        let and = if i == 0 { "" } else { " AND " };
        write!(text, "{and}\"{column}\" = ?{}", i + 1).expect("writing to a string");
    }
    text
}

/// The columns a row is read from, with its checksum if it has one.
fn row_columns<R: Row>() -> String {
    let shapes = R::shapes();
    let mut columns = shapes[0].columns.clone();
    for moving in &shapes[1..] {
        columns.extend_from_slice(&moving.columns[moving.key_columns..]);
    }
    if R::DERIVED {
        columns.push("crc".to_owned());
    }
    quoted(&columns)
}

/// `SELECT` of whole rows under a condition, whose columns the key makes unambiguous.
pub(crate) fn select<R: Row>(condition: &str) -> String {
    format!("{} WHERE {condition}", select_from::<R>())
}

/// Texts that were made, by their tables. There are a few for each, which stay.
type Made = RwLock<BTreeMap<&'static str, &'static str>>;

/// The text of a table, made once.
fn made_once<R: Row>(made: &Made, make: impl FnOnce() -> String) -> &'static str {
    if let Some(sql) = made.read().unwrap_or_else(PoisonError::into_inner).get(R::TABLE) {
        return sql;
    }
    let sql = make();
    made.write().unwrap_or_else(PoisonError::into_inner).entry(R::TABLE).or_insert_with(|| sql.leak())
}

/// `SELECT` of whole rows, up to the condition. It is asked for with every page.
pub(crate) fn select_from<R: Row>() -> &'static str {
    static MADE: Made = RwLock::new(BTreeMap::new());
    // A row whose second half is missing is damage, which a plain join would hide.
    made_once::<R>(&MADE, || format!("SELECT {} FROM {}", row_columns::<R>(), tables::<R>("LEFT")))
}

/// `SELECT` of every row, in key order, and of every half whose other half is missing in either table.
pub(crate) fn select_all<R: Row>() -> String {
    format!("SELECT {} FROM {} ORDER BY 1", row_columns::<R>(), tables::<R>("FULL"))
}

/// The one or two tables that rows stand in.
fn tables<R: Row>(join: &str) -> String {
    match R::MOVING {
        None => R::TABLE.to_owned(),
        Some((moving, _)) => {
            let key = quoted(&R::columns()[..R::key_columns()]);
            format!("{} {join} JOIN {moving} USING ({key})", R::TABLE)
        }
    }
}

/// `SELECT` of the row of a key. It is asked for with every row that is read.
pub(crate) fn select_by_key<R: Row>() -> &'static str {
    static MADE: Made = RwLock::new(BTreeMap::new());
    made_once::<R>(&MADE, || select::<R>(&key_condition(&R::columns()[..R::key_columns()])))
}

/// The columns that are written, the checksum included.
pub(crate) fn written_columns(shape: &Shape) -> Vec<String> {
    let crc = shape.checked.then(|| "crc".to_owned());
    shape.columns.iter().cloned().chain(crc).collect()
}

pub(crate) fn cells_of<T: Column>(value: &T) -> Vec<Value> {
    let mut cells = Vec::new();
    value.write(&mut cells);
    cells
}

/// A row from the cells that `select` reads.
pub(crate) fn read_row<R: Row>(cells: &mut [Value]) -> Result<R, StoreError> {
    let corrupt = |cells: &[Value], what: &str| {
        // Numbers name the row; a text or bytes may be a phone or a token and are not said.
        let name = |cell: &Value| if let Value::Int(n) = cell { n.to_string() } else { "…".to_owned() };
        let key = cells[..R::key_columns().min(cells.len())].iter().map(name).collect::<Vec<_>>().join(", ");
        StoreError::Corrupt { table: R::TABLE, what: format!("row {key}: {what}") }
    };
    let mut end = cells.len();
    if R::DERIVED {
        let fits = cells.split_last().is_some_and(|(crc, body)| *crc == Value::Int(checksum(body).into()));
        if !fits {
            return Err(corrupt(cells, "its checksum does not fit"));
        }
        end -= 1;
    }
    R::read(&mut Cells::new(&mut cells[..end])).map_err(|field| corrupt(cells, &format!("column {field}")))
}

/// CRC32C over cells, each with its type and length.
pub(crate) fn checksum(cells: &[Value]) -> u32 {
    let over = |crc, tag: u8, bytes: &[u8]| {
        let crc = crc32c::crc32c_append(crc, &[tag]);
        let crc = crc32c::crc32c_append(crc, &(bytes.len() as u64).to_be_bytes());
        crc32c::crc32c_append(crc, bytes)
    };
    cells.iter().fold(0, |crc, cell| match cell {
        Value::Null => over(crc, 0, &[]),
        Value::Int(n) => over(crc, 1, &n.to_be_bytes()),
        Value::Text(text) => over(crc, 2, text.as_bytes()),
        Value::Bytes(bytes) => over(crc, 3, bytes),
    })
}

/// A journal from its `seq`, `body` and `crc`.
pub(crate) fn read_journal(cells: &[Value]) -> Result<Journal, StoreError> {
    let [Value::Int(seq), Value::Bytes(body), Value::Int(crc)] = cells else {
        return Err(no_journal());
    };
    decode_journal(Seq(*seq), body, *crc)
}

/// What a row of `journal` is that has not the cells of one.
pub(crate) fn no_journal() -> StoreError {
    StoreError::Corrupt { table: "journal", what: "a row is none".to_owned() }
}

/// A journal from its canonical bytes, and the checksum and the number that stand beside them.
pub(crate) fn decode_journal(seq: Seq, body: &[u8], crc: i64) -> Result<Journal, StoreError> {
    let corrupt = |what| StoreError::Corrupt { table: "journal", what: format!("row {}: {what}", seq.0) };
    if i64::from(crc32c::crc32c(body)) != crc {
        return Err(corrupt("its checksum does not fit"));
    }
    let journal = Journal::decode(body).ok_or_else(|| corrupt("its body is not a journal"))?;
    if journal.seq == seq { Ok(journal) } else { Err(corrupt("its body is another journal's")) }
}

/// The watermark from the one row of `derived`.
pub(crate) fn read_watermark(rows: &[Vec<Value>]) -> Result<Seq, StoreError> {
    match rows.first().map(Vec::as_slice) {
        Some([Value::Int(seq)]) => Ok(Seq(*seq)),
        _ => Err(StoreError::Corrupt { table: "derived", what: "there is no watermark".to_owned() }),
    }
}

/// A seal and the hash stored beside it.
pub(crate) fn read_seal(cells: &[Value]) -> Result<(Seal, [u8; 32]), StoreError> {
    let corrupt = || StoreError::Corrupt { table: "seal", what: "a row is none".to_owned() };
    let [
        Value::Int(no),
        Value::Bytes(previous),
        Value::Int(epoch),
        Value::Int(first),
        Value::Int(last),
        Value::Bytes(root),
        Value::Bytes(hash),
    ] = cells
    else {
        return Err(corrupt());
    };
    let hash_of = |bytes: &Vec<u8>| <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| corrupt());
    let seal = Seal {
        no: *no,
        previous: hash_of(previous)?,
        epoch: *epoch,
        first: Seq(*first),
        last: Seq(*last),
        root: hash_of(root)?,
    };
    Ok((seal, hash_of(hash)?))
}
