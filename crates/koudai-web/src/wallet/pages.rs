//! What the pages show.
//!
//! Each page is one struct of plain data and one template of the same name in `templates/`. A handler fills the
//! struct and calls `render()` (from [`askama::Template`], re-exported here); it never builds text for people:
//!
//! - `l` is the reader's language. Wording lives in the templates and in [`crate::catalogue`]; data that comes in
//!   languages (a bank's name) is passed in the reader's.
//! - Money is [`Money`], moments are [`Timestamp`], masked things (`138****5678`, `**明`) come in masked: a page never
//!   receives what it must not show.
//! - A form that was refused is shown again with `refused: Some(Refused::new(..))` and the status of
//!   [`crate::catalogue::status`]. Fields worth keeping come back in the struct; secrets never do.
//! - Ids and tokens go into paths as they are, so they must be URL-safe (digits, letters, `-`, `_`).
//!
//! What a page needs of JavaScript it names in its `scripts` block. All pages work without: see `static/*.js`.

mod accounts;
mod apps;
mod cards;
mod codes;
mod info;
mod payments;
mod pieces;
mod records;
mod recovery;
mod security;
mod static_codes;
mod transfers;
mod two_steps;
mod withdrawals;

pub use accounts::{
    ChangePaymentPasswordPage, ForgotPaymentPasswordPage, HomePage, LoginPage, LoginWay, PaymentPasswordPage,
    RefundNotice,
};
pub use apps::{AppEndPage, AppLine, AppPage, AppsPage};
pub use askama::Template;
pub use cards::{
    BindingPage, BindingState, CardNewPage, CardPage, CardsPage, Holder, LeavingPage, Link, WalletLine,
    WalletPage,
};
pub use codes::{CodeOffPage, CodePage, CodeRequestPage, CodeResultPage, CodeState, LastCodePayment};
pub use info::{RefusalPage, StatusPage, TermsPage};
pub use koudai_core::card::CardKind;
pub use payments::{
    Confirming, How, LandingPage, Method, PayPage, PayResultPage, PayState, ReturningPage, ScanPage,
    TopUpPage, TopUpResultPage, TopUpState, Unusable, Way,
};
pub use pieces::{Amount, CardLine, Icon, Protected, Refused};
pub use records::{
    Direction, Event, MonthOfRecords, PageOfRecords, RecordKind, RecordLine, RecordPage, RecordState,
    RecordsPage,
};
pub use recovery::{
    FreezeBy, FreezePage, NewPhonePage, ProofWay, RecoverContactPage, RecoverDonePage, RecoverPage,
    RecoverPhonePage, RecoverProofPage, RecoveredPasswordPage,
};
pub use security::{
    EmailPage, LoginPasswordPage, PasskeyLine, PasskeyPage, PasskeysPage, ProofPage, SecurityPage,
};
pub use static_codes::{AppThatWorks, StaticAppsPage, StaticCodePage, StaticSheetPage};
pub use transfers::{TransferLine, TransferPage, TransferStanding, TransfersPage};
pub use two_steps::{AuthenticatorPage, RecoveryCodesPage, SecondStepPage, SecondWay, TwoStepsPage};
pub use withdrawals::{SpeedLine, WithdrawPage, WithdrawResultPage, WithdrawState};

#[cfg(doc)]
use koudai_core::{money::Money, time::Timestamp};
