//! Power cuts and kills, at every call.

use koudai_sim::vfs::{Failure, Fault, World};

use crate::ledger::{Script, calls};

/// Stops the machine at a call, lets `restart` start it again, and goes on. What was wrong, if anything.
fn stop_at(nth: u64, how: Failure, synchronous: &str, restart: impl Fn(&World)) -> Result<(), String> {
    let world = World::new();
    world.plan(Fault { on: None, nth, how, lasting: false });
    let mut script = Script::default();
    script.run(&world, synchronous);
    world.mend();
    restart(&world);
    script.check(&world)?;
    script.run(&world, synchronous);
    restart(&world);
    script.check(&world)
}

fn sweep(synchronous: &str, restart: impl Fn(&World, u64)) -> Vec<String> {
    let mut wrong = Vec::new();
    for nth in 1..=calls(None) {
        for how in [Failure::StopBefore, Failure::StopAfter] {
            let restart = |world: &World| restart(world, nth);
            if let Err(what) = stop_at(nth, how, synchronous, restart) {
                wrong.push(format!("{how:?} {nth}: {what}"));
            }
        }
    }
    wrong
}

#[test]
fn what_is_committed_survives_a_power_cut_at_every_call() {
    let wrong = sweep("FULL", World::cut_power);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_committed_survives_a_kill_at_every_call() {
    let wrong = sweep("FULL", |world, _| world.kill());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_database_that_does_not_sync_is_found_out() {
    let wrong = sweep("OFF", World::cut_power);
    let lost = wrong.iter().filter(|what| what.contains("Committed and 0 lines")).count();
    assert!(lost > 0, "{wrong:#?}");
}

#[test]
fn a_database_that_syncs_its_checkpoints_only_loses_commits_and_is_never_damaged() {
    let wrong = sweep("NORMAL", World::cut_power);
    assert!(!wrong.is_empty());
    let is_loss = |what: &String| what.contains("Committed and 0 lines") || what.contains("tables are gone");
    assert!(wrong.iter().all(is_loss), "{wrong:#?}");
}

#[test]
fn a_database_that_does_not_sync_survives_a_kill() {
    let wrong = sweep("OFF", |world, _| world.kill());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_world_says_where_it_stopped() {
    let world = World::new();
    world.plan(Fault { on: None, nth: 20, how: Failure::StopAfter, lasting: false });
    Script::default().run(&world, "FULL");
    let stop = world.stopped().unwrap();
    assert_eq!((stop.nth, stop.done, world.calls(None)), (20, true, 20), "and counts nothing after that");
    assert!(world.connect("ledger.db").and_then(|c| c.execute_batch("SELECT * FROM line")).is_err());
    world.cut_power(1);
    assert_eq!(world.stopped(), None);
}

#[test]
fn a_seed_leaves_the_same_every_time() {
    let left = |seed| {
        let world = World::new();
        world.plan(Fault { on: None, nth: 300, how: Failure::StopBefore, lasting: false });
        Script::default().run(&world, "OFF");
        world.cut_power(seed);
        (world.size("ledger.db"), world.size("ledger.db-wal"))
    };
    let all: Vec<_> = (0..20).map(left).collect();
    assert_eq!(all, (0..20).map(left).collect::<Vec<_>>());
    assert!(all.iter().any(|one| *one != all[0]), "and another seed something else: {all:?}");
}

#[test]
fn a_connection_from_before_touches_nothing_of_after() {
    for restart in [|world: &World| world.kill(), |world: &World| world.cut_power(7)] {
        let world = World::new();
        let mut script = Script::default();
        script.run(&world, "FULL");
        let old = world.connect("ledger.db").unwrap();
        old.execute_batch("BEGIN IMMEDIATE; DELETE FROM line").unwrap();
        restart(&world);
        let new = world.connect("ledger.db").unwrap();
        new.execute_batch("BEGIN IMMEDIATE; UPDATE total SET lines = lines").unwrap();
        assert!(old.execute_batch("COMMIT").is_err());
        assert!(old.execute_batch("DELETE FROM line").is_err());
        drop(old);
        new.execute_batch("COMMIT").unwrap();
        drop(new);
        assert_eq!(script.check(&world), Ok(()));
    }
}
