//! A wallet at an address with a name, and browsers that keep its cookies.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aws_lc_rs::hmac;
use koudai_core::binding::card_mac;
use koudai_core::card::CardNumber;
use koudai_core::id::PersonId;
use koudai_core::identity::{Contact, Email, Phone};
use koudai_core::ledger::ISSUER_NETWORK;
use koudai_core::rows::{CodeKey, CodePurpose, OneTimeCode, PhoneOwner};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{Asker, RequestEmailCode, SetEmail, code_of};
use koudai_core::state::Policy;
use koudai_core::time::{MINUTE, Timestamp};
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_networks::platform::token_text;
use koudai_web::App;
use serde_json::Value;

use crate::rig::{self, Rig, Shop};

pub(crate) const PHONE: &str = "13912340001";
/// One that withstands guessing.
pub(crate) const PASSWORD: &str = "tulip-ferry-9-quartz";

pub(crate) struct House {
    pub(crate) rig: Rig,
    pub(crate) clock: Clock,
    pub(crate) origin: String,
    pub(crate) address: SocketAddr,
}

impl House {
    pub(crate) async fn start() -> Self {
        let clock = Clock::by_hand(Timestamp(1_795_000_000_000));
        let rig = Rig::start_under(Policy::default(), Reach::Local, clock.clone()).await;
        let origin = "http://wallet.test:8080".to_owned();
        let app = App { origin: origin.as_str().into(), ..rig.app.clone() };
        let address = rig::served(koudai_web::router(app)).await;
        Self { rig, clock, origin, address }
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser {
            house: self,
            http: rig::browser(),
            cookies: BTreeMap::new(),
            json: false,
            forwarded: None,
            page: None,
        }
    }

    /// The code that was sent for a purpose.
    pub(crate) async fn code(&self, contact: &str, purpose: CodePurpose) -> String {
        let key = CodeKey { contact: Contact::parse(contact).unwrap(), purpose };
        let wanted = key.clone();
        let row = self.rig.app.engine.read(move |r| r.get::<OneTimeCode>(&wanted)).await.unwrap().unwrap();
        code_of(self.rig.app.engine.keys(), &key, &row.nonce).expose().clone()
    }

    /// A browser in which somebody signed in by a code, who has a payment password.
    pub(crate) async fn signed_in(&self, phone: &str) -> Browser<'_> {
        let mut browser = self.browser();
        browser.sign_in_by_code(phone).await;
        browser.post("/payment-password", &[("payment_password", rig::PIN)]).await;
        browser
    }

    /// The account that a phone signs in to.
    pub(crate) async fn person(&self, phone: &str) -> PersonId {
        let phone = Phone::parse(phone).unwrap();
        let owner = self.rig.app.engine.read(move |r| r.get::<PhoneOwner>(&phone)).await.unwrap();
        owner.unwrap().person
    }

    /// An order of a shop; the page it is paid on.
    pub(crate) async fn order(&self, shop: &Shop, number: &str, fen: i64) -> String {
        self.rig.app.engine.submit(rig::placed(shop.mchid, number, fen)).await.unwrap();
        format!("/pay/{}", token_text(&self.rig.order(shop, number).await.code))
    }

    /// Binds the card of this number to a person.
    pub(crate) async fn bind_number(&self, person: PersonId, number: &str) {
        let number = CardNumber::parse(number).unwrap();
        let mac = card_mac(self.rig.app.networks.vault.compare_key(), &number);
        self.rig.bind_card(person, ISSUER_NETWORK, vec![], mac).await;
    }

    /// Has an address belong to the account of a browser that has proved who it is.
    pub(crate) async fn give_email(&self, browser: &Browser<'_>, address: &str) {
        let session = rig::sha256(browser.cookies["koudai_wallet"].as_bytes());
        let (email, engine) = (Email::parse(address).unwrap(), &self.rig.app.engine);
        let (asker, language) = (Asker::default(), None);
        engine.submit(RequestEmailCode { session, email: email.clone(), asker, language }).await.unwrap();
        let code = Secret::new(self.code(address, CodePurpose::NewEmail).await);
        engine.submit(SetEmail { session, email, code }).await.unwrap();
    }

    /// What an authenticator app with this secret shows (RFC 6238), worked out by another library than the wallet's.
    pub(crate) fn shown_by(&self, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
        let mac = hmac::sign(&key, &(self.clock.now().0 / 30_000).to_be_bytes());
        let at = usize::from(mac.as_ref()[19] & 15);
        let number = u32::from_be_bytes(mac.as_ref()[at..at + 4].try_into().unwrap()) & 0x7FFF_FFFF;
        format!("{:06}", number % 1_000_000)
    }

    /// Lets enough time pass for another code, and for what was proven to have to be proven again.
    pub(crate) fn later(&self) {
        self.clock.advance(6 * MINUTE);
    }
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) text: String,
}

