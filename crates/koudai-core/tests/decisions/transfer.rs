//! Merchants' transfers to people: held, and then received, taken back or closed, once.

use koudai_core::id::{MchId, PersonId, TransferId};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::merchant::SetMerchant;
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{Identity, Product, Transfer, TransferFailure, TransferState, WaitingTransfer};
use koudai_core::state::Event;
use koudai_core::time::{DAY, MINUTE};
use koudai_core::transfer::{
    CancelTransfer, CloseOverdue, CreateTransfer, Found, GivenName, ReceiveTransfer,
};

use crate::fixture::{Freeze, Ledger, SCENE, fen, set, transfer};

/// A merchant with 9,940 fen, and somebody to send it to.
fn shop() -> (Ledger, MchId, PersonId) {
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let payer = ledger.person_with("13800138000", 10_000);
    ledger.paid(mchid, "order-1", payer, 10_000);
    let payee = ledger.person_with_pin("13900139000");
    (ledger, mchid, payee)
}

fn receive(person: PersonId, transfer: &Transfer) -> ReceiveTransfer {
    ReceiveTransfer { person, transfer: transfer.id }
}

fn cancel(mchid: MchId, number: &str) -> CancelTransfer {
    CancelTransfer { mchid, out_bill_no: number.to_owned() }
}

fn close(transfer: &Transfer) -> CloseOverdue {
    CloseOverdue { transfers: vec![transfer.id, TransferId(16), transfer.id] }
}

/// How merchant, what is in flight and payee stand.
fn money(ledger: &mut Ledger, mchid: MchId, payee: PersonId) -> [i64; 3] {
    [AccountId::merchant(mchid), AccountId::transfers_in_flight(mchid), AccountId::person(payee)]
        .map(|account| ledger.balance(account))
}

/// The payee's name as a merchant gave it, compared with what the payee has proven.
fn named(ledger: &mut Ledger, payee: PersonId, same_name: bool) -> GivenName {
    let identity = ledger.get::<Identity>(&payee);
    let found = identity.map_or(Found::Nobody, |i| Found::Identity { mac: i.mac, same_name });
    GivenName { mac: [7; 32], sealed: vec![1], found }
}

#[test]
fn a_transfer_is_held_and_then_received() {
    let (mut ledger, mchid, payee) = shop();
    let made = ledger.submit(&transfer(mchid, "bill1", payee, 300)).unwrap();
    assert_eq!((made.state, made.failure, made.ended_at), (TransferState::Waiting, None, None));
    assert_eq!(made.expires_at, ledger.now.plus(DAY));
    assert_eq!(money(&mut ledger, mchid, payee), [9_640, 300, 0]);
    assert_eq!(ledger.get::<WaitingTransfer>(&made.id).unwrap().payee, payee);

    ledger.commit();
    ledger.events.clear();
    ledger.advance(MINUTE);
    let received = ledger.submit(&receive(payee, &made)).unwrap();
    assert_eq!((received.state, received.ended_at), (TransferState::Received, Some(ledger.now)));
    assert_eq!(money(&mut ledger, mchid, payee), [9_640, 0, 300]);
    assert!(ledger.get::<WaitingTransfer>(&made.id).is_none());
    ledger.commit();
    assert_eq!(ledger.events, [Event::NoticeDue(mchid)]);
    let kinds: Vec<JournalKind> = ledger.journals().iter().rev().take(2).map(|j| j.kind).collect();
    assert_eq!(kinds, [JournalKind::TransferPaid, JournalKind::TransferHeld]);

    let (again, changed) = ledger.effect(&receive(payee, &made));
    assert_eq!((again.unwrap(), changed), (received, false));
    ledger.audit();
}

