//! Passkeys: keys that stay in a phone or a security key, open by a fingerprint or a face, and answer to no other site.
//!
//! The edge checks the signature, which needs nothing but the public key; the decision makes sure that this public key is the
//! person's, that the challenge was not answered before, and that the key has not been copied.

use super::proof::proven;
use super::telling::Telling;
use super::{Asker, Opening, SignedIn};
use crate::id::PersonId;
use crate::refusal::Refusal;
use crate::rows::{AccountChange, Passkey, PasskeyAlgorithm, UsedChallenge};
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::{HOUR, Timestamp};

/// How long a challenge that was answered is remembered after it has expired, ms.
pub const CHALLENGE_KEPT_MS: i64 = HOUR;

/// What authenticators know a person by: nothing that says anything about them.
pub fn user_handle(keys: &Keys, person: PersonId) -> [u8; 16] {
    let mac = keyed_mac(keys.one_time_code.expose(), &[b"passkey user", &person.0.to_be_bytes()]);
    *mac.first_chunk().expect("a MAC of 32 bytes begins with 16")
}

/// A challenge that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The moment it expires, and 80 random bits.
    pub token: [u8; 16],
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// What a passkey answered, its signature checked by the edge against this public key.
#[derive(Clone, Debug)]
pub struct PasskeyAnswer {
    /// SHA-256 of the credential id.
    pub id: [u8; 32],
    /// The public key that the signature was checked against.
    pub public_key: Vec<u8>,
    /// How often it says it has signed.
    pub sign_count: u32,
    /// The challenge.
    pub challenge: Answered,
}

/// Whether a key that says it has signed `seen` times after `stored` must have been copied (Web Authentication Level 3, section 7.2,
/// step 22). Keys that several devices share do not count.
pub const fn is_copied(stored: u32, seen: u32) -> bool {
    (stored != 0 || seen != 0) && seen <= stored
}

/// Uses a challenge up.
///
/// # Errors
/// `PasskeyRefused` if it was answered before or is past its time, or `Absent`.
fn check_challenge(tx: &mut Tx<'_>, challenge: &Answered) -> Result<(), Stop<Refusal>> {
    let used = tx.rows().used_challenge.get(&challenge.token).or_stop()?.is_some();
    if used || tx.now() >= challenge.expires_at {
        return Err(Refusal::PasskeyRefused.into());
    }
    Ok(())
}

fn use_challenge(tx: &mut Tx<'_>, challenge: &Answered) {
    let Answered { token, expires_at } = *challenge;
    tx.rows().used_challenge.put(UsedChallenge { token, expires_at });
}

/// Loads what `check` will need.
///
/// # Errors
/// `Absent`.
pub(crate) fn prepare(tx: &mut Tx<'_>, answer: &PasskeyAnswer) -> Result<(), Stop<Refusal>> {
    let passkey = tx.rows().passkey.get(&answer.id).map(drop);
    let challenge = tx.rows().used_challenge.get(&answer.challenge.token).map(drop);
    passkey.and(challenge).or_stop()
}

/// The passkey that answered, if the answer counts.
///
/// # Errors
/// `PasskeyUnknown`, `PasskeyRefused`, or `Absent`.
pub(crate) fn check(tx: &mut Tx<'_>, answer: &PasskeyAnswer) -> Result<Passkey, Stop<Refusal>> {
    let passkey = tx.rows().passkey.get(&answer.id).or_stop()?.cloned();
    check_challenge(tx, &answer.challenge)?;
    let passkey = passkey.filter(|passkey| passkey.public_key == answer.public_key);
    let passkey = passkey.ok_or(Refusal::PasskeyUnknown)?;
    if is_copied(passkey.sign_count, answer.sign_count) {
        return Err(Refusal::PasskeyRefused.into());
    }
    Ok(passkey)
}

/// Records that it answered.
pub(crate) fn used(tx: &mut Tx<'_>, mut passkey: Passkey, answer: &PasskeyAnswer) {
    passkey.sign_count = answer.sign_count;
    passkey.used_at = Some(tx.now());
    tx.rows().passkey.put(passkey);
    use_challenge(tx, &answer.challenge);
}

