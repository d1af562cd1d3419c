//! Money as integers in minor units. There is no float on any path, not even to print.

use std::fmt;

/// An ISO 4217 currency this build knows. The wallet's first currency is the yuan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Currency {
    /// Chinese yuan, in fen.
    Cny,
    /// Hong Kong dollar, in cents.
    Hkd,
    /// United States dollar, in cents.
    Usd,
    /// Euro, in cents.
    Eur,
    /// Japanese yen, which has no minor unit.
    Jpy,
}

impl Currency {
    /// The three letters of ISO 4217.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cny => "CNY",
            Self::Hkd => "HKD",
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Jpy => "JPY",
        }
    }

    /// How many decimal digits the minor unit stands behind the point (ISO 4217, table A.1).
    pub const fn exponent(self) -> u32 {
        match self {
            Self::Cny | Self::Hkd | Self::Usd | Self::Eur => 2,
            Self::Jpy => 0,
        }
    }

    /// The sign people read before an amount.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Cny | Self::Jpy => "¥",
            Self::Hkd => "HK$",
            Self::Usd => "US$",
            Self::Eur => "€",
        }
    }

    /// The currency of an ISO 4217 code, upper case.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Cny, Self::Hkd, Self::Usd, Self::Eur, Self::Jpy].into_iter().find(|c| c.code() == code)
    }
}

/// Why two amounts could not be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The amounts are of two currencies.
    #[error("the amounts are of two currencies")]
    CurrencyMismatch,
    /// The result would be negative.
    #[error("the result would be negative")]
    Negative,
    /// The result does not fit 63 bits.
    #[error("the result is too large")]
    Overflow,
    /// The text is not an amount of money.
    #[error("the text is not an amount of money")]
    Malformed,
}

/// Money in minor units of one currency: CNY 12.34 is 1234.
/// Never negative: direction belongs to the posting, not the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    ///
    /// # Errors
    /// `Negative` below zero.
    pub const fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor < 0 { Err(MoneyError::Negative) } else { Ok(Self { minor, currency }) }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// `fen` of Chinese yuan.
    ///
    /// # Errors
    /// `Negative` below zero.
    pub const fn fen(fen: i64) -> Result<Self, MoneyError> {
        Self::new(fen, Currency::Cny)
    }

    /// The count of minor units, zero or more.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether this is no money at all.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// # Errors
    /// `CurrencyMismatch`, or `Overflow` past `i64::MAX`. There is no `impl Add`: a sum that can
    /// fail has to say so where it is written.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// # Errors
    /// `CurrencyMismatch`, or `Negative` when `other` is the larger.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        Self::new(self.minor - other.minor, self.currency)
    }

    /// The lesser of two amounts of one currency; of two currencies, `self`.
    #[must_use]
    pub fn lesser(self, other: Self) -> Self {
        if self.checked_sub(other).is_ok() { other } else { self }
    }

    /// The figure as a person types it and `parse_major` reads it: `12345.60`, no separators.
    pub fn plain(self) -> String {
        self.to_string().replace(',', "")
    }

    /// `self × numerator / denominator`, rounded down; the remainder stays with the caller's other share.
    ///
    /// # Errors
    /// `Overflow` when the result does not fit; a denominator of zero is `Malformed`.
    pub fn share_floor(self, numerator: i64, denominator: i64) -> Result<Self, MoneyError> {
        if denominator <= 0 || numerator < 0 {
            return Err(MoneyError::Malformed);
        }
        let wide = i128::from(self.minor) * i128::from(numerator) / i128::from(denominator);
        let minor = i64::try_from(wide).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// A rate in parts per million of this amount, rounded half up to whole minor units
    /// (the rule for merchants' fees).
    pub fn rate_half_up(self, rate: RatePpm) -> Self {
        let wide = (i128::from(self.minor) * i128::from(rate.0) + 500_000) / 1_000_000;
        // A rate is at most 1,000,000 ppm, so the share never exceeds the amount.
        Self { minor: i64::try_from(wide).expect("a share of an i64 fits an i64"), ..self }
    }

    /// Reads what a person types: `12`, `12.3`, `12.34`. No sign, no exponent, no separators.
    ///
    /// # Errors
    /// `Malformed` for anything else, more decimals than the currency has included; `Overflow` past 63 bits.
    pub fn parse_major(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(MoneyError::Malformed),
            None => (text, ""),
        };
        let digits_only = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let exponent = currency.exponent() as usize;
        if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) || fraction.len() > exponent {
            return Err(MoneyError::Malformed);
        }
        let whole: i64 = whole.parse().map_err(|_| MoneyError::Overflow)?;
        let mut minor = whole.checked_mul(10_i64.pow(currency.exponent())).ok_or(MoneyError::Overflow)?;
        if !fraction.is_empty() {
            let padded = format!("{fraction:0<exponent$}");
            let fraction: i64 = padded.parse().map_err(|_| MoneyError::Malformed)?;
            minor = minor.checked_add(fraction).ok_or(MoneyError::Overflow)?;
        }
        Ok(Self { minor, currency })
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrencyMismatch) }
    }
}

