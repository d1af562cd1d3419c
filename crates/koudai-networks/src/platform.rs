//! The platform's own keys: what replies and notifications are signed with, in both of the protocol's modes, and what
//! the codes people scan are signed with.
//!
//! Of each mode there may be several generations. Which of them signs follows from the time alone, so that nothing has to
//! happen at the moment of the switch.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::MchId;
use koudai_core::rows::Merchant;
use koudai_core::time::Timestamp;
use koudai_wechatpay::certificate::{Authority, Certificate, serial_matches};
use koudai_wechatpay::headers::{SignedHeaders, sign_body};
use koudai_wechatpay::keys::PrivateKey;

/// What begins the id of a platform public key.
pub const PUBLIC_KEY_PREFIX: &str = "PUB_KEY_ID_";

/// Which of the platform's keys signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningMode {
    /// A platform certificate's.
    Certificate,
    /// A public key's.
    PublicKey,
}

impl SigningMode {
    /// The one that signs for a merchant where it has not said which.
    pub const fn of(merchant: &Merchant) -> Self {
        if merchant.public_key_mode { Self::PublicKey } else { Self::Certificate }
    }
}

/// One generation of the platform's keys, as merchants know it by name.
#[derive(Clone, Debug)]
pub struct PlatformKey {
    /// What `Wechatpay-Serial` calls it: a certificate's serial, or `PUB_KEY_ID_` and digits.
    pub name: String,
    /// Signs, and opens what was encrypted for it.
    pub key: PrivateKey,
    /// Its certificate; `None` for a public key.
    pub certificate: Option<Certificate>,
    /// From when it signs what names no key. It is listed, named and encrypted to before.
    pub signs_from: Timestamp,
    /// From when it is neither listed nor named.
    pub retired_at: Option<Timestamp>,
}

impl PlatformKey {
    /// The mode it signs in.
    pub const fn mode(&self) -> SigningMode {
        if self.certificate.is_some() { SigningMode::Certificate } else { SigningMode::PublicKey }
    }

    /// Whether a header or a command means this key.
    pub fn is_named(&self, name: &str) -> bool {
        if self.certificate.is_some() {
            serial_matches(name, &self.name)
        } else {
            name.eq_ignore_ascii_case(&self.name)
        }
    }

    /// Whether it was retired by then.
    pub fn is_retired(&self, now: Timestamp) -> bool {
        self.retired_at.is_some_and(|at| now >= at)
    }

    /// Whether merchants may use it: not retired, and a certificate only within its validity.
    pub fn serves(&self, now: Timestamp) -> bool {
        !self.is_retired(now) && self.certificate.as_ref().is_none_or(|c| c.is_valid_at(now.0))
    }

    /// The headers that sign a body.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> SignedHeaders {
        sign_body(&self.key, &self.name, now.0.div_euclid(1_000), &koudai_wechatpay::nonce(), body)
    }
}

/// The platform's keys.
pub struct Platform {
    /// Issues merchants' certificates.
    pub authority: Authority,
    /// Every generation of both modes, in the order they were made. Replaced whole when one is made or retired.
    keys: RwLock<Vec<Arc<PlatformKey>>>,
    codes: Ed25519KeyPair,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.keys().iter().map(|key| key.name.clone()).collect();
        f.debug_struct("Platform").field("keys", &names).finish_non_exhaustive()
    }
}

/// The seed of the key that signs codes is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key that signs codes is not an Ed25519 seed")]
pub struct BadSeed;

/// Of one mode there is no key that is not retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the platform needs a certificate and a public key that are not retired")]
pub struct NothingSigns;

