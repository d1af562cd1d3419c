//! Getting an account back, what a cool-down keeps from happening, and whom it tells: by the matrix of domain rule 6.

use koudai_core::cool_down::CoolDown;
use koudai_core::id::{OrderId, PersonId};
use koudai_core::identity::{Contact, Phone};
use koudai_core::order::OrderStanding;
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::{ProveForReset, RequestReset};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    AccountChange, Card, CodePurpose, FreezeRight, Message, Person, PhoneOwner, Recovery, RecoveryOf,
    Session, SignIns, Speed,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    Asker, BeginPhoneRecovery, BeginRecovery, FreezeByRight, ProveRecovery, RECOVERY_LIFE_MS,
    RecoverLoginPassword, RecoverPhone, RecoveryAnswer, RemovePasskey, RequestCode, RequestPhoneCode,
    RequestRecoveredPhone, RequestRecovery, SecondAnswer, SetFrozen, SetLoginPassword, SetPhone, SignIn,
    SignOut, SignedIn, SweepFreezeRights, SweepRecoveries, freeze_key, freeze_word,
};
use koudai_core::time::{DAY, HOUR, MINUTE, Timestamp};

use crate::fixture::{Cool, Ledger, PIN, REQUEST, WRONG, fen, pin, take, withdrawal};
use crate::guarding::{
    add_passkey, answer, asker, by_password, code, contact, give_email, house, other_than, password,
};
use crate::two_steps::set_up;

const PHONE: &str = "13800138000";
const NEW_PHONE: &str = "13900139000";
const EMAIL: &str = "anna@mail.example";
const SESSION: [u8; 32] = [0; 32];
const TOKEN: [u8; 32] = [51; 32];

fn phone(text: &str) -> Phone {
    Phone::parse(text).expect("a phone")
}

fn person(ledger: &mut Ledger) -> Person {
    ledger.all::<Person>().remove(0)
}

fn begin(ledger: &mut Ledger, who: &str) -> Result<Recovery, Refusal> {
    let ask =
        RequestRecovery { contact: contact(who), request: REQUEST, asker: Asker::default(), language: None };
    ledger.submit(&ask).expect("whoever asks is answered the same");
    let code = code(ledger, &contact(who), CodePurpose::Recovery);
    ledger.submit(&BeginRecovery { contact: contact(who), code, request: REQUEST, token_hash: TOKEN })
}

fn begin_phone(who: &str, hash: u8) -> BeginPhoneRecovery {
    let asker = Asker::default();
    BeginPhoneRecovery { contact: contact(who), tried: password(hash), asker, token_hash: TOKEN }
}

fn prove(answer: RecoveryAnswer) -> ProveRecovery {
    ProveRecovery { token: TOKEN, answer }
}

fn new_password(hash: u8) -> RecoverLoginPassword {
    RecoverLoginPassword { token: TOKEN, new: password(hash) }
}

/// What an account's holder was told, newest last, and where.
fn told(ledger: &mut Ledger) -> Vec<(String, AccountChange)> {
    let mut messages = ledger.all::<Message>();
    messages.sort_by_key(|message| message.id);
    let about = messages.iter().filter_map(|m| m.about.map(|about| (m.contact.text().to_owned(), about)));
    about.collect()
}

fn tell(about: AccountChange, to: &[&str]) -> Vec<(String, AccountChange)> {
    to.iter().map(|to| ((*to).to_owned(), about)).collect()
}

/// What shows the right that the newest message to a contact carries.
fn word_sent(ledger: &mut Ledger, to: &Contact) -> Secret<String> {
    let mut messages = ledger.all::<Message>();
    messages.retain(|message| message.contact == *to && message.about.is_some());
    let newest = messages.into_iter().max_by_key(|message| message.id).expect("somebody was told");
    freeze_word(&ledger.keys, to, &newest.nonce)
}

/// Signs the account's holder in by a code to their phone, in a session of their own, once another code may be asked for.
fn sign_in(ledger: &mut Ledger, session: u8, asker: Asker) -> SignedIn {
    ledger.advance(HOUR / 5);
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).expect("a code is sent");
    let code = code(ledger, &contact(PHONE), CodePurpose::SignIn);
    let sign_in = SignIn { asker, ..SignIn::new(contact(PHONE), code, REQUEST, [session; 32]) };
    ledger.submit(&sign_in).expect("the right code")
}

