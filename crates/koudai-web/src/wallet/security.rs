//! The security centre: what guards the account, and proving who one is before any of it changes.

use axum::extract::Query;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::identity::{Contact, Email, Phone};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    CodeKey, CodePurpose, LoginPassword, OneTimeCode, PaymentPassword, Person, SecondStep, Session,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    CODE_LIFE_MS, PasswordTried, ProveByCode, RemoveEmail, RemoveLoginPassword, RequestEmailCode,
    RequestPhoneCode, RequestProof, SetEmail, SetLoginPassword, SetPhone, seconds_until,
};
use koudai_core::time::{SECOND, Timestamp};
use koudai_store::{Reader, StoreError};
use serde::Deserialize;
use serde_json::json;

use super::answer;
use super::fields::{Fields, Sent};
use super::pages::{EmailPage, LoginPasswordPage, NewPhonePage, ProofPage, Protected, SecurityPage};
use super::passkeys;
use super::sign_in::{MOST_PASSWORD_BYTES, cookie_text, own_path, set_cookie, with_next};
use super::slow_hash::slow_hash;
use super::visit::{Visit, cookie};

/// The address that a code was sent to, while its page is open.
const NEW_EMAIL: &str = "koudai_email";
/// The number that a code was sent to which is to belong to an account, while its page is open.
pub(super) const NEW_PHONE: &str = "koudai_phone";
const PHONE: &str = "/security/phone";
/// Characters of a log-in password (NIST SP 800-63B, section 3.1.1.2, beside a second factor).
const PASSWORD_LEAST: usize = 8;
const PASSWORD_MOST: usize = 128;
/// How many guesses a password has to withstand, what is tried online before anybody
/// notices, many times over, and all the passwords that lists of leaked ones begin with.
const GUESSES_LEAST: u64 = 100_000_000;
/// How much of a password is looked at for that; the time it takes grows quickly.
const LOOKED_AT: usize = 64;

#[derive(Deserialize)]
pub(super) struct Next {
    pub(super) next: Option<String>,
}

/// `GET /security`.
pub(super) async fn home(visit: Visit) -> Response {
    let result = async {
        let person = visit.person_row().await?;
        let id = person.id;
        let (password, payment, second) = visit
            .read(move |r| {
                Ok((r.get::<LoginPassword>(&id)?, r.get::<PaymentPassword>(&id)?, r.get::<SecondStep>(&id)?))
            })
            .await?;
        let page = SecurityPage {
            l: visit.l,
            protected: Protected::of(&person, visit.now(), &visit.app.engine.policy().safety),
            phone: person.phone.masked(),
            email: person.email.as_ref().map(Email::masked),
            email_offered: visit.app.networks.mail.is_some(),
            password_set_at: password.and_then(|row| row.since()),
            passkeys: person.passkeys,
            passkeys_offered: passkeys::are_offered(&visit),
            payment_password_set_at: payment.map(|row| row.set_at),
            two_steps: second.is_some_and(|row| row.is_on()),
        };
        if visit.json {
            return Ok(answer::data(json!({
                "phone": page.phone,
                "email": page.email,
                "login_password_set_ms": page.password_set_at.map(|at| at.0),
                "passkeys": page.passkeys,
                "two_steps": page.two_steps,
                "payment_password_set_ms": page.payment_password_set_at.map(|at| at.0),
            })));
        }
        Ok(answer::ok(&page))
    };
    let result = result.await;
    visit.settle(result)
}

/// Whether a code that this session asked for is under way to the person's phone, and then the seconds until another may be
/// asked for.
pub(super) async fn under_way(
    visit: &Visit,
    person: &Person,
    purpose: CodePurpose,
) -> Result<Option<u32>, Refusal> {
    let key = CodeKey { contact: Contact::Phone(person.phone.clone()), purpose };
    let (session, now, gap_ms) = (visit.session()?, visit.now(), code_gap_ms(visit));
    visit.read(move |r| sent_code(r, &key, &session, now, gap_ms)).await
}

/// What has to pass between two codes, ms.
pub(super) fn code_gap_ms(visit: &Visit) -> i64 {
    visit.app.engine.policy().safety.code_gap_ms
}

/// Whether a code is under way that whoever holds `request` asked for, and then the seconds until another may be asked for.
pub(super) fn sent_code(
    r: &Reader,
    key: &CodeKey,
    request: &[u8; 32],
    now: Timestamp,
    gap_ms: i64,
) -> Result<Option<u32>, StoreError> {
    let is_live = |row: &OneTimeCode| {
        row.request == *request && row.tries_left > 0 && now.since(row.asked_at) < CODE_LIFE_MS
    };
    let sent = r.get::<OneTimeCode>(key)?.filter(is_live);
    Ok(sent.map(|row| seconds_until(row.asked_at.plus(gap_ms), now)))
}

