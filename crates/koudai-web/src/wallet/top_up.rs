//! Topping up the balance from a card or from another wallet.

use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::binding::person_refusal;
use koudai_core::card::CardKind;
use koudai_core::confirmation::Act;
use koudai_core::id::{AttemptId, CardId, PersonId};
use koudai_core::ledger::{AccountId, NetworkId};
use koudai_core::money::Money;
use koudai_core::other_wallet::{AtWallet, wallet_refusal};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Attempt, AttemptNumber, AttemptState, Card, ClientNumber, MoneyTally, NetworkRefusal, PaymentPassword,
};
use koudai_core::state::Event;
use koudai_core::top_up::StartTopUp;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use super::cards::fresh_number;
use super::confirming::{self, by_passkey, confirmation};
use super::elsewhere::{Elsewhere, Open, opened, to_be_asked};
use super::fields::{Fields, Sent, Source};
use super::home::balance;
use super::pages::{CardLine, TopUpPage, TopUpResultPage, TopUpState};
use super::visit::Visit;
use super::{answer, passkeys};

/// How long a request waits for a bank before it says "not known yet".
pub(super) const PATIENCE: Duration = Duration::from_millis(3_500);

/// What the forms of money in and out are made of.
pub(super) struct AtHand {
    pub(super) cards: Vec<Card>,
    pub(super) balance: Money,
    pub(super) has_payment_password: bool,
    /// Whether a passkey may confirm it.
    pub(super) by_passkey: bool,
    /// What the person moved today.
    pub(super) tally: MoneyTally,
}

/// What a person has at hand for a top-up or a withdrawal.
pub(super) async fn at_hand(visit: &Visit, person: PersonId) -> Result<AtHand, Refusal> {
    let (now, passkeys) = (visit.now(), passkeys::are_offered(visit));
    let read = visit.read(move |r| {
        Ok(AtHand {
            cards: r.cards_of(person)?,
            balance: balance(r, AccountId::person(person))?,
            has_payment_password: r.get::<PaymentPassword>(&person)?.is_some(),
            by_passkey: passkeys && by_passkey(r, person)?,
            tally: MoneyTally::at(r.get::<MoneyTally>(&person)?.as_ref(), person, now),
        })
    });
    read.await
}

/// Those of a person's cards that are cards.
pub(super) fn bank_cards(cards: &[Card]) -> impl Iterator<Item = &Card> {
    cards.iter().filter(|card| card.kind != CardKind::Wallet)
}

pub(super) async fn form(visit: Visit) -> Response {
    let result = form_page(&visit, None, None).await;
    visit.settle(result)
}

