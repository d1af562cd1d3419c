//! The network against a platform that is none of ours: `tests/sdk/wechat-peer.mjs`, where signatures, their checks and all
//! encryption are done by two SDKs. Its packages are installed by `tests/all.sh`; where they are not to be, `KOUDAI_WITHOUT_SDK`
//! leaves these tests out.

use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use koudai_core::attempt::Outcome;
use koudai_core::id::AttemptId;
use koudai_core::money::Money;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_networks::network::{Invitation, Move, Moved, Network as _, NoticeIn, Place, Scene};
use koudai_networks::wechat::{
    AccountType, DEFAULT_TIMEOUT, Identity, Payouts, Settings, TransferReport, WeChat,
};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::certificate::{Authority, Certificate};
use koudai_wechatpay::keys::PrivateKey;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::ground::{PHONE, WITHDRAWN, back, succeeded};
use crate::rig::{browser, now_s};

const APPID: &str = "wx1234567890abcdef";
const MCHID: &str = "1900000001";
const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0119000000012026112500000000000001";
const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";

/// A key and its certificate.
struct Pair {
    key: PrivateKey,
    certificate: Certificate,
}

/// Every key of both sides, made once.
struct Keys {
    merchant: Pair,
    platform: [Pair; 2],
    public: PrivateKey,
    api_v3_key: ApiV3Key,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let now_ms = now_s() * 1_000;
    let authority = Authority::generate("test", now_ms).unwrap();
    let pair = |name: &str| {
        let key = PrivateKey::generate();
        Pair { certificate: authority.issue(name, &key.public_key(), now_ms, 5).unwrap(), key }
    };
    Keys {
        merchant: pair(MCHID),
        platform: [pair("platform"), pair("platform")],
        public: PrivateKey::generate(),
        api_v3_key: ApiV3Key::generate(),
    }
});

/// The peer, which ends with this.
struct Peer {
    _process: Child,
    url: String,
    http: reqwest::Client,
    wechat: WeChat,
    given: std::cell::Cell<i64>,
}

impl Peer {
    /// `None` where it is said that the packages are not there.
    async fn start(public_key_mode: bool) -> Option<Self> {
        if std::env::var_os("KOUDAI_WITHOUT_SDK").is_some() {
            return None;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk");
        assert!(
            folder.join("node_modules").exists(),
            "run `npm ci` in tests/sdk, or set KOUDAI_WITHOUT_SDK to go without"
        );
        let mut process = Command::new("node")
            .arg(folder.join("wechat-peer.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is there");
        let platform = KEYS
            .platform
            .iter()
            .map(|pair| json!({ "key_pem": &**pair.key.to_pem(), "certificate_pem": pair.certificate.pem }));
        let known = json!({
            "appid": APPID, "mchid": MCHID, "apiv3_key": KEYS.api_v3_key.expose(),
            "merchant_certificate_pem": KEYS.merchant.certificate.pem,
            "platform": platform.collect::<Vec<_>>(),
            "public_key": { "id": PUBLIC_KEY_ID, "key_pem": &**KEYS.public.to_pem() },
        });
        let stdin = process.stdin.as_mut().unwrap();
        stdin.write_all(format!("{known}\n").as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).await.unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        let public = (PUBLIC_KEY_ID.to_owned(), KEYS.public.public_key());
        let settings = Settings {
            api: url.clone(),
            authorize: url.clone(),
            sns: url.clone(),
            notices: "https://wallet.example.org/networks/1002/notice".to_owned(),
            back: "https://wallet.example/elsewhere/".to_owned(),
            appid: APPID.to_owned(),
            mchid: MCHID.to_owned(),
            identities: vec![
                Identity::new(KEYS.merchant.key.clone(), &KEYS.merchant.certificate.pem, 0).unwrap(),
            ],
            api_v3_key: KEYS.api_v3_key.clone(),
            public_keys: if public_key_mode { vec![public] } else { vec![] },
            certificates: !public_key_mode,
            app_secret: Some(Secret::new("secret".to_owned())),
            places: vec![Place::Computer, Place::Phone, Place::Inside],
            payouts: Some(Payouts {
                scene: "1000".to_owned(),
                report: vec![TransferReport {
                    info_type: "活动名称".to_owned(),
                    info_content: "提现".to_owned(),
                }],
                perception: None,
                account: AccountType::Operation,
            }),
            timeout: DEFAULT_TIMEOUT,
            clock: now_s,
        };
        let wechat = WeChat::new(settings).unwrap();
        let given = std::cell::Cell::new(0);
        Some(Self { _process: process, url, http: browser(), wechat, given })
    }

    fn number(&self) -> String {
        self.given.set(self.given.get() + 1);
        AttemptId(((now_s() * 1_000) << 21) + 16 * self.given.get()).wire()
    }

    async fn debit(&self, number: &str, scene: Scene) -> Moved {
        self.wechat.debit(moving(number, 8_800, Some(scene))).await
    }

    fn invitation(&self, number: &str) -> Invitation {
        let open = self.wechat.invitations().unwrap();
        open.get(number, Timestamp(now_s() * 1_000)).expect("a way is open")
    }

    /// Has the peer do something.
    async fn control(&self, what: &str, with: Value) -> Value {
        let request = self.http.post(format!("{}/control/{what}", self.url)).body(with.to_string());
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 200);
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
    }

    /// The payer pays.
    async fn pay(&self, number: &str) -> String {
        let id = format!("42000{number}")[..28].to_owned();
        let paid = json!({ "number": number, "trade_state": "SUCCESS", "transaction_id": id });
        self.control("order", paid).await;
        id
    }

    /// What the wallet makes of a notice that the peer sealed and signed.
    async fn noticed(&self, event: &str, kind: &str, content: Value, named: &str) -> Option<String> {
        let wish = json!({ "event_type": event, "original_type": kind, "content": content, "named": named });
        let made = self.control("notice", wish).await;
        let mut headers = HeaderMap::new();
        for (name, value) in made["headers"].as_object().unwrap() {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
        }
        let body = made["body"].as_str().unwrap().as_bytes();
        self.wechat.read_notice(NoticeIn { headers: &headers, body }).await
    }

    async fn told_of_payment(&self, number: &str, named: &str) -> Option<String> {
        let content = json!({
            "appid": APPID, "mchid": MCHID, "out_trade_no": number, "transaction_id": "42", "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功", "trade_type": "NATIVE", "amount": { "total": 8_800, "currency": "CNY" },
        });
        self.noticed("TRANSACTION.SUCCESS", "transaction", content, named).await
    }
}

fn moving(number: &str, fen: i64, scene: Option<Scene>) -> Move<'_> {
    let token = Secret::new(OPENID.to_owned());
    Move { number, token, amount: Money::fen(fen).unwrap(), what_for: "口袋充值", scene }
}

