//! Bills: what came in and went out.

use std::ops::RangeInclusive;

use askama::Template;
use koudai_core::money::Money;
use koudai_core::time::Timestamp;

use super::pieces::{Icon, initial};
use crate::assets;
use crate::say::Lang;
use crate::wallet::months::Month;

/// Which way the money went, as the person sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the person.
    In,
    /// From the person.
    Out,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Paid to a merchant.
    Payment,
    /// From a card to the balance.
    TopUp,
    /// Back from a merchant.
    Refund,
    /// Sent by a merchant.
    Transfer,
    /// From the balance to a card.
    Withdrawal,
}

impl RecordKind {
    /// What people call it.
    pub const fn word(self, l: Lang) -> &'static str {
        match self {
            Self::Payment => l.say("付款", "Payment"),
            Self::TopUp => l.say("充值", "Top‑up"),
            Self::Refund => l.say("退款", "Refund"),
            Self::Transfer => l.say("商家转账", "Transfer"),
            Self::Withdrawal => l.say("提现", "Withdrawal"),
        }
    }
}

/// How a record stands. Plain success is not said in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// Done.
    Succeeded,
    /// Not known yet.
    Pending,
    /// Nothing moved.
    Failed,
    /// A payment of which some came back.
    PartlyRefunded,
    /// A payment of which all came back.
    Refunded,
    /// A withdrawal that came back to the balance.
    Returned,
}

impl RecordState {
    /// What people read.
    pub const fn word(self, l: Lang) -> &'static str {
        match self {
            Self::Succeeded => l.say("成功", "Succeeded"),
            Self::Pending => l.say("处理中", "In progress"),
            Self::Failed => l.say("未成功，未扣款", "Failed, not charged"),
            Self::PartlyRefunded => l.say("部分退款", "Partly refunded"),
            Self::Refunded => l.say("已全额退款", "Refunded"),
            Self::Returned => l.say("已退回零钱", "Back in your balance"),
        }
    }
}

/// A record in a list.
pub struct RecordLine {
    /// Its id in `/records/{id}`.
    pub id: String,
    /// What it is about.
    pub kind: RecordKind,
    /// The merchant, or the bank of a top-up or withdrawal.
    pub name: String,
    /// The goods; a top-up has none.
    pub item: Option<String>,
    /// What it was paid with, or where it came back to: the balance, or a card by its name.
    pub method: String,
    /// Which way.
    pub direction: Direction,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
    /// How it stands.
    pub state: RecordState,
}

impl RecordLine {
    pub(super) fn initial(&self) -> String {
        initial(&self.name)
    }

    /// What it is about, in one line.
    pub(super) fn what(&self, l: Lang) -> String {
        let word = self.kind.word(l);
        match (&self.item, self.kind) {
            // Whom and how much say already that it is a payment.
            (Some(item), RecordKind::Payment) => item.clone(),
            (Some(item), _) => format!("{word} · {item}"),
            (None, _) => word.to_owned(),
        }
    }

    /// What its number is called. A payment that is not made has no number a merchant would know.
    pub(super) fn number_word(&self, l: Lang) -> &'static str {
        match (self.kind, self.state) {
            (RecordKind::Payment, RecordState::Pending | RecordState::Failed) => l.say("参考号", "Ref."),
            (RecordKind::Payment, _) => l.say("交易单号", "Transaction no."),
            (RecordKind::TopUp, _) => l.say("充值单号", "Top‑up no."),
            (RecordKind::Refund, _) => l.say("退款单号", "Refund no."),
            (RecordKind::Transfer, _) => l.say("转账单号", "Transfer no."),
            (RecordKind::Withdrawal, _) => l.say("提现单号", "Withdrawal no."),
        }
    }
}

/// `GET /records`.
#[derive(Template)]
#[template(path = "records.html")]
pub struct RecordsPage {
    /// The reader's language.
    pub l: Lang,
    /// Where in all the records it is.
    pub place: PageOfRecords,
    /// The months there may be records of.
    pub choice: RangeInclusive<Month>,
    /// The month it shows, or shows first.
    pub chosen: Month,
    /// Newest first.
    pub months: Vec<MonthOfRecords>,
    /// The value of `before` that shows what is older, if there is more.
    pub older: Option<String>,
}

impl RecordsPage {
    /// Whether there is nothing at all, here or elsewhere.
    fn nothing_yet(&self) -> bool {
        use PageOfRecords::{MonthToCome, Newest, NoSuchMonth};
        self.months.is_empty() && matches!(self.place, Newest | MonthToCome(_) | NoSuchMonth)
    }

    /// The months to choose from, newest first.
    fn choices(&self) -> impl Iterator<Item = Month> {
        let last = *self.choice.start();
        let earlier = move |month: &Month| (*month > last).then(|| month.before());
        std::iter::successors(Some(*self.choice.end()), earlier)
    }
}

/// Where in all the records a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOfRecords {
    /// It begins with the newest.
    Newest,
    /// It follows another.
    Older,
    /// It begins with the newest of this month.
    Month(Month),
    /// There is none of this month; it begins with the newest before it.
    EmptyMonth(Month),
    /// There is none of this month and none before it.
    NothingTill(Month),
    /// This month has not come; it begins with the newest.
    MonthToCome(Month),
    /// What was asked for is no month; it begins with the newest.
    NoSuchMonth,
}

