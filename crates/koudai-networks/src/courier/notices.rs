//! Telling merchants what happened to their orders and transfers, from the journal as the outbox.
//!
//! One task a merchant tells its events in order of their numbers, a few at once, and commits how far it came; a slow
//! or dead merchant therefore holds up itself. Retries have places of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use koudai_core::id::{MchId, OrderId, RefundId, Seq, TransferId};
use koudai_core::ledger::{Journal, JournalKind};
use koudai_core::notice::{RecordRetry, RecordTold};
use koudai_core::rows::{Card, Merchant, NoticeCursor, NoticeKey, Order, Refund, Transfer};
use koudai_store::{Reader, StoreError};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::types::{
    ENCRYPTED_RESOURCE, Notification, REFUND_ABNORMAL, REFUND_SUCCESS, Resource, TRANSACTION_SUCCESS,
    TRANSFER_FINISHED,
};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{Courier, TAKE};
use crate::platform::SigningMode;
use crate::vault::Sealed;
use crate::{protocol, reach_allows};

/// The pause after something on our own side went wrong.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of one merchant under way at once.
const AT_ONCE: i64 = 16;

/// Merchants a task is telling, and whether something new came up meanwhile.
#[derive(Default)]
pub(super) struct Merchants(Mutex<HashMap<MchId, bool>>);

impl Merchants {
    /// Claims a merchant; if a task has it, lets that task know.
    fn claim(&self, merchant: MchId) -> bool {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = map.contains_key(&merchant);
        map.insert(merchant, taken);
        !taken
    }

    /// Frees a merchant unless something new came up, in which case the task goes on.
    fn free(&self, merchant: MchId) -> bool {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = map.insert(merchant, false) == Some(true);
        if !again {
            map.remove(&merchant);
        }
        !again
    }
}

/// One event as it is to be sent.
struct Event {
    merchant: Merchant,
    url: String,
    name: &'static str,
    summary: &'static str,
    original_type: &'static str,
    plain: Vec<u8>,
    journal: Journal,
}

impl Courier {
    pub(super) async fn look_for_merchants(&self) -> Result<(), StoreError> {
        for merchant in self.engine.read(Reader::merchants_behind).await? {
            self.take_merchant(merchant);
        }
        Ok(())
    }

