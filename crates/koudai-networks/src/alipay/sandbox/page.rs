//! Its pages for people: who they are and what happened last, where they pay, and where they say who they are.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use koudai_core::money::Money;
use koudai_core::time::Timestamp;
use reqwest::Url;
use rusqlite::Transaction;
use serde::Deserialize;

use super::papers::{APP_ID, SELLER};
use super::people::{self, BARRED, EMPTY, SLOW};
use super::person::{self, Act};
use super::store::{self, State as Stands, Trade};
use super::{House, SandboxAlipay};
use crate::alipay::fields::Fields;
use crate::alipay::signing;
use crate::alipay::wire::{self, moment};
use crate::returning::with_parameters;
use crate::sandbox::page::{self, yuan};
use crate::sandbox::{SandboxError, chinese};

/// Payments on the page.
const LINES: i64 = 20;
/// The longest address that somebody is sent back to, in bytes.
const MOST_ADDRESS: usize = 2_048;

/// One of its people.
struct PersonView {
    no: i64,
    name: String,
    user_id: String,
    available: String,
    story: &'static str,
    odd: bool,
}

struct LineView {
    number: String,
    trade_no: String,
    status: &'static str,
    amount: String,
    minor: i64,
    at: String,
}

#[derive(Template)]
#[template(path = "alipay.html")]
struct Home {
    zh: bool,
    name: &'static str,
    people: Vec<PersonView>,
    lines: Vec<LineView>,
}

#[derive(Template)]
#[template(path = "alipay-pay.html")]
struct PayPage {
    zh: bool,
    name: &'static str,
    code: String,
    subject: String,
    amount: String,
    minor: i64,
    /// Who may pay; empty if nobody can any more.
    people: Vec<PersonView>,
    /// How it ended, or why the last try did nothing.
    said: Option<&'static str>,
    paid: bool,
}

#[derive(Template)]
#[template(path = "alipay-authorise.html")]
struct AuthorisePage {
    zh: bool,
    name: &'static str,
    app_id: String,
    redirect_uri: String,
    state: String,
    people: Vec<PersonView>,
}

/// What the pages of its own need beside the sandboxes' style.
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("../../../templates/alipay.css")).into_response()
}

const fn name(zh: bool) -> &'static str {
    if zh { "沙盒支付宝" } else { "Sandbox Alipay" }
}

fn person_view(tx: &Transaction<'_>, person: i64, zh: bool) -> Result<PersonView, SandboxError> {
    let (story_zh, story_en) = match person {
        SLOW => ("提现到账要等 3 秒。", "Paid out to after 3 s."),
        EMPTY => ("没有钱。", "Has no money."),
        BARRED => ("账户被冻结。", "Account barred."),
        _ => ("", ""),
    };
    Ok(PersonView {
        no: person,
        name: people::name_of(person),
        user_id: people::user_id(person),
        available: yuan(store::funds(tx, person)?)?,
        story: if zh { story_zh } else { story_en },
        odd: matches!(person, SLOW | EMPTY | BARRED),
    })
}

/// Those that are offered first: a few, and who does something other than succeed.
fn some() -> impl Iterator<Item = i64> {
    people::all().filter(|person| *person <= 4 || matches!(*person, SLOW | EMPTY | BARRED))
}

/// The page at `/`.
pub(super) async fn home(State(sandbox): State<SandboxAlipay>, headers: HeaderMap) -> Response {
    let zh = chinese(&headers);
    let found = sandbox.run(move |tx, _| {
        let people = some().map(|person| person_view(tx, person, zh)).collect::<Result<Vec<_>, _>>()?;
        let which = "state <> 'open' ORDER BY trade DESC LIMIT ?1";
        let lines = store::trades(tx, which, &[&LINES])?.into_iter().map(|trade| {
            Ok(LineView {
                trade_no: trade.trade_no(),
                status: status(&trade, zh),
                amount: yuan(trade.amount_minor)?,
                minor: trade.amount_minor,
                at: page::moment(trade.paid_ms.unwrap_or(trade.created_ms)),
                number: trade.out_trade_no,
            })
        });
        Ok((people, lines.collect::<Result<Vec<_>, SandboxError>>()?))
    });
    let page = found.await.and_then(|(people, lines)| {
        let page = Home { zh, name: name(zh), people, lines };
        page.render().map_err(|_| SandboxError::Corrupt("the page"))
    });
    page::shown(page)
}

