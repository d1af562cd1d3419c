//! The double-entry ledger: accounts, postings, journals and the seals over them.
//!
//! A journal is one fact. It is appended and never changed; balances, histories and totals follow from it.

use sha2::{Digest, Sha256};

use crate::id::{IssuingAppId, MchId, PersonId, Seq};
use crate::money::{Currency, Money, MoneyError};
use crate::time::Timestamp;

/// An account's number: its owner's number and the kind of account in the four bits an owner's number leaves free.
///
/// Owners cannot collide: networks count from 1, merchants' numbers have ten digits, people's are above 2^60.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub i64);

/// A network outside, by number: issuers have 1 to 999, and 1 is the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub i64);

/// The first issuer network, which speaks the issuer protocol.
pub const ISSUER_NETWORK: NetworkId = NetworkId(1);

/// UnionPay.
pub const UNIONPAY_NETWORK: NetworkId = NetworkId(1_001);

/// WeChat Pay.
pub const WECHAT_NETWORK: NetworkId = NetworkId(1_002);

/// Alipay.
pub const ALIPAY_NETWORK: NetworkId = NetworkId(1_003);

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// What is owed to a person.
    PersonBalance,
    /// What is owed to a merchant and not yet settled.
    MerchantUnsettled,
    /// The operator's fees.
    Fees,
    /// What a network owes the operator.
    NetworkClearing,
    /// Refunds taken from merchants and on their way to cards.
    RefundInFlight,
    /// A merchant's transfers that nobody has received yet.
    TransferInFlight,
    /// What is owed to an app that takes money from accounts here.
    AppSettlement,
    /// People's withdrawals that are on their way to cards.
    WithdrawalInFlight,
    /// What a network's books have and ours have not, or the other way round, until it is known whose it is.
    Suspense,
    /// A person's balance that is held for payments of which a card pays the rest.
    PaymentHold,
}

/// In the order of their numbers, of which 1 is the first.
const KINDS: [AccountKind; 10] = [
    AccountKind::PersonBalance,
    AccountKind::MerchantUnsettled,
    AccountKind::Fees,
    AccountKind::NetworkClearing,
    AccountKind::RefundInFlight,
    AccountKind::TransferInFlight,
    AccountKind::AppSettlement,
    AccountKind::WithdrawalInFlight,
    AccountKind::Suspense,
    AccountKind::PaymentHold,
];

const KIND_BITS: i64 = 4;
const OPERATOR: i64 = 1;

impl AccountId {
    /// A person's balance.
    pub const fn person(id: PersonId) -> Self {
        Self(id.0 | 1)
    }

    /// A merchant's money that is not yet settled.
    pub const fn merchant(id: MchId) -> Self {
        Self((id.0 << KIND_BITS) | 2)
    }

    /// The operator's fees.
    pub const fn fees() -> Self {
        Self((OPERATOR << KIND_BITS) | 3)
    }

    /// What a network owes the operator.
    pub const fn clearing(network: NetworkId) -> Self {
        Self((network.0 << KIND_BITS) | 4)
    }

    /// Refunds on their way through a network.
    pub const fn refund_in_flight(network: NetworkId) -> Self {
        Self((network.0 << KIND_BITS) | 5)
    }

    /// A merchant's transfers that nobody has received yet.
    pub const fn transfers_in_flight(id: MchId) -> Self {
        Self((id.0 << KIND_BITS) | 6)
    }

    /// People's withdrawals on their way through a network.
    pub const fn withdrawals_in_flight(network: NetworkId) -> Self {
        Self((network.0 << KIND_BITS) | 8)
    }

    /// What is owed to an app.
    pub const fn app(id: IssuingAppId) -> Self {
        Self(id.0 | 7)
    }

    /// What differs between a network's books and ours and was adjusted.
    pub const fn suspense(network: NetworkId) -> Self {
        Self((network.0 << KIND_BITS) | 9)
    }

    /// What the account is for; `None` for a number no account has.
    pub fn kind(self) -> Option<AccountKind> {
        let number = usize::try_from(self.0 & ((1 << KIND_BITS) - 1)).ok()?;
        KINDS.get(number.checked_sub(1)?).copied()
    }