/// The bare figure, as `12.34`, with a thousands separator from 10,000 on: `12,345.60`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let scale = 10_i64.pow(exponent);
        let whole = (self.minor / scale).to_string();
        if whole.len() < 5 {
            f.write_str(&whole)?;
        } else {
            for (i, digit) in whole.chars().enumerate() {
                if i > 0 && (whole.len() - i).is_multiple_of(3) {
                    f.write_str(",")?;
                }
                write!(f, "{digit}")?;
            }
        }
        if exponent > 0 {
            write!(f, ".{:0width$}", self.minor % scale, width = exponent as usize)?;
        }
        Ok(())
    }
}

/// A rate in parts per million, 0 to 1,000,000: 6,000 ppm is 0.6%.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePpm(u32);

impl RatePpm {
    /// `ppm` parts per million; `None` past 1,000,000 (a fee never exceeds the amount).
    pub const fn new(ppm: u32) -> Option<Self> {
        if ppm <= 1_000_000 { Some(Self(ppm)) } else { None }
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fen(n: i64) -> Money {
        Money::fen(n).unwrap()
    }

    #[test]
    fn money_prints_as_people_write_it() {
        let cases =
            [(0, "0.00"), (5, "0.05"), (1234, "12.34"), (999_999, "9999.99"), (1_000_000, "10,000.00")];
        for (minor, text) in cases {
            assert_eq!(fen(minor).to_string(), text);
        }
        assert_eq!(Money::new(1_234_567, Currency::Jpy).unwrap().to_string(), "1,234,567");
    }

    #[test]
    fn only_plain_decimal_text_is_money() {
        assert_eq!(Money::parse_major("12.3", Currency::Cny), Ok(fen(1230)));
        assert_eq!(Money::parse_major("12", Currency::Cny), Ok(fen(1200)));
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.005", "1,000", " 1", "１", "0x1", "NaN"] {
            assert_eq!(Money::parse_major(text, Currency::Cny), Err(MoneyError::Malformed), "{text:?}");
        }
        assert_eq!(Money::parse_major("92233720368547758.08", Currency::Cny), Err(MoneyError::Overflow));
        assert_eq!(Money::parse_major("99999999999999999999", Currency::Cny), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_fee_rounds_half_up_to_whole_fen() {
        let rate = RatePpm::new(6_000).unwrap();
        assert_eq!(fen(10_000).rate_half_up(rate), fen(60));
        assert_eq!(fen(83).rate_half_up(rate), fen(0), "0.498 fen");
        assert_eq!(fen(84).rate_half_up(rate), fen(1), "0.504 fen");
        assert_eq!(fen(250).rate_half_up(rate), fen(2), "1.5 fen");
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(minor in 0..=i64::MAX) {
            let money = fen(minor);
            prop_assert_eq!(Money::parse_major(&money.plain(), Currency::Cny), Ok(money));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _ = Money::parse_major(&text, Currency::Cny);
        }

        #[test]
        fn shares_of_a_refund_sum_to_the_whole(total in 1..1_000_000_i64, cut in 0..=1_000_000_i64) {
            let refunded = cut.min(total);
            let fee = fen(total).rate_half_up(RatePpm::new(6_000).unwrap());
            let first = fee.share_floor(refunded, total).unwrap();
            let all = fee.share_floor(total, total).unwrap();
            prop_assert!(first.minor() <= fee.minor());
            prop_assert_eq!(all, fee);
        }
    }
}