#[test]
fn a_forgotten_password_takes_the_phone_and_a_card_that_is_not_new() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    give_email(&mut ledger, EMAIL);
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    let card = ledger.card(id);
    let mac = ledger.get::<Card>(&card).unwrap().number_mac;
    sign_in(&mut ledger, 2, Asker::default());
    let before = told(&mut ledger).len();
    let begun = begin(&mut ledger, PHONE).unwrap();
    assert_eq!((begun.kind, begun.proven), (RecoveryOf::LoginPassword, false));
    assert_eq!(ledger.refusal(&new_password(2)), Refusal::RecoveryOver, "nothing but the phone was proved");
    let new_card = ledger.submit(&prove(RecoveryAnswer::Card(mac)));
    assert_eq!(new_card, Err(Refusal::CardNumberNotYours), "whoever has the phone may have bound it");
    ledger.advance(DAY);
    begin(&mut ledger, PHONE).unwrap();
    assert_eq!(ledger.submit(&prove(RecoveryAnswer::Card([9; 32]))), Err(Refusal::CardNumberNotYours));
    assert!(ledger.submit(&prove(RecoveryAnswer::Card(mac))).unwrap().proven);
    assert_eq!(ledger.refusal(&new_password(1)), Refusal::LoginPasswordReused);
    let until = ledger.submit(&new_password(2)).unwrap();
    assert_eq!(until, ledger.now.plus(DAY));
    assert!(ledger.all::<Session>().is_empty(), "everybody is signed out, and nobody is signed in by it");
    let row = person(&mut ledger);
    let safety = ledger.policy.safety;
    assert_eq!(row.cool_down(ledger.now, &safety), Some(CoolDown::Closed { until }));
    let both = tell(AccountChange::LoginPasswordRecovered, &[PHONE, EMAIL]);
    assert_eq!(told(&mut ledger)[before..], both);
    assert_eq!(ledger.refusal(&new_password(3)), Refusal::RecoveryOver, "it is good once");
    assert!(ledger.submit(&by_password(PHONE, 2, Asker::default())).is_ok());
    assert_eq!(ledger.submit(&by_password(PHONE, 1, Asker::default())), Err(Refusal::SignInWrong));
}

#[test]
fn five_wrong_cards_a_day_are_looked_at_however_often_it_is_begun() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    let card = ledger.card(id);
    let mac = ledger.get::<Card>(&card).unwrap().number_mac;
    ledger.advance(DAY);
    begin(&mut ledger, PHONE).unwrap();
    for n in 101..106 {
        assert_eq!(ledger.submit(&prove(RecoveryAnswer::Card([n; 32]))), Err(Refusal::CardNumberNotYours));
    }
    ledger.advance(MINUTE);
    begin(&mut ledger, PHONE).unwrap();
    let paused = ledger.refusal(&prove(RecoveryAnswer::Card(mac)));
    assert!(matches!(paused, Refusal::ResetPaused { .. }), "{paused:?}");
}

#[test]
fn without_card_and_passkey_the_phone_is_enough_and_an_address_is_not() {
    let mut ledger = house();
    give_email(&mut ledger, EMAIL);
    assert_eq!(begin(&mut ledger, EMAIL), Err(Refusal::RecoveryTakesPhone));
    assert!(begin(&mut ledger, PHONE).unwrap().proven);
    ledger.submit(&new_password(1)).unwrap();
    // With a card an address is enough beside it.
    let id = person(&mut ledger).id;
    let card = ledger.card(id);
    let mac = ledger.get::<Card>(&card).unwrap().number_mac;
    ledger.advance(DAY);
    assert!(!begin(&mut ledger, EMAIL).unwrap().proven);
    ledger.submit(&prove(RecoveryAnswer::Card(mac))).unwrap();
    ledger.submit(&new_password(2)).unwrap();
}

#[test]
fn a_passkey_does_in_the_place_of_a_card_if_it_is_theirs() {
    let mut ledger = house();
    let now = ledger.now;
    ledger.submit(&add_passkey(1, 1, now)).unwrap();
    ledger.person(NEW_PHONE);
    let theirs = koudai_core::sign_in::AddPasskey { session: [1; 32], ..add_passkey(2, 2, now) };
    ledger.submit(&theirs).unwrap();
    begin(&mut ledger, PHONE).unwrap();
    let now = ledger.now;
    let stranger = prove(RecoveryAnswer::Passkey(answer(2, 3, 0, now)));
    assert_eq!(ledger.refusal(&stranger), Refusal::PasskeyUnknown);
    let own = prove(RecoveryAnswer::Passkey(answer(1, 4, 0, now)));
    assert!(ledger.submit(&own).unwrap().proven);
    assert_eq!(ledger.refusal(&own), Refusal::PasskeyRefused, "an answer is good once");
}

