//! `koudai keys rotate`, `retire` and `show`, and what a running server does about its keys: it takes new ones in, and says
//! in time that a certificate ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use koudai_core::time::{DAY, Timestamp};
use koudai_engine::Clock;
use koudai_networks::Networks;
use koudai_networks::platform::{Platform, PlatformKey, SigningMode};
use koudai_wechatpay::keys::PrivateKey;
use serde_json::{Value, json};

use super::{PLATFORM_CERTIFICATE_YEARS, generations, load, public_key_id};
use crate::cli::{KeyMode, KeysRetireArgs, KeysRotateArgs, KeysShowArgs};
use crate::control::{self, Request};
use crate::directory;
use crate::failure::Failure;

/// From the making of a certificate until it signs. SDKs that fetch certificates do so at least twice a day.
const CERTIFICATE_OVERLAP_MS: i64 = DAY;
/// The same for a public key, which no SDK fetches: people have to put it in place.
const PUBLIC_KEY_OVERLAP_MS: i64 = 7 * DAY;
/// The furthest ahead that a turn may lie.
const FURTHEST_MS: i64 = 365 * DAY;
/// How often a running server looks whether its keys have changed on disk. A command tells it at once; this is for keys that
/// were copied to a second machine.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// So many days before its end a certificate without a successor is warned of.
const WARN_DAYS: [i64; 3] = [7, 30, 60];

/// `koudai keys rotate`: the next generation of the platform's keys.
///
/// # Errors
/// If one waits for its turn already, or the file system says no.
pub(crate) async fn run_rotate(args: &KeysRotateArgs) -> Result<(), Failure> {
    let data = checked(&args.data)?;
    {
        let _lock = generations::lock(data)?;
        let (keys, now) = (load(data)?, Clock::wall().now());
        let turn = |mode: &KeyMode| turn(*mode, args.from.as_deref(), now);
        let mut turns = args.key.iter().map(turn).collect::<Result<Vec<_>, _>>()?;
        turns.dedup();
        for (mode, _) in &turns {
            refuse_second(&keys.platform, *mode, now)?;
        }
        if turns.iter().any(|(_, at)| at.since(now) < DAY) {
            eprintln!(
                "Merchants whose SDK does not have the new key by then will refuse what it signs: \
                 give them a day, unless the old key was stolen."
            );
        }
        for (mode, signs_from) in turns {
            generations::write(data, &made(&keys.platform, mode, signs_from, now))?;
        }
    }
    tell(data).await;
    show(data)
}

/// `koudai keys retire`: one generation is neither listed nor used any more.
///
/// # Errors
/// If there is no such key, or nothing would sign in its place.
pub(crate) async fn run_retire(args: &KeysRetireArgs) -> Result<(), Failure> {
    let data = checked(&args.data)?;
    {
        let _lock = generations::lock(data)?;
        retire(data, &args.name, Clock::wall().now())?;
    }
    tell(data).await;
    show(data)
}

fn retire(data: &Path, name: &str, now: Timestamp) -> Result<(), Failure> {
    let all = load(data)?.platform.keys();
    let key = all.iter().find(|key| key.is_named(name));
    let key = key.ok_or_else(|| Failure::usage(format!("the platform has no key {name:?}")))?;
    let stays = |other: &&Arc<PlatformKey>| {
        other.mode() == key.mode() && other.name != key.name && other.serves(now) && other.signs_from <= now
    };
    if !all.iter().any(|other| stays(&other)) {
        let name = &key.name;
        return Err(Failure::usage(format!(
            "{name} is the only one of its kind that may sign now; make another with `koudai keys rotate --from now`"
        )));
    }
    if key.retired_at.is_none() {
        generations::write(data, &PlatformKey { retired_at: Some(now), ..PlatformKey::clone(key) })?;
    }
    Ok(())
}

/// `koudai keys show`.
///
/// # Errors
/// If the keys cannot be read.
pub(crate) fn run_show(args: &KeysShowArgs) -> Result<(), Failure> {
    show(checked(&args.data)?)
}

fn checked(data: &Path) -> Result<&Path, Failure> {
    match directory::kind(data)? {
        Some(_) => Ok(data),
        None => Err(Failure::usage(format!("{} is not a data directory", data.display()))),
    }
}

