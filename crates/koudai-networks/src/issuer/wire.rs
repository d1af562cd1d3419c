//! What travels in the issuer protocol: JSON bodies, their limits, and the codes of refusal.
//!
//! Amounts are integers in minor units of an ISO 4217 currency. Unknown fields are ignored, so that either side
//! may learn a new one first.

use koudai_core::secret::Secret;
use serde::{Deserialize, Serialize};

/// The path every call begins with.
pub const BASE_PATH: &str = "/issuer/v1";
/// The largest body either side reads, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// The longest id, in characters.
pub const MAX_ID_CHARS: usize = 40;
/// The longest description of a debit or payout, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 128;
/// The most lines one page of the books holds.
pub const BOOK_PAGE_LINES: u32 = 200;

/// Whether `id` may name a binding, debit, refund or payout: 1 to 40 of `0-9 A-Z a-z _ -`. Nothing in it needs escaping in
/// a path.
pub fn id_ok(id: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Beyond this an amount is malformed rather than too high, in minor units.
pub const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000;

/// Whether an amount and its currency are well-formed, for an issuer of this one currency.
pub fn amount_ok(amount_minor: i64, currency: &str, of: &str) -> bool {
    (1..=MAX_AMOUNT_MINOR).contains(&amount_minor) && currency == of
}

/// Whether what moves money by a token is well-formed, but for its amount.
fn move_ok(id: &str, token: &Secret<String>, description: &str) -> bool {
    id_ok(id)
        && (1..=128).contains(&token.expose().len())
        && description.chars().count() <= MAX_DESCRIPTION_CHARS
        && !description.chars().any(char::is_control)
}

/// Why the issuer refused. Stable, never renamed; in the body of every 4xx and in each refused debit, refund or payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IssuerCode {
    /// Name, ID number, phone, expiry or CVV do not match the bank's record; never says which.
    DetailsMismatch,
    /// No card of this bank has this number.
    CardUnknown,
    /// The card is lost, frozen or expired.
    CardFrozen,
    /// The verification code is wrong, and the try was counted.
    CodeWrong,
    /// The verification code is past its life, used up, or was never sent.
    CodeExpired,
    /// Another verification code was asked for too early.
    TooSoon,
    /// No more verification codes for this binding.
    TooMany,
    /// The card does not cover the amount.
    InsufficientFunds,
    /// No such token, or it has been unbound.
    TokenUnknown,
    /// More than one debit or payout may be, or more than is left of a debit to refund.
    Limit,
    /// The operator's account at the issuer does not cover a payout.
    NotCovered,
    /// The debit or payout was closed before it arrived.
    Closed,
    /// The id stands for something with other content.
    IdReused,
    /// No such binding, debit, refund or payout, or no such call.
    NotFound,
    /// The signature, its time or its sender is not right.
    SignError,
    /// The operator of the issuer has stopped this app.
    AppSuspended,
    /// A field is missing or malformed.
    BadRequest,
    /// A code this version does not know: a refusal without a reason a program could use.
    #[serde(other)]
    Other,
}

impl IssuerCode {
    /// Every code there is, but for [`Other`](Self::Other).
    pub const ALL: [Self; 17] = [
        Self::DetailsMismatch,
        Self::CardUnknown,
        Self::CardFrozen,
        Self::CodeWrong,
        Self::CodeExpired,
        Self::TooSoon,
        Self::TooMany,
        Self::InsufficientFunds,
        Self::TokenUnknown,
        Self::Limit,
        Self::NotCovered,
        Self::Closed,
        Self::IdReused,
        Self::NotFound,
        Self::SignError,
        Self::AppSuspended,
        Self::BadRequest,
    ];

    /// The code of a word; `None` for one this version does not know.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.word() == word)
    }

    /// The code as it travels.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DetailsMismatch => "DETAILS_MISMATCH",
            Self::CardUnknown => "CARD_UNKNOWN",
            Self::CardFrozen => "CARD_FROZEN",
            Self::CodeWrong => "CODE_WRONG",
            Self::CodeExpired => "CODE_EXPIRED",
            Self::TooSoon => "TOO_SOON",
            Self::TooMany => "TOO_MANY",
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::TokenUnknown => "TOKEN_UNKNOWN",
            Self::Limit => "LIMIT",
            Self::NotCovered => "NOT_COVERED",
            Self::Closed => "CLOSED",
            Self::IdReused => "ID_REUSED",
            Self::NotFound => "NOT_FOUND",
            Self::SignError => "SIGN_ERROR",
            Self::AppSuspended => "APP_SUSPENDED",
            Self::BadRequest => "BAD_REQUEST",
            Self::Other => "OTHER",
        }
    }
}

/// The body of every refusal with a status of 400 to 499.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// The reason.
    pub code: IssuerCode,
    /// One English sentence for whoever reads logs; never shown to the holder, never parsed.
    pub message: String,
    /// With `CODE_WRONG`: tries left before the verification code is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries_left: Option<u8>,
}

