//! The ledger by itself, replayed from the first journal: numbers, chains, totals, seals, and what is derived from them.

use std::collections::{BTreeMap, HashMap, HashSet};

use koudai_core::id::{MchId, Seq};
use koudai_core::ledger::{AccountId, AccountKind, Journal, JournalKind};
use koudai_core::money::{Currency, Money};
use koudai_core::rows::{Balance, Merchant, NoticeCursor, NoticeRetry};
use koudai_core::time::Timestamp;
use koudai_store::Reader;
use sha2::{Digest, Sha256};

use super::{Report, Wrong, broken, check};

/// Journals and seals read at once.
const CHUNK: i64 = 10_000;

/// Every line of an account whose number is a multiple of this stands in the index of its history.
const INDEXED_EVERY: i64 = 32;

/// What the journals say.
#[derive(Default)]
pub(super) struct Facts {
    totals: BTreeMap<AccountId, Totals>,
    written: Written,
    hashes: Vec<[u8; 32]>,
    /// Journals by kind and subject, until the row they are about has claimed them.
    unclaimed: HashMap<(u8, i64), Fact>,
    told: HashSet<(i64, i64)>,
}

/// What the tables say that are written behind. They lag, so each row is held against the journals at its own number.
#[derive(Default)]
struct Written {
    /// Everything up to here is in the tables.
    watermark: i64,
    /// Balances whose journal has not come by yet.
    balances: HashMap<AccountId, Balance>,
    /// Rows of the index whose journal has not come by yet.
    index: HashSet<(i64, i64)>,
}

impl Written {
    fn load(reader: &Reader) -> Result<Self, Wrong> {
        let balances = reader.all::<Balance>()?.into_iter().map(|row| (row.account, row)).collect();
        let index = reader.history_index()?.into_iter().map(|(account, seq)| (account.0, seq.0)).collect();
        Ok(Self { watermark: reader.watermark()?.0, balances, index })
    }

    /// Holds an account's rows against its line in a journal.
    fn check(&mut self, account: AccountId, totals: &mut Totals) -> Result<(), Wrong> {
        let seq = totals.last;
        let name = || format!("account {}, journal {seq}", account.0);
        if self.balances.get(&account).is_some_and(|row| row.as_of.0 == seq) {
            let says = self.balances.remove(&account).map(|row| {
                (i128::from(row.debits_minor), i128::from(row.credits_minor), row.lines, row.currency)
            });
            let is = (totals.debits, totals.credits, totals.lines, totals.currency);
            check(says == Some(is), "a balance is the sum of its entries", name)?;
            totals.written = true;
        }
        totals.written_due |= seq <= self.watermark;
        let indexed = self.index.remove(&(account.0, seq));
        let due = totals.lines % INDEXED_EVERY == 0;
        check(indexed && due || !indexed && (!due || seq > self.watermark), HISTORY_INDEX, name)
    }
}

const HISTORY_INDEX: &str = "the history index is that of the journals";

/// An account's totals so far. Wider than what is stored, so that no sum of stored numbers overflows.
#[derive(Clone, Copy)]
struct Totals {
    currency: Currency,
    debits: i128,
    credits: i128,
    last: i64,
    lines: i64,
    /// Whether its row in the table has come by.
    written: bool,
    /// Whether it must have one: it moved at the watermark or before.
    written_due: bool,
}

impl Totals {
    /// What the account stands at, seen from the side it may not leave.
    fn standing(self, account: AccountId) -> i128 {
        match account.kind() {
            Some(AccountKind::NetworkClearing) => self.debits - self.credits,
            _ => self.credits - self.debits,
        }
    }
}

/// A posting as account debited, account credited and amount.
pub(super) type Entry = (AccountId, AccountId, Money);

#[derive(Debug)]
struct Fact {
    seq: Seq,
    at: Timestamp,
    entries: Vec<Entry>,
    accounts: Vec<AccountId>,
}

/// The journal that a row stands for, worked out from rows alone.
pub(super) struct Due<'a> {
    /// The invariant that is broken if the journal is absent or posts anything else.
    pub(super) invariant: &'static str,
    pub(super) kind: JournalKind,
    pub(super) subject: i64,
    pub(super) at: Option<Timestamp>,
    pub(super) entries: &'a [Entry],
    /// Accounts whose history it belongs to, whether or not it moves their money.
    pub(super) also: &'a [AccountId],
}

