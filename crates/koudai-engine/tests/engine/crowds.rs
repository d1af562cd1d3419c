//! Many at once: an order is paid once, a yuan is spent once, and a guesser gets five tries.

use koudai_core::ledger::AccountId;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{OrderState, PaymentPassword};
use tokio::task::JoinSet;

use crate::wallet::{PIN, WRONG, Wallet, fen, pay, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_crowd_that_pays_one_order_exactly_one_has_paid_it() {
    let wallet = Wallet::new().await;
    let mut persons = vec![];
    for n in 0..64 {
        persons.push(wallet.person(n, 100_000).await);
    }
    let mut winners = std::collections::HashSet::new();
    for round in 0..200 {
        let order = wallet.order(&format!("order-{round}"), 100).await.id;
        let mut tasks = JoinSet::new();
        // Somebody else comes first each time.
        persons.rotate_left(1);
        for person in persons.clone() {
            let engine = wallet.engine.clone();
            tasks.spawn(async move { engine.submit(pay(person, order, PIN)).await });
        }
        let mut paid = vec![];
        for outcome in tasks.join_all().await {
            match outcome {
                Ok(order) => paid.push(order),
                refused => assert_eq!(refusal(refused), Refusal::OrderAlreadyPaid),
            }
        }
        assert_eq!(paid.len(), 1);
        assert_eq!(paid[0].state, OrderState::Paid);
        winners.extend(paid[0].payer);
    }
    let merchant = AccountId::merchant(wallet.merchant);
    let received = wallet.engine.read(move |r| r.balance(merchant)).await.unwrap().unwrap();
    assert_eq!((received.credits_minor, received.debits_minor), (200 * 100, 200));
    assert!(winners.len() > 1, "the crowd was one: {} won", winners.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_yuan_is_spent_once() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 100).await;
    let mut orders = vec![];
    for n in 0..1_000 {
        let engine = wallet.engine.clone();
        let place = wallet.place(&format!("order-{n}"), 100);
        orders.push(tokio::spawn(async move { engine.submit(place).await.unwrap().id }));
    }
    let mut tasks = JoinSet::new();
    for order in orders {
        let order = order.await.unwrap();
        let engine = wallet.engine.clone();
        tasks.spawn(async move { engine.submit(pay(person, order, PIN)).await });
    }
    let mut paid = 0;
    for outcome in tasks.join_all().await {
        match outcome {
            Ok(_) => paid += 1,
            refused => assert_eq!(refusal(refused), Refusal::InsufficientBalance { short_by: fen(100) }),
        }
    }
    assert_eq!(paid, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_guesses_at_once_five_are_judged_and_the_rest_are_locked_out() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 100).await;
    let order = wallet.order("order-1", 100).await.id;
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let engine = wallet.engine.clone();
        tasks.spawn(async move { refusal(engine.submit(pay(person, order, WRONG)).await) });
    }
    let (mut left, mut locked) = (vec![], 0);
    for refusal in tasks.join_all().await {
        match refusal {
            Refusal::PaymentPasswordWrong { tries_left } => left.push(tries_left),
            Refusal::PaymentPasswordLocked { .. } => locked += 1,
            other => panic!("{other:?}"),
        }
    }
    left.sort_unstable();
    assert_eq!((left.as_slice(), locked), ([1, 2, 3, 4].as_slice(), 196));
    let row = wallet.engine.read(move |r| r.get::<PaymentPassword>(&person)).await.unwrap().unwrap();
    assert_eq!(row.wrong, 5);
    let right = refusal(wallet.engine.submit(pay(person, order, PIN)).await);
    assert!(matches!(right, Refusal::PaymentPasswordLocked { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_wait_together_are_committed_together() {
    let wallet = Wallet::new().await;
    let before = wallet.seals().await;
    let mut tasks = JoinSet::new();
    for n in 0..2_000 {
        let (engine, place) = (wallet.engine.clone(), wallet.place(&format!("order-{n}"), 100));
        tasks.spawn(async move { engine.submit(place).await.unwrap() });
    }
    let ids: std::collections::HashSet<_> = tasks.join_all().await.into_iter().map(|o| o.id).collect();
    assert_eq!(ids.len(), 2_000);
    let commits = wallet.seals().await - before;
    assert!((1..1_000).contains(&commits), "{commits} commits for 2,000 commands");
}
