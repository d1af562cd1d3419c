//! Notifications: what the platform posts to a merchant when an order is paid, or a refund or a transfer ends.

use crate::{
    aead::{ApiV3Key, OpenError},
    headers::{PlatformKeys, SignedHeaders, VerifyError, verify_body},
    json::{JsonError, strict_json},
    types::{
        ENCRYPTED_RESOURCE, Notification, REFUND_ABNORMAL, REFUND_CLOSED, REFUND_SUCCESS, RefundNotice,
        RefundStatus, TRANSACTION_SUCCESS, TRANSFER_FINISHED, TradeState, Transaction, TransferNotice,
    },
};

/// A notification that was signed by the platform and is about us. Delivered at least once and in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An order was paid. `transaction_id` and `amount` are there. Compare the amount with the order's own.
    Paid(Transaction),
    /// A refund arrived, got stuck or was given up, as its status says.
    Refund(RefundNotice),
    /// A transfer to a person has ended, as its state says.
    Transfer(TransferNotice),
}

/// Why a notification was not accepted. Answer it with 4xx or 5xx: a true one comes again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// Clock, serial or signature.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The body or what was encrypted in it is not as it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It does not open: most likely not our `APIv3` key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Signed and encrypted well, but about another merchant.
    #[error("the notification is about another merchant")]
    OtherMerchant,
    /// What is encrypted does not bear out the event; the value names the field.
    #[error("the field `{0}` contradicts the event")]
    Contradiction(&'static str),
    /// An event this crate does not read.
    #[error("the event `{0}` is not one of ours")]
    UnknownEvent(String),
}

/// Opens a notification for the merchant `mchid`: signature over the raw `body` first, then all else. `now_s` is our
/// Unix seconds.
///
/// # Errors
/// The first check that fails.
pub fn open(
    headers: &SignedHeaders,
    body: &[u8],
    keys: &PlatformKeys,
    api_v3_key: &ApiV3Key,
    mchid: &str,
    now_s: i64,
) -> Result<Notice, NoticeError> {
    verify_body(headers, keys, now_s, body)?;
    let envelope: Notification = strict_json(body)?;
    if envelope.resource_type != ENCRYPTED_RESOURCE {
        return Err(NoticeError::Contradiction("resource_type"));
    }
    if envelope.event_type == TRANSFER_FINISHED {
        let plaintext = envelope.resource.open(api_v3_key)?;
        return transfer(strict_json(&plaintext)?, mchid).map(Notice::Transfer);
    }
    let status = match envelope.event_type.as_str() {
        TRANSACTION_SUCCESS => None,
        REFUND_SUCCESS => Some(RefundStatus::Success),
        REFUND_ABNORMAL => Some(RefundStatus::Abnormal),
        REFUND_CLOSED => Some(RefundStatus::Closed),
        _ => return Err(NoticeError::UnknownEvent(envelope.event_type)),
    };
    let plaintext = envelope.resource.open(api_v3_key)?;
    match status {
        None => paid(strict_json(&plaintext)?, mchid).map(Notice::Paid),
        Some(status) => refund(strict_json(&plaintext)?, &status, mchid).map(Notice::Refund),
    }
}

fn paid(transaction: Transaction, mchid: &str) -> Result<Transaction, NoticeError> {
    if transaction.mchid != mchid {
        return Err(NoticeError::OtherMerchant);
    }
    if transaction.trade_state != TradeState::Success {
        return Err(NoticeError::Contradiction("trade_state"));
    }
    if transaction.transaction_id.is_none() {
        return Err(NoticeError::Contradiction("transaction_id"));
    }
    if transaction.amount.is_none() {
        return Err(NoticeError::Contradiction("amount"));
    }
    Ok(transaction)
}

fn refund(notice: RefundNotice, status: &RefundStatus, mchid: &str) -> Result<RefundNotice, NoticeError> {
    if notice.mchid != mchid {
        return Err(NoticeError::OtherMerchant);
    }
    if notice.refund_status != *status {
        return Err(NoticeError::Contradiction("refund_status"));
    }
    Ok(notice)
}

