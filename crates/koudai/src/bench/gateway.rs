//! `koudai bench gateway`: a merchant's order, its payment and its notification, over HTTP with real signatures.
//!
//! The server is the one that `serve` and the demo run, its courier included. Merchants have keys and certificates as
//! `koudai merchant create` makes them and sign their orders before the clock starts, which the protocol's five minutes
//! allow; customers pay by the wallet's own route; notifications go to a server of the merchants' on this machine, over
//! HTTP. All of it shares the cores with the server. At the end the merchants must have been paid exactly what was told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use koudai_core::id::MchId;
use koudai_core::ledger::AccountId;
use koudai_core::rows::Product;
use koudai_engine::{Engine, Settings};
use koudai_networks::courier;
use koudai_networks::platform::SigningMode;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::headers::PlatformKeys;
use serde_json::json;

use super::accounts::House;
use super::bound::{self, Bound};
use super::http::{Issuer, furnish, listener, new_keys, signed_in};
use super::sales::{Sales, Shop};
use super::tills::{self, Done, NOTIFY_PATH};
use super::{claim, database, durability, is_fresh, leave, ledger, measure, say, store_word};
use crate::cli::BenchGatewayArgs;
use crate::failure::Failure;
use crate::house::Server;
use crate::merchant;
use crate::process::resident_bytes;

/// `koudai bench gateway`. `log` is the filter that the log follows, which a server spends time on.
///
/// # Errors
/// If the ledger cannot be opened, anything is refused or not told, or the merchants were not paid what was told.
pub(crate) async fn run_gateway(args: &BenchGatewayArgs, log: &str) -> Result<(), Failure> {
    claim(&args.data)?;
    let done = measured(args, log).await;
    leave(&args.data, args.keep);
    done
}

/// Makes so many merchants, each with a key of its own.
async fn shops(app: &koudai_web::App, count: usize) -> Result<Vec<Shop>, Failure> {
    let mut shops = Vec::with_capacity(count);
    for number in 0..count {
        let (key, csr_pem) = merchant::key_and_request();
        let products = vec![Product::Native.word().to_owned()];
        let create = merchant::Create { name: format!("口袋咖啡 {number}"), products, csr_pem };
        let (vault, platform) = (&app.networks.vault, &app.networks.platform);
        let made = merchant::create(&app.engine, vault, platform, create)
            .await
            .map_err(|error| Failure::new(format!("making a merchant: {error}")))?;
        let api_v3_key = ApiV3Key::new(&made.apiv3_key).expect("a key that was just made");
        let merchant::Credentials { mchid, appid, serial_no, .. } = made;
        shops.push(Shop { mchid, appid, serial_no, key, api_v3_key });
    }
    Ok(shops)
}

/// What the platform's signatures are checked with.
fn platform_keys(app: &koudai_web::App) -> PlatformKeys {
    let signer = app.networks.platform.signer(SigningMode::Certificate, app.engine.clock().now());
    [(signer.name.as_str(), signer.key.public_key())].into_iter().collect()
}

