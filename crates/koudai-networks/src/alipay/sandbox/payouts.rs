//! What it decides about money that the merchant pays out to people.

use koudai_core::money::Money;
use koudai_core::time::{SECOND, Timestamp};
use rusqlite::{Transaction, params};
use serde_json::json;

use super::people::{self, BARRED, SLOW};
use super::store::{self, Payout};
use super::trades::{Asked, Decided, done, failed};
use crate::alipay::wire::{moment, yuan};
use crate::sandbox::SandboxError;

/// The least that is paid out: ¥0.10.
const LEAST_MINOR: i64 = 10;
/// How late a payout to a slow person is decided.
const SLOW_MS: i64 = 3 * SECOND;

fn find(tx: &Transaction<'_>, out_biz_no: &str) -> Result<Option<Payout>, SandboxError> {
    Ok(store::payouts(tx, "out_biz_no = ?1", &[&out_biz_no])?.pop())
}

/// Pays money out.
pub(super) fn pay_out(tx: &Transaction<'_>, now_ms: i64, asked: &Asked) -> Decided {
    let number = asked.text("out_biz_no");
    let sound = (1..=64).contains(&number.len())
        && asked.text("product_code") == "TRANS_ACCOUNT_NO_PWD"
        && asked.text("biz_scene") == "DIRECT_TRANSFER";
    let amount = asked.amount("trans_amount").filter(|amount| sound && *amount >= LEAST_MINOR);
    let Some(amount_minor) = amount else { return Ok(failed("INVALID_PARAMETER")) };
    let payee = asked.content["payee_info"]["identity"].as_str().unwrap_or("");
    let Some(person) = people::of_user_id(payee) else { return Ok(failed("PAYEE_NOT_EXIST")) };
    if let Some(before) = find(tx, number)? {
        // The same again is the same; another one under this number is none.
        let same = before.amount_minor == amount_minor && before.person == person;
        return Ok(if same { of(&before, now_ms) } else { failed("INVALID_PARAMETER") });
    }
    if person == BARRED {
        return Ok(failed("PAYEE_ACCOUNT_STATUS_ERROR"));
    }
    if store::account(tx)? < amount_minor {
        return Ok(failed("PAYER_BALANCE_NOT_ENOUGH"));
    }
    store::pay(tx, person, -amount_minor)?;
    let decided_ms = now_ms + if person == SLOW { SLOW_MS } else { 0 };
    tx.prepare_cached(
        "INSERT INTO payout (out_biz_no, person, amount_minor, title, at_ms, decided_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![number, person, amount_minor, asked.text("order_title"), now_ms, decided_ms])?;
    let made = find(tx, number)?.ok_or(SandboxError::Corrupt("a payout that was made"))?;
    Ok(of(&made, now_ms))
}

fn of(payout: &Payout, now_ms: i64) -> super::trades::Content {
    let status = if now_ms < payout.decided_ms { "DEALING" } else { "SUCCESS" };
    done(json!({
        "out_biz_no": payout.out_biz_no,
        "order_id": payout.order_id(),
        "pay_fund_order_id": payout.order_id(),
        "status": status,
        "trans_date": moment(Timestamp(payout.at_ms)),
    }))
}

/// How a payout ended.
pub(super) fn query(tx: &Transaction<'_>, now_ms: i64, asked: &Asked) -> Decided {
    let Some(payout) = find(tx, asked.text("out_biz_no"))? else { return Ok(failed("ORDER_NOT_EXIST")) };
    let mut content = of(&payout, now_ms);
    let amount = Money::fen(payout.amount_minor).map_err(|_| SandboxError::Corrupt("payout.amount_minor"))?;
    content.insert("trans_amount".into(), yuan(amount).into());
    Ok(content)
}
