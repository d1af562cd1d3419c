//! Money between holders and apps: that each movement has its number, moved what it says, and that what came back of a debit
//! is what stands on it.

use koudai_core::id::AppMoveId;
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::rows::{
    Agreement, AgreementKey, AgreementNumber, AgreementState, AppMove, AppMoveKey, AppMoveKind, AppMoveNumber,
};
use koudai_store::Reader;

use super::claims::{Claims, Due};
use super::numbers;
use super::people::People;
use super::start::ById;
use super::tally::{Marks, Suspects, Tally};
use super::{CHUNK, Report, Wrong, check};

const NUMBER: &str = "a movement of an app's has one number";

/// Checks every movement and says what each claims. Which of them there are.
pub(super) fn run(
    reader: &Reader,
    people: &People,
    claims: &mut Claims,
    newest: i64,
    marks: &Marks,
    report: &mut Report,
) -> Result<Tally, Wrong> {
    check_agreements(reader)?;
    let (mut numbers, mut after) = (Tally::default(), None);
    // Of each debit of which anything came back: what it says came back, and what refunds say they brought.
    let mut back: ById<[i64; 2]> = ById::default();
    loop {
        let (chunk, range) = reader.rows_after::<AppMove>(after, CHUNK)?;
        report.app_moves += chunk.len();
        for done in &chunk {
            if done.id.0 <= newest {
                numbers.add(done.id.0, mark(marks, done));
            }
            check_one(reader, people, done, &mut back)?;
            if let Some(due) = of_move(done) {
                claims.expect(&due);
            }
        }
        after = range.to;
        if after.is_none() {
            break;
        }
    }
    for (id, [said, brought]) in back.into_iter().filter(|(_, [said, brought])| said != brought) {
        // A refund and its debit change in one commit: a debit that is read again has every refund that was read before.
        let debit = reader.get::<AppMove>(&AppMoveId(id))?;
        let since = debit.map_or(0, |debit| debit.returned.minor());
        let fits = said < brought && since >= brought;
        check(fits, "what came back of an app's debit is what its refunds brought", || {
            format!("movement {id}")
        })?;
    }
    Ok(numbers)
}

/// Each agreement has its number, and each number its agreement. Such pairs are added and never change.
fn check_agreements(reader: &Reader) -> Result<(), Wrong> {
    const NUMBER: &str = "an agreement with an app has one number";
    reader.each_in_parts(|agreement: Agreement| {
        let key = AgreementKey { app: agreement.app, binding: agreement.binding.clone() };
        let number = reader.get::<AgreementNumber>(&key)?;
        let name = || format!("agreement {} ({})", agreement.id.0, agreement.binding);
        check(number.is_some_and(|number| number.agreement == agreement.id), NUMBER, name)?;
        let agreed = matches!(agreement.state, AgreementState::Bound | AgreementState::Ended);
        let whole = !agreed || (agreement.person.is_some() && agreement.refusal.is_none());
        check(whole, "an agreement that was made has its holder and no refusal", name)
    })?;
    reader.each_in_parts(|number: AgreementNumber| {
        let agreement = reader.get::<Agreement>(&number.agreement)?;
        let fits = agreement.is_some_and(|a| (a.app, &a.binding) == (number.key.app, &number.key.binding));
        check(fits, NUMBER, || format!("agreement {}", number.agreement.0))
    })
}

fn check_one(
    reader: &Reader,
    people: &People,
    done: &AppMove,
    back: &mut ById<[i64; 2]>,
) -> Result<(), Wrong> {
    let name = || move_name(done);
    let moved = done.refusal.is_none();
    let somebodys = match done.person {
        Some(person) => people.knows(reader, person)?,
        None => false,
    };
    check(!moved || (somebodys && !done.amount.is_zero()), "money moves to or from somebody", name)?;
    let returned = done.returned.minor();
    check(
        returned == 0 || (moved && done.kind == AppMoveKind::Debit),
        "only of what was taken anything comes back",
        name,
    )?;
    if !moved {
        return Ok(());
    }
    let agreement = match done.agreement {
        Some(id) => reader.get::<Agreement>(&id)?,
        None => None,
    };
    let agreed = agreement.is_some_and(|a| {
        let made = matches!(a.state, AgreementState::Bound | AgreementState::Ended);
        made && (a.app, a.person) == (done.app, done.person)
    });
    check(agreed, "an app moves money only by an agreement of its own with the holder", name)?;
    match done.kind {
        AppMoveKind::Debit if returned > 0 => back.entry(done.id.0).or_default()[0] += returned,
        AppMoveKind::Debit | AppMoveKind::Payout => {}
        AppMoveKind::Refund => {
            let original = match done.original {
                Some(id) => reader.get::<AppMove>(&id)?,
                None => None,
            };
            let fits = original.is_some_and(|debit| {
                let theirs = (debit.app, debit.person, debit.agreement);
                let same = theirs == (done.app, done.person, done.agreement);
                same && debit.kind == AppMoveKind::Debit && debit.refusal.is_none()
            });
            check(fits, "an app gives back what it took, to whom it took it from", name)?;
            if let Some(id) = done.original {
                back.entry(id.0).or_default()[1] += done.amount.minor();
            }
        }
    }
    Ok(())
}

/// The journal that a movement stands for, if any money moved.
pub(super) fn of_move(done: &AppMove) -> Option<Due> {
    let holder = AccountId::person(done.person.filter(|_| done.refusal.is_none())?);
    let app = AccountId::app(done.app);
    let (kind, from, to) = match done.kind {
        AppMoveKind::Debit => (JournalKind::AppDebit, holder, app),
        AppMoveKind::Refund => (JournalKind::AppRefund, app, holder),
        AppMoveKind::Payout => (JournalKind::AppPayout, app, holder),
    };
    Some(Due {
        invariant: "a movement of an app's moves its money once, if it was not declined",
        kind,
        subject: done.id.0,
        at: Some(done.at),
        entries: vec![(from, to, done.amount)],
        also: vec![],
        seq: None,
    })
}

pub(super) fn move_name(done: &AppMove) -> String {
    format!("movement {} ({} {})", done.id.0, done.kind.word(), done.number)
}

/// The mark of an app's number that stands for a movement.
fn mark(marks: &Marks, done: &AppMove) -> u64 {
    number_mark(marks, &key(done), done.id.0)
}

fn number_mark(marks: &Marks, key: &AppMoveKey, id: i64) -> u64 {
    marks.of_text(&[key.app.0, id], format!("{} {}", key.kind.word(), key.number).as_bytes())
}

fn key(done: &AppMove) -> AppMoveKey {
    AppMoveKey { app: done.app, kind: done.kind, number: done.number.clone() }
}

/// The numbers of movements, as their table says.
pub(super) fn read_numbers(reader: &Reader, newest: i64, marks: &Marks) -> Result<Tally, Wrong> {
    numbers::read(reader, newest, |row: &AppMoveNumber| (row.id.0, number_mark(marks, &row.key, row.id.0)))
}

/// Names what is wrong with the numbers of movements.
pub(super) fn look_at_numbers(reader: &Reader, newest: i64, suspects: &Suspects, counts: [u64; 2]) -> Wrong {
    let is = |row: &AppMove| row.id.0 <= newest && suspects.contains(row.id.0);
    let leads_back =
        |done: &AppMove| Ok(reader.get::<AppMoveNumber>(&key(done))?.is_some_and(|row| row.id == done.id));
    let otherwise = format!("{} movements, {} numbers", counts[0], counts[1]);
    numbers::look(reader, is, NUMBER, leads_back, move_name, otherwise)
}
