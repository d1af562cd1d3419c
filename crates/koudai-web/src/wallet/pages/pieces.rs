//! The pieces every page is made of, each written once.

use askama::Template;
use askama::filters::HtmlSafe;
use koudai_core::card::CardKind;
use koudai_core::cool_down::CoolDown;
use koudai_core::money::{Currency, Money};
use koudai_core::refusal::Refusal;
use koudai_core::rows::Person;
use koudai_core::sign_in::Safety;
use koudai_core::time::Timestamp;

use super::payments::Unusable;
use super::records::Direction;
use crate::catalogue::{self, Step, Wording};
use crate::say::Lang;

/// A figure of money, the only way a page shows one: the sign at 0.6 of the size, the minor units in `data-minor`, and
/// a label that a screen reader reads as money.
#[derive(Template)]
#[template(path = "pieces/amount.html")]
pub struct Amount {
    l: Lang,
    money: Money,
    direction: Option<Direction>,
}

// Its template escapes what it shows; pages put it in as it is.
impl HtmlSafe for Amount {}

impl Amount {
    fn size(&self) -> &'static str {
        // A hero's figure has to fit a narrow phone: ten characters at full size, fourteen at most below it.
        match self.money.to_string().len() {
            0..=10 => "",
            11..=14 => " long",
            _ => " longer",
        }
    }

    fn spoken(&self) -> String {
        let unit = match (self.money.currency(), self.l) {
            (Currency::Cny, Lang::Zh) => "元",
            (Currency::Hkd, Lang::Zh) => "港元",
            (Currency::Usd, Lang::Zh) => "美元",
            (Currency::Eur, Lang::Zh) => "欧元",
            (Currency::Jpy, Lang::Zh) => "日元",
            (Currency::Cny, Lang::En) => " yuan",
            (Currency::Hkd, Lang::En) => " Hong Kong dollars",
            (Currency::Usd, Lang::En) => " US dollars",
            (Currency::Eur, Lang::En) => " euros",
            (Currency::Jpy, Lang::En) => " yen",
        };
        let way = match self.direction {
            None => "",
            Some(Direction::In) => self.l.say("收入 ", "received "),
            Some(Direction::Out) => self.l.say("支出 ", "paid "),
        };
        format!("{way}{}{unit}", self.money)
    }
}

impl Lang {
    /// An amount, without a sign.
    pub fn amount(self, money: Money) -> Amount {
        Amount { l: self, money, direction: None }
    }

    /// What a kind of card is called on its own.
    pub const fn card_kind(self, kind: CardKind) -> &'static str {
        match kind {
            CardKind::Debit => self.say("储蓄卡", "Debit card"),
            CardKind::Credit => self.say("信用卡", "Credit card"),
            CardKind::Wallet => self.say("钱包", "Wallet"),
        }
    }

    /// What a kind of card is called behind a bank's name.
    pub const fn card_word(self, kind: CardKind) -> &'static str {
        match kind {
            CardKind::Debit => self.say("储蓄卡", "debit"),
            CardKind::Credit => self.say("信用卡", "credit"),
            CardKind::Wallet => "",
        }
    }

    /// An amount that came in (`+`) or went out (`−`).
    pub fn signed(self, money: Money, direction: Direction) -> Amount {
        Amount { l: self, money, direction: Some(direction) }
    }
}

/// A drawing of our own set: strokes of 1.75 in a box of 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Template)]
#[template(path = "pieces/icon.html")]
pub enum Icon {
    /// The mark: a pocket in two strokes.
    Pocket,
    /// A wallet with a clasp: another wallet.
    Wallet,
    /// Four corners and a line: scan.
    Scan,
    /// Bars: the payer's code.
    PayCode,
    /// A coin going in: top up.
    TopUp,
    /// A coin going out: withdraw.
    Withdraw,
    /// A bank card.
    Card,
    /// A list on a slip: bills.
    Records,
    /// A question in a circle: help and status.
    Help,
    /// Further.
    Chevron,
    /// Back.
    Back,
    /// An open eye.
    Eye,
    /// A struck eye.
    EyeOff,
    /// A tick.
    Tick,
    /// A clock.
    Clock,
    /// A cross.
    Cross,
    /// An exclamation mark in a triangle.
    Warning,
    /// A shield with a tick: verified.
    Verified,
    /// A padlock: the payment password.
    Lock,
    /// A picture.
    Picture,
    /// A plus.
    Plus,
    /// A bank's front.
    Bank,
    /// An arrow that turns back: a refund.
    Refund,
    /// A speech bubble: messages.
    Message,
}

