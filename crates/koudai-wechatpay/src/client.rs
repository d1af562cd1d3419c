//! A merchant's client: signs each request, checks each reply, and keeps "refused" and "unknown" apart.
//!
//! It sends a call once unless [`Client::with_retries`] allows more, and then only what cannot have a second effect. After
//! [`ClientError::Unknown`] ask with a query, or send the same request with the same number again.

mod bills;
mod certificates;
mod placing;
mod retry;

mod transfers;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use reqwest::{
    Method, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    aead::ApiV3Key,
    authorization::Authorization,
    headers::{PlatformKeys, SERIAL, SignedHeaders, VerifyError, verify_body},
    json::{JsonError, MAX_BODY_BYTES, strict_json},
    keys::PrivateKey,
    nonce,
    notice::{self, Notice, NoticeError},
    types::{
        CloseOrder, CodeOrder, ErrorBody, NativeOrder, NativeReply, Refund, RefundRequest, ReverseOrder,
        ReverseReply, Transaction,
    },
};

pub use bills::{BillError, DOWNLOAD_TIMEOUT};
pub use retry::Retries;

use certificates::Downloads;
use retry::Repeat;

/// How long one request may take, from connecting to the last byte. The platform answers within 5 s or not at all.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting may take, out of [`TIMEOUT`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are given up before the platform does, after about 8 s, so that none breaks on reuse.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest numbers of orders and refunds, in characters.
const MAX_TRADE_NO: usize = 32;
const MAX_REFUND_NO: usize = 64;

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where the platform is, e.g. `https://api.mch.weixin.qq.com`. A path is kept, and signed.
    pub base_url: String,
    /// Merchant number, digits.
    pub mchid: String,
    /// Serial of the merchant's certificate.
    pub serial_no: String,
    /// The merchant's private key.
    pub key: PrivateKey,
    /// The merchant's `APIv3` key.
    pub api_v3_key: ApiV3Key,
    /// Platform keys known beforehand: public keys by id, certificates by serial. May be empty where the platform
    /// hands out certificates, which are then fetched when first needed.
    pub platform_keys: PlatformKeys,
    /// The platform key to name in requests, so that replies are signed with it. None leaves it to the platform.
    pub platform_serial: Option<String>,
    /// The time in Unix seconds.
    pub clock: fn() -> i64,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The platform refused it: nothing was done. Such replies carry no signature; what vouches for them is TLS.
    #[error("refused with status {status}: {} {}", body.code, body.message)]
    Refused {
        /// 400 to 499.
        status: u16,
        /// Code and text.
        body: ErrorBody,
    },
    /// Whether it was done is not known. Query, or send the same again.
    #[error("outcome unknown: {0}")]
    Unknown(#[from] Unknown),
    /// It was never sent, because it cannot be: the value says what is wrong with it.
    #[error("invalid: {0}")]
    Invalid(&'static str),
}

/// Why the outcome of a call is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unknown {
    /// No connection. This try was not sent; an earlier one with the same number may have been.
    #[error("the platform cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// No complete reply within [`TIMEOUT`].
    #[error("the platform did not answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke")]
    Transport(#[source] reqwest::Error),
    /// The reply is over 1 MiB.
    #[error("the reply is too large")]
    TooLarge,
    /// 202, 3xx, 408, 429, 5xx, or 4xx without a readable body.
    #[error("status {status}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Code and text, if there are any.
        body: Option<ErrorBody>,
    },
    /// The reply's signature was not accepted.
    #[error("the reply is not the platform's: {0}")]
    Verify(#[source] VerifyError),
    /// The reply is the platform's but not readable.
    #[error("the reply is not as expected: {0}")]
    Body(#[source] JsonError),
    /// The reply is the platform's but about something else; the value names the field. A signature does not cover the
    /// request, so an answer to one question could be passed off as the answer to another.
    #[error("the reply is about another `{0}`")]
    Mismatch(&'static str),
    /// The last try was refused, but the outcome of one before it, of the same call, is unknown.
    #[error("refused with status {status} after a try without an answer: {} {}", body.code, body.message)]
    Refused {
        /// 400 to 499.
        status: u16,
        /// Code and text.
        body: ErrorBody,
    },
    /// A platform certificate did not open, which means another `APIv3` key, or is not what it says.
    #[error("a platform certificate cannot be read")]
    Certificate,
}

impl ClientError {
    /// Whether the call may be sent again: it failed on the way, or the platform could not do it just now.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unknown(Unknown::Status { status, .. }) => matches!(status, 429 | 500..=599),
            Self::Unknown(unknown) => {
                matches!(unknown, Unknown::Unreachable(_) | Unknown::Timeout | Unknown::Transport(_))
            }
            Self::Refused { .. } | Self::Invalid(_) => false,
        }
    }
}

/// What a merchant signs with.
#[derive(Clone, Debug)]
struct Identity {
    serial_no: String,
    key: PrivateKey,
    /// From when, in Unix seconds.
    from_s: i64,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A merchant's client. Use one for all calls: it keeps connections and platform keys.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    /// Certificates of the merchant's that follow the one of the configuration, each from its time on.
    next: Vec<Identity>,
    retries: Retries,
    timeout: Duration,
    http: reqwest::Client,
    /// Those of the configuration and those of the last download.
    keys: RwLock<Arc<PlatformKeys>>,
    /// Whether a certificate that is not known is looked for.
    searching: bool,
    downloads: Downloads,
}

impl Client {
    /// Makes a client. Connects to nothing yet.
    ///
    /// # Errors
    /// `Invalid` for a base URL that is not plain http or https, a merchant number that is not digits, a serial that is
    /// not one, or a system without root certificates when https is asked for.
    pub fn new(mut config: ClientConfig) -> Result<Self, ClientError> {
        let url = Url::parse(&config.base_url).map_err(|_| ClientError::Invalid("base_url"))?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !plain || url.password().is_some() || !matches!(url.scheme(), "http" | "https") || !url.has_host()
        {
            return Err(ClientError::Invalid("base_url"));
        }
        url.as_str().trim_end_matches('/').clone_into(&mut config.base_url);
        let digits = config.mchid.bytes().all(|byte| byte.is_ascii_digit());
        if config.mchid.is_empty() || config.mchid.len() > 32 || !digits {
            return Err(ClientError::Invalid("mchid"));
        }
        if !is_key_name(&config.serial_no) {
            return Err(ClientError::Invalid("serial_no"));
        }
        if !config.platform_serial.as_deref().is_none_or(is_key_name) {
            return Err(ClientError::Invalid("platform_serial"));
        }
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only();
        if url.scheme() == "http" {
            // Without TLS there is nothing to trust, and a machine without root certificates will do.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_| ClientError::Invalid("the system's root certificates"))?;
        let keys = RwLock::new(Arc::new(config.platform_keys.clone()));
        let (next, retries, downloads) = (Vec::new(), Retries::NONE, Downloads::default());
        Ok(Self { config, next, retries, timeout: TIMEOUT, http, keys, searching: true, downloads })
    }

    /// The same client, which believes the keys of its configuration alone: certificates it does not know are not looked for. For a
    /// merchant who only uses public keys.
    #[must_use]
    pub fn with_known_keys_only(mut self) -> Self {
        self.searching = false;
        self
    }

    /// The same client, which signs by another certificate of the merchant's from a time on, in Unix seconds. Of several the one
    /// whose time came last signs, so that a certificate is replaced without a pause.
    ///
    /// # Errors
    /// `Invalid` for a serial that is not one.
    pub fn with_next_certificate(
        mut self,
        serial_no: &str,
        key: PrivateKey,
        from_s: i64,
    ) -> Result<Self, ClientError> {
        if !is_key_name(serial_no) {
            return Err(ClientError::Invalid("serial_no"));
        }
        self.next.push(Identity { serial_no: serial_no.to_owned(), key, from_s });
        Ok(self)
    }

    /// The same client, which gives up a request after this long instead of [`TIMEOUT`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same client, which sends calls without an answer again where that is harmless. Needs a runtime with timers.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Places an order to be paid by scanning. The same order again gives the same or a fresh code.
    ///
    /// # Errors
    /// See [`ClientError`]. `Invalid` if the order names another merchant or has no amount.
    pub async fn native(&self, order: &NativeOrder) -> Result<NativeReply, ClientError> {
        self.check_order(&order.mchid, order.amount.total)?;
        self.place("/v3/pay/transactions/native", order).await
    }

    /// Asks for an order by the merchant's number.
    ///
    /// # Errors
    /// See [`ClientError`]; an order the platform does not know is `Refused` with `ORDER_NOT_EXIST`.
    pub async fn query_by_out_trade_no(&self, out_trade_no: &str) -> Result<Transaction, ClientError> {
        let number = segment(out_trade_no, MAX_TRADE_NO, "out_trade_no")?;
        let path = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", self.config.mchid);
        let found: Transaction = self.json(Method::GET, &path, &[]).await?;
        same(&found.mchid, &self.config.mchid, "mchid")?;
        same(&found.out_trade_no, out_trade_no, "out_trade_no")?;
        Ok(found)
    }

    /// Asks for a paid order by the platform's number.
    ///
    /// # Errors
    /// As [`query_by_out_trade_no`](Self::query_by_out_trade_no).
    pub async fn query_by_transaction_id(&self, transaction_id: &str) -> Result<Transaction, ClientError> {
        let number = segment(transaction_id, MAX_TRADE_NO, "transaction_id")?;
        let path = format!("/v3/pay/transactions/id/{number}?mchid={}", self.config.mchid);
        let found: Transaction = self.json(Method::GET, &path, &[]).await?;
        same(&found.mchid, &self.config.mchid, "mchid")?;
        same(found.transaction_id.as_deref().unwrap_or_default(), transaction_id, "transaction_id")?;
        Ok(found)
    }

    /// Closes an unpaid order. Closing it again succeeds again.
    ///
    /// # Errors
    /// See [`ClientError`]; a paid order is `Refused` with `ORDER_PAID`.
    pub async fn close(&self, out_trade_no: &str) -> Result<(), ClientError> {
        let number = segment(out_trade_no, MAX_TRADE_NO, "out_trade_no")?;
        let path = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        let request = body(&CloseOrder { mchid: self.config.mchid.clone() })?;
        self.verified(Repeat::Numbered, Method::POST, &path, &request).await.map(drop)
    }

    /// Takes a payment by the code that the payer shows. The reply is the outcome.
    ///
    /// # Errors
    /// See [`ClientError`]. `Unknown` may have status 202: the payer or their bank is being asked. After that, as after any
    /// `Unknown`, query until it is settled, and [`reverse`](Self::reverse) it if that takes too long.
    pub async fn code_pay(&self, order: &CodeOrder) -> Result<Transaction, ClientError> {
        self.check_order(&order.mchid, order.amount.total)?;
        let paid: Transaction =
            self.json(Method::POST, "/v3/pay/transactions/codepay", &body(order)?).await?;
        same(&paid.mchid, &self.config.mchid, "mchid")?;
        same(&paid.out_trade_no, &order.out_trade_no, "out_trade_no")?;
        Ok(paid)
    }

    /// Takes a payment by code back for good, whatever its outcome was or will be. Doing it again succeeds again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn reverse(&self, appid: &str, out_trade_no: &str) -> Result<(), ClientError> {
        let number = segment(out_trade_no, MAX_TRADE_NO, "out_trade_no")?;
        let path = format!("/v3/pay/transactions/out-trade-no/{number}/reverse");
        let request = ReverseOrder { appid: appid.to_owned(), mchid: self.config.mchid.clone() };
        let reply: ReverseReply = self.json(Method::POST, &path, &body(&request)?).await?;
        same(&reply.out_trade_no, out_trade_no, "out_trade_no")
    }

    /// Asks for a refund. Success means accepted: the money has arrived only when the status says so.
    ///
    /// # Errors
    /// See [`ClientError`]. `Invalid` if no order is named or the amounts cannot be.
    pub async fn refund(&self, request: &RefundRequest) -> Result<Refund, ClientError> {
        segment(&request.out_refund_no, MAX_REFUND_NO, "out_refund_no")?;
        if request.transaction_id.is_none() && request.out_trade_no.is_none() {
            return Err(ClientError::Invalid("out_trade_no"));
        }
        if request.amount.refund < 1 || request.amount.refund > request.amount.total {
            return Err(ClientError::Invalid("amount.refund"));
        }
        let sent = body(request)?;
        let found: Refund =
            self.json_as(Repeat::Numbered, Method::POST, "/v3/refund/domestic/refunds", &sent).await?;
        same(&found.out_refund_no, &request.out_refund_no, "out_refund_no")?;
        if found.amount.refund != request.amount.refund {
            return Err(Unknown::Mismatch("amount.refund").into());
        }
        Ok(found)
    }

    /// Asks for a refund by the merchant's number.
    ///
    /// # Errors
    /// See [`ClientError`]; a refund the platform does not know is `Refused` with `RESOURCE_NOT_EXISTS`.
    pub async fn query_refund(&self, out_refund_no: &str) -> Result<Refund, ClientError> {
        let number = segment(out_refund_no, MAX_REFUND_NO, "out_refund_no")?;
        let found: Refund =
            self.json(Method::GET, &format!("/v3/refund/domestic/refunds/{number}"), &[]).await?;
        same(&found.out_refund_no, out_refund_no, "out_refund_no")?;
        Ok(found)
    }

    /// Opens a notification from its headers and raw body, by the keys known now. [`receive`](Self::receive) looks for one that
    /// is not known.
    ///
    /// # Errors
    /// See [`NoticeError`].
    pub fn open_notification(&self, headers: &SignedHeaders, body: &[u8]) -> Result<Notice, NoticeError> {
        let ClientConfig { api_v3_key, mchid, clock, .. } = &self.config;
        notice::open(headers, body, &self.platform_keys(), api_v3_key, mchid, clock())
    }

    /// The platform keys known now.
    pub fn platform_keys(&self) -> Arc<PlatformKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The value of a reply that is 2xx and the platform's. Only a question is ever sent again.
    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<T, ClientError> {
        let repeat = if method == Method::GET { Repeat::Question } else { Repeat::Never };
        self.json_as(repeat, method, path, body).await
    }

    async fn json_as<T: DeserializeOwned>(
        &self,
        repeat: Repeat,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<T, ClientError> {
        let reply = self.verified(repeat, method, path, body).await?;
        Ok(strict_json(&reply).map_err(Unknown::Body)?)
    }

    /// The body of a reply that is 2xx and the platform's.
    async fn verified(
        &self,
        repeat: Repeat,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        let reply = self.settled(repeat, method, path, body).await?;
        self.check_refreshing(&reply).await?;
        // 202 says that the payer is just paying: a signed "ask again".
        if reply.status == 202 {
            return Err(Unknown::Status { status: 202, body: strict_json(&reply.body).ok() }.into());
        }
        Ok(reply.body)
    }

    /// A reply that is 2xx, after as many tries as are allowed.
    async fn settled(
        &self,
        repeat: Repeat,
        method: Method,
        path: &str,
        body: &[u8],
    ) -> Result<Reply, ClientError> {
        let (mut tries, mut undecided) = (0_u32, false);
        loop {
            let reply = self.exchange(method.clone(), path, body).await;
            let asked = reply.as_ref().ok().and_then(retry_after);
            let error = match reply.and_then(settled) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if repeat == Repeat::Never || tries >= self.retries.times || !error.is_passing() {
                return Err(match error {
                    // A refusal says that this try did nothing. It does not say so of the ones before.
                    ClientError::Refused { status, body } if undecided && repeat == Repeat::Numbered => {
                        Unknown::Refused { status, body }.into()
                    }
                    error => error,
                });
            }
            tries += 1;
            undecided |= !matches!(error, ClientError::Unknown(Unknown::Unreachable(_)));
            let mut random = [0; 2];
            crate::random::fill(&mut random);
            tokio::time::sleep(self.retries.pause(tries, asked, u16::from_le_bytes(random))).await;
        }
    }

    fn check(&self, reply: &Reply, keys: &PlatformKeys) -> Result<(), VerifyError> {
        let headers =
            SignedHeaders::read(|name| reply.headers.get(name).and_then(|value| value.to_str().ok()))?;
        verify_body(&headers, keys, (self.config.clock)(), &reply.body)
    }

    /// What signs now: serial and key.
    fn identity(&self) -> (&str, &PrivateKey) {
        let now_s = (self.config.clock)();
        let turn = self.next.iter().filter(|next| next.from_s <= now_s).max_by_key(|next| next.from_s);
        turn.map_or((&self.config.serial_no, &self.config.key), |next| (&next.serial_no, &next.key))
    }

    /// Sends one signed request and takes in the reply, whatever it is.
    async fn exchange(&self, method: Method, path: &str, body: &[u8]) -> Result<Reply, ClientError> {
        let url = format!("{}{path}", self.config.base_url);
        let url = Url::parse(&url).map_err(|_| ClientError::Invalid("path"))?;
        whole(self.send(method, url, body, self.timeout).await?).await
    }

    /// Sends one signed request, and returns once the head of the reply is there.
    async fn send(
        &self,
        method: Method,
        url: Url,
        body: &[u8],
        within: Duration,
    ) -> Result<Response, ClientError> {
        let ClientConfig { mchid, clock, platform_serial, .. } = &self.config;
        let (serial_no, key) = self.identity();
        // Signed is what the URL says after parsing, since that is what is sent.
        let target =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let authorization =
            Authorization::sign(key, mchid, serial_no, method.as_str(), &target, clock(), &nonce(), body);
        let mut request = self
            .http
            .request(method, url)
            .timeout(within)
            .header(AUTHORIZATION, authorization.header_value())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("koudai-wechatpay/", env!("CARGO_PKG_VERSION")));
        if let Some(serial) = platform_serial {
            request = request.header(SERIAL, serial);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        Ok(request.send().await.map_err(broken)?)
    }
}

/// Takes in a reply, whatever it is, up to the most a body may have.
async fn whole(mut response: Response) -> Result<Reply, ClientError> {
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Unknown::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body })
}

