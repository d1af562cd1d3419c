//! Withdrawing to a card: what is held, sent, paid or returned, and why not.

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::binding::{BankFace, BindingAnswer, RecordBinding, RemoveCard};
use koudai_core::card::CardKind;
use koudai_core::id::{CardId, PersonId, WithdrawalId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind};
use koudai_core::money::RatePpm;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Card, MoneyTally, NetworkRefusal, OpenAttempt, Speed,
    WaitingWithdrawal, Withdrawal, WithdrawalState,
};
use koudai_core::state::{Event, Policy};
use koudai_core::time::{DAY, SECOND};
use koudai_core::withdrawal::{CancelWithdrawal, SendWithdrawals, StartWithdrawal};
use proptest::prelude::*;

use crate::fixture::{Freeze, Habit, Ledger, PIN, WRONG, face, fen, pin, top_up, withdrawal};

const IN_FLIGHT: AccountId = AccountId::withdrawals_in_flight(ISSUER_NETWORK);
const CLEARING: AccountId = AccountId::clearing(ISSUER_NETWORK);

/// Somebody with a debit card and ¥1,000.00.
fn holder(ledger: &mut Ledger) -> (PersonId, CardId) {
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    ledger.fund(person, card, 100_000);
    (person, card)
}

fn cancel(person: PersonId, number: &str) -> CancelWithdrawal {
    CancelWithdrawal { person, number: number.to_owned() }
}

fn now(person: PersonId, card: CardId, number: &str, minor: i64) -> StartWithdrawal {
    withdrawal(person, card, number, minor, Speed::RealTime)
}

fn tomorrow(person: PersonId, card: CardId, number: &str, minor: i64) -> StartWithdrawal {
    withdrawal(person, card, number, minor, Speed::NextDay)
}

fn stands(ledger: &mut Ledger, id: WithdrawalId) -> Withdrawal {
    ledger.get(&id).expect("it was asked for")
}

#[test]
fn money_is_held_when_it_is_asked_for_and_leaves_when_the_bank_has_paid() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.commit();
    ledger.events.clear();
    let asked = ledger.submit(&now(person, card, "withdraw-1", 50_000)).unwrap();
    assert_eq!((asked.state, asked.fee), (WithdrawalState::Sending, fen(50)));
    assert_eq!(ledger.balance_of(person), 49_950, "amount and fee are held");
    assert_eq!(ledger.balance(IN_FLIGHT), 50_050);
    let attempt = ledger.get::<Attempt>(&asked.attempt.unwrap()).unwrap();
    assert_eq!((attempt.kind, attempt.amount), (AttemptKind::Payout, fen(50_000)), "the fee stays here");
    assert_eq!(attempt.withdrawal, Some(asked.id));
    let open = ledger.get::<OpenAttempt>(&attempt.id).unwrap();
    assert_eq!((open.next_at, open.send_until), (ledger.now, ledger.now.plus(90 * SECOND)));
    ledger.succeed(attempt.id);
    assert_eq!(stands(&mut ledger, asked.id).state, WithdrawalState::Paid);
    assert_eq!((ledger.balance(IN_FLIGHT), ledger.balance(CLEARING)), (0, 50_000));
    assert_eq!((ledger.balance_of(person), ledger.balance(AccountId::fees())), (49_950, 50));
    let kinds: Vec<_> = ledger.journals().iter().map(|j| j.kind).collect();
    assert_eq!(kinds, [JournalKind::TopUp, JournalKind::WithdrawalHeld, JournalKind::WithdrawalPaid]);
    assert_eq!(ledger.get::<Card>(&card).unwrap().withdrawals, 0);
    ledger.commit();
    assert_eq!(ledger.events, [Event::AttemptOpened(attempt.id), Event::AttemptEnded(attempt.id)]);
    ledger.audit();
}

