//! The cipher of single sensitive fields, such as a payee's name: RSAES-OAEP with SHA-1 and MGF1 with SHA-1, empty
//! label, base64. SHA-1 is what the protocol prescribes; OAEP does not rest on its collision resistance.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::keys::{PrivateKey, PublicKey};

/// The longest ciphertext read, in base64 characters: that of an 8192-bit key.
const MAX_CIPHERTEXT_CHARS: usize = 1368;

/// A field that could not be encrypted or decrypted. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OaepError {
    /// The plaintext does not fit the key: 214 bytes at 2048 bits.
    #[error("the text is too long to encrypt")]
    TooLong,
    /// Not base64, or not made for this key.
    #[error("the field cannot be decrypted")]
    Decrypt,
}

/// Encrypts `plaintext` for the owner of `key`; base64, 344 characters at 2048 bits, different each time.
///
/// # Errors
/// `TooLong` if the plaintext does not fit the key (214 bytes at 2048 bits).
pub fn encrypt(key: &PublicKey, plaintext: &[u8]) -> Result<String, OaepError> {
    let key = PublicEncryptingKey::from_der(key.spki())
        .map_err(Into::into)
        .and_then(OaepPublicEncryptingKey::new)
        .expect("a public key accepted before is accepted again");
    if plaintext.len() > key.max_plaintext_size(&OAEP_SHA1_MGF1SHA1) {
        return Err(OaepError::TooLong);
    }
    let mut buffer = vec![0; key.ciphertext_size()];
    let ciphertext =
        key.encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut buffer, None).map_err(|_| OaepError::TooLong)?;
    Ok(STANDARD.encode(ciphertext))
}

/// Decrypts a field made for the owner of `key`. The plaintext is wiped when dropped.
///
/// # Errors
/// `Decrypt` if it is not base64 or was not made for this key.
pub fn decrypt(key: &PrivateKey, ciphertext: &str) -> Result<Zeroizing<Vec<u8>>, OaepError> {
    if ciphertext.len() > MAX_CIPHERTEXT_CHARS {
        return Err(OaepError::Decrypt);
    }
    let ciphertext = STANDARD.decode(ciphertext).map_err(|_| OaepError::Decrypt)?;
    let key = PrivateDecryptingKey::from_pkcs8(&key.pkcs8())
        .map_err(Into::into)
        .and_then(OaepPrivateDecryptingKey::new)
        .map_err(|_| OaepError::Decrypt)?;
    let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
    let length = key
        .decrypt(&OAEP_SHA1_MGF1SHA1, &ciphertext, &mut buffer, None)
        .map_err(|_| OaepError::Decrypt)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_survives_the_round_trip_for_its_owner_only() {
        let (key, other) = (PrivateKey::generate(), PrivateKey::generate());
        for plaintext in [&b""[..], "张三".as_bytes(), &[7; 214]] {
            let field = encrypt(&key.public_key(), plaintext).unwrap();
            assert_eq!(field.len(), 344);
            assert_eq!(decrypt(&key, &field).unwrap().as_slice(), plaintext);
            assert_eq!(decrypt(&other, &field).unwrap_err(), OaepError::Decrypt);
        }
        assert_eq!(encrypt(&key.public_key(), &[7; 215]), Err(OaepError::TooLong));
        for field in ["", "AAAA", "%", &"A".repeat(344), &"A".repeat(4000)] {
            assert_eq!(decrypt(&key, field).unwrap_err(), OaepError::Decrypt);
        }
    }
}
