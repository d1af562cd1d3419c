//! Topping up the balance from a bound card or from another wallet.

use crate::attempt;
use crate::binding::bank_card_of;
use crate::confirmation::{Act, Confirmation};
use crate::id::{CardId, PersonId};
use crate::money::Money;
use crate::money_tally::{self, Passage};
use crate::other_wallet::{AtWallet, PAY_ELSEWHERE_MS, wallet_of};
use crate::refusal::Refusal;
use crate::rows::{Attempt, AttemptKind, AttemptNumber, ClientNumber};
use crate::state::{Command, OrStop, Policy, Stop, Tx};

impl Policy {
    /// What topping up this much costs, of what arrives, rounded half up to whole minor units. Nothing unless the operator
    /// sets a rate.
    pub fn top_up_fee(&self, amount: Money) -> Money {
        amount.rate_half_up(self.top_up_fee)
    }
}

/// Asks a card's bank for money for the balance.
#[derive(Debug)]
pub struct StartTopUp {
    /// Whose balance.
    pub person: PersonId,
    /// The device's number for it: the same number is the same top-up.
    pub number: String,
    /// The card, or what the person has at another wallet.
    pub card: CardId,
    /// Where the person pays, if it is at another wallet.
    pub at: Option<AtWallet>,
    /// How much.
    pub amount: Money,
    /// What it is confirmed by.
    pub confirmed: Confirmation,
}

impl Command for StartTopUp {
    type Reply = Attempt;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Attempt, Stop<Refusal>> {
        let key = ClientNumber { person: self.person, number: self.number.clone() };
        if let Some(known) = tx.rows().attempt_number.get(&key).or_stop()?.map(|n| n.attempt) {
            let old =
                tx.rows().attempt.get(&known).or_stop()?.cloned().expect("a number stands for an attempt");
            let same = old.card == self.card && old.amount == self.amount;
            return if same { Ok(old) } else { Err(Refusal::NumberReused.into()) };
        }
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        let (least, most) = (tx.policy().top_up_least, tx.policy().top_up_most);
        if self.amount.checked_sub(least).is_err() || most.checked_sub(self.amount).is_err() {
            return Err(Refusal::AmountOutOfRange { least, most }.into());
        }
        let card = match &self.at {
            None => bank_card_of(tx, self.person, self.card)?,
            Some(_) => wallet_of(tx, self.person, self.card)?,
        };
        let tally = money_tally::with(tx, self.person, Passage::TopUp, self.amount)?;
        let fee = tx.policy().top_up_fee(self.amount);
        let act = Act::TopUp { number: &self.number, card: self.card, amount: self.amount, fee };
        self.confirmed.check(tx, self.person, &act)?;
        let mut attempt = attempt::new(tx, AttemptKind::TopUp, &card, self.amount);
        attempt.fee = fee;
        match &self.at {
            None => attempt::open(tx, attempt.clone()),
            Some(at) => attempt::open_for(tx, attempt.clone(), PAY_ELSEWHERE_MS, Some(at.clone())),
        }
        tx.rows().money_tally.put(tally);
        tx.rows().attempt_number.put(AttemptNumber { key, attempt: attempt.id });
        Ok(attempt)
    }
}
