//! Withdrawals of people to their cards: that each has what belongs to it and stands as its times and its call say, that
//! cards count those on their way, and that what a person moved today is counted right.

use std::collections::HashMap;

use koudai_core::id::{PersonId, WithdrawalId};
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Card, ClientNumber, MoneyTally, OpenAttempt, Speed,
    WaitingWithdrawal, Withdrawal, WithdrawalNumber, WithdrawalState,
};
use koudai_core::time::{DAY, Timestamp};
use koudai_store::Reader;

use super::attempts::distinct;
use super::claims::{self, Claims, withdrawal_name};
use super::numbers;
use super::people::People;
use super::start::ById;
use super::tally::{Marks, Suspects, Tally};
use super::{CHUNK, Report, Wrong, check};

const NUMBER: &str = "a withdrawal has one number";

/// Checks every withdrawal and says what each claims. Which of them there are.
pub(super) fn run(
    reader: &Reader,
    people: &People,
    claims: &mut Claims,
    newest: i64,
    marks: &Marks,
    report: &mut Report,
) -> Result<Tally, Wrong> {
    let (mut numbers, mut after) = (Tally::default(), None);
    loop {
        // A withdrawal, what waits and the call that pays it out change in one commit, so all are read in one view.
        let range = reader.snapshot(|reader| {
            let (chunk, range) = reader.rows_after::<Withdrawal>(after, CHUNK)?;
            let mut waiting: ById<WaitingWithdrawal> = ById::default();
            reader.each_by("withdrawal", range, |row: WaitingWithdrawal| {
                waiting.insert(row.withdrawal.0, row);
                Ok::<_, Wrong>(())
            })?;
            let wanted = distinct(chunk.iter().filter_map(|w| w.attempt).map(|id| id.0));
            let calls: ById<Attempt> =
                reader.those::<Attempt>(&wanted)?.into_iter().map(|row| (row.id.0, row)).collect();
            report.withdrawals += chunk.len();
            for withdrawal in &chunk {
                let name = || withdrawal_name(withdrawal);
                let card = people.card(reader, withdrawal.card)?;
                let own = card == Some((withdrawal.person, withdrawal.network));
                check(own, "a withdrawal goes to a card of its person's", name)?;
                let due = waiting.remove(&withdrawal.id.0).map(|row| row.due_at);
                let fits = due == (withdrawal.state == WithdrawalState::Waiting).then_some(withdrawal.due_at);
                check(fits, "a waiting withdrawal is due at its time, any other is not", name)?;
                let call = withdrawal.attempt.map(|id| calls.get(&id.0));
                check(call != Some(None), "a withdrawal that was sent has its call", name)?;
                check_state(withdrawal, call.flatten())?;
                if withdrawal.id.0 <= newest {
                    let mark = mark(marks, withdrawal.person, &withdrawal.number, withdrawal.id);
                    numbers.add(withdrawal.id.0, mark);
                }
                claims::of_withdrawal(withdrawal).iter().flatten().for_each(|due| claims.expect(due));
            }
            let orphan = waiting.keys().min();
            check(orphan.is_none(), "what is to be sent belongs to a withdrawal", || {
                orphan.map_or_else(String::new, |id| format!("withdrawal {id}"))
            })?;
            Ok::<_, Wrong>(range)
        })?;
        after = range.to;
        if after.is_none() {
            break;
        }
    }
    check_cards(reader)?;
    check_tallies(reader)?;
    Ok(numbers)
}

fn check_state(withdrawal: &Withdrawal, call: Option<&Attempt>) -> Result<(), Wrong> {
    use WithdrawalState::{Cancelled, Failed, Paid, Sending, Waiting};
    let name = || withdrawal_name(withdrawal);
    let wait = match withdrawal.speed {
        Speed::RealTime => 0,
        Speed::NextDay => DAY,
    };
    let due = withdrawal.created_at.plus(wait);
    let sent_in_time = call.is_none_or(|call| call.created_at >= due);
    let fits = withdrawal.due_at == due && sent_in_time;
    check(fits, "a withdrawal is sent at once or a day later, and no earlier", name)?;
    let ended = withdrawal.ended_at;
    let may_wait = withdrawal.speed == Speed::NextDay && withdrawal.refusal.is_none();
    let fits = match (withdrawal.state, call) {
        (Waiting, None) => may_wait && ended.is_none(),
        // Taken back, or its person was frozen when it was due.
        (Cancelled, None) => may_wait && ended.is_some(),
        (Failed, None) => may_wait && ended.is_some_and(|at| at >= due),
        (Sending, Some(call)) => call.state == AttemptState::Open && ended.is_none(),
        (Paid, Some(call)) => call.state == AttemptState::Succeeded && ended.is_some(),
        (Failed, Some(call)) => call.state == AttemptState::Failed && ended.is_some(),
        _ => false,
    };
    check(fits, "a withdrawal's state is that of the call that pays it out", name)?;
    let Some(call) = call else { return Ok(()) };
    let same = call.kind == AttemptKind::Payout
        && call.withdrawal == Some(withdrawal.id)
        && (call.person, call.card, call.amount) == (withdrawal.person, withdrawal.card, withdrawal.amount)
        && (call.refusal, call.ended_at) == (withdrawal.refusal, ended);
    check(same, "a payout brings its withdrawal's amount to its card", name)
}

