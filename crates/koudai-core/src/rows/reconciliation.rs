//! The rows of networks' books and of what differs from ours.

use crate::column::{Cells, Column, Fields, Row, Value};
use crate::declaring::row_types;
use crate::id::DifferenceId;
use crate::ledger::NetworkId;
use crate::time::Timestamp;

use super::{
    DayKey, DifferenceClass, DifferenceKey, DifferenceState, ReconciliationState, StatementKey, Way,
};

row_types! {
    /// A line of a network's books, as it came. Source; never changed.
    StatementLine in statement_line as statement_line {
        /// Network and line.
        key: StatementKey,
        /// Which way.
        way: Way,
        /// The number it carries, which is ours for an attempt, or should be.
        number: String,
        /// How much, in minor units.
        amount_minor: i64,
        /// When, by the network's clock.
        at: Timestamp,
        /// The day in China of that moment.
        day: i64,
    }

    /// How far a network's books were read. Source.
    StatementCursor in statement_cursor as statement_cursor {
        /// The network.
        network: NetworkId,
        /// The newest line recorded; 0 if there is none.
        after: i64,
        /// How many were recorded.
        lines: i64,
        /// When they were last asked for and there were no more.
        end_seen_at: Option<Timestamp>,
    }

    /// The comparison of a day of a network's books with ours. Source.
    Reconciliation in reconciliation as reconciliation {
        /// Network and day.
        key: DayKey,
        /// How far it is.
        state: ReconciliationState,
        /// Lines of theirs.
        their_count: i64,
        /// What came in by them, in minor units.
        their_in_minor: i64,
        /// What went back or out by them, in minor units.
        their_out_minor: i64,
        /// Attempts of ours that succeeded on that day.
        our_count: i64,
        /// What came in by them, in minor units.
        our_in_minor: i64,
        /// What went back or out by them, in minor units.
        our_out_minor: i64,
        /// Numbers whose outcome was not known to us.
        unknown: i64,
        /// Numbers on which both did not say the same.
        found: i64,
        /// When it was compared last.
        at: Timestamp,
    }

    /// A number on which a network's books and ours do not say the same, and what became of that. Source.
    Difference in difference as difference {
        /// The difference.
        id: DifferenceId,
        /// The network.
        network: NetworkId,
        /// The number.
        number: String,
        /// The day it was found on.
        day: i64,
        /// In which way.
        class: DifferenceClass,
        /// What the number adds to what the network owes us, by our books, in minor units; below zero if it went out.
        ours_minor: i64,
        /// The same by theirs.
        theirs_minor: i64,
        /// Theirs less ours, less what was adjusted of this number before.
        gap_minor: i64,
        /// What became of it.
        state: DifferenceState,
        /// When it was found.
        found_at: Timestamp,
        /// When it was explained or adjusted.
        resolved_at: Option<Timestamp>,
        /// Who of the staff proposed to adjust it.
        proposed_by: Option<String>,
        /// Who else approved that.
        approved_by: Option<String>,
        /// Why, in the words of who proposed it.
        note: Option<String>,
    }

    /// The newest difference of a number. Source.
    DifferenceNumber in difference_number as difference_number {
        /// Network and number.
        key: DifferenceKey,
        /// The difference.
        newest: DifferenceId,
        /// What was adjusted of this number so far, in minor units.
        adjusted_minor: i64,
    }
}
