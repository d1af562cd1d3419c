//! Its books against what moved.

use std::sync::atomic::{AtomicI64, Ordering};

use koudai_core::ledger::WECHAT_NETWORK;
use koudai_core::time::{DAY, HOUR, Timestamp};
use koudai_engine::Clock;
use koudai_networks::faults::{Fault, Rule};
use koudai_networks::network::{BookEntry, Moved, Network as _, Way};
use tokio::sync::{Mutex, MutexGuard};

use crate::ground::{Ground, WITHDRAWN, back, succeeded};
use crate::rig::{differing, now_s};

static SHIFT_S: AtomicI64 = AtomicI64::new(0);

fn shifted() -> i64 {
    now_s() + SHIFT_S.load(Ordering::Relaxed)
}

/// One test at a time has the shift.
static TURN: Mutex<()> = Mutex::const_new(());

/// Two clocks that are moved as one.
struct Hands {
    clock: Clock,
    _turn: MutexGuard<'static, ()>,
}

impl Hands {
    fn forward(&self, ms: i64) {
        self.clock.advance(ms);
        SHIFT_S.fetch_add(ms / 1_000, Ordering::Relaxed);
    }
}

async fn all(g: &Ground) -> Vec<BookEntry> {
    let mut found: Vec<BookEntry> = vec![];
    loop {
        let after = found.last().map_or(0, |entry| entry.no);
        let page = g.wechat.books(after).await.expect("the books are shown");
        if page.is_empty() {
            return found;
        }
        assert!(page.iter().all(|entry| entry.no > after) && page.is_sorted_by_key(|entry| entry.no));
        found.extend(page);
    }
}

fn lines(entries: &[BookEntry]) -> Vec<(Way, &str, i64)> {
    entries.iter().map(|entry| (entry.way, &*entry.number, entry.amount_minor)).collect()
}

/// Both sides at noon.
async fn at_noon() -> (Ground, Hands, Timestamp) {
    let turn = TURN.lock().await;
    let noon = differing::noon();
    let clock = Clock::by_hand(noon);
    SHIFT_S.store(noon.0 / 1_000 - now_s(), Ordering::Relaxed);
    (Ground::by(clock.clone(), shifted).await, Hands { clock, _turn: turn }, noon)
}

#[tokio::test]
async fn every_payment_refund_and_payout_stands_once_in_the_books_of_its_day() {
    let (g, hands, noon) = at_noon().await;
    let (one, two, refund, payout, taken_back, next_day) =
        (g.number(), g.number(), g.number(), g.number(), g.number(), g.number());
    let id = g.paid(&one, 5_000).await;
    g.paid(&two, 70).await;
    succeeded(&g.wechat.refund(back(&refund, &one, &id, [5_000, 300])).await);
    g.wechat.pay_out(g.moving(&payout, 1_000, None)).await;
    assert_eq!(g.receive(&payout).await, 200);
    g.wechat.pay_out(g.moving(&taken_back, 200, None)).await;
    assert_eq!(g.wechat.close_pay_out(&taken_back).await, WITHDRAWN);
    g.wechat.pay_out(g.moving(&next_day, 250, None)).await;
    assert_eq!(all(&g).await, [], "the day is not over");
    hands.forward(DAY / 2 + HOUR);
    assert_eq!(g.wechat.close_pay_out(&next_day).await, WITHDRAWN, "it comes back on the day after");
    let late = g.number();
    g.paid(&late, 30).await;
    hands.forward(10 * HOUR);
    assert_eq!(all(&g).await, [], "what was set aside may still come back today");
    hands.forward(DAY);

    let entries = all(&g).await;
    let expected = [
        (Way::In, &*one, 5_000),
        (Way::In, &*two, 70),
        (Way::Back, &*refund, 300),
        (Way::Out, &*payout, 1_000),
    ];
    assert_eq!(lines(&entries), expected);
    assert!(entries.iter().all(|entry| Timestamp(entry.at_ms).china_day() == noon.china_day()));
    assert_eq!(g.wechat.books_after_ms(), DAY + 10 * HOUR);
    assert_eq!(all(&g).await, entries, "they are the same whenever they are read");
    let after_two = g.wechat.books(entries[1].no).await.unwrap();
    assert_eq!(after_two, entries[2..]);

    // A day that is not there now is no empty day.
    for (call, fault) in [
        ("trade_bill", Fault::Down),
        ("trade_bill", Fault::Refuse { code: "STATEMENT_CREATING".to_owned() }),
        ("trade_bill", Fault::Garbage),
        ("fund_flow_bill", Fault::Drop),
        ("file", Fault::Garbage),
        ("file", Fault::Down),
    ] {
        g.wrong(&[Rule::once(call, fault.clone())]);
        assert_eq!(g.wechat.books(entries[1].no).await, None, "{call} {fault:?}");
    }
    let often = Rule::once("trade_bill", Fault::Refuse { code: "FREQUENCY_LIMITED".to_owned() });
    g.wrong(&[often]);
    assert_eq!(g.wechat.books(entries[1].no).await.unwrap(), entries[2..], "it waits for its turn");

    hands.forward(DAY);
    let more = g.wechat.books(entries[3].no).await.unwrap();
    assert_eq!(lines(&more), [(Way::In, &*late, 30)]);
    assert_eq!(g.wechat.query_debit(&late).await, Moved::Ended(ended(&g, &late).await));
}

async fn ended(g: &Ground, number: &str) -> koudai_core::attempt::Outcome {
    let network_ref = g.rig.order(&g.shop, number).await.id.wire();
    koudai_core::attempt::Outcome::Succeeded { network_ref }
}

#[tokio::test]
async fn everything_that_differs_from_the_bills_of_a_day_is_found() {
    let (g, hands, _) = at_noon().await;
    let pay = async |number: &str, fen: i64| g.paid(number, fen).await;
    let (books, clock) = (g.anew(), hands.clock.clone());
    differing::each_is_found(WECHAT_NETWORK, books, clock, pay, |ms| hands.forward(ms)).await;
}
