//! A small server in front of any platform that speaks `APIv3`, which passes everything on as it is and fails as it is told. With
//! Koudai's own gateway behind it there is a WeChat Pay for demos and tests.
//!
//! It holds no key, so it can sign nothing: what it makes up is unsigned. That is how it is outside, too. The platform's own
//! errors carry no signature, and what something in between says never does; a reply whose body is cut off no longer fits its
//! signature.

mod calls;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};
use reqwest::Url;
use tokio::net::TcpListener;

use crate::faults::{Fault, Faults, Rule, RuleError};
use crate::outward;
use crate::sandbox::HangUp;
use calls::Call;

/// How long the platform behind it may take, downloads included.
const TIMEOUT: Duration = Duration::from_mins(10);
/// The longest body that is passed on to it, in bytes: a page's picture.
const MOST_REQUEST_BYTES: usize = 16 << 20;
/// The longest reply that is cut in the middle, in bytes.
const MOST_CUT_BYTES: usize = 16 << 20;
/// Headers about a connection, which are not passed on (RFC 9110, section 7.6.1).
const OF_A_CONNECTION: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHENTICATE,
];

/// Why it cannot stand in front of a platform.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not an http or https address without path, query and user.
    #[error("the address of the platform behind it is not http or https without a path")]
    Address,
    /// The HTTP client could not start.
    #[error("the HTTP client could not start")]
    Http(#[source] reqwest::Error),
}

/// The sandbox. Cloning shares it.
#[derive(Clone)]
pub struct SandboxWeChat(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    upstream: Url,
    faults: Faults,
}

impl std::fmt::Debug for SandboxWeChat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxWeChat").finish_non_exhaustive()
    }
}

/// A request as it came in.
struct Incoming {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl SandboxWeChat {
    /// In front of the platform at `upstream`. Connects to nothing yet.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub fn before(upstream: &str) -> Result<Self, UpstreamError> {
        let url: Url = upstream.parse().map_err(|_| UpstreamError::Address)?;
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let fine = matches!(url.scheme(), "http" | "https") && plain && url.username().is_empty();
        if !fine || url.password().is_some() {
            return Err(UpstreamError::Address);
        }
        let http = outward::builder(TIMEOUT, url.scheme() == "https").http1_only().build();
        let http = http.map_err(UpstreamError::Http)?;
        Ok(Self(Arc::new(Inner { http, upstream: url, faults: Faults::default() })))
    }

    /// Everything, and `/faults`, where it is told what to get wrong.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/faults", get(faults).put(set_faults))
            .fallback(pass)
            .layer(DefaultBodyLimit::max(MOST_REQUEST_BYTES))
            .with_state(self.clone())
    }

    /// Tells it what to get wrong from now on, until it stops.
    ///
    /// # Errors
    /// If a rule names a call or a code that the protocol does not have, or there are too many.
    pub fn set_faults(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        self.0.faults.set(rules, &calls::NAMES, calls::is_code)
    }

    /// Passes a request on, and the reply back, byte for byte.
    async fn forward(&self, request: &Incoming) -> Result<Response<Body>, reqwest::Error> {
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        // Joining would tidy the path up, and what was signed is the path as it came.
        let url = format!("{}{target}", self.0.upstream.as_str().trim_end_matches('/'));
        let mut headers = request.headers.clone();
        without_connection(&mut headers);
        headers.remove(header::CONTENT_LENGTH);
        let sending = self.0.http.request(request.method.clone(), url).headers(headers);
        let sending = if request.body.is_empty() { sending } else { sending.body(request.body.clone()) };
        let reply: Response<reqwest::Body> = sending.send().await?.into();
        let mut reply = reply.map(Body::new);
        without_connection(reply.headers_mut());
        Ok(reply)
    }
}

fn without_connection(headers: &mut HeaderMap) {
    for name in &OF_A_CONNECTION {
        headers.remove(name);
    }
}

async fn pass(
    State(sandbox): State<SandboxWeChat>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = Incoming { method, uri, headers, body };
    let call = Call::of(&request.method, request.uri.path());
    let fault = call.and_then(|call| sandbox.0.faults.meet(call.0));
    if let Some(fault) = &fault {
        tracing::info!(call = call.map(|call| call.0), ?fault, "wechat sandbox");
    }
    match &fault {
        Some(Fault::Down) => {
            return (StatusCode::SERVICE_UNAVAILABLE, "no server is available").into_response();
        }
        Some(Fault::Refuse { code }) => {
            let (status, body) = calls::refusal(code);
            let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
            return (status, kind, body).into_response();
        }
        Some(Fault::Twice) => drop(whole(sandbox.forward(&request).await).await),
        Some(Fault::Delay { .. } | Fault::Drop | Fault::Garbage) | None => {}
    }
    let Ok(reply) = sandbox.forward(&request).await else {
        return (StatusCode::BAD_GATEWAY, "the platform behind it does not answer").into_response();
    };
    match fault {
        Some(Fault::Delay { ms }) => {
            // It has been done; only the answer is late.
            tokio::time::sleep(Duration::from_millis(ms)).await;
            reply
        }
        Some(Fault::Drop) => {
            drop(whole(Ok(reply)).await);
            Body::new(HangUp).into_response()
        }
        Some(Fault::Garbage) => cut(reply).await,
        Some(Fault::Refuse { .. } | Fault::Twice | Fault::Down) | None => reply,
    }
}

/// Takes a reply in to its end, so that what it answers has been done.
async fn whole(reply: Result<Response<Body>, reqwest::Error>) -> Option<Bytes> {
    to_bytes(reply.ok()?.into_body(), MOST_CUT_BYTES).await.ok()
}

/// A reply with half of its body; one that has none gets a beginning of one.
async fn cut(reply: Response<Body>) -> Response<Body> {
    let (mut head, body) = reply.into_parts();
    let body = to_bytes(body, MOST_CUT_BYTES).await.unwrap_or_default();
    head.headers.remove(header::CONTENT_LENGTH);
    if body.is_empty() {
        head.status = StatusCode::OK;
        return Response::from_parts(head, Body::from("{"));
    }
    Response::from_parts(head, Body::from(body.slice(..body.len() / 2)))
}

/// The rules that stand.
async fn faults(State(sandbox): State<SandboxWeChat>) -> Json<Vec<Rule>> {
    Json(sandbox.0.faults.rules())
}

/// Replaces the rules.
async fn set_faults(State(sandbox): State<SandboxWeChat>, Json(rules): Json<Vec<Rule>>) -> Response<Body> {
    match sandbox.set_faults(rules) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// Serves it until the task is dropped.
///
/// # Errors
/// As the listener's.
pub async fn serve(listener: TcpListener, sandbox: SandboxWeChat) -> std::io::Result<()> {
    axum::serve(listener, sandbox.router()).await
}
