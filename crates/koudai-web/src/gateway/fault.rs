//! Everything the gateway answers besides success: status, code, wording in both languages, and what stood where.
//!
//! Statuses and codes are those of the APIv3 error tables; `refusal` is the one place that gives the core's refusals
//! theirs.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use koudai_core::refusal::MerchantRefusal;
use koudai_engine::Failed;
use koudai_store::StoreError;
use koudai_wechatpay::JsonError;
use serde_json::{Value, json};

use super::fields::Place;
use crate::say::Lang;

/// The longest value that is quoted back, in characters.
const QUOTED: usize = 64;

/// Something said in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    zh: Cow<'static, str>,
    en: Cow<'static, str>,
}

/// Something said in both languages, in fixed words.
pub(super) const fn said(zh: &'static str, en: &'static str) -> Said {
    Said { zh: Cow::Borrowed(zh), en: Cow::Borrowed(en) }
}

impl Said {
    /// Something said in both languages.
    pub(super) fn new(zh: String, en: String) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    fn text(&self, lang: Lang) -> &str {
        lang.say(&self.zh, &self.en)
    }
}

/// The numbers behind the dash of `Request-ID`. Those of the live platform keep their meaning; those from
/// 900000000 on are our own. None is ever given another meaning.
mod number {
    pub(super) const PARAMETER: u32 = 268_435_461;
    pub(super) const OUT_OF_RANGE: u32 = 268_435_464;
    pub(super) const SIGNATURE: u32 = 268_443_699;
    pub(super) const MERCHANT_UNAVAILABLE: u32 = 268_443_715;
    pub(super) const APPID: u32 = 268_445_527;
    pub(super) const BUSY: u32 = 268_447_840;
    pub(super) const OTHER_MERCHANT: u32 = 268_447_843;
    pub(super) const ORDER_CLOSED: u32 = 268_447_914;
    pub(super) const RE_ENTRY: u32 = 268_498_688;
    pub(super) const ORDER_PAID: u32 = 268_498_689;
    pub(super) const ORDER_UNKNOWN: u32 = 268_512_771;
    pub(super) const NO_SUCH_PATH: u32 = 900_000_001;
    pub(super) const METHOD: u32 = 900_000_002;
    pub(super) const BODY: u32 = 900_000_003;
    pub(super) const SYSTEM: u32 = 900_000_004;
    pub(super) const PRODUCT: u32 = 900_000_005;
    pub(super) const USER_PAYING: u32 = 900_000_006;
    pub(super) const ORDER_NOT_PAID: u32 = 900_000_007;
    pub(super) const REFUND_UNKNOWN: u32 = 900_000_008;
    pub(super) const REFUND_RE_ENTRY: u32 = 900_000_009;
    pub(super) const REFUND_TOTAL: u32 = 900_000_010;
    pub(super) const REFUND_EXCEEDS: u32 = 900_000_011;
    pub(super) const REFUNDS_TOO_MANY: u32 = 900_000_012;
    pub(super) const REFUND_TOO_LATE: u32 = 900_000_013;
    pub(super) const NOT_ENOUGH: u32 = 900_000_014;
    pub(super) const NO_CERTIFICATE: u32 = 900_000_015;
    pub(super) const TOO_MANY_CALLS: u32 = 900_000_070;
    pub(super) const TOO_MANY_FAILURES: u32 = 900_000_071;
    pub(super) const NOT_OFFERED: u32 = 900_000_072;
}

