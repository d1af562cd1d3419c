//! The one place that reads the wall clock and the random source; tests put a hand-set clock in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;

/// Where time comes from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Wall,
    Hand(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub const fn wall() -> Self {
        Self(Source::Wall)
    }

    /// A clock that only moves when it is told to.
    pub fn by_hand(start: Timestamp) -> Self {
        Self(Source::Hand(Arc::new(AtomicI64::new(start.0))))
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is the place the wall clock is read")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Hand(ms) => Timestamp(ms.load(Ordering::SeqCst)),
            Source::Wall => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let ms = since.expect("the clock stands after 1970").as_millis();
                Timestamp(i64::try_from(ms).expect("the year 292 million is far"))
            }
        }
    }

    /// Whether this is the machine's clock.
    pub(crate) const fn is_wall(&self) -> bool {
        matches!(self.0, Source::Wall)
    }

    /// Moves a hand-set clock on by `ms`. The machine's clock moves by itself.
    pub fn advance(&self, ms: i64) {
        if let Source::Hand(now) = &self.0 {
            now.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Random bytes for one batch.
    #[expect(clippy::unused_self, reason = "a simulated clock will bring its own randomness")]
    pub(crate) fn entropy(&self) -> Secret<[u8; 32]> {
        random_bytes()
    }
}

pub(crate) fn random_bytes() -> Secret<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    Secret::new(bytes)
}
