//! A merchant's printed code: who opened it says how much. A person with a session goes on to the payment page; somebody without
//! one, inside an app that the operator has a contract with, pays there as a guest; all others are told which apps work.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::id::{CardId, PersonId};
use koudai_core::money::Money;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Card, Merchant, StaticCode};
use koudai_core::static_code::{AtCode, MOST_TEXT, PlaceAtCode, SourceId};
use koudai_networks::platform::{parse_token, token_text};
use serde_json::json;

use super::answer;
use super::barcode::squares;
use super::cards::fresh_number;
use super::elsewhere::{GuestAt, to_be_asked, works_inside};
use super::fields::{Fields, SentTo};
use super::pages::{StaticAppsPage, StaticCodePage, StaticSheetPage};
use super::pay::first_time;
use super::purse::{left_of, name_of};
use super::visit::Visit;

/// A code that is in use, and whose it is.
struct Opened {
    code: StaticCode,
    merchant: Merchant,
}

impl Opened {
    async fn find(visit: &Visit, name: &str) -> Result<Self, Refusal> {
        let token = parse_token(name).ok_or(Refusal::CodeNotOurs)?;
        let read = visit.read(move |r| {
            let Some(code) = r.get::<StaticCode>(&token)? else { return Ok(None) };
            let merchant = r.get::<Merchant>(&code.mchid)?.expect("a code has its merchant");
            Ok(Some(Self { code, merchant }))
        });
        let opened = read.await?.ok_or(Refusal::CodeNotOurs)?;
        if opened.code.revoked_at.is_some() {
            return Err(Refusal::CodeRevoked);
        }
        Ok(opened)
    }

    /// What the code's picture holds.
    fn link(&self, visit: &Visit) -> String {
        let Self { code, .. } = self;
        visit.app.networks.platform.static_code_url(&visit.app.origin, &code.token, code.mchid)
    }

    fn drawn(&self, visit: &Visit) -> Result<String, Refusal> {
        squares(&self.link(visit)).ok_or(Refusal::OutOfOrder)
    }
}

/// Who is at a code.
enum Payer<'a> {
    Person(PersonId),
    Guest(GuestAt<'a>),
}

impl<'a> Payer<'a> {
    fn of(visit: &'a Visit) -> Option<Self> {
        match visit.person() {
            Ok(person) => Some(Self::Person(person)),
            Err(_) => GuestAt::find(visit).map(Self::Guest),
        }
    }

    /// What they most likely pay with: what they paid with last, or the balance. A guest has one thing, from when they first pay.
    async fn source(&self, visit: &Visit) -> Result<Option<(PersonId, Option<CardId>)>, Refusal> {
        match self {
            Self::Guest(guest) => {
                let known = guest.known(visit).await?;
                Ok(known.map(|(guest, card)| (guest, Some(card))))
            }
            Self::Person(person) => {
                let (person, last) = (*person, visit.last_method.as_deref().and_then(CardId::parse));
                let card = match last {
                    Some(card) => visit.read(move |r| r.get::<Card>(&card)).await?,
                    None => None,
                };
                let card = card.filter(|card| card.person == person && card.removed_at.is_none());
                Ok(Some((person, card.map(|card| card.id))))
            }
        }
    }
}

/// `GET /s/{token}`.
pub(super) async fn open(visit: Visit, Path(name): Path<String>) -> Response {
    let result = page(&visit, &name, None, None).await;
    visit.settle(result)
}

