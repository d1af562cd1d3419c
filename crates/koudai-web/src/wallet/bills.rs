//! The list of bills: page by page from the newest or from a month on, and what was spent in each month.
//!
//! Whatever is shown together is true at one journal: the account's row is read once, and lines and totals begin at the
//! journal that it stands at, however many are committed meanwhile.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::response::Response;
use koudai_core::id::{PersonId, Seq};
use koudai_core::ledger::{AccountId, Journal, JournalKind};
use koudai_core::money::{Currency, Money};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{AttemptState, Balance, Person};
use koudai_core::time::Timestamp;
use koudai_store::{Reader, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use super::months::Month;
use super::pages::{MonthOfRecords, PageOfRecords, RecordLine, RecordsPage};
use super::records::{attempt_line, journal_line, line_json};
use super::visit::Visit;
use crate::say::Lang;

/// Records on one page.
const PAGE: i64 = 30;
/// Attempts looked at for those under way and failed.
const ATTEMPTS: i64 = 50;
/// How many lines are added up for the totals of a page's months; a person with more sees those of the newest so many.
const TOTALS_MOST: usize = 50_000;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// With the newest record.
    Newest,
    /// After the record of this journal, with which the page before ended.
    After(Seq),
    /// With the newest record of a month, or else of the months before it.
    Month(Month),
}

/// The records of one page, newest first, and where the next page begins.
pub(super) struct Page {
    pub(super) lines: Vec<RecordLine>,
    next: Option<Seq>,
}

