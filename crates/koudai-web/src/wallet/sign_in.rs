//! Registering and signing in by phone and one-time code.

use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::identity::Phone;
use koudai_core::refusal::Refusal;
use koudai_core::rows::CodePurpose;
use koudai_core::secret::Secret;
use koudai_core::sign_in::{CODE_LIFE_MS, RequestCode, SignIn, SignOut};
use koudai_core::time::{SECOND, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::answer;
use super::fields::{Fields, Sent};
use super::pages::LoginPage;
use super::visit::{CODE_SENT, Visit, cookie, session_name, token_hash};
use crate::App;

/// The longest way on: a merchant's page that asked who is there has its own address in it.
const MOST_NEXT_BYTES: usize = 4_096;

/// Where to go on to.
#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// A path of ours, and nothing a browser could read as another site's.
pub(super) fn own_path(next: Option<&str>) -> Option<String> {
    let next = next?;
    let plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'/' | b'-' | b'_' | b'.' | b'?' | b'=' | b'&' | b'%' | b'+' | b'*')
    };
    let fine = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= MOST_NEXT_BYTES
        && next.bytes().all(plain);
    fine.then(|| next.to_owned())
}

fn login_page(
    visit: &Visit,
    fields: Option<&Fields>,
    code_sent: bool,
    refusal: Option<Refusal>,
) -> LoginPage {
    LoginPage {
        l: visit.l,
        next: own_path(fields.and_then(|f| f.get("next"))),
        phone: fields.map_or("", |f| f.text("phone")).chars().take(24).collect(),
        code_sent,
        resend_in_s: match refusal {
            Some(Refusal::CodeTooSoon { wait_s } | Refusal::TooManyCodes { wait_s }) => wait_s,
            _ => 0,
        },
        refused: refusal.map(|r| answer::refused(visit, r)),
    }
}

pub(super) async fn page(visit: Visit, Query(query): Query<Next>) -> Response {
    let mut page = login_page(&visit, None, false, None);
    page.next = own_path(query.next.as_deref());
    answer::ok(&page)
}

pub(super) async fn send_code(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let phone = Phone::parse(fields.text("phone")).ok_or(Refusal::PhoneInvalid)?;
        visit.submit(RequestCode { phone, purpose: CodePurpose::SignIn }).await
    };
    match result.await {
        Ok(wait_s) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok(wait_s) => {
            // On to a page of its own, so that going back to it asks for no other code. The number goes along in a
            // cookie rather than in the address, which browsers remember.
            let phone =
                Phone::parse(fields.text("phone")).map_or_else(String::new, |p| p.digits().to_owned());
            let resend_at = visit.now().plus(i64::from(wait_s) * SECOND).0;
            let mut response = answer::go(&with_next("/login/code", own_path(fields.get("next")).as_deref()));
            let cookie =
                code_cookie(&format!("{phone}.{resend_at}"), CODE_LIFE_MS / SECOND, visit.app.secure);
            set_cookie(&mut response, &cookie);
            response
        }
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            // A code that was sent a moment ago is still good: go on to it.
            let sent_before = matches!(refusal, Refusal::CodeTooSoon { .. });
            answer::page(
                answer::status(refusal),
                &login_page(&visit, Some(&fields), sent_before, Some(refusal)),
            )
        }
    }
}

/// The page of the code that was sent a moment ago; without one, the page before it.
pub(super) async fn code_page(visit: Visit, headers: HeaderMap, Query(query): Query<Next>) -> Response {
    let next = own_path(query.next.as_deref());
    let Some((phone, resend_at)) = cookie(&headers, CODE_SENT).and_then(read_code_cookie) else {
        return answer::go(&with_next("/login", next.as_deref()));
    };
    let wait_ms = resend_at.since(visit.now()).clamp(0, CODE_LIFE_MS);
    let mut page = login_page(&visit, None, true, None);
    page.next = next;
    phone.digits().clone_into(&mut page.phone);
    page.resend_in_s = u32::try_from((wait_ms + SECOND - 1) / SECOND).unwrap_or(0);
    answer::ok(&page)
}

pub(super) fn with_next(path: &str, next: Option<&str>) -> String {
    let query = next.and_then(|next| serde_urlencoded::to_string([("next", next)]).ok());
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

fn read_code_cookie(value: &str) -> Option<(Phone, Timestamp)> {
    let (phone, resend_at) = value.split_once('.')?;
    Some((Phone::parse(phone)?, Timestamp(resend_at.parse().ok()?)))
}

fn code_cookie(value: &str, life_s: i64, secure: bool) -> String {
    cookie_text(CODE_SENT, value, "/login", life_s, secure)
}

pub(super) async fn sign_in(State(app): State<App>, Sent(visit, fields): Sent) -> Response {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has random bytes");
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let result = async {
        let phone = Phone::parse(fields.text("phone")).ok_or(Refusal::PhoneInvalid)?;
        if fields.get("agree").is_none() && !visit.json {
            return Err(Refusal::RequestMalformed);
        }
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(SignIn { phone, code, token_hash: token_hash(&token) }).await
    };
    match result.await {
        Ok(signed_in) => {
            let mut response = if visit.json {
                answer::data(json!({
                    "token": token,
                    "person_id": signed_in.person.wire(),
                    "has_payment_password": signed_in.has_payment_password,
                }))
            } else {
                let next = own_path(fields.get("next"));
                let path = match (signed_in.has_payment_password, next) {
                    (true, next) => next.unwrap_or_else(|| "/".to_owned()),
                    (false, Some(next)) => with_next("/payment-password", Some(&next)),
                    (false, None) => "/payment-password".to_owned(),
                };
                answer::go(&path)
            };
            let life = app.engine.policy().session_life_ms / 1_000;
            set_cookie(&mut response, &session_cookie(&token, life, app.secure));
            set_cookie(&mut response, &code_cookie("", 0, app.secure));
            response
        }
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            let code_sent = refusal != Refusal::PhoneInvalid;
            answer::page(
                answer::status(refusal),
                &login_page(&visit, Some(&fields), code_sent, Some(refusal)),
            )
        }
    }
}

pub(super) async fn sign_out(State(app): State<App>, Sent(visit, _): Sent) -> Response {
    if let Some(token_hash) = visit.session_hash()
        && let Err(refusal) = visit.submit(SignOut { token_hash }).await
    {
        return visit.refuse(refusal);
    }
    let mut response = if visit.json { answer::data(json!({})) } else { answer::go("/login") };
    set_cookie(&mut response, &session_cookie("", 0, app.secure));
    response
}

fn session_cookie(token: &str, life_s: i64, secure: bool) -> String {
    cookie_text(session_name(secure), token, "/", life_s, secure)
}

/// A cookie that no script reads and no other site's request brings, but for a link.
pub(super) fn cookie_text(name: &str, value: &str, path: &str, life_s: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={life_s}; HttpOnly; SameSite=Lax{secure}")
}

/// Sets a cookie of ours.
pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    match HeaderValue::from_str(cookie) {
        Ok(value) => drop(response.headers_mut().append(SET_COOKIE, value)),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
}
