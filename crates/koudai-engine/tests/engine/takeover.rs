//! Two engines on one server's database, and one whose server leaves it: who owns the ledger, and what becomes of what was
//! on its way. These run when there is a server to test on.

use std::time::{Duration, Instant};

use koudai_core::ledger::AccountId;
use koudai_core::rows::{Order, OrderState};
use koudai_engine::{Engine, Failed, Standing};
use koudai_store::StoreError;

use crate::place::Place;
use crate::wallet::{PIN, Wallet, pay, stand_by, start};

/// The longest a take-over may last (the promise of docs/engine.md).
const TAKE_OVER: Duration = Duration::from_secs(10);

/// Waits until an engine owns the ledger. One whose session is gone may not have noticed, and is not sure.
async fn owner(engine: &Engine) {
    let turn = async {
        while !engine.is_owner() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TAKE_OVER, turn).await.expect("its turn comes in time");
}

async fn standby(engine: &Engine) {
    let mut standing = engine.standing();
    let lost = standing.wait_for(|standing| *standing == Standing::Standby);
    tokio::time::timeout(TAKE_OVER, lost).await.expect("it notices in time").expect("it lives");
}

/// A wallet on a server whose engine comes back to a ledger that it lost.
async fn wallet() -> Option<Wallet> {
    let place = Place::on_server()?;
    let engine = stand_by(&place);
    Some(Wallet::with(place, engine).await)
}

fn end_sessions(place: &Place, name: &str) {
    place.psql(&format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = '{name}'"
    ));
}

