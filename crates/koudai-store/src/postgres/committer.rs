//! The one committing session: a batch is one transaction of a constant number of statements, whatever it holds, sent
//! together with its COMMIT and answered together.
//!
//! Whether it may commit is judged inside SQL, since COMMIT is already on its way when the first answer comes: a stale owner
//! or a broken chain leaves a NULL where none may stand, the transaction fails, and the COMMIT behind it rolls back.

use std::collections::HashMap;
use std::sync::Arc;

use koudai_core::column::{Row, Shape, Value};
use koudai_core::ledger::{Journal, Seal};
use koudai_core::rows::{Balance, Rows};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Statement};

use super::cells::Column;
use super::session::Session;
use super::waiting::{Pipeline, wait};
use crate::PARTITION;
use crate::commit::{Commit, CommitError, Committer};
use crate::error::StoreError;
use crate::recent::{Recent, Share};
use crate::sql;

/// The first statement of every transaction. A new owner, who writes the lease, waits for those that read it like this; a
/// plain read, or one `FOR KEY SHARE`, would let a stale owner commit.
const READ_LEASE: &str = "SELECT epoch FROM lease WHERE partition = $1 AND epoch = $2 FOR SHARE";

/// Records how far the ids have come. A stale owner changes nothing here; its seal stops it.
const TOUCH_LEASE: &str =
    "UPDATE lease SET heartbeat_ms = $3 WHERE partition = $1 AND epoch = $2 AND heartbeat_ms < $3";

/// Shows that the owner is alive, and whether it is the owner still. The heartbeat moves on by one at most a second, so that
/// it stays behind the clock.
const BEAT: &str = "UPDATE lease SET heartbeat_ms = heartbeat_ms + 1 WHERE partition = $1 AND epoch = $2";

/// How often a batch that had to give way to another transaction is tried again.
const TRIES: u32 = 3;

/// Inserts a seal whose chain and epoch the database itself checks.
const INSERT_SEAL: &str = "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash)
    VALUES ($1, $2,
      (SELECT hash FROM seal WHERE partition = $1 AND no = $3 AND hash = $4),
      (SELECT epoch FROM lease WHERE partition = $1 AND epoch = $5 FOR SHARE),
      $6, $7, $8, $9)";

const INSERT_JOURNALS: &str = "INSERT INTO journal (partition, seq, body, crc)
    SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bigint[])";

const INSERT_MARKS: &str = "INSERT INTO history (account, seq)
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT (account, seq) DO NOTHING";

const COMMITTING: &str = "committing a batch";

const SET_WATERMARK: &str = "UPDATE derived SET watermark = $2 WHERE partition = $1";

/// The committing session.
pub(super) struct PostgresCommitter {
    session: Session,
    recent: Arc<Recent>,
    beat: Statement,
    read_lease: Statement,
    touch_lease: Statement,
    insert_seal: Statement,
    insert_journals: Statement,
    insert_marks: Statement,
    set_watermark: Statement,
    tables: Vec<Writing>,
    balance: Writing,
}

/// How rows of a table are written.
struct Writing {
    upsert: Statement,
    delete: Statement,
    width: usize,
    key_width: usize,
}

impl Writing {
    fn of(session: &Session, shape: &Shape) -> Result<Self, Error> {
        let columns = sql::written_columns(shape);
        let types = array_types(session, shape.table, &columns)?;
        let (key, rest) = columns.split_at(shape.key_columns);
        let arrays = |n: usize| {
            let array = |(i, name): (usize, &String)| format!("${}::{}", i + 1, types[name]);
            columns[..n].iter().enumerate().map(array).collect::<Vec<_>>().join(", ")
        };
        let set: Vec<String> = rest.iter().map(|name| format!("\"{name}\" = EXCLUDED.\"{name}\"")).collect();
        let otherwise =
            if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
        let (table, all, key_list) = (shape.table, sql::quoted(&columns), sql::quoted(key));
        let upsert = format!(
            "INSERT INTO {table} ({all}) SELECT * FROM unnest({}) ON CONFLICT ({key_list}) DO {otherwise}",
            arrays(columns.len())
        );
        let same: Vec<String> =
            key.iter().map(|name| format!("{table}.\"{name}\" = gone.\"{name}\"")).collect();
        let delete = format!(
            "DELETE FROM {table} USING unnest({}) AS gone ({key_list}) WHERE {}",
            arrays(key.len()),
            same.join(" AND ")
        );
        Ok(Self {
            upsert: session.prepared(&upsert)?,
            delete: session.prepared(&delete)?,
            width: columns.len(),
            key_width: key.len(),
        })
    }
}

