//! The rows of merchants' printed codes and of those who pay by them.

use crate::column::{Cells, Column, Fields, Row, Value};
use crate::declaring::row_types;
use crate::id::{MchId, PersonId};
use crate::ledger::NetworkId;
use crate::money::Money;
use crate::static_code::SourceId;
use crate::time::Timestamp;

row_types! {
    /// A code that a merchant has printed, for any amount. Source.
    StaticCode in static_code as static_code {
        /// The moment it was made, and 80 random bits.
        token: [u8; 16],
        /// The merchant.
        mchid: MchId,
        /// What it says beside the merchant's name.
        label: String,
        /// Where the merchant is told of what is paid by it; empty if nowhere.
        notify_url: String,
        /// When it was made.
        created_at: Timestamp,
        /// When it ended.
        revoked_at: Option<Timestamp>,
    }

    /// Somebody without a wallet here, who pays by printed codes at another wallet. Source.
    Guest in guest as guest {
        /// Stands for them as a person's does, and is none.
        id: PersonId,
        /// Their wallet.
        network: NetworkId,
        /// When they first came.
        created_at: Timestamp,
    }

    /// What was paid by printed codes on a day from one source. Source.
    StaticTally in static_tally as static_tally {
        /// From where.
        source: SourceId,
        /// The day in China that the rest counts.
        day: i64,
        /// From when on.
        since: Timestamp,
        /// How much, payments under way included.
        used: Money,
        /// Of a balance, how many orders its person made.
        orders: u16,
    }
}
