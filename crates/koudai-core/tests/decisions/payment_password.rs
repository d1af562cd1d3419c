//! The payment password: what may be one, and what happens to those who guess.

use koudai_core::id::PersonId;
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refusal::Refusal;
use koudai_core::rows::PaymentPassword;
use koudai_core::time::HOUR;

use crate::fixture::{Habit, Ledger, PIN, WRONG, pin};

/// A person with money and an order to try the payment password on.
fn payer(ledger: &mut Ledger) -> (PersonId, koudai_core::id::OrderId) {
    let person = ledger.person_with("13800138000", 1_000);
    let mchid = ledger.merchant();
    (person, ledger.order(mchid, "order-1", 100).id)
}

#[test]
fn only_somebody_who_exists_sets_one() {
    let mut ledger = Ledger::new();
    let set = SetPaymentPassword { person: PersonId(1 << 62), pin: pin(PIN) };
    assert_eq!(ledger.refusal(&set), Refusal::SignedOut);
}

#[test]
fn it_is_set_once() {
    let mut ledger = Ledger::new();
    let person = ledger.person_with_pin("13800138000");
    let again = SetPaymentPassword { person, pin: pin("975310") };
    assert_eq!(ledger.refusal(&again), Refusal::PaymentPasswordAlreadySet);
}

#[test]
fn a_run_a_repeat_a_date_and_the_phone_are_weak() {
    let mut ledger = Ledger::new();
    let person = ledger.person("13812345962");
    for weak in ["000000", "123456", "987654", "121212", "258258", "345962"]
        .into_iter()
        // Somebody's birthday: by year, month and day in any order, and by a year of four digits and a month.
        .chain(["850229", "851231", "311285", "123185", "198512", "121985", "200001"])
    {
        let set = SetPaymentPassword { person, pin: pin(weak) };
        assert_eq!(ledger.refusal(&set), Refusal::PaymentPasswordWeak, "{weak}");
    }
    assert_eq!(ledger.submit(&SetPaymentPassword { person, pin: pin("123457") }), Ok(()));
}

#[test]
fn six_ascii_digits_and_nothing_else_are_a_pin() {
    for bad in ["", "12345", "1234567", "12345a", "１２３４５６", " 12345", "-12345"] {
        assert!(Pin::parse(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn without_one_nothing_is_paid() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let person = ledger.person("13800138000");
    let card = ledger.card(person);
    let order = ledger.order(mchid, "order-1", 100).id;
    assert_eq!(ledger.pay_by(person, order, Some(card), PIN), Err(Refusal::PaymentPasswordNotSet));
}

#[test]
fn five_wrong_tries_lock_for_three_hours_five_more_for_a_day_and_fifteen_for_good() {
    let mut ledger = Ledger::new();
    let (person, order) = payer(&mut ledger);
    for lock in [Some(3 * HOUR), Some(24 * HOUR), None] {
        for tries_left in [4, 3, 2, 1] {
            let wrong = ledger.pay_by(person, order, None, WRONG);
            assert_eq!(wrong, Err(Refusal::PaymentPasswordWrong { tries_left }));
        }
        if let Some(lock) = lock {
            let until = ledger.now.plus(lock);
            let locked = Err(Refusal::PaymentPasswordLocked { until });
            assert_eq!(ledger.pay_by(person, order, None, WRONG), locked);
            ledger.advance(lock - 1);
            assert_eq!(ledger.pay(person, order), locked, "the right one has to wait as well");
            assert_eq!(ledger.pay_by(person, order, None, WRONG), locked, "and a wrong one is not counted");
            ledger.advance(1);
        }
    }
    let for_good = Err(Refusal::PaymentPasswordResetNeeded);
    assert_eq!(ledger.pay_by(person, order, None, WRONG), for_good);
    ledger.advance(1_000 * HOUR);
    let mchid = ledger.merchant();
    let fresh = ledger.order(mchid, "order-2", 100).id;
    assert_eq!(ledger.pay(person, fresh), for_good, "even the right one, however long after");
}

#[test]
fn a_right_try_clears_the_count() {
    let mut ledger = Ledger::new();
    let (person, order) = payer(&mut ledger);
    for _ in 0..4 {
        ledger.pay_by(person, order, None, WRONG).unwrap_err();
    }
    ledger.pay(person, order).unwrap();
    assert_eq!(ledger.get::<PaymentPassword>(&person).unwrap().wrong, 0);
}

#[test]
fn a_wrong_try_stays_counted_though_the_command_is_refused() {
    // Rows go back to the store after each command: the count has to be there.
    let mut ledger = Ledger::with(Habit::Forget);
    let (person, order) = payer(&mut ledger);
    for tries_left in [4, 3, 2, 1] {
        let wrong = ledger.pay_by(person, order, None, WRONG);
        assert_eq!(wrong, Err(Refusal::PaymentPasswordWrong { tries_left }));
    }
    assert_eq!(ledger.journals().len(), 1, "the top-up and nothing else");
}

#[test]
fn the_same_digits_of_two_persons_are_kept_apart() {
    let mut ledger = Ledger::new();
    let one = ledger.person_with_pin("13800138000");
    let two = ledger.person_with_pin("13900139000");
    let of = |ledger: &mut Ledger, person| ledger.get::<PaymentPassword>(&person).unwrap();
    let (one, two) = (of(&mut ledger, one), of(&mut ledger, two));
    assert_ne!(one.salt, two.salt);
    assert_ne!(one.mac, two.mac);
}
