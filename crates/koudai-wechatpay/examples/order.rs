//! Places an order, prints what to draw as a QR code, and waits until the platform says that it is paid.
//!
//!     cargo run --example order -- merchant.json http://localhost:8080
//!
//! `merchant.json` is what `koudai merchant create` prints. Against a demo, open the printed link in the demo's wallet.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::client::{Client, ClientConfig, Retries};
use koudai_wechatpay::headers::{PlatformKeys, SignedHeaders};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::notice::Notice;
use koudai_wechatpay::types::{NativeOrder, OrderAmount};
use tokio::sync::mpsc;

#[expect(clippy::disallowed_methods, reason = "a program of its own, and the only reader of the clock in it")]
fn unix_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A client from the file that `koudai merchant create` printed.
fn client(merchant: &serde_json::Value, base_url: &str) -> Result<Client, Box<dyn Error>> {
    let text = |name: &str| merchant[name].as_str().ok_or_else(|| format!("the file has no {name}"));
    // Both key modes: whichever key signs a reply, it is known.
    let mut platform_keys = PlatformKeys::new();
    let certificate = PublicKey::from_pem(text("platform_certificate_pem")?)?;
    platform_keys.insert(text("platform_certificate_serial")?, certificate);
    let public_key = PublicKey::from_pem(text("platform_public_key_pem")?)?;
    platform_keys.insert(text("platform_public_key_id")?, public_key);
    let config = ClientConfig {
        base_url: base_url.to_owned(),
        mchid: text("mchid")?.to_owned(),
        serial_no: text("serial_no")?.to_owned(),
        key: PrivateKey::from_pem(text("private_key_pem")?)?,
        api_v3_key: ApiV3Key::new(text("apiv3_key")?)?,
        platform_keys,
        platform_serial: None,
        clock: unix_seconds,
    };
    Ok(Client::new(config)?.with_retries(Retries::USUAL))
}

/// What the server shares with `main`.
struct Shop {
    client: Client,
    paid: mpsc::Sender<Notice>,
}

/// Takes a notification: 204 if it is good, an error otherwise, after which a true one comes again.
async fn told(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Ok(signed) = SignedHeaders::read(header) else { return StatusCode::UNAUTHORIZED };
    match shop.client.open_notification(&signed, &body) {
        Ok(notice) => match shop.paid.try_send(notice) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        },
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: order merchant.json BASE_URL";
    let (Some(file), Some(base_url)) = (arguments.next(), arguments.next()) else { return Err(usage.into()) };
    let merchant: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;

    let (paid, mut notices) = mpsc::channel(16);
    let shop = Arc::new(Shop { client: client(&merchant, &base_url)?, paid });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let notify_url = format!("http://{}/paid", listener.local_addr()?);
    let server = Router::new().route("/paid", post(told)).with_state(Arc::clone(&shop));
    tokio::spawn(async move { axum::serve(listener, server).await });

    let text = |name: &str| merchant[name].as_str().unwrap_or_default().to_owned();
    let order = NativeOrder {
        appid: text("appid"),
        mchid: text("mchid"),
        description: "Latte".to_owned(),
        // The number is what makes sending the order again harmless: keep it before you send.
        out_trade_no: format!("example{}", koudai_wechatpay::nonce12()),
        notify_url,
        amount: OrderAmount { total: 100, currency: None },
        ..NativeOrder::default()
    };
    let placed = shop.client.native(&order).await?;
    println!("order {} is to be paid: {}", order.out_trade_no, placed.code_url);

    loop {
        // A notification may be late or lost, so a till asks as well.
        match tokio::time::timeout(Duration::from_secs(5), notices.recv()).await {
            Ok(Some(Notice::Paid(told))) if told.out_trade_no == order.out_trade_no => {
                let total = told.amount.map(|amount| amount.total);
                println!("told: paid {total:?} fen, transaction {:?}", told.transaction_id);
                return Ok(());
            }
            Ok(_) => {}
            Err(_) => {
                let found = shop.client.query_by_out_trade_no(&order.out_trade_no).await?;
                println!("asked: {}", found.trade_state.as_str());
                if found.trade_state.is_paid() || found.trade_state.is_over_unpaid() {
                    return Ok(());
                }
            }
        }
    }
}
