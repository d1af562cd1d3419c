//! How an app's server learns who a person is: the app's secret, and codes that are good once.
//!
//! A code is made without a write: whom it names is sealed in it. Only its use is recorded, until it would have expired.

use crate::id::MchId;
use crate::refusal::MerchantRefusal;
use crate::rows::{App, UsedLoginCode};
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::{MINUTE, Timestamp};

/// How long a code is good, ms (protocol specification 5).
pub const LOGIN_CODE_LIFE_MS: i64 = 5 * MINUTE;
/// How long the use of a code is remembered after it has expired, ms: whoever sends it again is told that it was used.
pub const USED_CODE_KEPT_MS: i64 = 60 * MINUTE;

/// Gives a merchant's app another secret; the one before is good no longer.
#[derive(Clone, Debug)]
pub struct SetAppSecret {
    /// The merchant.
    pub mchid: MchId,
    /// Keyed hash of the secret, which itself is kept nowhere.
    pub secret_mac: [u8; 32],
}

impl Command for SetAppSecret {
    /// The app.
    type Reply = App;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<App, Stop<MerchantRefusal>> {
        let merchant = tx.rows().merchant.get(&self.mchid).or_stop()?.cloned();
        let appid = merchant.ok_or(MerchantRefusal::MerchantUnknown)?.appid;
        let app = tx.rows().app.get(&appid).or_stop()?.cloned();
        let mut app = app.expect("a merchant has its app");
        app.secret_mac = Some(self.secret_mac);
        tx.rows().app.put(app.clone());
        Ok(app)
    }
}

/// Uses a login code, which can be done once.
#[derive(Clone, Copy, Debug)]
pub struct UseLoginCode {
    /// What the code is told apart by.
    pub token: [u8; 16],
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Why a login code is good no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginCodeSpent {
    /// It was used.
    Used,
    /// It is past its time.
    Expired,
}

impl Command for UseLoginCode {
    type Reply = ();
    type Refusal = LoginCodeSpent;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<LoginCodeSpent>> {
        let (token, expires_at) = (self.token, self.expires_at);
        if tx.rows().used_login_code.get(&token).or_stop()?.is_some() {
            return Err(LoginCodeSpent::Used.into());
        }
        if tx.now() >= expires_at {
            return Err(LoginCodeSpent::Expired.into());
        }
        tx.rows().used_login_code.put(UsedLoginCode { token, expires_at });
        Ok(())
    }
}

/// Forgets codes that were used and have been expired for long. Those that could still be tried stay.
#[derive(Clone, Debug)]
pub struct SweepLoginCodes {
    /// At most a few hundred.
    pub tokens: Vec<[u8; 16]>,
}

impl Command for SweepLoginCodes {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let old = tx.now().plus(-USED_CODE_KEPT_MS);
        tx.rows().used_login_code.sweep(&self.tokens, |row| row.expires_at <= old).or_stop()
    }
}
