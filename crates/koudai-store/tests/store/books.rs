//! The one fixture: a database in a directory of its own, and commands that put something into it.

use koudai_core::id::{MchId, PersonId, Seq};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind, Posting};
use koudai_core::money::{Currency, Money};
use koudai_core::secret::Secret;
use koudai_core::state::{Batch, Command, Keys, OrStop, Policy, Stop, Tx};
use koudai_core::time::Timestamp;
use koudai_store::sqlite::FILE;
use koudai_store::sqlite::writer::CommitError;
use koudai_store::{Opened, Reader, StoreError, Writer};
use tempfile::TempDir;

pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);
pub(crate) const PERSON: PersonId = PersonId(START.0 << 21);
pub(crate) const MERCHANT: MchId = MchId::FIRST;

pub(crate) struct Books {
    pub(crate) directory: TempDir,
    pub(crate) opened: Opened,
}

impl Books {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let opened = Writer::open(directory.path(), START).expect("a new database");
        Self { directory, opened }
    }

    /// Closes the database, lets `meddle` do something to its file, and opens it again.
    pub(crate) fn reopen(self, meddle: &str) -> Result<Self, StoreError> {
        let Self { directory, opened } = self;
        drop(opened);
        let connection = rusqlite::Connection::open(directory.path().join(FILE)).expect("a database");
        connection.execute_batch(meddle).expect("it can be meddled with");
        drop(connection);
        let opened = Writer::open(directory.path(), START)?;
        Ok(Self { directory, opened })
    }

    /// Does something to the file behind the writer's back.
    pub(crate) fn meddle(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.directory.path().join(FILE)).expect("a database");
        connection.execute_batch(sql).expect("it can be meddled with");
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open_directory(self.directory.path()).expect("it can be read")
    }

    /// Decides a command, loading what it misses.
    pub(crate) fn decide<C: Command>(&mut self, command: &C) -> Result<C::Reply, StoreError> {
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let policy = Policy::default();
        let entropy = Secret::new([7; 32]);
        let batch = Batch { now: START, entropy, keys: &keys, policy: &policy, epoch: 1 };
        loop {
            match self.opened.state.decide(&batch, command) {
                Ok(reply) => return Ok(reply),
                Err(Stop::Absent) => self.opened.writer.load(&mut self.opened.state)?,
                Err(Stop::Refused(_)) => panic!("nothing here is refused"),
            }
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), CommitError> {
        self.opened.writer.commit(&mut self.opened.state)
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
