//! What the sandbox bank decides about bindings: whose card it is, the code it sends, the token it gives.

use aws_lc_rs::constant_time;
use koudai_core::secret::Secret;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::cards::Behaviour;
use super::store::{self, BankError, Card};
use super::{Bank, Decision, Refused};
use crate::issuer::signing::random_text;
use crate::issuer::wire::{
    BindRequest, BindingReply, BindingState, CardFace, CardKind, IssuerCode, UnbindReply,
};
use crate::sandbox::file::Hasher;
use crate::sandbox::fresh_code;

/// Tries a code has before it is void.
const TRIES: u8 = 5;
/// Codes sent for one binding: the first and five more.
const MAX_CODES: i64 = 6;

/// A message to the holder, sent once its code is committed.
pub(super) struct CodeMessage {
    pub(super) to: String,
    pub(super) text: Secret<String>,
}

/// A binding's row.
struct Row {
    content: Vec<u8>,
    card_no: Option<i64>,
    refusal: Option<IssuerCode>,
    code_hash: Option<Vec<u8>>,
    code_expires_ms: i64,
    tries_left: u8,
    codes_sent: i64,
    code_sent_ms: i64,
}

/// Checks the details and makes a code. A refusal is recorded, so that the same request gets it again.
pub(super) fn bind(
    tx: &Transaction<'_>,
    bank: &Bank,
    now_ms: i64,
    request: &BindRequest,
) -> Decision<(BindingReply, Option<CodeMessage>)> {
    let BindRequest { binding_id, card_number, name, id_number, phone, .. } = request;
    if !request.is_sound() {
        return Ok(Err(Refused::because(IssuerCode::BadRequest)));
    }
    // Expiry and CVV stay out of it: what is never stored can't be stored as a hash of a thousand choices either.
    let parts = [card_number.expose(), name.expose(), id_number.expose(), phone.expose()].map(String::as_str);
    let content = bank.hasher.hash("binding", &parts);
    if let Some(row) = row(tx, binding_id)? {
        if row.content != content {
            return Ok(Err(Refused::because(IssuerCode::IdReused)));
        }
        return Ok(match row.refusal {
            Some(code) => Err(Refused::because(code)),
            None => Ok((reply(tx, binding_id, &row)?, None)),
        });
    }
    let card = store::card_by_number(tx, card_number.expose())?;
    let card = match judge(card, request) {
        Ok(card) => card,
        Err(code) => {
            tx.prepare_cached("INSERT INTO binding VALUES (?1, ?2, NULL, ?3, NULL, 0, 0, 0, ?4)")?
                .execute(params![binding_id, content, code.word(), now_ms])?;
            return Ok(Err(Refused::because(code)));
        }
    };
    let (code, hash) = code_for(&bank.hasher, binding_id);
    let expires_ms = now_ms.saturating_add(bank.timing.code_life_ms);
    tx.prepare_cached("INSERT INTO binding VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6, 1, ?7)")?
        .execute(params![binding_id, content, i64::from(card.printed.no), hash, expires_ms, TRIES, now_ms])?;
    let message = message(bank, &card, &code);
    let state = BindingState::CodeSent(face(&card));
    Ok(Ok((BindingReply { binding_id: binding_id.clone(), state }, Some(message))))
}

/// Whether these are the card's details. A frozen card says so only to someone who knows the rest.
fn judge(card: Option<Card>, request: &BindRequest) -> Result<Card, IssuerCode> {
    let card = card.ok_or(IssuerCode::CardUnknown)?;
    let printed = &card.printed;
    let typed = |secret: &Option<Secret<String>>| secret.as_ref().map(|text| text.expose().clone());
    let holder = *request.name.expose() == printed.name
        && *request.id_number.expose() == printed.id_number
        && *request.phone.expose() == printed.phone
        && printed.behaviour != Behaviour::Mismatch;
    let back = printed.kind == CardKind::Debit
        || (typed(&request.expiry).as_deref() == printed.expiry
            && typed(&request.cvv).as_deref() == printed.cvv);
    if !holder || !back {
        return Err(IssuerCode::DetailsMismatch);
    }
    if card.frozen { Err(IssuerCode::CardFrozen) } else { Ok(card) }
}

