//! Its keys and certificates: a root, an authority below it, what it signs with in either mode, and the app's.
//!
//! Alipay's certificates are made out with country, organisation, unit and name, and the numbers they are known by are made
//! over these, so that theirs are too.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::rand;
use koudai_core::time::HOUR;
use koudai_wechatpay::certificate::CertificateError;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SerialNumber, SubjectPublicKeyInfo,
};

use crate::alipay::certificates::{Identity, IdentityError, Trust, certificate_number};
use crate::sandbox::SandboxError;

/// The one app it knows.
pub const APP_ID: &str = "2021000000000001";
/// The merchant whose app it is.
pub const SELLER: &str = "2088100000000001";
/// Whom its own certificates are made out to.
const NAME: &str = "沙盒支付宝";
/// How long its certificates are valid, in days.
const DAYS: u32 = 3_650;
/// The root's certificate. It is written last: where it stands, the others do.
const ROOT: &str = "root.pem";
/// The most generations of what it signs with.
const MOST_GENERATIONS: usize = 8;

/// An authority that issues certificates.
pub(crate) struct Authority {
    key: KeyPair,
    pem: String,
}

impl Authority {
    /// A new root.
    pub(crate) fn root(name: &str, now_ms: i64) -> Result<Self, CertificateError> {
        let key = pair(&PrivateKey::generate())?;
        let params = authority(name, now_ms)?;
        let pem = params.self_signed(&key).map_err(|_| CertificateError::Range)?.pem();
        Ok(Self { key, pem })
    }

    /// Another below it.
    pub(crate) fn below(&self, name: &str, now_ms: i64) -> Result<Self, CertificateError> {
        let key = pair(&PrivateKey::generate())?;
        let pem = self.signed(&authority(name, now_ms)?, &key)?;
        Ok(Self { key, pem })
    }

    /// One that was made before.
    fn read(key_pem: &str, pem: String) -> Result<Self, CertificateError> {
        let key = PrivateKey::from_pem(key_pem)?;
        Ok(Self { key: pair(&key)?, pem })
    }

    /// A certificate for a key.
    pub(crate) fn issue(&self, name: &str, key: &PublicKey, now_ms: i64) -> Result<String, CertificateError> {
        let mut params = params(name, now_ms)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = SubjectPublicKeyInfo::from_pem(&key.to_pem()).map_err(|_| CertificateError::Key)?;
        self.signed(&params, &key)
    }

    fn signed(
        &self,
        params: &CertificateParams,
        key: &impl rcgen::PublicKeyData,
    ) -> Result<String, CertificateError> {
        let issuer =
            Issuer::from_ca_cert_pem(&self.pem, &self.key).map_err(|_| CertificateError::Malformed)?;
        Ok(params.clone().signed_by(key, &issuer).map_err(|_| CertificateError::Range)?.pem())
    }

    /// Its own certificate.
    #[cfg(test)]
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }
}

fn pair(key: &PrivateKey) -> Result<KeyPair, CertificateError> {
    KeyPair::from_pkcs8_pem_and_sign_algo(&key.to_pem(), &PKCS_RSA_SHA256).map_err(|_| CertificateError::Key)
}

fn authority(name: &str, now_ms: i64) -> Result<CertificateParams, CertificateError> {
    let mut params = params(name, now_ms)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(name: &str, now_ms: i64) -> Result<CertificateParams, CertificateError> {
    let mut names = DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "CN"),
        (DnType::OrganizationName, "Koudai"),
        (DnType::OrganizationalUnitName, "Sandbox"),
        (DnType::CommonName, name),
    ] {
        names.push(kind, value);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = names;
    // Some SDKs refuse one that their own, slower clock says is not valid yet.
    let from = u64::try_from(now_ms - HOUR).map_err(|_| CertificateError::Range)? / 1_000;
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(from);
    params.not_after = params.not_before + Duration::from_secs(u64::from(DAYS) * 86_400);
    let mut serial = [0; 16];
    rand::fill(&mut serial).expect("the system's random source works");
    // Positive, and without a leading zero.
    serial[0] = serial[0] % 0x70 + 0x10;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// What it signs with, in both modes. The newest signs; those before are still handed out.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// In key mode.
    pub(super) key: PrivateKey,
    /// In certificate mode.
    pub(super) certified: PrivateKey,
    /// Its certificate, and the authority's behind it.
    pub(super) certificates: String,
    /// The number of the first of them.
    pub(super) number: String,
}

/// Its keys and certificates.
#[derive(Clone, Debug)]
pub struct Papers {
    /// The file of roots.
    pub roots_pem: String,
    /// The app's key.
    pub app_key: PrivateKey,
    /// The app's certificate.
    pub app_certificate_pem: String,
    pub(super) generations: Vec<Generation>,
}

