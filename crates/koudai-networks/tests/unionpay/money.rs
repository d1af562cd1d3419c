//! Money: payments, what takes them back, payouts, and the network's file of them.

use koudai_core::attempt::Outcome;
use koudai_core::rows::NetworkRefusal;
use koudai_core::time::{DAY, MINUTE};
use koudai_networks::faults::{Fault, Rule};
use koudai_networks::network::{Moved, Network, Way};
use koudai_networks::unionpay::sandbox::Movement;

use crate::rig::{Fixture, back, debit_card, later, moving};

const fn failed(refusal: NetworkRefusal) -> Moved {
    Moved::Ended(Outcome::Failed(refusal))
}

fn done(moved: &Moved) -> bool {
    matches!(moved, Moved::Ended(Outcome::Succeeded { .. }))
}

#[tokio::test]
async fn a_payment_is_made_once_and_each_refusal_has_its_reason() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let number = f.number();
    let id = f.paid(&token, &number, 8_800).await;
    assert_eq!(f.paid(&token, &number, 8_800).await, id, "the same number is the same payment");
    assert_eq!(
        f.client.query_debit(&number).await,
        Moved::Ended(Outcome::Succeeded { network_ref: id.clone() })
    );
    assert_eq!(f.client.close_debit(&number).await, Moved::Ended(Outcome::Succeeded { network_ref: id }));

    let empty = f.bound(debit_card(38)).await;
    for (token, fen, refusal) in [
        (&token, 5_000_001, NetworkRefusal::OverLimit),
        (&token, 4_999_999, NetworkRefusal::InsufficientFunds),
        (&empty, 1, NetworkRefusal::InsufficientFunds),
    ] {
        let number = f.number();
        assert_eq!(f.client.debit(moving(token, &number, fen)).await, Moved::NothingDone(refusal));
        assert_eq!(f.client.query_debit(&number).await, failed(refusal));
    }
    let moved = f.sandbox.movements().await.unwrap();
    assert_eq!(moved, [Movement { order_id: number, call: "pay".to_owned(), amount_minor: 8_800 }]);
    assert!(f.sandbox.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_payment_that_is_taken_on_and_not_decided_is_under_way() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(36)).await;
    let number = f.number();
    assert_eq!(f.client.debit(moving(&token, &number, 100)).await, Moved::UnderWay);
    assert_eq!(f.client.close_debit(&number).await, Moved::UnderWay);
    let decided = async {
        while !done(&f.client.query_debit(&number).await) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), decided).await.unwrap();
}

#[tokio::test]
async fn a_payment_past_its_time_is_not_made_and_one_that_is_not_there_is_over_only_then() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let (young, late, old) = (f.number_of(MINUTE), f.number_of(4 * MINUTE), f.number_of(9 * MINUTE));
    assert_eq!(f.client.debit(moving(&token, &late, 100)).await, Moved::UnderWay, "it is not sent any more");
    assert_eq!(f.client.query_debit(&late).await, Moved::NotThere);
    assert_eq!(f.client.debit(moving(&token, &old, 100)).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.client.query_debit(&young).await, Moved::NotThere);
    assert_eq!(f.client.close_debit(&young).await, Moved::UnderWay, "it may still arrive");
    assert_eq!(f.client.close_debit(&old).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.client.close_pay_out(&old).await, Moved::UnderWay, "nothing stops a payout");
    let very_old = f.number_of(2 * DAY);
    assert_eq!(f.client.close_pay_out(&very_old).await, failed(NetworkRefusal::Withdrawn));
    f.sandbox.set_faults(vec![Rule::once("file", Fault::Garbage)]).unwrap();
    assert_eq!(f.client.close_pay_out(&very_old).await, Moved::UnderWay, "its file has not been seen");
    assert_eq!(f.sandbox.movements().await.unwrap(), []);
}

