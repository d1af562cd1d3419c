//! What holds for any stream of commands, tried on many.

use std::fmt::Debug;

use koudai_core::attempt::{AttemptUnknown, EndAttempt, Outcome};
use koudai_core::bill::{SetMerchantBills, TellTime};
use koudai_core::binding::{RecordBinding, RemoveCard};
use koudai_core::card::CardKind;
use koudai_core::code_payment::{ConfirmCodePayment, DeclineCodePayment};
use koudai_core::id::{AttemptId, CardId, MchId, PersonId, Seq};
use koudai_core::identity::{Contact, Phone};
use koudai_core::login_code::{SetAppSecret, SweepLoginCodes, UseLoginCode};
use koudai_core::merchant::{
    AddCertificate, CreateStaff, NewCertificate, RevokeCertificate, SetApiV3Key, SetMerchant,
};
use koudai_core::notice::{RecordHeld, RecordRetry, RecordTold, ReplayNotices, Replayer};
use koudai_core::order::{CloseOrder, PlaceOrder, SweepCodes};
use koudai_core::other_wallet::{AllowLink, GiveUp, LinkWallet};
use koudai_core::payer_code::{
    AuthCode, ChoosePayerMethod, IssuePayerCode, SweepPayerCodes, SwitchPayerCodesOff, SwitchPayerCodesOn,
};
use koudai_core::payment::{Means, Pay, PayCode};
use koudai_core::payment_password::SetPaymentPassword;
use koudai_core::refund::{Elsewhere, OrderName, RedirectRefund, RequestRefund};
use koudai_core::reversal::ReverseOrder;
use koudai_core::rows::{
    Attempt, BindingNumber, Card, ClientNumber, CodeKey, CodePurpose, Message, NetworkRefusal, NoticeKey,
    OneTimeCode, OpenAttempt, Order, PayerCode, Product, Refund, Speed, StaffRole, Transfer, Withdrawal,
};
use koudai_core::sign_in::{MessageDone, MessageFailed, RequestCode, SignIn, SignOut};
use koudai_core::state::Command;
use koudai_core::time::Timestamp;
use koudai_core::top_up::StartTopUp;
use koudai_core::transfer::{CancelTransfer, CloseOverdue, ReceiveTransfer};
use koudai_core::withdrawal::{CancelWithdrawal, SendWithdrawals};
use proptest::prelude::*;

use crate::fixture::{
    Habit, Ledger, PIN, REQUEST, START, WRONG, appid, bound, fen, pin, place, set, start_binding, take,
    top_up, transfer, withdrawal,
};
use crate::notice::tried;
use crate::other_wallet::{inside, open};

const PERSONS: usize = 3;
const MERCHANTS: usize = 2;
const ORDERS: usize = 4;

/// A command in the words of a small world: persons, merchants, orders and attempts by number.
#[derive(Clone, Debug)]
enum Op {
    TopUp {
        person: usize,
        number: u8,
        minor: i64,
    },
    End {
        attempt: usize,
        succeeded: bool,
    },
    Place {
        merchant: usize,
        order: usize,
        minor: i64,
    },
    Close {
        merchant: usize,
        order: usize,
    },
    Pay {
        person: usize,
        merchant: usize,
        order: usize,
        by_card: bool,
        right: bool,
    },
    Refund {
        merchant: usize,
        order: usize,
        number: u8,
        minor: i64,
    },
    Remove {
        person: usize,
    },
    Redirect {
        refund: usize,
        to_merchant: bool,
    },
    Unknown {
        attempt: usize,
    },
    Sweep,
    /// The payer's code number `code` of a person is issued.
    Show {
        person: usize,
        code: u8,
    },
    Take {
        person: usize,
        merchant: usize,
        order: usize,
        code: u8,
        minor: i64,
    },
    /// Whoever is asked about an order confirms, or refuses.
    Confirm {
        merchant: usize,
        order: usize,
        by_card: bool,
        declines: bool,
    },
    Reverse {
        merchant: usize,
        order: usize,
    },
    Method {
        person: usize,
        by_card: bool,
    },
    Switch {
        person: usize,
        on: bool,
    },
    Transfer {
        person: usize,
        merchant: usize,
        number: u8,
        minor: i64,
    },
    Receive {
        person: usize,
        transfer: usize,
    },
    Cancel {
        merchant: usize,
        number: u8,
    },
    CloseOverdue,
    Withdraw {
        person: usize,
        number: u8,
        minor: i64,
        next_day: bool,
    },
    TakeBack {
        person: usize,
        number: u8,
    },
    SendDue,
    /// Something at another wallet.
    AtWallet {
        person: usize,
        act: u8,
        merchant: usize,
        order: usize,
        number: u8,
        minor: i64,
    },
    /// A command of another kind.
    Other {
        kind: u8,
        person: usize,
        merchant: usize,
        number: u8,
    },
}

