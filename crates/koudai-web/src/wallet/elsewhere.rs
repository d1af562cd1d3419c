//! Paying at another wallet: what of it works where the person is, how they get there, who they are there, and how they come back.
//!
//! Money moves by what the courier learns, never by what a person or a page brings back.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::attempt::HearOfAttempt;
use koudai_core::card::CardKind;
use koudai_core::id::{AttemptId, CardId, PersonId};
use koudai_core::ledger::NetworkId;
use koudai_core::other_wallet::{
    AllowLink, AtWallet, GiveUp, LinkWallet, OVER_ELSEWHERE_MS, OpenWallet, wallet_mac,
};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Attempt, AttemptKind, Card, CardOwner, Guest, OpenAttempt, Order, PaymentPassword, Withdrawal,
};
use koudai_core::secret::Secret;
use koudai_core::state::Event;
use koudai_core::static_code::{AtCode, PayAsGuest, guest_mac};
use koudai_core::time::{HOUR, MINUTE, SECOND, Timestamp};
use koudai_networks::line::Line;
use koudai_networks::network::{Invitation, Network as _, Place, Scene, WalletFace, Who};
use koudai_networks::platform::token_text;
use koudai_networks::vault::Sealed;
use koudai_store::{Reader, StoreError};
use koudai_wechatpay::nonce;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use super::answer;
use super::barcode::squares;
use super::fields::SentTo;
use super::pages::{AppThatWorks, CardLine, How, LeavingPage, Link, Unusable, WalletPage, Way};
use super::purse::WALLET;
use super::sign_in::{cookie_text, own_path, set_cookie};
use super::top_up::{PATIENCE, failure, outcome};
use super::visit::{ERRAND, PAYER, Visit};

/// How long a person may be away at another wallet's page that asks who they are.
const ERRAND_MS: i64 = 10 * MINUTE;
/// How long it is remembered who a person is there.
const KNOWN_MS: i64 = 2 * HOUR;
/// How long it is remembered that it did not say so.
const UNKNOWN_MS: i64 = MINUTE;
/// How often at most a page that is looked at has the network asked.
const ASK_EVERY_MS: i64 = 5 * SECOND;

/// A network that is another wallet.
pub(super) struct Elsewhere<'a> {
    pub(super) id: NetworkId,
    line: &'a Line,
    pub(super) face: WalletFace,
}

