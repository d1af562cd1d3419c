//! Orders: placed, asked for, closed (protocol specification 2.1 to 2.3).
//!
//! The four kinds differ in what they ask for besides and in what comes back: a code to show, a number that the merchant's
//! page or app calls the payment up by, or a link for the phone's browser.

use std::net::IpAddr;

use koudai_core::bill::TellTime;
use koudai_core::id::{MchId, OrderId, PersonId};
use koudai_core::money::{Currency, Money};
use koudai_core::order::{CloseOrder, PlaceOrder};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{CodePayment, Order, OrderNumber, OrderState, OutTradeNo, Product};
use koudai_core::time::{MINUTE, Timestamp};
use koudai_networks::{Reach, protocol, reach_allows};
use koudai_store::{Reader, StoreError};
use koudai_wechatpay::placing::{H5Link, Prepaid};
use koudai_wechatpay::types::{
    GoodsDetail, H5Info, NativeReply, OrderDetail, SceneInfo, SettleInfo, StoreInfo,
};
use serde::Serialize;

use super::fault::{Asked, Fault, failed, refusal, said};
use super::fields::{Fields, OUT_TRADE_NO};
use super::{Call, Reply, codepay};

/// The largest amount of one order or refund, in fen: some SDKs hold amounts in 32 bits.
pub(super) const MOST_FEN: i64 = i32::MAX as i64;
/// The largest `detail`, in bytes of compact JSON.
const MOST_DETAIL_BYTES: usize = 6_144;
/// How long an `h5_url` opens the payment page, ms.
const H5_LIFE_MS: i64 = 5 * MINUTE;

/// `POST /v3/pay/transactions/{native,jsapi,app,h5}`.
pub(super) async fn place(call: Call, product: Product) -> Result<Reply, Fault> {
    if !call.merchant.may_use(product) {
        return Err(refusal(Asked::Place, MerchantRefusal::ProductNotEnabled));
    }
    let (mchid, reach) = (call.merchant.mchid, call.app.networks.reach);
    let order = call.fields(|fields| {
        ordered(fields, (mchid, reach), product, |appid, openid| payer(&call, appid, openid))
    })?;
    note(&order.out_trade_no);
    let placed = call.app.engine.submit(order).await.map_err(|why| failed(Asked::Place, why))?;
    let (networks, origin) = (&call.app.networks, &call.app.origin);
    let (code, expires_at) = (&placed.code, placed.code_expires_at);
    Ok(match product {
        Product::Jsapi | Product::App => Reply::json(&Prepaid { prepay_id: networks.vault.prepay_id(code) }),
        Product::H5 => {
            let until = call.app.engine.now().plus(H5_LIFE_MS).min(expires_at);
            let (prepay_id, ticket) = (networks.vault.prepay_id(code), networks.vault.h5_ticket(code, until));
            Reply::json(&H5Link { h5_url: format!("{origin}/pay/h5?prepay_id={prepay_id}&package={ticket}") })
        }
        Product::Native | Product::CodePay | Product::Static | Product::Transfer => {
            let code_url = networks.platform.code_url(origin, code, placed.mchid, expires_at);
            Reply::json(&NativeReply { code_url })
        }
    })
}

/// `GET /v3/pay/transactions/out-trade-no/{out_trade_no}?mchid=`.
pub(super) async fn by_number(mut call: Call) -> Result<Reply, Fault> {
    let out_trade_no = OUT_TRADE_NO.in_path(call.segment.take())?;
    call.check_query_merchant()?;
    note(&out_trade_no);
    let key = OutTradeNo { mchid: call.merchant.mchid, out_trade_no };
    match call.app.engine.read(move |reader| find(reader, &key).map(|found| (found, key))).await? {
        (Some((Some(order), payment)), key) => {
            let now = call.app.engine.now();
            if !is_over_by_the_clock(&order, now) {
                return show(&call, Some((order, payment)), now);
            }
            // A payment of the last moment may be on its way to the disk. Once the ledger has told its time, all that was
            // decided before is there to be read, and nothing will be decided at an earlier time.
            let told = call.app.engine.submit(TellTime).await.map_err(|why| failed(Asked::Query, why))?;
            let found = call.app.engine.read(move |reader| find(reader, &key)).await?;
            show(&call, found.and_then(|(order, payment)| Some((order?, payment))), told)
        }
        (Some((None, _)), key) => Ok(Reply::json(&codepay::barred(&call.merchant, key.out_trade_no))),
        (None, _) => show(&call, None, call.app.engine.now()),
    }
}

