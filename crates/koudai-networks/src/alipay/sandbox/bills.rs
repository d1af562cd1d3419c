//! The bills of a day that is over: where they are, and the archives themselves.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use koudai_core::money::Money;
use koudai_core::time::{SECOND, Timestamp};
use rusqlite::Transaction;
use serde_json::json;

use super::edge::hex;
use super::papers::SELLER;
use super::trades::{Asked, Decided, done, failed};
use super::{BILL_FILE, House, SandboxAlipay, people, store};
use crate::alipay::file::{self, Kind};
use crate::alipay::wire::{date, moment, read_date, yuan};
use crate::faults::Fault;
use crate::sandbox::{HangUp, SandboxError};

/// How long the address of a bill is good.
const ADDRESS_MS: i64 = 30 * SECOND;

const TRADE_NAMES: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";
const ACCOUNT_NAMES: &str = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注";

/// Where the bill of a day is, if the day is over and anything happened on it.
pub(super) fn address(tx: &Transaction<'_>, house: &House, now_ms: i64, asked: &Asked) -> Decided {
    let day = read_date(asked.text("bill_date"));
    let (Some(kind), Some(day)) = (Kind::read(asked.text("bill_type")), day) else {
        return Ok(failed("INVALID_PARAMETER"));
    };
    if day >= Timestamp(now_ms).china_day() || bill(tx, kind, day)?.is_none() {
        return Ok(failed("isp.bill_not_exist"));
    }
    let until = now_ms + ADDRESS_MS;
    let name = format!("{}-{}-{until}", kind.word(), date(day));
    let proof = hex(&house.hasher.hash("bill", &[&name]));
    Ok(done(json!({ "bill_download_url": format!("{}/bills/{name}-{proof}", house.settings.url) })))
}

/// The bill behind an address.
pub(super) async fn download(State(sandbox): State<SandboxAlipay>, Path(path): Path<String>) -> Response {
    let fault = sandbox.house.faults.meet(BILL_FILE);
    if matches!(fault, Some(Fault::Down)) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if matches!(fault, Some(Fault::Refuse { .. })) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some((kind, day)) = named(&sandbox.house, &path) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let packed = match sandbox.run(move |tx, _| bill(tx, kind, day)).await {
        Ok(Some(packed)) => packed,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "a bill");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let packed = match fault {
        Some(Fault::Delay { ms }) => {
            tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
            packed
        }
        Some(Fault::Drop) => return Body::new(HangUp).into_response(),
        Some(Fault::Garbage) => packed[..packed.len() / 2].to_vec(),
        _ => packed,
    };
    ([(header::CONTENT_TYPE, "application/zip")], packed).into_response()
}

/// What an address that this sandbox gave leads to, while it is good.
fn named(house: &House, path: &str) -> Option<(Kind, i64)> {
    let (name, proof) = path.rsplit_once('-')?;
    let right = hex(&house.hasher.hash("bill", &[name]));
    aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), proof.as_bytes()).ok()?;
    let (what, until) = name.rsplit_once('-')?;
    let until: i64 = until.parse().ok()?;
    let (kind, day) = what.split_once('-')?;
    (house.now_ms() < until).then_some((Kind::read(kind)?, read_date(day)?))
}

