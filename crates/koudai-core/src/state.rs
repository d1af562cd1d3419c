//! What a decision works on: the rows loaded so far, the journals of the batch, and what the shell brings along.
//!
//! A decision asks for rows by key. One that is not loaded yet stops it with `Stop::Absent`; the engine loads what the
//! whole batch is missing and decides again. Changes go straight into the rows, so later commands of the batch see them;
//! a decision that stops on an absent row is undone.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::cache::{Absent, Cache, TableChanges, TableVisitor};
use crate::column::Row;
use crate::id::{IdSource, Seq};
use crate::issuing::AccountBin;
use crate::ledger::{AccountId, AccountKind, Journal, JournalKind, Line, Posting, standing};
use crate::money::{Currency, Money, RatePpm};
use crate::planted::{self, Bug};
use crate::rows::{Balance, Rows};
use crate::secret::Secret;
use crate::sign_in::Safety;
use crate::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};

/// Why a decision did not come to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop<R> {
    /// It refuses, for this reason.
    Refused(R),
    /// A row it needs is not loaded *yet*, which is never "unknown".
    Absent,
}

impl<R> From<R> for Stop<R> {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal)
    }
}

/// Carries `Absent` into a decision's own kind of stop.
pub trait OrStop<T> {
    /// The value, or the stop.
    ///
    /// # Errors
    /// `Stop::Absent`.
    fn or_stop<R>(self) -> Result<T, Stop<R>>;
}

impl<T> OrStop<T> for Result<T, Absent> {
    fn or_stop<R>(self) -> Result<T, Stop<R>> {
        self.map_err(|Absent| Stop::Absent)
    }
}

/// A command: everything one change of state needs to know, decided against the rows.
pub trait Command: Send + 'static {
    /// What the sender gets.
    type Reply: Send + 'static;
    /// Why it may be refused.
    type Refusal: Send + 'static;

    /// Decides the command.
    ///
    /// Checks come first and changes after, so that a refusal leaves nothing behind except what it means to leave.
    ///
    /// # Errors
    /// A refusal, or `Absent` when a row has to be loaded first.
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Reply, Stop<Self::Refusal>>;
}

struct Accept;
impl TableVisitor for Accept {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        cache.accept();
        Ok(())
    }
}

struct Changed(bool);
impl TableVisitor for Changed {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        self.0 |= cache.is_changed();
        Ok(())
    }
}

/// Collects what the batch changed, and lets the next begin.
#[derive(Default)]
struct Close {
    tables: usize,
    changes: Vec<TableChanges>,
}
impl TableVisitor for Close {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        cache.write_changes(self.tables, &mut self.changes);
        cache.next_batch();
        self.tables += if R::MOVING.is_some() { 2 } else { 1 };
        Ok(())
    }
}

#[derive(Default)]
struct Measure {
    bytes: usize,
}
impl TableVisitor for Measure {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        self.bytes += cache.bytes();
        Ok(())
    }
}

/// Lets every table forget what was not used for `age` batches, among one row in `share`.
struct Evict {
    share: usize,
    age: u64,
    committed: u64,
}
impl TableVisitor for Evict {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        cache.evict(self.share, self.age, self.committed);
        Ok(())
    }
}

struct Undo;
impl TableVisitor for Undo {
    type Error = std::convert::Infallible;
    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        cache.undo();
        Ok(())
    }
}

/// The keys of the operator that decisions need. They come in with the batch and are stored nowhere in the database.
#[derive(Clone, Debug)]
pub struct Keys {
    /// For payment passwords, and under a name of their own for log-in passwords.
    pub payment_password: Secret<[u8; 32]>,
    /// For one-time codes, and under names of their own for whatever else of signing in is kept as a keyed hash.
    pub one_time_code: Secret<[u8; 32]>,
}

