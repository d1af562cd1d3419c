//! Transfers of merchants to people: that each has what belongs to it, and stands as its times and its outcome say.

use koudai_core::id::{MchId, TransferId};
use koudai_core::rows::{
    Merchant, OutBillNo, Transfer, TransferFailure, TransferNumber, TransferState, WaitingTransfer,
};
use koudai_store::Reader;

use super::claims::{self, Claims, transfer_name};
use super::numbers;
use super::people::People;
use super::start::{ById, Ids};
use super::tally::{Marks, Suspects, Tally};
use super::{CHUNK, Report, Wrong, check};

const NUMBER: &str = "a transfer has one number";

/// Checks every transfer and says what each claims. Which of them there are.
pub(super) fn run(
    reader: &Reader,
    people: &People,
    claims: &mut Claims,
    newest: i64,
    marks: &Marks,
    report: &mut Report,
) -> Result<Tally, Wrong> {
    let (mut numbers, mut merchants, mut after) = (Tally::default(), Ids::default(), None);
    loop {
        // A transfer and what may be received change in one commit, so both are read in one view.
        let range = reader.snapshot(|reader| {
            let (chunk, range) = reader.rows_after::<Transfer>(after, CHUNK)?;
            let mut waiting: ById<WaitingTransfer> = ById::default();
            reader.each_by("transfer", range, |row: WaitingTransfer| {
                waiting.insert(row.transfer.0, row);
                Ok::<_, Wrong>(())
            })?;
            report.transfers += chunk.len();
            for transfer in &chunk {
                let name = || transfer_name(transfer);
                let known = merchants.contains(&transfer.mchid.0)
                    || reader.get::<Merchant>(&transfer.mchid)?.is_some();
                merchants.insert(transfer.mchid.0);
                let between = known && people.knows(reader, transfer.payee)?;
                check(between, "a transfer goes from a merchant to a person", name)?;
                check_waiting(transfer, waiting.remove(&transfer.id.0).as_ref())?;
                check_end(transfer)?;
                if transfer.id.0 <= newest {
                    let mark = mark(marks, transfer.mchid, &transfer.out_bill_no, transfer.id);
                    numbers.add(transfer.id.0, mark);
                }
                claims::of_transfer(transfer).iter().flatten().for_each(|due| claims.expect(due));
            }
            let orphan = waiting.keys().min();
            check(orphan.is_none(), "what may be received belongs to a transfer", || {
                orphan.map_or_else(String::new, |id| format!("transfer {id}"))
            })?;
            Ok::<_, Wrong>(range)
        })?;
        after = range.to;
        if after.is_none() {
            return Ok(numbers);
        }
    }
}

fn check_waiting(transfer: &Transfer, row: Option<&WaitingTransfer>) -> Result<(), Wrong> {
    let says = (transfer.payee, transfer.expires_at);
    let fits = match transfer.state {
        TransferState::Waiting => row.is_some_and(|row| (row.payee, row.expires_at) == says),
        _ => row.is_none(),
    };
    let invariant = "a waiting transfer may be received by its payee, an ended one by nobody";
    check(fits, invariant, || transfer_name(transfer))
}

fn check_end(transfer: &Transfer) -> Result<(), Wrong> {
    use TransferFailure::{NameWrong, Overdue, PayeeFrozen, PayeeUnproven, Withdrawn};
    let name = || transfer_name(transfer);
    let fits = match (transfer.state, transfer.failure) {
        (TransferState::Waiting, None) => transfer.ended_at.is_none(),
        (TransferState::Received, None)
        | (TransferState::Failed, Some(PayeeFrozen | PayeeUnproven | NameWrong | Overdue))
        | (TransferState::Cancelled, Some(Withdrawn)) => transfer.ended_at.is_some(),
        _ => false,
    };
    check(fits, "an ended transfer has its time and its outcome", name)?;
    let (Some(ended), begun, over) = (transfer.ended_at, transfer.created_at, transfer.expires_at) else {
        return Ok(());
    };
    let fits = match transfer.failure {
        None => begun <= ended && ended < over,
        Some(PayeeFrozen | PayeeUnproven | NameWrong) => ended == begun,
        Some(Overdue) => ended >= over,
        Some(Withdrawn) => ended >= begun,
    };
    check(fits, "a transfer is received in its time, and closed only after it", name)
}

/// The mark of a merchant's number that stands for a transfer.
fn mark(marks: &Marks, mchid: MchId, number: &str, transfer: TransferId) -> u64 {
    marks.of_text(&[mchid.0, transfer.0], number.as_bytes())
}

/// The numbers of transfers, as their table says.
pub(super) fn read_numbers(reader: &Reader, newest: i64, marks: &Marks) -> Result<Tally, Wrong> {
    numbers::read(reader, newest, |row: &TransferNumber| {
        (row.transfer.0, mark(marks, row.key.mchid, &row.key.out_bill_no, row.transfer))
    })
}

/// Names what is wrong with the numbers of transfers.
pub(super) fn look_at_numbers(reader: &Reader, newest: i64, suspects: &Suspects, counts: [u64; 2]) -> Wrong {
    let is = |row: &Transfer| row.id.0 <= newest && suspects.contains(row.id.0);
    let leads_back = |transfer: &Transfer| {
        let key = OutBillNo { mchid: transfer.mchid, out_bill_no: transfer.out_bill_no.clone() };
        Ok(reader.get::<TransferNumber>(&key)?.is_some_and(|row| row.transfer == transfer.id))
    };
    let otherwise = format!("{} transfers, {} numbers", counts[0], counts[1]);
    numbers::look(reader, is, NUMBER, leads_back, transfer_name, otherwise)
}
