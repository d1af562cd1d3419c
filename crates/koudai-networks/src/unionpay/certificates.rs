//! Who signs: our own certificate, and the certificates of the network, which come along with its messages and are believed
//! only if they lead to its root.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use koudai_wechatpay::certificate::{Certificate, CertificateError};
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

/// Whom certificates of the production gateway are made out to.
pub const UNIONPAY: &str = "中国银联股份有限公司";
/// The longest certificate read, in bytes of PEM.
const MAX_PEM_BYTES: usize = 16 * 1_024;

/// Why certificates are not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// One of them cannot be read.
    #[error("not a certificate, or not one of an RSA key of at least 2048 bits")]
    Certificate(#[from] CertificateError),
    /// The key is another one than the certificate's.
    #[error("the key is not the certificate's")]
    Key,
    /// Among the network's own there is none that signed itself.
    #[error("there is no root certificate among them")]
    NoRoot,
}

/// A key that signs, and the number the other side knows its certificate by.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) key: PrivateKey,
    /// The serial of the certificate, decimal.
    pub(crate) cert_id: String,
    /// The certificate, which a network sends along with what it signs.
    pub(crate) pem: String,
}

impl Identity {
    /// A key with its certificate.
    ///
    /// # Errors
    /// If they cannot be used or do not belong together.
    pub fn new(key: PrivateKey, certificate_pem: &str) -> Result<Self, IdentityError> {
        let certificate = Certificate::from_pem(certificate_pem)?;
        if certificate.public_key != key.public_key() {
            return Err(IdentityError::Key);
        }
        Ok(Self { key, cert_id: decimal(&certificate.serial), pem: certificate.pem })
    }
}

/// A serial's hex digits as the protocol writes a serial: decimal.
pub(crate) fn decimal(hex: &str) -> String {
    // Nine decimal digits in each, the lowest first: a serial has up to 160 bits.
    let mut parts = vec![0_u64];
    for digit in hex.chars().filter_map(|c| c.to_digit(16)) {
        let mut carry = u64::from(digit);
        for part in &mut parts {
            let value = *part * 16 + carry;
            (*part, carry) = (value % 1_000_000_000, value / 1_000_000_000);
        }
        if carry > 0 {
            parts.push(carry);
        }
    }
    let mut text = String::with_capacity(9 * parts.len());
    for part in parts.iter().rev() {
        write!(text, "{part:09}").expect("a string takes it");
    }
    match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

/// The network's own certificates, by which others of its are believed.
#[derive(Debug)]
pub struct Trust {
    /// The root and what it signed, as DER.
    authorities: Vec<Vec<u8>>,
    /// Whom a certificate has to be made out to.
    name: String,
    /// The last one that was believed, so that a chain is not followed for each message.
    last: Mutex<Option<Believed>>,
}

#[derive(Clone, Debug)]
struct Believed {
    pem: String,
    certificate: Certificate,
    /// The earliest end among its issuers.
    until_ms: i64,
}

impl Trust {
    /// Believes certificates made out to `name` that lead to a root among `authorities`, PEM texts one behind the other.
    ///
    /// # Errors
    /// If one of them cannot be read, or none is a root.
    pub fn new(authorities: &str, name: &str) -> Result<Self, IdentityError> {
        let mut read = vec![];
        for pem in Pem::iter_from_buffer(authorities.as_bytes()) {
            let pem = pem.map_err(|_| CertificateError::Pem)?;
            X509Certificate::from_der(&pem.contents).map_err(|_| CertificateError::Malformed)?;
            read.push(pem.contents);
        }
        let trust = Self { authorities: read, name: name.to_owned(), last: Mutex::default() };
        let root = |der: &Vec<u8>| parsed(der).is_some_and(|c| is_root(&c));
        if trust.authorities.iter().any(root) { Ok(trust) } else { Err(IdentityError::NoRoot) }
    }

    /// The certificate in a message, if it is one of the network's and good at `now_ms`.
    pub fn believe(&self, pem: &str, now_ms: i64) -> Option<Certificate> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = last.filter(|known| known.pem == pem) {
            let valid = known.certificate.is_valid_at(now_ms) && now_ms <= known.until_ms;
            return valid.then_some(known.certificate);
        }
        // What is checked and what is used are the same bytes: a text of two blocks could show each reader another one.
        let der = only_block(pem)?;
        let leaf = parsed(&der)?;
        let until_ms = self
            .is_made_out(&leaf)
            .then(|| self.leads_to_a_root(&leaf, now_ms, self.authorities.len()))??;
        let certificate = Certificate::from_der(&der).ok().filter(|read| read.is_valid_at(now_ms))?;
        let believed = Believed { pem: pem.to_owned(), certificate: certificate.clone(), until_ms };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(believed);
        Some(certificate)
    }

    /// The key of [`believe`](Self::believe).
    pub(crate) fn key(&self, pem: &str, now_ms: i64) -> Option<PublicKey> {
        self.believe(pem, now_ms).map(|certificate| certificate.public_key)
    }

    /// The network's names read `041@Z20…@whom@what`: the third part says whom.
    fn is_made_out(&self, leaf: &X509Certificate<'_>) -> bool {
        let mut names = leaf.subject().iter_common_name();
        let name = names.next().and_then(|name| name.as_str().ok());
        name.is_some_and(|name| name.split('@').nth(2) == Some(self.name.as_str()))
    }

    /// Until when the certificate's issuers are good, if they lead to a root.
    fn leads_to_a_root(
        &self,
        certificate: &X509Certificate<'_>,
        now_ms: i64,
        steps_left: usize,
    ) -> Option<i64> {
        if steps_left == 0 || !is_signed_well(certificate) {
            return None;
        }
        self.authorities.iter().filter_map(|der| parsed(der)).find_map(|authority| {
            let signs = authority.is_ca()
                && is_valid_at(&authority, now_ms)
                && authority.subject() == certificate.issuer()
                && certificate.verify_signature(Some(authority.public_key())).is_ok();
            let own = authority.validity().not_after.timestamp().checked_mul(1_000).filter(|_| signs)?;
            if is_root(&authority) {
                Some(own)
            } else {
                Some(own.min(self.leads_to_a_root(&authority, now_ms, steps_left - 1)?))
            }
        })
    }
}

