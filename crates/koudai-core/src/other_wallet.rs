//! Paying at another wallet, as WeChat Pay and Alipay are: its person goes there and agrees there, so a call takes as long as
//! they do, and not longer than it may.

use core::net::IpAddr;
use std::borrow::Cow;

use crate::attempt;
use crate::binding::card_of;
use crate::card::CardKind;
use crate::column::{Cells, Column, Value};
use crate::id::{AttemptId, CardId, PersonId};
use crate::ledger::NetworkId;
use crate::payment_password::{self, Pin};
use crate::refusal::Refusal;
use crate::rows::{Attempt, AttemptKind, Card, CardOwner, NetworkRefusal};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx, keyed_mac};
use crate::time::{DAY, MINUTE};

/// How long after it was recorded a person may pay at another wallet. The wallet is told so too, and takes nothing later.
pub const PAY_ELSEWHERE_MS: i64 = 5 * MINUTE;
/// How long after it was recorded it is certain that nothing was paid, at the latest: a call that opened the way may still have been on its
/// way, and clocks differ.
pub const OVER_ELSEWHERE_MS: i64 = 12 * MINUTE;
/// How long a person has to receive at another wallet what they withdrew to it.
pub const RECEIVE_ELSEWHERE_MS: i64 = DAY;

/// Where a person is who is to pay at another wallet: it opens another way for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// In a computer's browser: a code is shown, and scanned with the app.
    Computer,
    /// In a phone's browser, at this address: a page opens the app.
    Phone(IpAddr),
    /// Inside the app.
    Inside,
}

const COMPUTER: &str = "computer";
const PHONE: &str = "phone ";
const INSIDE: &str = "inside";

impl Column for Scene {
    const PARTS: &'static [&'static str] = &[""];

    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(match self {
            Self::Computer => Cow::Borrowed(COMPUTER),
            Self::Phone(address) => Cow::Owned(format!("{PHONE}{address}")),
            Self::Inside => Cow::Borrowed(INSIDE),
        }));
    }

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let Value::Text(word) = cells.next_cell()? else { return None };
        match word.as_ref() {
            COMPUTER => Some(Self::Computer),
            INSIDE => Some(Self::Inside),
            word => word.strip_prefix(PHONE)?.parse().ok().map(Self::Phone),
        }
    }
}

/// A person who is to pay at another wallet.
#[derive(Clone, PartialEq, Eq)]
pub struct AtWallet {
    /// Where they are.
    pub scene: Scene,
    /// What the wallet knows them by, sealed by the shell, where it has to be told.
    pub payer_sealed: Option<Vec<u8>>,
}

impl std::fmt::Debug for AtWallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AtWallet").field("known", &self.payer_sealed.is_some()).finish_non_exhaustive()
    }
}

/// What a person has at another wallet.
///
/// # Errors
/// `CardUnknown`, of a bank card too.
pub(crate) fn wallet_of(tx: &mut Tx<'_>, person: PersonId, card: CardId) -> Result<Card, Stop<Refusal>> {
    let card = card_of(tx, person, card)?;
    if card.kind == CardKind::Wallet { Ok(card) } else { Err(Refusal::CardUnknown.into()) }
}

/// How another wallet's refusal reads to a person.
pub const fn wallet_refusal(refusal: NetworkRefusal) -> Refusal {
    match refusal {
        NetworkRefusal::InsufficientFunds => Refusal::WalletInsufficientFunds,
        NetworkRefusal::OverLimit => Refusal::WalletOverLimit,
        NetworkRefusal::Unavailable => Refusal::WalletUnavailable,
        NetworkRefusal::NotCovered => Refusal::WithdrawalNotCovered,
        NetworkRefusal::Withdrawn => Refusal::NotCompleted,
        NetworkRefusal::CardNotUsable | NetworkRefusal::Refused => Refusal::WalletRefused,
    }
}

/// The keyed hash by which what a person has at another wallet is found: each has one thing there.
pub fn wallet_mac(key: &Secret<[u8; 32]>, network: NetworkId, person: PersonId) -> [u8; 32] {
    keyed_mac(key.expose(), &[b"wallet", &network.0.to_be_bytes(), &person.0.to_be_bytes()])
}

