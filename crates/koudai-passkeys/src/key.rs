//! Public keys and signatures of the three kinds that passkeys have.

use crate::error::PasskeyError;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKey as RsaPublicKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    VerificationAlgorithm,
};

/// How a passkey signs (section 5.8.5; the names are COSE's, RFC 9053 and RFC 8812).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, the signature in DER: phones, and almost everything else.
    Es256,
    /// Ed25519: some security keys.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256: Windows with an older TPM.
    Rs256,
}

impl Algorithm {
    /// All of them, as they are offered in `pubKeyCredParams`: the preferred first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// Its number in COSE.
    pub const fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }

    /// The one of this COSE number.
    pub fn from_cose(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.cose() == number)
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_ASN1,
            Self::EdDsa => &ED25519,
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }

    /// Checks that these bytes are a key of this algorithm, so that a broken one is refused while the person is there. An
    /// Ed25519 key that is no point of the curve passes; no signature verifies under it.
    pub(crate) fn check_key(self, spki: &[u8]) -> Result<(), PasskeyError> {
        self.parse_key(spki).map(|_| ())
    }

    /// Checks a signature of this message.
    pub(crate) fn check_signature(
        self,
        spki: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PasskeyError> {
        self.parse_key(spki)?.verify_sig(message, signature).map_err(|_| PasskeyError::BadSignature)
    }

    fn parse_key(self, spki: &[u8]) -> Result<ParsedPublicKey, PasskeyError> {
        let key = ParsedPublicKey::new(self.verification(), spki).map_err(|_| PasskeyError::BadPublicKey)?;
        // The library also takes bare keys, compressed points (which section 5.8.5 forbids) and bytes after the key. What
        // it would write itself is the one spelling that is stored.
        if !key.as_der().is_ok_and(|der| der.as_ref() == spki) {
            return Err(PasskeyError::BadPublicKey);
        }
        // Of RSA keys the library asks for the size only when it verifies.
        if self == Self::Rs256 && !has_fitting_size(spki)? {
            return Err(PasskeyError::RsaKeySize);
        }
        Ok(key)
    }
}

fn has_fitting_size(spki: &[u8]) -> Result<bool, PasskeyError> {
    let key = RsaPublicKey::from_der(spki).map_err(|_| PasskeyError::BadPublicKey)?;
    let bits = RsaParameters::public_modulus_len(key.as_ref()).map_err(|_| PasskeyError::BadPublicKey)?;
    let fitting = RSA_PKCS1_2048_8192_SHA256.min_modulus_len()..=RSA_PKCS1_2048_8192_SHA256.max_modulus_len();
    Ok(fitting.contains(&bits))
}

#[cfg(test)]
mod tests {
    //! Signatures of Level 3, section "Test Vectors", whose authenticator data says that nobody was verified, so that they
    //! cannot be tried through the relying party.

    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};
    use aws_lc_rs::signature::RsaPublicKeyComponents;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// What is signed: the authenticator data with these flags and no count, and the hash of the client data.
    fn signed(flags: u8, challenge: &str) -> Vec<u8> {
        let json = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"https://example.org","crossOrigin":false}}"#,
            crate::challenge_text(&hex(challenge))
        );
        let client_data = digest(&SHA256, json.as_bytes());
        [digest(&SHA256, b"example.org").as_ref(), &[flags, 0, 0, 0, 0], client_data.as_ref()].concat()
    }

    #[test]
    fn the_published_signature_of_es256_verifies() {
        let spki = hex(concat!(
            "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
            "afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61",
            "930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220"
        ));
        let message = signed(0x19, "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408");
        let signature = hex(concat!(
            "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd38",
            "0221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87"
        ));
        assert_eq!(Algorithm::Es256.check_signature(&spki, &message, &signature), Ok(()));
    }

    #[test]
    fn the_published_signature_of_eddsa_verifies() {
        let spki = hex(concat!(
            "302a300506032b6570032100",
            "44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832"
        ));
        let message = signed(0x01, "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2");
        let signature = hex(concat!(
            "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cf",
            "dfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b"
        ));
        assert_eq!(Algorithm::EdDsa.check_signature(&spki, &message, &signature), Ok(()));
    }

    #[test]
    fn the_published_signature_of_rs256_verifies() {
        // The modulus is (2^1279 - 1) (2^2203 - 1) = 2^3482 - 2^2203 - 2^1279 + 1.
        let mut modulus = vec![0_u8; 436];
        for bit in [0].into_iter().chain(1279..2203).chain(2204..3482) {
            modulus[435 - bit / 8] |= 1 << (bit % 8);
        }
        let spki = RsaPublicKeyComponents { n: modulus, e: vec![1, 0, 1] }.as_der().unwrap();
        let message = signed(0x19, "295f59f5fa8fe62c5aca9e27626c78c8da376ae6d8cd2dd29aebad601e1bc4c5");
        let signature = hex(concat!(
            "01063d52d7c39b4d432fc7063c5d93e582bdcb16889cd71f888d67d880ea730a428498d3bc8e1ee11f2b1ecbe6c292b1",
            "18c55ffaaddefa8cad0a54dd137c51f1eec673f1bb6c4d1789d6826a222b22d0f585fc901fdc933212e579d199b89d67",
            "2aa44891333e6a1355536025e82b25590256c3538229b55737083b2f6b9377e49e2472f11952f79fdd0da180b5ffd901",
            "b4049a8f081bb40711bef76c62aed943571f2d0575304cb549d68d8892f95086a30f93716aee818f8dc06e96c0d5e0ed",
            "4cfa9fd8773d90464b68cf140f7986666ff9c9e3302acd0535d60d769f465e2ab57ef8aabc89fccfef7ba32a64154a8b",
            "3d26be2298f470b8cc5377dbe3dfd4b0b45f8f01e63bde6cfc76b62771f9b70aa27cf40152cad93aa5acd784fd4b90f6",
            "76e2ea828d0bf2400aebbaae4153e5838f537f88b6228346782a93a899be66ec77de45b3efcf311da6321c92e6b0cd11",
            "bfe653bf3e98cee8e341f02d67dbb6f9c98d9e8178090cfb5b70fbc6d541599ac794ae2f1d4de1286ec8de8c2daf7b1d",
            "15c8438e90d924df5c19045220a4c8438c1b979bbe016cf3d0eeec23c3999d4882cc645b776de930756612cdc6dd3981",
            "60ff02a6"
        ));
        assert_eq!(Algorithm::Rs256.check_signature(spki.as_ref(), &message, &signature), Ok(()));
    }
}
