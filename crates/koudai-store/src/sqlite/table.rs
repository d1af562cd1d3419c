//! Loading and writing any declared row: the SQL follows from the declaration.

use std::fmt::Write as _;

use koudai_core::column::{Cells, Column, Row, Value};
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use crate::error::StoreError;

/// A cell as SQLite takes it.
pub(crate) struct Cell<'a>(pub(crate) &'a Value);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(Sql::Null),
            Value::Int(n) => ToSqlOutput::Owned(Sql::Integer(*n)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// The columns of a row as a list, quoted: `order` is a column here and a word of SQL.
pub(crate) fn column_list<R: Row>() -> String {
    let mut list = R::columns().iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>();
    if R::CHECKED {
        list.push("crc".to_owned());
    }
    list.join(", ")
}

/// `"a" = ?1 AND "b" = ?2` over the key's columns.
fn key_condition<R: Row>() -> String {
    let columns = R::columns();
    let mut text = String::new();
    for (i, column) in columns[..R::key_columns()].iter().enumerate() {
        let and = if i == 0 { "" } else { " AND " };
        write!(text, "{and}\"{column}\" = ?{}", i + 1).expect("writing to a string");
    }
    text
}

fn cells_of<T: Column>(value: &T) -> Vec<Value> {
    let mut cells = Vec::new();
    value.write(&mut cells);
    cells
}

/// The row of a key, if the table has one.
pub(crate) fn load<R: Row>(connection: &Connection, key: &R::Key) -> Result<Option<R>, StoreError> {
    let sql = format!("SELECT {} FROM {} WHERE {}", column_list::<R>(), R::TABLE, key_condition::<R>());
    let mut rows = select(connection, &sql, &cells_of(key))?;
    Ok(rows.pop())
}

/// The rows a statement selects, whose columns are the row's own.
pub(crate) fn select<R: Row>(
    connection: &Connection,
    sql: &str,
    values: &[Value],
) -> Result<Vec<R>, StoreError> {
    let failed = StoreError::database("reading rows");
    let run = || {
        let mut statement = connection.prepare_cached(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query(params_from_iter(values.iter().map(Cell)))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(width);
            for i in 0..width {
                cells.push(match row.get_ref(i)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(n) => Value::Int(n),
                    // Text that is not UTF-8 stays bytes, which no text field reads: the row is then named as damaged.
                    ValueRef::Text(text) => match std::str::from_utf8(text) {
                        Ok(text) => Value::Text(text.to_owned()),
                        Err(_) => Value::Bytes(text.to_vec()),
                    },
                    ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
                    ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
                });
            }
            all.push(cells);
        }
        Ok(all)
    };
    run().map_err(failed)?.iter().map(|cells| read_row(cells)).collect()
}

fn read_row<R: Row>(cells: &[Value]) -> Result<R, StoreError> {
    let corrupt = |what: &str| {
        // Numbers name the row; a text or bytes may be a phone or a token and are not said.
        let name = |cell: &Value| if let Value::Int(n) = cell { n.to_string() } else { "…".to_owned() };
        let key = cells[..R::key_columns().min(cells.len())].iter().map(name).collect::<Vec<_>>().join(", ");
        StoreError::Corrupt { table: R::TABLE, what: format!("row {key}: {what}") }
    };
    let body = if R::CHECKED {
        let (crc, body) = cells.split_last().ok_or_else(|| corrupt("no cells"))?;
        if *crc != Value::Int(i64::from(checksum(body))) {
            return Err(corrupt("its checksum does not fit"));
        }
        body
    } else {
        cells
    };
    R::read(&mut Cells::new(body)).map_err(|field| corrupt(&format!("column {field}")))
}

/// CRC32C over cells, each with its type and length.
pub(crate) fn checksum(cells: &[Value]) -> u32 {
    cells.iter().fold(0, |crc, cell| {
        let (tag, bytes) = match cell {
            Value::Null => (0, Vec::new()),
            Value::Int(n) => (1, n.to_be_bytes().to_vec()),
            Value::Text(text) => (2, text.as_bytes().to_vec()),
            Value::Bytes(bytes) => (3, bytes.clone()),
        };
        let crc = crc32c::crc32c_append(crc, &[tag]);
        crc32c::crc32c_append(crc32c::crc32c_append(crc, &(bytes.len() as u64).to_be_bytes()), &bytes)
    })
}

/// Writes a row over whatever stood there.
pub(crate) fn store<R: Row>(connection: &Connection, row: &R) -> rusqlite::Result<()> {
    let columns = R::columns();
    let mut cells = Vec::with_capacity(columns.len() + 1);
    row.write(&mut cells);
    if R::CHECKED {
        cells.push(Value::Int(i64::from(checksum(&cells))));
    }
    let (key, rest) = columns.split_at(R::key_columns());
    let quote = |list: &[String]| list.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
    let marks = (1..=cells.len()).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
    let mut set = rest.iter().map(|c| format!("\"{c}\" = excluded.\"{c}\"")).collect::<Vec<_>>();
    if R::CHECKED {
        set.push("crc = excluded.crc".to_owned());
    }
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({marks}) ON CONFLICT ({}) DO UPDATE SET {}",
        R::TABLE,
        column_list::<R>(),
        quote(key),
        set.join(", ")
    );
    connection.prepare_cached(&sql)?.execute(params_from_iter(cells.iter().map(Cell)))?;
    Ok(())
}

/// Deletes the row of a key.
pub(crate) fn delete<R: Row>(connection: &Connection, key: &R::Key) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM {} WHERE {}", R::TABLE, key_condition::<R>());
    connection.prepare_cached(&sql)?.execute(params_from_iter(cells_of(key).iter().map(Cell)))?;
    Ok(())
}
