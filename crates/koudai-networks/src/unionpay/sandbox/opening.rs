//! What it decides about cards: whose they are, the codes it sends, the tokens it gives.

use aws_lc_rs::{constant_time, rand};
use koudai_core::secret::Secret;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::House;
use super::papers::NAME;
use super::store::{self, Card};
use crate::sandbox::{SandboxError, fresh_code};
use crate::unionpay::cipher::{decrypt, read_holder};
use crate::unionpay::fields::{Fields, in_braces, inner};

/// How long a code is good, in milliseconds.
const CODE_LIFE_MS: i64 = 300_000;
/// Tries a code has before it is void.
const TRIES: i64 = 5;
/// Codes sent for one card: the first and five more.
const MOST_CODES: i64 = 6;

/// A message to the holder, sent once its code is committed.
pub(super) struct CodeMessage {
    pub(super) to: &'static str,
    pub(super) text: Secret<String>,
}

struct Row {
    txn_time: String,
    card_no: i64,
    code_hash: Option<Vec<u8>>,
    code_expires_ms: i64,
    tries_left: i64,
    codes_sent: i64,
    code_sent_ms: i64,
}

fn row(tx: &Transaction<'_>, order_id: &str) -> Result<Option<Row>, SandboxError> {
    Ok(tx
        .prepare_cached(
            "SELECT txn_time, card_no, code_hash, code_expires_ms, tries_left, codes_sent, code_sent_ms FROM opening
             WHERE order_id = ?1",
        )?
        .query_row([order_id], |row| {
            Ok(Row {
                txn_time: row.get(0)?,
                card_no: row.get(1)?,
                code_hash: row.get(2)?,
                code_expires_ms: row.get(3)?,
                tries_left: row.get(4)?,
                codes_sent: row.get(5)?,
                code_sent_ms: row.get(6)?,
            })
        })
        .optional()?)
}

/// The card that a request names by its number, and what it says of the holder; or the code that refuses it.
fn named(
    tx: &Transaction<'_>,
    house: &House,
    request: &Fields,
) -> Result<Result<(Card, Fields), &'static str>, SandboxError> {
    let cipher = &house.papers.cipher;
    if request.get("encryptCertId") != Some(cipher.cert_id.as_str()) {
        return Ok(Err("11"));
    }
    let Some(number) = decrypt(&cipher.key, request.text("accNo")) else { return Ok(Err("10")) };
    let Some(holder) = read_holder(&cipher.key, request.text("customerInfo")) else { return Ok(Err("10")) };
    Ok(match store::card_by_number(tx, number.expose())? {
        None => Err("61"),
        Some(card) if holder.get("phoneNo") != Some(card.printed.phone.as_str()) => Err("66"),
        Some(card) if card.printed.is_lost() => Err("63"),
        Some(card) if card.printed.is_not_opened() => Err("79"),
        Some(card) => Ok((card, holder)),
    })
}

/// Sends a code to a card's holder: the first, or another.
pub(super) fn send_code(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    request: &Fields,
) -> Result<(Fields, Option<CodeMessage>), SandboxError> {
    let refused = |code: &str| Ok((Fields::of(&[("respCode", code)]), None));
    let card = match named(tx, house, request)? {
        Ok((card, _)) => card,
        Err(code) => return refused(code),
    };
    let (order_id, txn_time) = (request.text("orderId"), request.text("txnTime"));
    let code = fresh_code();
    let hash = house.hasher.hash("code", &[order_id, code.expose()]);
    let expires_ms = now_ms + CODE_LIFE_MS;
    match row(tx, order_id)? {
        Some(row) if row.card_no != card.printed.no || row.txn_time != txn_time => return refused("12"),
        Some(row) if row.codes_sent >= MOST_CODES => return refused("67"),
        Some(row) if now_ms < row.code_sent_ms + house.settings.resend_gap_ms => return refused("67"),
        Some(_) => {
            tx.prepare_cached(
                "UPDATE opening SET code_hash = ?2, code_expires_ms = ?3, tries_left = ?4,
                 codes_sent = codes_sent + 1, code_sent_ms = ?5 WHERE order_id = ?1",
            )?
            .execute(params![order_id, hash, expires_ms, TRIES, now_ms])?;
        }
        None => {
            tx.prepare_cached("INSERT INTO opening VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)")?
                .execute(params![order_id, txn_time, card.printed.no, hash, expires_ms, TRIES, now_ms])?;
        }
    }
    let last4 = &card.printed.number[card.printed.number.len() - 4..];
    let text = format!(
        "【{NAME}】验证码 {code}，用于开通尾号 {last4} 的银行卡无卡支付，{minutes} 分钟内有效。任何人索要都是诈骗。 / \
         Code {code} to open your card ending {last4} for online payment, valid {minutes} min. Anyone asking for it is a \
         fraudster.",
        code = code.expose(),
        minutes = CODE_LIFE_MS / 60_000,
    );
    let message = CodeMessage { to: &card.printed.phone, text: Secret::new(text) };
    Ok((Fields::of(&[("respCode", "00")]), Some(message)))
}

