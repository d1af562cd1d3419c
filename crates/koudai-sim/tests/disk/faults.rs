//! Calls that fail: nothing that was committed is lost, and nothing that was not is there.

use koudai_sim::vfs::{Call, Failure, Fault, World};
use rusqlite::ErrorCode;

use crate::ledger::{Script, calls};

fn fails_at(fault: Fault) -> Result<(), String> {
    let world = World::new();
    world.plan(fault);
    let mut script = Script::default();
    script.run(&world, "FULL");
    world.mend();
    world.kill();
    script.check(&world)?;
    script.run(&world, "FULL");
    world.cut_power(fault.nth);
    script.check(&world)
}

#[test]
fn no_call_that_fails_loses_anything() {
    let mut wrong = Vec::new();
    for call in Call::ALL {
        for how in [Failure::Error, Failure::Full, Failure::Short] {
            for nth in 1..=calls(Some(call)) {
                for lasting in [false, true] {
                    let fault = Fault { on: Some(call), nth, how, lasting };
                    if let Err(what) = fails_at(fault) {
                        wrong.push(format!("{fault:?}: {what}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_full_disk_takes_no_more_until_it_is_mended() {
    let world = World::new();
    let connection = world.connect("full.db").unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
    world.plan(Fault { on: Some(Call::Write), nth: 1, how: Failure::Short, lasting: true });
    for _ in 0..3 {
        let refused = connection.execute_batch("INSERT INTO t VALUES (1)").unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DiskFull));
    }
    world.mend();
    connection.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    let all: Vec<i64> = connection
        .prepare("SELECT n FROM t")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(all, [2]);
}

#[test]
fn a_fault_strikes_once_unless_it_lasts() {
    let world = World::new();
    let connection = world.connect("once.db").unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
    let insert = || connection.execute_batch("INSERT INTO t VALUES (1)");
    world.plan(Fault { on: Some(Call::Sync), nth: 2, how: Failure::Error, lasting: false });
    assert_eq!([insert().is_ok(), insert().is_ok(), insert().is_ok()], [true, false, true]);
    world.plan(Fault { on: Some(Call::Sync), nth: 2, how: Failure::Error, lasting: true });
    assert_eq!([insert().is_ok(), insert().is_ok(), insert().is_ok()], [true, false, false]);
    world.mend();
    assert!(insert().is_ok());
}
