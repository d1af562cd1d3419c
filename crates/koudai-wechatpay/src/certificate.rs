//! X.509 certificates: reading a serial and a key out of them, and a small certificate authority that issues them.
//!
//! The protocol uses certificates as names for keys. No SDK checks a chain, so the authority is self-signed.

use std::{fmt, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose,
    PKCS_RSA_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509CertificationRequest};
use zeroize::Zeroizing;

use crate::{
    keys::{KeyError, PrivateKey, PublicKey},
    pem, random,
};

/// How long an authority's own certificate is valid, in years. It outlives whatever it issues.
pub const AUTHORITY_YEARS: u32 = 30;
/// The longest validity issued, in years.
pub const MAX_YEARS: u32 = 20;

/// Certificates start this long before they are issued, because some SDKs refuse one that their own, slower clock
/// says is not valid yet.
const BACKDATED_MS: i64 = 60 * 60 * 1000;
/// A year of 365 days. Leap days are not made up for: a validity is a promise of "at least about".
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
/// The longest common name, in characters (RFC 5280, `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;
/// 9999-12-31, the last day X.509 can write.
const MAX_MS: i64 = 253_402_300_799_000;

/// Why a certificate was not read or not issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not a PEM block of a certificate, or of a request where one was asked for.
    #[error("not a PEM block of the expected kind")]
    Pem,
    /// Not well-formed X.509.
    #[error("not a well-formed certificate")]
    Malformed,
    /// The key is not RSA of at least 2048 bits, or does not belong to the certificate.
    #[error("the key is not RSA of at least 2048 bits, or another one than the certificate's")]
    Key,
    /// A request that is not signed by the key in it.
    #[error("the request is not signed by its own key")]
    RequestSignature,
    /// A common name that is empty, over 64 characters or holds control characters; a validity or time out of range.
    #[error("a name, a time or a validity out of range")]
    Range,
}

impl From<KeyError> for CertificateError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Pem => Self::Pem,
            KeyError::Rejected => Self::Key,
        }
    }
}

/// A certificate and what the protocol wants to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate as PEM.
    pub pem: String,
    /// The serial as upper-case hex, two digits a byte, without leading zero bytes.
    pub serial: String,
    /// Start of validity, milliseconds since 1970 UTC.
    pub not_before_ms: i64,
    /// End of validity, milliseconds since 1970 UTC, inclusive.
    pub not_after_ms: i64,
    /// The key it names.
    pub public_key: PublicKey,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// `Pem`, `Malformed`, or `Key` if the key is not RSA of at least 2048 bits.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let block = pem::first_block(text).ok_or(CertificateError::Pem)?;
        if block.label != "CERTIFICATE" {
            return Err(CertificateError::Pem);
        }
        Self::from_der(&block.der)
    }

    /// Reads a certificate from its DER, all of it.
    ///
    /// # Errors
    /// `Malformed`, or `Key` if the key is not RSA of at least 2048 bits.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let milliseconds = |seconds: i64| seconds.checked_mul(1000).ok_or(CertificateError::Malformed);
        Ok(Self {
            pem: pem::encode("CERTIFICATE", der).as_str().to_owned(),
            serial: serial_hex(certificate.raw_serial()),
            not_before_ms: milliseconds(certificate.validity().not_before.timestamp())?,
            not_after_ms: milliseconds(certificate.validity().not_after.timestamp())?,
            public_key: PublicKey::from_der(certificate.public_key().raw)?,
        })
    }

    /// Whether `now_ms` lies within the validity.
    pub fn is_valid_at(&self, now_ms: i64) -> bool {
        (self.not_before_ms..=self.not_after_ms).contains(&now_ms)
    }
}

/// Whether two serials are the same number: case and leading zeros do not count, since some SDKs write lower case
/// and some drop a leading zero.
pub fn serial_matches(one: &str, other: &str) -> bool {
    one.trim_start_matches('0').eq_ignore_ascii_case(other.trim_start_matches('0'))
}

fn serial_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let mut text = String::with_capacity(40);
    for byte in &bytes[first..] {
        write!(text, "{byte:02X}").expect("writing to a string cannot fail");
    }
    text
}

/// A self-signed certificate authority. `Debug` never shows its key.
#[derive(Clone, Debug)]
pub struct Authority {
    key: PrivateKey,
    certificate: Certificate,
}

impl Authority {
    /// A new authority with a fresh key, valid for [`AUTHORITY_YEARS`] from `now_ms` (milliseconds since 1970 UTC).
    ///
    /// # Errors
    /// `Range` for a bad common name or time.
    pub fn generate(common_name: &str, now_ms: i64) -> Result<Self, CertificateError> {
        let key = PrivateKey::generate();
        let mut params = params(common_name, now_ms, AUTHORITY_YEARS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issued = params.self_signed(&Signer(&key)).map_err(|_| CertificateError::Range)?;
        Ok(Self { certificate: Certificate::from_der(issued.der())?, key })
    }

    /// An authority made before, from its two PEM texts.
    ///
    /// # Errors
    /// As reading each, and `Key` if the key is not the certificate's.
    pub fn from_pem(key: &str, certificate: &str) -> Result<Self, CertificateError> {
        let (key, certificate) = (PrivateKey::from_pem(key)?, Certificate::from_pem(certificate)?);
        if key.public_key() != certificate.public_key {
            return Err(CertificateError::Key);
        }
        Ok(Self { key, certificate })
    }

    /// The private key as PEM, for storing.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pem()
    }

