//! What merchants' pages and servers get to hold instead of the thing itself: the `prepay_id` of an order, the ticket of an
//! `h5_url`, the login code that stands for a person, and the secret an app proves itself by.
//!
//! All of it is derived with the operator's key, hides what it stands for and proves it, so that nothing has to be stored
//! and nothing can be guessed. An order's own token stays with the payer's browser: who has only a `prepay_id` cannot open
//! the payment page without the merchant's signature.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::PersonId;
use koudai_core::state::{keyed_mac, keyed_mac_matches};
use koudai_core::time::Timestamp;

use crate::vault::Vault;

/// What a `prepay_id` begins with.
const PREPAY: &str = "kd";
/// The longest text that is looked at: none of ours comes near it.
const MOST_BYTES: usize = 64;

/// Whether a text can be an app's id: of ours each is `wx` and sixteen digits. What cannot be one is not looked up.
pub fn is_appid(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A login code that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginCode {
    /// Whom it stands for.
    pub person: PersonId,
    /// What its use is recorded by.
    pub token: [u8; 16],
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Vault {
    fn mac16(&self, parts: &[&[u8]]) -> [u8; 16] {
        *keyed_mac(self.compare_key().expose(), parts).first_chunk().expect("a MAC has 32 bytes")
    }

    /// The `prepay_id` of the order that this code stands for: 45 characters, the same for the same code.
    pub fn prepay_id(&self, code: &[u8; 16]) -> String {
        let mac = self.mac16(&[b"prepay id", code]);
        let mask = self.mac16(&[b"prepay mask", &mac]);
        let hidden: Vec<u8> = code.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        format!("{PREPAY}{}", URL_SAFE_NO_PAD.encode([&mac[..], &hidden].concat()))
    }

    /// The code behind a `prepay_id` of ours.
    pub fn code_of(&self, prepay_id: &str) -> Option<[u8; 16]> {
        let bytes: [u8; 32] = decode(prepay_id.strip_prefix(PREPAY)?)?;
        let (mac, hidden) = bytes.split_first_chunk::<16>()?;
        let mask = self.mac16(&[b"prepay mask", mac]);
        let mut code: [u8; 16] = hidden.try_into().ok()?;
        code.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        verify_slices_are_equal(&self.mac16(&[b"prepay id", &code]), mac).is_ok().then_some(code)
    }

    /// What an `h5_url` carries beside the `prepay_id`: until when it opens the payment page, and proof that we said so.
    pub fn h5_ticket(&self, code: &[u8; 16], until: Timestamp) -> String {
        let mac = self.mac16(&[b"h5 ticket", code, &until.0.to_be_bytes()]);
        format!("{}.{}", until.0, URL_SAFE_NO_PAD.encode(mac))
    }

    /// Until when a ticket of ours for this order is good.
    pub fn h5_until(&self, code: &[u8; 16], ticket: &str) -> Option<Timestamp> {
        let (until, mac) = ticket.split_once('.')?;
        let until = Timestamp(until.parse().ok()?);
        let mac: [u8; 16] = decode(mac)?;
        let expected = self.mac16(&[b"h5 ticket", code, &until.0.to_be_bytes()]);
        verify_slices_are_equal(&expected, &mac).is_ok().then_some(until)
    }

    /// A code by which this app's server learns who the person is: 54 characters, another at each call.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn login_code(&self, appid: &str, person: PersonId, expires_at: Timestamp) -> String {
        let mut token = [0; 16];
        aws_lc_rs::rand::fill(&mut token).expect("the operating system has random bytes");
        token[..6].copy_from_slice(&expires_at.0.to_be_bytes()[2..]);
        let mac = self.login_mac(appid, &token, person);
        let hidden = self.login_mask(&mac) ^ person.0;
        URL_SAFE_NO_PAD.encode([&token[..], &mac, &hidden.to_be_bytes()].concat())
    }

    /// What a login code that was made for this app says; `None` for any other text. Whether it was used, or is past its
    /// time, is not looked at.
    pub fn open_login_code(&self, appid: &str, text: &str) -> Option<LoginCode> {
        let bytes: [u8; 40] = decode(text)?;
        let (token, rest) = bytes.split_first_chunk::<16>()?;
        let (mac, hidden) = rest.split_first_chunk::<16>()?;
        let person = PersonId(self.login_mask(mac) ^ i64::from_be_bytes(hidden.try_into().ok()?));
        let mut expires = [0; 8];
        expires[2..].copy_from_slice(&token[..6]);
        let code = LoginCode { person, token: *token, expires_at: Timestamp(i64::from_be_bytes(expires)) };
        verify_slices_are_equal(&self.login_mac(appid, token, person), mac).is_ok().then_some(code)
    }

    fn login_mac(&self, appid: &str, token: &[u8; 16], person: PersonId) -> [u8; 16] {
        self.mac16(&[b"login code", appid.as_bytes(), token, &person.0.to_be_bytes()])
    }

    fn login_mask(&self, mac: &[u8; 16]) -> i64 {
        let mask = self.mac16(&[b"login mask", mac]);
        i64::from_be_bytes(*mask.first_chunk().expect("it has 16 bytes"))
    }

    /// What is kept of an app's secret.
    pub fn app_secret_mac(&self, appid: &str, secret: &str) -> [u8; 32] {
        keyed_mac(self.compare_key().expose(), &[b"app secret", appid.as_bytes(), secret.as_bytes()])
    }

    /// Whether this is the app's secret.
    pub fn is_app_secret(&self, appid: &str, secret: &str, mac: &[u8; 32]) -> bool {
        let parts: [&[u8]; 3] = [b"app secret", appid.as_bytes(), secret.as_bytes()];
        keyed_mac_matches(self.compare_key().expose(), &parts, mac)
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > MOST_BYTES {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use koudai_core::secret::Secret;

    use super::*;

    fn vault(byte: u8) -> Vault {
        let key = || Secret::new([byte; 32]);
        Vault::new(&key(), key(), key())
    }

    /// Every text that differs from this one in one character.
    fn changed(text: &str) -> impl Iterator<Item = String> {
        (0..text.len()).map(move |at| {
            let mut other = text.to_owned().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(other).unwrap()
        })
    }

    #[test]
    fn a_prepay_id_leads_back_to_its_code_and_shows_nothing_of_it() {
        let (vault, stranger, code) = (vault(1), vault(2), [7; 16]);
        let id = vault.prepay_id(&code);
        assert_eq!((id.len(), vault.prepay_id(&code)), (45, id.clone()));
        assert_eq!((vault.code_of(&id), stranger.code_of(&id)), (Some(code), None));
        assert!(!id.contains(&URL_SAFE_NO_PAD.encode(code)));
        for other in
            changed(&id).chain(["", "kd", "kdAAAA", "wx"].map(str::to_owned)).chain(["kd".repeat(99)])
        {
            assert_eq!(vault.code_of(&other), None, "{other}");
        }
    }

    #[test]
    fn a_ticket_is_good_for_its_order_and_its_time_only() {
        let (vault, until) = (vault(1), Timestamp(1_795_000_300_000));
        let ticket = vault.h5_ticket(&[7; 16], until);
        assert_eq!(vault.h5_until(&[7; 16], &ticket), Some(until));
        assert_eq!(vault.h5_until(&[8; 16], &ticket), None);
        let later = ticket.replacen("1795000300000", "1795000300001", 1);
        assert_ne!(later, ticket);
        for other in changed(&ticket).chain([later, String::new(), ".".to_owned(), format!("{}.", until.0)]) {
            assert_eq!(vault.h5_until(&[7; 16], &other), None, "{other}");
        }
    }

    #[test]
    fn a_login_code_says_who_it_is_to_its_own_app_only() {
        let (vault, person, until) = (vault(1), PersonId(1 << 60), Timestamp(1_795_000_300_000));
        let code = vault.login_code("wxa", person, until);
        assert_ne!(code, vault.login_code("wxa", person, until), "each is its own");
        let opened = vault.open_login_code("wxa", &code).unwrap();
        assert_eq!((opened.person, opened.expires_at, code.len()), (person, until, 54));
        assert_eq!(vault.open_login_code("wxb", &code), None);
        assert_eq!(super::tests::vault(2).open_login_code("wxa", &code), None);
        for other in changed(&code).chain([String::new(), "x".repeat(10_000)]) {
            assert_eq!(vault.open_login_code("wxa", &other), None, "{other}");
        }
    }

    #[test]
    fn a_secret_is_its_apps_own() {
        let vault = vault(1);
        let mac = vault.app_secret_mac("wxa", "secret");
        assert!(vault.is_app_secret("wxa", "secret", &mac));
        assert!(!vault.is_app_secret("wxb", "secret", &mac) && !vault.is_app_secret("wxa", "Secret", &mac));
    }
}