#[test]
fn a_transfer_that_is_taken_back_goes_back_and_cannot_be_received() {
    let (mut ledger, mchid, payee) = shop();
    let made = ledger.submit(&transfer(mchid, "bill1", payee, 300)).unwrap();
    ledger.commit();
    ledger.events.clear();
    let back = ledger.submit(&cancel(mchid, "bill1")).unwrap();
    assert_eq!((back.state, back.failure), (TransferState::Cancelled, Some(TransferFailure::Withdrawn)));
    assert_eq!(money(&mut ledger, mchid, payee), [9_940, 0, 0]);
    ledger.commit();
    assert_eq!(ledger.events, [Event::NoticeDue(mchid)]);
    let (again, changed) = ledger.effect(&cancel(mchid, "bill1"));
    assert_eq!((again.unwrap(), changed), (back, false));
    assert_eq!(ledger.refusal(&receive(payee, &made)), Refusal::TransferWithdrawn);
    ledger.audit();
}

#[test]
fn a_transfer_nobody_receives_in_a_day_goes_back() {
    let (mut ledger, mchid, payee) = shop();
    let made = ledger.submit(&transfer(mchid, "bill1", payee, 300)).unwrap();
    ledger.advance(DAY - 1);
    let (_, changed) = ledger.effect(&close(&made));
    assert!(!changed, "it has a millisecond left");
    ledger.advance(1);
    assert_eq!(ledger.refusal(&receive(payee, &made)), Refusal::TransferOverdue, "closed by the clock");
    ledger.submit(&close(&made)).unwrap();
    let over = ledger.get::<Transfer>(&made.id).unwrap();
    assert_eq!((over.state, over.failure), (TransferState::Failed, Some(TransferFailure::Overdue)));
    assert_eq!(over.ended_at, Some(ledger.now));
    assert_eq!(money(&mut ledger, mchid, payee), [9_940, 0, 0]);
    assert_eq!(ledger.refusal(&receive(payee, &made)), Refusal::TransferOverdue);
    assert_eq!(ledger.refusal(&cancel(mchid, "bill1")), MerchantRefusal::TransferOver);
    let (_, changed) = ledger.effect(&close(&made));
    assert!(!changed);
    ledger.audit();
}

#[test]
fn a_received_transfer_is_neither_taken_back_nor_closed() {
    let (mut ledger, mchid, payee) = shop();
    let made = ledger.submit(&transfer(mchid, "bill1", payee, 300)).unwrap();
    ledger.submit(&receive(payee, &made)).unwrap();
    assert_eq!(ledger.refusal(&cancel(mchid, "bill1")), MerchantRefusal::TransferOver);
    ledger.advance(2 * DAY);
    let (_, changed) = ledger.effect(&close(&made));
    assert!(!changed);
    assert_eq!(money(&mut ledger, mchid, payee), [9_640, 0, 300]);
}

#[test]
fn the_same_number_and_content_is_one_transfer_and_other_content_names_its_field() {
    let (mut ledger, mchid, payee) = shop();
    let other = ledger.person_with_pin("13700137000");
    let first = transfer(mchid, "bill1", payee, 300);
    let made = ledger.submit(&first).unwrap();
    let (again, changed) = ledger.effect(&first);
    assert_eq!((again.unwrap(), changed), (made.clone(), false));
    let name = Some(GivenName { mac: [7; 32], sealed: vec![1], found: Found::Nobody });
    for (changed, field) in [
        (CreateTransfer { scene: "1005".to_owned(), ..first.clone() }, "/transfer_scene_id"),
        (CreateTransfer { payee: other, ..first.clone() }, "/openid"),
        (CreateTransfer { name, ..first.clone() }, "/user_name"),
        (CreateTransfer { amount: fen(301), ..first.clone() }, "/transfer_amount"),
        (CreateTransfer { remark: "other".to_owned(), ..first.clone() }, "/transfer_remark"),
        (CreateTransfer { perception: None, ..first.clone() }, "/user_recv_perception"),
        (CreateTransfer { report: "[1]".to_owned(), ..first.clone() }, "/transfer_scene_report_infos"),
        (CreateTransfer { notify_url: Some("https://a.cn".to_owned()), ..first.clone() }, "/notify_url"),
    ] {
        assert_eq!(ledger.refusal(&changed), MerchantRefusal::OutBillNoUsed { field });
    }
    // Whatever became of it, the number stands for it.
    let received = ledger.submit(&receive(payee, &made)).unwrap();
    assert_eq!(ledger.submit(&first).unwrap(), received);
    let elsewhere = ledger.merchant();
    let theirs = transfer(elsewhere, "bill1", payee, 300);
    assert_eq!(ledger.refusal(&theirs), MerchantRefusal::NotEnoughFunds, "a number is its merchant's own");
}

