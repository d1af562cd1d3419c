//! Where a test's ledger is kept: in files of its own, or, when `KOUDAI_TEST_POSTGRES` names a server (its URL without a
//! database), in a database of its own there. The same tests run on both (`tests/with-postgres.sh`).
#![allow(dead_code, reason = "each crate of tests uses its part of it")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use koudai_core::secret::Secret;
use koudai_store::Database;
use tempfile::TempDir;

/// What `meddle` may use on every database.
const FUNCTIONS: &str = "CREATE FUNCTION zeroblob(n int) RETURNS bytea LANGUAGE sql
                         AS $$ SELECT decode(repeat('00', n), 'hex') $$";

static DATABASES: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(crate) enum Place {
    Directory(TempDir),
    Server { server: String, name: String },
}

fn psql(url: &str, sql: &str) -> String {
    run_psql(url, "-c", sql)
}

fn run_psql(url: &str, option: &str, what: &str) -> String {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, option, what]);
    let output = command.output().expect("psql is installed");
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

impl Place {
    /// On the server, if there is one to test on, or else on files.
    pub(crate) fn new() -> Self {
        Self::on_server().unwrap_or_else(Self::on_files)
    }

    pub(crate) fn on_files() -> Self {
        Self::Directory(tempfile::tempdir().expect("a temporary directory"))
    }

    /// Runs statements on the file, whether or not it has been opened before.
    pub(crate) fn run_on_files(&self, sql: &str) {
        let Self::Directory(directory) = self else { panic!("it is on a server") };
        let file = directory.path().join(koudai_store::sqlite::FILE);
        rusqlite::Connection::open(file).expect("a database").execute_batch(sql).expect("it runs");
    }

    pub(crate) fn on_server() -> Option<Self> {
        let server = std::env::var("KOUDAI_TEST_POSTGRES").ok()?;
        let name = format!("koudai_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
        psql(&format!("{server}/postgres"), &format!("CREATE DATABASE {name}"));
        let place = Self::Server { server, name };
        place.psql(FUNCTIONS);
        Some(place)
    }

    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Directory(directory) => Database::Directory(directory.path().to_owned()),
            Self::Server { .. } => Database::Server(Secret::new(self.url())),
        }
    }

    /// The URL of the database on the server.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Directory(directory) => panic!("{directory:?} is no server"),
            Self::Server { server, name } => format!("{server}/{name}"),
        }
    }

    /// Runs SQL on the server.
    pub(crate) fn psql(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// Runs a file of SQL on the server.
    pub(crate) fn psql_file(&self, path: &Path) {
        run_psql(&self.url(), "-f", path.to_str().expect("a plain path"));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Server { server, name } = self
            && !std::thread::panicking()
        {
            psql(&format!("{server}/postgres"), &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}