/// Signs somebody in by a passkey. It is both what they hold and what they are, so nothing else is asked for.
#[derive(Debug)]
pub struct SignInByPasskey {
    /// The answer.
    pub answer: PasskeyAnswer,
    /// Who asks.
    pub asker: Asker,
    /// SHA-256 of the session token the edge drew.
    pub token_hash: [u8; 32],
}

impl Command for SignInByPasskey {
    type Reply = SignedIn;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<SignedIn, Stop<Refusal>> {
        let passkey = check(tx, &self.answer)?;
        let person = passkey.person;
        let opening = Opening::prepare(tx, person, &self.asker, self.token_hash)?;
        used(tx, passkey, &self.answer);
        let now = tx.now();
        Ok(opening.open(tx, person, now))
    }
}

/// A passkey that was made for the account.
#[derive(Clone, Debug)]
pub struct NewPasskey {
    /// SHA-256 of the credential id.
    pub id: [u8; 32],
    /// The credential id, 1 to 1,023 bytes.
    pub credential: Vec<u8>,
    /// Its public key.
    pub public_key: Vec<u8>,
    /// How it signs.
    pub algorithm: PasskeyAlgorithm,
    /// How often it says it has signed.
    pub sign_count: u32,
}

/// Adds a passkey to an account.
#[derive(Debug)]
pub struct AddPasskey {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The passkey.
    pub passkey: NewPasskey,
    /// What its holder calls it, 1 to 40 characters.
    pub name: String,
    /// The challenge that was answered.
    pub challenge: Answered,
}

impl Command for AddPasskey {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, mut person) = proven(tx, &self.session)?;
        let new = &self.passkey;
        let there = tx.rows().passkey.get(&new.id).or_stop()?.is_some();
        check_challenge(tx, &self.challenge)?;
        if there {
            return Err(Refusal::PasskeyRefused.into());
        }
        if person.passkeys >= tx.policy().safety.passkeys_most {
            return Err(Refusal::TooManyPasskeys.into());
        }
        let telling = Telling::prepare(tx, &person, AccountChange::Passkey)?;
        person.passkeys += 1;
        let added_at = tx.now();
        tx.rows().passkey.insert(Passkey {
            id: new.id,
            person: person.id,
            credential: new.credential.clone(),
            public_key: new.public_key.clone(),
            algorithm: new.algorithm,
            sign_count: new.sign_count,
            name: self.name.clone(),
            added_at,
            used_at: None,
            pays: false,
        });
        tx.rows().person.put(person);
        use_challenge(tx, &self.challenge);
        telling.tell(tx);
        Ok(())
    }
}

/// Removes a passkey from an account. One that is not there is no error.
#[derive(Debug)]
pub struct RemovePasskey {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// SHA-256 of the credential id.
    pub id: [u8; 32],
}

impl Command for RemovePasskey {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, mut person) = proven(tx, &self.session)?;
        person.check_open(tx.now())?;
        let telling = Telling::prepare(tx, &person, AccountChange::PasskeyRemoved)?;
        let passkey = tx.rows().passkey.get(&self.id).or_stop()?;
        if passkey.is_some_and(|passkey| passkey.person == person.id) {
            tx.rows().passkey.delete(&self.id);
            person.passkeys -= 1;
            tx.rows().person.put(person);
            telling.tell(tx);
        }
        Ok(())
    }
}

/// Forgets challenges that were answered and have been expired for long. Those that could still be answered stay.
#[derive(Clone, Debug)]
pub struct SweepChallenges {
    /// At most a few hundred.
    pub tokens: Vec<[u8; 16]>,
}

impl Command for SweepChallenges {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let old = tx.now().plus(-CHALLENGE_KEPT_MS);
        tx.rows().used_challenge.sweep(&self.tokens, |row| row.expires_at <= old).or_stop()
    }
}
