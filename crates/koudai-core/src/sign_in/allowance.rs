//! What may be done only so often in a while: by one address, on one device, for one account, by everybody together.
//!
//! What is counted stands under a keyed hash, so that no address or number is kept for it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::refusal::Refusal;
use crate::rows::{Allowance, Language};
use crate::sign_in::seconds_until;
use crate::state::{Command, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::{DAY, HOUR, Timestamp};

/// How long an allowance that has ended is kept, ms: whoever sweeps is never ahead of who counts.
pub const ENDED_KEPT_MS: i64 = HOUR;

/// The addresses that one party can be taken to have: 256 of version 4, or of version 6 as many as a large site is given (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock([u8; 16]);

impl AddressBlock {
    /// The block as it is counted.
    pub(super) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The block of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => {
                let [a, b, c, _] = four.octets();
                Self(Ipv4Addr::from([a, b, c, 0]).to_ipv6_mapped().octets())
            }
            IpAddr::V6(six) => Self(Ipv6Addr::from_bits(six.to_bits() >> 80 << 80).octets()),
        }
    }
}

/// Who asks, as far as the edge can tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    /// Where from.
    pub block: Option<AddressBlock>,
    /// SHA-256 of what the device holds; `None` of a program that names none.
    pub device: Option<[u8; 32]>,
    /// SHA-256 of what the edge drew for the device to be known by, should it be new to whoever signs in.
    pub fresh: Option<[u8; 32]>,
    /// In which language; `None` for both.
    pub language: Option<Language>,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    CodesFromBlock,
    CodesFromDevice,
    CodesInAll,
    WrongFromBlock,
    WrongPasswords,
    WrongCards,
    WrongSecondSteps,
    WrongFreezeWords,
    Told,
}

impl Counted {
    const fn word(self) -> &'static str {
        match self {
            Self::CodesFromBlock => "codes from block",
            Self::CodesFromDevice => "codes from device",
            Self::CodesInAll => "codes in all",
            Self::WrongFromBlock => "wrong from block",
            Self::WrongPasswords => "wrong passwords",
            Self::WrongCards => "wrong cards",
            Self::WrongSecondSteps => "wrong second steps",
            Self::WrongFreezeWords => "wrong freeze words",
            Self::Told => "told",
        }
    }
}

fn key(keys: &Keys, what: Counted, whose: &[u8]) -> [u8; 32] {
    keyed_mac(keys.one_time_code.expose(), &[b"allowance", what.word().as_bytes(), whose])
}

/// Under what is counted what went wrong from a block, for whoever looks before a password is worth a slow hash.
pub fn wrong_from(keys: &Keys, block: AddressBlock) -> [u8; 32] {
    key(keys, Counted::WrongFromBlock, &block.0)
}

impl Allowance {
    /// Seconds until it may be done again, if it was done `most` times.
    pub fn wait_s(&self, now: Timestamp, most: u32) -> Option<u32> {
        (now < self.ends_at && self.used >= most).then(|| seconds_until(self.ends_at, now))
    }
}

/// One count, looked at and not yet changed.
#[derive(Debug)]
pub(crate) struct Count {
    key: [u8; 32],
    /// What was counted so far and has not ended.
    row: Option<Allowance>,
}

impl Count {
    /// Reads how often it was done.
    ///
    /// # Errors
    /// `Absent`.
    pub(crate) fn read(tx: &mut Tx<'_>, what: Counted, whose: &[u8]) -> Result<Self, Stop<Refusal>> {
        let key = key(tx.keys(), what, whose);
        let now = tx.now();
        let row = tx.rows().allowance.get(&key).or_stop()?.filter(|row| now < row.ends_at).cloned();
        Ok(Self { key, row })
    }

    /// Seconds until it may be done again, if it was done `most` times.
    pub(crate) fn wait_s(&self, now: Timestamp, most: u32) -> Option<u32> {
        self.row.as_ref().and_then(|row| row.wait_s(now, most))
    }

    /// Counts once more. Whoever is counted for the first time is counted anew after `window_ms`.
    pub(crate) fn add(self, tx: &mut Tx<'_>, window_ms: i64) {
        let ends_at = tx.now().plus(window_ms);
        let mut row = self.row.unwrap_or(Allowance { key: self.key, used: 0, ends_at });
        row.used = row.used.saturating_add(1);
        tx.rows().allowance.put(row);
    }