#[tokio::test]
async fn payments_are_placed_paid_closed_and_refunded_with_signatures_that_sdks_make_and_check() {
    for public_key_mode in [false, true] {
        let Some(peer) = Peer::start(public_key_mode).await else { return };
        let (native, page, inside, closed) = (peer.number(), peer.number(), peer.number(), peer.number());
        assert_eq!(peer.wechat.query_debit(&native).await, Moved::NotThere);
        assert_eq!(peer.debit(&native, Scene::Computer).await, Moved::UnderWay);
        let first = peer.invitation(&native);
        assert!(matches!(&first, Invitation::Scan(code) if code.starts_with("weixin://wxpay/")));
        assert_eq!(peer.debit(&native, Scene::Computer).await, Moved::UnderWay);
        assert_eq!(peer.invitation(&native), first, "the same way again");
        assert_eq!(peer.debit(&page, PHONE).await, Moved::UnderWay);
        assert!(
            matches!(peer.invitation(&page), Invitation::Visit(url) if url.starts_with("https://wx.tenpay.com/"))
        );
        assert_eq!(peer.debit(&inside, Scene::Inside).await, Moved::UnderWay);
        let Invitation::CallUp { call: "wechat-pay", parameters } = peer.invitation(&inside) else {
            panic!()
        };
        let taken = peer.control("call-up", serde_json::from_str(&parameters).unwrap()).await;
        assert_eq!(taken, json!({ "taken": true }));

        let id = peer.pay(&native).await;
        assert_eq!(succeeded(&peer.wechat.query_debit(&native).await), id);
        assert_eq!(succeeded(&peer.wechat.close_debit(&native).await), id);
        assert_eq!(succeeded(&peer.debit(&native, Scene::Computer).await), id);
        peer.debit(&closed, Scene::Computer).await;
        assert_eq!(peer.wechat.close_debit(&closed).await, WITHDRAWN);
        assert_eq!(peer.debit(&closed, Scene::Computer).await, WITHDRAWN);

        let refund = peer.number();
        let part = back(&refund, &native, &id, [8_800, 100]);
        assert_eq!(peer.wechat.query_refund(part).await, Moved::NotThere);
        assert_eq!(peer.wechat.refund(part).await, Moved::UnderWay);
        for (status, found) in [
            ("ABNORMAL", Moved::UnderWay),
            ("SOMETHING_NEW", Moved::UnderWay),
            ("CLOSED", Moved::Ended(Outcome::Failed(NetworkRefusal::Refused))),
        ] {
            peer.control("refund", json!({ "number": refund, "status": status })).await;
            assert_eq!(peer.wechat.query_refund(part).await, found, "{status}");
        }
        peer.control("refund", json!({ "number": refund, "status": "SUCCESS" })).await;
        assert!(succeeded(&peer.wechat.query_refund(part).await).starts_with("50"));
        let seen = peer.control("seen", json!({})).await;
        let downloads =
            seen.as_array().unwrap().iter().filter(|call| *call == "GET /v3/certificates").count();
        assert_eq!(downloads, usize::from(!public_key_mode));
    }
}

