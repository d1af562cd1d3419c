//! A merchant's printed code. Whoever opens it says how much, and an order comes of it that is theirs alone to pay: with a
//! wallet here like any other order, without one at another wallet, as a guest.
//!
//! What is paid by such codes is bounded for each source and day: whoever prints another code over one has that much to gain, and
//! no more (the measures on barcode payments, grade D).

use crate::column::{Cells, Column, Value};
use crate::id::{CardId, MchId, PersonId};
use crate::ledger::NetworkId;
use crate::money::{Currency, Money};
use crate::order::{self, OrderStanding, PlaceOrder};
use crate::other_wallet::{AtWallet, new_wallet, wallet_of};
use crate::payment::{Means, ask_wallet};
use crate::refusal::Refusal;
use crate::rows::{Attempt, Card, Guest, Merchant, Order, OutTradeNo, Product, StaticCode, StaticTally};
use crate::secret::Secret;
use crate::split::Split;
use crate::state::{Command, OrStop, Stop, Tx, keyed_mac};
use crate::time::{MINUTE, Timestamp};

/// How long an order of a printed code may be paid.
const ORDER_LIFE_MS: i64 = 15 * MINUTE;
/// The most characters of what stands beside a code, and of what a payer says to the merchant.
pub const MOST_TEXT: usize = 30;

/// Where money that pays by printed codes comes from, each with a bound of its own: a person's balance, by the person, or a
/// card, by the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub i64);

impl SourceId {
    /// Of a card, or of a person's balance.
    pub const fn of(person: PersonId, card: Option<CardId>) -> Self {
        match card {
            Some(card) => Self(card.0),
            None => Self(person.0),
        }
    }
}

impl Column for SourceId {
    const PARTS: &'static [&'static str] = &[""];

    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Int(self.0));
    }

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        i64::read(cells).map(Self)
    }
}

/// Why something of a merchant's codes was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticCodeRefusal {
    /// No such merchant.
    MerchantUnknown,
    /// The merchant has no such code.
    CodeUnknown,
}

/// Makes a code for a merchant to print.
#[derive(Clone, Debug)]
pub struct CreateStaticCode {
    /// Whose.
    pub mchid: MchId,
    /// What it says beside the merchant's name, such as a counter: up to [`MOST_TEXT`] characters.
    pub label: String,
    /// Where the merchant is told of what is paid by it, if anywhere.
    pub notify_url: Option<String>,
}

impl Command for CreateStaticCode {
    type Reply = StaticCode;
    type Refusal = StaticCodeRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<StaticCode, Stop<StaticCodeRefusal>> {
        let merchant = tx.rows().merchant.get(&self.mchid).or_stop()?;
        merchant.ok_or(StaticCodeRefusal::MerchantUnknown)?;
        let code = StaticCode {
            token: tx.fresh_token(),
            mchid: self.mchid,
            label: self.label.clone(),
            notify_url: self.notify_url.clone().unwrap_or_default(),
            created_at: tx.now(),
            revoked_at: None,
        };
        tx.rows().static_code.insert(code.clone());
        Ok(code)
    }
}

/// Ends a code; orders that came of it may still be paid. Ending one that has ended changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct RevokeStaticCode {
    /// Whose.
    pub mchid: MchId,
    /// Which.
    pub token: [u8; 16],
}

impl Command for RevokeStaticCode {
    type Reply = StaticCode;
    type Refusal = StaticCodeRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<StaticCode, Stop<StaticCodeRefusal>> {
        let code = tx.rows().static_code.get(&self.token).or_stop()?.cloned();
        let code = code.filter(|code| code.mchid == self.mchid);
        let mut code = code.ok_or(StaticCodeRefusal::CodeUnknown)?;
        if code.revoked_at.is_none() {
            code.revoked_at = Some(tx.now());
            tx.rows().static_code.put(code.clone());
        }
        Ok(code)
    }
}

