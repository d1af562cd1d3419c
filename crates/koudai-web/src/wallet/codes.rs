//! The payer's code (付款码): switched on and off, shown, and what a cashier's scan of it asks or came to. All state is on
//! the server, so a page that is loaded again shows where things stand.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::code_payment::{CodeFailure, ConfirmCodePayment, DeclineCodePayment};
use koudai_core::confirmation::Act;
use koudai_core::id::{OrderId, PersonId};
use koudai_core::order::OrderStanding;
use koudai_core::payer_code::{
    AuthCode, ChoosePayerMethod, IssuePayerCode, SwitchPayerCodesOff, SwitchPayerCodesOn,
};
use koudai_core::payment::Means;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Attempt, CodePayment, Order, PayerCodes, PaymentPassword};
use koudai_core::time::{MINUTE, SECOND, Timestamp};
use koudai_store::{Reader, StoreError};
use serde::Deserialize;
use serde_json::json;

use super::confirming::{by_passkey, confirmation};
use super::fields::{Fields, Sent, SentTo};
use super::pages::{CodeOffPage, CodePage, CodeRequestPage, CodeResultPage, CodeState, LastCodePayment};
use super::purse::{self, Purse};
use super::records::merchant_name;
use super::top_up::{failure, outcome};
use super::visit::Visit;
use super::{answer, barcode, confirming, passkeys};
use crate::catalogue;
use crate::say::Lang;

/// A fresh code is fetched so long before the old one ends: the cashier may just be aiming at it.
const BEFORE_END_MS: i64 = 15 * SECOND;
/// How long the page still speaks of the payment before.
const LATELY_MS: i64 = 2 * MINUTE;
/// Draws until one is no code already; two in a row never happen.
const DRAWS: usize = 4;

/// A code payment with what pages say of it.
struct Scanned {
    payment: CodePayment,
    order: Order,
    merchant: String,
}

impl Scanned {
    fn read(r: &Reader, payment: CodePayment) -> Result<Self, StoreError> {
        let order = r.get::<Order>(&payment.order)?.expect("a code payment has its order");
        let merchant = merchant_name(r, order.mchid)?;
        Ok(Self { payment, order, merchant })
    }

    fn newest(r: &Reader, person: PersonId) -> Result<Option<Self>, StoreError> {
        let newest = r.code_payments_of(person, 1)?.pop();
        newest.map(|payment| Self::read(r, payment)).transpose()
    }

    fn last(&self, now: Timestamp) -> Option<LastCodePayment> {
        let paid = match self.order.standing(now) {
            OrderStanding::Paid => true,
            OrderStanding::Failed | OrderStanding::Reversed => false,
            _ => return None,
        };
        (now.since(self.order.created_at) < LATELY_MS).then(|| LastCodePayment {
            id: self.order.id.wire(),
            merchant: self.merchant.clone(),
            amount: self.order.amount,
            paid,
        })
    }
}

pub(super) async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.settle(result)
}

async fn show(visit: &Visit) -> Result<Response, Refusal> {
    let person = visit.person()?;
    let read = visit.read(move |r| {
        let codes = r.get::<PayerCodes>(&person)?.filter(|codes| codes.on);
        Ok((codes, Scanned::newest(r, person)?, Purse::read(r, person)?))
    });
    let (codes, newest, purse) = read.await?;
    let Some(codes) = codes else {
        return if visit.json { Err(Refusal::PayerCodeOff) } else { off_page(visit, None).await };
    };
    let now = visit.now();
    // Whoever is asked is shown that first.
    let asked = newest.as_ref().filter(|newest| newest.order.standing(now) == OrderStanding::Confirming);
    if let Some(asked) = asked.filter(|_| !visit.json) {
        return Ok(answer::go(&format!("/code/{}", asked.order.id.wire())));
    }
    let (code, expires_at) = issue(visit, person).await?;
    let lives = expires_at.since(now).max(0);
    if visit.json {
        return Ok(answer::data(json!({
            "code": code.expose(),
            "expires_in_ms": lives,
            "method": purse.chosen(codes.card),
            "asked": asked.map(|asked| asked.order.id.wire()),
        })));
    }
    let grouped =
        code.expose().as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    let drawn = barcode::bars(code.expose()).zip(barcode::squares(code.expose()));
    let (bars, squares) = drawn.ok_or(Refusal::OutOfOrder)?;
    Ok(answer::ok(&CodePage {
        l: visit.l,
        digits: grouped,
        bars,
        squares,
        fresh_ms: (lives - BEFORE_END_MS).max(SECOND),
        chosen: purse.chosen(codes.card),
        methods: purse.methods(visit, None),
        after: newest.as_ref().map_or_else(String::new, |newest| newest.order.id.wire()),
        last: newest.as_ref().and_then(|newest| newest.last(now)),
    }))
}

