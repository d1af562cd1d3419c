//! Reconciliation: a network's books against ours, number by number. A difference is classed, looked at again until it
//! explains itself, and otherwise answered by a journal of its own that two of the staff agree on; no row is ever mended.
//!
//! Ours is what attempts say. Each that succeeded stands for one journal to the fen, which `koudai verify` holds it to, so
//! the attempts' rows are the journals by another index.

use crate::id::{AttemptId, DifferenceId};
use crate::ledger::{AccountId, JournalKind, NetworkId, Posting};
use crate::money::{Currency, Money};
use crate::rows::{
    Attempt, AttemptKind, AttemptState, DayKey, Difference, DifferenceClass, DifferenceKey, DifferenceNumber,
    DifferenceState, Reconciliation, ReconciliationState, Staff, StaffRole, StatementCursor, StatementKey,
    StatementLine, Way,
};
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::Timestamp;

/// The most lines or items one command takes: a transaction stays short beside the payments.
pub const MOST_AT_ONCE: usize = 256;
/// The longest number a line may carry, in bytes, all of them visible ASCII. Ours have 28 digits.
pub const MOST_NUMBER_BYTES: usize = 64;
/// Above this an amount is no payment but damage, in minor units: a hundred thousand million yuan.
pub const MOST_MINOR: i64 = 10_000_000_000_000;
/// How long after its end a day's books are read unless its network needs longer, in milliseconds: clocks differ, and what was
/// under way at midnight ends.
pub const GRACE_MS: i64 = 30 * crate::time::MINUTE;

/// The newest day that is over and whose books may be read, this long after its end.
pub const fn newest_due_day(now: Timestamp, grace_ms: i64) -> i64 {
    now.plus(-grace_ms).china_day() - 1
}

/// Which way an attempt moves money.
pub const fn way_of(kind: AttemptKind) -> Way {
    match kind {
        AttemptKind::TopUp | AttemptKind::CardPayment => Way::In,
        AttemptKind::CardRefund => Way::Back,
        AttemptKind::Payout => Way::Out,
    }
}

/// What an amount that went this way adds to what the network owes the operator.
pub const fn signed(way: Way, minor: i64) -> i64 {
    match way {
        Way::In => minor,
        Way::Back | Way::Out => -minor,
    }
}

/// A line of a network's books, as far as an item is judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theirs {
    /// Which way.
    pub way: Way,
    /// How much.
    pub amount_minor: i64,
    /// On which day in China, by the network's clock.
    pub day: i64,
}

impl From<&StatementLine> for Theirs {
    fn from(line: &StatementLine) -> Self {
        Self { way: line.way, amount_minor: line.amount_minor, day: line.day }
    }
}

/// What both sides say of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same.
    Same,
    /// Our call is still open: nothing can be said yet.
    NotYet,
    /// Not the same.
    Differs(DifferenceClass),
}

/// Judges one number by our attempt, if it is one's, and by every line of theirs that carries it.
pub fn judge(ours: Option<&Attempt>, theirs: &[Theirs]) -> Verdict {
    let differs = Verdict::Differs;
    let Some(ours) = ours else {
        return if theirs.is_empty() { Verdict::Same } else { differs(DifferenceClass::Long) };
    };
    let Some(first) = theirs.first() else {
        return match ours.state {
            AttemptState::Succeeded => differs(DifferenceClass::Short),
            AttemptState::Open => Verdict::NotYet,
            AttemptState::Failed => Verdict::Same,
        };
    };
    match ours.state {
        AttemptState::Open => return Verdict::NotYet,
        AttemptState::Failed => return differs(DifferenceClass::Status),
        AttemptState::Succeeded => {}
    }
    let way = way_of(ours.kind);
    if theirs.iter().any(|line| line.way != way) {
        differs(DifferenceClass::Status)
    } else if theirs.len() > 1 {
        differs(DifferenceClass::Dup)
    } else if first.amount_minor != ours.amount.minor() {
        differs(DifferenceClass::Amount)
    } else if ours.ended_at.map(Timestamp::china_day) != Some(first.day) {
        // Money moved once and alike, and only the clocks stand on two days: what was under way at midnight, or was not
        // known to us for longer.
        differs(DifferenceClass::DateCut)
    } else {
        Verdict::Same
    }
}

