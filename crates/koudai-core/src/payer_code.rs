//! The code that a payer shows (付款码): eighteen digits, good once and for a minute, kept only as a keyed hash.
//!
//! Its digits are random, so that no two codes of a person can be told to be one person's. The shell draws them, as it
//! draws a session's token; the decision sees to it that few are good at a time.

use crate::binding::bank_card_of;
use crate::id::{CardId, PersonId};
use crate::luhn::{luhn_digit, luhn_ok};
use crate::payment_password::{self, Pin};
use crate::refusal::{MerchantRefusal, Refusal};
use crate::rows::{PayerCode, PayerCodes};
use crate::secret::Secret;
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::Timestamp;

/// What every code begins with: none of the ranges of WeChat Pay (10 to 15), Alipay (25 to 30), `UnionPay` (62) or others.
const PREFIX: &str = "70";
/// Random digits behind it; a Luhn digit follows.
const RANDOM_DIGITS: u32 = 15;
/// Bytes of a code's hash.
const HASH: usize = 32;

/// The digits of a payer's code.
#[derive(Clone, Debug)]
pub struct AuthCode(Secret<String>);

impl AuthCode {
    /// The code of a random number.
    pub fn draw(random: u64) -> Self {
        let number = random % 10_u64.pow(RANDOM_DIGITS);
        let mut digits = format!("{PREFIX}{number:015}");
        digits.push(luhn_digit(&digits));
        Self(Secret::new(digits))
    }

    /// Reads eighteen digits; `None` if they cannot be a code of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 18 && text.starts_with(PREFIX) && luhn_ok(text);
        fits.then(|| Self(Secret::new(text.to_owned())))
    }

    /// The eighteen digits. Each call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What its row is found by.
    pub fn hash(&self, keys: &Keys) -> [u8; HASH] {
        keyed_mac(keys.one_time_code.expose(), &[b"payer code", self.0.expose().as_bytes()])
    }
}

impl PayerCodes {
    /// The hashes of the codes that may be good.
    pub fn hashes(&self) -> impl Iterator<Item = [u8; HASH]> + '_ {
        self.codes.chunks_exact(HASH).map(|hash| hash.try_into().expect("a chunk is as long as a hash"))
    }
}

/// Switches payment codes on, which takes the payment password: from then on small amounts pass by the code alone.
#[derive(Debug)]
pub struct SwitchPayerCodesOn {
    /// Whose.
    pub person: PersonId,
    /// The payment password.
    pub pin: Pin,
}

impl Command for SwitchPayerCodesOn {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        let old = tx.rows().payer_codes.get(&self.person).or_stop()?.cloned();
        payment_password::check(tx, self.person, &self.pin)?;
        let nothing =
            PayerCodes { person: self.person, on: true, card: None, codes: vec![], passed_day: 0, passed: 0 };
        // What passed today stays counted.
        let new = PayerCodes { on: true, ..old.unwrap_or(nothing) };
        tx.rows().payer_codes.put(new);
        Ok(())
    }
}

/// Switches payment codes off. Codes that are out are good no more.
#[derive(Debug)]
pub struct SwitchPayerCodesOff {
    /// Whose.
    pub person: PersonId,
}

impl Command for SwitchPayerCodesOff {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let Some(mut codes) = tx.rows().payer_codes.get(&self.person).or_stop()?.cloned() else {
            return Ok(());
        };
        let hashes: Vec<[u8; HASH]> = codes.hashes().collect();
        tx.rows().payer_code.want(&hashes).or_stop()?;
        for hash in &hashes {
            forget(tx, hash)?;
        }
        codes.on = false;
        codes.codes.clear();
        tx.rows().payer_codes.put(codes);
        Ok(())
    }
}

/// Chooses what the person's codes are paid by.
#[derive(Debug)]
pub struct ChoosePayerMethod {
    /// Whose.
    pub person: PersonId,
    /// A card of theirs; `None` for the balance.
    pub card: Option<CardId>,
}

impl Command for ChoosePayerMethod {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let mut codes = switched_on(tx, self.person)?;
        if let Some(card) = self.card {
            bank_card_of(tx, self.person, card)?;
        }
        if codes.card != self.card {
            codes.card = self.card;
            tx.rows().payer_codes.put(codes);
        }
        Ok(())
    }
}

/// Makes a freshly drawn code good for a minute.
#[derive(Debug)]
pub struct IssuePayerCode {
    /// Who shows it.
    pub person: PersonId,
    /// The code.
    pub code: AuthCode,
}

impl Command for IssuePayerCode {
    /// Until when it is good.
    type Reply = Timestamp;
    /// `NumberReused` if these digits are already a code: the shell draws others.
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Timestamp, Stop<Refusal>> {
        let now = tx.now();
        let hash = self.code.hash(tx.keys());
        let known = tx.rows().payer_code.get(&hash).map(|row| row.is_some());
        let mut codes = switched_on(tx, self.person)?;
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        if known.or_stop()? {
            return Err(Refusal::NumberReused.into());
        }
        let kept = usize::from(tx.policy().payer_codes_most).saturating_sub(1);
        let displaced: Vec<[u8; HASH]> = codes.hashes().skip(kept).collect();
        tx.rows().payer_code.want(&displaced).or_stop()?;
        for old in &displaced {
            forget(tx, old)?;
        }
        codes.codes.truncate(kept * HASH);
        codes.codes.splice(..0, hash);
        let expires_at = now.plus(tx.policy().payer_code_life_ms);
        tx.rows().payer_codes.put(codes);
        tx.rows().payer_code.put(PayerCode { hash, person: self.person, expires_at, used: false });
        Ok(expires_at)
    }
}

/// Forgets codes that expired long ago. Codes that are still of use stay.
#[derive(Clone, Debug)]
pub struct SweepPayerCodes {
    /// At most a few hundred.
    pub hashes: Vec<[u8; HASH]>,
}

impl Command for SweepPayerCodes {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let old = tx.now().plus(-tx.policy().payer_code_kept_ms);
        tx.rows().payer_code.want(&self.hashes).or_stop()?;
        for hash in &self.hashes {
            if tx.rows().payer_code.get(hash).or_stop()?.is_some_and(|code| code.expires_at <= old) {
                tx.rows().payer_code.delete(hash);
            }
        }
        Ok(())
    }
}

fn switched_on(tx: &mut Tx<'_>, person: PersonId) -> Result<PayerCodes, Stop<Refusal>> {
    let codes = tx.rows().payer_codes.get(&person).or_stop()?.filter(|codes| codes.on);
    Ok(codes.cloned().ok_or(Refusal::PayerCodeOff)?)
}

/// Deletes a code's row unless a sweep has.
fn forget(tx: &mut Tx<'_>, hash: &[u8; HASH]) -> Result<(), Stop<Refusal>> {
    if tx.rows().payer_code.get(hash).or_stop()?.is_some() {
        tx.rows().payer_code.delete(hash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_eighteen_digits_that_check() {
        assert_eq!(AuthCode::draw(1).expose(), "700000000000000013");
        let code = AuthCode::draw(u64::MAX);
        assert_eq!(AuthCode::parse(code.expose()).unwrap().expose(), code.expose());
        for wrong in
            ["", "700000000000000012", "70000000000000013", "130000000000000013", "７00000000000000013"]
        {
            assert!(AuthCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{code:?}").contains(&code.expose()[2..]));
    }
}
