//! Withdrawals of people: their rows against each other, against the calls that pay them out, and against what their
//! journals moved.

use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind, Posting};

use crate::books::the;
use crate::house::{House, fen};

#[test]
fn withdrawals_that_do_not_fit_their_outcome_are_found() {
    let house = House::built();
    let [waiting, sending, paid, failed, cancelled] = house.withdrawals.map(|withdrawal| withdrawal.0);
    let set = |id: i64, set: &str| format!("UPDATE withdrawal SET {set} WHERE id = {id}");
    let finds = |invariant: &str, sql: String| house.finds_sql(invariant, &sql);

    let card = "a withdrawal goes to a card of its person's";
    finds(card, set(paid, &format!("card = {}", house.card.0)));
    finds(card, set(waiting, "network = 2"));

    let due = "a waiting withdrawal is due at its time, any other is not";
    finds(due, "DELETE FROM waiting_withdrawal".to_owned());
    finds(due, "UPDATE waiting_withdrawal SET due_at = due_at + 1".to_owned());
    for other in [sending, paid, failed, cancelled] {
        finds(due, format!("INSERT INTO waiting_withdrawal VALUES ({other}, 0)"));
    }
    finds(
        "what is to be sent belongs to a withdrawal",
        "INSERT INTO waiting_withdrawal VALUES (16, 0)".into(),
    );
    finds("a withdrawal that was sent has its call", set(waiting, "attempt = 16"));

    let time = "a withdrawal is sent at once or a day later, and no earlier";
    finds(time, set(paid, "due_at = due_at + 1"));
    finds(time, set(paid, "speed = 'next_day'"));
    finds(time, set(cancelled, "speed = 'real_time'"));

    let state = "a withdrawal's state is that of the call that pays it out";
    finds(state, set(sending, "state = 'paid', ended_at = created_at"));
    finds(state, set(sending, "ended_at = created_at"));
    finds(state, set(paid, "state = 'failed'"));
    finds(state, set(paid, "ended_at = NULL"));
    finds(state, set(failed, "state = 'paid'"));
    finds(state, set(failed, "state = 'cancelled'"));
    finds(state, set(cancelled, "state = 'paid'"));
    finds(state, set(cancelled, "state = 'failed'"));
    finds(state, set(cancelled, "ended_at = NULL"));
    finds(state, set(waiting, "refusal = 'refused'"));

    let same = "a payout brings its withdrawal's amount to its card";
    finds(same, set(paid, "amount_minor = amount_minor + 1"));
    finds(same, set(paid, "ended_at = ended_at + 1"));
    finds(same, set(failed, "refusal = NULL"));

    let number = "a withdrawal has one number";
    let other = house.other.0;
    finds(number, format!("DELETE FROM withdrawal_number WHERE withdrawal = {paid}"));
    finds(number, format!("INSERT INTO withdrawal_number VALUES ({other}, 'more', {paid})"));
    finds(number, set(paid, "number = 'other'"));
}

#[test]
fn calls_that_are_not_their_withdrawals_are_found() {
    let house = House::built();
    let [waiting, _, paid, ..] = house.withdrawals.map(|withdrawal| withdrawal.0);
    let payout = format!("(SELECT attempt FROM withdrawal WHERE id = {paid})");
    let set = |set: &str| format!("UPDATE attempt SET {set} WHERE id = {payout}");
    house.finds_sql("a payout is about no order", &set("original = 16"));
    house.finds_sql("a payout has its withdrawal", &set(&format!("withdrawal = {waiting}")));
    let kinds = "only a payout has a withdrawal, and only a top-up a fee";
    house.finds_sql(kinds, &set("fee_minor = 1"));
    house.finds_sql(kinds, &set("withdrawal = NULL"));
    let top_up = |set: &str| format!("UPDATE attempt SET {set} WHERE id = {}", house.top_up.0);
    house.finds_sql(kinds, &top_up(&format!("withdrawal = {paid}")));
    house.finds_sql("a top-up's fee is part of what arrives", &top_up("fee_minor = amount_minor + 1"));
}

#[test]
fn cards_and_days_that_are_counted_wrong_are_found() {
    let house = House::built();
    let (other, card) = (house.other.0, house.other_card.0);
    let counts = "a card counts the withdrawals on their way to it";
    house.finds_sql(counts, &format!("UPDATE card SET withdrawals = 1 WHERE id = {card}"));
    house.finds_sql(counts, &format!("UPDATE card SET withdrawals = 1 WHERE id = {}", house.card.0));
    house.finds("a card stays while a withdrawal is on its way to it", |books| {
        books.sql(&format!("UPDATE card SET removed_at = bound_at WHERE id = {card}"));
        books.sql(&format!("UPDATE card_owner SET card = NULL WHERE card = {card}"));
        books.sql(&format!("UPDATE person SET cards = cards - 1 WHERE id = {other}"));
    });
    let day = "what a person topped up and withdrew today is counted right";
    for wrong in ["topped_up_minor = 1", "withdrawn_minor = 0", "withdrawals = 2", "since = since + 1"] {
        house.finds_sql(day, &format!("UPDATE money_tally SET {wrong} WHERE person = {other}"));
    }
}

#[test]
fn money_that_moved_otherwise_than_withdrawals_say_is_found() {
    let house = House::built();
    let [waiting, sending, paid, failed, cancelled] = house.withdrawals.map(|withdrawal| withdrawal.0);
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let way = AccountId::withdrawals_in_flight(ISSUER_NETWORK);
    let posts = |invariant: &str, (kind, subject): (JournalKind, i64), change: &dyn Fn(&mut Vec<Posting>)| {
        house.finds_booked(invariant, |all| change(&mut the(all, kind, subject).postings));
    };
    let held = "a withdrawal holds its amount and its fee once";
    for withdrawal in [waiting, sending] {
        posts(held, (JournalKind::WithdrawalHeld, withdrawal), &|all| all[0].amount = fen(50_000));
        posts(held, (JournalKind::WithdrawalHeld, withdrawal), &|all| all[0].debit = payer);
    }
    let ended = "a withdrawal that ended moves what it held once, to the card or all of it back";
    posts(ended, (JournalKind::WithdrawalPaid, paid), &|all| all[0].amount = fen(1));
    posts(ended, (JournalKind::WithdrawalPaid, paid), &|all| all[1].credit = payer);
    posts(ended, (JournalKind::WithdrawalPaid, paid), &|all| all.truncate(1));
    posts(ended, (JournalKind::WithdrawalReturned, failed), &|all| all[0].amount = fen(20_000));
    posts(ended, (JournalKind::WithdrawalReturned, cancelled), &|all| all[0].credit = payer);

    let claimed = "every journal is what one row says";
    for (kind, subject) in [
        (JournalKind::WithdrawalReturned, sending),
        (JournalKind::WithdrawalPaid, waiting),
        (JournalKind::WithdrawalHeld, 16),
    ] {
        house.finds_booked(claimed, |all| {
            let model = the(all, JournalKind::WithdrawalHeld, waiting).clone();
            let at = all.last().unwrap().at;
            let postings = match kind {
                JournalKind::WithdrawalHeld => vec![Posting { debit: other, credit: way, amount: fen(1) }],
                _ => vec![Posting { debit: way, credit: other, amount: fen(1) }],
            };
            all.push(koudai_core::ledger::Journal { kind, subject, at, postings, ..model });
        });
    }
    house.finds_sql(held, &format!("UPDATE withdrawal SET fee_minor = 1 WHERE id = {sending}"));
}