/// What the operator may set: limits, rates and times. Data, never constants in a decision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a merchant pays on each payment unless agreed otherwise.
    pub fee: RatePpm,
    /// The least one top-up may be.
    pub top_up_least: Money,
    /// The most one top-up may be.
    pub top_up_most: Money,
    /// The most a person may top up a day.
    pub top_up_day_most: Money,
    /// What a top-up costs, of what arrives.
    pub top_up_fee: RatePpm,
    /// The least one withdrawal may be.
    pub withdraw_least: Money,
    /// The most one withdrawal may be.
    pub withdraw_most: Money,
    /// The most a person may withdraw a day.
    pub withdraw_day_most: Money,
    /// How many withdrawals a person may ask for a day.
    pub withdrawals_a_day: u8,
    /// What a withdrawal that is sent at once costs, on top of it.
    pub withdraw_fee: RatePpm,
    /// What a withdrawal that is sent a day later costs, on top of it.
    pub withdraw_next_day_fee: RatePpm,
    /// The least fee of a withdrawal that costs anything.
    pub withdraw_fee_least: Money,
    /// Youngest age of a holder in whole years.
    pub minimum_age: i64,
    /// How many cards a person may bind.
    pub cards_most: u8,
    /// Failed bindings a day.
    pub failed_bindings_most: u8,
    /// How long an order's code lives, ms.
    pub code_life_ms: i64,
    /// How long an expired code still leads to how its order went, ms: whoever was paying has to find out.
    pub code_kept_ms: i64,
    /// How long an order lives unless the merchant says, ms.
    pub order_life_ms: i64,
    /// The longest a merchant may let an order live, ms.
    pub order_life_most_ms: i64,
    /// The shortest, ms; shorter wishes are lifted to it.
    pub order_life_least_ms: i64,
    /// How long after the payment a refund may be asked for, ms.
    pub refund_window_ms: i64,
    /// How many refunds an order may have.
    pub refunds_most: u8,
    /// How long a transfer waits for its payee, ms.
    pub transfer_life_ms: i64,
    /// From this amount on a transfer has to name its payee.
    pub transfer_named_from: Money,
    /// How long a network may be sent an attempt before it is withdrawn there, ms.
    pub send_window_ms: i64,
    /// How long a session lives, ms.
    pub session_life_ms: i64,
    /// What people may try when they sign in, and how often.
    pub safety: Safety,
    /// How long a payer's code lives, ms.
    pub payer_code_life_ms: i64,
    /// How long a payer's code is known to have been one, ms.
    pub payer_code_kept_ms: i64,
    /// How many live codes a person may have: one on each phone that shows them, and the one after it.
    pub payer_codes_most: u8,
    /// The most one payment by a payer's code may be without asking the payer.
    pub code_pays_unasked_most: Money,
    /// How many such payments a person may have a day.
    pub code_pays_unasked_a_day: u8,
    /// The most that may be paid by printed codes a day from one source: what barcodes that do not change may be paid by
    /// (measures on barcode payments, grade D).
    pub static_day_most: Money,
    /// How many orders a person may make of printed codes a day.
    pub static_orders_a_day: u16,
    /// How long a payer has to confirm a code payment, ms: as long as merchants ask about it.
    pub confirm_within_ms: i64,
    /// From when on a code payment may be reversed, ms: before, its outcome is on its way.
    pub reverse_after_ms: i64,
    /// Until when a code payment may be reversed, ms.
    pub reverse_within_ms: i64,
    /// What account numbers begin with, by which apps bind accounts.
    pub account_bin: AccountBin,
    /// How many codes apps may have sent to one holder a day.
    pub agreement_codes_a_day: u8,
    /// What an app may take at once, until the holder says otherwise.
    pub agreement_per_payment: Money,
    /// What an app may take a day, until the holder says otherwise.
    pub agreement_per_day: Money,
    /// The most a holder may let it take.
    pub agreement_most: Money,
}

