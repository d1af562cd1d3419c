//! What guards an account: passwords for signing in, e-mail addresses, passkeys, proof that it is its holder, and bounds on
//! guessing.

use koudai_core::identity::{Contact, Email};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Allowance, CodeKey, CodePurpose, Device, EmailOwner, LoginPassword, Message, OneTimeCode, Passkey,
    PasskeyAlgorithm, Person, Session, UsedChallenge,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    AddPasskey, AddressBlock, Answered, Asker, NewPasskey, PasskeyAnswer, PasswordAnswer, PasswordTried,
    ProveByCode, ProveByPasskey, RemoveEmail, RemoveLoginPassword, RemovePasskey, RequestCode,
    RequestEmailCode, RequestProof, SetEmail, SetLoginPassword, SignIn, SignInByPasskey, SignInByPassword,
    SweepAllowances, SweepChallenges, SweepSentCodes, code_of, is_copied,
};
use koudai_core::time::{DAY, HOUR, MINUTE, Timestamp};

use crate::fixture::{Ledger, REQUEST, fen};

const PHONE: &str = "13800138000";
const SESSION: [u8; 32] = [0; 32];
const SALT: [u8; 16] = [5; 16];

pub(crate) fn contact(text: &str) -> Contact {
    Contact::parse(text).expect("a contact")
}

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

/// Whoever asks from an address and on a device.
pub(crate) fn asker(address: &str, device: u8) -> Asker {
    let block = Some(AddressBlock::of(address.parse().expect("an address")));
    Asker { block, device: Some([device; 32]), fresh: Some([device; 32]), language: None }
}

/// A ledger with one person, who signed in a moment ago.
pub(crate) fn house() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.person(PHONE);
    ledger
}

pub(crate) fn code(ledger: &mut Ledger, contact: &Contact, purpose: CodePurpose) -> Secret<String> {
    let key = CodeKey { contact: contact.clone(), purpose };
    let row = ledger.get::<OneTimeCode>(&key).expect("a code was sent");
    code_of(&ledger.keys, &key, &row.nonce)
}

pub(crate) fn other_than(code: &Secret<String>) -> Secret<String> {
    let right: u32 = code.expose().parse().expect("six digits");
    Secret::new(format!("{:06}", (right + 1) % 1_000_000))
}

pub(crate) fn password(hash: u8) -> PasswordTried {
    PasswordTried { salt: SALT, hash: Secret::new([hash; 32]) }
}

pub(crate) fn by_password(who: &str, hash: u8, asker: Asker) -> SignInByPassword {
    let (request, token_hash, language) = (REQUEST, [77; 32], None);
    SignInByPassword { contact: contact(who), tried: password(hash), request, asker, token_hash, language }
}

pub(crate) fn answer(n: u8, challenge: u8, sign_count: u32, now: Timestamp) -> PasskeyAnswer {
    let challenge = Answered { token: [challenge; 16], expires_at: now.plus(5 * MINUTE) };
    PasskeyAnswer { id: [n; 32], public_key: vec![n; 91], sign_count, challenge }
}

pub(crate) fn add_passkey(n: u8, challenge: u8, now: Timestamp) -> AddPasskey {
    AddPasskey {
        session: SESSION,
        passkey: NewPasskey {
            id: [n; 32],
            credential: vec![n; 20],
            public_key: vec![n; 91],
            algorithm: PasskeyAlgorithm::Es256,
            sign_count: 0,
        },
        name: "Phone".to_owned(),
        challenge: Answered { token: [challenge; 16], expires_at: now.plus(5 * MINUTE) },
    }
}

pub(crate) fn give_email(ledger: &mut Ledger, address: &str) {
    let ask =
        RequestEmailCode { session: SESSION, email: email(address), asker: Asker::default(), language: None };
    ledger.submit(&ask).expect("a code is sent");
    let code = code(ledger, &contact(address), CodePurpose::NewEmail);
    let set = SetEmail { session: SESSION, email: email(address), code };
    ledger.submit(&set).expect("the right code confirms it");
}

