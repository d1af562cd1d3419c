//! Two-step verification over HTTP, from setting an app up to signing in by it.

use koudai_core::rows::{CodePurpose, SecondStep};
use koudai_core::time::{DAY, MINUTE};
use koudai_store::Reader;
use serde_json::json;

use crate::authenticator::Authenticator;
use crate::house::{Browser, House, PHONE};
use crate::passkeys::add;

const EMAIL: &str = "anna@mail.example";

/// The secret of an app, out of the letters its page shows.
fn secret(page: &str) -> Vec<u8> {
    let letters = page.split("data-secret=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut bits = letters.bytes().flat_map(|letter| {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|b| *b == letter).unwrap();
        (0..5).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let mut bytes = vec![];
    while let Some(first) = bits.next() {
        bytes.push(bits.by_ref().take(7).fold(first, |sum, bit| sum << 1 | bit));
    }
    bytes
}

/// Sets an app up; its secret and the recovery codes.
async fn set_up(house: &House, phone: &mut Browser<'_>) -> (Vec<u8>, Vec<String>) {
    assert_eq!(phone.post("/security/two-steps/app", &[]).await.location, "/security/two-steps/app");
    let page = phone.get("/security/two-steps/app").await.text;
    assert!(page.contains("otpauth://totp/") && !page.contains(PHONE), "{page}");
    let secret = secret(&page);
    assert_eq!(secret.len(), 20);
    let reply = phone.post("/security/two-steps/app/confirm", &[("code", &house.shown_by(&secret))]).await;
    let codes = reply.text.split("data-recovery-code>").skip(1);
    let codes: Vec<String> = codes.map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    assert_eq!((reply.status, codes.len()), (200, 10), "{}", reply.text);
    (secret, codes)
}

/// The first step, by a code to the phone, in a browser that is new.
async fn first_step<'a>(house: &'a House, next: &str) -> Browser<'a> {
    let mut browser = house.browser();
    browser.post("/login/code", &[("phone", PHONE)]).await;
    let code = house.code(PHONE, CodePurpose::SignIn).await;
    let fields = [("phone", PHONE), ("code", &code), ("agree", "yes"), ("next", next)];
    let reply = browser.post("/login", &fields).await;
    assert_eq!(reply.location, format!("/login/second?next={next}"), "{}", reply.refusal());
    browser
}

#[tokio::test]
async fn an_app_is_set_up_and_asked_for_on_a_device_that_is_new() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let (secret, _) = set_up(&house, &mut phone).await;
    let told = phone.get("/security/two-steps").await.text;
    assert!(!told.contains("data-secret"), "a secret is shown until it is confirmed");
    assert!(phone.get("/security/two-steps/app").await.text.contains("app-remove"));

    house.clock.advance(DAY);
    let mut other = first_step(&house, "/cards").await;
    assert!(!other.is_signed_in().await, "one step is not enough");
    let page = other.get("/login/second?next=/cards").await.text;
    assert!(
        page.contains("by=recovery&amp;next=%2Fcards") || page.contains("by=recovery&#38;next=%2Fcards"),
        "{page}"
    );
    let wrong = other.post("/login/second", &[("by", "app"), ("code", "000000")]).await;
    assert_eq!(wrong.refusal(), "SECOND_STEP_WRONG");
    let code = house.shown_by(&secret);
    // What the first step gave belongs to the browser that gave it.
    let mut thief = house.browser();
    let stolen = thief.post("/login/second", &[("by", "app"), ("code", &code)]).await;
    assert_eq!(stolen.refusal(), "SECOND_STEP_OVER");
    let done = other.post("/login/second", &[("by", "app"), ("code", &code), ("next", "/cards")]).await;
    assert_eq!(done.location, "/cards", "{}", done.refusal());
    assert!(other.is_signed_in().await);
    let again = other.post("/login/second", &[("by", "app"), ("code", &code)]).await;
    assert_eq!(again.refusal(), "SECOND_STEP_OVER");

    // From then on the device is known.
    other.sign_out().await;
    house.clock.advance(MINUTE);
    other.sign_in_by_code(PHONE).await;
    assert!(other.is_signed_in().await);
    let proof = other.get("/security/password").await;
    assert_eq!(
        proof.location, "/security/proof?next=/security/password",
        "the phone alone proves nothing now"
    );
    let there = other.get(&proof.location).await.location;
    assert_eq!(there, "/security/proof/second?next=/security/password");
    assert_eq!(other.post("/security/proof", &[("code", "123456")]).await.refusal(), "SECOND_STEP_WRONG");
    let fields = [("by", "app"), ("code", &*house.shown_by(&secret)), ("next", "/security/password")];
    assert_eq!(other.post("/security/proof/second", &fields).await.location, "/security/password");
    assert_eq!(other.get("/security/password").await.status, 200);
}

