//! The JSON of the protocol. One Rust field per JSON field, under its wire name.
//!
//! Amounts are integers of fen. Unknown fields are ignored and absent fields are left out, never `null`. Lengths,
//! character sets and limits are not checked here: they are business rules of whoever receives the value. Read bodies
//! with [`crate::strict_json`].
//!
//! Times are RFC 3339 text with a zone, as the protocol writes them: `2026-11-23T12:00:00+08:00`.

use serde::{Deserialize, Serialize};

use crate::{
    aead::{self, ApiV3Key, OpenError},
    nonce12,
};

/// The only currency of the protocol.
pub const CNY: &str = "CNY";
/// `resource_type` of every notification.
pub const ENCRYPTED_RESOURCE: &str = "encrypt-resource";
/// `event_type` of a paid order.
pub const TRANSACTION_SUCCESS: &str = "TRANSACTION.SUCCESS";
/// `event_type` of a refund that arrived.
pub const REFUND_SUCCESS: &str = "REFUND.SUCCESS";
/// `event_type` of a refund that is stuck.
pub const REFUND_ABNORMAL: &str = "REFUND.ABNORMAL";
/// `event_type` of a refund that was given up.
pub const REFUND_CLOSED: &str = "REFUND.CLOSED";

/// An enum of wire words that keeps words it does not know.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word this crate does not know, kept as it came. Never take it for a final state.
            Other(String),
        }

        impl $name {
            /// The word on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                match value {
                    $name::Other(word) => word,
                    known => known.as_str().to_owned(),
                }
            }
        }
    };
}

mod transfers;

pub use transfers::{
    TRANSFER_FINISHED, TransferBill, TransferCancelled, TransferNotice, TransferReply, TransferReport,
    TransferRequest, TransferState, TransferStyle,
};

words! {
    /// What a trade bill holds.
    BillType {
        /// Payments and refunds.
        All = "ALL",
        /// Payments.
        Success = "SUCCESS",
        /// Refunds.
        Refund = "REFUND",
    }
}

words! {
    /// Which account a fund-flow bill is of.
    AccountType {
        /// Where payments come in.
        Basic = "BASIC",
        /// What transfers are paid from.
        Operation = "OPERATION",
        /// What fees are paid from.
        Fees = "FEES",
    }
}

/// Where a bill can be downloaded, and what has to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillReply {
    /// `SHA1`.
    pub hash_type: String,
    /// Of the file as it is uncompressed, in hex.
    pub hash_value: String,
    /// Good for a few minutes, and for the merchant who applied.
    pub download_url: String,
}

words! {
    /// State of an order.
    TradeState {
        /// Paid.
        Success = "SUCCESS",
        /// Paid, and at least one refund was asked for.
        Refund = "REFUND",
        /// Not paid yet, also after a failed try.
        NotPay = "NOTPAY",
        /// Closed by the merchant or by expiry.
        Closed = "CLOSED",
        /// Reversed; code payments only.
        Revoked = "REVOKED",
        /// The payer is confirming; code payments only.
        UserPaying = "USERPAYING",
        /// Failed; code payments only.
        PayError = "PAYERROR",
    }
}

impl TradeState {
    /// Whether money was taken: paid, even if refunded since.
    pub fn is_paid(&self) -> bool {
        matches!(self, Self::Success | Self::Refund)
    }

    /// Whether no money was taken and none will be.
    pub fn is_over_unpaid(&self) -> bool {
        matches!(self, Self::Closed | Self::Revoked | Self::PayError)
    }
}

words! {
    /// State of a refund.
    RefundStatus {
        /// The money arrived.
        Success = "SUCCESS",
        /// Given up, e.g. for lack of merchant money. Take a new number to try again.
        Closed = "CLOSED",
        /// On its way.
        Processing = "PROCESSING",
        /// Stuck: the payer's account cannot take it. It may yet go on.
        Abnormal = "ABNORMAL",
    }
}

