//! Money from the balance to a card of the person's: held when it is asked for, sent at once or a day later, and at the card
//! or back in the end.
//!
//! A withdrawal ends once: paid, failed or cancelled. Its state is the idempotency of all that moves it.

use crate::attempt;
use crate::binding::card_of;
use crate::cache::Absent;
use crate::card::CardKind;
use crate::confirmation::{Act, Confirmation};
use crate::cool_down;
use crate::id::{CardId, PersonId, WithdrawalId};
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::{Money, RatePpm};
use crate::money_tally::{self, Passage};
use crate::other_wallet::RECEIVE_ELSEWHERE_MS;
use crate::payment::push_posting;
use crate::planted::{self, Bug};
use crate::refusal::Refusal;
use crate::rows::{
    Attempt, AttemptKind, Card, ClientNumber, NetworkRefusal, Speed, WaitingWithdrawal, Withdrawal,
    WithdrawalNumber, WithdrawalState,
};
use crate::state::{Command, OrStop, Policy, Stop, Tx};
use crate::time::DAY;

/// How long a withdrawal of the next day waits before it is sent, ms. A day from when it was asked for is the next day by
/// either way of counting.
pub const NEXT_DAY_MS: i64 = DAY;

impl Policy {
    /// What a withdrawal of a speed costs, as a part of its amount.
    pub const fn withdrawal_rate(&self, speed: Speed) -> RatePpm {
        match speed {
            Speed::RealTime => self.withdraw_fee,
            Speed::NextDay => self.withdraw_next_day_fee,
        }
    }

    /// What withdrawing this much costs, on top of it: the rate of the speed, rounded half up to whole minor units, and no
    /// less than the least fee. Where the rate is zero it costs nothing.
    pub fn withdrawal_fee(&self, speed: Speed, amount: Money) -> Money {
        let rate = self.withdrawal_rate(speed);
        if rate.ppm() == 0 {
            return Money::zero(amount.currency());
        }
        let (fee, least) = (amount.rate_half_up(rate), self.withdraw_fee_least);
        if fee.checked_sub(least).is_err() { least } else { fee }
    }

    /// The most that a balance covers together with its fee; nothing if it does not cover the least fee.
    pub fn most_withdrawable(&self, speed: Speed, balance: Money) -> Money {
        let of = |minor| Money::new(minor, balance.currency()).expect("zero or more");
        let covers = |minor: i64| {
            let amount = of(minor);
            let with_fee = amount.checked_add(self.withdrawal_fee(speed, amount));
            with_fee.is_ok_and(|sum| balance.checked_sub(sum).is_ok())
        };
        // A fee never falls as its amount grows, so what is covered is everything up to one amount, whose bits are found from
        // the highest on.
        let most = (0..63).rev().fold(0_i64, |covered, bit| {
            let more = covered | (1 << bit);
            if covers(more) { more } else { covered }
        });
        of(most)
    }
}

impl Withdrawal {
    /// What is held for it: the amount and its fee.
    pub fn held(&self) -> Money {
        self.amount.checked_add(self.fee).expect("it was held as one sum")
    }

    /// Whether its money is on its way.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, WithdrawalState::Waiting | WithdrawalState::Sending)
    }
}

/// Asks for money of the balance to be brought to a card.
#[derive(Debug)]
pub struct StartWithdrawal {
    /// Whose balance.
    pub person: PersonId,
    /// The device's number for it: the same number is the same withdrawal.
    pub number: String,
    /// The card, one of the person's own.
    pub card: CardId,
    /// What is to arrive. The fee comes on top.
    pub amount: Money,
    /// When it is sent.
    pub speed: Speed,
    /// What it is confirmed by.
    pub confirmed: Confirmation,
}

