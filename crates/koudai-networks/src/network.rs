//! One interface for the networks that reach people's money outside: what the wallet asks of any of them, and what it takes
//! their answers for. Each network has a folder that says how it is asked.
//!
//! No call is sent again in here. Whoever holds the intent decides when to ask again, always under the same number.

use std::fmt;

/// What a network's `impl` of the trait below is marked with.
pub use async_trait::async_trait;
pub use axum::http::HeaderMap;
use koudai_core::attempt::Outcome;
use koudai_core::binding::BankFace;
use koudai_core::id::AttemptId;
use koudai_core::money::Money;
/// Where a person is who pays at another wallet.
pub use koudai_core::other_wallet::Scene;
use koudai_core::reconcile::GRACE_MS;
use koudai_core::refusal::Refusal;
use koudai_core::rows::NetworkRefusal;
/// Which way money of a network's books went.
pub use koudai_core::rows::Way;
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;

/// The ways that other wallets opened.
pub use crate::inviting::{Invitation, Invitations};

/// The least time between two codes for one binding, in seconds.
pub const RESEND_GAP_S: u32 = 60;

/// When the wallet's number for money was made; `None` if it is none of those.
pub(crate) fn made_at(number: &str) -> Option<Timestamp> {
    AttemptId::parse(number).map(AttemptId::made_at)
}

/// What is known of money that was to move, after one call about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// How it ended, for good.
    Ended(Outcome),
    /// The network has it and has not decided. It answered; ask again.
    UnderWay,
    /// The network has nothing under this number. No proof that it never will: a call may still be on its way.
    NotThere,
    /// This call did nothing. An earlier one under the same number may have.
    NothingDone(NetworkRefusal),
    /// Nothing certain. Never a failure: ask again.
    Unknown,
}

/// What is known of a binding after one call about it.
#[derive(Debug)]
pub enum BindingIs {
    /// The network sent a code to the holder.
    CodeSent(BankFace),
    /// The holder agreed.
    Bound {
        /// What may be shown; `None` if it is as it said before.
        face: Option<BankFace>,
        /// Moves money from then on, either way.
        token: Secret<String>,
    },
    /// The code is wrong or too old, and another may be typed.
    CodeWrong,
    /// It is refused.
    Refused(Refusal),
    /// The network has nothing under this number.
    NotThere,
    /// No connection was made, so this call did nothing.
    NotSent,
    /// Nothing certain: ask again.
    Unknown,
}

/// What a network has to see of a card to bind it.
#[derive(Debug)]
pub struct CardDetails {
    /// Digits only, 12 to 19.
    pub number: Secret<String>,
    /// The holder's name.
    pub name: Secret<String>,
    /// The holder's resident ID number.
    pub id_number: Secret<String>,
    /// The phone known to the bank, digits only.
    pub phone: Secret<String>,
    /// `MM/YY`, of a credit card.
    pub expiry: Option<Secret<String>>,
    /// Three digits, of a credit card.
    pub cvv: Option<Secret<String>>,
}

/// Money to take from a holder, or to pay out to one.
#[derive(Debug)]
pub struct Move<'a> {
    /// The wallet's number for it.
    pub number: &'a str,
    /// From the binding. Of another wallet, what it knows the person by; empty if that is not known.
    pub token: Secret<String>,
    /// How much.
    pub amount: Money,
    /// What the holder reads on the statement, at most 120 characters.
    pub what_for: &'a str,
    /// Where the payer is, if they pay at another wallet by themselves.
    pub scene: Option<Scene>,
}

/// Where people are who pay at another wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a computer's browser, where a code is shown to be scanned.
    Computer,
    /// In a phone's browser, which a page takes to the app.
    Phone,
    /// Inside its app.
    Inside,
}

/// What people know another wallet by, and what it can do for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletFace {
    /// Its name in Chinese.
    pub zh: &'static str,
    /// Its name in English.
    pub en: &'static str,
    /// The app that people open for it, in Chinese.
    pub app_zh: &'static str,
    /// The app that people open for it, in English.
    pub app_en: &'static str,
    /// One of these stands in the `User-Agent` of its app, and in nobody else's.
    pub marks: &'static [&'static str],
    /// Where the contract lets people pay.
    pub places: Vec<Place>,
    /// Whether money can be paid out to a person who is known there.
    pub pays_out: bool,
    /// Whether who pays inside the app has to be known first: [`Network::who`].
    pub asks_who: bool,
    /// Whether it says who somebody is inside its app only.
    pub who_inside_only: bool,
}

/// What another wallet learnt of who came back from its own page.
#[derive(Debug)]
pub enum Who {
    /// What it knows this person by, in this contract.
    Is(Secret<String>),
    /// It does not know the code, or not any more.
    Refused,
    /// Nothing certain: have the person go there again.
    Unknown,
}

/// A notice as it came in: what is signed may stand in its headers.
#[derive(Clone, Copy, Debug)]
pub struct NoticeIn<'a> {
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
}

