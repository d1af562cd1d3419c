//! `koudai reconcile`: networks' books against ours, as finance looks at it each morning.

pub(crate) mod asked;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::control::{self, Request};
use crate::failure::Failure;

/// Between two looks at a comparison that is under way.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The data directory of a running server
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// Only this network, by its number; 1 is the first issuer
    #[arg(long, value_name = "N")]
    network: Option<i64>,
    /// Compares this day again, such as 2026-11-24 [default: what is due]
    #[arg(long, value_name = "DAY")]
    day: Option<String>,
    /// Compares nothing, and shows what was compared
    #[arg(long)]
    show: bool,
    /// Writes every line of the day, with its class, to a file that does not exist yet
    #[arg(long, value_name = "FILE", requires = "day", requires = "network")]
    csv: Option<PathBuf>,
    /// Prints JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Proposes to adjust a difference by a journal of its own; somebody else has to approve it
    Propose(ProposeArgs),
    /// Approves what somebody else proposed, and posts it
    Approve(ApproveArgs),
}

#[derive(Debug, clap::Args)]
struct Of {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The difference's number
    #[arg(long, value_name = "ID")]
    difference: String,
    /// Who does this: a name of the staff, owner or finance
    #[arg(long, value_name = "NAME")]
    staff: String,
}

#[derive(Debug, clap::Args)]
struct ProposeArgs {
    #[command(flatten)]
    of: Of,
    /// Why, for whoever reads it in a year
    #[arg(long, value_name = "TEXT")]
    note: String,
}

#[derive(Debug, clap::Args)]
struct ApproveArgs {
    #[command(flatten)]
    of: Of,
    /// By how much, as the table shows it, such as -88.00
    #[arg(long, value_name = "YUAN", allow_hyphen_values = true, value_parser = minor)]
    amount: i64,
}

/// Fen as yuan, with a sign if it is below zero.
fn yuan(minor: i64) -> String {
    let (sign, fen) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// Reads what `yuan` wrote.
fn minor(text: &str) -> Result<i64, String> {
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    let read = digits.parse::<i64>().ok().filter(|minor| yuan(*minor) == text.trim_start_matches('+'));
    read.ok_or_else(|| "not an amount with two decimals, such as -88.00".to_owned())
}

/// `koudai reconcile`.
///
/// # Errors
/// See [`Failure`]; if a comparison did not come about, too.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Some(Command::Propose(ProposeArgs { of: Of { data, difference, staff }, note })) => {
            let request = Request::AdjustmentPropose(asked::Propose { difference, staff, note });
            println!("{:#}", control::ask(&data, request).await?);
            return Ok(());
        }
        Some(Command::Approve(ApproveArgs { of: Of { data, difference, staff }, amount })) => {
            let request = Request::AdjustmentApprove(asked::Approve { difference, staff, gap_minor: amount });
            println!("{:#}", control::ask(&data, request).await?);
            return Ok(());
        }
        None => {}
    }
    let Args { data, network, day, show, csv, json, .. } = args;
    let data = data.ok_or_else(|| Failure::usage("say which --data directory".to_owned()))?;
    let run = || Request::ReconcileRun(asked::Run { network, day: day.clone() });
    while !show && control::ask(&data, run()).await? != true {
        tokio::time::sleep(LOOK).await;
    }
    let shown = loop {
        let request = Request::ReconcileShow(asked::Show { network, day: day.clone() });
        let shown = control::ask(&data, request).await?;
        if each(&shown).all(|network| network["under_way"] != true) {
            break shown;
        }
        tokio::time::sleep(LOOK).await;
    };
    if let (Some(path), Some(network), Some(day)) = (csv, network, &day) {
        let failed = |error: std::io::Error| Failure::because(format!("writing {}", path.display()), &error);
        let mut file = std::io::BufWriter::new(std::fs::File::create_new(&path).map_err(failed)?);
        writeln!(file, "{}", asked::COLUMNS.join(",")).map_err(failed)?;
        for theirs in [true, false] {
            let mut after = None;
            loop {
                let request = asked::Lines { network, day: day.clone(), theirs, after };
                let page = control::ask(&data, Request::ReconcileLines(request)).await?;
                for row in each(&page["rows"]) {
                    // What others wrote is quoted, so that it stays in its cell.
                    let cells: Vec<_> = each(row).map(cell).collect();
                    writeln!(file, "{}", cells.join(",")).map_err(failed)?;
                }
                let Some(next) = serde_json::from_value(page["next"].clone()).ok().flatten() else { break };
                after = Some(next);
            }
        }
        file.flush().map_err(failed)?;
    }
    if json {
        println!("{shown:#}");
    } else {
        print!("{}", table(&shown));
    }
    let failed =
        each(&shown).find_map(|network| Some((network["network"].as_i64()?, network["failed"].as_str()?)));
    match failed {
        Some((network, why)) if !show => {
            Err(Failure::new(format!("network {network} was not compared: {why}")))
        }
        _ => Ok(()),
    }
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A cell of a CSV. A number in front of which a spreadsheet would see a formula is a text.
fn cell(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:+-".contains(&b));
    let formula = text.starts_with(['=', '+', '-', '@']) && minor(text).is_err();
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if plain && !formula { text } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// What finance reads: the days, and what is open.
fn table(shown: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let money = |value: &Value| value.as_i64().map_or_else(String::new, yuan);
    for network in each(shown) {
        let mut line = |text: String| writeln!(out, "{}", text.trim_end()).expect("a string takes it");
        line(format!("network {} {}", network["network"], network["name"].as_str().unwrap_or_default()));
        line(format!(
            "  {:<10}  {:<7}  {:<6}  {:>9}  {:>16}  {:>16}  {:>7}  {:>7}",
            "day", "state", "books", "number", "in", "back and out", "unknown", "differ"
        ));
        for day in each(&network["days"]) {
            for (side, name) in [("theirs", "theirs"), ("ours", "ours")] {
                let first = side == "theirs";
                let only = |value: String| if first { value } else { String::new() };
                line(format!(
                    "  {:<10}  {:<7}  {name:<6}  {:>9}  {:>16}  {:>16}  {:>7}  {:>7}",
                    only(text(&day["day"])),
                    only(text(&day["state"])),
                    day[side]["count"].to_string(),
                    money(&day[side]["in_minor"]),
                    money(&day[side]["out_minor"]),
                    only(day["unknown"].to_string()),
                    only(day["found"].to_string()),
                ));
            }
        }
        line(format!("  {} open", network["open"]));
        for one in each(&network["differences"]) {
            line(format!(
                "  {}  {:<8}  {}  theirs {}, ours {}, differs by {}  {}{}",
                text(&one["difference"]),
                text(&one["class"]),
                text(&one["number"]),
                money(&one["theirs_minor"]),
                money(&one["ours_minor"]),
                money(&one["gap_minor"]),
                text(&one["state"]),
                one["proposed_by"].as_str().map_or_else(String::new, |who| format!(", proposed by {who}")),
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for fen in [0, 1, -1, 8_800, -8_805, i64::MAX] {
            assert_eq!(minor(&yuan(fen)), Ok(fen));
        }
        for wrong in ["", "8", "8.8", "8.800", ".80", "1,000.00", "a", "88.0.0"] {
            assert!(minor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_network_wrote_stays_in_its_cell_and_is_no_formula() {
        let cell = |text: &str| super::cell(&Value::from(text));
        assert_eq!(cell("7000202611240000000000000000"), "7000202611240000000000000000");
        assert_eq!(cell("-88.00"), "-88.00");
        assert_eq!(cell("a,\"b"), "\"a,\"\"b\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
    }
}
