//! A merchant's money to a person: held when the merchant asks for it, received by the person or back with the merchant.
//!
//! A transfer ends once: received, failed or taken back. Its state is the idempotency of all that ends it.

use crate::id::{MchId, PersonId, TransferId};
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::Money;
use crate::order::active_merchant;
use crate::planted::{self, Bug};
use crate::refusal::{MerchantRefusal, Refusal};
use crate::rows::{
    Merchant, OutBillNo, Product, Transfer, TransferFailure, TransferNumber, TransferState, WaitingTransfer,
};
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::Timestamp;

impl Merchant {
    /// Whether the merchant may send people money for this.
    pub fn may_send_for(&self, scene: &str) -> bool {
        self.transfer_scenes.split(' ').any(|word| word == scene)
    }
}

impl Transfer {
    /// When it came to stand as it does.
    pub fn updated_at(&self) -> Timestamp {
        self.ended_at.unwrap_or(self.created_at)
    }
}

/// The payee's name as the merchant gave it.
#[derive(Clone, Debug)]
pub struct GivenName {
    /// Keyed hash of it, to know the same request again.
    pub mac: [u8; 32],
    /// The name, sealed by the shell.
    pub sealed: Vec<u8>,
    /// What the shell, which alone can open a sealed identity, found the payee to be.
    pub found: Found,
}

/// What a given name was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The payee has not proven who they are.
    Nobody,
    /// The payee's identity, by its `mac`, and whether the name is its name.
    Identity {
        /// Which: a verdict on another identity than the payee's is none.
        mac: [u8; 32],
        /// Whether the name is its name.
        same_name: bool,
    },
}

/// Sends a merchant's money to a person, who then has to receive it.
#[derive(Clone, Debug)]
pub struct CreateTransfer {
    /// The merchant.
    pub mchid: MchId,
    /// The app that knows the payee.
    pub appid: String,
    /// The merchant's number for it.
    pub out_bill_no: String,
    /// What it is for: the number of a scene.
    pub scene: String,
    /// Who gets it.
    pub payee: PersonId,
    /// The payee's name, if the merchant gave it.
    pub name: Option<GivenName>,
    /// How much.
    pub amount: Money,
    /// What the payee reads.
    pub remark: String,
    /// What the payee reads as the reason.
    pub perception: Option<String>,
    /// What the merchant reports of it, in compact JSON.
    pub report: String,
    /// Where the merchant is told.
    pub notify_url: Option<String>,
}

impl CreateTransfer {
    /// The first field in which a repeat differs from the transfer, as a JSON pointer.
    fn difference(&self, transfer: &Transfer) -> Option<&'static str> {
        [
            (self.appid != transfer.appid, "/appid"),
            (self.scene != transfer.scene, "/transfer_scene_id"),
            (self.payee != transfer.payee, "/openid"),
            (self.name.as_ref().map(|name| name.mac) != transfer.name_mac, "/user_name"),
            (self.amount != transfer.amount, "/transfer_amount"),
            (self.remark != transfer.remark, "/transfer_remark"),
            (self.perception != transfer.perception, "/user_recv_perception"),
            (self.report != transfer.report, "/transfer_scene_report_infos"),
            (self.notify_url != transfer.notify_url, "/notify_url"),
        ]
        .into_iter()
        .find_map(|(differs, field)| differs.then_some(field))
    }

    /// Why it cannot come about, whatever is done; or nothing stands in its way.
    fn obstacle(&self, tx: &mut Tx<'_>) -> Result<Option<TransferFailure>, Stop<MerchantRefusal>> {
        let identity = tx.rows().identity.get(&self.payee).or_stop()?.map(|identity| identity.mac);
        let person = tx.rows().person.get(&self.payee).or_stop()?.ok_or(MerchantRefusal::PayeeUnknown)?;
        if person.frozen {
            return Ok(Some(TransferFailure::PayeeFrozen));
        }
        let Some(name) = &self.name else { return Ok(None) };
        match (name.found, identity) {
            (Found::Nobody, None) => Ok(Some(TransferFailure::PayeeUnproven)),
            (Found::Identity { mac, same_name }, Some(identity)) if mac == identity => {
                Ok((!same_name).then_some(TransferFailure::NameWrong))
            }
            // The payee proved who they are while the shell was looking: it has to look again.
            _ => Err(MerchantRefusal::Busy.into()),
        }
    }
}

