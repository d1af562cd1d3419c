//! Every published example of the protocol, run through the public API. See `vectors/NOTICE.md` for their origin.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use koudai_wechatpay::{
    aead::{self, ApiV3Key},
    authorization::Authorization,
    certificate::{Certificate, serial_matches},
    headers::{PlatformKeys, SignedHeaders, VerifyError, verify_body},
    keys::{PrivateKey, PublicKey, SignatureError},
    message,
    notice::{self, Notice},
    oaep, strict_json,
    types::{CertificateList, Notification},
};
use serde_json::Value;

fn file(text: &str, count: usize) -> (Value, Vec<Value>) {
    let file: Value = serde_json::from_str(text).unwrap();
    let vectors = file["vectors"].as_array().unwrap().clone();
    assert_eq!(vectors.len(), count, "a vector was lost or added unnoticed");
    (file, vectors)
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("{} has no {field}", vector["id"]))
}

fn number(vector: &Value, field: &str) -> i64 {
    text(vector, field).parse().unwrap()
}

fn flipped(value: &str, at: usize) -> String {
    let mut bytes = value.as_bytes().to_vec();
    bytes[at] ^= 1;
    String::from_utf8(bytes).unwrap()
}

#[test]
fn request_signing() {
    let (file, vectors) = file(include_str!("vectors/request-signing.json"), 6);
    for vector in &vectors {
        let pair = &file["keys"][text(vector, "private_key")];
        let key = PrivateKey::from_pem(text(pair, "private_key_pem")).unwrap();
        let public = PublicKey::from_pem(text(pair, "public_key_pem")).unwrap();
        assert_eq!(key.public_key(), public);

        let (method, target, body) =
            (text(vector, "method"), text(vector, "url"), text(vector, "body").as_bytes());
        let (timestamp, nonce) = (number(vector, "timestamp"), text(vector, "nonce_str"));
        let built = message::request(method, target, timestamp, nonce, body);
        assert_eq!(built, text(vector, "message").as_bytes(), "{}", vector["id"]);
        assert_eq!(key.sign(&built), text(vector, "signature"), "{}", vector["id"]);

        let made = Authorization::sign(
            &key,
            text(vector, "mchid"),
            text(vector, "serial_no"),
            method,
            target,
            timestamp,
            nonce,
            body,
        );
        let read = Authorization::parse(text(vector, "authorization")).unwrap();
        assert_eq!(read, made, "{}", vector["id"]);
        assert_eq!(Authorization::parse(&made.header_value()).unwrap(), made);
        assert_eq!(read.verify(&public, method, target, body), Ok(()));
        assert_eq!(read.verify(&public, method, &format!("{target}?"), body), Err(SignatureError));
        assert_eq!(read.verify(&public, method, target, &[body, b"\n"].concat()), Err(SignatureError));
    }
}

#[test]
fn response_signature() {
    let (_, vectors) = file(include_str!("vectors/response-signature.json"), 3);
    for vector in &vectors {
        let key = PublicKey::from_pem(text(vector, "public_key_pem")).unwrap();
        let serial = vector["serial"].as_str().unwrap_or("PUB_KEY_ID_0000000000000000000000000000");
        if let Some(pem) = vector["certificate_pem"].as_str() {
            let certificate = Certificate::from_pem(pem).unwrap();
            assert_eq!(certificate.public_key, key);
            assert!(serial_matches(&certificate.serial, serial));
        }
        let headers = SignedHeaders {
            timestamp: number(vector, "timestamp"),
            nonce: text(vector, "nonce").into(),
            serial: serial.into(),
            signature: text(vector, "signature").into(),
        };
        let body = text(vector, "body").as_bytes();
        assert_eq!(
            message::response(headers.timestamp, &headers.nonce, body),
            text(vector, "message").as_bytes()
        );
        let keys: PlatformKeys = [(serial, key)].into_iter().collect();
        let now_s = headers.timestamp;
        assert_eq!(verify_body(&headers, &keys, now_s, body), Ok(()), "{}", vector["id"]);

        // Any changed byte is refused, a probe too.
        let check = |headers: &SignedHeaders, body: &[u8]| verify_body(headers, &keys, now_s, body);
        for at in 0..headers.signature.len() {
            let signature = flipped(&headers.signature, at);
            assert!(check(&SignedHeaders { signature, ..headers.clone() }, body).is_err());
        }
        for at in 0..headers.nonce.len() {
            let nonce = flipped(&headers.nonce, at);
            assert!(check(&SignedHeaders { nonce, ..headers.clone() }, body).is_err());
        }
        for at in 0..serial.len() {
            let serial = flipped(serial, at);
            let outcome = check(&SignedHeaders { serial, ..headers.clone() }, body);
            assert!(matches!(outcome, Err(VerifyError::UnknownSerial(_))));
        }
        for at in 0..10 {
            let timestamp = flipped(text(vector, "timestamp"), at).parse().unwrap();
            assert!(check(&SignedHeaders { timestamp, ..headers.clone() }, body).is_err());
        }
        for at in 0..body.len() {
            let mut body = body.to_vec();
            body[at] ^= 1;
            assert_eq!(check(&headers, &body), Err(VerifyError::Signature));
        }
        let signature = format!("WECHATPAY/SIGNTEST/{}", &headers.signature[19..]);
        assert_eq!(check(&SignedHeaders { signature, ..headers.clone() }, body), Err(VerifyError::Probe));
    }
}