impl Default for Policy {
    /// The profile of a closed loop such as a campus, the orders' times as the protocol's specification has them.
    fn default() -> Self {
        let fen = |n| Money::fen(n).expect("above zero");
        Self {
            fee: RatePpm::new(6_000).expect("below one million"),
            top_up_least: fen(1),
            top_up_most: fen(5_000_000),
            top_up_day_most: fen(10_000_000),
            top_up_fee: RatePpm::new(0).expect("below one million"),
            withdraw_least: fen(100),
            withdraw_most: fen(500_000),
            withdraw_day_most: fen(1_000_000),
            withdrawals_a_day: 5,
            withdraw_fee: RatePpm::new(1_000).expect("below one million"),
            withdraw_next_day_fee: RatePpm::new(0).expect("below one million"),
            withdraw_fee_least: fen(10),
            minimum_age: 14,
            cards_most: 10,
            failed_bindings_most: 5,
            code_life_ms: 2 * HOUR,
            code_kept_ms: 7 * DAY,
            order_life_ms: 7 * DAY,
            order_life_most_ms: 90 * DAY,
            order_life_least_ms: MINUTE,
            refund_window_ms: 365 * DAY,
            refunds_most: 50,
            transfer_life_ms: DAY,
            transfer_named_from: fen(200_000),
            send_window_ms: 90 * SECOND,
            session_life_ms: 30 * DAY,
            safety: Safety::default(),
            payer_code_life_ms: MINUTE,
            payer_code_kept_ms: 10 * MINUTE,
            payer_codes_most: 4,
            code_pays_unasked_most: fen(100_000),
            code_pays_unasked_a_day: 5,
            static_day_most: fen(50_000),
            static_orders_a_day: 200,
            confirm_within_ms: MINUTE,
            reverse_after_ms: 15 * SECOND,
            reverse_within_ms: 7 * DAY,
            account_bin: AccountBin::default(),
            agreement_codes_a_day: 10,
            agreement_per_payment: fen(100_000),
            agreement_per_day: fen(500_000),
            agreement_most: fen(5_000_000),
        }
    }
}

/// What the rest of the house wants to know once a batch is committed. No event is ever the only trace of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A call to a network is due.
    AttemptOpened(crate::id::AttemptId),
    /// A call to a network has its outcome.
    AttemptEnded(crate::id::AttemptId),
    /// An order changed its state.
    OrderChanged(crate::id::OrderId),
    /// A merchant has something to be told.
    NoticeDue(crate::id::MchId),
    /// A message is due.
    MessageDue(crate::id::MessageId),
}

/// What does not belong to one batch: the rows, and where the ledger stands.
#[derive(Debug)]
pub struct State {
    /// The loaded rows.
    pub rows: Rows,
    /// The number of the newest journal.
    pub head: Seq,
    /// Journals decided and not yet committed, in order of their numbers.
    pub journals: Vec<Journal>,
    /// Events of commands decided and not yet committed.
    pub events: Vec<Event>,
    ids: IdSource,
    draws: u64,
    batch: u64,
    /// Rows that were not used for so many batches are forgotten when room is needed.
    age: u64,
}

/// A batch that was decided: what is to be committed of it.
#[derive(Debug)]
pub struct Decided {
    /// The batch's number in this process: 1, 2, 3 …
    pub batch: u64,
    /// Its journals, in order of their numbers.
    pub journals: Vec<Journal>,
    /// What it changed at its source.
    pub changes: Vec<TableChanges>,
    /// What the rest of the house wants to know once it is committed.
    pub events: Vec<Event>,
    /// The moment the newest id carries, kept so that no later owner gives an id out again.
    pub ids_at: Timestamp,
}

/// What the shell brings to a batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The batch's time. Never earlier than the batch before.
    pub now: Timestamp,
    /// Fresh random bytes of the shell's.
    pub entropy: Secret<[u8; 32]>,
    /// The operator's keys.
    pub keys: &'a Keys,
    /// The operator's settings.
    pub policy: &'a Policy,
    /// The epoch of this owner.
    pub epoch: i64,
}

impl State {
    /// A state with nothing loaded, whose ledger stands at `head` since `at`.
    pub fn new(head: Seq, at: Timestamp) -> Self {
        Self {
            rows: Rows::default(),
            head,
            journals: Vec::new(),
            events: Vec::new(),
            ids: IdSource::new(at),
            draws: 0,
            batch: 1,
            age: u64::MAX / 2,
        }
    }

    /// The moment the newest id carries.
    pub const fn ids_at(&self) -> Timestamp {
        self.ids.at()
    }

