//! Attacks on the second of two steps.

use koudai_core::rows::{CodePurpose, SecondStep, Session};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{ConfirmApp, FinishSignIn, OfferApp, SecondAnswer, app_secret};
use koudai_core::time::DAY;
use koudai_engine::Failed;
use koudai_store::Reader;

use crate::house::{House, PHONE};
use crate::rig;

/// What an app shows now with this person's secret.
fn shown(house: &House, row: &SecondStep) -> String {
    let nonce = row.app_offered.or(row.app).unwrap();
    house.shown_by(app_secret(house.rig.app.engine.keys(), row.person, &nonce).expose())
}

async fn row(house: &House) -> SecondStep {
    house.rig.app.engine.read(Reader::all::<SecondStep>).await.unwrap().pop().unwrap()
}

/// Somebody whose app is set up, and a thief who has their phone's codes; the recovery codes, and what the thief holds.
async fn thief(house: &House) -> (Vec<Secret<String>>, String) {
    let owner = house.signed_in(PHONE).await;
    let session = rig::sha256(owner.cookies["koudai_wallet"].as_bytes());
    let engine = &house.rig.app.engine;
    engine.submit(OfferApp { session }).await.unwrap();
    let code = Secret::new(shown(house, &row(house).await));
    let codes = engine.submit(ConfirmApp { session, code }).await.unwrap();
    house.clock.advance(DAY);
    let mut thief = house.browser();
    thief.post("/login/code", &[("phone", PHONE)]).await;
    let code = house.code(PHONE, CodePurpose::SignIn).await;
    let reply = thief.post("/login", &[("phone", PHONE), ("code", &code), ("agree", "yes")]).await;
    assert_eq!(reply.location, "/login/second", "{}", reply.refusal());
    (codes, thief.cookies["koudai_half"].clone())
}

#[tokio::test]
async fn whoever_has_the_first_step_has_no_session_anywhere() {
    let house = House::start().await;
    let (_, half) = thief(&house).await;
    for cookie in ["koudai_wallet", "koudai_half"] {
        let mut browser = house.browser();
        browser.cookies.insert(cookie.to_owned(), half.clone());
        assert!(!browser.is_signed_in().await, "{cookie}");
        for path in ["/", "/records", "/cards", "/security/two-steps", "/top-up", "/code"] {
            assert!(browser.get(path).await.location.starts_with("/login"), "{path}");
        }
        let paths =
            ["/security/two-steps/app/remove", "/security/proof/second", "/payment-password", "/code/on"];
        for path in paths {
            let reply = browser.post(path, &[("payment_password", rig::PIN)]).await;
            assert!(reply.location.starts_with("/login"), "{path}: {}", reply.refusal());
        }
    }
}

#[tokio::test]
async fn of_a_thousand_second_steps_at_once_five_are_judged() {
    let house = House::start().await;
    let (_, half) = thief(&house).await;
    let engine = &house.rig.app.engine;
    let right: u32 = shown(&house, &row(&house).await).parse().unwrap();
    let tries = (1..=1_000_u32).map(|n| {
        let code = Secret::new(format!("{:06}", (right + 7 + n) % 1_000_000));
        let answer = if n % 2 == 0 { SecondAnswer::App(code) } else { SecondAnswer::Recovery(code) };
        let token_hash = rig::sha256(&n.to_be_bytes());
        let half = rig::sha256(half.as_bytes());
        let finish = FinishSignIn { half, answer, asker: koudai_core::sign_in::Asker::default(), token_hash };
        async move { engine.submit(finish).await.err() }
    });
    let answers = futures_util::future::join_all(tries).await;
    let mut judged = 0;
    for answer in answers {
        use koudai_core::refusal::Refusal;
        match answer {
            Some(Failed::Refused(Refusal::SecondStepWrong)) => judged += 1,
            Some(Failed::Refused(Refusal::SecondStepPaused { .. }) | Failed::Busy) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(judged, 5);
}

#[tokio::test]
async fn a_recovery_code_sent_two_hundred_times_at_once_signs_in_once() {
    let house = House::start().await;
    let (codes, half) = thief(&house).await;
    let tries = (0..200).map(|_| {
        let mut browser = house.browser();
        browser.cookies.insert("koudai_half".to_owned(), half.clone());
        let code = codes[0].expose().clone();
        async move { browser.post("/login/second", &[("by", "recovery"), ("code", &code)]).await.status }
    });
    let statuses = futures_util::future::join_all(tries).await;
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1);
    let sessions = house.rig.app.engine.read(Reader::all::<Session>).await.unwrap();
    assert_eq!(sessions.len(), 2, "the owner's, and one");
}
