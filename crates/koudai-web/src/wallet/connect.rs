//! Tells a merchant's page who is there, by a code that its server trades for an openid (protocol specification 5).
//!
//! As in the original, a person who is signed in is sent back at once and sees nothing; the merchant learns a name that no
//! other app knows them by.

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use koudai_core::login_code::LOGIN_CODE_LIFE_MS;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{App, Merchant};
use koudai_networks::prepay::is_appid;
use koudai_networks::{return_address, with_parameters};
use serde_json::json;

use super::answer;
use super::pages::ReturningPage;
use super::sign_in::with_next;
use super::visit::Visit;

/// The longest query that is read, in bytes: what has to fit into a page's address after signing in.
const MOST_BYTES: usize = 1_800;
/// The longest `state`, in characters, as in the original.
const MOST_STATE: usize = 128;
/// Said by the link that leads here from signing in.
const SIGNED_IN: &str = "signed_in";

/// What a merchant's page asks for.
struct Asked {
    appid: String,
    /// A program that shows merchants' pages itself needs none.
    redirect_uri: Option<String>,
    state: Option<String>,
    signed_in: bool,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Refusal> {
        let malformed = Refusal::RequestMalformed;
        if query.len() > MOST_BYTES {
            return Err(malformed);
        }
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| malformed)?;
        let find = |name: &str| {
            let mut found = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone());
            let first = found.next().filter(|value| !value.is_empty());
            if found.next().is_some() { Err(malformed) } else { Ok(first) }
        };
        let is = |name: &str, value: &str| find(name).map(|found| found.is_none_or(|found| found == value));
        if !is("response_type", "code")? || !is("scope", "snsapi_base")? {
            return Err(malformed);
        }
        let state = find("state")?;
        if state.as_ref().is_some_and(|s| s.chars().count() > MOST_STATE || s.chars().any(char::is_control)) {
            return Err(malformed);
        }
        let (appid, redirect_uri) = (find("appid")?.ok_or(malformed)?, find("redirect_uri")?);
        Ok(Self { appid, redirect_uri, state, signed_in: find("from")?.as_deref() == Some(SIGNED_IN) })
    }

    /// The way back here once somebody has signed in.
    fn again(&self) -> String {
        let mut pairs = vec![("appid", self.appid.as_str())];
        pairs.extend(self.redirect_uri.as_deref().map(|uri| ("redirect_uri", uri)));
        pairs.extend(self.state.as_deref().map(|state| ("state", state)));
        pairs.push(("from", SIGNED_IN));
        let query = serde_urlencoded::to_string(pairs).expect("pairs of texts can be written");
        format!("/connect/oauth2/authorize?{query}")
    }
}

/// `GET /connect/oauth2/authorize?appid=&redirect_uri=&response_type=code&scope=snsapi_base&state=`. To a program it
/// answers the code itself, for pages that the program shows: what `wx.login` gives.
pub(super) async fn authorize(visit: Visit, RawQuery(query): RawQuery) -> Response {
    let result = allow(&visit, query.as_deref().unwrap_or_default()).await;
    visit.settle(result)
}

async fn allow(visit: &Visit, query: &str) -> Result<Response, Refusal> {
    let asked = Asked::read(query)?;
    if !is_appid(&asked.appid) {
        return Err(Refusal::AppUnknown);
    }
    let appid = asked.appid.clone();
    let read = visit.read(move |r| match r.get::<App>(&appid)? {
        Some(app) => r.get::<Merchant>(&app.mchid),
        None => Ok(None),
    });
    let merchant = read.await?.ok_or(Refusal::AppUnknown)?;
    if merchant.suspended {
        return Err(Refusal::MerchantSuspended);
    }
    let reach = visit.app.networks.reach;
    let back = match &asked.redirect_uri {
        Some(uri) => {
            Some(return_address(reach, &merchant.h5_domains, uri).ok_or(Refusal::DomainNotRegistered)?)
        }
        None if visit.json => None,
        None => return Err(Refusal::RequestMalformed),
    };
    let person = match visit.person() {
        Ok(person) => person,
        Err(_) if !visit.json => return Ok(answer::go(&with_next("/login", Some(&asked.again())))),
        Err(refusal) => return Err(refusal),
    };
    let expires_at = visit.app.engine.now().plus(LOGIN_CODE_LIFE_MS);
    let code = visit.app.networks.vault.login_code(&asked.appid, person, expires_at);
    let state = asked.state.as_deref();
    let Some(back) = back else {
        return Ok(answer::data(json!({ "code": code, "state": state })));
    };
    let parameters = [("code", code.as_str()), ("state", state.unwrap_or_default())];
    let url = with_parameters(back, &parameters[..if state.is_some() { 2 } else { 1 }]).to_string();
    if visit.json {
        return Ok(answer::data(json!({ "code": code, "state": state, "redirect": url })));
    }
    if asked.signed_in {
        // Browsers hold a redirect that follows a form of ours to the form's policy, which allows no other site. A page
        // that goes on by itself is no such redirect.
        return Ok(answer::ok(&ReturningPage { l: visit.l, merchant: merchant.name, url }));
    }
    Ok((StatusCode::FOUND, [(LOCATION, url)]).into_response())
}
