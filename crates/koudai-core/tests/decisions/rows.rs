//! What the state promises every decision: absent is not unknown, and a decision that stops leaves no trace.

use koudai_core::cache::Cache;
use koudai_core::id::{CardId, OrderId, Seq};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::refusal::{MerchantRefusal, Refusal};
use koudai_core::rows::{MerchantCount, Rows};
use koudai_core::state::{Command, OrStop, Stop, Tx};

use crate::fixture::{Habit, Ledger, PIN, place, refund};

fn count(id: i64) -> MerchantCount {
    MerchantCount { id, next: koudai_core::id::MchId(id) }
}

#[test]
fn an_absent_row_is_wanted_once_and_is_not_none() {
    let mut cache = Cache::<MerchantCount>::default();
    assert!(cache.get(&2).is_err() && cache.get(&1).is_err() && cache.get(&2).is_err());
    assert_eq!(cache.take_wanted(), [1, 2]);
    assert_eq!(cache.take_wanted(), []);
    cache.loaded(1, None);
    assert_eq!(cache.get(&1), Ok(None));
}

#[test]
fn loading_never_overwrites_what_a_decision_changed() {
    let mut cache = Cache::default();
    cache.loaded(1, None);
    cache.put(count(1));
    cache.loaded(1, None);
    assert_eq!(cache.get(&1), Ok(Some(&count(1))));
}

#[test]
#[should_panic(expected = "reads a row before it writes it")]
fn writing_blindly_is_a_bug() {
    Cache::default().put(count(1));
}

#[test]
#[should_panic(expected = "reads a row before it deletes it")]
fn deleting_blindly_is_a_bug() {
    Cache::<MerchantCount>::default().delete(&1);
}

#[test]
#[should_panic(expected = "a fresh id stands for nothing yet")]
fn an_id_given_out_twice_is_a_bug() {
    let mut cache = Cache::default();
    cache.insert(count(1));
    cache.insert(count(1));
}

#[test]
fn changes_come_in_key_order_and_only_in_their_batch() {
    let mut cache = Cache::default();
    cache.loaded(7, Some(count(7)));
    cache.delete(&7);
    cache.insert(count(9));
    cache.insert(count(3));
    assert_eq!(cache.changes(), [(&3, Some(&count(3)), true), (&7, None, true), (&9, Some(&count(9)), true)]);
    cache.next_batch();
    assert!(cache.changes().is_empty());
    cache.put(count(3));
    assert_eq!(cache.changes().len(), 1);
}

#[test]
fn a_row_is_forgotten_only_once_its_batch_is_committed() {
    let mut cache = Cache::default();
    cache.loaded(1, Some(count(1)));
    cache.insert(count(2));
    cache.next_batch();
    cache.insert(count(3));
    cache.next_batch();
    cache.evict(1, 0, 0);
    assert!(cache.get(&1).is_err(), "it is in the database as it is here");
    assert_eq!(cache.len(), 2, "their batches are under way");
    cache.evict(1, 0, 1);
    assert!(cache.get(&2).is_err());
    assert!(cache.get(&3).is_ok());
    assert_eq!(cache.len(), 1);
}

#[test]
fn what_was_used_lately_is_kept() {
    let mut cache = Cache::default();
    for id in 0..100 {
        cache.loaded(id, Some(count(id)));
    }
    for batch in 1..=10 {
        cache.next_batch();
        for id in 0..10 {
            assert!(cache.get(&(10 * batch % 50 + id)).is_ok());
        }
        for _ in 0..32 {
            cache.evict(32, 6, u64::MAX);
        }
    }
    let kept: Vec<i64> = (0..100).filter(|id| cache.get(id).is_ok()).collect();
    assert_eq!(kept, (0..50).collect::<Vec<_>>(), "each of these was used every fifth batch");
    let before = cache.bytes();
    for id in 100..150 {
        cache.loaded(id, Some(count(id)));
    }
    assert_eq!(cache.bytes(), 2 * before, "memory is counted by the row");
}

