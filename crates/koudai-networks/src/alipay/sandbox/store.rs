//! Its own file: people with what they have, the merchant's account, trades, refunds, payouts, codes and notices.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::people;
use crate::alipay::wire::{Call, moment};
use crate::sandbox::SandboxError;
use crate::sandbox::file::{self, Hasher};
use koudai_core::time::Timestamp;

/// The version of the tables below.
const VERSION: i64 = 1;
/// What the merchant's account has at first, in fen.
pub(super) const FIRST_FUNDS_MINOR: i64 = 100_000_000;

const SCHEMA: &str = "
CREATE TABLE person (
    person          INTEGER NOT NULL PRIMARY KEY,
    available_minor INTEGER NOT NULL CHECK (available_minor >= 0)
) STRICT;

CREATE TABLE account (
    account         INTEGER NOT NULL PRIMARY KEY CHECK (account = 1),
    available_minor INTEGER NOT NULL CHECK (available_minor >= 0)
) STRICT;

CREATE TABLE trade (
    trade           INTEGER NOT NULL PRIMARY KEY,
    out_trade_no    TEXT    NOT NULL UNIQUE,
    code            TEXT    NOT NULL UNIQUE,        -- what its page is found by
    call            TEXT    NOT NULL CHECK (call IN ('precreate', 'wap_pay', 'create', 'pay')),
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    subject         TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'waiting', 'paid', 'closed')), -- open: nobody came yet
    person          INTEGER REFERENCES person,
    created_ms      INTEGER NOT NULL,
    expires_ms      INTEGER NOT NULL,
    paid_ms         INTEGER,
    returned_minor  INTEGER NOT NULL CHECK (returned_minor BETWEEN 0 AND amount_minor),
    certificates    INTEGER NOT NULL CHECK (certificates IN (0, 1)),   -- the mode it was ordered in
    notify_url      TEXT    NOT NULL,
    return_url      TEXT    NOT NULL,
    CHECK ((state = 'paid') = (paid_ms IS NOT NULL)),
    CHECK (state <> 'paid' OR person IS NOT NULL)
) STRICT;
CREATE INDEX trade_paid ON trade (paid_ms);

CREATE TABLE refund (
    trade           INTEGER NOT NULL REFERENCES trade,
    out_request_no  TEXT    NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (trade, out_request_no)
) STRICT;
CREATE INDEX refund_at ON refund (at_ms);

CREATE TABLE payout (
    payout          INTEGER NOT NULL PRIMARY KEY,
    out_biz_no      TEXT    NOT NULL UNIQUE,
    person          INTEGER NOT NULL REFERENCES person,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    title           TEXT    NOT NULL,
    at_ms           INTEGER NOT NULL,
    decided_ms      INTEGER NOT NULL                -- before, it is under way
) STRICT;
CREATE INDEX payout_at ON payout (at_ms);

-- What a person shows to pay, or comes back with to be known.
CREATE TABLE code (
    code            TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL CHECK (kind IN ('pays', 'known')),
    person          INTEGER NOT NULL REFERENCES person,
    expires_ms      INTEGER NOT NULL,
    used            INTEGER NOT NULL CHECK (used IN (0, 1))
) STRICT;

CREATE TABLE notice (
    notice          INTEGER NOT NULL PRIMARY KEY,
    url             TEXT    NOT NULL,
    body            TEXT    NOT NULL,               -- as a form, without time and signature
    certificates    INTEGER NOT NULL CHECK (certificates IN (0, 1)),
    sent            INTEGER NOT NULL,
    next_ms         INTEGER                         -- NULL once it was heard or given up
) STRICT;
CREATE INDEX notice_due ON notice (next_ms) WHERE next_ms IS NOT NULL;
";

/// Opens or creates the file in `dir`.
pub(super) fn open(dir: &Path) -> Result<(Connection, Hasher), SandboxError> {
    file::open(dir, "alipay", |tx, stands| {
        match stands {
            0 => {
                tx.execute_batch(SCHEMA)?;
                tx.execute("INSERT INTO account VALUES (1, ?1)", [FIRST_FUNDS_MINOR])?;
                for person in people::all() {
                    tx.execute("INSERT INTO person VALUES (?1, ?2)", [person, people::first_funds(person)])?;
                }
            }
            VERSION => {}
            other => return Err(SandboxError::Version(other)),
        }
        Ok(VERSION)
    })
}

/// How far a trade is. One that is paid and went back in full reads as closed to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A way was opened, and nobody came yet: to a query it is not there.
    Open,
    /// Its payer has to agree.
    Waiting,
    Paid,
    Closed,
}

impl State {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Open, "open"), (Self::Waiting, "waiting"), (Self::Paid, "paid"), (Self::Closed, "closed")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).expect("each has a word").1
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }
}

