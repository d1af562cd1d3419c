//! The one journal that each row stands for, and no journal over.

use koudai_core::ledger::{AccountId, ISSUER_NETWORK, Journal, JournalKind, NetworkId, Posting};

use crate::books::{forget, no_line, the};
use crate::house::{House, fen};

#[test]
fn money_that_moved_otherwise_than_the_rows_say_is_found() {
    let house = House::built();
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let (shop, other_shop) = (AccountId::merchant(house.shop), AccountId::merchant(house.other_shop));
    let bank = AccountId::clearing(ISSUER_NETWORK);
    let by_balance = (JournalKind::BalancePayment, house.by_balance.0);
    let by_card = (JournalKind::CardPayment, house.by_card.0);
    let [arrived, abnormal, under_way] = house.card_refunds.map(|refund| refund.0);
    let to_balance = (JournalKind::BalanceRefund, house.balance_refund.0);
    let to_card = (JournalKind::CardRefundAccepted, under_way);
    let posts = |invariant: &str, (kind, subject): (JournalKind, i64), change: &dyn Fn(&mut Vec<Posting>)| {
        house.finds_booked(invariant, |all| change(&mut the(all, kind, subject).postings));
    };
    let extra =
        |debit, credit| move |all: &mut Vec<Posting>| all.push(Posting { debit, credit, amount: fen(1) });

    let paid = "an order is paid once, by its payer, as its journal says";
    posts(paid, by_balance, &|all| all[0].debit = other);
    posts(paid, by_balance, &|all| all[0].debit = bank);
    posts(paid, by_card, &|all| all[0].debit = payer);
    posts(paid, by_card, &|all| all[0].credit = other_shop);
    posts(paid, by_card, &|all| all[1].amount = fen(121));
    for which in [by_balance, by_card] {
        posts(paid, which, &|all| all[0].amount = fen(30_000));
        posts(paid, which, &|all| {
            all.pop();
        });
        posts(paid, which, &extra(payer, other));
        posts(paid, which, &extra(shop, payer));
        posts(paid, which, &|all| all.push(all[1]));
    }
    let elsewhere = "a refund that its bank refused goes elsewhere once, all of it";
    let redirected = (JournalKind::RefundToBalance, house.elsewhere.0);
    posts(elsewhere, redirected, &|all| all[0].credit = shop);
    posts(elsewhere, redirected, &|all| all[0].amount = fen(499));
    let at = |set: &str, which: i64| format!("UPDATE refund SET {set} WHERE id = {which}");
    house.finds_sql(elsewhere, &at("way = 'merchant'", house.elsewhere.0));
    house.finds_sql(elsewhere, &at("way = 'balance', state = 'success', success_at = 1", abnormal));
    let refunded = "a refund is taken from its merchant once, with its share of the fee given back";
    posts(refunded, to_balance, &|all| all[1].credit = other);
    posts(refunded, to_balance, &|all| all[0].credit = payer);
    posts(refunded, to_card, &|all| all[1].credit = payer);
    posts(refunded, to_card, &|all| all[1].credit = AccountId::refund_in_flight(NetworkId(2)));
    for which in [to_balance, to_card] {
        posts(refunded, which, &|all| all[1].amount = fen(3_000));
        posts(refunded, which, &|all| {
            all.remove(0);
        });
        posts(refunded, which, &extra(shop, other));
    }
    let ended = "a refund that ended moves its amount out of its network, or nothing";
    let done = (JournalKind::CardRefundDone, arrived);
    posts(ended, done, &|all| all[0].amount = fen(4_999));
    posts(ended, done, &|all| all[0].credit = payer);
    posts(ended, done, &|all| all.clear());
    let way = AccountId::refund_in_flight(ISSUER_NETWORK);
    posts(ended, (JournalKind::CardRefundAbnormal, abnormal), &extra(way, shop));
    let credited = "a top-up is credited once, if the bank paid it";
    let top_up = (JournalKind::TopUp, house.top_up.0);
    posts(credited, top_up, &|all| all.push(Posting { debit: payer, credit: other, amount: fen(1) }));
    posts(credited, top_up, &|all| all[0].amount = fen(200_001));
}

