//! Whom to believe: Alipay's public keys, or its certificates, which change by themselves and are believed if they lead to its
//! root and are made out as the one the operator was given.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use koudai_wechatpay::certificate::{Certificate, CertificateError};
use koudai_wechatpay::keys::{KeyError, PrivateKey, PublicKey};
use md5::{Digest as _, Md5};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use crate::unionpay::certificates::decimal;

/// What the object ids of RSA signatures begin with (RFC 8017, appendix C).
const RSA: &str = "1.2.840.113549.1.1.";
/// The longest text of certificates read, in bytes.
const MOST_BYTES: usize = 64 << 10;
/// The most certificates in one text.
const MOST_IN_A_TEXT: usize = 16;
/// The most certificates of Alipay's kept at once. One more drops the one that ends first.
const MOST_KNOWN: usize = 16;

/// Why keys or certificates are not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// One of them cannot be read.
    #[error("not a certificate, or not one of an RSA key of at least 2048 bits")]
    Certificate(#[from] CertificateError),
    /// A public key cannot be read.
    #[error("not a public RSA key of at least 2048 bits")]
    PublicKey(#[from] KeyError),
    /// The private key is another one than the certificate's.
    #[error("the key is not the certificate's")]
    OtherKey,
    /// No public key is named.
    #[error("there is no public key in it")]
    NoKey,
    /// Among the roots there is none with an RSA signature that signed itself.
    #[error("there is no RSA root certificate among them")]
    NoRoot,
    /// Alipay's certificate does not lead to one of the roots.
    #[error("Alipay's certificate does not lead to its root")]
    NoChain,
}

/// The app's key, and in certificate mode the numbers that go with it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) key: PrivateKey,
    /// The number of the app's certificate; `None` in key mode.
    pub(crate) certificate: Option<String>,
}

impl Identity {
    /// In key mode: Alipay was told the public half.
    pub const fn of_key(key: PrivateKey) -> Self {
        Self { key, certificate: None }
    }

    /// In certificate mode.
    ///
    /// # Errors
    /// If the certificate cannot be used or is another key's.
    pub fn of_certificate(key: PrivateKey, certificate_pem: &str) -> Result<Self, IdentityError> {
        let leaf = first(certificate_pem)?;
        if Certificate::from_der(&leaf)?.public_key != key.public_key() {
            return Err(IdentityError::OtherKey);
        }
        let number = number_of(&leaf).ok_or(CertificateError::Malformed)?;
        Ok(Self { key, certificate: Some(number) })
    }
}

/// Whom a client believes.
#[derive(Debug)]
pub enum Trust {
    /// In key mode: these public keys. While Alipay changes its key there are two.
    Keys(Vec<PublicKey>),
    /// In certificate mode: what leads to the root.
    Certificates(Chain),
}

impl Trust {
    /// In key mode: the public keys in a text, PEM blocks one behind the other.
    ///
    /// # Errors
    /// If one cannot be used, or there is none.
    pub fn of_keys(text: &str) -> Result<Self, IdentityError> {
        const END: &str = "-----END PUBLIC KEY-----";
        let blocks = text.split_inclusive(END).filter(|part| !part.trim().is_empty());
        let keys = blocks.map(PublicKey::from_pem).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(IdentityError::NoKey) } else { Ok(Self::Keys(keys)) }
    }

    /// In certificate mode: the file of roots, and the file of Alipay's certificate.
    ///
    /// # Errors
    /// If one cannot be read, or does not lead to a root.
    pub fn of_certificates(roots: &str, alipay: &str) -> Result<Self, IdentityError> {
        Chain::new(roots, alipay).map(Self::Certificates)
    }

    /// Whether a certificate of this number has to be fetched before what it signed can be checked.
    pub(crate) fn lacks(&self, certificate: Option<&str>) -> bool {
        match (self, certificate) {
            (Self::Certificates(chain), Some(number)) => !chain.known().contains_key(number),
            _ => false,
        }
    }

    /// Whether somebody who is believed at `now_ms` signed this message. In certificate mode a number says with which
    /// certificate; without one it may be any that is known.
    pub(crate) fn believes(
        &self,
        message: &[u8],
        signature: &str,
        certificate: Option<&str>,
        now_ms: i64,
    ) -> bool {
        let holds = |key: &PublicKey| key.verify(message, signature).is_ok();
        match self {
            Self::Keys(keys) => keys.iter().any(holds),
            Self::Certificates(chain) => {
                let known = chain.known();
                let asked =
                    known.iter().filter(|(number, _)| certificate.is_none_or(|asked| asked == *number));
                let valid = asked.filter(|(_, known)| known.is_valid_at(now_ms));
                let keys: Vec<PublicKey> =
                    valid.map(|(_, known)| known.certificate.public_key.clone()).collect();
                drop(known);
                keys.iter().any(holds)
            }
        }
    }

    /// Takes a certificate that Alipay handed out under this number, with those between it and the root behind it. False if
    /// it is none of Alipay's.
    pub(crate) fn take(&self, number: &str, text: &str, now_ms: i64) -> bool {
        match self {
            Self::Keys(_) => false,
            Self::Certificates(chain) => chain.take(number, text, now_ms).is_some(),
        }
    }
}

