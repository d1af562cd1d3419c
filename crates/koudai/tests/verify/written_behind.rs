//! What is written behind: balances, the index of histories, and the watermark that says how far they go.

use koudai_core::id::{MchId, Seq};
use koudai_core::ledger::{AccountId, Line};
use koudai_core::money::Currency;
use koudai_core::rows::Balance;

use crate::books::{Books, no_line};
use crate::house::House;

const BALANCE: &str = "a balance is the sum of its entries";
const MISSING: &str = "every account up to the watermark has its balance";
const OLD: &str = "a balance is true at the watermark or later";
const AHEAD: &str = "the watermark is no later than the newest journal";
const INDEX: &str = "the history index is that of the journals";

impl House {
    /// A copy that is changed and still holds.
    #[track_caller]
    fn holds(&self, plant: impl FnOnce(&Books)) {
        let copy = self.copy();
        plant(&Books::open(copy.path()));
        for (passed, said) in self.verdicts(copy.path()) {
            assert!(passed, "{said}");
        }
    }

    /// Tables that hold at one watermark and not at a later one: what is missing is due by then.
    #[track_caller]
    fn finds_from(&self, invariant: &str, due: i64, plant: impl Fn(&Books)) {
        let planted = |books: &Books, watermark| {
            books.write_behind(books.head());
            plant(books);
            books.set_watermark(watermark);
        };
        self.holds(|books| planted(books, due - 1));
        self.finds(invariant, |books| planted(books, due));
        self.finds(invariant, |books| planted(books, books.head()));
    }
}

/// Changes a balance, whose checksum fits again.
fn change(books: &Books, account: AccountId, change: impl Fn(&mut Balance)) {
    let sql = "SELECT as_of, lines FROM balance WHERE account = ?1";
    let (as_of, lines): (i64, i64) =
        books.0.query_row(sql, [account.0], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut row = books.history(account).into_iter().find(|row| row.as_of.0 == as_of).unwrap();
    assert_eq!(row.lines, lines);
    change(&mut row);
    books.put_balance(&row);
}

/// The journals of an account's history that stand in its index.
fn index(books: &Books, account: AccountId) -> Vec<i64> {
    let mut statement = books.0.prepare("SELECT seq FROM history WHERE account = ?1 ORDER BY seq").unwrap();
    let rows = statement.query_map([account.0], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn tables_may_lag_and_may_run_ahead_of_the_watermark() {
    let house = House::built();
    let copy = house.copy();
    let head = Books::open(copy.path()).head();
    for to in [0, 1, 2, head / 2, head - 1, head] {
        house.holds(|books| books.write_behind(to));
        house.holds(|books| {
            books.write_behind(head);
            books.set_watermark(to);
        });
    }
}

#[test]
fn balances_that_do_not_follow_from_the_journals_are_found() {
    let house = House::built();
    let account = AccountId::person(house.payer);
    let balance = |change_it: fn(&mut Balance)| {
        house.finds(BALANCE, |books| change(books, account, change_it));
    };
    balance(|row| row.credits_minor += 1);
    balance(|row| row.debits_minor += 1);
    balance(|row| row.lines += 1);
    balance(|row| row.lines -= 1);
    balance(|row| row.lines = 32);
    balance(|row| row.as_of = Seq(1));
    balance(|row| row.as_of = Seq(2));
    balance(|row| row.as_of = Seq(99));
    balance(|row| row.currency = Currency::Usd);
    balance(|row| row.account = AccountId::merchant(MchId(1_900_000_009)));
    house.finds("every account has a kind", |books| {
        books.rewrite(|all| {
            all[0].lines.push(Line { number: 1, ..no_line(AccountId(15)) });
        });
    });
}

#[test]
fn balances_that_are_lost_or_older_than_the_watermark_are_found() {
    let house = House::built();
    let copy = house.copy();
    let books = Books::open(copy.path());
    let accounts = [
        AccountId::person(house.payer),
        AccountId::person(house.other),
        AccountId::merchant(house.shop),
        AccountId::merchant(house.other_shop),
        AccountId::fees(),
    ];
    for account in accounts {
        let lost = format!("DELETE FROM balance WHERE account = {}", account.0);
        house.finds_sql(MISSING, &lost);
        // The watermark ahead of a row that was never written: it is due with the account's first journal.
        let history = books.history(account);
        house.finds_from(MISSING, history[0].as_of.0, |books| books.sql(&lost));
        // And ahead of a row that was not written again: it is due with the next one.
        let middle = history.len() / 2;
        for at in [0, middle, history.len() - 2] {
            house.finds_from(OLD, history[at + 1].as_of.0, |books| books.put_balance(&history[at]));
        }
    }
    // As the engine left them, a journal before the newest.
    let other = AccountId::person(house.other);
    house.finds(OLD, |as_left| as_left.put_balance(&books.history(other)[0]));
}

#[test]
fn a_watermark_that_cannot_be_is_found() {
    let house = House::built();
    for ahead in [1, 2, 1_000] {
        house.finds(AHEAD, |books| {
            books.write_behind(books.head());
            books.set_watermark(books.head() + ahead);
        });
    }
    house.finds_sql("there is no watermark", "DELETE FROM derived");
    house.finds_sql("there is no watermark", "UPDATE derived SET partition = 2");
}

#[test]
fn rows_of_the_history_index_that_are_lost_or_never_were_are_found() {
    let house = House::built();
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let copy = house.copy();
    let books = Books::open(copy.path());
    let lines: Vec<i64> = books.history(other).iter().map(|row| row.as_of.0).collect();
    assert_eq!(index(&books, other), [lines[31]], "the engine wrote the 32nd line and no other");
    assert!(index(&books, payer).is_empty(), "nobody has a row before the 32nd line");
    let rest = &lines[32..];
    assert!(!rest.is_empty(), "and went on");

    let (key, shops) = (format!("account = {}", other.0), AccountId::merchant(house.other_shop).0);
    let lost = format!("DELETE FROM history WHERE {key}");
    house.finds_sql(INDEX, &lost);
    house.finds_sql(INDEX, &format!("DELETE FROM history WHERE account = {shops}"));
    house.finds_from(INDEX, lines[31], |books| books.sql(&lost));
    // Lines, but no 32nd one, wherever the watermark is; and journals the account has no line in.
    for seq in [lines[0], lines[15], lines[30], lines[32], lines[lines.len() - 1], 4, 99] {
        let more = format!("INSERT INTO history VALUES ({}, {seq})", other.0);
        house.finds_sql(INDEX, &more);
        house.finds(INDEX, |books| {
            books.write_behind(books.head());
            books.set_watermark(0);
            books.sql(&more);
        });
        house.finds_sql(INDEX, &format!("UPDATE history SET seq = {seq} WHERE {key}"));
    }
    house.finds_sql(INDEX, &format!("INSERT INTO history VALUES ({}, 1)", payer.0));
    house.finds_sql(INDEX, &format!("INSERT INTO history VALUES ({}, {})", payer.0, lines[31]));
    house.finds_sql(INDEX, &format!("UPDATE history SET account = 4096 WHERE {key}"));
    house.finds_sql(INDEX, &format!("UPDATE history SET account = {} WHERE {key}", payer.0));
}
