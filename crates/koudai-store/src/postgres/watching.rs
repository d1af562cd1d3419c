//! What somebody who waits for a ledger sees of its owner. It only looks: who may commit is the lease's to say.

use koudai_core::secret::Secret;

use super::migrations;
use super::session::{Role, Session};
use crate::PARTITION;
use crate::error::StoreError;

/// A session that looks at a ledger's owner.
pub struct Watch(Session);

/// The owner as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Its epoch.
    pub epoch: i64,
    /// Its heartbeat, which an owner that is alive changes about once a second.
    pub heartbeat: i64,
    /// Whether its session may be there. If not, it has ended and commits nothing more.
    pub present: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn open(url: &Secret<String>) -> Result<Self, StoreError> {
        Session::open(url, Role::Watch).map(Self)
    }

    /// Looks; `None` if the ledger never had an owner.
    ///
    /// # Errors
    /// What the server says.
    pub fn look(&self) -> Result<Option<Sight>, StoreError> {
        let looking = || StoreError::postgres("looking at the ledger's owner");
        if !migrations::exists(&self.0, "lease")? {
            return Ok(None);
        }
        // The name of another role's session is hidden from a role without rights to it: such a session may be the owner's.
        let sql = "SELECT epoch, heartbeat_ms, EXISTS (
                     SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                     AND (application_name = $2 OR application_name IS NULL))
                   FROM lease WHERE partition = $1";
        let rows = self.0.query(sql, &[&PARTITION, &Role::OWNER]).map_err(looking())?;
        let sight = |row: &tokio_postgres::Row| {
            Ok(Sight { epoch: row.try_get(0)?, heartbeat: row.try_get(1)?, present: row.try_get(2)? })
        };
        rows.first().map(sight).transpose().map_err(looking())
    }
}
