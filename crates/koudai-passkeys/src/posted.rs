//! What the browser posts: JSON with base64url fields, its sizes bounded before anything is decoded.

use crate::client_data;
use crate::error::PasskeyError;
use crate::key::Algorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// A registration's body has at most so many bytes. The longest that can be right, with an id of 1023 bytes and an RSA key
/// of 8192 bits twice, has less than 6 KiB besides the client data.
pub const REGISTRATION_MAX_BYTES: usize = 16 * 1024;
/// An assertion's body has at most so many bytes. The usual has 700, and an id and a signature of full length 2.8 KiB more.
pub const ASSERTION_MAX_BYTES: usize = 8 * 1024;
/// Client data has at most so many bytes. Browsers write about 250; the rest is for what they may add (section 5.8.1).
pub const CLIENT_DATA_MAX_BYTES: usize = 2 * 1024;

const CREDENTIAL_ID_MAX_BYTES: usize = 1023;
const USER_HANDLE_MAX_BYTES: usize = 64;

/// What the browser posts of a passkey it has just made (section 5.2.1).
pub struct Registration {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) client_data: Vec<u8>,
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) algorithm: Algorithm,
}

/// What the browser posts when a passkey has answered a challenge (section 5.2.2).
pub struct Assertion {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) client_data: Vec<u8>,
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    user_handle: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct RegistrationBody {
    id: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "authenticatorData")]
    authenticator_data: String,
    #[serde(rename = "publicKey")]
    public_key: String,
    #[serde(rename = "publicKeyAlgorithm")]
    algorithm: i64,
}

#[derive(Deserialize)]
struct AssertionBody {
    id: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "authenticatorData")]
    authenticator_data: String,
    signature: String,
    #[serde(rename = "userHandle")]
    user_handle: Option<String>,
}

impl Registration {
    /// Reads the JSON object `{id, clientDataJSON, authenticatorData, publicKey, publicKeyAlgorithm}`: base64url, and the
    /// last a COSE number. Other fields mean nothing; `transports` is one of them, for nothing stores it.
    ///
    /// # Errors
    /// `BodyTooLong`, `BodyMalformed`, `NotBase64Url`, `CredentialIdLength`, `ClientDataTooLong`, `UnsupportedAlgorithm`.
    pub fn from_json(body: &[u8]) -> Result<Self, PasskeyError> {
        let body: RegistrationBody = read(body, REGISTRATION_MAX_BYTES)?;
        Ok(Self {
            credential_id: credential_id(&body.id)?,
            client_data: client_data(&body.client_data)?,
            authenticator_data: decode("authenticatorData", &body.authenticator_data)?,
            public_key: decode("publicKey", &body.public_key)?,
            algorithm: Algorithm::from_cose(body.algorithm).ok_or(PasskeyError::UnsupportedAlgorithm)?,
        })
    }

    /// What the authenticator knows the passkey by: 1 to 1023 bytes.
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// As [`Assertion::claimed_challenge`].
    ///
    /// # Errors
    /// The same.
    pub fn claimed_challenge(&self) -> Result<Vec<u8>, PasskeyError> {
        client_data::claimed_challenge(&self.client_data)
    }
}

impl Assertion {
    /// Reads the JSON object `{id, clientDataJSON, authenticatorData, signature, userHandle}`, all base64url; the user
    /// handle may be null or missing. Other fields mean nothing.
    ///
    /// # Errors
    /// `BodyTooLong`, `BodyMalformed`, `NotBase64Url`, `CredentialIdLength`, `ClientDataTooLong`, `UserHandleLength`.
    pub fn from_json(body: &[u8]) -> Result<Self, PasskeyError> {
        let body: AssertionBody = read(body, ASSERTION_MAX_BYTES)?;
        Ok(Self {
            credential_id: credential_id(&body.id)?,
            client_data: client_data(&body.client_data)?,
            authenticator_data: decode("authenticatorData", &body.authenticator_data)?,
            signature: decode("signature", &body.signature)?,
            user_handle: body.user_handle.as_deref().map(user_handle).transpose()?,
        })
    }

    /// Whose key to check it under: 1 to 1023 bytes.
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// The challenge that the answer says it is to, so that the caller can tell which of theirs to check it against.
    ///
    /// # Errors
    /// `ClientDataMalformed`, or `NotBase64Url`.
    pub fn claimed_challenge(&self) -> Result<Vec<u8>, PasskeyError> {
        client_data::claimed_challenge(&self.client_data)
    }

    /// Whom the passkey was made for, as `user.id` named them then: 1 to 64 bytes, and missing if the passkey was named to
    /// the authenticator and it keeps no list. Nothing signs it.
    pub fn user_handle(&self) -> Option<&[u8]> {
        self.user_handle.as_deref()
    }
}

impl fmt::Debug for Registration {
    /// Without what tells one person's passkey from another's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl fmt::Debug for Assertion {
    /// Without what tells one person's passkey from another's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion").finish_non_exhaustive()
    }
}

fn read<T: DeserializeOwned>(body: &[u8], max_bytes: usize) -> Result<T, PasskeyError> {
    if body.len() > max_bytes {
        return Err(PasskeyError::BodyTooLong);
    }
    object(body).ok_or(PasskeyError::BodyMalformed)
}

/// Reads one JSON object. A struct's fields without their names, as an array, would do for serde, and do not here.
pub(crate) fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok()).flatten()
}

fn credential_id(text: &str) -> Result<Vec<u8>, PasskeyError> {
    let id = decode("id", text)?;
    if id.is_empty() || id.len() > CREDENTIAL_ID_MAX_BYTES {
        return Err(PasskeyError::CredentialIdLength);
    }
    Ok(id)
}

fn client_data(text: &str) -> Result<Vec<u8>, PasskeyError> {
    let json = decode("clientDataJSON", text)?;
    if json.len() > CLIENT_DATA_MAX_BYTES {
        return Err(PasskeyError::ClientDataTooLong);
    }
    Ok(json)
}

fn user_handle(text: &str) -> Result<Vec<u8>, PasskeyError> {
    let handle = decode("userHandle", text)?;
    if handle.is_empty() || handle.len() > USER_HANDLE_MAX_BYTES {
        return Err(PasskeyError::UserHandleLength);
    }
    Ok(handle)
}

pub(crate) fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, PasskeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PasskeyError::NotBase64Url(field))
}
