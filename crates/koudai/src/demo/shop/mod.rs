//! The demo's shop: a merchant like any other. It orders through the gateway with the published client, shows the code,
//! and believes only what it has verified: a notification, or the answer to a query of its own.

mod books;
mod code;
mod pages;
mod till;

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use koudai_core::id::MchId;
use koudai_core::money::{Currency, Money};
use koudai_core::rows::{Merchant, Product};
use koudai_core::static_code::CreateStaticCode;
use koudai_engine::{Clock, Engine};
use koudai_networks::Networks;
use koudai_networks::platform::token_text;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::client::{Client, ClientConfig};
use koudai_wechatpay::headers::{PlatformKeys, SignedHeaders};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::face::{self, language, wants_json};
use crate::failure::Failure;
use crate::house::unix_seconds;
use crate::merchant::{self, Credentials};
use crate::{durable, sandbox};
use books::Books;
use pages::{HomePage, OrderPage, OrdersPage, RefusedPage};
use till::{Order, Refusal, Till};

/// The shop's name, as payers read it.
const NAME: &str = "街角小店 Corner Shop";
/// What the code on its counter says.
const LABEL: &str = "收银台 Counter";
/// The largest body the shop reads: a notification's.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Orders on the list.
const LISTED: u32 = 50;

/// Something to buy.
#[derive(Debug)]
struct Goods {
    /// As `POST /orders` names it.
    id: &'static str,
    /// One character that stands for it.
    sign: &'static str,
    zh: &'static str,
    en: &'static str,
    fen: i64,
}

const GOODS: [Goods; 6] = [
    Goods { id: "dumplings", sign: "饺", zh: "白菜猪肉水饺", en: "Pork dumplings", fen: 880 },
    Goods { id: "noodles", sign: "面", zh: "葱油拌面", en: "Scallion oil noodles", fen: 1_200 },
    Goods { id: "soymilk", sign: "豆", zh: "现磨豆浆", en: "Fresh soy milk", fen: 300 },
    Goods { id: "tea", sign: "茶", zh: "桂花乌龙茶", en: "Osmanthus oolong", fen: 650 },
    Goods { id: "cake", sign: "糕", zh: "生日蛋糕", en: "Birthday cake", fen: 8_800 },
    Goods { id: "sweet", sign: "糖", zh: "一颗糖", en: "One sweet", fen: 1 },
];

fn goods(id: &str) -> Option<&'static Goods> {
    GOODS.iter().find(|goods| goods.id == id)
}

/// Opens the shop: makes its merchant at the first start, and returns its pages.
///
/// # Errors
/// If its directory cannot be used or the merchant cannot be made.
pub(super) async fn open(
    data: &Path,
    engine: &Engine,
    networks: &Networks,
    [wallet, gateway]: [&str; 2],
    notify_url: String,
) -> Result<Router, Failure> {
    let directory = data.join("shop");
    durable::make_directory(&directory)
        .map_err(|error| Failure::because(format!("making {}", directory.display()), &error))?;
    let credentials = credentials(&directory, engine, networks).await?;
    let sheet = counter(engine, &credentials.mchid).await?.map(|sheet| format!("{wallet}{sheet}"));
    let client = client(&credentials, gateway)
        .ok_or_else(|| Failure::new(format!("{} is damaged", directory.join(CREDENTIALS).display())))?;
    let path = directory.join("shop.db");
    let books = Books::open(&path)
        .map_err(|error| Failure::because(format!("opening {}", path.display()), &error))?;
    let till = Till::new(client, books, credentials.mchid, credentials.appid, notify_url, Clock::wall());
    Ok(router(Arc::new(till), sheet))
}

/// The path of the sheet with the code on the shop's counter, made when it has none; `None` if it may not have one, as shops of an
/// earlier version.
async fn counter(engine: &Engine, mchid: &str) -> Result<Option<String>, Failure> {
    let lost = |error: &dyn std::fmt::Display| Failure::new(format!("the shop's printed code: {error}"));
    let Some(mchid) = MchId::parse(mchid) else { return Ok(None) };
    let read = engine.read(move |reader| {
        let merchant = reader.get::<Merchant>(&mchid)?.filter(|merchant| merchant.may_use(Product::Static));
        Ok((merchant.is_some(), reader.static_codes_of(mchid, 1)?.pop()))
    });
    let code = match read.await.map_err(|error| lost(&error))? {
        (false, _) => return Ok(None),
        (true, Some(code)) => code,
        (true, None) => {
            let create = CreateStaticCode { mchid, label: LABEL.to_owned(), notify_url: None };
            engine.submit(create).await.map_err(|_| lost(&"it was not made"))?
        }
    };
    Ok(Some(format!("/s/{}/sheet", token_text(&code.token))))
}

