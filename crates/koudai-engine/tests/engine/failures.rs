//! Commits that fail: what was decided on them is given up, nothing that was answered is lost, nothing is done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use koudai_core::id::{OrderId, PersonId};
use koudai_core::ledger::AccountId;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Order, OrderState};
use koudai_core::state::Policy;
use koudai_engine::{Clock, Engine, Failed};
use koudai_store::error::DatabaseError;
use koudai_store::{Commit, CommitError, Committer, StoreError, Tuning};
use tokio::task::JoinSet;

use crate::place::Place;
use crate::wallet::{PIN, START, Wallet, keys, pay};

fn disk_full() -> CommitError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    let source = DatabaseError::Sqlite(rusqlite::Error::SqliteFailure(code, None));
    CommitError::NotCommitted(StoreError::Database { doing: "committing a batch", source })
}

/// Writes to a disk that is full now and then.
struct Faulty {
    inner: Box<dyn Committer>,
    full: Arc<AtomicBool>,
    /// Every so many commits fail, the disk being full or not; 0 for none.
    every: Arc<AtomicU64>,
    commits: u64,
    failures: Arc<AtomicU64>,
}

impl Committer for Faulty {
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        self.commits += 1;
        let every = self.every.load(Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) || every > 0 && self.commits.is_multiple_of(every) {
            self.failures.fetch_add(1, Ordering::SeqCst);
            return Err(disk_full());
        }
        self.inner.commit(commit)
    }
}

/// What a test turns.
struct Disk {
    full: Arc<AtomicBool>,
    every: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
}

/// A wallet on such a disk, which keeps hardly any row in memory and writes behind all the time.
async fn wallet() -> (Wallet, Disk) {
    let place = Place::new();
    let disk = Disk { full: Arc::default(), every: Arc::default(), failures: Arc::default() };
    let mut opened = place.database().open(Tuning { generation: 7 }).expect("a new database");
    opened.committer = Box::new(Faulty {
        inner: opened.committer,
        full: Arc::clone(&disk.full),
        every: Arc::clone(&disk.every),
        commits: 0,
        failures: Arc::clone(&disk.failures),
    });
    let engine = Engine::on(opened, 0, keys(), Policy::default(), Clock::by_hand(START));
    (Wallet::with(place, engine.expect("it starts")).await, disk)
}

/// Pays until there is an answer; the order as it was answered, unless another has paid it.
async fn answered(engine: Engine, payer: PersonId, order: OrderId) -> (OrderId, Option<Order>) {
    loop {
        match engine.submit(pay(payer, order, PIN)).await {
            Ok(paid) => return (order, Some(paid)),
            Err(Failed::Busy) => tokio::task::yield_now().await,
            Err(Failed::Refused(Refusal::OrderAlreadyPaid | Refusal::InsufficientBalance { .. })) => {
                return (order, None);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_commits_that_fail_all_the_time_every_order_is_paid_once_and_every_answer_is_true() {
    let (wallet, disk) = wallet().await;
    let mut people = vec![];
    for n in 0..20 {
        people.push(wallet.person(n, 1_000).await);
    }
    let mut orders = vec![];
    for n in 0..300 {
        orders.push(wallet.order(&format!("order-{n}"), 50).await.id);
    }
    disk.every.store(2, Ordering::SeqCst);
    let mut answers = vec![];
    for wave in orders.chunks(10) {
        let mut tasks = JoinSet::new();
        for (n, order) in wave.iter().copied().enumerate() {
            // Two people at each order, each until they have an answer.
            for payer in [people[n], people[n + 7]] {
                tasks.spawn(answered(wallet.engine.clone(), payer, order));
            }
        }
        answers.extend(tasks.join_all().await);
    }
    assert!(disk.failures.load(Ordering::SeqCst) >= 15);
    disk.every.store(0, Ordering::SeqCst);
    let mut spent = std::collections::HashMap::new();
    for (order, answer) in answers {
        let Some(answer) = answer else { continue };
        let row = wallet.engine.read(move |r| r.get::<Order>(&order)).await.unwrap().unwrap();
        assert_eq!(row, answer, "what was answered is what is there");
        assert_eq!(row.state, OrderState::Paid);
        let twice = spent.insert(order, row.payer);
        assert_eq!(twice, None, "and only one of the two was answered so");
    }
    let merchant = AccountId::merchant(wallet.merchant);
    let received = wallet.engine.read(move |r| r.balance(merchant)).await.unwrap().unwrap();
    assert_eq!(received.credits_minor, 50 * i64::try_from(spent.len()).unwrap());
    for payer in people {
        let account = AccountId::person(payer);
        let row = wallet.engine.read(move |r| r.balance(account)).await.unwrap().unwrap();
        let paid = spent.values().filter(|p| **p == Some(payer)).count();
        assert_eq!(row.debits_minor, 50 * i64::try_from(paid).unwrap());
        let history = wallet.engine.read(move |r| r.history(account, None, i64::MAX)).await.unwrap();
        assert_eq!(history.len(), 1 + paid, "the top-up, and each payment once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_with_a_reason_and_reads_go_on_until_there_is_room_again() {
    let (wallet, disk) = wallet().await;
    let person = wallet.person(1, 1_000).await;
    let order = wallet.order("order-1", 100).await;
    disk.full.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        let full = wallet.engine.submit(pay(person, order.id, PIN)).await;
        assert!(matches!(full, Err(Failed::Busy)), "nothing was done, and the caller is told so");
        let account = AccountId::person(person);
        let balance = wallet.engine.read(move |r| r.balance(account)).await.unwrap().unwrap();
        assert_eq!((balance.credits_minor, balance.debits_minor), (1_000, 0));
    }
    disk.full.store(false, Ordering::SeqCst);
    let paid = wallet.engine.submit(pay(person, order.id, PIN)).await.expect("there is room again");
    assert_eq!(paid.state, OrderState::Paid);
    let wallet = wallet.restart();
    assert_eq!(wallet.engine.submit(pay(person, order.id, PIN)).await.unwrap(), paid);
}
