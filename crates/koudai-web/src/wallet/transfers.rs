//! What merchants send people: found on the first page or by the merchant's link, and received with one press. Money comes
//! in, so no payment password is asked for.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::id::{PersonId, TransferId};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Transfer, TransferState};
use koudai_core::time::Timestamp;
use koudai_core::transfer::ReceiveTransfer;
use koudai_store::{Reader, StoreError};
use serde_json::{Value, json};

use super::answer;
use super::pages::{TransferLine, TransferPage, TransferStanding, TransfersPage};
use super::records::merchant_name;
use super::visit::Visit;

/// The most that the list shows. Whoever has more sees the others once these are received.
const LISTED: usize = 50;

/// What a person may receive now, oldest first.
pub(super) fn waiting(
    reader: &Reader,
    person: PersonId,
    now: Timestamp,
    most: usize,
) -> Result<Vec<TransferLine>, StoreError> {
    // What is overdue waits too, for the moment until it is closed.
    let rows = reader.transfers_to(person, now, i64::try_from(most).unwrap_or(i64::MAX))?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(transfer) = reader.get::<Transfer>(&row.transfer)? {
            lines.push(line(reader, &transfer)?);
        }
    }
    Ok(lines)
}

fn line(reader: &Reader, transfer: &Transfer) -> Result<TransferLine, StoreError> {
    Ok(TransferLine {
        id: transfer.id.wire(),
        merchant: merchant_name(reader, transfer.mchid)?,
        remark: transfer.remark.clone(),
        amount: transfer.amount,
        until: transfer.expires_at,
    })
}

/// A transfer that waits, as JSON.
pub(super) fn line_json(line: &TransferLine) -> Value {
    json!({
        "id": line.id,
        "merchant": line.merchant,
        "remark": line.remark,
        "amount": answer::money(line.amount),
        "until_ms": line.until.0,
    })
}

pub(super) async fn list(visit: Visit) -> Response {
    let result = async {
        let (person, now) = (visit.person()?, visit.now());
        let lines = visit.read(move |r| waiting(r, person, now, LISTED)).await?;
        if visit.json {
            let lines: Vec<Value> = lines.iter().map(line_json).collect();
            return Ok(answer::data(json!({ "transfers": lines })));
        }
        Ok(answer::ok(&TransfersPage { l: visit.l, lines }))
    };
    let result = result.await;
    visit.settle(result)
}

/// A transfer of the person who asks, and what its page shows besides.
struct View {
    transfer: Transfer,
    line: TransferLine,
}

impl View {
    async fn read(visit: &Visit, id: &str) -> Result<Self, Refusal> {
        let (person, id) = (visit.person()?, TransferId::parse(id).ok_or(Refusal::TransferUnknown)?);
        let read = visit.read(move |r| {
            let transfer = r.get::<Transfer>(&id)?.filter(|transfer| transfer.payee == person);
            let view = |transfer: Transfer| Ok(Self { line: line(r, &transfer)?, transfer });
            transfer.map(view).transpose()
        });
        read.await?.ok_or(Refusal::TransferUnknown)
    }

    fn answer(self, visit: &Visit, refusal: Option<Refusal>) -> Result<Response, Refusal> {
        // One that failed before it began was never its payee's to see.
        let over = match self.transfer.is_over(visit.now()) {
            Some(Refusal::TransferUnknown) => return Err(Refusal::TransferUnknown),
            over => over,
        };
        if visit.json {
            return Ok(answer::data(self.json(visit, over)));
        }
        let received = self.transfer.state == TransferState::Received;
        let state = match (over, self.transfer.ended_at) {
            (Some(over), _) => TransferStanding::Over(answer::refused(visit, over)),
            (None, Some(at)) if received => TransferStanding::Received(at),
            (None, _) => TransferStanding::Waiting(refusal.map(|r| answer::refused(visit, r))),
        };
        let page = TransferPage {
            l: visit.l,
            line: self.line,
            perception: self.transfer.perception,
            bill_no: self.transfer.out_bill_no,
            state,
        };
        Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
    }

    fn json(&self, visit: &Visit, over: Option<Refusal>) -> Value {
        let mut value = line_json(&self.line);
        value["reason"] = self.transfer.perception.clone().into();
        value["bill_no"] = self.transfer.out_bill_no.clone().into();
        value["state"] = match (self.transfer.state, over) {
            (_, Some(_)) => "over",
            (TransferState::Received, None) => "received",
            (_, None) => "waiting",
        }
        .into();
        if let Some(over) = over {
            value["refusal"] = answer::refusal_json(visit, over);
        }
        if self.transfer.state == TransferState::Received {
            value["record"] = format!("/records/{}", self.transfer.id.wire()).into();
        }
        value
    }
}

pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Response {
    let result = View::read(&visit, &id).await.and_then(|view| view.answer(&visit, None));
    visit.settle(result)
}

pub(super) async fn receive(visit: Visit, Path(id): Path<String>) -> Response {
    let refusal = match submit(&visit, &id).await {
        // From here on the money is there: no error of a page's may read as a refusal.
        Ok(()) if visit.json => {
            let view = View::read(&visit, &id).await.and_then(|view| view.answer(&visit, None));
            return view.unwrap_or_else(|_| answer::data(json!({ "state": "received" })));
        }
        Ok(()) => return answer::go(&format!("/transfers/{id}")),
        Err(refusal) => refusal,
    };
    if visit.json || matches!(refusal, Refusal::SignedOut | Refusal::TransferUnknown) {
        return visit.refuse(refusal);
    }
    let page = View::read(&visit, &id).await.and_then(|view| view.answer(&visit, Some(refusal)));
    visit.settle(page)
}

async fn submit(visit: &Visit, id: &str) -> Result<(), Refusal> {
    let (person, transfer) = (visit.person()?, TransferId::parse(id).ok_or(Refusal::TransferUnknown)?);
    let received = visit.submit(ReceiveTransfer { person, transfer }).await?;
    tracing::info!(
        transfer = received.id.wire(),
        person = person.wire(),
        mchid = received.mchid.wire(),
        reference = visit.reference,
        "transfer received"
    );
    Ok(())
}