/// Request of `POST /v3/pay/transactions/native`: an order to be paid by scanning a code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeOrder {
    /// App the order belongs to, at most 32 characters.
    pub appid: String,
    /// Merchant number.
    pub mchid: String,
    /// What is sold, shown to the payer, at most 127 characters.
    pub description: String,
    /// The merchant's number of the order, 6 to 32 of letters, digits, `_ - | *`, unique per merchant.
    pub out_trade_no: String,
    /// When the order expires; a default applies if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_expire: Option<String>,
    /// Returned as it is in queries and notifications, at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<String>,
    /// Where the notification goes, at most 255 characters.
    pub notify_url: String,
    /// Coupon targeting, at most 32 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_tag: Option<String>,
    /// Whether to offer an electronic invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_fapiao: Option<bool>,
    /// Means of payment to leave out: `no_balance`, `no_credit`, `no_debit`, `balance_only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_pay: Option<Vec<String>>,
    /// How much.
    pub amount: OrderAmount,
    /// The goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<OrderDetail>,
    /// Where it is sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene_info: Option<SceneInfo>,
    /// How it is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_info: Option<SettleInfo>,
}

/// Amount of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAmount {
    /// Fen, at least 1.
    pub total: i64,
    /// CNY if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// The goods of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDetail {
    /// Fen on the receipt before it was split into orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_price: Option<i64>,
    /// Number of the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<String>,
    /// Line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_detail: Option<Vec<GoodsDetail>>,
}

/// One line of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodsDetail {
    /// The merchant's number of the article.
    pub merchant_goods_id: String,
    /// The platform's number of the article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechatpay_goods_id: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<String>,
    /// How many.
    pub quantity: i64,
    /// Fen for one.
    pub unit_price: i64,
}

/// Where an order was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneInfo {
    /// The payer's address, `IPv4` or `IPv6`. Required in a request, absent in replies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer_client_ip: Option<String>,
    /// Number of the till.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_info: Option<StoreInfo>,
    /// The web page or app it is paid from; H5 orders have to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h5_info: Option<Box<H5Info>>,
}

/// What an H5 order is paid from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct H5Info {
    /// `Wap`, `iOS` or `Android`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the app or site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// Address of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_url: Option<String>,
    /// Bundle of an iOS app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_id: Option<String>,
    /// Package of an Android app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_name: Option<String>,
}

/// A shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInfo {
    /// The merchant's number of the shop.
    pub id: String,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Area code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_code: Option<String>,
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// How an order is settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleInfo {
    /// Whether to freeze the money for profit sharing; no if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profit_sharing: Option<bool>,
}

/// Reply to [`NativeOrder`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeReply {
    /// The text to show as a QR code, at most 512 characters. Opaque.
    pub code_url: String,
}

/// Request of `POST /v3/pay/transactions/codepay`: a payment by the code that the payer shows. The reply is the outcome,
/// a [`Transaction`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOrder {
    /// App the order belongs to, at most 32 characters.
    pub appid: String,
    /// Merchant number.
    pub mchid: String,
    /// What the payer reads, at most 127 characters.
    pub description: String,
    /// The merchant's number of the order, 6 to 32 characters.
    pub out_trade_no: String,
    /// Returned in queries, at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<String>,
    /// For coupons, at most 32 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_tag: Option<String>,
    /// Whose code it is.
    pub payer: CodePayer,
    /// How much.
    pub amount: OrderAmount,
    /// Where it is taken.
    pub scene_info: CodeScene,
    /// The goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<CodeDetail>,
    /// How it is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_info: Option<SettleInfo>,
}

/// The code of whoever pays.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodePayer {
    /// The digits that were scanned. They are as good as money for a minute: never print them.
    pub auth_code: String,
}

/// Where a payment by code is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeScene {
    /// Number of the till.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The till's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_ip: Option<String>,
    /// The shop.
    pub store_info: CodeStore,
}

/// A shop, by one of its numbers at least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeStore {
    /// The platform's number of the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The merchant's number of the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_id: Option<String>,
}

/// The goods of a payment by code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeDetail {
    /// Fen on the receipt before it was split into orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_price: Option<i64>,
    /// Number of the receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<String>,
    /// Line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_detail: Option<Vec<CodeGoods>>,
}

/// One line of a payment by code; the platform's number of the article has a name of its own here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGoods {
    /// The merchant's number of the article.
    pub merchant_goods_id: String,
    /// The platform's number of the article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wxpay_goods_id: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<String>,
    /// How many.
    pub quantity: i64,
    /// Fen for one.
    pub unit_price: i64,
}

