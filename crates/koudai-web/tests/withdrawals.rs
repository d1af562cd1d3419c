//! Withdrawing over HTTP, beside a bank that pays out: what a person is told at each step, at either speed, and what is done
//! about the clock.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::id::{CardId, PersonId};
use koudai_core::ledger::{AccountId, ISSUER_NETWORK};
use koudai_core::rows::{AttemptKind, NetworkRefusal};
use koudai_core::time::DAY;
use koudai_engine::Clock;
use koudai_networks::courier;
use koudai_networks::vault::Sealed;
use rig::{Freeze, OpenSession, PIN, Rig, until};
use serde_json::{Value, json};

/// Somebody with a debit card and ¥1,000.00, signed in by `holder`. Nothing calls the bank unless the test says so.
struct Scene {
    rig: Rig,
    clock: Clock,
    person: PersonId,
    card: CardId,
    wallet: SocketAddr,
    http: reqwest::Client,
}

impl Scene {
    async fn start() -> Self {
        let (rig, clock) = Rig::by_hand().await;
        let person = rig.newcomer().await;
        let card = rig.bind_with(person, rig.app.networks.vault.seal(Sealed::CardToken, b"token")).await;
        rig.top_up(person, card, 100_000).await;
        rig.app.engine.submit(OpenSession(person, "holder")).await.unwrap();
        let wallet = rig.wallet().await;
        Self { rig, clock, person, card, wallet, http: rig::browser() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.wallet)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(self.url(path)).header("accept", "application/json");
        let reply = request.bearer_auth("holder").send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_str(&reply.text().await.unwrap()).unwrap())
    }

    async fn page(&self, path: &str) -> String {
        self.http.get(self.url(path)).bearer_auth("holder").send().await.unwrap().text().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(self.url(path)).header("accept", "application/json");
        let request = request.header("content-type", "application/json").body(body.to_string());
        let reply = request.bearer_auth("holder").send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_str(&reply.text().await.unwrap()).unwrap())
    }

    async fn withdraw(&self, number: &str, amount: &str, speed: &str) -> (u16, Value) {
        let form = json!({
            "withdrawal_id": number, "card_id": self.card.wire(), "amount": amount, "speed": speed,
            "payment_password": PIN,
        });
        self.post("/withdraw", form).await
    }

    async fn balance(&self) -> i64 {
        self.get("/").await.1["balance"]["minor"].as_i64().unwrap()
    }

    /// The bank ends the one payout that is open.
    async fn bank_says(&self, outcome: Outcome) {
        let payout = until(async || {
            let attempts =
                self.rig.app.engine.read(move |r| r.due_attempts(koudai_core::time::Timestamp(i64::MAX), 9));
            let open = attempts.await.unwrap();
            let open = open.first().map(|open| open.attempt)?;
            let attempt = self.rig.app.engine.read(move |r| r.get::<koudai_core::rows::Attempt>(&open)).await;
            attempt.unwrap().filter(|attempt| attempt.kind == AttemptKind::Payout)
        });
        let attempt = payout.await.id;
        self.rig.app.engine.submit(EndAttempt { attempt, outcome }).await.unwrap();
    }
}

fn paid() -> Outcome {
    Outcome::Succeeded { network_ref: "bank-7".to_owned() }
}

