//! The payment page: what is to be paid and how, and then how it went. All state is on the server, so a page that was
//! cut off resumes where the payment stands.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::id::PersonId;
use koudai_core::ledger::AccountId;
use koudai_core::money::Money;
use koudai_core::order::OrderStanding;
use koudai_core::payment::Pay;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Attempt, AttemptState, Card, Merchant, Order, OrderCode, PaymentPassword};
use koudai_networks::platform::parse_token;
use koudai_store::{Reader, StoreError};
use serde_json::{Value, json};

use super::cards::SentTo;
use super::home::balance;
use super::pages::{Method, PayPage, PayResultPage, PayState, Refused, Unusable};
use super::top_up::{failure, outcome};
use super::visit::Visit;
use super::{answer, fields};
use crate::catalogue;

/// How many of a person's newest attempts are searched for a failed one at this order.
const ATTEMPTS: i64 = 20;
/// How many of a person's newest journals are searched for this merchant.
const LOOK_BACK: i64 = 100;

/// Everything the page of an order shows a person.
struct View {
    token: String,
    order: Order,
    merchant: Merchant,
    code_stale: bool,
    person: PersonId,
    balance: Money,
    cards: Vec<Card>,
    card: Option<Card>,
    has_payment_password: bool,
    first_time: bool,
    /// This person's newest attempt at this order, if it failed.
    failed: Option<Attempt>,
    since: Option<koudai_core::time::Timestamp>,
}

impl View {
    async fn read(visit: &Visit, name: &str) -> Result<Self, Refusal> {
        let person = visit.person()?;
        let token = parse_token(name).ok_or(Refusal::CodeStale)?;
        let (token_text, now) = (name.to_owned(), visit.now());
        let read = visit.read(move |r| {
            let Some(code) = r.get::<OrderCode>(&token)? else { return Ok(None) };
            let order = r.get::<Order>(&code.order)?.expect("a code has its order");
            let merchant = r.get::<Merchant>(&order.mchid)?.expect("an order has its merchant");
            let attempt = match order.attempt {
                Some(id) => r.get::<Attempt>(&id)?,
                None => None,
            };
            let newest = r.attempts_of(person, ATTEMPTS)?.into_iter().find(|a| a.order == Some(order.id));
            Ok(Some(Self {
                token: token_text,
                code_stale: now >= code.expires_at,
                person,
                balance: balance(r, AccountId::person(person))?,
                cards: r.cards_of(person)?,
                card: match order.card {
                    Some(card) => r.get::<Card>(&card)?,
                    None => None,
                },
                has_payment_password: r.get::<PaymentPassword>(&person)?.is_some(),
                first_time: first_time(r, person, &merchant)?,
                failed: newest.filter(|a| a.state == AttemptState::Failed && a.refund.is_none()),
                since: attempt.map(|a| a.created_at),
                order,
                merchant,
            }))
        });
        read.await?.ok_or(Refusal::CodeStale)
    }

    fn is_mine(&self) -> bool {
        self.order.payer == Some(self.person)
    }

    /// A refusal in the words that fit this order: what else could pay it.
    fn refused(&self, visit: &Visit, refusal: Refusal) -> Refused {
        let mut refused = answer::refused(visit, refusal);
        if catalogue::is_of_the_card(refusal) && self.balance_covers() {
            refused.wording.next = catalogue::next_by_balance(visit.l);
        }
        refused
    }

    fn balance_covers(&self) -> bool {
        self.balance.checked_sub(self.order.amount).is_ok()
    }

    fn methods(&self, visit: &Visit) -> Vec<Method> {
        let l = visit.l;
        let bank_up = visit.app.networks.health.bank_up();
        let mut methods = vec![Method {
            method: "balance".to_owned(),
            label: l.say("零钱", "Balance").to_owned(),
            balance: Some(self.balance),
            unusable: (!self.balance_covers()).then_some(Unusable::NotEnough),
        }];
        methods.extend(self.cards.iter().map(|card| Method {
            method: card.id.wire(),
            label: answer::card_line(card, l).name(l),
            balance: None,
            unusable: (!bank_up).then_some(Unusable::BankDown),
        }));
        methods
    }

