//! The two languages people read, and how moments are written in each.
//!
//! Both texts stand side by side where they are used, so nobody edits one and forgets the other.

use std::fmt;

use koudai_core::money::Money;
use koudai_core::time::Timestamp;

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// Simplified Chinese.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language a browser asks for first among those there are; Chinese when it asks for neither.
    /// Reads at most the first 200 bytes of the header (RFC 9110, section 12.5.4).
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (0, Self::Zh);
        for range in header.get(..header.len().min(200)).unwrap_or("").split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or("").trim().to_ascii_lowercase();
            let lang = match tag.split('-').next() {
                Some("zh") => Self::Zh,
                Some("en") => Self::En,
                _ => continue,
            };
            let weight = parts.find_map(|p| p.trim().strip_prefix("q=")).map_or(1_000, thousandths);
            // The first of two equal ones wins.
            if weight > best.0 {
                best = (weight, lang);
            }
        }
        best.1
    }

    /// `zh` or `en`, as in the cookie `koudai_lang` and in `/lang/{zh|en}`.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The value of the page's `lang` attribute.
    pub const fn tag(self) -> &'static str {
        self.say("zh-CN", "en")
    }

    /// The text in this language.
    pub const fn say<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// The operator's name, which is the wallet's own until the operator gives one.
    pub fn operator(self, name: &str) -> &str {
        if name == "口袋" { self.say("口袋", "Koudai") } else { name }
    }

    /// A moment in China with its date: `11月23日 14:05` or `23 Nov 14:05`.
    pub fn moment(self, at: Timestamp) -> String {
        format!("{} {}", self.day(at), self.clock(at))
    }

    /// A moment in China to the second, as on a receipt: `2026-11-23 14:05:09` in both languages.
    pub fn receipt_time(self, at: Timestamp) -> String {
        let t = at.china();
        format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second)
    }

    /// The time of day in China: `14:05`.
    pub fn clock(self, at: Timestamp) -> String {
        let t = at.china();
        format!("{:02}:{:02}", t.hour, t.minute)
    }

    /// The day in China, without its year: `11月23日` or `23 Nov`.
    pub fn day(self, at: Timestamp) -> String {
        let t = at.china();
        match self {
            Self::Zh => format!("{}月{}日", t.month, t.day),
            Self::En => format!("{} {}", t.day, month_name(t.month)),
        }
    }

    /// A month: `2026年11月` or `Nov 2026`.
    pub fn month(self, year: i64, month: u8) -> String {
        match self {
            Self::Zh => format!("{year}年{month}月"),
            Self::En => format!("{} {year}", month_name(month)),
        }
    }

    /// A wait in the largest unit that says it well, rounded up: `45 秒`, `15 分钟`, `3 小时`; `45 s`, `15 min`, `3 h`.
    pub fn wait(self, seconds: u32) -> String {
        let (count, zh, en) = match seconds {
            0..=119 => (seconds.max(1), "秒", "s"),
            120..=7_199 => (seconds.div_ceil(60), "分钟", "min"),
            _ => (seconds.div_ceil(3_600), "小时", "h"),
        };
        format!("{count} {}", self.say(zh, en))
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.say("zh", "en"))
    }
}

/// A quality value in thousandths: `0.8` is 800. Anything else counts as 0.
fn thousandths(q: &str) -> u32 {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let fraction = format!("{fraction:0<3}");
    match (whole, fraction.get(..3).map(str::parse::<u32>)) {
        ("1", _) => 1_000,
        ("0", Some(Ok(n))) => n,
        _ => 0,
    }
}

fn month_name(month: u8) -> &'static str {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES[usize::from(month.clamp(1, 12)) - 1]
}

/// An amount inside a sentence: `¥12.40`.
pub(crate) fn figure(money: Money) -> String {
    format!("{}{money}", money.currency().sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_it_prefers() {
        for (header, lang) in [
            ("", Lang::Zh),
            ("zh-CN,zh;q=0.9,en;q=0.8", Lang::Zh),
            ("en-GB,en;q=0.9,zh;q=0.8", Lang::En),
            ("fr, en;q=0.2, zh;q=0.7", Lang::Zh),
            ("zh;q=0.1, en;q=0.25", Lang::En),
            ("de-DE", Lang::Zh),
            ("en;q=0, zh;q=banana", Lang::Zh),
        ] {
            assert_eq!(Lang::from_accept_language(header), lang, "{header:?}");
        }
    }

    #[test]
    fn a_header_cut_inside_a_character_is_not_a_panic() {
        let long = "é".repeat(300);
        assert_eq!(Lang::from_accept_language(&long), Lang::Zh);
        assert_eq!(Lang::from_accept_language(&format!("e{long}")), Lang::Zh);
    }

    #[test]
    fn moments_are_written_as_people_in_china_read_the_clock() {
        let at = Timestamp::parse_rfc3339("2026-11-23T06:05:09Z").unwrap();
        assert_eq!(Lang::Zh.moment(at), "11月23日 14:05");
        assert_eq!(Lang::En.moment(at), "23 Nov 14:05");
        assert_eq!(Lang::En.receipt_time(at), "2026-11-23 14:05:09");
        assert_eq!(Lang::Zh.wait(900), "15 分钟");
        assert_eq!(Lang::En.wait(10_800), "3 h");
        assert_eq!(Lang::En.wait(0), "1 s");
    }
}
