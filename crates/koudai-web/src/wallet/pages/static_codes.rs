//! A merchant's printed code.

use askama::Template;
use koudai_core::money::Money;

use super::payments::Unusable;
use super::pieces::{Icon, Refused};
use crate::assets;
use crate::say::Lang;

/// `GET /s/{token}` for whoever can pay from where they are, and a refused `POST`.
#[derive(Template)]
#[template(path = "static_code.html")]
pub struct StaticCodePage {
    /// The reader's language.
    pub l: Lang,
    /// The code's token.
    pub code: String,
    /// Who is to be paid.
    pub merchant: String,
    /// What the code says beside it.
    pub label: String,
    /// Whether the operator has verified the merchant.
    pub verified: bool,
    /// Whether this person has never paid this merchant.
    pub first_time: bool,
    /// The number the order goes by, made with the page, so that sending it twice makes one.
    pub number: String,
    /// The amount as typed before, or empty.
    pub amount: String,
    /// What was said to the merchant, or empty.
    pub note: String,
    /// What may still be paid by printed codes today.
    pub left: Money,
    /// From what; for a guest who has not paid yet there is one thing only.
    pub from: Option<String>,
    /// For a guest: the app they pay in.
    pub guest: Option<String>,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /s/{token}` for whoever cannot pay from where they are.
#[derive(Template)]
#[template(path = "static_apps.html")]
pub struct StaticAppsPage {
    /// The reader's language.
    pub l: Lang,
    /// The code's token.
    pub code: String,
    /// Who is to be paid.
    pub merchant: String,
    /// What the code says beside it.
    pub label: String,
    /// Whether the operator has verified the merchant.
    pub verified: bool,
    /// Apps of other wallets that work.
    pub apps: Vec<AppThatWorks>,
    /// The code, to be scanned from this screen.
    pub drawn: String,
}

/// An app that a printed code works in.
pub struct AppThatWorks {
    /// Its name.
    pub name: String,
    /// Why it does not at present.
    pub unusable: Option<Unusable>,
    /// Where it is asked once more who the person is, if they are in it and it did not say.
    pub ask: Option<String>,
}

/// `GET /s/{token}/sheet`: in both languages, for both are read where it hangs.
#[derive(Template)]
#[template(path = "static_sheet.html")]
pub struct StaticSheetPage {
    /// The language of what is not printed.
    pub l: Lang,
    /// The code's token, by which the merchant tells its codes apart.
    pub code: String,
    /// The code's picture.
    pub drawn: String,
    /// Who is paid.
    pub merchant: String,
    /// What stands beside it.
    pub label: String,
    /// Whose wallet it is.
    pub operator: String,
    /// Apps of other wallets that work.
    pub apps: Vec<String>,
    /// What each source pays a day at most.
    pub most: Money,
}
