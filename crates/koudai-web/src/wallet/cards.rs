//! Bank cards: bound with the bank's own code, looked at, removed. What the bank must see goes to it from memory.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use koudai_core::binding::{
    BankFace, BindingAnswer, RecordBinding, RemoveCard, StartBinding, card_mac, identity_mac,
};
use koudai_core::card::{CardKind, CardNumber, cvv_ok, expiry_ok};
use koudai_core::id::{CardId, PersonId};
use koudai_core::identity::{IdNumber, PersonName, Phone};
use koudai_core::ledger::NetworkId;
use koudai_core::payment_password::Pin;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Binding, BindingNumber, BindingState, Card, ClientNumber, Identity, PaymentPassword,
};
use koudai_core::secret::Secret;
use koudai_core::time::{SECOND, Timestamp};
use koudai_networks::bins;
use koudai_networks::network::{BindingIs, CardDetails, Network, RESEND_GAP_S};
use koudai_networks::vault::Sealed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::answer;
use super::elsewhere::Elsewhere;
use super::fields::{Fields, Sent, SentTo};
use super::pages::{self, BindingPage, CardNewPage, CardPage, CardsPage, Holder, WalletLine};
use super::top_up::bank_cards;
use super::visit::Visit;
use crate::catalogue;

pub(super) async fn list(visit: Visit) -> Response {
    let result = async {
        let person = visit.person()?;
        let cards = visit.read(move |r| r.cards_of(person)).await?;
        let linked = |wallet: &Elsewhere<'_>| {
            let its = cards.iter().find(|c| c.kind == CardKind::Wallet && c.network == wallet.id);
            its.is_some_and(|card| !card.token_sealed.is_empty())
        };
        if visit.json {
            let wallets = Elsewhere::all(&visit).map(|wallet| wallet.json(&visit, linked(&wallet)));
            let wallets: Vec<_> = wallets.collect();
            let cards: Vec<_> = bank_cards(&cards).map(|c| answer::card_json(c, visit.l)).collect();
            return Ok(answer::data(json!({ "cards": cards, "wallets": wallets })));
        }
        let wallets = Elsewhere::all(&visit).map(|wallet| WalletLine {
            network: wallet.id.0,
            name: wallet.name(&visit),
            linked: linked(&wallet),
        });
        let wallets = wallets.collect();
        let cards = bank_cards(&cards).map(|c| answer::card_now(&visit, c)).collect();
        Ok(answer::ok(&CardsPage { l: visit.l, cards, wallets }))
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn form(visit: Visit) -> Response {
    let result = async {
        let person = visit.person()?;
        Ok(answer::ok(&empty_form(&visit, person).await?))
    };
    let result = result.await;
    visit.settle(result)
}

/// The beginning of a card number that is being typed, and how much of it is there. Never more than ten digits, and in no log.
#[derive(Deserialize)]
pub(super) struct Beginning {
    digits: String,
    length: usize,
}

/// Whose card a number is that begins like this: a hint for the form.
pub(super) async fn bank(visit: Visit, Query(Beginning { digits, length }): Query<Beginning>) -> Response {
    let result = visit.person().map(|_| {
        // Accounts of other wallets have numbers like cards', and no table knows them.
        let hint = bins::hint(&digits, length);
        let bank = hint.filter(|_| !visit.app.networks.outside.knows_beginning(&digits)).map(|bin| {
            json!({
                "code": bin.bank_code,
                "name": visit.l.say(bin.bank_zh, bin.bank_en),
                "kind": bin.card_type.kind().word(),
            })
        });
        answer::data(json!({ "bank": bank }))
    });
    visit.settle(result)
}

async fn empty_form(visit: &Visit, person: PersonId) -> Result<CardNewPage, Refusal> {
    let (identity, pin) =
        visit.read(move |r| Ok((r.get::<Identity>(&person)?, r.get::<PaymentPassword>(&person)?))).await?;
    Ok(CardNewPage {
        l: visit.l,
        asks_pin: pin.is_some(),
        binding_id: fresh_number(),
        holder: identity.map(|i| Holder { name: i.name_masked, id_number: i.id_number_masked }),
        number: String::new(),
        name: String::new(),
        id_number: String::new(),
        phone: String::new(),
        kind: pages::CardKind::Debit,
        refused: None,
    })
}

/// A number for something a page may send twice: 20 random digits.
pub(super) fn fresh_number() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has random bytes");
    format!("{:020}", u128::from_be_bytes(bytes) % 10_u128.pow(20))
}

