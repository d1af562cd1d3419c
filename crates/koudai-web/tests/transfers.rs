//! Merchants' transfers, from the merchant's server to the payee's phone and back: the gateway's calls, the wallet's page,
//! the notice, and what is done about the clock.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::HeaderMap;
use koudai_core::id::{PersonId, TransferId};
use koudai_core::ledger::AccountId;
use koudai_core::merchant::SetMerchant;
use koudai_core::rows::{NoticeCursor, Product, Transfer};
use koudai_core::time::DAY;
use koudai_core::transfer::ReceiveTransfer;
use koudai_engine::Clock;
use koudai_networks::platform::{PlatformKey, SigningMode};
use koudai_networks::{Reach, courier};
use koudai_wechatpay::client::Client;
use koudai_wechatpay::headers::SignedHeaders;
use koudai_wechatpay::keys::PrivateKey;
use koudai_wechatpay::notice::Notice;
use koudai_wechatpay::oaep;
use koudai_wechatpay::types::{TransferReport, TransferRequest, TransferState, TransferStyle};
use rig::{Answer, Freeze, OpenSession, PUBLIC_KEY_ID, Rig, Shop, order, until};
use serde_json::{Value, json};

const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";
const SCENE: &str = "1000";

/// A merchant who may send money and has some, and somebody to send it to, signed in by `payee`.
struct Scene {
    rig: Rig,
    shop: Shop,
    client: Client,
    payee: PersonId,
    openid: String,
    wallet: SocketAddr,
    http: reqwest::Client,
}

impl Scene {
    async fn start() -> Self {
        Self::start_by(Clock::wall()).await
    }

    async fn start_by(clock: Clock) -> Self {
        let rig = Rig::start_by(Reach::Local, clock).await;
        let shop = rig.shop_with(vec![Product::Native, Product::Transfer]).await;
        rig.app.engine.submit(scenes(&shop, &[SCENE])).await.unwrap();
        let client = rig.client(&shop, true);
        client.native(&order(&shop, "order-1", 100_000)).await.unwrap();
        let payer = rig.person(100_000).await;
        rig.pay(payer, None, &shop, "order-1").await;
        let (payee, _) = rig.person_with_card().await;
        rig.app.engine.submit(OpenSession(payee, "payee")).await.unwrap();
        let openid = rig.app.networks.vault.openid(&shop.appid, payee);
        let wallet = rig.wallet().await;
        Self { rig, shop, client, payee, openid, wallet, http: rig::browser() }
    }

    fn wish(&self, number: &str, fen: i64) -> TransferRequest {
        TransferRequest {
            appid: self.shop.appid.clone(),
            out_bill_no: number.to_owned(),
            transfer_scene_id: SCENE.to_owned(),
            openid: self.openid.clone(),
            transfer_amount: fen,
            transfer_remark: "新会员奖励".to_owned(),
            user_recv_perception: Some("活动奖励".to_owned()),
            transfer_scene_report_infos: vec![TransferReport {
                info_type: "活动名称".to_owned(),
                info_content: "注册会员有礼".to_owned(),
            }],
            ..TransferRequest::default()
        }
    }

    fn named(&self, number: &str, fen: i64, name: &str) -> TransferRequest {
        TransferRequest { user_name: Some(self.client.encrypt(name).unwrap()), ..self.wish(number, fen) }
    }

    async fn ask(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.rig.ask_with(&self.shop, "POST", BILLS, &body.to_string(), headers).await
    }

    /// The key that signs in this mode, which opens what is encrypted to it.
    fn platform(&self, mode: SigningMode) -> Arc<PlatformKey> {
        self.rig.app.networks.platform.signer(mode, self.rig.app.engine.clock().now())
    }

