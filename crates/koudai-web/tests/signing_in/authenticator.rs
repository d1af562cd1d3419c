//! An authenticator and the browser in front of it, that do what they are asked unless a test changes it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const PRESENT_AND_VERIFIED: u8 = 0x05;
const WITH_CREDENTIAL: u8 = 0x40;

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// One passkey.
pub(crate) struct Authenticator {
    key: EcdsaKeyPair,
    credential: [u8; 20],
    user: Value,
    count: u32,
    /// Where the browser is.
    pub(crate) origin: String,
}

impl Authenticator {
    pub(crate) fn new(credential: u8, origin: &str) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            credential: [credential; 20],
            user: Value::Null,
            count: 0,
            origin: origin.to_owned(),
        }
    }

    fn client_data(&self, ceremony: &str, challenge: &Value) -> String {
        json!({"type": ceremony, "challenge": challenge, "origin": self.origin, "crossOrigin": false})
            .to_string()
    }

    fn data(&self, host: &Value, flags: u8, rest: &[u8]) -> Vec<u8> {
        let host = sha256(host.as_str().unwrap().as_bytes());
        [host.as_slice(), &[flags], &self.count.to_be_bytes(), rest].concat()
    }

    /// Makes the passkey that these options ask for.
    pub(crate) fn make(&mut self, options: &Value) -> String {
        self.user = options["user"]["id"].clone();
        let attested = [&[0; 16][..], &[0, 20], &self.credential, &[0xa0]].concat();
        let public_key = self.key.public_key().as_der().unwrap();
        json!({
            "id": text(self.credential),
            "clientDataJSON": text(self.client_data("webauthn.create", &options["challenge"])),
            "authenticatorData":
                text(self.data(&options["rp"]["id"], PRESENT_AND_VERIFIED | WITH_CREDENTIAL, &attested)),
            "publicKey": text(public_key.as_ref()),
            "publicKeyAlgorithm": -7,
        })
        .to_string()
    }

    /// Answers the challenge of these options.
    pub(crate) fn answer(&mut self, options: &Value) -> String {
        self.count += 1;
        let client_data = self.client_data("webauthn.get", &options["challenge"]);
        let data = self.data(&options["rpId"], PRESENT_AND_VERIFIED, &[]);
        let signed = [data.as_slice(), &sha256(client_data.as_bytes())].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": text(self.credential),
            "clientDataJSON": text(client_data),
            "authenticatorData": text(data),
            "signature": text(signature.as_ref()),
            "userHandle": self.user,
        })
        .to_string()
    }
}