/// What somebody says who opened a code.
#[derive(Clone, Debug)]
pub struct AtCode {
    /// The code's token.
    pub code: [u8; 16],
    /// The token as links have it, by which the merchant tells its codes apart.
    pub device: String,
    /// How much.
    pub amount: Money,
    /// What the merchant is to know: up to [`MOST_TEXT`] characters.
    pub note: Option<String>,
    /// The device's number for this: sent again, it is the same order.
    pub number: String,
}

/// What a code, its merchant and whoever opened it make of what was said.
struct Found {
    code: StaticCode,
    merchant: Merchant,
    key: OutTradeNo,
    /// The order, if it was made before.
    order: Option<Order>,
}

impl AtCode {
    /// Finds what it is about. `payer` tells payers apart: each has numbers of their own.
    fn find(&self, tx: &mut Tx<'_>, payer: &[u8]) -> Result<Found, Stop<Refusal>> {
        let code = tx.rows().static_code.get(&self.code).or_stop()?.cloned();
        let code = code.ok_or(Refusal::CodeNotOurs)?;
        let key = OutTradeNo { mchid: code.mchid, out_trade_no: self.out_trade_no(tx, payer) };
        // Both are asked for at once, so that one round loads them.
        let known = tx.rows().order_number.get(&key).map(|number| number.map(|number| number.order));
        let merchant = tx.rows().merchant.get(&code.mchid).or_stop()?.cloned();
        let merchant = merchant.expect("a code has its merchant");
        let order = match known.or_stop()? {
            Some(order) => tx.rows().order.get(&order).or_stop()?.cloned(),
            None => None,
        };
        if let Some(order) = &order {
            let same = order.amount == self.amount && order.attach.as_deref() == self.note.as_deref();
            return if same {
                Ok(Found { key, merchant, order: Some(order.clone()), code })
            } else {
                Err(Refusal::NumberReused.into())
            };
        }
        if code.revoked_at.is_some() {
            return Err(Refusal::CodeRevoked.into());
        }
        if merchant.suspended {
            return Err(Refusal::MerchantSuspended.into());
        }
        if !merchant.may_use(Product::Static) {
            return Err(Refusal::ProductNotEnabled.into());
        }
        let most = tx.policy().static_day_most;
        if self.amount.is_zero() {
            let least = Money::fen(1).expect("above zero");
            return Err(Refusal::AmountOutOfRange { least, most }.into());
        }
        // No source ever pays more, not even both in one payment.
        if most.checked_sub(self.amount).is_err() {
            return Err(Refusal::DayStaticCodesReached { most, left: most }.into());
        }
        Ok(Found { code, merchant, key, order: None })
    }

    /// The number the merchant knows the order by: the same for the same payer and number, and guessed by nobody.
    fn out_trade_no(&self, tx: &Tx<'_>, payer: &[u8]) -> String {
        const DIGITS: u128 = 10_u128.pow(28);
        let mac =
            keyed_mac(tx.keys().one_time_code.expose(), &[b"static order", payer, self.number.as_bytes()]);
        let number = u128::from_be_bytes(*mac.first_chunk().expect("a MAC of 32 bytes begins with 16"));
        format!("S{:028}", number % DIGITS)
    }

