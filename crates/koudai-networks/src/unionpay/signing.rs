//! The signature of version 5.1.0: RSA over the hex digits of a hash, so that what is signed is hashed twice.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use koudai_wechatpay::keys::PublicKey;

use super::certificates::{Identity, Trust};
use super::fields::Fields;

/// The field that carries it.
const SIGNATURE: &str = "signature";

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SigningError {
    /// Another version or another method than RSA: the older ones rest on SHA-1.
    #[error("another version or method of signing")]
    Method,
    /// Its certificate is missing or not one of the network's.
    #[error("the certificate is not the network's")]
    Certificate,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

/// What a signature is made over: the hash of the fields in lower-case hex.
pub(crate) fn digest_text(fields: &Fields) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, fields.joined().as_bytes()).as_ref() {
        write!(text, "{byte:02x}").expect("a string takes it");
    }
    text
}

/// Signs a request as whoever `identity` is.
pub(crate) fn sign(fields: &mut Fields, identity: &Identity) {
    fields.set("certId", identity.cert_id.as_str());
    finish(fields, identity);
}

/// Signs a reply or a notice as the network does: its certificate comes along.
pub(crate) fn sign_with_certificate(fields: &mut Fields, identity: &Identity) {
    fields.set("signPubKeyCert", identity.pem.as_str());
    finish(fields, identity);
}

fn finish(fields: &mut Fields, identity: &Identity) {
    fields.set("version", "5.1.0");
    fields.set("encoding", "UTF-8");
    fields.set("signMethod", "01");
    let signature = identity.key.sign(digest_text(fields).as_bytes());
    fields.set(SIGNATURE, signature);
}

/// Checks a message of the network's.
///
/// # Errors
/// See [`SigningError`].
pub(crate) fn verify(fields: &Fields, trust: &Trust, now_ms: i64) -> Result<(), SigningError> {
    check_method(fields)?;
    let key = trust.key(fields.text("signPubKeyCert"), now_ms).ok_or(SigningError::Certificate)?;
    holds(fields, &key)
}

/// Checks a request of a merchant whose certificate is known.
pub(crate) fn verify_request(fields: &Fields, cert_id: &str, key: &PublicKey) -> Result<(), SigningError> {
    check_method(fields)?;
    if fields.get("certId") != Some(cert_id) {
        return Err(SigningError::Certificate);
    }
    holds(fields, key)
}

fn check_method(fields: &Fields) -> Result<(), SigningError> {
    let right = fields.get("version") == Some("5.1.0") && fields.get("signMethod") == Some("01");
    if right { Ok(()) } else { Err(SigningError::Method) }
}

fn holds(fields: &Fields, key: &PublicKey) -> Result<(), SigningError> {
    key.verify(digest_text(fields).as_bytes(), fields.text(SIGNATURE)).map_err(|_| SigningError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_published_message() {
        let fields = Fields::of(&[
            ("accessType", "0"),
            ("bizType", "000000"),
            ("certId", "68759585097"),
            ("channelType", "07"),
            ("encoding", "UTF-8"),
            ("merId", "777290058110048"),
            ("orderId", "20260901000001"),
            ("signMethod", "01"),
            ("signature", "of no account here"),
            ("txnSubType", "00"),
            ("txnTime", "20260901120000"),
            ("txnType", "00"),
            ("version", "5.1.0"),
        ]);
        assert_eq!(digest_text(&fields), "97f4fe346cb91a97d69ff4f2e3ca3a16f30577c82544ac08760fb876dd268599");
    }
}
