//! The sandbox bank's own file: what it knows, and books in double entry.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::cards::{Behaviour, TestCard, test_card, test_cards};
use crate::issuer::wire::{BookKind, BookLine, IssuerCode};
pub(super) use crate::sandbox::SandboxError as BankError;
use crate::sandbox::file::{self, Hasher};

/// The version of the tables below.
const VERSION: i64 = 2;
/// The operator's account: debits end here, refunds and payouts come from here.
const SETTLEMENT: i64 = 100_000;
/// Where the opening balances come from: the bank's own money.
const OWN_FUNDS: i64 = 100_001;

const SCHEMA: &str = "
CREATE TABLE card (
    card_no     INTEGER NOT NULL PRIMARY KEY,
    number      TEXT    NOT NULL UNIQUE,
    limit_minor INTEGER NOT NULL CHECK (limit_minor >= 0),               -- what the bank lends; 0 for debit
    frozen      INTEGER NOT NULL CHECK (frozen IN (0, 1))
) STRICT;

-- Either way money may run, so two totals that only rise. A card's account has its card's number.
CREATE TABLE account (
    account_no    INTEGER NOT NULL PRIMARY KEY,
    debits_minor  INTEGER NOT NULL CHECK (debits_minor >= 0),
    credits_minor INTEGER NOT NULL CHECK (credits_minor >= 0)
) STRICT;

CREATE TABLE binding (
    binding_id      TEXT    NOT NULL PRIMARY KEY,
    content         BLOB    NOT NULL,              -- keyed hash of what was asked, without expiry and CVV
    card_no         INTEGER REFERENCES card,       -- NULL when refused
    refusal         TEXT,                          -- NULL unless refused
    code_hash       BLOB,                          -- keyed; NULL once used
    code_expires_ms INTEGER NOT NULL,
    tries_left      INTEGER NOT NULL CHECK (tries_left >= 0),
    codes_sent      INTEGER NOT NULL,
    code_sent_ms    INTEGER NOT NULL,
    CHECK ((card_no IS NULL) <> (refusal IS NULL))
) STRICT;

CREATE TABLE token (
    token      TEXT    NOT NULL PRIMARY KEY,
    binding_id TEXT    NOT NULL UNIQUE REFERENCES binding,
    card_no    INTEGER NOT NULL REFERENCES card,
    bound_ms   INTEGER NOT NULL,
    unbound_ms INTEGER
) STRICT;

CREATE TABLE debit (
    debit_no       INTEGER NOT NULL PRIMARY KEY,
    debit_id       TEXT    NOT NULL UNIQUE,
    content        BLOB,                           -- keyed hash of what was asked; NULL if closed before it came
    card_no        INTEGER REFERENCES card,        -- NULL if the token was unknown
    amount_minor   INTEGER NOT NULL,
    refunded_minor INTEGER NOT NULL CHECK (refunded_minor BETWEEN 0 AND amount_minor),
    currency       TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    refusal        TEXT,                           -- NULL: succeeded
    at_ms          INTEGER NOT NULL
) STRICT;

CREATE TABLE refund (
    refund_no    INTEGER NOT NULL PRIMARY KEY,
    refund_id    TEXT    NOT NULL UNIQUE,
    debit_id     TEXT    NOT NULL REFERENCES debit (debit_id),
    amount_minor INTEGER NOT NULL,
    refusal      TEXT,                             -- NULL: succeeded
    at_ms        INTEGER NOT NULL
) STRICT;
";

