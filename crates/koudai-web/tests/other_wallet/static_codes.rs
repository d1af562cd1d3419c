//! One printed code for all wallets: what each who scans it sees and may do.

use koudai_core::id::OrderId;
use koudai_core::ledger::{AccountId, WECHAT_NETWORK};
use koudai_core::rows::{Order, StaticCode};
use koudai_core::static_code::{CreateStaticCode, RevokeStaticCode};
use koudai_networks::network::Scene;
use koudai_networks::platform::{parse_token, token_text};
use serde_json::{Value, json};

use crate::lantern::{Browser, COMPUTER, Fixture, INSIDE, INSIDE_ANOTHER, PHONE};
use crate::rig::{self, Freeze, refund, until};

/// A printed code of the shop's, and its page.
async fn counter(f: &Fixture) -> (StaticCode, String) {
    let (mchid, label) = (f.shop.mchid, "1号窗口".to_owned());
    let code = f.rig.app.engine.submit(CreateStaticCode { mchid, label, notify_url: None }).await.unwrap();
    let page = format!("/s/{}", token_text(&code.token));
    (code, page)
}

fn said(amount: &str, number: &str) -> [(&'static str, String); 3] {
    [("amount", amount.to_owned()), ("number", number.to_owned()), ("note", "三号桌".to_owned())]
}

async fn place(
    browser: &Browser,
    page: &str,
    said: &[(&str, String)],
    agent: &str,
    cookies: &str,
) -> (u16, Value) {
    let form: Vec<_> = said.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let got = browser.post(page, &form, agent, cookies).await;
    (got.status, got.json())
}

/// The page of an order that comes of a code.
async fn placed(
    browser: &Browser,
    page: &str,
    amount: &str,
    number: &str,
    agent: &str,
    cookies: &str,
) -> String {
    let (status, made) = place(browser, page, &said(amount, number), agent, cookies).await;
    assert_eq!(status, 200, "{made}");
    made["pay"].as_str().unwrap().to_owned()
}

/// Goes where a page leads inside the app and comes back with this code; the cookies that say who it is there.
async fn introduced(browser: &Browser, page: &str, code: &str) -> String {
    let off = browser.get(page, INSIDE, false, "").await;
    assert_eq!((off.status, off.location.clone()), (303, format!("/elsewhere/1002/who?next={page}")));
    let there = browser.get(&off.location, INSIDE, false, "").await;
    let state = there.location.rsplit_once("state=").unwrap().1.to_owned();
    let path = format!("/elsewhere/1002/back?code={code}&state={state}");
    let home = browser.get(&path, INSIDE, false, &there.given()).await;
    assert_eq!((home.status, home.location.as_str()), (303, page));
    home.given()
}

async fn order_at(f: &Fixture, page: &str) -> Order {
    let token = parse_token(page.rsplit_once('/').unwrap().1).unwrap();
    let read = f.rig.app.engine.read(move |r| {
        let code = r.get::<koudai_core::rows::OrderCode>(&token)?.unwrap();
        r.get::<Order>(&OrderId(code.order.0))
    });
    read.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_person_scans_it_says_the_amount_and_pays_as_any_order() {
    let f = Fixture::new().await;
    let (code, page) = counter(&f).await;
    let link = f.rig.app.networks.platform.static_code_url(&f.rig.app.origin, &code.token, code.mchid);
    let scan = async |text: &str| f.post("/scan", &[("text", text)], PHONE, "").await;
    assert_eq!(scan(&link).await.json()["pay"], page.as_str());
    let (bare, signature) = link.split_once('#').unwrap();
    for (text, refusal) in [
        (bare.to_owned(), "CODE_SWAPPED"),
        (format!("{bare}#{}", signature.replace(&signature[..4], "AAAA")), "CODE_SWAPPED"),
        (format!("{}/s/{}#{signature}", f.rig.app.origin, token_text(&[9; 16])), "CODE_NOT_OURS"),
        (link.replace("http://", "https://evil."), "CODE_NOT_OURS"),
    ] {
        assert_eq!(scan(&text).await.json()["code"], refusal, "{text}");
    }

    let shown = f.get(&page, PHONE, false, "").await.text;
    for part in [
        "data-state=\"amount\"",
        "1号窗口",
        "First payment to this merchant",
        "Left today on static codes:",
        "500.00",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let about = f.get(&page, PHONE, true, "").await.json();
    assert_eq!((&about["can_pay"], &about["day_left"]["minor"]), (&true.into(), &50_000.into()));

    let paying = placed(&f.browser, &page, "12.50", "static-number-1", PHONE, "").await;
    assert_eq!(
        placed(&f.browser, &page, "12.50", "static-number-1", PHONE, "").await,
        paying,
        "sent twice, it is one order"
    );
    let (status, other) = place(&f.browser, &page, &said("12.51", "static-number-1"), PHONE, "").await;
    assert_eq!((status, &other["code"]), (409, &"NUMBER_REUSED".into()));
    let form = [("method", "balance"), ("payment_password", rig::PIN)];
    assert_eq!(f.post(&paying, &form, PHONE, "").await.json()["state"], "paid");
    assert_eq!(f.balance().await, 3_750);

    // The merchant finds it as any order, and which code it was.
    let order = order_at(&f, &paying).await;
    let client = f.rig.client(&f.shop, false);
    let found = client.query_by_out_trade_no(&order.out_trade_no).await.unwrap();
    assert_eq!((found.trade_type.as_deref(), found.attach.as_deref()), (Some("JSAPI"), Some("三号桌")));
    assert_eq!(found.scene_info.unwrap().device_id.as_deref(), page.strip_prefix("/s/"));
    let about = f.get(&page, PHONE, true, "").await.json();
    assert_eq!(about["day_left"]["minor"], 48_750);
}

#[tokio::test]
async fn a_way_to_pay_that_has_paid_its_bound_is_greyed_out_and_refused() {
    let f = Fixture::with(60_000).await;
    let (_, page) = counter(&f).await;
    let pay = async |page: &str, method: &str| {
        f.post(page, &[("method", method), ("payment_password", rig::PIN)], COMPUTER, "").await.json()
    };
    let first = placed(&f.browser, &page, "400", "static-number-1", COMPUTER, "").await;
    assert_eq!(pay(&first, "balance").await["state"], "paid");
    let second = placed(&f.browser, &page, "100.01", "static-number-2", COMPUTER, "").await;
    let methods = f.get(&second, COMPUTER, true, "").await.json()["methods"].clone();
    let of = |word: &str| methods.as_array().unwrap().iter().find(|m| m["method"] == word).unwrap().clone();
    assert_eq!(
        (&of("balance")["usable"], &of("balance")["why"]),
        (&false.into(), &"¥100.00 left today on static codes".into())
    );
    assert_eq!(of("wallet:1002")["usable"], true, "each source has a bound of its own");
    let refused = pay(&second, "balance").await;
    assert_eq!(
        (&refused["code"], &refused["money_moved"]),
        (&"DAY_STATIC_CODES_REACHED".into(), &"no".into())
    );
    assert_eq!(refused["title"], "Static codes take ¥500.00 a day, ¥100.00 left today");
    assert_eq!(pay(&second, "wallet:1002").await["state"], "pending");
    let (status, over) = place(&f.browser, &page, &said("500.01", "static-number-3"), COMPUTER, "").await;
    assert_eq!((status, &over["code"]), (422, &"DAY_STATIC_CODES_REACHED".into()));
}

#[tokio::test]
async fn many_at_once_do_not_pass_the_bound() {
    let f = Fixture::with(100_000).await;
    let (_, page) = counter(&f).await;
    let mut pages = vec![];
    for turn in 0..12 {
        pages.push(placed(&f.browser, &page, "60", &format!("static-number-{turn}"), COMPUTER, "").await);
    }
    let mut all = tokio::task::JoinSet::new();
    for page in pages {
        let browser = f.browser.clone();
        all.spawn(async move {
            let form = [("method", "balance"), ("payment_password", rig::PIN)];
            browser.post(&page, &form, COMPUTER, "").await.json()
        });
    }
    let said = all.join_all().await;
    let paid = said.iter().filter(|said| said["state"] == "paid").count();
    let refused = said.iter().filter(|said| said["code"] == "DAY_STATIC_CODES_REACHED").count();
    assert_eq!((paid, refused), (8, 4), "480 yuan of 500");
    assert_eq!(f.balance().await, 100_000 - 48_000);
}

#[tokio::test]
async fn somebody_without_an_account_pays_inside_the_app_and_sees_how_it_went_and_nothing_else() {
    let f = Fixture::new().await;
    let (_, page) = counter(&f).await;
    let stranger = f.stranger();
    let known = introduced(&stranger, &page, "good").await;
    let shown = stranger.get(&page, INSIDE, false, &known).await.text;
    for part in ["data-state=\"amount\"", "Pay with Lantern", "/login?next=/s/"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let paying = placed(&stranger, &page, "8.80", "static-number-1", INSIDE, &known).await;
    assert!(paying.starts_with("/guest/"), "{paying}");
    assert_eq!(placed(&stranger, &page, "8.80", "static-number-1", INSIDE, &known).await, paying);
    let now = stranger.get(&paying, INSIDE, true, &known).await.json();
    assert_eq!((&now["state"], &now["way"]["kind"]), (&"pending".into(), &"call-up".into()));
    let number = now["way"]["id"].as_str().unwrap();
    let asked = f.asked(number);
    assert_eq!(
        (asked.scene, asked.token.as_str(), asked.fen),
        (Some(Scene::Inside), "li-ming-at-lantern", 880)
    );
    let way = stranger.get(&paying, INSIDE, false, &known).await.text;
    assert!(
        way.contains(&format!("data-poll=\"{paying}\"")) && way.contains("data-way=\"call-up\""),
        "{way}"
    );
    let back = stranger.get(&format!("/elsewhere/{number}"), INSIDE, false, &known).await;
    assert_eq!((back.status, back.location.as_str()), (303, paying.as_str()));

    f.agree(number).await;
    let settled = until(async || {
        let now = stranger.get(&paying, INSIDE, true, &known).await.json();
        (now["state"] != "pending").then_some(now)
    });
    assert_eq!(settled.await["state"], "paid");
    let receipt = stranger.get(&paying, INSIDE, false, &known).await.text;
    assert!(
        receipt.contains("<dd>Lantern</dd>") && receipt.contains(&format!("href=\"{page}\"")),
        "{receipt}"
    );
    assert!(!receipt.contains("/records"), "a guest has no records here: {receipt}");
    let clearing = AccountId::clearing(WECHAT_NETWORK);
    assert_eq!(f.rig.standing(clearing).await, -880);

    // Nothing but that is theirs to see, and it is nobody else's.
    let order = order_at(&f, &paying).await;
    let pay = format!("/pay/{}", token_text(&order.code));
    for path in [
        "/",
        "/records",
        "/cards",
        "/top-up",
        "/withdraw",
        "/scan",
        "/code",
        "/transfers",
        "/wallets/1002",
        pay.as_str(),
    ] {
        let got = stranger.get(path, INSIDE, true, &known).await;
        assert_eq!((got.status, &got.json()["code"]), (401, &"SIGNED_OUT".into()), "{path}");
    }
    let record = format!("/records/{}", order.id.wire());
    assert_eq!(stranger.get(&record, INSIDE, true, &known).await.status, 401);
    let paying_json = async |browser: &Browser, agent: &str, cookies: &str| {
        let got = browser.get(&paying, agent, true, cookies).await;
        (got.status, got.json()["code"].as_str().map(str::to_owned))
    };
    let not_here = (403, Some("WALLET_NOT_HERE".to_owned()));
    assert_eq!(paying_json(&stranger, INSIDE, "").await, not_here);
    assert_eq!(paying_json(&stranger, COMPUTER, &known).await, not_here, "nor outside the app");
    assert_eq!(paying_json(&f.browser, INSIDE, &known).await, not_here, "nor with a session of another's");
    let (other_order, other_page) = f.order("order-of-another").await;
    let theirs = format!("/guest/{}", token_text(&other_order.code));
    let seen = stranger.get(&theirs, INSIDE, true, &known).await.json();
    assert_ne!(seen["paid_by_you"], true);
    assert_eq!(f.pay(&other_page, COMPUTER, "").await.json()["state"], "pending");

    let client = f.rig.client(&f.shop, false);
    client.refund(&refund(&order.out_trade_no, "static-back-1", 300, 880)).await.unwrap();
    until(async || (f.rig.standing(clearing).await == -580).then_some(())).await;
}

#[tokio::test]
async fn a_guest_gives_up_and_begins_again() {
    let f = Fixture::new().await;
    let (_, page) = counter(&f).await;
    let stranger = f.stranger();
    let known = introduced(&stranger, &page, "good").await;
    let paying = placed(&stranger, &page, "8.80", "static-number-1", INSIDE, &known).await;
    let number =
        stranger.get(&paying, INSIDE, true, &known).await.json()["way"]["id"].as_str().unwrap().to_owned();
    let give_up = format!("/elsewhere/{number}/give-up");
    assert_eq!(
        stranger.post(&give_up, &[], INSIDE, "").await.status,
        401,
        "only who is known to be the payer"
    );
    assert_eq!(f.post(&give_up, &[], INSIDE, &known).await.status, 404);
    let given_up = stranger.post(&give_up, &[], INSIDE, &known).await;
    assert_eq!((given_up.status, &given_up.json()["page"]), (200, &paying.as_str().into()));
    until(async || {
        let now = stranger.get(&paying, INSIDE, true, &known).await.json();
        (now["state"] == "payable").then_some(())
    })
    .await;
    let told = stranger.get(&paying, INSIDE, false, &known).await.text;
    assert!(
        told.contains("Not completed, so it was cancelled")
            && told.contains(&format!("class=\"go\" href=\"{page}\"")),
        "{told}"
    );
    let again = placed(&stranger, &page, "8.80", "static-number-2", INSIDE, &known).await;
    assert_ne!(again, paying);
    let number =
        stranger.get(&again, INSIDE, true, &known).await.json()["way"]["id"].as_str().unwrap().to_owned();
    f.agree(&number).await;
    until(async || (f.rig.standing(AccountId::clearing(WECHAT_NETWORK)).await == -880).then_some(())).await;
}

#[tokio::test]
async fn whoever_cannot_pay_from_where_they_are_is_told_which_apps_work() {
    let f = Fixture::new().await;
    let (code, page) = counter(&f).await;
    let stranger = f.stranger();
    for agent in [COMPUTER, PHONE, INSIDE_ANOTHER] {
        let shown = stranger.get(&page, agent, false, "").await;
        assert_eq!(shown.status, 200);
        for part in ["data-state=\"apps\"", "Lantern", "Sign in and pay on this page", "class=\"squares\""] {
            assert!(shown.text.contains(part), "{agent} {part}: {}", shown.text);
        }
        assert!(!shown.text.contains("Torch"), "an app that says of nobody who they are: {}", shown.text);
        assert_eq!(stranger.get(&page, agent, true, "").await.json()["can_pay"], false);
        let (status, refused) = place(&stranger, &page, &said("1", "static-number-1"), agent, "").await;
        assert_eq!((status, &refused["code"]), (401, &"SIGNED_OUT".into()));
    }
    let silent = introduced(&stranger, &page, "bad").await;
    let shown = stranger.get(&page, INSIDE, false, &silent).await.text;
    assert!(shown.contains("It did not say who you are. Tap to try again"), "{shown}");
    let (status, _) = place(&stranger, &page, &said("1", "static-number-1"), INSIDE, &silent).await;
    assert_eq!(status, 401);

    let sheet = stranger.get(&format!("{page}/sheet"), COMPUTER, false, "").await.text;
    for part in ["data-state=\"sheet\"", "1号窗口", "扫码付款", "Lantern", "class=\"squares\"", "data-print"]
    {
        assert!(sheet.contains(part), "{part}: {sheet}");
    }
    f.rig.app.engine.submit(RevokeStaticCode { mchid: code.mchid, token: code.token }).await.unwrap();
    for path in [page.clone(), format!("{page}/sheet")] {
        let gone = stranger.get(&path, PHONE, true, "").await;
        assert_eq!((gone.status, &gone.json()["code"]), (409, &"CODE_REVOKED".into()));
    }
    let unknown = stranger.get(&format!("/s/{}", token_text(&[9; 16])), PHONE, true, "").await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (403, &"CODE_NOT_OURS".into()));
}

#[tokio::test]
async fn what_a_payer_says_is_bounded() {
    let f = Fixture::new().await;
    let (_, page) = counter(&f).await;
    for (form, code) in [
        (json!({ "number": "static-number-1" }), "AMOUNT_INVALID"),
        (json!({ "number": "static-number-1", "amount": "0" }), "AMOUNT_OUT_OF_RANGE"),
        (json!({ "number": "static-number-1", "amount": "1.001" }), "AMOUNT_INVALID"),
        (json!({ "number": "short", "amount": "1" }), "REQUEST_MALFORMED"),
        (json!({ "number": "static-number-1", "amount": "1", "note": "长".repeat(31) }), "REQUEST_MALFORMED"),
        (json!({ "number": "static-number-1", "amount": "1", "note": "a\nb" }), "REQUEST_MALFORMED"),
    ] {
        let form = form.as_object().unwrap();
        let form: Vec<_> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        assert_eq!(f.post(&page, &form, PHONE, "").await.json()["code"], code, "{form:?}");
    }
    f.rig.app.engine.submit(Freeze(f.person)).await.unwrap();
    let (status, frozen) = place(&f.browser, &page, &said("1", "static-number-1"), PHONE, "").await;
    assert_eq!((status, &frozen["code"]), (403, &"ACCOUNT_FROZEN".into()));
}