#[test]
fn where_there_are_two_steps_neither_an_address_nor_a_card_gets_round_the_second() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    let card = ledger.card(id);
    let mac = ledger.get::<Card>(&card).unwrap().number_mac;
    give_email(&mut ledger, EMAIL);
    let codes = set_up(&mut ledger);
    ledger.advance(DAY);
    assert_eq!(begin(&mut ledger, EMAIL), Err(Refusal::RecoveryTakesPhone));
    begin(&mut ledger, PHONE).unwrap();
    assert_eq!(ledger.refusal(&prove(RecoveryAnswer::Card(mac))), Refusal::SecondStepWrong);
    let sent = SecondAnswer::Code(Secret::new("000000".to_owned()));
    assert_eq!(ledger.refusal(&prove(RecoveryAnswer::Second(sent))), Refusal::SecondStepWrong);
    let wrong = SecondAnswer::Recovery(Secret::new("AAAAAAAAAA".to_owned()));
    assert_eq!(ledger.submit(&prove(RecoveryAnswer::Second(wrong))), Err(Refusal::SecondStepWrong));
    assert_eq!(ledger.refusal(&new_password(1)), Refusal::RecoveryOver);
    let right = SecondAnswer::Recovery(codes[3].clone());
    assert!(ledger.submit(&prove(RecoveryAnswer::Second(right.clone()))).unwrap().proven);
    ledger.submit(&new_password(1)).unwrap();
    ledger.advance(DAY);
    begin(&mut ledger, PHONE).unwrap();
    assert_eq!(
        ledger.submit(&prove(RecoveryAnswer::Second(right))),
        Err(Refusal::SecondStepWrong),
        "a recovery code is good once"
    );
}

#[test]
fn whoever_asks_for_an_account_that_is_not_there_learns_nothing() {
    let mut ledger = house();
    let ask = |who| RequestRecovery {
        contact: contact(who),
        request: REQUEST,
        asker: asker("203.0.113.7", 9),
        language: None,
    };
    let known = ledger.submit(&ask(PHONE));
    for stranger in [NEW_PHONE, EMAIL] {
        assert_eq!(ledger.submit(&ask(stranger)), known);
        // The messenger sends this code to nobody; to have it all the same opens nothing.
        let sent = code(&mut ledger, &contact(stranger), CodePurpose::Recovery);
        let begin =
            BeginRecovery { contact: contact(stranger), code: sent, request: REQUEST, token_hash: TOKEN };
        assert_eq!(ledger.submit(&begin), Err(Refusal::CodeExpired));
    }
    assert_eq!(ledger.submit(&begin_phone(NEW_PHONE, 1)), Err(Refusal::SignInWrong));
    assert_eq!(
        ledger.submit(&begin_phone(PHONE, 1)),
        Err(Refusal::SignInWrong),
        "nor whether there is a password"
    );
    assert!(ledger.all::<Recovery>().is_empty());
}

