//! Numbers that people and merchants gave what they asked for: that each has one row in its table, and that the row leads back.

use koudai_core::column::Row;
use koudai_store::{Reader, StoreError};

use super::tally::Tally;
use super::{CHUNK, Wrong, broken, check};

/// Which numbers a table has, by what `say` makes of a row: what it stands for, and the mark of both. What came after the
/// newest is left out: it is not there on both sides.
pub(super) fn read<R: Row>(
    reader: &Reader,
    newest: i64,
    say: impl Fn(&R) -> (i64, u64),
) -> Result<Tally, Wrong> {
    let mut numbers = Tally::default();
    reader.each_in_parts(|row: R| {
        let (subject, mark) = say(&row);
        if subject <= newest {
            numbers.add(subject, mark);
        }
        Ok::<_, Wrong>(())
    })?;
    Ok(numbers)
}

/// Rows of a table that is keyed by one number which are to be looked at.
pub(super) fn suspected<R: Row>(reader: &Reader, is: impl Fn(&R) -> bool) -> Result<Vec<R>, Wrong> {
    let (mut rows, mut after) = (vec![], None);
    loop {
        let range = reader.each_after(after, CHUNK, |row: R| {
            if is(&row) {
                rows.push(row);
            }
            Ok::<_, Wrong>(())
        })?;
        after = range.to;
        if after.is_none() {
            return Ok(rows);
        }
    }
}

/// Looks at the rows that have the numbers. Names the first whose number does not lead back to it; if each does, `otherwise`
/// says what there is too much of.
pub(super) fn look<R: Row>(
    reader: &Reader,
    is: impl Fn(&R) -> bool,
    invariant: &'static str,
    leads_back: impl Fn(&R) -> Result<bool, StoreError>,
    name: impl Fn(&R) -> String,
    otherwise: String,
) -> Wrong {
    let look = || {
        for row in suspected(reader, is)? {
            check(leads_back(&row)?, invariant, || name(&row))?;
        }
        Ok(())
    };
    look().err().unwrap_or_else(|| broken(invariant, otherwise))
}
