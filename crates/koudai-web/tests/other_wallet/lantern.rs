//! A network of the test's own, another wallet, and a house that has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use koudai_core::attempt::Outcome;
use koudai_core::id::PersonId;
use koudai_core::ledger::{AccountId, NetworkId, WECHAT_NETWORK};
use koudai_core::rows::{NetworkRefusal, Order, Product};
use koudai_core::secret::Secret;
use koudai_core::time::{MINUTE, Timestamp};
use koudai_networks::courier;
use koudai_networks::network::{
    BookEntry, GiveBack, Invitation, Invitations, Move, Moved, Network, NoticeIn, Place, Scene, WalletFace,
    Who, async_trait,
};
use koudai_networks::outside::Outside;
use koudai_networks::platform::token_text;
use reqwest::header::{LOCATION, SET_COOKIE};
use serde_json::Value;

use crate::rig::{self, OpenSession, Rig, Shop, order, until};

pub(crate) const COMPUTER: &str = "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0";
pub(crate) const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148";
pub(crate) const INSIDE: &str = "Mozilla/5.0 (Linux; Android 15) Mobile Lantern/8.0";
pub(crate) const INSIDE_ANOTHER: &str = "Mozilla/5.0 (Linux; Android 15) Mobile Torch/2.0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Done,
    Closed,
}

/// What the other wallet was asked for under one number.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) state: State,
    pub(crate) fen: i64,
    pub(crate) scene: Option<Scene>,
    pub(crate) token: String,
    pub(crate) calls: u32,
}

pub(crate) type Book = Arc<Mutex<BTreeMap<String, Asked>>>;

/// Another wallet. Its people are the test.
#[derive(Debug, Default)]
struct Lantern {
    name: &'static str,
    pub(crate) book: Book,
    invitations: Arc<Invitations>,
}

impl Lantern {
    fn ask(&self, what: &Move<'_>) -> Asked {
        let fresh = Asked {
            state: State::Waiting,
            fen: what.amount.minor(),
            scene: what.scene,
            token: what.token.expose().clone(),
            calls: 0,
        };
        let mut book = self.book.lock().unwrap();
        let asked = book.entry(what.number.to_owned()).or_insert(fresh);
        assert_eq!(asked.fen, what.amount.minor(), "one number, one amount");
        asked.calls += 1;
        asked.clone()
    }

    fn look(&self, number: &str) -> Moved {
        match self.book.lock().unwrap().get(number).map(|asked| asked.state) {
            None => Moved::NotThere,
            Some(State::Waiting) => Moved::UnderWay,
            Some(State::Done) => Moved::Ended(Outcome::Succeeded { network_ref: format!("L{number}") }),
            Some(State::Closed) => Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)),
        }
    }

    fn close(&self, number: &str) -> Moved {
        if let Some(asked) = self.book.lock().unwrap().get_mut(number)
            && asked.state == State::Waiting
        {
            asked.state = State::Closed;
        }
        match self.look(number) {
            Moved::NotThere => Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)),
            known => known,
        }
    }

    fn invite(&self, number: &str, invitation: Invitation) -> Moved {
        self.invitations.put(number, Timestamp(rig::now_s() * 1_000 + 5 * MINUTE), invitation);
        Moved::UnderWay
    }
}

#[async_trait]
impl Network for Lantern {
    fn name(&self) -> &str {
        self.name
    }

    fn wallet(&self) -> Option<WalletFace> {
        let main = self.name == "lantern";
        Some(WalletFace {
            zh: if main { "灯笼" } else { "火炬" },
            en: if main { "Lantern" } else { "Torch" },
            app_zh: if main { "灯笼" } else { "火炬" },
            app_en: if main { "Lantern" } else { "Torch" },
            marks: if main { &["Lantern/"] } else { &["Torch/"] },
            places: vec![Place::Computer, Place::Phone, Place::Inside],
            pays_out: main,
            asks_who: main,
            who_inside_only: false,
        })
    }

