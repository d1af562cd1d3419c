//! What every issuer does alike at its edge: which call a request is, what a refusal's status is, and how an answer is
//! signed.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use koudai_wechatpay::keys::PrivateKey;

use super::signing::{self, NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use super::wire::{BASE_PATH, ErrorReply, IssuerCode};

/// A call of the protocol, with what its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// `POST /bindings`.
    Bind,
    /// `POST /bindings/{id}/resend`.
    Resend(&'a str),
    /// `POST /bindings/{id}/confirm`.
    Confirm(&'a str),
    /// `GET /bindings/{id}`.
    Binding(&'a str),
    /// `POST /tokens/unbind`.
    Unbind,
    /// `POST /debits`.
    Debit,
    /// `POST /debits/{id}/close`.
    CloseDebit(&'a str),
    /// `GET /debits/{id}`.
    QueryDebit(&'a str),
    /// `POST /refunds`.
    Refund,
    /// `GET /refunds/{id}`.
    QueryRefund(&'a str),
    /// `POST /payouts`.
    PayOut,
    /// `POST /payouts/{id}/close`.
    ClosePayOut(&'a str),
    /// `GET /payouts/{id}`.
    QueryPayOut(&'a str),
    /// `GET /books`, with its query.
    Books(&'a str),
}

/// The names of the calls, as faults and logs name them.
pub const CALLS: [&str; 14] = [
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
    pub fn read(method: &str, target: &'a str) -> Option<Self> {
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

    /// Its name.
    pub const fn name(self) -> &'static str {
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

/// Status and sentence of each code, as `docs/issuer-protocol.md` lists them.
pub const fn wording(code: IssuerCode) -> (StatusCode, &'static str) {
    match code {
        IssuerCode::BadRequest => (StatusCode::BAD_REQUEST, "A field is missing or malformed."),
        IssuerCode::SignError => {
            (StatusCode::UNAUTHORIZED, "The signature, its time or its sender is not right.")
        }
        IssuerCode::AppSuspended => (StatusCode::FORBIDDEN, "The operator has stopped this app."),
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

/// A refusal's status and body.
///
/// # Panics
/// Never: a refusal is plain JSON.
pub fn refusal(code: IssuerCode, tries_left: Option<u8>) -> (StatusCode, Vec<u8>) {
    let (status, message) = wording(code);
    let reply = ErrorReply { code, message: message.to_owned(), tries_left };
    (status, serde_json::to_vec(&reply).expect("the wire types are plain JSON"))
}

/// The headers of an answer. `nonce` is that of a request whose sender is proven, as
/// [`verify_request`](super::signing::verify_request) gives it: the answer is signed over it and is the answer to no other
/// request. Nobody else's answer is signed, or anybody could have a refusal signed for a nonce they have seen.
pub fn headers(key: &PrivateKey, now_s: i64, nonce: Option<&str>, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let Some(nonce) = nonce else { return headers };
    let signature = signing::sign_reply(key, now_s, nonce, body);
    for (name, value) in [
        (TIMESTAMP_HEADER, now_s.to_string()),
        (NONCE_HEADER, nonce.to_owned()),
        (SIGNATURE_HEADER, signature),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers
}
