//! One call to the gateway, and an answer that never guesses.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use koudai_core::money::Money;
use koudai_core::time::Timestamp;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::certificates::{Identity, Trust};
use super::codes;
use super::fields::Fields;
use super::reply::{Content, Reply};
use super::signing::{self, RSA2};
use super::wire::{Call, moment};
use crate::network::{Invitations, Place};
use crate::outward;

/// How long a call may take when nobody has a reason to choose otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where calls go unless the contract says otherwise.
pub const GATEWAY: &str = "https://openapi.alipay.com/gateway.do";
/// Where people say who they are unless the contract says otherwise.
pub const AUTHORISE: &str = "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm";
/// How long the bill of a day may take.
const BILL_TIMEOUT: Duration = Duration::from_mins(2);
/// The longest reply read, in bytes.
const MAX_REPLY_BYTES: usize = 256 << 10;
/// The longest bill read, in bytes.
const MAX_BILL_BYTES: usize = 64 << 20;
/// The most payments whose amounts are remembered at once.
const MOST_ORDERED: usize = 100_000;
/// The longest address of another wallet's that a person is sent to, in characters.
const MOST_ADDRESS: usize = 4_096;

/// The parameters that stand in the address of a call. The others, which say what it is about, stand in its body.
const IN_ADDRESS: [&str; 11] = [
    "alipay_root_cert_sn",
    "app_cert_sn",
    "app_id",
    "charset",
    "format",
    "method",
    "notify_url",
    "sign",
    "sign_type",
    "timestamp",
    "version",
];

/// What the operator's contract with Alipay says.
#[derive(Debug)]
pub struct Settings {
    /// Where calls go, such as [`GATEWAY`].
    pub gateway: String,
    /// Where people say who they are, such as [`AUTHORISE`].
    pub authorise: String,
    /// Where Alipay tells us how a payment went.
    pub notices: String,
    /// Where people come back to from a phone's browser; the wallet's number for the payment follows.
    pub back: String,
    /// The app's number, digits only.
    pub app_id: String,
    /// The merchant's number, sixteen digits that begin with 2088.
    pub seller: String,
    /// Signs our calls.
    pub identity: Identity,
    /// Whom to believe.
    pub trust: Trust,
    /// Where the contract lets people pay.
    pub places: Vec<Place>,
    /// Whether the contract lets money be paid out to people. Alipay does that in certificate mode only.
    pub pays_out: bool,
    /// How long a call may take.
    pub timeout: Duration,
    /// Milliseconds since 1970.
    pub clock: fn() -> i64,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an https address without query and user; http is for this machine only.
    #[error("{0} is not a usable address: https, or http to this machine")]
    Address(&'static str),
    /// Not 1 to 32 digits.
    #[error("the app's number is not 1 to 32 digits")]
    App,
    /// Not sixteen digits that begin with 2088.
    #[error("the merchant's number is not 16 digits that begin with 2088")]
    Seller,
    /// The app signs in one mode and believes in the other.
    #[error("a certificate of the app's goes with certificates of Alipay's, and a key with keys")]
    Mode,
    /// Paying out needs certificates.
    #[error("money is paid out in certificate mode only")]
    PaysOut,
    /// The HTTP client could not start.
    #[error("the HTTP client could not start")]
    Http(#[source] reqwest::Error),
}

/// What is known after one call.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The gateway answered this call, and its signature holds.
    Answered(Content),
    /// No connection was made.
    NotSent,
    /// Anything else. Never a failure.
    Unknown,
}

/// Speaks to Alipay as one app of its.
pub struct Alipay {
    http: reqwest::Client,
    pub(crate) settings: Settings,
    pub(crate) invitations: Invitations,
    /// What each payment was to be, for as long as it may be made.
    ordered: Mutex<HashMap<String, (Timestamp, Money)>>,
}

impl fmt::Debug for Alipay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alipay").field("app_id", &self.settings.app_id).finish_non_exhaustive()
    }
}