#[test]
fn a_code_is_of_no_use_to_who_did_not_ask_for_it_and_costs_no_try() {
    let mut ledger = Ledger::new();
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).unwrap();
    let code = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    for _ in 0..20 {
        let stolen = SignIn::new(contact(PHONE), code.clone(), [8; 32], [1; 32]);
        assert_eq!(ledger.refusal(&stolen), Refusal::CodeExpired);
    }
    assert!(ledger.submit(&SignIn::new(contact(PHONE), code, REQUEST, [1; 32])).is_ok());
}

#[test]
fn an_address_signs_in_once_it_belongs_to_an_account_and_opens_none() {
    let mut ledger = house();
    let person = ledger.all::<Person>()[0].id;
    let ask = RequestCode::new(contact("anna@mail.example"), REQUEST);
    ledger.submit(&ask).unwrap();
    let early = code(&mut ledger, &contact("anna@mail.example"), CodePurpose::SignIn);
    let sign_in = |code| SignIn::new(contact("anna@mail.example"), code, REQUEST, [4; 32]);
    assert_eq!(ledger.submit(&sign_in(other_than(&early))), Err(Refusal::CodeWrong { tries_left: 4 }));
    assert_eq!(ledger.submit(&sign_in(early)), Err(Refusal::EmailUnbound), "said to its owner only");
    assert_eq!(ledger.all::<Person>().len(), 1);

    give_email(&mut ledger, "anna@mail.example");
    ledger.advance(MINUTE);
    ledger.submit(&ask).unwrap();
    let code = code(&mut ledger, &contact("anna@mail.example"), CodePurpose::SignIn);
    assert_eq!(ledger.submit(&sign_in(code)).unwrap().person, person);
    // Whoever reads somebody's mail is not them.
    assert_eq!(ledger.get::<Session>(&[4; 32]).unwrap().proven_at, Timestamp(0));
    let set = SetLoginPassword { session: [4; 32], old: None, new: password(1) };
    assert_eq!(ledger.refusal(&set), Refusal::ProofNeeded);
}

#[test]
fn an_address_belongs_to_one_account_and_goes_when_it_is_replaced_or_removed() {
    let mut ledger = house();
    give_email(&mut ledger, "anna@mail.example");
    ledger.advance(MINUTE);
    give_email(&mut ledger, "anna@other.example");
    let owners = ledger.all::<EmailOwner>();
    assert_eq!(owners.iter().map(|o| o.email.address()).collect::<Vec<_>>(), ["anna@other.example"]);

    ledger.person("13900139000");
    let ask = RequestEmailCode {
        session: [1; 32],
        email: email("anna@other.example"),
        asker: Asker::default(),
        language: None,
    };
    ledger.advance(MINUTE);
    ledger.submit(&ask).expect("nobody is told whose it is before they show that it is theirs");
    let code = code(&mut ledger, &contact("anna@other.example"), CodePurpose::NewEmail);
    let take = SetEmail { session: [1; 32], email: email("anna@other.example"), code };
    assert_eq!(ledger.submit(&take), Err(Refusal::EmailTaken));

    ledger.submit(&RemoveEmail { session: SESSION }).unwrap();
    ledger.submit(&RemoveEmail { session: SESSION }).expect("a second time is no error");
    assert!(ledger.all::<EmailOwner>().is_empty());
    assert!(ledger.all::<Person>().iter().all(|person| person.email.is_none()));
}

