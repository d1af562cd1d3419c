//! Who takes part: merchants, and people with a card, made by the commands that make them in life.

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::binding::{BankFace, BindingAnswer, RecordBinding, StartBinding};
use koudai_core::card::CardKind;
use koudai_core::id::{CardId, MchId, PersonId};
use koudai_core::identity::Contact;
use koudai_core::ledger::ISSUER_NETWORK;
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant, SetMerchant};
use koudai_core::money::Money;
use koudai_core::order::PlaceOrder;
use koudai_core::payment_password::{Pin, SetPaymentPassword};
use koudai_core::rows::{CodeKey, CodePurpose, OneTimeCode, Product};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{RequestCode, SignIn, code_of};
use koudai_core::state::{Command, Keys};
use koudai_core::time::Timestamp;
use koudai_core::top_up::StartTopUp;
use koudai_core::transfer::CreateTransfer;
use koudai_engine::by_hand::{ByHand, Step};

use super::START;

/// A person, their card and what they began with.
pub(super) struct Person {
    pub(super) id: PersonId,
    pub(super) card: CardId,
}

pub(super) fn keys() -> Keys {
    Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) }
}

pub(super) fn pin(text: &str) -> Pin {
    Pin::parse(text).expect("six digits")
}

pub(super) fn fen(minor: i64) -> Money {
    Money::fen(minor).expect("zero or more")
}

/// Steps until a command has its answer; nothing goes wrong meanwhile.
fn must<C: Command>(engine: &mut ByHand, command: C) -> C::Reply {
    let mut answer = engine.send(command);
    for _ in 0..1_000 {
        for step in [Step::Decide, Step::Load, Step::Bring, Step::Commit] {
            engine.step(step).expect("nothing goes wrong yet");
        }
        if let Ok(reply) = answer.try_recv() {
            return reply.unwrap_or_else(|_| panic!("nothing refuses it"));
        }
    }
    panic!("no answer comes")
}

/// A merchant who may do everything.
pub(super) fn merchant(engine: &mut ByHand) -> MchId {
    let mchid = must(engine, NextMerchant);
    let certificate = NewCertificate {
        serial: "4F2A".to_owned(),
        pem: "pem".to_owned(),
        not_before: START,
        not_after: Timestamp(START.0 + 1),
    };
    let create = CreateMerchant {
        mchid,
        name: "口袋咖啡".to_owned(),
        appid: appid(mchid),
        products: Product::ALL.to_vec(),
        apiv3_key_sealed: vec![1, 2, 3],
        certificate,
    };
    must(engine, create);
    let set = SetMerchant {
        mchid,
        products: None,
        h5_domains: None,
        suspended: None,
        public_key_mode: None,
        transfer_scenes: Some(vec![SCENE.to_owned()]),
    };
    must(engine, set).mchid
}

/// What every merchant may send people money for.
const SCENE: &str = "1000";

/// A transfer of a merchant's to a person it does not name.
pub(super) fn transfer(mchid: MchId, number: &str, payee: PersonId, minor: i64) -> CreateTransfer {
    CreateTransfer {
        mchid,
        appid: appid(mchid),
        out_bill_no: number.to_owned(),
        scene: SCENE.to_owned(),
        payee,
        name: None,
        amount: fen(minor),
        remark: "新会员奖励".to_owned(),
        perception: None,
        report: "[]".to_owned(),
        notify_url: None,
    }
}

fn appid(mchid: MchId) -> String {
    format!("wx{}", mchid.wire())
}

/// A person with a payment password, a card, and this much in their balance.
pub(super) fn person(engine: &mut ByHand, number: u8, pin_text: &str, minor: i64) -> Person {
    let contact = Contact::parse(&format!("138{number:08}")).expect("a phone");
    let request = [number; 32];
    must(engine, RequestCode::new(contact.clone(), request));
    let key = CodeKey { contact: contact.clone(), purpose: CodePurpose::SignIn };
    let sent = engine.read(|r| r.get::<OneTimeCode>(&key)).expect("it is read").expect("a code was sent");
    let code = code_of(&keys(), &key, &sent.nonce);
    let id = must(engine, SignIn::new(contact, code, request, [number; 32])).person;
    must(engine, SetPaymentPassword { person: id, pin: pin(pin_text) });
    let binding = must(engine, start_binding(id, number, pin_text)).0.id;
    let face = BankFace {
        bank_zh: "海港银行".to_owned(),
        bank_en: "Harbour Bank".to_owned(),
        kind: CardKind::Debit,
    };
    let answer = BindingAnswer::Bound { face: Some(face), token_sealed: vec![9; 4] };
    let card = must(engine, RecordBinding { binding, answer }).card.expect("a bound binding has its card");
    let top_up = StartTopUp {
        person: id,
        number: "first".to_owned(),
        card,
        at: None,
        amount: fen(minor),
        confirmed: pin(pin_text).into(),
    };
    let attempt = must(engine, top_up).id;
    must(engine, EndAttempt { attempt, outcome: Outcome::Succeeded { network_ref: "bank-1".to_owned() } });
    Person { id, card }
}

fn start_binding(person: PersonId, number: u8, pin_text: &str) -> StartBinding {
    let mut identity_mac = [0; 32];
    identity_mac[..8].copy_from_slice(&person.0.to_be_bytes());
    StartBinding {
        person,
        number: "binding".to_owned(),
        network: ISSUER_NETWORK,
        card_mac: [number; 32],
        bin: "621626".to_owned(),
        last4: format!("{number:04}"),
        identity_mac,
        name_masked: "**明".to_owned(),
        id_number_masked: "1****************X".to_owned(),
        identity_sealed: vec![5; 8],
        age: 30,
        phone_masked: "138****8000".to_owned(),
        kind: CardKind::Debit,
        pin: Some(pin(pin_text)),
    }
}

/// An order of a merchant's.
pub(super) fn order(mchid: MchId, number: &str, minor: i64) -> PlaceOrder {
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
