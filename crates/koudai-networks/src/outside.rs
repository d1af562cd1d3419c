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
    /// The same, for numbers that nobody's digits above begin.
    general: Vec<(String, NetworkId)>,
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

    /// The same, of cards that no other network was given: what an operator says of their own networks counts before what is
    /// known of cards in general.
    #[must_use]
    pub fn with_general_bins(mut self, id: NetworkId, bins: impl IntoIterator<Item = String>) -> Self {
        self.general.extend(bins.into_iter().map(|bin| (bin, id)));
        self
    }

    /// The network that binds a card: the one with the most of its first digits, or the first issuer.
    pub fn of_card(&self, number: &CardNumber) -> NetworkId {
        let longest = |bins: &[(String, NetworkId)]| {
            let its = bins.iter().filter(|(bin, _)| number.expose().starts_with(bin.as_str()));
            its.max_by_key(|(bin, _)| bin.len()).map(|(_, id)| *id)
        };
        longest(&self.bins).or_else(|| longest(&self.general)).unwrap_or(ISSUER_NETWORK)
    }

    /// Whether the operator has said whose cards begin like this, so that no table of others' has to be asked.
    pub fn knows_beginning(&self, digits: &str) -> bool {
        self.bins.iter().any(|(bin, _)| digits.starts_with(bin.as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_says_of_a_card_counts_before_what_is_known_of_cards_in_general() {
        let owned = |bins: &[&str]| bins.iter().map(|bin| (*bin).to_owned()).collect::<Vec<_>>();
        let outside = Outside::default()
            .with_bins(NetworkId(2), owned(&["6216", "62162"]))
            .with_bins(NetworkId(3), owned(&["621626"]))
            .with_general_bins(NetworkId(4), owned(&["62", "6216261", "6217"]));
        let of = |number: &str| outside.of_card(&CardNumber::parse(number).unwrap()).0;
        assert_eq!(of("6216261000000000018"), 3, "the longest of the operator's");
        assert_eq!(of("6217000012345678907"), 4);
        assert_eq!(of("4111111111111111"), ISSUER_NETWORK.0);
    }

    #[test]
    fn whose_cards_begin_with_the_operators_digits_is_known_from_their_last_digit_on() {
        let outside = Outside::default().with_bins(NetworkId(2), ["998801".to_owned()]);
        assert!(outside.knows_beginning("998801") && outside.knows_beginning("9988011390"));
        assert!(!outside.knows_beginning("99880") && !outside.knows_beginning("998802"));
        assert!(!Outside::default().knows_beginning("998801"));
    }
}
