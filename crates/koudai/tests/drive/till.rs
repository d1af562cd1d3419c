//! A till where people pay, withdraw and are refunded until the server or a network is gone. What is not answered may be done or not: the books will say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use koudai_wechatpay::client::Client;
use koudai_wechatpay::types::{RefundRequest, RefundRequestAmount};
use serde_json::Value;
use tokio::task::JoinSet;

use super::books::{Dice, withdraw};
use super::{Phone, client, order};

/// Where people pay, and until when.
#[derive(Clone)]
pub struct Till {
    client: Arc<Client>,
    created: Value,
    /// Payments and refunds that are not answered yet.
    under_way: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

/// Counts something for as long as it lasts.
struct Count(Arc<AtomicU64>);

impl Count {
    fn of(counter: &Arc<AtomicU64>) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counter))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Till {
    /// That of a merchant as `koudai merchant create` printed it.
    pub fn open(created: &Value, gateway: &str) -> Self {
        let client = Arc::new(client(created, gateway));
        Self { client, created: created.clone(), under_way: Arc::default(), stop: Arc::default() }
    }

    /// Nobody begins anything further.
    pub fn close(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// How much is not answered yet.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Everybody who pays by their card, each by themselves, until the till closes. Joining them brings their complaints up.
    pub fn crowd(&self, payers: &[(Phone, String)], name: &str, dice: &mut Dice) -> JoinSet<()> {
        let mut streams = JoinSet::new();
        for (n, (phone, card)) in payers.iter().cloned().enumerate() {
            let dice = Dice(dice.roll(u64::MAX) | 1);
            streams.spawn(self.clone().pay_on(phone, card, format!("{name}-{n}"), dice));
        }
        streams
    }

    /// Somebody who pays by their card, or by it and the balance, one order after another, and a merchant who gives some of it back.
    async fn pay_on(self, phone: Phone, card: String, name: String, mut dice: Dice) {
        for n in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let _payment = Count::of(&self.under_way);
            let number = format!("{name}-{n}");
            if self.one(&phone, &card, &number, &mut dice).await.is_none() {
                return;
            }
        }
    }

    /// One order; `None` if somebody did not answer.
    async fn one(&self, phone: &Phone, card: &str, number: &str, dice: &mut Dice) -> Option<()> {
        // What was topped up goes back to the card, at most what the network has of ours.
        if dice.roll(12) == 0 {
            withdraw(phone, card, number, dice).await?;
        }
        let total = 2 + i64::try_from(dice.roll(300)).expect("small");
        let placed = self.client.native(&order(&self.created, number, total)).await.ok()?;
        let page = phone.scan(&placed.code_url).await.ok()??;
        let both = dice.roll(4) == 0;
        let method = if both { format!("both:{}:{card}", total / 2) } else { card.to_owned() };
        let (status, body) = phone.pay(&page, &method).await.ok()?;
        if status != 200 {
            assert!(status == 503 || body["money_moved"] == "no", "{number}: {body}");
            return Some(());
        }
        // All of it as often as a part: some networks take that back by another call.
        if body["state"] == "paid" && dice.roll(2) == 0 {
            let part = 1 + i64::try_from(dice.roll(total.unsigned_abs())).expect("small");
            let back = if dice.roll(2) == 0 { total } else { part };
            let request = RefundRequest {
                out_trade_no: Some(number.to_owned()),
                out_refund_no: format!("R{number}"),
                amount: RefundRequestAmount { refund: back, total, currency: "CNY".to_owned(), from: None },
                ..RefundRequest::default()
            };
            let _answered_or_not = self.client.refund(&request).await;
        }
        Some(())
    }
}
