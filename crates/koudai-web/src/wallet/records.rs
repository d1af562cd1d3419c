//! Records: what a journal of a person's account, or an attempt still under way, is to the person, in a line and in full.

use axum::extract::Path;
use axum::response::Response;
use koudai_core::card::CardKind;
use koudai_core::id::{AppMoveId, AttemptId, MchId, OrderId, PersonId, RefundId, TransferId, WithdrawalId};
use koudai_core::ledger::{Journal, JournalKind};
use koudai_core::money::Money;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    AppMove, AppMoveKind, Attempt, AttemptKind, AttemptState, Card, IssuingApp, Merchant, Order, Refund,
    RefundState, RefundWay, Transfer, TransferState, Withdrawal, WithdrawalState,
};
use koudai_core::split::Split;
use koudai_core::time::Timestamp;
use koudai_store::{Reader, StoreError};
use serde_json::{Value, json};

use super::answer;
use super::pages::{Direction, Event, RecordKind, RecordLine, RecordPage, RecordState};
use super::purse;
use super::visit::Visit;
use crate::say::Lang;

fn bank(reader: &Reader, attempt: &Attempt, l: Lang) -> Result<String, StoreError> {
    let card = reader.get::<Card>(&attempt.card)?.expect("an attempt has its card");
    Ok(l.say(&card.bank_zh, &card.bank_en).to_owned())
}

/// What payers and payees know a merchant by.
pub(super) fn merchant_name(reader: &Reader, mchid: MchId) -> Result<String, StoreError> {
    Ok(reader.get::<Merchant>(&mchid)?.expect("what names a merchant has it").name)
}

/// The record a journal stands for; the later steps of a refund or withdrawal belong to the record of its first.
pub(super) fn journal_line(
    reader: &Reader,
    journal: &Journal,
    l: Lang,
) -> Result<Option<RecordLine>, StoreError> {
    let missing =
        || StoreError::Corrupt { table: "journal", what: format!("row {}: no subject", journal.seq.0) };
    Ok(match journal.kind {
        JournalKind::TopUp => {
            let attempt = reader.get::<Attempt>(&AttemptId(journal.subject))?.ok_or_else(missing)?;
            Some(RecordLine {
                id: attempt.id.wire(),
                kind: RecordKind::TopUp,
                name: bank(reader, &attempt, l)?,
                item: None,
                method: purse::name_of(reader, Some(attempt.card), l)?,
                direction: Direction::In,
                amount: attempt.amount,
                at: journal.at,
                state: RecordState::Succeeded,
            })
        }
        JournalKind::BalancePayment | JournalKind::CardPayment | JournalKind::SplitPayment => {
            let order = reader.get::<Order>(&OrderId(journal.subject))?.ok_or_else(missing)?;
            Some(order_line(reader, &order, journal.at, l)?)
        }
        JournalKind::BalanceRefund | JournalKind::CardRefundAccepted | JournalKind::SplitRefund => {
            let refund = reader.get::<Refund>(&RefundId(journal.subject))?.ok_or_else(missing)?;
            Some(refund_line(reader, &refund, l)?)
        }
        JournalKind::TransferPaid => {
            let id = TransferId(journal.subject);
            let transfer = reader.get::<Transfer>(&id)?.ok_or_else(missing)?;
            Some(transfer_line(reader, &transfer, l)?)
        }
        JournalKind::AppDebit | JournalKind::AppRefund | JournalKind::AppPayout => {
            let done = reader.get::<AppMove>(&AppMoveId(journal.subject))?.ok_or_else(missing)?;
            Some(move_line(reader, &done, l)?)
        }
        JournalKind::WithdrawalHeld => {
            let id = WithdrawalId(journal.subject);
            let withdrawal = reader.get::<Withdrawal>(&id)?.ok_or_else(missing)?;
            Some(withdrawal_line(reader, &withdrawal, l)?)
        }
        JournalKind::CardRefundDone
        | JournalKind::CardRefundAbnormal
        | JournalKind::RefundToBalance
        | JournalKind::RefundToMerchant
        | JournalKind::TransferHeld
        | JournalKind::TransferReturned
        | JournalKind::WithdrawalPaid
        | JournalKind::WithdrawalReturned
        | JournalKind::Adjustment
        | JournalKind::SplitHeld
        | JournalKind::SplitReleased => None,
    })
}