impl<'a> Elsewhere<'a> {
    /// Every one that the operator has.
    pub(super) fn all(visit: &'a Visit) -> impl Iterator<Item = Self> {
        let of = |(id, line): (NetworkId, &'a Line)| line.wallet().map(|face| Self { id, line, face });
        visit.app.networks.outside.all().filter_map(of)
    }

    pub(super) fn of(visit: &'a Visit, id: NetworkId) -> Option<Self> {
        let line = visit.app.networks.outside.get(id)?;
        line.wallet().map(|face| Self { id, line, face })
    }

    /// By its number in a path.
    fn named(visit: &'a Visit, number: &str) -> Result<Self, Refusal> {
        let id = number.parse().map(NetworkId).map_err(|_| Refusal::RecordUnknown)?;
        Self::of(visit, id).ok_or(Refusal::RecordUnknown)
    }

    /// The word for it in forms.
    pub(super) fn word(&self) -> String {
        format!("{WALLET}{}", self.id.0)
    }

    pub(super) fn name(&self, visit: &Visit) -> String {
        visit.l.say(self.face.zh, self.face.en).to_owned()
    }

    /// What people open for it.
    fn app(&self, visit: &Visit) -> String {
        visit.l.say(self.face.app_zh, self.face.app_en).to_owned()
    }

    /// As a form lists it among cards.
    pub(super) fn source(&self, visit: &Visit) -> CardLine {
        let (card_id, bank, unusable) = (self.word(), self.name(visit), self.unusable(visit));
        CardLine { card_id, bank, kind: CardKind::Wallet, last4: String::new(), unusable }
    }

    /// As programs are told of it, and whether the person has linked it.
    pub(super) fn json(&self, visit: &Visit, linked: bool) -> Value {
        json!({"card_id": self.word(), "wallet": self.name(visit), "linked": linked, "up": self.line.is_up()})
    }

    /// Whether the person's browser is the one inside its app.
    fn is_around(&self, visit: &Visit) -> bool {
        self.face.marks.iter().any(|mark| visit.agent.contains(mark))
    }

    /// Where the person is, as it sees them.
    fn place(&self, visit: &Visit) -> Place {
        let phone = ["Mobile", "Android", "iPhone", "HarmonyOS"];
        if self.is_around(visit) {
            Place::Inside
        } else if phone.iter().any(|mark| visit.agent.contains(mark)) {
            Place::Phone
        } else {
            Place::Computer
        }
    }

    /// Why nobody can pay by it here and now.
    pub(super) fn unusable(&self, visit: &Visit) -> Option<Unusable> {
        let place = self.place(visit);
        // One wallet's app opens no other's.
        let inside_another =
            || Elsewhere::all(visit).any(|other| other.id != self.id && other.is_around(visit));
        if !self.line.is_up() {
            Some(Unusable::WalletDown)
        } else if !self.face.places.contains(&place) || inside_another() {
            Some(Unusable::NotHere)
        } else if place == Place::Inside && self.face.asks_who && known(visit, self.id) == Known::Refused {
            Some(Unusable::DidNotSay)
        } else {
            None
        }
    }

    /// What the person has at a wallet, made if need be, and where they are.
    ///
    /// # Errors
    /// Why it cannot be paid by from here.
    pub(super) async fn at(visit: &'a Visit, id: NetworkId) -> Result<(CardId, AtWallet), Refusal> {
        let (person, wallet) = (visit.person()?, Self::of(visit, id).ok_or(Refusal::CardUnknown)?);
        let at = wallet.where_they_are(visit)?;
        Ok((wallet.opened(visit, person).await?.id, at))
    }

    /// What a person has at a wallet that they have used before.
    ///
    /// # Errors
    /// `CardUnknown` if they have not.
    pub(super) async fn known(visit: &Visit, person: PersonId, id: NetworkId) -> Result<CardId, Refusal> {
        let wallet = Elsewhere::of(visit, id).ok_or(Refusal::CardUnknown)?;
        let card = wallet.known_card(visit, person).await?;
        card.map(|card| card.id).ok_or(Refusal::CardUnknown)
    }

    fn where_they_are(&self, visit: &Visit) -> Result<AtWallet, Refusal> {
        match self.unusable(visit) {
            Some(Unusable::WalletDown) => return Err(Refusal::WalletUnavailable),
            Some(Unusable::DidNotSay) => return Err(Refusal::WalletDidNotSay),
            Some(_) => return Err(Refusal::WalletNotHere),
            None => {}
        }
        let (scene, payer) = match self.place(visit) {
            Place::Computer => (Scene::Computer, None),
            Place::Phone => (Scene::Phone(visit.address.ok_or(Refusal::WalletNotHere)?), None),
            Place::Inside if !self.face.asks_who => (Scene::Inside, None),
            Place::Inside => match known(visit, self.id) {
                Known::Is(payer) => (Scene::Inside, Some(payer)),
                Known::Refused | Known::NotAsked => return Err(Refusal::WalletAsksWho),
            },
        };
        let vault = &visit.app.networks.vault;
        let payer_sealed = payer.map(|payer| vault.seal(Sealed::AtWallet, payer.expose().as_bytes()));
        Ok(AtWallet { scene, payer_sealed })
    }

    async fn opened(&self, visit: &Visit, person: PersonId) -> Result<Card, Refusal> {
        let mac = wallet_mac(visit.app.networks.vault.compare_key(), self.id, person);
        let (zh, en) = (self.face.zh.to_owned(), self.face.en.to_owned());
        visit.submit(OpenWallet { person, network: self.id, mac, zh, en }).await
    }

    /// What the person has there, if they have used it.
    async fn known_card(&self, visit: &Visit, person: PersonId) -> Result<Option<Card>, Refusal> {
        let mac = wallet_mac(visit.app.networks.vault.compare_key(), self.id, person);
        let read = visit.read(move |r| {
            let card = r.get::<CardOwner>(&mac)?.and_then(|owner| owner.card);
            card.map_or(Ok(None), |card| r.get::<Card>(&card))
        });
        read.await
    }
}

/// The path where a person says who they are there, if they are inside an app that wants to know before they pay, and were not
/// asked yet.
pub(super) fn to_be_asked(visit: &Visit) -> Option<String> {
    let asks =
        |w: &Elsewhere<'_>| w.face.asks_who && w.unusable(visit).is_none() && w.place(visit) == Place::Inside;
    let wallet = Elsewhere::all(visit).find(asks)?;
    (known(visit, wallet.id) == Known::NotAsked).then(|| wallet.ask_path(visit))
}

/// What is known of a person at another wallet.
enum Known {
    Is(Secret<String>),
    Refused,
    NotAsked,
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Is(_), Self::Is(_)) | (Self::Refused, Self::Refused) | (Self::NotAsked, Self::NotAsked)
        )
    }
}

