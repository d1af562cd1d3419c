//! Signatures of the issuer protocol, both ways: the form of APIv3 under a scheme and header names of our own.
//!
//! A reply is signed over the *request's* nonce, so an old reply cannot be passed off as the answer to another
//! request. Refusals are signed like everything else: an unsigned "no" would make a paid debit look refused.

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use koudai_wechatpay::authorization::Authorization;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::message;

/// The authentication scheme of requests.
pub const SCHEME: &str = "KOUDAI-SHA256-RSA2048";
/// Header of a reply: Unix seconds.
pub const TIMESTAMP_HEADER: &str = "koudai-timestamp";
/// Header of a reply: the nonce of the request it answers.
pub const NONCE_HEADER: &str = "koudai-nonce";
/// Header of a reply: base64.
pub const SIGNATURE_HEADER: &str = "koudai-signature";
/// How far the two clocks may differ, in seconds, either way.
pub const MAX_SKEW_S: i64 = 300;

/// Why a signature was not accepted. For logs; the other side only learns `SIGN_ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// A header is missing or malformed.
    #[error("a signature header is missing or malformed")]
    Malformed,
    /// Another sender than the one this key belongs to.
    #[error("another sender")]
    Sender,
    /// More than five minutes from this side's clock.
    #[error("the time is more than five minutes off")]
    Time,
    /// The reply to another request.
    #[error("the reply to another request")]
    Nonce,
    /// The signature does not hold for these bytes.
    #[error("the signature does not match")]
    Signature,
}

/// The app's identity.
#[derive(Clone, Debug)]
pub struct Signer {
    key: PrivateKey,
    serial: String,
}

impl Signer {
    /// Signs with `key`.
    pub fn new(key: PrivateKey) -> Self {
        let serial = serial(&key.public_key());
        Self { key, serial }
    }

    /// The `Authorization` header of a request. `target` is the raw path and query, `now_s` Unix seconds.
    pub fn authorize(
        &self,
        app_id: &str,
        method: &str,
        target: &str,
        now_s: i64,
        nonce: &str,
        body: &[u8],
    ) -> String {
        Authorization::sign(&self.key, app_id, &self.serial, method, target, now_s, nonce, body)
            .header_value_scheme(SCHEME)
    }
}

/// The signature of a reply to the request with `nonce`.
pub fn sign_reply(key: &PrivateKey, now_s: i64, nonce: &str, body: &[u8]) -> String {
    key.sign(&message::response(now_s, nonce, body))
}

/// A request as it arrived, for checking.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The raw path and query.
    pub target: &'a str,
    /// The raw body.
    pub body: &'a [u8],
}

/// Checks a request's header and returns its nonce, which the reply has to carry.
///
/// # Errors
/// `Malformed`, `Sender`, `Time`, `Signature`, in this order.
pub fn verify_request(
    header: &str,
    app_id: &str,
    key: &PublicKey,
    now_s: i64,
    request: Received<'_>,
) -> Result<String, SigningError> {
    let found = Authorization::parse_scheme(SCHEME, header).map_err(|_| SigningError::Malformed)?;
    if found.mchid != app_id {
        return Err(SigningError::Sender);
    }
    if !in_time(found.timestamp, now_s) {
        return Err(SigningError::Time);
    }
    found.verify(key, request.method, request.target, request.body).map_err(|_| SigningError::Signature)?;
    Ok(found.nonce_str)
}

/// A reply's three headers, as far as they are there.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHeaders<'a> {
    /// [`TIMESTAMP_HEADER`].
    pub timestamp: Option<&'a str>,
    /// [`NONCE_HEADER`].
    pub nonce: Option<&'a str>,
    /// [`SIGNATURE_HEADER`].
    pub signature: Option<&'a str>,
}

