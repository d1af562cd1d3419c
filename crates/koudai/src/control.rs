//! The control socket: the commands of this program that change something, done by the server that runs on the data
//! directory, since only one process may write there. When none runs, the command opens the directory itself.
//!
//! One line of JSON asks, one line answers. The socket is its owner's alone.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use koudai_core::state::Policy;
use koudai_engine::{Clock, Engine, Settings};
use koudai_networks::Networks;
use koudai_networks::platform::Platform;
use koudai_networks::vault::Vault;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::failure::Failure;
use crate::merchant::{codes, credentials};
use crate::{directory, issuing, keys, merchant, notices, person, reconcile, staff};

const SOCKET: &str = "control.sock";
/// The longest line either way; a page of what a merchant was told, with what it answered, is the longest there is.
const MAX_LINE_BYTES: u64 = 256 * 1024;
/// How long one request may take. Longer than the engine ever makes a command wait.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a command asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Make a merchant.
    MerchantCreate(merchant::Create),
    /// Change a merchant's rights.
    MerchantSet(merchant::Set),
    /// Give a merchant's app another secret.
    MerchantAppSecret(merchant::AppSecret),
    /// Certify another key of a merchant's.
    CertificateAdd(credentials::Add),
    /// Show a merchant's certificates.
    CertificateList(credentials::Of),
    /// Take a merchant's certificate back.
    CertificateRevoke(credentials::Revoke),
    /// Give a merchant another APIv3 key.
    ApiV3Key(credentials::Of),
    /// Make a code for a merchant to print.
    CodeAdd(codes::Add),
    /// Show a merchant's printed codes.
    CodeList(credentials::Of),
    /// End a merchant's printed code.
    CodeRevoke(codes::Revoke),
    /// The platform's keys have changed on disk.
    KeysChanged,
    /// Make one of the staff.
    StaffCreate(staff::Create),
    /// Freeze a person's account, or open it again.
    PersonFreeze(person::Freeze),
    /// Make or change an app that takes money from accounts here.
    IssuingAppSet(issuing::Set),
    /// List how a merchant was told.
    MerchantNotices(notices::List),
    /// Tell a merchant again.
    MerchantReplay(notices::Replay),
    /// See whether a merchant checks signatures.
    MerchantProbe(notices::Probe),
    /// Begin to compare networks' books with ours.
    ReconcileRun(reconcile::asked::Run),
    /// Show how a network's books compare with ours.
    ReconcileShow(reconcile::asked::Show),
    /// Show some lines of a day with what came of comparing them.
    ReconcileLines(reconcile::asked::Lines),
    /// Propose to adjust a difference.
    AdjustmentPropose(reconcile::asked::Propose),
    /// Approve that.
    AdjustmentApprove(reconcile::asked::Approve),
}

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Done(serde_json::Value),
    Refused(String),
}

impl Reply {
    fn done(self) -> Result<serde_json::Value, Failure> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(why) => Err(Failure::new(why)),
        }
    }
}

/// Does what was asked.
async fn act(
    data: &Path,
    engine: &Engine,
    vault: &Arc<Vault>,
    platform: &Platform,
    request: Request,
) -> Reply {
    let done = match request {
        Request::MerchantCreate(create) => merchant::create(engine, vault, platform, create)
            .await
            .map(|made| serde_json::to_value(made).expect("credentials are plain JSON")),
        Request::MerchantSet(set) => merchant::set(engine, set).await,
        Request::MerchantAppSecret(asked) => merchant::app_secret(engine, vault, asked).await,
        Request::CertificateAdd(add) => credentials::add(engine, platform, add).await,
        Request::CertificateList(of) => credentials::list(engine, of).await,
        Request::CertificateRevoke(revoke) => credentials::revoke(engine, revoke).await,
        Request::ApiV3Key(of) => credentials::new_apiv3_key(engine, vault, of).await,
        Request::CodeAdd(add) => codes::add(engine, platform, add).await,
        Request::CodeList(of) => codes::list(engine, platform, of).await,
        Request::CodeRevoke(revoke) => codes::revoke(engine, platform, revoke).await,
        Request::KeysChanged => keys::rotate::take_in(data, platform, engine.clock().now())
            .map(|()| serde_json::Value::Null)
            .map_err(|failure| failure.to_string()),
        Request::StaffCreate(create) => staff::create(engine, create).await,
        Request::PersonFreeze(freeze) => person::freeze(engine, freeze).await,
        Request::IssuingAppSet(set) => issuing::set(engine, platform, set).await,
        Request::MerchantNotices(list) => notices::list(engine, vault, list).await,
        Request::MerchantReplay(replay) => notices::replay(engine, vault, replay).await,
        Request::MerchantProbe(_) => {
            Err("a probe is sent by a running server, and none runs on this directory".to_owned())
        }
        // The ledger would be opened for each page.
        Request::ReconcileRun(_) | Request::ReconcileLines(_) => {
            Err("books are read by a running server, and none runs on this directory".to_owned())
        }
        Request::ReconcileShow(show) => reconcile::asked::show(engine, None, show).await,
        Request::AdjustmentPropose(propose) => reconcile::asked::propose(engine, propose).await,
        Request::AdjustmentApprove(approve) => reconcile::asked::approve(engine, approve).await,
    };
    done.map_or_else(Reply::Refused, Reply::Done)
}

