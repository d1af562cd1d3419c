//! An issuer as one of the wallet's networks: its answers in the wallet's words.

use async_trait::async_trait;
use koudai_core::attempt::Outcome as Ended;
use koudai_core::binding::BankFace;
use koudai_core::card::CardKind;
use koudai_core::refusal::Refusal;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;

use super::client::{Answer, IssuerClient};
use super::wire::{
    self, BindRequest, BindingReply, BindingState, BookKind, BookLine, CardFace, DebitReply, IssuerCode,
    Outcome, PayoutReply, RefundReply,
};
use crate::network::{BindingIs, BookEntry, CardDetails, GiveBack, Move, Moved, Network, RESEND_GAP_S, Way};

#[async_trait]
impl Network for IssuerClient {
    fn name(&self) -> &str {
        self.operators_name()
    }

    async fn bind(&self, number: &str, card: CardDetails) -> BindingIs {
        let CardDetails { number: card_number, name, id_number, phone, expiry, cvv } = card;
        let binding_id = number.to_owned();
        let request = BindRequest { binding_id, card_number, name, id_number, phone, expiry, cvv };
        binding_is(Self::bind(self, &request).await)
    }

    async fn resend(&self, number: &str) -> BindingIs {
        binding_is(Self::resend(self, number).await)
    }

    async fn confirm(&self, number: &str, code: Secret<String>) -> BindingIs {
        binding_is(Self::confirm(self, number, code).await)
    }

    async fn binding(&self, number: &str) -> BindingIs {
        binding_is(Self::binding(self, number).await)
    }

    async fn unbind(&self, token: Secret<String>) {
        let _whatever_it_says = Self::unbind(self, token).await;
    }

    async fn debit(&self, debit: Move<'_>) -> Moved {
        let Move { number, token, amount, what_for, scene: _ } = debit;
        debited(Self::debit(self, number, token, amount, what_for).await)
    }

    async fn query_debit(&self, number: &str) -> Moved {
        debited(Self::query_debit(self, number).await)
    }

    async fn close_debit(&self, number: &str) -> Moved {
        debited(Self::close_debit(self, number).await)
    }

    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        refunded(Self::refund(self, back.number, back.debit, back.amount).await)
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        refunded(Self::query_refund(self, back.number).await)
    }

    async fn pay_out(&self, payout: Move<'_>) -> Moved {
        let Move { number, token, amount, what_for, scene: _ } = payout;
        paid_out(Self::pay_out(self, number, token, amount, what_for).await)
    }

    async fn query_pay_out(&self, number: &str) -> Moved {
        paid_out(Self::query_pay_out(self, number).await)
    }

    async fn close_pay_out(&self, number: &str) -> Moved {
        paid_out(Self::close_pay_out(self, number).await)
    }

    async fn books(&self, after: i64) -> Option<Vec<BookEntry>> {
        let Answer::Done(lines) = Self::books(self, after).await else { return None };
        Some(lines.into_iter().map(entry).collect())
    }

    /// Asks about a debit that never was: any answer shows that it is there.
    async fn answers(&self) -> bool {
        !matches!(Self::query_debit(self, "probe").await, Answer::NotSent | Answer::Unknown)
    }
}

fn entry(line: BookLine) -> BookEntry {
    let BookLine { no, kind, id, amount_minor, at_ms } = line;
    let way = match kind {
        BookKind::Debit => Way::In,
        BookKind::Refund => Way::Back,
        BookKind::Payout => Way::Out,
    };
    BookEntry { no, way, number: id, amount_minor, at_ms }
}

fn debited(answer: Answer<DebitReply>) -> Moved {
    moved(answer, |reply| (reply.outcome, reply.bank_ref))
}

fn refunded(answer: Answer<RefundReply>) -> Moved {
    moved(answer, |reply| (reply.outcome, reply.bank_ref))
}

fn paid_out(answer: Answer<PayoutReply>) -> Moved {
    moved(answer, |reply| (reply.outcome, reply.bank_ref))
}

