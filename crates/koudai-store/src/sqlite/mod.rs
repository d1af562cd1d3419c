//! SQLite: one writing connection, many reading ones, WAL, every commit on the disk before it is answered.

pub mod lock;
pub mod reader;
mod table;
pub mod writer;

use rusqlite::Connection;

use crate::error::StoreError;

/// The database file in a data directory.
pub const FILE: &str = "koudai.db";
/// The only partition of an embedded database.
pub(crate) const PARTITION: i64 = 1;

/// Scripts in order; the database's `user_version` says how many have run. A script is never changed once released.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/sqlite/0001_begin.sql")];

/// Brings a database to the newest shape, one script a transaction.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let read = |c: &Connection| c.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let found = read(connection).map_err(StoreError::database("reading the database's version"))?;
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful of scripts");
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (number, script) in (1_i64..).zip(MIGRATIONS).skip(done) {
        let run = |c: &mut Connection| {
            let tx = c.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            tx.execute_batch(script)?;
            tx.pragma_update(None, "user_version", number)?;
            tx.commit()
        };
        run(connection).map_err(StoreError::database("bringing the database to its new shape"))?;
    }
    Ok(())
}
