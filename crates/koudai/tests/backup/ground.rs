//! The one fixture: the commands under test, a small ledger with its copy, and a directory with its keys.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::drive::{self, json_of, koudai, run};

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn backup(data: &Path, to: &Path) -> Command {
    let mut command = koudai();
    command.arg("backup").arg("--data").arg(data).arg("--to").arg(to);
    command
}

pub(crate) fn restore(from: &Path, data: &Path) -> Command {
    let mut command = koudai();
    command.arg("restore").arg("--from").arg(from).arg("--data").arg(data);
    command
}

pub(crate) fn verify(data: &Path) -> Command {
    let mut command = koudai();
    command.arg("verify").arg("--data").arg(data);
    command
}

/// Runs a command that has to be refused; what it said.
pub(crate) fn refused(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{command:?} was done: {}", said(&output));
    assert!(output.stdout.is_empty(), "it said it was done");
    said(&output)
}

/// A data directory with a merchant and one of the staff in it; of a demo, whose keys are made sooner.
pub(crate) fn made(data: &Path, database: Option<&str>) {
    let mut create = koudai();
    create.args(["keys", "create", "--demo", "--data"]).arg(data);
    if let Some(url) = database {
        create.args(["--database", url]);
    }
    json_of(&mut create);
    fill(data);
}

pub(crate) fn fill(data: &Path) {
    json_of(koudai().args(["merchant", "create", "--name", "学一食堂", "--data"]).arg(data));
    json_of(koudai().args(["staff", "create", "--name", "li.ming", "--role", "finance", "--data"]).arg(data));
}

/// A new directory with the keys of another, and what is outside of a demo's wallet: its bank, and its shop's files.
pub(crate) fn beside(data: &Path, new: &Path, database: Option<&str>) {
    std::fs::create_dir(new).unwrap();
    std::fs::set_permissions(new, std::fs::Permissions::from_mode(0o700)).unwrap();
    for below in ["keys", "bank", "shop"] {
        if data.join(below).exists() {
            assert!(Command::new("cp").arg("-a").arg(data.join(below)).arg(new).status().unwrap().success());
        }
    }
    if let Some(url) = database {
        std::fs::write(new.join("database"), url).unwrap();
        std::fs::set_permissions(new.join("database"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A copy, and a directory with its keys.
pub(crate) struct Ground {
    _kept: tempfile::TempDir,
    pub(crate) data: PathBuf,
    pub(crate) copy: PathBuf,
    pub(crate) new: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let (kept, directory) = drive::scratch();
        let [data, copy, new] = ["data", "copy", "new"].map(|name| directory.join(name));
        made(&data, None);
        json_of(&mut backup(&data, &copy));
        beside(&data, &new, None);
        Self { _kept: kept, data, copy, new }
    }

    pub(crate) fn refused(&self) -> String {
        let said = refused(&mut restore(&self.copy, &self.new));
        assert!(!self.new.join("koudai.db").exists(), "there is no ledger: {said}");
        said
    }

    /// Changes what the copy says of itself.
    pub(crate) fn describe(&self, change: impl FnOnce(&mut Value)) {
        let path = self.copy.join("backup.json");
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        std::fs::write(&path, manifest.to_string()).unwrap();
    }
}

/// What `koudai verify` reports of a ledger, but for what it reports of itself.
pub(crate) fn figures(directory: &Path) -> Value {
    let mut report = json_of(&mut verify(directory));
    let of_itself = ["took_ms", "journals_per_s", "most_memory_bytes"];
    let report_of = report.as_object_mut().expect("an object");
    for name in of_itself {
        assert!(report_of.remove(name).is_some(), "{name}");
    }
    report
}
