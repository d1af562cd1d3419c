//! How often a merchant may ask, for each class of call, how often it may be wrong about a person's name, and how often an
//! address may fail to prove who it is.
//!
//! What was used lives in memory and is bounded: it says something about the last second, and a restart forgives it. Only
//! who has proven who they are uses up a merchant's share, so nobody can use it up in a merchant's name; and an address that
//! fails too often is only answered more briefly, since behind one address there may be a whole campus.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Method;
use koudai_core::id::{MchId, PersonId};
use koudai_core::time::{DAY, Timestamp};

/// Parts that what was used is kept in, each under a lock of its own, so that requests rarely meet.
const SHARDS: usize = 16;
/// The most merchants, and the most addresses, that one part remembers.
const MOST_IN_SHARD: usize = 4_096;
/// Failures an address may have a second over time, and at once.
const FAILURES: Rate = Rate::per_second(5, 60);
/// The largest body of a call that creates something: an order whose `detail` has 6 KiB, all of it escaped.
const LARGE_BODY: usize = 64 * 1024;
/// The largest of any other call: they carry a few numbers, or nothing.
const SMALL_BODY: usize = 4 * 1024;

/// What a call is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An order is placed, closed or reversed.
    Orders,
    /// Something is asked about.
    Queries,
    /// A refund is asked for.
    Refunds,
    /// A transfer is asked for or called off.
    Transfers,
    /// A bill is applied for.
    Bills,
    /// A file is fetched.
    Downloads,
    /// Certificates are fetched.
    Certificates,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Orders,
        Self::Queries,
        Self::Refunds,
        Self::Transfers,
        Self::Bills,
        Self::Downloads,
        Self::Certificates,
    ];

    /// The class of a route, by its method and its path.
    pub(super) fn of(method: &Method, route: &str) -> Self {
        let below = |path: &str| route.starts_with(path);
        if below("/v3/certificates") {
            Self::Certificates
        } else if below("/v3/billdownload/") {
            Self::Downloads
        } else if below("/v3/bill/") {
            Self::Bills
        } else if method == Method::GET {
            Self::Queries
        } else if below("/v3/refund/") {
            Self::Refunds
        } else if below("/v3/fund-app/") {
            Self::Transfers
        } else {
            Self::Orders
        }
    }

    /// The word for it in settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Queries => "queries",
            Self::Refunds => "refunds",
            Self::Transfers => "transfers",
            Self::Bills => "bills",
            Self::Downloads => "downloads",
            Self::Certificates => "certificates",
        }
    }
}

/// The largest body of a route. Everything else a merchant says fits into the path.
pub(super) fn most_body_bytes(method: &Method, route: &str) -> usize {
    let small = ["/close", "/reverse", "/cancel"].iter().any(|end| route.ends_with(end));
    if small || method == Method::GET { SMALL_BODY } else { LARGE_BODY }
}

/// How many calls a merchant may make a second, by class; 0 is as many as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits([u32; Class::ALL.len()]);

impl Default for Limits {
    /// Refunds and transfers as the original publishes them; the others are our own.
    fn default() -> Self {
        Self([600, 600, 150, 100, 3, 10, 10])
    }
}

impl Limits {
    /// No limits, for measuring.
    pub const NONE: Self = Self([0; Class::ALL.len()]);

    /// Limits as an operator writes them, `orders=1000,bills=10`; what is not named stays as it is by default.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut limits = Self::default();
        for part in text.split(',') {
            let (word, number) = part.split_once('=').unwrap_or((part, ""));
            let class = Class::ALL.into_iter().find(|class| class.word() == word.trim());
            let class = class
                .ok_or_else(|| format!("{word:?} is none of {}", Class::ALL.map(Class::word).join(", ")))?;
            let number = number.trim().parse().ok().filter(|number| *number <= 1_000_000);
            let number = number.ok_or_else(|| {
                format!("{part:?}: write calls a second, at most 1000000, or 0 for no limit")
            })?;
            limits.0[class as usize] = number;
        }
        Ok(limits)
    }

    fn rate(&self, class: Class) -> Rate {
        // A second's worth may come at once; where that is very little, some more.
        let per_second = self.0[class as usize];
        Rate::per_second(per_second, per_second.max(10))
    }
}

/// One each so many microseconds over time, 0 for no limit, and so many at once.
#[derive(Clone, Copy, Debug)]
struct Rate {
    each_us: i64,
    at_once: u32,
}

impl Rate {
    const fn per_second(number: u32, at_once: u32) -> Self {
        Self { each_us: if number == 0 { 0 } else { 1_000_000 / number as i64 }, at_once }
    }
}

/// Names of one person that a merchant may get wrong: slips of the pen. More would be a search for whose name it is.
const WRONG_NAMES: Rate = Rate { each_us: 1_000 * DAY / 10, at_once: 10 };

