//! What nobody signed: single bits turned, and bytes at random.

use crate::fixture::{
    Answer, CHALLENGE, CREDENTIAL_ID, Data, HOST, Key, Made, assertion_body, client_data, verify, wallet,
};
use koudai_passkeys::{Assertion, Registration, challenge_text};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn an_answer_with_any_one_bit_turned_is_refused() {
    let key = Key::es256();
    let answer = Answer::right();
    let parts = [answer.client_data.clone().into_bytes(), answer.data.bytes(), answer.signature(&key)];
    let post = |parts: &[Vec<u8>; 3]| {
        verify(&key, &assertion_body(&CREDENTIAL_ID, &parts[0], &parts[1], &parts[2], None))
    };
    assert!(post(&parts).is_ok());
    for part in 0..parts.len() {
        for bit in 0..parts[part].len() * 8 {
            let mut turned = parts.clone();
            turned[part][bit / 8] ^= 1 << (bit % 8);
            assert!(post(&turned).is_err(), "bit {bit} of part {part}");
        }
    }
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in bytes(300)) {
        prop_assert!(Registration::from_json(&body).is_err());
        prop_assert!(Assertion::from_json(&body).is_err());
    }

    #[test]
    fn any_fields_are_refused(id in bytes(40), client in bytes(80), data in bytes(120), end in bytes(120)) {
        let key = Key::es256();
        prop_assert!(verify(&key, &assertion_body(&id, &client, &data, &end, None)).is_err());
        let body = json!({
            "id": challenge_text(&id),
            "clientDataJSON": challenge_text(&client),
            "authenticatorData": challenge_text(&data),
            "publicKey": challenge_text(&end),
            "publicKeyAlgorithm": -7,
        });
        if let Ok(posted) = Registration::from_json(body.to_string().as_bytes()) {
            prop_assert!(wallet().register(&posted, &CHALLENGE).is_err());
        }
    }

    /// Everything right up to the flags: what follows them is read as far as it goes.
    #[test]
    fn any_authenticator_data_is_read_or_refused(flags: u8, sign_count: u32, rest in bytes(80)) {
        let key = Key::es256();
        let data = Data { host: HOST.into(), flags, sign_count, rest };
        let right = client_data("webauthn.get", &CHALLENGE);
        let body = assertion_body(&CREDENTIAL_ID, right.as_bytes(), &data.bytes(), &[0x30, 0], None);
        prop_assert!(verify(&key, &body).is_err());

        let made = Made { data, ..Made::by(&key) };
        let posted = Registration::from_json(made.body().to_string().as_bytes()).unwrap();
        prop_assert!(wallet().register(&posted, &CHALLENGE).is_err());
    }
}
