//! Paying, topping up and withdrawing at another wallet, and what is linked there.

use koudai_core::card::CardKind;
use koudai_core::id::PersonId;
use koudai_core::ledger::{AccountId, JournalKind, WECHAT_NETWORK};
use koudai_core::other_wallet::{
    AllowLink, AtWallet, GiveUp, LinkWallet, OpenWallet, PAY_ELSEWHERE_MS, RECEIVE_ELSEWHERE_MS, Scene,
};
use koudai_core::payment::{Means, Pay};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Attempt, AttemptState, Card, NetworkRefusal, OpenAttempt, Order, OrderState, Person, Speed,
};
use koudai_core::top_up::StartTopUp;

use crate::fixture::{Freeze, Ledger, PIN, WRONG, fen, pin, withdrawal};

pub(crate) fn open(person: PersonId, mac: u8) -> OpenWallet {
    let (zh, en) = ("微信支付".to_owned(), "WeChat Pay".to_owned());
    OpenWallet { person, network: WECHAT_NETWORK, mac: [mac; 32], zh, en }
}

pub(crate) fn inside() -> AtWallet {
    AtWallet { scene: Scene::Inside, payer_sealed: Some(vec![7]) }
}

fn computer() -> AtWallet {
    AtWallet { scene: Scene::Computer, payer_sealed: None }
}

/// A person with ¥100 and what they have at another wallet.
fn holder(ledger: &mut Ledger) -> (PersonId, Card) {
    let person = ledger.person_with("13800138000", 10_000);
    (person, ledger.submit(&open(person, 200)).expect("they are there"))
}

fn pay(
    ledger: &mut Ledger,
    person: PersonId,
    wallet: &Card,
    order: &Order,
    with: &str,
) -> Result<Order, Refusal> {
    let means = Means::Wallet { card: wallet.id, at: inside() };
    ledger.submit(&Pay { person, order: order.id, means, confirmed: pin(with).into() })
}

#[test]
fn a_person_has_one_thing_at_a_wallet_which_counts_as_no_card() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let cards = ledger.get::<Person>(&person).unwrap().cards;
    assert_eq!((wallet.kind, wallet.token_sealed.len(), cards), (CardKind::Wallet, 0, 1));
    let (again, changed) = ledger.effect(&open(person, 200));
    assert_eq!((again.unwrap(), changed), (wallet, false));
    assert_eq!(ledger.submit(&open(PersonId(16), 201)).unwrap_err(), Refusal::SignedOut);
}

#[test]
fn an_order_waits_for_its_payer_for_five_minutes_and_is_paid_by_what_the_wallet_says() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 1_000);
    assert_eq!(
        pay(&mut ledger, person, &wallet, &order, WRONG).unwrap_err(),
        Refusal::PaymentPasswordWrong { tries_left: 4 }
    );
    let paying = pay(&mut ledger, person, &wallet, &order, PIN).unwrap();
    let attempt = paying.attempt.unwrap();
    let row = ledger.get::<OpenAttempt>(&attempt).unwrap();
    assert_eq!((row.scene, row.payer_sealed), (Some(Scene::Inside), Some(vec![7])));
    assert_eq!(row.send_until, ledger.now.plus(PAY_ELSEWHERE_MS));
    assert_eq!(ledger.balance_of(person), 10_000);

    let (repeat, changed) = ledger.effect(&Pay {
        person,
        order: order.id,
        means: Means::Wallet { card: wallet.id, at: computer() },
        confirmed: pin(PIN).into(),
    });
    assert_eq!((repeat.unwrap().attempt, changed), (Some(attempt), false), "wherever it is sent from again");
    assert_eq!(ledger.pay(person, order.id).unwrap_err(), Refusal::OrderBeingPaid);

    ledger.succeed(attempt);
    let paid = ledger.get::<Order>(&order.id).unwrap();
    assert_eq!((paid.state, paid.card), (OrderState::Paid, Some(wallet.id)));
    assert_eq!(ledger.balance(AccountId::clearing(WECHAT_NETWORK)), 1_000);
    assert_eq!(ledger.journals().last().unwrap().kind, JournalKind::CardPayment);
    assert_eq!(ledger.get::<OpenAttempt>(&attempt), None, "where the payer was is forgotten");

    let (refund, _) = ledger.refund(&paid, "refund-1", 400).unwrap();
    let back = ledger.get::<Attempt>(&refund.attempt.unwrap()).unwrap();
    assert_eq!((back.network, back.card), (WECHAT_NETWORK, wallet.id));
    assert_eq!(ledger.submit(&GiveUp { person, attempt: back.id }).unwrap_err(), Refusal::RecordUnknown);
    ledger.succeed(back.id);
    assert_eq!(ledger.balance(AccountId::clearing(WECHAT_NETWORK)), 600);
    ledger.audit();
}

