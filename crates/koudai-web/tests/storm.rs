//! Many callers at once, each sending orders, payments, closings, refunds and repeats of them in no order at all, over few
//! numbers: whatever comes of it, nothing is paid twice, refunded beyond what was paid, or done twice under one number.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::collections::HashMap;
use std::sync::Arc;

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::id::{AttemptId, CardId, OrderId, PersonId, Seq};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, Journal, JournalKind};
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::Pin;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, NetworkRefusal, Order, OrderNumber, OrderState, OutTradeNo, Refund,
};
use koudai_engine::Failed;
use rig::{PIN, Rig, Shop, now_s, order, refund, sign};
use serde_json::{Value, json};

const SEEDS: u64 = 20;
const CALLERS: u64 = 6;
const CALLS: usize = 40;
const ORDERS: usize = 5;
const REFUNDS: usize = 6;
const AMOUNTS: [i64; 3] = [1, 250, 400];
const FUNDS: i64 = 2_000;

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bound = u64::try_from(bound).unwrap();
        usize::try_from((z ^ (z >> 31)) % bound).unwrap()
    }
}

/// A request as it is sent, so that it can be sent again to the byte.
#[derive(Clone)]
struct Sent {
    shop: usize,
    target: String,
    authorization: String,
    body: String,
}

struct World {
    rig: Rig,
    shops: Vec<Shop>,
    people: Vec<(PersonId, CardId)>,
}

impl World {
    async fn begin() -> Self {
        let rig = Rig::start().await;
        let shops = vec![rig.shop().await, rig.shop().await];
        let mut people = vec![];
        for _ in 0..3 {
            let (person, card) = rig.person_with_card().await;
            rig.top_up(person, card, FUNDS).await;
            people.push((person, card));
        }
        Self { rig, shops, people }
    }

    /// What a caller sends next to the gateway.
    fn request(&self, dice: &mut Dice) -> Sent {
        let shop = dice.below(self.shops.len());
        let its = &self.shops[shop];
        let number = format!("order-{}", dice.below(ORDERS));
        let amount = AMOUNTS[dice.below(AMOUNTS.len())];
        let (target, body) = match dice.below(5) {
            0 | 1 => (
                "/v3/pay/transactions/native".to_owned(),
                serde_json::to_string(&order(its, &number, AMOUNTS[1 + dice.below(2)])).unwrap(),
            ),
            2 => (
                format!("/v3/pay/transactions/out-trade-no/{number}/close"),
                json!({ "mchid": its.mchid.wire() }).to_string(),
            ),
            _ => {
                let refund_no = format!("refund-{}", dice.below(REFUNDS));
                let asked = refund(&number, &refund_no, amount, AMOUNTS[1 + dice.below(2)]);
                ("/v3/refund/domestic/refunds".to_owned(), serde_json::to_string(&asked).unwrap())
            }
        };
        let authorization = sign(its, "POST", &target, &body, now_s()).header_value();
        Sent { shop, target, authorization, body }
    }

    async fn send(&self, sent: &Sent) -> (u16, Value) {
        let headers = [("Authorization", sent.authorization.as_str())];
        let answer = self.rig.send("POST", &sent.target, &headers, sent.body.as_bytes()).await;
        let body = if answer.body.is_empty() { Value::Null } else { answer.json() };
        (answer.status, body)
    }