async fn measured(args: &BenchGatewayArgs, log: &str) -> Result<(), Failure> {
    say("measuring what this machine signs while idle");
    let bound = bound::measure();
    let directory = &args.data;
    let fdatasync = measure::fdatasync(directory)
        .map_err(|error| Failure::because("measuring this disk's fdatasync", &error))?;
    let (listening, address) = listener()?;
    let (sink, sink_address) = listener()?;
    let settings = Settings::of(database(directory, &args.store));
    let keys = new_keys(directory)?;
    let issuer = Issuer::nobody(&keys);
    let app = furnish(directory, &settings, &format!("http://{address}"), keys, issuer)?;
    let engine = app.engine.clone();
    is_fresh(&engine)?;
    let began = Instant::now();
    say(&format!("opening {} accounts and {} merchants", args.accounts, args.merchants));
    let house = House::build(&engine, args.accounts, 0)?;
    let tokens = signed_in(&engine, &house)?;
    let shops = shops(&app, args.merchants).await?;
    let merchants = shops.iter().filter_map(|shop| MchId::parse(&shop.mchid)).collect::<Vec<_>>();
    // More cannot be sold than the machine can sign for.
    let enough = || usize::try_from(args.seconds.saturating_mul(bound.orders)).unwrap_or(usize::MAX);
    let wanted = args.orders.unwrap_or_else(enough);
    say(&format!("signing {wanted} orders"));
    let sales = Sales::sign(shops, format!("http://{sink_address}{NOTIFY_PATH}"), wanted);
    say(&format!("that took {} s", began.elapsed().as_secs()));

    let courier = courier::start(
        engine.clone(),
        Arc::clone(&app.networks),
        Arc::clone(&app.operator),
        Arc::clone(&app.origin),
    );
    let keys = platform_keys(&app);
    let server = Server::start(listening, koudai_web::router(app), None)
        .map_err(|error| Failure::because("starting the server", &error))?;
    say(&format!("the run: {} s at {} tills", args.seconds, args.tills));
    let before = measure::Sizes::of(&engine).map_err(|e| ledger(&e))?;
    let ticks = measure::cpu_ticks();
    let limit = Duration::from_secs(args.seconds);
    let plan = tills::Plan { address, sink, sales, tokens, keys, tills: args.tills, limit };
    let done = tills::run(plan)?;
    let cpu_us = u128::from(measure::cpu_ticks() - ticks) * 10_000;
    let after = measure::Sizes::of(&engine).map_err(|e| ledger(&e))?;
    compare(&engine, merchants, &done).await?;
    let mut report = report(args, bound, &done);
    let more = json!({
        "cpu_us_per_order": measure::decimal(cpu_us, done.orders.into()),
        "commits": after.commits - before.commits,
        "rss_bytes": resident_bytes(),
        "fdatasync_ms": measure::decimal(fdatasync.as_nanos(), 1_000_000),
        "log": log,
        "durability": durability(&engine).map_err(|e| ledger(&e))?,
        "commit": option_env!("KOUDAI_COMMIT").unwrap_or(""),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": measure::machine(),
    });
    if let (Some(report), serde_json::Value::Object(more)) = (report.as_object_mut(), more) {
        report.extend(more);
    }
    courier.abort();
    server.stop().await;
    println!("{report}");
    drop(engine);
    measure::wait_until_free(directory);
    Ok(())
}

fn report(args: &BenchGatewayArgs, bound: Bound, done: &Done) -> serde_json::Value {
    let orders_per_s = measure::per_second(done.orders, done.elapsed);
    let quantiles = |latency: &measure::Latency| {
        json!({
            "p50": latency.quantile_ms(500),
            "p99": latency.quantile_ms(990),
            "most": latency.quantile_ms(1_000),
        })
    };
    json!({
        "store": store_word(&args.store),
        "routes": ["POST /v3/pay/transactions/native", "POST /pay/{token}", "POST notify_url"],
        "paid_by": "the wallet's route, from the balance",
        "payers": args.accounts,
        "merchants": args.merchants,
        "tills": args.tills,
        "connections": 2 * args.tills,
        "notice_connections": done.notice_connections,
        "orders": done.orders,
        "seconds": measure::decimal(done.elapsed.as_micros(), 1_000_000),
        "orders_per_s": orders_per_s,
        "rsa_signs_per_s": bound.rsa_signs,
        "rsa_verifications_per_s": bound.rsa_verifications,
        "bound_orders_per_s": bound.orders,
        "ratio_to_bound": measure::decimal(orders_per_s.into(), bound.orders.into()),
        "place_ms": quantiles(&done.place),
        "pay_ms": quantiles(&done.pay),
        "payment_to_notice_ms": quantiles(&done.notice),
        "signatures_checked": done.checked,
    })
}

/// The merchants were paid exactly what they were told: so many times, and so much.
async fn compare(engine: &Engine, merchants: Vec<MchId>, done: &Done) -> Result<(), Failure> {
    let found = engine.read(move |reader| {
        merchants.iter().try_fold((0, 0), |(payments, minor), mchid| {
            let balance = reader.balance(AccountId::merchant(*mchid))?;
            let (lines, credits) = balance.map_or((0, 0), |b| (b.lines, b.credits_minor));
            Ok((payments + lines, minor + credits))
        })
    });
    let (payments, minor) = found.await.map_err(|e| ledger(&e))?;
    if (payments.unsigned_abs(), minor) == (done.orders, done.minor) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the merchants were paid {payments} times, {minor} fen, but told of {} payments over {} fen",
        done.orders, done.minor
    )))
}
