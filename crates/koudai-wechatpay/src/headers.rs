//! The `Wechatpay-*` headers that sign a reply or a notification, and the check of them.

use std::collections::BTreeMap;

use crate::{
    authorization::{SCHEME, parse_timestamp},
    certificate::serial_matches,
    keys::{PrivateKey, PublicKey},
    message,
};

/// Name of the header with the Unix seconds of signing. All names here are in the lower case HTTP libraries store.
pub const TIMESTAMP: &str = "wechatpay-timestamp";
/// Name of the header with the nonce.
pub const NONCE: &str = "wechatpay-nonce";
/// Name of the header with the serial or public-key id of the signing key. On a request it names the platform key
/// the merchant uses.
pub const SERIAL: &str = "wechatpay-serial";
/// Name of the header with the base64 signature.
pub const SIGNATURE: &str = "wechatpay-signature";
/// Name of the header with the algorithm, always [`SCHEME`]. One SDK refuses a reply without it.
pub const SIGNATURE_TYPE: &str = "wechatpay-signature-type";

/// How far a timestamp may lie from our clock, in seconds, either way.
pub const WINDOW_S: i64 = 300;
/// The platform sends messages with signatures that begin like this, to see that they are refused.
pub const PROBE_PREFIX: &str = "WECHATPAY/SIGNTEST/";
/// What a platform key's id begins with when it comes without a certificate.
pub const PUBLIC_KEY_ID_PREFIX: &str = "PUB_KEY_ID_";

/// The longest values accepted, in characters.
const MAX_NONCE: usize = 64;
const MAX_SERIAL: usize = 64;
const MAX_SIGNATURE: usize = 2048;

/// Why a reply or a notification was not accepted, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is not there.
    #[error("the header `{0}` is missing")]
    MissingHeader(&'static str),
    /// A header is empty, too long, or not what it should be.
    #[error("the header `{0}` is malformed")]
    MalformedHeader(&'static str),
    /// Signed more than [`WINDOW_S`] before or after our time.
    #[error("signed at {signed_s}, which is too far from our time {now_s}")]
    Clock {
        /// Unix seconds in the header.
        signed_s: i64,
        /// Our Unix seconds.
        now_s: i64,
    },
    /// No key of this serial or id is known. A fresh download of the certificates may bring it.
    #[error("no platform key `{0}` is known")]
    UnknownSerial(String),
    /// A probe of the platform's. Refuse it like any bad signature; it has a value of its own only to be counted.
    #[error("a probe with a deliberately wrong signature")]
    Probe,
    /// The signature does not hold.
    #[error("the signature does not match")]
    Signature,
}

/// The four values that sign a body. None is checked against anything yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// Unix seconds.
    pub timestamp: i64,
    /// 1 to 64 characters.
    pub nonce: String,
    /// Serial of the platform certificate, or `PUB_KEY_ID_…`.
    pub serial: String,
    /// Base64.
    pub signature: String,
}

impl SignedHeaders {
    /// Reads the headers through `get`, which is given names in lower case. The signature type may be absent, but if
    /// it is there it must be [`SCHEME`].
    ///
    /// # Errors
    /// `MissingHeader` or `MalformedHeader`.
    pub fn read<'a>(get: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, VerifyError> {
        let bounded = |name, max| {
            let value = get(name).ok_or(VerifyError::MissingHeader(name))?;
            if value.is_empty() || value.len() > max || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(VerifyError::MalformedHeader(name));
            }
            Ok(value.to_owned())
        };
        let timestamp = bounded(TIMESTAMP, 32)?;
        let (nonce, serial) = (bounded(NONCE, MAX_NONCE)?, bounded(SERIAL, MAX_SERIAL)?);
        let signature = bounded(SIGNATURE, MAX_SIGNATURE)?;
        if get(SIGNATURE_TYPE).is_some_and(|kind| kind != SCHEME) {
            return Err(VerifyError::MalformedHeader(SIGNATURE_TYPE));
        }
        let timestamp = parse_timestamp(&timestamp).ok_or(VerifyError::MalformedHeader(TIMESTAMP))?;
        Ok(Self { timestamp, nonce, serial, signature })
    }

    /// The five headers to send, names in lower case.
    pub fn pairs(&self) -> [(&'static str, String); 5] {
        [
            (TIMESTAMP, self.timestamp.to_string()),
            (NONCE, self.nonce.clone()),
            (SERIAL, self.serial.clone()),
            (SIGNATURE, self.signature.clone()),
            (SIGNATURE_TYPE, SCHEME.to_owned()),
        ]
    }
}

