//! `koudai verify`: every invariant of a data directory, checked from the journals up.
//!
//! It shares the row types with the core and nothing else: no posting, sealing or balance code of the engine's runs here,
//! so that a mistake there is not repeated here. It reads one snapshot and may run beside a working server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::path::Path;

use koudai_core::id::{AttemptId, MchId, OrderId, RefundId, Seq};
use koudai_core::ledger::{AccountId, AccountKind, Journal, JournalKind};
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Balance, Card, CardOwner, Merchant, NoticeCursor, NoticeRetry,
    OpenAttempt, Order, OrderNumber, OrderState, OutRefundNo, OutTradeNo, Person, PhoneOwner, Refund,
    RefundNumber, RefundState,
};
use koudai_store::{Reader, StoreError};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Journals and seals read at once.
const CHUNK: i64 = 10_000;

/// What was checked, for people and for scripts.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Journals, each with its checksum, its number, its place in a seal and its effect on every account.
    pub(crate) journals: u64,
    /// Seals, from the first.
    pub(crate) seals: u64,
    /// Accounts with a balance.
    pub(crate) accounts: usize,
    /// Orders.
    pub(crate) orders: usize,
    /// Orders that are paid.
    pub(crate) paid: usize,
    /// Refunds.
    pub(crate) refunds: usize,
    /// Calls to networks whose outcome is not known yet.
    pub(crate) open_attempts: usize,
    /// Minor units owed to people and merchants.
    pub(crate) owed_minor: i64,
}

/// The first thing found wrong, with the rows it concerns.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// The database could not be read, or holds what its own checks forbid.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An invariant does not hold.
    #[error("{invariant}: {rows}")]
    Broken {
        /// Which.
        invariant: &'static str,
        /// Where.
        rows: String,
    },
}

fn check(holds: bool, invariant: &'static str, rows: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong::Broken { invariant, rows: rows() }) }
}

/// Checks a data directory.
///
/// # Errors
/// The first thing found wrong.
pub(crate) fn run(directory: &Path) -> Result<Report, Wrong> {
    Reader::open_directory(directory)?.snapshot(|reader| {
        reader.check_file()?;
        let mut report = Report::default();
        let facts = Facts::replay(reader, &mut report)?;
        facts.check_seals(reader, &mut report)?;
        facts.check_balances(reader, &mut report)?;
        facts.check_history(reader)?;
        let refunds = facts.check_refunds(reader, &mut report)?;
        facts.check_orders(reader, &refunds, &mut report)?;
        facts.check_attempts(reader, &mut report)?;
        facts.check_notices(reader)?;
        check_people(reader)?;
        Ok(report)
    })
}

#[derive(Clone, Copy, Default)]
struct Totals {
    debits: i64,
    credits: i64,
    last: i64,
}

impl Totals {
    /// What the account stands at, seen from the side it may not leave.
    fn standing(self, account: AccountId) -> i64 {
        match account.kind() {
            Some(AccountKind::NetworkClearing) => self.debits - self.credits,
            _ => self.credits - self.debits,
        }
    }
}

/// What the journals say, replayed from the first.
#[derive(Default)]
struct Facts {
    totals: BTreeMap<AccountId, Totals>,
    history: HashSet<(i64, i64)>,
    hashes: Vec<[u8; 32]>,
    /// Every journal about a subject, by kind.
    about: HashMap<(i64, u8), Vec<Fact>>,
    told: HashSet<(i64, i64)>,
}

#[derive(Clone, Debug)]
struct Fact {
    seq: i64,
    postings: Vec<(AccountId, AccountId, i64)>,
}

impl Facts {
    fn replay(reader: &Reader, report: &mut Report) -> Result<Self, Wrong> {
        let mut facts = Self::default();
        let mut after = Seq(0);
        let mut at = 0;
        loop {
            let journals = reader.journals_after(after, CHUNK)?;
            let Some(last) = journals.last() else { return Ok(facts) };
            let next = last.seq;
            for journal in &journals {
                after = Seq(after.0 + 1);
                let seq = journal.seq.0;
                check(journal.seq == after, "journals are numbered without gaps", || {
                    format!("journal {} stands where {} is due", seq, after.0)
                })?;
                check(journal.at.0 >= at, "time never goes back", || format!("journal {seq}"))?;
                at = journal.at.0;
                facts.take(journal)?;
                report.journals += 1;
            }
            after = next;
        }
    }

