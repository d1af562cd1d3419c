//! What a person confirms a payment, a top-up or a withdrawal by: the payment password, or a passkey whose answer covers exactly
//! what is confirmed and nothing else (what they see is what they sign).
//!
//! It is judged in the decision that moves the money, against what that decision moves: whatever the edge read before.

use crate::id::{CardId, MchId, OrderId, PersonId};
use crate::money::Money;
use crate::payment::Means;
use crate::payment_password::{self, Pin};
use crate::refusal::Refusal;
use crate::rows::{AccountChange, Order, Speed};
use crate::sign_in::telling::Telling;
use crate::sign_in::{PasskeyAnswer, passkey};
use crate::state::{Command, OrStop, Stop, Tx, parts_hash};

/// What something is confirmed by.
#[derive(Clone, Debug)]
pub enum Confirmation {
    /// The payment password.
    Pin(Pin),
    /// A passkey that its holder has allowed to pay.
    Passkey(Box<PasskeySigned>),
}

/// A passkey's answer to a challenge that was made for one thing.
#[derive(Clone, Debug)]
pub struct PasskeySigned {
    /// The answer.
    pub answer: PasskeyAnswer,
    /// [`Act::digest`] of what the challenge was made for.
    pub covers: [u8; 32],
}

impl From<Pin> for Confirmation {
    fn from(pin: Pin) -> Self {
        Self::Pin(pin)
    }
}

/// What is confirmed: who is paid, how much it is, what it costs and where it comes from or goes to.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// Paying an order.
    Pay {
        /// Which.
        order: OrderId,
        /// Who is paid.
        payee: MchId,
        /// How much.
        amount: Money,
        /// With what.
        means: &'a Means,
    },
    /// Topping up.
    TopUp {
        /// The device's number for it.
        number: &'a str,
        /// From what.
        card: CardId,
        /// How much.
        amount: Money,
        /// What it costs.
        fee: Money,
    },
    /// Withdrawing.
    Withdraw {
        /// The device's number for it.
        number: &'a str,
        /// To what.
        card: CardId,
        /// What is to arrive.
        amount: Money,
        /// When it is sent.
        speed: Speed,
        /// What it costs.
        fee: Money,
    },
}

impl<'a> Act<'a> {
    /// Paying this order.
    pub const fn pay(order: &Order, means: &'a Means) -> Self {
        Self::Pay { order: order.id, payee: order.mchid, amount: order.amount, means }
    }

    /// SHA-256 of whose act it is and of all it says. No two acts have the same.
    pub fn digest(&self, person: PersonId) -> [u8; 32] {
        let person = person.0.to_be_bytes();
        let money = |amount: &Money| (amount.minor().to_be_bytes(), amount.currency().code());
        match self {
            Self::Pay { order, payee, amount, means } => {
                let ((minor, currency), order, payee) =
                    (money(amount), order.0.to_be_bytes(), payee.0.to_be_bytes());
                let (word, from_balance) = match means {
                    Means::Balance => ("balance", 0),
                    Means::Card(_) => ("card", 0),
                    Means::Both { from_balance, .. } => ("both", from_balance.minor()),
                    Means::Wallet { .. } => ("elsewhere", 0),
                };
                let (card, from_balance) =
                    (means.card().map_or(0, |card| card.0).to_be_bytes(), from_balance.to_be_bytes());
                let (word, currency) = (word.as_bytes(), currency.as_bytes());
                parts_hash(&[b"pay", &person, &order, &payee, &minor, currency, word, &card, &from_balance])
            }
            Self::TopUp { number, card, amount, fee } => {
                let ((minor, currency), card, fee) = (money(amount), card.0.to_be_bytes(), money(fee).0);
                let (number, currency) = (number.as_bytes(), currency.as_bytes());
                parts_hash(&[b"top up", &person, number, &card, &minor, currency, &fee])
            }
            Self::Withdraw { number, card, amount, speed, fee } => {
                let ((minor, currency), card, fee) = (money(amount), card.0.to_be_bytes(), money(fee).0);
                let (number, currency, speed) =
                    (number.as_bytes(), currency.as_bytes(), speed.word().as_bytes());
                parts_hash(&[b"withdraw", &person, number, &card, &minor, currency, speed, &fee])
            }
        }
    }
}

