//! What the browser says it was asked, by which page and for what (section 5.8.1): the part that stops phishing.

use crate::error::PasskeyError;
use crate::posted::{decode, object};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// What a passkey was asked to do.
#[derive(Clone, Copy)]
pub(crate) enum Ceremony {
    Create,
    Get,
}

impl Ceremony {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Fields that browsers may add one day are let pass (section 5.8.1 asks for that).
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin", deserialize_with = "present")]
    has_top_origin: bool,
}

/// Of a field that must not be there, whatever it holds.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Ok(true)
}

/// Checks that a page of this origin asked for this ceremony with this challenge (in base64url), in no other site's frame.
pub(crate) fn check(
    json: &[u8],
    ceremony: Ceremony,
    challenge: &str,
    origin: &str,
) -> Result<(), PasskeyError> {
    let data: ClientData = object(json).ok_or(PasskeyError::ClientDataMalformed)?;
    if data.ceremony != ceremony.name() {
        return Err(PasskeyError::WrongType);
    }
    // Over the text, as section 7.2 has it, so that a challenge has one spelling.
    verify_slices_are_equal(data.challenge.as_bytes(), challenge.as_bytes())
        .map_err(|_| PasskeyError::WrongChallenge)?;
    if data.origin != origin {
        return Err(PasskeyError::WrongOrigin);
    }
    if data.cross_origin {
        return Err(PasskeyError::CrossOrigin);
    }
    if data.has_top_origin {
        return Err(PasskeyError::TopOrigin);
    }
    Ok(())
}

/// The challenge that this says it is an answer to. Nothing has been checked yet.
pub(crate) fn claimed_challenge(json: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    let data: ClientData = object(json).ok_or(PasskeyError::ClientDataMalformed)?;
    decode("challenge", &data.challenge)
}