impl Command for StartWithdrawal {
    /// The withdrawal as it stands now.
    type Reply = Withdrawal;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Withdrawal, Stop<Refusal>> {
        let now = tx.now();
        let key = ClientNumber { person: self.person, number: self.number.clone() };
        if let Some(old) = find(tx, &key)? {
            let same = (old.card, old.amount, old.speed) == (self.card, self.amount, self.speed);
            return if same { Ok(old) } else { Err(Refusal::NumberReused.into()) };
        }
        let person = tx.rows().person.get(&self.person).or_stop()?.cloned().ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        let (least, most) = (tx.policy().withdraw_least, tx.policy().withdraw_most);
        if self.amount.checked_sub(least).is_err() || most.checked_sub(self.amount).is_err() {
            return Err(Refusal::AmountOutOfRange { least, most }.into());
        }
        let mut card = card_of(tx, self.person, self.card)?;
        match card.kind {
            // A credit card's account is a debt to its bank, and money sent there is a repayment.
            CardKind::Credit => return Err(Refusal::DebitCardsOnly.into()),
            CardKind::Wallet if card.token_sealed.is_empty() => return Err(Refusal::WalletNotLinked.into()),
            CardKind::Debit | CardKind::Wallet => {}
        }
        let cooled = cool_down::withdraw(tx, &person, &card, self.amount)?;
        let tally = money_tally::with(tx, self.person, Passage::Withdrawal, self.amount)?;
        let (balance, held) =
            (AccountId::person(self.person), AccountId::withdrawals_in_flight(card.network));
        tx.prepare(&[balance, held]).or_stop()?;
        let funds = tx.standing(balance, self.amount.currency()).or_stop()?;
        let fee = tx.policy().withdrawal_fee(self.speed, self.amount);
        let sum = self.amount.checked_add(fee).map_err(|_| Refusal::AmountInvalid)?;
        if funds.checked_sub(sum).is_err() {
            let short_by = sum.checked_sub(funds).unwrap_or(sum);
            return Err(Refusal::InsufficientBalance { short_by }.into());
        }
        let Self { number, amount, speed, .. } = self;
        let act = Act::Withdraw { number, card: self.card, amount: *amount, speed: *speed, fee };
        self.confirmed.check(tx, self.person, &act)?;

        let mut withdrawal = Withdrawal {
            id: WithdrawalId(tx.fresh_id()),
            person: self.person,
            number: self.number.clone(),
            card: card.id,
            network: card.network,
            amount: self.amount,
            fee,
            speed: self.speed,
            state: WithdrawalState::Waiting,
            attempt: None,
            refusal: None,
            created_at: now,
            due_at: match self.speed {
                Speed::RealTime => now,
                Speed::NextDay => now.plus(NEXT_DAY_MS),
            },
            ended_at: None,
        };
        let posting = Posting { debit: balance, credit: held, amount: sum };
        tx.post(JournalKind::WithdrawalHeld, withdrawal.id.0, sum.currency(), vec![posting], &[]);
        match self.speed {
            Speed::RealTime => send(tx, &mut withdrawal, &card),
            Speed::NextDay => tx
                .rows()
                .waiting_withdrawal
                .insert(WaitingWithdrawal { withdrawal: withdrawal.id, due_at: withdrawal.due_at }),
        }
        card.withdrawals += 1;
        tx.rows().card.put(card);
        tx.rows().money_tally.put(tally);
        cool_down::put(tx, cooled);
        tx.rows().withdrawal_number.put(WithdrawalNumber { key, withdrawal: withdrawal.id });
        tx.rows().withdrawal.insert(withdrawal.clone());
        Ok(withdrawal)
    }
}

/// The withdrawal of a person's number.
fn find(tx: &mut Tx<'_>, key: &ClientNumber) -> Result<Option<Withdrawal>, Stop<Refusal>> {
    let Some(known) = tx.rows().withdrawal_number.get(key).or_stop()?.map(|n| n.withdrawal) else {
        return Ok(None);
    };
    let found = tx.rows().withdrawal.get(&known).or_stop()?.cloned();
    Ok(Some(found.expect("a number stands for a withdrawal")))
}

/// Records the intent to pay it out.
fn send(tx: &mut Tx<'_>, withdrawal: &mut Withdrawal, card: &Card) {
    let mut call = attempt::new(tx, AttemptKind::Payout, card, withdrawal.amount);
    call.withdrawal = Some(withdrawal.id);
    withdrawal.attempt = Some(call.id);
    withdrawal.state = WithdrawalState::Sending;
    match card.kind {
        CardKind::Debit | CardKind::Credit => attempt::open(tx, call),
        // Its holder may have to receive it there.
        CardKind::Wallet => attempt::open_for(tx, call, RECEIVE_ELSEWHERE_MS, None),
    }
}

/// Loads what the end of a withdrawal needs besides the withdrawal.
fn prepare_end(tx: &mut Tx<'_>, withdrawal: &Withdrawal) -> Result<(), Absent> {
    let network = withdrawal.network;
    let ready = tx.prepare(&[
        AccountId::person(withdrawal.person),
        AccountId::withdrawals_in_flight(network),
        AccountId::clearing(network),
        AccountId::fees(),
    ]);
    let ready = money_tally::prepare(tx, withdrawal.person).and(ready);
    let ready = tx.rows().card.get(&withdrawal.card).map(drop).and(ready);
    tx.rows().waiting_withdrawal.get(&withdrawal.id).map(drop).and(ready)
}

