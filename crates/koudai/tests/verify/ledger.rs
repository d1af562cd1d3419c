//! The ledger by itself: journals, their lines, and the seals over them.

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal, JournalKind, Line, Seal};
use koudai_core::money::Currency;

use crate::books::{Books, no_line, the};
use crate::house::{BEGIN, House, fen};

#[test]
fn flipped_bits_are_found() {
    let house = House::built();
    let copy = house.copy();
    let length = Books::open(copy.path()).journals()[0].encode().len();
    for at in (0..length).step_by(23) {
        house.finds("row 1: its checksum does not fit", |books| {
            let mut body = books.journals()[0].encode();
            body[at] ^= 4;
            books.0.execute("UPDATE journal SET body = ?1 WHERE seq = 1", [body]).unwrap();
        });
    }
    let account = AccountId::person(house.payer).0;
    for column in ["credits_minor", "debits_minor", "as_of", "lines"] {
        let sql = format!("UPDATE balance SET {column} = {column} | 1073741824 WHERE account = {account}");
        house.finds_sql(&format!("row {account}: its checksum does not fit"), &sql);
    }
    let key = format!("account = {}", AccountId::person(house.other).0);
    let newest = format!("{key} AND seq = (SELECT max(seq) FROM history WHERE {key})");
    house.finds_sql("the history index", &format!("DELETE FROM history WHERE {newest}"));
    house
        .finds_sql("the history index", &format!("UPDATE history SET seq = seq | 1073741824 WHERE {newest}"));
}

#[test]
fn journals_that_do_not_follow_from_each_other_are_found() {
    let house = House::built();
    let raw = |invariant: &str, change: fn(&mut Vec<Journal>)| {
        house.finds(invariant, |books| books.rewrite(change));
    };
    house.finds_sql("journals are numbered without gaps", "DELETE FROM journal WHERE seq = 5");
    raw("journals are numbered without gaps", |all| drop(all.remove(4)));
    raw("time never goes back", |all| all[4].at = BEGIN);
    let itself = "a posting moves money between two accounts";
    raw(itself, |all| all[2].postings[1].credit = all[2].postings[1].debit);
    raw(itself, |all| all[2].postings[1].amount = fen(0));
    raw("every account has a kind", |all| {
        let line = Line { number: 1, ..no_line(AccountId(15)) };
        all[0].lines.insert(0, line);
    });
    raw("an account has one currency", |all| all[3].currency = Currency::Usd);
    let chain = "an account's history is one chain";
    raw(chain, |all| all[3].lines[0].previous = Seq(1));
    raw(chain, |all| all[3].lines[0].previous = Seq(0));
    raw(chain, |all| newest_line(all).previous = Seq(0));
    // A pointer past a journal of the account, whose line then nobody finds; and that line numbered as if there were none.
    raw(chain, |all| skip_one(all, false));
    raw(chain, |all| skip_one(all, true));
    let numbered = "a history's lines are numbered without gaps";
    for number in [0, 1, 2, 31, 33] {
        house.finds(numbered, |books| books.rewrite(|all| newest_line(all).number = number));
    }
    raw(numbered, |all| newest_line(all).number += 1);
    raw(numbered, |all| newest_line(all).number -= 1);
    raw(numbered, |all| all[0].lines[0].number = 0);
    raw(numbered, |all| all[0].lines[0].number = 2);
    house.finds(numbered, |books| {
        // All that is written behind counts along.
        books.rebook(|_| ());
        books.rewrite(|all| all.iter_mut().flat_map(|j| &mut j.lines).for_each(|line| line.number += 1));
        books.write_behind(books.head());
    });
    raw("a line carries its account's totals", |all| all[3].lines[0].credits_minor += 1);
    raw("a line carries its account's totals", |all| all[3].postings[0].amount = fen(1));
    raw("a line carries its account's totals", |all| all[3].postings[0].debit = all[3].postings[1].credit);
    // "Every account posted to has its line": the canonical form has no spelling for one that has not.
    house.finds("row 1: its body is not a journal", |books| {
        let bodies = books.journals().into_iter().map(|journal| match journal.seq {
            Seq(1) => (journal.seq, without_a_line(&journal)),
            seq => (seq, journal.encode()),
        });
        books.put_journals(bodies.collect());
    });
    house.finds_booked("no account is ever below zero", |all| all[0].postings[0].amount = fen(1));
    house.finds_booked("a fact is stated once", |all| {
        let again = the(all, JournalKind::TopUp, house.top_up.0).clone();
        let at = all.last().unwrap().at;
        all.push(Journal { at, ..again });
    });
}

