//! `koudai bench` on a small ledger: its figures add up, and what it did is a ledger that holds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "../../koudai-store/tests/store/place.rs"]
mod place;
use place::Place;

fn koudai(arguments: &[&str], data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koudai"));
    command.args(arguments).arg("--data").arg(data).stdin(Stdio::null()).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn bench(data: &Path, more: &[&str]) -> Value {
    let small = ["bench", "engine", "--accounts", "50", "--merchants", "3", "--seconds", "1", "--keep"];
    let output = koudai(&[&small, more].concat(), data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn holds(data: &Path) -> Value {
    let output = koudai(&["verify"], data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_a_saturated_run_has_paid_is_in_a_ledger_that_holds() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bench");
    let chart = directory.path().join("chart.svg");
    let more = ["--orders", "3000", "--after", "500", "--in-flight", "64", "--generation", "300", "--chart"];
    let report = bench(&data, &[&more[..], &[chart.to_str().unwrap()]].concat());
    let number = |name: &str| report[name].as_u64().unwrap();
    assert!(number("payments") > 0 && number("payments") <= 3_000);
    assert_eq!((number("payments_before"), number("refused")), (500, 0));
    assert!(number("lag_payments") <= 600 + 64, "{report}");
    assert_eq!(report["durability"]["synchronous"], "FULL");
    let held = holds(&data);
    assert_eq!(held["paid"].as_u64().unwrap(), number("payments") + 500);
    assert!(std::fs::read_to_string(chart).unwrap().starts_with("<svg"));
}

#[test]
fn orders_payments_and_refunds_at_a_set_rate_leave_a_ledger_that_holds() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bench");
    let report =
        bench(&data, &["--mix", "mixed", "--rate", "300", "--generation", "100", "--cache-mib", "0"]);
    let held = holds(&data);
    assert_eq!(held["paid"], report["payments"]);
    assert!(held["refunds"].as_u64().unwrap() > 0);
}

/// Checks a ledger again and again while a load of everything is at work on it, and once more when it is done.
fn check_beside_a_load(data: &Path, more: &[&str], begun: impl FnOnce()) {
    let load = ["bench", "engine", "--accounts", "50", "--merchants", "3", "--seconds", "3", "--keep"];
    let mixed = ["--mix", "mixed", "--rate", "400", "--generation", "100"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_koudai"));
    command.args(load).args(mixed).args(more).arg("--data").arg(data).env_remove("RUST_LOG");
    let mut load =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(load.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("the run:")), "the load begins");
    begun();
    let mut journals = vec![];
    while load.try_wait().unwrap().is_none() {
        journals.push(holds(data)["journals"].as_u64().unwrap());
    }
    let report: Value = serde_json::from_slice(&load.wait_with_output().unwrap().stdout).unwrap();
    assert!(report["payments"].as_u64().unwrap() > 0);
    journals.push(holds(data)["journals"].as_u64().unwrap());
    assert!(journals.len() > 2 && journals.is_sorted() && journals.first() < journals.last(), "{journals:?}");
}

#[test]
fn a_ledger_holds_at_every_moment_while_it_is_at_work() {
    let directory = tempfile::tempdir().unwrap();
    check_beside_a_load(&directory.path().join("bench"), &[], || ());
}

#[test]
fn a_ledger_in_a_servers_database_holds_at_every_moment_while_it_is_at_work() {
    let Some(place) = Place::on_server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bench");
    check_beside_a_load(&data, &["--store", &place.url()], || {
        let database = data.join("database");
        std::fs::write(&database, place.url()).unwrap();
        std::fs::set_permissions(database, std::fs::Permissions::from_mode(0o600)).unwrap();
    });
}

#[test]
fn what_is_acknowledged_over_http_is_in_a_ledger_that_holds() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bench");
    let small =
        ["bench", "http", "--accounts", "20", "--connections", "4", "--seconds", "20", "--orders", "300"];
    let output = koudai(&[&small[..], &["--keep"]].concat(), &data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The orders end long before the time does, so each was paid.
    assert_eq!((&report["payments"], &report["payers"]), (&300.into(), &20.into()), "{report}");
    assert_eq!((&report["merchants"], &report["connections"]), (&1.into(), &4.into()));
    assert!(
        report["payments_per_s"].as_u64().unwrap() > 0 && report["latency_ms"]["p99"].as_f64().unwrap() > 0.0
    );
    assert_eq!(report["durability"]["synchronous"], "FULL");
    assert_eq!(holds(&data)["paid"], 300);
}

/// Makes a small day and asks for its bills; the merchant's credentials and the day are left beside the ledger.
fn bills(data: &Path, more: &[&str]) {
    let small = ["bench", "bill", "--accounts", "20", "--orders", "2500", "--keep"];
    let output = koudai(&[&small[..], more].concat(), data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["orders"], &report["lines"]), (&2_500.into(), &2_550.into()), "{report}");
    assert!(report["trade_bill"]["bytes"].as_u64().unwrap() > 500_000);
    assert!(report["rss_peak_bytes"].as_u64() >= report["rss_idle_bytes"].as_u64());
    let held = holds(data);
    assert_eq!((&held["paid"], &held["refunds"]), (&2_520.into(), &52.into()));
}

#[test]
fn the_bills_of_a_busy_day_add_up_over_http() {
    let directory = tempfile::tempdir().unwrap();
    bills(&directory.path().join("bench"), &[]);
}

#[test]
fn the_bills_of_a_ledger_in_a_servers_database_add_up_too() {
    let Some(place) = Place::on_server() else { return };
    let directory = tempfile::tempdir().unwrap();
    bills(&directory.path().join("bench"), &["--store", &place.url()]);
}

#[test]
fn orders_placed_paid_and_told_over_http_are_in_a_ledger_that_holds() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bench");
    let small = ["bench", "gateway", "--accounts", "20", "--merchants", "3", "--tills", "4"];
    let few = ["--seconds", "60", "--orders", "150", "--keep"];
    let output = koudai(&[&small[..], &few].concat(), &data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The orders end long before the time does, so each was paid and its merchant told.
    assert_eq!((&report["orders"], &report["merchants"]), (&150.into(), &3.into()), "{report}");
    // Of orders 0, 64 and 128 the answer and the notification were checked.
    assert_eq!(report["signatures_checked"], 6, "{report}");
    for name in ["orders_per_s", "rsa_signs_per_s", "bound_orders_per_s"] {
        assert!(report[name].as_u64().unwrap() > 0, "{name}: {report}");
    }
    assert!(report["payment_to_notice_ms"]["p99"].as_f64().unwrap() >= 0.0, "{report}");
    assert_eq!(holds(&data)["paid"], 150);
}

#[test]
fn a_benchmark_never_touches_a_directory_that_holds_anything() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("koudai.db"), "mine").unwrap();
    let output = koudai(&["bench", "engine"], directory.path());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(directory.path().join("koudai.db")).unwrap(), "mine");
}

#[test]
fn payments_beside_a_bank_that_is_late_are_all_from_balance() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bench");
    let small = ["--accounts", "20", "--connections", "2", "--card-payers", "2", "--seconds", "1"];
    let output = koudai(&[&["bench", "networks", "--pairs", "1", "--keep"], &small[..]].concat(), &data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let by_card = &report["card_payments"];
    assert!(by_card["pending"].as_u64().unwrap() + by_card["refused"].as_u64().unwrap() > 0, "{report}");
    assert!(report["p99_ms"]["disturbed"][0].as_f64().unwrap() > 0.0, "{report}");
    holds(&data);
}
