//! RSA keys of either side and the one signature both use: RSASSA-PKCS1-v1_5 with SHA-256, written in base64.
//!
//! Keys are 2048 to 8192 bits. The wire only ever uses 2048, larger ones are accepted, smaller ones never.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeySize, PublicEncryptingKey},
    signature::{
        KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaSubjectPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::pem;

/// The lengths of modulus accepted, in bits.
const MODULUS_BITS: RangeInclusive<usize> = 2048..=8192;
/// The longest signature read, in base64 characters: that of an 8192-bit key.
const MAX_SIGNATURE_CHARS: usize = 1368;

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or PEM of something else.
    #[error("not a PEM block of the expected kind")]
    Pem,
    /// Not an RSA key of 2048 to 8192 bits in the encoding its label promises.
    #[error("not an RSA key of 2048 to 8192 bits")]
    Rejected,
}

/// A signature that does not hold for this key and message. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match")]
pub struct SignatureError;

/// An RSA private key. Cloning shares it; `Debug` never shows it.
#[derive(Clone)]
pub struct PrivateKey(Arc<RsaKeyPair>);

impl PrivateKey {
    /// A fresh 2048-bit key. Takes some tens of milliseconds, sometimes several hundred.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn generate() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the system's random source works");
        Self(Arc::new(pair))
    }

    /// Reads PKCS#8 (`PRIVATE KEY`, the form of `apiclient_key.pem`) or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// `Pem` if there is no such block, `Rejected` if it holds no RSA key of at least 2048 bits.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let block = pem::first_block(text).ok_or(KeyError::Pem)?;
        let pair = match block.label {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&block.der),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&block.der),
            _ => return Err(KeyError::Pem),
        }
        .map_err(|_| KeyError::Rejected)?;
        PublicKey::from_der(pair.public_key().as_ref())?;
        Ok(Self(Arc::new(pair)))
    }

    /// PKCS#8 PEM, wiped when dropped. For storing and for handing out once; never for a log.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", &self.pkcs8())
    }

    /// Signs `message`; standard base64 with padding, 344 characters for a 2048-bit key.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.sign_raw(message))
    }

    /// The signature's bytes, as long as the modulus.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("a key of at least 2048 bits signs any SHA-256 digest");
        signature
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_der(self.0.public_key().as_ref()).expect("the public half of a valid key is valid")
    }

    /// PKCS#8 DER, wiped when dropped.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().expect("a valid key has a PKCS#8 form");
        Zeroizing::new(der.as_ref().to_vec())
    }

    /// The public half as an `RSAPublicKey` (RFC 8017, A.1.1).
    pub(crate) fn public_pkcs1(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey([redacted])")
    }
}

/// An RSA public key, parsed once. Cloning shares it.
#[derive(Clone)]
pub struct PublicKey(Arc<Public>);

