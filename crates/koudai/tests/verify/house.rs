//! The one fixture: a wallet that has lived, built by its own commands. A test plants its bug in a copy.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::binding::{BankFace, BindingAnswer, RecordBinding, RemoveCard, StartBinding};
use koudai_core::card::CardKind;
use koudai_core::id::{AttemptId, CardId, MchId, OrderId, PersonId, RefundId, Seq, TransferId, WithdrawalId};
use koudai_core::identity::Contact;
use koudai_core::ledger::{ISSUER_NETWORK, Journal};
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant, SetMerchant};
use koudai_core::money::Money;
use koudai_core::notice::{RecordTold, Tried};
use koudai_core::order::{CloseOrder, PlaceOrder};
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refund::{Elsewhere, OrderName, RedirectRefund, RequestRefund};
use koudai_core::rows::{CodeKey, CodePurpose, DeliveryOutcome, NetworkRefusal, OneTimeCode, Product, Speed};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{RequestCode, SignIn, code_of};
use koudai_core::state::{Keys, Policy};
use koudai_core::time::{DAY, SECOND, Timestamp};
use koudai_core::top_up::StartTopUp;
use koudai_core::transfer::{
    CancelTransfer, CloseOverdue, CreateTransfer, Found, GivenName, ReceiveTransfer,
};
use koudai_core::withdrawal::{CancelWithdrawal, StartWithdrawal};
use koudai_engine::{Clock, Engine, Settings};
use koudai_store::sqlite::FILE;
use koudai_store::{DirectoryLock, Tuning};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::books::Books;
use crate::codes::Codes;
use crate::issuing::Moves;
use crate::reconciliation::Differences;
use crate::server::Mirror;
use crate::static_codes::Printed;

pub(crate) const BEGIN: Timestamp = Timestamp(1_795_000_000_000);
/// Refunds of one fen each: enough for a history that its index has rows of.
const CRUMBS: i64 = 36;

pub(crate) fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

/// The shop was told of its first events, one of them in vain.
fn told(mchid: MchId) -> RecordTold {
    let tried = |seq, outcome| Tried {
        seq: Seq(seq),
        at: BEGIN,
        tries: 1,
        place: "shop.example/paid".to_owned(),
        outcome,
        status: None,
        took_ms: 7,
        said: None,
    };
    let log = vec![tried(3, DeliveryOutcome::NoAnswer), tried(4, DeliveryOutcome::Answered)];
    RecordTold { mchid, told: Seq(4), failed: vec![Seq(3)], parked: vec![], log }
}

pub(crate) fn pin() -> Pin {
    Pin::parse("852016").unwrap()
}

/// A closed data directory with one of everything, and the ids of what is in it.
pub(crate) struct House {
    directory: TempDir,
    /// The same on a server, if there is one to test on.
    mirror: Option<Mirror>,
    pub(crate) payer: PersonId,
    pub(crate) other: PersonId,
    pub(crate) shop: MchId,
    pub(crate) other_shop: MchId,
    /// Of the payer.
    pub(crate) card: CardId,
    /// Of the other person.
    pub(crate) other_card: CardId,
    /// Succeeded.
    pub(crate) top_up: AttemptId,
    /// Of 10,000 fen with a fee of 60, refunded by 3,333 and 3,000.
    pub(crate) by_balance: OrderId,
    /// The first refund of `by_balance`: 3,333 fen, 19 of the fee.
    pub(crate) balance_refund: RefundId,
    /// Of 20,000 fen with a fee of 120.
    pub(crate) by_card: OrderId,
    /// Three refunds of `by_card`: 5,000 arrived, 2,000 was refused for good, 1,000 is on its way.
    pub(crate) card_refunds: [RefundId; 3],
    /// A refund of `by_card` of 500 fen that was refused for good and went to the balance.
    pub(crate) elsewhere: RefundId,
    /// Of 50 fen and no fee, refunded whole.
    pub(crate) small: OrderId,
    pub(crate) unpaid: OrderId,
    pub(crate) closed: OrderId,
    /// Its card payment failed, so it is unpaid again.
    pub(crate) failed: OrderId,
    pub(crate) paying: OrderId,
    /// Five transfers of 1 to 5 fen to the payer: waiting, received, taken back, failed at once, overdue.
    pub(crate) transfers: [TransferId; 5],
    /// Payments by the payer's codes.
    pub(crate) codes: Codes,
    /// What an app moved of the payer's.
    pub(crate) moves: Moves,
    /// What differs from the issuer's books.
    pub(crate) differences: Differences,
    /// Waiting, being sent, paid, failed and cancelled, all of `other` to `other_card`.
    pub(crate) withdrawals: [WithdrawalId; 5],
    /// What came of a printed code, by `other` and by a guest.
    pub(crate) printed: Printed,
}