/// `POST /bindings`: asks the issuer to let this card be used by the app, once its holder agrees.
#[derive(Debug, Serialize, Deserialize)]
pub struct BindRequest {
    /// Chosen by the app.
    pub binding_id: String,
    /// Digits only, 12 to 19.
    #[serde(with = "secret_text")]
    pub card_number: Secret<String>,
    /// The holder's name as the bank has it.
    #[serde(with = "secret_text")]
    pub name: Secret<String>,
    /// The holder's resident ID number.
    #[serde(with = "secret_text")]
    pub id_number: Secret<String>,
    /// The mobile number reserved at the bank, digits only.
    #[serde(with = "secret_text")]
    pub phone: Secret<String>,
    /// `MM/YY`, credit cards only.
    #[serde(default, with = "secret_option", skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Secret<String>>,
    /// Three digits, credit cards only.
    #[serde(default, with = "secret_option", skip_serializing_if = "Option::is_none")]
    pub cvv: Option<Secret<String>>,
}

impl BindRequest {
    /// Whether every field may be what it is to be.
    pub fn is_sound(&self) -> bool {
        let Self { binding_id, card_number, name, id_number, phone, expiry, cvv } = self;
        let digits = |text: &str, least, most| {
            (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        id_ok(binding_id)
            && digits(card_number.expose(), 12, 19)
            && (1..=128).contains(&name.expose().len())
            && (1..=32).contains(&id_number.expose().len())
            && digits(phone.expose(), 5, 15)
            && expiry.as_ref().is_none_or(|text| text.expose().len() == 5)
            && cvv.as_ref().is_none_or(|text| digits(text.expose(), 3, 3))
    }
}

/// `POST /bindings/{binding_id}/confirm`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConfirmRequest {
    /// The six digits the bank sent to the holder.
    #[serde(with = "secret_text")]
    pub code: Secret<String>,
}

/// Debit or credit card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CardKind {
    /// Money of the holder's.
    Debit,
    /// Money lent by the bank.
    Credit,
}

/// What may be shown of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFace {
    /// Where the verification code went: `138****5678`.
    pub phone_masked: String,
    /// The bank's name in Chinese.
    pub bank_name_zh: String,
    /// The bank's name in English.
    pub bank_name_en: String,
    /// Debit or credit.
    pub kind: CardKind,
    /// The last four digits of the card number.
    pub last4: String,
}

/// Where a binding stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BindingState {
    /// The details were right and the holder has a code to type.
    CodeSent(CardFace),
    /// The holder agreed. The token debits the card for as long as it is bound.
    Bound {
        /// 128 random bits or more, URL-safe characters.
        #[serde(with = "secret_text")]
        token: Secret<String>,
        /// What may be shown.
        #[serde(flatten)]
        card: CardFace,
    },
    /// Over: refused at the start, or unbound since.
    Failed {
        /// Why.
        code: IssuerCode,
    },
}

/// The answer to every call about a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingReply {
    /// As in the request.
    pub binding_id: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: BindingState,
}

/// `POST /tokens/unbind`. In a body, because a token is a secret and paths end up in logs.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnbindRequest {
    /// From the binding.
    #[serde(with = "secret_text")]
    pub token: Secret<String>,
}

/// The answer to an unbinding, the first time and every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "UPPERCASE")]
pub enum UnbindReply {
    /// No later debit under the token succeeds. Refunds of earlier ones still do.
    Unbound,
}

/// `POST /debits`: takes money from a bound card.
#[derive(Debug, Serialize, Deserialize)]
pub struct DebitRequest {
    /// Chosen by the app.
    pub debit_id: String,
    /// From the binding.
    #[serde(with = "secret_text")]
    pub token: Secret<String>,
    /// Above zero.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// What the holder reads on the statement, at most 128 characters.
    pub description: String,
}

/// `POST /refunds`: gives money of a debit back.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Chosen by the app.
    pub refund_id: String,
    /// The debit it is part of.
    pub debit_id: String,
    /// Above zero.
    pub amount_minor: i64,
    /// That of the debit.
    pub currency: String,
}

/// `POST /payouts`: pays the operator's money out to a bound card.
#[derive(Debug, Serialize, Deserialize)]
pub struct PayoutRequest {
    /// Chosen by the app.
    pub payout_id: String,
    /// From the binding.
    #[serde(with = "secret_text")]
    pub token: Secret<String>,
    /// Above zero.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// What the holder reads on the statement, at most 128 characters.
    pub description: String,
}

impl DebitRequest {
    /// Whether every field may be what it is to be, at an issuer of this currency.
    pub fn is_sound(&self, currency: &str) -> bool {
        move_ok(&self.debit_id, &self.token, &self.description)
            && amount_ok(self.amount_minor, &self.currency, currency)
    }
}

