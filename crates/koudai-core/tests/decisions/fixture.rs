//! The one fixture: a state, a time, and a store in memory that knows no more than the trait of a table visitor.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::binding::{BankFace, BindingAnswer, RecordBinding, StartBinding};
use koudai_core::cache::{Cache, TableVisitor};
use koudai_core::card::CardKind;
use koudai_core::code_payment::TakeByCode;
use koudai_core::column::{Cells, Column, Row, Value};
use koudai_core::id::{AttemptId, BindingId, CardId, MchId, OrderId, PersonId, Seq};
use koudai_core::identity::{Contact, Phone};
use koudai_core::ledger::{AccountId, AccountKind, ISSUER_NETWORK, Journal, JournalKind, Posting, standing};
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant, SetMerchant};
use koudai_core::money::{Currency, Money};
use koudai_core::order::PlaceOrder;
use koudai_core::payer_code::{AuthCode, IssuePayerCode, SwitchPayerCodesOn};
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Balance, Card, CodeKey, CodePurpose, NetworkRefusal, OneTimeCode,
    Order, Person, Product, Refund, Rows, Speed, Transfer, TransferState, WaitingTransfer, WaitingWithdrawal,
    Withdrawal, WithdrawalState,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{RequestCode, SignIn, code_of};
use koudai_core::state::{Batch, Command, Event, Keys, OrStop, Policy, State, Stop, Tx};
use koudai_core::time::Timestamp;
use koudai_core::top_up::StartTopUp;
use koudai_core::transfer::CreateTransfer;
use koudai_core::withdrawal::StartWithdrawal;

/// 2026-11-18, early in the morning in China.
pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);
/// What whoever asks for a code holds.
pub(crate) const REQUEST: [u8; 32] = [9; 32];
/// The right payment password of everybody.
pub(crate) const PIN: &str = "135790";
/// What every merchant may send people money for.
pub(crate) const SCENE: &str = "1000";
/// A wrong one.
pub(crate) const WRONG: &str = "864209";

/// What happens to loaded rows between two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// They stay until the test commits, as in one long batch.
    Keep,
    /// Every command is a batch of its own, and nothing stays loaded after it.
    Forget,
    /// As `Keep`, but a round loads one row only, so that decisions stop at every look-up they make.
    Trickle,
}

