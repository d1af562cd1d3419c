//! Proving once more who one is, before changing what guards the account: a session that somebody found open is not enough.

use super::{CodeWanted, PasskeyAnswer, active_holder, holder, passkey, second_step, send_code, use_code};
use crate::identity::Contact;
use crate::refusal::Refusal;
use crate::rows::{CodeKey, CodePurpose, Language, Person, Session};
use crate::secret::Secret;
use crate::state::{Command, Stop, Tx};

/// Who holds a session, if they have proved a short while ago that it is them.
///
/// # Errors
/// `SignedOut`, `AccountFrozen`, `ProofNeeded`, or `Absent`.
pub(crate) fn proven(tx: &mut Tx<'_>, token_hash: &[u8; 32]) -> Result<(Session, Person), Stop<Refusal>> {
    let (session, person) = active_holder(tx, token_hash)?;
    if !session.is_proven(tx.now(), &tx.policy().safety) {
        return Err(Refusal::ProofNeeded.into());
    }
    Ok((session, person))
}

fn code_key(person: &Person) -> CodeKey {
    CodeKey { contact: Contact::Phone(person.phone.clone()), purpose: CodePurpose::Proof }
}

/// Sends the holder of a session a code to prove it by.
#[derive(Debug)]
pub struct RequestProof {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl Command for RequestProof {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        let (_, person) = holder(tx, &self.session)?;
        let key = match second_step::of(tx, person.id)? {
            Some(row) => second_step::proof_key(&row, &person)?,
            None => code_key(&person),
        };
        send_code(tx, CodeWanted { key, request: self.session, asker: None, language: self.language })
    }
}

/// Takes the code as proof.
#[derive(Debug)]
pub struct ProveByCode {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The six digits as typed.
    pub code: Secret<String>,
}

impl Command for ProveByCode {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (mut session, person) = holder(tx, &self.session)?;
        // One code of two steps' is not enough.
        if second_step::of(tx, person.id)?.is_some() {
            return Err(Refusal::SecondStepWrong.into());
        }
        let key = code_key(&person);
        use_code(tx, &key, &self.session, &self.code)?;
        session.proven_at = tx.now();
        tx.rows().session.put(session);
        Ok(())
    }
}

/// Takes a passkey's answer as proof.
#[derive(Debug)]
pub struct ProveByPasskey {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The answer.
    pub answer: PasskeyAnswer,
}

impl Command for ProveByPasskey {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (mut session, person) = holder(tx, &self.session)?;
        let passkey = passkey::check(tx, &self.answer)?;
        if passkey.person != person.id {
            return Err(Refusal::PasskeyUnknown.into());
        }
        passkey::used(tx, passkey, &self.answer);
        session.proven_at = tx.now();
        tx.rows().session.put(session);
        Ok(())
    }
}
