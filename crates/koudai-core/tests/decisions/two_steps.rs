//! Two-step verification: on a device that is new and as proof, by an app, by codes and by recovery codes, and never bypassed.

use hmac::{Hmac, KeyInit, Mac};
use koudai_core::binding::RemoveCard;
use koudai_core::id::PersonId;
use koudai_core::payment_password::{ProveForReset, RequestReset};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Card, CodePurpose, HalfSession, Person, SecondStep, Session};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    Asker, ConfirmApp, FinishSignIn, HALF_SESSION_LIFE_MS, OfferApp, PasswordAnswer, ProveByCode,
    ProveBySecondStep, RECOVERY_CODES, RemoveApp, RemoveEmail, RenewRecoveryCodes, RequestCode, RequestProof,
    RequestSecondCode, SecondAnswer, SetLoginPassword, SetSecondByCode, SignIn, SignInByPasskey, SignedIn,
    SweepHalfSessions, SweepSessions, app_secret,
};
use koudai_core::time::{DAY, MINUTE, SECOND, Timestamp};
use sha1::Sha1;

use crate::fixture::{Ledger, PIN, REQUEST, pin};
use crate::guarding::{
    add_passkey, answer, asker, by_password, code, contact, give_email, house, other_than, password,
};

const PHONE: &str = "13800138000";
const EMAIL: &str = "anna@mail.example";
const SESSION: [u8; 32] = [0; 32];
const HALF: [u8; 32] = [41; 32];
const NEXT: [u8; 32] = [42; 32];

/// What an app with this secret shows at a moment, worked out here by RFC 6238 alone.
fn shown(secret: &[u8; 20], at: Timestamp) -> Secret<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("a key of any length");
    mac.update(&(at.0 / 30_000).to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let at = usize::from(mac[19] & 0xF);
    let number = u32::from_be_bytes(mac[at..at + 4].try_into().expect("four bytes")) & 0x7FFF_FFFF;
    Secret::new(format!("{:06}", number % 1_000_000))
}

fn person(ledger: &mut Ledger) -> PersonId {
    ledger.all::<Person>()[0].id
}

/// The secret of an app that was offered it, or has it.
fn secret(ledger: &mut Ledger) -> [u8; 20] {
    let person = person(ledger);
    let row = ledger.get::<SecondStep>(&person).expect("an app was offered");
    let nonce = row.app_offered.or(row.app).expect("an app was offered");
    *app_secret(&ledger.keys, person, &nonce).expose()
}

fn now_shown(ledger: &mut Ledger) -> Secret<String> {
    let (secret, now) = (secret(ledger), ledger.now);
    shown(&secret, now)
}

/// Sets an app up; the recovery codes.
pub(crate) fn set_up(ledger: &mut Ledger) -> Vec<Secret<String>> {
    ledger.submit(&OfferApp { session: SESSION }).expect("it was proved a moment ago");
    let code = now_shown(ledger);
    ledger.submit(&ConfirmApp { session: SESSION, code }).expect("the right code")
}

/// The first step on a device that is new.
fn first_step(ledger: &mut Ledger, who: &str) -> SignedIn {
    ledger.submit(&RequestCode::new(contact(who), REQUEST)).expect("a code is sent");
    let code = code(ledger, &contact(who), CodePurpose::SignIn);
    ledger.submit(&SignIn::new(contact(who), code, REQUEST, HALF)).expect("the right code")
}

fn finish(answer: SecondAnswer) -> FinishSignIn {
    FinishSignIn { half: HALF, answer, asker: Asker::default(), token_hash: NEXT }
}

#[test]
fn an_app_that_shows_its_code_is_asked_for_on_a_device_that_is_new() {
    let mut ledger = house();
    let codes = set_up(&mut ledger);
    assert_eq!(codes.len(), usize::from(RECOVERY_CODES));
    ledger.advance(MINUTE);
    let signed_in = first_step(&mut ledger, PHONE);
    assert!(signed_in.second_step);
    assert!(ledger.get::<Session>(&HALF).is_none(), "nobody is signed in yet");
    let right = now_shown(&mut ledger);
    let wrong = finish(SecondAnswer::App(other_than(&right)));
    assert_eq!(ledger.submit(&wrong), Err(Refusal::SecondStepWrong));
    let done = ledger.submit(&finish(SecondAnswer::App(right.clone()))).unwrap();
    assert!(!done.second_step);
    let session = ledger.get::<Session>(&NEXT).unwrap();
    assert_eq!((session.person, session.proven_at), (signed_in.person, ledger.now));
    assert!(ledger.all::<HalfSession>().is_empty());
    assert_eq!(ledger.refusal(&finish(SecondAnswer::App(right))), Refusal::SecondStepOver);
}