    fn take(&mut self, journal: &Journal) -> Result<(), Wrong> {
        let seq = journal.seq.0;
        let leaf = Sha256::new().chain_update([0]).chain_update(journal.encode()).finalize();
        self.hashes.push(leaf.into());
        let mut moved: BTreeMap<AccountId, (i64, i64)> = BTreeMap::new();
        for p in &journal.postings {
            let minor = p.amount.minor();
            check(minor > 0 && p.debit != p.credit, "a posting moves money between two accounts", || {
                format!("journal {seq}: {p:?}")
            })?;
            moved.entry(p.debit).or_default().0 += minor;
            moved.entry(p.credit).or_default().1 += minor;
        }
        let (debits, credits) = moved.values().fold((0, 0), |(d, c), m| (d + m.0, c + m.1));
        check(debits == credits, "the entries of a journal sum to zero", || format!("journal {seq}"))?;
        for line in &journal.lines {
            let account = line.account;
            check(account.kind().is_some(), "every account has a kind", || {
                format!("journal {seq}: {account:?}")
            })?;
            let totals = self.totals.entry(account).or_default();
            check(line.previous.0 == totals.last, "an account's history is one chain", || {
                format!(
                    "journal {seq}, account {}: points to {}, not {}",
                    account.0, line.previous.0, totals.last
                )
            })?;
            let (debit, credit) = moved.remove(&account).unwrap_or_default();
            *totals = Totals { debits: totals.debits + debit, credits: totals.credits + credit, last: seq };
            let says = (line.debits_minor, line.credits_minor);
            check(says == (totals.debits, totals.credits), "a line carries its account's totals", || {
                format!("journal {seq}, account {}: {says:?}", account.0)
            })?;
            check(totals.standing(account) >= 0, "no account is ever below zero", || {
                format!("journal {seq}, account {}", account.0)
            })?;
            self.history.insert((account.0, seq));
            if let Some(merchant) = account.merchant_owner().filter(|_| journal.kind.is_told()) {
                self.told.insert((merchant.0, seq));
            }
        }
        check(moved.is_empty(), "every account posted to has its line", || {
            format!("journal {seq}: {moved:?}")
        })?;
        let postings = journal.postings.iter().map(|p| (p.debit, p.credit, p.amount.minor())).collect();
        self.about.entry((journal.subject, journal.kind.number())).or_default().push(Fact { seq, postings });
        Ok(())
    }

    /// The only journal of a kind about a subject.
    fn only(&self, subject: i64, kind: JournalKind) -> Result<Option<&Fact>, Wrong> {
        let found = self.about.get(&(subject, kind.number())).map_or(&[][..], Vec::as_slice);
        check(found.len() <= 1, "a fact is stated once", || format!("{kind:?} of {subject}: {found:?}"))?;
        Ok(found.first())
    }

    fn check_seals(&self, reader: &Reader, report: &mut Report) -> Result<(), Wrong> {
        let (mut number, mut before, mut sealed, mut epoch) = (-1, [0; 32], 0_i64, 0);
        loop {
            let seals = reader.seals_after(number, CHUNK)?;
            if seals.is_empty() {
                break;
            }
            for (seal, hash) in seals {
                number += 1;
                let row = || format!("seal {}", seal.no);
                check(seal.no == number, "seals are numbered without gaps", row)?;
                check(seal.previous == before, "each seal carries the hash of the one before", row)?;
                check(seal.epoch >= epoch, "epochs only rise", row)?;
                check(seal.first.0 == sealed + 1, "seals cover the journals without gaps", row)?;
                let leaves = usize::try_from(seal.first.0 - 1).ok().zip(usize::try_from(seal.last.0).ok());
                let leaves = leaves.and_then(|(from, to)| self.hashes.get(from..to));
                let Some(leaves) = leaves else {
                    return check(false, "a seal covers journals that exist", row);
                };
                check(seal.root == tree(leaves), "a seal's root is that of its journals", row)?;
                let mut own = Sha256::new().chain_update(b"koudai seal 1").chain_update(seal.previous);
                for n in [seal.no, seal.epoch, seal.first.0, seal.last.0] {
                    own.update(n.to_be_bytes());
                }
                own.update(seal.root);
                check(<[u8; 32]>::from(own.finalize()) == hash, "a seal's hash is its own", row)?;
                (before, sealed, epoch) = (hash, seal.last.0, seal.epoch);
                report.seals += 1;
            }
        }
        check(usize::try_from(sealed) == Ok(self.hashes.len()), "every journal is sealed", || {
            format!("{} journals, sealed up to {sealed}", self.hashes.len())
        })
    }