/// When the next key of a mode begins to sign.
fn turn(mode: KeyMode, from: Option<&str>, now: Timestamp) -> Result<(SigningMode, Timestamp), Failure> {
    let (mode, overlap_ms) = match mode {
        KeyMode::Certificate => (SigningMode::Certificate, CERTIFICATE_OVERLAP_MS),
        KeyMode::PublicKey => (SigningMode::PublicKey, PUBLIC_KEY_OVERLAP_MS),
    };
    let at = match from {
        None => now.plus(overlap_ms),
        Some("now") => now,
        Some(text) => Timestamp::parse_rfc3339(text).ok_or_else(|| {
            Failure::usage(format!("--from {text:?}: `now`, or a time such as {}", now.rfc3339()))
        })?,
    };
    if at.since(now) > FURTHEST_MS {
        return Err(Failure::usage("--from lies more than a year ahead"));
    }
    Ok((mode, at.max(now)))
}

fn refuse_second(platform: &Platform, mode: SigningMode, now: Timestamp) -> Result<(), Failure> {
    let waits = |key: &&Arc<PlatformKey>| key.mode() == mode && !key.is_retired(now) && key.signs_from > now;
    let keys = platform.keys();
    let Some(key) = keys.iter().find(waits) else { return Ok(()) };
    let (name, at) = (&key.name, key.signs_from.rfc3339());
    Err(Failure::usage(format!(
        "{name} waits for its turn at {at} already; to make another instead, first `koudai keys retire {name}`"
    )))
}

fn made(platform: &Platform, mode: SigningMode, signs_from: Timestamp, now: Timestamp) -> PlatformKey {
    let key = PrivateKey::generate();
    let certificate = (mode == SigningMode::Certificate).then(|| {
        platform
            .authority
            .issue("Koudai platform", &key.public_key(), now.0, PLATFORM_CERTIFICATE_YEARS)
            .expect("a plain name and the present are in range")
    });
    let name = certificate.as_ref().map_or_else(public_key_id, |certificate| certificate.serial.clone());
    PlatformKey { name, key, certificate, signs_from, retired_at: None }
}

/// Tells the running server. What was done to the keys is done; a server that was not told looks by itself.
async fn tell(data: &Path) {
    if let Err(failure) = control::tell(data, Request::KeysChanged).await {
        eprintln!("the running server was not told and takes the keys in within a minute: {failure}");
    }
}

fn show(data: &Path) -> Result<(), Failure> {
    let keys = load(data)?;
    println!("{:#}", shown(&keys.platform, Clock::wall().now(), &keys.issuer_app.public_key().to_pem()));
    Ok(())
}

/// What others may know of the keys.
fn shown(platform: &Platform, now: Timestamp, issuer_app_public_key_pem: &str) -> Value {
    let one = |key: &Arc<PlatformKey>| {
        let state = if key.is_retired(now) {
            "retired"
        } else if platform.signer(key.mode(), now).name == key.name {
            "signs"
        } else if !key.serves(now) {
            "expired"
        } else if key.signs_from > now {
            "waits"
        } else {
            "accepted"
        };
        let mut one = json!({ "name": key.name, "state": state });
        if key.signs_from.0 > 0 {
            one["signs_from"] = json!(key.signs_from.rfc3339());
        }
        if let Some(at) = key.retired_at {
            one["retired_at"] = json!(at.rfc3339());
        }
        if let Some(certificate) = &key.certificate {
            one["kind"] = json!("certificate");
            one["valid_from"] = json!(Timestamp(certificate.not_before_ms).rfc3339());
            one["valid_until"] = json!(Timestamp(certificate.not_after_ms).rfc3339());
            one["pem"] = json!(certificate.pem);
        } else {
            one["kind"] = json!("public-key");
            one["pem"] = json!(key.key.public_key().to_pem());
        }
        one
    };
    json!({
        "platform": platform.keys().iter().map(one).collect::<Vec<_>>(),
        "authority_certificate_pem": platform.authority.certificate_pem(),
        "issuer_app_public_key_pem": issuer_app_public_key_pem,
    })
}

