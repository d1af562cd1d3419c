//! One target under libFuzzer: `KOUDAI_FUZZ_TARGET` names it, the arguments are libFuzzer's. Without a target it lists them all.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a C function")]

use std::sync::LazyLock;

use koudai_fuzz::{Target, targets};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("KOUDAI_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| {
        for target in targets() {
            println!("{}", target.name);
        }
        std::process::exit(if name.is_empty() { 0 } else { 2 })
    })
});

fuzz_target!(init: { LazyLock::force(&TARGET); }, |input: &[u8]| { (TARGET.run)(input) });