/// What stands under a merchant's number: an order with what a code payment has beside it, or that none ever will.
type Found = Option<(Option<Order>, Option<CodePayment>)>;

fn find(reader: &Reader, key: &OutTradeNo) -> Result<Found, StoreError> {
    reader.snapshot(|reader| {
        let Some(number) = reader.get::<OrderNumber>(key)? else { return Ok::<_, StoreError>(None) };
        Ok(Some((reader.get::<Order>(&number.order)?, reader.get::<CodePayment>(&number.order)?)))
    })
}

/// Whether nothing but the time says that the order is over.
const fn is_over_by_the_clock(order: &Order, now: Timestamp) -> bool {
    matches!(order.state, OrderState::Unpaid | OrderState::Confirming) && now.0 >= order.expires_at.0
}

/// `GET /v3/pay/transactions/id/{transaction_id}?mchid=`. An order has this number once it is paid; one of another
/// merchant is as unknown as one that never was.
pub(super) async fn by_id(mut call: Call) -> Result<Reply, Fault> {
    let id = call.segment.take().and_then(|text| OrderId::parse(&text));
    call.check_query_merchant()?;
    let found = match id {
        Some(id) => {
            let read = call.app.engine.read(move |reader| {
                let order = reader.get::<Order>(&id)?;
                order.map_or(Ok(None), |order| Ok(Some((order, reader.get::<CodePayment>(&id)?))))
            });
            read.await?
        }
        None => None,
    };
    let mchid = call.merchant.mchid;
    let found = found.filter(|(order, _)| order.mchid == mchid && order.paid_at.is_some());
    if let Some((order, _)) = &found {
        note(&order.out_trade_no);
    }
    show(&call, found, call.app.engine.now())
}

/// `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close`.
pub(super) async fn close(mut call: Call) -> Result<Reply, Fault> {
    let out_trade_no = OUT_TRADE_NO.in_path(call.segment.take())?;
    call.fields(read_close)?;
    note(&out_trade_no);
    let close = CloseOrder { mchid: call.merchant.mchid, out_trade_no };
    call.app.engine.submit(close).await.map_err(|why| failed(Asked::Close, why))?;
    Ok(Reply::Empty)
}

/// What a body that closes an order says: who asks.
pub(super) fn read_close(fields: &Fields<'_>) -> Result<(), Fault> {
    fields.required_text("mchid", 1..=32).map(drop)
}

fn show(call: &Call, found: Option<(Order, Option<CodePayment>)>, now: Timestamp) -> Result<Reply, Fault> {
    let (order, payment) = found.ok_or_else(|| refusal(Asked::Query, MerchantRefusal::OrderUnknown))?;
    let mut shown = protocol::transaction(&order, &call.app.networks.vault, now);
    if let Some(why) = payment.and_then(|payment| codepay::why_failed(&order, &payment, now)) {
        why.clone_into(&mut shown.trade_state_desc);
    }
    Ok(Reply::json(&shown))
}

/// Lets the request's log line name the order.
pub(super) fn note(out_trade_no: &str) {
    tracing::Span::current().record("out_trade_no", out_trade_no);
}

