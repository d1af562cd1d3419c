//! How a payer comes from a merchant's page, app or link to the payment page (protocol specification 5).
//!
//! A page and an app bring parameters that the merchant has signed, a link brings a ticket of ours. Only what fits leads to
//! the page; everything else about the order is for that page to say.

use axum::extract::RawQuery;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use koudai_core::order::OrderStanding;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Merchant, MerchantCertificate, Order, OrderCode, Product};
use koudai_core::time::{MINUTE, Timestamp};
use koudai_networks::platform::token_text;
use koudai_networks::return_address;
use koudai_wechatpay::message;
use serde_json::json;

use super::answer;
use super::return_to::Way;
use super::visit::{Unrecognised, Visit};

/// The longest query that is read, in bytes: a signature takes 350, an address to return to at most 3,000 when encoded.
const MOST_BYTES: usize = 6_144;
/// How far ahead of ours a merchant's clock may be, ms.
const AHEAD_MS: i64 = 5 * MINUTE;
/// The longest `nonceStr`, in characters.
const MOST_NONCE: usize = 64;

/// `GET /js/koudai-pay.js`: what a merchant's page loads. Its name never changes, so it is asked for again each hour.
pub(super) async fn script() -> Response {
    let kind = "text/javascript; charset=utf-8";
    let source = include_str!("../../static/koudai-pay.js");
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=3600")], source).into_response()
}

/// The parameters of a call-up. SDKs spell their names in different cases, and `packageValue` is `package`.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let query = query.filter(|query| query.len() <= MOST_BYTES).ok_or(Refusal::CallUpInvalid)?;
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(query).map_err(|_| Refusal::CallUpInvalid)?;
        Ok(Self(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
    }

    /// A parameter that may be absent; given twice it is refused.
    fn find(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = found.next().filter(|value| !value.is_empty());
        if found.next().is_some() { Err(Refusal::CallUpInvalid) } else { Ok(first) }
    }

    fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.find(name)?.ok_or(Refusal::CallUpInvalid)
    }
}

/// An order that is called up, and what is needed to judge by whom.
struct Called {
    code: [u8; 16],
    code_expires_at: Timestamp,
    order: Order,
    merchant: Merchant,
    certificates: Vec<MerchantCertificate>,
}

impl Called {
    async fn find(visit: &Visit, prepay_id: &str, product: Product) -> Result<Self, Refusal> {
        let code = visit.app.networks.vault.code_of(prepay_id).ok_or(Refusal::CallUpInvalid)?;
        let read = visit.read(move |r| {
            let Some(row) = r.get::<OrderCode>(&code)? else { return Ok(None) };
            let order = r.get::<Order>(&row.order)?.expect("a code has its order");
            let merchant = r.get::<Merchant>(&order.mchid)?.expect("an order has its merchant");
            let certificates = r.certificates_of(order.mchid)?;
            Ok(Some(Self { code, code_expires_at: row.expires_at, order, merchant, certificates }))
        });
        // A code that is known no longer was ours, and is long past its time.
        let called = read.await?.ok_or(Refusal::CallUpStale)?;
        if called.order.product == product { Ok(called) } else { Err(Refusal::CallUpInvalid) }
    }

    /// Whether one of the merchant's certificates that are accepted now has signed this.
    fn is_signed(&self, now: Timestamp, message: &[u8], signature: &str) -> bool {
        let accepted = |c: &&MerchantCertificate| {
            c.revoked_at.is_none_or(|at| now < at) && c.not_before <= now && now <= c.not_after
        };
        self.certificates.iter().filter(accepted).any(|certificate| {
            crate::known_keys::key_of(&certificate.pem)
                .is_ok_and(|key| key.verify(message, signature).is_ok())
        })
    }