impl Alipay {
    /// A client of the gateway.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let gateway = address("the gateway's address", &settings.gateway)?;
        let authorise = address("the authorisation page's address", &settings.authorise)?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !(1..=32).contains(&settings.app_id.len()) || !digits(&settings.app_id) {
            return Err(ClientError::App);
        }
        if settings.seller.len() != 16 || !digits(&settings.seller) || !settings.seller.starts_with("2088") {
            return Err(ClientError::Seller);
        }
        let certificates = matches!(settings.trust, Trust::Certificates(_));
        if certificates != settings.identity.certificate.is_some() {
            return Err(ClientError::Mode);
        }
        if settings.pays_out && !certificates {
            return Err(ClientError::PaysOut);
        }
        let http =
            outward::builder(BILL_TIMEOUT, gateway.scheme() == "https").build().map_err(ClientError::Http)?;
        let (gateway, authorise) = (gateway.to_string(), authorise.to_string());
        let settings = Settings { gateway, authorise, ..settings };
        Ok(Self { http, settings, invitations: Invitations::default(), ordered: Mutex::default() })
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp((self.settings.clock)())
    }

    /// A signed request.
    fn request(&self, call: Call, about: &Fields) -> Fields {
        let settings = &self.settings;
        let mut request = about.clone();
        for (name, value) in [
            ("app_id", settings.app_id.as_str()),
            ("method", call.method()),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", RSA2),
            ("timestamp", &moment(self.now())),
            ("version", "1.0"),
            ("notify_url", if call.is_told_of() { &settings.notices } else { "" }),
        ] {
            request.set(name, value);
        }
        if let (Some(number), Trust::Certificates(chain)) = (&settings.identity.certificate, &settings.trust)
        {
            request.set("app_cert_sn", number.as_str());
            request.set("alipay_root_cert_sn", chain.roots_number.as_str());
        }
        signing::sign(&mut request, &settings.identity.key);
        request
    }

    /// A signed address that a person is sent to: the call is made when they get there. Nothing is sent by this.
    pub(crate) fn address_of(&self, call: Call, about: &Fields) -> Option<String> {
        let query = self.request(call, about).to_form();
        let address = format!("{}?{query}", self.settings.gateway);
        (address.len() <= MOST_ADDRESS).then_some(address)
    }

    /// Makes one call that says what it is about as JSON. `number` is the wallet's, for the log.
    pub(crate) async fn call(&self, call: Call, number: &str, content: serde_json::Value) -> Answer {
        let about = Fields::of(&[("biz_content", &content.to_string())]);
        self.call_with(call, number, about).await
    }

    /// Makes one call.
    pub(crate) async fn call_with(&self, call: Call, number: &str, about: Fields) -> Answer {
        let answer = self.post(call, &about).await;
        let (code, sub_code) = match &answer {
            Answer::Answered(content) => (content.text("code"), content.text("sub_code")),
            Answer::NotSent => ("not sent", ""),
            Answer::Unknown => ("unknown", ""),
        };
        if codes::is_ours_to_mend(sub_code) {
            tracing::error!(
                call = call.name(),
                number,
                code,
                sub_code,
                "the gateway refuses what we send or are allowed"
            );
        } else {
            tracing::info!(call = call.name(), number, code, sub_code, "network call");
        }
        answer
    }

    async fn post(&self, call: Call, about: &Fields) -> Answer {
        let body = match self.fetch(call, about).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let Some(reply) = Reply::read(&body, &call.answer()) else { return Answer::Unknown };
        if let Some(number) =
            reply.certificate.as_deref().filter(|number| self.settings.trust.lacks(Some(number)))
        {
            self.learn(number).await;
        }
        let certificate = reply.certificate.as_deref();
        let message = reply.signed.as_bytes();
        if !self.settings.trust.believes(message, &reply.signature, certificate, self.now().0) {
            tracing::warn!(call = call.name(), "a reply is not believed");
            return Answer::Unknown;
        }
        reply.content().map_or(Answer::Unknown, Answer::Answered)
    }

    /// Sends a call, and brings the body of its reply.
    async fn fetch(&self, call: Call, about: &Fields) -> Result<Vec<u8>, Answer> {
        let (in_address, in_body) = self.request(call, about).split(&IN_ADDRESS);
        let request = self
            .http
            .post(format!("{}?{}", self.settings.gateway, in_address.to_form()))
            .timeout(self.settings.timeout)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=utf-8")
            .body(in_body.to_form());
        self.body(request, MAX_REPLY_BYTES).await
    }

    async fn body(&self, request: reqwest::RequestBuilder, most: usize) -> Result<Vec<u8>, Answer> {
        let mut response = match request.send().await {
            Ok(response) if response.status().is_success() => response,
            Err(error) if error.is_connect() => return Err(Answer::NotSent),
            Ok(_) | Err(_) => return Err(Answer::Unknown),
        };
        let mut body = vec![];
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Ok(Some(_)) | Err(_) => return Err(Answer::Unknown),
            }
        }
    }

    /// Fetches a certificate of Alipay's that is not known yet. Its reply cannot be checked by a signature, which may be made
    /// with the certificate itself: what comes is believed by where it leads to.
    async fn learn(&self, number: &str) {
        let about = Fields::of(&[("biz_content", &json!({ "alipay_cert_sn": number }).to_string())]);
        let Ok(body) = self.fetch(Call::Certificate, &about).await else { return };
        let content = Reply::read(&body, &Call::Certificate.answer()).and_then(|reply| reply.content());
        let text = content
            .and_then(|content| STANDARD.decode(content.text("alipay_cert_content")).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let taken = text.is_some_and(|text| self.settings.trust.take(number, &text, self.now().0));
        if taken {
            tracing::info!(certificate = number, "Alipay signs with another certificate");
        } else {
            tracing::error!(certificate = number, "a certificate that Alipay names is none of its own");
        }
    }

    /// The file behind an address that the gateway gave; `None` if it does not come.
    pub(crate) async fn file(&self, url: &str) -> Option<Vec<u8>> {
        let url: Url = url.parse().ok()?;
        // It may be elsewhere than the gateway, and is reached as safely.
        if !is_safe(&url) || (url.scheme() == "http" && self.settings.gateway.starts_with("https:")) {
            tracing::error!("the gateway names a file where none is fetched from");
            return None;
        }
        self.body(self.http.get(url).timeout(BILL_TIMEOUT), MAX_BILL_BYTES).await.ok()
    }

    /// Remembers what a payment is to be until `until`.
    pub(crate) fn remember(&self, number: &str, until: Timestamp, amount: Money) {
        let now = self.now();
        let mut ordered = self.ordered();
        if ordered.len() >= MOST_ORDERED {
            ordered.retain(|_, (until, _)| now < *until);
        }
        if ordered.len() < MOST_ORDERED {
            ordered.insert(number.to_owned(), (until, amount));
        }
    }

    /// What a payment was to be, if that is still known.
    pub(crate) fn remembered(&self, number: &str) -> Option<Money> {
        self.ordered().get(number).map(|(_, amount)| *amount)
    }

    /// Forgets a payment that has ended.
    pub(crate) fn forget(&self, number: &str) {
        self.invitations.end(number, self.now());
        self.ordered().remove(number);
    }

    fn ordered(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, Money)>> {
        self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address is https, or leads to this machine.
fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host_str().is_some(),
        "http" => outward::is_here(url),
        _ => false,
    }
}

fn address(what: &'static str, text: &str) -> Result<Url, ClientError> {
    let url: Url = text.parse().map_err(|_| ClientError::Address(what))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if is_safe(&url) && plain && url.password().is_none() { Ok(url) } else { Err(ClientError::Address(what)) }
}
