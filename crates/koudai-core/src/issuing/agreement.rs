//! How an app comes to take money from an account: it names the holder, the holder is sent a code and hands it to the app.
//! The holder sets how much it may take, and ends it.

use super::{IssuingRefusal, check_active, own_agreement, token_holder};
use crate::id::{AgreementId, IssuingAppId, MessageId, PersonId};
use crate::identity::{Contact, Phone};
use crate::money::{Currency, Money};
use crate::payment_password::{self, Pin};
use crate::refusal::Refusal;
use crate::rows::{
    Agreement, AgreementHolder, AgreementKey, AgreementNumber, AgreementState, AgreementTally, CodeKey,
    CodePurpose, Declined, HolderKey, Message, Person,
};
use crate::secret::Secret;
use crate::sign_in::{CODE_GAP_MS, CODE_LIFE_MS, CODE_TRIES, code_of, same_text};
use crate::state::{Command, Event, OrStop, Stop, Tx};
use crate::time::Timestamp;

/// The most codes one binding is sent.
pub const CODES_MOST: u8 = 6;

/// Asks for an account to be bound.
#[derive(Clone, Debug)]
pub struct RequestAgreement {
    /// Which app.
    pub app: IssuingAppId,
    /// Its number for the binding.
    pub binding: String,
    /// Keyed hash of all it gave, by which a repeat is known.
    pub content_mac: [u8; 32],
    /// Whose account its number says it is; `None` if it is none of ours.
    pub account: Option<Phone>,
    /// The phone it gave.
    pub phone: String,
    /// Of the name and ID number it gave; `None` if they cannot be anybody's.
    pub identity_mac: Option<[u8; 32]>,
}

impl Command for RequestAgreement {
    type Reply = Agreement;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Agreement, Stop<IssuingRefusal>> {
        let now = tx.now();
        let key = AgreementKey { app: self.app, binding: self.binding.clone() };
        let known = tx.rows().agreement_number.get(&key).or_stop()?.map(|n| n.agreement);
        if let Some(id) = known {
            let old = tx.rows().agreement.get(&id).or_stop()?.cloned();
            let old = old.expect("a number stands for an agreement");
            if old.content_mac != self.content_mac {
                return Err(IssuingRefusal::NumberReused.into());
            }
            return Ok(old.or_refusal()?);
        }
        check_active(tx, self.app)?;
        let person = match &self.account {
            Some(phone) => match tx.rows().phone_owner.get(phone).or_stop()?.map(|owner| owner.person) {
                Some(person) => tx.rows().person.get(&person).or_stop()?.cloned(),
                None => None,
            },
            None => None,
        };
        let refusal = match &person {
            // A number that is of the right form says nothing of whether somebody has it.
            None if self.account.is_some() => Some(Declined::DetailsMismatch),
            None => Some(Declined::AccountUnknown),
            Some(person) => {
                let identity = tx.rows().identity.get(&person.id).or_stop()?.map(|identity| identity.mac);
                // Counted whatever comes of it: nobody tries out details of a holder's.
                count_code(tx, person.id)?;
                let theirs = identity.is_some() && identity == self.identity_mac;
                if !theirs || person.phone.digits() != self.phone {
                    Some(Declined::DetailsMismatch)
                } else if person.frozen {
                    Some(Declined::Frozen)
                } else if person.check_open(now).is_err() {
                    // Nobody new is paid in a cool-down.
                    Some(Declined::Limit)
                } else {
                    None
                }
            }
        };
        let nonce = tx.random();
        let agreement = Agreement {
            id: AgreementId(tx.fresh_id()),
            app: self.app,
            binding: self.binding.clone(),
            content_mac: self.content_mac,
            person: person.as_ref().map(|person| person.id),
            state: if refusal.is_none() { AgreementState::CodeSent } else { AgreementState::Refused },
            refusal,
            nonce,
            code_at: now,
            tries_left: CODE_TRIES,
            codes_sent: 1,
            per_payment: tx.policy().agreement_per_payment,
            per_day: tx.policy().agreement_per_day,
            used_day: 0,
            used: Money::zero(Currency::Cny),
            created_at: now,
            bound_at: None,
            ended_at: None,
        };
        if let (None, Some(person)) = (refusal, &person) {
            send_code(tx, person, &agreement);
        }
        tx.rows().agreement_number.put(AgreementNumber { key, agreement: agreement.id });
        tx.rows().agreement.insert(agreement.clone());
        Ok(agreement.or_refusal()?)
    }
}

