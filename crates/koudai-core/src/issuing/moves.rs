//! Money between a holder and an app: taken, given back, paid out. Each happens once under the app's number for it, and
//! however often the app asks under that number, it is told how it ended.

use super::{IssuingRefusal, check_active, token_holder};
use crate::cool_down;
use crate::id::{AppMoveId, IssuingAppId};
use crate::ledger::{AccountId, JournalKind, Posting};
use crate::money::{Currency, Money};
use crate::rows::{
    Agreement, AgreementState, AppMove, AppMoveKey, AppMoveKind, AppMoveNumber, CoolTally, Declined,
};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx};
use crate::time::Timestamp;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByToken {
    /// Takes money from the holder for the app, within what the holder lets it.
    Debit,
    /// Pays money of the app's out to the holder.
    Payout,
}

impl ByToken {
    /// As it stands in rows.
    pub const fn kind(self) -> AppMoveKind {
        match self {
            Self::Debit => AppMoveKind::Debit,
            Self::Payout => AppMoveKind::Payout,
        }
    }
}

/// Moves money between an app and the holder of its token.
#[derive(Clone, Debug)]
pub struct MoveByToken {
    /// Which app.
    pub app: IssuingAppId,
    /// Which way.
    pub way: ByToken,
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

impl Command for MoveByToken {
    type Reply = AppMove;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AppMove, Stop<IssuingRefusal>> {
        let key = key(self.app, self.way.kind(), &self.number);
        if let Some(known) = known(tx, &key, &self.content_mac)? {
            return Ok(known);
        }
        check_active(tx, self.app)?;
        let agreement = token_holder(tx, self.app, &self.token)?;
        let lasting = agreement.clone().filter(|agreement| agreement.state == AgreementState::Bound);
        let (refusal, cooled) = match &lasting {
            None => (Some(Declined::TokenUnknown), None),
            Some(agreement) => self.refusal(tx, agreement)?,
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
            if self.way == ByToken::Debit {
                agreement.count(self.amount, tx.now());
                tx.rows().agreement.put(agreement);
                cool_down::put(tx, cooled);
            }
            post(tx, &done);
        }
        record(tx, key, done.clone());
        Ok(done)
    }
}

impl MoveByToken {
    /// Why it is declined under an agreement that lasts, and what it counts in a cool-down. Loads what moving the money needs.
    fn refusal(
        &self,
        tx: &mut Tx<'_>,
        agreement: &Agreement,
    ) -> Result<(Option<Declined>, Option<CoolTally>), Stop<IssuingRefusal>> {
        let holder = agreement.person.expect("what was bound has its holder");
        let person = tx.rows().person.get(&holder).or_stop()?.expect("a holder has their row");
        let (frozen, cool_until) = (person.frozen, person.cool_until);
        let cooled = match cool_down::spend(tx, holder, cool_until, self.amount) {
            Ok(cooled) => Some(cooled),
            Err(Stop::Refused(_)) => None,
            Err(Stop::Absent) => return Err(Stop::Absent),
        };
        let (theirs, apps) = (AccountId::person(holder), AccountId::app(self.app));
        tx.prepare(&[theirs, apps]).or_stop()?;
        let payer = if self.way == ByToken::Debit { theirs } else { apps };
        let funds = tx.standing(payer, self.amount.currency()).or_stop()?;
        let within = |limit: Money| limit.checked_sub(self.amount).is_ok();
        let allowed =
            within(agreement.per_payment) && within(agreement.left_on(tx.now())) && cooled.is_some();
        let declined = match self.way {
            _ if frozen => Some(Declined::Frozen),
            ByToken::Debit if !allowed => Some(Declined::Limit),
            ByToken::Debit if !within(funds) => Some(Declined::InsufficientFunds),
            ByToken::Payout if !within(funds) => Some(Declined::NotCovered),
            ByToken::Debit | ByToken::Payout => None,
        };
        Ok((declined, cooled.flatten()))
    }
}

impl Agreement {
    /// Counts what was taken at this moment.
    fn count(&mut self, amount: Money, now: Timestamp) {
        self.used = self.used_on(now).checked_add(amount).expect("within the day's limit");
        self.used_day = now.china_day();
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
            post(tx, &done);
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
    pub way: ByToken,
    /// Its number for it.
    pub number: String,
}

impl Command for CloseAppMove {
    type Reply = AppMove;
    type Refusal = IssuingRefusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<AppMove, Stop<IssuingRefusal>> {
        let key = key(self.app, self.way.kind(), &self.number);
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
fn post(tx: &mut Tx<'_>, done: &AppMove) {
    let holder = AccountId::person(done.person.expect("money moves to or from somebody"));
    let app = AccountId::app(done.app);
    let (kind, debit, credit) = match done.kind {
        AppMoveKind::Debit => (JournalKind::AppDebit, holder, app),
        AppMoveKind::Refund => (JournalKind::AppRefund, app, holder),
        AppMoveKind::Payout => (JournalKind::AppPayout, app, holder),
    };
    let posting = Posting { debit, credit, amount: done.amount };
    tx.post(kind, done.id.0, done.amount.currency(), vec![posting], &[]);
}

fn record(tx: &mut Tx<'_>, key: AppMoveKey, done: AppMove) {
    tx.rows().app_move_number.put(AppMoveNumber { key, id: done.id });
    tx.rows().app_move.insert(done);
}