/// A trade.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    pub(super) row: i64,
    pub(super) out_trade_no: String,
    pub(super) code: String,
    pub(super) call: Call,
    pub(super) amount_minor: i64,
    pub(super) subject: String,
    pub(super) state: State,
    pub(super) person: Option<i64>,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
    pub(super) paid_ms: Option<i64>,
    pub(super) returned_minor: i64,
    pub(super) certificates: bool,
    pub(super) notify_url: String,
    pub(super) return_url: String,
}

impl Trade {
    /// Its own number for it.
    pub(super) fn trade_no(&self) -> String {
        let day: String =
            moment(Timestamp(self.created_ms))[..10].chars().filter(char::is_ascii_digit).collect();
        format!("{day}220014{:014}", self.row)
    }

    /// `trade_status`, if it is there to others.
    pub(super) fn status(&self) -> Option<&'static str> {
        match self.state {
            State::Open => None,
            State::Waiting => Some("WAIT_BUYER_PAY"),
            State::Paid if self.returned_minor == self.amount_minor => Some("TRADE_CLOSED"),
            State::Paid => Some("TRADE_SUCCESS"),
            State::Closed => Some("TRADE_CLOSED"),
        }
    }
}

const TRADE: &str =
    "SELECT trade, out_trade_no, code, call, amount_minor, subject, state, person, created_ms, expires_ms,
                            paid_ms, returned_minor, certificates, notify_url, return_url FROM trade";

fn read_trade(row: &Row<'_>) -> rusqlite::Result<Option<Trade>> {
    let (call, state): (String, String) = (row.get(3)?, row.get(6)?);
    let call = Call::ALL.into_iter().find(|known| known.name() == call);
    let (Some(call), Some(state)) = (call, State::read(&state)) else { return Ok(None) };
    Ok(Some(Trade {
        row: row.get(0)?,
        out_trade_no: row.get(1)?,
        code: row.get(2)?,
        call,
        amount_minor: row.get(4)?,
        subject: row.get(5)?,
        state,
        person: row.get(7)?,
        created_ms: row.get(8)?,
        expires_ms: row.get(9)?,
        paid_ms: row.get(10)?,
        returned_minor: row.get(11)?,
        certificates: row.get(12)?,
        notify_url: row.get(13)?,
        return_url: row.get(14)?,
    }))
}

/// The trades that `which` says, at most `most`.
pub(super) fn trades(
    tx: &Transaction<'_>,
    which: &'static str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Trade>, SandboxError> {
    let mut statement = tx.prepare_cached(&format!("{TRADE} WHERE {which}"))?;
    let rows = statement.query_map(parameters, read_trade)?;
    rows.map(|row| row?.ok_or(SandboxError::Corrupt("trade.state"))).collect()
}

/// The trade of a number of the merchant's. One whose time is over is closed by now.
pub(super) fn trade(
    tx: &Transaction<'_>,
    now_ms: i64,
    out_trade_no: &str,
) -> Result<Option<Trade>, SandboxError> {
    found(tx, now_ms, "out_trade_no = ?1", out_trade_no)
}

/// The trade whose page has this code.
pub(super) fn trade_of_code(
    tx: &Transaction<'_>,
    now_ms: i64,
    code: &str,
) -> Result<Option<Trade>, SandboxError> {
    found(tx, now_ms, "code = ?1", code)
}

/// The trade of its own number.
pub(super) fn trade_of_no(
    tx: &Transaction<'_>,
    now_ms: i64,
    trade_no: &str,
) -> Result<Option<Trade>, SandboxError> {
    let row: Option<i64> = trade_no.get(14..).and_then(|digits| digits.parse().ok());
    let Some(row) = row else { return Ok(None) };
    let trade = found(tx, now_ms, "trade = ?1", row)?;
    Ok(trade.filter(|trade| trade.trade_no() == trade_no))
}

fn found(
    tx: &Transaction<'_>,
    now_ms: i64,
    which: &'static str,
    value: impl rusqlite::ToSql,
) -> Result<Option<Trade>, SandboxError> {
    let Some(mut trade) = trades(tx, which, &[&value])?.pop() else { return Ok(None) };
    if trade.state == State::Waiting && trade.expires_ms <= now_ms {
        trade.state = State::Closed;
        set_state(tx, &trade)?;
    }
    Ok(Some(trade))
}

/// Writes a new trade down.
pub(super) fn insert(tx: &Transaction<'_>, new: &Trade) -> Result<(), SandboxError> {
    tx.prepare_cached(
        "INSERT INTO trade (out_trade_no, code, call, amount_minor, subject, state, person, created_ms, expires_ms, paid_ms,
         returned_minor, certificates, notify_url, return_url)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        new.out_trade_no,
        new.code,
        new.call.name(),
        new.amount_minor,
        new.subject,
        new.state.word(),
        new.person,
        new.created_ms,
        new.expires_ms,
        new.paid_ms,
        new.returned_minor,
        new.certificates,
        new.notify_url,
        new.return_url,
    ])?;
    Ok(())
}

