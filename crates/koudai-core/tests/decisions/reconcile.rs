//! A network's books against ours: what differs, in which way, what becomes of it, and who may adjust it.

use koudai_core::id::{AttemptId, DifferenceId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind, NetworkId};
use koudai_core::merchant::CreateStaff;
use koudai_core::reconcile::{
    AdjustmentRefused, ApproveAdjustment, DaySums, EndReconciliation, Item, JudgeItems, ProposeAdjustment,
    ReadLine, RecordLines, Senseless, Theirs,
};
use koudai_core::rows::{
    Balance, DayKey, Difference, DifferenceClass, DifferenceState, NetworkRefusal, Reconciliation,
    ReconciliationState, StaffRole, StatementCursor, StatementLine, Way,
};
use koudai_core::time::{DAY, Timestamp};

use crate::fixture::{Habit, Ledger, START, top_up};

const NETWORK: NetworkId = ISSUER_NETWORK;

/// Somebody who tops up by card, a finance person and their colleague.
fn house() -> (Ledger, impl FnMut(&mut Ledger, i64) -> AttemptId) {
    let mut ledger = Ledger::new();
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    for (name, role) in
        [("mei", StaffRole::Finance), ("li.ming", StaffRole::Owner), ("wang", StaffRole::Service)]
    {
        ledger
            .submit(&CreateStaff { name: name.to_owned(), role, enrolment_hash: [1; 32] })
            .expect("a new name");
    }
    let mut count = 0;
    (ledger, move |ledger, fen| {
        count += 1;
        ledger.submit(&top_up(person, card, &format!("top-up-{count:02}"), fen)).expect("a card tops up").id
    })
}

fn came(minor: i64) -> Theirs {
    Theirs { way: Way::In, amount_minor: minor, day: START.china_day() }
}

fn judge(ledger: &mut Ledger, number: &str, theirs: &[Theirs]) {
    let item = Item { number: number.to_owned(), day: START.china_day(), theirs: theirs.to_vec() };
    let Ok(()) = ledger.submit(&JudgeItems { network: NETWORK, items: vec![item] });
}

/// The only difference there is.
fn only(ledger: &mut Ledger) -> Difference {
    let mut all = ledger.all::<Difference>();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// What a number's lines come to, if it is that of a top-up of ¥100.00 that ended like this.
fn class(ended: Option<bool>, theirs: &[Theirs]) -> Option<(DifferenceClass, i64, DifferenceState)> {
    let (mut ledger, mut pay) = house();
    let attempt = pay(&mut ledger, 10_000);
    match ended {
        Some(true) => drop(ledger.succeed(attempt)),
        Some(false) => drop(ledger.fail(attempt, NetworkRefusal::Refused)),
        None => {}
    }
    judge(&mut ledger, &attempt.wire(), theirs);
    ledger.all::<Difference>().pop().map(|one| (one.class, one.gap_minor, one.state))
}

#[test]
fn each_class_is_told_from_the_others() {
    use DifferenceClass as C;
    use DifferenceState::{Explained, Open};
    let (done, failed) = (Some(true), Some(false));
    let next_day = Theirs { day: START.china_day() + 1, ..came(10_000) };
    let back = Theirs { way: Way::Back, ..came(10_000) };
    assert_eq!(class(done, &[came(10_000)]), None);
    assert_eq!(class(failed, &[]), None);
    assert_eq!(class(done, &[]), Some((C::Short, -10_000, Open)));
    assert_eq!(class(done, &[came(9_900)]), Some((C::Amount, -100, Open)));
    assert_eq!(class(failed, &[came(10_000)]), Some((C::Status, 10_000, Open)));
    assert_eq!(class(done, &[back]), Some((C::Status, -20_000, Open)), "it went the other way");
    assert_eq!(class(done, &[next_day]), Some((C::DateCut, 0, Explained)), "closed by itself");
    assert_eq!(class(done, &[came(10_000), came(10_000)]), Some((C::Dup, 10_000, Open)));
    for theirs in [&[][..], &[came(10_000)], &[came(1), next_day]] {
        assert_eq!(class(None, theirs), None, "nothing can be said of what we do not know yet");
    }
}

#[test]
fn a_number_that_is_none_of_ours_is_long_as_is_one_of_another_network() {
    let (mut ledger, mut pay) = house();
    for number in ["7", "somebody-elses"] {
        judge(&mut ledger, number, &[came(500)]);
    }
    let attempt = pay(&mut ledger, 10_000);
    ledger.succeed(attempt);
    let item = Item { number: attempt.wire(), day: 0, theirs: vec![came(10_000)] };
    let Ok(()) = ledger.submit(&JudgeItems { network: NetworkId(2), items: vec![item] });
    let all = ledger.all::<Difference>();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one.class == DifferenceClass::Long && one.ours_minor == 0));
}

