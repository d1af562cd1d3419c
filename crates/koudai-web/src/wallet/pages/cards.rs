//! Bank cards.

use askama::Template;
use koudai_core::card::CardKind;

use super::pieces::{CardLine, Icon, Refused};
use crate::assets;
use crate::say::Lang;

/// `GET /cards`.
#[derive(Template)]
#[template(path = "cards.html")]
pub struct CardsPage {
    /// The reader's language.
    pub l: Lang,
    /// The bound cards.
    pub cards: Vec<CardLine>,
    /// Other wallets that can be paid by.
    pub wallets: Vec<WalletLine>,
}

/// Another wallet in the list.
pub struct WalletLine {
    /// Its number in `/wallets/{network}`.
    pub network: i64,
    /// Its name.
    pub name: String,
    /// Whether the person has linked their account there.
    pub linked: bool,
}

/// `GET /wallets/{network}`, and a refused `POST` of its link.
#[derive(Template)]
#[template(path = "wallet.html")]
pub struct WalletPage {
    /// The reader's language.
    pub l: Lang,
    /// Its number.
    pub network: i64,
    /// Its name.
    pub wallet: String,
    /// The app one opens for it.
    pub app: String,
    /// Whether it can be reached.
    pub up: bool,
    /// Whether the person has linked their account there, which withdrawals need.
    pub link: Link,
    /// Whether a payment password is set: linking asks for it.
    pub has_payment_password: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// How a person's account at another wallet is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not at all: no money can be withdrawn to it.
    NotOffered,
    /// Not yet, and it can be done from here.
    Possible,
    /// Not yet, and it can be done inside its app only.
    OnlyThere,
    /// Since a moment ago.
    JustNow,
    /// Since before.
    Done,
}

impl WalletPage {
    const fn is_linked(&self) -> bool {
        matches!(self.link, Link::JustNow | Link::Done)
    }
}

/// On the way to another wallet's page. It goes on by itself.
#[derive(Template)]
#[template(path = "leaving.html")]
pub struct LeavingPage {
    /// The reader's language.
    pub l: Lang,
    /// Whose page it is.
    pub app: String,
    /// Where to; the wallet's own client made it.
    pub url: String,
}

/// `GET /cards/new`, and a refused `POST /cards`.
///
/// The form sends `kind` (`debit` or `credit`), which only decides which fields it shows; the card's number says what
/// the card is.
#[derive(Template)]
#[template(path = "card_new.html")]
pub struct CardNewPage {
    /// The reader's language.
    pub l: Lang,
    /// Whether the payment password is asked for: it is once one is set.
    pub asks_pin: bool,
    /// The number this binding goes by, made with the page, so that sending it twice binds once. Digits.
    pub binding_id: String,
    /// Who the account was verified for: shown masked, and the form sends no `name` or `id_number`.
    pub holder: Option<Holder>,
    /// The card number as typed before, or empty. Expiry and security code never come back.
    pub number: String,
    /// The name as typed before, or empty.
    pub name: String,
    /// The ID number as typed before, or empty.
    pub id_number: String,
    /// The bank's phone as typed before, or empty.
    pub phone: String,
    /// Which fields show first.
    pub kind: CardKind,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// The person an account was verified for, masked.
pub struct Holder {
    /// Such as `**明`.
    pub name: String,
    /// Such as `3****************X`.
    pub id_number: String,
}

/// `GET /cards/bindings/{id}`, and a refused `POST …/confirm` or `…/resend`.
#[derive(Template)]
#[template(path = "binding.html")]
pub struct BindingPage {
    /// The reader's language.
    pub l: Lang,
    /// The binding's number.
    pub binding_id: String,
    /// The card that is being bound.
    pub bank: String,
    /// Debit or credit.
    pub kind: CardKind,
    /// Its last four digits.
    pub last4: String,
    /// The bank's phone, masked.
    pub phone: String,
    /// Where it stands.
    pub state: BindingState,
    /// Seconds until another code may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// What was refused last, while a code may still be tried.
    pub refused: Option<Refused>,
}

/// Where a binding stands.
pub enum BindingState {
    /// The bank has sent its code.
    CodeSent,
    /// The bank was asked and has not answered; the page asks again by itself.
    Verifying,
    /// Done; the card's id.
    Bound(String),
    /// Over.
    Failed(Refused),
}

/// `GET /cards/{card_id}`, and a refused `POST …/remove`.
#[derive(Template)]
#[template(path = "card.html")]
pub struct CardPage {
    /// The reader's language.
    pub l: Lang,
    /// The card.
    pub card: CardLine,
    /// Whether it was bound a moment ago: says so at the top.
    pub just_bound: bool,
    /// Whether a payment password is set: removing asks for it, and a new card suggests it.
    pub has_payment_password: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}
