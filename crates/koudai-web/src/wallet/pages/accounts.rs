//! Signing in, the payment password, and the first page.

use askama::Template;
use koudai_core::money::Money;

use super::pieces::{CardLine, Icon, Protected, Refused};
use super::records::{Direction, RecordLine, RecordState};
use super::transfers::TransferLine;
use crate::assets;
use crate::say::Lang;

/// How somebody signs in, and how far they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginWay {
    /// A phone number is asked for.
    Phone,
    /// An e-mail address is asked for.
    Email,
    /// An account and its password are asked for.
    Password,
    /// The code that was sent to a phone is asked for.
    CodeToPhone,
    /// The code that was sent to an address is asked for.
    CodeToEmail,
}

/// `GET /login`, `GET /login/code`, and a refused `POST` of either or of `/login/password`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// The reader's language.
    pub l: Lang,
    /// The path to go on to, checked by the handler to be one of ours.
    pub next: Option<String>,
    /// What is asked for.
    pub way: LoginWay,
    /// The number or address as typed, or that a code was sent to.
    pub contact: String,
    /// Whether this wallet sends e-mail.
    pub email_offered: bool,
    /// Whether there can be passkeys at this address.
    pub passkeys: bool,
    /// Seconds until another code may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl LoginPage {
    /// This page's own path, for coming back to it in the other language.
    fn here(&self) -> String {
        self.path(self.way)
    }

    /// The path of another way, with the same way on.
    fn path(&self, way: LoginWay) -> String {
        let (path, by) = match way {
            LoginWay::CodeToPhone | LoginWay::CodeToEmail => ("/login/code", None),
            LoginWay::Phone => ("/login", None),
            LoginWay::Email => ("/login", Some("by=email")),
            LoginWay::Password => ("/login", Some("by=password")),
        };
        let next = self
            .next
            .as_ref()
            .map(|next| format!("next={}", askama::filters::urlencode_strict(next).expect("text encodes")));
        let query: Vec<String> = by.map(str::to_owned).into_iter().chain(next).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }

    const fn code_sent(&self) -> bool {
        matches!(self.way, LoginWay::CodeToPhone | LoginWay::CodeToEmail)
    }

    const fn by_email(&self) -> bool {
        matches!(self.way, LoginWay::Email | LoginWay::CodeToEmail)
    }

    /// The name that the number or address is sent under.
    const fn field(&self) -> &'static str {
        if self.by_email() { "email" } else { "phone" }
    }

    /// Where to change the number or address that a code was sent to.
    const fn way_before(&self) -> LoginWay {
        if self.by_email() { LoginWay::Email } else { LoginWay::Phone }
    }
}

/// `GET /payment-password` and `GET /payment-password/new`, and a refused `POST` of either.
#[derive(Template)]
#[template(path = "payment_password.html")]
pub struct PaymentPasswordPage {
    /// The reader's language.
    pub l: Lang,
    /// Where it is sent to.
    pub action: &'static str,
    /// The path to go on to.
    pub next: Option<String>,
    /// The last six digits of the person's number, which may not be the password.
    pub phone_end: String,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /payment-password/change`, and a refused `POST`.
#[derive(Template)]
#[template(path = "payment_password_change.html")]
pub struct ChangePaymentPasswordPage {
    /// The reader's language.
    pub l: Lang,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /payment-password/forgot`, and a refused `POST`.
#[derive(Template)]
#[template(path = "payment_password_forgot.html")]
pub struct ForgotPaymentPasswordPage {
    /// The reader's language.
    pub l: Lang,
    /// The phone that codes are sent to, masked.
    pub phone: String,
    /// Whether one was sent and is still good.
    pub code_sent: bool,
    /// Seconds until another may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// The bank cards whose numbers will do; without any, staff have to help.
    pub cards: Vec<CardLine>,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /`.
#[derive(Template)]
#[template(path = "home.html")]
pub struct HomePage {
    /// The reader's language.
    pub l: Lang,
    /// The cool-down that the account is in.
    pub protected: Option<Protected>,
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