/// The newest line of whoever has the longest history.
fn newest_line(journals: &mut [Journal]) -> &mut Line {
    journals.iter_mut().flat_map(|j| &mut j.lines).max_by_key(|line| line.number).unwrap()
}

/// Lets the newest line of the longest history point past the one before it.
fn skip_one(journals: &mut [Journal], renumber: bool) {
    let newest = *newest_line(journals);
    let skipped = journals.iter().find(|j| j.seq == newest.previous).unwrap().line(newest.account);
    let further = skipped.unwrap().previous;
    let line = newest_line(journals);
    line.previous = further;
    line.number -= i64::from(renumber);
}

/// The canonical bytes of a journal without its first line, but with every posting as it was.
fn without_a_line(journal: &Journal) -> Vec<u8> {
    let mut bare = journal.clone();
    bare.postings.clear();
    let postings = journal.encode().split_off(bare.encode().len() - 1);
    bare.lines.remove(0);
    let mut bytes = bare.encode();
    bytes.pop();
    [bytes, postings].concat()
}

#[test]
fn broken_seals_are_found() {
    let house = House::built();
    let sealed = |invariant: &str, change: fn(&mut Vec<Seal>)| {
        house.finds(invariant, |books| books.reseal(change));
    };
    house.finds_sql("seals are numbered without gaps", "DELETE FROM seal WHERE no = 3");
    let carries = "each seal carries the hash of the one before";
    house.finds_sql(carries, "UPDATE seal SET previous = zeroblob(32) WHERE no = 3");
    house.finds_sql("a seal's hash is its own", "UPDATE seal SET hash = zeroblob(32) WHERE no = 3");
    house.finds_sql("a seal's hash is its own", "UPDATE seal SET epoch = 2 WHERE no = 3");
    sealed("epochs only rise", |seals| seals[3].epoch = 9);
    sealed("a seal's root is that of its journals", |seals| seals[3].root = [1; 32]);
    sealed("seals cover the journals without gaps", |seals| {
        let of_two = seals.iter_mut().find(|s| s.last.0 == 2).unwrap();
        (of_two.first, of_two.last) = (Seq(3), Seq(3));
    });
    sealed("every journal is sealed", |seals| seals.truncate(4));
    let cut = "a seal covers journals that exist";
    house.finds_sql(cut, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)");
    house.finds(cut, |books| books.0.execute_batch("DELETE FROM journal").unwrap());
    // The journal's tail cut off together with its seals: the balances are ahead then, or at least the rows.
    let cut = |journals: usize| move |all: &mut Vec<Journal>| all.truncate(all.len() - journals);
    let refunded = "a refund is taken from its merchant once, with its share of the fee given back";
    for journals in [1, 5] {
        house.finds("a balance is the sum of its entries", |books| {
            books.rebook(|_| ());
            books.rewrite(cut(journals));
        });
        house.finds(refunded, |books| {
            books.rewrite(cut(journals));
            books.write_behind(books.head());
        });
    }
    // And a journal whose amount was changed under its old seal.
    house.finds("a seal's root is that of its journals", |books| {
        let seals = {
            let sql = "SELECT no, previous, epoch, first_seq, last_seq, root, hash FROM seal";
            let mut statement = books.0.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| {
                (0..7).map(|i| row.get(i)).collect::<Result<Vec<rusqlite::types::Value>, _>>()
            });
            rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
        };
        books.rebook(|all| all[0].postings[0].amount = fen(200_001));
        books.0.execute_batch("DELETE FROM seal").unwrap();
        for seal in seals {
            let sql = "INSERT INTO seal VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            books.0.execute(sql, rusqlite::params_from_iter(seal)).unwrap();
        }
    });
}