/// What is on its way to cards stands in two small tables, read in one view with the cards that count it.
fn check_cards(reader: &Reader) -> Result<(), Wrong> {
    reader.snapshot(|reader| {
        let mut open: HashMap<i64, u32> = HashMap::new();
        let mut waiting = vec![];
        reader.each(|row: WaitingWithdrawal| {
            waiting.push(row.withdrawal.0);
            Ok::<_, Wrong>(())
        })?;
        for withdrawal in reader.those::<Withdrawal>(&waiting)? {
            *open.entry(withdrawal.card.0).or_default() += 1;
        }
        let mut calls = vec![];
        reader.each(|row: OpenAttempt| {
            calls.push(row.attempt.0);
            Ok::<_, Wrong>(())
        })?;
        for call in reader.those::<Attempt>(&calls)? {
            if call.kind == AttemptKind::Payout {
                *open.entry(call.card.0).or_default() += 1;
            }
        }
        reader.each(|card: Card| {
            let on_their_way = open.remove(&card.id.0).unwrap_or(0);
            let name = || format!("card {}", card.id.0);
            check(
                card.withdrawals == on_their_way,
                "a card counts the withdrawals on their way to it",
                name,
            )?;
            let stays = on_their_way == 0 || card.removed_at.is_none();
            check(stays, "a card stays while a withdrawal is on its way to it", name)
        })
    })
}

/// What is counted of the newest day that anybody has a tally of; what older tallies say decides nothing any more.
fn check_tallies(reader: &Reader) -> Result<(), Wrong> {
    reader.snapshot(|reader| {
        let mut tallies: ById<MoneyTally> = ById::default();
        reader.each(|row: MoneyTally| {
            tallies.insert(row.person.0, row);
            Ok::<_, Wrong>(())
        })?;
        let Some(day) = tallies.values().map(|row| row.day).max() else { return Ok(()) };
        tallies.retain(|_, row| row.day == day);
        // An id carries the moment it was made at, or a little more: nothing of the day stands before its first.
        let first = Timestamp::of_china_day(day).0 << 21;
        let mut sums: HashMap<i64, (i64, i64, u8)> = HashMap::new();
        let counts = |person: PersonId, asked: Timestamp, came_to_nothing: Option<Timestamp>| {
            let since = tallies.get(&person.0).map(|row| row.since);
            let counted = since.is_some_and(|since| asked >= since && asked.china_day() == day);
            counted && came_to_nothing.is_none_or(|at| at.china_day() != day)
        };
        reader.each_by("id", koudai_store::Range { after: Some(first - 1), to: None }, |call: Attempt| {
            let failed = call.ended_at.filter(|_| call.state == AttemptState::Failed);
            if call.kind == AttemptKind::TopUp && counts(call.person, call.created_at, failed) {
                sums.entry(call.person.0).or_default().0 += call.amount.minor();
            }
            Ok::<_, Wrong>(())
        })?;
        reader.each_by(
            "id",
            koudai_store::Range { after: Some(first - 1), to: None },
            |row: Withdrawal| {
                let back = matches!(row.state, WithdrawalState::Failed | WithdrawalState::Cancelled);
                if counts(row.person, row.created_at, row.ended_at.filter(|_| back)) {
                    let sum = sums.entry(row.person.0).or_default();
                    (sum.1, sum.2) = (sum.1 + row.amount.minor(), sum.2 + 1);
                }
                Ok::<_, Wrong>(())
            },
        )?;
        let says = |row: &MoneyTally| (row.topped_up.minor(), row.withdrawn.minor(), row.withdrawals);
        let wrong =
            tallies.values().filter(|row| says(row) != sums.get(&row.person.0).copied().unwrap_or_default());
        let wrong = wrong.map(|row| row.person.0).min();
        check(wrong.is_none(), "what a person topped up and withdrew today is counted right", || {
            wrong.map_or_else(String::new, |id| format!("person {id}"))
        })
    })
}

/// The mark of a person's number that stands for a withdrawal.
fn mark(marks: &Marks, person: PersonId, number: &str, withdrawal: WithdrawalId) -> u64 {
    marks.of_text(&[person.0, withdrawal.0], number.as_bytes())
}

/// The numbers of withdrawals, as their table says.
pub(super) fn read_numbers(reader: &Reader, newest: i64, marks: &Marks) -> Result<Tally, Wrong> {
    numbers::read(reader, newest, |row: &WithdrawalNumber| {
        (row.withdrawal.0, mark(marks, row.key.person, &row.key.number, row.withdrawal))
    })
}

/// Names what is wrong with the numbers of withdrawals.
pub(super) fn look_at_numbers(reader: &Reader, newest: i64, suspects: &Suspects, counts: [u64; 2]) -> Wrong {
    let is = |row: &Withdrawal| row.id.0 <= newest && suspects.contains(row.id.0);
    let leads_back = |withdrawal: &Withdrawal| {
        let key = ClientNumber { person: withdrawal.person, number: withdrawal.number.clone() };
        Ok(reader.get::<WithdrawalNumber>(&key)?.is_some_and(|row| row.withdrawal == withdrawal.id))
    };
    let otherwise = format!("{} withdrawals, {} numbers", counts[0], counts[1]);
    numbers::look(reader, is, NUMBER, leads_back, withdrawal_name, otherwise)
}
