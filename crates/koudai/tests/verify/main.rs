//! What `koudai verify` finds. A real directory passes; a copy of it with one bug planted fails, and says which invariant
//! is broken. Checksums, totals and seals are made to fit again, so that only the invariant under test can find the bug.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod books;
mod claims;
mod codes;
mod house;
mod issuing;
mod ledger;
#[path = "../../../koudai-store/tests/store/place.rs"]
mod place;
mod reconciliation;
mod rows;
mod server;
mod static_codes;
mod transfers;
mod withdrawals;
mod written_behind;

use books::Books;
use house::{House, verify};

#[test]
fn a_house_without_a_bug_passes_and_is_counted() {
    let house = House::built();
    let copy = house.copy();
    let (passed, said) = verify(copy.path());
    assert!(passed, "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let counts =
        ["journals", "orders", "paid", "refunds", "transfers", "withdrawals", "app_moves", "open_attempts"]
            .map(|name| report[name].clone());
    assert_eq!(counts, [81, 20, 10, 45, 5, 5, 6, 7]);
    // In by top-up 400,000 and by card 20,000; 5,000 back to the card and 3,000 on the way there. Of fees of 300, refunds
    // gave back 37 and 51. One fen waits for its payee. Payments by codes: one by the balance brought a fee of 30; one by
    // card brought 2,000, which are on their way back; what was reversed left no fee.
    let by_codes = 2_000 - 2_000 - 30;
    // Withdrawn: 10,000 for a fee of 10; 4,000 wait and 3,000 are being sent for a fee of 10.
    let withdrawn = 10_000 + 10 + 4_000 + 3_000 + 10;
    // By a printed code a guest brought 900 for a fee of 5, and a balance paid for a fee of 4.
    let printed = 900 - 5 - 4;
    assert_eq!(report["owed_minor"], 420_000 - 8_000 - (300 - 37 - 51) - 1 + by_codes - withdrawn + printed);

    // The planter's own books pass too, so what is found in them is what was planted.
    let books = Books::open(copy.path());
    books.rebook(|_| ());
    let (passed, said) = verify(copy.path());
    assert!(passed, "{said}");
}

#[test]
fn every_invariant_has_a_bug_that_reaches_it() {
    // These follow from others, and say so to whoever changes that: as long as every posting has two ends, and as long as
    // a journal's canonical form names the accounts of its postings by their lines.
    const IMPLIED: [&str; 2] =
        ["what is held at networks equals what is owed", "every account posted to has its line"];
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/verify")).unwrap();
    let checks: Vec<String> =
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let code = checks.iter().flat_map(|text| text.split("#[cfg(test)]").next().unwrap().lines());
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    let texts = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let sentences = texts.filter(|text| text.matches(' ').count() >= 3 && !text.contains('{'));
    let tests = [
        include_str!("claims.rs"),
        include_str!("codes.rs"),
        include_str!("issuing.rs"),
        include_str!("reconciliation.rs"),
        include_str!("ledger.rs"),
        include_str!("rows.rs"),
        include_str!("static_codes.rs"),
        include_str!("transfers.rs"),
        include_str!("withdrawals.rs"),
        include_str!("written_behind.rs"),
    ];
    let tested = |text: &str| IMPLIED.contains(&text) || tests.iter().any(|test| test.contains(text));
    let untested: Vec<&str> = sentences.filter(|text| !tested(text)).collect();
    assert!(untested.is_empty(), "{untested:?}");
}
