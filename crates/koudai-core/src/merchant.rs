//! Merchants, their certificates, and the operator's staff.

use crate::id::{MchId, StaffId};
use crate::refusal::MerchantRefusal;
use crate::rows::{
    App, CertificateKey, Merchant, MerchantCertificate, MerchantCount, Product, Staff, StaffRole,
};
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::Timestamp;

/// Creates a merchant with its first certificate. Its number comes from `NextMerchant`, since the certificate names it.
#[derive(Clone, Debug)]
pub struct CreateMerchant {
    /// Its number.
    pub mchid: MchId,
    /// As payers read it.
    pub name: String,
    /// Its app.
    pub appid: String,
    /// What it may use.
    pub products: Vec<Product>,
    /// Its APIv3 key, sealed by the shell.
    pub apiv3_key_sealed: Vec<u8>,
    /// Its first certificate.
    pub certificate: NewCertificate,
}

/// A certificate of a merchant, as the shell parsed it.
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// Upper-case hex without leading zeros.
    pub serial: String,
    /// The certificate.
    pub pem: String,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

impl NewCertificate {
    fn row(&self, key: CertificateKey) -> MerchantCertificate {
        MerchantCertificate {
            key,
            pem: self.pem.clone(),
            not_before: self.not_before,
            not_after: self.not_after,
            revoked_at: None,
        }
    }
}

/// Draws the number of the next merchant.
#[derive(Clone, Copy, Debug)]
pub struct NextMerchant;

impl Command for NextMerchant {
    type Reply = MchId;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<MchId, Stop<MerchantRefusal>> {
        let next = tx.rows().merchant_count.get(&1).or_stop()?.map_or(MchId::FIRST, |count| count.next);
        tx.rows().merchant_count.put(MerchantCount { id: 1, next: MchId(next.0 + 1) });
        Ok(next)
    }
}

impl Command for CreateMerchant {
    type Reply = Merchant;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Merchant, Stop<MerchantRefusal>> {
        let now = tx.now();
        let key = CertificateKey { mchid: self.mchid, serial: self.certificate.serial.clone() };
        let taken = tx.rows().merchant.get(&self.mchid).or_stop()?.is_some();
        let app_taken = tx.rows().app.get(&self.appid).or_stop()?.is_some();
        tx.rows().merchant_certificate.get(&key).or_stop()?;
        assert!(!taken && !app_taken, "the shell draws a merchant's number and app afresh");
        let merchant = Merchant {
            mchid: self.mchid,
            name: self.name.clone(),
            appid: self.appid.clone(),
            products: words(self.products.iter().map(|product| product.word())),
            suspended: false,
            fee_ppm: tx.policy().fee.ppm(),
            apiv3_key_sealed: self.apiv3_key_sealed.clone(),
            public_key_mode: false,
            h5_domains: String::new(),
            created_at: now,
            transfer_scenes: "".into(),
        };
        tx.rows().app.put(App { appid: self.appid.clone(), mchid: self.mchid, secret_mac: None });
        tx.rows().merchant_certificate.put(self.certificate.row(key));
        tx.rows().merchant.put(merchant.clone());
        Ok(merchant)
    }
}

/// Changes a merchant's rights; what is `None` stays as it is.
#[derive(Clone, Debug)]
pub struct SetMerchant {
    /// Which.
    pub mchid: MchId,
    /// What it may use from now on.
    pub products: Option<Vec<Product>>,
    /// Domains H5 payments may return to.
    pub h5_domains: Option<Vec<String>>,
    /// Whether it takes no payments.
    pub suspended: Option<bool>,
    /// Whether the public key signs for it by default.
    pub public_key_mode: Option<bool>,
    /// Scenes it may send people money for from now on: their numbers.
    pub transfer_scenes: Option<Vec<String>>,
}

