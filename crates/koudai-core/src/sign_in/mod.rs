//! Registering and signing in: by a one-time code to a phone or an e-mail address, by a password, by a passkey.
//!
//! A code is a MAC of a random nonce under the operator's key, so it stands nowhere: the row keeps the nonce, the
//! messenger derives the code when it sends it. Whoever asks gets the same answer for accounts that are there and for others.

mod allowance;
mod email;
mod letters;
pub(crate) mod passkey;
mod password;
mod phone;
mod proof;
mod recovery;
pub(crate) mod second_step;
mod sent;
pub(crate) mod sessions;
pub(crate) mod telling;

use crate::id::{MessageId, PersonId};
use crate::identity::Contact;
use crate::money::Money;
use crate::refusal::Refusal;
use crate::rows::{
    AccountChange, CodeKey, CodePurpose, Device, HalfSession, Language, Message, OneTimeCode, Person,
    PhoneOwner, Session,
};
use crate::secret::Secret;
use crate::state::{Command, Event, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};

use allowance::CodeCounts;
pub(crate) use allowance::{Count, Counted};
pub(crate) use proof::proven;
use sessions::Sessions;
use telling::Telling;

pub use allowance::{AddressBlock, Asker, ENDED_KEPT_MS, SweepAllowances, wrong_from};
pub use email::{RemoveEmail, RequestEmailCode, SetEmail};
pub use passkey::{
    AddPasskey, Answered, CHALLENGE_KEPT_MS, NewPasskey, PasskeyAnswer, RemovePasskey, SignInByPasskey,
    SweepChallenges, is_copied, user_handle,
};
pub use password::{
    PasswordAnswer, PasswordTried, RemoveLoginPassword, SetLoginPassword, SignInByPassword, salt_of_nobody,
};
pub use phone::{RequestPhoneCode, SetPhone};
pub use proof::{ProveByCode, ProveByPasskey, RequestProof};
pub use recovery::{
    BeginPhoneRecovery, BeginRecovery, ProveRecovery, RECOVERY_LIFE_MS, RecoverLoginPassword, RecoverPhone,
    RecoveryAnswer, RecoveryProof, RequestRecoveredPhone, RequestRecovery, SweepRecoveries,
};
pub use second_step::{
    ConfirmApp, FinishSignIn, HALF_SESSION_LIFE_MS, OfferApp, ProveBySecondStep, RECOVERY_CODES, RemoveApp,
    RenewRecoveryCodes, RequestSecondCode, SecondAnswer, SetSecondByCode, SweepHalfSessions, app_secret,
    other_contact, recovery_code, takes_code,
};
pub use sent::{SENT_KEPT_MS, SESSION_KEPT_MS, SweepSentCodes, SweepSessions};
pub use telling::{FREEZE_LIFE_MS, FreezeByRight, SetFrozen, SweepFreezeRights, freeze_key, freeze_word};

/// A code lives five minutes (at most ten: OWASP ASVS 6.5.5).
pub const CODE_LIFE_MS: i64 = 5 * MINUTE;
/// Gap between two codes to one holder of an account that an app binds.
pub const CODE_GAP_MS: i64 = MINUTE;
/// Tries at one code.
pub const CODE_TRIES: u8 = 5;