#[tokio::test]
async fn a_reply_that_is_signed_well_and_about_something_else_is_never_taken_for_paid() {
    let Some(peer) = Peer::start(false).await else { return };
    let number = peer.number();
    peer.debit(&number, Scene::Computer).await;
    peer.pay(&number).await;
    succeeded(&peer.wechat.query_debit(&number).await);
    let good = json!({
        "number": number, "appid": APPID, "mchid": MCHID, "out_trade_no": number, "attach": "8800",
        "trade_state": "SUCCESS", "transaction_id": "42", "amount": { "total": 8_800, "currency": "CNY" },
    });
    for (field, value) in [
        ("appid", json!("wx0000000000000000")),
        ("mchid", json!("1900000002")),
        ("out_trade_no", json!(peer.number())),
        ("attach", json!("8801")),
        ("attach", Value::Null),
        ("transaction_id", json!("")),
        ("transaction_id", Value::Null),
        ("amount", json!({ "total": 1, "currency": "CNY" })),
        ("amount", json!({ "total": 8_801, "currency": "CNY" })),
        ("amount", json!({ "total": 8_800.5, "currency": "CNY" })),
        ("amount", json!({ "total": "8800", "currency": "CNY" })),
        ("amount", json!({ "total": 8_800, "currency": "USD" })),
        ("amount", Value::Null),
        ("trade_state", json!(7)),
    ] {
        let mut changed = good.clone();
        changed[field] = value.clone();
        peer.control("order", changed).await;
        assert_eq!(peer.wechat.query_debit(&number).await, Moved::Unknown, "{field}: {value}");
        assert_eq!(peer.control("order", good.clone()).await["appid"], APPID);
    }
    for (state, found) in [
        ("REFUND", Moved::Ended(Outcome::Succeeded { network_ref: "42".to_owned() })),
        ("NOTPAY", Moved::UnderWay),
        ("USERPAYING", Moved::UnderWay),
        ("SOMETHING_NEW", Moved::UnderWay),
        ("CLOSED", WITHDRAWN),
        ("REVOKED", WITHDRAWN),
        ("PAYERROR", WITHDRAWN),
    ] {
        peer.control("order", json!({ "number": number, "trade_state": state })).await;
        assert_eq!(peer.wechat.query_debit(&number).await, found, "{state}");
    }
}