    fn check_balances(&self, reader: &Reader, report: &mut Report) -> Result<(), Wrong> {
        let rows = reader.all::<Balance>()?;
        check(
            rows.len() == self.totals.len(),
            "every account with a history has a balance, and no other",
            || format!("{} balances, {} accounts", rows.len(), self.totals.len()),
        )?;
        let (mut owed, mut held) = (0, 0);
        for row in &rows {
            let name = || format!("account {}", row.account.0);
            let totals = self.totals.get(&row.account).copied().unwrap_or_default();
            let says = (row.debits_minor, row.credits_minor, row.as_of.0);
            check(
                says == (totals.debits, totals.credits, totals.last),
                "a balance is the sum of its entries",
                name,
            )?;
            let standing = totals.standing(row.account);
            match row.account.kind() {
                Some(AccountKind::NetworkClearing) => held += standing,
                Some(AccountKind::PersonBalance | AccountKind::MerchantUnsettled) => {
                    owed += standing;
                    report.owed_minor += standing;
                }
                Some(AccountKind::Fees | AccountKind::RefundInFlight) => owed += standing,
                None => check(false, "every account has a kind", name)?,
            }
        }
        report.accounts = rows.len();
        check(owed == held, "what is held at networks equals what is owed", || {
            format!("held {held}, owed {owed}")
        })
    }

    fn check_history(&self, reader: &Reader) -> Result<(), Wrong> {
        let index = reader.history_index()?;
        check(index.len() == self.history.len(), "the history index is that of the journals", || {
            format!("{} rows for {} lines", index.len(), self.history.len())
        })?;
        for (account, seq) in index {
            check(
                self.history.contains(&(account.0, seq.0)),
                "the history index is that of the journals",
                || format!("account {}, journal {}", account.0, seq.0),
            )?;
        }
        Ok(())
    }

    /// Checks refunds; returns what of each order they give back: amount, fee, count.
    fn check_refunds(
        &self,
        reader: &Reader,
        report: &mut Report,
    ) -> Result<HashMap<OrderId, (i64, i64, u32)>, Wrong> {
        let numbers: HashMap<OutRefundNo, RefundId> =
            reader.all::<RefundNumber>()?.into_iter().map(|n| (n.key, n.refund)).collect();
        let rows = reader.all::<Refund>()?;
        check(numbers.len() == rows.len(), "a refund has one number", || {
            format!("{} refunds, {} numbers", rows.len(), numbers.len())
        })?;
        let mut by_order: HashMap<OrderId, (i64, i64, u32)> = HashMap::new();
        for refund in &rows {
            let name = || format!("refund {} ({})", refund.id.0, refund.out_refund_no);
            let key = OutRefundNo { mchid: refund.mchid, out_refund_no: refund.out_refund_no.clone() };
            check(numbers.get(&key) == Some(&refund.id), "a refund has one number", name)?;
            let merchant = AccountId::merchant(refund.mchid);
            let (amount, fee) = (refund.amount.minor(), refund.fee_returned.minor());
            let by_card = refund.card.is_some();
            let (kind, other) = if by_card {
                (JournalKind::CardRefundAccepted, JournalKind::BalanceRefund)
            } else {
                (JournalKind::BalanceRefund, JournalKind::CardRefundAccepted)
            };
            let fact = self.only(refund.id.0, kind)?;
            let stray = self.only(refund.id.0, other)?;
            let taken = |f: &Fact| f.postings.iter().any(|p| p.0 == merchant && p.2 == amount);
            let gave_fee = |f: &Fact| fee == 0 || f.postings.contains(&(AccountId::fees(), merchant, fee));
            check(
                stray.is_none() && fact.is_some_and(|f| taken(f) && gave_fee(f)),
                "a refund takes its amount from the merchant once and gives its share of the fee back",
                name,
            )?;
            let done = self.only(refund.id.0, JournalKind::CardRefundDone)?.is_some();
            let abnormal = self.only(refund.id.0, JournalKind::CardRefundAbnormal)?.is_some();
            let expected = match refund.state {
                RefundState::Success => (by_card, false),
                RefundState::Processing => (false, false),
                RefundState::Abnormal => (false, true),
            };
            check((done, abnormal) == expected, "a refund's state is what its journals say", name)?;
            check(
                by_card || refund.state == RefundState::Success,
                "a refund to the balance is immediate",
                name,
            )?;
            let sum = by_order.entry(refund.order).or_default();
            *sum = (sum.0 + amount, sum.1 + fee, sum.2 + 1);
        }
        report.refunds = rows.len();
        Ok(by_order)
    }

