//! Attacks on getting an account back: half a recovery used as more than it is, proof and rights to freeze tried at once, and an
//! account that somebody has just got into.

use koudai_core::binding::card_mac;
use koudai_core::card::CardNumber;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Card, CodePurpose, Message, Person, Session};
use koudai_core::sign_in::{ProveRecovery, RecoveryAnswer, freeze_word};
use koudai_core::time::DAY;
use koudai_engine::Failed;
use koudai_store::Reader;

use crate::house::{House, PASSWORD, PHONE};
use crate::rig;

const CARD: &str = "6216261000000000018";
const HELD: &str = "koudai_recovery";

/// Somebody with a log-in password and a card that is not new, and a thief who has their phone's codes and began to get the
/// password back; what the thief holds.
async fn thief(house: &House) -> String {
    let mut owner = house.signed_in(PHONE).await;
    owner.post("/security/password", &[("password", PASSWORD)]).await;
    house.bind_number(house.person(PHONE).await, CARD).await;
    house.clock.advance(DAY);
    let mut thief = house.browser();
    thief.post("/recover/password/code", &[("phone", PHONE)]).await;
    let code = house.code(PHONE, CodePurpose::Recovery).await;
    let begun = thief.post("/recover/password", &[("phone", PHONE), ("code", &code)]).await;
    assert_eq!(begun.location, "/recover/proof", "{}", begun.refusal());
    thief.cookies[HELD].clone()
}

#[tokio::test]
async fn half_a_recovery_is_no_session_and_gives_nothing_back() {
    let house = House::start().await;
    let held = thief(&house).await;
    for cookie in ["koudai_wallet", "koudai_half", HELD] {
        let mut browser = house.browser();
        browser.cookies.insert(cookie.to_owned(), held.clone());
        assert!(!browser.is_signed_in().await, "{cookie}");
        for path in ["/", "/cards", "/security/phone", "/code"] {
            assert!(browser.get(path).await.location.starts_with("/login"), "{path}");
        }
        for (path, fields) in [
            ("/recover/password/new", [("password", "otter-lantern-4-maple")]),
            ("/recover/phone/new/code", [("phone", "13912340002")]),
            ("/recover/phone/new", [("phone", "13912340002")]),
            ("/login/second", [("code", "000000")]),
        ] {
            let reply = browser.post(path, &fields).await;
            let refusal = reply.refusal();
            assert!(["RECOVERY_OVER", "SECOND_STEP_OVER"].contains(&refusal.as_str()), "{path}: {refusal}");
        }
    }
    // Nor does what the browser held when it asked for the code.
    let mut browser = house.browser();
    browser.post("/recover/password/code", &[("phone", "13912340009")]).await;
    let asked = browser.cookies["koudai_code"].split('.').nth(2).unwrap().to_owned();
    browser.cookies.insert(HELD.to_owned(), asked);
    assert_eq!(browser.get("/recover/proof").await.refusal(), "RECOVERY_OVER");
}

#[tokio::test]
async fn of_a_thousand_card_numbers_at_once_five_are_judged() {
    let house = House::start().await;
    let held = rig::sha256(thief(&house).await.as_bytes());
    let engine = &house.rig.app.engine;
    let tries = (0..1_000_u32).map(|n| {
        let mac = rig::sha256(&n.to_be_bytes());
        let prove = ProveRecovery { token: held, answer: RecoveryAnswer::Card(mac) };
        async move { engine.submit(prove).await.err() }
    });
    let mut judged = 0;
    for answer in futures_util::future::join_all(tries).await {
        match answer {
            Some(Failed::Refused(Refusal::CardNumberNotYours)) => judged += 1,
            Some(Failed::Refused(Refusal::ResetPaused { .. }) | Failed::Busy) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(judged, 5);
    // And the right one after that is not looked at either.
    let number = CardNumber::parse(CARD).unwrap();
    let answer = RecoveryAnswer::Card(card_mac(house.rig.app.networks.vault.compare_key(), &number));
    let late = engine.submit(ProveRecovery { token: held, answer }).await;
    assert!(matches!(late, Err(Failed::Refused(Refusal::ResetPaused { .. }))), "{late:?}");
}

#[tokio::test]
async fn a_right_to_freeze_sent_two_hundred_times_at_once_is_used_once() {
    let house = House::start().await;
    let mut owner = house.signed_in(PHONE).await;
    owner.post("/security/password", &[("password", PASSWORD)]).await;
    let engine = &house.rig.app.engine;
    let messages = engine.read(Reader::all::<Message>).await.unwrap();
    let told = messages.into_iter().find(|message| message.about.is_some()).unwrap();
    let word = freeze_word(engine.keys(), &told.contact, &told.nonce);
    let tries = (0..200).map(|_| {
        let (mut browser, word) = (house.browser(), word.expose().clone());
        async move { browser.post("/freeze", &[("phone", PHONE), ("code", &word)]).await.status }
    });
    let statuses = futures_util::future::join_all(tries).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert!(engine.read(Reader::all::<Session>).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_got_in_on_a_new_device_takes_little_and_removes_nothing() {
    let house = House::start().await;
    thief(&house).await;
    let person = house.person(PHONE).await;
    let engine = &house.rig.app.engine;
    let card = engine.read(Reader::all::<Card>).await.unwrap().pop().unwrap();
    house.rig.top_up(person, card.id, 500_000).await;
    let mut thief = house.browser();
    thief.sign_in_by_code(PHONE).await;
    let card_id = card.id.wire();
    let withdrawal = [
        ("withdrawal_id", "thief-0001"),
        ("card_id", card_id.as_str()),
        ("amount", "100.00"),
        ("speed", "real_time"),
        ("payment_password", rig::PIN),
    ];
    let reply = thief.post_json("/withdraw", &withdrawal).await;
    assert_eq!(reply.refusal(), "COOLING_DOWN", "{}", reply.text);
    let shop = house.rig.shop().await;
    let mut taken = 0;
    for n in 0..12 {
        let page = house.order(&shop, &format!("THIEF-{n:04}"), 10_000).await;
        let pay = [("method", "balance"), ("payment_password", rig::PIN)];
        let reply = thief.post_json(&page, &pay).await;
        if reply.status == 200 {
            taken += 10_000;
        } else {
            assert_eq!(reply.refusal(), "COOL_SPENDING_REACHED", "{}", reply.text);
        }
    }
    assert_eq!(taken, 50_000);
    // The owner was told on their phone, and stops it.
    let messages = engine.read(Reader::all::<Message>).await.unwrap();
    let told = messages
        .into_iter()
        .filter(|message| message.about.is_some())
        .max_by_key(|message| message.id)
        .unwrap();
    let word = freeze_word(engine.keys(), &told.contact, &told.nonce);
    let mut owner = house.browser();
    let frozen = owner.post("/freeze", &[("phone", PHONE), ("code", word.expose())]).await;
    assert_eq!(frozen.status, 200, "{}", frozen.refusal());
    assert!(!thief.is_signed_in().await);
    assert!(engine.read(Reader::all::<Person>).await.unwrap()[0].frozen);
}