async fn issue(visit: &Visit, person: PersonId) -> Result<(AuthCode, Timestamp), Refusal> {
    let mut outcome = Err(Refusal::NumberReused);
    for _ in 0..DRAWS {
        let random = koudai_engine::random_bytes();
        let number = u64::from_be_bytes(*random.expose().first_chunk().expect("32 bytes begin with 8"));
        let code = AuthCode::draw(number);
        outcome =
            visit.submit(IssuePayerCode { person, code: code.clone() }).await.map(|until| (code, until));
        if !matches!(outcome, Err(Refusal::NumberReused)) {
            break;
        }
    }
    outcome
}

async fn off_page(visit: &Visit, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let person = visit.person()?;
    let has_payment_password = visit.read(move |r| Ok(r.get::<PaymentPassword>(&person)?.is_some())).await?;
    let policy = visit.app.engine.policy();
    let page = CodeOffPage {
        l: visit.l,
        has_payment_password,
        unasked_most: policy.code_pays_unasked_most,
        unasked_a_day: policy.code_pays_unasked_a_day,
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

pub(super) async fn switch_on(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        let pin = fields.pin("payment_password")?;
        visit.submit(SwitchPayerCodesOn { person, pin }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go("/code"),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = off_page(&visit, Some(refusal)).await;
            visit.settle(again)
        }
    }
}

pub(super) async fn switch_off(Sent(visit, _): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        visit.submit(SwitchPayerCodesOff { person }).await?;
        Ok(if visit.json { answer::data(json!({})) } else { answer::go("/") })
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn choose(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let (person, card) = (visit.person()?, fields.method()?);
        visit.submit(ChoosePayerMethod { person, card }).await?;
        Ok(if visit.json { answer::data(json!({})) } else { answer::go("/code") })
    };
    let result = result.await;
    visit.settle(result)
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

/// Whether a code was scanned since the order a page knows of.
pub(super) async fn news(visit: Visit, Query(After { after }): Query<After>) -> Response {
    let result = async {
        let person = visit.person()?;
        let after = after.and_then(|text| OrderId::parse(&text));
        let newest = visit.read(move |r| Ok(r.code_payments_of(person, 1)?.pop())).await?;
        let news =
            newest.map(|payment| payment.order).filter(|order| after.is_none_or(|after| *order > after));
        Ok(answer::data(match news {
            Some(order) => json!({"state": "news", "go": format!("/code/{}", order.wire())}),
            None => json!({"state": "waiting"}),
        }))
    };
    let result = result.await;
    visit.settle(result)
}

/// Everything a page of one code payment shows.
struct View {
    scanned: Scanned,
    purse: Purse,
    codes: Option<PayerCodes>,
    by_passkey: bool,
    /// What it was paid with.
    method: String,
    since: Option<Timestamp>,
}

impl View {
    async fn read(visit: &Visit, name: &str) -> Result<Self, Refusal> {
        let person = visit.person()?;
        let id = OrderId::parse(name).ok_or(Refusal::RecordUnknown)?;
        let (l, passkeys) = (visit.l, !visit.json && passkeys::are_offered(visit));
        let read = visit.read(move |r| {
            let payment = r.get::<CodePayment>(&id)?.filter(|payment| payment.person == person);
            let Some(payment) = payment else { return Ok(None) };
            let scanned = Scanned::read(r, payment)?;
            let attempt = scanned.order.attempt.map(|id| r.get::<Attempt>(&id)).transpose()?.flatten();
            Ok(Some(Self {
                purse: Purse::read(r, person)?,
                codes: r.get::<PayerCodes>(&person)?,
                by_passkey: passkeys && by_passkey(r, person)?,
                method: purse::name_of(r, scanned.order.card, l)?,
                since: attempt.map(|attempt| attempt.created_at),
                scanned,
            }))
        });
        read.await?.ok_or(Refusal::RecordUnknown)
    }

    fn page(&self, visit: &Visit, chosen: Option<String>, refusal: Option<Refusal>) -> Response {
        let (l, now) = (visit.l, visit.now());
        let Scanned { payment, order, merchant } = &self.scanned;
        let (id, amount, order_no) = (order.id.wire(), order.amount, order.out_trade_no.to_string());
        let merchant = merchant.clone();
        let state = match order.standing(now) {
            OrderStanding::Confirming => {
                let refusal = refusal.or_else(|| payment.failure.and_then(card_refusal));
                let left_s = u32::try_from((order.expires_at.since(now) / SECOND).max(1)).unwrap_or(1);
                let page = CodeRequestPage {
                    l,
                    id,
                    merchant,
                    description: order.description.to_string(),
                    amount,
                    order_no,
                    methods: self.purse.methods(visit, Some(amount)),
                    chosen: chosen.or_else(|| self.codes.as_ref().map(|codes| self.purse.chosen(codes.card))),
                    left_s,
                    by_passkey: self.by_passkey,
                    refused: refusal.map(|r| answer::refused(visit, r)),
                };
                return answer::page(refusal.map_or(StatusCode::OK, answer::status), &page);
            }
            OrderStanding::Paying => CodeState::Pending { since: self.since.unwrap_or(order.created_at) },
            OrderStanding::Paid | OrderStanding::Refunded => {
                CodeState::Paid { method: self.method.clone(), at: order.paid_at.unwrap_or(now) }
            }
            OrderStanding::Reversed => CodeState::Reversed(reversed_money(order, l)),
            OrderStanding::Failed
            | OrderStanding::Payable
            | OrderStanding::Closed
            | OrderStanding::Expired => {
                let (why, next) = why_failed(payment.failure, l);
                CodeState::Failed(why, next)
            }
        };
        answer::ok(&CodeResultPage { l, id, merchant, amount, order_no, state })
    }

    fn json(&self, visit: &Visit) -> serde_json::Value {
        let Scanned { payment, order, merchant } = &self.scanned;
        let standing = order.standing(visit.now());
        let mut value = json!({
            "state": word(standing),
            "merchant": merchant,
            "description": &*order.description,
            "amount": answer::money(order.amount),
            "order_no": &*order.out_trade_no,
            "methods": self.purse.methods_json(visit, order.amount),
        });
        if order.paid_at.is_some() {
            value["record"] = format!("/records/{}", order.id.wire()).into();
        }
        if let Some(failure) = payment.failure {
            value["failure"] = failure.word().into();
        }
        value
    }
}

/// How a code payment stands, in the words of `GET /pay/{token}` where they fit.
const fn word(standing: OrderStanding) -> &'static str {
    match standing {
        OrderStanding::Confirming => "payable",
        OrderStanding::Paying => "pending",
        OrderStanding::Paid | OrderStanding::Refunded => "paid",
        OrderStanding::Reversed => "reversed",
        OrderStanding::Failed | OrderStanding::Payable | OrderStanding::Closed | OrderStanding::Expired => {
            "failed"
        }
    }
}

/// Why another way has to be chosen.
const fn card_refusal(failure: CodeFailure) -> Option<Refusal> {
    match failure {
        CodeFailure::CardInsufficientFunds => Some(Refusal::CardInsufficientFunds),
        CodeFailure::CardNotUsable => Some(Refusal::CardNotUsable),
        CodeFailure::BankRefused => Some(Refusal::BankRefused),
        CodeFailure::BankUnavailable => Some(Refusal::BankUnavailable),
        CodeFailure::InsufficientBalance | CodeFailure::AccountFrozen | CodeFailure::Declined => None,
    }
}

/// Why nothing was paid, and what to do. What is a refusal elsewhere is said in its words.
fn why_failed(failure: Option<CodeFailure>, l: Lang) -> (String, &'static str) {
    let again = l.say("如仍要付款，请重新出示付款码", "To pay after all, show your pay code again");
    let other = l.say("请换一种支付方式后重新出示付款码", "Choose another method and show your code again");
    let said = |zh, en| l.say(zh, en).to_owned();
    let title = |refusal| catalogue::wording(refusal, l).title;
    match failure {
        Some(CodeFailure::InsufficientBalance) => (said("零钱不足", "Not enough balance"), other),
        Some(CodeFailure::CardInsufficientFunds) => (title(Refusal::CardInsufficientFunds), other),
        Some(CodeFailure::CardNotUsable) => (title(Refusal::CardNotUsable), other),
        Some(CodeFailure::BankRefused) => (title(Refusal::BankRefused), other),
        Some(CodeFailure::BankUnavailable) => (title(Refusal::BankUnavailable), other),
        Some(CodeFailure::AccountFrozen) => {
            let frozen = catalogue::wording(Refusal::AccountFrozen, l);
            (frozen.title, frozen.next)
        }
        Some(CodeFailure::Declined) => (said("你没有付款", "You did not pay"), again),
        None => (said("未在时限内确认", "Not confirmed in time"), again),
    }
}

/// What becomes of the money of a payment that was taken back.
const fn reversed_money(order: &Order, l: Lang) -> &'static str {
    match (order.paid_at.is_some(), order.card.is_some()) {
        (true, false) => l.say("款项已退回零钱", "The money is back in your balance"),
        (true, true) => l.say(
            "款项将退回付款的银行卡，银行通常 1-3 个工作日入账",
            "The money goes back to your card, usually in 1-3 working days",
        ),
        (false, true) => l.say(
            "正在通知银行取消；如已扣款会自动原路退回",
            "Your bank is being told; if it did charge you, the money comes back by itself",
        ),
        (false, false) => l.say("未扣款", "Not charged"),
    }
}

