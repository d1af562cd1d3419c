//! Pages that inform: how the services are, what was refused, what was agreed to.

use askama::Template;
use koudai_core::refusal::Refusal;
use koudai_core::time::Timestamp;

use super::pieces::{Icon, Refused};
use super::records::RecordLine;
use crate::assets;
use crate::catalogue::Step;
use crate::say::Lang;

/// `GET /status`: help, and whether everything works.
#[derive(Template)]
#[template(path = "status.html")]
pub struct StatusPage {
    /// The reader's language.
    pub l: Lang,
    /// Who runs this wallet.
    pub operator: String,
    /// How to reach them, if they say so.
    pub contact: Option<String>,
    /// The record a person has a question about.
    pub about: Option<RecordLine>,
    /// Whether this process owns the ledger.
    pub wallet_up: bool,
    /// Whether the bank answers.
    pub bank_up: bool,
    /// Whether messages can be sent.
    pub messages_up: bool,
    /// When this was looked at.
    pub at: Timestamp,
}

/// Any request that was refused and has no page of its own to say so.
#[derive(Template)]
#[template(path = "refusal.html")]
pub struct RefusalPage {
    /// The reader's language.
    pub l: Lang,
    /// What was refused.
    pub refused: Refused,
    /// Where its button leads.
    pub href: String,
}

impl RefusalPage {
    /// The page of a refusal. `again` is the path that "try again" leads to: the page the request came from.
    pub fn new(refusal: Refusal, l: Lang, reference: impl Into<String>, again: &str) -> Self {
        let refused = Refused::new(refusal, l, reference);
        let href = refused.step.path().unwrap_or(again).to_owned();
        Self { l, refused, href }
    }
}

/// `GET /terms`: what a person agrees to on signing in.
#[derive(Template)]
#[template(path = "terms.html")]
pub struct TermsPage {
    /// The reader's language.
    pub l: Lang,
    /// Who runs this wallet.
    pub operator: String,
}
