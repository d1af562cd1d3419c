//! What the shop and the inbox share over HTTP: the wallet's stylesheet with a few pieces of their own, headers that
//! let a page load nothing else, and the reader's language.

use std::future::ready;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use koudai_web::assets;
use koudai_web::say::Lang;

/// A page may use its own server's files and nothing else; no script or style stands inside it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the files every page needs, and the headers every answer carries.
pub(super) fn dressed(router: Router) -> Router {
    router
        .route(
            "/demo.css",
            get(|| ready(file("text/css; charset=utf-8", include_str!("../../static/demo.css")))),
        )
        .route(
            "/live.js",
            get(|| ready(file("text/javascript; charset=utf-8", include_str!("../../static/live.js")))),
        )
        .route("/mark.svg", get(|| ready(file("image/svg+xml", include_str!("../../static/mark.svg")))))
        .route("/static/{file}", get(asset))
        .layer(middleware::from_fn(guarded))
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

async fn asset(uri: axum::http::Uri) -> Response {
    match assets::find(uri.path()) {
        Some((bytes, content_type)) => {
            let cache = "public, max-age=31536000, immutable";
            ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache)], bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Refuses writes that another site's page sends, and sets the headers.
async fn guarded(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "accept, accept-language"),
    ];
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    let foreign =
        request.method() == Method::POST && site.is_some_and(|site| site != "same-origin" && site != "none");
    let mut response = if foreign {
        (StatusCode::FORBIDDEN, "This was sent by another site.").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let html = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    // Browsers show a picture in a page of their own, which the policy would strip of its style.
    if response.headers().get(header::CONTENT_TYPE).is_some_and(html) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The language the browser asks for.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    let header = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Lang::from_accept_language(header.unwrap_or(""))
}

/// Whether a program asks, which wants JSON.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let header = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    header.is_some_and(|accept| accept.contains("application/json"))
}

/// A rendered page.
pub(super) fn page(status: StatusCode, template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the demo");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
