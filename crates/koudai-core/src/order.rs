//! A merchant's orders: placed, re-entered, closed. Expiry needs no write: an order past its time is closed by the clock.

use crate::id::{MchId, OrderId, PersonId};
use crate::money::Money;
use crate::refusal::MerchantRefusal;
use crate::rows::{Merchant, Order, OrderCode, OrderNumber, OrderState, OutTradeNo, Product};
use crate::state::{Command, Event, OrStop, Stop, Tx};
use crate::time::Timestamp;

impl Merchant {
    /// Whether the merchant may use a product.
    pub fn may_use(&self, product: Product) -> bool {
        self.products.split(' ').any(|word| word == product.word())
    }
}

/// How an order stands for everybody who looks at it at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStanding {
    /// May be paid.
    Payable,
    /// A payment is under way.
    Paying,
    /// Paid, nothing refunded.
    Paid,
    /// Paid, and some or all of it refunded.
    Refunded,
    /// Closed by the merchant.
    Closed,
    /// Closed by its time.
    Expired,
    /// A code payment that its payer is asked about.
    Confirming,
    /// A code payment that came to nothing, perhaps by its time.
    Failed,
    /// A code payment taken back, whether it had been paid or not.
    Reversed,
}

impl Order {
    /// How the order stands at `now`.
    pub const fn standing(&self, now: Timestamp) -> OrderStanding {
        match self.state {
            OrderState::Paid if self.refunds > 0 => OrderStanding::Refunded,
            OrderState::Paid => OrderStanding::Paid,
            OrderState::Paying => OrderStanding::Paying,
            OrderState::Closed => OrderStanding::Closed,
            OrderState::Unpaid if now.0 >= self.expires_at.0 => OrderStanding::Expired,
            OrderState::Unpaid => OrderStanding::Payable,
            OrderState::Confirming if now.0 >= self.expires_at.0 => OrderStanding::Failed,
            OrderState::Confirming => OrderStanding::Confirming,
            OrderState::Failed => OrderStanding::Failed,
            OrderState::Reversed => OrderStanding::Reversed,
        }
    }
}

/// What a merchant asks for when it places an order.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// The merchant.
    pub mchid: MchId,
    /// Its app.
    pub appid: String,
    /// Its number for the order.
    pub out_trade_no: String,
    /// How it is brought to the payer.
    pub product: Product,
    /// What the payer reads.
    pub description: String,
    /// What the merchant gets back.
    pub attach: Option<String>,
    /// Where the merchant is told.
    pub notify_url: String,
    /// For coupons.
    pub goods_tag: Option<String>,
    /// Compact JSON.
    pub detail: Option<String>,
    /// Compact JSON.
    pub scene_info: Option<String>,
    /// Compact JSON.
    pub settle_info: Option<String>,
    /// What is to be paid.
    pub amount: Money,
    /// Until when, if the merchant says.
    pub time_expire: Option<Timestamp>,
    /// The only person who may pay it; `None` if anybody may.
    pub meant_for: Option<PersonId>,
}

impl PlaceOrder {
    /// The first field in which a re-entry differs from the order, as a JSON pointer. `time_expire` and `scene_info`
    /// are not compared: the first request sets them (protocol specification 3.3).
    fn difference(&self, order: &Order) -> Option<&'static str> {
        [
            (*self.appid != *order.appid, "/appid"),
            (self.product != order.product, "/trade_type"),
            (self.amount != order.amount, "/amount/total"),
            (*self.description != *order.description, "/description"),
            (self.attach.as_deref() != order.attach.as_deref(), "/attach"),
            (*self.notify_url != *order.notify_url, "/notify_url"),
            (self.goods_tag.as_deref() != order.goods_tag.as_deref(), "/goods_tag"),
            (self.meant_for != order.meant_for, "/payer/openid"),
            (self.detail.as_deref() != order.detail.as_deref(), "/detail"),
            (self.settle_info.as_deref() != order.settle_info.as_deref(), "/settle_info"),
        ]
        .into_iter()
        .find_map(|(differs, field)| differs.then_some(field))
    }
}

impl Command for PlaceOrder {
    /// The order, its code alive.
    type Reply = Order;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<MerchantRefusal>> {
        let now = tx.now();
        let key = OutTradeNo { mchid: self.mchid, out_trade_no: self.out_trade_no.clone() };
        let known = tx.rows().order_number.get(&key).or_stop()?.map(|n| n.order);
        let merchant = active_merchant(tx, self.mchid)?;
        if merchant.appid != self.appid {
            return Err(MerchantRefusal::AppidMismatch.into());
        }
        if !merchant.may_use(self.product) {
            return Err(MerchantRefusal::ProductNotEnabled.into());
        }
        if let Some(id) = known {
            let order = tx.rows().order.get(&id).or_stop()?.cloned();
            let mut order = order.ok_or(MerchantRefusal::OrderReversed)?;
            match order.standing(now) {
                OrderStanding::Paid | OrderStanding::Refunded => {
                    return Err(MerchantRefusal::OrderPaid.into());
                }
                OrderStanding::Closed | OrderStanding::Expired | OrderStanding::Failed => {
                    return Err(MerchantRefusal::OrderClosed.into());
                }
                OrderStanding::Reversed => return Err(MerchantRefusal::OrderReversed.into()),
                OrderStanding::Payable | OrderStanding::Paying | OrderStanding::Confirming => {}
            }
            if let Some(field) = self.difference(&order) {
                return Err(MerchantRefusal::OutTradeNoUsed { field }.into());
            }
            if now >= order.code_expires_at {
                order.code = tx.fresh_token();
                issue_code(tx, &mut order);
                tx.rows().order.put(order.clone());
            }
            return Ok(order);
        }
        if let Some(payer) = self.meant_for
            && tx.rows().person.get(&payer).or_stop()?.is_none()
        {
            return Err(MerchantRefusal::PayerUnknown.into());
        }
        let policy = tx.policy();
        let wished = self.time_expire.map_or(policy.order_life_ms, |t| t.since(now));
        let life_ms = wished.clamp(policy.order_life_least_ms, policy.order_life_most_ms);
        Ok(place(tx, self, key, life_ms))
    }
}