const CREDENTIALS: &str = "merchant.json";

/// What the shop signs with; made like any merchant's when the wallet does not know it yet.
async fn credentials(directory: &Path, engine: &Engine, networks: &Networks) -> Result<Credentials, Failure> {
    let path = directory.join(CREDENTIALS);
    if path.exists() {
        let kept: Option<Credentials> = serde_json::from_str(&sandbox::text(&path)?).ok();
        let kept = kept.ok_or_else(|| Failure::new(format!("{} is damaged", path.display())))?;
        let mchid = MchId::parse(&kept.mchid);
        let known = engine
            .read(move |reader| mchid.map_or(Ok(None), |mchid| reader.get::<Merchant>(&mchid)))
            .await
            .map_err(|error| Failure::because("looking for the shop's merchant", &error))?;
        if known.is_some() {
            return Ok(kept);
        }
    }
    let (key, csr_pem) = merchant::key_and_request();
    let request = merchant::Create {
        name: NAME.to_owned(),
        products: ["native", "codepay", "static"].map(str::to_owned).to_vec(),
        csr_pem,
    };
    let mut made = merchant::create(engine, &networks.vault, &networks.platform, request)
        .await
        .map_err(|why| Failure::new(format!("making the shop's merchant: {why}")))?;
    made.private_key_pem = Some(key.to_pem().as_str().to_owned());
    let text = serde_json::to_string_pretty(&made).expect("credentials are plain JSON");
    durable::write(&path, text.as_bytes())
        .map_err(|error| Failure::because(format!("writing {}", path.display()), &error))?;
    Ok(made)
}

fn client(credentials: &Credentials, gateway: &str) -> Option<Client> {
    let mut platform_keys = PlatformKeys::new();
    let certificate = PublicKey::from_pem(&credentials.platform_certificate_pem).ok()?;
    platform_keys.insert(&credentials.platform_certificate_serial, certificate);
    let public_key = PublicKey::from_pem(&credentials.platform_public_key_pem).ok()?;
    platform_keys.insert(&credentials.platform_public_key_id, public_key);
    let config = ClientConfig {
        base_url: gateway.to_owned(),
        mchid: credentials.mchid.clone(),
        serial_no: credentials.serial_no.clone(),
        key: PrivateKey::from_pem(credentials.private_key_pem.as_deref()?).ok()?,
        api_v3_key: ApiV3Key::new(&credentials.apiv3_key).ok()?,
        platform_keys,
        platform_serial: None,
        clock: unix_seconds,
    };
    Client::new(config).ok()
}

type Shop = State<Arc<Till>>;

fn router(till: Arc<Till>, sheet: Option<String>) -> Router {
    let router = Router::new()
        .route("/", get(async move |headers: HeaderMap| home(&headers, sheet)))
        .route("/orders", get(list).post(place))
        .route("/orders/{no}", get(show))
        .route("/scan", post(scan))
        .route("/orders/{no}/code.png", get(picture))
        .route("/orders/{no}/cancel", post(cancel))
        .route("/orders/{no}/refund", post(refund))
        .route("/notify", post(notify))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(till);
    face::dressed(router)
}

/// `sheet` is where the code on the counter is printed.
fn home(headers: &HeaderMap, sheet: Option<String>) -> Response {
    face::page(StatusCode::OK, &HomePage { l: language(headers), goods: &GOODS, sheet })
}

async fn list(State(till): Shop, headers: HeaderMap) -> Response {
    match till.newest(LISTED) {
        Ok(orders) if wants_json(&headers) => {
            Json(serde_json::json!({ "orders": orders.iter().map(json).collect::<Vec<_>>() })).into_response()
        }
        Ok(orders) => face::page(StatusCode::OK, &OrdersPage { l: language(&headers), orders }),
        Err(refusal) => refused(&headers, &refusal, None),
    }
}

