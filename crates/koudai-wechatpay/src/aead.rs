//! The cipher of notifications and of certificate downloads: AES-256-GCM under the merchant's `APIv3` key.
//!
//! The nonce is 12 ASCII characters used as bytes, the associated data is text, the 16-byte tag follows the
//! ciphertext, and the whole is base64.

use std::{fmt, str::FromStr};

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::random;

/// `algorithm` of an encrypted resource.
pub const ALGORITHM: &str = "AEAD_AES_256_GCM";
/// The longest ciphertext opened, in base64 characters: the protocol's 1 MiB.
pub const MAX_CIPHERTEXT_CHARS: usize = 1024 * 1024;

/// The length of an `APIv3` key, in bytes.
const KEY_BYTES: usize = 32;
/// The longest associated data accepted, in bytes. Documents say under 16; a published example has 32.
const MAX_ASSOCIATED_BYTES: usize = 256;

/// The text is not 32 ASCII letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an APIv3 key is exactly 32 ASCII letters and digits")]
pub struct ApiV3KeyError;

/// A ciphertext that does not open: damaged, made with another key, or out of bounds. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext cannot be opened")]
pub struct OpenError;

/// The secret a merchant shares with the platform: exactly 32 ASCII letters and digits. Wiped when dropped.
#[derive(Clone)]
pub struct ApiV3Key(Zeroizing<String>);

impl ApiV3Key {
    /// Takes a key.
    ///
    /// # Errors
    /// `ApiV3KeyError` unless it is exactly 32 ASCII letters and digits.
    pub fn new(text: &str) -> Result<Self, ApiV3KeyError> {
        if text.len() == KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(ApiV3KeyError)
        }
    }

    /// A fresh random key, about 190 bits.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn generate() -> Self {
        Self(random::alphanumerics(KEY_BYTES))
    }

    /// The key as text, for storing and for showing once to its owner; never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiV3Key {
    type Err = ApiV3KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Debug for ApiV3Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiV3Key([redacted])")
    }
}

/// A nonce that is not 12 bytes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an AES-GCM nonce is 12 bytes")]
pub struct NonceError;

/// Encrypts `plaintext`; base64. Make the nonce with [`crate::nonce12`], anew for each call: one used twice under the same
/// key gives both texts away.
///
/// # Errors
/// `NonceError` if `nonce` is not 12 bytes long.
pub fn seal(
    key: &ApiV3Key,
    nonce: &str,
    associated_data: &str,
    plaintext: &[u8],
) -> Result<String, NonceError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| NonceError)?;
    let mut buffer = plaintext.to_vec();
    cipher(key.0.as_bytes())
        .and_then(|cipher| {
            let aad = Aad::from(associated_data.as_bytes());
            cipher.seal_in_place_append_tag(nonce, aad, &mut buffer).map_err(|_| OpenError)
        })
        .expect("AES-256-GCM with a 32-byte key seals anything that fits in memory");
    Ok(STANDARD.encode(buffer))
}

/// Decrypts what [`seal`] or the platform made.
///
/// # Errors
/// `OpenError` if anything about it is wrong: base64, lengths, nonce, associated data, tag.
pub fn open(
    key: &ApiV3Key,
    nonce: &str,
    associated_data: &str,
    ciphertext: &str,
) -> Result<Vec<u8>, OpenError> {
    open_with(key.0.as_bytes(), nonce, associated_data, ciphertext)
}

/// [`open`] under a raw key of 16 or 32 bytes. Some published examples use 16; nothing in production does.
///
/// # Errors
/// As [`open`], and for a key of another length.
pub fn open_with(
    key: &[u8],
    nonce: &str,
    associated_data: &str,
    ciphertext: &str,
) -> Result<Vec<u8>, OpenError> {
    if ciphertext.len() > MAX_CIPHERTEXT_CHARS || associated_data.len() > MAX_ASSOCIATED_BYTES {
        return Err(OpenError);
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(|_| OpenError)?;
    let mut buffer = STANDARD.decode(ciphertext).map_err(|_| OpenError)?;
    let length = cipher(key)?
        .open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut buffer)
        .map_err(|_| OpenError)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, OpenError> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        KEY_BYTES => &AES_256_GCM,
        _ => return Err(OpenError),
    };
    UnboundKey::new(algorithm, key).map(LessSafeKey::new).map_err(|_| OpenError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_letters_and_digits_make_a_key() {
        assert!(ApiV3Key::new("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb").is_ok());
        for text in
            ["", "a7cde1ZJB1kG2e7V", "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb0", "a7cde1ZJB1kG2e7VfTs3jQzaWizur8G-"]
        {
            assert!(ApiV3Key::new(text).is_err(), "{text}");
        }
        let key = ApiV3Key::generate();
        assert!(ApiV3Key::new(key.expose()).is_ok());
        assert_eq!(format!("{key:?}"), "ApiV3Key([redacted])");
    }

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does() {
        let key = ApiV3Key::generate();
        for plaintext in [&b""[..], b"x", "口袋".as_bytes(), &[0; 5000]] {
            let sealed = seal(&key, "abcdefghijkl", "transaction", plaintext).unwrap();
            assert_eq!(open(&key, "abcdefghijkl", "transaction", &sealed).as_deref(), Ok(plaintext));
            assert!(open(&ApiV3Key::generate(), "abcdefghijkl", "transaction", &sealed).is_err());
            assert!(open(&key, "abcdefghijkm", "transaction", &sealed).is_err());
            assert!(open(&key, "abcdefghijkl", "refund", &sealed).is_err());
        }
        let sealed = seal(&key, "abcdefghijkl", "", b"message").unwrap();
        assert_eq!(seal(&key, "abcdefghijk", "", b"message"), Err(NonceError));
        for index in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[index] ^= 1;
            let broken = String::from_utf8(bytes).unwrap();
            assert!(open(&key, "abcdefghijkl", "", &broken).is_err(), "byte {index}");
        }
    }

    #[test]
    fn hostile_ciphertexts_are_refused() {
        let key = ApiV3Key::generate();
        let long = "A".repeat(MAX_CIPHERTEXT_CHARS + 4);
        for (nonce, ciphertext) in [
            ("", ""),
            ("abcdefghijkl", ""),
            ("abcdefghijkl", "AAAA"),
            ("x", "AAAA"),
            ("口袋口袋", "%"),
            ("abcdefghijkl", &long),
        ] {
            assert!(open(&key, nonce, "", ciphertext).is_err());
        }
        assert!(open_with(b"short", "abcdefghijkl", "", "AAAA").is_err());
    }
}
