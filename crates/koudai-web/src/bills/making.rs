//! Making a bill: the walk over the day's journals, joined with orders and refunds, line by line into a file. What it holds in
//! memory is one look's worth, and how the card refunds of the day ended.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use koudai_core::id::{OrderId, RefundId, TransferId};
use koudai_core::ledger::{AccountId, Journal};
use koudai_core::rows::{Merchant, Order, Refund, Transfer};
use koudai_networks::Networks;
use koudai_store::{Reader, StoreError};

use super::file::{Writer, Written};
use super::lines::{self, Business, Meaning, Progress, Returned, Sums, TradeLine};
use super::walk::Walk;
use super::{Bill, BillKind, csv};

/// How the card refunds that ended on the day did.
type Ends = HashMap<RefundId, Progress>;

/// A bill that is being made.
pub(super) struct Making {
    bill: Bill,
    networks: Arc<Networks>,
    ppm: u32,
    walk: Walk,
    ends: Option<Ends>,
    /// The walk that finds the ends, while it is under way: it begins where the first refund left for a card.
    ending: Option<(Walk, Ends)>,
    sums: Sums,
    text: String,
    writer: Writer,
}

/// What a reading and a writing may fail with.
pub(super) type Made<T> = Result<io::Result<T>, StoreError>;

impl Making {
    /// A bill without lines so far, in a new file.
    pub(super) fn begin(bill: Bill, networks: Arc<Networks>, path: PathBuf, reader: &Reader) -> Made<Self> {
        let Some(merchant) = reader.get::<Merchant>(&bill.mchid)? else {
            let what = format!("merchant {} has bills and no row", bill.mchid.0);
            return Err(StoreError::Corrupt { table: "merchant", what });
        };
        let walk = Walk::of(bill, reader)?;
        let mut writer = match Writer::create(path) {
            Ok(writer) => writer,
            Err(error) => return Ok(Err(error)),
        };
        let mut text = csv::MARK.to_owned();
        lines::head(bill.kind, &mut text);
        if let Err(error) = writer.write(&text) {
            return Ok(Err(error));
        }
        let (ppm, sums) = (merchant.fee_ppm, Sums::default());
        Ok(Ok(Self { bill, networks, ppm, walk, ends: None, ending: None, sums, text, writer }))
    }

    /// Whether all lines are written.
    pub(super) const fn is_over(&self) -> bool {
        self.walk.is_over()
    }

    /// Writes the sums; the file is whole then.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.text.clear();
        lines::foot(self.bill.kind, &self.sums, &mut self.text);
        self.writer.write(&self.text)?;
        self.writer.finish(self.sums.lines)
    }

    /// Goes on by one look.
    pub(super) fn step(&mut self, reader: &Reader) -> Made<()> {
        if self.ending.is_some() {
            self.look_for_ends(reader)?;
            return Ok(Ok(()));
        }
        let here = self.walk.clone();
        let journals = self.walk.next(reader)?;
        let is_trade = self.bill.kind != BillKind::FundFlow;
        let sent = journals.iter().any(|journal| matches!(lines::meaning(journal), Meaning::RefundSent(_)));
        if is_trade && sent && self.ends.is_none() {
            // How a refund was at the day's end stands in journals further on.
            self.walk = here.clone();
            self.ending = Some((here, Ends::new()));
            return Ok(Ok(()));
        }
        self.text.clear();
        let joined = Joined::of(&journals, self.bill.kind, reader)?;
        let kind = self.bill.kind;
        for journal in journals.iter().filter(|journal| lines::has(kind, lines::meaning(journal))) {
            self.line(journal, &joined)?;
        }
        Ok(self.writer.write(&self.text))
    }

    fn look_for_ends(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let (walk, ends) = self.ending.as_mut().expect("they are looked for");
        for journal in walk.next(reader)? {
            match lines::meaning(&journal) {
                Meaning::RefundArrived(refund) => ends.insert(refund, Progress::Arrived(journal.at)),
                Meaning::RefundRefused(refund) => ends.insert(refund, Progress::Refused),
                Meaning::Paid(_)
                | Meaning::Refunded(_)
                | Meaning::RefundSent(_)
                | Meaning::RefundReturned(_)
                | Meaning::Sent(_)
                | Meaning::SentReturned(_)
                | Meaning::Nobody => None,
            };
        }
        if walk.is_over() {
            self.ends = self.ending.take().map(|(_, ends)| ends);
        }
        Ok(())
    }

    /// A journal's lines on a fund-flow bill.
    fn flow(&mut self, journal: &Journal, business: &Business<'_>) {
        let account = AccountId::merchant(self.bill.mchid);
        lines::fund_flow(journal, account, business, &mut self.sums, &mut self.text);
    }

    fn line(&mut self, journal: &Journal, joined: &Joined) -> Result<(), StoreError> {
        let account = AccountId::merchant(self.bill.mchid);
        let (order, returned) = match lines::meaning(journal) {
            Meaning::Paid(order) => (joined.order(order)?, None),
            Meaning::Refunded(refund) => {
                let refund = joined.refund(refund)?;
                (joined.order(refund.order)?, Some((refund, Progress::Arrived(journal.at))))
            }
            Meaning::RefundSent(refund) => {
                let refund = joined.refund(refund)?;
                let end = self.ends.as_ref().and_then(|ends| ends.get(&refund.id).copied());
                (joined.order(refund.order)?, Some((refund, end.unwrap_or(Progress::UnderWay))))
            }
            Meaning::RefundReturned(refund) => {
                self.flow(journal, &lines::come_back(joined.refund(refund)?));
                return Ok(());
            }
            Meaning::Sent(transfer) => {
                self.flow(journal, &lines::transfer(joined.transfer(transfer)?, false));
                return Ok(());
            }
            Meaning::SentReturned(transfer) => {
                self.flow(journal, &lines::transfer(joined.transfer(transfer)?, true));
                return Ok(());
            }
            Meaning::RefundArrived(_) | Meaning::RefundRefused(_) | Meaning::Nobody => return Ok(()),
        };
        if self.bill.kind == BillKind::FundFlow {
            let business =
                returned.map_or_else(|| lines::payment(order), |(refund, _)| lines::refund(refund));
            self.flow(journal, &business);
            return Ok(());
        }
        let payer = journal.lines.iter().find_map(|line| line.account.person_owner());
        let openid = payer.map(|person| self.networks.vault.openid(&order.appid, person));
        let line = TradeLine {
            at: journal.at,
            order,
            openid: openid.as_deref().unwrap_or_default(),
            returned: returned.map(|(refund, progress)| Returned { refund, progress }),
            moved: lines::moved(journal, account),
            ppm: self.ppm,
        };
        line.write(self.bill.kind, &mut self.sums, &mut self.text);
        Ok(())
    }
}

