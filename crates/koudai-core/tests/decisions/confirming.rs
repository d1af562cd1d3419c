//! Confirming by a passkey, and payment passwords that are changed and reset.

use koudai_core::binding::RemoveCard;
use koudai_core::confirmation::{Act, Confirmation, LetPasskeyPay, PasskeySigned};
use koudai_core::id::{CardId, OrderId, PersonId};
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::{ProveForChange, ProveForReset, RenewPaymentPassword, RequestReset};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Allowance, Card, CodePurpose, OrderState, Passkey, PaymentPassword, Session, Speed, UsedChallenge,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{RequestCode, SignIn};
use koudai_core::time::{DAY, MINUTE};
use koudai_core::top_up::StartTopUp;
use koudai_core::withdrawal::StartWithdrawal;

use crate::fixture::{Freeze, Ledger, PIN, REQUEST, WRONG, fen, pin, top_up, withdrawal};
use crate::guarding::{add_passkey, answer, code, contact, other_than};

const PHONE: &str = "13800138000";
const SESSION: [u8; 32] = [0; 32];
const NEW: &str = "864297";

/// A person with 100.00, a card, and a passkey that may pay.
fn payer() -> (Ledger, PersonId, CardId) {
    let mut ledger = Ledger::new();
    let person = ledger.person_with_pin(PHONE);
    let card = ledger.card(person);
    ledger.fund(person, card, 10_000);
    let now = ledger.now;
    ledger.submit(&add_passkey(1, 100, now)).expect("it was proved a moment ago");
    let allow = LetPasskeyPay { person, passkey: [1; 32], pin: Some(pin(PIN)) };
    ledger.submit(&allow).expect("the right password");
    (ledger, person, card)
}

/// What passkey `n` answered to challenge number `challenge`, made for this act of this person.
fn signed(ledger: &Ledger, n: u8, challenge: u8, person: PersonId, act: &Act<'_>) -> Confirmation {
    let answer = answer(n, challenge, 0, ledger.now);
    Confirmation::Passkey(Box::new(PasskeySigned { answer, covers: act.digest(person) }))
}

fn pay(person: PersonId, order: OrderId, means: Means, confirmed: Confirmation) -> Pay {
    Pay { person, order, means, confirmed }
}

#[test]
fn a_passkey_pays_what_it_signed_and_nothing_else() {
    let (mut ledger, person, card) = payer();
    let mchid = ledger.merchant();
    let shops = [ledger.order(mchid, "order-1", 1_000), ledger.order(mchid, "order-2", 1_000)];
    let dear = ledger.order(mchid, "order-3", 1_001);
    let other = ledger.merchant();
    let elsewhere = ledger.order(other, "order-1", 1_000);
    let both = Means::Both { from_balance: fen(400), card };
    let signed_for = signed(&ledger, 1, 1, person, &Act::pay(&shops[0], &Means::Balance));
    for (order, means) in [
        (&shops[1], Means::Balance),
        (&dear, Means::Balance),
        (&elsewhere, Means::Balance),
        (&shops[0], Means::Card(card)),
        (&shops[0], both.clone()),
    ] {
        let replayed = pay(person, order.id, means.clone(), signed_for.clone());
        assert_eq!(ledger.effect(&replayed), (Err(Refusal::PasskeyRefused), false), "{means:?}");
    }
    let paid = ledger.submit(&pay(person, shops[0].id, Means::Balance, signed_for.clone())).unwrap();
    assert_eq!(paid.state, OrderState::Paid);
    assert_eq!(ledger.get::<Passkey>(&[1; 32]).unwrap().used_at, Some(ledger.now));
    assert_eq!(ledger.all::<UsedChallenge>().len(), 2, "of adding it, and of paying");
    // The same payment sent again is the same payment.
    let again = pay(person, shops[0].id, Means::Balance, signed_for);
    assert_eq!(ledger.effect(&again), (Ok(paid), false));

    let other_sum = Means::Both { from_balance: fen(401), card };
    let for_both = signed(&ledger, 1, 2, person, &Act::pay(&shops[1], &both));
    let replayed = pay(person, shops[1].id, other_sum, for_both.clone());
    assert_eq!(ledger.refusal(&replayed), Refusal::PasskeyRefused);
    let paying = ledger.submit(&pay(person, shops[1].id, both, for_both)).unwrap();
    assert_eq!(paying.state, OrderState::Paying);
    ledger.audit();
}