fn order_line(reader: &Reader, order: &Order, at: Timestamp, l: Lang) -> Result<RecordLine, StoreError> {
    let state = match order.refunded.minor() {
        0 => RecordState::Succeeded,
        back if back == order.amount.minor() => RecordState::Refunded,
        _ => RecordState::PartlyRefunded,
    };
    Ok(RecordLine {
        id: order.id.wire(),
        kind: RecordKind::Payment,
        name: merchant_name(reader, order.mchid)?,
        item: Some(order.description.to_string()),
        method: purse::paid_with(reader, order, l)?,
        direction: Direction::Out,
        amount: order.amount,
        at,
        state,
    })
}

fn refund_line(reader: &Reader, refund: &Refund, l: Lang) -> Result<RecordLine, StoreError> {
    let order = reader.get::<Order>(&refund.order)?.expect("a refund has its order");
    Ok(RecordLine {
        id: refund.id.wire(),
        kind: RecordKind::Refund,
        name: merchant_name(reader, order.mchid)?,
        item: Some(order.description.to_string()),
        method: match refund.way {
            RefundWay::Original => refunded_to(reader, refund, l)?,
            RefundWay::Balance => purse::name_of(reader, None, l)?,
            RefundWay::Merchant => l.say("商家另行退款", "By the merchant").to_owned(),
        },
        direction: Direction::In,
        amount: refund.amount,
        at: refund.created_at,
        state: match refund.state {
            RefundState::Processing | RefundState::Abnormal => RecordState::Pending,
            RefundState::Success => RecordState::Succeeded,
        },
    })
}

/// Where a refund goes that goes back the way its order was paid.
fn refunded_to(reader: &Reader, refund: &Refund, l: Lang) -> Result<String, StoreError> {
    let card = purse::name_of(reader, refund.card, l)?;
    let call = attempt_of(reader, refund.attempt)?;
    let to_balance = call.and_then(|call| Split::of(refund.amount, call.amount)).map(|parts| parts.balance);
    Ok(match to_balance.filter(|part| !part.is_zero()) {
        Some(_) => format!("{card} + {}", purse::name_of(reader, None, l)?),
        None => card,
    })
}

/// Where the next refund of an order that was paid by both would go, and when it would be there: the card is given back to first.
fn next_refund(reader: &Reader, order: &Order, l: Lang) -> Result<Option<String>, StoreError> {
    let Some(parts) = purse::parts(reader, order)?.filter(|_| order.paid_at.is_some()) else {
        return Ok(None);
    };
    let rest = order.amount.checked_sub(order.refunded);
    let Some(rest) = rest.ok().filter(|rest| !rest.is_zero()) else { return Ok(None) };
    let back = parts.back(order.refunded, rest);
    let (card, sign) = (purse::name_of(reader, order.card, l)?, rest.currency().sign());
    let to_balance = format!("{sign}{}", back.balance);
    if back.card.is_zero() {
        return Ok(Some(match l {
            Lang::Zh => format!("如退款，将退回零钱 {to_balance}，即时到账"),
            Lang::En => format!("A refund would go to your balance: {to_balance}, at once"),
        }));
    }
    let to_card = format!("{sign}{}", back.card);
    Ok(Some(match l {
        Lang::Zh => {
            format!("如退款，先退回{card} {to_card}（1–3 个工作日到账），再退回零钱 {to_balance}（即时到账）")
        }
        Lang::En => format!(
            "A refund would go to {card} first: {to_card} (1 to 3 working days), and then to your balance: {to_balance} (at once)"
        ),
    }))
}

