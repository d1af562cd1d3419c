//! Every parser on bytes that nobody would send: whatever comes in, the answer is a value and never a panic.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::sync::LazyLock;

use koudai_wechatpay::{
    aead::{self, ApiV3Key},
    authorization::Authorization,
    certificate::{Authority, Certificate, request_pem, serial_matches},
    headers::{PlatformKeys, SignedHeaders, sign_body, verify_body},
    keys::{PrivateKey, PublicKey},
    nonce, notice, oaep, strict_json,
    types::{
        CertificateList, ENCRYPTED_RESOURCE, ErrorBody, NativeOrder, Notification, REFUND_SUCCESS, Refund,
        RefundNotice, RefundRequest, Resource, TRANSACTION_SUCCESS, Transaction, same_code,
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};

const NOW_S: i64 = 1_795_435_200;
const LABELS: &[&str] =
    &["PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY", "CERTIFICATE", "CERTIFICATE REQUEST", "口袋"];

/// Keys and texts that are good before they are damaged.
struct Good {
    key: PrivateKey,
    authority: Authority,
    pems: Vec<String>,
    api_v3_key: ApiV3Key,
    keys: PlatformKeys,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let key = PrivateKey::generate();
    let authority = Authority::generate("hostile", NOW_S * 1000).unwrap();
    let pems = vec![
        key.to_pem().as_str().to_owned(),
        key.public_key().to_pem(),
        authority.certificate_pem().to_owned(),
        request_pem(&key, "hostile").unwrap(),
    ];
    let keys = [("AB", key.public_key())].into_iter().collect();
    Good { key, authority, pems, api_v3_key: ApiV3Key::generate(), keys }
});

/// Reads a text as everything that is written in PEM.
fn read_pem(text: &str) {
    let _ = PrivateKey::from_pem(text).map(|key| key.sign(b"m"));
    let _ = PublicKey::from_pem(text).map(|key| (key.to_pem(), oaep::encrypt(&key, b"m")));
    if let Ok(certificate) = Certificate::from_pem(text) {
        let _ = certificate.is_valid_at(NOW_S);
        assert_eq!(Certificate::from_pem(&certificate.pem), Ok(certificate));
    }
    let _ = GOOD.authority.issue_csr(text, "1", NOW_S * 1000, 1);
}

/// Reads bytes as every body.
fn read_json(body: &[u8]) {
    let _ = strict_json::<serde_json::Value>(body);
    let _ = strict_json::<NativeOrder>(body);
    let _ = strict_json::<Transaction>(body);
    let _ = strict_json::<RefundRequest>(body);
    let _ = strict_json::<Refund>(body);
    let _ = strict_json::<RefundNotice>(body);
    let _ = strict_json::<Notification>(body).map(|n| n.resource.open(&GOOD.api_v3_key));
    let _ = strict_json::<CertificateList>(body);
    let _ = strict_json::<ErrorBody>(body);
}

/// Opens a body that is signed as the platform signs.
fn opened(body: &[u8]) -> Result<notice::Notice, notice::NoticeError> {
    let good = &*GOOD;
    let headers = sign_body(&good.key, "AB", NOW_S, &nonce(), body);
    notice::open(&headers, body, &good.keys, &good.api_v3_key, "1900007291", NOW_S)
}

/// Text out of the characters a format is made of, which gets further into a parser than any text does.
fn out_of(parts: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(prop::sample::select(parts), 0..60).prop_map(|parts| parts.concat())
}

