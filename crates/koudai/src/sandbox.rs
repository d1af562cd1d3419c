//! `koudai sandbox`: a bank, a UnionPay, an Alipay, or what stands in front of a WeChat Pay, as a server of its own, which lives
//! on when the wallet is killed.

use std::net::SocketAddr;
use std::path::Path;

use koudai_core::secret::Secret;
use koudai_core::time::SECOND;
use koudai_networks::alipay::sandbox::{self as alipay, SandboxAlipay};
use koudai_networks::issuer::sandbox::{self, App, BankSettings, SandboxBank, Timing};
use koudai_networks::network::RESEND_GAP_S;
use koudai_networks::sms::SmsGateway;
use koudai_networks::unionpay::CLEARING_CUT_MS;
use koudai_networks::unionpay::sandbox::{self as unionpay, SandboxSettings, SandboxUnionPay};
use koudai_networks::wechat::sandbox::{self as wechat, SandboxWeChat};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};

use crate::cli::{AlipayArgs, BankArgs, SandboxArgs, WeChatArgs};
use crate::durable;
use crate::failure::Failure;
use crate::house::stop_signal;

/// The bank's private key, in its directory.
const KEY: &str = "bank_key.pem";
/// The bank's public key, which the wallet is given.
pub(crate) const PUBLIC_KEY: &str = "bank_public_key.pem";
/// The public key of the app it serves.
pub(crate) const APP_KEY: &str = "app_public_key.pem";

/// `koudai sandbox bank`: serves until it is told to end.
///
/// # Errors
/// If its directory, its port or its settings cannot be used.
pub(crate) async fn run(
    BankArgs { sandbox: args, app_key, app_id, app_name }: BankArgs,
) -> Result<(), Failure> {
    of_this_machine(args.listen)?;
    let app_key = app_key.unwrap_or_else(|| args.data.join(APP_KEY));
    let app_key = PublicKey::from_pem(&text(&app_key)?)
        .map_err(|error| Failure::because(format!("the app's key {}", app_key.display()), &error))?;
    if !args.data.join(KEY).exists() {
        create_key(&args.data, &PrivateKey::generate())?;
    }
    let path = args.data.join(KEY);
    let key = PrivateKey::from_pem(&text(&path)?)
        .map_err(|error| Failure::because(format!("the bank's key {}", path.display()), &error))?;
    let sms = gateway(args.sms_url.as_deref(), args.sms_token_file.as_deref())?;
    let app = App { id: app_id, name_zh: app_name.clone(), name_en: app_name, key: app_key };
    let settings = BankSettings { key, app, sms, inbox_url: args.inbox_url, timing: Timing::default() };
    let bank = SandboxBank::open(&args.data, settings)
        .map_err(|error| Failure::because(format!("opening {}", args.data.display()), &error))?;
    let listener = listening(args.listen).await?;
    tracing::info!(listen = %args.listen, "the sandbox bank is open");
    until_end(args.while_stdin, sandbox::serve(listener, bank)).await
}

/// `koudai sandbox unionpay`: serves until it is told to end.
///
/// # Errors
/// If its directory, its port or its settings cannot be used.
pub(crate) async fn run_unionpay(args: SandboxArgs) -> Result<(), Failure> {
    of_this_machine(args.listen)?;
    let settings = SandboxSettings {
        sms: gateway(args.sms_url.as_deref(), args.sms_token_file.as_deref())?,
        inbox_url: args.inbox_url,
        clearing_cut_ms: CLEARING_CUT_MS,
        resend_gap_ms: i64::from(RESEND_GAP_S) * SECOND,
    };
    let network = SandboxUnionPay::open(&args.data, settings)
        .map_err(|error| Failure::because(format!("opening {}", args.data.display()), &error))?;
    let listener = listening(args.listen).await?;
    tracing::info!(listen = %args.listen, "the sandbox UnionPay is open");
    until_end(args.while_stdin, unionpay::serve(listener, network)).await
}