/// Request of `POST …/out-trade-no/{out_trade_no}/reverse`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseOrder {
    /// App the order belongs to.
    pub appid: String,
    /// Merchant number.
    pub mchid: String,
}

/// Reply of `POST …/out-trade-no/{out_trade_no}/reverse`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseReply {
    /// App the order belongs to.
    pub appid: String,
    /// Merchant number.
    pub mchid: String,
    /// The merchant's number of the order.
    pub out_trade_no: String,
}

/// An order as a query and as a notification show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// App the order belongs to.
    pub appid: String,
    /// Merchant number.
    pub mchid: String,
    /// The merchant's number of the order.
    pub out_trade_no: String,
    /// The platform's number of the payment; absent until paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// `NATIVE`, `JSAPI`, `APP`, `MWEB`, `MICROPAY`, `FACEPAY`; absent until paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_type: Option<String>,
    /// Where it stands.
    pub trade_state: TradeState,
    /// The same for people.
    pub trade_state_desc: String,
    /// What it was paid with, e.g. `ICBC_DEBIT`; `OTHERS` for the wallet's balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_type: Option<String>,
    /// As given with the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<String>,
    /// When it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    /// Who paid; empty until paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<Payer>,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<TransactionAmount>,
    /// Where it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene_info: Option<SceneInfo>,
    /// Coupons used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_detail: Option<Vec<Promotion>>,
}

/// Who paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// The payer under the order's app; absent until paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
}

/// Amount of an order as a query shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionAmount {
    /// Fen of the order.
    pub total: i64,
    /// Fen the payer paid: total less coupons. Absent until paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer_total: Option<i64>,
    /// CNY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// CNY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer_currency: Option<String>,
}

/// A coupon used on an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Number of the coupon.
    pub coupon_id: String,
    /// Fen taken off.
    pub amount: i64,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `GLOBAL` for the whole order, `SINGLE` for some goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `CASH` if its funder pays the merchant, `NOCASH` if the merchant simply gets less.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Number of the issue it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock_id: Option<String>,
    /// Fen the platform pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechatpay_contribute: Option<i64>,
    /// Fen the merchant pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_contribute: Option<i64>,
    /// Fen others pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_contribute: Option<i64>,
    /// CNY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// Request of `POST …/out-trade-no/{out_trade_no}/close`. The reply is 204 without a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseOrder {
    /// Merchant number.
    pub mchid: String,
}

/// Request of `POST /v3/refund/domestic/refunds`. One of the two numbers of the order is needed; if both are there,
/// `transaction_id` counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    /// The platform's number of the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// The merchant's number of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_trade_no: Option<String>,
    /// The merchant's number of the refund, at most 64 of letters, digits, `_ - | * @`. One number is one refund.
    pub out_refund_no: String,
    /// Shown to the payer, at most 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the notification goes, at most 256 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<String>,
    /// `AVAILABLE` or `UNSETTLED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funds_account: Option<String>,
    /// How much.
    pub amount: RefundRequestAmount,
    /// Which goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_detail: Option<Vec<RefundGoods>>,
}

/// Amount asked for in a refund.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequestAmount {
    /// Fen to give back, from 1 to what remains.
    pub refund: i64,
    /// Fen of the order.
    pub total: i64,
    /// CNY.
    pub currency: String,
    /// Accounts to take it from, summing up to `refund`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<RefundFrom>>,
}

/// One account that funds a refund.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFrom {
    /// `AVAILABLE` or `UNAVAILABLE`.
    pub account: String,
    /// Fen.
    pub amount: i64,
}

/// One line of goods given back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundGoods {
    /// The merchant's number of the article.
    pub merchant_goods_id: String,
    /// The platform's number of the article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wechatpay_goods_id: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goods_name: Option<String>,
    /// Fen for one.
    pub unit_price: i64,
    /// Fen given back.
    pub refund_amount: i64,
    /// How many.
    pub refund_quantity: i64,
}

