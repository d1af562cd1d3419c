//! The password for signing in, which is never asked for when paying.
//!
//! The edge hashes it slowly, so that no decision waits for it; the decision turns the hash into a MAC under the operator's key,
//! compares, and counts the try, all at once. A password alone signs nobody in on a device they have not used before: there a
//! code is sent besides (domain rule 6: eight characters are enough only with a second factor).

use super::allowance::{Count, Counted, WrongHere};
use super::proof::proven;
use super::{Asker, CodeWanted, Opening, SignedIn, device_key, owner, send_code};
use crate::id::PersonId;
use crate::identity::Contact;
use crate::refusal::Refusal;
use crate::rows::{CodeKey, CodePurpose, Language, LoginPassword};
use crate::secret::Secret;
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac, keyed_mac_matches};

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
        let now = tx.now();
        let person = owner(tx, &self.contact)?;
        let password = match person {
            Some(person) => tx.rows().login_password.get(&person).or_stop()?.cloned(),
            None => None,
        };
        let opening = Opening::prepare(tx, person, &self.asker, self.token_hash)?;
        let wrong_here = WrongHere::read(tx, &self.asker)?;
        let whose = match (person, &self.asker.device) {
            (Some(person), Some(device)) if opening.is_known_device() => {
                device_key(tx.keys(), person, device).to_vec()
            }
            _ => self.contact.text().as_bytes().to_vec(),
        };
        let wrong = Count::read(tx, Counted::WrongPasswords, &whose)?;
        let safety = tx.policy().safety;
        if let Some(wait_s) = wrong.wait_s(now, safety.wrong_passwords_most) {
            return Err(Refusal::SignInPaused { wait_s }.into());
        }
        let right = match (person, &password) {
            (Some(person), Some(password)) if password.is(person, &self.tried, tx.keys()) => Some(person),
            _ => None,
        };
        let Some(person) = right else {
            wrong.add(tx, safety.pause_ms);
            wrong_here.add(tx);
            return Err(Refusal::SignInWrong.into());
        };
        if opening.is_known_device() {
            wrong.clear(tx);
            // A password is something that somebody else may know: it proves nothing that a change would take.
            return Ok(PasswordAnswer::SignedIn(opening.open(tx, person, crate::time::Timestamp(0))));
        }
        let key = CodeKey { contact: self.contact.clone(), purpose: CodePurpose::SignIn };
        let wanted = CodeWanted { key, request: self.request, asker: &self.asker, language: self.language };
        let wait_s = send_code(tx, wanted)?;
        wrong.clear(tx);
        Ok(PasswordAnswer::CodeSent { wait_s })
    }
}

impl LoginPassword {
    fn is(&self, person: PersonId, tried: &PasswordTried, keys: &Keys) -> bool {
        let (key, person) = (keys.payment_password.expose(), person.0.to_be_bytes());
        self.salt == tried.salt && keyed_mac_matches(key, &tried.parts(&person), &self.mac)
    }
}

/// Sets or changes the password for signing in.
#[derive(Debug)]
pub struct SetLoginPassword {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The password. Its salt is the one of the row, or a new one if there is no row.
    pub new: PasswordTried,
}

impl Command for SetLoginPassword {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let old = tx.rows().login_password.get(&person.id).or_stop()?.cloned();
        let mac = keyed_mac(tx.keys().payment_password.expose(), &self.new.parts(&person.id.0.to_be_bytes()));
        let mut earlier = vec![];
        if let Some(old) = old {
            if old.salt != self.new.salt {
                // It was set on another device this very moment.
                return Err(Refusal::Busy.into());
            }
            earlier = [&old.mac, old.earlier.as_slice()].concat();
            earlier.truncate(REMEMBERED * MAC_BYTES);
            if earlier.chunks_exact(MAC_BYTES).any(|one| one == mac) {
                return Err(Refusal::LoginPasswordReused.into());
            }
        }
        let set_at = tx.now();
        let row = LoginPassword { person: person.id, salt: self.new.salt, mac, set_at, earlier };
        tx.rows().login_password.put(row);
        Ok(())
    }
}

/// Has the account do without a password for signing in. One that has none is no error.
#[derive(Debug)]
pub struct RemoveLoginPassword {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
}

impl Command for RemoveLoginPassword {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        if tx.rows().login_password.get(&person.id).or_stop()?.is_some() {
            tx.rows().login_password.delete(&person.id);
        }
        Ok(())
    }
}