#[test]
fn what_guards_an_account_changes_only_for_who_proved_a_moment_ago_that_it_is_theirs() {
    let mut ledger = house();
    ledger.advance(5 * MINUTE);
    let now = ledger.now;
    let set = SetLoginPassword { session: SESSION, old: None, new: password(1) };
    assert_eq!(ledger.refusal(&set), Refusal::ProofNeeded);
    assert_eq!(ledger.refusal(&RemoveLoginPassword { session: SESSION, old: None }), Refusal::ProofNeeded);
    assert_eq!(ledger.refusal(&RemoveEmail { session: SESSION }), Refusal::ProofNeeded);
    assert_eq!(ledger.refusal(&add_passkey(1, 1, now)), Refusal::ProofNeeded);
    assert_eq!(ledger.refusal(&RemovePasskey { session: SESSION, id: [1; 32] }), Refusal::ProofNeeded);
    let ask = RequestEmailCode {
        session: SESSION,
        email: email("anna@mail.example"),
        asker: Asker::default(),
        language: None,
    };
    assert_eq!(ledger.refusal(&ask), Refusal::ProofNeeded);
    assert_eq!(ledger.refusal(&RemoveEmail { session: [99; 32] }), Refusal::SignedOut);

    let prove = RequestProof { session: SESSION, language: None };
    ledger.submit(&prove).unwrap();
    let code = code(&mut ledger, &contact(PHONE), CodePurpose::Proof);
    let by = |session, code| ProveByCode { session, code };
    assert_eq!(ledger.submit(&by(SESSION, other_than(&code))), Err(Refusal::CodeWrong { tries_left: 4 }));
    ledger.submit(&by(SESSION, code.clone())).unwrap();
    assert_eq!(ledger.refusal(&by(SESSION, code)), Refusal::CodeExpired, "once");
    ledger.submit(&set).expect("for five minutes");
    ledger.advance(5 * MINUTE);
    assert_eq!(ledger.refusal(&set), Refusal::ProofNeeded);
}

#[test]
fn a_code_to_sign_in_by_proves_nothing_and_one_of_another_session_neither() {
    let mut ledger = house();
    ledger.advance(5 * MINUTE);
    ledger.submit(&RequestCode::new(contact(PHONE), SESSION)).unwrap();
    let code_to_sign_in = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let by = |session, code| ProveByCode { session, code };
    assert_eq!(ledger.refusal(&by(SESSION, code_to_sign_in)), Refusal::CodeExpired);

    ledger.submit(&RequestProof { session: SESSION, language: None }).unwrap();
    let proof = code(&mut ledger, &contact(PHONE), CodePurpose::Proof);
    ledger.person("13900139000");
    assert_eq!(ledger.refusal(&by([1; 32], proof.clone())), Refusal::CodeExpired, "it was sent to another");
    ledger.submit(&by(SESSION, proof)).unwrap();
}

#[test]
fn a_password_signs_in_on_a_device_that_was_used_before_and_asks_for_a_code_on_others() {
    let mut ledger = house();
    let person = ledger.all::<Person>()[0].id;
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    ledger.advance(MINUTE);

    let home = asker("203.0.113.1", 1);
    assert_eq!(
        ledger.submit(&by_password(PHONE, 1, home)),
        Ok(PasswordAnswer::CodeSent { wait_s: 60 }),
        "right, but the device is new"
    );
    assert!(ledger.get::<Session>(&[77; 32]).is_none());
    let code = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let sign_in = SignIn { asker: home, ..SignIn::new(contact(PHONE), code, REQUEST, [78; 32]) };
    assert_eq!(ledger.submit(&sign_in).unwrap().person, person);
    assert_eq!(ledger.all::<Device>().len(), 1);

    ledger.advance(MINUTE);
    let Ok(PasswordAnswer::SignedIn(signed_in)) = ledger.submit(&by_password(PHONE, 1, home)) else {
        panic!("the device is known")
    };
    assert_eq!(signed_in.person, person);
    let (first, last) = ledger.all::<Device>().first().map(|d| (d.first_at, d.last_at)).unwrap();
    assert_eq!(last.since(first), MINUTE);
    let session = ledger.get::<Session>(&[77; 32]).unwrap();
    assert_eq!((session.person, session.proven_at), (person, Timestamp(0)), "a password proves nothing more");
}

#[test]
fn the_device_that_somebody_registers_on_is_theirs_at_once() {
    let mut ledger = Ledger::new();
    let home = asker("203.0.113.1", 1);
    ledger.submit(&RequestCode { asker: home, ..RequestCode::new(contact(PHONE), REQUEST) }).unwrap();
    let code = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let sign_in = SignIn { asker: home, ..SignIn::new(contact(PHONE), code, REQUEST, SESSION) };
    let person = ledger.submit(&sign_in).unwrap().person;
    let devices = ledger.all::<Device>();
    assert_eq!(devices.iter().map(|device| device.person).collect::<Vec<_>>(), [person]);
    assert_eq!(ledger.get::<Session>(&SESSION).unwrap().device, Some(devices[0].key));
}