/// Runs the wallet's own commands.
pub(crate) struct Hand {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
}

macro_rules! done {
    ($hand:expr, $command:expr) => {{
        $hand.clock.advance(SECOND);
        $hand.engine.submit($command).await.unwrap()
    }};
}
pub(crate) use done;

impl Hand {
    async fn person(&self, no: u8) -> PersonId {
        let contact = Contact::parse(&format!("138{no:08}")).unwrap();
        let request = [no; 32];
        done!(self, RequestCode::new(contact.clone(), request));
        let key = CodeKey { contact: contact.clone(), purpose: CodePurpose::SignIn };
        let wanted = key.clone();
        let row = self.engine.read(move |reader| reader.get::<OneTimeCode>(&wanted)).await.unwrap().unwrap();
        let code = code_of(self.engine.keys(), &key, &row.nonce);
        let person = done!(self, SignIn::new(contact, code, request, [no; 32])).person;
        done!(self, SetPaymentPassword { person, pin: pin() });
        person
    }

    async fn card(&self, person: PersonId, no: u8) -> CardId {
        let start = StartBinding {
            person,
            number: format!("binding-{no}"),
            network: ISSUER_NETWORK,
            card_mac: [no; 32],
            bin: "629999".to_owned(),
            last4: format!("{no:04}"),
            identity_mac: person.0.to_be_bytes().repeat(4).try_into().unwrap(),
            name_masked: "*明".to_owned(),
            id_number_masked: "1****************0".to_owned(),
            identity_sealed: vec![],
            age: 30,
            phone_masked: "138****0000".to_owned(),
            kind: CardKind::Debit,
            pin: Some(pin()),
        };
        let binding = done!(self, start).0.id;
        let face = BankFace {
            bank_zh: "测试银行".to_owned(),
            bank_en: "Test Bank".to_owned(),
            kind: CardKind::Debit,
        };
        let answer = BindingAnswer::Bound { face: Some(face), token_sealed: vec![] };
        done!(self, RecordBinding { binding, answer }).card.unwrap()
    }

    async fn shop(&self) -> MchId {
        let mchid = done!(self, NextMerchant);
        let create = CreateMerchant {
            mchid,
            name: "口袋咖啡".to_owned(),
            appid: format!("wx{:016}", mchid.0),
            products: vec![Product::Native, Product::Transfer, Product::CodePay, Product::Static],
            apiv3_key_sealed: vec![],
            certificate: NewCertificate {
                serial: "1A".to_owned(),
                pem: String::new(),
                not_before: BEGIN,
                not_after: BEGIN.plus(DAY),
            },
        };
        done!(self, create);
        let set = SetMerchant {
            mchid,
            products: None,
            h5_domains: None,
            suspended: None,
            public_key_mode: None,
            transfer_scenes: Some(vec!["1000".to_owned()]),
        };
        done!(self, set);
        mchid
    }