    /// Forgets what was counted, if anything was.
    pub(super) fn clear(self, tx: &mut Tx<'_>) {
        if let Some(row) = self.row {
            let ends_at = tx.now();
            tx.rows().allowance.put(Allowance { used: 0, ends_at, ..row });
        }
    }
}

/// The counts that bound how many codes are sent, however many numbers they are sent to.
#[derive(Debug)]
pub(super) struct CodeCounts(Vec<(Count, i64)>);

impl CodeCounts {
    /// Reads them all.
    ///
    /// # Errors
    /// `TooManyCodes` if one is used up, or `Absent`.
    pub(super) fn read(tx: &mut Tx<'_>, asker: &Asker) -> Result<Self, Stop<Refusal>> {
        let safety = tx.policy().safety;
        let mut wanted: Vec<(Counted, Vec<u8>, u32, i64)> =
            vec![(Counted::CodesInAll, vec![], safety.codes_in_all_an_hour, HOUR)];
        if let Some(block) = asker.block {
            wanted.push((Counted::CodesFromBlock, block.0.to_vec(), safety.codes_from_block_a_day, DAY));
        }
        if let Some(device) = asker.device {
            wanted.push((Counted::CodesFromDevice, device.to_vec(), safety.codes_from_device_a_day, DAY));
        }
        let (mut counts, mut wait) = (vec![], None);
        for (what, whose, most, window_ms) in wanted {
            let count = Count::read(tx, what, &whose)?;
            wait = wait.max(count.wait_s(tx.now(), most));
            counts.push((count, window_ms));
        }
        match wait {
            Some(wait_s) => Err(Refusal::TooManyCodes { wait_s }.into()),
            None => Ok(Self(counts)),
        }
    }

    /// Counts a code.
    pub(super) fn add(self, tx: &mut Tx<'_>) {
        for (count, window_ms) in self.0 {
            count.add(tx, window_ms);
        }
    }
}

/// The count of what went wrong from one place, by which no place gets many tries however many accounts it tries.
#[derive(Debug)]
pub(super) struct WrongHere(Option<Count>);

impl WrongHere {
    /// Reads it.
    ///
    /// # Errors
    /// `SignInPaused` if it is used up, or `Absent`.
    pub(super) fn read(tx: &mut Tx<'_>, asker: &Asker) -> Result<Self, Stop<Refusal>> {
        let Some(block) = asker.block else { return Ok(Self(None)) };
        let count = Count::read(tx, Counted::WrongFromBlock, &block.0)?;
        match count.wait_s(tx.now(), tx.policy().safety.wrong_from_block_most) {
            Some(wait_s) => Err(Refusal::SignInPaused { wait_s }.into()),
            None => Ok(Self(Some(count))),
        }
    }

    /// Counts one more.
    pub(super) fn add(self, tx: &mut Tx<'_>) {
        let window_ms = tx.policy().safety.pause_ms;
        if let Some(count) = self.0 {
            count.add(tx, window_ms);
        }
    }
}

/// Forgets allowances that ended long ago.
#[derive(Clone, Debug)]
pub struct SweepAllowances {
    /// At most a few hundred.
    pub keys: Vec<[u8; 32]>,
}

impl Command for SweepAllowances {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let old = tx.now().plus(-ENDED_KEPT_MS);
        tx.rows().allowance.sweep(&self.keys, |row| row.ends_at <= old).or_stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_256_addresses_of_version_4_or_one_site_of_version_6() {
        let block = |text: &str| AddressBlock::of(text.parse().unwrap());
        for (a, b, same) in [
            ("203.0.113.1", "203.0.113.254", true),
            ("203.0.113.1", "203.0.114.1", false),
            ("::ffff:203.0.113.9", "203.0.113.1", true),
            ("2001:db8:1:2::3", "2001:db8:1:ffff::4", true),
            ("2001:db8:1::", "2001:db8:2::", false),
        ] {
            assert_eq!(block(a) == block(b), same, "{a} {b}");
        }
    }
}