/// The order a body asks for. `support_fapiao` and `limit_pay` are accepted and change nothing.
/// Whom a JSAPI order is meant for, `payer` knows by its app and openid.
pub(super) fn ordered(
    fields: &Fields<'_>,
    (mchid, reach): (MchId, Reach),
    product: Product,
    payer: impl FnOnce(&str, &str) -> Result<PersonId, Fault>,
) -> Result<PlaceOrder, Fault> {
    let appid = fields.required_text("appid", 1..=32)?;
    fields.required_text("mchid", 1..=32)?;
    let description = fields.required_text("description", 1..=127)?;
    let out_trade_no = OUT_TRADE_NO.required_in_body(fields)?;
    let time_expire = fields.text("time_expire", 1..=64)?.map(|text| {
        let issue = said("应为带时区的 RFC 3339 时间", "must be an RFC 3339 time with a zone");
        Timestamp::parse_rfc3339(text).ok_or_else(|| fields.refuse("time_expire", issue))
    });
    let time_expire = time_expire.transpose()?;
    let attach = fields.owned("attach", 128)?;
    let notify_url = fields.required_text("notify_url", 1..=255)?;
    check_notify_url(fields, notify_url, reach)?;
    let goods_tag = fields.owned("goods_tag", 32)?;
    fields.flag("support_fapiao")?;
    let amount = amount(fields)?;
    let detail = detail(fields, order_detail)?;
    let scene_info = match product {
        Product::H5 => {
            let scene = fields.required_object("scene_info")?;
            check_payer_ip(&scene, reach)?;
            scene.required_object("h5_info")?;
            Some(scene_info(&scene)?)
        }
        _ => fields.object("scene_info")?.map(|scene| scene_info(&scene)).transpose()?,
    };
    let meant_for = match product {
        Product::Jsapi => {
            let openid = fields.required_object("payer")?.required_text("openid", 1..=128)?.to_owned();
            Some(payer(appid, &openid)?)
        }
        _ => None,
    };
    let settle_info = settle_info(fields)?;
    Ok(PlaceOrder {
        mchid,
        appid: appid.to_owned(),
        out_trade_no,
        product,
        description: description.to_owned(),
        attach,
        notify_url: notify_url.to_owned(),
        goods_tag,
        detail,
        scene_info: scene_info.map(|scene| compact(&scene)),
        settle_info,
        amount,
        time_expire,
        meant_for,
    })
}

/// Who may pay, by what the app knows them as. An openid of another app's, or of nobody, leads to nobody.
fn payer(call: &Call, appid: &str, openid: &str) -> Result<PersonId, Fault> {
    // Under an app that is not the merchant's no openid fits; what is wrong then is the app.
    if appid != call.merchant.appid {
        return Err(refusal(Asked::Place, MerchantRefusal::AppidMismatch));
    }
    let person = call.app.networks.vault.person_of(appid, openid);
    person.ok_or_else(|| refusal(Asked::Place, MerchantRefusal::PayerUnknown))
}

/// An H5 order names the address of the payer's phone, which is never this machine's but in a demo.
fn check_payer_ip(scene: &Fields<'_>, reach: Reach) -> Result<(), Fault> {
    let text = scene.required_text("payer_client_ip", 1..=45)?;
    let fine = text.parse::<IpAddr>().is_ok_and(|ip| {
        reach == Reach::Local || !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
    });
    let issue = said("应为用户手机的 IP 地址", "must be the IP address of the payer's phone");
    if fine { Ok(()) } else { Err(scene.refuse("payer_client_ip", issue)) }
}

/// An address that notifications may go to. What its name resolves to is judged again whenever one is sent.
pub(super) fn check_notify_url(fields: &Fields<'_>, address: &str, reach: Reach) -> Result<(), Fault> {
    if reach_allows(reach, address).is_some() {
        return Ok(());
    }
    let issue = said(
        "必须是外网可访问的 https 地址，不能带查询参数",
        "must be a public https address without a query string",
    );
    Err(fields.refuse("notify_url", issue))
}

/// What is to be paid.
pub(super) fn amount(fields: &Fields<'_>) -> Result<Money, Fault> {
    let amount = fields.required_object("amount")?;
    let total = amount.required_integer("total", 1..=MOST_FEN)?;
    if let Some(currency) = amount.text("currency", 1..=16)? {
        check_currency(&amount, currency)?;
    }
    Ok(fen(total))
}

