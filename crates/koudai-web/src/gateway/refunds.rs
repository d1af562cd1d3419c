//! Refunds: asked for, and asked about (protocol specification 2.5 and 3.4).

use koudai_core::id::{MchId, OrderId, RefundId};
use koudai_core::refund::{Elsewhere, OrderName, RedirectRefund, RequestRefund};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{Card, Order, OutRefundNo, Refund, RefundNumber};
use koudai_networks::{Reach, protocol};
use koudai_store::StoreError;

use super::fault::{Asked, Fault, failed, refusal, said};
use super::fields::{Fields, OUT_REFUND_NO, OUT_TRADE_NO};
use super::orders::{MOST_FEN, check_currency, check_notify_url, fen, note};
use super::{Call, Reply};

/// `POST /v3/refund/domestic/refunds`.
pub(super) async fn request(call: Call) -> Result<Reply, Fault> {
    let (mchid, reach) = (call.merchant.mchid, call.app.networks.reach);
    let request = call.fields(|fields| refund_request(fields, mchid, reach))?;
    let reply = call.app.engine.submit(request).await;
    let (refund, order) = reply.map_err(|why| failed(Asked::Refund, why))?;
    show(&call, &refund, &order).await
}

async fn show(call: &Call, refund: &Refund, order: &Order) -> Result<Reply, Fault> {
    note(&order.out_trade_no);
    let card = match refund.card {
        Some(id) => call.app.engine.read(move |reader| reader.get::<Card>(&id)).await?,
        None => None,
    };
    Ok(Reply::json(&protocol::refund(refund, order, card.as_ref())))
}

/// `POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund`: where a refund goes that its bank refused for
/// good. `USER_BALANCE` is our own word; the original pays out to a card that the merchant names instead.
pub(super) async fn redirect(mut call: Call) -> Result<Reply, Fault> {
    let unknown = || refusal(Asked::Refund, MerchantRefusal::RefundUnknown);
    let refund = call.segment.take().and_then(|text| RefundId::parse(&text)).ok_or_else(unknown)?;
    let mchid = call.merchant.mchid;
    let redirect = call.fields(|fields| redirection(fields, mchid, refund))?;
    let reply = call.app.engine.submit(redirect).await;
    let (refund, order) = reply.map_err(|why| failed(Asked::Refund, why))?;
    show(&call, &refund, &order).await
}

/// Where a body sends a refund.
pub(super) fn redirection(
    fields: &Fields<'_>,
    mchid: MchId,
    refund: RefundId,
) -> Result<RedirectRefund, Fault> {
    let out_refund_no = OUT_REFUND_NO.required_in_body(fields)?;
    let to = match fields.required_text("type", 1..=32)? {
        "USER_BALANCE" => Elsewhere::Balance,
        "MERCHANT_BANK_CARD" => Elsewhere::Merchant,
        "USER_BANK_CARD" => return Err(Fault::no_payout()),
        _ => {
            let issue =
                said("应为 USER_BALANCE 或 MERCHANT_BANK_CARD", "must be USER_BALANCE or MERCHANT_BANK_CARD");
            return Err(fields.refuse("type", issue));
        }
    };
    Ok(RedirectRefund { mchid, refund, out_refund_no, to })
}

/// `GET /v3/refund/domestic/refunds/{out_refund_no}`. The signer is the merchant.
pub(super) async fn by_number(mut call: Call) -> Result<Reply, Fault> {
    let out_refund_no = OUT_REFUND_NO.in_path(call.segment.take())?;
    if call.parameter("mchid")?.is_some() {
        call.check_query_merchant()?;
    }
    let key = OutRefundNo { mchid: call.merchant.mchid, out_refund_no };
    let found = call.app.engine.read(move |reader| {
        reader.snapshot(|reader| {
            let Some(number) = reader.get::<RefundNumber>(&key)? else { return Ok(None) };
            let refund = reader.get::<Refund>(&number.refund)?;
            let Some(refund) = refund else { return Ok::<_, StoreError>(None) };
            let order = reader.get::<Order>(&refund.order)?;
            let card = refund.card.map(|id| reader.get::<Card>(&id)).transpose()?.flatten();
            Ok(order.map(|order| (refund, order, card)))
        })
    });
    let found = found.await?;
    let (refund, order, card) =
        found.ok_or_else(|| refusal(Asked::Refund, MerchantRefusal::RefundUnknown))?;
    note(&order.out_trade_no);
    Ok(Reply::json(&protocol::refund(&refund, &order, card.as_ref())))
}

