//! What the contract says, and the client made of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::certificate::Certificate;
use koudai_wechatpay::client::{Client, ClientConfig, ClientError, Unknown};
use koudai_wechatpay::headers::{PUBLIC_KEY_ID_PREFIX, PlatformKeys};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{AccountType, TransferReport};
use reqwest::Url;

use super::codes;
use super::payouts::Sent;
use crate::inviting::Invitations;
use crate::network::Place;
use crate::outward::{self, is_here};

/// How long a call may take when nobody has a reason to choose otherwise. The platform answers within 5 s or not at all.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(6);
/// The longest address for notices, in characters.
const MOST_NOTICES: usize = 255;

/// A certificate of ours at the platform, with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its serial, in hex.
    pub serial: String,
    /// Signs our calls.
    pub key: PrivateKey,
    /// From when it signs, in Unix seconds.
    pub from_s: i64,
}

/// Why a certificate and a key make no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("not a certificate with an RSA key of at least 2048 bits")]
    Certificate,
    /// The key is another one's.
    #[error("not the certificate of this key")]
    OtherKey,
}

impl Identity {
    /// Of a key and its certificate in PEM, which signs from a time on, in Unix seconds.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn new(key: PrivateKey, certificate_pem: &str, from_s: i64) -> Result<Self, IdentityError> {
        let certificate = Certificate::from_pem(certificate_pem).map_err(|_| IdentityError::Certificate)?;
        if certificate.public_key != key.public_key() {
            return Err(IdentityError::OtherKey);
        }
        Ok(Self { serial: certificate.serial, key, from_s })
    }
}

/// What the contract says of payouts.
#[derive(Clone, Debug)]
pub struct Payouts {
    /// The number of the scene that was granted.
    pub scene: String,
    /// What the scene has reported of each.
    pub report: Vec<TransferReport>,
    /// What payees read as the reason, if the scene allows a text.
    pub perception: Option<String>,
    /// Which account they are paid from: its daily bill tells of them.
    pub account: AccountType,
}

/// What the operator's contract says.
#[derive(Debug)]
pub struct Settings {
    /// Where calls go: `https://api.mch.weixin.qq.com`.
    pub api: String,
    /// Where people let us know who they are: `https://open.weixin.qq.com`.
    pub authorize: String,
    /// Where a code is traded for a person: `https://api.weixin.qq.com`.
    pub sns: String,
    /// Where we are told how a payment went: https, public, no query.
    pub notices: String,
    /// Where people come back to from a phone's browser; the wallet's number for the payment follows.
    pub back: String,
    /// The app at the platform.
    pub appid: String,
    /// The merchant's number there.
    pub mchid: String,
    /// The certificates that sign our calls; the one whose time came last does. At least one.
    pub identities: Vec<Identity>,
    /// The key that notices and certificates are encrypted under.
    pub api_v3_key: ApiV3Key,
    /// Public keys of the platform's by their ids, all of which are believed. The first is the one that replies are to be signed
    /// by.
    pub public_keys: Vec<(String, PublicKey)>,
    /// Whether certificates of the platform's are believed and fetched. Beside public keys while it changes from one to the other.
    pub certificates: bool,
    /// The app's secret. Who pays inside the app or is paid out to is known by it.
    pub app_secret: Option<Secret<String>>,
    /// Where people may pay.
    pub places: Vec<Place>,
    /// How people are paid out to, if they are.
    pub payouts: Option<Payouts>,
    /// How long a call may take.
    pub timeout: Duration,
    /// Unix seconds.
    pub clock: fn() -> i64,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Neither https nor on this machine, or with a query, a fragment or a user.
    #[error("{0} is not a usable address: it has to be https, or on this machine")]
    Address(&'static str),
    /// The app's id is not letters and digits.
    #[error("the appid is not 1 to 32 letters and digits")]
    Appid,
    /// No certificate of ours.
    #[error("there is no certificate to sign with")]
    Identity,
    /// Nothing of the platform's to believe.
    #[error("neither public keys nor certificates of the platform are to be believed")]
    Trust,
    /// A key without the name it is known by.
    #[error("the id of a public key does not begin with {PUBLIC_KEY_ID_PREFIX}, or is there twice")]
    PublicKeyId,
    /// Inside the app a payer, and anywhere a payee, has to be known.
    #[error("paying inside the app, and payouts, need the app's secret")]
    AppSecret,
    /// Nothing is allowed.
    #[error("the contract allows nothing")]
    Nothing,
    /// The client refuses the rest.
    #[error("the {0} cannot be used")]
    Client(&'static str),
    /// The HTTP client could not start.
    #[error("the HTTP client could not start")]
    Http(#[source] reqwest::Error),
}

/// WeChat Pay, as one of its merchants reaches it.
pub struct WeChat {
    pub(super) client: Client,
    /// For what is not APIv3.
    pub(super) http: reqwest::Client,
    pub(super) settings: Settings,
    pub(super) invitations: Invitations,
    /// When payouts were last sent.
    pub(super) sent: Mutex<Sent>,
}

impl fmt::Debug for WeChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeChat").field("mchid", &self.settings.mchid).finish_non_exhaustive()
    }
}

impl WeChat {
    /// A client of the platform. Connects to nothing yet.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn new(mut settings: Settings) -> Result<Self, SettingsError> {
        let mut tls = false;
        for (what, text) in [
            ("the address of the calls", &mut settings.api),
            ("the address of the authorisation", &mut settings.authorize),
            ("the address of the sns calls", &mut settings.sns),
        ] {
            let url = address(text).ok_or(SettingsError::Address(what))?;
            tls |= url.scheme() == "https";
            url.as_str().trim_end_matches('/').clone_into(text);
        }
        if address(&settings.notices).is_none() || settings.notices.len() > MOST_NOTICES {
            return Err(SettingsError::Address("the address of the notices"));
        }
        let appid = &settings.appid;
        if !(1..=32).contains(&appid.len()) || !appid.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(SettingsError::Appid);
        }
        if settings.public_keys.is_empty() && !settings.certificates {
            return Err(SettingsError::Trust);
        }
        let ids: BTreeSet<&str> = settings.public_keys.iter().map(|(id, _)| id.as_str()).collect();
        if ids.len() < settings.public_keys.len()
            || !ids.iter().all(|id| id.starts_with(PUBLIC_KEY_ID_PREFIX))
        {
            return Err(SettingsError::PublicKeyId);
        }
        if settings.places.is_empty() && settings.payouts.is_none() {
            return Err(SettingsError::Nothing);
        }
        if asks_who(&settings) && settings.app_secret.is_none() {
            return Err(SettingsError::AppSecret);
        }
        let client = client(&settings)?;
        let http = outward::builder(settings.timeout, tls).build().map_err(SettingsError::Http)?;
        let began = Timestamp((settings.clock)().saturating_mul(1_000));
        let (invitations, sent) = (Invitations::default(), Mutex::new(Sent::since(began)));
        Ok(Self { client, http, settings, invitations, sent })
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp((self.settings.clock)().saturating_mul(1_000))
    }

    /// Whether people have to be known before they pay inside the app or are paid out to.
    pub(super) fn asks_who(&self) -> bool {
        asks_who(&self.settings)
    }
}

