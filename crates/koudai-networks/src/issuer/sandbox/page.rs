//! The bank's page for people: which cards there are, what to type, what each does, and what moved last.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use koudai_core::money::Money;
use koudai_core::time::Timestamp;

use super::cards::{Behaviour, CUSTOMERS, TestCard};
use super::store::{self, Card};
use super::{BankError, SandboxBank, debits};
use crate::issuer::wire::{BookKind, BookLine, CardKind};
use crate::sandbox::chinese;

/// Cards with a story of their own; the ones behind them are all alike.
const FEATURED: usize = 8;
/// Lines of the books on the page.
const LINES: u32 = 20;

#[derive(Template)]
#[template(path = "bank.html")]
struct Page {
    zh: bool,
    cards: Vec<CardView>,
    others: Vec<CardView>,
    lines: Vec<LineView>,
    inbox_url: Option<String>,
    customers: u16,
    most: String,
}

struct CardView {
    no: u16,
    name: &'static str,
    id_number: &'static str,
    phone: &'static str,
    /// The bank has another phone on file than the one to type.
    other_phone: bool,
    /// In groups of four, which are only drawn apart: what is copied has no blanks.
    groups: Vec<&'static str>,
    credit: bool,
    expiry: &'static str,
    cvv: &'static str,
    available: String,
    title: &'static str,
    story: &'static str,
    /// Does something other than succeed.
    odd: bool,
}

struct LineView {
    no: i64,
    kind: &'static str,
    /// Money came to the card.
    to_card: bool,
    id: String,
    amount: String,
    minor: i64,
    at: String,
}

/// The page at `/`.
pub(super) async fn home(State(bank): State<SandboxBank>, headers: HeaderMap) -> Response {
    let zh = chinese(&headers);
    let found = bank.run(|tx, _| Ok((store::all_cards(tx)?, store::newest_lines(tx, LINES)?))).await;
    let page = found.and_then(|(cards, lines)| {
        let mut cards = cards.iter().map(|card| card_view(card, zh)).collect::<Result<Vec<_>, _>>()?;
        let others = cards.split_off(FEATURED.min(cards.len()));
        let lines = lines.into_iter().map(|line| line_view(line, zh)).collect::<Result<_, _>>()?;
        let (inbox_url, most) = (bank.bank.inbox_url.clone(), yuan(debits::MAX_DEBIT_MINOR)?);
        let page = Page { zh, cards, others, lines, inbox_url, customers: CUSTOMERS, most };
        page.render().map_err(|_| BankError::Corrupt("the page"))
    });
    match page {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store"), (header::VARY, "accept-language")], Html(html))
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "the bank's page");
            (StatusCode::INTERNAL_SERVER_ERROR, "The bank could not read its books.").into_response()
        }
    }
}

/// The stylesheet at `/style.css`.
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("../../../templates/bank.css")).into_response()
}

fn yuan(minor: i64) -> Result<String, BankError> {
    let money = Money::fen(minor).map_err(|_| BankError::Corrupt("an amount below zero"))?;
    Ok(format!("¥{money}"))
}

fn card_view(card: &Card, zh: bool) -> Result<CardView, BankError> {
    let printed = card.printed;
    let (title, story) = story(printed, card.frozen, zh);
    Ok(CardView {
        no: printed.no,
        name: &printed.name,
        id_number: &printed.id_number,
        phone: &printed.phone,
        other_phone: printed.behaviour == Behaviour::Mismatch,
        groups: (0..printed.number.len())
            .step_by(4)
            .map(|at| &printed.number[at..printed.number.len().min(at + 4)])
            .collect(),
        credit: printed.kind == CardKind::Credit,
        expiry: printed.expiry.unwrap_or(""),
        cvv: printed.cvv.unwrap_or(""),
        available: yuan(card.available_minor)?,
        title,
        story,
        odd: card.frozen || printed.behaviour != Behaviour::Plain || printed.funds_minor == 0,
    })
}

/// A card's name and what it does, for whoever picks one.
fn story(card: &TestCard, frozen: bool, zh: bool) -> (&'static str, &'static str) {
    let [title_zh, title_en, story_zh, story_en] = if frozen {
        ["冻结的卡", "Frozen card", "银行拒绝绑定和扣款。", "The bank refuses to add or charge it."]
    } else {
        match (card.behaviour, card.kind) {
            (Behaviour::Mismatch, _) => [
                "信息不符",
                "Details never match",
                "银行预留的是另一个手机号，绑定总是被拒绝。",
                "The bank has another phone on file, so adding it is always refused.",
            ],
            (Behaviour::Late, _) => [
                "回复很慢",
                "Answers late",
                "扣款立即完成，但银行 12 秒后才回复：钱包会先显示“确认中”。",
                "Charged at once, answered 12 s later: the wallet says it is checking.",
            ],
            (Behaviour::Silent, _) => [
                "从不回复",
                "Never answers",
                "扣款立即完成，但银行不回复；钱包要自己去查。退款的第一次请求也没有回复。",
                "Charged at once, never answered; the wallet has to ask. The first try of a refund is not answered either.",
            ],
            (Behaviour::Plain, CardKind::Credit) => [
                "信用卡",
                "Credit card",
                "额度内的付款都会成功。",
                "Every payment within its limit succeeds.",
            ],
            (Behaviour::Plain, CardKind::Debit) if card.funds_minor == 0 => [
                "没有钱的储蓄卡",
                "Debit card without money",
                "可以绑定，扣款因余额不足被拒绝。",
                "Can be added; charges are refused for lack of funds.",
            ],
            (Behaviour::Plain, CardKind::Debit) => {
                ["储蓄卡", "Debit card", "一切正常。", "Everything works."]
            }
        }
    };
    if zh { (title_zh, story_zh) } else { (title_en, story_en) }
}

fn line_view(line: BookLine, zh: bool) -> Result<LineView, BankError> {
    let at = Timestamp(line.at_ms).china();
    Ok(LineView {
        no: line.no,
        kind: match (line.kind, zh) {
            (BookKind::Debit, true) => "扣款",
            (BookKind::Debit, false) => "Charge",
            (BookKind::Refund, true) => "退款",
            (BookKind::Refund, false) => "Refund",
            (BookKind::Payout, true) => "转入",
            (BookKind::Payout, false) => "Paid in",
        },
        to_card: line.kind != BookKind::Debit,
        id: line.id,
        amount: yuan(line.amount_minor)?,
        minor: line.amount_minor,
        at: format!("{:02}-{:02} {:02}:{:02}:{:02}", at.month, at.day, at.hour, at.minute, at.second),
    })
}