#[test]
fn what_the_bank_refuses_comes_back_whole_and_the_day_is_given_back() {
    for why in NetworkRefusal::ALL {
        let mut ledger = Ledger::new();
        let (person, card) = holder(&mut ledger);
        let asked = ledger.submit(&now(person, card, "withdraw-1", 50_000)).unwrap();
        ledger.fail(asked.attempt.unwrap(), *why);
        let ended = stands(&mut ledger, asked.id);
        assert_eq!((ended.state, ended.refusal), (WithdrawalState::Failed, Some(*why)));
        assert_eq!((ledger.balance_of(person), ledger.balance(IN_FLIGHT)), (100_000, 0), "the fee too");
        let tally = ledger.get::<MoneyTally>(&person).unwrap();
        assert_eq!((tally.withdrawn, tally.withdrawals, tally.topped_up), (fen(0), 0, fen(100_000)));
        ledger.audit();
    }
}

#[test]
fn a_second_outcome_changes_nothing() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let asked = ledger.submit(&now(person, card, "withdraw-1", 50_000)).unwrap();
    let attempt = asked.attempt.unwrap();
    let ended = ledger.succeed(attempt);
    for outcome in
        [Outcome::Succeeded { network_ref: "again".to_owned() }, Outcome::Failed(NetworkRefusal::Refused)]
    {
        let (again, changed) = ledger.effect(&EndAttempt { attempt, outcome });
        assert_eq!((again, changed), (Ok(ended.clone()), false));
    }
}

#[test]
fn the_clearing_account_runs_the_other_way_when_more_is_paid_out_than_came_in() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let shop = ledger.merchant();
    let other = ledger.person_with("13900139000", 1_000);
    ledger.paid(shop, "order-0001", other, 1_000);
    // Refunded to somebody who topped nothing up: the network pays out what it never took from them.
    let asked = ledger.submit(&now(person, card, "withdraw-1", 99_900)).unwrap();
    ledger.succeed(asked.attempt.unwrap());
    assert_eq!(ledger.balance(CLEARING), 1_100);
    ledger.audit();
}

#[test]
fn one_of_the_next_day_waits_a_day_and_is_sent_then() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let asked = ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
    assert_eq!((asked.state, asked.fee), (WithdrawalState::Waiting, fen(0)));
    assert_eq!(asked.due_at, ledger.now.plus(DAY));
    assert_eq!((ledger.balance_of(person), ledger.balance(IN_FLIGHT)), (50_000, 50_000));
    let send = SendWithdrawals { withdrawals: vec![asked.id, asked.id, WithdrawalId(16)] };
    ledger.advance(DAY - 1);
    assert_eq!(ledger.effect(&send), (Ok(()), false), "not before its time");
    ledger.advance(1);
    ledger.submit(&send).unwrap();
    let sent = stands(&mut ledger, asked.id);
    assert_eq!(sent.state, WithdrawalState::Sending);
    assert!(ledger.all::<WaitingWithdrawal>().is_empty());
    assert_eq!(ledger.effect(&send), (Ok(()), false), "and once");
    ledger.succeed(sent.attempt.unwrap());
    assert_eq!((ledger.balance(IN_FLIGHT), ledger.balance(CLEARING)), (0, 50_000));
    ledger.audit();
}

#[test]
fn one_that_has_not_left_is_taken_back_whole_and_once() {
    let mut ledger = Ledger::new();
    ledger.policy.withdraw_next_day_fee = RatePpm::new(500).unwrap();
    let (person, card) = holder(&mut ledger);
    let asked = ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
    assert_eq!(asked.fee, fen(25));
    let back = ledger.submit(&cancel(person, "withdraw-1")).unwrap();
    assert_eq!(back.state, WithdrawalState::Cancelled);
    assert_eq!(ledger.balance_of(person), 100_000);
    assert_eq!(ledger.effect(&cancel(person, "withdraw-1")), (Ok(back), false));
    ledger.advance(DAY);
    let send = SendWithdrawals { withdrawals: vec![asked.id] };
    assert_eq!(ledger.effect(&send), (Ok(()), false), "what was taken back is not sent");
    ledger.audit();
}

#[test]
fn what_was_sent_is_not_taken_back() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let asked = ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
    ledger.advance(DAY);
    ledger.submit(&SendWithdrawals { withdrawals: vec![asked.id] }).unwrap();
    assert_eq!(ledger.refusal(&cancel(person, "withdraw-1")), Refusal::WithdrawalSent);
    let attempt = stands(&mut ledger, asked.id).attempt.unwrap();
    ledger.succeed(attempt);
    assert_eq!(ledger.refusal(&cancel(person, "withdraw-1")), Refusal::WithdrawalSent);
    let asked = ledger.submit(&now(person, card, "withdraw-2", 100)).unwrap();
    ledger.fail(asked.attempt.unwrap(), NetworkRefusal::Refused);
    assert_eq!(ledger.refusal(&cancel(person, "withdraw-2")), Refusal::WithdrawalSent);
}

