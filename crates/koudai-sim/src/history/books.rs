//! The auditor's own books, kept from the journals as they are committed and from what was answered. They are written from
//! the rules of the ledger and share no code with what posts: a journal that does not fit is a finding.

use std::collections::{BTreeMap, HashMap, HashSet};

use koudai_core::id::{AttemptId, OrderId, PersonId, RefundId, Seq, TransferId, WithdrawalId};
use koudai_core::ledger::{AccountId, AccountKind, ISSUER_NETWORK, Journal, JournalKind};
use koudai_core::rows::{Order, Refund};
use koudai_store::Reader;

/// What does not fit.
pub(super) type Finding = String;

/// An account as the postings make it.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) debits: i64,
    pub(super) credits: i64,
    /// The journals that are part of its history, in order.
    pub(super) lines: Vec<Seq>,
}

/// Who paid an order, and what came back.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) payer: AccountId,
    pub(super) amount: i64,
    pub(super) refunded: i64,
}

/// How a transfer stands by its journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentEnd {
    Waiting,
    Received(AccountId),
    Returned,
}

/// A transfer by its journals.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) amount: i64,
    /// Where it was held, if it was.
    way: Option<AccountId>,
    pub(super) end: SentEnd,
}

/// How a withdrawal stands by its journals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutEnd {
    UnderWay,
    Paid,
    Returned,
}

/// A withdrawal by its journals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    /// What was held, the fee included.
    pub(super) amount: i64,
    person: AccountId,
    pub(super) end: OutEnd,
}

/// The books.
#[derive(Default)]
pub(super) struct Books {
    /// What each journal was, by a checksum of its canonical form.
    journals: Vec<u32>,
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) paid: HashMap<OrderId, Paid>,
    /// Attempts at top-ups that were credited.
    pub(super) topped_up: HashSet<i64>,
    pub(super) refunds: HashSet<RefundId>,
    ended_refunds: HashSet<RefundId>,
    redirected: HashSet<RefundId>,
    /// Transfers, and how each stands.
    pub(super) transfers: HashMap<TransferId, Sent>,
    /// Withdrawals, and how each stands.
    pub(super) withdrawals: HashMap<WithdrawalId, Out>,
    /// Parts of balances held for payments whose card is asked, by the attempt: whose, and how much.
    pub(super) held: HashMap<i64, (AccountId, i64)>,
    /// What merchants have to be told: merchant's account and journal.
    pub(super) to_tell: Vec<(AccountId, Seq)>,
}

pub(super) fn check(holds: bool, finding: impl FnOnce() -> String) -> Result<(), Finding> {
    if holds { Ok(()) } else { Err(finding()) }
}

/// An error that stands in the way of looking is a finding too.
pub(super) fn read<T>(result: Result<T, koudai_store::StoreError>) -> Result<T, Finding> {
    result.map_err(|error| format!("{error:?}"))
}

/// What the payee of a payment gets, before its fee.
fn paid(journal: &Journal) -> i64 {
    let payee = journal.postings.first().map(|posting| posting.credit);
    journal.postings.iter().filter(|posting| Some(posting.credit) == payee).map(|p| p.amount.minor()).sum()
}

impl Books {
    /// The number of the newest journal in the books.
    pub(super) fn head(&self) -> Seq {
        Seq(i64::try_from(self.journals.len()).expect("it fits"))
    }

    /// Takes in what was committed since the last time.
    pub(super) fn follow(&mut self, reader: &Reader) -> Result<(), Finding> {
        for journal in read(reader.journals_after(self.head(), i64::MAX))? {
            self.take(reader, &journal)?;
        }
        Ok(())
    }

    /// What is in the books has to be in the ledger still, as it was.
    pub(super) fn compare(&self, reader: &Reader) -> Result<(), Finding> {
        let found = read(reader.journals_after(Seq(0), i64::MAX))?;
        for (n, sum) in self.journals.iter().enumerate() {
            let same = found.get(n).is_some_and(|j| crc32c::crc32c(&j.encode()) == *sum);
            check(same, || format!("journal {} was committed and is gone or has changed", n + 1))?;
        }
        Ok(())
    }

