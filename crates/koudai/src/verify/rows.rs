//! The rows against each other, and the one journal that each of them stands for.
//!
//! An order, its card payment, its refunds and their calls each carry part of the same fact. What they share must agree in
//! every row, and together they fix the journals' postings to the last fen.

use std::collections::{HashMap, HashSet};

use koudai_core::column::Row;
use koudai_core::id::{AttemptId, OrderId, PersonId, RefundId};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptNumber, AttemptState, Card, CardOwner, ClientNumber, Merchant, OpenAttempt,
    Order, OrderNumber, OrderState, OutRefundNo, OutTradeNo, Person, PhoneOwner, Refund, RefundNumber,
    RefundState,
};
use koudai_store::{Reader, StoreError};

use super::journals::{Due, Entry, Facts};
use super::{Report, Wrong, broken, check};

/// Every row that the journals are about.
pub(super) struct Books {
    people: Table<Person>,
    phones: Vec<PhoneOwner>,
    cards: Table<Card>,
    holders: Vec<CardOwner>,
    merchants: Table<Merchant>,
    orders: Table<Order>,
    order_numbers: HashMap<OutTradeNo, OrderId>,
    refunds: Table<Refund>,
    refund_numbers: HashMap<OutRefundNo, RefundId>,
    attempts: Table<Attempt>,
    attempt_numbers: HashMap<ClientNumber, AttemptId>,
    open: HashSet<AttemptId>,
}

/// A whole table in the order of its keys.
struct Table<R>(Vec<R>);

impl<R: Row> Table<R> {
    fn load(reader: &Reader) -> Result<Self, StoreError> {
        let mut rows = reader.all::<R>()?;
        rows.sort_by_key(R::key);
        Ok(Self(rows))
    }

    fn get(&self, key: &R::Key) -> Option<&R> {
        let at = self.0.binary_search_by(|row| row.key().cmp(key)).ok()?;
        self.0.get(at)
    }
}

/// What of an order its refunds have given back so far.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Back {
    minor: i128,
    fee_minor: i128,
    count: u64,
}

impl Books {
    pub(super) fn load(reader: &Reader, report: &mut Report) -> Result<Self, Wrong> {
        let books = Self {
            people: Table::load(reader)?,
            phones: reader.all()?,
            cards: Table::load(reader)?,
            holders: reader.all()?,
            merchants: Table::load(reader)?,
            orders: Table::load(reader)?,
            order_numbers: reader.all::<OrderNumber>()?.into_iter().map(|n| (n.key, n.order)).collect(),
            refunds: Table::load(reader)?,
            refund_numbers: reader.all::<RefundNumber>()?.into_iter().map(|n| (n.key, n.refund)).collect(),
            attempts: Table::load(reader)?,
            attempt_numbers: reader.all::<AttemptNumber>()?.into_iter().map(|n| (n.key, n.attempt)).collect(),
            open: reader.all::<OpenAttempt>()?.into_iter().map(|o| o.attempt).collect(),
        };
        report.orders = books.orders.0.len();
        report.paid = books.orders.0.iter().filter(|o| o.state == OrderState::Paid).count();
        report.refunds = books.refunds.0.len();
        report.open_attempts = books.open.len();
        Ok(books)
    }