/// `koudai sandbox alipay`: serves until it is told to end.
///
/// # Errors
/// If its directory, its port or its settings cannot be used.
pub(crate) async fn run_alipay(args: AlipayArgs) -> Result<(), Failure> {
    of_this_machine(args.listen)?;
    // Its address is known before it is opened, and nobody is let in before that: whoever is would find half of its papers.
    let refused = |error: std::io::Error| Failure::because(format!("listening on {}", args.listen), &error);
    let socket = if args.listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(refused)?;
    socket.set_reuseaddr(true).and_then(|()| socket.bind(args.listen)).map_err(refused)?;
    let at = socket.local_addr().map_err(refused)?;
    let url = args.url.unwrap_or_else(|| format!("http://{at}"));
    let settings = alipay::SandboxSettings::at(url.trim_end_matches('/'));
    let network = SandboxAlipay::open(&args.data, settings)
        .map_err(|error| Failure::because(format!("opening {}", args.data.display()), &error))?;
    let listener = socket.listen(1_024).map_err(refused)?;
    tracing::info!(listen = %at, "the sandbox Alipay is open");
    until_end(args.while_stdin, alipay::serve(listener, network)).await
}

/// `koudai sandbox wechat`: serves until it is told to end.
///
/// # Errors
/// If its port or its upstream cannot be used.
pub(crate) async fn run_wechat(args: WeChatArgs) -> Result<(), Failure> {
    of_this_machine(args.listen)?;
    let sandbox = SandboxWeChat::before(&args.upstream)
        .map_err(|error| Failure::because(format!("--upstream {}", args.upstream), &error))?;
    let listener = listening(args.listen).await?;
    tracing::info!(listen = %args.listen, upstream = args.upstream, "the sandbox WeChat Pay is open");
    until_end(args.while_stdin, wechat::serve(listener, sandbox)).await
}

/// A sandbox has no TLS and hands out its test cards to anyone.
fn of_this_machine(listen: SocketAddr) -> Result<(), Failure> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--listen {listen}: a sandbox has no TLS and hands out its test cards to anyone, so it listens on this machine only; \
         use 127.0.0.1:{}",
        listen.port()
    )))
}

fn gateway(url: Option<&str>, token: Option<&Path>) -> Result<Option<SmsGateway>, Failure> {
    let (Some(url), Some(token)) = (url, token) else { return Ok(None) };
    let token = Secret::new(text(token)?.trim().to_owned());
    SmsGateway::new(url, &token).map(Some).map_err(|error| Failure::because("--sms-url", &error))
}

async fn listening(at: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(at).await.map_err(|error| Failure::because(format!("listening on {at}"), &error))
}

/// Serves until it is told to end, or its standard input ends. Whatever is cut off then was committed before it was answered,
/// and will be asked again.
async fn until_end(
    while_stdin: bool,
    serving: impl Future<Output = std::io::Result<()>>,
) -> Result<(), Failure> {
    // One that goes by its standard input leaves signals to do what they do.
    let stop = (!while_stdin).then(stop_signal);
    let end = async {
        let Some(stop) = stop else {
            let mut nothing = [0; 64];
            while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|read| read > 0) {}
            return;
        };
        stop.await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| Failure::because("serving a sandbox", &error)),
        () = end => Ok(()),
    }
}

/// Writes the bank's key pair into its directory.
///
/// # Errors
/// As the file system's.
pub(crate) fn create_key(directory: &Path, key: &PrivateKey) -> Result<(), Failure> {
    let write = || {
        durable::make_directory(directory)?;
        durable::write(&directory.join(PUBLIC_KEY), key.public_key().to_pem().as_bytes())?;
        durable::write(&directory.join(KEY), key.to_pem().as_bytes())
    };
    write().map_err(|error| {
        Failure::because(format!("writing the bank's key to {}", directory.display()), &error)
    })
}

/// A small text file.
///
/// # Errors
/// If it cannot be read or is not text.
pub(crate) fn text(path: &Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    let bytes = durable::read(path)
        .map_err(|error| Failure::because(format!("reading {}", path.display()), &error))?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::new(format!("{} is not text", path.display())))?;
    Ok(text.to_owned().into())
}