    async fn transfer(
        &self,
        mchid: MchId,
        payee: PersonId,
        minor: i64,
        name: Option<GivenName>,
    ) -> TransferId {
        let create = CreateTransfer {
            mchid,
            appid: format!("wx{:016}", mchid.0),
            out_bill_no: format!("transfer{minor}"),
            scene: "1000".to_owned(),
            payee,
            name,
            amount: fen(minor),
            remark: "新会员奖励".to_owned(),
            perception: None,
            report: "[]".to_owned(),
            notify_url: None,
        };
        done!(self, create).id
    }

    /// One transfer of every outcome. Two days go by.
    async fn transfers(&self, mchid: MchId, payee: PersonId) -> [TransferId; 5] {
        let overdue = self.transfer(mchid, payee, 5, None).await;
        self.clock.advance(2 * DAY);
        done!(self, CloseOverdue { transfers: vec![overdue] });
        let waiting = self.transfer(mchid, payee, 1, None).await;
        let received = self.transfer(mchid, payee, 2, None).await;
        done!(self, ReceiveTransfer { person: payee, transfer: received });
        let cancelled = self.transfer(mchid, payee, 3, None).await;
        done!(self, CancelTransfer { mchid, out_bill_no: "transfer3".to_owned() });
        let found =
            Found::Identity { mac: payee.0.to_be_bytes().repeat(4).try_into().unwrap(), same_name: false };
        let name = GivenName { mac: [1; 32], sealed: vec![], found };
        let failed = self.transfer(mchid, payee, 4, Some(name)).await;
        [waiting, received, cancelled, failed, overdue]
    }

    /// One withdrawal of every outcome, at either speed.
    async fn withdrawals(&self, person: PersonId, card: CardId) -> [WithdrawalId; 5] {
        let ask = async |amount: i64, speed: Speed| {
            let number = format!("withdraw-{amount}");
            done!(
                self,
                StartWithdrawal { person, number, card, amount: fen(amount), speed, confirmed: pin().into() }
            )
        };
        let paid = ask(10_000, Speed::RealTime).await;
        self.bank_says(paid.attempt.unwrap(), true).await;
        let failed = ask(20_000, Speed::RealTime).await;
        self.bank_says(failed.attempt.unwrap(), false).await;
        let cancelled = ask(5_000, Speed::NextDay).await;
        done!(self, CancelWithdrawal { person, number: "withdraw-5000".to_owned() });
        let waiting = ask(4_000, Speed::NextDay).await;
        let sending = ask(3_000, Speed::RealTime).await;
        [waiting, sending, paid, failed, cancelled].map(|withdrawal| withdrawal.id)
    }

    async fn top_up(&self, person: PersonId, card: CardId, number: &str) -> AttemptId {
        let amount = fen(200_000);
        done!(
            self,
            StartTopUp { person, number: number.to_owned(), card, at: None, amount, confirmed: pin().into() }
        )
        .id
    }

    pub(crate) async fn bank_says(&self, attempt: AttemptId, succeeds: bool) {
        let outcome = if succeeds {
            Outcome::Succeeded { network_ref: "1".to_owned() }
        } else {
            Outcome::Failed(NetworkRefusal::Refused)
        };
        done!(self, EndAttempt { attempt, outcome });
    }

    async fn order(&self, mchid: MchId, out_trade_no: &str, amount: i64) -> OrderId {
        let place = PlaceOrder {
            mchid,
            appid: format!("wx{:016}", mchid.0),
            out_trade_no: out_trade_no.to_owned(),
            product: Product::Native,
            description: "拿铁 大杯".to_owned(),
            attach: None,
            notify_url: "http://localhost:1/notify".to_owned(),
            goods_tag: None,
            detail: None,
            scene_info: None,
            settle_info: None,
            amount: fen(amount),
            time_expire: None,
            meant_for: None,
        };
        done!(self, place).id
    }

