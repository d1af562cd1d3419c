//! `GET /v3/certificates`: the platform's certificates, the next one too, encrypted for the merchant who asks.

use koudai_core::time::Timestamp;
use koudai_networks::vault::Sealed;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::certificate::Certificate;
use koudai_wechatpay::types::{CertificateEntry, CertificateList, Resource};

use super::fault::{Fault, said};
use super::fields::Place;
use super::{Call, Reply};

/// Lists the certificates that are valid now; some SDKs refuse any other.
pub(super) async fn list(call: Call) -> Result<Reply, Fault> {
    let algorithm = call.parameter("algorithm_type")?;
    if algorithm.as_deref().is_some_and(|kind| !matches!(kind, "RSA" | "ALL")) {
        let issue = said("仅支持 RSA", "must be RSA or ALL");
        return Err(Fault::parameter(Place::Query, "algorithm_type", None, issue));
    }
    let listed = call.app.networks.platform.certificates(call.app.engine.clock().now());
    if listed.is_empty() {
        return Err(Fault::no_certificate());
    }
    let opened = call.app.networks.vault.open_text(Sealed::ApiV3Key, &call.merchant.apiv3_key_sealed);
    let Some(key) = opened.ok().and_then(|text| ApiV3Key::new(text.expose()).ok()) else {
        tracing::error!("the merchant's APIv3 key does not open with the operator's keys");
        return Err(Fault::system());
    };
    let entry = |certificate: &Certificate| CertificateEntry {
        serial_no: certificate.serial.clone(),
        effective_time: Timestamp(certificate.not_before_ms).rfc3339(),
        expire_time: Timestamp(certificate.not_after_ms).rfc3339(),
        encrypt_certificate: Resource::seal(&key, None, "certificate", certificate.pem.as_bytes()),
    };
    let data = listed.iter().filter_map(|key| key.certificate.as_ref()).map(entry).collect();
    Ok(Reply::json(&CertificateList { data }))
}
