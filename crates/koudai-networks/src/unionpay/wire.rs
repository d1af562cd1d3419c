//! The calls of the protocol: how each is told apart, and how numbers, times and amounts are written.

use koudai_core::money::Money;
use koudai_core::time::{DAY, HOUR, Timestamp, days_from_civil, days_in_month};

/// The currency's number: yuan.
pub(crate) const CNY: &str = "156";

/// A call of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Have a code sent to the holder, to open a card.
    OpenSms,
    /// Open a card, and get a token for it.
    Open,
    /// Ask whether a card was opened.
    OpenQuery,
    /// Give a token up.
    DeleteToken,
    /// Take money.
    Pay,
    /// Take a payment of the same clearing day back as if it had never been.
    Void,
    /// Give money back.
    Refund,
    /// Pay money out.
    PayOut,
    /// Ask how a payment, void, refund or payout ended.
    Query,
    /// Ask for the file of a clearing day.
    File,
    /// Ask for the certificate that fields are encrypted for.
    Certificate,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::OpenSms,
        Self::Open,
        Self::OpenQuery,
        Self::DeleteToken,
        Self::Pay,
        Self::Void,
        Self::Refund,
        Self::PayOut,
        Self::Query,
        Self::File,
        Self::Certificate,
    ];

    /// Its name, as faults and logs name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSms => "open_sms",
            Self::Open => "open",
            Self::OpenQuery => "open_query",
            Self::DeleteToken => "delete_token",
            Self::Pay => "pay",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::PayOut => "pay_out",
            Self::Query => "query",
            Self::File => "file",
            Self::Certificate => "certificate",
        }
    }

    /// `txnType`, `txnSubType` and `bizType`.
    pub(crate) const fn kinds(self) -> [&'static str; 3] {
        match self {
            Self::OpenSms => ["77", "00", TOKEN],
            Self::Open => ["79", "00", TOKEN],
            Self::OpenQuery => ["78", "02", TOKEN],
            Self::DeleteToken => ["74", "01", TOKEN],
            Self::Pay => ["01", "01", TOKEN],
            Self::Void => ["31", "00", TOKEN],
            Self::Refund => ["04", "00", TOKEN],
            Self::PayOut => ["12", "00", "000401"],
            Self::Query => ["00", "00", "000000"],
            Self::File => ["76", "01", "000000"],
            Self::Certificate => ["95", "00", "000000"],
        }
    }

    /// Which call a message with these kinds is.
    pub(crate) fn read(txn_type: &str, txn_sub_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| {
            let [kind, sub, _] = call.kinds();
            (kind, sub) == (txn_type, txn_sub_type)
        })
    }

    /// Where at the gateway it goes; the file service has an address of its own.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Query => "queryTrans.do",
            Self::File => "",
            _ => "backTransReq.do",
        }
    }
}

/// The token product.
const TOKEN: &str = "000902";

/// `YYYYMMDDhhmmss` in China.
pub(crate) fn txn_time(at: Timestamp) -> String {
    let t = at.china();
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second)
}

/// The moment of such a time.
pub(crate) fn read_time(text: &str) -> Option<Timestamp> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let midnight = Timestamp::of_china_day(days_from_civil(year, month, day));
    let of_day = hour * HOUR + minute * 60_000 + second * 1_000;
    (hour < 24 && minute < 60 && second < 60 && of_day < DAY).then(|| midnight.plus(of_day))
}

/// When the thing that a number of the wallet's stands for was made, to the millisecond. The number carries it, so that a
/// transaction, which is known by its number and its time, is asked about with the same time for ever.
pub(crate) fn made_at(number: &str) -> Option<Timestamp> {
    if number.len() != 28 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let midnight = read_time(&format!("{}000000", &number[4..12]))?;
    let of_day: i64 = number[12..20].parse().ok().filter(|ms| *ms < DAY)?;
    Some(midnight.plus(of_day))
}

/// An amount as the protocol writes it: in fen.
pub(crate) fn amount(money: Money) -> String {
    money.minor().to_string()
}

/// The clearing day a moment belongs to, counted as [`Timestamp::china_day`] counts. It begins an hour before the calendar's,
/// with the default of 23:00.
pub(crate) const fn clearing_day(at: Timestamp, cut_ms: i64) -> i64 {
    at.plus(DAY - cut_ms).china_day()
}

#[cfg(test)]
mod tests {
    use koudai_core::id::AttemptId;

    use super::*;

    #[test]
    fn a_number_says_when_it_was_made() {
        let at = Timestamp::parse_rfc3339("2026-11-25T22:59:59.999+08:00").unwrap();
        let number = AttemptId(at.0 << 21).wire();
        assert_eq!(made_at(&number), Some(at));
        assert_eq!(txn_time(at), "20261125225959");
        assert_eq!(read_time("20261125225959"), Some(at.plus(-999)));
        for bad in
            ["", "2026112522595", "20261325000000", "20261125240000", "20260230000000", "2026112522595x"]
        {
            assert_eq!(read_time(bad), None, "{bad}");
        }
        assert_eq!((made_at("7000"), made_at(&"9".repeat(28))), (None, None));
    }

    #[test]
    fn a_clearing_day_begins_at_the_cut() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let (before, after) = (at("2026-11-25T22:59:59.999+08:00"), at("2026-11-25T23:00:00+08:00"));
        assert_eq!(clearing_day(before, 23 * HOUR), before.china_day());
        assert_eq!(clearing_day(after, 23 * HOUR), after.china_day() + 1);
    }

    #[test]
    fn each_call_is_known_by_its_kinds() {
        for call in Call::ALL {
            let [kind, sub, _] = call.kinds();
            assert_eq!(Call::read(kind, sub), Some(call));
        }
        assert_eq!(Call::read("01", "02"), None);
    }
}
