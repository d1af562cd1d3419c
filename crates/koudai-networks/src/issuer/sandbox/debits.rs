//! What the sandbox bank decides about money: debits, their closing, and refunds.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::bindings::card_of_token;
use super::cards::Behaviour;
use super::store::{self, BankError, Posting};
use super::{Bank, Decision, Refused};
use crate::issuer::wire::{DebitReply, DebitRequest, IssuerCode, Outcome, RefundReply, RefundRequest, id_ok};

/// The most one debit or payout may be: ¥50,000.00.
pub(super) const MAX_DEBIT_MINOR: i64 = 5_000_000;
/// The one currency of this bank.
pub(super) const CURRENCY: &str = "CNY";

/// A debit's row.
struct Row {
    reply: DebitReply,
    content: Option<Vec<u8>>,
    card_no: Option<i64>,
    amount_minor: i64,
    refunded_minor: i64,
}

/// Takes the money, or records why not. The behaviour is that of the card, for whoever sends the answer.
pub(super) fn debit(
    tx: &Transaction<'_>,
    bank: &Bank,
    now_ms: i64,
    request: &DebitRequest,
) -> Decision<(DebitReply, Behaviour)> {
    let DebitRequest { debit_id, token, amount_minor, currency, description } = request;
    if !request.is_sound(CURRENCY) {
        return Ok(Err(Refused::because(IssuerCode::BadRequest)));
    }
    let amount = amount_minor.to_string();
    let content = bank.hasher.hash("debit", &[token.expose(), &amount, currency, description]);
    if let Some(row) = row(tx, debit_id)? {
        // Nothing is known of what a closed debit would have been, so any content gets the same answer.
        return Ok(match row.content {
            Some(known) if known != content => Err(Refused::because(IssuerCode::IdReused)),
            _ => Ok((row.reply, store::behaviour(row.card_no))),
        });
    }
    let card_no = card_of_token(tx, token)?;
    let refusal = match card_no {
        None => Some(IssuerCode::TokenUnknown),
        Some(no) => {
            let card = store::card(tx, no)?;
            if card.frozen {
                Some(IssuerCode::CardFrozen)
            } else if *amount_minor > MAX_DEBIT_MINOR {
                Some(IssuerCode::Limit)
            } else if *amount_minor > card.available_minor {
                Some(IssuerCode::InsufficientFunds)
            } else {
                store::post(tx, Posting::debit(debit_id, no, *amount_minor), now_ms)?;
                None
            }
        }
    };
    tx.prepare_cached(
        "INSERT INTO debit (debit_id, content, card_no, amount_minor, refunded_minor, currency, description, refusal, at_ms)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        debit_id,
        content,
        card_no,
        amount_minor,
        currency,
        description,
        refusal.map(IssuerCode::word),
        now_ms
    ])?;
    let reply = debit_reply(debit_id, tx.last_insert_rowid(), refusal, now_ms);
    Ok(Ok((reply, store::behaviour(card_no))))
}

/// How a debit ended.
pub(super) fn query_debit(tx: &Transaction<'_>, debit_id: &str) -> Decision<DebitReply> {
    Ok(row(tx, debit_id)?.map(|row| row.reply).ok_or(Refused::because(IssuerCode::NotFound)))
}

/// Makes sure a debit that has not arrived never will succeed.
pub(super) fn close_debit(tx: &Transaction<'_>, now_ms: i64, debit_id: &str) -> Decision<DebitReply> {
    if !id_ok(debit_id) {
        return Ok(Err(Refused::because(IssuerCode::BadRequest)));
    }
    if let Some(row) = row(tx, debit_id)? {
        return Ok(Ok(row.reply));
    }
    tx.prepare_cached(
        "INSERT INTO debit (debit_id, content, card_no, amount_minor, refunded_minor, currency, description, refusal, at_ms)
         VALUES (?1, NULL, NULL, 0, 0, ?2, '', ?3, ?4)",
    )?
    .execute(params![debit_id, CURRENCY, IssuerCode::Closed.word(), now_ms])?;
    Ok(Ok(debit_reply(debit_id, tx.last_insert_rowid(), Some(IssuerCode::Closed), now_ms)))
}

/// How the bank answers a refund's request.
pub(super) struct RefundDone {
    pub(super) reply: RefundReply,
    pub(super) behaviour: Behaviour,
    /// The first request with this id.
    pub(super) first: bool,
}