    /// Whether the code is too old to pay by. How an order went is told whatever became of its code.
    fn is_stale(&self, visit: &Visit) -> bool {
        self.code_stale && self.order.standing(visit.now()) == OrderStanding::Payable
    }

    fn paid_with(&self, visit: &Visit) -> String {
        let l = visit.l;
        self.card
            .as_ref()
            .map_or_else(|| l.say("零钱", "Balance").to_owned(), |card| answer::card_line(card, l).name(l))
    }

    fn json(&self, visit: &Visit) -> Value {
        let methods: Vec<Value> = self
            .methods(visit)
            .into_iter()
            .map(|m| {
                let mut value = json!({"method": m.method, "label": m.label, "usable": m.unusable.is_none()});
                if let Some(why) = m.unusable {
                    value["why"] = why.wording(visit.l).into();
                }
                value
            })
            .collect();
        let mut value = json!({
            "state": word(&self.order, visit),
            "merchant": self.merchant.name,
            "description": &*self.order.description,
            "amount": answer::money(self.order.amount),
            "order_no": &*self.order.out_trade_no,
            "methods": methods,
            "paid_by_you": self.is_mine() && self.order.paid_at.is_some(),
        });
        if self.is_mine() {
            value["method"] =
                self.order.card.map_or_else(|| "balance".to_owned(), koudai_core::id::CardId::wire).into();
            if self.order.paid_at.is_some() {
                value["record"] = format!("/records/{}", self.order.id.wire()).into();
            } else if let Some(since) = self.since {
                value["since_ms"] = since.0.into();
            }
        } else if let Some(refusal) = self.failed.as_ref().and_then(failure) {
            value["refusal"] = answer::refused_json(&self.refused(visit, refusal));
        }
        value
    }

    fn page(&self, visit: &Visit, chosen: Option<String>, refusal: Option<Refusal>) -> Response {
        let state = match self.order.standing(visit.now()) {
            OrderStanding::Payable if self.is_stale(visit) => return visit.refuse(Refusal::CodeStale),
            OrderStanding::Payable => {
                let earlier = self.failed.as_ref().filter(|_| refusal.is_none());
                let refusal = refusal.or_else(|| earlier.and_then(failure));
                let tried = chosen.clone().or_else(|| earlier.map(|attempt| attempt.card.wire()));
                let page = PayPage {
                    l: visit.l,
                    token: self.token.clone(),
                    merchant: self.merchant.name.clone(),
                    verified: true,
                    first_time: self.first_time,
                    description: self.order.description.to_string(),
                    amount: self.order.amount,
                    order_no: self.order.out_trade_no.to_string(),
                    methods: self.methods(visit),
                    chosen,
                    failed: tried.filter(|_| refusal.is_some_and(catalogue::is_of_the_card)),
                    has_payment_password: self.has_payment_password,
                    refused: refusal.map(|r| self.refused(visit, r)),
                };
                return answer::page(refusal.map_or(StatusCode::OK, answer::status), &page);
            }
            OrderStanding::Paying if self.is_mine() => {
                PayState::Pending { since: self.since.unwrap_or_else(|| visit.now()) }
            }
            OrderStanding::Paying => PayState::Refused(answer::refused(visit, Refusal::OrderBeingPaid)),
            OrderStanding::Paid | OrderStanding::Refunded if self.is_mine() => PayState::Paid {
                method: self.paid_with(visit),
                at: self.order.paid_at.unwrap_or_else(|| visit.now()),
                record_id: self.order.id.wire(),
                merchant_url: None,
            },
            OrderStanding::Paid | OrderStanding::Refunded => {
                PayState::PaidByAnother(answer::refused(visit, Refusal::OrderAlreadyPaid))
            }
            OrderStanding::Closed => PayState::Closed(answer::refused(visit, Refusal::OrderClosed)),
            OrderStanding::Expired => PayState::Expired(answer::refused(visit, Refusal::OrderExpired)),
        };
        answer::ok(&PayResultPage {
            l: visit.l,
            token: self.token.clone(),
            merchant: self.merchant.name.clone(),
            amount: self.order.amount,
            order_no: self.order.out_trade_no.to_string(),
            state,
        })
    }
}

