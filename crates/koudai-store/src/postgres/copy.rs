//! Rows out of a server's database, and into an empty one in one transaction: nothing of it is there before all of it is.

use koudai_core::column::Value;
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use tokio_postgres::types::ToSql;

use super::cells::Column;
use super::committer::array_types;
use super::connection::PostgresConnection;
use super::migrations;
use super::session::{Role, Session};
use crate::copy::{Sink, Table, renewal};
use crate::error::StoreError;
use crate::reader::Connection;
use crate::sql;

const FILLING: &str = "filling the database";

fn filling(source: tokio_postgres::Error) -> StoreError {
    StoreError::postgres(FILLING)(source)
}

/// The rows of a ledger, beside whoever owns it. It reads by key, as readers do.
pub(crate) fn source(url: &Secret<String>) -> Result<Box<dyn Connection>, StoreError> {
    let session = Session::open(url, Role::Reader)?;
    let (found, known) = (migrations::version(&session)?, migrations::known());
    match found {
        0 => Err(StoreError::NoLedger { place: "the server's database".to_owned() }),
        _ if found > known => Err(StoreError::TooNew { found, known }),
        _ if found < known => Err(StoreError::TooOld { found, known }),
        _ => Ok(Box::new(PostgresConnection::new(session))),
    }
}

/// Expects a database without a table of anybody's.
pub(crate) fn require_empty(url: &Secret<String>) -> Result<(), StoreError> {
    without_tables(&Session::open(url, Role::Reader)?)
}

fn without_tables(session: &Session) -> Result<(), StoreError> {
    let looking = || StoreError::postgres("looking for the database's tables");
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = ANY (current_schemas(false)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
               ORDER BY 1 LIMIT 1";
    match session.query(sql, &[]).map_err(looking())?.first() {
        None => Ok(()),
        Some(row) => Err(StoreError::NotEmpty { what: row.try_get(0).map_err(looking())? }),
    }
}

/// A database that takes in rows, in a transaction that is under way. It ends with the session if it is not committed.
pub(crate) struct Filling {
    session: Session,
}

impl Filling {
    pub(crate) fn begin(url: &Secret<String>) -> Result<Self, StoreError> {
        let session = Session::open(url, Role::Owner)?;
        session.require_safe_settings()?;
        session.script("BEGIN").map_err(filling)?;
        without_tables(&session)?;
        migrations::make(&session)?;
        Ok(Self { session })
    }

    pub(crate) fn finish(self, ids_after: Timestamp) -> Result<(), StoreError> {
        for sql in renewal(ids_after) {
            self.session.script(&sql).map_err(filling)?;
        }
        self.session.take_warned();
        self.session.script("COMMIT").map_err(filling)?;
        if self.session.take_warned() {
            return Err(StoreError::Warned { doing: FILLING });
        }
        Ok(())
    }
}

impl Sink for Filling {
    fn take(&mut self, table: &Table, cells: &[Value]) -> Result<(), StoreError> {
        let run = || {
            let types = array_types(&self.session, table.name, &table.columns)?;
            let array = |(n, name): (usize, &String)| format!("${}::{}", n + 1, types[name]);
            let arrays = table.columns.iter().enumerate().map(array).collect::<Vec<_>>().join(", ");
            let (name, columns) = (table.name, sql::quoted(&table.columns));
            let insert = format!("INSERT INTO {name} ({columns}) SELECT * FROM unnest({arrays})");
            let columns: Vec<Column<'_>> = Column::all(cells, table.columns.len()).collect();
            let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
            self.session.query(&insert, &values)
        };
        run().map(drop).map_err(filling)
    }
}