/// Asks the server that runs on a data directory, or does it here when none runs.
///
/// # Errors
/// If it was refused, or nobody can do it.
pub(crate) async fn ask(data: &Path, request: Request) -> Result<serde_json::Value, Failure> {
    if directory::kind(data)?.is_none() {
        return Err(Failure::usage(format!("{} is not a data directory", data.display())));
    }
    let reply = match running(data).await? {
        Some(stream) => tokio::time::timeout(TIMEOUT, converse(stream, &request))
            .await
            .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
            .map_err(|error| {
                Failure::because("asking the running server; whether it was done is not known", &error)
            })?,
        None => alone(data, request).await?,
    };
    reply.done()
}

/// Tells the server that runs on a data directory, if one does.
///
/// # Errors
/// If one runs and does not take it.
pub(crate) async fn tell(data: &Path, request: Request) -> Result<(), Failure> {
    let Some(stream) = running(data).await? else { return Ok(()) };
    let reply = tokio::time::timeout(TIMEOUT, converse(stream, &request))
        .await
        .map_err(|_| Failure::new("the running server does not answer"))?
        .map_err(|error| Failure::because("asking the running server", &error))?;
    reply.done().map(drop)
}

/// The server that runs on a data directory, if one does.
async fn running(data: &Path) -> Result<Option<UnixStream>, Failure> {
    match UnixStream::connect(data.join(SOCKET)).await {
        Ok(stream) => Ok(Some(stream)),
        // Nobody listens: none was ever started, or it went without a word.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(Failure::because("reaching the running server", &error)),
    }
}

async fn converse(mut stream: UnixStream, request: &Request) -> std::io::Result<Reply> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(serde_json::from_slice(&read_line(&mut stream).await?)?)
}

async fn alone(data: &Path, request: Request) -> Result<Reply, Failure> {
    let keys = keys::load(data)?;
    let settings = Settings::of(directory::database(data)?);
    let engine = Engine::start(&settings, keys.decisions, Policy::default(), Clock::wall())
        .map_err(|error| Failure::because(format!("opening {}", data.display()), &error))?;
    Ok(act(data, &engine, &Arc::new(keys.vault), &keys.platform, request).await)
}

async fn read_line(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Answers commands until the task is dropped. Whoever calls this owns the directory, so a socket that lies there is
/// one of a process that has ended.
///
/// # Errors
/// If the socket cannot be made.
pub(crate) fn serve(data: &Path, engine: Engine, networks: Arc<Networks>) -> Result<(), Failure> {
    let path = data.join(SOCKET);
    let bind = || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        // Until here, the directory's own mode keeps others away.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    let listener = bind().map_err(|error| {
        let long = path.as_os_str().len() > 100;
        let hint = if long { " (its path is too long for a socket; use a shorter one)" } else { "" };
        Failure::because(format!("making {}{hint}", path.display()), &error)
    })?;
    let data: Arc<Path> = data.into();
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (data, engine, networks) = (Arc::clone(&data), engine.clone(), Arc::clone(&networks));
                    tokio::spawn(tokio::time::timeout(TIMEOUT, answer(stream, data, engine, networks)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(mut stream: UnixStream, data: Arc<Path>, engine: Engine, networks: Arc<Networks>) {
    let Ok(line) = read_line(&mut stream).await else { return };
    let reply = match serde_json::from_slice(&line) {
        Ok(Request::MerchantProbe(probe)) => {
            notices::probe(&engine, &networks, probe).await.map_or_else(Reply::Refused, Reply::Done)
        }
        Ok(Request::ReconcileRun(run)) => {
            reconcile::asked::run(&engine, &networks, &run).map_or_else(Reply::Refused, Reply::Done)
        }
        Ok(Request::ReconcileShow(show)) => reconcile::asked::show(&engine, Some(&networks), show)
            .await
            .map_or_else(Reply::Refused, Reply::Done),
        Ok(Request::ReconcileLines(lines)) => {
            reconcile::asked::lines(&engine, lines).await.map_or_else(Reply::Refused, Reply::Done)
        }
        Ok(request) => act(&data, &engine, &networks.vault, &networks.platform, request).await,
        Err(_) => {
            Reply::Refused("the server does not know this command; is it of another version?".to_owned())
        }
    };
    let mut line = serde_json::to_vec(&reply).expect("a reply is plain JSON");
    line.push(b'\n');
    // A command that has gone away does not need its answer; what it asked for is done all the same.
    let _gone = stream.write_all(&line).await;
}
