//! The calls of the protocol by their addresses, and what a refusal of each looks like on the wire.

use axum::http::{Method, StatusCode};

/// A call, as faults name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call(pub(super) &'static str);

/// Every name.
pub(super) const NAMES: [&str; 15] = [
    "native",
    "jsapi",
    "h5",
    "query",
    "close",
    "refund",
    "query_refund",
    "transfer",
    "query_transfer",
    "cancel_transfer",
    "trade_bill",
    "fund_flow_bill",
    "file",
    "certificates",
    "access_token",
];

/// Every code, with the status it comes under (public error tables of the calls).
const CODES: [(&str, u16); 22] = [
    ("PARAM_ERROR", 400),
    ("INVALID_REQUEST", 400),
    ("APPID_MCHID_NOT_MATCH", 400),
    ("MCH_NOT_EXISTS", 400),
    ("ORDER_CLOSED", 400),
    ("ORDER_PAID", 400),
    ("NO_STATEMENT_EXIST", 400),
    ("STATEMENT_CREATING", 400),
    ("SIGN_ERROR", 401),
    ("NO_AUTH", 403),
    ("OUT_TRADE_NO_USED", 403),
    ("NOT_ENOUGH", 403),
    ("RULE_LIMIT", 403),
    ("TRADE_ERROR", 403),
    ("ACCOUNT_ERROR", 403),
    ("USER_ACCOUNT_ABNORMAL", 403),
    ("REQUEST_BLOCKED", 403),
    ("ORDER_NOT_EXIST", 404),
    ("RESOURCE_NOT_EXISTS", 404),
    ("NOT_FOUND", 404),
    ("FREQUENCY_LIMITED", 429),
    ("SYSTEM_ERROR", 500),
];
/// What the call for an openid says no with, in a 200.
const SNS_CODES: [&str; 5] = ["-1", "40029", "40125", "40163", "45009"];

impl Call {
    /// Which call goes there.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let (get, post) = (method == Method::GET, method == Method::POST);
        let path = path.strip_prefix("/v3/").or_else(|| path.strip_prefix("/sns/oauth2/"))?;
        let name = match path {
            "pay/transactions/native" if post => "native",
            "pay/transactions/jsapi" if post => "jsapi",
            "pay/transactions/h5" if post => "h5",
            "refund/domestic/refunds" if post => "refund",
            "fund-app/mch-transfer/transfer-bills" if post => "transfer",
            "bill/tradebill" if get => "trade_bill",
            "bill/fundflowbill" if get => "fund_flow_bill",
            "billdownload/file" if get => "file",
            "certificates" if get => "certificates",
            "access_token" if get => "access_token",
            _ if path.starts_with("pay/transactions/out-trade-no/") => {
                if post && path.ends_with("/close") {
                    "close"
                } else if get {
                    "query"
                } else {
                    return None;
                }
            }
            _ if get && path.starts_with("pay/transactions/id/") => "query",
            _ if get && path.starts_with("refund/domestic/refunds/") => "query_refund",
            _ if path.starts_with("fund-app/mch-transfer/transfer-bills/") => {
                if post && path.ends_with("/cancel") {
                    "cancel_transfer"
                } else if get {
                    "query_transfer"
                } else {
                    return None;
                }
            }
            _ => return None,
        };
        Some(Self(name))
    }
}

/// Whether the protocol has this code.
pub(super) fn is_code(code: &str) -> bool {
    SNS_CODES.contains(&code) || CODES.iter().any(|(known, _)| *known == code)
}

/// Status and body of a refusal with a code.
pub(super) fn refusal(code: &str) -> (StatusCode, String) {
    if let Ok(errcode) = code.parse::<i64>() {
        return (StatusCode::OK, serde_json::json!({ "errcode": errcode, "errmsg": "as told" }).to_string());
    }
    let status = CODES.iter().find(|(known, _)| *known == code).map_or(400, |(_, status)| *status);
    let status = StatusCode::from_u16(status).expect("the table has real ones");
    (status, serde_json::json!({ "code": code, "message": "按要求返回的错误" }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_known_by_its_address() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, path, name) in [
            (&post, "/v3/pay/transactions/native", Some("native")),
            (&get, "/v3/pay/transactions/native", None),
            (&get, "/v3/pay/transactions/out-trade-no/7", Some("query")),
            (&post, "/v3/pay/transactions/out-trade-no/7/close", Some("close")),
            (&post, "/v3/pay/transactions/out-trade-no/7/reverse", None),
            (&post, "/v3/refund/domestic/refunds", Some("refund")),
            (&get, "/v3/refund/domestic/refunds/7", Some("query_refund")),
            (&post, "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/7/cancel", Some("cancel_transfer")),
            (&get, "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/7", Some("query_transfer")),
            (&get, "/v3/certificates", Some("certificates")),
            (&get, "/sns/oauth2/access_token", Some("access_token")),
            (&get, "/top-up", None),
        ] {
            assert_eq!(Call::of(method, path).map(|call| call.0), name, "{method} {path}");
            assert!(name.is_none_or(|name| NAMES.contains(&name)));
        }
    }

    #[test]
    fn a_refusal_has_the_status_of_its_code() {
        assert_eq!(refusal("NOT_ENOUGH").0, StatusCode::FORBIDDEN);
        assert_eq!(refusal("40029"), (StatusCode::OK, r#"{"errcode":40029,"errmsg":"as told"}"#.to_owned()));
        assert!(is_code("SYSTEM_ERROR") && is_code("-1") && !is_code("MOON"));
    }
}