impl Command for CreateTransfer {
    /// The transfer as it stands now.
    type Reply = Transfer;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Transfer, Stop<MerchantRefusal>> {
        let now = tx.now();
        let key = OutBillNo { mchid: self.mchid, out_bill_no: self.out_bill_no.clone() };
        let known = tx.rows().transfer_number.get(&key).or_stop()?.map(|n| n.transfer);
        let merchant = active_merchant(tx, self.mchid)?;
        if merchant.appid != self.appid {
            return Err(MerchantRefusal::AppidMismatch.into());
        }
        if !merchant.may_use(Product::Transfer) {
            return Err(MerchantRefusal::ProductNotEnabled.into());
        }
        if let Some(id) = known {
            let old =
                tx.rows().transfer.get(&id).or_stop()?.cloned().expect("a number stands for a transfer");
            return match self.difference(&old) {
                Some(field) => Err(MerchantRefusal::OutBillNoUsed { field }.into()),
                None => Ok(old),
            };
        }
        if !merchant.may_send_for(&self.scene) {
            return Err(MerchantRefusal::SceneNotGranted.into());
        }
        let named_from = tx.policy().transfer_named_from;
        if self.name.is_none() && self.amount.checked_sub(named_from).is_ok() {
            return Err(MerchantRefusal::PayeeNameNeeded { from_minor: named_from.minor() }.into());
        }
        let obstacle = self.obstacle(tx)?;
        let (funds, held) = ends(self.mchid);
        tx.prepare(&[funds, held]).or_stop()?;
        let standing = tx.standing(funds, self.amount.currency()).or_stop()?;
        // Money first: what stands in the way says something of the payee, and nobody learns that for nothing.
        if standing.checked_sub(self.amount).is_err() {
            return Err(MerchantRefusal::NotEnoughFunds.into());
        }
        let transfer = Transfer {
            id: TransferId(tx.fresh_id()),
            mchid: self.mchid,
            appid: self.appid.clone(),
            out_bill_no: self.out_bill_no.clone(),
            scene: self.scene.clone(),
            payee: self.payee,
            amount: self.amount,
            remark: self.remark.clone(),
            perception: self.perception.clone(),
            report: self.report.clone(),
            notify_url: self.notify_url.clone(),
            name_mac: self.name.as_ref().map(|name| name.mac),
            name_sealed: self.name.as_ref().map(|name| name.sealed.clone()),
            state: if obstacle.is_none() { TransferState::Waiting } else { TransferState::Failed },
            failure: obstacle,
            created_at: now,
            expires_at: now.plus(tx.policy().transfer_life_ms),
            ended_at: obstacle.map(|_| now),
        };
        if obstacle.is_some() {
            // Nothing moves, and the merchant is told all the same.
            let currency = self.amount.currency();
            tx.post(JournalKind::TransferReturned, transfer.id.0, currency, vec![], &[funds]);
        } else {
            let posting = Posting { debit: funds, credit: held, amount: self.amount };
            tx.post(JournalKind::TransferHeld, transfer.id.0, self.amount.currency(), vec![posting], &[]);
            tx.rows().waiting_transfer.insert(WaitingTransfer {
                transfer: transfer.id,
                payee: transfer.payee,
                expires_at: transfer.expires_at,
            });
        }
        tx.rows().transfer_number.put(TransferNumber { key, transfer: transfer.id });
        tx.rows().transfer.insert(transfer.clone());
        Ok(transfer)
    }
}

/// Where a merchant's transfers come from and where they wait.
const fn ends(mchid: MchId) -> (AccountId, AccountId) {
    (AccountId::merchant(mchid), AccountId::transfers_in_flight(mchid))
}

/// Loads what the end of a transfer needs besides the transfer.
fn prepare_end(tx: &mut Tx<'_>, transfer: &Transfer) -> Result<(), crate::cache::Absent> {
    let (funds, held) = ends(transfer.mchid);
    tx.prepare(&[funds, held, AccountId::person(transfer.payee)])?;
    tx.rows().waiting_transfer.get(&transfer.id).map(drop)
}

