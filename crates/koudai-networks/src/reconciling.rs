//! Reconciliation at work: brings a network's books in, compares a day of them with ours, and hands what differs to the core.
//!
//! Both sides are walked in pages, each read in a short look, and each page's numbers are looked up on the other side by
//! their indexes: what is held at once does not grow with the day.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use koudai_core::id::{AttemptId, DifferenceId};
use koudai_core::ledger::NetworkId;
use koudai_core::reconcile::{
    DaySums, EndReconciliation, Item, JudgeItems, MOST_AT_ONCE, ReadLine, RecordLines, Theirs, Verdict,
    judge, newest_due_day, way_of,
};
use koudai_core::rows::{
    Attempt, DayKey, DifferenceState, Reconciliation, ReconciliationState, StatementCursor, StatementLine,
};
use koudai_core::time::{HOUR, Timestamp};
use koudai_engine::{Engine, Failed};
use koudai_store::statements::EndedAt;
use koudai_store::{Reader, StoreError};

use crate::Networks;
use crate::network::{BookEntry, Network as _};
use crate::outside::Outside;

/// Lines and attempts of one page.
const PAGE: i64 = 256;
const _: () = assert!(PAGE.unsigned_abs() == MOST_AT_ONCE as u64, "what differs on a page is one command");
/// How often a day is compared again that waits for an outcome, in milliseconds.
const AGAIN_MS: i64 = HOUR;

/// Why a day was not compared.
#[derive(Debug, thiserror::Error)]
pub enum Uncompared {
    /// The operator has no such network.
    #[error("there is no such network")]
    NetworkUnknown,
    /// The day is not over, or its books may still grow.
    #[error("the day is not over yet, or not for half an hour")]
    NotOver,
    /// The network did not show its books.
    #[error("the network did not show its books")]
    Silent,
    /// What it showed are no books.
    #[error("the network's books make no sense behind line {0}")]
    Senseless(i64),
    /// The engine takes no more commands, or not from us.
    #[error("the server has more work than it can take, or is stopping")]
    Busy,
    /// The ledger could not be read.
    #[error("the ledger could not be read: {0}")]
    Unread(#[from] StoreError),
}

/// Which days are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Those that are over and were never compared, and those to be compared again by now.
    Due,
    /// The same, and those that wait for anything at once.
    All,
    /// This one.
    One(i64),
}

/// How the newest comparison with a network went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// It is under way.
    UnderWay,
    /// It ended; or why it did not.
    Ended(Result<(), String>),
}

/// The newest comparison with each network, in this process.
#[derive(Debug, Default)]
pub struct Runs(Mutex<BTreeMap<NetworkId, Run>>);

impl Runs {
    /// How the newest with a network went; `None` if there was none since the start.
    pub fn newest(&self, network: NetworkId) -> Option<Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&network).cloned()
    }

    /// Whether nobody was at it.
    fn begin(&self, network: NetworkId) -> bool {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.insert(network, Run::UnderWay) != Some(Run::UnderWay)
    }

    fn end(&self, network: NetworkId, how: Result<(), String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(network, Run::Ended(how));
    }
}

/// A comparison that is under way. However it ends, another may begin.
struct UnderWay {
    networks: Arc<Networks>,
    network: NetworkId,
    how: Result<(), String>,
}

impl UnderWay {
    fn ends(mut self, how: Result<(), String>) {
        self.how = how;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let how = std::mem::replace(&mut self.how, Ok(()));
        self.networks.runs.end(self.network, how);
    }
}

