//! `koudai sandbox bank`: the sandbox bank as a server of its own, which lives on when the wallet is killed.

use std::path::Path;

use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::{self, App, BankSettings, SandboxBank, Timing};
use koudai_networks::sms::SmsGateway;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::cli::BankArgs;
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
pub(crate) async fn run(args: BankArgs) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--listen {}: the sandbox bank has no TLS and hands out its test cards to anyone, so it listens on \
             this machine only; use 127.0.0.1:{}",
            args.listen,
            args.listen.port()
        )));
    }
    let app_key = args.app_key.unwrap_or_else(|| args.data.join(APP_KEY));
    let app_key = PublicKey::from_pem(&text(&app_key)?)
        .map_err(|error| Failure::because(format!("the app's key {}", app_key.display()), &error))?;
    if !args.data.join(KEY).exists() {
        create_key(&args.data, &PrivateKey::generate())?;
    }
    let path = args.data.join(KEY);
    let key = PrivateKey::from_pem(&text(&path)?)
        .map_err(|error| Failure::because(format!("the bank's key {}", path.display()), &error))?;
    let sms = match (&args.sms_url, &args.sms_token_file) {
        (Some(url), Some(file)) => {
            let token = Secret::new(text(file)?.trim().to_owned());
            Some(SmsGateway::new(url, &token).map_err(|error| Failure::because("--sms-url", &error))?)
        }
        _ => None,
    };
    let app = App { id: args.app_id, name_zh: args.app_name.clone(), name_en: args.app_name, key: app_key };
    let settings = BankSettings { key, app, sms, inbox_url: args.inbox_url, timing: Timing::default() };
    let bank = SandboxBank::open(&args.data, settings)
        .map_err(|error| Failure::because(format!("opening {}", args.data.display()), &error))?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::because(format!("listening on {}", args.listen), &error))?;
    tracing::info!(listen = %args.listen, "the sandbox bank is open");
    let end = async {
        if args.while_stdin {
            let mut nothing = [0; 64];
            while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|read| read > 0) {}
        } else {
            stop_signal().await;
        }
    };
    tokio::select! {
        served = sandbox::serve(listener, bank) => served.map_err(|error| Failure::because("serving the bank", &error)),
        // Whatever is cut off here was committed before it was answered, and will be asked again.
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