    /// A person's balance held for payments of which a card pays the rest.
    pub const fn payment_hold(id: PersonId) -> Self {
        Self(id.0 | 0xA)
    }

    /// The person whose balance this is, if it is one's.
    pub fn person_owner(self) -> Option<PersonId> {
        (self.kind()? == AccountKind::PersonBalance).then_some(PersonId(self.0 & !((1 << KIND_BITS) - 1)))
    }

    /// The merchant whose account this is, if it is one's.
    pub fn merchant_owner(self) -> Option<MchId> {
        (self.kind()? == AccountKind::MerchantUnsettled).then_some(MchId(self.0 >> KIND_BITS))
    }
}

impl AccountKind {
    /// Whether debits increase it (an asset) or credits do (a debt of the operator's, or income).
    pub const fn is_debit_normal(self) -> bool {
        matches!(self, Self::NetworkClearing)
    }

    /// Whether it may stand on either side. A network owes the operator, or is owed what it paid out beyond what it took; and its
    /// books may have more than ours or less.
    pub const fn may_run_either_way(self) -> bool {
        matches!(self, Self::NetworkClearing | Self::Suspense)
    }
}

/// A debit of one account and a credit of another by one amount: an unbalanced pair has no spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account debited.
    pub debit: AccountId,
    /// The account credited.
    pub credit: AccountId,
    /// More than nothing.
    pub amount: Money,
}

/// What kind of fact a journal states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JournalKind {
    /// Money came in from a card. Subject: the attempt.
    TopUp,
    /// An order was paid from the balance. Subject: the order.
    BalancePayment,
    /// An order was paid by a card. Subject: the order.
    CardPayment,
    /// An order's money went back to the balance. Subject: the refund.
    BalanceRefund,
    /// A refund to a card was taken from the merchant and is on its way. Subject: the refund.
    CardRefundAccepted,
    /// A refund reached the card. Subject: the refund.
    CardRefundDone,
    /// The bank refused a refund for good; the money waits for a decision. Subject: the refund.
    CardRefundAbnormal,
    /// A refund that a bank refused went to the payer's balance instead. Subject: the refund.
    RefundToBalance,
    /// A refund that a bank refused went back to the merchant. Subject: the refund.
    RefundToMerchant,
    /// A merchant's money was held for a person who has to receive it. Subject: the transfer.
    TransferHeld,
    /// A person received what was held. Subject: the transfer.
    TransferPaid,
    /// What was held went back to its merchant; or a transfer failed before anything was held, and nothing moves.
    /// Subject: the transfer.
    TransferReturned,
    /// An app took money from a holder. Subject: the movement.
    AppDebit,
    /// An app gave a holder money of a debit back. Subject: the movement.
    AppRefund,
    /// An app paid a holder out. Subject: the movement.
    AppPayout,
    /// A person's money was held for a card of theirs, with its fee. Subject: the withdrawal.
    WithdrawalHeld,
    /// What was held reached the card, and its fee the operator. Subject: the withdrawal.
    WithdrawalPaid,
    /// What was held came back to the person, the fee too. Subject: the withdrawal.
    WithdrawalReturned,
    /// What differs from a network's books was adjusted. Subject: the difference.
    Adjustment,
    /// A part of a balance was held for a payment of which a card pays the rest. Subject: the attempt.
    SplitHeld,
    /// An order was paid from what was held and by a card. Subject: the order.
    SplitPayment,
    /// What was held came back: the card's bank did not pay. Subject: the attempt.
    SplitReleased,
    /// A refund went to the balance in part, and is on its way to the card in part. Subject: the refund.
    SplitRefund,
}

