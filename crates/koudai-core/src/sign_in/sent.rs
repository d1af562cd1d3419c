//! Forgetting where codes were sent, and sessions that are over: the counts of a day are of no use after it, and a number somebody
//! once typed is nobody's business.

use crate::refusal::Refusal;
use crate::rows::CodeKey;
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::DAY;

/// How long a code's row is kept after it was asked for, ms: past the day in China that it counts.
pub const SENT_KEPT_MS: i64 = 2 * DAY;

/// How long a session's row is kept after it has ended, ms: whoever sweeps is never ahead of who signs in.
pub const SESSION_KEPT_MS: i64 = DAY;

/// Forgets sessions that ended long ago.
#[derive(Clone, Debug)]
pub struct SweepSessions {
    /// At most a few hundred.
    pub tokens: Vec<[u8; 32]>,
}

impl Command for SweepSessions {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let old = tx.now().plus(-SESSION_KEPT_MS);
        tx.rows().session.sweep(&self.tokens, |row| row.expires_at <= old).or_stop()
    }
}

/// Forgets codes that were asked for long ago.
#[derive(Clone, Debug)]
pub struct SweepSentCodes {
    /// At most a few hundred.
    pub keys: Vec<CodeKey>,
}

impl Command for SweepSentCodes {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let old = tx.now().plus(-SENT_KEPT_MS);
        tx.rows().one_time_code.sweep(&self.keys, |row| row.asked_at <= old).or_stop()
    }
}
