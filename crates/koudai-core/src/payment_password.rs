//! The six-digit payment password.
//!
//! A million values fall to any leaked table however slow its hash, so the protection is the operator's key, which is
//! kept outside the database, and the count of tries, which one decision takes and judges together (domain rule 6).

use crate::id::PersonId;
use crate::identity::Contact;
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodeKey, CodePurpose, Language, OneTimeCode, PaymentPassword, Person};
use crate::secret::Secret;
use crate::sign_in::sessions::Sessions;
use crate::sign_in::telling::Telling;
use crate::sign_in::{
    CodeWanted, Count, Counted, active_holder, holder, judge_code, proven, second_step, send_code,
};
use crate::state::{Command, OrStop, Stop, Tx, keyed_mac, keyed_mac_matches};
use crate::time::{DAY, HOUR, MINUTE, Timestamp};

/// Wrong tries in a row before a lock.
pub const TRIES: u8 = 5;
/// How long each lock lasts, ms; after them it has to be reset.
const LOCKS_MS: [i64; 2] = [3 * HOUR, DAY];
/// After how many wrong tries it has to be reset.
const LAST_TRY: u8 = 3 * TRIES;
/// How many passwords, the present one among them, may not be set again.
const REMEMBERED: usize = 5;
const MAC_BYTES: usize = 32;
/// Wrong card numbers a day before no more are looked at.
const WRONG_CARDS_MOST: u32 = 5;
/// How long a new password may be set once it was proved that its holder wants one, ms (domain rule 6).
pub const RENEWAL_LIFE_MS: i64 = 15 * MINUTE;

/// Six digits, as typed.
#[derive(Clone, Debug)]
pub struct Pin(Secret<String>);

impl Pin {
    /// Reads six ASCII digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| Self(Secret::new(text.to_owned())))
    }

    /// Whether it is one of the first a thief would try: six equal digits, a run up or down, a repeated half or pair, or a date.
    fn is_weak(&self) -> bool {
        let digits = self.0.expose().as_bytes();
        let steps = |step: i16| digits.windows(2).all(|w| i16::from(w[1]) - i16::from(w[0]) == step);
        let repeats = |n: usize| digits.chunks(n).all(|part| part == &digits[..n]);
        steps(0) || steps(1) || steps(-1) || repeats(2) || repeats(3) || self.is_date()
    }

    fn is_weak_for(&self, person: &Person) -> bool {
        self.is_weak() || person.phone.digits().ends_with(self.0.expose().as_str())
    }

    /// Whether somebody's day of birth could be written so: with a year of two digits in any order, or a year of four and a month.
    fn is_date(&self) -> bool {
        let digits = self.0.expose();
        let two = |at: usize| digits[at..at + 2].parse::<u8>().unwrap_or(0);
        let [a, b, c] = [two(0), two(2), two(4)];
        let days = |month: u8| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        let is_day = |month: u8, day: u8| (1..=days(month)).contains(&day);
        let is_year = |century: u8| matches!(century, 19 | 20);
        is_day(b, c)
            || is_day(b, a)
            || is_day(a, b)
            || (is_year(a) && days(c) > 0)
            || (is_year(b) && days(a) > 0)
    }

    /// Whether it ends like something that others know of its holder.
    pub fn ends_with(&self, known: &str) -> bool {
        self.0.expose().ends_with(known)
    }
}

fn mac_parts<'a>(person: &'a [u8; 8], salt: &'a [u8; 16], pin: &'a Pin) -> [&'a [u8]; 3] {
    [person, salt, pin.0.expose().as_bytes()]
}

/// Sets the payment password of a person who has none.
#[derive(Debug)]
pub struct SetPaymentPassword {
    /// Whose.
    pub person: PersonId,
    /// The six digits.
    pub pin: Pin,
}

impl Command for SetPaymentPassword {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let person = tx.rows().person.get(&self.person).or_stop()?.cloned().ok_or(Refusal::SignedOut)?;
        if tx.rows().payment_password.get(&self.person).or_stop()?.is_some() {
            return Err(Refusal::PaymentPasswordAlreadySet.into());
        }
        let row = renewed(tx, &person, None, &self.pin)?;
        tx.rows().payment_password.put(row);
        Ok(())
    }
}

