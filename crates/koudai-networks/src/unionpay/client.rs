//! One call to the network, and an answer that never guesses.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koudai_core::time::{DAY, HOUR, Timestamp};
use koudai_wechatpay::certificate::Certificate;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

use super::certificates::{Identity, Trust};
use super::codes::is_ours_to_mend;
use super::fields::Fields;
use super::signing::{self, SigningError};
use super::wire::{Call, txn_time};
use crate::network::CardDetails;
use crate::outward;

/// How long a call may take when nobody has a reason to choose otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the file of a day may take.
const FILE_TIMEOUT: Duration = Duration::from_mins(2);
/// The longest reply read, in bytes.
const MAX_REPLY_BYTES: usize = 64 << 10;
/// The longest file reply read, in bytes.
const MAX_FILE_BYTES: usize = 64 << 20;
/// The most cards on their way to be opened at once, each held in memory for ten minutes at most.
const MOST_OPENING: usize = 10_000;
/// How long a card on its way to be opened is held in memory.
const OPENING_MS: i64 = 600_000;

/// What the operator's contract with the network says.
#[derive(Debug)]
pub struct Settings {
    /// Where calls go, such as `https://gateway.95516.com/gateway/api/`.
    pub gateway: String,
    /// Where files are, such as `https://filedownload.95516.com/`.
    pub files: String,
    /// Where the network tells us how a payment went.
    pub notices: String,
    /// The merchant's number at the network, 15 digits or letters.
    pub merchant: String,
    /// The number that asks for tokens.
    pub requestor: String,
    /// Signs our calls.
    pub identity: Identity,
    /// Whom to believe.
    pub trust: Trust,
    /// When a clearing day ends, in milliseconds after midnight.
    pub clearing_cut_ms: i64,
    /// How long a call may take.
    pub timeout: Duration,
    /// Milliseconds since 1970.
    pub clock: fn() -> i64,
}

/// When a clearing day ends unless the contract says otherwise: 23:00.
pub const CLEARING_CUT_MS: i64 = 23 * HOUR;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an http or https address without query and user.
    #[error("{0} is not a usable address")]
    Address(&'static str),
    /// Not 15 digits or letters.
    #[error("the merchant's number is not 15 digits or letters")]
    Merchant,
    /// Not 1 to 20 digits or letters.
    #[error("the token requestor's number is not 1 to 20 digits or letters")]
    Requestor,
    /// The HTTP client could not start.
    #[error("the HTTP client could not start")]
    Http(#[source] reqwest::Error),
}

/// What is known after one call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The network answered this call, and its signature holds.
    Answered(Fields),
    /// No connection was made.
    NotSent,
    /// Anything else. Never a failure.
    Unknown,
}

/// Speaks to the network as one merchant of its.
pub struct UnionPay {
    http: reqwest::Client,
    pub(crate) settings: Settings,
    /// Cards whose holders have been sent a code: the network has to be shown the number once more, and it stands nowhere else.
    opening: Arc<Mutex<HashMap<String, (Timestamp, CardDetails)>>>,
    /// The certificate fields are encrypted for, and since when it is known.
    cipher: Mutex<Option<(Timestamp, Certificate)>>,
    /// Counts the numbers that stand for nothing of the wallet's.
    count: AtomicU64,
}

impl fmt::Debug for UnionPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnionPay").field("merchant", &self.settings.merchant).finish_non_exhaustive()
    }
}