    /// The authority's own certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate.pem
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Issues a certificate for `key`, valid from an hour before `now_ms` (milliseconds since 1970 UTC) for `years`
    /// of 365 days, 1 to [`MAX_YEARS`]. Its serial is random and 40 hex digits long, none of them a leading zero.
    ///
    /// # Errors
    /// `Range` for a bad common name, time or validity.
    pub fn issue(
        &self,
        common_name: &str,
        key: &PublicKey,
        now_ms: i64,
        years: u32,
    ) -> Result<Certificate, CertificateError> {
        if !(1..=MAX_YEARS).contains(&years) {
            return Err(CertificateError::Range);
        }
        let mut params = params(common_name, now_ms, years)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate.pem, Signer(&self.key))
            .map_err(|_| CertificateError::Malformed)?;
        let issued = params.signed_by(&Subject(key), &issuer).map_err(|_| CertificateError::Range)?;
        Certificate::from_der(issued.der())
    }

    /// Issues a certificate for the key in a signing request (PKCS#10 PEM). The request must be signed by that key;
    /// the name and all else it asks for are ignored, because who asks is known by other means.
    ///
    /// # Errors
    /// `Pem`, `Malformed`, `RequestSignature`, `Key` for the request; `Range` as [`issue`](Self::issue).
    pub fn issue_csr(
        &self,
        request_pem: &str,
        common_name: &str,
        now_ms: i64,
        years: u32,
    ) -> Result<Certificate, CertificateError> {
        let block = pem::first_block(request_pem).ok_or(CertificateError::Pem)?;
        if !matches!(block.label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err(CertificateError::Pem);
        }
        let (_, request) =
            X509CertificationRequest::from_der(&block.der).map_err(|_| CertificateError::Malformed)?;
        let key = PublicKey::from_der(request.certification_request_info.subject_pki.raw)?;
        request.verify_signature().map_err(|_| CertificateError::RequestSignature)?;
        self.issue(common_name, &key, now_ms, years)
    }
}

/// A signing request (PKCS#10 PEM) for `key`, as a merchant makes it to get a certificate without showing the key.
///
/// # Errors
/// `Range` for a bad common name.
pub fn request_pem(key: &PrivateKey, common_name: &str) -> Result<String, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name)?;
    let request = params.serialize_request(&Signer(key)).map_err(|_| CertificateError::Range)?;
    Ok(pem::encode("CERTIFICATE REQUEST", request.der()).as_str().to_owned())
}

fn name(common_name: &str) -> Result<DistinguishedName, CertificateError> {
    let length = common_name.chars().count();
    if !(1..=MAX_COMMON_NAME).contains(&length) || common_name.chars().any(char::is_control) {
        return Err(CertificateError::Range);
    }
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    Ok(name)
}

fn params(common_name: &str, now_ms: i64, years: u32) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name)?;
    let not_before_ms = now_ms.checked_sub(BACKDATED_MS).ok_or(CertificateError::Range)?;
    let not_after_ms = now_ms.checked_add(i64::from(years) * YEAR_MS).ok_or(CertificateError::Range)?;
    if not_before_ms < 0 || not_after_ms > MAX_MS {
        return Err(CertificateError::Range);
    }
    let date = |ms: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(ms.unsigned_abs() / 1000);
    params.not_before = date(not_before_ms);
    params.not_after = date(not_after_ms);
    params.serial_number = Some(SerialNumber::from_slice(&random_serial()));
    Ok(params)
}

/// Twenty random bytes, the most X.509 allows, the first from 0x10 to 0x7F: positive without a padding byte, and
/// forty hex digits of which the first is not zero, so that every SDK writes it the same way.
fn random_serial() -> [u8; 20] {
    let mut serial = [0; 20];
    loop {
        random::fill(&mut serial);
        serial[0] &= 0x7F;
        if serial[0] >= 0x10 {
            return serial;
        }
    }
}

/// A private key as the certificate library wants it.
struct Signer<'a>(&'a PrivateKey);

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_pkcs1()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign_raw(message))
    }
}

