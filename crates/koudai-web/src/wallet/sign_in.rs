//! Registering and signing in: by a code to a phone or an e-mail address, or by a password. Passkeys are in `passkeys`.

use axum::extract::Query;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::identity::{Contact, Email, Phone};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Allowance, Device, EmailOwner, LoginPassword, PhoneOwner};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    Asker, CODE_LIFE_MS, PasswordAnswer, PasswordTried, RequestCode, SignIn, SignInByPassword, SignOut,
    SignedIn, device_key, nobody, salt_of_nobody, seconds_until, wrong_from,
};
use koudai_core::state::Command;
use koudai_core::time::{SECOND, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::fields::{Fields, Sent};
use super::pages::{LoginPage, LoginWay};
use super::slow_hash::slow_hash;
use super::visit::{CODE_SENT, Visit, cookie, fresh_token, session_name, token_hash};
use super::{answer, two_steps};

/// The longest way on: a merchant's page that asked who is there has its own address in it.
const MOST_NEXT_BYTES: usize = 4_096;
/// The longest password that is hashed, in bytes: four for each of 128 characters.
pub(super) const MOST_PASSWORD_BYTES: usize = 512;

/// Where to go on to, and which of the ways to sign in is shown.
#[derive(Deserialize)]
pub(super) struct Asked {
    pub(super) next: Option<String>,
    pub(super) by: Option<String>,
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

fn login_page(visit: &Visit, way: LoginWay, fields: Option<&Fields>, refusal: Option<Refusal>) -> LoginPage {
    let typed = fields.and_then(|f| f.get("phone").or(f.get("email")).or(f.get("account")));
    LoginPage {
        l: visit.l,
        next: own_path(fields.and_then(|f| f.get("next"))),
        way,
        contact: typed.unwrap_or_default().chars().take(254).collect(),
        email_offered: visit.app.networks.mail.is_some(),
        passkeys: super::passkeys::are_offered(visit),
        resend_in_s: match refusal {
            Some(Refusal::CodeTooSoon { wait_s } | Refusal::TooManyCodes { wait_s }) => wait_s,
            _ => 0,
        },
        refused: refusal.map(|r| answer::refused(visit, r)),
    }
}

pub(super) async fn page(visit: Visit, Query(query): Query<Asked>) -> Response {
    let way = match query.by.as_deref() {
        Some("email") if visit.app.networks.mail.is_some() => LoginWay::Email,
        Some("password") => LoginWay::Password,
        _ => LoginWay::Phone,
    };
    let mut page = login_page(&visit, way, None, None);
    page.next = own_path(query.next.as_deref());
    answer::ok(&page)
}

/// The number or the address of a request.
///
/// # Errors
/// `PhoneInvalid`, `EmailInvalid`, or `EmailNotOffered`.
pub(super) fn contact(visit: &Visit, fields: &Fields) -> Result<Contact, Refusal> {
    match fields.get("email") {
        None => Phone::parse(fields.text("phone")).map(Contact::Phone).ok_or(Refusal::PhoneInvalid),
        Some(_) if visit.app.networks.mail.is_none() => Err(Refusal::EmailNotOffered),
        Some(text) => Email::parse(text).map(Contact::Email).ok_or(Refusal::EmailInvalid),
    }
}

const fn way_of(contact: &Contact) -> LoginWay {
    match contact {
        Contact::Phone(_) => LoginWay::CodeToPhone,
        Contact::Email(_) => LoginWay::CodeToEmail,
    }
}

pub(super) async fn send_code(headers: HeaderMap, Sent(mut visit, fields): Sent) -> Response {
    let (asker, device) = visit.asker_known();
    let response = match ask_for_code(&visit, &fields, asker).await {
        Ok(response) => response,
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            let sent_to =
                cookie(&headers, CODE_SENT).and_then(read_code_cookie).map(|(contact, _, _)| contact);
            let waits = sent_to.is_some() && sent_to == contact(&visit, &fields).ok();
            let way = match (refusal, fields.get("email").is_some()) {
                // A code that this browser had sent a moment ago is still good: go on to it.
                (Refusal::CodeTooSoon { .. }, false) if waits => LoginWay::CodeToPhone,
                (Refusal::CodeTooSoon { .. }, true) if waits => LoginWay::CodeToEmail,
                (_, false) => LoginWay::Phone,
                (_, true) => LoginWay::Email,
            };
            answer::page(answer::status(refusal), &login_page(&visit, way, Some(&fields), Some(refusal)))
        }
    };
    with_cookie(response, device)
}

async fn ask_for_code(visit: &Visit, fields: &Fields, asker: Asker) -> Result<Response, Refusal> {
    let contact = contact(visit, fields)?;
    let request = fresh_token();
    let command = RequestCode {
        contact: contact.clone(),
        request: token_hash(&request),
        asker,
        language: Some(visit.language()),
    };
    let wait_s = visit.submit(command).await?;
    if visit.json {
        return Ok(answer::data(json!({"resend_in_s": wait_s, "request": request})));
    }
    Ok(on_to_code(visit, &CodeSent { contact, request, wait_s }, own_path(fields.get("next")).as_deref()))
}

/// A code on its way to somebody who is not signed in.
pub(super) struct CodeSent {
    pub(super) contact: Contact,
    /// What has to be shown with it.
    pub(super) request: String,
    pub(super) wait_s: u32,
}

/// On to a page of its own, so that going back to it asks for no other code. Where it was sent goes along in a cookie rather
/// than in the address, which browsers remember.
fn on_to_code(visit: &Visit, sent: &CodeSent, next: Option<&str>) -> Response {
    let mut response = answer::go(&with_next("/login/code", next));
    set_cookie(&mut response, &sent.cookie(visit, "/login"));
    response
}

impl CodeSent {
    /// What the browser keeps until the code is there, for pages under this path.
    pub(super) fn cookie(&self, visit: &Visit, path: &str) -> String {
        let resend_at = visit.now().plus(i64::from(self.wait_s) * SECOND).0;
        let contact = URL_SAFE_NO_PAD.encode(self.contact.text());
        let value = format!("{contact}.{resend_at}.{}", self.request);
        cookie_text(CODE_SENT, &value, path, CODE_LIFE_MS / SECOND, visit.app.secure)
    }
}

/// The page of the code that was sent a moment ago; without one, the page before it.
pub(super) async fn code_page(visit: Visit, headers: HeaderMap, Query(query): Query<Asked>) -> Response {
    let next = own_path(query.next.as_deref());
    let Some((contact, resend_at, _)) = cookie(&headers, CODE_SENT).and_then(read_code_cookie) else {
        return answer::go(&with_next("/login", next.as_deref()));
    };
    let mut page = login_page(&visit, way_of(&contact), None, None);
    page.next = next;
    contact.text().clone_into(&mut page.contact);
    page.resend_in_s = resend_in_s(&visit, resend_at);
    answer::ok(&page)
}

/// Seconds until another code may be asked for, as a cookie has the moment.
pub(super) fn resend_in_s(visit: &Visit, resend_at: Timestamp) -> u32 {
    let now = visit.now();
    seconds_until(resend_at.min(now.plus(CODE_LIFE_MS)), now)
}

pub(super) fn with_next(path: &str, next: Option<&str>) -> String {
    let Some(next) = next else { return path.to_owned() };
    // Of what a path of ours may hold, only these mean something else in a query.
    let next = next.replace('%', "%25").replace('&', "%26").replace('+', "%2B");
    format!("{path}?next={next}")
}

/// Where the code was sent, when another may be asked for, and what has to be shown with it.
pub(super) fn read_code_cookie(value: &str) -> Option<(Contact, Timestamp, &str)> {
    let mut parts = value.splitn(3, '.');
    let contact = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
    let resend_at = Timestamp(parts.next()?.parse().ok()?);
    Some((Contact::parse(&contact)?, resend_at, parts.next()?))
}

pub(super) async fn sign_in(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let opening = Opening::new();
    let (asker, token) = (visit.asker_at(&opening.device), &opening.token);
    let result = async {
        let contact = contact(&visit, &fields)?;
        if fields.get("agree").is_none() && !visit.json {
            return Err(Refusal::RequestMalformed);
        }
        // A browser keeps what it was given when it asked for the code; a program sends it.
        let kept = cookie(&headers, CODE_SENT).and_then(read_code_cookie).map(|(_, _, request)| request);
        let request = token_hash(fields.get("request").or(kept).unwrap_or_default());
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(SignIn { contact, code, request, asker, token_hash: token_hash(token) }).await
    };
    match result.await {
        Ok(signed_in) => {
            let mut response = signed_in_now(&visit, signed_in, &opening, fields.get("next")).await;
            set_cookie(&mut response, &cookie_text(CODE_SENT, "", "/login", 0, visit.app.secure));
            response
        }
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            let way = match (refusal, fields.get("email").is_some()) {
                (Refusal::PhoneInvalid, _) => LoginWay::Phone,
                (Refusal::EmailInvalid | Refusal::EmailUnbound | Refusal::EmailNotOffered, _) => {
                    LoginWay::Email
                }
                (_, false) => LoginWay::CodeToPhone,
                (_, true) => LoginWay::CodeToEmail,
            };
            answer::page(answer::status(refusal), &login_page(&visit, way, Some(&fields), Some(refusal)))
        }
    }
}