impl Command for SetMerchant {
    type Reply = Merchant;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Merchant, Stop<MerchantRefusal>> {
        let merchant = tx.rows().merchant.get(&self.mchid).or_stop()?.cloned();
        let mut merchant = merchant.ok_or(MerchantRefusal::MerchantUnknown)?;
        if let Some(products) = &self.products {
            merchant.products = words(products.iter().map(|product| product.word()));
        }
        if let Some(domains) = &self.h5_domains {
            merchant.h5_domains = domains.join(" ");
        }
        if let Some(scenes) = &self.transfer_scenes {
            merchant.transfer_scenes = words(scenes.iter().map(String::as_str)).into();
        }
        merchant.suspended = self.suspended.unwrap_or(merchant.suspended);
        merchant.public_key_mode = self.public_key_mode.unwrap_or(merchant.public_key_mode);
        tx.rows().merchant.put(merchant.clone());
        Ok(merchant)
    }
}

/// Adds a certificate to those a merchant has, so that it can change keys while it works.
#[derive(Clone, Debug)]
pub struct AddCertificate {
    /// Whose.
    pub mchid: MchId,
    /// The certificate.
    pub certificate: NewCertificate,
}

/// Takes a certificate back: from now on what it signed is refused. The last one may go too, since a stolen key must.
#[derive(Clone, Debug)]
pub struct RevokeCertificate {
    /// Whose.
    pub mchid: MchId,
    /// Upper-case hex without leading zeros.
    pub serial: String,
}

/// Why a merchant's certificates were left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// No such merchant.
    MerchantUnknown,
    /// No certificate of that serial is this merchant's.
    CertificateUnknown,
}

impl Command for AddCertificate {
    type Reply = MerchantCertificate;
    type Refusal = CertificateRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<MerchantCertificate, Stop<CertificateRefusal>> {
        let key = CertificateKey { mchid: self.mchid, serial: self.certificate.serial.clone() };
        if tx.rows().merchant.get(&self.mchid).or_stop()?.is_none() {
            return Err(CertificateRefusal::MerchantUnknown.into());
        }
        if let Some(row) = tx.rows().merchant_certificate.get(&key).or_stop()? {
            assert!(row.pem == self.certificate.pem, "the authority draws each serial afresh");
            return Ok(row.clone());
        }
        let row = self.certificate.row(key);
        tx.rows().merchant_certificate.put(row.clone());
        Ok(row)
    }
}

impl Command for RevokeCertificate {
    type Reply = MerchantCertificate;
    type Refusal = CertificateRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<MerchantCertificate, Stop<CertificateRefusal>> {
        let key = CertificateKey { mchid: self.mchid, serial: self.serial.clone() };
        let row = tx.rows().merchant_certificate.get(&key).or_stop()?.cloned();
        let mut row = row.ok_or(CertificateRefusal::CertificateUnknown)?;
        if row.revoked_at.is_none() {
            row.revoked_at = Some(tx.now());
            tx.rows().merchant_certificate.put(row.clone());
        }
        Ok(row)
    }
}

/// Gives a merchant another APIv3 key.
#[derive(Clone, Debug)]
pub struct SetApiV3Key {
    /// Whose.
    pub mchid: MchId,
    /// The key, sealed by the shell.
    pub apiv3_key_sealed: Vec<u8>,
}

impl Command for SetApiV3Key {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let merchant = tx.rows().merchant.get(&self.mchid).or_stop()?.cloned();
        let mut merchant = merchant.ok_or(MerchantRefusal::MerchantUnknown)?;
        merchant.apiv3_key_sealed.clone_from(&self.apiv3_key_sealed);
        tx.rows().merchant.put(merchant);
        Ok(())
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

/// Makes one of the operator's staff. A name stands for one person.
#[derive(Clone, Debug)]
pub struct CreateStaff {
    /// Their sign-in name.
    pub name: String,
    /// What they may do.
    pub role: StaffRole,
    /// SHA-256 of the token they enrol with.
    pub enrolment_hash: [u8; 32],
}

/// The name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameTaken;

impl Command for CreateStaff {
    type Reply = Staff;
    type Refusal = NameTaken;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Staff, Stop<NameTaken>> {
        if tx.rows().staff.get(&self.name).or_stop()?.is_some() {
            return Err(NameTaken.into());
        }
        let staff = Staff {
            name: self.name.clone(),
            id: StaffId(tx.fresh_id()),
            role: self.role,
            enrolment_hash: self.enrolment_hash,
            created_at: tx.now(),
        };
        tx.rows().staff.put(staff.clone());
        Ok(staff)
    }
}
