//! The same number at the same time: every call that creates something, asked thirty-two times at once, alike and differing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::sync::Arc;

use rig::{Answer, Rig, Shop, order, refund};

const AT_ONCE: usize = 32;

/// A call that creates something under a number of the merchant's.
#[derive(Clone, Copy)]
struct Create {
    name: &'static str,
    target: &'static str,
    /// The body of the nth variant: the same number, and for each n other content.
    body: fn(&Shop, i64) -> String,
    /// What another content under the same number is answered.
    refusal: (u16, &'static str),
    /// How many effects there are, in whatever the call moves or makes.
    effects: Effects,
}

/// How the effects of a call are counted.
#[derive(Clone, Copy)]
enum Effects {
    /// Orders under the number.
    Orders,
    /// Refunds of the order `paid`.
    Refunds,
}

/// Every such call; a further one is one line here.
const CREATES: [Create; 2] = [
    Create {
        name: "native",
        target: "/v3/pay/transactions/native",
        body: native,
        refusal: (403, "OUT_TRADE_NO_USED"),
        effects: Effects::Orders,
    },
    Create {
        name: "refund",
        target: "/v3/refund/domestic/refunds",
        body: refund_of_paid,
        refusal: (400, "INVALID_REQUEST"),
        effects: Effects::Refunds,
    },
];

fn native(shop: &Shop, n: i64) -> String {
    serde_json::to_string(&order(shop, "at-once", 100 + n)).unwrap()
}

fn refund_of_paid(_: &Shop, n: i64) -> String {
    serde_json::to_string(&refund("paid-1", "at-once", 100 + n, 100_000)).unwrap()
}

/// A shop with an order that is paid, and nothing else.
async fn shop(rig: &Rig) -> Shop {
    let shop = rig.shop().await;
    rig.client(&shop, false).native(&order(&shop, "paid-1", 100_000)).await.unwrap();
    let person = rig.person(100_000).await;
    rig.pay(person, None, &shop, "paid-1").await;
    shop
}

async fn effects(rig: &Rig, shop: &Shop, of: Effects) -> usize {
    match of {
        Effects::Orders => rig.orders_of_everyone().await - 1,
        Effects::Refunds => {
            let order = rig.order(shop, "paid-1").await;
            rig.app.engine.read(move |reader| Ok(reader.refunds_of(order.id)?.len())).await.unwrap()
        }
    }
}

/// Sends all of them at once, each over a connection of its own.
async fn at_once(rig: &Arc<Rig>, shop: &Shop, call: Create, bodies: Vec<String>) -> Vec<Answer> {
    let mut under_way = tokio::task::JoinSet::new();
    for body in bodies {
        let (rig, shop) = (Arc::clone(rig), shop.clone());
        under_way.spawn(async move { rig.ask(&shop, "POST", call.target, &body).await });
    }
    under_way.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_request_thirty_two_times_at_once_has_one_effect_and_one_answer() {
    for call in CREATES {
        let rig = Arc::new(Rig::start().await);
        let shop = shop(&rig).await;
        let bodies = vec![(call.body)(&shop, 0); AT_ONCE];
        let answers = at_once(&rig, &shop, call, bodies).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body), "{}", call.name);
        }
        assert_eq!(effects(&rig, &shop, call.effects).await, 1, "{}", call.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_requests_that_differ_at_once_have_one_effect_and_the_rest_are_refused() {
    for call in CREATES {
        let rig = Arc::new(Rig::start().await);
        let shop = shop(&rig).await;
        let bodies: Vec<String> = (0..).take(AT_ONCE).map(|n| (call.body)(&shop, n)).collect();
        let answers = at_once(&rig, &shop, call, bodies.clone()).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{}", call.name);
        for answer in refused {
            let (status, code) = call.refusal;
            assert_eq!(answer.refusal(), (status, code.to_owned()), "{}", call.name);
            assert!(answer.json()["detail"]["field"].is_string(), "{}: it says what differs", call.name);
        }
        assert_eq!(effects(&rig, &shop, call.effects).await, 1, "{}", call.name);
        // Afterwards the one that was done is answered as before, and no other is.
        let again = at_once(&rig, &shop, call, bodies).await;
        let done_again: Vec<_> = again.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!((done_again.len(), &done_again[0].body), (1, &done[0].body), "{}", call.name);
    }
}
