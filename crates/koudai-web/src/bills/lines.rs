//! What a journal puts on a merchant's bills, column by column (protocol specification 2.6).
//!
//! A bill follows from the day's journals and from what is fixed about their orders and refunds, never from how those stand
//! now. So it is the same whenever it is made.

use koudai_core::id::{OrderId, RefundId, TransferId};
use koudai_core::ledger::{AccountId, Journal, JournalKind};
use koudai_core::rows::{Order, Refund, Transfer};
use koudai_core::time::Timestamp;
use koudai_networks::protocol;

use super::BillKind;
use super::csv::{Cells, heads};

/// What a journal means to the merchant whose account it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An order was paid.
    Paid(OrderId),
    /// Money went back to a payer's balance, where it arrived at once.
    Refunded(RefundId),
    /// Money left for a payer's card.
    RefundSent(RefundId),
    /// What had left for a card has arrived.
    RefundArrived(RefundId),
    /// What had left for a card was refused there.
    RefundRefused(RefundId),
    /// What a card had refused came back to the merchant.
    RefundReturned(RefundId),
    /// Money left for a person, who has yet to receive it.
    Sent(TransferId),
    /// What nobody received came back.
    SentReturned(TransferId),
    /// Nothing: it is no merchant's.
    Nobody,
}

/// What a journal means. No `_` arm: a new kind does not compile before somebody has said what bills make of it.
pub(super) const fn meaning(journal: &Journal) -> Meaning {
    let (order, refund) = (OrderId(journal.subject), RefundId(journal.subject));
    match journal.kind {
        JournalKind::TopUp
        | JournalKind::TransferPaid
        | JournalKind::AppDebit
        | JournalKind::AppRefund
        | JournalKind::AppPayout
        | JournalKind::WithdrawalHeld
        | JournalKind::WithdrawalPaid
        | JournalKind::WithdrawalReturned
        | JournalKind::Adjustment
        | JournalKind::SplitHeld
        | JournalKind::SplitReleased => Meaning::Nobody,
        JournalKind::TransferHeld => Meaning::Sent(TransferId(journal.subject)),
        JournalKind::TransferReturned => Meaning::SentReturned(TransferId(journal.subject)),
        JournalKind::BalancePayment | JournalKind::CardPayment | JournalKind::SplitPayment => {
            Meaning::Paid(order)
        }
        JournalKind::BalanceRefund => Meaning::Refunded(refund),
        JournalKind::CardRefundAccepted | JournalKind::SplitRefund => Meaning::RefundSent(refund),
        JournalKind::CardRefundDone | JournalKind::RefundToBalance => Meaning::RefundArrived(refund),
        JournalKind::CardRefundAbnormal => Meaning::RefundRefused(refund),
        JournalKind::RefundToMerchant => Meaning::RefundReturned(refund),
    }
}

/// Whether a kind of bill has lines of this meaning. A refund stands on the day its money left the merchant, and only there.
/// The fund-flow bills of all days add up to the account; so do the trade bills, but for transfers and for what came back
/// of refunds that cards had refused.
pub(super) const fn has(kind: BillKind, meaning: Meaning) -> bool {
    match meaning {
        Meaning::Paid(_) => !matches!(kind, BillKind::Refund),
        Meaning::Refunded(_) | Meaning::RefundSent(_) => !matches!(kind, BillKind::Success),
        Meaning::RefundReturned(_) | Meaning::Sent(_) | Meaning::SentReturned(_) => {
            matches!(kind, BillKind::FundFlow)
        }
        Meaning::RefundArrived(_) | Meaning::RefundRefused(_) | Meaning::Nobody => false,
    }
}

/// How far a refund was at the end of its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Arrived, then.
    Arrived(Timestamp),
    /// On its way.
    UnderWay,
    /// Refused by the card's bank.
    Refused,
}

impl Progress {
    const fn word(self) -> &'static str {
        match self {
            Self::Arrived(_) => "SUCCESS",
            Self::UnderWay => "PROCESSING",
            Self::Refused => "FAIL",
        }
    }
}

/// What a journal moved on a merchant's account, fee apart: above zero is to the merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// The order's or the refund's amount.
    pub(super) amount: i64,
    /// The fee taken, below zero what was given back of it.
    pub(super) fee: i64,
}

/// What a journal moved on an account, in fen.
pub(super) fn moved(journal: &Journal, account: AccountId) -> Moved {
    let mut moved = Moved { amount: 0, fee: 0 };
    for posting in &journal.postings {
        let minor = posting.amount.minor();
        let fees = AccountId::fees();
        if posting.debit == account && posting.credit == fees {
            moved.fee += minor;
        } else if posting.debit == fees && posting.credit == account {
            moved.fee -= minor;
        } else if posting.credit == account {
            moved.amount += minor;
        } else if posting.debit == account {
            moved.amount -= minor;
        }
    }
    moved
}

