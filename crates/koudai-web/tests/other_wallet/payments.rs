//! Paying, topping up, withdrawing and linking at another wallet, for those with a wallet here.

use koudai_core::ledger::{AccountId, WECHAT_NETWORK};
use koudai_core::time::Timestamp;
use koudai_networks::network::Scene;

use crate::lantern::{COMPUTER, Fixture, INSIDE, INSIDE_ANOTHER, PHONE, State};
use crate::rig::{self, OpenSession, refund, until};

#[tokio::test]
async fn an_order_is_paid_by_a_code_scanned_with_the_other_wallet_and_refunded_to_it() {
    let f = Fixture::new().await;
    let (_, page) = f.order("lantern-1").await;
    let shown = f.get(&page, COMPUTER, false, "").await;
    assert!(shown.text.contains("wallet:1002") && shown.text.contains("Lantern"), "{}", shown.text);

    let paying = f.pay(&page, COMPUTER, "").await.json();
    assert_eq!((&paying["state"], &paying["way"]["kind"]), (&"pending".into(), &"scan".into()));
    let number = paying["way"]["id"].as_str().unwrap();
    assert_eq!(paying["way"]["code"], format!("lantern://pay/{number}"));
    assert_eq!(f.asked(number).scene, Some(Scene::Computer));
    let page_text = f.get(&page, COMPUTER, false, "").await.text;
    assert!(
        page_text.contains("data-way=\"scan\"") && page_text.contains("Finish paying in Lantern"),
        "{page_text}"
    );
    assert_eq!(f.balance().await, 5_000, "nothing is taken here");

    f.agree(number).await;
    let paid = f.settled(&page).await;
    assert_eq!((&paid["state"], &paid["paid_by_you"]), (&"paid".into(), &true.into()));
    let clearing = AccountId::clearing(WECHAT_NETWORK);
    assert_eq!(f.rig.standing(clearing).await, -1_200, "it owes what it took");
    let receipt = f.get(&page, COMPUTER, false, "").await.text;
    assert!(receipt.contains("<dd>Lantern</dd>"), "{receipt}");

    let client = f.rig.client(&f.shop, false);
    client.refund(&refund("lantern-1", "lantern-1-back", 500, 1_200)).await.unwrap();
    until(async || (f.rig.standing(clearing).await == -700).then_some(())).await;
    assert_eq!(f.balance().await, 5_000, "it went back where it came from");

    let records = f.get("/records", COMPUTER, true, "").await.json()["records"].clone();
    for kind in ["payment", "refund"] {
        let record = records.as_array().unwrap().iter().find(|record| record["kind"] == kind).unwrap();
        let id = record["id"].as_str().unwrap();
        let page = f.get(&format!("/records/{id}"), COMPUTER, false, "").await.text;
        assert!(page.contains("Sent on") && page.contains("<dt>Reference</dt>"), "{page}");
        assert!(!page.to_lowercase().contains("the bank"), "no bank has anything to do with it: {page}");
    }
}

#[tokio::test]
async fn who_gives_up_pays_another_way_and_nothing_can_be_paid_there_any_more() {
    let f = Fixture::new().await;
    let (_, page) = f.order("given-up").await;
    let number = f.pay(&page, COMPUTER, "").await.json()["way"]["id"].as_str().unwrap().to_owned();
    let given_up = f.post(&format!("/elsewhere/{number}/give-up"), &[], COMPUTER, "").await;
    assert_eq!((given_up.status, &given_up.json()["page"]), (200, &page.as_str().into()));
    let now = f.settled(&page).await;
    assert_eq!((&now["state"], &now["refusal"]["code"]), (&"payable".into(), &"NOT_COMPLETED".into()));
    assert_eq!(f.asked(&number).state, State::Closed);

    let form = [("method", "balance"), ("payment_password", rig::PIN)];
    assert_eq!(f.post(&page, &form, COMPUTER, "").await.json()["state"], "paid");
    assert_eq!(f.balance().await, 3_800);
}

#[tokio::test]
async fn what_was_paid_before_it_was_given_up_is_paid() {
    let f = Fixture::new().await;
    let (_, page) = f.order("too-late").await;
    let number = f.pay(&page, COMPUTER, "").await.json()["way"]["id"].as_str().unwrap().to_owned();
    f.book.lock().unwrap().get_mut(&number).unwrap().state = State::Done;
    f.post(&format!("/elsewhere/{number}/give-up"), &[], COMPUTER, "").await;
    assert_eq!(f.settled(&page).await["state"], "paid");
}

