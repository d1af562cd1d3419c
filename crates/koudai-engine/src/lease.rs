//! Whether this process is sure to own the ledger still. Who may commit is the database's to say, at each commit; this is
//! for what is answered without one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long ownership is sure.
#[derive(Debug)]
pub(crate) struct Lease {
    /// How long after the database was asked, if it let the owner commit; `None` for as long as the process lives.
    sure_for: Option<Duration>,
    /// Until when, in milliseconds since the machine started.
    until: AtomicU64,
}

/// Milliseconds since the machine started. It runs on while the machine sleeps, and nobody sets it.
pub(crate) fn uptime_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|n| u64::try_from(n).unwrap_or(0));
    seconds * 1_000 + nanos / 1_000_000
}

impl Lease {
    /// Of an owner who has just asked.
    pub(crate) fn new(sure_for: Option<Duration>) -> Self {
        let lease = Self { sure_for, until: AtomicU64::new(0) };
        lease.confirm(uptime_ms());
        lease
    }

    /// The database was asked at `asked`, as `uptime_ms` has it, and let the owner commit.
    pub(crate) fn confirm(&self, asked: u64) {
        let sure_for = self.sure_for.map_or(0, |sure| u64::try_from(sure.as_millis()).unwrap_or(u64::MAX));
        self.until.fetch_max(asked + sure_for, Ordering::AcqRel);
    }

    /// Whether nobody else can have become the owner.
    pub(crate) fn is_sure(&self) -> bool {
        self.sure_for.is_none() || uptime_ms() < self.until.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership_is_sure_for_a_while_after_the_database_was_asked_and_not_after_it_answered() {
        let lease = Lease::new(Some(Duration::from_mins(1)));
        assert!(lease.is_sure());
        let lease = Lease { sure_for: Some(Duration::from_millis(1)), until: AtomicU64::new(0) };
        assert!(!lease.is_sure());
        lease.confirm(uptime_ms() + 60_000);
        assert!(lease.is_sure());
        lease.confirm(uptime_ms());
        assert!(lease.is_sure(), "an older answer takes nothing away");
    }

    #[test]
    fn where_ownership_is_a_lock_it_is_always_sure() {
        assert!(Lease { sure_for: None, until: AtomicU64::new(0) }.is_sure());
    }
}
