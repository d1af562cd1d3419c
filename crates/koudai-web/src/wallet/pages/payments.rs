//! Topping up, scanning and paying.

use askama::Template;
use askama::filters::HtmlSafe;
use koudai_core::money::{Money, RatePpm};
use koudai_core::time::Timestamp;

use super::pieces::{CardLine, Icon, Refused};
use super::withdrawals::percent;
use crate::assets;
use crate::say::Lang;
use crate::wallet::purse::WALLET;

/// `GET /top-up`, and a refused `POST /top-up`.
#[derive(Template)]
#[template(path = "top_up.html")]
pub struct TopUpPage {
    /// The reader's language.
    pub l: Lang,
    /// The number this attempt goes by, made with the page, so that sending it twice charges once.
    pub attempt_id: String,
    /// The cards to choose from; none shows how to add one.
    pub cards: Vec<CardLine>,
    /// The card chosen before; the first usable one otherwise.
    pub chosen: Option<String>,
    /// The amount as typed before, or empty.
    pub amount: String,
    /// The balance now.
    pub balance: Money,
    /// The least one top-up may be.
    pub least: Money,
    /// The most one top-up may be.
    pub most: Money,
    /// What may still be topped up today.
    pub day_left: Money,
    /// What a top-up costs, of what arrives.
    pub fee: RatePpm,
    /// Whether a payment password is set; the button leads there if not.
    pub has_payment_password: bool,
    /// Whether a passkey may confirm it.
    pub by_passkey: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl TopUpPage {
    fn is_chosen(&self, card: &CardLine) -> bool {
        CardLine::is_chosen_of(&self.cards, self.chosen.as_deref(), card)
    }

    fn can_pay(&self) -> bool {
        self.cards.iter().any(CardLine::is_usable)
    }

    /// The rule of its fee, if the operator takes one.
    fn fee_rule(&self) -> Option<String> {
        let percent = percent(self.fee);
        (self.fee.ppm() > 0).then(|| match self.l {
            Lang::Zh => format!("手续费 {percent}%，四舍五入到分，从到账金额中扣除"),
            Lang::En => format!("Fee {percent}%, rounded half up to the fen, taken from what arrives"),
        })
    }
}

/// `GET /top-up/{attempt_id}`.
#[derive(Template)]
#[template(path = "top_up_result.html")]
pub struct TopUpResultPage {
    /// The reader's language.
    pub l: Lang,
    /// The attempt's number.
    pub attempt_id: String,
    /// How it went.
    pub state: TopUpState,
    /// How much.
    pub amount: Money,
    /// What the operator takes of it.
    pub fee: Money,
    /// The card it came from, as [`CardLine::name`] says it.
    pub card: String,
    /// When it was asked for.
    pub at: Timestamp,
}

/// How a top-up went.
pub enum TopUpState {
    /// The money is here; the record's id.
    Succeeded {
        /// The record's id.
        record_id: String,
        /// The balance with it.
        balance: Money,
    },
    /// The bank was asked at this moment and has not answered; the page asks again by itself.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// This person is to agree at another wallet.
    Elsewhere(Way),
    /// It was refused.
    Failed(Refused),
}

/// `GET /scan`, and a refused `POST /scan`.
#[derive(Template)]
#[template(path = "scan.html")]
pub struct ScanPage {
    /// The reader's language.
    pub l: Lang,
    /// What was refused.
    pub refused: Option<Refused>,
}

/// `GET /q/{token}`: a code opened by any scanner. Its signature is in the link's fragment, which never reaches the
/// server by itself; the script sends the whole link on as the `text` of `POST /scan`.
#[derive(Template)]
#[template(path = "landing.html")]
pub struct LandingPage {
    /// The reader's language.
    pub l: Lang,
    /// The order's token in the link.
    pub token: String,
    /// Who is to be paid.
    pub merchant: String,
    /// Whether the operator has verified the merchant.
    pub verified: bool,
    /// Whether there is a session; if not, the button leads to signing in and back here.
    pub signed_in: bool,
}

/// On the way back to a merchant's page that asked who is there. It goes on by itself.
#[derive(Template)]
#[template(path = "returning.html")]
pub struct ReturningPage {
    /// The reader's language.
    pub l: Lang,
    /// Whose page it is.
    pub merchant: String,
    /// Where to; checked by the handler.
    pub url: String,
}

/// What a payment may be confirmed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirming {
    /// Nothing yet: the button leads to setting a payment password.
    Nothing,
    /// The payment password.
    Password,
    /// That, or a passkey.
    PasskeyToo,
}

impl Confirming {
    /// Of somebody who has these.
    pub const fn of(payment_password: bool, passkey: bool) -> Self {
        match (payment_password, passkey) {
            (false, _) => Self::Nothing,
            (true, false) => Self::Password,
            (true, true) => Self::PasskeyToo,
        }
    }
}

