//! `koudai bench http`: the wallet's own payment route, `POST /pay/{token}`, as a browser's page or a program uses it.
//!
//! The server is the one that `serve` and the demo run: the same router and layers, the same `axum-server` on a TCP port
//! of this machine. Before the run people get money, a payment password, a card and a session each, and one merchant
//! places orders, all by the engine's own commands. The callers (`callers.rs`) then pay a fresh order with each request,
//! and check each answer. At the end the merchant must have been paid exactly what was acknowledged.
//!
//! The courier is not started: it would tell the merchant of every payment, which takes a signature and a call each and
//! has a pace of its own. Notices wait in the journal, as they do while a merchant's server is down.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::MchId;
use koudai_core::ledger::AccountId;
use koudai_core::secret::Secret;
use koudai_core::state::Policy;
use koudai_engine::{Clock, Engine, Settings};
use koudai_networks::Reach;
use koudai_networks::sms::SmsGateway;
use koudai_store::Tuning;
use koudai_web::gateway::limits::Limits;
use koudai_wechatpay::keys::PublicKey;
use serde_json::json;

use super::accounts::House;
use super::callers::{self, Acknowledged, Bill};
use super::{claim, database, durability, is_fresh, leave, ledger, measure, say, store_word};
use crate::cli::BenchHttpArgs;
use crate::failure::Failure;
use crate::house::{self, Plan, Server};
use crate::keys::{self, Keys, Progress, SLOW_KEYS};
use crate::process::resident_bytes;

/// Payments a second that this route has not reached: so many orders are placed for each second of the run.
const MORE_THAN_PAID: u64 = 30_000;

/// `koudai bench http`. `log` is the filter that the log follows, which a server spends time on.
///
/// # Errors
/// If the ledger cannot be opened, a payment is refused, or the merchant was not paid what was acknowledged.
pub(crate) async fn run_http(args: &BenchHttpArgs, log: &str) -> Result<(), Failure> {
    claim(&args.data)?;
    let done = measured(args, log).await;
    leave(&args.data, args.keep);
    done
}

/// What no bank and no message gateway listens to.
const NOBODY: &str = "http://127.0.0.1:9";

/// A port of this machine's.
pub(super) fn listener() -> Result<(TcpListener, SocketAddr), Failure> {
    let listening = |error| Failure::because("listening on this machine", &error);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    Ok((listener, address))
}

/// Makes the keys, as the set-up of a real server would.
pub(super) fn new_keys(directory: &Path) -> Result<Keys, Failure> {
    keys::create(directory, &Clock::wall(), &mut Progress::of(SLOW_KEYS))?;
    keys::load(directory)
}

/// Which bank the server asks.
pub(super) struct Issuer {
    pub(super) url: String,
    /// Checks its answers.
    pub(super) key: PublicKey,
}

impl Issuer {
    /// One that nothing listens for.
    pub(super) fn nobody(keys: &Keys) -> Self {
        Self { url: NOBODY.to_owned(), key: keys.issuer_app.public_key() }
    }
}

/// Starts the engine, as a first start of a real server would.
pub(super) fn furnish(
    directory: &Path,
    settings: &Settings,
    origin: &str,
    keys: Keys,
    issuer: Issuer,
) -> Result<koudai_web::App, Failure> {
    let plan = Plan {
        data: directory,
        origin: origin.to_owned(),
        notices_at: origin.to_owned(),
        operator: "口袋".to_owned(),
        contact: None,
        issuer_url: issuer.url,
        issuer_app_id: "bench".to_owned(),
        issuer_key: issuer.key,
        more_issuers: vec![],
        issuer_bins: vec![],
        unionpay: None,
        wechat: None,
        alipay: None,
        sms: SmsGateway::new(NOBODY, &Secret::new("bench".to_owned()))
            .map_err(|error| Failure::because("the message gateway", &error))?
            .into(),
        mail: None,
        reach: Reach::Local,
        limits: Limits::NONE,
        policy: Policy::default(),
        tuning: Tuning::default(),
    };
    house::furnish(plan, keys, settings)
}

/// Signs everybody in: a session token for each, drawn as the wallet draws them.
pub(super) fn signed_in(engine: &Engine, house: &House) -> Result<Vec<String>, Failure> {
    let draw = |_| URL_SAFE_NO_PAD.encode(koudai_engine::random_bytes().expose());
    let tokens: Vec<String> = (0..house.people.len()).map(draw).collect();
    let hash =
        |token: &String| digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes");
    house.sign_in(engine, &tokens.iter().map(hash).collect::<Vec<[u8; 32]>>())?;
    Ok(tokens)
}