#[test]
fn a_merchant_sends_no_more_than_it_has_and_may_ask_again_once_it_has_it() {
    let (mut ledger, mchid, payee) = shop();
    ledger.submit(&transfer(mchid, "bill1", payee, 9_000)).unwrap();
    let more = transfer(mchid, "bill2", payee, 941);
    assert_eq!(ledger.refusal(&more), MerchantRefusal::NotEnoughFunds);
    ledger.submit(&transfer(mchid, "bill3", payee, 940)).unwrap();
    assert_eq!(money(&mut ledger, mchid, payee), [0, 9_940, 0]);
    ledger.submit(&cancel(mchid, "bill1")).unwrap();
    assert_eq!(ledger.submit(&more).unwrap().state, TransferState::Waiting);
    ledger.audit();
}

#[test]
fn rights_are_asked_for_in_order() {
    let (mut ledger, mchid, payee) = shop();
    let wish = transfer(mchid, "bill1", payee, 300);
    let app = CreateTransfer { appid: "wx0".to_owned(), ..wish.clone() };
    assert_eq!(ledger.refusal(&app), MerchantRefusal::AppidMismatch);
    let scene = CreateTransfer { scene: "100".to_owned(), ..wish.clone() };
    assert_eq!(ledger.refusal(&scene), MerchantRefusal::SceneNotGranted);
    let nobody = CreateTransfer { payee: PersonId(1 << 60), ..wish.clone() };
    assert_eq!(ledger.refusal(&nobody), MerchantRefusal::PayeeUnknown);
    let unknown = CreateTransfer { mchid: MchId(1), ..wish.clone() };
    assert_eq!(ledger.refusal(&unknown), MerchantRefusal::MerchantUnknown);

    let scenes = Some(vec!["1005".to_owned(), SCENE.to_owned(), "1005".to_owned()]);
    let changed = ledger.submit(&SetMerchant { transfer_scenes: scenes, ..set(mchid) }).unwrap();
    assert_eq!(&*changed.transfer_scenes, "1000 1005");
    ledger.submit(&SetMerchant { products: Some(vec![Product::Native]), ..set(mchid) }).unwrap();
    assert_eq!(ledger.refusal(&wish), MerchantRefusal::ProductNotEnabled);
    ledger.submit(&SetMerchant { suspended: Some(true), ..set(mchid) }).unwrap();
    assert_eq!(ledger.refusal(&wish), MerchantRefusal::MerchantSuspended);
    assert_eq!(ledger.refusal(&cancel(mchid, "bill1")), MerchantRefusal::TransferUnknown);
}