#[tokio::test]
async fn somebody_elses_payment_is_not_given_up() {
    let f = Fixture::new().await;
    let (_, page) = f.order("not-yours").await;
    let number = f.pay(&page, COMPUTER, "").await.json()["way"]["id"].as_str().unwrap().to_owned();
    let other = f.rig.newcomer().await;
    f.rig.app.engine.submit(OpenSession(other, "other")).await.unwrap();
    let request = f
        .browser
        .http
        .post(format!("{}/elsewhere/{number}/give-up", f.browser.url))
        .header("accept", "application/json");
    let request = request.header("authorization", "Bearer other").body("");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 404);
    let request = f
        .browser
        .http
        .get(format!("{}/elsewhere/{number}", f.browser.url))
        .header("authorization", "Bearer other");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 404);
    assert_eq!(f.asked(&number).state, State::Waiting);
}

#[tokio::test]
async fn a_phones_browser_is_sent_to_the_app_and_brought_back_to_its_page() {
    let f = Fixture::new().await;
    let form = [
        ("attempt_id", "top-up-by-lantern"),
        ("card_id", "wallet:1002"),
        ("amount", "30.00"),
        ("payment_password", rig::PIN),
    ];
    let asked = f.post("/top-up", &form, PHONE, "").await.json();
    assert_eq!((&asked["state"], &asked["way"]["kind"]), (&"pending".into(), &"visit".into()));
    let number = asked["way"]["id"].as_str().unwrap().to_owned();
    assert!(matches!(f.asked(&number).scene, Some(Scene::Phone(address)) if address.is_loopback()));
    let again = f.post("/top-up", &form, PHONE, "").await.json();
    assert_eq!(again["way"]["id"], number.as_str(), "the same number is the same top-up");

    f.book.lock().unwrap().get_mut(&number).unwrap().state = State::Done;
    let back = f.get(&format!("/elsewhere/{number}"), PHONE, false, "").await;
    assert_eq!((back.status, back.location.as_str()), (303, "/top-up/top-up-by-lantern"));
    f.tell(&number).await;
    assert_eq!(f.settled("/top-up/top-up-by-lantern").await["state"], "succeeded");
    assert_eq!(f.balance().await, 8_000);
    let page = f.get("/top-up/top-up-by-lantern", PHONE, false, "").await.text;
    assert!(page.contains("<dd>Lantern</dd>"), "{page}");
}

#[tokio::test]
async fn inside_the_app_it_is_asked_first_who_the_person_is_there() {
    let f = Fixture::new().await;
    let (_, page) = f.order("inside-1").await;
    let asked = f.pay(&page, INSIDE, "").await;
    assert_eq!((asked.status, &asked.json()["code"]), (403, &"WALLET_ASKS_WHO".into()));

    let off = f.get(&page, INSIDE, false, "").await;
    assert_eq!((off.status, off.location.clone()), (303, format!("/elsewhere/1002/who?next={page}")));
    let there = f.get(&off.location, INSIDE, false, "").await;
    assert_eq!(there.status, 303);
    assert!(there.location.starts_with("https://lantern.example/who?back=http"), "{}", there.location);
    let state = there.location.rsplit_once("state=").unwrap().1.to_owned();
    let errand = there.given();
    let back = |code: &str, state: &str| format!("/elsewhere/1002/back?code={code}&state={state}");

    // Without the browser that went, or with another state, nobody comes back.
    for (path, cookies) in [
        (back("good", &state), ""),
        (back("good", &"0".repeat(32)), errand.as_str()),
        ("/elsewhere/1002/back?code=good".to_owned(), errand.as_str()),
        (back("good", &state).replace("1002", "77"), errand.as_str()),
    ] {
        let refused = f.get(&path, INSIDE, false, cookies).await;
        assert!(refused.status >= 400 && refused.given().is_empty(), "{path}: {}", refused.status);
    }
    let home = f.get(&back("good", &state), INSIDE, false, &errand).await;
    assert_eq!((home.status, home.location.as_str()), (303, page.as_str()));
    let known = home.given();
    assert!(!known.contains("li-ming"), "it is sealed");
    assert_eq!(f.get(&page, INSIDE, false, &known).await.status, 200);
    let paying = f.pay(&page, INSIDE, &known).await.json();
    assert_eq!(paying["way"]["kind"], "call-up");
    let number = paying["way"]["id"].as_str().unwrap();
    assert_eq!(
        (f.asked(number).scene, f.asked(number).token.as_str()),
        (Some(Scene::Inside), "li-ming-at-lantern")
    );
    f.agree(number).await;
    assert_eq!(f.settled(&page).await["state"], "paid");
}

