//! The operator's keys on disk: made once, whole or not at all, and read by nobody else.
//!
//! They lie in `keys/` beside the database and never in it, so that a leaked database alone opens nothing. A directory
//! whose keys are gone is never given new ones: what the old ones sealed would be lost without a word.

pub(crate) mod generations;
pub(crate) mod rotate;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use koudai_core::secret::Secret;
use koudai_core::state::keyed_mac;
use koudai_engine::Clock;
use koudai_networks::platform::{PUBLIC_KEY_PREFIX, Platform, SigningMode};
use koudai_networks::vault::Vault;
use koudai_wechatpay::certificate::{Authority, Certificate};
use koudai_wechatpay::keys::PrivateKey;
use zeroize::Zeroizing;

use crate::backup::hex;
use crate::cli::KeysCreateArgs;
use crate::directory::{self, Kind};
use crate::durable;
use crate::failure::Failure;

/// How long a certificate of the platform's is valid, as in the original.
const PLATFORM_CERTIFICATE_YEARS: u32 = 5;

/// Keys of 32 random bytes, each in a file of its own.
const RANDOM: [&str; 6] =
    ["payment_password.key", "one_time_code.key", "data.key", "compare.key", "openid.key", "code_seed.key"];
const AUTHORITY_KEY: &str = "authority_key.pem";
const AUTHORITY_CERTIFICATE: &str = "authority_certificate.pem";
const PLATFORM_KEY: &str = "platform_certificate_key.pem";
const PLATFORM_CERTIFICATE: &str = "platform_certificate.pem";
const PUBLIC_KEY: &str = "platform_public_key_private.pem";
const PUBLIC_KEY_ID: &str = "platform_public_key_id";
const ISSUER_APP_KEY: &str = "issuer_app_key.pem";
const TEXTS: [&str; 7] = [
    AUTHORITY_KEY,
    AUTHORITY_CERTIFICATE,
    PLATFORM_KEY,
    PLATFORM_CERTIFICATE,
    PUBLIC_KEY,
    PUBLIC_KEY_ID,
    ISSUER_APP_KEY,
];

/// How many slow keys [`create`] makes.
pub(crate) const SLOW_KEYS: u32 = 4;

/// All of the operator's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What decisions need.
    pub(crate) decisions: koudai_core::state::Keys,
    /// What is stored is sealed with.
    pub(crate) vault: Vault,
    /// What signs for the platform.
    pub(crate) platform: Platform,
    /// Signs what is asked of the issuer.
    pub(crate) issuer_app: PrivateKey,
}

/// Tells whoever waits what is being made. Making an RSA key takes from some tens of milliseconds to a second.
#[derive(Debug)]
pub(crate) struct Progress {
    done: u32,
    of: u32,
}

impl Progress {
    /// Nothing of `of` keys is made yet.
    pub(crate) const fn of(of: u32) -> Self {
        Self { done: 0, of }
    }

    /// Makes an RSA key and says so.
    pub(crate) fn generate(&mut self, what: &str) -> PrivateKey {
        self.step(what);
        PrivateKey::generate()
    }

    fn step(&mut self, what: &str) {
        self.done += 1;
        eprintln!("first start: generating keys {}/{} ({what})", self.done, self.of);
    }
}

/// Where the keys of a data directory lie.
fn place(directory: &Path) -> PathBuf {
    directory.join("keys")
}

/// Whether a data directory has its keys.
pub(crate) fn exist(directory: &Path) -> bool {
    place(directory).exists()
}

/// Makes the keys of a new data directory. Either all of them are there afterwards or none.
///
/// # Errors
/// If there is a database already, or the file system says no.
pub(crate) fn create(directory: &Path, clock: &Clock, progress: &mut Progress) -> Result<(), Failure> {
    if directory.join(koudai_store::sqlite::FILE).exists() {
        return Err(Failure::new(format!(
            "{} holds a database but not its keys; put its `keys` directory back from your backup",
            directory.display()
        )));
    }
    let unfinished = directory.join("keys.new");
    let made = write_all(&unfinished, clock.now().0, progress);
    let moved = made.and_then(|()| std::fs::rename(&unfinished, place(directory)));
    moved
        .and_then(|()| durable::sync_directory(directory))
        .map_err(|error| Failure::because(format!("writing keys to {}", directory.display()), &error))
}

