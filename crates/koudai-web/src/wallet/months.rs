//! Months of China's calendar, by which bills are grouped, added up and chosen.

use koudai_core::time::{Timestamp, days_from_civil};

/// A month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// Such as 2026.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
}

impl Month {
    /// The month of a moment.
    pub fn of(at: Timestamp) -> Self {
        let t = at.china();
        Self { year: t.year, month: t.month }
    }

    /// Reads `2026-11`, as a form sends it.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str, many| text.len() == many && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return None;
        }
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self { year, month })
    }

    /// `2026-11`.
    pub fn value(self) -> String {
        format!("{:04}-{:02}", self.year, self.month)
    }

    /// Its first millisecond.
    pub fn begins(self) -> Timestamp {
        Timestamp::of_china_day(days_from_civil(self.year, self.month.into(), 1))
    }

    /// The first millisecond after it.
    pub fn ends(self) -> Timestamp {
        self.after().begins()
    }

    /// The next one.
    pub const fn after(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }

    /// The one before.
    pub const fn before(self) -> Self {
        match self.month {
            1 => Self { year: self.year - 1, month: 12 },
            month => Self { year: self.year, month: month - 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_the_one_people_in_china_have() {
        let last = Timestamp::parse_rfc3339("2026-12-31T23:59:59.999+08:00").unwrap();
        let december = Month::parse("2026-12").unwrap();
        assert_eq!(Month::of(last), december);
        assert_eq!(december.ends(), last.plus(1));
        assert_eq!(december.after(), Month::parse("2027-01").unwrap());
        assert_eq!(Month::of(last.plus(1)), december.after());
        assert_eq!(december.after().before(), december);
        assert_eq!(december.begins().rfc3339(), "2026-12-01T00:00:00+08:00");
        assert_eq!(december.value(), "2026-12");
    }

    #[test]
    fn what_is_no_month_is_none() {
        for text in
            ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11", "二〇二六-11"]
        {
            assert_eq!(Month::parse(text), None, "{text}");
        }
    }
}
