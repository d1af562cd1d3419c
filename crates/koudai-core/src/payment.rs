//! Paying an order, by balance, by card, by both, or at another wallet. An order is paid once: its state is the idempotency of paying.

use crate::attempt;
use crate::binding::bank_card_of;
use crate::confirmation::{Act, Confirmation};
use crate::cool_down;
use crate::id::{AttemptId, CardId, OrderId, PersonId};
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::{Money, RatePpm};
use crate::order::OrderStanding;
use crate::other_wallet::{AtWallet, PAY_ELSEWHERE_MS, wallet_of};
use crate::refusal::Refusal;
use crate::rows::{Attempt, AttemptKind, Card, Merchant, Order, OrderState};
use crate::state::{Command, Event, OrStop, Stop, Tx};
use crate::static_code;

/// Pays an order.
#[derive(Debug)]
pub struct Pay {
    /// Who pays.
    pub person: PersonId,
    /// What.
    pub order: OrderId,
    /// With what.
    pub means: Means,
    /// What it is confirmed by.
    pub confirmed: Confirmation,
}

/// What an order is paid with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// The balance.
    Balance,
    /// A card.
    Card(CardId),
    /// This much of the balance, and the rest by a card. Both are what the payer saw and confirmed.
    Both {
        /// More than nothing, and less than all.
        from_balance: Money,
        /// The card.
        card: CardId,
    },
    /// What the payer has at another wallet, where they agree to it.
    Wallet {
        /// Of theirs.
        card: CardId,
        /// Where they are.
        at: AtWallet,
    },
}

impl Means {
    /// A card, or the balance.
    pub fn of(card: Option<CardId>) -> Self {
        card.map_or(Self::Balance, Self::Card)
    }

    /// The card that pays, if one does.
    pub const fn card(&self) -> Option<CardId> {
        match self {
            Self::Balance => None,
            Self::Card(card) | Self::Both { card, .. } | Self::Wallet { card, .. } => Some(*card),
        }
    }
}

impl Command for Pay {
    /// The order as it stands now: paid, or paying while the card's bank is asked.
    type Reply = Order;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<Refusal>> {
        let order = self.order(tx)?.ok_or(Refusal::OrderUnknown)?;
        let merchant = merchant_of(tx, &order)?;
        self.take(tx, order, &merchant)
    }
}

/// Pays the order that a code stands for, as whoever holds a session: one decision knows who pays and what, and nothing
/// of it is looked up twice.
#[derive(Debug)]
pub struct PayCode {
    /// SHA-256 of the session's token.
    pub session: [u8; 32],
    /// The code's token.
    pub code: [u8; 16],
    /// With what.
    pub means: Means,
    /// What it is confirmed by.
    pub confirmed: Confirmation,
}

/// A payment that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Who pays.
    pub person: PersonId,
    /// The order as it stands now, as `Pay` has it.
    pub order: Order,
    /// The merchant's name.
    pub merchant: String,
}

impl Command for PayCode {
    type Reply = Taken;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Taken, Stop<Refusal>> {
        let now = tx.now();
        let rows = tx.rows();
        // Both are asked for at once, so that one round loads them.
        let session = rows.session.get(&self.session).map(|row| row.and_then(|session| session.holder(now)));
        let code = rows.order_code.get(&self.code).map(|row| row.map(|code| (code.order, code.expires_at)));
        let person = session.or_stop()?.ok_or(Refusal::SignedOut)?;
        let (order, expires_at) = code.or_stop()?.ok_or(Refusal::CodeStale)?;
        let pay = Pay { person, order, means: self.means.clone(), confirmed: self.confirmed.clone() };
        let order = pay.order(tx)?.expect("a code has its order");
        // How an order went is told whatever became of its code.
        if now >= expires_at && order.standing(now) == OrderStanding::Payable {
            return Err(Refusal::CodeStale.into());
        }
        let merchant = merchant_of(tx, &order)?;
        Ok(Taken { person, order: pay.take(tx, order, &merchant)?, merchant: merchant.name })
    }
}

pub(crate) fn merchant_of(tx: &mut Tx<'_>, order: &Order) -> Result<Merchant, Stop<Refusal>> {
    let merchant = tx.rows().merchant.get(&order.mchid).or_stop()?.cloned();
    Ok(merchant.expect("an order has its merchant"))
}

impl Pay {
    /// The order. What its payer brings is asked for along with it, so that one round loads all.
    fn order(&self, tx: &mut Tx<'_>) -> Result<Option<Order>, Stop<Refusal>> {
        let rows = tx.rows();
        if let Ok(order) = rows.order.get(&self.order) {
            return Ok(order.cloned());
        }
        let _ahead = (rows.person.get(&self.person), rows.payment_password.get(&self.person));
        let _ahead = rows.balance.get(&AccountId::person(self.person));
        Err(Stop::Absent)
    }

