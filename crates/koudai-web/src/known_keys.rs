//! Merchants' public keys, parsed once and kept: reading a certificate takes several times as long as checking a signature
//! with it, and the same few merchants sign request after request.
//!
//! A key is found by the whole text of its certificate and never by a number, so what is kept can never be out of date:
//! whether the certificate may still be used is asked of its row each time.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use koudai_wechatpay::keys::{KeyError, PublicKey};

/// The most certificates kept, about 3 KiB each.
const MOST: usize = 4_096;

static KEYS: LazyLock<Mutex<HashMap<String, PublicKey>>> = LazyLock::new(Mutex::default);

/// The key of a certificate in PEM.
pub(crate) fn key_of(certificate_pem: &str) -> Result<PublicKey, KeyError> {
    let keys = || KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = keys().get(certificate_pem) {
        return Ok(key.clone());
    }
    let key = PublicKey::from_pem(certificate_pem)?;
    let mut keys = keys();
    if keys.len() >= MOST {
        // Rare enough, and cheap enough to fill again.
        keys.clear();
    }
    keys.insert(certificate_pem.to_owned(), key.clone());
    Ok(key)
}

#[cfg(test)]
mod tests {
    use koudai_wechatpay::certificate::Authority;
    use koudai_wechatpay::keys::PrivateKey;

    use super::*;

    #[test]
    fn each_certificate_leads_to_its_own_key_however_often_it_is_asked_for() {
        let authority = Authority::generate("test", 1_795_435_200_000).unwrap();
        let keys = [PrivateKey::generate(), PrivateKey::generate()].map(|key| key.public_key());
        let pem = |key| authority.issue("1", key, 1_795_435_200_000, 1).unwrap().pem;
        let pems = [pem(&keys[0]), pem(&keys[1])];
        for _ in 0..3 {
            for (pem, key) in pems.iter().zip(&keys) {
                assert_eq!(key_of(pem).as_ref(), Ok(key));
            }
        }
        assert!(key_of("").is_err() && key_of(&pems[0][..40]).is_err());
    }
}