/// Rows as a database would hold them: by table and the key's cells.
pub(crate) type Stored = BTreeMap<(&'static str, String), Vec<Value>>;

/// Where money is and how it got there, decided by the real decisions.
pub(crate) struct Ledger {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) policy: Policy,
    pub(crate) keys: Keys,
    pub(crate) habit: Habit,
    pub(crate) events: Vec<Event>,
    /// How often a decision stopped because a row was absent.
    pub(crate) stops: u32,
    /// Every key that was ever wanted, by table.
    pub(crate) wanted: HashMap<&'static str, Box<dyn Any>>,
    store: Stored,
    journals: Vec<Journal>,
    bindings: u32,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::with(Habit::Keep)
    }

    pub(crate) fn with(habit: Habit) -> Self {
        Self {
            state: State::new(Seq(0), START),
            now: START,
            policy: Policy::default(),
            keys: Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) },
            habit,
            events: vec![],
            stops: 0,
            wanted: HashMap::new(),
            store: Stored::new(),
            journals: vec![],
            bindings: 0,
        }
    }

    /// Decides a command, loading what it misses until it has its answer.
    pub(crate) fn submit<C: Command>(&mut self, command: &C) -> Result<C::Reply, C::Refusal> {
        for _ in 0..100 {
            let batch = Batch {
                now: self.now,
                entropy: Secret::new([7; 32]),
                keys: &self.keys,
                policy: &self.policy,
                epoch: 1,
            };
            let outcome = match self.state.decide(&batch, command) {
                Err(Stop::Absent) => {
                    self.stops += 1;
                    let left = (self.habit == Habit::Trickle).then_some(1);
                    let mut load = Load { store: &self.store, wanted: &mut self.wanted, left };
                    let Ok(()) = self.state.rows.visit(&mut load);
                    continue;
                }
                Err(Stop::Refused(refusal)) => Err(refusal),
                Ok(reply) => Ok(reply),
            };
            if self.habit == Habit::Forget {
                self.commit();
                self.state.rows = Rows::default();
            }
            return outcome;
        }
        panic!("a decision keeps asking for rows");
    }

    /// Writes what changed to the store, as the engine does at the end of a batch.
    pub(crate) fn commit(&mut self) {
        let Ok(()) = self.state.rows.visit(&mut Write(&mut self.store));
        let Ok(()) = self.state.rows.visit(&mut Written);
        self.journals.append(&mut self.state.journals);
        self.events.append(&mut self.state.events);
    }

    /// Loads keys that another ledger wanted, so that no decision about them has to stop.
    pub(crate) fn preload(&mut self, wanted: &HashMap<&'static str, Box<dyn Any>>) {
        let Ok(()) = self.state.rows.visit(&mut Preload { store: &self.store, wanted });
    }

    /// All rows as they stand, committed or not.
    pub(crate) fn snapshot(&mut self) -> Stored {
        let mut all = self.store.clone();
        let Ok(()) = self.state.rows.visit(&mut Write(&mut all));
        all
    }

    /// All journals, committed or not.
    pub(crate) fn journals(&self) -> Vec<Journal> {
        self.journals.iter().chain(&self.state.journals).cloned().collect()
    }

    /// All rows of a table.
    pub(crate) fn all<R: Row>(&mut self) -> Vec<R> {
        let of_table = |((table, _), mut cells): ((&str, String), Vec<Value>)| {
            (table == R::TABLE).then(|| R::read(&mut Cells::new(&mut cells)).expect("a row reads back"))
        };
        self.snapshot().into_iter().filter_map(of_table).collect()
    }

    /// The row of a key.
    pub(crate) fn get<R: Row>(&mut self, key: &R::Key) -> Option<R> {
        self.all::<R>().into_iter().find(|row| row.key() == *key)
    }

    pub(crate) fn advance(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
    }

    /// How an account stands, in fen.
    pub(crate) fn balance(&mut self, account: AccountId) -> i64 {
        let Some(b) = self.get::<Balance>(&account) else { return 0 };
        standing(account, b.debits_minor, b.credits_minor, b.currency).expect("the right side").minor()
    }

    pub(crate) fn balance_of(&mut self, person: PersonId) -> i64 {
        self.balance(AccountId::person(person))
    }

    /// A person who signed in by this phone.
    pub(crate) fn person(&mut self, phone: &str) -> PersonId {
        let phone = Phone::parse(phone).expect("a phone");
        let ask = RequestCode::new(Contact::Phone(phone.clone()), REQUEST);
        self.submit(&ask).expect("a first code is sent");
        let code = self.code(&phone);
        let token_hash = [self.all::<Person>().len().try_into().expect("few persons"); 32];
        self.submit(&SignIn::new(Contact::Phone(phone), code, REQUEST, token_hash))
            .expect("the right code signs in")
            .person
    }

    /// The code last sent to a phone.
    pub(crate) fn code(&mut self, phone: &Phone) -> Secret<String> {
        let key = CodeKey { contact: Contact::Phone(phone.clone()), purpose: CodePurpose::SignIn };
        let row = self.get::<OneTimeCode>(&key).expect("a code was sent");
        code_of(&self.keys, &key, &row.nonce)
    }

    /// A person with the payment password and nothing else.
    pub(crate) fn person_with_pin(&mut self, phone: &str) -> PersonId {
        let person = self.person(phone);
        self.submit(&SetPaymentPassword { person, pin: pin(PIN) }).expect("none is set yet");
        person
    }

    /// A person with the payment password and this much.
    pub(crate) fn person_with(&mut self, phone: &str, minor: i64) -> PersonId {
        let person = self.person_with_pin(phone);
        let card = self.card(person);
        self.fund(person, card, minor);
        person
    }

    /// Tops up by a card that the bank debits.
    pub(crate) fn fund(&mut self, person: PersonId, card: CardId, minor: i64) {
        let attempt = self.submit(&top_up(person, card, "fund-0001", minor)).expect("a card tops up");
        self.succeed(attempt.id);
    }

    /// A fresh card of a person.
    pub(crate) fn card(&mut self, person: PersonId) -> CardId {
        let binding = self.binding(person);
        let bound = self.submit(&RecordBinding { binding, answer: bound() }).expect("the bank binds");
        bound.card.expect("a bound binding has its card")
    }

    /// A binding of a card that nobody has, just begun.
    pub(crate) fn binding(&mut self, person: PersonId) -> BindingId {
        self.bindings += 1;
        let card = u8::try_from(self.bindings).expect("few cards");
        let start = start_binding(person, &format!("binding-{card:04}"), card);
        self.submit(&start).expect("a fresh card").0.id
    }

    /// A merchant that may use every product, named by the app `wx` and its number.
    pub(crate) fn merchant(&mut self) -> MchId {
        let mchid = self.submit(&NextMerchant).expect("a number is always there");
        let certificate = NewCertificate {
            serial: "4F2A".to_owned(),
            pem: "pem".to_owned(),
            not_before: START,
            not_after: START.plus(1),
        };
        let create = CreateMerchant {
            mchid,
            name: "口袋咖啡".to_owned(),
            appid: appid(mchid),
            products: Product::ALL.to_vec(),
            apiv3_key_sealed: vec![1, 2, 3],
            certificate,
        };
        self.submit(&create).expect("a fresh number");
        let transfer_scenes = Some(vec![SCENE.to_owned()]);
        self.submit(&SetMerchant { transfer_scenes, ..set(mchid) }).expect("it is there").mchid
    }

    pub(crate) fn order(&mut self, mchid: MchId, number: &str, minor: i64) -> Order {
        self.submit(&place(mchid, number, minor)).expect("a fresh order")
    }

    /// An order of a merchant that a person has just paid from the balance.
    pub(crate) fn paid(&mut self, mchid: MchId, number: &str, person: PersonId, minor: i64) -> Order {
        let order = self.order(mchid, number, minor);
        self.pay(person, order.id).expect("the balance covers it")
    }

    /// An order of a merchant that a person has just paid by card.
    pub(crate) fn paid_by_card(
        &mut self,
        mchid: MchId,
        number: &str,
        by: (PersonId, CardId),
        minor: i64,
    ) -> Order {
        let order = self.order(mchid, number, minor);
        let paying = self.pay_by(by.0, order.id, Some(by.1), PIN).expect("the card is asked");
        self.succeed(paying.attempt.expect("a card payment has its attempt"));
        self.get(&order.id).expect("the order stays")
    }

    pub(crate) fn pay(&mut self, person: PersonId, order: OrderId) -> Result<Order, Refusal> {
        self.pay_by(person, order, None, PIN)
    }

    pub(crate) fn pay_by(
        &mut self,
        person: PersonId,
        order: OrderId,
        card: Option<CardId>,
        with: &str,
    ) -> Result<Order, Refusal> {
        self.submit(&Pay { person, order, means: Means::of(card), confirmed: pin(with).into() })
    }

    pub(crate) fn succeed(&mut self, attempt: AttemptId) -> Attempt {
        let outcome = Outcome::Succeeded { network_ref: "bank-1".to_owned() };
        self.submit(&EndAttempt { attempt, outcome }).expect("a known attempt")
    }

    pub(crate) fn fail(&mut self, attempt: AttemptId, why: NetworkRefusal) -> Attempt {
        self.submit(&EndAttempt { attempt, outcome: Outcome::Failed(why) }).expect("a known attempt")
    }

    pub(crate) fn refund(
        &mut self,
        order: &Order,
        number: &str,
        minor: i64,
    ) -> Result<(Refund, Order), MerchantRefusal> {
        self.submit(&refund(order, number, minor))
    }

    /// The code of a random number, which a person who has switched codes on shows from now on.
    pub(crate) fn shown(&mut self, person: PersonId, random: u64) -> AuthCode {
        let code = AuthCode::draw(random);
        self.submit(&IssuePayerCode { person, code: code.clone() }).expect("codes are on");
        code
    }

    /// A person with this much who pays by codes, and the first they show.
    pub(crate) fn shower(&mut self, phone: &str, minor: i64) -> (PersonId, AuthCode) {
        let person = self.person_with(phone, minor);
        self.submit(&SwitchPayerCodesOn { person, pin: pin(PIN) }).expect("the right password");
        (person, self.shown(person, 1))
    }

    /// What a command leaves behind: its answer, and whether any row or journal changed.
    pub(crate) fn effect<C: Command>(&mut self, command: &C) -> (Result<C::Reply, C::Refusal>, bool) {
        let before = (self.snapshot(), self.journals());
        let outcome = self.submit(command);
        let changed = before != (self.snapshot(), self.journals());
        (outcome, changed)
    }

    /// Submits a command that must be refused and leave nothing behind; its reason.
    pub(crate) fn refusal<C: Command>(&mut self, command: &C) -> C::Refusal {
        let (outcome, changed) = self.effect(command);
        assert!(!changed, "a refusal leaves nothing behind");
        outcome.err().expect("it is refused")
    }

    /// Checks the books as an auditor would, from the postings alone: nothing created, nobody on the wrong side at any
    /// moment, every line and balance as the postings make it, and no order refunded beyond what was paid.
    pub(crate) fn audit(&mut self) {
        let mut books: BTreeMap<AccountId, (i64, i64, Seq)> = BTreeMap::new();
        for (n, journal) in (1..).zip(self.journals()) {
            assert_eq!(journal.seq, Seq(n), "journals are numbered without gaps");
            for p in &journal.postings {
                books.entry(p.debit).or_insert((0, 0, Seq(0))).0 += p.amount.minor();
                books.entry(p.credit).or_insert((0, 0, Seq(0))).1 += p.amount.minor();
            }
            for line in &journal.lines {
                let book = books.entry(line.account).or_insert((0, 0, Seq(0)));
                assert_eq!((line.debits_minor, line.credits_minor, line.previous), *book);
                book.2 = journal.seq;
                let kind = line.account.kind().expect("an account of ours");
                let net = if kind.is_debit_normal() { book.0 - book.1 } else { book.1 - book.0 };
                assert!(net >= 0 || kind.may_run_either_way(), "{line:?} stands on its wrong side");
            }
        }
        let balances = self.all::<Balance>().into_iter();
        let balances: BTreeMap<_, _> =
            balances.map(|b| (b.account, (b.debits_minor, b.credits_minor, b.as_of))).collect();
        assert_eq!(balances, books, "the balances are what the journals make them");
        let (debits, credits) = books.values().fold((0, 0), |sum, b| (sum.0 + b.0, sum.1 + b.1));
        assert_eq!(debits, credits, "money is neither made nor lost");
        let (transfers, open) = (self.all::<Transfer>(), self.all::<WaitingTransfer>());
        let waiting = transfers.iter().filter(|t| t.state == TransferState::Waiting);
        assert_eq!(waiting.clone().count(), open.len(), "who waits may receive, and nobody else");
        let mut in_flight: BTreeMap<AccountId, i64> = BTreeMap::new();
        for transfer in waiting {
            *in_flight.entry(AccountId::transfers_in_flight(transfer.mchid)).or_default() +=
                transfer.amount.minor();
        }
        for (account, (debits, credits, _)) in &books {
            if account.kind() == Some(AccountKind::TransferInFlight) {
                let waits = in_flight.remove(account).unwrap_or(0);
                assert_eq!(credits - debits, waits, "what is in flight is what waits for its payee");
            }
        }
        assert!(in_flight.is_empty(), "whatever waits is in flight: {in_flight:?}");
        self.audit_withdrawals(&books);
        self.audit_holds(&books);
        let refunds = self.all::<Refund>();
        for order in self.all::<Order>() {
            assert!(order.refunded.minor() <= order.amount.minor());
            assert!(order.fee_returned.minor() <= order.fee.minor());
            let own = refunds.iter().filter(|r| r.order == order.id);
            let sum = own.fold((0, 0), |s, r| (s.0 + r.amount.minor(), s.1 + r.fee_returned.minor()));
            assert_eq!(sum, (order.refunded.minor(), order.fee_returned.minor()));
        }
    }

    /// What is held for payments is what their cards do not pay while they are asked.
    fn audit_holds(&mut self, books: &BTreeMap<AccountId, (i64, i64, Seq)>) {
        let mut held: BTreeMap<_, i64> = BTreeMap::new();
        let asked = |a: &Attempt| a.kind == AttemptKind::CardPayment && a.state == AttemptState::Open;
        for attempt in self.all::<Attempt>().into_iter().filter(asked) {
            let order: Order = self.get(&attempt.order.expect("its order")).expect("the order stays");
            let rest = order.amount.minor() - attempt.amount.minor();
            *held.entry(AccountId::payment_hold(attempt.person)).or_default() += rest;
        }
        for (account, (debits, credits, _)) in books {
            if account.kind() == Some(AccountKind::PaymentHold) {
                assert_eq!(credits - debits, held.remove(account).unwrap_or(0), "what is held");
            }
        }
        assert!(held.values().all(|minor| *minor == 0), "whatever a card does not pay is held: {held:?}");
    }

    /// What is in flight to cards is what waits or is being sent, each card counts its own, and whatever waits is due.
    fn audit_withdrawals(&mut self, books: &BTreeMap<AccountId, (i64, i64, Seq)>) {
        let (mut in_flight, mut to): (BTreeMap<_, i64>, BTreeMap<_, u32>) = Default::default();
        let withdrawals = self.all::<Withdrawal>();
        for open in withdrawals.iter().filter(|w| w.is_open()) {
            *in_flight.entry(AccountId::withdrawals_in_flight(open.network)).or_default() +=
                open.held().minor();
            *to.entry(open.card).or_default() += 1;
        }
        for (account, (debits, credits, _)) in books {
            if account.kind() == Some(AccountKind::WithdrawalInFlight) {
                assert_eq!(credits - debits, in_flight.remove(account).unwrap_or(0), "what is in flight");
            }
        }
        assert!(in_flight.is_empty(), "whatever is open is in flight: {in_flight:?}");
        for card in self.all::<Card>() {
            assert_eq!(card.withdrawals, to.get(&card.id).copied().unwrap_or(0), "what a card waits for");
        }
        let waiting = withdrawals.iter().filter(|w| w.state == WithdrawalState::Waiting).map(|w| w.id);
        let due: Vec<_> = self.all::<WaitingWithdrawal>().into_iter().map(|row| row.withdrawal).collect();
        assert_eq!(waiting.collect::<Vec<_>>(), due, "what waits is due, and nothing else");
    }
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::parse(text).expect("six digits")
}