#[test]
fn judging_again_changes_nothing_and_what_is_explained_closes_by_itself() {
    let (mut ledger, mut pay) = house();
    let attempt = pay(&mut ledger, 10_000);
    ledger.succeed(attempt);
    judge(&mut ledger, &attempt.wire(), &[]);
    let before = (ledger.snapshot(), ledger.journals());
    ledger.advance(DAY);
    judge(&mut ledger, &attempt.wire(), &[]);
    assert_eq!((ledger.snapshot(), ledger.journals()), before);
    judge(&mut ledger, &attempt.wire(), &[came(10_000)]);
    let late = only(&mut ledger);
    assert_eq!(
        (late.state, late.gap_minor, late.resolved_at),
        (DifferenceState::Explained, 0, Some(ledger.now))
    );
    judge(&mut ledger, &attempt.wire(), &[came(10_000), came(10_000)]);
    assert_eq!(ledger.all::<Difference>().len(), 2, "what is over stays over, and the next is another");
}

#[test]
fn two_of_the_staff_adjust_a_difference_by_a_journal_of_its_own() {
    let (mut ledger, mut pay) = house();
    let attempt = pay(&mut ledger, 10_000);
    ledger.succeed(attempt);
    judge(&mut ledger, &attempt.wire(), &[came(10_000), came(10_000)]);
    let found = only(&mut ledger);
    let note = "the bank took it twice".to_owned();
    ledger.submit(&ProposeAdjustment { difference: found.id, staff: "mei".to_owned(), note }).unwrap();
    let approve = ApproveAdjustment { difference: found.id, staff: "li.ming".to_owned(), gap_minor: 10_000 };
    let adjusted = ledger.submit(&approve).unwrap();
    assert_eq!(adjusted.state, DifferenceState::Adjusted);
    assert_eq!(
        ledger.balance(AccountId::clearing(NETWORK)),
        20_000,
        "what the bank says that it has of ours"
    );
    assert_eq!(ledger.balance(AccountId::suspense(NETWORK)), 10_000, "and whose it is we do not know");
    let journal = ledger.journals().pop().unwrap();
    assert_eq!((journal.kind, journal.subject), (JournalKind::Adjustment, found.id.0));
    let (again, changed) = ledger.effect(&approve);
    assert_eq!((again, changed), (Ok(adjusted), false), "approving again is no error");
    judge(&mut ledger, &attempt.wire(), &[came(10_000), came(10_000)]);
    assert_eq!(ledger.all::<Difference>().len(), 1, "what was adjusted is not found again");

    // The bank takes one of them back from its books: what was adjusted too much is a difference of its own.
    judge(&mut ledger, &attempt.wire(), &[came(10_000)]);
    let rest = ledger.all::<Difference>().into_iter().max_by_key(|one| one.id).unwrap();
    assert_eq!((rest.gap_minor, rest.state), (-10_000, DifferenceState::Open));
    let note = "it gave it back".to_owned();
    ledger.submit(&ProposeAdjustment { difference: rest.id, staff: "li.ming".to_owned(), note }).unwrap();
    let approve = ApproveAdjustment { difference: rest.id, staff: "mei".to_owned(), gap_minor: -10_000 };
    ledger.submit(&approve).unwrap();
    assert_eq!(ledger.balance(AccountId::suspense(NETWORK)), 0);
    ledger.audit();
}

