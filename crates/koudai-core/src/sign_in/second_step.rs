//! Two-step verification: what somebody gives besides, where they sign in on a device that is new to them, and as proof of who they
//! are. An authenticator app, a code to the other of their phone and address, or a recovery code; a passkey needs none of it.
//!
//! The app's secret and the recovery codes are MACs of random nonces under the operator's key and stand nowhere.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::allowance::{Count, Counted};
use super::letters::{as_typed, letters};
use super::proof::proven;
use super::telling::Telling;
use super::{Asker, CodeWanted, Opening, SignedIn, same_text, send_code, use_code};
use crate::id::PersonId;
use crate::identity::Contact;
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodeKey, CodePurpose, HalfSession, Language, Person, SecondStep};
use crate::secret::Secret;
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::{MINUTE, SECOND, Timestamp};

/// How long somebody has for the second step, ms.
pub const HALF_SESSION_LIFE_MS: i64 = 10 * MINUTE;
/// How long an app may take to show its first code, ms.
const OFFER_LIFE_MS: i64 = 10 * MINUTE;
/// How long a code of an authenticator app is shown (RFC 6238, section 4.1), ms.
const STEP_MS: i64 = 30 * SECOND;
/// How many steps a phone's clock may be off, either way.
const STEPS_OFF: i64 = 1;
/// Bytes of an app's secret (RFC 4226, section 4, R6).
const SECRET_BYTES: usize = 20;
/// Recovery codes made at once.
pub const RECOVERY_CODES: u8 = 10;
/// Wrong codes in a row after which an app's codes are not looked at any more (NIST SP 800-63B, section 3.2.2).
const WRONG_MOST: u8 = 100;

/// What an authenticator app is given.
pub fn app_secret(keys: &Keys, person: PersonId, nonce: &[u8; 16]) -> Secret<[u8; SECRET_BYTES]> {
    let mac = keyed_mac(keys.one_time_code.expose(), &[b"authenticator", &person.0.to_be_bytes(), nonce]);
    Secret::new(*mac.first_chunk().expect("a MAC of 32 bytes begins with 20"))
}

/// The six digits that an app shows in a step (RFC 4226, section 5.3).
fn digits_at(secret: &[u8; SECRET_BYTES], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let at = usize::from(mac[19] & 0x0F);
    let number = u32::from_be_bytes([mac[at], mac[at + 1], mac[at + 2], mac[at + 3]]) & 0x7FFF_FFFF;
    format!("{:06}", number % 1_000_000)
}

const fn step_of(at: Timestamp) -> i64 {
    at.0.div_euclid(STEP_MS)
}

/// Recovery code number `n` of those made with a nonce: ten characters, 50 bits, none of which looks like another.
pub fn recovery_code(keys: &Keys, person: PersonId, nonce: &[u8; 16], n: u8) -> Secret<String> {
    let parts: [&[u8]; 4] = [b"recovery code", &person.0.to_be_bytes(), nonce, &[n]];
    let mac = keyed_mac(keys.one_time_code.expose(), &parts);
    letters(&mac, 10)
}

impl SecondStep {
    /// Nothing of it.
    const fn none(person: PersonId) -> Self {
        Self {
            person,
            app: None,
            app_since: None,
            app_offered: None,
            offered_by: None,
            offered_at: Timestamp(0),
            last_step: 0,
            wrong: 0,
            by_code: false,
            recovery: None,
            recovery_used: 0,
            since: Timestamp(0),
        }
    }

    /// What an app's secret is derived from that was offered in this session a while ago at most.
    pub fn offer(&self, session: &[u8; 32], now: Timestamp) -> Option<[u8; 16]> {
        let lives = now.since(self.offered_at) < OFFER_LIFE_MS && self.offered_by.as_ref() == Some(session);
        self.app_offered.filter(|_| lives)
    }

