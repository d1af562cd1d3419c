//! What the operator's own keys do: seal what is stored, hash what is compared, name people to merchants.
//!
//! The keys live in a file beside the database and never in it, so that a leaked database alone opens nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::PersonId;
use koudai_core::secret::Secret;
use koudai_core::state::keyed_mac;

/// What a sealed value is, bound into the seal so that one cannot stand in for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// A network's token for a card.
    CardToken,
    /// A merchant's APIv3 key.
    ApiV3Key,
    /// A person's name and ID number.
    Identity,
    /// What lets a merchant download a bill.
    BillToken,
    /// A payee's name, as a merchant gave it.
    PayeeName,
    /// What another wallet knows a person by.
    AtWallet,
    /// Who comes back from another wallet's page, and what for.
    Errand,
}

impl Sealed {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::CardToken => b"card token",
            Self::ApiV3Key => b"apiv3 key",
            Self::Identity => b"identity",
            Self::BillToken => b"bill token",
            Self::PayeeName => b"payee name",
            Self::AtWallet => b"at another wallet",
            Self::Errand => b"errand",
        }
    }
}

/// A value that does not open: another key sealed it, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open with the operator's keys")]
pub struct DoesNotOpen;

/// The operator's keys for data at rest.
pub struct Vault {
    data: LessSafeKey,
    compare: Secret<[u8; 32]>,
    openid: Secret<[u8; 32]>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

impl Vault {
    /// A vault over three keys of 32 random bytes: for sealing, for comparing, for naming people to merchants.
    pub fn new(data: &Secret<[u8; 32]>, compare: Secret<[u8; 32]>, openid: Secret<[u8; 32]>) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, data.expose()).expect("32 bytes are an AES-256 key");
        Self { data: LessSafeKey::new(key), compare, openid }
    }

    /// The key of the hashes that find the same card or person again.
    pub const fn compare_key(&self) -> &Secret<[u8; 32]> {
        &self.compare
    }

    /// Seals a value under a fresh random nonce (AES-256-GCM, nonce first).
    pub fn seal(&self, what: Sealed, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).expect("the operating system has random bytes");
        let mut body = plain.to_vec();
        self.data
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(what.label()), &mut body)
            .expect("a short value can be sealed");
        [&nonce[..], &body].concat()
    }

    /// Opens a sealed value.
    ///
    /// # Errors
    /// `DoesNotOpen`.
    pub fn open(&self, what: Sealed, sealed: &[u8]) -> Result<Secret<Vec<u8>>, DoesNotOpen> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(DoesNotOpen)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            self.data.open_in_place(nonce, Aad::from(what.label()), &mut body).map_err(|_| DoesNotOpen)?;
        Ok(Secret::new(plain.to_vec()))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// `DoesNotOpen`, also for bytes that are not text.
    pub fn open_text(&self, what: Sealed, sealed: &[u8]) -> Result<Secret<String>, DoesNotOpen> {
        let plain = self.open(what, sealed)?;
        std::str::from_utf8(plain.expose()).map(|text| Secret::new(text.to_owned())).map_err(|_| DoesNotOpen)
    }

    /// What a merchant's app knows a person by: stable, opaque, another in every app, and with the operator's key it leads
    /// back to the person, so that none has to be stored. A synthetic-IV construction: the MAC of the person hides the
    /// person's number and proves it.
    pub fn openid(&self, appid: &str, person: PersonId) -> String {
        let mac = self.openid_mac(appid, person);
        let hidden = self.openid_mask(appid, &mac) ^ person.0;
        format!("o{}", URL_SAFE_NO_PAD.encode([&mac[..], &hidden.to_be_bytes()].concat()))
    }

    /// The person an app knows by this openid; `None` for one that was never given to that app.
    pub fn person_of(&self, appid: &str, openid: &str) -> Option<PersonId> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(openid.strip_prefix('o')?).ok()?.try_into().ok()?;
        let (mac, hidden) = bytes.split_first_chunk::<16>()?;
        let person = PersonId(self.openid_mask(appid, mac) ^ i64::from_be_bytes(hidden.try_into().ok()?));
        (self.openid_mac(appid, person) == *mac).then_some(person)
    }

    fn openid_mac(&self, appid: &str, person: PersonId) -> [u8; 16] {
        let mac = keyed_mac(self.openid.expose(), &[b"person", appid.as_bytes(), &person.0.to_be_bytes()]);
        *mac.first_chunk().expect("a MAC has 32 bytes")
    }

    fn openid_mask(&self, appid: &str, mac: &[u8; 16]) -> i64 {
        let mask = keyed_mac(self.openid.expose(), &[b"mask", appid.as_bytes(), mac]);
        i64::from_be_bytes(*mask.first_chunk().expect("a MAC has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        let key = || Secret::new([byte; 32]);
        Vault::new(&key(), key(), key())
    }

    #[test]
    fn a_sealed_value_opens_only_as_what_it_is_and_with_its_key() {
        let sealed = vault(1).seal(Sealed::CardToken, b"token");
        assert_eq!(vault(1).open_text(Sealed::CardToken, &sealed).unwrap().expose(), "token");
        assert_eq!(vault(1).open(Sealed::ApiV3Key, &sealed), Err(DoesNotOpen));
        assert_eq!(vault(2).open(Sealed::CardToken, &sealed), Err(DoesNotOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(vault(1).open(Sealed::CardToken, &changed), Err(DoesNotOpen), "byte {at}");
        }
        assert_ne!(sealed, vault(1).seal(Sealed::CardToken, b"token"), "each seal has its own nonce");
    }

    #[test]
    fn a_person_has_another_name_in_every_app_and_the_key_leads_back() {
        let (vault, stranger) = (vault(1), vault(2));
        for person in [PersonId(1 << 60), PersonId(i64::MAX - 1), PersonId((1 << 60) + 16)] {
            let openid = vault.openid("wxa", person);
            assert_ne!(openid, vault.openid("wxb", person));
            assert_eq!(openid.len(), 33);
            assert_eq!(vault.person_of("wxa", &openid), Some(person));
            assert_eq!(vault.person_of("wxb", &openid), None);
            assert_eq!(stranger.person_of("wxa", &openid), None);
        }
        let openid = vault.openid("wxa", PersonId(1 << 60));
        for at in 0..openid.len() {
            let mut other = openid.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(vault.person_of("wxa", &other), None, "{other}");
        }
        for text in ["", "o", "oAAAA", "wxa", &"o".repeat(33), &"o".repeat(4_000), "o中文"] {
            assert_eq!(vault.person_of("wxa", text), None, "{text}");
        }
    }
}
