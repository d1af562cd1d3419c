//! What merchants were told and are still to be told, and telling them again: for the gateway and the command line.

use koudai_core::id::{MchId, Seq};
use koudai_core::ledger::{AccountId, Journal};
use koudai_core::rows::{
    Attempt, Delivery, DeliveryOutcome, NoticeCursor, NoticeKey, NoticeRetry, Order, OrderNumber, OutTradeNo,
    Refund,
};
use koudai_core::time::Timestamp;
use koudai_store::{Reader, StoreError};
use serde::Serialize;

use crate::courier::{Notice, event};
pub use crate::courier::{notice_id, parse_notice_id};
use crate::vault::Vault;

/// The most events that one command replays.
pub const AT_ONCE: i64 = 1_000;
/// Journals of one moment that are looked through for a refund's.
const LOOKED_THROUGH: i64 = 4_096;

/// What a notice is about, by the merchant's own numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Subject {
    /// The notice's number: the same on each try.
    pub id: String,
    /// What has happened.
    pub event_type: &'static str,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_trade_no: Option<String>,
    /// The refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_refund_no: Option<String>,
    /// The transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_bill_no: Option<String>,
}

/// One try at telling a merchant.
#[derive(Clone, Debug, Serialize)]
pub struct Try {
    /// What was told.
    #[serde(flatten)]
    pub subject: Subject,
    /// Which try at it.
    #[serde(rename = "try")]
    pub tries: u32,
    /// When it began.
    pub time: String,
    /// Host and path it was sent to.
    pub endpoint: String,
    /// What came of it: a word of `DeliveryOutcome`.
    pub outcome: &'static str,
    /// The answer's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took.
    pub took_ms: u32,
    /// How the answer's body begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// Some tries, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// The tries.
    pub data: Vec<Try>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How far a notice is.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// `SENDING`, `DONE`, `WAITING` or `GIVEN_UP`.
    pub state: &'static str,
    /// Tries so far, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try: Option<String>,
}

/// Where a page begins: after the try of this moment, journal and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(i64, i64, i64);

impl Mark {
    /// Reads what a page called `next`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| part.parse().ok());
        let mark = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(mark)
    }

    fn of(delivery: &Delivery) -> Self {
        Self(delivery.at.0, delivery.seq.0, delivery.tries.into())
    }

    fn wire(self) -> String {
        format!("{}-{}-{}", self.0, self.1, self.2)
    }
}

/// Which tries are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Only those that were not answered 200 or 204.
    pub failed: bool,
    /// Only those at this event.
    pub event: Option<Seq>,
    /// Only those before this one.
    pub before: Option<Mark>,
    /// How many.
    pub limit: usize,
}

/// The tries at telling a merchant, newest first.
///
/// # Errors
/// What the database says.
pub fn tries(reader: &Reader, vault: &Vault, mchid: MchId, wanted: Wanted) -> Result<Page, StoreError> {
    let mut all = reader.deliveries_of(mchid)?;
    all.sort_unstable_by_key(|delivery| std::cmp::Reverse(Mark::of(delivery)));
    all.retain(|delivery| {
        (!wanted.failed || delivery.outcome != DeliveryOutcome::Answered)
            && wanted.event.is_none_or(|seq| delivery.seq == seq)
            && wanted.before.is_none_or(|mark| Mark::of(delivery) < mark)
    });
    let more = all.len() > wanted.limit;
    all.truncate(wanted.limit);
    let next = all.last().filter(|_| more).map(|last| Mark::of(last).wire());
    let mut data = vec![];
    for delivery in all {
        let Some(event) = event_of(reader, vault, mchid, delivery.seq)? else { continue };
        data.push(Try {
            subject: subject(&event),
            tries: delivery.tries,
            time: delivery.at.rfc3339(),
            endpoint: delivery.place,
            outcome: delivery.outcome.word(),
            status: delivery.status,
            took_ms: delivery.took_ms,
            answer: delivery.said,
        });
    }
    Ok(Page { data, next })
}

/// How far a notice is; `None` if it is none of this merchant's.
///
/// # Errors
/// What the database says.
pub fn state(reader: &Reader, vault: &Vault, mchid: MchId, seq: Seq) -> Result<Option<State>, StoreError> {
    let Some(event) = event_of(reader, vault, mchid, seq)? else { return Ok(None) };
    let subject = subject(&event);
    let told = reader.get::<NoticeCursor>(&mchid)?.map_or(Seq(0), |cursor| cursor.told);
    let retry = reader.get::<NoticeRetry>(&NoticeKey { mchid, seq })?;
    let (state, tries, next_at) = match retry {
        _ if seq > told => ("SENDING", None, None),
        None => ("DONE", None, None),
        Some(NoticeRetry { tries, next_at: None, .. }) => ("GIVEN_UP", Some(tries), None),
        Some(NoticeRetry { tries, next_at, .. }) => ("WAITING", Some(tries), next_at),
    };
    Ok(Some(State { subject, state, tries, next_try: next_at.map(Timestamp::rfc3339) }))
}

