//! Merchants' bills, as far as they need decisions: how a merchant wants them, and whether a day is over.

use crate::id::MchId;
use crate::refusal::MerchantRefusal;
use crate::rows::MerchantBills;
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::Timestamp;

/// Sets how a merchant wants its bills.
#[derive(Clone, Copy, Debug)]
pub struct SetMerchantBills {
    /// The merchant.
    pub mchid: MchId,
    /// Whether a day on which nothing happened has a bill, of headers and sums alone.
    pub empty: bool,
}

impl Command for SetMerchantBills {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let known = tx.rows().merchant.get(&self.mchid).or_stop()?.is_some();
        let row = tx.rows().merchant_bills.get(&self.mchid).or_stop()?.cloned();
        if !known {
            return Err(MerchantRefusal::MerchantUnknown.into());
        }
        let wanted = MerchantBills { mchid: self.mchid, empty: self.empty };
        if row.as_ref() != Some(&wanted) {
            tx.rows().merchant_bills.put(wanted);
        }
        Ok(())
    }
}

/// Tells the ledger's time and changes nothing. It is answered after everything decided before it is committed, and no later
/// command is decided at an earlier time: a day that is over by this answer has all its journals.
#[derive(Clone, Copy, Debug)]
pub struct TellTime;

impl Command for TellTime {
    type Reply = Timestamp;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Timestamp, Stop<MerchantRefusal>> {
        Ok(tx.now())
    }
}