/// Writes down how far a trade is, and whose it is.
pub(super) fn set_state(tx: &Transaction<'_>, trade: &Trade) -> Result<(), SandboxError> {
    tx.prepare_cached(
        "UPDATE trade SET state = ?2, person = ?3, paid_ms = ?4, returned_minor = ?5 WHERE trade = ?1",
    )?
    .execute(params![
        trade.row,
        trade.state.word(),
        trade.person,
        trade.paid_ms,
        trade.returned_minor
    ])?;
    Ok(())
}

/// What a person has.
pub(super) fn funds(tx: &Transaction<'_>, person: i64) -> Result<i64, SandboxError> {
    let mut read = tx.prepare_cached("SELECT available_minor FROM person WHERE person = ?1")?;
    Ok(read.query_row([person], |row| row.get(0))?)
}

/// What the merchant's account has.
pub(super) fn account(tx: &Transaction<'_>) -> Result<i64, SandboxError> {
    Ok(tx.query_row("SELECT available_minor FROM account", [], |row| row.get(0))?)
}

/// Moves money from a person to the merchant, or back if it is below zero.
pub(super) fn pay(tx: &Transaction<'_>, person: i64, minor: i64) -> Result<(), SandboxError> {
    tx.prepare_cached("UPDATE person SET available_minor = available_minor - ?2 WHERE person = ?1")?
        .execute([person, minor])?;
    tx.prepare_cached("UPDATE account SET available_minor = available_minor + ?1")?.execute([minor])?;
    Ok(())
}

/// How much of a trade a refund of this number gave back.
pub(super) fn refunded(
    tx: &Transaction<'_>,
    trade: i64,
    out_request_no: &str,
) -> Result<Option<(i64, i64)>, SandboxError> {
    Ok(tx
        .prepare_cached("SELECT amount_minor, at_ms FROM refund WHERE trade = ?1 AND out_request_no = ?2")?
        .query_row(params![trade, out_request_no], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// A payout.
#[derive(Clone, Debug)]
pub(super) struct Payout {
    pub(super) row: i64,
    pub(super) out_biz_no: String,
    pub(super) person: i64,
    pub(super) amount_minor: i64,
    pub(super) title: String,
    pub(super) at_ms: i64,
    pub(super) decided_ms: i64,
}

impl Payout {
    /// Its own number for it.
    pub(super) fn order_id(&self) -> String {
        let day: String = moment(Timestamp(self.at_ms))[..10].chars().filter(char::is_ascii_digit).collect();
        format!("{day}110070{:014}", self.row)
    }
}

/// The payouts that `which` says.
pub(super) fn payouts(
    tx: &Transaction<'_>,
    which: &'static str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Payout>, SandboxError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT payout, out_biz_no, person, amount_minor, title, at_ms, decided_ms FROM payout WHERE {which}"
    ))?;
    let rows = statement.query_map(parameters, |row| {
        Ok(Payout {
            row: row.get(0)?,
            out_biz_no: row.get(1)?,
            person: row.get(2)?,
            amount_minor: row.get(3)?,
            title: row.get(4)?,
            at_ms: row.get(5)?,
            decided_ms: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The merchant's number: of a refund, that of the refund.
    pub number: String,
    /// What it was: `pay`, `refund`, `pay_out`.
    pub kind: String,
    /// How much, in fen.
    pub amount_minor: i64,
}

/// All money that moved, oldest first.
pub(super) fn movements(tx: &Transaction<'_>) -> Result<Vec<Movement>, SandboxError> {
    let mut statement = tx.prepare_cached(
        "SELECT out_trade_no, 'pay', amount_minor, paid_ms AS at FROM trade WHERE state = 'paid'
         UNION ALL SELECT out_request_no, 'refund', amount_minor, at_ms FROM refund
         UNION ALL SELECT out_biz_no, 'pay_out', amount_minor, at_ms FROM payout ORDER BY 4, 1",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Movement { number: row.get(0)?, kind: row.get(1)?, amount_minor: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether the books agree with themselves: what everybody has with what moved, and what came back of each trade with its
/// refunds.
pub(super) fn books_agree(tx: &Transaction<'_>) -> Result<bool, SandboxError> {
    let wrong: i64 = tx.query_row(
        "SELECT count(*) FROM trade t WHERE returned_minor <>
           (SELECT coalesce(sum(amount_minor), 0) FROM refund r WHERE r.trade = t.trade)",
        [],
        |row| row.get(0),
    )?;
    let mut right = wrong == 0;
    let mut all = 0;
    for person in people::all() {
        let moved: i64 = tx.query_row(
            "SELECT (SELECT coalesce(sum(returned_minor - amount_minor), 0) FROM trade WHERE state = 'paid' AND person = ?1)
                  + (SELECT coalesce(sum(amount_minor), 0) FROM payout WHERE person = ?1)",
            [person],
            |row| row.get(0),
        )?;
        right &= funds(tx, person)? == people::first_funds(person) + moved;
        all += moved;
    }
    Ok(right && account(tx)? == FIRST_FUNDS_MINOR - all)
}
