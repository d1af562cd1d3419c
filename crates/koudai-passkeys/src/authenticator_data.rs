//! What the authenticator says (section 6.1): hash of the relying party's id (32 bytes), flags (1), count of signatures
//! (4, big-endian), then a new credential if the flags say so, then extensions if they do.

use crate::error::PasskeyError;

// Bits 1 and 5 are reserved for future use, so they are not looked at.
const USER_PRESENT: u8 = 1 << 0;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// Authenticator data, its fixed part read.
pub(crate) struct AuthenticatorData<'a> {
    pub(crate) rp_id_hash: &'a [u8],
    flags: u8,
    pub(crate) sign_count: u32,
    rest: &'a [u8],
}

/// A new credential (section 6.5.1).
pub(crate) struct Credential<'a> {
    pub(crate) aaguid: [u8; 16],
    pub(crate) id: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, PasskeyError> {
        let (rp_id_hash, bytes) = take(bytes, 32)?;
        let ([flags], bytes) = take_array(bytes)?;
        let (sign_count, rest) = take_array(bytes)?;
        Ok(Self { rp_id_hash, flags, sign_count: u32::from_be_bytes(sign_count), rest })
    }

    pub(crate) const fn user_present(&self) -> bool {
        self.flags & USER_PRESENT != 0
    }

    pub(crate) const fn user_verified(&self) -> bool {
        self.flags & USER_VERIFIED != 0
    }

    pub(crate) const fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    pub(crate) const fn backed_up(&self) -> bool {
        self.flags & BACKED_UP != 0
    }

    /// A registration's credential. Its key as COSE and extensions follow; where the one ends only a reader of CBOR knows,
    /// so that they are there is all that is checked.
    pub(crate) fn credential(&self) -> Result<Credential<'a>, PasskeyError> {
        if self.flags & HAS_CREDENTIAL == 0 {
            return Err(PasskeyError::NoCredential);
        }
        let (aaguid, bytes) = take_array(self.rest)?;
        let (length, bytes) = take_array(bytes)?;
        let (id, cose_key) = take(bytes, usize::from(u16::from_be_bytes(length)))?;
        take(cose_key, 1)?;
        Ok(Credential { aaguid, id })
    }

    /// An assertion's has no credential, and ends where it should: bytes that no flag accounts for would be signed without
    /// meaning anything.
    pub(crate) fn check_nothing_but_extensions(&self) -> Result<(), PasskeyError> {
        if self.flags & HAS_CREDENTIAL != 0 {
            return Err(PasskeyError::UnexpectedCredential);
        }
        match (self.flags & HAS_EXTENSIONS != 0, self.rest.is_empty()) {
            (true, true) => Err(PasskeyError::AuthenticatorDataTooShort),
            (false, false) => Err(PasskeyError::TrailingBytes),
            // No extension is asked for, so what one says is nobody's to read.
            (true, false) | (false, true) => Ok(()),
        }
    }
}

fn take(bytes: &[u8], count: usize) -> Result<(&[u8], &[u8]), PasskeyError> {
    bytes.split_at_checked(count).ok_or(PasskeyError::AuthenticatorDataTooShort)
}

fn take_array<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), PasskeyError> {
    let (array, rest) = bytes.split_first_chunk().ok_or(PasskeyError::AuthenticatorDataTooShort)?;
    Ok((*array, rest))
}