const JOURNAL: &str = "
CREATE TABLE journal (
    journal_no     INTEGER NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL CHECK (kind IN ('opening', 'debit', 'refund', 'payout')),
    id             TEXT    NOT NULL,
    debit_account  INTEGER NOT NULL REFERENCES account,
    credit_account INTEGER NOT NULL REFERENCES account CHECK (credit_account <> debit_account),
    amount_minor   INTEGER NOT NULL CHECK (amount_minor > 0),
    at_ms          INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;
";

const PAYOUT: &str = "
CREATE TABLE payout (
    payout_no    INTEGER NOT NULL PRIMARY KEY,
    payout_id    TEXT    NOT NULL UNIQUE,
    content      BLOB,                             -- keyed hash of what was asked; NULL if closed before it came
    card_no      INTEGER REFERENCES card,          -- NULL if the token was unknown
    amount_minor INTEGER NOT NULL,
    refusal      TEXT,                             -- NULL: succeeded
    at_ms        INTEGER NOT NULL
) STRICT;
";

/// A card as the bank keeps it, with what is printed on it.
pub(super) struct Card {
    pub(super) printed: &'static TestCard,
    pub(super) frozen: bool,
    /// What it can be debited for right now.
    pub(super) available_minor: i64,
}

/// Opens or creates the bank in `dir`. Another process with the same directory is refused.
pub(super) fn open(dir: &Path, now_ms: i64) -> Result<(Connection, Hasher), BankError> {
    file::open(dir, "bank", |tx, stands| {
        match stands {
            0 => {
                tx.execute_batch(&format!("{SCHEMA}{JOURNAL}{PAYOUT}"))?;
                seed(tx, now_ms)?;
            }
            // Before there were payouts.
            1 => tx.execute_batch(&format!(
                "ALTER TABLE journal RENAME TO journal_before; {JOURNAL}
                 INSERT INTO journal SELECT * FROM journal_before; DROP TABLE journal_before; {PAYOUT}"
            ))?,
            VERSION => {}
            other => return Err(BankError::Version(other)),
        }
        Ok(VERSION)
    })
}

fn seed(tx: &Transaction<'_>, now_ms: i64) -> Result<(), BankError> {
    let account = |no: i64| tx.execute("INSERT INTO account VALUES (?1, 0, 0)", [no]);
    account(SETTLEMENT)?;
    account(OWN_FUNDS)?;
    for card in test_cards() {
        let no = i64::from(card.no);
        // A credit card has a limit to lend against, a debit card has money.
        let limit_minor = if card.expiry.is_some() { card.funds_minor } else { 0 };
        tx.execute(
            "INSERT INTO card VALUES (?1, ?2, ?3, ?4)",
            params![no, card.number, limit_minor, card.frozen],
        )?;
        account(no)?;
        if limit_minor == 0 && card.funds_minor > 0 {
            let id = format!("card {no}");
            post(
                tx,
                Posting {
                    kind: "opening",
                    id: &id,
                    debit: OWN_FUNDS,
                    credit: no,
                    amount_minor: card.funds_minor,
                },
                now_ms,
            )?;
        }
    }
    Ok(())
}

/// One movement of money, both ends at once.
#[derive(Clone, Copy)]
pub(super) struct Posting<'a> {
    kind: &'static str,
    id: &'a str,
    debit: i64,
    credit: i64,
    /// Above zero.
    amount_minor: i64,
}

impl<'a> Posting<'a> {
    /// Takes money from a card.
    pub(super) fn debit(id: &'a str, card_no: i64, amount_minor: i64) -> Self {
        Self { kind: "debit", id, debit: card_no, credit: SETTLEMENT, amount_minor }
    }

    /// Gives money back to a card.
    pub(super) fn refund(id: &'a str, card_no: i64, amount_minor: i64) -> Self {
        Self { kind: "refund", id, debit: SETTLEMENT, credit: card_no, amount_minor }
    }

    /// Pays the operator's money out to a card.
    pub(super) fn payout(id: &'a str, card_no: i64, amount_minor: i64) -> Self {
        Self { kind: "payout", id, debit: SETTLEMENT, credit: card_no, amount_minor }
    }
}

