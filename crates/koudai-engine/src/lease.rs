//! Whether this process is sure to own the ledger still. Who may commit is the database's to say, at each commit; this is
//! for what is answered without one.

use std::sync::atomic::{AtomicU64, Ordering};

use koudai_store::Hold;
use rustix::time::{ClockId, clock_gettime};

/// How long ownership is sure.
#[derive(Debug)]
pub(crate) struct Lease {
    hold: Hold,
    /// Until when a lease is, in milliseconds since the machine started.
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
    pub(crate) fn new(hold: Hold) -> Self {
        let lease = Self { hold, until: AtomicU64::new(0) };
        lease.confirm(uptime_ms());
        lease
    }

    /// The database was asked at `asked`, as `uptime_ms` has it, and let the owner commit.
    pub(crate) fn confirm(&self, asked: u64) {
        if let Hold::Lease { sure_for, .. } = &self.hold {
            let until = asked + u64::try_from(sure_for.as_millis()).unwrap_or(0);
            self.until.fetch_max(until, Ordering::AcqRel);
        }
    }

    /// Whether nobody else can have become the owner.
    pub(crate) fn is_sure(&self) -> bool {
        match &self.hold {
            Hold::Lock => true,
            Hold::Lease { lost, .. } => {
                !lost.load(Ordering::Acquire) && uptime_ms() < self.until.load(Ordering::Acquire)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    fn lease(sure_for: Duration) -> (Lease, Arc<AtomicBool>) {
        let lost = Arc::new(AtomicBool::new(false));
        let hold = Hold::Lease { sure_for, lost: Arc::clone(&lost) };
        (Lease { hold, until: AtomicU64::new(0) }, lost)
    }

    #[test]
    fn a_lease_is_sure_for_a_while_after_the_database_was_asked() {
        let (lease, _) = lease(Duration::from_mins(1));
        assert!(!lease.is_sure(), "nothing was asked yet");
        lease.confirm(uptime_ms());
        assert!(lease.is_sure());
        lease.confirm(0);
        assert!(lease.is_sure(), "an older answer takes nothing away");
        let (lease, _) = self::lease(Duration::ZERO);
        lease.confirm(uptime_ms());
        assert!(!lease.is_sure(), "and no longer than that");
    }

    #[test]
    fn a_lost_session_ends_it_at_once() {
        let (lease, lost) = lease(Duration::from_mins(1));
        lease.confirm(uptime_ms());
        lost.store(true, Ordering::Release);
        assert!(!lease.is_sure());
    }

    #[test]
    fn a_lock_is_always_sure() {
        assert!(Lease::new(Hold::Lock).is_sure());
    }
}
