//! Its certificates: a root, what it signs and decrypts with, and the merchant's, which a network issues.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use koudai_wechatpay::certificate::{Authority, CertificateError};
use koudai_wechatpay::keys::PrivateKey;

use crate::sandbox::SandboxError;
use crate::unionpay::certificates::{Identity, IdentityError, Trust};

/// Whom its certificates are made out to.
pub const NAME: &str = "沙盒银联";
/// The one merchant it knows.
pub const MERCHANT: &str = "KOUDAI000000001";
/// The number the merchant asks for tokens with.
pub const REQUESTOR: &str = "62000000001";

/// How long its certificates are valid, in years.
const YEARS: u32 = 10;
/// The root's certificate. It is written last: where it stands, the others do.
const ROOT: &str = "root.pem";

/// Its keys and certificates.
#[derive(Debug)]
pub struct Papers {
    /// The root's certificate in PEM, by which the others are believed.
    pub root_pem: String,
    /// Signs replies and notices.
    pub(super) sign: Identity,
    /// Fields are encrypted for it.
    pub(super) cipher: Identity,
    /// Signs the merchant's calls.
    pub merchant: Identity,
}

impl Papers {
    /// Those in `dir`, made at the first time.
    ///
    /// # Errors
    /// If the directory cannot be used or holds others.
    pub fn open(dir: &Path, now_ms: i64) -> Result<Self, SandboxError> {
        fs::create_dir_all(dir)?;
        if !dir.join(ROOT).exists() {
            make(dir, now_ms)?;
        }
        let text = |name: &str| fs::read_to_string(dir.join(name));
        let identity = |name: &str| -> Result<Identity, SandboxError> {
            let key = PrivateKey::from_pem(&text(&format!("{name}_key.pem"))?);
            let key = key.map_err(|_| SandboxError::Corrupt("a key"))?;
            Identity::new(key, &text(&format!("{name}.pem"))?)
                .map_err(|_| SandboxError::Corrupt("a certificate"))
        };
        let (sign, cipher, merchant) = (identity("sign")?, identity("cipher")?, identity("merchant")?);
        Ok(Self { root_pem: text(ROOT)?, sign, cipher, merchant })
    }

    /// What a merchant believes of it.
    ///
    /// # Errors
    /// If the root is none.
    pub fn trust(&self) -> Result<Trust, IdentityError> {
        Trust::new(&self.root_pem, NAME)
    }
}

fn make(dir: &Path, now_ms: i64) -> Result<(), SandboxError> {
    let made = |error: CertificateError| {
        tracing::error!(%error, "a certificate");
        SandboxError::Corrupt("a certificate")
    };
    let root = Authority::generate("Koudai sandbox root", now_ms).map_err(made)?;
    for (name, common_name) in [
        ("sign", format!("041@Z1@{NAME}@00040000:SIGN")),
        ("cipher", format!("041@Z2@{NAME}@00040000:ENC")),
        ("merchant", format!("041@M1@{MERCHANT}@00000001")),
    ] {
        let key = PrivateKey::generate();
        let certificate = root.issue(&common_name, &key.public_key(), now_ms, YEARS).map_err(made)?;
        write(&dir.join(format!("{name}_key.pem")), key.to_pem().as_bytes())?;
        write(&dir.join(format!("{name}.pem")), certificate.pem.as_bytes())?;
    }
    write(&dir.join(ROOT), root.certificate_pem().as_bytes())
}

fn write(path: &Path, content: &[u8]) -> Result<(), SandboxError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    Ok(file.sync_all()?)
}
