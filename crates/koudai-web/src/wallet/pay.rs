//! The payment page: what is to be paid and how, and then how it went. All state is on the server, so a page that was
//! cut off resumes where the payment stands.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::confirmation::Act;
use koudai_core::id::{MchId, PersonId};
use koudai_core::ledger::AccountId;
use koudai_core::money::Money;
use koudai_core::order::OrderStanding;
use koudai_core::payment::{Means, PayCode, Taken};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Attempt, AttemptState, Guest, Merchant, Order, OrderCode, PaymentPassword, Product};
use koudai_core::time::Timestamp;
use koudai_networks::platform::{parse_token, token_text};
use koudai_networks::protocol::device;
use koudai_store::{Reader, StoreError};
use serde_json::{Value, json};

use super::confirming::{by_passkey, confirmation};
use super::elsewhere::{Elsewhere, GuestAt, Open, opened, to_be_asked};
use super::fields::{Chosen, Fields, SentTo};
use super::pages::{Confirming, PayPage, PayResultPage, PayState, Refused, Way};
use super::purse::{self, Purse};
use super::return_to::{Outcome, way_back};
use super::top_up::{failure, outcome};
use super::visit::{Unrecognised, Visit};
use super::{answer, confirming, passkeys};
use crate::catalogue;

/// How many of a person's newest attempts are searched for a failed one at this order.
const ATTEMPTS: i64 = 20;
/// How many of a person's newest journals are searched for this merchant.
const LOOK_BACK: i64 = 100;

/// How an order stands for a person: what programs are told of it, and pages show.
struct Standing {
    order: Order,
    merchant: String,
    code_stale: bool,
    person: PersonId,
    purse: Purse,
    /// What this person is to agree to at another wallet.
    open: Option<Open>,
    /// This person's newest attempt at this order, if it failed.
    failed: Option<Attempt>,
    since: Option<Timestamp>,
    /// Whether it is a guest, whose pages are others.
    guest: bool,
}

/// What an order is held against that came of a printed code.
#[derive(Clone, Copy)]
struct Today {
    now: Timestamp,
    static_most: Money,
}

impl Today {
    fn of(visit: &Visit) -> Self {
        Self { now: visit.now(), static_most: visit.app.engine.policy().static_day_most }
    }
}

/// What a page shows besides.
struct View {
    token: String,
    standing: Standing,
    /// What it was paid with.
    method: String,
    has_payment_password: bool,
    by_passkey: bool,
    first_time: bool,
    payee: Merchant,
}

impl View {
    async fn read(visit: &Visit, person: PersonId, name: &str) -> Result<Self, Refusal> {
        let token = parse_token(name).ok_or(Refusal::CodeStale)?;
        let (token_text, today, l) = (name.to_owned(), Today::of(visit), visit.l);
        let passkeys = passkeys::are_offered(visit);
        let read = visit.read(move |r| {
            let Some((standing, payee)) = Standing::of(r, person, &token, today)? else { return Ok(None) };
            Ok(Some(Self {
                payee,
                token: token_text,
                method: purse::paid_with(r, &standing.order, l)?,
                has_payment_password: r.get::<PaymentPassword>(&person)?.is_some(),
                by_passkey: passkeys && by_passkey(r, person)?,
                first_time: first_time(r, person, standing.order.mchid)?,
                standing,
            }))
        });
        let view = read.await?.ok_or(Refusal::CodeStale)?;
        view.standing.check_is_for_them()?;
        Ok(view)
    }

    /// The way back to the page or app that this person came from.
    fn back(&self, visit: &Visit, outcome: Outcome) -> Option<String> {
        way_back(visit.came_from.as_deref(), visit.app.networks.reach, &self.payee, outcome)
    }

    async fn page(&self, visit: &Visit, chosen: Option<String>, refusal: Option<Refusal>) -> Response {
        if self.standing.order.standing(visit.now()) == OrderStanding::Payable {
            return self.payable(visit, chosen, refusal);
        }
        self.result(visit, None).await
    }

