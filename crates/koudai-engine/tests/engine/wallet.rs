//! The one fixture: an engine on a database of its own with a clock set by hand.

use koudai_core::id::{MchId, OrderId, PersonId};
use koudai_core::identity::Phone;
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, JournalKind, Posting};
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant};
use koudai_core::money::{Currency, Money};
use koudai_core::order::PlaceOrder;
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Order, Person, Product};
use koudai_core::secret::Secret;
use koudai_core::state::{Command, Keys, OrStop, Policy, Stop, Tx};
use koudai_core::time::Timestamp;
use koudai_engine::{Clock, Engine, Failed, Settings};
use koudai_store::{StoreError, Tuning};

use crate::place::Place;

pub(crate) const START: Timestamp = Timestamp(1_795_000_000_000);
pub(crate) const PIN: &str = "135790";
pub(crate) const WRONG: &str = "864209";

pub(crate) struct Wallet {
    pub(crate) engine: Engine,
    pub(crate) merchant: MchId,
    pub(crate) place: Place,
}

impl Wallet {
    pub(crate) async fn new() -> Self {
        let place = Place::new();
        let engine = start(&place).expect("a new database");
        Self::with(place, engine).await
    }

    /// A wallet on an engine that was started with care.
    pub(crate) async fn with(place: Place, engine: Engine) -> Self {
        let mchid = engine.submit(NextMerchant).await.expect("a first number");
        let certificate = NewCertificate {
            serial: "4F2A".to_owned(),
            pem: "pem".to_owned(),
            not_before: START,
            not_after: START,
        };
        let create = CreateMerchant {
            mchid,
            name: "口袋咖啡".to_owned(),
            appid: "wx1".to_owned(),
            products: Product::ALL.to_vec(),
            apiv3_key_sealed: vec![],
            certificate,
        };
        engine.submit(create).await.expect("a fresh merchant");
        Self { engine, merchant: mchid, place }
    }

    /// Stops the engine and starts it again on the same database.
    pub(crate) fn restart(self) -> Self {
        let Self { engine, merchant, place } = self;
        drop(engine);
        // The engine's thread frees the directory once it has seen that every handle is gone.
        for _ in 0..500 {
            match start(&place) {
                Err(StoreError::Taken { .. } | StoreError::Owned) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                started => {
                    return Self { engine: started.expect("it opens again"), merchant, place };
                }
            }
        }
        panic!("the engine does not let go of its directory");
    }

    /// Stops the engine and has another wait for its turn on the same database.
    pub(crate) fn restart_standing_by(self) -> Self {
        let Self { engine, merchant, place } = self;
        drop(engine);
        let engine = stand_by(&place);
        Self { engine, merchant, place }
    }

    /// A person with the payment password and this much.
    pub(crate) async fn person(&self, n: usize, minor: i64) -> PersonId {
        let phone = Phone::parse(&format!("138{n:08}")).expect("a phone");
        let person = self.engine.submit(Register { phone, minor }).await.expect("nothing refuses it");
        let set = SetPaymentPassword { person, pin: pin(PIN) };
        self.engine.submit(set).await.expect("none is set yet");
        person
    }

    pub(crate) fn place(&self, number: &str, minor: i64) -> PlaceOrder {
        PlaceOrder {
            mchid: self.merchant,
            appid: "wx1".to_owned(),
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

    pub(crate) async fn order(&self, number: &str, minor: i64) -> Order {
        self.engine.submit(self.place(number, minor)).await.expect("a fresh order")
    }

    /// How many commits there have been.
    pub(crate) async fn seals(&self) -> usize {
        self.engine.read(|reader| reader.seals_after(0, i64::MAX)).await.expect("it is read").len()
    }
}

pub(crate) fn keys() -> Keys {
    Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) }
}

pub(crate) fn start(place: &Place) -> Result<Engine, StoreError> {
    Engine::start(&Settings::of(place.database()), keys(), Policy::default(), Clock::by_hand(START))
}

/// An engine that waits for its turn.
pub(crate) fn stand_by(place: &Place) -> Engine {
    let settings = Settings { tuning: Tuning { generation: 7 }, ..Settings::of(place.database()) };
    let engine = Engine::stand_by(&settings, keys(), Policy::default(), Clock::by_hand(START));
    engine.expect("the server answers")
}

pub(crate) fn pay(person: PersonId, order: OrderId, with: &str) -> Pay {
    Pay { person, order, means: Means::Balance, confirmed: pin(with).into() }
}

pub(crate) fn fen(minor: i64) -> Money {
    Money::fen(minor).expect("zero or more")
}

fn pin(text: &str) -> Pin {
    Pin::parse(text).expect("six digits")
}

/// The refusal in what a command failed by.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Failed<Refusal>>) -> Refusal {
    match result {
        Err(Failed::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Makes a person out of nothing, with money from the network.
struct Register {
    phone: Phone,
    minor: i64,
}

impl Command for Register {
    type Reply = PersonId;
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<PersonId, Stop<Refusal>> {
        let debit = AccountId::clearing(ISSUER_NETWORK);
        tx.prepare(&[debit]).or_stop()?;
        let id = PersonId(tx.fresh_id());
        let credit = AccountId::person(id);
        // A fresh account has no row yet, but posting reads it all the same.
        tx.rows().balance.loaded(credit, None);
        let created_at = tx.now();
        tx.rows().person.insert(Person {
            id,
            phone: self.phone.clone(),
            email: None,
            passkeys: 0,
            created_at,
            frozen: false,
            cards: 0,
            failed_bindings: 0,
            failed_bindings_day: 0,
            cool_until: Timestamp(0),
        });
        let posting = Posting { debit, credit, amount: fen(self.minor) };
        tx.post(JournalKind::TopUp, id.0, Currency::Cny, vec![posting], &[]);
        Ok(id)
    }
}
