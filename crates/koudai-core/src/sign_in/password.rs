//! The password for signing in, which is never asked for when paying.
//!
//! The edge hashes it slowly, so that no decision waits for it; the decision turns the hash into a MAC under the operator's key,
//! compares, and counts the try, all at once. A password alone signs nobody in on a device they have not used before: there a
//! code is sent besides (domain rule 6: eight characters are enough only with a second factor).

use super::allowance::{Count, Counted, WrongHere};
use super::proof::proven;
use super::sessions::Sessions;
use super::telling::Telling;
use super::{Asker, CodeWanted, Opening, SignedIn, nobody, owner, send_code};
use crate::id::PersonId;
use crate::identity::Contact;
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodeKey, CodePurpose, Language, LoginPassword};
use crate::secret::Secret;
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac, keyed_mac_matches};
use crate::time::Timestamp;

/// How many passwords before may not be used again.
const REMEMBERED: usize = 5;
const MAC_BYTES: usize = 32;

/// A password as the edge hands it over: salted and hashed slowly.
#[derive(Clone, Debug)]
pub struct PasswordTried {
    /// The salt it was hashed with.
    pub salt: [u8; 16],
    /// The slow hash.
    pub hash: Secret<[u8; 32]>,
}

impl PasswordTried {
    /// What it is compared by, if it is this person's.
    fn parts<'a>(&'a self, person: &'a [u8; 8]) -> [&'a [u8]; 4] {
        [b"login password", person, &self.salt, self.hash.expose()]
    }
}

/// The salt to hash a password with that was tried for an account that has none or is not there, so that the answer takes as
/// long, and the same each time.
pub fn salt_of_nobody(keys: &Keys, contact: &Contact) -> [u8; 16] {
    let mac = keyed_mac(keys.one_time_code.expose(), &[b"salt of nobody", contact.text().as_bytes()]);
    *mac.first_chunk().expect("a MAC of 32 bytes begins with 16")
}

/// Signs somebody in by their password.
#[derive(Debug)]
pub struct SignInByPassword {
    /// The number or address as typed.
    pub contact: Contact,
    /// The password.
    pub tried: PasswordTried,
    /// SHA-256 of what has to be shown with the code, if one is sent.
    pub request: [u8; 32],
    /// Who asks.
    pub asker: Asker,
    /// SHA-256 of the session token the edge drew.
    pub token_hash: [u8; 32],
    /// In which language a code is sent; `None` for both.
    pub language: Option<Language>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordAnswer {
    /// Signed in.
    SignedIn(SignedIn),
    /// Right, on a device that is new: a code was sent to the number or address.
    CodeSent {
        /// Seconds until another may be asked for.
        wait_s: u32,
    },
}

impl Command for SignInByPassword {
    type Reply = PasswordAnswer;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<PasswordAnswer, Stop<Refusal>> {
        let (looked_at, _) = looked_up(tx, &self.contact)?;
        let opening = Opening::prepare(tx, looked_at, &self.asker, self.token_hash)?;
        // Whoever is at a device of their own has a count of their own, whatever their neighbours do.
        let here = if opening.is_known_device() { Asker::default() } else { self.asker };
        let known = opening.known.as_ref().map(|known| &known.key);
        let trial = Trial::prepare(tx, &self.contact, &here, known)?;
        let (person, wrong) = trial.judge(tx, &self.tried)?;
        if opening.is_known_device() {
            wrong.clear(tx);
            // A password is something that somebody else may know: it proves nothing that a change would take.
            return Ok(PasswordAnswer::SignedIn(opening.open(tx, person, Timestamp(0))));
        }
        let key = CodeKey { contact: self.contact.clone(), purpose: CodePurpose::SignIn };
        let wanted =
            CodeWanted { key, request: self.request, asker: Some(&self.asker), language: self.language };
        let wait_s = send_code(tx, wanted)?;
        wrong.clear(tx);
        Ok(PasswordAnswer::CodeSent { wait_s })
    }
}

/// Whom a number or address stands for, or nobody, of whom as much is looked up; and whether it is somebody.
fn looked_up(tx: &mut Tx<'_>, contact: &Contact) -> Result<(PersonId, bool), Stop<Refusal>> {
    let person = owner(tx, contact)?;
    Ok((person.unwrap_or_else(|| nobody(tx.keys(), contact)), person.is_some()))
}

/// A password that is about to be tried, with everything loaded that it takes.
#[derive(Debug)]
pub(super) struct Trial {
    looked_at: PersonId,
    is_there: bool,
    password: Option<LoginPassword>,
    wrong: Count,
    wrong_here: WrongHere,
}

impl Trial {
    /// Loads it. `known` is a device that is the holder's own.
    ///
    /// # Errors
    /// `SignInPaused`, or `Absent`.
    pub(super) fn prepare(
        tx: &mut Tx<'_>,
        contact: &Contact,
        here: &Asker,
        known: Option<&[u8; 32]>,
    ) -> Result<Self, Stop<Refusal>> {
        let (looked_at, is_there) = looked_up(tx, contact)?;
        let password = tx.rows().login_password.get(&looked_at).or_stop()?.cloned();
        let wrong_here = WrongHere::read(tx, here)?;
        let whose = known.map_or(contact.text().as_bytes(), |key| key);
        let wrong = Count::read(tx, Counted::WrongPasswords, whose)?;
        match wrong.wait_s(tx.now(), tx.policy().safety.wrong_passwords_most) {
            Some(wait_s) => Err(Refusal::SignInPaused { wait_s }.into()),
            None => Ok(Self { looked_at, is_there, password, wrong, wrong_here }),
        }
    }