/// The bill of a day, packed; `None` if there is nothing to write.
fn bill(tx: &Transaction<'_>, kind: Kind, day: i64) -> Result<Option<Vec<u8>>, SandboxError> {
    let rows = match kind {
        Kind::Trade => trade_rows(tx, day)?,
        Kind::Account => account_rows(tx, day)?,
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let (title, names) = match kind {
        Kind::Trade => ("业务明细", TRADE_NAMES),
        Kind::Account => ("账务明细", ACCOUNT_NAMES),
    };
    let (from, to) = (moment(Timestamp::of_china_day(day)), moment(Timestamp::of_china_day(day + 1)));
    let head =
        format!("#支付宝{title}查询\r\n#账号：[{SELLER}0156]\r\n#起始日期：[{from}]   终止日期：[{to}]\r\n");
    let mut text = format!("{head}#-----------------{title}列表----------------\r\n{names}\r\n");
    for row in &rows {
        write!(text, "{row}\r\n").expect("a string takes it");
    }
    write!(text, "#-----------------{title}列表结束------------\r\n#合计：{}笔\r\n", rows.len())
        .expect("a string takes it");
    let sums = format!("{head}业务类型,笔数\r\n合计,{}\r\n", rows.len());
    let day = date(day).replace('-', "");
    let sums_name = format!("{SELLER}0156_{day}_{title}(汇总).csv");
    let packed = file::pack(&[(&sums_name, &sums), (&format!("{SELLER}0156_{day}_{title}.csv"), &text)]);
    packed.map(Some).map_err(|_| SandboxError::Corrupt("a bill"))
}

fn fen(minor: i64) -> Result<String, SandboxError> {
    Money::fen(minor).map(yuan).map_err(|_| SandboxError::Corrupt("an amount below zero"))
}

/// A day, as the milliseconds it begins and ends at.
fn bounds(day: i64) -> [i64; 2] {
    [day, day + 1].map(|day| Timestamp::of_china_day(day).0)
}

/// What was given back on a day: of which trade, under which number, how much, and when.
fn refunds(tx: &Transaction<'_>, day: i64) -> Result<Vec<(store::Trade, String, i64, i64)>, SandboxError> {
    let mut statement = tx.prepare_cached(
        "SELECT trade, out_request_no, amount_minor, at_ms FROM refund WHERE at_ms >= ?1 AND at_ms < ?2
         ORDER BY at_ms, trade, out_request_no",
    )?;
    let rows =
        statement.query_map(bounds(day), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let rows: Vec<(i64, String, i64, i64)> = rows.collect::<Result<_, _>>()?;
    let with_trade = rows.into_iter().map(|(trade, number, minor, at)| {
        let trade = store::trades(tx, "trade = ?1", &[&trade])?.pop();
        Ok((trade.ok_or(SandboxError::Corrupt("refund.trade"))?, number, minor, at))
    });
    with_trade.collect()
}

fn trade_rows(tx: &Transaction<'_>, day: i64) -> Result<Vec<String>, SandboxError> {
    let [from, to] = bounds(day);
    let mut rows = vec![];
    let mut row = |trade: &store::Trade, what: &str, at: i64, amount: &str, refund: &str| {
        let who = trade.person.map(people::name_of).unwrap_or_default();
        rows.push(format!(
            "{}\t,{}\t,{what},{},{},{},,,,,{who},{amount},{amount},0.00,0.00,0.00,0.00,0.00,,0.00,0.00,{refund}\t,0.00,0.00,",
            trade.trade_no(),
            trade.out_trade_no,
            trade.subject,
            moment(Timestamp(trade.created_ms)),
            moment(Timestamp(at)),
        ));
    };
    for trade in store::trades(tx, "paid_ms >= ?1 AND paid_ms < ?2 ORDER BY paid_ms, trade", &[&from, &to])? {
        row(&trade, "交易", trade.paid_ms.unwrap_or_default(), &fen(trade.amount_minor)?, "");
    }
    for (trade, number, minor, at) in refunds(tx, day)? {
        row(&trade, "退款", at, &format!("-{}", fen(minor)?), &number);
    }
    Ok(rows)
}

fn account_rows(tx: &Transaction<'_>, day: i64) -> Result<Vec<String>, SandboxError> {
    let [from, to] = bounds(day);
    let mut rows = vec![];
    let mut row = |of: [&str; 3], who: i64, at: i64, [came, went]: [&str; 2], what: &str| {
        rows.push(format!(
            "{}\t,{}\t,{}\t,{},{}\t,{},{came},{went},0.00,支付宝,{what},",
            rows.len() + 1,
            of[0],
            of[1],
            of[2],
            moment(Timestamp(at)),
            people::name_of(who),
        ));
    };
    for trade in store::trades(tx, "paid_ms >= ?1 AND paid_ms < ?2 ORDER BY paid_ms, trade", &[&from, &to])? {
        let of = [trade.trade_no(), trade.out_trade_no.clone(), trade.subject.clone()];
        let amount = fen(trade.amount_minor)?;
        let at = trade.paid_ms.unwrap_or_default();
        row(of.each_ref().map(String::as_str), trade.person.unwrap_or(0), at, [&amount, "0.00"], "交易付款");
    }
    for (trade, _, minor, at) in refunds(tx, day)? {
        let of = [trade.trade_no(), trade.out_trade_no.clone(), trade.subject.clone()];
        let amount = format!("-{}", fen(minor)?);
        row(of.each_ref().map(String::as_str), trade.person.unwrap_or(0), at, ["0.00", &amount], "交易退款");
    }
    for payout in store::payouts(tx, "at_ms >= ?1 AND at_ms < ?2 ORDER BY at_ms, payout", &[&from, &to])? {
        let of = [payout.order_id(), payout.out_biz_no.clone(), payout.title.clone()];
        let amount = format!("-{}", fen(payout.amount_minor)?);
        row(of.each_ref().map(String::as_str), payout.person, payout.at_ms, ["0.00", &amount], "转账");
    }
    Ok(rows)
}