/// Opens a card and gives a token for it. A wrong code is counted before the answer leaves.
pub(super) fn open(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    request: &Fields,
) -> Result<Fields, SandboxError> {
    let refused = |code: &str| Ok(Fields::of(&[("respCode", code)]));
    let (card, holder) = match named(tx, house, request)? {
        Ok(named) => named,
        Err(code) => return refused(code),
    };
    let order_id = request.text("orderId");
    if let Some(reply) = opened(tx, order_id, request)? {
        return Ok(reply);
    }
    let printed = card.printed;
    let same = |name: &str, value: Option<&str>| holder.get(name) == value;
    // The card's face says month and year, the network the other way round.
    let expiry = printed.expiry.map(|text| format!("{}{}", &text[3..], &text[..2]));
    if !same("customerNm", Some(&printed.name)) || !same("certifId", Some(&printed.id_number)) {
        return refused("66");
    }
    if !same("cvn2", printed.cvv) || !same("expired", expiry.as_deref()) {
        return refused("65");
    }
    let row =
        row(tx, order_id)?.filter(|row| row.card_no == printed.no && row.txn_time == request.text("txnTime"));
    let Some(row) = row else { return refused("79") };
    let live = row.code_hash.as_ref().filter(|_| now_ms < row.code_expires_ms && row.tries_left > 0);
    let Some(expected) = live else { return refused(if row.tries_left > 0 { "71" } else { "67" }) };
    let given = house.hasher.hash("code", &[order_id, holder.text("smsCode")]);
    if constant_time::verify_slices_are_equal(&given, expected).is_err() {
        tx.prepare_cached("UPDATE opening SET tries_left = tries_left - 1 WHERE order_id = ?1")?
            .execute([order_id])?;
        return refused(if row.tries_left > 1 { "71" } else { "67" });
    }
    tx.prepare_cached("UPDATE opening SET code_hash = NULL WHERE order_id = ?1")?.execute([order_id])?;
    tx.prepare_cached("INSERT INTO token VALUES (?1, ?2, ?3, ?4, NULL)")?.execute(params![
        fresh_token(),
        order_id,
        printed.no,
        now_ms
    ])?;
    Ok(opened(tx, order_id, request)?.unwrap_or_default())
}

/// Nineteen digits that begin as no card of its does.
fn fresh_token() -> String {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).expect("the system's random source works");
    format!("6235{:015}", u64::from_be_bytes(bytes) % 1_000_000_000_000_000)
}

/// The answer about a card that was opened under this number.
fn opened(tx: &Transaction<'_>, order_id: &str, request: &Fields) -> Result<Option<Fields>, SandboxError> {
    let token: Option<String> = tx
        .prepare_cached("SELECT token FROM token WHERE order_id = ?1 AND deleted_ms IS NULL")?
        .query_row([order_id], |row| row.get(0))
        .optional()?;
    let asks = inner(request.text("tokenPayData")).unwrap_or_default();
    Ok(token.map(|token| {
        let data = in_braces(&[("token", &token), ("trId", asks.text("trId")), ("tokenType", "01")]);
        Fields::of(&[("respCode", "00"), ("tokenPayData", &data), ("activateStatus", "1")])
    }))
}

/// Whether a card was opened under a number.
pub(super) fn query(tx: &Transaction<'_>, request: &Fields) -> Result<Fields, SandboxError> {
    let order_id = request.text("orderId");
    if let Some(reply) = opened(tx, order_id, request)? {
        return Ok(reply);
    }
    let code = if row(tx, order_id)?.is_some() { "77" } else { "34" };
    Ok(Fields::of(&[("respCode", code)]))
}

/// Ends a token.
pub(super) fn delete(tx: &Transaction<'_>, now_ms: i64, request: &Fields) -> Result<Fields, SandboxError> {
    let asks = inner(request.text("tokenPayData")).unwrap_or_default();
    let known = tx
        .prepare_cached("UPDATE token SET deleted_ms = coalesce(deleted_ms, ?2) WHERE token = ?1")?
        .execute(params![asks.text("token"), now_ms])?;
    Ok(Fields::of(&[("respCode", if known > 0 { "00" } else { "80" })]))
}

/// The card a token stands for.
pub(super) fn card_of_token(tx: &Transaction<'_>, request: &Fields) -> Result<Option<Card>, SandboxError> {
    let asks = inner(request.text("tokenPayData")).unwrap_or_default();
    let no: Option<i64> = tx
        .prepare_cached("SELECT card_no FROM token WHERE token = ?1 AND deleted_ms IS NULL")?
        .query_row([asks.text("token")], |row| row.get(0))
        .optional()?;
    no.map(|no| store::card(tx, no)).transpose()
}
