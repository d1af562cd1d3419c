//! The same number at the same time: every call that creates something, asked thirty-two times at once, alike and differing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::sync::Arc;

use koudai_core::merchant::SetMerchant;
use koudai_core::payer_code::AuthCode;
use koudai_core::rows::{Product, Transfer};
use koudai_engine::Clock;
use koudai_networks::Reach;
use rig::{Answer, Rig, Shop, code_order, order, refund};
use serde_json::{Value, json};

const AT_ONCE: usize = 32;

/// A call that creates something under a number of the merchant's.
#[derive(Clone, Copy)]
struct Create {
    name: &'static str,
    target: &'static str,
    /// The body of the nth variant: the same number, and for each n other content.
    body: fn(&Ground, i64) -> Value,
    /// What another content under the same number is answered.
    refusal: (u16, &'static str),
    /// Whether that names the field that differs.
    names_it: bool,
    /// How many effects there are, in whatever the call moves or makes.
    effects: Effects,
}

/// How the effects of a call are counted.
#[derive(Clone, Copy)]
enum Effects {
    /// Orders under the number.
    Orders,
    /// Refunds of the order `paid`.
    Refunds,
    /// Transfers.
    Transfers,
}

/// Every such call; a further one is one line here.
const CREATES: [Create; 7] = [
    Create {
        name: "native",
        target: "/v3/pay/transactions/native",
        body: native,
        refusal: (403, "OUT_TRADE_NO_USED"),
        names_it: true,
        effects: Effects::Orders,
    },
    Create {
        name: "jsapi",
        target: "/v3/pay/transactions/jsapi",
        body: jsapi,
        refusal: (403, "OUT_TRADE_NO_USED"),
        names_it: true,
        effects: Effects::Orders,
    },
    Create {
        name: "app",
        target: "/v3/pay/transactions/app",
        body: native,
        refusal: (403, "OUT_TRADE_NO_USED"),
        names_it: true,
        effects: Effects::Orders,
    },
    Create {
        name: "h5",
        target: "/v3/pay/transactions/h5",
        body: h5,
        refusal: (403, "OUT_TRADE_NO_USED"),
        names_it: true,
        effects: Effects::Orders,
    },
    // The first is paid at once, and the others are told that instead of what differs.
    Create {
        name: "codepay",
        target: "/v3/pay/transactions/codepay",
        body: by_code,
        refusal: (400, "INVALID_REQUEST"),
        names_it: false,
        effects: Effects::Orders,
    },
    Create {
        name: "refund",
        target: "/v3/refund/domestic/refunds",
        body: refund_of_paid,
        refusal: (400, "INVALID_REQUEST"),
        names_it: true,
        effects: Effects::Refunds,
    },
    Create {
        name: "transfer",
        target: "/v3/fund-app/mch-transfer/transfer-bills",
        body: transfer,
        refusal: (400, "INVALID_REQUEST"),
        names_it: true,
        effects: Effects::Transfers,
    },
];

/// A shop that may do everything and has an order that is paid, and a payer who shows a code.
struct Ground {
    rig: Arc<Rig>,
    shop: Shop,
    openid: String,
    code: AuthCode,
}

impl Ground {
    async fn new() -> Self {
        // A clock that stands, since an `h5_url` says until when it is good.
        let clock = Clock::by_hand(Clock::wall().now());
        let rig = Arc::new(Rig::start_by(Reach::Local, clock).await);
        let shop = rig.shop_with(Product::ALL.to_vec()).await;
        let scenes = SetMerchant { transfer_scenes: Some(vec!["1000".to_owned()]), ..rig::set(shop.mchid) };
        rig.app.engine.submit(scenes).await.unwrap();
        rig.client(&shop, false).native(&order(&shop, "paid-1", 100_000)).await.unwrap();
        let (buyer, payer) = (rig.person(100_000).await, rig.person(100_000).await);
        rig.pay(buyer, None, &shop, "paid-1").await;
        let openid = rig.app.networks.vault.openid(&shop.appid, payer);
        let code = rig.shown(payer).await;
        Self { rig, shop, openid, code }
    }

