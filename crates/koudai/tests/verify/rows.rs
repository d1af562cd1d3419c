//! The rows against each other: notices, people and their cards, calls to networks, orders and refunds.

use koudai_core::id::OrderId;

use crate::house::House;

/// A change of what was ordered.
fn ordered(id: OrderId, set: &str) -> String {
    format!("UPDATE trade_order SET {set} WHERE id = {}", id.0)
}

/// A change of how far an order has come.
fn progress(id: OrderId, set: &str) -> String {
    format!("UPDATE order_progress SET {set} WHERE id = {}", id.0)
}

#[test]
fn notices_that_nobody_or_somebody_else_is_due_are_found() {
    let house = House::built();
    let (shop, other) = (house.shop.0, house.other_shop.0);
    house.finds_sql("a cursor belongs to a merchant", "UPDATE notice_cursor SET mchid = 1900000009");
    house.finds_sql("nobody is told what has not happened", "UPDATE notice_cursor SET told = 99");
    house.finds_sql("a cursor passes an event only with its notice", "UPDATE notice_cursor SET told = 2");
    let belongs = "a notice belongs to an event of its merchant";
    house.finds_sql(belongs, &format!("UPDATE notice_retry SET mchid = {other} WHERE mchid = {shop}"));
    house.finds_sql(belongs, "UPDATE notice_retry SET seq = 1");
}

#[test]
fn a_log_of_deliveries_that_is_not_whole_is_found() {
    let house = House::built();
    let place = "a delivery stands in its place of the log";
    house.finds_sql(place, "UPDATE delivery SET number = 2 WHERE outcome = 'timeout'");
    house.finds_sql(place, "UPDATE delivery SET outcome = 'answered' WHERE outcome = 'timeout'");
    let counted = "the deliveries of a merchant are counted";
    house.finds_sql(counted, "UPDATE notice_tally SET failed = 0");
    house.finds_sql(counted, "DELETE FROM notice_tally");
    house.finds_sql("what was delivered was dealt with", "UPDATE delivery SET seq = 5 WHERE seq = 4");
}

#[test]
fn phones_and_cards_of_two_people_are_found() {
    let house = House::built();
    let (payer, other, card) = (house.payer.0, house.other.0, house.card.0);
    let phone = "a phone has one holder";
    house.finds_sql(phone, &format!("UPDATE phone_owner SET person = {other} WHERE person = {payer}"));
    house.finds_sql(phone, &format!("INSERT INTO phone_owner VALUES ('13900000000', {other})"));
    house.finds_sql(phone, &format!("UPDATE person SET phone = '13800000002' WHERE id = {payer}"));
    let bound = "a bound card has one holder";
    house.finds_sql(bound, &format!("UPDATE card_owner SET person = {other} WHERE person = {payer}"));
    house.finds_sql(bound, &format!("UPDATE card_owner SET card = NULL WHERE card = {card}"));
    house.finds_sql(bound, &format!("DELETE FROM card_owner WHERE card = {card}"));
    house.finds_sql(bound, &format!("UPDATE card_owner SET card = {card} WHERE card IS NULL"));
    house
        .finds_sql("a card's holder is a person", "UPDATE card SET person = 16 WHERE removed_at IS NOT NULL");
    let counted = "a person's cards are counted right";
    house.finds_sql(counted, &format!("UPDATE person SET cards = 2 WHERE id = {payer}"));
}

