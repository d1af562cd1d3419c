//! The courier against a bank that cannot be reached: what is given up, and what never is.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use koudai_core::rows::{Attempt, AttemptState, NetworkRefusal, OpenAttempt, Refund, RefundState};
use koudai_networks::courier;
use rig::{Rig, order, refund, until};

#[tokio::test]
async fn a_card_refund_waits_for_a_bank_that_is_down() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    let (person, card) = rig.person_with_card().await;
    client.native(&order(&shop, "REFUND-DOWN", 500)).await.unwrap();
    let paying = rig.pay(person, Some(card), &shop, "REFUND-DOWN").await;
    rig.bank_pays(&paying).await;
    let _courier = courier::start(
        rig.app.engine.clone(),
        rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    client.refund(&refund("REFUND-DOWN", "REFUND-DOWN-1", 500, 500)).await.unwrap();
    let engine = &rig.app.engine;
    let open = until(async || {
        let open = engine.read(koudai_store::Reader::all::<OpenAttempt>).await.unwrap();
        open.into_iter().find(|o| o.tries >= 2)
    });
    let attempt = open.await.attempt;
    let attempt = engine.read(move |r| r.get::<Attempt>(&attempt)).await.unwrap().unwrap();
    assert_eq!(attempt.state, AttemptState::Open);
    let refund = attempt.refund.unwrap();
    let refund = engine.read(move |r| r.get::<Refund>(&refund)).await.unwrap().unwrap();
    assert_eq!(refund.state, RefundState::Processing, "money owed is not given up");
}

#[tokio::test]
async fn a_payment_that_never_left_is_given_up_at_once_and_the_order_can_be_paid_again() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    let (person, card) = rig.person_with_card().await;
    client.native(&order(&shop, "PAY-DOWN", 500)).await.unwrap();
    let _courier = courier::start(
        rig.app.engine.clone(),
        rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    let paying = rig.pay(person, Some(card), &shop, "PAY-DOWN").await.attempt.unwrap();
    let engine = &rig.app.engine;
    let ended = until(async || {
        let attempt = engine.read(move |r| r.get::<Attempt>(&paying)).await.unwrap().unwrap();
        (attempt.state != AttemptState::Open).then_some(attempt)
    });
    let ended = ended.await;
    assert_eq!(ended.state, AttemptState::Failed);
    assert!(matches!(ended.refusal, Some(NetworkRefusal::Unavailable | NetworkRefusal::Refused)));
    let order = rig.order(&shop, "PAY-DOWN").await;
    assert_eq!((order.payer, order.attempt), (None, None), "the order is free again");
}
