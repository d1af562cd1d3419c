//! The merchants' gateway: the wire protocol of WeChat Pay APIv3.

use axum::Router;

use crate::App;

/// The gateway's routes.
pub fn router() -> Router<App> {
    Router::new()
}