#[tokio::test]
async fn a_recovery_code_lets_in_whoever_lost_their_phone() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let (_, codes) = set_up(&house, &mut phone).await;
    house.clock.advance(DAY);
    let mut other = first_step(&house, "/").await;
    let fields = [("by", "recovery"), ("code", codes[4].as_str())];
    assert_eq!(other.post("/login/second", &fields).await.location, "/");
    let left = other.get("/security/two-steps").await.text;
    assert!(left.contains(">9<"), "{left}");
    // Whoever came in by it has proved who they are and may set another app up; to do without one takes a day.
    let offered = other.post("/security/two-steps/app", &[]).await;
    assert_eq!(offered.location, "/security/two-steps/app", "{}", offered.refusal());
    let early = other.post("/security/two-steps/app/remove", &[]).await;
    assert_eq!((early.status, early.refusal().as_str()), (403, "COOLING_DOWN"));
    house.clock.advance(DAY);
    let proof = [("by", "recovery"), ("code", codes[5].as_str())];
    assert_eq!(other.post("/security/proof/second", &proof).await.status, 303);
    let removed = other.post("/security/two-steps/app/remove", &[]).await;
    assert_eq!(removed.location, "/security/two-steps", "{}", removed.refusal());
    let mut third = house.browser();
    third.sign_in_by_code(PHONE).await;
    assert!(third.is_signed_in().await);
}

#[tokio::test]
async fn a_program_is_told_what_the_second_step_may_be() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let (secret, _) = set_up(&house, &mut phone).await;
    house.clock.advance(DAY);
    let mut program = house.browser();
    let asked = program.post_json("/login/code", &[("phone", PHONE)]).await.json();
    let code = house.code(PHONE, CodePurpose::SignIn).await;
    let fields = [("phone", PHONE), ("code", &code), ("request", asked["request"].as_str().unwrap())];
    let told = program.post_json("/login", &fields).await.json();
    assert_eq!(told["second_step"]["ways"], json!(["app", "recovery"]));
    assert!(told.get("token").is_none(), "{told}");
    let request = told["second_step"]["request"].as_str().unwrap();
    let half =
        program.post_json("/login/second", &[("by", "app"), ("code", "000000"), ("request", request)]).await;
    assert_eq!(half.refusal(), "SECOND_STEP_WRONG");
    let fields = [("by", "app"), ("code", &*house.shown_by(&secret)), ("request", request)];
    let signed_in = program.post_json("/login/second", &fields).await.json();
    assert!(signed_in["token"].as_str().is_some_and(|token| token != request), "{signed_in}");
}

#[tokio::test]
async fn codes_to_phone_and_address_are_two_steps() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let needs = phone.post("/security/two-steps/codes", &[("on", "yes")]).await;
    assert_eq!(needs.refusal(), "SECOND_STEP_NEEDS_EMAIL");
    house.give_email(&phone, EMAIL).await;
    let on = phone.post("/security/two-steps/codes", &[("on", "yes")]).await;
    assert!(on.text.contains("data-recovery-code"), "{}", on.text);
    house.clock.advance(DAY);
    let mut other = first_step(&house, "/").await;
    assert!(other.get("/login/second").await.text.contains("a***@mail.example"));
    let sent = other.post("/login/second/code", &[("next", "/cards")]).await;
    assert_eq!(sent.location, "/login/second?next=/cards&by=code");
    let code = house.code(EMAIL, CodePurpose::SecondStep).await;
    assert!(other.get(&sent.location).await.text.contains("data-countdown"));
    let done = other.post("/login/second", &[("by", "code"), ("code", &code), ("next", "/cards")]).await;
    assert_eq!(done.location, "/cards", "{}", done.refusal());
    assert_eq!(other.post("/security/email/remove", &[]).await.refusal(), "EMAIL_IS_SECOND_STEP");
}

#[tokio::test]
async fn a_passkey_is_both_steps_and_nothing_is_set_up_in_a_session_that_was_found_open() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let mut passkey = Authenticator::new(1, &house.origin);
    add(&mut phone, &mut passkey).await;
    set_up(&house, &mut phone).await;
    house.clock.advance(DAY);
    let mut other = first_step(&house, "/").await;
    assert!(other.get("/login/second").await.text.contains("second-passkey"));
    let options = other.options("/login/passkey").await;
    let answer = passkey.answer(&options);
    assert_eq!(other.post("/login/passkey", &[("answer", &answer)]).await.location, "/");
    house.later();
    let before = house.rig.app.engine.read(Reader::all::<SecondStep>).await.unwrap();
    for (path, fields) in [
        ("/security/two-steps/app", &[][..]),
        ("/security/two-steps/app/confirm", &[("code", "123456")]),
        ("/security/two-steps/app/remove", &[]),
        ("/security/two-steps/codes", &[("on", "no")]),
        ("/security/two-steps/recovery", &[]),
    ] {
        let reply = other.post(path, fields).await;
        assert!(reply.location.starts_with("/security/proof?next=/security"), "{path}: {}", reply.refusal());
    }
    assert_eq!(house.rig.app.engine.read(Reader::all::<SecondStep>).await.unwrap(), before);
}