    /// How merchant, what is in flight and payee stand.
    async fn money(&self) -> [i64; 3] {
        let mchid = self.shop.mchid;
        let accounts = [
            AccountId::merchant(mchid),
            AccountId::transfers_in_flight(mchid),
            AccountId::person(self.payee),
        ];
        [
            self.rig.standing(accounts[0]).await,
            self.rig.standing(accounts[1]).await,
            self.rig.standing(accounts[2]).await,
        ]
    }

    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("http://{}{path}", self.wallet)).bearer_auth(token);
        let reply = request.header("accept", "application/json").send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    async fn post(&self, token: &str, path: &str) -> (u16, Value) {
        let request = self.http.post(format!("http://{}{path}", self.wallet)).bearer_auth(token);
        let reply = request.header("accept", "application/json").send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }

    /// A page as a browser shows it to the payee.
    async fn page(&self, path: &str) -> (u16, String) {
        let request = self.http.get(format!("http://{}{path}", self.wallet));
        let reply = request.header("cookie", "koudai_wallet=payee; koudai_lang=zh").send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    /// Presses the button of a page; where that leads.
    async fn press(&self, path: &str) -> (u16, Option<String>) {
        let request = self.http.post(format!("http://{}{path}", self.wallet));
        let request = request.header("sec-fetch-site", "same-origin").header("cookie", "koudai_wallet=payee");
        let reply = request.send().await.unwrap();
        let to = reply.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (reply.status().as_u16(), to)
    }
}

fn scenes(shop: &Shop, scenes: &[&str]) -> SetMerchant {
    SetMerchant {
        transfer_scenes: Some(scenes.iter().map(|&scene| scene.to_owned()).collect()),
        ..rig::set(shop.mchid)
    }
}

/// The path of the page that `package_info` leads to.
fn path_of(rig: &Rig, package: &str) -> String {
    package.strip_prefix(&*rig.app.origin).unwrap().to_owned()
}

#[tokio::test]
async fn money_is_sent_found_on_the_first_page_received_and_seen_in_the_bills() {
    let scene = Scene::start().await;
    let made = scene.client.transfer(&scene.wish("bill1", 1_234)).await.unwrap();
    assert_eq!((made.state, made.fail_reason), (TransferState::WaitUserConfirm, None));
    assert_eq!(made.create_time.len(), "2026-11-23T12:00:00.000+08:00".len());
    assert_eq!(scene.money().await, [98_166, 1_234, 0]);
    let waiting = scene.client.query_transfer("bill1").await.unwrap();
    assert_eq!(
        (&waiting.state, waiting.openid.as_deref()),
        (&TransferState::WaitUserConfirm, Some(&*scene.openid))
    );
    assert_eq!((waiting.create_time.as_str(), &waiting.user_name), (&*waiting.update_time, &None));
    assert_eq!(scene.client.query_transfer_by_id(&made.transfer_bill_no).await.unwrap(), waiting);

    let path = path_of(&scene.rig, &made.package_info.unwrap());
    let (_, home) = scene.get("payee", "/").await;
    assert_eq!(home["transfers"][0]["id"], made.transfer_bill_no);
    assert_eq!(scene.get("payee", "/transfers").await.1["transfers"][0]["amount"]["minor"], 1_234);
    let (status, html) = scene.page("/").await;
    assert!(status == 200 && html.contains(&path), "{html}");
    let (status, html) = scene.page(&path).await;
    assert_eq!(status, 200);
    for part in ["口袋咖啡", "12.34", "新会员奖励", "活动奖励", "bill1", "data-state=\"waiting\""]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("注册会员有礼"), "what is reported is not the payee's to see");

    assert_eq!(scene.press(&path).await, (303, Some(path.clone())));
    assert_eq!(scene.money().await, [98_166, 0, 1_234]);
    let done = scene.client.query_transfer("bill1").await.unwrap();
    assert_eq!((done.state, done.fail_reason), (TransferState::Success, None));
    assert!(done.update_time > done.create_time);
    let (_, html) = scene.page(&path).await;
    assert!(html.contains("data-state=\"received\"") && html.contains("已存入零钱"), "{html}");
    // Once more changes nothing, by page or by program.
    assert_eq!(scene.press(&path).await.0, 303);
    let (status, again) = scene.post("payee", &path).await;
    assert_eq!((status, &again["state"]), (200, &json!("received")));
    assert_eq!(scene.money().await, [98_166, 0, 1_234]);
    let (_, home) = scene.get("payee", "/").await;
    assert_eq!((&home["transfers"], &home["balance"]["minor"]), (&json!([]), &json!(1_234)));
    let (_, bills) = scene.get("payee", "/records").await;
    let bill = &bills["records"][0];
    assert_eq!((&bill["kind"], &bill["name"]), (&json!("transfer"), &json!("口袋咖啡")));
    assert_eq!((&bill["direction"], &bill["amount"]["minor"]), (&json!("in"), &json!(1_234)));
    let (status, record) = scene.get("payee", again["record"].as_str().unwrap()).await;
    assert_eq!((status, &record["order_no"]), (200, &json!("bill1")));
    let (status, html) = scene.page(again["record"].as_str().unwrap()).await;
    assert!(status == 200 && html.contains("商家已转出"), "{html}");
}