    async fn effects(&self, of: Effects) -> usize {
        let engine = &self.rig.app.engine;
        match of {
            Effects::Orders => self.rig.orders_of_everyone().await - 1,
            Effects::Refunds => {
                let order = self.rig.order(&self.shop, "paid-1").await;
                engine.read(move |reader| Ok(reader.refunds_of(order.id)?.len())).await.unwrap()
            }
            Effects::Transfers => engine.read(|reader| Ok(reader.all::<Transfer>()?.len())).await.unwrap(),
        }
    }
}

fn native(on: &Ground, n: i64) -> Value {
    serde_json::to_value(order(&on.shop, "at-once", 100 + n)).unwrap()
}

fn jsapi(on: &Ground, n: i64) -> Value {
    let mut body = native(on, n);
    body["payer"] = json!({ "openid": on.openid });
    body
}

fn h5(on: &Ground, n: i64) -> Value {
    let mut body = native(on, n);
    body["scene_info"] = json!({ "payer_client_ip": "14.23.150.211", "h5_info": { "type": "Wap" } });
    body
}

fn by_code(on: &Ground, n: i64) -> Value {
    serde_json::to_value(code_order(&on.shop, "at-once", 100 + n, &on.code)).unwrap()
}

fn refund_of_paid(_: &Ground, n: i64) -> Value {
    serde_json::to_value(refund("paid-1", "at-once", 100 + n, 100_000)).unwrap()
}

fn transfer(on: &Ground, n: i64) -> Value {
    json!({
        "appid": on.shop.appid, "out_bill_no": "atonce", "transfer_scene_id": "1000", "openid": on.openid,
        "transfer_amount": 100 + n, "transfer_remark": "新会员奖励",
        "transfer_scene_report_infos": [{ "info_type": "活动名称", "info_content": "注册会员有礼" }],
    })
}

/// Sends all of them at once, each over a connection of its own.
async fn at_once(on: &Ground, call: Create, bodies: Vec<Value>) -> Vec<Answer> {
    let mut under_way = tokio::task::JoinSet::new();
    for body in bodies {
        let (rig, shop) = (Arc::clone(&on.rig), on.shop.clone());
        under_way.spawn(async move { rig.ask(&shop, "POST", call.target, &body.to_string()).await });
    }
    under_way.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_request_thirty_two_times_at_once_has_one_effect_and_one_answer() {
    for call in CREATES {
        let ground = Ground::new().await;
        let bodies = vec![(call.body)(&ground, 0); AT_ONCE];
        let answers = at_once(&ground, call, bodies).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body), "{}", call.name);
        }
        assert_eq!(ground.effects(call.effects).await, 1, "{}", call.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_requests_that_differ_at_once_have_one_effect_and_the_rest_are_refused() {
    for call in CREATES {
        let ground = Ground::new().await;
        let bodies: Vec<Value> = (0..).take(AT_ONCE).map(|n| (call.body)(&ground, n)).collect();
        let answers = at_once(&ground, call, bodies.clone()).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{}", call.name);
        for answer in refused {
            let (status, code) = call.refusal;
            assert_eq!(answer.refusal(), (status, code.to_owned()), "{}", call.name);
            let names_it = answer.json()["detail"]["field"].is_string();
            assert_eq!(names_it, call.names_it, "{}: it says what differs", call.name);
        }
        assert_eq!(ground.effects(call.effects).await, 1, "{}", call.name);
        // Afterwards the one that was done is answered as before, and no other is.
        let again = at_once(&ground, call, bodies).await;
        let done_again: Vec<_> = again.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!((done_again.len(), &done_again[0].body), (1, &done[0].body), "{}", call.name);
    }
}