/// A person as shown to a bank; stands in the database only sealed.
#[derive(Serialize, Deserialize)]
struct Shown {
    name: String,
    id_number: String,
}

/// What a person typed about a card, checked.
struct Typed {
    number: CardNumber,
    kind: CardKind,
    name: PersonName,
    id_number: IdNumber,
    phone: Phone,
    expiry: Option<Secret<String>>,
    cvv: Option<Secret<String>>,
    /// The payment password, if one came along.
    pin: Option<Pin>,
}

impl Typed {
    fn read(visit: &Visit, fields: &Fields, identity: Option<&Identity>) -> Result<Self, Refusal> {
        let now = visit.now();
        let number = CardNumber::parse(fields.text("number")).ok_or(Refusal::CardNumberInvalid)?;
        let kind = match fields.get("kind") {
            Some(word) => CardKind::from_word(word).ok_or(Refusal::RequestMalformed)?,
            None if fields.get("expiry").is_some() => CardKind::Credit,
            None => CardKind::Debit,
        };
        // A person who has been proven is shown to every bank as proven; what they typed must not change it.
        let shown = match identity {
            Some(identity) => {
                let sealed = visit.app.networks.vault.open(Sealed::Identity, &identity.sealed);
                let plain = sealed.map_err(|error| {
                    tracing::error!(%error, person = identity.person.0, "an identity does not open");
                    Refusal::OutOfOrder
                })?;
                serde_json::from_slice(plain.expose()).map_err(|_| Refusal::OutOfOrder)?
            }
            None => {
                Shown { name: fields.text("name").to_owned(), id_number: fields.text("id_number").to_owned() }
            }
        };
        let name = PersonName::parse(&shown.name).ok_or(Refusal::NameInvalid)?;
        let id_number = IdNumber::parse(&shown.id_number, now).ok_or(Refusal::IdNumberInvalid)?;
        let phone = Phone::parse(fields.text("phone")).ok_or(Refusal::PhoneInvalid)?;
        let (mut expiry, mut cvv) = (None, None);
        if kind == CardKind::Credit {
            let (date, code) = (fields.text("expiry").trim(), fields.text("cvv").trim());
            if !expiry_ok(date, now) {
                return Err(Refusal::CardExpiryInvalid);
            }
            if !cvv_ok(code) {
                return Err(Refusal::CardCvvInvalid);
            }
            expiry = Some(Secret::new(date.to_owned()));
            cvv = Some(Secret::new(code.to_owned()));
        }
        let pin = fields.get("payment_password").map(|_| fields.pin("payment_password")).transpose()?;
        Ok(Self { number, kind, name, id_number, phone, expiry, cvv, pin })
    }

    fn command(&self, visit: &Visit, person: PersonId, number: String) -> StartBinding {
        let vault = &visit.app.networks.vault;
        let shown =
            Shown { name: self.name.expose().to_owned(), id_number: self.id_number.expose().to_owned() };
        let plain = Zeroizing::new(serde_json::to_vec(&shown).expect("two texts are JSON"));
        StartBinding {
            person,
            number,
            network: visit.app.networks.outside.of_card(&self.number),
            card_mac: card_mac(vault.compare_key(), &self.number),
            bin: self.number.bin().to_owned(),
            last4: self.number.last4().to_owned(),
            identity_mac: identity_mac(vault.compare_key(), &self.name, &self.id_number),
            name_masked: self.name.masked(),
            id_number_masked: self.id_number.masked(),
            identity_sealed: vault.seal(Sealed::Identity, &plain),
            age: self.id_number.age(visit.now()),
            phone_masked: self.phone.masked(),
            kind: self.kind,
            pin: self.pin.clone(),
        }
    }

    fn details(self) -> CardDetails {
        CardDetails {
            number: Secret::new(self.number.expose().to_owned()),
            name: Secret::new(self.name.expose().to_owned()),
            id_number: Secret::new(self.id_number.expose().to_owned()),
            phone: Secret::new(self.phone.digits().to_owned()),
            expiry: self.expiry,
            cvv: self.cvv,
        }
    }
}