/// The words of `GET /pay/{token}` for how an order stands.
fn word(order: &Order, visit: &Visit) -> &'static str {
    match order.standing(visit.now()) {
        OrderStanding::Payable => "payable",
        OrderStanding::Paying => "pending",
        OrderStanding::Paid | OrderStanding::Refunded => "paid",
        OrderStanding::Closed => "closed",
        OrderStanding::Expired => "expired",
    }
}

/// Whether none of a person's newest journals paid this merchant.
fn first_time(reader: &Reader, person: PersonId, merchant: &Merchant) -> Result<bool, StoreError> {
    let newest = reader.history(AccountId::person(person), None, LOOK_BACK)?;
    Ok(!newest.iter().any(|j| j.line(AccountId::merchant(merchant.mchid)).is_some()))
}

pub(super) async fn page(visit: Visit, Path(name): Path<String>) -> Response {
    match View::read(&visit, &name).await {
        Ok(view) if visit.json && view.is_stale(&visit) => visit.refuse(Refusal::CodeStale),
        Ok(view) if visit.json => answer::data(view.json(&visit)),
        Ok(view) => view.page(&visit, None, None),
        Err(refusal) => visit.refuse(refusal),
    }
}

pub(super) async fn pay(SentTo(visit, fields, name): SentTo) -> Response {
    let refusal = match submit(&visit, &fields, &name).await {
        // From here on the payment is on record: no error of a page's may read as a refusal.
        Ok(order) if visit.json => {
            let view = View::read(&visit, &name).await;
            return answer::data(
                view.map_or_else(|_| json!({ "state": word(&order, &visit) }), |v| v.json(&visit)),
            );
        }
        Ok(_) => return answer::go(&format!("/pay/{name}")),
        Err(refusal) => refusal,
    };
    if refusal == Refusal::SignedOut {
        return visit.refuse(refusal);
    }
    match View::read(&visit, &name).await {
        Ok(view) if visit.json => answer::refusal_reply(&visit, refusal, &view.refused(&visit, refusal)),
        Ok(view) => view.page(&visit, fields.get("method").map(str::to_owned), Some(refusal)),
        Err(_) => visit.refuse(refusal),
    }
}

/// The order as it stands once the payment was taken.
async fn submit(visit: &Visit, fields: &fields::Fields, name: &str) -> Result<Order, Refusal> {
    let person = visit.person()?;
    let view = View::read(visit, name).await?;
    if view.is_stale(visit) {
        return Err(Refusal::CodeStale);
    }
    let card = match fields.text("method") {
        "balance" => None,
        _ => Some(fields.card("method")?),
    };
    let pin = fields.pin("payment_password")?;
    let mut events = visit.app.engine.events();
    let order = visit.submit(Pay { person, order: view.order.id, card, pin }).await?;
    tracing::info!(
        order = order.id.wire(),
        person = person.wire(),
        mchid = order.mchid.wire(),
        attempt = order.attempt.map(koudai_core::id::AttemptId::wire),
        state = order.state.word(),
        reference = visit.reference,
        "pay"
    );
    // The bank usually answers at once; if it does not, the page says so and asks again.
    if let Some(attempt) = order.attempt {
        let attempt = outcome(visit, &mut events, attempt).await;
        if let Some(refusal) = attempt.as_ref().and_then(failure) {
            return Err(refusal);
        }
    }
    Ok(order)
}
