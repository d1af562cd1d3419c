//! The people, merchants and orders a load needs. Everything but the opening of accounts is done by the wallet's own
//! commands, and the rows of an opened account are those that its commands write, so that `koudai verify` holds.

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::card::CardKind;
use koudai_core::id::{CardId, MchId, OrderId, PersonId};
use koudai_core::identity::Phone;
use koudai_core::ledger::ISSUER_NETWORK;
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant};
use koudai_core::money::Money;
use koudai_core::order::PlaceOrder;
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Card, CardOwner, Order, Person, PhoneOwner, Product, Session};
use koudai_core::state::{Command, OrStop, Stop, Tx};
use koudai_core::time::{DAY, Timestamp};
use koudai_core::top_up::StartTopUp;
use koudai_engine::{Engine, Failed};

use super::together::run_all;
use crate::failure::Failure;

/// What each person tops up, in fen: the most one top-up may be.
const FUNDS: i64 = 5_000_000;
/// The most an order comes to, in fen.
pub(super) const MOST: i64 = 2_000;
/// Commands under way while things are set up.
const AT_ONCE: usize = 8_192;

/// Who pays whom.
#[derive(Debug)]
pub(super) struct House {
    pub(super) people: Vec<PersonId>,
    /// Each person's card, in their order.
    pub(super) cards: Vec<CardId>,
    pub(super) merchants: Vec<MchId>,
    /// Where merchants are told of payments; nowhere if empty.
    pub(super) notify_url: &'static str,
}

/// Everybody's payment password, as they type it.
pub(super) const PIN: &str = "852016";

/// Everybody's payment password.
pub(super) fn pin() -> Pin {
    Pin::parse(PIN).expect("six digits")
}

/// Opens a wallet with a bound card, as signing in and binding would leave them.
#[derive(Debug)]
struct OpenAccount {
    number: usize,
    /// What the card's bank knows it by, sealed.
    token_sealed: Vec<u8>,
}

impl Command for OpenAccount {
    type Reply = (PersonId, CardId);
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Reply, Stop<Refusal>> {
        // The last digit is never the payment password's, which would be refused as part of the phone number.
        let digits = format!("1{:010}", 3_000_000_000 + 10 * self.number as u64);
        let phone = Phone::parse(&digits).expect("a phone");
        let mut number_mac = [0x5A; 32];
        number_mac[..8].copy_from_slice(&(self.number as u64).to_be_bytes());
        tx.rows().phone_owner.get(&phone).or_stop()?;
        tx.rows().card_owner.get(&number_mac).or_stop()?;
        let now = tx.now();
        let (person, card) = (PersonId(tx.fresh_id()), CardId(tx.fresh_id()));
        tx.rows().phone_owner.put(PhoneOwner { phone: phone.clone(), person });
        tx.rows().person.insert(Person {
            id: person,
            phone,
            email: None,
            passkeys: 0,
            created_at: now,
            frozen: false,
            cards: 1,
            failed_bindings: 0,
            failed_bindings_day: 0,
            cool_until: Timestamp(0),
        });
        tx.rows().card_owner.put(CardOwner { number_mac, person, card: Some(card) });
        tx.rows().card.insert(Card {
            id: card,
            person,
            network: ISSUER_NETWORK,
            number_mac,
            bank_zh: "测试银行".to_owned(),
            bank_en: "Test Bank".to_owned(),
            kind: CardKind::Debit,
            bin: "629999".to_owned(),
            last4: format!("{:04}", self.number % 10_000),
            token_sealed: self.token_sealed.clone(),
            bound_at: now,
            removed_at: None,
            withdrawals: 0,
        });
        Ok((person, card))
    }
}

/// Signs somebody in, as the wallet would once their one-time code was right.
#[derive(Debug)]
struct OpenSession {
    person: PersonId,
    token_hash: [u8; 32],
}

impl Command for OpenSession {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        tx.rows().session.get(&self.token_hash).or_stop()?;
        let now = tx.now();
        let expires_at = now.plus(tx.policy().session_life_ms);
        tx.rows().session.put(Session {
            token_hash: self.token_hash,
            person: self.person,
            device: None,
            proven_at: now,
            may_renew_until: now,
            created_at: now,
            expires_at,
        });
        Ok(())
    }
}

/// What kept a command of the set-up from being done.
pub(super) fn not_done<R: std::fmt::Debug>(doing: &'static str) -> impl Fn(Failed<R>) -> Failure {
    move |failed| Failure::new(format!("{doing}: {failed:?}"))
}

impl House {
    /// Opens accounts with a payment password and money, and merchants.
    pub(super) fn build(engine: &Engine, accounts: usize, merchants: usize) -> Result<Self, Failure> {
        Self::build_with(engine, accounts, merchants, &[0; 40])
    }

