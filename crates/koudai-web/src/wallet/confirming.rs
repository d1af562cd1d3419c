//! What a form confirms a payment by: the payment password, or a passkey that answered a challenge made for this very payment.

use axum::response::Response;
use koudai_core::confirmation::{Act, Confirmation, PasskeySigned};
use koudai_core::id::PersonId;
use koudai_core::refusal::Refusal;
use koudai_core::rows::Passkey;
use koudai_core::time::MINUTE;
use koudai_store::{Reader, StoreError};

use super::answer;
use super::fields::Fields;
use super::passkeys::{self, Purpose};
use super::visit::Visit;

/// How long a challenge for a payment may be answered, ms (domain rule 6).
const LIFE_MS: i64 = MINUTE;

/// What the form confirms by.
///
/// # Errors
/// `PaymentPasswordMalformed`, `SignedOut`, or those of a passkey's answer.
pub(super) async fn confirmation(visit: &Visit, fields: &Fields) -> Result<Confirmation, Refusal> {
    let Some(posted) = fields.get("passkey") else { return fields.pin("payment_password").map(Into::into) };
    let session = visit.token_hash().ok_or(Refusal::SignedOut)?;
    let (answer, covers) = passkeys::check(visit, posted, Purpose::Paying(session)).await?;
    let covers = covers.try_into().map_err(|_| Refusal::PasskeyRefused)?;
    Ok(Confirmation::Passkey(Box::new(PasskeySigned { answer, covers })))
}

/// The passkeys of a person that may confirm payments.
fn that_pay(r: &Reader, person: PersonId) -> Result<Vec<Passkey>, StoreError> {
    Ok(r.passkeys_of(person)?.into_iter().filter(|passkey| passkey.pays).collect())
}

/// Whether a person has a passkey that may confirm payments.
pub(super) fn by_passkey(r: &Reader, person: PersonId) -> Result<bool, StoreError> {
    Ok(!that_pay(r, person)?.is_empty())
}

/// What to have a passkey confirm this act with, and no other. Its challenge says in itself what it covers, so that the decision
/// can hold it against what it is about to do.
///
/// # Errors
/// `SignedOut`, or `PasskeyMayNotPay` if there is none that may.
pub(super) async fn options(visit: &Visit, act: &Act<'_>) -> Result<Response, Refusal> {
    let (person, session) = (visit.person()?, visit.session()?);
    let allowed = visit.read(move |r| that_pay(r, person)).await?;
    if allowed.is_empty() {
        return Err(Refusal::PasskeyMayNotPay);
    }
    let purpose = Purpose::Paying(session);
    passkeys::options(visit, purpose, &act.digest(person), LIFE_MS, &allowed).map(answer::data)
}
