//! Telling merchants what happened to their orders, from the journal as the outbox.
//!
//! One task a merchant tells its events in order of their numbers, a few at once, and commits how far it came. An event
//! whose endpoint hangs is left to the retries (`retries.rs`) at once, so that a merchant's other endpoints go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use koudai_core::id::{MchId, OrderId, RefundId, Seq, TransferId};
use koudai_core::ledger::{Journal, JournalKind};
use koudai_core::notice::{RecordTold, Tried};
use koudai_core::rows::{Card, DeliveryOutcome, Merchant, NoticeCursor, NoticeKey, Order, Refund, Transfer};
use koudai_store::{Reader, StoreError};
use koudai_wechatpay::types::{REFUND_ABNORMAL, REFUND_SUCCESS, TRANSACTION_SUCCESS, TRANSFER_FINISHED};
use reqwest::Client;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Courier;
use super::endpoints::{Endpoints, View};
use super::lanes::{Lanes, Standing};
use super::post::{self, Content, Sent};
use super::retries::Due;
use crate::platform::SigningMode;
use crate::reach::{self, Reach};
use crate::{protocol, reach_allows};

/// Connections kept for the next call to a host: one that answers at once and is told a lot is not to be connected to
/// each time, which costs more than the call; of the others two, for there may be ten thousand.
const QUICK_IDLE: usize = 64;
const OTHERS_IDLE: usize = 2;
/// The pause after something on our own side went wrong.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Events of one merchant under way at once.
const AT_ONCE: i64 = 16;
/// Merchants whose events are read at once, so that pages find a thread too; and of those, who do not answer anyhow.
const READING: usize = 4;
const READING_HUNG: usize = 2;

/// What telling merchants works with.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) lanes: Lanes,
    pub(super) endpoints: Endpoints,
    pub(super) due: Due,
    /// For those who answer at once, and for all others: names are looked up in places of each its own.
    quick: Client,
    others: Client,
    reading: Arc<Semaphore>,
    reading_hung: Arc<Semaphore>,
}

impl Telling {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            lanes: Lanes::default(),
            endpoints: Endpoints::default(),
            due: Due::default(),
            quick: reach::client(reach, QUICK_IDLE),
            others: reach::client(reach, OTHERS_IDLE),
            reading: Arc::new(Semaphore::new(READING)),
            reading_hung: Arc::new(Semaphore::new(READING_HUNG)),
        }
    }

    /// Waits for its turn to read what a merchant is to be told.
    pub(super) async fn gate(&self, mchid: MchId) -> OwnedSemaphorePermit {
        let gate = if self.endpoints.all_hang(mchid) { &self.reading_hung } else { &self.reading };
        Arc::clone(gate).acquire_owned().await.expect("the gates are never closed")
    }
}

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
pub(crate) struct Event {
    pub(crate) merchant: Merchant,
    pub(crate) url: String,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) original_type: &'static str,
    pub(crate) plain: Vec<u8>,
    pub(crate) journal: Journal,
}

impl Event {
    /// The endpoint it goes to; empty for an address that is none.
    pub(super) fn host(&self) -> String {
        self.url.parse().map_or_else(|_| String::new(), |url| post::host(&url))
    }
}

/// A merchant's next events.
struct Next {
    /// The last journal before those after them.
    told: Seq,
    events: Vec<Event>,
    /// Whether there are more.
    more: bool,
}

/// How one notice went.
pub(super) enum Went {
    /// It was sent, or could not be.
    Tried(Box<Tried>),
    /// It was not sent: its endpoint did not answer others a moment ago.
    Held,
    /// It was not sent, or broken off: its endpoint keeps others waiting.
    Parked,
}

/// The number of a journal's notice: the same on each try.
pub fn notice_id(seq: Seq) -> String {
    format!("koudai-1-{:020}", seq.0)
}