fn moved<T>(answer: Answer<T>, read: impl FnOnce(T) -> (Outcome, String)) -> Moved {
    match answer {
        Answer::Done(reply) => match read(reply) {
            (Outcome::Succeeded, network_ref) => Moved::Ended(Ended::Succeeded { network_ref }),
            (Outcome::Refused { code }, _) => Moved::Ended(Ended::Failed(money_refusal(code))),
        },
        Answer::Refused { code: IssuerCode::NotFound, .. } => Moved::NotThere,
        // Its clock or ours is wrong, or a key: that says nothing of the money.
        Answer::Refused { code: IssuerCode::SignError, .. } | Answer::Unknown => Moved::Unknown,
        Answer::Refused { code, .. } => Moved::NothingDone(money_refusal(code)),
        Answer::NotSent => Moved::NothingDone(NetworkRefusal::Unavailable),
    }
}

/// A bank's reason, folded to what a person can act on.
const fn money_refusal(code: IssuerCode) -> NetworkRefusal {
    match code {
        IssuerCode::InsufficientFunds => NetworkRefusal::InsufficientFunds,
        IssuerCode::Limit => NetworkRefusal::OverLimit,
        IssuerCode::CardFrozen | IssuerCode::TokenUnknown | IssuerCode::CardUnknown => {
            NetworkRefusal::CardNotUsable
        }
        IssuerCode::NotCovered => NetworkRefusal::NotCovered,
        IssuerCode::Closed => NetworkRefusal::Withdrawn,
        IssuerCode::DetailsMismatch
        | IssuerCode::CodeWrong
        | IssuerCode::CodeExpired
        | IssuerCode::TooSoon
        | IssuerCode::TooMany
        | IssuerCode::IdReused
        | IssuerCode::NotFound
        | IssuerCode::SignError
        | IssuerCode::AppSuspended
        | IssuerCode::BadRequest
        | IssuerCode::Other => NetworkRefusal::Refused,
    }
}

fn binding_is(answer: Answer<BindingReply>) -> BindingIs {
    match answer {
        Answer::Done(reply) => match reply.state {
            BindingState::CodeSent(card) => BindingIs::CodeSent(face(card)),
            BindingState::Bound { token, card } => BindingIs::Bound { face: Some(face(card)), token },
            BindingState::Failed { code } => BindingIs::Refused(binding_refusal(code)),
        },
        // After the last try the binding is over.
        Answer::Refused { code: IssuerCode::CodeWrong, tries_left: Some(0) } => {
            BindingIs::Refused(Refusal::BankCodeWrong)
        }
        Answer::Refused { code: IssuerCode::CodeWrong | IssuerCode::CodeExpired, .. } => BindingIs::CodeWrong,
        Answer::Refused { code: IssuerCode::NotFound, .. } => BindingIs::NotThere,
        // Its clock or ours is wrong, or a key: that says nothing of the binding.
        Answer::Refused { code: IssuerCode::SignError, .. } | Answer::Unknown => BindingIs::Unknown,
        Answer::Refused { code, .. } => BindingIs::Refused(binding_refusal(code)),
        Answer::NotSent => BindingIs::NotSent,
    }
}

fn face(card: CardFace) -> BankFace {
    let kind = match card.kind {
        wire::CardKind::Debit => CardKind::Debit,
        wire::CardKind::Credit => CardKind::Credit,
    };
    BankFace { bank_zh: card.bank_name_zh, bank_en: card.bank_name_en, kind }
}

const fn binding_refusal(code: IssuerCode) -> Refusal {
    match code {
        IssuerCode::DetailsMismatch => Refusal::CardDetailsMismatch,
        IssuerCode::CardUnknown => Refusal::CardUnsupported,
        IssuerCode::CardFrozen => Refusal::CardNotUsable,
        IssuerCode::CodeWrong | IssuerCode::CodeExpired => Refusal::BankCodeWrong,
        IssuerCode::TooMany => Refusal::TooManyBindings,
        IssuerCode::TooSoon => Refusal::CodeTooSoon { wait_s: RESEND_GAP_S },
        IssuerCode::Closed | IssuerCode::NotFound => Refusal::BindingExpired,
        IssuerCode::InsufficientFunds
        | IssuerCode::NotCovered
        | IssuerCode::TokenUnknown
        | IssuerCode::Limit
        | IssuerCode::IdReused
        | IssuerCode::SignError
        | IssuerCode::AppSuspended
        | IssuerCode::BadRequest
        | IssuerCode::Other => Refusal::BankRefused,
    }
}
