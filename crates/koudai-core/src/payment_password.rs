//! The six-digit payment password.
//!
//! A million values fall to any leaked table however slow its hash, so the protection is the operator's key, which is
//! kept outside the database, and the count of tries, which one decision takes and judges together (domain rule 6).

use crate::id::PersonId;
use crate::refusal::Refusal;
use crate::rows::PaymentPassword;
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx, keyed_mac, keyed_mac_matches};
use crate::time::{HOUR, Timestamp};

/// Wrong tries in a row before a lock.
pub const TRIES: u8 = 5;
const FIRST_LOCK_MS: i64 = 3 * HOUR;

/// Six digits, as typed.
#[derive(Clone, Debug)]
pub struct Pin(Secret<String>);

impl Pin {
    /// Reads six ASCII digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| Self(Secret::new(text.to_owned())))
    }

    /// Whether it is one of the first a thief would try: six equal digits, a run up or down, or a repeated half or pair.
    fn is_weak(&self) -> bool {
        let digits = self.0.expose().as_bytes();
        let steps = |step: i16| digits.windows(2).all(|w| i16::from(w[1]) - i16::from(w[0]) == step);
        let repeats = |n: usize| digits.chunks(n).all(|part| part == &digits[..n]);
        steps(0) || steps(1) || steps(-1) || repeats(2) || repeats(3)
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
        if self.pin.is_weak() || person.phone.digits().ends_with(self.pin.0.expose().as_str()) {
            return Err(Refusal::PaymentPasswordWeak.into());
        }
        let salt = tx.random();
        let mac = keyed_mac(
            tx.keys().payment_password.expose(),
            &mac_parts(&self.person.0.to_be_bytes(), &salt, &self.pin),
        );
        let set_at = tx.now();
        tx.rows().payment_password.put(PaymentPassword {
            person: self.person,
            salt,
            mac,
            wrong: 0,
            locked_until: Timestamp(0),
            set_at,
        });
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
    if row.wrong >= 2 * TRIES {
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
    let refusal = match row.wrong {
        TRIES => {
            row.locked_until = now.plus(FIRST_LOCK_MS);
            Refusal::PaymentPasswordLocked { until: row.locked_until }
        }
        wrong if wrong >= 2 * TRIES => Refusal::PaymentPasswordResetNeeded,
        wrong => Refusal::PaymentPasswordWrong { tries_left: TRIES - wrong % TRIES },
    };
    tx.rows().payment_password.put(row);
    Err(refusal.into())
}
