//! A merchant's printed codes: who pays by them, and how much a day.

use koudai_core::id::{MchId, PersonId};
use koudai_core::ledger::{AccountId, WECHAT_NETWORK};
use koudai_core::merchant::SetMerchant;
use koudai_core::order::{OrderStanding, PlaceOrder};
use koudai_core::other_wallet::GiveUp;
use koudai_core::payment::{Means, Pay};
use koudai_core::refund::{Elsewhere, RedirectRefund};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{
    Attempt, AttemptState, Card, CardOwner, Guest, NetworkRefusal, Order, OrderState, Product, RefundState,
    StaticCode, StaticTally,
};
use koudai_core::secret::Secret;
use koudai_core::static_code::{
    AtCode, CreateStaticCode, PayAsGuest, PlaceAtCode, RevokeStaticCode, SourceId, StaticCodeRefusal,
    guest_mac,
};
use koudai_core::time::{DAY, HOUR, MINUTE};

use crate::fixture::{Freeze, Ledger, PIN, WRONG, fen, pin, place, set, transfer};
use crate::other_wallet::{inside, open};

/// What one source may pay a day, in fen.
const MOST: i64 = 50_000;

/// A merchant with a printed code.
fn counter(ledger: &mut Ledger) -> (MchId, StaticCode) {
    let mchid = ledger.merchant();
    (mchid, code(ledger, mchid))
}

fn allow(ledger: &mut Ledger, mchid: MchId, products: &[Product]) {
    ledger.submit(&SetMerchant { products: Some(products.to_vec()), ..set(mchid) }).expect("it is there");
}

fn code(ledger: &mut Ledger, mchid: MchId) -> StaticCode {
    let notify_url = Some("https://shop.example/told".to_owned());
    ledger
        .submit(&CreateStaticCode { mchid, label: "1号窗口".to_owned(), notify_url })
        .expect("the merchant is there")
}

fn said(code: &StaticCode, number: &str, minor: i64) -> AtCode {
    let (code, device) = (code.token, "a-device".to_owned());
    AtCode { code, device, amount: fen(minor), note: None, number: number.to_owned() }
}

fn placed(ledger: &mut Ledger, code: &StaticCode, person: PersonId, number: &str, minor: i64) -> Order {
    ledger.submit(&PlaceAtCode { person, said: said(code, number, minor) }).expect("the code is in use")
}

/// Who is known by this letter at WeChat Pay.
fn guest(code: &StaticCode, who: &str, number: &str, minor: i64) -> PayAsGuest {
    let mac = guest_mac(&Secret::new([7; 32]), WECHAT_NETWORK, &Secret::new(who.to_owned()));
    let (zh, en) = ("微信支付".to_owned(), "WeChat Pay".to_owned());
    PayAsGuest { network: WECHAT_NETWORK, mac, zh, en, at: inside(), said: said(code, number, minor) }
}

fn used(ledger: &mut Ledger, source: SourceId) -> i64 {
    ledger.get::<StaticTally>(&source).map_or(0, |row| row.used.minor())
}