/// What the operator lets people try, and how often. The defaults are those of domain rule 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safety {
    /// Between two codes to one number or address, ms.
    pub code_gap_ms: i64,
    /// Codes to one number or address in an hour.
    pub codes_an_hour: u8,
    /// Codes to one number or address on a day in China.
    pub codes_a_day: u8,
    /// Codes asked for from one block of addresses in 24 hours. Whoever serves many people behind one address raises it.
    pub codes_from_block_a_day: u32,
    /// Codes asked for on one device in 24 hours.
    pub codes_from_device_a_day: u32,
    /// Codes sent in an hour by everybody's asking together.
    pub codes_in_all_an_hour: u32,
    /// Wrong log-in passwords for one account before they are refused unread for `pause_ms`. A device that its holder has signed
    /// in on has a count of its own, so that nobody else can keep them out.
    pub wrong_passwords_most: u32,
    /// Wrong log-in passwords from one block of addresses, on devices that are not their holders' own, before they are refused
    /// unread for `pause_ms`.
    pub wrong_from_block_most: u32,
    /// How long that is, from the first, ms.
    pub pause_ms: i64,
    /// How long somebody who has proved who they are may change what guards the account, ms.
    pub proof_life_ms: i64,
    /// How many passkeys a person may have.
    pub passkeys_most: u8,
    /// How long a card has to have been bound before its number helps to get a password back, ms.
    pub reset_card_age_ms: i64,
    /// How many sessions a person may have at once; the oldest ends when there is one more.
    pub sessions_most: u8,
    /// How long the first part of a cool-down lasts after an account was given back or got another phone, ms; 0 for none.
    pub cool_down_ms: i64,
    /// The same after somebody signed in on a device that is new to the account.
    pub cool_new_device_ms: i64,
    /// How long the second part lasts, ms.
    pub cool_after_ms: i64,
    /// What is spent on a day in China at most in the first part.
    pub cool_spend_most: Money,
    /// What is withdrawn on a day at most to cards that are new, in the second part.
    pub cool_withdraw_most: Money,
    /// From which age on a card is not new for that, ms.
    pub cool_card_age_ms: i64,
}

impl Safety {
    /// What domain rule 6 has.
    pub const DEFAULT: Self = Self {
        code_gap_ms: MINUTE,
        codes_an_hour: 5,
        codes_a_day: 10,
        codes_from_block_a_day: 20,
        codes_from_device_a_day: 10,
        codes_in_all_an_hour: 10_000,
        wrong_passwords_most: 5,
        wrong_from_block_most: 50,
        pause_ms: 15 * MINUTE,
        proof_life_ms: 5 * MINUTE,
        passkeys_most: 10,
        reset_card_age_ms: DAY,
        sessions_most: 5,
        cool_down_ms: DAY,
        cool_new_device_ms: DAY,
        cool_after_ms: 2 * DAY,
        cool_spend_most: yuan(500),
        cool_withdraw_most: yuan(1_000),
        cool_card_age_ms: 30 * DAY,
    };
}

const fn yuan(whole: i64) -> Money {
    match Money::fen(whole * 100) {
        Ok(money) => money,
        Err(_) => panic!("above zero"),
    }
}

impl Default for Safety {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The six digits of a nonce, for the messenger and the comparison.
pub fn code_of(keys: &Keys, key: &CodeKey, nonce: &[u8; 16]) -> Secret<String> {
    let parts: [&[u8]; 3] = [key.contact.text().as_bytes(), key.purpose.word().as_bytes(), nonce];
    let mac = keyed_mac(keys.one_time_code.expose(), &parts);
    let number = u64::from_be_bytes(*mac.first_chunk().expect("a MAC of 32 bytes begins with 8"));
    Secret::new(format!("{:06}", number % 1_000_000))
}

/// Whole seconds from `now` until a moment, a part of one counted as one.
pub fn seconds_until(until: Timestamp, now: Timestamp) -> u32 {
    u32::try_from((until.since(now) + SECOND - 1) / SECOND).unwrap_or(0)
}

/// What is to be known to send a code.
#[derive(Debug)]
pub(crate) struct CodeWanted<'a> {
    /// Where to and what for.
    pub(crate) key: CodeKey,
    /// SHA-256 of what whoever asks holds.
    pub(crate) request: [u8; 32],
    /// Who asks, unless it is somebody who is signed in and asks for a code to their own phone: how often that is done is bounded by
    /// the phone, and nothing that strangers do may keep them from it.
    pub(crate) asker: Option<&'a Asker>,
    /// `None` for both.
    pub(crate) language: Option<Language>,
}