/// The one certificate that a text consists of, as DER; `None` if there is anything else in it.
fn only_block(pem: &str) -> Option<Vec<u8>> {
    let text = pem.trim();
    let whole = pem.len() <= MAX_PEM_BYTES
        && text.starts_with("-----BEGIN CERTIFICATE-----")
        && text.ends_with("-----END CERTIFICATE-----")
        && text.matches("-----").count() == 4;
    let mut blocks = Pem::iter_from_buffer(text.as_bytes()).take(if whole { 2 } else { 0 });
    let block = blocks.next()?.ok()?;
    blocks.next().is_none().then_some(block.contents)
}

/// Whether a certificate is signed with RSA over SHA-256 or longer: SHA-1 collides.
fn is_signed_well(certificate: &X509Certificate<'_>) -> bool {
    let algorithm = &certificate.signature_algorithm.algorithm;
    [OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA]
        .iter()
        .any(|good| good == algorithm)
}

fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.is_ca()
        && certificate.subject() == certificate.issuer()
        && certificate.verify_signature(None).is_ok()
}

fn is_valid_at(certificate: &X509Certificate<'_>, now_ms: i64) -> bool {
    let (from, to) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    (from..=to).contains(&now_ms.div_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use koudai_wechatpay::certificate::Authority;

    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    #[test]
    fn serials_are_decimal() {
        assert_eq!(decimal("10025C0F4D"), "68759064397");
        assert_eq!(decimal("00"), "0");
        assert_eq!(decimal("FFFFFFFFFFFFFFFF"), u64::MAX.to_string());
        assert_eq!(decimal("0100000000000000000000000000000000"), "340282366920938463463374607431768211456");
    }

    #[test]
    fn a_certificate_is_believed_if_it_is_the_networks_and_leads_to_its_root() {
        let root = Authority::generate("root", NOW).unwrap();
        let stranger = Authority::generate("root", NOW).unwrap();
        let key = PrivateKey::generate();
        let made_out =
            |authority: &Authority, name: &str| authority.issue(name, &key.public_key(), NOW, 5).unwrap().pem;
        let trust = Trust::new(root.certificate_pem(), UNIONPAY).unwrap();
        let name = format!("041@Z1@{UNIONPAY}@00040000:SIGN");
        let good = made_out(&root, &name);
        for _again in 0..2 {
            assert_eq!(trust.key(&good, NOW), Some(key.public_key()));
        }
        assert_eq!(trust.key(&good, NOW + 6 * 365 * 86_400_000), None, "it is too old by then");
        assert_eq!(trust.key(&made_out(&stranger, &name), NOW), None);
        assert_eq!(trust.key(&made_out(&root, "041@Z1@somebody@00040000:SIGN"), NOW), None);
        assert_eq!(trust.key(&made_out(&root, UNIONPAY), NOW), None);
        assert_eq!(trust.key(root.certificate_pem(), NOW), None);
        assert_eq!(trust.key("", NOW), None);
        // Two in one text, so that one is checked and another's key is taken.
        let mine = PrivateKey::generate();
        let stranger = stranger.issue(&name, &mine.public_key(), NOW, 5).unwrap().pem;
        for text in [
            format!("x{stranger}\n{good}"),
            format!("{stranger}{good}"),
            format!("{good}{stranger}"),
            format!("x{good}"),
        ] {
            assert_eq!(trust.key(&text, NOW), None, "{text}");
        }
        let leaf_only = Trust::new(&good, UNIONPAY).unwrap_err();
        assert_eq!(
            (leaf_only, Trust::new("", UNIONPAY).unwrap_err()),
            (IdentityError::NoRoot, IdentityError::NoRoot)
        );
        assert_eq!(Identity::new(PrivateKey::generate(), &good).unwrap_err(), IdentityError::Key);
    }
}
