//! What `koudai reconcile` asks of the running server: to compare, to show what was compared, and to adjust.

use std::sync::Arc;

use koudai_core::id::{AttemptId, DifferenceId};
use koudai_core::ledger::NetworkId;
use koudai_core::reconcile::{AdjustmentRefused, ApproveAdjustment, ProposeAdjustment, Verdict, way_of};
use koudai_core::rows::{Attempt, DayKey, Difference, DifferenceState, Reconciliation, StatementLine};
use koudai_core::time::Timestamp;
use koudai_engine::{Engine, Failed};
use koudai_networks::Networks;
use koudai_networks::network::Network as _;
use koudai_networks::reconciling::{self, Days};
use koudai_store::{Reader, StoreError};
use koudai_web::bills::Day;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Days that are listed when none is asked for.
const DAYS: i64 = 7;
/// The most differences that are listed at once. All of them are in the file.
const DIFFERENCES: i64 = 100;
/// The longest note, in characters.
const NOTE: usize = 200;

/// Which days are to be compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// All networks' if absent.
    pub(super) network: Option<i64>,
    /// `2026-11-24`; whatever is due if absent.
    pub(super) day: Option<String>,
}

/// What is to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(super) network: Option<i64>,
    pub(super) day: Option<String>,
}

/// Which lines of a day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lines {
    pub(super) network: i64,
    pub(super) day: String,
    /// Theirs, or ours that they have not on that day.
    pub(super) theirs: bool,
    /// Behind which: what the page before called `next`.
    pub(super) after: Option<[i64; 2]>,
}

/// What is proposed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Propose {
    pub(super) difference: String,
    pub(super) staff: String,
    pub(super) note: String,
}

/// What is approved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Approve {
    pub(super) difference: String,
    pub(super) staff: String,
    pub(super) gap_minor: i64,
}

fn day(text: &str) -> Result<i64, String> {
    Day::parse(text).map(Day::number).ok_or_else(|| format!("{text:?} is not a day such as 2026-11-24"))
}

/// Begins to compare. It goes on by itself; `show` says when it is done. Whether each was begun: one that is under way for
/// something else has to end first.
///
/// # Errors
/// In words for whoever asked.
pub(crate) fn run(engine: &Engine, networks: &Arc<Networks>, asked: &Run) -> Result<Value, String> {
    let days = match &asked.day {
        Some(text) => Days::One(day(text)?),
        None => Days::All,
    };
    let ids: Vec<NetworkId> = networks.outside.all().map(|(id, _)| id).collect();
    let wanted: Vec<_> = ids.into_iter().filter(|id| asked.network.is_none_or(|n| n == id.0)).collect();
    if wanted.is_empty() {
        return Err("there is no such network".to_owned());
    }
    let begun = wanted.into_iter().map(|network| reconciling::start(engine, networks, network, days));
    // Each of them, also after one that was not.
    Ok(begun.fold(true, |all, one| all & one).into())
}

/// Shows how networks' books compare with ours.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn show(
    engine: &Engine,
    networks: Option<&Arc<Networks>>,
    asked: Show,
) -> Result<Value, String> {
    let only = asked.day.as_deref().map(day).transpose()?;
    let known: Vec<(i64, String)> = match networks {
        Some(networks) => networks.outside.all().map(|(id, line)| (id.0, line.name().to_owned())).collect(),
        // No server says which there are: the rows do.
        None => engine
            .read(Reader::networks_compared)
            .await
            .map_err(unread)?
            .into_iter()
            .map(|id| (id.0, String::new()))
            .collect(),
    };
    let mut shown = vec![];
    for (id, name) in known.into_iter().filter(|(id, _)| asked.network.is_none_or(|n| n == *id)) {
        let network = NetworkId(id);
        let read = engine.read(move |r| {
            let days = match only {
                Some(day) => r.get::<Reconciliation>(&DayKey { network, day })?.into_iter().collect(),
                None => r.reconciliations(network, DAYS)?,
            };
            let from = DifferenceId(0);
            let differences = match only {
                Some(day) => r.differences_of_day(network, day, from, DIFFERENCES)?,
                None => r.differences(network, DifferenceState::Open, from, DIFFERENCES)?,
            };
            Ok((days, differences, r.differences_open(network)?))
        });
        let (days, differences, open) = read.await.map_err(unread)?;
        let newest = networks.and_then(|networks| networks.runs.newest(network));
        shown.push(json!({
            "network": id,
            "name": name,
            "under_way": newest == Some(reconciling::Run::UnderWay),
            "failed": match newest {
                Some(reconciling::Run::Ended(Err(why))) => Some(why),
                _ => None,
            },
            "open": open,
            "days": days.iter().map(day_json).collect::<Vec<_>>(),
            "differences": differences.iter().map(difference_json).collect::<Vec<_>>(),
        }));
    }
    Ok(Value::Array(shown))
}

fn day_json(row: &Reconciliation) -> Value {
    json!({
        "day": Day::from_number(row.key.day).to_string(),
        "state": row.state.word(),
        "theirs": { "count": row.their_count, "in_minor": row.their_in_minor, "out_minor": row.their_out_minor },
        "ours": { "count": row.our_count, "in_minor": row.our_in_minor, "out_minor": row.our_out_minor },
        "unknown": row.unknown,
        "found": row.found,
        "at": row.at.rfc3339(),
    })
}

