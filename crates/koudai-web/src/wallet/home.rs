//! The first page, and pages that inform.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use koudai_core::ledger::{AccountId, standing};
use koudai_core::money::{Currency, Money};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Balance, PaymentPassword};
use koudai_networks::network::Network as _;
use koudai_store::{Reader, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bills::{self, Begin};
use super::pages::{HomePage, Protected, StatusPage, TermsPage};
use super::sign_in::{own_path, set_cookie};
use super::visit::{LANGUAGE, Visit};
use super::{answer, records, transfers};
use crate::bills::Day;
use crate::say::Lang;

/// How many records the first page shows.
const RECENT: usize = 3;

/// How many transfers that wait the first page shows.
const WAITING: usize = 2;

/// What a person's account stands at.
pub(super) fn balance(reader: &Reader, account: AccountId) -> Result<Money, StoreError> {
    money(reader.balance(account)?.as_ref())
}

/// What an account stands at by its row; nothing if it never moved.
fn money(row: Option<&Balance>) -> Result<Money, StoreError> {
    let Some(b) = row else { return Ok(Money::zero(Currency::Cny)) };
    let wrong =
        |_| StoreError::Corrupt { table: "balance", what: format!("account {}: below zero", b.account.0) };
    standing(b.account, b.debits_minor, b.credits_minor, b.currency).map_err(wrong)
}

pub(super) async fn home(visit: Visit) -> Response {
    let result = async {
        let person = visit.person_row().await?;
        let id = person.id;
        let (l, json, now) = (visit.l, visit.json, visit.now());
        let protected = Protected::of(&person, now, &visit.app.engine.policy().safety);
        let (balance, recent, cards, has_payment_password, mut waiting) = visit
            .read(move |r| {
                // The lines beside the balance are those that make it up, whatever is committed meanwhile.
                let row = r.balance(AccountId::person(id))?;
                let lines = || bills::read_page(r, id, row.as_ref(), Begin::Newest, l).map(|page| page.lines);
                let recent = if json { vec![] } else { lines()? };
                let password = r.get::<PaymentPassword>(&id)?.is_some();
                let waiting = transfers::waiting(r, id, now, WAITING + 1)?;
                Ok((money(row.as_ref())?, recent, r.cards_of(id)?, password, waiting))
            })
            .await?;
        if visit.json {
            let cards: Vec<_> = cards.iter().map(|c| answer::card_json(c, visit.l)).collect();
            let waiting: Vec<_> = waiting.iter().map(transfers::line_json).collect();
            return Ok(answer::data(json!({
                "balance": answer::money(balance),
                "phone": person.phone.masked(),
                "cards": cards,
                "has_payment_password": has_payment_password,
                "protected_until_ms": protected.map(|protected| protected.cool_down.until().0),
                "transfers": waiting,
            })));
        }
        let more_transfers = waiting.len() > WAITING;
        waiting.truncate(WAITING);
        Ok(answer::ok(&HomePage {
            l: visit.l,
            protected,
            phone: person.phone.masked(),
            balance,
            cards: cards.len(),
            has_payment_password,
            transfers: waiting,
            more_transfers,
            refund: None,
            recent: recent.into_iter().take(RECENT).collect(),
        }))
    };
    let result = result.await;
    visit.settle(result)
}

#[derive(Deserialize)]
pub(super) struct Back {
    back: Option<String>,
}

pub(super) async fn language(visit: Visit, Path(lang): Path<String>, Query(query): Query<Back>) -> Response {
    if Lang::from_code(&lang).is_none() {
        return visit.refuse(Refusal::RecordUnknown);
    }
    let mut response = answer::go(own_path(query.back.as_deref()).as_deref().unwrap_or("/"));
    let secure = if visit.app.secure { "; Secure" } else { "" };
    set_cookie(&mut response, &format!("{LANGUAGE}={lang}; Path=/; Max-Age=31536000; SameSite=Lax{secure}"));
    response
}

pub(super) async fn terms(visit: Visit) -> Response {
    answer::ok(&TermsPage { l: visit.l, operator: visit.l.operator(&visit.app.operator).to_owned() })
}

#[derive(Deserialize)]
pub(super) struct About {
    record: Option<String>,
}

/// How far each network's books were compared with ours, and what of it is open. Nothing while the ledger cannot be read: how
/// the wallet stands is said all the same.
async fn reconciled(visit: &Visit) -> Value {
    let networks: Vec<_> =
        visit.app.networks.outside.all().map(|(id, line)| (id, line.name().to_owned())).collect();
    let read = visit.app.engine.read(move |r| {
        let mut each = serde_json::Map::new();
        for (id, name) in networks {
            let newest = r.reconciliations(id, 1)?.pop().map(|row| Day::from_number(row.key.day).to_string());
            each.insert(name, json!({ "day": newest, "open": r.differences_open(id)? }));
        }
        Ok(Value::Object(each))
    });
    read.await.unwrap_or_default()
}

pub(super) async fn status(visit: Visit, Query(query): Query<About>) -> Response {
    let networks = &visit.app.networks;
    let messages_up = networks.health.messages_up();
    let bank_up = networks.outside.all().all(|(_, line)| line.is_up());
    // A process that stands by for another says so to whoever shares out the requests.
    let wallet_up = visit.app.engine.is_owner();
    let status = if wallet_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if visit.json {
        let word = |up| if up { "up" } else { "down" };
        let wallet = if wallet_up { "up" } else { "standby" };
        let each: serde_json::Map<_, _> = networks
            .outside
            .all()
            .map(|(_, line)| (line.name().to_owned(), word(line.is_up()).into()))
            .collect();
        let parts = json!({
            "wallet": wallet,
            "bank": word(bank_up),
            "networks": each,
            "messages": word(messages_up),
            "reconciled": reconciled(&visit).await,
        });
        return (status, answer::data(parts)).into_response();
    }
    let about = match (visit.person(), query.record) {
        (Ok(person), Some(id)) => records::asked_about(&visit, person, id).await.ok().flatten(),
        _ => None,
    };
    let page = StatusPage {
        l: visit.l,
        operator: visit.l.operator(&visit.app.operator).to_owned(),
        contact: visit.app.contact.as_deref().map(str::to_owned),
        about,
        wallet_up,
        bank_up,
        messages_up,
        at: visit.now(),
    };
    answer::page(status, &page)
}