#[test]
fn only_its_own_person_takes_it_back() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let other = ledger.person_with_pin("13900139000");
    ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
    assert_eq!(ledger.refusal(&cancel(other, "withdraw-1")), Refusal::RecordUnknown);
    assert_eq!(ledger.refusal(&cancel(person, "withdraw-9")), Refusal::RecordUnknown);
}

#[test]
fn the_same_number_is_the_same_withdrawal() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let second_card = ledger.card(person);
    let first = ledger.submit(&now(person, card, "withdraw-1", 1_000)).unwrap();
    let (again, changed) = ledger.effect(&now(person, card, "withdraw-1", 1_000));
    assert_eq!((again, changed), (Ok(first.clone()), false));
    for other in [
        now(person, card, "withdraw-1", 1_001),
        now(person, second_card, "withdraw-1", 1_000),
        tomorrow(person, card, "withdraw-1", 1_000),
    ] {
        assert_eq!(ledger.refusal(&other), Refusal::NumberReused);
    }
    ledger.succeed(first.attempt.unwrap());
    let paid = stands(&mut ledger, first.id);
    ledger.submit(&Freeze(person)).unwrap();
    let (late, changed) = ledger.effect(&now(person, card, "withdraw-1", 1_000));
    assert_eq!((late, changed), (Ok(paid), false), "and answers how it stands by now");
}

#[test]
fn a_top_up_and_a_withdrawal_may_have_the_same_number() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.submit(&top_up(person, card, "number-1", 1_000)).unwrap();
    assert!(ledger.submit(&now(person, card, "number-1", 1_000)).is_ok());
}

#[test]
fn nobody_withdraws_without_an_account() {
    let mut ledger = Ledger::new();
    let start = now(PersonId(1 << 62), CardId(16), "withdraw-1", 100);
    assert_eq!(ledger.refusal(&start), Refusal::SignedOut);
}

#[test]
fn a_frozen_account_withdraws_nothing_and_takes_back_what_waits() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.submit(&tomorrow(person, card, "withdraw-1", 1_000)).unwrap();
    ledger.submit(&Freeze(person)).unwrap();
    assert_eq!(ledger.refusal(&now(person, card, "withdraw-2", 100)), Refusal::AccountFrozen);
    ledger.submit(&cancel(person, "withdraw-1")).unwrap();
    assert_eq!(ledger.balance_of(person), 100_000);
}

#[test]
fn what_is_due_from_a_frozen_account_comes_back_to_it() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let asked = ledger.submit(&tomorrow(person, card, "withdraw-1", 1_000)).unwrap();
    ledger.submit(&Freeze(person)).unwrap();
    ledger.advance(DAY);
    ledger.submit(&SendWithdrawals { withdrawals: vec![asked.id] }).unwrap();
    let ended = stands(&mut ledger, asked.id);
    assert_eq!((ended.state, ended.attempt, ended.refusal), (WithdrawalState::Failed, None, None));
    assert_eq!(ledger.balance_of(person), 100_000);
    ledger.audit();
}

#[test]
fn what_is_on_its_way_when_an_account_is_frozen_still_arrives() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let asked = ledger.submit(&now(person, card, "withdraw-1", 1_000)).unwrap();
    ledger.submit(&Freeze(person)).unwrap();
    ledger.succeed(asked.attempt.unwrap());
    assert_eq!(ledger.balance(CLEARING), 99_000);
}

#[test]
fn a_withdrawal_lies_within_the_operators_bounds() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let (least, most) = (ledger.policy.withdraw_least, ledger.policy.withdraw_most);
    for minor in [0, 99, 500_001] {
        let refusal = ledger.refusal(&now(person, card, "withdraw-1", minor));
        assert_eq!(refusal, Refusal::AmountOutOfRange { least, most });
    }
    assert!(ledger.submit(&now(person, card, "withdraw-2", 100)).is_ok());
}

