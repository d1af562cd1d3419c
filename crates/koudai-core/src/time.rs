//! Time as data. The core never reads a clock: `now` comes in with the batch.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// One second, in milliseconds.
pub const SECOND: i64 = 1_000;
/// One minute, in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour, in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day, in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// China has kept one offset since 1991, and the protocol prints it: +08:00.
const CHINA_OFFSET_MS: i64 = 8 * HOUR;

/// A date and time of day in China, for printing and for calendar days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChinaTime {
    /// Year, such as 2026.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999.
    pub millisecond: u16,
}

impl Timestamp {
    /// This moment and `ms` milliseconds more (fewer if negative); saturating.
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment, negative if this is the earlier one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The calendar day in China, counted from 1970-01-01; the key of daily limits.
    pub const fn china_day(self) -> i64 {
        (self.0 + CHINA_OFFSET_MS).div_euclid(DAY)
    }

    /// The first millisecond of a calendar day in China, counted as [`china_day`](Self::china_day) counts.
    pub const fn of_china_day(day: i64) -> Self {
        Self(day * DAY - CHINA_OFFSET_MS)
    }

    /// Broken down for people in China.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each part is in its range")]
    pub fn china(self) -> ChinaTime {
        let local = self.0 + CHINA_OFFSET_MS;
        let (year, month, day) = civil_from_days(local.div_euclid(DAY));
        let rest = local.rem_euclid(DAY);
        ChinaTime {
            year,
            month,
            day,
            hour: (rest / HOUR) as u8,
            minute: (rest / MINUTE % 60) as u8,
            second: (rest / SECOND % 60) as u8,
            millisecond: (rest % SECOND) as u16,
        }
    }

    /// As the APIv3 protocol prints a moment: `2026-11-23T12:00:00+08:00`.
    pub fn rfc3339(self) -> String {
        let t = self.china();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+08:00",
            t.year, t.month, t.day, t.hour, t.minute, t.second
        )
    }

    /// The same to the millisecond, as the protocol prints a moment of a transfer's: `2026-11-23T12:00:00.000+08:00`.
    pub fn rfc3339_ms(self) -> String {
        let seconds = self.rfc3339();
        let (whole, zone) = seconds.split_at(seconds.len() - "+08:00".len());
        format!("{whole}.{:03}{zone}", self.china().millisecond)
    }

    /// Reads an RFC 3339 moment with a zone; fractions past the millisecond are cut. `None` if it is not one.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 20 || bytes.len() > 40 || !text.is_ascii() {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<i64> {
            let part = text.get(from..to)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let mark = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|b| any.contains(b));
        if !(mark(4, b"-") && mark(7, b"-") && mark(10, b"Tt") && mark(13, b":") && mark(16, b":")) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        // A leap second is read as the second after it.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut at = 19;
        let mut milli = 0;
        if mark(at, b".") {
            let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            milli = format!("{:0<3}", &text[at + 1..at + 1 + digits])[..3].parse().ok()?;
            at += 1 + digits;
        }
        let offset = match bytes.get(at)? {
            b'Z' | b'z' if bytes.len() == at + 1 => 0,
            sign @ (b'+' | b'-') if bytes.len() == at + 6 && mark(at + 3, b":") => {
                let (h, m) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
                if h > 23 || m > 59 {
                    return None;
                }
                (h * HOUR + m * MINUTE) * if *sign == b'+' { 1 } else { -1 }
            }
            _ => return None,
        };
        let days = days_from_civil(year, month, day);
        Some(Self(days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + milli - offset))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Days in a month of the Gregorian calendar; `month` is 1 to 12.
pub const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a Gregorian date (years of 400-year eras that begin in March).
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each part is in its range")]
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_print_in_china_time() {
        assert_eq!(Timestamp(0).rfc3339(), "1970-01-01T08:00:00+08:00");
        assert_eq!(Timestamp(1_582_905_600_000).rfc3339(), "2020-02-29T00:00:00+08:00");
    }

    #[test]
    fn a_moment_without_a_zone_is_not_a_moment() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T12:00:00",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T12:00:00+8:00",
            "2026-11-23 12:00:00+08:00x",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text:?}");
        }
        let z = Timestamp::parse_rfc3339("2026-11-23T04:00:00Z");
        assert_eq!(z, Timestamp::parse_rfc3339("2026-11-23T12:00:00.000+08:00"));
    }

    proptest! {
        #[test]
        fn printed_moments_parse_back(second in 0..253_000_000_000_i64) {
            let t = Timestamp(second * 1_000);
            prop_assert_eq!(Timestamp::parse_rfc3339(&t.rfc3339()), Some(t));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,50}") {
            let _ = Timestamp::parse_rfc3339(&text);
        }
    }
}