/// What the edge draws for a session that may be opened.
pub(super) struct Opening {
    /// What its holder shows.
    pub(super) token: String,
    /// What the device is known by from then on, if it is new.
    pub(super) device: String,
}

impl Opening {
    pub(super) fn new() -> Self {
        Self { token: fresh_token(), device: fresh_token() }
    }
}

/// The session in the form that was asked for, and on to where its holder was going. One that came along is over.
pub(super) async fn signed_in_now(
    visit: &Visit,
    signed_in: SignedIn,
    Opening { token, device }: &Opening,
    next: Option<&str>,
) -> Response {
    if signed_in.second_step {
        return two_steps::on_to_second(visit, token, own_path(next).as_deref()).await;
    }
    if let Some(token_hash) = visit.session_hash()
        && let Err(refusal) = visit.submit(SignOut { token_hash }).await
    {
        tracing::info!(
            code = refusal.code(),
            reference = visit.reference,
            "a session before this one goes on"
        );
    }
    let mut response = if visit.json {
        answer::data(json!({
            "token": token,
            "person_id": signed_in.person.wire(),
            "has_payment_password": signed_in.has_payment_password,
        }))
    } else {
        let path = match (signed_in.has_payment_password, own_path(next)) {
            (true, next) => next.unwrap_or_else(|| "/".to_owned()),
            (false, Some(next)) => with_next("/payment-password", Some(&next)),
            (false, None) => "/payment-password".to_owned(),
        };
        answer::go(&path)
    };
    let life = visit.app.engine.policy().session_life_ms / 1_000;
    set_cookie(&mut response, &session_cookie(token, life, visit.app.secure));
    if signed_in.new_device {
        set_cookie(&mut response, &visit.device_cookie(device));
    }
    response
}