    /// The same with what was set up or ended: since when it is on, and the recovery codes void without it.
    fn changed(self, was_on: bool, now: Timestamp) -> Self {
        match (was_on, self.is_on()) {
            (false, true) => Self { since: now, ..self },
            (_, false) => Self { recovery: None, recovery_used: 0, ..self },
            (true, true) => self,
        }
    }

    /// Whether there is a second step.
    pub const fn is_on(&self) -> bool {
        self.app.is_some() || self.by_code
    }

    /// How many recovery codes are left.
    pub fn recovery_left(&self) -> usize {
        let unused = |n: &u8| self.recovery_used & (1 << n) == 0;
        self.recovery.map_or(0, |_| (0..RECOVERY_CODES).filter(unused).count())
    }
}

/// What somebody gives as the second step.
#[derive(Clone, Debug)]
pub enum SecondAnswer {
    /// What their authenticator app shows.
    App(Secret<String>),
    /// A recovery code.
    Recovery(Secret<String>),
    /// The code that was sent to the other of their phone and address.
    Code(Secret<String>),
}

/// Who has a second step, if they have one that is on.
///
/// # Errors
/// `Absent`.
pub(crate) fn of(tx: &mut Tx<'_>, person: PersonId) -> Result<Option<SecondStep>, Stop<Refusal>> {
    Ok(tx.rows().second_step.get(&person).or_stop()?.filter(|row| row.is_on()).cloned())
}

/// Where a second code goes: to the one that the first did not go to; as proof, to the phone, for somebody else may read an address.
pub fn other_contact(person: &Person, first: Option<&Contact>) -> Option<Contact> {
    match first {
        Some(Contact::Phone(_)) => person.email.clone().map(Contact::Email),
        Some(Contact::Email(_)) | None => Some(Contact::Phone(person.phone.clone())),
    }
}

/// Whether a code that is sent does: when signing in, if it was set up; as proof, if there is no app, which nothing less stands in
/// for.
pub const fn takes_code(row: &SecondStep, as_proof: bool) -> bool {
    row.by_code && !(as_proof && row.app.is_some())
}

fn code_key(person: &Person, first: Option<&Contact>) -> Result<CodeKey, Stop<Refusal>> {
    let contact = other_contact(person, first).ok_or(Refusal::SecondStepWrong)?;
    Ok(CodeKey { contact, purpose: CodePurpose::SecondStep })
}

/// Judges a second step and counts the try. The last check of a decision.
///
/// # Errors
/// `SecondStepWrong`, `SecondStepPaused`, the refusals of a code, or `Absent`.
pub(super) fn check(
    tx: &mut Tx<'_>,
    row: &SecondStep,
    person: &Person,
    first: Option<&Contact>,
    request: &[u8; 32],
    answer: &SecondAnswer,
) -> Result<(), Stop<Refusal>> {
    let code = match answer {
        SecondAnswer::App(code) | SecondAnswer::Recovery(code) => code,
        SecondAnswer::Code(_) if !takes_code(row, first.is_none()) => {
            return Err(Refusal::SecondStepWrong.into());
        }
        SecondAnswer::Code(code) => return use_code(tx, &code_key(person, first)?, request, code),
    };
    let now = tx.now();
    let safety = tx.policy().safety;
    // In a session of their own nobody is held up by what strangers try elsewhere.
    let person_key = person.id.0.to_be_bytes();
    let whose: &[u8] = if first.is_none() { request } else { &person_key };
    let tried = Count::read(tx, Counted::WrongSecondSteps, whose)?;
    if let Some(wait_s) = tried.wait_s(now, safety.wrong_passwords_most) {
        return Err(Refusal::SecondStepPaused { wait_s }.into());
    }
    let passed = match answer {
        SecondAnswer::App(_) => by_app(tx.keys(), row, now, code),
        _ => by_recovery(tx.keys(), row, code),
    };
    match passed {
        Some(row) => {
            tried.clear(tx);
            tx.rows().second_step.put(SecondStep { wrong: 0, ..row });
            Ok(())
        }
        None => {
            tried.add(tx, safety.pause_ms);
            let wrong = row.wrong.saturating_add(u8::from(matches!(answer, SecondAnswer::App(_))));
            tx.rows().second_step.put(SecondStep { wrong, ..row.clone() });
            Err(Refusal::SecondStepWrong.into())
        }
    }
}

