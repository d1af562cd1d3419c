//! Looking up the names in notification addresses: a few at once, and judged by what they lead to whenever they are used.
//!
//! A name is hostile as its address is: its servers may never answer, and may lead elsewhere each time. The system's
//! resolver cannot be called off, so what it keeps waiting must not be more threads than are set aside for it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::Reach;
use super::address::allowed;

/// Names being looked up at once.
const AT_ONCE: usize = 32;
/// How long what was found is used without asking again.
const FRESH: Duration = Duration::from_secs(30);
/// How long it is used if nobody answers any more.
const STALE: Duration = Duration::from_hours(1);
/// How long an answer is waited for while there is an older one.
const PATIENCE: Duration = Duration::from_millis(500);
/// Names remembered.
const KEPT: usize = 4_096;

/// What a look-up comes to.
pub(super) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Asks for the addresses of a name. The permit is to be held until nobody works on it any more.
pub(super) type LookUp = Arc<dyn Fn(String, tokio::sync::OwnedSemaphorePermit) -> Looking + Send + Sync>;

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    /// To no address that may be connected to.
    #[error("the name leads to no address that may be notified")]
    NotAllowed,
    /// To none at all.
    #[error("the name was not found")]
    NotFound(#[source] io::Error),
}

/// Looks names up for one client, and lets it have allowed addresses only.
#[derive(Clone)]
pub(super) struct Guard(Arc<Names>);

struct Names {
    reach: Reach,
    look_up: LookUp,
    places: Arc<Semaphore>,
    kept: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Guard {
    pub(super) fn new(reach: Reach, look_up: LookUp) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new(Names { reach, look_up, places, kept: Mutex::default() }))
    }
}

impl Names {
    fn remembered(&self, name: &str, for_as_long: Duration) -> Option<Vec<IpAddr>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, found) = kept.get(name)?;
        (at.elapsed() < for_as_long).then(|| found.clone())
    }

    fn remember(&self, name: String, found: &[IpAddr]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(name, (Instant::now(), found.to_vec()));
    }

    async fn find(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        if self.reach == Reach::Local && name.ends_with(".localhost") {
            // RFC 6761, section 6.3; not every system knows it.
            return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        }
        if let Some(found) = self.remembered(name, FRESH) {
            return Ok(found);
        }
        let looking = async {
            let closed = |_| io::Error::other("the courier has ended");
            let permit = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
            (self.look_up)(name.to_owned(), permit).await
        };
        let found = match self.remembered(name, STALE) {
            Some(older) => match tokio::time::timeout(PATIENCE, looking).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) | Err(_) => return Ok(older),
            },
            None => looking.await.map_err(NameError::NotFound)?,
        };
        self.remember(name.to_owned(), &found);
        Ok(found)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let reach = names.reach;
            let found = names.find(name.as_str()).await?;
            let fine: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| allowed(reach, *address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if fine.is_empty() {
                return Err(NameError::NotAllowed.into());
            }
            let addresses: Addrs = Box::new(fine.into_iter());
            Ok(addresses)
        })
    }
}

/// The system's resolver, on a thread that may wait.
pub(super) fn system() -> LookUp {
    Arc::new(|name, permit| {
        Box::pin(async move {
            let asking = tokio::task::spawn_blocking(move || {
                let _until_it_has_answered = permit;
                (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|a| a.ip()).collect())
            });
            asking.await.unwrap_or_else(|error| Err(io::Error::other(error)))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A resolver that answers with one list after the other, and then never again.
    fn answers(lists: &'static [&'static [&'static str]]) -> LookUp {
        let next = AtomicUsize::new(0);
        Arc::new(move |_, permit| {
            let list = lists.get(next.fetch_add(1, Ordering::SeqCst));
            Box::pin(async move {
                let _until_it_has_answered = permit;
                match list {
                    Some(list) => Ok(list.iter().map(|text| text.parse().unwrap()).collect()),
                    None => std::future::pending().await,
                }
            })
        })
    }

    async fn resolve(guard: &Guard, name: &str) -> Result<Vec<String>, String> {
        let found = guard.resolve(name.parse().unwrap()).await;
        found.map(|all| all.map(|a| a.ip().to_string()).collect()).map_err(|error| error.to_string())
    }

    fn age(guard: &Guard, by: Duration) {
        for (at, _) in guard.0.kept.lock().unwrap().values_mut() {
            *at = at.checked_sub(by).unwrap();
        }
    }

    #[tokio::test]
    async fn of_a_name_with_many_addresses_only_the_allowed_ones_are_used() {
        let guard = Guard::new(Reach::Public, answers(&[&["10.0.0.1", "1.1.1.1", "::1"]]));
        assert_eq!(resolve(&guard, "shop.example").await.unwrap(), ["1.1.1.1"]);
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_the_second_time_is_refused_then() {
        let guard = Guard::new(Reach::Public, answers(&[&["1.1.1.1"], &["169.254.169.254"], &["127.0.0.1"]]));
        assert_eq!(resolve(&guard, "shop.example").await.unwrap(), ["1.1.1.1"]);
        for _ in 0..2 {
            age(&guard, FRESH);
            assert!(resolve(&guard, "shop.example").await.unwrap_err().contains("may be notified"));
        }
    }

    #[tokio::test]
    async fn names_whose_servers_hang_take_no_more_than_their_places_and_known_ones_go_on() {
        let guard = Guard::new(Reach::Public, answers(&[&["1.1.1.1"]]));
        assert_eq!(resolve(&guard, "known.example").await.unwrap(), ["1.1.1.1"]);
        let hanging: Vec<_> = (0..2 * AT_ONCE)
            .map(|n| {
                let guard = guard.clone();
                tokio::spawn(async move { resolve(&guard, &format!("hangs-{n}.example")).await })
            })
            .collect();
        while guard.0.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        age(&guard, FRESH);
        assert_eq!(resolve(&guard, "known.example").await.unwrap(), ["1.1.1.1"], "what was found before");
        assert!(hanging.iter().all(|task| !task.is_finished()));
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn names_below_localhost_lead_to_this_machine_in_a_demo_only() {
        let guard = Guard::new(Reach::Local, answers(&[]));
        assert_eq!(resolve(&guard, "shop-1.localhost").await.unwrap(), ["127.0.0.1"]);
        let guard = Guard::new(Reach::Public, answers(&[&["127.0.0.1"]]));
        assert!(resolve(&guard, "shop-1.localhost").await.is_err());
    }
}
