//! The network's file of a clearing day: lines of fixed columns, in an archive, deflated, in base64.

use std::fmt::Write as _;
use std::io::{Cursor, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use koudai_core::time::Timestamp;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::wire::{read_time, txn_time};
use crate::network::{BookEntry, Way};

/// The longest archive, and the most bytes of all files in it together: some 400,000 lines.
const MOST_BYTES: u64 = 256 << 20;
/// How many lines of a day are counted apart from the next day's.
const LINES_A_DAY: i64 = 10_000_000;

/// The widths of a line's columns, with a blank between them (interface specification, part 3, file ZM).
const WIDTHS: [usize; 42] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15,
    32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 32, 98,
];
// Columns by their numbers in the specification, which begin with 1.
const TIME: usize = 5;
const AMOUNT: usize = 7;
const QUERY_ID: usize = 10;
const ORDER_ID: usize = 12;
const TXN_TYPE: usize = 20;
const TXN_SUB_TYPE: usize = 21;
const BIZ_TYPE: usize = 22;
const ORIGINAL: usize = 27;
const MERCHANT: usize = 28;

/// What is put behind a refund's number when it is made as a void of the payment.
pub(crate) const VOID_MARK: &str = "V";

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) amount_minor: i64,
    pub(crate) query_id: String,
    pub(crate) order_id: String,
    /// `txnType`, `txnSubType`, `bizType`.
    pub(crate) kinds: [String; 3],
    pub(crate) original: String,
    pub(crate) merchant: String,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Not base64, not deflated, not an archive, or longer than a day's file is.
    #[error("the file cannot be unpacked")]
    Packing,
    /// A line that is not one.
    #[error("line {0} cannot be read")]
    Line(usize),
}

/// The columns of a line; `None` if it is too short. Widths are in bytes, and what a column holds may be in another encoding
/// than ours. The last is reserved and may be cut off.
fn columns(line: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut from, mut found) = (0, Vec::with_capacity(WIDTHS.len()));
    for (n, width) in WIDTHS.iter().enumerate() {
        let to = if n + 1 == WIDTHS.len() { line.len() } else { from + width };
        found.push(line.get(from.min(line.len())..to)?.trim_ascii());
        from = to + 1;
    }
    Some(found)
}

/// What stands in a column, by its number.
fn column<'a>(columns: &[&'a [u8]], number: usize) -> Option<&'a str> {
    std::str::from_utf8(columns[number - 1]).ok()
}

/// Reads a line; `Ok(None)` if it is of a kind that the wallet does not use, and an error if it is no line.
fn read_line(number: usize, line: &[u8], year_of: impl Fn(u8) -> i64) -> Result<Option<Line>, FileError> {
    let bad = || FileError::Line(number);
    let columns = columns(line).ok_or_else(bad)?;
    match way_of(column(&columns, TXN_TYPE).ok_or_else(bad)?) {
        Some(_) => read_columns(&columns, year_of).map(Some).ok_or_else(bad),
        None => Ok(None),
    }
}

fn read_columns(columns: &[&[u8]], year_of: impl Fn(u8) -> i64) -> Option<Line> {
    let text = |number: usize| column(columns, number).map(str::to_owned);
    let time = column(columns, TIME)?;
    let month: u8 = time.get(..2)?.parse().ok()?;
    let amount = column(columns, AMOUNT)?;
    let digits = !amount.is_empty() && amount.bytes().all(|b| b.is_ascii_digit());
    Some(Line {
        at: read_time(&format!("{:04}{time}", year_of(month)))?,
        amount_minor: digits.then(|| amount.parse().ok())??,
        query_id: text(QUERY_ID)?,
        order_id: text(ORDER_ID)?,
        kinds: [text(TXN_TYPE)?, text(TXN_SUB_TYPE)?, text(BIZ_TYPE)?],
        original: text(ORIGINAL)?,
        merchant: text(MERCHANT)?,
    })
}

