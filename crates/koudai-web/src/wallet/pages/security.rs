//! What guards the account.

use askama::Template;
use koudai_core::time::Timestamp;

use super::pieces::{Icon, Protected, Refused};
use crate::assets;
use crate::say::Lang;

/// `GET /security`.
#[derive(Template)]
#[template(path = "security.html")]
pub struct SecurityPage {
    /// The reader's language.
    pub l: Lang,
    /// The cool-down that the account is in.
    pub protected: Option<Protected>,
    /// The phone, masked.
    pub phone: String,
    /// The e-mail address, masked.
    pub email: Option<String>,
    /// Whether this wallet sends e-mail.
    pub email_offered: bool,
    /// When the log-in password was last set.
    pub password_set_at: Option<Timestamp>,
    /// How many passkeys there are.
    pub passkeys: u8,
    /// Whether there can be any at this address.
    pub passkeys_offered: bool,
    /// When the payment password was last set.
    pub payment_password_set_at: Option<Timestamp>,
    /// Whether there is a second step.
    pub two_steps: bool,
}

impl SecurityPage {
    /// `11月23日设置` or `set 23 Nov`.
    fn since(&self, at: Timestamp) -> String {
        let day = self.l.day(at);
        match self.l {
            Lang::Zh => format!("{day}设置"),
            Lang::En => format!("set {day}"),
        }
    }
}

/// `GET /security/proof`, and a refused `POST`.
#[derive(Template)]
#[template(path = "security_proof.html")]
pub struct ProofPage {
    /// The reader's language.
    pub l: Lang,
    /// The path to go on to.
    pub next: String,
    /// The phone that codes are sent to, masked.
    pub phone: String,
    /// Whether one was sent and is still good.
    pub code_sent: bool,
    /// Seconds until another may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// Whether the person has a passkey to prove it with.
    pub passkey: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /security/email`, and a refused `POST`.
#[derive(Template)]
#[template(path = "security_email.html")]
pub struct EmailPage {
    /// The reader's language.
    pub l: Lang,
    /// The address that belongs to the account, masked.
    pub present: Option<String>,
    /// The address that a code was sent to a moment ago.
    pub sent_to: Option<String>,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /security/password`, and a refused `POST`.
#[derive(Template)]
#[template(path = "security_password.html")]
pub struct LoginPasswordPage {
    /// The reader's language.
    pub l: Lang,
    /// When the present one was set.
    pub set_at: Option<Timestamp>,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /security/passkeys`.
#[derive(Template)]
#[template(path = "security_passkeys.html")]
pub struct PasskeysPage {
    /// The reader's language.
    pub l: Lang,
    /// The person's passkeys, the oldest first.
    pub lines: Vec<PasskeyLine>,
    /// Whether one can be added at this address.
    pub offered: bool,
}

/// A passkey in a list.
pub struct PasskeyLine {
    /// What it is removed by.
    pub id: String,
    /// What its holder calls it.
    pub name: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
    /// Whether it may confirm payments.
    pub pays: bool,
}

/// `GET /security/passkeys/{id}`, and a refused `POST` to let it pay.
#[derive(Template)]
#[template(path = "security_passkey.html")]
pub struct PasskeyPage {
    /// The reader's language.
    pub l: Lang,
    /// The passkey.
    pub line: PasskeyLine,
    /// Whether a payment password is set, which letting it pay takes.
    pub has_payment_password: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}
