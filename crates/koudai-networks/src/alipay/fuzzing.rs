//! Entries for fuzz targets: everything that is read of what Alipay, or whoever says to be it, sends.

use koudai_wechatpay::keys::PrivateKey;

use super::certificates::{Trust, certificate_number, roots_number};
use super::fields::Fields;
use super::file::{self, Kind};
use super::reply::Reply;
use super::signing;
use super::wire::{Call, read_date, read_moment, read_yuan, yuan};
use crate::network::made_at;

/// A notice or a request: read, written and read again; and never believed, whoever forged it.
pub fn form(key: &PrivateKey, input: &[u8]) {
    let Some(fields) = Fields::from_form(input) else { return };
    assert_eq!(Fields::from_form(fields.to_form().as_bytes()), Some(fields.clone()), "a form survives");
    let trust = Trust::of_keys(&key.public_key().to_pem()).expect("a key is a key");
    assert!(!signing::notice_holds(&fields, &trust, 0), "nobody signed it");
    let mut signed = fields;
    signing::sign_notice(&mut signed, key);
    assert!(signing::notice_holds(&signed, &trust, 0), "what is signed is believed");
}

/// A reply: what was signed is a part of it as it came, and reads the same by itself.
pub fn reply(input: &[u8]) {
    for call in [Call::Query, Call::Token] {
        let Some(reply) = Reply::read(input, &call.answer()) else { continue };
        let text = std::str::from_utf8(input).expect("a reply is text");
        assert!(text.contains(reply.signed), "what was signed stands in it");
        let alone = format!("{{\"{}\":{},\"sign\":\"s\"}}", call.answer(), reply.signed);
        let alone = Reply::read(alone.as_bytes(), &call.answer()).expect("it is a reply by itself");
        assert_eq!(alone.content(), reply.content(), "and says the same");
    }
}

/// Certificates, as the gateway hands them out.
pub fn certificates(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _ = certificate_number(&text);
    let _ = roots_number(&text);
    let _ = Trust::of_certificates(&text, &text);
    let _ = Trust::of_keys(&text);
}

/// Words: numbers, times and amounts.
pub fn words(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _ = (made_at(&text), read_moment(&text), read_date(&text));
    if let Some(money) = read_yuan(&text) {
        assert_eq!(read_yuan(&yuan(money)), Some(money), "an amount survives");
    }
}

/// A bill: as the archive, and as the table in one.
pub fn bill(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let packed = file::pack(&[("bill.csv", &text)]).expect("a table is packed");
    for kind in [Kind::Trade, Kind::Account] {
        let _ = file::unpack(input, kind);
        for line in file::unpack(&packed, kind).unwrap_or_default() {
            assert!(line.amount_minor > 0 && made_at(&line.number).is_some());
            let _ = file::entry(file::place(1, line.row), &line);
        }
    }
}