#[tokio::test]
async fn what_is_withdrawn_at_once_is_held_and_shown_until_the_bank_has_paid() {
    let scene = Scene::start().await;
    let (asked, ()) =
        tokio::join!(scene.withdraw("withdraw-1", "500.00", "real_time"), scene.bank_says(paid()));
    let (status, asked) = asked;
    assert_eq!((status, &asked["state"]), (200, &json!("succeeded")), "{asked}");
    assert_eq!((&asked["amount"]["minor"], &asked["fee"]["minor"]), (&json!(50_000), &json!(50)));
    assert_eq!(scene.balance().await, 49_950);
    let (_, again) = scene.withdraw("withdraw-1", "500.00", "real_time").await;
    assert_eq!((&again["state"], scene.balance().await), (&json!("succeeded"), 49_950), "it is the same");
    let (status, other) = scene.withdraw("withdraw-1", "500.01", "real_time").await;
    assert_eq!((status, &other["code"]), (409, &json!("NUMBER_REUSED")));
    let (_, record) = scene.get(asked["record"].as_str().unwrap()).await;
    assert_eq!((&record["kind"], &record["state"]), (&json!("withdrawal"), &json!("succeeded")));
    assert_eq!((&record["amount"]["minor"], &record["bank_reference"]), (&json!(50_050), &json!("bank-7")));
    let page = scene.page(asked["record"].as_str().unwrap()).await;
    for step in ["已申请提现", "已交银行处理", "已到银行卡", "手续费"] {
        assert!(page.contains(step), "{step}");
    }
    assert!(scene.page("/withdraw/withdraw-1").await.contains("data-state=\"succeeded\""));
    assert_eq!(scene.rig.standing(AccountId::fees()).await, 50);
}

#[tokio::test]
async fn what_the_bank_refuses_is_back_whole_and_the_page_says_why() {
    for (refusal, code, title) in [
        (NetworkRefusal::CardNotUsable, "CARD_NOT_USABLE", "卡片状态异常"),
        (NetworkRefusal::NotCovered, "WITHDRAWAL_NOT_COVERED", "暂时无法提现"),
    ] {
        let scene = Scene::start().await;
        let (asked, ()) = tokio::join!(
            scene.withdraw("withdraw-1", "500", "real_time"),
            scene.bank_says(Outcome::Failed(refusal))
        );
        assert_eq!((&asked.1["state"], &asked.1["refusal"]["code"]), (&json!("failed"), &json!(code)));
        assert_eq!(scene.balance().await, 100_000);
        let page = scene.page("/withdraw/withdraw-1").await;
        assert!(page.contains(title) && page.contains("手续费也已退回"), "{page}");
        let (_, records) = scene.get("/records").await;
        assert_eq!(records["records"][0]["state"], "returned");
    }
}

#[tokio::test]
async fn one_of_the_next_day_is_sent_by_the_courier_when_its_day_has_come() {
    let scene = Scene::start().await;
    let (status, asked) = scene.withdraw("withdraw-1", "500", "next_day").await;
    assert_eq!((status, &asked["state"], &asked["fee"]["minor"]), (200, &json!("waiting"), &json!(0)));
    let page = scene.page("/withdraw/withdraw-1").await;
    for said in ["钱还没有汇出", "在那之前可以取消", "/withdraw/withdraw-1/cancel"] {
        assert!(page.contains(said), "{said}");
    }
    let record = asked["record"].as_str().unwrap();
    assert_eq!(scene.get(record).await.1["under_way"], "/withdraw/withdraw-1");
    assert!(scene.page(record).await.contains("在汇出前取消"), "whoever left the page finds it again");
    let way = AccountId::withdrawals_in_flight(ISSUER_NETWORK);
    assert_eq!((scene.balance().await, scene.rig.standing(way).await), (50_000, 50_000));
    let app = &scene.rig.app;
    courier::start(
        app.engine.clone(),
        Arc::clone(&app.networks),
        app.operator.clone(),
        Arc::clone(&app.origin),
    );
    scene.clock.advance(DAY - 60_000);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(scene.get("/withdraw/withdraw-1").await.1["state"], "waiting", "not a minute early");
    scene.clock.advance(61_000);
    // No bank stands there: what was sent comes back, since nothing of it can have arrived.
    let seen = Mutex::new(Value::Null);
    until(async || {
        let (_, body) = scene.get("/withdraw/withdraw-1").await;
        *seen.lock().unwrap() = body.clone();
        (body["state"] == "failed").then_some(())
    })
    .await;
    assert_eq!(seen.lock().unwrap()["refusal"]["code"], "BANK_UNAVAILABLE");
    assert_eq!((scene.balance().await, scene.rig.standing(way).await), (100_000, 0));
}

