//! Paying by a code that the payer shows.

use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_networks::network::{Move, Moved, Network};

use crate::rig::{Fixture, failed, moving, succeeded};

fn by<'a>(number: &'a str, code: &Secret<String>, minor: i64) -> Move<'a> {
    Move { token: code.clone(), ..moving(number, minor) }
}

#[tokio::test]
async fn a_code_pays_once_and_its_person_may_have_to_agree() {
    let mut f = Fixture::new().await;
    let (number, code) = (f.number(), f.code(1).await);
    let id = succeeded(&f.client.pay_by_code(by(&number, &code, 99_999)).await);
    assert_eq!(succeeded(&f.client.query_debit(&number).await), id);
    // The same order is paid; another one with the same code is not.
    assert_eq!(succeeded(&f.client.pay_by_code(by(&number, &code, 99_999)).await), id);
    let second = f.number();
    let used = f.client.pay_by_code(by(&second, &code, 100)).await;
    assert_eq!(used, Moved::NothingDone(NetworkRefusal::Refused));
    assert_eq!(f.client.query_debit(&second).await, Moved::NotThere);

    let (large, code) = (f.number(), f.code(1).await);
    assert_eq!(f.client.pay_by_code(by(&large, &code, 100_000)).await, Moved::UnderWay);
    assert_eq!(f.client.query_debit(&large).await, Moved::UnderWay, "its payer has to agree");
    assert_eq!(f.person(&large, 1, "agree").await.0, 200);
    succeeded(&f.client.query_debit(&large).await);

    let (poor, code) = (f.number(), f.code(38).await);
    let refused = f.client.pay_by_code(by(&poor, &code, 100)).await;
    assert_eq!(refused, Moved::NothingDone(NetworkRefusal::InsufficientFunds));
    for no_code in ["", "28", "28000000000000000x", &"2".repeat(25)] {
        let number = f.number();
        let refused = f.client.pay_by_code(by(&number, &Secret::new(no_code.to_owned()), 100)).await;
        assert_eq!(refused, Moved::NothingDone(NetworkRefusal::Refused), "{no_code}");
    }
    assert!(f.sandbox.books_agree().await.unwrap());
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_and_a_payment_nobody_agrees_to_is_taken_back() {
    let mut f = Fixture::new().await;
    let (lost, code) = (f.number(), f.code(1).await);
    f.set_faults(r#"[{"call":"pay","fault":"drop","times":1}]"#);
    assert_eq!(f.client.pay_by_code(by(&lost, &code, 100)).await, Moved::Unknown);
    succeeded(&f.client.query_debit(&lost).await);
    // Taken back although it was paid: its payer has the money again.
    assert_eq!(f.client.take_back(&lost).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.client.take_back(&lost).await, failed(NetworkRefusal::Withdrawn));

    let (waits, code) = (f.number(), f.code(1).await);
    assert_eq!(f.client.pay_by_code(by(&waits, &code, 100_000)).await, Moved::UnderWay);
    assert_eq!(f.client.take_back(&waits).await, failed(NetworkRefusal::Withdrawn));
    assert_eq!(f.person(&waits, 1, "agree").await.0, 409);

    // What is not there yet may still arrive.
    let never = f.number();
    assert_eq!(f.client.take_back(&never).await, Moved::UnderWay);
    f.set_faults(r#"[{"call":"cancel","fault":"down","times":1}]"#);
    assert_eq!(f.client.take_back(&never).await, Moved::Unknown);
    assert!(f.sandbox.books_agree().await.unwrap());
}
