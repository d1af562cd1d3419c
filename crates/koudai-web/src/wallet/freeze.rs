//! Freezing an account at once by what its holder was sent when something of it changed: by a link in a mail, or by a code from a short
//! message. A page that is only opened freezes nothing: programs that look at mail open links.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::identity::Phone;
use koudai_core::refusal::Refusal;
use koudai_core::secret::Secret;
use koudai_core::sign_in::FreezeByRight;
use serde_json::json;

use super::answer;
use super::fields::{Sent, SentTo};
use super::pages::{FreezeBy, FreezePage};
use super::sign_in::{cookie_text, set_cookie};
use super::visit::{Visit, session_name};

fn page(visit: &Visit, by: FreezeBy, refusal: Option<Refusal>) -> Response {
    let page = FreezePage { l: visit.l, by, refused: refusal.map(|r| answer::refused(visit, r)) };
    answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
}

/// `GET /freeze`.
pub(super) async fn form(visit: Visit) -> Response {
    page(&visit, FreezeBy::Code { phone: String::new() }, None)
}

/// A word as it stands in a link; `None` of what cannot be one.
fn word_in(path: &str) -> Option<&str> {
    let fine = (1..=64).contains(&path.len()) && path.bytes().all(|b| b.is_ascii_alphanumeric());
    fine.then_some(path)
}

/// `GET /freeze/{word}`.
pub(super) async fn link(visit: Visit, Path(word): Path<String>) -> Response {
    match word_in(&word) {
        Some(word) => page(&visit, FreezeBy::Link { word: word.to_owned() }, None),
        None => visit.refuse(Refusal::FreezeWordWrong),
    }
}

/// `POST /freeze`: the phone and the code that was sent to it.
pub(super) async fn by_code(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let phone = Phone::parse(fields.text("phone")).ok_or(Refusal::PhoneInvalid)?;
        let word = Secret::new(fields.text("code").chars().take(64).collect());
        visit.submit(FreezeByRight { phone: Some(phone), word, asker: visit.asker() }).await
    };
    let by = FreezeBy::Code { phone: fields.text("phone").chars().take(20).collect() };
    let result = result.await;
    answered(&visit, by, result)
}

/// `POST /freeze/{word}`.
pub(super) async fn by_link(SentTo(visit, _, word): SentTo) -> Response {
    let Some(word) = word_in(&word) else { return visit.refuse(Refusal::FreezeWordWrong) };
    let command = FreezeByRight { phone: None, word: Secret::new(word.to_owned()), asker: visit.asker() };
    let result = visit.submit(command).await;
    answered(&visit, FreezeBy::Link { word: word.to_owned() }, result)
}

fn answered(visit: &Visit, by: FreezeBy, result: Result<(), Refusal>) -> Response {
    match result {
        Ok(()) => {
            let mut response =
                if visit.json { answer::data(json!({})) } else { page(visit, FreezeBy::Done, None) };
            // Should it be this browser's own account, its session is over with all others.
            set_cookie(
                &mut response,
                &cookie_text(session_name(visit.app.secure), "", "/", 0, visit.app.secure),
            );
            response
        }
        Err(refusal) if visit.json => visit.refuse(refusal),
        // A link is right or it is not: there is nothing to correct.
        Err(refusal) if matches!(by, FreezeBy::Link { .. }) => visit.refuse(refusal),
        Err(refusal) => page(visit, by, Some(refusal)),
    }
}