    /// The page of an order that may be paid.
    fn payable(&self, visit: &Visit, chosen: Option<String>, refusal: Option<Refusal>) -> Response {
        let standing = &self.standing;
        if standing.is_stale(visit) {
            return visit.refuse(Refusal::CodeStale);
        }
        // Nothing to decide on yet: a page that has to know first who this is.
        if refusal.is_none()
            && let Some(path) = to_be_asked(visit)
        {
            return answer::go(&path);
        }
        let earlier = standing.failed.as_ref().filter(|_| refusal.is_none());
        let refusal = refusal.or_else(|| earlier.and_then(|attempt| failure(visit, attempt)));
        let tried = chosen.clone().or_else(|| earlier.map(|attempt| attempt.card.wire()));
        let chosen = chosen.or_else(|| visit.last_method.clone());
        let page = PayPage {
            l: visit.l,
            token: self.token.clone(),
            merchant: standing.merchant.clone(),
            verified: true,
            first_time: self.first_time,
            description: standing.order.description.to_string(),
            amount: standing.order.amount,
            order_no: standing.order.out_trade_no.to_string(),
            methods: standing.purse.methods_by_hand(visit, standing.order.amount),
            chosen,
            failed: tried.filter(|_| refusal.is_some_and(catalogue::is_of_the_card)),
            confirming: Confirming::of(self.has_payment_password, self.by_passkey),
            refused: refusal.map(|r| standing.refused(visit, r)),
            back: self.back(visit, Outcome::Cancelled),
        };
        answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
    }

    /// The page of how a payment goes or went; a guest's leads to the page to pay `again` on, and nowhere else.
    async fn result(&self, visit: &Visit, again: Option<String>) -> Response {
        let standing = &self.standing;
        let state = match standing.order.standing(visit.now()) {
            // Whoever may choose has a page for that; a guest begins again.
            OrderStanding::Payable => {
                let failed = standing.failed.as_ref().and_then(|attempt| failure(visit, attempt));
                let refusal = failed.unwrap_or(Refusal::NotCompleted);
                PayState::Refused(answer::refused(visit, refusal))
            }
            OrderStanding::Paying if standing.is_mine() => match standing.way(visit).await {
                Some(way) => PayState::Elsewhere(way),
                None => PayState::Pending {
                    since: standing.since.unwrap_or_else(|| visit.now()),
                    over: standing.open.as_ref().and_then(|open| open.over(visit)),
                },
            },
            OrderStanding::Paying => PayState::Refused(answer::refused(visit, Refusal::OrderBeingPaid)),
            OrderStanding::Paid | OrderStanding::Refunded if standing.is_mine() => PayState::Paid {
                method: self.method.clone(),
                at: standing.order.paid_at.unwrap_or_else(|| visit.now()),
                record_id: standing.order.id.wire(),
                merchant_url: self.back(visit, Outcome::Paid),
            },
            OrderStanding::Paid | OrderStanding::Refunded => {
                PayState::PaidByAnother(answer::refused(visit, Refusal::OrderAlreadyPaid))
            }
            // Only a code payment stands so, and nobody scans one.
            OrderStanding::Confirming | OrderStanding::Failed | OrderStanding::Reversed => {
                PayState::Closed(answer::refused(visit, Refusal::OrderClosed))
            }
            OrderStanding::Closed => PayState::Closed(answer::refused(visit, Refusal::OrderClosed)),
            OrderStanding::Expired => PayState::Expired(answer::refused(visit, Refusal::OrderExpired)),
        };
        answer::ok(&PayResultPage {
            l: visit.l,
            here: standing.here(),
            again,
            merchant: standing.merchant.clone(),
            amount: standing.order.amount,
            order_no: standing.order.out_trade_no.to_string(),
            state,
            back: self.back(visit, Outcome::Failed),
        })
    }
}