/// What a cookie says of an errand to another wallet: sealed, for one session or for none, and for a while.
#[derive(Serialize, Deserialize)]
struct Slip {
    network: i64,
    /// `None` of somebody without a session, who pays as a guest.
    session: Option<[u8; 32]>,
    until: i64,
    what: What,
}

#[derive(Serialize, Deserialize)]
enum What {
    /// Asked who the person is, to go on to a page with that.
    Who { state: String, next: String },
    /// Asked who the person is, to link that.
    Link { state: String, card: i64 },
    /// Learnt it, or not.
    Known { payer: Option<String> },
}

impl Slip {
    /// That of this session and wallet, if its seal holds and it is in time.
    fn open(visit: &Visit, network: NetworkId, cookie: Option<&str>) -> Option<What> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie?).ok()?;
        let plain = visit.app.networks.vault.open(Sealed::Errand, &sealed).ok()?;
        let slip: Self = serde_json::from_slice(plain.expose()).ok()?;
        let theirs = slip.session == visit.session_hash() && slip.network == network.0;
        (theirs && visit.now().0 < slip.until).then_some(slip.what)
    }

    /// As a cookie.
    fn cookie(visit: &Visit, name: &str, network: NetworkId, what: What, life_ms: i64) -> String {
        let session = visit.session_hash();
        let slip = Self { network: network.0, session, until: visit.now().plus(life_ms).0, what };
        let plain = serde_json::to_vec(&slip).expect("a slip is plain data");
        let sealed = visit.app.networks.vault.seal(Sealed::Errand, &plain);
        let (text, life_s) = (URL_SAFE_NO_PAD.encode(sealed), life_ms / SECOND);
        cookie_text(name, &text, "/", life_s, visit.app.secure)
    }
}

/// Somebody without a session here, inside the app of a wallet that said who they are there.
pub(super) struct GuestAt<'a> {
    wallet: Elsewhere<'a>,
    mac: [u8; 32],
}

impl<'a> GuestAt<'a> {
    /// Whoever it is, if they are no person with a session and their wallet can be paid by from here.
    pub(super) fn find(visit: &'a Visit) -> Option<Self> {
        if visit.person().is_ok() {
            return None;
        }
        let around = |w: &Elsewhere<'_>| w.face.asks_who && w.unusable(visit).is_none();
        let wallet = Elsewhere::all(visit).find(|w| around(w) && w.place(visit) == Place::Inside)?;
        let Known::Is(payer) = known(visit, wallet.id) else { return None };
        let mac = guest_mac(visit.app.networks.vault.compare_key(), wallet.id, &payer);
        Some(Self { wallet, mac })
    }

    /// What they open for their wallet.
    pub(super) fn app(&self, visit: &Visit) -> String {
        self.wallet.app(visit)
    }

    /// Their number here and what they pay with, once they have paid or tried to.
    pub(super) async fn known(&self, visit: &Visit) -> Result<Option<(PersonId, CardId)>, Refusal> {
        let mac = self.mac;
        let owner = visit.read(move |r| r.get::<CardOwner>(&mac)).await?;
        Ok(owner.and_then(|owner| owner.card.map(|card| (owner.person, card))))
    }