/// Sends another code; the one before it is void.
pub(super) fn resend(
    tx: &Transaction<'_>,
    bank: &Bank,
    now_ms: i64,
    binding_id: &str,
) -> Decision<(BindingReply, Option<CodeMessage>)> {
    let Some(row) = row(tx, binding_id)? else { return Ok(Err(Refused::because(IssuerCode::NotFound))) };
    let present = reply(tx, binding_id, &row)?;
    match present.state {
        BindingState::Failed { code } => return Ok(Err(Refused::because(code))),
        BindingState::Bound { .. } => return Ok(Ok((present, None))),
        BindingState::CodeSent(_) => {}
    }
    if row.codes_sent >= MAX_CODES {
        return Ok(Err(Refused::because(IssuerCode::TooMany)));
    }
    if now_ms < row.code_sent_ms.saturating_add(bank.timing.resend_gap_ms) {
        return Ok(Err(Refused::because(IssuerCode::TooSoon)));
    }
    let card = card_of(tx, &row)?;
    let (code, hash) = code_for(&bank.hasher, binding_id);
    tx.prepare_cached(
        "UPDATE binding SET code_hash = ?2, code_expires_ms = ?3, tries_left = ?4, codes_sent = codes_sent + 1,
         code_sent_ms = ?5 WHERE binding_id = ?1",
    )?
    .execute(params![binding_id, hash, now_ms.saturating_add(bank.timing.code_life_ms), TRIES, now_ms])?;
    Ok(Ok((present, Some(message(bank, &card, &code)))))
}

/// Compares the code the holder typed. A wrong one is counted before the answer leaves.
pub(super) fn confirm(
    tx: &Transaction<'_>,
    bank: &Bank,
    now_ms: i64,
    binding_id: &str,
    code: &Secret<String>,
) -> Decision<BindingReply> {
    let Some(row) = row(tx, binding_id)? else { return Ok(Err(Refused::because(IssuerCode::NotFound))) };
    let present = reply(tx, binding_id, &row)?;
    match present.state {
        BindingState::Failed { code } => return Ok(Err(Refused::because(code))),
        BindingState::Bound { .. } => return Ok(Ok(present)),
        BindingState::CodeSent(_) => {}
    }
    let live = row.code_hash.as_ref().filter(|_| now_ms < row.code_expires_ms && row.tries_left > 0);
    let Some(expected) = live else { return Ok(Err(Refused::because(IssuerCode::CodeExpired))) };
    let given = bank.hasher.hash("code", &[binding_id, code.expose()]);
    if constant_time::verify_slices_are_equal(&given, expected).is_err() {
        let tries_left = row.tries_left - 1;
        tx.prepare_cached("UPDATE binding SET tries_left = ?2 WHERE binding_id = ?1")?
            .execute(params![binding_id, tries_left])?;
        return Ok(Err(Refused { code: IssuerCode::CodeWrong, tries_left: Some(tries_left) }));
    }
    let card = card_of(tx, &row)?;
    let token = random_text();
    tx.prepare_cached("UPDATE binding SET code_hash = NULL WHERE binding_id = ?1")?.execute([binding_id])?;
    tx.prepare_cached("INSERT INTO token VALUES (?1, ?2, ?3, ?4, NULL)")?.execute(params![
        token,
        binding_id,
        row.card_no,
        now_ms
    ])?;
    let state = BindingState::Bound { token: Secret::new(token), card: face(&card) };
    Ok(Ok(BindingReply { binding_id: binding_id.to_owned(), state }))
}

/// Where a binding stands.
pub(super) fn query(tx: &Transaction<'_>, binding_id: &str) -> Decision<BindingReply> {
    Ok(match row(tx, binding_id)? {
        Some(row) => Ok(reply(tx, binding_id, &row)?),
        None => Err(Refused::because(IssuerCode::NotFound)),
    })
}