/// A refund as the reply and the query show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The platform's number of the refund.
    pub refund_id: String,
    /// The merchant's number of the refund.
    pub out_refund_no: String,
    /// The platform's number of the payment.
    pub transaction_id: String,
    /// The merchant's number of the order.
    pub out_trade_no: String,
    /// `ORIGINAL`, `BALANCE`, `OTHER_BALANCE`, `OTHER_BANKCARD`.
    pub channel: String,
    /// Where it went, for people: 支付用户零钱, 招商银行信用卡0403.
    pub user_received_account: String,
    /// When it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    /// When it was asked for.
    pub create_time: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// `UNSETTLED`, `AVAILABLE` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funds_account: Option<String>,
    /// How much.
    pub amount: RefundAmount,
    /// Coupons of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_detail: Option<Vec<RefundPromotion>>,
}

/// Amounts of a refund. The fields beyond the four of a notification are absent there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundAmount {
    /// Fen of the order.
    pub total: i64,
    /// Fen asked for.
    pub refund: i64,
    /// Fen the payer had paid.
    pub payer_total: i64,
    /// Fen that go back to the payer.
    pub payer_refund: i64,
    /// Fen of `total` less coupons that are the merchant's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_total: Option<i64>,
    /// Fen of `refund` less the share of such coupons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_refund: Option<i64>,
    /// Fen of `refund` that coupons had paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_refund: Option<i64>,
    /// CNY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Fen of the order's fee given back to the merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_fee: Option<i64>,
    /// Accounts that funded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<RefundFrom>>,
}

/// A coupon's share in a refund.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPromotion {
    /// Number of the coupon.
    pub promotion_id: String,
    /// `GLOBAL` or `SINGLE`.
    pub scope: String,
    /// `CASH` or `NOCASH`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Fen of the coupon.
    pub amount: i64,
    /// Fen of it given back.
    pub refund_amount: i64,
}

/// Reply of `GET /v3/certificates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateList {
    /// Certificates valid now. Keep them all.
    pub data: Vec<CertificateEntry>,
}

/// One platform certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateEntry {
    /// Serial, upper-case hex.
    pub serial_no: String,
    /// Start of validity.
    pub effective_time: String,
    /// End of validity.
    pub expire_time: String,
    /// The certificate's PEM, encrypted under the merchant's `APIv3` key.
    pub encrypt_certificate: Resource,
}

/// Something encrypted with [`crate::aead`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `transaction` or `refund`; in notifications only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_type: Option<String>,
    /// Always [`crate::aead::ALGORITHM`].
    pub algorithm: String,
    /// Base64.
    pub ciphertext: String,
    /// May be absent or empty, which is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associated_data: Option<String>,
    /// 12 characters.
    pub nonce: String,
}

impl Resource {
    /// Encrypts `plaintext` under a fresh nonce. `original_type` only in notifications, where it and
    /// `associated_data` are the same word.
    ///
    /// # Panics
    /// When the operating system cannot give random bytes.
    pub fn seal(
        key: &ApiV3Key,
        original_type: Option<&str>,
        associated_data: &str,
        plaintext: &[u8],
    ) -> Self {
        let nonce = nonce12();
        Self {
            original_type: original_type.map(str::to_owned),
            algorithm: aead::ALGORITHM.to_owned(),
            ciphertext: aead::seal(key, &nonce, associated_data, plaintext)
                .expect("a fresh nonce has its length"),
            associated_data: Some(associated_data.to_owned()),
            nonce,
        }
    }

    /// Decrypts it.
    ///
    /// # Errors
    /// `OpenError` for another algorithm, or if it does not open under `key`.
    pub fn open(&self, key: &ApiV3Key) -> Result<Vec<u8>, OpenError> {
        if self.algorithm != aead::ALGORITHM {
            return Err(OpenError);
        }
        aead::open(key, &self.nonce, self.associated_data.as_deref().unwrap_or_default(), &self.ciphertext)
    }
}

/// Body of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same on every retry, at most 36 characters.
    pub id: String,
    /// When it was made.
    pub create_time: String,
    /// [`ENCRYPTED_RESOURCE`].
    pub resource_type: String,
    /// What happened, e.g. [`TRANSACTION_SUCCESS`].
    pub event_type: String,
    /// For people: 支付成功, 退款成功.
    pub summary: String,
    /// What it is about.
    pub resource: Resource,
}