/// Sends a code, unless too many were sent. It looks before it changes anything, so it may be the last of a decision's checks.
/// Answers with the seconds until another may be asked for.
pub(crate) fn send_code(tx: &mut Tx<'_>, wanted: CodeWanted<'_>) -> Result<u32, Stop<Refusal>> {
    let now = tx.now();
    let safety = tx.policy().safety;
    let old = tx.rows().one_time_code.get(&wanted.key).or_stop()?.cloned();
    let (mut hour_from, mut in_hour, mut in_day) = (now, 0, 0);
    if let Some(old) = old {
        if now.since(old.asked_at) < safety.code_gap_ms {
            let wait_s = seconds_until(old.asked_at.plus(safety.code_gap_ms), now);
            return Err(Refusal::CodeTooSoon { wait_s }.into());
        }
        if now.since(old.hour_from) < HOUR {
            (hour_from, in_hour) = (old.hour_from, old.in_hour);
        }
        if old.day == now.china_day() {
            in_day = old.in_day;
        }
    }
    if in_hour >= safety.codes_an_hour {
        return Err(Refusal::TooManyCodes { wait_s: seconds_until(hour_from.plus(HOUR), now) }.into());
    }
    if in_day >= safety.codes_a_day {
        let midnight = Timestamp::of_china_day(now.china_day() + 1);
        return Err(Refusal::TooManyCodes { wait_s: seconds_until(midnight, now) }.into());
    }
    if let Some(asker) = wanted.asker {
        let counts = CodeCounts::read(tx, asker)?;
        counts.add(tx);
    }
    let nonce = tx.random();
    let message = Message {
        id: MessageId(tx.fresh_id()),
        contact: wanted.key.contact.clone(),
        purpose: wanted.key.purpose,
        nonce,
        next_at: now,
        tries: 0,
        expires_at: now.plus(CODE_LIFE_MS),
        language: wanted.language,
        agreement: None,
        about: None,
    };
    tx.announce(Event::MessageDue(message.id));
    tx.rows().one_time_code.put(OneTimeCode {
        key: wanted.key,
        nonce,
        request: wanted.request,
        asked_at: now,
        tries_left: CODE_TRIES,
        hour_from,
        in_hour: in_hour + 1,
        day: now.china_day(),
        in_day: in_day + 1,
    });
    tx.rows().message.insert(message);
    Ok(seconds_until(now.plus(safety.code_gap_ms), now))
}

/// Judges a code and uses it up. It is the last check of a decision: a wrong try stays counted though the decision refuses.
///
/// # Errors
/// `CodeExpired` of a code that is past its time, used, void, or was asked for by somebody else, of whom no try is counted;
/// `CodeWrong`.
pub(crate) fn use_code(
    tx: &mut Tx<'_>,
    key: &CodeKey,
    request: &[u8; 32],
    code: &Secret<String>,
) -> Result<(), Stop<Refusal>> {
    let row = judge_code(tx, key, request, code)?;
    tx.rows().one_time_code.put(OneTimeCode { tries_left: 0, ..row });
    Ok(())
}

/// The row of a code that is right, which is not used up by it. A wrong try stays counted though the decision refuses.
///
/// # Errors
/// As `use_code`.
pub(crate) fn judge_code(
    tx: &mut Tx<'_>,
    key: &CodeKey,
    request: &[u8; 32],
    code: &Secret<String>,
) -> Result<OneTimeCode, Stop<Refusal>> {
    let now = tx.now();
    let row = tx.rows().one_time_code.get(key).or_stop()?.cloned();
    let mut row = row.filter(|row| row.request == *request).ok_or(Refusal::CodeExpired)?;
    if row.tries_left == 0 || now.since(row.asked_at) >= CODE_LIFE_MS {
        return Err(Refusal::CodeExpired.into());
    }
    let expected = code_of(tx.keys(), key, &row.nonce);
    if !same_text(expected.expose(), code.expose()) {
        row.tries_left -= 1;
        let tries_left = row.tries_left;
        tx.rows().one_time_code.put(row);
        return Err(Refusal::CodeWrong { tries_left }.into());
    }
    Ok(row)
}

