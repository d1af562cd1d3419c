//! Refunds: back the way the money came, never more than was paid, each number once. One that a bank refuses for good
//! is sent elsewhere, once, by the merchant's decision.

use crate::attempt;
use crate::id::{MchId, OrderId, RefundId};
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::Money;
use crate::order::order_by_number;
use crate::payment::push_posting;
use crate::planted::{self, Bug};
use crate::refusal::MerchantRefusal;
use crate::rows::{
    Attempt, AttemptKind, Card, Order, OrderState, OutRefundNo, Refund, RefundNumber, RefundState, RefundWay,
};
use crate::split::Split;
use crate::state::{Command, Event, OrStop, Stop, Tx};

/// How a merchant names the order it refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderName {
    /// Our number.
    Id(OrderId),
    /// Theirs.
    Number(String),
}

/// Refunds an order, wholly or in part.
#[derive(Clone, Debug)]
pub struct RequestRefund {
    /// The merchant.
    pub mchid: MchId,
    /// The order.
    pub order: OrderName,
    /// The merchant's number for the refund.
    pub out_refund_no: String,
    /// What goes back.
    pub amount: Money,
    /// The order's total, as the merchant believes it.
    pub total: Money,
    /// What the payer reads.
    pub reason: Option<String>,
    /// Where the merchant is told.
    pub notify_url: Option<String>,
}

impl Command for RequestRefund {
    /// The refund and its order, as they stand now.
    type Reply = (Refund, Order);
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Reply, Stop<MerchantRefusal>> {
        let key = OutRefundNo { mchid: self.mchid, out_refund_no: self.out_refund_no.clone() };
        let known = tx.rows().refund_number.get(&key).or_stop()?.map(|n| n.refund);
        let mut order = self.find_order(tx)?;
        if let Some(id) = known {
            let old = tx.rows().refund.get(&id).or_stop()?.cloned().expect("a number stands for a refund");
            return match () {
                () if old.order != order.id => {
                    Err(MerchantRefusal::OutRefundNoUsed { field: "/out_trade_no" }.into())
                }
                () if old.amount != self.amount => {
                    Err(MerchantRefusal::OutRefundNoUsed { field: "/amount/refund" }.into())
                }
                () if order.amount != self.total => {
                    Err(MerchantRefusal::OutRefundNoUsed { field: "/amount/total" }.into())
                }
                () => Ok((old, order)),
            };
        }
        self.check(tx, &order)?;
        let wish = Wish {
            key,
            amount: self.amount,
            reason: self.reason.clone(),
            notify_url: self.notify_url.clone(),
        };
        let refund = give_back(tx, &mut order, wish)?;
        Ok((refund, order))
    }
}

/// A refund that may be made.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Its number, which the decision has looked for.
    pub(crate) key: OutRefundNo,
    /// At most what is left of the order.
    pub(crate) amount: Money,
    /// What the payer reads.
    pub(crate) reason: Option<String>,
    /// Where the merchant is told.
    pub(crate) notify_url: Option<String>,
}