#[derive(Deserialize)]
struct PlaceRequest {
    goods: String,
    /// Instead of the price: `12.34`.
    amount: Option<String>,
}

async fn place(State(till): Shop, headers: HeaderMap, body: Bytes) -> Response {
    let request: Option<PlaceRequest> = fields(&headers, &body);
    let Some(goods) = request.as_ref().and_then(|request| goods(&request.goods)) else {
        return refused(&headers, &Refusal::Unreadable, None);
    };
    let fen = match request.and_then(|request| request.amount).filter(|text| !text.is_empty()) {
        None => goods.fen,
        Some(text) => match fen(&text) {
            Some(fen) => fen,
            None => return refused(&headers, &Refusal::Amount, None),
        },
    };
    match till.place(goods, fen).await {
        Ok(order) if wants_json(&headers) => (StatusCode::CREATED, Json(json(&order))).into_response(),
        Ok(order) => Redirect::to(&order.path()).into_response(),
        Err(refusal) => refused(&headers, &refusal, None),
    }
}

#[derive(Deserialize)]
struct ScanRequest {
    goods: String,
    /// Instead of the price.
    amount: Option<String>,
    /// What the scanner read, or the cashier typed.
    code: String,
}

/// Takes a payment by the code that a payer shows.
async fn scan(State(till): Shop, headers: HeaderMap, body: Bytes) -> Response {
    let request: Option<ScanRequest> = fields(&headers, &body);
    let Some((goods, request)) = request.and_then(|request| Some((goods(&request.goods)?, request))) else {
        return refused(&headers, &Refusal::Unreadable, None);
    };
    let given = request.amount.as_deref().filter(|text| !text.is_empty());
    let Some(fen) = given.map_or(Some(goods.fen), fen) else {
        return refused(&headers, &Refusal::Amount, None);
    };
    let digits: String = request.code.chars().filter(|c| !c.is_whitespace()).take(32).collect();
    if digits.is_empty() {
        return refused(&headers, &Refusal::Unreadable, None);
    }
    match till.scan(goods, fen, &digits).await {
        Ok(order) if wants_json(&headers) => (StatusCode::CREATED, Json(json(&order))).into_response(),
        Ok(order) => Redirect::to(&order.path()).into_response(),
        Err(refusal) => refused(&headers, &refusal, None),
    }
}

/// Takes back what a payer has not confirmed.
async fn cancel(State(till): Shop, headers: HeaderMap, UrlPath(no): UrlPath<String>) -> Response {
    match till.cancel(&no).await {
        Ok(order) if wants_json(&headers) => Json(json(&order)).into_response(),
        Ok(order) => Redirect::to(&order.path()).into_response(),
        Err(refusal) => refused(&headers, &refusal, till.look(&no).await.ok()),
    }
}

async fn show(State(till): Shop, headers: HeaderMap, UrlPath(no): UrlPath<String>) -> Response {
    match till.look(&no).await {
        Ok(order) if wants_json(&headers) => Json(json(&order)).into_response(),
        Ok(order) => face::page(StatusCode::OK, &OrderPage::new(language(&headers), order, None)),
        Err(refusal) => refused(&headers, &refusal, None),
    }
}

/// The order's code as a picture, to be saved and looked at by a wallet without a camera.
async fn picture(State(till): Shop, headers: HeaderMap, UrlPath(no): UrlPath<String>) -> Response {
    let png = match till.look(&no).await {
        Ok(order) => order.code_url.as_deref().and_then(code::png),
        Err(refusal) => return refused(&headers, &refusal, None),
    };
    match png {
        Some(png) => {
            let name = format!("inline; filename=\"{no}.png\"");
            ([(header::CONTENT_TYPE, "image/png"), (header::CONTENT_DISPOSITION, name.as_str())], png)
                .into_response()
        }
        None => refused(&headers, &Refusal::NoCode, None),
    }
}

#[derive(Default, Deserialize)]
struct Refunding {
    /// All that is left, if absent or empty.
    amount: Option<String>,
    /// Which refund of the order this is; the page fills it in, so that a form sent twice is one refund.
    number: Option<String>,
}

