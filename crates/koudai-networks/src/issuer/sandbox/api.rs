//! The protocol's edge of the sandbox bank: signatures in and out, calls to decisions, refusals to statuses.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use koudai_wechatpay::authorization::Authorization;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bindings::{self, CodeMessage};
use super::cards::Behaviour;
use super::{BankError, Decision, Refused, SandboxBank, debits, now_ms, payouts, store};
use crate::faults::{Fault, Rule};
use crate::issuer::signing::{self, NONCE_HEADER, Received, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::issuer::wire::{
    BASE_PATH, BOOK_PAGE_LINES, BindRequest, ConfirmRequest, DebitRequest, ErrorReply, IssuerCode,
    MAX_BODY_BYTES, PayoutRequest, RefundRequest, UnbindRequest,
};

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

/// A call of the protocol, with what its path says.
#[derive(Clone, Copy, Debug)]
enum Call<'a> {
    Bind,
    Resend(&'a str),
    Confirm(&'a str),
    Binding(&'a str),
    Unbind,
    Debit,
    CloseDebit(&'a str),
    QueryDebit(&'a str),
    Refund,
    QueryRefund(&'a str),
    PayOut,
    ClosePayOut(&'a str),
    QueryPayOut(&'a str),
    Books(&'a str),
}

/// The names of the calls, as faults name them.
pub(super) const CALLS: [&str; 14] = [
    "bind",
    "resend",
    "confirm",
    "binding",
    "unbind",
    "debit",
    "close_debit",
    "query_debit",
    "refund",
    "query_refund",
    "pay_out",
    "close_pay_out",
    "query_pay_out",
    "books",
];

impl<'a> Call<'a> {
    /// Which call a request is; `None` if it is none.
    fn read(method: &str, target: &'a str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut segments = path.strip_prefix(BASE_PATH)?.split('/').skip(1);
        let segments = [(); 4].map(|()| segments.next());
        Some(match (method, segments) {
            ("POST", [Some("bindings"), None, ..]) => Self::Bind,
            ("POST", [Some("bindings"), Some(id), Some("resend"), None]) => Self::Resend(id),
            ("POST", [Some("bindings"), Some(id), Some("confirm"), None]) => Self::Confirm(id),
            ("GET", [Some("bindings"), Some(id), None, _]) => Self::Binding(id),
            ("POST", [Some("tokens"), Some("unbind"), None, _]) => Self::Unbind,
            ("POST", [Some("debits"), None, ..]) => Self::Debit,
            ("POST", [Some("debits"), Some(id), Some("close"), None]) => Self::CloseDebit(id),
            ("GET", [Some("debits"), Some(id), None, _]) => Self::QueryDebit(id),
            ("POST", [Some("refunds"), None, ..]) => Self::Refund,
            ("GET", [Some("refunds"), Some(id), None, _]) => Self::QueryRefund(id),
            ("POST", [Some("payouts"), None, ..]) => Self::PayOut,
            ("POST", [Some("payouts"), Some(id), Some("close"), None]) => Self::ClosePayOut(id),
            ("GET", [Some("payouts"), Some(id), None, _]) => Self::QueryPayOut(id),
            ("GET", [Some("books"), None, ..]) => Self::Books(query),
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Resend(_) => "resend",
            Self::Confirm(_) => "confirm",
            Self::Binding(_) => "binding",
            Self::Unbind => "unbind",
            Self::Debit => "debit",
            Self::CloseDebit(_) => "close_debit",
            Self::QueryDebit(_) => "query_debit",
            Self::Refund => "refund",
            Self::QueryRefund(_) => "query_refund",
            Self::PayOut => "pay_out",
            Self::ClosePayOut(_) => "close_pay_out",
            Self::QueryPayOut(_) => "query_pay_out",
            Self::Books(_) => "books",
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
    let mut answer = match axum::body::to_bytes(body, MAX_BODY_BYTES).await {
        Err(_) => refusal(Refused::because(IssuerCode::BadRequest)),
        Ok(body) => {
            let received = Received { method, target: &target, body: &body };
            let app = &bank.bank.app;
            match signing::verify_request(authorization, &app.id, &app.key, now_ms() / 1_000, received) {
                Ok(_) => meet(&bank, call, fault.as_ref(), body).await,
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
    // A request that cannot be read has no nonce to answer to; its sender will find the reply unknown.
    let nonce = Authorization::parse_scheme(signing::SCHEME, authorization)
        .map_or("-".into(), |found| found.nonce_str);
    signed(&bank, &nonce, answer)
}

fn signed(bank: &SandboxBank, nonce: &str, answer: Answer) -> Response {
    let now_s = now_ms() / 1_000;
    let signature = bank.bank.signer.sign_reply(now_s, nonce, &answer.body);
    let mut response = (answer.status, answer.body).into_response();
    let text =
        |value: String| HeaderValue::from_str(&value).expect("visible ASCII, checked when it was read");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(TIMESTAMP_HEADER, text(now_s.to_string()));
    headers.insert(NONCE_HEADER, text(nonce.to_owned()));
    headers.insert(SIGNATURE_HEADER, text(signature));
    response
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
    let (status, message) = wording(code);
    let reply = ErrorReply { code, message: message.to_owned(), tries_left };
    let body = serde_json::to_vec(&reply).expect("the wire types are plain JSON");
    Answer { status, body, pace: Pace::Prompt, outcome: code.word() }
}

fn broken(error: &BankError) -> Answer {
    tracing::error!(%error, "the bank could not do its work");
    let body = br#"{"message":"The bank could not do its work; ask again."}"#.to_vec();
    Answer { status: StatusCode::INTERNAL_SERVER_ERROR, body, pace: Pace::Prompt, outcome: "broken" }
}

/// Status and sentence of each code, as `docs/issuer-protocol.md` lists them.
fn wording(code: IssuerCode) -> (StatusCode, &'static str) {
    match code {
        IssuerCode::BadRequest => (StatusCode::BAD_REQUEST, "A field is missing or malformed."),
        IssuerCode::SignError => {
            (StatusCode::UNAUTHORIZED, "The signature, its time or its sender is not right.")
        }
        IssuerCode::NotFound => (StatusCode::NOT_FOUND, "There is nothing under this id."),
        IssuerCode::TokenUnknown => (StatusCode::NOT_FOUND, "The token is unknown or has been unbound."),
        IssuerCode::IdReused => (StatusCode::CONFLICT, "The id stands for something with other content."),
        IssuerCode::TooSoon => (StatusCode::TOO_MANY_REQUESTS, "Another code was asked for too early."),
        IssuerCode::TooMany => (StatusCode::TOO_MANY_REQUESTS, "No more codes are sent for this binding."),
        IssuerCode::CardUnknown => {
            (StatusCode::UNPROCESSABLE_ENTITY, "No card of this bank has this number.")
        }
        IssuerCode::DetailsMismatch => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The details do not match the bank's record.")
        }
        IssuerCode::CardFrozen => (StatusCode::UNPROCESSABLE_ENTITY, "The card is lost, frozen or expired."),
        IssuerCode::CodeWrong => (StatusCode::UNPROCESSABLE_ENTITY, "The code is wrong."),
        IssuerCode::CodeExpired => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The code is past its life or used up.")
        }
        IssuerCode::InsufficientFunds => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The card does not cover the amount.")
        }
        IssuerCode::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "The amount is above what is allowed."),
        IssuerCode::NotCovered => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The operator's account does not cover the payout.")
        }
        IssuerCode::Closed => (StatusCode::UNPROCESSABLE_ENTITY, "It was closed before it arrived."),
        IssuerCode::Other => (StatusCode::UNPROCESSABLE_ENTITY, "Refused."),
    }
}

/// A body that fails before its first byte, upon which the server closes the connection with nothing sent.
struct HangUp;

impl HttpBody for HangUp {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}
