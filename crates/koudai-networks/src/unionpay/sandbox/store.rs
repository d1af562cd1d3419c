//! Its own file: the cards with what is on them, those that were opened, and every transaction.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::cards::{TestCard, test_card, test_cards};
use crate::sandbox::SandboxError;
use crate::sandbox::file::{self, Hasher};
use crate::unionpay::wire::Call;

/// The version of the tables below.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE card (
    card_no         INTEGER NOT NULL PRIMARY KEY,
    number          TEXT    NOT NULL UNIQUE,
    available_minor INTEGER NOT NULL CHECK (available_minor >= 0)
) STRICT;

-- A card on its way to be opened, and the code sent for it.
CREATE TABLE opening (
    order_id        TEXT    NOT NULL PRIMARY KEY,
    txn_time        TEXT    NOT NULL,
    card_no         INTEGER NOT NULL REFERENCES card,
    code_hash       BLOB,                          -- keyed; NULL once used
    code_expires_ms INTEGER NOT NULL,
    tries_left      INTEGER NOT NULL CHECK (tries_left >= 0),
    codes_sent      INTEGER NOT NULL,
    code_sent_ms    INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
    token      TEXT    NOT NULL PRIMARY KEY,
    order_id   TEXT    NOT NULL UNIQUE REFERENCES opening,
    card_no    INTEGER NOT NULL REFERENCES card,
    opened_ms  INTEGER NOT NULL,
    deleted_ms INTEGER
) STRICT;

CREATE TABLE trans (
    query_no         INTEGER NOT NULL PRIMARY KEY,
    order_id         TEXT    NOT NULL,
    txn_time         TEXT    NOT NULL,
    call             TEXT    NOT NULL CHECK (call IN ('pay', 'void', 'refund', 'pay_out')),
    card_no          INTEGER REFERENCES card,      -- NULL if the token or the original was unknown
    original         INTEGER REFERENCES trans,     -- the payment a void or refund gives back
    amount_minor     INTEGER NOT NULL CHECK (amount_minor > 0),
    returned_minor   INTEGER NOT NULL CHECK (returned_minor BETWEEN 0 AND amount_minor),
    code             TEXT    NOT NULL,             -- how it went; 00 if it was done
    decided_ms       INTEGER NOT NULL,             -- before, it is under way
    clearing_day     INTEGER NOT NULL,
    notice_url       TEXT    NOT NULL,
    notices_left     INTEGER NOT NULL CHECK (notices_left >= 0),
    next_notice_ms   INTEGER NOT NULL,
    UNIQUE (order_id, txn_time)
) STRICT;
CREATE INDEX due_notice ON trans (next_notice_ms) WHERE notices_left > 0;
CREATE INDEX clearing ON trans (clearing_day);
";

/// Opens or creates the file in `dir`.
pub(super) fn open(dir: &Path) -> Result<(Connection, Hasher), SandboxError> {
    file::open(dir, "unionpay", |tx, stands| {
        match stands {
            0 => {
                tx.execute_batch(SCHEMA)?;
                for card in test_cards() {
                    tx.execute(
                        "INSERT INTO card VALUES (?1, ?2, ?3)",
                        params![card.no, card.number, card.funds_minor],
                    )?;
                }
            }
            VERSION => {}
            other => return Err(SandboxError::Version(other)),
        }
        Ok(VERSION)
    })
}

/// A card as it is kept.
pub(super) struct Card {
    pub(super) printed: &'static TestCard,
    pub(super) available_minor: i64,
}

