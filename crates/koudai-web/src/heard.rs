//! What networks tell by themselves: `POST /networks/{number}/notice`. A notice is believed only as far as it says which payment
//! to ask about; how that went, the courier asks.
//!
//! What this face must never do: take a notice's word for money.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use koudai_core::attempt::{HearOfAttempt, Outcome};
use koudai_core::id::AttemptId;
use koudai_core::ledger::NetworkId;
use koudai_core::rows::{Attempt, AttemptKind, AttemptState};
use koudai_networks::network::{Moved, Network as _, NoticeIn};

use crate::App;

/// The longest notice read, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The route.
pub fn router() -> Router<App> {
    Router::new().route("/networks/{number}/notice", post(hear)).layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// A network tells again what is not answered with 200, so that is said only once the courier will ask.
async fn hear(
    State(app): State<App>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let Some(line) = app.networks.outside.get(NetworkId(number)) else {
        return (StatusCode::NOT_FOUND, "no such network");
    };
    let Some(about) = line.read_notice(NoticeIn { headers: &headers, body: &body }).await else {
        return (StatusCode::BAD_REQUEST, "not a notice of this network's");
    };
    tracing::info!(network = line.name(), about, "a notice");
    // What is not a payment of ours needs no asking; telling it again would change nothing.
    let Some(attempt) = AttemptId::parse(&about) else { return (StatusCode::OK, line.notice_reply()) };
    if app.engine.submit(HearOfAttempt { attempt }).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "busy");
    }
    tokio::spawn(look_again(app.clone(), NetworkId(number), attempt));
    (StatusCode::OK, line.notice_reply())
}

/// A payment that has failed here and was made there is no failure any more. Nothing is posted for it: what its person was told
/// stands, and somebody has to decide. The books would say so too, a day later.
async fn look_again(app: App, network: NetworkId, attempt: AttemptId) {
    let Some(line) = app.networks.outside.get(network) else { return };
    let read = app.engine.read(move |r| r.get::<Attempt>(&attempt)).await;
    let is_failed_debit = |known: &Attempt| {
        let debit = matches!(known.kind, AttemptKind::TopUp | AttemptKind::CardPayment);
        debit && known.network == network && known.state == AttemptState::Failed
    };
    let Some(known) = read.ok().flatten().filter(is_failed_debit) else { return };
    line.expects(&attempt.wire(), known.amount);
    if let Moved::Ended(Outcome::Succeeded { .. }) = line.query_debit(&attempt.wire()).await {
        let (attempt, network) = (attempt.wire(), line.name());
        tracing::error!(attempt, network, "failed here, and the network says that it was paid: give it back");
    }
}
