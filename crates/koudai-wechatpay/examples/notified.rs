//! A server that takes notifications without a client: the raw bytes, the signature, the clock, then the contents.
//!
//!     cargo run --example notified -- merchant.json 127.0.0.1:8090
//!
//! Name `http://127.0.0.1:8090/paid` as `notify_url` of an order.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::headers::{PlatformKeys, SignedHeaders};
use koudai_wechatpay::keys::PublicKey;
use koudai_wechatpay::notice::{self, Notice, NoticeError};

/// More than any notification has.
const MAX_BODY_BYTES: usize = 64 * 1024;

#[expect(clippy::disallowed_methods, reason = "a program of its own, and the only reader of the clock in it")]
fn unix_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

struct Shop {
    mchid: String,
    api_v3_key: ApiV3Key,
    platform_keys: PlatformKeys,
}

/// `body` is what came over the wire: a framework that reads JSON and writes it again breaks the signature.
fn open(shop: &Shop, headers: &HeaderMap, body: &[u8]) -> Result<Notice, NoticeError> {
    let signed = SignedHeaders::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))?;
    notice::open(&signed, body, &shop.platform_keys, &shop.api_v3_key, &shop.mchid, unix_seconds())
}

async fn told(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    match open(&shop, &headers, &body) {
        Ok(Notice::Paid(order)) => {
            // Compare the amount with your own order's, and do this once: the same notice may come again.
            println!("order {} is paid: {:?}", order.out_trade_no, order.amount);
            StatusCode::NO_CONTENT
        }
        Ok(Notice::Refund(refund)) => {
            println!("refund {} is {}", refund.out_refund_no, refund.refund_status.as_str());
            StatusCode::NO_CONTENT
        }
        Ok(Notice::Transfer(transfer)) => {
            println!("transfer {} is {}", transfer.out_bill_no, transfer.state.as_str());
            StatusCode::NO_CONTENT
        }
        Err(error) => {
            println!("refused: {error}");
            StatusCode::UNAUTHORIZED
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: notified merchant.json ADDRESS";
    let (Some(file), Some(address)) = (arguments.next(), arguments.next()) else { return Err(usage.into()) };
    let merchant: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let text = |name: &str| merchant[name].as_str().ok_or_else(|| format!("the file has no {name}"));
    let key = |name: &str| text(name).map(PublicKey::from_pem);
    let shop = Shop {
        mchid: text("mchid")?.to_owned(),
        api_v3_key: ApiV3Key::new(text("apiv3_key")?)?,
        platform_keys: [
            (text("platform_certificate_serial")?, key("platform_certificate_pem")??),
            (text("platform_public_key_id")?, key("platform_public_key_pem")??),
        ]
        .into_iter()
        .collect(),
    };
    let server = Router::new()
        .route("/paid", post(told))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(shop));
    axum::serve(tokio::net::TcpListener::bind(address).await?, server).await?;
    Ok(())
}
