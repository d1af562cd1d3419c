//! Reading connections: what is committed, for pages, the courier and the checks. They never block the writer.
//!
//! What is not written behind yet is read from memory first and from the tables after, so that everybody sees what they
//! just did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use koudai_core::column::{Row, Value};
use koudai_core::id::{AttemptId, MchId, OrderId, PersonId, Seq};
use koudai_core::ledger::{AccountId, Journal, Line, Seal};
use koudai_core::notice::slot;
use koudai_core::planted::{self, Bug};
use koudai_core::rows::{
    Agreement, Allowance, Attempt, AttemptNumber, Balance, Card, CodePayment, Delivery, DeliveryKey,
    DeliveryOutcome, FreezeRight, HalfSession, MerchantCertificate, Message, NoticeCursor, NoticeKey,
    NoticeRetry, NoticeTally, OneTimeCode, OpenAttempt, OrderCode, Passkey, PayerCode, Recovery, Refund,
    Session, StaticCode, UsedChallenge, UsedLoginCode, WaitingTransfer, WaitingWithdrawal,
};
use koudai_core::time::Timestamp;

use crate::PARTITION;
use crate::error::StoreError;
use crate::recent::Recent;
use crate::scan::Each;
use crate::sql;

/// What a reader needs of a database. Statements are the same for all: parameters are written `?1`.
pub(crate) trait Connection: Send {
    /// The rows a statement selects.
    fn select(&self, sql: &str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError>;
    /// Shows every row that `select` and `rest`, one after the other, select, in place, until `each` wants no more. Numbers
    /// stand in `rest` as they are; of `select` there are few, and what follows from one is kept.
    fn scan(&self, select: &str, rest: &str, each: &mut Each<'_>) -> Result<(), StoreError>;
    /// Shows every row of a table in some short views, or in one where a long view is in nobody's way. `select` shows the key
    /// first. What is added, changed or removed meanwhile is shown as it was or as it is.
    fn scan_in_parts(&self, select: &str, key: &[String], each: &mut Each<'_>) -> Result<(), StoreError>;
    /// Fixes what is seen until `end`.
    fn begin(&self) -> Result<(), StoreError>;
    /// Sees everything again.
    fn end(&self);
    /// The names of a table's columns.
    fn columns_of(&self, table: &str) -> Result<Vec<String>, StoreError>;
    /// The settings that a commit's durability rests on, by name.
    fn durability(&self) -> Result<Vec<(String, String)>, StoreError>;
    /// How large the database is, in bytes.
    fn size(&self) -> Result<u64, StoreError>;
    /// The database's own check of itself, if it has one that a client can ask for.
    fn check(&self) -> Result<(), StoreError>;
    /// Whether it was lost, and is of no more use.
    fn is_lost(&self) -> bool;
}

/// Opens another connection.
pub(crate) type Open = dyn Fn() -> Result<Box<dyn Connection>, StoreError> + Send + Sync;

/// A pool of reading connections.
#[derive(Clone)]
pub struct Readers {
    open: Arc<Open>,
    recent: Arc<Recent>,
    idle: Arc<Mutex<Vec<Reader>>>,
    /// Whether the database is in this process: a look at a few rows is then a look into its own memory.
    near: bool,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl Readers {
    /// How many connections are kept open while nobody reads. Whoever reads more at once opens others and closes them
    /// again, which costs more than a page's reading does.
    pub const KEPT: usize = 8;

    /// Readers of a database whose writer has opened it, so that its shape is the newest, with one connection already open.
    pub(crate) fn new(first: Box<dyn Connection>, open: Arc<Open>, recent: Arc<Recent>, near: bool) -> Self {
        let first = Reader { connection: first, recent: Arc::clone(&recent) };
        Self { open, recent, idle: Arc::new(Mutex::new(vec![first])), near }
    }

    fn take_idle(&self) -> Option<Reader> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|reader| !reader.connection.is_lost());
        idle.pop()
    }

    fn put_back(&self, reader: Reader) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::KEPT && !reader.connection.is_lost() {
            idle.push(reader);
        }
    }

    /// Lends an idle connection to `work` if the database is in this process. Otherwise gives `work` back: it would have to
    /// wait for a server or for a file to be opened.
    ///
    /// # Errors
    /// `Err` is `work`, not done.
    pub fn with_idle<T, F>(&self, work: F) -> Result<Result<T, StoreError>, F>
    where
        F: FnOnce(&Reader) -> Result<T, StoreError>,
    {
        let Some(reader) = self.near.then(|| self.take_idle()).flatten() else { return Err(work) };
        let result = work(&reader);
        self.put_back(reader);
        Ok(result)
    }

    /// Lends a connection to `work`.
    ///
    /// # Errors
    /// What opening or `work` says.
    pub fn with<T>(&self, work: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let reader = match self.take_idle() {
            Some(reader) => reader,
            None => Reader { connection: (self.open)()?, recent: Arc::clone(&self.recent) },
        };
        let result = work(&reader);
        self.put_back(reader);
        result
    }
}

/// One reading connection.
pub struct Reader {
    connection: Box<dyn Connection>,
    recent: Arc<Recent>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader beside whoever owns the database: it sees what is in the tables and nothing of the owner's memory.
    pub(crate) fn outside(connection: Box<dyn Connection>) -> Self {
        Self { connection, recent: Arc::new(Recent::new(Seq(0), 1)) }
    }

