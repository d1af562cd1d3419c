//! Topping up, and the outcomes of calls to networks.

use koudai_core::attempt::{AttemptUnknown, EndAttempt, HearOfAttempt, Outcome};
use koudai_core::binding::RemoveCard;
use koudai_core::id::{AttemptId, CardId, PersonId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{AttemptState, NetworkRefusal, OpenAttempt};
use koudai_core::state::Event;
use koudai_core::time::SECOND;
use koudai_core::top_up::StartTopUp;

use crate::fixture::{Freeze, Ledger, PIN, WRONG, fen, pin, top_up};

fn holder(ledger: &mut Ledger) -> (PersonId, CardId) {
    let person = ledger.person_with_pin("13800138000");
    (person, ledger.card(person))
}

#[test]
fn money_arrives_when_the_bank_has_paid_and_not_before() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.commit();
    ledger.events.clear();
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 10_000)).unwrap();
    assert_eq!((attempt.state, attempt.epoch), (AttemptState::Open, 1));
    assert_eq!(ledger.balance_of(person), 0);
    let open = ledger.get::<OpenAttempt>(&attempt.id).unwrap();
    assert_eq!((open.next_at, open.send_until), (ledger.now, ledger.now.plus(90 * SECOND)));
    let ended = ledger.succeed(attempt.id);
    assert_eq!((ended.state, ended.network_ref.as_deref()), (AttemptState::Succeeded, Some("bank-1")));
    assert_eq!(ledger.balance_of(person), 10_000);
    assert_eq!(ledger.balance(AccountId::clearing(ISSUER_NETWORK)), 10_000, "the bank owes what we owe");
    assert_eq!(ledger.get::<OpenAttempt>(&attempt.id), None);
    assert_eq!(ledger.journals()[0].kind, JournalKind::TopUp);
    ledger.commit();
    assert_eq!(ledger.events, [Event::AttemptOpened(attempt.id), Event::AttemptEnded(attempt.id)]);
    ledger.audit();
}

#[test]
fn a_refused_top_up_moves_nothing() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 10_000)).unwrap();
    let ended = ledger.fail(attempt.id, NetworkRefusal::InsufficientFunds);
    assert_eq!((ended.state, ended.refusal), (AttemptState::Failed, Some(NetworkRefusal::InsufficientFunds)));
    assert!(ledger.journals().is_empty());
}

#[test]
fn a_second_outcome_changes_nothing() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 10_000)).unwrap().id;
    let ended = ledger.succeed(attempt);
    for outcome in
        [Outcome::Succeeded { network_ref: "again".to_owned() }, Outcome::Failed(NetworkRefusal::Refused)]
    {
        let (again, changed) = ledger.effect(&EndAttempt { attempt, outcome });
        assert_eq!(again, Ok(ended.clone()));
        assert!(!changed);
    }
}

#[test]
fn an_outcome_of_nothing_known_is_refused() {
    let mut ledger = Ledger::new();
    let end = EndAttempt { attempt: AttemptId(16), outcome: Outcome::Failed(NetworkRefusal::Refused) };
    assert_eq!(ledger.refusal(&end), Refusal::RecordUnknown);
}

#[test]
fn an_uncertain_try_is_repeated_ever_less_often() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 10_000)).unwrap().id;
    let mut gaps = vec![];
    for _ in 0..12 {
        let due = ledger.get::<OpenAttempt>(&attempt).unwrap().next_at;
        ledger.submit(&AttemptUnknown { attempt, due }).unwrap();
        let open = ledger.get::<OpenAttempt>(&attempt).unwrap();
        gaps.push(open.next_at.since(ledger.now) / SECOND);
        ledger.now = open.next_at;
    }
    assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    ledger.succeed(attempt);
    let (late, changed) = ledger.effect(&AttemptUnknown { attempt, due: ledger.now });
    assert_eq!((late, changed), (Ok(()), false), "an ended attempt is asked about no more");
}

