//! Code payments: the merchant has scanned the payer's code, and the reply is the outcome. Small amounts pass at once,
//! others wait for the payer, who confirms on their phone with the payment password or refuses.

use crate::attempt::Outcome;
use crate::column::worded;
use crate::confirmation::Confirmation;
use crate::id::{CardId, MchId, OrderId, PersonId};
use crate::ledger::{AccountId, JournalKind};
use crate::money::Money;
use crate::order::{OrderStanding, active_merchant};
use crate::payer_code::AuthCode;
use crate::payment::{Means, Pay, ask_card, merchant_of, settle};
use crate::refusal::{MerchantRefusal, Refusal};
use crate::reversal;
use crate::rows::{
    Attempt, Card, CodePayment, Merchant, NetworkRefusal, Order, OrderNumber, OrderState, OutTradeNo,
    PayerCode, PayerCodes, Person, Product,
};
use crate::state::{Command, Event, OrStop, Stop, Tx};

worded! {
    /// Why a code payment failed.
    CodeFailure {
        /// The balance did not cover it.
        InsufficientBalance = "insufficient_balance",
        /// The payer's account is frozen.
        AccountFrozen = "account_frozen",
        /// The bank: not enough money on the card.
        CardInsufficientFunds = "card_insufficient_funds",
        /// The bank: the card is lost, frozen, expired or unbound.
        CardNotUsable = "card_not_usable",
        /// The bank refused.
        BankRefused = "bank_refused",
        /// The bank could not be reached, and nothing was sent.
        BankUnavailable = "bank_unavailable",
        /// The payer refused.
        Declined = "declined",
    }
}

impl CodeFailure {
    /// What the merchant is told.
    pub const fn merchant_refusal(self) -> MerchantRefusal {
        match self {
            Self::InsufficientBalance | Self::CardInsufficientFunds => MerchantRefusal::PayerShort,
            Self::AccountFrozen => MerchantRefusal::PayerFrozen,
            Self::CardNotUsable | Self::BankRefused | Self::BankUnavailable | Self::Declined => {
                MerchantRefusal::PaymentFailed
            }
        }
    }
}

impl From<NetworkRefusal> for CodeFailure {
    fn from(refusal: NetworkRefusal) -> Self {
        match refusal {
            NetworkRefusal::InsufficientFunds => Self::CardInsufficientFunds,
            NetworkRefusal::OverLimit | NetworkRefusal::CardNotUsable => Self::CardNotUsable,
            NetworkRefusal::Unavailable => Self::BankUnavailable,
            NetworkRefusal::NotCovered | NetworkRefusal::Withdrawn | NetworkRefusal::Refused => {
                Self::BankRefused
            }
        }
    }
}

/// Takes a payment by the code that a payer shows.
#[derive(Clone, Debug)]
pub struct TakeByCode {
    /// The merchant.
    pub mchid: MchId,
    /// Its app.
    pub appid: String,
    /// Its number for the order.
    pub out_trade_no: String,
    /// What the payer reads.
    pub description: String,
    /// What the merchant gets back.
    pub attach: Option<String>,
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
    /// The payer's code.
    pub code: AuthCode,
}

/// Who pays, and how.
struct Payer {
    person: Person,
    codes: PayerCodes,
    card: Option<Card>,
    balance: Money,
}

impl Command for TakeByCode {
    /// The order: paid, or paying, or waiting for its payer.
    type Reply = Order;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<MerchantRefusal>> {
        let key = OutTradeNo { mchid: self.mchid, out_trade_no: self.out_trade_no.clone() };
        let hash = self.code.hash(tx.keys());
        // All are asked for at once, so that one round loads them.
        let known = tx.rows().order_number.get(&key).map(|row| row.map(|number| number.order));
        let code = tx.rows().payer_code.get(&hash).map(Option::<&_>::cloned);
        let merchant = active_merchant(tx, self.mchid)?;
        if merchant.appid != self.appid {
            return Err(MerchantRefusal::AppidMismatch.into());
        }
        if !merchant.may_use(Product::CodePay) {
            return Err(MerchantRefusal::ProductNotEnabled.into());
        }
        if let Some(id) = known.or_stop()? {
            return self.again(tx, id, &hash);
        }
        let code = code.or_stop()?.filter(|code| !code.used).ok_or(MerchantRefusal::AuthCodeInvalid)?;
        if tx.now() >= code.expires_at {
            return Err(MerchantRefusal::AuthCodeExpired.into());
        }
        let payer = self.payer(tx, code.person)?;
        self.take(tx, key, &merchant, &code, payer)
    }
}

