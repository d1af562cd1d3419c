//! The networks an operator has, by number, and which of them binds a card.

use std::collections::BTreeMap;

use koudai_core::card::CardNumber;
use koudai_core::ledger::{ISSUER_NETWORK, NetworkId};

use crate::line::Line;
use crate::network::Network;

/// The networks an operator has.
#[derive(Debug, Default)]
pub struct Outside {
    lines: BTreeMap<NetworkId, Line>,
    /// Digits that card numbers begin with, and whose they are.
    bins: Vec<(String, NetworkId)>,
}

impl Outside {
    /// With another network.
    #[must_use]
    pub fn with(mut self, id: NetworkId, network: impl Network + 'static) -> Self {
        self.lines.insert(id, Line::to(network));
        self
    }

    /// Has cards whose numbers begin with these digits bound by this network.
    #[must_use]
    pub fn with_bins(mut self, id: NetworkId, bins: impl IntoIterator<Item = String>) -> Self {
        self.bins.extend(bins.into_iter().map(|bin| (bin, id)));
        self
    }

    /// The network that binds a card: the one with the most of its first digits, or the first issuer.
    pub fn of_card(&self, number: &CardNumber) -> NetworkId {
        let its = self.bins.iter().filter(|(bin, _)| number.expose().starts_with(bin.as_str()));
        its.max_by_key(|(bin, _)| bin.len()).map_or(ISSUER_NETWORK, |(_, id)| *id)
    }

    /// The network of this number, unless the operator has it no more.
    pub fn get(&self, id: NetworkId) -> Option<&Line> {
        self.lines.get(&id)
    }

    /// Whether the network of this number is there and called.
    pub fn is_up(&self, id: NetworkId) -> bool {
        self.get(id).is_some_and(Line::is_up)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (NetworkId, &Line)> {
        self.lines.iter().map(|(id, line)| (*id, line))
    }
}