#[test]
fn a_code_of_the_app_is_good_once_and_within_half_a_minute_either_way() {
    let mut ledger = house();
    ledger.advance(MINUTE);
    set_up(&mut ledger);
    let used = now_shown(&mut ledger);
    first_step(&mut ledger, PHONE);
    let again = finish(SecondAnswer::App(used));
    assert_eq!(ledger.submit(&again), Err(Refusal::SecondStepWrong), "it set the app up");
    ledger.advance(MINUTE);
    let (secret, now) = (secret(&mut ledger), ledger.now);
    for off in [-60, 60] {
        let other = finish(SecondAnswer::App(shown(&secret, now.plus(off * SECOND))));
        assert_eq!(ledger.submit(&other), Err(Refusal::SecondStepWrong), "{off} s off");
    }
    let ahead = shown(&secret, now.plus(30 * SECOND));
    ledger.submit(&finish(SecondAnswer::App(ahead))).expect("a clock that is half a minute fast");
    ledger.advance(DAY);
    first_step(&mut ledger, PHONE);
    let now = ledger.now;
    let behind = shown(&secret, now.plus(-30 * SECOND));
    ledger.submit(&finish(SecondAnswer::App(behind))).expect("or slow");
}

#[test]
fn second_steps_are_not_guessed() {
    let mut ledger = house();
    let recovery = set_up(&mut ledger);
    ledger.advance(MINUTE);
    first_step(&mut ledger, PHONE);
    let wrong = other_than(&now_shown(&mut ledger));
    for n in 0..5 {
        let way = if n % 2 == 0 { SecondAnswer::App } else { SecondAnswer::Recovery };
        assert_eq!(ledger.submit(&finish(way(wrong.clone()))), Err(Refusal::SecondStepWrong));
    }
    let right = now_shown(&mut ledger);
    let paused = Refusal::SecondStepPaused { wait_s: 900 };
    assert_eq!(ledger.refusal(&finish(SecondAnswer::App(right))), paused, "the right one waits as well");
    assert_eq!(ledger.refusal(&finish(SecondAnswer::Recovery(recovery[0].clone()))), paused);
    // A hundred in a row, however slowly: from then on the app's codes are not looked at.
    let mut tried = 3;
    while tried < 100 {
        ledger.advance(DAY);
        first_step(&mut ledger, PHONE);
        for _ in 0..5 {
            let wrong = other_than(&now_shown(&mut ledger));
            ledger.submit(&finish(SecondAnswer::App(wrong))).unwrap_err();
            tried += 1;
        }
    }
    ledger.advance(DAY);
    first_step(&mut ledger, PHONE);
    let right = now_shown(&mut ledger);
    assert_eq!(ledger.submit(&finish(SecondAnswer::App(right))), Err(Refusal::SecondStepWrong));
    ledger.submit(&finish(SecondAnswer::Recovery(recovery[0].clone()))).expect("nobody guesses these");
}

#[test]
fn a_first_step_waits_ten_minutes_for_the_second_and_is_swept_after() {
    let mut ledger = house();
    set_up(&mut ledger);
    ledger.advance(MINUTE);
    first_step(&mut ledger, PHONE);
    ledger.submit(&SweepHalfSessions { tokens: vec![HALF] }).unwrap();
    assert_eq!(ledger.all::<HalfSession>().len(), 1, "it may still be finished");
    ledger.advance(HALF_SESSION_LIFE_MS);
    let right = now_shown(&mut ledger);
    assert_eq!(ledger.refusal(&finish(SecondAnswer::App(right))), Refusal::SecondStepOver);
    ledger.submit(&SweepHalfSessions { tokens: vec![HALF] }).unwrap();
    assert!(ledger.all::<HalfSession>().is_empty());
}