async fn refund(
    State(till): Shop,
    headers: HeaderMap,
    UrlPath(no): UrlPath<String>,
    body: Bytes,
) -> Response {
    let request = if body.is_empty() { Some(Refunding::default()) } else { fields(&headers, &body) };
    let Some(Refunding { amount, number }) = request else {
        return refused(&headers, &Refusal::Unreadable, None);
    };
    let amount = match amount.as_deref().filter(|text| !text.is_empty()).map(fen) {
        Some(None) => return refused(&headers, &Refusal::Amount, till.look(&no).await.ok()),
        given => given.flatten(),
    };
    let number = number.as_deref().and_then(|text| text.parse().ok());
    match till.refund(&no, amount, number).await {
        Ok(order) if wants_json(&headers) => Json(json(&order)).into_response(),
        Ok(order) => Redirect::to(&order.path()).into_response(),
        Err(refusal) => refused(&headers, &refusal, till.look(&no).await.ok()),
    }
}

/// Takes a notification: 204 only once it is verified and written down.
async fn notify(State(till): Shop, headers: HeaderMap, body: Bytes) -> Response {
    let read = SignedHeaders::read(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let Ok(signed) = read else { return answer_notice(StatusCode::UNAUTHORIZED, "not signed") };
    match till.notified(&signed, &body) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refusal::NotOurs) => answer_notice(StatusCode::UNAUTHORIZED, "not verified"),
        Err(_) => answer_notice(StatusCode::INTERNAL_SERVER_ERROR, "try again"),
    }
}

fn answer_notice(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "code": "FAIL", "message": message }))).into_response()
}

/// The fields of a form or of a JSON body.
fn fields<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Option<T> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if content_type.starts_with("application/json") {
        return serde_json::from_slice(body).ok();
    }
    axum::extract::Query::try_from_uri(&format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()?)
        .ok()
        .map(|axum::extract::Query(fields)| fields)
}

/// An amount of yuan as people write it, above zero.
fn fen(text: &str) -> Option<i64> {
    let money = Money::parse_major(text.trim(), Currency::Cny).ok()?;
    (!money.is_zero()).then_some(money.minor())
}

fn amount(fen: i64) -> Money {
    Money::fen(fen).unwrap_or(Money::zero(Currency::Cny))
}

/// An order as programs read it.
fn json(order: &Order) -> serde_json::Value {
    let money = |fen: i64| serde_json::json!({ "minor": fen, "currency": "CNY" });
    let refund = |refund: &books::Refund| serde_json::json!({ "refund_no": refund.refund_no, "state": refund.state.word(), "amount": money(refund.fen) });
    serde_json::json!({
        "order_no": order.order_no,
        "goods": order.goods,
        "state": order.state().word(),
        "amount": money(order.fen),
        "refunded": money(order.refunded()),
        "refunds": order.refunds.iter().map(refund).collect::<Vec<_>>(),
        "code_url": order.code_url,
    })
}

/// A refusal, on the page of the order it is about if there is one.
fn refused(headers: &HeaderMap, refusal: &Refusal, order: Option<Order>) -> Response {
    let (l, status) = (language(headers), refusal.status());
    if wants_json(headers) {
        let body = serde_json::json!({ "code": refusal.code(), "message": refusal.wording(l) });
        return (status, Json(body)).into_response();
    }
    match order {
        Some(order) => face::page(status, &OrderPage::new(l, order, Some(refusal.wording(l)))),
        None => face::page(status, &RefusedPage { l, why: refusal.wording(l) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_say_the_same() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let form: PlaceRequest = fields(&headers, b"goods=tea&amount=6.50").unwrap();
        headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        let body: PlaceRequest = fields(&headers, br#"{"goods":"tea","amount":"6.50"}"#).unwrap();
        assert_eq!((form.goods, form.amount), (body.goods, body.amount));
        assert!(fields::<PlaceRequest>(&headers, b"goods=tea").is_none());
    }

    #[test]
    fn amounts_are_yuan_above_zero() {
        assert_eq!(fen("8.80"), Some(880));
        assert_eq!(fen(" 1 "), Some(100));
        for wrong in ["", "0", "0.00", "-1", "1.234", "1e2", "¥1"] {
            assert_eq!(fen(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn goods_are_told_apart_by_their_ids() {
        for one in &GOODS {
            assert_eq!(goods(one.id).unwrap().zh, one.zh);
            assert!(one.fen > 0);
        }
        assert!(goods("").is_none());
    }
}
