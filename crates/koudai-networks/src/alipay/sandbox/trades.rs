//! What it decides about trades: the ways it opens, who pays, what is closed and given back.

use aws_lc_rs::rand;
use koudai_core::money::Money;
use koudai_core::time::{DAY, HOUR, MINUTE, Timestamp};
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde_json::{Map, Value, json};

use super::House;
use super::notices;
use super::people::{self, BARRED};
use super::store::{self, State, Trade};
use crate::alipay::wire::{Call, moment, read_moment, read_yuan, yuan};
use crate::sandbox::SandboxError;

/// The most one payment may be: ¥50,000.00.
const MOST_MINOR: i64 = 5_000_000;
/// From which amount on somebody who shows a code has to agree besides: ¥1,000.00.
const AGREES_FROM_MINOR: i64 = 100_000;

/// What is said to a call: `code` 10000 and more, or why not.
pub(super) type Content = Map<String, Value>;
pub(super) type Decided = Result<Content, SandboxError>;

/// That it is done, with more.
pub(super) fn done(more: Value) -> Content {
    let mut content = Content::new();
    content.insert("code".into(), "10000".into());
    content.insert("msg".into(), "Success".into());
    if let Value::Object(more) = more {
        content.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    content
}

/// That it is not done, and why.
pub(super) fn refused(code: &str, sub_code: &str) -> Content {
    let mut content = Content::new();
    let msg = if code == "40004" { "Business Failed" } else { "Invalid Arguments" };
    for (name, value) in [("code", code), ("msg", msg), ("sub_code", sub_code), ("sub_msg", "沙盒：未执行")]
    {
        content.insert(name.into(), value.into());
    }
    content
}

pub(super) fn failed(sub_code: &str) -> Content {
    refused("40004", sub_code)
}

/// What a call says it is about, and how it came.
pub(super) struct Asked {
    pub(super) content: Value,
    pub(super) certificates: bool,
    pub(super) notify_url: String,
    pub(super) return_url: String,
}

impl Asked {
    pub(super) fn text(&self, name: &str) -> &str {
        self.content[name].as_str().unwrap_or("")
    }

    /// A figure may come as a number: some SDKs write it so.
    pub(super) fn amount(&self, name: &str) -> Option<i64> {
        let text = match &self.content[name] {
            Value::Number(number) => number.to_string(),
            value => value.as_str()?.to_owned(),
        };
        read_yuan(&text).map(Money::minor)
    }
}

fn fen(minor: i64) -> Result<String, SandboxError> {
    Money::fen(minor).map(yuan).map_err(|_| SandboxError::Corrupt("an amount below zero"))
}

/// Thirty-two digits nobody can guess.
pub(super) fn fresh_code() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system's random source works");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// The trade that a call is about, by its number or by the merchant's.
fn named(tx: &Transaction<'_>, now_ms: i64, asked: &Asked) -> Result<Option<Trade>, SandboxError> {
    match asked.text("trade_no") {
        "" => store::trade(tx, now_ms, asked.text("out_trade_no")),
        trade_no => store::trade_of_no(tx, now_ms, trade_no),
    }
}

/// A trade as it is ordered, or why it cannot be.
fn ordered(now_ms: i64, call: Call, asked: &Asked) -> Result<Trade, &'static str> {
    let number = asked.text("out_trade_no");
    let sound = (1..=64).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !asked.text("subject").is_empty();
    let amount = asked.amount("total_amount").filter(|_| sound).ok_or("ACQ.INVALID_PARAMETER")?;
    if amount > MOST_MINOR {
        return Err("ACQ.TOTAL_FEE_EXCEED");
    }
    let expires_ms = match (asked.text("time_expire"), asked.text("timeout_express")) {
        ("", "") if call == Call::Precreate => Some(now_ms + 2 * HOUR),
        ("", "") => Some(now_ms + 15 * DAY),
        ("", within) => span(within).map(|span| now_ms + span),
        (at, _) => read_moment(at).map(|at| at.0),
    };
    let expires_ms = expires_ms.filter(|at| *at > now_ms).ok_or("ACQ.INVALID_PARAMETER")?;
    Ok(Trade {
        row: 0,
        out_trade_no: number.to_owned(),
        code: fresh_code(),
        call,
        amount_minor: amount,
        subject: asked.text("subject").to_owned(),
        state: State::Open,
        person: None,
        created_ms: now_ms,
        expires_ms,
        paid_ms: None,
        returned_minor: 0,
        certificates: asked.certificates,
        notify_url: asked.notify_url.clone(),
        return_url: asked.return_url.clone(),
    })
}

