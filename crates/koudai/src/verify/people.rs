//! Phones and cards belong to one person each, or to a guest.

use koudai_core::card::CardKind;
use koudai_core::column::Row;
use koudai_core::id::{CardId, PersonId};
use koudai_core::ledger::NetworkId;
use koudai_core::rows::{Card, CardOwner, Guest, Person, PhoneOwner};
use koudai_store::Reader;

use super::start::ById;
use super::tally::{Marks, Suspects, Tally};
use super::{Wrong, broken, check};

/// Who there is, and their cards.
#[derive(Debug, Default)]
pub(super) struct People {
    /// Each person, with how many cards their row counts and how many there are.
    people: ById<(u8, u8)>,
    cards: ById<(PersonId, NetworkId)>,
}

const PHONE: &str = "a phone has one holder";
const BOUND: &str = "a bound card has one holder";

impl People {
    /// Reads and checks them in one view.
    pub(super) fn read(reader: &Reader, marks: &Marks) -> Result<Self, Wrong> {
        reader.snapshot(|reader| Self::read_in_view(reader, marks))
    }

    fn read_in_view(reader: &Reader, marks: &Marks) -> Result<Self, Wrong> {
        let mut all = Self::default();
        let (mut held, mut owned) = (Tally::default(), Tally::default());
        reader.each(|person: Person| {
            all.people.insert(person.id.0, (person.cards, 0));
            held.add(person.id.0, phone_mark(marks, person.phone.digits(), person.id));
            Ok::<_, Wrong>(())
        })?;
        reader.each(|owner: PhoneOwner| {
            owned.add(owner.person.0, phone_mark(marks, owner.phone.digits(), owner.person));
            Ok::<_, Wrong>(())
        })?;
        let suspects = held.differing(&owned);
        if !suspects.is_empty() {
            look_at_phones(reader, &suspects)?;
            return Err(broken(PHONE, format!("{} people, {} phones", held.count, owned.count)));
        }
        reader.each(|guest: Guest| {
            let person = all.people.insert(guest.id.0, (0, 0));
            check(person.is_none(), "a guest is no person", || format!("guest {}", guest.id.0))
        })?;
        let (mut bound, mut owned) = (Tally::default(), Tally::default());
        reader.each(|card: Card| {
            let person = all.people.get_mut(&card.person.0);
            let Some((_, cards)) = person else {
                return Err(broken("a card's holder is a person", format!("card {}", card.id.0)));
            };
            if card.removed_at.is_none() {
                // What somebody has at another wallet has its holder like a card, and does not count as one.
                *cards = cards.saturating_add(u8::from(card.kind != CardKind::Wallet));
                bound.add(card.id.0, card_mark(marks, &card.number_mac, card.person, card.id));
            }
            all.cards.insert(card.id.0, (card.person, card.network));
            Ok(())
        })?;
        reader.each(|owner: CardOwner| {
            if let Some(card) = owner.card {
                owned.add(card.0, card_mark(marks, &owner.number_mac, owner.person, card));
            }
            Ok::<_, Wrong>(())
        })?;
        let suspects = bound.differing(&owned);
        if !suspects.is_empty() {
            look_at_cards(reader, &suspects)?;
            return Err(broken(BOUND, format!("{} cards, {} held", bound.count, owned.count)));
        }
        let miscounted = all.people.iter().filter(|(_, (said, is))| said != is).map(|(id, _)| id).min();
        check(miscounted.is_none(), "a person's cards are counted right", || {
            miscounted.map_or_else(String::new, |id| format!("person {id}"))
        })?;
        Ok(all)
    }

    /// Whether this is a person or a guest: one of those that were read, or one that has come since.
    pub(super) fn knows(&self, reader: &Reader, person: PersonId) -> Result<bool, Wrong> {
        let since =
            || Ok(reader.get::<Person>(&person)?.is_some() || reader.get::<Guest>(&person)?.is_some());
        if self.people.contains_key(&person.0) { Ok(true) } else { since() }
    }

    /// Whose a card is, and its network.
    pub(super) fn card(&self, reader: &Reader, card: CardId) -> Result<Option<(PersonId, NetworkId)>, Wrong> {
        if let Some(card) = self.cards.get(&card.0) {
            return Ok(Some(*card));
        }
        Ok(reader.get::<Card>(&card)?.map(|card| (card.person, card.network)))
    }
}

fn phone_mark(marks: &Marks, digits: &str, person: PersonId) -> u64 {
    marks.of_text(&[person.0], digits.as_bytes())
}

fn card_mark(marks: &Marks, number_mac: &[u8; 32], person: PersonId, card: CardId) -> u64 {
    marks.of_text(&[person.0, card.0], number_mac)
}

/// The rows of a table that are to be looked at.
fn suspected<R: Row>(reader: &Reader, suspects: impl Fn(&R) -> bool) -> Result<Vec<R>, Wrong> {
    let mut rows = vec![];
    reader.each(|row: R| {
        if suspects(&row) {
            rows.push(row);
        }
        Ok::<_, Wrong>(())
    })?;
    Ok(rows)
}

fn look_at_phones(reader: &Reader, suspects: &Suspects) -> Result<(), Wrong> {
    for person in suspected(reader, |person: &Person| suspects.contains(person.id.0))? {
        let owner = reader.get::<PhoneOwner>(&person.phone)?;
        check(owner.is_some_and(|o| o.person == person.id), PHONE, || format!("person {}", person.id.0))?;
    }
    Ok(())
}

fn look_at_cards(reader: &Reader, suspects: &Suspects) -> Result<(), Wrong> {
    let bound = |card: &Card| card.removed_at.is_none() && suspects.contains(card.id.0);
    for card in suspected(reader, bound)? {
        let owner = reader.get::<CardOwner>(&card.number_mac)?;
        let fits = owner.is_some_and(|o| o.person == card.person && o.card == Some(card.id));
        check(fits, BOUND, || format!("card {}", card.id.0))?;
    }
    Ok(())
}