/// More about a fault, for whoever reads the reply.
#[derive(Debug)]
enum Detail {
    None,
    Field {
        field: String,
        value: Option<String>,
        issue: Said,
        place: Place,
    },
    /// Of an authentication: what was wrong, and what the server saw.
    Signature {
        field: &'static str,
        issue: &'static str,
        seen: Option<Value>,
    },
}

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) number: u32,
    /// When the same request may be sent again, where that is known.
    pub(super) retry_after_s: Option<u64>,
    message: Said,
    detail: Box<Detail>,
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, number: u32, message: Said) -> Self {
        Self { status, code, number, retry_after_s: None, message, detail: Box::new(Detail::None) }
    }

    fn detailed(mut self, detail: Detail) -> Self {
        self.detail = Box::new(detail);
        self
    }

    fn about(self, field: &str, issue: Said) -> Self {
        self.detailed(Detail::Field { field: field.to_owned(), value: None, issue, place: Place::Body })
    }

    /// The JSON body.
    pub(super) fn body(&self, lang: Lang) -> Vec<u8> {
        let mut body = json!({ "code": self.code, "message": self.message.text(lang) });
        let detail = match &*self.detail {
            Detail::None => None,
            Detail::Field { field, value, issue, place } => {
                let mut detail =
                    json!({ "field": field, "issue": issue.text(lang), "location": place.word() });
                if let Some(value) = value {
                    detail["value"] = json!(value);
                }
                Some(detail)
            }
            Detail::Signature { field, issue, seen } => {
                let mut detail = json!({ "field": field, "issue": issue, "location": "authorization" });
                if let Some(seen) = seen {
                    detail["sign_information"] = seen.clone();
                }
                Some(detail)
            }
        };
        if let Some(detail) = detail {
            body["detail"] = detail;
        }
        serde_json::to_vec(&body).expect("a JSON value can be written")
    }

    /// 404: the path leads nowhere.
    pub(super) fn no_such_path() -> Self {
        let message = said("请求的接口不存在", "There is no such path.");
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", number::NO_SUCH_PATH, message)
    }

    /// 405: the path takes another method.
    pub(super) fn method_not_allowed() -> Self {
        let message = said("该接口不支持此 HTTP 方法", "This path does not take this method.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "INVALID_REQUEST", number::METHOD, message)
    }

    /// 413.
    pub(super) fn too_large(most: usize) -> Self {
        let message =
            Said::new(format!("请求体超过 {most} 字节"), format!("The body is larger than {most} bytes."));
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_REQUEST", number::BODY, message)
    }

    /// 408.
    pub(super) fn too_slow() -> Self {
        let message = said("接收请求体超时", "The body took too long to arrive.");
        Self::new(StatusCode::REQUEST_TIMEOUT, "INVALID_REQUEST", number::BODY, message)
    }

    /// 429: the merchant has used up what it may ask of this class for now.
    pub(super) fn too_many_calls(wait: Duration) -> Self {
        let message = said(
            "请求频率超过限制，请稍后用相同参数重试",
            "Too many requests of this kind; send the same one again later.",
        );
        Self::too_many(number::TOO_MANY_CALLS, message, wait)
    }

    /// 429: too many requests from one address did not prove who they are from.
    pub(super) fn too_many_failures(wait: Duration) -> Self {
        let message = said(
            "验签失败次数过多，请检查签名后稍后再试",
            "Too many requests from your address failed authentication; mend the signature, then try again later.",
        );
        Self::too_many(number::TOO_MANY_FAILURES, message, wait)
    }

    fn too_many(number: u32, message: Said, wait: Duration) -> Self {
        let mut fault = Self::new(StatusCode::TOO_MANY_REQUESTS, "FREQUENCY_LIMITED", number, message);
        fault.retry_after_s = Some(wait.as_secs() + 1);
        fault
    }

    /// 404: a call of the protocol's that this version does not have, whoever asks.
    pub(super) fn not_offered(zh: &str, en: &str) -> Self {
        let message = Said::new(
            format!("此版本不提供该接口（{zh}）"),
            format!("This version does not offer this call ({en})."),
        );
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", number::NOT_OFFERED, message)
    }

    /// 401: who asks is not proven. `issue` is for programs and the same in both languages.
    pub(super) fn sign_error(
        message: Said,
        field: &'static str,
        issue: &'static str,
        seen: Option<Value>,
    ) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "SIGN_ERROR", number::SIGNATURE, message)
            .detailed(Detail::Signature { field, issue, seen })
    }

    /// 400: a field or parameter is missing or wrong.
    pub(super) fn parameter(place: Place, field: &str, value: Option<&Value>, issue: Said) -> Self {
        let name = if field.is_empty() { "body" } else { field };
        let message = Said::new(
            format!("参数错误：{name} {}", issue.zh),
            format!("Parameter error: {name} {}.", issue.en),
        );
        Self::new(StatusCode::BAD_REQUEST, "PARAM_ERROR", number::PARAMETER, message)
            .detailed(Detail::Field { field: field.to_owned(), value: value.map(quoted), issue, place })
    }

    /// The same refusal, known to be about a value out of its range.
    pub(super) const fn out_of_range(mut self) -> Self {
        self.number = number::OUT_OF_RANGE;
        self
    }

    /// 400: the body cannot be taken as JSON.
    pub(super) fn bad_json(error: &JsonError) -> Self {
        let (field, issue) = match error {
            JsonError::DuplicateKey(pointer) => (pointer.as_str(), said("字段重复", "is given twice")),
            JsonError::TooDeep => ("", said("嵌套过深", "is nested too deeply")),
            JsonError::TooLarge => ("", said("过大", "is too large")),
            JsonError::Syntax(_) | JsonError::Shape(_) => ("", said("不是合法的 JSON", "is not valid JSON")),
        };
        Self::parameter(Place::Body, field, None, issue)
    }

    /// 400: signed by one merchant, about another.
    pub(super) fn other_merchant(mchid: &str, place: Place) -> Self {
        let field = if place == Place::Body { "/mchid" } else { "mchid" };
        let issue = said("与 Http 头中的 mchid 不一致", "is not the merchant of the Authorization header");
        let mut fault = Self::parameter(place, field, Some(&Value::from(mchid)), issue);
        fault.number = number::OTHER_MERCHANT;
        fault.message = said(
            "http header中的mchid与post payload中的mchid不匹配",
            "The mchid of the Authorization header and that of the request differ.",
        );
        fault
    }

    /// 404: there is no platform certificate to hand out.
    pub(super) fn no_certificate() -> Self {
        let message = said(
            "无可用的平台证书，请使用平台公钥",
            "No platform certificate is available; use the public key.",
        );
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", number::NO_CERTIFICATE, message)
    }

    /// 500: a fault of ours.
    pub(super) fn system() -> Self {
        let message = said(
            "系统异常，请用相同参数重新调用",
            "System error. Send the same request again, with the same number.",
        );
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "SYSTEM_ERROR", number::SYSTEM, message)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "a merchant's request could not be answered");
        Self::system()
    }
}