impl JournalKind {
    /// The kind's number in the canonical form. Numbers are never used again.
    pub const fn number(self) -> u8 {
        match self {
            Self::TopUp => 1,
            Self::BalancePayment => 2,
            Self::CardPayment => 3,
            Self::BalanceRefund => 4,
            Self::CardRefundAccepted => 5,
            Self::CardRefundDone => 6,
            Self::CardRefundAbnormal => 7,
            Self::RefundToBalance => 11,
            Self::RefundToMerchant => 12,
            Self::TransferHeld => 8,
            Self::TransferPaid => 9,
            Self::TransferReturned => 10,
            Self::AppDebit => 13,
            Self::AppRefund => 14,
            Self::AppPayout => 15,
            Self::WithdrawalHeld => 16,
            Self::WithdrawalPaid => 17,
            Self::WithdrawalReturned => 18,
            Self::Adjustment => 19,
            Self::SplitHeld => 20,
            Self::SplitPayment => 21,
            Self::SplitReleased => 22,
            Self::SplitRefund => 23,
        }
    }

    /// The kind of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::TopUp,
            Self::BalancePayment,
            Self::CardPayment,
            Self::BalanceRefund,
            Self::CardRefundAccepted,
            Self::CardRefundDone,
            Self::CardRefundAbnormal,
            Self::RefundToBalance,
            Self::RefundToMerchant,
            Self::TransferHeld,
            Self::TransferPaid,
            Self::TransferReturned,
            Self::AppDebit,
            Self::AppRefund,
            Self::AppPayout,
            Self::WithdrawalHeld,
            Self::WithdrawalPaid,
            Self::WithdrawalReturned,
            Self::Adjustment,
            Self::SplitHeld,
            Self::SplitPayment,
            Self::SplitReleased,
            Self::SplitRefund,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
    }

    /// Whether the merchant named in the journal is told of it.
    pub const fn is_told(self) -> bool {
        match self {
            Self::BalancePayment
            | Self::CardPayment
            | Self::SplitPayment
            | Self::BalanceRefund
            | Self::CardRefundDone
            | Self::CardRefundAbnormal
            | Self::RefundToBalance
            | Self::RefundToMerchant
            | Self::TransferPaid
            | Self::TransferReturned => true,
            Self::TopUp
            | Self::CardRefundAccepted
            | Self::TransferHeld
            | Self::AppDebit
            | Self::AppRefund
            | Self::AppPayout
            | Self::WithdrawalHeld
            | Self::WithdrawalPaid
            | Self::WithdrawalReturned
            | Self::Adjustment
            | Self::SplitHeld
            | Self::SplitReleased
            | Self::SplitRefund => false,
        }
    }
}

/// How an account stands after a journal, and where its history goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The account.
    pub account: AccountId,
    /// Everything ever debited to it, this journal included, in minor units.
    pub debits_minor: i64,
    /// Everything ever credited to it, this journal included, in minor units.
    pub credits_minor: i64,
    /// The account's journal before this one; 0 if this is its first.
    pub previous: Seq,
    /// The line's place in the account's history: 1 for its first.
    pub number: i64,
}

/// Every line whose number is a multiple of this stands in the index of its account's history; from there the others are
/// reached by their pointers.
pub const INDEXED_EVERY: i64 = 32;

impl Line {
    /// Whether the line stands in the index.
    pub const fn is_indexed(&self) -> bool {
        self.number % INDEXED_EVERY == 0
    }
}

/// One fact of the ledger. Never updated, never deleted; a mistake is answered by a journal of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Its number, without gaps.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// What it states.
    pub kind: JournalKind,
    /// The order, refund, transfer, withdrawal or attempt it is about.
    pub subject: i64,
    /// The currency of every posting.
    pub currency: Currency,
    /// The money it moves; may be empty for a fact that moves none.
    pub postings: Vec<Posting>,
    /// Every account it belongs to the history of, posted to or not, in order of number.
    pub lines: Vec<Line>,
}

/// The version of the canonical form below.
const FORM: u8 = 1;

