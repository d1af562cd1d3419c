//! Withdrawals of the next day are sent when their day has come.

use koudai_core::withdrawal::SendWithdrawals;
use koudai_store::StoreError;

use super::{Courier, TAKE};

impl Courier {
    /// Has what is due sent. What is left over, or what a busy engine put off, is there at the next look.
    pub(super) async fn send_due_withdrawals(&self) -> Result<(), StoreError> {
        let now = self.engine.now();
        let due = self.engine.read(move |r| r.due_withdrawals(now, TAKE)).await?;
        if !due.is_empty() {
            let withdrawals: Vec<_> = due.into_iter().map(|row| row.withdrawal).collect();
            let count = withdrawals.len();
            let sent = self.engine.submit(SendWithdrawals { withdrawals }).await.is_ok();
            tracing::info!(count, sent, "withdrawals that were due");
        }
        Ok(())
    }
}
