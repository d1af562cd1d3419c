//! Orders, refunds and transfers in the words of APIv3, for the gateway's replies and for notifications alike.

use koudai_core::order::OrderStanding;
use koudai_core::rows::{
    Card, Order, Product, Refund, RefundState, RefundWay, Transfer, TransferFailure, TransferState,
};
use koudai_core::time::Timestamp;
use koudai_wechatpay::types::{
    Payer, Refund as WireRefund, RefundAmount, RefundNotice, RefundStatus, SceneInfo, TradeState,
    Transaction, TransactionAmount, TransferBill, TransferNotice, TransferState as WireTransferState,
};

use crate::vault::Vault;

/// An order as a query and a notification show it.
pub fn transaction(order: &Order, vault: &Vault, now: Timestamp) -> Transaction {
    let (trade_state, desc) = match order.standing(now) {
        OrderStanding::Paying if order.product == Product::CodePay => (TradeState::UserPaying, "用户支付中"),
        OrderStanding::Payable | OrderStanding::Paying => (TradeState::NotPay, "订单未支付"),
        OrderStanding::Confirming => (TradeState::UserPaying, "需要用户在手机上确认支付"),
        OrderStanding::Failed => (TradeState::PayError, "支付失败，请顾客刷新付款码后换单号重试"),
        OrderStanding::Reversed => (TradeState::Revoked, "订单已撤销"),
        OrderStanding::Paid => (TradeState::Success, "支付成功"),
        OrderStanding::Refunded => (TradeState::Refund, "订单发生过退款"),
        OrderStanding::Closed | OrderStanding::Expired => (TradeState::Closed, "订单已关闭"),
    };
    let paid = order.paid_at;
    let currency = order.amount.currency().code().to_owned();
    Transaction {
        appid: order.appid.to_string(),
        mchid: order.mchid.wire(),
        out_trade_no: order.out_trade_no.to_string(),
        transaction_id: paid.map(|_| order.id.wire()),
        trade_type: paid.map(|_| trade_type(order.product).to_owned()),
        trade_state,
        trade_state_desc: desc.to_owned(),
        bank_type: paid.map(|_| "OTHERS".to_owned()),
        attach: order.attach.as_deref().map(str::to_owned),
        success_time: paid.map(Timestamp::rfc3339),
        payer: Some(Payer { openid: paid.and(order.payer).map(|person| vault.openid(&order.appid, person)) }),
        amount: Some(TransactionAmount {
            total: order.amount.minor(),
            payer_total: paid.map(|_| order.amount.minor()),
            payer_currency: paid.map(|_| currency.clone()),
            currency: Some(currency),
        }),
        scene_info: order
            .scene_info
            .as_deref()
            .and_then(device)
            .map(|device_id| SceneInfo { device_id: Some(device_id), ..SceneInfo::default() }),
        promotion_detail: None,
    }
}

/// The merchant's device, the only part of a scene that comes back. The rest differs by how an order is brought to its payer.
pub fn device(scene_info: &str) -> Option<String> {
    let scene: serde_json::Value = serde_json::from_str(scene_info).ok()?;
    Some(scene.get("device_id")?.as_str()?.to_owned())
}

/// The protocol's word for how an order is brought to the payer. Who pays by a printed code says the amount on a page of the
/// wallet's.
pub const fn trade_type(product: Product) -> &'static str {
    match product {
        Product::Native => "NATIVE",
        Product::Jsapi | Product::Static => "JSAPI",
        Product::App => "APP",
        Product::H5 => "MWEB",
        Product::CodePay => "MICROPAY",
        // No order is one.
        Product::Transfer => "TRANSFER",
    }
}

/// A refund as the reply and the query show it.
pub fn refund(refund: &Refund, order: &Order, card: Option<&Card>) -> WireRefund {
    let minor = refund.amount.minor();
    WireRefund {
        refund_id: refund.id.wire(),
        out_refund_no: refund.out_refund_no.clone(),
        transaction_id: order.id.wire(),
        out_trade_no: order.out_trade_no.to_string(),
        channel: channel(refund.way).to_owned(),
        user_received_account: received_by(refund.way, card),
        success_time: refund.success_at.map(Timestamp::rfc3339),
        create_time: refund.created_at.rfc3339(),
        status: status(refund.state),
        funds_account: Some("UNSETTLED".to_owned()),
        amount: RefundAmount {
            settlement_total: Some(order.amount.minor()),
            settlement_refund: Some(minor),
            discount_refund: Some(0),
            currency: Some(refund.amount.currency().code().to_owned()),
            refund_fee: Some(refund.fee_returned.minor()),
            ..four_amounts(refund, order)
        },
        promotion_detail: None,
    }
}

