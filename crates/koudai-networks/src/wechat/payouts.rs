//! Payouts: transfers that the payee confirms in the app. The money is set aside when the transfer is made, and comes back if nobody
//! confirms within a day, or if it is called off before.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use koudai_core::attempt::Outcome;
use koudai_core::money::Money;
use koudai_core::rows::NetworkRefusal;
use koudai_core::time::{DAY, MINUTE, Timestamp};
use koudai_wechatpay::client::ClientError;
use koudai_wechatpay::types::{TransferBill, TransferRequest, TransferState};
use serde_json::json;

use super::client::{WeChat, note};
use super::codes;
use super::network::{REFUSED, certain, question_failed, unanswered};
use crate::network::{Invitation, Move, Moved, made_at};

/// The least that can be sent, in fen.
const LEAST_FEN: i64 = 10;
/// From this on the payee's name is needed, which the wallet does not hand on.
const NAMED_FROM_FEN: i64 = 200_000;
/// The longest text a payee reads, in characters.
const MOST_REMARK: usize = 32;
/// How long a payee has to confirm.
const CONFIRM_WITHIN_MS: i64 = DAY;
/// How long after it was sent a transfer that is not there may still arrive: the platform refuses what was signed more than 300 s ago;
/// the rest is for clocks.
const ARRIVES_WITHIN_MS: i64 = 7 * MINUTE;
/// The most numbers whose last call is remembered.
const MOST_SENT: usize = 100_000;

/// When transfers were last sent under their numbers. What an earlier process sent, it sent before this one began.
#[derive(Debug)]
pub(super) struct Sent {
    /// No number that is not remembered was sent later than this.
    before: Timestamp,
    last: BTreeMap<String, Timestamp>,
}

impl Sent {
    pub(super) const fn since(began: Timestamp) -> Self {
        Self { before: began, last: BTreeMap::new() }
    }

    fn note(&mut self, number: &str, now: Timestamp) {
        // Numbers rise with time, so the first is the oldest, and hardly ever sent again.
        while self.last.len() >= MOST_SENT
            && let Some((_, at)) = self.last.pop_first()
        {
            self.before = self.before.max(at);
        }
        self.last.insert(number.to_owned(), now);
    }

    fn last(&self, number: &str) -> Timestamp {
        self.last.get(number).copied().unwrap_or(self.before)
    }
}

impl WeChat {
    /// Has a transfer made, and lets its payee know where to confirm it.
    pub(super) async fn transfer(&self, payout: Move<'_>) -> Moved {
        let (Some(at), Some(terms)) = (made_at(payout.number), &self.settings.payouts) else {
            return REFUSED;
        };
        if payout.amount.minor() >= NAMED_FROM_FEN {
            return Moved::NothingDone(NetworkRefusal::OverLimit);
        }
        if payout.amount.minor() < LEAST_FEN || payout.token.expose().is_empty() {
            return REFUSED;
        }
        let request = TransferRequest {
            appid: self.settings.appid.clone(),
            out_bill_no: payout.number.to_owned(),
            transfer_scene_id: terms.scene.clone(),
            openid: payout.token.expose().clone(),
            transfer_amount: payout.amount.minor(),
            transfer_remark: payout.what_for.chars().take(MOST_REMARK).collect(),
            notify_url: Some(self.settings.notices.clone()),
            user_recv_perception: terms.perception.clone(),
            transfer_scene_report_infos: terms.report.clone(),
            ..TransferRequest::default()
        };
        self.sent().note(payout.number, self.now());
        let made = self.client.transfer(&request).await;
        note("transfer", payout.number, &made);
        match made {
            Ok(made) => {
                if let (TransferState::WaitUserConfirm, Some(package)) = (&made.state, made.package_info) {
                    let parameters = json!({ "mchId": self.settings.mchid, "appId": self.settings.appid, "package": package });
                    let parameters = parameters.to_string();
                    let receive = Invitation::CallUp { call: "wechat-receive", parameters };
                    self.invitations.put(payout.number, at.plus(CONFIRM_WITHIN_MS), receive);
                }
                if !made.state.is_final() {
                    return Moved::UnderWay;
                }
                // Only a question tells the amount.
                match self.transfer_asked(payout.number, Some(payout.amount)).await {
                    Moved::NotThere => Moved::Unknown,
                    known => certain(known),
                }
            }
            // Money that leaves is not given up on the word of a reply that nobody signed: it is asked about first.
            Err(ClientError::Refused { body, .. }) => {
                let Some(said) = codes::said(&body.code) else { return Moved::Unknown };
                match self.transfer_asked(payout.number, Some(payout.amount)).await {
                    Moved::NotThere => Moved::NothingDone(said.refusal),
                    known => certain(known),
                }
            }
            Err(error) => unanswered(&error),
        }
    }

