//! Money: the ways that are opened, who pays, what is closed and given back, and what is paid out.

use std::sync::atomic::{AtomicI64, Ordering};

use koudai_core::other_wallet::PAY_ELSEWHERE_MS;
use koudai_core::rows::NetworkRefusal;
use koudai_core::time::{DAY, MINUTE};
use koudai_networks::network::{Invitation, Move, Moved, Network};

use crate::rig::{Fixture, Mode, PHONE, back, failed, fen, moving, nobody, now, succeeded, with};

#[tokio::test]
async fn each_scene_opens_its_way_and_the_same_way_again() {
    for mode in [Mode::Keys, Mode::Certificates] {
        let mut f = Fixture::by(mode, "http://127.0.0.1:9/", now).await;
        // Somebody at a computer scans a code.
        let number = f.number();
        assert_eq!(f.client.query_debit(&number).await, Moved::NotThere);
        assert_eq!(f.client.debit(moving(&number, 8_800)).await, Moved::UnderWay);
        let Invitation::Scan(code) = f.invited(&number) else { panic!() };
        assert_eq!(f.client.query_debit(&number).await, Moved::UnderWay, "nobody has scanned it yet");
        assert_eq!(f.client.debit(moving(&number, 8_800)).await, Moved::UnderWay);
        assert_eq!(f.invited(&number), Invitation::Scan(code.clone()));
        assert_eq!(f.person(&code, 1, "come").await.1["trade_status"], "WAIT_BUYER_PAY");
        assert_eq!(f.client.query_debit(&number).await, Moved::UnderWay);
        assert_eq!(f.person(&code, 1, "agree").await.0, 200);
        let id = succeeded(&f.client.query_debit(&number).await);
        assert_eq!(succeeded(&f.client.close_debit(&number).await), id);
        assert_eq!(
            succeeded(&f.client.debit(moving(&number, 8_800)).await),
            id,
            "it is paid, and not ordered again"
        );

        // Somebody in a phone's browser is sent to an address, and comes back from there.
        let number = f.number();
        let by_phone = || Move { scene: Some(PHONE), ..moving(&number, 1_234_500) };
        assert_eq!(f.client.debit(by_phone()).await, Moved::UnderWay);
        let Invitation::Visit(address) = f.invited(&number) else { panic!() };
        assert_eq!(f.client.query_debit(&number).await, Moved::UnderWay, "nobody went there yet");
        let page = reqwest::Client::new().get(&address).send().await.unwrap();
        let (at, html) = (page.url().clone(), page.text().await.unwrap());
        assert!(html.contains("12,345.00") && at.path().starts_with("/pay/"), "{at}: {html}");
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let form = "person=2&act=agree";
        let agreed = browser.post(at).header("content-type", "application/x-www-form-urlencoded").body(form);
        let agreed = agreed.send().await.unwrap();
        let location = agreed.headers()["location"].to_str().unwrap().to_owned();
        assert!(location.starts_with(&format!("http://127.0.0.1:9/back{number}?")), "{location}");
        assert!(location.contains("total_amount=12345.00") && location.contains(&number), "{location}");
        succeeded(&f.client.query_debit(&number).await);

        // Somebody inside the app is asked by the app.
        let number = f.number();
        assert_eq!(f.client.debit(with(&number, 3, 100)).await, Moved::UnderWay);
        let Invitation::CallUp { call, parameters } = f.invited(&number) else { panic!() };
        let trade: serde_json::Value = serde_json::from_str(&parameters).unwrap();
        assert_eq!((call, f.client.query_debit(&number).await), ("alipay-pay", Moved::UnderWay));
        let trade = trade["tradeNO"].as_str().unwrap();
        assert_eq!(f.person(trade, 4, "agree").await.0, 409, "it is the payment of another person");
        assert_eq!(f.person(trade, 3, "agree").await.0, 200);
        assert_eq!(succeeded(&f.client.query_debit(&number).await), trade);
        assert!(f.sandbox.books_agree().await.unwrap());
        assert_eq!(f.sandbox.movements().await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_program_that_was_started_anew_opens_the_same_way_and_not_a_second_payment() {
    let mut f = Fixture::new().await;
    let (scan, inside) = (f.number(), f.number());
    f.client.debit(moving(&scan, 100)).await;
    f.client.debit(with(&inside, 1, 100)).await;
    let before = f.invited(&scan);
    let other = f.client_at(Mode::Certificates, now);
    assert_eq!(other.query_debit(&scan).await, Moved::NotThere, "it does not know that it opened a way");
    assert_eq!(other.debit(moving(&scan, 100)).await, Moved::UnderWay);
    assert_eq!(other.invitations().unwrap().get(&scan, koudai_core::time::Timestamp(0)), Some(before));
    assert_eq!(other.debit(with(&inside, 1, 100)).await, Moved::UnderWay);
    for number in [&scan, &inside] {
        assert_eq!(f.person(number, 1, "agree").await.0, 200);
        succeeded(&other.query_debit(number).await);
        assert_eq!(f.moved(number).await, 1);
    }
    // Another amount under a number that is ordered is refused there.
    let number = f.number();
    f.client.debit(moving(&number, 100)).await;
    let refused = other.debit(moving(&number, 101)).await;
    assert_eq!(refused, Moved::NothingDone(NetworkRefusal::Refused));
}

#[tokio::test]
async fn each_refusal_has_its_reason_and_what_nobody_can_pay_is_not_ordered() {
    let mut f = Fixture::new().await;
    let number = f.number();
    let limit = f.client.debit(moving(&number, 5_000_001)).await;
    assert_eq!(limit, Moved::NothingDone(NetworkRefusal::OverLimit));
    assert_eq!(f.client.query_debit(&number).await, Moved::NotThere);
    let unknown = f.client.debit(Move { token: nobody(), ..with(&number, 1, 100) }).await;
    assert_eq!(unknown, Moved::NothingDone(NetworkRefusal::Refused), "nobody knows who is to pay");
    assert_eq!(f.client.debit(moving("7000", 100)).await, Moved::NothingDone(NetworkRefusal::Refused));
    // Who cannot pay is told so on Alipay's page, and may let another person pay.
    assert_eq!(f.client.debit(moving(&number, 100)).await, Moved::UnderWay);
    assert_eq!(f.person(&number, 39, "agree").await.1["refused"], "ACQ.BUYER_ENABLE_STATUS_FORBID");
    assert_eq!(f.client.query_debit(&number).await, Moved::UnderWay);
    // Who does not want to, ends it.
    let number = f.number();
    f.client.debit(moving(&number, 100)).await;
    assert_eq!(f.person(&number, 1, "refuse").await.1["trade_status"], "TRADE_CLOSED");
    assert_eq!(f.client.query_debit(&number).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.client.debit(moving(&number, 100)).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.person(&number, 1, "agree").await.0, 409);
    assert_eq!(f.sandbox.movements().await.unwrap(), []);
}

#[tokio::test]
async fn a_payment_that_is_closed_is_never_paid_and_one_that_is_paid_is_not_closed() {
    let mut f = Fixture::new().await;
    // Somebody came and did not agree: it is closed there.
    let number = f.number();
    f.client.debit(moving(&number, 100)).await;
    f.person(&number, 1, "come").await;
    assert_eq!(f.client.close_debit(&number).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.person(&number, 1, "agree").await.0, 409);
    assert_eq!(f.client.close_debit(&number).await, failed(NetworkRefusal::Withdrawn));
    // A call that was on its way arrives after it.
    let late = f.client_at(Mode::Certificates, now);
    assert_eq!(late.debit(moving(&number, 100)).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.person(&number, 1, "agree").await.0, 409);
    // Nobody came: the code could be scanned still, so it is not over yet.
    let number = f.number();
    f.client.debit(moving(&number, 100)).await;
    assert_eq!(f.client.close_debit(&number).await, Moved::UnderWay);
    assert_eq!(f.person(&number, 1, "agree").await.0, 200);
    succeeded(&f.client.close_debit(&number).await);
    // Closing and paying at once: whichever comes first, both sides say the same.
    for round in 0..12 {
        let number = f.number();
        f.client.debit(moving(&number, 100 + round)).await;
        f.person(&number, 1, "come").await;
        let (closed, paid) = tokio::join!(f.client.close_debit(&number), f.person(&number, 1, "agree"));
        let ended = f.client.close_debit(&number).await;
        assert!(closed == ended || closed == Moved::UnderWay, "{closed:?} {ended:?}");
        let is_paid = paid.0 == 200;
        assert_eq!(ended == failed(NetworkRefusal::Withdrawn), !is_paid, "{ended:?}");
        assert_eq!(f.moved(&number).await, usize::from(is_paid));
    }
    assert!(f.sandbox.books_agree().await.unwrap());
}

/// What is added to the clock below.
static LATER_MS: AtomicI64 = AtomicI64::new(0);

fn later() -> i64 {
    now() + LATER_MS.load(Ordering::Relaxed)
}

#[tokio::test]
async fn past_its_time_nothing_is_ordered_or_paid_and_what_is_not_there_is_over() {
    let mut f = Fixture::by(Mode::Certificates, "http://127.0.0.1:9/", later).await;
    let (scanned, waits, never) = (f.number(), f.number(), f.number());
    f.client.debit(moving(&scanned, 100)).await;
    f.client.debit(moving(&waits, 100)).await;
    f.person(&waits, 1, "come").await;
    assert_eq!(f.client.close_debit(&never).await, Moved::UnderWay, "a call may be on its way");
    LATER_MS.store(PAY_ELSEWHERE_MS + 1_000, Ordering::Relaxed);
    assert_eq!(f.person(&scanned, 1, "agree").await.0, 409);
    assert_eq!(f.person(&waits, 1, "agree").await.0, 409);
    assert_eq!(f.client.query_debit(&waits).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.client.query_debit(&scanned).await, Moved::NotThere);
    for number in [&scanned, &never] {
        assert_eq!(f.client.debit(moving(number, 100)).await, Moved::UnderWay, "it is not sent any more");
        assert_eq!(f.client.close_debit(number).await, Moved::UnderWay, "clocks differ");
    }
    LATER_MS.store(PAY_ELSEWHERE_MS + 5 * MINUTE + 1_000, Ordering::Relaxed);
    for number in [&scanned, &never] {
        assert_eq!(f.client.close_debit(number).await, failed(NetworkRefusal::Withdrawn));
    }
    // An order that was sent in time and arrives now is refused: what it says of its end is past.
    let late = f.client_at(Mode::Certificates, now);
    let refused = late.debit(moving(&never, 100)).await;
    assert_eq!(refused, Moved::NothingDone(NetworkRefusal::Refused));
    assert_eq!(f.sandbox.movements().await.unwrap(), []);
}

#[tokio::test]
async fn what_was_paid_in_another_amount_than_was_asked_for_is_not_believed() {
    let mut f = Fixture::new().await;
    let number = f.number();
    f.paid(&number, 8_800).await;
    // After a restart only the wallet knows what it was to be.
    let again = f.client_at(Mode::Certificates, now);
    again.expects(&number, fen(8_801));
    assert_eq!(again.query_debit(&number).await, Moved::Unknown);
    assert_eq!(again.close_debit(&number).await, Moved::Unknown);
    again.expects(&number, fen(8_800));
    succeeded(&again.query_debit(&number).await);
}

#[tokio::test]
async fn money_goes_back_in_parts_each_once_and_never_more_than_was_paid() {
    let mut f = Fixture::new().await;
    let paid = f.number();
    let id = f.paid(&paid, 1_000).await;
    let (first, second, third) = (f.number(), f.number(), f.number());
    let part = |number, minor| back(number, &paid, &id, [1_000, minor]);
    assert_eq!(f.client.query_refund(part(&first, 300)).await, Moved::NotThere);
    assert_eq!(succeeded(&f.client.refund(part(&first, 300)).await), id);
    assert_eq!(
        succeeded(&f.client.refund(part(&first, 300)).await),
        id,
        "the same number is the same refund"
    );
    assert_eq!(f.client.refund(part(&first, 301)).await, Moved::NothingDone(NetworkRefusal::Refused));
    assert_eq!(f.client.query_refund(part(&first, 301)).await, Moved::Unknown, "it is another amount");
    assert_eq!(f.client.refund(part(&third, 701)).await, Moved::NothingDone(NetworkRefusal::Refused));
    succeeded(&f.client.refund(part(&second, 700)).await);
    succeeded(&f.client.query_refund(part(&second, 700)).await);
    assert_eq!((f.moved(&first).await, f.moved(&second).await, f.moved(&third).await), (1, 1, 0));
    // Refused for a day, and not there: it has failed.
    let old = f.number_of(DAY);
    assert_eq!(f.client.refund(part(&old, 1)).await, failed(NetworkRefusal::Refused));
    // One that was not paid has nothing to give back.
    let unpaid = f.number();
    f.client.debit(moving(&unpaid, 100)).await;
    let none = f.client.refund(back(&third, &unpaid, "", [100, 100])).await;
    assert_eq!(none, Moved::NothingDone(NetworkRefusal::Refused));
    assert!(f.sandbox.books_agree().await.unwrap());
}

#[tokio::test]
async fn money_is_paid_out_once_to_a_person_who_is_known() {
    let mut f = Fixture::new().await;
    let number = f.number();
    assert_eq!(f.client.query_pay_out(&number).await, Moved::NotThere);
    let id = succeeded(&f.client.pay_out(with(&number, 5, 5_000)).await);
    assert_eq!(succeeded(&f.client.pay_out(with(&number, 5, 5_000)).await), id);
    assert_eq!(succeeded(&f.client.query_pay_out(&number).await), id);
    assert_eq!(succeeded(&f.client.close_pay_out(&number).await), id);
    let other = f.client.pay_out(with(&number, 5, 5_001)).await;
    assert_eq!(other, Moved::NothingDone(NetworkRefusal::Refused));
    assert_eq!(f.moved(&number).await, 1);
    // One that takes its time is under way until it is there.
    let slow = f.number();
    assert_eq!(f.client.pay_out(with(&slow, 36, 100)).await, Moved::UnderWay);
    assert_eq!(f.client.close_pay_out(&slow).await, Moved::UnderWay);
    for (person, minor, refusal) in [
        (39, 100, NetworkRefusal::CardNotUsable),
        (99, 100, NetworkRefusal::CardNotUsable),
        (1, 9, NetworkRefusal::Refused),
        (1, 900_000_000, NetworkRefusal::NotCovered),
    ] {
        let number = f.number();
        let refused = f.client.pay_out(with(&number, person, minor)).await;
        assert_eq!(refused, Moved::NothingDone(refusal), "{person} {minor}");
        assert_eq!(f.client.query_pay_out(&number).await, Moved::NotThere);
    }
    let nameless = Move { token: nobody(), ..with(&slow, 1, 100) };
    assert_eq!(f.client.pay_out(nameless).await, Moved::NothingDone(NetworkRefusal::Refused));
    // Nothing stops a payout there, so one that is not there is not over for two days.
    let never = f.number_of(DAY);
    assert_eq!(f.client.close_pay_out(&never).await, Moved::UnderWay);
    let old = f.number_of(2 * DAY);
    assert_eq!(f.client.close_pay_out(&old).await, failed(NetworkRefusal::Withdrawn));
    f.set_faults(r#"[{"call":"bill","fault":"drop"}]"#);
    assert_eq!(f.client.close_pay_out(&old).await, Moved::UnderWay, "its bills have not been seen");
    // In key mode there are no payouts.
    let keys = f.client_at(Mode::Keys, now);
    let number = f.number();
    assert_eq!(keys.pay_out(with(&number, 1, 100)).await, Moved::NothingDone(NetworkRefusal::Refused));
    assert!(!keys.wallet().unwrap().pays_out && f.client.wallet().unwrap().pays_out);
    assert!(f.sandbox.books_agree().await.unwrap());
}