fn write_all(to: &Path, now_ms: i64, progress: &mut Progress) -> std::io::Result<()> {
    // What a start that was cut short left here was never used.
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    durable::make_directory(to)?;
    let write = |name: &str, bytes: &[u8]| durable::write(&to.join(name), bytes);
    for name in RANDOM {
        write(name, koudai_engine::random_bytes().expose())?;
    }
    progress.step("authority");
    let authority = Authority::generate("Koudai", now_ms).expect("a plain name and the present are in range");
    write(AUTHORITY_KEY, authority.key_pem().as_bytes())?;
    write(AUTHORITY_CERTIFICATE, authority.certificate_pem().as_bytes())?;
    let key = progress.generate("platform certificate");
    let certificate = authority
        .issue("Koudai platform", &key.public_key(), now_ms, PLATFORM_CERTIFICATE_YEARS)
        .expect("a plain name and the present are in range");
    write(PLATFORM_KEY, key.to_pem().as_bytes())?;
    write(PLATFORM_CERTIFICATE, certificate.pem.as_bytes())?;
    write(PUBLIC_KEY, progress.generate("platform public key").to_pem().as_bytes())?;
    write(PUBLIC_KEY_ID, public_key_id().as_bytes())?;
    write(ISSUER_APP_KEY, progress.generate("card issuer").to_pem().as_bytes())?;
    durable::sync_directory(to)
}

/// `PUB_KEY_ID_` and 28 digits, as the protocol's own look.
fn public_key_id() -> String {
    let random = koudai_engine::random_bytes();
    let digits = random.expose().iter().take(26).map(|byte| char::from(b'0' + byte % 10));
    format!("{PUBLIC_KEY_PREFIX}01{}", digits.collect::<String>())
}

/// By which the random keys of a data directory are known again, and say nothing of themselves: a MAC of a constant under
/// each, by its file's name. Those that are absent are left out.
///
/// # Errors
/// If one cannot be read or is damaged.
pub(crate) fn fingerprints(directory: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut known = BTreeMap::new();
    for name in RANDOM {
        let path = place(directory).join(name);
        let bytes = match durable::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::because(format!("reading {}", path.display()), &error)),
        };
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(
            bytes
                .as_slice()
                .try_into()
                .map_err(|_| Failure::new(format!("{} is damaged", path.display())))?,
        );
        let mac = keyed_mac(&key, &[b"koudai backup 1", name.as_bytes()]);
        known.insert(name.to_owned(), hex(&mac[..16]));
    }
    Ok(known)
}

/// What is wrong with the keys of a data directory, file by file; empty if nothing is.
pub(crate) fn problems(directory: &Path) -> Vec<String> {
    let keys = place(directory);
    if !keys.is_dir() {
        return vec![format!("{} has no keys: make them with `koudai keys create`", directory.display())];
    }
    let files = RANDOM.iter().chain(&TEXTS).map(|name| (keys.join(name), "600"));
    let later = generations::files(&keys).unwrap_or_default().into_iter().map(|path| (path, "600"));
    std::iter::once((keys.clone(), "700"))
        .chain(files)
        .chain(later)
        .filter_map(|(path, mode)| match durable::is_open_to_others(&path) {
            Ok(false) => None,
            Ok(true) => {
                let path = path.display();
                Some(format!("{path} can be reached by others than its owner: chmod {mode} {path}"))
            }
            Err(error) => Some(format!("{}: {error}", path.display())),
        })
        .collect()
}

/// Reads the keys of a data directory.
///
/// # Errors
/// If one is missing, damaged, or open to others than its owner; all of them are named.
pub(crate) fn load(directory: &Path) -> Result<Keys, Failure> {
    let wrong = problems(directory);
    if !wrong.is_empty() {
        return Err(Failure::new(wrong.join("\n        ")));
    }
    let random = |name: &str| -> Result<Secret<[u8; 32]>, Failure> {
        let bytes = read(directory, name)?;
        Ok(Secret::new(bytes.as_slice().try_into().map_err(|_| damaged(directory, name))?))
    };
    let [payment_password, one_time_code, data, compare, openid, code_seed] = RANDOM;
    let authority =
        Authority::from_pem(&text(directory, AUTHORITY_KEY)?, &text(directory, AUTHORITY_CERTIFICATE)?)
            .map_err(|_| damaged(directory, AUTHORITY_KEY))?;
    let (certificate, public_key) = (first_certificate(directory)?, first_public_key(directory)?);
    let platform = Platform::new(authority, certificate, public_key, random(code_seed)?.expose())
        .map_err(|_| damaged(directory, code_seed))?;
    generations::refresh(directory, &platform, Clock::wall().now())?;
    Ok(Keys {
        decisions: koudai_core::state::Keys {
            payment_password: random(payment_password)?,
            one_time_code: random(one_time_code)?,
        },
        vault: Vault::new(&random(data)?, random(compare)?, random(openid)?),
        platform,
        issuer_app: private(directory, ISSUER_APP_KEY)?,
    })
}

fn read(directory: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let path = place(directory).join(name);
    durable::read(&path).map_err(|error| Failure::because(format!("reading {}", path.display()), &error))
}

fn damaged(directory: &Path, name: &str) -> Failure {
    Failure::new(format!("{} is damaged", place(directory).join(name).display()))
}