#[test]
fn journals_without_a_row_and_rows_without_a_journal_are_found() {
    let house = House::built();
    let [arrived, abnormal, under_way] = house.card_refunds.map(|refund| refund.0);
    let claimed = "every journal is what one row says";
    let stray = |kind: JournalKind, subject: i64, like: JournalKind| {
        house.finds_booked(claimed, |all| {
            let model = all.iter().find(|j| j.kind == like).unwrap().clone();
            let at = all.last().unwrap().at;
            all.push(Journal { kind, subject, at, ..model });
        });
    };
    stray(JournalKind::TopUp, 16, JournalKind::TopUp);
    for order in [house.unpaid, house.closed, house.failed, house.paying, house.by_card] {
        stray(JournalKind::BalancePayment, order.0, JournalKind::BalancePayment);
    }
    stray(JournalKind::CardPayment, house.paying.0, JournalKind::CardPayment);
    stray(JournalKind::CardPayment, house.by_balance.0, JournalKind::CardPayment);
    stray(JournalKind::BalanceRefund, arrived, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundAccepted, house.balance_refund.0, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundDone, house.balance_refund.0, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundAbnormal, under_way, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundAbnormal, arrived, JournalKind::CardRefundAbnormal);
    stray(JournalKind::CardRefundDone, abnormal, JournalKind::CardRefundAbnormal);

    let gone = |invariant: &str, kind: JournalKind| {
        house.finds_booked(invariant, |all| all.iter_mut().rfind(|j| j.kind == kind).unwrap().subject = 16);
    };
    gone("a top-up is credited once, if the bank paid it", JournalKind::TopUp);
    for kind in [JournalKind::BalancePayment, JournalKind::CardPayment] {
        gone("an order is paid once, by its payer, as its journal says", kind);
    }
    for kind in [JournalKind::BalanceRefund, JournalKind::CardRefundAccepted] {
        gone("a refund is taken from its merchant once, with its share of the fee given back", kind);
    }
    for kind in [JournalKind::CardRefundDone, JournalKind::CardRefundAbnormal] {
        gone("a refund that ended moves its amount out of its network, or nothing", kind);
    }
    let payer = house.payer.0;
    let set = format!("state = 'paid', payer = {payer}, paid_at = 1, paid_seq = 3");
    let sql = format!("UPDATE order_progress SET {set} WHERE id = {}", house.unpaid.0);
    house.finds_sql("an order is paid once, by its payer, as its journal says", &sql);
    let failed = "UPDATE attempt SET state = 'succeeded', refusal = NULL, network_ref = '1'
                  WHERE state = 'failed' AND kind = 'top_up'";
    house.finds_sql("a top-up is credited once, if the bank paid it", failed);
    let sql = format!("UPDATE order_progress SET paid_seq = paid_seq + 1 WHERE id = {}", house.by_balance.0);
    house.finds_sql("an order knows the journal of its payment", &sql);
}

#[test]
fn journals_in_the_wrong_history_or_at_the_wrong_time_are_found() {
    let house = House::built();
    let (payer, other) = (AccountId::person(house.payer), AccountId::person(house.other));
    let [arrived, abnormal, _] = house.card_refunds.map(|refund| refund.0);
    let shop = AccountId::merchant(house.shop);
    let everybody = "a journal belongs to the history of everybody it concerns, and of nobody else";
    let missing = [
        (JournalKind::CardPayment, house.by_card.0, payer),
        (JournalKind::CardRefundAccepted, arrived, payer),
        (JournalKind::CardRefundDone, arrived, payer),
        (JournalKind::CardRefundDone, arrived, shop),
        (JournalKind::CardRefundAbnormal, abnormal, payer),
        (JournalKind::CardRefundAbnormal, abnormal, shop),
    ];
    for (kind, subject, account) in missing {
        house.finds_booked(everybody, |all| forget(the(all, kind, subject), account));
    }
    for (kind, subject) in [(JournalKind::TopUp, house.top_up.0), (JournalKind::CardRefundDone, arrived)] {
        house.finds_booked(everybody, |all| the(all, kind, subject).lines.push(no_line(other)));
    }
    let time = "a journal and its row have one time";
    let sql = format!("UPDATE order_progress SET paid_at = paid_at + 1 WHERE id = {}", house.by_balance.0);
    house.finds_sql(time, &sql);
    house.finds_sql(time, &format!("UPDATE attempt SET ended_at = 1 WHERE id = {}", house.top_up.0));
    house.finds_sql(time, &format!("UPDATE refund SET created_at = 1 WHERE id = {arrived}"));
    house.finds_sql(time, &format!("UPDATE attempt SET ended_at = 1 WHERE refund = {abnormal}"));
}
