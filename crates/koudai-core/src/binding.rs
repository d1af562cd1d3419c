//! Binding a bank card: the intent is recorded, the bank is asked, it sends its own code, the person confirms.
//!
//! The card number goes to the bank and is not kept; keyed hashes find the same card or the same person again. Name
//! and ID number are kept sealed, so that the next bank can be shown the same person.

use crate::card::{CardKind, CardNumber};
use crate::id::{BindingId, CardId, PersonId};
use crate::identity::{IdNumber, PersonName};
use crate::ledger::NetworkId;
use crate::payment_password::{self, Pin};
use crate::refusal::Refusal;
use crate::rows::{
    Binding, BindingNumber, BindingState, Card, CardOwner, ClientNumber, Identity, NetworkRefusal, Person,
};
use crate::secret::Secret;
use crate::state::{Command, OrStop, Stop, Tx, keyed_mac};
use crate::time::{MINUTE, Timestamp};

/// A binding ends by itself after ten minutes.
pub const BINDING_LIFE_MS: i64 = 10 * MINUTE;

/// The keyed hash a card number is found by.
pub fn card_mac(key: &Secret<[u8; 32]>, number: &CardNumber) -> [u8; 32] {
    keyed_mac(key.expose(), &[b"card", number.expose().as_bytes()])
}

/// The keyed hash a person is compared by.
pub fn identity_mac(key: &Secret<[u8; 32]>, name: &PersonName, id_number: &IdNumber) -> [u8; 32] {
    keyed_mac(key.expose(), &[b"identity", name.expose().as_bytes(), id_number.expose().as_bytes()])
}

/// Records that a person means to bind a card. What the bank must see goes to it beside this command, from memory.
#[derive(Clone, Debug)]
pub struct StartBinding {
    /// Who.
    pub person: PersonId,
    /// The device's number for it.
    pub number: String,
    /// The network that reaches the bank.
    pub network: NetworkId,
    /// Of the card number.
    pub card_mac: [u8; 32],
    /// First six digits.
    pub bin: String,
    /// Last four digits.
    pub last4: String,
    /// Of name and ID number.
    pub identity_mac: [u8; 32],
    /// `**明`.
    pub name_masked: String,
    /// `1****************X`.
    pub id_number_masked: String,
    /// Name and ID number, sealed by the shell.
    pub identity_sealed: Vec<u8>,
    /// The holder's age in years.
    pub age: i64,
    /// `138****8000`.
    pub phone_masked: String,
    /// Debit or credit.
    pub kind: CardKind,
    /// The payment password, which is asked for once one is set: whoever finds a session open binds no card of their own, by which
    /// the password could be reset.
    pub pin: Option<Pin>,
}

impl Command for StartBinding {
    /// The binding, and whether it began with this command: only then is the bank asked.
    type Reply = (Binding, bool);
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Reply, Stop<Refusal>> {
        let now = tx.now();
        let key = ClientNumber { person: self.person, number: self.number.clone() };
        let known = tx.rows().binding_number.get(&key).or_stop()?.map(|n| n.binding);
        let mut person = tx.rows().person.get(&self.person).or_stop()?.cloned().ok_or(Refusal::SignedOut)?;
        let identity = tx.rows().identity.get(&self.person).or_stop()?.cloned();
        let owner = tx.rows().card_owner.get(&self.card_mac).or_stop()?.cloned();
        let guarded = tx.rows().payment_password.get(&self.person).or_stop()?.is_some();
        if let Some(id) = known {
            let old = tx.rows().binding.get(&id).or_stop()?.cloned().expect("a number stands for a binding");
            let same = old.number_mac == self.card_mac && old.identity_mac == self.identity_mac;
            return if same { Ok((old, false)) } else { Err(Refusal::NumberReused.into()) };
        }
        if person.frozen {
            return Err(Refusal::AccountFrozen.into());
        }
        if self.age < tx.policy().minimum_age {
            return Err(Refusal::HolderTooYoung.into());
        }
        if identity.is_some_and(|i| i.mac != self.identity_mac) {
            return Err(Refusal::NotTheSamePerson.into());
        }
        if let Some(owner) = owner.filter(|o| o.card.is_some()) {
            let own = owner.person == self.person;
            return Err(if own { Refusal::CardAlreadyBound } else { Refusal::CardBoundElsewhere }.into());
        }
        if person.cards >= tx.policy().cards_most {
            return Err(Refusal::TooManyCards.into());
        }
        if person.failed_bindings_day == now.china_day()
            && person.failed_bindings >= tx.policy().failed_bindings_most
        {
            return Err(Refusal::TooManyBindings.into());
        }
        if guarded {
            let pin = self.pin.as_ref().ok_or(Refusal::PaymentPasswordMalformed)?;
            payment_password::check(tx, self.person, pin)?;
        }
        let binding = Binding {
            id: BindingId(tx.fresh_id()),
            person: self.person,
            number: self.number.clone(),
            network: self.network,
            number_mac: self.card_mac,
            bin: self.bin.clone(),
            last4: self.last4.clone(),
            identity_mac: self.identity_mac,
            name_masked: self.name_masked.clone(),
            id_number_masked: self.id_number_masked.clone(),
            identity_sealed: self.identity_sealed.clone(),
            phone_masked: self.phone_masked.clone(),
            bank_zh: String::new(),
            bank_en: String::new(),
            kind: self.kind,
            state: BindingState::Asked,
            refusal: None,
            card: None,
            created_at: now,
            expires_at: now.plus(BINDING_LIFE_MS),
        };
        // Counted when it begins, so that many at once do not pass the limit, and given back if it ends in a card.
        if person.failed_bindings_day != now.china_day() {
            (person.failed_bindings_day, person.failed_bindings) = (now.china_day(), 0);
        }
        person.failed_bindings = person.failed_bindings.saturating_add(1);
        tx.rows().person.put(person);
        tx.rows().binding_number.put(BindingNumber { key, binding: binding.id });
        tx.rows().binding.insert(binding.clone());
        Ok((binding, true))
    }
}