#[tokio::test]
async fn all_of_a_payment_of_the_day_is_voided_and_anything_else_is_refunded() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let (whole, parts, old) = (f.number(), f.number(), f.number());
    let ids = [
        f.paid(&token, &whole, 1_000).await,
        f.paid(&token, &parts, 1_000).await,
        f.paid(&token, &old, 500).await,
    ];
    let numbers = [f.number(), f.number(), f.number(), f.number()];

    let void = back(&numbers[0], &whole, &ids[0], [1_000, 1_000]);
    assert!(done(&f.client.refund(void).await));
    assert!(done(&f.client.refund(void).await) && done(&f.client.query_refund(void).await));
    let part = back(&numbers[1], &parts, &ids[1], [1_000, 300]);
    assert!(done(&f.client.refund(part).await) && done(&f.client.query_refund(part).await));
    // The number of the payment says that it was made the day before, so it is not voided.
    let yesterday = f.number_of(DAY);
    let next_day = back(&numbers[2], &yesterday, &ids[2], [500, 500]);
    assert!(done(&f.client.refund(next_day).await));
    // The rest of one of which a part went back is no longer a void: the network says so, and it is refunded.
    let rest = back(&numbers[3], &parts, &ids[1], [1_000, 1_000]);
    assert_eq!(f.client.refund(rest).await, Moved::NothingDone(NetworkRefusal::Refused));
    let calls: Vec<_> = f.sandbox.movements().await.unwrap();
    let calls: Vec<_> = calls.iter().map(|m| (m.call.as_str(), m.amount_minor)).skip(3).collect();
    assert_eq!(calls, [("void", 1_000), ("refund", 300), ("refund", 500)]);
    assert!(f.sandbox.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_void_that_the_network_refuses_becomes_a_refund() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let (paid, number) = (f.number(), f.number());
    let id = f.paid(&token, &paid, 1_000).await;
    f.sandbox.set_faults(vec![Rule::once("void", Fault::Refuse { code: "36".to_owned() })]).unwrap();
    let all = back(&number, &paid, &id, [1_000, 1_000]);
    assert!(done(&f.client.refund(all).await) && done(&f.client.query_refund(all).await));
    let moved = f.sandbox.movements().await.unwrap();
    assert_eq!((moved[1].call.as_str(), moved.len()), ("refund", 2));
}

#[tokio::test]
async fn a_void_whose_answer_was_lost_is_found_and_not_refunded_besides() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let (paid, number) = (f.number(), f.number());
    let id = f.paid(&token, &paid, 1_000).await;
    let all = back(&number, &paid, &id, [1_000, 1_000]);
    f.sandbox.set_faults(vec![Rule::once("void", Fault::Drop)]).unwrap();
    assert_eq!(f.client.refund(all).await, Moved::Unknown);
    assert!(done(&f.client.query_refund(all).await) && done(&f.client.refund(all).await));
    // Once the clearing day is over, when it would be no void any more, it is still found.
    let client = f.client_at(later);
    assert!(done(&client.refund(all).await) && done(&client.query_refund(all).await));
    assert_eq!(f.sandbox.movements().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_file_of_a_day_is_there_when_the_day_is_over() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let (paid, again, part, whole, out) = (f.number(), f.number(), f.number(), f.number(), f.number());
    let id = f.paid(&token, &paid, 1_000).await;
    let second = f.paid(&token, &again, 700).await;
    assert!(done(&f.client.refund(back(&part, &paid, &id, [1_000, 400])).await));
    assert!(done(&f.client.refund(back(&whole, &again, &second, [700, 700])).await));
    assert!(done(&f.client.pay_out(moving(&token, &out, 250)).await));
    assert!(done(&f.client.query_pay_out(&out).await));

    assert_eq!(f.client.books(0).await.unwrap(), [], "the day is not over");
    let client = f.client_at(later);
    let books = client.books(0).await.unwrap();
    let lines: Vec<_> = books.iter().map(|l| (l.way, l.number.as_str(), l.amount_minor)).collect();
    assert_eq!(
        lines,
        [
            (Way::In, paid.as_str(), 1_000),
            (Way::In, &again, 700),
            (Way::Back, &part, 400),
            (Way::Back, &whole, 700),
            (Way::Out, &out, 250),
        ]
    );
    assert_eq!(client.books(books[1].no).await.unwrap(), books[2..], "it goes on behind any line");
    assert_eq!(client.books(books[4].no).await.unwrap(), []);
    f.sandbox.set_faults(vec![Rule::once("file", Fault::Garbage)]).unwrap();
    assert_eq!(client.books(0).await, None);
}