    fn take(&mut self, reader: &Reader, journal: &Journal) -> Result<(), Finding> {
        // Everything is read before anything is written here: reading may fail, and is then done again.
        let refund = match journal.kind {
            JournalKind::BalanceRefund | JournalKind::CardRefundAccepted | JournalKind::SplitRefund => {
                read(reader.get::<Refund>(&RefundId(journal.subject)))?
            }
            _ => None,
        };
        let asked = match journal.kind {
            JournalKind::SplitPayment => {
                read(reader.get::<Order>(&OrderId(journal.subject)))?.and_then(|order| order.attempt)
            }
            _ => None,
        };
        let seq = journal.seq;
        let name =
            |what: &str| format!("journal {} ({:?} of {}): {what}", seq.0, journal.kind, journal.subject);
        check(seq.0 == self.head().0 + 1, || name("its number leaves a gap"))?;
        for posting in &journal.postings {
            check(posting.amount.minor() > 0, || name("a posting moves nothing"))?;
            self.accounts.entry(posting.debit).or_default().debits += posting.amount.minor();
            self.accounts.entry(posting.credit).or_default().credits += posting.amount.minor();
        }
        for line in &journal.lines {
            let account = self.accounts.entry(line.account).or_default();
            let (debits, credits) = (account.debits, account.credits);
            check((line.debits_minor, line.credits_minor) == (debits, credits), || {
                name(&format!(
                    "account {} stands at {debits}/{credits}, its line says otherwise",
                    line.account.0
                ))
            })?;
            let before = account.lines.last().copied().unwrap_or(Seq(0));
            check(line.previous == before, || name("a line does not point to the one before it"))?;
            account.lines.push(seq);
            let number = i64::try_from(account.lines.len()).expect("it fits");
            check(line.number == number, || name("a line has another's number"))?;
            let asset = line.account.kind() == Some(AccountKind::NetworkClearing);
            let (more, less) = if asset { (debits, credits) } else { (credits, debits) };
            // What a network paid out beyond what it took, it is owed.
            check(asset || more >= less, || name(&format!("account {} is overdrawn", line.account.0)))?;
        }
        self.take_fact(refund.as_ref(), asked, journal).map_err(|what| name(&what))?;
        if journal.kind.is_told() {
            let merchants =
                journal.lines.iter().map(|line| line.account).filter(|a| a.merchant_owner().is_some());
            self.to_tell.extend(merchants.map(|account| (account, seq)));
        }
        self.journals.push(crc32c::crc32c(&journal.encode()));
        Ok(())
    }

    fn take_fact(
        &mut self,
        refund: Option<&Refund>,
        asked: Option<AttemptId>,
        journal: &Journal,
    ) -> Result<(), Finding> {
        match journal.kind {
            JournalKind::TopUp => {
                check(self.topped_up.insert(journal.subject), || "a top-up is credited twice".to_owned())
            }
            JournalKind::SplitHeld | JournalKind::SplitReleased => self.take_hold(journal),
            JournalKind::BalancePayment | JournalKind::CardPayment | JournalKind::SplitPayment => {
                if journal.kind == JournalKind::SplitPayment {
                    self.take_split(asked, journal)?;
                }
                let person = |account: &AccountId| account.kind() == Some(AccountKind::PersonBalance);
                let payer = journal.lines.iter().map(|line| line.account).find(person);
                let payer = payer.ok_or_else(|| "nobody pays".to_owned())?;
                let fact = Paid { payer, amount: paid(journal), refunded: 0 };
                let before = self.paid.insert(OrderId(journal.subject), fact);
                check(before.is_none(), || "an order is paid twice".to_owned())
            }
            JournalKind::BalanceRefund | JournalKind::CardRefundAccepted | JournalKind::SplitRefund => {
                let id = RefundId(journal.subject);
                check(self.refunds.insert(id), || "a refund is taken twice".to_owned())?;
                let refund = refund.ok_or_else(|| "a refund has no row".to_owned())?;
                let Some(paid) = self.paid.get_mut(&refund.order) else {
                    return Err("a refund of what was not paid".to_owned());
                };
                paid.refunded += refund.amount.minor();
                check(paid.refunded <= paid.amount, || "more is refunded than was paid".to_owned())
            }
            JournalKind::CardRefundDone | JournalKind::CardRefundAbnormal => {
                let once = self.ended_refunds.insert(RefundId(journal.subject));
                check(once, || "a refund ends twice".to_owned())
            }
            JournalKind::RefundToBalance | JournalKind::RefundToMerchant => {
                let once = self.redirected.insert(RefundId(journal.subject));
                check(once, || "a refund is sent elsewhere twice".to_owned())
            }
            JournalKind::TransferHeld | JournalKind::TransferPaid | JournalKind::TransferReturned => {
                self.take_transfer(journal)
            }
            JournalKind::WithdrawalHeld | JournalKind::WithdrawalPaid | JournalKind::WithdrawalReturned => {
                self.take_withdrawal(journal)
            }
            JournalKind::AppDebit | JournalKind::AppRefund | JournalKind::AppPayout => {
                Err("nobody in a history binds an account to an app".to_owned())
            }
            JournalKind::Adjustment => Err("nobody in a history adjusts anything".to_owned()),
        }
    }

