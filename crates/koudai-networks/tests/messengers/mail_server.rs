//! Runs `mail_server.py`.

use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Certificate;

/// Whom it lets in.
pub(crate) const USER: &str = "wallet%40example.org";
pub(crate) const PASSWORD: &str = "password-of-the-test";

#[derive(Deserialize)]
struct Ready {
    port: u16,
}

/// A mail as the server took it, its headers and its text decoded by Python.
#[derive(Debug, Deserialize)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) hello: String,
    pub(crate) user: Option<String>,
    headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Mail {
    /// The one header of a name.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found: Vec<_> =
            self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).collect();
        assert_eq!(found.len(), 1, "{name}: {:?}", self.headers);
        &found[0].1
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }
}

pub(crate) struct MailServer {
    pub(crate) port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _stdin: ChildStdin,
    _child: Child,
    _files: tempfile::TempDir,
}

impl MailServer {
    /// Opens one that offers TLS as it is told: `implicit`, `starttls` or `none`.
    pub(crate) async fn open(mode: &str, certificate: &Certificate) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("tests/.cache/python/bin/python");
        assert!(
            python.exists(),
            "the mail server of this test is a Python package, and there is no {}: make it with `sh tests/sdk/python.sh`",
            python.display()
        );
        let files = tempfile::tempdir().unwrap();
        let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
        std::fs::write(&chain, &certificate.pem).unwrap();
        std::fs::write(&key, &certificate.key_pem).unwrap();
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messengers/mail_server.py"))
            .args([mode.as_ref(), chain.as_os_str(), key.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next_line().await.unwrap();
        let ready = ready.expect("it ended; if it lacks aiosmtpd, `sh tests/sdk/python.sh` installs it");
        let Ready { port } = serde_json::from_str(&ready).unwrap();
        let stdin = child.stdin.take().unwrap();
        Self { port, lines, _stdin: stdin, _child: child, _files: files }
    }

    /// The next mail it took.
    pub(crate) async fn mail(&mut self) -> Mail {
        serde_json::from_str(&self.lines.next_line().await.unwrap().expect("a mail")).unwrap()
    }
}
