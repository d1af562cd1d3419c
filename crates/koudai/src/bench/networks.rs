//! `koudai bench networks`: whether a card network that does not answer slows those who pay from their balance.
//!
//! The server is the whole of it, courier included, and the network is the sandbox bank, told to answer debits after a time
//! that nobody waits for; whether it is there it says at once, so that the wallet tries it again and again. Rounds in turn:
//! callers pay from balance while nobody pays by card, then while others pay by card as well, each once a second. What is
//! compared is how long payments from balance took, so the extra work of the card payments counts against the result.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koudai_engine::{Engine, Settings};
use koudai_networks::courier;
use koudai_networks::faults::Rule;
use koudai_networks::issuer::sandbox::{self, App, BankSettings, SandboxBank, Timing};
use koudai_networks::platform::token_text;
use koudai_networks::vault::Sealed;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::accounts::House;
use super::callers::{self, Acknowledged, Bill};
use super::http::{Issuer, compare, furnish, listener, new_keys, signed_in};
use super::together::block_on_local;
use super::wire::read_answer;
use super::{SQLITE, claim, database, durability, is_fresh, leave, ledger, measure, say};
use crate::cli::BenchNetworksArgs;
use crate::failure::Failure;
use crate::house::Server;

/// Payments from balance a second that so few callers do not reach.
const MORE_THAN_PAID: u64 = 12_000;
/// How often each of those who pay by card does.
const PACE: Duration = Duration::from_secs(1);
/// What the wallet is known as at the bank.
const APP_ID: &str = "bench";

/// `koudai bench networks`.
///
/// # Errors
/// If the ledger or the bank cannot be opened, a payment from balance is refused, or the merchant was not paid what was
/// acknowledged.
pub(crate) async fn run_networks(args: &BenchNetworksArgs) -> Result<(), Failure> {
    claim(&args.data)?;
    let done = measured(args).await;
    leave(&args.data, args.keep);
    done
}

/// What a round of card payments came to.
#[derive(Clone, Copy, Debug, Default)]
struct ByCard {
    /// Answered with "being confirmed".
    pending: u64,
    /// Refused, at once or when the bank was asked.
    refused: u64,
}

/// Everything the rounds need.
struct Ground {
    engine: Engine,
    house: House,
    address: SocketAddr,
    tokens: Vec<String>,
}