#[test]
fn nobody_learns_by_a_password_whether_an_account_is_there() {
    let mut ledger = house();
    ledger.person("13900139000");
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    for who in [PHONE, "13900139000", "13700137000", "nobody@mail.example"] {
        for _ in 0..5 {
            assert_eq!(
                ledger.submit(&by_password(who, 9, Asker::default())),
                Err(Refusal::SignInWrong),
                "{who}"
            );
        }
        let paused = Refusal::SignInPaused { wait_s: 15 * 60 };
        assert_eq!(ledger.refusal(&by_password(who, 9, Asker::default())), paused, "{who}");
    }
    let right = by_password(PHONE, 1, Asker::default());
    assert_eq!(ledger.refusal(&right), Refusal::SignInPaused { wait_s: 15 * 60 }, "unread");
    ledger.advance(15 * MINUTE);
    assert!(ledger.submit(&right).is_ok());
}

#[test]
fn others_wrong_tries_keep_nobody_out_of_a_device_of_their_own() {
    let mut ledger = house();
    let home = asker("203.0.113.1", 1);
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    ledger.advance(MINUTE);
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).unwrap();
    let code = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    ledger.submit(&SignIn { asker: home, ..SignIn::new(contact(PHONE), code, REQUEST, [78; 32]) }).unwrap();

    for n in 0..5 {
        let elsewhere = asker("198.51.100.1", 100 + n);
        assert_eq!(ledger.submit(&by_password(PHONE, 9, elsewhere)), Err(Refusal::SignInWrong));
    }
    assert!(matches!(
        ledger.refusal(&by_password(PHONE, 1, asker("198.51.100.1", 99))),
        Refusal::SignInPaused { .. }
    ));
    assert!(matches!(ledger.submit(&by_password(PHONE, 1, home)), Ok(PasswordAnswer::SignedIn(_))));
}

#[test]
fn one_place_gets_few_wrong_tries_however_many_accounts_it_tries() {
    let mut ledger = house();
    let most = ledger.policy.safety.wrong_from_block_most;
    for n in 0..most {
        let there = asker(&format!("203.0.113.{}", n + 1), 0);
        assert_eq!(ledger.submit(&by_password(&format!("137{n:08}"), 9, there)), Err(Refusal::SignInWrong));
    }
    let there = asker("203.0.113.200", 0);
    assert!(matches!(ledger.refusal(&by_password("13611111111", 9, there)), Refusal::SignInPaused { .. }));
    assert!(matches!(
        ledger.submit(&by_password("13611111111", 9, asker("198.51.100.1", 0))),
        Err(Refusal::SignInWrong)
    ));

    // Their neighbours' codes count, and so do their own devices.
    let request = RequestCode { asker: there, ..RequestCode::new(contact(PHONE), REQUEST) };
    ledger.advance(MINUTE);
    ledger.submit(&request).unwrap();
    let right = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let sign_in = SignIn { asker: there, ..SignIn::new(contact(PHONE), right, REQUEST, [3; 32]) };
    ledger.submit(&sign_in).unwrap();
    ledger.submit(&SetLoginPassword { session: [3; 32], old: None, new: password(1) }).unwrap();
    assert!(matches!(ledger.submit(&by_password(PHONE, 1, there)), Ok(PasswordAnswer::SignedIn(_))));
}