impl Agreement {
    /// Itself, unless it came to nothing.
    fn or_refusal(self) -> Result<Self, IssuingRefusal> {
        match self.refusal {
            Some(refusal) => Err(IssuingRefusal::Declined(refusal)),
            None => Ok(self),
        }
    }

    /// What was taken by it so far on the day of this moment.
    pub fn used_on(&self, now: Timestamp) -> Money {
        if self.used_day == now.china_day() { self.used } else { Money::zero(self.used.currency()) }
    }

    /// What it may still take on a day, at this moment.
    pub(super) fn left_on(&self, now: Timestamp) -> Money {
        let used = self.used_on(now);
        self.per_day.checked_sub(used).unwrap_or_else(|_| Money::zero(used.currency()))
    }
}

/// Counts a code that is sent to a holder, or would be if the details were right.
fn count_code(tx: &mut Tx<'_>, person: PersonId) -> Result<(), Stop<IssuingRefusal>> {
    let day = tx.now().china_day();
    let tally = tx.rows().agreement_tally.get(&person).or_stop()?.cloned();
    let asked = tally.filter(|tally| tally.day == day).map_or(0, |tally| tally.asked);
    if asked >= tx.policy().agreement_codes_a_day {
        return Err(IssuingRefusal::TooMany.into());
    }
    tx.rows().agreement_tally.put(AgreementTally { person, day, asked: asked + 1 });
    Ok(())
}

fn send_code(tx: &mut Tx<'_>, person: &Person, agreement: &Agreement) {
    let message = Message {
        id: MessageId(tx.fresh_id()),
        contact: Contact::Phone(person.phone.clone()),
        purpose: CodePurpose::Agreement,
        nonce: agreement.nonce,
        next_at: tx.now(),
        tries: 0,
        expires_at: agreement.code_at.plus(CODE_LIFE_MS),
        language: None,
        agreement: Some(agreement.id),
        about: None,
    };
    tx.announce(Event::MessageDue(message.id));
    tx.rows().message.insert(message);
}

/// The agreement under an app's number, with its holder.
fn found(
    tx: &mut Tx<'_>,
    app: IssuingAppId,
    binding: &str,
) -> Result<(Agreement, Person), Stop<IssuingRefusal>> {
    let key = AgreementKey { app, binding: binding.to_owned() };
    let id = tx.rows().agreement_number.get(&key).or_stop()?.map(|n| n.agreement);
    let id = id.ok_or(IssuingRefusal::NotFound)?;
    let agreement =
        tx.rows().agreement.get(&id).or_stop()?.cloned().expect("a number stands for an agreement");
    let agreement = agreement.or_refusal()?;
    if agreement.state == AgreementState::Ended {
        return Err(IssuingRefusal::TokenUnknown.into());
    }
    let person = agreement.person.expect("what was not refused has its holder");
    let person = tx.rows().person.get(&person).or_stop()?.cloned().expect("a holder has their row");
    Ok((agreement, person))
}

/// Sends the holder another code. The one before is void.
#[derive(Clone, Debug)]
pub struct ResendAgreementCode {
    /// Which app.
    pub app: IssuingAppId,
    /// Its number for the binding.
    pub binding: String,
}

impl Command for ResendAgreementCode {
    type Reply = Agreement;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Agreement, Stop<IssuingRefusal>> {
        let now = tx.now();
        let (mut agreement, person) = found(tx, self.app, &self.binding)?;
        if agreement.state == AgreementState::Bound {
            return Ok(agreement);
        }
        check_active(tx, self.app)?;
        if now.since(agreement.code_at) < CODE_GAP_MS {
            return Err(IssuingRefusal::TooSoon.into());
        }
        if agreement.codes_sent >= CODES_MOST {
            return Err(IssuingRefusal::TooMany.into());
        }
        count_code(tx, person.id)?;
        agreement.nonce = tx.random();
        agreement.code_at = now;
        agreement.tries_left = CODE_TRIES;
        agreement.codes_sent += 1;
        send_code(tx, &person, &agreement);
        tx.rows().agreement.put(agreement.clone());
        Ok(agreement)
    }
}

/// Hands over the code that the holder was sent.
#[derive(Clone, Debug)]
pub struct ConfirmAgreement {
    /// Which app.
    pub app: IssuingAppId,
    /// Its number for the binding.
    pub binding: String,
    /// The six digits, as typed.
    pub code: Secret<String>,
}