#[test]
fn calls_to_networks_that_do_not_fit_what_they_are_for_are_found() {
    let house = House::built();
    let (top_up, other, other_card) = (house.top_up.0, house.other.0, house.other_card.0);
    let by_card = format!("kind = 'card_payment' AND \"order\" = {}", house.by_card.0);
    let under_way = format!("kind = 'card_payment' AND \"order\" = {}", house.paying.0);
    let refund = format!("refund = {}", house.card_refunds[0].0);
    let at = |which: &str, set: &str| format!("UPDATE attempt SET {set} WHERE {which}");

    let due = "an open attempt is due, an ended one is not";
    let its = format!("attempt = (SELECT id FROM attempt WHERE {under_way})");
    house.finds_sql(due, &format!("DELETE FROM open_attempt WHERE {its}"));
    house.finds_sql(due, &format!("INSERT INTO open_attempt VALUES ({top_up}, 0, 0, 0, NULL, NULL)"));
    house.finds_sql(
        "what is due belongs to an attempt",
        "INSERT INTO open_attempt VALUES (16, 0, 0, 0, NULL, NULL)",
    );
    let ended = "an ended attempt has its time and its outcome";
    house.finds_sql(ended, &at(&format!("id = {top_up}"), "ended_at = NULL"));
    house.finds_sql(ended, &at(&format!("id = {top_up}"), "network_ref = NULL"));
    house.finds_sql(ended, &at("state = 'failed' AND kind = 'top_up'", "refusal = NULL"));
    house.finds_sql(ended, &at(&under_way, "ended_at = created_at"));

    let place = "an attempt is made at its person's card and the card's network";
    for which in [&format!("id = {top_up}"), &by_card, &under_way, &refund] {
        house.finds_sql(place, &at(which, "network = 2"));
        house.finds_sql(place, &at(which, &format!("card = {other_card}")));
        house.finds_sql(place, &at(which, &format!("person = {other}")));
    }
    house.finds_sql("a top-up is about no order", &at(&format!("id = {top_up}"), "\"order\" = 16"));
    let numbered = "a top-up has one number";
    house.finds_sql(numbered, &format!("DELETE FROM attempt_number WHERE attempt = {top_up}"));
    house.finds_sql(
        numbered,
        &format!("INSERT INTO attempt_number VALUES ({}, 'x', {top_up})", house.payer.0),
    );
    house.finds_sql(
        numbered,
        &format!("UPDATE attempt_number SET person = {other}, number = 'x' WHERE attempt = {top_up}"),
    );

    house.finds_sql("a card payment has its order", &at(&by_card, "\"order\" = NULL"));
    for which in [&by_card, &under_way] {
        let part = "a card payment asks for its order's amount, or a part of it";
        house.finds_sql(part, &at(which, "amount_minor = amount_minor + 1"));
        // A part of it would mean that the balance was to pay the rest, which nothing was held for.
        let held = "a payment by balance and card holds the balance's part once, and gives it back once if the card fails";
        house.finds_sql(held, &at(which, "amount_minor = amount_minor - 1"));
    }
    let state = "an order's state is that of its card payment";
    house.finds_sql(state, &progress(house.paying, "state = 'unpaid'"));
    house.finds_sql(state, &progress(house.paying, "attempt = NULL"));
    house.finds_sql(state, &progress(house.by_card, "state = 'paying'"));
    house.finds_sql(state, &progress(house.by_card, "paid_at = paid_at + 1"));
    let call = format!("(SELECT id FROM attempt WHERE \"order\" = {})", house.failed.0);
    house.finds_sql(state, &progress(house.failed, &format!("attempt = {call}")));
    house.finds_sql(
        state,
        &at(&by_card, &format!("\"order\" = {}", house.small.0)).replace("SET", "SET amount_minor = 50,"),
    );

    house.finds_sql("a card refund has its refund", &at(&refund, "refund = NULL"));
    let part = "a card refund brings its refund's amount, or a part of it";
    house.finds_sql(part, &at(&refund, "amount_minor = 5001"));
    let way = "a refund goes from the order's merchant back to its payer, the way it was paid";
    house.finds_sql(way, &at(&refund, "amount_minor = 4999"));
    let back = "a card refund goes back to the card payment of its order";
    house.finds_sql(back, &at(&refund, &format!("original = {top_up}")));
    house.finds_sql(back, &at(&refund, "original = NULL"));
    house.finds_sql(back, &at(&refund, &format!("\"order\" = {}", house.by_balance.0)));
    house.finds_sql(back, &at(&refund, &format!("card = {other_card}, person = {other}")));
    let brings = "a refund's state is that of the call that brings it";
    let [arrived, abnormal, on_its_way] = house.card_refunds.map(|refund| refund.0);
    for (refund, state) in [(arrived, "processing"), (abnormal, "success"), (on_its_way, "abnormal")] {
        house.finds_sql(brings, &format!("UPDATE refund SET state = '{state}' WHERE id = {refund}"));
    }
    house.finds_sql(brings, &format!("UPDATE refund SET attempt = NULL WHERE id = {arrived}"));
    house.finds_sql(brings, &format!("UPDATE refund SET success_at = 1 WHERE id = {arrived}"));
}

