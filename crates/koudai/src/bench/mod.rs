//! `koudai bench engine`: the real engine with real commands and rows under load, and what came of it as one JSON object.
//! `koudai bench http` measures the wallet's payment route in the same way (`http.rs`), `koudai bench gateway` a merchant's
//! order from its placing to its notification (`gateway.rs`), `koudai bench bill` what the bills of a very busy day take
//! (`bill.rs`), `koudai bench networks` what a card network that hangs does to everybody else (`networks.rs`).
//!
//! `accounts.rs` makes the people, merchants and orders the load needs, `load.rs` drives it, `callers.rs` and `tills.rs` do over HTTP,
//! `measure.rs` keeps the figures, `together.rs` runs many commands at once.

mod accounts;
mod bill;
mod bound;
mod callers;
mod gateway;
mod http;
mod load;
mod measure;
mod networks;
mod sales;
mod tills;
mod together;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koudai_core::id::OrderId;
use koudai_core::secret::Secret;
use koudai_core::state::{Keys, Policy};
use koudai_engine::{Clock, Engine, Settings};
use koudai_store::{Database, StoreError};
use serde_json::json;

use crate::cli::{BenchEngineArgs, BenchMix, OrderAge};
use crate::directory::{self, Kind};
use crate::failure::Failure;
use crate::process;

pub(crate) use bill::run_bill;
pub(crate) use gateway::run_gateway;
pub(crate) use http::run_http;
pub(crate) use networks::run_networks;

use accounts::House;
use load::{Load, Mix};

/// The embedded database, as `--store` names it.
const SQLITE: &str = "sqlite";
/// Orders placed at once before they are paid: more would only wait.
const CHUNK: usize = 2_000_000;

/// `koudai bench engine`.
///
/// # Errors
/// If the ledger cannot be opened, or a command of the load is refused.
pub(crate) fn run_engine(args: &BenchEngineArgs) -> Result<(), Failure> {
    claim(&args.data)?;
    let done = measured(args);
    leave(&args.data, args.keep);
    done
}

/// Makes a directory the benchmark's own.
fn claim(directory: &Path) -> Result<(), Failure> {
    if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::usage(format!(
            "{} is not empty: a benchmark makes its own ledger; choose an empty or absent directory with --data DIR",
            directory.display()
        )));
    }
    // Marked as a demo's: nothing of it may become real, and `verify` takes it.
    directory::prepare(directory, Kind::Demo)
}

/// Removes the benchmark's directory, unless it is to be kept.
fn leave(directory: &Path, keep: bool) {
    if !keep && let Err(error) = std::fs::remove_dir_all(directory) {
        tracing::warn!(%error, "the benchmark's directory could not be removed");
    }
}

/// Where the ledger of a run is kept.
fn database(directory: &Path, store: &str) -> Database {
    if store == SQLITE {
        Database::Directory(directory.to_owned())
    } else {
        Database::Server(Secret::new(store.to_owned()))
    }
}

/// What keeps the ledger, as a report has it.
fn store_word(store: &str) -> &'static str {
    if store == SQLITE { SQLITE } else { "postgresql" }
}

/// Refuses a ledger that holds anything: a benchmark makes its own.
fn is_fresh(engine: &Engine) -> Result<(), Failure> {
    if engine.commits().map_err(|e| ledger(&e))? > 0 {
        return Err(Failure::usage("that database holds a ledger already; a benchmark makes its own"));
    }
    Ok(())
}

/// An engine with all that the run needs.
struct Ground {
    engine: Engine,
    house: Arc<House>,
    orders: Vec<(OrderId, u32)>,
}

fn mix(args: &BenchEngineArgs) -> Mix {
    match args.mix {
        BenchMix::Pay => Mix::Pay,
        BenchMix::PayOrder => Mix::PayOrder,
        BenchMix::Mixed => Mix::Mixed,
    }
}

fn say(text: &str) {
    eprintln!("koudai bench: {text}");
}

fn ledger(error: &StoreError) -> Failure {
    Failure::because("the ledger", error)
}

/// Opens accounts, places orders, and pays those that are to be paid before the run.
fn prepare(args: &BenchEngineArgs, settings: &Settings, random: bool) -> Result<Ground, Failure> {
    let engine = Engine::start(settings, keys(), Policy::default(), Clock::wall()).map_err(|e| ledger(&e))?;
    is_fresh(&engine)?;
    say(&format!("opening {} accounts and {} merchants", args.accounts, args.merchants));
    let began = Instant::now();
    let house = Arc::new(House::build(&engine, args.accounts, args.merchants)?);
    say(&format!("that took {} s", began.elapsed().as_secs()));
    let mut paid = 0;
    while paid < args.after {
        let count = CHUNK.min(args.after - paid);
        say(&format!("placing and paying {count} orders before the run, {paid} done"));
        let orders = house.orders(&engine, count)?;
        Load::new(&engine, &house, orders, Mix::Pay).random(random).saturate(args.in_flight, None)?;
        paid += count;
    }
    let orders = if mix(args) == Mix::Pay {
        let wanted = args.orders.unwrap_or_else(|| expected_orders(args));
        say(&format!("placing {wanted} orders to be paid"));
        house.orders(&engine, wanted)?
    } else {
        vec![]
    };
    Ok(Ground { engine, house, orders })
}

