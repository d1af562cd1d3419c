//! The platform's own keys: what replies and notifications are signed with, in both of the protocol's modes, and what
//! the codes people scan are signed with.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::MchId;
use koudai_core::time::Timestamp;
use koudai_wechatpay::certificate::{Authority, Certificate, serial_matches};
use koudai_wechatpay::headers::{SignedHeaders, sign_body};
use koudai_wechatpay::keys::PrivateKey;

/// What begins the id of a platform public key.
pub const PUBLIC_KEY_PREFIX: &str = "PUB_KEY_ID_";

/// The platform's keys.
pub struct Platform {
    /// Issues merchants' certificates.
    pub authority: Authority,
    /// Signs in certificate mode.
    pub certificate_key: PrivateKey,
    /// The certificate of `certificate_key`.
    pub certificate: Certificate,
    /// Signs in public-key mode.
    pub public_key: PrivateKey,
    /// The id of `public_key`, `PUB_KEY_ID_` and digits.
    pub public_key_id: String,
    codes: Ed25519KeyPair,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("certificate", &self.certificate.serial)
            .field("public_key_id", &self.public_key_id)
            .finish_non_exhaustive()
    }
}

/// Which of the platform's keys signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningMode {
    /// The platform certificate's.
    Certificate,
    /// The public key's.
    PublicKey,
}

/// The seed of the key that signs codes is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key that signs codes is not an Ed25519 seed")]
pub struct BadSeed;

impl Platform {
    /// The platform over its keys; `code_seed` is the Ed25519 seed of the key that signs codes.
    ///
    /// # Errors
    /// `BadSeed`.
    pub fn new(
        authority: Authority,
        (certificate_key, certificate): (PrivateKey, Certificate),
        (public_key, public_key_id): (PrivateKey, String),
        code_seed: &[u8],
    ) -> Result<Self, BadSeed> {
        let codes = Ed25519KeyPair::from_seed_unchecked(code_seed).map_err(|_| BadSeed)?;
        Ok(Self { authority, certificate_key, certificate, public_key, public_key_id, codes })
    }

    /// The headers that sign a body.
    pub fn sign(&self, mode: SigningMode, now: Timestamp, body: &[u8]) -> SignedHeaders {
        let (key, serial) = match mode {
            SigningMode::Certificate => (&self.certificate_key, &self.certificate.serial),
            SigningMode::PublicKey => (&self.public_key, &self.public_key_id),
        };
        sign_body(key, serial, now.0.div_euclid(1_000), &koudai_wechatpay::nonce(), body)
    }

    /// The key that opens what was encrypted to the platform key of this serial or id; `None` if the platform has none such.
    pub fn opening_key(&self, serial: &str) -> Option<&PrivateKey> {
        if serial.eq_ignore_ascii_case(&self.public_key_id) {
            Some(&self.public_key)
        } else if serial_matches(serial, &self.certificate.serial) {
            Some(&self.certificate_key)
        } else {
            None
        }
    }

    /// The link a code carries: `<origin>/q/<token>#<signature>`. The signature covers the token, its payee and its
    /// expiry, so that a link put together by anybody else is refused, whatever token it names.
    pub fn code_url(&self, origin: &str, token: &[u8; 16], payee: MchId, expires_at: Timestamp) -> String {
        let signature = self.codes.sign(&code_message(token, payee, expires_at));
        let (token, signature) = (URL_SAFE_NO_PAD.encode(token), URL_SAFE_NO_PAD.encode(signature));
        format!("{origin}/q/{token}#{signature}")
    }

    /// Whether a code's signature fits its token, its payee and its expiry.
    pub fn code_is_ours(
        &self,
        signature: &str,
        token: &[u8; 16],
        payee: MchId,
        expires_at: Timestamp,
    ) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let key = UnparsedPublicKey::new(&ED25519, self.codes.public_key().as_ref());
        key.verify(&code_message(token, payee, expires_at), &signature).is_ok()
    }
}

/// What is signed: the kind of code, its token, its payee, its expiry.
fn code_message(token: &[u8; 16], payee: MchId, expires_at: Timestamp) -> Vec<u8> {
    [b"koudai code 1 order".as_slice(), token, &payee.0.to_be_bytes(), &expires_at.0.to_be_bytes()].concat()
}

/// The token in a code's link, if it is one.
pub fn parse_token(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A token as it stands in links.
pub fn token_text(token: &[u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}