/// Checks that `body` is the issuer's answer to the request with `nonce`.
///
/// # Errors
/// `Malformed`, `Nonce`, `Time`, `Signature`, in this order.
pub fn verify_reply(
    headers: ReplyHeaders<'_>,
    key: &PublicKey,
    now_s: i64,
    nonce: &str,
    body: &[u8],
) -> Result<(), SigningError> {
    let (Some(timestamp), Some(found), Some(signature)) =
        (headers.timestamp, headers.nonce, headers.signature)
    else {
        return Err(SigningError::Malformed);
    };
    let timestamp: i64 = timestamp.parse().map_err(|_| SigningError::Malformed)?;
    if found != nonce {
        return Err(SigningError::Nonce);
    }
    if !in_time(timestamp, now_s) {
        return Err(SigningError::Time);
    }
    key.verify(&message::response(timestamp, nonce, body), signature).map_err(|_| SigningError::Signature)
}

/// Names a key: the first 40 hex digits of the SHA-256 of its `SubjectPublicKeyInfo`, in capitals. A receiver that
/// holds two keys of one sender, during a change of keys, picks by it.
pub fn serial(key: &PublicKey) -> String {
    let pem = key.to_pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der =
        base64::engine::general_purpose::STANDARD.decode(base64).expect("a PEM block we wrote is base64");
    let digest = digest::digest(&digest::SHA256, &der);
    digest.as_ref().iter().take(20).fold(String::with_capacity(40), |hex, byte| hex + &format!("{byte:02X}"))
}

/// 128 random bits in 22 URL-safe characters: nonces and tokens.
pub(super) fn random_text() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system's random source works");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn in_time(then_s: i64, now_s: i64) -> bool {
    now_s.abs_diff(then_s) <= MAX_SKEW_S.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_holds_for_its_own_bytes_sender_and_time_only() {
        let key = PrivateKey::generate();
        let (public, signer) = (key.public_key(), Signer::new(key));
        let header = signer.authorize("app1", "POST", "/issuer/v1/debits?x=%41", 1_000, "n1", b"{}");
        let good = Received { method: "POST", target: "/issuer/v1/debits?x=%41", body: b"{}" };
        let check = |app, now, request| verify_request(&header, app, &public, now, request);
        assert_eq!(check("app1", 1_300, good), Ok("n1".into()));
        assert_eq!(check("app1", 700, good), Ok("n1".into()));
        assert_eq!(check("app1", 1_301, good), Err(SigningError::Time));
        assert_eq!(check("app1", 699, good), Err(SigningError::Time));
        assert_eq!(check("app2", 1_000, good), Err(SigningError::Sender));
        for other in [
            Received { method: "GET", ..good },
            Received { target: "/issuer/v1/debits?x=A", ..good },
            Received { body: b"{ }", ..good },
        ] {
            assert_eq!(check("app1", 1_000, other), Err(SigningError::Signature));
        }
        let stranger = PrivateKey::generate().public_key();
        assert_eq!(verify_request(&header, "app1", &stranger, 1_000, good), Err(SigningError::Signature));
        assert_eq!(verify_request("Bearer x", "app1", &public, 1_000, good), Err(SigningError::Malformed));
    }

    #[test]
    fn a_reply_holds_for_its_own_request_only() {
        let key = PrivateKey::generate();
        let public = key.public_key();
        let signature = sign_reply(&key, 1_000, "n1", b"{}");
        let good = ReplyHeaders { timestamp: Some("1000"), nonce: Some("n1"), signature: Some(&signature) };
        let check = |headers, now, nonce, body| verify_reply(headers, &public, now, nonce, body);
        assert_eq!(check(good, 1_000, "n1", b"{}"), Ok(()));
        assert_eq!(check(good, 1_301, "n1", b"{}"), Err(SigningError::Time));
        assert_eq!(check(good, 1_000, "n2", b"{}"), Err(SigningError::Nonce));
        assert_eq!(check(good, 1_000, "n1", b"{ }"), Err(SigningError::Signature));
        assert_eq!(
            check(ReplyHeaders { nonce: None, ..good }, 1_000, "n1", b"{}"),
            Err(SigningError::Malformed)
        );
        let shifted = ReplyHeaders { timestamp: Some("1001"), ..good };
        assert_eq!(check(shifted, 1_000, "n1", b"{}"), Err(SigningError::Signature));
    }
}
