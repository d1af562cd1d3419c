//! Ids: time-ordered inside, 28 decimal digits on the wire.
//!
//! An id is a count of milliseconds and a number within the millisecond, so new rows land on the right edge of their
//! table. On the wire it reads `PPPP YYYYMMDD MMMMMMMM SSSSSSS C`: the kind of thing, the day in China, the millisecond of
//! that day, the number within the millisecond, and a Luhn digit, so that a mistyped number is found before any look-up.

use crate::luhn::luhn_digit;
use crate::time::{DAY, Timestamp, days_from_civil, days_in_month};

/// How many bits of an id number the things made within one millisecond.
const SEQUENCE_BITS: u32 = 21;
/// An id is a multiple of this, so that the accounts of its owner fit in the bits left free (see `ledger::AccountId`).
const STEP: i64 = 16;
/// The first moment an id can carry: 2001-09-09, which keeps every id far above the operator's and merchants' numbers.
const EARLIEST_MS: i64 = 1_000_000_000_000;
/// The last moment, in the year 2096.
const LATEST_MS: i64 = 4_000_000_000_000;
/// China's offset, as `time` has it.
const CHINA_MS: i64 = 8 * 3_600_000;

/// Hands out ids that never repeat: one per engine, fed with the batch's time.
#[derive(Clone, Debug)]
pub struct IdSource {
    ms: i64,
    sequence: i64,
}

impl IdSource {
    /// Ids from `now` on. A time before the last id's does not take them back.
    pub const fn new(now: Timestamp) -> Self {
        Self { ms: now.0, sequence: 0 }
    }

    /// Lets later ids carry a later time.
    pub const fn advance(&mut self, now: Timestamp) {
        if now.0 > self.ms {
            self.ms = now.0;
            self.sequence = 0;
        }
    }

    /// The moment that the newest id carries, or that the next one will.
    pub const fn at(&self) -> Timestamp {
        Timestamp(self.ms)
    }

    /// The next id.
    pub const fn fresh(&mut self) -> i64 {
        if self.sequence >= 1 << SEQUENCE_BITS {
            self.ms += 1;
            self.sequence = 0;
        }
        let id = (self.ms << SEQUENCE_BITS) | self.sequence;
        self.sequence += STEP;
        id
    }
}

/// The 28 digits of an id of the kind `prefix`.
fn to_wire(prefix: u16, id: i64) -> String {
    let (ms, sequence) = (id >> SEQUENCE_BITS, id & ((1 << SEQUENCE_BITS) - 1));
    let t = Timestamp(ms).china();
    let of_day = (ms + CHINA_MS).rem_euclid(DAY);
    let mut text = format!("{prefix:04}{:04}{:02}{:02}{of_day:08}{sequence:07}", t.year, t.month, t.day);
    text.push(luhn_digit(&text));
    text
}