/// `5m`, `2h`, `1d`, as milliseconds.
fn span(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    count
        .parse::<i64>()
        .ok()
        .filter(|n| (1..=21_600).contains(n))?
        .checked_mul(unit)
        .filter(|n| *n <= 15 * DAY)
}

/// The trade of the number that is ordered now: the one from before, or a new one; or why there is none.
fn place(
    tx: &Transaction<'_>,
    now_ms: i64,
    call: Call,
    asked: &Asked,
) -> Result<Result<Trade, &'static str>, SandboxError> {
    let new = match ordered(now_ms, call, asked) {
        Ok(new) => new,
        Err(why) => return Ok(Err(why)),
    };
    let number = new.out_trade_no.clone();
    match store::trade(tx, now_ms, &number)? {
        Some(before) if before.state == State::Paid => return Ok(Err("ACQ.TRADE_HAS_SUCCESS")),
        Some(before) if before.state == State::Closed => return Ok(Err("ACQ.TRADE_HAS_CLOSE")),
        Some(before) if before.amount_minor != new.amount_minor => {
            return Ok(Err("ACQ.CONTEXT_INCONSISTENT"));
        }
        Some(before) => return Ok(Ok(before)),
        None => store::insert(tx, &new)?,
    }
    let placed = store::trade(tx, now_ms, &number)?;
    Ok(Ok(placed.ok_or(SandboxError::Corrupt("a trade that was placed"))?))
}

/// Opens a way for whoever scans a code.
pub(super) fn precreate(tx: &Transaction<'_>, house: &House, now_ms: i64, asked: &Asked) -> Decided {
    Ok(match place(tx, now_ms, Call::Precreate, asked)? {
        Err(why) => failed(why),
        Ok(trade) => done(json!({
            "out_trade_no": trade.out_trade_no,
            "qr_code": format!("{}/pay/{}", house.settings.url, trade.code),
        })),
    })
}

/// Orders a payment for somebody who came from a phone's browser: the code of its page, or why not.
pub(super) fn wap_pay(
    tx: &Transaction<'_>,
    now_ms: i64,
    asked: &Asked,
) -> Result<Result<String, &'static str>, SandboxError> {
    Ok(place(tx, now_ms, Call::WapPay, asked)?.map(|trade| trade.code))
}

/// Orders a payment for a person who is known.
pub(super) fn create(tx: &Transaction<'_>, now_ms: i64, asked: &Asked) -> Decided {
    let buyer = match asked.text("buyer_id") {
        "" => asked.text("buyer_open_id"),
        id => id,
    };
    let Some(person) = people::of_user_id(buyer) else { return Ok(failed("ACQ.INVALID_PARAMETER")) };
    let mut trade = match place(tx, now_ms, Call::Create, asked)? {
        Ok(trade) => trade,
        Err(why) => return Ok(failed(why)),
    };
    if trade.person.is_some_and(|other| other != person) {
        return Ok(failed("ACQ.TRADE_BUYER_NOT_MATCH"));
    }
    (trade.person, trade.state) = (Some(person), State::Waiting);
    store::set_state(tx, &trade)?;
    Ok(done(json!({ "out_trade_no": trade.out_trade_no, "trade_no": trade.trade_no() })))
}

/// Takes money from whoever shows a code. More than a little has to be agreed to besides.
pub(super) fn pay(tx: &Transaction<'_>, house: &House, now_ms: i64, asked: &Asked) -> Decided {
    let mut trade = match place(tx, now_ms, Call::Pay, asked)? {
        Ok(trade) => trade,
        Err(why) => return Ok(failed(why)),
    };
    if trade.state == State::Open {
        let Some(person) = use_code(tx, now_ms, "pays", asked.text("auth_code"))? else {
            // What nobody can pay is none.
            tx.prepare_cached("DELETE FROM trade WHERE trade = ?1")?.execute([trade.row])?;
            return Ok(failed("ACQ.PAYMENT_AUTH_CODE_INVALID"));
        };
        (trade.person, trade.state) = (Some(person), State::Waiting);
        store::set_state(tx, &trade)?;
        if trade.amount_minor < AGREES_FROM_MINOR
            && let Err(why) = agree(tx, house, now_ms, &mut trade, person)?
        {
            trade.state = State::Closed;
            store::set_state(tx, &trade)?;
            return Ok(failed(why));
        }
    }
    if trade.state == State::Waiting {
        let mut content = done(of_trade(&trade)?);
        content.insert("code".into(), "10003".into());
        content.insert("msg".into(), "Order success pay inprocess".into());
        return Ok(content);
    }
    Ok(done(of_trade(&trade)?))
}

