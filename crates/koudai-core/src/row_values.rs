//! What rows are keyed by where one number is not enough, and what stands in them in words. `rows` gives them on.

use crate::column::{compound_key, worded};
use crate::id::{IssuingAppId, MchId, PersonId, Seq};
use crate::identity::Contact;
use crate::ledger::NetworkId;

compound_key! {
    /// A number a person's device chose for one request of theirs.
    ClientNumber {
        /// Whose number it is.
        person: PersonId,
        /// 8 to 40 letters, digits, `-` and `_`.
        number: String,
    }
}

compound_key! {
    /// A merchant's own number for an order.
    OutTradeNo {
        /// The merchant.
        mchid: MchId,
        /// 6 to 32 letters, digits and `_-|*`.
        out_trade_no: String,
    }
}

compound_key! {
    /// A merchant's own number for a refund.
    OutRefundNo {
        /// The merchant.
        mchid: MchId,
        /// 1 to 64 letters, digits and `_-|*@`.
        out_refund_no: String,
    }
}

compound_key! {
    /// A merchant's own number for a transfer.
    OutBillNo {
        /// The merchant.
        mchid: MchId,
        /// 1 to 32 letters and digits.
        out_bill_no: String,
    }
}

compound_key! {
    /// One certificate of a merchant.
    CertificateKey {
        /// The merchant.
        mchid: MchId,
        /// Upper-case hex without leading zeros.
        serial: String,
    }
}

compound_key! {
    /// One event a merchant could not be told at the first attempt.
    NoticeKey {
        /// The merchant.
        mchid: MchId,
        /// The journal that is the event.
        seq: Seq,
    }
}

compound_key! {
    /// A place in a merchant's log of deliveries.
    DeliveryKey {
        /// The merchant.
        mchid: MchId,
        /// Its places are taken in turn, those of failed deliveries apart from the others (`notice::RING`).
        slot: u16,
    }
}

compound_key! {
    /// Where a code is sent and what it is for.
    CodeKey {
        /// The phone or the e-mail address.
        contact: Contact,
        /// What the code allows.
        purpose: CodePurpose,
    }
}

worded! {
    /// What a one-time code allows.
    CodePurpose {
        /// To sign in, and to register by it.
        SignIn = "sign_in",
        /// To let an app take money from an account.
        Agreement = "agreement",
        /// To change something of the account that is to be changed by nobody else.
        Proof = "proof",
        /// To have an e-mail address belong to the account.
        NewEmail = "new_email",
        /// To set a new payment password without the present one.
        PaymentPassword = "payment_password",
        /// To be the second of two steps.
        SecondStep = "second_step",
        /// To set a new log-in password without the present one.
        Recovery = "recovery",
        /// To have a phone number belong to the account.
        NewPhone = "new_phone",
        /// To freeze an account at once: what goes to whoever is told of a change.
        Freeze = "freeze",
    }
}

worded! {
    /// What the holder of an account is told of.
    AccountChange {
        /// Somebody signed in on a device that was not signed in on before.
        NewDevice = "new_device",
        /// Another phone number.
        Phone = "phone",
        /// An e-mail address, the first or another.
        Email = "email",
        /// No e-mail address any more.
        EmailRemoved = "email_removed",
        /// Another log-in password, or the first.
        LoginPassword = "login_password",
        /// No log-in password any more.
        LoginPasswordRemoved = "login_password_removed",
        /// Somebody who had forgotten the log-in password set another.
        LoginPasswordRecovered = "login_password_recovered",
        /// Another payment password.
        PaymentPassword = "payment_password",
        /// Somebody proved that they may set another payment password without the present one.
        PaymentPasswordForgotten = "payment_password_forgotten",
        /// Another second step, or the first.
        SecondStep = "second_step",
        /// A second step that is none any more.
        SecondStepRemoved = "second_step_removed",
        /// A recovery code was used in the place of the second step.
        RecoveryCodeUsed = "recovery_code_used",
        /// New recovery codes.
        RecoveryCodes = "recovery_codes",
        /// Another passkey.
        Passkey = "passkey",
        /// A passkey less.
        PasskeyRemoved = "passkey_removed",
        /// A passkey may confirm payments.
        PasskeyPays = "passkey_pays",
    }
}

worded! {
    /// What somebody who cannot sign in gets back.
    RecoveryOf {
        /// A new log-in password in the place of one that was forgotten.
        LoginPassword = "login_password",
        /// Another phone number in the place of one that was lost.
        Phone = "phone",
    }
}

worded! {
    /// A language that messages are written in.
    Language {
        /// Chinese.
        Zh = "zh",
        /// English.
        En = "en",
    }
}

worded! {
    /// How a passkey signs (names of COSE, RFC 9053).
    PasskeyAlgorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
    }
}