#[tokio::test]
async fn who_does_not_say_pays_another_way_and_is_not_sent_off_again_at_once() {
    let f = Fixture::new().await;
    let (_, page) = f.order("silent-1").await;
    let there = f.get(&format!("/elsewhere/1002/who?next={page}"), INSIDE, false, "").await;
    let state = there.location.rsplit_once("state=").unwrap().1.to_owned();
    let path = format!("/elsewhere/1002/back?code=bad&state={state}");
    let home = f.get(&path, INSIDE, false, &there.given()).await;
    assert_eq!(home.location, page);
    let shown = f.get(&page, INSIDE, false, &home.given()).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("It did not say who you are"), "{}", shown.text);
    let refused = f.pay(&page, INSIDE, &home.given()).await;
    assert_eq!(refused.json()["code"], "WALLET_DID_NOT_SAY");
}

#[tokio::test]
async fn inside_another_wallets_app_it_is_greyed_out_with_the_reason() {
    let f = Fixture::new().await;
    let (_, page) = f.order("torches").await;
    let methods = f.get(&page, INSIDE_ANOTHER, true, "").await.json()["methods"].clone();
    let of =
        |method: &str| methods.as_array().unwrap().iter().find(|m| m["method"] == method).unwrap().clone();
    assert_eq!((&of("wallet:1002")["usable"], &of("wallet:77")["usable"]), (&false.into(), &true.into()));
    assert_eq!(of("wallet:1002")["why"], "Not available here");
    assert_eq!(f.pay(&page, INSIDE_ANOTHER, "").await.json()["code"], "WALLET_NOT_HERE");
}

#[tokio::test]
async fn what_was_paid_by_last_is_chosen_next_time() {
    let f = Fixture::new().await;
    let (_, page) = f.order("habit-1").await;
    let habit = f.pay(&page, COMPUTER, "").await.given();
    assert!(habit.contains("koudai_method=wallet:1002"), "{habit}");
    let (_, page) = f.order("habit-2").await;
    let shown = f.get(&page, COMPUTER, false, &habit).await.text;
    assert!(shown.contains("value=\"wallet:1002\" checked"), "{shown}");
    let shown = f.get(&page, INSIDE_ANOTHER, false, &habit).await.text;
    assert!(shown.contains("value=\"balance\" checked"), "what does not work here is not chosen: {shown}");
}

#[tokio::test]
async fn a_way_that_is_lost_is_opened_again_by_the_same_call() {
    let f = Fixture::new().await;
    let (_, page) = f.order("lost-way").await;
    let number = f.pay(&page, COMPUTER, "").await.json()["way"]["id"].as_str().unwrap().to_owned();
    f.invitations.end(&number, Timestamp(0));
    assert_eq!(f.get(&page, COMPUTER, true, "").await.json()["way"]["kind"], "opening");
    f.tell(&number).await;
    let way = until(async || {
        let way = f.get(&page, COMPUTER, true, "").await.json()["way"].clone();
        (way["kind"] == "scan").then_some(way)
    });
    assert_eq!(way.await["id"], number.as_str());
    assert_eq!(f.asked(&number).calls, 2);
}