/// Has every journal run some PL/pgSQL at COMMIT.
fn at_commit(place: &Place, run: &str) {
    place.psql(&format!(
        "CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {run}; RETURN NULL; END $$;
         DROP TRIGGER IF EXISTS meddle ON journal;
         CREATE CONSTRAINT TRIGGER meddle AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION meddle()"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_stands_by_refuses_everything_and_goes_on_where_the_first_ended() {
    let Some(wallet) = wallet().await else { return };
    let person = wallet.person(1, 1_000).await;
    let order = wallet.order("order-1", 100).await.id;
    assert!(matches!(start(&wallet.place), Err(StoreError::Owned)));
    let second = stand_by(&wallet.place);
    assert_eq!(
        (*second.standing().borrow(), second.is_owner(), second.epoch()),
        (Standing::Standby, false, 0)
    );
    assert!(matches!(second.submit(pay(person, order, PIN)).await, Err(Failed::Busy)));
    let read = second.read(move |r| r.balance(AccountId::person(person))).await;
    assert!(matches!(read, Err(StoreError::Elsewhere)));
    let paid = wallet.engine.submit(pay(person, order, PIN)).await.expect("the first goes on");
    let (epoch, Wallet { engine: first, place, merchant }) = (wallet.engine.epoch(), wallet);
    drop(first);
    let began = Instant::now();
    owner(&second).await;
    assert!(began.elapsed() < TAKE_OVER && second.epoch() == epoch + 1);
    assert_eq!(second.submit(pay(person, order, PIN)).await.expect("it is paid"), paid);
    let wallet = Wallet { engine: second, place, merchant };
    let order = wallet.order("order-2", 100).await.id;
    assert_eq!(wallet.engine.submit(pay(person, order, PIN)).await.unwrap().state, OrderState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_lease_was_taken_answers_nothing_more_and_waits_for_its_turn() {
    let Some(wallet) = wallet().await else { return };
    let person = wallet.person(1, 1_000).await;
    let order = wallet.order("order-1", 100).await.id;
    // Another owner, who never lets go for as long as the test looks.
    let other = wallet.place.database().open(koudai_store::Tuning::default()).expect("it takes over");
    let refused = wallet.engine.submit(pay(person, order, PIN)).await;
    assert!(matches!(refused, Err(Failed::Busy)), "{refused:?}");
    standby(&wallet.engine).await;
    assert!(!wallet.engine.is_owner());
    drop(other);
    owner(&wallet.engine).await;
    assert_eq!(wallet.engine.submit(pay(person, order, PIN)).await.unwrap().state, OrderState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_owner_notices_that_its_lease_was_taken() {
    let Some(wallet) = wallet().await else { return };
    let _other = wallet.place.database().open(koudai_store::Tuning::default()).expect("it takes over");
    standby(&wallet.engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_doubt_that_was_committed_is_answered_as_done() {
    let Some(wallet) = wallet().await else { return };
    let person = wallet.person(1, 1_000).await;
    let order = wallet.order("order-1", 100).await.id;
    let mut events = wallet.engine.events();
    // A COMMIT that warns: it may have done something else than was asked.
    at_commit(&wallet.place, "RAISE WARNING 'hm'");
    let paid = wallet.engine.submit(pay(person, order, PIN)).await.expect("it was committed");
    assert_eq!(paid.state, OrderState::Paid);
    assert!(events.recv().await.is_ok(), "and announced");
    wallet.place.psql("DROP TRIGGER meddle ON journal");
    owner(&wallet.engine).await;
    let row = wallet.engine.read(move |r| r.get::<Order>(&order)).await.unwrap();
    assert_eq!(row, Some(paid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_doubt_that_was_not_committed_is_answered_as_not_done() {
    let Some(wallet) = wallet().await else { return };
    let person = wallet.person(1, 1_000).await;
    let order = wallet.order("order-1", 100).await.id;
    for run in ["RAISE EXCEPTION 'no'", "PERFORM pg_terminate_backend(pg_backend_pid())"] {
        at_commit(&wallet.place, run);
        let refused = wallet.engine.submit(pay(person, order, PIN)).await;
        assert!(matches!(refused, Err(Failed::Busy)), "{refused:?}");
        wallet.place.psql("DROP TRIGGER meddle ON journal");
        owner(&wallet.engine).await;
        let row = wallet.engine.read(move |r| r.get::<Order>(&order)).await.unwrap().unwrap();
        assert_eq!(row.state, OrderState::Unpaid);
    }
    assert_eq!(wallet.engine.submit(pay(person, order, PIN)).await.unwrap().state, OrderState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_loaded_cost_a_reopening_and_nothing_else() {
    let Some(wallet) = wallet().await else { return };
    let person = wallet.person(1, 1_000).await;
    let order = wallet.order("order-1", 100).await.id;
    let wallet = wallet.restart_standing_by();
    owner(&wallet.engine).await;
    // Nothing is in memory yet, so that the payment has to load.
    end_sessions(&wallet.place, "koudai reader");
    loop {
        match wallet.engine.submit(pay(person, order, PIN)).await {
            Ok(paid) => break assert_eq!(paid.state, OrderState::Paid),
            Err(Failed::Busy) => owner(&wallet.engine).await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_its_session_ended_again_and_again_under_load_every_order_is_paid_once_and_every_answer_is_true()
{
    let Some(wallet) = wallet().await else { return };
    let person = wallet.person(1, 1_000_000).await;
    let mut orders = vec![];
    for n in 0..200 {
        orders.push(wallet.order(&format!("order-{n}"), 10).await.id);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for order in orders.clone() {
        let engine = wallet.engine.clone();
        tasks.spawn(async move {
            loop {
                match engine.submit(pay(person, order, PIN)).await {
                    Ok(paid) => return paid,
                    Err(Failed::Busy) => owner(&engine).await,
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    for _ in 0..5 {
        end_sessions(&wallet.place, "koudai owner");
        owner(&wallet.engine).await;
    }
    for paid in tasks.join_all().await {
        let id = paid.id;
        let row = wallet.engine.read(move |r| r.get::<Order>(&id)).await.unwrap();
        assert_eq!(row, Some(paid), "what was answered is what is there");
    }
    let account = AccountId::person(person);
    let balance = wallet.engine.read(move |r| r.balance(account)).await.unwrap().unwrap();
    assert_eq!(balance.debits_minor, 10 * i64::try_from(orders.len()).unwrap());
}
