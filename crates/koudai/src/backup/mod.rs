//! `koudai backup` and `koudai restore`: one moment of a ledger as a directory of its own, and back.
//!
//! A copy is a directory with `koudai.db`, the words of a data directory (`kind`, and `restored`, so that a ledger served from
//! a copy by hand holds its courier too), and `backup.json`, written last, which says what the copy is and by what it is
//! known again. The operator's keys are not in it.

pub(crate) mod restore;
pub(crate) mod take;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use koudai_store::copy::Head;
use koudai_store::{Database, sqlite};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::directory::{self, Kind};
use crate::durable;
use crate::failure::Failure;

/// The file that says what a copy is.
const MANIFEST: &str = "backup.json";
/// The form of copies that this program makes.
const FORMAT: u32 = 1;

/// What a copy is.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// The version of the program that made it.
    koudai: String,
    /// When it was begun, milliseconds since 1970.
    taken_at_ms: i64,
    /// The moment of the newest id in it.
    ids_at_ms: i64,
    journals: u64,
    /// The number of the newest seal.
    seal: i64,
    seal_hash: String,
    /// Of the database's file.
    bytes: u64,
    sha256: String,
    /// By which the operator's keys are known again (`keys::fingerprints`).
    keys: BTreeMap<String, String>,
}

/// A copy that is what it says.
#[derive(Debug)]
struct Copied {
    database: Database,
    kind: Kind,
    head: Head,
    manifest: Manifest,
}

impl Copied {
    /// Opens a copy: made by this program, and byte by byte as it was made.
    fn open(directory: &Path) -> Result<Self, Failure> {
        let at = directory.display();
        let refuse = |why: &str| Failure::new(format!("{at} is no copy that can be restored: {why}"));
        if !is_itself(directory, true) {
            return Err(refuse(
                "it is not there, or no directory; links are not followed, name the directory itself",
            ));
        }
        let file = directory.join(sqlite::FILE);
        if !is_itself(&directory.join(MANIFEST), false) || !is_itself(&file, false) {
            return Err(refuse("it lacks koudai.db or backup.json, which `koudai backup` makes"));
        }
        let kind = directory::kind(directory)?.ok_or_else(|| refuse("it lacks the file `kind`"))?;
        let manifest = read_manifest(directory)?;
        for beside in ["-wal", "-journal", "-shm"] {
            let name = format!("{}{beside}", sqlite::FILE);
            if directory.join(&name).symlink_metadata().is_ok() {
                return Err(refuse(&format!("{name} lies beside its database, which was opened since")));
            }
        }
        let reading = |error: &std::io::Error| Failure::because(format!("reading {}", file.display()), error);
        let bytes = file.metadata().map_err(|error| reading(&error))?.len();
        if bytes != manifest.bytes {
            let why = format!("its database has {bytes} bytes and had {} when it was made", manifest.bytes);
            return Err(refuse(&why));
        }
        if sha256(&file).map_err(|error| reading(&error))? != manifest.sha256 {
            return Err(refuse("its database was changed since it was made"));
        }
        let database = Database::Directory(directory.to_owned());
        let head = database.head().map_err(|error| Failure::because(directory.display(), &error))?;
        if (head.seal.no, hex(&head.seal.hash())) != (manifest.seal, manifest.seal_hash.clone()) {
            return Err(refuse("its database ends with another seal than backup.json says"));
        }
        Ok(Self { database, kind, head, manifest })
    }
}

/// Whether a path is a file or a directory itself, and not a link to one.
fn is_itself(path: &Path, directory: bool) -> bool {
    path.symlink_metadata().is_ok_and(|found| if directory { found.is_dir() } else { found.is_file() })
}

fn read_manifest(directory: &Path) -> Result<Manifest, Failure> {
    /// What every form begins with.
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    let path = directory.join(MANIFEST);
    let bytes = durable::read(&path)
        .map_err(|error| Failure::because(format!("reading {}", path.display()), &error))?;
    let damaged = |_| Failure::new(format!("{} is damaged", path.display()));
    let Form { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(Failure::new(format!(
            "{} has the form {format}, this program knows {FORMAT}: use the program that made it",
            path.display()
        )));
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

/// The hash of a file that SQLite does not have open in this process: closing a file of its own drops its locks.
fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&chunk[..n]),
        }
    }
}

/// Bytes as people compare them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string");
    }
    text
}

/// Seconds to the millisecond.
fn seconds(elapsed: Duration) -> f64 {
    format!("{}.{:03}", elapsed.as_secs(), elapsed.subsec_millis()).parse().unwrap_or(0.0)
}