    /// Pays an order; the card payment that is asked for, if it is by card.
    pub(crate) async fn pay(
        &self,
        person: PersonId,
        order: OrderId,
        card: Option<CardId>,
    ) -> Option<AttemptId> {
        done!(self, Pay { person, order, means: Means::of(card), confirmed: pin().into() }).attempt
    }

    async fn refund(&self, mchid: MchId, order: OrderId, no: &str, amount: i64, total: i64) -> RefundId {
        let refund = RequestRefund {
            mchid,
            order: OrderName::Id(order),
            out_refund_no: no.to_owned(),
            amount: fen(amount),
            total: fen(total),
            reason: None,
            notify_url: None,
        };
        done!(self, refund).0.id
    }

    async fn call_of(&self, refund: RefundId) -> AttemptId {
        let read = self.engine.read(move |reader| reader.get::<koudai_core::rows::Refund>(&refund));
        read.await.unwrap().unwrap().attempt.unwrap()
    }
}

impl House {
    pub(crate) fn built() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kind"), "serve\n").unwrap();
        // Every journal a generation: what follows from all but the newest is in its tables.
        let settings = Settings { tuning: Tuning { generation: 1 }, ..Settings::directory(directory.path()) };
        let mut house = runtime.block_on(async {
            let (house, _hand) = Self::lived_in(directory, &settings, Clock::by_hand(BEGIN)).await;
            house
        });
        house.mirror = Mirror::new();
        // The engine's thread lets go of the directory a moment after its last handle is gone.
        for _ in 0..500 {
            if let Ok(lock) = DirectoryLock::take(house.directory.path()) {
                drop(lock);
                let database = Connection::open(house.directory.path().join(FILE)).unwrap();
                database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                return house;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the engine does not end")
    }

    /// Lives in a ledger; the hand it did so with may still be at work there.
    pub(crate) async fn lived_in(directory: TempDir, settings: &Settings, clock: Clock) -> (Self, Hand) {
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let engine = Engine::start(settings, keys, Policy::default(), clock.clone()).unwrap();
        let hand = Hand { engine, clock };

        let (payer, other) = (hand.person(1).await, hand.person(2).await);
        let (card, other_card) = (hand.card(payer, 1).await, hand.card(other, 2).await);
        let old_card = hand.card(other, 3).await;
        done!(hand, RemoveCard { person: other, card: old_card, pin: pin() });
        let (shop, other_shop) = (hand.shop().await, hand.shop().await);
        let top_up = hand.top_up(payer, card, "top-up-1").await;
        hand.bank_says(top_up, true).await;
        let others = hand.top_up(other, other_card, "top-up-1").await;
        hand.bank_says(others, true).await;
        let refused = hand.top_up(other, other_card, "top-up-2").await;
        hand.bank_says(refused, false).await;
        hand.top_up(payer, card, "top-up-2").await;

        // So that the shop can pay for refunds of what a bug took from it.
        let cushion = hand.order(shop, "cushion", 20_000).await;
        hand.pay(other, cushion, None).await;
        let by_balance = hand.order(shop, "by-balance", 10_000).await;
        hand.pay(payer, by_balance, None).await;
        let balance_refund = hand.refund(shop, by_balance, "refund-1", 3_333, 10_000).await;
        hand.refund(shop, by_balance, "refund-2", 3_000, 10_000).await;

        let by_card = hand.order(shop, "by-card", 20_000).await;
        let call = hand.pay(payer, by_card, Some(card)).await.unwrap();
        hand.bank_says(call, true).await;
        let arrived = hand.refund(shop, by_card, "refund-3", 5_000, 20_000).await;
        hand.bank_says(hand.call_of(arrived).await, true).await;
        let abnormal = hand.refund(shop, by_card, "refund-4", 2_000, 20_000).await;
        hand.bank_says(hand.call_of(abnormal).await, false).await;
        let under_way = hand.refund(shop, by_card, "refund-5", 1_000, 20_000).await;
        let elsewhere = hand.refund(shop, by_card, "refund-6", 500, 20_000).await;
        hand.bank_says(hand.call_of(elsewhere).await, false).await;
        let (out_refund_no, to) = ("refund-6".to_owned(), Elsewhere::Balance);
        done!(hand, RedirectRefund { mchid: shop, refund: elsewhere, out_refund_no, to });

        let transfers = hand.transfers(shop, payer).await;
        let small = hand.order(other_shop, "small-1", 50).await;
        hand.pay(other, small, None).await;
        hand.refund(other_shop, small, "refund-1", 50, 50).await;
        let unpaid = hand.order(shop, "unpaid", 100).await;
        let closed = hand.order(shop, "closed", 100).await;
        done!(hand, CloseOrder { mchid: shop, out_trade_no: "closed".to_owned() });
        let failed = hand.order(shop, "failed", 100).await;
        let call = hand.pay(payer, failed, Some(card)).await.unwrap();
        hand.bank_says(call, false).await;
        let paying = hand.order(shop, "paying", 100).await;
        hand.pay(payer, paying, Some(card)).await.unwrap();

        let codes = hand.codes(shop, payer, card).await;
        let moves = hand.moves(payer).await;
        let differences = hand.compared(top_up).await;
        let withdrawals = hand.withdrawals(other, other_card).await;
        let printed = hand.printed(shop, other, other_card).await;
        let crumbs = hand.order(other_shop, "crumbs", CRUMBS).await;
        hand.pay(other, crumbs, None).await;
        for n in 1..=CRUMBS {
            hand.refund(other_shop, crumbs, &format!("crumb-{n}"), 1, CRUMBS).await;
        }
        done!(hand, told(shop));
        hand.bar(shop).await;

        let house = Self {
            directory,
            mirror: None,
            payer,
            other,
            shop,
            other_shop,
            card,
            other_card,
            top_up,
            by_balance,
            balance_refund,
            by_card,
            card_refunds: [arrived, abnormal, under_way],
            elsewhere,
            small,
            unpaid,
            closed,
            failed,
            paying,
            transfers,
            codes,
            moves,
            differences,
            withdrawals,
            printed,
        };
        (house, hand)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Plants a bug in a copy and expects it to be found by this invariant.
    #[track_caller]
    pub(crate) fn finds(&self, invariant: &str, plant: impl FnOnce(&Books)) {
        let copy = self.copy();
        plant(&Books::open(copy.path()));
        for (passed, said) in self.verdicts(copy.path()) {
            assert!(!passed, "it passes, though not: {invariant}");
            assert!(said.contains(invariant), "not found by {invariant:?}, but: {said}");
        }
    }

    /// Whether a copy passes, and what is said of it: of the file, and of the same rows on a server if there is one.
    pub(crate) fn verdicts(&self, copy: &Path) -> Vec<(bool, String)> {
        let mirrored = self.mirror.iter().map(|mirror| mirror.verify(copy));
        std::iter::once(verify(copy)).chain(mirrored).collect()
    }

    /// As `finds`, for a bug that is one statement.
    #[track_caller]
    pub(crate) fn finds_sql(&self, invariant: &str, sql: &str) {
        self.finds(invariant, |books| books.sql(sql));
    }

    /// As `finds`, for a bug in the journals whose lines, balances and seals follow suit.
    #[track_caller]
    pub(crate) fn finds_booked(&self, invariant: &str, plant: impl FnOnce(&mut Vec<Journal>)) {
        self.finds(invariant, |books| books.rebook(plant));
    }

    pub(crate) fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in ["kind", FILE] {
            std::fs::copy(self.directory.path().join(file), copy.path().join(file)).unwrap();
        }
        copy
    }
}

/// Whether `koudai verify` passes, and what it says.
pub(crate) fn verify(directory: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_koudai"))
        .args(["verify", "--data", directory.to_str().unwrap()])
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = if output.status.success() { text(&output.stdout) } else { text(&output.stderr) };
    (output.status.success(), said)
}