impl Journal {
    /// The canonical bytes that are stored and sealed: numbers only, no personal text.
    ///
    /// A posting names its accounts by the place of their lines, a line its predecessor by the distance to it, and
    /// numbers stand in as few bytes as they need (LEB128), so that a payment takes about a hundred.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 8 * self.postings.len() + 32 * self.lines.len());
        out.extend([FORM, self.kind.number()]);
        push_number(&mut out, self.seq.0);
        push_number(&mut out, self.at.0);
        out.extend(self.subject.to_be_bytes());
        out.extend(self.currency.code().as_bytes());
        let count = |n: usize| u8::try_from(n).expect("a journal has fewer than 256 postings and lines");
        out.push(count(self.lines.len()));
        for line in &self.lines {
            out.extend(line.account.0.to_be_bytes());
            let distance = if line.previous.0 == 0 { 0 } else { self.seq.0 - line.previous.0 };
            for n in [line.debits_minor, line.credits_minor, distance, line.number] {
                push_number(&mut out, n);
            }
        }
        out.push(count(self.postings.len()));
        for p in &self.postings {
            for account in [p.debit, p.credit] {
                let place = self.lines.iter().position(|line| line.account == account);
                out.push(count(place.expect("every account posted to has its line")));
            }
            push_number(&mut out, p.amount.minor());
        }
        out
    }

    /// Reads canonical bytes; `None` if they are not exactly a journal's.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [form, kind] = take::<2>(&mut rest)?;
        let kind = JournalKind::from_number(kind).filter(|_| form == FORM)?;
        let (seq, at) = (Seq(take_number(&mut rest)?), Timestamp(take_number(&mut rest)?));
        let subject = i64::from_be_bytes(take(&mut rest)?);
        let currency = Currency::from_code(std::str::from_utf8(&take::<3>(&mut rest)?).ok()?)?;
        let [count] = take::<1>(&mut rest)?;
        let mut lines: Vec<Line> = Vec::with_capacity(count.into());
        for _ in 0..count {
            let account = AccountId(i64::from_be_bytes(take(&mut rest)?));
            let mut number = || take_number(&mut rest);
            let (debits_minor, credits_minor, distance) = (number()?, number()?, number()?);
            // A first line says 0 and nothing else; a posting could not say which of two equal accounts it means.
            let known = lines.iter().any(|line| line.account == account);
            if distance >= seq.0.max(1) || known {
                return None;
            }
            let previous = if distance == 0 { Seq(0) } else { Seq(seq.0 - distance) };
            lines.push(Line { account, debits_minor, credits_minor, previous, number: number()? });
        }
        let [count] = take::<1>(&mut rest)?;
        let mut postings = Vec::with_capacity(count.into());
        for _ in 0..count {
            let [debit, credit] = take::<2>(&mut rest)?.map(|place| lines.get(usize::from(place)));
            let amount = Money::new(take_number(&mut rest)?, currency).ok()?;
            postings.push(Posting { debit: debit?.account, credit: credit?.account, amount });
        }
        rest.is_empty().then_some(Self { seq, at, kind, subject, currency, postings, lines })
    }

    /// The line of one account, if the journal belongs to its history.
    pub fn line(&self, account: AccountId) -> Option<&Line> {
        self.lines.iter().find(|l| l.account == account)
    }

    /// What this journal did to an account's balance, seen from its normal side: positive is more.
    pub fn effect_on(&self, account: AccountId) -> i64 {
        let debit_normal = account.kind().is_some_and(AccountKind::is_debit_normal);
        let net: i64 = self
            .postings
            .iter()
            .map(|p| p.amount.minor() * (i64::from(p.debit == account) - i64::from(p.credit == account)))
            .sum();
        if debit_normal { net } else { -net }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// Appends a number of zero or more, seven bits a byte, the lowest first.
fn push_number(out: &mut Vec<u8>, number: i64) {
    let mut left = u64::try_from(number).expect("numbers of a journal are not negative");
    while left >= 0x80 {
        out.push((left & 0x7F) as u8 | 0x80);
        left >>= 7;
    }
    out.push((left & 0x7F) as u8);
}

/// Takes a number that `push_number` wrote, and no longer spelling of it.
fn take_number(rest: &mut &[u8]) -> Option<i64> {
    let mut number = 0_i64;
    for shift in (0..63).step_by(7) {
        let [byte] = take::<1>(rest)?;
        number |= i64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return (byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

/// The Merkle root of the journals of one commit, in order (RFC 6962, section 2.1: leaves 0x00, nodes 0x01).
pub fn merkle_root(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => Sha256::new().chain_update([0]).chain_update(leaf).finalize().into(),
        _ => {
            // The largest power of two below the count.
            let split = 1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros());
            let (left, right) = leaves.split_at(split);
            let node = Sha256::new().chain_update([1]).chain_update(merkle_root(left));
            node.chain_update(merkle_root(right)).finalize().into()
        }
    }
}

/// The seal of one commit: it pins the journals of the commit and every seal before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The commit's number, without gaps; 0 is the seal a new database begins with.
    pub no: i64,
    /// The hash of the seal before.
    pub previous: [u8; 32],
    /// The epoch of the owner that committed.
    pub epoch: i64,
    /// The first journal of the commit.
    pub first: Seq,
    /// The last journal of the commit; one less than `first` if it has none.
    pub last: Seq,
    /// The Merkle root of those journals.
    pub root: [u8; 32],
}

impl Seal {
    /// The seal a new database begins with.
    pub fn genesis() -> Self {
        Self { no: 0, previous: [0; 32], epoch: 0, first: Seq(1), last: Seq(0), root: merkle_root(&[]) }
    }

    /// The hash that the next seal carries.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new().chain_update(b"koudai seal 1").chain_update(self.previous);
        for n in [self.no, self.epoch, self.first.0, self.last.0] {
            hasher = hasher.chain_update(n.to_be_bytes());
        }
        hasher.chain_update(self.root).finalize().into()
    }
}

