//! The other side: a platform that checks a merchant's request and signs its reply; enough of one to test a shop against.
//!
//!     cargo run --example platform
//!
//! It makes its keys and a merchant, takes an order from that merchant with this crate's own client, and ends.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::authorization::Authorization;
use koudai_wechatpay::certificate::{Authority, Certificate, serial_matches};
use koudai_wechatpay::client::{Client, ClientConfig};
use koudai_wechatpay::headers::{sign_body, within_window};
use koudai_wechatpay::keys::PrivateKey;
use koudai_wechatpay::types::{ErrorBody, NativeOrder, NativeReply, OrderAmount};
use koudai_wechatpay::{nonce, strict_json};

const MCHID: &str = "1900007291";

#[expect(clippy::disallowed_methods, reason = "a program of its own, and the only reader of the clock in it")]
fn unix_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

struct Platform {
    key: PrivateKey,
    certificate: Certificate,
    /// What the merchant signs with.
    merchant: Certificate,
}

/// A refusal is not signed, as in the original.
fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let body = ErrorBody { code: code.to_owned(), message: message.to_owned(), detail: None };
    (status, serde_json::to_vec(&body).unwrap_or_default()).into_response()
}

/// Whether the merchant signed this, over the bytes as they came.
fn is_signed(platform: &Platform, method: &Method, target: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Ok(read) = Authorization::parse(header.unwrap_or_default()) else { return false };
    read.mchid == MCHID
        && serial_matches(&read.serial_no, &platform.merchant.serial)
        && within_window(read.timestamp, unix_seconds())
        && read.verify(&platform.merchant.public_key, method.as_str(), target, body).is_ok()
}

async fn answer(
    State(platform): State<Arc<Platform>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    if !is_signed(&platform, &method, target, &headers, &body) {
        return refused(StatusCode::UNAUTHORIZED, "SIGN_ERROR", "the signature does not match");
    }
    let Ok(order) = strict_json::<NativeOrder>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "PARAM_ERROR", "not an order");
    };
    println!("the platform was asked for order {} over {} fen", order.out_trade_no, order.amount.total);
    let reply = NativeReply { code_url: format!("https://pay.example.org/q/{}", nonce()) };
    let body = serde_json::to_vec(&reply).unwrap_or_default();
    let signed = sign_body(&platform.key, &platform.certificate.serial, unix_seconds(), &nonce(), &body);
    let mut response = body.into_response();
    for (name, value) in signed.pairs() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let now_ms = unix_seconds() * 1_000;
    let authority = Authority::generate("Example authority", now_ms)?;
    let (platform_key, merchant_key) = (PrivateKey::generate(), PrivateKey::generate());
    let certificate = authority.issue("Example platform", &platform_key.public_key(), now_ms, 5)?;
    let merchant = authority.issue(MCHID, &merchant_key.public_key(), now_ms, 5)?;
    let config = ClientConfig {
        base_url: String::new(),
        mchid: MCHID.to_owned(),
        serial_no: merchant.serial.clone(),
        key: merchant_key,
        api_v3_key: ApiV3Key::generate(),
        platform_keys: [(&certificate.serial, certificate.public_key.clone())].into_iter().collect(),
        platform_serial: None,
        clock: unix_seconds,
    };

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let platform = Arc::new(Platform { key: platform_key, certificate, merchant });
    let server = Router::new().fallback(any(answer)).with_state(platform);
    tokio::spawn(async move { axum::serve(listener, server).await });

    let client = Client::new(ClientConfig { base_url, ..config })?;
    let order = NativeOrder {
        appid: "wxd678efh567hg6787".to_owned(),
        mchid: MCHID.to_owned(),
        description: "Latte".to_owned(),
        out_trade_no: "order-1".to_owned(),
        notify_url: "https://shop.example.org/paid".to_owned(),
        amount: OrderAmount { total: 3_600, currency: None },
        ..NativeOrder::default()
    };
    println!("the merchant was answered: {}", client.native(&order).await?.code_url);
    Ok(())
}