/// Reads a page of an account that stood at `balance`.
pub(super) fn read_page(
    reader: &Reader,
    person: PersonId,
    balance: Option<&Balance>,
    begin: Begin,
    l: Lang,
) -> Result<Page, StoreError> {
    let account = AccountId::person(person);
    let (journals, until) = match begin {
        Begin::Newest => (newest(reader, balance, PAGE)?, Timestamp(i64::MAX)),
        Begin::After(seq) => {
            let until = reader.journal(seq)?.map_or(Timestamp(i64::MAX), |journal| journal.at);
            (reader.history(account, Some(seq), PAGE)?, until)
        }
        Begin::Month(month) => (before(reader, balance, month.ends(), PAGE)?, month.ends()),
    };
    let full = i64::try_from(journals.len()).is_ok_and(|n| n == PAGE);
    let oldest = journals.last().filter(|_| full);
    let mut lines = Vec::new();
    for journal in &journals {
        lines.extend(journal_line(reader, journal, l)?);
    }
    // What has no journal stands only in the attempts: under way, or failed.
    let from = oldest.map_or(Timestamp(0), |journal| journal.at);
    for attempt in reader.attempts_of(person, ATTEMPTS)? {
        if attempt.state != AttemptState::Succeeded
            && attempt.refund.is_none()
            && (from..until).contains(&attempt.created_at)
        {
            lines.extend(attempt_line(reader, &attempt, l)?);
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    Ok(Page { lines, next: oldest.map(|journal| journal.seq) })
}

/// An account's newest journals when it stood at `balance`.
fn newest(reader: &Reader, balance: Option<&Balance>, limit: i64) -> Result<Vec<Journal>, StoreError> {
    balance.map_or_else(|| Ok(vec![]), |balance| reader.history_at(balance, limit))
}

/// An account's newest journals before a moment, and none after those it stood at.
fn before(
    reader: &Reader,
    balance: Option<&Balance>,
    moment: Timestamp,
    limit: i64,
) -> Result<Vec<Journal>, StoreError> {
    let Some(balance) = balance else { return Ok(vec![]) };
    if newest(reader, Some(balance), 1)?.iter().all(|journal| journal.at < moment) {
        return newest(reader, Some(balance), limit);
    }
    // A moment before the account's newest journal, so nothing that is committed now comes before it.
    reader.history(balance.account, Some(reader.seq_at(moment)?), limit)
}

/// What was paid and what came back of payments.
type Totals = (Money, Money);

/// The totals of the months of a page, each of the whole month.
fn totals(
    reader: &Reader,
    balance: Option<&Balance>,
    months: &BTreeMap<Month, Vec<RecordLine>>,
) -> Result<BTreeMap<Month, Totals>, StoreError> {
    let mut totals = BTreeMap::new();
    let (Some((&first, _)), Some((&last, _)), Some(account)) =
        (months.first_key_value(), months.last_key_value(), balance.map(|balance| balance.account))
    else {
        return Ok(totals);
    };
    let mut journals = before(reader, balance, last.ends(), 200)?;
    let mut seen = 0;
    while let Some(oldest) = journals.last().map(|journal| (journal.at, journal.seq)) {
        for journal in journals.iter().filter(|journal| journal.at >= first.begins()) {
            add(totals.entry(Month::of(journal.at)).or_insert(NOTHING), journal);
        }
        seen += journals.len();
        if oldest.0 < first.begins() || seen >= TOTALS_MOST {
            break;
        }
        journals = reader.history(account, Some(oldest.1), 200)?;
    }
    Ok(totals)
}

/// The totals of a month in which nothing was paid.
const NOTHING: Totals = (Money::zero(Currency::Cny), Money::zero(Currency::Cny));

fn add((paid, back): &mut Totals, journal: &Journal) {
    let postings = journal.postings.iter();
    // What the payee gets makes up a payment, and the first posting brings it; what the payee gives makes up a refund, and the
    // last posting takes it.
    let (sum, moved): (_, Vec<_>) = match journal.kind {
        JournalKind::BalancePayment
        | JournalKind::CardPayment
        | JournalKind::SplitPayment
        | JournalKind::AppDebit => {
            let payee = journal.postings.first().map(|posting| posting.credit);
            (paid, postings.filter(|posting| Some(posting.credit) == payee).collect())
        }
        JournalKind::BalanceRefund
        | JournalKind::CardRefundAccepted
        | JournalKind::SplitRefund
        | JournalKind::AppRefund => {
            let payee = journal.postings.last().map(|posting| posting.debit);
            (back, postings.filter(|posting| Some(posting.debit) == payee).collect())
        }
        JournalKind::TopUp
        | JournalKind::CardRefundDone
        | JournalKind::CardRefundAbnormal
        | JournalKind::RefundToBalance
        | JournalKind::TransferHeld
        | JournalKind::TransferPaid
        | JournalKind::TransferReturned
        | JournalKind::AppPayout
        | JournalKind::WithdrawalHeld
        | JournalKind::WithdrawalPaid
        | JournalKind::WithdrawalReturned
        | JournalKind::Adjustment
        | JournalKind::SplitHeld
        | JournalKind::SplitReleased => return,
        // What was counted as on its way back has gone to the merchant instead.
        JournalKind::RefundToMerchant => {
            if let Some(posting) = journal.postings.first() {
                *back = back.checked_sub(posting.amount).unwrap_or(*back);
            }
            return;
        }
    };
    for posting in moved {
        *sum = sum.checked_add(posting.amount).unwrap_or(*sum);
    }
}

/// What is asked for: a page after another, or one that begins with a month.
#[derive(Deserialize)]
pub(super) struct Asked {
    before: Option<i64>,
    month: Option<String>,
}

impl Asked {
    /// Where the page begins; `None` if the month is none.
    fn begin(&self) -> Option<Begin> {
        match (self.before, self.month.as_deref()) {
            (Some(seq), _) => Some(Begin::After(Seq(seq))),
            (None, None | Some("")) => Some(Begin::Newest),
            (None, Some(text)) => Month::parse(text).map(Begin::Month),
        }
    }
}

pub(super) async fn list(visit: Visit, Query(asked): Query<Asked>) -> Response {
    let result = async {
        let person = visit.person()?;
        if visit.json {
            list_json(&visit, person, &asked).await
        } else {
            list_page(&visit, person, &asked).await
        }
    };
    let result = result.await;
    visit.settle(result)
}

async fn list_json(visit: &Visit, person: PersonId, asked: &Asked) -> Result<Response, Refusal> {
    let (l, begin) = (visit.l, asked.begin().ok_or(Refusal::RequestMalformed)?);
    let page = visit.read(move |r| {
        let balance = r.balance(AccountId::person(person))?;
        read_page(r, person, balance.as_ref(), begin, l)
    });
    let Page { lines, next } = page.await?;
    let lines: Vec<Value> = lines.iter().map(|line| line_json(line, l)).collect();
    let mut value = json!({ "records": lines });
    if let Some(next) = next {
        value["next"] = next.0.to_string().into();
    }
    Ok(answer::data(value))
}

async fn list_page(visit: &Visit, person: PersonId, asked: &Asked) -> Result<Response, Refusal> {
    let (l, now, begin) = (visit.l, Month::of(visit.now()), asked.begin());
    let read = visit.read(move |r| {
        let balance = r.balance(AccountId::person(person))?;
        let page = read_page(r, person, balance.as_ref(), begin.unwrap_or(Begin::Newest), l)?;
        let mut months: BTreeMap<Month, Vec<RecordLine>> = BTreeMap::new();
        for line in page.lines {
            months.entry(Month::of(line.at)).or_default().push(line);
        }
        let totals = totals(r, balance.as_ref(), &months)?;
        let since = r.get::<Person>(&person)?.map_or(now, |person| Month::of(person.created_at));
        Ok((months, totals, page.next, since))
    });
    let (months, totals, next, since) = read.await?;
    let newest = months.last_key_value().map(|(month, _)| *month);
    let place = place(begin, newest, now);
    let chosen = match begin {
        Some(Begin::Month(month)) => month,
        _ => newest.unwrap_or(now),
    };
    let months = months.into_iter().rev().map(|(month, lines)| {
        let (total_out, total_back) = totals.get(&month).copied().unwrap_or(NOTHING);
        MonthOfRecords { month, total_out, total_back, lines }
    });
    Ok(answer::ok(&RecordsPage {
        l,
        place,
        choice: since.min(now)..=now,
        chosen: chosen.clamp(since.min(now), now),
        months: months.collect(),
        older: next.map(|seq| seq.0.to_string()),
    }))
}

/// What a page is called that begins there and whose newest record is of month `newest`.
fn place(begin: Option<Begin>, newest: Option<Month>, now: Month) -> PageOfRecords {
    match begin {
        None => PageOfRecords::NoSuchMonth,
        Some(Begin::Newest) => PageOfRecords::Newest,
        Some(Begin::After(_)) => PageOfRecords::Older,
        Some(Begin::Month(month)) if month > now => PageOfRecords::MonthToCome(month),
        Some(Begin::Month(month)) if newest.is_none() && month < now => PageOfRecords::NothingTill(month),
        Some(Begin::Month(month)) if newest.is_some_and(|newest| newest < month) => {
            PageOfRecords::EmptyMonth(month)
        }
        Some(Begin::Month(month)) if month == now => PageOfRecords::Newest,
        Some(Begin::Month(month)) => PageOfRecords::Month(month),
    }
}