/// The id behind 28 digits of the kind `prefix`; `None` for anything `to_wire` would not have written.
fn from_wire(prefix: u16, text: &str) -> Option<i64> {
    if text.len() != 28 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let (year, month, day) = (part(4, 8)?, part(8, 10)?, part(10, 12)?);
    let (of_day, sequence) = (part(12, 20)?, part(20, 27)?);
    if part(0, 4)? != i64::from(prefix) || luhn_digit(&text[..27]) != text.chars().last()? {
        return None;
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || of_day >= DAY {
        return None;
    }
    if sequence >= 1 << SEQUENCE_BITS || sequence % STEP != 0 {
        return None;
    }
    let ms = days_from_civil(year, month, day) * DAY + of_day - CHINA_MS;
    (EARLIEST_MS..=LATEST_MS).contains(&ms).then_some((ms << SEQUENCE_BITS) | sequence)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// The 28 digits people and programs see.
            pub fn wire(self) -> String {
                to_wire($prefix, self.0)
            }

            /// Reads the 28 digits; `None` if they are not an id of this kind.
            pub fn parse(text: &str) -> Option<Self> {
                from_wire($prefix, text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A person with a wallet.
    PersonId = 1000;
    /// An order, and once it is paid the protocol's `transaction_id`.
    OrderId = 4200;
    /// A refund; the protocol's `refund_id`.
    RefundId = 5030;
    /// Money of a merchant's on its way to a person; the protocol's `transfer_bill_no`.
    TransferId = 1330;
    /// A card bound to a wallet.
    CardId = 6200;
    /// One call to an outside network, from intent to outcome.
    AttemptId = 7000;
    /// The binding of a card, from intent to outcome.
    BindingId = 7100;
    /// An app of another's that takes money from accounts here.
    IssuingAppId = 2000;
    /// A holder's consent that an app may.
    AgreementId = 6300;
    /// Money between a holder and an app.
    AppMoveId = 6400;
    /// Money of a person's on its way to a card of theirs.
    WithdrawalId = 7300;
    /// A message on its way to a phone.
    MessageId = 7200;
    /// What differs between a network's books and ours.
    DifferenceId = 8100;
    /// One of the operator's staff.
    StaffId = 9000;
}

impl AttemptId {
    /// When it was drawn, by the ledger's clock: its number says so.
    pub const fn made_at(self) -> Timestamp {
        Timestamp(self.0 >> SEQUENCE_BITS)
    }
}

/// A merchant's number on the wire: ten digits, first 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MchId(pub i64);

impl MchId {
    /// The first number given out.
    pub const FIRST: Self = Self(1_900_000_001);

    /// The ten digits.
    pub fn wire(self) -> String {
        format!("{:010}", self.0)
    }

    /// Reads ten digits; `None` if they are not a merchant's number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse::<i64>().ok())??;
        (1_000_000_000..2_000_000_000).contains(&number).then_some(Self(number))
    }
}

/// The number of a journal in its partition: 1, 2, 3 … without gaps. 0 stands for "none yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_reads_as_its_kind_and_day() {
        let mut ids = IdSource::new(Timestamp(1_795_000_000_000));
        let first = OrderId(ids.fresh());
        assert_eq!(&first.wire()[..12], "420020261118");
        assert_eq!(OrderId::parse(&first.wire()), Some(first));
        assert_eq!(RefundId::parse(&first.wire()), None, "an id of another kind");
    }

    #[test]
    fn a_mistyped_digit_is_found() {
        let wire = OrderId(IdSource::new(Timestamp(1_795_000_000_000)).fresh()).wire();
        for at in 0..wire.len() {
            let mut bytes = wire.clone().into_bytes();
            bytes[at] = if bytes[at] == b'9' { b'0' } else { bytes[at] + 1 };
            assert_eq!(OrderId::parse(std::str::from_utf8(&bytes).unwrap()), None, "digit {at}");
        }
    }

    #[test]
    fn ids_of_one_millisecond_stay_apart_and_in_order() {
        let mut ids = IdSource::new(Timestamp(1_795_000_000_000));
        let many: Vec<i64> = (0..300_000).map(|_| ids.fresh()).collect();
        assert!(many.windows(2).all(|w| w[0] < w[1]));
        assert!(many.iter().all(|id| id % STEP == 0));
        ids.advance(Timestamp(1_795_000_000_001));
        assert!(ids.fresh() > *many.last().unwrap(), "time that lags the ids does not take them back");
    }

    proptest! {
        #[test]
        fn the_wire_form_parses_back(ms in EARLIEST_MS..LATEST_MS, n in 0..131_072_i64) {
            let id = OrderId((ms << SEQUENCE_BITS) | (n * STEP));
            prop_assert_eq!(OrderId::parse(&id.wire()), Some(id));
        }

        #[test]
        fn parsing_never_panics(text in "[0-9]{28}") {
            let _ = OrderId::parse(&text);
        }
    }
}