/// The row once a code of the app was used, if it is right; each is good once.
fn by_app(keys: &Keys, row: &SecondStep, now: Timestamp, code: &Secret<String>) -> Option<SecondStep> {
    let nonce = row.app.filter(|_| row.wrong < WRONG_MOST)?;
    let secret = app_secret(keys, row.person, &nonce);
    let last_step = right_step(&secret, now, code).filter(|step| *step > row.last_step)?;
    Some(SecondStep { last_step, ..row.clone() })
}

/// The step that a code is of, if it is one of those that count now.
fn right_step(secret: &Secret<[u8; SECRET_BYTES]>, now: Timestamp, code: &Secret<String>) -> Option<i64> {
    let here = step_of(now);
    let mut steps = here - STEPS_OFF..=here + STEPS_OFF;
    steps.rfind(|step| same_text(&digits_at(secret.expose(), *step), code.expose()))
}

/// The row once a recovery code was used, if it is one that was not.
fn by_recovery(keys: &Keys, row: &SecondStep, code: &Secret<String>) -> Option<SecondStep> {
    let nonce = row.recovery?;
    let typed = as_typed(code.expose());
    let right = |n: &u8| same_text(recovery_code(keys, row.person, &nonce, *n).expose(), typed.expose());
    let used = 1 << (0..RECOVERY_CODES).find(right)?;
    (row.recovery_used & used == 0)
        .then(|| SecondStep { recovery_used: row.recovery_used | used, ..row.clone() })
}

/// A session that waits for its second step.
///
/// # Errors
/// `SecondStepOver`, or `Absent`.
fn waiting(tx: &mut Tx<'_>, half: &[u8; 32]) -> Result<(HalfSession, Person), Stop<Refusal>> {
    let now = tx.now();
    let half = tx.rows().half_session.get(half).or_stop()?.filter(|half| now < half.expires_at).cloned();
    let half = half.ok_or(Refusal::SecondStepOver)?;
    let person = tx.rows().person.get(&half.person).or_stop()?.cloned();
    Ok((half, person.expect("whoever signs in is there")))
}

/// Sends the code of a second step: to the address of who gave one from their phone, and the other way round.
#[derive(Debug)]
pub struct RequestSecondCode {
    /// SHA-256 of what the browser or program holds that gave the first step.
    pub half: [u8; 32],
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl Command for RequestSecondCode {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        let (half, person) = waiting(tx, &self.half)?;
        of(tx, person.id)?.filter(|row| row.by_code).ok_or(Refusal::SecondStepWrong)?;
        let key = code_key(&person, Some(&half.first))?;
        send_code(tx, CodeWanted { key, request: self.half, asker: None, language: self.language })
    }
}

/// Signs in whoever gave the first step, by the second.
#[derive(Debug)]
pub struct FinishSignIn {
    /// SHA-256 of what they hold since the first.
    pub half: [u8; 32],
    /// The second.
    pub answer: SecondAnswer,
    /// Who asks.
    pub asker: Asker,
    /// SHA-256 of the session token the edge drew.
    pub token_hash: [u8; 32],
}