/// What a bank says of a card.
#[derive(Clone, Debug)]
pub struct BankFace {
    /// The bank, in Chinese.
    pub bank_zh: String,
    /// The bank, in English.
    pub bank_en: String,
    /// Debit or credit, as the bank has it.
    pub kind: CardKind,
}

/// What the bank said to a binding.
#[derive(Clone, Debug)]
pub enum BindingAnswer {
    /// It sent its code.
    CodeSent(BankFace),
    /// It bound the card.
    Bound {
        /// The bank and the card's kind; `None` if they are as it said before.
        face: Option<BankFace>,
        /// The network's token, sealed by the shell.
        token_sealed: Vec<u8>,
    },
    /// It will not bind it.
    Failed(Refusal),
}

/// Records what the bank said. An answer to a binding that has ended changes nothing.
#[derive(Clone, Debug)]
pub struct RecordBinding {
    /// The binding.
    pub binding: BindingId,
    /// The bank's answer.
    pub answer: BindingAnswer,
}

impl Command for RecordBinding {
    type Reply = Binding;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Binding, Stop<Refusal>> {
        let now = tx.now();
        let binding = tx.rows().binding.get(&self.binding).or_stop()?.cloned();
        let mut binding = binding.ok_or(Refusal::BindingUnknown)?;
        let person = tx.rows().person.get(&binding.person).or_stop()?.cloned();
        let mut person = person.expect("a binding has its person");
        let owner = tx.rows().card_owner.get(&binding.number_mac).or_stop()?.cloned();
        let identity = tx.rows().identity.get(&binding.person).or_stop()?.cloned();
        if matches!(binding.state, BindingState::Bound | BindingState::Failed) {
            return Ok(binding);
        }
        // Several bindings may have been under way at once, of one card or up to the most cards; the first to be
        // confirmed count.
        let holder = owner.filter(|o| o.card.is_some()).map(|o| o.person);
        let stranger = identity.as_ref().is_some_and(|i| i.mac != binding.identity_mac);
        match &self.answer {
            BindingAnswer::CodeSent(face) => {
                face.show_on(&mut binding);
                binding.state = BindingState::CodeSent;
            }
            BindingAnswer::Bound { .. } if holder == Some(person.id) => {
                fail(&mut binding, &mut person, now, Refusal::CardAlreadyBound);
            }
            BindingAnswer::Bound { .. } if holder.is_some() => {
                fail(&mut binding, &mut person, now, Refusal::CardBoundElsewhere);
            }
            BindingAnswer::Bound { .. } if stranger => {
                fail(&mut binding, &mut person, now, Refusal::NotTheSamePerson);
            }
            BindingAnswer::Bound { .. } if person.cards >= tx.policy().cards_most => {
                fail(&mut binding, &mut person, now, Refusal::TooManyCards);
            }
            BindingAnswer::Bound { face, token_sealed } => {
                if let Some(face) = face {
                    face.show_on(&mut binding);
                }
                let card = Card {
                    id: CardId(tx.fresh_id()),
                    person: binding.person,
                    network: binding.network,
                    number_mac: binding.number_mac,
                    bank_zh: binding.bank_zh.clone(),
                    bank_en: binding.bank_en.clone(),
                    kind: binding.kind,
                    bin: binding.bin.clone(),
                    last4: binding.last4.clone(),
                    token_sealed: token_sealed.clone(),
                    bound_at: now,
                    removed_at: None,
                    withdrawals: 0,
                };
                binding.state = BindingState::Bound;
                binding.card = Some(card.id);
                person.cards = person.cards.saturating_add(1);
                person.give_binding_back(now);
                tx.rows().card_owner.put(CardOwner {
                    number_mac: binding.number_mac,
                    person: binding.person,
                    card: Some(card.id),
                });
                if identity.is_none() {
                    tx.rows().identity.put(Identity {
                        person: binding.person,
                        mac: binding.identity_mac,
                        name_masked: binding.name_masked.clone(),
                        id_number_masked: binding.id_number_masked.clone(),
                        sealed: binding.identity_sealed.clone(),
                        proven_at: now,
                    });
                }
                tx.rows().card.insert(card);
            }
            BindingAnswer::Failed(refusal) => fail(&mut binding, &mut person, now, *refusal),
        }
        tx.rows().person.put(person);
        tx.rows().binding.put(binding.clone());
        Ok(binding)
    }
}

