//! Every row of the wallet, each declared once: its fields, its columns and what it is found by.
//!
//! A field with a natural unique number (a phone, an `out_trade_no`) has a table of its own that is keyed by it.
//! Source and derived rows are marked; no row is both.

use std::sync::Arc;

use crate::card::CardKind;
use crate::code_payment::CodeFailure;
use crate::column::{Cells, Column, Fields, Row, Shape, Value};
use crate::declaring::rows;
use crate::id::{
    AgreementId, AppMoveId, AttemptId, BindingId, CardId, IssuingAppId, MchId, OrderId, PersonId, RefundId,
    Seq, StaffId, TransferId, WithdrawalId,
};
use crate::identity::{Email, Phone};
use crate::ledger::{AccountId, NetworkId};
use crate::money::{Currency, Money};
use crate::other_wallet::Scene;
use crate::time::Timestamp;

mod reconciliation;
mod sign_in;
mod static_codes;

pub use crate::row_values::*;
pub use reconciliation::*;
pub use sign_in::*;
pub use static_codes::*;

rows! {
    elsewhere {
        StatementLine in statement_line as statement_line,
        StatementCursor in statement_cursor as statement_cursor,
        Reconciliation in reconciliation as reconciliation,
        Difference in difference as difference,
        DifferenceNumber in difference_number as difference_number,
        StaticCode in static_code as static_code,
        Guest in guest as guest,
        StaticTally in static_tally as static_tally,
        PhoneOwner in phone_owner as phone_owner,
        EmailOwner in email_owner as email_owner,
        Session in session as session,
        Device in device as device,
        OneTimeCode in sent_code as one_time_code,
        Message in outgoing_message as message,
        LoginPassword in login_password as login_password,
        Passkey in passkey as passkey,
        UsedChallenge in used_challenge as used_challenge,
        HalfSession in half_session as half_session,
        SecondStep in second_step as second_step,
        Allowance in allowance as allowance,
        SignIns in sign_ins as sign_ins,
        FreezeRight in freeze_right as freeze_right,
        Recovery in recovery as recovery,
        CoolTally in cool_tally as cool_tally,
    }

    /// A person with a wallet. Source.
    Person in person as person kept true {
        /// The person.
        id: PersonId,
        /// The phone they sign in by.
        phone: Phone,
        /// When they registered.
        created_at: Timestamp,
        /// Whether staff or the person froze the account.
        frozen: bool,
        /// How many cards are bound.
        cards: u8,
        /// Bindings begun on `failed_bindings_day` that have not ended in a card.
        failed_bindings: u8,
        /// The day in China that `failed_bindings` counts.
        failed_bindings_day: i64,
        /// The e-mail address they have confirmed, by which they sign in too.
        email: Option<Email>,
        /// How many passkeys they have.
        passkeys: u8,
        /// Until when the first part of a cool-down lasts, or lasted; the beginning of time if there never was one.
        cool_until: Timestamp,
    }

    /// Who a person is, as first proven by a bank: masks for the screen, a keyed hash to compare, and the name and
    /// number themselves only sealed, for the next bank that has to be shown them. Source.
    Identity in identity as identity {
        /// The person.
        person: PersonId,
        /// HMAC of name and ID number.
        mac: [u8; 32],
        /// `**明`.
        name_masked: String,
        /// `1****************X`.
        id_number_masked: String,
        /// Name and ID number, sealed by the shell.
        sealed: Vec<u8>,
        /// When it was proven.
        proven_at: Timestamp,
    }

    /// A person's payment password, as a keyed MAC, with its tries. Source.
    PaymentPassword in payment_password as payment_password kept true {
        /// The person.
        person: PersonId,
        /// Random. It stays when the password changes, so that one that was used before is known.
        salt: [u8; 16],
        /// HMAC under the operator's key.
        mac: [u8; 32],
        /// Wrong tries in a row, locks included.
        wrong: u8,
        /// No try is taken before this moment.
        locked_until: Timestamp,
        /// When it was last set.
        set_at: Timestamp,
        /// The MACs of the ones before, 32 bytes each, the newest first.
        earlier: Vec<u8>,
    }

    /// A card bound to a wallet, of whose number only the ends are kept, or what its holder has at another wallet. Source.
    Card in card as card kept true {
        /// The card.
        id: CardId,
        /// Whose it is.
        person: PersonId,
        /// The network that reaches its bank.
        network: NetworkId,
        /// Keyed hash of the number, to find a second binding of the same card.
        number_mac: [u8; 32],
        /// The bank, in Chinese.
        bank_zh: String,
        /// The bank, in English.
        bank_en: String,
        /// Debit, credit, or an account at another wallet.
        kind: CardKind,
        /// The first six digits; none of another wallet's.
        bin: String,
        /// The last four digits; none of another wallet's.
        last4: String,
        /// The network's token for it, sealed by the shell; empty until another wallet's holder has let it be known.
        token_sealed: Vec<u8>,
        /// When it was bound.
        bound_at: Timestamp,
        /// When it was removed; refunds still find it.
        removed_at: Option<Timestamp>,
        /// How many withdrawals are on their way to it.
        withdrawals: u32,
    }

    /// Who holds a card number at present. Source.
    CardOwner in card_owner as card_owner {
        /// Keyed hash of the number.
        number_mac: [u8; 32],
        /// Its holder.
        person: PersonId,
        /// Their card; `None` once removed.
        card: Option<CardId>,
    }

    /// The binding of a card, from intent to outcome. Source.
    Binding in binding as binding {
        /// The binding, and its number at the bank.
        id: BindingId,
        /// Who binds.
        person: PersonId,
        /// The device's number for it.
        number: String,
        /// The network asked.
        network: NetworkId,
        /// Keyed hash of the card number.
        number_mac: [u8; 32],
        /// The first six digits.
        bin: String,
        /// The last four digits.
        last4: String,
        /// HMAC of name and ID number.
        identity_mac: [u8; 32],
        /// `**明`.
        name_masked: String,
        /// `1****************X`.
        id_number_masked: String,
        /// Name and ID number, sealed by the shell.
        identity_sealed: Vec<u8>,
        /// Where the bank's code goes: `138****8000`.
        phone_masked: String,
        /// The bank, in Chinese; empty until it has answered.
        bank_zh: String,
        /// The bank, in English; empty until it has answered.
        bank_en: String,
        /// Debit or credit as the person said.
        kind: CardKind,
        /// How far it is.
        state: BindingState,
        /// Why it failed, as the stable code of a refusal.
        refusal: Option<String>,
        /// The card, once bound.
        card: Option<CardId>,
        /// When it began.
        created_at: Timestamp,
        /// When it ends by itself.
        expires_at: Timestamp,
    }

    /// A device's number for a binding. Source.
    BindingNumber in binding_number as binding_number {
        /// Person and number.
        key: ClientNumber,
        /// The binding.
        binding: BindingId,
    }

    /// A merchant. Source.
    Merchant in merchant as merchant kept true {
        /// The merchant's number.
        mchid: MchId,
        /// As payers read it.
        name: String,
        /// The app its orders name.
        appid: String,
        /// The products it may use, words of `Product` separated by blanks.
        products: String,
        /// Takes no payments.
        suspended: bool,
        /// What it pays on each payment, in parts per million. Bills print it: one that may change needs the days it was true on.
        fee_ppm: u32,
        /// Its APIv3 key, sealed by the shell.
        apiv3_key_sealed: Vec<u8>,
        /// Whether the public key signs for it by default, instead of the platform certificate.
        public_key_mode: bool,
        /// Domains H5 payments may return to, separated by blanks.
        h5_domains: String,
        /// When it was created.
        created_at: Timestamp,
        /// What it may send people money for: numbers of scenes separated by blanks. Shared by every payment.
        transfer_scenes: Arc<str>,
    }

    /// The merchant an app belongs to. Source.
    App in app as app kept true {
        /// The appid.
        appid: String,
        /// Its merchant.
        mchid: MchId,
        /// Keyed hash of the secret its server shows to learn who a person is; `None` until one is made.
        secret_mac: Option<[u8; 32]>,
    }

    /// A login code that an app has used; deleted some time after it expired. Codes themselves are sealed and stored
    /// nowhere. Source.
    UsedLoginCode in used_login_code as used_login_code {
        /// The moment it expires, and 80 random bits.
        token: [u8; 16],
        /// Until when the code would have been good.
        expires_at: Timestamp,
    }

    /// The number the next merchant gets. Source.
    MerchantCount in merchant_count as merchant_count {
        /// Always 1.
        id: i64,
        /// The next number.
        next: MchId,
    }

    /// A certificate a merchant signs with. Source.
    MerchantCertificate in merchant_certificate as merchant_certificate kept true {
        /// Merchant and serial.
        key: CertificateKey,
        /// The certificate.
        pem: String,
        /// From when it is accepted.
        not_before: Timestamp,
        /// Until when it is accepted.
        not_after: Timestamp,
        /// When it was withdrawn.
        revoked_at: Option<Timestamp>,
    }

    /// How a merchant wants its bills; without a row, as the protocol has them. Source.
    MerchantBills in merchant_bills as merchant_bills {
        /// The merchant.
        mchid: MchId,
        /// Whether a day on which nothing happened has a bill all the same.
        empty: bool,
    }

    /// A merchant's order: what was asked for and the code that stands for it, and how far it has come. Source.
    Order in trade_order as order {
        /// The order; once paid, the protocol's `transaction_id`.
        id: OrderId,
        /// The merchant.
        mchid: MchId,
        /// The app it came from.
        appid: Arc<str>,
        /// The merchant's number.
        out_trade_no: Arc<str>,
        /// How it is brought to the payer.
        product: Product,
        /// What the payer reads.
        description: Arc<str>,
        /// What the merchant gets back.
        attach: Option<Arc<str>>,
        /// Where the merchant is told.
        notify_url: Arc<str>,
        /// For coupons.
        goods_tag: Option<Arc<str>>,
        /// As sent, in compact JSON.
        detail: Option<Arc<str>>,
        /// As sent, in compact JSON.
        scene_info: Option<Arc<str>>,
        /// As sent, in compact JSON.
        settle_info: Option<Arc<str>>,
        /// What is to be paid.
        amount: Money,
        /// When it was placed.
        created_at: Timestamp,
        /// From then on it is closed.
        expires_at: Timestamp,
        /// The code that stands for it now.
        code: [u8; 16],
        /// Until when.
        code_expires_at: Timestamp,
        /// The only person who may pay it; `None` if anybody may.
        meant_for: Option<PersonId>,
    } + order_progress {
        /// How far it is.
        state: OrderState,
        /// Who paid or is paying.
        payer: Option<PersonId>,
        /// The card it is paid by; `None` for the balance.
        card: Option<CardId>,
        /// The card payment under way or done.
        attempt: Option<AttemptId>,
        /// When it was paid.
        paid_at: Option<Timestamp>,
        /// The journal of its payment.
        paid_seq: Option<Seq>,
        /// What the merchant paid for it.
        fee: Money,
        /// The sum of its refunds, those under way included.
        refunded: Money,
        /// The part of the fee given back with them.
        fee_returned: Money,
        /// How many refunds it has had.
        refunds: u8,
    }

    /// A merchant's number for an order. Source.
    OrderNumber in order_number as order_number {
        /// Merchant and number.
        key: OutTradeNo,
        /// The order.
        order: OrderId,
    }

    /// A code that stands for an order; deleted when it expires. Source.
    OrderCode in order_code as order_code {
        /// The moment it was drawn in, and 80 random bits.
        token: [u8; 16],
        /// The order.
        order: OrderId,
        /// Until when.
        expires_at: Timestamp,
    }

    /// How a person pays by payment codes. Source.
    PayerCodes in payer_codes as payer_codes kept true {
        /// The person.
        person: PersonId,
        /// Whether they have switched payment codes on.
        on: bool,
        /// The card they pay by; `None` for the balance.
        card: Option<CardId>,
        /// The hashes of their newest codes, 32 bytes each, the newest first. No others are good.
        codes: Vec<u8>,
        /// The day in China that `passed` counts.
        passed_day: i64,
        /// Payments on that day that passed without a password.
        passed: u8,
    }

    /// A code that a payer shows, found by its hash; deleted when it expired long ago. Source.
    PayerCode in payer_code as payer_code {
        /// Keyed hash of the digits, which themselves are kept nowhere.
        hash: [u8; 32],
        /// Whose it is.
        person: PersonId,
        /// Until when.
        expires_at: Timestamp,
        /// Whether it was taken. It is good for one try, whatever comes of it.
        used: bool,
    }

    /// What an order paid by a payer's code has besides. Source.
    CodePayment in code_payment as code_payment {
        /// The order.
        order: OrderId,
        /// Whose code it was.
        person: PersonId,
        /// The code's hash: the same request again is known by it.
        code: [u8; 32],
        /// Whether the payer was asked on their phone.
        asked: bool,
        /// Why it failed, or the last try at it.
        failure: Option<CodeFailure>,
        /// When it was reversed.
        reversed_at: Option<Timestamp>,
    }

    /// A merchant's number that was reversed before anything came under it: its number stands for no order, ever. Source.
    ReversedNumber in reversed_number as reversed_number {
        /// What the number stands for instead of an order.
        id: OrderId,
        /// The merchant.
        mchid: MchId,
        /// Its number.
        out_trade_no: String,
        /// When it was reversed.
        reversed_at: Timestamp,
    }

    /// A refund of an order. Source.
    Refund in refund as refund {
        /// The refund.
        id: RefundId,
        /// The merchant.
        mchid: MchId,
        /// The merchant's number.
        out_refund_no: String,
        /// The order.
        order: OrderId,
        /// What goes back.
        amount: Money,
        /// What the payer reads.
        reason: Option<String>,
        /// Where the merchant is told; the order's place if absent.
        notify_url: Option<String>,
        /// How far it is.
        state: RefundState,
        /// Who gets it.
        payer: PersonId,
        /// The card it goes to; `None` for the balance.
        card: Option<CardId>,
        /// The call that brings it there.
        attempt: Option<AttemptId>,
        /// The part of the fee given back with it.
        fee_returned: Money,
        /// When it was accepted.
        created_at: Timestamp,
        /// When it arrived.
        success_at: Option<Timestamp>,
        /// Where it goes.
        way: RefundWay,
    }

    /// A merchant's number for a refund. Source.
    RefundNumber in refund_number as refund_number {
        /// Merchant and number.
        key: OutRefundNo,
        /// The refund.
        refund: RefundId,
    }

    /// Money of a merchant's on its way to a person. Source.
    Transfer in transfer as transfer {
        /// The transfer; the protocol's `transfer_bill_no`.
        id: TransferId,
        /// The merchant.
        mchid: MchId,
        /// The app that knows the payee.
        appid: String,
        /// The merchant's number.
        out_bill_no: String,
        /// What it is for: the protocol's number of a scene, digits.
        scene: String,
        /// Who gets it.
        payee: PersonId,
        /// How much.
        amount: Money,
        /// What the payee reads.
        remark: String,
        /// What the payee reads as the reason, if the merchant gave one.
        perception: Option<String>,
        /// What the merchant reported of it, in compact JSON. Not shown to the payee.
        report: String,
        /// Where the merchant is told; nowhere if absent.
        notify_url: Option<String>,
        /// Keyed hash of the payee's name as the merchant gave it, to compare.
        name_mac: Option<[u8; 32]>,
        /// That name, sealed by the shell, for the merchant's queries.
        name_sealed: Option<Vec<u8>>,
        /// How far it is.
        state: TransferState,
        /// Why it did not come about.
        failure: Option<TransferFailure>,
        /// When it was made.
        created_at: Timestamp,
        /// From then on it cannot be received.
        expires_at: Timestamp,
        /// When it was received, failed or was taken back.
        ended_at: Option<Timestamp>,
    }

    /// A merchant's number for a transfer. Source.
    TransferNumber in transfer_number as transfer_number {
        /// Merchant and number.
        key: OutBillNo,
        /// The transfer.
        transfer: TransferId,
    }

    /// A transfer that its payee may receive. Source; deleted when the transfer ends.
    WaitingTransfer in waiting_transfer as waiting_transfer {
        /// The transfer.
        transfer: TransferId,
        /// Who gets it.
        payee: PersonId,
        /// Until when.
        expires_at: Timestamp,
    }

    /// A call to a network that moves money, from intent to outcome. Source.
    Attempt in attempt as attempt {
        /// The attempt, and its number at the network.
        id: AttemptId,
        /// What it is to do.
        kind: AttemptKind,
        /// Whose card.
        person: PersonId,
        /// The card.
        card: CardId,
        /// The network.
        network: NetworkId,
        /// How much.
        amount: Money,
        /// The order it pays or refunds.
        order: Option<OrderId>,
        /// The refund it brings.
        refund: Option<RefundId>,
        /// For a refund, the attempt whose money goes back.
        original: Option<AttemptId>,
        /// How it stands.
        state: AttemptState,
        /// Why it failed.
        refusal: Option<NetworkRefusal>,
        /// The network's own number for it.
        network_ref: Option<String>,
        /// When it was recorded.
        created_at: Timestamp,
        /// When its outcome was recorded.
        ended_at: Option<Timestamp>,
        /// The owner's epoch it was recorded in: the process that recorded it knows whether it was ever sent.
        epoch: i64,
        /// The withdrawal it pays out.
        withdrawal: Option<WithdrawalId>,
        /// Of a top-up, what the operator takes of it when it has arrived.
        fee: Money,
    }

    /// A person's number for a top-up. Source.
    AttemptNumber in attempt_number as attempt_number {
        /// Person and number.
        key: ClientNumber,
        /// The attempt.
        attempt: AttemptId,
    }

    /// An attempt whose outcome is not known yet, and when to ask next. Source; deleted with the outcome.
    OpenAttempt in open_attempt as open_attempt {
        /// The attempt.
        attempt: AttemptId,
        /// When to send or ask next.
        next_at: Timestamp,
        /// How often it was tried.
        tries: u32,
        /// From then on it is withdrawn at the network instead of sent.
        send_until: Timestamp,
        /// Where its person is, if they pay at another wallet by themselves.
        scene: Option<Scene>,
        /// What that wallet knows the payer by, sealed by the shell, if it has to be told.
        payer_sealed: Option<Vec<u8>>,
    }

    /// Money of a person's on its way to a card of theirs. Source.
    Withdrawal in withdrawal as withdrawal {
        /// The withdrawal.
        id: WithdrawalId,
        /// Whose.
        person: PersonId,
        /// The device's number for it.
        number: String,
        /// The card.
        card: CardId,
        /// The network that reaches its bank.
        network: NetworkId,
        /// What arrives.
        amount: Money,
        /// What it costs on top.
        fee: Money,
        /// When it is sent.
        speed: Speed,
        /// How far it is.
        state: WithdrawalState,
        /// The call that pays it out, once there is one.
        attempt: Option<AttemptId>,
        /// Why its network refused it. One that failed without was not sent: its person was frozen when it was due.
        refusal: Option<NetworkRefusal>,
        /// When it was asked for.
        created_at: Timestamp,
        /// From when on it is sent.
        due_at: Timestamp,
        /// When it was paid, failed or was taken back.
        ended_at: Option<Timestamp>,
    }

    /// A person's number for a withdrawal. Source.
    WithdrawalNumber in withdrawal_number as withdrawal_number {
        /// Person and number.
        key: ClientNumber,
        /// The withdrawal.
        withdrawal: WithdrawalId,
    }

    /// A withdrawal that has not left yet. Source; deleted when it is sent or taken back.
    WaitingWithdrawal in waiting_withdrawal as waiting_withdrawal {
        /// The withdrawal.
        withdrawal: WithdrawalId,
        /// From when on it is sent.
        due_at: Timestamp,
    }

    /// What a person topped up and withdrew on a day. Source.
    MoneyTally in money_tally as money_tally {
        /// The person.
        person: PersonId,
        /// The day in China that the rest counts.
        day: i64,
        /// The first moment on that day that is counted.
        since: Timestamp,
        /// What was topped up, or is being.
        topped_up: Money,
        /// What was withdrawn, or is being, without fees.
        withdrawn: Money,
        /// In how many withdrawals.
        withdrawals: u8,
    }

    /// An app of another's that takes money from accounts here. Source.
    IssuingApp in issuing_app as issuing_app kept true {
        /// Its number.
        id: IssuingAppId,
        /// What it signs its requests as.
        app: String,
        /// As holders read it, in Chinese.
        name_zh: String,
        /// The same in English.
        name_en: String,
        /// Checks its requests: a public key in PEM.
        key_pem: String,
        /// Kept from binding and from taking money.
        suspended: bool,
        /// When it was made.
        created_at: Timestamp,
    }

    /// The app that signs its requests as this. Source.
    IssuingAppName in issuing_app_name as issuing_app_name kept true {
        /// The name.
        app: String,
        /// The app.
        id: IssuingAppId,
    }

    /// A holder's consent that an app may take money, from the app's asking for it. Source.
    Agreement in agreement as agreement {
        /// The agreement.
        id: AgreementId,
        /// The app.
        app: IssuingAppId,
        /// The app's number for the binding.
        binding: String,
        /// Keyed hash of what was asked, by which a repeat is known.
        content_mac: [u8; 32],
        /// Whose account; `None` if nobody's was asked for.
        person: Option<PersonId>,
        /// How far it is.
        state: AgreementState,
        /// Why it came to nothing.
        refusal: Option<Declined>,
        /// What the code last sent is derived from.
        nonce: [u8; 16],
        /// When that was.
        code_at: Timestamp,
        /// Tries left at it.
        tries_left: u8,
        /// Codes sent so far.
        codes_sent: u8,
        /// The most the app may take at once.
        per_payment: Money,
        /// The most it may take on a day in China.
        per_day: Money,
        /// The day in China that `used` counts.
        used_day: i64,
        /// What it took on that day.
        used: Money,
        /// When it was asked for.
        created_at: Timestamp,
        /// When the holder agreed.
        bound_at: Option<Timestamp>,
        /// When it ended.
        ended_at: Option<Timestamp>,
    }

    /// An app's number for a binding. Source.
    AgreementNumber in agreement_number as agreement_number {
        /// App and number.
        key: AgreementKey,
        /// The agreement.
        agreement: AgreementId,
    }

    /// The agreement that an app has with a holder, or had last. Source.
    AgreementHolder in agreement_holder as agreement_holder {
        /// App and holder.
        key: HolderKey,
        /// The agreement.
        agreement: AgreementId,
    }

    /// How many codes apps had sent to a person on a day. Source.
    AgreementTally in agreement_tally as agreement_tally {
        /// The person.
        person: PersonId,
        /// The day in China that `asked` counts.
        day: i64,
        /// How often.
        asked: u8,
    }

    /// Money between a holder and an app: taken, given back, or paid out; or why it was not. Source.
    AppMove in app_move as app_move {
        /// The movement.
        id: AppMoveId,
        /// The app.
        app: IssuingAppId,
        /// Which way.
        kind: AppMoveKind,
        /// The app's number for it.
        number: String,
        /// Keyed hash of what was asked, by which a repeat is known; `None` for a refund, and if closed before it came.
        content_mac: Option<[u8; 32]>,
        /// The agreement it was done by; `None` if the token stands for none.
        agreement: Option<AgreementId>,
        /// The holder; `None` if the token is nobody's.
        person: Option<PersonId>,
        /// For a refund, the debit it is part of.
        original: Option<AppMoveId>,
        /// How much; nothing if it was closed before it came.
        amount: Money,
        /// Of a debit, what came back of it.
        returned: Money,
        /// What the holder reads.
        description: String,
        /// Why no money moved; `None` if it did.
        refusal: Option<Declined>,
        /// When it was decided.
        at: Timestamp,
    }

    /// An app's number for a movement of money. Source.
    AppMoveNumber in app_move_number as app_move_number {
        /// App, kind and number.
        key: AppMoveKey,
        /// The movement.
        id: AppMoveId,
    }

    /// How far a merchant has been told: every event up to here was answered or has a retry row. Source.
    NoticeCursor in notice_cursor as notice_cursor kept true {
        /// The merchant.
        mchid: MchId,
        /// The last journal dealt with.
        told: Seq,
    }

    /// An event whose first notification failed. Source; deleted once answered, kept when given up.
    NoticeRetry in notice_retry as notice_retry {
        /// Merchant and journal.
        key: NoticeKey,
        /// How often it was tried.
        tries: u32,
        /// When to try next; `None` once given up.
        next_at: Option<Timestamp>,
    }

    /// How many tries at telling a merchant there were, and how many replays of late. Source.
    NoticeTally in notice_tally as notice_tally kept true {
        /// The merchant.
        mchid: MchId,
        /// Tries it answered.
        answered: i64,
        /// Tries that failed.
        failed: i64,
        /// The minute that `replays` counts, since 1970.
        minute: i64,
        /// Replays it has asked for in that minute.
        replays: u16,
    }

    /// One try at telling a merchant, of its newest. Source, though nothing is decided by it.
    Delivery in delivery as delivery {
        /// Merchant and place.
        key: DeliveryKey,
        /// Counts the deliveries of its kind: 1, 2, 3 …
        number: i64,
        /// When it began.
        at: Timestamp,
        /// The journal that is the event.
        seq: Seq,
        /// Which try at the event it was.
        tries: u32,
        /// Host and path of the address.
        place: String,
        /// What came of it.
        outcome: DeliveryOutcome,
        /// The answer's status, if there was an answer.
        status: Option<u16>,
        /// How long it took.
        took_ms: u32,
        /// How the answer's body begins.
        said: Option<String>,
    }

    /// One of the operator's staff. Source.
    Staff in staff as staff {
        /// Their sign-in name.
        name: String,
        /// Their number.
        id: StaffId,
        /// What they may do.
        role: StaffRole,
        /// SHA-256 of the token they enrol with.
        enrolment_hash: [u8; 32],
        /// When they were created.
        created_at: Timestamp,
    }

    /// How an account stands. Derived from the journals, written behind; an account that nobody knows stands at nothing.
    Balance in balance as balance derived true kept true {
        /// The account.
        account: AccountId,
        /// The journal it is true at, which is the newest of its history.
        as_of: Seq,
        /// Its currency.
        currency: Currency,
        /// Everything ever debited to it, in minor units.
        debits_minor: i64,
        /// Everything ever credited to it, in minor units.
        credits_minor: i64,
        /// How many journals its history has.
        lines: i64,
    }
}
