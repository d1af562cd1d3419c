//! A till where people pay, withdraw and are refunded until the server or a network is gone. What is not answered may be done or not: the books will say.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use koudai_wechatpay::client::Client;
use koudai_wechatpay::types::{RefundRequest, RefundRequestAmount};
use serde_json::Value;
use tokio::task::JoinSet;

use super::books::{Dice, withdraw};
use super::elsewhere::People;
use super::{Phone, client, order, until};

/// Where people pay, and until when.
#[derive(Clone)]
pub struct Till {
    client: Arc<Client>,
    created: Value,
    /// Payments and refunds that are not answered yet.
    under_way: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// Who agrees at another wallet, if that is what is paid by.
    people: Option<People>,
    /// The pages of what somebody is to agree to there, and whose.
    begun: Arc<Mutex<Vec<(Phone, String)>>>,
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
        Self {
            client,
            created: created.clone(),
            under_way: Arc::default(),
            stop: Arc::default(),
            people: None,
            begun: Arc::default(),
        }
    }

    /// One whose payers agree at another wallet.
    pub fn paid_elsewhere(self, people: &People) -> Self {
        Self { people: Some(people.clone()), ..self }
    }

    /// Everybody agrees to what is still open to them; once nothing is, it is done.
    pub async fn finish(&self) {
        let Some(people) = &self.people else { return };
        let begun = std::mem::take(&mut *self.begun.lock().expect("the pages"));
        for (phone, page) in begun {
            let over = async || {
                let (status, body) = phone.get(&page).await.ok()?;
                people.follow(&body).await;
                // What goes out tomorrow is not under way yet.
                let waits = body["state"] == "pending" && body["speed"] != "next_day";
                (status == 404 || (status == 200 && !waits)).then_some(())
            };
            until(&page, over).await;
        }
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

    /// Somebody is to agree to something elsewhere, perhaps.
    fn begin(&self, phone: &Phone, page: &str) {
        if self.people.is_some() {
            self.begun.lock().expect("the pages").push((phone.clone(), page.to_owned()));
        }
    }

    /// One order; `None` if somebody did not answer.
    async fn one(&self, phone: &Phone, card: &str, number: &str, dice: &mut Dice) -> Option<()> {
        // What was topped up goes back to the card, at most what the network has of ours.
        if dice.roll(12) == 0 {
            self.begin(phone, &format!("/withdraw/W-{number}"));
            withdraw(phone, card, number, dice).await?;
        }
        let total = 2 + i64::try_from(dice.roll(300)).expect("small");
        let placed = self.client.native(&order(&self.created, number, total)).await.ok()?;
        let page = phone.scan(&placed.code_url).await.ok()??;
        // Only a card goes together with the balance.
        let both = self.people.is_none() && dice.roll(4) == 0;
        let method = if both { format!("both:{}:{card}", total / 2) } else { card.to_owned() };
        self.begin(phone, &page);
        let (status, mut body) = phone.pay(&page, &method).await.ok()?;
        if let Some(people) = &self.people
            && people.follow(&body).await
        {
            // The wallet hears of it in a moment.
            for _ in 0..20 {
                body = phone.get(&page).await.ok()?.1;
                if body["state"] != "pending" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
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