#[test]
fn a_withdrawal_needs_a_card_of_ones_own() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let other = ledger.person_with("13900139000", 10_000);
    assert_eq!(ledger.refusal(&now(other, card, "withdraw-1", 100)), Refusal::CardUnknown);
    assert_eq!(ledger.refusal(&now(person, CardId(16), "withdraw-1", 100)), Refusal::CardUnknown);
    ledger.submit(&RemoveCard { person, card, pin: pin(PIN) }).unwrap();
    assert_eq!(ledger.refusal(&now(person, card, "withdraw-1", 100)), Refusal::CardUnknown);
}

#[test]
fn money_is_withdrawn_to_debit_cards_only() {
    let mut ledger = Ledger::new();
    let (person, _) = holder(&mut ledger);
    let binding = ledger.binding(person);
    let face = BankFace { kind: CardKind::Credit, ..face() };
    let answer = BindingAnswer::Bound { face: Some(face), token_sealed: vec![9; 4] };
    let credit = ledger.submit(&RecordBinding { binding, answer }).unwrap().card.unwrap();
    assert_eq!(ledger.refusal(&now(person, credit, "withdraw-1", 100)), Refusal::DebitCardsOnly);
}

#[test]
fn a_card_stays_until_no_withdrawal_is_on_its_way_to_it() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let remove = RemoveCard { person, card, pin: pin(PIN) };
    let sending = ledger.submit(&now(person, card, "withdraw-1", 100)).unwrap();
    ledger.submit(&tomorrow(person, card, "withdraw-2", 100)).unwrap();
    assert_eq!(ledger.get::<Card>(&card).unwrap().withdrawals, 2);
    assert_eq!(ledger.refusal(&remove), Refusal::CardAwaitsMoney);
    ledger.succeed(sending.attempt.unwrap());
    assert_eq!(ledger.refusal(&remove), Refusal::CardAwaitsMoney, "one still waits");
    ledger.submit(&cancel(person, "withdraw-2")).unwrap();
    ledger.submit(&remove).unwrap();
}

#[test]
fn a_withdrawal_takes_a_balance_that_covers_the_fee_too() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let refusal = ledger.refusal(&now(person, card, "withdraw-1", 100_000));
    assert_eq!(refusal, Refusal::InsufficientBalance { short_by: fen(100) });
    assert!(ledger.submit(&tomorrow(person, card, "withdraw-2", 100_000)).is_ok(), "which is free");
    let refusal = ledger.refusal(&tomorrow(person, card, "withdraw-3", 100));
    assert_eq!(refusal, Refusal::InsufficientBalance { short_by: fen(100) }, "what is held is not spent");
}

#[test]
fn a_withdrawal_takes_the_payment_password() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let wrong = StartWithdrawal { confirmed: pin(WRONG).into(), ..now(person, card, "withdraw-1", 100) };
    assert_eq!(ledger.submit(&wrong), Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    assert_eq!(ledger.balance_of(person), 100_000);
    assert!(ledger.all::<Withdrawal>().is_empty() && ledger.all::<Attempt>().len() == 1);
}

#[test]
fn a_day_has_its_most_and_its_number_of_withdrawals() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let most = fen(60_000);
    ledger.policy.withdraw_day_most = most;
    ledger.policy.withdrawals_a_day = 2;
    let first = ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
    let over = tomorrow(person, card, "withdraw-2", 10_001);
    assert_eq!(ledger.refusal(&over), Refusal::DayWithdrawalsReached { most, left: fen(10_000) });
    ledger.submit(&tomorrow(person, card, "withdraw-3", 10_000)).unwrap();
    let more = tomorrow(person, card, "withdraw-4", 100);
    assert_eq!(ledger.refusal(&more), Refusal::TooManyWithdrawals { most: 2 });
    ledger.submit(&cancel(person, "withdraw-1")).unwrap();
    assert_eq!(stands(&mut ledger, first.id).state, WithdrawalState::Cancelled);
    ledger.submit(&more).unwrap();
    ledger.advance(DAY);
    ledger.submit(&tomorrow(person, card, "withdraw-5", 50_000)).unwrap();
}

#[test]
fn what_comes_to_nothing_on_a_later_day_gives_that_day_nothing() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
    ledger.advance(DAY);
    ledger.submit(&tomorrow(person, card, "withdraw-2", 10_000)).unwrap();
    ledger.submit(&cancel(person, "withdraw-1")).unwrap();
    let tally = ledger.get::<MoneyTally>(&person).unwrap();
    assert_eq!((tally.withdrawn, tally.withdrawals), (fen(10_000), 1));
}

