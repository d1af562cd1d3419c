//! Networks' books, what differed from them, and what was adjusted.

use koudai_core::id::{AttemptId, DifferenceId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind};
use koudai_core::merchant::CreateStaff;
use koudai_core::reconcile::{
    ApproveAdjustment, DaySums, EndReconciliation, Item, JudgeItems, ProposeAdjustment, ReadLine,
    RecordLines, Theirs,
};
use koudai_core::rows::{DayKey, DifferenceKey, DifferenceNumber, StaffRole, Way};

use koudai_core::time::SECOND;

use crate::books::the;
use crate::house::{BEGIN, Hand, House, done, fen};

/// What differs from the issuer's books, each of it 700 fen of nobody's.
pub(crate) struct Differences {
    /// Two of the staff adjusted it.
    pub(crate) adjusted: DifferenceId,
    /// One of them proposed to.
    pub(crate) open: DifferenceId,
    /// It is none any more.
    pub(crate) explained: DifferenceId,
}

impl Hand {
    /// Reads the issuer's books of a day and compares them.
    pub(crate) async fn compared(&self, top_up: AttemptId) -> Differences {
        let (network, day) = (ISSUER_NETWORK, BEGIN.china_day());
        for (name, role) in
            [("mei", StaffRole::Finance), ("li.ming", StaffRole::Owner), ("wang", StaffRole::Auditor)]
        {
            done!(self, CreateStaff { name: name.to_owned(), role, enrolment_hash: [1; 32] });
        }
        let line = |no: i64, number: &str, minor: i64| ReadLine {
            no,
            way: Way::In,
            number: number.to_owned(),
            amount_minor: minor,
            at: BEGIN,
        };
        let lines = vec![line(1, &top_up.wire(), 400_000), line(2, "adjusted", 700), line(5, "open", 700)];
        done!(self, RecordLines { network, after: 0, lines, end_seen_at: Some(BEGIN) });
        let theirs = [Theirs { way: Way::In, amount_minor: 700, day }];
        let judge = |number: &str, theirs: &[Theirs]| JudgeItems {
            network,
            items: vec![Item { number: number.to_owned(), day, theirs: theirs.to_vec() }],
        };
        let mut found = vec![];
        for number in ["adjusted", "open", "explained"] {
            done!(self, judge(number, &theirs));
            let key = DifferenceKey { network, number: number.to_owned() };
            let row = self.engine.read(move |r| r.get::<DifferenceNumber>(&key)).await.unwrap().unwrap();
            found.push(row.newest);
        }
        done!(self, judge("explained", &[]));
        let [adjusted, open, explained] = found.try_into().unwrap();
        for difference in [adjusted, open] {
            let (staff, note) = ("mei".to_owned(), "nobody knows whose it is".to_owned());
            done!(self, ProposeAdjustment { difference, staff, note });
        }
        let approve = ApproveAdjustment { difference: adjusted, staff: "li.ming".to_owned(), gap_minor: 700 };
        done!(self, approve);
        let key = DayKey { network, day };
        let theirs = DaySums { count: 3, in_minor: 401_400, out_minor: 0 };
        let ours = DaySums::default();
        done!(self, EndReconciliation { key, cursor: 5, theirs, ours, unknown: 0, found: 2 });
        Differences { adjusted, open, explained }
    }
}

#[test]
fn books_that_were_not_read_whole_or_compared_whole_are_found() {
    let house = House::built();
    let finds = |invariant: &str, sql: &str| house.finds_sql(invariant, sql);

    finds(
        "a line of a network's books stands on the day of its moment",
        "UPDATE statement_line SET day = day + 1 WHERE no = 2",
    );
    finds("a network's books are read up to their newest line", "DELETE FROM statement_cursor");
    let once = "every line of a network's books is there once";
    finds(once, "DELETE FROM statement_line WHERE no = 2");
    finds(once, "DELETE FROM statement_line WHERE no = 5");
    finds(once, "UPDATE statement_cursor SET lines = 4");
    finds(once, "UPDATE statement_cursor SET after = 6");
    finds(
        once,
        "INSERT INTO statement_line SELECT network, 4, way, number, amount_minor, at, day FROM statement_line WHERE no = 5",
    );
    let whole = "a day that was compared has all lines of it";
    finds(whole, "UPDATE statement_line SET amount_minor = 701 WHERE no = 2");
    finds(whole, "UPDATE statement_line SET way = 'out' WHERE no = 2");
    for column in ["their_count", "their_in_minor", "their_out_minor"] {
        finds(whole, &format!("UPDATE reconciliation SET {column} = {column} + 1"));
    }
}

