//! The one fixture: a database of its own, wherever that is, and commands that put something into it.

use koudai_core::id::{MchId, PersonId, Seq};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind, Posting, Seal};
use koudai_core::money::{Currency, Money};
use koudai_core::rows::Rows;
use koudai_core::secret::Secret;
use koudai_core::state::{Batch, Command, Keys, OrStop, Policy, State, Stop, Tx};
use koudai_core::time::Timestamp;
use koudai_store::sqlite::FILE;
use koudai_store::{Commit, CommitError, Opened, Reader, StoreError, Tuning};

use crate::place::Place;

pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);
pub(crate) const PERSON: PersonId = PersonId(START.0 << 21);
pub(crate) const MERCHANT: MchId = MchId::FIRST;

pub(crate) struct Books {
    pub(crate) opened: Opened,
    pub(crate) state: State,
    pub(crate) seal: Seal,
    tuning: Tuning,
    // It goes last: a database in use is not dropped.
    pub(crate) place: Place,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self::with(Tuning::default())
    }

    pub(crate) fn with(tuning: Tuning) -> Self {
        Self::open(Place::new(), tuning).expect("a new database")
    }

    /// On files, wherever the others are.
    pub(crate) fn on_files() -> Self {
        Self::open(Place::on_files(), Tuning::default()).expect("a new database")
    }

    /// On a server, if there is one to test on.
    pub(crate) fn on_server() -> Option<Self> {
        Some(Self::open(Place::on_server()?, Tuning::default()).expect("a new database"))
    }

    fn open(place: Place, tuning: Tuning) -> Result<Self, StoreError> {
        let opened = place.database().open(tuning)?;
        let seal = opened.seal.clone();
        let state = State::new(opened.head(), START.max(opened.last_at.plus(1)));
        Ok(Self { opened, state, seal, tuning, place })
    }

    /// Closes the database, lets `meddle` do something to it, and opens it again.
    pub(crate) fn reopen(self, meddle: &str) -> Result<Self, StoreError> {
        let Self { opened, tuning, place, .. } = self;
        drop(opened);
        meddle_with(&place, meddle);
        Self::open(place, tuning)
    }

    /// Does something to the database behind the writer's back.
    pub(crate) fn meddle(&self, sql: &str) {
        meddle_with(&self.place, sql);
    }

    /// The first column of what a query finds, as text. Catalogues have a language of their own on each database.
    pub(crate) fn ask(&self, on_files: &str, on_server: &str) -> Vec<String> {
        match &self.place {
            Place::Directory(directory) => {
                let connection = rusqlite::Connection::open(directory.path().join(FILE)).expect("a database");
                let sql = format!("SELECT CAST(found AS TEXT) FROM ({on_files})");
                let mut statement = connection.prepare(&sql).expect("valid SQL");
                let found = statement.query_map([], |row| row.get(0)).expect("it is read");
                found.collect::<Result<_, _>>().expect("texts")
            }
            Place::Server { .. } => self.place.psql(on_server).lines().map(str::to_owned).collect(),
        }
    }

    pub(crate) fn reader(&self) -> Reader {
        self.place.database().reader().expect("it can be read")
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

fn meddle_with(place: &Place, sql: &str) {
    match place {
        Place::Directory(directory) => {
            let connection = rusqlite::Connection::open(directory.path().join(FILE)).expect("a database");
            connection.execute_batch(sql).expect("it can be meddled with");
        }
        Place::Server { .. } if sql.is_empty() => {}
        Place::Server { .. } => {
            place.psql(sql);
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