#[tokio::test]
async fn only_the_payee_sees_a_transfer_and_others_are_told_nothing_of_it() {
    let scene = Scene::start().await;
    let made = scene.client.transfer(&scene.wish("bill1", 300)).await.unwrap();
    let path = path_of(&scene.rig, &made.package_info.unwrap());
    let (other, _) = scene.rig.person_with_card().await;
    scene.rig.app.engine.submit(OpenSession(other, "other")).await.unwrap();
    let absent = format!("/transfers/{}", TransferId(1_795_000_000_000 << 21).wire());
    for path in [&*path, &*absent, "/transfers/1", "/transfers/%E5%8F%A3"] {
        let (status, seen) = scene.get("other", path).await;
        assert_eq!((status, &seen["code"]), (404, &json!("TRANSFER_UNKNOWN")), "{path}");
        let (status, refused) = scene.post("other", path).await;
        assert_eq!((status, &refused["code"]), (404, &json!("TRANSFER_UNKNOWN")), "{path}");
    }
    assert_eq!(scene.get("other", "/transfers").await.1["transfers"], json!([]));
    assert_eq!(scene.get("nobody", &path).await.0, 401);
    assert_eq!(scene.post("nobody", &path).await.0, 401);
    let from_elsewhere = scene.http.post(format!("http://{}{path}", scene.wallet));
    let from_elsewhere =
        from_elsewhere.header("cookie", "koudai_wallet=payee").header("sec-fetch-site", "cross-site");
    assert_eq!(from_elsewhere.send().await.unwrap().status(), 403);
    assert_eq!(scene.money().await, [99_100, 300, 0]);
    let record = format!("/records/{}", made.transfer_bill_no);
    assert_eq!(scene.get("payee", &record).await.0, 404, "a bill is of what was received");
}

#[tokio::test]
async fn a_name_is_compared_whoever_encrypted_it_to_which_key_and_comes_back_encrypted() {
    let scene = Scene::start().await;
    let right = scene.named("bill1", 300, "王小明");
    assert_eq!(scene.client.transfer(&right).await.unwrap().state, TransferState::WaitUserConfirm);
    // The same name in another cipher is the same request; another name is not.
    let again = scene.named("bill1", 300, " 王小明 ");
    assert_ne!(right.user_name, again.user_name);
    assert_eq!(scene.client.transfer(&again).await.unwrap().state, TransferState::WaitUserConfirm);
    let body = serde_json::to_value(scene.named("bill1", 300, "王大明")).unwrap();
    let other = scene.ask(&body, &[("Wechatpay-Serial", PUBLIC_KEY_ID)]).await;
    assert_eq!(other.refusal(), (400, "INVALID_REQUEST".to_owned()));
    assert_eq!(other.json()["detail"]["field"], "/user_name");

    let bill = scene.client.query_transfer("bill1").await.unwrap();
    let name = oaep::decrypt(&scene.shop.key, bill.user_name.as_deref().unwrap()).unwrap();
    assert_eq!(std::str::from_utf8(&name).unwrap(), "王小明");

    let wrong = scene.client.transfer(&scene.named("bill2", 300, "王大明")).await.unwrap();
    assert_eq!((wrong.state, wrong.fail_reason.as_deref()), (TransferState::Fail, Some("NAME_NOT_CORRECT")));
    assert_eq!(wrong.package_info, None);
    assert_eq!(scene.money().await, [99_100, 300, 0]);

    // To the certificate's key, by its serial in lower case.
    let certificate = scene.platform(SigningMode::Certificate);
    let mut body = serde_json::to_value(scene.wish("bill3", 300)).unwrap();
    let cipher = oaep::encrypt(&certificate.key.public_key(), "王小明".as_bytes()).unwrap();
    body["user_name"] = json!(cipher);
    let serial = certificate.name.to_lowercase();
    let by_certificate = scene.ask(&body, &[("Wechatpay-Serial", &serial)]).await;
    assert_eq!((by_certificate.status, &by_certificate.json()["state"]), (200, &json!("WAIT_USER_CONFIRM")));
}

