//! Every parser of what comes from the network, as functions over bytes, for fuzz targets; built with the feature `fuzzing`
//! only.

use super::cipher::read_holder;
use super::fields::{self, Fields};
use super::file::{self, Line};
use super::wire::{made_at, read_time, txn_time};
use koudai_core::time::Timestamp;
use koudai_wechatpay::keys::PrivateKey;

/// A message, as a reply and as a form: what is read is written and read again as the same.
pub fn message(input: &[u8]) {
    if let Some(read) = Fields::from_reply(input) {
        assert_eq!(Fields::from_reply(read.to_reply().as_bytes()), Some(read.clone()), "a reply survives");
        for name in read.names() {
            let _ = fields::inner(read.text(name));
        }
    }
    if let Some(read) = Fields::from_form(input) {
        assert_eq!(Fields::from_form(read.to_form().as_bytes()), Some(read), "a form survives");
    }
    let text = String::from_utf8_lossy(input);
    if let Some(at) = read_time(&text) {
        assert_eq!(txn_time(at), text, "a time has one spelling");
    }
    let _ = made_at(&text);
}

/// The field of what is known of a holder.
pub fn holder(key: &PrivateKey, input: &[u8]) {
    let _ = read_holder(key, &String::from_utf8_lossy(input));
}

/// A day's file: the input as its lines, packed as the network packs them, and as the packed file itself.
pub fn day(input: &[u8]) {
    const DAY: i64 = 20_780;
    let _ = file::unpack(&String::from_utf8_lossy(input), DAY);
    let amount = i64::try_from(input.len()).unwrap_or(0);
    let text: String =
        String::from_utf8_lossy(input).chars().filter(char::is_ascii_alphanumeric).take(21).collect();
    let line = Line {
        at: Timestamp::of_china_day(DAY),
        amount_minor: amount,
        query_id: text.clone(),
        order_id: text.clone(),
        kinds: ["01".to_owned(), "01".to_owned(), "000902".to_owned()],
        original: text,
        merchant: "777290058110048".to_owned(),
    };
    let packed = file::pack("INN1125ZM_1", std::slice::from_ref(&line)).expect("a line is packed");
    assert_eq!(file::unpack(&packed, DAY).ok(), Some(vec![line]), "a file survives");
    if let Ok(packed) = file::pack_text("INN1125ZM_1", input) {
        for line in file::unpack(&packed, DAY).unwrap_or_default() {
            let _ = file::entry(1, &line);
        }
    }
}