    /// Has their wallet ask for what they said, and waits until it is about to.
    pub(super) async fn pay(&self, visit: &Visit, said: AtCode) -> Result<Order, Refusal> {
        let (zh, en) = (self.wallet.face.zh.to_owned(), self.wallet.face.en.to_owned());
        let at = self.wallet.where_they_are(visit)?;
        let mut events = visit.app.engine.events();
        let pay = PayAsGuest { network: self.wallet.id, mac: self.mac, zh, en, at, said };
        let order = visit.submit(pay).await?;
        if let Some(attempt) = order.attempt {
            let ended = opened(visit, &mut events, self.wallet.id, attempt).await;
            if let Some(refusal) = ended.as_ref().and_then(|ended| failure(visit, ended)) {
                return Err(refusal);
            }
        }
        Ok(order)
    }
}

/// The apps that a printed code works in for those without a session.
pub(super) fn works_inside(visit: &Visit) -> Vec<AppThatWorks> {
    let inside = |w: &Elsewhere<'_>| w.face.asks_who && w.face.places.contains(&Place::Inside);
    let app = |w: Elsewhere<'_>| {
        let silent = w.unusable(visit) == Some(Unusable::DidNotSay);
        AppThatWorks {
            name: w.app(visit),
            unusable: (!w.line.is_up()).then_some(Unusable::WalletDown),
            ask: silent.then(|| w.ask_path(visit)),
        }
    };
    Elsewhere::all(visit).filter(inside).map(app).collect()
}

/// Whoever is here: with a session, or as a guest.
///
/// # Errors
/// `SignedOut`.
pub(super) async fn payer(visit: &Visit) -> Result<PersonId, Refusal> {
    let Some(guest) = GuestAt::find(visit) else { return visit.person() };
    guest.known(visit).await?.map(|(guest, _)| guest).ok_or(Refusal::SignedOut)
}

fn known(visit: &Visit, network: NetworkId) -> Known {
    match Slip::open(visit, network, visit.payer.as_deref()) {
        Some(What::Known { payer: Some(payer) }) => Known::Is(Secret::new(payer)),
        Some(What::Known { payer: None }) => Known::Refused,
        _ => Known::NotAsked,
    }
}

/// A call to another wallet that its person is to agree to.
pub(super) struct Open {
    attempt: Attempt,
    open: OpenAttempt,
}

impl Open {
    /// Of an attempt, if it is one and is open.
    pub(super) fn of(r: &Reader, attempt: &Attempt) -> Result<Option<Self>, StoreError> {
        let Some(open) = r.get::<OpenAttempt>(&attempt.id)? else { return Ok(None) };
        let card = r.get::<Card>(&attempt.card)?.expect("an attempt has its card");
        let is_one = card.kind == CardKind::Wallet && attempt.kind != AttemptKind::CardRefund;
        Ok(is_one.then(|| Self { attempt: attempt.clone(), open }))
    }

    /// The way there, while its person may still go. Whoever looks is waiting, so the network is asked a little more often.
    pub(super) async fn way(&self, visit: &Visit, here: &str) -> Option<Way> {
        let now = visit.now();
        self.ask(visit).await;
        let wallet = Elsewhere::of(visit, self.attempt.network)?;
        if self.open.send_until <= now {
            return None;
        }
        let invitation = wallet.line.invitations()?.get(&self.attempt.id.wire(), now);
        let pays = self.attempt.kind != AttemptKind::Payout;
        let how = match invitation {
            Some(Invitation::Scan(code)) => How::Scan { drawn: squares(&code)?, code },
            Some(Invitation::Visit(url)) => How::Visit(url),
            Some(Invitation::CallUp { call, parameters }) if wallet.is_around(visit) => {
                How::CallUp { call, parameters }
            }
            Some(Invitation::CallUp { .. }) => How::OpenThere,
            // What is paid out may need nobody's agreement.
            None if !pays => return None,
            None => How::Opening,
        };
        let (id, until) = (self.attempt.id.wire(), self.open.send_until);
        Some(Way { id, app: wallet.app(visit), how, pays, here: here.to_owned(), until })
    }

    /// Once nobody is to pay any more: when it is certain that nobody did, at the latest.
    pub(super) fn over(&self, visit: &Visit) -> Option<Timestamp> {
        let over = self.attempt.created_at.plus(OVER_ELSEWHERE_MS);
        (self.open.send_until <= visit.now()).then_some(over)
    }