    /// The same, with cards that their bank is asked about under this token.
    pub(super) fn build_with(
        engine: &Engine,
        accounts: usize,
        merchants: usize,
        token_sealed: &[u8],
    ) -> Result<Self, Failure> {
        let open = |number| open(engine.clone(), OpenAccount { number, token_sealed: token_sealed.to_vec() });
        let (people, cards) = run_all(AT_ONCE, accounts, open)?.into_iter().unzip();
        let merchants = run_all(1, merchants, |_| merchant(engine.clone()))?;
        Ok(Self { people, cards, merchants, notify_url: "https://shop.example/wechatpay/notify" })
    }

    /// Signs everybody in: under the hash of a token each, in their order.
    pub(super) fn sign_in(&self, engine: &Engine, token_hashes: &[[u8; 32]]) -> Result<(), Failure> {
        run_all(AT_ONCE, self.people.len(), |number| {
            let session = OpenSession { person: self.people[number], token_hash: token_hashes[number] };
            let engine = engine.clone();
            async move { engine.submit(session).await.map_err(not_done("signing in")) }
        })
        .map(drop)
    }

    /// Places orders, round the merchants in turn.
    pub(super) fn orders(&self, engine: &Engine, count: usize) -> Result<Vec<(OrderId, u32)>, Failure> {
        self.placed(engine, count, |order, payer| (order.id, payer))
    }

    /// Places orders, and keeps of each what the load needs.
    pub(super) fn placed<T: Send + 'static>(
        &self,
        engine: &Engine,
        count: usize,
        keep: impl Fn(&Order, u32) -> T + Copy + Send + Sync,
    ) -> Result<Vec<T>, Failure> {
        run_all(AT_ONCE, count, |number| {
            let place = self.order(number);
            let (engine, payer) = (engine.clone(), self.payer(number));
            async move {
                let order = engine.submit(place).await.map_err(not_done("placing an order"))?;
                Ok(keep(&order, payer))
            }
        })
    }

    /// Who pays the n-th order: everybody equally often in the long run, and in no order.
    pub(super) fn payer(&self, number: usize) -> u32 {
        let mixed = (number as u64 ^ 0x5DEE_CE66).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        u32::try_from((mixed >> 20) % self.people.len() as u64).expect("people are counted in 32 bits")
    }

    /// The n-th order, with every field a merchant can send.
    pub(super) fn order(&self, number: usize) -> PlaceOrder {
        use std::sync::atomic::{AtomicU64, Ordering};
        static ORDER: AtomicU64 = AtomicU64::new(0);
        let unique = ORDER.fetch_add(1, Ordering::Relaxed);
        let mchid = self.merchants[number % self.merchants.len()];
        let minor = 1 + i64::try_from(unique % MOST.unsigned_abs()).expect("a small amount");
        PlaceOrder {
            mchid,
            appid: appid(mchid),
            out_trade_no: format!("20261124{unique:016}"),
            product: Product::Native,
            description: "口袋咖啡 拿铁 大杯 少冰".to_owned(),
            attach: Some("table=12&waiter=7".to_owned()),
            notify_url: self.notify_url.to_owned(),
            goods_tag: Some("AUTUMN".to_owned()),
            detail: Some(
                r#"{"cost_price":3600,"goods_detail":[{"merchant_goods_id":"latte-l","quantity":1,"unit_price":3600}]}"#
                    .to_owned(),
            ),
            scene_info: Some(r#"{"payer_client_ip":"203.0.113.7","device_id":"013467007045764"}"#.to_owned()),
            settle_info: Some(r#"{"profit_sharing":false}"#.to_owned()),
            amount: Money::fen(minor).expect("above zero"),
            time_expire: None,
            meant_for: None,
        }
    }
}

fn appid(mchid: MchId) -> String {
    format!("wx{:016}", mchid.0)
}

async fn open(engine: Engine, account: OpenAccount) -> Result<(PersonId, CardId), Failure> {
    let refused = not_done("opening an account");
    let (person, card) = engine.submit(account).await.map_err(&refused)?;
    engine.submit(SetPaymentPassword { person, pin: pin() }).await.map_err(&refused)?;
    let amount = Money::fen(FUNDS).expect("above zero");
    let top_up = StartTopUp {
        person,
        number: "bench-top-up-1".to_owned(),
        card,
        at: None,
        amount,
        confirmed: pin().into(),
    };
    let attempt = engine.submit(top_up).await.map_err(&refused)?.id;
    let outcome = Outcome::Succeeded { network_ref: attempt.wire() };
    engine.submit(EndAttempt { attempt, outcome }).await.map_err(not_done("topping up"))?;
    Ok((person, card))
}

async fn merchant(engine: Engine) -> Result<MchId, Failure> {
    let mchid = engine.submit(NextMerchant).await.map_err(not_done("drawing a merchant's number"))?;
    let now = engine.now();
    let create = CreateMerchant {
        mchid,
        name: format!("口袋咖啡 {}", mchid.0 % 10_000),
        appid: appid(mchid),
        products: vec![Product::Native],
        apiv3_key_sealed: vec![0; 60],
        certificate: NewCertificate {
            serial: format!("{:X}", mchid.0),
            pem: String::new(),
            not_before: now,
            not_after: now.plus(365 * DAY),
        },
    };
    engine.submit(create).await.map_err(not_done("creating a merchant"))?;
    Ok(mchid)
}
