//! Its edge: signatures in and out, calls to decisions, and what goes wrong on purpose.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use koudai_wechatpay::keys::PrivateKey;
use serde_json::{Value, json};

use super::papers::{APP_ID, Papers};
use super::trades::{Asked, Content, Decided, done, refused};
use super::{SandboxAlipay, bills, payouts, people, trades};
use crate::alipay::certificates::{certificate_number, roots_number};
use crate::alipay::fields::Fields;
use crate::alipay::reply::ERROR;
use crate::alipay::signing;
use crate::alipay::wire::{Call, read_moment};
use crate::faults::{Fault, Rule};
use crate::sandbox::{HangUp, SandboxError};

/// The longest request read, in bytes.
const MOST_REQUEST: usize = 64 << 10;

/// Lower-case digits of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes it");
    }
    text
}

/// Answers one call. Its parameters stand in the address, in the body or in both.
pub(super) async fn gateway(
    State(sandbox): State<SandboxAlipay>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let mut all = query.unwrap_or_default();
    if let Ok(body) = std::str::from_utf8(&body)
        && !body.is_empty()
    {
        all = if all.is_empty() { body.to_owned() } else { format!("{all}&{body}") };
    }
    let request = (all.len() <= MOST_REQUEST).then(|| Fields::from_form(all.as_bytes())).flatten();
    let Some(request) = request else { return (StatusCode::BAD_REQUEST, "not a form").into_response() };
    let call = Call::read(request.text("method"));
    let fault = call.and_then(|call| sandbox.house.faults.meet(call.name()));
    if fault == Some(Fault::Down) {
        tracing::info!(call = call.map(Call::name), outcome = "down", "alipay call");
        return (StatusCode::SERVICE_UNAVAILABLE, "no server is available").into_response();
    }
    let papers = sandbox.papers();
    let decided = match (checked(&request, &papers), call) {
        (Err(why), _) => Ok(Ok(refused("40002", why))),
        (Ok(_), None) => Ok(Ok(refused("40001", "isv.missing-method"))),
        (Ok(asked), Some(call)) => {
            let refuses = match &fault {
                Some(Fault::Refuse { code }) => Some(refused("40004", code)),
                _ => None,
            };
            if fault == Some(Fault::Twice) {
                drop(decide(&sandbox, call, &request, &asked).await);
            }
            match refuses {
                Some(refused) => Ok(Ok(refused)),
                None => decide(&sandbox, call, &request, &asked).await,
            }
        }
    };
    let content = match decided {
        // A person's browser: their page, or what is wrong.
        Ok(Err(location)) => {
            return match fault {
                Some(Fault::Drop) => Body::new(HangUp).into_response(),
                _ => Redirect::to(&location).into_response(),
            };
        }
        Ok(Ok(content)) if call == Some(Call::WapPay) => {
            let why = content.get("sub_code").and_then(Value::as_str).unwrap_or("").to_owned();
            return (StatusCode::BAD_REQUEST, format!("支付宝沙盒：{why}")).into_response();
        }
        Ok(Ok(content)) => content,
        Err(error) => {
            tracing::error!(%error, "the sandbox could not do its work");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let code = content.get("code").and_then(Value::as_str).map(str::to_owned);
    tracing::info!(call = call.map(Call::name), code, ?fault, "alipay call");
    let certificates = request.get("app_cert_sn").is_some();
    let mut text = reply(call, &content, certificates, &papers);
    match fault {
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::Drop) => return Body::new(HangUp).into_response(),
        Some(Fault::Garbage) => text.truncate(text.floor_char_boundary(text.len() / 2)),
        Some(Fault::Refuse { .. } | Fault::Twice | Fault::Down) | None => {}
    }
    ([(header::CONTENT_TYPE, "text/html;charset=utf-8")], text).into_response()
}

/// What a request asks for, if it is the app's.
fn checked(request: &Fields, papers: &Papers) -> Result<Asked, &'static str> {
    if request.get("app_id") != Some(APP_ID) {
        return Err("isv.invalid-app-id");
    }
    let certificates = match request.get("app_cert_sn") {
        None => false,
        Some(number) => {
            let app = certificate_number(&papers.app_certificate_pem).unwrap_or_default();
            let roots = roots_number(&papers.roots_pem).unwrap_or_default();
            if number != app || request.get("alipay_root_cert_sn") != Some(&roots) {
                return Err("isv.invalid-signature");
            }
            true
        }
    };
    if !signing::is_signed_by(request, &papers.app_key.public_key()) {
        return Err("isv.invalid-signature");
    }
    if request.text("timestamp").is_empty() || read_moment(request.text("timestamp")).is_none() {
        return Err("isv.missing-method");
    }
    let content: Value = match request.get("biz_content") {
        Some(text) => serde_json::from_str(text).map_err(|_| "INVALID_PARAMETER")?,
        None => Value::Null,
    };
    let text = |name: &str| request.text(name).to_owned();
    Ok(Asked { content, certificates, notify_url: text("notify_url"), return_url: text("return_url") })
}

