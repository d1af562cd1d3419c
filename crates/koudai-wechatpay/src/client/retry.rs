//! When a call is sent again, and after which pause.

use std::time::Duration;

/// How often a call without an answer is sent again.
///
/// Only what failed on the way, a 5xx and a 429 are sent again, and only calls that cannot have a second effect: questions,
/// and those that carry a number of the merchant's. Each try has the same body and a signature of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first.
    pub times: u32,
    /// The pause before the second try; each one after it is twice as long.
    pub first_pause: Duration,
    /// No pause is longer, whatever a reply's `Retry-After` asks for.
    pub longest_pause: Duration,
}

impl Retries {
    /// Every call is sent once.
    pub const NONE: Self = Self { times: 0, first_pause: Duration::ZERO, longest_pause: Duration::ZERO };
    /// Three more tries within about three seconds, the time each takes not counted.
    pub const USUAL: Self =
        Self { times: 3, first_pause: Duration::from_millis(400), longest_pause: Duration::from_secs(5) };

    /// The pause after so many tries: at least what the reply asked for, and half of it drawn, so that clients which
    /// failed together do not come back together. `random` is a fresh random number.
    pub(super) fn pause(&self, tries: u32, asked: Option<Duration>, random: u16) -> Duration {
        let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.first_pause.saturating_mul(doubled).min(self.longest_pause);
        let half = whole / 2;
        let drawn = half + half.saturating_mul(u32::from(random)) / u32::from(u16::MAX);
        drawn.max(asked.unwrap_or_default()).min(self.longest_pause)
    }
}

/// Whether a call may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It asks and changes nothing.
    Question,
    /// It carries a number of the merchant's: the same number and body have one effect.
    Numbered,
    /// It may have a second effect.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = |tries, random| Retries::USUAL.pause(tries, None, random).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 40].map(|tries| ms(tries, u16::MAX)), [400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!([1, 2, 3].map(|tries| ms(tries, 0)), [200, 400, 800]);
        assert_eq!(Retries::NONE.pause(1, Some(Duration::from_secs(9)), 7), Duration::ZERO);
    }

    #[test]
    fn what_the_reply_asks_for_is_waited_but_never_longer_than_the_longest() {
        let pause = |seconds| Retries::USUAL.pause(1, Some(Duration::from_secs(seconds)), 0);
        assert_eq!(pause(2), Duration::from_secs(2));
        assert_eq!(pause(u64::MAX), Duration::from_secs(5));
    }
}
