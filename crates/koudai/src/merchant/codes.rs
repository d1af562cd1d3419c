//! `koudai merchant code`: the codes a merchant prints and puts up, for any amount.

use koudai_core::rows::{Merchant, Product, StaticCode};
use koudai_core::static_code::{CreateStaticCode, MOST_TEXT, RevokeStaticCode, StaticCodeRefusal};
use koudai_engine::{Engine, Failed};
use koudai_networks::platform::{Platform, parse_token, token_text};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::credentials::{NOBODY, Of, known};
use super::{in_words, number};
use crate::cli::CodeCommand;
use crate::control::{self, Request};
use crate::failure::Failure;

/// How many are listed; a merchant with more than that has replaced most of them.
const LISTED: i64 = 500;
/// The longest address a merchant is told at, as in the protocol.
const MOST_ADDRESS_BYTES: usize = 255;

/// A code to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Add {
    mchid: String,
    label: String,
    notify_url: Option<String>,
}

/// A code to be ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Revoke {
    mchid: String,
    code: String,
}

/// Makes a code.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn add(engine: &Engine, platform: &Platform, add: Add) -> Result<Value, String> {
    let length = add.label.chars().count();
    if !(1..=MOST_TEXT).contains(&length)
        || add.label.trim() != add.label
        || add.label.contains(char::is_control)
    {
        return Err(format!(
            "a label has 1 to {MOST_TEXT} characters, no blanks around it and no control characters"
        ));
    }
    if let Some(address) = &add.notify_url {
        let url = Url::parse(address).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        if address.len() > MOST_ADDRESS_BYTES || url.is_none_or(|url| url.query().is_some()) {
            return Err(format!(
                "{address:?} is not an address of at most {MOST_ADDRESS_BYTES} bytes without a query"
            ));
        }
    }
    let (mchid, label, notify_url) = (number(&add.mchid)?, add.label, add.notify_url);
    let command = CreateStaticCode { mchid, label, notify_url };
    let code = engine.submit(command).await.map_err(|failed| refused(&failed))?;
    let mut shown = shown(&code, platform);
    let merchant = engine.read(move |reader| reader.get::<Merchant>(&mchid)).await;
    let merchant = merchant.map_err(|error| error.to_string())?;
    if !merchant.is_some_and(|merchant| merchant.may_use(Product::Static)) {
        shown["note"] =
            "the merchant takes nothing by it until `koudai merchant set --products` lists static".into();
    }
    Ok(shown)
}

/// A merchant's codes, the newest first.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn list(engine: &Engine, platform: &Platform, of: Of) -> Result<Value, String> {
    let mchid = known(engine, &of.mchid).await?;
    let codes = engine.read(move |reader| reader.static_codes_of(mchid, LISTED)).await;
    Ok(codes.map_err(|error| error.to_string())?.iter().map(|code| shown(code, platform)).collect())
}

/// Ends a code: whoever opens it from now on is told so.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn revoke(engine: &Engine, platform: &Platform, revoke: Revoke) -> Result<Value, String> {
    let token =
        parse_token(&revoke.code).ok_or_else(|| refused(&Failed::Refused(StaticCodeRefusal::CodeUnknown)))?;
    let command = RevokeStaticCode { mchid: number(&revoke.mchid)?, token };
    let code = engine.submit(command).await.map_err(|failed| refused(&failed))?;
    Ok(shown(&code, platform))
}

fn refused(failed: &Failed<StaticCodeRefusal>) -> String {
    match failed {
        Failed::Refused(StaticCodeRefusal::MerchantUnknown) => NOBODY.to_owned(),
        Failed::Refused(StaticCodeRefusal::CodeUnknown) => "this merchant has no such code".to_owned(),
        Failed::Busy => in_words(&Failed::Busy),
        Failed::Stopped => in_words(&Failed::Stopped),
    }
}

/// What the code's picture holds and where a sheet of it is printed: paths under the wallet's public address.
fn shown(code: &StaticCode, platform: &Platform) -> Value {
    let name = token_text(&code.token);
    let mut shown = json!({
        "code": name,
        "label": code.label,
        "state": if code.revoked_at.is_some() { "revoked" } else { "active" },
        "link": platform.static_code_url("", &code.token, code.mchid),
        "sheet": format!("/s/{name}/sheet"),
        "created_at": code.created_at.rfc3339(),
    });
    if !code.notify_url.is_empty() {
        shown["notify_url"] = code.notify_url.as_str().into();
    }
    if let Some(at) = code.revoked_at {
        shown["revoked_at"] = at.rfc3339().into();
    }
    shown
}

/// `koudai merchant code`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run(command: CodeCommand) -> Result<(), Failure> {
    let (data, request) = match command {
        CodeCommand::Add(args) => {
            let add = Add { mchid: args.merchant.mchid, label: args.label, notify_url: args.notify_url };
            (args.merchant.data, Request::CodeAdd(add))
        }
        CodeCommand::List(args) => (args.data, Request::CodeList(Of { mchid: args.mchid })),
        CodeCommand::Revoke(args) => {
            let revoke = Revoke { mchid: args.merchant.mchid, code: args.code };
            (args.merchant.data, Request::CodeRevoke(revoke))
        }
    };
    println!("{:#}", control::ask(&data, request).await?);
    Ok(())
}