/// The journal of a notice's number.
pub fn parse_notice_id(id: &str) -> Option<Seq> {
    let digits = id.strip_prefix("koudai-1-").filter(|digits| digits.len() == 20)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).map(Seq)
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
        let Some(Next { told, events, more }) = self.next_events(mchid).await? else { return Ok(false) };
        let mut under_way = tokio::task::JoinSet::new();
        for event in events {
            let courier = self.clone();
            under_way.spawn(async move { (event.journal.seq, courier.deliver(&event, 1, true).await) });
        }
        let mut record = RecordTold { mchid, told, failed: vec![], parked: vec![], log: vec![] };
        for (seq, went) in under_way.join_all().await {
            match went {
                Went::Tried(tried) => {
                    if tried.outcome != DeliveryOutcome::Answered {
                        record.failed.push(seq);
                    }
                    record.log.push(*tried);
                }
                Went::Held => record.failed.push(seq),
                Went::Parked => record.parked.push(seq),
            }
        }
        record.failed.sort_unstable();
        record.parked.sort_unstable();
        record.log.sort_unstable_by_key(|tried| (tried.at, tried.seq));
        let parked = record.parked.clone();
        if self.engine.submit(record).await.is_ok() {
            self.take_due(parked.into_iter().map(|seq| NoticeKey { mchid, seq }));
        } else {
            // The engine is busy: the cursor stays behind and the events are told again, at least once.
            tokio::time::sleep(PAUSE).await;
            return Ok(true);
        }
        Ok(more)
    }

    async fn next_events(&self, mchid: MchId) -> Result<Option<Next>, StoreError> {
        let gate = self.telling.gate(mchid).await;
        let known = self.telling.endpoints.knows(mchid);
        let (networks, now) = (self.networks.clone(), self.engine.now());
        let read = self.engine.read(move |r| {
            let told = r.get::<NoticeCursor>(&mchid)?.map_or(Seq(0), |c| c.told);
            let journals = r.merchant_journals(mchid, told, AT_ONCE)?;
            let Some(told) = journals.last().map(|j| j.seq) else { return Ok(None) };
            let more = i64::try_from(journals.len()).is_ok_and(|found| found >= AT_ONCE);
            let told_of = journals.into_iter().filter(|j| j.kind.is_told());
            let events: Result<Vec<_>, _> = told_of
                .filter_map(|journal| event(r, mchid, journal, &networks.vault, now).transpose())
                .collect();
            let last = if known { vec![] } else { r.newest_deliveries(mchid)? };
            Ok(Some((Next { told, events: events?, more }, last)))
        });
        let read = read.await?;
        drop(gate);
        Ok(read.map(|(next, last)| {
            if !known {
                self.telling.endpoints.begin(mchid, last);
            }
            next
        }))
    }

    /// Sends one event once, when it is its turn. With `park`, an endpoint that hangs is not waited for.
    pub(super) async fn deliver(&self, event: &Event, tries: u32, park: bool) -> Went {
        let (mchid, host, endpoints) = (event.merchant.mchid, event.host(), &self.telling.endpoints);
        let (standing, place) = loop {
            let View { standing, held } = endpoints.view(mchid, &host);
            if held {
                return Went::Held;
            }
            if park && standing == Standing::Hung {
                return Went::Parked;
            }
            let place = self.telling.lanes.enter(standing, &host).await;
            // Others of the same merchant may have found out while this one waited.
            let found = endpoints.view(mchid, &host);
            if !found.held && (found.standing == standing || found.standing != Standing::Hung) {
                break (standing, place);
            }
        };
        let at = self.engine.clock().now();
        let Some(sent) = self.telling.lanes.call(place, self.post(event, standing)).await else {
            endpoints.cut(mchid, &host);
            return Went::Parked;
        };
        endpoints.learn(mchid, &host, sent.outcome, sent.took);
        let took_ms = u32::try_from(sent.took.as_millis()).unwrap_or(u32::MAX);
        tracing::info!(
            mchid = %mchid.wire(), seq = event.journal.seq.0, event = event.name, subject = event.journal.subject,
            tries, outcome = sent.outcome.word(), status = sent.status, took_ms, "notice"
        );
        let path =
            event.url.parse::<reqwest::Url>().map_or_else(|_| String::new(), |url| url.path().to_owned());
        Went::Tried(Box::new(Tried {
            seq: event.journal.seq,
            at,
            tries,
            place: format!("{host}{path}"),
            outcome: sent.outcome,
            status: sent.status,
            took_ms,
            said: sent.said,
        }))
    }

    async fn post(&self, event: &Event, standing: Standing) -> Sent {
        let not_sent = |outcome| Sent { outcome, status: None, took: Duration::ZERO, said: None };
        let Some(url) = reach_allows(self.networks.reach, &event.url) else {
            return not_sent(DeliveryOutcome::NotAllowed);
        };
        let content = Content {
            id: &notice_id(event.journal.seq),
            create_time: &event.journal.at.rfc3339(),
            event_type: event.name,
            summary: event.summary,
            original_type: event.original_type,
            plain: &event.plain,
        };
        let Some(body) = post::body(&self.networks.vault, &event.merchant, content) else {
            return not_sent(DeliveryOutcome::Broken);
        };
        let mode = SigningMode::of(&event.merchant);
        let signed = self.networks.platform.sign(mode, self.engine.clock().now(), &body);
        let client = if standing == Standing::Quick { &self.telling.quick } else { &self.telling.others };
        post::send(client, url, body, &signed).await
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the protocol's types are plain data")
}