#[tokio::test]
async fn payouts_go_through_every_state_of_theirs() {
    let Some(peer) = Peer::start(true).await else { return };
    let number = peer.number();
    assert_eq!(peer.wechat.pay_out(moving(&number, 500, None)).await, Moved::UnderWay);
    let Invitation::CallUp { call: "wechat-receive", parameters } = peer.invitation(&number) else {
        panic!()
    };
    let parameters: Value = serde_json::from_str(&parameters).unwrap();
    assert_eq!(
        parameters,
        json!({ "mchId": MCHID, "appId": APPID, "package": format!("package-of-{number}") })
    );
    let failed = |refusal| Moved::Ended(Outcome::Failed(refusal));
    for (state, reason, found) in [
        ("ACCEPTED", Value::Null, Moved::UnderWay),
        ("PROCESSING", Value::Null, Moved::UnderWay),
        ("TRANSFERING", Value::Null, Moved::UnderWay),
        ("CANCELING", Value::Null, Moved::UnderWay),
        ("SOMETHING_NEW", Value::Null, Moved::UnderWay),
        ("FAIL", json!("ACCOUNT_FROZEN"), failed(NetworkRefusal::CardNotUsable)),
        ("FAIL", json!("DAY_RECEIVED_QUOTA_EXCEED"), failed(NetworkRefusal::OverLimit)),
        ("FAIL", json!("OVERDUE_CLOSE"), WITHDRAWN),
        ("FAIL", json!("SOMETHING_NEW"), failed(NetworkRefusal::Refused)),
        ("CANCELLED", json!("MCH_CANCEL"), WITHDRAWN),
    ] {
        let change = json!({ "number": number, "state": state, "fail_reason": reason });
        peer.control("transfer", change).await;
        assert_eq!(peer.wechat.query_pay_out(&number).await, found, "{state} {reason}");
        assert_eq!(peer.wechat.pay_out(moving(&number, 500, None)).await, found, "{state} {reason}");
    }
    peer.control("transfer", json!({ "number": number, "state": "TRANSFERING", "fail_reason": null })).await;
    assert_eq!(peer.wechat.close_pay_out(&number).await, Moved::UnderWay, "too late to call it off");
    peer.control("transfer", json!({ "number": number, "state": "SUCCESS" })).await;
    let id = succeeded(&peer.wechat.query_pay_out(&number).await);
    assert_eq!(succeeded(&peer.wechat.close_pay_out(&number).await), id);
    peer.control("transfer", json!({ "number": number, "appid": "wx0" })).await;
    assert_eq!(peer.wechat.query_pay_out(&number).await, Moved::Unknown);
    let other = peer.number();
    peer.wechat.pay_out(moving(&other, 500, None)).await;
    assert_eq!(peer.wechat.close_pay_out(&other).await, WITHDRAWN);
}

#[tokio::test]
async fn notices_that_sdks_seal_and_sign_are_read_in_both_modes() {
    for (public_key_mode, named) in [(false, ""), (true, PUBLIC_KEY_ID)] {
        let Some(peer) = Peer::start(public_key_mode).await else { return };
        let number = peer.number();
        assert_eq!(peer.told_of_payment(&number, named).await.as_ref(), Some(&number));
        let refund = json!({
            "mchid": MCHID, "out_trade_no": number, "transaction_id": "42", "out_refund_no": number, "refund_id": "50",
            "refund_status": "ABNORMAL", "user_received_account": "支付用户零钱",
            "amount": { "total": 8_800, "refund": 100, "payer_total": 8_800, "payer_refund": 100 },
        });
        let read = peer.noticed("REFUND.ABNORMAL", "refund", refund, named).await;
        assert_eq!(read.as_ref(), Some(&number));
        let transfer = json!({
            "mch_id": MCHID, "out_bill_no": number, "transfer_bill_no": "1330", "state": "FAIL",
            "transfer_amount": 300, "openid": OPENID, "fail_reason": "OVERDUE_CLOSE",
            "create_time": "2026-11-23T12:00:00.000+08:00", "update_time": "2026-11-24T12:00:00.000+08:00",
        });
        let read = peer.noticed("MCHTRANSFER.BILL.FINISHED", "mch_payment", transfer, named).await;
        assert_eq!(read.as_ref(), Some(&number));
        // A key of the other mode is not believed by who did not say so.
        let other = if public_key_mode { "" } else { PUBLIC_KEY_ID };
        assert_eq!(peer.told_of_payment(&number, other).await, None);
    }
}

#[tokio::test]
async fn a_certificate_of_the_peers_that_changes_fails_no_call_and_no_notice() {
    let Some(peer) = Peer::start(false).await else { return };
    let number = peer.number();
    assert_eq!(peer.debit(&number, Scene::Computer).await, Moved::UnderWay);
    assert_eq!(peer.told_of_payment(&number, "").await.as_ref(), Some(&number));
    let next = peer.control("rotate", json!({})).await["serial"].as_str().unwrap().to_owned();
    assert_eq!(next, KEYS.platform[1].certificate.serial);
    assert_eq!(peer.wechat.query_debit(&number).await, Moved::UnderWay);
    assert_eq!(peer.debit(&peer.number(), Scene::Computer).await, Moved::UnderWay);
    assert_eq!(peer.told_of_payment(&number, "").await.as_ref(), Some(&number));
    let seen = peer.control("seen", json!({})).await;
    let downloads = seen.as_array().unwrap().iter().filter(|call| *call == "GET /v3/certificates").count();
    assert_eq!(downloads, 2, "at first, and for the new one");
}