/// Ends an open withdrawal, whose rows are prepared.
fn end(tx: &mut Tx<'_>, mut withdrawal: Withdrawal, state: WithdrawalState) -> Withdrawal {
    assert!(withdrawal.is_open(), "a withdrawal ends once");
    let held = AccountId::withdrawals_in_flight(withdrawal.network);
    let (kind, postings) = match state {
        WithdrawalState::Paid => {
            let out = AccountId::clearing(withdrawal.network);
            let mut postings = vec![Posting { debit: held, credit: out, amount: withdrawal.amount }];
            push_posting(&mut postings, held, AccountId::fees(), withdrawal.fee);
            (JournalKind::WithdrawalPaid, postings)
        }
        _ => {
            let balance = AccountId::person(withdrawal.person);
            let fee_kept = planted::is(Bug::WithdrawalFeeKept);
            let amount = if fee_kept { withdrawal.amount } else { withdrawal.held() };
            let back = Posting { debit: held, credit: balance, amount };
            (JournalKind::WithdrawalReturned, vec![back])
        }
    };
    let currency = withdrawal.amount.currency();
    tx.post(kind, withdrawal.id.0, currency, postings, &[]);
    if state != WithdrawalState::Paid {
        let (person, amount, asked_at) = (withdrawal.person, withdrawal.amount, withdrawal.created_at);
        money_tally::give_back(tx, person, Passage::Withdrawal, amount, asked_at);
    }
    let card = tx.rows().card.get(&withdrawal.card).expect("the decision prepared it").cloned();
    let mut card = card.expect("a withdrawal has its card");
    card.withdrawals -= 1;
    tx.rows().card.put(card);
    tx.rows().waiting_withdrawal.delete(&withdrawal.id);
    withdrawal.state = state;
    withdrawal.ended_at = Some(tx.now());
    tx.rows().withdrawal.put(withdrawal.clone());
    withdrawal
}

/// Ends a withdrawal as its payout ended: with the money at the card, or all of it back, the fee too.
pub(crate) fn end_payout(
    tx: &mut Tx<'_>,
    attempt: &Attempt,
    refusal: Option<NetworkRefusal>,
) -> Result<(), Stop<Refusal>> {
    let withdrawal = attempt.withdrawal.expect("a payout has its withdrawal");
    let withdrawal = tx.rows().withdrawal.get(&withdrawal).or_stop()?.cloned();
    let mut withdrawal = withdrawal.expect("an attempt's withdrawal exists");
    prepare_end(tx, &withdrawal).or_stop()?;
    withdrawal.refusal = refusal;
    let state = if refusal.is_none() { WithdrawalState::Paid } else { WithdrawalState::Failed };
    end(tx, withdrawal, state);
    Ok(())
}

/// Takes a withdrawal back that was not sent yet. Taking it back again is no error.
#[derive(Clone, Debug)]
pub struct CancelWithdrawal {
    /// Whose.
    pub person: PersonId,
    /// Their number for it.
    pub number: String,
}

impl Command for CancelWithdrawal {
    type Reply = Withdrawal;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Withdrawal, Stop<Refusal>> {
        let key = ClientNumber { person: self.person, number: self.number.clone() };
        let withdrawal = find(tx, &key)?.ok_or(Refusal::RecordUnknown)?;
        match withdrawal.state {
            WithdrawalState::Cancelled => Ok(withdrawal),
            WithdrawalState::Sending | WithdrawalState::Paid | WithdrawalState::Failed => {
                Err(Refusal::WithdrawalSent.into())
            }
            // On a frozen account too: its money only comes back to it.
            WithdrawalState::Waiting => {
                prepare_end(tx, &withdrawal).or_stop()?;
                Ok(end(tx, withdrawal, WithdrawalState::Cancelled))
            }
        }
    }
}

/// Sends those that are due. Others, and those that have ended or were sent, stay as they are.
#[derive(Clone, Debug)]
pub struct SendWithdrawals {
    /// At most a few hundred.
    pub withdrawals: Vec<WithdrawalId>,
}

impl Command for SendWithdrawals {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        let mut ids = self.withdrawals.clone();
        ids.sort_unstable();
        ids.dedup();
        tx.rows().withdrawal.want(&ids).or_stop()?;
        let mut due = vec![];
        let mut ready = Ok(());
        for id in &ids {
            let withdrawal = tx.rows().withdrawal.get(id).or_stop()?.cloned();
            let is_due = |w: &Withdrawal| w.state == WithdrawalState::Waiting && now >= w.due_at;
            if let Some(withdrawal) = withdrawal.filter(is_due) {
                // Everything of all of them is asked for before the first is sent.
                ready = prepare_end(tx, &withdrawal).and(ready);
                ready = tx.rows().person.get(&withdrawal.person).map(drop).and(ready);
                due.push(withdrawal);
            }
        }
        ready.or_stop()?;
        for mut withdrawal in due {
            let person = tx.rows().person.get(&withdrawal.person).or_stop()?;
            // Whoever had the account frozen may have done so because of this.
            if person.expect("a withdrawal has its person").frozen {
                end(tx, withdrawal, WithdrawalState::Failed);
                continue;
            }
            let card = tx.rows().card.get(&withdrawal.card).or_stop()?.cloned();
            send(tx, &mut withdrawal, &card.expect("a withdrawal has its card"));
            tx.rows().waiting_withdrawal.delete(&withdrawal.id);
            tx.rows().withdrawal.put(withdrawal);
        }
        Ok(())
    }
}