#[tokio::test]
async fn a_name_that_cannot_be_opened_says_so_and_which_key_is_meant() {
    let scene = Scene::start().await;
    let platform = scene.platform(SigningMode::PublicKey);
    let with = |cipher: &str| {
        let mut body = serde_json::to_value(scene.wish("bill1", 300)).unwrap();
        body["user_name"] = json!(cipher);
        body
    };
    let good = oaep::encrypt(&platform.key.public_key(), "王小明".as_bytes()).unwrap();
    let message = "平台证书序列号Wechatpay-Serial错误";
    for serial in ["", "ABCDEF", "PUB_KEY_ID_0", &scene.shop.serial] {
        let refused = scene.ask(&with(&good), &[("Wechatpay-Serial", serial)]).await;
        assert_eq!(refused.refusal(), (400, "PARAM_ERROR".to_owned()), "{serial}");
        assert_eq!(refused.json()["message"], message);
    }
    assert_eq!(scene.ask(&with(&good), &[]).await.json()["message"], message);
    // Without a sensitive field nobody minds.
    let body = serde_json::to_value(scene.wish("bill9", 300)).unwrap();
    assert_eq!(scene.ask(&body, &[("Wechatpay-Serial", "ABCDEF")]).await.status, 200);

    let stranger = oaep::encrypt(&PrivateKey::generate().public_key(), "王小明".as_bytes()).unwrap();
    let to = |text: &[u8]| oaep::encrypt(&platform.key.public_key(), text).unwrap();
    let (control, bytes) = (to("王\n小明".as_bytes()), to(&[0xFF; 8]));
    let (long, digits) = (to("王".repeat(51).as_bytes()), to(b"12345"));
    for cipher in ["王小明", "AAAA", &*stranger, &*control, &*bytes, &*long, &*digits, &"A".repeat(3_000)]
    {
        let refused = scene.ask(&with(cipher), &[("Wechatpay-Serial", PUBLIC_KEY_ID)]).await;
        assert_eq!(refused.refusal(), (400, "PARAM_ERROR".to_owned()), "{cipher}");
        assert_eq!(refused.json()["detail"]["field"], "/user_name");
    }
    for wrong in [json!(1), json!(["a"]), json!({})] {
        let mut body = with("");
        body["user_name"] = wrong;
        let refused = scene.ask(&body, &[("Wechatpay-Serial", PUBLIC_KEY_ID)]).await;
        assert_eq!(refused.json()["detail"]["field"], "/user_name");
    }
    assert_eq!(scene.money().await, [99_100, 300, 0]);
}