#[test]
fn a_phone_that_is_lost_is_replaced_by_the_password_and_a_recovery_code() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    give_email(&mut ledger, EMAIL);
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    let codes = set_up(&mut ledger);
    ledger.advance(HOUR);
    let before = told(&mut ledger).len();
    let begun = ledger.submit(&begin_phone(EMAIL, 1)).unwrap();
    assert_eq!((begun.kind, begun.proven), (RecoveryOf::Phone, false));
    let ask = |phone| RequestRecoveredPhone { token: TOKEN, phone, asker: Asker::default(), language: None };
    assert_eq!(ledger.refusal(&ask(phone(NEW_PHONE))), Refusal::RecoveryOver, "the second proof is missing");
    ledger.submit(&prove(RecoveryAnswer::Second(SecondAnswer::Recovery(codes[0].clone())))).unwrap();
    assert_eq!(
        ledger.refusal(&new_password(2)),
        Refusal::RecoveryOver,
        "it is for the phone and nothing else"
    );
    ledger.submit(&ask(phone(NEW_PHONE))).unwrap();
    let sent = code(&mut ledger, &contact(NEW_PHONE), CodePurpose::NewPhone);
    let recover = |code| RecoverPhone { token: TOKEN, phone: phone(NEW_PHONE), code };
    let wrong = ledger.submit(&recover(other_than(&sent)));
    assert_eq!(wrong, Err(Refusal::CodeWrong { tries_left: 4 }));
    ledger.submit(&recover(sent.clone())).unwrap();
    let row = person(&mut ledger);
    assert_eq!((row.phone.digits(), row.cool_until), (NEW_PHONE, ledger.now.plus(DAY)));
    assert!(ledger.get::<PhoneOwner>(&phone(PHONE)).is_none());
    assert_eq!(ledger.get::<PhoneOwner>(&phone(NEW_PHONE)).map(|owner| owner.person), Some(id));
    assert!(ledger.all::<Session>().is_empty() && ledger.all::<Recovery>().is_empty());
    // Those who are told are where its holder could be reached before.
    assert_eq!(told(&mut ledger)[before..], tell(AccountChange::Phone, &[PHONE, EMAIL]));
    assert_eq!(ledger.refusal(&recover(sent)), Refusal::RecoveryOver);
}

#[test]
fn a_phone_that_is_lost_takes_the_staff_where_there_is_no_second_step_and_no_passkey() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    ledger.card(id);
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    ledger.advance(DAY);
    assert_eq!(ledger.submit(&begin_phone(PHONE, 1)), Err(Refusal::RecoveryTakesStaff));
    for _ in 0..5 {
        assert_eq!(ledger.submit(&begin_phone(PHONE, 2)), Err(Refusal::SignInWrong));
    }
    let paused = ledger.refusal(&begin_phone(PHONE, 1));
    assert!(matches!(paused, Refusal::SignInPaused { .. }), "tries here and at signing in are one count");
    let sign_in = by_password(PHONE, 1, Asker::default());
    assert!(matches!(ledger.refusal(&sign_in), Refusal::SignInPaused { .. }));
}

#[test]
fn a_recovery_ends_after_a_quarter_of_an_hour_and_with_the_account_frozen() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    begin(&mut ledger, PHONE).unwrap();
    ledger.submit(&SetFrozen { person: id, frozen: true }).unwrap();
    assert_eq!(ledger.refusal(&new_password(1)), Refusal::AccountFrozen);
    ledger.advance(MINUTE);
    assert_eq!(begin(&mut ledger, PHONE), Err(Refusal::AccountFrozen));
    ledger.submit(&SetFrozen { person: id, frozen: false }).unwrap();
    ledger.advance(MINUTE);
    begin(&mut ledger, PHONE).unwrap();
    let sweep = SweepRecoveries { tokens: vec![TOKEN] };
    ledger.advance(RECOVERY_LIFE_MS - 1);
    ledger.submit(&sweep).unwrap();
    assert_eq!(ledger.all::<Recovery>().len(), 1);
    ledger.advance(1);
    assert_eq!(ledger.refusal(&new_password(1)), Refusal::RecoveryOver);
    ledger.submit(&sweep).unwrap();
    assert!(ledger.all::<Recovery>().is_empty());
}

#[test]
fn another_phone_takes_a_code_to_it_and_ends_all_other_sessions() {
    let mut ledger = house();
    give_email(&mut ledger, EMAIL);
    sign_in(&mut ledger, 2, Asker::default());
    ledger.person(NEW_PHONE);
    let ask = |session: u8, number| RequestPhoneCode {
        session: [session; 32],
        phone: phone(number),
        asker: Asker::default(),
        language: None,
    };
    ledger.submit(&ask(2, NEW_PHONE)).expect("whether somebody has it is not told");
    let sent = code(&mut ledger, &contact(NEW_PHONE), CodePurpose::NewPhone);
    let set = |number, code| SetPhone { session: [2; 32], phone: phone(number), code };
    assert_eq!(ledger.submit(&set(NEW_PHONE, sent)), Err(Refusal::PhoneTaken));
    let other = "13900139001";
    ledger.submit(&ask(2, other)).unwrap();
    let sent = code(&mut ledger, &contact(other), CodePurpose::NewPhone);
    let before = told(&mut ledger).len();
    ledger.submit(&set(other, sent)).unwrap();
    assert!(ledger.get::<Session>(&SESSION).is_none());
    assert!(ledger.get::<Session>(&[2; 32]).is_some(), "the one it was done in goes on");
    assert_eq!(told(&mut ledger)[before..], tell(AccountChange::Phone, &[PHONE, EMAIL]));
    assert_eq!(person(&mut ledger).cool_until, ledger.now.plus(DAY));
    ledger.advance(6 * MINUTE);
    assert_eq!(ledger.refusal(&ask(2, PHONE)), Refusal::ProofNeeded);
    // Whoever gets the old number from their carrier gets an account of their own.
    let id = person(&mut ledger).id;
    assert_ne!(ledger.person(PHONE), id);
}

