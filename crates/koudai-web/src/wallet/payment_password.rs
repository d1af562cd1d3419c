//! The payment password: set, changed with the present one, and set anew by whoever has forgotten it.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::binding::card_mac;
use koudai_core::card::CardNumber;
use koudai_core::id::PersonId;
use koudai_core::payment_password::{
    Pin, ProveForChange, ProveForReset, RenewPaymentPassword, RequestReset, SetPaymentPassword,
};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{CodePurpose, PaymentPassword, Session};
use koudai_core::secret::Secret;
use serde_json::json;

use super::answer;
use super::fields::{Fields, Sent};
use super::pages::{ChangePaymentPasswordPage, ForgotPaymentPasswordPage, PaymentPasswordPage};
use super::security::{Next, is_elsewhere, proven, under_way};
use super::sign_in::own_path;
use super::top_up::bank_cards;
use super::visit::Visit;

const SET: &str = "/payment-password";
const RENEW: &str = "/payment-password/new";
const FORGOT: &str = "/payment-password/forgot";

/// A password that was typed twice, if it is none that others could guess from the person's cards. What else it may not be the
/// decision knows.
async fn chosen(visit: &Visit, person: PersonId, fields: &Fields) -> Result<Pin, Refusal> {
    let pin = fields.pin("payment_password")?;
    let again = fields.get("payment_password_again");
    if again.is_some_and(|again| again != fields.text("payment_password")) {
        return Err(Refusal::PaymentPasswordsDiffer);
    }
    let cards = visit.read(move |r| r.cards_of(person)).await?;
    let like_a_card = |last4: &str| !last4.is_empty() && pin.ends_with(last4);
    if cards.iter().any(|card| like_a_card(&card.last4)) {
        return Err(Refusal::PaymentPasswordWeak);
    }
    Ok(pin)
}

/// The page on which a password is chosen, sent to `action`.
async fn page(
    visit: &Visit,
    action: &'static str,
    next: Option<String>,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let phone = visit.person_row().await?.phone;
    let page = PaymentPasswordPage {
        l: visit.l,
        action,
        next,
        phone_end: phone.digits().chars().skip(5).collect(),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

async fn is_set(visit: &Visit) -> Result<bool, Refusal> {
    let person = visit.person()?;
    visit.read(move |r| Ok(r.get::<PaymentPassword>(&person)?.is_some())).await
}

/// `GET /payment-password`.
pub(super) async fn first(visit: Visit, Query(query): Query<Next>) -> Response {
    let result = async {
        if is_set(&visit).await? {
            return Ok(answer::go("/payment-password/change"));
        }
        proven(&visit).await?;
        page(&visit, SET, own_path(query.next.as_deref()), None).await
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /payment-password`.
pub(super) async fn set(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        if !is_set(&visit).await? {
            proven(&visit).await?;
        }
        let pin = chosen(&visit, person, &fields).await?;
        visit.submit(SetPaymentPassword { person, pin }).await
    };
    let result = result.await;
    answered(&visit, &fields, SET, result).await
}

/// `GET /payment-password/new`.
pub(super) async fn new(visit: Visit) -> Response {
    let result = async {
        let session = visit.session()?;
        let row = visit.read(move |r| r.get::<Session>(&session)).await?.ok_or(Refusal::SignedOut)?;
        if visit.now() >= row.may_renew_until {
            return Err(Refusal::RenewalExpired);
        }
        page(&visit, RENEW, None, None).await
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /payment-password/new`.
pub(super) async fn renew(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let new = chosen(&visit, visit.person()?, &fields).await?;
        visit.submit(RenewPaymentPassword { session, new }).await
    };
    let result = result.await;
    answered(&visit, &fields, RENEW, result).await
}

async fn answered(
    visit: &Visit,
    fields: &Fields,
    action: &'static str,
    result: Result<(), Refusal>,
) -> Response {
    let next = own_path(fields.get("next"));
    match result {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => {
            let home = if action == RENEW { "/security" } else { "/" };
            answer::go(next.as_deref().unwrap_or(home))
        }
        Err(refusal) if visit.json || is_elsewhere(refusal) => visit.refuse(refusal),
        Err(refusal) => {
            let again = page(visit, action, next, Some(refusal)).await;
            visit.settle(again)
        }
    }
}

fn change_page(visit: &Visit, refusal: Option<Refusal>) -> Response {
    let page = ChangePaymentPasswordPage { l: visit.l, refused: refusal.map(|r| answer::refused(visit, r)) };
    answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
}

/// `GET /payment-password/change`.
pub(super) async fn change(visit: Visit) -> Response {
    let result = async {
        if !is_set(&visit).await? {
            return Ok(answer::go(SET));
        }
        proven(&visit).await?;
        Ok(change_page(&visit, None))
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /payment-password/change`: with the present one.
pub(super) async fn prove_for_change(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let old = fields.pin("payment_password")?;
        visit.submit(ProveForChange { session, old }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go(RENEW),
        Err(refusal) if visit.json || is_elsewhere(refusal) => visit.refuse(refusal),
        Err(refusal) => change_page(&visit, Some(refusal)),
    }
}

async fn forgot_page(visit: &Visit, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let person = visit.person_row().await?;
    let id = person.id;
    let cards = visit.read(move |r| r.cards_of(id)).await?;
    let sent = under_way(visit, &person, CodePurpose::PaymentPassword).await?;
    let page = ForgotPaymentPasswordPage {
        l: visit.l,
        phone: person.phone.masked(),
        code_sent: sent.is_some(),
        resend_in_s: sent.unwrap_or(0),
        cards: bank_cards(&cards).map(|card| answer::card_line(card, visit.l)).collect(),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

/// `GET /payment-password/forgot`.
pub(super) async fn forgot(visit: Visit) -> Response {
    let result = forgot_page(&visit, None).await;
    visit.settle(result)
}

/// `POST /payment-password/forgot/code`.
pub(super) async fn send_code(Sent(visit, _): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        visit.submit(RequestReset { session, language: Some(visit.language()) }).await
    };
    match result.await {
        Ok(wait_s) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok(_) => answer::go(FORGOT),
        Err(refusal) => refused_forgot(&visit, refusal).await,
    }
}

/// `POST /payment-password/forgot`: with the code and the whole number of a card.
pub(super) async fn prove_for_reset(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let number = CardNumber::parse(fields.text("number")).ok_or(Refusal::CardNumberInvalid)?;
        let card_mac = card_mac(visit.app.networks.vault.compare_key(), &number);
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(ProveForReset { session, code, card_mac }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go(RENEW),
        Err(refusal) => refused_forgot(&visit, refusal).await,
    }
}

async fn refused_forgot(visit: &Visit, refusal: Refusal) -> Response {
    if visit.json || is_elsewhere(refusal) {
        return visit.refuse(refusal);
    }
    let again = forgot_page(visit, Some(refusal)).await;
    visit.settle(again)
}