impl Papers {
    /// Those in `dir`, made at the first time.
    ///
    /// # Errors
    /// If the directory cannot be used or holds others.
    pub fn open(dir: &Path, now_ms: i64) -> Result<Self, SandboxError> {
        fs::create_dir_all(dir)?;
        if !dir.join(ROOT).exists() {
            make(dir, now_ms).map_err(|error| not_made(&error))?;
        }
        let text = |name: &str| fs::read_to_string(dir.join(name));
        let key = |name: &str| -> Result<PrivateKey, SandboxError> {
            PrivateKey::from_pem(&text(name)?).map_err(|_| SandboxError::Corrupt("a key"))
        };
        let mut generations = vec![];
        for n in 1..=MOST_GENERATIONS {
            // Written last of its generation.
            if !dir.join(format!("alipay_{n}.pem")).exists() {
                break;
            }
            let certificates = text(&format!("alipay_{n}.pem"))?;
            let number =
                certificate_number(&certificates).map_err(|_| SandboxError::Corrupt("a certificate"))?;
            generations.push(Generation {
                key: key(&format!("alipay_{n}_public_key_mode.pem"))?,
                certified: key(&format!("alipay_{n}_key.pem"))?,
                certificates,
                number,
            });
        }
        if generations.is_empty() {
            return Err(SandboxError::Corrupt("its certificates"));
        }
        let roots_pem = text(ROOT)?;
        Ok(Self {
            roots_pem,
            app_key: key("app_key.pem")?,
            app_certificate_pem: text("app.pem")?,
            generations,
        })
    }

    /// The same with another generation, which signs from then on.
    ///
    /// # Errors
    /// If it cannot be written, or there are too many.
    pub(super) fn rotated(&self, dir: &Path, now_ms: i64) -> Result<Self, SandboxError> {
        let n = self.generations.len() + 1;
        if n > MOST_GENERATIONS {
            return Err(SandboxError::Corrupt("too many certificates"));
        }
        let middle = Authority::read(
            &fs::read_to_string(dir.join("authority_key.pem"))?,
            fs::read_to_string(dir.join("authority.pem"))?,
        );
        let middle = middle.map_err(|error| not_made(&MakeError::Certificate(error)))?;
        generation(dir, n, &middle, now_ms).map_err(|error| not_made(&error))?;
        Self::open(dir, now_ms)
    }

    pub(super) fn newest(&self) -> &Generation {
        self.generations.last().expect("there is one")
    }

    /// Its newest certificate, and the authority's behind it.
    pub fn alipay_certificates_pem(&self) -> &str {
        &self.newest().certificates
    }

    /// Its newest public key, for key mode.
    pub fn alipay_public_key_pem(&self) -> String {
        self.newest().key.public_key().to_pem()
    }

    /// The app in key mode, and whom it believes.
    ///
    /// # Errors
    /// If the keys cannot be used.
    pub fn in_key_mode(&self) -> Result<(Identity, Trust), IdentityError> {
        Ok((Identity::of_key(self.app_key.clone()), Trust::of_keys(&self.alipay_public_key_pem())?))
    }

    /// The app in certificate mode, and whom it believes.
    ///
    /// # Errors
    /// If the certificates cannot be used.
    pub fn in_certificate_mode(&self) -> Result<(Identity, Trust), IdentityError> {
        let identity = Identity::of_certificate(self.app_key.clone(), &self.app_certificate_pem)?;
        Ok((identity, Trust::of_certificates(&self.roots_pem, self.alipay_certificates_pem())?))
    }
}

enum MakeError {
    Certificate(CertificateError),
    Io(std::io::Error),
}

impl From<CertificateError> for MakeError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl From<std::io::Error> for MakeError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn not_made(error: &MakeError) -> SandboxError {
    match error {
        MakeError::Certificate(error) => {
            tracing::error!(%error, "a certificate");
            SandboxError::Corrupt("a certificate")
        }
        MakeError::Io(error) => SandboxError::Io(error.kind().into()),
    }
}

fn make(dir: &Path, now_ms: i64) -> Result<(), MakeError> {
    let root = Authority::root("Koudai sandbox root", now_ms)?;
    let middle = root.below("Koudai sandbox authority", now_ms)?;
    write(&dir.join("authority_key.pem"), middle.key.serialize_pem().as_bytes())?;
    write(&dir.join("authority.pem"), middle.pem.as_bytes())?;
    let app = PrivateKey::generate();
    let certificate = middle.issue(&format!("app-{APP_ID}"), &app.public_key(), now_ms)?;
    write(&dir.join("app_key.pem"), app.to_pem().as_bytes())?;
    write(&dir.join("app.pem"), certificate.as_bytes())?;
    generation(dir, 1, &middle, now_ms)?;
    Ok(write(&dir.join(ROOT), root.pem.as_bytes())?)
}

fn generation(dir: &Path, n: usize, middle: &Authority, now_ms: i64) -> Result<(), MakeError> {
    let (key, certified) = (PrivateKey::generate(), PrivateKey::generate());
    let certificate = middle.issue(NAME, &certified.public_key(), now_ms)?;
    write(&dir.join(format!("alipay_{n}_public_key_mode.pem")), key.to_pem().as_bytes())?;
    write(&dir.join(format!("alipay_{n}_public_key.pem")), key.public_key().to_pem().as_bytes())?;
    write(&dir.join(format!("alipay_{n}_key.pem")), certified.to_pem().as_bytes())?;
    Ok(write(&dir.join(format!("alipay_{n}.pem")), format!("{certificate}{}", middle.pem).as_bytes())?)
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
