//! What a form or a JSON body holds: named texts, bounded, each name once, wiped when done with.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use koudai_core::id::CardId;
use koudai_core::ledger::NetworkId;
use koudai_core::money::{Currency, Money};
use koudai_core::payment::Means;
use koudai_core::payment_password::Pin;
use koudai_core::refusal::Refusal;
use zeroize::Zeroize;

use super::purse::{BOTH, WALLET};
use super::visit::Visit;
use crate::App;

/// No form of ours comes near it.
const BODY_BYTES: usize = 16 << 10;
/// How long a form may take to arrive, which on a bad network it does.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// What money comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// A card of this wallet's.
    Card(CardId),
    /// Another wallet.
    Wallet(NetworkId),
}

/// What was chosen to pay with.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    /// What the person has here.
    Own(Means),
    /// Another wallet.
    Wallet(NetworkId),
}

/// A request's fields. No `Debug`: some are secrets.
pub(super) struct Fields(BTreeMap<String, String>);

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// A request with its fields.
pub(super) struct Sent(pub(super) Visit, pub(super) Fields);

impl FromRequest<App> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = <Visit as FromRequestParts<App>>::from_request_parts(&mut parts, app).await?;
        let fields = Fields::read(&visit, Request::from_parts(parts, body)).await?;
        Ok(Self(visit, fields))
    }
}

/// A request with its fields and the one parameter of its path.
pub(super) struct SentTo(pub(super) Visit, pub(super) Fields, pub(super) String);

impl FromRequest<App> for SentTo {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let name = <Path<String> as FromRequestParts<App>>::from_request_parts(&mut parts, app);
        let name = name.await.map_or_else(|_| String::new(), |Path(name)| name);
        let Sent(visit, fields) = Sent::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Self(visit, fields, name))
    }
}

impl Fields {
    /// Reads a request's body.
    ///
    /// # Errors
    /// `RequestTooLarge` or `RequestMalformed`, as a reply; 408 if it does not come.
    pub(super) async fn read(visit: &Visit, request: Request) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let body = tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES)).await;
        let body = body.map_err(|_| StatusCode::REQUEST_TIMEOUT.into_response())?;
        let body = body.map_err(|_| visit.refuse(Refusal::RequestTooLarge))?;
        Self::parse(kind, &body).ok_or_else(|| visit.refuse(Refusal::RequestMalformed))
    }

    fn parse(kind: &str, body: &[u8]) -> Option<Self> {
        if body.is_empty() {
            return Some(Self(BTreeMap::new()));
        }
        if kind.starts_with("application/json") {
            let values: BTreeMap<String, serde_json::Value> = koudai_wechatpay::strict_json(body).ok()?;
            let text = |(name, value)| match value {
                serde_json::Value::String(text) => Some((name, text)),
                _ => None,
            };
            return values.into_iter().map(text).collect::<Option<_>>().map(Self);
        }
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return None;
        }
        let mut fields = BTreeMap::new();
        for (name, value) in serde_urlencoded::from_bytes::<Vec<(String, String)>>(body).ok()? {
            if fields.insert(name, value).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    /// A field's text, or none if it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A field's text, or an empty one.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A number the device chose: 8 to 40 letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// `RequestMalformed`.
    pub(super) fn number(&self, name: &str) -> Result<String, Refusal> {
        let text = self.text(name);
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = (8..=40).contains(&text.len()) && text.bytes().all(fine);
        if fits { Ok(text.to_owned()) } else { Err(Refusal::RequestMalformed) }
    }

    /// The payment password.
    ///
    /// # Errors
    /// `PaymentPasswordMalformed`.
    pub(super) fn pin(&self, name: &str) -> Result<Pin, Refusal> {
        Pin::parse(self.text(name)).ok_or(Refusal::PaymentPasswordMalformed)
    }

    /// A card's id.
    ///
    /// # Errors
    /// `CardUnknown`.
    pub(super) fn card(&self, name: &str) -> Result<CardId, Refusal> {
        CardId::parse(self.text(name)).ok_or(Refusal::CardUnknown)
    }

    /// The way to pay, under the name `method`: a card, or `None` for the balance.
    ///
    /// # Errors
    /// `CardUnknown`.
    pub(super) fn method(&self) -> Result<Option<CardId>, Refusal> {
        match self.text("method") {
            "balance" => Ok(None),
            _ => self.card("method").map(Some),
        }
    }

    /// What money comes from, under this name: a card, or another wallet.
    ///
    /// # Errors
    /// `CardUnknown`.
    pub(super) fn source(&self, name: &str) -> Result<Source, Refusal> {
        let Some(number) = self.text(name).strip_prefix(WALLET) else {
            return self.card(name).map(Source::Card);
        };
        number.parse().map(|id| Source::Wallet(NetworkId(id))).map_err(|_| Refusal::CardUnknown)
    }

    /// What to pay with, as [`purse`](super::purse) lists it: the balance, a card, some of the balance and a card, or another wallet.
    ///
    /// # Errors
    /// `CardUnknown`, or `AmountInvalid`.
    pub(super) fn means(&self) -> Result<Chosen, Refusal> {
        if let Ok(Source::Wallet(id)) = self.source("method") {
            return Ok(Chosen::Wallet(id));
        }
        self.own_means().map(Chosen::Own)
    }

    fn own_means(&self) -> Result<Means, Refusal> {
        let Some(both) = self.text("method").strip_prefix(BOTH) else { return self.method().map(Means::of) };
        let (fen, card) = both.split_once(':').ok_or(Refusal::AmountInvalid)?;
        let digits = (1..=12).contains(&fen.len()) && fen.bytes().all(|b| b.is_ascii_digit());
        let from_balance = digits.then(|| fen.parse().ok()).flatten().and_then(|fen| Money::fen(fen).ok());
        let from_balance = from_balance.ok_or(Refusal::AmountInvalid)?;
        Ok(Means::Both { from_balance, card: CardId::parse(card).ok_or(Refusal::CardUnknown)? })
    }

    /// An amount in yuan.
    ///
    /// # Errors
    /// `AmountInvalid`.
    pub(super) fn amount(&self, name: &str) -> Result<Money, Refusal> {
        Money::parse_major(self.text(name).trim(), Currency::Cny).map_err(|_| Refusal::AmountInvalid)
    }
}
