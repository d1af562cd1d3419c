//! A data directory and what it is for. A demo's keys and cards are public knowledge, so `serve` never runs on its
//! directory, and a demo never on a real one.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use koudai_core::secret::Secret;
use koudai_store::{Database, DirectoryLock};

use crate::durable;
use crate::failure::Failure;

/// The file that says what a data directory is for.
const MARKER: &str = "kind";
/// The file that says which server's database holds the ledger, by its URL, when it is not in the directory itself.
const DATABASE: &str = "database";

/// What a data directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For trying things.
    Demo,
    /// For real.
    Serve,
}

impl Kind {
    /// The word in the file.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Serve => "serve",
        }
    }
}

/// The file that says that a data directory's ledger was restored, until the operator has compared it with the outside.
const RESTORED: &str = "restored";

/// How far a restored ledger has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// It is being restored, or that was cut short. Nothing may open it.
    Unfinished,
    /// It is whole. Banks and merchants may know of what was done after the copy was taken, so nothing is sent to them.
    Unreconciled,
}

impl Restored {
    const fn word(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Unreconciled => "unreconciled",
        }
    }
}

/// Whether a directory's ledger was restored and not reconciled since.
///
/// # Errors
/// If that cannot be read, or the file is none of ours.
pub(crate) fn restored(directory: &Path) -> Result<Option<Restored>, Failure> {
    let path = directory.join(RESTORED);
    let bytes = match durable::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::because(format!("reading {}", path.display()), &error)),
    };
    let known = [Restored::Unfinished, Restored::Unreconciled];
    let found = known.into_iter().find(|state| state.word().as_bytes() == bytes.trim_ascii());
    found.map(Some).ok_or_else(|| Failure::new(format!("{} is damaged", path.display())))
}

/// Says how far a directory's restored ledger has come; `None` once it is as good as any.
///
/// # Errors
/// As the file system's.
pub(crate) fn set_restored(directory: &Path, state: Option<Restored>) -> std::io::Result<()> {
    let path = directory.join(RESTORED);
    match state {
        Some(state) => durable::write(&path, format!("{}\n", state.word()).as_bytes()),
        None => std::fs::remove_file(&path).and_then(|()| durable::sync_directory(directory)),
    }
}

/// What a directory is for; `None` if it is not there, or is no data directory yet.
///
/// # Errors
/// If it cannot be read, or its marker is none of ours.
pub(crate) fn kind(directory: &Path) -> Result<Option<Kind>, Failure> {
    match durable::read(&directory.join(MARKER)) {
        Ok(bytes) => match bytes.trim_ascii() {
            b"demo" => Ok(Some(Kind::Demo)),
            b"serve" => Ok(Some(Kind::Serve)),
            _ => Err(Failure::new(format!(
                "{}: the file `{MARKER}` says neither demo nor serve; this directory was not made by this program",
                directory.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::because(format!("reading {}", directory.join(MARKER).display()), &error)),
    }
}

/// Why a directory of one kind cannot serve as the other.
pub(crate) fn wrong_kind(directory: &Path, found: Kind) -> String {
    let directory = directory.display();
    match found {
        Kind::Demo => format!(
            "{directory} is a demo's data directory, and nothing of a demo may become real: \
             make another with `koudai keys create --data DIR`"
        ),
        Kind::Serve => format!(
            "{directory} is the data directory of a real server, which a demo must not touch: \
             choose another with --data DIR"
        ),
    }
}

/// Makes an absent or empty directory a data directory of this kind; one that is of this kind already stays so.
///
/// # Errors
/// If it is of the other kind, or holds anything that is not ours.
pub(crate) fn prepare(directory: &Path, wanted: Kind) -> Result<(), Failure> {
    match kind(directory)? {
        Some(found) if found == wanted => return Ok(()),
        Some(found) => return Err(Failure::usage(wrong_kind(directory, found))),
        None => {}
    }
    let make = || -> std::io::Result<bool> {
        durable::make_directory(directory)?;
        if std::fs::read_dir(directory)?.next().is_some() {
            return Ok(false);
        }
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
        mark(directory, wanted)?;
        Ok(true)
    };
    match make() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::usage(format!(
            "{} is not empty and no data directory of ours; choose an empty or absent one with --data DIR",
            directory.display()
        ))),
        Err(error) => {
            Err(Failure::because(format!("making the data directory {}", directory.display()), &error))
        }
    }
}

/// Says in a directory what it is for.
///
/// # Errors
/// As the file system's.
pub(crate) fn mark(directory: &Path, kind: Kind) -> std::io::Result<()> {
    durable::write(&directory.join(MARKER), format!("{}\n", kind.word()).as_bytes())
}

/// Where the ledger of a data directory is kept: in the directory, or in the server's database it names.
///
/// # Errors
/// If a restore into it was cut short. If the address cannot be read or used, or could be read by others than its owner,
/// since it may hold a password.
pub(crate) fn database(directory: &Path) -> Result<Database, Failure> {
    if restored(directory)? == Some(Restored::Unfinished) {
        return Err(Failure::new(format!(
            "{}: a restore into it is under way or was cut short; run `koudai restore` again",
            directory.display()
        )));
    }
    place(directory)
}

/// As `database`, of a directory that may be in the middle of a restore.
///
/// # Errors
/// If the address cannot be read or used.
pub(crate) fn place(directory: &Path) -> Result<Database, Failure> {
    let path = directory.join(DATABASE);
    let reading = |error: &std::io::Error| Failure::because(format!("reading {}", path.display()), error);
    let bytes = match durable::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Database::Directory(directory.to_owned()));
        }
        Err(error) => return Err(reading(&error)),
    };
    if durable::is_open_to_others(&path).map_err(|error| reading(&error))? {
        let path = path.display();
        return Err(Failure::new(format!("{path} can be read by others than its owner: chmod 600 {path}")));
    }
    let url = String::from_utf8_lossy(&bytes);
    Database::server(Secret::new(url.trim().to_owned()))
        .map_err(|error| Failure::because(path.display(), &error))
}

/// Has a new data directory keep its ledger in a server's database.
///
/// # Errors
/// If the URL cannot be used, or the file system says no.
pub(crate) fn keep_ledger_at(directory: &Path, url: &Secret<String>) -> Result<(), Failure> {
    Database::server(url.clone()).map_err(|error| Failure::usage(error.to_string()))?;
    let path = directory.join(DATABASE);
    durable::write(&path, url.expose().as_bytes())
        .map_err(|error| Failure::because(format!("writing {}", path.display()), &error))
}

/// Keeps other processes of ours off a directory while it is being set up.
///
/// # Errors
/// If one is running there.
pub(crate) fn lock(directory: &Path) -> Result<DirectoryLock, Failure> {
    DirectoryLock::take(directory).map_err(|error| Failure::because("opening the data directory", &error))
}
