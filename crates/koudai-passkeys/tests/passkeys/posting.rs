//! The JSON that is posted: its size, its fields and what they are written in.

use crate::fixture::{Answer, Key, Made, client_data, register, sign_in};
use koudai_passkeys::{
    ASSERTION_MAX_BYTES, Assertion, CLIENT_DATA_MAX_BYTES, PasskeyError, REGISTRATION_MAX_BYTES,
    Registration, challenge_text,
};
use serde_json::{Value, json};

fn made() -> Value {
    Made::by(&Key::es256()).body()
}

fn answered() -> Value {
    Answer::right().body(&[0; 70])
}

fn read_made(body: &str) -> Result<(), PasskeyError> {
    Registration::from_json(body.as_bytes()).map(|_| ())
}

fn read_answered(body: &str) -> Result<(), PasskeyError> {
    Assertion::from_json(body.as_bytes()).map(|_| ())
}

type Read = fn(&str) -> Result<(), PasskeyError>;

/// Each field that must be there, with its body and that one's reader.
fn fields() -> impl Iterator<Item = (Value, &'static str, Read)> {
    let of_made = ["id", "clientDataJSON", "authenticatorData", "publicKey", "publicKeyAlgorithm"];
    let of_answered = ["id", "clientDataJSON", "authenticatorData", "signature"];
    let of_made = of_made.map(|field| (made(), field, read_made as Read));
    let of_answered = of_answered.map(|field| (answered(), field, read_answered as Read));
    of_made.into_iter().chain(of_answered)
}

#[test]
fn a_body_is_read_up_to_its_limit() {
    let (made, answered) = (made().to_string(), answered().to_string());
    assert_eq!(read_made(&format!("{made:<REGISTRATION_MAX_BYTES$}")), Ok(()));
    assert_eq!(read_made(&format!("{made:<0$}", REGISTRATION_MAX_BYTES + 1)), Err(PasskeyError::BodyTooLong));
    assert_eq!(read_answered(&format!("{answered:<ASSERTION_MAX_BYTES$}")), Ok(()));
    let longer = format!("{answered:<0$}", ASSERTION_MAX_BYTES + 1);
    assert_eq!(read_answered(&longer), Err(PasskeyError::BodyTooLong));
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    let values: Vec<Value> = ["id", "clientDataJSON", "authenticatorData", "signature", "userHandle"]
        .map(|field| answered()[field].clone())
        .into();
    let array = Value::from(values).to_string();
    let two = format!("{0}{0}", answered());
    for body in ["", "null", "[]", "{", "{}", "\u{feff}{}", &array, &two] {
        assert_eq!(read_answered(body), Err(PasskeyError::BodyMalformed), "{body}");
        assert_eq!(read_made(body), Err(PasskeyError::BodyMalformed), "{body}");
    }
    assert_eq!(Assertion::from_json(b"{\"id\":\"\xff\"}").unwrap_err(), PasskeyError::BodyMalformed);
}