    /// Phones and cards belong to one person each.
    pub(super) fn check_people(&self) -> Result<(), Wrong> {
        let owners: HashMap<_, _> = self.phones.iter().map(|o| (&o.phone, o.person)).collect();
        check(owners.len() == self.people.0.len(), "a phone has one holder", || {
            format!("{} people, {} phones", self.people.0.len(), owners.len())
        })?;
        let holders: HashMap<_, _> = self.holders.iter().map(|o| (&o.number_mac, o)).collect();
        let mut cards: HashMap<PersonId, u32> = HashMap::new();
        for card in &self.cards.0 {
            let name = || format!("card {}", card.id.0);
            check(self.people.get(&card.person).is_some(), "a card's holder is a person", name)?;
            if card.removed_at.is_none() {
                let owner = holders.get(&card.number_mac);
                let fits = owner.is_some_and(|o| o.person == card.person && o.card == Some(card.id));
                check(fits, "a bound card has one holder", name)?;
                *cards.entry(card.person).or_default() += 1;
            }
        }
        let held = self.holders.iter().filter(|o| o.card.is_some()).count();
        let bound = cards.values().sum::<u32>();
        check(u32::try_from(held) == Ok(bound), "a bound card has one holder", || {
            format!("{bound} cards, {held} held")
        })?;
        for person in &self.people.0 {
            let name = || format!("person {}", person.id.0);
            check(owners.get(&person.phone) == Some(&person.id), "a phone has one holder", name)?;
            let bound = cards.get(&person.id).copied().unwrap_or(0);
            check(u32::from(person.cards) == bound, "a person's cards are counted right", name)?;
        }
        Ok(())
    }

    /// Calls to networks: what they are for, and that each stands as what it is for does.
    pub(super) fn check_attempts(&self) -> Result<(), Wrong> {
        let mut top_ups = 0;
        for attempt in &self.attempts.0 {
            let name = || format!("attempt {} ({})", attempt.id.0, attempt.kind.word());
            let is_open = attempt.state == AttemptState::Open;
            let due = self.open.contains(&attempt.id);
            check(due == is_open, "an open attempt is due, an ended one is not", name)?;
            let outcome =
                (attempt.ended_at.is_some(), attempt.network_ref.is_some(), attempt.refusal.is_some());
            let fits = match attempt.state {
                AttemptState::Open => outcome == (false, false, false),
                AttemptState::Succeeded => outcome == (true, true, false),
                AttemptState::Failed => outcome == (true, false, true),
            };
            check(fits, "an ended attempt has its time and its outcome", name)?;
            let card = self.cards.get(&attempt.card);
            let fits = card.is_some_and(|c| c.person == attempt.person && c.network == attempt.network);
            check(fits, "an attempt is made at its person's card and the card's network", name)?;
            match attempt.kind {
                AttemptKind::TopUp => {
                    let alone =
                        attempt.order.is_none() && attempt.refund.is_none() && attempt.original.is_none();
                    check(alone, "a top-up is about no order", name)?;
                    top_ups += 1;
                }
                AttemptKind::CardPayment => self.check_card_payment(attempt)?,
                AttemptKind::CardRefund => self.check_card_refund(attempt)?,
            }
        }
        for id in &self.open {
            check(self.attempts.get(id).is_some(), "what is due belongs to an attempt", || {
                format!("attempt {}", id.0)
            })?;
        }
        for (key, id) in &self.attempt_numbers {
            let attempt = self.attempts.get(id);
            let fits = attempt.is_some_and(|a| a.kind == AttemptKind::TopUp && a.person == key.person);
            check(fits, "a top-up has one number", || format!("attempt {}", id.0))?;
        }
        let numbered: HashSet<_> = self.attempt_numbers.values().collect();
        let once = numbered.len() == self.attempt_numbers.len() && numbered.len() == top_ups;
        check(once, "a top-up has one number", || {
            format!("{top_ups} top-ups, {} numbers", self.attempt_numbers.len())
        })
    }

    fn check_card_payment(&self, attempt: &Attempt) -> Result<(), Wrong> {
        let name = || format!("attempt {} ({})", attempt.id.0, attempt.kind.word());
        let Some(order) = attempt.order.and_then(|id| self.orders.get(&id)) else {
            return Err(broken("a card payment has its order", name()));
        };
        let fits = attempt.amount == order.amount && attempt.refund.is_none() && attempt.original.is_none();
        check(fits, "a card payment asks for its order's amount", name)?;
        let has_it = order.attempt == Some(attempt.id);
        let fits = match attempt.state {
            AttemptState::Open => has_it && order.state == OrderState::Paying,
            AttemptState::Succeeded => {
                has_it && order.state == OrderState::Paid && order.paid_at == attempt.ended_at
            }
            AttemptState::Failed => !has_it,
        };
        check(fits, "an order's state is that of its card payment", name)
    }

