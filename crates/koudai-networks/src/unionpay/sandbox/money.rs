//! What it decides about money: payments, voids, refunds, payouts, and the file of a clearing day.

use koudai_core::time::Timestamp;
use rusqlite::Transaction;

use super::House;
use super::opening::card_of_token;
use super::store::{self, Trans};
use crate::sandbox::SandboxError;
use crate::unionpay::fields::Fields;
use crate::unionpay::file::{self, Line};
use crate::unionpay::wire::{CNY, Call, clearing_day, read_time};

/// The most one payment or payout may be: ¥50,000.00.
const MOST_MINOR: i64 = 5_000_000;
/// How late a slow card's transactions are decided, in milliseconds.
const SLOW_MS: i64 = 3_000;
/// How often a notice is tried.
const NOTICES: u32 = 5;
/// The most lines of a day's file.
const MOST_LINES: u32 = 2_000_000;

/// What is decided of a transaction.
struct Decided {
    card_no: Option<i64>,
    original: Option<i64>,
    code: &'static str,
    late_ms: i64,
}

/// Moves money, or says why not. What is decided is written down either way, so that it can be asked about.
pub(super) fn moved(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    call: Call,
    request: &Fields,
) -> Result<Fields, SandboxError> {
    let (order_id, txn_time) = (request.text("orderId"), request.text("txnTime"));
    let code = |code: &str| Ok(Fields::of(&[("respCode", code)]));
    let amount: Option<i64> = request.get("txnAmt").and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    let sound = (8..=40).contains(&order_id.len())
        && order_id.bytes().all(|b| b.is_ascii_alphanumeric())
        && read_time(txn_time).is_some()
        && request.get("currencyCode") == Some(CNY);
    let Some(amount_minor) = amount.filter(|_| sound) else { return code("10") };
    if store::transaction(tx, order_id, txn_time)?.is_some() {
        return code("12");
    }
    let today = clearing_day(Timestamp(now_ms), house.settings.clearing_cut_ms);
    let decided = match call {
        Call::Void | Call::Refund => give_back(tx, call, amount_minor, request, today)?,
        _ => at_a_card(tx, call, amount_minor, now_ms, request)?,
    };
    let decided_ms = now_ms + decided.late_ms;
    let new = Trans {
        query_no: 0,
        order_id: order_id.to_owned(),
        txn_time: txn_time.to_owned(),
        call,
        card_no: decided.card_no,
        original: decided.original,
        amount_minor,
        returned_minor: 0,
        code: decided.code.to_owned(),
        decided_ms,
        clearing_day: clearing_day(Timestamp(decided_ms), house.settings.clearing_cut_ms),
        notice_url: request.text("backUrl").to_owned(),
    };
    let notices = if new.notice_url.is_empty() { 0 } else { NOTICES };
    store::insert(tx, &new, notices)?;
    // What was taken on is answered alike, whether it is decided by now or later.
    code(decided.code)
}

fn at_a_card(
    tx: &Transaction<'_>,
    call: Call,
    amount_minor: i64,
    now_ms: i64,
    request: &Fields,
) -> Result<Decided, SandboxError> {
    let refused = |code| Decided { card_no: None, original: None, code, late_ms: 0 };
    let Some(card) = card_of_token(tx, request)? else { return Ok(refused("80")) };
    let no = card.printed.no;
    let too_late =
        request.get("payTimeout").is_some_and(|text| read_time(text).is_none_or(|to| now_ms > to.0));
    let code = match call {
        _ if too_late => "42",
        _ if card.printed.is_lost() => "63",
        _ if amount_minor > MOST_MINOR => "33",
        Call::Pay if card.printed.is_empty() || amount_minor > card.available_minor => "64",
        _ => "00",
    };
    if code == "00" {
        store::change(tx, no, if call == Call::Pay { -amount_minor } else { amount_minor })?;
    }
    let late_ms = if card.printed.is_slow() { SLOW_MS } else { 0 };
    Ok(Decided { card_no: Some(no), original: None, code, late_ms })
}