impl Reply {
    /// The stable code of a refusal, on a page or as JSON; empty without one.
    pub(crate) fn refusal(&self) -> String {
        let page = self.text.split("data-refusal=\"").nth(1).and_then(|rest| rest.split('"').next());
        let json = || serde_json::from_str::<Value>(&self.text).ok()?["code"].as_str().map(str::to_owned);
        page.map(str::to_owned).or_else(json).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

pub(crate) struct Browser<'a> {
    house: &'a House,
    http: reqwest::Client,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Whether it asks for JSON, as a page's script does.
    json: bool,
    /// The address that a proxy on this machine would say it comes from.
    pub(crate) forwarded: Option<String>,
    /// The page it shows, from which its forms are sent.
    pub(crate) page: Option<String>,
}

impl Browser<'_> {
    async fn send(&mut self, request: reqwest::RequestBuilder) -> Reply {
        self.send_from(request, ("sec-fetch-site", "same-origin")).await
    }

    async fn send_from(&mut self, request: reqwest::RequestBuilder, (name, value): (&str, &str)) -> Reply {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = request.header("cookie", cookies.join("; ")).header(name, value);
        if let Some(address) = &self.forwarded {
            request = request.header("x-forwarded-for", address);
        }
        if let Some(page) = &self.page {
            request = request.header("referer", self.url(page));
        }
        if self.json {
            request = request.header("accept", "application/json");
        }
        let reply = request.send().await.unwrap();
        for cookie in reply.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = reply.headers().get("location").map_or("", |to| to.to_str().unwrap()).to_owned();
        Reply { status: reply.status().as_u16(), location, text: reply.text().await.unwrap() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.house.address)
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        let request = self.http.get(self.url(path));
        self.send(request).await
    }

    /// What a page's script is told.
    pub(crate) async fn options(&mut self, path: &str) -> Value {
        self.json = true;
        let reply = self.get(path).await;
        self.json = false;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request =
            self.http.post(self.url(path)).header("content-type", "application/x-www-form-urlencoded");
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.send(request.body(body)).await
    }

    /// An empty form as a page elsewhere would have it sent.
    pub(crate) async fn post_from(&mut self, path: &str, origin: (&str, &str)) -> Reply {
        let request =
            self.http.post(self.url(path)).header("content-type", "application/x-www-form-urlencoded");
        self.send_from(request, origin).await
    }

    /// What a page's script is told that sends a form.
    pub(crate) async fn post_json(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.json = true;
        let reply = self.post(path, fields).await;
        self.json = false;
        reply
    }

    pub(crate) async fn sign_in_by_code(&mut self, phone: &str) {
        let sent = self.post("/login/code", &[("phone", phone)]).await;
        assert_eq!((sent.status, sent.location.as_str()), (303, "/login/code"), "{}", sent.refusal());
        let code = self.house.code(phone, CodePurpose::SignIn).await;
        let fields = [("phone", phone), ("code", &code), ("agree", "yes")];
        let reply = self.post("/login", &fields).await;
        assert_eq!(reply.status, 303, "{}", reply.refusal());
    }

    pub(crate) async fn sign_out(&mut self) {
        assert_eq!(self.post("/logout", &[]).await.location, "/login");
    }

    pub(crate) async fn is_signed_in(&mut self) -> bool {
        self.get("/security").await.status == 200
    }
}