struct Public {
    parsed: ParsedPublicKey,
    pkcs1: Vec<u8>,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads a `PUBLIC KEY` (`SubjectPublicKeyInfo`) or takes the key out of a `CERTIFICATE`, whose dates and
    /// issuer are not looked at.
    ///
    /// # Errors
    /// `Pem` if there is no such block, `Rejected` if it holds no RSA key of at least 2048 bits.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let block = pem::first_block(text).ok_or(KeyError::Pem)?;
        match block.label {
            "PUBLIC KEY" => Self::from_der(&block.der),
            "CERTIFICATE" => {
                let (_, certificate) =
                    X509Certificate::from_der(&block.der).map_err(|_| KeyError::Rejected)?;
                Self::from_der(certificate.public_key().raw)
            }
            _ => Err(KeyError::Pem),
        }
    }

    /// From DER, either `RSAPublicKey` or `SubjectPublicKeyInfo`.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = RsaSubjectPublicKey::from_der(der).map_err(|_| KeyError::Rejected)?;
        let spki: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyError::Rejected)?;
        // Parsing alone takes a key of any length; only this form tells it.
        let bits =
            PublicEncryptingKey::from_der(spki.as_ref()).map_err(|_| KeyError::Rejected)?.key_size_bits();
        if !MODULUS_BITS.contains(&bits) {
            return Err(KeyError::Rejected);
        }
        let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref())
            .map_err(|_| KeyError::Rejected)?;
        Ok(Self(Arc::new(Public { parsed, pkcs1: key.as_ref().to_vec(), spki: spki.as_ref().to_vec() })))
    }

    /// `SubjectPublicKeyInfo` PEM, the form in which platform public keys are handed out.
    pub fn to_pem(&self) -> String {
        let text = pem::encode("PUBLIC KEY", &self.0.spki);
        text.as_str().to_owned()
    }

    /// Checks a base64 signature over `message`.
    ///
    /// # Errors
    /// `SignatureError` if it is not strict base64, too long, or does not hold. Signatures of the platform's
    /// probes fail here like any other.
    pub fn verify(&self, message: &[u8], signature_base64: &str) -> Result<(), SignatureError> {
        if signature_base64.len() > MAX_SIGNATURE_CHARS {
            return Err(SignatureError);
        }
        let signature = STANDARD.decode(signature_base64).map_err(|_| SignatureError)?;
        self.0.parsed.verify_sig(message, &signature).map_err(|_| SignatureError)
    }

    /// `RSAPublicKey` DER.
    pub(crate) fn pkcs1(&self) -> &[u8] {
        &self.0.pkcs1
    }

    /// `SubjectPublicKeyInfo` DER.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.spki == other.0.spki
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PublicKey(RSA)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_survives_pem_and_signs_the_same() {
        let key = PrivateKey::generate();
        let again = PrivateKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(key.sign(b"m"), again.sign(b"m"));
        assert_eq!(key.public_key(), again.public_key());
        assert_eq!(PublicKey::from_pem(&key.public_key().to_pem()), Ok(key.public_key()));
        assert_eq!(format!("{key:?}"), "PrivateKey([redacted])");
    }

    #[test]
    fn a_pkcs1_private_key_is_read_too() {
        let key = PrivateKey::generate();
        // A PKCS#8 document of an RSA key is a 26-byte head followed by the PKCS#1 document.
        let pkcs1 = pem::encode("RSA PRIVATE KEY", &key.pkcs8()[26..]);
        assert_eq!(PrivateKey::from_pem(&pkcs1).unwrap().public_key(), key.public_key());
    }

    #[test]
    fn keys_under_2048_bits_are_refused() {
        // A 1024-bit public key made for this test; its private half was thrown away.
        let weak = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC+O7wvGNR1IjHsfSOdMfJ/oU1d
3wbj8NHd5YWrJk6v3CBqLnzUrhYgCW6ds+TQrpXok1QPzA3sxsbxPT3JsxoKi7RV
yJI3/XLvL6OEdpFUwKBNefMVbJb3Dg1m8OJrpRpxiZwDf2KYQG9s7ixFhpnnsZdv
cv0d6pzTohvbchGDsQIDAQAB
-----END PUBLIC KEY-----
";
        assert_eq!(PublicKey::from_pem(weak), Err(KeyError::Rejected));
    }

    #[test]
    fn a_signature_holds_for_its_key_and_message_only() {
        let (key, other) = (PrivateKey::generate(), PrivateKey::generate());
        let signature = key.sign(b"message");
        assert_eq!(key.public_key().verify(b"message", &signature), Ok(()));
        assert_eq!(key.public_key().verify(b"message.", &signature), Err(SignatureError));
        assert_eq!(other.public_key().verify(b"message", &signature), Err(SignatureError));
        for broken in ["", "====", "口袋", &signature[1..], &signature.repeat(9)] {
            assert_eq!(key.public_key().verify(b"message", broken), Err(SignatureError));
        }
    }

    #[test]
    fn a_pem_block_of_another_kind_is_refused() {
        let key = PrivateKey::generate();
        assert_eq!(PrivateKey::from_pem(&key.public_key().to_pem()).unwrap_err(), KeyError::Pem);
        assert_eq!(PublicKey::from_pem(&key.to_pem()), Err(KeyError::Pem));
        assert_eq!(PrivateKey::from_pem("").unwrap_err(), KeyError::Pem);
        let junk = pem::encode("PRIVATE KEY", b"junk");
        assert_eq!(PrivateKey::from_pem(&junk).unwrap_err(), KeyError::Rejected);
    }
}
