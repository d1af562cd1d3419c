//! The bank's page for people: which cards there are, what to type, what each does, and what moved last.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::cards::{Behaviour, CUSTOMERS, TestCard};
use super::store::{self, Card};
use super::{BankError, SandboxBank, debits};
use crate::issuer::wire::{BookKind, BookLine, CardKind};
use crate::sandbox::chinese;
use crate::sandbox::page::{self, CardView, yuan};

/// Cards with a story of their own; the ones behind them are all alike.
const FEATURED: usize = 8;
/// Lines of the books on the page.
const LINES: u32 = 20;

#[derive(Template)]
#[template(path = "bank.html")]
struct Page {
    zh: bool,
    name: &'static str,
    cards: Vec<CardView>,
    others: Vec<CardView>,
    lines: Vec<LineView>,
    inbox_url: Option<String>,
    customers: u16,
    most: String,
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
    let name = if zh { "沙盒银行" } else { "Sandbox Bank" };
    let found = bank.run(|tx, _| Ok((store::all_cards(tx)?, store::newest_lines(tx, LINES)?))).await;
    let page = found.and_then(|(cards, lines)| {
        let mut cards = cards.iter().map(|card| card_view(card, zh)).collect::<Result<Vec<_>, _>>()?;
        let others = cards.split_off(FEATURED.min(cards.len()));
        let lines = lines.into_iter().map(|line| line_view(line, zh)).collect::<Result<_, _>>()?;
        let (inbox_url, most) = (bank.bank.inbox_url.clone(), yuan(debits::MAX_DEBIT_MINOR)?);
        let page = Page { zh, name, cards, others, lines, inbox_url, customers: CUSTOMERS, most };
        page.render().map_err(|_| BankError::Corrupt("the page"))
    });
    page::shown(page)
}

fn card_view(card: &Card, zh: bool) -> Result<CardView, BankError> {
    let printed = card.printed;
    let (title, story) = story(printed, card.frozen, zh);
    Ok(CardView {
        no: i64::from(printed.no),
        name: &printed.name,
        id_number: &printed.id_number,
        phone: &printed.phone,
        other_phone: printed.behaviour == Behaviour::Mismatch,
        groups: page::groups(&printed.number),
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
        at: page::moment(line.at_ms),
    })
}
