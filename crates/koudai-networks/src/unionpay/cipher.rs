//! The cipher of single fields: RSAES-PKCS1-v1_5 in base64, as the protocol prescribes, and the field of what is known of
//! the holder, which wraps some of it so.

use aws_lc_rs::rsa::{
    Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use koudai_core::secret::Secret;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::fields::{self, Fields};

/// The longest ciphertext read, in base64 characters: that of an 8192-bit key.
const MAX_CIPHERTEXT_CHARS: usize = 1_368;
/// The longest text a key of 2048 bits encrypts.
const MAX_PLAINTEXT_BYTES: usize = 245;

/// Encrypts for the owner of `key`; `None` if it is too long.
pub(crate) fn encrypt(key: &PublicKey, plaintext: &str) -> Option<String> {
    if plaintext.len() > MAX_PLAINTEXT_BYTES {
        return None;
    }
    let key =
        PublicEncryptingKey::from_der(key.spki()).map_err(Into::into).and_then(Pkcs1PublicEncryptingKey::new);
    let key = key.expect("a public key accepted before is accepted again");
    let mut buffer = vec![0; key.ciphertext_size()];
    let ciphertext = key.encrypt(plaintext.as_bytes(), &mut buffer).ok()?;
    Some(STANDARD.encode(ciphertext))
}

/// Decrypts what was made for the owner of `key`.
pub(crate) fn decrypt(key: &PrivateKey, ciphertext: &str) -> Option<Secret<String>> {
    if ciphertext.len() > MAX_CIPHERTEXT_CHARS {
        return None;
    }
    let ciphertext = STANDARD.decode(ciphertext).ok()?;
    let key = PrivateDecryptingKey::from_pkcs8(&key.pkcs8())
        .map_err(Into::into)
        .and_then(Pkcs1PrivateDecryptingKey::new);
    let key = key.ok()?;
    let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
    let text = key.decrypt(&ciphertext, &mut buffer).ok()?;
    Some(Secret::new(std::str::from_utf8(text).ok()?.to_owned()))
}

/// What is known of a holder, as far as a call needs it.
#[derive(Debug, Default)]
pub(crate) struct Holder<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) id_number: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) phone: Option<&'a str>,
    pub(crate) cvv: Option<&'a str>,
    /// `YYMM`, the reverse of the card's face.
    pub(crate) expiry: Option<&'a str>,
}

/// The kind of document that a resident ID card is.
const RESIDENT_ID: &str = "01";

impl Holder<'_> {
    /// As the field `customerInfo`; `None` if it does not fit.
    pub(crate) fn write(&self, key: &PublicKey) -> Option<String> {
        let hidden = [("phoneNo", self.phone), ("cvn2", self.cvv), ("expired", self.expiry)];
        let hidden: Vec<_> = hidden.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        let mut shown = Fields::default();
        if let Some(id_number) = self.id_number {
            shown.set("certifTp", RESIDENT_ID);
            shown.set("certifId", id_number);
        }
        shown.set("customerNm", self.name.unwrap_or(""));
        shown.set("smsCode", self.code.unwrap_or(""));
        if !hidden.is_empty() {
            let hidden = Zeroizing::new(Fields::of(&hidden).to_reply());
            shown.set("encryptedInfo", encrypt(key, &hidden)?);
        }
        let shown = Zeroizing::new(format!("{{{}}}", *Zeroizing::new(shown.to_reply())));
        Some(STANDARD.encode(shown.as_bytes()))
    }
}

/// Reads `customerInfo` with the key its hidden part is for: all of its fields, hidden or not.
pub(crate) fn read_holder(key: &PrivateKey, field: &str) -> Option<Fields> {
    let text = String::from_utf8(STANDARD.decode(field).ok()?).ok()?;
    let mut all = fields::inner(&text)?;
    if let Some(hidden) = all.get("encryptedInfo") {
        let hidden = decrypt(key, hidden)?;
        let hidden = Fields::from_reply(hidden.expose().as_bytes())?;
        for name in ["phoneNo", "cvn2", "expired"] {
            all.set(name, hidden.text(name));
        }
        all.set("encryptedInfo", "");
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_by_its_owner_only() {
        let (key, other) = (PrivateKey::generate(), PrivateKey::generate());
        let field = encrypt(&key.public_key(), "6216261000000000018").unwrap();
        assert_eq!(field.len(), 344);
        assert_eq!(decrypt(&key, &field).unwrap().expose(), "6216261000000000018");
        assert!(decrypt(&other, &field).is_none_or(|text| text.expose() != "6216261000000000018"));
        assert!(encrypt(&key.public_key(), &"7".repeat(246)).is_none());
        for field in ["", "AAAA", "%", &"A".repeat(344), &"A".repeat(4_000)] {
            assert!(decrypt(&key, field).is_none());
        }
    }

    #[test]
    fn what_is_known_of_a_holder_survives_and_only_part_of_it_is_readable() {
        let key = PrivateKey::generate();
        let holder = Holder {
            name: Some("李明"),
            id_number: Some("110199199001010010"),
            code: Some("111111"),
            phone: Some("13900000001"),
            cvv: Some("123"),
            expiry: Some("3012"),
        };
        let field = holder.write(&key.public_key()).unwrap();
        let all = read_holder(&key, &field).unwrap();
        for (name, value) in [
            ("certifTp", "01"),
            ("certifId", "110199199001010010"),
            ("customerNm", "李明"),
            ("smsCode", "111111"),
            ("phoneNo", "13900000001"),
            ("cvn2", "123"),
            ("expired", "3012"),
        ] {
            assert_eq!(all.get(name), Some(value), "{name}");
        }
        let open = String::from_utf8(STANDARD.decode(&field).unwrap()).unwrap();
        assert!(open.contains("李明") && !open.contains("13900000001") && !open.contains("cvn2"));
        assert!(read_holder(&key, &Holder::default().write(&key.public_key()).unwrap()).is_some());
        assert!(read_holder(&key, "%").is_none() && read_holder(&key, "e30x").is_none());
    }
}
