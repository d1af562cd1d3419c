//! Two-step verification over HTTP: set up in the security centre, given when signing in on a new device, and as proof.

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use koudai_core::identity::{Contact, Email};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{CodeKey, CodePurpose, HalfSession, Person, SecondStep};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    ConfirmApp, FinishSignIn, HALF_SESSION_LIFE_MS, OfferApp, ProveBySecondStep, RemoveApp,
    RenewRecoveryCodes, RequestProof, RequestSecondCode, SecondAnswer, SetSecondByCode, app_secret,
    other_contact, takes_code,
};
use koudai_core::time::SECOND;
use serde_json::{Value, json};

use super::fields::{Fields, Sent};
use super::pages::{AuthenticatorPage, RecoveryCodesPage, SecondStepPage, SecondWay, TwoStepsPage};
use super::security::{code_gap_ms, is_elsewhere, proven, sent_code};
use super::sign_in::{Asked as Wanted, Opening, cookie_text, own_path, set_cookie, signed_in_now, with_next};
use super::visit::{Visit, cookie, token_hash};
use super::{answer, barcode, passkeys};

/// What whoever gave the first step holds until the second.
const HALF: &str = "koudai_half";
const HOME: &str = "/security/two-steps";
const APP: &str = "/security/two-steps/app";

/// Where a second step is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Signing in.
    Login,
    /// In a session, as proof.
    Proof,
}

impl Place {
    const fn path(self) -> &'static str {
        match self {
            Self::Login => "/login/second",
            Self::Proof => "/security/proof/second",
        }
    }
}

/// Who is to give a second step, and what they may give.
struct Asked {
    place: Place,
    person: Person,
    row: SecondStep,
    /// Where a code goes, if codes do.
    contact: Option<Contact>,
    /// Seconds until another may be asked for, if one was sent.
    sent: Option<u32>,
}

impl Asked {
    async fn read(visit: &Visit, place: Place, half: Option<[u8; 32]>) -> Result<Self, Refusal> {
        let now = visit.now();
        let holder = visit.person();
        let session = visit.session_hash();
        let gap_ms = code_gap_ms(visit);
        let read = visit.read(move |r| {
            let (person, first, request) = match place {
                Place::Login => {
                    let row = half.map_or(Ok(None), |half| r.get::<HalfSession>(&half))?;
                    let Some(row) = row.filter(|row| now < row.expires_at) else { return Ok(None) };
                    (row.person, Some(row.first), row.token_hash)
                }
                Place::Proof => {
                    let (Ok(person), Some(session)) = (holder, session) else { return Ok(None) };
                    (person, None, session)
                }
            };
            let person = r.get::<Person>(&person)?.expect("whoever signs in is there");
            let row = r.get::<SecondStep>(&person.id)?.filter(SecondStep::is_on);
            let Some(row) = row else { return Ok(None) };
            let takes_code = takes_code(&row, place == Place::Proof);
            let contact = other_contact(&person, first.as_ref()).filter(|_| takes_code);
            let key = contact.clone().map(|contact| CodeKey { contact, purpose: CodePurpose::SecondStep });
            let sent = key.map_or(Ok(None), |key| sent_code(r, &key, &request, now, gap_ms))?;
            Ok(Some(Self { place, person, row, contact, sent }))
        });
        let refusal = if place == Place::Login { Refusal::SecondStepOver } else { Refusal::SignedOut };
        read.await?.ok_or(refusal)
    }

    /// The ways there are, the first of which a page begins with.
    fn ways(&self) -> Vec<SecondWay> {
        let ways = [
            (self.row.app.is_some(), SecondWay::App),
            (self.contact.is_some(), SecondWay::Code),
            (self.row.recovery_left() > 0, SecondWay::Recovery),
        ];
        ways.into_iter().filter_map(|(there, way)| there.then_some(way)).collect()
    }

