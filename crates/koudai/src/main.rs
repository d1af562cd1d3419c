//! The `koudai` program: the only reader of configuration, and what puts the other crates together.
//!
//! What it must never do: decide about money, or start with a setting it has doubts about.

mod alipay;
mod backup;
mod bench;
mod cli;
mod control;
mod demo;
mod directory;
mod doctor;
mod durable;
mod failure;
mod house;
mod issuers;
mod issuing;
mod keys;
mod merchant;
mod messages;
mod money_rules;
mod notices;
mod person;
mod process;
mod reconcile;
mod rules;
mod sandbox;
mod serve;
mod sign_in_rules;
mod staff;
mod unionpay;
pub mod verify;
mod wechat;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command, DoctorCommand, IssuingAppCommand, MerchantCommand, SandboxCommand, StaffCommand};
use failure::Failure;

/// A payment's rows are made by one thread and dropped by another, which the system's allocator takes locks for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Said once: where a tree has two providers of cryptography, as that of the tests, TLS does not choose between them.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    match log_to_stderr(&cli).and_then(|filter| run(cli, filter)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("koudai: {failure}");
            failure.exit_code()
        }
    }
}

/// Starts the log and returns the filter it follows: `--log`, else `RUST_LOG`, else what suits the command.
fn log_to_stderr(cli: &Cli) -> Result<String, Failure> {
    let from_environment = || std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = cli.log.clone().or_else(from_environment).unwrap_or_else(|| {
        let quiet = !matches!(cli.command, Some(Command::Serve(_)));
        if quiet { "warn".to_owned() } else { "info".to_owned() }
    });
    let parsed = EnvFilter::try_new(&filter).map_err(|error| {
        Failure::usage(format!("--log {filter}: {error}; try info, or koudai=debug,warn"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(filter)
}

fn run(cli: Cli, log: String) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because("starting", &error))?;
    let done = runtime.block_on(async {
        match cli.command.unwrap_or_else(|| Command::Demo(Box::default())) {
            Command::Demo(args) => demo::run(*args, log).await,
            Command::Serve(args) => serve::run(*args).await,
            Command::Sandbox(SandboxCommand::Bank(args)) => sandbox::run(args).await,
            Command::Sandbox(SandboxCommand::UnionPay(args)) => sandbox::run_unionpay(args).await,
            Command::Sandbox(SandboxCommand::Alipay(args)) => sandbox::run_alipay(args).await,
            Command::Sandbox(SandboxCommand::WeChat(args)) => sandbox::run_wechat(args).await,
            Command::Keys(cli::KeysCommand::Create(args)) => keys::run(&args),
            Command::Keys(cli::KeysCommand::Rotate(args)) => keys::rotate::run_rotate(&args).await,
            Command::Keys(cli::KeysCommand::Retire(args)) => keys::rotate::run_retire(&args).await,
            Command::Keys(cli::KeysCommand::Show(args)) => keys::rotate::run_show(&args),
            Command::Merchant(MerchantCommand::Create(args)) => merchant::run_create(args).await,
            Command::Merchant(MerchantCommand::Set(args)) => merchant::run_set(args).await,
            Command::Merchant(MerchantCommand::AppSecret(args)) => merchant::run_app_secret(args).await,
            Command::Merchant(MerchantCommand::Notices(args)) => notices::run_list(args).await,
            Command::Merchant(MerchantCommand::Replay(args)) => notices::run_replay(args).await,
            Command::Merchant(MerchantCommand::Probe(args)) => notices::run_probe(args).await,
            Command::Merchant(MerchantCommand::Certificate(command)) => {
                merchant::credentials::run_certificate(command).await
            }
            Command::Merchant(MerchantCommand::Code(command)) => merchant::codes::run(command).await,
            Command::Merchant(MerchantCommand::ApiV3Key(args)) => {
                merchant::credentials::run_apiv3_key(args).await
            }
            Command::Doctor(DoctorCommand::WeChat(args)) => doctor::run_wechat(args).await,
            Command::Verify(args) => check(&args.data),
            Command::Backup(args) => backup::take::run(&args),
            Command::Restore(args) => backup::restore::run(&args),
            Command::Bench(cli::BenchCommand::Engine(args)) => bench::run_engine(&args),
            Command::Bench(cli::BenchCommand::Http(args)) => bench::run_http(&args, &log).await,
            Command::Bench(cli::BenchCommand::Networks(args)) => bench::run_networks(&args).await,
            Command::Bench(cli::BenchCommand::Gateway(args)) => bench::run_gateway(&args, &log).await,
            Command::Bench(cli::BenchCommand::Bill(args)) => bench::run_bill(&args).await,
            Command::Staff(StaffCommand::Create(args)) => staff::run(args).await,
            Command::Person(command) => person::run(command).await,
            Command::Reconcile(args) => reconcile::run(args).await,
            Command::IssuingApp(IssuingAppCommand::Set(args)) => issuing::run(args).await,
        }
    });
    // Whatever still runs has nothing left to say; a blocked thread must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

/// `koudai verify`: prints what was checked as one line of JSON, and beside it, for people, that all of it holds.
fn check(data: &Path) -> Result<(), Failure> {
    if directory::kind(data)?.is_none() {
        return Err(Failure::usage(format!("{} is not a data directory", data.display())));
    }
    let report = verify::run(&directory::database(data)?)
        .map_err(|wrong| Failure::because(format!("{} does not hold", data.display()), &wrong))?;
    println!("{}", serde_json::to_string(&report).expect("a report is plain JSON"));
    eprintln!("{}: 各项核对无误 · every invariant holds", data.display());
    Ok(())
}