impl Standing {
    /// By the token of the order's code, and its merchant; `None` if there is no such code.
    fn of(
        r: &Reader,
        person: PersonId,
        token: &[u8; 16],
        today: Today,
    ) -> Result<Option<(Self, Merchant)>, StoreError> {
        let Some(code) = r.get::<OrderCode>(token)? else { return Ok(None) };
        let order = r.get::<Order>(&code.order)?.expect("a code has its order");
        let attempt = match order.attempt {
            Some(id) => r.get::<Attempt>(&id)?,
            None => None,
        };
        let newest = r.attempts_of(person, ATTEMPTS)?.into_iter().find(|a| a.order == Some(order.id));
        let payee = r.get::<Merchant>(&order.mchid)?.expect("an order has its merchant");
        let standing = Self {
            merchant: payee.name.clone(),
            code_stale: today.now >= code.expires_at,
            person,
            purse: Purse::for_order(r, person, &order, today.static_most, today.now)?,
            // A guest has orders of printed codes only.
            guest: order.product == Product::Static && r.get::<Guest>(&person)?.is_some(),
            failed: newest.filter(|a| a.state == AttemptState::Failed && a.refund.is_none()),
            since: attempt.as_ref().map(|a| a.created_at),
            open: attempt.map_or(Ok(None), |attempt| Open::of(r, &attempt))?,
            order,
        };
        Ok(Some((standing, payee)))
    }

    async fn read(visit: &Visit, person: PersonId, name: &str) -> Result<Self, Refusal> {
        let token = parse_token(name).ok_or(Refusal::CodeStale)?;
        let today = Today::of(visit);
        let read = visit.read(move |r| Self::of(r, person, &token, today)).await?;
        let (standing, _) = read.ok_or(Refusal::CodeStale)?;
        standing.check_is_for_them()?;
        Ok(standing)
    }

    /// An order that is meant for somebody is nobody else's to see.
    fn check_is_for_them(&self) -> Result<(), Refusal> {
        let theirs = self.order.meant_for.is_none_or(|person| person == self.person);
        if theirs { Ok(()) } else { Err(Refusal::OrderForAnother) }
    }

    /// Of an order that was just paid from the balance, of which the payment knows all but what else its payer has.
    async fn of_paid(visit: &Visit, taken: Taken) -> Result<Self, Refusal> {
        let Taken { person, order, merchant } = taken;
        let purse = visit.read(move |r| Purse::read(r, person)).await?;
        let (open, failed, since) = (None, None, None);
        Ok(Self { order, merchant, code_stale: false, person, purse, open, failed, since, guest: false })
    }

    /// The page that shows how it stands.
    fn here(&self) -> String {
        format!("/{}/{}", if self.guest { "guest" } else { "pay" }, token_text(&self.order.code))
    }

    fn is_mine(&self) -> bool {
        self.order.payer == Some(self.person)
    }

    /// A refusal in the words that fit this order: what else could pay it.
    fn refused(&self, visit: &Visit, refusal: Refusal) -> Refused {
        let mut refused = answer::refused(visit, refusal);
        if catalogue::is_of_the_card(refusal) && self.purse.covers(self.order.amount) {
            refused.wording.next = catalogue::next_by_balance(visit.l);
        }
        refused
    }

    /// Whether the code is too old to pay by. How an order went is told whatever became of its code.
    fn is_stale(&self, visit: &Visit) -> bool {
        self.code_stale && self.order.standing(visit.now()) == OrderStanding::Payable
    }

    /// The way to the other wallet that this person is to agree at.
    async fn way(&self, visit: &Visit) -> Option<Way> {
        let open = self.open.as_ref().filter(|_| self.is_mine())?;
        open.way(visit, &self.here()).await
    }