fn difference_json(row: &Difference) -> Value {
    json!({
        "difference": row.id.wire(),
        "number": row.number,
        "day": Day::from_number(row.day).to_string(),
        "class": row.class.word(),
        "theirs_minor": row.theirs_minor,
        "ours_minor": row.ours_minor,
        "gap_minor": row.gap_minor,
        "state": row.state.word(),
        "found_at": row.found_at.rfc3339(),
        "resolved_at": row.resolved_at.map(Timestamp::rfc3339),
        "proposed_by": row.proposed_by,
        "approved_by": row.approved_by,
        "note": row.note,
    })
}

/// Shows some lines of a day: theirs, and then what we have on that day and they have not.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn lines(engine: &Engine, asked: Lines) -> Result<Value, String> {
    let (network, day) = (NetworkId(asked.network), day(&asked.day)?);
    let page = engine.read(move |r| {
        if asked.theirs {
            let after = asked.after.map_or(0, |[no, _]| no);
            let page = reconciling::page_of_theirs(r, network, day, after)?;
            let next = page.last().map(|(line, _)| [line.key.no, 0]);
            let rows =
                page.iter().map(|(line, judged)| row(Some(line), judged.ours.as_ref(), judged.verdict));
            return Ok((rows.collect::<Vec<_>>(), next));
        }
        let after = asked
            .after
            .map_or_else(|| reconciling::beginning_of(day), |[at, id]| (Timestamp(at), AttemptId(id)));
        let page = reconciling::page_of_ours(r, network, day, after)?;
        let next = page.last().map(|(attempt, _)| [attempt.ended_at.map_or(0, |at| at.0), attempt.id.0]);
        let alone = page.iter().filter(|(_, judged)| judged.first_of(day).is_none());
        let rows = alone.map(|(attempt, judged)| row(judged.lines.first(), Some(attempt), judged.verdict));
        Ok((rows.collect(), next))
    });
    let (rows, next) = page.await.map_err(unread)?;
    Ok(json!({ "rows": rows, "next": next }))
}

/// The columns of the file, in order.
pub(super) const COLUMNS: [&str; 11] = [
    "class",
    "number",
    "their_line",
    "their_way",
    "their_amount",
    "their_time",
    "our_kind",
    "our_way",
    "our_amount",
    "our_state",
    "our_time",
];

fn row(line: Option<&StatementLine>, ours: Option<&Attempt>, verdict: Verdict) -> Value {
    let class = match verdict {
        Verdict::Same => "MATCHED",
        Verdict::NotYet => "NOT_KNOWN_YET",
        Verdict::Differs(class) => class.word(),
    };
    let number =
        line.map_or_else(|| ours.map(|a| a.id.wire()).unwrap_or_default(), |line| line.number.clone());
    let mut cells = vec![class.to_owned(), number];
    match line {
        Some(line) => cells.extend([
            line.key.no.to_string(),
            line.way.word().to_owned(),
            super::yuan(line.amount_minor),
            line.at.rfc3339(),
        ]),
        None => cells.extend([const { String::new() }; 4]),
    }
    match ours {
        Some(ours) => cells.extend([
            ours.kind.word().to_owned(),
            way_of(ours.kind).word().to_owned(),
            super::yuan(ours.amount.minor()),
            ours.state.word().to_owned(),
            ours.ended_at.map(Timestamp::rfc3339).unwrap_or_default(),
        ]),
        None => cells.extend([const { String::new() }; 5]),
    }
    json!(cells)
}

/// Proposes to adjust a difference.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn propose(engine: &Engine, asked: Propose) -> Result<Value, String> {
    let difference = id(&asked.difference)?;
    let note = asked.note.trim().to_owned();
    if note.is_empty() || note.chars().count() > NOTE || note.chars().any(char::is_control) {
        return Err(format!("say why in 1 to {NOTE} characters, on one line"));
    }
    adjusted(engine.submit(ProposeAdjustment { difference, staff: asked.staff, note }).await)
}

/// Approves it.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn approve(engine: &Engine, asked: Approve) -> Result<Value, String> {
    let Approve { difference, staff, gap_minor } = asked;
    adjusted(engine.submit(ApproveAdjustment { difference: id(&difference)?, staff, gap_minor }).await)
}

fn id(text: &str) -> Result<DifferenceId, String> {
    DifferenceId::parse(text).ok_or_else(|| format!("{text:?} is not the number of a difference"))
}

fn adjusted(done: Result<Difference, Failed<AdjustmentRefused>>) -> Result<Value, String> {
    let why = match done {
        Ok(difference) => return Ok(difference_json(&difference)),
        Err(Failed::Refused(refused)) => match refused {
            AdjustmentRefused::DifferenceUnknown => "there is no difference of this number",
            AdjustmentRefused::StaffUnknown => "nobody of the staff has this name",
            AdjustmentRefused::RoleInsufficient => "only owner and finance adjust",
            AdjustmentRefused::NotOpen => "it has been explained or adjusted already",
            AdjustmentRefused::NotProposed => "nobody proposed to adjust it by this amount",
            AdjustmentRefused::SamePerson => "who proposed it may not approve it: somebody else has to",
        },
        Err(Failed::Busy) => {
            "the server has more work than it can take, or its disk is full; nothing was done"
        }
        Err(Failed::Stopped) => "the server is stopping",
    };
    Err(why.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "it takes what `map_err` gives")]
fn unread(error: StoreError) -> String {
    format!("the ledger could not be read: {error}")
}