/// Whose code this is, if it is good. It is good once.
pub(super) fn use_code(
    tx: &Transaction<'_>,
    now_ms: i64,
    kind: &str,
    code: &str,
) -> Result<Option<i64>, SandboxError> {
    let used = tx
        .prepare_cached(
            "UPDATE code SET used = 1 WHERE code = ?1 AND kind = ?2 AND expires_ms > ?3 AND used = 0
             RETURNING person",
        )?
        .query_row(params![code, kind, now_ms], |row| row.get(0));
    Ok(used.optional()?)
}

/// Has a person pay a trade that waits for it, or says why not.
pub(super) fn agree(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    trade: &mut Trade,
    person: i64,
) -> Result<Result<(), &'static str>, SandboxError> {
    if let Err(why) = come(tx, now_ms, trade, person)? {
        return Ok(Err(why));
    }
    if person == BARRED {
        return Ok(Err("ACQ.BUYER_ENABLE_STATUS_FORBID"));
    }
    if store::funds(tx, person)? < trade.amount_minor {
        return Ok(Err("ACQ.BUYER_BALANCE_NOT_ENOUGH"));
    }
    store::pay(tx, person, trade.amount_minor)?;
    (trade.state, trade.paid_ms) = (State::Paid, Some(now_ms));
    store::set_state(tx, trade)?;
    notices::tell(tx, house, now_ms, trade, None)?;
    Ok(Ok(()))
}

/// Has a person come to a trade, by which it is there for others.
pub(super) fn come(
    tx: &Transaction<'_>,
    now_ms: i64,
    trade: &mut Trade,
    person: i64,
) -> Result<Result<(), &'static str>, SandboxError> {
    match trade.state {
        State::Paid => return Ok(Err("ACQ.TRADE_HAS_SUCCESS")),
        State::Closed => return Ok(Err("ACQ.TRADE_HAS_CLOSE")),
        State::Open | State::Waiting if trade.expires_ms <= now_ms => return Ok(Err("ACQ.TRADE_HAS_CLOSE")),
        State::Open | State::Waiting => {}
    }
    if trade.person.is_some_and(|other| other != person) {
        return Ok(Err("ACQ.TRADE_BUYER_NOT_MATCH"));
    }
    (trade.person, trade.state) = (Some(person), State::Waiting);
    store::set_state(tx, trade)?;
    Ok(Ok(()))
}

/// Closes a trade that is not paid.
pub(super) fn close(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    trade: &mut Trade,
) -> Result<(), SandboxError> {
    trade.state = State::Closed;
    store::set_state(tx, trade)?;
    notices::tell(tx, house, now_ms, trade, None)
}

/// What is told of a trade that was paid or waits.
fn of_trade(trade: &Trade) -> Result<Value, SandboxError> {
    let paid = trade.state == State::Paid;
    let amount = fen(trade.amount_minor)?;
    Ok(json!({
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no(),
        "total_amount": amount,
        "buyer_user_id": trade.person.map(people::user_id),
        "buyer_logon_id": trade.person.map(|person| format!("139******{person:02}")),
        "receipt_amount": paid.then_some(amount),
        "gmt_payment": trade.paid_ms.map(|at| moment(Timestamp(at))),
    }))
}

/// How far a trade is.
pub(super) fn query(tx: &Transaction<'_>, now_ms: i64, asked: &Asked) -> Decided {
    let trade = named(tx, now_ms, asked)?;
    let Some((trade, status)) = trade.and_then(|trade| trade.status().map(|status| (trade, status))) else {
        return Ok(failed("ACQ.TRADE_NOT_EXIST"));
    };
    let mut content = done(of_trade(&trade)?);
    content.remove("gmt_payment");
    content.insert("trade_status".into(), status.into());
    if let Some(paid) = trade.paid_ms {
        content.insert("send_pay_date".into(), moment(Timestamp(paid)).into());
    }
    Ok(content)
}

/// Closes a trade at its merchant's wish.
pub(super) fn close_asked(tx: &Transaction<'_>, house: &House, now_ms: i64, asked: &Asked) -> Decided {
    let Some(mut trade) = named(tx, now_ms, asked)?.filter(|trade| trade.state != State::Open) else {
        return Ok(failed("ACQ.TRADE_NOT_EXIST"));
    };
    if trade.state != State::Waiting {
        return Ok(failed("ACQ.REASON_TRADE_STATUS_INVALID"));
    }
    close(tx, house, now_ms, &mut trade)?;
    Ok(done(json!({ "out_trade_no": trade.out_trade_no, "trade_no": trade.trade_no() })))
}

