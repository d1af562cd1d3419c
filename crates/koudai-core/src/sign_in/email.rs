//! The e-mail address of an account: confirmed by a code before it belongs to it, and then signed in by like the phone.

use super::proof::proven;
use super::telling::Telling;
use super::{Asker, CodeWanted, second_step, send_code, use_code};
use crate::identity::{Contact, Email};
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodeKey, CodePurpose, EmailOwner, Language};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx};

fn code_key(email: &Email) -> CodeKey {
    CodeKey { contact: Contact::Email(email.clone()), purpose: CodePurpose::NewEmail }
}

/// Sends a code to an address that is to belong to the account.
#[derive(Debug)]
pub struct RequestEmailCode {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The address.
    pub email: Email,
    /// Who asks.
    pub asker: Asker,
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl Command for RequestEmailCode {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        proven(tx, &self.session)?;
        let key = code_key(&self.email);
        send_code(
            tx,
            CodeWanted { key, request: self.session, asker: Some(&self.asker), language: self.language },
        )
    }
}

/// Has the address belong to the account, in place of the one before.
#[derive(Debug)]
pub struct SetEmail {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The address.
    pub email: Email,
    /// The six digits as typed.
    pub code: Secret<String>,
}

impl Command for SetEmail {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, mut person) = proven(tx, &self.session)?;
        let key = code_key(&self.email);
        let owner = tx.rows().email_owner.get(&self.email).or_stop()?.map(|owner| owner.person);
        if let Some(before) = &person.email {
            tx.rows().email_owner.get(before).or_stop()?;
        }
        let telling = Telling::prepare(tx, &person, AccountChange::Email)?;
        use_code(tx, &key, &self.session, &self.code)?;
        if owner.is_some_and(|owner| owner != person.id) {
            // Whoever reads this has just shown that the address is theirs.
            return Err(Refusal::EmailTaken.into());
        }
        if let Some(before) = person.email.replace(self.email.clone()) {
            tx.rows().email_owner.delete(&before);
        }
        tx.rows().email_owner.put(EmailOwner { email: self.email.clone(), person: person.id });
        tx.rows().person.put(person);
        telling.tell(tx);
        Ok(())
    }
}

/// Has the account do without an address. One that has none is no error.
#[derive(Debug)]
pub struct RemoveEmail {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
}

impl Command for RemoveEmail {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, mut person) = proven(tx, &self.session)?;
        let guards = second_step::of(tx, person.id)?.is_some_and(|row| row.by_code);
        let telling = Telling::prepare(tx, &person, AccountChange::EmailRemoved)?;
        let Some(email) = person.email.take() else { return Ok(()) };
        if guards {
            return Err(Refusal::EmailIsSecondStep.into());
        }
        tx.rows().email_owner.get(&email).or_stop()?;
        tx.rows().email_owner.delete(&email);
        tx.rows().person.put(person);
        telling.tell(tx);
        Ok(())
    }
}