/// What an attempt added to what the network owes us.
pub fn ours_minor(ours: Option<&Attempt>) -> i64 {
    ours.filter(|attempt| attempt.state == AttemptState::Succeeded)
        .map_or(0, |attempt| signed(way_of(attempt.kind), attempt.amount.minor()))
}

/// What lines add to it by their books.
pub fn theirs_minor(theirs: &[Theirs]) -> i64 {
    // Each is bounded where it is recorded, and no number has a million lines.
    theirs.iter().fold(0, |sum: i64, line| sum.saturating_add(signed(line.way, line.amount_minor)))
}

/// A line of a network's books that was read just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLine {
    /// Where in its books.
    pub no: i64,
    /// Which way.
    pub way: Way,
    /// The number it carries.
    pub number: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// When, by the network's clock.
    pub at: Timestamp,
}

impl ReadLine {
    /// Whether it may be a line of books at all.
    pub fn is_sound(&self) -> bool {
        (1..=MOST_MINOR).contains(&self.amount_minor)
            && (1..=MOST_NUMBER_BYTES).contains(&self.number.len())
            && self.number.bytes().all(|byte| byte.is_ascii_graphic())
            && (0..=4_000_000_000_000).contains(&self.at.0)
    }
}

/// Records lines that were read behind a cursor. If somebody has recorded what is behind it meanwhile, nothing is done: no
/// line is ever there twice.
#[derive(Clone, Debug)]
pub struct RecordLines {
    /// Whose.
    pub network: NetworkId,
    /// Behind which line they were read.
    pub after: i64,
    /// At most [`MOST_AT_ONCE`], sound, their numbers rising.
    pub lines: Vec<ReadLine>,
    /// When they were asked for, if that was all there is.
    pub end_seen_at: Option<Timestamp>,
}

/// The lines do not rise behind the cursor, or one is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Senseless;

impl Command for RecordLines {
    type Reply = StatementCursor;
    type Refusal = Senseless;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<StatementCursor, Stop<Senseless>> {
        let rise = std::iter::once(self.after).chain(self.lines.iter().map(|line| line.no));
        if !rise.is_sorted_by(|a, b| a < b) || !self.lines.iter().all(ReadLine::is_sound) {
            return Err(Senseless.into());
        }
        let network = self.network;
        let cursor = tx.rows().statement_cursor.get(&network).or_stop()?.cloned();
        let nothing = StatementCursor { network, after: 0, lines: 0, end_seen_at: None };
        let mut cursor = cursor.unwrap_or(nothing);
        if cursor.after != self.after {
            return Ok(cursor);
        }
        let mut days: Vec<_> = self.lines.iter().map(|line| line.at.china_day()).collect();
        days.sort_unstable();
        days.dedup();
        let keys: Vec<_> = days.into_iter().map(|day| DayKey { network, day }).collect();
        tx.rows().reconciliation.want(&keys).or_stop()?;
        for key in &keys {
            let known = tx.rows().reconciliation.get(key).or_stop()?.cloned();
            if let Some(mut late) = known.filter(|day| day.state != ReconciliationState::Stale) {
                late.state = ReconciliationState::Stale;
                tx.rows().reconciliation.put(late);
            }
        }
        for line in &self.lines {
            tx.rows().statement_line.insert(StatementLine {
                key: StatementKey { network, no: line.no },
                way: line.way,
                number: line.number.clone(),
                amount_minor: line.amount_minor,
                at: line.at,
                day: line.at.china_day(),
            });
            cursor.after = line.no;
            cursor.lines += 1;
        }
        cursor.end_seen_at = self.end_seen_at.or(cursor.end_seen_at);
        tx.rows().statement_cursor.put(cursor.clone());
        Ok(cursor)
    }
}