/// What an app took, gave back or paid out.
fn move_line(reader: &Reader, done: &AppMove, l: Lang) -> Result<RecordLine, StoreError> {
    let app = reader.get::<IssuingApp>(&done.app)?.expect("a movement has its app");
    let (kind, direction) = match done.kind {
        AppMoveKind::Debit => (RecordKind::Payment, Direction::Out),
        AppMoveKind::Refund => (RecordKind::Refund, Direction::In),
        AppMoveKind::Payout => (RecordKind::Transfer, Direction::In),
    };
    let state = match done.returned.minor() {
        0 => RecordState::Succeeded,
        back if back == done.amount.minor() => RecordState::Refunded,
        _ => RecordState::PartlyRefunded,
    };
    Ok(RecordLine {
        id: done.id.wire(),
        kind,
        name: l.say(&app.name_zh, &app.name_en).to_owned(),
        item: Some(done.description.clone()),
        method: purse::name_of(reader, None, l)?,
        direction,
        amount: done.amount,
        at: done.at,
        state,
    })
}

/// A transfer that was received.
fn transfer_line(reader: &Reader, transfer: &Transfer, l: Lang) -> Result<RecordLine, StoreError> {
    Ok(RecordLine {
        id: transfer.id.wire(),
        kind: RecordKind::Transfer,
        name: merchant_name(reader, transfer.mchid)?,
        item: Some(transfer.remark.clone()),
        method: purse::name_of(reader, None, l)?,
        direction: Direction::In,
        amount: transfer.amount,
        at: transfer.updated_at(),
        state: RecordState::Succeeded,
    })
}

/// What left the balance for a card, with its fee.
fn withdrawal_line(reader: &Reader, withdrawal: &Withdrawal, l: Lang) -> Result<RecordLine, StoreError> {
    let card = reader.get::<Card>(&withdrawal.card)?.expect("a withdrawal has its card");
    Ok(RecordLine {
        id: withdrawal.id.wire(),
        kind: RecordKind::Withdrawal,
        name: l.say(&card.bank_zh, &card.bank_en).to_owned(),
        item: None,
        method: purse::name_of(reader, Some(withdrawal.card), l)?,
        direction: Direction::Out,
        amount: withdrawal.held(),
        at: withdrawal.created_at,
        state: match withdrawal.state {
            WithdrawalState::Waiting | WithdrawalState::Sending => RecordState::Pending,
            WithdrawalState::Paid => RecordState::Succeeded,
            WithdrawalState::Failed | WithdrawalState::Cancelled => RecordState::Returned,
        },
    })
}

pub(super) fn attempt_line(
    reader: &Reader,
    attempt: &Attempt,
    l: Lang,
) -> Result<Option<RecordLine>, StoreError> {
    let (kind, name, item, direction) = match (attempt.kind, attempt.order) {
        (AttemptKind::TopUp, _) => (RecordKind::TopUp, bank(reader, attempt, l)?, None, Direction::In),
        (AttemptKind::CardPayment, Some(order)) => {
            let order = reader.get::<Order>(&order)?.expect("an attempt has its order");
            let name = merchant_name(reader, order.mchid)?;
            (RecordKind::Payment, name, Some(order.description.to_string()), Direction::Out)
        }
        (AttemptKind::CardPayment | AttemptKind::CardRefund | AttemptKind::Payout, _) => return Ok(None),
    };
    Ok(Some(RecordLine {
        id: attempt.id.wire(),
        kind,
        name,
        item,
        method: purse::name_of(reader, Some(attempt.card), l)?,
        direction,
        amount: attempt.amount,
        at: attempt.created_at,
        state: match attempt.state {
            AttemptState::Open => RecordState::Pending,
            AttemptState::Succeeded => RecordState::Succeeded,
            AttemptState::Failed => RecordState::Failed,
        },
    }))
}

