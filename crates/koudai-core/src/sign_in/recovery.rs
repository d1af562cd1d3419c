//! Getting back what was lost without being signed in: a log-in password that was forgotten, a phone that is gone.
//!
//! What has to be given follows the matrix of domain rule 6. Two-step verification is never got round, nothing that was recovered
//! signs anybody in, and what the matrix leaves to the staff with documents is refused here.

use super::password::{self, PasswordTried};
use super::second_step::SecondAnswer;
use super::sessions::Sessions;
use super::telling::Telling;
use super::{Asker, CodeWanted, PasskeyAnswer, owner, passkey, phone, second_step, send_code, use_code};
use crate::identity::{Contact, Phone};
use crate::payment_password::OldCard;
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodeKey, CodePurpose, Language, Person, Recovery, RecoveryOf};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::MINUTE;

/// How long somebody has from the first proof on, ms (domain rule 6).
pub const RECOVERY_LIFE_MS: i64 = 15 * MINUTE;

/// What is to be given beside the first proof, any one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryProof {
    /// A code of the authenticator app, or a recovery code.
    SecondStep,
    /// A passkey.
    Passkey,
    /// The whole number of a card that has been bound for a while.
    Card,
}

impl RecoveryOf {
    /// What an account's holder is to give; nothing to choose from if nothing they have would do.
    pub fn proofs(self, person: &Person, two_steps: bool) -> Vec<RecoveryProof> {
        let passkey = (person.passkeys > 0).then_some(RecoveryProof::Passkey);
        let other = match (two_steps, self) {
            (true, _) => Some(RecoveryProof::SecondStep),
            (false, Self::LoginPassword) => (person.cards > 0).then_some(RecoveryProof::Card),
            // A card and a document besides: that is for the staff.
            (false, Self::Phone) => None,
        };
        other.into_iter().chain(passkey).collect()
    }
}

/// Sends a code to get the log-in password back by. Whoever asks gets the same answer for accounts that are there and for others.
#[derive(Debug)]
pub struct RequestRecovery {
    /// Where to.
    pub contact: Contact,
    /// SHA-256 of what has to be shown with the code.
    pub request: [u8; 32],
    /// Who asks.
    pub asker: Asker,
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

fn code_key(contact: &Contact) -> CodeKey {
    CodeKey { contact: contact.clone(), purpose: CodePurpose::Recovery }
}

impl Command for RequestRecovery {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        let (key, asker) = (code_key(&self.contact), Some(&self.asker));
        send_code(tx, CodeWanted { key, request: self.request, asker, language: self.language })
    }
}

/// Begins to get a log-in password back, by the code that was sent.
#[derive(Debug)]
pub struct BeginRecovery {
    /// Where the code was sent.
    pub contact: Contact,
    /// The six digits as typed.
    pub code: Secret<String>,
    /// SHA-256 of what was held when the code was asked for.
    pub request: [u8; 32],
    /// SHA-256 of what the edge drew to go on by.
    pub token_hash: [u8; 32],
}

impl Command for BeginRecovery {
    type Reply = Recovery;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Recovery, Stop<Refusal>> {
        let person = match owner(tx, &self.contact)? {
            Some(person) => tx.rows().person.get(&person).or_stop()?.cloned(),
            None => None,
        };
        let two_steps = match &person {
            Some(person) => second_step::of(tx, person.id)?.is_some(),
            None => false,
        };
        tx.rows().recovery.get(&self.token_hash).or_stop()?;
        use_code(tx, &code_key(&self.contact), &self.request, &self.code)?;
        // Nobody was sent the code of an account that is not there.
        let person = person.ok_or(Refusal::CodeExpired)?;
        let kind = RecoveryOf::LoginPassword;
        let proofs = kind.proofs(&person, two_steps);
        // Whoever reads somebody's mail is not them, and no mail stands in for the phone where there is a second step.
        let by_email = matches!(self.contact, Contact::Email(_));
        if by_email && (two_steps || proofs.is_empty()) {
            return Err(Refusal::RecoveryTakesPhone.into());
        }
        begin(tx, self.token_hash, &person, kind, proofs.is_empty())
    }
}