pub(super) async fn bind(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let person = visit.person()?;
        let number = fields.number("binding_id")?;
        let identity = visit.read(move |r| r.get::<Identity>(&person)).await?;
        let typed = Typed::read(&visit, &fields, identity.as_ref())?;
        let (binding, fresh) = visit.submit(typed.command(&visit, person, number)).await?;
        let binding = if fresh {
            // Recorded first, sent second. Without an answer it stays "asked", and looking at it asks the bank again.
            let answer = network(&visit, &binding)?.bind(&binding.id.wire(), typed.details()).await;
            // Only of this very call it is known that the bank never got it.
            let answer = match answer {
                BindingIs::NotSent => BindingIs::Refused(Refusal::BankUnavailable),
                answer => answer,
            };
            record(&visit, binding, answer).await?
        } else {
            binding
        };
        match stored_refusal(&binding) {
            Some(refusal) => Err(refusal),
            None => Ok(binding),
        }
    };
    match result.await {
        Ok(binding) if visit.json => answer::data(binding_json(&visit, &binding)),
        Ok(binding) => answer::go(&format!("/cards/bindings/{}", binding.number)),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let again = async {
                let mut page = empty_form(&visit, visit.person()?).await?;
                // What stands on the card and the ID is kept; what proves that one holds the card never is.
                let typed = |name: &str, most| fields.text(name).chars().take(most).collect();
                page.number = typed("number", 25);
                page.name = typed("name", 60);
                page.id_number = typed("id_number", 18);
                page.phone = typed("phone", 20);
                if fields.text("kind") == "credit" {
                    page.kind = pages::CardKind::Credit;
                }
                page.refused = Some(answer::refused(&visit, refusal));
                Ok(answer::page(answer::status(refusal), &page))
            };
            let again = again.await;
            visit.settle(again)
        }
    }
}

/// The network a card is bound by.
fn network<'a>(visit: &'a Visit, binding: &Binding) -> Result<&'a dyn Network, Refusal> {
    visit
        .app
        .networks
        .outside
        .get(binding.network)
        .map(|line| line as &dyn Network)
        .ok_or(Refusal::BankUnavailable)
}

/// Records what the bank answered to any call about a binding.
async fn record(visit: &Visit, binding: Binding, answer: BindingIs) -> Result<Binding, Refusal> {
    let mut bound = None;
    let answer = match answer {
        BindingIs::CodeSent(face) => BindingAnswer::CodeSent(face),
        BindingIs::Bound { face, token } => {
            // A network may show no bank with its token, and the answer that did may have been lost.
            let unnamed = || BankFace {
                bank_zh: "银行卡".to_owned(),
                bank_en: "Bank card".to_owned(),
                kind: binding.kind,
            };
            let face = face.or_else(|| binding.bank_zh.is_empty().then(unnamed));
            let token_sealed = visit.app.networks.vault.seal(Sealed::CardToken, token.expose().as_bytes());
            bound = Some(token_sealed.clone());
            BindingAnswer::Bound { face, token_sealed }
        }
        BindingIs::Refused(refusal) => BindingAnswer::Failed(refusal),
        // The bank may only be slow to begin: nothing certain about this binding.
        BindingIs::CodeWrong | BindingIs::NotThere | BindingIs::NotSent | BindingIs::Unknown => {
            return Ok(binding);
        }
    };
    let network = binding.network;
    let binding = visit.submit(RecordBinding { binding: binding.id, answer }).await?;
    if let (BindingState::Failed, Some(token_sealed)) = (binding.state, bound) {
        unbind(visit, network, token_sealed);
    }
    Ok(binding)
}

/// Tells the bank that a card is no longer debited. A courtesy: the wallet keeps to it whatever the bank answers.
fn unbind(visit: &Visit, network: NetworkId, token_sealed: Vec<u8>) {
    let networks = visit.app.networks.clone();
    tokio::spawn(async move {
        let token = networks.vault.open_text(Sealed::CardToken, &token_sealed);
        if let (Ok(token), Some(network)) = (token, networks.outside.get(network)) {
            network.unbind(token).await;
        }
    });
}

/// Why a binding failed, from the code it is stored as.
fn stored_refusal(binding: &Binding) -> Option<Refusal> {
    let code = binding.refusal.as_deref()?;
    Some(catalogue::every().into_iter().find(|r| r.code() == code).unwrap_or(Refusal::BankRefused))
}

