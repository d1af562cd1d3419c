//! The merchants' gateway: the wire protocol of WeChat Pay APIv3, so that merchants' existing SDKs work unchanged but
//! for base URL and keys.
//!
//! Every route goes through `guarded`: who asks is proven over the raw bytes before anything looks at them, and every
//! 2xx reply is signed. What this face must never do: decide anything about money (the core does), re-serialise what was
//! signed, or let a key, a signature or a code into a log line.

mod absent;
mod authenticate;
mod bills;
mod certificates;
mod codepay;
mod fault;
mod fields;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
mod notices;
mod orders;
mod refunds;
mod sensitive;
mod sns;
mod transfers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, OriginalUri, Path, Query, Request, State};
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, on};
use koudai_core::id::MchId;
use koudai_core::rows::{Merchant, Product};
use koudai_networks::platform::PlatformKey;
use koudai_wechatpay::keys::PublicKey;
use koudai_wechatpay::strict_json;
use serde::Serialize;
use tracing::Instrument;

use crate::bills::Reading;
use crate::say::Lang;
use crate::{App, peer};
use fault::Fault;
use fields::{Fields, Place};

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// The charset is always said: one SDK verifies the decoded text.
const JSON: &str = "application/json; charset=utf-8";

/// The gateway's routes: `/v3`, and under `/sns` what tells a merchant's server who a person is.
pub fn router() -> Router<App> {
    let place = |product| guarded(MethodFilter::POST, move |call| orders::place(call, product));
    let by_number = guarded(MethodFilter::GET, orders::by_number);
    let by_id = guarded(MethodFilter::GET, orders::by_id);
    let close = guarded(MethodFilter::POST, orders::close);
    let code_pay = guarded(MethodFilter::POST, codepay::take);
    let reverse = guarded(MethodFilter::POST, codepay::reverse);
    let refund = guarded(MethodFilter::POST, refunds::request);
    let refund_by_number = guarded(MethodFilter::GET, refunds::by_number);
    let redirect = guarded(MethodFilter::POST, refunds::redirect);
    let transfer = guarded(MethodFilter::POST, transfers::create);
    let transfer_by_number = guarded(MethodFilter::GET, transfers::by_number);
    let transfer_by_id = guarded(MethodFilter::GET, transfers::by_id);
    let transfer_cancel = guarded(MethodFilter::POST, transfers::cancel);
    Router::new()
        .route("/v3/pay/transactions/native", place(Product::Native))
        .route("/v3/pay/transactions/jsapi", place(Product::Jsapi))
        .route("/v3/pay/transactions/app", place(Product::App))
        .route("/v3/pay/transactions/h5", place(Product::H5))
        .route("/v3/pay/transactions/out-trade-no/{out_trade_no}", by_number)
        .route("/v3/pay/transactions/id/{transaction_id}", by_id)
        .route("/v3/pay/transactions/out-trade-no/{out_trade_no}/close", close)
        .route("/v3/pay/transactions/codepay", code_pay)
        .route("/v3/pay/transactions/out-trade-no/{out_trade_no}/reverse", reverse)
        .route("/v3/refund/domestic/refunds", refund)
        .route("/v3/refund/domestic/refunds/{out_refund_no}", refund_by_number)
        .route("/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund", redirect)
        .route("/v3/bill/tradebill", guarded(MethodFilter::GET, bills::trade))
        .route("/v3/bill/fundflowbill", guarded(MethodFilter::GET, bills::fund_flow))
        .route(bills::DOWNLOAD, guarded(MethodFilter::GET, bills::download))
        .route("/v3/fund-app/mch-transfer/transfer-bills", transfer)
        .route("/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}", transfer_by_number)
        .route("/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}/cancel", transfer_cancel)
        .route("/v3/fund-app/mch-transfer/transfer-bills/transfer-bill-no/{transfer_bill_no}", transfer_by_id)
        .route("/v3/certificates", guarded(MethodFilter::GET, certificates::list))
        .route("/v3/koudai/notices", guarded(MethodFilter::GET, notices::list))
        .route("/v3/koudai/notices/{id}", guarded(MethodFilter::GET, notices::by_id))
        .route("/v3/koudai/notices/{id}/replay", guarded(MethodFilter::POST, notices::replay))
        .method_not_allowed_fallback(|headers: HeaderMap| async move {
            refused(&headers, &Fault::method_not_allowed())
        })
        .route("/v3", any(nowhere))
        .route("/v3/{*rest}", any(nowhere))
        .merge(sns::router())
}

