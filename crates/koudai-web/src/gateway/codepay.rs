//! Payments by the payer's code: taken, and reversed (protocol specification 2.4).

use koudai_core::code_payment::{CodeFailure, TakeByCode};
use koudai_core::id::MchId;
use koudai_core::order::OrderStanding;
use koudai_core::payer_code::AuthCode;
use koudai_core::refusal::MerchantRefusal;
use koudai_core::reversal::ReverseOrder;
use koudai_core::rows::{CodePayment, Merchant, Order, Product};
use koudai_core::time::Timestamp;
use koudai_networks::protocol;
use koudai_wechatpay::types::{
    CodeDetail, CodeGoods, CodeScene, CodeStore, ReverseReply, TradeState, Transaction,
};

use super::fault::{Asked, Fault, failed, refusal, said};
use super::fields::{Fields, OUT_TRADE_NO};
use super::orders::{MOST_FEN, amount, compact, detail, note, settle_info};
use super::{Call, Reply};

/// `POST /v3/pay/transactions/codepay`. The reply is the outcome.
pub(super) async fn take(call: Call) -> Result<Reply, Fault> {
    if !call.merchant.may_use(Product::CodePay) {
        return Err(refusal(Asked::CodePay, MerchantRefusal::ProductNotEnabled));
    }
    let mchid = call.merchant.mchid;
    let request = call.fields(|fields| code_order(fields, mchid))?;
    note(&request.out_trade_no);
    let taken = call.app.engine.submit(request).await.map_err(|why| failed(Asked::CodePay, why))?;
    let now = call.app.engine.clock().now();
    match taken.standing(now) {
        OrderStanding::Paid | OrderStanding::Refunded => {
            Ok(Reply::json(&protocol::transaction(&taken, &call.app.networks.vault, now)))
        }
        // The payer or their bank is asked; the clock may have run on since the decision.
        _ => Err(refusal(Asked::CodePay, MerchantRefusal::UserPaying)),
    }
}

/// `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/reverse`.
pub(super) async fn reverse(mut call: Call) -> Result<Reply, Fault> {
    let out_trade_no = OUT_TRADE_NO.in_path(call.segment.take())?;
    let appid = call.fields(read_reverse)?;
    note(&out_trade_no);
    let mchid = call.merchant.mchid;
    let command = ReverseOrder { mchid, appid: appid.clone(), out_trade_no: out_trade_no.clone() };
    call.app.engine.submit(command).await.map_err(|why| failed(Asked::Reverse, why))?;
    Ok(Reply::json(&ReverseReply { appid, mchid: mchid.wire(), out_trade_no }))
}

/// What a query says of a number that was reversed before anything came under it.
pub(super) fn barred(merchant: &Merchant, out_trade_no: String) -> Transaction {
    Transaction {
        appid: merchant.appid.clone(),
        mchid: merchant.mchid.wire(),
        out_trade_no,
        transaction_id: None,
        trade_type: None,
        trade_state: TradeState::Revoked,
        trade_state_desc: "订单已撤销".to_owned(),
        bank_type: None,
        attach: None,
        success_time: None,
        payer: None,
        amount: None,
        scene_info: None,
        promotion_detail: None,
    }
}

/// What a body that reverses an order says: the app it came from.
pub(super) fn read_reverse(fields: &Fields<'_>) -> Result<String, Fault> {
    fields.required_text("mchid", 1..=32)?;
    Ok(fields.required_text("appid", 1..=32)?.to_owned())
}

/// Why a code payment failed, in words for the cashier.
pub(super) fn why_failed(order: &Order, payment: &CodePayment, now: Timestamp) -> Option<&'static str> {
    if order.standing(now) != OrderStanding::Failed {
        return None;
    }
    Some(match payment.failure {
        Some(CodeFailure::InsufficientBalance) => "支付失败：顾客零钱不足，请顾客更换支付方式",
        Some(CodeFailure::CardInsufficientFunds) => "支付失败：顾客银行卡余额不足，请顾客更换支付方式",
        Some(CodeFailure::AccountFrozen) => "支付失败：顾客账户异常",
        Some(CodeFailure::CardNotUsable) => "支付失败：顾客银行卡状态异常，请顾客更换支付方式",
        Some(CodeFailure::BankRefused) => "支付失败：发卡行拒绝，请顾客更换支付方式",
        Some(CodeFailure::BankUnavailable) => "支付失败：银行暂时无法连接，请顾客更换支付方式",
        Some(CodeFailure::Declined) => "支付失败：顾客取消了付款",
        None => "支付失败：顾客未在时限内确认",
    })
}

/// The payment a body asks for. `support_fapiao` is accepted and changes nothing.
pub(super) fn code_order(fields: &Fields<'_>, mchid: MchId) -> Result<TakeByCode, Fault> {
    let appid = fields.required_text("appid", 1..=32)?.to_owned();
    fields.required_text("mchid", 1..=32)?;
    let description = fields.required_text("description", 1..=127)?.to_owned();
    let out_trade_no = OUT_TRADE_NO.required_in_body(fields)?;
    let attach = fields.owned("attach", 128)?;
    let goods_tag = fields.owned("goods_tag", 32)?;
    fields.flag("support_fapiao")?;
    let auth_code = fields.required_object("payer")?.required_text("auth_code", 1..=32)?;
    let amount = amount(fields)?;
    let scene = scene(&fields.required_object("scene_info")?)?;
    let detail = detail(fields, code_detail)?;
    let settle_info = settle_info(fields)?;
    // Digits that cannot be a code are never quoted back: a slip of a finger may have made them from one.
    let code = AuthCode::parse(auth_code)
        .ok_or_else(|| refusal(Asked::CodePay, MerchantRefusal::AuthCodeInvalid))?;
    Ok(TakeByCode {
        mchid,
        appid,
        out_trade_no,
        description,
        attach,
        goods_tag,
        detail,
        scene_info: Some(compact(&scene)),
        settle_info,
        amount,
        code,
    })
}

fn scene(fields: &Fields<'_>) -> Result<CodeScene, Fault> {
    let store = fields.required_object("store_info")?;
    let store_info = CodeStore { id: store.owned("id", 32)?, out_id: store.owned("out_id", 64)? };
    if store_info.id.is_none() && store_info.out_id.is_none() {
        let issue = said("与 out_id 至少填写一个", "or out_id is required");
        return Err(store.refuse("id", issue));
    }
    Ok(CodeScene {
        device_id: fields.owned("device_id", 32)?,
        device_ip: fields.owned("device_ip", 45)?,
        store_info,
    })
}

fn code_detail(fields: &Fields<'_>) -> Result<CodeDetail, Fault> {
    let line = |goods: &Fields<'_>| {
        Ok(CodeGoods {
            merchant_goods_id: goods.required_text("merchant_goods_id", 1..=32)?.to_owned(),
            wxpay_goods_id: goods.owned("wxpay_goods_id", 32)?,
            goods_name: goods.owned("goods_name", 256)?,
            quantity: goods.required_integer("quantity", 1..=MOST_FEN)?,
            unit_price: goods.required_integer("unit_price", 0..=MOST_FEN)?,
        })
    };
    let goods = fields.objects("goods_detail")?;
    Ok(CodeDetail {
        cost_price: fields.integer("cost_price", 0..=MOST_FEN)?,
        invoice_id: fields.owned("invoice_id", 32)?,
        goods_detail: goods.map(|goods| goods.iter().map(line).collect::<Result<_, Fault>>()).transpose()?,
    })
}