/// Finds what a person has at another wallet, or makes it, so that what they pay there is theirs. Nothing is linked by it.
#[derive(Clone, Debug)]
pub struct OpenWallet {
    /// Whose.
    pub person: PersonId,
    /// Which wallet.
    pub network: NetworkId,
    /// Its [`wallet_mac`].
    pub mac: [u8; 32],
    /// The wallet's name in Chinese.
    pub zh: String,
    /// The wallet's name in English.
    pub en: String,
}

impl Command for OpenWallet {
    type Reply = Card;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Card, Stop<Refusal>> {
        let owner = tx.rows().card_owner.get(&self.mac).or_stop()?.cloned();
        if let Some(known) = owner.and_then(|owner| owner.card) {
            return wallet_of(tx, self.person, known);
        }
        tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        Ok(new_wallet(tx, self.person, self.network, self.mac, [&self.zh, &self.en]))
    }
}

/// What somebody has at another wallet from now on, found by this hash, which was looked for. The wallet's names are in Chinese and
/// in English.
pub(crate) fn new_wallet(
    tx: &mut Tx<'_>,
    person: PersonId,
    network: NetworkId,
    mac: [u8; 32],
    [zh, en]: [&str; 2],
) -> Card {
    let card = Card {
        id: CardId(tx.fresh_id()),
        person,
        network,
        number_mac: mac,
        bank_zh: zh.to_owned(),
        bank_en: en.to_owned(),
        kind: CardKind::Wallet,
        bin: String::new(),
        last4: String::new(),
        token_sealed: vec![],
        bound_at: tx.now(),
        removed_at: None,
        withdrawals: 0,
    };
    tx.rows().card_owner.put(CardOwner { number_mac: mac, person, card: Some(card.id) });
    tx.rows().card.insert(card.clone());
    card
}

/// Lets a person go and link their account at another wallet, which asks for the payment password: money will be paid out to it.
#[derive(Debug)]
pub struct AllowLink {
    /// Whose.
    pub person: PersonId,
    /// What they have at the wallet.
    pub card: CardId,
    /// The payment password.
    pub pin: Pin,
}

impl Command for AllowLink {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let card = wallet_of(tx, self.person, self.card)?;
        let person = tx.rows().person.get(&self.person).or_stop()?.ok_or(Refusal::SignedOut)?;
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        // What is on its way would be asked about in another's name.
        if card.withdrawals > 0 {
            return Err(Refusal::CardAwaitsMoney.into());
        }
        payment_password::check(tx, self.person, &self.pin)?;
        Ok(())
    }
}

/// Links a person's account at another wallet, or ends that. Whoever asks for a link has seen that it was allowed.
#[derive(Clone, Debug)]
pub struct LinkWallet {
    /// Whose.
    pub person: PersonId,
    /// What they have at the wallet.
    pub card: CardId,
    /// What the wallet knows them by, sealed by the shell; empty to end the link.
    pub token_sealed: Vec<u8>,
}

impl Command for LinkWallet {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let mut card = wallet_of(tx, self.person, self.card)?;
        if card.withdrawals > 0 {
            return Err(Refusal::CardAwaitsMoney.into());
        }
        card.token_sealed.clone_from(&self.token_sealed);
        tx.rows().card.put(card);
        Ok(())
    }
}

/// Gives up what a person was to agree to at another wallet. It is closed there, and what they did meanwhile counts.
#[derive(Clone, Debug)]
pub struct GiveUp {
    /// Whose.
    pub person: PersonId,
    /// Which.
    pub attempt: AttemptId,
}

impl Command for GiveUp {
    /// How it stands now.
    type Reply = Attempt;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Attempt, Stop<Refusal>> {
        let attempt = tx.rows().attempt.get(&self.attempt).or_stop()?.cloned();
        // A refund is owed, whoever gets it.
        let theirs =
            |attempt: &Attempt| attempt.person == self.person && attempt.kind != AttemptKind::CardRefund;
        let attempt = attempt.filter(theirs);
        let attempt = attempt.ok_or(Refusal::RecordUnknown)?;
        let card = tx.rows().card.get(&attempt.card).or_stop()?.map(|card| card.kind);
        if card != Some(CardKind::Wallet) {
            return Err(Refusal::RecordUnknown.into());
        }
        if let Some(open) = tx.rows().open_attempt.get(&self.attempt).or_stop()?.cloned() {
            attempt::withdraw(tx, open);
        }
        Ok(attempt)
    }
}