#[test]
fn codes_are_bounded_by_place_by_device_and_in_all() {
    let mut ledger = Ledger::new();
    let safety = ledger.policy.safety;
    let ask =
        |n: u32, asker| RequestCode { asker, ..RequestCode::new(contact(&format!("138{n:08}")), REQUEST) };
    for n in 0..safety.codes_from_block_a_day {
        let place = Asker { device: None, ..asker("203.0.113.7", 0) };
        ledger.submit(&ask(n, place)).unwrap();
    }
    let here = asker("203.0.113.9", 0);
    assert_eq!(ledger.refusal(&ask(900, here)), Refusal::TooManyCodes { wait_s: 24 * 3_600 });
    let device = |n: u32| asker(&format!("10.{n}.0.1"), 7);
    for n in 0..safety.codes_from_device_a_day {
        ledger.submit(&ask(1_000 + n, device(n))).unwrap();
    }
    assert_eq!(ledger.refusal(&ask(1_900, device(200))), Refusal::TooManyCodes { wait_s: 24 * 3_600 });
    ledger.advance(DAY);
    ledger.submit(&ask(900, here)).expect("another day");

    ledger.policy.safety.codes_in_all_an_hour = 3;
    for n in 0..2 {
        ledger.submit(&ask(2_000 + n, asker(&format!("10.9.{n}.1"), 50 + u8::try_from(n).unwrap()))).unwrap();
    }
    let all = asker("10.8.0.1", 80);
    assert_eq!(ledger.refusal(&ask(2_900, all)), Refusal::TooManyCodes { wait_s: 3_600 });
    ledger.advance(HOUR);
    ledger.submit(&ask(2_900, all)).unwrap();
    assert!(ledger.all::<Message>().iter().all(|m| m.purpose == CodePurpose::SignIn));
}

#[test]
fn the_defaults_of_what_people_may_try_are_those_of_the_rules() {
    let safety = Ledger::new().policy.safety;
    assert_eq!((safety.code_gap_ms, safety.codes_an_hour, safety.codes_a_day), (MINUTE, 5, 10));
    assert_eq!((safety.codes_from_block_a_day, safety.codes_from_device_a_day), (20, 10));
    assert_eq!(safety.codes_in_all_an_hour, 10_000);
    assert_eq!((safety.wrong_passwords_most, safety.wrong_from_block_most), (5, 50));
    assert_eq!((safety.pause_ms, safety.proof_life_ms, safety.passkeys_most), (15 * MINUTE, 5 * MINUTE, 10));
    assert_eq!((safety.reset_card_age_ms, safety.sessions_most), (DAY, 5));
    assert_eq!((safety.cool_down_ms, safety.cool_new_device_ms, safety.cool_after_ms), (DAY, DAY, 2 * DAY));
    assert_eq!((safety.cool_spend_most, safety.cool_withdraw_most), (fen(50_000), fen(100_000)));
    assert_eq!(safety.cool_card_age_ms, 30 * DAY);
}

#[test]
fn the_last_five_passwords_are_not_used_again() {
    let mut ledger = house();
    let set = |old: u8, new| SetLoginPassword {
        session: SESSION,
        old: (old > 0).then(|| password(old)),
        new: password(new),
    };
    for hash in 1..=6 {
        ledger.submit(&set(hash - 1, hash)).unwrap();
    }
    for hash in 2..=6 {
        assert_eq!(ledger.refusal(&set(6, hash)), Refusal::LoginPasswordReused, "{hash}");
    }
    ledger.submit(&set(6, 1)).expect("the sixth before is free again");
    let other_salt = PasswordTried { salt: [6; 16], hash: Secret::new([9; 32]) };
    let other_salt = SetLoginPassword { session: SESSION, old: Some(password(1)), new: other_salt };
    assert_eq!(ledger.refusal(&other_salt), Refusal::Busy);
    let remove = |old| RemoveLoginPassword { session: SESSION, old };
    ledger.submit(&remove(Some(password(1)))).unwrap();
    ledger.submit(&remove(None)).expect("a second time is no error");
    assert_eq!(ledger.all::<LoginPassword>()[0].mac, None);
    assert_eq!(ledger.submit(&by_password(PHONE, 1, Asker::default())), Err(Refusal::SignInWrong));
    assert_eq!(ledger.refusal(&set(0, 1)), Refusal::LoginPasswordReused, "not by doing without one first");
    ledger.submit(&set(0, 7)).unwrap();
}

