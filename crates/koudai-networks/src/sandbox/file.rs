//! A sandbox's own file: SQLite in WAL mode with full synchronisation, one connection behind a lock. A sandbox answers only
//! after its commit, so whatever it said is still so after a crash.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::SandboxError;

/// Keyed hashes of codes and of the content of requests: neither can be guessed from a copy of the file alone.
pub(crate) struct Hasher(hmac::Key);

impl Hasher {
    /// Over a purpose and parts, each with its length, so that no two lists of parts read the same.
    pub(crate) fn hash(&self, purpose: &str, parts: &[&str]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&purpose).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().to_vec()
    }
}

/// Opens or creates a sandbox's file `NAME.db` in `dir`, and the key of its hashes beside it. Another process with the same
/// directory is refused. `prepare` is handed the version that stands there, 0 for a new file, and says which stands then.
pub(crate) fn open(
    dir: &Path,
    name: &'static str,
    prepare: impl FnOnce(&Transaction<'_>, i64) -> Result<i64, SandboxError>,
) -> Result<(Connection, Hasher), SandboxError> {
    fs::create_dir_all(dir)?;
    let hasher = hasher(&dir.join(format!("{name}.key")))?;
    let mut connection = Connection::open(dir.join(format!("{name}.db")))?;
    // Long enough for a sandbox in this process that is just being dropped.
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stands = tx.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
    let version = prepare(&tx, stands)?;
    tx.pragma_update(None, "user_version", version)?;
    tx.commit()?;
    Ok((connection, hasher))
}

fn hasher(path: &Path) -> Result<Hasher, SandboxError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut key = Vec::with_capacity(32);
    file.read_to_end(&mut key)?;
    if key.is_empty() {
        key.resize(32, 0);
        rand::fill(&mut key).expect("the system's random source works");
        file.write_all(&key)?;
        file.sync_all()?;
    }
    if key.len() != 32 {
        return Err(SandboxError::Corrupt("the key of its hashes"));
    }
    Ok(Hasher(hmac::Key::new(hmac::HMAC_SHA256, &key)))
}