/// The row of a person whose password is to be this one.
///
/// # Errors
/// `PaymentPasswordWeak`, or `PaymentPasswordReused`.
fn renewed(
    tx: &mut Tx<'_>,
    person: &Person,
    old: Option<&PaymentPassword>,
    pin: &Pin,
) -> Result<PaymentPassword, Stop<Refusal>> {
    if pin.is_weak_for(person) {
        return Err(Refusal::PaymentPasswordWeak.into());
    }
    let salt = old.map_or_else(|| tx.random(), |old| old.salt);
    let mac =
        keyed_mac(tx.keys().payment_password.expose(), &mac_parts(&person.id.0.to_be_bytes(), &salt, pin));
    let mut earlier = old.map_or_else(Vec::new, |old| [&old.mac, old.earlier.as_slice()].concat());
    earlier.truncate(REMEMBERED * MAC_BYTES);
    if earlier.chunks_exact(MAC_BYTES).any(|one| one == mac) {
        return Err(Refusal::PaymentPasswordReused.into());
    }
    let (wrong, locked_until, set_at) = (0, Timestamp(0), tx.now());
    Ok(PaymentPassword { person: person.id, salt, mac, wrong, locked_until, set_at, earlier })
}

/// Proves by the present payment password, and beside a fresh proof of who it is, that whoever changes it is its holder. It lets
/// the session set a new one for a while.
#[derive(Debug)]
pub struct ProveForChange {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The present one.
    pub old: Pin,
}

impl Command for ProveForChange {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (mut session, person) = proven(tx, &self.session)?;
        check(tx, person.id, &self.old)?;
        session.may_renew_until = tx.now().plus(RENEWAL_LIFE_MS);
        tx.rows().session.put(session);
        Ok(())
    }
}

fn reset_code_key(person: &Person) -> CodeKey {
    CodeKey { contact: Contact::Phone(person.phone.clone()), purpose: CodePurpose::PaymentPassword }
}

/// Sends the holder of a session a code to reset the payment password by.
#[derive(Debug)]
pub struct RequestReset {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

impl Command for RequestReset {
    /// Seconds until another may be asked for.
    type Reply = u32;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<u32, Stop<Refusal>> {
        let (_, person) = holder(tx, &self.session)?;
        let key = reset_code_key(&person);
        send_code(tx, CodeWanted { key, request: self.session, asker: None, language: self.language })
    }
}

/// Whether a number is of a card of a person's, which has been bound for a while: of the cards that this wallet shows, the end only.
#[derive(Debug)]
pub(crate) struct OldCard {
    is_theirs: bool,
    wrong: Count,
}

impl OldCard {
    /// Looks it up by its keyed hash.
    ///
    /// # Errors
    /// `ResetPaused` after too many that were not theirs, or `Absent`.
    pub(crate) fn look(
        tx: &mut Tx<'_>,
        person: PersonId,
        card_mac: &[u8; 32],
    ) -> Result<Self, Stop<Refusal>> {
        let now = tx.now();
        let owner = tx.rows().card_owner.get(card_mac).or_stop()?;
        let card = owner.filter(|owner| owner.person == person).and_then(|owner| owner.card);
        let card =
            card.map_or(Ok(None), |card| tx.rows().card.get(&card).map(Option::<&_>::cloned)).or_stop()?;
        // One that was bound a moment ago may be whoever found the session open.
        let age_ms = tx.policy().safety.reset_card_age_ms;
        let is_theirs = card.is_some_and(|card| now.since(card.bound_at) >= age_ms);
        let wrong = Count::read(tx, Counted::WrongCards, &person.0.to_be_bytes())?;
        match wrong.wait_s(now, WRONG_CARDS_MOST) {
            Some(wait_s) => Err(Refusal::ResetPaused { wait_s }.into()),
            None => Ok(Self { is_theirs, wrong }),
        }
    }

