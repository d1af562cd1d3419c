//! Outcomes of calls to networks. Unknown is a state: an attempt stays open, is tried again under its own id, and ends
//! once, with what the network says it did.

use crate::code_payment;
use crate::id::AttemptId;
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::Money;
use crate::money_tally::{self, Passage};
use crate::other_wallet::AtWallet;
use crate::payment::{push_posting, settle};
use crate::planted::{self, Bug};
use crate::refund::{Elsewhere, send_elsewhere};
use crate::refusal::Refusal;
use crate::rows::{
    Attempt, AttemptKind, AttemptState, Card, NetworkRefusal, OpenAttempt, OrderState, Product, RefundState,
};
use crate::split::Split;
use crate::state::{Command, Event, OrStop, Stop, Tx};
use crate::static_code;
use crate::time::{MINUTE, SECOND, Timestamp};
use crate::withdrawal;

/// An attempt at a card, not recorded yet.
pub(crate) fn new(tx: &mut Tx<'_>, kind: AttemptKind, card: &Card, amount: Money) -> Attempt {
    Attempt {
        id: AttemptId(tx.fresh_id()),
        kind,
        person: card.person,
        card: card.id,
        network: card.network,
        amount,
        order: None,
        refund: None,
        original: None,
        state: AttemptState::Open,
        refusal: None,
        network_ref: None,
        created_at: tx.now(),
        ended_at: None,
        epoch: tx.epoch(),
        withdrawal: None,
        fee: Money::zero(amount.currency()),
    }
}

/// Records the intent to call a network, before anything is sent.
pub(crate) fn open(tx: &mut Tx<'_>, attempt: Attempt) {
    let within_ms = tx.policy().send_window_ms;
    open_for(tx, attempt, within_ms, None);
}

/// The same, for as long as its person may take, at another wallet if they pay there.
pub(crate) fn open_for(tx: &mut Tx<'_>, attempt: Attempt, within_ms: i64, at: Option<AtWallet>) {
    let send_until = tx.now().plus(within_ms);
    let (scene, payer_sealed) = at.map_or((None, None), |at| (Some(at.scene), at.payer_sealed));
    let open =
        OpenAttempt { attempt: attempt.id, next_at: tx.now(), tries: 0, send_until, scene, payer_sealed };
    tx.announce(Event::AttemptOpened(attempt.id));
    tx.rows().open_attempt.insert(open);
    tx.rows().attempt.insert(attempt);
}

/// Lets an open attempt be withdrawn at the network from now on instead of sent. What the network did meanwhile counts.
pub(crate) fn withdraw(tx: &mut Tx<'_>, mut open: OpenAttempt) {
    let now = tx.now();
    if open.send_until <= now && open.next_at <= now {
        // It is withdrawn, and due.
        return;
    }
    open.send_until = open.send_until.min(now);
    open.next_at = open.next_at.min(now);
    tx.announce(Event::AttemptOpened(open.attempt));
    tx.rows().open_attempt.put(open);
}

/// What a network did about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did it.
    Succeeded {
        /// Its own number for it, for people who have to ask there.
        network_ref: String,
    },
    /// It did not and will not.
    Failed(NetworkRefusal),
}

/// Records the outcome of an attempt. A second outcome changes nothing.
#[derive(Clone, Debug)]
pub struct EndAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// What the network did.
    pub outcome: Outcome,
}

impl Command for EndAttempt {
    type Reply = Attempt;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Attempt, Stop<Refusal>> {
        let attempt = tx.rows().attempt.get(&self.attempt).or_stop()?.cloned();
        let mut attempt = attempt.ok_or(Refusal::RecordUnknown)?;
        tx.rows().open_attempt.get(&self.attempt).or_stop()?;
        if attempt.state != AttemptState::Open {
            return Ok(attempt);
        }
        match attempt.kind {
            AttemptKind::TopUp => self.end_top_up(tx, &attempt)?,
            AttemptKind::CardPayment => self.end_payment(tx, &attempt)?,
            AttemptKind::CardRefund => self.end_refund(tx, &attempt)?,
            AttemptKind::Payout => {
                let refusal = match self.outcome {
                    Outcome::Succeeded { .. } => None,
                    Outcome::Failed(refusal) => Some(refusal),
                };
                withdrawal::end_payout(tx, &attempt, refusal)?;
            }
        }
        attempt.ended_at = Some(tx.now());
        match &self.outcome {
            Outcome::Succeeded { network_ref } => {
                attempt.state = AttemptState::Succeeded;
                attempt.network_ref = Some(network_ref.clone());
            }
            Outcome::Failed(refusal) => {
                attempt.state = AttemptState::Failed;
                attempt.refusal = Some(*refusal);
            }
        }
        tx.announce(Event::AttemptEnded(attempt.id));
        tx.rows().open_attempt.delete(&attempt.id);
        tx.rows().attempt.put(attempt.clone());
        Ok(attempt)
    }
}