/// What a journal tells its merchant; nothing if nobody asked to be told of it: the outcome of a code payment was its
/// reply, and a transfer need not name an address.
pub(crate) fn event(
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
        JournalKind::BalancePayment | JournalKind::CardPayment | JournalKind::SplitPayment => {
            (TRANSACTION_SUCCESS, "支付成功")
        }
        JournalKind::BalanceRefund
        | JournalKind::CardRefundDone
        | JournalKind::RefundToBalance
        | JournalKind::RefundToMerchant => (REFUND_SUCCESS, "退款成功"),
        JournalKind::CardRefundAbnormal => (REFUND_ABNORMAL, "退款异常"),
        JournalKind::TransferPaid | JournalKind::TransferReturned => {
            (TRANSFER_FINISHED, "商家转账单据终态通知")
        }
        JournalKind::TopUp
        | JournalKind::CardRefundAccepted
        | JournalKind::TransferHeld
        | JournalKind::AppDebit
        | JournalKind::AppRefund
        | JournalKind::AppPayout
        | JournalKind::WithdrawalHeld
        | JournalKind::WithdrawalPaid
        | JournalKind::WithdrawalReturned
        | JournalKind::Adjustment
        | JournalKind::SplitHeld
        | JournalKind::SplitReleased
        | JournalKind::SplitRefund => {
            unreachable!("nobody is told of these")
        }
    };
    if name == TRANSFER_FINISHED {
        let id = TransferId(journal.subject);
        let mut transfer = reader.get::<Transfer>(&id)?.ok_or_else(lost("transfer"))?;
        let Some(url) = transfer.notify_url.take() else { return Ok(None) };
        let plain = json(&protocol::transfer_notice(&transfer, vault));
        let original_type = "mch_payment";
        return Ok(Some(Event { merchant, url, name, summary, original_type, plain, journal }));
    }
    if name == TRANSACTION_SUCCESS {
        let mut order = order(OrderId(journal.subject))?;
        if order.notify_url.is_empty() {
            return Ok(None);
        }
        let url = order.notify_url.to_string();
        // The event is the payment, whatever has been refunded since.
        order.refunds = 0;
        let plain = json(&protocol::transaction(&order, vault, now));
        let original_type = "transaction";
        return Ok(Some(Event { merchant, url, name, summary, original_type, plain, journal }));
    }
    let refund = reader.get::<Refund>(&RefundId(journal.subject))?.ok_or_else(lost("refund"))?;
    let order = order(refund.order)?;
    let url = refund.notify_url.clone().unwrap_or_else(|| order.notify_url.to_string());
    if url.is_empty() {
        return Ok(None);
    }
    let card = match refund.card {
        Some(card) => reader.get::<Card>(&card)?,
        None => None,
    };
    let plain = json(&protocol::refund_notice(&refund, &order, card.as_ref()));
    Ok(Some(Event { merchant, url, name, summary, original_type: "refund", plain, journal }))
}