compound_key! {
    /// An app's number for a binding.
    AgreementKey {
        /// The app.
        app: IssuingAppId,
        /// 1 to 40 letters, digits, `-` and `_`.
        binding: String,
    }
}

compound_key! {
    /// An app, and a holder whose account it may take money from.
    HolderKey {
        /// The app.
        app: IssuingAppId,
        /// The holder.
        person: PersonId,
    }
}

compound_key! {
    /// An app's number for a movement of money.
    AppMoveKey {
        /// The app.
        app: IssuingAppId,
        /// Each kind has numbers of its own.
        kind: AppMoveKind,
        /// 1 to 40 letters, digits, `-` and `_`.
        number: String,
    }
}

worded! {
    /// Which way money moves between a holder and an app.
    AppMoveKind {
        /// From the holder to the app.
        Debit = "debit",
        /// Of a debit, back to the holder.
        Refund = "refund",
        /// From the app to the holder.
        Payout = "payout",
    }
}

worded! {
    /// How far a holder's consent is.
    AgreementState {
        /// The holder was sent a code.
        CodeSent = "code_sent",
        /// The app may take money.
        Bound = "bound",
        /// It came to nothing.
        Refused = "refused",
        /// The app or the holder ended it.
        Ended = "ended",
    }
}

worded! {
    /// Why an app is declined for good, under the number it asked with.
    Declined {
        /// No account of this operator's has the number.
        AccountUnknown = "account_unknown",
        /// Name, ID number or phone are not the holder's.
        DetailsMismatch = "details_mismatch",
        /// The account is frozen.
        Frozen = "frozen",
        /// The balance does not cover it.
        InsufficientFunds = "insufficient_funds",
        /// There is no such token, or the agreement has ended.
        TokenUnknown = "token_unknown",
        /// More than the holder lets the app take, or than is left of a debit.
        Limit = "limit",
        /// The app's account does not cover a payout.
        NotCovered = "not_covered",
        /// It was closed before it arrived.
        Closed = "closed",
    }
}

worded! {
    /// How far an order is.
    OrderState {
        /// Nobody has paid.
        Unpaid = "unpaid",
        /// A card payment is under way; the order takes no other until it ends.
        Paying = "paying",
        /// Paid; whether some of it was refunded stands beside it.
        Paid = "paid",
        /// Closed by the merchant. An order past its time is closed too, by the clock and without a write.
        Closed = "closed",
        /// A code payment that its payer is asked about on their phone. Past its time it has failed, by the clock and without
        /// a write.
        Confirming = "confirming",
        /// A code payment that came to nothing.
        Failed = "failed",
        /// A code payment taken back for good; whether it had been paid stands beside it.
        Reversed = "reversed",
    }
}

worded! {
    /// What a merchant may use: how its orders are brought to the payer, and transfers.
    Product {
        /// The merchant shows a code.
        Native = "native",
        /// Inside the wallet's browser.
        Jsapi = "jsapi",
        /// From a merchant's app.
        App = "app",
        /// From a phone's browser.
        H5 = "h5",
        /// The payer shows a code.
        CodePay = "codepay",
        /// The merchant has put up a printed code.
        Static = "static",
        /// Money to a person; no order is brought this way.
        Transfer = "transfer",
    }
}

worded! {
    /// How far a transfer is.
    TransferState {
        /// The merchant's money is held until the payee receives it.
        Waiting = "waiting",
        /// Received.
        Received = "received",
        /// It did not come about, and the merchant has its money.
        Failed = "failed",
        /// The merchant took it back.
        Cancelled = "cancelled",
    }
}

worded! {
    /// Why a transfer did not come about.
    TransferFailure {
        /// The payee's account is frozen.
        PayeeFrozen = "payee_frozen",
        /// A name was given and the payee has not proven theirs.
        PayeeUnproven = "payee_unproven",
        /// The name given is not the payee's.
        NameWrong = "name_wrong",
        /// The payee did not receive it in time.
        Overdue = "overdue",
        /// The merchant took it back.
        Withdrawn = "withdrawn",
    }
}

worded! {
    /// How far a refund is.
    RefundState {
        /// On its way to the card.
        Processing = "processing",
        /// Arrived.
        Success = "success",
        /// The bank refused it for good; the money waits for a decision.
        Abnormal = "abnormal",
    }
}

worded! {
    /// Where the money of a refund goes.
    RefundWay {
        /// Back the way it came.
        Original = "original",
        /// To the payer's balance, since the bank refused it for good.
        Balance = "balance",
        /// Back to the merchant, who pays the payer by other means, since the bank refused it for good.
        Merchant = "merchant",
    }
}

worded! {
    /// What a call to a network is to do.
    AttemptKind {
        /// Debit a card and credit the person's balance.
        TopUp = "top_up",
        /// Debit a card and credit the order's merchant.
        CardPayment = "card_payment",
        /// Credit a card from a merchant's money.
        CardRefund = "card_refund",
        /// Credit a card from its holder's balance.
        Payout = "payout",
    }
}

