//! The one fixture: a fixed script of batches through the production store, and what has to be in its database afterwards.

use std::collections::BTreeMap;

use koudai_core::id::{MchId, PersonId, Seq};
use koudai_core::identity::Phone;
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, Journal, JournalKind, Posting, Seal, merkle_root};
use koudai_core::money::{Currency, Money};
use koudai_core::rows::{Balance, PhoneOwner, Rows};
use koudai_core::secret::Secret;
use koudai_core::state::{Batch, Command, Keys, OrStop, Policy, State, Stop, Tx};
use koudai_core::time::Timestamp;
use koudai_sim::vfs::{NAME, World, write_again};
use koudai_store::sqlite::WriteAgain;
use koudai_store::{Commit, CommitError, Database, Opened, Place, Reader, StoreError, Tuning};

/// Journals of a generation: so few that every part of writing behind happens within the script.
const TUNING: Tuning = Tuning { generation: 5 };
/// How often a batch may be turned away for want of room before its senders go home.
const PATIENCE: usize = 2;
/// How many batches the script has: enough that the log is cut once.
const BATCHES: usize = 18;
const START: Timestamp = Timestamp(1_795_000_000_000);

/// What was answered so far, kept apart from the database.
#[derive(Debug)]
pub(crate) struct Books {
    /// How the store makes its log durable when it opens.
    write_again: WriteAgain,
    /// What is committed for certain, in order.
    known: Vec<Commit>,
    /// What may be.
    unknown: Option<Commit>,
    /// Batches that are not there for certain.
    refused: Vec<Commit>,
    epoch: i64,
}

impl Default for Books {
    fn default() -> Self {
        Self::with(write_again)
    }
}

impl Books {
    pub(crate) fn with(write_again: WriteAgain) -> Self {
        Self { write_again, known: vec![], unknown: None, refused: vec![], epoch: 0 }
    }

    fn database(&self, world: &World) -> Database {
        Database::Simulated(Place::simulated(world.path("koudai.db"), NAME, self.write_again))
    }

    /// One process: opens, and commits the batches that are missing until something fails that ends a process.
    pub(crate) fn live(&mut self, world: &World) -> Result<(), StoreError> {
        let mut opened = self.open(world)?;
        let ended = self.commit_missing(&mut opened);
        if ended.is_err() {
            // It ends at once, and closes nothing.
            world.kill();
        }
        ended
    }

    /// One process that opens and does nothing: whoever is the first makes the ledger.
    pub(crate) fn live_briefly(&mut self, world: &World) -> Result<(), StoreError> {
        self.open(world).map(drop)
    }

    /// The same as `live` beside somebody else who reads and does not come to an end.
    pub(crate) fn live_beside_a_reader(&mut self, world: &World) -> Result<(), StoreError> {
        self.live_briefly(world)?;
        let reader = self.database(world).reader()?;
        reader.snapshot(|reader| {
            reader.newest_seal()?;
            self.live(world)
        })
    }

    fn commit_missing(&mut self, opened: &mut Opened) -> Result<(), StoreError> {
        let mut seal = opened.seal.clone();
        let mut state = State::new(opened.head(), START.max(opened.last_at.plus(1)));
        let mut turned_away = 0;
        while self.known.len() < BATCHES {
            decide(&mut state, opened, self.known.len())?;
            let commit = Commit::after(&seal, opened.epoch, state.close());
            if let Err(why) = opened.committer.commit(&commit) {
                let (into, why) = match why {
                    CommitError::NotCommitted(why) => {
                        self.refused.push(commit);
                        (None, why)
                    }
                    CommitError::Unknown(why) => (Some(commit), why),
                };
                self.unknown = into;
                turned_away += 1;
                if self.unknown.is_some() || !why.is_passing() || turned_away > PATIENCE {
                    return Err(why);
                }
                // As the engine does: it forgets what was decided, and goes on.
                state = State::new(seal.last, state.ids_at().plus(1));
                continue;
            }
            seal = commit.seal.clone();
            self.known.push(commit);
            self.look(opened);
            turned_away = 0;
        }
        Ok(())
    }

    /// Looks as pages do. A page may fail; it shows nothing that is not so.
    fn look(&self, opened: &Opened) {
        let balances = self.balances();
        let account = account(self.known.len());
        let found = opened.readers.with(|reader| {
            reader.snapshot(|r| Ok::<_, StoreError>((r.balance(account)?, r.history(account, None, 5)?)))
        });
        if let Ok((balance, history)) = found {
            assert_eq!(balance.as_ref(), balances.get(&account).and_then(|all| all.last()));
            let expected =
                self.journals().rev().filter(|j| j.lines.iter().any(|line| line.account == account)).take(5);
            assert!(history.iter().eq(expected), "{history:?}");
        }
    }

    fn journals(&self) -> impl DoubleEndedIterator<Item = &Journal> {
        self.known.iter().flat_map(|commit| &commit.journals)
    }

    /// Every balance each account ever had, from the postings.
    fn balances(&self) -> BTreeMap<AccountId, Vec<Balance>> {
        let mut all: BTreeMap<AccountId, Vec<Balance>> = BTreeMap::new();
        for journal in self.journals() {
            for posting in &journal.postings {
                let minor = posting.amount.minor();
                for (account, debit, credit) in [(posting.debit, minor, 0), (posting.credit, 0, minor)] {
                    let history = all.entry(account).or_default();
                    let (debits, credits) =
                        history.last().map_or((0, 0), |b| (b.debits_minor, b.credits_minor));
                    history.push(Balance {
                        account,
                        as_of: journal.seq,
                        currency: journal.currency,
                        debits_minor: debits + debit,
                        credits_minor: credits + credit,
                        lines: i64::try_from(history.len()).unwrap() + 1,
                    });
                }
            }
        }
        all
    }