#[test]
fn whoever_changes_a_password_knows_the_present_one() {
    let mut ledger = house();
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    for old in [None, Some(password(2)), Some(password(3))] {
        let set = SetLoginPassword { session: SESSION, old, new: password(9) };
        assert_eq!(ledger.submit(&set), Err(Refusal::LoginPasswordWrong));
    }
    for old in [None, Some(password(4))] {
        let remove = RemoveLoginPassword { session: SESSION, old };
        assert_eq!(ledger.submit(&remove), Err(Refusal::LoginPasswordWrong));
    }
    // Five wrong are the most, whatever they were for; after that the right one has to wait too.
    let right = SetLoginPassword { session: SESSION, old: Some(password(1)), new: password(9) };
    assert_eq!(ledger.refusal(&right), Refusal::SignInPaused { wait_s: 900 });
    // Nobody else is kept from signing in by it.
    ledger.advance(MINUTE);
    let elsewhere = by_password(PHONE, 1, Asker::default());
    assert!(matches!(ledger.submit(&elsewhere), Ok(PasswordAnswer::CodeSent { .. })));
    let person = ledger.all::<Person>()[0].id;
    assert!(ledger.get::<LoginPassword>(&person).unwrap().mac.is_some());
}

#[test]
fn a_device_that_is_new_is_not_known_by_what_it_showed() {
    let mut ledger = house();
    ledger.advance(MINUTE);
    let planted = Asker { fresh: Some([60; 32]), ..asker("203.0.113.1", 50) };
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).unwrap();
    ledger.submit(&RequestCode { asker: planted, ..RequestCode::new(contact(PHONE), REQUEST) }).unwrap();
    let code = code(&mut ledger, &contact(PHONE), CodePurpose::SignIn);
    let sign_in = SignIn { asker: planted, ..SignIn::new(contact(PHONE), code, REQUEST, [3; 32]) };
    assert!(ledger.submit(&sign_in).unwrap().new_device);
    ledger.advance(MINUTE);
    let thief = asker("198.51.100.1", 50);
    assert!(matches!(ledger.submit(&by_password(PHONE, 1, thief)), Ok(PasswordAnswer::CodeSent { .. })));
    let holder = asker("203.0.113.1", 60);
    let Ok(PasswordAnswer::SignedIn(signed_in)) = ledger.submit(&by_password(PHONE, 1, holder)) else {
        panic!("it is known by what it was given")
    };
    assert!(!signed_in.new_device);
}

#[test]
fn nothing_that_strangers_ask_for_keeps_somebody_from_proving_who_they_are() {
    let mut ledger = house();
    ledger.policy.safety.codes_in_all_an_hour = 2;
    let ask = |n: u32| RequestCode::new(contact(&format!("137{n:08}")), REQUEST);
    ledger.submit(&ask(1)).unwrap();
    assert!(matches!(ledger.refusal(&ask(2)), Refusal::TooManyCodes { .. }));
    ledger.submit(&RequestProof { session: SESSION, language: None }).unwrap();
}

#[test]
fn where_codes_were_sent_is_forgotten_once_their_day_is_over() {
    let mut ledger = Ledger::new();
    ledger.submit(&RequestCode::new(contact(PHONE), REQUEST)).unwrap();
    let keys = vec![CodeKey { contact: contact(PHONE), purpose: CodePurpose::SignIn }];
    ledger.advance(2 * DAY - 1);
    ledger.submit(&SweepSentCodes { keys: keys.clone() }).unwrap();
    assert_eq!(ledger.all::<OneTimeCode>().len(), 1);
    ledger.advance(1);
    ledger.submit(&SweepSentCodes { keys }).unwrap();
    assert!(ledger.all::<OneTimeCode>().is_empty());
}

