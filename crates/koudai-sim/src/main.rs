//! `koudai-sim`: plays simulated histories by their seeds, with or without a bug planted, and says of each finding how to
//! have it again.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use koudai_core::planted::Bug;
use koudai_sim::history::{self, Report};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays simulated histories.
#[derive(Debug, Parser)]
struct Args {
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    seeds: u64,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Plant a bug, by its name, and end at the first seed that finds it
    #[arg(long, value_name = "BUG")]
    plant: Option<String>,
    /// Plant each bug in turn; each has to be found
    #[arg(long, conflicts_with = "plant")]
    plant_each: bool,
}

/// What a run of many seeds came to.
struct Outcome {
    report: Report,
    played: u64,
    /// The finding of the lowest seed that had one.
    finding: Option<(u64, String)>,
}

fn play(args: &Args, bug: Option<Bug>) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cores);
    let next = AtomicU64::new(args.from);
    let end = args.from + args.seeds;
    let outcome = Mutex::new(Outcome { report: Report::default(), played: 0, finding: None });
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let played = history::run(seed, bug);
            let mut outcome = outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            outcome.played += 1;
            match played {
                Ok(report) => outcome.report = outcome.report.plus(report),
                Err(finding) => {
                    if outcome.finding.as_ref().is_none_or(|(before, _)| seed < *before) {
                        outcome.finding = Some((seed, finding));
                    }
                    next.store(end, Ordering::Relaxed);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic is a finding, and its seed is said; where it happened is said by the run of that seed alone.
    if args.seeds > 1 {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let began = Instant::now();
    if args.plant_each || args.plant.is_some() {
        return plant(&args);
    }
    let Outcome { report, played, finding } = play(&args, None);
    let seconds = began.elapsed().as_secs().max(1);
    match finding {
        None => {
            println!(
                "simulated: {played} seeds from {}, no finding: {} payments, {} commands answered, {} lost, {} commits, \
                 {} deaths, {} falls, in {seconds} s ({} seeds/s)",
                args.from,
                report.paid,
                report.answered,
                report.lost,
                report.commits,
                report.deaths,
                report.falls,
                played / seconds
            );
            ExitCode::SUCCESS
        }
        Some((seed, finding)) => {
            println!("seed {seed}: {finding}\n  again: koudai-sim --from {seed} --seeds 1");
            ExitCode::FAILURE
        }
    }
}

/// Plants bugs, each of which has to be found.
fn plant(args: &Args) -> ExitCode {
    let named =
        |bug: &Bug| args.plant.as_ref().is_none_or(|name| format!("{bug:?}").eq_ignore_ascii_case(name));
    let bugs: Vec<Bug> = Bug::ALL.into_iter().filter(named).collect();
    if bugs.is_empty() {
        println!("there is no bug of this name; there are {:?}", Bug::ALL);
        return ExitCode::FAILURE;
    }
    let mut missed = 0;
    for bug in bugs {
        let Outcome { played, finding, .. } = play(args, Some(bug));
        match finding {
            Some((seed, finding)) => {
                println!("planted {bug:?}: found at seed {seed} of {played} played: {finding}");
            }
            None => {
                missed += 1;
                println!("planted {bug:?}: NOT FOUND in {played} seeds");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
