//! What a merchant was told, how it went, and telling it again. These paths are our own; the original has none like them.

use koudai_core::id::Seq;
use koudai_core::notice::{ReplayNotices, Replayer};
use koudai_networks::telling::{self, Mark, Wanted, parse_notice_id};
use serde_json::Value;

use super::fault::{Asked, Fault, failed, said};
use super::fields::Place;
use super::{Call, Reply};

/// Tries on a page unless the merchant says, and the most.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// `GET /v3/koudai/notices`: tries at telling this merchant, newest first.
pub(super) async fn list(call: Call) -> Result<Reply, Fault> {
    let bad =
        |name, value: String, issue| Fault::parameter(Place::Query, name, Some(&Value::String(value)), issue);
    let limit = match call.parameter("limit")? {
        None => PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if (1..=LARGEST_PAGE).contains(&limit) && !text.starts_with('+') => limit,
            _ => return Err(bad("limit", text, said("应为 1 到 100 的整数", "must be from 1 to 100"))),
        },
    };
    let failed = match call.parameter("outcome")?.as_deref() {
        None => false,
        Some("failed") => true,
        Some(other) => return Err(bad("outcome", other.to_owned(), said("应为 failed", "must be failed"))),
    };
    let before = match call.parameter("before")? {
        None => None,
        Some(text) => match Mark::parse(&text) {
            Some(mark) => Some(mark),
            None => {
                let issue = said("应为上一页返回的 next", "must be what the page before called next");
                return Err(bad("before", text, issue));
            }
        },
    };
    let event = match call.parameter("id")? {
        None => None,
        Some(id) => Some(parse_notice_id(&id).ok_or_else(Fault::no_such_notice)?),
    };
    let wanted = Wanted { failed, event, before, limit };
    let (mchid, networks) = (call.merchant.mchid, call.app.networks.clone());
    let page = call.app.engine.read(move |r| telling::tries(r, &networks.vault, mchid, wanted)).await?;
    Ok(Reply::json(&page))
}

/// `GET /v3/koudai/notices/{id}`: how far a notice is.
pub(super) async fn by_id(call: Call) -> Result<Reply, Fault> {
    let seq = call.notice()?;
    let (mchid, networks) = (call.merchant.mchid, call.app.networks.clone());
    let state = call.app.engine.read(move |r| telling::state(r, &networks.vault, mchid, seq)).await?;
    Ok(Reply::json(&state.ok_or_else(Fault::no_such_notice)?))
}

/// `POST /v3/koudai/notices/{id}/replay`: tells the merchant again, under the same id. Answers how far the notice is then.
pub(super) async fn replay(call: Call) -> Result<Reply, Fault> {
    let (seq, mchid) = (call.notice()?, call.merchant.mchid);
    let networks = call.app.networks.clone();
    if !call.app.engine.read(move |r| telling::is_event_of(r, &networks.vault, mchid, seq)).await? {
        return Err(Fault::no_such_notice());
    }
    let replay = ReplayNotices { mchid, events: vec![seq], by: Replayer::Merchant };
    call.app.engine.submit(replay).await.map_err(|why| failed(Asked::Query, why))?;
    by_id(call).await
}

impl Call {
    /// The notice that the path names. Another merchant's is as unknown as one that never was.
    fn notice(&self) -> Result<Seq, Fault> {
        self.segment.as_deref().and_then(parse_notice_id).ok_or_else(Fault::no_such_notice)
    }
}