    /// Opens again when all is well, and compares everything.
    pub(crate) fn audit(&mut self, world: &World) {
        let opened = self.open(world).expect("it opens when all is well");
        let reader = self.database(world).reader().unwrap();
        reader.check_file().unwrap();
        self.audit_journals(&reader);
        self.audit_sources(&reader);
        self.audit_derived(&reader);
        for (account, balances) in &self.balances() {
            let seen = opened.readers.with(|r| r.balance(*account)).unwrap();
            assert_eq!(seen.as_ref(), balances.last());
        }
    }

    /// Becomes the owner, and learns what became of the batch of which that was unknown.
    fn open(&mut self, world: &World) -> Result<Opened, StoreError> {
        let opened = self.database(world).open(TUNING)?;
        assert!(opened.epoch > self.epoch, "an epoch is given once");
        self.epoch = opened.epoch;
        if let Some(commit) = self.unknown.take() {
            if opened.seal == commit.seal {
                self.known.push(commit);
            } else {
                self.refused.push(commit);
            }
        }
        let newest = self.known.last().map_or_else(Seal::genesis, |commit| commit.seal.clone());
        assert_eq!(opened.seal, newest, "the newest seal is the newest that was answered");
        let ids_at = self.known.last().map_or(Timestamp(0), |commit| commit.ids_at);
        assert!(opened.last_at >= ids_at, "no id is given out again");
        Ok(opened)
    }

    fn audit_journals(&self, reader: &Reader) {
        let journals = reader.journals_after(Seq(0), i64::MAX).unwrap();
        assert!(journals.iter().eq(self.journals()), "the journals are those that were answered");
        let seals = reader.seals_after(0, i64::MAX).unwrap();
        assert_eq!(seals.len(), self.known.len());
        let mut before = Seal::genesis();
        for ((seal, hash), commit) in seals.into_iter().zip(&self.known) {
            assert_eq!((seal.previous, hash), (before.hash(), seal.hash()));
            assert!(seal.epoch >= before.epoch);
            assert_eq!(seal, commit.seal);
            assert_eq!(seal.root, merkle_root(&commit.bodies));
            before = seal;
        }
    }

    /// What batches changed at its source.
    fn audit_sources(&self, reader: &Reader) {
        let mut found: Vec<Phone> =
            reader.all::<PhoneOwner>().unwrap().into_iter().map(|owner| owner.phone).collect();
        let mut expected: Vec<Phone> = (0..self.known.len()).map(phone).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    /// What is written behind: every row was so once, and up to the watermark none is missing or older.
    fn audit_derived(&self, reader: &Reader) {
        let watermark = reader.watermark().unwrap();
        let head = self.known.last().map_or(Seq(0), |commit| commit.seal.last);
        assert!(watermark <= head);
        let mut rows: BTreeMap<AccountId, Balance> =
            reader.all::<Balance>().unwrap().into_iter().map(|row| (row.account, row)).collect();
        for (account, balances) in self.balances() {
            let due = balances.iter().rfind(|balance| balance.as_of <= watermark);
            match rows.remove(&account) {
                Some(row) => {
                    assert!(balances.contains(&row), "{row:?} was never so");
                    assert!(
                        due.is_none_or(|due| row.as_of >= due.as_of),
                        "{row:?} is older than {watermark:?}"
                    );
                }
                None => assert_eq!(due, None, "a row is missing"),
            }
        }
        assert!(rows.is_empty(), "{rows:?}");
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.known.len() == BATCHES
    }

    /// Whether any batch was refused for certain.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }
}

fn account(n: usize) -> AccountId {
    let n = i64::try_from(n % 7).unwrap();
    if n % 3 == 0 {
        AccountId::merchant(MchId(MchId::FIRST.0 + n))
    } else {
        AccountId::person(PersonId((START.0 << 21) + 16 * n))
    }
}

fn phone(n: usize) -> Phone {
    Phone::parse(&format!("138{n:08}")).expect("a phone number")
}

/// Decides a batch of the script: a few journals and a row of its own.
fn decide(state: &mut State, opened: &mut Opened, number: usize) -> Result<(), StoreError> {
    let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
    let policy = Policy::default();
    let entropy = Secret::new([7; 32]);
    let now = START.plus(i64::try_from(number).unwrap());
    let batch = Batch { now, entropy, keys: &keys, policy: &policy, epoch: opened.epoch };
    for n in 0..=number % 3 {
        let command = Receive { into: account(number + n), minor: i64::try_from(1 + number + n).unwrap() };
        while let Err(stop) = state.decide(&batch, &command) {
            assert!(matches!(stop, Stop::Absent), "nothing here is refused");
            let mut loading = Rows::default();
            state.rows.hand_wanted(&mut loading);
            opened.loader.load(&mut loading)?;
            state.rows.absorb(&mut loading);
        }
    }
    let owner = PersonId(i64::try_from(number).unwrap() + 1);
    state.rows.phone_owner.insert(PhoneOwner { phone: phone(number), person: owner });
    Ok(())
}

/// Brings money in from the network.
struct Receive {
    into: AccountId,
    minor: i64,
}

impl Command for Receive {
    type Reply = Seq;
    type Refusal = ();

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Seq, Stop<()>> {
        let debit = AccountId::clearing(ISSUER_NETWORK);
        tx.prepare(&[debit, self.into]).or_stop()?;
        let amount = Money::fen(self.minor).expect("above zero");
        let subject = tx.fresh_id();
        let posting = Posting { debit, credit: self.into, amount };
        Ok(tx.post(JournalKind::TopUp, subject, Currency::Cny, vec![posting], &[]))
    }
}
