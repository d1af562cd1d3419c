//! What follows from the journals: seen by everybody at once, in its tables later, and never lost in between.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use koudai_core::id::{MchId, PersonId, Seq};
use koudai_core::ledger::{AccountId, INDEXED_EVERY, ISSUER_NETWORK};
use koudai_core::rows::Balance;
use koudai_store::{StoreError, Tuning};

use crate::books::{Books, PERSON, Receive};

/// What the journals say, kept apart from everything that is tested: the numbers of each account's journals.
#[derive(Default)]
struct Expected {
    histories: BTreeMap<AccountId, Vec<i64>>,
    head: i64,
}

impl Expected {
    fn receive(&mut self, account: AccountId) {
        self.head += 1;
        for account in [account, AccountId::clearing(ISSUER_NETWORK)] {
            self.histories.entry(account).or_default().push(self.head);
        }
    }

    /// How many lines of an account are at or before a journal.
    fn lines_to(&self, account: AccountId, seq: i64) -> usize {
        self.histories[&account].partition_point(|s| *s <= seq)
    }
}

fn account(n: u64) -> AccountId {
    if n.is_multiple_of(3) {
        AccountId::merchant(MchId(MchId::FIRST.0 + i64::try_from(n).unwrap()))
    } else {
        AccountId::person(PersonId(PERSON.0 + 16 * i64::try_from(n).unwrap()))
    }
}

/// A small generator, so that a failure repeats.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Everybody sees every line, in any order of asking.
fn everything_is_seen(books: &Books, expected: &Expected, draw: &mut Draw) {
    let all = |journals: Vec<koudai_core::ledger::Journal>| -> Vec<i64> {
        journals.iter().map(|j| j.seq.0).collect()
    };
    for (account, history) in &expected.histories {
        let balance = books.read(|r| r.balance(*account)).unwrap().expect("it has moved");
        let lines = i64::try_from(history.len()).unwrap();
        assert_eq!((balance.as_of.0, balance.lines), (*history.last().unwrap(), lines));
        let total = balance.debits_minor + balance.credits_minor;
        assert_eq!(total, 100 * lines);
        let newest = all(books.read(|r| r.history(*account, None, i64::MAX)).unwrap());
        assert_eq!(newest, history.iter().rev().copied().collect::<Vec<_>>());
        let before = 1 + i64::try_from(draw.below(expected.head.cast_unsigned() + 2)).unwrap();
        let page = all(books.read(|r| r.history(*account, Some(Seq(before)), 5)).unwrap());
        let older = history.iter().rev().copied().filter(|seq| *seq < before).take(5);
        assert_eq!(page, older.collect::<Vec<_>>(), "before {before}");
        if let Some(mchid) = account.merchant_owner() {
            let mut told = vec![];
            loop {
                let after = Seq(told.last().copied().unwrap_or(0));
                let next = all(books.read(|r| r.merchant_journals(mchid, after, 7)).unwrap());
                if next.is_empty() {
                    break;
                }
                told.extend(next);
            }
            assert_eq!(&told, history, "a merchant is told everything, in order");
        }
    }
}

/// The tables hold nothing that is not so, and everything up to the watermark.
fn the_tables_are_true(books: &Books, expected: &Expected, generation: i64) {
    let reader = books.reader();
    let watermark = reader.watermark().unwrap().0;
    assert!(expected.head - watermark <= 2 * generation + 64, "{} after {watermark}", expected.head);
    let rows: BTreeMap<AccountId, Balance> =
        reader.all::<Balance>().unwrap().into_iter().map(|b| (b.account, b)).collect();
    for (account, history) in &expected.histories {
        let due = expected.lines_to(*account, watermark);
        let Some(row) = rows.get(account) else {
            assert_eq!(due, 0, "a row is missing");
            continue;
        };
        let lines = usize::try_from(row.lines).unwrap();
        assert!(lines >= due && history[lines - 1] == row.as_of.0);
        assert_eq!(row.debits_minor + row.credits_minor, 100 * row.lines);
    }
    let mut index = BTreeSet::new();
    let add = |account, seq: Seq| {
        assert!(index.insert((account, seq.0)), "each row is shown once");
        Ok::<_, StoreError>(())
    };
    reader.each_indexed(add).unwrap();
    let every = usize::try_from(INDEXED_EVERY).unwrap();
    for (account, history) in &expected.histories {
        let indexed: Vec<i64> = history.iter().copied().skip(every - 1).step_by(every).collect();
        for seq in &indexed {
            assert!(index.contains(&(*account, *seq)) || *seq > watermark);
        }
        let found = index.iter().filter(|(a, _)| a == account).map(|(_, s)| s);
        assert!(found.into_iter().all(|seq| indexed.contains(seq)));
    }
}

#[test]
fn nothing_that_follows_from_the_journals_is_ever_missed() {
    for seed in 0..12 {
        let mut draw = Draw(seed);
        let generation = [1, 3, 10, 50, 200, 1_000][usize::try_from(seed % 6).unwrap()];
        let mut books = Books::with(Tuning { generation });
        let mut expected = Expected::default();
        for _ in 0..60 {
            for _ in 0..=draw.below(20) {
                // Some accounts move all the time, some hardly ever.
                let which = if draw.below(2) == 0 { draw.below(3) } else { draw.below(40) };
                expected.receive(account(which));
                books.decide(&Receive(account(which))).unwrap();
            }
            books.commit().unwrap();
            if draw.below(6) == 0 {
                books = books.reopen("").unwrap();
            }
            if draw.below(4) == 0 {
                // What is loaded again is what was there.
                books.state.bound(0, u64::MAX);
            }
        }
        everything_is_seen(&books, &expected, &mut draw);
        the_tables_are_true(&books, &expected, generation);
        books = books.reopen("").unwrap();
        everything_is_seen(&books, &expected, &mut draw);
    }
}

#[test]
fn a_commit_pays_for_a_share_of_the_writing_and_never_for_all_of_it() {
    let mut books = Books::with(Tuning { generation: 100 });
    let (mut most, mut before) = (0, 0);
    for n in 0..1_000 {
        books.decide(&Receive(account(1 + 3 * n))).unwrap();
        books.commit().unwrap();
        let rows = books.reader().all::<Balance>().unwrap().len();
        (most, before) = (most.max(rows - before), rows);
    }
    assert!(before > 700, "{before} rows for a thousand accounts");
    assert!(most <= 3, "{most} rows in one commit of one journal");
}

#[test]
fn the_database_holds_no_balance_that_was_never_committed() {
    let mut books = Books::with(Tuning { generation: 1 });
    books.receive(2);
    books.decide(&Receive(AccountId::person(PERSON))).unwrap();
    // The decision is in memory only; a share that is written now must not carry it.
    let seen = books.read(|r| r.balance(AccountId::person(PERSON))).unwrap().unwrap();
    assert_eq!((seen.lines, seen.credits_minor), (2, 200));
    let row = books.reader().get::<Balance>(&AccountId::person(PERSON)).unwrap().unwrap();
    assert!(row.lines <= 2);
}

#[test]
fn a_jump_to_a_moment_finds_the_first_journal_from_then_on() {
    let mut books = Books::new();
    assert_eq!(books.read(|r| r.seq_at(crate::books::START)).unwrap(), Seq(1));
    books.receive(3);
    assert_eq!(books.read(|r| r.seq_at(crate::books::START)).unwrap(), Seq(1));
    assert_eq!(books.read(|r| r.seq_at(crate::books::START.plus(1))).unwrap(), Seq(7));
}
