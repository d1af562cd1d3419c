//! Its edge: signatures in and out, calls to decisions, and what goes wrong on purpose.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::papers::MERCHANT;
use super::{SandboxUnionPay, money, opening};
use crate::faults::{Fault, Rule};
use crate::sandbox::{HangUp, SandboxError, now_ms};
use crate::unionpay::fields::Fields;
use crate::unionpay::signing;
use crate::unionpay::wire::Call;

/// What a reply repeats of its request.
const REPEATED: [&str; 10] = [
    "accessType",
    "bizType",
    "merId",
    "orderId",
    "txnTime",
    "txnType",
    "txnSubType",
    "reqReserved",
    "settleDate",
    "fileType",
];

/// Answers one call.
pub(super) async fn answer(State(sandbox): State<SandboxUnionPay>, body: Bytes) -> Response {
    let Some(request) = Fields::from_form(&body) else {
        return (StatusCode::BAD_REQUEST, "not a form").into_response();
    };
    let call = Call::read(request.text("txnType"), request.text("txnSubType"));
    let fault = call.and_then(|call| sandbox.house.faults.meet(call.name()));
    if fault == Some(Fault::Down) {
        tracing::info!(call = call.map(Call::name), outcome = "down", "unionpay call");
        return (StatusCode::SERVICE_UNAVAILABLE, "no server is available").into_response();
    }
    let mut reply = Fields::default();
    for name in REPEATED {
        reply.set(name, request.text(name));
    }
    let merchant = &sandbox.house.papers.merchant;
    let believed = signing::verify_request(&request, &merchant.cert_id, &merchant.key.public_key());
    let decided = match (call, &fault) {
        _ if believed.is_err() => Ok(Fields::of(&[("respCode", "11")])),
        _ if request.get("merId") != Some(MERCHANT) => Ok(Fields::of(&[("respCode", "31")])),
        (None, _) => Ok(Fields::of(&[("respCode", "10")])),
        (Some(_), Some(Fault::Refuse { code })) => Ok(Fields::of(&[("respCode", code)])),
        (Some(call), fault) => {
            if *fault == Some(Fault::Twice) {
                drop(decide(&sandbox, call, request.clone()).await);
            }
            decide(&sandbox, call, request).await
        }
    };
    let decided = match decided {
        Ok(decided) => decided,
        Err(error) => {
            tracing::error!(%error, "the sandbox could not do its work");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    for name in decided.names() {
        reply.set(name, decided.text(name));
    }
    reply.set("respMsg", if decided.text("respCode") == "00" { "成功" } else { "失败" });
    signing::sign_with_certificate(&mut reply, &sandbox.house.papers.sign);
    tracing::info!(call = call.map(Call::name), code = decided.text("respCode"), ?fault, "unionpay call");
    let mut text = reply.to_reply();
    match fault {
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::Drop) => return Body::new(HangUp).into_response(),
        Some(Fault::Garbage) => text.truncate(text.floor_char_boundary(text.len() / 2)),
        Some(Fault::Refuse { .. } | Fault::Twice | Fault::Down) | None => {}
    }
    ([(header::CONTENT_TYPE, "text/html;charset=UTF-8")], text).into_response()
}

async fn decide(sandbox: &SandboxUnionPay, call: Call, request: Fields) -> Result<Fields, SandboxError> {
    let now = now_ms();
    match call {
        Call::OpenSms => {
            let sent = sandbox.run(move |tx, house| opening::send_code(tx, house, now, &request)).await;
            let (reply, message) = sent?;
            if let (Some(message), Some(sms)) = (message, sandbox.house.settings.sms.clone()) {
                // The code is committed by now. A holder who gets none asks again.
                tokio::spawn(async move {
                    if let Err(error) = sms.send(message.to, message.text.expose()).await {
                        tracing::warn!(%error, "a code was not handed over");
                    }
                });
            }
            Ok(reply)
        }
        Call::Open => sandbox.run(move |tx, house| opening::open(tx, house, now, &request)).await,
        Call::OpenQuery => sandbox.run(move |tx, _| opening::query(tx, &request)).await,
        Call::DeleteToken => sandbox.run(move |tx, _| opening::delete(tx, now, &request)).await,
        Call::Pay | Call::Void | Call::Refund | Call::PayOut => {
            sandbox.run(move |tx, house| money::moved(tx, house, now, call, &request)).await
        }
        Call::Query => sandbox.run(move |tx, _| money::query(tx, now, &request)).await,
        Call::File => sandbox.run(move |tx, house| money::file(tx, house, now, &request)).await,
        Call::Certificate => {
            let pem = &sandbox.house.papers.cipher.pem;
            Ok(Fields::of(&[("respCode", "00"), ("certType", "01"), ("encryptPubKeyCert", pem)]))
        }
    }
}

/// The rules that stand.
pub(super) async fn faults(State(sandbox): State<SandboxUnionPay>) -> Json<Vec<Rule>> {
    Json(sandbox.house.faults.rules())
}

/// Replaces the rules.
pub(super) async fn set_faults(
    State(sandbox): State<SandboxUnionPay>,
    Json(rules): Json<Vec<Rule>>,
) -> Response {
    match sandbox.set_faults(rules) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// All money that moved, for whoever compares.
pub(super) async fn books(State(sandbox): State<SandboxUnionPay>) -> Response {
    match sandbox.movements().await {
        Ok(movements) => Json(movements).into_response(),
        Err(error) => {
            tracing::error!(%error, "the books");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
