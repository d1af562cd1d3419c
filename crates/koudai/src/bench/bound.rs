//! How fast this machine signs when it does nothing else: what no gateway on it can beat.
//!
//! An order costs a platform one verification (the merchant's request) and two signatures (its reply, the notification).

use std::sync::Barrier;
use std::time::{Duration, Instant};

use koudai_wechatpay::keys::PrivateKey;

use super::measure::per_second;

/// How long each rate is measured.
const MEASURED: Duration = Duration::from_secs(2);

/// Rates of an idle machine on all its cores, a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// RSA-2048 signatures.
    pub(super) rsa_signs: u64,
    /// RSA-2048 verifications.
    pub(super) rsa_verifications: u64,
    /// Two signatures and a verification.
    pub(super) orders: u64,
}

/// Measures them. Nothing else may be at work.
pub(super) fn measure() -> Bound {
    let key = PrivateKey::generate();
    let public = key.public_key();
    // As long as what is signed of an order.
    let message = [0x5A; 512];
    let signature = key.sign(&message);
    let sign = || assert!(!key.sign(&message).is_empty(), "a signature has bytes");
    let verify = || assert!(public.verify(&message, &signature).is_ok(), "the signature holds");
    Bound {
        rsa_signs: rate(sign),
        rsa_verifications: rate(verify),
        orders: rate(|| {
            sign();
            sign();
            verify();
        }),
    }
}

/// How often a second all cores together do this.
fn rate(work: impl Fn() + Sync) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Barrier::new(threads);
    let on_one_core = || {
        start.wait();
        let began = Instant::now();
        let mut done = 0_u64;
        while began.elapsed() < MEASURED {
            work();
            done += 1;
        }
        per_second(done, began.elapsed())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(on_one_core)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .sum()
    })
}