/// A holder with a card and this much, whose account is in a cool-down for a day from now on.
fn cooling(minor: i64) -> (Ledger, PersonId) {
    let mut ledger = Ledger::new();
    let id = ledger.person_with(PHONE, minor);
    ledger.submit(&Cool(id)).expect("they are there");
    (ledger, id)
}

fn pay(person: PersonId, order: OrderId, means: Means) -> Pay {
    Pay { person, order, means, confirmed: pin(PIN).into() }
}

#[test]
fn in_a_cool_down_nothing_is_withdrawn_and_then_little_to_cards_that_are_new() {
    let (mut ledger, id) = cooling(1_000_000);
    let (card, until) = (ledger.all::<Card>()[0].id, ledger.now.plus(DAY));
    let ask = |number: &str, minor| withdrawal(id, card, number, minor, Speed::NextDay);
    assert_eq!(ledger.refusal(&ask("early-001", 1_000)), Refusal::CoolingDown { until });
    ledger.advance(DAY);
    let (most, narrow_until) = (fen(100_000), until.plus(2 * DAY));
    let too_much = ledger.refusal(&ask("later-001", 100_001));
    let reached = |left| Refusal::CoolWithdrawalsReached { most, left: fen(left), until: narrow_until };
    assert_eq!(too_much, reached(100_000));
    ledger.submit(&ask("later-002", 60_000)).unwrap();
    assert_eq!(ledger.refusal(&ask("later-003", 40_001)), reached(40_000));
    ledger.submit(&ask("later-004", 40_000)).unwrap();
    ledger.advance(2 * DAY);
    ledger.submit(&ask("later-005", 200_000)).expect("it is over");
}

#[test]
fn after_the_first_day_a_card_that_is_old_takes_as_much_as_ever() {
    let mut ledger = Ledger::new();
    let id = ledger.person_with(PHONE, 1_000_000);
    let card = ledger.all::<Card>()[0].id;
    ledger.advance(30 * DAY);
    ledger.person_with_pin(NEW_PHONE);
    sign_in(&mut ledger, 7, asker("203.0.113.7", 1));
    sign_in(&mut ledger, 8, asker("203.0.113.8", 2));
    assert_eq!(person(&mut ledger).cool_until, ledger.now.plus(DAY));
    ledger.advance(DAY);
    ledger.submit(&withdrawal(id, card, "later-001", 200_000, Speed::NextDay)).unwrap();
}

#[test]
fn in_a_cool_down_little_is_spent_a_day_whatever_with() {
    let (mut ledger, id) = cooling(1_000_000);
    let (card, until) = (ledger.all::<Card>()[0].id, ledger.now.plus(DAY));
    let shop = ledger.merchant();
    let order = |ledger: &mut Ledger, number: &str, minor| ledger.order(shop, number, minor).id;
    let first = order(&mut ledger, "COOL-0001", 30_000);
    ledger.pay(id, first).unwrap();
    let second = order(&mut ledger, "COOL-0002", 20_001);
    let reached = |left| Refusal::CoolSpendingReached { most: fen(50_000), left: fen(left), until };
    assert_eq!(ledger.pay(id, second), Err(reached(20_000)));
    assert_eq!(ledger.submit(&pay(id, second, Means::Card(card))), Err(reached(20_000)));
    let third = order(&mut ledger, "COOL-0003", 20_000);
    let both = Means::Both { from_balance: fen(5_000), card };
    ledger.submit(&pay(id, third, both)).unwrap();
    let fourth = order(&mut ledger, "COOL-0004", 1);
    assert_eq!(ledger.pay(id, fourth), Err(reached(0)));
    // Another day in China begins at nothing, and after a day it is over.
    ledger.advance(DAY - 1);
    if ledger.now.china_day() != until.plus(-DAY).china_day() {
        ledger.pay(id, fourth).unwrap();
    }
    ledger.advance(1);
    let fifth = order(&mut ledger, "COOL-0005", 200_000);
    ledger.pay(id, fifth).unwrap();
}