impl Platform {
    /// The platform over the first generation of its keys; `code_seed` is the Ed25519 seed of the key that signs codes.
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
        let first = |name, key, certificate| {
            Arc::new(PlatformKey { name, key, certificate, signs_from: Timestamp(0), retired_at: None })
        };
        let keys = vec![
            first(certificate.serial.clone(), certificate_key, Some(certificate)),
            first(public_key_id, public_key, None),
        ];
        Ok(Self { authority, keys: RwLock::new(keys), codes })
    }

    /// Replaces every generation at once, in the order they were made.
    ///
    /// # Errors
    /// `NothingSigns`, and the old ones stay.
    pub fn replace(&self, keys: Vec<PlatformKey>, now: Timestamp) -> Result<(), NothingSigns> {
        let stands = |mode| keys.iter().any(|key| key.mode() == mode && !key.is_retired(now));
        if !stands(SigningMode::Certificate) || !stands(SigningMode::PublicKey) {
            return Err(NothingSigns);
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into_iter().map(Arc::new).collect();
        Ok(())
    }

    /// Every generation, retired ones too, in the order they were made.
    pub fn keys(&self) -> Vec<Arc<PlatformKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key a merchant means by this name, if it may be used now: whichever generation, and before it signs by itself.
    pub fn named(&self, name: &str, now: Timestamp) -> Option<Arc<PlatformKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.is_named(name) && key.serves(now)).cloned()
    }

    /// Whether this is the name of a key of the platform's, whatever became of it.
    pub fn is_name(&self, name: &str) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).iter().any(|key| key.is_named(name))
    }

    /// The key that signs in a mode at this moment: of those that merchants may use, the one whose turn came last.
    pub fn signer(&self, mode: SigningMode, now: Timestamp) -> Arc<PlatformKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        // Where none is as it should be, an expired key is better than none: merchants who do not look at dates go on.
        let rank = |key: &&Arc<PlatformKey>| {
            let begun = key.signs_from <= now;
            let turn = if begun { key.signs_from.0 } else { -key.signs_from.0 };
            (!key.is_retired(now), key.serves(now), begun, turn)
        };
        let best = keys.iter().filter(|key| key.mode() == mode).max_by_key(rank);
        Arc::clone(best.expect("`new` and `replace` see to a key of each mode"))
    }

    /// The certificates that merchants may use now, in the order they were made.
    pub fn certificates(&self, now: Timestamp) -> Vec<Arc<PlatformKey>> {
        let mut keys = self.keys();
        keys.retain(|key| key.certificate.is_some() && key.serves(now));
        keys
    }

    /// The headers that sign a body by the key whose turn it is in this mode.
    pub fn sign(&self, mode: SigningMode, now: Timestamp, body: &[u8]) -> SignedHeaders {
        self.signer(mode, now).sign(now, body)
    }

    /// The link a code carries: `<origin>/q/<token>#<signature>`. The signature covers the token, its payee and its
    /// expiry, so that a link put together by anybody else is refused, whatever token it names.
    pub fn code_url(&self, origin: &str, token: &[u8; 16], payee: MchId, expires_at: Timestamp) -> String {
        self.signed(&format!("{origin}/q"), token, &code_message(token, payee, expires_at))
    }

    /// The link a merchant's printed code carries: `<origin>/s/<token>#<signature>`.
    pub fn static_code_url(&self, origin: &str, token: &[u8; 16], payee: MchId) -> String {
        self.signed(&format!("{origin}/s"), token, &static_code_message(token, payee))
    }

    fn signed(&self, path: &str, token: &[u8; 16], message: &[u8]) -> String {
        let signature = URL_SAFE_NO_PAD.encode(self.codes.sign(message));
        format!("{path}/{}#{signature}", token_text(token))
    }

    /// Whether a code's signature fits its token, its payee and its expiry.
    pub fn code_is_ours(
        &self,
        signature: &str,
        token: &[u8; 16],
        payee: MchId,
        expires_at: Timestamp,
    ) -> bool {
        self.is_ours(signature, &code_message(token, payee, expires_at))
    }

    /// Whether a printed code's signature fits its token and its payee.
    pub fn static_code_is_ours(&self, signature: &str, token: &[u8; 16], payee: MchId) -> bool {
        self.is_ours(signature, &static_code_message(token, payee))
    }

    fn is_ours(&self, signature: &str, message: &[u8]) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let key = UnparsedPublicKey::new(&ED25519, self.codes.public_key().as_ref());
        key.verify(message, &signature).is_ok()
    }
}