/// What came of a password that was right.
enum Passed {
    /// Signed in.
    In(SignedIn),
    /// A code is needed besides.
    Code(CodeSent),
}

pub(super) async fn by_password(Sent(mut visit, fields): Sent) -> Response {
    let (_, device) = visit.asker_known();
    let next = own_path(fields.get("next"));
    let opening = Opening::new();
    let response = match try_password(&visit, &fields, &opening).await {
        Ok(Passed::In(signed_in)) => signed_in_now(&visit, signed_in, &opening, next.as_deref()).await,
        Ok(Passed::Code(sent)) if visit.json => answer::data(json!({
            "code_needed": true,
            "resend_in_s": sent.wait_s,
            "request": sent.request,
        })),
        Ok(Passed::Code(sent)) => on_to_code(&visit, &sent, next.as_deref()),
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            let page = login_page(&visit, LoginWay::Password, Some(&fields), Some(refusal));
            answer::page(answer::status(refusal), &page)
        }
    };
    with_cookie(response, device)
}

async fn try_password(visit: &Visit, fields: &Fields, opening: &Opening) -> Result<Passed, Refusal> {
    let (asker, request) = (visit.asker_at(&opening.device), fresh_token());
    let (token_hash, request_hash) = (token_hash(&opening.token), token_hash(&request));
    let language = Some(visit.language());
    let tried = judged(visit, fields, move |contact, tried| SignInByPassword {
        contact,
        tried,
        request: request_hash,
        asker,
        token_hash,
        language,
    });
    Ok(match tried.await? {
        (_, PasswordAnswer::SignedIn(signed_in)) => Passed::In(signed_in),
        (contact, PasswordAnswer::CodeSent { wait_s }) => Passed::Code(CodeSent { contact, request, wait_s }),
    })
}

