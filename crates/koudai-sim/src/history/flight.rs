//! Commands on their way, and what is known of those that had no answer.

use koudai_core::attempt::{AttemptUnknown, EndAttempt};
use koudai_core::id::{AttemptId, MchId, Seq};
use koudai_core::notice::{RecordRetry, RecordTold};
use koudai_core::order::PlaceOrder;
use koudai_core::payment::Pay;
use koudai_core::refund::RequestRefund;
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{Attempt, Order, Refund, Transfer, Withdrawal};
use koudai_core::state::Command;
use koudai_core::top_up::StartTopUp;
use koudai_core::transfer::{CancelTransfer, CloseOverdue, CreateTransfer, ReceiveTransfer};
use koudai_core::withdrawal::{CancelWithdrawal, SendWithdrawals, StartWithdrawal};
use koudai_engine::Failed;
use koudai_engine::by_hand::ByHand;
use tokio::sync::oneshot::error::TryRecvError;

/// What a command is about, by the simulation's own numbers of people and orders.
#[derive(Clone, Debug)]
pub(super) enum About {
    Place(usize),
    Pay { person: usize, order: usize, card: bool },
    Refund(usize),
    TopUp(usize),
    Transfer(usize),
    Receive(usize),
    Cancel(usize),
    CloseOverdue,
    Withdraw(usize),
    TakeBack(usize),
    SendDue,
    End(AttemptId),
    Unknown(AttemptId),
    Told(MchId),
    Retry(MchId, Seq),
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Order(Box<Order>),
    Refund(Box<Refund>),
    Attempt(Box<Attempt>),
    Transfer(Box<Transfer>),
    Withdrawal(Box<Withdrawal>),
    Done,
    Refused(Why),
    /// Nothing was done.
    Busy,
    /// Nobody will answer: it may have been done.
    Lost,
}

/// Why a command was refused, as far as the auditor can judge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The order is paid already.
    Paid,
    /// Another attempt holds the order.
    BeingPaid,
    /// It would give back more than is left.
    ExceedsRest(i64),
    /// Anything else.
    Other,
}

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OrderAlreadyPaid => Self::Paid,
            Refusal::OrderBeingPaid => Self::BeingPaid,
            _ => Self::Other,
        }
    }
}

impl From<MerchantRefusal> for Why {
    fn from(refusal: MerchantRefusal) -> Self {
        match refusal {
            MerchantRefusal::OrderPaid => Self::Paid,
            MerchantRefusal::RefundExceedsRest { rest_minor } => Self::ExceedsRest(rest_minor),
            _ => Self::Other,
        }
    }
}

/// A command on its way.
pub(super) struct Flight {
    pub(super) about: About,
    /// What came back.
    pub(super) said: Option<Said>,
    poll: Box<dyn FnMut() -> Option<Said>>,
}

impl Flight {
    /// Whether anything came back.
    pub(super) fn is_answered(&mut self) -> bool {
        if self.said.is_none() {
            self.said = (self.poll)();
        }
        self.said.is_some()
    }
}

/// A command whose answer the simulation understands.
pub(super) trait Known: Command {
    fn said(reply: Self::Reply) -> Said;
}

macro_rules! known {
    ($($command:ty: $reply:pat => $said:expr;)*) => {$(
        impl Known for $command {
            fn said($reply: Self::Reply) -> Said {
                $said
            }
        }
    )*};
}

known! {
    PlaceOrder: order => Said::Order(Box::new(order));
    Pay: order => Said::Order(Box::new(order));
    RequestRefund: (refund, _) => Said::Refund(Box::new(refund));
    StartTopUp: attempt => Said::Attempt(Box::new(attempt));
    EndAttempt: attempt => Said::Attempt(Box::new(attempt));
    CreateTransfer: transfer => Said::Transfer(Box::new(transfer));
    ReceiveTransfer: transfer => Said::Transfer(Box::new(transfer));
    CancelTransfer: transfer => Said::Transfer(Box::new(transfer));
    CloseOverdue: () => Said::Done;
    StartWithdrawal: withdrawal => Said::Withdrawal(Box::new(withdrawal));
    CancelWithdrawal: withdrawal => Said::Withdrawal(Box::new(withdrawal));
    SendWithdrawals: () => Said::Done;
    AttemptUnknown: () => Said::Done;
    RecordTold: () => Said::Done;
    RecordRetry: () => Said::Done;
}

/// Sends a command.
pub(super) fn send<C: Known>(engine: &ByHand, about: About, command: C) -> Flight
where
    Why: From<C::Refusal>,
{
    let mut answer = engine.send(command);
    let poll = move || match answer.try_recv() {
        Ok(Ok(reply)) => Some(C::said(reply)),
        Ok(Err(Failed::Refused(refusal))) => Some(Said::Refused(refusal.into())),
        Ok(Err(Failed::Busy)) => Some(Said::Busy),
        Ok(Err(Failed::Stopped)) | Err(TryRecvError::Closed) => Some(Said::Lost),
        Err(TryRecvError::Empty) => None,
    };
    Flight { about, said: None, poll: Box::new(poll) }
}