/// Compares days with a network, beside everything else. If that is under way already, it goes on and nothing is begun:
/// false.
pub fn start(engine: &Engine, networks: &Arc<Networks>, network: NetworkId, days: Days) -> bool {
    if !networks.runs.begin(network) {
        return false;
    }
    let (engine, networks) = (engine.clone(), Arc::clone(networks));
    let under_way =
        UnderWay { networks: Arc::clone(&networks), network, how: Err("it broke off".to_owned()) };
    tokio::spawn(async move {
        let done = run(&engine, &networks.outside, network, days).await;
        if let Err(error) = &done {
            tracing::warn!(%error, network = network.0, "a network's books were not compared");
        }
        under_way.ends(done.map_err(|error| error.to_string()));
    });
    true
}

/// Brings the books in and compares the days.
///
/// # Errors
/// See [`Uncompared`]. What was done stays, and the next run goes on from there.
pub async fn run(
    engine: &Engine,
    outside: &Outside,
    network: NetworkId,
    days: Days,
) -> Result<(), Uncompared> {
    let now = engine.now();
    let grace_ms = outside.get(network).ok_or(Uncompared::NetworkUnknown)?.books_after_ms();
    let newest = newest_due_day(now, grace_ms);
    if let Days::One(day) = days {
        if day > newest {
            return Err(Uncompared::NotOver);
        }
        bring_in(engine, outside, network).await?;
        return compare(engine, network, day, grace_ms).await.map(drop);
    }
    let due = engine.read(move |r| due_days(r, network, newest, now, days)).await?;
    if due.is_empty() {
        return Ok(());
    }
    bring_in(engine, outside, network).await?;
    // What came in may be of days before those.
    for day in engine.read(move |r| due_days(r, network, newest, now, days)).await? {
        compare(engine, network, day, grace_ms).await?;
    }
    Ok(())
}

/// The days up to `newest` that are to be compared, the oldest first.
fn due_days(
    r: &Reader,
    network: NetworkId,
    newest: i64,
    now: Timestamp,
    days: Days,
) -> Result<Vec<i64>, StoreError> {
    let known = r.reconciliations(network, 1)?.pop().map(|day| day.key.day + 1);
    let begin = match known {
        Some(next) => next,
        None => r.first_day(network)?.unwrap_or(newest),
    };
    let again = |day: &Reconciliation| match day.state {
        ReconciliationState::Done => false,
        ReconciliationState::Stale => true,
        ReconciliationState::Waiting => days != Days::Due || now.since(day.at) >= AGAIN_MS,
    };
    let unfinished = r.unfinished_days(network)?.into_iter().filter(again).map(|day| day.key.day);
    Ok(unfinished.chain(begin..=newest).collect())
}

/// Reads a network's books to their end, from where they were read to before. Each page is recorded at once, so a run that is
/// cut short has lost nothing and doubles nothing.
///
/// # Errors
/// See [`Uncompared`].
pub async fn bring_in(
    engine: &Engine,
    outside: &Outside,
    network: NetworkId,
) -> Result<StatementCursor, Uncompared> {
    let line = outside.get(network).ok_or(Uncompared::NetworkUnknown)?;
    let mut after = engine.read(move |r| r.get::<StatementCursor>(&network)).await?.map_or(0, |c| c.after);
    loop {
        let asked = engine.now();
        let page = line.books(after).await.ok_or(Uncompared::Silent)?;
        let end_seen_at = page.is_empty().then_some(asked);
        let lines: Vec<ReadLine> = page.into_iter().map(read_line).collect();
        // Without a line there is one command all the same: it says that this is the end.
        let parts = lines.chunks(MOST_AT_ONCE).map(<[ReadLine]>::to_vec).chain(end_seen_at.map(|_| vec![]));
        for lines in parts {
            let to = lines.last().map_or(after, |line| line.no);
            let cursor = match engine.submit(RecordLines { network, after, lines, end_seen_at }).await {
                Ok(cursor) => cursor,
                Err(Failed::Refused(_)) => return Err(Uncompared::Senseless(after)),
                Err(Failed::Busy | Failed::Stopped) => return Err(Uncompared::Busy),
            };
            after = cursor.after;
            if after != to {
                // Somebody else read on meanwhile.
                break;
            }
            if end_seen_at.is_some() {
                return Ok(cursor);
            }
        }
    }
}