impl Command for ConfirmAgreement {
    type Reply = Agreement;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Agreement, Stop<IssuingRefusal>> {
        let (mut agreement, person) = found(tx, self.app, &self.binding)?;
        if agreement.state == AgreementState::Bound {
            return Ok(agreement);
        }
        check_active(tx, self.app)?;
        if person.frozen {
            return Err(IssuingRefusal::Declined(Declined::Frozen).into());
        }
        let holding =
            AgreementHolder { key: HolderKey { app: self.app, person: person.id }, agreement: agreement.id };
        let before = tx.rows().agreement_holder.get(&holding.key).or_stop()?.map(|held| held.agreement);
        let before = match before {
            Some(id) => tx.rows().agreement.get(&id).or_stop()?.cloned(),
            None => None,
        };
        if agreement.tries_left == 0 || tx.now().since(agreement.code_at) >= CODE_LIFE_MS {
            return Err(IssuingRefusal::CodeExpired.into());
        }
        let key = CodeKey { contact: Contact::Phone(person.phone), purpose: CodePurpose::Agreement };
        let expected = code_of(tx.keys(), &key, &agreement.nonce);
        agreement.tries_left -= 1;
        if !same_text(expected.expose(), self.code.expose()) {
            let tries_left = agreement.tries_left;
            tx.rows().agreement.put(agreement);
            return Err(IssuingRefusal::CodeWrong { tries_left }.into());
        }
        agreement.tries_left = 0;
        agreement.state = AgreementState::Bound;
        agreement.bound_at = Some(tx.now());
        // An app has one agreement with a holder. What the holder allows it, and what it took today, goes on.
        if let Some(before) = before.filter(|before| before.state == AgreementState::Bound) {
            (agreement.per_payment, agreement.per_day) = (before.per_payment, before.per_day);
            (agreement.used_day, agreement.used) = (before.used_day, before.used);
            end(tx, before);
        }
        tx.rows().agreement_holder.put(holding);
        tx.rows().agreement.put(agreement.clone());
        Ok(agreement)
    }
}

/// Gives a token back. Giving it back again is the same as once.
#[derive(Clone, Debug)]
pub struct EndAgreement {
    /// Which app.
    pub app: IssuingAppId,
    /// Its token.
    pub token: Secret<String>,
}

impl Command for EndAgreement {
    type Reply = ();
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<IssuingRefusal>> {
        let agreement = token_holder(tx, self.app, &self.token)?.ok_or(IssuingRefusal::TokenUnknown)?;
        if agreement.state == AgreementState::Bound {
            end(tx, agreement);
        }
        Ok(())
    }
}

fn end(tx: &mut Tx<'_>, mut agreement: Agreement) {
    agreement.state = AgreementState::Ended;
    agreement.ended_at = Some(tx.now());
    tx.rows().agreement.put(agreement);
}

/// Ends an agreement, as its holder, who needs no payment password for it: one that is locked must not keep an app charging.
/// What the app took before can still come back.
#[derive(Clone, Debug)]
pub struct RevokeAgreement {
    /// The holder.
    pub person: PersonId,
    /// Which.
    pub agreement: AgreementId,
}

impl Command for RevokeAgreement {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let agreement = own_agreement(tx, self.person, self.agreement)?;
        end(tx, agreement);
        Ok(())
    }
}

/// Sets how much an app may take, for one payment and for one day in China.
#[derive(Clone, Debug)]
pub struct SetAgreementLimits {
    /// The holder.
    pub person: PersonId,
    /// Which.
    pub agreement: AgreementId,
    /// The most for one payment.
    pub per_payment: Money,
    /// The most for one day.
    pub per_day: Money,
    /// The payment password.
    pub pin: Pin,
}

impl Command for SetAgreementLimits {
    type Reply = Agreement;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Agreement, Stop<Refusal>> {
        let mut agreement = own_agreement(tx, self.person, self.agreement)?;
        let (least, most) = (Money::fen(1).expect("above zero"), tx.policy().agreement_most);
        for limit in [self.per_payment, self.per_day] {
            if limit.checked_sub(least).is_err() || most.checked_sub(limit).is_err() {
                return Err(Refusal::AmountOutOfRange { least, most }.into());
            }
        }
        payment_password::check(tx, self.person, &self.pin)?;
        agreement.per_payment = self.per_payment;
        agreement.per_day = self.per_day;
        tx.rows().agreement.put(agreement.clone());
        Ok(agreement)
    }
}
