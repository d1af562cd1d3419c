//! Two-step verification: setting it up, and giving the second step.

use askama::Template;
use koudai_core::time::Timestamp;

use super::pieces::{Icon, Refused};
use crate::assets;
use crate::say::Lang;

/// A way to give the second step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondWay {
    /// What an authenticator app shows.
    App,
    /// A code that is sent.
    Code,
    /// A recovery code.
    Recovery,
}

impl SecondWay {
    /// The word for it in addresses, forms and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Code => "code",
            Self::Recovery => "recovery",
        }
    }

    /// What a link to it says.
    const fn label(self, l: Lang) -> &'static str {
        match self {
            Self::App => l.say("用身份验证器", "By authenticator app"),
            Self::Code => l.say("用验证码", "By a code"),
            Self::Recovery => l.say("用恢复码", "By a recovery code"),
        }
    }
}

/// `GET /login/second` and `GET /security/proof/second`, and a refused `POST` of either.
#[derive(Template)]
#[template(path = "second_step.html")]
pub struct SecondStepPage {
    /// The reader's language.
    pub l: Lang,
    /// Whether somebody signs in by it; else it is proof.
    pub signs_in: bool,
    /// The page's own path.
    pub path: &'static str,
    /// The way that is shown.
    pub way: SecondWay,
    /// All there are.
    pub ways: Vec<SecondWay>,
    /// Where a code goes, masked.
    pub sent_to: String,
    /// Whether one was sent and is still good.
    pub code_sent: bool,
    /// Seconds until another may be asked for; 0 is at once.
    pub resend_in_s: u32,
    /// Whether a passkey does instead.
    pub passkey: bool,
    /// The path to go on to.
    pub next: Option<String>,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl SecondStepPage {
    /// The same page by another way.
    fn by(&self, way: SecondWay) -> String {
        let by = way.word();
        let next = self.next.as_ref().and_then(|next| serde_urlencoded::to_string([("next", next)]).ok());
        next.map_or_else(|| format!("{}?by={by}", self.path), |next| format!("{}?by={by}&{next}", self.path))
    }

    const fn passkey_path(&self) -> &'static str {
        if self.signs_in { "/login/passkey" } else { "/security/proof/passkey" }
    }
}

/// `GET /security/two-steps`, and a refused `POST`.
#[derive(Template)]
#[template(path = "two_steps.html")]
pub struct TwoStepsPage {
    /// The reader's language.
    pub l: Lang,
    /// Since when there is an authenticator app.
    pub app_since: Option<Timestamp>,
    /// Whether codes do.
    pub by_code: bool,
    /// The address, masked.
    pub email: Option<String>,
    /// Whether this wallet sends e-mail.
    pub email_offered: bool,
    /// The phone, masked.
    pub phone: String,
    /// How many recovery codes are left, if there is a second step.
    pub recovery_left: Option<usize>,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /security/two-steps/app`, and a refused `POST`.
#[derive(Template)]
#[template(path = "authenticator.html")]
pub struct AuthenticatorPage {
    /// The reader's language.
    pub l: Lang,
    /// Since when there is one.
    pub since: Option<Timestamp>,
    /// What an app that is offered is given, for typing.
    pub secret: String,
    /// The same for an app on this phone.
    pub link: String,
    /// The same to scan, drawn as markup made of numbers only; `None` if nothing is offered.
    pub drawn: Option<String>,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl AuthenticatorPage {
    /// The secret in groups of four.
    fn grouped(&self) -> String {
        let letters: Vec<char> = self.secret.chars().collect();
        letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
    }
}

/// Recovery codes, which are shown once.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
pub struct RecoveryCodesPage {
    /// The reader's language.
    pub l: Lang,
    /// The codes.
    pub codes: Vec<String>,
}
