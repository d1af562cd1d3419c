//! The ledger by itself, replayed from the first journal: numbers, time, chains of lines, totals, and what is derived from
//! them. One thread reads, another replays.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, AccountKind, INDEXED_EVERY, Journal, Seal};
use koudai_core::money::Currency;
use koudai_store::{Range, RawJournal, Reader};

use super::claims::Claims;
use super::seals::Chain;
use super::start::{Account, NO_ROW, Retry, Start};
use super::tally::{Suspects, Tally};
use super::{CHUNK, Found, Report, Stage, Wrong, broken, check};

/// Seals read at once.
const SEALS: i64 = 512;
/// Chunks that are read ahead.
const AHEAD: usize = 4;

const HISTORY_INDEX: &str = "the history index is that of the journals";

/// Journals as they are stored, one after the other.
#[derive(Default)]
struct Chunk {
    bodies: Vec<u8>,
    /// Number, where its body ends, and checksum.
    journals: Vec<(Seq, usize, i64)>,
}

impl Chunk {
    fn journals(&self) -> impl Iterator<Item = RawJournal<'_>> {
        let mut from = 0;
        self.journals.iter().map(move |&(seq, to, crc)| {
            let body = &self.bodies[from..to];
            from = to;
            RawJournal { seq, body, crc }
        })
    }
}

/// What is read, or why reading ended.
enum Read {
    Chunk(Chunk),
    Seals(Result<Vec<(Seal, [u8; 32])>, Wrong>),
    Failed(Wrong),
}