    fn page(
        &self,
        visit: &Visit,
        by: Option<&str>,
        next: Option<String>,
        refusal: Option<Refusal>,
    ) -> Response {
        let ways = self.ways();
        let chosen = ways.iter().copied().find(|way| Some(way.word()) == by);
        let page = SecondStepPage {
            l: visit.l,
            signs_in: self.place == Place::Login,
            path: self.place.path(),
            way: chosen.or(ways.first().copied()).unwrap_or(SecondWay::Recovery),
            ways,
            sent_to: self.contact.as_ref().map_or_else(String::new, Contact::masked),
            code_sent: self.sent.is_some(),
            resend_in_s: self.sent.unwrap_or(0),
            passkey: self.person.passkeys > 0 && passkeys::are_offered(visit),
            next,
            refused: refusal.map(|r| answer::refused(visit, r)),
        };
        answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
    }
}

/// What a form or program gives.
pub(super) fn given(fields: &Fields) -> SecondAnswer {
    let code = Secret::new(fields.text("code").trim().to_owned());
    match fields.text("by") {
        "code" => SecondAnswer::Code(code),
        "recovery" => SecondAnswer::Recovery(code),
        _ => SecondAnswer::App(code),
    }
}

fn half_cookie(value: &str, life_s: i64, secure: bool) -> String {
    cookie_text(HALF, value, "/login", life_s, secure)
}

/// What whoever gave the first step shows: a browser by a cookie, a program by `request`.
fn shown(headers: &HeaderMap, fields: Option<&Fields>) -> Option<[u8; 32]> {
    let sent = fields.and_then(|fields| fields.get("request"));
    sent.or_else(|| cookie(headers, HALF)).map(token_hash)
}

/// On to the second step, with what shows who gave the first.
pub(super) async fn on_to_second(visit: &Visit, token: &str, next: Option<&str>) -> Response {
    if visit.json {
        let asked = Asked::read(visit, Place::Login, Some(token_hash(token))).await;
        let ways = asked.map(|asked| asked.ways().iter().map(|way| way.word()).collect::<Vec<_>>());
        return visit
            .settle(ways.map(|ways| answer::data(json!({"second_step": {"request": token, "ways": ways}}))));
    }
    let mut response = answer::go(&with_next(Place::Login.path(), next));
    set_cookie(&mut response, &half_cookie(token, HALF_SESSION_LIFE_MS / SECOND, visit.app.secure));
    response
}