fn card_where(
    tx: &Transaction<'_>,
    which: &'static str,
    value: &dyn rusqlite::ToSql,
) -> Result<Option<Card>, SandboxError> {
    let sql = format!("SELECT card_no, available_minor FROM card WHERE {which} = ?1");
    let row = tx.prepare_cached(&sql)?.query_row([value], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((no, available_minor)) = row else { return Ok(None) };
    let printed = test_card(no).ok_or(SandboxError::Corrupt("card.card_no"))?;
    Ok(Some(Card { printed, available_minor }))
}

/// The card with this number on it.
pub(super) fn card_by_number(tx: &Transaction<'_>, number: &str) -> Result<Option<Card>, SandboxError> {
    card_where(tx, "number", &number)
}

/// The card counted as `no`.
pub(super) fn card(tx: &Transaction<'_>, no: i64) -> Result<Card, SandboxError> {
    card_where(tx, "card_no", &no)?.ok_or(SandboxError::Corrupt("a card"))
}

/// Brings money to a card, or takes it if `by_minor` is below zero.
pub(super) fn change(tx: &Transaction<'_>, card_no: i64, by_minor: i64) -> Result<(), SandboxError> {
    tx.prepare_cached("UPDATE card SET available_minor = available_minor + ?2 WHERE card_no = ?1")?
        .execute([card_no, by_minor])?;
    Ok(())
}

/// A transaction.
pub(super) struct Trans {
    pub(super) query_no: i64,
    pub(super) order_id: String,
    pub(super) txn_time: String,
    pub(super) call: Call,
    pub(super) card_no: Option<i64>,
    pub(super) original: Option<i64>,
    pub(super) amount_minor: i64,
    pub(super) returned_minor: i64,
    pub(super) code: String,
    pub(super) decided_ms: i64,
    pub(super) clearing_day: i64,
    pub(super) notice_url: String,
}

impl Trans {
    /// The number it is asked about by whoever gives it back.
    pub(super) fn query_id(&self) -> String {
        format!("{}{:07}", self.txn_time, self.query_no)
    }
}

const TRANS: &str =
    "SELECT query_no, order_id, txn_time, call, card_no, original, amount_minor, returned_minor, code,
                     decided_ms, clearing_day, notice_url FROM trans";

fn read_trans(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Trans>> {
    let call: String = row.get(3)?;
    let Some(call) = Call::ALL.into_iter().find(|known| known.name() == call) else { return Ok(None) };
    Ok(Some(Trans {
        query_no: row.get(0)?,
        order_id: row.get(1)?,
        txn_time: row.get(2)?,
        call,
        card_no: row.get(4)?,
        original: row.get(5)?,
        amount_minor: row.get(6)?,
        returned_minor: row.get(7)?,
        code: row.get(8)?,
        decided_ms: row.get(9)?,
        clearing_day: row.get(10)?,
        notice_url: row.get(11)?,
    }))
}

/// The transactions that `which` says, at most `most`.
pub(super) fn transactions(
    tx: &Transaction<'_>,
    which: &'static str,
    value: i64,
    most: u32,
) -> Result<Vec<Trans>, SandboxError> {
    let mut statement = tx.prepare_cached(&format!("{TRANS} WHERE {which} LIMIT ?2"))?;
    let rows = statement.query_map(params![value, most], read_trans)?;
    rows.map(|row| row?.ok_or(SandboxError::Corrupt("trans.call"))).collect()
}

/// The transaction of a number and time.
pub(super) fn transaction(
    tx: &Transaction<'_>,
    order_id: &str,
    txn_time: &str,
) -> Result<Option<Trans>, SandboxError> {
    let found = tx
        .prepare_cached(&format!("{TRANS} WHERE order_id = ?1 AND txn_time = ?2"))?
        .query_row([order_id, txn_time], read_trans)
        .optional()?;
    Ok(found.flatten())
}

/// Writes a transaction down. Its number is given to it here.
pub(super) fn insert(tx: &Transaction<'_>, new: &Trans, notices: u32) -> Result<(), SandboxError> {
    tx.prepare_cached(
        "INSERT INTO trans (order_id, txn_time, call, card_no, original, amount_minor, returned_minor, code, decided_ms,
         clearing_day, notice_url, notices_left, next_notice_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11, ?8)",
    )?
    .execute(params![
        new.order_id,
        new.txn_time,
        new.call.name(),
        new.card_no,
        new.original,
        new.amount_minor,
        new.code,
        new.decided_ms,
        new.clearing_day,
        new.notice_url,
        notices
    ])?;
    Ok(())
}

/// Money that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The merchant's number.
    pub order_id: String,
    /// The call that did it: `pay`, `void`, `refund`, `pay_out`.
    pub call: String,
    /// How much, in fen.
    pub amount_minor: i64,
}

/// All money that moved, oldest first.
pub(super) fn movements(tx: &Transaction<'_>) -> Result<Vec<Movement>, SandboxError> {
    let mut statement = tx.prepare_cached(
        "SELECT order_id, call, amount_minor FROM trans WHERE code = '00' ORDER BY query_no",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Movement { order_id: row.get(0)?, call: row.get(1)?, amount_minor: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether the books agree with themselves: what is on each card with what moved, and what came back of each payment with
/// what was given back.
pub(super) fn books_agree(tx: &Transaction<'_>) -> Result<bool, SandboxError> {
    let wrong: i64 = tx.query_row(
        "SELECT count(*) FROM trans t WHERE returned_minor <>
           (SELECT coalesce(sum(amount_minor), 0) FROM trans r WHERE r.original = t.query_no AND r.code = '00')",
        [],
        |row| row.get(0),
    )?;
    let mut right = wrong == 0;
    for card in test_cards() {
        let (available, moved): (i64, i64) = tx.query_row(
            "SELECT available_minor,
                (SELECT coalesce(sum(iif(call = 'pay', -amount_minor, amount_minor)), 0) FROM trans t
                 WHERE t.card_no = c.card_no AND code = '00')
             FROM card c WHERE card_no = ?1",
            [card.no],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        right &= available == card.funds_minor + moved;
    }
    Ok(right)
}