fn give_back(
    tx: &Transaction<'_>,
    call: Call,
    amount_minor: i64,
    request: &Fields,
    today: i64,
) -> Result<Decided, SandboxError> {
    let refused = |code| Decided { card_no: None, original: None, code, late_ms: 0 };
    // Its own number behind the time is in the last digits.
    let query_no: Option<i64> = request.get("origQryId").and_then(|id| id.get(14..)?.parse().ok());
    let paid = match query_no {
        Some(no) => store::transactions(tx, "query_no = ?1", no, 1)?.pop(),
        None => None,
    };
    let paid = paid
        .filter(|paid| paid.call == Call::Pay && Some(paid.query_id().as_str()) == request.get("origQryId"));
    let Some(paid) = paid else { return Ok(refused("34")) };
    let (Some(card_no), "00") = (paid.card_no, paid.code.as_str()) else { return Ok(refused("35")) };
    let code = match call {
        Call::Void if paid.clearing_day != today || amount_minor != paid.amount_minor => "36",
        _ if paid.returned_minor == paid.amount_minor => "45",
        Call::Void if paid.returned_minor > 0 => "45",
        _ if amount_minor > paid.amount_minor - paid.returned_minor => "36",
        _ => "00",
    };
    if code == "00" {
        tx.prepare_cached("UPDATE trans SET returned_minor = returned_minor + ?2 WHERE query_no = ?1")?
            .execute([paid.query_no, amount_minor])?;
        store::change(tx, card_no, amount_minor)?;
    }
    let original = (code == "00").then_some(paid.query_no);
    Ok(Decided { card_no: Some(card_no), original, code, late_ms: 0 })
}

/// How a transaction went.
pub(super) fn query(tx: &Transaction<'_>, now_ms: i64, request: &Fields) -> Result<Fields, SandboxError> {
    let found = store::transaction(tx, request.text("orderId"), request.text("txnTime"))?;
    let Some(found) = found else { return Ok(Fields::of(&[("respCode", "34")])) };
    let code = if now_ms < found.decided_ms { "05" } else { &found.code };
    Ok(Fields::of(&[
        ("respCode", "00"),
        ("origRespCode", code),
        ("queryId", &found.query_id()),
        ("txnAmt", &found.amount_minor.to_string()),
        ("currencyCode", CNY),
        ("settleDate", &file::settle_date(found.clearing_day)),
    ]))
}

/// The file of a clearing day that is over.
pub(super) fn file(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    request: &Fields,
) -> Result<Fields, SandboxError> {
    let today = clearing_day(Timestamp(now_ms), house.settings.clearing_cut_ms);
    let Some(day) = file::read_settle_date(request.text("settleDate"), today) else {
        return Ok(Fields::of(&[("respCode", "10")]));
    };
    let done =
        store::transactions(tx, "clearing_day = ?1 AND code = '00' ORDER BY query_no", day, MOST_LINES)?;
    if done.is_empty() {
        return Ok(Fields::of(&[("respCode", "98")]));
    }
    let mut lines = Vec::with_capacity(done.len());
    for found in done {
        let original = match found.original {
            Some(no) => store::transactions(tx, "query_no = ?1", no, 1)?.pop(),
            None => None,
        };
        lines.push(Line {
            at: Timestamp(found.decided_ms).plus(-(found.decided_ms.rem_euclid(1_000))),
            amount_minor: found.amount_minor,
            query_id: found.query_id(),
            order_id: found.order_id.clone(),
            kinds: found.call.kinds().map(str::to_owned),
            original: original.map(|paid| paid.query_id()).unwrap_or_default(),
            merchant: request.text("merId").to_owned(),
        });
    }
    let name = format!("INN{}88ZM_{}", file::settle_date(day), request.text("merId"));
    let content = file::pack(&name, &lines).map_err(|_| SandboxError::Corrupt("the day's file"))?;
    Ok(Fields::of(&[("respCode", "00"), ("fileName", &format!("{name}.zip")), ("fileContent", &content)]))
}
