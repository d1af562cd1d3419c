//! Why a request was refused. For `match`, not for reading: the wording lives at the edges
//! (the wallet's catalogue and the gateway's error table), which map every variant.

use crate::money::Money;
use crate::time::Timestamp;

/// Why something a *person* asked for was refused. Nothing here means that money moved; an outcome that is not known
/// yet is a state of the payment and never a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    // Signing in.
    /// Not a mobile number this wallet serves.
    PhoneInvalid,
    /// A one-time code was asked for again too early.
    CodeTooSoon {
        /// Seconds until another may be asked for.
        wait_s: u32,
    },
    /// Too many codes were sent to this number in the hour or the day.
    TooManyCodes {
        /// Seconds until another may be asked for.
        wait_s: u32,
    },
    /// The one-time code is wrong.
    CodeWrong {
        /// Tries left before the code is void.
        tries_left: u8,
    },
    /// The one-time code is past its five minutes, used, void, or was never sent.
    CodeExpired,
    /// Not an e-mail address.
    EmailInvalid,
    /// The code was right, and no account has this e-mail address.
    EmailUnbound,
    /// Another account has this e-mail address.
    EmailTaken,
    /// This wallet sends no e-mail.
    EmailNotOffered,
    /// No such account, no password, or the wrong one (never says which).
    SignInWrong,
    /// Too much was wrong, for this account or from this place.
    SignInPaused {
        /// Seconds until it may be tried again.
        wait_s: u32,
    },
    /// The log-in password is too short or too long.
    LoginPasswordLength,
    /// The log-in password is one of those that are tried first.
    LoginPasswordCommon,
    /// The log-in password is the present one or one of the last.
    LoginPasswordReused,
    /// The passkey belongs to no account here, or not to this one.
    PasskeyUnknown,
    /// The passkey's answer does not count: too late, given before, or not signed as it has to be.
    PasskeyRefused,
    /// The passkey was not allowed to confirm payments.
    PasskeyMayNotPay,
    /// Ten passkeys are the most.
    TooManyPasskeys,
    /// Who it is has to be proved once more first.
    ProofNeeded,
    /// The second step is not right, or is none of those that were set up.
    SecondStepWrong,
    /// Too many second steps were wrong.
    SecondStepPaused {
        /// Seconds until it may be tried again.
        wait_s: u32,
    },
    /// The second step comes too late, or was not begun.
    SecondStepOver,
    /// Codes are a second step for who has an e-mail address only.
    SecondStepNeedsEmail,
    /// The e-mail address is needed as a second step.
    EmailIsSecondStep,
    /// Another account has this phone number, or this one has it.
    PhoneTaken,
    /// Not the present log-in password; counted.
    LoginPasswordWrong,
    /// Getting something back takes too long, or was not begun.
    RecoveryOver,
    /// Only by the phone is this got back: an address is not enough, with what the account has besides.
    RecoveryTakesPhone,
    /// The staff have to look at documents for this: nothing else that the account has would do.
    RecoveryTakesStaff,
    /// Not what freezes this account, or it was used, or it is past its day (never says which).
    FreezeWordWrong,
    /// Too much was tried from this place.
    FreezePaused {
        /// Seconds until it may be tried again.
        wait_s: u32,
    },
    /// The account is in the first part of a cool-down.
    CoolingDown {
        /// Until when.
        until: Timestamp,
    },
    /// More than is spent on a day of a cool-down.
    CoolSpendingReached {
        /// The most.
        most: Money,
        /// What is left of it today.
        left: Money,
        /// Until when.
        until: Timestamp,
    },
    /// More than is withdrawn to new cards on a day of a cool-down.
    CoolWithdrawalsReached {
        /// The most.
        most: Money,
        /// What is left of it today.
        left: Money,
        /// Until when.
        until: Timestamp,
    },
    /// There is no session, or it has ended.
    SignedOut,
    /// The account is frozen.
    AccountFrozen,

    // The payment password.
    /// A payment password must be set first.
    PaymentPasswordNotSet,
    /// One is set already; changing it asks for the old one.
    PaymentPasswordAlreadySet,
    /// Not six digits.
    PaymentPasswordMalformed,
    /// A run, a repeat, a date, or the end of the phone's or a card's number.
    PaymentPasswordWeak,
    /// The payment password is the present one or one of the last.
    PaymentPasswordReused,
    /// The two entries differ.
    PaymentPasswordsDiffer,
    /// Wrong, and counted.
    PaymentPasswordWrong {
        /// Tries left before the lock.
        tries_left: u8,
    },
    /// Locked after five wrong tries.
    PaymentPasswordLocked {
        /// When it may be tried again.
        until: Timestamp,
    },
    /// Locked for good after fifteen wrong tries in a row: it has to be reset.
    PaymentPasswordResetNeeded,
    /// Not the number of a card that this person has bound; counted.
    CardNumberNotYours,
    /// Too many card numbers were wrong.
    ResetPaused {
        /// Seconds until it may be tried again.
        wait_s: u32,
    },
    /// It was not proved, or too long ago, that whoever sets a new payment password is its holder.
    RenewalExpired,

    // Bank cards.
    /// Not a person's name.
    NameInvalid,
    /// The resident ID number fails its format, date or check digit.
    IdNumberInvalid,
    /// The holder is younger than the operator's minimum age.
    HolderTooYoung,
    /// The name and ID number are not those this account was verified with.
    NotTheSamePerson,
    /// The card number fails its length or check digit.
    CardNumberInvalid,
    /// No network here serves this card.
    CardUnsupported,
    /// The expiry is malformed or past.
    CardExpiryInvalid,
    /// The security code is not three digits.
    CardCvvInvalid,
    /// This account holds this card already.
    CardAlreadyBound,
    /// Another account holds this card.
    CardBoundElsewhere,
    /// Ten cards are the most.
    TooManyCards,
    /// Too many failed bindings today.
    TooManyBindings,
    /// The bank: name, ID number or phone do not match its record (never says which).
    CardDetailsMismatch,
    /// The bank: the card is lost, frozen or expired.
    CardNotUsable,
    /// The bank: the card is not opened for paying without it.
    CardNotOpened,
    /// The bank: its verification code was wrong.
    BankCodeWrong,
    /// The binding is over: its ten minutes have passed, or it has ended.
    BindingExpired,
    /// No such binding for this person.
    BindingUnknown,
    /// A withdrawal is on its way to the card.
    CardAwaitsMoney,
    /// No such card for this person, or it is no longer bound.
    CardUnknown,

    // Money.
    /// Not an amount of money.
    AmountInvalid,
    /// Outside what one top-up or withdrawal may be.
    AmountOutOfRange {
        /// The least that is allowed.
        least: Money,
        /// The most that is allowed.
        most: Money,
    },
    /// More than may be topped up on one day.
    DayTopUpsReached {
        /// The most a day.
        most: Money,
        /// What is left of it.
        left: Money,
    },
    /// More than may be withdrawn on one day.
    DayWithdrawalsReached {
        /// The most a day.
        most: Money,
        /// What is left of it.
        left: Money,
    },
    /// No more withdrawals on this day.
    TooManyWithdrawals {
        /// How many a day.
        most: u8,
    },
    /// Money is withdrawn to debit cards only.
    DebitCardsOnly,
    /// The withdrawal has been sent or has ended, so it cannot be taken back.
    WithdrawalSent,
    /// The operator's account at the network does not cover it at present.
    WithdrawalNotCovered,
    /// The balance does not cover the amount.
    InsufficientBalance {
        /// What is missing.
        short_by: Money,
    },
    /// The bank: not enough money on the card.
    CardInsufficientFunds,
    /// More than the bank or the holder lets the card pay.
    CardOverLimit,
    /// The bank refused without a reason a person could use.
    BankRefused,
    /// It was given up, or nobody agreed to it in time.
    NotCompleted,
    /// The other wallet cannot be reached, and nothing was sent.
    WalletUnavailable,
    /// The other wallet has no way to pay from where the person is.
    WalletNotHere,
    /// The other wallet has to be asked first who the person is there.
    WalletAsksWho,
    /// The other wallet did not say who the person is there.
    WalletDidNotSay,
    /// The other wallet: not enough money there.
    WalletInsufficientFunds,
    /// The other wallet: more than it lets the person pay.
    WalletOverLimit,
    /// The other wallet refused, and says why to its own people only.
    WalletRefused,
    /// The person has not linked their account at the other wallet.
    WalletNotLinked,
    /// The bank cannot be reached, and nothing was sent.
    BankUnavailable,

    // Codes and orders.
    /// No QR code could be read in the picture or text.
    CodeUnreadable,
    /// A code of somebody else.
    CodeNotOurs,
    /// The code's signature does not fit: it may have been swapped.
    CodeSwapped,
    /// The code is past its two hours.
    CodeStale,
    /// The merchant has taken the printed code down.
    CodeRevoked,
    /// More than may be paid by printed codes on one day from this source.
    DayStaticCodesReached {
        /// The most a day.
        most: Money,
        /// What is left of it.
        left: Money,
    },
    /// No more orders of printed codes on this day.
    TooManyStaticOrders {
        /// How many a day.
        most: u16,
    },
    /// No such order.
    OrderUnknown,
    /// The merchant closed the order.
    OrderClosed,
    /// The order is past the time to pay.
    OrderExpired,
    /// The order has been paid.
    OrderAlreadyPaid,
    /// The order is meant for one person, who is not this one.
    OrderForAnother,
    /// Somebody is paying this order right now, or this person is and the bank has not answered.
    OrderBeingPaid,
    /// The merchant has not enabled this way of taking payments.
    ProductNotEnabled,
    /// The merchant cannot take payments at present.
    MerchantSuspended,
    /// The cashier took the payment back.
    OrderReversed,
    /// Payment codes are not switched on.
    PayerCodeOff,

    // Coming from a merchant's page or app.
    /// What the merchant's page sent is incomplete, or its signature does not fit.
    CallUpInvalid,
    /// The link or call-up is past its time.
    CallUpStale,
    /// No app of this id asks to know people here.
    AppUnknown,
    /// The app's merchant has not registered the domain a person would be sent back to.
    DomainNotRegistered,

    // Transfers.
    /// No such transfer to this person.
    TransferUnknown,
    /// It was not received in time and went back to the merchant.
    TransferOverdue,
    /// The merchant took it back.
    TransferWithdrawn,

    // Requests.
    /// The same number was used with other content.
    NumberReused,
    /// No such record for this person.
    RecordUnknown,
    /// A field is missing or malformed.
    RequestMalformed,
    /// The request is larger than is accepted.
    RequestTooLarge,
    /// Not sent from this wallet's own page.
    ForeignOrigin,
    /// Too many requests at once; nothing was done.
    Busy,
    /// A fault of ours before anything was done.
    OutOfOrder,
}

