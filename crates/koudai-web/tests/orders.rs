//! Orders that pages, apps and browsers call up, and how a merchant's server learns who a person is.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use koudai_core::id::PersonId;
use koudai_core::login_code::SetAppSecret;
use koudai_core::merchant::SetMerchant;
use koudai_core::rows::Product;
use koudai_core::time::MINUTE;
use koudai_networks::Reach;
use rig::{Rig, Shop};
use serde_json::{Value, json};

const JSAPI: &str = "/v3/pay/transactions/jsapi";
const APP: &str = "/v3/pay/transactions/app";
const H5: &str = "/v3/pay/transactions/h5";

fn every_product() -> Vec<Product> {
    vec![Product::Native, Product::Jsapi, Product::App, Product::H5]
}

fn body(shop: &Shop, number: &str) -> Value {
    json!({
        "appid": shop.appid, "mchid": shop.mchid.wire(), "description": "拿铁 大杯", "out_trade_no": number,
        "notify_url": "https://shop.example/notify", "attach": "till 3", "goods_tag": "WXG",
        "detail": { "cost_price": 900, "goods_detail": [
            { "merchant_goods_id": "1", "quantity": 1, "unit_price": 880 } ] },
        "settle_info": { "profit_sharing": false },
        "amount": { "total": 880, "currency": "CNY" },
    })
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// What an H5 order says besides.
fn scene() -> Value {
    json!({ "scene_info": {
        "payer_client_ip": "14.23.150.211", "device_id": "till-3",
        "store_info": { "id": "0001", "name": "学一食堂" },
        "h5_info": { "type": "Wap", "app_name": "口袋咖啡", "app_url": "https://shop.example" } } })
}

fn payer(rig: &Rig, shop: &Shop, person: PersonId) -> Value {
    json!({ "payer": { "openid": rig.app.networks.vault.openid(&shop.appid, person) } })
}

async fn place(rig: &Rig, shop: &Shop, path: &str, body: &Value) -> rig::Answer {
    rig.ask(shop, "POST", path, &body.to_string()).await
}

#[tokio::test]
async fn each_kind_answers_with_what_its_payer_is_brought_by_and_the_same_again_while_it_lives() {
    let rig = Rig::start().await;
    let shop = rig.shop_with(every_product()).await;
    let person = rig.person(10_000).await;
    let cases = [
        (JSAPI, "prepay_id", "JSAPI", payer(&rig, &shop, person)),
        (APP, "prepay_id", "APP", json!({})),
        (H5, "h5_url", "MWEB", scene()),
    ];
    for (path, field, trade_type, more) in cases {
        let number = format!("{trade_type}-0001");
        let order = with(body(&shop, &number), &more);
        let first = place(&rig, &shop, path, &order).await;
        assert_eq!(first.status, 200, "{}", first.json());
        let given = first.json()[field].as_str().unwrap().to_owned();
        assert_eq!(first.json().as_object().unwrap().len(), 1, "and nothing else");
        let again = place(&rig, &shop, path, &order).await.json()[field].as_str().unwrap().to_owned();
        if field == "prepay_id" {
            assert!(
                given.len() <= 64 && given.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            );
            assert_eq!(given, again);
        } else {
            assert!(
                given.starts_with(&format!("{}/pay/h5?prepay_id=", rig.app.origin)) && given.len() <= 512
            );
            let id = |url: &str| url.split_once("&package=").unwrap().0.to_owned();
            assert_eq!(id(&given), id(&again), "only its five minutes begin anew");
        }
        let row = rig.order(&shop, &number).await;
        let token = koudai_networks::platform::token_text(&row.code);
        assert!(!given.contains(&token), "the page's own token stays with the payer");
        assert_eq!(row.meant_for, (path == JSAPI).then_some(person));
        assert!(row.detail.is_some() && row.settle_info.is_some() && row.goods_tag.as_deref() == Some("WXG"));

        rig.pay(person, None, &shop, &number).await;
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", shop.mchid.wire());
        let paid = rig.ask(&shop, "GET", &target, "").await.json();
        assert_eq!((&paid["trade_type"], &paid["trade_state"]), (&json!(trade_type), &json!("SUCCESS")));
        assert_eq!(paid["payer"]["openid"], payer(&rig, &shop, person)["payer"]["openid"]);
        assert_eq!((&paid["attach"], &paid["amount"]["payer_total"]), (&json!("till 3"), &json!(880)));
        let device = (path == H5).then_some(json!({ "device_id": "till-3" }));
        assert_eq!(paid.get("scene_info").cloned(), device, "of the scene only the device comes back");
        assert_eq!(place(&rig, &shop, path, &order).await.refusal(), (400, "INVALID_REQUEST".to_owned()));
    }
}

#[tokio::test]
async fn a_product_that_is_not_enabled_is_refused_before_the_body_is_looked_at() {
    let rig = Rig::start().await;
    let shop = rig.shop().await;
    for path in [JSAPI, APP, H5] {
        let answer = rig.ask(&shop, "POST", path, "not json").await;
        assert_eq!(answer.refusal(), (403, "NO_AUTH".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_a_kind_asks_for_besides_is_named_when_it_is_missing_or_wrong() {
    let rig = Rig::start_with(Reach::Public).await;
    let shop = rig.shop_with(every_product()).await;
    let h5 = |change: fn(&mut Value)| {
        let mut order = with(body(&shop, "H5-ORDER-1"), &scene());
        change(&mut order["scene_info"]);
        (H5, order)
    };
    let jsapi = |payer: Value| (JSAPI, with(body(&shop, "JSAPI-ORDER-1"), &json!({ "payer": payer })));
    let cases = [
        ("/scene_info", (H5, body(&shop, "H5-ORDER-1"))),
        ("/scene_info/payer_client_ip", h5(|scene| drop(scene["payer_client_ip"].take()))),
        ("/scene_info/payer_client_ip", h5(|scene| scene["payer_client_ip"] = json!("not an address"))),
        ("/scene_info/payer_client_ip", h5(|scene| scene["payer_client_ip"] = json!("127.0.0.1"))),
        ("/scene_info/payer_client_ip", h5(|scene| scene["payer_client_ip"] = json!("::1"))),
        ("/scene_info/h5_info", h5(|scene| drop(scene["h5_info"].take()))),
        ("/scene_info/h5_info/type", h5(|scene| drop(scene["h5_info"]["type"].take()))),
        ("/scene_info/h5_info/type", h5(|scene| scene["h5_info"]["type"] = json!("Fridge"))),
        ("/scene_info/h5_info/app_url", h5(|scene| scene["h5_info"]["app_url"] = json!("x".repeat(129)))),
        ("/payer", (JSAPI, body(&shop, "JSAPI-ORDER-1"))),
        ("/payer", jsapi(json!("o1"))),
        ("/payer/openid", jsapi(json!({}))),
        ("/payer/openid", jsapi(json!({ "openid": 1 }))),
        ("/payer/openid", jsapi(json!({ "openid": "o".repeat(129) }))),
        ("/payer/openid", jsapi(json!({ "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" }))),
    ];
    for (field, (path, order)) in cases {
        let answer = place(&rig, &shop, path, &order).await;
        assert_eq!(answer.refusal(), (400, "PARAM_ERROR".to_owned()), "{field}");
        assert_eq!(answer.json()["detail"]["field"], field, "{}", answer.json());
    }
    for kind in ["wap", "IOS", "Android"] {
        let mut order = with(body(&shop, &format!("H5-{kind}-1")), &scene());
        order["scene_info"]["h5_info"]["type"] = json!(kind);
        assert_eq!(place(&rig, &shop, H5, &order).await.status, 200, "{kind}");
    }
    assert_eq!(rig.orders_of_everyone().await, 3);
}

#[tokio::test]
async fn an_openid_of_another_app_is_nobodys_and_another_persons_is_another_order() {
    let rig = Rig::start().await;
    let (shop, other) = (rig.shop_with(every_product()).await, rig.shop_with(every_product()).await);
    let (person, somebody) = (rig.person(1_000).await, rig.person(1_000).await);
    let order = |payer: &Value| with(body(&shop, "JSAPI-ORDER-1"), payer);
    let foreign = place(&rig, &shop, JSAPI, &order(&payer(&rig, &other, person))).await;
    assert_eq!(foreign.refusal(), (400, "PARAM_ERROR".to_owned()));
    assert_eq!(foreign.json()["detail"]["field"], "/payer/openid");

    let mut of_other_app = order(&payer(&rig, &other, person));
    of_other_app["appid"] = json!(other.appid);
    let mismatch = place(&rig, &shop, JSAPI, &of_other_app).await;
    assert_eq!(mismatch.refusal(), (400, "APPID_MCHID_NOT_MATCH".to_owned()));

    assert_eq!(place(&rig, &shop, JSAPI, &order(&payer(&rig, &shop, person))).await.status, 200);
    let differs = place(&rig, &shop, JSAPI, &order(&payer(&rig, &shop, somebody))).await;
    assert_eq!(differs.refusal(), (403, "OUT_TRADE_NO_USED".to_owned()));
    assert_eq!(differs.json()["detail"]["field"], "/payer/openid");
    let kind = place(&rig, &shop, APP, &body(&shop, "JSAPI-ORDER-1")).await;
    assert_eq!(kind.json()["detail"]["field"], "/trade_type");
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn give_secret(rig: &Rig, shop: &Shop) {
    let secret_mac = rig.app.networks.vault.app_secret_mac(&shop.appid, SECRET);
    rig.app.engine.submit(SetAppSecret { mchid: shop.mchid, secret_mac }).await.unwrap();
}

/// Asks without any signature, as the original's two calls are.
async fn trade(rig: &Rig, target: &str) -> Value {
    let answer = rig.send("GET", target, &[], b"").await;
    assert_eq!(answer.status, 200, "even a refusal is a 200");
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json()
}

#[tokio::test]
async fn a_login_code_is_traded_for_an_openid_once_by_either_call() {
    let rig = Rig::start().await;
    let shop = rig.shop_with(every_product()).await;
    give_secret(&rig, &shop).await;
    let person = rig.person(1_000).await;
    let code = || {
        let until = rig.app.engine.now().plus(5 * MINUTE);
        rig.app.networks.vault.login_code(&shop.appid, person, until)
    };
    let openid = rig.app.networks.vault.openid(&shop.appid, person);
    let own = format!("appid={}&secret={SECRET}&grant_type=authorization_code", shop.appid);

    let target = format!("/sns/oauth2/access_token?{own}&code={}", code());
    let first = trade(&rig, &target).await;
    assert_eq!((&first["openid"], &first["scope"]), (&json!(openid), &json!("snsapi_base")), "{first}");
    assert!(first["expires_in"].is_number() && first["access_token"].is_string());
    assert_eq!(trade(&rig, &target).await["errcode"], 40_163);

    let code = code();
    let session = trade(&rig, &format!("/sns/jscode2session?{own}&js_code={code}")).await;
    assert_eq!(session["openid"], openid);
    assert!(session["session_key"].is_string());
    let other_call = trade(&rig, &format!("/sns/oauth2/access_token?{own}&code={code}")).await;
    assert_eq!(other_call["errcode"], 40_163, "one code, whichever call it is used by");

    // And an order for that openid is that person's.
    let order = with(body(&shop, "JSAPI-ORDER-1"), &json!({ "payer": { "openid": first["openid"] } }));
    assert_eq!(place(&rig, &shop, JSAPI, &order).await.status, 200);
    assert_eq!(rig.order(&shop, "JSAPI-ORDER-1").await.meant_for, Some(person));
}

#[tokio::test]
async fn what_is_wrong_with_a_trade_is_said_by_its_number() {
    let rig = Rig::start().await;
    let (shop, other) = (rig.shop_with(every_product()).await, rig.shop_with(every_product()).await);
    give_secret(&rig, &shop).await;
    let person = rig.person(1_000).await;
    let vault = &rig.app.networks.vault;
    let now = rig.app.engine.now();
    let good = vault.login_code(&shop.appid, person, now.plus(5 * MINUTE));
    let foreign = vault.login_code(&other.appid, person, now.plus(5 * MINUTE));
    let stale = vault.login_code(&shop.appid, person, now);
    let appid = &shop.appid;
    let kind = "grant_type=authorization_code";
    let cases = [
        (String::new(), 41_002),
        (format!("appid={appid}&code={good}&{kind}"), 41_004),
        (format!("appid={appid}&secret={SECRET}&{kind}"), 41_008),
        (format!("appid={appid}&secret={SECRET}&code={good}&grant_type=password"), 40_002),
        (format!("appid=wx0&secret={SECRET}&code={good}&{kind}"), 40_013),
        (format!("appid={appid}&secret={}&code={good}&{kind}", SECRET.to_uppercase()), 40_125),
        (format!("appid={}&secret={SECRET}&code={foreign}&{kind}", other.appid), 40_125),
        (format!("appid={appid}&secret={SECRET}&code={foreign}&{kind}"), 40_029),
        (format!("appid={appid}&secret={SECRET}&code=011x&{kind}"), 40_029),
        (format!("appid={appid}&secret={SECRET}&code={stale}&{kind}"), 42_003),
        (format!("appid={appid}&secret={SECRET}&code={good}&code={good}&{kind}"), 40_035),
        (format!("appid={appid}&secret={SECRET}&code={}&{kind}", "x".repeat(4_000)), 40_035),
        (format!("appid=wx%00&secret={SECRET}&code={good}&{kind}"), 40_013),
        (format!("appid={}&secret={SECRET}&code={good}&{kind}", "w".repeat(33)), 40_013),
        (format!("appid=%FF&secret={SECRET}&code={good}&{kind}"), 40_013),
    ];
    for (query, errcode) in cases {
        let answer = trade(&rig, &format!("/sns/oauth2/access_token?{query}")).await;
        assert_eq!(answer["errcode"], errcode, "{query}: {answer}");
        assert!(answer["errmsg"].is_string() && answer.get("openid").is_none());
    }
    let suspend = SetMerchant { suspended: Some(true), ..rig::set(shop.mchid) };
    rig.app.engine.submit(suspend).await.unwrap();
    let all = format!("/sns/oauth2/access_token?appid={appid}&secret={SECRET}&code={good}&{kind}");
    assert_eq!(trade(&rig, &all).await["errcode"], 48_001, "and nothing above has used the code");
}

#[tokio::test]
async fn of_many_trades_of_one_code_one_succeeds() {
    let rig = Rig::start().await;
    let shop = rig.shop_with(every_product()).await;
    give_secret(&rig, &shop).await;
    let person = rig.person(1_000).await;
    let until = rig.app.engine.now().plus(5 * MINUTE);
    let code = rig.app.networks.vault.login_code(&shop.appid, person, until);
    let target = format!("/sns/jscode2session?appid={}&secret={SECRET}&js_code={code}", shop.appid);
    let (a, b, c, d) =
        tokio::join!(trade(&rig, &target), trade(&rig, &target), trade(&rig, &target), trade(&rig, &target));
    let told = [a, b, c, d].iter().filter(|answer| answer.get("openid").is_some()).count();
    assert_eq!(told, 1);
}