#[tokio::test]
async fn every_field_keeps_to_its_bounds_and_is_named_when_it_does_not() {
    let scene = Scene::start().await;
    let good = serde_json::to_value(scene.wish("bill1", 300)).unwrap();
    let report = |kind: &str, content: &str| json!([{ "info_type": kind, "info_content": content }]);
    let cases = [
        ("/appid", "appid", json!(null)),
        ("/out_bill_no", "out_bill_no", json!("bill-1")),
        ("/out_bill_no", "out_bill_no", json!("b".repeat(33))),
        ("/out_bill_no", "out_bill_no", json!("")),
        ("/transfer_scene_id", "transfer_scene_id", json!("1".repeat(37))),
        ("/openid", "openid", json!("")),
        ("/openid", "openid", json!("o".repeat(65))),
        ("/openid", "openid", json!("oBelongsToNobody")),
        ("/transfer_amount", "transfer_amount", json!(9)),
        ("/transfer_amount", "transfer_amount", json!(300.0)),
        ("/transfer_amount", "transfer_amount", json!("300")),
        ("/transfer_amount", "transfer_amount", json!(-300)),
        ("/transfer_amount", "transfer_amount", json!(2_147_483_648_i64)),
        ("/transfer_remark", "transfer_remark", json!("奖".repeat(33))),
        ("/transfer_remark", "transfer_remark", json!(null)),
        ("/notify_url", "notify_url", json!("http://10.0.0.1/n")),
        ("/notify_url", "notify_url", json!("https://shop.example/n?a=1")),
        ("/user_recv_perception", "user_recv_perception", json!("奖".repeat(33))),
        ("/transfer_scene_report_infos", "transfer_scene_report_infos", json!(null)),
        ("/transfer_scene_report_infos", "transfer_scene_report_infos", json!([])),
        ("/transfer_scene_report_infos", "transfer_scene_report_infos", json!("x")),
        (
            "/transfer_scene_report_infos/0/info_type",
            "transfer_scene_report_infos",
            report(&"型".repeat(16), "a"),
        ),
        ("/transfer_scene_report_infos/0/info_content", "transfer_scene_report_infos", report("a", "")),
        ("/user_recv_style/type", "user_recv_style", json!({ "type": "OTHER" })),
        ("/user_recv_style/type", "user_recv_style", json!({})),
    ];
    for (field, name, value) in cases {
        let mut body = good.clone();
        body[name] = value;
        let refused = scene.ask(&body, &[]).await;
        assert_eq!(refused.refusal(), (400, "PARAM_ERROR".to_owned()), "{field} {}", body[name]);
        assert_eq!(refused.json()["detail"]["field"], field, "{}", body[name]);
    }
    let mut many = good.clone();
    many["transfer_scene_report_infos"] = json!(vec![report("a", "b")[0].clone(); 11]);
    assert_eq!(scene.ask(&many, &[]).await.json()["detail"]["field"], "/transfer_scene_report_infos");
    let large = scene.client.transfer(&scene.wish("bill1", 200_000)).await;
    assert!(format!("{large:?}").contains("/user_name"), "{large:?}");
    let packet = |fen| TransferRequest {
        user_recv_style: Some(TransferStyle { kind: "RED_PACKET".to_owned() }),
        ..scene.wish("bill1", fen)
    };
    let over = scene.ask(&serde_json::to_value(packet(20_001)).unwrap(), &[]).await;
    assert_eq!(over.json()["detail"]["field"], "/transfer_amount");
    assert_eq!(scene.client.transfer(&packet(20_000)).await.unwrap().state, TransferState::WaitUserConfirm);
    assert_eq!(scene.money().await, [79_400, 20_000, 0]);
}