pub(super) fn line_json(line: &RecordLine, l: Lang) -> Value {
    json!({
        "id": line.id,
        "kind": match line.kind {
            RecordKind::Payment => "payment",
            RecordKind::TopUp => "top_up",
            RecordKind::Refund => "refund",
            RecordKind::Transfer => "transfer",
            RecordKind::Withdrawal => "withdrawal",
        },
        "name": line.name,
        "description": line.item,
        "method": line.method,
        "direction": match line.direction { Direction::In => "in", Direction::Out => "out" },
        "amount": answer::money(line.amount),
        "at_ms": line.at.0,
        "state": match line.state {
            RecordState::Succeeded => "succeeded",
            RecordState::Pending => "pending",
            RecordState::Failed => "failed",
            RecordState::PartlyRefunded => "partly_refunded",
            RecordState::Refunded => "refunded",
            RecordState::Returned => "returned",
        },
        "state_text": line.state.word(l),
    })
}

pub(super) async fn record(visit: Visit, Path(id): Path<String>) -> Response {
    let result = async {
        let person = visit.person()?;
        let l = visit.l;
        let page = visit.read(move |r| detail(r, person, &id, l)).await?.ok_or(Refusal::RecordUnknown)?;
        if visit.json {
            let mut value = line_json(&page.line, l);
            value["description"] = page.description.clone().into();
            value["order_no"] = page.order_no.clone().into();
            value["transaction_id"] = page.line.id.clone().into();
            value["bank_reference"] = page.bank_reference.clone().into();
            value["refunded"] = page.refunded.map(answer::money).into();
            value["under_way"] = page.under_way.clone().into();
            return Ok(answer::data(value));
        }
        Ok(answer::ok(&page))
    };
    let result = result.await;
    visit.settle(result)
}

/// The record that a person has a question about, if it is theirs.
///
/// # Errors
/// `OutOfOrder`.
pub(super) async fn asked_about(
    visit: &Visit,
    person: PersonId,
    id: String,
) -> Result<Option<RecordLine>, Refusal> {
    let l = visit.l;
    Ok(visit.read(move |r| detail(r, person, &id, l)).await?.map(|page| page.line))
}

/// One record by its id, if it is this person's.
fn detail(reader: &Reader, person: PersonId, id: &str, l: Lang) -> Result<Option<RecordPage>, StoreError> {
    if let Some(id) = OrderId::parse(id) {
        return match reader.get::<Order>(&id)?.filter(|o| o.payer == Some(person)) {
            Some(order) => order_detail(reader, &order, l).map(Some),
            None => Ok(None),
        };
    }
    if let Some(id) = RefundId::parse(id) {
        return match reader.get::<Refund>(&id)?.filter(|r| r.payer == person) {
            Some(refund) => refund_detail(reader, &refund, l).map(Some),
            None => Ok(None),
        };
    }
    if let Some(id) = TransferId::parse(id) {
        let its = |t: &Transfer| t.payee == person && t.state == TransferState::Received;
        return match reader.get::<Transfer>(&id)?.filter(its) {
            Some(transfer) => transfer_detail(reader, &transfer, l).map(Some),
            None => Ok(None),
        };
    }
    if let Some(id) = AppMoveId::parse(id) {
        let its = |done: &AppMove| done.person == Some(person) && done.refusal.is_none();
        return match reader.get::<AppMove>(&id)?.filter(its) {
            Some(done) => move_detail(reader, &done, l).map(Some),
            None => Ok(None),
        };
    }
    if let Some(id) = WithdrawalId::parse(id) {
        return match reader.get::<Withdrawal>(&id)?.filter(|w| w.person == person) {
            Some(withdrawal) => withdrawal_detail(reader, &withdrawal, l).map(Some),
            None => Ok(None),
        };
    }
    let Some(id) = AttemptId::parse(id) else { return Ok(None) };
    match reader.get::<Attempt>(&id)?.filter(|a| a.person == person) {
        Some(attempt) => attempt_detail(reader, &attempt, l),
        None => Ok(None),
    }
}