#[test]
fn a_passkeys_answer_is_good_once_in_time_and_for_its_holder() {
    let (mut ledger, person, card) = payer();
    let friend = ledger.person_with("13900139000", 5_000);
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 100);
    let act = Act::pay(&order, &Means::Balance);
    let late = signed(&ledger, 1, 1, person, &act);
    ledger.advance(5 * MINUTE);
    assert_eq!(ledger.refusal(&pay(person, order.id, Means::Balance, late)), Refusal::PasskeyRefused);
    // It is another's, though what it signed says so itself.
    let of_payer = signed(&ledger, 1, 2, friend, &act);
    assert_eq!(ledger.refusal(&pay(friend, order.id, Means::Balance, of_payer)), Refusal::PasskeyUnknown);

    let number = "top-up-0001";
    let act = Act::TopUp { number, card, amount: fen(500), fee: fen(0) };
    let ask = |confirmed, amount| StartTopUp {
        amount: fen(amount),
        confirmed,
        ..top_up(person, card, number, 500)
    };
    let for_this = signed(&ledger, 1, 3, person, &act);
    assert_eq!(ledger.refusal(&ask(for_this.clone(), 501)), Refusal::PasskeyRefused, "another amount");
    ledger.submit(&ask(for_this.clone(), 500)).unwrap();
    let next = StartTopUp { number: "top-up-0002".to_owned(), ..ask(for_this, 500) };
    assert_eq!(ledger.refusal(&next), Refusal::PasskeyRefused, "the challenge was answered");

    let fee = ledger.policy.withdrawal_fee(Speed::RealTime, fen(200));
    let act = Act::Withdraw { number: "withdraw-1", card, amount: fen(200), speed: Speed::RealTime, fee };
    let for_this = signed(&ledger, 1, 4, person, &act);
    let ask = |speed| StartWithdrawal {
        confirmed: for_this.clone(),
        ..withdrawal(person, card, "withdraw-1", 200, speed)
    };
    assert_eq!(ledger.refusal(&ask(Speed::NextDay)), Refusal::PasskeyRefused, "another speed");
    ledger.submit(&ask(Speed::RealTime)).unwrap();
    ledger.audit();
}

#[test]
fn a_passkey_pays_once_its_holder_allowed_it_by_the_payment_password() {
    let (mut ledger, person, _) = payer();
    let now = ledger.now;
    ledger.submit(&add_passkey(2, 101, now)).unwrap();
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 100);
    let act = Act::pay(&order, &Means::Balance);
    let by_new = signed(&ledger, 2, 1, person, &act);
    let pays = pay(person, order.id, Means::Balance, by_new);
    assert_eq!(ledger.refusal(&pays), Refusal::PasskeyMayNotPay);
    let allow =
        |of, n, with: Option<&str>| LetPasskeyPay { person: of, passkey: [n; 32], pin: with.map(pin) };
    let wrong = ledger.submit(&allow(person, 2, Some(WRONG))).unwrap_err();
    assert_eq!(wrong, Refusal::PaymentPasswordWrong { tries_left: 4 });
    assert_eq!(ledger.refusal(&pays), Refusal::PasskeyMayNotPay);
    assert_eq!(ledger.refusal(&allow(person, 9, Some(PIN))), Refusal::PasskeyUnknown);
    let other = ledger.person_with_pin("13900139000");
    assert_eq!(ledger.refusal(&allow(other, 2, Some(PIN))), Refusal::PasskeyUnknown, "another's");
    assert_eq!(ledger.refusal(&allow(other, 1, None)), Refusal::PasskeyUnknown, "another's");
    ledger.submit(&allow(person, 2, Some(PIN))).unwrap();
    ledger.submit(&allow(person, 1, None)).unwrap();
    let by_old = pay(person, order.id, Means::Balance, signed(&ledger, 1, 3, person, &act));
    assert_eq!(ledger.refusal(&by_old), Refusal::PasskeyMayNotPay);
    ledger.submit(&pays).unwrap();
    ledger.submit(&Freeze(person)).unwrap();
    assert_eq!(ledger.refusal(&allow(person, 1, Some(PIN))), Refusal::AccountFrozen);
}

