//! Other apps that may take money from a balance: the list, one of them, and its end.

use askama::Template;
use koudai_core::money::Money;
use koudai_core::time::Timestamp;

use super::pieces::{Icon, Refused, initial};
use crate::assets;
use crate::say::Lang;

/// An app that a person lets, or let, take money from their balance.
#[derive(Clone, Debug)]
pub struct AppLine {
    /// The agreement's id in `/apps/{id}`.
    pub id: String,
    /// The app's name in the reader's language.
    pub name: String,
    /// Whether it may take money now.
    pub lasts: bool,
    /// The most for one payment.
    pub per_payment: Money,
    /// The most for one day.
    pub per_day: Money,
    /// What it took today.
    pub used_today: Money,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if it has ended.
    pub ended: Option<Timestamp>,
}

impl AppLine {
    fn initial(&self) -> String {
        initial(&self.name)
    }
}

/// `GET /apps`.
#[derive(Template)]
#[template(path = "apps.html")]
pub struct AppsPage {
    /// The reader's language.
    pub l: Lang,
    /// The number by which apps bind this account: digits.
    pub number: String,
    /// Whether the person has proven who they are; without that no app can bind it.
    pub proven: bool,
    /// The apps, newest first.
    pub lines: Vec<AppLine>,
}

impl AppsPage {
    /// The number in groups of four, which are only drawn apart: what is copied has no blanks.
    fn groups(&self) -> Vec<&str> {
        (0..self.number.len()).step_by(4).map(|at| &self.number[at..self.number.len().min(at + 4)]).collect()
    }
}

/// `GET /apps/{id}`, and a refused `POST`.
#[derive(Template)]
#[template(path = "app.html")]
pub struct AppPage {
    /// The reader's language.
    pub l: Lang,
    /// The app.
    pub line: AppLine,
    /// The most for one payment, as it stands in its field.
    pub per_payment: String,
    /// The most for one day, as it stands in its field.
    pub per_day: String,
    /// The most that either may be.
    pub most: Money,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /apps/{id}/end`.
#[derive(Template)]
#[template(path = "app_end.html")]
pub struct AppEndPage {
    /// The reader's language.
    pub l: Lang,
    /// The app.
    pub line: AppLine,
}
