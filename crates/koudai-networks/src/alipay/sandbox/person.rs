//! What its people do, for tests and scripts: they come to a payment, agree, refuse, or show a code.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use koudai_core::time::MINUTE;
use rusqlite::{Transaction, params};
use serde::Deserialize;
use serde_json::json;

use super::store::{self, Trade};
use super::{House, SandboxAlipay, people, trades};
use crate::sandbox::SandboxError;

/// How long a code that is shown or brought back is good.
const CODE_MS: i64 = 2 * MINUTE;

/// What a person does about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Act {
    /// They come and look.
    Come,
    /// They pay.
    Agree,
    /// They end it.
    Refuse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pay {
    /// The address of its page, Alipay's number for it, or the merchant's.
    trade: String,
    person: i64,
    act: Act,
}

/// Does what a person does about a trade, or says why not.
pub(super) fn act(
    tx: &Transaction<'_>,
    house: &House,
    trade: &mut Trade,
    person: i64,
    act: Act,
) -> Result<Result<(), &'static str>, SandboxError> {
    let now = house.now_ms();
    if !people::all().any(|known| known == person) {
        return Ok(Err("ACQ.TRADE_BUYER_NOT_MATCH"));
    }
    match act {
        Act::Come => trades::come(tx, now, trade, person),
        Act::Agree => trades::agree(tx, house, now, trade, person),
        Act::Refuse => Ok(match trades::come(tx, now, trade, person)? {
            Ok(()) => {
                trades::close(tx, house, now, trade)?;
                Ok(())
            }
            Err(why) => Err(why),
        }),
    }
}

/// `POST /person/pay`.
pub(super) async fn pay(State(sandbox): State<SandboxAlipay>, Json(pay): Json<Pay>) -> Response {
    let done = sandbox.run(move |tx, house| {
        let now = house.now_ms();
        let code = pay.trade.rsplit('/').next().unwrap_or("");
        let found = match store::trade_of_code(tx, now, code)? {
            Some(found) => Some(found),
            None => match store::trade(tx, now, &pay.trade)? {
                Some(found) => Some(found),
                None => store::trade_of_no(tx, now, &pay.trade)?,
            },
        };
        let Some(mut trade) = found else { return Ok(None) };
        let acted = act(tx, house, &mut trade, pay.person, pay.act)?;
        Ok(Some(acted.map(|()| trade.status())))
    });
    match done.await {
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Ok(Some(Ok(status))) => Json(json!({ "trade_status": status })).into_response(),
        Ok(Some(Err(why))) => (StatusCode::CONFLICT, Json(json!({ "refused": why }))).into_response(),
        Err(error) => broken(&error),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shows {
    person: i64,
}

/// `POST /person/code`: what a person shows to pay.
pub(super) async fn code(State(sandbox): State<SandboxAlipay>, Json(shows): Json<Shows>) -> Response {
    if !people::all().any(|known| known == shows.person) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match sandbox.run(move |tx, house| fresh(tx, house.now_ms(), "pays", shows.person)).await {
        Ok(code) => Json(json!({ "auth_code": code })).into_response(),
        Err(error) => broken(&error),
    }
}

/// A fresh code of a person's.
pub(super) fn fresh(
    tx: &Transaction<'_>,
    now_ms: i64,
    kind: &str,
    person: i64,
) -> Result<String, SandboxError> {
    let mut code = trades::fresh_code();
    if kind == "pays" {
        // Eighteen digits that begin with 28, as those of Alipay's app may.
        let number = u128::from_str_radix(&code, 16).map_err(|_| SandboxError::Corrupt("a code"))?;
        code = format!("28{:016}", number % 10_000_000_000_000_000);
    }
    tx.prepare_cached("INSERT INTO code VALUES (?1, ?2, ?3, ?4, 0)")?.execute(params![
        code,
        kind,
        person,
        now_ms + CODE_MS
    ])?;
    Ok(code)
}

fn broken(error: &SandboxError) -> Response {
    tracing::error!(%error, "what a person does");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
