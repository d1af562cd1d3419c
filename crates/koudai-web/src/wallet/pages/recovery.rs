//! Getting back what was lost, another phone number, and freezing an account.

use askama::Template;
use koudai_core::money::Money;

use super::pieces::{Icon, Refused};
use crate::assets;
use crate::say::Lang;

/// `GET /recover`: what can be got back, what it takes and how long.
#[derive(Template)]
#[template(path = "recover.html")]
pub struct RecoverPage {
    /// The reader's language.
    pub l: Lang,
    /// Whether this wallet sends e-mail.
    pub email_offered: bool,
}

/// `GET /recover/password`, and a refused `POST` of it or of its code.
#[derive(Template)]
#[template(path = "recover_contact.html")]
pub struct RecoverContactPage {
    /// The reader's language.
    pub l: Lang,
    /// Whether an address is asked for, or a phone.
    pub by_email: bool,
    /// Whether this wallet sends e-mail.
    pub email_offered: bool,
    /// The number or address as typed, or that a code was sent to.
    pub contact: String,
    /// Whether a code was sent.
    pub code_sent: bool,
    /// Seconds until another may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl RecoverContactPage {
    const fn field(&self) -> &'static str {
        if self.by_email { "email" } else { "phone" }
    }
}

/// `GET /recover/phone`, and a refused `POST`.
#[derive(Template)]
#[template(path = "recover_phone.html")]
pub struct RecoverPhonePage {
    /// The reader's language.
    pub l: Lang,
    /// Whether this wallet sends e-mail.
    pub email_offered: bool,
    /// The account as typed.
    pub account: String,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// A way to give the proof that is needed beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofWay {
    /// What an authenticator app shows.
    App,
    /// The whole number of a card.
    Card,
    /// A recovery code.
    Recovery,
}

impl ProofWay {
    /// The word for it in addresses, forms and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Card => "card",
            Self::Recovery => "recovery",
        }
    }

    /// What a link to it says.
    const fn label(self, l: Lang) -> &'static str {
        match self {
            Self::App => l.say("用身份验证器", "By authenticator app"),
            Self::Card => l.say("用银行卡号", "By a card number"),
            Self::Recovery => l.say("用恢复码", "By a recovery code"),
        }
    }
}

/// `GET /recover/proof`, and a refused `POST`.
#[derive(Template)]
#[template(path = "recover_proof.html")]
pub struct RecoverProofPage {
    /// The reader's language.
    pub l: Lang,
    /// The way that is shown; `None` if only a passkey does.
    pub way: Option<ProofWay>,
    /// All there are beside a passkey.
    pub ways: Vec<ProofWay>,
    /// Whether a passkey does.
    pub passkey: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl RecoverProofPage {
    fn is(&self, way: ProofWay) -> bool {
        self.way == Some(way)
    }
}

/// `GET /recover/password/new`, and a refused `POST`.
#[derive(Template)]
#[template(path = "recover_password.html")]
pub struct RecoveredPasswordPage {
    /// The reader's language.
    pub l: Lang,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// Another phone number: `GET /security/phone` and `GET /recover/phone/new`, and a refused `POST` of either.
#[derive(Template)]
#[template(path = "phone_new.html")]
pub struct NewPhonePage {
    /// The reader's language.
    pub l: Lang,
    /// The page's own path.
    pub action: &'static str,
    /// The present number, masked, of whoever is signed in.
    pub present: Option<String>,
    /// The number that a code was sent to a moment ago.
    pub sent_to: Option<String>,
    /// Seconds until another may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /recover/done`.
#[derive(Template)]
#[template(path = "recover_done.html")]
pub struct RecoverDonePage {
    /// The reader's language.
    pub l: Lang,
    /// Whether it was the phone; else it was the log-in password.
    pub is_phone: bool,
    /// For how many hours the account is protected; 0 if it is not.
    pub hours: i64,
    /// What may be spent on a day of them.
    pub spend_most: Money,
}

/// What an account is frozen by.
pub enum FreezeBy {
    /// A code from a short message.
    Code {
        /// The phone as typed.
        phone: String,
    },
    /// A link in a mail.
    Link {
        /// The word in it.
        word: String,
    },
    /// It is frozen now.
    Done,
}

/// `GET /freeze` and `GET /freeze/{word}`, and a `POST` of either.
#[derive(Template)]
#[template(path = "freeze.html")]
pub struct FreezePage {
    /// The reader's language.
    pub l: Lang,
    /// By what.
    pub by: FreezeBy,
    /// What was refused.
    pub refused: Option<Refused>,
}
