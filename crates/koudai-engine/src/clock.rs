//! The one place that reads the wall clock and the random source; tests put a hand-set clock in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use koudai_core::secret::Secret;
use koudai_core::state::keyed_mac;
use koudai_core::time::Timestamp;

/// Where time comes from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Wall,
    Hand(Arc<AtomicI64>),
    /// Moved by hand, and every draw of random bytes follows from the seed.
    Simulated(Arc<AtomicI64>, Arc<(Secret<[u8; 32]>, AtomicU64)>),
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

    /// A clock that only moves when it is told to, and whose random bytes follow from a seed.
    pub fn simulated(start: Timestamp, seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        Self(Source::Simulated(
            Arc::new(AtomicI64::new(start.0)),
            Arc::new((Secret::new(key), AtomicU64::new(0))),
        ))
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is the place the wall clock is read")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Hand(ms) | Source::Simulated(ms, _) => Timestamp(ms.load(Ordering::SeqCst)),
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
        if let Source::Hand(now) | Source::Simulated(now, _) = &self.0 {
            now.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Random bytes for one batch.
    pub(crate) fn entropy(&self) -> Secret<[u8; 32]> {
        match &self.0 {
            Source::Wall | Source::Hand(_) => random_bytes(),
            Source::Simulated(_, seed) => {
                let draw = seed.1.fetch_add(1, Ordering::SeqCst);
                Secret::new(keyed_mac(seed.0.expose(), &[&draw.to_be_bytes()]))
            }
        }
    }
}

pub(crate) fn random_bytes() -> Secret<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    Secret::new(bytes)
}