#[test]
fn the_same_number_is_the_same_top_up() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let second_card = ledger.card(person);
    let first = ledger.submit(&top_up(person, card, "top-up-1", 10_000)).unwrap();
    let (again, changed) = ledger.effect(&top_up(person, card, "top-up-1", 10_000));
    assert_eq!((again, changed), (Ok(first.clone()), false));
    assert_eq!(ledger.refusal(&top_up(person, card, "top-up-1", 10_001)), Refusal::NumberReused);
    assert_eq!(ledger.refusal(&top_up(person, second_card, "top-up-1", 10_000)), Refusal::NumberReused);
    let ended = ledger.succeed(first.id);
    let (late, changed) = ledger.effect(&top_up(person, card, "top-up-1", 10_000));
    assert_eq!((late, changed), (Ok(ended), false), "and answers how it stands by now");
}

#[test]
fn two_persons_may_choose_the_same_number() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let other = ledger.person_with_pin("13900139000");
    let others_card = ledger.card(other);
    let one = ledger.submit(&top_up(person, card, "top-up-1", 100)).unwrap();
    let two = ledger.submit(&top_up(other, others_card, "top-up-1", 100)).unwrap();
    assert_ne!(one.id, two.id);
}

#[test]
fn nobody_tops_up_without_an_account() {
    let mut ledger = Ledger::new();
    let start = top_up(PersonId(1 << 62), CardId(16), "top-up-1", 100);
    assert_eq!(ledger.refusal(&start), Refusal::SignedOut);
}

#[test]
fn a_frozen_account_is_not_topped_up() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    ledger.submit(&Freeze(person)).unwrap();
    assert_eq!(ledger.refusal(&top_up(person, card, "top-up-1", 100)), Refusal::AccountFrozen);
}

#[test]
fn money_already_on_its_way_still_arrives_at_a_frozen_account() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 100)).unwrap().id;
    ledger.submit(&Freeze(person)).unwrap();
    ledger.succeed(attempt);
    assert_eq!(ledger.balance_of(person), 100);
}

#[test]
fn a_top_up_lies_within_the_operators_bounds() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let (least, most) = (ledger.policy.top_up_least, ledger.policy.top_up_most);
    for minor in [0, 5_000_001] {
        let refusal = ledger.refusal(&top_up(person, card, "top-up-1", minor));
        assert_eq!(refusal, Refusal::AmountOutOfRange { least, most });
    }
    for (number, minor) in [("top-up-2", 1), ("top-up-3", 5_000_000)] {
        assert!(ledger.submit(&top_up(person, card, number, minor)).is_ok());
    }
}

#[test]
fn a_top_up_needs_a_card_of_ones_own() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let other = ledger.person_with_pin("13900139000");
    assert_eq!(ledger.refusal(&top_up(other, card, "top-up-1", 100)), Refusal::CardUnknown);
    assert_eq!(ledger.refusal(&top_up(person, CardId(16), "top-up-1", 100)), Refusal::CardUnknown);
    ledger.submit(&RemoveCard { person, card, pin: pin(PIN) }).unwrap();
    assert_eq!(ledger.refusal(&top_up(person, card, "top-up-1", 100)), Refusal::CardUnknown);
}

#[test]
fn a_top_up_takes_the_payment_password() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let start = StartTopUp {
        person,
        number: "top-up-1".to_owned(),
        card,
        at: None,
        amount: fen(100),
        confirmed: pin(WRONG).into(),
    };
    assert_eq!(ledger.submit(&start), Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    assert!(ledger.all::<OpenAttempt>().is_empty());
}

#[test]
fn an_attempt_that_its_network_has_news_of_is_asked_about_at_once_unless_it_is_over() {
    let mut ledger = Ledger::new();
    let (person, card) = holder(&mut ledger);
    let attempt = ledger.submit(&top_up(person, card, "top-up-1", 100)).unwrap().id;
    let hear = HearOfAttempt { attempt };
    assert!(!ledger.effect(&hear).1, "it is due as it is");
    let due = ledger.now;
    ledger.submit(&AttemptUnknown { attempt, due }).unwrap();
    let next = due.plus(1_000);
    assert_eq!(ledger.all::<OpenAttempt>()[0].next_at, next);
    ledger.now = due.plus(10);
    ledger.submit(&hear).unwrap();
    assert_eq!(ledger.all::<OpenAttempt>()[0].next_at, ledger.now);
    // A try that had begun before the news says nothing of it.
    assert!(!ledger.effect(&AttemptUnknown { attempt, due: next }).1);
    ledger.succeed(attempt);
    assert!(!ledger.effect(&hear).1, "what is over stays so");
    assert!(!ledger.effect(&HearOfAttempt { attempt: AttemptId(16) }).1);
}