/// The order that is wished for, with its code, payable for so long. Its number was looked for and stands for none.
pub(crate) fn place(tx: &mut Tx<'_>, wish: &PlaceOrder, key: OutTradeNo, life_ms: i64) -> Order {
    let now = tx.now();
    let zero = Money::zero(wish.amount.currency());
    let mut order = Order {
        id: OrderId(tx.fresh_id()),
        mchid: wish.mchid,
        appid: wish.appid.as_str().into(),
        out_trade_no: wish.out_trade_no.as_str().into(),
        product: wish.product,
        description: wish.description.as_str().into(),
        attach: wish.attach.as_deref().map(Into::into),
        notify_url: wish.notify_url.as_str().into(),
        goods_tag: wish.goods_tag.as_deref().map(Into::into),
        detail: wish.detail.as_deref().map(Into::into),
        scene_info: wish.scene_info.as_deref().map(Into::into),
        settle_info: wish.settle_info.as_deref().map(Into::into),
        amount: wish.amount,
        created_at: now,
        expires_at: now.plus(life_ms),
        code: tx.fresh_token(),
        code_expires_at: now,
        meant_for: wish.meant_for,
        state: OrderState::Unpaid,
        payer: None,
        card: None,
        attempt: None,
        paid_at: None,
        paid_seq: None,
        fee: zero,
        refunded: zero,
        fee_returned: zero,
        refunds: 0,
    };
    issue_code(tx, &mut order);
    tx.rows().order_number.put(OrderNumber { key, order: order.id });
    tx.rows().order.insert(order.clone());
    order
}

/// Lets the order's code, freshly drawn, stand for it from now on. It never outlives the order.
fn issue_code(tx: &mut Tx<'_>, order: &mut Order) {
    order.code_expires_at = tx.now().plus(tx.policy().code_life_ms).min(order.expires_at);
    let (token, expires_at) = (order.code, order.code_expires_at);
    tx.rows().order_code.insert(OrderCode { token, order: order.id, expires_at });
}

/// Closes an unpaid order. Closing a closed one is no error.
#[derive(Clone, Debug)]
pub struct CloseOrder {
    /// The merchant.
    pub mchid: MchId,
    /// Its number.
    pub out_trade_no: String,
}

impl Command for CloseOrder {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let mut order = order_by_number(tx, self.mchid, &self.out_trade_no)?;
        if order.product == Product::CodePay {
            return Err(MerchantRefusal::OnlyReversed.into());
        }
        match order.standing(tx.now()) {
            OrderStanding::Paid | OrderStanding::Refunded => Err(MerchantRefusal::OrderPaid.into()),
            OrderStanding::Paying => Err(MerchantRefusal::UserPaying.into()),
            OrderStanding::Closed | OrderStanding::Expired => Ok(()),
            OrderStanding::Confirming | OrderStanding::Failed | OrderStanding::Reversed => {
                unreachable!("only code payments stand so, and they are not closed")
            }
            OrderStanding::Payable => {
                order.state = OrderState::Closed;
                tx.announce(Event::OrderChanged(order.id));
                tx.rows().order.put(order);
                Ok(())
            }
        }
    }
}

/// Forgets codes that expired long ago; the order lives on. Codes that are still of use stay.
#[derive(Clone, Debug)]
pub struct SweepCodes {
    /// At most a few hundred.
    pub tokens: Vec<[u8; 16]>,
}

impl Command for SweepCodes {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let old = tx.now().plus(-tx.policy().code_kept_ms);
        tx.rows().order_code.want(&self.tokens).or_stop()?;
        for token in &self.tokens {
            let code = tx.rows().order_code.get(token).or_stop()?;
            if code.is_some_and(|c| c.expires_at <= old) {
                tx.rows().order_code.delete(token);
            }
        }
        Ok(())
    }
}

/// A merchant that exists and is not suspended.
pub(crate) fn active_merchant(tx: &mut Tx<'_>, mchid: MchId) -> Result<Merchant, Stop<MerchantRefusal>> {
    let merchant = tx.rows().merchant.get(&mchid).or_stop()?.cloned();
    let merchant = merchant.ok_or(MerchantRefusal::MerchantUnknown)?;
    if merchant.suspended { Err(MerchantRefusal::MerchantSuspended.into()) } else { Ok(merchant) }
}

/// A merchant's order by the merchant's number. A number without its order was reversed before anything came under it.
pub(crate) fn order_by_number(
    tx: &mut Tx<'_>,
    mchid: MchId,
    out_trade_no: &str,
) -> Result<Order, Stop<MerchantRefusal>> {
    let key = OutTradeNo { mchid, out_trade_no: out_trade_no.to_owned() };
    let id =
        tx.rows().order_number.get(&key).or_stop()?.map(|n| n.order).ok_or(MerchantRefusal::OrderUnknown)?;
    Ok(tx.rows().order.get(&id).or_stop()?.cloned().ok_or(MerchantRefusal::OrderReversed)?)
}
