//! The one fixture: a database in a directory of its own, and commands that put something into it.

use koudai_core::id::{MchId, PersonId, Seq};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind, Posting, Seal};
use koudai_core::money::{Currency, Money};
use koudai_core::rows::Rows;
use koudai_core::secret::Secret;
use koudai_core::state::{Batch, Command, Keys, OrStop, Policy, State, Stop, Tx};
use koudai_core::time::Timestamp;
use koudai_store::sqlite::FILE;
use koudai_store::{Commit, CommitError, Database, Opened, Reader, StoreError, Tuning};
use tempfile::TempDir;

pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);
pub(crate) const PERSON: PersonId = PersonId(START.0 << 21);
pub(crate) const MERCHANT: MchId = MchId::FIRST;

pub(crate) struct Books {
    pub(crate) directory: TempDir,
    pub(crate) opened: Opened,
    pub(crate) state: State,
    pub(crate) seal: Seal,
    tuning: Tuning,
}

pub(crate) fn database(directory: &TempDir) -> Database {
    Database::Directory(directory.path().to_owned())
}

impl Books {
    pub(crate) fn new() -> Self {
        Self::with(Tuning::default())
    }

    pub(crate) fn with(tuning: Tuning) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::open(directory, tuning).expect("a new database")
    }

    fn open(directory: TempDir, tuning: Tuning) -> Result<Self, StoreError> {
        let opened = database(&directory).open(tuning)?;
        let seal = opened.seal.clone();
        let state = State::new(opened.head(), START.max(opened.last_at.plus(1)));
        Ok(Self { directory, opened, state, seal, tuning })
    }

    /// Closes the database, lets `meddle` do something to its file, and opens it again.
    pub(crate) fn reopen(self, meddle: &str) -> Result<Self, StoreError> {
        let Self { directory, opened, tuning, .. } = self;
        drop(opened);
        let connection = rusqlite::Connection::open(directory.path().join(FILE)).expect("a database");
        connection.execute_batch(meddle).expect("it can be meddled with");
        drop(connection);
        Self::open(directory, tuning)
    }

    /// Does something to the file behind the writer's back.
    pub(crate) fn meddle(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.directory.path().join(FILE)).expect("a database");
        connection.execute_batch(sql).expect("it can be meddled with");
    }

    pub(crate) fn reader(&self) -> Reader {
        database(&self.directory).reader().expect("it can be read")
    }

    /// Reads as pages do: tables, and what is not written behind yet.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.opened.readers.with(work)
    }

    /// Decides a command, loading what it misses.
    pub(crate) fn decide<C: Command>(&mut self, command: &C) -> Result<C::Reply, StoreError> {
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let policy = Policy::default();
        let entropy = Secret::new([7; 32]);
        let batch = Batch { now: START, entropy, keys: &keys, policy: &policy, epoch: 1 };
        loop {
            match self.state.decide(&batch, command) {
                Ok(reply) => return Ok(reply),
                Err(Stop::Absent) => self.load()?,
                Err(Stop::Refused(_)) => panic!("nothing here is refused"),
            }
        }
    }

    /// Loads what is wanted, as the engine does.
    pub(crate) fn load(&mut self) -> Result<(), StoreError> {
        let mut loading = Rows::default();
        self.state.rows.hand_wanted(&mut loading);
        self.opened.loader.load(&mut loading)?;
        self.state.rows.absorb(&mut loading);
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<(), CommitError> {
        let commit = Commit::after(&self.seal, self.opened.epoch, self.state.close());
        self.opened.committer.commit(&commit)?;
        self.seal = commit.seal;
        Ok(())
    }

    /// Brings money in for a person and for a merchant, each a journal and a commit.
    pub(crate) fn receive(&mut self, times: usize) {
        for _ in 0..times {
            self.decide(&Receive(AccountId::person(PERSON))).expect("rows load");
            self.commit().expect("it commits");
            self.decide(&Receive(AccountId::merchant(MERCHANT))).expect("rows load");
            self.commit().expect("it commits");
        }
    }
}

/// Brings 100 fen in from the network.
pub(crate) struct Receive(pub(crate) AccountId);

impl Command for Receive {
    type Reply = Seq;
    type Refusal = ();

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Seq, Stop<()>> {
        let debit = AccountId::clearing(ISSUER_NETWORK);
        tx.prepare(&[debit, self.0]).or_stop()?;
        let amount = Money::fen(100).expect("above zero");
        let subject = tx.fresh_id();
        let posting = Posting { debit, credit: self.0, amount };
        Ok(tx.post(JournalKind::TopUp, subject, Currency::Cny, vec![posting], &[]))
    }
}

/// Gives out an id and changes nothing.
pub(crate) struct Number;

impl Command for Number {
    type Reply = i64;
    type Refusal = ();

    fn decide(&self, tx: &mut Tx<'_>) -> Result<i64, Stop<()>> {
        Ok(tx.fresh_id())
    }
}
