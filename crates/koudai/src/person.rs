//! `koudai person`: what the operator's staff do about people's accounts, until there is a console for it.

use koudai_core::identity::Phone;
use koudai_core::rows::PhoneOwner;
use koudai_core::sign_in::SetFrozen;
use koudai_engine::Engine;
use serde::{Deserialize, Serialize};

use crate::cli::{PersonArgs, PersonCommand};
use crate::control::{self, Request};
use crate::failure::{Failure, in_words};

/// An account to be frozen, or to be opened again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Freeze {
    /// The holder's phone number.
    phone: String,
    /// Whether it is to be frozen.
    frozen: bool,
}

/// Freezes an account, or opens it again.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn freeze(engine: &Engine, request: Freeze) -> Result<serde_json::Value, String> {
    let phone = Phone::parse(&request.phone).ok_or("that is not a mobile number this wallet serves")?;
    let owner = engine.read(move |r| r.get::<PhoneOwner>(&phone)).await;
    let owner = owner.map_err(|error| error.to_string())?.ok_or("no account has this number")?;
    let done = engine.submit(SetFrozen { person: owner.person, frozen: request.frozen }).await;
    let person = done.map_err(|failed| in_words(failed, |refusal| refusal.code().to_owned()))?;
    Ok(serde_json::json!({
        "person_id": person.id.wire(),
        "phone": person.phone.masked(),
        "frozen": person.frozen,
    }))
}

/// `koudai person freeze` and `unfreeze`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run(command: PersonCommand) -> Result<(), Failure> {
    let (PersonArgs { data, phone }, frozen) = match command {
        PersonCommand::Freeze(args) => (args, true),
        PersonCommand::Unfreeze(args) => (args, false),
    };
    let done = control::ask(&data, Request::PersonFreeze(Freeze { phone, frozen })).await?;
    println!("{done:#}");
    Ok(())
}
