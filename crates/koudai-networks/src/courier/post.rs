//! One call to a merchant's endpoint: what is sent, and what came of it. Nothing that comes back is believed or kept but
//! the status and how the body begins.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use koudai_core::rows::{DeliveryOutcome, Merchant};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::headers::SignedHeaders;
use koudai_wechatpay::types::{ENCRYPTED_RESOURCE, Notification, Resource};
use reqwest::{Client, Response, Url};

use crate::reach::NameError;
use crate::vault::{Sealed, Vault};

/// How much of an answer's body is kept, in bytes.
const KEPT: usize = 512;
/// How much of it is read, so that the connection can be used again.
const READ: usize = 16 * 1024;
/// How long it may take to arrive: the status has said all that counts.
const BODY_WITHIN: Duration = Duration::from_millis(250);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) outcome: DeliveryOutcome,
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
    pub(crate) said: Option<String>,
}

/// Host and port of an address, as they tell endpoints apart.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What is to be told, before it is encrypted for the merchant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) id: &'a str,
    pub(crate) create_time: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) original_type: &'a str,
    pub(crate) plain: &'a [u8],
}

/// The body of a notification; `None` if the merchant's key does not open.
pub(crate) fn body(vault: &Vault, merchant: &Merchant, content: Content<'_>) -> Option<Vec<u8>> {
    let key = vault.open_text(Sealed::ApiV3Key, &merchant.apiv3_key_sealed);
    let Some(key) = key.ok().and_then(|k| ApiV3Key::new(k.expose()).ok()) else {
        tracing::error!(mchid = merchant.mchid.0, "a merchant's key does not open with the operator's keys");
        return None;
    };
    let notification = Notification {
        id: content.id.to_owned(),
        create_time: content.create_time.to_owned(),
        event_type: content.event_type.to_owned(),
        resource_type: ENCRYPTED_RESOURCE.to_owned(),
        summary: content.summary.to_owned(),
        resource: Resource::seal(&key, Some(content.original_type), content.original_type, content.plain),
    };
    Some(serde_json::to_vec(&notification).expect("the protocol's types are plain data"))
}

/// Sends a signed body once.
pub(crate) async fn send(client: &Client, url: Url, body: Vec<u8>, signed: &SignedHeaders) -> Sent {
    let began = Instant::now();
    let mut request = client.post(url).header("content-type", "application/json").body(body);
    for (name, value) in signed.pairs() {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(reply) => {
            let (status, took) = (reply.status().as_u16(), began.elapsed());
            let answered = matches!(status, 200 | 204);
            let outcome = if answered { DeliveryOutcome::Answered } else { DeliveryOutcome::Status };
            Sent { outcome, status: Some(status), took, said: beginning(reply).await }
        }
        Err(error) => Sent { outcome: outcome(&error), status: None, took: began.elapsed(), said: None },
    }
}

/// Why there was no answer.
fn outcome(error: &reqwest::Error) -> DeliveryOutcome {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    for cause in causes {
        match cause.downcast_ref::<NameError>() {
            Some(NameError::NotAllowed) => return DeliveryOutcome::NotAllowed,
            Some(NameError::NotFound(_)) => return DeliveryOutcome::NotFound,
            None => {}
        }
        if error.is_connect() && cause.downcast_ref::<io::Error>().is_some_and(is_of_tls) {
            return DeliveryOutcome::Untrusted;
        }
    }
    if error.is_timeout() {
        DeliveryOutcome::NoAnswer
    } else if error.is_connect() {
        DeliveryOutcome::Unreachable
    } else {
        DeliveryOutcome::Broken
    }
}

/// Whether an error while connecting is one of TLS: it comes as data that is not valid, or as an end before the beginning,
/// perhaps inside of another error, which does not name it as its cause.
fn is_of_tls(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        || error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).is_some_and(is_of_tls)
}

/// How the body of an answer begins, as text.
async fn beginning(mut reply: Response) -> Option<String> {
    let mut kept = Vec::new();
    let reading = async {
        let mut read = 0;
        while let Ok(Some(chunk)) = reply.chunk().await {
            kept.extend_from_slice(&chunk[..chunk.len().min(KEPT - kept.len())]);
            read += chunk.len();
            if read > READ {
                break;
            }
        }
    };
    let _late = tokio::time::timeout(BODY_WITHIN, reading).await;
    text(&kept)
}

/// Bytes as text that a log and a database can hold.
fn text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.truncate(plain.floor_char_boundary(KEPT));
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_merchant_says_is_kept_as_short_plain_text() {
        assert_eq!(text(b""), None);
        assert_eq!(text(b" \r\n\0"), None);
        assert_eq!(text(b"{\"code\":\"FAIL\"}\n").as_deref(), Some("{\"code\":\"FAIL\"}"));
        assert_eq!(text(b"a\0b\x1b[2J").as_deref(), Some("a b [2J"));
        let long = text(&[0xff; KEPT]).unwrap();
        assert!(long.len() <= KEPT && long.chars().all(|c| c == '\u{fffd}'));
    }

    #[test]
    fn an_endpoint_is_a_host_and_its_port() {
        let of = |text: &str| host(&text.parse().unwrap());
        assert_eq!(of("https://shop.example/n"), "shop.example");
        assert_eq!(of("https://shop.example:8443/n"), "shop.example:8443");
        assert_eq!(of("http://[::1]:80/"), "[::1]");
    }
}
