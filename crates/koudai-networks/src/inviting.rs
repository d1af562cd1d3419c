//! The ways that another wallet opened to people who are to pay there by themselves: kept in memory for as long as they are
//! good, and opened again by the same call if they are lost.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koudai_core::time::Timestamp;
use tokio::sync::Notify;

/// The most that are kept; past it the one that ends first makes room.
const MOST: usize = 100_000;

/// The way to another wallet for one payment. It is for its payer alone, and in no log.
#[derive(Clone, PartialEq, Eq)]
pub enum Invitation {
    /// What a code to be scanned with the other app says.
    Scan(String),
    /// An address that the phone's browser is sent to.
    Visit(String),
    /// What a page inside the other app hands to it.
    CallUp {
        /// Which call of the app's, for the page's script: `wechat-pay`, `wechat-receive`, `alipay-pay`.
        call: &'static str,
        /// What the call is given, as a JSON object.
        parameters: String,
    },
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scan(_) => "Scan([redacted])",
            Self::Visit(_) => "Visit([redacted])",
            Self::CallUp { .. } => "CallUp([redacted])",
        })
    }
}

/// The invitations of one network, by the wallet's number for the payment.
#[derive(Debug, Default)]
pub struct Invitations {
    open: Mutex<HashMap<String, (Timestamp, Invitation)>>,
    news: Notify,
}

impl Invitations {
    /// Keeps one until it ends.
    pub fn put(&self, number: &str, until: Timestamp, invitation: Invitation) {
        let mut open = self.open();
        if open.len() >= MOST
            && let Some(first) = open.iter().min_by_key(|(_, (until, _))| *until).map(|(n, _)| n.clone())
        {
            open.remove(&first);
        }
        open.insert(number.to_owned(), (until, invitation));
        drop(open);
        self.news.notify_waiters();
    }

    /// The one for a payment, if it is good at `now`.
    pub fn get(&self, number: &str, now: Timestamp) -> Option<Invitation> {
        let open = self.open();
        open.get(number).filter(|(until, _)| now < *until).map(|(_, invitation)| invitation.clone())
    }

    /// The one for a payment once it is there, or nothing if it is not within `patience`.
    pub async fn wait(&self, number: &str, now: Timestamp, patience: Duration) -> Option<Invitation> {
        let there = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                // Whatever comes from here on wakes it.
                news.as_mut().enable();
                if let Some(invitation) = self.get(number, now) {
                    return invitation;
                }
                news.await;
            }
        };
        tokio::time::timeout(patience, there).await.ok()
    }

    /// Drops the one for a payment that has ended, and all that ended before `now`.
    pub fn end(&self, number: &str, now: Timestamp) {
        let mut open = self.open();
        open.remove(number);
        if open.len() > MOST / 2 {
            open.retain(|_, (until, _)| now < *until);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, Invitation)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn who_waits_for_one_gets_it_whether_it_comes_before_or_after() {
        let open = Invitations::default();
        let (now, until) = (Timestamp(1), Timestamp(10));
        let scan = Invitation::Scan("weixin://wxpay/1".to_owned());
        let (waited, ()) = tokio::join!(open.wait("7", now, SOON), async {
            tokio::task::yield_now().await;
            open.put("8", until, Invitation::Visit("https://elsewhere.example".to_owned()));
            open.put("7", until, scan.clone());
        });
        assert_eq!(waited, Some(scan.clone()));
        assert_eq!(open.wait("7", now, SOON).await, Some(scan));
        assert_eq!(open.wait("9", now, Duration::ZERO).await, None);
    }

    #[test]
    fn none_is_shown_past_its_time_or_once_its_payment_ended() {
        let open = Invitations::default();
        let scan = Invitation::Scan("weixin://wxpay/1".to_owned());
        open.put("7", Timestamp(10), scan.clone());
        assert_eq!(open.get("7", Timestamp(9)), Some(scan));
        assert_eq!(open.get("7", Timestamp(10)), None);
        open.end("7", Timestamp(3));
        assert_eq!(open.get("7", Timestamp(3)), None);
    }

    #[test]
    fn one_never_prints_what_it_holds() {
        let visit = Invitation::Visit("https://elsewhere.example/secret".to_owned());
        assert_eq!(format!("{visit:?}"), "Visit([redacted])");
    }
}