/// Sends a code to sign in by.
#[derive(Debug)]
pub struct RequestCode {
    /// Where to.
    pub contact: Contact,
    /// SHA-256 of what the browser or program holds that asks, and that has to be shown with the code.
    pub request: [u8; 32],
    /// Who asks.
    pub asker: Asker,
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl RequestCode {
    /// For a program, which names no device and no language.
    pub fn new(contact: Contact, request: [u8; 32]) -> Self {
        Self { contact, request, asker: Asker::default(), language: None }
    }
}

impl Command for RequestCode {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        let key = CodeKey { contact: self.contact.clone(), purpose: CodePurpose::SignIn };
        send_code(
            tx,
            CodeWanted { key, request: self.request, asker: Some(&self.asker), language: self.language },
        )
    }
}

/// Signs somebody in by the code they were sent, and registers a phone that nobody holds yet.
#[derive(Debug)]
pub struct SignIn {
    /// Where the code was sent.
    pub contact: Contact,
    /// The six digits as typed.
    pub code: Secret<String>,
    /// SHA-256 of what was held when the code was asked for.
    pub request: [u8; 32],
    /// Who asks.
    pub asker: Asker,
    /// SHA-256 of the session token the edge drew.
    pub token_hash: [u8; 32],
}

impl SignIn {
    /// For a program, which names no device.
    pub fn new(contact: Contact, code: Secret<String>, request: [u8; 32], token_hash: [u8; 32]) -> Self {
        Self { contact, code, request, asker: Asker::default(), token_hash }
    }
}

/// Who signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The person.
    pub person: PersonId,
    /// Whether they have a payment password.
    pub has_payment_password: bool,
    /// Whether the device is known from now on by what the edge drew for it.
    pub new_device: bool,
    /// Whether nobody is signed in yet: what the edge drew for the session is for finishing it by a second step.
    pub second_step: bool,
}

impl Command for SignIn {
    type Reply = SignedIn;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<SignedIn, Stop<Refusal>> {
        let now = tx.now();
        let key = CodeKey { contact: self.contact.clone(), purpose: CodePurpose::SignIn };
        let owner = owner(tx, &self.contact)?;
        let looked_at = owner.unwrap_or_else(|| nobody(tx.keys(), &self.contact));
        let opening = Opening::prepare(tx, looked_at, &self.asker, self.token_hash)?;
        use_code(tx, &key, &self.request, &self.code)?;
        let person = match (owner, &self.contact) {
            (Some(person), _) => person,
            // Whoever reads this has just shown that the address is theirs.
            (None, Contact::Email(_)) => return Err(Refusal::EmailUnbound.into()),
            (None, Contact::Phone(phone)) => {
                let id = PersonId(tx.fresh_id());
                tx.rows().person.insert(Person {
                    id,
                    phone: phone.clone(),
                    email: None,
                    passkeys: 0,
                    created_at: now,
                    frozen: false,
                    cards: 0,
                    failed_bindings: 0,
                    failed_bindings_day: 0,
                    cool_until: Timestamp(0),
                });
                tx.rows().phone_owner.put(PhoneOwner { phone: phone.clone(), person: id });
                id
            }
        };
        if opening.needs_second_step() {
            return Ok(opening.wait(tx, person, &self.contact));
        }
        // Whoever reads somebody's mail is not them: an address signs in and proves nothing more. Nor does a phone where there is
        // a second step, which a device that is known is not asked for.
        let proves = matches!(self.contact, Contact::Phone(_)) && opening.two_steps_since.is_none();
        Ok(opening.open(tx, person, if proves { now } else { Timestamp(0) }))
    }
}

/// Who holds a number or an address.
///
/// # Errors
/// `Absent`.
fn owner(tx: &mut Tx<'_>, contact: &Contact) -> Result<Option<PersonId>, Stop<Refusal>> {
    Ok(match contact {
        Contact::Phone(phone) => tx.rows().phone_owner.get(phone).or_stop()?.map(|o| o.person),
        Contact::Email(email) => tx.rows().email_owner.get(email).or_stop()?.map(|o| o.person),
    })
}

/// Stands for the holder of a number or address that nobody holds, so that as much is looked up for it as for one that somebody
/// does. No person has a number below zero.
pub fn nobody(keys: &Keys, contact: &Contact) -> PersonId {
    let mac = keyed_mac(keys.one_time_code.expose(), &[b"nobody", contact.text().as_bytes()]);
    let number = i64::from_be_bytes(*mac.first_chunk().expect("a MAC of 32 bytes begins with 8"));
    PersonId(number | i64::MIN)
}