#[test]
fn what_we_have_and_they_have_not_lets_the_suspense_account_run_the_other_way() {
    let (mut ledger, mut pay) = house();
    let attempt = pay(&mut ledger, 10_000);
    ledger.succeed(attempt);
    judge(&mut ledger, &attempt.wire(), &[]);
    let (difference, note) = (only(&mut ledger).id, "gone".to_owned());
    ledger.submit(&ProposeAdjustment { difference, staff: "mei".to_owned(), note }).unwrap();
    ledger
        .submit(&ApproveAdjustment { difference, staff: "li.ming".to_owned(), gap_minor: -10_000 })
        .unwrap();
    let suspense = ledger.get::<Balance>(&AccountId::suspense(NETWORK)).unwrap();
    assert_eq!((suspense.debits_minor, suspense.credits_minor), (10_000, 0));
    assert_eq!(ledger.balance(AccountId::clearing(NETWORK)), 0);
}

#[test]
fn each_refusal_of_an_adjustment_leaves_nothing_behind() {
    use AdjustmentRefused as R;
    let (mut ledger, mut pay) = house();
    let attempt = pay(&mut ledger, 10_000);
    ledger.succeed(attempt);
    judge(&mut ledger, &attempt.wire(), &[]);
    let difference = only(&mut ledger).id;
    let propose =
        |staff: &str| ProposeAdjustment { difference, staff: staff.to_owned(), note: "why".to_owned() };
    let approve =
        |staff: &str, gap_minor| ApproveAdjustment { difference, staff: staff.to_owned(), gap_minor };
    assert_eq!(ledger.refusal(&propose("nobody")), R::StaffUnknown);
    assert_eq!(ledger.refusal(&propose("wang")), R::RoleInsufficient);
    let nothing = DifferenceId(16);
    assert_eq!(
        ledger.refusal(&ProposeAdjustment { difference: nothing, ..propose("mei") }),
        R::DifferenceUnknown
    );
    assert_eq!(
        ledger.refusal(&ApproveAdjustment { difference: nothing, ..approve("mei", 1) }),
        R::DifferenceUnknown
    );
    assert_eq!(ledger.refusal(&approve("mei", -10_000)), R::NotProposed);
    ledger.submit(&propose("mei")).unwrap();
    assert_eq!(ledger.refusal(&approve("mei", -10_000)), R::SamePerson);
    assert_eq!(ledger.refusal(&approve("nobody", -10_000)), R::StaffUnknown);
    assert_eq!(ledger.refusal(&approve("wang", -10_000)), R::RoleInsufficient);
    assert_eq!(ledger.refusal(&approve("li.ming", 10_000)), R::NotProposed, "by another amount");
    // It turned into another difference after the proposal.
    judge(&mut ledger, &attempt.wire(), &[came(9_000)]);
    assert_eq!(ledger.refusal(&approve("li.ming", -1_000)), R::NotProposed);
    judge(&mut ledger, &attempt.wire(), &[came(10_000)]);
    assert_eq!(ledger.refusal(&propose("mei")), R::NotOpen);
    assert_eq!(ledger.refusal(&approve("li.ming", 0)), R::NotOpen);
}

fn line(no: i64, number: &str, minor: i64, at: Timestamp) -> ReadLine {
    ReadLine { no, way: Way::In, number: number.to_owned(), amount_minor: minor, at }
}

fn record(after: i64, lines: Vec<ReadLine>) -> RecordLines {
    RecordLines { network: NETWORK, after, lines, end_seen_at: None }
}

#[test]
fn lines_are_recorded_once_however_often_they_come() {
    for habit in [Habit::Keep, Habit::Forget, Habit::Trickle] {
        let mut ledger = Ledger::with(habit);
        let first = record(0, vec![line(1, "a", 5, START), line(4, "b", 6, START)]);
        let cursor = ledger.submit(&first).unwrap();
        assert_eq!((cursor.after, cursor.lines), (4, 2));
        let (again, changed) = ledger.effect(&first);
        assert_eq!((again.unwrap().after, changed), (4, false), "where it stands is the answer");
        ledger.submit(&record(4, vec![line(5, "c", 7, START)])).unwrap();
        assert_eq!(ledger.all::<StatementLine>().len(), 3);
        let end = RecordLines { end_seen_at: Some(START), ..record(5, vec![]) };
        ledger.submit(&end).unwrap();
        let cursor = ledger.get::<StatementCursor>(&NETWORK).unwrap();
        assert_eq!((cursor.after, cursor.lines, cursor.end_seen_at), (5, 3, Some(START)));
    }
}