/// Alipay's root certificates, and its own that are known by now.
#[derive(Debug)]
pub struct Chain {
    /// As DER.
    roots: Vec<Vec<u8>>,
    /// What stands for the roots in a request.
    pub(crate) roots_number: String,
    /// Whom a certificate is made out to, and by whom, as DER. The same root stands above the certificates of other apps, so
    /// that it alone shows nothing.
    made_out: (Vec<u8>, Vec<u8>),
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    certificate: Certificate,
    /// The earliest end among those above it.
    until_ms: i64,
}

impl Known {
    fn is_valid_at(&self, now_ms: i64) -> bool {
        self.certificate.is_valid_at(now_ms) && now_ms <= self.until_ms
    }
}

impl Chain {
    fn new(roots: &str, alipay: &str) -> Result<Self, IdentityError> {
        let roots_number = roots_number(roots)?;
        let roots: Vec<Vec<u8>> =
            blocks(roots)?.into_iter().filter(|der| parsed(der).is_some_and(|c| is_root(&c))).collect();
        if roots.is_empty() {
            return Err(IdentityError::NoRoot);
        }
        let all = blocks(alipay)?;
        let der = all.first().ok_or(CertificateError::Pem)?;
        let leaf = parsed(der).ok_or(CertificateError::Malformed)?;
        let made_out = (leaf.subject().as_raw().to_vec(), leaf.issuer().as_raw().to_vec());
        let number = number_of(der).ok_or(CertificateError::Malformed)?;
        let chain = Self { roots, roots_number, made_out, known: Mutex::default() };
        // The file may be older than a certificate's life; what matters then is only to whom it was made out.
        let certificate = Certificate::from_der(der)?;
        let at = certificate.not_before_ms;
        let known = chain.believed(&all, at).ok_or(IdentityError::NoChain)?;
        chain.known().insert(number, known);
        Ok(chain)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, number: &str, text: &str, now_ms: i64) -> Option<()> {
        let all = blocks(text).ok()?;
        let der = all.first()?;
        if number_of(der).as_deref() != Some(number) {
            return None;
        }
        let known = self.believed(&all, now_ms)?;
        let mut all_known = self.known();
        if all_known.len() >= MOST_KNOWN
            && let Some(first) = all_known.iter().min_by_key(|(_, known)| known.certificate.not_after_ms)
        {
            let first = first.0.clone();
            all_known.remove(&first);
        }
        all_known.insert(number.to_owned(), known);
        Some(())
    }

    /// The first of these certificates, if it is Alipay's and the others lead from it to a root.
    fn believed(&self, all: &[Vec<u8>], now_ms: i64) -> Option<Known> {
        let der = all.first()?;
        let leaf = parsed(der)?;
        let made_out = (leaf.subject().as_raw(), leaf.issuer().as_raw());
        if made_out != (self.made_out.0.as_slice(), self.made_out.1.as_slice()) {
            return None;
        }
        let until_ms = self.leads_to_a_root(&leaf, &all[1..], now_ms, all.len())?;
        let certificate = Certificate::from_der(der).ok().filter(|read| read.is_valid_at(now_ms))?;
        Some(Known { certificate, until_ms })
    }