    /// Ends the batch. The next one is decided on what this one changed, committed or not.
    pub fn close(&mut self) -> Decided {
        let mut close = Close::default();
        let Ok(()) = self.rows.visit(&mut close);
        let batch = self.batch;
        self.batch += 1;
        Decided {
            batch,
            journals: std::mem::take(&mut self.journals),
            changes: close.changes,
            events: std::mem::take(&mut self.events),
            ids_at: self.ids.at(),
        }
    }

    /// Forgets rows that were not used for long, until they take about `budget` bytes. Rows of batches after `committed`
    /// stay: the database does not have them yet.
    pub fn bound(&mut self, budget: usize, committed: u64) {
        /// One row in so many is looked at each time, so that no batch waits long for it.
        const SHARE: usize = 32;
        /// Rows used in the last few batches are in use now.
        const YOUNGEST: u64 = 4;
        let mut measure = Measure::default();
        let Ok(()) = self.rows.visit(&mut measure);
        self.age = self.age.min(self.batch);
        if measure.bytes <= budget {
            // There is room: what is kept may grow older.
            if measure.bytes < budget / 16 * 15 {
                self.age += self.age / 256 + 1;
            }
            return;
        }
        // One age for all tables: whichever of them holds the rows that are no longer used gives them up.
        let step = if measure.bytes > budget / 8 * 9 { 32 } else { 512 };
        self.age = (self.age - self.age / step).max(YOUNGEST);
        let (mut share, mut age) = (SHARE, self.age);
        if planted::is(Bug::EvictedUncommitted) || planted::is(Bug::LoadOvertaken) {
            (share, age) = (1, 0);
        }
        let Ok(()) = self.rows.visit(&mut Evict { share, age, committed });
    }

    /// Whether anything was decided that is to be committed.
    pub fn is_changed(&mut self) -> bool {
        let mut changed = Changed(!self.journals.is_empty());
        let Ok(()) = self.rows.visit(&mut changed);
        changed.0
    }

    /// Decides one command. On `Absent` nothing has changed but what is wanted.
    ///
    /// # Errors
    /// What the decision stopped on.
    pub fn decide<C: Command>(
        &mut self,
        batch: &Batch<'_>,
        command: &C,
    ) -> Result<C::Reply, Stop<C::Refusal>> {
        self.ids.advance(batch.now);
        let (head, journals, events) = (self.head, self.journals.len(), self.events.len());
        let outcome = command.decide(&mut Tx { state: self, batch });
        if matches!(outcome, Err(Stop::Absent)) {
            let Ok(()) = self.rows.visit(&mut Undo);
            self.head = head;
            self.journals.truncate(journals);
            self.events.truncate(events);
        } else {
            let Ok(()) = self.rows.visit(&mut Accept);
        }
        outcome
    }
}

/// One decision's view of the state.
#[derive(Debug)]
pub struct Tx<'a> {
    state: &'a mut State,
    batch: &'a Batch<'a>,
}