    async fn json(&self, visit: &Visit) -> Value {
        let mut value = json!({
            "state": word(&self.order, visit),
            "merchant": self.merchant,
            "description": &*self.order.description,
            "amount": answer::money(self.order.amount),
            "order_no": &*self.order.out_trade_no,
            "methods": self.purse.methods_json(visit, self.order.amount),
            "paid_by_you": self.is_mine() && self.order.paid_at.is_some(),
        });
        if self.is_mine() {
            value["method"] = purse::word(self.order.card).into();
            if self.order.paid_at.is_some() {
                value["record"] = format!("/records/{}", self.order.id.wire()).into();
            } else if let Some(since) = self.since {
                value["since_ms"] = since.0.into();
                value["way"] = self.way(visit).await.map(|way| way.json()).into();
            }
        } else if let Some(refusal) = self.failed.as_ref().and_then(|attempt| failure(visit, attempt)) {
            value["refusal"] = answer::refused_json(&self.refused(visit, refusal));
        }
        value
    }
}

/// The words of `GET /pay/{token}` for how an order stands.
fn word(order: &Order, visit: &Visit) -> &'static str {
    match order.standing(visit.now()) {
        OrderStanding::Payable => "payable",
        OrderStanding::Paying => "pending",
        OrderStanding::Paid | OrderStanding::Refunded => "paid",
        OrderStanding::Closed
        | OrderStanding::Confirming
        | OrderStanding::Failed
        | OrderStanding::Reversed => "closed",
        OrderStanding::Expired => "expired",
    }
}

/// Whether none of a person's newest journals paid this merchant.
pub(super) fn first_time(reader: &Reader, person: PersonId, mchid: MchId) -> Result<bool, StoreError> {
    let newest = reader.history(AccountId::person(person), None, LOOK_BACK)?;
    Ok(!newest.iter().any(|j| j.line(AccountId::merchant(mchid)).is_some()))
}

pub(super) async fn page(visit: Visit, Path(name): Path<String>) -> Response {
    let result = async {
        let person = visit.person()?;
        if visit.json {
            let standing = Standing::read(&visit, person, &name).await?;
            if standing.is_stale(&visit) {
                Err(Refusal::CodeStale)
            } else {
                Ok(answer::data(standing.json(&visit).await))
            }
        } else {
            Ok(View::read(&visit, person, &name).await?.page(&visit, None, None).await)
        }
    };
    let result = result.await;
    visit.settle(result)
}

/// `GET /guest/{token}`: how a guest's payment goes.
pub(super) async fn guest(visit: Visit, Path(name): Path<String>) -> Response {
    let result = async {
        if let Some(path) = to_be_asked(&visit).filter(|_| !visit.json && visit.person().is_err()) {
            return Ok(answer::go(&path));
        }
        let guest = GuestAt::find(&visit).ok_or(Refusal::WalletNotHere)?;
        let (person, _) = guest.known(&visit).await?.ok_or(Refusal::OrderForAnother)?;
        if visit.json {
            return Ok(answer::data(Standing::read(&visit, person, &name).await?.json(&visit).await));
        }
        let view = View::read(&visit, person, &name).await?;
        let code = view.standing.order.scene_info.as_deref().and_then(device);
        let again = code.map_or_else(|| "/".to_owned(), |code| format!("/s/{code}"));
        Ok(view.result(&visit, Some(again)).await)
    };
    let result = result.await;
    visit.settle(result)
}

/// What is paid with. Another wallet has to know first who somebody is there.
async fn means_of(visit: &Visit, chosen: &Chosen) -> Result<Means, Refusal> {
    match chosen {
        Chosen::Own(means) => Ok(means.clone()),
        Chosen::Wallet(id) => Elsewhere::at(visit, *id).await.map(|(card, at)| Means::Wallet { card, at }),
    }
}

/// `POST /pay/{token}/passkey`: what to have a passkey confirm this payment with.
pub(super) async fn passkey(SentTo(visit, fields, name): SentTo) -> Response {
    let result = async {
        let standing = Standing::read(&visit, visit.person()?, &name).await?;
        let means = means_of(&visit, &fields.means()?).await?;
        confirming::options(&visit, &Act::pay(&standing.order, &means)).await
    };
    let result = result.await;
    visit.settle(result)
}