    fn check_orders(
        &self,
        reader: &Reader,
        refunds: &HashMap<OrderId, (i64, i64, u32)>,
        report: &mut Report,
    ) -> Result<(), Wrong> {
        let numbers: HashMap<OutTradeNo, OrderId> =
            reader.all::<OrderNumber>()?.into_iter().map(|n| (n.key, n.order)).collect();
        let rows = reader.all::<Order>()?;
        check(numbers.len() == rows.len(), "an order has one number", || {
            format!("{} orders, {} numbers", rows.len(), numbers.len())
        })?;
        for order in &rows {
            let name = || format!("order {} ({})", order.id.0, order.out_trade_no);
            let key = OutTradeNo { mchid: order.mchid, out_trade_no: order.out_trade_no.clone() };
            check(numbers.get(&key) == Some(&order.id), "an order has one number", name)?;
            let by_balance = self.only(order.id.0, JournalKind::BalancePayment)?;
            let by_card = self.only(order.id.0, JournalKind::CardPayment)?;
            let paid = order.state == OrderState::Paid;
            let (fact, other) =
                if order.card.is_some() { (by_card, by_balance) } else { (by_balance, by_card) };
            let fits = |f: &Fact| {
                let merchant = AccountId::merchant(order.mchid);
                let pays = f.postings.iter().any(|p| p.1 == merchant && p.2 == order.amount.minor());
                let fee = order.fee.minor();
                let charges = fee == 0 || f.postings.contains(&(merchant, AccountId::fees(), fee));
                pays && charges && order.paid_seq == Some(Seq(f.seq))
            };
            check(
                other.is_none() && fact.is_some() == paid && fact.is_none_or(fits),
                "an order is paid exactly once, and as its journal says",
                name,
            )?;
            check(
                paid == order.paid_at.is_some() && (!paid || order.payer.is_some()),
                "a paid order has its payer",
                name,
            )?;
            let (back, fee_back, count) = refunds.get(&order.id).copied().unwrap_or_default();
            let says = (order.refunded.minor(), order.fee_returned.minor(), u32::from(order.refunds));
            check(says == (back, fee_back, count), "an order's refunds are those that refer to it", name)?;
            check(
                back <= order.amount.minor() && (back == 0 || paid),
                "no more is refunded than was paid",
                name,
            )?;
            let whole = back == order.amount.minor() && paid;
            check(!whole || fee_back == order.fee.minor(), "a whole refund gives the whole fee back", name)?;
            report.paid += usize::from(paid);
        }
        report.orders = rows.len();
        Ok(())
    }

