//! Networks' books, each day: read after the day is over, and compared with ours.

use super::Courier;
use crate::reconciling::{self, Days};

impl Courier {
    /// Has whatever is due compared, each network beside the others. One that does not answer is asked again at the next look.
    pub(super) fn look_for_days(&self) {
        for (network, _) in self.networks.outside.all() {
            let _under_way = !reconciling::start(&self.engine, &self.networks, network, Days::Due);
        }
    }
}