// It is markup and holds no text of anybody's.
impl HtmlSafe for Icon {}

/// A refusal as a page shows it.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What happened, whether money moved, what to do.
    pub wording: Wording,
    /// Where the button leads, where there is one.
    pub step: Step,
    /// The number to give to staff.
    pub reference: String,
    l: Lang,
}

impl Refused {
    /// Where a page that says what was refused leads, and in what words: to what cannot be put right on the page itself.
    pub fn way_out(&self) -> Option<(&'static str, &'static str)> {
        let path = self.step.path().filter(|_| self.step == Step::ResetPaymentPassword)?;
        Some((path, self.step.label(self.l)))
    }

    /// The refusal in words, with the reference number the log has it under.
    pub fn new(refusal: Refusal, l: Lang, reference: impl Into<String>) -> Self {
        Self {
            l,
            wording: catalogue::wording(refusal, l),
            step: catalogue::step(refusal),
            reference: reference.into(),
        }
    }
}

/// A bound card in a list.
#[derive(Clone, Debug)]
pub struct CardLine {
    /// Its id in paths and in the field `card_id` or `method`.
    pub card_id: String,
    /// The bank's name in the reader's language.
    pub bank: String,
    /// Debit or credit.
    pub kind: CardKind,
    /// The last four digits.
    pub last4: String,
    /// Why it cannot pay at present.
    pub unusable: Option<Unusable>,
}

impl CardLine {
    pub(super) const fn is_usable(&self) -> bool {
        self.unusable.is_none()
    }

    pub(super) const fn is_wallet(&self) -> bool {
        matches!(self.kind, CardKind::Wallet)
    }

    /// Whether a form begins with this card: the one chosen before, if it can be used, or the first that can.
    pub(super) fn is_chosen_of(cards: &[Self], chosen: Option<&str>, card: &Self) -> bool {
        let usable = |id: &&str| cards.iter().any(|c| c.is_usable() && c.card_id == *id);
        match chosen.filter(usable) {
            Some(id) => card.card_id == id,
            None => cards.iter().find(|c| c.is_usable()).is_some_and(|c| c.card_id == card.card_id),
        }
    }

    /// How people tell it from others: `招商银行 储蓄卡 (1234)`.
    pub fn name(&self, l: Lang) -> String {
        match self.kind {
            CardKind::Debit | CardKind::Credit => {
                format!("{} {} ({})", self.bank, l.card_word(self.kind), self.last4)
            }
            CardKind::Wallet => self.bank.clone(),
        }
    }
}

/// The first character, for the soft circle before a name.
pub(super) fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or_else(|| "·".to_owned(), |c| c.to_uppercase().to_string())
}

/// A cool-down, as a page tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Protected {
    /// How far it is.
    pub cool_down: CoolDown,
    /// What may be spent or withdrawn on a day of it.
    pub most: Money,
}

impl Protected {
    /// Of an account, if it is in one.
    pub fn of(person: &Person, now: Timestamp, safety: &Safety) -> Option<Self> {
        let cool_down = person.cool_down(now, safety)?;
        let most = match cool_down {
            CoolDown::Closed { .. } => safety.cool_spend_most,
            CoolDown::Narrow { .. } => safety.cool_withdraw_most,
        };
        Some(Self { cool_down, most })
    }

    pub(super) fn says(&self, l: Lang) -> String {
        let most = crate::say::figure(self.most);
        match (self.cool_down, l) {
            (CoolDown::Closed { until }, Lang::Zh) => {
                format!("安全保护中：{} 前暂不能提现，每天最多消费 {most}", l.moment(until))
            }
            (CoolDown::Closed { until }, Lang::En) => {
                format!("Protected until {}: no withdrawals, at most {most} spent a day", l.moment(until))
            }
            (CoolDown::Narrow { until }, Lang::Zh) => {
                format!("安全保护中：{} 前向新绑定的卡每天最多提现 {most}", l.moment(until))
            }
            (CoolDown::Narrow { until }, Lang::En) => {
                format!("Protected until {}: at most {most} a day to cards that are new", l.moment(until))
            }
        }
    }
}