#[test]
fn recovery_codes_work_once_each_and_new_ones_make_them_void() {
    let mut ledger = house();
    let codes = set_up(&mut ledger);
    let typed = format!(" {}-{} ", &codes[3].expose()[..5].to_lowercase(), &codes[3].expose()[5..]);
    for expected in [Ok(()), Err(Refusal::SecondStepWrong)] {
        ledger.advance(DAY);
        first_step(&mut ledger, PHONE);
        let answer = SecondAnswer::Recovery(Secret::new(typed.clone()));
        assert_eq!(ledger.submit(&finish(answer)).map(drop), expected);
    }
    let person = person(&mut ledger);
    assert_eq!(ledger.get::<SecondStep>(&person).unwrap().recovery_left(), 9);
    let renew = RenewRecoveryCodes { session: NEXT };
    assert_eq!(ledger.refusal(&renew), Refusal::ProofNeeded, "it was a day ago");
    let prove = ProveBySecondStep { session: NEXT, answer: SecondAnswer::Recovery(codes[0].clone()) };
    ledger.submit(&prove).unwrap();
    let new = ledger.submit(&renew).unwrap();
    assert_ne!(new[1].expose(), codes[1].expose());
    let old = ProveBySecondStep { session: NEXT, answer: SecondAnswer::Recovery(codes[1].clone()) };
    assert_eq!(ledger.submit(&old), Err(Refusal::SecondStepWrong));
    let fresh = ProveBySecondStep { session: NEXT, answer: SecondAnswer::Recovery(new[1].clone()) };
    ledger.submit(&fresh).unwrap();
    let all: Vec<&str> = codes.iter().chain(&new).map(|code| code.expose().as_str()).collect();
    assert!(all.iter().all(|code| code.len() == 10 && !code.contains(['0', '1', 'I', 'O'])), "{all:?}");
}

#[test]
fn codes_go_to_the_other_of_phone_and_address() {
    let mut ledger = house();
    let on = SetSecondByCode { session: SESSION, on: true };
    assert_eq!(ledger.refusal(&on), Refusal::SecondStepNeedsEmail);
    give_email(&mut ledger, EMAIL);
    assert_eq!(ledger.submit(&on).unwrap().len(), 10);
    assert_eq!(ledger.refusal(&RemoveEmail { session: SESSION }), Refusal::EmailIsSecondStep);
    for (first, second) in [(PHONE, EMAIL), (EMAIL, PHONE)] {
        ledger.advance(DAY);
        assert!(first_step(&mut ledger, first).second_step);
        ledger.submit(&RequestSecondCode { half: HALF, language: None }).unwrap();
        let sent = code(&mut ledger, &contact(second), CodePurpose::SecondStep);
        // The first step's own kind of code is no second step.
        let own = code(&mut ledger, &contact(first), CodePurpose::SignIn);
        assert!(ledger.submit(&finish(SecondAnswer::Code(own))).is_err());
        assert!(ledger.submit(&finish(SecondAnswer::Code(other_than(&sent)))).is_err());
        ledger.submit(&finish(SecondAnswer::Code(sent))).unwrap();
    }
    ledger.advance(DAY);
    first_step(&mut ledger, PHONE);
    let app = SecondAnswer::App(Secret::new("123456".to_owned()));
    assert_eq!(ledger.submit(&finish(app)), Err(Refusal::SecondStepWrong), "there is no app");
}

#[test]
fn without_codes_as_a_second_step_none_is_sent_and_none_counts() {
    let mut ledger = house();
    give_email(&mut ledger, EMAIL);
    set_up(&mut ledger);
    ledger.advance(MINUTE);
    first_step(&mut ledger, PHONE);
    let ask = RequestSecondCode { half: HALF, language: None };
    assert_eq!(ledger.refusal(&ask), Refusal::SecondStepWrong);
    let any = SecondAnswer::Code(Secret::new("123456".to_owned()));
    assert_eq!(ledger.refusal(&finish(any)), Refusal::SecondStepWrong);
    let unknown = RequestSecondCode { half: [3; 32], language: None };
    assert_eq!(ledger.refusal(&unknown), Refusal::SecondStepOver);
}

#[test]
fn a_known_device_and_a_passkey_are_not_asked_for_it_and_a_password_is() {
    let mut ledger = house();
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(9) }).unwrap();
    let now = ledger.now;
    ledger.submit(&add_passkey(1, 1, now)).unwrap();
    // This device is known from before.
    ledger.advance(MINUTE);
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).unwrap();
    let sent = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let own = asker("203.0.113.1", 1);
    let sign_in =
        |code, token_hash| SignIn { asker: own, ..SignIn::new(contact(PHONE), code, REQUEST, token_hash) };
    ledger.submit(&sign_in(sent, [50; 32])).unwrap();
    set_up(&mut ledger);

    ledger.advance(MINUTE);
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).unwrap();
    let sent = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    assert!(!ledger.submit(&sign_in(sent, [51; 32])).unwrap().second_step);
    let session = ledger.get::<Session>(&[51; 32]).unwrap();
    assert_eq!(session.proven_at, Timestamp(0), "which proves nothing that a change would take");

    let now = ledger.now;
    let by_key =
        SignInByPasskey { answer: answer(1, 9, 1, now), asker: Asker::default(), token_hash: [52; 32] };
    assert!(!ledger.submit(&by_key).unwrap().second_step, "it is two steps in one");
    assert_eq!(ledger.get::<Session>(&[52; 32]).unwrap().proven_at, now);

    ledger.advance(MINUTE);
    let there = by_password(PHONE, 9, asker("198.51.100.1", 7));
    assert!(matches!(ledger.submit(&there).unwrap(), PasswordAnswer::CodeSent { .. }));
    let sent = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let strange =
        SignIn { asker: asker("198.51.100.1", 7), ..SignIn::new(contact(PHONE), sent, REQUEST, HALF) };
    assert!(ledger.submit(&strange).unwrap().second_step, "a password and a code to the phone are not it");
}