/// The page on which somebody proves who they are.
async fn proof_page(
    visit: &Visit,
    next: Option<&str>,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let person = visit.person_row().await?;
    let sent = under_way(visit, &person, CodePurpose::Proof).await?;
    let page = ProofPage {
        l: visit.l,
        next: next.unwrap_or("/security").to_owned(),
        phone: person.phone.masked(),
        code_sent: sent.is_some(),
        resend_in_s: sent.unwrap_or(0),
        passkey: person.passkeys > 0 && passkeys::are_offered(visit),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(axum::http::StatusCode::OK, answer::status), &page))
}

/// Whether whoever is signed in has a second step, by which they prove who they are.
async fn has_two_steps(visit: &Visit) -> bool {
    let Ok(person) = visit.person() else { return false };
    let row = visit.read(move |r| r.get::<SecondStep>(&person)).await;
    row.is_ok_and(|row| row.is_some_and(|row| row.is_on()))
}

/// `GET /security/proof`.
pub(super) async fn proof(visit: Visit, Query(query): Query<Next>) -> Response {
    if has_two_steps(&visit).await {
        let next = own_path(query.next.as_deref());
        return answer::go(&with_next("/security/proof/second", next.as_deref()));
    }
    let result = proof_page(&visit, own_path(query.next.as_deref()).as_deref(), None).await;
    visit.settle(result)
}