/// What a person's device is found by.
pub fn device_key(keys: &Keys, person: PersonId, device: &[u8; 32]) -> [u8; 32] {
    keyed_mac(keys.one_time_code.expose(), &[b"device", &person.0.to_be_bytes(), device])
}

/// A session about to be opened, with everything loaded that it takes.
#[derive(Debug)]
struct Opening {
    token_hash: [u8; 32],
    fresh: Option<[u8; 32]>,
    has_payment_password: bool,
    /// The device, if its holder has signed in on it before.
    known: Option<Device>,
    /// Since when the person has a second step.
    two_steps_since: Option<Timestamp>,
    /// The person's other sessions, and on how many devices they have signed in.
    sessions: Sessions,
    language: Option<Language>,
    /// Whom to tell of a device that is new to them.
    newness: Option<(Person, Telling)>,
}

impl Opening {
    /// Loads what `open` will need.
    ///
    /// # Errors
    /// `Absent`.
    fn prepare(
        tx: &mut Tx<'_>,
        person: PersonId,
        asker: &Asker,
        token_hash: [u8; 32],
    ) -> Result<Self, Stop<Refusal>> {
        tx.rows().session.get(&token_hash).or_stop()?;
        let has_payment_password = tx.rows().payment_password.get(&person).or_stop()?.is_some();
        let mut known = None;
        if let Some(device) = &asker.device {
            let key = device_key(tx.keys(), person, device);
            known = tx.rows().device.get(&key).or_stop()?.cloned();
        }
        let two_steps_since = second_step::of(tx, person)?.map(|row| row.since);
        tx.rows().half_session.get(&token_hash).or_stop()?;
        let sessions = Sessions::read(tx, person)?;
        let holder = tx.rows().person.get(&person).or_stop()?.cloned();
        let mut newness = None;
        if let Some(holder) = holder.filter(|_| sessions.devices() > 0 && known.is_none()) {
            let telling = Telling::prepare(tx, &holder, AccountChange::NewDevice)?;
            newness = Some((holder, telling));
        }
        let (fresh, language) = (asker.fresh, asker.language);
        // A device that somebody else may have does not decide in which language its holder is told of it.
        let language = language.filter(|_| newness.is_none());
        Ok(Self {
            token_hash,
            fresh,
            has_payment_password,
            known,
            two_steps_since,
            sessions,
            language,
            newness,
        })
    }

    /// Whether one step is not enough here.
    fn needs_second_step(&self) -> bool {
        self.two_steps_since.is_some() && !self.is_known_device()
    }

    /// Has a session that is not opened yet wait for the second step.
    fn wait(self, tx: &mut Tx<'_>, person: PersonId, first: &Contact) -> SignedIn {
        let expires_at = tx.now().plus(HALF_SESSION_LIFE_MS);
        let (token_hash, first) = (self.token_hash, first.clone());
        tx.rows().half_session.put(HalfSession { token_hash, person, first, expires_at });
        let has_payment_password = self.has_payment_password;
        SignedIn { person, has_payment_password, new_device: false, second_step: true }
    }

    /// Whether this person has signed in on this device before, and since there is a second step by that.
    fn is_known_device(&self) -> bool {
        let since = self.two_steps_since.unwrap_or(Timestamp(0));
        self.known.as_ref().is_some_and(|device| device.last_at >= since)
    }