fn text(directory: &Path, name: &str) -> Result<Zeroizing<String>, Failure> {
    let bytes = read(directory, name)?;
    Ok(Zeroizing::new(std::str::from_utf8(&bytes).map_err(|_| damaged(directory, name))?.to_owned()))
}

fn private(directory: &Path, name: &str) -> Result<PrivateKey, Failure> {
    PrivateKey::from_pem(&text(directory, name)?).map_err(|_| damaged(directory, name))
}

/// The platform's certificate that `create` made, with its key.
fn first_certificate(directory: &Path) -> Result<(PrivateKey, Certificate), Failure> {
    let certificate = Certificate::from_pem(&text(directory, PLATFORM_CERTIFICATE)?)
        .map_err(|_| damaged(directory, PLATFORM_CERTIFICATE))?;
    let key = private(directory, PLATFORM_KEY)?;
    if key.public_key() != certificate.public_key {
        return Err(damaged(directory, PLATFORM_KEY));
    }
    Ok((key, certificate))
}

/// The platform's public key that `create` made, with its id.
fn first_public_key(directory: &Path) -> Result<(PrivateKey, String), Failure> {
    let id = text(directory, PUBLIC_KEY_ID)?.trim().to_owned();
    Ok((private(directory, PUBLIC_KEY)?, id))
}

/// `koudai keys create`: a data directory with fresh keys, and as JSON what others have to be given of them.
///
/// # Errors
/// If the directory is anything but absent or empty.
pub(crate) fn run(args: &KeysCreateArgs) -> Result<(), Failure> {
    let (directory, clock) = (args.data.as_path(), Clock::wall());
    directory::prepare(directory, if args.demo { Kind::Demo } else { Kind::Serve })?;
    let _lock = directory::lock(directory)?;
    if exist(directory) {
        return Err(Failure::new(format!("{} has its keys already", directory.display())));
    }
    if let Some(url) = &args.database {
        directory::keep_ledger_at(directory, &Secret::new(url.clone()))?;
    }
    if args.demo {
        crate::demo::create_keys(directory, &clock)?;
    } else {
        create(directory, &clock, &mut Progress::of(SLOW_KEYS))?;
    }
    let keys = load(directory)?;
    let now = clock.now();
    let (certificate, public_key) = (
        keys.platform.signer(SigningMode::Certificate, now),
        keys.platform.signer(SigningMode::PublicKey, now),
    );
    let public = serde_json::json!({
        "data": directory,
        "issuer_app_public_key_pem": keys.issuer_app.public_key().to_pem(),
        "platform_certificate_pem": certificate.certificate.as_ref().map(|certificate| &certificate.pem),
        "platform_certificate_serial": certificate.name,
        "platform_public_key_pem": public_key.key.public_key().to_pem(),
        "platform_public_key_id": public_key.name,
    });
    println!("{public:#}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn made() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), &Clock::wall(), &mut Progress::of(SLOW_KEYS)).unwrap();
        directory
    }

    #[test]
    fn keys_are_the_same_after_a_restart() {
        let directory = made();
        let (one, two) = (load(directory.path()).unwrap(), load(directory.path()).unwrap());
        let names = |keys: &Keys| keys.platform.keys().iter().map(|key| key.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&two));
        assert_eq!(names(&one)[1].len(), "PUB_KEY_ID_".len() + 28);
        assert_eq!(one.decisions.payment_password, two.decisions.payment_password);
        assert_ne!(one.decisions.payment_password, one.decisions.one_time_code);
        assert_eq!(one.issuer_app.public_key(), two.issuer_app.public_key());
        assert!(!directory.path().join("keys.new").exists());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_by_name() {
        let directory = made();
        let open = directory.path().join("keys/data.key");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o640)).unwrap();
        let text = load(directory.path()).unwrap_err().to_string();
        assert!(text.contains("data.key") && text.contains("chmod 600"), "{text}");
    }

    #[test]
    fn a_missing_or_damaged_key_is_named_and_never_made_anew() {
        let directory = made();
        let path = directory.path().join("keys/openid.key");
        durable::write(&path, b"short").unwrap();
        assert!(load(directory.path()).unwrap_err().to_string().contains("openid.key is damaged"));
        std::fs::remove_file(&path).unwrap();
        assert!(load(directory.path()).unwrap_err().to_string().contains("openid.key"));
        assert!(!path.exists());
    }

    #[test]
    fn a_database_without_its_keys_gets_no_new_ones() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("koudai.db"), b"").unwrap();
        let error = create(directory.path(), &Clock::wall(), &mut Progress::of(4)).unwrap_err();
        assert!(error.to_string().contains("backup"), "{error}");
        assert!(!exist(directory.path()));
    }
}
