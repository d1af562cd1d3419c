//! Loads the rows that decisions want, on a connection that only reads, beside a commit that may be under way.

use std::sync::Arc;

use koudai_core::cache::{Cache, TableVisitor};
use koudai_core::column::{Row, Value};
use koudai_core::rows::Rows;
use rusqlite::{Connection, params_from_iter};

use super::connection::{Cell, open_read_only, run, take_cells};
use super::place::Place;
use crate::commit::{Loader, load_recent};
use crate::error::StoreError;
use crate::recent::Recent;
use crate::sql;

/// What the loading connection keeps of the file. It forgets it with every commit, so more would be of no use.
const CACHE_KIB: i64 = 16_384;

/// The connection that loads for decisions.
#[derive(Debug)]
pub(super) struct SqliteLoader {
    connection: Connection,
    recent: Arc<Recent>,
}

impl SqliteLoader {
    pub(super) fn open(place: &Place, recent: Arc<Recent>) -> Result<Self, StoreError> {
        let connection = open_read_only(place, CACHE_KIB)
            .map_err(StoreError::sqlite("opening the database for decisions"))?;
        Ok(Self { connection, recent })
    }
}

impl Loader for SqliteLoader {
    fn load(&mut self, rows: &mut Rows) -> Result<(), StoreError> {
        // Memory first, then the tables: a balance leaves memory only once it is in its table.
        load_recent(&self.recent, rows);
        let reading = || StoreError::sqlite("loading rows");
        run(&self.connection, "BEGIN").map_err(reading())?;
        let loaded = rows.visit(&mut Load(&self.connection));
        // An error may have ended the view already.
        let _ended = run(&self.connection, "ROLLBACK");
        loaded
    }
}

struct Load<'a>(&'a Connection);

impl TableVisitor for Load<'_> {
    type Error = StoreError;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), StoreError> {
        let wanted = cache.take_wanted();
        if wanted.is_empty() {
            return Ok(());
        }
        let reading = || StoreError::sqlite("loading rows");
        let mut statement = self.0.prepare_cached(sql::select_by_key::<R>()).map_err(reading())?;
        let width = statement.column_count();
        let mut cells: Vec<Value> = Vec::with_capacity(width);
        for key in wanted {
            let values = sql::cells_of(&key);
            let mut rows = statement.query(params_from_iter(values.iter().map(Cell))).map_err(reading())?;
            let row = match rows.next().map_err(reading())? {
                None => None,
                Some(row) => {
                    take_cells(row, width, &mut cells).map_err(reading())?;
                    Some(sql::read_row::<R>(&mut cells)?)
                }
            };
            cache.arrived(key, row);
        }
        Ok(())
    }
}