    /// Whose password it would be.
    pub(super) const fn looked_at(&self) -> PersonId {
        self.looked_at
    }

    /// Judges it and counts a wrong one. The last check of a decision, but for what only its holder is told.
    ///
    /// # Errors
    /// `SignInWrong`.
    pub(super) fn judge(
        self,
        tx: &mut Tx<'_>,
        tried: &PasswordTried,
    ) -> Result<(PersonId, Count), Stop<Refusal>> {
        let person = self.looked_at;
        let right = self.password.is_some_and(|password| password.is(person, tried, tx.keys()));
        if right && self.is_there {
            return Ok((person, self.wrong));
        }
        let pause_ms = tx.policy().safety.pause_ms;
        self.wrong.add(tx, pause_ms);
        self.wrong_here.add(tx);
        Err(Refusal::SignInWrong.into())
    }
}

impl LoginPassword {
    /// Since when it is the password; `None` of somebody who does without one now.
    pub fn since(&self) -> Option<Timestamp> {
        self.mac.map(|_| self.set_at)
    }

    /// The MACs that may not be used again: of the present one and of the ones before.
    fn remembered(&self) -> Vec<u8> {
        let mut all: Vec<u8> = self.mac.iter().flatten().chain(&self.earlier).copied().collect();
        all.truncate(REMEMBERED * MAC_BYTES);
        all
    }

    fn is(&self, person: PersonId, tried: &PasswordTried, keys: &Keys) -> bool {
        let (key, person) = (keys.payment_password.expose(), person.0.to_be_bytes());
        let matches = |mac: &[u8; 32]| keyed_mac_matches(key, &tried.parts(&person), mac);
        self.salt == tried.salt && self.mac.as_ref().is_some_and(matches)
    }
}

/// The row of a person whose password is to be this one.
///
/// # Errors
/// `LoginPasswordReused`, or `Busy` if another was set at this very moment.
pub(super) fn renewed(
    tx: &Tx<'_>,
    person: PersonId,
    old: Option<LoginPassword>,
    new: &PasswordTried,
) -> Result<LoginPassword, Refusal> {
    let mac = keyed_mac(tx.keys().payment_password.expose(), &new.parts(&person.0.to_be_bytes()));
    let mut earlier = vec![];
    if let Some(old) = old {
        if old.salt != new.salt {
            return Err(Refusal::Busy);
        }
        earlier = old.remembered();
        if earlier.chunks_exact(MAC_BYTES).any(|one| one == mac) {
            return Err(Refusal::LoginPasswordReused);
        }
    }
    Ok(LoginPassword { person, salt: new.salt, mac: Some(mac), set_at: tx.now(), earlier })
}

/// Makes sure that whoever changes a password that is set knows it: to have the phone is not enough, as the matrix of domain rule 6
/// has it. A wrong one is counted by session. The last check of a decision.
///
/// # Errors
/// `LoginPasswordWrong`, `SignInPaused`, or `Absent`.
fn check_old(
    tx: &mut Tx<'_>,
    session: &[u8; 32],
    row: Option<&LoginPassword>,
    old: Option<&PasswordTried>,
) -> Result<(), Stop<Refusal>> {
    let Some(row) = row.filter(|row| row.mac.is_some()) else { return Ok(()) };
    let wrong = Count::read(tx, Counted::WrongPasswords, session)?;
    let safety = tx.policy().safety;
    if let Some(wait_s) = wrong.wait_s(tx.now(), safety.wrong_passwords_most) {
        return Err(Refusal::SignInPaused { wait_s }.into());
    }
    if old.is_some_and(|old| row.is(row.person, old, tx.keys())) {
        return Ok(());
    }
    wrong.add(tx, safety.pause_ms);
    Err(Refusal::LoginPasswordWrong.into())
}

/// Sets or changes the password for signing in. All other sessions end.
#[derive(Debug)]
pub struct SetLoginPassword {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The present one, if there is one.
    pub old: Option<PasswordTried>,
    /// The password. Its salt is the one of the row, or a new one if there is no row.
    pub new: PasswordTried,
}

impl Command for SetLoginPassword {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let old = tx.rows().login_password.get(&person.id).or_stop()?.cloned();
        let sessions = Sessions::read(tx, person.id)?;
        let telling = Telling::prepare(tx, &person, AccountChange::LoginPassword)?;
        check_old(tx, &self.session, old.as_ref(), self.old.as_ref())?;
        let row = renewed(tx, person.id, old, &self.new)?;
        tx.rows().login_password.put(row);
        sessions.end(tx, Some(&self.session));
        telling.tell(tx);
        Ok(())
    }
}

/// Has the account do without a password for signing in. One that has none is no error.
#[derive(Debug)]
pub struct RemoveLoginPassword {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The present one.
    pub old: Option<PasswordTried>,
}

impl Command for RemoveLoginPassword {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let row = tx.rows().login_password.get(&person.id).or_stop()?.cloned();
        let telling = Telling::prepare(tx, &person, AccountChange::LoginPasswordRemoved)?;
        check_old(tx, &self.session, row.as_ref(), self.old.as_ref())?;
        if let Some(old) = row.filter(|row| row.mac.is_some()) {
            // What was used is remembered, or whoever wants an old one back would only have to do without one first.
            let earlier = old.remembered();
            tx.rows().login_password.put(LoginPassword { mac: None, earlier, ..old });
            telling.tell(tx);
        }
        Ok(())
    }
}
