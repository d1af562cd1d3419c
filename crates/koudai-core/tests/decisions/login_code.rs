//! Codes that tell an app who a person is, and the secret the app proves itself by.

use koudai_core::id::MchId;
use koudai_core::login_code::{
    LOGIN_CODE_LIFE_MS, LoginCodeSpent, SetAppSecret, SweepLoginCodes, USED_CODE_KEPT_MS, UseLoginCode,
};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{App, UsedLoginCode};

use crate::fixture::{Ledger, START, appid};

#[test]
fn a_code_is_used_once_and_not_after_its_time() {
    let mut ledger = Ledger::new();
    let expires_at = START.plus(LOGIN_CODE_LIFE_MS);
    let code = |n| UseLoginCode { token: [n; 16], expires_at };
    ledger.advance(LOGIN_CODE_LIFE_MS - 1);
    assert_eq!(ledger.submit(&code(1)), Ok(()));
    assert_eq!(ledger.refusal(&code(1)), LoginCodeSpent::Used);
    assert_eq!(ledger.submit(&code(2)), Ok(()), "another code is another");
    ledger.advance(1);
    assert_eq!(ledger.refusal(&code(3)), LoginCodeSpent::Expired);
    assert_eq!(ledger.refusal(&code(1)), LoginCodeSpent::Used, "which is what became of it first");
}

#[test]
fn the_sweep_forgets_codes_that_nobody_can_use_any_more() {
    let mut ledger = Ledger::new();
    let old = UseLoginCode { token: [1; 16], expires_at: START.plus(1) };
    let young = UseLoginCode { token: [2; 16], expires_at: START.plus(2) };
    for code in [old, young] {
        ledger.submit(&code).unwrap();
    }
    ledger.advance(1 + USED_CODE_KEPT_MS);
    let sweep = SweepLoginCodes { tokens: vec![old.token, young.token, [3; 16]] };
    ledger.submit(&sweep).unwrap();
    let left: Vec<_> = ledger.all::<UsedLoginCode>().into_iter().map(|code| code.token).collect();
    assert_eq!(left, [young.token]);
    assert_eq!(ledger.effect(&sweep), (Ok(()), false));
    assert_eq!(ledger.refusal(&old), LoginCodeSpent::Expired, "what was forgotten is not good again");
}

#[test]
fn an_apps_secret_is_the_one_it_was_given_last() {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    assert_eq!(ledger.get::<App>(&appid(mchid)).unwrap().secret_mac, None);
    for secret_mac in [[1; 32], [2; 32]] {
        let app = ledger.submit(&SetAppSecret { mchid, secret_mac }).unwrap();
        assert_eq!((app.appid.as_str(), app.secret_mac), (appid(mchid).as_str(), Some(secret_mac)));
    }
    let nobody = SetAppSecret { mchid: MchId(1), secret_mac: [1; 32] };
    assert_eq!(ledger.refusal(&nobody), MerchantRefusal::MerchantUnknown);
}
