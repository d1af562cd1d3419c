//! Merchants' set-up and the operator's staff.

use koudai_core::id::MchId;
use koudai_core::merchant::{
    AddCertificate, CertificateRefusal, CreateStaff, NameTaken, NewCertificate, NextMerchant,
    RevokeCertificate, SetApiV3Key, SetMerchant,
};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{App, Merchant, MerchantCertificate, Product, StaffRole};

use crate::fixture::{Habit, Ledger, appid, set};

#[test]
fn merchants_are_numbered_from_the_first_on() {
    let mut ledger = Ledger::with(Habit::Forget);
    let numbers: Vec<_> = (0..3).map(|_| ledger.submit(&NextMerchant).unwrap().0 - MchId::FIRST.0).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn a_merchant_is_found_by_its_app_and_its_certificate() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    assert_eq!(ledger.get::<App>(&appid(mchid)).unwrap().mchid, mchid);
    assert_eq!(ledger.all::<MerchantCertificate>()[0].key.mchid, mchid);
}

#[test]
fn what_is_not_said_of_a_merchant_stays_as_it_is() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let domains = Some(vec!["a.example".to_owned(), "b.example".to_owned()]);
    let changed = ledger.submit(&SetMerchant { h5_domains: domains, ..set(mchid) }).unwrap();
    assert_eq!(changed.h5_domains, "a.example b.example");
    assert_eq!(ledger.submit(&set(mchid)).unwrap(), changed);
    assert!(Product::ALL.iter().all(|p| changed.may_use(*p)));
    let doubled = Some(vec![Product::Native, Product::H5, Product::Native]);
    let fewer = ledger.submit(&SetMerchant { products: doubled, ..set(mchid) }).unwrap();
    assert_eq!(fewer.products, "h5 native");
    assert!(fewer.may_use(Product::Native) && !fewer.may_use(Product::App));
}

#[test]
fn a_merchant_with_no_product_may_use_none() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let none = ledger.submit(&SetMerchant { products: Some(vec![]), ..set(mchid) }).unwrap();
    assert!(Product::ALL.iter().all(|p| !none.may_use(*p)));
}

#[test]
fn only_a_merchant_that_exists_is_changed() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.refusal(&set(MchId::FIRST)), MerchantRefusal::MerchantUnknown);
}

fn another(serial: &str) -> NewCertificate {
    NewCertificate {
        serial: serial.to_owned(),
        pem: format!("certificate {serial}"),
        not_before: koudai_core::time::Timestamp(1),
        not_after: koudai_core::time::Timestamp(i64::MAX),
    }
}

#[test]
fn certificates_stand_side_by_side_until_one_is_revoked_which_lasts() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let add = AddCertificate { mchid, certificate: another("AB") };
    let added = ledger.submit(&add).unwrap();
    assert_eq!(ledger.submit(&add).unwrap(), added);
    assert_eq!(ledger.all::<MerchantCertificate>().len(), 2);
    assert!(ledger.all::<MerchantCertificate>().iter().all(|row| row.revoked_at.is_none()));

    let revoke = RevokeCertificate { mchid, serial: "AB".to_owned() };
    let revoked = ledger.submit(&revoke).unwrap();
    assert!(revoked.revoked_at.is_some());
    ledger.advance(1_000);
    assert_eq!(ledger.submit(&revoke).unwrap(), revoked, "the first moment counts");
    assert_eq!(ledger.submit(&add).unwrap(), revoked, "adding it again does not bring it back");
    assert_eq!(ledger.all::<MerchantCertificate>().iter().filter(|row| row.revoked_at.is_some()).count(), 1);
}

#[test]
fn certificates_belong_to_a_merchant_that_exists() {
    let mut ledger = Ledger::new();
    let (mchid, other) = (ledger.merchant(), ledger.merchant());
    let nobodys = AddCertificate { mchid: MchId(other.0 + 1), certificate: another("AB") };
    assert_eq!(ledger.refusal(&nobodys), CertificateRefusal::MerchantUnknown);
    ledger.submit(&AddCertificate { mchid, certificate: another("AB") }).unwrap();
    let theirs = RevokeCertificate { mchid: other, serial: "AB".to_owned() };
    assert_eq!(ledger.refusal(&theirs), CertificateRefusal::CertificateUnknown);
}

#[test]
fn another_apiv3_key_replaces_the_one_before_and_nothing_else() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let before = ledger.get::<Merchant>(&mchid).unwrap();
    ledger.submit(&SetApiV3Key { mchid, apiv3_key_sealed: vec![9] }).unwrap();
    let after = ledger.get::<Merchant>(&mchid).unwrap();
    assert_eq!(after, Merchant { apiv3_key_sealed: vec![9], ..before });
    let nobody = SetApiV3Key { mchid: MchId(mchid.0 + 1), apiv3_key_sealed: vec![] };
    assert_eq!(ledger.refusal(&nobody), MerchantRefusal::MerchantUnknown);
}

#[test]
fn a_name_of_staff_stands_for_one_person() {
    let mut ledger = Ledger::new();
    let create =
        |hash| CreateStaff { name: "mei".to_owned(), role: StaffRole::Finance, enrolment_hash: [hash; 32] };
    assert_eq!(ledger.submit(&create(1)).unwrap().role, StaffRole::Finance);
    assert_eq!(ledger.refusal(&create(2)), NameTaken);
}
