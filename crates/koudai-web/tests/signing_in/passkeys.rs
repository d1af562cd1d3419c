//! Passkeys, from making one to signing in and proving by it.

use koudai_core::time::MINUTE;

use crate::authenticator::Authenticator;
use crate::house::{Browser, House, PASSWORD, PHONE};

/// The pages of the passkeys that a list leads to.
pub(crate) fn paths_in(list: &str) -> Vec<String> {
    let parts = list.split("href=\"").skip(1).filter_map(|part| part.split('"').next());
    let below = |path: &&str| path.strip_prefix("/security/passkeys/").is_some_and(|id| !id.is_empty());
    parts.filter(below).map(str::to_owned).collect()
}

pub(crate) async fn add(browser: &mut Browser<'_>, passkey: &mut Authenticator) {
    let options = browser.options("/security/passkeys/new").await;
    let reply = browser.post("/security/passkeys", &[("answer", &passkey.make(&options))]).await;
    assert_eq!((reply.status, reply.location.as_str()), (303, "/security/passkeys"), "{}", reply.refusal());
}

#[tokio::test]
async fn a_passkey_is_added_and_signs_in_without_anything_typed() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let mut passkey = Authenticator::new(1, &house.origin);
    let options = phone.options("/security/passkeys/new").await;
    assert_eq!(options["rp"]["id"], "wallet.test");
    assert!(!options.to_string().contains(PHONE), "{options}");
    add(&mut phone, &mut passkey).await;
    let list = phone.get("/security/passkeys").await.text;
    assert_eq!(paths_in(&list).len(), 1, "{list}");

    let mut elsewhere = house.browser();
    let options = elsewhere.options("/login/passkey").await;
    assert_eq!(options["allowCredentials"], serde_json::json!([]), "nobody learns whose passkeys there are");
    let answer = passkey.answer(&options);
    let there = elsewhere.post("/login/passkey", &[("answer", &answer), ("next", "/cards")]).await;
    assert_eq!((there.status, there.location.as_str()), (303, "/cards"), "{}", there.refusal());
    assert!(elsewhere.is_signed_in().await);
    let set = elsewhere.post("/security/password", &[("password", PASSWORD)]).await;
    assert_eq!(set.location, "/security", "it proves who it is as well");
}

#[tokio::test]
async fn an_answer_is_good_once_in_time_for_its_purpose_and_from_our_own_pages() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let mut passkey = Authenticator::new(1, &house.origin);
    add(&mut phone, &mut passkey).await;
    let mut stranger = house.browser();
    let refusal = async |browser: &mut Browser<'_>, path: &str, answer: &str| {
        browser.post(path, &[("answer", answer)]).await.refusal()
    };

    let options = stranger.options("/login/passkey").await;
    let answer = passkey.answer(&options);
    assert_eq!(refusal(&mut stranger, "/login/passkey", &answer).await, "");
    assert_eq!(refusal(&mut stranger, "/login/passkey", &answer).await, "PASSKEY_REFUSED", "once");
    let later = passkey.answer(&options);
    assert_eq!(
        refusal(&mut stranger, "/login/passkey", &later).await,
        "PASSKEY_REFUSED",
        "each challenge once"
    );

    let options = stranger.options("/login/passkey").await;
    let for_signing_in = passkey.answer(&options);
    assert_eq!(refusal(&mut phone, "/security/proof/passkey", &for_signing_in).await, "PASSKEY_REFUSED");
    let options = phone.options("/security/proof/passkey").await;
    let for_proof = passkey.answer(&options);
    assert_eq!(refusal(&mut stranger, "/login/passkey", &for_proof).await, "PASSKEY_REFUSED");

    let options = stranger.options("/login/passkey").await;
    house.clock.advance(5 * MINUTE);
    let late = passkey.answer(&options);
    assert_eq!(refusal(&mut stranger, "/login/passkey", &late).await, "PASSKEY_REFUSED", "too late");

    let options = stranger.options("/login/passkey").await;
    passkey.origin = "http://wallet-test.example".to_owned();
    let phished = passkey.answer(&options);
    assert_eq!(
        refusal(&mut stranger, "/login/passkey", &phished).await,
        "PASSKEY_REFUSED",
        "another site's page"
    );
    let mut unknown = Authenticator::new(2, &house.origin);
    let options = stranger.options("/login/passkey").await;
    assert_eq!(refusal(&mut stranger, "/login/passkey", &unknown.answer(&options)).await, "PASSKEY_UNKNOWN");
    let mut forged = Authenticator::new(1, &house.origin);
    let options = stranger.options("/login/passkey").await;
    assert_eq!(refusal(&mut stranger, "/login/passkey", &forged.answer(&options)).await, "PASSKEY_REFUSED");
    for nonsense in ["", "{}", "[]", "null", &"x".repeat(9_000)] {
        assert_eq!(refusal(&mut stranger, "/login/passkey", nonsense).await, "PASSKEY_REFUSED");
    }
}

#[tokio::test]
async fn a_passkey_proves_for_its_own_session_and_is_removed_by_its_holder() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let mut passkey = Authenticator::new(1, &house.origin);
    add(&mut phone, &mut passkey).await;
    house.later();
    let mut other = house.signed_in("13912340002").await;
    let options = other.options("/security/proof/passkey").await;
    let refused = other.post("/security/proof/passkey", &[("answer", &passkey.answer(&options))]).await;
    assert_eq!(refused.refusal(), "PASSKEY_UNKNOWN", "another's passkey");

    let options = phone.options("/security/proof/passkey").await;
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    let fields = [("answer", passkey.answer(&options)), ("next", "/security/password".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(phone.post("/security/proof/passkey", &fields).await.location, "/security/password");

    let page = paths_in(&phone.get("/security/passkeys").await.text).pop().unwrap();
    assert_eq!(phone.get(&page).await.status, 200);
    assert_eq!(other.get(&page).await.status, 404, "another is shown nothing");
    let path = format!("{page}/remove");
    other.post(&path, &[]).await;
    assert_eq!(phone.get(&page).await.status, 200, "another removes nothing");
    assert_eq!(phone.post(&path, &[]).await.location, "/security/passkeys");
    assert!(paths_in(&phone.get("/security/passkeys").await.text).is_empty());
    let options = house.browser().options("/login/passkey").await;
    let gone = house.browser().post("/login/passkey", &[("answer", &passkey.answer(&options))]).await;
    assert_eq!(gone.refusal(), "PASSKEY_UNKNOWN");
}