/// `GET /login/second`.
pub(super) async fn login_page(visit: Visit, headers: HeaderMap, Query(query): Query<Wanted>) -> Response {
    let next = own_path(query.next.as_deref());
    match Asked::read(&visit, Place::Login, shown(&headers, None)).await {
        Ok(asked) => asked.page(&visit, query.by.as_deref(), next, None),
        Err(Refusal::SecondStepOver) => answer::go(&with_next("/login", next.as_deref())),
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `POST /login/second`.
pub(super) async fn finish(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let opening = Opening::new();
    let half = shown(&headers, Some(&fields));
    let result = async {
        let command = FinishSignIn {
            half: half.ok_or(Refusal::SecondStepOver)?,
            answer: given(&fields),
            asker: visit.asker_at(&opening.device),
            token_hash: token_hash(&opening.token),
        };
        visit.submit(command).await
    };
    match result.await {
        Ok(signed_in) => {
            let mut response = signed_in_now(&visit, signed_in, &opening, fields.get("next")).await;
            set_cookie(&mut response, &half_cookie("", 0, visit.app.secure));
            response
        }
        Err(refusal) => refused(&visit, Place::Login, half, &fields, refusal).await,
    }
}

/// `POST /login/second/code`.
pub(super) async fn send_login_code(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let half = shown(&headers, Some(&fields));
    let result = async {
        let half = half.ok_or(Refusal::SecondStepOver)?;
        visit.submit(RequestSecondCode { half, language: Some(visit.language()) }).await
    };
    let result = result.await;
    code_sent(&visit, Place::Login, half, &fields, result).await
}

/// `GET /security/proof/second`.
pub(super) async fn proof_page(visit: Visit, Query(query): Query<Wanted>) -> Response {
    let next = own_path(query.next.as_deref());
    match Asked::read(&visit, Place::Proof, None).await {
        Ok(asked) => asked.page(&visit, query.by.as_deref(), next, None),
        // There is no second step, or not any more.
        Err(Refusal::SignedOut) if visit.person().is_ok() => {
            answer::go(&with_next("/security/proof", next.as_deref()))
        }
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `POST /security/proof/second`.
pub(super) async fn prove(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        visit.submit(ProveBySecondStep { session, answer: given(&fields) }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go(own_path(fields.get("next")).as_deref().unwrap_or("/security")),
        Err(refusal) => refused(&visit, Place::Proof, None, &fields, refusal).await,
    }
}

/// `POST /security/proof/second/code`.
pub(super) async fn send_proof_code(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        visit.submit(RequestProof { session, language: Some(visit.language()) }).await
    };
    let result = result.await;
    code_sent(&visit, Place::Proof, None, &fields, result).await
}

async fn code_sent(
    visit: &Visit,
    place: Place,
    half: Option<[u8; 32]>,
    fields: &Fields,
    result: Result<u32, Refusal>,
) -> Response {
    match result {
        Ok(wait_s) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok(_) => {
            let page = with_next(place.path(), own_path(fields.get("next")).as_deref());
            answer::go(&format!("{page}{}by=code", if page.contains('?') { "&" } else { "?" }))
        }
        Err(refusal) => refused(visit, place, half, fields, refusal).await,
    }
}

async fn refused(
    visit: &Visit,
    place: Place,
    half: Option<[u8; 32]>,
    fields: &Fields,
    refusal: Refusal,
) -> Response {
    if visit.json || refusal == Refusal::SecondStepOver || is_elsewhere(refusal) {
        return visit.refuse(refusal);
    }
    let (by, next) = (fields.get("by"), own_path(fields.get("next")));
    match Asked::read(visit, place, half).await {
        Ok(asked) => asked.page(visit, by, next, Some(refusal)),
        Err(_) => visit.refuse(refusal),
    }
}

async fn own_row(visit: &Visit) -> Result<(Person, Option<SecondStep>), Refusal> {
    let person = visit.person_row().await?;
    let id = person.id;
    Ok((person, visit.read(move |r| r.get::<SecondStep>(&id)).await?))
}

/// The page of what is set up.
async fn home_page(visit: &Visit, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let (person, row) = own_row(visit).await?;
    let page = TwoStepsPage {
        l: visit.l,
        app_since: row.as_ref().and_then(|row| row.app_since),
        by_code: row.as_ref().is_some_and(|row| row.by_code),
        email: person.email.as_ref().map(Email::masked),
        email_offered: visit.app.networks.mail.is_some(),
        phone: person.phone.masked(),
        recovery_left: row.as_ref().filter(|row| row.is_on()).map(SecondStep::recovery_left),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    if visit.json {
        return Ok(answer::data(json!({
            "app_since_ms": page.app_since.map(|at| at.0),
            "by_code": page.by_code,
            "recovery_codes_left": page.recovery_left,
        })));
    }
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

/// `GET /security/two-steps`.
pub(super) async fn home(visit: Visit) -> Response {
    let result = home_page(&visit, None).await;
    visit.settle(result)
}

/// `GET /security/two-steps/app`.
pub(super) async fn app(visit: Visit) -> Response {
    let result = app_page(&visit, None).await;
    visit.settle(result)
}

/// What an authenticator app reads from a QR code.
fn app_link(visit: &Visit, person: &Person, secret: &str) -> String {
    let operator = visit.l.operator(&visit.app.operator);
    let query =
        [("secret", secret), ("issuer", operator), ("algorithm", "SHA1"), ("digits", "6"), ("period", "30")];
    // Apps take a plus for a plus.
    let query = serde_urlencoded::to_string(query).unwrap_or_default().replace('+', "%20");
    let name = serde_urlencoded::to_string([("", operator)]).unwrap_or_default().replace('+', "%20");
    let (name, phone) = (name.trim_start_matches('='), person.phone.masked().replace('*', "%2A"));
    format!("otpauth://totp/{name}:{phone}?{query}")
}

/// Bytes in the letters that people can type into an app (RFC 4648, section 6).
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |five: &[u8]| {
        let value = five.iter().fold(0, |sum, bit| sum << 1 | bit) << (5 - five.len());
        char::from(LETTERS[usize::from(value)])
    };
    bits.chunks(5).map(letter).collect()
}

async fn app_page(visit: &Visit, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let (person, row) = own_row(visit).await?;
    let mut page = AuthenticatorPage {
        l: visit.l,
        since: row.as_ref().and_then(|row| row.app_since),
        secret: String::new(),
        link: String::new(),
        drawn: None,
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    let session = visit.session()?;
    if let Some(nonce) = row.and_then(|row| row.offer(&session, visit.now())) {
        // It is shown to whoever proved of late who they are, and to nobody else.
        proven(visit).await?;
        let secret = base32(app_secret(visit.app.engine.keys(), person.id, &nonce).expose());
        page.link = app_link(visit, &person, &secret);
        page.drawn = Some(barcode::squares(&page.link).ok_or(Refusal::OutOfOrder)?);
        page.secret = secret;
    }
    if visit.json {
        return Ok(answer::data(json!({
            "since_ms": page.since.map(|at| at.0),
            "secret": page.drawn.as_ref().map(|_| &page.secret),
            "link": page.drawn.as_ref().map(|_| &page.link),
        })));
    }
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

/// `POST /security/two-steps/app`.
pub(super) async fn offer_app(Sent(visit, _): Sent) -> Response {
    let result = async { visit.submit(OfferApp { session: visit.session()? }).await };
    match result.await {
        Ok(()) if visit.json => {
            let page = app_page(&visit, None).await;
            visit.settle(page)
        }
        Ok(()) => answer::go(APP),
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `POST /security/two-steps/app/confirm`.
pub(super) async fn confirm_app(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let code = Secret::new(fields.text("code").chars().filter(|c| !c.is_whitespace()).take(64).collect());
        visit.submit(ConfirmApp { session: visit.session()?, code }).await
    };
    match result.await {
        Ok(codes) => codes_page(&visit, &codes),
        Err(refusal) if visit.json || is_elsewhere(refusal) => visit.refuse(refusal),
        Err(refusal) => {
            let again = app_page(&visit, Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// `POST /security/two-steps/app/remove`.
pub(super) async fn remove_app(Sent(visit, _): Sent) -> Response {
    let result = async { visit.submit(RemoveApp { session: visit.session()? }).await };
    let result = result.await.map(|()| if visit.json { answer::data(json!({})) } else { answer::go(HOME) });
    visit.settle(result)
}

/// `POST /security/two-steps/codes`: whether codes to phone and address are the second step.
pub(super) async fn set_by_code(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let on = match fields.text("on") {
            "yes" => true,
            "no" => false,
            _ => return Err(Refusal::RequestMalformed),
        };
        visit.submit(SetSecondByCode { session: visit.session()?, on }).await
    };
    match result.await {
        Ok(codes) => codes_page(&visit, &codes),
        Err(refusal) if visit.json || is_elsewhere(refusal) => visit.refuse(refusal),
        Err(refusal) => {
            let again = home_page(&visit, Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// `POST /security/two-steps/recovery`.
pub(super) async fn renew_recovery(Sent(visit, _): Sent) -> Response {
    let result = async { visit.submit(RenewRecoveryCodes { session: visit.session()? }).await };
    match result.await {
        Ok(codes) => codes_page(&visit, &codes),
        Err(refusal) => visit.refuse(refusal),
    }
}

/// Recovery codes, shown this once; without any, on to what is set up.
fn codes_page(visit: &Visit, codes: &[Secret<String>]) -> Response {
    let grouped = |code: &Secret<String>| {
        let (front, back) = code.expose().split_at(code.expose().len() / 2);
        format!("{front}-{back}")
    };
    let codes: Vec<String> = codes.iter().map(grouped).collect();
    if visit.json {
        return answer::data(json!({"recovery_codes": Value::from(codes)}));
    }
    if codes.is_empty() {
        return answer::go(HOME);
    }
    answer::ok(&RecoveryCodesPage { l: visit.l, codes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10, without the padding that apps do not want.
    #[test]
    fn letters_for_apps_are_those_of_the_standard() {
        for (bytes, letters) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), letters);
        }
    }
}