/// Opens accounts, signs everybody in and places the orders; the merchant, everybody's tokens, and what is to be paid.
fn prepare(engine: &Engine, args: &BenchHttpArgs) -> Result<(MchId, Vec<String>, Vec<Bill>), Failure> {
    let began = Instant::now();
    say(&format!("opening {} accounts and a merchant", args.accounts));
    let house = House::build(engine, args.accounts, 1)?;
    let tokens = signed_in(engine, &house)?;
    let enough = || usize::try_from(args.seconds.saturating_mul(MORE_THAN_PAID)).unwrap_or(usize::MAX);
    let wanted = args.orders.unwrap_or_else(enough);
    say(&format!("placing {wanted} orders to be paid"));
    let bills = house.placed(engine, wanted, |order, payer| Bill {
        code: order.code,
        payer,
        minor: order.amount.minor(),
    })?;
    say(&format!("that took {} s", began.elapsed().as_secs()));
    Ok((house.merchants[0], tokens, bills))
}

async fn measured(args: &BenchHttpArgs, log: &str) -> Result<(), Failure> {
    let directory = &args.data;
    let fdatasync = measure::fdatasync(directory)
        .map_err(|error| Failure::because("measuring this disk's fdatasync", &error))?;
    let (listener, address) = listener()?;
    let settings = Settings::of(database(directory, &args.store));
    let keys = new_keys(directory)?;
    let issuer = Issuer::nobody(&keys);
    let app = furnish(directory, &settings, &format!("http://{address}"), keys, issuer)?;
    let engine = app.engine.clone();
    is_fresh(&engine)?;
    let (merchant, tokens, bills) = prepare(&engine, args)?;
    let orders = bills.len();
    let server = Server::start(listener, koudai_web::router(app), None)
        .map_err(|error| Failure::because("starting the server", &error))?;
    say(&format!("the run: {} s over {} connections", args.seconds, args.connections));
    let before = measure::Sizes::of(&engine).map_err(|e| ledger(&e))?;
    let ticks = measure::cpu_ticks();
    let limit = Duration::from_secs(args.seconds);
    let (figures, acknowledged) = callers::run(address, &tokens, bills, args.connections, limit)?;
    let cpu_us = u128::from(measure::cpu_ticks() - ticks) * 10_000;
    let after = measure::Sizes::of(&engine).map_err(|e| ledger(&e))?;
    compare(&engine, merchant, acknowledged).await?;
    let report = json!({
        "store": store_word(&args.store),
        "route": "POST /pay/{token}",
        "payers": args.accounts,
        "merchants": 1,
        "connections": args.connections,
        "orders": orders,
        "payments": figures.payments,
        "seconds": measure::decimal(figures.elapsed.as_micros(), 1_000_000),
        "payments_per_s": measure::per_second(figures.payments, figures.elapsed),
        "latency_ms": {
            "p50": figures.latency.quantile_ms(500),
            "p99": figures.latency.quantile_ms(990),
            "p999": figures.latency.quantile_ms(999),
            "most": figures.latency.quantile_ms(1_000),
        },
        "batch_mean": measure::decimal(figures.payments.into(), (after.commits - before.commits).into()),
        "cpu_us_per_payment": measure::decimal(cpu_us, figures.payments.into()),
        "bytes_per_payment": after.bytes.saturating_sub(before.bytes) / figures.payments.max(1),
        "rss_bytes": resident_bytes(),
        "cache_bytes": settings.cache_bytes,
        "fdatasync_ms": measure::decimal(fdatasync.as_nanos(), 1_000_000),
        "log": log,
        "durability": durability(&engine).map_err(|e| ledger(&e))?,
        "commit": option_env!("KOUDAI_COMMIT").unwrap_or(""),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": measure::machine(),
    });
    server.stop().await;
    println!("{report}");
    drop(engine);
    measure::wait_until_free(directory);
    Ok(())
}

/// The merchant was paid exactly what was acknowledged: so many times, and so much.
pub(super) async fn compare(
    engine: &Engine,
    merchant: MchId,
    acknowledged: Acknowledged,
) -> Result<(), Failure> {
    let account = AccountId::merchant(merchant);
    let found = engine.read(move |r| r.balance(account)).await.map_err(|e| ledger(&e))?;
    let (payments, minor) = found.map_or((0, 0), |balance| (balance.lines, balance.credits_minor));
    if (payments, minor) == (acknowledged.payments, acknowledged.minor) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the merchant was paid {payments} times, {minor} fen, but {} payments over {} fen were acknowledged",
        acknowledged.payments, acknowledged.minor
    )))
}
