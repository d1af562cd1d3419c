//! Why something posted for a passkey was refused.

/// Why something posted for a passkey was refused: one variant a check. For `match` and the log; what the person reads is
/// worded at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// The body is longer than [`crate::REGISTRATION_MAX_BYTES`] or [`crate::ASSERTION_MAX_BYTES`].
    #[error("the body is too long")]
    BodyTooLong,
    /// The body is no JSON object with the fields it needs, each once.
    #[error("the body is not the JSON object it should be")]
    BodyMalformed,
    /// This field is not base64url, or has padding or stray bits.
    #[error("{0} is not base64url without padding")]
    NotBase64Url(&'static str),
    /// The credential id is empty or longer than 1023 bytes (sections 4 and 7.1).
    #[error("the credential id is not 1 to 1023 bytes long")]
    CredentialIdLength,
    /// The user handle is empty or longer than 64 bytes (section 5.4.3).
    #[error("the user handle is not 1 to 64 bytes long")]
    UserHandleLength,
    /// The key signs in a way that was not offered.
    #[error("the algorithm is none of ES256, EdDSA, RS256")]
    UnsupportedAlgorithm,
    /// The client data is longer than [`crate::CLIENT_DATA_MAX_BYTES`].
    #[error("the client data is too long")]
    ClientDataTooLong,
    /// The client data is no JSON object with the fields it needs, each once (section 5.8.1).
    #[error("the client data is not the JSON object it should be")]
    ClientDataMalformed,
    /// A registration where an assertion is due, or the reverse.
    #[error("the client data is of another ceremony")]
    WrongType,
    /// Another challenge was answered.
    #[error("another challenge was answered")]
    WrongChallenge,
    /// Another site's page asked for it.
    #[error("the client data is of another origin")]
    WrongOrigin,
    /// The page that asked for it was inside another site's.
    #[error("a page inside another site's page asked")]
    CrossOrigin,
    /// The client data names another page around ours.
    #[error("the client data has a top origin")]
    TopOrigin,
    /// The authenticator data ends before what its flags say it holds (section 6.1).
    #[error("the authenticator data is cut off")]
    AuthenticatorDataTooShort,
    /// The authenticator data is for another relying party id.
    #[error("the authenticator data is for another relying party")]
    WrongRelyingParty,
    /// The authenticator does not say that somebody was there.
    #[error("nobody was present")]
    UserNotPresent,
    /// The authenticator does not say that it verified who was there.
    #[error("the user was not verified")]
    UserNotVerified,
    /// The authenticator says that what cannot be backed up is (section 6.1.3).
    #[error("backed up without being eligible for it")]
    BackupWithoutEligibility,
    /// A registration without attested credential data (section 6.5.1).
    #[error("there is no credential in the authenticator data")]
    NoCredential,
    /// The authenticator data is of another credential than the posted id.
    #[error("the authenticator data is of another credential id")]
    WrongCredentialId,
    /// An assertion with attested credential data (section 6.1: it must not have any).
    #[error("there is a credential in an assertion's authenticator data")]
    UnexpectedCredential,
    /// An assertion's authenticator data goes on after its end.
    #[error("something follows the authenticator data")]
    TrailingBytes,
    /// The public key is no valid `SubjectPublicKeyInfo` of its algorithm.
    #[error("the public key is not one of its algorithm")]
    BadPublicKey,
    /// The RSA key has fewer than 2048 or more than 8192 bits.
    #[error("the RSA key has fewer than 2048 or more than 8192 bits")]
    RsaKeySize,
    /// The signature is not this key's of this data.
    #[error("the signature is wrong")]
    BadSignature,
}
