//! Keyed hashes, secrets and randomness.

use std::collections::HashSet;
use std::sync::Mutex;

use koudai_core::binding::{card_mac, identity_mac};
use koudai_core::card::CardNumber;
use koudai_core::identity::{Contact, IdNumber, PersonName};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{CodeKey, CodePurpose};
use koudai_core::secret::Secret;
use koudai_core::sign_in::code_of;
use koudai_core::state::{Command, Keys, Stop, Tx, keyed_mac, keyed_mac_matches};
use proptest::prelude::*;

use crate::fixture::{Ledger, START, pin};

proptest! {
    #[test]
    fn no_two_lists_of_parts_have_one_mac(
        a in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..4),
        b in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..4),
    ) {
        let parts = |list: &[Vec<u8>]| {
            keyed_mac(&[1; 32], &list.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        prop_assert_eq!(parts(&a) == parts(&b), a == b);
    }
}

#[test]
fn moving_a_border_between_parts_changes_the_mac() {
    let key = [1; 32];
    let whole = keyed_mac(&key, &[b"ab", b"c"]);
    for other in [&[b"a".as_slice(), b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"", b"ab", b"c"]] {
        assert_ne!(keyed_mac(&key, other), whole);
    }
    assert_ne!(keyed_mac(&[2; 32], &[b"ab", b"c"]), whole, "another key, another MAC");
    assert!(keyed_mac_matches(&key, &[b"ab", b"c"], &whole));
    assert!(!keyed_mac_matches(&key, &[b"abc"], &whole));
    assert!(!keyed_mac_matches(&key, &[b"ab", b"c"], &whole[..31]));
}

#[test]
fn a_card_and_an_identity_never_have_one_hash() {
    let key = Secret::new([1; 32]);
    let card = CardNumber::parse("6216261000000000018").unwrap();
    let name = PersonName::parse("王小明").unwrap();
    let id = IdNumber::parse("11010519491231002X", START).unwrap();
    assert_ne!(card_mac(&key, &card), identity_mac(&key, &name, &id));
}

#[test]
fn a_secret_never_prints_itself() {
    assert_eq!(format!("{:?}", Secret::new("4111111111111111".to_owned())), "[redacted]");
    assert_eq!(format!("{:?}", pin("135790")), "Pin([redacted])");
    let keys = Keys { payment_password: Secret::new([41; 32]), one_time_code: Secret::new([42; 32]) };
    let text = format!("{keys:?}");
    assert!(!text.contains("41") && !text.contains("42"), "{text}");
}

#[test]
fn a_code_is_six_digits_and_belongs_to_its_phone_and_nonce() {
    let keys = Ledger::new().keys;
    let key = |phone| CodeKey { contact: Contact::parse(phone).unwrap(), purpose: CodePurpose::SignIn };
    let codes: HashSet<String> = (0..100)
        .map(|n| code_of(&keys, &key("13800138000"), &[n; 16]).expose().clone())
        .inspect(|code| assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())))
        .collect();
    assert!(codes.len() > 95, "codes hardly ever meet");
    assert_ne!(code_of(&keys, &key("13800138000"), &[1; 16]), code_of(&keys, &key("13900139000"), &[1; 16]));
}

/// Draws twice and keeps what it drew.
struct Draw(Mutex<Vec<[u8; 16]>>);

impl Command for Draw {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        self.0.lock().expect("nobody panicked").extend([tx.random(), tx.random()]);
        Ok(())
    }
}

#[test]
fn every_draw_of_a_batch_is_another() {
    let mut ledger = Ledger::new();
    let draw = Draw(Mutex::default());
    for _ in 0..50 {
        ledger.submit(&draw).unwrap();
    }
    let drawn = draw.0.into_inner().unwrap();
    assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 100);
}