    /// Somebody pays some order, by balance or by card.
    async fn pay(&self, dice: &mut Dice) {
        let key = OutTradeNo {
            mchid: self.shops[dice.below(self.shops.len())].mchid,
            out_trade_no: format!("order-{}", dice.below(ORDERS)),
        };
        let engine = &self.rig.app.engine;
        let found = engine.read(move |r| r.get::<OrderNumber>(&key)).await.unwrap();
        let Some(order) = found.map(|number| number.order) else { return };
        let (person, card) = self.people[dice.below(self.people.len())];
        let card = (dice.below(2) == 0).then_some(card);
        match engine
            .submit(Pay { person, order, means: Means::of(card), confirmed: Pin::parse(PIN).unwrap().into() })
            .await
        {
            Ok(order) => assert!(matches!(order.state, OrderState::Paying | OrderState::Paid)),
            Err(Failed::Refused(
                Refusal::OrderBeingPaid
                | Refusal::OrderAlreadyPaid
                | Refusal::OrderClosed
                | Refusal::InsufficientBalance { .. },
            )) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    /// A bank says how some call of the past went, perhaps once more.
    async fn bank(&self, dice: &mut Dice) {
        let engine = &self.rig.app.engine;
        let attempts = engine.read(koudai_store::Reader::all::<Attempt>).await.unwrap();
        let attempt = attempts[dice.below(attempts.len())].id;
        let outcome = if dice.below(3) > 0 {
            Outcome::Succeeded { network_ref: "1".to_owned() }
        } else {
            Outcome::Failed(NetworkRefusal::Refused)
        };
        engine.submit(EndAttempt { attempt, outcome }).await.unwrap();
    }
}

/// What callers were told, to be held against the ledger.
type Told = Vec<(Sent, u16, Value)>;

async fn call(world: Arc<World>, seed: u64) -> Told {
    let mut dice = Dice(seed);
    let mut told: Told = vec![];
    for _ in 0..CALLS {
        match dice.below(8) {
            0 | 1 => world.pay(&mut dice).await,
            2 => world.bank(&mut dice).await,
            choice => {
                let sent = match told.len() {
                    // The same bytes again, as an HTTP client does that lost the answer.
                    n if choice == 3 && n > 0 => told[dice.below(n)].0.clone(),
                    _ => world.request(&mut dice),
                };
                let (status, body) = world.send(&sent).await;
                let allowed = [200, 202, 204, 400, 403, 404];
                assert!(allowed.contains(&status), "{status} {body}");
                told.push((sent, status, body));
            }
        }
    }
    told
}

/// Everything of the ledger that the audit looks at.
struct Books {
    orders: HashMap<OrderId, Order>,
    refunds: Vec<Refund>,
    attempts: HashMap<AttemptId, Attempt>,
    journals: Vec<Journal>,
}

impl Books {
    async fn read(world: &World) -> Self {
        let read = world.rig.app.engine.read(|r| {
            Ok((
                r.all::<Order>()?,
                r.all::<Refund>()?,
                r.all::<Attempt>()?,
                r.journals_after(Seq(0), 100_000)?,
            ))
        });
        let (orders, refunds, attempts, journals) = read.await.unwrap();
        Self {
            orders: orders.into_iter().map(|order| (order.id, order)).collect(),
            refunds,
            attempts: attempts.into_iter().map(|attempt| (attempt.id, attempt)).collect(),
            journals,
        }
    }

    fn of(&self, kinds: &[JournalKind], subject: i64) -> usize {
        self.journals.iter().filter(|j| kinds.contains(&j.kind) && j.subject == subject).count()
    }

    /// No order is paid twice or refunded beyond its amount; no number stands for two of anything.
    fn audit_orders(&self) {
        let mut numbers: Vec<_> = self.orders.values().map(|o| (o.mchid, o.out_trade_no.clone())).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "one number, one order");
        let mut numbers: Vec<_> = self.refunds.iter().map(|r| (r.mchid, r.out_refund_no.clone())).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "one number, one refund");
        for order in self.orders.values() {
            let paid = self.of(&[JournalKind::BalancePayment, JournalKind::CardPayment], order.id.0);
            assert_eq!(paid, usize::from(order.state == OrderState::Paid), "{}", order.out_trade_no);
            let back: Vec<_> = self.refunds.iter().filter(|refund| refund.order == order.id).collect();
            assert!(back.is_empty() || paid == 1, "what was not paid is not refunded");
            let sum: i64 = back.iter().map(|refund| refund.amount.minor()).sum();
            assert!(sum <= order.amount.minor(), "{} of {} refunded", sum, order.amount.minor());
            assert_eq!(sum, order.refunded.minor());
        }
        for refund in &self.refunds {
            let kinds = [JournalKind::BalanceRefund, JournalKind::CardRefundAccepted];
            assert_eq!(self.of(&kinds, refund.id.0), 1, "{} was taken once", refund.out_refund_no);
        }
    }