    fn check_attempts(&self, reader: &Reader, report: &mut Report) -> Result<(), Wrong> {
        let open: HashSet<AttemptId> = reader.all::<OpenAttempt>()?.into_iter().map(|o| o.attempt).collect();
        let mut still_open = 0;
        for attempt in reader.all::<Attempt>()? {
            let name = || format!("attempt {} ({})", attempt.id.0, attempt.kind.word());
            let is_open = attempt.state == AttemptState::Open;
            still_open += usize::from(is_open);
            check(
                open.contains(&attempt.id) == is_open,
                "an open attempt is due, an ended one is not",
                name,
            )?;
            check(attempt.ended_at.is_none() == is_open, "an ended attempt has its time", name)?;
            let succeeded = attempt.state == AttemptState::Succeeded;
            match attempt.kind {
                AttemptKind::TopUp => {
                    let fact = self.only(attempt.id.0, JournalKind::TopUp)?;
                    let posting = (
                        AccountId::clearing(attempt.network),
                        AccountId::person(attempt.person),
                        attempt.amount.minor(),
                    );
                    let fits = fact.is_none_or(|f| f.postings == [posting]);
                    check(
                        fact.is_some() == succeeded && fits,
                        "a top-up is credited once, if the bank paid it",
                        name,
                    )?;
                }
                AttemptKind::CardPayment => {
                    let order = match attempt.order {
                        Some(order) => reader.get::<Order>(&order)?,
                        None => None,
                    };
                    let Some(order) = order else {
                        return check(false, "a card payment has its order", name);
                    };
                    let has_it = order.attempt == Some(attempt.id);
                    let fits = match attempt.state {
                        AttemptState::Open => has_it && order.state == OrderState::Paying,
                        AttemptState::Succeeded => has_it && order.state == OrderState::Paid,
                        AttemptState::Failed => !has_it,
                    };
                    check(fits, "an order's state is that of its card payment", name)?;
                }
                AttemptKind::CardRefund => {
                    let refund = match attempt.refund {
                        Some(refund) => reader.get::<Refund>(&refund)?,
                        None => None,
                    };
                    let fits = refund.is_some_and(|r| {
                        r.attempt == Some(attempt.id)
                            && r.amount == attempt.amount
                            && r.state
                                == match attempt.state {
                                    AttemptState::Open => RefundState::Processing,
                                    AttemptState::Succeeded => RefundState::Success,
                                    AttemptState::Failed => RefundState::Abnormal,
                                }
                    });
                    check(fits, "a refund's state is that of the call that brings it", name)?;
                }
            }
        }
        check(still_open == open.len(), "what is due belongs to an attempt", || {
            format!("{} rows", open.len())
        })?;
        report.open_attempts = still_open;
        Ok(())
    }

    fn check_notices(&self, reader: &Reader) -> Result<(), Wrong> {
        let head = i64::try_from(self.hashes.len()).unwrap_or(i64::MAX);
        let merchants: HashSet<MchId> = reader.all::<Merchant>()?.into_iter().map(|m| m.mchid).collect();
        let mut cursors = HashMap::new();
        for cursor in reader.all::<NoticeCursor>()? {
            let name = || format!("merchant {}", cursor.mchid.0);
            check(merchants.contains(&cursor.mchid), "a cursor belongs to a merchant", name)?;
            check(cursor.told.0 <= head, "nobody is told what has not happened", name)?;
            cursors.insert(cursor.mchid, cursor.told);
        }
        for retry in reader.all::<NoticeRetry>()? {
            let (mchid, seq) = (retry.key.mchid, retry.key.seq);
            let name = || format!("merchant {}, journal {}", mchid.0, seq.0);
            check(
                self.told.contains(&(mchid.0, seq.0)),
                "a notice belongs to an event of its merchant",
                name,
            )?;
            let passed = cursors.get(&mchid).is_some_and(|told| seq <= *told);
            check(passed, "a cursor passes an event only with its notice", name)?;
        }
        Ok(())
    }
}

/// The root of the Merkle tree over leaf hashes (RFC 6962, section 2.1).
fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            let (left, right) = leaves.split_at(split);
            Sha256::new()
                .chain_update([1])
                .chain_update(tree(left))
                .chain_update(tree(right))
                .finalize()
                .into()
        }
    }
}

/// Phones and cards belong to one person each.
fn check_people(reader: &Reader) -> Result<(), Wrong> {
    let owners: HashMap<_, _> =
        reader.all::<PhoneOwner>()?.into_iter().map(|o| (o.phone, o.person)).collect();
    let people = reader.all::<Person>()?;
    check(owners.len() == people.len(), "a phone has one holder", || {
        format!("{} people, {} phones", people.len(), owners.len())
    })?;
    let mut cards: HashMap<_, u32> = HashMap::new();
    let holders: HashMap<_, _> = reader.all::<CardOwner>()?.into_iter().map(|o| (o.number_mac, o)).collect();
    for card in reader.all::<Card>()?.iter().filter(|c| c.removed_at.is_none()) {
        let owner = holders.get(&card.number_mac);
        let fits = owner.is_some_and(|o| o.person == card.person && o.card == Some(card.id));
        check(fits, "a bound card has one holder", || row("card", &card.id))?;
        *cards.entry(card.person).or_default() += 1;
    }
    for person in &people {
        let name = || row("person", &person.id);
        check(owners.get(&person.phone) == Some(&person.id), "a phone has one holder", name)?;
        let bound = cards.get(&person.id).copied().unwrap_or(0);
        check(u32::from(person.cards) == bound, "a person's cards are counted right", name)?;
    }
    Ok(())
}

fn row(table: &str, id: &impl Debug) -> String {
    format!("{table} {id:?}")
}