pub(crate) fn fen(minor: i64) -> Money {
    Money::fen(minor).expect("zero or more")
}

pub(crate) fn appid(mchid: MchId) -> String {
    format!("wx{}", mchid.wire())
}

pub(crate) fn face() -> BankFace {
    BankFace { bank_zh: "海港银行".to_owned(), bank_en: "Harbour Bank".to_owned(), kind: CardKind::Debit }
}

pub(crate) fn bound() -> BindingAnswer {
    BindingAnswer::Bound { face: Some(face()), token_sealed: vec![9; 4] }
}

/// The intent to bind the card of a number; everybody is one and the same identity per person.
pub(crate) fn start_binding(person: PersonId, number: &str, card: u8) -> StartBinding {
    let mut identity_mac = [0; 32];
    identity_mac[..8].copy_from_slice(&person.0.to_be_bytes());
    StartBinding {
        person,
        number: number.to_owned(),
        network: ISSUER_NETWORK,
        card_mac: [card; 32],
        bin: "621626".to_owned(),
        last4: format!("{card:04}"),
        identity_mac,
        name_masked: "**明".to_owned(),
        id_number_masked: "1****************X".to_owned(),
        identity_sealed: vec![5; 8],
        age: 30,
        phone_masked: "138****8000".to_owned(),
        kind: CardKind::Debit,
        pin: Some(pin(PIN)),
    }
}

