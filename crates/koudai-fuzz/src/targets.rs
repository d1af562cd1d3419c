//! The targets. One more is a function here and its line in [`targets`], and for a request body of the gateway's only a line in
//! `koudai-web/src/gateway/fuzzing.rs`.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use koudai_core::card::CardNumber;
use koudai_core::id::{MchId, OrderId, PersonId};
use koudai_core::identity::Phone;
use koudai_core::money::{Currency, Money};
use koudai_core::payer_code::AuthCode;
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_networks::alipay::fuzzing as alipay;
use koudai_networks::platform::{parse_token, token_text};
use koudai_networks::prepay::is_appid;
use koudai_networks::telling::{Mark, notice_id, parse_notice_id};
use koudai_networks::unionpay::fuzzing as unionpay;
use koudai_networks::vault::Vault;
use koudai_networks::{Reach, reach_allows, return_address, with_parameters};
use koudai_web::bills::{Token, TokenError};
use koudai_wechatpay::aead::{self, ApiV3Key};
use koudai_wechatpay::authorization::Authorization;
use koudai_wechatpay::certificate::{Authority, Certificate};
use koudai_wechatpay::headers::{PlatformKeys, SIGNATURE, SignedHeaders, sign_body, verify_body};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{
    CertificateList, ENCRYPTED_RESOURCE, ErrorBody, Notification, REFUND_ABNORMAL, REFUND_SUCCESS, Refund,
    Resource, TRANSACTION_SUCCESS, Transaction,
};
use koudai_wechatpay::{notice, oaep, strict_json};

use crate::Target;

const NOW_S: i64 = 1_795_435_200;
const NONCE: &str = "0123456789abcdef0123456789abcdef";
const MCHID: &str = "1900007291";

/// All of them.
pub fn targets() -> Vec<Target> {
    let ours = [
        Target { name: "authorization", run: authorization },
        Target { name: "signed-headers", run: signed_headers },
        Target { name: "notification", run: notification },
        Target { name: "replies", run: replies },
        Target { name: "ciphers", run: ciphers },
        Target { name: "pem", run: pem },
        Target { name: "der", run: der },
        Target { name: "words", run: words },
        Target { name: "tokens", run: tokens },
        Target { name: "unionpay-message", run: unionpay::message },
        Target { name: "unionpay-holder", run: unionpay_holder },
        Target { name: "unionpay-file", run: unionpay::day },
        Target { name: "alipay-form", run: alipay_form },
        Target { name: "alipay-reply", run: alipay::reply },
        Target { name: "alipay-certificates", run: alipay::certificates },
        Target { name: "alipay-words", run: alipay::words },
        Target { name: "alipay-bill", run: alipay::bill },
    ];
    let bodies = koudai_web::gateway::fuzzing::BODIES.iter().map(|(name, run)| Target { name, run: *run });
    ours.into_iter().chain(bodies).collect()
}

/// Keys that every input meets.
struct Keys {
    private: PrivateKey,
    public: PublicKey,
    authority: Authority,
    api_v3: ApiV3Key,
    platform: PlatformKeys,
    vault: Vault,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let private = PrivateKey::generate();
    let public = private.public_key();
    Keys {
        authority: Authority::generate("fuzz", NOW_S * 1_000).expect("a plain name is in range"),
        api_v3: ApiV3Key::new("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb").expect("32 letters and digits"),
        platform: [("AB", public.clone())].into_iter().collect(),
        vault: Vault::new(&Secret::new([1; 32]), Secret::new([2; 32]), Secret::new([3; 32])),
        private,
        public,
    }
});

/// A merchant's `Authorization` header: what is read is written and read again as the same.
fn authorization(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(read) = Authorization::parse(&text) else { return };
    assert_eq!(
        Authorization::parse(&read.header_value()).as_ref(),
        Ok(&read),
        "a header survives the round trip"
    );
    assert!(read.verify(&KEYS.public, "POST", "/v3/x", input).is_err(), "nobody signs by chance");
}

/// The five headers of a reply or notification, one a line.
fn signed_headers(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        // Most inputs would end at the first header that is missing.
        line.or(if name == SIGNATURE { Some("AAAA") } else { None })
    };
    let Ok(read) = SignedHeaders::read(value) else { return };
    for (name, found) in read.pairs().iter().take(4) {
        assert_eq!(value(name), Some(found.as_str()), "a header is read as it stands");
    }
    assert!(verify_body(&read, &KEYS.platform, NOW_S, input).is_err(), "nobody signs by chance");
}

/// A notification that the platform signed, and one whose encrypted part holds the input.
fn notification(input: &[u8]) {
    let open = |body: &[u8]| {
        let headers = sign_body(&KEYS.private, "AB", NOW_S, NONCE, body);
        notice::open(&headers, body, &KEYS.platform, &KEYS.api_v3, MCHID, NOW_S)
    };
    // What is opened of it cannot have been sealed with the key but by us.
    assert!(open(input).is_err());
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let event = [TRANSACTION_SUCCESS, REFUND_SUCCESS, REFUND_ABNORMAL, "OTHER"][usize::from(first % 4)];
    let envelope = Notification {
        event_type: event.to_owned(),
        resource_type: ENCRYPTED_RESOURCE.to_owned(),
        resource: Resource::seal(&KEYS.api_v3, None, "transaction", rest),
        ..Notification::default()
    };
    match open(&serde_json::to_vec(&envelope).expect("plain data")) {
        Ok(notice::Notice::Paid(paid)) => assert!(paid.mchid == MCHID && paid.amount.is_some()),
        Ok(notice::Notice::Refund(refund)) => assert_eq!(refund.mchid, MCHID),
        Ok(notice::Notice::Transfer(transfer)) => assert_eq!(transfer.mch_id, MCHID),
        Err(_) => {}
    }
}