/// What a bill adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Lines.
    pub(super) lines: u64,
    /// Trade: what orders came to. Fund flow: what came in.
    pub(super) into: i64,
    /// Trade: what was refunded. Fund flow: what went out.
    pub(super) out_of: i64,
    /// Trade: fees, less those given back.
    pub(super) fees: i64,
    /// Fund flow: how many lines came in.
    pub(super) ins: u64,
}

/// The refund of a line, and how far it was.
pub(super) struct Returned<'a> {
    pub(super) refund: &'a Refund,
    pub(super) progress: Progress,
}

/// A line of a trade bill.
pub(super) struct TradeLine<'a> {
    /// The journal's moment.
    pub(super) at: Timestamp,
    pub(super) order: &'a Order,
    pub(super) openid: &'a str,
    /// The refund, on a line that is one's.
    pub(super) returned: Option<Returned<'a>>,
    pub(super) moved: Moved,
    /// The merchant's rate.
    pub(super) ppm: u32,
}

const TRADE: [&str; 27] = [
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
    "申请退款金额",
    "费率备注",
];
/// The first columns of `TRADE`, up to the coupons.
const BEFORE_REFUND: usize = 14;
/// The columns of `TRADE` about a refund end before this one.
const AFTER_REFUND: usize = 20;
/// 申请退款金额.
const ASKED: usize = 25;

const TRADE_SUMS: [&str; 7] = [
    "总交易单数",
    "应结订单总金额",
    "退款总金额",
    "充值券退款总金额",
    "手续费总金额",
    "订单总金额",
    "申请退款总金额",
];

const FUND_FLOW: [&str; 11] = [
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务名称",
    "业务类型",
    "收支类型",
    "收支金额(元)",
    "账户结余(元)",
    "资金变更提交申请人",
    "备注",
    "业务凭证号",
];
const FUND_FLOW_SUMS: [&str; 5] = ["资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"];

/// The first line of a bill.
pub(super) fn head(kind: BillKind, out: &mut String) {
    let (before, after) = (&TRADE[..BEFORE_REFUND], &TRADE[BEFORE_REFUND..]);
    match kind {
        BillKind::All => heads(out, &TRADE),
        BillKind::Success => heads(out, &[before, &TRADE[AFTER_REFUND..ASKED], &TRADE[ASKED + 1..]].concat()),
        BillKind::Refund => heads(out, &[before, &["退款申请时间", "退款成功时间"], after].concat()),
        BillKind::FundFlow => heads(out, &FUND_FLOW),
    }
}

/// The last two lines of a bill.
pub(super) fn foot(kind: BillKind, sums: &Sums, out: &mut String) {
    let Sums { lines, into, out_of, fees, ins } = *sums;
    match kind {
        BillKind::All | BillKind::Refund => heads(out, &TRADE_SUMS),
        BillKind::Success => heads(out, &["总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"]),
        BillKind::FundFlow => heads(out, &FUND_FLOW_SUMS),
    }
    let mut cells = Cells::of(out);
    cells.count(lines);
    match kind {
        BillKind::All | BillKind::Refund => {
            cells.yuan(into);
            cells.yuan(out_of);
            cells.yuan(0);
            cells.fee(fees);
            cells.yuan(into);
            cells.yuan(out_of);
        }
        BillKind::Success => {
            cells.yuan(into);
            cells.fee(fees);
            cells.yuan(into);
        }
        BillKind::FundFlow => {
            cells.count(ins);
            cells.yuan(into);
            cells.count(lines - ins);
            cells.yuan(out_of);
        }
    }
    cells.end();
}