/// `GET /pay/{token}` of an order that can be paid, and a refused `POST` of one.
#[derive(Template)]
#[template(path = "pay.html")]
pub struct PayPage {
    /// The reader's language.
    pub l: Lang,
    /// The order's token.
    pub token: String,
    /// Who is paid.
    pub merchant: String,
    /// Whether the operator has verified the merchant.
    pub verified: bool,
    /// Whether this person has never paid this merchant.
    pub first_time: bool,
    /// What for.
    pub description: String,
    /// How much.
    pub amount: Money,
    /// The merchant's number of the order.
    pub order_no: String,
    /// The ways to pay, the balance first; those that cannot be used say why.
    pub methods: Vec<Method>,
    /// The method chosen before; the first that promises something otherwise.
    pub chosen: Option<String>,
    /// The card that was just refused: it is not chosen again by itself.
    pub failed: Option<String>,
    /// What it may be confirmed by.
    pub confirming: Confirming,
    /// What was refused.
    pub refused: Option<Refused>,
    /// Back to the merchant's page or app without paying, for those who came from there; checked by the handler.
    pub back: Option<String>,
}

impl PayPage {
    fn is_chosen(&self, method: &Method) -> bool {
        method.is_first_choice(&self.methods, self.chosen.as_deref(), self.failed.as_deref())
    }

    fn can_pay(&self) -> bool {
        self.methods.iter().any(Method::is_usable)
    }
}

/// The way to another wallet, for a person who is to agree there.
pub struct Way {
    /// The call's id in `/elsewhere/{id}`.
    pub id: String,
    /// The app one opens for it.
    pub app: String,
    /// What it takes.
    pub how: How,
    /// Whether money comes from there; else it goes there.
    pub pays: bool,
    /// Where this is shown, to come back to.
    pub here: String,
    /// Until when it can be agreed to.
    pub until: Timestamp,
}

/// A way to another wallet, as a page shows it.
#[derive(Template)]
#[template(path = "pieces/way.html")]
struct WayShown<'a> {
    l: Lang,
    amount: Money,
    app: &'a str,
    how: &'a How,
    pays: bool,
    here: &'a str,
    until: Timestamp,
}

/// Its buttons.
#[derive(Template)]
#[template(path = "pieces/way_dock.html")]
struct WayDock<'a> {
    l: Lang,
    id: &'a str,
    app: &'a str,
    how: &'a How,
    pays: bool,
    here: &'a str,
}

// Their templates escape what they show; pages put them in as they are.
impl HtmlSafe for WayShown<'_> {}
impl HtmlSafe for WayDock<'_> {}

impl Way {
    pub(super) fn shown(&self, l: Lang, amount: Money) -> impl HtmlSafe + Template {
        let Self { app, how, pays, here, until, .. } = self;
        WayShown { l, amount, app, how, pays: *pays, here, until: *until }
    }

    pub(super) fn dock(&self, l: Lang) -> impl HtmlSafe + Template {
        let Self { id, app, how, pays, here, .. } = self;
        WayDock { l, id, app, how, pays: *pays, here }
    }
}

/// What a person does to get to another wallet.
pub enum How {
    /// Scans a code.
    Scan {
        /// What it says.
        code: String,
        /// It, drawn as markup made of numbers only.
        drawn: String,
    },
    /// Goes to this address, which the wallet gave.
    Visit(String),
    /// Has the page call the app they are in.
    CallUp {
        /// Which of its calls.
        call: &'static str,
        /// What it is given, as JSON.
        parameters: String,
    },
    /// Opens this page there: it works nowhere else.
    OpenThere,
    /// Waits a moment.
    Opening,
}

impl How {
    /// The word for it, for programs and for the page's script.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Scan { .. } => "scan",
            Self::Visit(_) => "visit",
            Self::CallUp { .. } => "call-up",
            Self::OpenThere => "open-there",
            Self::Opening => "opening",
        }
    }
}

/// One way to pay.
pub struct Method {
    /// What the form sends: `balance`, a card's id, or a word for another wallet.
    pub method: String,
    /// What people know it by: `零钱 ¥35.10` is made from `balance`, a card from [`CardLine::name`].
    pub label: String,
    /// The balance, for the balance.
    pub balance: Option<Money>,
    /// Why it cannot be used, if so.
    pub unusable: Option<Unusable>,
}

impl Method {
    pub(super) const fn is_usable(&self) -> bool {
        self.unusable.is_none()
    }

    pub(super) fn is_wallet(&self) -> bool {
        self.method.starts_with(WALLET)
    }