fn attempt_of(reader: &Reader, id: Option<AttemptId>) -> Result<Option<Attempt>, StoreError> {
    match id {
        Some(id) => reader.get::<Attempt>(&id),
        None => Ok(None),
    }
}

/// Whether another wallet is on the other side of a call, and not a bank.
fn at_wallet(reader: &Reader, attempt: Option<&Attempt>) -> Result<bool, StoreError> {
    let card = attempt.map_or(Ok(None), |attempt| reader.get::<Card>(&attempt.card))?;
    Ok(card.is_some_and(|card| card.kind == CardKind::Wallet))
}

fn order_detail(reader: &Reader, order: &Order, l: Lang) -> Result<RecordPage, StoreError> {
    let attempt = attempt_of(reader, order.attempt)?;
    let mut line = order_line(reader, order, order.paid_at.unwrap_or(order.created_at), l)?;
    let mut timeline = vec![(order.created_at, Event::Ordered)];
    if let Some(attempt) = &attempt {
        timeline.push((attempt.created_at, Event::SentToBank));
    }
    match order.paid_at {
        Some(at) => timeline.push((at, Event::Paid)),
        None => line.state = RecordState::Pending,
    }
    for refund in reader.refunds_of(order.id)? {
        timeline.push((refund.created_at, Event::RefundAccepted));
        timeline.extend(refund.success_at.map(|at| (at, refund_end(&refund))));
    }
    timeline.sort_by_key(|(at, _)| *at);
    let breakdown = by_parts(purse::parts(reader, order)?, l);
    Ok(RecordPage {
        l,
        under_way: None,
        description: Some(order.description.to_string()),
        breakdown,
        next_refund: next_refund(reader, order, l)?,
        refunded: (!order.refunded.is_zero()).then_some(order.refunded),
        order_no: Some(order.out_trade_no.to_string()),
        at_wallet: at_wallet(reader, attempt.as_ref())?,
        bank_reference: attempt.and_then(|a| a.network_ref),
        line,
        timeline,
    })
}

/// The parts of what was paid by balance and card, or goes back to both; none if there is one only.
fn by_parts(parts: Option<Split>, l: Lang) -> Vec<(String, Money)> {
    let Some(parts) = parts.filter(|parts| !parts.balance.is_zero()) else { return vec![] };
    let [balance, card] = [l.say("零钱部分", "Balance part"), l.say("银行卡部分", "Card part")];
    vec![(balance.to_owned(), parts.balance), (card.to_owned(), parts.card)]
}

fn refund_detail(reader: &Reader, refund: &Refund, l: Lang) -> Result<RecordPage, StoreError> {
    let order = reader.get::<Order>(&refund.order)?.expect("a refund has its order");
    let attempt = attempt_of(reader, refund.attempt)?;
    let parts = attempt.as_ref().and_then(|call| Split::of(refund.amount, call.amount));
    let mut timeline = vec![(refund.created_at, Event::RefundAccepted)];
    if refund.card.is_some() {
        timeline.push((refund.created_at, Event::SentToBank));
    }
    if let Some(at) = attempt.as_ref().filter(|a| a.state == AttemptState::Failed).and_then(|a| a.ended_at) {
        timeline.push((at, Event::Refused));
    }
    timeline.extend(refund.success_at.map(|at| (at, refund_end(refund))));
    Ok(RecordPage {
        l,
        under_way: None,
        line: refund_line(reader, refund, l)?,
        description: refund.reason.clone().or(Some(order.description.to_string())),
        breakdown: by_parts(parts, l),
        next_refund: None,
        refunded: None,
        order_no: Some(order.out_trade_no.to_string()),
        at_wallet: at_wallet(reader, attempt.as_ref())?,
        bank_reference: attempt.and_then(|a| a.network_ref),
        timeline,
    })
}

/// How a refund that ended has ended.
const fn refund_end(refund: &Refund) -> Event {
    match refund.way {
        RefundWay::Original => Event::RefundArrived,
        RefundWay::Balance => Event::RefundInBalance,
        RefundWay::Merchant => Event::RefundByMerchant,
    }
}