/// Passes on 2xx. Of the rest, only a 4xx that says in the protocol's own words what was wrong is a refusal: a 4xx
/// without them may come from something in between, and 408 and 429 leave writes undecided.
fn settled(reply: Reply) -> Result<Reply, ClientError> {
    let status = reply.status;
    if (200..=299).contains(&status) {
        return Ok(reply);
    }
    match strict_json::<ErrorBody>(&reply.body).ok() {
        Some(body) if (400..=499).contains(&status) && !matches!(status, 408 | 429) => {
            Err(ClientError::Refused { status, body })
        }
        body => Err(Unknown::Status { status, body }.into()),
    }
}

/// How long the platform asks to be left alone, if it says so in seconds.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let seconds = reply.headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// The URL goes out of the error: it carries merchant and order numbers.
fn broken(error: reqwest::Error) -> Unknown {
    let error = error.without_url();
    if error.is_connect() {
        Unknown::Unreachable(error)
    } else if error.is_timeout() {
        Unknown::Timeout
    } else {
        Unknown::Transport(error)
    }
}

/// Whether this can be a serial or an id of a key.
fn is_key_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(known)
}

fn body(request: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(request).map_err(|_| ClientError::Invalid("the request"))
}

fn same(found: &str, asked: &str, field: &'static str) -> Result<(), ClientError> {
    if found == asked { Ok(()) } else { Err(Unknown::Mismatch(field).into()) }
}

/// A number as a path segment. Of the characters numbers may have, only `|` has to be escaped.
fn segment(number: &str, max: usize, field: &'static str) -> Result<String, ClientError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte);
    if number.is_empty() || number.len() > max || !number.bytes().all(allowed) {
        return Err(ClientError::Invalid(field));
    }
    Ok(number.replace('|', "%7C"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_characters_of_numbers_reach_a_path() {
        assert_eq!(segment("a|b*c@d-e_1", 32, "x").unwrap(), "a%7Cb*c@d-e_1");
        for number in ["", "a/b", "..", "a?b", "a#b", "a%2Fb", "a b", "口袋", &"1".repeat(33)] {
            assert!(matches!(segment(number, 32, "x"), Err(ClientError::Invalid("x"))), "{number}");
        }
    }
}
