//! Every request body the gateway reads, as functions over bytes, for fuzz targets; built with the feature `fuzzing` only.
//!
//! One more body is one more line in `bodies!`.

use koudai_core::id::{MchId, PersonId, RefundId};
use koudai_core::identity::PersonName;
use koudai_core::order::PlaceOrder;
use koudai_core::rows::Product;
use koudai_core::secret::Secret;
use koudai_core::transfer::CreateTransfer;
use koudai_networks::Reach;

use super::fault::Fault;
use super::fields::{Fields, OUT_TRADE_NO};
use super::{codepay, orders, read_body, refunds, transfers};
use crate::say::Lang;

const MCHID: MchId = MchId(1_900_007_291);
const APPID: &str = "wxd678efh567hg6787";
const PERSON: PersonId = PersonId(1 << 60);

fn ordered(fields: &Fields<'_>, product: Product) -> Result<PlaceOrder, Fault> {
    orders::ordered(fields, (MCHID, Reach::Public), product, |_, _| Ok(PERSON))
}

/// A transfer whose payee's name stands in the body as it is: no mutation of a cipher would open.
fn transferred(fields: &Fields<'_>) -> Result<(CreateTransfer, Option<PersonName>), Fault> {
    let name = |fields: &Fields<'_>| Ok(fields.owned("user_name", 50)?.map(Secret::new));
    transfers::transfer_request(fields, (MCHID, APPID, Reach::Public), name, |_| Some(PERSON))
}

/// Whether a body is accepted. A refusal must have words in both languages and an answer that is JSON.
fn accepted<T>(body: &[u8], read: impl FnOnce(&Fields<'_>) -> Result<T, Fault>) -> bool {
    match read_body(body, MCHID, read) {
        Ok(_) => true,
        Err(fault) => {
            assert!(!fault.status.is_success() && !fault.code.is_empty(), "a refusal says why");
            for lang in [Lang::Zh, Lang::En] {
                let answer = fault.body(lang);
                assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok(), "an answer is JSON");
            }
            false
        }
    }
}

/// Lists the bodies: a name, and how the fields of one are read.
macro_rules! bodies {
    ($($name:literal => $read:expr,)+) => {
        /// Each body's name, and a function that reads one.
        pub const BODIES: &[(&str, fn(&[u8]))] = &[$(($name, |body| { let _ = accepted(body, $read); }),)+];
        /// Each body's name, and a function that says whether one is accepted.
        pub const ACCEPTS: &[(&str, fn(&[u8]) -> bool)] = &[$(($name, |body| accepted(body, $read)),)+];
    };
}

bodies! {
    "body-native" => |fields| ordered(fields, Product::Native),
    "body-jsapi" => |fields| ordered(fields, Product::Jsapi),
    "body-app" => |fields| ordered(fields, Product::App),
    "body-h5" => |fields| ordered(fields, Product::H5),
    "body-codepay" => |fields| codepay::code_order(fields, MCHID),
    "body-reverse" => codepay::read_reverse,
    "body-close" => orders::read_close,
    "body-refund" => |fields| refunds::refund_request(fields, MCHID, Reach::Public),
    "body-abnormal-refund" => |fields| refunds::redirection(fields, MCHID, RefundId(1 << 60)),
    "body-transfer" => transferred,
    // Numbers in paths are read by the same rules as in bodies.
    "body-number" => |fields| OUT_TRADE_NO.in_path(fields.owned("out_trade_no", 64)?),
}