#[tokio::test]
async fn rights_money_and_numbers_are_refused_in_the_protocols_words() {
    let scene = Scene::start().await;
    let refused = async |body: TransferRequest| {
        let answer = scene.ask(&serde_json::to_value(body).unwrap(), &[]).await;
        let (status, code) = answer.refusal();
        let field = answer.json()["detail"]["field"].as_str().unwrap_or_default().to_owned();
        (status, code, field)
    };
    let is = |status, code: &str, field: &str| (status, code.to_owned(), field.to_owned());
    let wish = || scene.wish("bill1", 300);
    assert_eq!(refused(scene.wish("bill1", 99_401)).await, is(403, "NOT_ENOUGH", ""));
    let scene_id = TransferRequest { transfer_scene_id: "1005".to_owned(), ..wish() };
    assert_eq!(refused(scene_id).await, is(403, "NO_AUTH", "/transfer_scene_id"));
    let app = TransferRequest { appid: "wx0".to_owned(), ..wish() };
    assert_eq!(refused(app).await, is(400, "APPID_MCHID_NOT_MATCH", "/appid"));
    // An openid of another merchant's app is nobody here.
    let elsewhere = scene.rig.app.networks.vault.openid("wx0", scene.payee);
    assert_eq!(
        refused(TransferRequest { openid: elsewhere, ..wish() }).await,
        is(400, "PARAM_ERROR", "/openid")
    );

    assert!(scene.client.transfer(&wish()).await.is_ok());
    let other = TransferRequest { transfer_remark: "other".to_owned(), ..wish() };
    assert_eq!(refused(other).await, is(400, "INVALID_REQUEST", "/transfer_remark"));
    let styled = TransferRequest {
        user_recv_style: Some(TransferStyle { kind: "CONFIRM_PAGE".to_owned() }),
        ..wish()
    };
    assert!(scene.client.transfer(&styled).await.is_ok(), "how it is shown is not compared");

    for target in ["/out-bill-no/nothing", "/transfer-bill-no/1", "/transfer-bill-no/%F0%9F"] {
        let unknown = scene.rig.ask(&scene.shop, "GET", &format!("{BILLS}{target}"), "").await;
        assert_eq!(unknown.refusal(), (404, "NOT_FOUND".to_owned()), "{target}");
    }
    let malformed = scene.rig.ask(&scene.shop, "GET", &format!("{BILLS}/out-bill-no/a-b"), "").await;
    assert_eq!(malformed.refusal(), (400, "PARAM_ERROR".to_owned()));
    // Another merchant's transfer is unknown, by either number.
    let other = scene.rig.shop_with(vec![Product::Native]).await;
    let id = scene.client.query_transfer("bill1").await.unwrap().transfer_bill_no;
    for target in ["/out-bill-no/bill1".to_owned(), format!("/transfer-bill-no/{id}")] {
        let unknown = scene.rig.ask(&other, "GET", &format!("{BILLS}{target}"), "").await;
        assert_eq!(unknown.refusal(), (404, "NOT_FOUND".to_owned()), "{target}");
    }
    let cancel = scene.rig.ask(&other, "POST", &format!("{BILLS}/out-bill-no/bill1/cancel"), "").await;
    assert_eq!(cancel.refusal(), (404, "NOT_FOUND".to_owned()));
    let body = serde_json::to_string(&wish()).unwrap();
    let denied = scene.rig.ask(&other, "POST", BILLS, &body).await;
    assert_eq!(denied.refusal(), (403, "NO_AUTH".to_owned()));
    assert_eq!(scene.money().await, [99_100, 300, 0]);
}

#[tokio::test]
async fn a_transfer_is_taken_back_until_it_is_received() {
    let scene = Scene::start().await;
    let made = scene.client.transfer(&scene.wish("bill1", 300)).await.unwrap();
    let path = path_of(&scene.rig, &made.package_info.unwrap());
    let back = scene.client.cancel_transfer("bill1").await.unwrap();
    assert_eq!(back.state, TransferState::Cancelled);
    // With no body at all, as some SDKs send it, and again.
    let again = scene.rig.ask(&scene.shop, "POST", &format!("{BILLS}/out-bill-no/bill1/cancel"), "").await;
    assert_eq!((again.status, again.json()["update_time"].as_str()), (200, Some(&*back.update_time)));
    assert_eq!(scene.money().await, [99_400, 0, 0]);
    let bill = scene.client.query_transfer("bill1").await.unwrap();
    assert_eq!((bill.state, bill.fail_reason.as_deref()), (TransferState::Cancelled, Some("MCH_CANCEL")));
    let (status, refused) = scene.post("payee", &path).await;
    assert_eq!((status, &refused["code"]), (409, &json!("TRANSFER_WITHDRAWN")));
    let (status, html) = scene.page(&path).await;
    assert!(status == 200 && html.contains("商家已撤回"), "{html}");

    scene.client.transfer(&scene.wish("bill2", 300)).await.unwrap();
    let id =
        TransferId::parse(&scene.client.query_transfer("bill2").await.unwrap().transfer_bill_no).unwrap();
    scene.rig.app.engine.submit(ReceiveTransfer { person: scene.payee, transfer: id }).await.unwrap();
    let late = scene.rig.ask(&scene.shop, "POST", &format!("{BILLS}/out-bill-no/bill2/cancel"), "{}").await;
    assert_eq!(late.refusal(), (400, "INVALID_REQUEST".to_owned()));
    let broken = scene.rig.ask(&scene.shop, "POST", &format!("{BILLS}/out-bill-no/bill2/cancel"), "{").await;
    assert_eq!(broken.refusal(), (400, "PARAM_ERROR".to_owned()));
}

