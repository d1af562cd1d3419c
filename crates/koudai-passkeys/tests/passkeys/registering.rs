//! Registering: what is stored of a passkey, and each way to be refused.

use crate::fixture::{
    AAGUID, BACKED_UP, BACKUP_ELIGIBLE, CREDENTIAL_ID, Key, PRESENT, VERIFIED, WITH_CREDENTIAL,
    WITH_EXTENSIONS, attested, client_data, register,
};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RsaPublicKeyComponents, RsaSubjectPublicKey,
};
use koudai_passkeys::{Algorithm, NewPasskey, PasskeyError};

#[test]
fn a_passkey_of_each_kind_is_registered() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let expected = NewPasskey {
            credential_id: CREDENTIAL_ID.into(),
            public_key: key.spki(),
            algorithm,
            sign_count: 3,
            backup_eligible: true,
            backed_up: false,
            aaguid: AAGUID,
        };
        assert_eq!(register(&key, |_| {}), Ok(expected));
    }
}

#[test]
fn flags_say_whether_a_passkey_is_backed_up() {
    let backup = |flags| {
        let passkey = register(&Key::es256(), |made| {
            made.data.flags = PRESENT | VERIFIED | WITH_CREDENTIAL | flags;
        });
        passkey.map(|passkey| (passkey.backup_eligible, passkey.backed_up))
    };
    assert_eq!(backup(0), Ok((false, false)));
    assert_eq!(backup(BACKUP_ELIGIBLE), Ok((true, false)));
    assert_eq!(backup(BACKUP_ELIGIBLE | BACKED_UP), Ok((true, true)));
    assert_eq!(backup(BACKED_UP), Err(PasskeyError::BackupWithoutEligibility));
    // Reserved for future use: whatever they will mean.
    assert_eq!(backup(0x22), Ok((false, false)));
}

#[test]
fn extensions_may_follow_the_key() {
    let passkey = register(&Key::es256(), |made| {
        made.data.flags |= WITH_EXTENSIONS;
        made.data.rest.extend_from_slice(&[0xa0]);
    });
    assert!(passkey.is_ok());
}

#[test]
fn an_answer_to_a_challenge_registers_nothing() {
    let refused = register(&Key::es256(), |made| made.client_data = client_data("webauthn.get", &[7; 32]));
    assert_eq!(refused, Err(PasskeyError::WrongType));
}

#[test]
fn a_registration_for_another_challenge_is_refused() {
    for challenge in [&[8; 32][..], &[7; 31], &[7; 33], &[]] {
        let refused =
            register(&Key::es256(), |made| made.client_data = client_data("webauthn.create", challenge));
        assert_eq!(refused, Err(PasskeyError::WrongChallenge));
    }
}