/// Has an account's password judged that was typed, and says which account that is.
///
/// # Errors
/// `SignInWrong`, whatever of it is wrong; `SignInPaused`; or what the command refuses besides.
pub(super) async fn judged<C>(
    visit: &Visit,
    fields: &Fields,
    command: impl FnOnce(Contact, PasswordTried) -> C + Send + 'static,
) -> Result<(Contact, C::Reply), Refusal>
where
    C: Command<Refusal = Refusal> + Send + 'static,
    C::Reply: Send + 'static,
{
    let contact = Contact::parse(fields.text("account")).ok_or(Refusal::SignInWrong)?;
    let password = fields.text("password");
    if password.is_empty() || password.len() > MOST_PASSWORD_BYTES {
        return Err(Refusal::SignInWrong);
    }
    let salt = salt_of(visit, &contact, visit.asker()).await?;
    let password = Secret::new(password.to_owned());
    let (visit, wanted) = (visit.clone(), contact.clone());
    // A task of its own: whoever hangs up while their password is hashed has tried it all the same.
    let tried = tokio::spawn(async move {
        let tried = slow_hash(password, salt).await?;
        visit.submit(command(wanted, tried)).await
    });
    Ok((contact, tried.await.map_err(|_| Refusal::OutOfOrder)??))
}

/// What a password that is tried is salted with. Whether there is such an account shows neither in the salt's being there nor
/// in how long it takes: as much is read of nobody as of somebody.
///
/// # Errors
/// `SignInPaused` on a device that is not its holder's, where so much was wrong that it is not worth a hash.
async fn salt_of(visit: &Visit, contact: &Contact, asker: Asker) -> Result<[u8; 16], Refusal> {
    let (wanted, now) = (contact.clone(), visit.now());
    let engine = visit.app.engine.clone();
    let most = engine.policy().safety.wrong_from_block_most;
    let (password, pause) = visit
        .read(move |r| {
            let keys = engine.keys();
            let person = match &wanted {
                Contact::Phone(phone) => r.get::<PhoneOwner>(phone)?.map(|owner| owner.person),
                Contact::Email(email) => r.get::<EmailOwner>(email)?.map(|owner| owner.person),
            };
            let person = person.unwrap_or_else(|| nobody(keys, &wanted));
            let password = r.get::<LoginPassword>(&person)?;
            let device = asker
                .device
                .map_or(Ok(None), |device| r.get::<Device>(&device_key(keys, person, &device)))?;
            let count = asker.block.map_or(Ok(None), |block| r.get::<Allowance>(&wrong_from(keys, block)))?;
            let pause = count.and_then(|count| count.wait_s(now, most)).filter(|_| device.is_none());
            Ok((password, pause))
        })
        .await?;
    if let Some(wait_s) = pause {
        return Err(Refusal::SignInPaused { wait_s });
    }
    Ok(password.map_or_else(|| salt_of_nobody(visit.app.engine.keys(), contact), |password| password.salt))
}

pub(super) async fn sign_out(Sent(visit, _): Sent) -> Response {
    if let Some(token_hash) = visit.session_hash()
        && let Err(refusal) = visit.submit(SignOut { token_hash }).await
    {
        return visit.refuse(refusal);
    }
    let mut response = if visit.json { answer::data(json!({})) } else { answer::go("/login") };
    set_cookie(&mut response, &session_cookie("", 0, visit.app.secure));
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

/// The same reply with a cookie of ours, if there is one to set.
pub(super) fn with_cookie(mut response: Response, cookie: Option<String>) -> Response {
    if let Some(cookie) = cookie {
        set_cookie(&mut response, &cookie);
    }
    response
}