/// Ends a token.
pub(super) fn unbind(tx: &Transaction<'_>, now_ms: i64, token: &Secret<String>) -> Decision<UnbindReply> {
    let known = tx
        .prepare_cached("UPDATE token SET unbound_ms = coalesce(unbound_ms, ?2) WHERE token = ?1")?
        .execute(params![token.expose(), now_ms])?;
    Ok(if known > 0 { Ok(UnbindReply::Unbound) } else { Err(Refused::because(IssuerCode::TokenUnknown)) })
}

/// The card a token debits; `None` if it is unknown or unbound.
pub(super) fn card_of_token(tx: &Transaction<'_>, token: &Secret<String>) -> Result<Option<i64>, BankError> {
    let found = tx
        .prepare_cached("SELECT card_no FROM token WHERE token = ?1 AND unbound_ms IS NULL")?
        .query_row([token.expose()], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn row(tx: &Transaction<'_>, binding_id: &str) -> Result<Option<Row>, BankError> {
    let found = tx
        .prepare_cached(
            "SELECT content, card_no, refusal, code_hash, code_expires_ms, tries_left, codes_sent, code_sent_ms
             FROM binding WHERE binding_id = ?1",
        )?
        .query_row([binding_id], |row| {
            let refusal: Option<String> = row.get(2)?;
            let binding = Row {
                content: row.get(0)?,
                card_no: row.get(1)?,
                refusal: None,
                code_hash: row.get(3)?,
                code_expires_ms: row.get(4)?,
                tries_left: row.get(5)?,
                codes_sent: row.get(6)?,
                code_sent_ms: row.get(7)?,
            };
            Ok((binding, refusal))
        })
        .optional()?;
    let Some((binding, refusal)) = found else { return Ok(None) };
    Ok(Some(Row { refusal: store::refusal(refusal)?, ..binding }))
}

fn reply(tx: &Transaction<'_>, binding_id: &str, row: &Row) -> Result<BindingReply, BankError> {
    let state = match row.refusal {
        Some(code) => BindingState::Failed { code },
        None => {
            let token: Option<(String, bool)> = tx
                .prepare_cached("SELECT token, unbound_ms IS NULL FROM token WHERE binding_id = ?1")?
                .query_row([binding_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match token {
                None => BindingState::CodeSent(face(&card_of(tx, row)?)),
                Some((token, true)) => {
                    BindingState::Bound { token: Secret::new(token), card: face(&card_of(tx, row)?) }
                }
                Some((_, false)) => BindingState::Failed { code: IssuerCode::TokenUnknown },
            }
        }
    };
    Ok(BindingReply { binding_id: binding_id.to_owned(), state })
}

fn card_of(tx: &Transaction<'_>, row: &Row) -> Result<Card, BankError> {
    store::card(tx, row.card_no.ok_or(BankError::Corrupt("binding.card_no"))?)
}

fn face(card: &Card) -> CardFace {
    let printed = &card.printed;
    CardFace {
        phone_masked: format!("{}****{}", &printed.phone[..3], &printed.phone[7..]),
        bank_name_zh: super::NAME_ZH.to_owned(),
        bank_name_en: super::NAME_EN.to_owned(),
        kind: printed.kind,
        last4: last4(&printed.number).to_owned(),
    }
}

fn last4(number: &str) -> &str {
    &number[number.len() - 4..]
}

/// Six digits and their keyed hash. The digits live as long as the message that carries them.
fn code_for(hasher: &Hasher, binding_id: &str) -> (Secret<String>, Vec<u8>) {
    let code = fresh_code();
    let hash = hasher.hash("code", &[binding_id, code.expose()]);
    (code, hash)
}

fn message(bank: &Bank, card: &Card, code: &Secret<String>) -> CodeMessage {
    let (code, last4, app) = (code.expose(), last4(&card.printed.number), &bank.app);
    let minutes = (bank.timing.code_life_ms / 60_000).max(1);
    let text = format!(
        "【{}】验证码 {code}，用于把尾号 {last4} 的银行卡添加到{}，{minutes} 分钟内有效。任何人索要都是诈骗。 / \
         Code {code} to add your card ending {last4} to {}, valid {minutes} min. Anyone asking for it is a fraudster.",
        super::NAME_ZH,
        app.name_zh,
        app.name_en,
    );
    CodeMessage { to: card.printed.phone.clone(), text: Secret::new(text) }
}
