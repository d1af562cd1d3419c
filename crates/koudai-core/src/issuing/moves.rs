//! Money between a holder and an app: taken, given back, paid out. Each happens once under the app's number for it, and
//! whatever it was asked again under that number, it is told how it ended.

use super::{IssuingRefusal, check_active, token_holder};
use crate::id::{AppMoveId, IssuingAppId};
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::{Currency, Money};
use crate::rows::{Agreement, AgreementState, AppMove, AppMoveKey, AppMoveKind, AppMoveNumber, Declined};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx};

/// Takes money from a holder for an app.
#[derive(Clone, Debug)]
pub struct TakeFromHolder {
    /// Which app.
    pub app: IssuingAppId,
    /// Its number for it.
    pub number: String,
    /// Keyed hash of all it gave, by which a repeat is known.
    pub content_mac: [u8; 32],
    /// Its token.
    pub token: Secret<String>,
    /// How much: above zero.
    pub amount: Money,
    /// What the holder reads.
    pub description: String,
}

impl Command for TakeFromHolder {
    type Reply = AppMove;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AppMove, Stop<IssuingRefusal>> {
        let key = key(self.app, AppMoveKind::Debit, &self.number);
        if let Some(known) = known(tx, &key, &self.content_mac)? {
            return Ok(known);
        }
        check_active(tx, self.app)?;
        let now = tx.now();
        let agreement = token_holder(tx, self.app, &self.token)?;
        let lasting = agreement.clone().filter(|agreement| agreement.state == AgreementState::Bound);
        let refusal = match &lasting {
            None => Some(Declined::TokenUnknown),
            Some(agreement) => {
                let holder = agreement.person.expect("what was bound has its holder");
                let person = tx.rows().person.get(&holder).or_stop()?.expect("a holder has their row");
                let frozen = person.frozen;
                let (payer, payee) = (AccountId::person(holder), AccountId::app(self.app));
                tx.prepare(&[payer, payee]).or_stop()?;
                let balance = tx.standing(payer, self.amount.currency()).or_stop()?;
                let within = |limit: Money| limit.checked_sub(self.amount).is_ok();
                if frozen {
                    Some(Declined::Frozen)
                } else if !within(agreement.per_payment) || !within(agreement.left_on(now)) {
                    Some(Declined::Limit)
                } else if !within(balance) {
                    Some(Declined::InsufficientFunds)
                } else {
                    None
                }
            }
        };
        let done = AppMove {
            content_mac: Some(self.content_mac),
            agreement: agreement.as_ref().map(|agreement| agreement.id),
            person: agreement.as_ref().and_then(|agreement| agreement.person),
            amount: self.amount,
            description: self.description.clone(),
            refusal,
            ..blank(tx, &key)
        };
        if let (None, Some(mut agreement)) = (refusal, lasting) {
            agreement.count(self.amount, now.china_day());
            tx.rows().agreement.put(agreement);
            post(tx, JournalKind::AppDebit, &done);
        }
        record(tx, key, done.clone());
        Ok(done)
    }
}

impl Agreement {
    /// Counts what was taken on a day.
    fn count(&mut self, amount: Money, day: i64) {
        if self.used_day != day {
            (self.used_day, self.used) = (day, Money::zero(amount.currency()));
        }
        self.used = self.used.checked_add(amount).expect("within the day's limit");
    }
}

/// Gives money of a debit back to its holder. Works after the agreement has ended, and on a frozen account: it is theirs.
#[derive(Clone, Debug)]
pub struct GiveBackToHolder {
    /// Which app.
    pub app: IssuingAppId,
    /// Its number for it.
    pub number: String,
    /// Its number for the debit.
    pub debit: String,
    /// How much: above zero.
    pub amount: Money,
}

impl Command for GiveBackToHolder {
    type Reply = AppMove;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AppMove, Stop<IssuingRefusal>> {
        let key = key(self.app, AppMoveKind::Refund, &self.number);
        let debit = find(tx, &self::key(self.app, AppMoveKind::Debit, &self.debit))?;
        if let Some(old) = find(tx, &key)? {
            let same = old.amount == self.amount && old.original == debit.map(|debit| debit.id);
            return if same { Ok(old) } else { Err(IssuingRefusal::NumberReused.into()) };
        }
        // No trace is left: once the debit is there, the same number may be sent again.
        let mut debit = debit.filter(|debit| debit.refusal.is_none()).ok_or(IssuingRefusal::NotFound)?;
        let holder = debit.person.expect("what was taken was somebody's");
        let (payer, payee) = (AccountId::app(self.app), AccountId::person(holder));
        tx.prepare(&[payer, payee]).or_stop()?;
        let covered = tx.standing(payer, self.amount.currency()).or_stop()?;
        let left = debit.amount.checked_sub(debit.returned).expect("no more comes back than was taken");
        let refusal = left.checked_sub(self.amount).is_err().then_some(Declined::Limit);
        if refusal.is_none() && covered.checked_sub(self.amount).is_err() {
            return Err(IssuingRefusal::NotCovered.into());
        }
        let done = AppMove {
            agreement: debit.agreement,
            person: debit.person,
            original: Some(debit.id),
            amount: self.amount,
            description: debit.description.clone(),
            refusal,
            ..blank(tx, &key)
        };
        if refusal.is_none() {
            debit.returned = debit.returned.checked_add(self.amount).expect("no more than was taken");
            tx.rows().app_move.put(debit);
            post(tx, JournalKind::AppRefund, &done);
        }
        record(tx, key, done.clone());
        Ok(done)
    }
}

