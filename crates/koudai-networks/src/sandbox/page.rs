//! What the sandboxes' pages for people have in common: a card as it is shown, sums and times, and how a page is answered.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use koudai_core::money::Money;
use koudai_core::time::Timestamp;

use super::SandboxError;

/// A test card on a page; `card.html` shows it.
pub(crate) struct CardView {
    pub(crate) no: i64,
    pub(crate) name: &'static str,
    pub(crate) id_number: &'static str,
    pub(crate) phone: &'static str,
    /// The bank has another phone on file than the one to type.
    pub(crate) other_phone: bool,
    /// In groups of four, which are only drawn apart: what is copied has no blanks.
    pub(crate) groups: Vec<&'static str>,
    pub(crate) credit: bool,
    pub(crate) expiry: &'static str,
    pub(crate) cvv: &'static str,
    pub(crate) available: String,
    pub(crate) title: &'static str,
    pub(crate) story: &'static str,
    /// Does something other than succeed.
    pub(crate) odd: bool,
}

/// A card number in groups of four.
pub(crate) fn groups(number: &'static str) -> Vec<&'static str> {
    (0..number.len()).step_by(4).map(|at| &number[at..number.len().min(at + 4)]).collect()
}

/// Fen, as people read them.
pub(crate) fn yuan(minor: i64) -> Result<String, SandboxError> {
    let money = Money::fen(minor).map_err(|_| SandboxError::Corrupt("an amount below zero"))?;
    Ok(format!("¥{money}"))
}

/// A moment of this year in China.
pub(crate) fn moment(at_ms: i64) -> String {
    let at = Timestamp(at_ms).china();
    format!("{:02}-{:02} {:02}:{:02}:{:02}", at.month, at.day, at.hour, at.minute, at.second)
}

/// Answers with a page, if there is one.
pub(crate) fn shown(page: Result<String, SandboxError>) -> Response {
    match page {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store"), (header::VARY, "accept-language")], Html(html))
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "a sandbox's page");
            (StatusCode::INTERNAL_SERVER_ERROR, "The sandbox could not read its books.").into_response()
        }
    }
}

/// The stylesheet at `/style.css`.
pub(crate) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("../../templates/sandbox.css")).into_response()
}