/// Gives money back, never more than was taken. Works on after unbinding and on a frozen card: it is the holder's money.
pub(super) fn refund(tx: &Transaction<'_>, now_ms: i64, request: &RefundRequest) -> Decision<RefundDone> {
    let RefundRequest { refund_id, debit_id, amount_minor, .. } = request;
    if !request.is_sound(CURRENCY) {
        return Ok(Err(Refused::because(IssuerCode::BadRequest)));
    }
    let debit = row(tx, debit_id)?;
    let behaviour = store::behaviour(debit.as_ref().and_then(|debit| debit.card_no));
    if let Some((reply, amount)) = refund_row(tx, refund_id)? {
        let same = reply.debit_id == *debit_id && amount == *amount_minor;
        return Ok(if same {
            Ok(RefundDone { reply, behaviour, first: false })
        } else {
            Err(Refused::because(IssuerCode::IdReused))
        });
    }
    let paid = debit.filter(|debit| debit.reply.outcome == Outcome::Succeeded);
    let Some(debit) = paid else { return Ok(Err(Refused::because(IssuerCode::NotFound))) };
    let card_no = debit.card_no.ok_or(BankError::Corrupt("debit.card_no"))?;
    let refusal = if *amount_minor > debit.amount_minor - debit.refunded_minor {
        Some(IssuerCode::Limit)
    } else {
        tx.prepare_cached("UPDATE debit SET refunded_minor = refunded_minor + ?2 WHERE debit_id = ?1")?
            .execute(params![debit_id, amount_minor])?;
        store::post(tx, Posting::refund(refund_id, card_no, *amount_minor), now_ms)?;
        None
    };
    tx.prepare_cached(
        "INSERT INTO refund (refund_id, debit_id, amount_minor, refusal, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![refund_id, debit_id, amount_minor, refusal.map(IssuerCode::word), now_ms])?;
    let reply = refund_reply(refund_id, debit_id, tx.last_insert_rowid(), refusal, now_ms);
    Ok(Ok(RefundDone { reply, behaviour, first: true }))
}

/// How a refund ended.
pub(super) fn query_refund(tx: &Transaction<'_>, refund_id: &str) -> Decision<RefundReply> {
    Ok(refund_row(tx, refund_id)?.map(|(reply, _)| reply).ok_or(Refused::because(IssuerCode::NotFound)))
}

fn row(tx: &Transaction<'_>, debit_id: &str) -> Result<Option<Row>, BankError> {
    let found = tx
        .prepare_cached(
            "SELECT debit_no, refusal, at_ms, content, card_no, amount_minor, refunded_minor
             FROM debit WHERE debit_id = ?1",
        )?
        .query_row([debit_id], |row| {
            let head: (i64, Option<String>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((head, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })
        .optional()?;
    let Some(((no, refusal, at_ms), content, card_no, amount_minor, refunded_minor)) = found else {
        return Ok(None);
    };
    let reply = debit_reply(debit_id, no, store::refusal(refusal)?, at_ms);
    Ok(Some(Row { reply, content, card_no, amount_minor, refunded_minor }))
}

fn refund_row(tx: &Transaction<'_>, refund_id: &str) -> Result<Option<(RefundReply, i64)>, BankError> {
    let found: Option<(i64, String, i64, Option<String>, i64)> = tx
        .prepare_cached(
            "SELECT refund_no, debit_id, amount_minor, refusal, at_ms FROM refund WHERE refund_id = ?1",
        )?
        .query_row([refund_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((no, debit_id, amount_minor, refusal, at_ms)) = found else { return Ok(None) };
    let reply = refund_reply(refund_id, &debit_id, no, store::refusal(refusal)?, at_ms);
    Ok(Some((reply, amount_minor)))
}

pub(super) fn outcome(refusal: Option<IssuerCode>) -> Outcome {
    refusal.map_or(Outcome::Succeeded, |code| Outcome::Refused { code })
}

fn debit_reply(debit_id: &str, no: i64, refusal: Option<IssuerCode>, at_ms: i64) -> DebitReply {
    let bank_ref = format!("SBD{no:012}");
    DebitReply { debit_id: debit_id.to_owned(), outcome: outcome(refusal), bank_ref, at_ms }
}

fn refund_reply(
    refund_id: &str,
    debit_id: &str,
    no: i64,
    refusal: Option<IssuerCode>,
    at_ms: i64,
) -> RefundReply {
    RefundReply {
        refund_id: refund_id.to_owned(),
        debit_id: debit_id.to_owned(),
        outcome: outcome(refusal),
        bank_ref: format!("SBR{no:012}"),
        at_ms,
    }
}