#[test]
fn what_are_no_books_is_refused_whole() {
    let mut ledger = Ledger::new();
    let good = line(1, "a", 5, START);
    let senseless = [
        vec![line(0, "a", 5, START)],
        vec![good.clone(), line(1, "b", 5, START)],
        vec![line(2, "a", 5, START), line(1, "b", 5, START)],
        vec![good.clone(), line(2, "b", 0, START)],
        vec![good.clone(), line(2, "b", -5, START)],
        vec![good.clone(), line(2, "b", i64::MAX, START)],
        vec![good.clone(), line(2, "", 5, START)],
        vec![good.clone(), line(2, "b\0", 5, START)],
        vec![good.clone(), line(2, &"b".repeat(65), 5, START)],
        vec![good, line(2, "b", 5, Timestamp(-1))],
    ];
    for lines in senseless {
        assert_eq!(ledger.refusal(&record(0, lines)), Senseless);
    }
}

#[test]
fn a_day_is_done_unless_something_is_unknown_or_came_late() {
    let mut ledger = Ledger::new();
    let key = DayKey { network: NETWORK, day: START.china_day() };
    ledger.submit(&record(0, vec![line(1, "a", 5, START)])).unwrap();
    let mut theirs = DaySums::default();
    theirs.add(Way::In, 5);
    let end = |cursor, unknown| EndReconciliation {
        key: key.clone(),
        cursor,
        theirs,
        ours: DaySums::default(),
        unknown,
        found: 1,
    };
    let state = |ledger: &mut Ledger, end: &EndReconciliation| {
        let Ok(row) = ledger.submit(end);
        row.state
    };
    assert_eq!(
        state(&mut ledger, &end(0, 0)),
        ReconciliationState::Stale,
        "a line came while it was compared"
    );
    assert_eq!(state(&mut ledger, &end(1, 2)), ReconciliationState::Waiting);
    assert_eq!(state(&mut ledger, &end(1, 0)), ReconciliationState::Done);
    ledger.submit(&record(1, vec![line(2, "b", 5, START.plus(DAY))])).unwrap();
    assert_eq!(ledger.get::<Reconciliation>(&key).unwrap().state, ReconciliationState::Done, "another day's");
    ledger.submit(&record(2, vec![line(3, "c", 5, START)])).unwrap();
    assert_eq!(ledger.get::<Reconciliation>(&key).unwrap().state, ReconciliationState::Stale);
}

#[test]
fn where_no_money_differs_two_of_the_staff_answer_without_a_journal_and_are_not_asked_again() {
    let (mut ledger, mut pay) = house();
    let person = ledger.person_with_pin("13800138001");
    let (card, mchid) = (ledger.card(person), ledger.merchant());
    let order = ledger.paid_by_card(mchid, "order-1", (person, card), 10_000);
    let (refund, _) = ledger.refund(&order, "refund-1", 10_000).unwrap();
    let attempt = refund.attempt.unwrap();
    ledger.succeed(attempt);
    // What went back to the card they have as paid out to it.
    let out = [Theirs { way: Way::Out, ..came(10_000) }];
    judge(&mut ledger, &attempt.wire(), &out);
    let found = only(&mut ledger);
    assert_eq!((found.class, found.gap_minor), (DifferenceClass::Status, 0));
    let (difference, note) = (found.id, "the same to us".to_owned());
    let journals = ledger.journals().len();
    ledger.submit(&ProposeAdjustment { difference, staff: "mei".to_owned(), note }).unwrap();
    let approve = ApproveAdjustment { difference, staff: "li.ming".to_owned(), gap_minor: 0 };
    assert_eq!(ledger.submit(&approve).unwrap().state, DifferenceState::Explained);
    assert_eq!(ledger.journals().len(), journals);
    judge(&mut ledger, &attempt.wire(), &out);
    assert_eq!(only(&mut ledger).id, difference);
    // Another one is another one.
    let other = pay(&mut ledger, 500);
    ledger.succeed(other);
    judge(&mut ledger, &other.wire(), &[]);
    assert_eq!(ledger.all::<Difference>().len(), 2);
}