fn transfer(notice: TransferNotice, mchid: &str) -> Result<TransferNotice, NoticeError> {
    if notice.mch_id != mchid {
        return Err(NoticeError::OtherMerchant);
    }
    if !notice.state.is_final() {
        return Err(NoticeError::Contradiction("state"));
    }
    Ok(notice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{headers::sign_body, keys::PrivateKey, nonce, types::Resource};

    const NOW_S: i64 = 1_795_435_200;
    const PAID: &str = r#"{"mchid":"1900007291","appid":"wx1","out_trade_no":"order-1","transaction_id":"42000","trade_type":"NATIVE","trade_state":"SUCCESS","trade_state_desc":"支付成功","amount":{"total":8800,"payer_total":8800,"currency":"CNY"},"payer":{"openid":"o"}}"#;
    const REFUNDED: &str = r#"{"mchid":"1900007291","out_trade_no":"order-1","transaction_id":"42000","out_refund_no":"r-1","refund_id":"50000","refund_status":"SUCCESS","user_received_account":"支付用户零钱","amount":{"total":8800,"refund":100,"payer_total":8800,"payer_refund":100}}"#;

    const SENT: &str = r#"{"mch_id":"1900007291","out_bill_no":"bill1","transfer_bill_no":"1330","state":"FAIL","transfer_amount":300,"openid":"o","fail_reason":"OVERDUE_CLOSE","create_time":"2026-11-23T12:00:00.000+08:00","update_time":"2026-11-24T12:00:00.120+08:00"}"#;

    fn envelope(key: &ApiV3Key, event_type: &str, plaintext: &str) -> Notification {
        Notification {
            id: "EV-1".into(),
            create_time: "2026-11-23T12:00:00+08:00".into(),
            event_type: event_type.into(),
            resource_type: ENCRYPTED_RESOURCE.into(),
            summary: "支付成功".into(),
            resource: Resource::seal(key, Some("transaction"), "transaction", plaintext.as_bytes()),
        }
    }

    /// Opens `envelope` as it arrives from a platform that signs well.
    fn opened(api_v3_key: &ApiV3Key, envelope: &Notification) -> Result<Notice, NoticeError> {
        let key = PrivateKey::generate();
        let body = serde_json::to_vec(envelope).unwrap();
        let keys = [("AB", key.public_key())].into_iter().collect();
        let headers = sign_body(&key, "AB", NOW_S, &nonce(), &body);
        open(&headers, &body, &keys, api_v3_key, "1900007291", NOW_S)
    }

    #[test]
    fn a_paid_order_a_refund_and_a_transfer_are_opened() {
        let key = ApiV3Key::generate();
        match opened(&key, &envelope(&key, TRANSACTION_SUCCESS, PAID)) {
            Ok(Notice::Paid(paid)) => assert_eq!(paid.amount.unwrap().total, 8800),
            other => panic!("{other:?}"),
        }
        match opened(&key, &envelope(&key, REFUND_SUCCESS, REFUNDED)) {
            Ok(Notice::Refund(refund)) => assert_eq!(refund.amount.payer_refund, 100),
            other => panic!("{other:?}"),
        }
        match opened(&key, &envelope(&key, TRANSFER_FINISHED, SENT)) {
            Ok(Notice::Transfer(sent)) => assert_eq!(sent.fail_reason.as_deref(), Some("OVERDUE_CLOSE")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_does_not_bear_out_the_event_is_refused() {
        let key = ApiV3Key::generate();
        let field = |event, plaintext: &str| match opened(&key, &envelope(&key, event, plaintext)) {
            Err(NoticeError::Contradiction(field)) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(TRANSACTION_SUCCESS, &PAID.replace("\"SUCCESS\"", "\"NOTPAY\"")), "trade_state");
        assert_eq!(field(TRANSACTION_SUCCESS, &PAID.replace("transaction_id", "x")), "transaction_id");
        assert_eq!(field(TRANSACTION_SUCCESS, &PAID.replace("amount", "x")), "amount");
        assert_eq!(field(REFUND_CLOSED, REFUNDED), "refund_status");
        assert_eq!(field(TRANSFER_FINISHED, &SENT.replace("FAIL\"", "PROCESSING\"")), "state");
    }

    #[test]
    fn each_other_refusal_has_its_own_value() {
        let key = ApiV3Key::generate();
        let paid = envelope(&key, TRANSACTION_SUCCESS, PAID);
        let wrong_key = opened(&ApiV3Key::generate(), &paid);
        assert!(matches!(wrong_key, Err(NoticeError::Open(_))));
        let other = opened(&key, &envelope(&key, TRANSACTION_SUCCESS, &PAID.replace("1900007291", "1")));
        assert!(matches!(other, Err(NoticeError::OtherMerchant)));
        let other = opened(&key, &envelope(&key, TRANSFER_FINISHED, &SENT.replace("1900007291", "1")));
        assert!(matches!(other, Err(NoticeError::OtherMerchant)));
        let event = opened(&key, &envelope(&key, "COUPON.USE", PAID));
        assert!(matches!(event, Err(NoticeError::UnknownEvent(event)) if event == "COUPON.USE"));
        let twice = PAID.replace("\"total\":8800", "\"total\":8800,\"total\":1");
        let twice = opened(&key, &envelope(&key, TRANSACTION_SUCCESS, &twice));
        assert!(matches!(twice, Err(NoticeError::Json(JsonError::DuplicateKey(_)))));
        let mut algorithm = paid;
        algorithm.resource.algorithm = "AEAD_SM4_GCM".into();
        assert!(matches!(opened(&key, &algorithm), Err(NoticeError::Open(_))));
    }
}
