//! The demo's inbox: the messages that would go to phones and the mail that would go to people, as these would show them. They
//! live in memory only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_engine::Clock;
use koudai_web::say::Lang;
use koudai_web::wallet::pages::Icon;
use serde::{Deserialize, Serialize};

use super::face;

/// The most messages kept; the oldest go first.
const KEPT: usize = 1_000;
/// The most shown on the page.
const SHOWN: usize = 50;
/// The longest message, in bytes.
const MAX_TEXT_BYTES: usize = 2_000;
/// The longest number, in bytes.
const MAX_NUMBER_BYTES: usize = 32;
/// The longest address of mail, in bytes (RFC 5321, section 4.5.3.1.3).
pub(super) const MAX_ADDRESS_BYTES: usize = 254;
/// The longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 500;
/// The digits of a code.
const CODE_DIGITS: usize = 6;

/// A message as it is kept and shown to programs.
#[derive(Clone, Serialize)]
pub(super) struct Message {
    to: String,
    /// Of mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    text: String,
    /// The first run of exactly six digits; empty without one.
    code: String,
    at_ms: i64,
}

#[derive(Clone)]
pub(super) struct Inbox {
    token: Arc<Secret<String>>,
    messages: Arc<Mutex<VecDeque<Message>>>,
    clock: Clock,
}

/// The inbox over HTTP.
pub(super) fn router(inbox: Inbox) -> Router {
    let router = Router::new()
        .route("/", get(home))
        .route("/inbox", get(list))
        .route("/messages", post(take))
        .layer(DefaultBodyLimit::max(16 * 1024))
        .with_state(inbox);
    face::dressed(router)
}

#[derive(Deserialize)]
struct Incoming {
    to: String,
    text: String,
}

async fn take(
    State(inbox): State<Inbox>,
    headers: HeaderMap,
    body: Result<Json<Incoming>, JsonRejection>,
) -> StatusCode {
    let shown =
        headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let expected = inbox.token.expose().as_bytes();
    let ours =
        shown.is_some_and(|shown| aws_lc_rs::constant_time::verify_slices_are_equal(shown, expected).is_ok());
    if !ours {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(Json(Incoming { to, text })) = body else { return StatusCode::BAD_REQUEST };
    if to.is_empty() || to.len() > MAX_NUMBER_BYTES || text.len() > MAX_TEXT_BYTES {
        return StatusCode::BAD_REQUEST;
    }
    inbox.keep(to, None, text);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct To {
    to: Option<String>,
}

impl Inbox {
    /// An empty one, which takes messages of whoever shows `token`.
    pub(super) fn new(token: Secret<String>, clock: Clock) -> Self {
        Self { token: Arc::new(token), messages: Arc::default(), clock }
    }

    /// Keeps a mail, or what of it is shown.
    pub(super) fn keep_mail(&self, to: &str, subject: &str, text: &str) {
        let beginning = |text: &str, most: usize| text[..text.floor_char_boundary(most)].to_owned();
        self.keep(
            to.to_owned(),
            Some(beginning(subject, MAX_SUBJECT_BYTES)),
            beginning(text.trim_end(), MAX_TEXT_BYTES),
        );
    }

    fn keep(&self, to: String, subject: Option<String>, text: String) {
        let message = Message { to, subject, code: code(&text).to_owned(), text, at_ms: self.clock.now().0 };
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() == KEPT {
            messages.pop_front();
        }
        messages.push_back(message);
    }

    /// The messages to a number or an address, or all of them, oldest first.
    pub(super) fn messages(&self, to: Option<&str>) -> Vec<Message> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().filter(|message| to.is_none_or(|to| message.to == to)).cloned().collect()
    }
}

async fn list(State(inbox): State<Inbox>, Query(To { to }): Query<To>) -> Response {
    Json(inbox.messages(to.as_deref())).into_response()
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    l: Lang,
    to: Option<String>,
    messages: Vec<Shown>,
}

struct Shown {
    to: String,
    subject: Option<String>,
    /// The text around the code.
    before: String,
    code: String,
    after: String,
    at: Timestamp,
}

impl InboxPage {
    fn whose(&self) -> &str {
        self.to.as_deref().unwrap_or("")
    }
}

async fn home(State(inbox): State<Inbox>, headers: HeaderMap, Query(To { to }): Query<To>) -> Response {
    let to = to.map(|to| to.trim().to_owned()).filter(|to| !to.is_empty() && to.len() <= MAX_ADDRESS_BYTES);
    let messages = inbox.messages(to.as_deref());
    let shown = |message: Message| {
        let (before, after) = match message.text.split_once(&message.code) {
            Some((before, after)) if !message.code.is_empty() => (before.to_owned(), after.to_owned()),
            _ => (message.text, String::new()),
        };
        Shown {
            to: message.to,
            subject: message.subject,
            before,
            code: message.code,
            after,
            at: Timestamp(message.at_ms),
        }
    };
    let messages = messages.into_iter().rev().take(SHOWN).map(shown).collect();
    face::page(StatusCode::OK, &InboxPage { l: face::language(&headers), to, messages })
}

/// The first run of exactly six digits; empty without one.
fn code(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == CODE_DIGITS).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_first_run_of_six_digits() {
        for (text, expected) in [
            ("【口袋】验证码 012345,5 分钟内有效", "012345"),
            ("尾号 0010 的卡,验证码654321。Code 654321", "654321"),
            ("13800138000", ""),
            ("没有", ""),
        ] {
            assert_eq!(code(text), expected);
        }
    }

    #[tokio::test]
    async fn only_whoever_has_the_token_may_post_and_old_messages_go() {
        let clock = Clock::by_hand(Timestamp(1_795_000_000_000));
        let inbox = Inbox::new(Secret::new("right".to_owned()), clock);
        let post = |bearer: &'static str, text: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
            let incoming = Incoming { to: "13800138000".to_owned(), text };
            take(State(inbox.clone()), headers, Ok(Json(incoming)))
        };
        assert_eq!(post("Bearer wrong", "验证码 111111".to_owned()).await, StatusCode::UNAUTHORIZED);
        assert_eq!(post("right", "验证码 111111".to_owned()).await, StatusCode::UNAUTHORIZED);
        for n in 0..=KEPT {
            assert_eq!(post("Bearer right", format!("验证码 {n:06}")).await, StatusCode::NO_CONTENT);
        }
        let messages = inbox.messages(Some("13800138000"));
        assert_eq!((messages.len(), messages[0].code.as_str()), (KEPT, "000001"), "the oldest went");
        assert!(inbox.messages(Some("13900139000")).is_empty());
    }

    #[test]
    fn mail_has_a_subject_and_is_found_by_its_address() {
        let inbox = Inbox::new(Secret::new("right".to_owned()), Clock::by_hand(Timestamp(1_795_000_000_000)));
        inbox.keep_mail("a@example.com", "验证码", "验证码 012345\n");
        inbox.keep("13800138000".to_owned(), None, "验证码 111111".to_owned());
        let mail = serde_json::to_value(inbox.messages(Some("a@example.com"))).unwrap();
        assert_eq!(
            mail,
            serde_json::json!([{
                "to": "a@example.com", "subject": "验证码", "text": "验证码 012345", "code": "012345", "at_ms": 1_795_000_000_000_i64
            }])
        );
        let message = serde_json::to_value(inbox.messages(Some("13800138000"))).unwrap();
        assert!(message[0].get("subject").is_none(), "as it was before there was mail: {message}");
    }
}