/// Money to give back.
#[derive(Clone, Copy, Debug)]
pub struct GiveBack<'a> {
    /// The wallet's number for it.
    pub number: &'a str,
    /// The number of the debit it is part of.
    pub debit: &'a str,
    /// The network's own number for that debit.
    pub debit_ref: &'a str,
    /// How much was debited.
    pub debited: Money,
    /// How much of it goes back.
    pub amount: Money,
}

/// A line of a network's books: money that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookEntry {
    /// Where in its books: rises from line to line, perhaps with gaps.
    pub no: i64,
    /// Which way.
    pub way: Way,
    /// The wallet's number for it.
    pub number: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// When, by the network's clock, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A network. Every number is the wallet's: 28 digits that stand for one intent for all time.
#[async_trait]
pub trait Network: fmt::Debug + Send + Sync {
    /// What operators know it by, in logs and at `/status`.
    fn name(&self) -> &str;

    /// Asks for a binding: the network checks the details and sends its code to the holder. Other wallets bind no cards.
    async fn bind(&self, _number: &str, _card: CardDetails) -> BindingIs {
        BindingIs::Refused(Refusal::BankRefused)
    }

    /// Has it send another code.
    async fn resend(&self, _number: &str) -> BindingIs {
        BindingIs::NotThere
    }

    /// Hands over the code the holder typed.
    async fn confirm(&self, _number: &str, _code: Secret<String>) -> BindingIs {
        BindingIs::NotThere
    }

    /// Asks where a binding stands.
    async fn binding(&self, _number: &str) -> BindingIs {
        BindingIs::NotThere
    }

    /// Gives a token back. A courtesy: the wallet keeps to it whatever comes of this.
    async fn unbind(&self, _token: Secret<String>) {}

    /// What people know it by if it is another wallet, where they pay by themselves. `None`: it holds cards.
    fn wallet(&self) -> Option<WalletFace> {
        None
    }

    /// The ways it opened to people who pay there by themselves. Other wallets have them.
    fn invitations(&self) -> Option<&Invitations> {
        None
    }

    /// The address of its page where a person lets this wallet know who they are there. It sends them to `back` with `state` and
    /// a code for [`Network::who`].
    fn ask_who_at(&self, _back: &str, _state: &str) -> Option<String> {
        None
    }

    /// Who came back from there with this code.
    async fn who(&self, _code: Secret<String>) -> Who {
        Who::Refused
    }

    /// Takes money. Another wallet is told to take it once its person agrees there: it answers `UnderWay`, and the way there is
    /// one of its [`Network::invitations`]. A repeat under the same number opens the same way again.
    async fn debit(&self, debit: Move<'_>) -> Moved;

    /// What a debit was to take, said before it is asked about: an answer about another amount is not believed.
    fn expects(&self, _number: &str, _amount: Money) {}

    /// Asks how a debit ended.
    async fn query_debit(&self, number: &str) -> Moved;

    /// Makes a debit final: as it ended, or never done from now on.
    async fn close_debit(&self, number: &str) -> Moved;

    /// Gives money of a debit back.
    async fn refund(&self, back: GiveBack<'_>) -> Moved;

    /// Asks how a refund ended.
    async fn query_refund(&self, back: GiveBack<'_>) -> Moved;

    /// Pays money out to a holder.
    async fn pay_out(&self, payout: Move<'_>) -> Moved;

    /// Asks how a payout ended.
    async fn query_pay_out(&self, number: &str) -> Moved;

    /// Makes a payout final: as it ended, or never done from now on.
    async fn close_pay_out(&self, number: &str) -> Moved;

    /// Lines of its books behind line `after`, oldest first, 0 for the beginning; none at the end. `None` if it did not answer.
    async fn books(&self, after: i64) -> Option<Vec<BookEntry>>;

    /// How long after a day in China has ended its books hold all of it, in milliseconds.
    fn books_after_ms(&self) -> i64 {
        GRACE_MS
    }

    /// Whether it answers at all.
    async fn answers(&self) -> bool;

    /// The number that a notice of its is about, if it sends notices and this is one. What the notice says besides counts for
    /// nothing: how the money went is asked.
    async fn read_notice(&self, _notice: NoticeIn<'_>) -> Option<String> {
        None
    }

    /// What it wants to hear once a notice was taken.
    fn notice_reply(&self) -> &'static str {
        "ok"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_when_it_was_made() {
        let at = Timestamp::parse_rfc3339("2026-11-25T23:59:59.999+08:00").unwrap();
        let number = AttemptId(at.0 << 21).wire();
        assert_eq!(made_at(&number), Some(at));
        let other = number.replacen('7', "6", 1);
        for bad in ["", "7000", &number[1..], &other, &"9".repeat(28)] {
            assert_eq!(made_at(bad), None, "{bad}");
        }
    }
}