impl UnionPay {
    /// A client of the network.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let gateway = address("the gateway's address", &settings.gateway)?;
        let files = address("the file service's address", &settings.files)?;
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
        if settings.merchant.len() != 15 || !word(&settings.merchant) {
            return Err(ClientError::Merchant);
        }
        if !(1..=20).contains(&settings.requestor.len()) || !word(&settings.requestor) {
            return Err(ClientError::Requestor);
        }
        let tls = [&gateway, &files].iter().any(|url| url.scheme() == "https");
        let http = outward::builder(FILE_TIMEOUT, tls).build().map_err(ClientError::Http)?;
        let slash = |url: &Url| format!("{}/", url.as_str().trim_end_matches('/'));
        let settings = Settings { gateway: slash(&gateway), files: slash(&files), ..settings };
        let (opening, cipher) = (Arc::default(), Mutex::default());
        Ok(Self { http, settings, opening, cipher, count: AtomicU64::default() })
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp((self.settings.clock)())
    }

    /// Sends one call about the transaction of this number and time. A file has no number.
    pub(crate) async fn call(&self, call: Call, order_id: &str, at: Timestamp, fields: Fields) -> Reply {
        let mut message = fields.with("orderId", order_id).with("txnTime", txn_time(at));
        let [kind, sub, biz] = call.kinds();
        if message.get("bizType").is_none() {
            message.set("bizType", biz);
        }
        for (name, value) in [
            ("txnType", kind),
            ("txnSubType", sub),
            ("accessType", "0"),
            ("channelType", "07"),
            ("merId", &self.settings.merchant),
        ] {
            message.set(name, value);
        }
        signing::sign(&mut message, &self.settings.identity);
        let reply = self.post(call, &message).await;
        let code = match &reply {
            Reply::Answered(fields) => fields.text("respCode"),
            Reply::NotSent => "not sent",
            Reply::Unknown => "unknown",
        };
        if is_ours_to_mend(code) {
            tracing::error!(
                call = call.name(),
                order_id,
                code,
                "the network refuses what we send or are allowed"
            );
        } else {
            tracing::info!(call = call.name(), order_id, code, "network call");
        }
        reply
    }

    async fn post(&self, call: Call, message: &Fields) -> Reply {
        let (base, most, timeout) = match call {
            Call::File => (&self.settings.files, MAX_FILE_BYTES, FILE_TIMEOUT),
            _ => (&self.settings.gateway, MAX_REPLY_BYTES, self.settings.timeout),
        };
        let request = self
            .http
            .post(format!("{base}{}", call.path()))
            .timeout(timeout)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8")
            .body(message.to_form());
        let mut response = match request.send().await {
            Ok(response) if response.status().is_success() => response,
            Err(error) if error.is_connect() => return Reply::NotSent,
            Ok(_) | Err(_) => return Reply::Unknown,
        };
        let mut body = vec![];
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => return Reply::Unknown,
            }
        }
        let Some(reply) = Fields::from_reply(&body) else { return Reply::Unknown };
        if let Err(why) = signing::verify(&reply, &self.settings.trust, self.now().0) {
            tracing::warn!(call = call.name(), %why, "a reply is not believed");
            return Reply::Unknown;
        }
        // An answer to another call would be believed just as well.
        let same = |name: &str| reply.get(name) == message.get(name);
        let which = if call == Call::File { ["settleDate", "fileType"] } else { ["orderId", "txnTime"] };
        let is_to_it = ["txnType", "txnSubType", "merId"].into_iter().chain(which).all(same);
        if is_to_it && reply.get("respCode").is_some() { Reply::Answered(reply) } else { Reply::Unknown }
    }

    /// Reads a notice, and says which transaction it is about. Only its number is taken from it: how the transaction went
    /// is asked.
    ///
    /// # Errors
    /// If it is none of the network's, or of another merchant's.
    pub(crate) fn notice_about(&self, body: &[u8]) -> Result<String, SigningError> {
        let fields = Fields::from_form(body).ok_or(SigningError::Signature)?;
        signing::verify(&fields, &self.settings.trust, self.now().0)?;
        let ours = fields.get("merId") == Some(self.settings.merchant.as_str());
        fields.get("orderId").filter(|_| ours).map(str::to_owned).ok_or(SigningError::Signature)
    }

    /// The certificate fields are encrypted for: the network's newest, asked for once a day.
    pub(crate) async fn cipher(&self) -> Option<Certificate> {
        let now = self.now();
        let known = self.cipher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((since, certificate)) = &known
            && now.since(*since) < DAY
        {
            return Some(certificate.clone());
        }
        let asked =
            self.call(Call::Certificate, &self.fresh_number(), now, Fields::of(&[("certType", "01")])).await;
        let fresh = match &asked {
            Reply::Answered(fields) if fields.text("respCode") == "00" => {
                self.settings.trust.believe(fields.text("encryptPubKeyCert"), now.0)
            }
            _ => None,
        };
        // One that is still good does while the network does not answer.
        let old = known.map(|(_, certificate)| certificate).filter(|old| old.is_valid_at(now.0));
        match fresh {
            Some(fresh) => {
                let mut cipher = self.cipher.lock().unwrap_or_else(PoisonError::into_inner);
                *cipher = Some((now, fresh.clone()));
                Some(fresh)
            }
            None => old,
        }
    }

    /// A number for a call that stands for nothing of the wallet's.
    pub(crate) fn fresh_number(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed) % 100_000_000;
        format!("{:020}{count:08}", self.now().0)
    }

    fn opening(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, CardDetails)>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a card until its holder has typed the code, ten minutes at most. False if too many are held.
    pub(crate) fn hold(&self, number: &str, card: CardDetails) -> bool {
        let now = self.now();
        {
            let mut opening = self.opening();
            if opening.len() >= MOST_OPENING {
                return false;
            }
            opening.insert(number.to_owned(), (now, card));
        }
        let (opening, number) = (Arc::clone(&self.opening), number.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(OPENING_MS.unsigned_abs())).await;
            opening.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        });
        true
    }

    /// What `work` makes of a card that is held; `None` if it is not, or no longer.
    pub(crate) fn held<T>(&self, number: &str, work: impl FnOnce(&CardDetails) -> T) -> Option<T> {
        let now = self.now();
        let opening = self.opening();
        let (since, card) = opening.get(number)?;
        (now.since(*since) < OPENING_MS).then(|| work(card))
    }

    /// Forgets a card.
    pub(crate) fn forget(&self, number: &str) {
        self.opening().remove(number);
    }
}

fn address(what: &'static str, text: &str) -> Result<Url, ClientError> {
    let url: Url = text.parse().map_err(|_| ClientError::Address(what))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let fine = matches!(url.scheme(), "http" | "https") && plain && url.password().is_none();
    if fine { Ok(url) } else { Err(ClientError::Address(what)) }
}
