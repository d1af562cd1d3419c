//! A reading connection, and how cells pass between SQLite and the rows.

use koudai_core::column::Value;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{OpenFlags, ToSql, params_from_iter};

use super::place::Place;
use crate::error::StoreError;
use crate::reader::Connection;
use crate::scan::{CellRef, Each, WIDEST};
use crate::sql;

/// A cell as SQLite takes it.
pub(super) struct Cell<'a>(pub(super) &'a Value);

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

/// The cells of the row a statement stands at, over what `cells` held.
pub(super) fn take_cells(
    row: &rusqlite::Row<'_>,
    width: usize,
    cells: &mut Vec<Value>,
) -> rusqlite::Result<()> {
    cells.clear();
    for i in 0..width {
        cells.push(match row.get_ref(i)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(n) => Value::Int(n),
            // Text that is not UTF-8 stays bytes, which no text field reads: the row is then named as damaged.
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Value::Text(text.to_owned().into()),
                Err(_) => Value::Bytes(text.to_vec()),
            },
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
        });
    }
    Ok(())
}

/// Runs a statement without values, which is kept, as transactions begin and end with the same few.
pub(super) fn run(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// A connection that only reads. Another process's checkpoint may hold it up for a moment, never longer than this.
pub(super) fn open_read_only(place: &Place, cache_kib: i64) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = place.connect(flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A reading connection for pages and checks.
pub(crate) fn connect(place: &Place) -> Result<Box<dyn Connection>, StoreError> {
    let connection =
        open_read_only(place, 2_000).map_err(StoreError::sqlite("opening the database for reading"))?;
    Ok(Box::new(SqliteConnection(connection)))
}

/// Rows of a table that are shown in one view: some hundredths of a second.
const PART: usize = 32_768;

struct SqliteConnection(rusqlite::Connection);

/// Shows the rows of a statement until no more are wanted.
fn show(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[Value],
    each: &mut Each<'_>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    let mut rows = statement.query(params_from_iter(values.iter().map(Cell)))?;
    while let Some(row) = rows.next()? {
        let mut cells = [CellRef::Null; WIDEST];
        for (i, cell) in cells[..width].iter_mut().enumerate() {
            *cell = match row.get_ref(i)? {
                ValueRef::Null => CellRef::Null,
                ValueRef::Integer(n) => CellRef::Int(n),
                // As in `take_cells`.
                ValueRef::Text(text) => std::str::from_utf8(text).map_or(CellRef::Bytes(text), CellRef::Text),
                ValueRef::Blob(bytes) => CellRef::Bytes(bytes),
                ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
            };
        }
        if !each(&cells[..width]) {
            break;
        }
    }
    Ok(())
}

impl Connection for SqliteConnection {
    fn select(&self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let run = || {
            let mut statement = self.0.prepare_cached(sql)?;
            let width = statement.column_count();
            let mut rows = statement.query(params_from_iter(values.iter().map(Cell)))?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let mut cells = Vec::with_capacity(width);
                take_cells(row, width, &mut cells)?;
                all.push(cells);
            }
            Ok(all)
        };
        run().map_err(StoreError::sqlite("reading rows"))
    }

    fn scan(&self, select: &str, rest: &str, each: &mut Each<'_>) -> Result<(), StoreError> {
        let scanned = show(&self.0, &format!("{select} {rest}"), &[], each);
        scanned.map_err(StoreError::sqlite("reading rows"))
    }

    /// A long view would keep the writer from folding its log.
    fn scan_in_parts(&self, select: &str, key: &[String], each: &mut Each<'_>) -> Result<(), StoreError> {
        let order = format!("ORDER BY {} LIMIT {PART}", sql::quoted(key));
        let marks = (1..=key.len()).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
        let next = format!("{select} WHERE ({}) > ({marks}) {order}", sql::quoted(key));
        let (mut statement, mut after) = (format!("{select} {order}"), vec![]);
        loop {
            let (mut rows, mut last, mut wanted) = (0, vec![Value::Null; key.len()], true);
            let shown = show(&self.0, &statement, &after, &mut |cells| {
                rows += 1;
                if rows == PART {
                    cells.iter().zip(&mut last).for_each(|(cell, value)| cell.copy_to(value));
                }
                wanted = each(cells);
                wanted
            });
            shown.map_err(StoreError::sqlite("reading rows"))?;
            if rows < PART || !wanted {
                return Ok(());
            }
            (statement, after) = (next.clone(), last);
        }
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.0.execute_batch("BEGIN").map_err(StoreError::sqlite("beginning a snapshot"))
    }

    fn end(&self) {
        if let Err(error) = self.0.execute_batch("ROLLBACK") {
            tracing::warn!(%error, "a snapshot had ended before its end");
        }
    }

    fn columns_of(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let run = || {
            let mut statement = self.0.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
            statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        };
        run().map_err(StoreError::sqlite("reading a table's columns"))
    }

    fn durability(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mode: String = self
            .0
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .map_err(StoreError::sqlite("reading the database's settings"))?;
        // Of the writing connection, which sets it when it opens.
        Ok(vec![("journal_mode".to_owned(), mode), ("synchronous".to_owned(), super::SYNCHRONOUS.to_owned())])
    }

    fn size(&self) -> Result<u64, StoreError> {
        let of = |pragma: &str| self.0.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let size = of("PRAGMA page_count").and_then(|pages| Ok(pages * of("PRAGMA page_size")?));
        let size = size.map_err(StoreError::sqlite("reading the database's size"))?;
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// Table by table with its indexes, each in a view of its own, so that a writer can fold its log in between. What this
    /// leaves out is pages that belong to nobody, which only waste room.
    fn check(&self) -> Result<(), StoreError> {
        let run = || {
            let mut tables = self.0.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
            for table in tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Vec<_>>() {
                let pragma = format!("PRAGMA integrity_check(\"{}\")", table?);
                let found: String = self.0.query_row(&pragma, [], |row| row.get(0))?;
                if found != "ok" {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        match run().map_err(StoreError::sqlite("checking the database file"))? {
            None => Ok(()),
            Some(what) => Err(StoreError::Corrupt { table: "(file)", what }),
        }
    }

    fn is_lost(&self) -> bool {
        false
    }
}
