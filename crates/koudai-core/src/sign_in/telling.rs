//! Telling the holder of an account what has changed, wherever they can be reached, with a way to freeze the account at once.
//!
//! To an address goes a link to a page with a button, to a phone a word to be typed on our own site. Both are MACs of a random nonce
//! under the operator's key; the database has a keyed hash of them.

use super::letters::{as_typed, letters};
use super::sessions::Sessions;
use super::{Asker, Count, Counted};
use crate::id::{MessageId, PersonId};
use crate::identity::{Contact, Phone};
use crate::refusal::Refusal;
use crate::rows::{AccountChange, CodePurpose, FreezeRight, Language, Message, Person};
use crate::secret::Secret;
use crate::state::{Command, Event, Keys, OrStop, Stop, Tx, keyed_mac};
use crate::time::DAY;

/// How long a right to freeze an account lasts, ms (domain rule 6).
pub const FREEZE_LIFE_MS: i64 = DAY;
/// How often a day somebody is told of the same kind of change: nobody sends them a hundred messages.
const TOLD_MOST: u32 = 5;
/// Letters of what is typed: 50 bits, of which only those of one phone can be tried at once.
const TYPED: usize = 10;
/// Letters of what stands in a link: 130 bits.
const LINKED: usize = 26;

/// What shows the right to freeze an account that goes to a contact.
pub fn freeze_word(keys: &Keys, contact: &Contact, nonce: &[u8; 16]) -> Secret<String> {
    let mac = keyed_mac(keys.one_time_code.expose(), &[b"freeze word", contact.text().as_bytes(), nonce]);
    match contact {
        Contact::Phone(_) => letters(&mac, TYPED),
        Contact::Email(_) => letters(&mac, LINKED),
    }
}

/// What a right is found by: of a word that is typed together with the phone it was sent to, or of one in a link.
pub fn freeze_key(keys: &Keys, phone: Option<&Phone>, word: &Secret<String>) -> [u8; 32] {
    let (phone, word) = (phone.map_or("", Phone::digits), as_typed(word.expose()));
    keyed_mac(keys.one_time_code.expose(), &[b"freeze right", phone.as_bytes(), word.expose().as_bytes()])
}

/// Whoever is to be told, looked up and not yet told.
#[derive(Debug)]
pub(crate) struct Telling {
    person: PersonId,
    contacts: Vec<Contact>,
    about: AccountChange,
    language: Option<Language>,
    count: Count,
}

impl Telling {
    /// Looks up where a person can be reached before anything of it changes.
    ///
    /// # Errors
    /// `Absent`.
    pub(crate) fn prepare(
        tx: &mut Tx<'_>,
        person: &Person,
        about: AccountChange,
    ) -> Result<Self, Stop<Refusal>> {
        let whose = [&person.id.0.to_be_bytes(), about.word().as_bytes()].concat();
        let count = Count::read(tx, Counted::Told, &whose)?;
        let language = tx.rows().sign_ins.get(&person.id).or_stop()?.and_then(|row| row.language);
        let mut contacts = vec![Contact::Phone(person.phone.clone())];
        contacts.extend(person.email.clone().map(Contact::Email));
        if count.wait_s(tx.now(), TOLD_MOST).is_some() {
            contacts.clear();
        }
        Ok(Self { person: person.id, contacts, about, language, count })
    }

    /// Tells them.
    pub(crate) fn tell(self, tx: &mut Tx<'_>) {
        if self.contacts.is_empty() {
            return;
        }
        self.count.add(tx, DAY);
        let expires_at = tx.now().plus(FREEZE_LIFE_MS);
        for contact in self.contacts {
            let nonce = tx.random();
            let word = freeze_word(tx.keys(), &contact, &nonce);
            let phone = match &contact {
                Contact::Phone(phone) => Some(phone),
                Contact::Email(_) => None,
            };
            let key = freeze_key(tx.keys(), phone, &word);
            tx.rows().freeze_right.insert(FreezeRight { key, person: self.person, expires_at });
            let message = Message {
                id: MessageId(tx.fresh_id()),
                contact,
                purpose: CodePurpose::Freeze,
                nonce,
                next_at: tx.now(),
                tries: 0,
                expires_at,
                language: self.language,
                agreement: None,
                about: Some(self.about),
            };
            tx.announce(Event::MessageDue(message.id));
            tx.rows().message.insert(message);
        }
    }
}

/// Freezes an account by what its holder was sent when something of it changed.
#[derive(Debug)]
pub struct FreezeByRight {
    /// The phone the word was sent to, as typed along with it; `None` of a link.
    pub phone: Option<Phone>,
    /// The word.
    pub word: Secret<String>,
    /// Who asks.
    pub asker: Asker,
}

impl Command for FreezeByRight {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        let (most, pause_ms) = (tx.policy().safety.wrong_from_block_most, tx.policy().safety.pause_ms);
        let place = self.asker.block.map_or_else(Vec::new, |block| block.bytes().to_vec());
        let wrong = Count::read(tx, Counted::WrongFreezeWords, &place)?;
        if let Some(wait_s) = wrong.wait_s(now, most).filter(|_| !place.is_empty()) {
            return Err(Refusal::FreezePaused { wait_s }.into());
        }
        let key = freeze_key(tx.keys(), self.phone.as_ref(), &self.word);
        let right = tx.rows().freeze_right.get(&key).or_stop()?.filter(|right| now < right.expires_at);
        let Some(person) = right.map(|right| right.person) else {
            wrong.add(tx, pause_ms);
            return Err(Refusal::FreezeWordWrong.into());
        };
        set_frozen(tx, person, true)?;
        tx.rows().freeze_right.delete(&key);
        Ok(())
    }
}

/// Freezes an account and ends all its sessions, or opens it again.
///
/// # Errors
/// `RecordUnknown`, or `Absent`.
fn set_frozen(tx: &mut Tx<'_>, person: PersonId, frozen: bool) -> Result<Person, Stop<Refusal>> {
    let row = tx.rows().person.get(&person).or_stop()?.cloned().ok_or(Refusal::RecordUnknown)?;
    if frozen {
        Sessions::read(tx, person)?.end(tx, None);
    }
    let row = Person { frozen, ..row };
    tx.rows().person.put(row.clone());
    Ok(row)
}

/// Freezes an account, or ends that, as the operator's staff have decided.
#[derive(Clone, Copy, Debug)]
pub struct SetFrozen {
    /// Whose.
    pub person: PersonId,
    /// Whether it is to be frozen.
    pub frozen: bool,
}

impl Command for SetFrozen {
    type Reply = Person;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Person, Stop<Refusal>> {
        set_frozen(tx, self.person, self.frozen)
    }
}

/// Forgets rights that were not used in time.
#[derive(Clone, Debug)]
pub struct SweepFreezeRights {
    /// At most a few hundred.
    pub keys: Vec<[u8; 32]>,
}

impl Command for SweepFreezeRights {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let now = tx.now();
        tx.rows().freeze_right.sweep(&self.keys, |row| row.expires_at <= now).or_stop()
    }
}