/// Ends a waiting transfer, whose rows are prepared: its money goes to the payee, or back because of a failure.
fn end(tx: &mut Tx<'_>, mut transfer: Transfer, failure: Option<TransferFailure>) -> Transfer {
    assert_eq!(transfer.state, TransferState::Waiting, "a transfer ends once");
    let (funds, held) = ends(transfer.mchid);
    let (kind, credit, state) = match failure {
        None => (JournalKind::TransferPaid, AccountId::person(transfer.payee), TransferState::Received),
        Some(TransferFailure::Withdrawn) => (JournalKind::TransferReturned, funds, TransferState::Cancelled),
        Some(_) => (JournalKind::TransferReturned, funds, TransferState::Failed),
    };
    let posting = Posting { debit: held, credit, amount: transfer.amount };
    tx.post(kind, transfer.id.0, transfer.amount.currency(), vec![posting], &[funds]);
    transfer.state = state;
    transfer.failure = failure;
    transfer.ended_at = Some(tx.now());
    tx.rows().waiting_transfer.delete(&transfer.id);
    if !planted::is(Bug::TransferGoesOnWaiting) {
        tx.rows().transfer.put(transfer.clone());
    }
    transfer
}

/// Receives a transfer. Receiving it again is no error.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveTransfer {
    /// Who.
    pub person: PersonId,
    /// What.
    pub transfer: TransferId,
}

impl Command for ReceiveTransfer {
    type Reply = Transfer;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Transfer, Stop<Refusal>> {
        let transfer = tx.rows().transfer.get(&self.transfer).or_stop()?.filter(|t| t.payee == self.person);
        let transfer = transfer.cloned().ok_or(Refusal::TransferUnknown)?;
        if transfer.state == TransferState::Received {
            return Ok(transfer);
        }
        if let Some(over) = transfer.is_over(tx.now()) {
            return Err(over.into());
        }
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        prepare_end(tx, &transfer).or_stop()?;
        Ok(end(tx, transfer, None))
    }
}

impl Transfer {
    /// Why its payee cannot receive it any more. Past its time it cannot, whether or not its money is back yet.
    pub const fn is_over(&self, now: Timestamp) -> Option<Refusal> {
        match self.state {
            TransferState::Waiting if now.0 >= self.expires_at.0 => Some(Refusal::TransferOverdue),
            TransferState::Waiting | TransferState::Received => None,
            TransferState::Cancelled => Some(Refusal::TransferWithdrawn),
            TransferState::Failed => match self.failure {
                Some(TransferFailure::Overdue) => Some(Refusal::TransferOverdue),
                _ => Some(Refusal::TransferUnknown),
            },
        }
    }
}

/// Takes a transfer back that nobody has received. Taking it back again is no error.
#[derive(Clone, Debug)]
pub struct CancelTransfer {
    /// The merchant.
    pub mchid: MchId,
    /// Its number.
    pub out_bill_no: String,
}

impl Command for CancelTransfer {
    type Reply = Transfer;
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Transfer, Stop<MerchantRefusal>> {
        let key = OutBillNo { mchid: self.mchid, out_bill_no: self.out_bill_no.clone() };
        let number = tx.rows().transfer_number.get(&key).or_stop()?.map(|n| n.transfer);
        let id = number.ok_or(MerchantRefusal::TransferUnknown)?;
        let transfer =
            tx.rows().transfer.get(&id).or_stop()?.cloned().expect("a number stands for a transfer");
        match transfer.state {
            TransferState::Cancelled => Ok(transfer),
            TransferState::Received | TransferState::Failed => Err(MerchantRefusal::TransferOver.into()),
            TransferState::Waiting => {
                prepare_end(tx, &transfer).or_stop()?;
                Ok(end(tx, transfer, Some(TransferFailure::Withdrawn)))
            }
        }
    }
}

/// Gives back what was not received in time. Transfers that have ended, or still have time, stay as they are.
#[derive(Clone, Debug)]
pub struct CloseOverdue {
    /// At most a few hundred.
    pub transfers: Vec<TransferId>,
}

impl Command for CloseOverdue {
    type Reply = ();
    type Refusal = MerchantRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<MerchantRefusal>> {
        let now = tx.now();
        let mut ids = self.transfers.clone();
        ids.sort_unstable();
        ids.dedup();
        tx.rows().transfer.want(&ids).or_stop()?;
        let mut due = vec![];
        let mut ready = Ok(());
        for id in &ids {
            let transfer = tx.rows().transfer.get(id).or_stop()?.cloned();
            let is_due = |t: &Transfer| t.state == TransferState::Waiting && now >= t.expires_at;
            if let Some(transfer) = transfer.filter(is_due) {
                // Everything of all of them is asked for before the first is ended.
                ready = prepare_end(tx, &transfer).and(ready);
                due.push(transfer);
            }
        }
        ready.or_stop()?;
        for transfer in due {
            end(tx, transfer, Some(TransferFailure::Overdue));
        }
        Ok(())
    }
}