/// The event that a journal is, if this merchant is told of it.
fn event_of(reader: &Reader, vault: &Vault, mchid: MchId, seq: Seq) -> Result<Option<Notice>, StoreError> {
    let its = |journal: &Journal| {
        journal.kind.is_told()
            && journal.lines.iter().any(|line| line.account.merchant_owner() == Some(mchid))
    };
    let Some(journal) = reader.journal(seq)?.filter(its) else { return Ok(None) };
    let at = journal.at;
    event(reader, mchid, journal, vault, at)
}

fn subject(event: &Notice) -> Subject {
    let plain: serde_json::Value = serde_json::from_slice(&event.plain).unwrap_or_default();
    let text = |name: &str| plain.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    Subject {
        id: notice_id(event.journal.seq),
        event_type: event.name,
        out_trade_no: text("out_trade_no"),
        out_refund_no: text("out_refund_no"),
        out_bill_no: text("out_bill_no"),
    }
}

/// Whether a journal is an event that this merchant is told of.
///
/// # Errors
/// What the database says.
pub fn is_event_of(reader: &Reader, vault: &Vault, mchid: MchId, seq: Seq) -> Result<bool, StoreError> {
    Ok(event_of(reader, vault, mchid, seq)?.is_some())
}

/// The events of a merchant's order, its refunds' too; `None` if there is no such order.
///
/// # Errors
/// What the database says.
pub fn events_of_order(
    reader: &Reader,
    mchid: MchId,
    out_trade_no: &str,
) -> Result<Option<Vec<Seq>>, StoreError> {
    let key = OutTradeNo { mchid, out_trade_no: out_trade_no.to_owned() };
    let Some(OrderNumber { order, .. }) = reader.get::<OrderNumber>(&key)? else { return Ok(None) };
    let Some(order) = reader.get::<Order>(&order)? else { return Ok(None) };
    let is_told = !order.notify_url.is_empty();
    let mut events: Vec<Seq> = order.paid_seq.into_iter().filter(|_| is_told).collect();
    for refund in reader.refunds_of(order.id)?.into_iter().filter(|r| is_told || r.notify_url.is_some()) {
        events.extend(event_of_refund(reader, mchid, &refund)?);
    }
    Ok(Some(events))
}

/// The event of a refund that has ended. No row names it, but when it ended is known, and journals follow time.
fn event_of_refund(reader: &Reader, mchid: MchId, refund: &Refund) -> Result<Option<Seq>, StoreError> {
    let ended_at = match (refund.success_at, refund.attempt) {
        (Some(at), _) => Some(at),
        (None, Some(attempt)) => reader.get::<Attempt>(&attempt)?.and_then(|attempt| attempt.ended_at),
        (None, None) => None,
    };
    let Some(at) = ended_at else { return Ok(None) };
    let before = Seq(reader.seq_at(at)?.0 - 1);
    let its = |journal: &&Journal| journal.kind.is_told() && journal.subject == refund.id.0;
    let found = reader.merchant_journals(mchid, before, LOOKED_THROUGH)?;
    Ok(found.iter().take_while(|journal| journal.at == at).find(its).map(|journal| journal.seq))
}

/// A merchant's events since a moment that were not answered yet, oldest first, and whether there are more.
///
/// # Errors
/// What the database says.
pub fn failed_since(reader: &Reader, mchid: MchId, since: Timestamp) -> Result<(Vec<Seq>, bool), StoreError> {
    let found = reader.retries_of(mchid, reader.seq_at(since)?, AT_ONCE + 1)?;
    let mut events: Vec<Seq> = found.into_iter().map(|retry| retry.key.seq).collect();
    let most = usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
    let more = events.len() > most;
    events.truncate(most);
    Ok((events, more))
}

/// The newest event of a merchant, whose address is the one it listens at now.
pub(crate) fn newest_event(
    reader: &Reader,
    vault: &Vault,
    mchid: MchId,
    now: Timestamp,
) -> Result<Option<Notice>, StoreError> {
    let newest = reader.history(AccountId::merchant(mchid), None, 64)?;
    let told = newest.into_iter().filter(|journal| journal.kind.is_told());
    told.map(|journal| event(reader, mchid, journal, vault, now)).find_map(Result::transpose).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_known_by_one_spelling_of_its_number() {
        assert_eq!(notice_id(Seq(42)), "koudai-1-00000000000000000042");
        assert_eq!(parse_notice_id("koudai-1-00000000000000000042"), Some(Seq(42)));
        for wrong in [
            "",
            "42",
            "koudai-1-42",
            "koudai-1-+0000000000000000042",
            "koudai-1-99999999999999999999",
            "koudai-2-00000000000000000042",
            "koudai-1-000000000000000000042",
        ] {
            assert_eq!(parse_notice_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_page_goes_on_where_it_said() {
        let mark = Mark(1_795_000_000_000, 42, 3);
        assert_eq!(Mark::parse(&mark.wire()), Some(mark));
        for wrong in ["", "1-2", "1-2-3-4", "a-b-c", "1--2-3"] {
            assert_eq!(Mark::parse(wrong), None, "{wrong}");
        }
    }
}