#[tokio::test]
async fn one_that_has_not_left_is_cancelled_once_and_what_was_sent_is_not() {
    let scene = Scene::start().await;
    scene.withdraw("withdraw-1", "500", "next_day").await;
    for _ in 0..2 {
        let (status, body) = scene.post("/withdraw/withdraw-1/cancel", json!({})).await;
        assert_eq!((status, &body["state"]), (200, &json!("cancelled")));
        assert_eq!(scene.balance().await, 100_000);
    }
    assert!(scene.page("/withdraw/withdraw-1").await.contains("已取消"));
    let (asked, ()) = tokio::join!(scene.withdraw("withdraw-2", "500", "real_time"), scene.bank_says(paid()));
    assert_eq!(asked.0, 200);
    let (status, body) = scene.post("/withdraw/withdraw-2/cancel", json!({})).await;
    assert_eq!((status, &body["code"]), (409, &json!("WITHDRAWAL_SENT")));
    let (status, body) = scene.post("/withdraw/withdraw-9/cancel", json!({})).await;
    assert_eq!((status, &body["code"]), (404, &json!("RECORD_UNKNOWN")));
}

#[tokio::test]
async fn what_it_costs_and_the_most_there_is_are_said_before() {
    let scene = Scene::start().await;
    let (_, form) = scene.get("/withdraw?amount=500.00").await;
    let [now, next] = [0, 1].map(|n| form["speeds"][n].clone());
    assert_eq!(
        (&now["speed"], &now["fee"]["minor"], &now["most"]["minor"]),
        (&json!("real_time"), &json!(50), &json!(99_900))
    );
    assert_eq!((&next["fee"]["minor"], &next["most"]["minor"]), (&json!(0), &json!(100_000)));
    assert_eq!((&form["day_left"]["minor"], &form["times_left"]), (&json!(1_000_000), &json!(5)));
    let page = scene.page("/withdraw?amount=500.00&speed=next_day").await;
    assert!(page.contains("手续费 ¥0.50") && page.contains("value=\"500.00\""), "{page}");
    assert!(page.contains("value=\"next_day\" checked"), "{page}");
    let page = scene.page("/withdraw").await;
    assert!(page.contains("手续费 0.1%，四舍五入到分，最低 ¥0.10"), "{page}");
    assert!(scene.page("/").await.contains("href=\"/withdraw\""));
    for nonsense in
        ["/withdraw?amount=-1", "/withdraw?amount=1e3", "/withdraw?amount=%00&speed=never&card_id=x"]
    {
        assert_eq!(scene.get(nonsense).await.0, 200, "{nonsense}");
    }
}

#[tokio::test]
async fn each_refusal_says_what_is_left_or_what_to_do() {
    let scene = Scene::start().await;
    let refused = async |amount: &str, speed: &str, status: u16, code: &str| {
        let (found, body) = scene.withdraw("withdraw-1", amount, speed).await;
        assert_eq!(
            (found, &body["code"], &body["money_moved"]),
            (status, &json!(code), &json!("no")),
            "{body}"
        );
    };
    refused("0.50", "real_time", 422, "AMOUNT_OUT_OF_RANGE").await;
    refused("5000.01", "real_time", 422, "AMOUNT_OUT_OF_RANGE").await;
    refused("1000", "real_time", 403, "INSUFFICIENT_BALANCE").await;
    refused("1", "sometime", 400, "REQUEST_MALFORMED").await;
    let remove = format!("/cards/{}/remove", scene.card.wire());
    scene.withdraw("withdraw-2", "1", "next_day").await;
    let (status, body) = scene.post(&remove, json!({"payment_password": PIN})).await;
    assert_eq!((status, &body["code"]), (409, &json!("CARD_AWAITS_MONEY")));
    for n in 3..=6 {
        assert_eq!(scene.withdraw(&format!("withdraw-{n}"), "1", "next_day").await.0, 200);
    }
    refused("1", "next_day", 429, "TOO_MANY_WITHDRAWALS").await;
    scene.rig.app.engine.submit(Freeze(scene.person)).await.unwrap();
    refused("1", "real_time", 403, "ACCOUNT_FROZEN").await;
}