/// How many other kinds there are.
const OTHERS: u8 = 24;

fn op() -> impl Strategy<Value = Op> {
    let minor = prop_oneof![1..20_i64, 1..5_000_i64];
    let refund = prop_oneof![0..20_i64, 1..5_000_i64];
    let (person, merchant, order) = (0..PERSONS, 0..MERCHANTS, 0..ORDERS);
    prop_oneof![
        2 => (person.clone(), 0..6_u8, minor.clone())
            .prop_map(|(person, number, minor)| Op::TopUp { person, number, minor }),
        4 => (0..8_usize, prop::bool::weighted(0.7)).prop_map(|(attempt, succeeded)| Op::End { attempt, succeeded }),
        4 => (merchant.clone(), order.clone(), minor)
            .prop_map(|(merchant, order, minor)| Op::Place { merchant, order, minor }),
        1 => (merchant.clone(), order.clone()).prop_map(|(merchant, order)| Op::Close { merchant, order }),
        8 => (person.clone(), merchant.clone(), order.clone(), any::<bool>(), prop::bool::weighted(0.9))
            .prop_map(|(person, merchant, order, by_card, right)| Op::Pay { person, merchant, order, by_card, right }),
        4 => (merchant.clone(), order.clone(), 0..6_u8, refund)
            .prop_map(|(merchant, order, number, minor)| Op::Refund { merchant, order, number, minor }),
        3 => (0..4_usize, any::<bool>())
            .prop_map(|(refund, to_merchant)| Op::Redirect { refund, to_merchant }),
        1 => person.clone().prop_map(|person| Op::Remove { person }),
        1 => (0..8_usize).prop_map(|attempt| Op::Unknown { attempt }),
        1 => Just(Op::Sweep),
        4 => (person.clone(), 0..6_u8).prop_map(|(person, code)| Op::Show { person, code }),
        8 => (person.clone(), merchant.clone(), order.clone(), 0..6_u8, prop_oneof![1..2_000_i64, Just(4_000_i64)])
            .prop_map(|(person, merchant, order, code, minor)| Op::Take { person, merchant, order, code, minor }),
        3 => (merchant.clone(), order.clone(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(merchant, order, by_card, declines)| Op::Confirm { merchant, order, by_card, declines }),
        3 => (merchant.clone(), order.clone()).prop_map(|(merchant, order)| Op::Reverse { merchant, order }),
        1 => (person.clone(), any::<bool>()).prop_map(|(person, by_card)| Op::Method { person, by_card }),
        1 => (person.clone(), prop::bool::weighted(0.7)).prop_map(|(person, on)| Op::Switch { person, on }),
        4 => (0..PERSONS, merchant.clone(), 0..6_u8, 1..400_i64)
            .prop_map(|(person, merchant, number, minor)| Op::Transfer { person, merchant, number, minor }),
        4 => (0..PERSONS, 0..4_usize).prop_map(|(person, transfer)| Op::Receive { person, transfer }),
        2 => (merchant, 0..6_u8).prop_map(|(merchant, number)| Op::Cancel { merchant, number }),
        1 => Just(Op::CloseOverdue),
        5 => (0..PERSONS, 0..6_u8, 100..400_i64, any::<bool>())
            .prop_map(|(person, number, minor, next_day)| Op::Withdraw { person, number, minor, next_day }),
        2 => (0..PERSONS, 0..6_u8).prop_map(|(person, number)| Op::TakeBack { person, number }),
        2 => Just(Op::SendDue),
        6 => (0..PERSONS, 0..8_u8, 0..MERCHANTS, 0..ORDERS, 0..6_u8, 100..400_i64)
            .prop_map(|(person, act, merchant, order, number, minor)| {
                Op::AtWallet { person, act, merchant, order, number, minor }
            }),
        8 => (0..OTHERS, 0..PERSONS, 0..MERCHANTS, 0..4_u8)
            .prop_map(|(kind, person, merchant, number)| Op::Other { kind, person, merchant, number }),
    ]
}

fn batches(right_only: bool) -> impl Strategy<Value = Vec<Vec<Op>>> {
    let op = op().prop_map(move |op| match op {
        Op::Pay { person, merchant, order, by_card, .. } if right_only => {
            Op::Pay { person, merchant, order, by_card, right: true }
        }
        op => op,
    });
    prop::collection::vec(prop::collection::vec(op, 1..16), 1..6)
}

/// A ledger with persons, cards and merchants, on which streams of commands run.
struct World {
    ledger: Ledger,
    persons: Vec<(PersonId, CardId)>,
    merchants: Vec<MchId>,
}

/// What an order is paid with: those of an even number of fen, if by card, with a third of it from the balance.
fn means(order: &Order, card: Option<CardId>) -> Means {
    let third = fen(order.amount.minor() / 3);
    match card {
        Some(card) if order.amount.minor() % 2 == 0 && !third.is_zero() => {
            Means::Both { from_balance: third, card }
        }
        card => Means::of(card),
    }
}

/// What a person's account at another wallet is found by.
fn mac(who: usize) -> u8 {
    200 + u8::try_from(who).expect("few")
}

impl World {
    fn new(habit: Habit) -> Self {
        Self::begun(Ledger::with(habit))
    }

    fn begun(mut ledger: Ledger) -> Self {
        // Batches are an hour apart here: codes and questions outlive one, and two payments a day are not asked about.
        ledger.policy.payer_code_life_ms = 2 * 3_600_000;
        ledger.policy.confirm_within_ms = 2 * 3_600_000;
        ledger.policy.code_pays_unasked_a_day = 2;
        ledger.policy.code_pays_unasked_most = fen(1_500);
        ledger.policy.reverse_after_ms = 0;
        let phones = ["13800138000", "13900139000", "13700137000"];
        let person = |ledger: &mut Ledger, phone: &str| {
            let person = ledger.person_with_pin(phone);
            let card = ledger.card(person);
            ledger.fund(person, card, 3_000);
            ledger.submit(&SwitchPayerCodesOn { person, pin: pin(PIN) }).expect("the right password");
            (person, card)
        };
        let persons: Vec<_> = phones[..PERSONS].iter().map(|phone| person(&mut ledger, phone)).collect();
        for (who, (person, _)) in persons.iter().enumerate() {
            ledger.submit(&open(*person, mac(who))).expect("they are there");
        }
        let merchants = (0..MERCHANTS).map(|_| ledger.merchant()).collect();
        Self { ledger, persons, merchants }
    }

    /// The answer to one command, in words.
    fn run(&mut self, op: &Op) -> String {
        match *op {
            Op::TopUp { person, number, minor } => {
                let (person, card) = self.persons[person];
                self.say(&top_up(person, card, &format!("number-{number}"), minor))
            }
            Op::End { attempt, succeeded } => {
                let attempt = self.attempt(attempt);
                let outcome = if succeeded {
                    Outcome::Succeeded { network_ref: "ref".to_owned() }
                } else {
                    Outcome::Failed(NetworkRefusal::Refused)
                };
                self.say(&EndAttempt { attempt, outcome })
            }
            Op::Unknown { attempt } => {
                let attempt = self.attempt(attempt);
                let due =
                    self.ledger.get::<OpenAttempt>(&attempt).map_or(self.ledger.now, |open| open.next_at);
                self.say(&AttemptUnknown { attempt, due })
            }
            Op::Place { merchant, order, minor } => {
                self.say(&place(self.merchants[merchant], &format!("order-{order}"), minor))
            }
            Op::Close { merchant, order } => {
                let mchid = self.merchants[merchant];
                self.say(&CloseOrder { mchid, out_trade_no: format!("order-{order}") })
            }
            Op::Pay { person, merchant, order, by_card, right } => {
                let Some(order) = self.order(merchant, order) else { return "no order".to_owned() };
                let (person, card) = self.persons[person];
                let pin = pin(if right { PIN } else { WRONG });
                let means = means(&order, by_card.then_some(card));
                self.say(&Pay { person, order: order.id, means, confirmed: pin.into() })
            }
            Op::Refund { merchant, order, number, minor } => {
                let total = self.order(merchant, order).map_or(fen(1), |o| o.amount);
                self.say(&RequestRefund {
                    mchid: self.merchants[merchant],
                    order: OrderName::Number(format!("order-{order}")),
                    out_refund_no: format!("refund-{number}"),
                    amount: fen(minor),
                    total,
                    reason: None,
                    notify_url: None,
                })
            }
            Op::Redirect { refund, to_merchant } => {
                let mut cards: Vec<Refund> = self.ledger.all();
                cards.retain(|refund| refund.card.is_some());
                cards.sort_unstable_by_key(|refund| std::cmp::Reverse(refund.id));
                let Some(refund) = cards.into_iter().nth(refund) else { return "no refund".to_owned() };
                let to = if to_merchant { Elsewhere::Merchant } else { Elsewhere::Balance };
                let (mchid, out_refund_no) = (refund.mchid, refund.out_refund_no);
                self.say(&RedirectRefund { mchid, refund: refund.id, out_refund_no, to })
            }
            Op::Remove { person } => {
                let (person, card) = self.persons[person];
                self.say(&RemoveCard { person, card, pin: pin(PIN) })
            }
            Op::Sweep => {
                let tokens = self.ledger.all::<Order>().into_iter().map(|o| o.code).collect();
                let hashes = self.ledger.all::<PayerCode>().into_iter().map(|code| code.hash).collect();
                self.say(&SweepCodes { tokens }) + &self.say(&SweepPayerCodes { hashes })
            }
            Op::Show { .. }
            | Op::Take { .. }
            | Op::Confirm { .. }
            | Op::Reverse { .. }
            | Op::Method { .. }
            | Op::Switch { .. } => self.run_by_code(op),
            Op::Transfer { person, merchant, number, minor } => {
                let payee = self.persons[person].0;
                self.say(&transfer(self.merchants[merchant], &format!("bill{number}"), payee, minor))
            }
            Op::Receive { person, transfer } => {
                let Some(transfer) = self.transfer(transfer) else { return "no transfer".to_owned() };
                self.say(&ReceiveTransfer { person: self.persons[person].0, transfer: transfer.id })
            }
            Op::Cancel { merchant, number } => {
                let mchid = self.merchants[merchant];
                self.say(&CancelTransfer { mchid, out_bill_no: format!("bill{number}") })
            }
            Op::CloseOverdue => {
                let transfers = self.ledger.all::<Transfer>().into_iter().map(|t| t.id).collect();
                self.say(&CloseOverdue { transfers })
            }
            Op::Withdraw { .. } | Op::TakeBack { .. } | Op::SendDue => self.run_withdrawal(op),
            Op::AtWallet { .. } => self.run_at_wallet(op),
            Op::Other { kind, person, merchant, number } => self.run_other(kind, person, merchant, number),
        }
    }

    fn run_withdrawal(&mut self, op: &Op) -> String {
        match *op {
            Op::Withdraw { person, number, minor, next_day } => {
                let (person, card) = self.persons[person];
                let speed = if next_day { Speed::NextDay } else { Speed::RealTime };
                self.say(&withdrawal(person, card, &format!("number-{number}"), minor, speed))
            }
            Op::TakeBack { person, number } => {
                let person = self.persons[person].0;
                self.say(&CancelWithdrawal { person, number: format!("number-{number}") })
            }
            Op::SendDue => {
                let withdrawals = self.ledger.all::<Withdrawal>().into_iter().map(|w| w.id).collect();
                self.say(&SendWithdrawals { withdrawals })
            }
            _ => unreachable!("an op about withdrawals"),
        }
    }

    fn run_at_wallet(&mut self, op: &Op) -> String {
        let Op::AtWallet { person: who, act, merchant, order, number, minor } = *op else {
            unreachable!("an op at another wallet")
        };
        let person = self.persons[who].0;
        let its = |card: &Card| card.person == person && card.kind == CardKind::Wallet;
        let card = self.ledger.all::<Card>().into_iter().find(its).expect("each has something there").id;
        match act {
            0 => self.say(&open(person, mac(who))),
            1 => self.say(&AllowLink { person, card, pin: pin(PIN) }),
            2 => self.say(&LinkWallet { person, card, token_sealed: vec![1; usize::from(number)] }),
            3 | 4 => {
                let Some(order) = self.order(merchant, order).map(|order| order.id) else {
                    return "no order".to_owned();
                };
                let means = Means::Wallet { card, at: inside() };
                self.say(&Pay { person, order, means, confirmed: pin(PIN).into() })
            }
            5 => {
                let top_up = top_up(person, card, &format!("number-{number}"), minor);
                self.say(&StartTopUp { at: Some(inside()), ..top_up })
            }
            6 => self.say(&withdrawal(person, card, &format!("number-{number}"), minor, Speed::RealTime)),
            _ => {
                let attempt = self.attempt(usize::from(number));
                self.say(&GiveUp { person, attempt })
            }
        }
    }

    fn run_by_code(&mut self, op: &Op) -> String {
        // No two people ever draw the same digits here.
        let drawn = |person: usize, code: u8| AuthCode::draw(100 * person as u64 + u64::from(code));
        match *op {
            Op::Show { person, code } => {
                let code = drawn(person, code);
                self.say(&IssuePayerCode { person: self.persons[person].0, code })
            }
            Op::Take { person, merchant, order, code, minor } => {
                let number = format!("order-{order}");
                self.say(&take(self.merchants[merchant], &number, minor, &drawn(person, code)))
            }
            Op::Confirm { merchant, order, by_card, declines } => {
                let Some(order) = self.order(merchant, order) else { return "no order".to_owned() };
                let asked = self.persons.iter().find(|(person, _)| Some(*person) == order.payer);
                let (person, card) = *asked.unwrap_or(&self.persons[0]);
                if declines {
                    return self.say(&DeclineCodePayment { person, order: order.id });
                }
                let card = by_card.then_some(card);
                self.say(&ConfirmCodePayment { person, order: order.id, card, confirmed: pin(PIN).into() })
            }
            Op::Reverse { merchant, order } => {
                let mchid = self.merchants[merchant];
                self.say(&ReverseOrder { mchid, appid: appid(mchid), out_trade_no: format!("order-{order}") })
            }
            Op::Method { person, by_card } => {
                let (person, card) = self.persons[person];
                self.say(&ChoosePayerMethod { person, card: by_card.then_some(card) })
            }
            Op::Switch { person, on } => {
                let (person, _) = self.persons[person];
                if on {
                    self.say(&SwitchPayerCodesOn { person, pin: pin(PIN) })
                } else {
                    self.say(&SwitchPayerCodesOff { person })
                }
            }
            _ => unreachable!("only what has to do with payers' codes"),
        }
    }

    /// One of the newest transfers, so that waiting ones are met often.
    fn transfer(&mut self, back: usize) -> Option<Transfer> {
        let mut all = self.ledger.all::<Transfer>();
        all.sort_by_key(|transfer| transfer.id);
        all.into_iter().nth_back(back)
    }

    #[expect(clippy::too_many_lines, reason = "a list with one entry a kind of command")]
    fn run_other(&mut self, kind: u8, person: usize, merchant: usize, number: u8) -> String {
        let (person_id, card) = self.persons[person];
        let mchid = self.merchants[merchant];
        // A person's first session is named by how many people there were.
        let session = [u8::try_from(person).expect("few"); 32];
        let phone = Phone::parse(&format!("1380013800{number}")).expect("a phone");
        let token_hash = [100 + number; 32];
        match kind {
            0 => {
                let Some(order) = self.order(merchant, usize::from(number)) else {
                    return "no order".to_owned();
                };
                let card = (number == 1).then_some(card);
                self.say(&PayCode {
                    session,
                    code: order.code,
                    means: Means::of(card),
                    confirmed: pin(PIN).into(),
                })
            }
            1 => {
                let told = Seq(i64::from(number) * 3);
                let (failed, parked) = (vec![Seq(told.0 - 1)], vec![told]);
                let log = vec![tried(told.0 - 1, person == 0)];
                self.say(&RecordTold { mchid, told, failed, parked, log })
            }
            2 => {
                let key = NoticeKey { mchid, seq: Seq(i64::from(number) * 3) };
                let (answered, tried) = (person == 0, Some(tried(key.seq.0, person == 0)));
                self.say(&RecordRetry { key, answered, tried })
            }
            3 => self.say(&SetPaymentPassword { person: person_id, pin: pin(PIN) }),
            4 => {
                let suspended = (number < 2).then_some(number == 1);
                self.say(&SetMerchant { suspended, ..set(mchid) })
            }
            5 => self.say(&RequestCode::new(Contact::Phone(phone), REQUEST)),
            6 => {
                let key = CodeKey { contact: Contact::Phone(phone.clone()), purpose: CodePurpose::SignIn };
                if self.ledger.get::<OneTimeCode>(&key).is_none() {
                    return "no code".to_owned();
                }
                let code = self.ledger.code(&phone);
                self.say(&SignIn::new(Contact::Phone(phone), code, REQUEST, token_hash))
            }
            7 => self.say(&SignOut { token_hash }),
            8 => self.say(&start_binding(person_id, &format!("other-{number}"), 100 + number)),
            9 => {
                let key = ClientNumber { person: person_id, number: format!("other-{number}") };
                let Some(binding) = self.ledger.get::<BindingNumber>(&key).map(|row| row.binding) else {
                    return "no binding".to_owned();
                };
                self.say(&RecordBinding { binding, answer: bound() })
            }
            10 => self.ledger.merchant().wire(),
            11 => {
                let name = format!("li.ming-{number}");
                self.say(&CreateStaff { name, role: StaffRole::Finance, enrolment_hash: [number; 32] })
            }
            12 => self.say(&SetMerchantBills { mchid, empty: number < 2 }),
            13 => self.say(&TellTime),
            14 => {
                let jsapi = place(mchid, &format!("order-{number}"), 100);
                self.say(&PlaceOrder { product: Product::Jsapi, meant_for: Some(person_id), ..jsapi })
            }
            15 => self.say(&SetAppSecret { mchid, secret_mac: [number; 32] }),
            16 => {
                let expires_at = START.plus(i64::from(number) * 3_600_000);
                self.say(&UseLoginCode { token: [number; 16], expires_at })
            }
            17 => self.say(&SweepLoginCodes { tokens: vec![[number; 16], [0; 16]] }),
            18 => {
                let held = vec![Seq(i64::from(number) * 3), Seq(i64::from(number) * 3 - 1)];
                self.say(&RecordHeld { mchid, held })
            }
            19 => {
                let events = vec![Seq(i64::from(number)), Seq(i64::from(number) * 3)];
                let by = if person == 0 { Replayer::Merchant } else { Replayer::Operator };
                self.say(&ReplayNotices { mchid, events, by })
            }
            20 => self.say(&SetApiV3Key { mchid, apiv3_key_sealed: vec![number] }),
            21 => {
                let certificate = NewCertificate {
                    serial: format!("AB{number}"),
                    pem: String::new(),
                    not_before: Timestamp(0),
                    not_after: Timestamp(i64::MAX),
                };
                self.say(&AddCertificate { mchid, certificate })
            }
            22 => self.say(&RevokeCertificate { mchid, serial: format!("AB{number}") }),
            _ => {
                let Some(message) = self.ledger.all::<Message>().first().map(|row| row.id) else {
                    return "no message".to_owned();
                };
                if number == 0 {
                    self.say(&MessageDone { message })
                } else {
                    self.say(&MessageFailed { message })
                }
            }
        }
    }

    fn order(&mut self, merchant: usize, order: usize) -> Option<Order> {
        let (mchid, number) = (self.merchants[merchant], format!("order-{order}"));
        self.ledger.all::<Order>().into_iter().find(|o| o.mchid == mchid && *o.out_trade_no == number)
    }

    /// One of the newest attempts, so that open ones are met often.
    fn attempt(&mut self, back: usize) -> AttemptId {
        let all = self.ledger.all::<Attempt>();
        let mut ids: Vec<AttemptId> = all.into_iter().map(|a| a.id).collect();
        ids.sort_unstable();
        ids[ids.len().saturating_sub(back + 1)]
    }

    fn say<C: Command<Reply: Debug, Refusal: Debug>>(&mut self, command: &C) -> String {
        format!("{:?}", self.ledger.submit(command))
    }

    /// Runs batches ten hours apart, so that transfers come to be overdue; the answers.
    fn run_all(&mut self, batches: &[Vec<Op>]) -> Vec<String> {
        let mut answers = vec![];
        for batch in batches {
            answers.extend(batch.iter().map(|op| self.run(op)));
            self.ledger.commit();
            self.ledger.advance(36_000_000);
        }
        answers
    }
}

/// Whether repeating it is not expected to have the effect and the answer of once. A code that is drawn is drawn once, one
/// that is refused with its order is known by the order's failure, and a payment that was refused may be taken later.
fn is_meant_to_count(op: &Op) -> bool {
    matches!(op, Op::Unknown { .. } | Op::Show { .. } | Op::Other { .. })
}

fn few() -> ProptestConfig {
    ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn no_batch_creates_or_destroys_money_and_no_account_is_ever_on_its_wrong_side(batches in batches(false)) {
        let mut world = World::new(Habit::Keep);
        for batch in &batches {
            for op in batch {
                world.run(op);
            }
            world.ledger.audit();
            world.ledger.commit();
            world.ledger.advance(36_000_000);
        }
        world.ledger.audit();
    }

    #[test]
    fn a_batch_equals_the_same_commands_one_at_a_time(batches in batches(false)) {
        let (mut together, mut alone) = (World::new(Habit::Keep), World::new(Habit::Forget));
        prop_assert_eq!(together.run_all(&batches), alone.run_all(&batches));
        prop_assert_eq!(together.ledger.snapshot(), alone.ledger.snapshot());
        prop_assert_eq!(together.ledger.journals(), alone.ledger.journals());
        prop_assert_eq!(together.ledger.events, alone.ledger.events);
    }

    #[test]
    fn repeating_every_command_changes_nothing(batches in batches(true)) {
        // Asking again when an answer is uncertain is the one thing here that is meant to count.
        let batches: Vec<Vec<Op>> = batches
            .into_iter()
            .map(|batch| batch.into_iter().filter(|op| !is_meant_to_count(op)).collect())
            .collect();
        let twice: Vec<Vec<Op>> =
            batches.iter().map(|batch| batch.iter().flat_map(|op| [op.clone(), op.clone()]).collect()).collect();
        let (mut once, mut again) = (World::new(Habit::Keep), World::new(Habit::Keep));
        let answers = once.run_all(&batches);
        let doubled = again.run_all(&twice);
        let firsts: Vec<String> = doubled.iter().step_by(2).cloned().collect();
        prop_assert_eq!(&answers, &firsts);
        // A card just removed is unknown the second time; every other repeat has the answer of the first.
        for pair in doubled.chunks(2).filter(|pair| pair[0] != "Ok(())") {
            prop_assert_eq!(&pair[0], &pair[1]);
        }
        prop_assert_eq!(once.ledger.snapshot(), again.ledger.snapshot());
        prop_assert_eq!(once.ledger.journals(), again.ledger.journals());
        prop_assert_eq!(once.ledger.events, again.ledger.events);
    }

    #[test]
    fn a_stop_on_an_absent_row_leaves_no_trace_wherever_it_happens(batches in batches(false)) {
        // In the first world every look-up of a row is a stop of its own, in the second none is.
        let mut stopping = World::new(Habit::Trickle);
        let answers = stopping.run_all(&batches);
        let mut ledger = Ledger::new();
        ledger.preload(&stopping.ledger.wanted);
        let mut smooth = World::begun(ledger);
        prop_assert_eq!(answers, smooth.run_all(&batches));
        prop_assert_eq!(smooth.ledger.stops, 0);
        prop_assert!(stopping.ledger.stops > 0);
        prop_assert_eq!(stopping.ledger.snapshot(), smooth.ledger.snapshot());
        prop_assert_eq!(stopping.ledger.journals(), smooth.ledger.journals());
        prop_assert_eq!(stopping.ledger.events, smooth.ledger.events);
    }

    #[test]
    fn refunds_of_any_size_give_back_what_was_paid_and_the_fee_and_no_more(
        total in 1..100_000_i64,
        cuts in prop::collection::vec(1..40_000_i64, 1..40),
        ppm in 0..=1_000_000_u32,
        by_card in any::<bool>(),
    ) {
        let mut ledger = Ledger::new();
        ledger.policy.fee = koudai_core::money::RatePpm::new(ppm).unwrap();
        let mchid = ledger.merchant();
        let person = ledger.person_with("13800138000", total);
        let card = ledger.card(person);
        let order = if by_card {
            ledger.paid_by_card(mchid, "order-1", (person, card), total)
        } else {
            ledger.paid(mchid, "order-1", person, total)
        };
        let mut left = total;
        for (n, cut) in cuts.into_iter().enumerate() {
            let taken = ledger.refund(&order, &format!("refund-{n}"), cut);
            prop_assert_eq!(taken.is_ok(), cut <= left, "a merchant's money always covers its own orders");
            left -= if taken.is_ok() { cut } else { 0 };
        }
        if left > 0 {
            ledger.refund(&order, "rest", left).unwrap();
        }
        for refund in ledger.all::<Refund>() {
            if let Some(attempt) = refund.attempt {
                ledger.succeed(attempt);
            }
        }
        ledger.audit();
        let order = ledger.get::<Order>(&order.id).unwrap();
        prop_assert_eq!((order.refunded, order.fee_returned), (order.amount, order.fee));
        prop_assert_eq!(ledger.balance(koudai_core::ledger::AccountId::merchant(mchid)), 0);
        prop_assert_eq!(ledger.balance(koudai_core::ledger::AccountId::fees()), 0);
    }
}