    fn invitations(&self) -> Option<&Invitations> {
        Some(&self.invitations)
    }

    fn ask_who_at(&self, back: &str, state: &str) -> Option<String> {
        Some(format!("https://lantern.example/who?back={back}&state={state}"))
    }

    async fn who(&self, code: Secret<String>) -> Who {
        match code.expose().as_str() {
            "good" => Who::Is(Secret::new("li-ming-at-lantern".to_owned())),
            _ => Who::Refused,
        }
    }

    async fn debit(&self, debit: Move<'_>) -> Moved {
        let number = debit.number;
        let asked = self.ask(&debit);
        self.invite(
            number,
            match asked.scene {
                Some(Scene::Phone(_)) => Invitation::Visit(format!("https://lantern.example/pay/{number}")),
                Some(Scene::Inside) => {
                    Invitation::CallUp { call: "wechat-pay", parameters: format!("{{\"no\":\"{number}\"}}") }
                }
                Some(Scene::Computer) | None => Invitation::Scan(format!("lantern://pay/{number}")),
            },
        )
    }

    async fn query_debit(&self, number: &str) -> Moved {
        self.look(number)
    }

    async fn close_debit(&self, number: &str) -> Moved {
        self.close(number)
    }

    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        let debit = self.book.lock().unwrap().get(back.debit).cloned().unwrap();
        assert_eq!((debit.state, debit.fen), (State::Done, back.debited.minor()));
        assert_eq!(back.debit_ref, format!("L{}", back.debit));
        let given = Asked { state: State::Done, fen: back.amount.minor(), calls: 1, ..debit };
        self.book.lock().unwrap().insert(back.number.to_owned(), given);
        self.look(back.number)
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        self.look(back.number)
    }

    async fn pay_out(&self, payout: Move<'_>) -> Moved {
        let number = payout.number;
        self.ask(&payout);
        let parameters = format!("{{\"no\":\"{number}\"}}");
        self.invite(number, Invitation::CallUp { call: "wechat-receive", parameters })
    }

    async fn query_pay_out(&self, number: &str) -> Moved {
        self.look(number)
    }

    async fn close_pay_out(&self, number: &str) -> Moved {
        self.close(number)
    }

    async fn books(&self, _after: i64) -> Option<Vec<BookEntry>> {
        Some(vec![])
    }

    async fn answers(&self) -> bool {
        true
    }

    async fn read_notice(&self, notice: NoticeIn<'_>) -> Option<String> {
        String::from_utf8(notice.body.to_vec()).ok().filter(|number| number.len() == 28)
    }

    fn notice_reply(&self) -> &'static str {
        "heard"
    }
}

/// A house with two other wallets, a shop, and the browser of a person with money.
pub(crate) struct Fixture {
    pub(crate) rig: Rig,
    pub(crate) shop: Shop,
    pub(crate) person: PersonId,
    pub(crate) browser: Browser,
    pub(crate) book: Book,
    pub(crate) invitations: Arc<Invitations>,
}

/// A browser of somebody's.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    session: Option<&'static str>,
}

/// What a browser got.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) location: String,
    cookies: Vec<String>,
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// `name=value` of the cookies it was given.
    pub(crate) fn given(&self) -> String {
        let pairs = self.cookies.iter().map(|cookie| cookie.split(';').next().unwrap());
        pairs.collect::<Vec<_>>().join("; ")
    }
}