fn write_line(line: &Line) -> String {
    let mut text = String::with_capacity(700);
    for (n, width) in (1..).zip(WIDTHS) {
        let value = match n {
            TIME => txn_time(line.at)[4..].to_owned(),
            AMOUNT => format!("{:012}", line.amount_minor),
            QUERY_ID => line.query_id.clone(),
            ORDER_ID => line.order_id.clone(),
            TXN_TYPE => line.kinds[0].clone(),
            TXN_SUB_TYPE => line.kinds[1].clone(),
            BIZ_TYPE => line.kinds[2].clone(),
            ORIGINAL => line.original.clone(),
            MERCHANT => line.merchant.clone(),
            _ => String::new(),
        };
        write!(text, "{value:width$} ").expect("a string takes it");
    }
    text.truncate(
        text.trim_end().len().max(WIDTHS[..WIDTHS.len() - 1].iter().sum::<usize>() + WIDTHS.len() - 1),
    );
    text
}

/// Packs the lines of a day as the network does.
pub(crate) fn pack(name: &str, lines: &[Line]) -> Result<String, FileError> {
    let text: String = lines.iter().map(|line| write_line(line) + "\r\n").collect();
    pack_text(name, text.as_bytes())
}

/// Packs a file.
pub(crate) fn pack_text(name: &str, text: &[u8]) -> Result<String, FileError> {
    let packing = |_: std::io::Error| FileError::Packing;
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive.start_file(name, options).map_err(|_| FileError::Packing)?;
    archive.write_all(text).map_err(packing)?;
    let archive = archive.finish().map_err(|_| FileError::Packing)?.into_inner();
    let mut deflated = ZlibEncoder::new(vec![], Compression::fast());
    deflated.write_all(&archive).map_err(packing)?;
    Ok(STANDARD.encode(deflated.finish().map_err(packing)?))
}

/// Unpacks the file of a clearing day, which is counted as [`Timestamp::china_day`] counts. Of the files in the archive it
/// reads those of ordinary transactions, by their names.
pub(crate) fn unpack(content: &str, day: i64) -> Result<Vec<Line>, FileError> {
    let packing = |_: std::io::Error| FileError::Packing;
    let deflated = STANDARD.decode(content.trim()).map_err(|_| FileError::Packing)?;
    let mut archive = vec![];
    ZlibDecoder::new(deflated.as_slice()).take(MOST_BYTES).read_to_end(&mut archive).map_err(packing)?;
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(|_| FileError::Packing)?;
    let (mut lines, mut left) = (vec![], MOST_BYTES);
    for n in 0..archive.len() {
        let mut file = archive.by_index(n).map_err(|_| FileError::Packing)?;
        if !file.name().is_ok_and(|name| is_of_transactions(&name)) {
            continue;
        }
        let mut text = vec![];
        let read = (&mut file).take(left).read_to_end(&mut text).map_err(packing)?;
        left = left.checked_sub(read as u64).filter(|left| *left > 0).ok_or(FileError::Packing)?;
        // A line carries no year: that of December in a January day's file is the year before.
        let settled = Timestamp::of_china_day(day).china();
        let year_of = |month: u8| settled.year - i64::from(month > settled.month);
        let full = |(_, line): &(usize, &[u8])| !line.trim_ascii().is_empty();
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')).filter(full) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            lines.extend(read_line(number, line, year_of)?);
        }
    }
    Ok(lines)
}

/// `INN` and the merchant's day, then `ZM_`; those of corrections say `ZME_`.
fn is_of_transactions(name: &str) -> bool {
    name.starts_with("INN") && name.contains("ZM_")
}

/// The place in the books of a line of a day.
pub(crate) const fn place(day: i64, line: i64) -> i64 {
    day * LINES_A_DAY + line
}

/// The day and line of a place in the books.
pub(crate) const fn day_and_line(place: i64) -> (i64, i64) {
    (place / LINES_A_DAY, place % LINES_A_DAY)
}