/// A number to be judged, with every line of theirs that carries it: lines never change, so they may come with the command,
/// while our side is looked at when it is decided.
#[derive(Clone, Debug)]
pub struct Item {
    /// The number.
    pub number: String,
    /// The day it is looked at for, on which either side has it.
    pub day: i64,
    /// The lines.
    pub theirs: Vec<Theirs>,
}

/// Judges numbers, and raises, changes or closes their differences. Judging again changes nothing.
#[derive(Clone, Debug)]
pub struct JudgeItems {
    /// Whose books.
    pub network: NetworkId,
    /// At most [`MOST_AT_ONCE`], each number once.
    pub items: Vec<Item>,
}

/// There is nothing a judgement is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl Command for JudgeItems {
    type Reply = ();
    type Refusal = Never;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Never>> {
        let network = self.network;
        let ids: Vec<_> = self.items.iter().filter_map(|item| AttemptId::parse(&item.number)).collect();
        let key = |item: &Item| DifferenceKey { network, number: item.number.clone() };
        let keys: Vec<_> = self.items.iter().map(key).collect();
        let attempts = tx.rows().attempt.want(&ids);
        tx.rows().difference_number.want(&keys).and(attempts).or_stop()?;
        let mut newest = vec![];
        for key in &keys {
            newest.extend(tx.rows().difference_number.get(key).or_stop()?.map(|known| known.newest));
        }
        tx.rows().difference.want(&newest).or_stop()?;
        for (item, key) in self.items.iter().zip(keys) {
            judge_one(tx, item, key).or_stop()?;
        }
        Ok(())
    }
}

/// Everything it looks at is loaded.
fn judge_one(tx: &mut Tx<'_>, item: &Item, key: DifferenceKey) -> Result<(), crate::cache::Absent> {
    let ours = match AttemptId::parse(&item.number) {
        Some(id) => tx.rows().attempt.get(&id)?.cloned(),
        None => None,
    };
    let ours = ours.filter(|attempt| attempt.network == key.network);
    let known = tx.rows().difference_number.get(&key)?.cloned();
    let newest = match &known {
        Some(known) => tx.rows().difference.get(&known.newest)?.cloned(),
        None => None,
    };
    let class = match judge(ours.as_ref(), &item.theirs) {
        Verdict::NotYet => return Ok(()),
        Verdict::Same => None,
        Verdict::Differs(class) => Some(class),
    };
    let (ours_minor, theirs_minor) = (ours_minor(ours.as_ref()), theirs_minor(&item.theirs));
    let adjusted = known.as_ref().map_or(0, |known| known.adjusted_minor);
    // What was adjusted counts as said: if the network or we say something else afterwards, it is the rest that differs.
    let gap_minor = theirs_minor - ours_minor - adjusted;
    let open = newest.as_ref().is_some_and(|newest| newest.state == DifferenceState::Open);
    let explained = gap_minor == 0 && matches!(class, None | Some(DifferenceClass::DateCut));
    // Two of the staff have answered for it: by a journal, or, where no money differs, by saying so.
    let agreed = newest.as_ref().is_some_and(|newest| {
        newest.approved_by.is_some()
            && newest.state == DifferenceState::Explained
            && Some(newest.class) == class
    });
    let answered = gap_minor == 0 && (adjusted != 0 || agreed);
    let now = tx.now();
    match newest {
        Some(mut newest) if open => {
            let was = newest.clone();
            newest.class = class.unwrap_or(newest.class);
            (newest.ours_minor, newest.theirs_minor, newest.gap_minor) =
                (ours_minor, theirs_minor, gap_minor);
            if explained || answered {
                newest.state = DifferenceState::Explained;
                newest.resolved_at = Some(now);
            }
            if (newest.class, newest.gap_minor) != (was.class, was.gap_minor) {
                // Somebody proposed to adjust something else.
                newest.proposed_by = None;
            }
            if newest != was {
                tx.rows().difference.put(newest);
            }
        }
        newest => {
            let seen = newest.is_some();
            let Some(class) = class.or_else(|| newest.filter(|_| gap_minor != 0).map(|newest| newest.class))
            else {
                return Ok(());
            };
            if (explained && seen) || answered {
                return Ok(());
            }
            let id = DifferenceId(tx.fresh_id());
            tx.rows().difference.insert(Difference {
                id,
                network: key.network,
                number: key.number.clone(),
                day: item.day,
                class,
                ours_minor,
                theirs_minor,
                gap_minor,
                state: if explained { DifferenceState::Explained } else { DifferenceState::Open },
                found_at: now,
                resolved_at: explained.then_some(now),
                proposed_by: None,
                approved_by: None,
                note: None,
            });
            tx.rows().difference_number.put(DifferenceNumber { key, newest: id, adjusted_minor: adjusted });
        }
    }
    Ok(())
}

