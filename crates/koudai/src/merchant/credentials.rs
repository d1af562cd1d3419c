//! `koudai merchant certificate` and `koudai merchant apiv3-key`: what a merchant proves itself by, renewed while it works.

use koudai_core::id::MchId;
use koudai_core::merchant::{
    AddCertificate, CertificateRefusal, NewCertificate, RevokeCertificate, SetApiV3Key,
};
use koudai_core::rows::{Merchant, MerchantCertificate};
use koudai_core::time::Timestamp;
use koudai_engine::{Engine, Failed};
use koudai_networks::platform::Platform;
use koudai_networks::vault::{Sealed, Vault};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::certificate::Certificate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CERTIFICATE_YEARS, in_words, key_or_request, number};
use crate::cli::{CertificateCommand, MerchantArgs};
use crate::control::{self, Request};
use crate::failure::Failure;

pub(super) const NOBODY: &str = "there is no merchant of this number";

/// Another certificate for a merchant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Add {
    mchid: String,
    /// Signed by the merchant's new key (PKCS#10, PEM).
    csr_pem: String,
}

/// A merchant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Of {
    pub(super) mchid: String,
}

/// A certificate to be taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Revoke {
    mchid: String,
    serial: String,
}

/// A certificate as rows have it.
pub(super) fn as_rows_have_it(certificate: &Certificate) -> NewCertificate {
    NewCertificate {
        serial: certificate.serial.trim_start_matches('0').to_owned(),
        pem: certificate.pem.clone(),
        not_before: Timestamp(certificate.not_before_ms),
        not_after: Timestamp(certificate.not_after_ms),
    }
}

/// Certifies another key of a merchant's. Those it has go on.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn add(engine: &Engine, platform: &Platform, add: Add) -> Result<Value, String> {
    let mchid = known(engine, &add.mchid).await?;
    let now_ms = engine.clock().now().0;
    let certificate = platform
        .authority
        .issue_csr(&add.csr_pem, &mchid.wire(), now_ms, CERTIFICATE_YEARS)
        .map_err(|error| format!("the signing request: {error}"))?;
    let command = AddCertificate { mchid, certificate: as_rows_have_it(&certificate) };
    let row = engine.submit(command).await.map_err(|failed| refused(&failed))?;
    Ok(json!({
        "mchid": mchid.wire(),
        "serial_no": certificate.serial,
        "valid_until": row.not_after.rfc3339(),
        "certificate_pem": certificate.pem,
    }))
}

/// A merchant's certificates, oldest first.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn list(engine: &Engine, of: Of) -> Result<Value, String> {
    let mchid = known(engine, &of.mchid).await?;
    let rows = engine.read(move |reader| reader.certificates_of(mchid)).await;
    let (rows, now) = (rows.map_err(|error| error.to_string())?, engine.now());
    Ok(rows.iter().map(|row| shown(row, now)).collect())
}

/// Takes a certificate back.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn revoke(engine: &Engine, revoke: Revoke) -> Result<Value, String> {
    let mchid = number(&revoke.mchid)?;
    let serial = revoke.serial.trim_start_matches('0').to_ascii_uppercase();
    let row = engine.submit(RevokeCertificate { mchid, serial }).await.map_err(|failed| refused(&failed))?;
    Ok(shown(&row, engine.now()))
}

/// Gives a merchant another APIv3 key; the only time it is shown.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn new_apiv3_key(engine: &Engine, vault: &Vault, of: Of) -> Result<Value, String> {
    let key = ApiV3Key::generate();
    let apiv3_key_sealed = vault.seal(Sealed::ApiV3Key, key.expose().as_bytes());
    let command = SetApiV3Key { mchid: number(&of.mchid)?, apiv3_key_sealed };
    engine.submit(command).await.map_err(|failed| in_words(&failed))?;
    Ok(json!({ "mchid": of.mchid, "apiv3_key": key.expose() }))
}

/// A merchant's number as it was typed, if there is such a merchant.
pub(super) async fn known(engine: &Engine, mchid: &str) -> Result<MchId, String> {
    let mchid = number(mchid)?;
    let row = engine.read(move |reader| reader.get::<Merchant>(&mchid)).await;
    row.map_err(|error| error.to_string())?.map(|_| mchid).ok_or_else(|| NOBODY.to_owned())
}

fn refused(failed: &Failed<CertificateRefusal>) -> String {
    match failed {
        Failed::Refused(CertificateRefusal::MerchantUnknown) => NOBODY.to_owned(),
        Failed::Refused(CertificateRefusal::CertificateUnknown) => {
            "this merchant has no certificate of that serial".to_owned()
        }
        Failed::Busy => in_words(&Failed::Busy),
        Failed::Stopped => in_words(&Failed::Stopped),
    }
}

fn shown(row: &MerchantCertificate, now: Timestamp) -> Value {
    let state = match row.revoked_at {
        Some(_) => "revoked",
        None if now > row.not_after => "expired",
        None => "active",
    };
    let mut shown = json!({
        "serial_no": row.key.serial,
        "state": state,
        "valid_from": row.not_before.rfc3339(),
        "valid_until": row.not_after.rfc3339(),
    });
    if let Some(at) = row.revoked_at {
        shown["revoked_at"] = json!(at.rfc3339());
    }
    shown
}

/// `koudai merchant certificate`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_certificate(command: CertificateCommand) -> Result<(), Failure> {
    let (data, request, key) = match command {
        CertificateCommand::Add(args) => {
            let (key, csr_pem) = key_or_request(args.csr.as_deref())?;
            let request = Request::CertificateAdd(Add { mchid: args.merchant.mchid, csr_pem });
            (args.merchant.data, request, key)
        }
        CertificateCommand::List(args) => {
            (args.data, Request::CertificateList(Of { mchid: args.mchid }), None)
        }
        CertificateCommand::Revoke(args) => {
            let revoke = Revoke { mchid: args.merchant.mchid, serial: args.serial };
            (args.merchant.data, Request::CertificateRevoke(revoke), None)
        }
    };
    let mut answer = control::ask(&data, request).await?;
    if let (Some(key), Some(made)) = (key, answer.as_object_mut()) {
        made.insert("private_key_pem".to_owned(), key.to_pem().as_str().into());
    }
    println!("{answer:#}");
    Ok(())
}

/// `koudai merchant apiv3-key`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_apiv3_key(args: MerchantArgs) -> Result<(), Failure> {
    let request = Request::ApiV3Key(Of { mchid: args.mchid });
    println!("{:#}", control::ask(&args.data, request).await?);
    Ok(())
}
