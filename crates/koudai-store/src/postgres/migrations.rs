//! Bringing a database to the newest shape. Only the owner does, after it has taken the lease.

use super::session::Session;
use crate::PARTITION;
use crate::error::StoreError;

/// Scripts in order; the table `version` says which have run. A script is never changed once released.
///
/// Each statement ends with `;` at the end of a line, runs alone and may run again, so that a start that was cut short goes
/// on at the next.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_begin.sql"),
    include_str!("../../migrations/postgres/0002_refund_ways.sql"),
    include_str!("../../migrations/postgres/0003_code_payments.sql"),
    include_str!("../../migrations/postgres/0004_bills.sql"),
    include_str!("../../migrations/postgres/0005_orders_meant_for_a_person.sql"),
    include_str!("../../migrations/postgres/0006_transfers.sql"),
    include_str!("../../migrations/postgres/0007_notices.sql"),
    include_str!("../../migrations/postgres/0008_issuing.sql"),
    include_str!("../../migrations/postgres/0009_withdrawals.sql"),
    include_str!("../../migrations/postgres/0010_reconciliation.sql"),
    include_str!("../../migrations/postgres/0011_other_wallets.sql"),
    include_str!("../../migrations/postgres/0012_static_codes.sql"),
    include_str!("../../migrations/postgres/0013_sign_in.sql"),
    include_str!("../../migrations/postgres/0014_confirmation.sql"),
    include_str!("../../migrations/postgres/0015_two_steps.sql"),
    include_str!("../../migrations/postgres/0016_recovery.sql"),
];

fn migrating() -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    StoreError::postgres("bringing the database to its new shape")
}

fn statements(script: &str) -> impl Iterator<Item = &str> {
    script.split_inclusive(";\n").filter(|statement| statement.trim_end().ends_with(';'))
}

pub(super) fn exists(session: &Session, table: &str) -> Result<bool, StoreError> {
    let rows = session.query("SELECT to_regclass($1) IS NOT NULL", &[&table]);
    rows.and_then(|rows| rows[0].try_get(0))
        .map_err(StoreError::postgres("looking for the database's tables"))
}

/// How many scripts have run.
pub(super) fn version(session: &Session) -> Result<i64, StoreError> {
    if !exists(session, "version")? {
        return Ok(0);
    }
    let rows = session.query("SELECT coalesce(max(number), 0) FROM version", &[]);
    rows.and_then(|rows| rows[0].try_get(0)).map_err(StoreError::postgres("reading the database's version"))
}

/// How many scripts there are.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("a handful of scripts")
}

/// Refuses a database that a newer program has made.
pub(super) fn refuse_newer(session: &Session) -> Result<(), StoreError> {
    let (found, known) = (version(session)?, known());
    if found > known { Err(StoreError::TooNew { found, known }) } else { Ok(()) }
}

/// Makes the lease in an empty database, so that there is one to take.
pub(super) fn make_lease(session: &Session) -> Result<(), StoreError> {
    if exists(session, "lease")? {
        return Ok(());
    }
    let lease = statements(MIGRATIONS[0]).next().expect("the first script makes the lease first");
    session.script(lease).map_err(migrating())
}

/// Makes the newest shape in an empty database, inside the transaction that is under way.
pub(super) fn make(session: &Session) -> Result<(), StoreError> {
    for (number, script) in (1_i64..).zip(MIGRATIONS) {
        session.script(script).map_err(migrating())?;
        let sql = "INSERT INTO version (number) VALUES ($1)";
        session.query(sql, &[&number]).map_err(migrating())?;
    }
    Ok(())
}

/// Runs the scripts that have not run, as the owner of `epoch`.
pub(super) fn run(session: &Session, epoch: i64) -> Result<(), StoreError> {
    // Somebody else may have come in between.
    refuse_newer(session)?;
    let done = usize::try_from(version(session)?).unwrap_or(0);
    for (number, script) in (1_i64..).zip(MIGRATIONS).skip(done) {
        for statement in statements(script) {
            session.script(statement).map_err(migrating())?;
        }
        let sql = "INSERT INTO version (number) SELECT $1 FROM lease WHERE partition = $2 AND epoch = $3
                   ON CONFLICT (number) DO NOTHING";
        session.query(sql, &[&number, &PARTITION, &epoch]).map_err(migrating())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_statement_of_all_makes_the_lease_and_every_one_may_run_again() {
        let first = statements(MIGRATIONS[0]).next().unwrap();
        assert!(first.contains("CREATE TABLE IF NOT EXISTS lease ("), "{first}");
        for statement in MIGRATIONS.iter().copied().flat_map(statements) {
            assert_eq!(statement.matches(';').count(), 1, "{statement}");
            // To set to fifteen what is ten or more is the same however often it is done.
            let again = [
                " IF NOT EXISTS ",
                " DROP CONSTRAINT IF EXISTS ",
                "DROP TABLE IF EXISTS ",
                "SET wrong = 15 WHERE wrong >= 10;",
                // Nobody signs in until all of them have run.
                "DELETE FROM session;",
            ];
            assert!(again.iter().any(|words| statement.contains(words)), "{statement}");
        }
        let whole: String = statements(MIGRATIONS[0]).collect();
        assert_eq!(whole, MIGRATIONS[0], "nothing is left over");
    }
}