fn read_line(entry: BookEntry) -> ReadLine {
    let BookEntry { no, way, number, amount_minor, at_ms } = entry;
    ReadLine { no, way, number, amount_minor, at: Timestamp(at_ms) }
}

/// A number as both sides have it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Our attempt, if the number is one's.
    pub ours: Option<Attempt>,
    /// Every line of theirs that carries it.
    pub lines: Vec<StatementLine>,
    /// What that comes to.
    pub verdict: Verdict,
}

impl Judged {
    /// The first line of a day that carries the number: by it the number counts once on that day.
    pub fn first_of(&self, day: i64) -> Option<&StatementLine> {
        self.lines.iter().find(|line| line.day == day)
    }

    fn theirs(&self) -> Vec<Theirs> {
        self.lines.iter().map(Theirs::from).collect()
    }
}

/// Some lines of a day behind one of them, and what their numbers come to.
///
/// # Errors
/// What the database says.
pub fn page_of_theirs(
    r: &Reader,
    network: NetworkId,
    day: i64,
    after: i64,
) -> Result<Vec<(StatementLine, Judged)>, StoreError> {
    let lines = r.lines_of_day(network, day, after, PAGE)?;
    let numbers = lines.iter().map(|line| line.number.clone()).collect();
    let judged = look_up(r, network, numbers)?;
    Ok(lines.into_iter().map(|line| (line.clone(), judged[&line.number].clone())).collect())
}

/// Some attempts that succeeded on a day behind one of them, and what their numbers come to.
///
/// # Errors
/// What the database says.
pub fn page_of_ours(
    r: &Reader,
    network: NetworkId,
    day: i64,
    after: EndedAt,
) -> Result<Vec<(Attempt, Judged)>, StoreError> {
    let attempts = r.attempts_ended(network, after, Timestamp::of_china_day(day + 1), PAGE)?;
    let numbers = attempts.iter().map(|attempt| attempt.id.wire()).collect();
    let judged = look_up(r, network, numbers)?;
    Ok(attempts.into_iter().map(|attempt| (attempt.clone(), judged[&attempt.id.wire()].clone())).collect())
}

/// Where our attempts of a day begin.
pub fn beginning_of(day: i64) -> EndedAt {
    (Timestamp::of_china_day(day), AttemptId(0))
}

/// What both sides have of some numbers.
fn look_up(
    r: &Reader,
    network: NetworkId,
    mut numbers: Vec<String>,
) -> Result<BTreeMap<String, Judged>, StoreError> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut lines: BTreeMap<String, Vec<StatementLine>> = BTreeMap::new();
    for line in r.lines_numbered(network, &numbers)? {
        lines.entry(line.number.clone()).or_default().push(line);
    }
    let ids: Vec<i64> = numbers.iter().filter_map(|number| AttemptId::parse(number)).map(|id| id.0).collect();
    let attempts = r.those::<Attempt>(&ids)?.into_iter().filter(|attempt| attempt.network == network);
    let mut attempts: BTreeMap<String, Attempt> =
        attempts.map(|attempt| (attempt.id.wire(), attempt)).collect();
    let judged = |number: String| {
        let (ours, lines) = (attempts.remove(&number), lines.remove(&number).unwrap_or_default());
        let theirs: Vec<Theirs> = lines.iter().map(Theirs::from).collect();
        let verdict = judge(ours.as_ref(), &theirs);
        (number, Judged { ours, lines, verdict })
    };
    Ok(numbers.into_iter().map(judged).collect())
}

/// What a comparison has counted so far.
#[derive(Default)]
struct Counted {
    theirs: DaySums,
    ours: DaySums,
    not_yet: i64,
    found: i64,
    items: Vec<Item>,
}