/// Writes a movement to the journal and to both accounts.
pub(super) fn post(tx: &Transaction<'_>, posting: Posting<'_>, at_ms: i64) -> Result<(), BankError> {
    let Posting { kind, id, debit, credit, amount_minor } = posting;
    tx.prepare_cached(
        "INSERT INTO journal (kind, id, debit_account, credit_account, amount_minor, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![kind, id, debit, credit, amount_minor, at_ms])?;
    tx.prepare_cached("UPDATE account SET debits_minor = debits_minor + ?2 WHERE account_no = ?1")?
        .execute([debit, amount_minor])?;
    tx.prepare_cached("UPDATE account SET credits_minor = credits_minor + ?2 WHERE account_no = ?1")?
        .execute([credit, amount_minor])?;
    Ok(())
}

/// What the operator has at the bank, in fen. Refunds may take it below zero, payouts may not.
pub(super) fn operators_money(tx: &Transaction<'_>) -> Result<i64, BankError> {
    Ok(tx
        .prepare_cached("SELECT credits_minor - debits_minor FROM account WHERE account_no = ?1")?
        .query_row([SETTLEMENT], |row| row.get(0))?)
}

const CARD: &str = "SELECT card_no, frozen, limit_minor + credits_minor - debits_minor
                    FROM card JOIN account ON account_no = card_no";

fn card_of(row: (i64, bool, i64)) -> Result<Card, BankError> {
    let (no, frozen, available_minor) = row;
    let printed = u16::try_from(no).ok().and_then(test_card).ok_or(BankError::Corrupt("card.card_no"))?;
    Ok(Card { printed, frozen, available_minor })
}

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, bool, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// The card with this number on it.
pub(super) fn card_by_number(tx: &Transaction<'_>, number: &str) -> Result<Option<Card>, BankError> {
    let row =
        tx.prepare_cached(&format!("{CARD} WHERE number = ?1"))?.query_row([number], columns).optional()?;
    row.map(card_of).transpose()
}

/// The card the bank counts as `no`.
pub(super) fn card(tx: &Transaction<'_>, no: i64) -> Result<Card, BankError> {
    card_of(tx.prepare_cached(&format!("{CARD} WHERE card_no = ?1"))?.query_row([no], columns)?)
}

/// Every card, in the order of their numbers.
pub(super) fn all_cards(tx: &Transaction<'_>) -> Result<Vec<Card>, BankError> {
    let mut statement = tx.prepare_cached(&format!("{CARD} ORDER BY card_no"))?;
    statement.query_map([], columns)?.map(|row| card_of(row?)).collect()
}

/// Freezes a card or lets it go again. False if there is none.
pub(super) fn set_frozen(tx: &Transaction<'_>, no: u16, frozen: bool) -> Result<bool, BankError> {
    Ok(tx.execute("UPDATE card SET frozen = ?2 WHERE card_no = ?1", params![i64::from(no), frozen])? > 0)
}

/// What a card does besides moving money.
pub(super) fn behaviour(no: Option<i64>) -> Behaviour {
    let card = no.and_then(|no| u16::try_from(no).ok()).and_then(test_card);
    card.map_or(Behaviour::Plain, |card| card.behaviour)
}

/// A stored code of refusal.
pub(super) fn refusal(word: Option<String>) -> Result<Option<IssuerCode>, BankError> {
    word.map(|word| IssuerCode::from_word(&word).ok_or(BankError::Corrupt("refusal"))).transpose()
}

/// Lines of money that moved behind line `after`, oldest first.
pub(super) fn book_lines(tx: &Transaction<'_>, after: i64, at_most: u32) -> Result<Vec<BookLine>, BankError> {
    lines(tx, "journal_no > ?1 ORDER BY journal_no", after, at_most)
}

/// The newest lines of money that moved, newest first.
pub(super) fn newest_lines(tx: &Transaction<'_>, at_most: u32) -> Result<Vec<BookLine>, BankError> {
    lines(tx, "journal_no > ?1 ORDER BY journal_no DESC", 0, at_most)
}

fn lines(
    tx: &Transaction<'_>,
    which: &'static str,
    after: i64,
    at_most: u32,
) -> Result<Vec<BookLine>, BankError> {
    let sql = format!(
        "SELECT journal_no, kind, id, amount_minor, at_ms FROM journal WHERE kind <> 'opening' AND {which} LIMIT ?2"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, at_most], |row| {
        Ok(BookLine {
            no: row.get(0)?,
            kind: match row.get_ref(1)?.as_str()? {
                "debit" => BookKind::Debit,
                "refund" => BookKind::Refund,
                _ => BookKind::Payout,
            },
            id: row.get(2)?,
            amount_minor: row.get(3)?,
            at_ms: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether the books agree with themselves: each account's totals with its journals, no card below what it may be,
/// each debit's refunds with its mark, and every success with its journal.
pub(super) fn books_agree(tx: &Transaction<'_>) -> Result<bool, BankError> {
    let wrong: i64 = tx.query_row(
        "SELECT
           (SELECT count(*) FROM account a WHERE
              debits_minor <> (SELECT coalesce(sum(amount_minor), 0) FROM journal WHERE debit_account = a.account_no)
              OR credits_minor <> (SELECT coalesce(sum(amount_minor), 0) FROM journal WHERE credit_account = a.account_no))
         + (SELECT count(*) FROM card JOIN account ON account_no = card_no WHERE limit_minor + credits_minor < debits_minor)
         + (SELECT count(*) FROM debit d WHERE refunded_minor <>
              (SELECT coalesce(sum(amount_minor), 0) FROM refund r WHERE r.debit_id = d.debit_id AND r.refusal IS NULL))
         + (SELECT count(*) FROM debit d WHERE (refusal IS NULL) <> EXISTS
              (SELECT 1 FROM journal j WHERE j.kind = 'debit' AND j.id = d.debit_id AND j.amount_minor = d.amount_minor))
         + (SELECT count(*) FROM refund r WHERE (refusal IS NULL) <> EXISTS
              (SELECT 1 FROM journal j WHERE j.kind = 'refund' AND j.id = r.refund_id AND j.amount_minor = r.amount_minor))
         + (SELECT count(*) FROM payout p WHERE (refusal IS NULL) <> EXISTS
              (SELECT 1 FROM journal j WHERE j.kind = 'payout' AND j.id = p.payout_id AND j.amount_minor = p.amount_minor))",
        [],
        |row| row.get(0),
    )?;
    Ok(wrong == 0)
}