#[tokio::test]
async fn money_is_withdrawn_to_an_account_that_was_linked_with_the_payment_password() {
    let f = Fixture::new().await;
    let withdraw = async |card: &str, number: &str| {
        let form = [("card_id", card), ("withdrawal_id", number), ("payment_password", rig::PIN)];
        let rest = [("amount", "10.00"), ("speed", "real_time")];
        f.post("/withdraw", &[&form[..], &rest].concat(), INSIDE, "").await
    };
    let there = "wallet:1002";
    assert_eq!(withdraw(there, "never-used").await.json()["code"], "CARD_UNKNOWN");
    let listed = async || {
        let cards = f.get("/cards", INSIDE, true, "").await.json();
        cards["wallets"].as_array().unwrap().iter().find(|one| one["card_id"] == there).unwrap().clone()
    };
    assert_eq!(listed().await["linked"], false);
    let wrong = f.post("/wallets/1002/link", &[("payment_password", "222333")], INSIDE, "").await;
    assert_eq!(wrong.json()["code"], "PAYMENT_PASSWORD_WRONG");
    let card = f.rig.app.engine.read({
        let person = f.person;
        move |r| r.cards_of(person)
    });
    let card = card.await.unwrap().into_iter().find(|c| c.network == WECHAT_NETWORK).unwrap().id.wire();
    assert_eq!(withdraw(&card, "not-linked-yet").await.json()["code"], "WALLET_NOT_LINKED");

    let off = f.post("/wallets/1002/link", &[("payment_password", rig::PIN)], INSIDE, "").await;
    let url = off.json()["go"].as_str().unwrap().to_owned();
    let state = url.rsplit_once("state=").unwrap().1;
    let path = format!("/elsewhere/1002/back?code=good&state={state}");
    let home = f.get(&path, INSIDE, false, &off.given()).await;
    assert_eq!((home.status, home.location.as_str()), (303, "/wallets/1002?linked=1"));
    assert!(f.get(&home.location, INSIDE, false, "").await.text.contains("data-state=\"linked\""));

    assert_eq!(listed().await["linked"], true);
    let sent = withdraw(there, "to-lantern-1").await.json();
    assert_eq!((&sent["state"], &sent["way"]["kind"]), (&"pending".into(), &"call-up".into()));
    assert_eq!(f.balance().await, 3_990, "with its fee");
    let number = sent["way"]["id"].as_str().unwrap();
    assert_eq!(f.asked(number).token, "li-ming-at-lantern");
    let elsewhere = f.get("/withdraw/to-lantern-1", COMPUTER, true, "").await.json();
    assert_eq!(elsewhere["way"]["kind"], "open-there", "it can be received there only");
    let unlink = f.post("/wallets/1002/unlink", &[("payment_password", rig::PIN)], INSIDE, "").await;
    assert_eq!(unlink.json()["code"], "CARD_AWAITS_MONEY");
    f.agree(number).await;
    assert_eq!(f.settled("/withdraw/to-lantern-1").await["state"], "succeeded");

    let sent = withdraw(&card, "to-lantern-2").await.json();
    let number = sent["way"]["id"].as_str().unwrap();
    f.post(&format!("/elsewhere/{number}/give-up"), &[], INSIDE, "").await;
    assert_eq!(f.settled("/withdraw/to-lantern-2").await["state"], "failed");
    assert_eq!(f.balance().await, 3_990, "what was not received is back");

    let unlinked = f.post("/wallets/1002/unlink", &[("payment_password", rig::PIN)], INSIDE, "").await;
    assert_eq!(unlinked.json()["linked"], false);
    assert_eq!(withdraw(&card, "to-lantern-3").await.json()["code"], "WALLET_NOT_LINKED");
}

#[tokio::test]
async fn what_one_has_elsewhere_is_no_card() {
    let f = Fixture::new().await;
    let (_, page) = f.order("no-card").await;
    f.pay(&page, COMPUTER, "").await;
    let card = f.rig.app.engine.read({
        let person = f.person;
        move |r| r.cards_of(person)
    });
    let card = card.await.unwrap().into_iter().find(|c| c.network == WECHAT_NETWORK).unwrap().id.wire();
    let cards = f.get("/cards", COMPUTER, true, "").await.json();
    assert!(cards["cards"].as_array().unwrap().iter().all(|c| c["card_id"] != card.as_str()));
    assert!(f.get("/cards", COMPUTER, false, "").await.text.contains("/wallets/1002"));
    let (_, other) = f.order("no-card-2").await;
    for method in [card.clone(), format!("both:100:{card}")] {
        let form = [("method", method.as_str()), ("payment_password", rig::PIN)];
        assert_eq!(f.post(&other, &form, COMPUTER, "").await.json()["code"], "CARD_UNKNOWN", "{method}");
    }
    let form = [("payment_password", rig::PIN)];
    assert_eq!(
        f.post(&format!("/cards/{card}/remove"), &form, COMPUTER, "").await.json()["code"],
        "CARD_UNKNOWN"
    );
    f.post("/code/on", &form, COMPUTER, "").await;
    let method = f.post("/code/method", &[("method", card.as_str())], COMPUTER, "").await;
    assert_eq!(method.json()["code"], "CARD_UNKNOWN");
}