pub(crate) fn top_up(person: PersonId, card: CardId, number: &str, minor: i64) -> StartTopUp {
    StartTopUp {
        person,
        number: number.to_owned(),
        card,
        at: None,
        amount: fen(minor),
        confirmed: pin(PIN).into(),
    }
}

pub(crate) fn withdrawal(
    person: PersonId,
    card: CardId,
    number: &str,
    minor: i64,
    speed: Speed,
) -> StartWithdrawal {
    StartWithdrawal {
        person,
        number: number.to_owned(),
        card,
        amount: fen(minor),
        speed,
        confirmed: pin(PIN).into(),
    }
}

pub(crate) fn place(mchid: MchId, number: &str, minor: i64) -> PlaceOrder {
    PlaceOrder {
        mchid,
        appid: appid(mchid),
        out_trade_no: number.to_owned(),
        product: Product::Native,
        description: "一杯咖啡".to_owned(),
        attach: None,
        notify_url: "https://shop.example/notify".to_owned(),
        goods_tag: None,
        detail: None,
        scene_info: None,
        settle_info: None,
        amount: fen(minor),
        time_expire: None,
        meant_for: None,
    }
}

pub(crate) fn take(mchid: MchId, number: &str, minor: i64, code: &AuthCode) -> TakeByCode {
    TakeByCode {
        mchid,
        appid: appid(mchid),
        out_trade_no: number.to_owned(),
        description: "一杯咖啡".to_owned(),
        attach: None,
        goods_tag: None,
        detail: None,
        scene_info: None,
        settle_info: None,
        amount: fen(minor),
        code: code.clone(),
    }
}