/// Pays. Who sends it is for the payment itself to find out, in the same decision, and is looked up here only if that
/// refuses.
pub(super) async fn pay(
    Unrecognised(visit): Unrecognised,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let name = name.map_or_else(|_| String::new(), |Path(name)| name);
    match Fields::read(&visit, request).await {
        Ok(fields) => answered(visit, &fields, &name).await,
        Err(refused) => refused,
    }
}

async fn answered(mut visit: Visit, fields: &Fields, name: &str) -> Response {
    let refusal = match submit(&mut visit, fields, name).await {
        // From here on the payment is on record: no error of a page's may read as a refusal.
        Ok(taken) => {
            let mut response = if visit.json {
                paid_json(&mut visit, taken, name).await
            } else {
                answer::go(&format!("/pay/{name}"))
            };
            purse::remember(&visit, &mut response, fields.text("method"));
            return response;
        }
        Err(refusal) => refusal,
    };
    if refusal == Refusal::SignedOut || visit.recognise().await.is_err() {
        return visit.refuse(refusal);
    }
    let Ok(person) = visit.person() else { return visit.refuse(refusal) };
    if visit.json {
        return match Standing::read(&visit, person, name).await {
            Ok(standing) => answer::refusal_reply(&visit, refusal, &standing.refused(&visit, refusal)),
            Err(_) => visit.refuse(refusal),
        };
    }
    match View::read(&visit, person, name).await {
        Ok(view) => view.page(&visit, fields.get("method").map(str::to_owned), Some(refusal)).await,
        Err(_) => visit.refuse(refusal),
    }
}

/// The order as it stands once the payment was taken.
async fn paid_json(visit: &mut Visit, taken: Taken, name: &str) -> Response {
    let state = word(&taken.order, visit);
    let standing = if taken.order.card.is_none() {
        Standing::of_paid(visit, taken).await
    } else {
        match visit.recognise().await {
            Ok(()) => Standing::read(visit, taken.person, name).await,
            Err(refusal) => Err(refusal),
        }
    };
    answer::data(match standing {
        Ok(standing) => standing.json(visit).await,
        Err(_) => json!({ "state": state }),
    })
}

/// The payment, once it was taken.
async fn submit(visit: &mut Visit, fields: &Fields, name: &str) -> Result<Taken, Refusal> {
    let session = visit.token_hash().ok_or(Refusal::SignedOut)?;
    let means = fields.means();
    let confirmed = confirmation(visit, fields).await;
    let (Some(code), Ok(chosen), Ok(_)) = (parse_token(name), &means, &confirmed) else {
        // Whoever is signed out hears that first, and of an old code before what is wrong with the rest.
        visit.recognise().await?;
        if Standing::read(visit, visit.person()?, name).await?.is_stale(visit) {
            return Err(Refusal::CodeStale);
        }
        return Err(means.err().or(confirmed.err()).unwrap_or(Refusal::CodeStale));
    };
    let confirmed = confirmed?;
    let elsewhere = match chosen {
        Chosen::Own(_) => None,
        Chosen::Wallet(id) => {
            visit.recognise().await?;
            Some(*id)
        }
    };
    let means = means_of(visit, chosen).await?;
    // A card's bank is asked after the payment was taken; only then is there anything to listen to.
    let mut events = means.card().map(|_| visit.app.engine.events());
    let taken = visit.submit(PayCode { session, code, means, confirmed }).await?;
    let order = &taken.order;
    tracing::info!(
        order = order.id.wire(),
        person = taken.person.wire(),
        mchid = order.mchid.wire(),
        attempt = order.attempt.map(koudai_core::id::AttemptId::wire),
        state = order.state.word(),
        reference = visit.reference,
        "pay"
    );
    // The bank usually answers at once; if it does not, the page says so and asks again.
    if let (Some(attempt), Some(events)) = (order.attempt, &mut events) {
        let attempt = match elsewhere {
            None => outcome(visit, events, attempt).await,
            Some(wallet) => opened(visit, events, wallet, attempt).await,
        };
        if let Some(refusal) = attempt.as_ref().and_then(|attempt| failure(visit, attempt)) {
            return Err(refusal);
        }
    }
    Ok(taken)
}
