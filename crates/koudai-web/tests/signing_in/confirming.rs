//! Payments confirmed by a passkey over HTTP: what its challenge covers, and what it does not.

use koudai_core::ledger::AccountId;
use koudai_core::time::{MINUTE, SECOND};

use crate::authenticator::Authenticator;
use crate::house::{Browser, House, PHONE};
use crate::passkeys::{add, paths_in};
use crate::rig::PIN;

/// Somebody with 100.00, a card and a passkey that may pay.
async fn payer<'a>(house: &'a House, passkey: &mut Authenticator) -> (Browser<'a>, String) {
    let mut phone = house.signed_in(PHONE).await;
    let person = house.person(PHONE).await;
    let card = house.rig.bind(person).await;
    house.rig.top_up(person, card, 10_000).await;
    add(&mut phone, passkey).await;
    let page = paths_in(&phone.get("/security/passkeys").await.text).pop().unwrap();
    let allowed = phone.post(&format!("{page}/pay"), &[("payment_password", PIN)]).await;
    assert_eq!(allowed.location, page, "{}", allowed.refusal());
    (phone, card.wire())
}

async fn options(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> serde_json::Value {
    let reply = browser.post_json(&format!("{path}/passkey"), fields).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

#[tokio::test]
async fn an_order_is_paid_by_the_answer_made_for_it_with_the_method_it_names() {
    let house = House::start().await;
    let mut passkey = Authenticator::new(1, &house.origin);
    let (mut phone, card) = payer(&house, &mut passkey).await;
    let shop = house.rig.shop().await;
    let (coffee, cake) = (house.order(&shop, "coffee", 1_500).await, house.order(&shop, "cake", 1_500).await);
    let page = phone.get(&coffee).await.text;
    assert!(page.contains("data-by-passkey"), "the sheet offers it");

    let asked = options(&mut phone, &coffee, &[("method", "balance")]).await;
    assert_eq!((&asked["timeout"], asked["allowCredentials"].as_array().unwrap().len()), (&60_000.into(), 1));
    let answer = passkey.answer(&asked);
    for (path, method) in
        [(&cake, "balance"), (&coffee, card.as_str()), (&coffee, &format!("both:100:{card}"))]
    {
        let replayed = phone.post(path, &[("method", method), ("passkey", &answer)]).await;
        assert_eq!(replayed.refusal(), "PASSKEY_REFUSED", "{path} by {method}");
    }
    let fields = [("method", "balance"), ("passkey", answer.as_str()), ("payment_password", "")];
    let paid = phone.post(&coffee, &fields).await;
    assert_eq!((paid.status, paid.location.as_str()), (303, coffee.as_str()), "{}", paid.refusal());
    assert!(phone.get(&coffee).await.text.contains("data-state=\"paid\""));
    let again = phone.post(&coffee, &fields).await;
    assert_eq!(again.location, coffee, "the same payment is the same payment");
    let person = AccountId::person(house.person(PHONE).await);
    assert_eq!(house.rig.standing(person).await, 10_000 - 1_500);

    // Another session of the same person's, with what was made for this one.
    let asked = options(&mut phone, &cake, &[("method", "balance")]).await;
    let answer = passkey.answer(&asked);
    house.later();
    let mut thief = house.signed_in(PHONE).await;
    let stolen = thief.post(&cake, &[("method", "balance"), ("passkey", &answer)]).await;
    assert_eq!(stolen.refusal(), "PASSKEY_REFUSED");
    let late = phone.post(&cake, &[("method", "balance"), ("passkey", &answer)]).await;
    assert_eq!(late.refusal(), "PASSKEY_REFUSED", "a minute is enough");
    let asked = options(&mut phone, &cake, &[("method", "balance")]).await;
    let answer = passkey.answer(&asked);
    house.clock.advance(MINUTE - SECOND);
    let paid = phone.post_json(&cake, &[("method", "balance"), ("passkey", &answer)]).await;
    assert_eq!(paid.json()["state"], "paid", "{}", paid.text);
}

#[tokio::test]
async fn challenges_for_other_things_pay_nothing_and_those_for_paying_do_nothing_else() {
    let house = House::start().await;
    let mut passkey = Authenticator::new(1, &house.origin);
    let (mut phone, _) = payer(&house, &mut passkey).await;
    let shop = house.rig.shop().await;
    let coffee = house.order(&shop, "coffee", 1_500).await;
    for path in ["/login/passkey", "/security/proof/passkey"] {
        let asked = phone.options(path).await;
        let answer = passkey.answer(&asked);
        let reply = phone.post(&coffee, &[("method", "balance"), ("passkey", &answer)]).await;
        assert_eq!(reply.refusal(), "PASSKEY_REFUSED", "{path}");
        let asked = options(&mut phone, &coffee, &[("method", "balance")]).await;
        let answer = passkey.answer(&asked);
        assert_eq!(phone.post(path, &[("answer", &answer)]).await.refusal(), "PASSKEY_REFUSED", "{path}");
    }
    for nonsense in ["{}", "null", &"x".repeat(9_000)] {
        let reply = phone.post(&coffee, &[("method", "balance"), ("passkey", nonsense)]).await;
        assert_eq!(reply.refusal(), "PASSKEY_REFUSED");
    }
    let mut stranger = house.browser();
    let reply = stranger.post_json(&format!("{coffee}/passkey"), &[("method", "balance")]).await;
    assert_eq!((reply.status, reply.refusal().as_str()), (401, "SIGNED_OUT"));
}

#[tokio::test]
async fn topping_up_and_withdrawing_are_confirmed_by_a_passkey_too() {
    let house = House::start().await;
    let mut passkey = Authenticator::new(1, &house.origin);
    let (mut phone, card) = payer(&house, &mut passkey).await;
    for (path, number, speed) in
        [("/top-up", "attempt_id", None), ("/withdraw", "withdrawal_id", Some("real_time"))]
    {
        let asking = |amount| {
            let mut fields = vec![("card_id", card.as_str()), (number, "by-passkey-1"), ("amount", amount)];
            fields.extend(speed.map(|speed| ("speed", speed)));
            fields
        };
        let asked = options(&mut phone, path, &asking("20.00")).await;
        let answer = passkey.answer(&asked);
        for (amount, refusal) in [("20.01", "PASSKEY_REFUSED"), ("20.00", "")] {
            let mut sent = asking(amount);
            sent.push(("passkey", &answer));
            assert_eq!(phone.post_json(path, &sent).await.refusal(), refusal, "{path}");
        }
        assert!(phone.get(path).await.text.contains("data-by-passkey"), "{path}");
    }
}

#[tokio::test]
async fn a_passkey_that_was_not_allowed_to_pay_is_not_offered_and_pays_nothing() {
    let house = House::start().await;
    let mut passkey = Authenticator::new(1, &house.origin);
    let (mut phone, _) = payer(&house, &mut passkey).await;
    let shop = house.rig.shop().await;
    let coffee = house.order(&shop, "coffee", 1_500).await;
    let asked = options(&mut phone, &coffee, &[("method", "balance")]).await;
    let answer = passkey.answer(&asked);
    let page = paths_in(&phone.get("/security/passkeys").await.text).pop().unwrap();
    assert_eq!(phone.post(&format!("{page}/pay/off"), &[]).await.location, page);
    let reply = phone.post(&coffee, &[("method", "balance"), ("passkey", &answer)]).await;
    assert_eq!(reply.refusal(), "PASSKEY_MAY_NOT_PAY");
    let reply = phone.post_json(&format!("{coffee}/passkey"), &[("method", "balance")]).await;
    assert_eq!(reply.refusal(), "PASSKEY_MAY_NOT_PAY");
    assert!(!phone.get(&coffee).await.text.contains("data-by-passkey"));
    let wrong = phone.post(&format!("{page}/pay"), &[("payment_password", "864209")]).await;
    assert_eq!(wrong.refusal(), "PAYMENT_PASSWORD_WRONG");
    assert!(phone.get(&page).await.text.contains("data-pays=\"false\""));
}
