//! Payments by payers' codes: that each says whose code it was and why it failed, and that what was reversed went back.

use koudai_core::id::OrderId;

use crate::house::{House, verify};

/// A change of how far an order has come.
fn progress(id: OrderId, set: &str) -> String {
    format!("UPDATE order_progress SET {set} WHERE id = {}", id.0)
}

/// A change of what a code payment has besides.
fn payment(id: OrderId, set: &str) -> String {
    format!("UPDATE code_payment SET {set} WHERE \"order\" = {}", id.0)
}

#[test]
fn a_house_where_codes_were_paid_declined_and_reversed_passes() {
    let (house, _) = House::with_codes();
    let copy = house.copy();
    let (passed, said) = verify(copy.path());
    assert!(passed, "{said}");
}

#[test]
fn numbers_that_stand_for_nothing_are_known_by_their_reversal() {
    let (house, codes) = House::with_codes();
    let number = "a number that was reversed before its order stands for none";
    house.finds_sql(number, "DELETE FROM order_number WHERE out_trade_no = 'barred'");
    house.finds_sql(number, "UPDATE reversed_number SET out_trade_no = 'x'");
    let none = format!("DELETE FROM reversed_number WHERE id = {}", codes.barred.0);
    house.finds_sql("an order has one number", &none);
}

#[test]
fn code_payments_without_their_code_and_codes_without_a_payment_are_found() {
    let (house, codes) = House::with_codes();
    let whose = "an order paid by a payer's code, and no other, says whose code it was";
    house.finds_sql(whose, &format!("DELETE FROM code_payment WHERE \"order\" = {}", codes.paid.0));
    let add = |order: i64| {
        format!("INSERT INTO code_payment VALUES ({order}, {}, zeroblob(32), 0, NULL, NULL)", house.payer.0)
    };
    house.finds_sql(whose, &add(house.by_balance.0));
    house.finds_sql(whose, &add(16));
    let his = "a code payment is paid by whose code it was";
    house.finds_sql(his, &payment(codes.paid, &format!("person = {}", house.other.0)));
    house.finds_sql(his, &payment(codes.asked, &format!("person = {}", house.other.0)));
}

#[test]
fn code_payments_that_stand_as_none_can_are_found() {
    let (house, codes) = House::with_codes();
    let only = "only code payments are asked about, fail or are reversed";
    house.finds_sql(only, &progress(house.unpaid, "state = 'failed'"));
    house.finds_sql(only, &progress(house.unpaid, "state = 'reversed'"));
    let open = "a code payment is never open to others, and not closed";
    house.finds_sql(open, &progress(codes.declined, "state = 'unpaid'"));
    house.finds_sql(open, &progress(codes.declined, "state = 'closed'"));
    let waits = "an order that waits for its payer names nobody else";
    house.finds_sql(waits, &progress(codes.asked, "payer = NULL"));
    house.finds_sql(waits, &progress(codes.asked, &format!("card = {}", house.card.0)));
    let why = "a failed code payment says why";
    house.finds_sql(why, &payment(codes.declined, "failure = NULL"));
    house.finds_sql(why, &payment(codes.paid, "failure = 'declined'"));
}

#[test]
fn what_was_reversed_and_kept_is_found() {
    let (house, codes) = House::with_codes();
    let time = "a reversed order has its time";
    house.finds_sql(time, &payment(codes.reversed, "reversed_at = NULL"));
    house.finds_sql(time, &payment(codes.paid, "reversed_at = 1"));
    house.finds("a reversed order that was paid is given back whole", |books| {
        books.sql(&payment(codes.paid, "reversed_at = 1"));
        books.sql(&progress(codes.paid, "state = 'reversed'"));
    });
    let asked = "a reversed order that was not paid names no payer but one whose bank is asked";
    house.finds(asked, |books| {
        books.sql(&payment(codes.declined, "reversed_at = 1"));
        let payer = house.payer.0;
        books.sql(&progress(codes.declined, &format!("state = 'reversed', payer = {payer}")));
    });
    house.finds_sql(asked, &progress(codes.withdrawn, &format!("payer = {}", house.other.0)));
}
