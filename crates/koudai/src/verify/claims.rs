//! The one journal that each row stands for: rows and journals each say their claims, and both must say the same.
//!
//! A row is read after the check began and may say more than the ledger said then. What happened before the moment of the
//! newest journal is in the sums of both sides. What rows say of that moment or a later one is kept, and is looked for
//! among the journals of that moment and those that were appended since.

use std::collections::HashMap;

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal, JournalKind};
use koudai_core::money::Money;
use koudai_core::rows::{
    Attempt, AttemptState, Order, Refund, RefundState, RefundWay, Transfer, TransferFailure, TransferState,
    Withdrawal, WithdrawalState,
};
use koudai_core::time::Timestamp;
use koudai_store::{Range, Reader};

use super::tally::{Marks, Suspects, Tally};
use super::{Wrong, broken};

/// A posting as account debited, account credited and amount.
pub(super) type Entry = (AccountId, AccountId, Money);

/// What one journal and its row say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    kind: u8,
    subject: i64,
    mark: u64,
}

/// The journal that a row stands for, worked out from rows alone.
#[derive(Debug)]
pub(super) struct Due {
    /// The invariant that is broken if the journal is absent or posts anything else.
    pub(super) invariant: &'static str,
    pub(super) kind: JournalKind,
    pub(super) subject: i64,
    pub(super) at: Option<Timestamp>,
    pub(super) entries: Vec<Entry>,
    /// Accounts whose history it belongs to, whether or not it moves their money.
    pub(super) also: Vec<AccountId>,
    /// Its number, if the row knows it.
    pub(super) seq: Option<Seq>,
}

