//! A browser and an authenticator that do as they should, until a test changes one thing.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use koudai_passkeys::{
    Algorithm, Assertion, NewPasskey, PasskeyError, Registration, RelyingParty, Verified, challenge_text,
};
use serde_json::json;

pub(crate) const CHALLENGE: [u8; 32] = [7; 32];
pub(crate) const HOST: &str = "pay.example.com";
pub(crate) const ORIGIN: &str = "https://pay.example.com";
pub(crate) const CREDENTIAL_ID: [u8; 20] = [9; 20];
pub(crate) const AAGUID: [u8; 16] = [5; 16];

pub(crate) const PRESENT: u8 = 0x01;
pub(crate) const VERIFIED: u8 = 0x04;
pub(crate) const BACKUP_ELIGIBLE: u8 = 0x08;
pub(crate) const BACKED_UP: u8 = 0x10;
pub(crate) const WITH_CREDENTIAL: u8 = 0x40;
pub(crate) const WITH_EXTENSIONS: u8 = 0x80;

/// A passkey's private key.
pub(crate) enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

impl Key {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::generate().unwrap()),
            Algorithm::Rs256 => Self::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        }
    }

    pub(crate) fn es256() -> Self {
        Self::new(Algorithm::Es256)
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        let der = match self {
            Self::Es256(key) => key.public_key().as_der(),
            Self::EdDsa(key) => key.public_key().as_der(),
            Self::Rs256(key) => key.public_key().as_der(),
        };
        der.unwrap().as_ref().to_vec()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::EdDsa(key) => key.sign(message).as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

pub(crate) fn wallet() -> RelyingParty {
    RelyingParty { id: HOST.into(), origin: ORIGIN.into() }
}

/// Authenticator data, part by part.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) host: String,
    pub(crate) flags: u8,
    pub(crate) sign_count: u32,
    pub(crate) rest: Vec<u8>,
}

impl Data {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let hash = digest(&SHA256, self.host.as_bytes());
        [hash.as_ref(), &[self.flags], &self.sign_count.to_be_bytes(), &self.rest].concat()
    }
}

pub(crate) fn client_data(ceremony: &str, challenge: &[u8]) -> String {
    let challenge = challenge_text(challenge);
    format!(
        r#"{{"type":"{ceremony}","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":false,"new":[1]}}"#
    )
}

/// What is posted of a passkey that was just made.
pub(crate) struct Made {
    pub(crate) id: Vec<u8>,
    pub(crate) client_data: String,
    pub(crate) data: Data,
    pub(crate) public_key: Vec<u8>,
    pub(crate) cose: i64,
}

impl Made {
    pub(crate) fn by(key: &Key) -> Self {
        Self {
            id: CREDENTIAL_ID.into(),
            client_data: client_data("webauthn.create", &CHALLENGE),
            data: Data {
                host: HOST.into(),
                flags: PRESENT | VERIFIED | BACKUP_ELIGIBLE | WITH_CREDENTIAL,
                sign_count: 3,
                rest: attested(&CREDENTIAL_ID),
            },
            public_key: key.spki(),
            cose: key.algorithm().cose(),
        }
    }

    pub(crate) fn body(&self) -> serde_json::Value {
        json!({
            "id": challenge_text(&self.id),
            "clientDataJSON": challenge_text(self.client_data.as_bytes()),
            "authenticatorData": challenge_text(&self.data.bytes()),
            "publicKey": challenge_text(&self.public_key),
            "publicKeyAlgorithm": self.cose,
            "transports": ["internal", "hybrid", "not known yet"],
        })
    }
}

/// Attested credential data of this id. The COSE key is nothing: nobody reads it.
pub(crate) fn attested(id: &[u8]) -> Vec<u8> {
    let length = u16::try_from(id.len()).unwrap().to_be_bytes();
    [&AAGUID[..], &length, id, &[0xa0]].concat()
}

/// What is posted when a passkey has answered, but for the signature.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) id: Vec<u8>,
    pub(crate) client_data: String,
    pub(crate) data: Data,
    pub(crate) user_handle: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn right() -> Self {
        Self {
            id: CREDENTIAL_ID.into(),
            client_data: client_data("webauthn.get", &CHALLENGE),
            data: Data {
                host: HOST.into(),
                flags: PRESENT | VERIFIED | BACKUP_ELIGIBLE,
                sign_count: 4,
                rest: Vec::new(),
            },
            user_handle: Some(vec![1; 16]),
        }
    }

    pub(crate) fn signature(&self, key: &Key) -> Vec<u8> {
        let hash = digest(&SHA256, self.client_data.as_bytes());
        key.sign(&[self.data.bytes().as_slice(), hash.as_ref()].concat())
    }

    pub(crate) fn body(&self, signature: &[u8]) -> serde_json::Value {
        assertion_body(
            &self.id,
            self.client_data.as_bytes(),
            &self.data.bytes(),
            signature,
            self.user_handle.as_deref(),
        )
    }
}

pub(crate) fn assertion_body(
    id: &[u8],
    client_data: &[u8],
    data: &[u8],
    signature: &[u8],
    user_handle: Option<&[u8]>,
) -> serde_json::Value {
    json!({
        "id": challenge_text(id),
        "clientDataJSON": challenge_text(client_data),
        "authenticatorData": challenge_text(data),
        "signature": challenge_text(signature),
        "userHandle": user_handle.map(challenge_text),
    })
}

/// Posts a registration that differs by this change from one that holds.
pub(crate) fn register(key: &Key, change: impl FnOnce(&mut Made)) -> Result<NewPasskey, PasskeyError> {
    let mut made = Made::by(key);
    change(&mut made);
    wallet().register(&Registration::from_json(made.body().to_string().as_bytes())?, &CHALLENGE)
}

/// Posts an answer that was changed in this way before it was signed.
pub(crate) fn sign_in(key: &Key, change: impl FnOnce(&mut Answer)) -> Result<Verified, PasskeyError> {
    let mut answer = Answer::right();
    change(&mut answer);
    verify(key, &answer.body(&answer.signature(key)))
}

/// An answer that holds, as it is read.
pub(crate) fn answered(key: &Key) -> Assertion {
    let answer = Answer::right();
    Assertion::from_json(answer.body(&answer.signature(key)).to_string().as_bytes()).unwrap()
}

pub(crate) fn verify(key: &Key, body: &serde_json::Value) -> Result<Verified, PasskeyError> {
    let posted = Assertion::from_json(body.to_string().as_bytes())?;
    wallet().verify(&posted, &CHALLENGE, &key.spki(), key.algorithm())
}
