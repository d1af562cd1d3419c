//! Days of China's calendar, which bills are made for.

use koudai_core::time::{Timestamp, days_from_civil, days_in_month};

/// How many months back a bill may be asked for, as in the original.
const MONTHS_BACK: i64 = 3;

/// A day in China, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day of a moment.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.china_day())
    }

    /// The day of a number that `number` or `Timestamp::china_day` gave.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number, as `Timestamp::china_day` counts.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Reads `2026-11-24`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?;
        let (year, month, day): (i64, i64, i64) =
            (number(text.get(0..4)?)?, number(text.get(5..7)?)?, number(text.get(8..10)?)?);
        let real = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        real.then(|| Self(days_from_civil(year, month, day)))
    }

    /// Its first millisecond.
    pub const fn begins(self) -> Timestamp {
        Timestamp::of_china_day(self.0)
    }

    /// The first millisecond after it.
    pub const fn ends(self) -> Timestamp {
        Self(self.0 + 1).begins()
    }

    /// The first day that a bill may still be asked for on this one: the same day of the month three months before, or that
    /// month's last.
    pub fn oldest_asked(self) -> Self {
        let today = self.begins().china();
        let months = today.year * 12 + i64::from(today.month) - 1 - MONTHS_BACK;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        Self(days_from_civil(year, month, i64::from(today.day).min(days_in_month(year, month))))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let t = self.begins().china();
        write!(f, "{:04}-{:02}-{:02}", t.year, t.month, t.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_day_is_the_one_people_in_china_have() {
        let last = Timestamp::parse_rfc3339("2026-11-24T23:59:59.999+08:00").unwrap();
        assert_eq!(Day::of(last), day("2026-11-24"));
        assert_eq!(day("2026-11-24").ends(), last.plus(1));
        assert_eq!(Day::of(last.plus(1)), day("2026-11-25"));
        assert_eq!(day("2026-11-25").begins(), last.plus(1));
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
    }

    #[test]
    fn three_months_back_is_the_same_day_or_the_months_last() {
        for (today, oldest) in [
            ("2026-11-25", "2026-08-25"),
            ("2026-05-31", "2026-02-28"),
            ("2024-05-31", "2024-02-29"),
            ("2026-02-01", "2025-11-01"),
            ("2026-03-31", "2025-12-31"),
        ] {
            assert_eq!(day(today).oldest_asked(), day(oldest), "{today}");
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "",
            "2026-11",
            "2026-11-31",
            "2025-02-29",
            "2026-00-01",
            "2026-13-01",
            "2026-11-00",
            "20261124",
            "2026-11-24T00:00:00",
            "2026/11/24",
            "+026-11-24",
            "2026-+1-24",
            "2026-1-024",
            "二〇二六-11",
            "0 26-11-24",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
