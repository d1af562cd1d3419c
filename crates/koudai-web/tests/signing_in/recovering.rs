//! Getting back what was lost, another phone number, and freezing an account, as pages and as JSON.

use koudai_core::rows::{Card, CodePurpose, Message, Person};
use koudai_core::sign_in::freeze_word;
use koudai_core::time::DAY;
use koudai_store::Reader;
use serde_json::json;

use crate::house::{Browser, House, PASSWORD, PHONE};
use crate::rig;

const CARD: &str = "6216261000000000018";
const EMAIL: &str = "anna@mail.example";
const NEW_PHONE: &str = "13912340002";
const NEW_PASSWORD: &str = "otter-lantern-4-maple";

async fn rows<R: koudai_core::column::Row>(house: &House) -> Vec<R> {
    house.rig.app.engine.read(Reader::all::<R>).await.unwrap()
}

/// Somebody with a log-in password and a card that is not new.
async fn holder(house: &House) -> Browser<'_> {
    let mut phone = house.signed_in(PHONE).await;
    let set = phone.post("/security/password", &[("password", PASSWORD)]).await;
    assert_eq!(set.status, 303, "{}", set.refusal());
    house.bind_number(house.person(PHONE).await, CARD).await;
    house.clock.advance(DAY);
    phone
}