    /// Checks what a merchant has signed: `lines` makes the message of app, time, nonce and `prepay_id`.
    fn check_signed(
        &self,
        visit: &Visit,
        parameters: &Parameters,
        prepay_id: &str,
        signature: &str,
        lines: fn(&str, i64, &str, &str) -> Vec<u8>,
    ) -> Result<(), Refusal> {
        // A mini program leaves the app out of what it passes on, not out of what it signs.
        let appid = parameters.find("appid")?.unwrap_or(&self.order.appid);
        let (stamp, nonce) = (parameters.need("timestamp")?, parameters.need("noncestr")?);
        let signed_s: i64 = stamp.parse().map_err(|_| Refusal::CallUpInvalid)?;
        // What was signed is the text: a number in another spelling would be another text.
        if *appid != *self.order.appid || signed_s.to_string() != stamp || nonce.len() > MOST_NONCE {
            return Err(Refusal::CallUpInvalid);
        }
        let now = visit.app.engine.clock().now();
        let signed_at = Timestamp(signed_s.saturating_mul(1_000));
        let life = visit.app.engine.policy().code_life_ms;
        let timely =
            signed_at.0 <= now.0.saturating_add(AHEAD_MS) && now.0 <= signed_at.0.saturating_add(life);
        if !timely {
            return Err(Refusal::CallUpStale);
        }
        let signed = self.is_signed(now, &lines(appid, signed_s, nonce, prepay_id), signature);
        if signed { Ok(()) } else { Err(Refusal::CallUpInvalid) }
    }

    /// On to the payment page. An address that may not be returned to is forgotten, and the page has no way back.
    fn go(&self, visit: &Visit, way: Way, back: Option<&str>) -> Result<Response, Refusal> {
        let payable = self.order.standing(visit.now()) == OrderStanding::Payable;
        if payable && visit.now() >= self.code_expires_at {
            return Err(Refusal::CallUpStale);
        }
        let path = format!("/pay/{}", token_text(&self.code));
        let reach = visit.app.networks.reach;
        let back = back.filter(|back| return_address(reach, &self.merchant.h5_domains, back).is_some());
        let mut response = if visit.json { answer::data(json!({ "pay": path })) } else { answer::go(&path) };
        way.remember(&mut response, &path, back, visit.app.secure);
        Ok(response)
    }
}

/// `GET /pay/jsapi?appId=&timeStamp=&nonceStr=&package=prepay_id%3D…&signType=RSA&paySign=&return_url=`.
pub(super) async fn jsapi(Unrecognised(visit): Unrecognised, RawQuery(query): RawQuery) -> Response {
    let result = async {
        let parameters = Parameters::read(query.as_deref())?;
        let prepay_id =
            parameters.need("package")?.strip_prefix("prepay_id=").ok_or(Refusal::CallUpInvalid)?;
        if parameters.find("signtype")?.is_some_and(|kind| !kind.eq_ignore_ascii_case("RSA")) {
            return Err(Refusal::CallUpInvalid);
        }
        let called = Called::find(&visit, prepay_id, Product::Jsapi).await?;
        let signature = parameters.need("paysign")?;
        called.check_signed(&visit, &parameters, prepay_id, signature, message::jsapi)?;
        called.go(&visit, Way::Jsapi, parameters.find("return_url")?)
    };
    let result = result.await;
    visit.settle(result)
}

/// `GET /pay/app?appid=&partnerid=&prepayid=&package=Sign%3DWXPay&noncestr=&timestamp=&sign=&return_url=`.
pub(super) async fn app(Unrecognised(visit): Unrecognised, RawQuery(query): RawQuery) -> Response {
    let result = async {
        let parameters = Parameters::read(query.as_deref())?;
        let prepay_id = parameters.need("prepayid")?;
        let package = parameters.find("package")?.or(parameters.find("packagevalue")?);
        if package.is_some_and(|package| package != "Sign=WXPay") {
            return Err(Refusal::CallUpInvalid);
        }
        let called = Called::find(&visit, prepay_id, Product::App).await?;
        if parameters.find("partnerid")?.is_some_and(|mchid| mchid != called.order.mchid.wire()) {
            return Err(Refusal::CallUpInvalid);
        }
        let signature = parameters.need("sign")?;
        called.check_signed(&visit, &parameters, prepay_id, signature, message::app)?;
        called.go(&visit, Way::App, parameters.find("return_url")?)
    };
    let result = result.await;
    visit.settle(result)
}

/// `GET /pay/h5?prepay_id=&package=`, and the `redirect_url` that the merchant has put behind it.
pub(super) async fn h5(Unrecognised(visit): Unrecognised, RawQuery(query): RawQuery) -> Response {
    let result = async {
        let parameters = Parameters::read(query.as_deref())?;
        let called = Called::find(&visit, parameters.need("prepay_id")?, Product::H5).await?;
        let until = visit.app.networks.vault.h5_until(&called.code, parameters.need("package")?);
        if visit.now() >= until.ok_or(Refusal::CallUpInvalid)? {
            return Err(Refusal::CallUpStale);
        }
        called.go(&visit, Way::H5, parameters.find("redirect_url")?)
    };
    let result = result.await;
    visit.settle(result)
}