impl PageOfRecords {
    /// What people read above the records; the newest need no words.
    fn words(self, l: Lang) -> Option<String> {
        let of = |month: Month, zh: &str, en: (&str, &str)| {
            let name = l.month(month.year, month.month);
            match l {
                Lang::Zh => format!("{name}{zh}"),
                Lang::En => format!("{}{name}{}", en.0, en.1),
            }
        };
        Some(match self {
            Self::Newest => return None,
            Self::Older => l.say("更早的账单", "Older bills").to_owned(),
            Self::Month(month) => of(month, "及以前的账单", ("Bills from ", " and earlier")),
            Self::EmptyMonth(month) => {
                of(month, "没有账单，下面是更早的", ("No bills in ", "; older ones below"))
            }
            Self::NothingTill(month) => of(month, "及以前没有账单", ("No bills in ", " or earlier")),
            Self::MonthToCome(month) => {
                of(month, "还没到，下面是最新的账单", ("", " has not come yet; newest bills below"))
            }
            Self::NoSuchMonth => {
                l.say("没有这个月份，下面是最新的账单", "No such month; newest bills below").to_owned()
            }
        })
    }
}

/// A month's records with the month's totals (of the whole month, also when a page shows part of it).
pub struct MonthOfRecords {
    /// Which.
    pub month: Month,
    /// What was paid.
    pub total_out: Money,
    /// What came back of payments. A top-up is in neither: it moves a person's own money from their card.
    pub total_back: Money,
    /// Newest first.
    pub lines: Vec<RecordLine>,
}

/// `GET /records/{id}`.
#[derive(Template)]
#[template(path = "record.html")]
pub struct RecordPage {
    /// The reader's language.
    pub l: Lang,
    /// The record itself.
    pub line: RecordLine,
    /// What for.
    pub description: Option<String>,
    /// How the amount is made up, when there is more than one part: a label and its amount.
    pub breakdown: Vec<(String, Money)>,
    /// Where the next refund would go, of what was paid by balance and card.
    pub next_refund: Option<String>,
    /// What has come back so far, of a payment.
    pub refunded: Option<Money>,
    /// The merchant's number of the order.
    pub order_no: Option<String>,
    /// The number of the bank or wallet on the other side.
    pub bank_reference: Option<String>,
    /// Whether another wallet is on the other side.
    pub at_wallet: bool,
    /// The page of what is under way, where it may be taken back too.
    pub under_way: Option<String>,
    /// What happened, oldest first.
    pub timeline: Vec<(Timestamp, Event)>,
}

/// A step in a record's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The merchant made the order.
    Ordered,
    /// The person asked for it with the payment password.
    Submitted,
    /// The bank was asked.
    SentToBank,
    /// The bank agreed.
    BankAgreed,
    /// The bank, or the wallet, refused.
    Refused,
    /// The merchant was paid.
    Paid,
    /// The money is in the balance.
    InBalance,
    /// The merchant sent money.
    Sent,
    /// The merchant gave money back.
    RefundAccepted,
    /// The money is back.
    RefundArrived,
    /// It is in the balance, since the bank would not take it.
    RefundInBalance,
    /// A withdrawal was asked for, and its money is held.
    WithdrawalAsked,
    /// A withdrawal is at the card.
    AtTheCard,
    /// The person took a withdrawal back.
    WithdrawalCancelled,
    /// A withdrawal came to nothing, and all of it is in the balance again.
    WithdrawalReturned,
    /// The merchant has it back, since the bank would not take it, and pays by other means.
    RefundByMerchant,
}

impl Event {
    /// What people read, of a bank or of another wallet.
    pub const fn word(self, l: Lang, at_wallet: bool) -> &'static str {
        match self {
            Self::SentToBank if at_wallet => l.say("已提交处理", "Sent on"),
            Self::AtTheCard if at_wallet => l.say("已到账", "Arrived"),
            Self::RefundByMerchant if at_wallet => l.say(
                "原路退款失败，款项已退回商家，请联系商家取回",
                "The refund was refused; the merchant has the money and owes it to you",
            ),
            Self::Ordered => l.say("商家下单", "Ordered"),
            Self::Submitted => l.say("已提交", "Submitted"),
            Self::SentToBank => l.say("已交银行处理", "Sent to the bank"),
            Self::BankAgreed => l.say("银行已同意", "The bank agreed"),
            Self::Refused => l.say("未成功，未扣款", "Refused, not charged"),
            Self::Paid => l.say("支付成功", "Paid"),
            Self::InBalance => l.say("已存入零钱", "In your balance"),
            Self::Sent => l.say("商家已转出", "Sent by the merchant"),
            Self::RefundAccepted => l.say("商家已退款", "The merchant refunded"),
            Self::RefundArrived => l.say("退款已到账", "The refund has arrived"),
            Self::RefundInBalance => l.say("退款已转入零钱", "The refund is in your balance"),
            Self::WithdrawalAsked => l.say("已申请提现", "Asked for"),
            Self::AtTheCard => l.say("已到银行卡", "On the card"),
            Self::WithdrawalCancelled => l.say("已取消，款项退回零钱", "Cancelled, back in your balance"),
            Self::WithdrawalReturned => l.say("未成功，款项已退回零钱", "Failed, back in your balance"),
            Self::RefundByMerchant => l.say(
                "银行退款失败，款项已退回商家，请联系商家取回",
                "The bank refused the refund; the merchant has the money and owes it to you",
            ),
        }
    }
}