impl Counted {
    fn count(&mut self, number: &str, day: i64, judged: &Judged) {
        match judged.verdict {
            Verdict::Same => {}
            Verdict::NotYet => self.not_yet += 1,
            Verdict::Differs(_) => {
                self.found += 1;
                self.items.push(Item { number: number.to_owned(), day, theirs: judged.theirs() });
            }
        }
    }
}

/// Compares a day whose books were read this long after its end or later.
///
/// # Errors
/// See [`Uncompared`].
pub async fn compare(
    engine: &Engine,
    network: NetworkId,
    day: i64,
    grace_ms: i64,
) -> Result<Reconciliation, Uncompared> {
    let end = Timestamp::of_china_day(day + 1);
    let begun =
        engine.read(move |r| Ok((r.get::<StatementCursor>(&network)?, r.attempts_open(network, end)?)));
    let (cursor, open) = begun.await?;
    let cursor = cursor.filter(|c| c.end_seen_at.is_some_and(|at| at >= end.plus(grace_ms)));
    let cursor = cursor.ok_or(Uncompared::NotOver)?.after;
    let mut counted = Counted::default();
    let mut after = 0;
    loop {
        let page = engine.read(move |r| page_of_theirs(r, network, day, after)).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.key.no;
        for (line, judged) in &page {
            counted.theirs.add(line.way, line.amount_minor);
            if judged.first_of(day).is_some_and(|first| first.key == line.key) {
                counted.count(&line.number, day, judged);
            }
        }
        judge_all(engine, network, &mut counted.items).await?;
    }
    let mut after = beginning_of(day);
    loop {
        let page = engine.read(move |r| page_of_ours(r, network, day, after)).await?;
        let Some((last, _)) = page.last() else { break };
        after = (last.ended_at.expect("an attempt that succeeded has ended"), last.id);
        for (attempt, judged) in &page {
            counted.ours.add(way_of(attempt.kind), attempt.amount.minor());
            if judged.first_of(day).is_none() {
                counted.count(&attempt.id.wire(), day, judged);
            }
        }
        judge_all(engine, network, &mut counted.items).await?;
    }
    look_again(engine, network).await?;
    let Counted { theirs, ours, not_yet, found, .. } = counted;
    // What was open before the walk and has ended since may have been passed by as open.
    let unknown = not_yet.max(open);
    let key = DayKey { network, day };
    submitted(engine.submit(EndReconciliation { key, cursor, theirs, ours, unknown, found }).await)
}

/// Judges every difference of a network's that is open once more: most close by themselves.
async fn look_again(engine: &Engine, network: NetworkId) -> Result<(), Uncompared> {
    let mut after = DifferenceId(0);
    loop {
        let page = engine.read(move |r| {
            let open = r.differences(network, DifferenceState::Open, after, PAGE)?;
            let judged = look_up(r, network, open.iter().map(|one| one.number.clone()).collect())?;
            Ok((open, judged))
        });
        let (open, judged) = page.await?;
        let Some(last) = open.last() else { return Ok(()) };
        after = last.id;
        let item = |one: &koudai_core::rows::Difference| Item {
            number: one.number.clone(),
            day: one.day,
            theirs: judged[&one.number].theirs(),
        };
        judge_all(engine, network, &mut open.iter().map(item).collect()).await?;
    }
}

async fn judge_all(engine: &Engine, network: NetworkId, items: &mut Vec<Item>) -> Result<(), Uncompared> {
    if items.is_empty() {
        return Ok(());
    }
    submitted(engine.submit(JudgeItems { network, items: std::mem::take(items) }).await)
}

fn submitted<T>(result: Result<T, Failed<koudai_core::reconcile::Never>>) -> Result<T, Uncompared> {
    match result {
        Ok(reply) => Ok(reply),
        Err(Failed::Refused(never)) => match never {},
        Err(Failed::Busy | Failed::Stopped) => Err(Uncompared::Busy),
    }
}