    /// Runs `work` on one unchanging view of the database.
    ///
    /// # Errors
    /// What the database or `work` says.
    pub fn snapshot<T, E: From<StoreError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        self.connection.begin()?;
        let result = work(self);
        self.connection.end();
        result
    }

    /// The row of a key, if there is one.
    ///
    /// # Errors
    /// What the database says; `Corrupt` for a row it should not hold.
    pub fn get<R: Row>(&self, key: &R::Key) -> Result<Option<R>, StoreError> {
        Ok(self.rows(sql::select_by_key::<R>(), &sql::cells_of(key))?.pop())
    }

    /// Every row of a table, in key order. For the checks only: it holds the whole table in memory.
    ///
    /// # Errors
    /// As `get`; half a row is damage, whichever half is left.
    pub fn all<R: Row>(&self) -> Result<Vec<R>, StoreError> {
        self.rows(&sql::select_all::<R>(), &[])
    }

    pub(crate) fn connection(&self) -> &dyn Connection {
        &*self.connection
    }

    pub(crate) fn find<R: Row>(&self, condition: &str, values: &[Value]) -> Result<Vec<R>, StoreError> {
        self.rows(&sql::select::<R>(condition), values)
    }

    fn rows<R: Row>(&self, sql: &str, values: &[Value]) -> Result<Vec<R>, StoreError> {
        self.connection.select(sql, values)?.iter_mut().map(|cells| sql::read_row(cells)).collect()
    }

    /// The one number a statement selects, if it selects any.
    pub(crate) fn number(&self, sql: &str, values: &[i64]) -> Result<Option<i64>, StoreError> {
        Ok(match self.numbers(sql, values)?.first().map(Vec::as_slice) {
            Some([Value::Int(number)]) => Some(*number),
            _ => None,
        })
    }

    fn numbers(&self, sql: &str, values: &[i64]) -> Result<Vec<Vec<Value>>, StoreError> {
        let values: Vec<Value> = values.iter().map(|n| Value::Int(*n)).collect();
        self.connection.select(sql, &values)
    }

    /// How an account stands; `None` if it never moved.
    ///
    /// # Errors
    /// As `get`.
    pub fn balance(&self, account: AccountId) -> Result<Option<Balance>, StoreError> {
        match self.recent.balance(account) {
            Some(balance) => Ok(Some(balance)),
            None => self.get(&account),
        }
    }

    /// The number that a person's device gave a top-up.
    ///
    /// # Errors
    /// As `get`.
    pub fn top_up_number(&self, person: PersonId, attempt: AttemptId) -> Result<Option<String>, StoreError> {
        let of_it = &[Value::Int(person.0), Value::Int(attempt.0)];
        let found: Vec<AttemptNumber> = self.find("person = ?1 AND attempt = ?2 LIMIT 1", of_it)?;
        Ok(found.into_iter().next().map(|known| known.key.number))
    }

