//! Fixing, stealing and reusing sessions.

use crate::house::{House, PHONE};

#[tokio::test]
async fn a_session_that_somebody_else_planted_is_not_taken_up() {
    let house = House::start().await;
    let mut victim = house.browser();
    victim
        .cookies
        .insert("koudai_wallet".to_owned(), "planted-by-a-thief-000000000000000000000000".to_owned());
    victim.sign_in_by_code(PHONE).await;
    let token = victim.cookies["koudai_wallet"].clone();
    assert!(!token.starts_with("planted") && token.len() == 43, "256 random bits of ours");
    let mut thief = house.browser();
    thief
        .cookies
        .insert("koudai_wallet".to_owned(), "planted-by-a-thief-000000000000000000000000".to_owned());
    assert!(!thief.is_signed_in().await);
}

#[tokio::test]
async fn a_session_is_over_when_it_is_signed_out_or_its_time_has_come() {
    let house = House::start().await;
    let mut owner = house.signed_in(PHONE).await;
    let mut thief = house.browser();
    thief.cookies.clone_from(&owner.cookies);
    assert!(thief.is_signed_in().await, "whoever has the cookie is taken for its holder");
    owner.sign_out().await;
    assert!(!thief.is_signed_in().await, "until it is signed out");

    house.later();
    owner.sign_in_by_code(PHONE).await;
    house.clock.advance(house.rig.app.engine.policy().session_life_ms);
    assert!(!owner.is_signed_in().await);
}

#[tokio::test]
async fn nothing_that_is_kept_opens_a_session() {
    let house = House::start().await;
    let owner = house.signed_in(PHONE).await;
    let rows =
        house.rig.app.engine.read(koudai_store::Reader::all::<koudai_core::rows::Session>).await.unwrap();
    let token = &owner.cookies["koudai_wallet"];
    for row in rows {
        use base64::Engine as _;
        let kept = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(row.token_hash);
        assert_ne!(&kept, token);
        let mut thief = house.browser();
        thief.cookies.insert("koudai_wallet".to_owned(), kept);
        assert!(!thief.is_signed_in().await);
    }
}
