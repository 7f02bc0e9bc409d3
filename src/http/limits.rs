//! How often somebody may try: log-ins that fail for an account, log-ins and registrations from an address.
//!
//! Each is a bucket that fills again evenly over a minute (the generic cell rate algorithm of ATM, ITU-T I.371): one number for
//! each account or address, which is forgotten once the bucket is full. Nobody is locked out, nobody is made to wait inside.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::problem::Problem;

const MINUTE: Duration = Duration::from_mins(1);

/// How many are remembered; with more, those that could do all they may are looked for and forgotten.
const REMEMBERED: usize = 100_000;

/// How much may be tried in a minute; 0: as much as one likes
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Failed log-ins of an account
    pub failures: u32,
    /// Log-ins from an address
    pub log_ins: u32,
    /// Registrations from an address
    pub registrations: u32,
}

/// What is counted.
pub(super) struct Limits {
    pub(super) failures: Limit<str>,
    pub(super) log_ins: Limit<IpAddr>,
    pub(super) registrations: Limit<IpAddr>,
}

impl Limits {
    pub(super) fn new(allowed: Allowed) -> Self {
        Self {
            failures: Limit::new(allowed.failures),
            log_ins: Limit::new(allowed.log_ins),
            registrations: Limit::new(allowed.registrations),
        }
    }

    /// Forgets what was tried.
    pub(super) fn forget(&self) {
        self.failures.full_at().clear();
        self.log_ins.full_at().clear();
        self.registrations.full_at().clear();
    }
}

/// How often one thing may be tried by each who tries.
pub(super) struct Limit<K: ?Sized> {
    /// None: as often as one likes
    interval: Option<Duration>,
    /// When the bucket of each is full again; by hash, so that a long name takes no more room
    full_at: Mutex<HashMap<u64, Instant>>,
    hashes: RandomState,
    key: std::marker::PhantomData<fn(&K)>,
}

impl<K: Hash + ?Sized> Limit<K> {
    fn new(per_minute: u32) -> Self {
        let interval = MINUTE.checked_div(per_minute);
        Self { interval, full_at: Mutex::default(), hashes: RandomState::new(), key: std::marker::PhantomData }
    }

    fn full_at(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try; of nobody in particular, none.
    pub(super) fn take(&self, key: Option<&K>) -> Result<(), Problem> {
        let Some(key) = key else { return Ok(()) };
        self.take_at(key, Instant::now()).map_err(|wait| Problem::rate_limited(wait.as_secs() + 1))
    }

    /// Whether another try would be counted, without counting one.
    pub(super) fn look(&self, key: &K) -> Result<(), Problem> {
        self.look_at(key, Instant::now()).map_err(|wait| Problem::rate_limited(wait.as_secs() + 1))
    }

    fn look_at(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.interval else { return Ok(()) };
        let full_at = self.full_at().get(&self.hashes.hash_one(key)).copied().unwrap_or(now);
        next(full_at, interval, now).map(drop)
    }

    /// Counts a try, or says how long it is until the next.
    fn take_at(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.interval else { return Ok(()) };
        let mut all = self.full_at();
        if all.len() >= REMEMBERED {
            all.retain(|_, full_at| *full_at > now);
        }
        let full_at = all.entry(self.hashes.hash_one(key)).or_insert(now);
        *full_at = next(*full_at, interval, now)?;
        Ok(())
    }
}

/// When a bucket is full again after one more try, or how long it is until there may be one.
fn next(full_at: Instant, interval: Duration, now: Instant) -> Result<Instant, Duration> {
    let next = full_at.max(now) + interval;
    match next.checked_duration_since(now + MINUTE) {
        Some(wait) if !wait.is_zero() => Err(wait),
        _ => Ok(next),
    }
}

/// Whoever has a network of IPv6 has addresses without number, but only one of these.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_are_allowed_in_a_minute_and_then_one_after_the_other() {
        let limit = Limit::<str>::new(10);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(limit.take_at("ann", start), Ok(()));
        }
        assert_eq!(limit.take_at("ann", start), Err(Duration::from_secs(6)));
        assert_eq!(limit.take_at("bob", start), Ok(()));
        assert_eq!(limit.take_at("ann", start + Duration::from_secs(5)), Err(Duration::from_secs(1)));
        assert_eq!(limit.take_at("ann", start + Duration::from_secs(6)), Ok(()));
        assert_eq!(limit.take_at("ann", start + Duration::from_secs(6)), Err(Duration::from_secs(6)));
    }

    #[test]
    fn who_only_looks_has_not_tried() {
        let limit = Limit::<str>::new(1);
        let now = Instant::now();
        assert!((0..10).all(|_| limit.look_at("ann", now).is_ok()));
        assert_eq!(limit.take_at("ann", now), Ok(()));
        assert_eq!(limit.look_at("ann", now), limit.take_at("ann", now));
        assert!(limit.look_at("ann", now).is_err());
        assert!((0..1000).all(|_| Limit::<str>::new(0).take_at("ann", now).is_ok()));
    }

    #[test]
    fn however_many_come_who_is_throttled_stays_so_and_who_is_not_is_forgotten() {
        let limit = Limit::<str>::new(10);
        let start = Instant::now();
        while limit.take_at("ann", start).is_ok() {}
        let now = start + Duration::from_secs(1);
        for index in 0..=REMEMBERED {
            assert_eq!(limit.take_at(&index.to_string(), now), Ok(()));
        }
        assert_eq!(limit.look_at("ann", now), Err(Duration::from_secs(5)));
        assert_eq!(limit.take_at("ann", now), Err(Duration::from_secs(5)));
        assert_eq!(limit.full_at().len(), REMEMBERED + 2, "each of them has tried");
        // All but ann may do again all that may be done.
        let later = start + Duration::from_secs(50);
        assert_eq!(limit.take_at("bob", later), Ok(()));
        assert_eq!(limit.full_at().len(), 2);
        for _ in 0..8 {
            assert_eq!(limit.take_at("ann", later), Ok(()));
        }
        assert_eq!(limit.take_at("ann", later), Err(Duration::from_secs(4)));
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}