    /// A part of a balance is held once, and comes back once or pays its order.
    fn take_hold(&mut self, journal: &Journal) -> Result<(), Finding> {
        let [posting] = &journal.postings[..] else { return Err("a hold is one posting".to_owned()) };
        let minor = posting.amount.minor();
        let fits = if journal.kind == JournalKind::SplitHeld {
            self.held.insert(journal.subject, (posting.credit, minor)).is_none()
        } else {
            self.held.remove(&journal.subject) == Some((posting.debit, minor))
        };
        check(fits, || "a part of a balance is held or comes back twice, or with another amount".to_owned())
    }

    /// What pays an order from a hold was held for the attempt that paid it.
    fn take_split(&mut self, asked: Option<AttemptId>, journal: &Journal) -> Result<(), Finding> {
        let hold = |account: AccountId| account.kind() == Some(AccountKind::PaymentHold);
        let part = journal.postings.iter().find(|p| hold(p.debit)).map(|p| (p.debit, p.amount.minor()));
        let held = asked.and_then(|attempt| self.held.remove(&attempt.0));
        check(held.is_some() && held == part, || "an order is paid from what was not held".to_owned())
    }

    /// A transfer is held once, or never, and ends once, with what was held. What is held and has not ended is all that is
    /// in flight.
    fn take_transfer(&mut self, journal: &Journal) -> Result<(), Finding> {
        let id = TransferId(journal.subject);
        let amount = journal.postings.iter().map(|p| p.amount.minor()).sum();
        let payee = |j: &Journal| j.postings.first().map(|p| p.credit);
        let way = journal.postings.first().map(|p| match journal.kind {
            JournalKind::TransferHeld => p.credit,
            _ => p.debit,
        });
        let before = self.transfers.get(&id).map(|sent| (sent.end, sent.amount));
        let sent = match (journal.kind, before) {
            (JournalKind::TransferHeld, None) => Sent { amount, way, end: SentEnd::Waiting },
            (JournalKind::TransferPaid, Some((SentEnd::Waiting, held))) if held == amount => {
                let payee = payee(journal).ok_or_else(|| "nobody receives".to_owned())?;
                Sent { amount, way, end: SentEnd::Received(payee) }
            }
            (JournalKind::TransferReturned, Some((SentEnd::Waiting, held))) if held == amount => {
                Sent { amount, way, end: SentEnd::Returned }
            }
            (JournalKind::TransferReturned, None) if amount == 0 => {
                Sent { amount, way, end: SentEnd::Returned }
            }
            _ => return Err("a transfer begins or ends twice, or with another amount".to_owned()),
        };
        self.transfers.insert(id, sent);
        let Some(way) = way else { return Ok(()) };
        let open = self.transfers.values().filter(|t| t.way == Some(way) && t.end == SentEnd::Waiting);
        let waits: i64 = open.map(|sent| sent.amount).sum();
        let stands = self.accounts.get(&way).map_or(0, |a| a.credits - a.debits);
        check(stands == waits, || format!("{stands} are in flight and {waits} wait"))
    }

    /// A withdrawal is held once and ends once, with all that was held. What is held and has not ended is all that is in
    /// flight.
    fn take_withdrawal(&mut self, journal: &Journal) -> Result<(), Finding> {
        let id = WithdrawalId(journal.subject);
        let amount = journal.postings.iter().map(|p| p.amount.minor()).sum();
        let Some(first) = journal.postings.first() else {
            return Err("a withdrawal moves nothing".to_owned());
        };
        let person = |account: AccountId| account.kind() == Some(AccountKind::PersonBalance);
        let before = self.withdrawals.get(&id).copied();
        let after = match (journal.kind, before) {
            (JournalKind::WithdrawalHeld, None) if person(first.debit) => {
                Out { amount, person: first.debit, end: OutEnd::UnderWay }
            }
            (JournalKind::WithdrawalPaid, Some(out)) if out.amount == amount && !person(first.credit) => {
                Out { end: OutEnd::Paid, ..out }
            }
            (JournalKind::WithdrawalReturned, Some(out))
                if out.amount == amount && first.credit == out.person =>
            {
                Out { end: OutEnd::Returned, ..out }
            }
            _ => return Err("a withdrawal begins or ends wrongly".to_owned()),
        };
        check(before.is_none_or(|out| out.end == OutEnd::UnderWay), || "a withdrawal ends twice".to_owned())?;
        self.withdrawals.insert(id, after);
        let open = self.withdrawals.values().filter(|out| out.end == OutEnd::UnderWay);
        let held: i64 = open.map(|out| out.amount).sum();
        let in_flight = self.accounts.get(&AccountId::withdrawals_in_flight(ISSUER_NETWORK));
        let stands = in_flight.map_or(0, |a| a.credits - a.debits);
        check(stands == held, || format!("{stands} are in flight to cards and {held} are held"))
    }

    /// How a person's account stands, in minor units.
    pub(super) fn funds(&self, person: PersonId) -> i64 {
        self.accounts.get(&AccountId::person(person)).map_or(0, |a| a.credits - a.debits)
    }
}