/// The orders and refunds that some journals are about.
struct Joined {
    orders: HashMap<OrderId, Order>,
    refunds: HashMap<RefundId, Refund>,
    transfers: HashMap<TransferId, Transfer>,
}

impl Joined {
    fn of(journals: &[Journal], kind: BillKind, reader: &Reader) -> Result<Self, StoreError> {
        let (mut orders, mut refunds, mut transfers) = (HashSet::new(), vec![], vec![]);
        for meaning in journals.iter().map(lines::meaning).filter(|meaning| lines::has(kind, *meaning)) {
            match meaning {
                Meaning::Paid(order) => drop(orders.insert(order.0)),
                Meaning::Refunded(refund) | Meaning::RefundSent(refund) | Meaning::RefundReturned(refund) => {
                    refunds.push(refund.0);
                }
                Meaning::Sent(transfer) | Meaning::SentReturned(transfer) => transfers.push(transfer.0),
                Meaning::RefundArrived(_) | Meaning::RefundRefused(_) | Meaning::Nobody => {}
            }
        }
        let refunds: Vec<Refund> = reader.those(&refunds)?;
        orders.extend(refunds.iter().map(|refund| refund.order.0));
        let mut orders: Vec<i64> = orders.into_iter().collect();
        orders.sort_unstable();
        let orders: Vec<Order> = reader.those(&orders)?;
        let transfers: Vec<Transfer> = reader.those(&transfers)?;
        Ok(Self {
            orders: orders.into_iter().map(|order| (order.id, order)).collect(),
            refunds: refunds.into_iter().map(|refund| (refund.id, refund)).collect(),
            transfers: transfers.into_iter().map(|transfer| (transfer.id, transfer)).collect(),
        })
    }

    fn order(&self, id: OrderId) -> Result<&Order, StoreError> {
        let lost = || StoreError::Corrupt { table: "trade_order", what: format!("row {} is missing", id.0) };
        self.orders.get(&id).ok_or_else(lost)
    }

    fn refund(&self, id: RefundId) -> Result<&Refund, StoreError> {
        let lost = || StoreError::Corrupt { table: "refund", what: format!("row {} is missing", id.0) };
        self.refunds.get(&id).ok_or_else(lost)
    }

    fn transfer(&self, id: TransferId) -> Result<&Transfer, StoreError> {
        let lost = || StoreError::Corrupt { table: "transfer", what: format!("row {} is missing", id.0) };
        self.transfers.get(&id).ok_or_else(lost)
    }
}
