//! `koudai backup`: copies one moment of a ledger beside its owner, checks the copy and only then gives it its name.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use koudai_engine::Clock;
use koudai_store::{Database, DirectoryLock, sqlite};
use serde_json::json;

use super::{FORMAT, MANIFEST, Manifest, hex, seconds, sha256};
use crate::cli::BackupArgs;
use crate::directory::{self, Restored};
use crate::failure::Failure;
use crate::{durable, keys, verify};

/// `koudai backup`: prints what was copied as one line of JSON, and beside it, for people, that the copy is good.
///
/// # Errors
/// If there is something under the copy's name, or anything keeps it from being whole. Nothing is under its name then.
pub(crate) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let data = args.data.as_path();
    let Some(kind) = directory::kind(data)? else {
        return Err(Failure::usage(format!("{} is not a data directory", data.display())));
    };
    let ledger = directory::database(data)?;
    let keys = keys::fingerprints(data)?;
    let unfinished = Unfinished::make(&args.to)?;
    let doing = |what: &str| format!("{what} the copy {}", args.to.display());

    let (began, taken_at) = (Instant::now(), Clock::wall().now());
    ledger.copy_to(&unfinished.path).map_err(|error| Failure::because(doing("making"), &error))?;
    let copied = began.elapsed();
    // Before it is opened to be checked, and after it was closed.
    let file = unfinished.path.join(sqlite::FILE);
    let sum = file.metadata().and_then(|found| Ok((found.len(), sha256(&file)?)));
    let (bytes, sha256) = sum.map_err(|error| Failure::because(doing("reading"), &error))?;
    let copy = Database::Directory(unfinished.path.clone());
    let report = verify::run(&copy).map_err(|wrong| {
        Failure::because(format!("{}: the copy does not hold", args.to.display()), &wrong)
    })?;
    let head = copy.head().map_err(|error| Failure::because(doing("reading"), &error))?;
    let manifest = Manifest {
        format: FORMAT,
        koudai: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at_ms: taken_at.0,
        ids_at_ms: head.ids_at.0,
        journals: report.journals,
        seal: head.seal.no,
        seal_hash: hex(&head.seal.hash()),
        bytes,
        sha256,
        keys,
    };
    let describe = || {
        directory::mark(&unfinished.path, kind)?;
        directory::set_restored(&unfinished.path, Some(Restored::Unreconciled))?;
        let text = serde_json::to_vec_pretty(&manifest).expect("a description is plain JSON");
        durable::write(&unfinished.path.join(MANIFEST), &text)
    };
    describe()
        .and_then(|()| unfinished.finish(&args.to))
        .map_err(|error| Failure::because(doing("finishing"), &error))?;
    let said = json!({
        "copy": args.to,
        "journals": report.journals,
        "seal": head.seal.no,
        "seal_hash": manifest.seal_hash,
        "bytes": bytes,
        "seconds": seconds(began.elapsed()),
        "seconds_copying": seconds(copied),
    });
    println!("{said}");
    eprintln!("{}: 备份完整，各项核对无误 · the copy is whole and every invariant holds", args.to.display());
    if manifest.keys.is_empty() {
        eprintln!("{}: 没有找到密钥 · there are no keys beside this ledger", data.display());
    } else {
        eprintln!(
            "密钥不在其中：请另行保管 {0}，没有密钥就打不开备份 · the keys are not in it: keep {0} apart, \
             without them it opens nothing",
            data.join("keys").display()
        );
    }
    Ok(())
}

/// A copy that is being made, beside the name it will have. It goes when it is not finished.
struct Unfinished {
    path: PathBuf,
    finished: bool,
    /// Tells a copy under way from one that was cut short.
    _lock: DirectoryLock,
}

impl Unfinished {
    fn make(to: &Path) -> Result<Self, Failure> {
        let Some(name) = to.file_name() else {
            return Err(Failure::usage(format!("{} cannot be the name of a copy", to.display())));
        };
        if to.symlink_metadata().is_ok() {
            return Err(Failure::usage(format!(
                "there is something at {} already: a copy gets a name of its own",
                to.display()
            )));
        }
        let path = to.with_file_name(format!(".{}.unfinished", name.to_string_lossy()));
        let failed = |error: &io::Error| Failure::because(format!("making {}", path.display()), error);
        let make = || DirBuilder::new().mode(0o700).create(&path);
        match make() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Whoever left it holds its lock while it lives.
                let _over = directory::lock(&path)?;
                std::fs::remove_dir_all(&path).and_then(|()| make()).map_err(|error| failed(&error))?;
            }
            made => made.map_err(|error| failed(&error))?,
        }
        let lock = directory::lock(&path)?;
        Ok(Self { path, finished: false, _lock: lock })
    }

    /// Gives it its name.
    fn finish(mut self, to: &Path) -> io::Result<()> {
        durable::sync_directory(&self.path)?;
        std::fs::rename(&self.path, to)?;
        self.finished = true;
        durable::sync_directory(to.parent().unwrap_or(Path::new(".")))?;
        std::fs::remove_file(to.join(DirectoryLock::FILE))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "an unfinished copy is left");
        }
    }
}
