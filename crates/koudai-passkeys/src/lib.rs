//! What a browser posts for a passkey, checked: the relying party's side of Web Authentication Level 3, sections 7.1 and 7.2
//! (<https://www.w3.org/TR/webauthn-3/>; Level 2 has the same rules, but for backups and top origins). Pure: the caller
//! brings the challenge and the stored key, and keeps challenges from being answered twice.
//!
//! What it must never do: look up or keep anything, or say yes to what it has not checked to the last byte.
//!
//! By ourselves rather than with `webauthn-rs`, which brings 235 packages and a second cryptographic library: attestation
//! is not asked for, so no CBOR and no trust store are needed.
//!
//! The browser hands over the public key twice, as a `SubjectPublicKeyInfo` and inside the authenticator data as a COSE
//! key. Only the first is read. Nothing signs either without attestation, so whoever could exchange one could exchange
//! both, and to compare them would prove nothing.

mod authenticator_data;
mod client_data;
mod error;
mod key;
mod posted;

pub use error::PasskeyError;
pub use key::Algorithm;
pub use posted::{
    ASSERTION_MAX_BYTES, Assertion, CLIENT_DATA_MAX_BYTES, REGISTRATION_MAX_BYTES, Registration,
};

use authenticator_data::AuthenticatorData;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client_data::Ceremony;
use std::fmt;

/// A challenge has at least so many bytes (section 13.4.3).
pub const CHALLENGE_MIN_BYTES: usize = 16;

/// Who asks for passkeys: this wallet, as browsers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The host, or a registrable suffix of it, without scheme and port: `pay.example.com` (section 4, RP ID).
    pub id: String,
    /// What browsers call the pages' origin: scheme, host, and the port unless it is the scheme's own, without a slash at
    /// the end: `https://pay.example.com`. One only: an app or a second host would be a second relying party here.
    pub origin: String,
}

/// A passkey that was just made: what to store of it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// What the authenticator knows it by: 1 to 1023 bytes. The caller refuses one that is stored already, whoever's it
    /// is (section 7.1).
    pub credential_id: Vec<u8>,
    /// Its public key, a DER `SubjectPublicKeyInfo` in its only spelling. It is one of `algorithm`.
    pub public_key: Vec<u8>,
    /// How it signs.
    pub algorithm: Algorithm,
    /// How often it has signed, as it says; 0 if it does not count.
    pub sign_count: u32,
    /// Whether it may ever be on more than one device. It never changes: a caller that stores it refuses an assertion
    /// that says otherwise (section 7.2).
    pub backup_eligible: bool,
    /// Whether it is kept somewhere else too, so that losing the device does not lose it. Only if it is eligible.
    pub backed_up: bool,
    /// The authenticator's model, as it says: nobody vouches for it without attestation. Zeros if it does not say.
    pub aaguid: [u8; 16],
}

/// An assertion that holds: what may have changed since the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How often the passkey has signed, as it says; 0 if it does not count.
    pub sign_count: u32,
    /// As in [`NewPasskey`].
    pub backup_eligible: bool,
    /// As in [`NewPasskey`].
    pub backed_up: bool,
}

impl RelyingParty {
    /// Checks a new passkey (section 7.1) made for this challenge. The first check that fails is the answer.
    ///
    /// # Errors
    /// What [`PasskeyError`] says of the ceremony, the authenticator data, the credential and the public key; never
    /// `UnexpectedCredential`, `TrailingBytes` or `BadSignature`.
    ///
    /// # Panics
    /// If the challenge is shorter than [`CHALLENGE_MIN_BYTES`].
    pub fn register(&self, posted: &Registration, challenge: &[u8]) -> Result<NewPasskey, PasskeyError> {
        self.check_client_data(&posted.client_data, Ceremony::Create, challenge)?;
        let data = self.check_authenticator_data(&posted.authenticator_data)?;
        let credential = data.credential()?;
        if credential.id != posted.credential_id {
            return Err(PasskeyError::WrongCredentialId);
        }
        posted.algorithm.check_key(&posted.public_key)?;
        Ok(NewPasskey {
            credential_id: posted.credential_id.clone(),
            public_key: posted.public_key.clone(),
            algorithm: posted.algorithm,
            sign_count: data.sign_count,
            backup_eligible: data.backup_eligible(),
            backed_up: data.backed_up(),
            aaguid: credential.aaguid,
        })
    }

    /// Checks the answer to this challenge (section 7.2) under the key stored for [`Assertion::credential_id`]. The first
    /// check that fails is the answer. The caller sees that the credential and [`Assertion::user_handle`], if there is one,
    /// are the same person's, and that a passkey which counts has counted on (section 7.2, step 22).
    ///
    /// # Errors
    /// What [`PasskeyError`] says of the ceremony, the authenticator data and the signature. `BadPublicKey` and
    /// `RsaKeySize` say that the stored key is none that [`RelyingParty::register`] gave.
    ///
    /// # Panics
    /// If the challenge is shorter than [`CHALLENGE_MIN_BYTES`].
    pub fn verify(
        &self,
        posted: &Assertion,
        challenge: &[u8],
        public_key: &[u8],
        algorithm: Algorithm,
    ) -> Result<Verified, PasskeyError> {
        self.check_client_data(&posted.client_data, Ceremony::Get, challenge)?;
        let data = self.check_authenticator_data(&posted.authenticator_data)?;
        data.check_nothing_but_extensions()?;
        let mut signed = posted.authenticator_data.clone();
        signed.extend_from_slice(digest(&SHA256, &posted.client_data).as_ref());
        algorithm.check_signature(public_key, &signed, &posted.signature)?;
        Ok(Verified {
            sign_count: data.sign_count,
            backup_eligible: data.backup_eligible(),
            backed_up: data.backed_up(),
        })
    }

    fn check_client_data(
        &self,
        json: &[u8],
        ceremony: Ceremony,
        challenge: &[u8],
    ) -> Result<(), PasskeyError> {
        assert!(challenge.len() >= CHALLENGE_MIN_BYTES, "a challenge nobody guesses");
        client_data::check(json, ceremony, &challenge_text(challenge), &self.origin)
    }

    /// What both ceremonies ask of authenticator data. Verification by finger, face or PIN is always required: a passkey
    /// stands for a password here, and presence alone would let whoever holds the phone pay.
    fn check_authenticator_data<'a>(&self, bytes: &'a [u8]) -> Result<AuthenticatorData<'a>, PasskeyError> {
        let data = AuthenticatorData::parse(bytes)?;
        if data.rp_id_hash != digest(&SHA256, self.id.as_bytes()).as_ref() {
            return Err(PasskeyError::WrongRelyingParty);
        }
        if !data.user_present() {
            return Err(PasskeyError::UserNotPresent);
        }
        if !data.user_verified() {
            return Err(PasskeyError::UserNotVerified);
        }
        if data.backed_up() && !data.backup_eligible() {
            return Err(PasskeyError::BackupWithoutEligibility);
        }
        Ok(data)
    }
}

impl fmt::Debug for NewPasskey {
    /// Without what tells one person's passkey from another's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPasskey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A challenge as it stands in JSON: base64url without padding. Credential ids and user handles are written so too.
pub fn challenge_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
