//! The calls of the gateway, and how numbers, times and amounts are written there.

use koudai_core::money::{Currency, Money};
use koudai_core::time::Timestamp;

/// A call of the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Open a way for somebody who scans a code.
    Precreate,
    /// Open a way for somebody in a phone's browser, who is sent to an address.
    WapPay,
    /// Open a way for somebody inside the app.
    Create,
    /// Take money from whoever shows this code.
    Pay,
    /// Ask how a payment ended.
    Query,
    /// End a payment that was not made.
    Close,
    /// End a payment, and give back what was paid.
    Cancel,
    /// Give money back.
    Refund,
    /// Ask how a refund ended.
    RefundQuery,
    /// Pay money out.
    PayOut,
    /// Ask how a payout ended.
    PayOutQuery,
    /// Ask who somebody is who came back with a code.
    Token,
    /// Ask where the bill of a day is.
    Bill,
    /// Ask for a certificate of Alipay's.
    Certificate,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Precreate,
        Self::WapPay,
        Self::Create,
        Self::Pay,
        Self::Query,
        Self::Close,
        Self::Cancel,
        Self::Refund,
        Self::RefundQuery,
        Self::PayOut,
        Self::PayOutQuery,
        Self::Token,
        Self::Bill,
        Self::Certificate,
    ];

    /// Its name, as faults and logs name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Precreate => "precreate",
            Self::WapPay => "wap_pay",
            Self::Create => "create",
            Self::Pay => "pay",
            Self::Query => "query",
            Self::Close => "close",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::RefundQuery => "refund_query",
            Self::PayOut => "pay_out",
            Self::PayOutQuery => "pay_out_query",
            Self::Token => "token",
            Self::Bill => "bill",
            Self::Certificate => "certificate",
        }
    }

    /// Its `method`.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Precreate => "alipay.trade.precreate",
            Self::WapPay => "alipay.trade.wap.pay",
            Self::Create => "alipay.trade.create",
            Self::Pay => "alipay.trade.pay",
            Self::Query => "alipay.trade.query",
            Self::Close => "alipay.trade.close",
            Self::Cancel => "alipay.trade.cancel",
            Self::Refund => "alipay.trade.refund",
            Self::RefundQuery => "alipay.trade.fastpay.refund.query",
            Self::PayOut => "alipay.fund.trans.uni.transfer",
            Self::PayOutQuery => "alipay.fund.trans.common.query",
            Self::Token => "alipay.system.oauth.token",
            Self::Bill => "alipay.data.dataservice.bill.downloadurl.query",
            Self::Certificate => "alipay.open.app.alipaycert.download",
        }
    }

    /// The call with this `method`.
    pub(crate) fn read(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.method() == method)
    }

    /// The member of a reply that answers it.
    pub(crate) fn answer(self) -> String {
        format!("{}_response", self.method().replace('.', "_"))
    }

    /// Whether the gateway may tell later how it ended.
    pub(crate) const fn is_told_of(self) -> bool {
        matches!(self, Self::Precreate | Self::WapPay | Self::Create | Self::Pay)
    }
}

/// `yyyy-MM-dd HH:mm:ss` in China.
pub(crate) fn moment(at: Timestamp) -> String {
    let t = at.china();
    format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute, t.second)
}

/// Reads such a time.
pub(crate) fn read_moment(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once(' ')?;
    if text.len() != 19 || time.len() != 8 || time.ends_with("60") {
        return None;
    }
    Timestamp::parse_rfc3339(&format!("{day}T{time}+08:00"))
}

/// A day, counted as [`Timestamp::china_day`] counts, as `yyyy-MM-dd`.
pub(crate) fn date(day: i64) -> String {
    moment(Timestamp::of_china_day(day))[..10].to_owned()
}

/// Reads such a day.
pub(crate) fn read_date(text: &str) -> Option<i64> {
    read_moment(&format!("{text} 00:00:00")).map(Timestamp::china_day)
}

/// An amount as the gateway writes it: yuan, with two decimals.
pub(crate) fn yuan(money: Money) -> String {
    money.plain()
}

/// Reads an amount above zero; `None` for anything else, a sign or a blank included.
pub(crate) fn read_yuan(text: &str) -> Option<Money> {
    Money::parse_major(text, Currency::Cny).ok().filter(|money| !money.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_spelling() {
        let at = Timestamp::parse_rfc3339("2026-11-25T22:59:59+08:00").unwrap();
        assert_eq!(moment(at), "2026-11-25 22:59:59");
        assert_eq!(read_moment("2026-11-25 22:59:59"), Some(at));
        assert_eq!(read_date(&date(at.china_day())), Some(at.china_day()));
        for bad in [
            "",
            "2026-11-25",
            "2026-11-25T22:59:59",
            "2026-11-25 22:59:60",
            "2026-13-25 22:59:59",
            "2026-11-25 24:00:00",
            "2026-11-25 22:59:59 ",
            "2026-11-25 22:59:5x",
        ] {
            assert_eq!(read_moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn amounts_are_read_strictly_and_written_without_separators() {
        let fen = |minor| Money::fen(minor).unwrap();
        for (minor, text) in [(1, "0.01"), (100, "1.00"), (1_234_567_890, "12345678.90")] {
            assert_eq!(yuan(fen(minor)), text);
            assert_eq!(read_yuan(text), Some(fen(minor)));
        }
        assert_eq!((read_yuan("1"), read_yuan("1.5")), (Some(fen(100)), Some(fen(150))));
        for bad in ["", "0", "0.00", "-1", "+1", "1e2", " 1", "1.", ".5", "1.234", "1,000.00", "１"] {
            assert_eq!(read_yuan(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_call_is_known_by_its_method() {
        for call in Call::ALL {
            assert_eq!(Call::read(call.method()), Some(call));
        }
        assert_eq!(Call::read("alipay.trade.order.settle"), None);
        assert_eq!(Call::RefundQuery.answer(), "alipay_trade_fastpay_refund_query_response");
    }
}