/// How an account stands, from its two totals.
///
/// # Errors
/// `Negative` when the account stands on the wrong side, which only some may ([`AccountKind::may_run_either_way`]).
pub fn standing(
    account: AccountId,
    debits: i64,
    credits: i64,
    currency: Currency,
) -> Result<Money, MoneyError> {
    let debit_normal = account.kind().is_some_and(AccountKind::is_debit_normal);
    let net = debits.checked_sub(credits).ok_or(MoneyError::Overflow)?;
    Money::new(if debit_normal { net } else { -net }, currency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn merkle_roots_follow_rfc_6962() {
        // Published values of the certificate-transparency test tree: the empty tree, and the tree of one empty leaf.
        let hex = |bytes: [u8; 32]| bytes.map(|b| format!("{b:02x}")).concat();
        assert_eq!(hex(merkle_root(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(
            hex(merkle_root(&[vec![]])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex(merkle_root(&[vec![], vec![0]])),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
        assert_eq!(
            hex(merkle_root(&[vec![], vec![0], vec![0x10]])),
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
        );
    }

    #[test]
    fn accounts_of_different_owners_never_share_a_number() {
        let person = PersonId(1_795_000_000_000 << 21);
        let all = [
            AccountId::person(person),
            AccountId::merchant(MchId::FIRST),
            AccountId::fees(),
            AccountId::clearing(ISSUER_NETWORK),
            AccountId::refund_in_flight(ISSUER_NETWORK),
            AccountId::transfers_in_flight(MchId::FIRST),
            AccountId::withdrawals_in_flight(ISSUER_NETWORK),
            AccountId::suspense(ISSUER_NETWORK),
            AccountId::payment_hold(person),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(a.kind().is_some());
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(AccountId::merchant(MchId::FIRST).merchant_owner(), Some(MchId::FIRST));
        assert_eq!(AccountId::person(person).merchant_owner(), None);
    }

    proptest! {
        #[test]
        fn decoding_never_panics_and_encodes_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(journal) = Journal::decode(&bytes) {
                prop_assert_eq!(journal.encode(), bytes);
            }
        }

        #[test]
        fn a_journal_survives_its_canonical_form(seq in 1..i64::MAX, at in 0..i64::MAX, minor in 1..i64::MAX) {
            let (a, b) = (AccountId::fees(), AccountId::clearing(ISSUER_NETWORK));
            let amount = Money::fen(minor).unwrap();
            let line = |account| Line { account, debits_minor: minor, credits_minor: 0, previous: Seq(seq - 1), number: seq };
            let journal = Journal {
                seq: Seq(seq), at: Timestamp(at), kind: JournalKind::TopUp, subject: seq, currency: Currency::Cny,
                postings: vec![Posting { debit: a, credit: b, amount }], lines: vec![line(a), line(b)],
            };
            prop_assert_eq!(Journal::decode(&journal.encode()), Some(journal));
        }
    }
}