/// What is bought, as `read` reads it, to be kept.
pub(super) fn detail<T: Serialize>(
    fields: &Fields<'_>,
    read: impl FnOnce(&Fields<'_>) -> Result<T, Fault>,
) -> Result<Option<String>, Fault> {
    let detail = fields.object("detail")?.map(|detail| read(&detail)).transpose()?;
    let detail = detail.map(|detail| compact(&detail));
    if detail.as_ref().is_some_and(|detail| detail.len() > MOST_DETAIL_BYTES) {
        let issue = said("总长度不得超过 6144 字节", "must not exceed 6144 bytes");
        return Err(fields.refuse("detail", issue));
    }
    Ok(detail)
}

/// How it is settled, to be kept.
pub(super) fn settle_info(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    let Some(settle) = fields.object("settle_info")? else { return Ok(None) };
    Ok(Some(compact(&SettleInfo { profit_sharing: settle.flag("profit_sharing")? })))
}

/// Only one currency is dealt in.
pub(super) fn check_currency(amount: &Fields<'_>, currency: &str) -> Result<(), Fault> {
    if currency == Currency::Cny.code() {
        return Ok(());
    }
    Err(amount.refuse("currency", said("仅支持 CNY", "must be CNY")))
}

/// An amount that was checked to be one.
pub(super) fn fen(total: i64) -> Money {
    Money::fen(total).expect("the field's range begins above zero")
}

fn order_detail(fields: &Fields<'_>) -> Result<OrderDetail, Fault> {
    let line = |goods: &Fields<'_>| {
        Ok(GoodsDetail {
            merchant_goods_id: goods.required_text("merchant_goods_id", 1..=32)?.to_owned(),
            wechatpay_goods_id: goods.owned("wechatpay_goods_id", 32)?,
            goods_name: goods.owned("goods_name", 256)?,
            quantity: goods.required_integer("quantity", 1..=MOST_FEN)?,
            unit_price: goods.required_integer("unit_price", 0..=MOST_FEN)?,
        })
    };
    let goods = fields.objects("goods_detail")?;
    Ok(OrderDetail {
        cost_price: fields.integer("cost_price", 0..=MOST_FEN)?,
        invoice_id: fields.owned("invoice_id", 32)?,
        goods_detail: goods.map(|goods| goods.iter().map(line).collect::<Result<_, Fault>>()).transpose()?,
    })
}

fn scene_info(fields: &Fields<'_>) -> Result<SceneInfo, Fault> {
    let store = |store: Fields<'_>| {
        Ok::<_, Fault>(StoreInfo {
            id: store.required_text("id", 1..=32)?.to_owned(),
            name: store.owned("name", 256)?,
            area_code: store.owned("area_code", 32)?,
            address: store.owned("address", 512)?,
        })
    };
    let h5 = |h5: Fields<'_>| {
        let kind = h5.required_text("type", 1..=32)?;
        if !["wap", "ios", "android"].contains(&kind.to_ascii_lowercase().as_str()) {
            return Err(h5.refuse("type", said("应为 Wap、iOS 或 Android", "must be Wap, iOS or Android")));
        }
        Ok::<_, Fault>(H5Info {
            kind: kind.to_owned(),
            app_name: h5.owned("app_name", 64)?,
            app_url: h5.owned("app_url", 128)?,
            bundle_id: h5.owned("bundle_id", 128)?,
            package_name: h5.owned("package_name", 128)?,
        })
    };
    Ok(SceneInfo {
        payer_client_ip: Some(fields.required_text("payer_client_ip", 1..=45)?.to_owned()),
        device_id: fields.owned("device_id", 32)?,
        store_info: fields.object("store_info")?.map(store).transpose()?,
        h5_info: fields.object("h5_info")?.map(h5).transpose()?.map(Box::new),
    })
}

/// The one spelling of a value, so that the same content in another order of keys is the same content.
pub(super) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the wire types are plain JSON")
}