#[test]
fn whoever_guesses_at_the_payment_password_keeps_no_holder_of_a_passkey_from_paying() {
    let (mut ledger, person, _) = payer();
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 100);
    for _ in 0..5 {
        ledger.pay_by(person, order.id, None, WRONG).unwrap_err();
    }
    assert!(matches!(ledger.pay(person, order.id), Err(Refusal::PaymentPasswordLocked { .. })));
    let confirmed = signed(&ledger, 1, 1, person, &Act::pay(&order, &Means::Balance));
    ledger.submit(&pay(person, order.id, Means::Balance, confirmed)).unwrap();
    assert_eq!(ledger.get::<PaymentPassword>(&person).unwrap().wrong, 5, "the password stays locked");
    ledger.submit(&Freeze(person)).unwrap();
    let order = ledger.order(mchid, "order-2", 100);
    let confirmed = signed(&ledger, 1, 2, person, &Act::pay(&order, &Means::Balance));
    assert_eq!(ledger.refusal(&pay(person, order.id, Means::Balance, confirmed)), Refusal::AccountFrozen);
}

fn renew(with: &str) -> RenewPaymentPassword {
    RenewPaymentPassword { session: SESSION, new: pin(with) }
}

#[test]
fn a_payment_password_is_changed_with_the_present_one_and_a_fresh_proof() {
    let (mut ledger, person, _) = payer();
    let change = |old: &str| ProveForChange { session: SESSION, old: pin(old) };
    assert_eq!(ledger.refusal(&renew(NEW)), Refusal::RenewalExpired);
    let wrong = ledger.submit(&change(WRONG)).unwrap_err();
    assert_eq!(wrong, Refusal::PaymentPasswordWrong { tries_left: 4 });
    assert_eq!(ledger.refusal(&renew(NEW)), Refusal::RenewalExpired);
    ledger.submit(&change(PIN)).unwrap();
    assert_eq!(ledger.refusal(&renew("123456")), Refusal::PaymentPasswordWeak);
    assert_eq!(ledger.refusal(&renew(PIN)), Refusal::PaymentPasswordReused, "the present one");
    ledger.submit(&renew(NEW)).unwrap();
    assert_eq!(ledger.refusal(&renew("597531")), Refusal::RenewalExpired, "once");
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 100).id;
    assert_eq!(ledger.pay(person, order), Err(Refusal::PaymentPasswordWrong { tries_left: 4 }));
    ledger.pay_by(person, order, None, NEW).unwrap();

    ledger.submit(&change(NEW)).unwrap();
    ledger.advance(15 * MINUTE);
    assert_eq!(ledger.refusal(&renew("597531")), Refusal::RenewalExpired, "too late");
    assert_eq!(ledger.refusal(&change(NEW)), Refusal::ProofNeeded);
}

#[test]
fn the_last_five_payment_passwords_are_not_taken_again() {
    let (mut ledger, ..) = payer();
    let all = [PIN, "400001", "400002", "400004", "400005", "400006"];
    for pair in all.windows(2) {
        ledger.submit(&ProveForChange { session: SESSION, old: pin(pair[0]) }).unwrap();
        ledger.submit(&renew(pair[1])).unwrap();
    }
    ledger.submit(&ProveForChange { session: SESSION, old: pin(all[5]) }).unwrap();
    for used in &all[1..] {
        assert_eq!(ledger.refusal(&renew(used)), Refusal::PaymentPasswordReused, "{used}");
    }
    ledger.submit(&renew(all[0])).expect("five came after it");
}

/// The code that was sent to reset by.
fn reset_code(ledger: &mut Ledger) -> Secret<String> {
    ledger.submit(&RequestReset { session: SESSION, language: None }).expect("a code is sent");
    code(ledger, &contact(PHONE), CodePurpose::PaymentPassword)
}

