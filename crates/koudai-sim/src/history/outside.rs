//! The world outside: a bank that remembers what it did under which number, and merchants who listen or do not.

use std::collections::{BTreeMap, HashMap, HashSet};

use koudai_core::id::{AttemptId, MchId, Seq};
use koudai_core::rows::{Attempt, AttemptKind, NetworkRefusal};

use crate::Dice;

/// What the bank has done about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Succeeded,
    Refused,
}

/// What a call to the bank brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Done(Done),
    /// No answer: it may have done it.
    Nothing,
}

/// Bank and merchants, and what the courier is about.
#[derive(Default)]
pub(super) struct Outside {
    bank: BTreeMap<AttemptId, (Done, i64)>,
    /// Events that reached their merchants.
    pub(super) heard: HashSet<(MchId, Seq)>,
    /// Attempts that a command is under way for.
    pub(super) calling: HashSet<AttemptId>,
    /// Merchants that a command is under way for.
    pub(super) telling: HashSet<MchId>,
    /// Retries that a command is under way for.
    pub(super) retrying: HashSet<(MchId, Seq)>,
}

impl Outside {
    /// Asks the bank for an attempt, under its own number. `honest` if nothing gets lost on the way.
    pub(super) fn call(&mut self, dice: &mut Dice, attempt: &Attempt, honest: bool) -> Heard {
        if !honest && dice.below(6) == 0 {
            return Heard::Nothing;
        }
        // A refund of what was debited the bank does not refuse here: what happens then is left to people.
        let refuses = attempt.kind != AttemptKind::CardRefund && dice.below(8) == 0;
        let fresh = if refuses { Done::Refused } else { Done::Succeeded };
        let (done, _) = *self.bank.entry(attempt.id).or_insert((fresh, attempt.amount.minor()));
        if !honest && dice.below(5) == 0 { Heard::Nothing } else { Heard::Done(done) }
    }

    /// Why the bank refuses.
    pub(super) const REFUSAL: NetworkRefusal = NetworkRefusal::InsufficientFunds;

    /// What the bank did, by the attempts' numbers.
    pub(super) fn succeeded(&self) -> HashMap<AttemptId, i64> {
        let done = self.bank.iter().filter(|(_, (done, _))| *done == Done::Succeeded);
        done.map(|(id, (_, amount))| (*id, *amount)).collect()
    }

    /// Tells a merchant of an event. Whether it answered.
    pub(super) fn tell(&mut self, dice: &mut Dice, event: (MchId, Seq), honest: bool) -> bool {
        if honest || dice.below(4) > 0 {
            self.heard.insert(event);
            return honest || dice.below(8) > 0;
        }
        false
    }

    /// A process ended, and what it was about with it.
    pub(super) fn forget(&mut self) {
        self.calling.clear();
        self.telling.clear();
        self.retrying.clear();
    }
}