/// What is said to a call, or where the browser that made it is sent.
async fn decide(
    sandbox: &SandboxAlipay,
    call: Call,
    request: &Fields,
    asked: &Asked,
) -> Result<Result<Content, String>, SandboxError> {
    let now = sandbox.house.now_ms();
    let asked = Asked {
        content: asked.content.clone(),
        certificates: asked.certificates,
        notify_url: asked.notify_url.clone(),
        return_url: asked.return_url.clone(),
    };
    let code = request.text("code").to_owned();
    if call == Call::Certificate {
        return Ok(Ok(certificate(&sandbox.papers(), asked.text("alipay_cert_sn"))));
    }
    sandbox
        .run(move |tx, house| {
            let said: Decided = match call {
                Call::Precreate => trades::precreate(tx, house, now, &asked),
                Call::Create => trades::create(tx, now, &asked),
                Call::Pay => trades::pay(tx, house, now, &asked),
                Call::Query => trades::query(tx, now, &asked),
                Call::Close => trades::close_asked(tx, house, now, &asked),
                Call::Cancel => trades::cancel(tx, house, now, &asked),
                Call::Refund => trades::refund(tx, house, now, &asked),
                Call::RefundQuery => trades::refund_query(tx, now, &asked),
                // Alipay takes these in certificate mode only.
                Call::PayOut if !asked.certificates => {
                    Ok(refused("40006", "isv.insufficient-isv-permissions"))
                }
                Call::PayOut => payouts::pay_out(tx, now, &asked),
                Call::PayOutQuery => payouts::query(tx, now, &asked),
                Call::Bill => bills::address(tx, house, now, &asked),
                Call::Token => token(trades::use_code(tx, now, "known", &code)?),
                Call::Certificate => unreachable!("it is answered above"),
                Call::WapPay => {
                    return Ok(match trades::wap_pay(tx, now, &asked)? {
                        Ok(code) => Err(format!("{}/pay/{code}", house.settings.url)),
                        Err(why) => Ok(trades::failed(why)),
                    });
                }
            };
            said.map(Ok)
        })
        .await
}

fn certificate(papers: &Papers, number: &str) -> Content {
    match papers.generations.iter().find(|generation| generation.number == number) {
        Some(found) => done(json!({ "alipay_cert_content": STANDARD.encode(&found.certificates) })),
        None => refused("40004", "INVALID_PARAMETER"),
    }
}

/// Who came back with a code. A reply that says it has no `code` of its own.
#[expect(clippy::unnecessary_wraps, reason = "it stands among others that may fail")]
fn token(person: Option<i64>) -> Decided {
    let Some(person) = person else { return Ok(refused("40002", "isv.code-invalid")) };
    let mut content = Content::new();
    for (name, value) in [
        ("user_id", people::user_id(person)),
        ("access_token", format!("authusrB{}", trades::fresh_code())),
        ("refresh_token", format!("authusrB{}", trades::fresh_code())),
    ] {
        content.insert(name.to_owned(), value.into());
    }
    content.insert("expires_in".to_owned(), 1_296_000.into());
    Ok(content)
}

/// A reply as the gateway writes it: slashes are escaped, and the signature is over that text.
fn reply(call: Option<Call>, content: &Content, certificates: bool, papers: &Papers) -> String {
    let text = Value::Object(content.clone()).to_string().replace('/', "\\/");
    let member = match call {
        // Who somebody is, is refused in other words than anything else.
        Some(Call::Token) if content.contains_key("sub_code") => ERROR.to_owned(),
        Some(call) => call.answer(),
        None => ERROR.to_owned(),
    };
    let newest = papers.newest();
    let (key, certificate): (&PrivateKey, String) = if certificates {
        (&newest.certified, format!("\"alipay_cert_sn\":\"{}\",", newest.number))
    } else {
        (&newest.key, String::new())
    };
    format!("{{\"{member}\":{text},{certificate}\"sign\":\"{}\"}}", key.sign(text.as_bytes()))
}

/// The rules that stand.
pub(super) async fn faults(State(sandbox): State<SandboxAlipay>) -> Json<Vec<Rule>> {
    Json(sandbox.house.faults.rules())
}

/// Replaces the rules.
pub(super) async fn set_faults(
    State(sandbox): State<SandboxAlipay>,
    Json(rules): Json<Vec<Rule>>,
) -> Response {
    match sandbox.set_faults(rules) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// All money that moved, for whoever compares.
pub(super) async fn books(State(sandbox): State<SandboxAlipay>) -> Response {
    match sandbox.movements().await {
        Ok(movements) => Json(movements).into_response(),
        Err(error) => {
            tracing::error!(%error, "the books");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