/// What was used, kept as the moment at which all of it is there again (the generic cell rate algorithm): one number stands
/// for a bucket of tokens, and nothing has to fill it.
struct Used<K, const N: usize> {
    shards: Vec<Mutex<HashMap<K, [i64; N]>>>,
    hasher: RandomState,
}

impl<K: Eq + Hash, const N: usize> Default for Used<K, N> {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl<K: Eq + Hash + Copy, const N: usize> Used<K, N> {
    /// Takes one of `key`'s bucket `which`.
    ///
    /// # Errors
    /// Until when there is none.
    fn take(&self, key: K, which: usize, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        if rate.each_us == 0 {
            return Ok(());
        }
        let now_us = now.0.saturating_mul(1_000);
        let each_us = rate.each_us;
        let whole_us = each_us * i64::from(rate.at_once);
        let mut shard = self.shard(&key);
        if shard.len() >= MOST_IN_SHARD && !shard.contains_key(&key) {
            Self::make_room(&mut shard, now_us);
        }
        let full_at = &mut shard.entry(key).or_insert([0; N])[which];
        // A clock that was set back must not lock anybody out until it has come up again.
        *full_at = (*full_at).clamp(now_us, now_us + whole_us);
        let missing_us = *full_at + each_us - (now_us + whole_us);
        if missing_us > 0 {
            return Err(Duration::from_micros(missing_us.unsigned_abs()));
        }
        *full_at += each_us;
        Ok(())
    }

