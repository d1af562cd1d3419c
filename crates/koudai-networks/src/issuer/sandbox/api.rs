//! The protocol's edge of the sandbox bank: signatures in and out, calls to decisions, refusals to statuses.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bindings::{self, CodeMessage};
use super::cards::Behaviour;
use super::{BankError, Decision, Refused, SandboxBank, debits, payouts, store};
use crate::faults::{Fault, Rule};
use crate::issuer::calls::{self, Call};
use crate::issuer::signing::{self, Received};
use crate::issuer::wire::{
    BOOK_PAGE_LINES, BindRequest, ConfirmRequest, DebitRequest, IssuerCode, MAX_BODY_BYTES, PayoutRequest,
    RefundRequest, UnbindRequest,
};
use crate::sandbox::{HangUp, now_ms};

/// When an answer leaves. The work is done by then in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Prompt,
    Late,
    Never,
}

impl Pace {
    /// How a card's debits and payouts are answered.
    const fn of(behaviour: Behaviour) -> Self {
        match behaviour {
            Behaviour::Plain | Behaviour::Mismatch => Self::Prompt,
            Behaviour::Late => Self::Late,
            Behaviour::Silent => Self::Never,
        }
    }
}

/// An answer before it is signed.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    pace: Pace,
    /// For the log.
    outcome: &'static str,
}

/// Answers one call of the protocol.
pub(super) async fn answer(State(bank): State<SandboxBank>, request: Request) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let authorization =
        head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let method = head.method.as_str();
    let call = Call::read(method, &target);
    let fault = call.and_then(|call| bank.bank.faults.meet(call.name()));
    if fault == Some(Fault::Down) {
        tracing::info!(method, target, outcome = "down", "bank call");
        return (StatusCode::SERVICE_UNAVAILABLE, "no server is available").into_response();
    }
    // Whose sender is not proven has no nonce to answer to.
    let mut nonce = None;
    let mut answer = match axum::body::to_bytes(body, MAX_BODY_BYTES).await {
        Err(_) => refusal(Refused::because(IssuerCode::BadRequest)),
        Ok(body) => {
            let received = Received { method, target: &target, body: &body };
            let app = &bank.bank.app;
            match signing::verify_request(authorization, &app.id, &app.key, now_ms() / 1_000, received) {
                Ok(proven) => {
                    nonce = Some(proven);
                    meet(&bank, call, fault.as_ref(), body).await
                }
                Err(why) => {
                    tracing::warn!(%why, "the bank refused a request's signature");
                    refusal(Refused::because(IssuerCode::SignError))
                }
            }
        }
    };
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(method, target, outcome = answer.outcome, pace = ?answer.pace, ?fault, elapsed_ms, "bank call");
    match fault {
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::Drop) => return Body::new(HangUp).into_response(),
        Some(Fault::Garbage) => answer.body.truncate(answer.body.len() / 2),
        Some(Fault::Refuse { .. } | Fault::Twice | Fault::Down) | None => {}
    }
    match answer.pace {
        Pace::Prompt => {}
        Pace::Late => tokio::time::sleep(bank.bank.timing.late).await,
        Pace::Never => {
            tokio::time::sleep(bank.bank.timing.silence).await;
            return Body::new(HangUp).into_response();
        }
    }
    let headers = calls::headers(&bank.bank.key, now_ms() / 1_000, nonce.as_deref(), &answer.body);
    (answer.status, headers, answer.body).into_response()
}

/// The answer to a call, with what goes wrong before the bank has done its work.
async fn meet(bank: &SandboxBank, call: Option<Call<'_>>, fault: Option<&Fault>, body: Bytes) -> Answer {
    let Some(call) = call else { return refusal(Refused::because(IssuerCode::NotFound)) };
    match fault {
        Some(Fault::Refuse { code }) => {
            let code =
                IssuerCode::from_word(code).expect("a code of the network's, checked when it was told");
            return refusal(Refused::because(code));
        }
        Some(Fault::Twice) => drop(dispatch(bank, call, body.clone()).await),
        _ => {}
    }
    dispatch(bank, call, body).await
}