fn measured(args: &BenchEngineArgs) -> Result<(), Failure> {
    let directory = &args.data;
    let fdatasync = measure::fdatasync(directory)
        .map_err(|error| Failure::because("measuring this disk's fdatasync", &error))?;
    let mut settings = Settings::of(database(directory, &args.store));
    settings.cache_bytes = args.cache_mib << 20;
    if let Some(generation) = args.generation {
        settings.tuning.generation = generation;
    }
    let random = args.order_age == OrderAge::Random;
    let Ground { engine, house, orders } = prepare(args, &settings, random)?;
    let made = orders.first().map(|(id, _)| id.0 >> 21);
    say(&format!("the run: {} s", args.seconds));
    let before = measure::Sizes::of(&engine).map_err(|e| ledger(&e))?;
    let load = Load::new(&engine, &house, orders, mix(args)).random(random);
    let ticks = measure::cpu_ticks();
    let limit = Some(Duration::from_secs(args.seconds));
    let figures = match args.rate {
        Some(rate) => load.open_loop(rate, limit)?,
        None => load.saturate(args.in_flight, limit)?,
    };
    let after = measure::Sizes::of(&engine).map_err(|e| ledger(&e))?;
    let cpu_us = u128::from(measure::cpu_ticks() - ticks) * 10_000;
    let lag = engine.lag();
    let first_age = made.map(|made| (engine.now().0 - made) / 1_000);
    let durability = durability(&engine).map_err(|e| ledger(&e))?;
    let report = json!({
        "store": store_word(&args.store),
        "mix": args.mix.word(),
        "accounts": args.accounts,
        "merchants": args.merchants,
        "load": match args.rate {
            Some(rate) => json!({ "open_loop_per_s": rate }),
            None => json!({ "in_flight": args.in_flight }),
        },
        "payments_before": args.after,
        "payments": figures.payments,
        "seconds": measure::decimal(figures.elapsed.as_micros(), 1_000_000),
        "payments_per_s": measure::per_second(figures.payments, figures.elapsed),
        "commit_ms": {
            "p50": figures.latency.quantile_ms(500),
            "p99": figures.latency.quantile_ms(990),
            "p999": figures.latency.quantile_ms(999),
            "most": figures.latency.quantile_ms(1_000),
        },
        "batch_mean": measure::decimal(u128::from(figures.payments) * 10, u128::from(after.commits - before.commits) * 10),
        "bytes_per_payment": after.bytes.saturating_sub(before.bytes) / figures.payments.max(1),
        "cpu_us_per_payment": measure::decimal(cpu_us, figures.payments.into()),
        "lag_payments": lag,
        "rss_bytes": process::resident_bytes(),
        "cache_bytes": settings.cache_bytes,
        "fdatasync_ms": measure::decimal(fdatasync.as_nanos(), 1_000_000),
        "oldest_order_s": first_age,
        "order_age": if random { "random" } else { "as placed" },
        "refused": figures.refused,
        "durability": durability,
        "commit": option_env!("KOUDAI_COMMIT").unwrap_or(""),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": measure::machine(),
    });
    if let Some(path) = &args.chart {
        std::fs::write(path, figures.chart())
            .map_err(|error| Failure::because(format!("writing {}", path.display()), &error))?;
    }
    println!("{report}");
    drop((house, engine));
    measure::wait_until_free(directory);
    Ok(())
}

/// Enough orders for the whole run at a rate this engine has not reached.
fn expected_orders(args: &BenchEngineArgs) -> usize {
    let per_second = args.rate.unwrap_or(150_000);
    usize::try_from(args.seconds.saturating_mul(per_second)).unwrap_or(usize::MAX)
}

fn durability(engine: &Engine) -> Result<serde_json::Value, StoreError> {
    let pairs = engine.durability()?;
    Ok(pairs.into_iter().map(|(name, value)| (name, value.into())).collect::<serde_json::Map<_, _>>().into())
}

/// Keys of a ledger that lives as long as the benchmark.
fn keys() -> Keys {
    Keys { payment_password: koudai_engine::random_bytes(), one_time_code: Secret::new([2; 32]) }
}
