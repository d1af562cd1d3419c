//! The form of a bill: UTF-8 with a byte order mark, lines that end with CRLF, a backtick before every value, and numbers as
//! the protocol writes them (specification 2.6).

use std::fmt::Write as _;

use koudai_core::time::Timestamp;

/// What a file begins with.
pub(super) const MARK: &str = "\u{feff}";
/// What a line ends with.
const END: &str = "\r\n";

/// A line of names, which have no backticks.
pub(super) fn heads(out: &mut String, names: &[&str]) {
    out.push_str(&names.join(","));
    out.push_str(END);
}

/// A line of values, written cell by cell.
pub(super) struct Cells<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> Cells<'a> {
    /// A line after what is there.
    pub(super) const fn of(out: &'a mut String) -> Self {
        Self { out, first: true }
    }

    fn begin(&mut self) {
        self.out.push_str(if self.first { "`" } else { ",`" });
        self.first = false;
    }

    /// A value that is made of harmless characters: a number of ours, a word of the protocol's.
    pub(super) fn word(&mut self, word: &str) {
        self.begin();
        self.out.push_str(word);
    }

    /// A text that somebody else wrote. What would break the line in two, or the value, is replaced as in the original: a
    /// comma becomes a backslash and a blank, line ends the two characters that stand for them elsewhere.
    pub(super) fn text(&mut self, text: &str) {
        self.begin();
        for c in text.chars() {
            match c {
                ',' => self.out.push_str("\\ "),
                '\r' => self.out.push_str("\\r"),
                '\n' => self.out.push_str("\\n"),
                '`' => self.out.push('\''),
                c if c.is_control() => self.out.push(' '),
                c => self.out.push(c),
            }
        }
    }

    /// A count.
    pub(super) fn count(&mut self, n: u64) {
        self.begin();
        write!(self.out, "{n}").expect("writing to a string");
    }

    /// Fen as yuan: `12.34`, below zero `-12.34`.
    pub(super) fn yuan(&mut self, fen: i64) {
        self.begin();
        let (sign, fen) = (if fen < 0 { "-" } else { "" }, fen.unsigned_abs());
        write!(self.out, "{sign}{}.{:02}", fen / 100, fen % 100).expect("writing to a string");
    }

    /// A fee, which the protocol gives five decimals.
    pub(super) fn fee(&mut self, fen: i64) {
        self.yuan(fen);
        self.out.push_str("000");
    }

    /// A rate: `0.60%`, with more decimals only where it has them.
    pub(super) fn rate(&mut self, ppm: u32) {
        self.begin();
        let fraction = format!("{:04}", ppm % 10_000);
        let more = fraction[2..].trim_end_matches('0');
        write!(self.out, "{}.{}{more}%", ppm / 10_000, &fraction[..2]).expect("writing to a string");
    }

    /// A moment in China, or nothing.
    pub(super) fn moment(&mut self, at: Option<Timestamp>) {
        self.begin();
        if let Some(at) = at {
            let t = at.china();
            write!(
                self.out,
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
                t.year, t.month, t.day, t.hour, t.minute, t.second
            )
            .expect("writing to a string");
        }
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.out.push_str(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut Cells<'_>)) -> String {
        let mut out = String::new();
        let mut cells = Cells::of(&mut out);
        write(&mut cells);
        cells.end();
        out
    }

    #[test]
    fn numbers_have_the_protocols_decimals() {
        let written = line(|cells| {
            for fen in [0, 1, 99, 100, 123_456_789, -1, -18, -100, i64::MIN] {
                cells.yuan(fen);
            }
        });
        let expected = "`0.00,`0.01,`0.99,`1.00,`1234567.89,`-0.01,`-0.18,`-1.00,`-92233720368547758.08\r\n";
        assert_eq!(written, expected);
        let written = line(|cells| [0, 53, -18].into_iter().for_each(|fen| cells.fee(fen)));
        assert_eq!(written, "`0.00000,`0.53000,`-0.18000\r\n");
        let rates = [0, 6_000, 390_000, 6_050, 6_001, 1_000_000, 100, 1];
        let written = line(|cells| rates.iter().for_each(|ppm| cells.rate(*ppm)));
        assert_eq!(written, "`0.00%,`0.60%,`39.00%,`0.605%,`0.6001%,`100.00%,`0.01%,`0.0001%\r\n");
    }

    #[test]
    fn what_merchants_write_stays_one_value_on_one_line() {
        let written = line(|cells| {
            cells.text("a,b\r\nc`d\u{1}e\tf,`g");
            cells.text("");
            cells.text("=1+1 口袋");
        });
        assert_eq!(written, "`a\\ b\\r\\nc'd e f\\ 'g,`,`=1+1 口袋\r\n");
    }

    #[test]
    fn moments_are_chinas_and_may_be_missing() {
        let at = Timestamp::parse_rfc3339("2026-11-23T16:00:01.999Z").unwrap();
        let written = line(|cells| [Some(at), None].into_iter().for_each(|at| cells.moment(at)));
        assert_eq!(written, "`2026-11-24 00:00:01,`\r\n");
    }
}