    /// Has the network asked how it went, unless it was a moment ago.
    async fn ask(&self, visit: &Visit) {
        let now = visit.now();
        if self.open.next_at > now && now.since(self.open.last_try()) >= ASK_EVERY_MS {
            let asked = HearOfAttempt { attempt: self.attempt.id };
            // It is due sooner or later anyway.
            let _asked = visit.app.engine.submit(asked).await;
        }
    }
}

impl Way {
    /// As programs are told.
    pub(super) fn json(&self) -> Value {
        let mut value = json!({"id": self.id, "app": self.app, "until_ms": self.until.0});
        value["kind"] = self.how.kind().into();
        match &self.how {
            How::Scan { code, .. } => value["code"] = code.as_str().into(),
            How::Visit(url) => value["url"] = url.as_str().into(),
            How::CallUp { call, parameters } => {
                value["call"] = (*call).into();
                value["parameters"] = parameters.as_str().into();
            }
            How::OpenThere | How::Opening => {}
        }
        value
    }
}

/// Waits until the way to another wallet is open, or until the attempt has ended, as it is returned then, but no longer than a
/// person waits for a page.
pub(super) async fn opened(
    visit: &Visit,
    events: &mut Receiver<Event>,
    network: NetworkId,
    attempt: AttemptId,
) -> Option<Attempt> {
    let open = visit.app.networks.outside.get(network).and_then(|line| line.invitations())?;
    let number = attempt.wire();
    tokio::select! {
        _way = open.wait(&number, visit.now(), PATIENCE) => None,
        ended = outcome(visit, events, attempt) => ended,
    }
}

/// The page that shows how an attempt of a person's or of a guest's goes.
fn page_of(r: &Reader, attempt: &Attempt) -> Result<Option<String>, StoreError> {
    match attempt.kind {
        AttemptKind::CardPayment => {
            let order = attempt.order.map_or(Ok(None), |order| r.get::<Order>(&order))?;
            let page = if r.get::<Guest>(&attempt.person)?.is_some() { "guest" } else { "pay" };
            Ok(order.map(|order| format!("/{page}/{}", token_text(&order.code))))
        }
        AttemptKind::TopUp => {
            Ok(r.top_up_number(attempt.person, attempt.id)?.map(|number| format!("/top-up/{number}")))
        }
        AttemptKind::Payout => {
            let withdrawal = attempt.withdrawal.map_or(Ok(None), |id| r.get::<Withdrawal>(&id))?;
            Ok(withdrawal.map(|withdrawal| format!("/withdraw/{}", withdrawal.number)))
        }
        AttemptKind::CardRefund => Ok(None),
    }
}

/// A person's or guest's own attempt by its id in a path, and the page that shows it.
async fn own_attempt(visit: &Visit, id: &str) -> Result<(Attempt, Option<Open>, String), Refusal> {
    let person = payer(visit).await?;
    let id = AttemptId::parse(id).ok_or(Refusal::RecordUnknown)?;
    let read = visit.read(move |r| {
        let Some(attempt) = r.get::<Attempt>(&id)?.filter(|a| a.person == person) else { return Ok(None) };
        let page = page_of(r, &attempt)?;
        let open = Open::of(r, &attempt)?;
        Ok(page.map(|page| (attempt, open, page)))
    });
    read.await?.ok_or(Refusal::RecordUnknown)
}