#[test]
fn what_cannot_reach_its_payee_fails_at_once_without_moving_money_and_the_merchant_is_told() {
    let (mut ledger, mchid, payee) = shop();
    let nobody = named(&mut ledger, payee, true);
    let unproven = CreateTransfer { name: Some(nobody.clone()), ..transfer(mchid, "bill1", payee, 300) };
    ledger.commit();
    ledger.events.clear();
    let failed = ledger.submit(&unproven).unwrap();
    assert_eq!((failed.state, failed.failure), (TransferState::Failed, Some(TransferFailure::PayeeUnproven)));
    assert_eq!(failed.ended_at, Some(ledger.now));
    ledger.commit();
    assert_eq!(ledger.events, [Event::NoticeDue(mchid)]);
    let journal = ledger.journals().pop().unwrap();
    assert_eq!((journal.kind, journal.postings.len()), (JournalKind::TransferReturned, 0));

    ledger.card(payee);
    let wrong = named(&mut ledger, payee, false);
    let right = named(&mut ledger, payee, true);
    let by = |name: &GivenName, number| CreateTransfer {
        name: Some(name.clone()),
        ..transfer(mchid, number, payee, 300)
    };
    let failed = ledger.submit(&by(&wrong, "bill2")).unwrap();
    assert_eq!(failed.failure, Some(TransferFailure::NameWrong));
    assert_eq!(ledger.submit(&by(&right, "bill3")).unwrap().state, TransferState::Waiting);
    // A verdict on what the payee had proven before, or on somebody else's identity, is none.
    assert_eq!(ledger.refusal(&by(&nobody, "bill4")), MerchantRefusal::Busy);
    let found = Found::Identity { mac: [0; 32], same_name: true };
    assert_eq!(ledger.refusal(&by(&GivenName { found, ..right }, "bill4")), MerchantRefusal::Busy);

    ledger.submit(&Freeze(payee)).unwrap();
    let failed = ledger.submit(&transfer(mchid, "bill5", payee, 300)).unwrap();
    assert_eq!(failed.failure, Some(TransferFailure::PayeeFrozen));
    assert_eq!(ledger.refusal(&receive(payee, &failed)), Refusal::TransferUnknown);
    assert_eq!(ledger.refusal(&cancel(mchid, "bill5")), MerchantRefusal::TransferOver);
    assert_eq!(money(&mut ledger, mchid, payee), [9_640, 300, 0]);
    // Who does not have the money learns nothing of the payee.
    let without_money = transfer(mchid, "bill6", payee, 99_999);
    assert_eq!(ledger.refusal(&without_money), MerchantRefusal::NotEnoughFunds);
    ledger.audit();
}

#[test]
fn a_large_transfer_names_its_payee() {
    let (mut ledger, mchid, payee) = shop();
    let large = transfer(mchid, "bill1", payee, 200_000);
    let needed = MerchantRefusal::PayeeNameNeeded { from_minor: 200_000 };
    assert_eq!(ledger.refusal(&large), needed);
    let below = transfer(mchid, "bill1", payee, 199_999);
    assert_eq!(ledger.refusal(&below), MerchantRefusal::NotEnoughFunds);
    ledger.card(payee);
    let name = Some(named(&mut ledger, payee, true));
    assert_eq!(ledger.refusal(&CreateTransfer { name, ..large }), MerchantRefusal::NotEnoughFunds);
}

#[test]
fn only_its_payee_receives_a_transfer_and_a_frozen_one_only_once_thawed() {
    let (mut ledger, mchid, payee) = shop();
    let other = ledger.person_with_pin("13700137000");
    let made = ledger.submit(&transfer(mchid, "bill1", payee, 300)).unwrap();
    assert_eq!(ledger.refusal(&receive(other, &made)), Refusal::TransferUnknown);
    let unknown = ReceiveTransfer { person: payee, transfer: TransferId(16) };
    assert_eq!(ledger.refusal(&unknown), Refusal::TransferUnknown);
    ledger.submit(&Freeze(payee)).unwrap();
    assert_eq!(ledger.refusal(&receive(payee, &made)), Refusal::AccountFrozen);
    assert_eq!(money(&mut ledger, mchid, payee), [9_640, 300, 0], "it goes on waiting");
    // What was promised is kept, whatever becomes of the merchant meanwhile.
    let made = ledger.submit(&transfer(mchid, "bill2", other, 200)).unwrap();
    ledger.submit(&SetMerchant { suspended: Some(true), ..set(mchid) }).unwrap();
    assert_eq!(ledger.submit(&receive(other, &made)).unwrap().state, TransferState::Received);
    ledger.audit();
}
