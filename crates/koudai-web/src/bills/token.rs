//! What lets a merchant download a bill it applied for: the bill, sealed under the operator's key, so that no row is needed and
//! any process of the operator's takes it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::MchId;
use koudai_core::time::{MINUTE, Timestamp};
use koudai_networks::vault::{Sealed, Vault};

use super::{Bill, BillKind, Day};

/// How long a token is good for, as in the original.
const TOKEN_LIFE_MS: i64 = 5 * MINUTE;
/// The longest text that is looked at.
const LONGEST: usize = 256;
/// Merchant, day and end of life in eight bytes each, kind and form in one each.
const BYTES: usize = 26;

/// A bill that may be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The bill.
    pub bill: Bill,
    /// Whether it comes compressed.
    pub compressed: bool,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why a token does not let anybody download anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is none of ours.
    Malformed,
    /// Its bill is another merchant's.
    OtherMerchant,
    /// Its time is over.
    Expired,
}

const KINDS: [(u8, BillKind); 4] =
    [(1, BillKind::All), (2, BillKind::Success), (3, BillKind::Refund), (4, BillKind::FundFlow)];

impl Token {
    /// A token that is good from `now` on.
    pub const fn new(bill: Bill, compressed: bool, now: Timestamp) -> Self {
        Self { bill, compressed, expires_at: now.plus(TOKEN_LIFE_MS) }
    }

    /// The text that stands in an address.
    pub fn text(&self, vault: &Vault) -> String {
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.bill.kind).map_or(0, |(number, _)| *number);
        let numbers = [self.bill.mchid.0, self.bill.day.number(), self.expires_at.0].map(i64::to_be_bytes);
        let plain = [numbers.as_flattened(), &[kind, u8::from(self.compressed)]].concat();
        URL_SAFE_NO_PAD.encode(vault.seal(Sealed::BillToken, &plain))
    }

    /// Reads a text that `mchid` shows.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn open(text: &str, vault: &Vault, mchid: MchId, now: Timestamp) -> Result<Self, TokenError> {
        let token = Self::read(text, vault).ok_or(TokenError::Malformed)?;
        if token.bill.mchid != mchid {
            return Err(TokenError::OtherMerchant);
        }
        if now >= token.expires_at {
            return Err(TokenError::Expired);
        }
        Ok(token)
    }

    fn read(text: &str, vault: &Vault) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(Some(text).filter(|text| text.len() <= LONGEST)?).ok()?;
        let plain = vault.open(Sealed::BillToken, &sealed).ok()?;
        let plain: &[u8; BYTES] = plain.expose().as_slice().try_into().ok()?;
        let number = |at: usize| Some(i64::from_be_bytes(plain.get(at..at + 8)?.try_into().ok()?));
        let kind = KINDS.iter().find(|(number, _)| *number == plain[24]).map(|(_, kind)| *kind)?;
        let bill = Bill { mchid: MchId(number(0)?), kind, day: Day::from_number(number(8)?) };
        Some(Self { bill, compressed: plain[25] == 1, expires_at: Timestamp(number(16)?) })
    }
}

#[cfg(test)]
mod tests {
    use koudai_core::secret::Secret;

    use super::*;

    fn vault(byte: u8) -> Vault {
        let key = || Secret::new([byte; 32]);
        Vault::new(&key(), key(), key())
    }

    #[test]
    fn a_token_is_for_its_merchant_its_bill_and_five_minutes() {
        let (now, mchid) = (Timestamp(1_795_000_000_000), MchId::FIRST);
        for (_, kind) in KINDS {
            let bill = Bill { mchid, kind, day: Day::parse("2026-11-24").unwrap() };
            for compressed in [false, true] {
                let token = Token::new(bill, compressed, now);
                let text = token.text(&vault(1));
                assert!(text.len() < 100 && text.is_ascii());
                let open = |mchid, at| Token::open(&text, &vault(1), mchid, at);
                assert_eq!(open(mchid, now), Ok(token));
                assert_eq!(open(mchid, now.plus(TOKEN_LIFE_MS - 1)), Ok(token));
                assert_eq!(open(mchid, now.plus(TOKEN_LIFE_MS)), Err(TokenError::Expired));
                let other = MchId(mchid.0 + 1);
                assert_eq!(open(other, now.plus(TOKEN_LIFE_MS)), Err(TokenError::OtherMerchant));
                assert_eq!(Token::open(&text, &vault(2), mchid, now), Err(TokenError::Malformed));
            }
        }
    }

    #[test]
    fn what_is_no_token_of_ours_is_none() {
        let (now, mchid) = (Timestamp(1_795_000_000_000), MchId::FIRST);
        let bill = Bill { mchid, kind: BillKind::All, day: Day::parse("2026-11-24").unwrap() };
        let text = Token::new(bill, false, now).text(&vault(1));
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(Token::open(&other, &vault(1), mchid, now), Err(TokenError::Malformed), "{at}");
        }
        let other_seal = URL_SAFE_NO_PAD.encode(vault(1).seal(Sealed::CardToken, &[0; BYTES]));
        let long = "A".repeat(100_000);
        for text in ["", "A", "中文", "==", &text[1..], &format!("{text}A"), &long, &other_seal] {
            assert_eq!(Token::open(text, &vault(1), mchid, now), Err(TokenError::Malformed));
        }
    }
}