#[test]
fn a_forgotten_payment_password_is_reset_by_a_code_and_the_number_of_a_card() {
    let (mut ledger, person, card) = payer();
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 100).id;
    for _ in 0..5 {
        ledger.pay_by(person, order, None, WRONG).unwrap_err();
    }
    let friend = ledger.person_with("13900139000", 100);
    let theirs = ledger.all::<Card>().into_iter().find(|card| card.person == friend).unwrap().number_mac;
    let card_mac = ledger.get::<Card>(&card).unwrap().number_mac;
    let early = reset_code(&mut ledger);
    let by =
        |code: &Secret<String>, card_mac| ProveForReset { session: SESSION, code: code.clone(), card_mac };
    let fresh = ledger.submit(&by(&early, card_mac));
    assert_eq!(fresh, Err(Refusal::CardNumberNotYours), "whoever found the session open could have bound it");
    ledger.advance(DAY);
    let right = reset_code(&mut ledger);
    assert_eq!(ledger.submit(&by(&right, theirs)), Err(Refusal::CardNumberNotYours), "somebody else's card");
    let wrong = other_than(&right);
    assert_eq!(ledger.submit(&by(&wrong, card_mac)), Err(Refusal::CodeWrong { tries_left: 4 }));
    assert_eq!(ledger.refusal(&renew(NEW)), Refusal::RenewalExpired);
    ledger.submit(&by(&right, card_mac)).unwrap();
    assert_eq!(ledger.refusal(&by(&right, card_mac)), Refusal::CodeExpired, "once");
    assert_eq!(ledger.refusal(&renew(PIN)), Refusal::PaymentPasswordReused);
    ledger.submit(&renew(NEW)).unwrap();
    let row = ledger.get::<PaymentPassword>(&person).unwrap();
    assert_eq!((row.wrong, row.set_at), (0, ledger.now));
    ledger.pay_by(person, order, None, NEW).expect("it is not locked any more");
}

#[test]
fn card_numbers_are_not_guessed_and_another_sessions_code_is_no_use() {
    let (mut ledger, person, card) = payer();
    let card_mac = ledger.get::<Card>(&card).unwrap().number_mac;
    ledger.advance(DAY);
    let right = reset_code(&mut ledger);
    let guessed = ProveForReset { session: SESSION, code: other_than(&right), card_mac: [100; 32] };
    assert_eq!(
        ledger.submit(&guessed),
        Err(Refusal::CodeWrong { tries_left: 4 }),
        "without the phone no card is tried"
    );
    let by = |session, card_mac| ProveForReset { session, code: right.clone(), card_mac };
    for n in 100..105 {
        assert_eq!(ledger.submit(&by(SESSION, [n; 32])), Err(Refusal::CardNumberNotYours));
    }
    let day_s = u32::try_from(DAY / 1_000).unwrap();
    assert_eq!(ledger.refusal(&by(SESSION, card_mac)), Refusal::ResetPaused { wait_s: day_s });
    assert_eq!(ledger.all::<Allowance>().iter().map(|row| row.used).max(), Some(5));
    ledger.advance(DAY);
    let fresh = reset_code(&mut ledger);
    let other = SignIn::new(contact(PHONE), code_to_sign_in(&mut ledger), REQUEST, [9; 32]);
    ledger.submit(&other).unwrap();
    let there = ProveForReset { session: [9; 32], code: fresh.clone(), card_mac };
    assert_eq!(ledger.refusal(&there), Refusal::CodeExpired);
    ledger.submit(&RemoveCard { person, card, pin: pin(PIN) }).unwrap();
    let gone = ProveForReset { session: SESSION, code: fresh, card_mac };
    assert_eq!(ledger.submit(&gone), Err(Refusal::CardNumberNotYours), "a card that was removed");
    assert!(ledger.all::<Session>().iter().all(|session| ledger.now >= session.may_renew_until));
}

fn code_to_sign_in(ledger: &mut Ledger) -> Secret<String> {
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).expect("a code is sent");
    code(ledger, &contact(PHONE), CodePurpose::SignIn)
}