fn asks_who(settings: &Settings) -> bool {
    settings.payouts.is_some() || settings.places.contains(&Place::Inside)
}

fn client(settings: &Settings) -> Result<Client, SettingsError> {
    let mut identities: Vec<&Identity> = settings.identities.iter().collect();
    identities.sort_by_key(|identity| identity.from_s);
    let mut identities = identities.into_iter();
    let first = identities.next().ok_or(SettingsError::Identity)?;
    let invalid = |error| match error {
        ClientError::Invalid(what) => SettingsError::Client(what),
        ClientError::Refused { .. } | ClientError::Unknown(_) => unreachable!("it has called nobody yet"),
    };
    let keys = settings.public_keys.iter();
    let client = Client::new(ClientConfig {
        base_url: settings.api.clone(),
        mchid: settings.mchid.clone(),
        serial_no: first.serial.clone(),
        key: first.key.clone(),
        api_v3_key: settings.api_v3_key.clone(),
        platform_keys: keys.map(|(id, key)| (id.as_str(), key.clone())).collect::<PlatformKeys>(),
        platform_serial: settings.public_keys.first().map(|(id, _)| id.clone()),
        clock: settings.clock,
    });
    let client = client.map_err(invalid)?.with_timeout(settings.timeout);
    let client = if settings.certificates { client } else { client.with_known_keys_only() };
    identities.try_fold(client, |client, next| {
        client.with_next_certificate(&next.serial, next.key.clone(), next.from_s).map_err(invalid)
    })
}

/// An address that may be gone to: https, or this machine's own.
pub(super) fn reachable(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    (url.scheme() == "https" || url.scheme() == "http" && is_here(&url)).then_some(url)
}

/// An address to call: such a one, and nothing else in it.
fn address(text: &str) -> Option<Url> {
    let url = reachable(text)?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (plain && url.password().is_none()).then_some(url)
}

/// Says in the log how a call went: under which number, and by which code. Texts of the platform's are not repeated, since they may
/// quote what was sent.
pub(super) fn note<T>(call: &'static str, number: &str, result: &Result<T, ClientError>) {
    match result {
        Ok(_) => tracing::info!(call, number, code = "OK", "wechat call"),
        Err(ClientError::Refused { status, body }) => {
            let code = body.code.chars().take(40).collect::<String>();
            if codes::said(&code).is_some_and(|said| said.ours_to_mend) {
                tracing::error!(call, number, status, code, "WeChat Pay refuses what we send or are allowed");
            } else {
                tracing::info!(call, number, status, code, "wechat call");
            }
        }
        Err(ClientError::Unknown(Unknown::Status { status, body })) => {
            let code = body.as_ref().map(|body| body.code.chars().take(40).collect::<String>());
            tracing::info!(call, number, status, code, "wechat call: undecided");
        }
        Err(ClientError::Unknown(
            why @ (Unknown::Verify(_) | Unknown::Mismatch(_) | Unknown::Certificate),
        )) => {
            tracing::warn!(call, number, %why, "a reply is not believed");
        }
        Err(ClientError::Unknown(why)) => tracing::info!(call, number, %why, "wechat call: no answer"),
        Err(ClientError::Invalid(what)) => tracing::error!(call, number, what, "this cannot be sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_https_is_called_on_this_machine_only() {
        for fine in
            ["https://api.mch.weixin.qq.com", "http://127.0.0.1:8080/", "http://localhost", "http://[::1]:1"]
        {
            assert!(address(fine).is_some(), "{fine}");
        }
        for bad in [
            "http://api.mch.weixin.qq.com",
            "http://127.0.0.1.example.org",
            "https://a@example.org",
            "https://example.org?a=b",
            "ftp://127.0.0.1",
            "",
        ] {
            assert!(address(bad).is_none(), "{bad}");
        }
    }
}
