//! Transfers that nobody received in time go back to their merchants.

use koudai_core::transfer::CloseOverdue;
use koudai_store::StoreError;

use super::{Courier, TAKE};

impl Courier {
    /// Closes what is overdue. What is left over, or what a busy engine put off, is there at the next look.
    pub(super) async fn close_overdue_transfers(&self) -> Result<(), StoreError> {
        let now = self.engine.now();
        let overdue = self.engine.read(move |r| r.overdue_transfers(now, TAKE)).await?;
        if !overdue.is_empty() {
            let transfers: Vec<_> = overdue.into_iter().map(|row| row.transfer).collect();
            let count = transfers.len();
            let closed = self.engine.submit(CloseOverdue { transfers }).await.is_ok();
            tracing::info!(count, closed, "overdue transfers");
        }
        Ok(())
    }
}
