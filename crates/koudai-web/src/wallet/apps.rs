//! Other apps that a person lets take money from their balance: which they are, how much they may take, and their end. How
//! one comes to be let stands in `issuing`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::id::{AgreementId, PersonId};
use koudai_core::issuing::{RevokeAgreement, SetAgreementLimits, account_number};
use koudai_core::money::Money;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Agreement, AgreementState, Identity, IssuingApp};
use koudai_core::time::Timestamp;
use koudai_store::{Reader, StoreError};
use serde_json::{Value, json};

use super::answer;
use super::fields::{Fields, SentTo};
use super::pages::{AppEndPage, AppLine, AppPage, AppsPage};
use super::visit::Visit;
use crate::say::Lang;

/// An agreement as it stands at a moment, with the app it is with.
fn line(reader: &Reader, agreement: &Agreement, now: Timestamp, l: Lang) -> Result<AppLine, StoreError> {
    let app = reader.get::<IssuingApp>(&agreement.app)?.expect("an agreement has its app");
    Ok(AppLine {
        id: agreement.id.wire(),
        name: l.say(&app.name_zh, &app.name_en).to_owned(),
        lasts: agreement.state == AgreementState::Bound,
        per_payment: agreement.per_payment,
        per_day: agreement.per_day,
        used_today: agreement.used_on(now),
        since: agreement.bound_at.unwrap_or(agreement.created_at),
        ended: agreement.ended_at,
    })
}

fn line_json(line: &AppLine) -> Value {
    json!({
        "id": line.id,
        "name": line.name,
        "state": if line.lasts { "bound" } else { "ended" },
        "per_payment": answer::money(line.per_payment),
        "per_day": answer::money(line.per_day),
        "used_today": answer::money(line.used_today),
        "since_ms": line.since.0,
    })
}

pub(super) async fn list(visit: Visit) -> Response {
    let result = async {
        let person = visit.person_row().await?;
        let (id, now, l) = (person.id, visit.now(), visit.l);
        let (lines, proven) = visit
            .read(move |r| {
                let agreements = r.agreements_of(id)?;
                let lines = agreements.iter().map(|a| line(r, a, now, l)).collect::<Result<Vec<_>, _>>()?;
                Ok((lines, r.get::<Identity>(&id)?.is_some()))
            })
            .await?;
        let number = account_number(visit.app.engine.policy().account_bin, &person.phone);
        if visit.json {
            let apps: Vec<_> = lines.iter().map(line_json).collect();
            return Ok(answer::data(json!({"account_number": number, "apps": apps})));
        }
        Ok(answer::ok(&AppsPage { l, number, proven, lines }))
    };
    let result = result.await;
    visit.settle(result)
}

/// One of the person's own agreements.
async fn own(visit: &Visit, id: &str) -> Result<(PersonId, AgreementId, AppLine), Refusal> {
    let person = visit.person()?;
    let id = AgreementId::parse(id).ok_or(Refusal::RecordUnknown)?;
    let (now, l) = (visit.now(), visit.l);
    let found = visit.read(move |r| {
        let known = |a: &Agreement| matches!(a.state, AgreementState::Bound | AgreementState::Ended);
        let agreement = r.get::<Agreement>(&id)?.filter(|a| a.person == Some(person) && known(a));
        agreement.map(|agreement| line(r, &agreement, now, l)).transpose()
    });
    Ok((person, id, found.await?.ok_or(Refusal::RecordUnknown)?))
}

pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Response {
    let result = own(&visit, &id).await.map(|(_, _, line)| {
        if visit.json { answer::data(line_json(&line)) } else { app_page(&visit, line, None, None) }
    });
    visit.settle(result)
}

fn app_page(visit: &Visit, line: AppLine, typed: Option<&Fields>, refusal: Option<Refusal>) -> Response {
    let text = |name: &str, now: Money| match typed {
        Some(fields) => fields.text(name).chars().take(20).collect(),
        None => now.to_string(),
    };
    let page = AppPage {
        l: visit.l,
        per_payment: text("per_payment", line.per_payment),
        per_day: text("per_day", line.per_day),
        most: visit.app.engine.policy().agreement_most,
        line,
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
}

pub(super) async fn set_limits(SentTo(visit, fields, id): SentTo) -> Response {
    let (person, agreement, line) = match own(&visit, &id).await {
        Ok(own) => own,
        Err(refusal) => return visit.refuse(refusal),
    };
    let set = async {
        let (per_payment, per_day) = (fields.amount("per_payment")?, fields.amount("per_day")?);
        let pin = fields.pin("payment_password")?;
        visit.submit(SetAgreementLimits { person, agreement, per_payment, per_day, pin }).await
    };
    match set.await {
        Ok(_) if visit.json => {
            let result = own(&visit, &id).await.map(|(_, _, line)| answer::data(line_json(&line)));
            visit.settle(result)
        }
        Ok(_) => answer::go("/apps"),
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => app_page(&visit, line, Some(&fields), Some(refusal)),
    }
}

pub(super) async fn end_page(visit: Visit, Path(id): Path<String>) -> Response {
    let result = own(&visit, &id).await.map(|(_, _, line)| answer::ok(&AppEndPage { l: visit.l, line }));
    visit.settle(result)
}

pub(super) async fn end(SentTo(visit, _, id): SentTo) -> Response {
    let ended = async {
        let (person, agreement, _) = own(&visit, &id).await?;
        visit.submit(RevokeAgreement { person, agreement }).await?;
        Ok(if visit.json { answer::data(json!({})) } else { answer::go("/apps") })
    };
    let ended = ended.await;
    visit.settle(ended)
}