fn status(trade: &Trade, zh: bool) -> &'static str {
    let [word_zh, word_en] = match trade.state {
        Stands::Open | Stands::Waiting => ["待付", "Waiting"],
        Stands::Paid if trade.returned_minor == trade.amount_minor => ["已退", "Returned"],
        Stands::Paid => ["已付", "Paid"],
        Stands::Closed => ["关闭", "Closed"],
    };
    if zh { word_zh } else { word_en }
}

/// Why something was not done, for whoever tried.
fn why(refusal: &str, zh: bool) -> &'static str {
    let [why_zh, why_en] = match refusal {
        "ACQ.BUYER_BALANCE_NOT_ENOUGH" => {
            ["余额不足，换一个人付。", "Not enough money; have somebody else pay."]
        }
        "ACQ.BUYER_ENABLE_STATUS_FORBID" => ["这个账户被冻结了。", "This account is barred."],
        "ACQ.TRADE_BUYER_NOT_MATCH" => ["这笔付款是另一个人的。", "This payment is somebody else's."],
        _ => ["这笔付款已经结束。", "This payment is over."],
    };
    if zh { why_zh } else { why_en }
}

/// The page where a payment is agreed to.
pub(super) async fn pay(
    State(sandbox): State<SandboxAlipay>,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Response {
    shown(&sandbox, code, None, chinese(&headers)).await
}

async fn shown(sandbox: &SandboxAlipay, code: String, refused: Option<&'static str>, zh: bool) -> Response {
    let found = sandbox.run(move |tx, house| {
        let now = house.now_ms();
        let Some(trade) = store::trade_of_code(tx, now, &code)? else { return Ok(None) };
        let over = matches!(trade.state, Stands::Paid | Stands::Closed) || trade.expires_ms <= now;
        let may: Vec<i64> = match trade.person {
            _ if over => vec![],
            Some(person) => vec![person],
            None => some().collect(),
        };
        let people =
            may.into_iter().map(|person| person_view(tx, person, zh)).collect::<Result<Vec<_>, _>>()?;
        let paid = trade.state == Stands::Paid;
        let ended = over.then_some(match (paid, zh) {
            (true, true) => "付款成功",
            (true, false) => "Paid",
            (false, true) => "这笔付款已经结束，没有扣钱。",
            (false, false) => "This payment is over; nothing was taken.",
        });
        let said = ended.or_else(|| refused.map(|refusal| why(refusal, zh)));
        let (subject, minor) = (trade.subject, trade.amount_minor);
        let amount = yuan(minor)?;
        Ok(Some(PayPage { zh, name: name(zh), code, subject, amount, minor, people, said, paid }))
    });
    match found.await {
        Ok(None) => (StatusCode::NOT_FOUND, "There is no such payment.").into_response(),
        Ok(Some(page)) => page::shown(page.render().map_err(|_| SandboxError::Corrupt("the page"))),
        Err(error) => page::shown(Err(error)),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    person: i64,
    act: Act,
}

/// What a person does on that page.
pub(super) async fn answer(
    State(sandbox): State<SandboxAlipay>,
    Path(code): Path<String>,
    headers: HeaderMap,
    Form(answer): Form<Answer>,
) -> Response {
    let of = code.clone();
    let acted = sandbox.run(move |tx, house| {
        let Some(mut trade) = store::trade_of_code(tx, house.now_ms(), &of)? else { return Ok(Ok(None)) };
        let acted = person::act(tx, house, &mut trade, answer.person, answer.act)?;
        Ok(acted.map(|()| back(house, &trade)))
    });
    match acted.await {
        Ok(Ok(Some(address))) => Redirect::to(&address).into_response(),
        // The answer is a page of its own: reloaded, it asks nothing again.
        Ok(Ok(None)) => Redirect::to(&format!("/pay/{code}")).into_response(),
        Ok(Err(refused)) => shown(&sandbox, code, Some(refused), chinese(&headers)).await,
        Err(error) => page::shown(Err(error)),
    }
}

/// Where somebody goes who came from a phone's browser, with what is told there, signed.
fn back(house: &House, trade: &Trade) -> Option<String> {
    let url: Url = trade.return_url.parse().ok().filter(|_| !trade.return_url.is_empty())?;
    if trade.state != Stands::Paid {
        return Some(url.into());
    }
    let amount = wire::yuan(Money::fen(trade.amount_minor).ok()?);
    let mut fields = Fields::of(&[
        ("app_id", APP_ID),
        ("auth_app_id", APP_ID),
        ("seller_id", SELLER),
        ("method", "alipay.trade.wap.pay.return"),
        ("charset", "utf-8"),
        ("version", "1.0"),
        ("out_trade_no", &trade.out_trade_no),
        ("trade_no", &trade.trade_no()),
        ("total_amount", &amount),
        ("timestamp", &moment(Timestamp(house.now_ms()))),
    ]);
    let papers = house.papers();
    let newest = papers.newest();
    signing::sign_notice(&mut fields, if trade.certificates { &newest.certified } else { &newest.key });
    let pairs: Vec<(&str, &str)> = fields.iter().collect();
    Some(with_parameters(url, &pairs).into())
}

#[derive(Debug, Deserialize)]
pub(super) struct Cashier {
    #[serde(rename = "tradeNO")]
    trade_no: String,
}

/// The page of a payment by its number, which is what a page inside the app knows of it.
pub(super) async fn cashier(State(sandbox): State<SandboxAlipay>, Query(of): Query<Cashier>) -> Response {
    let found = sandbox.run(move |tx, house| store::trade_of_no(tx, house.now_ms(), &of.trade_no)).await;
    match found {
        Ok(Some(trade)) => Redirect::to(&format!("/pay/{}", trade.code)).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "There is no such payment.").into_response(),
        Err(error) => page::shown(Err(error)),
    }
}

/// What the app asks for when it sends somebody to say who they are.
#[derive(Debug, Deserialize)]
pub(super) struct Authorise {
    app_id: String,
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
}

/// Where somebody is sent back to, if that is an address a browser can go to.
fn way_back(address: &str) -> Option<Url> {
    let url: Url = (address.len() <= MOST_ADDRESS).then(|| address.parse().ok())??;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// The page where a person says who they are.
pub(super) async fn authorise(
    State(sandbox): State<SandboxAlipay>,
    Query(asked): Query<Authorise>,
    headers: HeaderMap,
) -> Response {
    let zh = chinese(&headers);
    let fine = asked.app_id == APP_ID && matches!(asked.scope.as_str(), "auth_base" | "auth_user");
    if !fine || way_back(&asked.redirect_uri).is_none() {
        return (StatusCode::BAD_REQUEST, "app_id, scope or redirect_uri is not right").into_response();
    }
    let people = sandbox.run(move |tx, _| some().map(|person| person_view(tx, person, zh)).collect());
    let page = people.await.and_then(|people: Vec<PersonView>| {
        let Authorise { app_id, redirect_uri, state, .. } = asked;
        let page = AuthorisePage { zh, name: name(zh), app_id, redirect_uri, state, people };
        page.render().map_err(|_| SandboxError::Corrupt("the page"))
    });
    page::shown(page)
}

#[derive(Debug, Deserialize)]
pub(super) struct Authorised {
    app_id: String,
    redirect_uri: String,
    #[serde(default)]
    state: String,
    person: i64,
}

/// A person has said who they are: they go back with a code.
pub(super) async fn authorised(
    State(sandbox): State<SandboxAlipay>,
    Form(said): Form<Authorised>,
) -> Response {
    let known = people::all().any(|person| person == said.person) && said.app_id == APP_ID;
    let Some(url) = way_back(&said.redirect_uri).filter(|_| known) else {
        return (StatusCode::BAD_REQUEST, "app_id, person or redirect_uri is not right").into_response();
    };
    let fresh = sandbox.run(move |tx, house| person::fresh(tx, house.now_ms(), "known", said.person));
    match fresh.await {
        Ok(code) => {
            let parameters = [
                ("app_id", APP_ID),
                ("source", "alipay_wallet"),
                ("scope", "auth_base"),
                ("auth_code", code.as_str()),
                ("state", said.state.as_str()),
            ];
            let address = with_parameters(url, &parameters).to_string();
            ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&address)).into_response()
        }
        Err(error) => page::shown(Err(error)),
    }
}
