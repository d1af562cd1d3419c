//! Who asks: the `Authorization` header against the merchant's certificate, over the raw bytes.
//!
//! The checks run in a fixed order and the first that fails is the answer: header, scheme, merchant, certificate, clock,
//! signature. Answers tell what the server saw, because "signature error" alone is what merchants complain about
//! most; all of it is theirs or the hash of theirs.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use koudai_core::id::MchId;
use koudai_core::rows::{CertificateKey, Merchant, MerchantCertificate};
use koudai_core::time::Timestamp;
use koudai_networks::platform::{PUBLIC_KEY_PREFIX, PlatformKey, SigningMode};
use koudai_wechatpay::authorization::{Authorization, AuthorizationError};
use koudai_wechatpay::headers::{SERIAL, WINDOW_S, within_window};
use koudai_wechatpay::keys::PublicKey;
use koudai_wechatpay::message;
use serde_json::{Value, json};

use super::bills::DOWNLOAD;
use super::fault::{Fault, Said, said};
use crate::{App, hex};

/// The longest target that is quoted back, in characters.
const QUOTED_TARGET: usize = 512;

/// What was asked, as it came over the wire.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Path and query, untouched.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// The merchant who signed the request, and the key of the certificate it was signed by.
pub(super) async fn merchant(app: &App, asked: &Asked<'_>) -> Result<(Merchant, PublicKey), Fault> {
    let header = asked.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let authorization = Authorization::parse(header.unwrap_or_default()).map_err(malformed)?;
    let serial = authorization.serial_no.trim_start_matches('0').to_ascii_uppercase();
    let (merchant, certificate) = match MchId::parse(&authorization.mchid) {
        Some(mchid) => {
            let key = CertificateKey { mchid, serial };
            let read = app.engine.glance(move |reader| {
                Ok((reader.get::<Merchant>(&mchid)?, reader.get::<MerchantCertificate>(&key)?))
            });
            read.await?
        }
        None => (None, None),
    };
    let Some(merchant) = merchant else {
        let message = said("商户号不存在", "There is no such merchant.");
        return Err(Fault::sign_error(message, "mchid", "unknown mchid", None));
    };
    tracing::Span::current().record("mchid", merchant.mchid.0);
    let now = app.engine.clock().now();
    let certificate = certificate.ok_or_else(|| unknown_serial(app, &authorization.serial_no))?;
    check_active(&certificate, now)?;
    check_clock(authorization.timestamp, now.0.div_euclid(1_000))?;
    let Ok(key) = crate::known_keys::key_of(&certificate.pem) else {
        tracing::error!(serial = certificate.key.serial, "a merchant's stored certificate cannot be read");
        return Err(Fault::system());
    };
    check_signature(&authorization, &key, asked, &app.origin)?;
    Ok((merchant, key))
}