    fn check_card_refund(&self, attempt: &Attempt) -> Result<(), Wrong> {
        let name = || format!("attempt {} ({})", attempt.id.0, attempt.kind.word());
        let Some(refund) = attempt.refund.and_then(|id| self.refunds.get(&id)) else {
            return Err(broken("a card refund has its refund", name()));
        };
        check(attempt.amount == refund.amount, "a card refund brings its refund's amount", name)?;
        let order = self.orders.get(&refund.order);
        let paid_by = order.and_then(|o| o.attempt).and_then(|id| self.attempts.get(&id));
        let back = paid_by.is_some_and(|paid| {
            attempt.order == Some(refund.order)
                && attempt.original == Some(paid.id)
                && (attempt.person, attempt.card, attempt.network) == (paid.person, paid.card, paid.network)
        });
        check(back, "a card refund goes back to the card payment of its order", name)?;
        let fits = match attempt.state {
            AttemptState::Open => refund.state == RefundState::Processing,
            AttemptState::Succeeded => {
                refund.state == RefundState::Success && refund.success_at == attempt.ended_at
            }
            AttemptState::Failed => refund.state == RefundState::Abnormal,
        };
        check(
            fits && refund.attempt == Some(attempt.id),
            "a refund's state is that of the call that brings it",
            name,
        )
    }

    /// Orders: that each state has what belongs to it and nothing else.
    pub(super) fn check_orders(&self) -> Result<(), Wrong> {
        check(self.order_numbers.len() == self.orders.0.len(), "an order has one number", || {
            format!("{} orders, {} numbers", self.orders.0.len(), self.order_numbers.len())
        })?;
        for order in &self.orders.0 {
            let name = || format!("order {} ({})", order.id.0, order.out_trade_no);
            let key = OutTradeNo { mchid: order.mchid, out_trade_no: order.out_trade_no.to_string() };
            check(self.order_numbers.get(&key) == Some(&order.id), "an order has one number", name)?;
            check(self.merchants.get(&order.mchid).is_some(), "an order has its merchant", name)?;
            let known = order.payer.is_none_or(|payer| self.people.get(&payer).is_some());
            check(known, "who pays is a person", name)?;
            let attempt = order.attempt.and_then(|id| self.attempts.get(&id));
            let by_card = attempt.is_some_and(|a| {
                a.kind == AttemptKind::CardPayment
                    && (a.order, Some(a.person), Some(a.card)) == (Some(order.id), order.payer, order.card)
            });
            let is = |state| attempt.is_some_and(|a| a.state == state);
            match order.state {
                OrderState::Unpaid | OrderState::Closed => {
                    let nobody = order.payer.is_none() && order.card.is_none() && order.attempt.is_none();
                    check(nobody, "an order that nobody pays names no payer", name)?;
                }
                OrderState::Paying => check(
                    by_card && is(AttemptState::Open),
                    "an order being paid has its open card payment",
                    name,
                )?,
                OrderState::Paid => {
                    let has = order.payer.is_some() && order.paid_at.is_some() && order.paid_seq.is_some();
                    check(has, "a paid order has its payer", name)?;
                    let by_balance = order.card.is_none() && order.attempt.is_none();
                    check(
                        by_balance || by_card && is(AttemptState::Succeeded),
                        "a paid order has the card payment that paid it, or none",
                        name,
                    )?;
                }
            }
            let currency = order.amount.currency();
            let one =
                [order.fee, order.refunded, order.fee_returned].iter().all(|m| m.currency() == currency);
            check(one, "an order has one currency", name)?;
            check(order.fee.minor() <= order.amount.minor(), "a fee is at most its order's amount", name)?;
            let nothing = order.paid_at.is_none()
                && order.paid_seq.is_none()
                && order.refunds == 0
                && [order.fee, order.refunded, order.fee_returned].iter().all(|m| m.is_zero());
            check(
                nothing || order.state == OrderState::Paid,
                "an order that is not paid has no payment, fee or refund",
                name,
            )?;
        }
        Ok(())
    }