    /// A person's cards that are still bound, and what they have at other wallets, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn cards_of(&self, person: PersonId) -> Result<Vec<Card>, StoreError> {
        self.find("person = ?1 AND removed_at IS NULL ORDER BY id", &[Value::Int(person.0)])
    }

    /// What a person lets apps do, newest first, and what has ended behind that. What came to nothing is left out.
    ///
    /// # Errors
    /// As `get`.
    pub fn agreements_of(&self, person: PersonId) -> Result<Vec<Agreement>, StoreError> {
        let sql = "person = ?1 AND state IN ('bound', 'ended') ORDER BY state, id DESC LIMIT 100";
        self.find(sql, &[Value::Int(person.0)])
    }

    /// A merchant's printed codes, the newest first, those that have ended too.
    ///
    /// # Errors
    /// As `get`.
    pub fn static_codes_of(&self, mchid: MchId, limit: i64) -> Result<Vec<StaticCode>, StoreError> {
        self.find("mchid = ?1 ORDER BY token DESC LIMIT ?2", &[Value::Int(mchid.0), Value::Int(limit)])
    }

    /// A merchant's certificates, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn certificates_of(&self, mchid: MchId) -> Result<Vec<MerchantCertificate>, StoreError> {
        self.find("mchid = ?1 ORDER BY not_before, serial", &[Value::Int(mchid.0)])
    }

    /// A person's newest calls to networks that move money, newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn attempts_of(&self, person: PersonId, limit: i64) -> Result<Vec<Attempt>, StoreError> {
        self.find("person = ?1 ORDER BY id DESC LIMIT ?2", &[Value::Int(person.0), Value::Int(limit)])
    }

    /// An order's refunds, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn refunds_of(&self, order: OrderId) -> Result<Vec<Refund>, StoreError> {
        self.find("\"order\" = ?1 ORDER BY id", &[Value::Int(order.0)])
    }

    /// An account's journals before `before`, newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn history(
        &self,
        account: AccountId,
        before: Option<Seq>,
        limit: i64,
    ) -> Result<Vec<Journal>, StoreError> {
        let newest = match before {
            None => self.balance(account)?.map_or(Seq(0), |b| b.as_of),
            Some(before) => self.line_before(account, before)?,
        };
        self.walk(account, newest, limit)
    }

    /// The journals of an account when it stood at this balance, newest first: what made it what it is, and nothing that
    /// is committed since.
    ///
    /// # Errors
    /// As `get`.
    pub fn history_at(&self, balance: &Balance, limit: i64) -> Result<Vec<Journal>, StoreError> {
        self.walk(balance.account, balance.as_of, limit)
    }

    /// An account's journals from its line in `newest` on, newest first.
    fn walk(&self, account: AccountId, newest: Seq, limit: i64) -> Result<Vec<Journal>, StoreError> {
        let mut journals = vec![];
        let mut next = newest;
        while next.0 > 0 && i64::try_from(journals.len()).is_ok_and(|n| n < limit) {
            let (journal, line) = self.line_of(account, next)?;
            next = line.previous;
            journals.push(journal);
        }
        Ok(journals)
    }

    /// The number of an account's newest journal before another journal; 0 if there is none.
    fn line_before(&self, account: AccountId, before: Seq) -> Result<Seq, StoreError> {
        // A page goes on after the journal it ended with, which points to the next.
        if let Some(line) = self.journal(before)?.and_then(|j| j.line(account).copied()) {
            return Ok(line.previous);
        }
        let mut next = self.line_from(account, before)?;
        while next >= before {
            next = self.line_of(account, next)?.1.previous;
        }
        Ok(next)
    }

    /// A line of an account from which it is not far back to `from`: the first indexed one at or after it, or else the
    /// newest there is.
    fn line_from(&self, account: AccountId, from: Seq) -> Result<Seq, StoreError> {
        let newest = self.balance(account)?.map_or(Seq(0), |b| b.as_of);
        let recent = self.recent.mark_from(account, from);
        let sql = "SELECT seq FROM history WHERE account = ?1 AND seq >= ?2 ORDER BY seq LIMIT 1";
        let written = match self.numbers(sql, &[account.0, from.0])?.pop().as_deref() {
            Some([Value::Int(seq)]) => Some(Seq(*seq)),
            _ => None,
        };
        Ok(written.into_iter().chain(recent).min().unwrap_or(newest))
    }

    /// A journal and an account's line in it.
    fn line_of(&self, account: AccountId, seq: Seq) -> Result<(Journal, Line), StoreError> {
        let broken = || StoreError::Corrupt {
            table: "journal",
            what: format!("row {}: the history of account {} is broken there", seq.0, account.0),
        };
        let journal = self.journal(seq)?.ok_or_else(broken)?;
        let line = *journal.line(account).ok_or_else(broken)?;
        if line.previous >= seq { Err(broken()) } else { Ok((journal, line)) }
    }

    /// A merchant's journals after `after`, oldest first: some of them, and at least one if there is any.
    ///
    /// # Errors
    /// As `get`.
    pub fn merchant_journals(
        &self,
        mchid: MchId,
        after: Seq,
        limit: i64,
    ) -> Result<Vec<Journal>, StoreError> {
        self.account_journals(AccountId::merchant(mchid), after, limit)
    }

    /// An account's journals after `after`, oldest first: some of them, and at least one if there is any.
    ///
    /// # Errors
    /// As `get`.
    pub fn account_journals(
        &self,
        account: AccountId,
        after: Seq,
        limit: i64,
    ) -> Result<Vec<Journal>, StoreError> {
        let mut next = self.line_from(account, Seq(after.0 + 1))?;
        let mut journals = vec![];
        while next > after {
            let (journal, line) = self.line_of(account, next)?;
            next = line.previous;
            journals.push(journal);
        }
        if !planted::is(Bug::NoticesSkipped) {
            journals.reverse();
        }
        journals.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(journals)
    }

    /// The first journal at or after a moment, by its number; one past the newest if there is none.
    ///
    /// # Errors
    /// As `get`.
    pub fn seq_at(&self, at: Timestamp) -> Result<Seq, StoreError> {
        let newest = self.numbers(
            "SELECT seq FROM journal WHERE partition = ?1 ORDER BY seq DESC LIMIT 1",
            &[PARTITION],
        )?;
        let newest = match newest.first().map(Vec::as_slice) {
            Some([Value::Int(seq)]) => *seq,
            _ => 0,
        };
        // Time never goes back along the journals.
        let (mut low, mut high) = (1, newest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let journal = self.journal(Seq(middle))?;
            if journal.is_some_and(|j| j.at < at) { low = middle + 1 } else { high = middle }
        }
        Ok(Seq(low))
    }

    /// The journals after `after`, in order.
    ///
    /// # Errors
    /// As `get`.
    pub fn journals_after(&self, after: Seq, limit: i64) -> Result<Vec<Journal>, StoreError> {
        let sql =
            "SELECT seq, body, crc FROM journal WHERE partition = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        self.journals(sql, &[PARTITION, after.0, limit])
    }

    /// One journal.
    ///
    /// # Errors
    /// As `get`.
    pub fn journal(&self, seq: Seq) -> Result<Option<Journal>, StoreError> {
        let sql = "SELECT seq, body, crc FROM journal WHERE partition = ?1 AND seq = ?2";
        Ok(self.journals(sql, &[PARTITION, seq.0])?.pop())
    }

    fn journals(&self, sql: &str, values: &[i64]) -> Result<Vec<Journal>, StoreError> {
        self.numbers(sql, values)?.iter().map(|cells| sql::read_journal(cells)).collect()
    }

    /// The seals after number `after`, in order, each with the hash stored beside it.
    ///
    /// # Errors
    /// As `get`.
    pub fn seals_after(&self, after: i64, limit: i64) -> Result<Vec<(Seal, [u8; 32])>, StoreError> {
        let sql = "SELECT no, previous, epoch, first_seq, last_seq, root, hash FROM seal
                   WHERE partition = ?1 AND no > ?2 ORDER BY no LIMIT ?3";
        self.numbers(sql, &[PARTITION, after, limit])?.iter().map(|cells| sql::read_seal(cells)).collect()
    }

    /// The number of the newest seal, which counts the commits.
    ///
    /// # Errors
    /// As `get`.
    pub fn newest_seal(&self) -> Result<u64, StoreError> {
        let sql = "SELECT no FROM seal WHERE partition = ?1 ORDER BY no DESC LIMIT 1";
        match self.numbers(sql, &[PARTITION])?.first().map(Vec::as_slice) {
            Some([Value::Int(no)]) => Ok(u64::try_from(*no).unwrap_or(0)),
            _ => Err(StoreError::Corrupt { table: "seal", what: "there is none".to_owned() }),
        }
    }

    /// The settings that a commit's durability rests on, by name.
    ///
    /// # Errors
    /// As `get`.
    pub fn durability(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.connection.durability()
    }

    /// How large the database is, in bytes; what its log holds twice is counted once.
    ///
    /// # Errors
    /// As `get`.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.connection.size()
    }

    /// How far balances and the index of histories are written: they are true at this journal or a later one.
    ///
    /// # Errors
    /// As `get`.
    pub fn watermark(&self) -> Result<Seq, StoreError> {
        sql::read_watermark(
            &self.numbers("SELECT watermark FROM derived WHERE partition = ?1", &[PARTITION])?,
        )
    }

    /// Open attempts that are due, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_attempts(&self, now: Timestamp, limit: i64) -> Result<Vec<OpenAttempt>, StoreError> {
        self.find("next_at <= ?1 ORDER BY next_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Messages that are due, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_messages(&self, now: Timestamp, limit: i64) -> Result<Vec<Message>, StoreError> {
        self.find("next_at <= ?1 ORDER BY next_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Notifications to try again, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_retries(&self, now: Timestamp, limit: i64) -> Result<Vec<NoticeRetry>, StoreError> {
        self.find("next_at <= ?1 ORDER BY next_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Notifications to try again, the longest due first, from behind one of them on.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_retries_after(
        &self,
        key: &NoticeKey,
        next_at: Timestamp,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<NoticeRetry>, StoreError> {
        let values = [next_at.0, key.mchid.0, key.seq.0, now.0, limit].map(Value::Int);
        // The first condition says nothing new: it is the one that the index is entered by.
        let after = "next_at >= ?1 AND (next_at > ?1 OR mchid > ?2 OR (mchid = ?2 AND seq > ?3))";
        self.find(&format!("{after} AND next_at <= ?4 ORDER BY next_at, mchid, seq LIMIT ?5"), &values)
    }

    /// A merchant's events from a journal on that are to be told again or were given up, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn retries_of(&self, mchid: MchId, from: Seq, limit: i64) -> Result<Vec<NoticeRetry>, StoreError> {
        let values = [mchid.0, from.0, limit].map(Value::Int);
        self.find("mchid = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3", &values)
    }

    /// The tries at telling a merchant that are kept, newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn deliveries_of(&self, mchid: MchId) -> Result<Vec<Delivery>, StoreError> {
        self.find("mchid = ?1 ORDER BY at DESC, seq DESC, tries DESC", &[Value::Int(mchid.0)])
    }

    /// The newest try at telling a merchant that was answered, and the newest that failed.
    ///
    /// # Errors
    /// As `get`.
    pub fn newest_deliveries(&self, mchid: MchId) -> Result<Vec<Delivery>, StoreError> {
        let Some(tally) = self.get::<NoticeTally>(&mchid)? else { return Ok(vec![]) };
        let both = [(DeliveryOutcome::Answered, tally.answered), (DeliveryOutcome::NoAnswer, tally.failed)];
        let mut newest = vec![];
        for (outcome, number) in both {
            newest.extend(self.get(&DeliveryKey { mchid, slot: slot(outcome, number) })?);
        }
        Ok(newest)
    }

    /// Order codes that have expired.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_codes(&self, now: Timestamp, limit: i64) -> Result<Vec<OrderCode>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Payers' codes that have expired.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_payer_codes(&self, now: Timestamp, limit: i64) -> Result<Vec<PayerCode>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// A person's newest code payments, newest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn code_payments_of(&self, person: PersonId, limit: i64) -> Result<Vec<CodePayment>, StoreError> {
        self.find("person = ?1 ORDER BY \"order\" DESC LIMIT ?2", &[Value::Int(person.0), Value::Int(limit)])
    }

    /// Login codes that were used and have expired.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_login_codes(&self, now: Timestamp, limit: i64) -> Result<Vec<UsedLoginCode>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Challenges that a passkey answered and that have expired.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_challenges(&self, now: Timestamp, limit: i64) -> Result<Vec<UsedChallenge>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Sessions that have ended.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_sessions(&self, now: Timestamp, limit: i64) -> Result<Vec<Session>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Sign-ins that got no second step in time.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_half_sessions(&self, now: Timestamp, limit: i64) -> Result<Vec<HalfSession>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Rights to freeze that were not used in time.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_freeze_rights(&self, now: Timestamp, limit: i64) -> Result<Vec<FreezeRight>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Recoveries that were not finished in time.
    ///
    /// # Errors
    /// As `get`.
    pub fn expired_recoveries(&self, now: Timestamp, limit: i64) -> Result<Vec<Recovery>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Allowances that have ended.
    ///
    /// # Errors
    /// As `get`.
    pub fn ended_allowances(&self, now: Timestamp, limit: i64) -> Result<Vec<Allowance>, StoreError> {
        self.find("ends_at <= ?1 ORDER BY ends_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Codes that were asked for by a moment.
    ///
    /// # Errors
    /// As `get`.
    pub fn codes_sent_by(&self, at: Timestamp, limit: i64) -> Result<Vec<OneTimeCode>, StoreError> {
        self.find("asked_at <= ?1 ORDER BY asked_at LIMIT ?2", &[Value::Int(at.0), Value::Int(limit)])
    }

    /// A person's passkeys, the oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn passkeys_of(&self, person: PersonId) -> Result<Vec<Passkey>, StoreError> {
        self.find("person = ?1 ORDER BY added_at, id", &[Value::Int(person.0)])
    }

    /// What a person may receive at a moment, oldest first.
    ///
    /// # Errors
    /// As `get`.
    pub fn transfers_to(
        &self,
        person: PersonId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<WaitingTransfer>, StoreError> {
        let values = [person.0, now.0, limit].map(Value::Int);
        self.find("payee = ?1 AND expires_at > ?2 ORDER BY transfer LIMIT ?3", &values)
    }

    /// Transfers that were not received in time, the longest over first.
    ///
    /// # Errors
    /// As `get`.
    pub fn overdue_transfers(&self, now: Timestamp, limit: i64) -> Result<Vec<WaitingTransfer>, StoreError> {
        self.find("expires_at <= ?1 ORDER BY expires_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Withdrawals that are to be sent, the longest due first.
    ///
    /// # Errors
    /// As `get`.
    pub fn due_withdrawals(&self, now: Timestamp, limit: i64) -> Result<Vec<WaitingWithdrawal>, StoreError> {
        self.find("due_at <= ?1 ORDER BY due_at LIMIT ?2", &[Value::Int(now.0), Value::Int(limit)])
    }

    /// Merchants whose cursor lies behind the newest journal of their history.
    ///
    /// # Errors
    /// As `get`.
    pub fn merchants_behind(&self) -> Result<Vec<MchId>, StoreError> {
        let told: HashMap<MchId, Seq> =
            self.all::<NoticeCursor>()?.into_iter().map(|cursor| (cursor.mchid, cursor.told)).collect();
        let mut behind = Vec::new();
        for cells in self.numbers("SELECT mchid FROM merchant ORDER BY mchid", &[])? {
            let [Value::Int(mchid)] = cells.as_slice() else { continue };
            let mchid = MchId(*mchid);
            let newest = self.balance(AccountId::merchant(mchid))?.map_or(Seq(0), |b| b.as_of);
            if newest > told.get(&mchid).copied().unwrap_or(Seq(0)) {
                behind.push(mchid);
            }
        }
        Ok(behind)
    }

    /// The names of a table's columns, for the comparison with the declarations.
    ///
    /// # Errors
    /// As `get`.
    pub fn columns_of(&self, table: &str) -> Result<Vec<String>, StoreError> {
        self.connection.columns_of(table)
    }

    /// The database's own check of itself.
    ///
    /// # Errors
    /// `Corrupt` with the first thing it finds.
    pub fn check_file(&self) -> Result<(), StoreError> {
        self.connection.check()
    }
}
