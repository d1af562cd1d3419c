//! Loads the rows that decisions want, on a session that only reads, beside a commit that may be under way.

use std::collections::HashMap;
use std::sync::Arc;

use koudai_core::cache::{Cache, TableVisitor};
use koudai_core::column::{Column as _, Row, Value};
use koudai_core::rows::Rows;
use koudai_core::secret::Secret;
use tokio_postgres::types::ToSql;

use super::cells::{Column, take_cells};
use super::session::{Role, Session};
use crate::commit::{Loader, load_recent};
use crate::error::StoreError;
use crate::recent::Recent;
use crate::sql;

/// The session that loads for decisions.
pub(super) struct PostgresLoader {
    session: Session,
    recent: Arc<Recent>,
}

impl PostgresLoader {
    pub(super) fn open(url: &Secret<String>, recent: Arc<Recent>) -> Result<Self, StoreError> {
        Ok(Self { session: Session::open(url, Role::Reader)?, recent })
    }
}

impl Loader for PostgresLoader {
    fn load(&mut self, rows: &mut Rows) -> Result<(), StoreError> {
        // Memory first, then the tables: a balance leaves memory only once it is in its table.
        load_recent(&self.recent, rows);
        // Tables may be read at different moments: a row that a commit changes meanwhile is in the decider's memory, and
        // what is loaded for it is not used (`Cache::loaded`).
        rows.visit(&mut Load(&self.session))
    }
}

struct Load<'a>(&'a Session);

/// `SELECT` of the rows of many keys: an array for each column of the key. `first` is one of the keys.
fn select_many<R: Row>(first: &[Value]) -> String {
    let columns = R::columns();
    let key = sql::quoted(&columns[..R::key_columns()]);
    let array = |(i, cell): (usize, &Value)| format!("?{}::{}[]", i + 1, type_of(cell));
    let arrays = first.iter().enumerate().map(array).collect::<Vec<_>>().join(", ");
    match first {
        [_] => sql::select::<R>(&format!("{key} = ANY({arrays})")),
        _ => sql::select::<R>(&format!("({key}) IN (SELECT * FROM unnest({arrays}))")),
    }
}

/// The type of a key's column; none is ever NULL.
const fn type_of(cell: &Value) -> &'static str {
    match cell {
        Value::Int(_) => "bigint",
        Value::Text(_) => "text",
        Value::Bytes(_) | Value::Null => "bytea",
    }
}

impl TableVisitor for Load<'_> {
    type Error = StoreError;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), StoreError> {
        let wanted = cache.take_wanted();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut keys: Vec<Value> = Vec::with_capacity(wanted.len() * R::key_columns());
        for key in &wanted {
            key.write(&mut keys);
        }
        let columns: Vec<Column<'_>> = Column::all(&keys, R::key_columns()).collect();
        let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
        let sql = select_many::<R>(&keys[..R::key_columns()]);
        let found = self.0.query(&sql, &values).map_err(StoreError::postgres("loading rows"))?;
        let mut rows = HashMap::with_capacity(found.len());
        for row in &found {
            let row = sql::read_row::<R>(&mut take_cells(row)?)?;
            rows.insert(row.key(), row);
        }
        for key in wanted {
            let row = rows.remove(&key);
            cache.arrived(key, row);
        }
        Ok(())
    }
}