/// The keys whose signatures are believed: platform certificates by serial, platform public keys by id. Several are
/// current at once while the platform changes from one to the next.
#[derive(Clone, Debug, Default)]
pub struct PlatformKeys(BTreeMap<String, PublicKey>);

impl PlatformKeys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key under a certificate serial or a `PUB_KEY_ID_…`, replacing one of the same name.
    pub fn insert(&mut self, serial: &str, key: PublicKey) {
        self.0.insert(fold(serial), key);
    }

    /// The key of this serial (case and leading zeros do not count) or id.
    pub fn get(&self, serial: &str) -> Option<&PublicKey> {
        self.0.get(&fold(serial))
    }

    /// Adds all of `others`, which win over keys of the same name.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().map(|(serial, key)| (serial.clone(), key.clone())));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Serials and ids, in upper case and without leading zeros.
    pub fn serials(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<S: AsRef<str>> FromIterator<(S, PublicKey)> for PlatformKeys {
    fn from_iter<I: IntoIterator<Item = (S, PublicKey)>>(pairs: I) -> Self {
        let mut keys = Self::new();
        for (serial, key) in pairs {
            keys.insert(serial.as_ref(), key);
        }
        keys
    }
}

/// One spelling for all the spellings [`serial_matches`] takes as equal.
fn fold(serial: &str) -> String {
    let folded = serial.trim_start_matches('0').to_ascii_uppercase();
    debug_assert!(serial_matches(serial, &folded), "folding keeps the number");
    folded
}

/// Signs a reply or a notification. `now_s` in Unix seconds; `body` exactly as it will travel, empty for a 204.
pub fn sign_body(key: &PrivateKey, serial: &str, now_s: i64, nonce: &str, body: &[u8]) -> SignedHeaders {
    SignedHeaders {
        timestamp: now_s,
        nonce: nonce.to_owned(),
        serial: serial.to_owned(),
        signature: key.sign(&message::response(now_s, nonce, body)),
    }
}

/// Checks a reply or a notification: clock, then serial, then signature ([`SignedHeaders::read`] did the headers).
/// `now_s` is our Unix seconds; `body` the raw bytes as received.
///
/// # Errors
/// The first check that fails. An answer refused here has an *unknown* outcome, not a failed one.
pub fn verify_body(
    headers: &SignedHeaders,
    keys: &PlatformKeys,
    now_s: i64,
    body: &[u8],
) -> Result<(), VerifyError> {
    let signed_s = headers.timestamp;
    if !within_window(signed_s, now_s) {
        return Err(VerifyError::Clock { signed_s, now_s });
    }
    let key = keys.get(&headers.serial).ok_or_else(|| VerifyError::UnknownSerial(headers.serial.clone()))?;
    if headers.signature.starts_with(PROBE_PREFIX) {
        return Err(VerifyError::Probe);
    }
    key.verify(&message::response(signed_s, &headers.nonce, body), &headers.signature)
        .map_err(|_| VerifyError::Signature)
}

/// Whether a timestamp lies within [`WINDOW_S`] of our time, both in Unix seconds.
pub fn within_window(signed_s: i64, now_s: i64) -> bool {
    signed_s.abs_diff(now_s) <= WINDOW_S.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_795_435_200;
    const SERIAL_NO: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";
    const BODY: &[u8] = br#"{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz1"}"#;

    fn signed() -> (SignedHeaders, PlatformKeys) {
        let key = PrivateKey::generate();
        let headers = sign_body(&key, SERIAL_NO, NOW_S, &crate::nonce(), BODY);
        (headers, [(SERIAL_NO, key.public_key())].into_iter().collect())
    }

    fn read(pairs: &[(&'static str, String)]) -> Result<SignedHeaders, VerifyError> {
        SignedHeaders::read(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str()))
    }

    #[test]
    fn what_was_signed_is_read_back_and_verifies() {
        let (headers, keys) = signed();
        let again = read(&headers.pairs()).unwrap();
        assert_eq!(again, headers);
        assert_eq!(verify_body(&again, &keys, NOW_S, BODY), Ok(()));
        let lower = SignedHeaders { serial: format!("00{}", SERIAL_NO.to_lowercase()), ..headers };
        assert_eq!(verify_body(&lower, &keys, NOW_S, BODY), Ok(()));
    }

    #[test]
    fn changing_any_byte_of_anything_is_refused() {
        let (headers, keys) = signed();
        let pairs = headers.pairs();
        for (index, (name, value)) in pairs.iter().enumerate() {
            for at in 0..value.len() {
                let mut bytes = value.clone().into_bytes();
                bytes[at] ^= 1;
                let mut changed = pairs.clone();
                changed[index].1 = String::from_utf8(bytes).unwrap();
                let outcome = read(&changed).and_then(|headers| verify_body(&headers, &keys, NOW_S, BODY));
                assert!(outcome.is_err(), "byte {at} of {name}");
            }
        }
        for at in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[at] ^= 1;
            assert_eq!(verify_body(&headers, &keys, NOW_S, &body), Err(VerifyError::Signature));
        }
    }

    #[test]
    fn checks_run_from_the_headers_to_the_signature() {
        let (headers, keys) = signed();
        let mut broken = SignedHeaders { signature: "AAAA".into(), ..headers.clone() };
        assert_eq!(verify_body(&broken, &keys, NOW_S, BODY), Err(VerifyError::Signature));
        broken.serial = "AB".into();
        assert_eq!(verify_body(&broken, &keys, NOW_S, BODY), Err(VerifyError::UnknownSerial("AB".into())));
        broken.timestamp -= 301;
        let late = VerifyError::Clock { signed_s: NOW_S - 301, now_s: NOW_S };
        assert_eq!(verify_body(&broken, &keys, NOW_S, BODY), Err(late));
        for name in [TIMESTAMP, NONCE, SERIAL, SIGNATURE] {
            let mut pairs = headers.pairs().to_vec();
            pairs.retain(|pair| pair.0 != name);
            assert_eq!(read(&pairs), Err(VerifyError::MissingHeader(name)));
            for bad in ["", "a b", "口袋", &"1".repeat(4000)] {
                let mut pairs = headers.pairs();
                pairs.iter_mut().find(|pair| pair.0 == name).unwrap().1 = bad.to_owned();
                assert_eq!(read(&pairs), Err(VerifyError::MalformedHeader(name)), "{bad}");
            }
        }
        let mut pairs = headers.pairs().to_vec();
        pairs.retain(|pair| pair.0 != SIGNATURE_TYPE);
        assert!(read(&pairs).is_ok());
        pairs.push((SIGNATURE_TYPE, "WECHATPAY2-SM2-WITH-SM3".into()));
        assert_eq!(read(&pairs), Err(VerifyError::MalformedHeader(SIGNATURE_TYPE)));
    }

    #[test]
    fn five_minutes_either_way_are_the_limit() {
        let (headers, keys) = signed();
        for (now_s, fine) in [(-301, false), (-300, true), (300, true), (301, false)] {
            assert_eq!(verify_body(&headers, &keys, NOW_S + now_s, BODY).is_ok(), fine);
        }
        assert!(!within_window(i64::MIN, i64::MAX));
    }

    #[test]
    fn a_probe_is_refused() {
        let (headers, keys) = signed();
        for tail in [&headers.signature[19..], "", &headers.signature] {
            let probe = SignedHeaders { signature: format!("{PROBE_PREFIX}{tail}"), ..headers.clone() };
            assert_eq!(verify_body(&probe, &keys, NOW_S, BODY), Err(VerifyError::Probe));
        }
    }
}