fn move_detail(reader: &Reader, done: &AppMove, l: Lang) -> Result<RecordPage, StoreError> {
    let event = match done.kind {
        AppMoveKind::Debit => Event::Paid,
        AppMoveKind::Refund | AppMoveKind::Payout => Event::InBalance,
    };
    Ok(RecordPage {
        l,
        under_way: None,
        line: move_line(reader, done, l)?,
        description: Some(done.description.clone()),
        breakdown: vec![],
        next_refund: None,
        refunded: (!done.returned.is_zero()).then_some(done.returned),
        order_no: Some(done.number.clone()),
        at_wallet: false,
        bank_reference: None,
        timeline: vec![(done.at, event)],
    })
}

fn transfer_detail(reader: &Reader, transfer: &Transfer, l: Lang) -> Result<RecordPage, StoreError> {
    Ok(RecordPage {
        l,
        under_way: None,
        line: transfer_line(reader, transfer, l)?,
        description: Some(transfer.remark.clone()),
        breakdown: vec![],
        next_refund: None,
        refunded: None,
        order_no: Some(transfer.out_bill_no.clone()),
        at_wallet: false,
        bank_reference: None,
        timeline: vec![(transfer.created_at, Event::Sent), (transfer.updated_at(), Event::InBalance)],
    })
}

fn withdrawal_detail(reader: &Reader, withdrawal: &Withdrawal, l: Lang) -> Result<RecordPage, StoreError> {
    let attempt = attempt_of(reader, withdrawal.attempt)?;
    let mut timeline = vec![(withdrawal.created_at, Event::WithdrawalAsked)];
    timeline.extend(attempt.as_ref().map(|attempt| (attempt.created_at, Event::SentToBank)));
    let end = match withdrawal.state {
        WithdrawalState::Cancelled => Event::WithdrawalCancelled,
        WithdrawalState::Failed => Event::WithdrawalReturned,
        _ => Event::AtTheCard,
    };
    timeline.extend(withdrawal.ended_at.map(|at| (at, end)));
    Ok(RecordPage {
        l,
        under_way: withdrawal.is_open().then(|| format!("/withdraw/{}", withdrawal.number)),
        line: withdrawal_line(reader, withdrawal, l)?,
        description: None,
        next_refund: None,
        breakdown: vec![
            (l.say("到账金额", "You receive").to_owned(), withdrawal.amount),
            (l.say("手续费", "Fee").to_owned(), withdrawal.fee),
        ],
        refunded: None,
        order_no: None,
        at_wallet: at_wallet(reader, attempt.as_ref())?,
        bank_reference: attempt.and_then(|a| a.network_ref),
        timeline,
    })
}

fn attempt_detail(reader: &Reader, attempt: &Attempt, l: Lang) -> Result<Option<RecordPage>, StoreError> {
    let Some(line) = attempt_line(reader, attempt, l)? else { return Ok(None) };
    let order = match attempt.order {
        Some(order) => reader.get::<Order>(&order)?,
        None => None,
    };
    let mut timeline = vec![(attempt.created_at, Event::SentToBank)];
    if let Some(at) = attempt.ended_at {
        let end = match (attempt.state, attempt.kind) {
            (AttemptState::Failed, _) => Event::Refused,
            (_, AttemptKind::TopUp) => Event::InBalance,
            _ => Event::Paid,
        };
        timeline.push((at, end));
    }
    Ok(Some(RecordPage {
        l,
        under_way: None,
        line,
        description: order.as_ref().map(|o| o.description.to_string()),
        next_refund: None,
        breakdown: if attempt.fee.is_zero() {
            vec![]
        } else {
            vec![(l.say("其中手续费", "Of it, fee").to_owned(), attempt.fee)]
        },
        refunded: None,
        order_no: order.map(|o| o.out_trade_no.to_string()),
        at_wallet: at_wallet(reader, Some(attempt))?,
        bank_reference: attempt.network_ref.clone(),
        timeline,
    }))
}