#[test]
fn orders_that_have_what_is_not_theirs_are_found() {
    let house = House::built();
    let at = progress;
    let (payer, card, top_up) = (house.payer.0, house.card.0, house.top_up.0);

    let number = "an order has one number";
    house.finds_sql(number, &format!("DELETE FROM order_number WHERE \"order\" = {}", house.unpaid.0));
    house.finds_sql(number, &ordered(house.unpaid, "out_trade_no = 'x'"));
    house.finds("an order has its merchant", |books| {
        books.sql(&ordered(house.unpaid, "mchid = 1900000009"));
        books.sql("UPDATE order_number SET mchid = 1900000009 WHERE out_trade_no = 'unpaid'");
    });
    house.finds_sql("who pays is a person", &at(house.by_balance, "payer = 16"));

    let meant = "who an order is meant for is a person";
    house.finds_sql(meant, &ordered(house.unpaid, "meant_for = 16"));
    let by_them = "an order is paid by the person it is meant for";
    for order in [house.by_balance, house.by_card, house.paying] {
        house.finds_sql(by_them, &ordered(order, &format!("meant_for = {}", house.other.0)));
    }

    let nobody = "an order that nobody pays names no payer";
    for order in [house.unpaid, house.closed, house.failed] {
        for set in [format!("payer = {payer}"), format!("card = {card}"), format!("attempt = {top_up}")] {
            house.finds_sql(nobody, &at(order, &set));
        }
    }
    let open = "an order being paid has its open card payment";
    house.finds_sql(open, &at(house.unpaid, &format!("state = 'paying', payer = {payer}, card = {card}")));
    house.finds_sql(
        open,
        &at(house.unpaid, &format!("state = 'paying', payer = {payer}, attempt = {top_up}")),
    );
    house.finds_sql(open, &at(house.paying, &format!("payer = {}", house.other.0)));
    house.finds_sql(open, &at(house.paying, &format!("card = {}", house.other_card.0)));

    house.finds_sql("a paid order has its payer", &at(house.by_balance, "payer = NULL"));
    house.finds_sql("a paid order has its payer", &at(house.by_balance, "paid_at = NULL"));
    let paid_by = "a paid order has the card payment that paid it, or none";
    house.finds_sql(paid_by, &at(house.by_balance, &format!("attempt = {top_up}")));
    house.finds_sql(paid_by, &at(house.by_balance, &format!("card = {card}")));
    house.finds_sql(paid_by, &at(house.by_card, "card = NULL"));
    house.finds_sql(paid_by, &at(house.by_card, &format!("payer = {}", house.other.0)));

    house.finds_sql("an order has one currency", &at(house.by_balance, "fee_currency = 'USD'"));
    house.finds_sql("a fee is at most its order's amount", &at(house.by_balance, "fee_minor = 10001"));
    let nothing = "an order that is not paid has no payment, fee or refund";
    for set in ["paid_at = 1", "paid_seq = 1", "fee_minor = 1", "refunded_minor = 1", "refunds = 1"] {
        house.finds_sql(nothing, &at(house.unpaid, set));
        house.finds_sql(nothing, &at(house.paying, set));
    }
}

#[test]
fn orders_of_which_half_is_missing_are_found() {
    let house = House::built();
    for order in [house.unpaid, house.closed, house.failed, house.paying, house.by_balance, house.by_card] {
        let half = |table: &str| format!("DELETE FROM {table} WHERE id = {}", order.0);
        house.finds_sql(&format!("row {}: column state", order.0), &half("order_progress"));
        let wide = format!("row {}: column mchid", order.0);
        house.finds_sql(&wide, &half("trade_order"));
        // With everything that would have led to it.
        house.finds(&wide, |books| {
            books.sql(&half("trade_order"));
            books.sql(&format!("DELETE FROM order_number WHERE \"order\" = {}", order.0));
            books.0.execute(&format!("DELETE FROM order_code WHERE \"order\" = {}", order.0), []).unwrap();
        });
    }
}

#[test]
fn refunds_that_do_not_fit_their_order_are_found() {
    let house = House::built();
    let at = |set: &str| format!("UPDATE refund SET {set} WHERE id = {}", house.balance_refund.0);

    let number = "a refund has one number";
    house.finds_sql(number, &format!("DELETE FROM refund_number WHERE refund = {}", house.balance_refund.0));
    house.finds_sql(number, &at("out_refund_no = 'x'"));
    house.finds_sql("a refund has its paid order", &at(&format!("\"order\" = {}", house.unpaid.0)));
    let way = "a refund goes from the order's merchant back to its payer, the way it was paid";
    house.finds_sql(way, &at(&format!("payer = {}", house.other.0)));
    house.finds_sql(way, &at(&format!("card = {}", house.card.0)));
    house.finds(way, |books| {
        let shop = house.other_shop.0;
        books.sql(&at(&format!("mchid = {shop}, out_refund_no = 'x'")));
        let (set, refund) = (format!("mchid = {shop}, out_refund_no = 'x'"), house.balance_refund.0);
        books.sql(&format!("UPDATE refund_number SET {set} WHERE refund = {refund}"));
    });
    let call = "a refund to a card has its call, and one to the balance has none";
    house.finds_sql(call, &at(&format!("attempt = {}", house.top_up.0)));
    house.finds_sql("a refund to the balance is immediate", &at("state = 'processing'"));
    house.finds_sql("a refund that arrived has its time", &at("success_at = NULL"));
    house.finds_sql("an order has one currency", &at("amount_currency = 'USD'"));
    house.finds_sql("no more is refunded than was paid", &at("amount_minor = 10001"));
    let elsewhere = "only a refund that its bank refused goes elsewhere";
    house.finds_sql(elsewhere, &at("way = 'merchant'"));
    let share = "refunds give back their share of the fee, rounded down";
    house.finds_sql(share, &at("fee_returned_minor = 20"));
    house.finds_sql(share, &at("fee_returned_minor = 18"));
    house.finds(share, |books| {
        // The same sum, cut another way.
        books.sql(&at("fee_returned_minor = 18"));
        books.sql("UPDATE refund SET fee_returned_minor = 19 WHERE out_refund_no = 'refund-2'");
    });
    let refers = "an order's refunds are those that refer to it";
    for set in ["refunds = 3", "refunded_minor = 6332", "fee_returned_minor = 38"] {
        house.finds_sql(refers, &progress(house.by_balance, set));
    }
}