#[test]
fn each_field_is_there_once_and_of_its_type() {
    for (body, field, read) in fields() {
        assert_eq!(read(&body.to_string()), Ok(()));
        let mut without = body.clone();
        without.as_object_mut().unwrap().remove(field);
        assert_eq!(read(&without.to_string()), Err(PasskeyError::BodyMalformed), "without {field}");

        let twice = body.to_string().replacen('{', &format!(r#"{{"{field}":{},"#, body[field]), 1);
        assert_eq!(read(&twice), Err(PasskeyError::BodyMalformed), "{field} twice");

        for other in [Value::Null, json!(true), json!([]), json!(1.5)] {
            let mut body = body.clone();
            body[field] = other;
            assert_eq!(read(&body.to_string()), Err(PasskeyError::BodyMalformed), "{field} of another type");
        }
    }
}

#[test]
fn fields_that_mean_nothing_are_let_pass() {
    for (mut body, _, read) in fields() {
        body["authenticatorAttachment"] = json!({ "deep": [["platform"]] });
        assert_eq!(read(&format!(" \r\n\t{body}")), Ok(()));
    }
}

#[test]
fn base64url_is_read_strictly() {
    for (body, field, read) in fields().filter(|(_, field, _)| *field != "publicKeyAlgorithm") {
        // Padding, the other alphabet, a space, a stray character, bits that belong to no byte.
        for wrong in ["AA==", "+/8A", "AA A", "AAAAA", "AB", "é"] {
            let mut body = body.clone();
            body[field] = json!(wrong);
            assert_eq!(read(&body.to_string()), Err(PasskeyError::NotBase64Url(field)), "{wrong}");
        }
    }
    let mut body = answered();
    body["userHandle"] = json!("AA==");
    assert_eq!(read_answered(&body.to_string()), Err(PasskeyError::NotBase64Url("userHandle")));
}

#[test]
fn an_answer_may_come_without_a_user_handle() {
    let key = Key::es256();
    assert!(sign_in(&key, |answer| answer.user_handle = None).is_ok());
    let mut body = answered();
    body.as_object_mut().unwrap().remove("userHandle");
    assert_eq!(Assertion::from_json(body.to_string().as_bytes()).unwrap().user_handle(), None);

    let long = |length| sign_in(&key, |answer| answer.user_handle = Some(vec![1; length])).map(|_| ());
    assert_eq!(long(1), Ok(()));
    assert_eq!(long(64), Ok(()));
    assert_eq!(long(0), Err(PasskeyError::UserHandleLength));
    assert_eq!(long(65), Err(PasskeyError::UserHandleLength));
}

#[test]
fn an_answer_names_its_credential() {
    let long = |length| sign_in(&Key::es256(), |answer| answer.id = vec![1; length]).map(|_| ());
    assert_eq!(long(1), Ok(()));
    assert_eq!(long(1023), Ok(()));
    assert_eq!(long(0), Err(PasskeyError::CredentialIdLength));
    assert_eq!(long(1024), Err(PasskeyError::CredentialIdLength));
}

#[test]
fn client_data_is_read_up_to_its_limit() {
    let to_length = |json: &mut String, length| *json = format!("{json:<length$}");
    let key = Key::es256();
    let made = |length| register(&key, |made| to_length(&mut made.client_data, length)).map(|_| ());
    let answered = |length| sign_in(&key, |answer| to_length(&mut answer.client_data, length)).map(|_| ());
    assert_eq!(made(CLIENT_DATA_MAX_BYTES), Ok(()));
    assert_eq!(made(CLIENT_DATA_MAX_BYTES + 1), Err(PasskeyError::ClientDataTooLong));
    assert_eq!(answered(CLIENT_DATA_MAX_BYTES), Ok(()));
    assert_eq!(answered(CLIENT_DATA_MAX_BYTES + 1), Err(PasskeyError::ClientDataTooLong));
}

#[test]
fn client_data_is_one_object_with_each_field_once() {
    let right = client_data("webauthn.get", &[7; 32]);
    let challenge = challenge_text(&[7; 32]);
    let array = format!(r#"["webauthn.get","{challenge}","https://pay.example.com",false]"#);
    for wrong in [
        String::new(),
        "null".into(),
        array,
        right.clone() + "x",
        format!("\u{feff}{right}"),
        right.replace(r#""type":"webauthn.get","#, ""),
        right.replace(r#""origin""#, r#""from""#),
        right.replace(r#""challenge""#, r#""challenged""#),
        right.replace(r#""type""#, r#""type":"webauthn.get","type""#),
        right.replace(r#""origin""#, r#""origin":"https://pay.example.com","origin""#),
        right.replace("false", "null"),
        right.replace("false", "\"false\""),
        right.replace("false", r#"false,"crossOrigin":false"#),
    ] {
        let refused = sign_in(&Key::es256(), |answer| answer.client_data.clone_from(&wrong));
        assert_eq!(refused, Err(PasskeyError::ClientDataMalformed), "{wrong}");
    }
}

#[test]
fn authenticator_data_without_its_fixed_part_is_refused() {
    let mut body = answered();
    for length in 0..37 {
        body["authenticatorData"] = json!(challenge_text(&vec![0; length]));
        let refused = crate::fixture::verify(&Key::es256(), &body);
        assert_eq!(refused, Err(PasskeyError::AuthenticatorDataTooShort), "{length} bytes");
    }
}

#[test]
fn nothing_that_is_printed_tells_one_passkey_from_another() {
    let made = Registration::from_json(made().to_string().as_bytes()).unwrap();
    let answered = Assertion::from_json(answered().to_string().as_bytes()).unwrap();
    let passkey = register(&Key::es256(), |_| {}).unwrap();
    assert_eq!(format!("{made:?}"), "Registration { algorithm: Es256, .. }");
    assert_eq!(format!("{answered:?}"), "Assertion { .. }");
    assert_eq!(format!("{passkey:?}"), "NewPasskey { algorithm: Es256, .. }");
}