/// A value as it is quoted back, cut to what helps to recognise it.
fn quoted(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= QUOTED { text } else { text.chars().take(QUOTED).chain(['…']).collect() }
}

/// What a merchant asked for, where the protocol's codes differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To place an order.
    Place,
    /// For an order.
    Query,
    /// To close an order.
    Close,
    /// For a refund, or to refund.
    Refund,
}

/// The fault of a command that got no reply.
#[expect(clippy::needless_pass_by_value, reason = "it takes what `map_err` gives")]
pub(super) fn failed(asked: Asked, failed: Failed<MerchantRefusal>) -> Fault {
    match failed {
        Failed::Refused(why) => refusal(asked, why),
        Failed::Busy => refusal(asked, MerchantRefusal::Busy),
        Failed::Stopped => Fault::system(),
    }
}

/// Status, code, number and wording of a refusal, as the error tables of the endpoints have them (2.1 to 2.5 of the
/// protocol's specification; 3.3 for re-entry, 6.4 for numbers).
#[expect(clippy::too_many_lines, reason = "a table with one entry a refusal")]
pub(super) fn refusal(asked: Asked, refusal: MerchantRefusal) -> Fault {
    use StatusCode as S;
    const INVALID: &str = "INVALID_REQUEST";
    let fault = |status, code, number, zh, en| Fault::new(status, code, number, said(zh, en));
    match refusal {
        MerchantRefusal::MerchantUnknown => {
            let status = if asked == Asked::Refund { S::NOT_FOUND } else { S::BAD_REQUEST };
            let (zh, en) = ("商户号不存在", "There is no such merchant.");
            fault(status, "MCH_NOT_EXISTS", number::MERCHANT_UNAVAILABLE, zh, en)
        }
        MerchantRefusal::MerchantSuspended => {
            let (zh, en) = ("商户收款功能已被暂停", "The merchant is suspended.");
            fault(S::FORBIDDEN, "NO_AUTH", number::MERCHANT_UNAVAILABLE, zh, en)
        }
        MerchantRefusal::AppidMismatch => {
            let (zh, en) = ("appid和mchid不匹配", "The appid is not bound to the mchid.");
            fault(S::BAD_REQUEST, "APPID_MCHID_NOT_MATCH", number::APPID, zh, en)
                .about("/appid", said("未与该商户号绑定", "is not bound to this merchant"))
        }
        MerchantRefusal::ProductNotEnabled => {
            let (zh, en) = ("商户未开通此产品权限", "The product is not enabled for this merchant.");
            fault(S::FORBIDDEN, "NO_AUTH", number::PRODUCT, zh, en)
        }
        MerchantRefusal::OutTradeNoUsed { field } => {
            let zh = "商户订单号重复：重入的请求参数与首次请求不一致";
            let en = "The out_trade_no was used with other parameters.";
            fault(S::FORBIDDEN, "OUT_TRADE_NO_USED", number::RE_ENTRY, zh, en)
                .about(field, said("与首次请求不一致", "differs from the first request"))
        }
        MerchantRefusal::OrderPaid => {
            let code = if asked == Asked::Place { INVALID } else { "ORDER_PAID" };
            fault(S::BAD_REQUEST, code, number::ORDER_PAID, "该订单已支付", "The order has been paid.")
        }
        MerchantRefusal::OrderClosed => {
            let (zh, en) = ("该订单已失效", "The order is closed; take a new out_trade_no.");
            fault(S::BAD_REQUEST, "ORDER_CLOSED", number::ORDER_CLOSED, zh, en)
        }
        MerchantRefusal::UserPaying => {
            let (zh, en) = ("用户支付中，请稍后再试", "The payer is paying; ask again later.");
            fault(S::ACCEPTED, "USER_PAYING", number::USER_PAYING, zh, en)
        }
        MerchantRefusal::OrderUnknown => {
            let code = if asked == Asked::Refund { "RESOURCE_NOT_EXISTS" } else { "ORDER_NOT_EXIST" };
            fault(S::NOT_FOUND, code, number::ORDER_UNKNOWN, "订单不存在", "There is no such order.")
        }
        MerchantRefusal::OrderNotPaid => {
            let (zh, en) = ("订单未支付，无法退款", "The order has not been paid, so it cannot be refunded.");
            fault(S::BAD_REQUEST, INVALID, number::ORDER_NOT_PAID, zh, en)
        }
        MerchantRefusal::RefundUnknown => {
            let (zh, en) = ("退款单不存在", "There is no such refund.");
            fault(S::NOT_FOUND, "RESOURCE_NOT_EXISTS", number::REFUND_UNKNOWN, zh, en)
        }
        MerchantRefusal::OutRefundNoUsed { field } => {
            let zh = "商户退款单号重复：重入的请求参数与首次请求不一致";
            let en = "The out_refund_no was used with other parameters.";
            fault(S::BAD_REQUEST, INVALID, number::REFUND_RE_ENTRY, zh, en)
                .about(field, said("与首次请求不一致", "differs from the first request"))
        }
        MerchantRefusal::RefundTotalMismatch => {
            let (zh, en) = ("订单金额与原订单不一致", "amount.total is not the order's total.");
            fault(S::BAD_REQUEST, INVALID, number::REFUND_TOTAL, zh, en)
                .about("/amount/total", said("应等于原订单金额", "must equal the order's total"))
        }
        MerchantRefusal::RefundExceedsRest { rest_minor } => {
            let (zh, en) = ("退款金额超过订单剩余可退金额", "The refund exceeds what is left of the order.");
            let issue = Said::new(
                format!("剩余可退金额为 {rest_minor} 分"),
                format!("must not exceed the {rest_minor} fen that are left"),
            );
            fault(S::BAD_REQUEST, INVALID, number::REFUND_EXCEEDS, zh, en).about("/amount/refund", issue)
        }
        MerchantRefusal::TooManyRefunds => {
            let (zh, en) = ("该订单退款次数已达上限", "The order has had as many refunds as it may have.");
            fault(S::BAD_REQUEST, INVALID, number::REFUNDS_TOO_MANY, zh, en)
        }
        MerchantRefusal::RefundTooLate => {
            let (zh, en) = ("订单已超过可退款期限", "The time in which the order may be refunded is over.");
            fault(S::BAD_REQUEST, INVALID, number::REFUND_TOO_LATE, zh, en)
        }
        MerchantRefusal::NotEnoughFunds => {
            let zh = "商户余额不足，请充值后用原退款单号重试";
            let en =
                "The merchant's money does not cover the refund; retry later with the same out_refund_no.";
            fault(S::FORBIDDEN, "NOT_ENOUGH", number::NOT_ENOUGH, zh, en)
        }
        MerchantRefusal::Busy => {
            let zh = "请求过于频繁，请稍后用相同参数重试";
            let en = "Too many requests; send the same one again later.";
            Fault::too_many(number::BUSY, said(zh, en), Duration::ZERO)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_every_number_stands_in_the_merchants_guide() {
        let guide = include_str!("../../../../docs/gateway.md");
        let source = include_str!("fault.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let mut numbers = 0;
        for line in source.lines().filter(|line| line.contains(": u32 = ")) {
            let number: String =
                line.chars().skip_while(|c| *c != '=').filter(char::is_ascii_digit).collect();
            assert!(guide.contains(&format!("| {number} |")), "{number} is not explained: {line}");
            numbers += 1;
        }
        let is_code = |text: &&str| {
            text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        let codes: Vec<&str> = source.split('"').skip(1).step_by(2).filter(is_code).collect();
        for code in &codes {
            assert!(guide.contains(&format!("| `{code}` |")), "{code} is not explained");
        }
        assert!(numbers > 25 && codes.len() > 15, "the source is still written as this test reads it");
    }

    #[test]
    fn every_answer_to_every_refusal_is_a_row_of_the_guide() {
        let guide = include_str!("../../../../docs/gateway.md");
        let field = "/amount/total";
        for why in [
            MerchantRefusal::MerchantUnknown,
            MerchantRefusal::MerchantSuspended,
            MerchantRefusal::AppidMismatch,
            MerchantRefusal::ProductNotEnabled,
            MerchantRefusal::OutTradeNoUsed { field },
            MerchantRefusal::OrderPaid,
            MerchantRefusal::OrderClosed,
            MerchantRefusal::UserPaying,
            MerchantRefusal::OrderUnknown,
            MerchantRefusal::OrderNotPaid,
            MerchantRefusal::RefundUnknown,
            MerchantRefusal::OutRefundNoUsed { field },
            MerchantRefusal::RefundTotalMismatch,
            MerchantRefusal::RefundExceedsRest { rest_minor: 1 },
            MerchantRefusal::TooManyRefunds,
            MerchantRefusal::RefundTooLate,
            MerchantRefusal::NotEnoughFunds,
            MerchantRefusal::Busy,
        ] {
            for asked in [Asked::Place, Asked::Query, Asked::Close, Asked::Refund] {
                let fault = refusal(asked, why);
                let row = format!("| {} | `{}` | {} |", fault.status.as_u16(), fault.code, fault.number);
                assert!(guide.contains(&row), "{asked:?} {why:?}: {row}");
            }
        }
    }

    fn read(fault: &Fault, lang: Lang) -> Value {
        serde_json::from_slice(&fault.body(lang)).unwrap()
    }

    #[test]
    fn a_refusal_reads_in_both_languages_and_names_the_field() {
        let fault = refusal(Asked::Place, MerchantRefusal::OutTradeNoUsed { field: "/amount/total" });
        assert_eq!((fault.status, fault.number), (StatusCode::FORBIDDEN, 268_498_688));
        let (zh, en) = (read(&fault, Lang::Zh), read(&fault, Lang::En));
        assert_eq!(zh["detail"]["field"], "/amount/total");
        assert_eq!(zh["code"], "OUT_TRADE_NO_USED");
        assert_ne!(zh["message"], en["message"]);
    }

    #[test]
    fn codes_follow_the_endpoint_where_the_protocol_says_so() {
        let code = |asked, why| refusal(asked, why).code;
        assert_eq!(code(Asked::Place, MerchantRefusal::OrderPaid), "INVALID_REQUEST");
        assert_eq!(code(Asked::Close, MerchantRefusal::OrderPaid), "ORDER_PAID");
        assert_eq!(code(Asked::Query, MerchantRefusal::OrderUnknown), "ORDER_NOT_EXIST");
        assert_eq!(code(Asked::Refund, MerchantRefusal::OrderUnknown), "RESOURCE_NOT_EXISTS");
        assert_eq!(refusal(Asked::Close, MerchantRefusal::UserPaying).status, StatusCode::ACCEPTED);
        assert_eq!(code(Asked::Refund, MerchantRefusal::Busy), "FREQUENCY_LIMITED");
        assert_eq!(code(Asked::Refund, MerchantRefusal::NotEnoughFunds), "NOT_ENOUGH");
        assert_eq!(failed(Asked::Place, Failed::Stopped).code, "SYSTEM_ERROR");
    }

    #[test]
    fn quoted_values_are_short() {
        let long = Value::String("口".repeat(500));
        assert_eq!(quoted(&long).chars().count(), QUOTED + 1);
        assert_eq!(quoted(&json!(0)), "0");
    }
}