/// A path that leads nowhere.
async fn nowhere(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    refused(&headers, &absent::fault(&uri))
}

/// A request of a merchant that has proven who it is.
struct Call {
    app: App,
    merchant: Merchant,
    /// The key of the certificate that the merchant signed with.
    key: PublicKey,
    /// The platform key that the request names in `Wechatpay-Serial`; empty if it names none.
    platform_serial: String,
    /// The one variable segment of the path, decoded; `None` if there is none or it is not UTF-8.
    segment: Option<String>,
    uri: Uri,
    body: Bytes,
}

/// A file on its way, which is not signed: what vouches for it is the hash in the signed reply that named it.
struct File {
    content_type: &'static str,
    reading: Reading,
}

/// What a handler gives back; every one of them but a file is signed.
enum Reply {
    /// 200 with a body.
    Json(Vec<u8>),
    /// 204.
    Empty,
    /// 200 with a file.
    File(File),
}

impl Reply {
    fn json(value: &impl Serialize) -> Self {
        Self::Json(serde_json::to_vec(value).expect("the wire types are plain JSON"))
    }
}

impl Call {
    /// The body's fields. If it names a merchant, that is the one who signed.
    fn fields<T>(&self, read: impl FnOnce(&Fields<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        read_body(&self.body, self.merchant.mchid, read)
    }

    /// A parameter of the query; given twice it is refused, since programs disagree about which one counts.
    fn parameter(&self, name: &str) -> Result<Option<String>, Fault> {
        let bad = |issue| Fault::parameter(Place::Query, name, None, issue);
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&self.uri) else {
            return Err(bad(fields::UNREADABLE));
        };
        let mut found = pairs.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let first = found.next();
        if found.next().is_some() { Err(bad(fields::TWICE)) } else { Ok(first) }
    }

    /// The query's `mchid`, which queries for orders have to carry, is the one who signed.
    fn check_query_merchant(&self) -> Result<(), Fault> {
        match self.parameter("mchid")? {
            Some(mchid) => same_merchant(self.merchant.mchid, &mchid, Place::Query),
            None => Err(Fault::parameter(Place::Query, "mchid", None, fields::MISSING)),
        }
    }
}

fn same_merchant(signer: MchId, mchid: &str, place: Place) -> Result<(), Fault> {
    if mchid == signer.wire() { Ok(()) } else { Err(Fault::other_merchant(mchid, place)) }
}

