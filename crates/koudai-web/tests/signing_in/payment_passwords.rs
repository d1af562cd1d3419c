//! The payment password over HTTP: set, changed, forgotten, and the way back that is shown when it is locked.

use koudai_core::rows::CodePurpose;
use koudai_core::secret::Secret;
use koudai_core::time::DAY;

use crate::house::{Browser, House, PHONE};
use crate::rig::PIN;

const NEW: &str = "864297";

async fn set(browser: &mut Browser<'_>, path: &str, pin: &str) -> (String, String) {
    let fields = [("payment_password", pin), ("payment_password_again", pin)];
    let reply = browser.post(path, &fields).await;
    (reply.refusal(), reply.location)
}

#[tokio::test]
async fn it_is_changed_with_the_present_one_after_a_fresh_proof() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    assert_eq!(phone.get("/payment-password").await.location, "/payment-password/change");
    assert_eq!(phone.get("/payment-password/new").await.refusal(), "RENEWAL_EXPIRED");
    let old = phone.post("/payment-password/change", &[("payment_password", "864209")]).await;
    assert_eq!(old.refusal(), "PAYMENT_PASSWORD_WRONG");
    let old = phone.post("/payment-password/change", &[("payment_password", PIN)]).await;
    assert_eq!(old.location, "/payment-password/new");
    for (weak, why) in [
        ("123456", "PAYMENT_PASSWORD_WEAK"),
        ("198512", "PAYMENT_PASSWORD_WEAK"),
        (PIN, "PAYMENT_PASSWORD_REUSED"),
        ("12345", "PAYMENT_PASSWORD_MALFORMED"),
    ] {
        assert_eq!(set(&mut phone, "/payment-password/new", weak).await.0, why, "{weak}");
    }
    assert_eq!(set(&mut phone, "/payment-password/new", NEW).await, (String::new(), "/security".to_owned()));
    assert_eq!(set(&mut phone, "/payment-password/new", "597531").await.0, "RENEWAL_EXPIRED");

    house.later();
    let unproven = phone.post("/payment-password/change", &[("payment_password", NEW)]).await;
    assert_eq!(unproven.location, "/security/proof?next=/payment-password/change");
    let mut newcomer = house.browser();
    newcomer.sign_in_by_code("13912340002").await;
    house.later();
    let unproven = newcomer.post("/payment-password", &[("payment_password", PIN)]).await;
    assert_eq!(unproven.location, "/security/proof?next=/payment-password", "somebody found it open");
}

#[tokio::test]
async fn it_may_not_end_like_a_card_of_its_holders() {
    let house = House::start().await;
    let mut phone = house.browser();
    phone.sign_in_by_code(PHONE).await;
    house.rig.bind(house.person(PHONE).await).await;
    assert_eq!(set(&mut phone, "/payment-password", "870000").await.0, "PAYMENT_PASSWORD_WEAK");
    assert_eq!(set(&mut phone, "/payment-password", "870009").await, (String::new(), "/".to_owned()));
}

#[tokio::test]
async fn a_locked_one_shows_the_way_back_which_leads_to_a_new_one() {
    let house = House::start().await;
    let mut phone = house.signed_in(PHONE).await;
    let person = house.person(PHONE).await;
    let forgot = "/payment-password/forgot";
    assert!(phone.get(forgot).await.text.contains("/status"), "without a card staff have to help");
    let number = Secret::new("6216261000000000018".to_owned());
    house.bind_number(person, number.expose()).await;
    house.clock.advance(DAY);
    for _ in 0..5 {
        phone.post("/code/on", &[("payment_password", "864209")]).await;
    }
    let locked = phone.post("/code/on", &[("payment_password", PIN)]).await;
    assert_eq!(locked.refusal(), "PAYMENT_PASSWORD_LOCKED");
    assert!(locked.text.contains(&format!("href=\"{forgot}\"")), "{}", locked.text);
    let told = phone.post_json("/code/on", &[("payment_password", PIN)]).await.json();
    assert_eq!(told["way_out"]["path"], forgot);

    assert_eq!(phone.post("/payment-password/forgot/code", &[]).await.location, forgot);
    let code = house.code(PHONE, CodePurpose::PaymentPassword).await;
    let page = phone.get(forgot).await.text;
    assert!(page.contains("name=\"number\"") && !page.contains(number.expose()), "{page}");
    let by = async |phone: &mut Browser<'_>, code: &str, number: &str| {
        let reply = phone.post(forgot, &[("code", code), ("number", number)]).await;
        (reply.refusal(), reply.location)
    };
    assert_eq!(by(&mut phone, &code, "6226388000000095").await.0, "CARD_NUMBER_NOT_YOURS");
    assert_eq!(by(&mut phone, &code, "1234").await.0, "CARD_NUMBER_INVALID");
    assert_eq!(by(&mut phone, "000000", number.expose()).await.0, "CODE_WRONG");
    let spaced = "6216 2610 0000 0000 018";
    assert_eq!(by(&mut phone, &code, spaced).await, (String::new(), "/payment-password/new".to_owned()));
    assert_eq!(set(&mut phone, "/payment-password/new", NEW).await, (String::new(), "/security".to_owned()));
    assert_eq!(phone.post("/code/on", &[("payment_password", NEW)]).await.location, "/code");
}