/// What the newest message to a contact freezes the account by.
async fn word_sent(house: &House, to: &str) -> String {
    let mut messages: Vec<Message> = rows(house).await;
    messages.retain(|message| message.contact.text() == to && message.about.is_some());
    let newest = messages.into_iter().max_by_key(|message| message.id).unwrap();
    freeze_word(house.rig.app.engine.keys(), &newest.contact, &newest.nonce).expose().clone()
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_everybody_is_signed_out() {
    let house = House::start().await;
    let mut owner = holder(&house).await;
    assert!(owner.is_signed_in().await);
    let mut other = house.browser();
    let page = other.get("/recover").await.text;
    for way in ["/recover/password", "/recover/phone", "/payment-password/forgot", "/freeze"] {
        assert!(page.contains(&format!("href=\"{way}\"")), "{way}");
    }
    let sent = other.post("/recover/password/code", &[("phone", PHONE)]).await;
    assert_eq!((sent.status, sent.location.as_str()), (303, "/recover/password"));
    let code = house.code(PHONE, CodePurpose::Recovery).await;
    let wrong = other.post("/recover/password", &[("phone", PHONE), ("code", "000000")]).await;
    assert_eq!(wrong.refusal(), "CODE_WRONG");
    let begun = other.post("/recover/password", &[("phone", PHONE), ("code", &code)]).await;
    assert_eq!(begun.location, "/recover/proof", "{}", begun.refusal());
    assert!(!other.is_signed_in().await, "nothing of it is a session");
    let early = other.get("/recover/password/new").await;
    assert_eq!(early.refusal(), "RECOVERY_OVER");
    for (number, refusal) in [("6226388000000095", "CARD_NUMBER_NOT_YOURS"), ("123", "CARD_NUMBER_INVALID")] {
        let reply = other.post("/recover/proof", &[("by", "card"), ("number", number)]).await;
        assert_eq!(reply.refusal(), refusal);
        assert!(!reply.text.contains(number), "a card's number is not written back");
    }
    let proved = other.post("/recover/proof", &[("by", "card"), ("number", CARD)]).await;
    assert_eq!(proved.location, "/recover/password/new", "{}", proved.refusal());
    let common = other.post("/recover/password/new", &[("password", "password1")]).await;
    assert_eq!(common.refusal(), "LOGIN_PASSWORD_COMMON");
    let done = other.post("/recover/password/new", &[("password", NEW_PASSWORD)]).await;
    assert_eq!(done.location, "/recover/done?of=login_password", "{}", done.refusal());
    assert!(!other.is_signed_in().await && !owner.is_signed_in().await);
    assert_eq!(other.get("/recover/proof").await.refusal(), "RECOVERY_OVER");
    other.sign_in_by_code(PHONE).await;
    assert!(other.get("/").await.text.contains("data-protected"));
    house.clock.advance(3 * DAY);
    assert!(!other.get("/").await.text.contains("data-protected"));
}

#[tokio::test]
async fn a_program_gets_a_password_back_and_is_told_what_it_takes() {
    let house = House::start().await;
    holder(&house).await;
    let mut program = house.browser();
    let asked = program.post_json("/recover/password/code", &[("phone", PHONE)]).await.json();
    let request = asked["request"].as_str().unwrap().to_owned();
    let code = house.code(PHONE, CodePurpose::Recovery).await;
    program.cookies.clear();
    let fields = [("phone", PHONE), ("code", code.as_str()), ("request", request.as_str())];
    let begun = program.post_json("/recover/password", &fields).await.json();
    assert_eq!(begun["needs_one_of"], json!(["card"]));
    let recovery = begun["recovery"].as_str().unwrap().to_owned();
    let fields = [("recovery", recovery.as_str()), ("by", "card"), ("number", CARD)];
    assert_eq!(program.post_json("/recover/proof", &fields).await.status, 200);
    let fields = [("recovery", recovery.as_str()), ("password", NEW_PASSWORD)];
    let done = program.post_json("/recover/password/new", &fields).await;
    assert_eq!(done.status, 200, "{}", done.refusal());
    assert_eq!(done.json()["protected_until_ms"], json!(house.clock.now().plus(DAY).0));
}

#[tokio::test]
async fn a_phone_is_changed_by_who_proved_it_and_by_the_staff_where_nothing_else_does() {
    let house = House::start().await;
    let mut owner = holder(&house).await;
    let late = owner.get("/security/phone").await;
    assert_eq!(late.location, "/security/proof?next=/security/phone");
    let mut stranger = house.browser();
    for (account, password) in [(PHONE, "not-the-password"), (NEW_PHONE, PASSWORD), ("nonsense", PASSWORD)] {
        let reply = stranger.post("/recover/phone", &[("account", account), ("password", password)]).await;
        assert_eq!((reply.status, reply.refusal().as_str()), (401, "SIGN_IN_WRONG"));
    }
    let staff = stranger.post("/recover/phone", &[("account", PHONE), ("password", PASSWORD)]).await;
    assert_eq!((staff.status, staff.refusal().as_str()), (403, "RECOVERY_TAKES_STAFF"));

    owner.post("/security/proof/code", &[]).await;
    let code = house.code(PHONE, CodePurpose::Proof).await;
    owner.post("/security/proof", &[("code", &code)]).await;
    let sent = owner.post("/security/phone/code", &[("phone", NEW_PHONE)]).await;
    assert_eq!(sent.location, "/security/phone", "{}", sent.refusal());
    assert!(owner.get("/security/phone").await.text.contains(NEW_PHONE));
    let code = house.code(NEW_PHONE, CodePurpose::NewPhone).await;
    let set = owner.post("/security/phone", &[("phone", NEW_PHONE), ("code", &code)]).await;
    assert_eq!(set.location, "/security", "{}", set.refusal());
    assert!(owner.is_signed_in().await, "the session it was done in goes on");
    let people: Vec<Person> = rows(&house).await;
    assert_eq!(people[0].phone.digits(), NEW_PHONE);
}

#[tokio::test]
async fn a_link_that_is_opened_freezes_nothing_and_its_button_does_once() {
    let house = House::start().await;
    let mut owner = house.signed_in(PHONE).await;
    house.give_email(&owner, EMAIL).await;
    owner.post("/security/password", &[("password", PASSWORD)]).await;
    let word = word_sent(&house, EMAIL).await;
    let path = format!("/freeze/{word}");
    let mut mail_reader = house.browser();
    for _ in 0..3 {
        let page = mail_reader.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(&format!("action=\"{path}\"")));
    }
    assert!(owner.is_signed_in().await);
    let elsewhere = mail_reader.post_from(&path, ("sec-fetch-site", "cross-site")).await;
    assert_eq!(elsewhere.refusal(), "FOREIGN_ORIGIN");
    let frozen = mail_reader.post(&path, &[]).await;
    assert!(frozen.text.contains("data-state=\"frozen\""), "{}", frozen.refusal());
    assert!(!owner.is_signed_in().await);
    assert_eq!(mail_reader.post(&path, &[]).await.refusal(), "FREEZE_WORD_WRONG");
    for nonsense in ["/freeze/a-b", &format!("/freeze/{}", "A".repeat(65))] {
        assert_eq!(mail_reader.get(nonsense).await.refusal(), "FREEZE_WORD_WRONG", "{nonsense}");
    }
    // The code in the short message is another, and is of use with its number only.
    let word = word_sent(&house, PHONE).await;
    let by_code = async |browser: &mut Browser<'_>, phone: &str| {
        browser.post("/freeze", &[("phone", phone), ("code", &word)]).await
    };
    assert_eq!(by_code(&mut mail_reader, NEW_PHONE).await.refusal(), "FREEZE_WORD_WRONG");
    assert!(by_code(&mut mail_reader, PHONE).await.text.contains("data-state=\"frozen\""));
    // Whoever signs in again does nothing with it.
    house.later();
    owner.sign_in_by_code(PHONE).await;
    let refused = owner.post("/security/password", &[("password", NEW_PASSWORD)]).await;
    assert_eq!(refused.refusal(), "ACCOUNT_FROZEN");
}

#[tokio::test]
async fn a_payment_beyond_what_a_cool_down_allows_says_how_much_and_until_when() {
    let house = House::start().await;
    let mut owner = holder(&house).await;
    let person = house.person(PHONE).await;
    let card = rows::<Card>(&house).await[0].id;
    house.rig.top_up(person, card, 100_000).await;
    let shop = house.rig.shop().await;
    owner.sign_out().await;
    let mut phone = house.browser();
    phone.sign_in_by_code(PHONE).await;
    let page = house.order(&shop, "COOL-0001", 50_001).await;
    let reply = phone.post(&page, &[("method", "balance"), ("payment_password", rig::PIN)]).await;
    assert_eq!((reply.status, reply.refusal().as_str()), (422, "COOL_SPENDING_REACHED"));
    assert!(reply.text.contains("500.00"), "{}", reply.text);
    let page = house.order(&shop, "COOL-0002", 50_000).await;
    let reply = phone.post(&page, &[("method", "balance"), ("payment_password", rig::PIN)]).await;
    assert_eq!(reply.status, 303, "{}", reply.refusal());
}