/// Refunds a paid order, the way it was paid.
///
/// # Errors
/// `NotEnoughFunds`, and `Absent`; past its checks nothing fails.
pub(crate) fn give_back(
    tx: &mut Tx<'_>,
    order: &mut Order,
    wish: Wish,
) -> Result<Refund, Stop<MerchantRefusal>> {
    let Wish { key, amount, reason, notify_url } = wish;
    let refunded = order.refunded.checked_add(amount).expect("it is within the order's amount");
    // The fee comes back cumulatively, so that the parts of a whole refund give back all of it.
    let fee_after =
        order.fee.share_floor(refunded.minor(), order.amount.minor()).expect("a share of a fee fits");
    let fee_back = fee_after.checked_sub(order.fee_returned).expect("a cumulative share never falls");
    let payer = order.payer.expect("a paid order has its payer");
    let paid_by = card_that_paid(tx, order)?;
    let nothing = Money::zero(amount.currency());
    let parts = match &paid_by {
        None => Split { card: nothing, balance: amount },
        Some((_, paid)) => {
            let paid = Split::of(order.amount, paid.amount).expect("a card pays no more than its order");
            paid.back(order.refunded, amount)
        }
    };
    let paid_by = paid_by.filter(|_| !parts.card.is_zero());
    let (merchant, fees) = (AccountId::merchant(order.mchid), AccountId::fees());
    let person = AccountId::person(payer);
    let way = paid_by.as_ref().map(|(card, _)| AccountId::refund_in_flight(card.network));
    tx.prepare(&[merchant, fees, person]).or_stop()?;
    if let Some(way) = way {
        tx.prepare(&[way]).or_stop()?;
    }
    let funds = tx.standing(merchant, amount.currency()).or_stop()?;
    let funds = funds.checked_add(fee_back).map_err(|_| MerchantRefusal::NotEnoughFunds)?;
    funds.checked_sub(amount).map_err(|_| MerchantRefusal::NotEnoughFunds)?;

    let now = tx.now();
    let mut refund = Refund {
        id: RefundId(tx.fresh_id()),
        mchid: order.mchid,
        out_refund_no: key.out_refund_no.clone(),
        order: order.id,
        amount,
        reason,
        notify_url,
        state: RefundState::Processing,
        payer,
        card: paid_by.as_ref().map(|(card, _)| card.id),
        attempt: None,
        fee_returned: fee_back,
        created_at: now,
        success_at: None,
        way: RefundWay::Original,
    };
    let mut postings = vec![];
    push_posting(&mut postings, fees, merchant, fee_back);
    if let Some(way) = way {
        push_posting(&mut postings, merchant, way, parts.card);
    }
    push_posting(&mut postings, merchant, person, parts.balance);
    let kind = match (parts.card.is_zero(), parts.balance.is_zero()) {
        (true, _) => JournalKind::BalanceRefund,
        (false, true) => JournalKind::CardRefundAccepted,
        (false, false) => JournalKind::SplitRefund,
    };
    tx.post(kind, refund.id.0, amount.currency(), postings, &[person]);
    if let Some((card, original)) = paid_by {
        let mut call = attempt::new(tx, AttemptKind::CardRefund, &card, parts.card);
        call.order = Some(order.id);
        call.refund = Some(refund.id);
        call.original = Some(original.id);
        refund.attempt = Some(call.id);
        attempt::open(tx, call);
    } else {
        refund.state = RefundState::Success;
        refund.success_at = Some(now);
    }
    order.refunded = refunded;
    order.fee_returned = fee_after;
    order.refunds += 1;
    tx.announce(Event::OrderChanged(order.id));
    tx.rows().refund_number.put(RefundNumber { key, refund: refund.id });
    tx.rows().refund.insert(refund.clone());
    tx.rows().order.put(order.clone());
    Ok(refund)
}

/// The card that paid an order, all of it or the part that its call says, and that call; `None` if the balance did.
fn card_that_paid(tx: &mut Tx<'_>, order: &Order) -> Result<Option<(Card, Attempt)>, Stop<MerchantRefusal>> {
    let (Some(card), Some(attempt)) = (order.card, order.attempt) else { return Ok(None) };
    let rows = tx.rows();
    // Both are asked for at once, so that one round loads them.
    let card = rows.card.get(&card).map(Option::<&_>::cloned);
    let attempt = rows.attempt.get(&attempt).map(Option::<&_>::cloned);
    let card = card.or_stop()?.expect("a card payment has its card");
    Ok(Some((card, attempt.or_stop()?.expect("a card payment has its call"))))
}