impl TakeByCode {
    /// A number that is known: the very same request is answered with what became of it.
    fn again(&self, tx: &mut Tx<'_>, id: OrderId, hash: &[u8; 32]) -> Result<Order, Stop<MerchantRefusal>> {
        let order = tx.rows().order.get(&id).or_stop()?.cloned().ok_or(MerchantRefusal::OrderReversed)?;
        let payment = match order.product {
            Product::CodePay => tx.rows().code_payment.get(&id).or_stop()?.cloned(),
            _ => None,
        };
        let difference = self.difference(&order);
        let same = payment.filter(|payment| difference.is_none() && payment.code == *hash);
        Err(match (order.standing(tx.now()), &same) {
            (OrderStanding::Reversed, _) => MerchantRefusal::OrderReversed,
            (OrderStanding::Closed | OrderStanding::Expired, _) | (OrderStanding::Failed, None) => {
                MerchantRefusal::OrderClosed
            }
            (OrderStanding::Failed, Some(payment)) => {
                payment.failure.map_or(MerchantRefusal::PaymentFailed, CodeFailure::merchant_refusal)
            }
            (OrderStanding::Paid | OrderStanding::Refunded, Some(_)) => return Ok(order),
            (OrderStanding::Paid | OrderStanding::Refunded, None) => MerchantRefusal::OrderPaid,
            (OrderStanding::Payable | OrderStanding::Paying | OrderStanding::Confirming, _) => {
                match (difference, same) {
                    (Some(field), _) => MerchantRefusal::OutTradeNoUsed { field },
                    // Another payer stands at the till, and the first is still the one who is asked.
                    (None, None) => MerchantRefusal::OutTradeNoUsed { field: "/payer/auth_code" },
                    (None, Some(_)) => return Ok(order),
                }
            }
        }
        .into())
    }