    /// Whether a page begins with it: the chosen one of `all`, else the first, of those that can be used and did not fail.
    pub(super) fn is_first_choice(&self, all: &[Self], chosen: Option<&str>, failed: Option<&str>) -> bool {
        let mut promising = all.iter().filter(|m| m.is_usable() && failed != Some(&*m.method));
        let chosen = chosen.and_then(|id| promising.clone().find(|m| m.method == id));
        chosen.or_else(|| promising.next()).is_some_and(|m| m.method == self.method)
    }
}

/// Why a way to pay cannot be used for this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The balance is less than the amount.
    NotEnough,
    /// The bank cannot be reached.
    BankDown,
    /// The card is suspended, lost or expired.
    CardNotUsable,
    /// The merchant takes no credit cards.
    NoCreditCards,
    /// Money is withdrawn to debit cards only.
    DebitOnly,
    /// More than one payment with it may be.
    OverLimit(Money),
    /// Less may still be paid by printed codes with it today: this much.
    StaticCodes(Money),
    /// Another wallet, which cannot be reached.
    WalletDown,
    /// Another wallet, which has no way to pay from here.
    NotHere,
    /// Another wallet, which did not say who the person is there.
    DidNotSay,
}

impl Unusable {
    /// The reason, as `why` in JSON and under the method on the page.
    pub fn wording(self, l: Lang) -> String {
        match self {
            Self::NotEnough => l.say("余额不足", "Not enough").to_owned(),
            Self::BankDown => l.say("银行维护中", "Bank maintenance").to_owned(),
            Self::WalletDown => l.say("暂时无法连接", "It cannot be reached now").to_owned(),
            Self::CardNotUsable => l.say("该卡暂不可用", "This card cannot be used now").to_owned(),
            Self::NoCreditCards => {
                l.say("商户不支持信用卡", "Merchant does not take credit cards").to_owned()
            }
            Self::NotHere => l.say("当前环境不支持", "Not available here").to_owned(),
            Self::DidNotSay => l.say("未能确认你的身份", "It did not say who you are").to_owned(),
            Self::DebitOnly => l.say("不能提现到信用卡", "No withdrawals to credit cards").to_owned(),
            Self::StaticCodes(left) => {
                let sign = left.currency().sign();
                match l {
                    Lang::Zh => format!("静态码今日剩余 {sign}{left}"),
                    Lang::En => format!("{sign}{left} left today on static codes"),
                }
            }
            Self::OverLimit(most) => {
                let sign = most.currency().sign();
                match l {
                    Lang::Zh => format!("超过单笔限额 {sign}{most}"),
                    Lang::En => format!("Over {sign}{most} per payment"),
                }
            }
        }
    }
}

/// `GET /pay/{token}` of an order that cannot be paid (any more, or for the moment), and `GET /guest/{token}`.
#[derive(Template)]
#[template(path = "pay_result.html")]
pub struct PayResultPage {
    /// The reader's language.
    pub l: Lang,
    /// This page.
    pub here: String,
    /// For a guest, who has no other pages: where to pay once more.
    pub again: Option<String>,
    /// Who is paid.
    pub merchant: String,
    /// How much.
    pub amount: Money,
    /// The merchant's number of the order.
    pub order_no: String,
    /// How it stands.
    pub state: PayState,
    /// Back to the merchant's page or app when the order cannot be paid; checked by the handler.
    pub back: Option<String>,
}

/// How an order stands for the person who looks at it.
pub enum PayState {
    /// Paid by this person.
    Paid {
        /// With what, as [`Method::label`] says it.
        method: String,
        /// When.
        at: Timestamp,
        /// The record's id.
        record_id: String,
        /// Where the merchant asked to send the payer back to, if anywhere; checked by the handler to be `https:`,
        /// or `http:` on this machine.
        merchant_url: Option<String>,
    },
    /// This person is paying and the bank has not answered; the page asks again by itself.
    Pending {
        /// Since when.
        since: Timestamp,
        /// If it was given up at another wallet: when that is certain at the latest.
        over: Option<Timestamp>,
    },
    /// This person is to agree at another wallet.
    Elsewhere(Way),
    /// The bank or the wallet refused for good; the order may be paid another way.
    Refused(Refused),
    /// The merchant closed it.
    Closed(Refused),
    /// It is past its time.
    Expired(Refused),
    /// Somebody else paid it.
    PaidByAnother(Refused),
}

impl PayResultPage {
    fn word(&self) -> &'static str {
        match self.state {
            PayState::Paid { .. } => "paid",
            PayState::PaidByAnother(_) => "paid-by-another",
            PayState::Pending { .. } | PayState::Elsewhere(_) => "pending",
            PayState::Refused(_) => "refused",
            PayState::Closed(_) => "closed",
            PayState::Expired(_) => "expired",
        }
    }
}