/// `GET /elsewhere/{id}`: where another wallet sends a person back to. How it went, the network is asked.
pub(super) async fn returned(visit: Visit, Path(id): Path<String>) -> Response {
    let result = async {
        let (_, open, page) = own_attempt(&visit, &id).await?;
        if let Some(open) = open {
            open.ask(&visit).await;
        }
        Ok(answer::go(&page))
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /elsewhere/{id}/give-up`: the person pays another way, or not at all.
pub(super) async fn give_up(SentTo(visit, _, id): SentTo) -> Response {
    let result = async {
        let (attempt, _, page) = own_attempt(&visit, &id).await?;
        let mut events = visit.app.engine.events();
        visit.submit(GiveUp { person: attempt.person, attempt: attempt.id }).await?;
        let _as_the_page_reads_it = outcome(&visit, &mut events, attempt.id).await;
        Ok(if visit.json { answer::data(json!({ "page": page })) } else { answer::go(&page) })
    };
    let result = result.await;
    visit.settle(result)
}

#[derive(Deserialize)]
pub(super) struct Onward {
    next: Option<String>,
}

/// `GET /elsewhere/{network}/who`: off to the other wallet's page that says who the person is there.
pub(super) async fn ask_who(
    visit: Visit,
    Path(number): Path<String>,
    Query(onward): Query<Onward>,
) -> Response {
    let result = (|| {
        let wallet = Elsewhere::named(&visit, &number)?;
        let next = own_path(onward.next.as_deref()).unwrap_or_else(|| "/".to_owned());
        let state = nonce();
        let url = wallet.who_page(&visit, &state)?;
        let what = What::Who { state, next };
        let cookie = Slip::cookie(&visit, ERRAND, wallet.id, what, ERRAND_MS);
        let mut response = answer::go(&url);
        set_cookie(&mut response, &cookie);
        Ok(response)
    })();
    visit.settle(result)
}

impl Elsewhere<'_> {
    /// The path where it is asked who the person is, to come back to this page with that.
    fn ask_path(&self, visit: &Visit) -> String {
        format!("/elsewhere/{}/who?next={}", self.id.0, visit.path)
    }

    /// The other wallet's page that says who the person is, and comes back here.
    fn who_page(&self, visit: &Visit, state: &str) -> Result<String, Refusal> {
        let back = format!("{}/elsewhere/{}/back", visit.app.origin, self.id.0);
        self.line.ask_who_at(&back, state).ok_or(Refusal::RecordUnknown)
    }
}

/// What the other wallet's page brings back. Alipay calls its code `auth_code`.
#[derive(Deserialize)]
pub(super) struct Brought {
    #[serde(alias = "auth_code")]
    code: Option<String>,
    state: Option<String>,
}

/// `GET /elsewhere/{network}/back`: the person comes back from there, with a code that says who they are.
pub(super) async fn back(
    visit: Visit,
    Path(number): Path<String>,
    Query(brought): Query<Brought>,
    headers: axum::http::HeaderMap,
) -> Response {
    let result = async {
        let wallet = Elsewhere::named(&visit, &number)?;
        let errand = super::visit::cookie(&headers, ERRAND);
        let errand = Slip::open(&visit, wallet.id, errand).ok_or(Refusal::CallUpStale)?;
        let (What::Who { state, .. } | What::Link { state, .. }) = &errand else {
            return Err(Refusal::CallUpInvalid);
        };
        if brought.state.as_deref() != Some(state.as_str()) {
            return Err(Refusal::CallUpInvalid);
        }
        let code = brought.code.filter(|code| (1..=512).contains(&code.len()));
        let who = match code {
            Some(code) => wallet.line.who(Secret::new(code)).await,
            None => Who::Refused,
        };
        let mut response = match errand {
            What::Link { card, .. } => wallet.linked(&visit, CardId(card), who).await?,
            What::Who { next, .. } => {
                let (payer, life) = match &who {
                    Who::Is(payer) => (Some(payer.expose().clone()), KNOWN_MS),
                    Who::Refused | Who::Unknown => (None, UNKNOWN_MS),
                };
                let cookie = Slip::cookie(&visit, PAYER, wallet.id, What::Known { payer }, life);
                let mut response = answer::go(&next);
                set_cookie(&mut response, &cookie);
                response
            }
            What::Known { .. } => return Err(Refusal::CallUpInvalid),
        };
        set_cookie(&mut response, &cookie_text(ERRAND, "", "/", 0, visit.app.secure));
        Ok(response)
    };
    let result = result.await;
    visit.settle(result)
}

impl Elsewhere<'_> {
    /// Links who came back. That they might, was asked for with the payment password.
    async fn linked(&self, visit: &Visit, card: CardId, who: Who) -> Result<Response, Refusal> {
        let person = visit.person()?;
        let Who::Is(token) = who else { return Err(Refusal::WalletDidNotSay) };
        let token_sealed = visit.app.networks.vault.seal(Sealed::AtWallet, token.expose().as_bytes());
        visit.submit(LinkWallet { person, card, token_sealed }).await?;
        tracing::info!(network = self.line.name(), person = person.wire(), "linked");
        Ok(answer::go(&format!("/wallets/{}?linked=1", self.id.0)))
    }

    async fn page(
        &self,
        visit: &Visit,
        just_linked: bool,
        refusal: Option<Refusal>,
    ) -> Result<Response, Refusal> {
        let person = visit.person()?;
        let card = self.known_card(visit, person).await?;
        let linked = card.is_some_and(|card| !card.token_sealed.is_empty());
        if visit.json && refusal.is_none() {
            return Ok(answer::data(self.json(visit, linked)));
        }
        let page = WalletPage {
            l: visit.l,
            network: self.id.0,
            wallet: self.name(visit),
            app: self.app(visit),
            up: self.line.is_up(),
            link: match (self.face.pays_out, linked) {
                (false, _) => Link::NotOffered,
                (true, true) if just_linked => Link::JustNow,
                (true, true) => Link::Done,
                (true, false) if self.face.who_inside_only && !self.is_around(visit) => Link::OnlyThere,
                (true, false) => Link::Possible,
            },
            has_payment_password: visit.read(move |r| r.get::<PaymentPassword>(&person)).await?.is_some(),
            refused: refusal.map(|r| answer::refused(visit, r)),
        };
        Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
    }
}

#[derive(Deserialize)]
pub(super) struct Linked {
    linked: Option<u8>,
}

/// `GET /wallets/{network}`.
pub(super) async fn page(visit: Visit, Path(number): Path<String>, Query(query): Query<Linked>) -> Response {
    let result =
        async { Elsewhere::named(&visit, &number)?.page(&visit, query.linked.is_some(), None).await };
    let result = result.await;
    visit.settle(result)
}

/// `POST /wallets/{network}/link`: with the payment password, off to say who the person is there.
pub(super) async fn link(SentTo(visit, fields, number): SentTo) -> Response {
    let allowed = async {
        let (person, wallet) = (visit.person()?, Elsewhere::named(&visit, &number)?);
        let pin = fields.pin("payment_password")?;
        let card = wallet.opened(&visit, person).await?.id;
        visit.submit(AllowLink { person, card, pin }).await?;
        let state = nonce();
        let url = wallet.who_page(&visit, &state)?;
        let cookie = Slip::cookie(&visit, ERRAND, wallet.id, What::Link { state, card: card.0 }, ERRAND_MS);
        // A form may not lead to another origin, so a page of ours goes on by itself.
        let mut response = if visit.json {
            answer::data(json!({ "go": url }))
        } else {
            answer::ok(&LeavingPage { l: visit.l, app: wallet.app(&visit), url })
        };
        set_cookie(&mut response, &cookie);
        Ok(response)
    };
    or_the_page(&visit, &number, allowed.await).await
}

/// `POST /wallets/{network}/unlink`.
pub(super) async fn unlink(SentTo(visit, fields, number): SentTo) -> Response {
    let ended = async {
        let (person, wallet) = (visit.person()?, Elsewhere::named(&visit, &number)?);
        let pin = fields.pin("payment_password")?;
        let card = wallet.known_card(&visit, person).await?.ok_or(Refusal::CardUnknown)?.id;
        visit.submit(AllowLink { person, card, pin }).await?;
        visit.submit(LinkWallet { person, card, token_sealed: vec![] }).await?;
        if visit.json { wallet.page(&visit, false, None).await } else { Ok(answer::go("/cards")) }
    };
    or_the_page(&visit, &number, ended.await).await
}

/// The answer, or the wallet's page with what was refused.
async fn or_the_page(visit: &Visit, number: &str, result: Result<Response, Refusal>) -> Response {
    match result {
        Err(refusal) if !visit.json && refusal != Refusal::SignedOut => {
            let again = async { Elsewhere::named(visit, number)?.page(visit, false, Some(refusal)).await };
            let again = again.await;
            visit.settle(again)
        }
        result => visit.settle(result),
    }
}