    /// Until when those above a certificate are good, if they lead to a root.
    fn leads_to_a_root(
        &self,
        certificate: &X509Certificate<'_>,
        between: &[Vec<u8>],
        now_ms: i64,
        steps_left: usize,
    ) -> Option<i64> {
        if !is_signed_well(certificate) {
            return None;
        }
        let above = |der: &Vec<u8>| {
            let authority = parsed(der)?;
            let signs = authority.is_ca()
                && is_valid_at(&authority, now_ms)
                && authority.subject() == certificate.issuer()
                && certificate.verify_signature(Some(authority.public_key())).is_ok();
            authority.validity().not_after.timestamp().checked_mul(1_000).filter(|_| signs)
        };
        if let Some(until) = self.roots.iter().find_map(above) {
            return Some(until);
        }
        let steps_left = steps_left.checked_sub(1)?;
        between.iter().find_map(|der| {
            let own = above(der)?;
            Some(own.min(self.leads_to_a_root(&parsed(der)?, between, now_ms, steps_left)?))
        })
    }
}

/// The number that Alipay knows a certificate by: MD5 over its issuer's name and its serial.
///
/// # Errors
/// If there is no certificate in the text.
pub fn certificate_number(pem: &str) -> Result<String, IdentityError> {
    Ok(number_of(&first(pem)?).ok_or(CertificateError::Malformed)?)
}

/// What stands for a file of roots: the numbers of those with an RSA signature. Others of them are SM2's.
///
/// # Errors
/// If they cannot be read, or none has an RSA signature.
pub fn roots_number(pem: &str) -> Result<String, IdentityError> {
    let mut numbers = vec![];
    for der in blocks(pem)? {
        let certificate = parsed(&der).ok_or(CertificateError::Malformed)?;
        if certificate.signature_algorithm.algorithm.to_id_string().starts_with(RSA) {
            numbers.push(number_of(&der).ok_or(CertificateError::Malformed)?);
        }
    }
    if numbers.is_empty() { Err(IdentityError::NoRoot) } else { Ok(numbers.join("_")) }
}

fn number_of(der: &[u8]) -> Option<String> {
    let certificate = parsed(der)?;
    let mut serial = String::with_capacity(40);
    for byte in certificate.raw_serial() {
        write!(serial, "{byte:02X}").expect("a string takes it");
    }
    let text = format!("{}{}", name(certificate.issuer())?, decimal(&serial));
    let mut number = String::with_capacity(32);
    for byte in Md5::digest(text.as_bytes()) {
        write!(number, "{byte:02x}").expect("a string takes it");
    }
    Some(number)
}