    /// Opens the session. `proven_at` is when they proved who they are by more than a password.
    fn open(self, tx: &mut Tx<'_>, person: PersonId, proven_at: Timestamp) -> SignedIn {
        let now = tx.now();
        // A device that is new is given something new to be known by: what it showed may have been put there by somebody else.
        let new_device = self.known.is_none() && self.fresh.is_some();
        let device = match (self.known, self.fresh) {
            (Some(known), _) => {
                let key = known.key;
                tx.rows().device.put(Device { last_at: now, ..known });
                Some(key)
            }
            (None, Some(fresh)) => {
                let key = device_key(tx.keys(), person, &fresh);
                tx.rows().device.insert(Device { key, person, first_at: now, last_at: now });
                Some(key)
            }
            (None, None) => None,
        };
        let (expires_at, safety) = (now.plus(tx.policy().session_life_ms), tx.policy().safety);
        if let Some((mut holder, telling)) = self.newness {
            holder.cool(now, safety.cool_new_device_ms);
            tx.rows().person.put(holder);
            telling.tell(tx);
        }
        let token_hash = self.token_hash;
        self.sessions.open(tx, person, &token_hash, new_device, self.language);
        let may_renew_until = Timestamp(0);
        tx.rows().session.put(Session {
            token_hash,
            person,
            created_at: now,
            expires_at,
            device,
            proven_at,
            may_renew_until,
        });
        let has_payment_password = self.has_payment_password;
        SignedIn { person, has_payment_password, new_device, second_step: false }
    }
}

/// Who holds a session.
///
/// # Errors
/// `SignedOut`, or `Absent`.
pub(crate) fn holder(tx: &mut Tx<'_>, token_hash: &[u8; 32]) -> Result<(Session, Person), Stop<Refusal>> {
    let now = tx.now();
    let session = tx.rows().session.get(token_hash).or_stop()?.cloned();
    let session = session.filter(|session| session.holder(now).is_some()).ok_or(Refusal::SignedOut)?;
    let person = tx.rows().person.get(&session.person).or_stop()?.cloned();
    Ok((session, person.expect("a session has its person")))
}

/// The same, of an account that is not frozen.
///
/// # Errors
/// `SignedOut`, `AccountFrozen`, or `Absent`.
pub(crate) fn active_holder(
    tx: &mut Tx<'_>,
    token_hash: &[u8; 32],
) -> Result<(Session, Person), Stop<Refusal>> {
    let (session, person) = holder(tx, token_hash)?;
    if person.frozen { Err(Refusal::AccountFrozen.into()) } else { Ok((session, person)) }
}

impl Session {
    /// Whether its holder has proved of late who they are.
    pub fn is_proven(&self, now: Timestamp, safety: &Safety) -> bool {
        now.since(self.proven_at) < safety.proof_life_ms
    }

    /// Whose it is, while it lives.
    pub fn holder(&self, now: Timestamp) -> Option<PersonId> {
        (now < self.expires_at).then_some(self.person)
    }
}

/// Ends a session. Ending one that is not there is no error.
#[derive(Debug)]
pub struct SignOut {
    /// SHA-256 of the session's token.
    pub token_hash: [u8; 32],
}

impl Command for SignOut {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        if let Some(person) = tx.rows().session.get(&self.token_hash).or_stop()?.map(|session| session.person)
        {
            Sessions::read(tx, person)?.end_one(tx, &self.token_hash);
        }
        Ok(())
    }
}

/// A message was handed over, or is past its use.
#[derive(Debug)]
pub struct MessageDone {
    /// The message.
    pub message: MessageId,
}

impl Command for MessageDone {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        if tx.rows().message.get(&self.message).or_stop()?.is_some() {
            tx.rows().message.delete(&self.message);
        }
        Ok(())
    }
}

/// A message could not be handed over: it is tried again later, or dropped once its code is void.
#[derive(Debug)]
pub struct MessageFailed {
    /// The message.
    pub message: MessageId,
}

impl Command for MessageFailed {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let Some(mut message) = tx.rows().message.get(&self.message).or_stop()?.cloned() else {
            return Ok(());
        };
        message.tries += 1;
        // What is told of a change is of use for a day, and asked for by nobody who waits.
        let slowest = if message.about.is_some() { 10 } else { 6 };
        message.next_at = tx.now().plus(SECOND << message.tries.min(slowest));
        if message.next_at >= message.expires_at {
            tx.rows().message.delete(&self.message);
        } else {
            tx.rows().message.put(message);
        }
        Ok(())
    }
}

/// Compares two short texts without telling by time where they differ.
pub(crate) fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}
