//! Calls that move money at a bank: sent under their own id, asked for until the outcome is known, withdrawn at the
//! bank when their time is over.

use koudai_core::attempt::{AttemptUnknown, EndAttempt, Outcome};
use koudai_core::card::CardKind;
use koudai_core::id::AttemptId;
use koudai_core::ledger::NetworkId;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Card, Merchant, NetworkRefusal, OpenAttempt, Order,
};
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_store::StoreError;

use super::{Courier, TAKE, TAKE_BACK};
use crate::network::{GiveBack, Move, Moved, Network};
use crate::vault::Sealed;

impl Courier {
    pub(super) async fn look_for_attempts(&self) -> Result<(), StoreError> {
        // Those that wait for a place at their network stay due; behind them are those of the others.
        let (now, most) = (self.engine.now(), TAKE + self.under_way.attempts.count().min(16 * TAKE));
        for due in self.engine.read(move |r| r.due_attempts(now, most)).await? {
            self.take_attempt(due.attempt);
        }
        Ok(())
    }

    pub(super) fn take_attempt(&self, id: AttemptId) {
        if !self.under_way.attempts.claim(&id) {
            return;
        }
        let courier = self.clone();
        tokio::spawn(async move {
            if let Err(error) = courier.try_attempt(id).await {
                tracing::error!(%error, attempt = id.0, "an attempt could not be read");
            }
            courier.under_way.attempts.free(&id);
        });
    }

    /// Takes up what is open at a network, due or not.
    pub(super) async fn take_all_at(&self, network: NetworkId) -> Result<(), StoreError> {
        let open = self.engine.read(move |r| {
            let open = r.due_attempts(Timestamp(i64::MAX), TAKE_BACK)?.into_iter().map(|open| open.attempt);
            let at_it =
                open.map(|id| Ok(r.get::<Attempt>(&id)?.filter(|a| a.network == network).map(|_| id)));
            at_it.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()
        });
        for attempt in open.await? {
            self.take_attempt(attempt);
        }
        Ok(())
    }

    async fn try_attempt(&self, id: AttemptId) -> Result<(), StoreError> {
        let Some(network) = self.engine.read(move |r| r.get::<Attempt>(&id)).await?.map(|a| a.network) else {
            return Ok(());
        };
        let line = self.networks.outside.get(network);
        // Whoever waits for a place reads afterwards: the attempt may be over by then, or its time.
        let _place = match line {
            Some(line) => Some(line.place().await),
            None => None,
        };
        let read = self.engine.read(move |r| {
            let Some(open) = r.get::<OpenAttempt>(&id)? else { return Ok(None) };
            let attempt = r.get::<Attempt>(&id)?.expect("an open attempt has its row");
            let card = r.get::<Card>(&attempt.card)?.expect("an attempt has its card");
            let merchant = match attempt.order {
                Some(order) => {
                    let order = r.get::<Order>(&order)?.expect("an attempt has its order");
                    r.get::<Merchant>(&order.mchid)?.map(|m| m.name)
                }
                None => None,
            };
            let original = attempt.original.map_or(Ok(None), |id| r.get::<Attempt>(&id))?;
            Ok(Some((open, attempt, card, merchant, original)))
        });
        let Some((open, attempt, card, merchant, original)) = read.await? else { return Ok(()) };
        if attempt.state != AttemptState::Open {
            return Ok(());
        }
        // Only the process that recorded the attempt, at its first call, knows that no earlier call was made. What the
        // row says of earlier tries may lag, so this process also remembers for itself.
        let first =
            self.under_way.called.claim(&id) && open.tries == 0 && attempt.epoch == self.engine.epoch();
        let found = match (line, attempt.kind) {
            (None, _) => {
                tracing::error!(
                    network = attempt.network.0,
                    "an attempt is for a network that is not set up"
                );
                Moved::NothingDone(NetworkRefusal::Unavailable)
            }
            (Some(network), AttemptKind::TopUp | AttemptKind::CardPayment | AttemptKind::Payout) => {
                self.make(network, first, &open, &attempt, &card, merchant).await
            }
            (Some(network), AttemptKind::CardRefund) => {
                let original = original.expect("a refund names the debit it gives back");
                refund(network, first, &attempt, &original).await
            }
        };
        let outcome = match found {
            Moved::Ended(outcome) => Some(outcome),
            // A debit or payout that was never made may be given up; a refund is owed, and goes on until the bank has an answer.
            Moved::NothingDone(refusal) if first && attempt.kind != AttemptKind::CardRefund => {
                Some(Outcome::Failed(refusal))
            }
            Moved::NothingDone(_) | Moved::UnderWay | Moved::NotThere | Moved::Unknown => None,
        };
        tracing::info!(
            attempt = %id.wire(),
            kind = attempt.kind.word(),
            tries = open.tries + 1,
            outcome = match &outcome {
                Some(Outcome::Succeeded { .. }) => "succeeded",
                Some(Outcome::Failed(refusal)) => refusal.word(),
                None => "unknown",
            },
            "bank asked"
        );
        if outcome == Some(Outcome::Failed(NetworkRefusal::NotCovered)) {
            tracing::warn!(
                network = attempt.network.0,
                attempt = %id.wire(),
                "the operator's account at a network does not cover a payout: pay money in there"
            );
        }
        // A busy engine leaves the attempt open; the next look takes it up.
        match outcome {
            Some(outcome) => {
                if let Some(open) = line.and_then(Network::invitations) {
                    open.end(&id.wire(), self.engine.now());
                }
                if self.engine.submit(EndAttempt { attempt: id, outcome }).await.is_ok() {
                    self.under_way.called.free(&id);
                }
            }
            None => drop(self.engine.submit(AttemptUnknown { attempt: id, due: open.next_at }).await),
        }
        Ok(())
    }