async fn page(
    visit: &Visit,
    name: &str,
    fields: Option<&Fields>,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let opened = Opened::find(visit, name).await?;
    if visit.person().is_err()
        && !visit.json
        && let Some(path) = to_be_asked(visit)
    {
        return Ok(answer::go(&path));
    }
    let payer = Payer::of(visit);
    let most = visit.app.engine.policy().static_day_most;
    let source = match &payer {
        Some(payer) => payer.source(visit).await?,
        None => None,
    };
    let (now, l, mchid) = (visit.now(), visit.l, opened.code.mchid);
    let (left, from, first_time) = match source {
        None => (most, None, true),
        Some((person, card)) => {
            let read = visit.read(move |r| {
                let left = left_of(r, SourceId::of(person, card), most, now)?;
                Ok((left, Some(name_of(r, card, l)?), first_time(r, person, mchid)?))
            });
            read.await?
        }
    };
    let Opened { code, merchant } = &opened;
    if visit.json {
        return Ok(answer::data(json!({
            "merchant": merchant.name,
            "label": code.label,
            "can_pay": payer.is_some(),
            "day_most": answer::money(most),
            "day_left": answer::money(left),
        })));
    }
    let Some(payer) = payer else { return apps_page(visit, name, &opened) };
    let text =
        |name: &str| fields.map_or_else(String::new, |f| f.text(name).chars().take(MOST_TEXT).collect());
    let number = fields.and_then(|fields| fields.number("number").ok());
    let page = StaticCodePage {
        l,
        code: name.to_owned(),
        merchant: merchant.name.clone(),
        label: code.label.clone(),
        verified: true,
        first_time,
        // What was refused made no order; sent again with another amount, it is the same try.
        number: number.unwrap_or_else(fresh_number),
        amount: text("amount"),
        note: text("note"),
        left,
        from,
        guest: match &payer {
            Payer::Guest(guest) => Some(guest.app(visit)),
            Payer::Person(_) => None,
        },
        refused: refusal.map(|refusal| answer::refused(visit, refusal)),
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

/// For whoever cannot pay from here: which apps can.
fn apps_page(visit: &Visit, name: &str, opened: &Opened) -> Result<Response, Refusal> {
    Ok(answer::ok(&StaticAppsPage {
        l: visit.l,
        code: name.to_owned(),
        merchant: opened.merchant.name.clone(),
        label: opened.code.label.clone(),
        verified: true,
        apps: works_inside(visit),
        drawn: opened.drawn(visit)?,
    }))
}

/// `POST /s/{token}`: makes the order, and for a guest has their wallet ask for it.
pub(super) async fn place(SentTo(visit, fields, name): SentTo) -> Response {
    match placed(&visit, &fields, &name).await {
        Ok(path) if visit.json => answer::data(json!({ "pay": path })),
        Ok(path) => answer::go(&path),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = page(&visit, &name, Some(&fields), Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// The page of the order.
async fn placed(visit: &Visit, fields: &Fields, name: &str) -> Result<String, Refusal> {
    let payer = Payer::of(visit).ok_or(Refusal::SignedOut)?;
    let code = parse_token(name).ok_or(Refusal::CodeNotOurs)?;
    let said = AtCode {
        code,
        device: token_text(&code),
        amount: fields.amount("amount")?,
        note: note(fields.text("note"))?,
        number: fields.number("number")?,
    };
    let (page, order) = match payer {
        Payer::Person(person) => ("pay", visit.submit(PlaceAtCode { person, said }).await?),
        Payer::Guest(guest) => ("guest", guest.pay(visit, said).await?),
    };
    Ok(format!("/{page}/{}", token_text(&order.code)))
}

/// What a payer says to the merchant, if anything.
fn note(text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    let fine = text.chars().count() <= MOST_TEXT && !text.contains(char::is_control);
    if fine { Ok((!text.is_empty()).then(|| text.to_owned())) } else { Err(Refusal::RequestMalformed) }
}

/// `GET /s/{token}/sheet`: the code on paper.
pub(super) async fn sheet(visit: Visit, Path(name): Path<String>) -> Response {
    let result = async {
        let opened = Opened::find(&visit, &name).await?;
        let most: Money = visit.app.engine.policy().static_day_most;
        Ok(answer::ok(&StaticSheetPage {
            l: visit.l,
            code: name.clone(),
            drawn: opened.drawn(&visit)?,
            merchant: opened.merchant.name,
            label: opened.code.label,
            operator: visit.l.operator(&visit.app.operator).to_owned(),
            apps: works_inside(&visit).into_iter().map(|app| app.name).collect(),
            most,
        }))
    };
    let result = result.await;
    visit.settle(result)
}