    /// The first field in which a re-entry differs from the order, as a JSON pointer; `scene_info` is not compared, as for
    /// orders of other kinds.
    fn difference(&self, order: &Order) -> Option<&'static str> {
        [
            (*self.appid != *order.appid, "/appid"),
            (order.product != Product::CodePay, "/trade_type"),
            (self.amount != order.amount, "/amount/total"),
            (*self.description != *order.description, "/description"),
            (self.attach.as_deref() != order.attach.as_deref(), "/attach"),
            (self.goods_tag.as_deref() != order.goods_tag.as_deref(), "/goods_tag"),
            (self.detail.as_deref() != order.detail.as_deref(), "/detail"),
            (self.settle_info.as_deref() != order.settle_info.as_deref(), "/settle_info"),
        ]
        .into_iter()
        .find_map(|(differs, field)| differs.then_some(field))
    }

    fn payer(&self, tx: &mut Tx<'_>, person: PersonId) -> Result<Payer, Stop<MerchantRefusal>> {
        let account = AccountId::person(person);
        let row = tx.rows().person.get(&person).map(Option::<&_>::cloned);
        let codes = tx.rows().payer_codes.get(&person).map(Option::<&_>::cloned);
        tx.prepare(&[account, AccountId::merchant(self.mchid), AccountId::fees()]).or_stop()?;
        let codes = codes.or_stop()?.expect("a code is of somebody who switched codes on");
        // A card that was removed since it was chosen pays no more; the balance is always there.
        let card = match codes.card {
            Some(card) => tx.rows().card.get(&card).or_stop()?.filter(|c| c.removed_at.is_none()).cloned(),
            None => None,
        };
        let balance = tx.standing(account, self.amount.currency()).or_stop()?;
        Ok(Payer { person: row.or_stop()?.expect("a code has its person"), codes, card, balance })
    }

    /// Takes the payment. From here on the code is used, whatever comes of it: a refusal leaves that and the failed order.
    fn take(
        &self,
        tx: &mut Tx<'_>,
        key: OutTradeNo,
        merchant: &Merchant,
        code: &PayerCode,
        payer: Payer,
    ) -> Result<Order, Stop<MerchantRefusal>> {
        let (person, hash) = (code.person, code.hash);
        let (passes, codes) = self.passes(tx, payer.codes);
        // In a cool-down nothing passes unasked: what is confirmed is bounded.
        let passes = passes && payer.person.check_open(tx.now()).is_ok();
        let failure = if payer.person.frozen {
            Some(CodeFailure::AccountFrozen)
        } else if passes && payer.card.is_none() && payer.balance.checked_sub(self.amount).is_err() {
            Some(CodeFailure::InsufficientBalance)
        } else {
            None
        };
        let mut order = self.order(tx);
        tx.rows().payer_code.put(PayerCode { used: true, ..code.clone() });
        match (failure, payer.card) {
            (Some(_), _) => order.state = OrderState::Failed,
            (None, _) if !passes => {
                order.state = OrderState::Confirming;
                order.payer = Some(person);
            }
            (None, Some(card)) => {
                let amount = order.amount;
                ask_card(tx, &mut order, &card, amount);
            }
            (None, None) => {
                order.payer = Some(person);
                let source = [(AccountId::person(person), order.amount)];
                settle(tx, &mut order, merchant, &source, JournalKind::BalancePayment);
            }
        }
        if passes && failure.is_none() {
            tx.rows().payer_codes.put(codes);
        }
        let asked = order.state == OrderState::Confirming;
        let payment = CodePayment { order: order.id, person, code: hash, asked, failure, reversed_at: None };
        tx.announce(Event::OrderChanged(order.id));
        tx.rows().code_payment.insert(payment);
        tx.rows().order_number.put(OrderNumber { key, order: order.id });
        tx.rows().order.insert(order.clone());
        failure.map_or(Ok(order), |failure| Err(failure.merchant_refusal().into()))
    }

    /// Whether the payment passes without asking the payer, and what is counted if it does.
    fn passes(&self, tx: &Tx<'_>, mut codes: PayerCodes) -> (bool, PayerCodes) {
        let (policy, today) = (tx.policy(), tx.now().china_day());
        if codes.passed_day != today {
            (codes.passed_day, codes.passed) = (today, 0);
        }
        let small = policy.code_pays_unasked_most.checked_sub(self.amount).is_ok();
        let passes = small && codes.passed < policy.code_pays_unasked_a_day;
        codes.passed = codes.passed.saturating_add(1);
        (passes, codes)
    }

    /// The order, of which nobody has a code and nobody is told.
    fn order(&self, tx: &mut Tx<'_>) -> Order {
        let now = tx.now();
        let zero = Money::zero(self.amount.currency());
        Order {
            id: OrderId(tx.fresh_id()),
            mchid: self.mchid,
            appid: self.appid.as_str().into(),
            out_trade_no: self.out_trade_no.as_str().into(),
            product: Product::CodePay,
            description: self.description.as_str().into(),
            attach: self.attach.as_deref().map(Into::into),
            notify_url: "".into(),
            goods_tag: self.goods_tag.as_deref().map(Into::into),
            detail: self.detail.as_deref().map(Into::into),
            scene_info: self.scene_info.as_deref().map(Into::into),
            settle_info: self.settle_info.as_deref().map(Into::into),
            amount: self.amount,
            created_at: now,
            expires_at: now.plus(tx.policy().confirm_within_ms),
            meant_for: None,
            code: [0; 16],
            code_expires_at: now,
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
        }
    }
}

/// Confirms a code payment that its payer was asked about.
#[derive(Debug)]
pub struct ConfirmCodePayment {
    /// Who confirms.
    pub person: PersonId,
    /// What.
    pub order: OrderId,
    /// By which card; `None` for the balance.
    pub card: Option<CardId>,
    /// What it is confirmed by.
    pub confirmed: Confirmation,
}

impl Command for ConfirmCodePayment {
    /// The order as it stands now: paid, or paying while the card's bank is asked.
    type Reply = Order;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<Refusal>> {
        let (order, mut payment) = asked(tx, self.person, self.order)?;
        match order.standing(tx.now()) {
            OrderStanding::Confirming => {}
            OrderStanding::Paying | OrderStanding::Paid | OrderStanding::Refunded
                if order.card == self.card =>
            {
                return Ok(order);
            }
            OrderStanding::Paying => return Err(Refusal::OrderBeingPaid.into()),
            OrderStanding::Paid | OrderStanding::Refunded => return Err(Refusal::OrderAlreadyPaid.into()),
            OrderStanding::Reversed => return Err(Refusal::OrderReversed.into()),
            OrderStanding::Failed
            | OrderStanding::Payable
            | OrderStanding::Closed
            | OrderStanding::Expired => return Err(Refusal::OrderExpired.into()),
        }
        let merchant = merchant_of(tx, &order)?;
        let means = Means::of(self.card);
        let pay = Pay { person: self.person, order: self.order, means, confirmed: self.confirmed.clone() };
        let order = pay.charge(tx, order, &merchant)?;
        payment.failure = None;
        tx.rows().code_payment.put(payment);
        Ok(order)
    }
}