/// Has a running server take in keys that change on disk, and say in time that a certificate ends.
pub(crate) fn watch(data: &Path, networks: Arc<Networks>, clock: Clock) {
    let data = PathBuf::from(data);
    tokio::spawn(async move {
        let mut warned = None;
        loop {
            warned = warn_of_end(&networks.platform, clock.now(), warned);
            tokio::time::sleep(LOOK_EVERY).await;
            let (data, networks, now) = (data.clone(), Arc::clone(&networks), clock.now());
            let look = move || take_in(&data, &networks.platform, now);
            if let Ok(Err(failure)) = tokio::task::spawn_blocking(look).await {
                tracing::error!(%failure, "the keys on disk cannot be read; those in memory stay");
            }
        }
    });
}

/// Has a running server work with the keys that are on disk now.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn take_in(data: &Path, platform: &Platform, now: Timestamp) -> Result<(), Failure> {
    if generations::refresh(data, platform, now)? {
        let signs = |mode| platform.signer(mode, now).name.clone();
        tracing::info!(
            certificate = signs(SigningMode::Certificate),
            public_key = signs(SigningMode::PublicKey),
            of = platform.keys().len(),
            "the platform's keys have changed; these sign now"
        );
    }
    Ok(())
}

/// The newest certificate if its end is near, the days until then, and the least of `WARN_DAYS` that covers them.
fn near_end(platform: &Platform, now: Timestamp) -> Option<(Arc<PlatformKey>, i64, i64)> {
    let end = |key: &Arc<PlatformKey>| key.certificate.as_ref().map(|certificate| certificate.not_after_ms);
    let standing = platform.keys().into_iter().filter(|key| !key.is_retired(now));
    let newest = standing.max_by_key(end)?;
    let days = Timestamp(end(&newest)?).since(now).div_euclid(DAY);
    let step = WARN_DAYS.into_iter().find(|most| days < *most)?;
    Some((newest, days, step))
}