    /// Has a debit or a payout made, by one rule: a second call under another number would move the money twice, so what may
    /// have been sent is asked about first, and past its time nothing is sent any more.
    async fn make(
        &self,
        network: &dyn Network,
        first: bool,
        open: &OpenAttempt,
        attempt: &Attempt,
        card: &Card,
        merchant: Option<String>,
    ) -> Moved {
        let number = attempt.id.wire();
        let out = attempt.kind == AttemptKind::Payout;
        if !out {
            network.expects(&number, attempt.amount);
        }
        if self.engine.now() >= open.send_until {
            return if out {
                network.close_pay_out(&number).await
            } else {
                network.close_debit(&number).await
            };
        }
        if !first {
            let known =
                if out { network.query_pay_out(&number).await } else { network.query_debit(&number).await };
            // The way that its person was shown is lost with the process that opened it: the same call opens it again.
            let is_lost = known == Moved::UnderWay
                && network.invitations().is_some_and(|open| open.get(&number, self.engine.now()).is_none());
            if known != Moved::NotThere && !is_lost {
                return known;
            }
        }
        let token = match (card.kind, out) {
            (CardKind::Debit | CardKind::Credit, _) => {
                self.opened(Sealed::CardToken, &card.token_sealed, card)
            }
            (CardKind::Wallet, true) => self.opened(Sealed::AtWallet, &card.token_sealed, card),
            (CardKind::Wallet, false) => match &open.payer_sealed {
                Some(sealed) => self.opened(Sealed::AtWallet, sealed, card),
                None => Some(Secret::new(String::new())),
            },
        };
        let Some(token) = token else { return Moved::NothingDone(NetworkRefusal::Refused) };
        let what: String = merchant.unwrap_or_else(|| self.operator.to_string()).chars().take(120).collect();
        let moving =
            Move { number: &number, token, amount: attempt.amount, what_for: &what, scene: open.scene };
        if out { network.pay_out(moving).await } else { network.debit(moving).await }
    }

    /// What the card's network knows it by, or its holder.
    fn opened(&self, what: Sealed, sealed: &[u8], card: &Card) -> Option<Secret<String>> {
        let token = self.networks.vault.open_text(what, sealed).ok();
        if token.is_none() {
            tracing::error!(card = card.id.0, "a card's token does not open with the operator's keys");
        }
        token
    }
}

async fn refund(network: &dyn Network, first: bool, attempt: &Attempt, original: &Attempt) -> Moved {
    let back = GiveBack {
        number: &attempt.id.wire(),
        debit: &original.id.wire(),
        debit_ref: original.network_ref.as_deref().expect("only what succeeded is given back"),
        debited: original.amount,
        amount: attempt.amount,
    };
    if !first {
        match network.query_refund(back).await {
            Moved::NotThere => {}
            known => return known,
        }
    }
    network.refund(back).await
}
