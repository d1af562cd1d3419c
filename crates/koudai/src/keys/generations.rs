//! Later generations of the platform's keys on disk, and what became of each.
//!
//! The first generation lies in files of its own, made with all other keys. Every later one is one file in
//! `keys/platform/`, so that a crash leaves it whole or absent; what begins with a dot there was never finished. A file of
//! the same name as a key of the first generation says what became of that one.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use koudai_core::time::Timestamp;
use koudai_networks::platform::{Platform, PlatformKey};
use koudai_wechatpay::certificate::Certificate;
use koudai_wechatpay::keys::PrivateKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{first_certificate, first_public_key, place};
use crate::durable;
use crate::failure::Failure;

/// Where later generations lie, below the keys.
const DIRECTORY: &str = "platform";
/// What the name of a whole one ends with.
const WHOLE: &str = "json";
/// Held by the command that changes keys.
const LOCK: &str = "rotation.lock";
/// More generations than this are a mistake: each is read at every start.
const MOST: usize = 64;

/// A generation as it stands in its file. There is no `Debug`: it holds a private key.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    private_key_pem: String,
    certificate_pem: Option<String>,
    signs_from_ms: i64,
    retired_at_ms: Option<i64>,
}

/// The files of later generations, none if there was never a second.
///
/// # Errors
/// As the file system's.
pub(super) fn files(keys: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(keys.join(DIRECTORY)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|end| end == WHOLE) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Every generation of a data directory, in the order of their turns.
///
/// # Errors
/// If one cannot be read or is damaged.
fn read_all(directory: &Path) -> Result<Vec<PlatformKey>, Failure> {
    let ((key, certificate), (public_key, id)) =
        (first_certificate(directory)?, first_public_key(directory)?);
    let first = |name, key, certificate| PlatformKey {
        name,
        key,
        certificate,
        signs_from: Timestamp(0),
        retired_at: None,
    };
    let mut all =
        vec![first(certificate.serial.clone(), key, Some(certificate)), first(id, public_key, None)];
    let folder = place(directory).join(DIRECTORY);
    let files = files(&place(directory))
        .map_err(|error| Failure::because(format!("reading {}", folder.display()), &error))?;
    if files.len() > MOST {
        let folder = folder.display();
        return Err(Failure::new(format!("{folder} holds more than {MOST} keys; move old ones elsewhere")));
    }
    for path in files {
        let bytes = durable::read(&path)
            .map_err(|error| Failure::because(format!("reading {}", path.display()), &error))?;
        let key = parse(&bytes).ok_or_else(|| Failure::new(format!("{} is damaged", path.display())))?;
        match all.iter_mut().find(|known| known.name == key.name) {
            Some(known) => *known = key,
            None => all.push(key),
        }
    }
    all.sort_by_key(|key| key.signs_from);
    Ok(all)
}

fn parse(bytes: &[u8]) -> Option<PlatformKey> {
    let Stored { name, private_key_pem, certificate_pem, signs_from_ms, retired_at_ms } =
        serde_json::from_slice(bytes).ok()?;
    let key = PrivateKey::from_pem(&Zeroizing::new(private_key_pem)).ok()?;
    let certificate = match &certificate_pem {
        Some(pem) => Some(Certificate::from_pem(pem).ok()?),
        None => None,
    };
    let fits = certificate.as_ref().is_none_or(|c| c.public_key == key.public_key() && c.serial == name);
    fits.then_some(PlatformKey {
        name,
        key,
        certificate,
        signs_from: Timestamp(signs_from_ms),
        retired_at: retired_at_ms.map(Timestamp),
    })
}

/// Makes a generation durable, or what became of it.
///
/// # Errors
/// As the file system's.
pub(super) fn write(directory: &Path, key: &PlatformKey) -> Result<(), Failure> {
    let folder = place(directory).join(DIRECTORY);
    let mut stored = Stored {
        name: key.name.clone(),
        private_key_pem: key.key.to_pem().as_str().to_owned(),
        certificate_pem: key.certificate.as_ref().map(|certificate| certificate.pem.clone()),
        signs_from_ms: key.signs_from.0,
        retired_at_ms: key.retired_at.map(|at| at.0),
    };
    let bytes = Zeroizing::new(serde_json::to_vec_pretty(&stored).expect("a key is plain JSON"));
    drop(Zeroizing::new(std::mem::take(&mut stored.private_key_pem)));
    let path = folder.join(format!("{}.{WHOLE}", key.name));
    durable::make_directory(&folder)
        .and_then(|()| durable::sync_directory(&place(directory)))
        .and_then(|()| durable::write(&path, &bytes))
        .map_err(|error| Failure::because(format!("writing {}", path.display()), &error))
}

/// Reads every generation anew and has the platform work with them. Whether anything changed.
///
/// # Errors
/// If one cannot be read or is damaged; the platform then goes on with what it has.
pub(super) fn refresh(directory: &Path, platform: &Platform, now: Timestamp) -> Result<bool, Failure> {
    /// Of two who read at once, the one who read first must not be the last to replace.
    static READING: Mutex<()> = Mutex::new(());
    let _reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    let all = read_all(directory)?;
    let known = platform.keys();
    let same = |(found, known): (&PlatformKey, &Arc<PlatformKey>)| {
        (&found.name, found.signs_from, found.retired_at) == (&known.name, known.signs_from, known.retired_at)
    };
    if all.len() == known.len() && all.iter().zip(&known).all(same) {
        return Ok(false);
    }
    let folder = place(directory).join(DIRECTORY);
    platform.replace(all, now).map_err(|error| Failure::because(folder.display(), &error))?;
    Ok(true)
}

/// Keeps other commands off the keys, and takes away what one that was cut short left unfinished.
///
/// # Errors
/// If another command is at work.
pub(super) fn lock(directory: &Path) -> Result<File, Failure> {
    let path = place(directory).join(LOCK);
    let failed = |error: &std::io::Error| Failure::because(format!("locking {}", path.display()), error);
    let mut open = OpenOptions::new();
    let file = open.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(Failure::new("another `koudai keys` is at work on this directory"));
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(failed(&error)),
    }
    if let Ok(entries) = std::fs::read_dir(place(directory).join(DIRECTORY)) {
        let unfinished = entries.flatten().filter(|e| e.file_name().as_encoded_bytes().starts_with(b"."));
        for entry in unfinished {
            std::fs::remove_file(entry.path()).map_err(|error| failed(&error))?;
        }
    }
    Ok(file)
}