#[test]
fn what_is_given_up_is_withdrawn_there_at_once_and_what_was_done_meanwhile_counts() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let other = ledger.person_with("13900139000", 100);
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 1_000);
    let attempt = pay(&mut ledger, person, &wallet, &order, PIN).unwrap().attempt.unwrap();
    ledger.advance(60_000);
    assert_eq!(ledger.submit(&GiveUp { person: other, attempt }).unwrap_err(), Refusal::RecordUnknown);
    ledger.submit(&GiveUp { person, attempt }).unwrap();
    let row = ledger.get::<OpenAttempt>(&attempt).unwrap();
    assert!(row.send_until == ledger.now && row.next_at <= ledger.now);
    let told = ledger.events.len();
    let (again, changed) = ledger.effect(&GiveUp { person, attempt });
    assert!(again.is_ok() && !changed);
    assert_eq!(ledger.events.len(), told, "nobody is told of the same twice");
    ledger.fail(attempt, NetworkRefusal::Withdrawn);
    assert_eq!(ledger.get::<Order>(&order.id).unwrap().state, OrderState::Unpaid);

    let attempt = pay(&mut ledger, person, &wallet, &order, PIN).unwrap().attempt.unwrap();
    ledger.submit(&GiveUp { person, attempt }).unwrap();
    ledger.succeed(attempt);
    assert_eq!(ledger.get::<Order>(&order.id).unwrap().state, OrderState::Paid);
    assert_eq!(ledger.submit(&GiveUp { person, attempt }).unwrap().state, AttemptState::Succeeded);
    ledger.audit();
}

#[test]
fn a_bank_card_is_not_given_up_by_its_holder() {
    let mut ledger = Ledger::new();
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 1_000);
    let attempt = ledger.pay_by(person, order.id, Some(card), PIN).unwrap().attempt.unwrap();
    assert_eq!(ledger.submit(&GiveUp { person, attempt }).unwrap_err(), Refusal::RecordUnknown);
}

#[test]
fn a_top_up_from_there_arrives_once_it_was_paid() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let top_up = |at| StartTopUp {
        person,
        number: "top-up-1".to_owned(),
        card: wallet.id,
        at,
        amount: fen(5_000),
        confirmed: pin(PIN).into(),
    };
    assert_eq!(ledger.submit(&top_up(None)).unwrap_err(), Refusal::CardUnknown, "a wallet is no card");
    let attempt = ledger.submit(&top_up(Some(computer()))).unwrap();
    assert_eq!(ledger.get::<OpenAttempt>(&attempt.id).unwrap().scene, Some(Scene::Computer));
    ledger.succeed(attempt.id);
    assert_eq!(ledger.balance_of(person), 15_000);
    ledger.audit();
}

#[test]
fn a_card_is_no_wallet_and_a_wallet_no_card() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let card = ledger.card(person);
    let mchid = ledger.merchant();
    let order = ledger.order(mchid, "order-1", 1_000).id;
    for means in [
        Means::Wallet { card, at: computer() },
        Means::Card(wallet.id),
        Means::Both { from_balance: fen(1), card: wallet.id },
    ] {
        let pay = Pay { person, order, means, confirmed: pin(PIN).into() };
        let (refused, changed) = ledger.effect(&pay);
        assert_eq!((refused.unwrap_err(), changed), (Refusal::CardUnknown, false));
    }
}

#[test]
fn money_goes_only_to_what_was_linked_and_nothing_is_relinked_under_it() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let out = withdrawal(person, wallet.id, "out-1", 1_000, Speed::RealTime);
    assert_eq!(ledger.submit(&out).unwrap_err(), Refusal::WalletNotLinked);

    let allow = |with: &str| AllowLink { person, card: wallet.id, pin: pin(with) };
    assert_eq!(ledger.submit(&allow(WRONG)).unwrap_err(), Refusal::PaymentPasswordWrong { tries_left: 4 });
    ledger.submit(&allow(PIN)).unwrap();
    let link = |token: &[u8]| LinkWallet { person, card: wallet.id, token_sealed: token.to_vec() };
    ledger.submit(&link(&[1, 2])).unwrap();
    let sent = ledger.submit(&out).unwrap();
    let attempt = sent.attempt.unwrap();
    let row = ledger.get::<OpenAttempt>(&attempt).unwrap();
    assert_eq!((row.send_until, row.scene), (ledger.now.plus(RECEIVE_ELSEWHERE_MS), None));
    assert_eq!(ledger.submit(&allow(PIN)).unwrap_err(), Refusal::CardAwaitsMoney);
    assert_eq!(ledger.submit(&link(&[])).unwrap_err(), Refusal::CardAwaitsMoney);
    ledger.fail(attempt, NetworkRefusal::Withdrawn);
    assert_eq!(ledger.balance_of(person), 10_000, "what nobody received is back, with its fee");
    ledger.submit(&link(&[])).unwrap();
    assert_eq!(ledger.submit(&out).unwrap().id, sent.id, "the same number is the same withdrawal");
    let again = withdrawal(person, wallet.id, "out-2", 1_000, Speed::RealTime);
    assert_eq!(ledger.submit(&again).unwrap_err(), Refusal::WalletNotLinked);
    ledger.audit();
}

#[test]
fn who_is_frozen_links_nothing_and_nobody_links_for_another() {
    let mut ledger = Ledger::new();
    let (person, wallet) = holder(&mut ledger);
    let other = ledger.person_with("13900139000", 100);
    let link = LinkWallet { person: other, card: wallet.id, token_sealed: vec![1] };
    assert_eq!(ledger.submit(&link).unwrap_err(), Refusal::CardUnknown);
    ledger.submit(&Freeze(person)).unwrap();
    let allow = AllowLink { person, card: wallet.id, pin: pin(PIN) };
    assert_eq!(ledger.submit(&allow).unwrap_err(), Refusal::AccountFrozen);
}
