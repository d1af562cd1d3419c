//! Withdrawing from the balance to a card.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::card::CardKind;
use koudai_core::confirmation::Act;
use koudai_core::id::{CardId, PersonId};
use koudai_core::ledger::AccountId;
use koudai_core::money::{Currency, Money};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Attempt, Card, ClientNumber, Speed, Withdrawal, WithdrawalNumber, WithdrawalState};
use koudai_core::withdrawal::{CancelWithdrawal, StartWithdrawal};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use super::cards::fresh_number;
use super::confirming::{self, confirmation};
use super::elsewhere::{Elsewhere, Open, opened};
use super::fields::{Fields, Sent, SentTo, Source};
use super::home::balance;
use super::pages::{CardLine, SpeedLine, Unusable, Way, WithdrawPage, WithdrawResultPage, WithdrawState};
use super::top_up::{AtHand, at_hand, in_words, outcome};
use super::visit::Visit;

/// What the form begins with: all of it may come in the address, so that a page without scripts can say what it costs.
#[derive(Default, Deserialize)]
pub(super) struct Wish {
    card_id: Option<String>,
    amount: Option<String>,
    speed: Option<String>,
}

impl Wish {
    fn of(fields: &Fields) -> Self {
        let text = |name| fields.get(name).map(str::to_owned);
        Self { card_id: text("card_id"), amount: text("amount"), speed: text("speed") }
    }

    /// The amount, if it is one.
    fn money(&self) -> Option<Money> {
        let amount = Money::parse_major(self.amount.as_deref()?.trim(), Currency::Cny).ok()?;
        (!amount.is_zero()).then_some(amount)
    }
}

/// A speed by its word.
fn speed(word: &str) -> Option<Speed> {
    Speed::ALL.iter().copied().find(|speed| speed.word() == word)
}

pub(super) async fn form(visit: Visit, Query(wish): Query<Wish>) -> Response {
    let result = form_page(&visit, wish, None).await;
    visit.settle(result)
}

/// The cards to choose from, and what is linked at other wallets. A credit card is shown, so that nobody looks for it, and cannot
/// be chosen.
fn card_line(visit: &Visit, card: &Card) -> Option<CardLine> {
    if card.kind == CardKind::Wallet {
        let pays_out = Elsewhere::of(visit, card.network).is_some_and(|wallet| wallet.face.pays_out);
        if card.token_sealed.is_empty() || !pays_out {
            return None;
        }
    }
    let line = answer::card_now(visit, card);
    let credit = (card.kind == CardKind::Credit).then_some(Unusable::DebitOnly);
    Some(CardLine { unusable: credit.or(line.unusable), ..line })
}

