//! One-time codes, registering and signing in.

use koudai_core::identity::{Contact, Phone};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Message, Person, Session};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{MessageDone, MessageFailed, RequestCode, SignIn, SignOut};
use koudai_core::state::Event;
use koudai_core::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};

use crate::fixture::{Ledger, REQUEST, START};

fn phone() -> Phone {
    Phone::parse("13800138000").expect("a phone")
}

fn ask() -> RequestCode {
    RequestCode::new(Contact::Phone(phone()), REQUEST)
}

fn sign_in(code: Secret<String>) -> SignIn {
    SignIn::new(Contact::Phone(phone()), code, REQUEST, [3; 32])
}

/// Six digits that are not the code.
fn wrong(ledger: &mut Ledger) -> Secret<String> {
    let right: u32 = ledger.code(&phone()).expose().parse().expect("six digits");
    Secret::new(format!("{:06}", (right + 1) % 1_000_000))
}

#[test]
fn a_second_code_within_the_minute_is_too_soon_and_says_how_long() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.submit(&ask()), Ok(60));
    ledger.advance(10 * SECOND + 1);
    assert_eq!(ledger.refusal(&ask()), Refusal::CodeTooSoon { wait_s: 50 }, "a begun second counts whole");
    ledger.advance(50 * SECOND - 1);
    assert_eq!(ledger.submit(&ask()), Ok(60));
}

#[test]
fn a_sixth_code_within_the_hour_is_too_many() {
    let mut ledger = Ledger::new();
    for _ in 0..5 {
        ledger.submit(&ask()).unwrap();
        ledger.advance(MINUTE);
    }
    assert_eq!(ledger.refusal(&ask()), Refusal::TooManyCodes { wait_s: 55 * 60 });
    ledger.advance(55 * MINUTE);
    assert_eq!(ledger.submit(&ask()), Ok(60));
}

#[test]
fn an_eleventh_code_on_a_day_waits_for_midnight_in_china() {
    let mut ledger = Ledger::new();
    ledger.now = Timestamp((START.china_day() + 1) * DAY - 8 * HOUR);
    for _ in 0..10 {
        ledger.submit(&ask()).unwrap();
        ledger.advance(13 * MINUTE);
    }
    assert_eq!(ledger.refusal(&ask()), Refusal::TooManyCodes { wait_s: (24 * 60 - 130) * 60 });
    ledger.advance((24 * 60 - 130) * MINUTE);
    assert_eq!(ledger.submit(&ask()), Ok(60));
}

#[test]
fn a_wrong_code_counts_down_and_the_fifth_voids_it() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let wrong = wrong(&mut ledger);
    for tries_left in [4, 3, 2, 1, 0] {
        assert_eq!(ledger.submit(&sign_in(wrong.clone())), Err(Refusal::CodeWrong { tries_left }));
    }
    let right = ledger.code(&phone());
    assert_eq!(ledger.refusal(&sign_in(right)), Refusal::CodeExpired, "even the right one is void now");
}

#[test]
fn a_code_of_another_length_is_wrong_and_nothing_worse() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let outcome = ledger.submit(&sign_in(Secret::new(String::new())));
    assert_eq!(outcome, Err(Refusal::CodeWrong { tries_left: 4 }));
}

#[test]
fn a_code_never_sent_is_expired() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.refusal(&sign_in(Secret::new("000000".to_owned()))), Refusal::CodeExpired);
}

#[test]
fn a_code_ends_after_five_minutes() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let code = ledger.code(&phone());
    ledger.advance(5 * MINUTE);
    assert_eq!(ledger.refusal(&sign_in(code.clone())), Refusal::CodeExpired);
    ledger.advance(-1);
    assert!(ledger.submit(&sign_in(code)).is_ok());
}

#[test]
fn a_code_is_good_once() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let code = ledger.code(&phone());
    ledger.submit(&sign_in(code.clone())).unwrap();
    assert_eq!(ledger.refusal(&sign_in(code)), Refusal::CodeExpired);
}

#[test]
fn a_new_code_replaces_the_old_one() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let old = ledger.code(&phone());
    ledger.advance(MINUTE);
    ledger.submit(&ask()).unwrap();
    let new = ledger.code(&phone());
    assert_ne!(old, new);
    assert_eq!(ledger.submit(&sign_in(old)), Err(Refusal::CodeWrong { tries_left: 4 }));
    assert!(ledger.submit(&sign_in(new)).is_ok());
}

#[test]
fn the_first_sign_in_registers_and_the_next_finds_the_same_person() {
    let mut ledger = Ledger::new();
    let first = ledger.person_with_pin("13800138000");
    ledger.advance(MINUTE);
    assert_eq!(ledger.submit(&ask()), Ok(60), "a known number gets the same answer as an unknown one");
    let code = ledger.code(&phone());
    let second = ledger.submit(&sign_in(code)).unwrap();
    assert_eq!((second.person, second.has_payment_password), (first, true));
    assert_eq!(ledger.all::<Person>().len(), 1);
    let session = ledger.get::<Session>(&[3; 32]).unwrap();
    assert_eq!((session.person, session.expires_at), (first, ledger.now.plus(30 * DAY)));
}

#[test]
fn signing_out_ends_the_session_and_twice_is_no_error() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let code = ledger.code(&phone());
    ledger.submit(&sign_in(code)).unwrap();
    for _ in 0..2 {
        assert_eq!(ledger.submit(&SignOut { token_hash: [3; 32] }), Ok(()));
        assert_eq!(ledger.get::<Session>(&[3; 32]), None);
    }
}

#[test]
fn a_message_is_tried_again_until_its_code_is_void() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    ledger.commit();
    let message = ledger.all::<Message>().remove(0);
    assert_eq!(ledger.events, [Event::MessageDue(message.id)]);
    let mut waits = vec![];
    while let Some(row) = ledger.get::<Message>(&message.id) {
        ledger.now = ledger.now.max(row.next_at);
        waits.push(row.next_at.since(START) / SECOND);
        ledger.submit(&MessageFailed { message: message.id }).unwrap();
    }
    assert_eq!(waits, [0, 2, 6, 14, 30, 62, 126, 190, 254], "the gap doubles up to 64 seconds");
    assert_eq!(ledger.submit(&MessageFailed { message: message.id }), Ok(()), "it is gone");
}

#[test]
fn a_message_handed_over_is_forgotten() {
    let mut ledger = Ledger::new();
    ledger.submit(&ask()).unwrap();
    let message = ledger.all::<Message>().remove(0).id;
    for _ in 0..2 {
        assert_eq!(ledger.submit(&MessageDone { message }), Ok(()));
        assert!(ledger.all::<Message>().is_empty());
    }
}
