//! The bills of a day: an archive of tables in GBK, one of them with a line for each thing that happened.
//!
//! Columns are found by their names, and lines that are not the wallet's are passed over: the same merchant may have other
//! shops.

use std::io::{Cursor, Read as _, Write as _};

use encoding_rs::GBK;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::wire::{read_moment, read_yuan};
use crate::network::{BookEntry, Way, made_at};

/// The most bytes of all files in an archive together: some two million lines.
const MOST_BYTES: u64 = 256 << 20;
/// The most files in an archive; there are two.
const MOST_FILES: usize = 16;
/// How many lines of a day are counted apart from the next day's.
const LINES_A_DAY: i64 = 10_000_000;
/// Where in a day the lines of the account's bill begin; those of trades stand before.
pub(crate) const ACCOUNT_FROM: i64 = 5_000_000;

/// Which bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What was paid and given back.
    Trade,
    /// What moved on the operator's account there.
    Account,
}

impl Kind {
    /// Its `bill_type`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Account => "signcustomer",
        }
    }

    /// The bill of this `bill_type`.
    pub(crate) fn read(word: &str) -> Option<Self> {
        [Self::Trade, Self::Account].into_iter().find(|kind| kind.word() == word)
    }

    /// What the names of the columns that are read begin with. Behind some of them stands the unit, in brackets that differ.
    const fn columns(self) -> [&'static str; 6] {
        match self {
            Self::Trade => ["商户订单号", "业务类型", "商品名称", "完成时间", "订单金额", "退款批次号"],
            Self::Account => ["商户订单号", "业务类型", "商品名称", "发生时间", "支出金额", "账务流水号"],
        }
    }
}

/// A line that is the wallet's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which of the lines of its bill, counted from 1, others' among them.
    pub(crate) row: i64,
    /// The wallet's number.
    pub(crate) number: String,
    pub(crate) way: Way,
    pub(crate) amount_minor: i64,
    pub(crate) at_ms: i64,
}

/// Why a bill is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Not an archive, or longer than a day's bill is.
    #[error("the bill cannot be unpacked")]
    Packing,
    /// No file in it has the columns of such a bill.
    #[error("the bill has not the columns it should have")]
    Columns,
    /// A line that is not one.
    #[error("line {0} cannot be read")]
    Line(i64),
}

/// Unpacks a bill.
pub(crate) fn unpack(archive: &[u8], kind: Kind) -> Result<Vec<Line>, FileError> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(|_| FileError::Packing)?;
    if archive.len() > MOST_FILES {
        return Err(FileError::Packing);
    }
    let (mut lines, mut rows, mut is_one, mut left) = (vec![], 0, false, MOST_BYTES);
    for n in 0..archive.len() {
        let mut file = archive.by_index(n).map_err(|_| FileError::Packing)?;
        let mut bytes = vec![];
        let read = (&mut file).take(left).read_to_end(&mut bytes).map_err(|_| FileError::Packing)?;
        left = left.checked_sub(read as u64).filter(|left| *left > 0).ok_or(FileError::Packing)?;
        let (text, _, _) = GBK.decode(&bytes);
        is_one |= read_table(&text, kind, &mut rows, &mut lines)?;
    }
    if is_one { Ok(lines) } else { Err(FileError::Columns) }
}

/// Reads the lines of one file of an archive. False if it is another table, such as that of the sums.
fn read_table(text: &str, kind: Kind, rows: &mut i64, lines: &mut Vec<Line>) -> Result<bool, FileError> {
    let mut table: Option<Table> = None;
    for line in text.lines().map(|line| line.trim_end_matches('\r')) {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let cells = cells(line);
        match &table {
            None => table = Table::of(&cells, kind),
            Some(table) => {
                *rows += 1;
                if *rows >= ACCOUNT_FROM {
                    return Err(FileError::Packing);
                }
                lines.extend(table.read(&cells, kind, *rows)?);
            }
        }
    }
    Ok(table.is_some())
}

/// Where the columns of a table are.
struct Table {
    /// As [`Kind::columns`] lists them.
    at: [usize; 6],
    width: usize,
}

impl Table {
    /// The table that begins with these names.
    fn of(names: &[&str], kind: Kind) -> Option<Self> {
        let find = |name: &str| names.iter().position(|other| other.starts_with(name));
        let mut at = [0; 6];
        for (place, name) in at.iter_mut().zip(kind.columns()) {
            *place = find(name)?;
        }
        Some(Self { at, width: names.len() })
    }

    /// A cell. What a thing is called may have commas in it, so what stands behind it is counted from the end.
    fn cell<'a>(&self, cells: &[&'a str], column: usize) -> Option<&'a str> {
        let (at, subject) = (self.at[column], self.at[2]);
        let at = if at <= subject { at } else { (cells.len() + at).checked_sub(self.width)? };
        cells.get(at).copied()
    }

    fn read(&self, cells: &[&str], kind: Kind, row: i64) -> Result<Option<Line>, FileError> {
        let bad = || FileError::Line(row);
        if cells.len() < self.width {
            return Err(bad());
        }
        let cell = |column: usize| self.cell(cells, column).ok_or_else(bad);
        let (number, what) = (cell(0)?, cell(1)?);
        let (number, way) = match kind {
            Kind::Trade if what == "交易" => (number, Way::In),
            Kind::Trade if what == "退款" => (cell(5)?, Way::Back),
            // What was paid out; its fees, and what was taken, are lines of other kinds.
            Kind::Account if what.contains("转账") => (number, Way::Out),
            _ => return Ok(None),
        };
        if made_at(number).is_none() {
            return Ok(None);
        }
        let amount = cell(4)?.trim_start_matches('-');
        // Money that came in has nothing in the column of what went out.
        if kind == Kind::Account && matches!(amount, "" | "0" | "0.00") {
            return Ok(None);
        }
        let amount = read_yuan(amount).ok_or_else(bad)?;
        let at = read_moment(cell(3)?).ok_or_else(bad)?;
        let number = number.to_owned();
        Ok(Some(Line { row, number, way, amount_minor: amount.minor(), at_ms: at.0 }))
    }
}