#[test]
fn a_device_signed_in_on_before_there_were_two_steps_is_asked_once() {
    let mut ledger = house();
    let theirs = asker("198.51.100.1", 7);
    let sign_in = |ledger: &mut Ledger, token_hash| {
        ledger.advance(MINUTE);
        ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).unwrap();
        let sent = code(ledger, &contact(PHONE), CodePurpose::SignIn);
        let by = SignIn { asker: theirs, ..SignIn::new(contact(PHONE), sent, REQUEST, token_hash) };
        ledger.submit(&by).unwrap()
    };
    assert!(!sign_in(&mut ledger, [50; 32]).second_step);
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(9) }).unwrap();
    ledger.advance(MINUTE);
    set_up(&mut ledger);
    // Whoever signed in there with somebody's phone does not get in by it again, nor by their password.
    assert!(sign_in(&mut ledger, HALF).second_step);
    ledger.advance(MINUTE);
    let by_word = ledger.submit(&by_password(PHONE, 9, theirs)).unwrap();
    assert!(matches!(by_word, PasswordAnswer::CodeSent { .. }), "{by_word:?}");
    let right = now_shown(&mut ledger);
    let done = FinishSignIn { asker: theirs, ..finish(SecondAnswer::App(right)) };
    ledger.submit(&done).unwrap();
    assert!(!sign_in(&mut ledger, [51; 32]).second_step);
}

#[test]
fn a_first_step_by_mail_proves_nothing_though_the_second_was_done_away_with() {
    let mut ledger = house();
    give_email(&mut ledger, EMAIL);
    set_up(&mut ledger);
    ledger.advance(MINUTE);
    assert!(first_step(&mut ledger, EMAIL).second_step);
    ledger.submit(&RemoveApp { session: SESSION }).unwrap();
    let none = SecondAnswer::App(Secret::new("000000".to_owned()));
    ledger.submit(&finish(none)).unwrap();
    assert_eq!(ledger.get::<Session>(&NEXT).unwrap().proven_at, Timestamp(0));
}

#[test]
fn an_app_is_confirmed_in_the_session_it_was_offered_in_and_soon() {
    let mut ledger = house();
    ledger.submit(&OfferApp { session: SESSION }).unwrap();
    ledger.advance(MINUTE);
    first_step(&mut ledger, PHONE);
    let code = now_shown(&mut ledger);
    let elsewhere = ConfirmApp { session: HALF, code };
    assert_eq!(ledger.refusal(&elsewhere), Refusal::SecondStepOver, "somebody else knows this secret");
    ledger.advance(10 * MINUTE);
    ledger.submit(&RequestProof { session: SESSION, language: None }).unwrap();
    let proof = self::code(&mut ledger, &contact(PHONE), CodePurpose::Proof);
    ledger.submit(&ProveByCode { session: SESSION, code: proof }).unwrap();
    let code = now_shown(&mut ledger);
    assert_eq!(ledger.refusal(&ConfirmApp { session: SESSION, code }), Refusal::SecondStepOver);
}