/// What a platform answers a merchant's client.
fn replies(input: &[u8]) {
    if let Ok(read) = strict_json::<Transaction>(input) {
        let again = serde_json::to_vec(&read).expect("plain data");
        assert_eq!(strict_json::<Transaction>(&again).ok(), Some(read), "an order survives the round trip");
    }
    if let Ok(read) = strict_json::<Refund>(input) {
        let again = serde_json::to_vec(&read).expect("plain data");
        assert_eq!(strict_json::<Refund>(&again).ok(), Some(read), "a refund survives the round trip");
    }
    let _ = strict_json::<ErrorBody>(input);
    for entry in strict_json::<CertificateList>(input).map(|list| list.data).unwrap_or_default() {
        let _ = entry.encrypt_certificate.open(&KEYS.api_v3);
    }
}

/// Encrypted resources and fields: nonce, associated data and ciphertext a line each.
fn ciphers(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (nonce, associated, ciphertext) = (line(), line(), line());
    assert!(aead::open(&KEYS.api_v3, nonce, associated, ciphertext).is_err(), "nobody seals by chance");
    if let Ok(sealed) = aead::seal(&KEYS.api_v3, nonce, "transaction", input) {
        assert_eq!(aead::open(&KEYS.api_v3, nonce, "transaction", &sealed).as_deref(), Ok(input));
    }
    assert!(oaep::decrypt(&KEYS.private, ciphertext).is_err(), "nobody encrypts by chance");
    let _ = aead::open_with(input, nonce, associated, ciphertext);
}

/// Keys, certificates and signing requests as text.
fn pem(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(key) = PublicKey::from_pem(&text) {
        assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key), "a key survives the round trip");
    }
    if let Ok(certificate) = Certificate::from_pem(&text) {
        let _ = certificate.is_valid_at(NOW_S);
        assert_eq!(Certificate::from_pem(&certificate.pem).as_ref(), Ok(&certificate));
    }
    if let Ok(key) = PrivateKey::from_pem(&text) {
        let signature = key.sign(b"m");
        assert_eq!(key.public_key().verify(b"m", &signature), Ok(()), "a key that is taken signs");
    }
    let _ = KEYS.authority.issue_csr(&text, MCHID, NOW_S * 1_000, 1);
}

/// The same from their bytes; the first byte says what they claim to be.
fn der(input: &[u8]) {
    let (first, der) = input.split_first().unwrap_or((&0, &[]));
    let labels = ["CERTIFICATE", "PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE REQUEST"];
    let label = labels[usize::from(*first) % labels.len()];
    pem(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).as_bytes());
}

/// What a person's phone or a merchant's program shows again of what it was given.
fn tokens(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(seq) = parse_notice_id(&text) {
        assert_eq!(notice_id(seq), text, "a notice has one number");
    }
    if let Some(code) = AuthCode::parse(&text) {
        assert_eq!(code.expose(), text, "a code has one spelling");
    }
    let _ = Mark::parse(&text);
    let appid = if is_appid(&text) { &*text } else { "wx0000000000000001" };
    let at = Timestamp(NOW_S * 1_000);
    let vault = &KEYS.vault;
    assert_eq!(Token::open(&text, vault, MchId(1), at), Err(TokenError::Malformed), "nobody seals by chance");
    assert_eq!(vault.code_of(&text), None, "nobody has a MAC by chance");
    assert_eq!(vault.h5_until(&[7; 16], &text), None, "nobody has a MAC by chance");
    assert_eq!(vault.open_login_code(appid, &text), None, "nobody has a MAC by chance");
    assert_eq!(vault.person_of(appid, &text), None, "nobody has a MAC by chance");
}

/// A form that may be a notice, for whoever has the key.
fn alipay_form(input: &[u8]) {
    alipay::form(&KEYS.private, input);
}

/// What is known of a card's holder, for whoever has the key.
fn unionpay_holder(input: &[u8]) {
    unionpay::holder(&KEYS.private, input);
}

/// Single values, as they stand in paths, queries, links and forms.
fn words(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(id) = OrderId::parse(&text) {
        assert_eq!(id.wire(), text, "a number has one spelling");
    }
    if let Some(token) = parse_token(&text) {
        assert_eq!(token_text(&token), text, "a token has one spelling");
    }
    if let Some(at) = Timestamp::parse_rfc3339(&text) {
        // Fractions of a second are not written.
        let again = Timestamp::parse_rfc3339(&at.rfc3339());
        assert!(again.is_some_and(|again| again.0.div_euclid(1_000) == at.0.div_euclid(1_000)), "{text}");
    }
    let _ = PersonId::parse(&text).map(PersonId::wire);
    let _ = MchId::parse(&text).map(MchId::wire);
    let _ = Phone::parse(&text);
    let _ = CardNumber::parse(&text);
    let _ = Money::parse_major(&text, Currency::Cny);
    if let Some(back) = return_address(Reach::Public, "shop.example.org", &text) {
        let back = with_parameters(back, &[("code", "1")]);
        assert!(back.scheme() == "https" && back.host_str() == Some("shop.example.org"), "{back} of {text}");
    }
    let _ = reach_allows(Reach::Public, &text);
    let _ = reach_allows(Reach::Local, &text);
}