#[test]
fn raw_signatures() {
    let (_, vectors) = file(include_str!("vectors/rsa-sign-raw.json"), 2);
    for vector in &vectors {
        let key = PrivateKey::from_pem(text(vector, "private_key_pem")).unwrap();
        let certificate = Certificate::from_pem(text(vector, "certificate_pem")).unwrap();
        let message = text(vector, "message").as_bytes();
        assert_eq!(key.sign(message), text(vector, "signature"), "{}", vector["id"]);
        assert_eq!(certificate.public_key.verify(message, text(vector, "signature")), Ok(()));
        assert_eq!(PublicKey::from_pem(text(vector, "certificate_pem")).unwrap(), certificate.public_key);
        assert!(serial_matches(&certificate.serial, text(vector, "serial")), "{}", certificate.serial);
    }
}

#[test]
fn client_call_up() {
    let (file, vectors) = file(include_str!("vectors/client-callup-sign.json"), 2);
    let key = PrivateKey::from_pem(text(&file, "private_key_pem")).unwrap();
    for vector in &vectors {
        let fourth = text(vector, "fourth_line");
        let (app, time, nonce) =
            (text(vector, "appId"), number(vector, "timeStamp"), text(vector, "nonceStr"));
        let built = match fourth.strip_prefix("prepay_id=") {
            Some(prepay_id) => message::jsapi(app, time, nonce, prepay_id),
            None => message::app(app, time, nonce, fourth),
        };
        assert_eq!(built, text(vector, "message").as_bytes(), "{}", vector["id"]);
        assert_eq!(key.sign(&built), text(vector, "signature"), "{}", vector["id"]);
    }
}

#[test]
fn notification_decrypt() {
    let (_, vectors) = file(include_str!("vectors/notification-decrypt.json"), 4);
    for vector in &vectors {
        let key = text(vector, "api_v3_key");
        let (nonce, aad, ciphertext) =
            (text(vector, "nonce"), text(vector, "associated_data"), text(vector, "ciphertext"));
        let plaintext = text(vector, "plaintext").as_bytes();
        assert_eq!(aead::open_with(key.as_bytes(), nonce, aad, ciphertext).as_deref(), Ok(plaintext));
        match ApiV3Key::new(key) {
            Ok(key) => {
                assert_eq!(aead::open(&key, nonce, aad, ciphertext).as_deref(), Ok(plaintext));
                assert_eq!(aead::seal(&key, nonce, aad, plaintext).unwrap(), ciphertext, "{}", vector["id"]);
            }
            Err(_) => assert_eq!(vector["key_bytes"], 16, "only the short keys are refused"),
        }
    }
}

