//! Its page for people: which cards there are, what to type, what each does, and what happened last.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use koudai_core::card::CardKind;

use super::SandboxUnionPay;
use super::cards::{TestCard, test_cards};
use super::store::{self, Card, Trans};
use crate::sandbox::page::{self, CardView, yuan};
use crate::sandbox::{SandboxError, chinese};
use crate::unionpay::wire::Call;

/// Transactions on the page.
const LINES: u32 = 20;

#[derive(Template)]
#[template(path = "unionpay.html")]
struct Page {
    zh: bool,
    name: &'static str,
    cards: Vec<CardView>,
    lines: Vec<LineView>,
    inbox_url: Option<String>,
}

struct LineView {
    kind: &'static str,
    to_card: bool,
    order_id: String,
    query_id: String,
    code: String,
    amount: String,
    minor: i64,
    at: String,
}

/// The page at `/`.
pub(super) async fn home(State(sandbox): State<SandboxUnionPay>, headers: HeaderMap) -> Response {
    let zh = chinese(&headers);
    let name = if zh { "沙盒银联" } else { "Sandbox UnionPay" };
    let found = sandbox.run(move |tx, _| {
        let shown = test_cards().iter().filter(|card| card.customer == 1 || is_odd(card));
        let cards =
            shown.map(|card| card_view(&store::card(tx, card.no)?, zh)).collect::<Result<Vec<_>, _>>()?;
        let lines = store::transactions(tx, "query_no > ?1 ORDER BY query_no DESC", 0, LINES)?;
        Ok((cards, lines.into_iter().map(|line| line_view(line, zh)).collect::<Result<Vec<_>, _>>()?))
    });
    let page = found.await.and_then(|(cards, lines)| {
        let inbox_url = sandbox.house.settings.inbox_url.clone();
        Page { zh, name, cards, lines, inbox_url }.render().map_err(|_| SandboxError::Corrupt("the page"))
    });
    page::shown(page)
}

const fn is_odd(card: &TestCard) -> bool {
    card.is_slow() || card.is_not_opened() || card.is_empty() || card.is_lost()
}

fn card_view(card: &Card, zh: bool) -> Result<CardView, SandboxError> {
    let printed = card.printed;
    let (title, story) = story(printed, zh);
    Ok(CardView {
        no: printed.no,
        name: &printed.name,
        id_number: &printed.id_number,
        phone: &printed.phone,
        other_phone: false,
        groups: page::groups(&printed.number),
        credit: printed.kind == CardKind::Credit,
        expiry: printed.expiry.unwrap_or(""),
        cvv: printed.cvv.unwrap_or(""),
        available: yuan(card.available_minor)?,
        title,
        story,
        odd: is_odd(printed),
    })
}

/// A card's name and what it does, for whoever picks one.
fn story(card: &TestCard, zh: bool) -> (&'static str, &'static str) {
    let [title_zh, title_en, story_zh, story_en] = match card.kind {
        CardKind::Credit => {
            ["信用卡", "Credit card", "额度内的付款都会成功。", "Every payment within its limit succeeds."]
        }
        CardKind::Debit if card.is_slow() => [
            "结果很慢",
            "Decided late",
            "银联先受理，3 秒后才有结果：钱包会先显示“确认中”。",
            "Taken on at once, decided 3 s later: the wallet says it is checking.",
        ],
        CardKind::Debit if card.is_not_opened() => [
            "未开通无卡支付",
            "Not set up for online payment",
            "绑定会被拒绝，并提示先到发卡行开通。",
            "Adding it is refused, and the holder is told to set it up first.",
        ],
        CardKind::Debit if card.is_empty() => [
            "没有钱的储蓄卡",
            "Debit card without money",
            "可以绑定，付款因余额不足被拒绝。",
            "Can be added; payments are refused for lack of funds.",
        ],
        CardKind::Debit if card.is_lost() => {
            ["挂失的卡", "Lost card", "银行拒绝绑定和付款。", "The bank refuses to add or charge it."]
        }
        CardKind::Debit | CardKind::Wallet => ["储蓄卡", "Debit card", "一切正常。", "Everything works."],
    };
    if zh { (title_zh, story_zh) } else { (title_en, story_en) }
}

fn line_view(line: Trans, zh: bool) -> Result<LineView, SandboxError> {
    let [kind_zh, kind_en] = match line.call {
        Call::Void => ["撤销", "Void"],
        Call::Refund => ["退货", "Refund"],
        Call::PayOut => ["代付", "Paid out"],
        _ => ["消费", "Payment"],
    };
    Ok(LineView {
        kind: if zh { kind_zh } else { kind_en },
        to_card: line.call != Call::Pay,
        query_id: line.query_id(),
        amount: yuan(line.amount_minor)?,
        minor: line.amount_minor,
        order_id: line.order_id,
        code: line.code,
        at: page::moment(line.decided_ms),
    })
}
