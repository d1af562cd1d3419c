//! Drives the load from one thread of its own: so many commands under way at once, or so many begun each second.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koudai_core::id::OrderId;
use koudai_core::money::Money;
use koudai_core::payment::{Means, Pay};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::rows::Order;
use koudai_engine::Engine;

use super::accounts::{House, not_done, pin};
use super::measure::{Figures, Latency};
use super::together::{block_on_local, on_a_thread};
use crate::failure::Failure;

/// What a load is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mix {
    /// Payments of orders made beforehand.
    Pay,
    /// Each order is placed and then paid.
    PayOrder,
    /// As `PayOrder`, and every tenth payment is refunded in part.
    Mixed,
}

/// A load, ready to run.
pub(super) struct Load {
    engine: Engine,
    house: Arc<House>,
    orders: Vec<(OrderId, u32)>,
    mix: Mix,
    random: bool,
}

/// What the tasks of a run share.
struct Run {
    load: Load,
    next: Cell<usize>,
    payments: Cell<u64>,
    refused: Cell<u64>,
    latency: RefCell<Latency>,
    began: Instant,
    until: Option<Instant>,
    failure: RefCell<Option<Failure>>,
}

impl Load {
    pub(super) fn new(engine: &Engine, house: &Arc<House>, orders: Vec<(OrderId, u32)>, mix: Mix) -> Self {
        Self { engine: engine.clone(), house: Arc::clone(house), orders, mix, random: false }
    }

    /// Pays the orders in a random order instead of the order they were placed in.
    pub(super) fn random(mut self, random: bool) -> Self {
        self.random = random;
        if random {
            // Fisher and Yates, with a fixed seed so that a run repeats.
            let mut seed = 0x2545_F491_4F6C_DD1D_u64;
            for i in (1..self.orders.len()).rev() {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let other = usize::try_from(seed % (i as u64 + 1)).expect("an index");
                self.orders.swap(i, other);
            }
        }
        self
    }

    /// Keeps so many commands under way, until the orders or the time are used up.
    pub(super) fn saturate(self, in_flight: usize, limit: Option<Duration>) -> Result<Figures, Failure> {
        self.run(limit, move |run| async move {
            let workers: Vec<_> = (0..in_flight)
                .map(|_| {
                    let run = Rc::clone(&run);
                    tokio::task::spawn_local(async move {
                        while let Some(number) = run.next() {
                            run.one(number, Instant::now()).await;
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.await.expect("a worker does not panic");
            }
        })
    }

    /// Begins so many commands a second, whether or not those before are done. Latency counts from when each was due.
    pub(super) fn open_loop(self, per_second: u64, limit: Option<Duration>) -> Result<Figures, Failure> {
        self.run(limit, move |run| async move {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            let (mut begun, mut tasks) = (0_u64, tokio::task::JoinSet::new());
            'run: loop {
                tick.tick().await;
                let due = run.began.elapsed().as_nanos() * u128::from(per_second) / 1_000_000_000;
                while u128::from(begun) < due {
                    let Some(number) = run.next() else { break 'run };
                    let at = run.began + Duration::from_nanos(begun * 1_000_000_000 / per_second);
                    begun += 1;
                    let run = Rc::clone(&run);
                    tasks.spawn_local(async move { run.one(number, at).await });
                }
                while tasks.try_join_next().is_some() {}
            }
            while tasks.join_next().await.is_some() {}
        })
    }

    fn run<F, T>(self, limit: Option<Duration>, work: F) -> Result<Figures, Failure>
    where
        F: FnOnce(Rc<Run>) -> T + Send + 'static,
        T: Future<Output = ()>,
    {
        on_a_thread(move || {
            let began = Instant::now();
            let run = Rc::new(Run {
                load: self,
                next: Cell::new(0),
                payments: Cell::new(0),
                refused: Cell::new(0),
                latency: RefCell::default(),
                began,
                until: limit.map(|limit| began + limit),
                failure: RefCell::default(),
            });
            block_on_local(work(Rc::clone(&run)));
            let elapsed = began.elapsed();
            let run = Rc::into_inner(run).expect("every task has ended");
            match run.failure.into_inner() {
                Some(failure) => Err(failure),
                None => Ok(Figures {
                    payments: run.payments.get(),
                    refused: run.refused.get(),
                    elapsed,
                    latency: run.latency.into_inner(),
                }),
            }
        })
    }
}

impl Run {
    /// The number of the next command; `None` at the end of the run.
    fn next(&self) -> Option<usize> {
        let number = self.next.get();
        let over = self.until.is_some_and(|until| Instant::now() >= until);
        let used_up = self.load.mix == Mix::Pay && number >= self.load.orders.len();
        if over || used_up || self.failure.borrow().is_some() {
            return None;
        }
        self.next.set(number + 1);
        Some(number)
    }

    async fn one(&self, number: usize, at: Instant) {
        match self.done(number).await {
            Ok(()) => {
                self.payments.set(self.payments.get() + 1);
                self.latency.borrow_mut().record(self.began, at.elapsed());
            }
            Err(failure) => {
                self.refused.set(self.refused.get() + 1);
                *self.failure.borrow_mut() = Some(failure);
            }
        }
    }

    async fn done(&self, number: usize) -> Result<(), Failure> {
        let Load { engine, house, orders, mix, .. } = &self.load;
        let (order, payer) = if *mix == Mix::Pay {
            orders[number]
        } else {
            let placed = engine.submit(house.order(number)).await.map_err(not_done("placing an order"))?;
            (placed.id, house.payer(number))
        };
        let person = house.people[payer as usize];
        let paid = Pay { person, order, means: Means::Balance, confirmed: pin().into() };
        let order = engine.submit(paid).await.map_err(not_done("paying"))?;
        if *mix == Mix::Mixed && number.is_multiple_of(10) {
            engine.submit(half_back(&order)).await.map_err(not_done("refunding"))?;
        }
        Ok(())
    }
}

pub(super) fn half_back(order: &Order) -> RequestRefund {
    RequestRefund {
        mchid: order.mchid,
        order: OrderName::Id(order.id),
        out_refund_no: format!("refund-{}", order.out_trade_no),
        amount: Money::fen((order.amount.minor() + 1) / 2).expect("above zero"),
        total: order.amount,
        reason: None,
        notify_url: None,
    }
}