#[test]
fn a_whole_notification() {
    let (_, vectors) = file(include_str!("vectors/notification-decrypt.json"), 4);
    let vector = vectors.iter().find(|vector| vector.get("headers").is_some()).unwrap();
    let body = text(vector, "envelope_body").as_bytes();
    let certificate = Certificate::from_pem(text(vector, "verify_certificate_pem")).unwrap();
    let signer = PrivateKey::from_pem(text(vector, "signing_private_key_pem")).unwrap();
    assert_eq!(signer.public_key(), certificate.public_key);
    let sent: Vec<(String, &str)> = vector["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap()))
        .collect();
    let headers =
        SignedHeaders::read(|name| sent.iter().find(|header| header.0 == name).map(|header| header.1))
            .unwrap();
    let keys = [(certificate.serial, certificate.public_key)].into_iter().collect();
    let key = ApiV3Key::new(text(vector, "api_v3_key")).unwrap();
    let open = |now_s, body| notice::open(&headers, body, &keys, &key, "1234567891", now_s);

    match open(headers.timestamp, body) {
        Ok(Notice::Paid(paid)) => {
            assert_eq!(paid.out_trade_no, "1217752501201407033233368018");
            let amount = paid.amount.unwrap();
            assert_eq!((amount.total, amount.payer_total), (100, Some(90)));
        }
        other => panic!("{other:?}"),
    }
    assert!(open(headers.timestamp + 301, body).is_err());
    assert!(open(headers.timestamp, &[body, b" "].concat()).is_err());
    let envelope: Notification = strict_json(body).unwrap();
    assert_eq!(serde_json::to_string(&envelope).unwrap().as_bytes(), body, "our types lose nothing");
}

#[test]
fn certificate_download() {
    let (_, vectors) = file(include_str!("vectors/certificates-decrypt.json"), 2);
    for vector in &vectors {
        let list: CertificateList = strict_json(text(vector, "response_body").as_bytes()).unwrap();
        let entry = &list.data[0];
        let sealed = &entry.encrypt_certificate;
        let key = text(vector, "api_v3_key").as_bytes();
        let aad = sealed.associated_data.as_deref().unwrap();
        let pem = aead::open_with(key, &sealed.nonce, aad, &sealed.ciphertext).unwrap();
        assert_eq!(pem, text(vector, "expected_certificate_pem").as_bytes());
        let certificate = Certificate::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
        assert!(serial_matches(&certificate.serial, &entry.serial_no));
        assert!(serial_matches(&certificate.serial, text(vector, "expected_serial")));
    }
}

#[test]
fn sensitive_fields() {
    let (_, vectors) = file(include_str!("vectors/oaep-sensitive-fields.json"), 2);
    for vector in &vectors {
        let key = PrivateKey::from_pem(text(vector, "private_key_pem")).unwrap();
        let plaintext = text(vector, "plaintext").as_bytes();
        assert_eq!(oaep::decrypt(&key, text(vector, "ciphertext")).unwrap().as_slice(), plaintext);
        let again = oaep::encrypt(&key.public_key(), plaintext).unwrap();
        assert_eq!(oaep::decrypt(&key, &again).unwrap().as_slice(), plaintext);
    }
}

/// Nothing here writes bills; this pins down the form one must have, so that whoever does can rely on the file.
#[test]
fn trade_bill() {
    let (_, vectors) = file(include_str!("vectors/tradebill-csv.json"), 1);
    for vector in &vectors {
        let raw = STANDARD.decode(text(vector, "file_base64")).unwrap();
        let hex = text(vector, "sha1");
        let sha1: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(
            digest(&SHA1_FOR_LEGACY_USE_ONLY, &raw).as_ref(),
            sha1,
            "hash_value is that of the plain file"
        );
        let csv = std::str::from_utf8(&raw).unwrap().strip_prefix('\u{feff}').expect("a byte order mark");
        let csv = csv.strip_suffix("\r\n").expect("the last line is ended, too");
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])));

        let strings = |field: &str| -> Vec<String> {
            vector[field].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
        };
        let values = |line: &str| -> Vec<String> {
            let line = line.strip_prefix('`').expect("each value is preceded by a backtick");
            line.split(",`").map(str::to_owned).collect()
        };
        let [header, details @ .., summary_header, summary] = lines.as_slice() else { panic!("too short") };
        assert_eq!(header.split(',').collect::<Vec<_>>(), strings("columns"));
        assert_eq!(strings("columns").len(), 27);
        assert_eq!(Some(details.len()), vector["detail_rows"].as_u64().and_then(|rows| rows.try_into().ok()));
        assert!(details.iter().all(|line| values(line).len() == 27));
        assert_eq!(details[0], text(vector, "first_detail_row"));
        assert_eq!(summary_header.split(',').collect::<Vec<_>>(), strings("summary_columns"));
        assert_eq!(values(summary), strings("summary_values"));
    }
}
