//! Signing in, the payment password, and the first page.

use askama::Template;
use koudai_core::money::Money;

use super::pieces::{Icon, Refused};
use super::records::{Direction, RecordLine, RecordState};
use super::transfers::TransferLine;
use crate::assets;
use crate::say::Lang;

/// `GET /login`, `GET /login/code`, and a refused `POST` of either.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// The reader's language.
    pub l: Lang,
    /// The path to go on to, checked by the handler to be one of ours.
    pub next: Option<String>,
    /// The number as typed; with `code_sent` the page asks for the code sent to it.
    pub phone: String,
    /// Whether the page is at its second step, the code.
    pub code_sent: bool,
    /// Seconds until another code may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl LoginPage {
    /// This page's own path, for coming back to it in the other language.
    fn here(&self) -> String {
        let path = if self.code_sent { "/login/code" } else { "/login" };
        match &self.next {
            Some(next) => {
                format!("{path}?next={}", askama::filters::urlencode_strict(next).expect("text encodes"))
            }
            None => path.to_owned(),
        }
    }
}

/// `GET /payment-password`, and a refused `POST`.
#[derive(Template)]
#[template(path = "payment_password.html")]
pub struct PaymentPasswordPage {
    /// The reader's language.
    pub l: Lang,
    /// The path to go on to.
    pub next: Option<String>,
    /// The last six digits of the person's number, which may not be the password.
    pub phone_end: String,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /`.
#[derive(Template)]
#[template(path = "home.html")]
pub struct HomePage {
    /// The reader's language.
    pub l: Lang,
    /// The person's number, masked.
    pub phone: String,
    /// The balance.
    pub balance: Money,
    /// How many cards are bound.
    pub cards: usize,
    /// Whether a payment password is set; a banner asks for it if not.
    pub has_payment_password: bool,
    /// What merchants sent and waits to be received, oldest first; a few of them.
    pub transfers: Vec<TransferLine>,
    /// Whether there are more.
    pub more_transfers: bool,
    /// A refund that has come in and has not been looked at.
    pub refund: Option<RefundNotice>,
    /// The newest records, three at most.
    pub recent: Vec<RecordLine>,
}

/// A refund to tell about on the first page.
pub struct RefundNotice {
    /// What came back.
    pub amount: Money,
    /// From whom.
    pub merchant: String,
    /// The record's id.
    pub record_id: String,
}