#[tokio::test]
async fn however_many_ask_at_once_money_is_sent_once_and_ends_in_one_place() {
    let scene = Arc::new(Scene::start().await);
    let wish = scene.named("bill1", 300, "王小明");
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (scene, wish) = (Arc::clone(&scene), wish.clone());
        asking.spawn(async move { scene.client.transfer(&wish).await.unwrap().transfer_bill_no });
    }
    let ids = asking.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(scene.money().await, [99_100, 300, 0]);

    let path = format!("/transfers/{}", ids[0]);
    let mut ending = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (scene, path) = (Arc::clone(&scene), path.clone());
        ending.spawn(async move {
            if n % 2 == 0 {
                scene.post("payee", &path).await.0 == 200
            } else {
                scene.client.cancel_transfer("bill1").await.is_ok()
            }
        });
    }
    let done = ending.join_all().await;
    assert_eq!(done.iter().filter(|done| **done).count(), 4, "either all that receive or all that take back");
    let [merchant, in_flight, payee] = scene.money().await;
    assert_eq!(in_flight, 0);
    assert!([(99_100, 300), (99_400, 0)].contains(&(merchant, payee)), "{merchant} {payee}");
}

#[tokio::test]
async fn a_frozen_payee_is_told_why_and_may_receive_later() {
    let scene = Scene::start().await;
    let made = scene.client.transfer(&scene.wish("bill1", 300)).await.unwrap();
    let path = path_of(&scene.rig, &made.package_info.unwrap());
    scene.rig.app.engine.submit(Freeze(scene.payee)).await.unwrap();
    let (status, refused) = scene.post("payee", &path).await;
    assert_eq!((status, &refused["code"]), (403, &json!("ACCOUNT_FROZEN")));
    assert_eq!(scene.press(&path).await, (403, None));
    assert_eq!(scene.get("payee", &path).await.1["state"], "waiting");
    let failed = scene.client.transfer(&scene.wish("bill2", 300)).await.unwrap();
    assert_eq!((failed.state, failed.fail_reason.as_deref()), (TransferState::Fail, Some("ACCOUNT_FROZEN")));
    assert_eq!(scene.get("payee", &format!("/transfers/{}", failed.transfer_bill_no)).await.0, 404);
    assert_eq!(scene.money().await, [99_100, 300, 0]);
}

/// What came to a merchant's server.
type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A merchant's server that takes every notice; where it is.
async fn merchants_server() -> (String, Heard) {
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    let take = move |headers: HeaderMap, body: Bytes| {
        kept.lock().unwrap().push((headers, body));
        async { axum::http::StatusCode::NO_CONTENT }
    };
    let address = rig::served(axum::Router::new().route("/notify", axum::routing::post(take))).await;
    (format!("http://{address}/notify"), heard)
}