impl Refusal {
    /// A stable code for programs and for staff, never renamed.
    #[expect(clippy::too_many_lines, reason = "one table, one line for each refusal")]
    pub const fn code(self) -> &'static str {
        match self {
            Self::PhoneInvalid => "PHONE_INVALID",
            Self::CodeTooSoon { .. } => "CODE_TOO_SOON",
            Self::TooManyCodes { .. } => "TOO_MANY_CODES",
            Self::CodeWrong { .. } => "CODE_WRONG",
            Self::CodeExpired => "CODE_EXPIRED",
            Self::EmailInvalid => "EMAIL_INVALID",
            Self::EmailUnbound => "EMAIL_UNBOUND",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::EmailNotOffered => "EMAIL_NOT_OFFERED",
            Self::SignInWrong => "SIGN_IN_WRONG",
            Self::SignInPaused { .. } => "SIGN_IN_PAUSED",
            Self::LoginPasswordLength => "LOGIN_PASSWORD_LENGTH",
            Self::LoginPasswordCommon => "LOGIN_PASSWORD_COMMON",
            Self::LoginPasswordReused => "LOGIN_PASSWORD_REUSED",
            Self::PasskeyUnknown => "PASSKEY_UNKNOWN",
            Self::PasskeyRefused => "PASSKEY_REFUSED",
            Self::PasskeyMayNotPay => "PASSKEY_MAY_NOT_PAY",
            Self::TooManyPasskeys => "TOO_MANY_PASSKEYS",
            Self::ProofNeeded => "PROOF_NEEDED",
            Self::SecondStepWrong => "SECOND_STEP_WRONG",
            Self::SecondStepPaused { .. } => "SECOND_STEP_PAUSED",
            Self::SecondStepOver => "SECOND_STEP_OVER",
            Self::SecondStepNeedsEmail => "SECOND_STEP_NEEDS_EMAIL",
            Self::EmailIsSecondStep => "EMAIL_IS_SECOND_STEP",
            Self::PhoneTaken => "PHONE_TAKEN",
            Self::LoginPasswordWrong => "LOGIN_PASSWORD_WRONG",
            Self::RecoveryOver => "RECOVERY_OVER",
            Self::RecoveryTakesPhone => "RECOVERY_TAKES_PHONE",
            Self::RecoveryTakesStaff => "RECOVERY_TAKES_STAFF",
            Self::FreezeWordWrong => "FREEZE_WORD_WRONG",
            Self::FreezePaused { .. } => "FREEZE_PAUSED",
            Self::CoolingDown { .. } => "COOLING_DOWN",
            Self::CoolSpendingReached { .. } => "COOL_SPENDING_REACHED",
            Self::CoolWithdrawalsReached { .. } => "COOL_WITHDRAWALS_REACHED",
            Self::SignedOut => "SIGNED_OUT",
            Self::AccountFrozen => "ACCOUNT_FROZEN",
            Self::PaymentPasswordNotSet => "PAYMENT_PASSWORD_NOT_SET",
            Self::PaymentPasswordAlreadySet => "PAYMENT_PASSWORD_ALREADY_SET",
            Self::PaymentPasswordMalformed => "PAYMENT_PASSWORD_MALFORMED",
            Self::PaymentPasswordWeak => "PAYMENT_PASSWORD_WEAK",
            Self::PaymentPasswordReused => "PAYMENT_PASSWORD_REUSED",
            Self::PaymentPasswordsDiffer => "PAYMENT_PASSWORDS_DIFFER",
            Self::PaymentPasswordWrong { .. } => "PAYMENT_PASSWORD_WRONG",
            Self::PaymentPasswordLocked { .. } => "PAYMENT_PASSWORD_LOCKED",
            Self::PaymentPasswordResetNeeded => "PAYMENT_PASSWORD_RESET_NEEDED",
            Self::CardNumberNotYours => "CARD_NUMBER_NOT_YOURS",
            Self::ResetPaused { .. } => "RESET_PAUSED",
            Self::RenewalExpired => "RENEWAL_EXPIRED",
            Self::NameInvalid => "NAME_INVALID",
            Self::IdNumberInvalid => "ID_NUMBER_INVALID",
            Self::HolderTooYoung => "HOLDER_TOO_YOUNG",
            Self::NotTheSamePerson => "NOT_THE_SAME_PERSON",
            Self::CardNumberInvalid => "CARD_NUMBER_INVALID",
            Self::CardUnsupported => "CARD_UNSUPPORTED",
            Self::CardExpiryInvalid => "CARD_EXPIRY_INVALID",
            Self::CardCvvInvalid => "CARD_CVV_INVALID",
            Self::CardAlreadyBound => "CARD_ALREADY_BOUND",
            Self::CardBoundElsewhere => "CARD_BOUND_ELSEWHERE",
            Self::TooManyCards => "TOO_MANY_CARDS",
            Self::TooManyBindings => "TOO_MANY_BINDINGS",
            Self::CardDetailsMismatch => "CARD_DETAILS_MISMATCH",
            Self::CardNotUsable => "CARD_NOT_USABLE",
            Self::CardNotOpened => "CARD_NOT_OPENED",
            Self::BankCodeWrong => "BANK_CODE_WRONG",
            Self::BindingExpired => "BINDING_EXPIRED",
            Self::BindingUnknown => "BINDING_UNKNOWN",
            Self::CardAwaitsMoney => "CARD_AWAITS_MONEY",
            Self::CardUnknown => "CARD_UNKNOWN",
            Self::AmountInvalid => "AMOUNT_INVALID",
            Self::AmountOutOfRange { .. } => "AMOUNT_OUT_OF_RANGE",
            Self::DayTopUpsReached { .. } => "DAY_TOP_UPS_REACHED",
            Self::DayWithdrawalsReached { .. } => "DAY_WITHDRAWALS_REACHED",
            Self::TooManyWithdrawals { .. } => "TOO_MANY_WITHDRAWALS",
            Self::DebitCardsOnly => "DEBIT_CARDS_ONLY",
            Self::WithdrawalSent => "WITHDRAWAL_SENT",
            Self::WithdrawalNotCovered => "WITHDRAWAL_NOT_COVERED",
            Self::InsufficientBalance { .. } => "INSUFFICIENT_BALANCE",
            Self::CardInsufficientFunds => "CARD_INSUFFICIENT_FUNDS",
            Self::CardOverLimit => "CARD_OVER_LIMIT",
            Self::BankRefused => "BANK_REFUSED",
            Self::NotCompleted => "NOT_COMPLETED",
            Self::WalletUnavailable => "WALLET_UNAVAILABLE",
            Self::WalletNotHere => "WALLET_NOT_HERE",
            Self::WalletAsksWho => "WALLET_ASKS_WHO",
            Self::WalletDidNotSay => "WALLET_DID_NOT_SAY",
            Self::WalletInsufficientFunds => "WALLET_INSUFFICIENT_FUNDS",
            Self::WalletOverLimit => "WALLET_OVER_LIMIT",
            Self::WalletRefused => "WALLET_REFUSED",
            Self::WalletNotLinked => "WALLET_NOT_LINKED",
            Self::BankUnavailable => "BANK_UNAVAILABLE",
            Self::CodeUnreadable => "CODE_UNREADABLE",
            Self::CodeNotOurs => "CODE_NOT_OURS",
            Self::CodeSwapped => "CODE_SWAPPED",
            Self::CodeStale => "CODE_STALE",
            Self::CodeRevoked => "CODE_REVOKED",
            Self::DayStaticCodesReached { .. } => "DAY_STATIC_CODES_REACHED",
            Self::TooManyStaticOrders { .. } => "TOO_MANY_STATIC_ORDERS",
            Self::OrderUnknown => "ORDER_UNKNOWN",
            Self::OrderClosed => "ORDER_CLOSED",
            Self::OrderExpired => "ORDER_EXPIRED",
            Self::OrderAlreadyPaid => "ORDER_ALREADY_PAID",
            Self::OrderForAnother => "ORDER_FOR_ANOTHER",
            Self::OrderBeingPaid => "ORDER_BEING_PAID",
            Self::ProductNotEnabled => "PRODUCT_NOT_ENABLED",
            Self::MerchantSuspended => "MERCHANT_SUSPENDED",
            Self::OrderReversed => "ORDER_REVERSED",
            Self::PayerCodeOff => "PAYER_CODE_OFF",
            Self::CallUpInvalid => "CALL_UP_INVALID",
            Self::CallUpStale => "CALL_UP_STALE",
            Self::AppUnknown => "APP_UNKNOWN",
            Self::DomainNotRegistered => "DOMAIN_NOT_REGISTERED",
            Self::TransferUnknown => "TRANSFER_UNKNOWN",
            Self::TransferOverdue => "TRANSFER_OVERDUE",
            Self::TransferWithdrawn => "TRANSFER_WITHDRAWN",
            Self::NumberReused => "NUMBER_REUSED",
            Self::RecordUnknown => "RECORD_UNKNOWN",
            Self::RequestMalformed => "REQUEST_MALFORMED",
            Self::RequestTooLarge => "REQUEST_TOO_LARGE",
            Self::ForeignOrigin => "FOREIGN_ORIGIN",
            Self::Busy => "BUSY",
            Self::OutOfOrder => "OUT_OF_ORDER",
        }
    }
}