#[test]
fn differences_that_do_not_fit_what_became_of_them_are_found() {
    let house = House::built();
    let Differences { adjusted, open, explained } = house.differences;
    let set = |id: DifferenceId, set: &str| format!("UPDATE difference SET {set} WHERE id = {}", id.0);
    let finds = |invariant: &str, sql: String| house.finds_sql(invariant, &sql);

    let number = "a number has one newest difference";
    finds(number, "DELETE FROM difference_number WHERE number = 'open'".to_owned());
    finds(number, "UPDATE difference_number SET number = 'other' WHERE number = 'open'".to_owned());
    finds(number, format!("UPDATE difference_number SET newest = {} WHERE number = 'open'", explained.0));
    finds(number, "INSERT INTO difference_number VALUES (1, 'more', 16, 0)".to_owned());
    let sum = "what was adjusted of a number is what its differences say";
    finds(sum, "UPDATE difference_number SET adjusted_minor = 701 WHERE number = 'adjusted'".to_owned());
    finds(sum, "UPDATE difference_number SET adjusted_minor = 1 WHERE number = 'open'".to_owned());
    let two = "two of the staff agree on what is adjusted";
    finds(two, set(adjusted, "approved_by = 'mei'"));
    finds(two, set(adjusted, "approved_by = 'wang'"));
    finds(two, set(adjusted, "proposed_by = 'nobody'"));
    let over = "a difference is over once nothing differs or two of the staff adjusted it";
    finds(over, set(adjusted, "proposed_by = NULL"));
    finds(over, set(adjusted, "approved_by = NULL"));
    finds(over, set(adjusted, "resolved_at = NULL"));
    finds(over, set(adjusted, "gap_minor = 0"));
    finds(over, set(open, "resolved_at = found_at"));
    finds(over, set(open, "state = 'adjusted', resolved_at = found_at"));
    finds(over, set(explained, "gap_minor = 1"));
    finds(over, set(explained, "resolved_at = NULL"));
}

#[test]
fn money_that_was_adjusted_otherwise_than_differences_say_is_found() {
    let house = House::built();
    let (adjusted, open) = (house.differences.adjusted.0, house.differences.open.0);
    let moves = "what is adjusted moves once, by as much as differs";
    let adjustment = (JournalKind::Adjustment, adjusted);
    let posts = |change: &dyn Fn(&mut Vec<koudai_core::ledger::Posting>)| {
        house.finds_booked(moves, |all| change(&mut the(all, adjustment.0, adjustment.1).postings));
    };
    posts(&|all| all[0].amount = fen(701));
    posts(&|all| all[0].credit = AccountId::fees());
    posts(&|all| all.clear());
    let both = |invariant: &str, difference: String, number: &str| {
        house.finds(invariant, |books| {
            books.sql(&difference);
            books.sql(number);
        });
    };
    let set = |id: i64, set: &str| format!("UPDATE difference SET {set} WHERE id = {id}");
    both(
        "every journal is what one row says",
        set(adjusted, "state = 'open', resolved_at = NULL, approved_by = NULL"),
        "UPDATE difference_number SET adjusted_minor = 0 WHERE number = 'adjusted'",
    );
    both(
        moves,
        set(open, "state = 'adjusted', resolved_at = found_at, approved_by = 'li.ming'"),
        "UPDATE difference_number SET adjusted_minor = 700 WHERE number = 'open'",
    );
}