    /// The order as it stands once it was paid, or is being paid.
    fn take(&self, tx: &mut Tx<'_>, order: Order, merchant: &Merchant) -> Result<Order, Stop<Refusal>> {
        // Nobody else is told how the order stands, either.
        if order.meant_for.is_some_and(|person| person != self.person) {
            return Err(Refusal::OrderForAnother.into());
        }
        // The same person and the same means: a repeat, answered with how the order stands.
        let repeat = self.is_repeat(tx, &order)?;
        match order.standing(tx.now()) {
            OrderStanding::Payable => {}
            OrderStanding::Paying | OrderStanding::Paid | OrderStanding::Refunded if repeat => {
                return Ok(order);
            }
            OrderStanding::Confirming | OrderStanding::Paying => return Err(Refusal::OrderBeingPaid.into()),
            OrderStanding::Paid | OrderStanding::Refunded => return Err(Refusal::OrderAlreadyPaid.into()),
            OrderStanding::Closed | OrderStanding::Failed => return Err(Refusal::OrderClosed.into()),
            OrderStanding::Reversed => return Err(Refusal::OrderReversed.into()),
            OrderStanding::Expired => return Err(Refusal::OrderExpired.into()),
        }
        self.charge(tx, order, merchant)
    }

    /// Whether the order is paid, or being paid, by the same person and the same means.
    fn is_repeat(&self, tx: &mut Tx<'_>, order: &Order) -> Result<bool, Stop<Refusal>> {
        if order.payer != Some(self.person) || order.card != self.means.card() {
            return Ok(false);
        }
        let Some(attempt) = order.attempt else { return Ok(true) };
        let by_card = tx.rows().attempt.get(&attempt).or_stop()?.expect("a card payment has its call").amount;
        let from_balance = match self.means {
            Means::Balance | Means::Card(_) | Means::Wallet { .. } => Money::zero(by_card.currency()),
            Means::Both { from_balance, .. } => from_balance,
        };
        Ok(by_card.checked_add(from_balance) == Ok(order.amount))
    }

    /// Judges what it is confirmed by. The last check.
    fn confirm(&self, tx: &mut Tx<'_>, order: &Order) -> Result<(), Stop<Refusal>> {
        self.confirmed.check(tx, self.person, &Act::pay(order, &self.means))
    }

    /// Pays an order that may be paid.
    pub(crate) fn charge(
        &self,
        tx: &mut Tx<'_>,
        order: Order,
        merchant: &Merchant,
    ) -> Result<Order, Stop<Refusal>> {
        if merchant.suspended {
            return Err(Refusal::MerchantSuspended.into());
        }
        if !merchant.may_use(order.product) {
            return Err(Refusal::ProductNotEnabled.into());
        }
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        let cool_until = person.cool_until;
        let cooled = match self.means {
            // What is at another wallet is not guarded here.
            Means::Wallet { .. } => None,
            Means::Balance | Means::Card(_) | Means::Both { .. } => {
                cool_down::spend(tx, self.person, cool_until, order.amount)?
            }
        };
        let counted = static_code::with(tx, &order, self.person, &self.means)?;
        let order = match &self.means {
            Means::Balance => self.by_balance(tx, order, merchant),
            Means::Card(card) => self.by_card(tx, order, *card),
            Means::Both { from_balance, card } => self.by_both(tx, order, *from_balance, *card),
            Means::Wallet { card, at } => self.by_wallet(tx, order, *card, at),
        }?;
        for tally in counted {
            tx.rows().static_tally.put(tally);
        }
        cool_down::put(tx, cooled);
        Ok(order)
    }

    fn by_balance(
        &self,
        tx: &mut Tx<'_>,
        mut order: Order,
        merchant: &Merchant,
    ) -> Result<Order, Stop<Refusal>> {
        let payer = AccountId::person(self.person);
        self.confirmed.prepare(tx, self.person)?;
        tx.prepare(&[payer, AccountId::merchant(order.mchid), AccountId::fees()]).or_stop()?;
        let balance = tx.standing(payer, order.amount.currency()).or_stop()?;
        if balance.checked_sub(order.amount).is_err() {
            let short_by = order.amount.checked_sub(balance).unwrap_or(order.amount);
            return Err(Refusal::InsufficientBalance { short_by }.into());
        }
        self.confirm(tx, &order)?;
        order.payer = Some(self.person);
        let all = [(payer, order.amount)];
        settle(tx, &mut order, merchant, &all, JournalKind::BalancePayment);
        tx.rows().order.put(order.clone());
        Ok(order)
    }

    fn by_card(&self, tx: &mut Tx<'_>, mut order: Order, card: CardId) -> Result<Order, Stop<Refusal>> {
        let card = bank_card_of(tx, self.person, card)?;
        self.confirm(tx, &order)?;
        let amount = order.amount;
        ask_card(tx, &mut order, &card, amount);
        tx.rows().order.put(order.clone());
        Ok(order)
    }

