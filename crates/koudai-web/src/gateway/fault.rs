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
    pub(super) const ONLY_REVERSED: u32 = 268_449_641;
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
    pub(super) const REFUND_NOT_ABNORMAL: u32 = 900_000_016;
    pub(super) const NO_PAYOUT: u32 = 900_000_017;
    pub(super) const PAYER_HAS_NO_WALLET: u32 = 900_000_018;
    pub(super) const AUTH_CODE: u32 = 900_000_030;
    pub(super) const AUTH_CODE_EXPIRED: u32 = 900_000_031;
    pub(super) const PAYER_SHORT: u32 = 900_000_032;
    pub(super) const PAYER_FROZEN: u32 = 900_000_033;
    pub(super) const PAYMENT_FAILED: u32 = 900_000_034;
    pub(super) const ORDER_REVERSED: u32 = 900_000_035;
    pub(super) const NOT_CODE_PAYMENT: u32 = 900_000_036;
    pub(super) const REVERSE_TOO_SOON: u32 = 900_000_037;
    pub(super) const REVERSE_TOO_LATE: u32 = 900_000_038;
    pub(super) const ORDER_REFUNDED: u32 = 900_000_039;
    pub(super) const NO_STATEMENT: u32 = 900_000_101;
    pub(super) const STATEMENT_CREATING: u32 = 900_000_102;
    pub(super) const BILL_DATE: u32 = 900_000_103;
    pub(super) const BILL_TOKEN: u32 = 900_000_104;
    pub(super) const OTHER_MERCHANTS_BILL: u32 = 900_000_105;
    pub(super) const OPENID: u32 = 268_501_013;
    pub(super) const PLATFORM_SERIAL: u32 = 900_000_040;
    pub(super) const SCENE: u32 = 900_000_041;
    pub(super) const PAYEE_UNKNOWN: u32 = 900_000_042;
    pub(super) const PAYEE_NAME: u32 = 900_000_043;
    pub(super) const TRANSFER_UNKNOWN: u32 = 900_000_044;
    pub(super) const TRANSFER_RE_ENTRY: u32 = 900_000_045;
    pub(super) const TRANSFER_OVER: u32 = 900_000_046;
    pub(super) const NOTICE_UNKNOWN: u32 = 900_000_060;
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

    /// 400: a sensitive field was encrypted to a key that is none of the platform's, or to one that the request does not name.
    pub(super) fn platform_serial(named: &str) -> Self {
        let message = said(
            "平台证书序列号Wechatpay-Serial错误",
            "Wechatpay-Serial must name the platform certificate or public key that sensitive fields are encrypted to.",
        );
        let issue =
            said("应为平台证书序列号或平台公钥ID", "must be a serial or public-key id of the platform's");
        let value = (!named.is_empty()).then(|| Value::from(named));
        let mut fault = Self::parameter(Place::Header, "Wechatpay-Serial", value.as_ref(), issue);
        fault.message = message;
        fault.number = number::PLATFORM_SERIAL;
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

    /// 400: a stuck refund cannot be sent to a bank card that the merchant names.
    pub(super) fn no_payout() -> Self {
        let message = said(
            "暂不支持将异常退款打款至指定银行卡，请改用 USER_BALANCE（退至用户零钱）或 MERCHANT_BANK_CARD（退回商户）",
            "A stuck refund cannot be paid out to another card; use USER_BALANCE or MERCHANT_BANK_CARD.",
        );
        let issue =
            said("应为 USER_BALANCE 或 MERCHANT_BANK_CARD", "must be USER_BALANCE or MERCHANT_BANK_CARD");
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", number::NO_PAYOUT, message)
            .about("/type", issue)
    }

    /// 400: nothing happened on that day, or there is no such bill.
    pub(super) fn no_statement() -> Self {
        let message =
            said("请求的账单文件不存在", "There is no such bill: nothing to put on it happened that day.");
        Self::new(StatusCode::BAD_REQUEST, "NO_STATEMENT_EXIST", number::NO_STATEMENT, message)
    }

    /// 400: a bill is not there yet.
    pub(super) fn statement_creating() -> Self {
        let message = said("账单生成中，请稍后再试", "The bill is being made; ask again later.");
        Self::new(StatusCode::BAD_REQUEST, "STATEMENT_CREATING", number::STATEMENT_CREATING, message)
    }

    /// 400: a day that bills cannot be asked for.
    pub(super) fn bill_date(date: &str, issue: Said) -> Self {
        let message = Said::new(
            format!("账单日期错误：bill_date {}", issue.zh),
            format!("The date of the bill: bill_date {}.", issue.en),
        );
        let (field, value) = ("bill_date".to_owned(), Some(date.to_owned()));
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", number::BILL_DATE, message)
            .detailed(Detail::Field { field, value, issue, place: Place::Query })
    }

    /// 400: a bill was applied for too long ago.
    pub(super) fn bill_token_expired() -> Self {
        let message =
            said("下载地址已过期，请重新申请账单", "The address has expired; apply for the bill again.");
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", number::BILL_TOKEN, message)
    }

    /// 403: another merchant applied for the bill.
    pub(super) fn other_merchants_bill() -> Self {
        let message = said("账单由其他商户申请，无权下载", "Another merchant applied for this bill.");
        Self::new(StatusCode::FORBIDDEN, "NO_AUTH", number::OTHER_MERCHANTS_BILL, message)
    }

    /// 404: this merchant has no such notice.
    pub(super) fn no_such_notice() -> Self {
        let message = said("通知不存在", "There is no such notification.");
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", number::NOTICE_UNKNOWN, message)
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
    /// To take a payment by a payer's code.
    CodePay,
    /// To reverse one.
    Reverse,
    /// For a transfer, or about one.
    Transfer,
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

/// Status, code, number and wording of a refusal, as the error tables of the endpoints have them (2.1 to 2.7 of the
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
            let places = matches!(asked, Asked::Place | Asked::CodePay);
            let code = if places { INVALID } else { "ORDER_PAID" };
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
        MerchantRefusal::PayerUnknown => {
            let (zh, en) = ("无效的openid", "The openid is not one of this app's.");
            fault(S::BAD_REQUEST, "PARAM_ERROR", number::OPENID, zh, en)
                .about("/payer/openid", said("不是该 appid 下的用户", "names nobody under this appid"))
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
        MerchantRefusal::RefundNotAbnormal => {
            let zh = "退款单不处于退款异常状态，无需处理";
            let en = "The refund is not ABNORMAL, so there is nothing to decide about it.";
            fault(S::BAD_REQUEST, INVALID, number::REFUND_NOT_ABNORMAL, zh, en)
        }
        MerchantRefusal::PayerHasNoWallet => {
            let zh = "付款方在本平台没有钱包，无法退至零钱，请退回商户后线下退款";
            let en = "The payer has no wallet here; take the refund back and pay it another way.";
            fault(S::BAD_REQUEST, INVALID, number::PAYER_HAS_NO_WALLET, zh, en)
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
            let (zh, en) = match asked {
                Asked::Transfer => (
                    "商户余额不足，请充值后用原商户单号重试",
                    "The merchant's money does not cover the transfer; retry later with the same out_bill_no.",
                ),
                _ => (
                    "商户余额不足，请充值后用原退款单号重试",
                    "The merchant's money does not cover the refund; retry later with the same out_refund_no.",
                ),
            };
            fault(S::FORBIDDEN, "NOT_ENOUGH", number::NOT_ENOUGH, zh, en)
        }
        MerchantRefusal::AuthCodeInvalid => auth_code_invalid(),
        MerchantRefusal::AuthCodeExpired => {
            let (zh, en) = (
                "付款码已过期，请顾客刷新后重新扫码",
                "The pay code has expired; ask the payer for a fresh one.",
            );
            fault(S::BAD_REQUEST, "AUTH_CODE_EXPIRED", number::AUTH_CODE_EXPIRED, zh, en)
        }
        MerchantRefusal::PayerShort => {
            let zh = "顾客余额不足，请顾客更换支付方式后换单号重新收款";
            let en = "The payer's money does not cover it; have another method chosen and take a new out_trade_no.";
            fault(S::FORBIDDEN, "NOT_ENOUGH", number::PAYER_SHORT, zh, en)
        }
        MerchantRefusal::PayerFrozen => {
            let (zh, en) = ("顾客账户异常，无法付款", "The payer's account cannot pay.");
            fault(S::FORBIDDEN, "USER_ACCOUNT_ABNORMAL", number::PAYER_FROZEN, zh, en)
        }
        MerchantRefusal::PaymentFailed => {
            let zh = "支付失败，请顾客更换支付方式后换单号重新收款";
            let en = "The payment failed; have another method chosen and take a new out_trade_no.";
            fault(S::FORBIDDEN, "TRADE_ERROR", number::PAYMENT_FAILED, zh, en)
        }
        MerchantRefusal::OrderReversed => {
            let code = if asked == Asked::Refund { INVALID } else { "ORDER_CLOSED" };
            let (zh, en) = ("该订单已撤销", "The order was reversed; take a new out_trade_no.");
            fault(S::BAD_REQUEST, code, number::ORDER_REVERSED, zh, en)
        }
        MerchantRefusal::OnlyReversed => {
            let (zh, en) = ("付款码订单不能关单，请使用撤销", "A code payment is not closed; reverse it.");
            fault(S::BAD_REQUEST, INVALID, number::ONLY_REVERSED, zh, en)
        }
        MerchantRefusal::NotCodePayment => {
            let zh = "仅付款码订单可以撤销，请使用关单或退款";
            let en = "Only a code payment is reversed; close this order, or refund it.";
            fault(S::BAD_REQUEST, INVALID, number::NOT_CODE_PAYMENT, zh, en)
        }
        MerchantRefusal::ReverseTooSoon => {
            let (zh, en) = (
                "调用支付 15 秒后才能撤销，请先查询",
                "Wait 15 seconds after the payment call before reversing; query first.",
            );
            fault(S::BAD_REQUEST, INVALID, number::REVERSE_TOO_SOON, zh, en)
        }
        MerchantRefusal::ReverseTooLate => {
            let (zh, en) = (
                "支付已超过 7 天，不能撤销，请使用退款",
                "The seven days for reversing are over; refund the order.",
            );
            fault(S::BAD_REQUEST, INVALID, number::REVERSE_TOO_LATE, zh, en)
        }
        MerchantRefusal::OrderRefunded => {
            let (zh, en) =
                ("订单已发生退款，不能撤销，请继续使用退款", "Part of it was refunded; refund the rest.");
            fault(S::BAD_REQUEST, INVALID, number::ORDER_REFUNDED, zh, en)
        }
        MerchantRefusal::SceneNotGranted => {
            let (zh, en) = ("商户未获取此转账场景", "The merchant was not granted this transfer scene.");
            fault(S::FORBIDDEN, "NO_AUTH", number::SCENE, zh, en)
                .about("/transfer_scene_id", said("未开通", "was not granted"))
        }
        MerchantRefusal::PayeeUnknown => {
            let zh = "Openid格式错误或者不属于商家公众账号";
            let en = "The openid is none that was given to this appid.";
            fault(S::BAD_REQUEST, "PARAM_ERROR", number::PAYEE_UNKNOWN, zh, en)
                .about("/openid", said("与 appid 不匹配", "is none of this appid"))
        }
        MerchantRefusal::PayeeNameNeeded { from_minor } => {
            let (zh, en) = ("缺少收款用户姓名", "The payee's name is required.");
            let issue = Said::new(
                format!("转账金额达到 {from_minor} 分时必填"),
                format!("is required from {from_minor} fen on"),
            );
            fault(S::BAD_REQUEST, "PARAM_ERROR", number::PAYEE_NAME, zh, en).about("/user_name", issue)
        }
        MerchantRefusal::TransferUnknown => fault(
            S::NOT_FOUND,
            "NOT_FOUND",
            number::TRANSFER_UNKNOWN,
            "记录不存在",
            "There is no such transfer.",
        ),
        MerchantRefusal::OutBillNoUsed { field } => {
            let zh = "单号已存在但信息不一致，请检查后重试";
            let en = "The out_bill_no was used with other parameters.";
            fault(S::BAD_REQUEST, INVALID, number::TRANSFER_RE_ENTRY, zh, en)
                .about(field, said("与首次请求不一致", "differs from the first request"))
        }
        MerchantRefusal::TransferOver => {
            let zh = "转账单已到终态，无法撤销，请查询单据状态";
            let en = "The transfer has ended and cannot be cancelled; query it.";
            fault(S::BAD_REQUEST, INVALID, number::TRANSFER_OVER, zh, en)
        }
        MerchantRefusal::Busy => {
            let zh = "请求过于频繁，请稍后用相同参数重试";
            let en = "Too many requests; send the same one again later.";
            Fault::too_many(number::BUSY, said(zh, en), Duration::ZERO)
        }
    }
}

/// A code that nobody shows, that was used, or that cannot be a code at all.
fn auth_code_invalid() -> Fault {
    let zh = "付款码无效或已使用，请顾客刷新后重新扫码";
    let en = "The pay code is none or was used; ask the payer for a fresh one.";
    Fault::new(StatusCode::BAD_REQUEST, "AUTH_CODE_INVALID", number::AUTH_CODE, said(zh, en))
        .about("/payer/auth_code", said("无效或已使用", "is no code, or was used"))
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
            MerchantRefusal::PayerUnknown,
            MerchantRefusal::OrderUnknown,
            MerchantRefusal::OrderNotPaid,
            MerchantRefusal::RefundUnknown,
            MerchantRefusal::OutRefundNoUsed { field },
            MerchantRefusal::RefundTotalMismatch,
            MerchantRefusal::RefundExceedsRest { rest_minor: 1 },
            MerchantRefusal::RefundNotAbnormal,
            MerchantRefusal::PayerHasNoWallet,
            MerchantRefusal::TooManyRefunds,
            MerchantRefusal::RefundTooLate,
            MerchantRefusal::NotEnoughFunds,
            MerchantRefusal::AuthCodeInvalid,
            MerchantRefusal::AuthCodeExpired,
            MerchantRefusal::PayerShort,
            MerchantRefusal::PayerFrozen,
            MerchantRefusal::PaymentFailed,
            MerchantRefusal::OrderReversed,
            MerchantRefusal::OnlyReversed,
            MerchantRefusal::NotCodePayment,
            MerchantRefusal::ReverseTooSoon,
            MerchantRefusal::ReverseTooLate,
            MerchantRefusal::OrderRefunded,
            MerchantRefusal::SceneNotGranted,
            MerchantRefusal::PayeeUnknown,
            MerchantRefusal::PayeeNameNeeded { from_minor: 1 },
            MerchantRefusal::TransferUnknown,
            MerchantRefusal::OutBillNoUsed { field },
            MerchantRefusal::TransferOver,
            MerchantRefusal::Busy,
        ] {
            for asked in [
                Asked::Place,
                Asked::Query,
                Asked::Close,
                Asked::Refund,
                Asked::CodePay,
                Asked::Reverse,
                Asked::Transfer,
            ] {
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
        let funds =
            |asked| read(&refusal(asked, MerchantRefusal::NotEnoughFunds), Lang::En)["message"].clone();
        assert!(funds(Asked::Refund).as_str().unwrap().contains("out_refund_no"));
        assert!(funds(Asked::Transfer).as_str().unwrap().contains("out_bill_no"));
        assert_eq!(failed(Asked::Place, Failed::Stopped).code, "SYSTEM_ERROR");
    }

    #[test]
    fn quoted_values_are_short() {
        let long = Value::String("口".repeat(500));
        assert_eq!(quoted(&long).chars().count(), QUOTED + 1);
        assert_eq!(quoted(&json!(0)), "0");
    }
}
