//! What the sandbox bank decides about money the operator pays out to its customers' cards.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::bindings::card_of_token;
use super::cards::Behaviour;
use super::debits::{CURRENCY, MAX_DEBIT_MINOR, outcome};
use super::store::{self, BankError, Posting};
use super::{Bank, Decision, Refused};
use crate::issuer::wire::{IssuerCode, PayoutReply, PayoutRequest, id_ok};

/// A payout's row.
struct Row {
    reply: PayoutReply,
    content: Option<Vec<u8>>,
    card_no: Option<i64>,
}

/// Pays the money out, or records why not. The behaviour is that of the card, for whoever sends the answer.
pub(super) fn pay_out(
    tx: &Transaction<'_>,
    bank: &Bank,
    now_ms: i64,
    request: &PayoutRequest,
) -> Decision<(PayoutReply, Behaviour)> {
    let PayoutRequest { payout_id, token, amount_minor, currency, description } = request;
    if !request.is_sound(CURRENCY) {
        return Ok(Err(Refused::because(IssuerCode::BadRequest)));
    }
    let amount = amount_minor.to_string();
    let content = bank.hasher.hash("payout", &[token.expose(), &amount, currency, description]);
    if let Some(row) = row(tx, payout_id)? {
        // Nothing is known of what a closed payout would have been, so any content gets the same answer.
        return Ok(match row.content {
            Some(known) if known != content => Err(Refused::because(IssuerCode::IdReused)),
            _ => Ok((row.reply, store::behaviour(row.card_no))),
        });
    }
    let card_no = card_of_token(tx, token)?;
    let refusal = match card_no {
        None => Some(IssuerCode::TokenUnknown),
        Some(no) if store::card(tx, no)?.frozen => Some(IssuerCode::CardFrozen),
        Some(_) if *amount_minor > MAX_DEBIT_MINOR => Some(IssuerCode::Limit),
        Some(_) if *amount_minor > store::operators_money(tx)? => Some(IssuerCode::NotCovered),
        Some(no) => {
            store::post(tx, Posting::payout(payout_id, no, *amount_minor), now_ms)?;
            None
        }
    };
    let reply = record(tx, payout_id, Some(&content), card_no, *amount_minor, refusal, now_ms)?;
    Ok(Ok((reply, store::behaviour(card_no))))
}

/// How a payout ended.
pub(super) fn query_pay_out(tx: &Transaction<'_>, payout_id: &str) -> Decision<PayoutReply> {
    Ok(row(tx, payout_id)?.map(|row| row.reply).ok_or(Refused::because(IssuerCode::NotFound)))
}

/// Makes sure a payout that has not arrived never will succeed.
pub(super) fn close_pay_out(tx: &Transaction<'_>, now_ms: i64, payout_id: &str) -> Decision<PayoutReply> {
    if !id_ok(payout_id) {
        return Ok(Err(Refused::because(IssuerCode::BadRequest)));
    }
    if let Some(row) = row(tx, payout_id)? {
        return Ok(Ok(row.reply));
    }
    record(tx, payout_id, None, None, 0, Some(IssuerCode::Closed), now_ms).map(Ok)
}

fn record(
    tx: &Transaction<'_>,
    payout_id: &str,
    content: Option<&[u8]>,
    card_no: Option<i64>,
    amount_minor: i64,
    refusal: Option<IssuerCode>,
    at_ms: i64,
) -> Result<PayoutReply, BankError> {
    tx.prepare_cached(
        "INSERT INTO payout (payout_id, content, card_no, amount_minor, refusal, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![payout_id, content, card_no, amount_minor, refusal.map(IssuerCode::word), at_ms])?;
    Ok(reply(payout_id, tx.last_insert_rowid(), refusal, at_ms))
}

fn row(tx: &Transaction<'_>, payout_id: &str) -> Result<Option<Row>, BankError> {
    let found = tx
        .prepare_cached(
            "SELECT payout_no, refusal, at_ms, content, card_no FROM payout WHERE payout_id = ?1",
        )?
        .query_row([payout_id], |row| {
            let head: (i64, Option<String>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((head, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some(((no, refusal, at_ms), content, card_no)) = found else { return Ok(None) };
    Ok(Some(Row { reply: reply(payout_id, no, store::refusal(refusal)?, at_ms), content, card_no }))
}

fn reply(payout_id: &str, no: i64, refusal: Option<IssuerCode>, at_ms: i64) -> PayoutReply {
    let bank_ref = format!("SBP{no:012}");
    PayoutReply { payout_id: payout_id.to_owned(), outcome: outcome(refusal), bank_ref, at_ms }
}
