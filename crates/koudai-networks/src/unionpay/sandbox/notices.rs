//! Tells the merchant how a transaction went: at once, and again after one, two and four minutes until it is answered.

use std::time::Duration;

use axum::http::{StatusCode, header};
use rusqlite::params;

use super::store::{self, Trans};
use super::{SandboxUnionPay, papers};
use crate::sandbox::{SandboxError, now_ms};
use crate::unionpay::fields::Fields;
use crate::unionpay::signing;
use crate::unionpay::wire::CNY;

/// How long a merchant may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_millis(100);
/// The most taken up at one look.
const TAKE: u32 = 64;
/// Minutes until the next try, by how many are left.
const GAPS_MIN: [i64; 5] = [0, 4, 2, 1, 0];

/// Sends notices until the task is dropped.
pub(super) async fn send(sandbox: SandboxUnionPay) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Err(error) = send_due(&sandbox).await {
            tracing::error!(%error, "notices");
        }
    }
}

async fn send_due(sandbox: &SandboxUnionPay) -> Result<(), SandboxError> {
    let now = now_ms();
    let which = "notices_left > 0 AND next_notice_ms <= ?1 ORDER BY next_notice_ms";
    for due in sandbox.run(move |tx, _| store::transactions(tx, which, now, TAKE)).await? {
        let body = notice(sandbox, &due);
        let (url, no) = (due.notice_url, due.query_no);
        // Counted before it is sent: one that hangs is not sent again and again.
        let left: i64 = sandbox
            .run(move |tx, _| {
                let left: i64 =
                    tx.query_row("SELECT notices_left FROM trans WHERE query_no = ?1", [no], |r| r.get(0))?;
                let gap = GAPS_MIN[usize::try_from(left - 1).unwrap_or(0).min(4)] * 60_000;
                tx.execute(
                    "UPDATE trans SET notices_left = ?2, next_notice_ms = ?3 WHERE query_no = ?1",
                    params![no, left - 1, now + gap.max(1)],
                )?;
                Ok(left - 1)
            })
            .await?;
        let sandbox = sandbox.clone();
        tokio::spawn(async move {
            let post = sandbox.house.http.post(&url);
            let post = post.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8");
            let heard = post.body(body).send().await.is_ok_and(|reply| reply.status() == StatusCode::OK);
            tracing::info!(no, heard, left, "notice");
            if heard {
                let done = move |tx: &rusqlite::Transaction<'_>, _: &_| {
                    tx.execute("UPDATE trans SET notices_left = 0 WHERE query_no = ?1", [no])?;
                    Ok(())
                };
                drop(sandbox.run(done).await);
            }
        });
    }
    Ok(())
}

fn notice(sandbox: &SandboxUnionPay, about: &Trans) -> String {
    let [kind, sub, biz] = about.call.kinds();
    let mut fields = Fields::of(&[
        ("accessType", "0"),
        ("bizType", biz),
        ("txnType", kind),
        ("txnSubType", sub),
        ("merId", papers::MERCHANT),
        ("orderId", &about.order_id),
        ("txnTime", &about.txn_time),
        ("txnAmt", &about.amount_minor.to_string()),
        ("currencyCode", CNY),
        ("queryId", &about.query_id()),
        ("respCode", &about.code),
        ("respMsg", if about.code == "00" { "成功" } else { "失败" }),
    ]);
    signing::sign_with_certificate(&mut fields, &sandbox.house.papers.sign);
    fields.to_form()
}