fn way_of(txn_type: &str) -> Option<Way> {
    Some(match txn_type {
        "01" => Way::In,
        "04" | "31" => Way::Back,
        "12" => Way::Out,
        _ => return None,
    })
}

/// A line as the wallet's books have it; `None` if it is of a kind that the wallet does not use.
pub(crate) fn entry(no: i64, line: &Line) -> Option<BookEntry> {
    let way = way_of(&line.kinds[0])?;
    let number = line.order_id.strip_suffix(VOID_MARK).unwrap_or(&line.order_id).to_owned();
    Some(BookEntry { no, way, number, amount_minor: line.amount_minor, at_ms: line.at.0 })
}

/// `MMDD`, as a clearing day is asked for.
pub(crate) fn settle_date(day: i64) -> String {
    txn_time(Timestamp::of_china_day(day))[4..8].to_owned()
}

/// The clearing day that `MMDD` means on `today`: the newest that is not after tomorrow.
pub(crate) fn read_settle_date(text: &str, today: i64) -> Option<i64> {
    (0..366).map(|back| today + 1 - back).find(|day| settle_date(*day) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: i64, at: Timestamp, kind: &str) -> Line {
        Line {
            at,
            amount_minor: 8_800 + n,
            query_id: format!("{n:021}"),
            order_id: format!("{n:028}"),
            kinds: [kind.to_owned(), "01".to_owned(), "000902".to_owned()],
            original: String::new(),
            merchant: "777290058110048".to_owned(),
        }
    }

    #[test]
    fn a_file_survives_its_packing_and_december_is_last_year() {
        let new_year = Timestamp::parse_rfc3339("2027-01-01T00:00:00+08:00").unwrap();
        let (day, before) = (new_year.china_day(), new_year.plus(-1_000));
        let lines = [line(1, before, "01"), line(2, new_year, "04"), line(3, new_year, "12")];
        let packed = pack("INN27010188ZM_777290058110048", &lines).unwrap();
        assert_eq!(unpack(&packed, day).unwrap(), lines);
        let entries: Vec<_> = lines.iter().map(|line| entry(1, line).unwrap().way).collect();
        assert_eq!(entries, [Way::In, Way::Back, Way::Out]);
        assert_eq!(entry(1, &line(1, before, "72")), None);
        let none = pack("INN27010188ZME_777290058110048", &lines).unwrap();
        assert_eq!(unpack(&none, day).unwrap(), []);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for bad in ["", "%", "AAAA", &STANDARD.encode(b"PK")] {
            assert!(unpack(bad, 20_000).is_err(), "{bad}");
        }
        let short = write_line(&line(1, Timestamp(1_795_000_000_000), "01"));
        assert!(read_line(1, short.as_bytes(), |_| 2026).is_ok());
        assert!(read_line(1, &short.as_bytes()[..100], |_| 2026).is_err());
        assert!(read_line(1, "口".repeat(700).as_bytes(), |_| 2026).is_err());
        let odd = short.replacen("000000008801", "0000000088x1", 1);
        assert!(read_line(1, odd.as_bytes(), |_| 2026).is_err());
        // A name in another encoding stands in the way of nothing.
        let mut gbk = short.into_bytes();
        gbk[250] = 0xC6;
        assert!(read_line(1, &gbk, |_| 2026).is_ok_and(|line| line.is_some()));
    }

    #[test]
    fn a_day_is_asked_for_by_month_and_day() {
        let day = Timestamp::parse_rfc3339("2026-12-31T12:00:00+08:00").unwrap().china_day();
        assert_eq!(settle_date(day), "1231");
        assert_eq!(read_settle_date("1231", day), Some(day));
        assert_eq!(read_settle_date("0101", day), Some(day + 1));
        assert_eq!(read_settle_date("1230", day), Some(day - 1));
        assert_eq!(read_settle_date("1332", day), None);
        assert_eq!(day_and_line(place(day, 7)), (day, 7));
    }
}