impl Confirmation {
    /// Loads what [`check`](Self::check) will need.
    ///
    /// # Errors
    /// `Absent`.
    pub(crate) fn prepare(&self, tx: &mut Tx<'_>, person: PersonId) -> Result<(), Stop<Refusal>> {
        match self {
            Self::Pin(_) => payment_password::prepare(tx, person),
            Self::Passkey(signed) => passkey::prepare(tx, &signed.answer),
        }
    }

    /// Judges it and counts the try. It is the last check of a decision: a wrong try stays counted though the decision refuses.
    ///
    /// A password that is locked locks no passkey: whoever guesses at the one has not got the other, and its holder is not to be
    /// kept from paying by them.
    ///
    /// # Errors
    /// The refusals of the payment password, or of a passkey.
    pub(crate) fn check(
        &self,
        tx: &mut Tx<'_>,
        person: PersonId,
        act: &Act<'_>,
    ) -> Result<(), Stop<Refusal>> {
        let signed = match self {
            Self::Pin(pin) => return payment_password::check(tx, person, pin),
            Self::Passkey(signed) => signed,
        };
        let passkey = passkey::check(tx, &signed.answer)?;
        if passkey.person != person {
            return Err(Refusal::PasskeyUnknown.into());
        }
        if !passkey.pays {
            return Err(Refusal::PasskeyMayNotPay.into());
        }
        if signed.covers != act.digest(person) {
            return Err(Refusal::PasskeyRefused.into());
        }
        passkey::used(tx, passkey, &signed.answer);
        Ok(())
    }
}

/// Lets a passkey confirm payments, or ends that. To let it takes the payment password, which it stands in for from then on.
#[derive(Debug)]
pub struct LetPasskeyPay {
    /// Whose.
    pub person: PersonId,
    /// SHA-256 of the credential id.
    pub passkey: [u8; 32],
    /// The payment password; `None` to end it.
    pub pin: Option<Pin>,
}

impl Command for LetPasskeyPay {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let passkey = tx.rows().passkey.get(&self.passkey).or_stop()?.cloned();
        let passkey = passkey.filter(|passkey| passkey.person == self.person);
        let mut passkey = passkey.ok_or(Refusal::PasskeyUnknown)?;
        if let Some(pin) = &self.pin {
            let person = tx.rows().person.get(&self.person).or_stop()?.cloned().ok_or(Refusal::SignedOut)?;
            if person.frozen {
                return Err(Refusal::AccountFrozen.into());
            }
            let telling = Telling::prepare(tx, &person, AccountChange::PasskeyPays)?;
            payment_password::check(tx, self.person, pin)?;
            telling.tell(tx);
        }
        passkey.pays = self.pin.is_some();
        tx.rows().passkey.put(passkey);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_acts_read_alike() {
        let fen = |minor| Money::fen(minor).unwrap();
        let card = CardId(7);
        let all = [Means::Balance, Means::Card(card), Means::Both { from_balance: fen(1), card }];
        let more = [Means::Card(CardId(8)), Means::Both { from_balance: fen(2), card }];
        let mut digests = vec![];
        for means in all.iter().chain(&more) {
            for (order, payee, amount) in [(1, 1, 100), (2, 1, 100), (1, 2, 100), (1, 1, 101)] {
                let act = Act::Pay { order: OrderId(order), payee: MchId(payee), amount: fen(amount), means };
                digests.extend([act.digest(PersonId(1)), act.digest(PersonId(2))]);
            }
        }
        for (number, card, amount) in [("one", 7, 100), ("two", 7, 100), ("one", 8, 100), ("one", 7, 101)] {
            let (card, amount) = (CardId(card), fen(amount));
            for fee in [fen(0), fen(1)] {
                digests.push(Act::TopUp { number, card, amount, fee }.digest(PersonId(1)));
                for speed in [Speed::RealTime, Speed::NextDay] {
                    digests.push(Act::Withdraw { number, card, amount, speed, fee }.digest(PersonId(1)));
                }
            }
        }
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