impl Due {
    /// Everybody it concerns, in order.
    pub(super) fn accounts(&self) -> Vec<AccountId> {
        let posted = self.entries.iter().flat_map(|entry| [entry.0, entry.1]);
        let mut accounts: Vec<AccountId> = posted.chain(self.also.iter().copied()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}

/// Whether the rows about journals of a kind know their numbers.
const fn is_numbered(kind: JournalKind) -> bool {
    matches!(kind, JournalKind::BalancePayment | JournalKind::CardPayment | JournalKind::SplitPayment)
}

fn mark(
    marks: &Marks,
    fact: (JournalKind, i64, Option<Timestamp>, Option<Seq>),
    entries: impl Iterator<Item = Entry>,
    accounts: impl Iterator<Item = AccountId>,
) -> u64 {
    let (kind, subject, at, seq) = fact;
    marks.of(|said| {
        let (at, seq) = (at.map_or(-1, |at| at.0), seq.map_or(-1, |seq| seq.0));
        said.numbers(&[kind.number().into(), subject, at, seq]);
        for (debit, credit, amount) in entries {
            said.numbers(&[debit.0, credit.0, amount.minor()]);
            said.text(amount.currency().code().as_bytes());
        }
        // No account has this number, so that entries and accounts do not run together.
        said.numbers(&[0]);
        for account in accounts {
            said.numbers(&[account.0]);
        }
    })
}

/// What one side says.
#[derive(Debug)]
pub(super) struct Claims {
    marks: Marks,
    /// The moment of the newest journal when the check began.
    until: i64,
    before: Tally,
    since: Vec<Claim>,
}

impl Claims {
    pub(super) fn new(marks: Marks, until: i64) -> Self {
        Self { marks, until, before: Tally::default(), since: vec![] }
    }

    fn add(&mut self, at: Option<Timestamp>, claim: Claim) {
        if at.is_some_and(|at| at.0 >= self.until) {
            self.since.push(claim);
        } else {
            self.before.add(claim.subject, claim.mark);
        }
    }

    /// What a journal says.
    pub(super) fn state(&mut self, journal: &Journal) {
        let claim = claim_of(&self.marks, journal);
        self.add(Some(journal.at), claim);
    }

    /// What a row says.
    pub(super) fn expect(&mut self, due: &Due) {
        let fact = (due.kind, due.subject, due.at, due.seq.filter(|_| is_numbered(due.kind)));
        let mark = mark(&self.marks, fact, due.entries.iter().copied(), due.accounts().into_iter());
        self.add(due.at, Claim { kind: due.kind.number(), subject: due.subject, mark });
    }
}

fn claim_of(marks: &Marks, journal: &Journal) -> Claim {
    let seq = is_numbered(journal.kind).then_some(journal.seq);
    let entries = journal.postings.iter().map(|p| (p.debit, p.credit, p.amount));
    let accounts = journal.lines.iter().map(|line| line.account);
    let mark = mark(marks, (journal.kind, journal.subject, Some(journal.at), seq), entries, accounts);
    Claim { kind: journal.kind.number(), subject: journal.subject, mark }
}

/// Where the journals up to `head` and the rows that were read since do not say the same.
pub(super) fn differing(
    reader: &Reader,
    head: i64,
    stated: &Claims,
    expected: &Claims,
) -> Result<Suspects, Wrong> {
    let mut suspects = stated.before.differing(&expected.before);
    let mut left: HashMap<(u8, i64), u64> = HashMap::with_capacity(expected.since.len());
    for claim in &expected.since {
        if left.insert((claim.kind, claim.subject), claim.mark).is_some() {
            suspects.suspect(claim.subject);
        }
    }
    for claim in &stated.since {
        // The row was read after this journal was committed.
        if left.remove(&(claim.kind, claim.subject)) != Some(claim.mark) {
            suspects.suspect(claim.subject);
        }
    }
    if !left.is_empty() {
        reader.each_journal(Range { after: Some(head), to: None }, |journal| {
            let claim = claim_of(&stated.marks, &journal.decode()?);
            // The row of a later journal may have been read before it.
            let expected = left.remove(&(claim.kind, claim.subject));
            if expected.is_some_and(|mark| mark != claim.mark) {
                suspects.suspect(claim.subject);
            }
            Ok::<_, Wrong>(())
        })?;
    }
    for (_, subject) in left.keys() {
        suspects.suspect(*subject);
    }
    Ok(suspects)
}

/// What a top-up that the bank paid stands for.
pub(super) fn of_top_up(attempt: &Attempt) -> Due {
    let balance = AccountId::person(attempt.person);
    let mut entries = vec![(AccountId::clearing(attempt.network), balance, attempt.amount)];
    push(&mut entries, (balance, AccountId::fees(), attempt.fee));
    Due {
        invariant: "a top-up is credited once, if the bank paid it",
        kind: JournalKind::TopUp,
        subject: attempt.id.0,
        at: attempt.ended_at,
        entries,
        also: vec![],
        seq: None,
    }
}

/// What a paid order stands for, with the call that paid it, if it was paid by card.
pub(super) fn of_payment(order: &Order, call: Option<&Attempt>) -> Result<Due, Wrong> {
    let (merchant, payer) = (AccountId::merchant(order.mchid), order.payer.map(AccountId::person));
    let (Some(payer), Some(person)) = (payer, order.payer) else {
        return Err(broken("a paid order has its payer", order_name(order)));
    };
    let (kind, mut entries) = match call {
        None => (JournalKind::BalancePayment, vec![(payer, merchant, order.amount)]),
        Some(call) => {
            let mut entries = vec![(AccountId::clearing(call.network), merchant, call.amount)];
            let held = less(order.amount, call.amount);
            push(&mut entries, (AccountId::payment_hold(person), merchant, held));
            (if held.is_zero() { JournalKind::CardPayment } else { JournalKind::SplitPayment }, entries)
        }
    };
    push(&mut entries, (merchant, AccountId::fees(), order.fee));
    Ok(Due {
        invariant: "an order is paid once, by its payer, as its journal says",
        kind,
        subject: order.id.0,
        at: order.paid_at,
        entries,
        also: vec![payer],
        seq: order.paid_seq,
    })
}

/// What a card payment stands for before its order is paid, if it asks for a part of its order only: that the balance's part
/// was held, and that it came back if the bank did not pay.
pub(super) fn of_split(attempt: &Attempt, order: &Order) -> [Option<Due>; 2] {
    let (person, hold) = (AccountId::person(attempt.person), AccountId::payment_hold(attempt.person));
    let part = less(order.amount, attempt.amount);
    if part.is_zero() {
        return [None, None];
    }
    let due = |kind, at, entry| Due {
        invariant: "a payment by balance and card holds the balance's part once, and gives it back once if the card fails",
        kind,
        subject: attempt.id.0,
        at,
        entries: vec![entry],
        also: vec![],
        seq: None,
    };
    let held = due(JournalKind::SplitHeld, Some(attempt.created_at), (person, hold, part));
    let failed = attempt.state == AttemptState::Failed;
    let back = failed.then(|| due(JournalKind::SplitReleased, attempt.ended_at, (hold, person, part)));
    [Some(held), back]
}

/// An amount without a part of it; nothing if it is no part.
fn less(amount: Money, part: Money) -> Money {
    let less = amount.minor().checked_sub(part.minor()).filter(|minor| *minor >= 0);
    less.and_then(|minor| Money::new(minor, amount.currency()).ok()).unwrap_or(Money::zero(amount.currency()))
}

/// What a refund stands for, with the call that brings it, if it goes to a card: that it was accepted, that it ended, and
/// that it went elsewhere.
pub(super) fn of_refund(refund: &Refund, call: Option<&Attempt>) -> [Option<Due>; 3] {
    let (merchant, payer) = (AccountId::merchant(refund.mchid), AccountId::person(refund.payer));
    let mut entries = vec![];
    push(&mut entries, (AccountId::fees(), merchant, refund.fee_returned));
    let (kind, target, to_card) = match call {
        None => (JournalKind::BalanceRefund, payer, refund.amount),
        Some(call) => {
            let (way, to_balance) =
                (AccountId::refund_in_flight(call.network), less(refund.amount, call.amount));
            let split = !to_balance.is_zero();
            (if split { JournalKind::SplitRefund } else { JournalKind::CardRefundAccepted }, way, call.amount)
        }
    };
    entries.push((merchant, target, to_card));
    push(&mut entries, (merchant, payer, less(refund.amount, to_card)));
    let accepted = Due {
        invariant: "a refund is taken from its merchant once, with its share of the fee given back",
        kind,
        subject: refund.id.0,
        at: Some(refund.created_at),
        entries,
        also: vec![payer],
        seq: None,
    };
    let ended = call.and_then(|call| {
        let (kind, entries) = match (refund.state, refund.way) {
            (RefundState::Processing, _) => return None,
            (RefundState::Success, RefundWay::Original) => {
                let bank = AccountId::clearing(call.network);
                (JournalKind::CardRefundDone, vec![(target, bank, call.amount)])
            }
            (RefundState::Success | RefundState::Abnormal, _) => (JournalKind::CardRefundAbnormal, vec![]),
        };
        Some(Due {
            invariant: "a refund that ended moves its amount out of its network, or nothing",
            kind,
            subject: refund.id.0,
            at: call.ended_at,
            entries,
            also: vec![merchant, payer],
            seq: None,
        })
    });
    let (kind, receiver) = match refund.way {
        RefundWay::Original => return [Some(accepted), ended, None],
        RefundWay::Balance => (JournalKind::RefundToBalance, payer),
        RefundWay::Merchant => (JournalKind::RefundToMerchant, merchant),
    };
    let elsewhere = Due {
        invariant: "a refund that its bank refused goes elsewhere once, all of it",
        kind,
        subject: refund.id.0,
        at: refund.success_at,
        entries: vec![(target, receiver, to_card)],
        also: vec![merchant, payer],
        seq: None,
    };
    [Some(accepted), ended, Some(elsewhere)]
}

/// What a transfer stands for: that its merchant's money was held, and that it ended.
pub(super) fn of_transfer(transfer: &Transfer) -> [Option<Due>; 2] {
    let (merchant, payee) = (AccountId::merchant(transfer.mchid), AccountId::person(transfer.payee));
    let way = AccountId::transfers_in_flight(transfer.mchid);
    let begun = matches!(transfer.state, TransferState::Waiting | TransferState::Received)
        || matches!(transfer.failure, Some(TransferFailure::Overdue | TransferFailure::Withdrawn));
    let held = begun.then(|| Due {
        invariant: "a transfer holds its merchant's money once, if it begins at all",
        kind: JournalKind::TransferHeld,
        subject: transfer.id.0,
        at: Some(transfer.created_at),
        entries: vec![(merchant, way, transfer.amount)],
        also: vec![],
        seq: None,
    });
    let (kind, target) = match transfer.state {
        TransferState::Waiting => return [held, None],
        TransferState::Received => (JournalKind::TransferPaid, payee),
        TransferState::Failed | TransferState::Cancelled => (JournalKind::TransferReturned, merchant),
    };
    let ended = Due {
        invariant: "a transfer that ended moves what it held once, to its payee or back",
        kind,
        subject: transfer.id.0,
        at: transfer.ended_at,
        entries: if begun { vec![(way, target, transfer.amount)] } else { vec![] },
        also: vec![merchant],
        seq: None,
    };
    [held, Some(ended)]
}

/// What a withdrawal stands for: that its person's money and fee were held, and that it ended.
pub(super) fn of_withdrawal(withdrawal: &Withdrawal) -> [Option<Due>; 2] {
    let (person, way) =
        (AccountId::person(withdrawal.person), AccountId::withdrawals_in_flight(withdrawal.network));
    let both = withdrawal.amount.minor().checked_add(withdrawal.fee.minor());
    let both = both.and_then(|minor| Money::new(minor, withdrawal.amount.currency()).ok());
    let Some(both) = both else { return [None, None] };
    let held = Due {
        invariant: "a withdrawal holds its amount and its fee once",
        kind: JournalKind::WithdrawalHeld,
        subject: withdrawal.id.0,
        at: Some(withdrawal.created_at),
        entries: vec![(person, way, both)],
        also: vec![],
        seq: None,
    };
    let (kind, entries) = match withdrawal.state {
        WithdrawalState::Waiting | WithdrawalState::Sending => return [Some(held), None],
        WithdrawalState::Paid => {
            let mut entries = vec![(way, AccountId::clearing(withdrawal.network), withdrawal.amount)];
            push(&mut entries, (way, AccountId::fees(), withdrawal.fee));
            (JournalKind::WithdrawalPaid, entries)
        }
        WithdrawalState::Failed | WithdrawalState::Cancelled => {
            (JournalKind::WithdrawalReturned, vec![(way, person, both)])
        }
    };
    let ended = Due {
        invariant: "a withdrawal that ended moves what it held once, to the card or all of it back",
        kind,
        subject: withdrawal.id.0,
        at: withdrawal.ended_at,
        entries,
        also: vec![],
        seq: None,
    };
    [Some(held), Some(ended)]
}

/// A posting moves money or is absent.
fn push(entries: &mut Vec<Entry>, entry: Entry) {
    if !entry.2.is_zero() {
        entries.push(entry);
    }
}

pub(super) fn attempt_name(attempt: &Attempt) -> String {
    format!("attempt {} ({})", attempt.id.0, attempt.kind.word())
}

pub(super) fn order_name(order: &Order) -> String {
    format!("order {} ({})", order.id.0, order.out_trade_no)
}

pub(super) fn refund_name(refund: &Refund) -> String {
    format!("refund {} ({})", refund.id.0, refund.out_refund_no)
}

pub(super) fn withdrawal_name(withdrawal: &Withdrawal) -> String {
    format!("withdrawal {} ({})", withdrawal.id.0, withdrawal.number)
}

pub(super) fn transfer_name(transfer: &Transfer) -> String {
    format!("transfer {} ({})", transfer.id.0, transfer.out_bill_no)
}