async fn form_page(
    visit: &Visit,
    fields: Option<&Fields>,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let person = visit.person()?;
    let AtHand { cards, balance, has_payment_password, by_passkey, tally } = at_hand(visit, person).await?;
    let policy = visit.app.engine.policy();
    if let Some(path) = to_be_asked(visit).filter(|_| refusal.is_none()) {
        return Ok(answer::go(&path));
    }
    let mut sources: Vec<CardLine> = bank_cards(&cards).map(|card| answer::card_now(visit, card)).collect();
    sources.extend(Elsewhere::all(visit).map(|wallet| wallet.source(visit)));
    let page = TopUpPage {
        l: visit.l,
        attempt_id: fresh_number(),
        cards: sources,
        chosen: fields.and_then(|f| f.get("card_id")).map(str::to_owned),
        amount: fields.map_or_else(String::new, |f| f.text("amount").chars().take(20).collect()),
        balance,
        least: policy.top_up_least,
        most: policy.top_up_most,
        day_left: tally.top_up_left(policy.top_up_day_most),
        fee: policy.top_up_fee,
        has_payment_password,
        by_passkey,
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

/// A top-up as a form asks for it.
struct Asked {
    number: String,
    source: Source,
    amount: Money,
}

impl Asked {
    fn read(fields: &Fields) -> Result<Self, Refusal> {
        let number = fields.number("attempt_id")?;
        Ok(Self { number, source: fields.source("card_id")?, amount: fields.amount("amount")? })
    }

    /// What pays, and where the person pays if it is at another wallet.
    async fn from(&self, visit: &Visit) -> Result<(CardId, Option<AtWallet>), Refusal> {
        match self.source {
            Source::Card(card) => Ok((card, None)),
            Source::Wallet(id) => Elsewhere::at(visit, id).await.map(|(card, at)| (card, Some(at))),
        }
    }
}

/// `POST /top-up/passkey`: what to have a passkey confirm this top-up with.
pub(super) async fn passkey(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let asked = Asked::read(&fields)?;
        let (card, _) = asked.from(&visit).await?;
        let (number, amount) = (&*asked.number, asked.amount);
        let fee = visit.app.engine.policy().top_up_fee(amount);
        confirming::options(&visit, &Act::TopUp { number, card, amount, fee }).await
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn start(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        let asked = Asked::read(&fields)?;
        let confirmed = confirmation(&visit, &fields).await?;
        let mut events = visit.app.engine.events();
        let (card, at) = asked.from(&visit).await?;
        let Asked { number, source, amount } = asked;
        let attempt = visit.submit(StartTopUp { person, number, card, at, amount, confirmed }).await?;
        let later = match source {
            Source::Card(_) => outcome(&visit, &mut events, attempt.id).await,
            Source::Wallet(id) => opened(&visit, &mut events, id, attempt.id).await,
        };
        let attempt = later.unwrap_or(attempt);
        match failure(&visit, &attempt) {
            Some(refusal) => Err(refusal),
            None => Ok(attempt),
        }
    };
    let result = result.await;
    match result {
        Ok(attempt) if visit.json => {
            let number = fields.text("attempt_id").to_owned();
            // From here on the top-up is on record: no error of a page's may read as a refusal.
            answer::data(top_up_json(&visit, &number, &attempt).await)
        }
        Ok(_) => answer::go(&format!("/top-up/{}", fields.text("attempt_id"))),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = form_page(&visit, Some(&fields), Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// The attempt once its outcome is known, or as it stands when patience runs out. It never fails: the attempt is
/// recorded, and a page that cannot be read now must not say that nothing was charged.
pub(super) async fn outcome(visit: &Visit, events: &mut Receiver<Event>, id: AttemptId) -> Option<Attempt> {
    let read = || visit.read(move |r| r.get::<Attempt>(&id));
    let attempt = read().await.ok().flatten()?;
    if attempt.state != AttemptState::Open {
        return Some(attempt);
    }
    let ended = async {
        // An event that is missed ends no wait before its time, and the look afterwards finds what it said.
        while !matches!(events.recv().await, Ok(Event::AttemptEnded(ended)) if ended == id) {
            if events.is_closed() {
                return;
            }
        }
    };
    let _late = tokio::time::timeout(PATIENCE, ended).await;
    read().await.ok().flatten()
}

/// Why an attempt failed, in a person's words.
pub(super) fn failure(visit: &Visit, attempt: &Attempt) -> Option<Refusal> {
    attempt.refusal.map(|refusal| in_words(visit, attempt.network, refusal))
}

/// A network's refusal in a person's words: a bank's, or another wallet's.
pub(super) fn in_words(visit: &Visit, network: NetworkId, refusal: NetworkRefusal) -> Refusal {
    match Elsewhere::of(visit, network) {
        Some(_) => wallet_refusal(refusal),
        None => person_refusal(refusal),
    }
}

const fn state_word(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Open => "pending",
        AttemptState::Succeeded => "succeeded",
        AttemptState::Failed => "failed",
    }
}

async fn top_up_json(visit: &Visit, number: &str, attempt: &Attempt) -> Value {
    let card = attempt.card;
    let card = visit.read(move |r| r.get::<Card>(&card)).await.ok().flatten();
    let mut value = json!({
        "attempt_id": number,
        "state": state_word(attempt.state),
        "amount": answer::money(attempt.amount),
        "fee": answer::money(attempt.fee),
        "card": card.map(|card| answer::card_json(&card, visit.l)),
        "since_ms": attempt.created_at.0,
        "record": format!("/records/{}", attempt.id.wire()),
    });
    if let Some(refusal) = failure(visit, attempt) {
        value["refusal"] = answer::refusal_json(visit, refusal);
    }
    let call = attempt.clone();
    let open = visit.read(move |r| Open::of(r, &call)).await.ok().flatten();
    if let Some(open) = open {
        value["way"] = open.way(visit, &format!("/top-up/{number}")).await.map(|way| way.json()).into();
    }
    value
}

pub(super) async fn result(visit: Visit, Path(number): Path<String>) -> Response {
    let result = async {
        let person = visit.person()?;
        let key = ClientNumber { person, number: number.chars().take(64).collect() };
        let found = visit
            .read(move |r| {
                let Some(known) = r.get::<AttemptNumber>(&key)? else { return Ok(None) };
                let attempt = r.get::<Attempt>(&known.attempt)?.expect("a number stands for an attempt");
                let card = r.get::<Card>(&attempt.card)?.expect("an attempt has its card");
                let open = Open::of(r, &attempt)?;
                Ok(Some((attempt, card, open, balance(r, AccountId::person(person))?)))
            })
            .await?;
        let (attempt, card, open, balance) = found.ok_or(Refusal::RecordUnknown)?;
        if visit.json {
            return Ok(answer::data(top_up_json(&visit, &number, &attempt).await));
        }
        let way = match &open {
            Some(open) => open.way(&visit, &format!("/top-up/{number}")).await,
            None => None,
        };
        let state = match attempt.state {
            AttemptState::Open => match way {
                Some(way) => TopUpState::Elsewhere(way),
                None => TopUpState::Pending { since: attempt.created_at },
            },
            AttemptState::Succeeded => TopUpState::Succeeded { record_id: attempt.id.wire(), balance },
            AttemptState::Failed => {
                let refusal = failure(&visit, &attempt).unwrap_or(Refusal::BankRefused);
                TopUpState::Failed(answer::refused(&visit, refusal))
            }
        };
        Ok(answer::ok(&TopUpResultPage {
            l: visit.l,
            attempt_id: number.clone(),
            state,
            amount: attempt.amount,
            fee: attempt.fee,
            card: answer::card_line(&card, visit.l).name(visit.l),
            at: attempt.created_at,
        }))
    };
    let result = result.await;
    visit.settle(result)
}