#[tokio::test]
async fn the_courier_closes_what_is_overdue_and_tells_of_every_end_once() {
    let clock = Clock::by_hand(Clock::wall().now());
    let scene = Scene::start_by(clock.clone()).await;
    let (url, heard) = merchants_server().await;
    let told = |mut wish: TransferRequest| {
        wish.notify_url = Some(url.clone());
        wish
    };
    let client = scene.rig.client(&scene.shop, false);
    client.certificates().await.unwrap();
    client.transfer(&told(scene.wish("overdue", 100))).await.unwrap();
    client.transfer(&told(scene.wish("cancelled", 200))).await.unwrap();
    client.transfer(&told(scene.named("failed", 300, "王大明"))).await.unwrap_err();
    scene.client.transfer(&told(scene.named("failed", 300, "王大明"))).await.unwrap();
    client.transfer(&scene.wish("untold", 400)).await.unwrap();
    let made = client.transfer(&told(scene.wish("received", 500))).await.unwrap();
    client.cancel_transfer("cancelled").await.unwrap();
    let id = TransferId::parse(&made.transfer_bill_no).unwrap();
    scene.rig.app.engine.submit(ReceiveTransfer { person: scene.payee, transfer: id }).await.unwrap();
    assert_eq!(scene.money().await, [98_400, 500, 500]);

    let _courier = courier::start(
        scene.rig.app.engine.clone(),
        scene.rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    until(async || (heard.lock().unwrap().len() >= 3).then_some(())).await;
    let opened = |(headers, body): &(HeaderMap, Bytes)| {
        let signed =
            SignedHeaders::read(|name| headers.get(name).and_then(|value| value.to_str().ok())).unwrap();
        match client.open_notification(&signed, body).unwrap() {
            Notice::Transfer(transfer) => transfer,
            other => panic!("{other:?}"),
        }
    };
    let mut ends: Vec<_> = heard.lock().unwrap().iter().map(opened).collect();
    ends.sort_by(|a, b| a.out_bill_no.cmp(&b.out_bill_no));
    let of = |n: usize| (&*ends[n].out_bill_no, ends[n].state.clone(), ends[n].fail_reason.as_deref());
    assert_eq!(of(0), ("cancelled", TransferState::Cancelled, Some("MCH_CANCEL")));
    assert_eq!(of(1), ("failed", TransferState::Fail, Some("NAME_NOT_CORRECT")));
    assert_eq!(of(2), ("received", TransferState::Success, None));
    assert_eq!((ends[2].transfer_amount, &ends[2].openid), (500, &scene.openid));
    let envelope: Value = serde_json::from_slice(&heard.lock().unwrap()[0].1).unwrap();
    assert_eq!(envelope["event_type"], "MCHTRANSFER.BILL.FINISHED");
    assert_eq!(envelope["summary"], "商家转账单据终态通知");
    assert_eq!(envelope["resource"]["original_type"], "mch_payment");

    clock.advance(DAY);
    until(async || (scene.money().await == [98_900, 0, 500]).then_some(())).await;
    let engine = &scene.rig.app.engine;
    let mchid = scene.shop.mchid;
    // Both that were overdue are dealt with, and only one of them asked to be told.
    until(async || {
        let read = engine.read(move |r| {
            let newest = r.balance(AccountId::merchant(mchid))?.map(|balance| balance.as_of);
            Ok((newest, r.get::<NoticeCursor>(&mchid)?.map(|cursor| cursor.told)))
        });
        let (newest, told) = read.await.unwrap();
        (newest == told).then_some(())
    })
    .await;
    let last: Vec<Value> =
        heard.lock().unwrap().iter().skip(3).map(|(_, body)| serde_json::from_slice(body).unwrap()).collect();
    assert_eq!(last.len(), 1, "{last:?}");
    let rows = engine.read(koudai_store::Reader::all::<Transfer>).await.unwrap();
    let over = rows.iter().find(|row| row.out_bill_no == "overdue").unwrap();
    assert!(over.ended_at.unwrap() >= over.expires_at);
    // Past its time, before and after it is closed, nobody receives it.
    let (status, refused) = scene.post("payee", &format!("/transfers/{}", over.id.wire())).await;
    assert_eq!((status, &refused["code"]), (409, &json!("TRANSFER_OVERDUE")));
}

#[tokio::test]
async fn past_its_time_a_transfer_is_over_before_anybody_closes_it() {
    let clock = Clock::by_hand(Clock::wall().now());
    let scene = Scene::start_by(clock.clone()).await;
    let made = scene.client.transfer(&scene.wish("bill1", 300)).await.unwrap();
    let path = path_of(&scene.rig, &made.package_info.unwrap());
    clock.advance(DAY);
    let (status, refused) = scene.post("payee", &path).await;
    assert_eq!((status, &refused["code"]), (409, &json!("TRANSFER_OVERDUE")));
    assert_eq!(scene.get("payee", &path).await.1["state"], "over");
    assert_eq!(scene.get("payee", "/").await.1["transfers"], json!([]));
    assert_eq!(scene.get("payee", "/transfers").await.1["transfers"], json!([]));
    let (status, html) = scene.page(&path).await;
    assert!(status == 200 && html.contains("data-state=\"over\"") && html.contains("已退回商家"), "{html}");
    assert_eq!(scene.press(&path).await, (409, None));
}
