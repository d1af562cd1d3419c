//! The issuer's side of the issuer protocol, `/issuer/v1`: apps of others bind accounts of this wallet, and take money from
//! them with their holders' consent (`docs/issuer-protocol.md`).
//!
//! Who asks is proven over the raw bytes before anything looks at them, and every answer to an app is signed, refusals too. What this
//! face must never do: decide anything about money (the core does), or let a name, a number, a code or a token into a log.

mod calls;

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use koudai_core::issuing::IssuingRefusal;
use koudai_core::rows::{Declined, IssuingApp, IssuingAppName};
use koudai_engine::Failed;
use koudai_networks::issuer::calls::{self as protocol, Call};
use koudai_networks::issuer::signing::{self, Received};
use koudai_networks::issuer::wire::{IssuerCode, MAX_BODY_BYTES};
use koudai_networks::platform::SigningMode;
use koudai_store::StoreError;
use koudai_wechatpay::authorization::Authorization;

use crate::App;
use crate::known_keys::key_of;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The routes of the protocol.
pub fn router() -> Router<App> {
    Router::new().route("/issuer/v1/{*call}", any(answer))
}

/// Why a call has no answer of the protocol's.
enum Trouble {
    /// A refusal, signed like any answer.
    Refused { code: IssuerCode, tries_left: Option<u8> },
    /// Nothing certain: the app asks again.
    Unknown,
}

impl Trouble {
    const fn because(code: IssuerCode) -> Self {
        Self::Refused { code, tries_left: None }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "an app's call could not be read for");
        Self::Unknown
    }
}

impl From<Failed<IssuingRefusal>> for Trouble {
    fn from(failed: Failed<IssuingRefusal>) -> Self {
        let Failed::Refused(refusal) = failed else { return Self::Unknown };
        let tries_left = match refusal {
            IssuingRefusal::CodeWrong { tries_left } => Some(tries_left),
            _ => None,
        };
        Self::Refused { code: code_of(refusal), tries_left }
    }
}

const fn code_of(refusal: IssuingRefusal) -> IssuerCode {
    match refusal {
        IssuingRefusal::Declined(why) => declined(why),
        IssuingRefusal::NumberReused => IssuerCode::IdReused,
        IssuingRefusal::NotFound => IssuerCode::NotFound,
        IssuingRefusal::Suspended => IssuerCode::AppSuspended,
        IssuingRefusal::TokenUnknown => IssuerCode::TokenUnknown,
        IssuingRefusal::CodeWrong { .. } => IssuerCode::CodeWrong,
        IssuingRefusal::CodeExpired => IssuerCode::CodeExpired,
        IssuingRefusal::TooSoon => IssuerCode::TooSoon,
        IssuingRefusal::TooMany => IssuerCode::TooMany,
        IssuingRefusal::NotCovered => IssuerCode::NotCovered,
    }
}

/// The protocol's code of a reason.
const fn declined(why: Declined) -> IssuerCode {
    match why {
        Declined::AccountUnknown => IssuerCode::CardUnknown,
        Declined::DetailsMismatch => IssuerCode::DetailsMismatch,
        Declined::Frozen => IssuerCode::CardFrozen,
        Declined::InsufficientFunds => IssuerCode::InsufficientFunds,
        Declined::TokenUnknown => IssuerCode::TokenUnknown,
        Declined::Limit => IssuerCode::Limit,
        Declined::NotCovered => IssuerCode::NotCovered,
        Declined::Closed => IssuerCode::Closed,
    }
}

async fn answer(State(app): State<App>, request: Request) -> Response {
    let started = Instant::now();
    if !app.engine.is_owner() {
        return (StatusCode::SERVICE_UNAVAILABLE, "this process stands by for another").into_response();
    }
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let header = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    let call = Call::read(head.method.as_str(), target);
    // Whose sender is not proven has no nonce to answer to.
    let mut nonce = None;
    let done = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => {
            let received = Received { method: head.method.as_str(), target, body: &body };
            match authenticate(&app, header, received).await {
                Ok((theirs, proven)) => {
                    nonce = Some(proven);
                    calls::answer(&app, &theirs, call, &body).await
                }
                Err(trouble) => Err(trouble),
            }
        }
        Ok(Err(_)) | Err(_) => Err(Trouble::because(IssuerCode::BadRequest)),
    };
    let (status, body, outcome) = match done {
        Ok(body) => (StatusCode::OK, body, "done"),
        Err(Trouble::Refused { code, tries_left }) => {
            let (status, body) = protocol::refusal(code, tries_left);
            (status, body, code.word())
        }
        Err(Trouble::Unknown) => {
            let message = r#"{"message":"Nothing certain is known of this call; ask again."}"#;
            (StatusCode::SERVICE_UNAVAILABLE, message.as_bytes().to_vec(), "unknown")
        }
    };
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(call = call.map_or("-", Call::name), outcome, elapsed_ms, "an app's call");
    let now = app.engine.clock().now();
    let signer = app.networks.platform.signer(SigningMode::PublicKey, now);
    let headers = protocol::headers(&signer.key, now.0.div_euclid(1_000), nonce.as_deref(), &body);
    (status, headers, body).into_response()
}

/// The app that signed a request, and the request's nonce.
async fn authenticate(
    app: &App,
    header: &str,
    received: Received<'_>,
) -> Result<(IssuingApp, String), Trouble> {
    let stranger = || Trouble::because(IssuerCode::SignError);
    let claimed = Authorization::parse_scheme(signing::SCHEME, header).map_err(|_| stranger())?.mchid;
    let name = claimed.clone();
    let found = app.engine.glance(move |r| match r.get::<IssuingAppName>(&name)? {
        Some(known) => r.get::<IssuingApp>(&known.id),
        None => Ok(None),
    });
    let theirs = found.await?.ok_or_else(stranger)?;
    let key = key_of(&theirs.key_pem).map_err(|_| stranger())?;
    let now_s = app.engine.clock().now().0.div_euclid(1_000);
    let nonce = signing::verify_request(header, &claimed, &key, now_s, received).map_err(|why| {
        tracing::warn!(%why, app = theirs.app, "an app's signature was refused");
        stranger()
    })?;
    Ok((theirs, nonce))
}
