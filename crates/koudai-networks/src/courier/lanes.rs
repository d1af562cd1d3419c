//! Who waits for whom. Every call to a merchant takes a place in one of a few lanes, by how the endpoint has answered of
//! late, so that whoever answers at once waits only for others who do.
//!
//! A call in the lanes of the quick and the unknown that takes longer than they do makes room: it goes on aside, or, if
//! there is no room either, is broken off to be made again in the lane of those who hang.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a call may keep a place that the quick are waiting for. A server at the other end of the world answers sooner.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// Calls under way at once, by lane: 640 sockets in all, with those aside.
const QUICK: usize = 192;
const UNKNOWN: usize = 96;
const SLOW: usize = 64;
const HUNG: usize = 192;
const ASIDE: usize = 96;

/// How an endpoint has answered of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Standing {
    /// The last call was over at once.
    Quick,
    /// It was not called yet.
    #[default]
    New,
    /// It answers, and takes its time.
    Slow,
    /// The last call had no answer and kept its place to the end.
    Hung,
}

impl Standing {
    /// Calls under way at once to one host, whoever's they are.
    const fn at_one_host(self) -> usize {
        match self {
            Self::Quick => 48,
            Self::New | Self::Slow => 8,
            Self::Hung => 4,
        }
    }
}

#[derive(Debug)]
struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Lane {
    fn of(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    async fn enter(&self) -> OwnedSemaphorePermit {
        struct Leaving<'a>(&'a AtomicUsize);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _leaving = Leaving(&self.waiting);
        Arc::clone(&self.places).acquire_owned().await.expect("a lane is never closed")
    }

    fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }
}

/// The lanes, and the places at each host.
#[derive(Debug)]
pub(super) struct Lanes {
    quick: Lane,
    unknown: Lane,
    slow: Lane,
    hung: Lane,
    aside: Arc<Semaphore>,
    hosts: Arc<Hosts>,
}

/// A host, and how the endpoint there stands.
type AtHost = (String, Standing);

/// Places at hosts that are being called or waited for, with how many hold or want one.
#[derive(Debug, Default)]
struct Hosts(Mutex<HashMap<AtHost, (usize, Arc<Semaphore>)>>);

/// A place at a host.
struct HostPlace {
    hosts: Arc<Hosts>,
    key: AtHost,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for HostPlace {
    fn drop(&mut self) {
        self.permit = None;
        let mut hosts = self.hosts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((users, _)) = hosts.get_mut(&self.key) {
            *users -= 1;
            if *users == 0 {
                hosts.remove(&self.key);
            }
        }
    }
}

/// A place in a lane, and at a host.
pub(super) struct Place {
    standing: Standing,
    permit: OwnedSemaphorePermit,
    _host: HostPlace,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            quick: Lane::of(QUICK),
            unknown: Lane::of(UNKNOWN),
            slow: Lane::of(SLOW),
            hung: Lane::of(HUNG),
            aside: Arc::new(Semaphore::new(ASIDE)),
            hosts: Arc::default(),
        }
    }
}

impl Lanes {
    const fn lane(&self, standing: Standing) -> &Lane {
        match standing {
            Standing::Quick => &self.quick,
            Standing::New => &self.unknown,
            Standing::Slow => &self.slow,
            Standing::Hung => &self.hung,
        }
    }

    /// Waits for a place, at the host first: who waits there keeps nobody else from the lane.
    pub(super) async fn enter(&self, standing: Standing, host: &str) -> Place {
        let key = (host.to_owned(), standing);
        let places = {
            let mut hosts = self.hosts.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || (0, Arc::new(Semaphore::new(standing.at_one_host())));
            let (users, places) = hosts.entry(key.clone()).or_insert_with(new);
            *users += 1;
            Arc::clone(places)
        };
        let mut at_host = HostPlace { hosts: Arc::clone(&self.hosts), key, permit: None };
        at_host.permit = Some(places.acquire_owned().await.expect("a host's places are never closed"));
        let permit = self.lane(standing).enter().await;
        Place { standing, permit, _host: at_host }
    }

    /// Makes a call in a place. `None` if it was broken off.
    pub(super) async fn call<T>(&self, place: Place, call: impl Future<Output = T>) -> Option<T> {
        let makes_room = matches!(place.standing, Standing::Quick | Standing::New);
        if !makes_room {
            return Some(call.await);
        }
        tokio::pin!(call);
        loop {
            if let Ok(done) = tokio::time::timeout(PATIENCE, &mut call).await {
                return Some(done);
            }
            if let Ok(_aside) = Arc::clone(&self.aside).try_acquire_owned() {
                drop(place.permit);
                return Some(call.await);
            }
            if self.lane(place.standing).is_waited_for() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lane_size(standing: Standing) -> usize {
        match standing {
            Standing::Quick => QUICK,
            Standing::New => UNKNOWN,
            Standing::Slow => SLOW,
            Standing::Hung => HUNG,
        }
    }

    /// Fills a lane and all places aside with calls that never end.
    async fn filled(
        lanes: &Arc<Lanes>,
        standing: Standing,
        calls: usize,
    ) -> tokio::task::JoinSet<Option<()>> {
        let mut all = tokio::task::JoinSet::new();
        for n in 0..calls {
            let lanes = Arc::clone(lanes);
            all.spawn(async move {
                let place = lanes.enter(standing, &format!("host-{n}")).await;
                lanes.call(place, std::future::pending()).await
            });
        }
        // Every place is taken, and whoever found none waits.
        let lane = lanes.lane(standing);
        let settled = || {
            let free = lane.places.available_permits();
            free == 0 && (calls <= lane_size(standing) || lane.is_waited_for())
        };
        while !settled() {
            tokio::task::yield_now().await;
        }
        all
    }

    #[tokio::test]
    async fn those_who_hang_keep_only_their_own_kind_waiting() {
        let lanes = Arc::new(Lanes::default());
        let _hanging = filled(&lanes, Standing::Hung, 3 * HUNG).await;
        for standing in [Standing::Quick, Standing::New, Standing::Slow] {
            let place = lanes.enter(standing, "healthy").await;
            assert_eq!(lanes.call(place, async { 7 }).await, Some(7));
        }
        let waiting = lanes.enter(Standing::Hung, "another");
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    }

    #[tokio::test]
    async fn a_quick_lane_full_of_calls_that_begin_to_hang_is_free_again_after_a_moment() {
        let lanes = Arc::new(Lanes::default());
        let mut hanging = filled(&lanes, Standing::Quick, QUICK).await;
        let began = std::time::Instant::now();
        let place = lanes.enter(Standing::Quick, "healthy").await;
        assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
        assert_eq!(lanes.call(place, async { 7 }).await, Some(7));
        // One more who waits than go aside: somebody is broken off.
        let _more = filled(&lanes, Standing::Quick, QUICK).await;
        assert_eq!(hanging.join_next().await.unwrap().unwrap(), None);
    }

    #[tokio::test]
    async fn one_host_takes_its_share_of_a_lane_and_is_forgotten_afterwards() {
        let lanes = Arc::new(Lanes::default());
        let most = Standing::Quick.at_one_host();
        let mut places = vec![];
        for _ in 0..most {
            places.push(lanes.enter(Standing::Quick, "busy").await);
        }
        let waiting = lanes.enter(Standing::Quick, "busy");
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
        let _other = lanes.enter(Standing::Quick, "other").await;
        places.clear();
        drop(lanes.enter(Standing::Quick, "busy").await);
        assert_eq!(lanes.hosts.0.lock().unwrap().len(), 1, "only the one that is still called");
    }
}
