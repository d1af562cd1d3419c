//! What networks tell by themselves: `POST /networks/{number}/notice`. A notice is believed only as far as it says which payment
//! to ask about; how that went, the courier asks.
//!
//! What this face must never do: take a notice's word for money.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use koudai_core::attempt::HearOfAttempt;
use koudai_core::id::AttemptId;
use koudai_core::ledger::NetworkId;
use koudai_networks::network::Network as _;

use crate::App;

/// The longest notice read, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The route.
pub fn router() -> Router<App> {
    Router::new().route("/networks/{number}/notice", post(hear)).layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// A network tells again what is not answered with 200, so that is said only once the courier will ask.
async fn hear(State(app): State<App>, Path(number): Path<i64>, body: Bytes) -> (StatusCode, &'static str) {
    let Some(line) = app.networks.outside.get(NetworkId(number)) else {
        return (StatusCode::NOT_FOUND, "no such network");
    };
    let Some(about) = line.read_notice(&body) else {
        return (StatusCode::BAD_REQUEST, "not a notice of this network's");
    };
    tracing::info!(network = line.name(), about, "a notice");
    // What is not a payment of ours needs no asking; telling it again would change nothing.
    let Some(attempt) = AttemptId::parse(&about) else { return (StatusCode::OK, "ok") };
    match app.engine.submit(HearOfAttempt { attempt }).await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
    }
}