/// What is signed of a printed code: the kind of code, its token, its payee. It is good until its merchant takes it down.
fn static_code_message(token: &[u8; 16], payee: MchId) -> Vec<u8> {
    [b"koudai code 1 static".as_slice(), token, &payee.0.to_be_bytes()].concat()
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_435_200_000);
    const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;
    const FIRST: &str = "PUB_KEY_ID_0100000000000000000000000001";
    const NEXT: &str = "PUB_KEY_ID_0100000000000000000000000002";

    /// A platform of one generation, what it is made of, and the next certificate, whose turn comes in an hour.
    fn platform() -> (Platform, Vec<PlatformKey>, PlatformKey) {
        let authority = Authority::generate("Koudai test", NOW.0).unwrap();
        let issue = |key: &PrivateKey, at: Timestamp| {
            authority.issue("Koudai platform", &key.public_key(), at.0, 5).unwrap()
        };
        let (key, public_key) = (PrivateKey::generate(), PrivateKey::generate());
        let next = PlatformKey {
            name: String::new(),
            certificate: Some(issue(&public_key, NOW)),
            key: public_key.clone(),
            signs_from: NOW.plus(3_600_000),
            retired_at: None,
        };
        let next = PlatformKey { name: next.certificate.as_ref().unwrap().serial.clone(), ..next };
        let certificate = issue(&key, NOW.plus(-4 * YEAR_MS));
        let platform =
            Platform::new(authority, (key, certificate), (public_key, FIRST.to_owned()), &[7; 32]).unwrap();
        let first = platform.keys().iter().map(|key| PlatformKey::clone(key)).collect();
        (platform, first, next)
    }

    #[test]
    fn who_signs_follows_from_the_time_and_both_serve_in_between() {
        let (platform, mut keys, next) = platform();
        let old = keys[0].name.clone();
        keys.push(next.clone());
        platform.replace(keys, NOW).unwrap();
        let signer = |at| platform.signer(SigningMode::Certificate, at).name.clone();
        assert_eq!(signer(NOW), old);
        assert_eq!(signer(next.signs_from.plus(-1)), old);
        assert_eq!(signer(next.signs_from), next.name);
        for at in [NOW, next.signs_from] {
            assert_eq!(platform.certificates(at).len(), 2);
            assert_eq!(platform.named(&old.to_lowercase(), at).unwrap().name, old);
            assert_eq!(platform.named(&next.name, at).unwrap().name, next.name);
        }
        // The old certificate was made four years earlier, and ends a year from now.
        let later = NOW.plus(2 * YEAR_MS);
        assert_eq!(platform.certificates(later).len(), 1);
        assert!(platform.named(&old, later).is_none() && platform.is_name(&old));
        assert_eq!(signer(NOW.plus(9 * YEAR_MS)), next.name, "an expired key is better than none");
        assert_eq!(platform.signer(SigningMode::PublicKey, later).name, FIRST);
    }

    #[test]
    fn a_retired_key_is_gone_at_once_and_the_last_of_a_mode_cannot_go() {
        let (platform, mut keys, mut next) = platform();
        let old = keys[0].name.clone();
        let at = NOW.plus(10);
        keys[0].retired_at = Some(at);
        assert_eq!(platform.replace(keys.clone(), at), Err(NothingSigns));
        assert_eq!(platform.keys()[0].retired_at, None, "nothing was replaced");
        next.signs_from = NOW;
        keys.push(next.clone());
        platform.replace(keys, at).unwrap();
        assert!(platform.named(&old, NOW).is_some() && platform.named(&old, at).is_none());
        assert_eq!(platform.signer(SigningMode::Certificate, at).name, next.name);
    }

    #[test]
    fn a_public_key_takes_its_turn_as_a_certificate_does() {
        let (platform, mut keys, next) = platform();
        let turn = NOW.plus(1_000);
        keys.push(PlatformKey { name: NEXT.to_owned(), certificate: None, signs_from: turn, ..next });
        platform.replace(keys, NOW).unwrap();
        assert_eq!(platform.signer(SigningMode::PublicKey, NOW).name, FIRST);
        assert_eq!(platform.signer(SigningMode::PublicKey, turn).name, NEXT);
        let signed = platform.named(NEXT, NOW).unwrap().sign(NOW, b"{}");
        assert!(signed.pairs().iter().any(|(_, value)| value == NEXT));
        assert_eq!(platform.certificates(turn).len(), 1);
    }
}
