//! Bugs planted on purpose, one at a time, so that the simulator is seen to find them: a check that was never seen failing
//! proves nothing.
//!
//! Without the feature `planted` no bug is ever there and nothing of this is left in the program.

/// A bug. Each stands where a slip of the pen would put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The watermark is moved before the last rows under it are written.
    WatermarkAhead,
    /// A batch's last journal is appended and counted twice.
    BatchTwice,
    /// A derived row is left out of what is written behind.
    DerivedRowLost,
    /// A commit does not look whether the lease is its owner's.
    LeaseUnchecked,
    /// A commit of unknown outcome is taken as failed.
    UnknownAsFailed,
    /// A commit of unknown outcome is taken as done.
    UnknownAsDone,
    /// Senders are answered before their batch is committed.
    ReplyBeforeCommit,
    /// A changed row is evicted before its batch is committed, and loaded again as it was.
    EvictedUncommitted,
    /// Ids begin with the clock again after a take-over, whatever was given out before.
    IdsFromTheClock,
    /// A line of a history points past the line before it.
    PointerSkipped,
    /// A merchant's cursor passes events that were never delivered.
    NoticesSkipped,
    /// A refund is checked against an order as it was before its last refund.
    RefundUnchecked,
    /// A batch is committed although the one it builds upon was not.
    PredecessorUnchecked,
    /// What became of a batch is looked up before the old owner is fenced off.
    ReadBackBeforeFence,
    /// A refusal is sent before the batch it rests on is committed.
    RefusalBeforeCommit,
    /// A row that changed while rows are being loaded is evicted, and the load brings the older one.
    LoadOvertaken,
    /// Opening lets an older line of an account overwrite a newer one.
    ReplayBackwards,
    /// A balance is looked for in its table first and in memory after.
    SqlBeforeMemory,
    /// A merchant's cursor passes an event that failed, and no retry is recorded.
    CursorAheadOfRetry,
    /// A commit that came with a warning is taken as done.
    WarningAsDone,
    /// A transfer that has ended goes on waiting.
    TransferGoesOnWaiting,
    /// A withdrawal that comes back leaves its fee behind.
    WithdrawalFeeKept,
    /// The balance's part of a payment stays held after its card has refused.
    HeldPartKept,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 23] = [
        Self::WatermarkAhead,
        Self::BatchTwice,
        Self::DerivedRowLost,
        Self::LeaseUnchecked,
        Self::UnknownAsFailed,
        Self::UnknownAsDone,
        Self::ReplyBeforeCommit,
        Self::EvictedUncommitted,
        Self::IdsFromTheClock,
        Self::PointerSkipped,
        Self::NoticesSkipped,
        Self::RefundUnchecked,
        Self::PredecessorUnchecked,
        Self::ReadBackBeforeFence,
        Self::RefusalBeforeCommit,
        Self::LoadOvertaken,
        Self::ReplayBackwards,
        Self::SqlBeforeMemory,
        Self::CursorAheadOfRetry,
        Self::WarningAsDone,
        Self::TransferGoesOnWaiting,
        Self::WithdrawalFeeKept,
        Self::HeldPartKept,
    ];
}

#[cfg(feature = "planted")]
mod there {
    use super::Bug;

    thread_local! {
        static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
    }

    /// Plants a bug on this thread, or takes it away.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether a bug is planted on this thread.
    pub fn is(bug: Bug) -> bool {
        // A program that can have bugs planted is known by this line.
        std::hint::black_box("koudai: bugs can be planted in this program");
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use there::{is, plant};

/// Never: the feature `planted` is off.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}