    /// Judges it and counts one that is not theirs. The last check of a decision.
    ///
    /// # Errors
    /// `CardNumberNotYours`.
    pub(crate) fn check(self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        if self.is_theirs {
            return Ok(());
        }
        self.wrong.add(tx, DAY);
        Err(Refusal::CardNumberNotYours)
    }
}

/// Proves that whoever resets the payment password is its holder: by a code to their phone, and by the whole number of a card of
/// theirs, of which this wallet shows the end only
/// (domain rule 6) and which has been bound for a while. It lets the session set a new one for a while; all others end, its holder is
/// told, and a cool-down begins.
#[derive(Debug)]
pub struct ProveForReset {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The six digits as typed.
    pub code: Secret<String>,
    /// [`card_mac`](crate::binding::card_mac) of the number as typed.
    pub card_mac: [u8; 32],
}

impl Command for ProveForReset {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        let (mut session, mut person) = active_holder(tx, &self.session)?;
        // More strictly where there is a second step: that is given as well (domain rule 6).
        if second_step::of(tx, person.id)?.is_some() && !session.is_proven(now, &tx.policy().safety) {
            return Err(Refusal::ProofNeeded.into());
        }
        let card = OldCard::look(tx, person.id, &self.card_mac)?;
        let sessions = Sessions::read(tx, person.id)?;
        let telling = Telling::prepare(tx, &person, AccountChange::PaymentPasswordForgotten)?;
        // Whoever has not got the phone tries no cards.
        let code = judge_code(tx, &reset_code_key(&person), &self.session, &self.code)?;
        card.check(tx)?;
        tx.rows().one_time_code.put(OneTimeCode { tries_left: 0, ..code });
        session.may_renew_until = now.plus(RENEWAL_LIFE_MS);
        tx.rows().session.put(session);
        let first_ms = tx.policy().safety.cool_down_ms;
        person.cool(now, first_ms);
        tx.rows().person.put(person);
        sessions.end(tx, Some(&self.session));
        telling.tell(tx);
        Ok(())
    }
}

/// Sets a new payment password in the place of the present one.
#[derive(Debug)]
pub struct RenewPaymentPassword {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The next.
    pub new: Pin,
}

impl Command for RenewPaymentPassword {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (mut session, person) = active_holder(tx, &self.session)?;
        if tx.now() >= session.may_renew_until {
            return Err(Refusal::RenewalExpired.into());
        }
        let old = tx.rows().payment_password.get(&person.id).or_stop()?.cloned();
        let telling = Telling::prepare(tx, &person, AccountChange::PaymentPassword)?;
        let row = renewed(tx, &person, old.as_ref(), &self.new)?;
        telling.tell(tx);
        session.may_renew_until = Timestamp(0);
        tx.rows().session.put(session);
        tx.rows().payment_password.put(row);
        Ok(())
    }
}

/// Loads what `check` will need.
///
/// # Errors
/// `Absent`.
pub(crate) fn prepare(tx: &mut Tx<'_>, person: PersonId) -> Result<(), Stop<Refusal>> {
    tx.rows().payment_password.get(&person).or_stop().map(|_| ())
}

/// Judges a payment password and counts the try. It is the last check of a decision: a wrong try stays counted though
/// the decision refuses.
///
/// # Errors
/// The refusals of the payment password.
pub(crate) fn check(tx: &mut Tx<'_>, person: PersonId, pin: &Pin) -> Result<(), Stop<Refusal>> {
    let now = tx.now();
    let row = tx.rows().payment_password.get(&person).or_stop()?.cloned();
    let mut row = row.ok_or(Refusal::PaymentPasswordNotSet)?;
    if row.wrong >= LAST_TRY {
        return Err(Refusal::PaymentPasswordResetNeeded.into());
    }
    if now < row.locked_until {
        return Err(Refusal::PaymentPasswordLocked { until: row.locked_until }.into());
    }
    let right = keyed_mac_matches(
        tx.keys().payment_password.expose(),
        &mac_parts(&person.0.to_be_bytes(), &row.salt, pin),
        &row.mac,
    );
    if right {
        if row.wrong > 0 {
            row.wrong = 0;
            tx.rows().payment_password.put(row);
        }
        return Ok(());
    }
    row.wrong += 1;
    let refusal = if row.wrong % TRIES != 0 {
        Refusal::PaymentPasswordWrong { tries_left: TRIES - row.wrong % TRIES }
    } else if let Some(lock_ms) = LOCKS_MS.get(usize::from(row.wrong / TRIES - 1)) {
        row.locked_until = now.plus(*lock_ms);
        Refusal::PaymentPasswordLocked { until: row.locked_until }
    } else {
        Refusal::PaymentPasswordResetNeeded
    };
    tx.rows().payment_password.put(row);
    Err(refusal.into())
}
