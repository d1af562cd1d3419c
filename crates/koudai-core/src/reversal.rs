//! Reversing a code payment whose outcome its merchant does not know, or does not want: it is cancelled for good, and what
//! was paid goes back whole. A number that nothing has come under yet is closed to whatever is still on its way.

use crate::attempt;
use crate::id::{MchId, OrderId};
use crate::ledger::AccountId;
use crate::order::OrderStanding;
use crate::refund::{Wish, give_back};
use crate::refusal::MerchantRefusal;
use crate::rows::{Order, OrderNumber, OrderState, OutRefundNo, OutTradeNo, Product, Refund, ReversedNumber};
use crate::state::{Command, Event, OrStop, Stop, Tx};

/// What the number of a reversal's refund begins with. No number of a merchant's has a colon.
const REFUND_PREFIX: &str = "reverse:";

impl Refund {
    /// Whether it was made by reversing its order, so that its number is ours and not the merchant's.
    pub fn is_reversal(&self) -> bool {
        self.out_refund_no.starts_with(REFUND_PREFIX)
    }
}

/// Reverses a code payment. Reversing it again is no error.
#[derive(Clone, Debug)]
pub struct ReverseOrder {
    /// The merchant.
    pub mchid: MchId,
    /// Its app.
    pub appid: String,
    /// Its number.
    pub out_trade_no: String,
}

impl Command for ReverseOrder {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let key = OutTradeNo { mchid: self.mchid, out_trade_no: self.out_trade_no.clone() };
        let known = tx.rows().order_number.get(&key).map(|row| row.map(|number| number.order));
        let merchant =
            tx.rows().merchant.get(&self.mchid).or_stop()?.ok_or(MerchantRefusal::MerchantUnknown)?;
        if merchant.appid != self.appid {
            return Err(MerchantRefusal::AppidMismatch.into());
        }
        match known.or_stop()? {
            Some(id) => reverse(tx, id),
            None => {
                self.bar(tx, key);
                Ok(())
            }
        }
    }
}

impl ReverseOrder {
    /// Lets the number stand for no order, ever: the payment call may still be on its way.
    fn bar(&self, tx: &mut Tx<'_>, key: OutTradeNo) {
        let (id, reversed_at) = (OrderId(tx.fresh_id()), tx.now());
        let out_trade_no = self.out_trade_no.clone();
        tx.rows().reversed_number.insert(ReversedNumber { id, mchid: self.mchid, out_trade_no, reversed_at });
        tx.rows().order_number.put(OrderNumber { key, order: id });
    }
}

fn reverse(tx: &mut Tx<'_>, id: OrderId) -> Result<(), Stop<MerchantRefusal>> {
    let Some(mut order) = tx.rows().order.get(&id).or_stop()?.cloned() else { return Ok(()) };
    if order.product != Product::CodePay {
        return Err(MerchantRefusal::NotCodePayment.into());
    }
    let standing = order.standing(tx.now());
    if standing == OrderStanding::Reversed {
        return Ok(());
    }
    let (age, policy) = (tx.now().since(order.created_at), tx.policy());
    if age < policy.reverse_after_ms {
        return Err(MerchantRefusal::ReverseTooSoon.into());
    }
    if age > policy.reverse_within_ms {
        return Err(MerchantRefusal::ReverseTooLate.into());
    }
    let payment = tx.rows().code_payment.get(&id).or_stop()?.cloned();
    let mut payment = payment.expect("a code payment has its row");
    match standing {
        OrderStanding::Refunded => return Err(MerchantRefusal::OrderRefunded.into()),
        OrderStanding::Paid => {
            prepare(tx, &order)?;
            give_all_back(tx, &mut order)?;
        }
        OrderStanding::Paying => {
            let attempt = order.attempt.expect("an order being paid has its attempt");
            let open = tx.rows().open_attempt.get(&attempt).or_stop()?.cloned();
            // The bank may have paid, or may yet; its outcome finds the order reversed.
            attempt::withdraw(tx, open.expect("an order being paid has its open attempt"));
            order.state = OrderState::Reversed;
        }
        OrderStanding::Confirming
        | OrderStanding::Failed
        | OrderStanding::Payable
        | OrderStanding::Closed
        | OrderStanding::Expired
        | OrderStanding::Reversed => {
            order.state = OrderState::Reversed;
            order.payer = None;
        }
    }
    payment.reversed_at = Some(tx.now());
    tx.announce(Event::OrderChanged(order.id));
    tx.rows().code_payment.put(payment);
    tx.rows().order.put(order);
    Ok(())
}

fn refund_key(order: &Order) -> OutRefundNo {
    let out_refund_no = format!("{REFUND_PREFIX}{}", order.out_trade_no);
    OutRefundNo { mchid: order.mchid, out_refund_no }
}

/// Loads what `give_all_back` will need of the order.
///
/// # Errors
/// `Absent`.
pub(crate) fn prepare<R>(tx: &mut Tx<'_>, order: &Order) -> Result<(), Stop<R>> {
    let number = tx.rows().refund_number.get(&refund_key(order)).map(|row| row.is_some());
    let card = order.card.map(|card| tx.rows().card.get(&card).map(|card| card.map(|card| card.network)));
    if let Some(network) = card.transpose().or_stop()?.flatten() {
        tx.prepare(&[AccountId::refund_in_flight(network)]).or_stop()?;
    }
    number.or_stop().map(drop)
}

/// Gives all of a paid order back, and leaves it reversed.
///
/// # Errors
/// `NotEnoughFunds`, and `Absent`.
pub(crate) fn give_all_back(tx: &mut Tx<'_>, order: &mut Order) -> Result<Refund, Stop<MerchantRefusal>> {
    let wish = Wish { key: refund_key(order), amount: order.amount, reason: None, notify_url: None };
    let state = std::mem::replace(&mut order.state, OrderState::Reversed);
    let given = give_back(tx, order, wish);
    if given.is_err() {
        order.state = state;
    }
    given
}
