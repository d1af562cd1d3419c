//! A sandbox as a process of its own: started, watched, started again when it dies, and ended with the demo.
//!
//! The child ends when its standard input does, so it goes with the demo even if the demo is killed.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{host, ports};
use crate::failure::Failure;

/// How long a sandbox may take to answer for the first time.
const START_WITHIN: Duration = Duration::from_secs(15);
/// How long it may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(3);
/// The pause before a sandbox that died is started again.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a start is tried: the sandbox of a demo that was just killed may still hold the file for a moment.
const TRIES: u32 = 10;

/// What a sandbox is started with.
#[derive(Debug)]
pub(super) struct Settings {
    /// Which: `bank`, `unionpay` or `alipay`.
    pub(super) name: &'static str,
    pub(super) directory: PathBuf,
    /// Beside those that every sandbox takes.
    pub(super) arguments: Vec<String>,
    pub(super) log: String,
}

/// What all sandboxes of a demo have in common.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) data: &'a Path,
    pub(super) ip: IpAddr,
    pub(super) sms_url: String,
    pub(super) sms_token_file: PathBuf,
    pub(super) inbox_url: String,
    pub(super) log: String,
}

impl Shared<'_> {
    /// What one of them is started with; its directory has its name.
    pub(super) fn of(&self, name: &'static str, arguments: Vec<String>) -> Settings {
        Settings { name, directory: self.data.join(name), arguments, log: self.log.clone() }
    }

    /// The same, of one that sends messages.
    pub(super) fn of_one_that_writes(&self, name: &'static str, mut arguments: Vec<String>) -> Settings {
        let file = self.sms_token_file.display().to_string();
        let messages =
            [("--sms-url", &self.sms_url), ("--inbox-url", &self.inbox_url), ("--sms-token-file", &file)];
        arguments.extend(messages.into_iter().flat_map(|(name, value)| [name.to_owned(), value.clone()]));
        self.of(name, arguments)
    }
}

/// A sandbox that answers.
#[derive(Debug)]
pub(super) struct Sandbox {
    address: String,
    internal: String,
    watch: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Sandbox {
    /// One that somebody else runs.
    pub(super) fn running(url: &str) -> Self {
        let url = url.trim_end_matches('/').to_owned();
        Self { address: url.clone(), internal: url, watch: None }
    }

    /// Starts one on the first free port from `from` on, and waits until it answers.
    ///
    /// # Errors
    /// If it does not come up.
    pub(super) async fn start(settings: Settings, ip: IpAddr, from: u16) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::because("finding this program for a sandbox's process", &error))?;
        for _ in 0..TRIES {
            let probe = ports::next_free(ip, from)?;
            let listen = probe.local_addr().map_err(|error| super::port_failure(&error))?;
            drop(probe);
            let mut running = Running::spawn(&program, &settings, listen)
                .map_err(|error| Failure::because("starting a sandbox's process", &error))?;
            if answers(&mut running.child, listen).await {
                let (stop, stopped) = oneshot::channel();
                let watch = tokio::spawn(watch(program, settings, listen, running, stopped));
                let (address, internal) = (format!("http://{}", host(listen)), format!("http://{listen}"));
                return Ok(Self { address, internal, watch: Some((stop, watch)) });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Failure::new(format!(
            "the sandbox {} does not start on {}; what it says stands above",
            settings.name,
            settings.directory.display()
        )))
    }

    /// Where people open it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Where the wallet reaches it.
    pub(super) fn internal(&self) -> &str {
        &self.internal
    }

    /// Ends it, unless somebody else runs it.
    pub(super) async fn stop(&mut self) {
        if let Some((stop, watch)) = self.watch.take() {
            let _gone = stop.send(());
            let _gone = watch.await;
        }
    }
}

/// The process, with the standard input that keeps it alive held apart: waiting for a child closes its own.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
}

impl Running {
    fn spawn(program: &Path, settings: &Settings, listen: SocketAddr) -> std::io::Result<Self> {
        let mut child = command(program, settings, listen).spawn()?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }
}

fn command(program: &Path, settings: &Settings, listen: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--log", &settings.log, "sandbox", settings.name, "--while-stdin"])
        .args(["--listen", &listen.to_string()])
        .args(&settings.arguments)
        .arg("--data")
        .arg(&settings.directory)
        // A Ctrl-C in the terminal is for the demo, which then ends its sandboxes itself.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Whether it came up: it accepts a connection before it ends.
async fn answers(child: &mut Child, listen: SocketAddr) -> bool {
    let connects = async {
        while tokio::net::TcpStream::connect(listen).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        _ended = child.wait() => false,
        connected = tokio::time::timeout(START_WITHIN, connects) => connected.is_ok(),
    }
}

/// Starts it again whenever it ends, on the same port, until it is to stop.
async fn watch(
    program: PathBuf,
    settings: Settings,
    listen: SocketAddr,
    mut running: Running,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = &mut stopped => {
                drop(running.input);
                if tokio::time::timeout(END_WITHIN, running.child.wait()).await.is_err() {
                    let _gone = running.child.kill().await;
                }
                return;
            }
            ended = running.child.wait() => tracing::warn!(?ended, name = settings.name, "a sandbox ended; starting it again"),
        }
        running = loop {
            tokio::select! {
                _ = &mut stopped => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            match Running::spawn(&program, &settings, listen) {
                Ok(again) => break again,
                Err(error) => tracing::error!(%error, name = settings.name, "a sandbox does not start"),
            }
        };
    }
}