    /// What each person and each bank has follows from what was done and not from the ledger's own sums.
    async fn audit_money(&self, world: &World) {
        let done = |attempt: &AttemptId| self.attempts[attempt].state == AttemptState::Succeeded;
        for (person, _) in &world.people {
            let by_balance = |order: &&Order| {
                order.payer == Some(*person) && order.card.is_none() && order.state == OrderState::Paid
            };
            let spent: i64 = self.orders.values().filter(by_balance).map(|order| order.amount.minor()).sum();
            let back = self.refunds.iter().filter(|refund| refund.payer == *person && refund.card.is_none());
            let back: i64 = back.map(|refund| refund.amount.minor()).sum();
            let stands = world.rig.standing(AccountId::person(*person)).await;
            assert_eq!(stands, FUNDS - spent + back);
        }
        let sum = |kind| -> i64 {
            let of = self.attempts.values().filter(|a| a.kind == kind && done(&a.id));
            of.map(|a| a.amount.minor()).sum()
        };
        let banks = sum(AttemptKind::TopUp) + sum(AttemptKind::CardPayment) - sum(AttemptKind::CardRefund);
        assert_eq!(-world.rig.standing(AccountId::clearing(ISSUER_NETWORK)).await, banks);
    }

    /// What a caller was told is so, and under one number always the same.
    fn audit_answers(&self, world: &World, told: &Told) {
        let mut ids: HashMap<(usize, String), String> = HashMap::new();
        for (sent, status, body) in told.iter().filter(|(_, status, _)| *status == 200) {
            let asked: Value = serde_json::from_str(&sent.body).unwrap();
            let shop = &world.shops[sent.shop];
            let number = asked["out_trade_no"].as_str().unwrap();
            let order = self.orders.values().find(|o| o.mchid == shop.mchid && *o.out_trade_no == *number);
            let order = order.unwrap_or_else(|| panic!("{status} {body}: {number} is not there"));
            if sent.target.ends_with("native") {
                assert_eq!(asked["amount"]["total"], order.amount.minor(), "the first content counts");
                continue;
            }
            let number = asked["out_refund_no"].as_str().unwrap();
            let refund = self.refunds.iter().find(|r| r.mchid == shop.mchid && r.out_refund_no == number);
            let refund = refund.unwrap_or_else(|| panic!("{body} is not there"));
            assert_eq!(body["refund_id"], refund.id.wire());
            assert_eq!(asked["amount"]["refund"], refund.amount.minor());
            assert_eq!(refund.order, order.id);
            let id = body["refund_id"].as_str().unwrap().to_owned();
            let first = ids.entry((sent.shop, number.to_owned())).or_insert_with(|| id.clone());
            assert_eq!(*first, id, "one number, one refund");
        }
        for (sent, ..) in told.iter().filter(|(_, status, _)| *status == 204) {
            let number = sent.target.split('/').nth(5).unwrap();
            let mchid = world.shops[sent.shop].mchid;
            let closed =
                self.orders.values().find(|o| o.mchid == mchid && *o.out_trade_no == *number).unwrap();
            assert_eq!(closed.state, OrderState::Closed, "what was closed stays closed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_of_calls_and_no_concurrency_pays_or_refunds_twice() {
    let (mut paid, mut refunded, mut refused) = (0, 0, 0);
    for seed in 0..SEEDS {
        let world = Arc::new(World::begin().await);
        let callers: Vec<_> =
            (0..CALLERS).map(|caller| tokio::spawn(call(Arc::clone(&world), seed << 8 | caller))).collect();
        let mut told = vec![];
        for caller in callers {
            told.extend(caller.await.unwrap());
        }
        let books = Books::read(&world).await;
        books.audit_orders();
        books.audit_money(&world).await;
        books.audit_answers(&world, &told);
        paid += books.orders.values().filter(|order| order.state == OrderState::Paid).count();
        refunded += books.refunds.len();
        refused += told.iter().filter(|(_, status, _)| *status >= 400).count();
    }
    // Otherwise the numbers above were chosen badly, and it was no storm.
    assert!(
        paid >= 40 && refunded >= 20 && refused >= 250,
        "{paid} paid, {refunded} refunded, {refused} refused"
    );
}