impl BankFace {
    fn show_on(&self, binding: &mut Binding) {
        binding.bank_zh.clone_from(&self.bank_zh);
        binding.bank_en.clone_from(&self.bank_en);
        binding.kind = self.kind;
    }
}

impl Person {
    /// Gives back one of the day's bindings: it ended in a card, or never reached a bank.
    fn give_binding_back(&mut self, now: Timestamp) {
        if self.failed_bindings_day == now.china_day() {
            self.failed_bindings = self.failed_bindings.saturating_sub(1);
        }
    }
}

fn fail(binding: &mut Binding, person: &mut Person, now: Timestamp, refusal: Refusal) {
    binding.state = BindingState::Failed;
    binding.refusal = Some(refusal.code().to_owned());
    if refusal == Refusal::BankUnavailable {
        person.give_binding_back(now);
    }
}

/// Takes a card out of a wallet. Refunds of what it paid still reach it; what is withdrawn would not, since the network is
/// given its token back, so it stays until no withdrawal is on its way to it.
#[derive(Debug)]
pub struct RemoveCard {
    /// Whose.
    pub person: PersonId,
    /// Which.
    pub card: CardId,
    /// The payment password.
    pub pin: Pin,
}

impl Command for RemoveCard {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let mut card = bank_card_of(tx, self.person, self.card)?;
        let mut person = tx.rows().person.get(&self.person).or_stop()?.cloned().ok_or(Refusal::SignedOut)?;
        tx.rows().card_owner.get(&card.number_mac).or_stop()?;
        if card.withdrawals > 0 {
            return Err(Refusal::CardAwaitsMoney.into());
        }
        payment_password::check(tx, self.person, &self.pin)?;
        let owner = CardOwner { number_mac: card.number_mac, person: self.person, card: None };
        card.removed_at = Some(tx.now());
        person.cards = person.cards.saturating_sub(1);
        tx.rows().card_owner.put(owner);
        tx.rows().card.put(card);
        tx.rows().person.put(person);
        Ok(())
    }
}

/// A person's card that is still bound.
///
/// # Errors
/// `CardUnknown`, the same for somebody else's card as for none.
pub(crate) fn card_of(tx: &mut Tx<'_>, person: PersonId, card: CardId) -> Result<Card, Stop<Refusal>> {
    let card = tx.rows().card.get(&card).or_stop()?.filter(|c| c.person == person && c.removed_at.is_none());
    Ok(card.cloned().ok_or(Refusal::CardUnknown)?)
}

/// A person's bank card that is still bound.
///
/// # Errors
/// `CardUnknown`, of what they have at another wallet too.
pub(crate) fn bank_card_of(tx: &mut Tx<'_>, person: PersonId, card: CardId) -> Result<Card, Stop<Refusal>> {
    let card = card_of(tx, person, card)?;
    if card.kind == CardKind::Wallet { Err(Refusal::CardUnknown.into()) } else { Ok(card) }
}

/// How a bank's refusal reads to a person.
pub const fn person_refusal(refusal: NetworkRefusal) -> Refusal {
    match refusal {
        NetworkRefusal::InsufficientFunds => Refusal::CardInsufficientFunds,
        NetworkRefusal::OverLimit => Refusal::CardOverLimit,
        NetworkRefusal::CardNotUsable => Refusal::CardNotUsable,
        NetworkRefusal::Unavailable => Refusal::BankUnavailable,
        NetworkRefusal::NotCovered => Refusal::WithdrawalNotCovered,
        NetworkRefusal::Withdrawn => Refusal::NotCompleted,
        NetworkRefusal::Refused => Refusal::BankRefused,
    }
}
