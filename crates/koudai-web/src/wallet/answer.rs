//! Replies: a page or JSON, a refusal in either form, and the headers that protect them.

use askama::Template;
use axum::Json;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use koudai_core::money::Money;
use koudai_core::refusal::Refusal;
use serde_json::{Value, json};

use super::pages::{CardLine, RefusalPage, Refused, Unusable};
use super::sign_in::with_next;
use super::visit::Visit;
use crate::catalogue;
use crate::say::Lang;

/// A page.
pub(super) fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page with nothing refused.
pub(super) fn ok(content: &impl Template) -> Response {
    page(StatusCode::OK, content)
}

/// JSON.
pub(super) fn data(value: Value) -> Response {
    Json(value).into_response()
}

/// On to another page. 303, so that a reload of it sends nothing again.
pub(super) fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// The status of a refusal.
pub(super) fn status(refusal: Refusal) -> StatusCode {
    StatusCode::from_u16(catalogue::status(refusal)).unwrap_or(StatusCode::BAD_REQUEST)
}

/// A refusal as a page's own block.
pub(super) fn refused(visit: &Visit, refusal: Refusal) -> Refused {
    Refused::new(refusal, visit.l, visit.reference.clone())
}

/// A refusal as JSON.
pub(super) fn refusal_json(visit: &Visit, refusal: Refusal) -> Value {
    refused_json(&refused(visit, refusal))
}

/// A refusal in the words of a page, as JSON.
pub(super) fn refused_json(refused: &Refused) -> Value {
    let wording = &refused.wording;
    let mut value = json!({
        "code": wording.code,
        "title": wording.title,
        "money": wording.money,
        "next": wording.next,
        "money_moved": "no",
        "reference": refused.reference,
    });
    if let Some((path, label)) = refused.way_out() {
        value["way_out"] = json!({"path": path, "label": label});
    }
    value
}

/// A refusal on its own: JSON, a page, or for a browser without a session the way to sign in.
pub(super) fn refusal(visit: &Visit, refusal: Refusal) -> Response {
    if visit.json {
        return refusal_reply(visit, refusal, &refused(visit, refusal));
    }
    log_refusal(visit, refusal);
    if refusal == Refusal::SignedOut {
        return go(&with_next("/login", Some(visit.page())));
    }
    if refusal == Refusal::ProofNeeded {
        return go(&with_next("/security/proof", Some(visit.page())));
    }
    page(status(refusal), &RefusalPage::new(refusal, visit.l, visit.reference.clone(), visit.page()))
}

/// A refusal as a reply in JSON, in words of its own.
pub(super) fn refusal_reply(visit: &Visit, refusal: Refusal, refused: &Refused) -> Response {
    log_refusal(visit, refusal);
    (status(refusal), Json(refused_json(refused))).into_response()
}

fn log_refusal(visit: &Visit, refusal: Refusal) {
    tracing::info!(code = refusal.code(), reference = visit.reference, "refused");
}

/// Money as JSON.
pub(super) fn money(money: Money) -> Value {
    json!({"minor": money.minor(), "currency": money.currency().code()})
}

/// A card as a page shows it.
pub(super) fn card_line(card: &koudai_core::rows::Card, l: Lang) -> CardLine {
    CardLine {
        card_id: card.id.wire(),
        bank: l.say(&card.bank_zh, &card.bank_en).to_owned(),
        kind: card.kind,
        last4: card.last4.clone(),
        unusable: card.removed_at.map(|_| Unusable::CardNotUsable),
    }
}

/// The same, with what its network is up to.
pub(super) fn card_now(visit: &Visit, card: &koudai_core::rows::Card) -> CardLine {
    let line = card_line(card, visit.l);
    let down = !visit.app.networks.outside.is_up(card.network);
    CardLine { unusable: line.unusable.or(down.then_some(Unusable::BankDown)), ..line }
}

/// A card as JSON.
pub(super) fn card_json(card: &koudai_core::rows::Card, l: Lang) -> Value {
    json!({
        "card_id": card.id.wire(),
        "bank": l.say(&card.bank_zh, &card.bank_en),
        "kind": card.kind.word(),
        "last4": card.last4,
        "usable": card.removed_at.is_none(),
    })
}

/// Headers of every reply: no foreign content, no framing, nothing kept, and no address with a token in it handed on.
/// `same-origin` rather than `no-referrer`, under which browsers send `Origin: null` with our own forms.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                          media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    set(headers, header::CONTENT_SECURITY_POLICY, POLICY);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(self), geolocation=(), microphone=()",
    );
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::VARY, "Accept, Accept-Language, Cookie");
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
