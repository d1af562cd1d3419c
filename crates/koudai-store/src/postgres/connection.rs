//! A reading connection. It sees what is committed; a snapshot sees one moment.

use koudai_core::column::Value;
use tokio_postgres::types::ToSql;

use super::cells::{Cell, take_cells};
use super::copying;
use super::session::Session;
use crate::error::StoreError;
use crate::reader::Connection;
use crate::scan::Each;

/// A session that reads.
pub(super) struct PostgresConnection(Session);

impl PostgresConnection {
    pub(super) const fn new(session: Session) -> Self {
        Self(session)
    }
}

impl Connection for PostgresConnection {
    fn select(&self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        let cells: Vec<Cell<'_>> = values.iter().map(Cell).collect();
        let values: Vec<&(dyn ToSql + Sync)> = cells.iter().map(|cell| cell as _).collect();
        let rows = self.0.query(sql, &values).map_err(StoreError::postgres("reading rows"))?;
        rows.iter().map(take_cells).collect()
    }

    fn scan(&self, select: &str, rest: &str, each: &mut Each<'_>) -> Result<(), StoreError> {
        copying::scan(&self.0, select, rest, each)
    }

    fn scan_in_parts(&self, select: &str, _key: &[String], each: &mut Each<'_>) -> Result<(), StoreError> {
        self.scan(select, "", each)
    }

    fn begin(&self) -> Result<(), StoreError> {
        let begin = self.0.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        begin.map_err(StoreError::postgres("beginning a snapshot"))
    }

    fn end(&self) {
        if let Err(error) = self.0.script("ROLLBACK") {
            let error = StoreError::postgres("ending a snapshot")(error);
            tracing::warn!(error = &error as &dyn std::error::Error, "a snapshot had ended before its end");
        }
    }

    fn columns_of(&self, table: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT attname::text FROM pg_attribute
                   WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
        let reading = || StoreError::postgres("reading a table's columns");
        let rows = self.0.query(sql, &[&table]).map_err(reading())?;
        rows.iter().map(|row| row.try_get(0).map_err(reading())).collect()
    }

    fn durability(&self) -> Result<Vec<(String, String)>, StoreError> {
        // The writing session sets the same and has read it back.
        self.0.durability().map_err(StoreError::postgres("reading the server's settings"))
    }

    fn size(&self) -> Result<u64, StoreError> {
        let rows = self.0.query("SELECT pg_database_size(current_database())", &[]);
        let size: Result<i64, _> = rows.and_then(|rows| rows[0].try_get(0));
        Ok(u64::try_from(size.map_err(StoreError::postgres("reading the database's size"))?).unwrap_or(0))
    }

    /// The server offers none without extensions and rights of its own; `pg_amcheck` is the operator's.
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_lost(&self) -> bool {
        self.0.is_lost()
    }
}