/// Ends a trade: what is not paid is closed, what is paid goes back.
pub(super) fn cancel(tx: &Transaction<'_>, house: &House, now_ms: i64, asked: &Asked) -> Decided {
    let found = named(tx, now_ms, asked)?.filter(|trade| trade.state != State::Open);
    let Some(mut trade) = found else {
        return Ok(done(json!({ "out_trade_no": asked.text("out_trade_no"), "retry_flag": "N" })));
    };
    let action = match trade.state {
        State::Waiting => {
            close(tx, house, now_ms, &mut trade)?;
            "close"
        }
        State::Paid if trade.returned_minor < trade.amount_minor => {
            let left = trade.amount_minor - trade.returned_minor;
            // Its own number, since the merchant gave none.
            let number = format!("cancel{}", trade.row);
            if !give_back(tx, house, now_ms, &mut trade, &number, left)? {
                return Ok(failed("ACQ.SELLER_BALANCE_NOT_ENOUGH"));
            }
            "refund"
        }
        _ => "close",
    };
    Ok(done(json!({
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no(),
        "retry_flag": "N",
        "action": action,
    })))
}

/// Moves money back. False if the merchant's account does not cover it.
fn give_back(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    trade: &mut Trade,
    number: &str,
    minor: i64,
) -> Result<bool, SandboxError> {
    if store::account(tx)? < minor {
        return Ok(false);
    }
    let person = trade.person.ok_or(SandboxError::Corrupt("a payment without its payer"))?;
    store::pay(tx, person, -minor)?;
    trade.returned_minor += minor;
    store::set_state(tx, trade)?;
    tx.prepare_cached("INSERT INTO refund VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![trade.row, number, minor, now_ms])?;
    notices::tell(tx, house, now_ms, trade, Some((number, minor)))?;
    Ok(true)
}

/// Gives money back.
pub(super) fn refund(tx: &Transaction<'_>, house: &House, now_ms: i64, asked: &Asked) -> Decided {
    let Some(mut trade) = named(tx, now_ms, asked)?.filter(|trade| trade.state != State::Open) else {
        return Ok(failed("ACQ.TRADE_NOT_EXIST"));
    };
    if trade.state != State::Paid {
        return Ok(failed("ACQ.TRADE_STATUS_ERROR"));
    }
    let Some(amount) = asked.amount("refund_amount") else { return Ok(failed("ACQ.INVALID_PARAMETER")) };
    // Without a number of its own it is the refund of all.
    let number = match asked.text("out_request_no") {
        "" if amount == trade.amount_minor => trade.out_trade_no.clone(),
        "" => return Ok(failed("ACQ.INVALID_PARAMETER")),
        number => number.to_owned(),
    };
    let change = match store::refunded(tx, trade.row, &number)? {
        Some((before, _)) if before != amount => return Ok(failed("ACQ.DISCORDANT_REPEAT_REQUEST")),
        Some(_) => "N",
        None if amount > trade.amount_minor - trade.returned_minor => {
            return Ok(failed("ACQ.REASON_TRADE_REFUND_FEE_ERR"));
        }
        None if !give_back(tx, house, now_ms, &mut trade, &number, amount)? => {
            return Ok(failed("ACQ.SELLER_BALANCE_NOT_ENOUGH"));
        }
        None => "Y",
    };
    Ok(done(json!({
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no(),
        "fund_change": change,
        "refund_fee": fen(trade.returned_minor)?,
        "buyer_user_id": trade.person.map(people::user_id),
    })))
}

/// What a refund gave back. One that is not there is answered too, and says nothing.
pub(super) fn refund_query(tx: &Transaction<'_>, now_ms: i64, asked: &Asked) -> Decided {
    let Some(trade) = named(tx, now_ms, asked)?.filter(|trade| trade.state != State::Open) else {
        return Ok(failed("ACQ.TRADE_NOT_EXIST"));
    };
    let number = asked.text("out_request_no");
    let Some((minor, at)) = store::refunded(tx, trade.row, number)? else { return Ok(done(json!({}))) };
    Ok(done(json!({
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no(),
        "out_request_no": number,
        "total_amount": fen(trade.amount_minor)?,
        "refund_amount": fen(minor)?,
        "refund_status": "REFUND_SUCCESS",
        "gmt_refund_pay": moment(Timestamp(at)),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_strictly() {
        assert_eq!((span("5m"), span("2h"), span("15d")), (Some(5 * MINUTE), Some(2 * HOUR), Some(15 * DAY)));
        for bad in ["", "m", "0m", "16d", "5s", "-5m", "5", "口", "99999999999999999999m"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