#[test]
fn rows_loaded_elsewhere_never_overwrite_what_was_decided_meanwhile() {
    let (mut rows, mut loading) = (Rows::default(), Rows::default());
    assert!(rows.merchant_count.get(&1).is_err() && rows.merchant_count.get(&2).is_err());
    assert!(rows.hand_wanted(&mut loading));
    assert!(!rows.hand_wanted(&mut Rows::default()), "they are asked for once");
    assert_eq!(loading.merchant_count.take_wanted(), [1, 2]);
    loading.merchant_count.arrived(1, None);
    loading.merchant_count.arrived(2, Some(count(2)));
    rows.merchant_count.insert(count(1));
    rows.absorb(&mut loading);
    assert_eq!(rows.merchant_count.get(&1), Ok(Some(&count(1))));
    assert_eq!(rows.merchant_count.get(&2), Ok(Some(&count(2))));
    rows.absorb(&mut loading);
    assert_eq!(rows.merchant_count.len(), 2, "what has arrived is taken in once");
}

#[test]
fn a_row_made_and_undone_leaves_its_place_to_another() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.submit(&Careless), Ok(()));
    let changes = ledger.state.close().changes;
    assert_eq!(changes.len(), 1, "one table, and what was undone is not in it: {changes:?}");
}

/// Changes everything it can and only then looks for one more row.
struct Careless;

impl Command for Careless {
    type Reply = ();
    type Refusal = Refusal;

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<Refusal>> {
        tx.rows().merchant_count.get(&1).or_stop()?;
        tx.rows().merchant_count.put(count(1));
        tx.rows().merchant_count.put(MerchantCount { next: koudai_core::id::MchId(5), ..count(1) });
        tx.rows().merchant_count.insert(count(2));
        tx.rows().merchant_count.delete(&2);
        tx.announce(koudai_core::state::Event::NoticeDue(koudai_core::id::MchId::FIRST));
        tx.rows().staff.get(&"mei".to_owned()).or_stop()?;
        Ok(())
    }
}

#[test]
fn a_decision_that_stops_halfway_is_undone() {
    let mut ledger = Ledger::new();
    // Two stops: the first on the counter, the second after the changes; the third run would meet its own leftovers.
    assert_eq!(ledger.submit(&Careless), Ok(()));
    assert_eq!(ledger.stops, 2);
    assert_eq!(ledger.state.events.len(), 1, "what was announced before a stop is not announced twice");
    assert_eq!(ledger.all::<MerchantCount>().len(), 1);
    assert_eq!(ledger.state.head, Seq(0));
}

#[test]
fn an_id_guessed_before_it_is_given_out_does_not_stand_in_its_way() {
    // Ids follow the clock, so a merchant can name an order, and a person a card, that will exist a moment later.
    let mut ledger = Ledger::new();
    let mchid = ledger.merchant();
    let person = ledger.person_with("13800138000", 1_000);
    let payable = ledger.order(mchid, "order-1", 100);
    ledger.advance(1_000);
    let next = ledger.now.0 << 21;
    let guess = RequestRefund { order: OrderName::Id(OrderId(next)), ..refund(&payable, "refund-1", 1) };
    assert_eq!(ledger.refusal(&guess), MerchantRefusal::OrderUnknown);
    assert_eq!(ledger.submit(&place(mchid, "order-2", 100)).unwrap().id, OrderId(next));

    ledger.advance(1_000);
    let binding = ledger.binding(person);
    let next = CardId((ledger.now.0 << 21) + 16);
    assert_eq!(ledger.pay_by(person, payable.id, Some(next), PIN), Err(Refusal::CardUnknown));
    let answer = crate::fixture::bound();
    let bound = ledger.submit(&koudai_core::binding::RecordBinding { binding, answer }).unwrap();
    assert_eq!(bound.card, Some(next));
}

#[test]
fn rows_may_leave_memory_between_any_two_commands() {
    let mut ledger = Ledger::with(Habit::Forget);
    let mchid = ledger.merchant();
    let person = ledger.person_with("13800138000", 1_000);
    let order = ledger.paid(mchid, "order-1", person, 600);
    ledger.refund(&order, "refund-1", 600).unwrap();
    assert_eq!(ledger.balance_of(person), 1_000);
    assert!(ledger.stops > 0);
    ledger.audit();
}