    pub(super) fn take_merchant(&self, merchant: MchId) {
        if !self.under_way.merchants.claim(merchant) {
            return;
        }
        let courier = self.clone();
        tokio::spawn(async move {
            loop {
                match courier.tell(merchant).await {
                    Ok(more) => {
                        if !more && courier.under_way.merchants.free(merchant) {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, mchid = merchant.0, "a merchant's events could not be read");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        });
    }

    /// Tells a merchant its next events; false if there were no more. What comes up meanwhile is heard of by `Merchants`.
    async fn tell(&self, mchid: MchId) -> Result<bool, StoreError> {
        let (networks, now) = (Arc::clone(&self.networks), self.engine.now());
        // One look at the ledger for all of them: handing work to a reading thread costs more than most reading does.
        let next = self.engine.read(move |r| {
            let told = r.get::<NoticeCursor>(&mchid)?.map_or(Seq(0), |c| c.told);
            let journals = r.merchant_journals(mchid, told, AT_ONCE)?;
            let Some(last) = journals.last().map(|j| j.seq) else { return Ok(None) };
            let more = i64::try_from(journals.len()).is_ok_and(|found| found >= AT_ONCE);
            let told = journals.into_iter().filter(|j| j.kind.is_told());
            let events =
                told.map(|j| event(r, mchid, j, &networks.vault, now)).collect::<Result<Vec<_>, _>>()?;
            Ok(Some((last, events, more)))
        });
        let Some((told, events, more)) = next.await? else { return Ok(false) };
        let mut under_way = tokio::task::JoinSet::new();
        for event in events {
            let courier = self.clone();
            under_way
                .spawn(async move { (event.journal.seq, courier.deliver(&event, &courier.notices).await) });
        }
        let mut failed = Vec::new();
        while let Some(done) = under_way.join_next().await {
            let (seq, answered) = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            if !answered {
                failed.push(seq);
            }
        }
        failed.sort_unstable();
        if self.engine.submit(RecordTold { mchid, told, failed }).await.is_err() {
            // The engine is busy: the cursor stays behind and the events are told again, at least once.
            tokio::time::sleep(PAUSE).await;
            return Ok(true);
        }
        Ok(more)
    }

    pub(super) async fn look_for_retries(&self) -> Result<(), StoreError> {
        let now = self.engine.now();
        for retry in self.engine.read(move |r| r.due_retries(now, TAKE)).await? {
            let key = retry.key;
            if self.under_way.retries.claim(&key) {
                let courier = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = courier.retry(&key).await {
                        tracing::error!(%error, mchid = key.mchid.0, seq = key.seq.0, "an event could not be read");
                    }
                    courier.under_way.retries.free(&key);
                });
            }
        }
        Ok(())
    }

    async fn retry(&self, key: &NoticeKey) -> Result<(), StoreError> {
        let seq = key.seq;
        let (mchid, networks, now) = (key.mchid, Arc::clone(&self.networks), self.engine.now());
        let event = self.engine.read(move |r| {
            let lost = || StoreError::Corrupt { table: "notice_retry", what: format!("journal {}", seq.0) };
            event(r, mchid, r.journal(seq)?.ok_or_else(lost)?, &networks.vault, now)
        });
        let answered = self.deliver(&event.await?, &self.retries).await;
        drop(self.engine.submit(RecordRetry { key: key.clone(), answered }).await);
        Ok(())
    }

    /// Sends one event once. Whether the merchant answered 200 or 204.
    async fn deliver(&self, event: &Event, places: &Semaphore) -> bool {
        // A code payment's outcome was its reply, and a reversal's too: nobody waits to be told.
        if event.url.is_empty() {
            return true;
        }
        let Ok(_permit) = places.acquire().await else { return false };
        let answered = self.post(event).await;
        tracing::info!(
            mchid = %event.merchant.mchid.wire(), seq = event.journal.seq.0, event = event.name,
            subject = event.journal.subject, answered, "notice"
        );
        answered
    }

    async fn post(&self, event: &Event) -> bool {
        let vault = &self.networks.vault;
        let key = vault.open_text(Sealed::ApiV3Key, &event.merchant.apiv3_key_sealed);
        let Some(key) = key.ok().and_then(|k| ApiV3Key::new(k.expose()).ok()) else {
            tracing::error!(
                mchid = event.merchant.mchid.0,
                "a merchant's key does not open with the operator's keys"
            );
            return false;
        };
        let Some(url) = reach_allows(self.networks.reach, &event.url) else { return false };
        let notification = Notification {
            // The journal's own number: the same on each retry.
            id: format!("koudai-1-{:020}", event.journal.seq.0),
            create_time: event.journal.at.rfc3339(),
            resource_type: ENCRYPTED_RESOURCE.to_owned(),
            event_type: event.name.to_owned(),
            summary: event.summary.to_owned(),
            resource: Resource::seal(&key, Some(event.original_type), event.original_type, &event.plain),
        };
        let body = json(&notification);
        let mode =
            if event.merchant.public_key_mode { SigningMode::PublicKey } else { SigningMode::Certificate };
        let signed = self.networks.platform.sign(mode, self.engine.clock().now(), &body);
        let mut request = self.http.post(url).header("content-type", "application/json").body(body);
        for (name, value) in signed.pairs() {
            request = request.header(name, value);
        }
        matches!(request.send().await.map(|reply| reply.status().as_u16()), Ok(200 | 204))
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the protocol's types are plain data")
}

/// What a journal tells its merchant; nothing if the merchant gave no address.
fn event(
    reader: &Reader,
    mchid: MchId,
    journal: Journal,
    vault: &crate::vault::Vault,
    now: koudai_core::time::Timestamp,
) -> Result<Option<Event>, StoreError> {
    let lost =
        |table| move || StoreError::Corrupt { table, what: "a journal's subject is missing".to_owned() };
    let merchant = reader.get::<Merchant>(&mchid)?.ok_or_else(lost("merchant"))?;
    let order = |id| reader.get::<Order>(&id)?.ok_or_else(lost("trade_order"));
    let (name, summary) = match journal.kind {
        JournalKind::BalancePayment | JournalKind::CardPayment => (TRANSACTION_SUCCESS, "支付成功"),
        JournalKind::BalanceRefund
        | JournalKind::CardRefundDone
        | JournalKind::RefundToBalance
        | JournalKind::RefundToMerchant => (REFUND_SUCCESS, "退款成功"),
        JournalKind::CardRefundAbnormal => (REFUND_ABNORMAL, "退款异常"),
        JournalKind::TransferPaid | JournalKind::TransferReturned => {
            (TRANSFER_FINISHED, "商家转账单据终态通知")
        }
        JournalKind::TopUp | JournalKind::CardRefundAccepted | JournalKind::TransferHeld => {
            unreachable!("nobody is told of these")
        }
    };
    if name == TRANSFER_FINISHED {
        let id = TransferId(journal.subject);
        let transfer = reader.get::<Transfer>(&id)?.ok_or_else(lost("transfer"))?;
        let plain = json(&protocol::transfer_notice(&transfer, vault));
        let original_type = "mch_payment";
        let event = |url| Event { merchant, url, name, summary, original_type, plain, journal };
        return Ok(transfer.notify_url.map(event));
    }
    if name == TRANSACTION_SUCCESS {
        let mut order = order(OrderId(journal.subject))?;
        let url = order.notify_url.to_string();
        // The event is the payment, whatever has been refunded since.
        order.refunds = 0;
        let plain = json(&protocol::transaction(&order, vault, now));
        return Ok(Some(Event {
            merchant,
            url,
            name,
            summary,
            original_type: "transaction",
            plain,
            journal,
        }));
    }
    let refund = reader.get::<Refund>(&RefundId(journal.subject))?.ok_or_else(lost("refund"))?;
    let order = order(refund.order)?;
    let card = match refund.card {
        Some(card) => reader.get::<Card>(&card)?,
        None => None,
    };
    let url = refund.notify_url.clone().unwrap_or_else(|| order.notify_url.to_string());
    let plain = json(&protocol::refund_notice(&refund, &order, card.as_ref()));
    Ok(Some(Event { merchant, url, name, summary, original_type: "refund", plain, journal }))
}