/// A public key as the certificate library wants it.
struct Subject<'a>(&'a PublicKey);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.pkcs1()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 12:00 UTC.
    const NOW_MS: i64 = 1_795_435_200_000;

    fn authority() -> Authority {
        Authority::generate("Koudai 口袋 test authority", NOW_MS).unwrap()
    }

    #[test]
    fn an_issued_certificate_names_the_key_and_verifies() {
        let (authority, key) = (authority(), PrivateKey::generate());
        let issued = authority.issue("1900007291", &key.public_key(), NOW_MS, 5).unwrap();
        assert_eq!(issued.public_key, key.public_key());
        assert_eq!(issued.serial.len(), 40);
        assert!(!issued.serial.starts_with('0'));
        assert_eq!(issued.not_before_ms, NOW_MS - BACKDATED_MS);
        assert_eq!(issued.not_after_ms, NOW_MS + 5 * YEAR_MS);
        assert!(issued.is_valid_at(NOW_MS) && !issued.is_valid_at(NOW_MS + 6 * YEAR_MS));
        assert_eq!(Certificate::from_pem(&issued.pem).as_ref(), Ok(&issued));

        let block = pem::first_block(&issued.pem).unwrap();
        let (_, parsed) = X509Certificate::from_der(&block.der).unwrap();
        let ca = pem::first_block(authority.certificate_pem()).unwrap();
        let (_, ca) = X509Certificate::from_der(&ca.der).unwrap();
        assert_eq!(parsed.issuer(), ca.subject());
        assert!(parsed.verify_signature(Some(ca.public_key())).is_ok());
        assert!(ca.verify_signature(None).is_ok());
        assert!(ca.is_ca() && !parsed.is_ca());
    }

    #[test]
    fn serials_differ_and_are_positive() {
        for _ in 0..500 {
            let serial = random_serial();
            assert!((0x10..0x80).contains(&serial[0]));
            assert_ne!(serial, random_serial());
        }
    }

    #[test]
    fn an_authority_survives_its_pem_texts_but_not_a_foreign_key() {
        let authority = authority();
        let again = Authority::from_pem(&authority.key_pem(), authority.certificate_pem()).unwrap();
        let key = PrivateKey::generate();
        assert!(again.issue("1", &key.public_key(), NOW_MS, 1).is_ok());
        let foreign = Authority::from_pem(&key.to_pem(), authority.certificate_pem());
        assert_eq!(foreign.unwrap_err(), CertificateError::Key);
    }

    #[test]
    fn a_request_is_honoured_only_when_its_own_key_signed_it() {
        let (authority, key) = (authority(), PrivateKey::generate());
        let request = request_pem(&key, "some other name").unwrap();
        let issued = authority.issue_csr(&request, "1900007291", NOW_MS, 5).unwrap();
        assert_eq!(issued.public_key, key.public_key());

        // The same request with another key put in, and with a signature changed.
        let der = pem::first_block(&request).unwrap().der;
        let other = PrivateKey::generate();
        let at = der.windows(256).position(|w| w == &key.public_pkcs1()[9..265]).unwrap();
        let mut swapped = der.to_vec();
        swapped[at..at + 256].copy_from_slice(&other.public_pkcs1()[9..265]);
        let mut resigned = der.to_vec();
        *resigned.last_mut().unwrap() ^= 1;
        for forged in [swapped, resigned] {
            let forged = pem::encode("CERTIFICATE REQUEST", &forged);
            let refused = authority.issue_csr(&forged, "1900007291", NOW_MS, 5);
            assert_eq!(refused.unwrap_err(), CertificateError::RequestSignature);
        }
        let refused = authority.issue_csr(&issued.pem, "1", NOW_MS, 5);
        assert_eq!(refused.unwrap_err(), CertificateError::Pem);
    }

    #[test]
    fn names_and_times_are_bounded() {
        let (authority, key) = (authority(), PrivateKey::generate().public_key());
        for (name, now_ms, years) in [
            ("", NOW_MS, 1),
            ("a\nb", NOW_MS, 1),
            (&"口".repeat(65), NOW_MS, 1),
            ("a", NOW_MS, 0),
            ("a", NOW_MS, 21),
            ("a", i64::MAX, 1),
            ("a", i64::MIN, 1),
            ("a", MAX_MS, 1),
        ] {
            assert_eq!(authority.issue(name, &key, now_ms, years), Err(CertificateError::Range), "{name}");
        }
    }

    #[test]
    fn serials_match_whatever_their_case_and_zeros() {
        assert!(serial_matches("00ab12", "AB12"));
        assert!(serial_matches("", "0"));
        assert!(!serial_matches("AB12", "AB120"));
    }

    #[test]
    fn hostile_certificates_are_refused() {
        let good = authority().certificate_pem().to_owned();
        let der = pem::first_block(&good).unwrap().der;
        for end in (0..der.len()).step_by(7) {
            assert!(Certificate::from_der(&der[..end]).is_err());
        }
        for index in 0..der.len() {
            let mut broken = der.to_vec();
            broken[index] ^= 0xFF;
            let _ = Certificate::from_der(&broken);
        }
        assert_eq!(Certificate::from_pem("").unwrap_err(), CertificateError::Pem);
    }
}