    /// Asks another wallet to take it once the payer agrees there.
    fn by_wallet(
        &self,
        tx: &mut Tx<'_>,
        mut order: Order,
        card: CardId,
        at: &AtWallet,
    ) -> Result<Order, Stop<Refusal>> {
        let card = wallet_of(tx, self.person, card)?;
        self.confirm(tx, &order)?;
        ask_wallet(tx, &mut order, &card, at);
        Ok(order)
    }

    /// Holds the balance's part and asks the card's bank for the rest.
    fn by_both(
        &self,
        tx: &mut Tx<'_>,
        mut order: Order,
        from_balance: Money,
        card: CardId,
    ) -> Result<Order, Stop<Refusal>> {
        let rest = order.amount.checked_sub(from_balance).map_err(|_| Refusal::RequestMalformed)?;
        if rest.is_zero() || from_balance.is_zero() {
            return Err(Refusal::RequestMalformed.into());
        }
        let card = bank_card_of(tx, self.person, card)?;
        let (payer, hold) = (AccountId::person(self.person), AccountId::payment_hold(self.person));
        tx.prepare(&[payer, hold]).or_stop()?;
        let balance = tx.standing(payer, order.amount.currency()).or_stop()?;
        if balance.checked_sub(from_balance).is_err() {
            let short_by = from_balance.checked_sub(balance).unwrap_or(from_balance);
            return Err(Refusal::InsufficientBalance { short_by }.into());
        }
        self.confirm(tx, &order)?;
        let attempt = ask_card(tx, &mut order, &card, rest);
        let held = Posting { debit: payer, credit: hold, amount: from_balance };
        tx.post(JournalKind::SplitHeld, attempt.0, order.amount.currency(), vec![held], &[]);
        tx.rows().order.put(order.clone());
        Ok(order)
    }
}

/// Records that a card's bank is to be asked to pay this much of the order.
pub(crate) fn ask_card(tx: &mut Tx<'_>, order: &mut Order, card: &Card, amount: Money) -> AttemptId {
    let attempt = call_for(tx, order, card, amount);
    let id = attempt.id;
    attempt::open(tx, attempt);
    id
}

/// Records that another wallet is to ask for the order, which waits for its payer's agreeing there.
pub(crate) fn ask_wallet(tx: &mut Tx<'_>, order: &mut Order, card: &Card, at: &AtWallet) {
    let amount = order.amount;
    let attempt = call_for(tx, order, card, amount);
    attempt::open_for(tx, attempt, PAY_ELSEWHERE_MS, Some(at.clone()));
    tx.rows().order.put(order.clone());
}

/// The call that is to pay this much of the order, which waits for it from now on.
fn call_for(tx: &mut Tx<'_>, order: &mut Order, card: &Card, amount: Money) -> Attempt {
    let mut attempt = attempt::new(tx, AttemptKind::CardPayment, card, amount);
    attempt.order = Some(order.id);
    order.attempt = Some(attempt.id);
    order.state = OrderState::Paying;
    order.payer = Some(card.person);
    order.card = Some(card.id);
    tx.announce(Event::OrderChanged(order.id));
    attempt
}

/// Makes the order paid and posts it: the sources give the order's amount together, the merchant gets it and pays its fee.
/// The decision has prepared the accounts and made sure that each source covers its part.
pub(crate) fn settle(
    tx: &mut Tx<'_>,
    order: &mut Order,
    merchant: &Merchant,
    sources: &[(AccountId, Money)],
    kind: JournalKind,
) {
    let payee = AccountId::merchant(order.mchid);
    let rate = RatePpm::new(merchant.fee_ppm).expect("a merchant's rate is below one million");
    let fee = order.amount.rate_half_up(rate);
    let mut postings = Vec::with_capacity(sources.len() + 1);
    for (source, amount) in sources {
        postings.push(Posting { debit: *source, credit: payee, amount: *amount });
    }
    push_posting(&mut postings, payee, AccountId::fees(), fee);
    let payer = order.payer.expect("a paid order has its payer");
    let seq = tx.post(kind, order.id.0, order.amount.currency(), postings, &[AccountId::person(payer)]);
    order.state = OrderState::Paid;
    order.paid_at = Some(tx.now());
    order.paid_seq = Some(seq);
    order.fee = fee;
    tx.announce(Event::OrderChanged(order.id));
}

/// Adds a posting unless there is nothing to post: a posting moves money or does not exist.
pub(crate) fn push_posting(postings: &mut Vec<Posting>, debit: AccountId, credit: AccountId, amount: Money) {
    if !amount.is_zero() {
        postings.push(Posting { debit, credit, amount });
    }
}