#[test]
fn an_order_of_a_code_is_its_payers_alone_and_made_once() {
    let mut ledger = Ledger::new();
    let (mchid, code) = counter(&mut ledger);
    let person = ledger.person_with("13800138000", 10_000);
    let other = ledger.person_with("13900139000", 10_000);
    let mut wish = PlaceAtCode { person, said: said(&code, "number-1", 1_250) };
    wish.said.note = Some("三号桌".to_owned());
    let order = ledger.submit(&wish).unwrap();
    assert_eq!((order.mchid, order.product, order.meant_for), (mchid, Product::Static, Some(person)));
    assert_eq!((&*order.description, order.attach.as_deref()), ("1号窗口", Some("三号桌")));
    assert_eq!(&*order.notify_url, "https://shop.example/told");
    assert_eq!(order.scene_info.as_deref(), Some(r#"{"device_id":"a-device"}"#));
    assert!(order.out_trade_no.len() <= 32 && order.out_trade_no.starts_with('S'), "{}", order.out_trade_no);

    assert_eq!(ledger.effect(&wish), (Ok(order.clone()), false), "sent twice, it is one order");
    let dearer = PlaceAtCode { person, said: AtCode { amount: fen(1_251), ..wish.said.clone() } };
    assert_eq!(ledger.refusal(&dearer), Refusal::NumberReused);
    let theirs = PlaceAtCode { person: other, said: wish.said.clone() };
    let theirs = ledger.submit(&theirs).unwrap();
    assert_ne!(theirs.out_trade_no, order.out_trade_no, "each payer has numbers of their own");

    assert_eq!(ledger.pay(other, order.id).unwrap_err(), Refusal::OrderForAnother);
    let paid = ledger.pay(person, order.id).unwrap();
    assert_eq!(paid.state, OrderState::Paid);
    assert_eq!(ledger.effect(&wish), (Ok(paid), false), "and so it is once it is paid");
    ledger.advance(15 * MINUTE);
    assert_eq!(ledger.get::<Order>(&theirs.id).unwrap().standing(ledger.now), OrderStanding::Expired);
    ledger.audit();
}

#[test]
fn a_code_that_is_unknown_down_or_not_the_merchants_to_use_makes_no_order() {
    let mut ledger = Ledger::new();
    let (mchid, code) = counter(&mut ledger);
    let person = ledger.person_with("13800138000", 10_000);
    let wish = PlaceAtCode { person, said: said(&code, "number-1", 100) };
    let refused = |ledger: &mut Ledger, why| {
        assert_eq!(ledger.refusal(&wish), why);
        assert_eq!(ledger.refusal(&guest(&code, "a", "number-1", 100)), why);
        assert!(ledger.all::<Guest>().is_empty(), "nobody is remembered for it");
    };
    let unknown = PlaceAtCode { person, said: AtCode { code: [9; 16], ..wish.said.clone() } };
    assert_eq!(ledger.refusal(&unknown), Refusal::CodeNotOurs);
    assert_eq!(ledger.refusal(&PlaceAtCode { person: PersonId(16), ..wish.clone() }), Refusal::SignedOut);
    let more = Refusal::DayStaticCodesReached { most: fen(MOST), left: fen(MOST) };
    for (amount, why) in [(0, Refusal::AmountOutOfRange { least: fen(1), most: fen(MOST) }), (MOST + 1, more)]
    {
        let said = AtCode { amount: fen(amount), ..wish.said.clone() };
        assert_eq!(ledger.refusal(&PlaceAtCode { person, said }), why);
    }
    allow(&mut ledger, mchid, &[Product::Native]);
    refused(&mut ledger, Refusal::ProductNotEnabled);
    allow(&mut ledger, mchid, Product::ALL);
    ledger.submit(&SetMerchant { suspended: Some(true), ..set(mchid) }).unwrap();
    refused(&mut ledger, Refusal::MerchantSuspended);
    ledger.submit(&SetMerchant { suspended: Some(false), ..set(mchid) }).unwrap();
    ledger.submit(&Freeze(person)).unwrap();
    assert_eq!(ledger.refusal(&wish), Refusal::AccountFrozen);

    let order = ledger.submit(&guest(&code, "a", "number-2", 100)).unwrap();
    let down = RevokeStaticCode { mchid, token: code.token };
    let revoked = ledger.submit(&down).unwrap();
    assert_eq!(revoked.revoked_at, Some(ledger.now));
    assert_eq!(ledger.effect(&down), (Ok(revoked), false));
    assert_eq!(ledger.refusal(&guest(&code, "a", "number-3", 100)), Refusal::CodeRevoked);
    assert_eq!(
        ledger.submit(&guest(&code, "a", "number-2", 100)).unwrap().id,
        order.id,
        "what was begun goes on"
    );
    ledger.succeed(order.attempt.unwrap());
    ledger.audit();
}

#[test]
fn only_its_merchant_has_a_code() {
    let mut ledger = Ledger::new();
    let (mchid, code) = counter(&mut ledger);
    let other = ledger.merchant();
    let label = || "2号窗口".to_owned();
    let nobody = CreateStaticCode { mchid: MchId(1), label: label(), notify_url: None };
    assert_eq!(ledger.refusal(&nobody), StaticCodeRefusal::MerchantUnknown);
    let second = ledger.submit(&CreateStaticCode { mchid, label: label(), notify_url: None }).unwrap();
    assert!(second.token != code.token && second.notify_url.is_empty());
    for (mchid, token) in [(other, code.token), (mchid, [9; 16])] {
        assert_eq!(ledger.refusal(&RevokeStaticCode { mchid, token }), StaticCodeRefusal::CodeUnknown);
    }
}

#[test]
fn each_source_pays_so_much_a_day_by_codes_and_no_more() {
    let mut ledger = Ledger::new();
    let (mchid, code) = counter(&mut ledger);
    let person = ledger.person_with("13800138000", 200_000);
    let card = ledger.card(person);
    let (balance, by_card) = (SourceId::of(person, None), SourceId::of(person, Some(card)));
    let first = placed(&mut ledger, &code, person, "number-1", 30_000);
    ledger.pay(person, first.id).unwrap();
    let second = placed(&mut ledger, &code, person, "number-2", 20_001);
    let over = Refusal::DayStaticCodesReached { most: fen(MOST), left: fen(20_000) };
    assert_eq!(ledger.pay(person, second.id).unwrap_err(), over);
    let wrong = ledger.pay_by(person, second.id, None, WRONG).unwrap_err();
    assert_eq!(wrong, over, "and no try at the password is taken");
    assert_eq!((used(&mut ledger, balance), used(&mut ledger, by_card)), (30_000, 0));

    // A card has a bound of its own, and what pays in two parts is held against both.
    let parts = |from_balance| Means::Both { from_balance: fen(from_balance), card };
    let both = |order: &Order, from_balance| Pay {
        person,
        order: order.id,
        means: parts(from_balance),
        confirmed: pin(PIN).into(),
    };
    let paying = ledger.submit(&both(&second, 5_000)).unwrap();
    assert_eq!((used(&mut ledger, balance), used(&mut ledger, by_card)), (35_000, 15_001));
    assert_eq!(ledger.submit(&both(&second, 5_000)).unwrap().attempt, paying.attempt);
    assert_eq!(used(&mut ledger, balance), 35_000, "a repeat counts nothing");
    ledger.fail(paying.attempt.unwrap(), NetworkRefusal::InsufficientFunds);
    assert_eq!(
        (used(&mut ledger, balance), used(&mut ledger, by_card)),
        (30_000, 0),
        "what came to nothing is given back"
    );
    let paying = ledger.submit(&both(&second, 1)).unwrap();
    ledger.succeed(paying.attempt.unwrap());
    assert_eq!((used(&mut ledger, balance), used(&mut ledger, by_card)), (30_001, 20_000));

    // Orders that are shown for one payment are not bounded.
    let shown = ledger.order(mchid, "order-1", 60_000);
    ledger.pay(person, shown.id).unwrap();
    assert_eq!(used(&mut ledger, balance), 30_001);

    let third = placed(&mut ledger, &code, person, "number-3", 20_000);
    assert!(ledger.pay(person, third.id).is_err());
    ledger.advance(DAY);
    let third = placed(&mut ledger, &code, person, "number-4", MOST);
    ledger.pay(person, third.id).unwrap();
    assert_eq!(used(&mut ledger, balance), MOST, "another day begins at nothing");
    let third = ledger.get(&third.id).unwrap();
    let (refund, _) = ledger.refund(&third, "refund-1", MOST).unwrap();
    assert_eq!(refund.state, RefundState::Success);
    assert_eq!(used(&mut ledger, balance), MOST, "what was paid was paid");
    ledger.audit();
}

#[test]
fn what_fails_on_another_day_gives_nothing_back() {
    let mut ledger = Ledger::new();
    let (_, code) = counter(&mut ledger);
    let person = ledger.person_with_pin("13800138000");
    let card = ledger.card(person);
    let source = SourceId::of(person, Some(card));
    let order = placed(&mut ledger, &code, person, "number-1", 1_000);
    let attempt = ledger.pay_by(person, order.id, Some(card), PIN).unwrap().attempt.unwrap();
    ledger.advance(DAY);
    let order = placed(&mut ledger, &code, person, "number-2", 300);
    let next = ledger.pay_by(person, order.id, Some(card), PIN).unwrap().attempt.unwrap();
    ledger.fail(attempt, NetworkRefusal::Refused);
    assert_eq!(used(&mut ledger, source), 300);
    ledger.fail(next, NetworkRefusal::Refused);
    assert_eq!(used(&mut ledger, source), 0);
}

#[test]
fn nobody_makes_orders_without_end() {
    let mut ledger = Ledger::new();
    let (_, code) = counter(&mut ledger);
    let person = ledger.person_with_pin("13800138000");
    for turn in 0..200 {
        placed(&mut ledger, &code, person, &format!("number-{turn}"), 1);
    }
    let more = PlaceAtCode { person, said: said(&code, "number-200", 1) };
    assert_eq!(ledger.refusal(&more), Refusal::TooManyStaticOrders { most: 200 });
    ledger.advance(DAY);
    ledger.submit(&more).unwrap();
}

#[test]
fn somebody_without_a_wallet_here_pays_at_theirs() {
    let mut ledger = Ledger::new();
    let (mchid, code) = counter(&mut ledger);
    let order = ledger.submit(&guest(&code, "a", "number-1", 1_000)).unwrap();
    assert_eq!((order.state, order.meant_for), (OrderState::Paying, order.payer));
    let (payer, attempt) = (order.payer.unwrap(), order.attempt.unwrap());
    let again = ledger.effect(&guest(&code, "a", "number-1", 1_000));
    assert_eq!(again, (Ok(order.clone()), false), "sent twice, it is asked for once");
    assert_eq!(ledger.all::<Guest>().len(), 1);
    ledger.succeed(attempt);
    let paid = ledger.get::<Order>(&order.id).unwrap();
    assert_eq!(paid.state, OrderState::Paid);
    assert_eq!(ledger.balance(AccountId::clearing(WECHAT_NETWORK)), 1_000);

    // Whoever it is there is the same guest here, and somebody else is another.
    let second = ledger.submit(&guest(&code, "a", "number-2", 500)).unwrap();
    assert_eq!((second.payer, second.card), (Some(payer), paid.card));
    let other = ledger.submit(&guest(&code, "b", "number-1", 700)).unwrap();
    assert_ne!((other.payer, other.card), (Some(payer), paid.card));
    assert_ne!(other.out_trade_no, order.out_trade_no);
    assert_eq!(used(&mut ledger, SourceId::of(payer, paid.card)), 1_500);
    let card = ledger.get::<Card>(&paid.card.unwrap()).unwrap();
    let owner = ledger.get::<CardOwner>(&card.number_mac).unwrap();
    assert_eq!((owner.person, owner.card), (payer, paid.card));

    // What is given up may be tried again under the same number.
    ledger.submit(&GiveUp { person: payer, attempt: second.attempt.unwrap() }).unwrap();
    ledger.fail(second.attempt.unwrap(), NetworkRefusal::Withdrawn);
    assert_eq!(used(&mut ledger, SourceId::of(payer, paid.card)), 1_000);
    let retried = ledger.submit(&guest(&code, "a", "number-2", 500)).unwrap();
    assert_eq!(retried.id, second.id);
    assert_ne!(retried.attempt, second.attempt);
    assert_eq!(used(&mut ledger, SourceId::of(payer, paid.card)), 1_500);
    let begun = ledger.get::<StaticTally>(&SourceId::of(payer, None)).unwrap();
    assert_eq!((begun.orders, begun.used), (2, fen(0)), "a second try is no second order");

    let over = Refusal::DayStaticCodesReached { most: fen(MOST), left: fen(MOST - 1_500) };
    assert_eq!(ledger.refusal(&guest(&code, "a", "number-3", MOST - 1_499)), over);

    // A guest is no person: nothing is sent to them, meant for them or paid by them otherwise.
    let meant = PlaceOrder { meant_for: Some(payer), ..place(mchid, "order-1", 100) };
    assert_eq!(ledger.refusal(&meant), MerchantRefusal::PayerUnknown);
    let sent = ledger.refusal(&transfer(mchid, "transfer1", payer, 30));
    assert_eq!(sent, MerchantRefusal::PayeeUnknown);
    let shown = ledger.order(mchid, "order-2", 100);
    let means = Means::Wallet { card: paid.card.unwrap(), at: inside() };
    let pay = Pay { person: payer, order: shown.id, means, confirmed: pin(PIN).into() };
    assert_eq!(ledger.refusal(&pay), Refusal::SignedOut);
    assert_eq!(ledger.submit(&open(payer, 99)).unwrap_err(), Refusal::SignedOut);
    ledger.audit();
}

#[test]
fn a_guests_refund_goes_back_to_their_wallet_or_to_the_merchant() {
    let mut ledger = Ledger::new();
    let (mchid, code) = counter(&mut ledger);
    let order = ledger.submit(&guest(&code, "a", "number-1", 1_000)).unwrap();
    ledger.succeed(order.attempt.unwrap());
    let paid = ledger.get::<Order>(&order.id).unwrap();
    ledger.advance(HOUR);
    let (refund, _) = ledger.refund(&paid, "refund-1", 400).unwrap();
    let back = ledger.get::<Attempt>(&refund.attempt.unwrap()).unwrap();
    assert_eq!((back.network, Some(back.card), back.state), (WECHAT_NETWORK, order.card, AttemptState::Open));
    ledger.fail(back.id, NetworkRefusal::Refused);
    let redirect = |to| RedirectRefund { mchid, refund: refund.id, out_refund_no: "refund-1".to_owned(), to };
    assert_eq!(ledger.refusal(&redirect(Elsewhere::Balance)), MerchantRefusal::PayerHasNoWallet);
    let (refund, _) = ledger.submit(&redirect(Elsewhere::Merchant)).unwrap();
    assert_eq!(refund.state, RefundState::Success);
    assert_eq!(ledger.balance(AccountId::person(order.payer.unwrap())), 0);
    ledger.audit();
}
