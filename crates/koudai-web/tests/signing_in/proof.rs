//! Proving who one is before what guards an account changes.

use koudai_core::rows::CodePurpose;

use crate::house::{House, PASSWORD, PHONE};

#[tokio::test]
async fn a_session_that_somebody_finds_open_changes_nothing_that_guards_the_account() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    house.later();
    let there = phone.get("/security/password").await;
    assert_eq!((there.status, there.location.as_str()), (303, "/security/proof?next=/security/password"));
    let set = phone.post("/security/password", &[("password", PASSWORD)]).await;
    assert_eq!((set.status, set.location.as_str()), (303, "/security/proof?next=/security/password"));

    let page = phone.get("/security/proof?next=/security/password").await;
    assert!(page.text.contains("139****0001") && !page.text.contains(PHONE), "{}", page.text);
    let sent = phone.post("/security/proof/code", &[("next", "/security/password")]).await;
    assert_eq!(sent.location, "/security/proof?next=/security/password");
    let page = phone.get(&sent.location).await;
    assert!(page.text.contains("name=\"code\""), "{}", page.text);
    let code = house.code(PHONE, CodePurpose::Proof).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refused = phone.post("/security/proof", &[("code", wrong), ("next", "/security/password")]).await;
    assert_eq!((refused.status, refused.refusal().as_str()), (403, "CODE_WRONG"));
    let proven = phone.post("/security/proof", &[("code", &code), ("next", "/security/password")]).await;
    assert_eq!((proven.status, proven.location.as_str()), (303, "/security/password"));
    assert_eq!(phone.post("/security/password", &[("password", PASSWORD)]).await.location, "/security");
}

#[tokio::test]
async fn a_code_asked_for_in_one_session_proves_nothing_in_another() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    house.later();
    let mut stolen = house.signed_in(PHONE).await;
    house.later();
    phone.post("/security/proof/code", &[]).await;
    let code = house.code(PHONE, CodePurpose::Proof).await;
    assert_eq!(stolen.post("/security/proof", &[("code", &code)]).await.refusal(), "CODE_EXPIRED");
    assert_eq!(phone.post("/security/proof", &[("code", &code)]).await.location, "/security");
}

#[tokio::test]
async fn the_way_on_is_one_of_ours() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    house.later();
    for next in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"] {
        let sent = phone.post("/security/proof/code", &[("next", next)]).await;
        assert!(!sent.location.contains("evil"), "{}", sent.location);
        let page = phone.get(&format!("/security/proof?next={next}")).await;
        assert!(page.text.contains("name=\"next\" value=\"/security\""), "{next}: {}", page.text);
        house.later();
    }
}

#[tokio::test]
async fn nobody_who_is_not_signed_in_sees_or_changes_what_guards_an_account() {
    let house = House::start().await;
    let mut stranger = house.browser();
    for path in ["/security", "/security/proof", "/security/password", "/security/passkeys"] {
        let reply = stranger.get(path).await;
        assert_eq!((reply.status, reply.location), (303, format!("/login?next={path}")), "{path}");
    }
    for path in [
        "/security/proof",
        "/security/proof/code",
        "/security/proof/passkey",
        "/security/password",
        "/security/password/remove",
        "/security/email/remove",
        "/security/passkeys",
        "/security/passkeys/AAAA/remove",
    ] {
        // Whoever signs in then lands on the page that has the form, and not where the form goes.
        stranger.page = Some("/security/password?from=home&x=1".to_owned());
        let reply = stranger.post(path, &[]).await;
        let to = "/login?next=/security/password?from=home%26x=1";
        assert_eq!((reply.status, reply.location.as_str()), (303, to), "{path}");
        for elsewhere in ["//evil.example/", "@evil.example/", ".evil.example/security"] {
            stranger.page = Some(elsewhere.to_owned());
            let reply = stranger.post(path, &[]).await;
            assert_eq!(reply.location, format!("/login?next={path}"), "{elsewhere}");
        }
    }
}

#[tokio::test]
async fn an_address_that_only_forms_go_to_leads_to_the_page_above_it() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    for (path, page) in [
        ("/security/two-steps/app/confirm", "/security/two-steps/app"),
        ("/security/passkeys/AAAA/pay", "/security/passkeys/AAAA"),
        ("/payment-password/forgot/code", "/payment-password/forgot"),
        ("/login/password", "/login"),
        ("/logout", "/"),
    ] {
        let opened = phone.get(path).await;
        assert_eq!((opened.status, opened.location.as_str()), (303, page), "{path}");
    }
    assert_eq!(phone.post("/records", &[]).await.status, 405);
}

#[tokio::test]
async fn whoever_proves_who_they_are_goes_on_where_they_were_going() {
    let house = House::start().await;
    let mut phone = house.browser();
    phone.sign_in_by_code(PHONE).await;
    house.later();
    let asked = phone.get("/payment-password?next=/pay/AAAA").await;
    assert_eq!(asked.location, "/security/proof?next=/payment-password?next=/pay/AAAA");
    // There is no second step: the first page is the one.
    let second = phone.get("/security/proof/second?next=/cards").await;
    assert_eq!(second.location, "/security/proof?next=/cards");
}
