//! The sessions of one person, so that all of them can be ended at once.

use crate::id::PersonId;
use crate::refusal::Refusal;
use crate::rows::{Language, SignIns};
use crate::state::{OrStop, Stop, Tx};

const HASH_BYTES: usize = 32;

impl SignIns {
    /// Of somebody who never signed in.
    pub const fn none(person: PersonId) -> Self {
        Self { person, sessions: vec![], devices: 0, language: None }
    }

    fn hashes(&self) -> impl Iterator<Item = [u8; 32]> {
        self.sessions.chunks_exact(HASH_BYTES).map(|hash| hash.try_into().expect("chunks of 32 bytes"))
    }

    /// The same with one session more, the newest.
    pub(super) fn with(mut self, token_hash: &[u8; 32], most: u8) -> Self {
        self = self.without(token_hash);
        self.sessions.splice(..0, *token_hash);
        self.sessions.truncate(usize::from(most) * HASH_BYTES);
        self
    }

    fn without(mut self, token_hash: &[u8; 32]) -> Self {
        self.sessions = self.hashes().filter(|hash| hash != token_hash).flatten().collect();
        self
    }
}

/// A person's sessions, loaded.
#[derive(Debug)]
pub(crate) struct Sessions(SignIns);

impl Sessions {
    /// Loads them.
    ///
    /// # Errors
    /// `Absent`.
    pub(crate) fn read(tx: &mut Tx<'_>, person: PersonId) -> Result<Self, Stop<Refusal>> {
        let row = tx.rows().sign_ins.get(&person).or_stop()?.cloned();
        let row = row.unwrap_or_else(|| SignIns::none(person));
        let hashes: Vec<[u8; 32]> = row.hashes().collect();
        tx.rows().session.want(&hashes).or_stop()?;
        Ok(Self(row))
    }

    /// On how many devices the person has signed in.
    pub(super) const fn devices(&self) -> u32 {
        self.0.devices
    }

    /// Counts a session that was opened, and ends the oldest beyond the most there may be. `language` is of a device of theirs.
    /// Whoever has just registered was looked up under another number, which nobody has.
    pub(super) fn open(
        self,
        tx: &mut Tx<'_>,
        person: PersonId,
        token_hash: &[u8; 32],
        new_device: bool,
        language: Option<Language>,
    ) {
        let most = tx.policy().safety.sessions_most;
        let before = SignIns { person, ..self.0 };
        let mut row = before.clone().with(token_hash, most);
        row.devices = row.devices.saturating_add(u32::from(new_device));
        row.language = language.or(row.language);
        let kept: Vec<[u8; 32]> = row.hashes().collect();
        for gone in before.hashes().filter(|hash| !kept.contains(hash)) {
            tx.rows().session.delete(&gone);
        }
        // A number that was just drawn is in no table.
        tx.rows().sign_ins.overwrite(row);
    }

    /// Ends all of them but one.
    pub(crate) fn end(self, tx: &mut Tx<'_>, but: Option<&[u8; 32]>) {
        let mut row = self.0;
        for hash in row.hashes().filter(|hash| Some(hash) != but) {
            tx.rows().session.delete(&hash);
        }
        row.sessions = row.hashes().filter(|hash| Some(hash) == but).flatten().collect();
        tx.rows().sign_ins.put(row);
    }

    /// Ends one.
    pub(super) fn end_one(self, tx: &mut Tx<'_>, token_hash: &[u8; 32]) {
        tx.rows().session.delete(token_hash);
        tx.rows().sign_ins.put(self.0.without(token_hash));
    }
}
