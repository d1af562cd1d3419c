//! An inbox that sandboxes send their codes to.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub(crate) const INBOX_TOKEN: &str = "inbox-token-of-the-test";

/// A message as the inbox got it.
pub(crate) struct Message {
    pub(crate) to: String,
    pub(crate) text: String,
}

impl Message {
    /// The first run of six digits.
    pub(crate) fn code(&self) -> String {
        let digits = self.text.split(|c: char| !c.is_ascii_digit());
        digits.into_iter().find(|run| run.len() == 6).unwrap().to_owned()
    }
}

pub(crate) async fn inbox() -> (String, mpsc::UnboundedReceiver<Message>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Message>>,
                      headers: HeaderMap,
                      Json(body): Json<serde_json::Value>| {
        if headers["authorization"] != format!("Bearer {INBOX_TOKEN}") {
            return StatusCode::UNAUTHORIZED;
        }
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        sender.send(Message { to: text("to"), text: text("text") }).ok();
        StatusCode::OK
    };
    let router = axum::Router::new().route("/messages", axum::routing::post(take)).with_state(sender);
    let (address, listener) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/messages"), receiver)
}

pub(crate) async fn listen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}