#[test]
fn proof_takes_the_second_step_and_no_code_to_the_phone() {
    let mut ledger = house();
    give_email(&mut ledger, EMAIL);
    set_up(&mut ledger);
    ledger.advance(DAY);
    let ask = RequestProof { session: SESSION, language: None };
    assert_eq!(ledger.refusal(&ask), Refusal::SecondStepWrong, "no code of theirs would do");
    let by_phone = ProveByCode { session: SESSION, code: Secret::new("123456".to_owned()) };
    assert_eq!(ledger.refusal(&by_phone), Refusal::SecondStepWrong);
    assert_eq!(ledger.refusal(&RemoveApp { session: SESSION }), Refusal::ProofNeeded);
    let right = now_shown(&mut ledger);
    ledger.submit(&ProveBySecondStep { session: SESSION, answer: SecondAnswer::App(right) }).unwrap();

    ledger.submit(&SetSecondByCode { session: SESSION, on: true }).unwrap();
    ledger.submit(&RemoveApp { session: SESSION }).unwrap();
    ledger.advance(DAY);
    ledger.submit(&RequestProof { session: SESSION, language: None }).unwrap();
    let sent = code(&mut ledger, &contact(PHONE), CodePurpose::SecondStep);
    ledger.submit(&ProveBySecondStep { session: SESSION, answer: SecondAnswer::Code(sent) }).unwrap();
    let off = SetSecondByCode { session: SESSION, on: false };
    assert!(ledger.submit(&off).unwrap().is_empty());
    let person = person(&mut ledger);
    assert_eq!(ledger.get::<SecondStep>(&person).unwrap().recovery_left(), 0, "they are void without it");
    ledger.submit(&RemoveEmail { session: SESSION }).unwrap();
    ledger.advance(DAY);
    assert!(!first_step(&mut ledger, PHONE).second_step);
}

#[test]
fn an_app_counts_once_it_has_shown_a_code_and_the_one_before_until_then() {
    let mut ledger = house();
    let before = ConfirmApp { session: SESSION, code: Secret::new("123456".to_owned()) };
    assert_eq!(ledger.refusal(&before), Refusal::SecondStepOver, "nothing was offered");
    ledger.submit(&OfferApp { session: SESSION }).unwrap();
    ledger.advance(MINUTE);
    assert!(!first_step(&mut ledger, PHONE).second_step, "an app that was only offered");
    let right = now_shown(&mut ledger);
    let wrong = ConfirmApp { session: SESSION, code: other_than(&right) };
    assert_eq!(ledger.refusal(&wrong), Refusal::SecondStepWrong);
    ledger.submit(&ConfirmApp { session: SESSION, code: right }).unwrap();

    let old = secret(&mut ledger);
    ledger.submit(&OfferApp { session: SESSION }).unwrap();
    ledger.advance(MINUTE);
    first_step(&mut ledger, PHONE);
    let now = ledger.now;
    ledger.submit(&finish(SecondAnswer::App(shown(&old, now)))).expect("the one before goes on counting");
    let new = now_shown(&mut ledger);
    let codes = ledger.submit(&ConfirmApp { session: SESSION, code: new }).unwrap();
    assert!(codes.is_empty(), "the recovery codes stay");
    ledger.advance(MINUTE);
    first_step(&mut ledger, PHONE);
    let now = ledger.now;
    let gone = finish(SecondAnswer::App(shown(&old, now)));
    assert_eq!(ledger.submit(&gone), Err(Refusal::SecondStepWrong));
}

#[test]
fn a_payment_password_is_reset_by_all_of_it_where_there_are_two_steps() {
    let mut ledger = house();
    let person = person(&mut ledger);
    let card = ledger.card(person);
    let card_mac = ledger.get::<Card>(&card).unwrap().number_mac;
    set_up(&mut ledger);
    ledger.advance(DAY);
    ledger.submit(&RequestReset { session: SESSION, language: None }).unwrap();
    let sent = code(&mut ledger, &contact(PHONE), CodePurpose::PaymentPassword);
    let reset = ProveForReset { session: SESSION, code: sent, card_mac };
    assert_eq!(ledger.refusal(&reset), Refusal::ProofNeeded);
    let right = now_shown(&mut ledger);
    ledger.submit(&ProveBySecondStep { session: SESSION, answer: SecondAnswer::App(right) }).unwrap();
    ledger.submit(&reset).unwrap();
    let remove = RemoveCard { person, card, pin: pin(PIN) };
    assert_eq!(ledger.refusal(&remove), Refusal::PaymentPasswordNotSet, "and nothing else was given away");
}

#[test]
fn sessions_are_forgotten_a_day_after_they_ended_and_no_sooner() {
    let mut ledger = house();
    let life = ledger.policy.session_life_ms;
    let sweep = SweepSessions { tokens: vec![SESSION, [9; 32]] };
    ledger.advance(life + DAY - 1);
    ledger.submit(&sweep).unwrap();
    assert_eq!(ledger.all::<Session>().len(), 1);
    ledger.advance(1);
    ledger.submit(&sweep).unwrap();
    assert!(ledger.all::<Session>().is_empty());
}