/// A name as the number is made over it: its parts from the last to the first, as RFC 2253 orders them.
fn name(name: &X509Name<'_>) -> Option<String> {
    let mut parts = vec![];
    for part in name.iter_rdn() {
        let attributes = part.iter().map(|attribute| {
            let key = match attribute.attr_type().to_id_string().as_str() {
                "2.5.4.3" => "CN",
                "2.5.4.6" => "C",
                "2.5.4.7" => "L",
                "2.5.4.8" => "ST",
                "2.5.4.10" => "O",
                "2.5.4.11" => "OU",
                _ => return None,
            };
            Some(format!("{key}={}", attribute.as_str().ok()?))
        });
        parts.push(attributes.collect::<Option<Vec<_>>>()?.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

/// The certificates of a text, as DER.
fn blocks(text: &str) -> Result<Vec<Vec<u8>>, IdentityError> {
    if text.len() > MOST_BYTES {
        return Err(CertificateError::Pem.into());
    }
    let mut all = vec![];
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.map_err(|_| CertificateError::Pem)?;
        if pem.label != "CERTIFICATE" || all.len() == MOST_IN_A_TEXT {
            return Err(CertificateError::Pem.into());
        }
        parsed(&pem.contents).ok_or(CertificateError::Malformed)?;
        all.push(pem.contents);
    }
    Ok(all)
}

fn first(text: &str) -> Result<Vec<u8>, IdentityError> {
    Ok(blocks(text)?.into_iter().next().ok_or(CertificateError::Pem)?)
}

/// Whether a certificate is signed with RSA over SHA-256 or longer: SHA-1 collides.
fn is_signed_well(certificate: &X509Certificate<'_>) -> bool {
    let algorithm = &certificate.signature_algorithm.algorithm;
    [OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA]
        .iter()
        .any(|good| good == algorithm)
}

/// The certificate that a DER text is, all of it.
fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, certificate)| certificate)
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
    use super::*;
    use crate::alipay::sandbox::Authority;

    const NOW: i64 = 1_795_000_000_000;

    /// A root, one below it, a certificate of Alipay's and an app's.
    struct House {
        root: Authority,
        middle: Authority,
        alipay: String,
        key: PrivateKey,
    }

    const ALIPAY: &str = "Alipay of a test";

    fn house() -> House {
        let root = Authority::root("root", NOW).unwrap();
        let middle = root.below("middle", NOW).unwrap();
        let key = PrivateKey::generate();
        let alipay = middle.issue(ALIPAY, &key.public_key(), NOW).unwrap();
        House { alipay: format!("{alipay}{}", middle.pem()), root, middle, key }
    }

    #[test]
    fn a_certificate_is_believed_if_it_is_alipays_and_leads_to_its_root() {
        let house = house();
        let trust = Trust::of_certificates(house.root.pem(), &house.alipay).unwrap();
        let number = certificate_number(&house.alipay).unwrap();
        let believes =
            |key: &PrivateKey, number: Option<&str>, now| trust.believes(b"m", &key.sign(b"m"), number, now);
        assert!(believes(&house.key, Some(&number), NOW) && believes(&house.key, None, NOW));
        assert!(!believes(&PrivateKey::generate(), None, NOW));
        assert!(!believes(&house.key, Some("another"), NOW));
        assert!(!believes(&house.key, Some(&number), NOW + 30 * 365 * 86_400_000), "it is too old by then");
        assert!(!trust.lacks(Some(&number)) && trust.lacks(Some("another")) && !trust.lacks(None));

        // The next one is taken if it leads to the same root and is made out to the same.
        let next = PrivateKey::generate();
        let of = |authority: &Authority, name: &str| {
            let leaf = authority.issue(name, &next.public_key(), NOW).unwrap();
            format!("{leaf}{}", authority.pem())
        };
        let good = of(&house.middle, ALIPAY);
        let stranger = Authority::root("root", NOW).unwrap().below("middle", NOW).unwrap();
        let app = of(&house.middle, "an app");
        let alone = house.middle.issue(ALIPAY, &next.public_key(), NOW).unwrap();
        for wrong in
            [of(&stranger, ALIPAY), app, alone, of(&house.root, ALIPAY), String::new(), "x".repeat(70_000)]
        {
            let number = certificate_number(&wrong).unwrap_or_default();
            assert!(!trust.take(&number, &wrong, NOW), "{wrong}");
        }
        assert!(!trust.take(&number, &good, NOW), "it has another number than was asked for");
        assert!(!believes(&next, None, NOW));
        let number = certificate_number(&good).unwrap();
        assert!(!trust.take(&number, &good, NOW + 30 * 365 * 86_400_000));
        assert!(trust.take(&number, &good, NOW));
        assert!(believes(&next, Some(&number), NOW) && believes(&house.key, None, NOW), "both are good");
    }

    #[test]
    fn what_does_not_belong_together_is_refused_at_the_start() {
        let house = house();
        let stranger = Authority::root("root", NOW).unwrap();
        let why = |roots: &str, alipay: &str| Trust::of_certificates(roots, alipay).unwrap_err();
        assert_eq!(why(stranger.pem(), &house.alipay), IdentityError::NoChain);
        assert_eq!(why(house.middle.pem(), &house.alipay), IdentityError::NoRoot);
        assert!(matches!(why("", &house.alipay), IdentityError::NoRoot));
        assert!(matches!(why(house.root.pem(), ""), IdentityError::Certificate(_)));
        let other = Identity::of_certificate(PrivateKey::generate(), &house.alipay).unwrap_err();
        assert_eq!(other, IdentityError::OtherKey);
        assert_eq!(Trust::of_keys(" \n").unwrap_err(), IdentityError::NoKey);
        assert!(Trust::of_keys(&house.key.to_pem()).is_err());
    }

    #[test]
    fn in_key_mode_each_of_the_keys_is_believed_and_no_certificate_is() {
        let (old, new) = (PrivateKey::generate(), PrivateKey::generate());
        let text = format!("{}\n{}", old.public_key().to_pem(), new.public_key().to_pem());
        let trust = Trust::of_keys(&text).unwrap();
        for key in [&old, &new] {
            assert!(trust.believes(b"m", &key.sign(b"m"), None, NOW));
        }
        assert!(!trust.believes(b"m", &PrivateKey::generate().sign(b"m"), None, NOW));
        let house = house();
        assert!(!trust.take(&certificate_number(&house.alipay).unwrap(), &house.alipay, NOW));
        assert!(!trust.lacks(Some("any")));
    }
}