pub(super) async fn order(visit: Visit, Path(name): Path<String>) -> Response {
    let result = View::read(&visit, &name).await;
    visit.settle(
        result.map(
            |view| {
                if visit.json { answer::data(view.json(&visit)) } else { view.page(&visit, None, None) }
            },
        ),
    )
}

pub(super) async fn confirm(Path(name): Path<String>, Sent(visit, fields): Sent) -> Response {
    let refusal = match submit(&visit, &fields, &name).await {
        // From here on the payment is on record: no error of a page's may read as a refusal.
        Ok(order) if visit.json => {
            let state = word(order.standing(visit.now()));
            let seen = View::read(&visit, &name).await;
            return answer::data(seen.map_or_else(|_| json!({ "state": state }), |view| view.json(&visit)));
        }
        Ok(_) => return answer::go(&format!("/code/{name}")),
        Err(refusal) => refusal,
    };
    if visit.json || refusal == Refusal::SignedOut {
        return visit.refuse(refusal);
    }
    match View::read(&visit, &name).await {
        Ok(view) => view.page(&visit, fields.get("method").map(str::to_owned), Some(refusal)),
        Err(_) => visit.refuse(refusal),
    }
}

async fn submit(visit: &Visit, fields: &Fields, name: &str) -> Result<Order, Refusal> {
    let person = visit.person()?;
    let order = OrderId::parse(name).ok_or(Refusal::OrderUnknown)?;
    let (card, confirmed) = (fields.method()?, confirmation(visit, fields).await?);
    let mut events = visit.app.engine.events();
    let taken = visit.submit(ConfirmCodePayment { person, order, card, confirmed }).await?;
    tracing::info!(order = name, state = taken.state.word(), reference = visit.reference, "confirm");
    if let Some(attempt) = taken.attempt {
        let attempt = outcome(visit, &mut events, attempt).await;
        if let Some(refusal) = attempt.as_ref().and_then(|attempt| failure(visit, attempt)) {
            return Err(refusal);
        }
    }
    Ok(taken)
}

/// `POST /code/{order}/passkey`: what to have a passkey confirm this payment with.
pub(super) async fn passkey(SentTo(visit, fields, name): SentTo) -> Response {
    let result = async {
        let view = View::read(&visit, &name).await?;
        let means = Means::of(fields.method()?);
        confirming::options(&visit, &Act::pay(&view.scanned.order, &means)).await
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn decline(Path(name): Path<String>, Sent(visit, _): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        let order = OrderId::parse(&name).ok_or(Refusal::OrderUnknown)?;
        visit.submit(DeclineCodePayment { person, order }).await?;
        Ok(if visit.json { answer::data(json!({})) } else { answer::go(&format!("/code/{name}")) })
    };
    let result = result.await;
    visit.settle(result)
}
