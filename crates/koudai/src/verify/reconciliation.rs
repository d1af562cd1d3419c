//! Networks' books and what differed from them: that what was read is there once, that what was compared was all of it, and
//! that nothing was adjusted but by a journal of its own, on which two of the staff agreed.

use std::collections::HashMap;

use koudai_core::ledger::{AccountId, JournalKind, NetworkId};
use koudai_core::money::{Currency, Money};
use koudai_core::rows::{
    DayKey, Difference, DifferenceKey, DifferenceNumber, DifferenceState, Reconciliation,
    ReconciliationState, Staff, StaffRole, StatementCursor, StatementLine, Way,
};
use koudai_store::Reader;

use super::claims::{Claims, Due};
use super::{CHUNK, Report, Wrong, check};

/// Checks what was read, compared and adjusted.
pub(super) fn run(reader: &Reader, claims: &mut Claims, report: &mut Report) -> Result<(), Wrong> {
    for cursor in reader.all::<StatementCursor>()? {
        report.statement_lines += check_lines(reader, cursor.network)?;
    }
    reader.each_in_parts(|line: StatementLine| {
        let sound = line.day == line.at.china_day() && line.amount_minor > 0;
        check(sound, "a line of a network's books stands on the day of its moment", || line_name(&line))?;
        let known = reader.get::<StatementCursor>(&line.key.network)?.is_some_and(|c| c.after >= line.key.no);
        check(known, "a network's books are read up to their newest line", || line_name(&line))
    })?;
    for row in reader.all::<Reconciliation>()? {
        check_day(reader, &row.key)?;
    }
    // Differences are few, and each changes together with its number: one view.
    reader.snapshot(|reader| check_differences(reader, claims, report))
}

/// Counts a network's lines: as many as its cursor says. They are only ever added, together with the cursor.
fn check_lines(reader: &Reader, network: NetworkId) -> Result<u64, Wrong> {
    reader.snapshot(|reader| {
        let cursor = reader.get::<StatementCursor>(&network)?;
        let (after, said) = cursor.map_or((0, 0), |cursor| (cursor.after, cursor.lines));
        let (count, newest) = reader.lines_counted(network)?;
        check((count, newest) == (said, after), "every line of a network's books is there once", || {
            format!("network {}: {count} lines up to {newest} instead of {said} up to {after}", network.0)
        })?;
        Ok(count.cast_unsigned())
    })
}

/// What a day that is compared says of the network's side is what its lines say.
fn check_day(reader: &Reader, key: &DayKey) -> Result<(), Wrong> {
    reader.snapshot(|reader| {
        let Some(row) = reader.get::<Reconciliation>(key)? else { return Ok(()) };
        if row.state == ReconciliationState::Stale {
            return Ok(());
        }
        let (mut count, mut came, mut went, mut after) = (0, 0_i64, 0_i64, 0);
        loop {
            let lines = reader.lines_of_day(key.network, key.day, after, CHUNK)?;
            let Some(last) = lines.last() else { break };
            after = last.key.no;
            for line in &lines {
                count += 1;
                let sum = if line.way == Way::In { &mut came } else { &mut went };
                *sum = sum.saturating_add(line.amount_minor);
            }
        }
        let said = (row.their_count, row.their_in_minor, row.their_out_minor);
        check(said == (count, came, went), "a day that was compared has all lines of it", || {
            format!(
                "network {}, day {}: {said:?} instead of {:?}",
                key.network.0,
                key.day,
                (count, came, went)
            )
        })
    })
}

fn check_differences(reader: &Reader, claims: &mut Claims, report: &mut Report) -> Result<(), Wrong> {
    const NUMBER: &str = "a number has one newest difference";
    let mut adjusted: HashMap<DifferenceKey, i64> = HashMap::new();
    let mut after = None;
    loop {
        let (chunk, range) = reader.rows_after::<Difference>(after, CHUNK)?;
        report.differences += chunk.len();
        for one in chunk {
            let name = || difference_name(&one);
            let key = DifferenceKey { network: one.network, number: one.number.clone() };
            let number = reader.get::<DifferenceNumber>(&key)?;
            check(number.is_some_and(|number| number.newest >= one.id), NUMBER, name)?;
            check_one(reader, &one)?;
            if let Some(due) = of_difference(&one) {
                claims.expect(&due);
                *adjusted.entry(key).or_default() += one.gap_minor;
            }
        }
        after = range.to;
        if after.is_none() {
            break;
        }
    }
    for number in reader.all::<DifferenceNumber>()? {
        let name = || format!("network {}, number {}", number.key.network.0, number.key.number);
        let newest = reader.get::<Difference>(&number.newest)?;
        let its =
            newest.is_some_and(|one| (one.network, &one.number) == (number.key.network, &number.key.number));
        check(its, NUMBER, name)?;
        let sum = adjusted.get(&number.key).copied().unwrap_or(0);
        check(
            sum == number.adjusted_minor,
            "what was adjusted of a number is what its differences say",
            name,
        )?;
    }
    Ok(())
}

fn check_one(reader: &Reader, one: &Difference) -> Result<(), Wrong> {
    let name = || difference_name(one);
    let agreed = match (&one.proposed_by, &one.approved_by) {
        (Some(proposer), Some(approver)) => {
            let may = |name: &String| {
                let staff = reader.get::<Staff>(name)?;
                Ok::<_, Wrong>(staff.is_some_and(|s| matches!(s.role, StaffRole::Owner | StaffRole::Finance)))
            };
            let both = proposer != approver && may(proposer)? && may(approver)?;
            check(both, "two of the staff agree on what is adjusted", name)?;
            true
        }
        _ => false,
    };
    let over = one.resolved_at.is_some();
    let fits = match one.state {
        DifferenceState::Open => !over && one.approved_by.is_none(),
        DifferenceState::Explained => over && (agreed || one.approved_by.is_none()) && one.gap_minor == 0,
        DifferenceState::Adjusted => over && agreed && one.gap_minor != 0,
    };
    check(fits, "a difference is over once nothing differs or two of the staff adjusted it", name)
}

/// The journal that a difference stands for, if it was adjusted.
pub(super) fn of_difference(one: &Difference) -> Option<Due> {
    if one.state != DifferenceState::Adjusted {
        return None;
    }
    let (clearing, suspense) = (AccountId::clearing(one.network), AccountId::suspense(one.network));
    let amount = Money::new(one.gap_minor.checked_abs()?, Currency::Cny).ok()?;
    let (debit, credit) = if one.gap_minor > 0 { (clearing, suspense) } else { (suspense, clearing) };
    Some(Due {
        invariant: "what is adjusted moves once, by as much as differs",
        kind: JournalKind::Adjustment,
        subject: one.id.0,
        at: one.resolved_at,
        entries: vec![(debit, credit, amount)],
        also: vec![],
        seq: None,
    })
}

pub(super) fn difference_name(one: &Difference) -> String {
    format!("difference {} ({} of {})", one.id.0, one.class.word(), one.number)
}

fn line_name(line: &StatementLine) -> String {
    format!("network {}, line {}", line.key.network.0, line.key.no)
}