/// The types of arrays of a table's columns, by the columns' names.
pub(super) fn array_types(
    session: &Session,
    table: &str,
    columns: &[String],
) -> Result<HashMap<String, String>, Error> {
    let sql = format!("SELECT {} FROM {table} WHERE false", sql::quoted(columns));
    let statement = session.prepared(&sql)?;
    Ok(statement.columns().iter().map(|c| (c.name().to_owned(), format!("{}[]", c.type_()))).collect())
}

/// What a statement is given.
#[derive(Debug)]
enum Given<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Numbers(Vec<i64>),
    Bodies(Vec<&'a [u8]>),
    Column(Column<'a>),
}

impl ToSql for Given<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // Each checks that it fits the type.
        match self {
            Self::Number(n) => n.to_sql_checked(ty, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(ty, out),
            Self::Numbers(numbers) => numbers.to_sql_checked(ty, out),
            Self::Bodies(bodies) => bodies.to_sql_checked(ty, out),
            Self::Column(column) => column.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A statement with what it is given.
type Step<'a> = (&'a Statement, Vec<Given<'a>>);

fn columns(cells: &[Value], width: usize) -> Vec<Given<'_>> {
    Column::all(cells, width).map(Given::Column).collect()
}

impl PostgresCommitter {
    pub(super) fn new(session: Session, recent: Arc<Recent>) -> Result<Self, StoreError> {
        let prepare = |session: &Session| {
            let tables = Rows::shapes();
            let tables = tables.iter().map(|shape| Writing::of(session, shape)).collect::<Result<_, _>>()?;
            Ok((
                session.prepared(BEAT)?,
                session.prepared(READ_LEASE)?,
                session.prepared(TOUCH_LEASE)?,
                session.prepared(INSERT_SEAL)?,
                session.prepared(INSERT_JOURNALS)?,
                session.prepared(INSERT_MARKS)?,
                session.prepared(SET_WATERMARK)?,
                tables,
                Writing::of(session, &Balance::shapes()[0])?,
            ))
        };
        let prepared = prepare(&session).map_err(StoreError::postgres("preparing the writing statements"))?;
        let (
            beat,
            read_lease,
            touch_lease,
            insert_seal,
            insert_journals,
            insert_marks,
            set_watermark,
            tables,
            balance,
        ) = prepared;
        Ok(Self {
            session,
            recent,
            beat,
            read_lease,
            touch_lease,
            insert_seal,
            insert_journals,
            insert_marks,
            set_watermark,
            tables,
            balance,
        })
    }

    /// Everything the transaction of a batch does. `balances` are the cells of the share's.
    fn steps<'a>(
        &'a self,
        commit: &'a Commit,
        hash: &'a [u8; 32],
        share: &Share,
        balances: &'a [Value],
    ) -> Vec<Step<'a>> {
        use Given::{Bodies, Bytes, Number, Numbers};
        let seal: &Seal = &commit.seal;
        let mut steps = vec![
            (&self.read_lease, vec![Number(PARTITION), Number(seal.epoch)]),
            (&self.touch_lease, vec![Number(PARTITION), Number(seal.epoch), Number(commit.ids_at.0)]),
            (
                &self.insert_seal,
                vec![
                    Number(PARTITION),
                    Number(seal.no),
                    Number(seal.no - 1),
                    Bytes(&seal.previous),
                    Number(seal.epoch),
                    Number(seal.first.0),
                    Number(seal.last.0),
                    Bytes(&seal.root),
                    Bytes(hash),
                ],
            ),
        ];
        if !commit.journals.is_empty() {
            let bodies: Vec<&[u8]> = commit.bodies.iter().map(Vec::as_slice).collect();
            let sums = bodies.iter().map(|body| crc32c::crc32c(body).into()).collect();
            let numbers = commit.journals.iter().map(|journal: &Journal| journal.seq.0).collect();
            let given = vec![Number(PARTITION), Numbers(numbers), Bodies(bodies), Numbers(sums)];
            steps.push((&self.insert_journals, given));
        }
        for changes in &commit.changes {
            let table = &self.tables[changes.table];
            if !changes.upserts.is_empty() {
                steps.push((&table.upsert, columns(&changes.upserts, table.width)));
            }
            if !changes.deletes.is_empty() {
                steps.push((&table.delete, columns(&changes.deletes, table.key_width)));
            }
        }
        if !balances.is_empty() {
            steps.push((&self.balance.upsert, columns(balances, self.balance.width)));
        }
        if !share.marks.is_empty() {
            let (accounts, numbers) = share.marks.iter().map(|(account, seq)| (account.0, seq.0)).unzip();
            steps.push((&self.insert_marks, vec![Numbers(accounts), Numbers(numbers)]));
        }
        if let Some(watermark) = share.watermark {
            steps.push((&self.set_watermark, vec![Number(PARTITION), Number(watermark.0)]));
        }
        steps
    }

    /// Runs steps and commits them.
    fn run(&self, steps: &[Step<'_>]) -> Result<(), CommitError> {
        let client = self.session.client();
        self.session.take_warned();
        // Nothing may follow a BEGIN that failed: each statement would commit by itself.
        self.session.script("BEGIN").map_err(|error| CommitError::NotCommitted(committing(error)))?;
        let mut pipeline = Pipeline::new();
        for (statement, given) in steps {
            if !pipeline.send(client.execute_raw(*statement, given)) {
                // It never left, or the connection is gone; either way no COMMIT may follow the others.
                let never_left = pipeline.answers().into_iter().find_map(Result::err);
                // If this fails, the connection is lost, and what was sent ends with it.
                let _ended = self.session.script("ROLLBACK");
                let error = never_left.expect("a request that is not sent has failed");
                return Err(CommitError::NotCommitted(committing(error)));
            }
        }
        pipeline.send(async { client.batch_execute("COMMIT").await.map(|()| 0) });
        let mut answers = pipeline.answers();
        let committed = answers.pop().expect("COMMIT is answered");
        let failed = answers.into_iter().find_map(Result::err);
        outcome(failed, committed.err(), self.session.take_warned())
    }
}

/// What the answers mean: the first error before COMMIT, the error of COMMIT, and whether the server warned of something.
fn outcome(failed: Option<Error>, of_commit: Option<Error>, warned: bool) -> Result<(), CommitError> {
    match (failed, of_commit) {
        // Every statement was done, so that this COMMIT is no rollback.
        (None, None) if !warned => Ok(()),
        (None, None) => Err(CommitError::Unknown(StoreError::Warned { doing: COMMITTING })),
        // The server refused a statement and lived to answer COMMIT: what it answers after an error is ROLLBACK.
        (Some(error), None) if error.as_db_error().is_some() => {
            Err(CommitError::NotCommitted(committing(error)))
        }
        (Some(error), _) | (None, Some(error)) => Err(CommitError::Unknown(committing(error))),
    }
}

impl Committer for PostgresCommitter {
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let share = self.recent.share(commit.journals.len());
        let mut balances = Vec::with_capacity(share.balances.len() * self.balance.width);
        for balance in &share.balances {
            let from = balances.len();
            balance.write(&mut balances);
            balances.push(Value::Int(sql::checksum(&balances[from..]).into()));
        }
        let hash = commit.seal.hash();
        let steps = self.steps(commit, &hash, &share, &balances);
        let mut tries = 1;
        while let Err(error) = self.run(&steps) {
            match &error {
                CommitError::NotCommitted(why) if why.gave_way() && tries < TRIES => tries += 1,
                _ => return Err(error),
            }
        }
        self.recent.apply(&commit.journals);
        self.recent.written(&share);
        Ok(())
    }

    fn beat(&mut self, epoch: i64) -> Result<(), CommitError> {
        let beating = || StoreError::postgres("showing that the owner is alive");
        match wait(self.session.client().execute(&self.beat, &[&PARTITION, &epoch])) {
            Ok(1) => Ok(()),
            Ok(_) => Err(CommitError::NotCommitted(StoreError::Owned)),
            Err(error) => Err(CommitError::Unknown(beating()(error))),
        }
    }
}

fn committing(source: Error) -> StoreError {
    StoreError::postgres(COMMITTING)(source)
}
