//! Answering a challenge: what is said of the passkey, and each way to be refused.

use crate::fixture::{
    Answer, BACKED_UP, BACKUP_ELIGIBLE, CHALLENGE, Key, PRESENT, VERIFIED, WITH_CREDENTIAL, WITH_EXTENSIONS,
    answered, attested, client_data, register, sign_in, verify, wallet,
};
use koudai_passkeys::{Algorithm, PasskeyError, Verified};

#[test]
fn a_passkey_of_each_kind_answers_its_challenge() {
    for algorithm in Algorithm::ALL {
        let verified = sign_in(&Key::new(algorithm), |_| {});
        assert_eq!(verified, Ok(Verified { sign_count: 4, backup_eligible: true, backed_up: false }));
    }
}

#[test]
fn what_registering_gave_is_what_verifies() {
    let key = Key::es256();
    let passkey = register(&key, |_| {}).unwrap();
    let posted = answered(&key);
    assert_eq!(posted.credential_id(), passkey.credential_id);
    assert_eq!(posted.user_handle(), Some(&[1; 16][..]));
    let verified = wallet().verify(&posted, &CHALLENGE, &passkey.public_key, passkey.algorithm).unwrap();
    assert!(verified.sign_count > passkey.sign_count || verified.sign_count == 0);
}

#[test]
fn flags_say_whether_a_passkey_is_backed_up() {
    let backup = |flags| {
        let verified = sign_in(&Key::es256(), |answer| answer.data.flags = PRESENT | VERIFIED | flags);
        verified.map(|verified| (verified.backup_eligible, verified.backed_up))
    };
    assert_eq!(backup(0), Ok((false, false)));
    assert_eq!(backup(BACKUP_ELIGIBLE | BACKED_UP), Ok((true, true)));
    assert_eq!(backup(BACKED_UP), Err(PasskeyError::BackupWithoutEligibility));
}

#[test]
fn a_registration_answers_no_challenge() {
    let ceremony = "webauthn.create";
    let refused = sign_in(&Key::es256(), |answer| answer.client_data = client_data(ceremony, &CHALLENGE));
    assert_eq!(refused, Err(PasskeyError::WrongType));
    let refused = sign_in(&Key::es256(), |answer| {
        answer.data.flags |= WITH_CREDENTIAL;
        answer.data.rest = attested(&answer.id);
    });
    assert_eq!(refused, Err(PasskeyError::UnexpectedCredential));
}

#[test]
fn an_answer_to_another_challenge_is_refused() {
    let key = Key::es256();
    let posted = answered(&key);
    let verified = |challenge: &[u8]| wallet().verify(&posted, challenge, &key.spki(), Algorithm::Es256);
    assert!(verified(&CHALLENGE).is_ok());
    for other in [&[8; 32][..], &[7; 31], &[7; 16], &[7; 64]] {
        assert_eq!(verified(other), Err(PasskeyError::WrongChallenge));
    }
}

#[test]
fn an_answer_for_another_site_is_refused() {
    let refused = |from: &str, to: &str| {
        sign_in(&Key::es256(), |answer| answer.client_data = answer.client_data.replace(from, to))
    };
    for origin in ["https://pay.example.com.evil.example", "https://PAY.example.com", "null", ""] {
        assert_eq!(refused("https://pay.example.com", origin), Err(PasskeyError::WrongOrigin));
    }
    assert_eq!(refused("false", "true"), Err(PasskeyError::CrossOrigin));
    assert_eq!(refused(r#""new":[1]"#, r#""topOrigin":"https://a.example""#), Err(PasskeyError::TopOrigin));
    let refused = sign_in(&Key::es256(), |answer| answer.data.host = "evil.example".into());
    assert_eq!(refused, Err(PasskeyError::WrongRelyingParty));
}

#[test]
fn client_data_that_does_not_say_crossing_is_of_one_origin() {
    let verified = sign_in(&Key::es256(), |answer| {
        answer.client_data = answer.client_data.replace(r#""crossOrigin":false,"#, "");
    });
    assert!(verified.is_ok());
}

#[test]
fn an_answer_without_a_verified_person_is_refused() {
    let without = |flag: u8| sign_in(&Key::es256(), |answer| answer.data.flags &= !flag);
    assert_eq!(without(PRESENT), Err(PasskeyError::UserNotPresent));
    assert_eq!(without(VERIFIED), Err(PasskeyError::UserNotVerified));
}

#[test]
fn authenticator_data_ends_where_its_flags_say() {
    let data = |flags: u8, rest: &[u8]| {
        let verified = sign_in(&Key::es256(), |answer| {
            answer.data.flags |= flags;
            answer.data.rest = rest.to_vec();
        });
        verified.map(|_| ())
    };
    assert_eq!(data(0, &[0]), Err(PasskeyError::TrailingBytes));
    assert_eq!(data(WITH_EXTENSIONS, &[]), Err(PasskeyError::AuthenticatorDataTooShort));
    assert_eq!(data(WITH_EXTENSIONS, &[0xa0]), Ok(()));
}

#[test]
fn a_signature_of_anything_else_is_refused() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let right = Answer::right();
        let mut later = right.clone();
        later.data.sign_count += 1;
        let signature = right.signature(&key);
        for wrong in [
            later.signature(&key),
            right.signature(&Key::new(algorithm)),
            Vec::new(),
            signature[..signature.len() - 1].to_vec(),
            [&signature[..], &[0]].concat(),
        ] {
            assert_eq!(verify(&key, &right.body(&wrong)), Err(PasskeyError::BadSignature));
        }
        assert!(verify(&key, &right.body(&signature)).is_ok());
    }
}

#[test]
fn a_stored_key_that_is_none_is_named() {
    let key = Key::es256();
    let posted = answered(&key);
    let refused = wallet().verify(&posted, &CHALLENGE, &key.spki(), Algorithm::EdDsa);
    assert_eq!(refused, Err(PasskeyError::BadPublicKey));
}

#[test]
fn no_signature_verifies_under_an_ed25519_key_that_is_no_point() {
    let key = Key::new(Algorithm::EdDsa);
    // The y coordinate 2 has no x.
    let mut no_point = key.spki();
    no_point[12..].fill(0);
    no_point[12] = 2;
    let posted = answered(&key);
    let refused = wallet().verify(&posted, &CHALLENGE, &no_point, Algorithm::EdDsa);
    assert_eq!(refused, Err(PasskeyError::BadSignature));
}

#[test]
#[should_panic(expected = "a challenge nobody guesses")]
fn a_short_challenge_is_a_bug_of_ours() {
    let key = Key::es256();
    let posted = answered(&key);
    let _ = wallet().verify(&posted, &[7; 15], &key.spki(), Algorithm::Es256);
}

#[test]
fn an_answer_says_which_challenge_it_is_to() {
    let posted = answered(&Key::es256());
    assert_eq!(posted.claimed_challenge(), Ok(CHALLENGE.to_vec()));
}
