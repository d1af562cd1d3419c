//! `koudai issuing-app`: the apps of others that may take money from accounts here, with their holders' consent.

use koudai_core::issuing::{AppIncomplete, SetIssuingApp};
use koudai_engine::Engine;
use koudai_networks::platform::{Platform, SigningMode};
use koudai_wechatpay::keys::PublicKey;
use serde::{Deserialize, Serialize};

use crate::cli::{self, IssuingAppSetArgs};
use crate::control::{self, Request};
use crate::failure::{Failure, in_words};
use crate::sandbox::text;

/// An app to be made or changed. What is absent stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Set {
    app: String,
    name_zh: Option<String>,
    name_en: Option<String>,
    key_pem: Option<String>,
    suspended: Option<bool>,
}

/// Makes an app or changes one.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn set(
    engine: &Engine,
    platform: &Platform,
    request: Set,
) -> Result<serde_json::Value, String> {
    if !is_app_name(&request.app) {
        return Err("an app's name is 1 to 32 of letters, digits, `-` and `_`".to_owned());
    }
    let Set { app, name_zh, name_en, key_pem, suspended } = request;
    let command = SetIssuingApp { app: app.clone(), name_zh, name_en, key_pem, suspended };
    let incomplete =
        |AppIncomplete| format!("there is no app {app}; to make it, give --name-zh, --name-en and --key");
    let app = engine.submit(command).await.map_err(|failed| in_words(failed, incomplete))?;
    let signer = platform.signer(SigningMode::PublicKey, engine.clock().now());
    Ok(serde_json::json!({
        "app": app.app,
        "id": app.id.wire(),
        "name_zh": app.name_zh,
        "name_en": app.name_en,
        "suspended": app.suspended,
        "account_bin": engine.policy().account_bin.digits(),
        "issuer_public_key_pem": signer.key.public_key().to_pem(),
    }))
}

fn is_app_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// `koudai issuing-app set`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run(args: IssuingAppSetArgs) -> Result<(), Failure> {
    let key_pem = match &args.key {
        Some(path) => {
            let key = PublicKey::from_pem(&text(path)?)
                .map_err(|error| Failure::because(format!("the app's key {}", path.display()), &error))?;
            Some(key.to_pem())
        }
        None => None,
    };
    for name in [&args.name_zh, &args.name_en].into_iter().flatten() {
        cli::name(name).map_err(Failure::usage)?;
    }
    let (app, name_zh, name_en, suspended) = (args.app, args.name_zh, args.name_en, args.suspended);
    let request = Set { app, name_zh, name_en, key_pem, suspended };
    let made = control::ask(&args.data, Request::IssuingAppSet(request)).await?;
    println!("{made:#}");
    Ok(())
}