/// What one side has of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaySums {
    /// Lines, or attempts.
    pub count: i64,
    /// What came in, in minor units.
    pub in_minor: i64,
    /// What went back or out, in minor units.
    pub out_minor: i64,
}

impl DaySums {
    /// Counts one more.
    pub const fn add(&mut self, way: Way, minor: i64) {
        self.count += 1;
        match way {
            Way::In => self.in_minor = self.in_minor.saturating_add(minor),
            Way::Back | Way::Out => self.out_minor = self.out_minor.saturating_add(minor),
        }
    }
}

/// Records that a day was compared, all of it. Running a day again writes the same row.
#[derive(Clone, Debug)]
pub struct EndReconciliation {
    /// Network and day.
    pub key: DayKey,
    /// Where the cursor stood when the comparison began: with lines behind it, some may be missing in what was compared.
    pub cursor: i64,
    /// What they have.
    pub theirs: DaySums,
    /// What we have.
    pub ours: DaySums,
    /// Numbers whose outcome is not known to us yet.
    pub unknown: i64,
    /// Numbers on which both do not say the same.
    pub found: i64,
}

impl Command for EndReconciliation {
    type Reply = Reconciliation;
    type Refusal = Never;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Reconciliation, Stop<Never>> {
        let cursor = tx.rows().statement_cursor.get(&self.key.network).or_stop()?.map_or(0, |c| c.after);
        tx.rows().reconciliation.get(&self.key).or_stop()?;
        let state = if cursor != self.cursor {
            ReconciliationState::Stale
        } else if self.unknown > 0 {
            ReconciliationState::Waiting
        } else {
            ReconciliationState::Done
        };
        let day = Reconciliation {
            key: self.key.clone(),
            state,
            their_count: self.theirs.count,
            their_in_minor: self.theirs.in_minor,
            their_out_minor: self.theirs.out_minor,
            our_count: self.ours.count,
            our_in_minor: self.ours.in_minor,
            our_out_minor: self.ours.out_minor,
            unknown: self.unknown,
            found: self.found,
            at: tx.now(),
        };
        tx.rows().reconciliation.put(day.clone());
        Ok(day)
    }
}

/// Why a difference is not adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdjustmentRefused {
    /// There is none of this number.
    DifferenceUnknown,
    /// Nobody of the staff has this name.
    StaffUnknown,
    /// Their role is neither owner nor finance.
    RoleInsufficient,
    /// It has been explained or adjusted.
    NotOpen,
    /// Nobody proposed it, or it changed since.
    NotProposed,
    /// Who proposed it may not approve it.
    SamePerson,
}