impl Command for FinishSignIn {
    type Reply = SignedIn;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<SignedIn, Stop<Refusal>> {
        let now = tx.now();
        let (half, person) = waiting(tx, &self.half)?;
        let opening = Opening::prepare(tx, person.id, &self.asker, self.token_hash)?;
        let telling = Telling::prepare(tx, &person, AccountChange::RecoveryCodeUsed)?;
        // Whoever does without it meanwhile did so from a session of their own.
        if let Some(row) = of(tx, person.id)? {
            check(tx, &row, &person, Some(&half.first), &self.half, &self.answer)?;
        }
        tx.rows().half_session.delete(&self.half);
        let proves = opening.two_steps_since.is_some() || matches!(half.first, Contact::Phone(_));
        let signed_in = opening.open(tx, person.id, if proves { now } else { Timestamp(0) });
        if matches!(self.answer, SecondAnswer::Recovery(_)) {
            let first_ms = tx.policy().safety.cool_down_ms;
            let mut person =
                tx.rows().person.get(&person.id).or_stop()?.cloned().expect("it was read before");
            person.cool(now, first_ms);
            tx.rows().person.put(person);
            telling.tell(tx);
        }
        Ok(signed_in)
    }
}

/// Takes a second step as proof.
#[derive(Debug)]
pub struct ProveBySecondStep {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// What is given.
    pub answer: SecondAnswer,
}

impl Command for ProveBySecondStep {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (mut session, person) = super::holder(tx, &self.session)?;
        let row = of(tx, person.id)?.ok_or(Refusal::SecondStepWrong)?;
        let telling = Telling::prepare(tx, &person, AccountChange::RecoveryCodeUsed)?;
        check(tx, &row, &person, None, &self.session, &self.answer)?;
        session.proven_at = tx.now();
        tx.rows().session.put(session);
        if matches!(self.answer, SecondAnswer::Recovery(_)) {
            telling.tell(tx);
        }
        Ok(())
    }
}

/// Where the code of a second step goes that is to be proof.
///
/// # Errors
/// `SecondStepWrong` if codes are not this person's second step.
pub(super) fn proof_key(row: &SecondStep, person: &Person) -> Result<CodeKey, Stop<Refusal>> {
    if takes_code(row, true) { code_key(person, None) } else { Err(Refusal::SecondStepWrong.into()) }
}

/// Offers an authenticator app its secret, which counts once the app has shown a code of it. One that is set up goes on counting
/// until then.
#[derive(Debug)]
pub struct OfferApp {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
}

impl Command for OfferApp {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let row = tx.rows().second_step.get(&person.id).or_stop()?.cloned();
        let (app_offered, offered_by, offered_at) = (Some(tx.random()), Some(self.session), tx.now());
        let row = row.unwrap_or_else(|| SecondStep::none(person.id));
        tx.rows().second_step.put(SecondStep { app_offered, offered_by, offered_at, ..row });
        Ok(())
    }
}

/// Sets the authenticator app up that shows this code.
#[derive(Debug)]
pub struct ConfirmApp {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// What it shows.
    pub code: Secret<String>,
}

impl Command for ConfirmApp {
    /// Recovery codes to show, if there were none before.
    type Reply = Vec<Secret<String>>;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Vec<Secret<String>>, Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let now = tx.now();
        let row = tx.rows().second_step.get(&person.id).or_stop()?.cloned();
        let mut row = row.ok_or(Refusal::SecondStepOver)?;
        let nonce = row.offer(&self.session, now).ok_or(Refusal::SecondStepOver)?;
        let was_on = row.is_on();
        // The secret was shown to this session a moment ago: there is nothing to guess.
        let secret = app_secret(tx.keys(), person.id, &nonce);
        let telling = Telling::prepare(tx, &person, AccountChange::SecondStep)?;
        row.last_step = right_step(&secret, now, &self.code).ok_or(Refusal::SecondStepWrong)?;
        (row.app, row.app_since, row.app_offered, row.wrong) = (Some(nonce), Some(now), None, 0);
        let codes = if row.recovery.is_none() { fresh_codes(tx, &mut row) } else { vec![] };
        tx.rows().second_step.put(row.changed(was_on, now));
        telling.tell(tx);
        Ok(codes)
    }
}

