//! What Web Authentication Level 3 publishes (section "Test Vectors"), named there by these words. Most of its passkeys do
//! not verify the person, so they are refused; of their signatures `key.rs` has tests.

use koudai_passkeys::{
    Algorithm, Assertion, NewPasskey, PasskeyError, Registration, RelyingParty, Verified, challenge_text,
};
use serde_json::json;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn example() -> RelyingParty {
    RelyingParty { id: "example.org".into(), origin: "https://example.org".into() }
}

/// What a vector says of a ceremony: `extra` is at the end of the extra field of its client data.
struct Vector {
    challenge: &'static str,
    cross_origin: bool,
    extra: Option<&'static str>,
    authenticator_data: &'static str,
}

impl Vector {
    fn client_data(&self, ceremony: &str) -> String {
        let challenge = challenge_text(&hex(self.challenge));
        let origin = format!(r#""origin":"https://example.org","crossOrigin":{}"#, self.cross_origin);
        let future = "clientDataJSON may be extended with additional fields in the future, such as this:";
        let extra = self.extra.map(|extra| format!(r#","extraData":"{future} {extra}""#)).unwrap_or_default();
        format!(r#"{{"type":"{ceremony}","challenge":"{challenge}",{origin}{extra}}}"#)
    }

    fn register(&self, id: &str, public_key: &[u8]) -> Result<NewPasskey, PasskeyError> {
        let body = json!({
            "id": challenge_text(&hex(id)),
            "clientDataJSON": challenge_text(self.client_data("webauthn.create").as_bytes()),
            "authenticatorData": challenge_text(&hex(self.authenticator_data)),
            "publicKey": challenge_text(public_key),
            "publicKeyAlgorithm": -7,
        });
        let posted = Registration::from_json(body.to_string().as_bytes())?;
        example().register(&posted, &hex(self.challenge))
    }

    fn verify(&self, id: &str, public_key: &[u8], signature: &str) -> Result<Verified, PasskeyError> {
        let body = json!({
            "id": challenge_text(&hex(id)),
            "clientDataJSON": challenge_text(self.client_data("webauthn.get").as_bytes()),
            "authenticatorData": challenge_text(&hex(self.authenticator_data)),
            "signature": challenge_text(&hex(signature)),
            "userHandle": null,
        });
        let posted = Assertion::from_json(body.to_string().as_bytes())?;
        example().verify(&posted, &hex(self.challenge), public_key, Algorithm::Es256)
    }
}

/// The key of these coordinates.
fn p256(x: &str, y: &str) -> Vec<u8> {
    hex(&["3059301306072a8648ce3d020106082a8648ce3d03010703420004", x, y].concat())
}

#[test]
fn packed_es256_is_registered_and_verifies() {
    let id = "c9a6f5b3462d02873fea0c56862234f99f081728084e511bb7760201a89054a5";
    let public_key = p256(
        "1cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae5",
        "59e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b920c423",
    );
    let registration = Vector {
        challenge: "c1184a5fddf8045e13dc47f54b61f5a656b666b59018f16d870e9256e9952012",
        cross_origin: false,
        extra: Some("9a8bNYjKCgWrBXU-fCl1ag"),
        authenticator_data: concat!(
            "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b54d00000000",
            "876ca4f52071c3e9b25509ef2cdf7ed60020",
            "c9a6f5b3462d02873fea0c56862234f99f081728084e511bb7760201a89054a5",
            "a50102032620012158201cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae5",
            "22582059e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b920c423"
        ),
    };
    let assertion = Vector {
        challenge: "b1106fa46a57bef1781511c0557dc898a03413d5f0f17d244630c194c7e1adb5",
        cross_origin: false,
        extra: Some("AZMwyMxIbD8-uguFNp6r8Q"),
        authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50d00000000",
    };
    let signature = concat!(
        "30450220694969d3ee928de6f02ef23a9c644d7d779916451734a94b432542f498a1ebe9",
        "0221008b0819c824218a97152cd099c55bfb1477b29d900a49a64018314f9bfccda163"
    );

    let passkey = registration.register(id, &public_key).unwrap();
    assert_eq!(passkey.aaguid.as_slice(), hex("876ca4f52071c3e9b25509ef2cdf7ed6"));
    assert_eq!((passkey.sign_count, passkey.backup_eligible, passkey.backed_up), (0, true, false));
    assert_eq!(
        assertion.verify(id, &passkey.public_key, signature),
        Ok(Verified { sign_count: 0, backup_eligible: true, backed_up: false })
    );
}

#[test]
fn none_es256_is_refused_for_nobody_was_verified() {
    let public_key = p256(
        "afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61",
        "930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
    );
    let assertion = Vector {
        challenge: "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
        cross_origin: false,
        extra: None,
        authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
    };
    let signature = concat!(
        "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd38",
        "0221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87"
    );
    let id = "f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4";
    assert_eq!(assertion.verify(id, &public_key, signature), Err(PasskeyError::UserNotVerified));
}

#[test]
fn none_es256_cross_origin_is_refused_for_where_it_was_asked() {
    let public_key = p256(
        "22200a473f90b11078851550d03b4e44a2279f8c4eca27b3153dedfe03e4e97d",
        "cbd0be95e746ad6f5a8191be11756e4c0420e72f65b466d39bc56b8b123a9c6e",
    );
    let mut assertion = Vector {
        challenge: "876aa517ba83fdee65fcffdbca4c84eeae5d54f8041a1fc85c991e5bbb273137",
        cross_origin: true,
        extra: Some("92pcTVD0Aby-q4dtmj6efg"),
        authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50500000000",
    };
    let signature = concat!(
        "3046022100eb12fcf23b12764c0f122e22371fab92e283879fd798f38ee1841c951b6e40e7",
        "022100c76237ff9db77b3c56f30837cda6a09acfa2e915544e609c0733b1184036d1cf"
    );
    let id = "6e1050c0d2ca2f07c755cb2c66a74c64fa43065c18f938354d9915db2bd5ce57";
    assert_eq!(assertion.verify(id, &public_key, signature), Err(PasskeyError::CrossOrigin));
    // What it was signed with holds: to claim otherwise breaks the signature, nothing before it.
    assertion.cross_origin = false;
    assert_eq!(assertion.verify(id, &public_key, signature), Err(PasskeyError::BadSignature));
}
