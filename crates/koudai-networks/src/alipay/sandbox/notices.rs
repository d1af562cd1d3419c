//! Tells the merchant how a payment went: at once, and again in the times that are published, until it hears `success`.

use std::time::Duration;

use axum::http::{StatusCode, header};
use koudai_core::money::Money;
use koudai_core::time::{HOUR, MINUTE, Timestamp};
use rusqlite::{Transaction, params};

use super::papers::{APP_ID, SELLER};
use super::people;
use super::store::Trade;
use super::trades::fresh_code;
use super::{House, SandboxAlipay};
use crate::alipay::fields::Fields;
use crate::alipay::signing;
use crate::alipay::wire::{moment, yuan};
use crate::sandbox::SandboxError;

/// How long a merchant may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_millis(100);
/// The most taken up at one look.
const TAKE: u32 = 64;
/// How long after each try the next one is made. After the last it is given up.
const GAPS_MS: [i64; 7] = [4 * MINUTE, 10 * MINUTE, 10 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 15 * HOUR];
/// The longest answer that is looked at, in bytes; `success` is one.
const MOST_ANSWER: usize = 64;

/// Writes a notice down that will be sent: of a trade as it is now, and of a refund of it.
pub(super) fn tell(
    tx: &Transaction<'_>,
    house: &House,
    now_ms: i64,
    trade: &Trade,
    refund: Option<(&str, i64)>,
) -> Result<(), SandboxError> {
    let (Some(status), false) = (trade.status(), trade.notify_url.is_empty()) else { return Ok(()) };
    let fen =
        |minor: i64| Money::fen(minor).map(yuan).map_err(|_| SandboxError::Corrupt("an amount below zero"));
    let amount = fen(trade.amount_minor)?;
    let at = |ms: i64| moment(Timestamp(ms));
    let mut fields = Fields::of(&[
        ("notify_type", "trade_status_sync"),
        ("notify_id", &fresh_code()),
        ("charset", "utf-8"),
        ("version", "1.0"),
        ("app_id", APP_ID),
        ("auth_app_id", APP_ID),
        ("seller_id", SELLER),
        ("out_trade_no", &trade.out_trade_no),
        ("trade_no", &trade.trade_no()),
        ("trade_status", status),
        ("total_amount", &amount),
        ("subject", &trade.subject),
        ("gmt_create", &at(trade.created_ms)),
    ]);
    if let Some(person) = trade.person {
        fields.set("buyer_id", people::user_id(person));
    }
    if let Some(paid) = trade.paid_ms {
        fields.set("gmt_payment", at(paid));
        fields.set("receipt_amount", amount.as_str());
        fields.set("buyer_pay_amount", amount);
    }
    if let Some((number, minor)) = refund {
        fields.set("out_biz_no", number);
        fields.set("gmt_refund", at(now_ms));
        fields.set("refund_fee", fen(trade.returned_minor.max(minor))?);
    } else if status == "TRADE_CLOSED" {
        fields.set("gmt_close", at(house.now_ms()));
    }
    tx.prepare_cached(
        "INSERT INTO notice (url, body, certificates, sent, next_ms) VALUES (?1, ?2, ?3, 0, ?4)",
    )?
    .execute(params![trade.notify_url, fields.to_form(), trade.certificates, now_ms])?;
    Ok(())
}

/// Sends notices until the task is dropped.
pub(super) async fn send(sandbox: SandboxAlipay) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Err(error) = send_due(&sandbox).await {
            tracing::error!(%error, "notices");
        }
    }
}

struct Due {
    notice: i64,
    url: String,
    body: String,
    certificates: bool,
    sent: usize,
}

/// Those that are due, each counted before it is sent: one that hangs is not sent again and again.
fn take_due(tx: &Transaction<'_>, now_ms: i64) -> Result<Vec<Due>, SandboxError> {
    let mut statement = tx.prepare_cached(
        "SELECT notice, url, body, certificates, sent FROM notice WHERE next_ms <= ?1 ORDER BY next_ms, notice
         LIMIT ?2",
    )?;
    let rows = statement.query_map(params![now_ms, TAKE], |row| {
        let sent: u32 = row.get(4)?;
        let (notice, url, body, certificates) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Due { notice, url, body, certificates, sent: sent as usize })
    })?;
    let due: Vec<Due> = rows.collect::<Result<_, _>>()?;
    for one in &due {
        let next = GAPS_MS.get(one.sent).map(|gap| now_ms + gap);
        tx.prepare_cached("UPDATE notice SET sent = sent + 1, next_ms = ?2 WHERE notice = ?1")?
            .execute(params![one.notice, next])?;
    }
    Ok(due)
}

async fn send_due(sandbox: &SandboxAlipay) -> Result<(), SandboxError> {
    let now_ms = sandbox.house.now_ms();
    for due in sandbox.run(move |tx, _| take_due(tx, now_ms)).await? {
        let body = signed(&sandbox.house, &due, now_ms)?;
        let sandbox = sandbox.clone();
        tokio::spawn(async move {
            let heard = post(&sandbox, &due.url, body).await;
            tracing::info!(notice = due.notice, heard, "notice");
            if heard {
                let done = move |tx: &Transaction<'_>, _: &_| {
                    tx.execute("UPDATE notice SET next_ms = NULL WHERE notice = ?1", [due.notice])?;
                    Ok(())
                };
                drop(sandbox.run(done).await);
            }
        });
    }
    Ok(())
}

fn signed(house: &House, due: &Due, now_ms: i64) -> Result<String, SandboxError> {
    let mut fields = Fields::from_form(due.body.as_bytes()).ok_or(SandboxError::Corrupt("notice.body"))?;
    fields.set("notify_time", moment(Timestamp(now_ms)));
    let papers = house.papers();
    let newest = papers.newest();
    let key = if due.certificates { &newest.certified } else { &newest.key };
    signing::sign_notice(&mut fields, key);
    Ok(fields.to_form())
}

async fn post(sandbox: &SandboxAlipay, url: &str, body: String) -> bool {
    let post = sandbox.house.http.post(url);
    let post = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8");
    let Ok(mut reply) = post.body(body).send().await else { return false };
    if reply.status() != StatusCode::OK {
        return false;
    }
    let mut heard = vec![];
    while let Ok(Some(chunk)) = reply.chunk().await {
        heard.extend_from_slice(&chunk);
        if heard.len() > MOST_ANSWER {
            return false;
        }
    }
    heard.trim_ascii() == b"success"
}