/// The platform key that a request names; empty if it names none.
pub(super) fn named_serial(headers: &HeaderMap) -> &str {
    headers.get(SERIAL).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Which of the platform's keys signs the reply: the one the request names, whichever its generation, else the one whose turn
/// it is in the merchant's mode.
pub(super) fn signing_key(app: &App, merchant: &Merchant, headers: &HeaderMap) -> Arc<PlatformKey> {
    let (platform, now) = (&app.networks.platform, app.engine.clock().now());
    platform
        .named(named_serial(headers), now)
        .unwrap_or_else(|| platform.signer(SigningMode::of(merchant), now))
}

fn malformed(error: AuthorizationError) -> Fault {
    let (field, issue) = match error {
        AuthorizationError::WrongScheme => {
            let message =
                said("HTTP头Authorization认证类型不正确", "The Authorization header has another scheme.");
            let issue = "the scheme must be WECHATPAY2-SHA256-RSA2048";
            return Fault::sign_error(message, "authorization", issue, None);
        }
        AuthorizationError::Malformed => ("authorization", "absent, or not a list of name=\"value\" pairs"),
        AuthorizationError::Missing(field) => (field, "missing"),
        AuthorizationError::Duplicate(field) => (field, "given twice"),
        AuthorizationError::TooLong => ("authorization", "too long"),
    };
    let message = said(
        "Http头Authorization值格式错误，请参考APIv3签名规则",
        "The Authorization header is malformed; see the signing rules of APIv3.",
    );
    Fault::sign_error(message, field, issue, None)
}

/// No such certificate of this merchant. The commonest confusion is to send the serial of the *platform's*.
fn unknown_serial(app: &App, serial: &str) -> Fault {
    if app.networks.platform.is_name(serial) || serial.starts_with(PUBLIC_KEY_PREFIX) {
        let message = said(
            "商户证书序列号有误：这是平台证书序列号或平台公钥ID，请填写商户API证书的序列号",
            "serial_no is a serial or id of the platform's; send that of the merchant's own API certificate.",
        );
        return Fault::sign_error(message, "serial_no", "platform serial used as merchant serial", None);
    }
    let message = said(
        "商户证书序列号有误：该商户没有此序列号的API证书",
        "serial_no is wrong: this merchant has no API certificate of that serial.",
    );
    Fault::sign_error(message, "serial_no", "unknown serial", None)
}

fn check_active(certificate: &MerchantCertificate, now: Timestamp) -> Result<(), Fault> {
    let (message, issue) = if certificate.revoked_at.is_some_and(|at| now >= at) {
        (said("商户证书已被吊销", "The merchant's certificate was revoked."), "revoked certificate")
    } else if now > certificate.not_after {
        (said("商户证书已过期", "The merchant's certificate has expired."), "expired certificate")
    } else if now < certificate.not_before {
        (
            said("商户证书尚未生效", "The merchant's certificate is not valid yet."),
            "certificate not valid yet",
        )
    } else {
        return Ok(());
    };
    Err(Fault::sign_error(message, "serial_no", issue, None))
}

fn check_clock(signed_s: i64, now_s: i64) -> Result<(), Fault> {
    if within_window(signed_s, now_s) {
        return Ok(());
    }
    // Twelve digits at most are read, so the difference fits.
    let off_s = signed_s - now_s;
    let message = Said::new(
        "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟".to_owned(),
        format!(
            "The timestamp may lie at most {WINDOW_S} seconds from the server's time; it lies {off_s} off."
        ),
    );
    let seen = json!({ "timestamp": signed_s, "server_time": now_s, "off_by_seconds": off_s });
    Err(Fault::sign_error(message, "timestamp", "timestamp out of window", Some(seen)))
}

fn check_signature(
    authorization: &Authorization,
    key: &PublicKey,
    asked: &Asked<'_>,
    origin: &str,
) -> Result<(), Fault> {
    if authorization.verify(key, asked.method, asked.target, asked.body).is_ok() {
        return Ok(());
    }
    let (timestamp, nonce) = (authorization.timestamp, authorization.nonce_str.as_str());
    let signed = message::request(asked.method, asked.target, timestamp, nonce, asked.body);
    // One SDK in wide use leaves the empty last line out when a POST has no body.
    if asked.body.is_empty() && key.verify(&signed[..signed.len() - 1], &authorization.signature).is_ok() {
        return Ok(());
    }
    // The same one signs the whole of an address that it was given to download a bill from.
    let is_download = asked.target.split('?').next() == Some(DOWNLOAD);
    let whole = format!("{origin}{}", asked.target);
    if is_download && authorization.verify(key, asked.method, &whole, asked.body).is_ok() {
        return Ok(());
    }
    let lines =
        [asked.method, asked.target, &timestamp.to_string(), nonce].map(|line| sha256(line.as_bytes()));
    let [method, url, timestamp, nonce] = lines;
    let seen: Value = json!({
        "method": asked.method,
        "url": asked.target.chars().take(QUOTED_TARGET).collect::<String>(),
        "body_length": asked.body.len(),
        "body_sha256": sha256(asked.body),
        "sign_message_length": signed.len(),
        "sign_message_sha256": sha256(&signed),
        "sign_message_lines_sha256": [method, url, timestamp, nonce, sha256(asked.body)],
    });
    let message = said(
        "签名错误，验签失败：请对照 detail.sign_information 检查签名串的每一行",
        "The signature does not match; compare each line of what was signed with detail.sign_information.",
    );
    Err(Fault::sign_error(message, "signature", "sign not match", Some(seen)))
}

/// SHA-256 in lower-case hex, as `sha256sum` prints it. The line feed that ends each line is not part of a line.
fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}
