//! A database in the hands of somebody who knows how it is kept: changes fit in everything but the one thing planted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal, JournalKind, Line, Seal, merkle_root};
use koudai_core::rows::Balance;
use koudai_store::sqlite::FILE;
use rusqlite::{Connection, params};

/// A database, open for planting.
pub(crate) struct Books(pub(crate) Connection);

/// A line of nothing yet.
pub(crate) const fn no_line(account: AccountId) -> Line {
    Line { account, debits_minor: 0, credits_minor: 0, previous: Seq(0), number: 0 }
}

/// How an account stands after its line in a journal.
fn after(journal: &Journal, line: &Line) -> Balance {
    Balance {
        account: line.account,
        as_of: journal.seq,
        currency: journal.currency,
        debits_minor: line.debits_minor,
        credits_minor: line.credits_minor,
        lines: line.number,
    }
}

impl Books {
    pub(crate) fn open(directory: &Path) -> Self {
        let connection = Connection::open(directory.join(FILE)).unwrap();
        // A copy lasts no longer than its test.
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        Self(connection)
    }

    /// A change to exactly one row.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) {
        assert_eq!(self.0.execute(sql, []).unwrap(), 1, "{sql}");
    }

    pub(crate) fn journals(&self) -> Vec<Journal> {
        let mut statement = self.0.prepare("SELECT body FROM journal ORDER BY seq").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(|body| Journal::decode(&body.unwrap()).unwrap()).collect()
    }

    /// Changes journals as they stand, checksums and seals included, and nothing that follows from them.
    pub(crate) fn rewrite(&self, change: impl FnOnce(&mut Vec<Journal>)) {
        let mut journals = self.journals();
        change(&mut journals);
        let bodies = journals.iter().map(|journal| (journal.seq, journal.encode()));
        self.put_journals(bodies.collect());
    }

    /// Writes journals by their canonical bytes, each under a seal of its own.
    pub(crate) fn put_journals(&self, bodies: Vec<(Seq, Vec<u8>)>) {
        self.0.execute_batch("DELETE FROM journal; DELETE FROM seal").unwrap();
        let mut seals = vec![Seal::genesis()];
        for (seq, body) in bodies {
            let crc = crc32c(&body);
            let sql = "INSERT INTO journal (seq, partition, body, crc) VALUES (?1, 1, ?2, ?3)";
            self.0.execute(sql, params![seq.0, body, crc]).unwrap();
            let newest = seals.last().unwrap();
            seals.push(Seal {
                no: newest.no + 1,
                previous: newest.hash(),
                epoch: 1,
                first: seq,
                last: seq,
                root: merkle_root(&[body]),
            });
        }
        self.put_seals(&seals);
    }

    /// Changes what journals say and books the ledger anew from there: lines, history, balances and seals all fit.
    pub(crate) fn rebook(&self, change: impl FnOnce(&mut Vec<Journal>)) {
        self.rewrite(|journals| {
            change(journals);
            let mut totals: BTreeMap<AccountId, Line> = BTreeMap::new();
            for (seq, journal) in (1..).zip(journals.iter_mut()) {
                journal.seq = Seq(seq);
                let mut accounts: BTreeSet<AccountId> = journal.lines.iter().map(|l| l.account).collect();
                accounts.extend(journal.postings.iter().flat_map(|p| [p.debit, p.credit]));
                journal.lines.clear();
                for account in accounts {
                    let line = totals.entry(account).or_insert(no_line(account));
                    line.number += 1;
                    for p in &journal.postings {
                        line.debits_minor += if p.debit == account { p.amount.minor() } else { 0 };
                        line.credits_minor += if p.credit == account { p.amount.minor() } else { 0 };
                    }
                    journal.lines.push(*line);
                    line.previous = journal.seq;
                }
            }
        });
        self.write_behind(self.head());
    }

    /// The number of the newest journal.
    pub(crate) fn head(&self) -> i64 {
        self.0.query_row("SELECT max(seq) FROM journal", [], |row| row.get(0)).unwrap()
    }

    /// Every line of an account's history, as the balance after it.
    pub(crate) fn history(&self, account: AccountId) -> Vec<Balance> {
        let journals = self.journals();
        let lines = journals.iter().flat_map(|j| j.lines.iter().map(move |line| after(j, line)));
        lines.filter(|balance| balance.account == account).collect()
    }

    /// Balances and the index of histories, as they are once everything up to a journal is written and nothing later.
    pub(crate) fn write_behind(&self, to: i64) {
        self.0.execute_batch("DELETE FROM history; DELETE FROM balance").unwrap();
        for journal in self.journals().iter().filter(|journal| journal.seq.0 <= to) {
            for line in &journal.lines {
                self.put_balance(&after(journal, line));
                if line.number % 32 == 0 {
                    let sql = "INSERT INTO history VALUES (?1, ?2)";
                    self.0.execute(sql, [line.account.0, journal.seq.0]).unwrap();
                }
            }
        }
        self.set_watermark(to);
    }

    /// Says that everything up to a journal is written behind, whether or not it is.
    pub(crate) fn set_watermark(&self, to: i64) {
        self.sql(&format!("UPDATE derived SET watermark = {to}"));
    }

    /// Writes a balance with a checksum that fits.
    pub(crate) fn put_balance(&self, row: &Balance) {
        let numbers = [row.account.0, row.as_of.0, row.debits_minor, row.credits_minor, row.lines];
        let cell = |tag: u8, bytes: &[u8]| [&[tag], &(bytes.len() as u64).to_be_bytes()[..], bytes].concat();
        let mut cells = numbers.map(|n| cell(1, &n.to_be_bytes())).to_vec();
        cells.insert(2, cell(2, row.currency.code().as_bytes()));
        let sql = "INSERT OR REPLACE INTO balance VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let [account, as_of, debits, credits, lines] = numbers;
        let (currency, crc) = (row.currency.code(), crc32c(&cells.concat()));
        self.0.execute(sql, params![account, as_of, currency, debits, credits, lines, crc]).unwrap();
    }

    /// Changes seals; each then gets the hash of the one before, and its own.
    pub(crate) fn reseal(&self, change: impl FnOnce(&mut Vec<Seal>)) {
        let mut statement = self
            .0
            .prepare("SELECT no, previous, epoch, first_seq, last_seq, root FROM seal ORDER BY no")
            .unwrap();
        let rows = statement.query_map([], |row| {
            let (no, previous, epoch, root) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(5)?);
            Ok(Seal { no, previous, epoch, first: Seq(row.get(3)?), last: Seq(row.get(4)?), root })
        });
        let mut seals: Vec<Seal> = rows.unwrap().map(Result::unwrap).collect();
        change(&mut seals);
        for at in 1..seals.len() {
            seals[at].previous = seals[at - 1].hash();
        }
        self.0.execute_batch("DELETE FROM seal").unwrap();
        self.put_seals(&seals);
    }

    fn put_seals(&self, seals: &[Seal]) {
        for seal in seals {
            let sql = "INSERT INTO seal (partition, no, previous, epoch, first_seq, last_seq, root, hash)
                       VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (first, last) = (seal.first.0, seal.last.0);
            let values = params![seal.no, seal.previous, seal.epoch, first, last, seal.root, seal.hash()];
            self.0.execute(sql, values).unwrap();
        }
    }
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The journal of a kind about a subject.
pub(crate) fn the(journals: &mut [Journal], kind: JournalKind, subject: i64) -> &mut Journal {
    journals.iter_mut().find(|j| j.kind == kind && j.subject == subject).unwrap()
}

/// Takes an account out of a journal that did not move its money.
pub(crate) fn forget(journal: &mut Journal, account: AccountId) {
    let lines = journal.lines.len();
    journal.lines.retain(|l| l.account != account);
    assert_eq!(journal.lines.len() + 1, lines);
}
