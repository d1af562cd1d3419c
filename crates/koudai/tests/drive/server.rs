//! A PostgreSQL server of the test's own, which can be killed and started again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{free_ports, run, signal};

/// A server that goes with this.
pub struct Server {
    bin: PathBuf,
    port: u16,
    /// Its owner is the server's own user.
    directory: tempfile::TempDir,
}

impl Server {
    /// Makes a server and starts it; `None` if no PostgreSQL is installed.
    pub fn start() -> Option<Self> {
        let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        versions.sort();
        let server = Self {
            bin: versions.pop()?,
            port: free_ports(),
            directory: tempfile::tempdir().expect("a directory"),
        };
        let owned = run(Command::new("chown").arg("postgres").arg(server.directory.path()));
        assert!(owned.status.success() || !is_root());
        server.must("initdb", &["-U", "koudai", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        server.start_again();
        Some(server)
    }

    /// The URL of a database of its.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://koudai@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database.
    pub fn create(&self, database: &str) {
        let made = run(Command::new("psql")
            .args(["-X", "-q", "-d", &self.url("postgres"), "-c"])
            .arg(format!("CREATE DATABASE {database}")));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Kills the server; its sessions' processes end when they notice.
    pub fn kill(&self) {
        let written = std::fs::read_to_string(self.directory.path().join("data/postmaster.pid"));
        let written = written.expect("the server runs");
        let process = written.lines().next().expect("its number").parse().expect("a number");
        signal(process, "KILL");
    }

    /// Starts the server, once what is left of it has ended.
    pub fn start_again(&self) {
        let data = self.directory.path().display().to_string();
        let options = format!("-p {} -k {data} -c listen_addresses=127.0.0.1", self.port);
        let began = Instant::now();
        let log = format!("{data}/log");
        while !self.program("pg_ctl", &["-l", &log, "-o", &options, "-w", "start"]) {
            assert!(began.elapsed() < Duration::from_secs(30), "the server does not start, see {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn must(&self, program: &str, arguments: &[&str]) {
        assert!(self.program(program, arguments), "{program} {arguments:?}");
    }

    /// Runs one of its programs, as somebody PostgreSQL agrees to run as.
    fn program(&self, name: &str, arguments: &[&str]) -> bool {
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(self.bin.join(name));
            command
        } else {
            Command::new(self.bin.join(name))
        };
        command.arg("-D").arg(self.directory.path().join("data")).args(arguments).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("it starts").success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.program("pg_ctl", &["-m", "immediate", "-w", "stop"]);
    }
}

fn is_root() -> bool {
    let who = run(Command::new("id").arg("-u"));
    who.stdout.trim_ascii() == b"0"
}
