//! Who a person is, to a merchant's server: the two calls that trade a login code for an openid (protocol specification 5).
//!
//! They are older than APIv3: nothing is signed, the app proves itself by a secret in the query, and a refusal is a 200 with
//! a number in it. So no address of these routes is ever logged.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use koudai_core::login_code::{LoginCodeSpent, UseLoginCode};
use koudai_core::rows::{App as AppRow, Merchant};
use koudai_engine::Failed;
use koudai_networks::prepay::{LoginCode, is_appid};
use serde_json::{Value, json};

use super::JSON;
use super::limits::Class;
use crate::App;

/// How long the tokens are said to be good, in seconds. Nothing takes them: they are there for SDKs that insist.
const TOKEN_LIFE_S: u32 = 7_200;
/// The longest query that is read, in bytes.
const MOST_BYTES: usize = 2_048;

/// The two calls.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/sns/oauth2/access_token", get(access_token))
        .route("/sns/jscode2session", get(session))
}

/// What was refused: a number of the original's, and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused(i32, &'static str);

const SYSTEM: Refused = Refused(-1, "system error");
const GRANT_TYPE: Refused = Refused(40_002, "invalid grant_type");
const APPID: Refused = Refused(40_013, "invalid appid");
const CODE: Refused = Refused(40_029, "invalid code");
const PARAMETER: Refused = Refused(40_035, "invalid parameter");
const SECRET: Refused = Refused(40_125, "invalid appsecret");
const USED: Refused = Refused(40_163, "code been used");
const NO_APPID: Refused = Refused(41_002, "appid missing");
const NO_SECRET: Refused = Refused(41_004, "appsecret missing");
const NO_CODE: Refused = Refused(41_008, "missing code");
const EXPIRED: Refused = Refused(42_003, "code expired");
const TOO_OFTEN: Refused = Refused(45_009, "reach max api minute limit");
const NOT_ALLOWED: Refused = Refused(48_001, "api unauthorized");

/// `GET /sns/oauth2/access_token?appid=&secret=&code=&grant_type=authorization_code`.
async fn access_token(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let openid = openid(&app, query.as_deref(), "code").await;
    let reply = openid.map(|openid| {
        json!({
            "access_token": koudai_wechatpay::nonce(),
            "expires_in": TOKEN_LIFE_S,
            "refresh_token": koudai_wechatpay::nonce(),
            "openid": openid,
            "scope": "snsapi_base",
        })
    });
    answer("/sns/oauth2/access_token", reply)
}

/// `GET /sns/jscode2session?appid=&secret=&js_code=&grant_type=authorization_code`.
async fn session(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let openid = openid(&app, query.as_deref(), "js_code").await;
    let reply = openid.map(|openid| {
        use base64::Engine as _;
        let key =
            base64::engine::general_purpose::STANDARD.encode(&koudai_wechatpay::nonce().as_bytes()[..16]);
        json!({ "session_key": key, "openid": openid })
    });
    answer("/sns/jscode2session", reply)
}

/// Every answer is a 200. The log has the number and never the query.
fn answer(route: &'static str, reply: Result<Value, Refused>) -> Response {
    let errcode = reply.as_ref().err().map_or(0, |refused| refused.0);
    tracing::info!(route, errcode, "answered");
    let body =
        reply.unwrap_or_else(|Refused(errcode, errmsg)| json!({ "errcode": errcode, "errmsg": errmsg }));
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, "no-store")], body.to_string()).into_response()
}

/// The openid of whom a code stands for, once the app has proven itself. The code is used then.
async fn openid(app: &App, query: Option<&str>, code_name: &str) -> Result<String, Refused> {
    let query = query.unwrap_or_default();
    if query.len() > MOST_BYTES {
        return Err(PARAMETER);
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| PARAMETER)?;
    let parameter = |name: &str| {
        let mut found = pairs.iter().filter(|(key, value)| key == name && !value.is_empty());
        let first = found.next().map(|(_, value)| value.as_str());
        // Programs disagree about which of two counts.
        if found.next().is_some() { Err(PARAMETER) } else { Ok(first) }
    };
    let appid = parameter("appid")?.ok_or(NO_APPID)?.to_owned();
    let secret = parameter("secret")?.ok_or(NO_SECRET)?;
    let code = parameter(code_name)?.ok_or(NO_CODE)?;
    if parameter("grant_type")?.is_some_and(|kind| kind != "authorization_code") {
        return Err(GRANT_TYPE);
    }
    if !is_appid(&appid) {
        return Err(APPID);
    }
    let wanted = appid.clone();
    let read = app.engine.read(move |reader| {
        let Some(row) = reader.get::<AppRow>(&wanted)? else { return Ok(None) };
        let merchant = reader.get::<Merchant>(&row.mchid)?.expect("an app has its merchant");
        Ok(Some((row.mchid, row.secret_mac, merchant.suspended)))
    });
    let (mchid, secret_mac, suspended) = read.await.map_err(|error| unread(&error))?.ok_or(APPID)?;
    let vault = &app.networks.vault;
    if !secret_mac.is_some_and(|mac| vault.is_app_secret(&appid, secret, &mac)) {
        return Err(SECRET);
    }
    app.limiter.call(mchid, Class::Queries, app.engine.clock().now()).map_err(|_| TOO_OFTEN)?;
    if suspended {
        return Err(NOT_ALLOWED);
    }
    let LoginCode { person, token, expires_at } = vault.open_login_code(&appid, code).ok_or(CODE)?;
    match app.engine.submit(UseLoginCode { token, expires_at }).await {
        Ok(()) => Ok(vault.openid(&appid, person)),
        Err(Failed::Refused(LoginCodeSpent::Used)) => Err(USED),
        Err(Failed::Refused(LoginCodeSpent::Expired)) => Err(EXPIRED),
        Err(Failed::Busy | Failed::Stopped) => Err(SYSTEM),
    }
}

fn unread(error: &koudai_store::StoreError) -> Refused {
    tracing::error!(%error, "an app could not be looked up");
    SYSTEM
}