impl Facts {
    pub(super) fn replay(reader: &Reader, report: &mut Report) -> Result<Self, Wrong> {
        let mut facts = Self { written: Written::load(reader)?, ..Self::default() };
        let mut after = Seq(0);
        let mut at = 0;
        loop {
            let journals = reader.journals_after(after, CHUNK)?;
            if journals.is_empty() {
                report.journals = facts.hashes.len();
                return Ok(facts);
            }
            for journal in &journals {
                after = Seq(after.0 + 1);
                let seq = journal.seq.0;
                check(journal.seq == after, "journals are numbered without gaps", || {
                    format!("journal {seq} stands where {} is due", after.0)
                })?;
                check(journal.at.0 >= at, "time never goes back", || format!("journal {seq}"))?;
                at = journal.at.0;
                facts.take(journal)?;
            }
        }
    }

    fn take(&mut self, journal: &Journal) -> Result<(), Wrong> {
        let seq = journal.seq.0;
        let leaf = Sha256::new().chain_update([0]).chain_update(journal.encode()).finalize();
        self.hashes.push(leaf.into());
        let mut moved: BTreeMap<AccountId, (i128, i128)> = BTreeMap::new();
        for p in &journal.postings {
            let minor = i128::from(p.amount.minor());
            check(minor > 0 && p.debit != p.credit, "a posting moves money between two accounts", || {
                format!("journal {seq}: {p:?}")
            })?;
            moved.entry(p.debit).or_default().0 += minor;
            moved.entry(p.credit).or_default().1 += minor;
        }
        for line in &journal.lines {
            let account = line.account;
            let name = || format!("journal {seq}, account {}", account.0);
            check(account.kind().is_some(), "every account has a kind", name)?;
            let totals = self.totals.entry(account).or_insert(Totals {
                currency: journal.currency,
                debits: 0,
                credits: 0,
                last: 0,
                lines: 0,
                written: false,
                written_due: false,
            });
            check(totals.currency == journal.currency, "an account has one currency", name)?;
            check(line.previous.0 == totals.last, "an account's history is one chain", || {
                format!("{}: points to {}, not {}", name(), line.previous.0, totals.last)
            })?;
            let (debit, credit) = moved.remove(&account).unwrap_or_default();
            totals.debits += debit;
            totals.credits += credit;
            totals.last = seq;
            totals.lines += 1;
            check(line.number == totals.lines, "a history's lines are numbered without gaps", || {
                format!("{}: {} instead of {}", name(), line.number, totals.lines)
            })?;
            let says = (i128::from(line.debits_minor), i128::from(line.credits_minor));
            check(says == (totals.debits, totals.credits), "a line carries its account's totals", || {
                format!("{}: {says:?}", name())
            })?;
            check(totals.standing(account) >= 0, "no account is ever below zero", name)?;
            if totals.written && seq <= self.written.watermark {
                // The row that came by is older than a journal it should know.
                return Err(broken("a balance is true at the watermark or later", name()));
            }
            self.written.check(account, totals)?;
            if let Some(merchant) = account.merchant_owner().filter(|_| journal.kind.is_told()) {
                self.told.insert((merchant.0, seq));
            }
        }
        check(moved.is_empty(), "every account posted to has its line", || {
            format!("journal {seq}: {moved:?}")
        })?;
        let fact = Fact {
            seq: journal.seq,
            at: journal.at,
            entries: journal.postings.iter().map(|p| (p.debit, p.credit, p.amount)).collect(),
            accounts: journal.lines.iter().map(|l| l.account).collect(),
        };
        let other = self.unclaimed.insert((journal.kind.number(), journal.subject), fact);
        check(other.is_none(), "a fact is stated once", || {
            let first = other.map_or(0, |f| f.seq.0);
            format!("{:?} of {}: journals {first} and {seq}", journal.kind, journal.subject)
        })
    }