/// Pays money of an app's out to a holder.
#[derive(Clone, Debug)]
pub struct PayOutToHolder {
    /// Which app.
    pub app: IssuingAppId,
    /// Its number for it.
    pub number: String,
    /// Keyed hash of all it gave, by which a repeat is known.
    pub content_mac: [u8; 32],
    /// Its token.
    pub token: Secret<String>,
    /// How much: above zero.
    pub amount: Money,
    /// What the holder reads.
    pub description: String,
}

impl Command for PayOutToHolder {
    type Reply = AppMove;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AppMove, Stop<IssuingRefusal>> {
        let key = key(self.app, AppMoveKind::Payout, &self.number);
        if let Some(known) = known(tx, &key, &self.content_mac)? {
            return Ok(known);
        }
        check_active(tx, self.app)?;
        let agreement = token_holder(tx, self.app, &self.token)?;
        let lasting = agreement.as_ref().filter(|agreement| agreement.state == AgreementState::Bound);
        let refusal = match lasting {
            None => Some(Declined::TokenUnknown),
            Some(agreement) => {
                let holder = agreement.person.expect("what was bound has its holder");
                let person = tx.rows().person.get(&holder).or_stop()?.expect("a holder has their row");
                let frozen = person.frozen;
                let (payer, payee) = (AccountId::app(self.app), AccountId::person(holder));
                tx.prepare(&[payer, payee]).or_stop()?;
                let covered = tx.standing(payer, self.amount.currency()).or_stop()?;
                if frozen {
                    Some(Declined::Frozen)
                } else {
                    covered.checked_sub(self.amount).is_err().then_some(Declined::NotCovered)
                }
            }
        };
        let done = AppMove {
            content_mac: Some(self.content_mac),
            agreement: agreement.as_ref().map(|agreement| agreement.id),
            person: agreement.as_ref().and_then(|agreement| agreement.person),
            amount: self.amount,
            description: self.description.clone(),
            refusal,
            ..blank(tx, &key)
        };
        if refusal.is_none() {
            post(tx, JournalKind::AppPayout, &done);
        }
        record(tx, key, done.clone());
        Ok(done)
    }
}

/// Makes sure that a debit or payout that has not arrived never is done.
#[derive(Clone, Debug)]
pub struct CloseAppMove {
    /// Which app.
    pub app: IssuingAppId,
    /// Debit or payout.
    pub kind: AppMoveKind,
    /// Its number for it.
    pub number: String,
}

impl Command for CloseAppMove {
    type Reply = AppMove;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AppMove, Stop<IssuingRefusal>> {
        let key = key(self.app, self.kind, &self.number);
        if let Some(old) = find(tx, &key)? {
            return Ok(old);
        }
        let closed = AppMove { refusal: Some(Declined::Closed), ..blank(tx, &key) };
        record(tx, key, closed.clone());
        Ok(closed)
    }
}

fn key(app: IssuingAppId, kind: AppMoveKind, number: &str) -> AppMoveKey {
    AppMoveKey { app, kind, number: number.to_owned() }
}

fn find(tx: &mut Tx<'_>, key: &AppMoveKey) -> Result<Option<AppMove>, Stop<IssuingRefusal>> {
    let Some(id) = tx.rows().app_move_number.get(key).or_stop()?.map(|n| n.id) else { return Ok(None) };
    let found = tx.rows().app_move.get(&id).or_stop()?.cloned();
    Ok(Some(found.expect("a number stands for a movement")))
}

/// What stands under a number already, if the same was asked for. Nothing is known of what was closed before it came, so
/// anything is the same as that.
fn known(
    tx: &mut Tx<'_>,
    key: &AppMoveKey,
    content_mac: &[u8; 32],
) -> Result<Option<AppMove>, Stop<IssuingRefusal>> {
    match find(tx, key)? {
        Some(old) if old.content_mac.is_some_and(|known| known != *content_mac) => {
            Err(IssuingRefusal::NumberReused.into())
        }
        found => Ok(found),
    }
}

/// A movement of nothing by nobody.
fn blank(tx: &mut Tx<'_>, key: &AppMoveKey) -> AppMove {
    AppMove {
        id: AppMoveId(tx.fresh_id()),
        app: key.app,
        kind: key.kind,
        number: key.number.clone(),
        content_mac: None,
        agreement: None,
        person: None,
        original: None,
        amount: Money::zero(Currency::Cny),
        returned: Money::zero(Currency::Cny),
        description: String::new(),
        refusal: None,
        at: tx.now(),
    }
}

/// Moves the money, whose accounts are prepared.
fn post(tx: &mut Tx<'_>, kind: JournalKind, done: &AppMove) {
    let (app, holder) = (AccountId::app(done.app), done.person.expect("money moves to or from somebody"));
    let holder = AccountId::person(holder);
    let (debit, credit) = if done.kind == AppMoveKind::Debit { (holder, app) } else { (app, holder) };
    let posting = Posting { debit, credit, amount: done.amount };
    tx.post(kind, done.id.0, done.amount.currency(), vec![posting], &[]);
}

fn record(tx: &mut Tx<'_>, key: AppMoveKey, done: AppMove) {
    tx.rows().app_move_number.put(AppMoveNumber { key, id: done.id });
    tx.rows().app_move.insert(done);
}