impl EndAttempt {
    const fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Succeeded { .. })
    }

    fn end_top_up(&self, tx: &mut Tx<'_>, attempt: &Attempt) -> Result<(), Stop<Refusal>> {
        let (source, balance) = (AccountId::clearing(attempt.network), AccountId::person(attempt.person));
        tx.prepare(&[source, balance, AccountId::fees()]).or_stop()?;
        money_tally::prepare(tx, attempt.person).or_stop()?;
        if self.succeeded() {
            let mut postings = vec![Posting { debit: source, credit: balance, amount: attempt.amount }];
            push_posting(&mut postings, balance, AccountId::fees(), attempt.fee);
            tx.post(JournalKind::TopUp, attempt.id.0, attempt.amount.currency(), postings, &[]);
        } else {
            let (person, asked_at) = (attempt.person, attempt.created_at);
            money_tally::give_back(tx, person, Passage::TopUp, attempt.amount, asked_at);
        }
        Ok(())
    }

    fn end_payment(&self, tx: &mut Tx<'_>, attempt: &Attempt) -> Result<(), Stop<Refusal>> {
        let order = attempt.order.expect("a card payment has its order");
        let mut order = tx.rows().order.get(&order).or_stop()?.cloned().expect("an attempt's order exists");
        let merchant = tx.rows().merchant.get(&order.mchid).or_stop()?.cloned();
        let merchant = merchant.expect("an order has its merchant");
        if order.product == Product::CodePay {
            return code_payment::end_card_payment(tx, order, &merchant, attempt, &self.outcome);
        }
        let (source, hold) = (AccountId::clearing(attempt.network), AccountId::payment_hold(attempt.person));
        let (payee, payer) = (AccountId::merchant(order.mchid), AccountId::person(attempt.person));
        tx.prepare(&[source, payee, payer, AccountId::fees()]).or_stop()?;
        static_code::prepare(tx, &order, attempt).or_stop()?;
        let parts = Split::of(order.amount, attempt.amount).expect("a card pays no more than its order");
        let held = parts.balance;
        if !held.is_zero() {
            tx.prepare(&[hold]).or_stop()?;
        }
        // While an attempt is open its order takes no other payment, is not closed, and does not expire.
        assert!(
            order.state == OrderState::Paying && order.attempt == Some(attempt.id),
            "an open attempt holds its order"
        );
        if self.succeeded() {
            let sources = [(source, parts.card), (hold, held)];
            let (sources, kind) = if held.is_zero() {
                (&sources[..1], JournalKind::CardPayment)
            } else {
                (&sources[..], JournalKind::SplitPayment)
            };
            settle(tx, &mut order, &merchant, sources, kind);
        } else {
            if !held.is_zero() && !planted::is(Bug::HeldPartKept) {
                let back = Posting { debit: hold, credit: payer, amount: held };
                tx.post(JournalKind::SplitReleased, attempt.id.0, held.currency(), vec![back], &[]);
            }
            static_code::give_back(tx, &order, attempt);
            order.state = OrderState::Unpaid;
            order.payer = None;
            order.card = None;
            order.attempt = None;
            tx.announce(Event::OrderChanged(order.id));
        }
        tx.rows().order.put(order);
        Ok(())
    }

    fn end_refund(&self, tx: &mut Tx<'_>, attempt: &Attempt) -> Result<(), Stop<Refusal>> {
        let refund = attempt.refund.expect("a card refund has its refund");
        let mut refund =
            tx.rows().refund.get(&refund).or_stop()?.cloned().expect("an attempt's refund exists");
        let (way, bank) =
            (AccountId::refund_in_flight(attempt.network), AccountId::clearing(attempt.network));
        let (merchant, payer) = (AccountId::merchant(refund.mchid), AccountId::person(refund.payer));
        tx.prepare(&[way, bank, merchant, payer]).or_stop()?;
        let (subject, currency) = (refund.id.0, refund.amount.currency());
        if self.succeeded() {
            let posting = Posting { debit: way, credit: bank, amount: attempt.amount };
            tx.post(JournalKind::CardRefundDone, subject, currency, vec![posting], &[merchant, payer]);
            refund.state = RefundState::Success;
            refund.success_at = Some(tx.now());
        } else {
            tx.post(JournalKind::CardRefundAbnormal, subject, currency, vec![], &[merchant, payer]);
            refund.state = RefundState::Abnormal;
            // Of a reversal nobody is told, so nobody would ever decide.
            if refund.is_reversal() {
                send_elsewhere(tx, &mut refund, attempt, Elsewhere::Balance);
            }
        }
        tx.announce(Event::OrderChanged(refund.order));
        tx.rows().refund.put(refund);
        Ok(())
    }
}

/// Records that a try brought no certain answer, and when the next is due: 1, 2, 4 … seconds, at most five minutes. If its
/// network had news of it while it was tried, it stays due.
#[derive(Clone, Debug)]
pub struct AttemptUnknown {
    /// Which.
    pub attempt: AttemptId,
    /// When the try was due.
    pub due: Timestamp,
}

impl Command for AttemptUnknown {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        let open = tx.rows().open_attempt.get(&self.attempt).or_stop()?.cloned();
        if let Some(mut open) = open.filter(|open| open.next_at == self.due) {
            open.next_at = now.plus(gap_ms(open.tries));
            open.tries = open.tries.saturating_add(1);
            tx.rows().open_attempt.put(open);
        }
        Ok(())
    }
}

impl OpenAttempt {
    /// When it was last sent or asked about; when it is due if it was not yet.
    pub fn last_try(&self) -> Timestamp {
        match self.tries {
            0 => self.next_at,
            tries => self.next_at.plus(-gap_ms(tries - 1)),
        }
    }
}

/// How long after a try that brought no certain answer the next is due.
fn gap_ms(tries: u32) -> i64 {
    (SECOND << tries.min(20)).min(5 * MINUTE)
}

/// Asks how an attempt went now instead of when it is due: the network has said that it has news. One that has ended is left as
/// it is.
#[derive(Clone, Debug)]
pub struct HearOfAttempt {
    /// Which.
    pub attempt: AttemptId,
}

impl Command for HearOfAttempt {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        let open = tx.rows().open_attempt.get(&self.attempt).or_stop()?.cloned();
        if let Some(mut open) = open.filter(|open| open.next_at != now) {
            open.next_at = now;
            tx.announce(Event::AttemptOpened(self.attempt));
            tx.rows().open_attempt.put(open);
        }
        Ok(())
    }
}