/// Opens a bank that answers debits too late for anybody.
async fn open_bank(args: &BenchNetworksArgs, app_key: PublicKey) -> Result<(String, PublicKey), Failure> {
    let key = PrivateKey::generate();
    let public = key.public_key();
    let app =
        App {
            id: APP_ID.to_owned(), name_zh: "口袋".to_owned(), name_en: "Koudai".to_owned(), key: app_key
        };
    let settings = BankSettings { key, app, sms: None, inbox_url: None, timing: Timing::default() };
    let bank = SandboxBank::open(&args.data.join("bank"), settings)
        .map_err(|error| Failure::because("opening the bank", &error))?;
    let late = json!([{"call": "debit", "fault": "delay", "ms": args.answers_after_s * 1_000}]);
    let rules: Vec<Rule> = serde_json::from_value(late).expect("a rule");
    bank.set_faults(rules).map_err(|error| Failure::because("telling the bank to be late", &error))?;
    let listening = |error| Failure::because("listening on this machine", &error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    tokio::spawn(sandbox::serve(listener, bank));
    Ok((format!("http://{address}"), public))
}

async fn measured(args: &BenchNetworksArgs) -> Result<(), Failure> {
    let directory = &args.data;
    let (listening, address) = listener()?;
    let settings = Settings::of(database(directory, SQLITE));
    let keys = new_keys(directory)?;
    let (url, key) = open_bank(args, keys.issuer_app.public_key()).await?;
    let app = furnish(directory, &settings, &format!("http://{address}"), keys, Issuer { url, key })?;
    let engine = app.engine.clone();
    is_fresh(&engine)?;
    say(&format!("opening {} accounts and a merchant", args.accounts));
    let token = app.networks.vault.seal(Sealed::CardToken, b"bench");
    let mut house = House::build_with(&engine, args.accounts, 1, &token)?;
    // A merchant that is told of nothing, so that payments are all there is to measure.
    house.notify_url = "";
    let tokens = signed_in(&engine, &house)?;
    let courier = courier::start(
        engine.clone(),
        Arc::clone(&app.networks),
        Arc::clone(&app.operator),
        Arc::clone(&app.origin),
    );
    let server = Server::start(listening, koudai_web::router(app), None)
        .map_err(|error| Failure::because("starting the server", &error))?;
    let ground = Ground { engine, house, address, tokens };

    let mut rounds = Rounds::default();
    // What the first round pays for, nobody counts: connections, caches, the first generation.
    rounds.one(&ground, args, false)?;
    let mut rounds = Rounds { acknowledged: rounds.acknowledged, ..Rounds::default() };
    for pair in 1..=args.pairs {
        say(&format!("pair {pair} of {}", args.pairs));
        // Which goes first changes, so that nothing that only grows favours one of them.
        for disturbed in [pair % 2 == 0, pair % 2 == 1] {
            rounds.one(&ground, args, disturbed)?;
        }
    }
    compare(&ground.engine, ground.house.merchants[0], rounds.acknowledged).await?;
    let report = rounds.report(args, &ground.engine)?;
    courier.abort();
    server.stop().await;
    println!("{report}");
    drop(ground);
    measure::wait_until_free(directory);
    Ok(())
}

/// What the rounds came to.
#[derive(Debug, Default)]
struct Rounds {
    undisturbed: Vec<Round>,
    disturbed: Vec<Round>,
    by_card: ByCard,
    acknowledged: Acknowledged,
}

/// Payments from balance of one round.
#[derive(Clone, Copy, Debug)]
struct Round {
    p99_ms: f64,
    per_s: u64,
}

impl Rounds {
    fn one(&mut self, ground: &Ground, args: &BenchNetworksArgs, disturbed: bool) -> Result<(), Failure> {
        let limit = Duration::from_secs(args.seconds);
        let from_balance = bills(ground, args.seconds.saturating_mul(MORE_THAN_PAID))?;
        let by_card =
            if disturbed { bills(ground, args.card_payers as u64 * (args.seconds + 1))? } else { vec![] };
        let (figures, acknowledged, cards) = std::thread::scope(|scope| {
            let cards = scope.spawn(|| pay_by_card(ground, &by_card, args.card_payers, limit));
            let paid = callers::run(ground.address, &ground.tokens, from_balance, args.connections, limit);
            let cards = cards.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let (figures, acknowledged) = paid?;
            Ok::<_, Failure>((figures, acknowledged, cards?))
        })?;
        self.acknowledged.payments += acknowledged.payments;
        self.acknowledged.minor += acknowledged.minor;
        self.by_card.pending += cards.pending;
        self.by_card.refused += cards.refused;
        let round = Round {
            p99_ms: figures.latency.quantile_ms(990),
            per_s: measure::per_second(figures.payments, figures.elapsed),
        };
        if disturbed {
            self.disturbed.push(round);
        } else {
            self.undisturbed.push(round);
        }
        Ok(())
    }

    fn report(&self, args: &BenchNetworksArgs, engine: &Engine) -> Result<serde_json::Value, Failure> {
        let p99 = |rounds: &[Round]| rounds.iter().map(|round| round.p99_ms).collect::<Vec<_>>();
        let per_s = |rounds: &[Round]| rounds.iter().map(|round| round.per_s).collect::<Vec<_>>();
        let (before, beside) = (p99(&self.undisturbed), p99(&self.disturbed));
        Ok(json!({
            "network": format!("answers debits after {} s", args.answers_after_s),
            "pairs": args.pairs,
            "seconds": args.seconds,
            "accounts": args.accounts,
            "connections": args.connections,
            "card_payers": args.card_payers,
            "card_payments": {"pending": self.by_card.pending, "refused": self.by_card.refused},
            "p99_ms": {"undisturbed": before, "disturbed": beside},
            "payments_per_s": {"undisturbed": per_s(&self.undisturbed), "disturbed": per_s(&self.disturbed)},
            "p99_ratio_median": measure::median_ratio(&beside, &before),
            "durability": durability(engine).map_err(|e| ledger(&e))?,
            "commit": option_env!("KOUDAI_COMMIT").unwrap_or(""),
            "version": env!("CARGO_PKG_VERSION"),
            "machine": measure::machine(),
        }))
    }
}

/// So many orders to pay.
fn bills(ground: &Ground, count: u64) -> Result<Vec<Bill>, Failure> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    ground.house.placed(&ground.engine, count, |order, payer| Bill {
        code: order.code,
        payer,
        minor: order.amount.minor(),
    })
}

/// Has so many people pay by card, each once a second, for as long as the round takes.
fn pay_by_card(ground: &Ground, bills: &[Bill], payers: usize, limit: Duration) -> Result<ByCard, Failure> {
    if bills.is_empty() {
        return Ok(ByCard::default());
    }
    let (until, next, done) = (Instant::now() + limit, Cell::new(0), Rc::new(Cell::new(ByCard::default())));
    let payer = async || {
        let broken = |error| Failure::because("a connection to the server", &error);
        let mut stream = TcpStream::connect(ground.address).await.map_err(broken)?;
        let mut answer = Vec::new();
        while let Some(bill) = bills.get(next.replace(next.get() + 1)).filter(|_| Instant::now() < until) {
            let began = Instant::now();
            let payer = bill.payer as usize;
            let method = ground.house.cards[payer].wire();
            let mut request = format!("POST /pay/{}", token_text(&bill.code)).into_bytes();
            request.extend(callers::rest(ground.address, &ground.tokens[payer], &method));
            stream.write_all(&request).await.map_err(broken)?;
            let body = read_answer(&mut stream, &mut answer).await.map_err(broken)?;
            let text = String::from_utf8_lossy(&answer[body..]);
            let mut by_card = done.get();
            if text.contains(r#""state":"pending""#) {
                by_card.pending += 1;
            } else if text.contains(r#""money_moved":"no""#) {
                by_card.refused += 1;
            } else {
                return Err(Failure::new(format!("a card payment was answered: {text}")));
            }
            done.set(by_card);
            tokio::time::sleep((began + PACE).saturating_duration_since(Instant::now())).await;
        }
        Ok::<_, Failure>(())
    };
    block_on_local(futures_util::future::try_join_all((0..payers).map(|_| payer())))?;
    Ok(done.get())
}