    /// The order, which nobody but its payer may pay.
    fn place(&self, tx: &mut Tx<'_>, found: Found, payer: PersonId) -> Order {
        let Found { code, merchant, key, .. } = found;
        let wish = PlaceOrder {
            mchid: code.mchid,
            appid: merchant.appid,
            out_trade_no: key.out_trade_no.clone(),
            product: Product::Static,
            description: code.label,
            attach: self.note.clone(),
            notify_url: code.notify_url,
            goods_tag: None,
            detail: None,
            scene_info: Some(format!(r#"{{"device_id":"{}"}}"#, self.device)),
            settle_info: None,
            amount: self.amount,
            time_expire: None,
            meant_for: Some(payer),
        };
        order::place(tx, &wish, key, ORDER_LIFE_MS)
    }
}

/// Makes an order of a code, for a person with a wallet here.
#[derive(Clone, Debug)]
pub struct PlaceAtCode {
    /// Who pays.
    pub person: PersonId,
    /// What they said.
    pub said: AtCode,
}

impl Command for PlaceAtCode {
    /// The order, or how it stands if it was made before.
    type Reply = Order;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<Refusal>> {
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        let mut found = self.said.find(tx, &self.person.0.to_be_bytes())?;
        if let Some(order) = found.order.take() {
            return Ok(order);
        }
        let mut tally = StaticTally::of(tx, SourceId::of(self.person, None))?;
        tally.begin_order(tx)?;
        tx.rows().static_tally.put(tally);
        Ok(self.said.place(tx, found, self.person))
    }
}

/// The keyed hash by which a guest is found: who they are at the other wallet.
pub fn guest_mac(key: &Secret<[u8; 32]>, network: NetworkId, payer: &Secret<String>) -> [u8; 32] {
    keyed_mac(key.expose(), &[b"guest", &network.0.to_be_bytes(), payer.expose().as_bytes()])
}

/// Makes an order of a code and has another wallet ask for it, of somebody without a wallet here. Their agreeing there is all
/// that pays.
#[derive(Clone, Debug)]
pub struct PayAsGuest {
    /// Their wallet.
    pub network: NetworkId,
    /// Their [`guest_mac`].
    pub mac: [u8; 32],
    /// The wallet's name in Chinese.
    pub zh: String,
    /// The wallet's name in English.
    pub en: String,
    /// Where they are.
    pub at: AtWallet,
    /// What they said.
    pub said: AtCode,
}

impl Command for PayAsGuest {
    /// The order: waiting for its payer, or as it stands if it was made before.
    type Reply = Order;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Order, Stop<Refusal>> {
        let owner = tx.rows().card_owner.get(&self.mac).or_stop()?.cloned();
        let known = match owner.and_then(|owner| owner.card.map(|card| (owner.person, card))) {
            Some((guest, card)) => Some(wallet_of(tx, guest, card)?),
            None => None,
        };
        let mut found = self.said.find(tx, &self.mac)?;
        let mut order = found.order.take();
        if let Some(over) = order.take_if(|order| order.standing(tx.now()) != OrderStanding::Payable) {
            return Ok(over);
        }
        let sources = |card: &Card| [Some(card.id), None].map(|id| SourceId::of(card.person, id));
        let (card, mut by_card, mut begun) = match known {
            Some(card) => {
                let [by_card, begun] = sources(&card);
                (card, StaticTally::of(tx, by_card)?, StaticTally::of(tx, begun)?)
            }
            // Of somebody new nothing is refused any more: they are within every bound.
            None => {
                let (card, now) = (self.welcome(tx), tx.now());
                let [by_card, begun] = sources(&card).map(|source| StaticTally::fresh(source, now));
                (card, by_card, begun)
            }
        };
        by_card.add(tx, self.said.amount)?;
        if order.is_none() {
            begun.begin_order(tx)?;
        }
        for tally in [by_card, begun] {
            // Fresh ids are in no table, and what is known was read.
            tx.rows().static_tally.overwrite(tally);
        }
        let mut order = order.unwrap_or_else(|| self.said.place(tx, found, card.person));
        ask_wallet(tx, &mut order, &card, &self.at);
        Ok(order)
    }
}

impl PayAsGuest {
    /// Makes a guest of somebody, with what they have at their wallet.
    fn welcome(&self, tx: &mut Tx<'_>) -> Card {
        let guest = Guest { id: PersonId(tx.fresh_id()), network: self.network, created_at: tx.now() };
        let card = new_wallet(tx, guest.id, self.network, self.mac, [&self.zh, &self.en]);
        tx.rows().guest.insert(guest);
        card
    }
}

impl StaticTally {
    const fn fresh(source: SourceId, now: Timestamp) -> Self {
        let used = Money::zero(Currency::Cny);
        Self { source, day: now.china_day(), since: now, used, orders: 0 }
    }

    /// What counts at this moment: another day begins at nothing.
    pub fn at(row: Option<&Self>, source: SourceId, now: Timestamp) -> Self {
        let fresh = Self::fresh(source, now);
        row.filter(|row| row.day == fresh.day).cloned().unwrap_or(fresh)
    }

    fn of<R>(tx: &mut Tx<'_>, source: SourceId) -> Result<Self, Stop<R>> {
        let now = tx.now();
        Ok(Self::at(tx.rows().static_tally.get(&source).or_stop()?, source, now))
    }

    /// What may still be paid of so much a day.
    pub fn left(&self, most: Money) -> Money {
        most.checked_sub(self.used).unwrap_or_else(|_| Money::zero(most.currency()))
    }

    fn add(&mut self, tx: &Tx<'_>, amount: Money) -> Result<(), Refusal> {
        let most = tx.policy().static_day_most;
        let left = self.left(most);
        if left.checked_sub(amount).is_err() {
            return Err(Refusal::DayStaticCodesReached { most, left });
        }
        self.used = self.used.checked_add(amount).expect("within the day's bound");
        Ok(())
    }

    fn begin_order(&mut self, tx: &Tx<'_>) -> Result<(), Refusal> {
        let most = tx.policy().static_orders_a_day;
        if self.orders >= most {
            return Err(Refusal::TooManyStaticOrders { most });
        }
        self.orders += 1;
        Ok(())
    }
}

/// What each source has paid by printed codes today with this payment of it, if the bounds allow that. The decision puts them
/// once nothing refuses any more.
pub(crate) fn with(
    tx: &mut Tx<'_>,
    order: &Order,
    payer: PersonId,
    means: &Means,
) -> Result<Vec<StaticTally>, Stop<Refusal>> {
    if order.product != Product::Static {
        return Ok(vec![]);
    }
    let parts = match means {
        Means::Balance => vec![(None, order.amount)],
        Means::Card(card) | Means::Wallet { card, .. } => vec![(Some(*card), order.amount)],
        Means::Both { from_balance, card } => {
            let rest = order.amount.checked_sub(*from_balance).map_err(|_| Refusal::RequestMalformed)?;
            vec![(None, *from_balance), (Some(*card), rest)]
        }
    };
    let mut tallies = vec![];
    for (card, amount) in parts {
        let mut tally = StaticTally::of(tx, SourceId::of(payer, card))?;
        tally.add(tx, amount)?;
        tallies.push(tally);
    }
    Ok(tallies)
}

/// What was counted for a card's payment of an order, by source.
fn counted(order: &Order, attempt: &Attempt) -> Vec<(SourceId, Money)> {
    if order.product != Product::Static {
        return vec![];
    }
    let parts = Split::of(order.amount, attempt.amount).expect("a card pays no more than its order");
    [(Some(attempt.card), parts.card), (None, parts.balance)]
        .into_iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(card, amount)| (SourceId::of(attempt.person, card), amount))
        .collect()
}

/// Loads what `give_back` changes.
pub(crate) fn prepare(tx: &mut Tx<'_>, order: &Order, attempt: &Attempt) -> Result<(), crate::cache::Absent> {
    let sources: Vec<SourceId> = counted(order, attempt).iter().map(|(source, _)| *source).collect();
    tx.rows().static_tally.want(&sources)
}

/// Gives back what was counted for a payment that came to nothing, if the day is still the same. The rows are loaded.
pub(crate) fn give_back(tx: &mut Tx<'_>, order: &Order, attempt: &Attempt) {
    let day = tx.now().china_day();
    for (source, amount) in counted(order, attempt) {
        let row = tx.rows().static_tally.get(&source).expect("the decision prepared it").cloned();
        let counts = |row: &StaticTally| row.day == day && row.since <= attempt.created_at;
        if let Some(mut tally) = row.filter(counts) {
            tally.used = tally.used.checked_sub(amount).expect("what is given back was counted");
            tx.rows().static_tally.put(tally);
        }
    }
}