#[test]
fn a_day_has_its_most_of_top_ups() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let most = fen(120_000);
    ledger.policy.top_up_day_most = most;
    let over = top_up(person, card, "top-up-1", 20_001);
    assert_eq!(ledger.refusal(&over), Refusal::DayTopUpsReached { most, left: fen(20_000) });
    let within = ledger.submit(&top_up(person, card, "top-up-2", 20_000)).unwrap();
    let more = top_up(person, card, "top-up-3", 1);
    assert_eq!(ledger.refusal(&more), Refusal::DayTopUpsReached { most, left: fen(0) });
    ledger.fail(within.id, NetworkRefusal::Refused);
    assert!(ledger.submit(&more).is_ok(), "what came to nothing is given back");
}

#[test]
fn a_top_up_pays_the_fee_it_was_asked_for_with() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.policy.top_up_fee = RatePpm::new(6_000).unwrap();
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 10_000)).unwrap();
    ledger.policy.top_up_fee = RatePpm::new(0).unwrap();
    ledger.succeed(attempt.id);
    assert_eq!((ledger.balance_of(person), ledger.balance(AccountId::fees())), (109_940, 60));
    assert_eq!(ledger.balance(CLEARING), 110_000);
    ledger.audit();
}

#[test]
fn a_fee_rounds_half_up_and_is_no_less_than_the_least() {
    let policy = Policy::default();
    let fee = |minor| policy.withdrawal_fee(Speed::RealTime, fen(minor)).minor();
    assert_eq!([1, 10_000, 10_499, 10_500, 11_499, 11_500].map(fee), [10, 10, 10, 11, 11, 12]);
    assert_eq!(policy.withdrawal_fee(Speed::NextDay, fen(500_000)), fen(0), "no rate, no least");
}

/// Cancelling and sending meet: whichever the batch decides first counts, and money goes one way.
#[test]
fn cancelling_and_sending_at_once_move_the_money_once() {
    for cancelled_first in [false, true] {
        for habit in [Habit::Keep, Habit::Forget, Habit::Trickle] {
            let mut ledger = Ledger::with(habit);
            let (person, card) = holder(&mut ledger);
            let asked = ledger.submit(&tomorrow(person, card, "withdraw-1", 50_000)).unwrap();
            ledger.advance(DAY);
            let send = SendWithdrawals { withdrawals: vec![asked.id] };
            if cancelled_first {
                ledger.submit(&cancel(person, "withdraw-1")).unwrap();
                ledger.submit(&send).unwrap();
                assert_eq!(ledger.balance_of(person), 100_000);
            } else {
                ledger.submit(&send).unwrap();
                assert_eq!(ledger.submit(&cancel(person, "withdraw-1")), Err(Refusal::WithdrawalSent));
                let attempt = stands(&mut ledger, asked.id).attempt.unwrap();
                assert_eq!(ledger.succeed(attempt).state, AttemptState::Succeeded);
                assert_eq!(ledger.balance_of(person), 50_000);
            }
            ledger.audit();
        }
    }
}

proptest! {
    #[test]
    fn all_is_the_most_that_a_balance_covers_with_its_fee(
        balance in prop_oneof![0..2_000_i64, 0..10_000_000_i64, Just(i64::MAX)],
        ppm in prop_oneof![Just(0_u32), 0..20_000_u32, Just(1_000_000_u32)],
        least in 0..500_i64,
    ) {
        let withdraw_fee = RatePpm::new(ppm).unwrap();
        let policy = Policy { withdraw_fee, withdraw_fee_least: fen(least), ..Policy::default() };
        let with_fee = |minor: i64| {
            i128::from(minor) + i128::from(policy.withdrawal_fee(Speed::RealTime, fen(minor)).minor())
        };
        let most = policy.most_withdrawable(Speed::RealTime, fen(balance)).minor();
        prop_assert!(most == 0 || with_fee(most) <= i128::from(balance));
        if most < i64::MAX {
            prop_assert!(i128::from(balance) < with_fee(most + 1));
        }
    }
}