impl PayoutRequest {
    /// Whether every field may be what it is to be, at an issuer of this currency.
    pub fn is_sound(&self, currency: &str) -> bool {
        move_ok(&self.payout_id, &self.token, &self.description)
            && amount_ok(self.amount_minor, &self.currency, currency)
    }
}

impl RefundRequest {
    /// Whether every field may be what it is to be, at an issuer of this currency.
    pub fn is_sound(&self, currency: &str) -> bool {
        id_ok(&self.refund_id)
            && id_ok(&self.debit_id)
            && amount_ok(self.amount_minor, &self.currency, currency)
    }
}

/// How a debit, refund or payout ended. Each is final: money moved, or it never will under this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Money moved.
    Succeeded,
    /// No money moved and none will.
    Refused {
        /// Why.
        code: IssuerCode,
    },
}

/// The answer to every call about a debit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebitReply {
    /// As in the request.
    pub debit_id: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The bank's own number, for people to ask the bank with.
    pub bank_ref: String,
    /// When the bank decided it, milliseconds since 1970.
    pub at_ms: i64,
}

/// The answer to every call about a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundReply {
    /// As in the request.
    pub refund_id: String,
    /// The debit it is part of.
    pub debit_id: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The bank's own number, for people to ask the bank with.
    pub bank_ref: String,
    /// When the bank decided it, milliseconds since 1970.
    pub at_ms: i64,
}

/// The answer to every call about a payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutReply {
    /// As in the request.
    pub payout_id: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The bank's own number, for people to ask the bank with.
    pub bank_ref: String,
    /// When the bank decided it, milliseconds since 1970.
    pub at_ms: i64,
}

/// What a line of the books is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BookKind {
    /// Money from a card to the app's operator.
    Debit,
    /// Money of a debit back to its card.
    Refund,
    /// Money from the operator to a card.
    Payout,
}

/// One line of the issuer's journal of money that moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookLine {
    /// Rises from line to line, perhaps with gaps.
    pub no: i64,
    /// Debit, refund or payout.
    pub kind: BookKind,
    /// The id the app gave it.
    pub id: String,
    /// Above zero, fen or the like.
    pub amount_minor: i64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A secret as a JSON string, so that the types above may derive `Debug` without showing it.
mod secret_text {
    use koudai_core::secret::Secret;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.expose())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

mod secret_option {
    use koudai_core::secret::Secret;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Secret<String>>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(text) => to.serialize_some(text.expose()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_one_flat_object() {
        let card = CardFace {
            phone_masked: "139****0001".into(),
            bank_name_zh: "沙盒银行".into(),
            bank_name_en: "Sandbox Bank".into(),
            kind: CardKind::Debit,
            last4: "0018".into(),
        };
        let bound = BindingReply {
            binding_id: "b1".into(),
            state: BindingState::Bound { token: Secret::new("t".into()), card },
        };
        let text = serde_json::to_string(&bound).unwrap();
        assert_eq!(
            text,
            r#"{"binding_id":"b1","state":"BOUND","token":"t","phone_masked":"139****0001","bank_name_zh":"沙盒银行","bank_name_en":"Sandbox Bank","kind":"DEBIT","last4":"0018"}"#
        );
        assert_eq!(serde_json::from_str::<BindingReply>(&text).unwrap(), bound);
        let refused = DebitReply {
            debit_id: "d1".into(),
            outcome: Outcome::Refused { code: IssuerCode::Closed },
            bank_ref: "r".into(),
            at_ms: 1,
        };
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(text, r#"{"debit_id":"d1","state":"REFUSED","code":"CLOSED","bank_ref":"r","at_ms":1}"#);
        assert_eq!(serde_json::from_str::<DebitReply>(&text).unwrap(), refused);
        assert_eq!(serde_json::to_string(&UnbindReply::Unbound).unwrap(), r#"{"state":"UNBOUND"}"#);
    }

    #[test]
    fn a_code_is_written_as_its_word_and_an_unknown_one_is_read_as_other() {
        let code = |text: &str| serde_json::from_str::<IssuerCode>(text).unwrap();
        for known in IssuerCode::ALL {
            assert_eq!(code(&format!("\"{}\"", known.word())), known);
            assert_eq!(serde_json::to_string(&known).unwrap(), format!("\"{}\"", known.word()));
            assert_eq!(IssuerCode::from_word(known.word()), Some(known));
        }
        assert_eq!(code("\"MOON_PHASE\""), IssuerCode::Other);
    }

    #[test]
    fn an_id_needs_no_escaping() {
        for good in ["1", "a-B_9", &"x".repeat(40)] {
            assert!(id_ok(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "a%2f", "..", "é", &"x".repeat(41)] {
            assert!(!id_ok(bad), "{bad}");
        }
    }
}