/// Reads the body of a request that `signer` signed.
fn read_body<T>(
    body: &[u8],
    signer: MchId,
    read: impl FnOnce(&Fields<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let value = strict_json(body).map_err(|error| Fault::bad_json(&error))?;
    let fields = Fields::of(&value)?;
    if let Some(mchid) = fields.text("mchid", 1..=32)? {
        same_merchant(signer, mchid, Place::Body)?;
    }
    read(&fields)
}

/// A route that only an authenticated merchant reaches.
fn guarded<H, F>(method: MethodFilter, handler: H) -> MethodRouter<App>
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Fault>> + Send + 'static,
{
    let serve = move |State(app): State<App>,
                      route: MatchedPath,
                      OriginalUri(uri): OriginalUri,
                      path: Result<Path<Vec<(String, String)>>, PathRejection>,
                      request: Request| async move {
        let started = Instant::now();
        let request_id = koudai_wechatpay::nonce();
        let (mchid, out_trade_no) = (tracing::field::Empty, tracing::field::Empty);
        let span = tracing::info_span!("gateway", request_id, route = route.as_str(), mchid, out_trade_no);
        let lang = language(request.headers());
        let segment = path.ok().and_then(|Path(segments)| Some(segments.into_iter().next()?.1));
        let work = async {
            let mut signer = None;
            let outcome = answer(&app, &mut signer, (route.as_str(), segment), uri, request, handler).await;
            let code = outcome.as_ref().err().map_or("-", |fault| fault.code);
            let response = respond(&app, signer.as_deref(), &request_id, lang, outcome);
            let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(status = response.status().as_u16(), code, elapsed_ms, "answered");
            response
        };
        work.instrument(span).await
    };
    on(method, serve)
}

/// Reads, authenticates and handles one request. `signer` is set once it is known who asks.
async fn answer<H, F>(
    app: &App,
    signer: &mut Option<Arc<PlatformKey>>,
    (route, segment): (&str, Option<String>),
    uri: Uri,
    request: Request,
    handler: H,
) -> Result<Reply, Fault>
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, Fault>>,
{
    let (head, body) = request.into_parts();
    let most = limits::most_body_bytes(&head.method, route);
    let body = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, most)).await {
        Ok(Ok(body)) => body,
        // A body that broke off ends here too; nobody is left to read the answer.
        Ok(Err(_)) => return Err(Fault::too_large(most)),
        Err(_) => return Err(Fault::too_slow()),
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let asked =
        authenticate::Asked { method: head.method.as_str(), target, headers: &head.headers, body: &body };
    let now = app.engine.clock().now();
    let (merchant, key) = authenticate::merchant(app, &asked).await.map_err(|fault| {
        // Who fails too often is told less, whatever failed. Who signs well is served from any address.
        let address = peer::address(&head.extensions, &head.headers);
        match address.filter(|_| fault.status == StatusCode::UNAUTHORIZED) {
            Some(address) => {
                app.limiter.failure(address, now).map_or_else(Fault::too_many_failures, |()| fault)
            }
            None => fault,
        }
    })?;
    let class = limits::Class::of(&head.method, route);
    app.limiter.call(merchant.mchid, class, now).map_err(Fault::too_many_calls)?;
    *signer = Some(authenticate::signing_key(app, &merchant, &head.headers));
    let platform_serial = authenticate::named_serial(&head.headers).to_owned();
    handler(Call { app: app.clone(), merchant, key, platform_serial, segment, uri, body }).await
}

/// The language of messages: Chinese unless English is preferred.
fn language(headers: &HeaderMap) -> Lang {
    let wish = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Lang::from_accept_language(wish.unwrap_or_default())
}

/// A reply to a request that reached no route.
fn refused(headers: &HeaderMap, fault: &Fault) -> Response {
    let request_id = koudai_wechatpay::nonce();
    tracing::info!(
        request_id,
        status = fault.status.as_u16(),
        code = fault.code,
        "answered outside of every route"
    );
    head(fault.status, &request_id, fault.number, fault.body(language(headers)).into())
}

/// The response to an outcome: every 2xx signed, a 202 that is no success included, and nothing else. Files are not.
fn respond(
    app: &App,
    signer: Option<&PlatformKey>,
    request_id: &str,
    lang: Lang,
    outcome: Result<Reply, Fault>,
) -> Response {
    let wait_s = outcome.as_ref().err().and_then(|fault| fault.retry_after_s);
    let (status, number, body) = match outcome {
        Ok(Reply::File(file)) => {
            let mut response = head(StatusCode::OK, request_id, 0, Body::new(file.reading));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
            return response;
        }
        Ok(Reply::Json(body)) => (StatusCode::OK, 0, body),
        Ok(Reply::Empty) => (StatusCode::NO_CONTENT, 0, Vec::new()),
        Err(fault) => (fault.status, fault.number, fault.body(lang)),
    };
    let signed = signer.filter(|_| status.is_success()).map(|key| key.sign(app.engine.clock().now(), &body));
    let mut response = head(status, request_id, number, body.into());
    if let Some(wait_s) = wait_s {
        response.headers_mut().insert(RETRY_AFTER, wait_s.into());
    }
    for (name, value) in signed.iter().flat_map(koudai_wechatpay::headers::SignedHeaders::pairs) {
        let value = HeaderValue::from_str(&value).expect("what signs is ASCII");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn head(status: StatusCode, request_id: &str, number: u32, body: Body) -> Response {
    let mut response = (status, [(CACHE_CONTROL, "no-store")], body).into_response();
    let id = HeaderValue::from_str(&format!("{request_id}-{number}")).expect("an id is letters and digits");
    response.headers_mut().insert(HeaderName::from_static("request-id"), id);
    if status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_TYPE);
    } else {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    response
}
