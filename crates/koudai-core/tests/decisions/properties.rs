//! What holds for any stream of commands, tried on many.

use std::fmt::Debug;

use koudai_core::attempt::{AttemptUnknown, EndAttempt, Outcome};
use koudai_core::binding::{RecordBinding, RemoveCard};
use koudai_core::id::{AttemptId, CardId, MchId, PersonId, Seq};
use koudai_core::identity::Phone;
use koudai_core::merchant::{
    AddCertificate, CreateStaff, NewCertificate, RevokeCertificate, SetApiV3Key, SetMerchant,
};
use koudai_core::notice::{RecordRetry, RecordTold};
use koudai_core::order::{CloseOrder, SweepCodes};
use koudai_core::payment::{Pay, PayCode};
use koudai_core::payment_password::SetPaymentPassword;
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::{
    Attempt, BindingNumber, ClientNumber, CodeKey, CodePurpose, Message, NetworkRefusal, NoticeKey,
    OneTimeCode, Order, Refund, StaffRole,
};
use koudai_core::sign_in::{MessageDone, MessageFailed, RequestCode, SignIn, SignOut};
use koudai_core::state::Command;
use koudai_core::time::Timestamp;
use proptest::prelude::*;

use crate::fixture::{Habit, Ledger, PIN, WRONG, bound, fen, pin, place, start_binding, top_up};

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
    Unknown {
        attempt: usize,
    },
    Sweep,
    /// A command of another kind.
    Other {
        kind: u8,
        person: usize,
        merchant: usize,
        number: u8,
    },
}

/// How many other kinds there are.
const OTHERS: u8 = 16;

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
        4 => (merchant, order, 0..6_u8, refund)
            .prop_map(|(merchant, order, number, minor)| Op::Refund { merchant, order, number, minor }),
        1 => person.prop_map(|person| Op::Remove { person }),
        1 => (0..8_usize).prop_map(|attempt| Op::Unknown { attempt }),
        1 => Just(Op::Sweep),
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

impl World {
    fn new(habit: Habit) -> Self {
        Self::begun(Ledger::with(habit))
    }

    fn begun(mut ledger: Ledger) -> Self {
        let phones = ["13800138000", "13900139000", "13700137000"];
        let person = |ledger: &mut Ledger, phone: &str| {
            let person = ledger.person_with_pin(phone);
            let card = ledger.card(person);
            ledger.fund(person, card, 3_000);
            (person, card)
        };
        let persons = phones[..PERSONS].iter().map(|phone| person(&mut ledger, phone)).collect();
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
                self.say(&AttemptUnknown { attempt })
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
                self.say(&Pay { person, order: order.id, card: by_card.then_some(card), pin })
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
            Op::Remove { person } => {
                let (person, card) = self.persons[person];
                self.say(&RemoveCard { person, card, pin: pin(PIN) })
            }
            Op::Sweep => {
                let tokens = self.ledger.all::<Order>().into_iter().map(|o| o.code).collect();
                self.say(&SweepCodes { tokens })
            }
            Op::Other { kind, person, merchant, number } => self.run_other(kind, person, merchant, number),
        }
    }

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
                self.say(&PayCode { session, code: order.code, card, pin: pin(PIN) })
            }
            1 => {
                let told = Seq(i64::from(number) * 3);
                let failed = vec![Seq(told.0 - 1), told];
                self.say(&RecordTold { mchid, told, failed })
            }
            2 => {
                let key = NoticeKey { mchid, seq: Seq(i64::from(number) * 3) };
                self.say(&RecordRetry { key, answered: person == 0 })
            }
            3 => self.say(&SetPaymentPassword { person: person_id, pin: pin(PIN) }),
            4 => {
                let suspended = (number < 2).then_some(number == 1);
                self.say(&SetMerchant {
                    mchid,
                    products: None,
                    h5_domains: None,
                    suspended,
                    public_key_mode: None,
                })
            }
            5 => self.say(&RequestCode { phone, purpose: CodePurpose::SignIn }),
            6 => {
                let key = CodeKey { phone: phone.clone(), purpose: CodePurpose::SignIn };
                if self.ledger.get::<OneTimeCode>(&key).is_none() {
                    return "no code".to_owned();
                }
                let code = self.ledger.code(&phone);
                self.say(&SignIn { phone, code, token_hash })
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
            12 => self.say(&SetApiV3Key { mchid, apiv3_key_sealed: vec![number] }),
            13 => {
                let certificate = NewCertificate {
                    serial: format!("AB{number}"),
                    pem: String::new(),
                    not_before: Timestamp(0),
                    not_after: Timestamp(i64::MAX),
                };
                self.say(&AddCertificate { mchid, certificate })
            }
            14 => self.say(&RevokeCertificate { mchid, serial: format!("AB{number}") }),
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

    /// Runs batches an hour apart; the answers.
    fn run_all(&mut self, batches: &[Vec<Op>]) -> Vec<String> {
        let mut answers = vec![];
        for batch in batches {
            answers.extend(batch.iter().map(|op| self.run(op)));
            self.ledger.commit();
            self.ledger.advance(3_600_000);
        }
        answers
    }
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
            world.ledger.advance(3_600_000);
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
            .map(|batch| batch.into_iter().filter(|op| !matches!(op, Op::Unknown { .. } | Op::Other { .. })).collect())
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
