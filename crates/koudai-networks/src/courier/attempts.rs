//! Calls that move money at a bank: sent under their own id, asked for until the outcome is known, withdrawn at the
//! bank when their time is over.

use koudai_core::attempt::{AttemptUnknown, EndAttempt, Outcome};
use koudai_core::id::AttemptId;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Card, Merchant, NetworkRefusal, OpenAttempt, Order,
};
use koudai_core::secret::Secret;
use koudai_store::StoreError;

use super::{Courier, TAKE};
use crate::issuer::{Answer, IssuerCode, Outcome as Final};
use crate::vault::Sealed;

/// What one try at an attempt found out.
enum Found {
    /// How it ended.
    Ended(Outcome),
    /// The bank does not know the attempt.
    NotThere,
    /// The bank, or the way to it, did nothing in this call.
    NothingDone(NetworkRefusal),
    /// Nothing certain.
    Unknown,
}

impl Courier {
    pub(super) async fn look_for_attempts(&self) -> Result<(), StoreError> {
        let now = self.engine.now();
        for due in self.engine.read(move |r| r.due_attempts(now, TAKE)).await? {
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
            if let Ok(_permit) = courier.calls.acquire().await
                && let Err(error) = courier.try_attempt(id).await
            {
                tracing::error!(%error, attempt = id.0, "an attempt could not be read");
            }
            courier.under_way.attempts.free(&id);
        });
    }

    async fn try_attempt(&self, id: AttemptId) -> Result<(), StoreError> {
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
            Ok(Some((open, attempt, card, merchant)))
        });
        let Some((open, attempt, card, merchant)) = read.await? else { return Ok(()) };
        if attempt.state != AttemptState::Open {
            return Ok(());
        }
        // Only the process that recorded the attempt, at its first call, knows that no earlier call was made. What the
        // row says of earlier tries may lag, so this process also remembers for itself.
        let first =
            self.under_way.called.claim(&id) && open.tries == 0 && attempt.epoch == self.engine.epoch();
        let found = match attempt.kind {
            AttemptKind::TopUp | AttemptKind::CardPayment => {
                self.debit(first, &open, &attempt, &card, merchant).await
            }
            AttemptKind::CardRefund => self.refund(first, &attempt).await,
        };
        if matches!(found, Found::Ended(_) | Found::NotThere) {
            self.networks.health.bank_answered(true);
        }
        let outcome = match found {
            Found::Ended(outcome) => Some(outcome),
            // A debit that was never made may be given up; a refund is owed, and goes on until the bank has an answer.
            Found::NothingDone(refusal) if first && attempt.kind != AttemptKind::CardRefund => {
                Some(Outcome::Failed(refusal))
            }
            Found::NothingDone(_) | Found::NotThere | Found::Unknown => None,
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
        // A busy engine leaves the attempt open; the next look takes it up.
        match outcome {
            Some(outcome) => {
                if self.engine.submit(EndAttempt { attempt: id, outcome }).await.is_ok() {
                    self.under_way.called.free(&id);
                }
            }
            None => drop(self.engine.submit(AttemptUnknown { attempt: id }).await),
        }
        Ok(())
    }

    async fn debit(
        &self,
        first: bool,
        open: &OpenAttempt,
        attempt: &Attempt,
        card: &Card,
        merchant: Option<String>,
    ) -> Found {
        let number = attempt.id.wire();
        let issuer = &self.networks.issuer;
        let found = |answer: Answer<crate::issuer::DebitReply>| found(answer, |r| (r.outcome, r.bank_ref));
        if self.engine.now() >= open.send_until {
            return found(issuer.close_debit(&number).await);
        }
        if !first {
            match found(issuer.query_debit(&number).await) {
                Found::NotThere => {}
                known => return known,
            }
        }
        let Ok(token) = self.networks.vault.open_text(Sealed::CardToken, &card.token_sealed) else {
            tracing::error!(card = card.id.0, "a card's token does not open with the operator's keys");
            return Found::NothingDone(NetworkRefusal::Refused);
        };
        let what: String = merchant.unwrap_or_else(|| self.operator.to_string()).chars().take(120).collect();
        let token = Secret::new(token.expose().clone());
        found(issuer.debit(&number, token, attempt.amount, &what).await)
    }

    async fn refund(&self, first: bool, attempt: &Attempt) -> Found {
        let number = attempt.id.wire();
        let original = attempt.original.expect("a refund names the debit it gives back").wire();
        let found = |answer: Answer<crate::issuer::RefundReply>| found(answer, |r| (r.outcome, r.bank_ref));
        if !first {
            match found(self.networks.issuer.query_refund(&number).await) {
                Found::NotThere => {}
                known => return known,
            }
        }
        found(self.networks.issuer.refund(&number, &original, attempt.amount).await)
    }
}

fn found<T>(answer: Answer<T>, read: impl FnOnce(T) -> (Final, String)) -> Found {
    match answer {
        Answer::Done(reply) => match read(reply) {
            (Final::Succeeded, network_ref) => Found::Ended(Outcome::Succeeded { network_ref }),
            (Final::Refused { code }, _) => Found::Ended(Outcome::Failed(refusal(code))),
        },
        Answer::Refused { code: IssuerCode::NotFound, .. } => Found::NotThere,
        Answer::Refused { code, .. } => Found::NothingDone(refusal(code)),
        Answer::NotSent => Found::NothingDone(NetworkRefusal::Unavailable),
        Answer::Unknown => Found::Unknown,
    }
}

/// A bank's reason, folded to what a person can act on.
const fn refusal(code: IssuerCode) -> NetworkRefusal {
    match code {
        IssuerCode::InsufficientFunds => NetworkRefusal::InsufficientFunds,
        IssuerCode::CardFrozen | IssuerCode::TokenUnknown | IssuerCode::CardUnknown => {
            NetworkRefusal::CardNotUsable
        }
        IssuerCode::Closed => NetworkRefusal::Withdrawn,
        IssuerCode::DetailsMismatch
        | IssuerCode::CodeWrong
        | IssuerCode::CodeExpired
        | IssuerCode::TooSoon
        | IssuerCode::TooMany
        | IssuerCode::Limit
        | IssuerCode::IdReused
        | IssuerCode::NotFound
        | IssuerCode::SignError
        | IssuerCode::BadRequest
        | IssuerCode::Other => NetworkRefusal::Refused,
    }
}