/// The cells of a line. Long numbers have a tab behind them, so that no spreadsheet rounds them.
fn cells(line: &str) -> Vec<&str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"').trim()).collect()
}

/// Packs files by name, text in GBK.
pub(crate) fn pack(files: &[(&str, &str)]) -> Result<Vec<u8>, FileError> {
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, text) in files {
        archive.start_file(*name, options).map_err(|_| FileError::Packing)?;
        archive.write_all(&GBK.encode(text).0).map_err(|_| FileError::Packing)?;
    }
    Ok(archive.finish().map_err(|_| FileError::Packing)?.into_inner())
}

/// The place in the books of a line of a day.
pub(crate) const fn place(day: i64, line: i64) -> i64 {
    day * LINES_A_DAY + line
}

/// The day and line of a place in the books.
pub(crate) const fn day_and_line(place: i64) -> (i64, i64) {
    (place / LINES_A_DAY, place % LINES_A_DAY)
}

/// A line as the wallet's books have it.
pub(crate) fn entry(no: i64, line: &Line) -> BookEntry {
    let number = line.number.clone();
    BookEntry { no, way: line.way, number, amount_minor: line.amount_minor, at_ms: line.at_ms }
}

#[cfg(test)]
mod tests {
    use koudai_core::id::AttemptId;

    use super::*;

    const NAMES: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,对方账户,订单金额（元）,商家实收（元）,退款批次号/请求号,备注";

    fn number(n: i64) -> String {
        AttemptId((1_795_000_000_000 << 21) + 16 * n).wire()
    }

    fn row(n: i64, what: &str, called: &str, amount: &str, refund: &str) -> String {
        let number = number(n);
        format!(
            "2026\t,{number}\t,{what},{called},2026-11-25 10:00:00,2026-11-25 10:00:30,a***,{amount},1.00,{refund}\t,"
        )
    }

    fn read(rows: &[String]) -> Result<Vec<Line>, FileError> {
        let text = format!(
            "#支付宝业务明细查询\r\n#账号：[2088]\r\n{NAMES}\r\n{}\r\n#业务明细列表结束\r\n",
            rows.join("\r\n")
        );
        let sums = "#支付宝业务汇总查询\n门店编号,交易订单总笔数,订单金额（元）\n合计,1,1.00\n";
        unpack(&pack(&[("汇总.csv", sums), ("明细.csv", &text)]).unwrap(), Kind::Trade)
    }

    #[test]
    fn the_wallets_lines_are_read_whatever_else_stands_in_a_bill() {
        let lines = read(&[
            row(1, "交易", "早餐", "88.00", ""),
            row(2, "退款", "早餐, 午餐, 晚餐", "-8.00", &number(3)),
            row(2, "退款", "在别处退的", "-8.00", "R1"),
            row(1, "服务费", "早餐", "x", ""),
            row(1, "交易", "早餐", "0.10", "").replace(&number(1), "T-1"),
        ]);
        let lines = lines.unwrap();
        let found: Vec<_> =
            lines.iter().map(|line| (line.row, line.number.as_str(), line.way, line.amount_minor)).collect();
        assert_eq!(found, [(1, number(1).as_str(), Way::In, 8_800), (2, &number(3), Way::Back, 800)]);
        assert_eq!(lines[0].at_ms, read_moment("2026-11-25 10:00:30").unwrap().0);
        assert!(read(&[]).unwrap().is_empty());
        assert_eq!(day_and_line(place(20_000, 7)), (20_000, 7));
    }

    #[test]
    fn the_accounts_bill_says_what_was_paid_out() {
        let names = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注";
        let row = |n: i64, way: &str, kind: &str| {
            format!("1\t,2\t,{}\t,提现,2026-11-25 10:00:00\t,王*,{way},9.00,支付宝,{kind}\t,", number(n))
        };
        let text =
            [row(1, "0.00,-5.00", "转账"), row(2, "5.00,0.00", "在线支付"), row(3, "5.00,0.00", "转账")];
        let text = format!("{names}\n{}\n", text.join("\n"));
        let lines = unpack(&pack(&[("账务明细.csv", &text)]).unwrap(), Kind::Account).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].way, lines[0].amount_minor, &lines[0].number), (Way::Out, 500, &number(1)));
    }

    #[test]
    fn what_is_no_bill_is_refused() {
        for bad in [&b""[..], b"PK", &[0; 100]] {
            assert!(matches!(unpack(bad, Kind::Trade), Err(FileError::Packing)));
        }
        let other = pack(&[("a.csv", "a,b\n1,2\n")]).unwrap();
        assert!(matches!(unpack(&other, Kind::Trade), Err(FileError::Columns)));
        assert!(matches!(read(&[row(1, "交易", "早餐", "8.8.0", "")]), Err(FileError::Line(1))));
        assert!(matches!(read(&["1,2,3".to_owned()]), Err(FileError::Line(1))));
        let late = row(1, "交易", "早餐", "8.80", "").replace("10:00:30", "10:60:30");
        assert!(matches!(read(&[late]), Err(FileError::Line(1))));
        let many: Vec<_> = (0..=MOST_FILES).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
        assert!(matches!(unpack(&pack(&many).unwrap(), Kind::Trade), Err(FileError::Packing)));
    }
}