/// A person's binding by the device's number; asks the bank if how it stands is not known.
async fn find(visit: &Visit, number: &str) -> Result<Binding, Refusal> {
    let person = visit.person()?;
    let key = ClientNumber { person, number: number.chars().take(64).collect() };
    let binding = visit.read(move |r| match r.get::<BindingNumber>(&key)? {
        Some(known) => r.get::<Binding>(&known.binding),
        None => Ok(None),
    });
    binding.await?.ok_or(Refusal::BindingUnknown)
}

async fn refresh(visit: &Visit, binding: Binding) -> Result<Binding, Refusal> {
    if matches!(binding.state, BindingState::Bound | BindingState::Failed) {
        return Ok(binding);
    }
    let answer = network(visit, &binding)?.binding(&binding.id.wire()).await;
    let binding = record(visit, binding, answer).await?;
    let over = visit.now() >= binding.expires_at;
    if over && matches!(binding.state, BindingState::Asked | BindingState::CodeSent) {
        let answer = BindingAnswer::Failed(Refusal::BindingExpired);
        return visit.submit(RecordBinding { binding: binding.id, answer }).await;
    }
    Ok(binding)
}

fn binding_json(visit: &Visit, binding: &Binding) -> Value {
    let state = match binding.state {
        BindingState::Asked => "verifying",
        BindingState::CodeSent => "code_sent",
        BindingState::Bound => "bound",
        BindingState::Failed => "failed",
    };
    let mut value = json!({
        "binding_id": binding.number,
        "state": state,
        "phone": binding.phone_masked,
        "bank": visit.l.say(&binding.bank_zh, &binding.bank_en),
        "kind": binding.kind.word(),
        "last4": binding.last4,
    });
    if let Some(card) = binding.card {
        value["card_id"] = card.wire().into();
    }
    if let Some(refusal) = stored_refusal(binding) {
        value["refusal"] = answer::refusal_json(visit, refusal);
    }
    value
}

fn binding_page(visit: &Visit, binding: &Binding, resend_in_s: u32, refusal: Option<Refusal>) -> BindingPage {
    let state = match (binding.state, binding.card, stored_refusal(binding)) {
        (BindingState::Asked, ..) => pages::BindingState::Verifying,
        (BindingState::CodeSent, ..) => pages::BindingState::CodeSent,
        (BindingState::Bound, Some(card), _) => pages::BindingState::Bound(card.wire()),
        (BindingState::Bound | BindingState::Failed, _, refusal) => {
            pages::BindingState::Failed(answer::refused(visit, refusal.unwrap_or(Refusal::BankRefused)))
        }
    };
    BindingPage {
        l: visit.l,
        binding_id: binding.number.clone(),
        bank: visit.l.say(&binding.bank_zh, &binding.bank_en).to_owned(),
        kind: binding.kind,
        last4: binding.last4.clone(),
        phone: binding.phone_masked.clone(),
        state,
        resend_in_s,
        refused: refusal.map(|r| answer::refused(visit, r)),
    }
}

/// When the bank was last asked for another code, in milliseconds; only for counting down to the next.
#[derive(Deserialize)]
pub(super) struct Resent {
    resent: Option<i64>,
}

pub(super) async fn binding(
    visit: Visit,
    Path(number): Path<String>,
    Query(query): Query<Resent>,
) -> Response {
    let result = async {
        let binding = find(&visit, &number).await?;
        let binding = refresh(&visit, binding).await?;
        if visit.json {
            return Ok(answer::data(binding_json(&visit, &binding)));
        }
        let sent_at = query.resent.map_or(binding.created_at, Timestamp);
        let since_s = u32::try_from(visit.now().0.saturating_sub(sent_at.0) / SECOND).unwrap_or(0);
        let resend_in_s = RESEND_GAP_S.saturating_sub(since_s);
        Ok(answer::ok(&binding_page(&visit, &binding, resend_in_s, None)))
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn confirm(SentTo(visit, fields, number): SentTo) -> Response {
    let found = match find(&visit, &number).await {
        Ok(binding) => binding,
        Err(refusal) => return visit.refuse(refusal),
    };
    let code = fields.text("code").trim();
    let result = async {
        match (found.state, stored_refusal(&found)) {
            (BindingState::Bound, _) => return Ok(found.clone()),
            (BindingState::Failed, refusal) => return Err(refusal.unwrap_or(Refusal::BindingExpired)),
            (BindingState::Asked | BindingState::CodeSent, _) => {}
        }
        if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BankCodeWrong);
        }
        let network = network(&visit, &found)?;
        match network.confirm(&found.id.wire(), Secret::new(code.to_owned())).await {
            // Another may be tried; the bank counts.
            BindingIs::CodeWrong => Err(Refusal::BankCodeWrong),
            BindingIs::NotSent => Err(Refusal::BankUnavailable),
            BindingIs::Unknown => {
                let mut binding = found.clone();
                binding.state = BindingState::Asked;
                Ok(binding)
            }
            answer => record(&visit, found.clone(), answer).await,
        }
    };
    match result.await {
        Ok(binding) if visit.json => answer::data(binding_json(&visit, &binding)),
        Ok(Binding { card: Some(card), .. }) => answer::go(&format!("/cards/{}?bound=1", card.wire())),
        Ok(binding) => answer::ok(&binding_page(&visit, &binding, 0, None)),
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            answer::page(answer::status(refusal), &binding_page(&visit, &found, 0, Some(refusal)))
        }
    }
}

