//! `koudai merchant notices`, `replay` and `probe`: what a merchant was told, telling it again, and whether it checks who
//! tells it.

use std::sync::Arc;

use koudai_core::id::{MchId, Seq};
use koudai_core::notice::{ReplayNotices, Replayer};
use koudai_core::rows::Merchant;
use koudai_core::time::Timestamp;
use koudai_engine::Engine;
use koudai_networks::telling::{self, Mark, Wanted, parse_notice_id};
use koudai_networks::vault::Vault;
use koudai_networks::{Networks, probe};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::{MerchantArgs, MerchantNoticesArgs, MerchantProbeArgs, MerchantReplayArgs};
use crate::control::{self, Request};
use crate::failure::Failure;
use crate::merchant::{in_words, number};

/// Which tries are asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct List {
    mchid: String,
    failed: bool,
    notice: Option<String>,
    before: Option<String>,
    limit: u16,
}

/// What is to be told again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replay {
    mchid: String,
    which: Which,
}

/// Which events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    /// This one.
    Notice(String),
    /// Those of an order.
    Order(String),
    /// Those that were not answered since.
    FailedSince(String),
}

/// Who is to be probed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    mchid: String,
    url: Option<String>,
    good: bool,
}

/// Lists how a merchant was told.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn list(engine: &Engine, vault: &Arc<Vault>, request: List) -> Result<Value, String> {
    let mchid = merchant(engine, &request.mchid).await?;
    let event = request.notice.as_deref().map(notice).transpose()?;
    let before = request
        .before
        .as_deref()
        .map(|text| Mark::parse(text).ok_or_else(|| format!("{text:?} is not what a page called `next`")));
    let before = before.transpose()?;
    let wanted = Wanted { failed: request.failed, event, before, limit: request.limit.into() };
    let (its, theirs) = (Arc::clone(vault), Arc::clone(vault));
    let page = engine.read(move |r| telling::tries(r, &its, mchid, wanted)).await;
    let mut page = serde_json::to_value(page.map_err(unread)?).expect("a page is plain JSON");
    if let Some(seq) = event {
        let state = engine.read(move |r| telling::state(r, &theirs, mchid, seq)).await.map_err(unread)?;
        page["notice"] = serde_json::to_value(state).expect("a notice is plain JSON");
    }
    Ok(page)
}

/// Tells a merchant again.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn replay(engine: &Engine, vault: &Arc<Vault>, request: Replay) -> Result<Value, String> {
    let mchid = merchant(engine, &request.mchid).await?;
    let (events, more) = match request.which {
        Which::Notice(id) => {
            let seq = notice(&id)?;
            let vault = Arc::clone(vault);
            let its = engine.read(move |r| telling::is_event_of(r, &vault, mchid, seq)).await;
            if !its.map_err(unread)? {
                return Err("the merchant has no such notice".to_owned());
            }
            (vec![seq], false)
        }
        Which::Order(number) => {
            let found = engine.read(move |r| telling::events_of_order(r, mchid, &number)).await;
            let events = found.map_err(unread)?.ok_or("the merchant has no such order")?;
            if events.is_empty() {
                return Err("nothing has happened to this order that a merchant is told of".to_owned());
            }
            (events, false)
        }
        Which::FailedSince(time) => {
            let since = Timestamp::parse_rfc3339(&time)
                .ok_or_else(|| format!("{time:?} is not a moment such as 2026-11-25T08:00:00+08:00"))?;
            engine.read(move |r| telling::failed_since(r, mchid, since)).await.map_err(unread)?
        }
    };
    let command = ReplayNotices { mchid, events, by: Replayer::Operator };
    let replayed = engine.submit(command).await.map_err(|failed| in_words(&failed))?;
    Ok(json!({ "mchid": mchid.wire(), "replayed": replayed, "more": more }))
}

/// Probes a merchant.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn probe(
    engine: &Engine,
    networks: &Arc<Networks>,
    request: Probe,
) -> Result<Value, String> {
    let mchid = merchant(engine, &request.mchid).await?;
    let found = probe::run(engine, networks, mchid, request.url, request.good).await;
    let found = found.map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(found).expect("what was found is plain JSON"))
}

async fn merchant(engine: &Engine, text: &str) -> Result<MchId, String> {
    let mchid = number(text)?;
    let row = engine.read(move |r| r.get::<Merchant>(&mchid)).await.map_err(unread)?;
    row.map(|row| row.mchid).ok_or_else(|| "there is no merchant of this number".to_owned())
}

fn notice(id: &str) -> Result<Seq, String> {
    parse_notice_id(id).ok_or_else(|| format!("{id:?} is not the id of a notice"))
}

#[expect(clippy::needless_pass_by_value, reason = "it takes what `map_err` gives")]
fn unread(error: koudai_store::StoreError) -> String {
    format!("the ledger could not be read: {error}")
}

/// `koudai merchant notices`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_list(args: MerchantNoticesArgs) -> Result<(), Failure> {
    let MerchantNoticesArgs { merchant: MerchantArgs { data, mchid }, failed, notice, before, limit } = args;
    let request = Request::MerchantNotices(List { mchid, failed, notice, before, limit });
    println!("{:#}", control::ask(&data, request).await?);
    Ok(())
}

/// `koudai merchant replay`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_replay(args: MerchantReplayArgs) -> Result<(), Failure> {
    let which = match (args.notice, args.order, args.failed_since) {
        (Some(id), ..) => Which::Notice(id),
        (None, Some(number), _) => Which::Order(number),
        (None, None, Some(time)) => Which::FailedSince(time),
        (None, None, None) => {
            return Err(Failure::usage("say which: --notice, --order or --failed-since".to_owned()));
        }
    };
    let request = Request::MerchantReplay(Replay { mchid: args.merchant.mchid, which });
    println!("{:#}", control::ask(&args.merchant.data, request).await?);
    Ok(())
}

/// `koudai merchant probe`.
///
/// # Errors
/// See [`Failure`]; if the merchant took what was not signed rightly, too.
pub(crate) async fn run_probe(args: MerchantProbeArgs) -> Result<(), Failure> {
    let request = Request::MerchantProbe(Probe { mchid: args.mchid, url: args.url, good: args.good });
    let found = control::ask(&args.data, request).await?;
    println!("{found:#}");
    match found["verdict"].as_str() {
        Some("refused") => Ok(()),
        Some("taken") => Err(Failure::new(
            "the merchant took a notification whose signature is wrong: anybody can tell it that it was paid"
                .to_owned(),
        )),
        _ => Err(Failure::new("the merchant did not answer; nothing was learnt".to_owned())),
    }
}
