//! Bills: applied for, and downloaded (protocol specification 2.6).

use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::MerchantBills;
use koudai_wechatpay::types::BillReply;
use serde_json::Value;

use super::fault::{Asked, Fault, Said, refusal, said};
use super::fields::{self, Place};
use super::{Call, File, Reply};
use crate::bills::{Bill, BillKind, Day, NoBill, Token, TokenError};

/// Where bills are downloaded. SDKs know the path: they do not check the signature of its replies, which have none.
pub(super) const DOWNLOAD: &str = "/v3/billdownload/file";

/// `GET /v3/bill/tradebill`.
pub(super) async fn trade(call: Call) -> Result<Reply, Fault> {
    let day = day(&call)?;
    let kind = match call.parameter("bill_type")?.as_deref() {
        None | Some("" | "ALL") => BillKind::All,
        Some("SUCCESS") => BillKind::Success,
        Some("REFUND") => BillKind::Refund,
        Some(special @ ("RECHARGE_REFUND" | "ALL_SPECIAL" | "SUC_SPECIAL" | "REF_SPECIAL")) => {
            let issue = said("本平台不提供特殊账单", "is a special bill, which there is none of here");
            return Err(wrong("bill_type", special, issue));
        }
        Some(other) => {
            let issue = said("应为 ALL、SUCCESS 或 REFUND", "must be ALL, SUCCESS or REFUND");
            return Err(wrong("bill_type", other, issue));
        }
    };
    apply(&call, Bill { mchid: call.merchant.mchid, kind, day }).await
}

/// `GET /v3/bill/fundflowbill`. A merchant has one account, `BASIC`; what the original books on two others goes through it.
pub(super) async fn fund_flow(call: Call) -> Result<Reply, Fault> {
    let day = day(&call)?;
    let is_basic = match call.parameter("account_type")?.as_deref() {
        None | Some("" | "BASIC") => true,
        Some("OPERATION" | "FEES") => false,
        Some(other) => {
            let issue = said("应为 BASIC、OPERATION 或 FEES", "must be BASIC, OPERATION or FEES");
            return Err(wrong("account_type", other, issue));
        }
    };
    if !is_basic {
        is_compressed(&call)?;
        return Err(Fault::no_statement());
    }
    apply(&call, Bill { mchid: call.merchant.mchid, kind: BillKind::FundFlow, day }).await
}

/// `GET /v3/billdownload/file?token=`.
pub(super) async fn download(call: Call) -> Result<Reply, Fault> {
    let text = call.parameter("token")?;
    let text = text.ok_or_else(|| Fault::parameter(Place::Query, "token", None, fields::MISSING))?;
    let (app, mchid) = (&call.app, call.merchant.mchid);
    let token = Token::open(&text, &app.networks.vault, mchid, app.engine.now());
    let token = token.map_err(|error| match error {
        // What stands there may be somebody's token, cut: it is not quoted.
        TokenError::Malformed => {
            let issue = said("不是有效的下载凭证", "is not one that a bill was applied for with");
            Fault::parameter(Place::Query, "token", None, issue)
        }
        TokenError::OtherMerchant => Fault::other_merchants_bill(),
        TokenError::Expired => Fault::bill_token_expired(),
    })?;
    let written = app.bills.get(app, token.bill).await.map_err(no_bill)?;
    let reading = written.read(token.compressed).map_err(|error| {
        tracing::error!(%error, "a bill's file cannot be read");
        Fault::system()
    })?;
    let content_type = if token.compressed { "application/x-gzip" } else { "text/plain; charset=utf-8" };
    Ok(Reply::File(File { content_type, reading }))
}

/// Has a bill made, and says where it is.
async fn apply(call: &Call, bill: Bill) -> Result<Reply, Fault> {
    let compressed = is_compressed(call)?;
    let app = &call.app;
    let written = app.bills.get(app, bill).await.map_err(no_bill)?;
    if written.lines == 0 && !wants_empty(call).await? {
        return Err(Fault::no_statement());
    }
    let token = Token::new(bill, compressed, app.engine.now()).text(&app.networks.vault);
    Ok(Reply::json(&BillReply {
        hash_type: "SHA1".to_owned(),
        hash_value: written.hash.clone(),
        download_url: format!("{}{DOWNLOAD}?token={token}", app.origin),
    }))
}

async fn wants_empty(call: &Call) -> Result<bool, Fault> {
    let mchid = call.merchant.mchid;
    let row = call.app.engine.read(move |reader| reader.get::<MerchantBills>(&mchid)).await?;
    Ok(row.is_some_and(|row| row.empty))
}

fn no_bill(why: NoBill) -> Fault {
    match why {
        NoBill::BeingMade | NoBill::NotOver => Fault::statement_creating(),
        NoBill::Busy => refusal(Asked::Query, MerchantRefusal::Busy),
        NoBill::Failed => Fault::system(),
    }
}

fn wrong(name: &str, value: &str, issue: Said) -> Fault {
    Fault::parameter(Place::Query, name, Some(&Value::from(value)), issue)
}

/// The day a bill is asked for: one that is over, and not too long ago.
fn day(call: &Call) -> Result<Day, Fault> {
    if let Some(sub_mchid) = call.parameter("sub_mchid")?.filter(|text| !text.is_empty()) {
        let issue = said("仅服务商可用", "is for service providers, which there are none of here");
        return Err(wrong("sub_mchid", &sub_mchid, issue));
    }
    let text = call.parameter("bill_date")?.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Fault::parameter(Place::Query, "bill_date", None, fields::MISSING))?;
    let format =
        || wrong("bill_date", &text, said("应为 yyyy-MM-DD 格式的日期", "must be a date, yyyy-MM-DD"));
    let day = Day::parse(&text).ok_or_else(format)?;
    let today = Day::of(call.app.engine.now());
    let issue = if day >= today {
        said("只能申请今天之前的账单", "must be before today, in China")
    } else if day < today.oldest_asked() {
        said("只能申请最近三个月内的账单", "must lie within the last three months")
    } else {
        return Ok(day);
    };
    Err(Fault::bill_date(&text, issue))
}

fn is_compressed(call: &Call) -> Result<bool, Fault> {
    match call.parameter("tar_type")?.as_deref() {
        None | Some("") => Ok(false),
        Some("GZIP") => Ok(true),
        Some(other) => Err(wrong("tar_type", other, said("仅支持 GZIP", "must be GZIP, or absent"))),
    }
}