impl TradeLine<'_> {
    /// Writes the line as this kind of trade bill has it.
    pub(super) fn write(&self, kind: BillKind, sums: &mut Sums, out: &mut String) {
        // A payment brings the order's amount and no refund, a refund the other way round.
        let (paid, back) = (self.moved.amount.max(0), (-self.moved.amount).max(0));
        sums.lines += 1;
        sums.into += paid;
        sums.out_of += back;
        sums.fees += self.moved.fee;
        let order = self.order;
        let mut cells = Cells::of(out);
        cells.moment(Some(self.at));
        cells.text(&order.appid);
        cells.word(&order.mchid.wire());
        cells.word("0");
        cells.text(order.scene_info.as_deref().and_then(protocol::device).as_deref().unwrap_or_default());
        cells.word(&order.id.wire());
        cells.text(&order.out_trade_no);
        cells.word(self.openid);
        cells.word(protocol::trade_type(order.product));
        cells.word(match &self.returned {
            Some(returned) if returned.refund.is_reversal() => "REVOKED",
            Some(_) => "REFUND",
            None => "SUCCESS",
        });
        cells.word("OTHERS");
        cells.word(order.amount.currency().code());
        cells.yuan(paid);
        cells.yuan(0);
        if kind != BillKind::Success {
            self.refund_cells(kind, back, &mut cells);
        }
        cells.text(&order.description);
        cells.text(order.attach.as_deref().unwrap_or_default());
        cells.fee(self.moved.fee);
        cells.rate(self.ppm);
        cells.yuan(paid);
        if kind != BillKind::Success {
            cells.yuan(back);
        }
        cells.word("");
        cells.end();
    }

    fn refund_cells(&self, kind: BillKind, back: i64, cells: &mut Cells<'_>) {
        if kind == BillKind::Refund {
            cells.moment(self.returned.as_ref().map(|_| self.at));
            cells.moment(self.returned.as_ref().and_then(|returned| match returned.progress {
                Progress::Arrived(at) => Some(at),
                Progress::UnderWay | Progress::Refused => None,
            }));
        }
        match &self.returned {
            None => {
                cells.word("0");
                cells.word("0");
            }
            Some(Returned { refund, .. }) => {
                cells.word(&refund.id.wire());
                cells.text(&refund.out_refund_no);
            }
        }
        cells.yuan(back);
        cells.yuan(0);
        cells.word(self.returned.as_ref().map_or("", |_| "ORIGINAL"));
        cells.word(self.returned.as_ref().map_or("", |returned| returned.progress.word()));
    }
}

/// What a line of a fund-flow bill is about.
pub(super) struct Business<'a> {
    /// The payment's or the refund's number of ours.
    pub(super) number: String,
    /// The merchant's own number for it.
    pub(super) voucher: &'a str,
    /// Why, in the merchant's words.
    pub(super) remark: &'a str,
    /// Its name, which is the kind of its main line too.
    pub(super) name: &'static str,
    /// The kind of the line of its fee.
    pub(super) fee: &'static str,
}

/// A payment, as fund-flow bills have it.
pub(super) fn payment(order: &Order) -> Business<'_> {
    let (number, voucher) = (order.id.wire(), &*order.out_trade_no);
    Business { number, voucher, remark: "", name: "交易", fee: "扣除交易手续费" }
}

/// A refund, as fund-flow bills have it.
pub(super) fn refund(refund: &Refund) -> Business<'_> {
    let remark = refund.reason.as_deref().unwrap_or_default();
    let (number, voucher) = (refund.id.wire(), refund.out_refund_no.as_str());
    Business { number, voucher, remark, name: "退款", fee: "退还交易手续费" }
}

/// What came back of a refund, as fund-flow bills have it.
pub(super) fn come_back(refund: &Refund) -> Business<'_> {
    Business { name: "退款退回", ..self::refund(refund) }
}

/// A transfer that was sent or came back, as fund-flow bills have it.
pub(super) fn transfer(transfer: &Transfer, came_back: bool) -> Business<'_> {
    let name = if came_back { "商家转账退回" } else { "商家转账" };
    let (number, voucher) = (transfer.id.wire(), transfer.out_bill_no.as_str());
    Business { number, voucher, remark: &transfer.remark, name, fee: "" }
}

/// Writes the lines of a journal on a fund-flow bill, one a posting of the account's, each with what the account held after it.
pub(super) fn fund_flow(
    journal: &Journal,
    account: AccountId,
    business: &Business<'_>,
    sums: &mut Sums,
    out: &mut String,
) {
    let Some(line) = journal.line(account) else { return };
    let mut balance = line.credits_minor - line.debits_minor - journal.effect_on(account);
    let own = journal.postings.iter().filter(|p| p.debit == account || p.credit == account);
    for (place, posting) in (1_u8..).zip(own) {
        let (minor, comes_in) = (posting.amount.minor(), posting.credit == account);
        let is_fee = [posting.debit, posting.credit].contains(&AccountId::fees());
        balance += if comes_in { minor } else { -minor };
        sums.lines += 1;
        if comes_in {
            sums.ins += 1;
            sums.into += minor;
        } else {
            sums.out_of += minor;
        }
        let mut cells = Cells::of(out);
        cells.moment(Some(journal.at));
        cells.word(&business.number);
        cells.word(&format!("{:018}{place:02}", journal.seq.0));
        cells.word(business.name);
        cells.word(if is_fee { business.fee } else { business.name });
        cells.word(if comes_in { "收入" } else { "支出" });
        cells.yuan(minor);
        cells.yuan(balance);
        cells.word("system");
        cells.text(business.remark);
        cells.text(business.voucher);
        cells.end();
    }
}