/// Refuses a code payment that its payer was asked about. Refusing it again is no error.
#[derive(Debug)]
pub struct DeclineCodePayment {
    /// Who refuses.
    pub person: PersonId,
    /// What.
    pub order: OrderId,
}

impl Command for DeclineCodePayment {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (mut order, mut payment) = asked(tx, self.person, self.order)?;
        match order.standing(tx.now()) {
            OrderStanding::Confirming => {}
            OrderStanding::Paying => return Err(Refusal::OrderBeingPaid.into()),
            OrderStanding::Paid | OrderStanding::Refunded => return Err(Refusal::OrderAlreadyPaid.into()),
            OrderStanding::Failed
            | OrderStanding::Reversed
            | OrderStanding::Payable
            | OrderStanding::Closed
            | OrderStanding::Expired => return Ok(()),
        }
        order.state = OrderState::Failed;
        order.payer = None;
        payment.failure = Some(CodeFailure::Declined);
        tx.announce(Event::OrderChanged(order.id));
        tx.rows().code_payment.put(payment);
        tx.rows().order.put(order);
        Ok(())
    }
}

/// An order paid by a code of this person's.
fn asked(tx: &mut Tx<'_>, person: PersonId, id: OrderId) -> Result<(Order, CodePayment), Stop<Refusal>> {
    let payment = tx.rows().code_payment.get(&id).map(|row| row.filter(|p| p.person == person).cloned());
    let order = tx.rows().order.get(&id).map(Option::<&_>::cloned);
    let payment = payment.or_stop()?.ok_or(Refusal::OrderUnknown)?;
    Ok((order.or_stop()?.expect("a code payment has its order"), payment))
}

/// Ends the card payment of a code payment. One that was reversed meanwhile goes back at once if the bank did pay: what came
/// in and what goes out are the same, whichever of the two was first.
pub(crate) fn end_card_payment(
    tx: &mut Tx<'_>,
    mut order: Order,
    merchant: &Merchant,
    attempt: &Attempt,
    outcome: &Outcome,
) -> Result<(), Stop<Refusal>> {
    let payment = tx.rows().code_payment.get(&order.id).or_stop()?.cloned();
    let mut payment = payment.expect("a code payment has its row");
    let source = AccountId::clearing(attempt.network);
    let sources = [(source, order.amount)];
    let (payee, payer) = (AccountId::merchant(order.mchid), AccountId::person(attempt.person));
    tx.prepare(&[source, payee, payer, AccountId::fees()]).or_stop()?;
    let reversed = order.state == OrderState::Reversed;
    assert!(
        (reversed || order.state == OrderState::Paying) && order.attempt == Some(attempt.id),
        "an open attempt holds its order"
    );
    match outcome {
        Outcome::Succeeded { .. } if reversed => {
            reversal::prepare(tx, &order)?;
            settle(tx, &mut order, merchant, &sources, JournalKind::CardPayment);
            return reversal::give_all_back(tx, &mut order).map(drop).map_err(|stop| match stop {
                Stop::Absent => Stop::Absent,
                Stop::Refused(_) => unreachable!("what was just paid covers its own refund"),
            });
        }
        Outcome::Succeeded { .. } => {
            settle(tx, &mut order, merchant, &sources, JournalKind::CardPayment);
        }
        Outcome::Failed(why) => {
            order.card = None;
            order.attempt = None;
            // Whoever was asked may choose another way while there is time.
            let asked_again = payment.asked && !reversed && tx.now() < order.expires_at;
            if !asked_again {
                order.payer = None;
            }
            if !reversed {
                order.state = if asked_again { OrderState::Confirming } else { OrderState::Failed };
                payment.failure = Some((*why).into());
                tx.rows().code_payment.put(payment);
            }
            tx.announce(Event::OrderChanged(order.id));
        }
    }
    tx.rows().order.put(order);
    Ok(())
}
