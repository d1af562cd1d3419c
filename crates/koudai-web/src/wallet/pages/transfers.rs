//! What merchants send: the page of one transfer, and the list of those that wait.

use askama::Template;
use koudai_core::money::Money;
use koudai_core::time::Timestamp;

use super::pieces::{Icon, Refused, initial};
use super::records::Direction;
use crate::assets;
use crate::say::Lang;

/// A transfer that may be received, in a list.
#[derive(Clone, Debug)]
pub struct TransferLine {
    /// Its id in `/transfers/{id}`.
    pub id: String,
    /// Who sends it.
    pub merchant: String,
    /// What for, in the merchant's words.
    pub remark: String,
    /// How much.
    pub amount: Money,
    /// Until when it may be received.
    pub until: Timestamp,
}

impl TransferLine {
    fn initial(&self) -> String {
        initial(&self.merchant)
    }
}

/// `GET /transfers`: what may be received.
#[derive(Template)]
#[template(path = "transfers.html")]
pub struct TransfersPage {
    /// The reader's language.
    pub l: Lang,
    /// Oldest first.
    pub lines: Vec<TransferLine>,
}

/// `GET /transfers/{id}`, and a refused `POST`.
#[derive(Template)]
#[template(path = "transfer.html")]
pub struct TransferPage {
    /// The reader's language.
    pub l: Lang,
    /// The transfer.
    pub line: TransferLine,
    /// The reason, in the merchant's words.
    pub perception: Option<String>,
    /// The merchant's number of it.
    pub bill_no: String,
    /// How it stands.
    pub state: TransferStanding,
}

/// How a transfer stands for its payee.
pub enum TransferStanding {
    /// It may be received; or was refused just now, and may be once the reason is gone.
    Waiting(Option<Refused>),
    /// Received, then.
    Received(Timestamp),
    /// It cannot be received any more.
    Over(Refused),
}