#[test]
fn a_passkey_signs_in_and_proves_and_each_challenge_is_good_once() {
    let mut ledger = house();
    let (person, now) = (ledger.all::<Person>()[0].id, ledger.now);
    ledger.submit(&add_passkey(1, 1, now)).unwrap();
    assert_eq!(
        ledger.refusal(&add_passkey(2, 1, now)),
        Refusal::PasskeyRefused,
        "the challenge was answered"
    );
    assert_eq!(ledger.refusal(&add_passkey(1, 2, now)), Refusal::PasskeyRefused, "the passkey is there");

    let by = |answer| SignInByPasskey { answer, asker: asker("203.0.113.1", 1), token_hash: [70; 32] };
    let signed_in = ledger.submit(&by(answer(1, 10, 1, now))).unwrap();
    assert_eq!(signed_in.person, person);
    assert_eq!(ledger.get::<Session>(&[70; 32]).unwrap().proven_at, now);
    assert_eq!(ledger.all::<Passkey>()[0].used_at, Some(now));
    assert_eq!(ledger.refusal(&by(answer(1, 10, 2, now))), Refusal::PasskeyRefused, "again");
    assert_eq!(ledger.refusal(&by(answer(1, 11, 1, now))), Refusal::PasskeyRefused, "its count stands still");
    assert_eq!(ledger.refusal(&by(answer(3, 12, 1, now))), Refusal::PasskeyUnknown);
    let other_key = PasskeyAnswer { public_key: vec![9; 91], ..answer(1, 13, 9, now) };
    assert_eq!(ledger.refusal(&by(other_key)), Refusal::PasskeyUnknown, "checked against another key");

    ledger.advance(5 * MINUTE);
    assert_eq!(ledger.refusal(&by(answer(1, 14, 9, now))), Refusal::PasskeyRefused, "too late");
    let later = ledger.now;
    ledger.submit(&ProveByPasskey { session: SESSION, answer: answer(1, 15, 9, later) }).unwrap();
    ledger.submit(&SetLoginPassword { session: SESSION, old: None, new: password(1) }).expect("it is proven");
    ledger.person("13900139000");
    let others = ProveByPasskey { session: [1; 32], answer: answer(1, 16, 10, later) };
    assert_eq!(ledger.refusal(&others), Refusal::PasskeyUnknown, "another's passkey");
}

#[test]
fn passkeys_are_counted_and_removed_by_their_holder_only() {
    let mut ledger = house();
    let now = ledger.now;
    for n in 0..10 {
        ledger.submit(&add_passkey(n, n, now)).unwrap();
    }
    assert_eq!(ledger.refusal(&add_passkey(50, 50, now)), Refusal::TooManyPasskeys);
    ledger.person("13900139000");
    ledger.submit(&RemovePasskey { session: [1; 32], id: [3; 32] }).expect("as if there were none");
    assert_eq!(ledger.all::<Passkey>().len(), 10);
    ledger.submit(&RemovePasskey { session: SESSION, id: [3; 32] }).unwrap();
    ledger.submit(&RemovePasskey { session: SESSION, id: [3; 32] }).unwrap();
    assert_eq!((ledger.all::<Passkey>().len(), ledger.all::<Person>()[0].passkeys), (9, 9));
    ledger.submit(&add_passkey(50, 50, now)).unwrap();
}

#[test]
fn a_count_that_does_not_grow_means_a_copied_key_unless_it_never_counted() {
    for (stored, seen, copied) in [(0, 0, false), (0, 1, false), (1, 0, true), (5, 5, true), (5, 6, false)] {
        assert_eq!(is_copied(stored, seen), copied, "{stored} {seen}");
    }
}

#[test]
fn counts_and_challenges_go_once_they_have_been_over_for_an_hour() {
    let mut ledger = house();
    let now = ledger.now;
    ledger.submit(&add_passkey(1, 1, now)).unwrap();
    let keys: Vec<[u8; 32]> = ledger.all::<Allowance>().iter().map(|row| row.key).collect();
    assert!(!keys.is_empty(), "the code that signed in was counted");
    let tokens = vec![[1; 16]];
    ledger.advance(65 * MINUTE - 1);
    ledger.submit(&SweepChallenges { tokens: tokens.clone() }).unwrap();
    ledger.submit(&SweepAllowances { keys: keys.clone() }).unwrap();
    assert_eq!((ledger.all::<UsedChallenge>().len(), ledger.all::<Allowance>().len()), (1, keys.len()));
    ledger.advance(2 * DAY);
    ledger.submit(&SweepChallenges { tokens }).unwrap();
    ledger.submit(&SweepAllowances { keys }).unwrap();
    assert!(ledger.all::<UsedChallenge>().is_empty() && ledger.all::<Allowance>().is_empty());
}