/// Begins to get an account to another phone, by the log-in password.
#[derive(Debug)]
pub struct BeginPhoneRecovery {
    /// The number that was lost, or the address.
    pub contact: Contact,
    /// The log-in password.
    pub tried: PasswordTried,
    /// Who asks.
    pub asker: Asker,
    /// SHA-256 of what the edge drew to go on by.
    pub token_hash: [u8; 32],
}

impl Command for BeginPhoneRecovery {
    type Reply = Recovery;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Recovery, Stop<Refusal>> {
        let trial = password::Trial::prepare(tx, &self.contact, &self.asker, None)?;
        let person = tx.rows().person.get(&trial.looked_at()).or_stop()?.cloned();
        let two_steps = second_step::of(tx, trial.looked_at())?.is_some();
        tx.rows().recovery.get(&self.token_hash).or_stop()?;
        let (_, wrong) = trial.judge(tx, &self.tried)?;
        wrong.clear(tx);
        let person = person.expect("whose password is right is there");
        let kind = RecoveryOf::Phone;
        if kind.proofs(&person, two_steps).is_empty() {
            return Err(Refusal::RecoveryTakesStaff.into());
        }
        begin(tx, self.token_hash, &person, kind, false)
    }
}

fn begin(
    tx: &mut Tx<'_>,
    token_hash: [u8; 32],
    person: &Person,
    kind: RecoveryOf,
    proven: bool,
) -> Result<Recovery, Stop<Refusal>> {
    if person.frozen {
        return Err(Refusal::AccountFrozen.into());
    }
    let expires_at = tx.now().plus(RECOVERY_LIFE_MS);
    let row = Recovery { token_hash, person: person.id, kind, proven, expires_at };
    tx.rows().recovery.put(row.clone());
    Ok(row)
}

/// A recovery under way, and whose.
///
/// # Errors
/// `RecoveryOver`, `AccountFrozen`, or `Absent`.
fn under_way(tx: &mut Tx<'_>, token: &[u8; 32]) -> Result<(Recovery, Person), Stop<Refusal>> {
    let now = tx.now();
    let row = tx.rows().recovery.get(token).or_stop()?.filter(|row| now < row.expires_at).cloned();
    let row = row.ok_or(Refusal::RecoveryOver)?;
    let person = tx.rows().person.get(&row.person).or_stop()?.cloned();
    let person = person.expect("whoever gets something back is there");
    if person.frozen { Err(Refusal::AccountFrozen.into()) } else { Ok((row, person)) }
}

/// The same, with all the proof that it takes.
fn proven(tx: &mut Tx<'_>, token: &[u8; 32], kind: RecoveryOf) -> Result<(Recovery, Person), Stop<Refusal>> {
    let (row, person) = under_way(tx, token)?;
    if row.kind == kind && row.proven { Ok((row, person)) } else { Err(Refusal::RecoveryOver.into()) }
}

/// What is given beside the first proof.
#[derive(Clone, Debug)]
pub enum RecoveryAnswer {
    /// What the app shows, or a recovery code.
    Second(SecondAnswer),
    /// A passkey's answer.
    Passkey(PasskeyAnswer),
    /// [`card_mac`](crate::binding::card_mac) of a card's number as typed.
    Card([u8; 32]),
}

impl RecoveryAnswer {
    const fn is_of(&self, proof: RecoveryProof) -> bool {
        matches!(
            (self, proof),
            (Self::Second(SecondAnswer::App(_) | SecondAnswer::Recovery(_)), RecoveryProof::SecondStep)
                | (Self::Passkey(_), RecoveryProof::Passkey)
                | (Self::Card(_), RecoveryProof::Card)
        )
    }
}

/// Gives the proof that is needed beside the first.
#[derive(Debug)]
pub struct ProveRecovery {
    /// SHA-256 of what they hold since the first proof.
    pub token: [u8; 32],
    /// The proof.
    pub answer: RecoveryAnswer,
}