fn fresh_codes(tx: &mut Tx<'_>, row: &mut SecondStep) -> Vec<Secret<String>> {
    let nonce = tx.random();
    (row.recovery, row.recovery_used) = (Some(nonce), 0);
    (0..RECOVERY_CODES).map(|n| recovery_code(tx.keys(), row.person, &nonce, n)).collect()
}

/// Does without the authenticator app. Without any second step left, the recovery codes are void.
#[derive(Debug)]
pub struct RemoveApp {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
}

impl Command for RemoveApp {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        person.check_open(tx.now())?;
        let telling = Telling::prepare(tx, &person, AccountChange::SecondStepRemoved)?;
        if let Some(row) = tx.rows().second_step.get(&person.id).or_stop()?.cloned() {
            let (was_on, now, had_app) = (row.is_on(), tx.now(), row.app.is_some());
            let row = SecondStep { app: None, app_since: None, app_offered: None, ..row };
            tx.rows().second_step.put(row.changed(was_on, now));
            if had_app {
                telling.tell(tx);
            }
        }
        Ok(())
    }
}

/// Has codes to phone and address be the second step, or ends that.
#[derive(Debug)]
pub struct SetSecondByCode {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// Whether it is to be.
    pub on: bool,
}

impl Command for SetSecondByCode {
    /// Recovery codes to show, if there were none before.
    type Reply = Vec<Secret<String>>;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Vec<Secret<String>>, Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let row = tx.rows().second_step.get(&person.id).or_stop()?.cloned();
        let mut row = row.unwrap_or_else(|| SecondStep::none(person.id));
        // Two steps by one phone would be one.
        if self.on && person.email.is_none() {
            return Err(Refusal::SecondStepNeedsEmail.into());
        }
        let (was_on, now) = (row.is_on(), tx.now());
        let about = if self.on { AccountChange::SecondStep } else { AccountChange::SecondStepRemoved };
        if !self.on {
            person.check_open(now)?;
        }
        let telling = Telling::prepare(tx, &person, about)?;
        if row.by_code == self.on {
            return Ok(vec![]);
        }
        row.by_code = self.on;
        let codes = if self.on && row.recovery.is_none() { fresh_codes(tx, &mut row) } else { vec![] };
        tx.rows().second_step.put(row.changed(was_on, now));
        telling.tell(tx);
        Ok(codes)
    }
}

/// Makes new recovery codes; those before are void.
#[derive(Debug)]
pub struct RenewRecoveryCodes {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
}

impl Command for RenewRecoveryCodes {
    /// The codes.
    type Reply = Vec<Secret<String>>;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Vec<Secret<String>>, Stop<Refusal>> {
        let (_, person) = proven(tx, &self.session)?;
        let mut row = of(tx, person.id)?.ok_or(Refusal::SecondStepOver)?;
        person.check_open(tx.now())?;
        let telling = Telling::prepare(tx, &person, AccountChange::RecoveryCodes)?;
        let codes = fresh_codes(tx, &mut row);
        tx.rows().second_step.put(row);
        telling.tell(tx);
        Ok(codes)
    }
}

/// Forgets sign-ins that got no second step in time.
#[derive(Clone, Debug)]
pub struct SweepHalfSessions {
    /// At most a few hundred.
    pub tokens: Vec<[u8; 32]>,
}

impl Command for SweepHalfSessions {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        tx.rows().half_session.sweep(&self.tokens, |row| row.expires_at <= now).or_stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B (the last six of its eight digits), whose secret is these 20 bytes.
    #[test]
    fn an_apps_codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (at_s, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(digits_at(secret, step_of(Timestamp(at_s * 1_000))), digits, "{at_s}");
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn codes_by_count_are_those_of_the_standard() {
        let expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583"];
        for (count, digits) in (0..).zip(expected) {
            assert_eq!(digits_at(b"12345678901234567890", count), digits);
        }
    }
}