/// A transfer of a merchant's to somebody it does not name.
pub(crate) fn transfer(mchid: MchId, number: &str, payee: PersonId, minor: i64) -> CreateTransfer {
    CreateTransfer {
        mchid,
        appid: appid(mchid),
        out_bill_no: number.to_owned(),
        scene: SCENE.to_owned(),
        payee,
        name: None,
        amount: fen(minor),
        remark: "新会员奖励".to_owned(),
        perception: Some("活动奖励".to_owned()),
        report: "[]".to_owned(),
        notify_url: None,
    }
}

/// A change of a merchant that changes nothing.
pub(crate) const fn set(mchid: MchId) -> SetMerchant {
    SetMerchant {
        mchid,
        products: None,
        h5_domains: None,
        suspended: None,
        public_key_mode: None,
        transfer_scenes: None,
    }
}

pub(crate) fn refund(order: &Order, number: &str, minor: i64) -> RequestRefund {
    RequestRefund {
        mchid: order.mchid,
        order: OrderName::Number(order.out_trade_no.to_string()),
        out_refund_no: number.to_owned(),
        amount: fen(minor),
        total: order.amount,
        reason: None,
        notify_url: None,
    }
}

/// Freezes a person, as staff will be able to.
pub(crate) struct Freeze(pub(crate) PersonId);

