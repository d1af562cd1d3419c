//! Signing in by a password.

use koudai_core::rows::{CodePurpose, LoginPassword};
use koudai_core::time::MINUTE;

use crate::house::{House, PASSWORD, PHONE};

#[tokio::test]
async fn a_password_signs_in_on_the_device_it_was_used_on_and_asks_for_a_code_on_another() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let set = phone.post("/security/password", &[("password", PASSWORD)]).await;
    assert_eq!((set.status, set.location.as_str()), (303, "/security"));
    phone.sign_out().await;
    assert!(!phone.is_signed_in().await);
    let fields = [("account", PHONE), ("password", PASSWORD), ("next", "/records")];
    let there = phone.post("/login/password", &fields).await;
    assert_eq!((there.status, there.location.as_str()), (303, "/records"));
    assert!(phone.is_signed_in().await);

    house.clock.advance(MINUTE);
    let mut elsewhere = house.browser();
    let there = elsewhere.post("/login/password", &fields).await;
    assert_eq!((there.status, there.location.as_str()), (303, "/login/code?next=/records"));
    assert!(!elsewhere.is_signed_in().await, "a code is needed besides");
    let code = house.code(PHONE, CodePurpose::SignIn).await;
    let page = elsewhere.get("/login/code").await;
    assert!(page.text.contains("name=\"code\""), "{}", page.text);
    let fields = [("phone", PHONE), ("code", &code), ("agree", "yes")];
    assert_eq!(elsewhere.post("/login", &fields).await.location, "/");
    assert!(elsewhere.is_signed_in().await);
}

#[tokio::test]
async fn a_password_is_refused_alike_for_accounts_that_are_there_and_others() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    phone.post("/security/password", &[("password", PASSWORD)]).await;
    let mut answers = vec![];
    for account in [PHONE, "13912340002", "anna@mail.example", "nonsense", ""] {
        let mut stranger = house.browser();
        let reply = stranger.post("/login/password", &[("account", account), ("password", "wrong")]).await;
        let text = reply.text.replace(account, "");
        let reference = text.split("Ref.").nth(1).or(text.split("参考号").nth(1)).unwrap_or_default();
        let reference = reference.split('<').next().unwrap_or_default().to_owned();
        assert_eq!((reply.status, reply.refusal().as_str()), (401, "SIGN_IN_WRONG"), "{account}");
        answers.push(text.replace(&reference, ""));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_password_that_is_tried_first_is_not_taken() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    for (password, refusal) in [
        ("short", "LOGIN_PASSWORD_LENGTH"),
        ("password1", "LOGIN_PASSWORD_COMMON"),
        (PHONE, "LOGIN_PASSWORD_COMMON"),
    ] {
        let reply = phone.post("/security/password", &[("password", password)]).await;
        assert_eq!((reply.status, reply.refusal().as_str()), (422, refusal), "{password}");
        assert!(!reply.text.contains(&format!("value=\"{password}\"")), "it is not written back");
    }
    assert_eq!(phone.post("/security/password", &[("password", PASSWORD)]).await.status, 303);
    let unknown = phone.post("/security/password", &[("password", "otter-lantern-4-maple")]).await;
    assert_eq!((unknown.status, unknown.refusal().as_str()), (403, "LOGIN_PASSWORD_WRONG"));
    let both = [("old_password", PASSWORD), ("password", PASSWORD)];
    let again = phone.post("/security/password", &both).await;
    assert_eq!(again.refusal(), "LOGIN_PASSWORD_REUSED");
    let unknown = phone.post("/security/password/remove", &[]).await;
    assert_eq!(unknown.refusal(), "LOGIN_PASSWORD_WRONG");
    let removed = phone.post("/security/password/remove", &[("old_password", PASSWORD)]).await;
    assert_eq!(removed.location, "/security");
    phone.sign_out().await;
    let gone = phone.post("/login/password", &[("account", PHONE), ("password", PASSWORD)]).await;
    assert_eq!(gone.refusal(), "SIGN_IN_WRONG");
}

#[tokio::test]
async fn nothing_of_a_password_stands_in_the_database() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    phone.post("/security/password", &[("password", PASSWORD)]).await;
    let rows = house.rig.app.engine.read(koudai_store::Reader::all::<LoginPassword>).await.unwrap();
    let text = format!("{rows:?}");
    assert_eq!(rows.len(), 1);
    assert!(!text.contains("tulip") && !text.contains("quartz"), "{text}");
}
