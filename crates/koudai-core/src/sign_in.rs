//! Registering and signing in by phone with a one-time code.
//!
//! A code is a MAC of a random nonce under the operator's key, so it stands nowhere: the row keeps the nonce, the
//! messenger derives the code when it sends it. Unknown and known numbers get the same answer.

use crate::id::{MessageId, PersonId};
use crate::identity::Phone;
use crate::refusal::Refusal;
use crate::rows::{CodeKey, CodePurpose, Message, OneTimeCode, Person, PhoneOwner, Session};
use crate::secret::Secret;
use crate::state::{Command, Event, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::{HOUR, MINUTE, SECOND, Timestamp};

/// A code lives five minutes (at most ten: OWASP ASVS 6.5.5).
pub const CODE_LIFE_MS: i64 = 5 * MINUTE;
/// Gap between two codes to one number.
pub const CODE_GAP_MS: i64 = MINUTE;
/// Tries at one code.
pub const CODE_TRIES: u8 = 5;
const CODES_AN_HOUR: u8 = 5;
const CODES_A_DAY: u8 = 10;

/// The six digits of a nonce, for the messenger and the comparison.
pub fn code_of(keys: &Keys, key: &CodeKey, nonce: &[u8; 16]) -> Secret<String> {
    let parts: [&[u8]; 3] = [key.phone.digits().as_bytes(), key.purpose.word().as_bytes(), nonce];
    let mac = keyed_mac(keys.one_time_code.expose(), &parts);
    let number = u64::from_be_bytes(*mac.first_chunk().expect("a MAC of 32 bytes begins with 8"));
    Secret::new(format!("{:06}", number % 1_000_000))
}

/// Sends a code to a phone.
#[derive(Debug)]
pub struct RequestCode {
    /// Where to.
    pub phone: Phone,
    /// What for.
    pub purpose: CodePurpose,
}

impl Command for RequestCode {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        let now = tx.now();
        let key = CodeKey { phone: self.phone.clone(), purpose: self.purpose };
        let old = tx.rows().one_time_code.get(&key).or_stop()?.cloned();
        let wait = |until: Timestamp| u32::try_from((until.since(now) + SECOND - 1) / SECOND).unwrap_or(0);
        let (mut hour_from, mut in_hour, mut in_day) = (now, 0, 0);
        if let Some(old) = old {
            if now.since(old.asked_at) < CODE_GAP_MS {
                return Err(Refusal::CodeTooSoon { wait_s: wait(old.asked_at.plus(CODE_GAP_MS)) }.into());
            }
            if now.since(old.hour_from) < HOUR {
                (hour_from, in_hour) = (old.hour_from, old.in_hour);
            }
            if old.day == now.china_day() {
                in_day = old.in_day;
            }
        }
        if in_hour >= CODES_AN_HOUR {
            return Err(Refusal::TooManyCodes { wait_s: wait(hour_from.plus(HOUR)) }.into());
        }
        if in_day >= CODES_A_DAY {
            let midnight = Timestamp::of_china_day(now.china_day() + 1);
            return Err(Refusal::TooManyCodes { wait_s: wait(midnight) }.into());
        }
        let nonce = tx.random();
        let message = Message {
            id: MessageId(tx.fresh_id()),
            phone: self.phone.clone(),
            purpose: self.purpose,
            nonce,
            next_at: now,
            tries: 0,
            expires_at: now.plus(CODE_LIFE_MS),
            agreement: None,
        };
        tx.announce(Event::MessageDue(message.id));
        tx.rows().one_time_code.put(OneTimeCode {
            key,
            nonce,
            asked_at: now,
            tries_left: CODE_TRIES,
            hour_from,
            in_hour: in_hour + 1,
            day: now.china_day(),
            in_day: in_day + 1,
        });
        tx.rows().message.insert(message);
        Ok(u32::try_from(CODE_GAP_MS / SECOND).unwrap_or(u32::MAX))
    }
}

/// Signs a phone in by its code, and registers it if nobody holds it yet.
#[derive(Debug)]
pub struct SignIn {
    /// The phone.
    pub phone: Phone,
    /// The six digits as typed.
    pub code: Secret<String>,
    /// SHA-256 of the session token the edge drew.
    pub token_hash: [u8; 32],
}

/// Who signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The person.
    pub person: PersonId,
    /// Whether they have a payment password.
    pub has_payment_password: bool,
}

impl Command for SignIn {
    type Reply = SignedIn;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<SignedIn, Stop<Refusal>> {
        let now = tx.now();
        let key = CodeKey { phone: self.phone.clone(), purpose: CodePurpose::SignIn };
        let row = tx.rows().one_time_code.get(&key).or_stop()?.cloned();
        let owner = tx.rows().phone_owner.get(&self.phone).or_stop()?.map(|o| o.person);
        let has_payment_password = match owner {
            Some(person) => tx.rows().payment_password.get(&person).or_stop()?.is_some(),
            None => false,
        };
        tx.rows().session.get(&self.token_hash).or_stop()?;
        let mut row = row.ok_or(Refusal::CodeExpired)?;
        if row.tries_left == 0 || now.since(row.asked_at) >= CODE_LIFE_MS {
            return Err(Refusal::CodeExpired.into());
        }
        let expected = code_of(tx.keys(), &key, &row.nonce);
        if !same_text(expected.expose(), self.code.expose()) {
            row.tries_left -= 1;
            let tries_left = row.tries_left;
            tx.rows().one_time_code.put(row);
            return Err(Refusal::CodeWrong { tries_left }.into());
        }
        row.tries_left = 0;
        tx.rows().one_time_code.put(row);
        let person = match owner {
            Some(person) => person,
            None => {
                let id = PersonId(tx.fresh_id());
                tx.rows().person.insert(Person {
                    id,
                    phone: self.phone.clone(),
                    created_at: now,
                    frozen: false,
                    cards: 0,
                    failed_bindings: 0,
                    failed_bindings_day: 0,
                });
                tx.rows().phone_owner.put(PhoneOwner { phone: self.phone.clone(), person: id });
                id
            }
        };
        let expires_at = now.plus(tx.policy().session_life_ms);
        tx.rows().session.put(Session { token_hash: self.token_hash, person, created_at: now, expires_at });
        Ok(SignedIn { person, has_payment_password })
    }
}

impl Session {
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
        if tx.rows().session.get(&self.token_hash).or_stop()?.is_some() {
            tx.rows().session.delete(&self.token_hash);
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
        message.next_at = tx.now().plus(SECOND << message.tries.min(6));
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