async fn form_page(visit: &Visit, wish: Wish, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let person = visit.person()?;
    let AtHand { cards, balance, has_payment_password, by_passkey, tally } = at_hand(visit, person).await?;
    let policy = visit.app.engine.policy();
    let left = tally.withdrawal_left(policy.withdraw_day_most);
    let wished = wish.money();
    let speeds = Speed::ALL.iter().map(|speed| {
        let covered = policy.most_withdrawable(*speed, balance);
        // "All" is what may be withdrawn at once, and nothing if that is less than the least.
        let most = [policy.withdraw_most, left].into_iter().fold(covered, Money::lesser);
        SpeedLine {
            speed: *speed,
            rate: policy.withdrawal_rate(*speed),
            least_fee: policy.withdraw_fee_least,
            most: most.checked_sub(policy.withdraw_least).is_ok().then_some(most),
            fee: wished.map(|amount| policy.withdrawal_fee(*speed, amount)),
        }
    });
    let page = WithdrawPage {
        l: visit.l,
        number: fresh_number(),
        cards: cards.iter().filter_map(|card| card_line(visit, card)).collect(),
        chosen: wish.card_id,
        amount: wish.amount.unwrap_or_default().chars().take(20).collect(),
        speed: wish.speed.as_deref().and_then(speed).unwrap_or(Speed::RealTime),
        speeds: speeds.collect(),
        balance,
        least: policy.withdraw_least,
        most: policy.withdraw_most,
        day_left: left,
        times_left: policy.withdrawals_a_day.saturating_sub(tally.withdrawals),
        has_payment_password,
        by_passkey,
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    if visit.json {
        return Ok(answer::data(form_json(&page, wished)));
    }
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

fn form_json(page: &WithdrawPage, wished: Option<Money>) -> Value {
    let speeds = page.speeds.iter().map(|line| {
        json!({
            "speed": line.speed.word(),
            "fee_ppm": line.rate.ppm(),
            "fee_least": answer::money(line.least_fee),
            "most": line.most.map(answer::money),
            "fee": line.fee.map(answer::money),
            "fee_figure": line.fee.map(|fee| format!("{}{fee}", fee.currency().sign())),
            "fee_text": line.cost(page.l),
        })
    });
    json!({
        "balance": answer::money(page.balance),
        "amount": wished.map(answer::money),
        "least": answer::money(page.least),
        "most": answer::money(page.most),
        "day_left": answer::money(page.day_left),
        "times_left": page.times_left,
        "speeds": speeds.collect::<Vec<_>>(),
    })
}

/// A withdrawal as a form asks for it.
struct Asked {
    number: String,
    card: CardId,
    amount: Money,
    speed: Speed,
}

impl Asked {
    async fn read(visit: &Visit, fields: &Fields, person: PersonId) -> Result<Self, Refusal> {
        let number = fields.number("withdrawal_id")?;
        let (source, amount) = (fields.source("card_id")?, fields.amount("amount")?);
        let speed = speed(fields.text("speed")).ok_or(Refusal::RequestMalformed)?;
        let card = match source {
            Source::Card(card) => card,
            Source::Wallet(id) => Elsewhere::known(visit, person, id).await?,
        };
        Ok(Self { number, card, amount, speed })
    }
}

/// `POST /withdraw/passkey`: what to have a passkey confirm this withdrawal with.
pub(super) async fn passkey(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let Asked { number, card, amount, speed } = Asked::read(&visit, &fields, visit.person()?).await?;
        let fee = visit.app.engine.policy().withdrawal_fee(speed, amount);
        confirming::options(&visit, &Act::Withdraw { number: &number, card, amount, speed, fee }).await
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn start(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        let Asked { number, card, amount, speed } = Asked::read(&visit, &fields, person).await?;
        let confirmed = confirmation(&visit, &fields).await?;
        let mut events = visit.app.engine.events();
        let asked = visit.submit(StartWithdrawal { person, number, card, amount, speed, confirmed }).await?;
        if let Some(attempt) = asked.attempt {
            let _as_the_page_reads_it = match Elsewhere::of(&visit, asked.network) {
                None => outcome(&visit, &mut events, attempt).await,
                Some(wallet) => opened(&visit, &mut events, wallet.id, attempt).await,
            };
        }
        Ok(asked)
    };
    match result.await {
        // From here on the withdrawal is on record: no error of a page's may read as a refusal.
        Ok(asked) if visit.json => {
            let id = asked.id;
            let now = visit.read(move |r| r.get::<Withdrawal>(&id)).await.ok().flatten();
            answer::data(withdrawal_json(&visit, &now.unwrap_or(asked)).await)
        }
        Ok(asked) => answer::go(&format!("/withdraw/{}", asked.number)),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = form_page(&visit, Wish::of(&fields), Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// Why a withdrawal failed, in a person's words.
fn failure(visit: &Visit, withdrawal: &Withdrawal) -> Option<Refusal> {
    let failed = withdrawal.state == WithdrawalState::Failed;
    let why = |refusal| in_words(visit, withdrawal.network, refusal);
    failed.then(|| withdrawal.refusal.map_or(Refusal::AccountFrozen, why))
}

async fn withdrawal_json(visit: &Visit, withdrawal: &Withdrawal) -> Value {
    let card = withdrawal.card;
    let card = visit.read(move |r| r.get::<Card>(&card)).await.ok().flatten();
    let mut value = json!({
        "withdrawal_id": withdrawal.number,
        "state": match withdrawal.state {
            WithdrawalState::Waiting => "waiting",
            WithdrawalState::Sending => "pending",
            WithdrawalState::Paid => "succeeded",
            WithdrawalState::Failed => "failed",
            WithdrawalState::Cancelled => "cancelled",
        },
        "amount": answer::money(withdrawal.amount),
        "fee": answer::money(withdrawal.fee),
        "speed": withdrawal.speed.word(),
        "card": card.map(|card| answer::card_json(&card, visit.l)),
        "since_ms": withdrawal.created_at.0,
        "due_ms": withdrawal.due_at.0,
        "record": format!("/records/{}", withdrawal.id.wire()),
    });
    if let Some(refusal) = failure(visit, withdrawal) {
        value["refusal"] = answer::refusal_json(visit, refusal);
    }
    if let Some(way) = way(visit, withdrawal).await {
        value["way"] = way.json();
    }
    value
}

/// The way to another wallet, if the money is to be received there.
async fn way(visit: &Visit, withdrawal: &Withdrawal) -> Option<Way> {
    let id = withdrawal.attempt.filter(|_| withdrawal.state == WithdrawalState::Sending)?;
    let read = visit.read(move |r| {
        let attempt = r.get::<Attempt>(&id)?;
        attempt.map_or(Ok(None), |attempt| Open::of(r, &attempt))
    });
    read.await.ok().flatten()?.way(visit, &format!("/withdraw/{}", withdrawal.number)).await
}

pub(super) async fn result(visit: Visit, Path(number): Path<String>) -> Response {
    let result = result_page(&visit, &number, None).await;
    visit.settle(result)
}

async fn result_page(visit: &Visit, number: &str, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let person = visit.person()?;
    let key = ClientNumber { person, number: number.chars().take(64).collect() };
    let found = visit
        .read(move |r| {
            let Some(known) = r.get::<WithdrawalNumber>(&key)? else { return Ok(None) };
            let row = r.get::<Withdrawal>(&known.withdrawal)?.expect("a number stands for a withdrawal");
            let card = r.get::<Card>(&row.card)?.expect("a withdrawal has its card");
            let sent = row.attempt.map_or(Ok(None), |id| r.get::<Attempt>(&id))?;
            Ok(Some((row, card, sent, balance(r, AccountId::person(person))?)))
        })
        .await?;
    let (withdrawal, card, sent, balance) = found.ok_or(Refusal::RecordUnknown)?;
    if visit.json {
        return Ok(answer::data(withdrawal_json(visit, &withdrawal).await));
    }
    let record_id = withdrawal.id.wire();
    let state = match withdrawal.state {
        WithdrawalState::Waiting => WithdrawState::Waiting {
            due: withdrawal.due_at,
            refused: refusal.map(|r| answer::refused(visit, r)),
        },
        WithdrawalState::Sending => match way(visit, &withdrawal).await {
            Some(way) => WithdrawState::Elsewhere(way),
            None => WithdrawState::Sending { since: sent.map_or(withdrawal.due_at, |call| call.created_at) },
        },
        WithdrawalState::Paid => WithdrawState::Paid { record_id, balance },
        WithdrawalState::Cancelled => WithdrawState::Cancelled { record_id, balance },
        WithdrawalState::Failed => {
            let refusal = failure(visit, &withdrawal).unwrap_or(Refusal::BankRefused);
            WithdrawState::Failed(answer::refused(visit, refusal))
        }
    };
    let page = WithdrawResultPage {
        l: visit.l,
        number: withdrawal.number.clone(),
        state,
        amount: withdrawal.amount,
        fee: withdrawal.fee,
        card: answer::card_line(&card, visit.l).name(visit.l),
        at: withdrawal.created_at,
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

pub(super) async fn cancel(SentTo(visit, _, number): SentTo) -> Response {
    let result = async {
        let person = visit.person()?;
        visit.submit(CancelWithdrawal { person, number: number.chars().take(64).collect() }).await
    };
    match result.await {
        Ok(withdrawal) if visit.json => answer::data(withdrawal_json(&visit, &withdrawal).await),
        Ok(withdrawal) => answer::go(&format!("/withdraw/{}", withdrawal.number)),
        Err(refusal) if visit.json || matches!(refusal, Refusal::SignedOut | Refusal::RecordUnknown) => {
            visit.refuse(refusal)
        }
        // What came of it meanwhile says more than that it cannot be taken back.
        Err(Refusal::WithdrawalSent) => answer::go(&format!("/withdraw/{number}")),
        Err(refusal) => {
            let page = result_page(&visit, &number, Some(refusal)).await;
            visit.settle(page)
        }
    }
}