/// Somebody who may have a say in it.
fn staff(tx: &mut Tx<'_>, name: &str) -> Result<(), Stop<AdjustmentRefused>> {
    let staff = tx.rows().staff.get(&name.to_owned()).or_stop()?.ok_or(AdjustmentRefused::StaffUnknown)?;
    match staff {
        Staff { role: StaffRole::Owner | StaffRole::Finance, .. } => Ok(()),
        _ => Err(AdjustmentRefused::RoleInsufficient.into()),
    }
}

/// Proposes to adjust a difference by what it says. The newest proposal stands.
#[derive(Clone, Debug)]
pub struct ProposeAdjustment {
    /// Which.
    pub difference: DifferenceId,
    /// Who proposes it.
    pub staff: String,
    /// Why, in their words.
    pub note: String,
}

impl Command for ProposeAdjustment {
    type Reply = Difference;
    type Refusal = AdjustmentRefused;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Difference, Stop<AdjustmentRefused>> {
        let difference = tx.rows().difference.get(&self.difference).or_stop()?.cloned();
        staff(tx, &self.staff)?;
        let mut difference = difference.ok_or(AdjustmentRefused::DifferenceUnknown)?;
        if difference.state != DifferenceState::Open {
            return Err(AdjustmentRefused::NotOpen.into());
        }
        difference.proposed_by = Some(self.staff.clone());
        difference.note = Some(self.note.clone());
        tx.rows().difference.put(difference.clone());
        Ok(difference)
    }
}

/// Approves what somebody else proposed: the journal is posted, and the difference is over. Where no money differs there is no
/// journal, and it counts as explained. Approving again is no error.
#[derive(Clone, Debug)]
pub struct ApproveAdjustment {
    /// Which.
    pub difference: DifferenceId,
    /// Who approves it.
    pub staff: String,
    /// What they were shown that differs, in minor units: nothing else is approved.
    pub gap_minor: i64,
}

impl Command for ApproveAdjustment {
    type Reply = Difference;
    type Refusal = AdjustmentRefused;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Difference, Stop<AdjustmentRefused>> {
        let difference = tx.rows().difference.get(&self.difference).or_stop()?.cloned();
        staff(tx, &self.staff)?;
        let mut difference = difference.ok_or(AdjustmentRefused::DifferenceUnknown)?;
        if difference.approved_by.as_deref() == Some(&*self.staff) {
            return Ok(difference);
        }
        if difference.state != DifferenceState::Open {
            return Err(AdjustmentRefused::NotOpen.into());
        }
        match &difference.proposed_by {
            Some(_) if difference.gap_minor != self.gap_minor => {
                return Err(AdjustmentRefused::NotProposed.into());
            }
            Some(proposer) if *proposer == self.staff => return Err(AdjustmentRefused::SamePerson.into()),
            Some(_) => {}
            None => return Err(AdjustmentRefused::NotProposed.into()),
        }
        let key = DifferenceKey { network: difference.network, number: difference.number.clone() };
        let (clearing, suspense) =
            (AccountId::clearing(difference.network), AccountId::suspense(difference.network));
        let prepared = tx.prepare(&[clearing, suspense]);
        let number = tx.rows().difference_number.get(&key).or_stop()?.cloned();
        prepared.or_stop()?;
        let mut number = number.expect("a difference has its number");
        let gap = difference.gap_minor;
        difference.state = DifferenceState::Explained;
        if gap != 0 {
            let amount = Money::new(gap.abs(), Currency::Cny).expect("it is not negative");
            // What they have and we have not, the network owes us and we owe whoever it turns out to be.
            let (debit, credit) = if gap > 0 { (clearing, suspense) } else { (suspense, clearing) };
            let posting = Posting { debit, credit, amount };
            tx.post(JournalKind::Adjustment, difference.id.0, Currency::Cny, vec![posting], &[]);
            difference.state = DifferenceState::Adjusted;
            number.adjusted_minor += gap;
            tx.rows().difference_number.put(number);
        }
        difference.approved_by = Some(self.staff.clone());
        difference.resolved_at = Some(tx.now());
        tx.rows().difference.put(difference.clone());
        Ok(difference)
    }
}