/// Why something a *merchant's server* asked for was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MerchantRefusal {
    /// No such merchant, or it is closed.
    MerchantUnknown,
    /// The merchant is suspended.
    MerchantSuspended,
    /// The appid is not bound to the merchant.
    AppidMismatch,
    /// The product is not enabled for the merchant.
    ProductNotEnabled,
    /// The merchant's number stands for an order with other content.
    OutTradeNoUsed {
        /// The field that differs, as a JSON pointer.
        field: &'static str,
    },
    /// The order is paid.
    OrderPaid,
    /// The order is closed or past its time.
    OrderClosed,
    /// The payer's payment is under way: ask again.
    UserPaying,
    /// The order is meant for somebody who has no wallet here.
    PayerUnknown,
    /// No such order of this merchant.
    OrderUnknown,
    /// The order has not been paid, so there is nothing to refund.
    OrderNotPaid,
    /// No such refund of this merchant.
    RefundUnknown,
    /// The refund's number stands for a refund with other content.
    OutRefundNoUsed {
        /// The field that differs, as a JSON pointer.
        field: &'static str,
    },
    /// `amount.total` is not the order's total.
    RefundTotalMismatch,
    /// More than what is left of the order.
    RefundExceedsRest {
        /// What may still be refunded, in fen.
        rest_minor: i64,
    },
    /// The refund is not stuck at a bank, so there is nothing to decide about it.
    RefundNotAbnormal,
    /// The payer has no wallet here that a refund could go to.
    PayerHasNoWallet,
    /// The order has had its fifty refunds.
    TooManyRefunds,
    /// More than 365 days after the payment.
    RefundTooLate,
    /// The merchant's money does not cover the refund or transfer.
    NotEnoughFunds,
    /// No payer's code, or one that was used.
    AuthCodeInvalid,
    /// The payer's code is past its minute.
    AuthCodeExpired,
    /// The payer's balance or card does not cover a code payment.
    PayerShort,
    /// The payer's account is frozen.
    PayerFrozen,
    /// A code payment came to nothing: the payer or their bank refused, or the payer did not confirm in time.
    PaymentFailed,
    /// The order was reversed.
    OrderReversed,
    /// A code payment is not closed but reversed.
    OnlyReversed,
    /// Only a code payment is reversed.
    NotCodePayment,
    /// A code payment's outcome may still be on its way.
    ReverseTooSoon,
    /// The time in which a code payment may be reversed is over.
    ReverseTooLate,
    /// Part of the code payment was refunded; the rest is refunded too, not reversed.
    OrderRefunded,
    /// The merchant may not send money for this.
    SceneNotGranted,
    /// There is no such person.
    PayeeUnknown,
    /// From this amount on a transfer has to name its payee.
    PayeeNameNeeded {
        /// The amount, in fen.
        from_minor: i64,
    },
    /// No such transfer of this merchant.
    TransferUnknown,
    /// The transfer's number stands for a transfer with other content.
    OutBillNoUsed {
        /// The field that differs, as a JSON pointer.
        field: &'static str,
    },
    /// The transfer was received or has failed, so it cannot be taken back.
    TransferOver,
    /// The system has more work than it can take; nothing was done.
    Busy,
}