    /// Refunds: that each goes back the way its order was paid, and that together they give back their share.
    pub(super) fn check_refunds(&self) -> Result<(), Wrong> {
        check(self.refund_numbers.len() == self.refunds.0.len(), "a refund has one number", || {
            format!("{} refunds, {} numbers", self.refunds.0.len(), self.refund_numbers.len())
        })?;
        let mut given_back: HashMap<OrderId, Back> = HashMap::new();
        // Ids rise with time, so this is the order in which they were accepted.
        for refund in &self.refunds.0 {
            let name = || format!("refund {} ({})", refund.id.0, refund.out_refund_no);
            let key = OutRefundNo { mchid: refund.mchid, out_refund_no: refund.out_refund_no.clone() };
            check(self.refund_numbers.get(&key) == Some(&refund.id), "a refund has one number", name)?;
            let order = self.orders.get(&refund.order).filter(|o| o.state == OrderState::Paid);
            let Some(order) = order else {
                return Err(broken("a refund has its paid order", name()));
            };
            check(
                (refund.mchid, Some(refund.payer), refund.card) == (order.mchid, order.payer, order.card),
                "a refund goes from the order's merchant back to its payer, the way it was paid",
                name,
            )?;
            let call = refund.attempt.and_then(|id| self.attempts.get(&id));
            let called =
                call.is_some_and(|a| a.kind == AttemptKind::CardRefund && a.refund == Some(refund.id));
            let fits = if refund.card.is_some() { called } else { refund.attempt.is_none() };
            check(fits, "a refund to a card has its call, and one to the balance has none", name)?;
            let success = refund.state == RefundState::Success;
            check(refund.card.is_some() || success, "a refund to the balance is immediate", name)?;
            check(refund.success_at.is_some() == success, "a refund that arrived has its time", name)?;
            let currency = order.amount.currency();
            let one = refund.amount.currency() == currency && refund.fee_returned.currency() == currency;
            check(one, "an order has one currency", name)?;
            let back = given_back.entry(order.id).or_default();
            back.minor += i128::from(refund.amount.minor());
            back.fee_minor += i128::from(refund.fee_returned.minor());
            back.count += 1;
            let amount = i128::from(order.amount.minor());
            check(back.minor <= amount, "no more is refunded than was paid", name)?;
            // The fee goes back cumulatively: a whole refund gives back the whole fee, however it was cut.
            let share = (i128::from(order.fee.minor()) * back.minor).checked_div(amount);
            check(
                Some(back.fee_minor) == share,
                "refunds give back their share of the fee, rounded down",
                name,
            )?;
        }
        for order in &self.orders.0 {
            let says = Back {
                minor: order.refunded.minor().into(),
                fee_minor: order.fee_returned.minor().into(),
                count: order.refunds.into(),
            };
            let back = given_back.get(&order.id).copied().unwrap_or_default();
            check(says == back, "an order's refunds are those that refer to it", || {
                format!("order {} ({})", order.id.0, order.out_trade_no)
            })?;
        }
        Ok(())
    }

    /// Lets every row claim the journals it stands for. The rows agree with each other by now.
    pub(super) fn claim_journals(&self, facts: &mut Facts) -> Result<(), Wrong> {
        for attempt in &self.attempts.0 {
            if attempt.kind == AttemptKind::TopUp && attempt.state == AttemptState::Succeeded {
                claim_top_up(attempt, facts)?;
            }
        }
        for order in self.orders.0.iter().filter(|o| o.state == OrderState::Paid) {
            self.claim_payment(order, facts)?;
        }
        for refund in &self.refunds.0 {
            self.claim_refund(refund, facts)?;
        }
        Ok(())
    }