/// What a refund's notification is about. Not quite a [`Refund`]: the state has another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundNotice {
    /// Merchant number.
    pub mchid: String,
    /// The merchant's number of the order.
    pub out_trade_no: String,
    /// The platform's number of the payment.
    pub transaction_id: String,
    /// The merchant's number of the refund.
    pub out_refund_no: String,
    /// The platform's number of the refund.
    pub refund_id: String,
    /// Where it stands.
    pub refund_status: RefundStatus,
    /// When it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_time: Option<String>,
    /// Where it went, for people.
    pub user_received_account: String,
    /// How much.
    pub amount: RefundAmount,
}

/// Body of an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// For programs, see [`same_code`].
    pub code: String,
    /// For people; empty if absent.
    #[serde(default)]
    pub message: String,
    /// More about it; usually `field`, `value`, `issue`, `location`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// Whether two error codes are one: codes were respelled with underscores around 2023 and live systems send both
/// spellings (`ORDERNOTEXIST`, `ORDER_NOT_EXIST`).
pub fn same_code(one: &str, other: &str) -> bool {
    let letters = |code: &'_ str| code.bytes().filter(|byte| *byte != b'_').collect::<Vec<_>>();
    letters(one) == letters(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strict_json;

    #[test]
    fn absent_fields_are_left_out_and_unknown_ones_ignored() {
        let order =
            NativeOrder { amount: OrderAmount { total: 8800, currency: None }, ..NativeOrder::default() };
        let json = serde_json::to_string(&order).unwrap();
        assert_eq!(
            json,
            r#"{"appid":"","mchid":"","description":"","out_trade_no":"","notify_url":"","amount":{"total":8800}}"#
        );
        let with_more = json.replace("\"total\"", "\"new\":[1.5,null],\"total\"");
        assert_eq!(strict_json::<NativeOrder>(with_more.as_bytes()).unwrap(), order);
        assert_eq!(strict_json::<Payer>(b"{}").unwrap(), Payer::default());
    }

    #[test]
    fn a_full_order_survives_the_round_trip() {
        let json = r#"{"appid":"wx1","mchid":"1900007291","description":"咖啡","out_trade_no":"order-1","time_expire":"2026-11-23T12:00:00+08:00","attach":"a","notify_url":"https://shop.example/paid","goods_tag":"t","support_fapiao":true,"limit_pay":["no_credit"],"amount":{"total":1,"currency":"CNY"},"detail":{"cost_price":2,"invoice_id":"i","goods_detail":[{"merchant_goods_id":"g","wechatpay_goods_id":"w","goods_name":"n","quantity":1,"unit_price":2}]},"scene_info":{"payer_client_ip":"::1","device_id":"d","store_info":{"id":"s","name":"n","area_code":"440305","address":"深圳"}},"settle_info":{"profit_sharing":false}}"#;
        let order = strict_json::<NativeOrder>(json.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&order).unwrap(), json);
    }

    #[test]
    fn every_money_field_refuses_what_is_no_integer() {
        for value in ["1.0", "1e0", "\"1\"", "null"] {
            let body = format!("{{\"refund\":{value},\"total\":1,\"currency\":\"CNY\"}}");
            assert!(strict_json::<RefundRequestAmount>(body.as_bytes()).is_err(), "{value}");
        }
        assert!(strict_json::<TransactionAmount>(br#"{"total":1,"payer_total":1.0}"#).is_err());
    }

    #[test]
    fn a_state_this_crate_does_not_know_is_kept_and_never_final() {
        let state: TradeState = serde_json::from_str("\"FROZEN\"").unwrap();
        assert_eq!(state, TradeState::Other("FROZEN".into()));
        assert!(!state.is_paid() && !state.is_over_unpaid());
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"FROZEN\"");
        assert_eq!(serde_json::to_string(&TradeState::NotPay).unwrap(), "\"NOTPAY\"");
        assert_eq!(serde_json::from_str::<TradeState>("\"USERPAYING\"").unwrap(), TradeState::UserPaying);
        assert_eq!(serde_json::to_string(&RefundStatus::Abnormal).unwrap(), "\"ABNORMAL\"");
    }

    #[test]
    fn both_spellings_of_a_code_are_one() {
        assert!(same_code("ORDERNOTEXIST", "ORDER_NOT_EXIST"));
        assert!(same_code("USER_PAYING", "USERPAYING"));
        assert!(!same_code("ORDER_PAID", "ORDER_CLOSED"));
    }
}
