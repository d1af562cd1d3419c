//! Transfers of merchants to people: their rows against each other, and against what their journals moved.

use koudai_core::ledger::{AccountId, JournalKind, Posting};

use crate::books::the;
use crate::house::{House, fen};

#[test]
fn transfers_that_do_not_fit_their_outcome_are_found() {
    let house = House::built();
    let [waiting, received, cancelled, failed, overdue] = house.transfers.map(|transfer| transfer.0);
    let (other, shop) = (house.other.0, house.shop.0);
    let set = |id: i64, set: &str| format!("UPDATE transfer SET {set} WHERE id = {id}");
    let finds = |invariant: &str, sql: String| house.finds_sql(invariant, &sql);

    let between = "a transfer goes from a merchant to a person";
    finds(between, set(received, "payee = 16"));
    finds(between, set(received, "mchid = 1900000009"));

    let may = "a waiting transfer may be received by its payee, an ended one by nobody";
    finds(may, format!("DELETE FROM waiting_transfer WHERE transfer = {waiting}"));
    finds(may, format!("UPDATE waiting_transfer SET payee = {other}"));
    finds(may, "UPDATE waiting_transfer SET expires_at = expires_at + 1".to_owned());
    for ended in [received, cancelled, failed, overdue] {
        finds(may, format!("UPDATE waiting_transfer SET transfer = {ended}"));
        finds(may, format!("INSERT INTO waiting_transfer VALUES ({ended}, 16, 0)"));
    }
    let stray = "INSERT INTO waiting_transfer VALUES (16, 16, 0)";
    house.finds_sql("what may be received belongs to a transfer", stray);

    let outcome = "an ended transfer has its time and its outcome";
    finds(outcome, set(waiting, "ended_at = created_at"));
    finds(outcome, set(waiting, "failure = 'overdue'"));
    finds(outcome, set(received, "failure = 'overdue'"));
    finds(outcome, set(cancelled, "failure = 'overdue'"));
    finds(outcome, set(overdue, "failure = 'withdrawn'"));
    finds(outcome, set(failed, "failure = NULL"));
    for ended in [received, cancelled, failed, overdue] {
        finds(outcome, set(ended, "ended_at = NULL"));
    }
    let time = "a transfer is received in its time, and closed only after it";
    finds(time, set(received, "ended_at = expires_at"));
    finds(time, set(overdue, "ended_at = expires_at - 1"));
    finds(time, set(failed, "ended_at = created_at + 1"));
    finds(time, set(cancelled, "ended_at = created_at - 1"));

    let number = "a transfer has one number";
    finds(number, format!("DELETE FROM transfer_number WHERE transfer = {received}"));
    finds(number, format!("INSERT INTO transfer_number VALUES ({shop}, 'more', {received})"));
    finds(number, format!("UPDATE transfer_number SET mchid = mchid + 1 WHERE transfer = {received}"));
    finds(number, set(failed, "out_bill_no = 'other'"));
}

#[test]
fn money_that_moved_otherwise_than_transfers_say_is_found() {
    let house = House::built();
    let [waiting, received, cancelled, failed, overdue] = house.transfers.map(|transfer| transfer.0);
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let (shop, way) = (AccountId::merchant(house.shop), AccountId::transfers_in_flight(house.shop));
    let posts = |invariant: &str, (kind, subject): (JournalKind, i64), change: &dyn Fn(&mut Vec<Posting>)| {
        house.finds_booked(invariant, |all| change(&mut the(all, kind, subject).postings));
    };
    let held = "a transfer holds its merchant's money once, if it begins at all";
    for transfer in [waiting, received, cancelled, overdue] {
        posts(held, (JournalKind::TransferHeld, transfer), &|all| all[0].amount = fen(6));
    }
    posts(held, (JournalKind::TransferHeld, waiting), &|all| all[0].credit = other);
    posts(held, (JournalKind::TransferHeld, waiting), &|all| all.clear());
    let ended = "a transfer that ended moves what it held once, to its payee or back";
    posts(ended, (JournalKind::TransferPaid, received), &|all| all[0].amount = fen(1));
    posts(ended, (JournalKind::TransferPaid, received), &|all| all[0].credit = other);
    posts(ended, (JournalKind::TransferPaid, received), &|all| all[0].credit = shop);
    posts(ended, (JournalKind::TransferReturned, cancelled), &|all| all[0].credit = payer);
    posts(ended, (JournalKind::TransferReturned, overdue), &|all| all.clear());
    let nothing = Posting { debit: way, credit: shop, amount: fen(1) };
    posts(ended, (JournalKind::TransferReturned, failed), &|all| all.push(nothing));

    let claimed = "every journal is what one row says";
    let stray = |kind: JournalKind, subject: i64, like: (JournalKind, i64)| {
        house.finds_booked(claimed, |all| {
            let model = the(all, like.0, like.1).clone();
            let at = all.last().unwrap().at;
            all.push(koudai_core::ledger::Journal { kind, subject, at, ..model });
        });
    };
    let empty = (JournalKind::TransferReturned, failed);
    stray(JournalKind::TransferReturned, waiting, empty);
    stray(JournalKind::TransferReturned, received, empty);
    stray(JournalKind::TransferPaid, cancelled, empty);
    stray(JournalKind::TransferHeld, failed, empty);
    stray(JournalKind::TransferHeld, 16, empty);

    // The rows' own change is found where the journals say otherwise.
    let set =
        |id: i64, set: &str| house.finds_sql(held, &format!("UPDATE transfer SET {set} WHERE id = {id}"));
    set(waiting, "amount_minor = 2");
    let other = house.other_shop.0;
    house.finds(held, |books| {
        books.sql(&format!("UPDATE transfer SET mchid = {other} WHERE id = {received}"));
        books.sql(&format!("UPDATE transfer_number SET mchid = {other} WHERE transfer = {received}"));
    });
}