async fn dispatch(bank: &SandboxBank, call: Call<'_>, body: Bytes) -> Answer {
    let now = now_ms();
    match call {
        Call::Bind => {
            let Some(request) = read::<BindRequest>(&body) else { return malformed() };
            let decided = bank.run(move |tx, bank| bindings::bind(tx, bank, now, &request)).await;
            after_sending(bank, decided)
        }
        Call::Resend(id) => {
            let id = id.to_owned();
            let decided = bank.run(move |tx, bank| bindings::resend(tx, bank, now, &id)).await;
            after_sending(bank, decided)
        }
        Call::Confirm(id) => {
            let Some(ConfirmRequest { code }) = read(&body) else { return malformed() };
            if code.expose().len() > 16 {
                return malformed();
            }
            let id = id.to_owned();
            prompt(bank.run(move |tx, bank| bindings::confirm(tx, bank, now, &id, &code)).await)
        }
        Call::Binding(id) => {
            let id = id.to_owned();
            prompt(bank.run(move |tx, _| bindings::query(tx, &id)).await)
        }
        Call::Unbind => {
            let Some(UnbindRequest { token }) = read(&body) else { return malformed() };
            prompt(bank.run(move |tx, _| bindings::unbind(tx, now, &token)).await)
        }
        Call::Debit => {
            let Some(request) = read::<DebitRequest>(&body) else { return malformed() };
            let decided = bank.run(move |tx, bank| debits::debit(tx, bank, now, &request)).await;
            paced(decided, |(reply, behaviour)| (reply, Pace::of(behaviour)))
        }
        Call::CloseDebit(id) => {
            let id = id.to_owned();
            prompt(bank.run(move |tx, _| debits::close_debit(tx, now, &id)).await)
        }
        Call::QueryDebit(id) => {
            let id = id.to_owned();
            prompt(bank.run(move |tx, _| debits::query_debit(tx, &id)).await)
        }
        Call::Refund => {
            let Some(request) = read::<RefundRequest>(&body) else { return malformed() };
            let decided = bank.run(move |tx, _| debits::refund(tx, now, &request)).await;
            paced(decided, |done| {
                let silent = done.first && done.behaviour == Behaviour::Silent;
                (done.reply, if silent { Pace::Never } else { Pace::Prompt })
            })
        }
        Call::QueryRefund(id) => {
            let id = id.to_owned();
            prompt(bank.run(move |tx, _| debits::query_refund(tx, &id)).await)
        }
        Call::PayOut => {
            let Some(request) = read::<PayoutRequest>(&body) else { return malformed() };
            let decided = bank.run(move |tx, bank| payouts::pay_out(tx, bank, now, &request)).await;
            paced(decided, |(reply, behaviour)| (reply, Pace::of(behaviour)))
        }
        Call::ClosePayOut(id) => {
            let id = id.to_owned();
            prompt(bank.run(move |tx, _| payouts::close_pay_out(tx, now, &id)).await)
        }
        Call::QueryPayOut(id) => {
            let id = id.to_owned();
            prompt(bank.run(move |tx, _| payouts::query_pay_out(tx, &id)).await)
        }
        Call::Books(query) => {
            let Some(after) = query.strip_prefix("after=").and_then(|text| text.parse().ok()) else {
                return malformed();
            };
            prompt(bank.run(move |tx, _| Ok(Ok(store::book_lines(tx, after, BOOK_PAGE_LINES)?))).await)
        }
    }
}

/// The faults this bank has been told to have, at `GET /faults`.
pub(super) async fn faults(State(bank): State<SandboxBank>) -> Json<Vec<Rule>> {
    Json(bank.bank.faults.rules())
}

/// Tells it of others, at `PUT /faults`.
pub(super) async fn set_faults(State(bank): State<SandboxBank>, Json(rules): Json<Vec<Rule>>) -> Response {
    match bank.set_faults(rules) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn malformed() -> Answer {
    refusal(Refused::because(IssuerCode::BadRequest))
}

fn prompt<T: Serialize>(decided: Decision<T>) -> Answer {
    paced(decided, |reply| (reply, Pace::Prompt))
}

fn paced<T, R: Serialize>(decided: Decision<T>, split: impl FnOnce(T) -> (R, Pace)) -> Answer {
    match decided {
        Ok(Ok(done)) => {
            let (reply, pace) = split(done);
            let body = serde_json::to_vec(&reply).expect("the wire types are plain JSON");
            Answer { status: StatusCode::OK, body, pace, outcome: "done" }
        }
        Ok(Err(refused)) => refusal(refused),
        Err(error) => broken(&error),
    }
}

/// Sends the code, which is committed by now, and answers without waiting for it: a holder who gets none asks again.
fn after_sending<R: Serialize>(bank: &SandboxBank, decided: Decision<(R, Option<CodeMessage>)>) -> Answer {
    paced(decided, |(reply, message)| {
        if let Some(message) = message {
            let sms = bank.bank.sms.clone();
            tokio::spawn(async move {
                match sms {
                    None => tracing::warn!("the bank has no message gateway, so nobody gets its codes"),
                    Some(sms) => {
                        if let Err(error) = sms.send(&message.to, message.text.expose()).await {
                            tracing::warn!(%error, "the bank's code was not handed over");
                        }
                    }
                }
            });
        }
        (reply, Pace::Prompt)
    })
}

fn refusal(refused: Refused) -> Answer {
    let Refused { code, tries_left } = refused;
    let (status, body) = calls::refusal(code, tries_left);
    Answer { status, body, pace: Pace::Prompt, outcome: code.word() }
}

fn broken(error: &BankError) -> Answer {
    tracing::error!(%error, "the bank could not do its work");
    let body = br#"{"message":"The bank could not do its work; ask again."}"#.to_vec();
    Answer { status: StatusCode::INTERNAL_SERVER_ERROR, body, pace: Pace::Prompt, outcome: "broken" }
}