impl RequestRefund {
    fn find_order(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<MerchantRefusal>> {
        match &self.order {
            OrderName::Number(number) => order_by_number(tx, self.mchid, number),
            OrderName::Id(id) => {
                let order = tx.rows().order.get(id).or_stop()?.filter(|o| o.mchid == self.mchid);
                Ok(order.cloned().ok_or(MerchantRefusal::OrderUnknown)?)
            }
        }
    }

    /// Whether the order may be refunded by this much.
    fn check(&self, tx: &Tx<'_>, order: &Order) -> Result<(), MerchantRefusal> {
        if order.state == OrderState::Reversed {
            return Err(MerchantRefusal::OrderReversed);
        }
        let Some(paid_at) = order.paid_at.filter(|_| order.state == OrderState::Paid) else {
            return Err(MerchantRefusal::OrderNotPaid);
        };
        if order.amount != self.total {
            return Err(MerchantRefusal::RefundTotalMismatch);
        }
        let rest =
            order.amount.checked_sub(order.refunded).expect("an order is not refunded beyond its amount");
        let unchecked = planted::is(Bug::RefundUnchecked) && order.refunds > 0;
        if rest.checked_sub(self.amount).is_err() && !unchecked || self.amount.is_zero() {
            return Err(MerchantRefusal::RefundExceedsRest { rest_minor: rest.minor() });
        }
        if order.refunds >= tx.policy().refunds_most {
            return Err(MerchantRefusal::TooManyRefunds);
        }
        if tx.now().since(paid_at) > tx.policy().refund_window_ms {
            return Err(MerchantRefusal::RefundTooLate);
        }
        Ok(())
    }
}

/// Where a refund may go that its bank refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// To the payer's balance.
    Balance,
    /// Back to the merchant, who pays the payer by other means.
    Merchant,
}

impl Elsewhere {
    const fn way(self) -> RefundWay {
        match self {
            Self::Balance => RefundWay::Balance,
            Self::Merchant => RefundWay::Merchant,
        }
    }
}

/// Sends a refund elsewhere that its bank refused for good. It goes once: asking again for the same way changes nothing.
#[derive(Clone, Debug)]
pub struct RedirectRefund {
    /// The merchant.
    pub mchid: MchId,
    /// The refund.
    pub refund: RefundId,
    /// The merchant's number for it, which has to fit.
    pub out_refund_no: String,
    /// Where it is to go.
    pub to: Elsewhere,
}

impl Command for RedirectRefund {
    /// The refund and its order, as they stand now.
    type Reply = (Refund, Order);
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Reply, Stop<MerchantRefusal>> {
        let refund = tx.rows().refund.get(&self.refund).or_stop()?.filter(|r| r.mchid == self.mchid).cloned();
        let mut refund = refund.ok_or(MerchantRefusal::RefundUnknown)?;
        if refund.out_refund_no != self.out_refund_no {
            return Err(MerchantRefusal::OutRefundNoUsed { field: "/out_refund_no" }.into());
        }
        let order = tx.rows().order.get(&refund.order).or_stop()?.cloned().expect("a refund has its order");
        if refund.way == self.to.way() {
            return Ok((refund, order));
        }
        let stuck = refund.state == RefundState::Abnormal;
        let attempt = refund.attempt.filter(|_| stuck).ok_or(MerchantRefusal::RefundNotAbnormal)?;
        let attempt = tx.rows().attempt.get(&attempt).or_stop()?.cloned().expect("a refund has its call");
        if self.to == Elsewhere::Balance && tx.rows().guest.get(&refund.payer).or_stop()?.is_some() {
            return Err(MerchantRefusal::PayerHasNoWallet.into());
        }
        let source = AccountId::refund_in_flight(attempt.network);
        let (payer, merchant) = (AccountId::person(refund.payer), AccountId::merchant(self.mchid));
        tx.prepare(&[source, payer, merchant]).or_stop()?;

        send_elsewhere(tx, &mut refund, &attempt, self.to);
        tx.announce(Event::OrderChanged(order.id));
        tx.rows().refund.put(refund.clone());
        Ok((refund, order))
    }
}

/// Brings what a network would not take where it is to go: all that its call was to bring. The decision has prepared the
/// accounts.
pub(crate) fn send_elsewhere(tx: &mut Tx<'_>, refund: &mut Refund, call: &Attempt, to: Elsewhere) {
    let (payer, merchant) = (AccountId::person(refund.payer), AccountId::merchant(refund.mchid));
    let (kind, credit) = match to {
        Elsewhere::Balance => (JournalKind::RefundToBalance, payer),
        Elsewhere::Merchant => (JournalKind::RefundToMerchant, merchant),
    };
    let posting = Posting { debit: AccountId::refund_in_flight(call.network), credit, amount: call.amount };
    tx.post(kind, refund.id.0, refund.amount.currency(), vec![posting], &[payer, merchant]);
    refund.state = RefundState::Success;
    refund.success_at = Some(tx.now());
    refund.way = to.way();
}