#[test]
fn a_registration_for_another_site_is_refused() {
    let refused = |from: &str, to: &str| {
        register(&Key::es256(), |made| made.client_data = made.client_data.replace(from, to))
    };
    for origin in ["http://pay.example.com", "https://pay.example.com:8443", "https://pay.example.com/"] {
        assert_eq!(refused("https://pay.example.com", origin), Err(PasskeyError::WrongOrigin));
    }
    assert_eq!(refused("false", "true"), Err(PasskeyError::CrossOrigin));
    for top in [r#""topOrigin":"https://pay.example.com""#, r#""topOrigin":null"#] {
        assert_eq!(refused(r#""new":[1]"#, top), Err(PasskeyError::TopOrigin));
    }
    let refused = register(&Key::es256(), |made| made.data.host = "example.com".into());
    assert_eq!(refused, Err(PasskeyError::WrongRelyingParty));
}

#[test]
fn a_registration_without_a_verified_person_is_refused() {
    let without = |flag: u8| register(&Key::es256(), |made| made.data.flags &= !flag);
    assert_eq!(without(PRESENT), Err(PasskeyError::UserNotPresent));
    assert_eq!(without(VERIFIED), Err(PasskeyError::UserNotVerified));
}

#[test]
fn a_registration_without_its_credential_is_refused() {
    let key = Key::es256();
    let refused = register(&key, |made| made.data.flags &= !WITH_CREDENTIAL);
    assert_eq!(refused, Err(PasskeyError::NoCredential));
    // The same length, another byte; shorter; none.
    for id in [&[8; 20][..], &CREDENTIAL_ID[..19], &[]] {
        let refused = register(&key, |made| made.data.rest = attested(id));
        assert_eq!(refused, Err(PasskeyError::WrongCredentialId));
    }
}

#[test]
fn a_registration_that_is_cut_off_anywhere_is_refused() {
    let key = Key::es256();
    for length in 0..attested(&CREDENTIAL_ID).len() {
        let refused = register(&key, |made| made.data.rest.truncate(length));
        assert_eq!(refused, Err(PasskeyError::AuthenticatorDataTooShort), "{length} bytes of the credential");
    }
}

#[test]
fn a_credential_id_of_the_greatest_length_is_registered() {
    let long = |length| {
        register(&Key::es256(), |made| {
            made.id = vec![4; length];
            made.data.rest = attested(&made.id);
        })
    };
    assert!(long(1).is_ok());
    assert!(long(1023).is_ok());
    assert_eq!(long(0), Err(PasskeyError::CredentialIdLength));
    assert_eq!(long(1024), Err(PasskeyError::CredentialIdLength));
}

#[test]
fn an_algorithm_that_was_not_offered_is_refused() {
    // ES384, PS256, ESP256, Ed25519 by its newer number, none.
    for cose in [-35, -37, -9, -19, 0, i64::MIN] {
        let refused = register(&Key::es256(), |made| made.cose = cose);
        assert_eq!(refused, Err(PasskeyError::UnsupportedAlgorithm));
    }
}

#[test]
fn a_key_of_another_kind_is_refused() {
    for named in Algorithm::ALL {
        for made in Algorithm::ALL.into_iter().filter(|made| *made != named) {
            let other = Key::new(made).spki();
            let refused = register(&Key::new(named), |made| made.public_key = other);
            assert_eq!(refused, Err(PasskeyError::BadPublicKey), "{made:?} as {named:?}");
        }
    }
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
    let refused = register(&Key::es256(), |made| {
        made.public_key = p384.public_key().as_der().unwrap().as_ref().to_vec();
    });
    assert_eq!(refused, Err(PasskeyError::BadPublicKey));
}

#[test]
fn a_broken_key_is_refused() {
    let broken = |algorithm, change: fn(&mut Vec<u8>)| {
        let refused = register(&Key::new(algorithm), |made| change(&mut made.public_key));
        assert_eq!(refused, Err(PasskeyError::BadPublicKey));
    };
    for algorithm in Algorithm::ALL {
        broken(algorithm, Vec::clear);
        broken(algorithm, |key| key.truncate(key.len() - 1));
        broken(algorithm, |key| key.push(0));
    }
    // No point of the curve.
    broken(Algorithm::Es256, |key| *key.last_mut().unwrap() ^= 1);
    // The point alone.
    broken(Algorithm::Es256, |key| *key = key.split_off(26));
    broken(Algorithm::EdDsa, |key| *key = key.split_off(12));
    // An even modulus: its end is before an exponent of five bytes.
    broken(Algorithm::Rs256, |key| {
        let end = key.len() - 6;
        key[end] ^= 1;
    });
    // The key without its algorithm's name.
    broken(Algorithm::Rs256, |key| *key = RsaSubjectPublicKey::from_der(key).unwrap().as_ref().to_vec());
}

#[test]
fn a_compressed_point_is_refused() {
    let key = Key::es256();
    let spki = key.spki();
    let parity = 2 + (spki[90] & 1);
    let compressed = [&[0x30, 0x39][..], &spki[2..23], &[0x03, 0x22, 0, parity], &spki[27..59]].concat();
    let refused = register(&key, |made| made.public_key = compressed);
    assert_eq!(refused, Err(PasskeyError::BadPublicKey));
}

#[test]
fn rsa_keys_have_2048_to_8192_bits() {
    let key = Key::new(Algorithm::Rs256);
    let modulus = |first: u8, bytes: usize| {
        let n = [vec![first], vec![0xff; bytes - 1]].concat();
        let spki = RsaPublicKeyComponents { n, e: vec![1, 0, 1] }.as_der().unwrap();
        register(&key, |made| made.public_key = spki.as_ref().to_vec()).map(|_| ())
    };
    assert_eq!(modulus(0xff, 128), Err(PasskeyError::RsaKeySize));
    assert_eq!(modulus(0x7f, 256), Err(PasskeyError::RsaKeySize));
    assert_eq!(modulus(0xff, 256), Ok(()));
    assert_eq!(modulus(0xff, 1024), Ok(()));
    assert_eq!(modulus(0x01, 1025), Err(PasskeyError::RsaKeySize));
}
