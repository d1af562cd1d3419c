//! Backups and restores that are killed: what they left is refused or done again, and never taken for whole.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::drive::{json_of, koudai, run};
use crate::ground::{Ground, backup, beside, figures, refused, restore, said, verify};
use crate::place::Place;

#[test]
fn a_restore_that_was_cut_short_is_opened_by_nothing_and_begun_anew() {
    let ground = Ground::new();
    std::fs::write(ground.new.join("kind"), "demo\n").unwrap();
    std::fs::write(ground.new.join("restored"), "unfinished\n").unwrap();
    std::fs::create_dir(ground.new.join("restoring")).unwrap();
    std::fs::write(ground.new.join("restoring/koudai.db"), "half").unwrap();
    std::fs::copy(ground.copy.join("koudai.db"), ground.new.join("koudai.db")).unwrap();
    for mut command in [
        verify(&ground.new),
        backup(&ground.new, &ground.copy.with_file_name("another")),
        {
            let mut command = koudai();
            command.args(["merchant", "create", "--name", "店", "--data"]).arg(&ground.new);
            command
        },
        {
            let mut command = koudai();
            command.args(["demo", "--listen", "127.0.0.1:0", "--data"]).arg(&ground.new);
            command
        },
        {
            let mut command = koudai();
            command.args(["restore", "--reconciled", "--data"]).arg(&ground.new);
            command
        },
    ] {
        assert!(refused(&mut command).contains("cut short"), "{command:?}");
    }
    json_of(&mut restore(&ground.copy, &ground.new));
    assert_eq!(figures(&ground.new), figures(&ground.copy));
    assert!(!ground.new.join("restoring").exists());
    let reconcile = || {
        let mut command = koudai();
        command.args(["restore", "--reconciled", "--data"]).arg(&ground.new);
        command
    };
    json_of(&mut reconcile());
    assert!(refused(&mut reconcile()).contains("reconciled already"));
}

/// Kills a command after a while; whether it was done before.
fn cut_short(command: &mut Command, after: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let done = child.try_wait().unwrap();
    let _over = child.kill();
    child.wait().unwrap();
    done.is_some_and(|status| status.success())
}

/// Kills restores at moments all over their time, until one is done before its kill.
fn killed_again_and_again(step: Duration, database: impl Fn() -> Option<Place>) {
    let ground = Ground::new();
    let (mut after, mut killed) = (Duration::from_millis(1), 0);
    loop {
        let place = database();
        let new = ground.copy.with_file_name(format!("new {killed}"));
        beside(&ground.data, &new, place.as_ref().map(Place::url).as_deref());
        let done = cut_short(&mut restore(&ground.copy, &new), after);
        let verified = run(&mut verify(&new)).status.success();
        if done {
            assert!(verified);
            break;
        }
        if !verified {
            let again = run(&mut restore(&ground.copy, &new));
            // The whole ledger may be in the server's database, unchecked: what is there is never written over.
            let known = place.is_some()
                && said(&again).contains("not empty")
                && said(&again).contains("make that database anew");
            assert!(again.status.success() || known, "{}", said(&again));
        }
        (after, killed) = (after + step, killed + 1);
        assert!(killed < 2_000, "it is never done");
    }
    assert!(killed > 3, "{killed} were killed");
}

#[test]
fn a_restore_killed_at_any_moment_is_done_or_begun_anew() {
    killed_again_and_again(Duration::from_millis(2), || None);
    if Place::on_server().is_some() {
        killed_again_and_again(Duration::from_millis(20), Place::on_server);
    }
}

#[test]
fn a_backup_killed_at_any_moment_is_whole_or_absent() {
    let ground = Ground::new();
    let mut after = Duration::from_millis(1);
    for n in 0..2_000 {
        let to = ground.copy.with_file_name(format!("killed {n}"));
        let done = cut_short(&mut backup(&ground.data, &to), after);
        if to.exists() {
            json_of(&mut verify(&to));
        }
        if done {
            assert!(n > 3, "{n} were killed");
            return;
        }
        // What the killed one left is in nobody's way.
        if !to.exists() {
            json_of(&mut backup(&ground.data, &to));
        }
        assert!(!to.with_file_name(format!(".killed {n}.unfinished")).exists() || to.exists());
        after += Duration::from_millis(1);
    }
    panic!("it is never done");
}