/// Warns once at each of `WARN_DAYS`, and again at each start; what was warned of.
fn warn_of_end(platform: &Platform, now: Timestamp, warned: Option<i64>) -> Option<i64> {
    let (key, days_left, step) = near_end(platform, now)?;
    if warned != Some(step) {
        tracing::warn!(
            serial = key.name,
            days_left,
            "the platform's certificate ends soon: make the next one with `koudai keys rotate`"
        );
    }
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable;
    use crate::keys::{Progress, SLOW_KEYS, create};

    fn made_directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), &Clock::wall(), &mut Progress::of(SLOW_KEYS)).unwrap();
        directory
    }

    fn next(directory: &Path, mode: SigningMode, in_ms: i64) -> PlatformKey {
        let now = Clock::wall().now();
        let key = made(&load(directory).unwrap().platform, mode, now.plus(in_ms), now);
        generations::write(directory, &key).unwrap();
        key
    }

    #[test]
    fn a_next_generation_is_there_after_a_restart_and_waits_for_its_turn() {
        let directory = made_directory();
        let running = load(directory.path()).unwrap().platform;
        let old = running.signer(SigningMode::Certificate, Clock::wall().now()).name.clone();
        let key = next(directory.path(), SigningMode::Certificate, DAY);
        let now = Clock::wall().now();
        assert!(generations::refresh(directory.path(), &running, now).unwrap());
        assert!(!generations::refresh(directory.path(), &running, now).unwrap(), "nothing changed since");
        for platform in [running, load(directory.path()).unwrap().platform] {
            assert_eq!(platform.certificates(now).len(), 2);
            assert_eq!(platform.signer(SigningMode::Certificate, now).name, old);
            assert_eq!(platform.signer(SigningMode::Certificate, now.plus(DAY)).name, key.name);
            assert!(refuse_second(&platform, SigningMode::Certificate, now).is_err());
            assert!(refuse_second(&platform, SigningMode::PublicKey, now).is_ok());
            let shown = shown(&platform, now, "");
            assert_eq!(shown["platform"].as_array().unwrap().len(), 3);
            assert!(!shown.to_string().contains("PRIVATE"));
        }
    }

    #[test]
    fn what_signs_alone_cannot_be_retired_and_what_was_retired_stays_so() {
        let directory = made_directory();
        let now = Clock::wall().now();
        let old = load(directory.path()).unwrap().platform.signer(SigningMode::Certificate, now).name.clone();
        assert!(retire(directory.path(), &old, now).unwrap_err().to_string().contains("only one"));
        assert!(retire(directory.path(), "ABCD", now).unwrap_err().to_string().contains("no key"));
        let waiting = next(directory.path(), SigningMode::Certificate, DAY);
        assert!(retire(directory.path(), &old, now).is_err(), "one that waits does not sign");
        retire(directory.path(), &waiting.name, now).unwrap();
        let successor = next(directory.path(), SigningMode::Certificate, 0);
        let now = Clock::wall().now();
        retire(directory.path(), &old.to_lowercase(), now).unwrap();
        retire(directory.path(), &old, now.plus(DAY)).unwrap();
        let platform = load(directory.path()).unwrap().platform;
        assert_eq!(platform.certificates(now).len(), 1);
        assert_eq!(platform.signer(SigningMode::Certificate, now.plus(2 * DAY)).name, successor.name);
        let kept = platform.keys().into_iter().find(|key| key.name == old).unwrap();
        assert_eq!(kept.retired_at, Some(now), "the first retirement counts");
    }

    #[test]
    fn a_rotation_cut_short_leaves_a_directory_that_starts() {
        let directory = made_directory();
        let folder = directory.path().join("keys/platform");
        // A crash after the directory was made, and one in the middle of writing.
        durable::make_directory(&folder).unwrap();
        load(directory.path()).unwrap();
        let half = folder.join(".ABCDEF.json.4711.new");
        std::fs::write(&half, "{\"name\":\"ABC").unwrap();
        assert_eq!(load(directory.path()).unwrap().platform.keys().len(), 2);
        drop(generations::lock(directory.path()).unwrap());
        assert!(!half.exists(), "the next command takes it away");
        next(directory.path(), SigningMode::PublicKey, 0);
        assert_eq!(load(directory.path()).unwrap().platform.keys().len(), 3);
    }

    #[test]
    fn one_command_at_a_time_changes_keys_and_a_damaged_one_is_named() {
        let directory = made_directory();
        let held = generations::lock(directory.path()).unwrap();
        assert!(generations::lock(directory.path()).is_err());
        drop(held);
        let key = next(directory.path(), SigningMode::Certificate, 0);
        let path = directory.path().join(format!("keys/platform/{}.json", key.name));
        durable::write(&path, b"{}").unwrap();
        let text = load(directory.path()).unwrap_err().to_string();
        assert!(text.contains(&key.name) && text.contains("damaged"), "{text}");
    }

    #[test]
    fn an_end_is_warned_of_in_steps_and_a_successor_ends_the_warnings() {
        let directory = made_directory();
        let platform = load(directory.path()).unwrap().platform;
        let end = platform.keys().iter().find_map(|key| key.certificate.as_ref()).unwrap().not_after_ms;
        let days_before = |days: i64| Timestamp(end).plus(-days * DAY);
        let mut warned = None;
        for (days, step) in
            [(60, None), (59, Some(60)), (30, Some(60)), (29, Some(30)), (6, Some(7)), (-1, Some(7))]
        {
            warned = warn_of_end(&platform, days_before(days), warned);
            assert_eq!(warned, step, "{days}");
        }
        let now = days_before(20);
        let key = made(&platform, SigningMode::Certificate, now, now);
        generations::write(directory.path(), &key).unwrap();
        generations::refresh(directory.path(), &platform, now).unwrap();
        assert_eq!(warn_of_end(&platform, now, Some(30)), None);
    }

    #[test]
    fn a_turn_is_a_day_or_a_week_ahead_unless_it_is_said() {
        let now = Clock::wall().now();
        let at = |mode, from| turn(mode, from, now).map(|(_, at)| at.since(now));
        assert_eq!(at(KeyMode::Certificate, None).unwrap(), DAY);
        assert_eq!(at(KeyMode::PublicKey, None).unwrap(), 7 * DAY);
        assert_eq!(at(KeyMode::PublicKey, Some("now")).unwrap(), 0);
        assert_eq!(at(KeyMode::Certificate, Some("2020-01-01T00:00:00Z")).unwrap(), 0);
        for wrong in ["tomorrow", "", "9999-01-01T00:00:00Z"] {
            assert!(at(KeyMode::Certificate, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