worded! {
    /// How a call to a network stands. An answer that has not come is `Open`: unknown is not failed.
    AttemptState {
        /// Recorded, perhaps sent; the outcome is not known.
        Open = "open",
        /// The network did it.
        Succeeded = "succeeded",
        /// The network did not and will not do it.
        Failed = "failed",
    }
}

worded! {
    /// Why a network did not do something, folded to what a person can act on.
    NetworkRefusal {
        /// Not enough money on the card.
        InsufficientFunds = "insufficient_funds",
        /// More than the bank or the holder lets the card pay.
        OverLimit = "over_limit",
        /// The card is lost, frozen, expired or unbound at the bank.
        CardNotUsable = "card_not_usable",
        /// The network could not be reached, and nothing was sent.
        Unavailable = "unavailable",
        /// The operator's account there does not cover it.
        NotCovered = "not_covered",
        /// It was withdrawn before the bank did it.
        Withdrawn = "withdrawn",
        /// Anything else.
        Refused = "refused",
    }
}

worded! {
    /// When a withdrawal is sent.
    Speed {
        /// At once.
        RealTime = "real_time",
        /// A day after it was asked for.
        NextDay = "next_day",
    }
}

worded! {
    /// How far a withdrawal is.
    WithdrawalState {
        /// Its money is held, and it has not left.
        Waiting = "waiting",
        /// The network is being asked to pay it out.
        Sending = "sending",
        /// It is at the card.
        Paid = "paid",
        /// It came to nothing, and the person has all of it back.
        Failed = "failed",
        /// The person took it back.
        Cancelled = "cancelled",
    }
}

worded! {
    /// How far the binding of a card is.
    BindingState {
        /// Recorded; the bank has not said that it sent a code.
        Asked = "asked",
        /// The bank sent its code.
        CodeSent = "code_sent",
        /// Bound.
        Bound = "bound",
        /// Over without a card.
        Failed = "failed",
    }
}

worded! {
    /// What came of one try at telling a merchant.
    DeliveryOutcome {
        /// The merchant took it.
        Answered = "answered",
        /// It answered something else.
        Status = "status",
        /// Its address may not be connected to.
        NotAllowed = "not_allowed",
        /// Its name was not found.
        NotFound = "dns",
        /// No connection was made.
        Unreachable = "connect",
        /// It could not prove who it is.
        Untrusted = "tls",
        /// It did not answer in time.
        NoAnswer = "timeout",
        /// The connection broke off before an answer.
        Broken = "broken",
    }
}

worded! {
    /// What one of the operator's staff may do.
    StaffRole {
        /// Everything, the staff included.
        Owner = "owner",
        /// Settlement and reconciliation.
        Finance = "finance",
        /// Customers' cases.
        Service = "service",
        /// Merchants' set-up.
        Merchants = "merchants",
        /// Looks, changes nothing.
        Auditor = "auditor",
    }
}

worded! {
    /// Which way money of a network's books went.
    Way {
        /// From the holder to the operator.
        In = "in",
        /// Of a debit, back to the holder.
        Back = "back",
        /// From the operator to the holder.
        Out = "out",
    }
}

compound_key! {
    /// A line of a network's books.
    StatementKey {
        /// The network.
        network: NetworkId,
        /// Where in its books.
        no: i64,
    }
}

compound_key! {
    /// A network and a day in China.
    DayKey {
        /// The network.
        network: NetworkId,
        /// The day, as `Timestamp::china_day` counts.
        day: i64,
    }
}

compound_key! {
    /// A number that a network's books and ours are compared by.
    DifferenceKey {
        /// The network.
        network: NetworkId,
        /// The number.
        number: String,
    }
}

worded! {
    /// How far the comparison of a day is.
    ReconciliationState {
        /// Compared, and every outcome was known to us.
        Done = "done",
        /// Compared, but for numbers whose outcome we do not know yet. It is run again.
        Waiting = "waiting",
        /// Lines of the day arrived since. It is run again.
        Stale = "stale",
    }
}

worded! {
    /// In which way a network's books and ours do not say the same of a number.
    DifferenceClass {
        /// They have it, we have not.
        Long = "LONG",
        /// We have it, they have not.
        Short = "SHORT",
        /// Another amount.
        Amount = "AMOUNT",
        /// They moved it and we have it as failed, or it went another way.
        Status = "STATUS",
        /// The same on another day.
        DateCut = "DATE_CUT",
        /// They have it more than once.
        Dup = "DUP",
    }
}

worded! {
    /// What became of a difference.
    DifferenceState {
        /// Nobody knows why.
        Open = "open",
        /// Looked at again it was none, or no money of it differed.
        Explained = "explained",
        /// A journal of its own answered it.
        Adjusted = "adjusted",
    }
}
