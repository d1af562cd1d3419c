//! What an answer means, what outlives a restart, and where time comes from.

use std::task::{Context, Poll, Waker};

use koudai_core::id::OrderId;
use koudai_core::order::SweepCodes;
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{Order, OrderCode, OrderNumber, OrderState, OutTradeNo};
use koudai_core::state::Event;
use koudai_core::time::{DAY, HOUR};
use koudai_engine::{Clock, Failed};
use koudai_store::StoreError;

use crate::place::Place;
use crate::wallet::{PIN, START, WRONG, Wallet, pay, refusal, start};

async fn committed(wallet: &Wallet, order: OrderId) -> Option<Order> {
    wallet.engine.read(move |reader| reader.get::<Order>(&order)).await.expect("it is read")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_on_the_disk() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 10_000).await;
    for n in 0..50 {
        let order = wallet.order(&format!("order-{n}"), 100).await;
        assert_eq!(committed(&wallet, order.id).await.as_ref(), Some(&order));
        let paid = wallet.engine.submit(pay(person, order.id, PIN)).await.unwrap();
        assert_eq!(committed(&wallet, order.id).await, Some(paid));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_on_the_disk() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 10_000).await;
    let mut events = wallet.engine.events();
    for n in 0..50 {
        let order = wallet.order(&format!("order-{n}"), 100).await.id;
        let engine = wallet.engine.clone();
        let paying = tokio::spawn(async move { engine.submit(pay(person, order, PIN)).await.unwrap() });
        let mut seen = vec![];
        while !seen.contains(&Event::OrderChanged(order)) {
            seen.push(events.recv().await.unwrap());
        }
        assert_eq!(committed(&wallet, order).await.unwrap().state, OrderState::Paid);
        paying.await.unwrap();
        if !seen.contains(&Event::NoticeDue(wallet.merchant)) {
            assert_eq!(events.recv().await.unwrap(), Event::NoticeDue(wallet.merchant));
        }
    }
}

#[tokio::test]
async fn a_command_whose_sender_has_gone_is_done_all_the_same() {
    let wallet = Wallet::new().await;
    let mut sent = Box::pin(wallet.engine.submit(wallet.place("order-1", 100)));
    let once = sent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(once, Poll::Pending | Poll::Ready(Ok(_))));
    drop(sent);
    wallet.order("order-2", 100).await;
    let key = OutTradeNo { mchid: wallet.merchant, out_trade_no: "order-1".to_owned() };
    let number = wallet.engine.read(move |reader| reader.get::<OrderNumber>(&key)).await.unwrap();
    assert!(number.is_some());
}

#[tokio::test]
async fn a_refusal_keeps_what_it_means_to_keep_over_a_restart() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 10_000).await;
    let order = wallet.order("order-1", 100).await.id;
    let wrong = refusal(wallet.engine.submit(pay(person, order, WRONG)).await);
    assert_eq!(wrong, Refusal::PaymentPasswordWrong { tries_left: 4 });
    let wallet = wallet.restart();
    let wrong = refusal(wallet.engine.submit(pay(person, order, WRONG)).await);
    assert_eq!(wrong, Refusal::PaymentPasswordWrong { tries_left: 3 });
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_goes_on() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 10_000).await;
    let order = wallet.order("order-1", 100).await.id;
    let paid = wallet.engine.submit(pay(person, order, PIN)).await.unwrap();
    let unpaid = wallet.order("order-2", 100).await;
    let (seals, epoch) = (wallet.seals().await, wallet.engine.epoch());
    let wallet = wallet.restart();
    assert_eq!((wallet.seals().await, wallet.engine.epoch()), (seals, epoch + 1));
    assert_eq!(wallet.engine.submit(pay(person, order, PIN)).await.unwrap(), paid);
    assert_eq!(wallet.engine.submit(wallet.place("order-2", 100)).await.unwrap(), unpaid);
    let again = wallet.engine.submit(wallet.place("order-1", 100)).await;
    assert!(matches!(again, Err(Failed::Refused(MerchantRefusal::OrderPaid))));
    let fresh = wallet.order("order-3", 100).await.id;
    assert!(fresh > unpaid.id, "at the same moment of the clock, and still a number of its own");
    assert!(wallet.engine.submit(pay(person, fresh, PIN)).await.is_ok());
}

#[tokio::test]
async fn a_directory_has_one_engine_until_every_handle_is_gone() {
    let wallet = {
        let place = Place::on_files();
        let engine = start(&place).unwrap();
        Wallet::with(place, engine).await
    };
    let handle = wallet.engine.clone();
    assert!(matches!(start(&wallet.place), Err(StoreError::Taken { .. })));
    drop(handle);
    let wallet = wallet.restart();
    wallet.order("order-1", 100).await;
}

#[tokio::test]
async fn time_is_the_clocks_and_never_goes_back() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 10_000).await;
    assert_eq!(wallet.engine.clock().now(), START);
    let first = wallet.order("order-1", 100).await;
    assert_eq!(first.created_at, START);
    wallet.engine.clock().advance(DAY);
    assert_eq!(wallet.order("order-2", 100).await.created_at, START.plus(DAY));
    wallet.engine.clock().advance(-HOUR);
    let behind = wallet.order("order-3", 100).await;
    assert_eq!(behind.created_at, START.plus(DAY), "the ledger waits for a clock that was set back");
    wallet.engine.clock().advance(6 * DAY + HOUR);
    let late = refusal(wallet.engine.submit(pay(person, first.id, PIN)).await);
    assert_eq!(late, Refusal::OrderExpired);
}

#[test]
fn the_machines_clock_is_moved_by_nobody() {
    let clock = Clock::wall();
    let before = clock.now();
    clock.advance(-DAY);
    assert!(clock.now() >= before);
}

#[test]
fn a_key_drawn_twice_is_two_keys() {
    assert_ne!(koudai_engine::random_bytes(), koudai_engine::random_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_many_codes_that_are_not_in_memory_is_decided() {
    let wallet = Wallet::new().await;
    let tokens = (0..=255_u8).map(|n| [n; 16]).collect();
    wallet.engine.submit(SweepCodes { tokens }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_leads_to_its_order_for_a_week_after_it_expired() {
    let wallet = Wallet::new().await;
    let token = wallet.order("order-1", 100).await.code;
    let there = async || {
        let code = wallet.engine.read(move |r| r.get::<OrderCode>(&token)).await.unwrap();
        code.is_some()
    };
    for (wait, kept) in [(3 * HOUR, true), (6 * DAY, true), (DAY, false)] {
        wallet.engine.clock().advance(wait);
        wallet.engine.submit(SweepCodes { tokens: vec![token] }).await.unwrap();
        assert_eq!(there().await, kept, "after another {wait} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_repeats_commit_nothing() {
    let wallet = Wallet::new().await;
    let person = wallet.person(1, 10_000).await;
    let order = wallet.order("order-1", 100).await.id;
    wallet.engine.submit(pay(person, order, PIN)).await.unwrap();
    let seals = async || wallet.engine.read(|r| Ok(r.seals_after(-1, 1_000)?.len())).await.unwrap();
    let before = seals().await;
    for _ in 0..20 {
        wallet.engine.submit(pay(person, order, PIN)).await.unwrap();
        let unknown = OrderId(order.0 + (1 << 40));
        assert_eq!(refusal(wallet.engine.submit(pay(person, unknown, PIN)).await), Refusal::OrderUnknown);
    }
    assert_eq!(seals().await, before);
}