    fn claim_payment(&self, order: &Order, facts: &mut Facts) -> Result<(), Wrong> {
        let name = || format!("order {} ({})", order.id.0, order.out_trade_no);
        let (merchant, payer) = (AccountId::merchant(order.mchid), order.payer.map(AccountId::person));
        let call = order.attempt.and_then(|id| self.attempts.get(&id));
        let (kind, source) = match call {
            Some(call) => (JournalKind::CardPayment, Some(AccountId::clearing(call.network))),
            None => (JournalKind::BalancePayment, payer),
        };
        let (Some(source), Some(payer)) = (source, payer) else {
            return Err(broken("a paid order has its payer", name()));
        };
        let mut entries = vec![(source, merchant, order.amount)];
        push(&mut entries, (merchant, AccountId::fees(), order.fee));
        let due = Due {
            invariant: "an order is paid once, by its payer, as its journal says",
            kind,
            subject: order.id.0,
            at: order.paid_at,
            entries: &entries,
            also: &[payer],
        };
        let seq = facts.claim(&due, name)?;
        check(order.paid_seq == Some(seq), "an order knows the journal of its payment", name)
    }

    fn claim_refund(&self, refund: &Refund, facts: &mut Facts) -> Result<(), Wrong> {
        let name = || format!("refund {} ({})", refund.id.0, refund.out_refund_no);
        let (merchant, payer) = (AccountId::merchant(refund.mchid), AccountId::person(refund.payer));
        let call = refund.attempt.and_then(|id| self.attempts.get(&id));
        let (kind, target) = match call {
            Some(call) => (JournalKind::CardRefundAccepted, AccountId::refund_in_flight(call.network)),
            None => (JournalKind::BalanceRefund, payer),
        };
        let mut entries = vec![];
        push(&mut entries, (AccountId::fees(), merchant, refund.fee_returned));
        entries.push((merchant, target, refund.amount));
        let accepted = Due {
            invariant: "a refund is taken from its merchant once, with its share of the fee given back",
            kind,
            subject: refund.id.0,
            at: Some(refund.created_at),
            entries: &entries,
            also: &[payer],
        };
        facts.claim(&accepted, name)?;
        let Some(call) = call else { return Ok(()) };
        let (kind, entries) = match refund.state {
            RefundState::Processing => return Ok(()),
            RefundState::Success => {
                let bank = AccountId::clearing(call.network);
                (JournalKind::CardRefundDone, vec![(target, bank, refund.amount)])
            }
            RefundState::Abnormal => (JournalKind::CardRefundAbnormal, vec![]),
        };
        let ended = Due {
            invariant: "a refund that ended moves its amount out of its network, or nothing",
            kind,
            subject: refund.id.0,
            at: call.ended_at,
            entries: &entries,
            also: &[merchant, payer],
        };
        facts.claim(&ended, name).map(drop)
    }
}

fn claim_top_up(attempt: &Attempt, facts: &mut Facts) -> Result<(), Wrong> {
    let (bank, balance) = (AccountId::clearing(attempt.network), AccountId::person(attempt.person));
    let due = Due {
        invariant: "a top-up is credited once, if the bank paid it",
        kind: JournalKind::TopUp,
        subject: attempt.id.0,
        at: attempt.ended_at,
        entries: &[(bank, balance, attempt.amount)],
        also: &[],
    };
    facts.claim(&due, || format!("attempt {} ({})", attempt.id.0, attempt.kind.word())).map(drop)
}

/// A posting moves money or is absent.
fn push(entries: &mut Vec<Entry>, entry: Entry) {
    if !entry.2.is_zero() {
        entries.push(entry);
    }
}