impl Command for ProveRecovery {
    type Reply = Recovery;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Recovery, Stop<Refusal>> {
        let (mut row, person) = under_way(tx, &self.token)?;
        let second = second_step::of(tx, person.id)?;
        let proofs = row.kind.proofs(&person, second.is_some());
        if !proofs.iter().any(|proof| self.answer.is_of(*proof)) {
            return Err(Refusal::SecondStepWrong.into());
        }
        match (&self.answer, &second) {
            (RecoveryAnswer::Second(answer), Some(second)) => {
                // Counted for the person, as where somebody signs in: there is no session of theirs here.
                let first = Contact::Phone(person.phone.clone());
                second_step::check(tx, second, &person, Some(&first), &self.token, answer)?;
            }
            (RecoveryAnswer::Second(_), None) => return Err(Refusal::SecondStepWrong.into()),
            (RecoveryAnswer::Passkey(answer), _) => {
                let passkey = passkey::check(tx, answer)?;
                if passkey.person != person.id {
                    return Err(Refusal::PasskeyUnknown.into());
                }
                passkey::used(tx, passkey, answer);
            }
            (RecoveryAnswer::Card(mac), _) => OldCard::look(tx, person.id, mac)?.check(tx)?,
        }
        row.proven = true;
        tx.rows().recovery.put(row.clone());
        Ok(row)
    }
}

/// Sets the log-in password that was got back.
#[derive(Debug)]
pub struct RecoverLoginPassword {
    /// SHA-256 of what they hold since the first proof.
    pub token: [u8; 32],
    /// The password. Its salt is the one of the row, or a new one if there is no row.
    pub new: PasswordTried,
}

impl Command for RecoverLoginPassword {
    /// Until when the account is in a cool-down.
    type Reply = crate::time::Timestamp;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Reply, Stop<Refusal>> {
        let (_, mut person) = proven(tx, &self.token, RecoveryOf::LoginPassword)?;
        let sessions = Sessions::read(tx, person.id)?;
        let telling = Telling::prepare(tx, &person, AccountChange::LoginPasswordRecovered)?;
        let old = tx.rows().login_password.get(&person.id).or_stop()?.cloned();
        let row = password::renewed(tx, person.id, old, &self.new)?;
        let (now, first_ms) = (tx.now(), tx.policy().safety.cool_down_ms);
        person.cool(now, first_ms);
        let until = person.cool_until;
        tx.rows().login_password.put(row);
        tx.rows().person.put(person);
        tx.rows().recovery.delete(&self.token);
        sessions.end(tx, None);
        telling.tell(tx);
        Ok(until)
    }
}

/// Sends a code to the number that the account is to get.
#[derive(Debug)]
pub struct RequestRecoveredPhone {
    /// SHA-256 of what they hold since the first proof.
    pub token: [u8; 32],
    /// The number.
    pub phone: Phone,
    /// Who asks.
    pub asker: Asker,
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl Command for RequestRecoveredPhone {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        proven(tx, &self.token, RecoveryOf::Phone)?;
        phone::request(tx, &self.phone, self.token, &self.asker, self.language)
    }
}

/// Has the number belong to the account, in place of the one that was lost.
#[derive(Debug)]
pub struct RecoverPhone {
    /// SHA-256 of what they hold since the first proof.
    pub token: [u8; 32],
    /// The number.
    pub phone: Phone,
    /// The six digits as typed.
    pub code: Secret<String>,
}

impl Command for RecoverPhone {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.token, RecoveryOf::Phone)?;
        phone::change(tx, person, &self.phone, &self.token, &self.code, None)?;
        tx.rows().recovery.delete(&self.token);
        Ok(())
    }
}

/// Forgets recoveries that were not finished in time.
#[derive(Clone, Debug)]
pub struct SweepRecoveries {
    /// At most a few hundred.
    pub tokens: Vec<[u8; 32]>,
}

impl Command for SweepRecoveries {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        tx.rows().recovery.sweep(&self.tokens, |row| row.expires_at <= now).or_stop()
    }
}