impl Browser {
    pub(crate) async fn get(&self, path: &str, agent: &str, json: bool, cookies: &str) -> Got {
        self.send(self.http.get(format!("{}{path}", self.url)), agent, json, cookies).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)], agent: &str, cookies: &str) -> Got {
        let body = serde_urlencoded::to_string(form).unwrap();
        let request = self.http.post(format!("{}{path}", self.url)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.header("sec-fetch-site", "same-origin"), agent, true, cookies).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, agent: &str, json: bool, cookies: &str) -> Got {
        let accept = if json { "application/json" } else { "text/html" };
        let session = self.session.map_or_else(String::new, |session| format!("koudai_wallet={session}; "));
        let cookie = format!("{session}koudai_lang=en; {cookies}");
        let request = request.header("accept", accept).header("cookie", cookie).header("user-agent", agent);
        let reply = request.send().await.unwrap();
        let all = |name| reply.headers().get_all(name).iter().map(|v| v.to_str().unwrap().to_owned());
        Got {
            status: reply.status().as_u16(),
            location: all(LOCATION).next().unwrap_or_default(),
            cookies: all(SET_COOKIE).collect(),
            text: reply.text().await.unwrap(),
        }
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(5_000).await
    }

    /// Of a person with so much, in fen.
    pub(crate) async fn with(fen: i64) -> Self {
        let (book, invitations) = (Book::default(), Arc::new(Invitations::default()));
        let lantern = Lantern { name: "lantern", book: book.clone(), invitations: Arc::clone(&invitations) };
        let torch = Lantern { name: "torch", ..Lantern::default() };
        let outside = Outside::default().with(WECHAT_NETWORK, lantern).with(NetworkId(77), torch);
        let rig = Rig::start_on(outside).await;
        // Their money comes from a card of a network that is not there: the test says that it came, before the courier finds out.
        let shop = rig.shop_with(vec![Product::Native, Product::Static]).await;
        let person = rig.person(fen).await;
        courier::start(
            rig.app.engine.clone(),
            Arc::clone(&rig.app.networks),
            Arc::clone(&rig.app.operator),
            Arc::clone(&rig.app.origin),
        );
        rig.app.engine.submit(OpenSession(person, "payer")).await.unwrap();
        let router = koudai_web::router(rig.app.clone());
        let url = format!("http://{}", rig::served(router).await);
        let browser = Browser { url, http: rig::browser(), session: Some("payer") };
        Self { rig, shop, person, browser, book, invitations }
    }

    pub(crate) async fn get(&self, path: &str, agent: &str, json: bool, cookies: &str) -> Got {
        self.browser.get(path, agent, json, cookies).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)], agent: &str, cookies: &str) -> Got {
        self.browser.post(path, form, agent, cookies).await
    }

    /// The browser of somebody without a session.
    pub(crate) fn stranger(&self) -> Browser {
        Browser { session: None, ..self.browser.clone() }
    }

    /// An order for ¥12, and its page.
    pub(crate) async fn order(&self, out_trade_no: &str) -> (Order, String) {
        let client = self.rig.client(&self.shop, false);
        client.native(&order(&self.shop, out_trade_no, 1_200)).await.unwrap();
        let order = self.rig.order(&self.shop, out_trade_no).await;
        let page = format!("/pay/{}", token_text(&order.code));
        (order, page)
    }

    pub(crate) async fn pay(&self, page: &str, agent: &str, cookies: &str) -> Got {
        let form = [("method", "wallet:1002"), ("payment_password", rig::PIN)];
        self.post(page, &form, agent, cookies).await
    }

    /// The other wallet's person agrees, and it tells.
    pub(crate) async fn agree(&self, number: &str) {
        self.book.lock().unwrap().get_mut(number).unwrap().state = State::Done;
        self.tell(number).await;
    }

    pub(crate) async fn tell(&self, number: &str) {
        let notice = self
            .browser
            .http
            .post(format!("{}/networks/1002/notice", self.browser.url))
            .body(number.to_owned());
        assert_eq!(notice.send().await.unwrap().text().await.unwrap(), "heard");
    }

    /// How a page's JSON stands once it is not pending any more.
    pub(crate) async fn settled(&self, page: &str) -> Value {
        until(async || {
            let now = self.get(page, COMPUTER, true, "").await.json();
            (now["state"] != "pending").then_some(now)
        })
        .await
    }

    pub(crate) fn asked(&self, number: &str) -> Asked {
        self.book.lock().unwrap().get(number).unwrap().clone()
    }

    pub(crate) async fn balance(&self) -> i64 {
        self.rig.standing(AccountId::person(self.person)).await
    }
}