    /// Puts back what was taken of `key`'s bucket `which`.
    fn give_back(&self, key: K, which: usize, rate: Rate) {
        if let Some(full_at) = self.shard(&key).get_mut(&key) {
            full_at[which] -= rate.each_us;
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, [i64; N]>> {
        let shard = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets whoever has everything again, and if that is nobody, anybody: their next request begins anew.
    fn make_room(shard: &mut HashMap<K, [i64; N]>, now_us: i64) {
        shard.retain(|_, full_at| full_at.iter().any(|at| *at > now_us));
        if shard.len() >= MOST_IN_SHARD {
            let any = shard.keys().next().copied();
            any.map(|key| shard.remove(&key));
        }
    }
}

/// What every merchant has used of its limits, and how often each address has failed.
pub struct Limiter {
    limits: Limits,
    merchants: Used<MchId, { Class::ALL.len() }>,
    addresses: Used<IpAddr, 1>,
    names: Used<(MchId, PersonId), 1>,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Limiter {
    /// Nothing is used yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, merchants: Used::default(), addresses: Used::default(), names: Used::default() }
    }

    /// Counts a call of a merchant that has proven who it is.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn call(&self, mchid: MchId, class: Class, now: Timestamp) -> Result<(), Duration> {
        self.merchants.take(mchid, class as usize, self.limits.rate(class), now)
    }

    /// Counts a name that a merchant gives a person, as if it were wrong.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn name(&self, mchid: MchId, person: PersonId, now: Timestamp) -> Result<(), Duration> {
        self.names.take((mchid, person), 0, WRONG_NAMES, now)
    }

    /// The name that was counted was right.
    pub(super) fn right_name(&self, mchid: MchId, person: PersonId) {
        self.names.give_back((mchid, person), 0, WRONG_NAMES);
    }

    /// Counts a request that did not prove who it is from.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn failure(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        // Who has one address of IPv6 has a whole network of them.
        let address = match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64))
            }
            other => other.to_canonical(),
        };
        self.addresses.take(address, 0, FAILURES, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_435_200_000);
    const MCHID: MchId = MchId(1_900_000_001);

    /// How many calls pass at one moment.
    fn passing(limiter: &Limiter, class: Class, now: Timestamp) -> usize {
        (0..100_000).take_while(|_| limiter.call(MCHID, class, now).is_ok()).count()
    }

    #[test]
    fn a_seconds_worth_passes_at_once_and_comes_back_within_a_second() {
        let limiter = Limiter::default();
        assert_eq!(passing(&limiter, Class::Refunds, NOW), 150);
        let wait = limiter.call(MCHID, Class::Refunds, NOW).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(7), "{wait:?}");
        assert_eq!(passing(&limiter, Class::Refunds, NOW.plus(100)), 15);
        assert_eq!(passing(&limiter, Class::Refunds, NOW.plus(100)), 0);
        assert_eq!(passing(&limiter, Class::Refunds, NOW.plus(60_000)), 150, "no more than a second's worth");
        assert_eq!(passing(&limiter, Class::Bills, NOW), 10);
        assert_eq!(passing(&limiter, Class::Bills, NOW.plus(1_000)), 3);
    }

    #[test]
    fn a_name_may_be_wrong_ten_times_a_day_and_right_as_often_as_it_is() {
        let (limiter, person) = (Limiter::new(Limits::NONE), PersonId(1 << 60));
        for _ in 0..100 {
            assert!(limiter.name(MCHID, person, NOW).is_ok());
            limiter.right_name(MCHID, person);
        }
        let wrong = (0..100).take_while(|_| limiter.name(MCHID, person, NOW).is_ok()).count();
        assert_eq!(wrong, 10);
        assert!(limiter.name(MCHID, PersonId((1 << 60) + 16), NOW).is_ok(), "another person");
        assert!(limiter.name(MchId(MCHID.0 + 1), person, NOW).is_ok(), "another merchant");
        let later = (0..100).take_while(|_| limiter.name(MCHID, person, NOW.plus(DAY)).is_ok()).count();
        assert_eq!(later, 10);
    }

    #[test]
    fn one_class_and_one_merchant_leave_the_others_alone() {
        let limiter = Limiter::default();
        passing(&limiter, Class::Orders, NOW);
        assert_eq!(passing(&limiter, Class::Queries, NOW), 600);
        assert!(limiter.call(MchId(MCHID.0 + 1), Class::Orders, NOW).is_ok());
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let limiter = Limiter::default();
        passing(&limiter, Class::Refunds, NOW);
        let back = NOW.plus(-3_600_000);
        assert_eq!(passing(&limiter, Class::Refunds, back), 0);
        assert_eq!(passing(&limiter, Class::Refunds, back.plus(1_000)), 150);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_whoever_is_at_their_limit_is_forgotten_last() {
        let used = Used::<u32, 1>::default();
        let rate = Rate::per_second(1, 1);
        let kept =
            |used: &Used<u32, 1>| -> usize { used.shards.iter().map(|s| s.lock().unwrap().len()).sum() };
        for key in 0..200_000 {
            let _wait = used.take(key, 0, rate, NOW);
        }
        assert!(kept(&used) <= SHARDS * MOST_IN_SHARD);
        // A second later everybody has everything again, so the next who comes finds room.
        for key in 200_000..200_100 {
            assert!(used.take(key, 0, rate, NOW.plus(1_500)).is_ok());
        }
        assert!(kept(&used) < SHARDS * MOST_IN_SHARD);
        assert!(used.take(200_000, 0, rate, NOW.plus(1_500)).is_err(), "who was just there is still known");
    }

    #[test]
    fn an_operator_writes_limits_by_name() {
        let limits = Limits::parse("orders=1000, bills = 0").unwrap();
        let limiter = Limiter::new(limits);
        assert_eq!(passing(&limiter, Class::Orders, NOW), 1_000);
        assert_eq!(passing(&limiter, Class::Refunds, NOW), 150);
        assert_eq!(passing(&limiter, Class::Bills, NOW), 100_000);
        for wrong in ["", "orders", "orders=", "orders=-1", "orders=1.5", "gold=1", "orders=1000001"] {
            assert!(Limits::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_route_has_its_class_and_its_size() {
        for (method, route, class, bytes) in [
            (Method::POST, "/v3/pay/transactions/native", Class::Orders, LARGE_BODY),
            (Method::POST, "/v3/pay/transactions/jsapi", Class::Orders, LARGE_BODY),
            (Method::POST, "/v3/pay/transactions/codepay", Class::Orders, LARGE_BODY),
            (
                Method::POST,
                "/v3/pay/transactions/out-trade-no/{out_trade_no}/close",
                Class::Orders,
                SMALL_BODY,
            ),
            (Method::GET, "/v3/pay/transactions/id/{transaction_id}", Class::Queries, SMALL_BODY),
            (Method::POST, "/v3/refund/domestic/refunds", Class::Refunds, LARGE_BODY),
            (Method::GET, "/v3/refund/domestic/refunds/{out_refund_no}", Class::Queries, SMALL_BODY),
            (Method::POST, "/v3/fund-app/mch-transfer/transfer-bills", Class::Transfers, LARGE_BODY),
            (Method::GET, "/v3/bill/tradebill", Class::Bills, SMALL_BODY),
            (Method::GET, "/v3/billdownload/file", Class::Downloads, SMALL_BODY),
            (Method::GET, "/v3/certificates", Class::Certificates, SMALL_BODY),
        ] {
            assert_eq!(
                (Class::of(&method, route), most_body_bytes(&method, route)),
                (class, bytes),
                "{route}"
            );
        }
    }

    #[test]
    fn a_whole_network_of_version_six_is_one_address() {
        let limiter = Limiter::default();
        let at = |host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host));
        let passed = (0..1_000).take_while(|host| limiter.failure(at(*host), NOW).is_ok()).count();
        assert_eq!(passed, 60);
        assert!(limiter.failure(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1)), NOW).is_ok());
    }
}