impl Tx<'_> {
    /// The time of the batch.
    pub const fn now(&self) -> Timestamp {
        self.batch.now
    }

    /// The operator's keys.
    pub const fn keys(&self) -> &Keys {
        self.batch.keys
    }

    /// The operator's settings.
    pub const fn policy(&self) -> &Policy {
        self.batch.policy
    }

    /// The epoch of this owner.
    pub const fn epoch(&self) -> i64 {
        self.batch.epoch
    }

    /// The rows.
    pub const fn rows(&mut self) -> &mut Rows {
        &mut self.state.rows
    }

    /// A fresh id.
    pub const fn fresh_id(&mut self) -> i64 {
        self.state.ids.fresh()
    }

    /// Sixteen random bytes, drawn from the batch's entropy.
    pub fn random(&mut self) -> [u8; 16] {
        self.state.draws += 1;
        let mac = keyed_mac(self.batch.entropy.expose(), &[b"draw", &self.state.draws.to_be_bytes()]);
        *mac.first_chunk().expect("a MAC of 32 bytes begins with 16")
    }

    /// A token that nobody can guess and that lands on the right edge of its table, as `order_code` needs it: six bytes of
    /// time and ten random ones, the proportions of a UUID of version 7 (RFC 9562, section 5.7). A wholly random one costs
    /// a page of the table for each order.
    pub fn fresh_token(&mut self) -> [u8; 16] {
        let mut token = self.random();
        token[..6].copy_from_slice(&self.now().0.to_be_bytes()[2..]);
        token
    }

    /// Lets the rest of the house know, once this is committed.
    pub fn announce(&mut self, event: Event) {
        self.state.events.push(event);
    }

    /// How an account stands.
    ///
    /// # Errors
    /// `Absent`.
    pub fn standing(&mut self, account: AccountId, currency: Currency) -> Result<Money, Absent> {
        Ok(match self.state.rows.balance.get(&account)? {
            Some(b) => standing(account, b.debits_minor, b.credits_minor, b.currency)
                .expect("no account stands on its wrong side"),
            None => Money::zero(currency),
        })
    }

    /// Loads what `post` will need, so that a decision can do all its looking before it changes anything.
    ///
    /// # Errors
    /// `Absent`.
    pub fn prepare(&mut self, accounts: &[AccountId]) -> Result<(), Absent> {
        self.state.rows.balance.want(accounts)
    }

    /// Appends a journal and brings its accounts' balances along. `also` names accounts that the fact belongs to the
    /// history of without moving their money. Returns its number.
    ///
    /// The decision has `prepare`d the accounts and made sure that none goes below zero that may not: past this point nothing fails.
    pub fn post(
        &mut self,
        kind: JournalKind,
        subject: i64,
        currency: Currency,
        postings: Vec<Posting>,
        also: &[AccountId],
    ) -> Seq {
        let seq = Seq(self.state.head.0 + 1);
        let mut accounts: Vec<AccountId> = postings.iter().flat_map(|p| [p.debit, p.credit]).collect();
        accounts.extend(also);
        accounts.sort_unstable();
        accounts.dedup();
        let mut lines = Vec::with_capacity(accounts.len());
        for account in accounts {
            let old =
                self.state.rows.balance.get(&account).expect("the decision prepared its accounts").cloned();
            let mut previous = old.as_ref().map_or(Seq(0), |b| b.as_of);
            if planted::is(Bug::PointerSkipped) && seq.0 % 50 == 0 {
                previous = Seq(previous.0 - 1).max(Seq(0));
            }
            let nothing =
                Balance { account, as_of: seq, currency, debits_minor: 0, credits_minor: 0, lines: 0 };
            let mut new = old.unwrap_or(nothing);
            assert_eq!(new.currency, currency, "an account has one currency");
            for p in &postings {
                assert!(
                    !p.amount.is_zero() && p.amount.currency() == currency,
                    "a posting moves money of one currency"
                );
                let of = |side: AccountId| if side == account { p.amount.minor() } else { 0 };
                let add = |total: i64, more| total.checked_add(more).expect("totals fit 63 bits");
                new.debits_minor = add(new.debits_minor, of(p.debit));
                new.credits_minor = add(new.credits_minor, of(p.credit));
            }
            assert!(
                account.kind().is_some_and(AccountKind::may_run_either_way)
                    || standing(account, new.debits_minor, new.credits_minor, currency).is_ok(),
                "no account goes below zero"
            );
            new.as_of = seq;
            new.lines += 1;
            lines.push(Line {
                account,
                debits_minor: new.debits_minor,
                credits_minor: new.credits_minor,
                previous,
                number: new.lines,
            });
            if kind.is_told()
                && let Some(merchant) = account.merchant_owner()
            {
                self.announce(Event::NoticeDue(merchant));
            }
            self.state.rows.balance.put(new);
        }
        let at = self.batch.now;
        self.state.journals.push(Journal { seq, at, kind, subject, currency, postings, lines });
        self.state.head = seq;
        seq
    }
}

/// SHA-256 over parts, each preceded by its length so that no two lists of parts read alike.
pub fn parts_hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 over parts, each preceded by its length so that no two lists of parts read alike.
pub fn keyed_mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    mac_over(key, parts).finalize().into_bytes().into()
}

/// Whether `expected` is the MAC of the parts, compared in constant time.
pub fn keyed_mac_matches(key: &[u8; 32], parts: &[&[u8]], expected: &[u8]) -> bool {
    mac_over(key, parts).verify_slice(expected).is_ok()
}

fn mac_over(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}