/// The refund a body asks for. Which goods come back is checked for form only; which account pays is always the
/// merchant's one.
pub(super) fn refund_request(
    fields: &Fields<'_>,
    mchid: MchId,
    reach: Reach,
) -> Result<RequestRefund, Fault> {
    let order = match fields.text("transaction_id", 1..=32)? {
        // A number that cannot be one of ours is that of no order.
        Some(text) => OrderName::Id(
            OrderId::parse(text).ok_or_else(|| refusal(Asked::Refund, MerchantRefusal::OrderUnknown))?,
        ),
        None => OrderName::Number(OUT_TRADE_NO.in_body(fields)?.ok_or_else(|| {
            let issue = said("与 transaction_id 至少填写一个", "or transaction_id is required");
            fields.refuse("out_trade_no", issue)
        })?),
    };
    if let OrderName::Number(number) = &order {
        note(number);
    }
    let out_refund_no = OUT_REFUND_NO.required_in_body(fields)?;
    let reason = fields.owned("reason", 80)?;
    let notify_url = fields.owned("notify_url", 256)?;
    if let Some(address) = &notify_url {
        check_notify_url(fields, address, reach)?;
    }
    let account = fields.text("funds_account", 1..=32)?;
    if account.is_some_and(|account| !matches!(account, "AVAILABLE" | "UNSETTLED")) {
        let issue = said("应为 AVAILABLE 或 UNSETTLED", "must be AVAILABLE or UNSETTLED");
        return Err(fields.refuse("funds_account", issue));
    }
    let amount = fields.required_object("amount")?;
    let refund = amount.required_integer("refund", 1..=MOST_FEN)?;
    let total = amount.required_integer("total", 1..=MOST_FEN)?;
    check_currency(&amount, amount.required_text("currency", 1..=16)?)?;
    check_sources(&amount, refund)?;
    for goods in fields.objects("goods_detail")?.unwrap_or_default() {
        goods.required_text("merchant_goods_id", 1..=32)?;
        goods.text("wechatpay_goods_id", 1..=32)?;
        goods.text("goods_name", 1..=256)?;
        goods.required_integer("unit_price", 0..=MOST_FEN)?;
        goods.required_integer("refund_amount", 0..=MOST_FEN)?;
        goods.required_integer("refund_quantity", 1..=MOST_FEN)?;
    }
    Ok(RequestRefund {
        mchid,
        order,
        out_refund_no,
        amount: fen(refund),
        total: fen(total),
        reason,
        notify_url,
    })
}

/// `amount.from` sums up to the refund.
fn check_sources(amount: &Fields<'_>, refund: i64) -> Result<(), Fault> {
    let Some(sources) = amount.objects("from")?.filter(|sources| !sources.is_empty()) else { return Ok(()) };
    let mut sum = 0_i64;
    for source in &sources {
        let account = source.required_text("account", 1..=32)?;
        if !matches!(account, "AVAILABLE" | "UNAVAILABLE") {
            let issue = said("应为 AVAILABLE 或 UNAVAILABLE", "must be AVAILABLE or UNAVAILABLE");
            return Err(source.refuse("account", issue));
        }
        sum = sum.saturating_add(source.required_integer("amount", 1..=MOST_FEN)?);
    }
    if sum == refund {
        return Ok(());
    }
    Err(amount.refuse("from", said("各账户出资金额之和应等于退款金额", "must sum up to the refund")))
}
