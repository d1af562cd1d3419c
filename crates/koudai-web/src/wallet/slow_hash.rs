//! The slow hash of log-in passwords: Argon2id, a few at a time, away from everything that has to be quick.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use argon2::{Algorithm, Argon2, Params, Version};
use koudai_core::refusal::Refusal;
use koudai_core::secret::Secret;
use koudai_core::sign_in::PasswordTried;
use tokio::sync::Semaphore;

/// Kibibytes and passes (OWASP Password Storage: 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// How many are hashed at once: half of the cores, so that payments keep the others, and memory stays bounded.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let turns = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
    Arc::new(Semaphore::new(turns))
});
/// How many wait for a turn at most: some two seconds' worth.
const WAITING_MOST: usize = 128;
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// One more that waits.
struct Waiting;

impl Waiting {
    fn new() -> Option<Self> {
        let before = WAITING.fetch_add(1, Ordering::Relaxed);
        let waiting = Self;
        (before < WAITING_MOST).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hashes a password.
///
/// # Errors
/// `Busy` if too many wait.
pub(super) async fn slow_hash(password: Secret<String>, salt: [u8; 16]) -> Result<PasswordTried, Refusal> {
    let waiting = Waiting::new().ok_or(Refusal::Busy)?;
    let turn = Arc::clone(&TURNS).acquire_owned().await.map_err(|_| Refusal::Busy)?;
    drop(waiting);
    let hashed = tokio::task::spawn_blocking(move || {
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("the parameters are in range");
        let mut hash = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.expose().as_bytes(), &salt, &mut hash)
            .expect("a salt of 16 bytes and a password of bounded length are taken");
        // Not before it is done: whoever asked may be gone, and the next would be hashed beside it.
        drop(turn);
        PasswordTried { salt, hash: Secret::new(hash) }
    });
    hashed.await.map_err(|_| Refusal::OutOfOrder)
}
