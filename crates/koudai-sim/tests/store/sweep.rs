//! Every call of the script is failed in every way, and the machine stopped before and after it.

use std::sync::LazyLock;

use koudai_sim::vfs::{Call, Failure, Fault, World};

use crate::books::Books;

/// What a life begins on.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// An empty disk, on which a ledger is made first, by every migration there is.
    Nothing,
    /// A ledger that was made before. To make one takes several times as long as the script.
    Made,
}

impl Start {
    fn world(self) -> World {
        static MADE: LazyLock<World> = LazyLock::new(|| {
            let world = World::new();
            Books::default().live_briefly(&world).unwrap();
            world
        });
        match self {
            Self::Nothing => World::new(),
            Self::Made => MADE.twin(),
        }
    }

    /// How many calls the script makes when nothing fails.
    fn calls(self, of: Option<Call>) -> u64 {
        let world = self.world();
        let mut books = Books::default();
        books.live(&world).unwrap();
        assert!(books.is_whole());
        let calls = world.calls(of);
        books.audit(&world);
        calls
    }
}

/// Every call of a kind, or of all, there is: those that make a ledger, and those of the script on one that is made.
fn everywhere(of: Option<Call>) -> impl Iterator<Item = (Start, u64)> {
    let world = World::new();
    Books::default().live_briefly(&world).unwrap();
    let making = (1..=world.calls(of)).map(|nth| (Start::Nothing, nth));
    making.chain((1..=Start::Made.calls(of)).map(|nth| (Start::Made, nth)))
}

/// Lives until the end or a fault, audits after `restart`, and lives on.
fn through(start: Start, fault: Fault, restart: impl Fn(&World)) -> Books {
    let world = start.world();
    let mut books = Books::default();
    world.plan(fault);
    let _ended = books.live(&world);
    world.mend();
    restart(&world);
    books.audit(&world);
    books.live(&world).expect("nothing fails any more");
    assert!(books.is_whole());
    world.cut_power(fault.nth);
    books.audit(&world);
    books
}

fn stop_everywhere(how: Failure, restart: impl Fn(&World, u64)) {
    for (start, nth) in everywhere(None) {
        through(start, Fault { on: None, nth, how, lasting: false }, |world| restart(world, nth));
    }
}

#[test]
fn a_power_cut_before_any_call_loses_no_answer() {
    stop_everywhere(Failure::StopBefore, World::cut_power);
}

#[test]
fn a_power_cut_after_any_call_loses_no_answer() {
    stop_everywhere(Failure::StopAfter, World::cut_power);
}

#[test]
fn a_kill_after_any_call_loses_no_answer() {
    stop_everywhere(Failure::StopAfter, |world, _| world.kill());
}

#[test]
fn a_reader_in_the_way_of_cutting_the_log_does_not_hold_the_writer_up() {
    let world = World::new();
    let mut books = Books::default();
    books.live_beside_a_reader(&world).unwrap();
    assert!(books.is_whole());
    // Time stands still here, but who waits for a lock asks for it again and again.
    let (alone, beside) = (Start::Nothing.calls(Some(Call::ShmLock)), world.calls(Some(Call::ShmLock)));
    assert!(beside < alone + 30, "{alone} alone and {beside} beside a reader");
}

fn fail_everywhere(calls_failed: &[Call], how: Failure) -> u64 {
    let mut refused = 0;
    for call in calls_failed {
        for (start, nth) in everywhere(Some(*call)) {
            for lasting in [false, true] {
                let fault = Fault { on: Some(*call), nth, how, lasting };
                // What a process leaves that ends on a failure is read by the next one, or meets a power cut.
                let cut = nth.is_multiple_of(2) == lasting;
                let restart = |world: &World| if cut { world.cut_power(nth) } else { world.kill() };
                refused += u64::from(through(start, fault, restart).has_refused());
            }
        }
    }
    refused
}

#[test]
fn a_call_that_fails_loses_no_answer() {
    fail_everywhere(&Call::ALL, Failure::Error);
}

#[test]
fn a_full_disk_loses_no_answer() {
    let needs_room = [Call::Open, Call::Write, Call::Sync, Call::Truncate, Call::ShmMap];
    let refused = fail_everywhere(&needs_room, Failure::Full);
    assert!(refused > 400, "{refused}: where a batch found no room it is known that it is not there");
}

#[test]
fn a_batch_that_finds_no_room_is_turned_away_and_the_process_goes_on() {
    let mut went_on = 0;
    for (start, nth) in everywhere(Some(Call::Write)).step_by(7) {
        let world = start.world();
        let mut books = Books::default();
        world.plan(Fault { on: Some(Call::Write), nth, how: Failure::Full, lasting: false });
        went_on += u64::from(books.live(&world).is_ok() && books.has_refused());
        books.audit(&world);
    }
    assert!(went_on > 20, "{went_on}: most writes are those of a commit");
}

#[test]
fn a_write_that_is_cut_short_loses_no_answer() {
    fail_everywhere(&[Call::Write], Failure::Short);
}

/// A sync fails and its pages are taken for written; the next process lives until it is stopped, and the power is cut.
fn forget((start, nth): (Start, u64), stop: u64, mut books: Books) {
    let world = start.world();
    world.plan(Fault { on: Some(Call::Sync), nth, how: Failure::Forgotten, lasting: false });
    let _ended = books.live(&world);
    world.mend();
    world.kill();
    world.plan(Fault { on: None, nth: stop, how: Failure::StopAfter, lasting: false });
    let _ended = books.live(&world);
    world.mend();
    world.cut_power(nth * 1_000 + stop);
    books.audit(&world);
    books.live(&world).expect("nothing fails any more");
    assert!(books.is_whole());
}

fn syncs_and_stops() -> impl Iterator<Item = ((Start, u64), u64)> {
    everywhere(Some(Call::Sync))
        .flat_map(|sync| (1..sync.0.calls(None)).step_by(29).map(move |stop| (sync, stop)))
}

#[test]
fn a_sync_that_failed_and_was_taken_for_done_loses_no_answer() {
    for (sync, stop) in syncs_and_stops() {
        forget(sync, stop, Books::default());
    }
}

#[test]
fn a_log_that_is_not_made_durable_at_the_start_loses_answers_after_such_a_sync() {
    let lost = syncs_and_stops().any(|(sync, stop)| {
        let audited = std::panic::catch_unwind(|| forget(sync, stop, Books::with(|_| Ok(()))));
        audited.is_err()
    });
    assert!(lost, "the sweep finds what it is for");
}