pub(super) async fn resend(SentTo(visit, _, number): SentTo) -> Response {
    let found = match find(&visit, &number).await {
        Ok(binding) => binding,
        Err(refusal) => return visit.refuse(refusal),
    };
    let resent = async { Ok(network(&visit, &found)?.resend(&found.id.wire()).await) };
    let refusal = match resent.await {
        Ok(BindingIs::CodeSent(_) | BindingIs::Bound { .. }) => None,
        Ok(BindingIs::Refused(refusal)) | Err(refusal) => Some(refusal),
        Ok(BindingIs::CodeWrong) => Some(Refusal::BankCodeWrong),
        Ok(BindingIs::NotThere) => Some(Refusal::BindingExpired),
        Ok(BindingIs::NotSent | BindingIs::Unknown) => Some(Refusal::BankUnavailable),
    };
    match refusal {
        None if visit.json => answer::data(binding_json(&visit, &found)),
        None => answer::go(&format!("/cards/bindings/{}?resent={}", found.number, visit.now().0)),
        Some(refusal) if visit.json => visit.refuse(refusal),
        Some(refusal) => {
            answer::page(answer::status(refusal), &binding_page(&visit, &found, RESEND_GAP_S, Some(refusal)))
        }
    }
}

/// A person's card that is still bound; the same answer for somebody else's as for none.
async fn own_card(visit: &Visit, id: &str) -> Result<Card, Refusal> {
    let person = visit.person()?;
    let id = CardId::parse(id).ok_or(Refusal::CardUnknown)?;
    let card = visit.read(move |r| r.get::<Card>(&id)).await?;
    card.filter(|c| c.person == person && c.removed_at.is_none()).ok_or(Refusal::CardUnknown)
}

#[derive(Deserialize)]
pub(super) struct Bound {
    bound: Option<u8>,
}

async fn card_page(
    visit: &Visit,
    card: &Card,
    just_bound: bool,
    refusal: Option<Refusal>,
) -> Result<Response, Refusal> {
    let person = card.person;
    let page = CardPage {
        l: visit.l,
        card: answer::card_now(visit, card),
        just_bound,
        has_payment_password: visit.read(move |r| r.get::<PaymentPassword>(&person)).await?.is_some(),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

pub(super) async fn card(visit: Visit, Path(id): Path<String>, Query(query): Query<Bound>) -> Response {
    let result = async {
        let card = own_card(&visit, &id).await?;
        if visit.json {
            return Ok(answer::data(answer::card_json(&card, visit.l)));
        }
        card_page(&visit, &card, query.bound.is_some(), None).await
    };
    let result = result.await;
    visit.settle(result)
}

pub(super) async fn remove(SentTo(visit, fields, id): SentTo) -> Response {
    let card = match own_card(&visit, &id).await {
        Ok(card) => card,
        Err(refusal) => return visit.refuse(refusal),
    };
    let removed = async {
        let pin = fields.pin("payment_password")?;
        visit.submit(RemoveCard { person: card.person, card: card.id, pin }).await
    };
    match removed.await {
        Ok(()) => {
            unbind(&visit, card.network, card.token_sealed);
            if visit.json { answer::data(json!({})) } else { answer::go("/cards") }
        }
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            let again = card_page(&visit, &card, false, Some(refusal)).await;
            visit.settle(again)
        }
    }
}
