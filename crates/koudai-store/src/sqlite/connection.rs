//! A reading connection, and how cells pass between SQLite and the rows.

use std::path::Path;

use koudai_core::column::Value;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{OpenFlags, ToSql, params_from_iter};

use crate::error::StoreError;
use crate::reader::Connection;

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

/// Has plans of statements depend on nothing but their text. Otherwise a cached statement whose plan might be another for
/// other values is compiled anew with each of them, which costs more than it runs.
pub(super) fn keep_plans(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// A connection that only reads. Another process's checkpoint may hold it up for a moment, never longer than this.
pub(super) fn open_read_only(path: &Path, cache_kib: i64) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.set_prepared_statement_cache_capacity(64);
    keep_plans(&connection)?;
    Ok(connection)
}

/// A reading connection for pages and checks.
pub(crate) fn connect(path: &Path) -> Result<Box<dyn Connection>, StoreError> {
    let connection =
        open_read_only(path, 2_000).map_err(StoreError::sqlite("opening the database for reading"))?;
    Ok(Box::new(SqliteConnection(connection)))
}

struct SqliteConnection(rusqlite::Connection);

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

    fn check(&self) -> Result<(), StoreError> {
        let found: String = self
            .0
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(StoreError::sqlite("checking the database file"))?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt { table: "(file)", what: found }) }
    }

    fn is_lost(&self) -> bool {
        false
    }
}