#[test]
fn a_wrong_payment_password_counts_nothing_of_what_is_spent() {
    let (mut ledger, id) = cooling(1_000_000);
    let shop = ledger.merchant();
    let order = ledger.order(shop, "COOL-0001", 50_000).id;
    let wrong =
        koudai_core::payment::Pay { person: id, order, means: Means::Balance, confirmed: pin(WRONG).into() };
    assert_eq!(ledger.submit(&wrong), Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    ledger.pay(id, order).unwrap();
}

#[test]
fn in_a_cool_down_no_payment_by_a_shown_code_passes_unasked() {
    let mut ledger = Ledger::new();
    let (id, shown) = ledger.shower(PHONE, 100_000);
    let shop = ledger.merchant();
    ledger.submit(&Cool(id)).unwrap();
    let order = ledger.submit(&take(shop, "COOL-0001", 100, &shown)).unwrap();
    assert_eq!(order.standing(ledger.now), OrderStanding::Confirming);
    assert_eq!(ledger.balance_of(id), 100_000);
}

#[test]
fn the_first_device_is_nothing_new_and_the_next_is_told_of() {
    let mut ledger = house();
    give_email(&mut ledger, EMAIL);
    let before = told(&mut ledger).len();
    let first = asker("203.0.113.7", 1);
    assert!(sign_in(&mut ledger, 2, first).new_device);
    assert_eq!(told(&mut ledger).len(), before);
    assert_eq!(person(&mut ledger).cool_until, Timestamp(0));
    assert!(!sign_in(&mut ledger, 3, first).new_device);
    assert_eq!(told(&mut ledger).len(), before);
    // A program that names no device is none that is known.
    for (session, other) in [(4, asker("203.0.113.8", 2)), (5, Asker::default())] {
        let before = told(&mut ledger).len();
        ledger.advance(2 * DAY);
        sign_in(&mut ledger, session, other);
        assert_eq!(told(&mut ledger)[before..], tell(AccountChange::NewDevice, &[PHONE, EMAIL]));
        assert_eq!(person(&mut ledger).cool_until, ledger.now.plus(DAY));
    }
    // The operator may do without.
    ledger.policy.safety.cool_new_device_ms = 0;
    ledger.advance(2 * DAY);
    sign_in(&mut ledger, 6, asker("203.0.113.9", 3));
    assert!(person(&mut ledger).cool_until < ledger.now);
}

#[test]
fn the_oldest_session_ends_when_there_are_more_than_there_may_be() {
    let mut ledger = house();
    for session in 1..=5 {
        sign_in(&mut ledger, session, Asker::default());
    }
    let mut open: Vec<u8> = ledger.all::<Session>().iter().map(|row| row.token_hash[0]).collect();
    open.sort_unstable();
    assert_eq!(open, [1, 2, 3, 4, 5]);
    ledger.submit(&SignOut { token_hash: [2; 32] }).unwrap();
    sign_in(&mut ledger, 6, Asker::default());
    assert_eq!(ledger.all::<Session>().len(), 5, "one that was ended makes room");
    let id = person(&mut ledger).id;
    assert_eq!(ledger.get::<SignIns>(&id).unwrap().sessions.len(), 5 * 32);
}

#[test]
fn what_removes_a_factor_waits_for_the_first_day_of_a_cool_down() {
    let mut ledger = house();
    let now = ledger.now;
    ledger.submit(&add_passkey(1, 1, now)).unwrap();
    sign_in(&mut ledger, 2, asker("203.0.113.7", 1));
    sign_in(&mut ledger, 3, asker("203.0.113.8", 2));
    let until = person(&mut ledger).cool_until;
    let remove = RemovePasskey { session: [3; 32], id: [1; 32] };
    assert_eq!(ledger.refusal(&remove), Refusal::CoolingDown { until });
}

#[test]
fn what_its_holder_was_sent_freezes_an_account_once() {
    let mut ledger = house();
    let id = person(&mut ledger).id;
    give_email(&mut ledger, EMAIL);
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    let [by_phone, by_link] = [PHONE, EMAIL].map(|to| word_sent(&mut ledger, &contact(to)));
    assert_eq!((by_phone.expose().len(), by_link.expose().len()), (10, 26));
    let freeze = |number: Option<&str>, word: &Secret<String>| FreezeByRight {
        phone: number.map(phone),
        word: word.clone(),
        asker: asker("203.0.113.7", 1),
    };
    for wrong in [freeze(None, &by_phone), freeze(Some(NEW_PHONE), &by_phone), freeze(Some(PHONE), &by_link)]
    {
        assert_eq!(ledger.submit(&wrong), Err(Refusal::FreezeWordWrong));
    }
    assert!(!person(&mut ledger).frozen);
    ledger.submit(&freeze(Some(PHONE), &by_phone)).unwrap();
    assert!(person(&mut ledger).frozen);
    assert!(ledger.all::<Session>().is_empty());
    ledger.submit(&SetFrozen { person: id, frozen: false }).unwrap();
    assert_eq!(
        ledger.submit(&freeze(Some(PHONE), &by_phone)),
        Err(Refusal::FreezeWordWrong),
        "it is good once"
    );
    let typed = Secret::new(by_link.expose().to_lowercase());
    ledger.submit(&freeze(None, &typed)).unwrap();
    assert!(person(&mut ledger).frozen);
}

#[test]
fn a_right_to_freeze_lasts_a_day() {
    let mut ledger = house();
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    let word = word_sent(&mut ledger, &contact(PHONE));
    let key = freeze_key(&ledger.keys, Some(&phone(PHONE)), &word);
    ledger.advance(DAY);
    let late = FreezeByRight { phone: Some(phone(PHONE)), word, asker: Asker::default() };
    assert_eq!(ledger.submit(&late), Err(Refusal::FreezeWordWrong));
    assert!(ledger.get::<FreezeRight>(&key).is_some());
    ledger.submit(&SweepFreezeRights { keys: vec![key] }).unwrap();
    assert!(ledger.all::<FreezeRight>().is_empty());
}

#[test]
fn fifty_wrong_words_from_one_place_are_looked_at() {
    let mut ledger = house();
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    let word = word_sent(&mut ledger, &contact(PHONE));
    let from = |address: &str, word: &str| FreezeByRight {
        phone: Some(phone(PHONE)),
        word: Secret::new(word.to_owned()),
        asker: asker(address, 1),
    };
    for n in 0..50 {
        let address = format!("203.0.113.{n}");
        assert_eq!(ledger.submit(&from(&address, "AAAAAAAAAA")), Err(Refusal::FreezeWordWrong));
    }
    let paused = ledger.refusal(&from("203.0.113.99", word.expose()));
    assert_eq!(paused, Refusal::FreezePaused { wait_s: 900 });
    ledger.submit(&from("198.51.100.1", word.expose())).expect("elsewhere nobody is kept from it");
}

#[test]
fn nobody_is_told_of_the_same_kind_of_change_more_than_five_times_a_day() {
    let mut ledger = house();
    for hash in 1..=7 {
        let old = (hash > 1).then(|| password(hash - 1));
        ledger.submit(&SetLoginPassword { session: SESSION, old, new: password(hash) }).unwrap();
    }
    assert_eq!(told(&mut ledger).len(), 5);
    let now = ledger.now;
    ledger.submit(&add_passkey(1, 1, now)).unwrap();
    assert_eq!(told(&mut ledger).len(), 6, "what is of another kind is told all the same");
}

#[test]
fn a_payment_password_that_is_reset_begins_a_cool_down_and_ends_other_sessions() {
    let mut ledger = Ledger::new();
    let id = ledger.person_with_pin(PHONE);
    let card = ledger.card(id);
    let card_mac = ledger.get::<Card>(&card).unwrap().number_mac;
    ledger.advance(DAY);
    sign_in(&mut ledger, 2, Asker::default());
    ledger.submit(&RequestReset { session: SESSION, language: None }).unwrap();
    let sent = code(&mut ledger, &contact(PHONE), CodePurpose::PaymentPassword);
    ledger.submit(&ProveForReset { session: SESSION, code: sent, card_mac }).unwrap();
    assert_eq!(ledger.all::<Session>().len(), 1);
    assert_eq!(person(&mut ledger).cool_until, ledger.now.plus(DAY));
    assert_eq!(told(&mut ledger), tell(AccountChange::PaymentPasswordForgotten, &[PHONE]));
}
