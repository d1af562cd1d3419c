//! The wallet as an issuer: apps of others, in which its holders pay from their balance here. An app binds an account with
//! its holder's consent, then takes money, gives it back and pays out, each under a number of its own.
//!
//! What the app and its holders owe each other stands in one account for each app: what it took, less what it gave back and
//! paid out. It is never below nothing.

mod agreement;
mod moves;

pub use agreement::{
    CODES_MOST, ConfirmAgreement, EndAgreement, RequestAgreement, ResendAgreementCode, RevokeAgreement,
    SetAgreementLimits,
};
pub use moves::{ByToken, CloseAppMove, GiveBackToHolder, MoveByToken};

use crate::id::{AgreementId, IssuingAppId, PersonId};
use crate::identity::Phone;
use crate::luhn::luhn_digit;
use crate::refusal::Refusal;
use crate::rows::{Agreement, AgreementState, Declined, IssuingApp, IssuingAppName};
use crate::secret::Secret;
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac, keyed_mac_matches};

/// Why an app is refused. Nothing was done, but where a try was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuingRefusal {
    /// For good, under this number.
    Declined(Declined),
    /// The number stands for something else.
    NumberReused,
    /// There is nothing under this number.
    NotFound,
    /// The operator has stopped this app.
    Suspended,
    /// There is no such token, or it was given back.
    TokenUnknown,
    /// The code is wrong.
    CodeWrong {
        /// Tries left.
        tries_left: u8,
    },
    /// The code is past its life or its tries.
    CodeExpired,
    /// Another code was asked for too early.
    TooSoon,
    /// No more codes for this binding, or no more bindings of this account today.
    TooMany,
    /// The app's account does not cover what it gives back. It may once more was taken.
    NotCovered,
}

/// Six digits, the first one a 9, as no card's is: what this operator's account numbers begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountBin([u8; 6]);

impl Default for AccountBin {
    fn default() -> Self {
        Self(*b"998801")
    }
}

impl AccountBin {
    /// Reads six digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 6] = text.as_bytes().try_into().ok()?;
        (digits[0] == b'9' && digits.iter().all(u8::is_ascii_digit)).then_some(Self(digits))
    }

    /// The six digits.
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

/// The number by which apps bind an account: the operator's six digits, the phone, and a check digit.
pub fn account_number(bin: AccountBin, phone: &Phone) -> String {
    let mut number = format!("{}{}", bin.digits(), phone.digits());
    number.push(luhn_digit(&number));
    number
}

/// Whose account a number is; `None` if it is none of this operator's.
pub fn phone_of_account(bin: AccountBin, number: &str) -> Option<Phone> {
    let digits = number.strip_prefix(bin.digits())?;
    let phone = Phone::parse(digits.get(..digits.len().checked_sub(1)?)?)?;
    (account_number(bin, &phone) == number).then_some(phone)
}

/// Lets an app of another's bind accounts here, or changes one that is here. What is absent stays as it is.
#[derive(Clone, Debug)]
pub struct SetIssuingApp {
    /// What it signs its requests as: 1 to 32 of `0-9 A-Z a-z _ -`.
    pub app: String,
    /// As holders read it, in Chinese.
    pub name_zh: Option<String>,
    /// As holders read it, in English.
    pub name_en: Option<String>,
    /// Checks its requests: a public key in PEM.
    pub key_pem: Option<String>,
    /// Whether it is kept from binding and from taking money. What it owes it may still give.
    pub suspended: Option<bool>,
}

/// A new app needs both names and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppIncomplete;

impl Command for SetIssuingApp {
    type Reply = IssuingApp;
    type Refusal = AppIncomplete;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<IssuingApp, Stop<AppIncomplete>> {
        let known = tx.rows().issuing_app_name.get(&self.app).or_stop()?.map(|name| name.id);
        let set = |to: &mut String, from: &Option<String>| from.iter().for_each(|text| to.clone_from(text));
        if let Some(id) = known {
            let mut app =
                tx.rows().issuing_app.get(&id).or_stop()?.cloned().expect("a name stands for an app");
            set(&mut app.name_zh, &self.name_zh);
            set(&mut app.name_en, &self.name_en);
            set(&mut app.key_pem, &self.key_pem);
            app.suspended = self.suspended.unwrap_or(app.suspended);
            tx.rows().issuing_app.put(app.clone());
            return Ok(app);
        }
        let (Some(name_zh), Some(name_en), Some(key_pem)) = (&self.name_zh, &self.name_en, &self.key_pem)
        else {
            return Err(AppIncomplete.into());
        };
        let app = IssuingApp {
            id: IssuingAppId(tx.fresh_id()),
            app: self.app.clone(),
            name_zh: name_zh.clone(),
            name_en: name_en.clone(),
            key_pem: key_pem.clone(),
            suspended: self.suspended.unwrap_or(false),
            created_at: tx.now(),
        };
        tx.rows().issuing_app_name.put(IssuingAppName { app: self.app.clone(), id: app.id });
        tx.rows().issuing_app.insert(app.clone());
        Ok(app)
    }
}