/// `POST /security/proof/code`.
pub(super) async fn send_proof(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        visit.submit(RequestProof { session, language: Some(visit.language()) }).await
    };
    let next = own_path(fields.get("next"));
    match result.await {
        Ok(wait_s) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok(_) => answer::go(&with_next("/security/proof", next.as_deref())),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = proof_page(&visit, next.as_deref(), Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// `POST /security/proof`.
pub(super) async fn prove(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(ProveByCode { session, code }).await
    };
    let next = own_path(fields.get("next"));
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go(next.as_deref().unwrap_or("/security")),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = proof_page(&visit, next.as_deref(), Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// Whether somebody may change what guards the account, before they fill in a form for it.
pub(super) async fn proven(visit: &Visit) -> Result<(), Refusal> {
    let session = visit.session()?;
    let row = visit.read(move |r| r.get::<Session>(&session)).await?.ok_or(Refusal::SignedOut)?;
    let proven = row.is_proven(visit.now(), &visit.app.engine.policy().safety);
    if proven { Ok(()) } else { Err(Refusal::ProofNeeded) }
}

fn email_cookie(value: &str, life_s: i64, secure: bool) -> String {
    cookie_text(NEW_EMAIL, value, "/security/email", life_s, secure)
}

/// The address that a code was sent to a moment ago.
fn asked_for(headers: &HeaderMap) -> Option<Email> {
    let text = URL_SAFE_NO_PAD.decode(cookie(headers, NEW_EMAIL)?).ok()?;
    Email::parse(std::str::from_utf8(&text).ok()?)
}

fn email_page(
    visit: &Visit,
    present: Option<String>,
    sent_to: Option<&Email>,
    refusal: Option<Refusal>,
) -> Response {
    let page = EmailPage {
        l: visit.l,
        present,
        sent_to: sent_to.map(|email| email.address().to_owned()),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    answer::page(refusal.map_or(axum::http::StatusCode::OK, answer::status), &page)
}

/// `GET /security/email`.
pub(super) async fn email(visit: Visit, headers: HeaderMap) -> Response {
    let result = async {
        let person = visit.person_row().await?;
        if visit.app.networks.mail.is_none() {
            return Err(Refusal::EmailNotOffered);
        }
        proven(&visit).await?;
        let present = person.email.as_ref().map(Email::masked);
        Ok(email_page(&visit, present, asked_for(&headers).as_ref(), None))
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /security/email/code`.
pub(super) async fn send_email_code(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        if visit.app.networks.mail.is_none() {
            return Err(Refusal::EmailNotOffered);
        }
        let email = Email::parse(fields.text("email")).ok_or(Refusal::EmailInvalid)?;
        let (asker, language) = (visit.asker(), Some(visit.language()));
        let wait_s =
            visit.submit(RequestEmailCode { session, email: email.clone(), asker, language }).await?;
        Ok((email, wait_s))
    };
    match result.await {
        Ok((_, wait_s)) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok((email, _)) => {
            let mut response = answer::go("/security/email");
            let value = URL_SAFE_NO_PAD.encode(email.address());
            set_cookie(&mut response, &email_cookie(&value, CODE_LIFE_MS / SECOND, visit.app.secure));
            response
        }
        Err(refusal) => refused_email(&visit, refusal, asked_for(&headers).as_ref()).await,
    }
}

/// The number that a code was sent to a moment ago.
pub(super) fn new_phone_of(headers: &HeaderMap) -> Option<Phone> {
    cookie(headers, NEW_PHONE).and_then(Phone::parse)
}

async fn phone_page(
    visit: &Visit,
    sent_to: Option<Phone>,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let present = Some(visit.person_row().await?.phone.masked());
    let session = visit.session()?;
    new_phone_page(visit, PHONE, present, session, sent_to, refusal).await
}

/// The page on which a number is confirmed that is to belong to an account. `request` is what its code was asked for by.
pub(super) async fn new_phone_page(
    visit: &Visit,
    action: &'static str,
    present: Option<String>,
    request: [u8; 32],
    sent_to: Option<Phone>,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let (now, gap_ms) = (visit.now(), code_gap_ms(visit));
    let sent = match sent_to.clone() {
        Some(phone) => {
            let key = CodeKey { contact: Contact::Phone(phone), purpose: CodePurpose::NewPhone };
            visit.read(move |r| sent_code(r, &key, &request, now, gap_ms)).await?
        }
        None => None,
    };
    let page = NewPhonePage {
        l: visit.l,
        action,
        present,
        sent_to: sent_to.filter(|_| sent.is_some()).map(|phone| phone.digits().to_owned()),
        resend_in_s: sent.unwrap_or(0),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(axum::http::StatusCode::OK, answer::status), &page))
}

/// `GET /security/phone`.
pub(super) async fn phone(visit: Visit, headers: HeaderMap) -> Response {
    let result = async {
        proven(&visit).await?;
        phone_page(&visit, new_phone_of(&headers), None).await
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /security/phone/code`.
pub(super) async fn send_phone_code(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let phone = Phone::parse(fields.text("phone")).ok_or(Refusal::PhoneInvalid)?;
        let (asker, language) = (visit.asker(), Some(visit.language()));
        let command = RequestPhoneCode { session, phone: phone.clone(), asker, language };
        Ok((phone, visit.submit(command).await?))
    };
    match result.await {
        Ok((_, wait_s)) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok((phone, _)) => {
            let mut response = answer::go(PHONE);
            let life_s = CODE_LIFE_MS / SECOND;
            set_cookie(
                &mut response,
                &cookie_text(NEW_PHONE, phone.digits(), PHONE, life_s, visit.app.secure),
            );
            response
        }
        Err(refusal) => refused_phone(&visit, refusal, new_phone_of(&headers)).await,
    }
}

/// `POST /security/phone`.
pub(super) async fn set_phone(Sent(visit, fields): Sent) -> Response {
    let phone = Phone::parse(fields.text("phone"));
    let result = async {
        let session = visit.session()?;
        let phone = phone.clone().ok_or(Refusal::PhoneInvalid)?;
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(SetPhone { session, phone, code }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => {
            let mut response = answer::go("/security");
            set_cookie(&mut response, &cookie_text(NEW_PHONE, "", PHONE, 0, visit.app.secure));
            response
        }
        Err(refusal) => refused_phone(&visit, refusal, phone).await,
    }
}

async fn refused_phone(visit: &Visit, refusal: Refusal, sent_to: Option<Phone>) -> Response {
    if visit.json || is_elsewhere(refusal) {
        return visit.refuse(refusal);
    }
    let again = phone_page(visit, sent_to, Some(refusal)).await;
    visit.settle(again)
}

/// Whether a refusal is answered by another page than the one it was refused on.
pub(super) const fn is_elsewhere(refusal: Refusal) -> bool {
    use Refusal::{AccountFrozen, EmailNotOffered, ProofNeeded, RenewalExpired, SignedOut};
    matches!(refusal, SignedOut | ProofNeeded | RenewalExpired | AccountFrozen | EmailNotOffered)
}

async fn refused_email(visit: &Visit, refusal: Refusal, sent_to: Option<&Email>) -> Response {
    if visit.json || is_elsewhere(refusal) {
        return visit.refuse(refusal);
    }
    let present = visit.person_row().await.ok().and_then(|person| person.email.as_ref().map(Email::masked));
    email_page(visit, present, sent_to, Some(refusal))
}

/// `POST /security/email`.
pub(super) async fn set_email(Sent(visit, fields): Sent) -> Response {
    let email = Email::parse(fields.text("email"));
    let result = async {
        let session = visit.session()?;
        let email = email.clone().ok_or(Refusal::EmailInvalid)?;
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(SetEmail { session, email, code }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => {
            let mut response = answer::go("/security");
            set_cookie(&mut response, &email_cookie("", 0, visit.app.secure));
            response
        }
        Err(refusal) => refused_email(&visit, refusal, email.as_ref()).await,
    }
}

/// `POST /security/email/remove`.
pub(super) async fn remove_email(Sent(visit, _): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        visit.submit(RemoveEmail { session }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go("/security"),
        Err(refusal) => refused_email(&visit, refusal, None).await,
    }
}

async fn password_page(visit: &Visit, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let person = visit.person()?;
    let row = visit.read(move |r| r.get::<LoginPassword>(&person)).await?;
    let set_at = row.and_then(|row| row.since());
    let page = LoginPasswordPage { l: visit.l, set_at, refused: refusal.map(|r| answer::refused(visit, r)) };
    Ok(answer::page(refusal.map_or(axum::http::StatusCode::OK, answer::status), &page))
}

/// `GET /security/password`.
pub(super) async fn password(visit: Visit) -> Response {
    let result = async {
        visit.person()?;
        proven(&visit).await?;
        password_page(&visit, None).await
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /security/password`.
pub(super) async fn set_password(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let person = visit.person_row().await?;
        proven(&visit).await?;
        let password = fields.text("password");
        check_password(password, &[person.phone.digits(), person.email.as_ref().map_or("", Email::address)])?;
        let row = visit.read(move |r| r.get::<LoginPassword>(&person.id)).await?;
        let old = old_password(&fields, row.as_ref()).await?;
        let salt = row.map_or_else(fresh_salt, |row| row.salt);
        let new = slow_hash(Secret::new(password.to_owned()), salt).await?;
        visit.submit(SetLoginPassword { session, old, new }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go("/security"),
        Err(refusal) => refused_password(&visit, refusal).await,
    }
}

/// The present password as typed, if there is one to compare it with.
async fn old_password(
    fields: &Fields,
    row: Option<&LoginPassword>,
) -> Result<Option<PasswordTried>, Refusal> {
    let typed = fields.text("old_password");
    match row.filter(|row| row.mac.is_some()) {
        Some(row) if !typed.is_empty() && typed.len() <= MOST_PASSWORD_BYTES => {
            slow_hash(Secret::new(typed.to_owned()), row.salt).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn refused_password(visit: &Visit, refusal: Refusal) -> Response {
    if visit.json || is_elsewhere(refusal) {
        return visit.refuse(refusal);
    }
    let again = password_page(visit, Some(refusal)).await;
    visit.settle(again)
}

/// `POST /security/password/remove`.
pub(super) async fn remove_password(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let (session, person) = (visit.session()?, visit.person()?);
        proven(&visit).await?;
        let row = visit.read(move |r| r.get::<LoginPassword>(&person)).await?;
        let old = old_password(&fields, row.as_ref()).await?;
        visit.submit(RemoveLoginPassword { session, old }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go("/security"),
        Err(refusal) => refused_password(&visit, refusal).await,
    }
}

pub(super) fn fresh_salt() -> [u8; 16] {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).expect("the operating system has random bytes");
    salt
}

/// Whether a password is long enough and none of those that are tried first: no common one, leaked one, or run of keys, and
/// nothing made of what others know of its holder.
///
/// # Errors
/// `LoginPasswordLength` or `LoginPasswordCommon`.
pub(super) fn check_password(password: &str, known: &[&str]) -> Result<(), Refusal> {
    let length = password.chars().count();
    if !(PASSWORD_LEAST..=PASSWORD_MOST).contains(&length) || password.len() > MOST_PASSWORD_BYTES {
        return Err(Refusal::LoginPasswordLength);
    }
    let looked_at: String = password.chars().take(LOOKED_AT).collect();
    if zxcvbn::zxcvbn(&looked_at, known).guesses() < GUESSES_LEAST {
        return Err(Refusal::LoginPasswordCommon);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_enough_and_not_one_that_is_tried_first() {
        let known = ["13800138000", "xiaoming@mail.example"];
        for short in ["", "zq8#Kd2", &"长".repeat(129), &"x".repeat(600)] {
            assert_eq!(check_password(short, &known), Err(Refusal::LoginPasswordLength), "{short}");
        }
        for common in [
            "password",
            "Password1",
            "12345678",
            "qwertyuiop",
            "iloveyou1",
            "aaaaaaaa",
            "11111111",
            "woaini1314",
            "5201314520",
            "a1234567",
            "1q2w3e4r",
            "13800138000",
            "xiaoming",
            "20260101",
        ] {
            assert_eq!(check_password(common, &known), Err(Refusal::LoginPasswordCommon), "{common}");
        }
        for fine in
            ["zq8#Kd2pW", "correct horse battery staple", "我家门前有两棵枣树", "tulip-ferry-9-quartz"]
        {
            assert_eq!(check_password(fine, &known), Ok(()), "{fine}");
        }
    }
}