impl Command for Freeze {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let person = tx.rows().person.get(&self.0).or_stop()?.cloned();
        let mut person = person.ok_or(Refusal::SignedOut)?;
        person.frozen = true;
        tx.rows().person.put(person);
        Ok(())
    }
}

/// Has an account be in a cool-down from now on.
pub(crate) struct Cool(pub(crate) PersonId);

impl Command for Cool {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (now, first_ms) = (tx.now(), tx.policy().safety.cool_down_ms);
        let person = tx.rows().person.get(&self.0).or_stop()?.cloned();
        let cool_until = now.plus(first_ms);
        tx.rows().person.put(Person { cool_until, ..person.ok_or(Refusal::SignedOut)? });
        Ok(())
    }
}

/// Takes money from a merchant and sends it out through the network, as a settlement will.
pub(crate) struct PayOut(pub(crate) MchId, pub(crate) i64);

impl Command for PayOut {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        let (debit, credit) = (AccountId::merchant(self.0), AccountId::clearing(ISSUER_NETWORK));
        tx.prepare(&[debit, credit]).or_stop()?;
        let posting = Posting { debit, credit, amount: fen(self.1) };
        tx.post(JournalKind::TopUp, 0, Currency::Cny, vec![posting], &[]);
        Ok(())
    }
}

/// The key's cells, written out: a phone's own `Debug` is masked and would name two rows alike.
fn address<R: Row>(key: &R::Key) -> (&'static str, String) {
    let mut cells = Vec::new();
    key.write(&mut cells);
    (R::TABLE, format!("{cells:?}"))
}

fn find<R: Row>(store: &Stored, key: &R::Key) -> Option<R> {
    let read = |mut cells: Vec<Value>| R::read(&mut Cells::new(&mut cells)).expect("a row reads back");
    store.get(&address::<R>(key)).cloned().map(read)
}

struct Load<'a> {
    store: &'a Stored,
    wanted: &'a mut HashMap<&'static str, Box<dyn Any>>,
    left: Option<usize>,
}

impl TableVisitor for Load<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        for key in cache.take_wanted() {
            if self.left.is_some_and(|left| left == 0) {
                break;
            }
            self.left = self.left.map(|left| left - 1);
            let known = self.wanted.entry(R::TABLE).or_insert_with(|| Box::new(Vec::<R::Key>::new()));
            known.downcast_mut::<Vec<R::Key>>().expect("one key type a table").push(key.clone());
            let row = find(self.store, &key);
            cache.loaded(key, row);
        }
        Ok(())
    }
}

struct Preload<'a> {
    store: &'a Stored,
    wanted: &'a HashMap<&'static str, Box<dyn Any>>,
}

impl TableVisitor for Preload<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        let keys = self.wanted.get(R::TABLE).and_then(|keys| keys.downcast_ref::<Vec<R::Key>>());
        for key in keys.into_iter().flatten() {
            cache.loaded(key.clone(), find(self.store, key));
        }
        Ok(())
    }
}

struct Write<'a>(&'a mut Stored);

impl TableVisitor for Write<'_> {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        for (key, row, _) in cache.changes() {
            if let Some(row) = row {
                self.0.insert(address::<R>(key), row.cells());
            } else {
                self.0.remove(&address::<R>(key));
            }
        }
        Ok(())
    }
}

struct Written;

impl TableVisitor for Written {
    type Error = std::convert::Infallible;

    fn table<R: Row>(&mut self, cache: &mut Cache<R>) -> Result<(), Self::Error> {
        cache.next_batch();
        Ok(())
    }
}
