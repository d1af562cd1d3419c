//! What is refused, and that nothing half done is left by it.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use koudai_store::DirectoryLock;

use crate::drive::json_of;
use crate::ground::{Ground, backup, names, refused, restore, verify};

#[test]
fn what_is_no_copy_or_not_as_it_was_made_is_refused() {
    let ground = Ground::new();
    let file = ground.copy.join("koudai.db");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 4_096]).unwrap();
    assert!(ground.refused().contains("bytes and had"));
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    assert!(ground.refused().contains("was changed since"));
    std::fs::write(&file, &whole).unwrap();

    std::fs::write(ground.copy.join("koudai.db-wal"), "").unwrap();
    assert!(ground.refused().contains("opened since"));
    std::fs::remove_file(ground.copy.join("koudai.db-wal")).unwrap();
    std::fs::rename(&file, ground.copy.join("elsewhere")).unwrap();
    assert!(ground.refused().contains("lacks koudai.db"));
    symlink("elsewhere", &file).unwrap();
    assert!(ground.refused().contains("lacks koudai.db"), "a link is no file");
    std::fs::rename(ground.copy.join("elsewhere"), &file).unwrap();
    let link = ground.copy.with_file_name("link");
    symlink(&ground.copy, &link).unwrap();
    assert!(refused(&mut restore(&link, &ground.new)).contains("links are not followed"));

    ground.describe(|manifest| manifest["format"] = 2.into());
    assert!(ground.refused().contains("use the program that made it"));
    ground.describe(|manifest| manifest["format"] = 1.into());
    ground.describe(|manifest| manifest["seal"] = 1.into());
    assert!(ground.refused().contains("another seal"));
    std::fs::write(ground.copy.join("backup.json"), "{").unwrap();
    assert!(ground.refused().contains("damaged"));
    assert!(
        refused(&mut restore(&ground.data, &ground.new)).contains("backup.json"),
        "a data directory is none"
    );
}

#[test]
fn a_clock_that_stands_before_the_copy_is_refused() {
    let ground = Ground::new();
    let ahead = 3_600_000;
    ground.describe(|manifest| {
        manifest["taken_at_ms"] = (manifest["taken_at_ms"].as_i64().unwrap() + ahead).into();
    });
    assert!(ground.refused().contains("clock"));
}

#[test]
fn a_directory_that_is_not_the_copys_is_refused() {
    let ground = Ground::new();
    let key = ground.new.join("keys/compare.key");
    let own = std::fs::read(&key).unwrap();
    std::fs::write(&key, [7; 32]).unwrap();
    let said = ground.refused();
    assert!(
        said.contains("other keys") && said.contains("compare.key") && !said.contains("data.key"),
        "{said}"
    );
    std::fs::remove_file(&key).unwrap();
    assert!(ground.refused().contains("compare.key"));
    std::fs::write(&key, own).unwrap();
    assert!(ground.refused().contains("chmod 600"), "others can read it");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();

    std::fs::write(ground.new.join("kind"), "serve\n").unwrap();
    assert!(ground.refused().contains("demo's ledger"));
    std::fs::remove_file(ground.new.join("kind")).unwrap();

    let held = DirectoryLock::take(&ground.new).unwrap();
    assert!(ground.refused().contains("another koudai"));
    drop(held);
    assert!(refused(&mut restore(&ground.copy, &ground.data)).contains("not empty"));
    assert!(refused(&mut restore(&ground.copy, &ground.copy.join("nowhere"))).contains("mkdir -m 700"));
    json_of(&mut verify(&ground.data));
    // After all that, it is as good as at first.
    json_of(&mut restore(&ground.copy, &ground.new));
    assert!(refused(&mut restore(&ground.copy, &ground.new)).contains("not empty"));
}

#[test]
fn a_backup_that_cannot_be_made_leaves_nothing() {
    let ground = Ground::new();
    let parent = ground.copy.parent().unwrap();
    assert!(refused(&mut backup(&ground.data, &ground.copy)).contains("already"));
    assert!(refused(&mut backup(&ground.new, &parent.join("none"))).contains("not a data directory"));
    assert!(refused(&mut backup(&ground.data, &parent.join("no/such/place"))).contains("making"));
    std::fs::write(ground.new.join("kind"), "demo\n").unwrap();
    assert!(refused(&mut backup(&ground.new, &parent.join("none"))).contains("no ledger"));

    // A file may take 64 KiB, as on a disk that is full.
    let full = |command: &Command| {
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""]).arg(command.get_program());
        limited.args(command.get_args()).stdin(Stdio::null());
        limited
    };
    refused(&mut full(&backup(&ground.data, &parent.join("none"))));
    assert_eq!(names(parent), ["copy", "data", "new"]);
    std::fs::remove_file(ground.new.join("kind")).unwrap();
    refused(&mut full(&restore(&ground.copy, &ground.new)));
    assert!(!ground.new.join("koudai.db").exists());
    json_of(&mut restore(&ground.copy, &ground.new));
}