    /// Asks how a transfer stands, over `amount` if that is known here.
    pub(super) async fn transfer_asked(&self, number: &str, amount: Option<Money>) -> Moved {
        if made_at(number).is_none() {
            return Moved::NotThere;
        }
        let found = self.client.query_transfer(number).await;
        note("query_transfer", number, &found);
        let moved = match found {
            Ok(found) => self.transferred(&found, amount),
            Err(error) => question_failed(&error),
        };
        if matches!(moved, Moved::Ended(_)) {
            self.invitations.end(number, self.now());
        }
        moved
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transferred(&self, found: &TransferBill, amount: Option<Money>) -> Moved {
        let number = &found.out_bill_no;
        let other = amount.is_some_and(|amount| amount.minor() != found.transfer_amount);
        if other || found.appid != self.settings.appid {
            tracing::error!(number, "WeChat Pay has another transfer under this number");
            return Moved::Unknown;
        }
        let reason = found.fail_reason.as_deref().unwrap_or_default();
        match &found.state {
            TransferState::Success if !found.transfer_bill_no.is_empty() => {
                Moved::Ended(Outcome::Succeeded { network_ref: found.transfer_bill_no.clone() })
            }
            TransferState::Fail => Moved::Ended(Outcome::Failed(codes::fail_reason(reason))),
            TransferState::Cancelled => Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)),
            // One that was only taken in moves on when the same call is made again, as whoever waits for the way there does.
            _ => Moved::UnderWay,
        }
    }

    /// Calls a transfer off, unless its payee was faster.
    pub(super) async fn cancel_transfer(&self, number: &str) -> Moved {
        if made_at(number).is_none() {
            return Moved::NotThere;
        }
        let cancelled = self.client.cancel_transfer(number).await;
        note("cancel_transfer", number, &cancelled);
        match cancelled {
            Ok(done) if done.state == TransferState::Cancelled => {
                self.invitations.end(number, self.now());
                Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn))
            }
            Ok(_) => Moved::UnderWay,
            Err(ClientError::Refused { body, .. }) if codes::is_not_there(&body.code) => {
                let last = self.sent().last(number);
                self.never_there(last.plus(ARRIVES_WITHIN_MS))
            }
            // Received, failed or called off before, or just being received.
            Err(ClientError::Refused { .. }) => match self.transfer_asked(number, None).await {
                Moved::NotThere => Moved::UnderWay,
                known => certain(known),
            },
            Err(error) => unanswered(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_of_a_number_is_never_taken_for_earlier_than_it_was() {
        let mut sent = Sent::since(Timestamp(10));
        assert_eq!(sent.last("7"), Timestamp(10), "an earlier process may have sent it");
        sent.note("7", Timestamp(20));
        sent.note("8", Timestamp(30));
        sent.note("7", Timestamp(40));
        assert_eq!((sent.last("7"), sent.last("8")), (Timestamp(40), Timestamp(30)));
        for no in 0..MOST_SENT {
            sent.note(&format!("9{no:027}"), Timestamp(50));
        }
        assert_eq!((sent.last("7"), sent.last("8")), (Timestamp(40), Timestamp(40)));
    }
}
