//! Another phone number for an account, confirmed by a code to it. Whoever can be reached at the old one is told.

use super::proof::proven;
use super::sessions::Sessions;
use super::telling::Telling;
use super::{Asker, CodeWanted, send_code, use_code};
use crate::identity::{Contact, Phone};
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodeKey, CodePurpose, Language, Person, PhoneOwner};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx};

fn code_key(phone: &Phone) -> CodeKey {
    CodeKey { contact: Contact::Phone(phone.clone()), purpose: CodePurpose::NewPhone }
}

/// Sends a code to a number that is to belong to an account. Whether somebody has it already is not told.
pub(super) fn request(
    tx: &mut Tx<'_>,
    phone: &Phone,
    request: [u8; 32],
    asker: &Asker,
    language: Option<Language>,
) -> Result<u32, Stop<Refusal>> {
    send_code(tx, CodeWanted { key: code_key(phone), request, asker: Some(asker), language })
}

/// Has a number belong to an account in place of the one before, if the code is right: all sessions end but the one it is done in,
/// its holder is told, and a cool-down begins. The last check of a decision.
pub(super) fn change(
    tx: &mut Tx<'_>,
    mut person: Person,
    phone: &Phone,
    request: &[u8; 32],
    code: &Secret<String>,
    session: Option<&[u8; 32]>,
) -> Result<(), Stop<Refusal>> {
    let owner = tx.rows().phone_owner.get(phone).or_stop()?.is_some();
    tx.rows().phone_owner.get(&person.phone).or_stop()?;
    let sessions = Sessions::read(tx, person.id)?;
    let telling = Telling::prepare(tx, &person, AccountChange::Phone)?;
    use_code(tx, &code_key(phone), request, code)?;
    if owner {
        // Whoever reads this has just shown that the number is theirs.
        return Err(Refusal::PhoneTaken.into());
    }
    let (now, first_ms) = (tx.now(), tx.policy().safety.cool_down_ms);
    let before = std::mem::replace(&mut person.phone, phone.clone());
    tx.rows().phone_owner.delete(&before);
    tx.rows().phone_owner.put(PhoneOwner { phone: phone.clone(), person: person.id });
    person.cool(now, first_ms);
    tx.rows().person.put(person);
    sessions.end(tx, session);
    telling.tell(tx);
    Ok(())
}

/// Sends a code to a number that is to belong to the account.
#[derive(Debug)]
pub struct RequestPhoneCode {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The number.
    pub phone: Phone,
    /// Who asks.
    pub asker: Asker,
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl Command for RequestPhoneCode {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        proven(tx, &self.session)?;
        request(tx, &self.phone, self.session, &self.asker, self.language)
    }
}

/// Has the number belong to the account, in place of the one before.
#[derive(Debug)]
pub struct SetPhone {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The number.
    pub phone: Phone,
    /// The six digits as typed.
    pub code: Secret<String>,
}

impl Command for SetPhone {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        change(tx, person, &self.phone, &self.session, &self.code, Some(&self.session))
    }
}
