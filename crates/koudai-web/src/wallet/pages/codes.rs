//! The payer's code, and what a cashier's scan of it leads to.

use askama::Template;
use koudai_core::money::Money;
use koudai_core::time::Timestamp;

use super::payments::Method;
use super::pieces::{Icon, Refused};
use crate::assets;
use crate::say::Lang;

/// `GET /code` while codes are off, and a refused `POST /code/on`.
#[derive(Template)]
#[template(path = "code_off.html")]
pub struct CodeOffPage {
    /// The reader's language.
    pub l: Lang,
    /// Whether a payment password is set; the button leads there if not.
    pub has_payment_password: bool,
    /// The most that passes without asking.
    pub unasked_most: Money,
    /// How many such payments pass a day.
    pub unasked_a_day: u8,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /code`: the code, shown to a cashier.
#[derive(Template)]
#[template(path = "code.html")]
pub struct CodePage {
    /// The reader's language.
    pub l: Lang,
    /// The eighteen digits in groups of four.
    pub digits: String,
    /// The bars, as markup made of numbers only.
    pub bars: String,
    /// The QR code, the same.
    pub squares: String,
    /// Milliseconds until the page fetches the next code, before this one ends.
    pub fresh_ms: i64,
    /// The ways to pay, the balance first.
    pub methods: Vec<Method>,
    /// The one that is chosen.
    pub chosen: String,
    /// The newest code payment when the page was made, or empty: anything newer is news.
    pub after: String,
    /// What became of it, if that was a moment ago.
    pub last: Option<LastCodePayment>,
}

/// A code payment of a moment ago.
pub struct LastCodePayment {
    /// Where it is shown.
    pub id: String,
    /// Who was paid.
    pub merchant: String,
    /// How much.
    pub amount: Money,
    /// Whether it was paid.
    pub paid: bool,
}

impl CodePage {
    fn chosen_label(&self) -> &str {
        let chosen = self.methods.iter().find(|method| method.method == self.chosen);
        chosen.map_or("", |method| &method.label)
    }
}

/// `GET /code/{order}` while the payer is asked, and a refused `POST` of it.
#[derive(Template)]
#[template(path = "code_request.html")]
pub struct CodeRequestPage {
    /// The reader's language.
    pub l: Lang,
    /// The order's id.
    pub id: String,
    /// Who is paid.
    pub merchant: String,
    /// What for.
    pub description: String,
    /// How much.
    pub amount: Money,
    /// The merchant's number of the order.
    pub order_no: String,
    /// The ways to pay, the balance first; those that cannot be used say why.
    pub methods: Vec<Method>,
    /// The one to begin with.
    pub chosen: Option<String>,
    /// Seconds left to confirm.
    pub left_s: u32,
    /// Whether a passkey may confirm it.
    pub by_passkey: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl CodeRequestPage {
    fn is_chosen(&self, method: &Method) -> bool {
        method.is_first_choice(&self.methods, self.chosen.as_deref(), None)
    }

    fn can_pay(&self) -> bool {
        self.methods.iter().any(Method::is_usable)
    }
}

/// `GET /code/{order}` otherwise.
#[derive(Template)]
#[template(path = "code_result.html")]
pub struct CodeResultPage {
    /// The reader's language.
    pub l: Lang,
    /// The order's id.
    pub id: String,
    /// Who is paid.
    pub merchant: String,
    /// How much.
    pub amount: Money,
    /// The merchant's number of the order.
    pub order_no: String,
    /// How it stands.
    pub state: CodeState,
}

/// How a code payment stands for its payer.
pub enum CodeState {
    /// Paid.
    Paid {
        /// With what.
        method: String,
        /// When.
        at: Timestamp,
    },
    /// The bank has not answered; the page asks again by itself.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing was paid: why, and what to do.
    Failed(String, &'static str),
    /// The cashier took it back: what becomes of the money.
    Reversed(&'static str),
}

impl CodeResultPage {
    fn word(&self) -> &'static str {
        match self.state {
            CodeState::Paid { .. } => "paid",
            CodeState::Pending { .. } => "pending",
            CodeState::Failed(..) => "failed",
            CodeState::Reversed(_) => "closed",
        }
    }
}