/// Reads the journals up to `head` and the seals up to `newest_seal`, until nobody listens.
fn read(reader: &Reader, head: i64, newest_seal: i64, to: &SyncSender<Read>) {
    let (mut after, mut seal, mut sealed) = (0, -1, 0);
    while after < head || seal < newest_seal {
        let end = head.min(after + CHUNK);
        // The seals first: a journal is held against its own as soon as it comes by.
        while seal < newest_seal && (sealed < end || end == head) {
            let seals = reader.seals_after(seal, SEALS.min(newest_seal - seal)).map_err(Wrong::from);
            let goes_on = seals.as_ref().ok().and_then(|seals| seals.last());
            match goes_on {
                Some((last, _)) => (seal, sealed) = (last.no, last.last.0),
                None => seal = newest_seal,
            }
            if to.send(Read::Seals(seals)).is_err() {
                return;
            }
        }
        if after < head {
            let range = Range { after: Some(after), to: Some(end) };
            let sent = match read_chunk(reader, range) {
                Ok(chunk) => to.send(Read::Chunk(chunk)),
                Err(wrong) => {
                    let _gone = to.send(Read::Failed(wrong));
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
            after = end;
        }
    }
}

fn read_chunk(reader: &Reader, range: Range) -> Result<Chunk, Wrong> {
    let mut chunk = Chunk::default();
    reader.each_journal(range, |journal| {
        chunk.bodies.extend_from_slice(journal.body);
        chunk.journals.push((journal.seq, chunk.bodies.len(), journal.crc));
        Ok::<_, Wrong>(())
    })?;
    Ok(chunk)
}

/// What the replay knows so far.
struct Replay {
    start: Start,
    chain: Chain,
    claims: Claims,
    /// The lines that the history index must have: every 32nd one of each account, up to the watermark.
    indexed: Tally,
    /// How many of the retries' journals have come by.
    retries: usize,
    after: i64,
    at: i64,
    /// What the postings of a journal move, by account: debited and credited.
    moved: Vec<(AccountId, i128, i128)>,
}

/// Replays the ledger. What the journals claim, and where everything that was derived from them stands.
pub(super) fn run(reader: Reader, start: Start, report: &mut Report, found: &mut Found) -> Claims {
    let (head, newest_seal) = (start.head, start.newest_seal);
    let mut replay = Replay {
        chain: Chain::new(head),
        claims: Claims::new(start.marks.clone(), start.at),
        indexed: Tally::default(),
        retries: 0,
        after: 0,
        at: 0,
        moved: vec![],
        start,
    };
    let reader = std::thread::scope(|threads| {
        let (sender, chunks) = sync_channel(AHEAD);
        let reading = threads.spawn(move || {
            read(&reader, head, newest_seal, &sender);
            reader
        });
        found.note(Stage::Replay, replay.take_all(&chunks));
        drop(chunks);
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if found.is_empty() {
        report.journals = head.cast_unsigned();
        found.note(Stage::Seals, replay.chain.finish());
        report.seals = replay.chain.seals;
        found.note(Stage::Balances, replay.check_balances(report));
        found.note(Stage::History, replay.check_history(&reader));
        found.note(Stage::Notices, replay.check_notices());
    }
    replay.claims
}

impl Replay {
    fn take_all(&mut self, chunks: &Receiver<Read>) -> Result<(), Wrong> {
        for read in chunks {
            match read {
                Read::Seals(seals) => self.chain.read(seals),
                Read::Chunk(chunk) => chunk.journals().try_for_each(|journal| self.take(journal))?,
                Read::Failed(wrong) => return Err(wrong),
            }
        }
        Ok(())
    }

    fn take(&mut self, raw: RawJournal<'_>) -> Result<(), Wrong> {
        let journal = raw.decode()?;
        let seq = journal.seq.0;
        self.after += 1;
        check(seq == self.after, "journals are numbered without gaps", || {
            format!("journal {seq} stands where {} is due", self.after)
        })?;
        check(journal.at.0 >= self.at, "time never goes back", || format!("journal {seq}"))?;
        self.at = journal.at.0;
        self.chain.journal(seq, raw.body);
        self.add_postings(&journal)?;
        self.take_lines(&journal)?;
        check(self.moved.is_empty(), "every account posted to has its line", || {
            format!("journal {seq}: {:?}", self.moved)
        })?;
        self.meet_retries(&journal);
        self.claims.state(&journal);
        Ok(())
    }

    fn add_postings(&mut self, journal: &Journal) -> Result<(), Wrong> {
        self.moved.clear();
        for p in &journal.postings {
            let minor = i128::from(p.amount.minor());
            check(minor > 0 && p.debit != p.credit, "a posting moves money between two accounts", || {
                format!("journal {}: {p:?}", journal.seq.0)
            })?;
            for (account, debit, credit) in [(p.debit, minor, 0), (p.credit, 0, minor)] {
                match self.moved.iter_mut().find(|moved| moved.0 == account) {
                    Some(moved) => (moved.1, moved.2) = (moved.1 + debit, moved.2 + credit),
                    None => self.moved.push((account, debit, credit)),
                }
            }
        }
        Ok(())
    }

    fn take_lines(&mut self, journal: &Journal) -> Result<(), Wrong> {
        let (seq, watermark) = (journal.seq.0, self.start.watermark);
        for line in &journal.lines {
            let id = line.account;
            let name = || format!("journal {seq}, account {}", id.0);
            let kind = id.kind().ok_or_else(|| broken("every account has a kind", name()))?;
            let account = self.start.accounts.entry(id.0).or_insert(Account::new(journal.currency));
            if account.lines == 0 {
                // Its row may say another, which is then found to differ.
                account.currency = journal.currency;
            }
            check(account.currency == journal.currency, "an account has one currency", name)?;
            check(line.previous.0 == account.last, "an account's history is one chain", || {
                format!("{}: points to {}, not {}", name(), line.previous.0, account.last)
            })?;
            let place = self.moved.iter().position(|moved| moved.0 == id);
            let (_, debit, credit) = place.map_or((id, 0, 0), |place| self.moved.swap_remove(place));
            account.last = seq;
            account.lines += 1;
            check(line.number == account.lines, "a history's lines are numbered without gaps", || {
                format!("{}: {} instead of {}", name(), line.number, account.lines)
            })?;
            let says = (i128::from(line.debits_minor), i128::from(line.credits_minor));
            let is = (i128::from(account.debits) + debit, i128::from(account.credits) + credit);
            check(says == is, "a line carries its account's totals", || format!("{}: {says:?}", name()))?;
            (account.debits, account.credits) = (line.debits_minor, line.credits_minor);
            // What a network paid out beyond what it took is owed to it, and what differs from its books may be more or less.
            let either = matches!(kind, AccountKind::NetworkClearing | AccountKind::Suspense);
            let in_order = either || standing(kind, account) >= 0;
            check(in_order, "no account is ever below zero", name)?;
            if account.written && seq <= watermark {
                // The row that came by is older than a journal it should know.
                return Err(broken("a balance is true at the watermark or later", name()));
            }
            if account.row_at == seq {
                let same = account.row == account.mark(&self.start.marks);
                check(same, "a balance is the sum of its entries", name)?;
                (account.row_at, account.written) = (NO_ROW, true);
            }
            account.written_due |= seq <= watermark;
            if account.lines % INDEXED_EVERY == 0 {
                if seq <= watermark {
                    self.indexed.add(id.0, self.start.marks.of_numbers(&[id.0, seq]));
                } else {
                    self.start.index_ahead.remove(&(id.0, seq));
                }
            }
        }
        Ok(())
    }

    /// Finds the notices that are about this journal.
    fn meet_retries(&mut self, journal: &Journal) {
        while let Some(retry) = self.start.retries.get_mut(self.retries)
            && retry.seq <= journal.seq.0
        {
            let its = |account: AccountId| account.merchant_owner().is_some_and(|m| m.0 == retry.mchid);
            retry.belongs = retry.seq == journal.seq.0
                && journal.kind.is_told()
                && journal.lines.iter().any(|line| its(line.account));
            self.retries += 1;
        }
    }

    fn check_balances(&self, report: &mut Report) -> Result<(), Wrong> {
        let accounts = &self.start.accounts;
        let least = |fails: fn(&Account) -> bool| {
            accounts.iter().filter(|(_, account)| fails(account)).min_by_key(|(id, _)| **id)
        };
        if let Some((id, account)) = least(|account| account.row_at != NO_ROW) {
            let row = format!("account {id}: it has no line in journal {}", account.row_at);
            return Err(broken("a balance is the sum of its entries", row));
        }
        if let Some((id, _)) = least(|account| !account.written && account.written_due) {
            let row = format!("account {id}");
            return Err(broken("every account up to the watermark has its balance", row));
        }
        // What the networks hold, and what is owed out of it, by currency.
        let mut sums: BTreeMap<Currency, (i128, i128)> = BTreeMap::new();
        for (id, account) in accounts {
            let Some(kind) = AccountId(*id).kind() else { continue };
            let standing = standing(kind, account);
            let (held, owed) = sums.entry(account.currency).or_default();
            match kind {
                AccountKind::NetworkClearing => *held += standing,
                AccountKind::PersonBalance | AccountKind::MerchantUnsettled | AccountKind::AppSettlement => {
                    *owed += standing;
                    report.owed_minor += standing;
                }
                AccountKind::Fees
                | AccountKind::RefundInFlight
                | AccountKind::TransferInFlight
                | AccountKind::WithdrawalInFlight
                | AccountKind::Suspense
                | AccountKind::PaymentHold => {
                    *owed += standing;
                }
            }
        }
        report.accounts = accounts.len();
        for (currency, (held, owed)) in sums {
            check(held == owed, "what is held at networks equals what is owed", || {
                format!("{}: held {held}, owed {owed}", currency.code())
            })?;
        }
        let (watermark, head) = (self.start.watermark, self.start.head);
        check(watermark <= head, "the watermark is no later than the newest journal", || {
            format!("{watermark} of {head}")
        })
    }

    fn check_history(&self, reader: &Reader) -> Result<(), Wrong> {
        let left = self.start.index_ahead.iter().min();
        check(left.is_none(), HISTORY_INDEX, || {
            left.map_or_else(String::new, |(account, seq)| format!("account {account}, journal {seq}"))
        })?;
        let suspects = self.indexed.differing(&self.start.index);
        if suspects.is_empty() { Ok(()) } else { self.look_at_history(reader, &suspects) }
    }

    /// Names the first row of the index that is missing or too many. Up to the watermark they never change.
    fn look_at_history(&self, reader: &Reader, suspects: &Suspects) -> Result<(), Wrong> {
        let watermark = self.start.watermark;
        let row = |account: i64, seq: i64| broken(HISTORY_INDEX, format!("account {account}, journal {seq}"));
        let mut index = HashSet::new();
        reader.each_indexed(|AccountId(account), Seq(seq)| {
            if seq <= watermark && suspects.contains(account) {
                index.insert((account, seq));
            }
            Ok::<_, Wrong>(())
        })?;
        reader.each_journal(Range { after: None, to: Some(watermark) }, |journal| {
            for line in journal.decode()?.lines {
                let key = (line.account.0, journal.seq.0);
                if suspects.contains(key.0) && line.is_indexed() != index.remove(&key) {
                    return Err(row(key.0, key.1));
                }
            }
            Ok(())
        })?;
        index.iter().min().map_or(Ok(()), |(account, seq)| Err(row(*account, *seq)))
    }

    fn check_notices(&mut self) -> Result<(), Wrong> {
        std::mem::replace(&mut self.start.cursors, Ok(()))?;
        let wrong = |retry: &&Retry| !retry.belongs || !retry.passed;
        let Some(retry) = self.start.retries.iter().filter(wrong).min_by_key(|r| (r.mchid, r.seq)) else {
            return Ok(());
        };
        let name = || format!("merchant {}, journal {}", retry.mchid, retry.seq);
        check(retry.belongs, "a notice belongs to an event of its merchant", name)?;
        check(retry.passed, "a cursor passes an event only with its notice", name)
    }
}

/// What an account stands at, seen from the side it may not leave.
fn standing(kind: AccountKind, account: &Account) -> i128 {
    let net = i128::from(account.credits) - i128::from(account.debits);
    if kind == AccountKind::NetworkClearing { -net } else { net }
}