    pub(super) fn check_seals(&self, reader: &Reader, report: &mut Report) -> Result<(), Wrong> {
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
                    return Err(broken("a seal covers journals that exist", row()));
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

    pub(super) fn check_balances(&self, report: &mut Report) -> Result<(), Wrong> {
        let left = self.written.balances.values().min_by_key(|row| row.account);
        check(left.is_none(), "a balance is the sum of its entries", || {
            left.map_or_else(String::new, |row| {
                format!("account {}: it has no line in journal {}", row.account.0, row.as_of.0)
            })
        })?;
        // What the networks hold, and what is owed out of it, by currency.
        let mut sums: BTreeMap<Currency, (i128, i128)> = BTreeMap::new();
        for (account, totals) in &self.totals {
            let name = || format!("account {}", account.0);
            check(
                totals.written || !totals.written_due,
                "every account up to the watermark has its balance",
                name,
            )?;
            let standing = totals.standing(*account);
            let (held, owed) = sums.entry(totals.currency).or_default();
            match account.kind() {
                Some(AccountKind::NetworkClearing) => *held += standing,
                Some(AccountKind::PersonBalance | AccountKind::MerchantUnsettled) => {
                    *owed += standing;
                    report.owed_minor += standing;
                }
                Some(AccountKind::Fees | AccountKind::RefundInFlight) => *owed += standing,
                None => check(false, "every account has a kind", name)?,
            }
        }
        report.accounts = self.totals.len();
        for (currency, (held, owed)) in sums {
            check(held == owed, "what is held at networks equals what is owed", || {
                format!("{}: held {held}, owed {owed}", currency.code())
            })?;
        }
        let head = i64::try_from(self.hashes.len()).unwrap_or(i64::MAX);
        check(self.written.watermark <= head, "the watermark is no later than the newest journal", || {
            format!("{} of {head}", self.written.watermark)
        })
    }

    pub(super) fn check_history(&self) -> Result<(), Wrong> {
        let left = self.written.index.iter().min();
        check(left.is_none(), HISTORY_INDEX, || {
            left.map_or_else(String::new, |(account, seq)| format!("account {account}, journal {seq}"))
        })
    }

    pub(super) fn check_notices(&self, reader: &Reader) -> Result<(), Wrong> {
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
            let belongs = self.told.contains(&(mchid.0, seq.0));
            check(belongs, "a notice belongs to an event of its merchant", name)?;
            let passed = cursors.get(&mchid).is_some_and(|told| seq <= *told);
            check(passed, "a cursor passes an event only with its notice", name)?;
        }
        Ok(())
    }

    /// Gives a row the journal it stands for, which must say exactly what is due. Returns its number.
    pub(super) fn claim(&mut self, due: &Due<'_>, row: impl Fn() -> String) -> Result<Seq, Wrong> {
        let Some(fact) = self.unclaimed.remove(&(due.kind.number(), due.subject)) else {
            return Err(broken(due.invariant, format!("{}: no journal {:?}", row(), due.kind)));
        };
        let name = || format!("{}, journal {}", row(), fact.seq.0);
        check(fact.entries == due.entries, due.invariant, || {
            format!("{}: {:?} instead of {:?}", name(), fact.entries, due.entries)
        })?;
        let mut accounts: Vec<AccountId> = due.entries.iter().flat_map(|e| [e.0, e.1]).collect();
        accounts.extend(due.also);
        accounts.sort_unstable();
        accounts.dedup();
        check(
            fact.accounts == accounts,
            "a journal belongs to the history of everybody it concerns, and of nobody else",
            || format!("{}: {:?} instead of {accounts:?}", name(), fact.accounts),
        )?;
        check(Some(fact.at) == due.at, "a journal and its row have one time", name)?;
        Ok(fact.seq)
    }

    /// Money that moved and no row knows of.
    pub(super) fn check_all_claimed(&self) -> Result<(), Wrong> {
        let left = self.unclaimed.iter().min_by_key(|(_, fact)| fact.seq);
        check(left.is_none(), "every journal is what one row says", || {
            left.map_or_else(String::new, |((kind, subject), fact)| {
                let kind = JournalKind::from_number(*kind);
                format!("journal {}: {kind:?} of {subject}, {} left over", fact.seq.0, self.unclaimed.len())
            })
        })
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