const TOKEN: &[u8] = b"agreement token";

/// The token of an agreement: which it is, and a MAC that only this operator can make. It stands nowhere.
pub fn token_of(keys: &Keys, agreement: AgreementId) -> Secret<String> {
    use std::fmt::Write as _;
    let mac = keyed_mac(keys.one_time_code.expose(), &[TOKEN, &agreement.0.to_be_bytes()]);
    let mut token = agreement.wire();
    for byte in mac {
        let _written = write!(token, "{byte:02x}");
    }
    Secret::new(token)
}

/// The agreement of a token; `None` if it is no token of this operator's.
fn agreement_of(keys: &Keys, token: &Secret<String>) -> Option<AgreementId> {
    let token = token.expose();
    let (wire, hex) = (token.get(..28)?, token.get(28..)?.as_bytes());
    let agreement = AgreementId::parse(wire)?;
    if hex.len() != 64 {
        return None;
    }
    let digit = |at: usize| char::from(hex[at]).to_digit(16);
    let bytes: Option<Vec<u8>> =
        (0..32).map(|n| u8::try_from(digit(2 * n)? << 4 | digit(2 * n + 1)?).ok()).collect();
    let parts: [&[u8]; 2] = [TOKEN, &agreement.0.to_be_bytes()];
    keyed_mac_matches(keys.one_time_code.expose(), &parts, &bytes?).then_some(agreement)
}

/// The agreement that a token of an app's stands for, ended or not; `None` for any other token.
fn token_holder(
    tx: &mut Tx<'_>,
    app: IssuingAppId,
    token: &Secret<String>,
) -> Result<Option<Agreement>, Stop<IssuingRefusal>> {
    let Some(id) = agreement_of(tx.keys(), token) else { return Ok(None) };
    let found = tx.rows().agreement.get(&id).or_stop()?.cloned();
    let bound = |a: &Agreement| matches!(a.state, AgreementState::Bound | AgreementState::Ended);
    Ok(found.filter(|agreement| agreement.app == app && bound(agreement)))
}

/// Stops an app that the operator has stopped.
fn check_active(tx: &mut Tx<'_>, app: IssuingAppId) -> Result<(), Stop<IssuingRefusal>> {
    let app = tx.rows().issuing_app.get(&app).or_stop()?.ok_or(IssuingRefusal::Suspended)?;
    if app.suspended { Err(IssuingRefusal::Suspended.into()) } else { Ok(()) }
}

/// An agreement of a person's that lasts.
fn own_agreement(tx: &mut Tx<'_>, person: PersonId, id: AgreementId) -> Result<Agreement, Stop<Refusal>> {
    let found = tx.rows().agreement.get(&id).or_stop()?.cloned();
    let lasts = |a: &Agreement| a.person == Some(person) && a.state == AgreementState::Bound;
    Ok(found.filter(lasts).ok_or(Refusal::RecordUnknown)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_number_is_its_phones_and_nobody_elses() {
        let phone = Phone::parse("13912340001").unwrap();
        let number = account_number(AccountBin::default(), &phone);
        assert_eq!(number, "998801139123400014");
        assert_eq!(phone_of_account(AccountBin::default(), &number), Some(phone));
        for wrong in ["998801139123400018", "998802139123400014", "99880113912340001", "", "998801"] {
            assert_eq!(phone_of_account(AccountBin::default(), wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_cards_digits_are_an_operators() {
        assert_eq!(AccountBin::parse("912345").unwrap().digits(), "912345");
        for wrong in ["622588", "91234", "9123456", "91234x", ""] {
            assert_eq!(AccountBin::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_its_agreements_alone() {
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let agreement = AgreementId(1_795_000_000_000 << 21);
        let token = token_of(&keys, agreement);
        assert_eq!(agreement_of(&keys, &token), Some(agreement));
        let text = token.expose();
        let other = if text.ends_with('0') { '1' } else { '0' };
        for wrong in [&text[..91], &format!("{}{other}", &text[..91]), &text[28..], "", &"é".repeat(46)] {
            assert_eq!(agreement_of(&keys, &Secret::new(wrong.to_owned())), None, "{wrong}");
        }
        let others = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([3; 32]) };
        assert_eq!(agreement_of(&others, &token), None);
    }
}