/// A refund as a notification shows it.
pub fn refund_notice(refund: &Refund, order: &Order, card: Option<&Card>) -> RefundNotice {
    RefundNotice {
        mchid: refund.mchid.wire(),
        out_trade_no: order.out_trade_no.to_string(),
        transaction_id: order.id.wire(),
        out_refund_no: refund.out_refund_no.clone(),
        refund_id: refund.id.wire(),
        refund_status: status(refund.state),
        success_time: refund.success_at.map(Timestamp::rfc3339),
        user_received_account: received_by(refund.way, card),
        amount: four_amounts(refund, order),
    }
}

fn four_amounts(refund: &Refund, order: &Order) -> RefundAmount {
    RefundAmount {
        total: order.amount.minor(),
        refund: refund.amount.minor(),
        payer_total: order.amount.minor(),
        payer_refund: refund.amount.minor(),
        ..RefundAmount::default()
    }
}

/// The protocol's word for the way a refund goes.
const fn channel(way: RefundWay) -> &'static str {
    match way {
        RefundWay::Original => "ORIGINAL",
        RefundWay::Balance => "OTHER_BALANCE",
        RefundWay::Merchant => "OTHER_BANKCARD",
    }
}

/// Where the money goes, in the words merchants know.
fn received_by(way: RefundWay, card: Option<&Card>) -> String {
    use koudai_core::card::CardKind;
    match (way, card) {
        (RefundWay::Merchant, _) => "商户结算银行账户".to_owned(),
        (RefundWay::Balance, _) | (RefundWay::Original, None) => "支付用户零钱".to_owned(),
        (RefundWay::Original, Some(card)) => {
            let kind = match card.kind {
                CardKind::Debit => "借记卡",
                CardKind::Credit => "信用卡",
                CardKind::Wallet => "",
            };
            format!("{}{kind}{}", card.bank_zh, card.last4)
        }
    }
}

const fn status(state: RefundState) -> RefundStatus {
    match state {
        RefundState::Processing => RefundStatus::Processing,
        RefundState::Success => RefundStatus::Success,
        RefundState::Abnormal => RefundStatus::Abnormal,
    }
}

/// The protocol's word for how a transfer stands.
pub const fn transfer_state(state: TransferState) -> WireTransferState {
    match state {
        TransferState::Waiting => WireTransferState::WaitUserConfirm,
        TransferState::Received => WireTransferState::Success,
        TransferState::Failed => WireTransferState::Fail,
        TransferState::Cancelled => WireTransferState::Cancelled,
    }
}

/// The protocol's word for why a transfer did not come about.
pub const fn fail_reason(failure: TransferFailure) -> &'static str {
    match failure {
        TransferFailure::PayeeFrozen => "ACCOUNT_FROZEN",
        TransferFailure::PayeeUnproven => "REAL_NAME_CHECK_FAIL",
        TransferFailure::NameWrong => "NAME_NOT_CORRECT",
        TransferFailure::Overdue => "OVERDUE_CLOSE",
        TransferFailure::Withdrawn => "MCH_CANCEL",
    }
}

/// A transfer as the queries show it, without the payee's name, which is encrypted to whoever asks.
pub fn transfer(transfer: &Transfer, vault: &Vault) -> TransferBill {
    TransferBill {
        mch_id: transfer.mchid.wire(),
        out_bill_no: transfer.out_bill_no.clone(),
        transfer_bill_no: transfer.id.wire(),
        appid: transfer.appid.clone(),
        state: transfer_state(transfer.state),
        transfer_amount: transfer.amount.minor(),
        transfer_remark: transfer.remark.clone(),
        fail_reason: transfer.failure.map(|failure| fail_reason(failure).to_owned()),
        openid: Some(vault.openid(&transfer.appid, transfer.payee)),
        user_name: None,
        create_time: transfer.created_at.rfc3339_ms(),
        update_time: transfer.updated_at().rfc3339_ms(),
    }
}

/// A transfer that has ended, as a notification shows it.
pub fn transfer_notice(transfer: &Transfer, vault: &Vault) -> TransferNotice {
    TransferNotice {
        out_bill_no: transfer.out_bill_no.clone(),
        transfer_bill_no: transfer.id.wire(),
        state: transfer_state(transfer.state),
        mch_id: transfer.mchid.wire(),
        transfer_amount: transfer.amount.minor(),
        openid: vault.openid(&transfer.appid, transfer.payee),
        fail_reason: transfer.failure.map(|failure| fail_reason(failure).to_owned()),
        create_time: transfer.created_at.rfc3339_ms(),
        update_time: transfer.updated_at().rfc3339_ms(),
    }
}