const HEADER_PARTS: &[&str] = &[
    "WECHATPAY2-SHA256-RSA2048",
    " ",
    "mchid",
    "serial_no",
    "nonce_str",
    "timestamp",
    "signature",
    "=",
    "\"",
    "=\"",
    "\",",
    ",",
    "1",
    "1554208460",
    "99999999999999999999",
    "-",
    "é",
    "口",
    "\0",
    "\n",
    "AB+/=",
];
const JSON_PARTS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"mchid\"",
    "\"amount\"",
    "\"total\"",
    "\"resource\"",
    "\"a\"",
    "1",
    "-1",
    "1e999",
    "1.5",
    "9223372036854775808",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    " ",
    "口",
];
const PEM_PARTS: &[&str] = &[
    "-----BEGIN ",
    "-----END ",
    "-----",
    "\n",
    "CERTIFICATE",
    "PUBLIC KEY",
    "PRIVATE KEY",
    "MIIB",
    "AAAA",
    "=",
    " ",
    "口",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_header_is_read_or_refused(any in ".*", parts in out_of(HEADER_PARTS)) {
        for text in [&any, &parts, &format!("WECHATPAY2-SHA256-RSA2048 {parts}")] {
            if let Ok(read) = Authorization::parse(text) {
                prop_assert_eq!(Authorization::parse(&read.header_value()), Ok(read.clone()));
                let _ = read.verify(&GOOD.key.public_key(), &any, text, any.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_written_as_a_header_is_read_back(
        mchid in "[!#-~]{1,32}", serial_no in "[!#-~]{1,64}", nonce_str in "[!#-~]{1,64}",
        timestamp in 0_i64..1_000_000_000_000, signature in "[!#-~]{1,400}",
    ) {
        let values = Authorization { mchid, serial_no, nonce_str, timestamp, signature };
        prop_assert_eq!(Authorization::parse(&values.header_value()), Ok(values));
    }

    #[test]
    fn signed_headers_are_read_or_refused(values in vec(".{0,70}", 5), body in vec(any::<u8>(), 0..200), now_s: i64) {
        let names = ["timestamp", "nonce", "serial", "signature", "signature-type"];
        let get = |name: &str| {
            let at = names.iter().position(|known| name.ends_with(&format!("wechatpay-{known}")))?;
            Some(values[at].as_str())
        };
        let _ = SignedHeaders::read(get).map(|read| verify_body(&read, &GOOD.keys, now_s, &body));
        let made = SignedHeaders { timestamp: now_s, nonce: values[0].clone(), serial: values[1].clone(), signature: values[2].clone() };
        let _ = verify_body(&made, &GOOD.keys, now_s, &body);
        let known = SignedHeaders { serial: "AB".to_owned(), ..made };
        prop_assert!(verify_body(&known, &GOOD.keys, now_s, &body).is_err());
    }

    #[test]
    fn json_is_read_or_refused(bytes in vec(any::<u8>(), 0..300), parts in out_of(JSON_PARTS)) {
        read_json(&bytes);
        read_json(parts.as_bytes());
        read_json(format!("{{\"a\":{parts}}}").as_bytes());
    }

    #[test]
    fn a_notification_that_is_signed_is_still_read_as_if_anybody_had_sent_it(
        bytes in vec(any::<u8>(), 0..200), parts in out_of(JSON_PARTS),
    ) {
        prop_assert!(opened(&bytes).is_err());
        for event in [TRANSACTION_SUCCESS, REFUND_SUCCESS] {
            for plain in [bytes.as_slice(), parts.as_bytes()] {
                let resource = Resource::seal(&GOOD.api_v3_key, None, "transaction", plain);
                let envelope = Notification {
                    event_type: event.to_owned(),
                    resource_type: ENCRYPTED_RESOURCE.to_owned(),
                    resource,
                    ..Notification::default()
                };
                prop_assert!(opened(&serde_json::to_vec(&envelope).unwrap()).is_err());
            }
        }
    }

    #[test]
    fn ciphers_open_what_they_closed_and_nothing_else(
        nonce in ".{0,14}", aad in ".{0,20}", text in ".{0,400}", key in vec(any::<u8>(), 0..40), bytes in vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(aead::open(&GOOD.api_v3_key, &nonce, &aad, &text).is_err());
        let _ = aead::open_with(&key, &nonce, &aad, &text);
        if let Ok(sealed) = aead::seal(&GOOD.api_v3_key, &nonce, &aad, &bytes) {
            let opened = aead::open(&GOOD.api_v3_key, &nonce, &aad, &sealed);
            prop_assert_eq!(opened.as_deref().ok(), (aad.len() <= 256).then_some(bytes.as_slice()));
        }
        let _ = ApiV3Key::new(&text);
    }

    #[test]
    fn words_compare_whatever_they_are(one in ".{0,40}", other in ".{0,40}") {
        let _ = serial_matches(&one, &other);
        let _ = same_code(&one, &other);
        let padded = format!("00{one}");
        prop_assert!(serial_matches(&padded, &one));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pem_is_read_or_refused(any in ".*", parts in out_of(PEM_PARTS), der in vec(any::<u8>(), 0..300)) {
        read_pem(&any);
        read_pem(&parts);
        for label in LABELS {
            read_pem(&armoured(label, &der));
        }
    }

    #[test]
    fn a_damaged_key_or_certificate_is_read_or_refused(which: Index, at: Index, byte: u8, end: Index, label: Index) {
        let pem = which.get(&GOOD.pems);
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let mut der = decoded(&body);
        *at.get_mut(&mut der) = byte;
        read_pem(&armoured(label.get::<&str>(LABELS), &der));
        der.truncate(end.index(der.len()));
        read_pem(&armoured(label.get::<&str>(LABELS), &der));
    }

    #[test]
    fn a_field_is_decrypted_or_refused(bytes in vec(any::<u8>(), 0..300), text in ".{0,400}") {
        prop_assert!(oaep::decrypt(&GOOD.key, &text).is_err());
        prop_assert!(oaep::decrypt(&GOOD.key, &encoded(&bytes)).is_err());
    }
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn armoured(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encoded(der))
}
